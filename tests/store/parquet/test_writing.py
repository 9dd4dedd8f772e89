"""Every frame comes back from GeoParquet as it was and is valid, or is refused before the old file is touched."""

from __future__ import annotations

import datetime as dt
import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers.geoparquet_validator import problems_of
from helpers.odd_columns import ODD, ODDER, PLACES, frame_with, objects
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlygeo import frames, store
from mlygeo.errors import FrameError
from mlygeo.store import parquet
from mlygeo.store.parquet import writing


@pytest.mark.parametrize("name", ODD)
def test_a_column_comes_back_as_it_was(tmp_path, name):
    frame = frame_with(ODD[name])
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert problems_of(path) == []
    back = store.read_frame(path)
    assert str(back["odd"].dtype) == str(frame["odd"].dtype)
    assert_geodataframe_equal(back, frame)
    if frame["odd"].dtype == object:
        assert list(map(type, back["odd"])) == list(map(type, frame["odd"]))


@pytest.mark.parametrize("name", ODDER)
def test_a_column_that_would_change_is_refused_by_name(tmp_path, name):
    path = store.write_frame(frame_with([1, 2, 3]), tmp_path / "x.parquet")
    before = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FrameError, match="'odd'") as caught:
            store.write_frame(frame_with(ODDER[name]), path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["x.parquet"]


def test_lists_of_arrow_come_back(tmp_path):
    """Parquet names their values "element" where Arrow says "item", which is not a difference."""
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
        (lambda frame: frame.rename(columns={"odd": 1}), "1 is int, not text"),
        (lambda frame: frame.rename(columns={"odd": ("a", "b")}), "not text"),
        (lambda frame: frame.rename(columns={"odd": "id"}), "several columns 'id'"),
        (lambda frame: frame.rename(columns={"odd": "geometry"}), "several columns 'geometry'"),
        (
            lambda frame: frame.set_axis(pd.Index(["id", "\ud800", "geometry"], dtype=object), axis=1),
            "characters that no file can hold",
        ),
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


def test_levels_of_the_index_with_names_are_columns(tmp_path):
    frame = frame_with([1, 2, 3]).set_index(pd.MultiIndex.from_tuples([(1, 2), (3, 4), (5, 6)], names=["u", "v"]))
    path = store.write_frame(frame, tmp_path / "x.parquet")
    assert_geodataframe_equal(store.read_frame(path), frame.reset_index())
    frame = frame_with([1, 2, 3])
    for index in ([7, 8, 9], ["a", "b", "c"]):
        path = store.write_frame(frame.set_axis(index), path)
        assert_geodataframe_equal(store.read_frame(path), frame)
    path = store.write_frame(frame.set_index("id", drop=False), path)
    assert_geodataframe_equal(store.read_frame(path), frame)
    with pytest.raises(FrameError, match="both called 'id'"):
        store.write_frame(frame.rename_axis("id"), path)
    for names in (["a", "a"], [1, "a"]):
        with pytest.raises(FrameError, match="index has levels called"):
            store.write_frame(frame.set_index(pd.MultiIndex.from_arrays([[1, 2, 3]] * 2, names=names)), path)
    with pytest.raises(FrameError, match="both called 'geometry'"):
        store.write_frame(frame.rename_axis("geometry"), path)


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
dtypes = st.sampled_from([column for column in ODD.values() if str(column.dtype) != "object"])
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
        # Of a name that is longer than a line, an error tells the beginning.
        assert any(repr(name[:40])[:-1] in str(error) for name in columns), error  # noqa: PT017
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


def test_numbers_that_hardly_repeat_have_no_dictionary(tmp_path):
    count = 3000
    random = np.random.default_rng(1)
    frame = gpd.GeoDataFrame(
        {
            "own": random.random(count),
            "shared": np.repeat(random.random(60), 50),
            "text": [f"t{n}" for n in range(count)],
        },
        geometry=gpd.points_from_xy(random.random(count), random.random(count), crs=4326),
    )
    found = pq.ParquetFile(store.write_frame(frame, tmp_path / "x.parquet")).metadata.row_group(0)
    chunks = {found.column(number).path_in_schema: found.column(number) for number in range(found.num_columns)}
    assert {name: chunks[name].has_dictionary_page for name in ("own", "shared", "text")} == {
        "own": False, "shared": True, "text": True,
    }  # fmt: skip
