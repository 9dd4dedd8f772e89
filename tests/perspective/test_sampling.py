"""
Sampling: marks on a sphere are where they belong in a view, at the seam, the poles and the edges, level and tilted.

The oracle is a loop over pixels with floats, and the sphere's own geometry.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlygeo.perspective import sampling
from mlygeo.perspective.sampling import Source, View, framed, sample, samples_of
from mlygeo.spatial import lenses, rotations

WIDTH = 2048

NORTH = rotations.of_angles(np.zeros(1), np.zeros(1), np.zeros(1))[0]


def packed(values):
    """A grey picture, four bytes a pixel."""
    grey = values.astype(np.uint32)
    return grey | grey << 8 | grey << 16


def directions_of(width, height, turn):
    """The direction in the world of each pixel of a panorama whose camera stood so; shape (height, width, 3)."""
    lon = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    lat = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    lon, lat = np.meshgrid(lon, lat)
    camera = np.stack([np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)], axis=-1)
    return camera @ turn


def marks():
    """Directions in the world every ten degrees of azimuth and altitude, and of the poles."""
    heading, altitude = np.meshgrid(np.arange(0, 360, 10.0), np.arange(-80, 90, 10.0))
    lon, lat = np.radians(heading.ravel()), np.radians(altitude.ravel())
    found = np.stack([np.cos(lat) * np.sin(lon), np.cos(lat) * np.cos(lon), np.sin(lat)], axis=1)
    return np.concatenate([found, [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]])


SIZE = math.radians(0.25)


def sphere(turn):
    """A panorama by a camera that stood so, in which each mark is a spot."""
    from scipy.spatial import cKDTree

    distance, _ = cKDTree(marks()).query(directions_of(WIDTH, WIDTH // 2, turn).reshape(-1, 3).astype(np.float32))
    values = np.exp(-((distance / SIZE) ** 2) / 2).reshape(WIDTH // 2, WIDTH) * 255
    return Source(framed(packed(values.round()), around=True, to_poles=True), full_width=WIDTH, full_height=WIDTH // 2)


@pytest.fixture(scope="module")
def level():
    return sphere(NORTH)


def errors_of(source, turn, view):
    """How far marks in a view are from where they belong: pixels and degrees, of all that lie well inside it."""
    pixels, outside = sample(source, turn, view)
    assert outside == 0
    grey = pixels[..., 0].astype(np.float64)
    x, y, z = (marks() @ view.matrix().T).T
    ahead = z > 0.05
    column = x[ahead] / z[ahead] * view.focal_pixels + view.width / 2
    row = y[ahead] / z[ahead] * view.focal_pixels + view.height / 2
    scale = view.focal_pixels / z[ahead] ** 2  # pixels of a radian there, along the radius
    reach = np.ceil(3 * SIZE * scale)
    found = []
    for at_x, at_y, margin, each in zip(column, row, reach, scale, strict=True):
        left, top, size = math.floor(at_x - margin), math.floor(at_y - margin), int(2 * margin) + 1
        if left < 0 or top < 0 or left + size > view.width or top + size > view.height:
            continue
        part = grey[top : top + size, left : left + size]
        if not part.any():
            return math.inf, math.inf
        places = np.arange(size) + 0.5
        apart = math.hypot(
            (part.sum(axis=0) * places).sum() / part.sum() + left - at_x,
            (part.sum(axis=1) * places).sum() / part.sum() + top - at_y,
        )
        found.append((apart, math.degrees(apart / each)))
    assert found
    return np.array(found).max(axis=0)


VIEWS = [
    View(0.0, 0.0, 90.0, 640, 640),
    View(180.0, 0.0, 90.0, 640, 640),  # the seam in its middle
    View(123.4, 17.0, 60.0, 800, 450),
    View(315.0, -35.0, 100.0, 500, 700),
    View(77.0, 90.0, 90.0, 640, 640),  # a pole in its middle
    View(0.0, -90.0, 60.0, 640, 640),
    View(200.0, 45.0, 90.0, 640, 640),  # a pole at its edge
]


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_marks_are_within_a_tenth_of_a_degree_and_a_pixel(level, view):
    pixels, degrees = errors_of(level, NORTH, view)
    assert pixels < 1
    assert degrees < 0.1


@pytest.mark.parametrize("angles", [(0.0, 10.0, 0.0), (140.0, -7.0, 10.0)])
def test_a_tilt_is_removed(angles):
    turn = rotations.of_angles(*(np.array([angle]) for angle in angles))[0]
    source = sphere(turn)
    for view in (VIEWS[0], VIEWS[2], VIEWS[4]):
        pixels, degrees = errors_of(source, turn, view)
        assert pixels < 1
        assert degrees < 0.1
    # As if it had stood level, marks would be off by the tilt.
    straight = rotations.of_angles(np.array([angles[0]]), np.zeros(1), np.zeros(1))[0]
    assert errors_of(source, straight, VIEWS[0])[1] > 0.5


def slow(picture, turn, view):
    """One sample a pixel, one pixel at a time, with floats: the plain rule."""
    height, width = picture.shape[:2]
    turn = turn @ view.matrix().T
    made = np.empty((view.height, view.width, 3))
    for row in range(view.height):
        for column in range(view.width):
            ray = turn @ [
                (column + 0.5 - view.width / 2) / view.focal_pixels,
                (row + 0.5 - view.height / 2) / view.focal_pixels,
                1.0,
            ]
            x = (math.atan2(ray[0], ray[2]) / math.tau + 0.5) * width - 0.5
            y = (math.atan2(ray[1], math.hypot(ray[0], ray[2])) / math.pi + 0.5) * height - 0.5
            left, top = math.floor(x), math.floor(y)
            right, down = x - left, y - top
            colour = np.zeros(3)
            for line, weight in ((top, 1 - down), (top + 1, down)):
                beyond = line < 0 or line >= height
                inside = min(max(line, 0), height - 1)
                for place, share in ((left, 1 - right), (left + 1, right)):
                    colour += weight * share * picture[inside, (place + beyond * width // 2) % width]
            made[row, column] = colour
    return made


@pytest.mark.parametrize("view", [View(170.0, 20.0, 90.0, 61, 47), View(10.0, 90.0, 70.0, 50, 50)], ids=str)
def test_colours_are_those_of_a_loop_over_pixels(view):
    rng = np.random.default_rng(4)
    picture = rng.integers(0, 256, (64, 128, 4), dtype=np.uint8)
    source = Source(framed(picture.view("<u4")[..., 0], around=True, to_poles=True), full_width=128, full_height=64)
    turn = rotations.of_angles(np.array([20.0]), np.array([5.0]), np.array([-3.0]))[0]
    assert samples_of(source.focal_pixels, view) == 1
    made, _ = sample(source, turn, view)
    # Two mixtures with fractions of 8 bits: a level for rounding, and two for the place of colours as steep as these.
    assert np.abs(made - slow(picture[..., :3], turn, view)).max() <= 4


def test_a_pixel_that_covers_many_is_their_mean():
    rows, columns = np.indices((512, 1024))
    chequered = packed((rows + columns) % 2 * 254)
    source = Source(framed(chequered, around=True, to_poles=True), full_width=1024, full_height=512)
    made, _ = sample(source, NORTH, View(0.0, 0.0, 90.0, 40, 40))
    middle = made[10:30, 10:30].astype(float)
    assert np.abs(middle - 127).max() < 25
    assert abs(middle.mean() - 127) < 1.5


def test_what_a_part_of_a_sphere_does_not_show_is_outside():
    whole = packed(np.tile(np.arange(360) % 256, (180, 1)))
    part = Source(
        framed(whole[45:135, 90:270], around=False, to_poles=False), full_width=360, full_height=180, left=90, top=45
    )
    _, outside = sample(part, NORTH, View(0.0, 0.0, 60.0, 100, 100))
    assert outside == 0
    _, half = sample(part, NORTH, View(90.0, 0.0, 60.0, 100, 100))
    assert half == pytest.approx(0.5, abs=0.01)
    _, behind = sample(part, NORTH, View(180.0, 0.0, 60.0, 100, 100))
    assert behind == 1


@pytest.mark.parametrize("kind", ["perspective", "fisheye"])
def test_flat_pictures_are_straightened(kind):
    """A picture whose colour is the angle from the left edge of the world, seen through a lens, and straightened."""
    lens = 0.7, -0.06, 0.01
    rows, columns = np.indices((600, 800))
    plane = np.linspace(-1, 1, 4001)
    x, _ = lenses.project(
        np.stack([plane, 0 * plane, 1 + 0 * plane], axis=1), np.array(kind == "fisheye"), *map(np.array, lens)
    )
    radius = np.hypot((columns - 399.5) / 800, (rows - 299.5) / 800)
    tangent = np.interp(radius, x[2000:], plane[2000:])  # tangent of the angle from the axis
    spot = np.round(100 * tangent)
    source = Source(framed(packed(spot), around=False, to_poles=False), kind, *lens)
    turn = rotations.of_angles(np.array([50.0]), np.zeros(1), np.zeros(1))[0]
    view = View(50.0, 0.0, 50.0, 300, 300)
    made, outside = sample(source, turn, view)
    assert outside == 0
    rows, columns = np.indices((300, 300))
    expected = 100 * np.hypot(columns - 149.5, rows - 149.5) / view.focal_pixels
    assert np.abs(made[..., 0] - expected).max() < 1.2
    _, beside = sample(source, turn, View(100.0, 0.0, 50.0, 300, 300))
    assert beside > 0.4


def test_rows_are_worked_on_a_block_at_a_time_without_a_seam(level, monkeypatch):
    view = View(33.0, 10.0, 90.0, 300, 200)
    whole, _ = sample(level, NORTH, view)
    monkeypatch.setattr(sampling, "AT_ONCE", 7 * 300)
    np.testing.assert_array_equal(sample(level, NORTH, view)[0], whole)
