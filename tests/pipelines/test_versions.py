"""Versions for bug reports, and the shell's completion."""

import getpass
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pyogrio
import pyproj
import pytest
import shapely

import mlygeo
from mlygeo.errors import InputError

PROGRAM = Path(sys.executable).parent / "mlygeo"


def run(*words, **environment):
    return subprocess.run(
        [str(PROGRAM), *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "MAPILLARY_ACCESS_TOKEN": "secret-word", **environment},
    )


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
    found = run("info")
    assert found.returncode == 0
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in found.stdout.splitlines())
    told = mlygeo.info()
    assert rows["GDAL"] == told["GDAL"]
    assert rows["shapely"] == told["packages"]["shapely"]
    assert json.loads(run("info", "--json").stdout)["packages"] == told["packages"]


def test_version_names_the_libraries():
    found = run("--version")
    told = mlygeo.info()
    assert found.stdout.strip() == (
        f"mlygeo, version {told['mlygeo']} (GDAL {told['GDAL']}, PROJ {told['PROJ']}, GEOS {told['GEOS']})"
    )


def test_nothing_of_the_machine_is_told():
    text = run("info", "--packages", "all").stdout + run("--version").stdout
    assert "secret-word" not in text
    assert "/" not in text.replace("://", "")
    words = set(re.findall(r"[\w.-]+", text))
    for name in {socket.gethostname(), getpass.getuser()} - {"localhost", "root"}:
        assert name not in words


def completed(*words):
    """What click offers bash for these words, the last of which is unfinished."""
    line = " ".join(["mlygeo", *words])
    found = run(_MLYGEO_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(words)))
    return {row.partition(",")[2] for row in found.stdout.splitlines()}


def test_completion_knows_verbs_options_and_choices():
    assert completed("sel") == {"select"}
    assert "--max-heading-difference" in completed("select", "--max-h")
    assert completed("select", "--method", "") >= {"even", "percept"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_sound(shell, tmp_path):
    script = run(_MLYGEO_COMPLETE=f"{shell}_source").stdout
    assert "_MLYGEO_COMPLETE" in script
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        assert subprocess.run([shell, "-n", str(tmp_path / "script")]).returncode == 0
