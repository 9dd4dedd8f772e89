"""Points of a selection over parts are read some at a time: the answer is that of all at once, in bounded memory."""

import itertools
import json
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from geopandas.testing import assert_geodataframe_equal
from helpers.datasets import write_dataset
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FrameError, MlygeoError, RegionError
from mlygeo.parts import occupied, plan, sorting
from mlygeo.parts import points as parts_points
from mlygeo.pipelines import parted
from mlygeo.spatial import areas, cells, zones
from mlygeo.store import pieces
from mlygeo.store.points import open_points


def images_around(rng, number=150, around=(8.98, 48.75)):
    west, south = around
    lon, lat = (west + rng.integers(0, 60, number) * 1e-3 + 180) % 360 - 180, south + rng.integers(0, 60, number) * 1e-3
    captured = pd.to_datetime(rng.integers(1.5e9, 1.7e9, number), unit="s", utc=True).as_unit("ms")
    columns = {"id": rng.permutation(number) + 1, "captured_at": captured, "compass_angle": rng.random(number) * 360}
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(lon, lat), crs=4326)


def points_around(rng, number=80, around=(8.98, 48.75)):
    west, south = around
    lon, lat = (west + rng.integers(0, 99, number) * 6e-4 + 180) % 360 - 180, south + rng.integers(0, 99, number) * 6e-4
    columns = {
        "point_id": rng.permutation(number) * 7,
        "bearing": np.where(rng.random(number) < 0.1, np.nan, rng.random(number) * 360),
        "name": pd.Series(np.where(rng.random(number) < 0.3, None, "Straße"), dtype="str"),
    }
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(lon, lat), crs=4326)


def written(points, folder, files, group, *, mixed):
    """Write points in so many files, with row groups of so many rows; return the folder or the file."""
    folder.mkdir()
    cuts = np.linspace(0, len(points), files + 1).astype(int)
    for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
        some = points.iloc[start:stop]
        some = some.to_crs(4326) if mixed and number % 2 else some
        some.to_parquet(folder / f"{number:03}.parquet", row_group_size=group, index=False)
    return folder if files > 1 else folder / "000.parquet"


@given(
    seed=st.integers(0, 10**6), files=st.integers(1, 5), group=st.sampled_from([5, 30, 10**6]),
    most=st.sampled_from([9, 13, 10**6]), task=st.sampled_from([60, 10**6]), crs=st.sampled_from([4326, 25832]),
    mixed=st.booleans(), ids=st.booleans(), region=st.booleans(), bounded=st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_points_in_any_files_give_the_answer_of_all_at_once(
    seed, files, group, most, task, crs, mixed, ids, region, bounded
):
    rng = np.random.default_rng(seed)
    images, points = images_around(rng), points_around(rng).to_crs(crs)
    points.loc[rng.random(len(points)) < 0.05, "geometry"] = None
    options = {"srid": 25832, "max_distance": 90.0 if bounded else None, "k": 2}
    if not ids:
        points = points.drop(columns="point_id")
    if region:
        options["region"] = (8.99, 48.755, 9.025, 48.79)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "ROWS_PER_TASK", task)
        patch.setattr(pieces, "ROWS_AT_ONCE", most)
        patch.setattr(parts_points, "IDS_PER_BUCKET", 10)
        patch.setattr(occupied, "AT_ONCE", 3)
        patch.setattr(parted, "HELD_POINTS", 0 if most == 13 else 10**6)
        patch.setattr("mlygeo.store.parquet.streaming.ROWS_PER_GROUP", 17)
        given_points = written(points, Path(folder) / "points", files, group, mixed=mixed)
        dataset = write_dataset(images, Path(folder) / "images", 40)
        whole = mlygeo.select(points=given_points, images=images, **options)
        parts = mlygeo.select(points=given_points, images=dataset, **options)
        told = [{**each.attrs.pop("summary"), "inputs": None, "run": None} for each in (whole, parts)]
        assert told[0] == told[1]
        assert_geodataframe_equal(parts, whole)
        expected = parted.selection.points_table(parts_points.keep(
            open_points(given_points, name=""), region=mlygeo.Region.from_bbox(*options["region"]) if region else None,
            conditions={},
        ))  # fmt: skip
        job = mlygeo.pipelines.job.body_of(mlygeo.select)(points=given_points, images=dataset, **options)
        job.write(Path(folder) / "out")
        found = pq.read_table(Path(folder) / "out" / "street_points.parquet").select(expected.column_names)
        assert found.sort_by("point_id").equals(expected.combine_chunks().sort_by("point_id").cast(found.schema))
        gpd.read_parquet(Path(folder) / "out" / "street_points.parquet", bbox=(9.0, 48.76, 9.01, 48.77))


@given(
    st.lists(
        st.tuples(st.floats(-180, 180) | st.sampled_from([np.nan, 180.0, -180.0, 6.0]), st.floats(-89, 89)), max_size=30
    ),
    st.integers(1, 5),
)
@settings(deadline=None)
def test_cells_boxes_and_zones_are_those_of_all(places, most):
    lon, lat = np.array(places, dtype=float).reshape(-1, 2).T
    frame = gpd.GeoDataFrame(geometry=gpd.points_from_xy(lon, lat), crs=4326)
    frame.loc[np.isnan(lon), "geometry"] = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "ROWS_AT_ONCE", most)
        patch.setattr(occupied, "AT_ONCE", 4)
        found = parts_points.GivenPoints(open_points(frame, name="the points")).found
    code = cells.codes(lon, lat, 14)
    codes, counts = np.unique(code[code >= 0], return_counts=True)
    assert (found.occupied.code.tolist(), found.occupied.count.tolist()) == (codes.tolist(), counts.tolist())
    assert found.occupied.bounds() == areas.bounds(lon, lat) == areas.bounds(*found.edge)
    assert {*zones.of(*found.edge).tolist()} == {*zones.of(lon, lat).tolist()} - {0}
    assert (found.given, found.unplaced) == (len(places), int(np.isnan(lon).sum()))


def test_an_id_that_stands_in_two_files_is_found(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    images, points = images_around(rng), points_around(rng)
    points.loc[points.index[-1], "point_id"] = points["point_id"].iloc[0]
    given_points = written(points, tmp_path / "points", 4, 9, mixed=False)
    dataset = write_dataset(images, tmp_path / "images")
    monkeypatch.setattr(parts_points, "IDS_PER_BUCKET", 5)
    for found in (images, dataset):
        with pytest.raises(FrameError, match="column 'point_id' holds some ids twice"):
            mlygeo.select(points=given_points, images=found, srid=25832)


def test_points_that_change_while_they_are_read_are_refused(tmp_path):
    rng = np.random.default_rng(2)
    path = written(points_around(rng), tmp_path / "points", 1, 50, mixed=False)
    dataset = write_dataset(images_around(rng), tmp_path / "images")
    job = mlygeo.pipelines.job.body_of(mlygeo.select)(points=path, images=dataset, srid=25832)
    points_around(rng, number=90).to_parquet(path, row_group_size=50)
    with pytest.raises(MlygeoError):
        job.write(tmp_path / "out")


def test_a_region_without_points_is_the_error_of_one_run(tmp_path):
    rng = np.random.default_rng(3)
    path = written(points_around(rng), tmp_path / "points", 3, 50, mixed=False)
    images = images_around(rng)
    dataset = write_dataset(images, tmp_path / "images")
    said = []
    for found in (images, dataset):
        with pytest.raises(RegionError, match="no point of points lies in") as caught:
            mlygeo.select(points=path, images=found, region=(2.0, 2.0, 2.1, 2.1))
        said.append(caught.value.hint)
    assert said[0] == said[1]


@given(
    st.lists(st.lists(st.integers(-1, 5), max_size=20), max_size=6),
)
@settings(deadline=None)
def test_rows_are_sorted_by_task_and_keep_their_order(tasks):
    schema = pa.schema([("row", pa.int64()), ("text", pa.string())])
    numbers = iter(range(10**6))
    tables = []
    for some in tasks:
        rows = [next(numbers) for _ in some]
        tables.append((pa.table([rows, list(map(str, rows))], schema=schema), np.array(some, dtype=np.int64)))
    flat = [task for some in tasks for task in some]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.arrow"
        counts = sorting.by_task(path, schema, iter(tables), 6)
        assert counts.tolist() == [flat.count(task) for task in range(6)]
        for task in range(6):
            assert sorting.of_task(path, task)["row"].to_pylist() == [row for row, of in enumerate(flat) if of == task]
        assert [each.name for each in Path(folder).iterdir()] == ["rows.arrow"]


def test_the_file_of_points_says_what_all_are(tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    points = points_around(rng)
    points["number"] = pd.array(np.where(rng.random(len(points)) < 0.2, None, 5), dtype="Int64")
    path = written(points, tmp_path / "points", 1, 10, mixed=False)
    dataset = write_dataset(images_around(rng), tmp_path / "images")
    said = []
    for most in (10**6, 0):
        monkeypatch.setattr(parted, "HELD_POINTS", most)
        job = mlygeo.pipelines.job.body_of(mlygeo.select)(points=path, images=dataset, srid=25832)
        job.write(tmp_path / f"out-{most}")
        raw = pq.ParquetFile(tmp_path / f"out-{most}" / "street_points.parquet").metadata.metadata
        said.append({key: json.loads(raw[key]) for key in (b"geo", b"pandas")})
        frame = mlygeo.read_frame(tmp_path / f"out-{most}" / "street_points.parquet")
        assert str(frame["number"].dtype) == "Int64"
    said[1][b"pandas"]["attributes"]["run"] = said[0][b"pandas"]["attributes"]["run"]
    assert said[0] == said[1]
