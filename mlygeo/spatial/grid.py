"""
A uniform grid over planar positions, and the search for the nearest of them, in NumPy.

The grid is built by one sort of (cell, row) keys; cells are numbered along rows of the grid, so that
any stretch of a grid row is one run of the sorted positions. A coarse map of occupied blocks gives for each
point the least and largest possible distance of its nearest image, so that points without an image in reach
need no search, and the others search one or two windows of the right size.

Comparisons are made on the squared distance dx * dx + dy * dy in float64, here and in the compiled
kernel (`mlygeo.spatial.grid_numba`), so that both give the same bits and the same ties.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from mlygeo.arrays import in_threads, numbered, workers
from mlygeo.degrees import heading_difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlygeo.arrays import Bytes, Flags, Floats, Rows, Whole32

CELLS_PER_IMAGE = 2

LEAST_CELLS, MOST_CELLS = 1 << 18, 1 << 25

ASPECT = 4
"""Height over width of a cell. Flat windows cross fewer grid rows, each of which costs a look-up."""

SMALLEST_CELL_M = 0.25

RINGS = 8
"""Blocks of the occupancy map within the limit, to each side."""

CHUNK_IMAGES = 1 << 18

CHUNK_POINTS = 1 << 14

CHUNK_PAIRS = 1 << 17
"""Pairs of points and images compared at once: arrays of this length stay in the caches."""

SLACK = 1e-3
"""Windows are wider than needed by this share of a cell, so that rounding loses nothing at their edges."""

PairTest: TypeAlias = "Callable[[Rows, Rows, Floats], Flags]"
"""Function that decides whether pairs (point row, image row, squared distance) may match."""


class Box(NamedTuple):
    """A planar box, metres."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True)
class Grid:
    """Positions sorted into cells: cell (line, column) holds the entries from starts[line * columns + column] on."""

    west: float
    south: float
    width: float
    height: float
    columns: int
    lines: int
    starts: Whole32
    x: Floats
    y: Floats
    rows: Whole32

    @property
    def slack(self) -> float:
        """Metres by which windows are widened."""
        return SLACK * self.width

    def cells(self, x: Floats, y: Floats) -> tuple[Rows, Rows]:
        """Return line and column of the cell of each position in the grid's box."""
        column = ((x - self.west) * (1 / self.width)).astype(np.int64)
        return ((y - self.south) * (1 / self.height)).astype(np.int64), column

    def windows(self, x: Floats, y: Floats, radius: Floats) -> Windows:
        """Return the runs of entries in windows around positions, which hold all within a radius of each."""
        slack = self.slack
        low = ((y - radius - (slack + self.south)) * (1 / self.height)).astype(np.int64)
        high = ((y + radius + (slack - self.south)) * (1 / self.height)).astype(np.int64)
        np.clip(low, 0, self.lines - 1, out=low)
        np.clip(high, 0, self.lines - 1, out=high)
        ranges = np.zeros(len(x) + 1, dtype=np.int64)
        np.cumsum(high - low + 1, out=ranges[1:])
        count = high - low + 1
        line = numbered(count, low)
        # The extent of a window along a line is a chord of its circle.
        offset = np.abs(line * self.height + (self.south + self.height / 2) - np.repeat(y, count)) - (
            self.height / 2 + slack
        )
        np.maximum(offset, 0, out=offset)
        half = np.sqrt(np.maximum(np.repeat(radius * radius, count) - offset * offset, 0)) + slack
        middle = np.repeat(x - self.west, count)
        first = ((middle - half) * (1 / self.width)).astype(np.int64)
        last = ((middle + half) * (1 / self.width)).astype(np.int64)
        np.clip(first, 0, self.columns - 1, out=first)
        np.clip(last, 0, self.columns - 1, out=last)
        line *= self.columns
        first += line
        last += line
        begin = self.starts[first].astype(np.int64)
        return Windows(begin, self.starts[last + 1] - begin, ranges)


def shape(
    box: Box, count: int, *, aspect: float, at_least: float, per_image: float = CELLS_PER_IMAGE
) -> tuple[float, float, int, int]:
    """Return width, height, columns and lines of cells for a number of positions in a box."""
    cells = min(max(per_image * count, LEAST_CELLS), MOST_CELLS)
    wide, high = max(box.east - box.west, 1e-3), max(box.north - box.south, 1e-3)
    height = max(np.sqrt(wide * high / cells * aspect), wide / cells * aspect, high / cells, at_least)
    width = height / aspect
    return width, height, int(wide / width) + 2, int(high / height) + 2


def build(positions: tuple[Floats, Floats], chosen: Whole32 | None, box: Box, *, at_least: float) -> Grid:
    """
    Sort positions into a grid.

    Parameters
    ----------
    positions
        All positions (x, y), metres.
    chosen
        Rows of the positions to sort, all inside the box; None for all rows.
    box
        The box of the grid.
    at_least
        Least height of a cell, metres.
    """
    x, y = positions
    count = len(x) if chosen is None else len(chosen)
    width, height, columns, lines = shape(box, count, aspect=ASPECT, at_least=at_least)
    bits = max(count.bit_length(), 1)
    keys = np.empty(count, dtype=np.int64)

    def make_keys(start: int, stop: int) -> None:
        part = slice(start, stop) if chosen is None else chosen[start:stop]
        column = ((x[part] - box.west) * (1 / width)).astype(np.int32)
        line = ((y[part] - box.south) * (1 / height)).astype(np.int64)
        line *= columns
        line += column
        line <<= bits
        line |= np.arange(start, stop)
        keys[start:stop] = line

    in_threads(make_keys, count, CHUNK_IMAGES, "images")
    # NumPy sorts whole int64 five times faster (AVX-512) than it finds an order with argsort.
    keys.sort()

    starts = np.empty(columns * lines + 1, dtype=np.int32)
    starts[0] = 0

    def count_cells(first: int, last: int) -> None:
        low, high = np.searchsorted(keys, [first << bits, last << bits])
        inside = np.bincount((keys[low:high] >> bits) - first, minlength=last - first)
        np.cumsum(inside, out=inside)
        inside += low
        starts[first + 1 : last + 1] = inside

    in_threads(count_cells, columns * lines, CHUNK_IMAGES * 4, "cells")
    rows = np.empty(count, dtype=np.int32)
    sorted_x, sorted_y = np.empty(count), np.empty(count)

    def gather(start: int, stop: int) -> None:
        order = keys[start:stop] & ((1 << bits) - 1)
        part = order if chosen is None else chosen[order]
        rows[start:stop] = part
        sorted_x[start:stop] = x[part]
        sorted_y[start:stop] = y[part]

    in_threads(gather, count, CHUNK_IMAGES, "images")
    return Grid(box.west, box.south, width, height, columns, lines, starts, sorted_x, sorted_y, rows)


@dataclass(frozen=True)
class Occupancy:
    """How many blocks away the nearest occupied block is (Chebyshev), for each block of cells."""

    per_column: int
    per_line: int
    short: float
    long: float
    rings: Bytes


def occupancy(grid: Grid, limit: float) -> Occupancy:
    """Return the map of occupied blocks of a grid, `RINGS` of which reach as far as the limit."""
    side = max(limit / RINGS, 2 * grid.height)
    across, down = max(1, round(side / grid.width)), max(1, round(side / grid.height))
    edges = np.minimum(np.arange(0, grid.columns + across, across), grid.columns)
    blocks = len(edges) - 1
    occupied = np.zeros((-(-grid.lines // down), blocks), dtype=bool)
    together = down * max(1, CHUNK_IMAGES // (down * blocks))
    for line in range(0, grid.lines, together):
        lines = np.arange(line, min(line + together, grid.lines))
        entries = grid.starts[lines[:, np.newaxis] * grid.columns + edges]
        filled = entries[:, 1:] > entries[:, :-1]
        first = np.arange(0, len(lines), down)
        occupied[line // down : line // down + len(first)] = np.logical_or.reduceat(filled, first, axis=0)
    sides = across * grid.width, down * grid.height
    most = int(limit / min(sides)) + 2
    rings = np.full(occupied.shape, most + 1, dtype=np.uint8)
    reached = np.zeros((occupied.shape[0] + 2, blocks + 2), dtype=bool)
    reached[1:-1, 1:-1] = occupied
    for ring in range(most + 1):
        inner = reached[1:-1, 1:-1]
        np.minimum(rings, np.where(inner, np.uint8(ring), np.uint8(255)), out=rings)
        spread = reached[:, 1:-1] | reached[:, :-2] | reached[:, 2:]
        reached[1:-1, 1:-1] = spread[1:-1] | spread[:-2] | spread[2:]
    return Occupancy(across, down, min(sides), float(np.hypot(*sides)), rings)


class Windows(NamedTuple):
    """Runs of grid entries: where each begins, its length, and the first run of each point (and one more)."""

    begin: Rows
    lengths: Rows
    first: Rows

    def part(self, start: int, stop: int) -> Windows:
        """Return the windows of the points from start to stop."""
        runs = slice(self.first[start], self.first[stop])
        return Windows(self.begin[runs], self.lengths[runs], self.first[start : stop + 1] - self.first[start])

    def parts(self, most: int) -> Iterator[tuple[int, int, Windows]]:
        """Yield the windows of so many points that they have no more entries together, or of one; and which points."""
        pairs = np.cumsum(np.add.reduceat(self.lengths, self.first[:-1]))
        start = 0
        while start < len(pairs):
            done = pairs[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(pairs, done + most, side="right")))
            yield start, stop, self.part(start, stop)
            start = stop

    @property
    def entries(self) -> tuple[Rows, Rows]:
        """The grid entries of all runs, and how many each point has."""
        return numbered(self.lengths, self.begin), np.add.reduceat(self.lengths, self.first[:-1])


class Search:
    """
    A search for the k nearest images of points, in a grid.

    Parameters
    ----------
    grid
        The images.
    key_rank
        Ranks of all images' keys by row; the lower one wins a tie.
    points
        Positions (x, y) of all points by row, metres.
    squares, rows
        Filled in place: squared distances and image rows, shape (all points, k).
    limit
        Largest distance of interest, metres.
    test
        Which pairs may match; None for all.
    """

    def __init__(
        self,
        grid: Grid,
        key_rank: Rows,
        points: tuple[Floats, Floats],
        squares: Floats,
        rows: Rows,
        *,
        limit: float,
        test: PairTest | None,
    ) -> None:
        self.grid, self.key_rank, self.limit, self.test = grid, key_rank, limit, test
        self.x, self.y = points
        self.squares, self.rows, self.k = squares, rows, rows.shape[1]
        self.map = occupancy(grid, limit)

    def run(self, points: Rows) -> None:
        """Find the images of some points (by row), which lie inside the grid's box."""
        grid = self.grid
        line, column = grid.cells(self.x[points], self.y[points])
        ring = self.map.rings[line // self.map.per_line, column // self.map.per_column]
        # A block `ring` away is at least ring - 1 whole blocks away.
        near = (ring - 1.0) * self.map.short <= self.limit
        points, column, line = points[near], column[near], line[near]
        # Process neighbours in the grid one after another, so that look-ups stay in the caches.
        order = np.argsort(line * grid.columns + column)
        points, ring = points[order], ring[near][order]
        chunk = min(CHUNK_POINTS, max(1024, -(-len(points) // workers())))
        in_threads(lambda start, stop: self._chunk(points[start:stop], ring[start:stop]), len(points), chunk, "points")

    def _chunk(self, points: Rows, ring: Bytes) -> None:
        """Widen the windows of some points until each has its images, or the limit is reached."""
        surely = np.minimum((ring + 1.0) * self.map.long, self.limit)
        first = self.grid.height * 0.5 * np.sqrt(self.k)
        radius = np.minimum(np.where(ring <= 1, first, (ring + 0.5) * self.map.short), surely)
        while len(points):
            found = np.zeros(len(points), dtype=np.int64)
            windows = self.grid.windows(self.x[points], self.y[points], radius)
            for start, stop, some in windows.parts(CHUNK_PAIRS):
                found[start:stop] = self._compare(points[start:stop], radius[start:stop], some)
            short = (found < self.k) & (radius < self.limit)
            points, surely = points[short], surely[short]
            radius = np.minimum(np.maximum(2 * radius[short], surely), self.limit)

    def _compare(self, points: Rows, radius: Floats, windows: Windows) -> Rows:
        """Compare points with the entries in their windows, note the nearest, and return how many each has."""
        entry, per_point = windows.entries
        dx = self.grid.x[entry]
        dx -= np.repeat(self.x[points], per_point)
        dy = self.grid.y[entry]
        dy -= np.repeat(self.y[points], per_point)
        np.multiply(dx, dx, out=dx)
        np.multiply(dy, dy, out=dy)
        square = np.add(dx, dy, out=dx)
        found = np.zeros(len(points), dtype=np.int64)
        some = np.flatnonzero(per_point)
        if not len(some):
            return found
        if self.k == 1 and self.test is None:
            least = np.minimum.reduceat(square, (np.cumsum(per_point) - per_point)[some])
            inside = np.sqrt(least) <= radius[some]
            bound = np.full(len(points), -1.0)
            bound[some[inside]] = least[inside]
            keep = np.flatnonzero(square <= np.repeat(bound, per_point))
        else:
            keep = np.flatnonzero(np.sqrt(square) <= np.repeat(radius, per_point))
        owner = np.repeat(np.arange(len(points)), per_point)[keep]
        square, image = square[keep], self.grid.rows[entry[keep]].astype(np.int64)
        if self.test is not None:
            passes = self.test(points[owner], image, square)
            owner, square, image = owner[passes], square[passes], image[passes]
        found = np.bincount(owner, minlength=len(points))
        if self.k > 1 or (found > 1).any():
            order = np.lexsort((image, self.key_rank[image], square, owner))
            owner, square, image = owner[order], square[order], image[order]
        rank = numbered(found)
        best = rank < self.k
        self.squares[points[owner[best]], rank[best]] = square[best]
        self.rows[points[owner[best]], rank[best]] = image[best]
        return found


# Tests of pairs of points and images, applied before the nearest are selected.


@dataclass(frozen=True)
class HeadingTest:
    """
    Flat images whose camera looks along the street, and all panoramas.

    Parameters
    ----------
    bearing
        Bearing of the street at each point, degrees; a flat image does not pass where it is NaN.
    heading
        Heading of each image, degrees; a flat image does not pass where it is NaN.
    pano
        Whether each image is a panorama, which shows all directions and always passes.
    most
        Largest difference, degrees.
    """

    bearing: Floats
    heading: Floats
    pano: Flags
    most: float

    def __call__(self, points: Rows, images: Rows, squares: Floats) -> Flags:  # noqa: ARG002 - other tests need it
        """Return which pairs pass."""
        difference = heading_difference(self.heading[images], self.bearing[points])
        passes: Flags = (difference <= self.most) | self.pano[images]
        return passes


@dataclass(frozen=True)
class HoldTest:
    """
    Images that no nearer point holds, for assigning each image to one point.

    Parameters
    ----------
    number
        Number of each image; rows with the same id share one.
    held_square, held_by
        For each number: squared distance and place of the point that holds it (inf and -1 for none).
    place
        Place of each point in the order that settles ties.
    test
        Another test that a pair has to pass, or None.
    """

    number: Rows
    held_square: Floats
    held_by: Rows
    place: Rows
    test: PairTest | None

    def __call__(self, points: Rows, images: Rows, squares: Floats) -> Flags:
        """Return which pairs pass."""
        number = self.number[images]
        held = self.held_square[number]
        passes: Flags = (squares < held) | ((squares == held) & (self.place[points] < self.held_by[number]))
        if self.test is not None:
            passes &= self.test(points, images, squares)
        return passes
