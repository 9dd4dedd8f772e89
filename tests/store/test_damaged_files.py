"""Damaged files: one line that names the file and the row, never a traceback, a crash or an endless read."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from mlygeo import store
from mlygeo.errors import FormatError

GOOD = {
    "type": "Feature",
    "properties": {"n": 2},
    "geometry": {"type": "LineString", "coordinates": [[9, 48], [9.1, 48.1]]},
}
DAMAGED = {
    "open ring": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1]]]},
    "one point": {"type": "LineString", "coordinates": [[0, 0]]},
    "two points of a ring": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0]]]},
}


def collection(folder, *shapes, name="x.geojson"):
    features = [{"type": "Feature", "properties": {"n": 1}, "geometry": shape} for shape in shapes]
    path = folder / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [*features, GOOD]}))
    return path


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_geometry_is_left_out_and_counted(tmp_path, caplog, kind):
    path = collection(tmp_path, GOOD["geometry"], DAMAGED[kind], DAMAGED[kind])
    found = store.read_frame(path)
    assert found["n"].tolist() == [1, 2]
    assert found.attrs["left_out"] == {"rows with damaged geometry": 2}
    assert "x.geojson: 2 rows were left out" in caplog.text
    assert "first row 2" in caplog.text
    assert list(store.read_frame(path, columns=[]).columns) == ["geometry"]


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_file_of_damaged_geometry_is_refused(tmp_path, kind):
    path = tmp_path / "x.geojson"
    path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": DAMAGED[kind]}))
    with pytest.raises(FormatError, match=r"^x\.geojson: the geometry of row 1 is damaged"):
        store.read_frame(path)


def test_a_damaged_wkt_is_left_out_and_counted(tmp_path, caplog):
    path = tmp_path / "x.csv"
    path.write_text('n,geometry\n1,POINT (9 48)\n2,POINT (9\n3,"LINESTRING (0 0)"\n4,\n')
    found = store.read_frame(path)
    assert found["n"].tolist() == [1, 4]
    assert found.geometry.isna().tolist() == [False, True]
    assert found.attrs["left_out"] == {"rows with damaged geometry": 2}
    assert "first row 2" in caplog.text


def test_missing_geometry_in_flatgeobuf_of_any_program(tmp_path):
    frame = gpd.GeoDataFrame({"id": pd.array([2**60 + 1, None, 3], dtype="Int64")}, geometry=[shapely.Point(1, 2), None, shapely.Point(3, 4)], crs=4326)  # fmt: skip
    frame.to_file(tmp_path / "x.fgb", driver="FlatGeobuf", SPATIAL_INDEX="NO")
    found = store.read_frame(tmp_path / "x.fgb")
    assert found["id"].dropna().tolist() == [2**60 + 1, 3]
    assert str(found["id"].dtype) == "Int64"
    assert found.geometry.isna().tolist() == [False, True, False]
    many = gpd.GeoDataFrame({"n": range(5000)}, geometry=[None if n % 3 else shapely.Point(n / 100, 1) for n in range(5000)], crs=4326)  # fmt: skip
    found = store.read_frame(store.write_frame(many, tmp_path / "many.fgb"))
    assert found["n"].tolist() == list(range(5000))
    assert shapely.get_x(found.geometry[::3].values).tolist() == [n / 100 for n in range(0, 5000, 3)]


FUZZ = """
import sys, pathlib, logging
logging.disable(logging.CRITICAL)
from mlygeo import store
from mlygeo.errors import MlygeoError
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    for options in ({}, {"bbox": (9, 48, 10, 49)}):
        try:
            store.read_frame(path, **options)
        except MlygeoError as error:
            assert path.name in str(error) and "\\n" not in str(error), (path.name, str(error))
        except BaseException as error:
            sys.exit(f"{path}: {type(error).__name__}: {error}")
print("done")
"""


@pytest.mark.parametrize("ending", [".gpkg", ".fgb", ".sqlite", ".geojson", ".geojsonl", ".csv"])
def test_no_cut_or_flipped_file_gives_more_than_an_error(tmp_path, ending):
    frame = gpd.GeoDataFrame(
        {"id": [1, 2, 3], "t": ["a", None, "ü,"], "when": pd.to_datetime(["2024-06-09T08:00:00Z"] * 3), "d": pd.to_timedelta([1, 2, 3], "s")},
        geometry=[shapely.Point(9.1, 48.1), shapely.LineString([(9, 48), (9.2, 48.2)]), None],
        crs=4326,
    )  # fmt: skip
    frame = frame.drop(columns="d") if ending == ".csv" else frame
    whole = store.write_frame(frame, tmp_path / f"whole{ending}").read_bytes()
    folder, chance = tmp_path / "odd", random.Random(13)
    folder.mkdir()
    for number in range(12 if ending in {".gpkg", ".sqlite"} else 40):
        odd = bytearray(whole)
        if number % 3 == 0:
            odd = odd[: chance.randrange(len(odd))]
        for _ in range(0 if number % 3 == 0 else chance.choice((1, 4, 40))):
            odd[chance.randrange(len(odd))] = chance.randrange(256)
        (folder / f"{number:03}{ending}").write_bytes(odd)
    ended = subprocess.run(
        [sys.executable, "-c", FUZZ, str(folder)], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.stdout.endswith("done\n"), (ended.returncode, ended.stderr[-2000:])


@pytest.mark.parametrize("name", ["x.gpkg", "x.fgb", "x.geojson", "x.csv", "x.kml"])
def test_a_file_of_no_bytes_is_said_to_be_empty(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(FormatError, match=rf"^x\{name[1:]} is empty"):
        store.read_frame(tmp_path / name)


def test_a_file_that_is_no_frame_at_all(tmp_path):
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    with pytest.raises(FormatError, match=r"^run\.sh cannot be read as a vector file: its format is not recognized$"):
        store.read_frame(tmp_path / "run.sh")
