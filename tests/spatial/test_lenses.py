"""Lenses: OpenSfM's formulas written out, fields of view, and which lens an image has."""

from __future__ import annotations

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
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


@given(
    kind=st.sampled_from(["perspective", "fisheye"]), half=st.floats(10, 70), k1=st.floats(-0.05, 0.05),
    k2=st.floats(0, 0.01), portrait=st.booleans(), turned=st.booleans(),
)  # fmt: skip
@settings(deadline=None)
def test_a_field_of_view_is_that_whose_edge_is_seen_at_the_edge(kind, half, k1, k2, portrait, turned):
    wide, high = (3000, 4000) if portrait else (4000, 3000)
    edge = 0.5 * (high if turned else wide) / 4000
    side = np.array([math.sin(math.radians(half)), 0.0, math.cos(math.radians(half))])
    focal = edge / float(lenses.project(side, np.array(kind == "fisheye"), *map(np.array, (1.0, k1, k2)))[0])
    images = pd.DataFrame(
        {"is_pano": [False] * 4, "camera_type": [kind, "brown", None, "spherical"],
         "camera_parameters": [[focal, k1, k2], [focal, focal, 0, 0, k1, k2], None, None], "width": wide, "height": high,
         "exif_orientation": 6 if turned else 1}
    )  # fmt: skip
    found = lenses.fields_of_view(images)
    assert found[0] == pytest.approx(2 * half, abs=1e-6)
    assert np.isnan(found[1:]).all()


def test_fields_of_view_of_known_cameras():
    images = pd.DataFrame(
        {
            "is_pano": [False] * 5,
            "camera_type": ["perspective", "fisheye", "perspective", "perspective", None],
            "camera_parameters": [[0.5], [1 / math.pi, 0, 0], [0.0, 0, 0], "[0.5, -2.0, 0]", [0.5, 0, 0]],
            "width": pd.array([4000, 4000, 4000, None, 3000], dtype="Int64"),
            "height": 4000,
        }
    )
    found = lenses.fields_of_view(images)
    # A focal length of half the width sees 90 degrees; distortion that bends all away from the edge is left out.
    assert found[[0, 1, 3]].tolist() == pytest.approx([90, 180, 90])
    assert np.isnan(found[2])
    assert found[4] == pytest.approx(lenses.field_of_view(0.5 / 0.75))
    assert lenses.fields_of_view(images.iloc[:0]).shape == (0,)
