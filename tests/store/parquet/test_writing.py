"""Every frame comes back from GeoParquet as it was and is valid, or is refused before the old file is touched."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import warnings
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers.geoparquet_validator import problems_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlygeo import frames, store
from mlygeo.errors import FrameError
from mlygeo.store import parquet
from mlygeo.store.parquet import writing

PLACES = [shapely.Point(9.17, 48.77), shapely.Point(9.18, 48.78), shapely.Point(9.19, 48.79)]
BERLIN = dt.timezone(dt.timedelta(hours=2))
STAMPS = ["2024-06-09T23:59:59.123456", None, "1969-12-31T23:59:59.000001"]


def frame_with(values, name="odd"):
    return gpd.GeoDataFrame({"id": [1, 2, 3], name: values}, geometry=PLACES, crs=4326)


def objects(*values):
    column = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        column[row] = value
    return pd.Series(column, dtype=object)


def times(unit, zone=None):
    column = pd.to_datetime(pd.Series(STAMPS)).dt.as_unit("us").dt.as_unit(unit)
    return column if zone is None else column.dt.tz_localize("UTC").dt.tz_convert(zone)


COMES_BACK = {
    "whole": pd.Series([2**63 - 1, -(2**63), 2**53 + 1]),
    "short": pd.Series([1, -2, 3], dtype="int8"),
    "unsigned": pd.Series([2**63, 2**64 - 1, 0], dtype="uint64"),
    "unsigned with gaps": pd.array([2**63, None, 2**64 - 1], dtype="UInt64"),
    "small unsigned with gaps": pd.array([200, None, 0], dtype="UInt8"),
    "whole with gaps": pd.array([2**53 + 1, None, -1], dtype="Int64"),
    "short with gaps": pd.array([1, None, -1], dtype="Int32"),
    "numbers": pd.Series([0.1 + 0.2, np.nan, -np.inf]),
    "float32": pd.Series([0.1, np.nan, np.inf], dtype="float32"),
    "float16": pd.Series([0.5, np.nan, 65504.0], dtype="float16"),
    "Float64": pd.array([0.1, None, 2.0], dtype="Float64"),
    "true": pd.Series([True, False, True]),
    "true with gaps": pd.array([True, None, False], dtype="boolean"),
    "true as objects": objects(True, None, False),
    "whole as objects": objects(1, None, 2),
    "text": pd.Series(["Käse", None, ""], dtype="str"),
    "text as string": pd.array(["007", None, "a\0b"], dtype="string"),
    "bytes": objects(b"\x00\xff", None, b""),
    "decimals": objects(decimal.Decimal("1.10"), None, decimal.Decimal("-20.123456789")),
    "dates": objects(dt.date(2024, 2, 29), None, dt.date(1, 1, 1)),
    "clock": objects(dt.time(23, 59, 59, 999999), None, dt.time(0)),
    "spans as objects": objects(dt.timedelta(days=1), None, dt.timedelta(microseconds=1)),
    "times as objects": objects(dt.datetime(2024, 1, 1, 12), None, dt.datetime(1, 1, 1)),
    **{f"times {unit}": times(unit) for unit in ("s", "ms", "us", "ns")},
    **{f"times {unit} {zone}": times(unit, zone) for unit in ("ms", "us", "ns")
       for zone in ("UTC", "Europe/Berlin", "America/New_York", "+05:30")},
    **{f"spans {unit}": pd.to_timedelta(pd.Series([1, None, -86400]), unit="s").dt.as_unit(unit)
       for unit in ("s", "ms", "us", "ns")},
    "nanoseconds": pd.Series(pd.to_datetime([1, 2, 3], unit="ns")),
    "categories": pd.Categorical(["b", None, "a"], categories=["z", "b", "a"]),
    "ordered": pd.Categorical(["b", "b", "a"], categories=["b", "a", "unused"], ordered=True),
    "categories of numbers": pd.Categorical([3, None, 1], categories=[9, 3, 1]),
    "categories, none used": pd.Categorical([None, None, None], categories=["a"]),
    "lists": objects([1, 2], None, []),
    "lists of lists": objects([[1.5], []], None, [[2.5, 3.5]]),
    "structs": objects({"a": 1, "b": "x"}, None, {"a": 2, "b": None}),
    "structs of lists": objects({"a": [{"b": 1}]}, {"a": []}, None),
    "all null": objects(None, None, None),
    "all NaN": pd.Series([np.nan] * 3),
    "all NaT": pd.Series([pd.NaT] * 3),
    "periods": pd.Series(pd.period_range("2024-01", periods=3, freq="M")),
    "intervals": pd.Series(pd.interval_range(0, 3)),
    "arrow": pd.array([1, None, 3], dtype="int16[pyarrow]"),
    "arrow text": pd.array(["a", None, "b"], dtype="string[pyarrow]"),
}  # fmt: skip


class Colour(enum.Enum):
    RED = 1


REFUSED = {
    "complex": pd.Series([1j, 2j, 3j]),
    "mixed": objects(1, "a", None),
    "text and bytes": objects("a", b"b", None),
    "texts and lists": objects("residential", ["residential", "service"], None),
    "past 64 bits": objects(2**64, 1, 2),
    "unsigned as objects": objects(2**63, 1, 2),
    "sets": objects({1, 2}, {3}, set()),
    "empty dicts": objects({}, {}, {}),
    "dicts of other keys": objects({"a": 1}, {"b": 2}, {}),
    "surrogates": objects("\ud800", "a", None),
    "paths": objects(Path("a"), Path("b"), None),
    "functions": objects(len, None, None),
    "enums": objects(Colour.RED, None, None),
    "shapes": objects(shapely.Point(1, 2), None, None),
    "times of several zones": objects(
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC), dt.datetime(2024, 1, 1, tzinfo=BERLIN), None
    ),
    "naive and zoned": objects(dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None),
    "clock with zone": objects(dt.time(12, tzinfo=dt.UTC), None, None),
    "nanoseconds as objects": objects(pd.Timedelta(1), None, None),
    "unused categories of dates": pd.Categorical([None] * 3, categories=pd.to_datetime(["2024", "2025"])),
    "sparse": pd.arrays.SparseArray([0, 0, 1]),
    "truth and numbers": objects(True, 1, None),
}


@pytest.mark.parametrize("name", COMES_BACK)
def test_a_column_comes_back_as_it_was(tmp_path, name):
    frame = frame_with(COMES_BACK[name])
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert problems_of(path) == []
    back = store.read_frame(path)
    assert str(back["odd"].dtype) == str(frame["odd"].dtype)
    assert_geodataframe_equal(back, frame)
    if frame["odd"].dtype == object:
        assert list(map(type, back["odd"])) == list(map(type, frame["odd"]))


@pytest.mark.parametrize("name", REFUSED)
def test_a_column_that_would_change_is_refused_by_name(tmp_path, name):
    path = store.write_frame(frame_with([1, 2, 3]), tmp_path / "x.parquet")
    before = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FrameError, match="'odd'") as caught:
            store.write_frame(frame_with(REFUSED[name]), path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["x.parquet"]


def test_lists_of_arrow_come_back(tmp_path):
    """Parquet names their values "element" where Arrow says "item", which is no difference."""
    frame = frame_with(pd.Series([[1], None, []], dtype=pd.ArrowDtype(pa.list_(pa.int64()))))
    back = store.read_frame(store.write_frame(frame, tmp_path / "x.parquet"))
    assert back["odd"].dtype.pyarrow_dtype == frame["odd"].dtype.pyarrow_dtype
    assert back["odd"].isna().tolist() == [False, True, False]


def test_values_of_a_sequence_come_back_as_a_list(tmp_path):
    frame = frame_with(objects(np.array([1, 2]), (3, 4), None))
    assert store.read_frame(store.write_frame(frame, tmp_path / "x.parquet"))["odd"].tolist() == [[1, 2], [3, 4], None]


NAMES = ["bbox", "BBOX", "bbox_1", "lon", "lat", "__index_level_0__", "a.b", "", " x ", "Käse", "fid", "xmin", "index",
         "geometry_bbox", "x" * 300, 'quoted "name"', "new\nline"]  # fmt: skip


def test_no_name_is_reserved(tmp_path):
    frame = gpd.GeoDataFrame(
        {**{name: [number, number + 1] for number, name in enumerate(NAMES)}, "a": [{"b": 1}, {"b": 2}]},
        geometry=PLACES[:2],
        crs=4326,
    )
    frame["bbox_2"] = [{side: float(row) for side in ("xmin", "ymin", "xmax", "ymax")} for row in range(2)]
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert problems_of(path) == []
    assert_geodataframe_equal(store.read_frame(path), frame)
    for name in frame.columns.drop("geometry"):
        some = [each for each in frame.columns if each in (name, "geometry")]
        assert_geodataframe_equal(store.read_frame(path, columns=[name]), frame[some])
    assert_geodataframe_equal(gpd.read_parquet(path)[frame.columns.drop("a")], frame.drop(columns="a"))
    assert len(store.read_frame(path, bbox=(9.1, 48.7, 9.175, 48.775))) == 1


@pytest.mark.parametrize("name", ["bbox", "geom", "lon", "Käse.x", "__index_level_0__"])
def test_geometry_may_have_any_name_and_place(tmp_path, name):
    frame = gpd.GeoDataFrame({name: PLACES, "bbox_1": [1, 2, 3]}, geometry=name, crs=4326)
    frame["second"] = gpd.GeoSeries([None, shapely.Point(), PLACES[0]], crs=25832)
    frame["last"] = ["a", "b", "c"]
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert problems_of(path) == []
    back = store.read_frame(path)
    assert back.active_geometry_name == name
    assert back["second"].crs == frame["second"].crs
    assert_geodataframe_equal(back, frame)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda frame: frame.rename(columns={"odd": 1}), "1 are not text"),
        (lambda frame: frame.rename(columns={"odd": ("a", "b")}), "not text"),
        (lambda frame: frame.rename(columns={"odd": "id"}), "several columns called 'id'"),
        (lambda frame: frame.rename(columns={"odd": "geometry"}), "several columns called 'geometry'"),
        (lambda frame: frame.set_axis(pd.Index(["id", "\ud800", "geometry"], dtype=object), axis=1), "not valid text"),
        (lambda frame: gpd.GeoDataFrame(frame.drop(columns="geometry")), "no geometry"),
    ],
)
def test_names_that_no_file_can_have_are_refused(tmp_path, make, words):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = make(frame_with([1, 2, 3]))
    with pytest.raises(FrameError, match=words):
        parquet.write(frame, tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rows", [range(3), [0], [1], [2], [0, 1], [1, 2], []])
def test_missing_and_empty_geometry_is_valid(tmp_path, rows):
    places = [None, shapely.Point(), shapely.Point(9, 48)]
    other = [shapely.LineString(), shapely.Point(1, 2, 3), None]
    frame = gpd.GeoDataFrame({"id": list(rows)}, geometry=[places[row] for row in rows], crs=4326)
    frame["other"] = gpd.GeoSeries([other[row] for row in rows], crs=None)
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert problems_of(path) == []
    assert_geodataframe_equal(store.read_frame(path), frame)
    assert pq.read_table(path)["geometry"].null_count == frame.geometry.isna().sum()


@pytest.mark.parametrize(
    "crs", [None, 4326, "OGC:CRS84", 25832, 28992, 4979, "+proj=laea +lat_0=52 +lon_0=10", "ESRI:54009"]
)
def test_every_crs_is_written_as_projjson(tmp_path, crs):
    frame = gpd.GeoDataFrame({"id": [1]}, geometry=[shapely.Point(1, 2)], crs=crs)
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert problems_of(path) == []
    assert store.read_frame(path).crs == frame.crs or crs == "OGC:CRS84"


def test_every_frame_of_a_verb_is_valid(tmp_path, every_frame):
    for kind, frame in every_frame.items():
        path = store.write_frame(frame, tmp_path / f"{kind}.parquet")
        assert problems_of(path) == [], kind
        assert_geodataframe_equal(store.read_frame(path), frame.reset_index(drop=True))
        assert problems_of(store.write_frame(frame.iloc[:0], path)) == [], kind
    for schema in frames.SCHEMAS.values():
        assert problems_of(store.write_frame(frames.empty(schema), tmp_path / "empty.parquet")) == [], schema.name


def test_points_from_arrays_are_valid(tmp_path):
    table = pa.table({"bbox": [1, 2], "u": pa.array([2**63, None], pa.uint64()), "b": [True, None]})
    parquet.write_points(table, np.array([1.0, np.nan]), np.array([2.0, np.nan]), tmp_path / "x.parquet")
    assert problems_of(tmp_path / "x.parquet") == []
    back = store.read_frame(tmp_path / "x.parquet")
    assert back["u"].tolist() == [2**63, pd.NA]
    assert back["bbox"].tolist() == [1, 2]
    assert back.geometry.is_empty.tolist() == [False, True]
    parquet.write_points(pa.table({}), np.empty(0), np.empty(0), tmp_path / "x.parquet")
    assert problems_of(tmp_path / "x.parquet") == []
    with pytest.raises(FrameError, match="'geometry'"):
        parquet.write_points(pa.table({"geometry": [1]}), np.ones(1), np.ones(1), tmp_path / "x.parquet")


def test_measures_are_refused(tmp_path):
    if not hasattr(shapely, "has_m") or shapely.geos_version < (3, 12, 0):
        pytest.skip("GEOS before 3.12 has no measures")
    frame = gpd.GeoDataFrame({"id": [1]}, geometry=[shapely.from_wkt("POINT M (1 2 3)")], crs=4326)
    with pytest.raises(FrameError, match="measures"):
        store.write_frame(frame, tmp_path / "x.parquet")


def test_attrs_that_are_not_json_are_left_out_and_said(tmp_path, caplog):
    frame = frame_with([1, 2, 3])
    frame.attrs = {"positions": "computed", "bad": object(), 3: "x"}
    back = store.read_frame(store.write_frame(frame, tmp_path / "x.parquet"))
    assert back.attrs == {"positions": "computed"}
    assert "bad, 3 are not JSON" in caplog.text


def test_many_rows_are_compared_in_the_order_they_were_written(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "ROWS_PER_GROUP", 10)
    place = np.random.default_rng(3).uniform((9, 48), (10, 49), (35, 2))
    frame = gpd.GeoDataFrame(
        {"id": np.arange(35), "odd": pd.Categorical(["a", "b", None, "c", "d"] * 7), "list": [[n] for n in range(35)]},
        geometry=shapely.points(place), crs=4326,
    )  # fmt: skip
    back = store.read_frame(store.write_frame(frame, tmp_path / "x.parquet"))
    assert back["id"].tolist() != frame["id"].tolist()
    assert_geodataframe_equal(back.sort_values("id", ignore_index=True), frame)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.binary(max_size=5),
    st.decimals(allow_nan=False, places=3), st.dates(), st.times(), st.datetimes(), st.timedeltas(),
    st.datetimes(timezones=st.just(dt.UTC)), st.complex_numbers(),
)  # fmt: skip
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
dtypes = st.sampled_from([column for column in COMES_BACK.values() if str(column.dtype) != "object"])
coordinate = st.floats(-180, 180) | st.sampled_from([0.0, 1e300, -1e-300])
places = st.one_of(
    st.none(),
    st.builds(shapely.Point, coordinate, coordinate),
    st.builds(shapely.Point, coordinate, coordinate, st.floats(-1e4, 1e4)),
    st.sampled_from(
        [
            shapely.Point(),
            shapely.LineString(),
            shapely.MultiPolygon(),
            shapely.GeometryCollection(),
            shapely.box(0, 1, 2, 3),
            shapely.GeometryCollection([shapely.Point(1, 2), shapely.LineString([(0, 0), (1, 1)])]),
        ]
    ),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), rows=st.integers(0, 4))
def test_any_frame_comes_back_or_is_refused(tmp_path, data, rows):
    """Objects are drawn alike in a column half the time, so that most columns have a type of Arrow's."""
    columns = {}
    for name in data.draw(st.lists(st.text(max_size=6) | st.sampled_from(NAMES), max_size=4, unique=True)):
        if data.draw(st.booleans()):
            column = data.draw(dtypes)
            columns[name] = pd.Series(column).iloc[[row % 3 for row in range(rows)]].reset_index(drop=True)
        else:
            kind = data.draw(st.sampled_from([scalars, values]))
            columns[name] = objects(*data.draw(st.lists(kind, min_size=rows, max_size=rows)))
    shapes = gpd.GeoSeries(data.draw(st.lists(places, min_size=rows, max_size=rows)), crs=4326)
    geometry = data.draw(st.sampled_from(["geometry", "geom", "bbox"]))
    frame = gpd.GeoDataFrame({**columns, geometry: shapes}, geometry=geometry)
    path = tmp_path / "x.parquet"
    path.unlink(missing_ok=True)
    try:
        store.write_frame(frame, path)
    except FrameError as error:
        assert any(repr(name) in str(error) for name in columns), error  # noqa: PT017
        assert not path.exists()
        return
    assert problems_of(path) == []
    back = store.read_frame(path)
    assert list(back.columns) == list(frame.columns)
    for name in columns:
        if frame[name].dtype != object:
            assert str(back[name].dtype) == str(frame[name].dtype)
        for one, other in zip(back[name], frame[name], strict=True):
            assert (pd.isna(one) is True and pd.isna(other) is True) or one == other or "nan" in repr(other)
    assert (
        shapely.equals_identical(np.asarray(back.geometry), np.asarray(frame.geometry)).tolist()
        == (~frame.geometry.isna()).tolist()
    )
