"""A missing package is an error with the command that installs it here, whoever installed mlygeo and from where."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from conftest import DATA, ROOT, STUTTGART

import mlygeo
from mlygeo import extras, plotting
from mlygeo.errors import DependencyError, FormatError
from mlygeo.parts import run
from mlygeo.plotting import picture
from mlygeo.providers import keyrings
from mlygeo.readers import video
from mlygeo.spatial import cells
from mlygeo.video import sampling

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
SINGLE = [name for name in EXTRAS if name != "all"]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Lay a distribution as an installer does, and have it found in place of that of the tests."""

    def lay(installer, direct_url=None, *, in_prefix=()):
        site = tmp_path / "site-packages"
        info = site / "mlygeo-1.0.dist-info"
        info.mkdir(parents=True)
        lines = [f"Requires-Dist: {need}; extra == '{extra}'\n" for extra, needs in EXTRAS.items() for need in needs]
        (info / "METADATA").write_text("Metadata-Version: 2.4\nName: mlygeo\nVersion: 1.0\n" + "".join(lines))
        (info / "INSTALLER").write_text(f"{installer}\n")
        if direct_url is not None:
            (info / "direct_url.json").write_text(json.dumps(direct_url))
        prefix = tmp_path / "prefix"
        for name in in_prefix:
            (prefix / name).parent.mkdir(parents=True, exist_ok=True)
            (prefix / name).mkdir() if "." not in name else (prefix / name).touch()
        monkeypatch.setattr(sys, "path", [str(site)])
        monkeypatch.setattr(sys, "prefix", str(prefix))

    return lay


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "a clone"
    folder.mkdir()
    return folder


def url_of(folder, *, editable):
    return {"url": folder.as_uri(), "dir_info": {"editable": True} if editable else {}}


@pytest.mark.parametrize("extra", SINGLE)
def test_from_an_index(installed, extra):
    installed("pip")
    assert extras.install_hint(extra) == f"pip install 'mlygeo[{extra}]'"


def test_from_a_clone(installed, clone, monkeypatch):
    installed("pip", url_of(clone, editable=False))
    assert extras.install_hint("video") == f"pip install '{clone}[video]'"
    monkeypatch.chdir(clone)
    assert extras.install_hint("video") == "pip install '.[video]'"


def test_in_place_stays_in_place(installed, clone, monkeypatch):
    installed("uv", url_of(clone, editable=True))
    monkeypatch.chdir(clone)
    assert extras.install_hint("plot") == "uv pip install -e '.[plot]'"


def test_a_clone_that_is_gone_leaves_the_packages(installed, clone):
    installed("pip", url_of(clone, editable=True))
    clone.rmdir()
    assert shlex.split(extras.install_hint("scale")) == ["pip", "install", *EXTRAS["scale"]]


def test_from_a_wheel_or_a_repository(installed, tmp_path):
    wheel = tmp_path / "mlygeo-1.0-py3-none-any.whl"
    wheel.touch()
    installed("pip", {"url": wheel.as_uri(), "archive_info": {}})
    assert extras.install_hint("osm") == f"pip install '{wheel}[osm]'"


def test_from_a_repository(installed):
    installed("pip", {"url": "https://git.example/mlygeo.git", "vcs_info": {"vcs": "git", "commit_id": "0123abc"}})
    assert extras.install_hint("osm") == "pip install 'mlygeo[osm] @ git+https://git.example/mlygeo.git@0123abc'"


def test_conda_has_no_extras_and_other_names(installed):
    installed("conda")
    assert extras.install_hint("scale") == "conda install -c conda-forge dask-geopandas dask distributed"
    assert extras.install_hint("osm") == "conda install -c conda-forge pyosmium"


def test_pip_in_a_conda_environment(installed, clone):
    installed("pip", url_of(clone, editable=True), in_prefix=["conda-meta"])
    assert extras.install_hint("video") == "conda install -c conda-forge av"


def test_an_environment_that_uv_or_pipx_made_for_it(installed):
    installed("uv", in_prefix=["uv-receipt.toml"])
    assert extras.install_hint("video") == "uv tool install 'mlygeo[video]'"


def test_an_environment_that_pipx_made_for_it(installed):
    installed("pip", in_prefix=["pipx_metadata.json"])
    assert shlex.split(extras.install_hint("video")) == ["pipx", "inject", "mlygeo", *EXTRAS["video"]]


def test_a_clone_that_nobody_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert extras.install_hint("video") == "pip install '.[video]', in the clone of mlygeo"


def test_the_command_works_here():
    """pip itself understands it, in the environment of the tests."""
    for name in ("hatchling", "pip"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    words = shlex.split(extras.install_hint("plot"))
    while words[0] in {"uv", "pip"}:
        words = words[1:]
    target = [sys.executable, "-m", "pip", *words, "--dry-run", "--no-deps", "--no-index", "--no-build-isolation", "-q"]
    found = subprocess.run(target, capture_output=True, text=True)  # where the path in the command is right
    assert found.returncode == 0, found.stderr


def drawn_anew():
    """Draw as a process does that has drawn nothing yet."""
    picture._figure.cache_clear()
    plotting.draw([mlygeo.read_frame(STREETS)])


STREETS = STUTTGART / "stuttgart_osm_edges.gpkg"
USES = {
    "video": (["av"], sampling.library),
    "osm": (["osmium"], lambda: mlygeo.street_network(path=DATA / "osm" / "helsinki_centre.osm.pbf")),
    "keyring": (["keyring"], keyrings.Keyring),
    "plot": (["matplotlib"], drawn_anew),
    "notebook": (["anywidget"], lambda: mlygeo.explore([mlygeo.read_frame(STREETS)]).widget()),
    "postgis": (["psycopg"], lambda: mlygeo.read_frame("postgresql://localhost/streets?table=images")),
    "cells": (["h3"], cells.h3),
    "scale": (["dask", "distributed", "dask_geopandas"], lambda: run._dask(None, "tcp://127.0.0.1:9").__enter__()),
}
"""Packages of each extra that a user misses, and a use of them; without Numba all works, more slowly."""


def absent(monkeypatch, names):
    """Have imports of packages fail, as where they are not installed."""
    for name in list(sys.modules):
        if name.split(".")[0] in names:
            monkeypatch.delitem(sys.modules, name)
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_every_extra_has_a_use():
    assert {*USES, "speed"} == set(SINGLE)


@pytest.mark.parametrize("extra", USES)
def test_what_is_missing_is_said_with_its_command(monkeypatch, extra):
    names, use = USES[extra]
    absent(monkeypatch, names)
    with pytest.raises(DependencyError, match="not installed") as caught:
        use()
    assert extras.install_hint(extra) in caught.value.hint


def test_a_video_that_only_ffmpeg_reads(monkeypatch, tmp_path):
    absent(monkeypatch, ["av"])
    (tmp_path / "ride.mkv").write_bytes(b"\x1aE\xdf\xa3" + bytes(100))
    with pytest.raises(FormatError, match=r"ride\.mkv is not an MP4 .*PyAV, which is not installed") as caught:
        video.video_info(tmp_path / "ride.mkv")
    assert caught.value.hint == extras.install_hint("video")


def test_the_command_line_says_it_in_two_lines(tmp_path):
    code = "import sys; sys.modules['osmium'] = None; from mlygeo.cli import main; sys.exit(main())"
    words = ["streets", "--streets", str(DATA / "osm" / "helsinki_centre.osm.pbf"), "-o", str(tmp_path / "out.parquet")]
    found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert found.returncode == 1
    error, hint = (line for line in found.stderr.splitlines() if line.startswith(("error: ", "hint: ")))
    assert error == "error: OpenStreetMap's own files are read with pyosmium, which is not installed"
    assert hint == f"hint: {extras.install_hint('osm')}"


def test_threads_that_miss_numba_together_warn_of_nothing():
    code = """
import logging, sys, threading
logging.basicConfig()
sys.modules["numba"] = None
from mlygeo.formats import mvt_layers, mvt_tiles
sys.setswitchinterval(1e-6)
together, found = threading.Barrier(8), []
def ask():
    together.wait()
    found.append(mvt_tiles.kernel())
threads = [threading.Thread(target=ask) for _ in range(8)]
for each in threads:
    each.start()
for each in threads:
    each.join()
assert found == [mvt_layers] * 8
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")


def test_all_is_all():
    named = re.fullmatch(r"mlygeo\[(.*)\]", EXTRAS["all"][0])[1].split(",")
    assert sorted(named) == sorted(SINGLE)
    assert len(EXTRAS["all"]) == 1
