"""Each image to one point over parts: the pairs of one run, however the world is cut, and whoever does the parts."""

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.command_line import PROGRAM, program, run
from helpers.datasets import write_dataset
from helpers.over_parts import facts, is_whole
from helpers.processes import start, wait_for
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FileError, InputError
from mlygeo.parts import plan, rounds, selection
from mlygeo.spatial import geodesy

STEP = 1e-5
"""Degrees; distances between places on such a grid are often equal."""


def rows(frame):
    """Return rows in one order as text, to the last bit, with the columns' dtypes."""
    table = pd.DataFrame(frame.drop(columns="geometry")).assign(wkb=frame.geometry.to_wkb(hex=True))
    table = table.sort_values(["point_id", "rank"], ignore_index=True)
    return str(table.dtypes.to_dict()), table.to_csv(index=False, float_format="%.17g")


def crowd(seed, *, images, points, wide_m, around, grid=STEP, text=False):
    """Return points and images around the corner of cells, with ties, gaps, and ids that stand in several rows."""
    rng = np.random.default_rng(seed)
    wide = wide_m / 111_000

    def some(count):
        lon, lat = (middle + np.round(rng.uniform(-wide / 2, wide / 2, count) / grid) * grid for middle in around)
        return gpd.GeoSeries.from_xy((lon + 180) % 360 - 180, lat, crs=4326)

    number = rng.permutation(images) + 1
    number[: images // 20] = number[rng.integers(0, images, images // 20)]
    frame = gpd.GeoDataFrame(
        {
            "id": number.astype("int64"),
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, images), unit="s", utc=True).as_unit("ms"),
            "compass_angle": np.where(rng.random(images) < 0.1, np.nan, rng.integers(0, 360, images)),
            "is_pano": rng.random(images) < 0.3,
            "rank": rng.integers(0, 3, images),
        },
        geometry=some(images),
    )
    frame.loc[rng.random(images) < 0.02, "geometry"] = None
    if text:
        frame["provider"] = pd.Series(rng.choice(["mapillary", "panoramax"], images), dtype="str")
        words = np.where(frame["provider"] == "mapillary", number.astype(str), np.char.add("a", number.astype(str)))
        frame["id"] = pd.Series(words, dtype="str")
    at = gpd.GeoDataFrame(
        {"point_id": rng.permutation(points) * 3, "bearing": rng.integers(0, 360, points).astype(float)},
        geometry=some(points),
    )
    return at, frame


def over_parts(points, images, *, most=40, task=60, open_at_once=10**6, halos=(), **options):
    """Return the selection from a dataset with so many rows in a file, and in a task; and the parts of each round."""
    made, write = [], plan.write
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "ROWS_PER_TASK", task)
        patch.setattr(selection, "HALOS", halos)
        patch.setattr(rounds, "MOST_OPEN", open_at_once)
        patch.setattr(plan, "write", lambda each: made.append(each) or write(each))
        dataset = write_dataset(images, Path(folder) / "images", most)
        frame = mlygeo.select(points=points, images=dataset, unique=True, **options)
    return frame, [len(each.tasks) for each in made if each.step == "certain"]


def same(parts, whole):
    assert rows(parts) == rows(whole)
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])
    assert parts["point_id"].tolist() == whole["point_id"].tolist()


PLACES = [((9.009, 48.7508), 25832), ((5.9999, 50.0), None), ((180.0, -17.0), None), ((3.01, -0.0002), 3857)]
"""Where the middle is, and the srid: also across zones, the antimeridian and the equator."""


@given(
    seed=st.integers(0, 10**6), counts=st.sampled_from([(300, 60), (150, 200), (60, 200), (400, 300)]),
    wide_m=st.sampled_from([400, 2000, 6000]), grid=st.sampled_from([STEP, 2e-4]), text=st.booleans(),
    most=st.sampled_from([5, 60, 10**6]), task=st.sampled_from([1, 20, 90, 10**6]), place=st.sampled_from(PLACES),
    halos=st.sampled_from([(), (2,), selection.HALOS]),
    options=st.fixed_dictionaries(
        {"max_distance": st.sampled_from([0.0, 30.0, 111.0, 600.0]), "k": st.sampled_from([1, 3, 10**9])},
        optional={
            "max_heading_difference": st.sampled_from([20.0, 90.0]), "pano": st.booleans(),
            "since": st.just("2019-06"), "region": st.just(True),
        },
    ),
)  # fmt: skip
@settings(deadline=None, max_examples=12, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_cut_gives_the_pairs_of_one_run(seed, counts, wide_m, grid, text, most, task, place, halos, options):
    around, options["srid"] = place
    points, images = crowd(seed, images=counts[0], points=counts[1], wide_m=wide_m, around=around, grid=grid, text=text)
    if "region" in options:
        (lon, lat), half = around, wide_m / 300_000
        options["region"] = ((lon - half + 180) % 360 - 180, lat - half, (lon + half / 2 + 180) % 360 - 180, lat + half)
    whole = mlygeo.select(points=points, images=images.sample(frac=1, random_state=seed), unique=True, **options)
    shuffled = points.sample(frac=1, random_state=seed + 1)
    parts, _ = over_parts(shuffled, images, most=most, task=task, halos=halos, **options)
    assert rows(parts) == rows(whole)
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])


@given(seed=st.integers(0, 10**6), task=st.sampled_from([30, 90]))
@settings(deadline=None, max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_points_whose_nearer_images_are_all_taken_get_those_of_one_run(seed, task):
    """Many points at few places, and images in a line from them: all but the first are refused again and again."""
    rng = np.random.default_rng(seed)
    images = gpd.GeoDataFrame(
        {"id": rng.permutation(300) + 1},
        geometry=gpd.points_from_xy(9.0 + np.arange(300) * 2e-5, 48.7508 + rng.integers(0, 2, 300) * 1e-5),
        crs=4326,
    )
    spots = rng.choice([9.0, 9.0021, 9.0059], 160)
    points = gpd.GeoDataFrame(
        {"point_id": rng.permutation(160)}, geometry=gpd.points_from_xy(spots, np.full(160, 48.7508)), crs=4326
    )
    options = {"srid": 25832, "max_distance": 250.0}
    whole = mlygeo.select(points=points, images=images, unique=True, **options)
    assert (whole["distance_m"] > 60).any()
    parts, _ = over_parts(points, images, task=task, **options)
    same(parts, whole)


def test_points_in_the_crs_to_measure_in_are_measured_by_their_own_coordinates():
    points, images = crowd(5, images=300, points=250, wide_m=900, around=(9.009, 48.7508))
    points = points.to_crs(25832)
    points.geometry = gpd.GeoSeries.from_xy(points.geometry.x.round(), points.geometry.y.round(), crs=25832)
    options = {"srid": 25832, "max_distance": 60.0}
    parts, count = over_parts(points, images, **options)
    same(parts, mlygeo.select(points=points, images=images, unique=True, **options))
    assert len(count) == 2


def test_an_image_at_several_places_serves_one_point_of_the_world():
    points, images = crowd(6, images=200, points=150, wide_m=500, around=(9.009, 48.7508))
    far = [frame.set_geometry(frame.geometry.translate(2, 1)) for frame in (points, images)]
    far[0]["point_id"] += 1
    points, images = (pd.concat(pair, ignore_index=True) for pair in zip((points, images), far, strict=True))
    for options in ({"k": 1}, {"k": 2}):
        options |= {"srid": 25832, "max_distance": 50.0}
        whole = mlygeo.select(points=points, images=images, unique=True, **options)
        assert not whole["id"].duplicated().any()
        same(over_parts(points, images, **options)[0], whole)


def test_what_does_not_fit_into_memory_is_settled_in_larger_parts():
    points, images = crowd(7, images=4000, points=3500, wide_m=9000, around=(9.009, 48.7508))
    images = images.drop_duplicates("id")
    options = {"srid": 25832, "max_distance": 300.0}
    whole = mlygeo.select(points=points, images=images, unique=True, **options)
    parts, count = over_parts(points, images, task=150, open_at_once=250, **options)
    same(parts, whole)
    assert 1 < count[1] < count[0]


@pytest.mark.parametrize("k", [1, 2])
def test_without_a_largest_distance_all_is_matched_at_once_or_refused(k):
    points, images = crowd(8, images=300, points=400, wide_m=20_000, around=(9.009, 48.7508), text=True)
    options = {"srid": 25832, "max_distance": None, "k": k}
    whole = mlygeo.select(points=points, images=images, unique=True, pano=True, **options)
    parts, count = over_parts(points, images, pano=True, **options)
    same(parts, whole)
    assert count == [1]
    with pytest.raises(InputError, match="`unique` needs a `max_distance` for more than 500 points and images"):
        over_parts(points, images, open_at_once=500, **options)


def test_a_chain_that_does_not_fit_into_memory_is_refused():
    """Each point is nearer to the image of its western neighbour than to the one on its east, ever more so."""
    x = np.concatenate(([0.0], np.cumsum(20.0 - 0.01 * np.arange(600))))
    lon, lat = geodesy.projection(25832).inverse(500_000 + x, np.full(len(x), 5_400_000.0))
    place = gpd.GeoSeries.from_xy(lon, lat, crs=4326)
    points, images = (gpd.GeoDataFrame(geometry=place.iloc[start::2].to_numpy(), crs=4326) for start in (0, 1))
    points["point_id"], images["id"] = np.arange(len(points)), np.arange(len(images)) + 1
    options = {"srid": 25832, "max_distance": 21.0}
    whole = mlygeo.select(points=points, images=images, unique=True, **options)
    same(over_parts(points, images, **options)[0], whole)
    with pytest.raises(FileError, match="points hang on each other, and do not fit into memory at once") as caught:
        over_parts(points, images, open_at_once=40, **options)
    assert "name a smaller `max_distance`" in caught.value.hint


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with crowded places of the earth in cells of their own, some cut by borders; and what is selected."""
    folder = tmp_path_factory.mktemp("world")
    made = [
        crowd(number, images=120, points=150, wide_m=700, around=around)
        for number, around in enumerate([(lon, lat) for lon in (-45.0, 0.0, 22.5, 45.0) for lat in (0.0, 41.2, 52.0)])
    ]
    points, images = (pd.concat(frames, ignore_index=True) for frames in zip(*made, strict=True))
    points["point_id"] = np.random.default_rng(1).permutation(len(points))
    images["id"] = np.arange(len(images)) % 1400 + 1
    write_dataset(images, folder / "images", 1000)
    mlygeo.write_frame(points, folder / "points.parquet")
    done = program(*words_of(folder), "-o", str(folder / "expected"))
    assert done.returncode == 0, done.stderr
    return folder


def words_of(world):
    files = [str(world / "points.parquet"), "--images", str(world / "images")]
    return ["select", "--points", *files, "--srid", "3857", "--max-distance", "60", "--unique"]


def test_the_files_are_those_of_one_run(world):
    frame = mlygeo.read_frame(world / "expected" / "selection")
    options = {"points": world / "points.parquet", "srid": 3857, "max_distance": 60, "unique": True}
    whole = mlygeo.select(images=mlygeo.read_frame(world / "images"), **options)
    assert rows(frame[whole.columns]) == rows(whole)
    summary = json.loads((world / "expected" / "summary.json").read_text())
    expected = json.loads(json.dumps(facts(whole.attrs["summary"])))
    assert {name: summary[name] for name in expected} == expected
    ids = (world / "expected" / "image_ids.txt").read_text().split()
    assert sorted(ids) == sorted(whole["id"].astype(str))


def test_processes_threads_and_shares_give_the_same(world, tmp_path, capsys):
    status, _, said = run(capsys, *words_of(world), "--workers", "2", "-o", tmp_path / "workers")
    assert status == 0
    assert "round 1: " in said
    assert "round 2: 1 of 1 part" in said
    assert is_whole(tmp_path / "workers", world)
    options = {"points": world / "points.parquet", "srid": 3857, "max_distance": 60, "unique": True}
    with ThreadPoolExecutor(2) as threads:
        frame = mlygeo.select(images=world / "images", executor=threads, **options)
    assert rows(frame) == rows(mlygeo.select(images=world / "images", **options))
    for share in ("2/2", "1/2"):
        status, _, said = run(capsys, *words_of(world), "--part", share, "-o", tmp_path / "shares")
        assert status == 0
    assert "the same command without --part brings them together" in said
    assert run(capsys, *words_of(world), "-o", tmp_path / "shares")[0] == 0
    assert is_whole(tmp_path / "shares", world)


def test_a_dry_run_tells_of_the_rounds(world, tmp_path, capsys):
    status, out, said = run(capsys, *words_of(world), "--dry-run", "--json", "-o", tmp_path / "out")
    assert status == 0
    assert json.loads(out)["parts"] == len([*(world / "expected").glob("selection/cell=*")])
    assert "what the parts leave open is then matched at once, in up to 650 MB" in said
    assert not (tmp_path / "out").exists()


def test_a_killed_run_goes_on_where_it_was(world, tmp_path):
    out, kept = tmp_path / "out", {}
    for where in ("certain-0/result/*/part-0.parquet", "certain-1/plan.json", "result/*/part-0.parquet"):
        process = start([PROGRAM, *words_of(world), "-o", out])
        wait_for(lambda where=where: [*out.glob(f".mlygeo/selection-*/{where}")], process)
        process.kill()
        process.wait()
        assert not (out / "summary.json").exists()
        done = {path: path.stat().st_ino for path in out.glob(".mlygeo/selection-*/**/part-0.parquet")}
        assert kept.items() <= done.items()
        kept = done
    assert program(*words_of(world), "-o", str(out)).returncode == 0
    assert is_whole(out, world)
