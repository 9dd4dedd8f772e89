"""
The k nearest images of points in the plane: which part of the data to search, how far, and by which kernel.

Dense areas are searched first, within a few hundred metres; the remaining points on coarser grids. A
box that is mostly empty (two cities, a stray position far away) is halved until its cells suit its
images. The result does not depend on these steps.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mlygeo.arrays import distinct, within_runs
from mlygeo.kernels import kernel
from mlygeo.spatial import grid as grids
from mlygeo.spatial.grid import CHUNK_IMAGES, SMALLEST_CELL_M, Box, HeadingTest, Search

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    import numpy.typing as npt

    from mlygeo.arrays import Flags, Floats, Indices, Rows, Whole32
    from mlygeo.spatial.grid import PairTest

    Chosen: TypeAlias = Whole32 | None

LOG = logging.getLogger("mlygeo.spatial.nearest")

FIRST_LIMIT_M, WIDER = 256.0, 8.0
"""Reach of the first pass, metres, and the factor by which each further pass reaches farther."""

FARTHEST_M = 1e9
"""Larger than any projection of the Earth; coordinates beyond it could not be projected."""

SAVED_S = 8e-8
"""Processor time that the compiled kernel saves for each image, seconds (measured, with a point for 20 images)."""

BATCH = 2_500_000
"""Images that compiled code sorts at once: more take more memory, and no less time (measured)."""

CROWDED, CROWDED_WORK = 32.0, 4e6
"""A box is halved if enough of its points have a density this many times the average."""

HISTOGRAM, SAMPLE, MOST_HALVINGS = 64, 20_000, 16


def search(
    points: tuple[Floats, Floats],
    images: tuple[Floats, Floats],
    key_rank: Rows,
    *,
    max_distance: float,
    k: int = 1,
    test: PairTest | None = None,
    only: Rows | None = None,
    compiled: bool | None = None,
) -> tuple[Floats, Rows]:
    """
    Return the nearest images of points.

    Parameters
    ----------
    points, images
        Positions (x, y), metres; positions that are not finite never match.
    key_rank
        Ranks of the images' keys. Among images at the same squared distance the lowest comes first,
        then the lowest row.
    max_distance
        Largest distance, inclusive; infinity for no limit.
    k
        Number of images for each point.
    test
        Which pairs may match; None for all.
    only
        Rows of the points to search for; None for all.
    compiled
        True for the Numba kernel, False for NumPy, None to choose by size and what is installed.

    Returns
    -------
    squares
        Squared distances, shape (points, k), from the nearest; infinity where there is none.
    rows
        Rows of the images, -1 where there is none.
    """
    squares = np.full((len(points[0]), k), np.inf)
    rows = np.full((len(points[0]), k), -1, dtype=np.int64)
    todo, chosen = usable(points, images, only)
    if not len(todo) or not (len(key_rank) if chosen is None else len(chosen)):
        return squares, rows

    compilable = test is None or isinstance(test, HeadingTest)
    compiled_code = _kernel(len(key_rank), compiled=compiled) if compilable else None
    # No two positions are farther apart than the diagonal of all.
    box = _union(_tight(*points, todo), _tight(*images, chosen))
    farthest = min(max_distance, 2 * np.hypot(box.east - box.west, box.north - box.south) + 1)
    limit = min(farthest, FIRST_LIMIT_M)
    if chosen is None and compiled_code is not None and limit >= farthest:
        for first, part in batches(images):
            _Task(points, part, key_rank, limit, test, compiled_code, squares, rows, first).run(todo, None)
        return squares, rows
    while len(todo):
        task = _Task(points, images, key_rank, limit, test, compiled_code, squares, rows)
        task.run(todo, chosen)
        if limit >= farthest:
            break
        todo = todo[rows[todo, k - 1] < 0]
        squares[todo], rows[todo] = np.inf, -1
        limit = min(limit * WIDER, farthest)
    return squares, rows


def search_distinct(
    points: tuple[Floats, Floats],
    images: tuple[Floats, Floats],
    key_rank: Rows,
    *,
    max_distance: float,
    k: int,
    test: PairTest | None,
    compiled: bool | None,
) -> tuple[Rows, Rows, Floats]:
    """
    Return the pairs of points and their k nearest images, each id counted once for a point.

    Parameters
    ----------
    points, images, key_rank, max_distance, k, test, compiled
        As in `search`.

    Returns
    -------
    point_rows, image_rows, squares
        In the order of point rows and ranks.
    """

    def find(ask: int, only: Rows | None) -> tuple[Floats, Rows]:
        return search(
            points, images, key_rank, max_distance=max_distance, k=ask, test=test, only=only, compiled=compiled
        )

    return each_id_once(find, key_rank, k)


def each_id_once(
    find: Callable[[int, Rows | None], tuple[Floats, Rows]], key_rank: Rows, k: int
) -> tuple[Rows, Rows, Floats]:
    """
    Return the pairs of points and their k first images, each id counted once for a point.

    Parameters
    ----------
    find
        Returns of some points (None for all) values and rows of so many images, in their order, as `search` does.
    key_rank
        Ranks of the images' keys.
    k
        Number of images for each point.

    Returns
    -------
    point_rows, image_rows, values
        In the order of point rows and ranks.
    """
    repeated = k > 1 and distinct(key_rank) < len(key_rank)
    ask, todo = k, None
    parts: list[tuple[Rows, Rows, Floats]] = []
    while True:
        values, rows = find(ask, todo)
        point, rank = np.nonzero(rows >= 0)
        image, value = rows[point, rank], values[point, rank]
        if not repeated:
            return point, image, value
        # An id that is in the images several times counts at its first position; search for more if a
        # point then has too few.
        keep = firsts(point, key_rank[image])
        point, image, value = point[keep], image[keep], value[keep]
        short = (np.bincount(point, minlength=len(rows)) < k) & (rows[:, -1] >= 0)
        done = ~short[point] & (within_runs(point) < k)
        parts.append((point[done], image[done], value[done]))
        todo = np.flatnonzero(short)
        if not len(todo):
            break
        ask *= 2
    point, image, value = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(point, kind="stable")
    return point[order], image[order], value[order]


def firsts(point: Rows, rank: Rows) -> Flags:
    """Return which pairs, ordered by point, are the first of their point and key."""
    order = np.lexsort((np.arange(len(point)), rank, point))
    again = np.zeros(len(point), dtype=bool)
    again[order[1:]] = (rank[order[1:]] == rank[order[:-1]]) & (point[order[1:]] == point[order[:-1]])
    return ~again


def largest_square(distance: float) -> float:
    """Return the largest squared distance whose root, as computed, does not exceed a distance."""
    square = np.float64(distance) * np.float64(distance)
    while np.sqrt(square) > distance:
        square = np.nextafter(square, 0)
    while np.isfinite(square) and np.sqrt(above := np.nextafter(square, np.inf)) <= distance:
        square = above
    return float(square)


def usable(points: tuple[Floats, Floats], images: tuple[Floats, Floats], only: Rows | None) -> tuple[Rows, Chosen]:
    """Return the rows of those of some points (None for all) and of the images that have a position; None for all."""
    todo = np.arange(len(points[0])) if only is None else only
    todo = todo[_usable(points[0][todo], points[1][todo])]
    if not np.isfinite(around := np.array(_tight(*images, None))).all() or np.abs(around).max() >= FARTHEST_M:
        return todo, np.flatnonzero(_usable(*images)).astype(np.int32)
    return todo, None


def batches(images: tuple[Floats, Floats]) -> Iterator[tuple[int, tuple[Floats, Floats]]]:
    """Yield images some at a time, and the row of the first of them."""
    count = len(images[0])
    batch = -(-count // -(-count // BATCH))
    for first in range(0, count, batch):
        some = slice(first, first + batch)
        yield first, (images[0][some], images[1][some])


def has_kernel() -> bool:
    """Return whether the compiled kernel can be used here."""
    return _kernel(0, compiled=True) is not None


def _kernel(images: int, *, compiled: bool | None) -> ModuleType | None:
    return kernel("mlygeo.spatial.grid_numba", images * SAVED_S, compiled=compiled)


@dataclass(frozen=True)
class _Task:
    """One pass of a search, up to a limit; squares and rows are filled in place."""

    points: tuple[Floats, Floats]
    images: tuple[Floats, Floats]
    key_rank: Rows
    limit: float
    test: PairTest | None
    kernel: ModuleType | None
    squares: Floats
    rows: Rows
    first: int = 0
    """The row of the first of these images among all."""

    def run(self, only: Rows, chosen: Chosen) -> None:
        """Search the images within the limit around some points."""
        for own, near, box in divided(self.points, self.images, only, chosen, limit=self.limit):
            self._search(own, near, box)

    def _search(self, only: Rows, chosen: Chosen, box: Box) -> None:
        if self.kernel is not None:
            self.kernel.search(
                self.points,
                self.images,
                self.key_rank,
                only=only,
                chosen=chosen,
                box=box,
                limit_square=largest_square(self.limit),
                test=self.test,
                squares=self.squares,
                rows=self.rows,
                first=self.first,
            )
            return
        grid = grids.build(self.images, chosen, box, at_least=max(self.limit / 32, SMALLEST_CELL_M))
        search = Search(grid, self.key_rank, self.points, self.squares, self.rows, limit=self.limit, test=self.test)
        search.run(only)


def divided(
    points: tuple[Floats, Floats],
    images: tuple[Floats, Floats],
    only: Rows,
    chosen: Chosen,
    *,
    limit: float,
    halvings: int = 0,
) -> Iterator[tuple[Rows, Chosen, Box]]:
    """
    Yield points, the images within a limit of them and the box of both: all, or parts where the box is mostly empty.

    Parameters
    ----------
    points, images
        Positions (x, y); those of `only` and `chosen` are finite.
    only, chosen
        Rows of the points and the images to search (None for all images).
    limit
        Largest distance of interest.
    halvings
        How often the points were halved.

    Yields
    ------
    only, chosen, box
        Each point at most once; one that has no image in the limit may be left out.
    """
    chosen = _inside(*images, chosen, _grown(_tight(*points, only), limit))
    if chosen is not None and not len(chosen):
        return
    around = _tight(*images, chosen)
    kept = _inside(*points, only, _grown(around, limit))
    only = only if kept is None else kept.astype(np.int64)
    if not len(only):
        return
    box = _union(_tight(*points, only), around)
    if halvings < MOST_HALVINGS and _crowded(points, images, only, chosen, box=box, limit=limit):
        wide = box.east - box.west >= box.north - box.south
        values = points[0 if wide else 1][only]
        low = values < (values.min() + values.max()) / 2
        for half in (only[low], only[~low]):
            if len(half):
                yield from divided(points, images, half, chosen, limit=limit, halvings=halvings + 1)
        return
    yield only, chosen, box


def _crowded(
    points: tuple[Floats, Floats],
    images: tuple[Floats, Floats],
    only: Rows,
    chosen: Chosen,
    *,
    box: Box,
    limit: float,
) -> bool:
    """Return whether points have far more images around them than average, so that cells would be too large."""
    size = max(box.east - box.west, box.north - box.south)
    if size <= 16 * limit or len(only) * HISTOGRAM**2 < CROWDED_WORK:
        return False

    def histogram(x: Floats, y: Floats) -> Indices:
        column = ((x - box.west) * (HISTOGRAM / (size * 1.001))).astype(np.intp)
        line = ((y - box.south) * (HISTOGRAM / (size * 1.001))).astype(np.intp)
        return np.bincount(line * HISTOGRAM + column, minlength=HISTOGRAM**2)

    some = only[:: max(1, len(only) // SAMPLE)]
    step = max(1, (len(images[0]) if chosen is None else len(chosen)) // SAMPLE)
    rows = slice(None, None, step) if chosen is None else chosen[::step]
    of_points = histogram(points[0][some], points[1][some])
    of_images = histogram(images[0][rows], images[1][rows])
    cells = max(HISTOGRAM**2 * (box.east - box.west) * (box.north - box.south) / size**2, HISTOGRAM)
    density = float(of_points @ of_images) / float(of_points.sum() * of_images.sum()) * cells
    return density > CROWDED and density * len(only) > CROWDED_WORK


def _usable(x: Floats, y: Floats) -> Flags:
    with np.errstate(invalid="ignore"):
        usable: Flags = (np.abs(x) < FARTHEST_M) & (np.abs(y) < FARTHEST_M)
    return usable


def _tight(x: Floats, y: Floats, chosen: npt.NDArray[np.integer] | None) -> Box:
    """Return the box of the chosen positions."""
    count = len(x) if chosen is None else len(chosen)
    if not count:
        return Box(np.inf, np.inf, -np.inf, -np.inf)
    parts = []
    for start in range(0, count, CHUNK_IMAGES):
        stop = start + CHUNK_IMAGES
        part = slice(start, stop) if chosen is None else chosen[start:stop]
        parts.append((x[part].min(), y[part].min(), x[part].max(), y[part].max()))
    lows, highs = np.min(parts, axis=0), np.max(parts, axis=0)
    return Box(float(lows[0]), float(lows[1]), float(highs[2]), float(highs[3]))


def _union(first: Box, second: Box) -> Box:
    return Box(*map(min, first[:2], second[:2]), *map(max, first[2:], second[2:]))


def _grown(box: Box, limit: float) -> Box:
    # A little more than the limit: rounding must not lose positions exactly on it.
    by = limit * (1 + 1e-9) + 1e-3
    return Box(box.west - by, box.south - by, box.east + by, box.north + by)


def _inside(x: Floats, y: Floats, chosen: npt.NDArray[np.integer] | None, box: Box) -> Whole32 | None:
    """Return which of the chosen positions are in a box; None if none were chosen and all are in it."""
    tight = _tight(x, y, chosen)
    if tight[:2] >= box[:2] and tight.south >= box.south and tight.east <= box.east and tight.north <= box.north:
        return None if chosen is None else chosen.astype(np.int32, copy=False)
    count = len(x) if chosen is None else len(chosen)
    parts = []
    for start in range(0, count, CHUNK_IMAGES):
        rows = np.arange(start, min(start + CHUNK_IMAGES, count), dtype=np.int32)
        if chosen is not None:
            rows = chosen[rows].astype(np.int32, copy=False)
        at_x, at_y = x[rows], y[rows]
        inside = (at_x >= box.west) & (at_x <= box.east) & (at_y >= box.south) & (at_y <= box.north)
        parts.append(rows[inside])
    return np.concatenate(parts)
