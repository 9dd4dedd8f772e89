"""Selections from real cities over parts are those of one run, to the last bit: Stuttgart, Amsterdam, and a made one."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from helpers.cities import AMSTERDAM, STUTTGART, answer, made_city

import mlygeo
from mlygeo.parts import plan

OPTIONS = {
    "nearest": {},
    "three": {"k": 3},
    "heading": {"k": 3, "max_heading_difference": 40.0},
    "filters": {"pano": True, "since": "2024-06-10", "until": "2024-07-10"},
    "far": {"max_distance": None},
    "far-three": {"max_distance": None, "k": 3},
    "far-heading": {"max_distance": None, "max_heading_difference": 20.0},
    "far-filters": {"max_distance": None, "k": 3, "pano": False},
    "touching": {"max_distance": 0.0},
    "metres": {"max_distance": 7.5, "k": 3},
    "web": {"srid": 3857, "force_srid": True, "k": 3},
}
"""What is selected."""

FOR_PLACES = ["nearest", "three", "far", "far-three", "touching", "metres", "web"]
"""What can be selected from images of which only ids and places are known."""


@pytest.fixture(scope="module")
def stuttgart(tmp_path_factory):
    table = pd.read_csv(STUTTGART)
    images = gpd.GeoDataFrame(
        table.drop(columns=["lon", "lat", "organization_id"]).assign(
            captured_at=pd.to_datetime(table["captured_at"], unit="ms", utc=True).astype("datetime64[ms, UTC]")
        ),
        geometry=shapely.points(table["lon"], table["lat"]),
        crs=4326,
    )
    streets = gpd.read_file(STUTTGART.parents[2] / "examples/stuttgart/stuttgart_osm_edges.gpkg")
    points = mlygeo.street_points(streets, interval=10, srid=25832)
    return _city(tmp_path_factory.mktemp("stuttgart"), points, images, srid=25832)


@pytest.fixture(scope="module")
def amsterdam(tmp_path_factory):
    images = mlygeo.read_frame(AMSTERDAM / "amsterdam_mapillary_images.parquet")
    points = mlygeo.read_frame(AMSTERDAM / "amsterdam_points.parquet")
    return _city(tmp_path_factory.mktemp("amsterdam"), points, images, srid=28992)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    points, images = made_city(3_000, 600)
    return _city(tmp_path_factory.mktemp("made"), points, images, srid=25832)


def _city(folder, points, images, **options):
    points.to_parquet(folder / "points.parquet")
    for name, most in {"few": len(images) // 3, "many": len(images) // 10}.items():
        shuffled = images.sample(frac=1, random_state=most)
        half = len(images) // 2
        mlygeo.partition([shuffled.iloc[:half], shuffled.iloc[half:]], folder / name, rows_per_part=most)
    return folder, images, options


def over_parts_as_in_one_run(city, chosen, monkeypatch):
    folder, images, options = city
    options = {**options, **OPTIONS[chosen]}
    points = folder / "points.parquet"
    whole = answer(mlygeo.select(points=points, images=images.sample(frac=1, random_state=3), **options))
    assert len(whole[1]) > 100 or chosen == "touching"
    is_far = options.get("max_distance", 100) is None
    monkeypatch.setattr(plan, "ROWS_PER_TASK", len(images) // (2 if is_far else 7))
    assert answer(mlygeo.select(points=points, images=folder / ("few" if is_far else "many"), **options)) == whole


@pytest.mark.parametrize("chosen", OPTIONS)
def test_stuttgart(stuttgart, chosen, monkeypatch):
    over_parts_as_in_one_run(stuttgart, chosen, monkeypatch)


@pytest.mark.parametrize("chosen", FOR_PLACES)
def test_amsterdam(amsterdam, chosen, monkeypatch):
    over_parts_as_in_one_run(amsterdam, chosen, monkeypatch)


@pytest.mark.parametrize("chosen", OPTIONS)
def test_made_city(made, chosen, monkeypatch):
    over_parts_as_in_one_run(made, chosen, monkeypatch)


def test_amsterdam_over_parts_has_the_answer_that_others_computed(amsterdam, monkeypatch):
    folder, _, options = amsterdam
    monkeypatch.setattr(plan, "ROWS_PER_TASK", 3_000)
    expected = pd.read_parquet(AMSTERDAM / "amsterdam_points_nearest_100m.parquet")
    points = mlygeo.read_frame(folder / "points.parquet")
    found = mlygeo.select(points=points, images=folder / "many", **options)
    assert len(found) == len(expected) == 8_572
    assert np.array_equal(found["id"], expected["id"])
