"""
The grid of `mlygeo.spatial.grid`, compiled with Numba: built by a counting sort, searched ring by ring.

It makes the same comparisons on the same squared distances as the NumPy kernel, one operation at a
time (no fused multiply-add), and so gives the same answer to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.arrays import in_threads, workers
from mlygeo.compiled import Library
from mlygeo.kernels import given
from mlygeo.spatial.grid import SLACK, Box, shape

if TYPE_CHECKING:
    from mlygeo.arrays import Bytes, Floats, Rows, Whole32
    from mlygeo.spatial.grid import HeadingTest

CODE = Library(__file__)

CELLS_PER_IMAGE = 0.25
"""Cells of some 12 to 16 m in a city of ten million images: fewer cells stay in the caches, more hold fewer images."""

SMALLEST_CELL_M = 1.0
MOST_SORTERS = 8


@CODE.function("f8[:]", "f8[:]", "f8", "f8", "f8", "i8", "i4[:]", "i8", "i8", "i4[:]")
def _count(  # noqa: PLR0917 - compiled code takes arrays one by one
    x: Any,
    y: Any,
    west: float,
    south: float,
    scale: float,
    columns: int,
    chosen: Any,
    start: int,
    stop: int,
    counts: Any,
) -> None:
    for at in range(start, stop):
        row = chosen[at] if len(chosen) else at
        counts[int((y[row] - south) * scale) * columns + int((x[row] - west) * scale)] += 1


@CODE.function("i4[:,:]", "i4[:]")
def place(counts: Any, starts: Any) -> None:
    """Turn counts of each sorter (rows) and cell (columns) into the places of its first entries."""
    total = 0
    for cell in range(counts.shape[1]):
        starts[cell] = total
        for sorter in range(counts.shape[0]):
            count = counts[sorter, cell]
            counts[sorter, cell] = total
            total += count
    starts[counts.shape[1]] = total


@CODE.function("f8[:]", "f8[:]", "f8", "f8", "f8", "i8", "i4[:]", "i8", "i8", "i4[:]", "f8[:]", "f8[:]", "i4[:]")
def _scatter(  # noqa: PLR0917 - compiled code takes arrays one by one

    x: Any, y: Any, west: float, south: float, scale: float, columns: int, chosen: Any, start: int, stop: int,
    places: Any, sorted_x: Any, sorted_y: Any, rows: Any,
) -> None:  # fmt: skip
    for at in range(start, stop):
        row = chosen[at] if len(chosen) else at
        cell = int((y[row] - south) * scale) * columns + int((x[row] - west) * scale)
        place = places[cell]
        places[cell] = place + 1
        sorted_x[place] = x[row]
        sorted_y[place] = y[row]
        rows[place] = row


@CODE.function(
    "f8", "f8", "f8", "i8", "i8", "i4[:]", "f8[:]", "f8[:]", "i4[:]", "f8[:]", "f8[:]", "i8[:]", "i8", "i8", "i8",
    "i8[:]", "f8", "f8", "u1", "f8[:]", "f8[:]", "u1[:]", "f8", "f8[:,:]", "i8[:,:]",
)  # fmt: skip
def _search(  # noqa: PLR0917 - compiled code takes arrays one by one

    west: float, south: float, side: float, columns: int, lines: int, starts: Any, grid_x: Any, grid_y: Any, rows: Any,
    x: Any, y: Any, points: Any, begin: int, end: int, first_row: int, key_rank: Any, limit_square: float, slack: float,
    tested: int, bearing: Any, heading: Any, pano: Any, most: float, squares: Any, found: Any,
) -> None:  # fmt: skip
    k = squares.shape[1]
    for number in range(begin, end):
        point = points[number]
        qx, qy = x[point], y[point]
        column, line = int((qx - west) / side), int((qy - south) / side)
        worst = limit_square
        if found[point, k - 1] >= 0:
            worst = min(worst, squares[point, k - 1])
        for ring in range(max(columns, lines)):
            if ring > 0:
                # Positions beyond the searched rings are at least this far away.
                edge = -slack + min(
                    qx - (west + (column - ring + 1) * side),
                    (west + (column + ring) * side) - qx,
                    qy - (south + (line - ring + 1) * side),
                    (south + (line + ring) * side) - qy,
                )
                if edge > 0 and edge * edge > worst:
                    break
            for at in range(max(line - ring, 0), min(line + ring, lines - 1) + 1):
                whole = at == line - ring or at == line + ring
                # A middle line of a ring has two of its cells, the first and the last line all.
                for part in range(1 if whole or ring == 0 else 2):
                    if whole:
                        first, last = max(column - ring, 0), min(column + ring, columns - 1)
                    else:
                        first = column - ring if part == 0 else column + ring
                        last = first
                        if first < 0 or first >= columns:
                            continue
                    for entry in range(starts[at * columns + first], starts[at * columns + last + 1]):
                        dx = grid_x[entry] - qx
                        dy = grid_y[entry] - qy
                        square = dx * dx + dy * dy
                        if not square <= worst:
                            continue
                        image = first_row + rows[entry]
                        if tested and not pano[image]:
                            difference = np.fmod(abs(heading[image] - bearing[point]), 180.0)
                            if not min(difference, 180.0 - difference) <= most:
                                continue
                        place = k
                        while place > 0:
                            other = found[point, place - 1]
                            if other >= 0:
                                near = squares[point, place - 1]
                                if near < square:
                                    break
                                if near == square and (
                                    key_rank[other] < key_rank[image]
                                    or (key_rank[other] == key_rank[image] and other < image)
                                ):
                                    break
                            place -= 1
                        if place == k:
                            continue
                        for rank in range(k - 1, place, -1):
                            squares[point, rank] = squares[point, rank - 1]
                            found[point, rank] = found[point, rank - 1]
                        squares[point, place] = square
                        found[point, place] = image
                        if found[point, k - 1] >= 0:
                            worst = squares[point, k - 1]


def search(
    points: tuple[Floats, Floats],
    images: tuple[Floats, Floats],
    key_rank: Rows,
    *,
    only: Rows,
    chosen: Whole32 | None,
    box: Box,
    limit_square: float,
    test: HeadingTest | None,
    squares: Floats,
    rows: Rows,
    first: int = 0,
) -> None:
    """
    Find the nearest images of points; see `mlygeo.spatial.knn.search`.

    Parameters
    ----------
    points, images, key_rank
        Positions (x, y) of all points and of some images, and the ranks of all images' keys.
    only, chosen
        Rows of the points and images to use (None for all).
    box
        Box of all these points and images.
    limit_square
        Largest squared distance.
    test
        Which pairs may match by their headings; None for all.
    squares, rows
        What was found in other images, of which the nearest stay; filled in place.
    first
        The row of the first of these images among all.
    """
    points, key_rank = (given(points[0]), given(points[1])), given(key_rank)
    grid = build(images, chosen, box)
    only = by_cell(points, only, grid)
    rest: tuple[Any, ...] = (first, key_rank, limit_square, SLACK * grid.side, *headings(test), squares, rows)
    share = max(4096, -(-len(only) // (4 * workers())))
    in_threads(lambda start, stop: _search(*grid, *points, only, start, stop, *rest), len(only), share, "points")


class Cells(NamedTuple):
    """Positions sorted into square cells, as compiled code takes them."""

    west: float
    south: float
    side: float
    columns: int
    lines: int
    starts: Whole32
    x: Floats
    y: Floats
    rows: Whole32


def build(
    images: tuple[Floats, Floats], chosen: Whole32 | None, box: Box, *, per_image: float = CELLS_PER_IMAGE
) -> Cells:
    """
    Sort positions into cells.

    Parameters
    ----------
    images
        Positions (x, y).
    chosen
        Rows of those to sort, all inside the box; None for all.
    box
        The box of the cells.
    per_image
        Cells for each position.
    """
    images = given(images[0]), given(images[1])
    count = len(images[0]) if chosen is None else len(chosen)
    side, _, columns, lines = shape(box, count, aspect=1, at_least=SMALLEST_CELL_M, per_image=per_image)
    taken = given(np.empty(0, dtype=np.int32) if chosen is None else chosen)
    chunk, unit = max(-(-count // min(workers(), MOST_SORTERS)), 1), "images"
    # Each thread counts and then places its own share of the images, so that no thread waits.
    places = np.zeros((-(-count // chunk), columns * lines), dtype=np.int32)
    layout = (*images, box.west, box.south, 1 / side, columns, taken)
    in_threads(lambda start, stop: _count(*layout, start, stop, places[start // chunk]), count, chunk, unit)
    starts = np.empty(columns * lines + 1, dtype=np.int32)
    place(places, starts)
    entries = np.empty(count), np.empty(count), np.empty(count, dtype=np.int32)
    in_threads(lambda start, stop: _scatter(*layout, start, stop, places[start // chunk], *entries), count, chunk, unit)
    return Cells(box.west, box.south, side, columns, lines, starts, *entries)


def by_cell(points: tuple[Floats, Floats], only: Rows, grid: Cells) -> Rows:
    """Return rows of points so that neighbours are processed one after another, and look-ups stay in the caches."""
    line = ((points[1][only] - grid.south) / grid.side).astype(np.int64)
    return given(only[np.argsort(line * grid.columns + ((points[0][only] - grid.west) / grid.side).astype(np.int64))])


def headings(test: HeadingTest | None) -> tuple[bool, Floats, Floats, Bytes, float]:
    """Return a test of headings, or that there is none, as compiled code takes it."""
    if test is None:
        nothing = given(np.empty(0))
        return False, nothing, nothing, given(np.empty(0, dtype=np.uint8)), 0.0
    return True, given(test.bearing), given(test.heading), given(test.pano.view(np.uint8)), test.most
