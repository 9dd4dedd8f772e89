"""What hangs on the image of the nearest other point is over parts what it is in one run, whoever makes the parts."""

import json
from concurrent.futures import ThreadPoolExecutor

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.command_line import PROGRAM, program, run
from helpers.datasets import write_dataset
from helpers.over_parts import PLACES, country, facts, frame_bytes, is_whole, over_parts, weighed
from helpers.processes import start, wait_for
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.parts import neighbours

RULE = """
[weights]
distance = 0.4
same_sequence = 0.3
age = 0.1

[scales]
distance_m = 300
"""

FAR = ((-60.0, 10.0), (100.0, -30.0), (9.4, 48.9))
"""Places of points that have no other near them."""


@pytest.fixture(scope="module")
def rule(tmp_path_factory):
    path = tmp_path_factory.mktemp("rule") / "rule.toml"
    path.write_text(RULE)
    return path


@given(
    seed=st.integers(0, 10**6), most=st.sampled_from([5, 40, 10**6]), task=st.sampled_from([1, 50, 10**6]),
    at_once=st.sampled_from([1, 10, 10**6]), text=st.booleans(), place=st.sampled_from(PLACES),
    points_are=st.sampled_from(["apart", "twice", "few", "planar"]),
    options=st.fixed_dictionaries(
        {"max_distance": st.sampled_from([30.0, 500.0, 1500.0]), "k": st.sampled_from([1, 1, 3])},
        optional={
            "max_along": st.just(900.0), "per": st.sampled_from(["year", "sequence", "creator"]),
            "max_heading_difference": st.just(40.0), "since": st.just("2019"),
        },
    ),
)  # fmt: skip
@settings(deadline=None, max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_cut_gives_the_sequences_of_one_run(rule, seed, most, task, at_once, text, place, points_are, options):
    around, srid = place
    points, images = weighed(seed, text=text, around=around)
    if points_are == "twice":  # at the same places, where the lowest id is the neighbour
        points = pd.concat([points, points.assign(point_id=points["point_id"] + 1)], ignore_index=True)
    elif points_are == "few":
        points = points.iloc[: seed % 3 + 1]
    elif points_are == "planar" and srid is not None:
        points = points.to_crs(srid)
    options |= {"srid": srid, "prefer": rule}
    whole = mlygeo.select(points=points, images=images.sample(frac=1, random_state=seed), **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "MOST_POINTS", at_once)
        parts = over_parts(points, images, most=most, task=task, **options)
    assert frame_bytes(parts) == frame_bytes(whole)
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])


def test_a_neighbour_in_another_part_of_the_world_counts(rule):
    """Each point has the other as its neighbour, hundreds of kilometres away, and takes an image of its sequence."""
    steps = np.array([[0.0, 0.0002], [0.0, 0.0003]])
    places = [
        (lon, lat + step) for (lon, lat), own in zip([(9.0, 48.75), (12.0, 50.5)], steps, strict=True) for step in own
    ]
    images = gpd.GeoDataFrame(
        {
            "id": [1, 2, 3, 4],
            "captured_at": pd.to_datetime(["2020-01-01"] * 4, utc=True).as_unit("ms"),
            "sequence_id": pd.Series(["a", "b", "b", "a"], dtype="str"),
        },
        geometry=gpd.points_from_xy(*zip(*places, strict=True)),
        crs=4326,
    )
    points = gpd.GeoDataFrame({"point_id": [7, 8]}, geometry=images.geometry.iloc[[0, 2]].to_numpy(), crs=4326)
    options = {"prefer": rule, "srid": 25832, "force_srid": True}
    whole = mlygeo.select(points=points, images=images, **options)
    assert whole["id"].tolist() == [2, 4]
    assert frame_bytes(over_parts(points, images, task=1, most=1, **options)) == frame_bytes(whole)


@pytest.fixture(scope="module")
def world(tmp_path_factory, rule):
    """A folder with crowded places of the earth in cells of their own, points far from all, and what is selected."""
    folder = tmp_path_factory.mktemp("world")
    spots = [(lon, lat) for lon in (-45.0, 0.0, 22.5, 45.0) for lat in (0.0, 41.2, 52.0)]
    made = [weighed(number, around=around) for number, around in enumerate(spots)]
    alone = country(99, points=len(FAR))[0].set_geometry(gpd.points_from_xy(*zip(*FAR, strict=True)), crs=4326)
    points = pd.concat([*(points for points, _ in made), alone], ignore_index=True)
    images = pd.concat([images for _, images in made], ignore_index=True)
    points["point_id"] = np.random.default_rng(1).permutation(len(points))
    images["id"] = np.arange(len(images)) % 4400 + 1
    write_dataset(images, folder / "images", 1000)
    mlygeo.write_frame(points, folder / "points.parquet")
    done = program(*words_of(folder, rule), "-o", str(folder / "expected"))
    assert done.returncode == 0, done.stderr
    return folder


def words_of(world, rule):
    files = [str(world / "points.parquet"), "--images", str(world / "images")]
    return ["select", "--points", *files, "--max-distance", "500", "--prefer", str(rule)]


def test_the_parts_have_the_rows_of_one_run(world, rule):
    found = mlygeo.read_frame(world / "expected" / "selection")
    options = {"points": world / "points.parquet", "max_distance": 500, "prefer": rule}
    whole = mlygeo.select(images=mlygeo.read_frame(world / "images"), **options)
    assert frame_bytes(found[whole.columns]) == frame_bytes(whole)
    assert 0 < whole["term_same_sequence"].mean() < 1
    assert len([*(world / "expected" / "selection").iterdir()]) == 8


def test_processes_threads_and_shares_give_the_same(world, rule, tmp_path, capsys):
    words = words_of(world, rule)
    status, _, said = run(capsys, *words, "--workers", "2", "-o", tmp_path / "workers")
    assert status == 0
    assert said.index("first choices: ") < said.index("parts: ")
    assert is_whole(tmp_path / "workers", world)
    options = {"points": world / "points.parquet", "max_distance": 500, "prefer": rule}
    with ThreadPoolExecutor(2) as threads:
        frame = mlygeo.select(images=world / "images", executor=threads, **options)
    assert frame_bytes(frame) == frame_bytes(mlygeo.select(images=world / "images", **options))
    out = tmp_path / "shares"
    said = []
    for share in ("2/2", "1/2", "2/2"):
        status, _, text = run(capsys, *words, "--part", share, "-o", out)
        assert status == 0
        said.append(text)
    number = len([*out.glob(".mlygeo/selection-*/firsts/result/*/part-0.parquet")])
    assert f"first choices of {number // 2} of {number} parts are there" in said[0]
    assert f"{number - number // 2} of {number} parts are done" in said[1]
    assert "the same command without --part brings them together" in said[2]
    assert run(capsys, *words, "-o", out)[0] == 0
    assert is_whole(out, world)


def test_a_killed_run_goes_on_where_it_was(world, rule, tmp_path):
    out, kept = tmp_path / "out", {}
    for where in ("firsts/plan.json", "firsts/result/*/part-0.parquet", "result/*/part-0.parquet"):
        process = start([PROGRAM, *words_of(world, rule), "--workers", "1", "-o", out])
        wait_for(lambda where=where: [*out.glob(f".mlygeo/selection-*/{where}")], process)
        process.kill()
        process.wait()
        assert not (out / "summary.json").exists()
        done = {path: path.stat().st_ino for path in out.glob(".mlygeo/selection-*/**/part-0.parquet")}
        assert kept.items() <= done.items()
        kept = done
    assert program(*words_of(world, rule), "-o", str(out)).returncode == 0
    assert is_whole(out, world)


def test_a_dry_run_tells_that_parts_are_made_twice(world, rule, tmp_path, capsys):
    told = {}
    for name, words in {"once": words_of(world, rule)[:-2], "twice": words_of(world, rule)}.items():
        status, out, said = run(capsys, *words, "--workers", "1", "--dry-run", "--json", "-o", tmp_path / "out")
        assert status == 0
        told[name] = json.loads(out)["seconds"]
        assert ("each part is made twice" in said) == (name == "twice")
    assert told["twice"] == pytest.approx(2 * told["once"], abs=0.2)
