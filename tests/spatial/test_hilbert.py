"""Tests of mlygeo.spatial.hilbert: neighbours on the curve are neighbours on the earth, and numbers stay as they are."""

import numpy as np
import pytest

from mlygeo.spatial import hilbert

CELL_DEG = 360 / 2**30


@pytest.mark.parametrize(("side", "west", "south"), [(64, -180.0, -90.0), (32, 0.0, 0.0), (1, 9.0, 48.0)])
def test_the_curve_goes_through_all_cells_of_a_square_from_one_to_the_next(side, west, south):
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(side), np.arange(side)))

    codes = hilbert.codes(west + (x + 0.5) * CELL_DEG, south + (y + 0.5) * CELL_DEG)

    order = np.argsort(codes)
    steps = np.abs(np.diff(x[order])) + np.abs(np.diff(y[order]))
    assert len(np.unique(codes)) == side**2
    assert (steps == 1).all()
    assert codes.max() - codes.min() == side**2 - 1


def test_the_corners_of_the_earth_have_numbers_and_what_is_no_position_has_none():
    lon = np.array([-180.0, 180.0, 180.0, -180.0, np.nan, 5.0])
    lat = np.array([-90.0, -90.0, 90.0, 90.0, 1.0, np.inf])

    codes = hilbert.codes(lon, lat)

    assert codes[0] == 0
    assert codes[1] == 4**30 - 1
    assert (codes[:4] >= 0).all()
    assert codes[4:].tolist() == [-1, -1]


def test_codes_do_not_depend_on_the_other_rows():
    rng = np.random.default_rng(0)
    lon, lat = rng.uniform(-180, 180, 1000), rng.uniform(-90, 90, 1000)

    whole = hilbert.codes(lon, lat)

    assert np.array_equal(whole[::3], hilbert.codes(lon[::3], lat[::3]))
