import time

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import LineString, MultiPoint, Point, box

from mlygeo.errors import RegionError
from mlygeo.regions import Region

GEOD = Geod(ellps="WGS84")


def wrapped(lon):
    return (np.asarray(lon) + 180) % 360 - 180


def distances(lon, lat, lines):
    """Geodesic distance of places from lines that are straight in longitude and latitude, by many points on them."""
    x, y = np.concatenate([np.asarray(line, dtype=float) for line in lines]).T
    pairs = np.broadcast_arrays(np.asarray(lon)[:, None], np.asarray(lat)[:, None], x[None], y[None])
    return GEOD.inv(*map(np.ravel, pairs))[2].reshape(len(lon), len(x)).min(axis=1)


def sampled(line, count=400):
    return line.segmentize(line.length / count).coords if line.length else line.coords


@pytest.mark.parametrize(
    ("lines", "metres"),
    [
        ([Point(9, 48)], 200),
        ([Point(9, 48)], 0.01),
        ([Point(179.9999, -17)], 20_000),
        ([Point(-180, 65)], 500_000),
        ([Point(0, 0)], 1_000_000),
        ([Point(10, 70)], 1_000_000),
        ([Point(0, 90)], 20_000),
        ([Point(30, 89.9)], 50_000),
        ([Point(50, -89)], 111_000),
        ([LineString([(9, 48), (9, 48)])], 100),
        ([LineString([(5, 45), (12, 50)])], 20_000),
        ([LineString([(170, 50), (200, 60)])], 100_000),
        ([LineString([(-175, -10), (-190, -12)])], 30_000),
        ([LineString([(0, 84), (120, 86.5)])], 50_000),
        ([LineString([(20, 80), (100, 75)])], 1_000_000),
        ([LineString([(0, 89), (179, 89)])], 20_000),
        ([LineString([(-100, 40), (-70, 40)]), Point(-85, 60), Point(9, 48)], 250_000),
    ],
)
def test_the_edge_lies_at_the_distance(lines, metres):
    region = Region.from_geometry(shapely.GeometryCollection(lines), buffer=metres)
    edge = shapely.get_coordinates(region.geometry.boundary)
    # The cut at the antimeridian and the line that stands for a pole are no edges of the area.
    edge = edge[(np.abs(np.abs(edge[:, 0]) - 180) > 1e-7) & (np.abs(edge[:, 1]) < 90 - 1e-7)]
    edge = edge[np.random.default_rng(3).permutation(len(edge))[:300]]
    off = distances(*edge.T, [sampled(line) for line in lines]) / metres - 1
    coarse = max(line.length for line in lines) * 111_320 / 400 / metres  # the spacing of the points it is measured at
    assert off.min() > -1e-3
    assert off.max() < 1e-3 + coarse**2 / 8


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(-0.3, 0.3)), min_size=1, max_size=8),
    st.floats(-85, 85), st.floats(-180, 180), st.floats(50, 80_000), st.randoms(),
)  # fmt: skip
def test_places_within_the_distance_are_inside_wherever_the_line_is(corners, lat, turn, metres, random):
    stretch = 1 / np.cos(np.radians(lat))
    line = np.array([(turn + x * stretch, lat + y) for x, y in corners])
    line = line[np.append(True, (np.diff(line, axis=0) != 0).any(axis=1))]
    shape = LineString(line) if len(line) > 1 else Point(line[0])
    region = Region.from_geometry(shape, buffer=metres)
    reach = metres / 111_320 * 2
    lon = wrapped([turn + random.uniform(-0.5 - reach, 0.5 + reach) * stretch for _ in range(40)])
    lat = np.array([min(89.9, max(-89.9, lat + random.uniform(-0.3 - reach, 0.3 + reach))) for _ in range(40)])
    points = sampled(shape, 600) if len(line) > 1 else shape.coords
    away = distances(lon, lat, [points])
    step = shape.length * 111_320 * stretch / 600
    inside = region.contains(lon, lat)
    assert inside[away < metres * 0.999].all()
    assert not inside[away > metres * 1.001 + step].any()


def test_a_line_there_and_back():
    """GEOS takes a closed line for a ring."""
    for line in ([(9, 48), (9.3, 48.1), (9, 48)], [(9, 48), (9.3, 48.1), (9.3, 48.2), (9.3, 48.1), (9, 48)]):
        there_and_back = Region.from_geometry(LineString(line), buffer=5000)
        there = Region.from_geometry(LineString(line[: len(line) // 2 + 1]), buffer=5000)
        assert there_and_back.area_m2 == pytest.approx(there.area_m2, rel=1e-4)


def test_what_was_a_polygon_is_wider_and_keeps_its_holes():
    ring = box(9, 48, 9.2, 48.2).difference(box(9.05, 48.05, 9.15, 48.15))
    region = Region.from_geometry(ring, buffer=1000)
    plain = Region.from_geometry(ring)
    assert region.geometry.covers(plain.geometry)
    inside = region.contains(np.array([8.99, 8.98, 9.055, 9.1]), np.array([48.1, 48.1, 48.1, 48.1]))
    assert inside.tolist() == [True, False, True, False]
    assert (
        Region.from_bbox(9, 48, 9.2, 48.2)
        .buffered(1000)
        .geometry.equals(Region.from_geometry(box(9, 48, 9.2, 48.2), buffer=1000).geometry)
    )


def test_areas_grow_across_the_antimeridian_and_over_the_poles():
    east = Region.from_bbox(179, -17, 180, -16).buffered(50_000)
    assert east.bounds[0] > 178
    assert -180 < east.bounds[2] < -179
    assert east.contains(np.array([-179.6, -179.4]), np.array([-16.5, -16.5])).tolist() == [True, False]
    cap = Region.from_bbox(0, 89.95, 20, 89.99).buffered(20_000)
    assert cap.contains(np.array([190.0 - 360, 10.0]), np.array([89.9, 89.7])).tolist() == [True, False]
    assert cap.bounds[3] == 90
    world = Region.from_bbox(-180, -90, 180, 90).buffered(1000)
    assert world.bounds == (-180, -90, 180, 90)


@pytest.mark.parametrize(
    ("metres", "words"),
    [
        (-5, "would leave nothing"), (0, "has no width"), (1e-9, "has no width"), (2e6, "wider than 1,000 km"),
        (float("inf"), "wider than 1,000 km"), (float("nan"), "not a number of metres"), ("x", "not a number of metres"),
        (True, "not a number of metres"), ([1], "not a number of metres"), (10**400, "buffer of 1000"), (1j, "not a number"),
    ],
)  # fmt: skip
def test_buffers_without_sense(metres, words, tmp_path):
    gpd.GeoSeries([Point(9, 48)], crs=4326).to_file(tmp_path / "x.geojson")
    for make in (
        lambda: Region.from_geometry(Point(9, 48), buffer=metres),
        lambda: Region.from_file(tmp_path / "x.geojson", buffer=metres),
        lambda: Region.from_bbox(9, 48, 10, 49).buffered(metres),
    ):
        with pytest.raises(RegionError, match=words):
            make()


def test_thousands_of_positions_of_a_walk_take_seconds():
    """GEOS needs minutes for the buffer of a line that crosses itself this often."""
    walk = np.cumsum(np.random.default_rng(0).normal(size=(20_000, 2)) * [2e-5, 1.4e-5], axis=0) + np.array([9, 48])
    for shape in (LineString(walk), MultiPoint(walk)):
        start = time.perf_counter()
        region = Region.from_geometry(shape, buffer=200)
        assert time.perf_counter() - start < 30
        assert region.contains(*walk.T).all()


def test_a_line_in_a_plane_is_straight_there():
    line = gpd.GeoSeries([LineString([(3e5, 6.5e6), (8e5, 6.5e6)])], crs=32632)
    region = Region.from_geometry(line, buffer=100)
    middle = line.interpolate(0.5, normalized=True).to_crs(4326)
    assert region.contains(middle.x.to_numpy(), middle.y.to_numpy()).all()
