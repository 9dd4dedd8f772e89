"""Rotations: against SciPy's, there and back, and the headings that Mapillary computed from its own rotations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mlygeo.spatial import rotations

RECORDS = Path(__file__).parents[1] / "data" / "graph" / "stuttgart_records.json"

ANGLES = st.tuples(st.floats(0, 359.99), st.floats(-89.9, 89.9), st.floats(-179.9, 179.9))


def test_matrices_of_vectors_are_scipys():
    vectors = np.random.default_rng(1).normal(size=(2000, 3)) * 2
    vectors[:3] = [[0, 0, 0], [1e-13, 0, 0], [np.pi, 0, 0]]
    np.testing.assert_allclose(rotations.of_vectors(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(several=st.lists(ANGLES, min_size=1, max_size=20))
def test_angles_come_back_from_their_matrices(several):
    heading, pitch, roll = np.array(several).T
    matrices = rotations.of_angles(heading, pitch, roll)
    np.testing.assert_allclose(
        matrices @ matrices.transpose(0, 2, 1), np.broadcast_to(np.eye(3), matrices.shape), atol=1e-12
    )
    assert (np.linalg.det(matrices) > 0).all()
    found = rotations.angles(matrices)
    np.testing.assert_allclose((found[0] - heading + 180) % 360 - 180, 0, atol=1e-6)
    np.testing.assert_allclose(found[1], pitch, atol=1e-6)
    np.testing.assert_allclose(found[2], roll, atol=1e-6)


def test_mapillarys_rotations_have_the_headings_that_it_computed():
    records = json.loads(RECORDS.read_text())
    heading, pitch, roll = rotations.angles(
        rotations.of_vectors(rotations.vectors([record["computed_rotation"] for record in records]))
    )
    theirs = np.array([record["computed_compass_angle"] for record in records])
    np.testing.assert_allclose((heading - theirs + 180) % 360 - 180, 0, atol=1e-6)
    assert np.abs(pitch).max() < 20
    assert np.abs(roll).max() < 30


@pytest.mark.parametrize(("pitch", "upper"), [(90.0, 180.0), (-90.0, 0.0)])
def test_straight_up_and_down_the_heading_is_that_of_the_pictures_edge(pitch, upper):
    matrix = rotations.of_angles(np.array([30.0]), np.array([pitch]), np.zeros(1))
    heading, found, roll = rotations.angles(matrix)
    assert (heading[0], found[0], roll[0]) == pytest.approx((30.0, pitch, 0.0))
    up = -matrix[0, 1]
    assert np.degrees(np.arctan2(up[0], up[1])) % 360 == pytest.approx((30.0 + upper) % 360)


def test_signs_are_those_of_the_columns_of_frames():
    above = rotations.of_angles(np.zeros(1), np.array([10.0]), np.zeros(1))[0]
    assert above[2, 2] > 0  # the view goes up
    leaning = rotations.of_angles(np.zeros(1), np.zeros(1), np.array([10.0]))[0]
    assert leaning[0, 2] < 0  # the right arm is down
    assert rotations.tilts(np.stack([above, leaning])) == pytest.approx([10.0, 10.0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_shown_upright_has_its_axes_turned_as_its_pixels(orientation):
    from PIL import Image, ImageOps

    stored = np.zeros((5, 7, 3), dtype=np.uint8)
    stored[1, 6] = 255  # right of and above the centre
    image = Image.fromarray(stored)
    image.getexif()[0x0112] = orientation
    shown = np.asarray(ImageOps.exif_transpose(image))[..., 0]
    row, column = np.argwhere(shown)[0]
    centre = (np.array(shown.shape)[::-1] - 1) / 2
    turn = rotations.upright(np.eye(3)[None], np.array([float(orientation)]))[0]
    np.testing.assert_allclose((turn @ [6 - 3, 1 - 2, 0])[:2], np.array([column, row]) - centre)


def test_lists_come_in_every_form_and_gaps_stay_gaps():
    column = [
        [1, 2, 3],
        "[4, 5.5, 6]",
        np.array([7.0, 8, 9]),
        None,
        "none",
        "[1, null, 2]",
        [1, 2],
        {},
        [float("nan")] * 3,
    ]
    found = rotations.vectors(column)
    np.testing.assert_array_equal(found[:3], [[1, 2, 3], [4, 5.5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(found[6], [1, 2, np.nan])
    assert np.isnan(found[[3, 4, 5, 7, 8]]).all()
    assert np.isnan(rotations.of_vectors(found[3:])).all()
    assert np.isnan(np.array(rotations.angles(rotations.of_vectors(found[3:])))).all()
