"""Each example runs as its folder says, on the bundled data, and gives what it promises."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from conftest import DATA, ROOT
from helpers import postgis_server
from helpers.command_line import PROGRAMS
from helpers.page_commands import check_options, inline_commands
from helpers.unix import needs_unix

import mlygeo
from mlygeo import cli

database = postgis_server.database
EXAMPLES = ROOT / "examples"
STREETS = EXAMPLES / "stuttgart" / "stuttgart_osm_edges.gpkg"
IMAGES = EXAMPLES / "stuttgart" / "stuttgart_images.parquet"
FOLDERS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__")


def run(script: Path, *words):
    program = [sys.executable] if script.suffix == ".py" else ["bash"]
    environment = {**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    found = subprocess.run(
        [*program, str(script), *map(str, words)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stderr
    return found.stdout + found.stderr


needs_a_shell = needs_unix("Unix shell")


def test_every_folder_has_a_run_and_is_listed():
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in FOLDERS:
        assert f"`{name}/`" in listed
        assert [path for path in (EXAMPLES / name).iterdir() if path.name in {"run.sh", "run.py", "rehearse.sh"}]


@needs_a_shell
def test_stuttgart(tmp_path):
    run(EXAMPLES / "stuttgart" / "run.sh", tmp_path)
    assert len(mlygeo.read_frame(tmp_path / "selection.parquet", frame="selection")) == 146
    assert len(mlygeo.read_frame(tmp_path / "images.parquet", frame="images")) == 1298
    assert (tmp_path / "coverage" / "coverage.png").stat().st_size > 10_000
    assert "CC BY-SA" in (tmp_path / "map.html").read_text(encoding="utf-8")


@needs_a_shell
@pytest.mark.parametrize("name", ["gpx_import", "from_mapillary_tools"])
def test_photos_get_the_positions_of_the_ride(tmp_path, name):
    run(EXAMPLES / name / "run.sh", tmp_path)
    photos = mlygeo.read_photos(tmp_path / "photos")
    assert len(photos) == 67
    assert photos["image_description"].notna().sum() == 57
    # The description in each file, and the frame beside them, say the same.
    frame = mlygeo.read_frame(tmp_path / "photos" / ".mlygeo" / "images.parquet")
    check_ride(frame)
    descriptions = photos["image_description"].dropna().map(json.loads)
    table = pd.read_csv(EXAMPLES / "csv_import" / "positions.csv", index_col="file")
    wanted = table.loc[[Path(path).name for path in photos["path"][descriptions.index]]]
    for word, column in (("MAPLatitude", "latitude"), ("MAPLongitude", "longitude")):
        assert np.abs(descriptions.str[word].to_numpy(dtype=float) - wanted[column].to_numpy()).max() < 1e-7


@needs_a_shell
def test_csv_import(tmp_path):
    run(EXAMPLES / "csv_import" / "run.sh", tmp_path)
    photos = mlygeo.read_photos(tmp_path / "photos")
    described = photos[photos["image_description"].notna()]
    check_ride(described)
    assert "surface" in described["image_description"].iloc[0]
    check_ride(photos)


def check_ride(photos):
    """Each photo stands in its file where the table of the ride says it is, within a few millimetres."""
    table = pd.read_csv(EXAMPLES / "csv_import" / "positions.csv", index_col="file")
    wanted = table.loc[[Path(path).name for path in photos["path"]]]
    assert len(photos) >= 57
    places = shapely.points(wanted["longitude"], wanted["latitude"])
    assert shapely.distance(photos.geometry.to_numpy(), places).max() < 1e-7


def test_the_data_of_the_ride_can_be_made_again(tmp_path):
    run(EXAMPLES / "gpx_import" / "make_data.py", tmp_path)
    made, kept = tmp_path / "ride.gpx", EXAMPLES / "gpx_import" / "ride.gpx"
    pd.testing.assert_frame_equal(
        pd.DataFrame(mlygeo.read_track(made).drop(columns="geometry")),
        pd.DataFrame(mlygeo.read_track(kept).drop(columns="geometry")),
    )
    names = [sorted(path.name for path in (folder / "photos").iterdir()) for folder in (tmp_path, kept.parent)]
    assert names[0] == names[1]


def test_export_to_geopackage_with_its_styles(tmp_path):
    text = run(EXAMPLES / "export" / "run.py", tmp_path)
    assert "146 selection" in text
    path = tmp_path / "stuttgart.gpkg"
    layers = dict(pyogrio.list_layers(path))
    assert set(layers) >= {"images", "street_points", "streets", "coverage", "selection"}
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles"
        ).fetchall()
        for name, column, style, default in rows:
            geometry = database.execute("SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", [name])
            assert (geometry.fetchone(), default) == ((column,), 1)
            assert style == (EXAMPLES / "export" / f"{name}.qml").read_text(encoding="utf-8")
    database.close()
    assert {name for name, *_ in rows} == {"selection", "coverage", "street_points"}


FIELDS = {
    "selection": {"is_pano", "compass_angle", "captured_at", "distance_m", "point_id", "id"},
    "coverage": {"share_covered", "name", "covered_m", "length_m", "images", "newest"},
    "cells": {"share_covered", "covered_m", "length_m", "images"},
    "street_points": {"point_id", "bearing"},
}


def test_every_style_is_looked_at():
    assert {path.stem for path in (EXAMPLES / "export").glob("*.qml")} == FIELDS.keys()


@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_of_a_style_are_columns(tmp_path, name):
    """QGIS passes over a field that is not there; so the test looks."""
    style = (EXAMPLES / "export" / f"{name}.qml").read_text(encoding="utf-8")
    ET.fromstring(style.split(">", 1)[1])
    named = set(re.findall(r"&quot;(\w+)&quot;", style)) | set(re.findall(r'"(\w+)"(?=[^<>]*%])', style))
    named |= set(re.findall(r'attr="(\w+)"', style))
    assert named == FIELDS[name]
    words = ["--streets", STREETS, "--images", IMAGES, "-q", "-o", tmp_path / "made.gpkg"]
    verb = (
        ["select", "--interval", "50"]
        if name in {"selection", "street_points"}
        else ["coverage", "--cells", "quadkey17"]
    )
    assert cli.main([str(word) for word in [*verb, *words]]) == 0
    assert named <= {*mlygeo.read_frame(tmp_path / "made.gpkg", layer=name).columns}


def test_export_to_postgis(tmp_path, database):
    text = run(EXAMPLES / "export" / "run.py", tmp_path, database)
    assert re.search(r"PostGIS: 5 tables; [1-9]\d* selected images", text)
    assert len(mlygeo.read_frame(f"{database}?table=images", frame="images")) == 1298


@needs_a_shell
def test_from_percept_vsvi_filter(tmp_path):
    text = run(EXAMPLES / "from_percept_vsvi_filter" / "run.sh", tmp_path)
    assert "94 street points" in text
    ids = [int(line) for line in (tmp_path / "percept" / "image_ids.txt").read_text().split()]
    expected = pd.read_csv(DATA / "expected" / "stuttgart_50m_selection.csv")
    assert sorted(set(ids)) == sorted(set(expected["id"]))
    assert len(mlygeo.read_frame(tmp_path / "mygrid.geojson", frame="street_points")) == 94


def test_commands_of_the_tables_are_ours():
    """Every new command in the tables for movers is a verb with options that exist."""
    for name in ("percept_vsvi_filter", "mapillary_tools_2019"):
        commands = inline_commands((ROOT / "docs" / "moving" / f"{name}.md").read_text(encoding="utf-8"))
        assert len(commands) >= 4
        for command in commands:
            check_options(command)
