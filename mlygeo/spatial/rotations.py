"""
Rotations of cameras: rotation vectors and angles to matrices, and back.

The world is flat where a camera stands: x points east, y north, z up. A camera has x to the right of its picture, y
down, z along its view. A matrix turns directions of the world into those of the camera, so that its rows are the
camera's axes in the world. These are the conventions of OpenSfM, in which Mapillary gives `computed_rotation`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mlygeo.arrays import Floats

SMALL = 1e-12
"""Radians; a smaller rotation is none, and a smaller distance from a pole is on it."""

_UPRIGHT = {
    1: ((1, 0), (0, 1)), 2: ((-1, 0), (0, 1)), 3: ((-1, 0), (0, -1)), 4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)), 6: ((0, -1), (1, 0)), 7: ((0, -1), (-1, 0)), 8: ((0, 1), (-1, 0)),
}  # fmt: skip
"""The axes x and y of a picture that is shown upright, in those of its file, for each EXIF orientation."""


def vectors(column: Any, length: int = 3) -> Floats:
    """
    Return a column of lists of numbers as an array.

    Parameters
    ----------
    column
        The lists, or JSON of them; shape (n,).
    length
        Numbers of each list that count.

    Returns
    -------
    numbers
        float64, shape (n, length). A row is NaN where there is no list, or a number in it is none. Of a shorter list,
        the numbers that it lacks are NaN.
    """
    found = np.full((len(column), length), np.nan)
    for row, value in enumerate(column):  # objects of Python: there is no array in which they are
        numbers = _numbers(value)[:length]
        found[row, : len(numbers)] = numbers
    return found


def _numbers(value: Any) -> list[float]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return []
    if not isinstance(value, list | tuple | np.ndarray):
        return []
    try:
        numbers = [float(each) for each in value]
    except (TypeError, ValueError):
        return []
    return numbers if np.isfinite(numbers).all() else []


def of_vectors(rotation: Floats) -> Floats:
    """
    Return the matrices of rotation vectors.

    Parameters
    ----------
    rotation
        From the world to the camera: the axis, as long as the angle in radians (angle-axis); shape (n, 3).

    Returns
    -------
    matrices
        float64, shape (n, 3, 3), by Rodrigues' formula; NaN where a number is not finite.

    Examples
    --------
    >>> of_vectors(np.array([[np.pi / 2, 0, 0]])).round().astype(int).tolist()  # level, to the north
    [[[1, 0, 0], [0, 0, -1], [0, 1, 0]]]
    """
    angle = np.linalg.norm(rotation, axis=1)
    x, y, z = (rotation / np.where(angle > SMALL, angle, 1.0)[:, None]).T
    zero = np.zeros_like(angle)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    matrices: Floats = np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)
    matrices[~np.isfinite(angle)] = np.nan
    return matrices


def of_angles(heading: Floats, pitch: Floats, roll: Floats) -> Floats:
    """
    Return the matrices of cameras by their angles.

    Parameters
    ----------
    heading
        Degrees clockwise from north; shape (n,).
    pitch
        Degrees, up positive; shape (n,).
    roll
        Degrees about the direction of view, right arm down positive; shape (n,).

    Returns
    -------
    matrices
        float64, shape (n, 3, 3); NaN where an angle is.

    Examples
    --------
    >>> of_angles(np.array([90.0]), np.zeros(1), np.zeros(1)).round().astype(int).tolist()  # level, to the east
    [[[0, -1, 0], [0, 0, -1], [1, 0, 0]]]
    """
    turned, raised, leaning = (np.radians(angle) for angle in (heading, pitch, roll))
    zero, one = np.zeros_like(turned), np.ones_like(turned)
    right = np.stack([np.cos(turned), -np.sin(turned), zero], axis=1)
    level = np.stack([np.sin(turned), np.cos(turned), zero], axis=1)
    sine, cosine = np.sin(raised)[:, None], np.cos(raised)[:, None]
    upwards = np.stack([zero, zero, one], axis=1)
    ahead, above = cosine * level + sine * upwards, cosine * upwards - sine * level
    sine, cosine = np.sin(leaning)[:, None], np.cos(leaning)[:, None]
    return np.stack([cosine * right - sine * above, -sine * right - cosine * above, ahead], axis=1)


def angles(matrices: Floats) -> tuple[Floats, Floats, Floats]:
    """
    Return the angles of cameras by their matrices.

    Parameters
    ----------
    matrices
        Shape (n, 3, 3).

    Returns
    -------
    heading
        Degrees in [0, 360), shape (n,); NaN where the matrix is. Of a camera that looks straight up or down it is that
        of the upper edge of its picture, or of the lower one, and `roll` is 0.
    pitch
        Degrees, up positive; shape (n,).
    roll
        Degrees, right arm down positive; shape (n,).

    Examples
    --------
    >>> [angle.tolist() for angle in angles(of_angles(np.array([30.0]), np.array([5.0]), np.array([-2.0])))]
    [[30.0], [5.0], [-2.0]]
    """
    right, down, ahead = matrices[:, 0], matrices[:, 1], matrices[:, 2]
    is_vertical = np.hypot(ahead[:, 0], ahead[:, 1]) < SMALL
    heading = np.where(is_vertical, np.arctan2(-right[:, 1], right[:, 0]), np.arctan2(ahead[:, 0], ahead[:, 1]))
    pitch = np.arctan2(ahead[:, 2], np.hypot(ahead[:, 0], ahead[:, 1]))
    roll = np.where(is_vertical, np.where(np.isnan(pitch), np.nan, 0.0), np.arctan2(-right[:, 2], -down[:, 2]))
    in_degrees = np.degrees(heading) % 360.0
    in_degrees[in_degrees == 360.0] = 0.0  # what is a hair below zero
    return in_degrees, np.degrees(pitch), np.degrees(roll)


def upright(matrices: Floats, orientation: Floats) -> Floats:
    """
    Return the matrices of pictures that are shown upright, from those of their files.

    Parameters
    ----------
    matrices
        Of the pictures as they are stored; shape (n, 3, 3).
    orientation
        EXIF orientation of each, 1 to 8 (Exif 2.32, 4.6.4); anything else counts as 1, shape (n,).
    """
    turns = np.zeros((9, 3, 3))
    turns[:, 2, 2] = 1.0
    for number in range(9):
        turns[number, :2, :2] = _UPRIGHT.get(number, _UPRIGHT[1])
    known = np.where((orientation >= 1) & (orientation <= 8), orientation, 0).astype(np.int64)
    return np.asarray(turns[known] @ matrices)


def tilts(matrices: Floats) -> Floats:
    """Return by how many degrees the vertical of pictures is off the plumb line, float64 of shape (n,)."""
    return np.asarray(np.degrees(np.arccos(np.clip(-matrices[:, 1, 2], -1.0, 1.0))))
