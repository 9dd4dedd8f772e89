"""Streets and points on two continents: measured rightly, or refused; a single run and one over parts alike."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.small_frames import images_frame, points_frame, streets_frame

import mlygeo
from mlygeo.errors import CrsError


def beside(frame, **keys):
    """A frame, and the same once more in America under other keys."""
    moved = frame.set_geometry(frame.geometry.translate(-83.0, -8.0).set_crs(4326, allow_override=True))
    moved = moved.assign(**{name: moved[name] + more for name, more in keys.items()})
    return gpd.GeoDataFrame(pd.concat([frame, moved], ignore_index=True)), moved


@pytest.fixture
def streets():
    return beside(streets_frame(), u=10, v=10)[0]


@pytest.fixture
def images():
    return beside(images_frame(), id=100)


@pytest.fixture
def dataset(images, tmp_path):
    mlygeo.write_frame(images[0], tmp_path / "images.parquet")
    mlygeo.partition(tmp_path / "images.parquet", tmp_path / "dataset")
    return tmp_path / "dataset"


CALLS = {
    "street_points": lambda streets, _images, _dataset, **plane: mlygeo.street_points(streets, interval=50, **plane),
    "sample_streets": lambda streets, _images, _dataset, **plane: mlygeo.sample_streets(streets, n=9, seed=1, **plane),
    "street_coverage": lambda streets, images, _, **plane: mlygeo.street_coverage(streets, images, **plane),
    "coverage_gaps": lambda streets, images, _, **plane: mlygeo.coverage_gaps(streets, images, **plane),
    "streets": lambda streets, _images, _dataset, **plane: mlygeo.streets(streets=streets, interval=50, **plane),
    "select": lambda streets, images, _, **plane: mlygeo.select(streets=streets, images=images, interval=50, **plane),
    "select in parts": lambda streets, _, dataset, **plane: mlygeo.select(
        streets=streets, images=dataset, interval=50, **plane
    ),
    "coverage": lambda streets, images, _, **plane: mlygeo.coverage(streets=streets, images=images, **plane),
    "coverage in parts": lambda streets, _, dataset, **plane: mlygeo.coverage(streets=streets, images=dataset, **plane),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("srid", [None, 32625])
def test_streets_on_two_continents_are_not_measured_in_one_plane(name, srid, streets, images, dataset):
    with pytest.raises(CrsError, match=r"too large for one plane: .* up to 1\.1\d times the true ones") as caught:
        CALLS[name](streets, images[0], dataset, srid=srid)
    assert "`srid=32625` and `force_srid=True`" in caught.value.hint
    assert len(CALLS[name](streets, images[0], dataset, srid=32625, force_srid=True))


def test_points_on_two_continents_are_each_measured_in_their_own_zone(images, dataset):
    points, far = beside(points_frame(), point_id=100)
    both, there = images
    alone = [mlygeo.select(points=points_frame(), images=images_frame()), mlygeo.select(points=far, images=there)]
    expected = np.concatenate([each["distance_m"] for each in alone])
    assert len(expected) == 16
    for given in (both, dataset):
        found = mlygeo.select(points=points, images=given).sort_values("point_id")
        assert np.array_equal(found["distance_m"], expected)
    steps = mlygeo.select_nearest(points, both).sort_values("point_id")
    assert np.array_equal(steps["distance_m"], expected)
