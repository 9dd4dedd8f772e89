"""Streets are cut at the borders of districts as GEOS cuts them."""

import itertools

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st

from mlygeo.spatial import districts as step
from mlygeo.spatial import polylines
from mlygeo.spatial.districts import OUTSIDE, Districts

POINT = st.tuples(st.integers(-20, 20), st.integers(-20, 20))


def parted(*shapes):
    return Districts(tuple(f"d{number}" for number in range(len(shapes))), np.array(shapes, dtype=object))


def lengths_of(districts, lines):
    """Length of lines in each district, in degrees as if they were metres, and outside."""
    vertices = np.concatenate([np.array(line, dtype=float) for line in lines])
    measured = polylines.measure(*vertices.T, np.cumsum([0, *map(len, lines)]))
    cut = districts.cut(measured, vertices)
    number, several = districts.of(cut.lon, cut.lat)
    found = np.zeros(len(districts.names) + 1)
    np.add.at(found, number, (cut.stop - cut.start) / 1e6)
    return found, several


@given(
    lines=st.lists(st.lists(POINT, min_size=2, max_size=6, unique=True), min_size=1, max_size=4),
    corners=st.lists(POINT, min_size=3, max_size=8, unique=True),
    shift=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_it_is_what_geos_cuts(lines, corners, shift):
    hull = shapely.MultiPoint(corners).convex_hull
    assume(hull.geom_type == "Polygon")
    # Off the grid, so that no street runs along a border, where either side is right.
    hull = shapely.transform(hull, lambda at: at * 1.01 + np.array(shift) / 3 + 0.001)
    holed = hull.difference(shapely.box(-3.1, -3.2, 3.3, 3.4))
    assume(not holed.is_empty)
    districts = parted(holed, shapely.box(-3.1, -3.2, 3.3, 3.4).intersection(hull))
    found, several = lengths_of(districts, lines)
    for number, shape in enumerate(districts.shapes):
        expected = sum(
            shapely.length(shapely.intersection(shapely.LineString(pair), shape))
            for line in lines
            for pair in itertools.pairwise(line)
        )
        assert found[number] == pytest.approx(expected, abs=1e-4)
    assert found.sum() == pytest.approx(sum(shapely.LineString(line).length for line in lines), abs=1e-4)
    assert not several.any()


def test_of_several_the_first_counts_and_it_is_told():
    districts = parted(shapely.box(0, 0, 2, 2), shapely.box(1, 0, 3, 2))
    found, several = lengths_of(districts, [[(0, 1), (4, 1)]])
    assert found.tolist() == [2, 1, 1]
    assert several.tolist() == [False, True, False, False]
    number, _ = districts.of(np.array([0.0, 1.5, 2.5, 3.0, 3.1, np.nan]), np.array([0.0, 1, 1, 2, 1, 1]))
    assert number.tolist() == [0, 0, 1, 1, OUTSIDE, OUTSIDE]


def test_a_street_on_a_border_is_of_the_first():
    districts = parted(shapely.box(0, 0, 2, 2), shapely.box(2, 0, 4, 2))
    found, several = lengths_of(districts, [[(2, -1), (2, 3)]])
    assert found.tolist() == [2, 0, 2]
    assert several.sum() == 1


def test_across_the_antimeridian():
    districts = parted(shapely.MultiPolygon([shapely.box(179, 0, 180, 2), shapely.box(-180, 0, -179.5, 2)]))
    lonlat = np.array([[178.0, 1.0], [-178.0, 1.0]])
    measured = polylines.measure(np.array([0.0, 400.0]), np.zeros(2), np.array([0, 2]))
    cut = districts.cut(measured, lonlat)
    number, _ = districts.of(cut.lon, cut.lat)
    assert (cut.stop - cut.start)[number == 0].sum() == 150_000_000


def test_a_share_at_a_time(monkeypatch):
    rng = np.random.default_rng(3)
    districts = parted(*(shapely.Point(*rng.uniform(0, 5, 2)).buffer(1) for _ in range(9)))
    lines = [rng.uniform(0, 5, (4, 2)) for _ in range(30)]
    whole, _ = lengths_of(districts, lines)
    monkeypatch.setattr(step, "AT_ONCE", 7)
    assert lengths_of(districts, lines)[0].tolist() == whole.tolist()
