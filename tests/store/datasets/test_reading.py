"""Datasets as frames and as points: the same rows however they lie in files."""

import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.unix import needs_unix
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo import store
from mlygeo.errors import FileError, FormatError, FrameError
from mlygeo.store.datasets import reading
from mlygeo.store.point_sources import PointFile
from mlygeo.store.points import open_points


def images(rows, seed=0, first=1):
    rng = np.random.default_rng(seed)
    return gpd.GeoDataFrame(
        {
            "id": np.arange(first, first + rows),
            "captured_at": pd.to_datetime(rng.integers(0, 10**9, rows), unit="s", utc=True).as_unit("ms"),
            "is_pano": rng.random(rows) < 0.5,
        },
        geometry=gpd.points_from_xy(rng.uniform(9, 9.1, rows), rng.uniform(48, 48.1, rows)),
        crs=4326,
    )


def rows_of(points, bbox=None):
    """The rows of points as plain values, by id."""
    lon, lat = points.lonlat
    table = points.take(np.arange(len(points))).to_pandas().assign(lon=lon, lat=lat)
    return table.sort_values("id").reset_index(drop=True)


def test_a_list_of_files_is_one_frame_in_its_order(tmp_path):
    for number in (2, 1):
        store.write_frame(images(3, number, 10 * number), tmp_path / f"{number}.parquet")
    both = store.read_frame([tmp_path / "2.parquet", tmp_path / "1.parquet"], frame="images")
    assert both["id"].tolist() == [20, 21, 22, 10, 11, 12]
    assert store.as_frame([tmp_path / "2.parquet", tmp_path / "1.parquet"])["id"].tolist() == both["id"].tolist()
    assert store.read_frame(tmp_path)["id"].tolist() == [10, 11, 12, 20, 21, 22]
    assert open_points(tmp_path, name="x").arrow("id").to_pylist() == [10, 11, 12, 20, 21, 22]


@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_cuts_into_files_change_no_row(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut") / "ds"
    whole = images(data.draw(st.integers(1, 60)), data.draw(st.integers(0, 9)))
    where = data.draw(st.lists(st.integers(0, 2), min_size=len(whole), max_size=len(whole)))
    for number in set(where):
        path = folder / f"year={number}" / "x.parquet"
        path.parent.mkdir(parents=True)
        whole[np.array(where) == number].reset_index(drop=True).to_parquet(path)
    west, south = data.draw(st.floats(9, 9.1)), data.draw(st.floats(48, 48.1))
    bbox = data.draw(st.sampled_from([None, (west, south, west + 0.03, south + 0.03)]))
    expected = store.part_of(whole.assign(year=where), bbox=bbox).sort_values("id").reset_index(drop=True)
    found = store.read_frame(folder, bbox=bbox).sort_values("id").reset_index(drop=True)
    assert_frame_equal(found[expected.columns], expected)
    points = rows_of(reading.open(folder).points(bbox))
    assert points["id"].tolist() == expected["id"].tolist()
    assert points["year"].tolist() == expected["year"].tolist()
    assert (points["lon"].to_numpy() == expected.geometry.x.to_numpy()).all()
    if len(points):
        assert points["captured_at"].tolist() == expected["captured_at"].tolist()
    some = store.read_frame(folder, bbox=bbox, columns=["year", "is_pano"])
    assert set(some.columns) == {"year", "is_pano", "geometry"}


def test_only_the_row_groups_that_are_needed_are_read(tmp_path):
    whole = images(4_000).sort_values("id")
    whole["geometry"] = gpd.points_from_xy(np.linspace(9, 10, 4_000), np.full(4_000, 48.0))
    whole.to_parquet(tmp_path / "x.parquet", row_group_size=500, write_covering_bbox=True)
    part = PointFile(tmp_path / "x.parquet", bbox=(9.3, 47, 9.31, 49))
    assert len(part) == 500
    assert len(reading.open(tmp_path).points((9.3, 47, 9.31, 49))) == 40


def test_columns_are_united_and_it_is_said(tmp_path, caplog):
    store.write_frame(images(2), tmp_path / "a.parquet")
    store.write_frame(images(2, first=3).drop(columns="is_pano").assign(n=np.int32([5, 6])), tmp_path / "b.parquet")
    store.write_frame(images(1, first=9).assign(n=np.int64(2**40)), tmp_path / "c.parquet")
    found = store.read_frame(tmp_path)
    assert found["n"].tolist() == [pd.NA, pd.NA, 5, 6, 2**40]
    assert found["is_pano"].isna().tolist() == [False, False, True, True, False]
    assert "not all of 3 files have all columns; there is no 'is_pano' in 1, 'n' in 1" in caplog.text
    points = open_points(tmp_path, name="x")
    assert points.arrow("n").to_pylist() == [None, None, 5, 6, 2**40]
    assert points.take(np.array([4, 0, 2]), ["n", "id"]).to_pydict() == {"n": [2**40, None, 5], "id": [9, 1, 3]}


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"v": ["a"]}, {"v": [1]}, "'v'"), ({"v": pd.to_datetime(["2024"], utc=True)}, {"v": pd.to_datetime(["2024"])}, "'v'"),
        ({"v": [2**60 + 1]}, {"v": [0.5]}, "'v'"), ({"id": [1]}, {"v": [1]}, "column 'id'"), ({"id": [1], "point_id": [1]}, {"id": [2]}, "column 'point_id'"),
    ],
)  # fmt: skip
def test_files_that_contradict_each_other_are_refused_by_name(tmp_path, one, other, words):
    for name, values in (("a", one), ("b", other)):
        gpd.GeoDataFrame(values, geometry=gpd.points_from_xy([9], [48]), crs=4326).to_parquet(
            tmp_path / f"{name}.parquet"
        )
    with pytest.raises(FrameError, match=words) as caught:
        store.read_frame(tmp_path)
    assert "v" not in one or "2^53" in str(caught.value) or "b.parquet" in str(caught.value)
    with pytest.raises(FrameError, match=words):
        open_points(tmp_path, name="x").arrow("v")


def test_geometry_of_another_kind_or_without_crs_is_refused(tmp_path):
    points = gpd.GeoDataFrame({"n": [1]}, geometry=gpd.points_from_xy([9], [48]), crs=4326)
    lines = gpd.GeoDataFrame({"n": [1]}, geometry=gpd.GeoSeries.from_wkt(["LINESTRING (9 48, 9 49)"]), crs=4326)
    points.to_parquet(tmp_path / "a.parquet")
    lines.to_parquet(tmp_path / "b.parquet")
    with pytest.raises(FrameError, match=r"a\.parquet has points, and b\.parquet has none"):
        store.read_frame(tmp_path)
    with pytest.raises(FormatError, match=r"b\.parquet contains geometries other than points"):
        _ = open_points(tmp_path, name="x").lonlat
    points.set_crs(None, allow_override=True).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(FrameError, match=r"b\.parquet has no CRS"):
        store.read_frame(tmp_path)


def test_another_crs_is_converted_and_said(tmp_path, caplog):
    points = gpd.GeoDataFrame({"n": [1]}, geometry=gpd.points_from_xy([9], [48]), crs=4326)
    points.to_parquet(tmp_path / "a.parquet")
    points.to_crs(25832).to_parquet(tmp_path / "b.parquet")
    found = store.read_frame(tmp_path)
    assert found.crs == 4326
    assert np.abs(found.geometry.x - 9).max() < 1e-9
    assert "1 of 2 files have another CRS than a.parquet" in caplog.text
    both = open_points(tmp_path, name="x")
    assert both.native[2] == 4326
    assert np.abs(both.lonlat[0] - 9).max() < 1e-9


def test_categories_of_files_are_united(tmp_path):
    for name, values in (("a", ["x", "y"]), ("b", ["z", "x"])):
        frame = gpd.GeoDataFrame({"c": pd.Categorical(values)}, geometry=gpd.points_from_xy([9, 9], [48, 48]), crs=4326)
        store.write_frame(frame, tmp_path / f"{name}.parquet")
    assert store.read_frame(tmp_path)["c"].astype(str).tolist() == ["x", "y", "z", "x"]
    assert open_points(tmp_path, name="x").arrow("c").to_pylist() == ["x", "y", "z", "x"]


def test_images_of_several_providers(tmp_path):
    store.write_frame(images(2), tmp_path / "a.parquet")
    others = images(2).assign(id=["p-1", "p-2"], provider="panoramax")
    store.write_frame(others, tmp_path / "b.parquet")
    found = store.read_frame(tmp_path, frame="images")
    assert found["id"].tolist() == ["1", "2", "p-1", "p-2"]
    assert found["provider"].tolist() == ["mapillary"] * 2 + ["panoramax"] * 2
    points = open_points(tmp_path, name="x")
    assert points.arrow("id").to_pylist() == ["1", "2", "p-1", "p-2"]
    assert points.arrow("provider").to_pylist() == ["mapillary"] * 2 + ["panoramax"] * 2
    assert pa.types.is_string(points.type_of("id"))


def test_a_folder_of_another_format(tmp_path):
    for number in (1, 2):
        store.write_frame(images(3, number, 10 * number), tmp_path / f"{number}.gpkg")
    assert store.read_frame(tmp_path, frame="images")["id"].tolist() == [10, 11, 12, 20, 21, 22]
    assert open_points(tmp_path, name="x").arrow("id").to_pylist() == [10, 11, 12, 20, 21, 22]


@pytest.mark.parametrize("form", ["folder", "pattern", "list", "dataset"])
def test_a_selection_from_files_is_that_from_one(tmp_path, form):
    whole = images(300)
    points = gpd.GeoDataFrame({"point_id": np.arange(20)}, geometry=whole.geometry[:20].translate(1e-5), crs=4326)
    expected = mlygeo.select(points=points, images=whole)
    for number in range(3):
        store.write_frame(whole[number::3].reset_index(drop=True), tmp_path / f"{number}.parquet")
    given = {
        "folder": tmp_path, "pattern": str(tmp_path / "*.parquet"), "list": sorted(tmp_path.iterdir()),
        "dataset": reading.open(tmp_path),
    }[form]  # fmt: skip
    found = mlygeo.select(points=points, images=given)
    assert_frame_equal(found, expected)


def test_what_others_hold_is_the_frame_it_is(tmp_path):
    dask_geopandas = pytest.importorskip("dask_geopandas")
    whole = images(60)
    points = gpd.GeoDataFrame({"point_id": np.arange(20)}, geometry=whole.geometry[:20].translate(1e-5), crs=4326)
    expected = mlygeo.select(points=points, images=whole)
    lazily = dask_geopandas.from_geopandas(whole, npartitions=3)
    assert_frame_equal(mlygeo.select(points=points, images=lazily), expected)
    assert_frame_equal(mlygeo.select(points=points, images=pa.table(whole.to_arrow())), expected)
    assert_frame_equal(store.as_frame(lazily), whole)


def test_streets_and_drawings_from_a_folder(tmp_path):
    lines = gpd.GeoDataFrame({"n": [1]}, geometry=gpd.GeoSeries.from_wkt(["LINESTRING (9 48, 9 48.01)"]), crs=4326)
    for number in (1, 2):
        store.write_frame(lines.assign(geometry=lines.translate(number)), tmp_path / f"{number}.parquet")
    from mlygeo.readers.streets import read_streets

    assert len(read_streets(tmp_path)) == 2
    assert len(read_streets(str(tmp_path / "1*.parquet"))) == 1


def test_a_folder_is_partitioned_file_by_file(tmp_path):
    whole = images(90)
    for number in range(3):
        path = tmp_path / f"in/year={number}/x.parquet"
        path.parent.mkdir(parents=True)
        store.write_frame(whole[number::3].reset_index(drop=True), path)
    mlygeo.partition(tmp_path / "in", tmp_path / "ds")
    found = reading.open(tmp_path / "ds")
    assert found.index is not None
    rows = rows_of(found.points())
    assert rows["id"].tolist() == whole["id"].tolist()
    assert rows["year"].tolist() == [number % 3 for number in range(90)]
    box = (9.0, 48.0, 9.05, 48.05)
    assert sorted(found.points(box).arrow("id").to_pylist()) == sorted(store.part_of(whole, bbox=box)["id"])
    assert_frame_equal(store.read_frame(tmp_path / "ds").sort_values("id").reset_index(drop=True)[whole.columns], whole)


@needs_unix("modules of Unix")
def test_more_files_than_may_be_open(tmp_path):
    resource = pytest.importorskip("resource")
    whole = images(1)
    whole.to_parquet(tmp_path / "000.parquet")
    for number in range(1, 260):
        shutil.copyfile(tmp_path / "000.parquet", tmp_path / f"{number:03}.parquet")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (220, before[1]))
    try:
        points = open_points(tmp_path, name="x")
        assert points.arrow("id").to_pylist() == [1] * 260
        assert (points.lonlat[0] == whole.geometry.x[0]).all()
        whole[:1].assign(id=5).to_parquet(tmp_path / "000.parquet")
        with pytest.raises(FileError, match=r"000\.parquet was replaced while it was read"):
            points.arrow("is_pano")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


ZONED = pd.to_datetime([1, 2], unit="s", utc=True)


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (["a", "b"], pd.Categorical(["c", "d"]), ["a", "b", "c", "d"]), ([None, None], ["c", "d"], [None, None, "c", "d"]),
        ([1, 2], [0.5, 1.0], [1.0, 2.0, 0.5, 1.0]), (np.int8([1, 2]), np.int64([2**60 + 1, 2]), [1, 2, 2**60 + 1, 2]),
        (ZONED.tz_convert("Europe/Berlin").as_unit("ms"), ZONED.as_unit("us"), [*ZONED, *ZONED]),
        (np.int8([1, 2]), np.uint64([2**63 + 1, 2]), None), ([True, False], [1, 2], None), ([1, 2], ["c", "d"], None),
    ],
)  # fmt: skip
def test_one_type_for_a_column_of_several_files(tmp_path, one, other, found):
    for name, values in (("a", one), ("b", other)):
        frame = images(2, first=1 if name == "a" else 3).assign(v=values)
        frame.to_parquet(tmp_path / f"{name}.parquet")
    if found is None:
        for read in (store.read_frame, lambda path: open_points(path, name="x").arrow("v")):
            with pytest.raises(FrameError, match="'v'"):
                read(tmp_path)
        return
    frame = store.read_frame(tmp_path)
    assert [None if value is None or value != value else value for value in frame["v"]] == found  # noqa: PLR0124
    assert open_points(tmp_path, name="x").arrow("v").to_pylist() == found
    assert open_points(tmp_path, name="x").take(np.array([3, 0]))["v"].to_pylist() == [found[3], found[0]]


def test_geometry_of_another_name_is_the_geometry(tmp_path, caplog):
    images(2).to_parquet(tmp_path / "a.parquet")
    images(2, first=3).rename_geometry("geom").to_parquet(tmp_path / "b.parquet")
    assert store.read_frame(tmp_path).geometry.notna().all()
    assert len(open_points(tmp_path, name="x").lonlat[0]) == 4
    assert not caplog.text
