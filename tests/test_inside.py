"""The picture of the package, docs/architecture.svg: its layers are those of the contract, its ways those of real runs."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from conftest import ROOT, STUTTGART

import mlygeo
from mlygeo import standin

SPEC = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
architecture = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(architecture)

PASSED = """
import json, sys, threading
from mlygeo import cli
passed = set()
def note(frame, event, _):
    name = frame.f_globals.get("__name__", "")
    if event == "call" and name.startswith("mlygeo.") and frame.f_code.co_name != "<module>":
        passed.add(name.split(".")[1])
threading.setprofile(note)
sys.setprofile(note)
status = cli.main(sys.argv[1:])
sys.setprofile(None)
print(json.dumps([status, sorted(passed)]))
"""
"""Runs a command, and prints its status and the parts of the package whose functions were called."""


def parts_passed(*words, **environment):
    found = subprocess.run(
        [sys.executable, "-c", PASSED, *map(str, words), "-q"], capture_output=True, text=True, timeout=200,
        env={**os.environ, "MLYGEO_NO_PROGRESS": "1", **environment},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    status, passed = json.loads(found.stdout.splitlines()[-1])
    assert status == 0, found.stderr
    return passed


def test_the_picture_is_of_the_contract():
    drawn = architecture.drawn(architecture.layers())
    assert architecture.PICTURE.read_text(encoding="utf-8") == drawn, "draw it anew: python docs/architecture.py"
    ET.fromstring(drawn)


def test_the_picture_has_every_part_and_none_that_is_gone():
    """The contract is exhaustive: it has every file and folder."""
    assert set(architecture.PARTS) == {part for row in architecture.layers() for part in row}


@pytest.mark.parametrize("way", architecture.WAYS)
def test_steps_go_through_parts_that_there_are(way):
    assert {part for part, _ in architecture.WAYS[way][1]} <= set(architecture.PARTS)


def test_a_select_passes_the_parts_of_its_way(tmp_path):
    passed = parts_passed(
        "select", "-c", STUTTGART / "stuttgart_config.json", "--streets", STUTTGART / "stuttgart_osm_edges.gpkg",
        "--interval", 50, "-o", tmp_path / "out",
    )  # fmt: skip
    assert {part for part, _ in architecture.WAYS["select"][1]} <= set(passed)


def test_an_upload_passes_the_parts_of_its_way(tmp_path, images, monkeypatch):
    ride = ROOT / "examples" / "gpx_import"
    photos = shutil.copytree(ride / "photos", tmp_path / "DCIM")
    mlygeo.process(photos, geotag_source="gpx", geotag_source_path=ride / "ride.gpx", user_name="jane")
    with standin.serve(images, store=tmp_path / "store") as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        mlygeo.authenticate(user_name="jane", jwt="MLYA-rehearsal")
        passed = parts_passed("upload", photos, "--user-name", "jane", MLYGEO_UPLOAD_HISTORY=str(tmp_path / "history"))
    assert {part for part, _ in architecture.WAYS["upload"][1]} <= set(passed)
