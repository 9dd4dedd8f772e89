"""Versions for bug reports."""

import getpass
import json
import platform
import re
import socket
from importlib.metadata import version

import pyogrio
import pyproj
import pytest
import shapely
from helpers.command_line import program

import mlygeo
from mlygeo.errors import InputError


def test_versions_are_those_in_use():
    result = mlygeo.info()
    assert result["mlygeo"] == version("mlygeo")
    assert result["Python"].startswith(platform.python_version())
    assert result["GDAL"] == ".".join(str(number) for number in pyogrio.__gdal_version__)
    assert result["PROJ"] == pyproj.proj_version_str
    assert result["GEOS"] == shapely.geos_version_string
    assert result["packages"]["geopandas"] == version("geopandas")
    assert "pytest" not in result["packages"]
    assert mlygeo.info(packages="all")["packages"]["pytest"] == version("pytest")
    with pytest.raises(InputError):
        mlygeo.info(packages="some")


def test_the_verb_prints_the_same():
    found = program("info")
    assert found.returncode == 0
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in found.stdout.splitlines())
    result = mlygeo.info()
    assert rows["GDAL"] == result["GDAL"]
    assert rows["shapely"] == result["packages"]["shapely"]
    assert json.loads(program("info", "--json").stdout)["packages"] == result["packages"]


def test_version_names_the_libraries():
    found = program("--version")
    result = mlygeo.info()
    assert found.stdout.strip() == (
        f"mlygeo, version {result['mlygeo']} (GDAL {result['GDAL']}, PROJ {result['PROJ']}, GEOS {result['GEOS']})"
    )


def test_nothing_of_the_machine_is_reported():
    text = program("info", "--packages", "all").stdout + program("--version").stdout
    assert "secret-word" not in text
    assert "/" not in text.replace("://", "")
    words = set(re.findall(r"[\w.-]+", text))
    for name in {socket.gethostname(), getpass.getuser()} - {"localhost", "root"}:
        assert name not in words
