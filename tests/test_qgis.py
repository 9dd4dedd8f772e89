"""QGIS opens what every verb exports, in every format, and shows the rows that were written."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.parse

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import ROOT, STUTTGART
from helpers import postgis_server, qgis_oracle, verb_exports
from helpers.photo_folders import folder_of
from helpers.picture_downloads import fetch
from helpers.tokens import TOKEN
from PIL import Image

import mlygeo
from mlygeo import cli, store
from mlygeo.spatial import geodesy
from mlygeo.standin import serve
from mlygeo.store import gdal

database = postgis_server.database
STYLES = ROOT / "examples" / "export"
PICTURES = ROOT / "docs" / "assets"

AS_TEXT = (".csv", ".tsv")
"""Formats that QGIS takes for tables without places when they are dropped into it."""


def test_every_verb_that_exports_a_frame_is_looked_at():
    assert not verb_exports.verbs_without_commands()


def test_qgis_opens_what_every_verb_exports(tmp_path):
    """GeoParquet is converted before: QGIS in Debian has no GDAL that reads it."""
    qgis_oracle.python()
    (tmp_path / "converted").mkdir()
    exports, wrong = [], []
    with verb_exports.working_folder(tmp_path / "work"):
        for verb in verb_exports.COMMANDS:
            paths, failed = verb_exports.run(verb, tmp_path / "work")
            wrong += [f"{command} failed" for command in failed] + ([] if paths else [f"{verb} exported nothing"])
            for path in paths:
                opened = path
                if path.suffix in store.PARQUET:
                    opened = tmp_path / "converted" / f"{len(exports)}.gpkg"
                    mlygeo.convert(path, opened)
                exports.append((f"{verb}: {path.relative_to(tmp_path / 'work')}", opened, _frames_of(opened)))
        answers = qgis_oracle.ask([{"path": path} for _, path, _ in exports], tmp_path)["answers"]
    for (name, path, frames), answer in zip(exports, answers, strict=True):
        found = _differences(frames, answer["layers"], more_fields=path.suffix == ".gpx")
        wrong += [f"{name}: {text}" for text in answer["complaints"] + found]
    assert not wrong, "\n".join(wrong)


def _frames_of(path):
    """Return the frames in a file by the names that QGIS has for them."""
    if path.suffix == ".gpx":
        return {"track_points": mlygeo.read_track(path)[["time", "geometry"]]}
    if path.suffix not in gdal.LAYERED:
        return {path.stem: mlygeo.read_frame(path)}
    return {name: mlygeo.read_frame(path, layer=name) for name in gdal.layers(path)}


def _differences(frames, layers, *, more_fields=False, is_text=False):
    """Return in what the layers of a file are not the frames in it."""
    by_name = {layer["name"]: layer for layer in layers}
    found = [f"there is no layer {name}, but {', '.join(by_name)}" for name in frames.keys() - by_name.keys()]
    for name in frames.keys() & by_name.keys():
        wrong = qgis_oracle.differences(frames[name], by_name[name], more_fields=more_fields, is_text=is_text)
        found += [f"{name}: {text}" for text in wrong]
    return found


@pytest.fixture(scope="module")
def kinds(every_frame):
    """Frames of every kind, and one with the values that programs like to spoil."""
    images = every_frame["images"].iloc[:30].reset_index(drop=True)
    odd = images.assign(
        id=np.arange(30) + 2**53 + 1,
        creator_id=pd.array([2**62 + 1, None] * 15, dtype="Int64"),
        maybe=pd.array([True, None, False] * 10, dtype="boolean"),
        listed=[[1, 2], [3]] * 15,
        finer=images["captured_at"].dt.as_unit("us") + pd.Timedelta(7, "us"),
        text=["Königstraße", 'a "quoted" word', "comma, and; more", "two\nlines", "007", None] * 5,
        place=images.geometry,
    )
    return {**every_frame, "odd": odd}


def test_every_format_opens_where_its_gdal_has_a_driver(kinds, tmp_path):
    """Times are those of UTC whatever the zone of the machine, and ids have all digits."""
    exports = []
    for ending in store.FORMATS:
        for kind, frame in kinds.items():
            path = tmp_path / f"{kind}{ending}"
            mlygeo.write_frame(frame, path)
            exports.append((path, kind, {"path": path}))
            if ending in AS_TEXT:
                exports.append((path, kind, _delimited(path, frame)))
    mlygeo.write_frame(kinds["images"], tmp_path / "items.stac.parquet")
    exports.append((tmp_path / "items.stac.parquet", "items", {"path": tmp_path / "items.stac.parquet"}))
    told = qgis_oracle.ask([task for *_, task in exports], tmp_path)
    wrong = []
    for (path, kind, task), answer in zip(exports, told["answers"], strict=True):
        layers, found = answer["layers"], answer["complaints"]
        if path.suffix in store.PARQUET and not told["parquet"]:
            found += [f"opens as {layers}, without a driver for it"] if layers else []
        elif path.suffix in store.PARQUET and kind == "items":
            found += [] if layers and layers[0]["valid"] else ["does not open"]
        elif path.suffix in AS_TEXT and "uri" not in task:
            found += [f"has {each['geometry']}" for each in layers if each["geometry"] != "NoGeometry"]
        else:
            found += _differences({kind: kinds[kind]}, layers, more_fields="uri" in task, is_text="uri" in task)
        wrong += [f"{path.name}: {text}" for text in found]
    assert not wrong, "\n".join(wrong)


def _delimited(path, frame):
    """Return the task to open a table of text as the dialog Add Delimited Text Layer does."""
    delimiter = "&delimiter=%5Ct" if path.suffix == ".tsv" else ""
    places = "xField=lon&yField=lat" if (frame.geom_type == "Point").all() else "wktField=geometry"
    address = f"{path.as_uri()}?type=csv{delimiter}&{places}&crs=EPSG:4326&detectTypes=yes"
    return {"uri": address, "provider": "delimitedtext", "name": path.stem}


def test_qgis_opens_tables_of_postgis(kinds, database, tmp_path):
    """Times are shown in the zone of the session, which is the server's unless somebody says otherwise."""
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute("ALTER DATABASE postgres SET timezone TO 'UTC'")
    for kind, frame in kinds.items():
        mlygeo.write_frame(frame, f"{database}?table={kind}")
    answers = qgis_oracle.ask([_table(database, *each) for each in kinds.items()], tmp_path)["answers"]
    wrong = []
    for (kind, frame), answer in zip(kinds.items(), answers, strict=True):
        wrong += [f"{kind}: {text}" for text in answer["complaints"] + _differences({kind: frame}, answer["layers"])]
    assert not wrong, "\n".join(wrong)


def _table(database, name, frame):
    """Return the task to open a table as the browser of QGIS does."""
    parts = urllib.parse.urlsplit(database)
    password = urllib.parse.unquote(parts.password).replace("'", r"\'")
    login = f"host={parts.hostname} port={parts.port} dbname='postgres' user='{parts.username}' password='{password}'"
    kinds = {*frame.geom_type}
    shape = kinds.pop() if len(kinds) == 1 else "Geometry"
    table = f'key=\'fid\' srid=4326 type={shape} table="public"."{name}" ({frame.active_geometry_name})'
    return {"uri": f"{login} {table}", "provider": "postgres", "name": name}


def test_photos_are_where_their_exif_says(tmp_path):
    """Import Geotagged Photos of QGIS; a downloaded picture, and one that was processed."""
    images = mlygeo.read_frame(STUTTGART / "stuttgart_images.parquet", frame="images").iloc[:4]
    with serve(images, token=TOKEN) as server:
        fetch(server, images, tmp_path / "downloaded", exif=True)
    folder_of(tmp_path / "processed", 3, heading=lambda number: 40.0 * number)
    mlygeo.process(tmp_path / "processed")
    photos = mlygeo.read_photos(tmp_path / "processed")
    places = {
        **dict(zip(images["id"].astype(str), zip(images.geometry, images["compass_angle"], strict=True), strict=True)),
        **{f"img_{number:05}": (shape, 40.0 * number) for number, shape in enumerate(photos.geometry)},
    }
    tasks = [{"photos": tmp_path / name} for name in ("downloaded", "processed")]
    for answer in qgis_oracle.ask(tasks, tmp_path)["answers"]:
        assert answer["complaints"] == []
        (layer,) = answer["layers"]
        assert layer["crs"] == "EPSG:4326"
        for row, place in zip(layer["rows"], layer["places"], strict=True):
            seen = dict(zip(layer["fields"], row, strict=True))
            shape, angle = places.pop(seen["filename"])
            found = shapely.from_wkt(place)
            assert geodesy.inverse(shape.x, shape.y, found.x, found.y)[1][0] < 0.01
            assert seen["direction"] == pytest.approx(angle, abs=0.001)
    assert not places


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The GeoPackage of the example, and one with the cells of `coverage`."""
    folder = tmp_path_factory.mktemp("exported")
    command = [sys.executable, str(STYLES / "run.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    words = ["--streets", STUTTGART / "stuttgart_osm_edges.gpkg", "--images", STUTTGART / "stuttgart_images.parquet"]
    words += ["--cells", "quadkey18", "-o", folder / "coverage.gpkg", "-q"]
    assert cli.main(["coverage", *map(str, words)]) == 0
    return folder


def test_styles_apply(exported, tmp_path):
    """Three are in the GeoPackage of the example, and apply when it is opened; that of cells is a file."""
    cells = {"path": exported / "coverage.gpkg", "layer": "cells", "style": STYLES / "cells.qml", "rows": 1}
    answers = qgis_oracle.ask([{"path": exported / "stuttgart.gpkg", "rows": 1}, cells], tmp_path)["answers"]
    layers = {layer["name"]: layer for answer in answers for layer in answer["layers"]}
    assert [answer["complaints"] for answer in answers] == [[], []]
    kinds = {
        "selection": "RuleRenderer",
        "coverage": "graduatedSymbol",
        "cells": "graduatedSymbol",
        "street_points": "singleSymbol",
    }
    for name, renderer in kinds.items():
        style = (STYLES / f"{name}.qml").read_text(encoding="utf-8")
        assert layers[name]["renderer"] == renderer
        assert layers[name]["legend"] == (re.findall(r' label="([^"]+)"', style) or [""])
        assert "[%" not in layers[name]["tip"]
        assert layers[name]["tip"]
    first = mlygeo.read_frame(exported / "stuttgart.gpkg", layer="selection").iloc[0]
    assert f'?pKey={first["id"]}"' in layers["selection"]["tip"]
    assert f"point {first['point_id']}<" in layers["selection"]["tip"]
    assert str(first["captured_at"])[:10] in layers["selection"]["tip"]


ARROW, PANORAMA = (0, 114, 178), (136, 34, 85)
"""Colours of selection.qml."""

CELL = 120
"""Pixels of the square around each image in the picture of the next test."""


def test_arrows_point_where_the_camera_looks(tmp_path):
    """Eight flat pictures, one whose heading is unknown, and a panorama, side by side."""
    angles = [*np.arange(8) * 45.0, np.nan, 90.0]
    images = gpd.GeoDataFrame(
        {"compass_angle": angles, "is_pano": [False] * 9 + [True], "id": 1, "point_id": 1, "distance_m": 1.0},
        geometry=shapely.points(np.arange(10) + 0.5, 0.5), crs=4326,
    )  # fmt: skip
    mlygeo.write_frame(images, tmp_path / "images.gpkg")
    layer = {"path": tmp_path / "images.gpkg", "style": STYLES / "selection.qml"}
    picture = {
        "picture": tmp_path / "arrows.png",
        "layers": [layer],
        "extent": [0, 0, 10, 1],
        "size": [10 * CELL, CELL],
        "dpi": 300,
    }
    (answer,) = qgis_oracle.ask([picture], tmp_path)["answers"]
    assert (answer["complaints"], answer["errors"]) == ([], [])
    drawn = np.asarray(Image.open(tmp_path / "arrows.png").convert("RGB")).astype(int)
    cells = [drawn[:, CELL * n : CELL * (n + 1)] for n in range(10)]
    for angle, cell in zip(angles[:8], cells, strict=False):
        turned = (_pointed(_pixels(cell, ARROW)) - angle + 180) % 360 - 180
        assert abs(turned) < 3, angle
    unknown, panorama = _pixels(cells[8], ARROW), _pixels(cells[9], PANORAMA)
    for dot in (unknown, panorama):
        assert len(dot) > 100
        assert np.ptp(dot[:, 0]) == pytest.approx(np.ptp(dot[:, 1]), abs=2)
    assert not len(_pixels(cells[9], ARROW))


def _pixels(cell, colour):
    """Return where a colour is in a picture, from its middle to the right and upwards."""
    row, column = np.nonzero(np.abs(cell - colour).max(axis=2) < 30)
    return np.column_stack([column + 0.5 - cell.shape[1] / 2, cell.shape[0] / 2 - row - 0.5])


def _pointed(pixels):
    """Return the direction of an arrow, degrees from the top to the right: along its length, to its broad end."""
    centred = pixels - pixels.mean(axis=0)
    along, across = np.linalg.svd(centred, full_matrices=False)[2]
    ahead, aside = centred @ along, np.abs(centred @ across)
    if aside[ahead > 0].max() < aside[ahead < 0].max():
        along = -along
    return np.degrees(np.arctan2(*along)) % 360


def test_the_pictures_of_the_documentation_are_what_qgis_draws(exported, tmp_path):
    """After a change of a style, copy the pictures that this test leaves over the old ones."""
    names = ("coverage", "street_points", "selection")
    layers = [{"path": exported / "stuttgart.gpkg", "layer": name} for name in names]
    cells = {"path": exported / "coverage.gpkg", "layer": "cells", "style": STYLES / "cells.qml"}
    tasks = [
        {"layers": layers, "extent": [9.1693, 48.7673, 9.1741, 48.7714], "size": [600, 500], "dpi": 120},
        {"layers": [cells, layers[0]], "extent": [9.1616, 48.7624, 9.1759, 48.7789], "size": [360, 500]},
    ]
    paths = [tmp_path / f"qgis_{name}.png" for name in ("selection", "cells")]
    tasks = [{**task, "picture": path, "crs": "EPSG:25832"} for task, path in zip(tasks, paths, strict=True)]
    answers = qgis_oracle.ask(tasks, tmp_path)["answers"]
    assert [(answer["complaints"], answer["errors"]) for answer in answers] == [([], [])] * 2
    for path in paths:
        with Image.open(path) as picture:
            small = picture.convert("RGB").quantize(64)
        small.save(path, optimize=True)
    for path in paths:
        seen, shown = (np.asarray(Image.open(each).convert("RGB")).astype(int) for each in (path, PICTURES / path.name))
        assert shown.shape == seen.shape
        assert (np.abs(shown - seen).max(axis=2) > 60).mean() < 0.01, f"copy {path} to {PICTURES}"
