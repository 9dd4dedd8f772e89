"""The images that look at things are over parts those of one run, to the last bit, whoever makes the parts."""

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
from helpers.over_parts import PLACES, facts, frame_bytes, is_whole, weighed
from helpers.processes import start, wait_for
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import InputError
from mlygeo.parts import plan

STEP = 0.001
"""Degrees between places of images; things lie on a grid twice as fine."""


def street(seed, *, text=False, around=(9.0, 48.75), things=60):
    """Return things of all kinds and sizes, with gaps, and images that look at them, or nowhere that is known."""
    _, images = weighed(seed, text=text, around=around)
    rng = np.random.default_rng(seed)
    count = len(images)
    images["field_of_view"] = rng.choice([np.nan, 40.0, 90.0, 360.0], count)
    images["camera_type"] = pd.Series(rng.choice(["perspective", "spherical", None], count), dtype="str")
    images["camera_parameters"] = pd.Series(rng.choice(["[0.8, 0, 0]", "[0.5]", None], count), dtype="str")
    images["view_angle"] = pd.Series(rng.choice(["wide", "narrow"], count), dtype="str")  # which a selection has, too
    shapes = []
    for number, (x, y) in enumerate(rng.integers(0, 100, (things, 2)) * STEP / 2):
        size = rng.choice([0.0, STEP / 3, 4 * STEP, 0.04])
        ring = shapely.box(x - size, y - size, x + size / 2, y + size)
        kinds = [
            shapely.Point(x, y), shapely.LineString([(x, y), (x + size, y), (x, y + size)]), ring,
            ring.difference(ring.buffer(-size / 4)), shapely.MultiPolygon([ring, shapely.box(x + 2 * size, y, x + 3 * size, y + size)]),
            None, shapely.Polygon(),
        ]  # fmt: skip
        shapes.append(kinds[number % len(kinds)] if size else shapely.Point(x, y))
    west, south = around
    moved = shapely.transform(np.array(shapes, dtype=object), lambda xy: np.add(xy, (west, south)))
    # Across the antimeridian as files have it: longitudes of both signs.
    moved = shapely.transform(moved, lambda xy: np.column_stack([(xy[:, 0] + 180) % 360 - 180, xy[:, 1]]))
    return gpd.GeoDataFrame(
        {"point_id": rng.permutation(things) * 2, "name": "tree", "height": rng.integers(1, 9, things)}, geometry=moved, crs=4326
    ), images  # fmt: skip


def over_parts(things, images, *, most=40, task=60, **options):
    """Return the selection from a dataset with so many rows in a file, and in a task."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "ROWS_PER_TASK", task)
        dataset = write_dataset(images, Path(folder) / "images", most)
        return mlygeo.select(towards=things, images=dataset, **options)


@given(
    seed=st.integers(0, 10**6), most=st.sampled_from([5, 40, 10**6]), task=st.sampled_from([1, 50, 10**6]),
    text=st.booleans(), place=st.sampled_from(PLACES), prefer=st.sampled_from([None, "newest", "rule.toml"]),
    options=st.fixed_dictionaries(
        {"max_distance": st.sampled_from([60.0, 500.0]), "k": st.sampled_from([1, 3])},
        optional={
            "min_distance": st.sampled_from([10.0, 50.0]), "apart": st.sampled_from([20.0, 120.0]),
            "field_of_view": st.sampled_from([60, 360]), "since": st.just("2019"), "region": st.just(True),
        },
    ),
)  # fmt: skip
@settings(deadline=None, max_examples=10, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_cut_gives_the_images_of_one_run(tmp_path_factory, seed, most, task, text, place, prefer, options):
    around, options["srid"] = place
    if prefer == "rule.toml":
        prefer = tmp_path_factory.getbasetemp() / "looking.toml"
        prefer.write_text("[weights]\nheading = 0.5\ndistance = 0.3\nage = 0.2\n")
    if prefer is not None:
        options["prefer"] = prefer
    if options["k"] == 1:
        options.pop("apart", None)
    things, images = street(seed, text=text, around=around)
    if "region" in options:
        west, south = around
        options["region"] = (west + 0.01, south + 0.01, (west + 0.04 + 180) % 360 - 180, south + 0.03)
    whole = mlygeo.select(towards=things, images=images.sample(frac=1, random_state=seed), **options)
    parts = over_parts(things, images, most=most, task=task, **options)
    assert frame_bytes(parts) == frame_bytes(whole)
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])
    assert parts["point_id"].tolist() == whole["point_id"].tolist()


@pytest.mark.parametrize("srid", [None, 3832])
@pytest.mark.parametrize("written", ["with both signs", "split"])
def test_a_thing_across_the_antimeridian_is_looked_at_as_elsewhere(srid, written):
    """As beside another meridian where zones of UTM meet; two of its walls are beyond the antimeridian."""

    def scene(meridian):
        house = shapely.box(-0.001, -0.001, 0.001, 0.001)
        if written == "split":
            house = shapely.MultiPolygon([shapely.box(-0.001, -0.001, 0, 0.001), shapely.box(0, -0.001, 0.001, 0.001)])
        shapes = [house, shapely.Point(0.01, 0), shapely.Point(1, 1)]
        moved = shapely.transform(np.array(shapes, dtype=object), lambda xy: np.add(xy, (meridian, -17.0)))
        if meridian == 180 and written == "split":
            moved[0] = shapely.MultiPolygon(
                [shapely.box(179.999, -17.001, 180, -16.999), shapely.box(-180, -17.001, -179.999, -16.999)]
            )
        elif meridian == 180:
            moved = shapely.transform(moved, lambda xy: np.column_stack([(xy[:, 0] + 180) % 360 - 180, xy[:, 1]]))
        spots = np.array([[-0.0014, 0], [0.0013, 0.0004], [0.0101, 0.0002], [0.3, 0.3], [0.0, 0.0012]])
        lon, lat = np.add(spots, (meridian, -17.0)).T
        images = gpd.GeoDataFrame(
            {"id": np.arange(5), "is_pano": True},
            geometry=gpd.points_from_xy(np.where(lon > 180, lon - 360, lon), lat), crs=4326,
        )  # fmt: skip
        return gpd.GeoDataFrame(geometry=moved, crs=4326), images

    options = {"max_distance": 60.0, "k": 9}
    there = mlygeo.select(towards=scene(174)[0], images=scene(174)[1], srid=srid, **options)
    here = mlygeo.select(towards=scene(180)[0], images=scene(180)[1], srid=srid, **options)
    assert there[["point_id", "id", "rank"]].to_numpy().tolist() == here[["point_id", "id", "rank"]].to_numpy().tolist()
    assert set(zip(here["point_id"], here["id"], strict=True)) == {(0, 0), (0, 1), (0, 4), (1, 2)}
    assert here["distance_m"].to_numpy() == pytest.approx(there["distance_m"].to_numpy(), abs=0.05)
    for task in (1, 10**6):
        assert frame_bytes(over_parts(*scene(180), task=task, srid=srid, **options)) == frame_bytes(here)


def test_what_lies_along_a_thing_wider_than_half_the_earth_is_found_beside_others():
    line = shapely.LineString([(-100, 0), (100, 0)])
    other = shapely.Point(170, 0)
    images = gpd.GeoDataFrame(
        {"id": [1, 2, 3], "is_pano": True}, geometry=gpd.points_from_xy([0.0, 170.0, 50.0], [0.0002] * 3), crs=4326
    )
    options = {"images": images, "srid": 3857, "max_distance": 100.0, "k": 9}
    alone = mlygeo.select(towards=gpd.GeoDataFrame(geometry=[line], crs=4326), **options)
    beside = mlygeo.select(towards=gpd.GeoDataFrame(geometry=[line, other], crs=4326), **options)
    assert alone["id"].tolist() == [1, 3]
    assert beside["id"].tolist() == [1, 3, 2]


def test_a_thing_near_a_pole_is_refused_with_its_place():
    things = gpd.GeoDataFrame(geometry=[shapely.Point(12.0, 89.9999)], crs=4326)
    images = gpd.GeoDataFrame({"id": [1], "is_pano": True}, geometry=[shapely.Point(12.0, 80.0)], crs=4326)
    with pytest.raises(InputError, match=r"within 50 m of things around 12\.000, 90\.000") as caught:
        over_parts(things, images, max_distance=50.0)
    assert "leave out things near a pole" in caught.value.hint


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with streets of the earth in cells of their own, some without images, and what is selected."""
    folder = tmp_path_factory.mktemp("world")
    spots = [(lon, lat) for lon in (-45.0, 0.0, 22.5, 45.0) for lat in (0.0, 41.2, 52.0)]
    made = [street(number, around=around) for number, around in enumerate(spots)]
    things = pd.concat([things for things, _ in made], ignore_index=True)
    images = pd.concat([images for _, images in made[2:]], ignore_index=True)
    things["point_id"] = np.random.default_rng(1).permutation(len(things))
    images = images.drop(columns="score").assign(id=np.arange(len(images)) % 3900 + 1)
    write_dataset(images, folder / "images", 1000)
    things.to_file(folder / "things.gpkg")
    done = program(*words_of(folder), "-o", str(folder / "expected"))
    assert done.returncode == 0, done.stderr
    return folder


def words_of(world):
    files = [str(world / "things.gpkg"), "--images", str(world / "images")]
    return ["select", "--towards", *files, "--max-distance", "300", "--k", "2", "--apart", "30"]


def test_the_files_are_those_of_one_run(world):
    found = mlygeo.read_frame(world / "expected" / "selection")
    options = {"towards": world / "things.gpkg", "max_distance": 300, "k": 2, "apart": 30}
    whole = mlygeo.select(images=mlygeo.read_frame(world / "images"), **options)
    assert frame_bytes(found[whole.columns]) == frame_bytes(whole)
    summary = json.loads((world / "expected" / "summary.json").read_text())
    expected = json.loads(json.dumps(facts(whole.attrs["summary"])))
    assert {name: summary[name] for name in expected} == expected
    assert summary["left_out"]["flat images without a heading"] > 100
    middles = mlygeo.read_frame(world / "expected" / "street_points.parquet")
    given_things = gpd.read_file(world / "things.gpkg")
    is_placed = np.isfinite(given_things.geometry.bounds["minx"])
    assert sorted(middles["height"]) == sorted(given_things["height"][is_placed])


def test_processes_threads_and_shares_give_the_same(world, tmp_path, capsys):
    status, _, said = run(capsys, *words_of(world), "--workers", "2", "-o", tmp_path / "workers")
    assert status == 0
    assert "with an image within 300 m that looks at them" in said
    assert is_whole(tmp_path / "workers", world)
    options = {"towards": world / "things.gpkg", "max_distance": 300, "k": 2, "apart": 30}
    with ThreadPoolExecutor(2) as threads:
        frame = mlygeo.select(images=world / "images", executor=threads, **options)
    assert frame_bytes(frame) == frame_bytes(mlygeo.select(images=world / "images", **options))
    for share in ("2/2", "1/2"):
        status, _, said = run(capsys, *words_of(world), "--part", share, "-o", tmp_path / "shares")
        assert status == 0
    assert "the same command without --part brings them together" in said
    assert run(capsys, *words_of(world), "-o", tmp_path / "shares")[0] == 0
    assert is_whole(tmp_path / "shares", world)


def test_a_killed_run_goes_on_where_it_was_and_other_things_are_another_run(world, tmp_path):
    out = tmp_path / "out"
    process = start([PROGRAM, *words_of(world), "--workers", "1", "-o", out])
    wait_for(lambda: [*out.glob(".mlygeo/selection-*/result/*/part-0.parquet")], process)
    process.kill()
    process.wait()
    assert not (out / "summary.json").exists()
    done = {path: path.stat().st_ino for path in out.glob(".mlygeo/selection-*/result/*/part-0.parquet")}
    other = gpd.read_file(world / "things.gpkg")
    other.geometry = other.geometry.scale(1.1, 1.1)  # whose middles are the same
    other.to_file(tmp_path / "other.gpkg")
    words = [str(tmp_path / "other.gpkg") if word.endswith("things.gpkg") else word for word in words_of(world)]
    assert program(*words, "--part", "1/9", "-o", str(out)).returncode == 0
    assert len([*out.glob(".mlygeo/selection-*")]) == 2
    assert {path: path.stat().st_ino for path in done} == done
    assert program(*words_of(world), "-o", str(out)).returncode == 0
    assert is_whole(out, world)
