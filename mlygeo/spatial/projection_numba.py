"""
The polynomials of `mlygeo.spatial.projection`, compiled with Numba: positions of a few cells at the speed of memory.

One multiplication and one addition at a time, in the order of the NumPy code, and so the same bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.compiled import Library

if TYPE_CHECKING:
    from mlygeo.arrays import Floats, Indices, Whole

CODE = Library(__file__)

DEGREE = 5
"""The degree that is compiled, with a name for each coefficient, so that processors work on several positions."""

BLOCK = 1024
"""Positions worked on at once: their buffers stay in the caches."""


@CODE.function("f8[:,:]", "f8[:]", "f8[:]", "i8", "f8[:]")
def _evaluate(c: Any, u: Any, v: Any, count: int, out: Any) -> None:
    c00, c01, c02, c03, c04, c05 = c[0, 0], c[0, 1], c[0, 2], c[0, 3], c[0, 4], c[0, 5]
    c10, c11, c12, c13, c14 = c[1, 0], c[1, 1], c[1, 2], c[1, 3], c[1, 4]
    c20, c21, c22, c23 = c[2, 0], c[2, 1], c[2, 2], c[2, 3]
    c30, c31, c32 = c[3, 0], c[3, 1], c[3, 2]
    c40, c41 = c[4, 0], c[4, 1]
    c50 = c[5, 0]
    for at in range(count):
        s, t = u[at], v[at]
        found = c50
        found = found * s + (t * c41 + c40)
        found = found * s + ((t * c32 + c31) * t + c30)
        found = found * s + (((t * c23 + c22) * t + c21) * t + c20)
        found = found * s + ((((t * c14 + c13) * t + c12) * t + c11) * t + c10)
        found = found * s + (((((t * c05 + c04) * t + c03) * t + c02) * t + c01) * t + c00)
        out[at] = found


@CODE.function(
    "f8[:]", "f8[:]", "f8[:]", "f8[:]", "i8[:]", "f8[:,:,:,:]", "f8", "i8", "i8", "i8[:]",
    "f8[:]", "f8[:]", "f8[:]", "i8[:]", "i8[:]", "i8[:]", returns="i8",
)  # fmt: skip
def _project(  # noqa: PLR0917 - compiled code takes arrays one by one

    lon: Any, lat: Any, x: Any, y: Any, numbers: Any, coefficients: Any, cell_deg: float, columns: int, lines: int,
    left: Any, u: Any, v: Any, out: Any, slots: Any, rows: Any, own: Any,
) -> int:  # fmt: skip
    """Fill in x and y of the positions in cells with these numbers, ascending; note the rows of the others."""
    scale, gone, last = 1 / cell_deg, 0, np.int64(-1)
    for start in range(0, len(lon), BLOCK):
        waiting = 0
        for row in range(start, min(start + BLOCK, len(lon))):
            column, line = np.floor(lon[row] * scale) + columns // 2, np.floor(lat[row] * scale) + lines // 2
            slot = np.int64(-1)
            if column >= 0 and column < columns and line >= 0 and line < lines:
                number = np.int64(line) * columns + np.int64(column)
                if last >= 0 and numbers[last] == number:
                    slot = last
                else:
                    place = np.searchsorted(numbers, number)
                    if place < len(numbers) and numbers[place] == number:
                        slot = last = place
            if slot < 0:
                left[gone] = row
                gone += 1
            else:
                slots[waiting], rows[waiting] = slot, row
                waiting += 1
        # All positions of a cell at once, then those of the next.
        while waiting:
            slot, mine, others = slots[0], 0, 0
            column, line = numbers[slot] % columns, numbers[slot] // columns
            middle_lon = (column - columns // 2) * cell_deg + cell_deg / 2
            middle_lat = (line - lines // 2) * cell_deg + cell_deg / 2
            for at in range(waiting):
                row = rows[at]
                if slots[at] == slot:
                    own[mine] = row
                    u[mine], v[mine] = (lon[row] - middle_lon) * (2 * scale), (lat[row] - middle_lat) * (2 * scale)
                    mine += 1
                else:
                    slots[others], rows[others] = slots[at], row
                    others += 1
            _evaluate(coefficients[slot, 0], u, v, mine, out)
            for at in range(mine):
                x[own[at]] = out[at]
            _evaluate(coefficients[slot, 1], u, v, mine, out)
            for at in range(mine):
                y[own[at]] = out[at]
            waiting = others
    return gone


def project(
    lon: Floats,
    lat: Floats,
    x: Floats,
    y: Floats,
    *,
    numbers: Whole,
    coefficients: Floats,
    grid: tuple[float, int, int],
) -> Indices:
    """
    Fill in x and y (metres) of the positions (degrees) in some cells, and return the rows of the others.

    Parameters
    ----------
    lon, lat, x, y
        Contiguous arrays of equal length.
    numbers
        Numbers of the cells that have a polynomial of the degree that is compiled, ascending.
    coefficients
        Their coefficients, shape (cells, 2, i, j).
    grid
        Side of a cell in degrees, and how many columns and lines of cells the world has.
    """
    left = np.empty(len(lon), dtype=np.int64)
    buffers = *(np.empty(BLOCK) for _ in range(3)), *(np.empty(BLOCK, dtype=np.int64) for _ in range(3))
    return left[: _project(lon, lat, x, y, numbers, coefficients, *grid, left, *buffers)].astype(np.intp)
