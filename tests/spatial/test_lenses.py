"""Lenses: OpenSfM's formulas written out, fields of view, and which lens an image has."""

from __future__ import annotations

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.spatial import lenses


def perspective(x, y, z, focal, k1, k2):
    """OpenSfM's camera models (opensfm/src/geometry/camera_projections_functions.h), one direction at a time."""
    x, y = x / z, y / z
    r2 = x * x + y * y
    bent = 1 + r2 * (k1 + r2 * k2)
    return focal * bent * x, focal * bent * y


def fisheye(x, y, z, focal, k1, k2):
    r = math.hypot(x, y)
    theta = math.atan2(r, z)
    bent = theta * (1 + theta**2 * (k1 + theta**2 * k2))
    return focal * bent * x / r, focal * bent * y / r


@pytest.mark.parametrize("model", [perspective, fisheye])
def test_places_are_those_of_opensfms_formulas(model):
    rng = np.random.default_rng(2)
    directions = np.stack([*rng.uniform(-0.7, 0.7, (2, 300)), rng.uniform(0.5, 2, 300)], axis=1)
    lens = 0.6, -0.05, 0.01
    found = np.stack(lenses.project(directions, np.array(model is fisheye), *map(np.array, lens)), axis=1)
    np.testing.assert_allclose(found, [model(*each, *lens) for each in directions], atol=1e-12)


def test_what_a_lens_does_not_see_has_no_place():
    behind = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    x, y = lenses.project(behind, np.array(False), np.array(0.5), np.array(0.0), np.array(0.0))
    assert np.isnan(x).all()
    assert np.isnan(y).all()
    seen, _ = lenses.project(behind[1:], np.array(True), np.array(0.3), np.array(0.0), np.array(0.0))
    assert seen == pytest.approx(0.3 * np.pi / 2)
    folded = np.array([[3.0, 0.0, 1.0]])  # the model turns back at 1.8
    assert np.isnan(lenses.project(folded, np.array(False), np.array(0.5), np.array(-0.1), np.array(0.0))[0]).all()


@given(degrees=st.floats(1, 179))
def test_fields_of_view_come_back_from_their_focal_lengths(degrees):
    assert lenses.field_of_view(lenses.focal_length(degrees)) == pytest.approx(degrees)


def test_each_image_has_its_lens_or_none():
    images = gpd.GeoDataFrame(
        {
            "is_pano": pd.array([True, False, False, False, None, None, False, False, False], dtype="boolean"),
            "camera_type": [None, "perspective", "fisheye", "brown", "spherical", None, None, "perspective", "fisheye"],
            "camera_parameters": [
                None,
                [0.8, -0.1, 0.01],
                "[0.4, 0.0]",
                [0.8, 0.8, 0, 0, 0, 0],
                None,
                [0.5],
                None,
                [99.0],
                None,
            ],
            "field_of_view": [360.0, 70.0, np.nan, np.nan, np.nan, np.nan, 90.0, np.nan, 90.0],
            "width": [4000, 4000, 4000, 4000, 4000, 4000, 3000, 4000, 4000],
            "height": [2000, 3000, 3000, 3000, 2000, 3000, 4000, 3000, 3000],
        }
    )
    found = lenses.lenses_of(images)
    assert found.kind.tolist() == [
        "equirectangular", "perspective", "fisheye", None, "equirectangular", None, "perspective", None, None,
    ]  # fmt: skip
    np.testing.assert_allclose(found.focal, [np.nan, 0.8, 0.4, np.nan, np.nan, np.nan, 0.375, np.nan, np.nan])
    np.testing.assert_allclose(found.k1, [np.nan, -0.1, 0.0, np.nan, np.nan, np.nan, 0.0, np.nan, np.nan])
