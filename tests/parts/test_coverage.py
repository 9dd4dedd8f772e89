"""A coverage over parts is that of one run, to the last bit: over random cuts, files, orders and ways to run it."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from helpers.command_line import PROGRAM, program, run
from helpers.datasets import write_dataset
from helpers.processes import start, wait_for
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from shapely import LineString

import mlygeo
from mlygeo.errors import InputError
from mlygeo.parts import coverage as step
from mlygeo.parts import plan, surroundings
from mlygeo.spatial import cells, geodesy


def frame_bytes(frame):
    """Return rows as bytes, with the columns' names and dtypes."""
    table = pd.DataFrame(frame.drop(columns="geometry"))
    table["wkb"] = frame.geometry.to_wkb()
    return [str(table.dtypes.to_dict()), table.to_csv(index=False, float_format="%.17g")]


def facts(summary):
    # The sum of all geodesic lengths, from the reader of streets, hangs on their order.
    return {key: value for key, value in summary.items() if key not in {"inputs", "run", "network"}}


def city(seed, *, images=160, streets=24, text=False, nulls=False, around=(9.0, 48.75), spread=0.05):
    """Return streets, one of them long, and images on a grid beside them: with ties, repeated rows and ids."""
    rng = np.random.default_rng(seed)
    steps = spread / 200
    west, south = around
    lines = []
    for number in range(streets):
        start = rng.integers(0, 200, 2)
        way = rng.integers(-3, 4, (rng.integers(1, 6), 2))
        way[0] += way[0] == 0
        at = np.vstack([start, start + np.cumsum(way, axis=0)]) * steps
        if number == 0:
            at = np.array([[0.0, 0.0], [1.0, 0.3], [1.0, 1.0]]) * spread
        lines.append(at + np.array([west, south]))
    edges = gpd.GeoDataFrame(
        {
            "u": rng.integers(0, 9, streets), "v": rng.integers(0, 9, streets), "key": np.arange(streets) % 2,
            "osmid": pd.Series(np.arange(streets).astype(str), dtype="str"),
            "highway": pd.Series(rng.choice(["residential", "primary"], streets), dtype="str"),
            "name": pd.Series(["a"] * streets, dtype="str"),
        },
        geometry=[LineString(np.column_stack([(line[:, 0] + 180) % 360 - 180, line[:, 1]])) for line in lines],
        crs=4326,
    )  # fmt: skip
    of = rng.integers(0, streets, images)
    place = np.array([line[rng.integers(len(line))] for line in (lines[each] for each in of)])
    place += rng.integers(-1, 2, (images, 2)) * steps / 3
    number = rng.permutation(images) + 1
    frame = gpd.GeoDataFrame(
        {
            "id": number.astype("int64"),
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, images), unit="s", utc=True).as_unit("ms"),
            "is_pano": rng.random(images) < 0.3,
            "creator_id": pd.array(rng.integers(1, 4, images), dtype="Int64"),
        },
        geometry=gpd.points_from_xy((place[:, 0] + 180) % 360 - 180, place[:, 1]),
        crs=4326,
    )
    if text:
        frame["sequence_id"] = pd.Series(rng.choice(["s1", "s2", "s3", "s4", "s5", "s6"], images), dtype="str")
        provider = rng.choice(["mapillary", "panoramax"], images)
        frame["id"] = pd.Series(np.where(provider == "mapillary", number.astype(str), "p"), dtype="str")
        frame["id"] += np.where(provider == "mapillary", "", number.astype(str))
        frame["provider"] = pd.Series(provider, dtype="str")
        frame["licence"] = pd.Series(rng.choice(["CC0-1.0", "CC-BY-SA-4.0"], images), dtype="str")
        frame["creator"] = pd.Series(rng.choice(["Ann", "Ben"], images), dtype="str")
        frame["creator_id"] = pd.Series(rng.choice(["x", "y", "z"], images), dtype="str")
        frame["captured_at"] = frame["captured_at"].dt.as_unit("us")
    if nulls:
        frame.loc[rng.random(images) < 0.1, "captured_at"] = pd.NaT
        if text:
            frame.loc[rng.random(images) < 0.1, "sequence_id"] = None
        frame.loc[rng.random(images) < 0.1, "creator_id"] = None if text else pd.NA
        frame.loc[rng.random(images) < 0.05, "geometry"] = None
    odd = pd.to_datetime(["1969-07-20", "2999-01-01"], utc=True).as_unit(frame["captured_at"].dt.unit)
    frame.loc[rng.random(images) < 0.1, "captured_at"] = odd[seed % 2]
    again = frame.iloc[rng.integers(0, images, images // 10)]
    other = frame.iloc[rng.integers(0, images, images // 20)].copy()
    other["is_pano"] = ~other["is_pano"]
    return edges, pd.concat([frame, again, other], ignore_index=True)


def halves(around):
    """Two districts that overlap, and leave some of the streets out."""
    west, south = (around[0] + 0.01 + 180) % 360 - 180, around[1] - 1
    shapes = [
        shapely.box(west, south, west + 0.005, south + 1.02),
        shapely.box(west + 0.004, south, west + 0.009, 49.9),
    ]
    return gpd.GeoDataFrame({"name": ["one", "two"]}, geometry=shapes, crs=4326)


PLACES = [((9.0, 48.75), 25832), ((9.0, 48.75), None), ((179.97, -17.0), None), ((3.0, -0.02), 3857)]
"""Where streets lie, west and south, and the srid: also across the antimeridian and the equator."""

OPTIONS = st.fixed_dictionaries(
    {"distance": st.sampled_from([1e-3, 20.0, 35.0, 400.0])},
    optional={"by": st.sampled_from([["year", "hour"], ["creator", "season", "highway"]]),
              "time_zone": st.sampled_from(["Europe/Berlin", "solar", "local"]), "since": st.just("2020-06"),
              "min_gap": st.just(0.0), "compare": st.just(["../2020", "2020/.."]), "expected": st.just(True), "cells": st.just("quadkey18"), "districts": st.just("halves")},
).filter(lambda options: "by" not in options or "time_zone" in options)  # fmt: skip


@given(
    seed=st.integers(0, 10**6), most=st.sampled_from([5, 40, 300, 10**6]), task=st.sampled_from([1, 30, 200, 10**6]),
    text=st.booleans(), nulls=st.booleans(), options=OPTIONS, place=st.sampled_from(PLACES), in_box=st.booleans(),
    at_once=st.sampled_from([7, 10**6]),
)  # fmt: skip
@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_cut_gives_the_answer_of_one_run(seed, most, task, text, nulls, options, place, in_box, at_once):
    around, srid = place
    streets, images = city(seed, text=text, nulls=nulls, around=around)
    if "districts" in options:
        options = {**options, "districts": halves(around)}
        options |= {"by": [*options["by"], "district"]} if "by" in options else {}
    if options.get("expected"):
        options |= {"by": [*options["by"], "highway"]} if "by" in options else {}
    whole = mlygeo.coverage(streets=streets, images=images.sample(frac=1, random_state=seed), srid=srid, **options)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "ROWS_PER_TASK", task)
        patch.setattr(surroundings, "MOST_IN_BOX", 10**6 if in_box else 0)
        patch.setattr(step, "PLACES_AT_ONCE", at_once)
        dataset = write_dataset(images, Path(folder) / "images", most)
        parts = mlygeo.coverage(streets=streets.sample(frac=1, random_state=seed), images=dataset, srid=srid, **options)
    assert frame_bytes(parts) == frame_bytes(whole)
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])


def test_times_that_no_image_has_are_counted_of_images_near_streets(tmp_path, capsys):
    streets = gpd.GeoDataFrame(
        {"u": [1], "v": [2], "key": [0]}, geometry=[LineString([(9.0, 48.75), (9.01, 48.75)])], crs=4326
    )
    images = gpd.GeoDataFrame(
        {
            "id": range(1, 6),
            "captured_at": pd.to_datetime(["1969-07-20", "2999-01-01", "2024-01-01", None, "2999-01-01"], utc=True).as_unit("ms"),
        },
        geometry=gpd.points_from_xy([9.001, 9.002, 9.003, 9.004, 9.5], [48.75] * 5),
        crs=4326,
    )  # fmt: skip
    expected = {"rows whose captured_at is before 1970": 1, "rows whose captured_at is in the future": 1}
    mlygeo.write_frame(streets, tmp_path / "streets.parquet")
    for given_images in (images, write_dataset(images, tmp_path / "images", 2)):
        found = mlygeo.coverage(streets=streets, images=given_images)
        assert found.attrs["summary"]["problems"] == expected
    words = ["coverage", "--streets", tmp_path / "streets.parquet", "--images", tmp_path / "images"]
    status, _, said = run(capsys, *words, "-o", tmp_path / "out")
    assert status == 0
    assert "in doubt: rows whose captured_at is before 1970 (1), rows whose captured_at is in the future (1)" in said
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["problems"] == expected
    usual = images.assign(captured_at=images["captured_at"].iloc[2])
    assert mlygeo.coverage(streets=streets, images=usual).attrs["summary"]["problems"] == {}


@pytest.mark.parametrize(("text", "place"), [(False, PLACES[1]), (True, PLACES[2])])
def test_districts_and_expected_images_of_parts_are_those_of_one_run(text, place, tmp_path, monkeypatch):
    around, srid = place
    streets, images = city(7, text=text, nulls=True, around=around)
    given = {
        "streets": streets,
        "srid": srid,
        "distance": 60.0,
        "districts": halves(around),
        "expected": True,
        "cells": "h3:9",
    }
    given["compare"] = ["mapillary", "panoramax"] if text else ["../2020", "2019/.."]
    monkeypatch.setattr(plan, "ROWS_PER_TASK", 20)
    monkeypatch.setattr(step, "PLACES_AT_ONCE", 9)
    jobs = [
        mlygeo.coverage.body(images=each, **given) for each in (images, write_dataset(images, tmp_path / "images", 30))
    ]
    folders = [tmp_path / "whole", tmp_path / "parts"]
    for job, folder in zip(jobs, folders, strict=True):
        job.write(folder)
    summaries = [facts(job.summary) for job in jobs]
    assert summaries[0] == summaries[1]
    assert {row["value"] for row in summaries[0]["by"]["district"]} == {"one", "two", None}
    assert summaries[0]["districts"]["in_several_m"] > 0
    assert min(summaries[0]["compared"][name] for name in ("both_m", "gained_m", "lost_m")) > 0
    if text:
        assert summaries[0]["expected"]["sequences"] == 7
        assert any(row["ratio_low"] for row in summaries[0]["by"]["highway"])
    for name in ("districts.parquet", "cells.parquet", "compared.parquet"):
        made = [mlygeo.read_frame(folder / name) for folder in folders]
        assert frame_bytes(made[0]) == frame_bytes(made[1])


def test_streets_across_the_antimeridian_reach_images_on_both_sides(tmp_path):
    streets, _ = city(1, streets=2, around=(179.9, -17.0))
    streets.geometry = [LineString([(179.99, -17.0), (-179.99, -17.0)]), LineString([(179.9, -16.9), (179.95, -16.9)])]
    at = gpd.points_from_xy([179.995, 180.0, -180.0, -179.995, 179.0], [-17.0] * 5)
    images = gpd.GeoDataFrame({"id": np.arange(5) + 1}, geometry=at, crs=4326)

    parts = mlygeo.coverage(streets=streets, images=write_dataset(images, tmp_path / "images", 1), distance=25)

    assert frame_bytes(parts) == frame_bytes(mlygeo.coverage(streets=streets, images=images, distance=25))
    assert parts["images"].max() == 4


def test_streets_whose_surroundings_hold_a_pole_are_refused(tmp_path):
    streets, images = city(1, around=(9.0, 84.0), spread=0.01)
    with pytest.raises(InputError, match="no box in degrees holds all that is within 900000 m of streets"):
        mlygeo.coverage(streets=streets, images=write_dataset(images, tmp_path / "images"), distance=900_000)


def test_a_long_road_does_not_read_what_lies_in_its_box(tmp_path):
    lonlat = np.stack([np.linspace(9.0, 10.0, 21), np.linspace(48.0, 49.0, 21)], axis=1)
    area = surroundings.of_lines(lonlat, np.array([0, 21]), geodesy.projection(25832), 20.0)
    lon, lat = np.meshgrid(np.arange(9.0, 10.0, 0.02), np.arange(48.0, 49.0, 0.02))
    inside = area.has(cells.codes(lon.ravel(), lat.ravel(), 14), 14)
    assert 0.01 < inside.mean() < 0.1
    along = geodesy.projection(25832).forward(*lonlat.T)
    points = geodesy.projection(25832).inverse(
        *(np.interp(np.linspace(0, 20, 5000), np.arange(21), each) for each in along)
    )
    assert area.has(cells.codes(*points, 14), 14).all()


def test_ids_that_stand_twice_are_counted_as_in_one_run_and_a_settled_dataset_has_none(tmp_path):
    streets, images = city(5, text=True)
    mlygeo.write_frame(images, tmp_path / "images.parquet")
    mlygeo.partition(tmp_path / "images.parquet", output=tmp_path / "settled", rows_per_part=50)
    settled = mlygeo.coverage(streets=streets, images=tmp_path / "settled")
    assert {*settled.attrs["summary"]["problems"]} == {"rows whose captured_at is in the future"}
    once = mlygeo.read_frame(tmp_path / "settled", frame="images")
    whole = mlygeo.coverage(streets=streets, images=once)
    assert frame_bytes(settled) == frame_bytes(whole)
    assert settled.attrs["summary"]["providers"] == whole.attrs["summary"]["providers"]
    assert settled.attrs["summary"]["attribution"] == whole.attrs["summary"]["attribution"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with streets and images in 16 places of the earth, each in a cell of its own; and their coverage."""
    folder = tmp_path_factory.mktemp("world")
    towns = [city(seed, images=60, streets=12, around=(-70 + 20.0 * (seed % 8), 20 + 20.0 * (seed // 8)), spread=0.01)
             for seed in range(16)]  # fmt: skip
    streets, images = (pd.concat(each, ignore_index=True) for each in zip(*towns, strict=True))
    images["id"] = np.arange(len(images)) + 1
    write_dataset(images, folder / "images", 200)
    mlygeo.write_frame(streets.drop(columns=["osmid"]), folder / "streets.parquet")
    done = program(*words_of(folder), "-o", str(folder / "expected"))
    assert done.returncode == 0, done.stderr
    return folder


def words_of(world):
    files = ["--streets", str(world / "streets.parquet"), "--images", str(world / "images")]
    return ["coverage", *files, "--srid", "3857", "--distance", "40"]


def tree(folder):
    """Return all files of a folder with their bytes; the summary without the day."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return files | {"summary.json": {**json.loads(files["summary.json"]), "date": None}}


def parts_of(folder):
    return len([*folder.glob(".mlygeo/coverage-*/result/cell=q*/part-0.parquet")])


def test_who_does_the_parts_makes_no_difference(world, tmp_path, capsys):
    assert {"coverage.parquet", "gaps.parquet", "summary.json", "coverage.png"} == {*tree(world / "expected")}
    status, printed, said = run(capsys, *words_of(world), "--workers", "2", "-o", tmp_path / "out")
    assert status == 0
    assert "parts: 16 of 16 parts" in said
    assert "street class" in printed
    assert tree(tmp_path / "out") == tree(world / "expected")
    for share in ("2/2", "1/2"):
        status, _, said = run(capsys, *words_of(world), "--part", share, "-o", tmp_path / "shared")
        assert (status, "8 by this run" in said) == (0, True)
        assert not (tmp_path / "shared" / "summary.json").exists()
    assert run(capsys, *words_of(world), "-o", tmp_path / "shared")[0] == 0
    assert tree(tmp_path / "shared") == tree(world / "expected")
    with ThreadPoolExecutor(2) as threads:
        found = mlygeo.coverage(
            streets=world / "streets.parquet", images=world / "images", srid=3857, distance=40, executor=threads
        )
    assert frame_bytes(found) == frame_bytes(mlygeo.read_frame(world / "expected" / "coverage.parquet"))


def test_a_dry_run_tells_the_parts_and_does_nothing(world, tmp_path, capsys):
    status, out, said = run(capsys, *words_of(world), "--dry-run", "--json", "-o", tmp_path / "out")
    assert status == 0
    assert not (tmp_path / "out").exists()
    assert json.loads(out)["parts"] == 16
    assert json.loads(out)["streets"] == len(mlygeo.read_frame(world / "expected" / "coverage.parquet"))
    assert "a process needs up to 250 MB" in said


def test_a_killed_run_goes_on_where_it_was(world, tmp_path):
    out = tmp_path / "out"
    for workers in ("2", "1"):
        done = parts_of(out)
        process = start([PROGRAM, *words_of(world), "--workers", workers, "-o", out])
        wait_for(lambda done=done: parts_of(out) > done, process)
        process.kill()
        process.wait()
        assert not (out / "summary.json").exists()
    assert program(*words_of(world), "-o", str(out)).returncode == 0
    assert tree(out) == tree(world / "expected")


def test_a_run_without_parts_leaves_nothing_of_a_killed_one(world, tmp_path, capsys):
    assert run(capsys, *words_of(world), "--part", "1/2", "-o", tmp_path / "out")[0] == 0
    mlygeo.write_frame(mlygeo.read_frame(world / "images"), tmp_path / "all.parquet")
    words = [str(tmp_path / "all.parquet") if word == str(world / "images") else word for word in words_of(world)]
    assert run(capsys, *words, "-o", tmp_path / "out")[0] == 0
    assert {*(path.name for path in (tmp_path / "out").rglob("*"))} == {
        "coverage.parquet", "gaps.parquet", "summary.json", "coverage.png",
    }  # fmt: skip
    found = mlygeo.read_frame(tmp_path / "out" / "coverage.parquet")
    assert frame_bytes(found) == frame_bytes(mlygeo.read_frame(world / "expected" / "coverage.parquet"))


def test_a_coverage_does_not_change_its_images(world, capsys):
    before = {path: path.read_bytes() for path in (world / "images").rglob("*") if path.is_file()}
    status, _, said = run(capsys, *words_of(world), "-o", world / "images" / "out")
    assert (status != 0, "which would be changed" in said) == (True, True)
    assert {path: path.read_bytes() for path in (world / "images").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("option", [{"scheduler": "tcp://127.0.0.1:1"}, {"part": "1/2"}, {"dry_run": True}])
def test_without_a_dataset_they_are_of_no_use(option):
    streets, images = city(1)
    with pytest.raises(InputError, match="no effect without a dataset as `images`"):
        mlygeo.coverage(streets=streets, images=images, **option)
