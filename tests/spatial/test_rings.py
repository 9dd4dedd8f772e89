"""Nearest images without a largest distance, part by part: counts of cells tell what has to be read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.spatial import cells, geodesy, nearest
from mlygeo.spatial.rings import CountedCells

UTM32 = geodesy.projection(32632)
ZOOM = 14


def scene(rng, clusters, count):
    """Return images in clusters with wide empty country between, and points anywhere."""
    middle = rng.uniform((6.5, 46.0), (11.5, 52.0), (clusters, 2))
    images = middle[rng.integers(clusters, size=count)] + rng.normal(0, rng.choice([1e-4, 0.01, 0.2]), (count, 2))
    points = np.concatenate([rng.uniform((6.5, 46.0), (11.5, 52.0), (20, 2)), images[: count // 4] + 1e-3])
    return points.T.copy(), images.T.copy()


def counted(images):
    codes, counts = np.unique(cells.codes(*images, ZOOM), return_counts=True)
    return CountedCells.of(codes, counts, zoom=ZOOM, projection=UTM32)


def pairs(matches, images):
    return list(zip(matches.point_row, images[matches.image_row], matches.distance_m, matches.rank, strict=True))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), clusters=st.integers(1, 5), count=st.integers(1, 300), k=st.integers(1, 5),
)  # fmt: skip
def test_the_cells_that_counts_leave_have_the_nearest_images_of_all(seed, clusters, count, k):
    rng = np.random.default_rng(seed)
    points, images = scene(rng, clusters, count)
    ids = rng.permutation(count).astype(np.int64)
    whole = pairs(nearest.match(*points, *images, ids, projection=UTM32, max_distance=None, k=k), ids)
    known, of_image = counted(images), cells.codes(*images, ZOOM)
    part = rng.random(len(points[0])) < 0.4
    found = []
    for rows in (np.flatnonzero(part), np.flatnonzero(~part)):
        x, y = UTM32.forward(points[0][rows], points[1][rows])
        far = known.bound(x, y, k)
        there = np.flatnonzero(np.isin(of_image, known.codes[known.within(x, y, far)]))
        one = nearest.match(points[0][rows], points[1][rows], images[0][there], images[1][there], ids[there],
                            projection=UTM32, max_distance=None, k=k)  # fmt: skip
        found += [(rows[row], *rest) for row, *rest in pairs(one, ids[there])]
        last = np.zeros(len(rows))
        np.maximum.at(last, one.point_row, one.distance_m)
        assert (last <= far).all()
    assert sorted(found) == sorted(whole)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), count=st.integers(1, 200), distance=st.sampled_from([0.0, 50.0, 3000.0, 80_000.0])
)
def test_no_image_within_a_distance_lies_in_another_cell(seed, count, distance):
    points, images = scene(np.random.default_rng(seed), 3, count)
    known, of_image = counted(images), cells.codes(*images, ZOOM)
    (px, py), (ix, iy) = UTM32.forward(*points), UTM32.forward(*images)
    near = (np.hypot(px[:, None] - ix, py[:, None] - iy) <= distance).any(axis=0)
    kept = np.isin(of_image, known.codes[known.within(px, py, np.full(len(px), distance))])
    assert kept[near].all()


def test_most_cells_need_not_be_read():
    points, images = scene(np.random.default_rng(1), 5, 3000)
    known = counted(images)
    x, y = UTM32.forward(*points)
    read = known.within(x[20:40], y[20:40], known.bound(x[20:40], y[20:40], 1))
    assert 0 < read.sum() < 0.2 * len(read)


def test_fewer_images_than_asked_for_have_no_bound_and_no_images_none():
    known = counted(np.array([[9.0, 9.0], [48.0, 48.5]]))
    x, y = UTM32.forward([9.1, np.nan], [48.1, 48.0])
    assert known.bound(x, y, 3)[0] == np.inf
    assert np.isnan(known.bound(x, y, 1)[1])
    assert known.within(x[:1], y[:1], np.array([np.inf])).all()
    nothing = CountedCells.of(np.empty(0, np.int64), np.empty(0, np.int64), zoom=ZOOM, projection=UTM32)
    assert nothing.bound(x, y, 1)[0] == np.inf
    assert len(nothing.within(x, y, np.array([np.inf, 1.0]))) == 0


@pytest.mark.parametrize(("lon", "lat"), [(9.0, 89.9), (9.0, -89.0), (100.0, 0.0), (-170.0, 10.0)])
def test_a_cell_without_a_circle_is_always_read_and_one_beyond_the_plane_bounds_nothing(lon, lat):
    code = cells.codes(np.array([9.0, lon]), np.array([48.0, lat]), ZOOM)
    known = CountedCells.of(code, np.array([1, 5]), zoom=ZOOM, projection=UTM32)
    x, y = UTM32.forward([9.001], [48.001])
    assert known.within(x, y, known.bound(x, y, 1))[0]
    far_x, far_y = UTM32.forward([lon], [lat])
    if np.isfinite(far_x).all() and np.isfinite(far_y).all():
        assert known.within(x, y, np.hypot(far_x - x, far_y - y))[1]
