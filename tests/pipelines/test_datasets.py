"""Tests of mlygeo.partition: the parts of a dataset are those of its rows, however these came and whatever happened."""

import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import shapely
from helpers.range_server import serving
from helpers.unix import needs_symlinks, needs_unix
from hypothesis import given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.spatial import cells, hilbert
from mlygeo.store.datasets import layout, publishing, sorting, sources, writing
from mlygeo.store.datasets.index import read_index


def images(rows, *, seed=0, text=False, gaps=False, repeats=False):
    rng = np.random.default_rng(seed)
    lon = rng.choice([9.18, 179.9995, -180.0, 0.0, 9.18457031250], rows) + np.round(rng.normal(0, 0.01, rows), 3)
    lat = rng.choice([48.77, 0.0, -89.99, 85.2], rows) + np.round(rng.normal(0, 0.01, rows), 3)
    lon = np.where(lon > 180, lon - 360, np.where(lon < -180, lon + 360, lon))
    ids = rng.integers(1, max(2, rows // 2), rows) if repeats else rng.permutation(rows) + 10**12
    times = pd.to_datetime(rng.integers(1, 4, rows) * 10**11, unit="ms", utc=True).as_unit("ms")
    columns = {
        "id": [f"{'abc'[id_ % 3]}-{id_}" for id_ in ids] if text else ids,
        "sequence_id": [None if gaps and row % 5 == 0 else f"s{row // 3}" for row in range(rows)],
        "captured_at": times,
        "compass_angle": np.where(rng.random(rows) < 0.2, np.nan, rng.integers(0, 3, rows)),
        "is_pano": rng.random(rows) < 0.3,
        "number": rng.integers(0, 3, rows),
    }
    points = shapely.points(lon, np.clip(lat, -90, 90))
    if gaps:
        points[rng.random(rows) < 0.1] = None
    return gpd.GeoDataFrame(columns, geometry=points, crs=4326)


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def told(parts):
    return {name: parts.attrs["summary"][name] for name in ("rows", "parts", "placeless", "left_out", "problems")}


def cut_into_files(frame, folder, cuts, seed):
    rng = np.random.default_rng(seed)
    shuffled = frame.sample(frac=1, random_state=seed)
    files = []
    for number, rows in enumerate(np.split(np.arange(len(frame)), sorted(cuts))):
        path = folder / f"{number}.parquet"
        if rng.random() < 0.5:
            shuffled.iloc[rows].to_parquet(path, row_group_size=int(rng.integers(1, 60)))
        else:
            mlygeo.write_frame(shuffled.iloc[rows], path)
        files.append(path)
    rng.shuffle(files)
    return files


@settings(deadline=None, max_examples=12)
@given(
    rows=st.integers(1, 150),
    seed=st.integers(0, 2**16),
    text=st.booleans(),
    gaps=st.booleans(),
    repeats=st.booleans(),
    cuts=st.lists(st.floats(0, 1), max_size=4),
    most=st.integers(8, 80),
)
def test_the_bytes_do_not_depend_on_files_order_and_cuts(tmp_path_factory, rows, seed, text, gaps, repeats, cuts, most):
    folder = tmp_path_factory.mktemp("cuts")
    frame = images(rows, seed=seed, text=text, gaps=gaps, repeats=repeats)
    files = cut_into_files(frame, folder, [int(cut * rows) for cut in cuts], seed)

    one = mlygeo.partition(frame, folder / "one", rows_per_part=most)
    other = mlygeo.partition(files, folder / "other", rows_per_part=most)

    assert digests(folder / "one") == digests(folder / "other")
    assert told(one) == told(other)
    assert told(one)["rows"] == frame["id"].nunique()
    assert told(one)["rows"] + sum(told(one)["left_out"].values()) == rows
    assert (one["rows"] <= most).all()


def test_nor_on_the_number_of_processes_and_pieces(tmp_path, monkeypatch):
    frame = images(3000, gaps=True, repeats=True)
    files = cut_into_files(frame, tmp_path, [100, 1500, 1501], 3)
    mlygeo.partition(files, tmp_path / "one", rows_per_part=200, workers=1)
    monkeypatch.setattr(sources.pieces, "__defaults__", (400,))

    mlygeo.partition(files[::-1], tmp_path / "other", rows_per_part=200, workers=2)

    assert digests(tmp_path / "one") == digests(tmp_path / "other")


def test_a_script_without_a_guard_uses_processes_too(tmp_path):
    for number in range(2):
        images(500, seed=number).to_parquet(tmp_path / f"{number}.parquet", row_group_size=100)
    script = tmp_path / "script.py"
    script.write_text(
        "import mlygeo\nfrom mlygeo.store.datasets import sources\n"
        "sources.pieces.__defaults__ = (100,)\n"
        "print(len(mlygeo.partition(['0.parquet', '1.parquet'], 'out', workers=2)))\n"
    )

    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    parts = mlygeo.partition([tmp_path / "0.parquet", tmp_path / "1.parquet"], tmp_path / "here")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(parts)}\n", "")
    assert digests(tmp_path / "out") == digests(tmp_path / "here")


@pytest.mark.parametrize("text", [False, True])
def test_other_readers_see_all_rows(tmp_path, text):
    frame = images(2000, text=text, gaps=True)
    parts = mlygeo.partition(frame, tmp_path / "set", rows_per_part=150)
    folder = tmp_path / "set"

    by_geopandas = gpd.read_parquet(folder)
    by_pyarrow = pyarrow.dataset.dataset(folder, partitioning="hive").to_table()
    box = (9.1, 48.7, 9.25, 48.8)
    some = gpd.read_parquet(folder, bbox=box)

    assert sorted(by_geopandas["id"]) == sorted(by_pyarrow["id"].to_pylist()) == sorted(frame["id"])
    assert {*by_geopandas["cell"]} == {f"q{cell}" for cell in parts["cell"]}
    assert sorted(some["id"]) == sorted(frame[frame.intersects(shapely.box(*box))]["id"])
    assert by_geopandas["captured_at"].dtype == frame["captured_at"].dtype
    expected = frame.set_index("id").sort_index()
    found = by_geopandas.set_index("id").sort_index()
    assert found.geometry.geom_equals(expected.geometry).sum() == expected.geometry.notna().sum()
    for name in ("sequence_id", "captured_at", "compass_angle", "is_pano", "number"):
        pd.testing.assert_series_equal(found[name], expected[name])


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_duckdb_and_dask_see_all_rows(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    dask_geopandas = pytest.importorskip("dask_geopandas")
    frame = images(1000)
    mlygeo.partition(frame, tmp_path / "set", rows_per_part=150)

    rows, keys = duckdb.sql(
        f"SELECT count(*), max(length(cell)) FROM read_parquet('{tmp_path}/set/**/*.parquet', hive_partitioning=true)"
    ).fetchone()
    lazy = dask_geopandas.read_parquet(tmp_path / "set")

    assert rows == len(lazy) == 1000
    assert 5 <= keys <= 15
    assert lazy.spatial_partitions is not None


def test_parts_hold_what_their_cells_and_the_index_say(tmp_path):
    frame = images(1500, gaps=True)
    mlygeo.partition(frame, tmp_path / "set", rows_per_part=100)
    index = read_index(layout.index_of(tmp_path / "set"))

    schemas = set()
    for part in index.parts:
        file = tmp_path / "set" / part.path
        found = gpd.read_parquet(file)
        table = pq.read_table(file, partitioning=None)
        schemas.add(str(table.schema.remove_metadata()))
        assert (len(found), part.bytes) == (part.rows, file.stat().st_size)
        assert part.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        assert (part.min_id, part.max_id) == (found["id"].min(), found["id"].max())
        assert (part.min_captured_at, part.max_captured_at) == (found["captured_at"].min(), found["captured_at"].max())
        if part.cell:
            x, y = found.geometry.x.to_numpy(), found.geometry.y.to_numpy()
            assert cells.inside(x, y, *cells.from_quadkey(part.cell)).all()
            assert (part.west, part.south, part.east, part.north) == (x.min(), y.min(), x.max(), y.max())
            box = table["bbox"].combine_chunks().flatten()
            for side, values, sign in zip(box, (x, y, x, y), (-1, -1, 1, 1), strict=True):
                assert (sign * (side.to_numpy().astype(float) - values) >= 0).all()
        else:
            assert found.geometry.isna().all()
            assert part.west is None
    assert len(schemas) == 1
    assert index.rows == 1500
    assert index.counts.sum() == frame.geometry.notna().sum()


def test_a_cell_of_the_highest_zoom_has_several_parts_where_it_must(tmp_path):
    frame = images(400).set_geometry(gpd.points_from_xy([9.0] * 400, [48.0] * 400), crs=4326)

    parts = mlygeo.partition(frame, tmp_path / "set", rows_per_part=150)

    assert parts["path"].tolist() == [
        f"{parts['path'][0].partition('/')[0]}/part-{number}.parquet" for number in range(3)
    ]
    assert parts["rows"].tolist() == [134, 134, 132]
    found = pd.concat(gpd.read_parquet(tmp_path / "set" / path) for path in parts["path"])
    assert found["id"].is_monotonic_increasing


def test_a_dense_cell_is_cut_along_the_curve(tmp_path):
    rng = np.random.default_rng(0)
    frame = images(1000).set_geometry(gpd.points_from_xy(9 + rng.uniform(0, 1e-4, 1000), [48.0] * 1000), crs=4326)
    frame.loc[:299, "geometry"] = shapely.Point(9.00005, 48.0)

    parts = mlygeo.partition(frame, tmp_path / "set", rows_per_part=100)

    found = pd.concat(gpd.read_parquet(tmp_path / "set" / path) for path in parts["path"])
    codes = hilbert.codes(found.geometry.x.to_numpy(), found.geometry.y.to_numpy())
    assert len({*parts["cell"]}) == 1
    assert len(found) == found["id"].nunique() == 1000
    assert (np.diff(codes) >= 0).all()
    assert parts["rows"].max() <= 100
    assert len(parts) <= 14


# Ids that stand in several rows


def rows_of(id_, times, lons, **more):
    times = pd.to_datetime(times, utc=True).as_unit("ms")
    return gpd.GeoDataFrame(
        {"id": id_, "captured_at": times, **more}, geometry=gpd.points_from_xy(lons, [48.0] * len(lons)), crs=4326
    )


def test_of_rows_with_one_id_the_last_captured_stays(tmp_path):
    frame = rows_of([7, 7, 7, 8], ["2024-01-01", "2024-03-01", "2024-02-01", "2024-01-01"], [9.0, 9.1, 9.2, 9.0])

    parts = mlygeo.partition(frame, tmp_path / "set")

    found = gpd.read_parquet(tmp_path / "set")
    assert dict(zip(found["id"], found.geometry.x, strict=True)) == {7: 9.1, 8: 9.0}
    assert told(parts)["left_out"] == {"that a later row says otherwise": 2}
    assert told(parts)["problems"] == {"ids at several places": 1}


def test_what_was_changed_last_counts_more_and_the_same_again_is_no_problem(tmp_path):
    changed = pd.to_datetime(["2024-05-02", "2024-05-01", "2024-05-02"], utc=True)
    frame = rows_of([7, 7, 7], ["2024-01-01", "2024-03-01", "2024-01-01"], [9.0, 9.0, 9.0], updated_at=changed)

    parts = mlygeo.partition(frame, tmp_path / "set")

    assert gpd.read_parquet(tmp_path / "set")["captured_at"][0] == pd.Timestamp("2024-01-01", tz="UTC")
    assert told(parts)["left_out"] == {"that stand in several rows": 1, "that a later row says otherwise": 1}
    assert told(parts)["problems"] == {"ids with several values": 1}


def test_ids_of_other_providers_are_others_and_rows_without_id_stay(tmp_path):
    frame = rows_of(
        ["a", "a", None, None], ["2024-01-01"] * 4, [9.0] * 4, provider=["panoramax", "mapillary", None, None]
    )

    parts = mlygeo.partition(frame, tmp_path / "set")

    assert told(parts)["rows"] == 4
    assert told(parts)["left_out"] == {}


def test_numbers_and_texts_become_texts_with_their_providers(tmp_path):
    one = rows_of([7, 8], ["2024-01-01"] * 2, [9.0, 9.1])
    other = rows_of(["ab", "cd"], ["2024-01-01"] * 2, [9.0, 9.1], provider=["panoramax"] * 2)

    mlygeo.partition([one, other], tmp_path / "set")

    found = gpd.read_parquet(tmp_path / "set").sort_values("id")
    assert found["id"].tolist() == ["7", "8", "ab", "cd"]
    assert found["provider"].tolist() == ["mapillary"] * 2 + ["panoramax"] * 2
    assert str(found["captured_at"].dtype) == "datetime64[us, UTC]"


# Adding


@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**16), cut=st.integers(1, 299), most=st.integers(20, 80), gaps=st.booleans())
def test_adding_gives_the_bytes_of_all_at_once(tmp_path_factory, seed, cut, most, gaps):
    folder = tmp_path_factory.mktemp("add")
    frame = images(300, seed=seed, gaps=gaps).sample(frac=1, random_state=seed)
    mlygeo.partition(frame, folder / "once", rows_per_part=most)
    mlygeo.partition(frame.iloc[:cut], folder / "twice", rows_per_part=most)

    mlygeo.partition(frame.iloc[cut:], folder / "twice", rows_per_part=most, add=True)

    assert digests(folder / "once") == digests(folder / "twice")
    one, other = (read_index(layout.index_of(folder / name)) for name in ("once", "twice"))
    assert [part.sha256 for part in one.parts] == [part.sha256 for part in other.parts]
    assert one.cells.tolist() == other.cells.tolist()
    assert one.counts.tolist() == other.counts.tolist()


def test_adding_touches_only_the_parts_concerned(tmp_path):
    first = images(2000)
    mlygeo.partition(first, tmp_path / "set", rows_per_part=300)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.parquet")}
    moved = first.iloc[[5]].assign(sequence_id="moved").set_geometry(gpd.points_from_xy([-120.0], [40.0]), crs=4326)

    parts = mlygeo.partition(moved, tmp_path / "set", rows_per_part=300, add=True)

    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.parquet")}
    assert sum(before.get(path) != at for path, at in after.items()) == 2
    assert parts.attrs["summary"]["written"] == 2
    assert told(parts)["left_out"] == {"that added ones replace": 1}
    found = gpd.read_parquet(tmp_path / "set").set_index("id").loc[first["id"].iloc[5]]
    assert (found["sequence_id"], found.geometry.x) == ("moved", -120.0)
    again = mlygeo.partition(moved, tmp_path / "set", rows_per_part=300, add=True)
    assert told(again) == told(parts)
    assert again.attrs["summary"]["written"] == 0


@pytest.mark.parametrize("leaves", ["first", "last", "middle"])
def test_a_cell_whose_last_row_moves_away_costs_no_other(tmp_path, leaves):
    place = {"first": -150.0, "middle": 0.0, "last": 150.0}[leaves]
    frame = gpd.GeoDataFrame(
        {"id": [1, 2, 3, 4]}, geometry=gpd.points_from_xy([-100, 50, 100, place], [10] * 4), crs=4326
    )
    mlygeo.partition(frame, tmp_path / "set", rows_per_part=1)
    moved = frame.iloc[[3]].set_geometry(gpd.points_from_xy([60.0], [40.0]), crs=4326)

    mlygeo.partition(moved, tmp_path / "set", rows_per_part=1, add=True)

    mlygeo.partition(pd.concat([frame.iloc[:3], moved]), tmp_path / "once", rows_per_part=1)
    assert digests(tmp_path / "set") == digests(tmp_path / "once")


def test_rows_that_come_as_they_are_touch_no_part(tmp_path):
    frame = images(1000, repeats=True, gaps=True)
    mlygeo.partition(frame, tmp_path / "set", rows_per_part=100)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.parquet")}
    there = gpd.read_parquet(tmp_path / "set").drop(columns=["cell", "bbox"], errors="ignore")
    fresh = images(1, seed=7).assign(id=10**9)

    same = mlygeo.partition(there.iloc[::3], tmp_path / "set", add=True)
    assert same.attrs["summary"]["written"] == 0
    mlygeo.partition(pd.concat([there.iloc[::2], fresh]), tmp_path / "set", add=True)

    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "set").rglob("*.parquet")}
    assert sum(before.get(path) != at for path, at in after.items()) == 1
    mlygeo.partition([frame, fresh], tmp_path / "once", rows_per_part=100)
    assert digests(tmp_path / "set") == digests(tmp_path / "once")


def test_a_new_column_comes_into_all_parts(tmp_path):
    mlygeo.partition(images(500), tmp_path / "set", rows_per_part=100)
    more = images(500, seed=1).assign(id=lambda frame: frame["id"] + 10**6, quality=0.5)

    mlygeo.partition(more, tmp_path / "set", rows_per_part=100, add=True)

    schemas = {str(pq.read_schema(path).remove_metadata()) for path in (tmp_path / "set").rglob("*.parquet")}
    assert len(schemas) == 1
    assert gpd.read_parquet(tmp_path / "set")["quality"].notna().sum() == 500


# Kills, and what is not touched


def test_a_killed_run_is_gone_on_with_and_leaves_nothing(tmp_path):
    frame = images(1500, gaps=True, repeats=True)
    for number in range(3):
        frame.iloc[number::3].to_parquet(tmp_path / f"{number}.parquet")
    command = [
        sys.executable, "-m", "mlygeo", "partition", "0.parquet", "1.parquet", "2.parquet", "--rows-per-part", "100",
        "--quiet", "-o",
    ]  # fmt: skip
    start = time.monotonic()
    subprocess.run([*command, "whole"], cwd=tmp_path, check=True, timeout=120)
    long = time.monotonic() - start
    chance = random.Random(0)

    for _ in range(3):
        running = subprocess.Popen([*command, "killed"], cwd=tmp_path)
        time.sleep(chance.uniform(0.4, 1.0) * long)
        running.kill()
        running.wait()
    subprocess.run([*command, "killed"], cwd=tmp_path, check=True, timeout=120)

    assert digests(tmp_path / "whole") == digests(tmp_path / "killed")
    index, other = (layout.index_of(tmp_path / name).read_bytes() for name in ("whole", "killed"))
    assert index == other
    assert names_in(tmp_path) == sorted(
        [
            "0.parquet",
            "1.parquet",
            "2.parquet",
            *(f"{name}{end}" for name in ("whole", "killed") for end in ("", layout.INDEX_ENDING)),
        ]
    )


def test_what_a_killed_process_was_writing_comes_into_no_dataset(tmp_path):
    mlygeo.partition(images(10), tmp_path / "other")
    index = read_index(layout.index_of(tmp_path / "other"))
    folder, name = tmp_path / ".set.partition", "cell=q12/part-0.parquet"
    part = folder / sorting.PARTS / name
    part.parent.mkdir(parents=True)
    part.write_bytes(b"a part")
    part.with_name("part-0.parquet.4711.new").write_bytes(b"a p")

    publishing.publish(folder, tmp_path / "set", index, new=[name], old=[])

    assert names_in(tmp_path / "set" / "cell=q12") == ["part-0.parquet"]


def test_what_mlygeo_did_not_make_is_not_touched(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"mine")
    frame = images(10)

    with pytest.raises(FileError, match="no index"):
        mlygeo.partition(frame, tmp_path / "photos")
    mlygeo.partition(frame, tmp_path / "set")
    with pytest.raises(FileError, match="other inputs"):
        mlygeo.partition(images(20), tmp_path / "set")
    with pytest.raises(FileError, match="not there yet"):
        mlygeo.partition(frame, tmp_path / "new", add=True)
    with pytest.raises(FormatError):
        mlygeo.partition(frame, tmp_path / "set.parquet")

    assert names_in(tmp_path) == ["photos", "set", "set.partitions.parquet"]
    assert names_in(tmp_path / "photos") == ["a.jpg"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frame: frame.assign(cell="a"), "'cell'"),
        (lambda frame: frame.assign(id=0.5), "ids are text or whole numbers"),
        (
            lambda frame: frame.set_geometry([shapely.LineString([(0, 0), (1, 1)])] * len(frame), crs=4326),
            "geometries other than points",
        ),
        (lambda frame: frame.set_crs(None, allow_override=True), "no CRS"),
    ],
)
def test_what_has_no_place_in_a_dataset_is_refused_and_nothing_is_left(tmp_path, change, reason):
    with pytest.raises((FrameError, FormatError), match=reason):
        mlygeo.partition(change(images(5)), tmp_path / "set")

    assert names_in(tmp_path) == []


def test_a_file_of_other_geometries_is_named(tmp_path):
    lines = gpd.GeoDataFrame({"id": [1]}, geometry=[shapely.LineString([(0, 0), (1, 1)])], crs=4326)
    lines.to_file(tmp_path / "lines.gpkg")
    with pytest.raises(FrameError, match=r"^lines\.gpkg contains geometries other than points"):
        mlygeo.partition(tmp_path / "lines.gpkg", tmp_path / "set")


def test_a_column_of_two_kinds_is_named(tmp_path):
    images(5).to_parquet(tmp_path / "a.parquet")
    images(5).assign(number="a").to_parquet(tmp_path / "b.parquet")

    with pytest.raises(FrameError, match="'number' is int64 in one input and string in another"):
        mlygeo.partition([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "set")


@pytest.mark.parametrize("options", [{"rows_per_part": 0}, {"workers": 0}])
def test_options_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(InputError, match=next(iter(options))):
        mlygeo.partition(images(5), tmp_path / "set", **options)


def test_folders_and_patterns_are_inputs_and_a_dataset_of_a_dataset_is_the_same(tmp_path):
    frame = images(300)
    for year, part in ((2023, frame[:100]), (2024, frame[100:])):
        (tmp_path / "in" / f"year={year}").mkdir(parents=True)
        part.to_parquet(tmp_path / "in" / f"year={year}" / "a.parquet")

    mlygeo.partition(tmp_path / "in", tmp_path / "one", rows_per_part=100)
    mlygeo.partition(str(tmp_path / "in" / "*" / "*.parquet"), tmp_path / "two", rows_per_part=100)
    mlygeo.partition(tmp_path / "one", tmp_path / "three", rows_per_part=100)

    assert gpd.read_parquet(tmp_path / "one")["year"].value_counts().to_dict() == {2023: 100, 2024: 200}
    assert digests(tmp_path / "one") == digests(tmp_path / "two") == digests(tmp_path / "three")
    said = mlygeo.partition(tmp_path / "in", tmp_path / "new", dry_run=True).attrs["summary"]
    assert (said["rows"], said["placeless"]) == (300, 0)


def test_a_file_on_a_server_gives_the_bytes_of_the_same_file_here(tmp_path):
    images(500, gaps=True).to_parquet(tmp_path / "a.parquet", row_group_size=100)

    with serving((tmp_path / "a.parquet").read_bytes()) as (url, _, _):
        mlygeo.partition(url, tmp_path / "far", rows_per_part=100)
    mlygeo.partition(tmp_path / "a.parquet", tmp_path / "near", rows_per_part=100)

    assert digests(tmp_path / "far") == digests(tmp_path / "near")


def test_an_input_without_ids_beside_one_with_them(tmp_path):
    frame = images(20)

    parts = mlygeo.partition([frame, frame.drop(columns="id")], tmp_path / "set")

    assert told(parts)["rows"] == 40
    assert gpd.read_parquet(tmp_path / "set")["id"].notna().sum() == 20


def test_images_are_not_mixed_with_street_points_or_selections(tmp_path):
    frame = images(20)
    mlygeo.partition(frame, tmp_path / "set")
    kinds = r"different kinds: .* has a column 'point_id', and .* has none"
    for number, other in enumerate((frame.drop(columns="id"), frame)):
        path = tmp_path / f"{number}.parquet"
        other.assign(point_id=range(20)).to_parquet(path)
        before = digests(tmp_path)
        with pytest.raises(FrameError, match=kinds):
            mlygeo.partition(path, tmp_path / "set", add=True)
        with pytest.raises(FrameError, match=kinds):
            mlygeo.partition([tmp_path / "set", path], tmp_path / "new")
        assert digests(tmp_path) == before
    # What has no rows has no say.
    mlygeo.partition([frame, frame.assign(point_id=1).iloc[:0]], tmp_path / "empty")


@needs_symlinks
def test_a_link_to_a_dataset_is_that_dataset(tmp_path):
    frame = images(500)
    mlygeo.partition(frame.iloc[:300], tmp_path / "set", rows_per_part=100)
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link"
    link.symlink_to(tmp_path / "set")

    mlygeo.partition(frame.iloc[300:], link, add=True)
    mlygeo.partition(frame, tmp_path / "once", rows_per_part=100)

    assert digests(tmp_path / "set") == digests(tmp_path / "once")
    assert names_in(tmp_path / "other") == ["link"]
    with pytest.raises(FileError, match="lies in the dataset"):
        mlygeo.write_frame(frame, link / "more.parquet")
    with pytest.raises(FileError, match="lies in the dataset"):
        mlygeo.partition(frame, link / "more")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other" / "new").symlink_to(tmp_path / "empty")
    mlygeo.partition(frame, tmp_path / "other" / "new", rows_per_part=100)
    assert digests(tmp_path / "empty") == digests(tmp_path / "once")
    next((tmp_path / "set").rglob("*.parquet")).unlink()
    with pytest.raises(FormatError, match="which link does not have"):
        mlygeo.read_frame(link)


@needs_unix("files of Unix")
@pytest.mark.parametrize("beside", [True, False])
def test_a_link_may_lead_to_another_disk(tmp_path, beside):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk")
    frame = images(500)
    mlygeo.partition(frame.iloc[:300], tmp_path / "set", rows_per_part=100)
    mlygeo.partition(frame, tmp_path / "once", rows_per_part=100)
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        place = Path(folder) / "far"
        shutil.move(tmp_path / "set", place)
        if not beside:  # the index
            shutil.move(tmp_path / "set.partitions.parquet", Path(folder) / "far.partitions.parquet")
        (tmp_path / "set").symlink_to(place)
        mlygeo.partition(frame.iloc[300:], tmp_path / "set", add=True)
        assert digests(place) == digests(tmp_path / "once")
        assert len(mlygeo.read_frame(tmp_path / "set")) == 500
        files = ["far"] if beside else ["far", "far.partitions.parquet"]
        assert names_in(Path(folder)) == files
        assert (tmp_path / "set").is_symlink()
    assert [name for name in names_in(tmp_path) if name.startswith(".")] == []


def test_a_disk_that_is_too_small_is_told_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "SPILLED", 10**15)
    for _ in range(2):
        with pytest.raises(FileError, match="of disk are needed"):
            mlygeo.partition(images(10), tmp_path / "set")
    assert names_in(tmp_path) == []


def test_a_path_over_an_input_or_a_dataset_lies_elsewhere(tmp_path):
    (tmp_path / "inputs").mkdir()
    images(5).to_parquet(tmp_path / "inputs" / "a.parquet")

    mlygeo.partition(tmp_path / "inputs", tmp_path / "inputs" / ".." / "set")
    mlygeo.partition(tmp_path / "set", tmp_path / "set" / ".." / "again")

    assert digests(tmp_path / "set") == digests(tmp_path / "again")
    assert names_in(tmp_path) == ["again", "again.partitions.parquet", "inputs", "set", "set.partitions.parquet"]


def test_uuids_and_names_of_providers_are_the_same_in_any_case(tmp_path):
    uuid = "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a"
    frame = rows_of(
        [uuid, uuid.upper(), "AB"], ["2024-01-01"] * 3, [9.0] * 3, provider=["panoramax", " Panoramax", "x1"]
    )

    parts = mlygeo.partition(frame, tmp_path / "set")

    assert sorted(gpd.read_parquet(tmp_path / "set")["id"]) == ["AB", uuid]
    assert told(parts)["left_out"] == {"that stand in several rows": 1}


def test_a_rehearsal_tells_and_writes_nothing(tmp_path):
    images(700, gaps=True).to_parquet(tmp_path / "a.parquet")

    cells_ = mlygeo.partition(tmp_path / "a.parquet", tmp_path / "set", rows_per_part=100, dry_run=True)
    said = cells_.attrs["summary"]
    parts = mlygeo.partition(tmp_path / "a.parquet", tmp_path / "set", rows_per_part=100)

    assert said["rows"] == 700
    assert said["parts"] == len(parts)
    assert said["placeless"] == told(parts)["placeless"] > 0
    assert said["disk_bytes"] > said["bytes"] > 0
    assert {*cells_["cell"]} == {*parts["cell"]} - {""}


def test_points_of_other_kinds_keep_their_columns_in_any_crs(tmp_path):
    frame = gpd.GeoDataFrame(
        {"point_id": [3, 1, 2], "name": ["a", None, "b"], "count": pd.array([1, None, 2], dtype="Int64")},
        geometry=gpd.points_from_xy([9.0, 9.1, 9.2], [48.0, 48.1, 48.2]),
        crs=4326,
    )

    mlygeo.partition(frame.to_crs(25832), tmp_path / "set")

    found = gpd.read_parquet(tmp_path / "set").drop(columns="cell").sort_values("point_id", ignore_index=True)
    assert found["point_id"].tolist() == [1, 2, 3]
    assert found["count"].dtype == "Int64"
    assert np.allclose(found.geometry.x, [9.1, 9.2, 9.0], atol=1e-9)
    assert (
        json.loads(pq.read_schema(next((tmp_path / "set").rglob("*.parquet"))).metadata[b"geo"])["version"] == "1.1.0"
    )


def test_what_is_beyond_the_antimeridian_or_has_a_height_is_told(tmp_path):
    frame = gpd.GeoDataFrame(
        {"id": [1, 2]}, geometry=[shapely.Point(190.0, 1.0, 5.0), shapely.Point(0.0, 1.0)], crs=4326
    )

    parts = mlygeo.partition(frame, tmp_path / "set")

    assert told(parts)["problems"] == {
        "positions beyond ±180° of longitude, taken as the same place within": 1,
        "positions with a height, which is left out": 1,
    }
    assert sorted(gpd.read_parquet(tmp_path / "set").geometry.x) == [-170.0, 0.0]


def test_an_empty_dataset_has_its_columns(tmp_path):
    parts = mlygeo.partition(images(5).iloc[:0], tmp_path / "set")

    assert len(parts) == 1
    assert gpd.read_parquet(tmp_path / "set").columns.tolist()[:2] == ["id", "sequence_id"]
    assert pa.parquet.read_schema(tmp_path / "set" / "cell=q" / "part-0.parquet").field("id").type == pa.int64()


def test_parts_added_have_as_many_rows_as_those_that_are_there(tmp_path):
    mlygeo.partition(images(500), tmp_path / "set", rows_per_part=100)
    before = read_index(layout.index_of(tmp_path / "set"))
    more = images(500, seed=1).assign(id=lambda frame: frame["id"] + 10**6)
    planned = mlygeo.partition(more, tmp_path / "set", add=True, dry_run=True)

    parts = mlygeo.partition(more, tmp_path / "set", add=True)

    assert parts["rows"].max() <= 100
    assert len(planned) == len(parts) > len(before.parts)
    assert len(mlygeo.partition(more, tmp_path / "set", add=True, rows_per_part=1_000_000)) < len(parts)


def test_a_dataset_does_not_come_into_its_inputs_or_another_dataset(tmp_path):
    (tmp_path / "in").mkdir()
    images(50).to_parquet(tmp_path / "in" / "a.parquet")
    mlygeo.partition(tmp_path / "in", tmp_path / "set")
    before = digests(tmp_path)

    with pytest.raises(InputError, match="an input"):
        mlygeo.partition(tmp_path / "in", tmp_path / "in" / "out")
    with pytest.raises(FileError, match="lies in the dataset"):
        mlygeo.partition(tmp_path / "in" / "a.parquet", tmp_path / "set" / "cell=q" / "out")

    assert digests(tmp_path) == before


def test_a_damaged_part_is_named_once(tmp_path):
    mlygeo.partition(images(2000), tmp_path / "set")
    part = next((tmp_path / "set").rglob("part-0.parquet"))
    content = bytearray(part.read_bytes())
    content[2000:12000] = bytes(each ^ 255 for each in content[2000:12000])
    part.write_bytes(content)

    with pytest.raises((FileError, FormatError)) as caught:
        mlygeo.partition(images(100, seed=3), tmp_path / "set", add=True)

    assert str(caught.value).startswith(f"{part.parent.name}/part-0.parquet ")
