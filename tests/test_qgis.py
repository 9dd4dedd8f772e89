"""QGIS opens what every verb exports, in every format, and shows the rows that were written."""

from __future__ import annotations

import urllib.parse

import numpy as np
import pandas as pd
import pytest
from helpers import postgis_server, qgis_oracle, verb_exports

import mlygeo
from mlygeo import store
from mlygeo.store import gdal

database = postgis_server.database

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
