"""Sequences cut over parts are those of one run: over random cuts, files and orders, and whoever is killed."""

import json
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.command_line import PROGRAM, program, run
from helpers.datasets import write_dataset
from helpers.processes import start, wait_for
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.errors import FormatError, InputError
from mlygeo.parts import sequences as step


def rides(seed, *, images=150, cameras=2, folders=0, text=False, nulls=True):
    """Return images of rides that stop, rest and jump: with ties, and without times, positions and headings."""
    rng = np.random.default_rng(seed)
    pause = rng.choice([0, 1, 2, 60, 61, 200], images, p=[0.2, 0.4, 0.3, 0.03, 0.03, 0.04])
    jump = rng.choice([0, 1e-6, 5e-5, 0.0053, 0.0055], images, p=[0.2, 0.2, 0.54, 0.03, 0.03])
    lon = (179.99 + np.cumsum(jump) + 180) % 360 - 180
    frame = gpd.GeoDataFrame(
        {
            "id": rng.permutation(images) + 1,
            "captured_at": pd.Series(pd.to_datetime(1.6e9 + np.cumsum(pause), unit="s", utc=True)).dt.as_unit("ms"),
            "compass_angle": np.where(rng.random(images) < 0.5, np.nan, rng.choice([0.0, 3.0, 359.0, 90.0], images)),
            "is_pano": rng.random(images) < 0.2,
        },
        geometry=gpd.points_from_xy(lon, np.full(images, 10.0)),
        crs=4326,
    )
    if cameras > 1:
        frame["make"] = pd.Series(rng.choice(["A", "B", None], images), dtype="str")
        frame["width"] = pd.array(np.where(rng.random(images) < 0.1, 2048, 4096), dtype="Int64")
    if folders:
        frame["folder"] = pd.Series([f"f{number}" for number in rng.integers(0, folders, images)], dtype="str")
    if text:
        frame["provider"] = pd.Series(rng.choice(["mapillary", "panoramax"], images), dtype="str")
        frame["id"] = frame["id"].astype("str").astype("str")
        frame.loc[frame["provider"] == "panoramax", "id"] = "p" + frame["id"]
        frame["captured_at"] = frame["captured_at"].dt.as_unit("us")
    if nulls:
        frame.loc[rng.random(images) < 0.05, "captured_at"] = pd.NaT
        frame.loc[rng.random(images) < 0.05, "geometry"] = None
    return frame


def sorted_by_id(frame):
    return frame.sort_values("id", ignore_index=True).sort_index(axis=1)


def facts(summary):
    return {
        name: summary[name]
        for name in ("images", "sequences", "length_m", "duplicates", "without_sequence", "problems")
    }


RULES = st.fixed_dictionaries(
    {},
    optional={
        "max_images": st.sampled_from([2, 7]), "cutoff_time": st.sampled_from([0.0, 1.0, 300.0]),
        "cutoff_distance": st.just(50.0), "interpolate_directions": st.booleans(), "keep_duplicates": st.just(True),
        "preset": st.just("panoramax"), "offset_angle": st.just(30.0), "max_speed": st.just(10.0),
    },
)  # fmt: skip


@given(
    seed=st.integers(0, 10**6), most=st.sampled_from([40, 100, 10**6]), rows=st.sampled_from([8, 30, 90, 10**6]),
    cameras=st.integers(1, 2), folders=st.sampled_from([0, 0, 3]), text=st.booleans(), nulls=st.booleans(), rules=RULES,
)  # fmt: skip
@settings(deadline=None, max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_cut_gives_the_answer_of_one_run(seed, most, rows, cameras, folders, text, nulls, rules):
    images = rides(seed, cameras=cameras, folders=folders, text=text, nulls=nulls)
    whole = mlygeo.cut(images.sample(frac=1, random_state=seed), **rules)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "ROWS_PER_BUCKET", rows)
        mlygeo.partition(images, Path(folder) / "images", rows_per_part=most)
        parts = mlygeo.cut(Path(folder) / "images", **rules)
    assert_frame_equal(pd.DataFrame(sorted_by_id(parts)), pd.DataFrame(sorted_by_id(whole)))
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])


def test_a_bucket_that_holds_no_start_is_handed_on_whole(tmp_path, monkeypatch):
    count = 90
    times = pd.Series(pd.to_datetime(1.6e9 + np.arange(count), unit="s", utc=True)).dt.as_unit("ms")
    at = gpd.points_from_xy(9 + np.arange(count) * 1e-4, np.full(count, 48.0))
    columns = {"id": np.arange(count) + 1, "captured_at": times, "compass_angle": np.nan, "is_pano": False}
    images = gpd.GeoDataFrame(columns, geometry=at, crs=4326)
    mlygeo.partition(images, tmp_path / "images", rows_per_part=20)
    monkeypatch.setattr(step, "ROWS_PER_BUCKET", 10)
    parts = mlygeo.cut(tmp_path / "images")
    assert len(parts["sequence_id"].unique()) == 1
    assert_frame_equal(pd.DataFrame(sorted_by_id(parts)), pd.DataFrame(sorted_by_id(mlygeo.cut(images))))
    monkeypatch.setattr(step, "MOST_ROWS", 50)
    with pytest.raises(InputError, match="90 images follow each other without a gap of more than 600 m or 60 s"):
        mlygeo.cut(tmp_path / "images")


def test_a_folder_too_large_for_memory_is_refused(tmp_path, monkeypatch):
    mlygeo.partition(rides(1, folders=1), tmp_path / "images")
    monkeypatch.setattr(step, "MOST_ROWS", 50)
    with pytest.raises(InputError, match="150 images of one folder, or of one time, belong together"):
        mlygeo.cut(tmp_path / "images")


def test_a_dataset_whose_ids_may_stand_twice_is_refused(tmp_path):
    with pytest.raises(FormatError, match="may hold an id twice"):
        mlygeo.cut(write_dataset(rides(1, nulls=False), tmp_path / "images"))


@pytest.mark.parametrize("text", [False, True])
def test_a_dataset_without_images_is_cut_into_one_without_images(tmp_path, text):
    mlygeo.partition(rides(1, text=text, folders=2).iloc[:0], tmp_path / "images")
    whole = mlygeo.cut(mlygeo.read_frame(tmp_path / "images"))
    parts = mlygeo.cut(tmp_path / "images")
    assert_frame_equal(pd.DataFrame(sorted_by_id(parts)), pd.DataFrame(sorted_by_id(whole)), check_dtype=False)
    assert parts.attrs["summary"] == whole.attrs["summary"]
    mlygeo.cut(tmp_path / "images", output=tmp_path / "cut")
    assert mlygeo.read_frame(tmp_path / "cut").columns.tolist() == parts.columns.tolist()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a dataset of rides, in several parts, and what is cut from it."""
    folder = tmp_path_factory.mktemp("world")
    mlygeo.partition(rides(3, images=4000), folder / "images", rows_per_part=150)
    done = program("cut", str(folder / "images"), "-o", f"{folder}/expected/")
    assert done.returncode == 0, done.stderr
    return folder


def tree(folder):
    """Return all files of a dataset with their bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_results_gets_a_dataset_and_processes_make_no_difference(world, tmp_path, capsys):
    status, _, said = run(capsys, "cut", world / "images", "--workers", "2", "-o", f"{tmp_path}/out/")
    assert (status, "4,000 images in " in said) == (0, True)
    assert tree(tmp_path / "out") == tree(world / "expected")
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.partitions.parquet"}
    for begun in (False, True):  # and killed when all was there, and nothing was cleared up
        if begun:
            (tmp_path / ".out.cut").mkdir()
        again = run(capsys, "cut", world / "images", "-o", f"{tmp_path}/out/")
        assert (again[0], "4,000 images in " in again[2]) == (0, True)
        assert {path.name for path in tmp_path.iterdir()} == {"out", "out.partitions.parquet"}
    status, _, said = run(capsys, "cut", world / "images", "--cutoff-time", "7", "-o", f"{tmp_path}/out/")
    assert (status != 0, "is a dataset of other inputs already" in said, "add" in said) == (True, True, False)


def test_a_file_of_results_gets_a_frame(world, tmp_path, capsys):
    status, _, said = run(capsys, "cut", world / "images", "-o", tmp_path / "cut.parquet")
    assert (status, "4,000 images in " in said) == (0, True)
    written = mlygeo.read_frame(tmp_path / "cut.parquet", frame="images")
    expected = mlygeo.read_frame(world / "expected", frame="images")
    assert_frame_equal(pd.DataFrame(sorted_by_id(written)), pd.DataFrame(sorted_by_id(expected)))


def test_a_killed_run_goes_on_where_it_was(world, tmp_path):
    out = tmp_path / "out"
    for least in (3, 25, 29):
        process = start([PROGRAM, "cut", world / "images", "-o", f"{out}/"])
        wait_for(lambda least=least: len([*tmp_path.glob(".out.cut/*/result/*/part-0.parquet")]) >= least, process)
        process.kill()
        process.wait()
        assert not out.exists()
    assert program("cut", str(world / "images"), "-o", f"{out}/").returncode == 0
    assert tree(out) == tree(world / "expected")
    assert {path.name for path in tmp_path.iterdir()} == {"out", "out.partitions.parquet"}


def test_a_dry_run_does_nothing_and_shares_are_refused(world, tmp_path, capsys):
    status, out, said = run(capsys, "cut", world / "images", "--dry-run", "--json", "-o", f"{tmp_path}/out/")
    assert (status, json.loads(out)["images"], [*tmp_path.iterdir()]) == (0, 4000, [])
    assert "nothing was done" in said
    status, _, said = run(capsys, "cut", world / "images", "--part", "1/2", "-o", f"{tmp_path}/out/")
    assert (status != 0, "put into buckets in one pass" in said) == (True, True)
    with pytest.raises(InputError, match="no effect without a dataset of images"):
        mlygeo.cut(rides(1), workers=2)
