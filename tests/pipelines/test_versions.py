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
    told = mlygeo.info()
    assert told["mlygeo"] == version("mlygeo")
    assert told["Python"].startswith(platform.python_version())
    assert told["GDAL"] == ".".join(str(number) for number in pyogrio.__gdal_version__)
    assert told["PROJ"] == pyproj.proj_version_str
    assert told["GEOS"] == shapely.geos_version_string
    assert told["packages"]["geopandas"] == version("geopandas")
    assert "pytest" not in told["packages"]
    assert mlygeo.info(packages="all")["packages"]["pytest"] == version("pytest")
    with pytest.raises(InputError):
        mlygeo.info(packages="some")


def test_the_verb_prints_the_same():
    found = program("info")
    assert found.returncode == 0
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in found.stdout.splitlines())
    told = mlygeo.info()
    assert rows["GDAL"] == told["GDAL"]
    assert rows["shapely"] == told["packages"]["shapely"]
    assert json.loads(program("info", "--json").stdout)["packages"] == told["packages"]


def test_version_names_the_libraries():
    found = program("--version")
    told = mlygeo.info()
    assert found.stdout.strip() == (
        f"mlygeo, version {told['mlygeo']} (GDAL {told['GDAL']}, PROJ {told['PROJ']}, GEOS {told['GEOS']})"
    )


def test_nothing_of_the_machine_is_told():
    text = program("info", "--packages", "all").stdout + program("--version").stdout
    assert "secret-word" not in text
    assert "/" not in text.replace("://", "")
    words = set(re.findall(r"[\w.-]+", text))
    for name in {socket.gethostname(), getpass.getuser()} - {"localhost", "root"}:
        assert name not in words
