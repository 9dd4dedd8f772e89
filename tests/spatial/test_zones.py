"""The UTM zone of each point: its codes, distances across borders of zones, and parts that give what the whole gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.spatial import areas, geodesy, nearest, zones
from mlygeo.spatial.zones import Zones

BORDERS = [(6.0, 49.0), (179.9999, -16.5), (36.0, 0.0), (3.0, 60.0), (20.0, 84.0), (-66.0, 45.0)]


@settings(deadline=None)
@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_codes_are_those_of_a_box_at_the_place(lon, lat):
    assert zones.of(np.array([lon]), np.array([lat])).tolist() == [areas.utm((lon, lat, lon, lat))]


def test_what_is_no_position_has_no_zone():
    assert zones.of(np.array([np.nan, 3.0, np.inf]), np.array([1.0, np.nan, 2.0])).tolist() == [0, 0, 0]


def around(rng, border, count, wide=0.02):
    """Return positions around a place, some of them at the same place."""
    lon, lat = border
    lon = (lon + rng.uniform(-wide, wide, count).round(4) + 180) % 360 - 180
    return lon, np.clip(lat + rng.uniform(-wide, wide, count).round(4), -89, 89)


def pairs(matches):
    return list(
        zip(*(part.tolist() for part in (matches.point_row, matches.image_row, matches.distance_m)), strict=True)
    )


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("max_distance", [150.0, None])
def test_a_distance_is_measured_in_the_zone_of_its_point(border, max_distance):
    rng = np.random.default_rng(2)
    points, images = around(rng, border, 60), around(rng, border, 400)
    ids = rng.permutation(400).astype(np.int64)
    assert isinstance(nearest.choose_projection(*points, srid=None), Zones)
    found = nearest.match(*points, *images, ids, projection=Zones(), max_distance=max_distance, k=2)
    expected = []
    for row, (lon, lat) in enumerate(zip(*points, strict=True)):
        plane = geodesy.projection(areas.utm((lon, lat, lon, lat)))
        one = nearest.match(
            points[0][[row]], points[1][[row]], *images, ids, projection=plane, max_distance=max_distance, k=2
        )
        expected += [(row, image, distance) for _, image, distance in pairs(one)]
    assert pairs(found) == expected
    assert len(expected) > 20


def test_within_one_zone_it_is_the_zone():
    rng = np.random.default_rng(3)
    points, images = around(rng, (9.0, 48.0), 50), around(rng, (9.0, 48.0), 300)
    ids = np.arange(300)
    for unique in (False, True):
        found = [
            pairs(nearest.match(*points, *images, ids, projection=plane, unique=unique))
            for plane in (Zones(), geodesy.projection(32632))
        ]
        assert found[0] == found[1]
    assert nearest.choose_projection(*points, srid=None).srid == 32632


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), border=st.sampled_from(BORDERS), k=st.integers(1, 3))
def test_each_image_to_one_point_across_zones_is_the_shortest_pair_first(seed, border, k):
    rng = np.random.default_rng(seed)
    points, images = around(rng, border, 25, 0.003), around(rng, border, 30, 0.003)
    ids = rng.permutation(30).astype(np.int64)
    distance = np.full((25, 30), np.inf)
    for plane, rows in Zones().planes(*points):
        (px, py), (ix, iy) = plane.forward(points[0][rows], points[1][rows]), plane.forward(*images)
        distance[rows] = np.sqrt((px[:, None] - ix) ** 2 + (py[:, None] - iy) ** 2)
    point, image = np.nonzero(distance <= 120)
    expected, wants, free = [], np.full(25, k), np.ones(30, bool)
    for row in np.lexsort((point, ids[image], distance[point, image])):
        p, i = point[row], image[row]
        if wants[p] and free[i]:
            expected.append((p, i, distance[p, i]))
            wants[p] -= 1
            free[i] = False
    found = nearest.match(*points, *images, ids, projection=Zones(), max_distance=120, k=k, unique=True)
    assert sorted(pairs(found)) == sorted(expected)


@settings(max_examples=60, deadline=None)
@given(
    lon=st.floats(-180, 180), lat=st.floats(-80, 80), wide=st.floats(0, 3), tall=st.floats(0, 3),
    distance=st.floats(10, 20_000), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_reach_holds_all_within_the_distance_and_a_margin_what_is_nearer(lon, lat, wide, tall, distance, seed):
    rng = np.random.default_rng(seed)
    box = (lon, max(lat - tall, -85.0), areas.wrap(lon + wide), min(lat + tall, 85.0))
    reach = Zones().reach(box, distance)
    assert reach is not None
    angle = rng.uniform(0, 2 * np.pi, 40)
    at_lon = (lon + rng.choice([0, wide], 40) + 180) % 360 - 180
    at_lat = rng.choice(np.array([box[1], box[3]]), 40)
    for plane, rows in Zones().planes(at_lon, at_lat):
        x, y = plane.forward(at_lon[rows], at_lat[rows])
        far = plane.inverse(x + distance * np.cos(angle[rows]), y + distance * np.sin(angle[rows]))
        assert areas.inside(*far, reach).all()
    margin = Zones().margin(at_lon, at_lat, reach)
    assert (margin >= distance - 0.1 * distance - 5).all() or abs(lat) + tall > 70
    assert (margin <= distance * 1.1 + 5).all()
