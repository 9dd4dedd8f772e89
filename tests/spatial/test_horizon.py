"""The horizon in pictures, against the places where the lens shows level directions."""

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.spatial import lenses, rotations
from mlygeo.spatial.horizon import horizon

ANGLES = st.tuples(st.floats(0, 359), st.floats(-30, 30), st.floats(-30, 30))


def images(pitch, roll, **columns):
    place = gpd.points_from_xy(np.full(len(pitch), 9.17), np.full(len(pitch), 48.77))
    return gpd.GeoDataFrame({"pitch": pitch, "roll": roll, **columns}, geometry=place, crs=4326)


def test_angles_that_are_seen_at_once():
    flat = {"is_pano": False, "camera_type": "perspective", "camera_parameters": "[0.5, 0, 0]", "width": 4, "height": 3}
    slope, height = horizon(images([0.0, 45.0, -45.0, 0.0], [0.0, 0.0, 0.0, 10.0], **flat))
    assert slope.tolist() == [0, 0, 0, 10]
    assert height == pytest.approx([0.5, 0.5 + 0.5 * 4 / 3, 0.5 - 0.5 * 4 / 3, 0.5])
    slope, height = horizon(images([0.0, 45.0, -9.0], [0.0, 0.0, 5.0], is_pano=True))
    assert slope.tolist() == [0, 0, 5]
    assert height[:2] == pytest.approx([0.5, 0.75])


@settings(deadline=None, max_examples=60)
@given(
    angles=ANGLES, focal=st.floats(0.4, 2), k1=st.floats(-0.05, 0.05), kind=st.sampled_from(["perspective", "fisheye"])
)
def test_level_directions_lie_on_the_horizon(angles, focal, k1, kind):
    """Two level directions on both sides of the middle, of a lens without distortion, span the line."""
    heading, pitch, roll = angles
    frame = images(
        [pitch], [roll], compass_angle=[heading], is_pano=False, camera_type=kind,
        camera_parameters=[f"[{focal}, {k1}, 0]"], width=[4000], height=[3000],
    )  # fmt: skip
    (slope,), (height,) = horizon(frame)
    matrix = rotations.of_angles(*(np.array([angle]) for angle in angles))[0]
    turned = np.radians(heading + np.linspace(-30, 30, 60_001))
    level = np.stack([np.sin(turned), np.cos(turned), np.zeros_like(turned)], axis=-1) @ matrix.T
    x, y = lenses.project(level, kind == "fisheye", focal, k1, 0.0)
    middle = np.nanargmin(abs(x))
    assert abs(x[middle]) < 1e-3
    assert height == pytest.approx(0.5 + y[middle] * 4 / 3, abs=3e-3)
    assert slope == pytest.approx(roll)
    if kind == "perspective" and abs(k1) < 1e-9:
        there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        first, last = there[0], there[-1]
        seen = np.degrees(np.arctan2(-(y[last] - y[first]), x[last] - x[first]))
        assert seen == pytest.approx(np.degrees(np.arctan(np.tan(np.radians(roll)))), abs=0.5)


def test_a_slope_is_seen_in_the_picture_as_it_is_told():
    """A camera that leans to the right sees the horizon rise to the right, at any pitch, as steep as it leans."""
    for pitch, roll in ((0.0, 10.0), (12.0, 10.0), (-8.0, -25.0)):
        matrix = rotations.of_angles(np.zeros(1), np.array([pitch]), np.array([roll]))[0]
        turned = np.radians([-20.0, 20.0])
        level = np.stack([np.sin(turned), np.cos(turned), np.zeros(2)], axis=-1) @ matrix.T
        x, y = lenses.project(level, False, 0.8, 0.0, 0.0)
        assert np.degrees(np.arctan2(-(y[1] - y[0]), x[1] - x[0])) == pytest.approx(roll)


def test_angles_beyond_the_usual_ones_are_the_same_tilt():
    """Rolls from 0 to 360, and a camera that is turned over both ways, which stands upright."""
    pitch, roll = [12.0, 12.0, -348.0, 180.0, 168.0], [350.0, -10.0, -370.0, 180.0, 170.0]
    slope, height = horizon(images(pitch, roll, is_pano=True))
    assert slope == pytest.approx([-10, -10, -10, 0, -10])
    assert height == pytest.approx([height[1], height[1], height[1], 0.5, height[1]])


def test_what_is_unknown_is_nan():
    flat = {"is_pano": False, "camera_type": "perspective", "width": 4.0, "height": 3.0}
    slope, height = horizon(images([1.0, np.nan], [2.0, 2.0], camera_parameters="[0.5, 0, 0]", **flat))
    assert np.isnan([slope[1], height[1]]).all()
    slope, height = horizon(images([1.0], [2.0], **flat))
    assert slope.tolist() == [2.0]
    assert np.isnan(height).all()
    assert np.isnan(horizon(gpd.GeoDataFrame(geometry=gpd.points_from_xy([9.0], [48.0]), crs=4326))).all()
    empty = horizon(images(np.empty(0), np.empty(0)))
    assert [len(each) for each in empty] == [0, 0]
