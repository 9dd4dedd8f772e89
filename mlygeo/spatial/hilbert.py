"""
The Hilbert curve over longitude and latitude: rows in its order lie near each other where their numbers do.

Hilbert, D. (1891): Ueber die stetige Abbildung einer Linie auf ein Flächenstück. The square is 360 degrees wide and
high, so that its cells are as wide as high; numbers follow from the positions by sums and products alone, which are
the same on all machines.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.arrays import Floats, Rows, Whole32

    Table = npt.NDArray[np.int32]

LEVELS = 30
"""Halvings of the square: its cells are 4 cm wide."""

_AT_ONCE = 5
"""Levels that are looked up together."""


def codes(lon: Floats, lat: Floats) -> Rows:
    """
    Return the numbers of the cells of positions along the curve.

    Parameters
    ----------
    lon, lat
        Degrees, shape (n,).

    Returns
    -------
    codes
        int64, from 0 to 4**30 - 1; -1 where a position is not finite.
    """
    lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.all():
        lon, lat = np.where(known, lon, 0.0), np.where(known, lat, 0.0)
    count = 1 << LEVELS
    x = np.clip((lon + 180.0) * (count / 360.0), 0, count - 1).astype(np.int32)
    y = np.clip((lat + 90.0) * (count / 360.0), 0, count - 1).astype(np.int32)
    found = numbers(x, y)
    return found if known.all() else np.where(known, found, -1)


def numbers(x: Whole32, y: Whole32) -> Rows:
    """
    Return the numbers of cells along the curve.

    Parameters
    ----------
    x, y
        Columns and lines of cells, int32, shape (n,), from 0 to 2**30 - 1.

    Returns
    -------
    numbers
        int64, from 0 to 4**30 - 1.
    """
    digits, following = _tables()
    found = np.zeros(len(x), dtype=np.int64)
    state = np.zeros(len(x), dtype=np.int32)
    mask = (1 << _AT_ONCE) - 1
    for shift in range(LEVELS - _AT_ONCE, -1, -_AT_ONCE):
        place = (state << 2 * _AT_ONCE) | (((x >> shift) & mask) << _AT_ONCE) | ((y >> shift) & mask)
        found = (found << 2 * _AT_ONCE) | digits[place]
        state = following[place]
    return found


@cache
def _tables() -> tuple[Table, Table]:
    """
    Return digits and following states by state and bits of x and y.

    A state tells whether both axes are reversed (1), and whether they are exchanged (2).
    """
    side = 1 << _AT_ONCE
    place = np.arange(4 * side * side, dtype=np.int32)
    state, x, y = place >> 2 * _AT_ONCE, (place >> _AT_ONCE) & (side - 1), place & (side - 1)
    digits = np.zeros(len(place), dtype=np.int32)
    for level in range(_AT_ONCE - 1, -1, -1):
        here_x, here_y = ((axis >> level & 1) ^ (state & 1) for axis in (x, y))
        swapped = state >> 1 == 1
        here_x, here_y = np.where(swapped, here_y, here_x), np.where(swapped, here_x, here_y)
        digits = digits << 2 | (3 * here_x) ^ here_y
        state = np.where(here_y == 0, state ^ (2 | here_x), state)
    return digits, state
