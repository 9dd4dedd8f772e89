"""A selection at once gives the rows of one run, and the bytes of a run part by part, in bounded memory."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.datasets import write_dataset
from helpers.over_parts import PLACES, frame_bytes
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FrameError
from mlygeo.parts import at_once, plan
from mlygeo.parts.points import GivenPoints
from mlygeo.pipelines.job import body_of
from mlygeo.store.parquet import writing
from mlygeo.store.point_sources import PointFile, TablePoints
from mlygeo.store.points import Behind, open_points

SETTLED = {"problems": {}}
"""What `partition` notes where no id repeats."""

OPTIONS = st.fixed_dictionaries(
    {"max_distance": st.sampled_from([0.0, 30.0, 111.0, 1500.0]), "k": st.sampled_from([1, 3])},
    optional={
        "max_heading_difference": st.sampled_from([20.0, 90.0]),
        "pano": st.booleans(),
        "since": st.just("2020-06"),
        "region": st.just(True),
    },
)


def country(seed, *, text=False, nulls=False, bearing=True, around=(9.0, 48.75), number=300, points=60):
    """Return points and images on a lattice, with ties and repeated places, whose ids are unique."""
    rng = np.random.default_rng(seed)
    west, south = around
    place, spot = rng.integers(0, 50, (2, number)) * 1e-3, rng.integers(0, 100, (2, points)) * 5e-4
    images = gpd.GeoDataFrame(
        {
            "id": rng.permutation(number) + 1,
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, number), unit="s", utc=True).as_unit("ms"),
            "compass_angle": np.where(rng.random(number) < 0.2, np.nan, rng.integers(0, 360, number)),
            "is_pano": rng.random(number) < 0.3,
            "creator_id": pd.array(np.where(rng.random(number) < 0.3, pd.NA, 7), dtype="Int64"),
        },
        geometry=gpd.points_from_xy((west + place[0] + 180) % 360 - 180, south + place[1]),
        crs=4326,
    )
    if text:
        images["provider"] = pd.Series(rng.choice(["mapillary", "panoramax"], number), dtype="str")
        words, are_numbers = images["id"].astype(str), images["provider"] == "mapillary"
        words = np.where(are_numbers | (rng.random(number) < 0.5), words, "a" + words)
        images["id"] = pd.Series(words, dtype="str")
        images["captured_at"] = images["captured_at"].dt.as_unit("us")
    if nulls:
        images.loc[rng.random(number) < 0.1, "captured_at"] = pd.NaT
        images.loc[rng.random(number) < 0.05, "geometry"] = None
    at = gpd.GeoDataFrame(
        {
            "point_id": rng.permutation(points) * 3,
            "bearing": rng.integers(0, 360, points).astype(float),
            "stratum": pd.Series(rng.choice(["old town", "suburb"], points), dtype="str"),
            "weight": rng.random(points),
        },
        geometry=gpd.points_from_xy((west + spot[0] + 180) % 360 - 180, south + spot[1]),
        crs=4326,
    )
    return at if bearing else at.drop(columns="bearing"), images


def tree(folder):
    """Return all files of a folder with their bytes."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files["summary.json"] = {**json.loads(files["summary.json"]), "date": None}
    return files


@given(
    seed=st.integers(0, 10**6), most=st.sampled_from([5, 60, 10**6]), group=st.sampled_from([7, 50, 10**5]),
    piece=st.sampled_from([1, 40, 10**6]), task=st.sampled_from([1, 50, 10**6]), text=st.booleans(),
    nulls=st.booleans(), bearing=st.booleans(), options=OPTIONS, place=st.sampled_from(PLACES),
)  # fmt: skip
@settings(deadline=None, max_examples=15, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_pieces_of_any_size_give_the_rows_of_one_run_and_the_bytes_of_parts(
    seed, most, group, piece, task, text, nulls, bearing, options, place
):
    around, options["srid"] = place
    bearing |= "max_heading_difference" in options
    points, images = country(seed, text=text, nulls=nulls, bearing=bearing, around=around)
    if "region" in options:
        west, south = around
        options["region"] = (west + 0.01, south + 0.01, (west + 0.04 + 180) % 360 - 180, south + 0.03)
    whole = mlygeo.select(points=points, images=images.sample(frac=1, random_state=seed), **options)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        for module, constant, value in (
            (writing, "ROWS_PER_GROUP", group), (at_once, "ROWS_AT_ONCE", piece), (plan, "ROWS_PER_TASK", task),
        ):  # fmt: skip
            patch.setattr(module, constant, value)
        folder = Path(name)
        dataset = write_dataset(images, folder / "images", most, more=SETTLED)
        job = body_of(mlygeo.select)(points=points, images=dataset, **options)
        job.write(folder / "at once")
        body_of(mlygeo.select)(points=points, images=dataset, workers=1, **options).write(folder / "parts")
        assert tree(folder / "at once") == tree(folder / "parts")
        assert frame_bytes(job.result) == frame_bytes(whole)
        assert job.result["point_id"].tolist() == whole["point_id"].tolist()


@pytest.fixture
def world(tmp_path):
    """Points and images of a dataset as `partition` writes it, in several parts and tasks."""
    points, images = country(5)
    mlygeo.write_frame(points, tmp_path / "points.parquet")
    mlygeo.partition(images, tmp_path / "images", rows_per_part=50)
    return {"points": tmp_path / "points.parquet", "images": tmp_path / "images", "srid": 25832}


def test_each_row_is_read_once(world, monkeypatch):
    read = []

    class Counting(PointFile):
        def __init__(self, *given, **named):
            super().__init__(*given, **named)
            read.append(len(self))

    monkeypatch.setattr(at_once, "PointFile", Counting)
    monkeypatch.setattr(plan, "ROWS_PER_TASK", 40)

    mlygeo.select(**world)

    assert 0 < sum(read) <= len(mlygeo.read_frame(world["images"]))


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({}, {"MOST_IMAGES": 299}),
        ({}, {"MOST_BYTES": 10**8}),
        ({"max_distance": None}, {}),
        ({"unique": True}, {}),
        ({"prefer": "newest"}, {}),
        ({"workers": 1}, {}),
    ],
)
def test_what_does_not_fit_is_made_part_by_part(world, monkeypatch, options, limits):
    expected = frame_bytes(mlygeo.select(**world, **options))
    for name, value in limits.items():
        monkeypatch.setattr(at_once, name, value)
    monkeypatch.setattr(at_once, "select", None)  # which nobody calls

    assert frame_bytes(mlygeo.select(**world, **options)) == expected


def test_repeated_ids_that_nobody_settled_are_made_part_by_part(tmp_path, monkeypatch):
    points, images = country(6)
    dataset = write_dataset(images, tmp_path / "images", 50)
    monkeypatch.setattr(at_once, "select", None)
    assert len(mlygeo.select(points=points, images=dataset, srid=25832))


def test_parts_that_a_killed_run_has_left_are_gone_on_from(world, tmp_path, monkeypatch):
    job = body_of(mlygeo.select)
    job(**world).write(tmp_path / "expected")
    monkeypatch.setattr(plan, "ROWS_PER_TASK", 60)
    inner, count = at_once.selection.write_pairs, iter(range(100))

    def killed(*given):
        if next(count) == 2:
            raise RuntimeError
        inner(*given)

    with monkeypatch.context() as patch:
        patch.setattr(at_once.selection, "write_pairs", killed)
        with pytest.raises(RuntimeError):
            job(**world).write(tmp_path / "out")
    left = [*(tmp_path / "out").glob(".mlygeo/selection-*/result/cell=q*/part-0.parquet")]
    assert left
    assert not (tmp_path / "out" / "summary.json").exists()
    monkeypatch.setattr(at_once, "select", None)

    job(**world).write(tmp_path / "out")

    ids = [(tmp_path / name / "image_ids.txt").read_text().split() for name in ("out", "expected")]
    assert sorted(ids[0]) == sorted(ids[1])
    assert not (tmp_path / "out" / ".mlygeo").exists()


def test_points_that_change_meanwhile_are_refused(world, monkeypatch):
    inner = at_once.select

    def changed(planned, progress):
        fewer = open_points(mlygeo.read_frame(world["points"]).iloc[1:], name="the points")
        return inner(replace(planned, points=GivenPoints(fewer)), progress)

    monkeypatch.setattr(at_once, "select", changed)
    with pytest.raises(FrameError, match="changed while it was read"):
        mlygeo.select(**world)


def test_a_dry_run_tells_that_it_is_at_once(world):
    job = body_of(mlygeo.select)(**world, dry_run=True)
    assert job.summary["at_once"]
    assert job.summary["memory_bytes"] > 400e6
    assert "this process makes all at once and needs up to" in job.headline
    apart = body_of(mlygeo.select)(**world, dry_run=True, workers=2)
    assert not apart.summary["at_once"]
    assert "a process needs up to" in apart.headline


def test_points_behind_others_follow_them():
    def some(*ids):
        table = pa.table({"id": pa.array(ids), "lon": [float(each) for each in ids], "lat": [0.5] * len(ids)})
        return TablePoints(table, "some", {})

    both = Behind(some(3, 4), some(1, 2))
    assert len(both) == 4
    assert both.arrow("id").to_pylist() == [1, 2, 3, 4]
    assert [value.as_py() for part in both.parts("id") for value in part] == [1, 2, 3, 4]
    assert both.lonlat[0].tolist() == both.native[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert both.take(np.array([3, 0]))["id"].to_pylist() == [4, 1]
