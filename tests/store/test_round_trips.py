"""Every odd column in every format comes back as it was, or is refused with its name and the old file untouched."""

from __future__ import annotations

import datetime as dt
import decimal
import logging
import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import frames, store
from mlygeo.errors import FrameError, MlygeoError
from mlygeo.store import columns as described
from mlygeo.store import gdal
from mlygeo.store import text as text_tables

FORMATS = (".gpkg", ".fgb", ".sqlite", ".geojson", ".geojsonl", ".csv", ".tsv")
TABLES = {".csv", ".tsv"}
ROWS = 4


def frame_with(values, name="odd", shapes=None, crs=4326, others=None, active="geometry"):
    column = values if isinstance(values, pd.Series) else pd.Series(values)
    rows = len(column)
    shapes = shapely.points(np.linspace(9.1, 9.2, rows), 48.7 + 1 / 3) if shapes is None else shapes
    places = gpd.GeoSeries(list(shapes), index=column.index, crs=crs)
    return gpd.GeoDataFrame({name: column, **(others or {}), active: places}, geometry=active)


def utc(*texts, unit="ms", zone="UTC"):
    return (
        pd.Series(pd.to_datetime(pd.Series(texts, dtype="str"), utc=True, format="ISO8601"))
        .dt.tz_convert(zone)
        .dt.as_unit(unit)
    )


VALUES = {
    "int64": pd.Series([1, -(2**63), 2**63 - 1, 2**53 + 1]),
    "int64 small": pd.Series([1, 0, -3, 7]),
    "int8": pd.Series([1, -128, 127, 0], dtype="int8"),
    "uint32": pd.Series([0, 2**32 - 1, 1, 2], dtype="uint32"),
    "uint64": pd.Series([0, 2**63, 2**64 - 1, 1], dtype="uint64"),
    "Int64": pd.Series([1, None, 2**53 + 1, 3], dtype="Int64"),
    "UInt64": pd.Series([1, None, 2**64 - 1, 3], dtype="UInt64"),
    "Int16": pd.Series([1, None, 2, 3], dtype="Int16"),
    "float64": pd.Series([0.1 + 0.2, -0.0, 5e-324, np.nan]),
    "float64 great": pd.Series([1e308, 1e22, 123456789.123456789, 1.0]),
    "infinite": pd.Series([np.inf, -np.inf, np.nan, 1.0]),
    "float32": pd.Series([0.1, 2, np.nan, 3], dtype="float32"),
    "Float64": pd.Series([0.1, None, 2, 3], dtype="Float64"),
    "bool": pd.Series([True, False, True, True]),
    "boolean": pd.Series([True, None, False, True], dtype="boolean"),
    "truth as objects": pd.Series([True, None, False, True], dtype=object),
    "text": pd.Series(["Käse", 'a "quoted", one', "two\nlines\r\nand\rmore", None]),
    "text empty or none": pd.Series(["", None, " ", "x"]),
    "text all empty": pd.Series(["", "", None, ""]),
    "text of numbers": pd.Series(["007", "7", None, "1e5"]),
    "text of whole numbers": pd.Series(["1", "2", "3", None]),
    "text of truth": pd.Series(["true", "false", "True", None]),
    "text of times": pd.Series(["2024-06-09T08:00:00Z", "2024-06-09", None, "2024-06-09T08:00:00Z"]),
    "text of days": pd.Series(["2024-06-09", "2024-06-10", None, "2024-06-09"]),
    "text of GDAL's times": pd.Series(["2024/06/09 08:00:00", "2024/06/10 09:00:00", None, "08:00:00"]),
    "text of nulls": pd.Series(["NA", "null", "None", None]),
    "text of JSON": pd.Series(["[1, 2]", "{}", "[]", None]),
    "text of formulas": pd.Series(["=1+1", "+49 711", "-x", "@SUM(A1)"]),
    "text of guards": pd.Series(["'=1", "''", "'", "\t=1"]),
    "text of separators": pd.Series([",", "\t", ";", "|"]),
    "string": pd.Series(["a", None, "", "d"], dtype="string"),
    "string of Arrow": pd.Series(["a", None, "", "d"], dtype="string[pyarrow]"),
    "int of Arrow": pd.Series([1, None, 2**53 + 1, 3], dtype="int64[pyarrow]"),
    "category": pd.Series(["a", None, "b", "a"], dtype="category"),
    "category in order": pd.Series(pd.Categorical(["S", "L", None, "S"], ["S", "M", "L"], ordered=True)),
    "category of numbers": pd.Series([3, 1, 3, 2], dtype="category"),
    "UTC ms": utc("2024-06-09T08:00:00.123Z", "1969-12-31T23:59:59.999Z", None, "2024-06-09T08:00:00Z"),
    "UTC s": utc("2024-06-09T08:00:00Z", "1900-01-01T00:00:00Z", None, "2024-06-09T08:00:00Z", unit="s"),
    "UTC us": utc("2024-06-09T08:00:00.123456Z", "2024-06-09T08:00:00Z", None, "2024-06-09T08:00:00Z", unit="us"),
    "UTC ns": utc("2024-06-09T08:00:00.123456789Z", "2024-06-09T08:00:00Z", None, "2024-06-09T08:00:00Z", unit="ns"),
    "Berlin": utc("2024-06-09T08:00:00Z", "2024-01-09T08:00:00Z", None, "2024-10-27T01:30:00Z", zone="Europe/Berlin"),
    "fixed zone": utc("2024-06-09T08:00:00Z", "2024-01-09T08:00:00Z", None, "2024-06-09T08:00:00Z", zone="+05:45"),
    "naive": pd.Series(pd.to_datetime(["2024-06-09T08:00:00.5", "2024-06-09", None, "1900-01-01"], format="ISO8601")).dt.as_unit("ms"),
    "naive ns": pd.Series(pd.to_datetime(["2024-06-09T08:00:00.000000001", None, None, "1900-01-01"], format="ISO8601")).dt.as_unit("ns"),
    "durations": pd.Series(pd.to_timedelta(["1 days 02:03:04.5", None, "-1 s", "1 ns"])),
    "dates": pd.Series([dt.date(2024, 6, 9), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)], dtype=object),
    "decimals": pd.Series([decimal.Decimal("0.10"), None, decimal.Decimal("1E+30"), decimal.Decimal(-1)], dtype=object),
    "bytes": pd.Series([b"\x00\xff", None, b"", b"x"], dtype=object),
    "lists": pd.Series([[1, 2], None, [], ["a", None]], dtype=object),
    "dicts": pd.Series([{"a": [1, {"b": 2.5}]}, None, {}, {"ü": True}], dtype=object),
    "mixed": pd.Series(["x", 1, None, 2.5], dtype=object),
    "whole numbers as objects": pd.Series([1, None, 2**60 + 1, -3], dtype=object),
    "nothing": pd.Series([None] * ROWS, dtype=object),
    "nothing of text": pd.Series([None] * ROWS, dtype="str"),
    "nothing of Int64": pd.Series([None] * ROWS, dtype="Int64"),
    "nothing of floats": pd.Series([np.nan] * ROWS),
    "nothing of times": utc(None, None, None, None),
    "further geometry": gpd.GeoSeries([*shapely.points([1, 2, 3], [1, 2, 1 / 3]), None], crs=25832),
    "complex": pd.Series([1j, 2, 3, 4]),
    "periods": pd.Series(pd.period_range("2024-01", periods=ROWS, freq="M")),
    "sets": pd.Series([{1}, None, {2}, {3}], dtype=object),
    "zero byte": pd.Series(["a\0b", None, "c", "d"], dtype=object),
    "half a letter": pd.Series(["a\ud800b", None, "c", "d"], dtype=object),
}  # fmt: skip
REFUSED_EVERYWHERE = {"complex", "periods", "sets", "zero byte", "half a letter"}
REFUSED_IN_TABLES = {"durations", "decimals", "bytes", "mixed"}
SAID_IN_TABLES = {
    "category", "category in order", "category of numbers", "Berlin", "fixed zone", "lists", "dicts", "further geometry",
}  # fmt: skip
"""What comes back in another dtype from a table of text; a warning names the column."""


def assert_comes_back(frame, path, caplog=None):
    """The values are as they were; in all but tables of text the dtypes, too."""
    back = store.read_frame(store.write_frame(frame, path))
    described.must_be_same(frame, back, path.name)
    for name in frame.columns:
        if name not in frames.IDS and path.suffix not in TABLES:
            assert str(back[name].dtype) == str(frame[name].dtype), name
    if path.suffix not in TABLES:
        assert list(back.columns) == list(frame.columns)
        assert back.active_geometry_name == frame.active_geometry_name
    return back


def assert_refused(frame, path, named="odd"):
    """The error names the column in one line, and an old file is as it was."""
    path.write_bytes(b"old")
    with pytest.raises(FrameError) as raised:
        store.write_frame(frame, path)
    assert str(named) in str(raised.value)
    assert path.name in str(raised.value)
    assert "\n" not in str(raised.value)
    assert path.read_bytes() == b"old"
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def kept_by(ending):
    """The kinds of columns that a format holds."""
    refused = REFUSED_EVERYWHERE | (REFUSED_IN_TABLES | SAID_IN_TABLES if ending in TABLES else set())
    return {kind: values for kind, values in VALUES.items() if kind not in refused}


@pytest.mark.parametrize("ending", FORMATS)
def test_every_kind_of_column(tmp_path, ending):
    values = kept_by(ending)
    frame = frame_with(pd.Series(range(ROWS)), others=values)
    assert_comes_back(frame, tmp_path / f"x{ending}")
    for kind in REFUSED_EVERYWHERE | (REFUSED_IN_TABLES if ending in TABLES else set()):
        assert_refused(frame_with(VALUES[kind]), tmp_path / f"x{ending}")


@pytest.mark.parametrize("ending", sorted(TABLES))
@pytest.mark.parametrize("kind", sorted(SAID_IN_TABLES))
def test_what_a_table_of_text_cannot_tell_is_said(tmp_path, caplog, ending, kind):
    frame = frame_with(VALUES[kind])
    back = store.read_frame(store.write_frame(frame, tmp_path / f"x{ending}"))
    assert back["odd"].isna().tolist() == frame["odd"].isna().tolist()
    assert "column 'odd'" in caplog.text


NAMES = (
    "fid", "FID", "ogc_fid", "id", "ID", "geom", "geometry", "wkt", "lon", "Lat", "x", "y", "OGR_STYLE", "", " ", "rowid",
    "a b", 'a"b', "a,b", "a\nb", "=1+1", "'x", "type", "properties", "mlygeo", "bbox", "Käse", "名前", "a" * 200, "select",
    "wkb_geometry", "row", "index", "level_0", "fid_1", "shape", "true", "1", "attributes", "layer", "crs",
)  # fmt: skip


@pytest.mark.parametrize("ending", FORMATS)
def test_every_name_of_a_column(tmp_path, ending):
    kinds = (pd.Series([5, 5, 2]), pd.Series(["a", None, "c"]), pd.Series([0.5, np.nan, 1.5]))
    for turn in range(3):
        values = {
            name: kinds[(place + turn) % 3] for place, name in enumerate(NAMES) if name not in TAKEN.get(ending, ())
        }
        assert_comes_back(frame_with(kinds[0], others=values, active="place"), tmp_path / f"x{ending}")
    for name in NAMES:
        if name in {"fid", "id", "geometry", "OGR_STYLE", "lon", "geom", ""}:
            assert_comes_back(frame_with(kinds[0], name, active="place"), tmp_path / f"x{ending}")


@pytest.mark.parametrize("ending", FORMATS)
def test_names_that_clash(tmp_path, ending, caplog):
    frame = frame_with(
        pd.Series([1, 2]), "Name", others={"name": ["a", "b"], "NAME": [0.5, 1.5], "fid": [7, 7], "fid_1": ["x", "y"]}
    )
    assert_comes_back(frame, tmp_path / f"x{ending}")
    if ending in {".gpkg", ".fgb", ".sqlite"}:
        assert "'name' as 'name_" in caplog.text
    path = tmp_path / f"x{ending}"
    assert_refused(frame.set_axis(["Name", "Name", *frame.columns[2:]], axis=1), path, "Name")
    for odd in (5, ("a", "b"), 2.5, np.int64(3)):
        wrong = frame_with(pd.Series([1, 2]))
        wrong.columns = pd.Index([odd, "geometry"], dtype=object, tupleize_cols=False)
        assert_refused(wrong, path, odd)


TAKEN = dict.fromkeys(TABLES, ("geom",))
"""Of the names of columns of WKT, one remains for the geometry."""

SHAPES = {
    "points": ["POINT (1 2)", "POINT (0.1 0.30000000000000004)", "POINT (-180 90)"],
    "missing": ["POINT (1 2)", None, "POINT (3 4)"],
    "all missing": [None, None, None],
    "empty": ["POINT (1 2)", "POINT EMPTY", None],
    "all empty": ["POINT EMPTY", "POINT EMPTY", "POINT EMPTY"],
    "other empty": ["LINESTRING EMPTY", "POLYGON EMPTY", "GEOMETRYCOLLECTION EMPTY"],
    "lines": ["LINESTRING (0 0, 1 1)", None, "LINESTRING EMPTY"],
    "mixed": ["POINT (1 2)", "LINESTRING (0 0, 1 1)", "POLYGON ((0 0, 1 0, 1 1, 0 0))"],
    "single and several": ["POLYGON ((0 0, 1 0, 1 1, 0 0))", "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))", None],
    "single and several points": ["POINT (0 0)", "MULTIPOINT ((1 1), (2 2))", None],
    "Z": ["POINT Z (1 2 3)", "POINT Z (1 2 0.30000000000000004)", None],
    "flat and Z": ["POINT (1 2)", "POINT Z (1 2 3)", None],
    "lines with Z": ["LINESTRING Z (0 0 1, 1 1 2)", "LINESTRING (0 0, 1 1)", None],
    "M": ["POINT M (1 2 3)", "POINT M (1 2 4)", None],
    "ZM": ["POINT ZM (1 2 3 4)", "POINT ZM (1 2 4 5)", None],
    "collections": ["GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))", None, "POINT (1 2)"],
    "a hole": ["POLYGON ((0 0, 9 0, 9 9, 0 9, 0 0), (1 1, 2 1, 2 2, 1 1))", None, "POLYGON EMPTY"],
}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", SHAPES)
def test_every_kind_of_geometry(tmp_path, ending, kind):
    frame, path = frame_with(pd.Series([1, 2, 3]), shapes=shapely.from_wkt(SHAPES[kind])), tmp_path / f"x{ending}"
    if (kind in {"M", "ZM"} and ending not in TABLES) or (kind in {"flat and Z", "lines with Z"} and ending == ".fgb"):
        assert_refused(frame, path, "geometry")
    else:
        assert_comes_back(frame, path)


@pytest.mark.parametrize("ending", FORMATS)
def test_frames_of_no_rows_and_no_columns(tmp_path, ending):
    values = {kind: values for kind, values in VALUES.items() if kind not in {"complex", "periods"}}
    back = store.read_frame(
        store.write_frame(frame_with(pd.Series(range(ROWS)), others=values).iloc[:0], tmp_path / f"x{ending}")
    )
    assert len(back) == 0
    assert list(back.columns) == ["odd", *values, "geometry"]
    if ending not in TABLES:
        assert {kind: str(back[kind].dtype) for kind in values} == {
            kind: str(each.dtype) for kind, each in values.items()
        }
    bare = frame_with(pd.Series([1, 2, 3]), shapes=[shapely.Point(1, 2), None, shapely.Point(3, 4)])[["geometry"]]
    assert_comes_back(bare, tmp_path / f"y{ending}")
    assert_comes_back(bare.iloc[:0], tmp_path / f"z{ending}")
    for schema in frames.SCHEMAS.values():
        empty = frames.empty(schema)
        back = store.read_frame(store.write_frame(empty, tmp_path / f"s{ending}"), frame=schema.name)
        pd.testing.assert_frame_equal(pd.DataFrame(back[empty.columns]), pd.DataFrame(empty))


@pytest.mark.parametrize("ending", FORMATS)
def test_rings_and_points_of_no_numbers(tmp_path, ending):
    ring = shapely.LinearRing([(0, 0), (1, 0), (1, 1)])
    frame = frame_with(pd.Series([1, 2, 3]), shapes=[ring, shapely.GeometryCollection([ring]), None])
    back = store.read_frame(store.write_frame(frame, tmp_path / f"x{ending}"))
    assert back.geometry.iloc[0].equals(shapely.LineString(ring))
    unplaced = frame_with(pd.Series([1, 2]), shapes=[shapely.points(np.nan, np.nan), shapely.Point(1, 2)])
    back = store.read_frame(store.write_frame(unplaced, tmp_path / f"x{ending}"))
    assert described.are_nowhere(np.asarray(back.geometry)).tolist() == [True, False]


@pytest.mark.parametrize("ending", FORMATS)
def test_crs(tmp_path, ending):
    odd = "+proj=laea +lat_0=48 +lon_0=9 +ellps=WGS84 +units=m +type=crs"
    for crs in (None, 4326, "OGC:CRS84", 25832, 3857, odd):
        frame, path = (
            frame_with(pd.Series([1, 2]), shapes=shapely.points([9.1, 9.2], [48.1, 48.2]), crs=crs),
            tmp_path / f"x{ending}",
        )
        if ending in {".gpkg", ".fgb", ".sqlite"}:
            back = assert_comes_back(frame, path)
            assert back.crs == frame.crs or back.crs.equals(frame.crs, ignore_axis_order=True)
        elif crs is None:
            with pytest.raises(FrameError, match="no CRS"):
                store.write_frame(frame, path)
        else:
            back = store.read_frame(store.write_frame(frame, path))
            assert back.crs == frames.CRS
            assert back.geometry.geom_equals_exact(frame.to_crs(4326).geometry, 1e-12).all()


def test_attrs_and_the_name_of_the_geometry_come_back(tmp_path):
    for ending in FORMATS:
        frame = frame_with(pd.Series([1, 2]), active="place")
        frame.attrs = {"attribution": ["Mapillary"], "positions": "computed", "odd": {1, 2}}
        back = store.read_frame(store.write_frame(frame, tmp_path / f"x{ending}"))
        if ending not in TABLES:
            assert back.attrs == {"attribution": ["Mapillary"], "positions": "computed"}
            assert list(back.columns) == ["odd", "place"]


COLUMNS = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=5, max_size=5).map(lambda v: pd.Series(v, dtype="Int64")),
    st.lists(st.floats(), min_size=5, max_size=5).map(pd.Series),
    st.lists(st.one_of(st.none(), st.text()), min_size=5, max_size=5).map(lambda v: pd.Series(v, dtype=object)),
    st.lists(st.one_of(st.none(), st.text("=+-@'\"\n\r,\t;0123456789.eE ", max_size=5)), min_size=5, max_size=5).map(lambda v: pd.Series(v, dtype="str")),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=5, max_size=5).map(lambda v: pd.Series(v, dtype="boolean")),
    st.lists(st.one_of(st.none(), st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1))), min_size=5, max_size=5)
    .map(lambda v: pd.Series(pd.to_datetime(pd.Series(v, dtype="datetime64[us]"), utc=True))),
    st.lists(st.one_of(st.none(), st.timedeltas(dt.timedelta(-9999), dt.timedelta(9999))), min_size=5, max_size=5).map(lambda v: pd.Series(v, dtype="timedelta64[us]")),
    st.lists(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=2)), min_size=5, max_size=5)
    .map(lambda v: pd.Series(v, dtype=object)),
)  # fmt: skip
COORDINATES = st.one_of(st.none(), st.tuples(st.floats(-180, 180), st.floats(-90, 90)))


@settings(deadline=None, max_examples=60)
@given(
    columns=st.dictionaries(st.text(min_size=0, max_size=6), COLUMNS, max_size=4),
    places=st.lists(COORDINATES, min_size=5, max_size=5),
    ending=st.sampled_from((*FORMATS, ".parquet")),
)
def test_any_frame_comes_back_or_is_refused(tmp_path_factory, columns, places, ending):
    columns.pop("place", None)
    shapes = [None if place is None else shapely.Point(place) for place in places]
    frame = gpd.GeoDataFrame({**columns, "place": gpd.GeoSeries(shapes, crs=4326)}, geometry="place")
    path = tmp_path_factory.mktemp("any") / f"x{ending}"
    logging.getLogger("mlygeo").setLevel(logging.ERROR)
    try:
        store.write_frame(frame, path)
    except MlygeoError as error:
        assert not path.exists()
        assert any(repr(name)[1:-1] in str(error) or name in str(error) for name in frame.columns), error  # noqa: PT017
        return
    back = store.read_frame(path)
    kept = frame.drop(columns=[name for name in frames.IDS if name in frame.columns])
    if ending not in TABLES:
        described.must_be_same(kept, back, path.name)
    assert len(back) == len(frame)
    assert set(columns) <= set(back.columns)


NUMBERS = st.sampled_from([0.0, -0.0, 1.5, float(np.nextafter(1.5, 2)), 1e300])
POINTS_AND_GAPS = st.lists(
    st.one_of(
        st.none(),
        st.builds(shapely.Point, NUMBERS, NUMBERS),
        st.builds(shapely.Point, NUMBERS, NUMBERS, st.one_of(NUMBERS, st.just(math.nan))),
        st.just(shapely.from_wkt("POINT EMPTY")),
    ),
    min_size=1,
    max_size=4,
)


@given(POINTS_AND_GAPS, st.data())
@settings(deadline=None)
def test_points_are_compared_to_the_last_bit(points, data):
    """The proof of a written file: what WKB tells, read faster."""
    others = [data.draw(st.one_of(st.just(each), POINTS_AND_GAPS.map(lambda some: some[0]))) for each in points]
    one, other = (gpd.GeoDataFrame(geometry=list(each), crs=4326) for each in (points, others))

    def told(frame):
        return [shape if shape is None else "empty" if shape.is_empty else shape.wkb for shape in frame.geometry]

    if told(one) == told(other):
        described.must_be_same(one, other, "a file")
    else:
        with pytest.raises(FrameError, match="a file cannot hold the values of column geometry"):
            described.must_be_same(one, other, "a file")


@pytest.mark.parametrize(
    "change", [lambda rows: rows.iloc[:-1], lambda rows: rows.iloc[::-1], lambda rows: rows.assign(name="other")]
)
@pytest.mark.parametrize("ending", ["csv", "gpkg", "geojson", "fgb"])
def test_a_file_that_lost_something_replaces_none(tmp_path, monkeypatch, ending, change):
    """The whole file is read back: a row or a value that a driver dropped is seen, wherever it is."""
    frame = gpd.GeoDataFrame(
        {"name": [f"row {number}" for number in range(60_000)]},
        geometry=gpd.points_from_xy(np.linspace(0, 9, 60_000), np.linspace(50, 51, 60_000)),
        crs=4326,
    )
    path = tmp_path / f"frame.{ending}"
    path.write_text("what stood there")
    module = text_tables if ending == "csv" else gdal
    read = module.read
    monkeypatch.setattr(module, "read", lambda *args, **options: change(read(*args, **options)).reset_index(drop=True))
    with pytest.raises(FrameError):
        mlygeo.write_frame(frame, path)
    assert path.read_text() == "what stood there"


@given(st.lists(st.one_of(st.none(), st.text(st.sampled_from("0123456789-+x_ \u0661F"), max_size=21)), min_size=1))
@settings(deadline=None)
def test_ids_as_text_come_back_as_python_reads_them(texts):
    """Arrow reads 0x1F as a number, too, which it is not."""
    found = gpd.GeoDataFrame({"id": pd.Series(texts, dtype="str")}, geometry=[None] * len(texts), crs=4326)
    kinds = [{"name": "id", "kind": "whole", "dtype": "Int64"}, {"name": "geometry", "kind": "active"}]
    back = described.decode(found, {"columns": kinds})["id"]
    try:
        numbers = pd.Series([None if text is None else int(text) for text in texts], dtype="Int64")
    except (ValueError, OverflowError):
        assert back.dtype != "Int64"
    else:
        pd.testing.assert_series_equal(back, numbers, check_names=False)
