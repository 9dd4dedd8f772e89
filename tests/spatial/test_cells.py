"""Cells of the world: Morton codes and quadkeys on arrays, against mercantile."""

import math

import mercantile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import InputError
from mlygeo.spatial import cells

LON = st.floats(-180, 179.999999, allow_subnormal=False)
LAT = st.floats(-85.05, 85.05, allow_subnormal=False)


@settings(deadline=None)
@given(st.lists(st.tuples(LON, LAT), min_size=1, max_size=40), st.integers(1, 30))
def test_positions_have_the_quadkeys_of_mercantile(places, zoom):
    lon, lat = np.array(places).T
    # mercantile adds 1e-14 of the world's width
    far = np.array([abs((x / 360 + 0.5) * 2**zoom % 1 - 0.5) < 0.4999 for x in lon])
    code = cells.codes(lon, lat, zoom)
    for row in np.flatnonzero(far):
        tile = mercantile.tile(lon[row], lat[row], zoom)
        south, north = mercantile.bounds(tile).south, mercantile.bounds(tile).north
        if min(lat[row] - south, north - lat[row]) < 2e-10:
            continue  # the border itself has ten decimals here
        assert cells.quadkey(int(code[row]), zoom) == mercantile.quadkey(tile)


@settings(deadline=None)
@given(st.data(), st.integers(1, 22))
def test_a_corner_belongs_to_the_tile_south_and_east_of_it(data, zoom):
    x, y = (data.draw(st.integers(0, 2**zoom - 1)) for _ in "xy")
    corner = mercantile.ul(x, y, zoom)
    found = cells.tiles(np.array([corner.lng]), np.array([corner.lat]), zoom)
    assert (int(found[0][0]), int(found[1][0])) == (x, y)


@settings(deadline=None)
@given(st.data(), st.integers(0, 30))
def test_a_cell_holds_exactly_what_lies_within_its_bounds(data, zoom):
    code = data.draw(st.integers(0, 4**zoom - 1))
    west, south, east, north = cells.bounds(code, zoom)
    assert west < east
    assert south < north
    lon = np.array([west, west, np.nextafter(east, west), np.nextafter(east, west), (west + east) / 2])
    lat = np.array([north, np.nextafter(south, north), north, np.nextafter(south, north), (south + north) / 2])
    assert cells.inside(lon, lat, code, zoom).all()
    beyond_lon = np.array([np.nextafter(west, -999), east, lon[4], lon[4]])
    beyond_lat = np.array([lat[4], lat[4], np.nextafter(north, 999), south])
    on_earth = (np.abs(beyond_lon) < 180) & (np.abs(beyond_lat) < 90)
    assert not cells.inside(beyond_lon, beyond_lat, code, zoom)[on_earth].any()


@settings(deadline=None)
@given(st.data(), st.integers(0, 30))
def test_codes_and_quadkeys_and_tiles_are_one_another(data, zoom):
    x, y = (np.array([data.draw(st.integers(0, 2**zoom - 1)) for _ in range(3)]) for _ in "xy")
    code = cells.interleave(x, y)
    back = cells.parts(code)
    assert (back[0] == x).all()
    assert (back[1] == y).all()
    keys = [cells.quadkey(int(one), zoom) for one in code]
    assert keys == [mercantile.quadkey(int(a), int(b), zoom) for a, b in zip(x, y, strict=True)]
    assert [cells.from_quadkey(key) for key in keys] == [(int(one), zoom) for one in code]
    assert sorted(keys) == [cells.quadkey(int(one), zoom) for one in np.sort(code)]


def test_a_range_of_codes_is_what_lies_inside_a_cell():
    code, zoom = cells.from_quadkey("1202")
    first, stop = cells.span(code, zoom, 14)
    assert cells.quadkey(first, 14) == "1202" + "0" * 10
    assert cells.quadkey(stop - 1, 14) == "1202" + "3" * 10
    assert cells.span(code, zoom, zoom) == (code, code + 1)
    with pytest.raises(InputError):
        cells.span(code, zoom, 3)


def test_the_edges_of_the_map_count_to_the_outermost_cells():
    lon = np.array([-180.0, 180.0, 181.0, 0.0, 0.0, np.nan, 3.0, math.inf])
    lat = np.array([0.1, 0.1, 0.1, 90.0, -90.0, 1.0, np.nan, 1.0])
    x, y = cells.tiles(lon, lat, 4)
    assert x.tolist() == [0, 15, 15, 8, 8, -1, -1, -1]
    assert y.tolist() == [7, 7, 7, 0, 15, -1, -1, -1]
    assert cells.codes(lon, lat, 4)[5:].tolist() == [-1, -1, -1]
    assert cells.codes(np.empty(0), np.empty(0), 4).dtype == np.int64
    assert cells.bounds(0, 0) == (-180.0, -90.0, 180.0, 90.0)
    assert cells.quadkey(0, 0) == ""


@pytest.mark.parametrize("text", ["12a", "4", "0" * 31, "-1", " 1"])
def test_what_is_no_quadkey_is_refused(text):
    with pytest.raises(InputError, match="is not a quadkey"):
        cells.from_quadkey(text)


@pytest.mark.parametrize(("code", "zoom"), [(4, 1), (-1, 3), (0, 31), (0, -1)])
def test_what_is_no_cell_is_refused(code, zoom):
    with pytest.raises(InputError):
        cells.quadkey(code, zoom)
