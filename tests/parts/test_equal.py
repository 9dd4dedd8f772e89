"""A selection over parts is that of one run, to the last bit: over random cuts, files, orders and ways to run it."""

import numpy as np
import pandas as pd
import pytest
from helpers.datasets import write_dataset
from helpers.over_parts import PLACES, country, facts, frame_bytes, over_parts
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import FileError, FrameError, RegionError
from mlygeo.parts import facts as whole_facts
from mlygeo.parts import plan, rings

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
