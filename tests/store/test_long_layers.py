"""GeoJSON and other files of GDAL read some rows at a time give the rows, dtypes and errors of those read whole."""

import json
import logging
import tempfile
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from shapely import Point

import mlygeo
from mlygeo import store
from mlygeo.errors import FrameError, MlygeoError
from mlygeo.store import gdal, long_layers, lost
from mlygeo.store.datasets import sources

VALUES = {
    "id": ["5", "900719925474099312", "7a", "007", None, 5, 900719925474099312],
    "creator_id": ["12", 12, None, "b"],
    "provider": ["mapillary", "panoramax", None],
    "when": ["2024-05-01T10:00:00Z", "2024-05-01T10:00:00+02:00", "2024-05-01T10:00:00", "2024-05-01", "soon", None],
    "value": [1, 2.5, None, 2**40, "x", True],
    "flag": [True, False, None],
    "nested": [[1, 2], {"a": 1}, None, "text"],
}
PLACES = [[9.0, 48.0], [9.5, 48.5, 3.0], None, [], [189.0, 48.0]]
FEATURE = {"type": "Feature", "properties": {"a": 1}, "geometry": {"type": "Point", "coordinates": [9, 48]}}
IDS = {
    "numbers": lambda row: 10**15 + row, "of rows": lambda row: row, "of rows from 1": lambda row: row + 1,
    "texts of rows": str, "repeated": lambda _: 7, "texts": lambda row: f"a{row}", "some": lambda row: row % 3 or None,
    "mixed": lambda row: [5, "x", 2.0, 2.5, True, 2**63 - 1][row % 6], "none": lambda _: None,
}  # fmt: skip


@st.composite
def features(draw):
    names = [name for name in VALUES if draw(st.booleans())]
    few = {name: draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, max_size=2)) for name in names}
    places = draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=2))
    id_of, found = IDS[draw(st.sampled_from([*IDS, "none"]))], []
    for row in range(draw(st.integers(1, 9))):
        place = draw(st.sampled_from(places))
        geometry = None if place is None else {"type": "Point", "coordinates": place}
        properties = {name: draw(st.sampled_from(few[name])) for name in names if draw(st.integers(0, 8))}
        id_ = id_of(row)
        own = {} if id_ is None else {"id": id_}
        found.append({"type": "Feature", **own, "properties": properties, "geometry": geometry})
    return found


def facts(read, caplog):
    """Return what comes of reading, and what was said."""
    caplog.clear()
    try:
        found = read()
    except MlygeoError as error:
        return None, f"{type(error).__name__}: {error}", error.hint, []
    said = sorted({record.getMessage() for record in caplog.records if record.levelno > logging.INFO})
    return found, None, None, said


def in_pieces(path, folder):
    long = long_layers.LongLayer.of(path, None, folder)
    assert long is not None
    pieces = list(long.frames())
    for piece in pieces:
        assert [*piece.columns] == [*pieces[0].columns]
    held = [piece for piece in pieces if len(piece)] or pieces[:1]
    found = pd.concat(held, ignore_index=True)
    found.attrs["left_out"] = long.left_out
    return found


def assert_same(found, expected):
    assert found.attrs["left_out"] == expected.attrs.get("left_out", {})
    assert found.dtypes.to_dict() == expected.dtypes.to_dict()
    assert found.crs == expected.crs
    pd.testing.assert_frame_equal(
        pd.DataFrame(found.drop(columns=found.geometry.name)),
        pd.DataFrame(expected.drop(columns=expected.geometry.name)),
        check_exact=True,
    )
    wanted = expected.geometry.where(~expected.geometry.is_empty, None)
    assert found.geometry.where(~found.geometry.is_empty, None).to_wkb().tolist() == wanted.to_wkb().tolist()


OBJECTS = [
    {"type": "Feature", "properties": {} if value is None else {"creator_id": value}, "geometry": None}
    for value in (12, None, "b", None, "b", "b", "b", "b")
]
"""Texts, a number and gaps, which pandas has as objects."""


@example(rows=OBJECTS, as_lines=False, crs=None, at_once=100, odd_line=False)
@given(rows=features(), as_lines=st.booleans(), crs=st.sampled_from([None, None, "EPSG:25832"]),
       at_once=st.sampled_from([1, 3, 100]), odd_line=st.booleans())  # fmt: skip
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture],
          phases=[Phase.explicit, Phase.reuse, Phase.generate])  # fmt: skip
def test_features_at_a_time_are_those_of_the_whole(caplog, rows, as_lines, crs, at_once, odd_line):
    caplog.set_level(logging.WARNING)
    member = {} if crs is None else {"crs": {"type": "name", "properties": {"name": crs}}}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_layers, "ROWS_AT_ONCE", at_once)
        path = Path(folder) / ("rows.geojsonl" if as_lines else "rows.geojson")
        if as_lines:
            lines = [json.dumps(row) for row in rows]
            path.write_text("\n".join([*lines, '{"type": "Fea'] if odd_line else lines) + "\n")
        else:
            path.write_text(json.dumps({"type": "FeatureCollection", **member, "features": rows}))
        if not as_lines and {str, float} <= {type(row["properties"].get("value")) for row in rows}:
            (Path(folder) / "copy").mkdir()
            assert long_layers.LongLayer.of(path, None, Path(folder) / "copy") is None  # it is read as the whole
            return
        expected = facts(lambda: store.read_frame(path), caplog)
        found = facts(lambda: in_pieces(path, Path(folder)), caplog)
        assert found[1:] == expected[1:]
        if expected[1] is None:
            assert_same(found[0], expected[0])


def images(count):
    rng = np.random.default_rng(4)
    frame = gpd.GeoDataFrame(
        {
            "id": 10**15 + rng.permutation(count),
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, count), unit="s", utc=True).as_unit("ms"),
            "is_pano": rng.random(count) < 0.3,
            "creator_id": pd.array(np.where(rng.random(count) < 0.3, None, 7), dtype="Int64"),
            "sequence_id": pd.Series([f"s{number % 7}" for number in range(count)], dtype="str"),
        },
        geometry=gpd.points_from_xy(rng.uniform(9, 10, count), rng.uniform(48, 49, count)),
        crs=4326,
    )
    frame.loc[3, "geometry"] = None
    return frame


@pytest.mark.parametrize("ending", [".geojson", ".geojsonl", ".gpkg", ".fgb", ".sqlite"])
@pytest.mark.parametrize("by", ["mlygeo", "others"])
def test_a_dataset_of_a_long_file_has_the_bytes_of_a_short_one(tmp_path, monkeypatch, ending, by):
    path, frame = tmp_path / f"images{ending}", images(500)
    if by == "mlygeo":
        mlygeo.write_frame(frame, path)
    else:
        driver = {".geojsonl": "GeoJSONSeq", ".sqlite": "SQLite"}.get(ending)
        frame.drop(columns="creator_id")[frame.geometry.notna()].to_file(path, **({"driver": driver} if driver else {}))
    mlygeo.partition(path, tmp_path / "short", rows_per_part=100)
    monkeypatch.setattr(sources, "LONG_BYTES", 0)
    monkeypatch.setattr(long_layers, "ROWS_AT_ONCE", 90)
    looked = []
    monkeypatch.setattr(long_layers.LongLayer, "_look_through", lambda self, run=long_layers.LongLayer._look_through: (
        looked.append(self.path), run(self)))  # fmt: skip
    mlygeo.partition(path, tmp_path / "long", rows_per_part=100)
    assert looked == [path]
    short, long = (
        {file.relative_to(top).as_posix(): file.read_bytes() for file in top.rglob("*.parquet")}
        for top in (tmp_path / "short", tmp_path / "long")
    )
    assert short == long
    assert len(short) > 3


@pytest.mark.parametrize("size", [0, 32_000_000])
def test_a_position_that_is_none_is_told_by_its_row_in_the_file(tmp_path, monkeypatch, size):
    monkeypatch.setattr(sources, "LONG_BYTES", size)
    monkeypatch.setattr(long_layers, "ROWS_AT_ONCE", 4)
    rows = [{"type": "Feature", "properties": {"a": 1},
             "geometry": {"type": "Point", "coordinates": [500 if number == 9 else 9, 48]}}
            for number in range(12)]  # fmt: skip
    path = tmp_path / "rows.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
    with pytest.raises(FrameError, match=r"^rows\.geojson: row 10 lies at 500, 48"):
        mlygeo.partition(path, tmp_path / "parts")


@st.composite
def gpx(draw):
    """Return a file of points, some of them without a position, or with one that is no number."""
    kinds = draw(st.lists(st.sampled_from(["wpt", "trkpt", "rtept"]), min_size=1, max_size=2, unique=True))
    odd = draw(st.sampled_from([[""], ["", ' lat="x"', " lat=' 48.5 '"], ["", ' lon="9"'], [" lat='48' lon='nine'"]]))
    more = ["<ele>3.5</ele>", "<time>2024-05-01T10:00:00Z</time>", "<time>2024-05-01T10:00:00.25Z</time>", "<name>5</name>",
            "<extensions><a>7</a></extensions>", "<extensions><a>x</a></extensions>", "<sat>5</sat>", ""]  # fmt: skip
    few = draw(st.lists(st.sampled_from(more), min_size=1, max_size=3))
    parts = {"wpt": "{}", "trkpt": "<trk><trkseg>{}</trkseg></trk>", "rtept": "<rte>{}</rte>"}
    text = ""
    for kind in kinds:
        points = ""
        for row in range(draw(st.integers(1, 9))):
            place = draw(st.sampled_from(odd)) or f' lat="{48 + row / 8}" lon="9"'
            points += f"<{kind}{place}>{draw(st.sampled_from(few))}</{kind}>\n"
        text += parts[kind].format(points)
    return (
        f'<?xml version="1.0"?>\n<gpx version="1.1" creator="x" xmlns="http://www.topografix.com/GPX/1/1">{text}</gpx>'
    )


@given(text=gpx(), at_once=st.sampled_from([1, 3, 100]), piece=st.sampled_from([1, 40, 1 << 20]))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture],
          phases=[Phase.explicit, Phase.reuse, Phase.generate])  # fmt: skip
def test_points_of_gpx_at_a_time_are_those_of_the_whole(caplog, text, at_once, piece):
    caplog.set_level(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_layers, "ROWS_AT_ONCE", at_once)
        path = Path(folder) / "rows.gpx"
        path.write_text(text)
        expected = facts(lambda: store.read_frame(path), caplog)
        patch.setattr(lost, "_PIECE", piece)
        found = facts(lambda: in_pieces(path, Path(folder)), caplog)
        assert found[1:] == expected[1:]
        if expected[1] is None:
            assert_same(found[0], expected[0])


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([5, 2**40, None]), st.sampled_from(["007", "é", None]), st.sampled_from([0.5, None]),
                  st.sampled_from(["2024-05-01", None]), st.sampled_from([True, False])),
        min_size=1, max_size=9,
    ),
    places=st.lists(st.sampled_from([(9.0, 48.0), (189.0, 48.0), None]), min_size=9, max_size=9),
    at_once=st.sampled_from([1, 3, 100]), crs=st.sampled_from([4326, 25832, None]),
)  # fmt: skip
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture],
          phases=[Phase.explicit, Phase.reuse, Phase.generate])  # fmt: skip
def test_points_of_shapefiles_at_a_time_are_those_of_the_whole(caplog, rows, places, at_once, crs):
    caplog.set_level(logging.WARNING)
    frame = pd.DataFrame(rows, columns=["creator_id", "sequence_id", "value", "day", "is_pano"])
    frame = frame.assign(day=pd.to_datetime(frame["day"]), creator_id=frame["creator_id"].astype("Int64"))
    shapes = [None if place is None else Point(place) for place in places[: len(frame)]]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_layers, "ROWS_AT_ONCE", at_once)
        path = Path(folder) / "rows.shp"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pyogrio.write_dataframe(gpd.GeoDataFrame(frame, geometry=shapes, crs=crs), path, geometry_type="Point")
        expected = facts(lambda: store.read_frame(path), caplog)
        found = facts(lambda: in_pieces(path, Path(folder)), caplog)
        assert found[1:] == expected[1:]
        if expected[1] is None:
            assert_same(found[0], expected[0])


def test_the_size_of_a_shapefile_is_that_of_its_attributes_too(tmp_path):
    frame = images(5)[["sequence_id", "geometry"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame.to_file(tmp_path / "rows.shp")
    assert gdal.size_of(tmp_path / "rows.shp") == sum(
        (tmp_path / name).stat().st_size for name in ("rows.shp", "rows.dbf")
    )


@pytest.mark.parametrize(
    "value",
    [
        FEATURE,
        {"type": "FeatureCollection", "features": [5]},
        {"type": "FeatureCollection", "features": [FEATURE["geometry"]]},
        {"type": "FeatureCollection", "features": []},
        {"type": "FeatureCollection", "features": [FEATURE | {"properties": {"a": 2**63}}]},
        {"type": "FeatureCollection", "features": [FEATURE | {"properties": {"a": -(2**63)}}]},
        {"type": "FeatureCollection", "features": [FEATURE | {"properties": {"a": each}} for each in (48.7, "x")]},
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "a": each, "geometry": FEATURE["geometry"]} for each in (48.7, "x")],
        },
    ],
)
def test_other_json_is_read_as_a_whole(tmp_path, value):
    path = tmp_path / "rows.geojson"
    path.write_text(json.dumps(value))
    assert long_layers.LongLayer.of(path, None, tmp_path) is None


CURVE = {"type": "CircularString", "coordinates": [[9, 48], [10, 49], [11, 48]]}
PLACE = {"place": {"type": "Point", "coordinates": [500000, 5400000]}, "geometry": None}
JSON_FG = {"type": "FeatureCollection", "coordRefSys": "http://www.opengis.net/def/crs/EPSG/0/25832"}


@pytest.mark.parametrize(
    ("features", "more"),
    [
        ([FEATURE | {"geometry": CURVE}], {"type": "FeatureCollection"}),
        ([FEATURE | PLACE, FEATURE | PLACE], JSON_FG),
        ([FEATURE], JSON_FG),
        ([FEATURE | {"featureType": "road"}, FEATURE | {"featureType": "river"}], JSON_FG),
        ([FEATURE | {"properties": {"place": {"type": "town"}}}], {"type": "FeatureCollection"}),
        ([FEATURE | {"properties": {"time": {"date": "2024-05-01"}}}], {"type": "FeatureCollection"}),
    ],
    ids=["curves", "places in a CRS", "a CRS", "kinds", "a property place", "a property time"],
)
@pytest.mark.parametrize("ending", [".geojson", ".geojsonl"])
def test_what_gdal_reads_in_another_way_is_read_as_the_whole(tmp_path, caplog, features, more, ending):
    caplog.set_level(logging.WARNING)
    path = tmp_path / f"rows{ending}"
    lines = "\n".join(map(json.dumps, features)) + "\n"
    path.write_text(json.dumps(more | {"features": features}) if ending == ".geojson" else lines)
    (tmp_path / "copy").mkdir()
    expected = facts(lambda: store.read_frame(path), caplog)
    long = facts(lambda: long_layers.LongLayer.of(path, None, tmp_path / "copy"), caplog)
    if long[0] is None and long[1] is None:  # it is read as the whole
        return
    found = facts(lambda: in_pieces(path, tmp_path / "copy"), caplog)
    assert found[1:] == expected[1:]
    if expected[1] is None:
        assert_same(found[0], expected[0])


def test_kinds_of_json_fg_are_layers_to_choose_from(tmp_path):
    path = tmp_path / "rows.geojson"
    kinds = [FEATURE | {"featureType": kind} for kind in ("road", "river")]
    path.write_text(json.dumps(JSON_FG | {"features": kinds}))
    with pytest.raises(FrameError, match=r"has several layers: river \(Point\), road \(Point\)"):
        store.read_frame(path)


def test_wide_rows_are_read_fewer_at_a_time(tmp_path, monkeypatch):
    """Memory hangs on the bytes of rows: a point of GPX may have two hundred, or thousands."""
    path = tmp_path / "wide.gpx"
    point = '<wpt lat="48" lon="9"><name>{}</name><desc>' + "x" * 5000 + "</desc></wpt>"
    path.write_text(
        f'<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1">{"".join(map(point.format, range(60)))}</gpx>'
    )
    monkeypatch.setattr(long_layers, "BYTES_AT_ONCE", 50_000)
    pieces = [len(piece) for piece in long_layers.LongLayer.of(path, None, tmp_path).frames()]
    assert sum(pieces) == 60
    assert max(pieces) <= 10
    monkeypatch.setattr(long_layers, "BYTES_AT_ONCE", 1)
    assert {len(piece) for piece in long_layers.LongLayer.of(path, None, tmp_path).frames()} == {1}
