"""A selection over parts is that of one run, to the last bit: over random cuts, files, orders and ways to run it."""

import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.datasets import write_dataset
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FileError, FrameError, RegionError
from mlygeo.parts import facts as whole_facts
from mlygeo.parts import plan, rings


def frame_bytes(frame):
    """Return rows in one order, as bytes, with the columns' names and dtypes."""
    table = pd.DataFrame(frame.drop(columns="geometry"))
    table["wkb"] = frame.geometry.to_wkb()
    table = table.sort_values(["point_id", "rank"], ignore_index=True)
    return [str(table.dtypes.to_dict()), table.to_csv(index=False, float_format="%.17g")]


def facts(summary):
    return {key: value for key, value in summary.items() if key not in {"inputs", "run"}}


def country(seed, *, images=400, points=60, text=False, nulls=False, around=(9.0, 48.75), spread=0.05):
    """Return points and images with ties, repeated places, repeated ids, and positions on borders of cells."""
    rng = np.random.default_rng(seed)
    steps = spread / 50
    west, south = around
    place = rng.integers(0, 50, (2, images)) * steps
    lon, lat = west + place[0], south + place[1]
    lon = (lon + 180) % 360 - 180
    number = rng.permutation(images) + 1
    again = rng.integers(0, images, images // 10)
    number[again] = number[rng.integers(0, images, len(again))]
    frame = gpd.GeoDataFrame(
        {
            "id": number.astype("int64"),
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, images), unit="s", utc=True).as_unit("ms"),
            "compass_angle": np.where(rng.random(images) < 0.2, np.nan, rng.integers(0, 360, images)),
            "is_pano": rng.random(images) < 0.3,
            "note": rng.integers(0, 3, images),
        },
        geometry=gpd.points_from_xy(lon, lat),
        crs=4326,
    )
    if text:
        provider = rng.choice(["mapillary", "panoramax", "own"], images)
        words = np.where(rng.random(images) < 0.5, number.astype(str), np.char.add("a", number.astype(str)))
        frame["id"] = pd.Series(np.where(provider == "mapillary", number.astype(str), words), dtype="str")
        frame["provider"] = pd.Series(provider, dtype="str")
        frame["licence"] = pd.Series(rng.choice(["CC0-1.0", "CC-BY-SA-4.0"], images), dtype="str")
        frame["captured_at"] = frame["captured_at"].dt.as_unit("us")
    if nulls:
        frame.loc[rng.random(images) < 0.1, "captured_at"] = pd.NaT
        frame.loc[rng.random(images) < 0.05, "geometry"] = None
    spot = rng.integers(0, 100, (2, points)) * steps / 2
    at = gpd.GeoDataFrame(
        {
            "point_id": rng.permutation(points) * 3,
            "bearing": rng.integers(0, 360, points).astype(float),
            "osmid": rng.integers(0, 2**60, points),
            "highway": pd.Categorical(rng.choice(["residential", "primary"], points)),
            "name": pd.Series(np.where(rng.random(points) < 0.3, None, "Königstraße"), dtype="str"),
        },
        geometry=gpd.points_from_xy((west + spot[0] + 180) % 360 - 180, south + spot[1]),
        crs=4326,
    )
    return at, frame


def over_parts(points, images, *, most=40, task=60, **options):
    """Return the selection from a dataset with so many rows in a file, and in a task."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "ROWS_PER_TASK", task)
        dataset = write_dataset(images, Path(folder) / "images", most)
        return mlygeo.select(points=points, images=dataset, **options)


PLACES = [
    ((9.0, 48.75), 25832), ((9.0, 48.75), None), ((5.98, 50.0), None), ((179.97, -17.0), None), ((3.0, -0.02), 3857),
]  # fmt: skip
"""Where images lie, west and south, and the srid: also across zones, the antimeridian and the equator."""

OPTIONS = st.fixed_dictionaries(
    {"max_distance": st.sampled_from([0.0, 30.0, 111.0, 1500.0, None]), "k": st.sampled_from([1, 3])},
    optional={
        "max_heading_difference": st.sampled_from([20.0, 90.0]),
        "pano": st.booleans(),
        "since": st.just("2020-06"),
        "region": st.just(True),
    },
)


@given(
    seed=st.integers(0, 10**6), most=st.sampled_from([5, 40, 300, 10**6]), task=st.sampled_from([1, 50, 400, 10**6]),
    text=st.booleans(), nulls=st.booleans(), options=OPTIONS, place=st.sampled_from(PLACES),
)  # fmt: skip
@settings(deadline=None, max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_cut_gives_the_answer_of_one_run(seed, most, task, text, nulls, options, place):
    around, options["srid"] = place
    points, images = country(seed, text=text, nulls=nulls, around=around)
    if "region" in options:
        west, south = around
        options["region"] = (west + 0.01, south + 0.01, (west + 0.04 + 180) % 360 - 180, south + 0.03)
    whole = mlygeo.select(points=points, images=images.sample(frac=1, random_state=seed), **options)
    parts = over_parts(points, images, most=most, task=task, **options)
    assert frame_bytes(parts) == frame_bytes(whole)
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])
    assert parts["point_id"].tolist() == whole["point_id"].tolist()


def test_points_far_apart_share_the_work_where_images_do_not_fit_into_memory(monkeypatch):
    (one, some), (other, more) = country(1, images=200), country(2, images=200, around=(11.0, 50.0))
    more["id"] += 1000
    other["point_id"] += 1000
    points, images = (pd.concat(pair, ignore_index=True) for pair in ((one, other), (some, more)))
    whole = mlygeo.select(points=points, images=images, srid=25832, max_distance=None, k=2)
    monkeypatch.setattr(rings, "MOST_IN_REACH", 250)
    parts = over_parts(points, images, task=10**6, srid=25832, max_distance=None, k=2)
    assert frame_bytes(parts) == frame_bytes(whole)
    monkeypatch.setattr(rings, "MOST_IN_REACH", 0)
    with pytest.raises(FileError, match="may be the nearest of one point"):
        over_parts(points, images, task=10**6, srid=25832, max_distance=None)


def test_a_dataset_of_partition_gives_the_answer_of_its_rows_and_nothing_is_in_doubt(tmp_path):
    points, images = country(3, text=True, nulls=True)
    mlygeo.partition(images, tmp_path / "images", rows_per_part=50)
    whole = mlygeo.select(points=points, images=mlygeo.read_frame(tmp_path / "images"), srid=25832, k=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "ROWS_PER_TASK", 60)
        parts = mlygeo.select(points=points, images=tmp_path / "images", srid=25832, k=2)
    assert frame_bytes(parts) == frame_bytes(whole)
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])


@pytest.mark.parametrize("creators", [pytest.param(7, id="numbers"), pytest.param("7", id="texts")])
def test_a_part_whose_ids_look_like_numbers_is_a_part_of_the_dataset_still(tmp_path, creators):
    points, images = country(4)
    west = images.geometry.x < 9.02
    images["id"] = pd.Series(np.where(west, images["id"].astype(str), "a" + images["id"].astype(str)), dtype="str")
    images["creator_id"] = creators
    images = images.drop_duplicates("id")
    mlygeo.partition(images, tmp_path / "images", rows_per_part=20)
    found = mlygeo.read_frame(tmp_path / "images")
    assert {*found.columns} == {*images.columns}
    assert sorted(found["id"]) == sorted(images["id"])
    for options in ({}, {"creator": [7]}, {"creator": [8]}, {"max_distance": None}):
        whole = mlygeo.select(points=points, images=images, srid=25832, k=2, **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plan, "ROWS_PER_TASK", 30)
            parts = mlygeo.select(points=points, images=tmp_path / "images", srid=25832, k=2, **options)
        assert frame_bytes(parts) == frame_bytes(whole)
        assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])


def test_an_id_in_doubt_is_refused_also_where_no_point_is_near(tmp_path):
    points, images = country(6)
    images = images.drop_duplicates("id")
    images["id"] = images["id"].astype("str")
    images.loc[images.index[-1], ["id", "geometry"]] = ["0123", images.geometry.iloc[-1].__class__(9.3, 49.0)]
    for found in (images, write_dataset(images, tmp_path / "images", 50)):
        with pytest.raises(FrameError, match="'0123' is not a whole number"):
            mlygeo.select(points=points, images=found, srid=25832)


def test_a_region_without_images_is_the_error_of_one_run(tmp_path):
    points, images = country(5, nulls=True)
    mlygeo.partition(images, tmp_path / "images", rows_per_part=50)
    region = (8.999, 48.749, 9.0501, 48.8)
    elsewhere = images.set_geometry(images.geometry.translate(2, 0))
    mlygeo.partition(elsewhere, tmp_path / "elsewhere", rows_per_part=50)
    assert len(mlygeo.select(points=points, images=tmp_path / "images", region=region))
    said = []
    for found in (mlygeo.read_frame(tmp_path / "elsewhere"), tmp_path / "elsewhere"):
        with pytest.raises(RegionError, match=r"no image of .* lies in the bounding box") as caught:
            mlygeo.select(points=points, images=found, region=region)
        said.append(caught.value.hint)
    assert said[0] == said[1]


@given(st.lists(st.floats(0, 1e6) | st.sampled_from([0.0, 1.0, 2.5]), min_size=1), st.integers(1, 4))
@settings(deadline=None)
def test_order_statistics_need_no_sorted_whole(values, arrays):
    parts = np.array_split(np.array(values), arrays)
    places = np.arange(len(values))[::-1]
    found = whole_facts.smallest(lambda: iter(parts), places)
    assert found.tolist() == np.sort(values)[places].tolist()
    quartiles = whole_facts.quartiles(len(values), np.sort(values).__getitem__)
    expected = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    assert [*quartiles.values()] == [round(float(value), 4) for value in expected]
