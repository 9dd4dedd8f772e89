"""
Each image to one point: the stable matching of points and images by distance.

The shortest of all pairs is taken first, then the shortest of those left, and so on. That is no local rule: what a
point gets may hang on a chain of points. `certain` finds out in a part which points get what they get whatever lies
beyond it; those of all parts that are left are matched as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlygeo.spatial import knn
from mlygeo.spatial.grid import HoldTest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlygeo.arrays import Flags, Floats, Rows
    from mlygeo.spatial.grid import PairTest
    from mlygeo.spatial.planes import InPlane

BATCH = 4
"""Images searched for a point in addition to k: more than that are seldom refused."""

CHUNK_PAIRS = 1 << 21
"""Pairs of positions compared at once."""

FINER, SIDES = 4.0, 4
"""Pairs are listed by squares as wide as they are far, in so many sizes, each so many times finer than the last."""


def assign(planes: Sequence[InPlane], *, number: Rows, place: Rows, k: int) -> tuple[Rows, Rows, Floats]:
    """
    Return the pairs that result from repeatedly taking the shortest pair.

    Pairs are ordered by (squared distance, image id, place of the point); each is taken if its image
    is still free and its point has fewer than k. Because both sides prefer by the same order,
    this is the only stable matching, and deferred acceptance (Gale and Shapley 1962) finds it without
    listing all pairs: points propose to their nearest, images keep the best proposal so far.

    Parameters
    ----------
    planes
        The points, each in one plane, and the images near them. Distances of all planes are compared, so that
        their unit is the same.
    number
        Number of each image among all; rows with the same id share one.
    place
        Place of each point among all in the order that settles ties.
    k
        Largest number of images for a point.

    Returns
    -------
    rows, image_rows, squares
        Rows of points and images among all, and their squared distances, in no order.
    """
    count = len(place)
    numbers = int(number.max()) + 1 if len(number) else 0
    held_square, held_by = np.full(numbers, np.inf), np.full(numbers, -1, dtype=np.int64)
    holder, held_image = np.full(numbers, -1, dtype=np.int64), np.full(numbers, -1, dtype=np.int64)
    wants = np.full(count, k, dtype=np.int64)
    exhausted = np.zeros(count, dtype=bool)
    seekers = np.arange(count)
    ask = k + BATCH
    # Before the first round nothing is held, and the compiled kernel can search.
    tests: list[PairTest | None] = [plane.test for plane in planes]
    while len(seekers):
        squares, rows = np.full((count, ask), np.inf), np.full((count, ask), -1, dtype=np.int64)
        for plane, test in zip(planes, tests, strict=True):
            here, found, images = plane.search(seekers, ask, test)
            squares[here], rows[here] = found, images
        listed = (rows >= 0).sum(axis=1)
        following = np.zeros(count, dtype=np.int64)
        active = seekers[listed[seekers] > 0]
        while len(active):
            turn = following[active]
            following[active] += 1
            square, image = squares[active, turn], rows[active, turn]
            wanted = number[image]
            better = (square < held_square[wanted]) | (
                (square == held_square[wanted]) & (place[active] < held_by[wanted])
            )
            point, square, image, wanted = active[better], square[better], image[better], wanted[better]
            order = np.lexsort((place[point], square, wanted))
            best = order[np.flatnonzero(np.diff(wanted[order], prepend=-1))]
            point, square, image, wanted = point[best], square[best], image[best], wanted[best]
            displaced = holder[wanted]
            np.add.at(wants, displaced[displaced >= 0], 1)
            np.subtract.at(wants, point, 1)
            held_square[wanted], held_by[wanted] = square, place[point]
            holder[wanted], held_image[wanted] = point, image
            active = seekers[(wants[seekers] > 0) & (following[seekers] < listed[seekers])]
        # Images only move to nearer points, so one that went through a complete list in vain need not ask again;
        # one that found its images in it must, if it is displaced later.
        exhausted[seekers[(listed[seekers] < ask) & (wants[seekers] > 0)]] = True
        seekers = np.flatnonzero((wants > 0) & ~exhausted)
        tests = [
            HoldTest(plane.of_images(number), held_square, held_by, plane.of_points(place), plane.test)
            for plane in planes
        ]
    taken = np.flatnonzero(holder >= 0)
    return holder[taken], held_image[taken], held_square[taken]


def certain(
    planes: Sequence[InPlane],
    pairs: tuple[Rows, Rows, Floats],
    *,
    number: Rows,
    key_rank: Rows,
    place: Rows,
    k: int,
    limit: float,
    margins: tuple[Floats, Floats],
) -> Flags:
    """
    Return which points get the images of `assign` whatever points and images there are that were not given.

    A pair is certain if all shorter pairs of its image and its point, where they fit the limit and the test, are
    certain not to be taken, because the other side is certain to have what is shorter still. So doubt begins with
    the pairs that something beyond the part could be nearer to, and spreads to what hangs on them.

    Parameters
    ----------
    planes
        As in `assign`.
    pairs
        What that has found.
    number
        As there.
    key_rank
        Ranks of the keys of all images.
    place, k
        As there.
    limit
        Largest distance of a pair, in the unit of the planes.
    margins
        For each of all points and images the distance, in the unit of the planes, within which all others were
        given. All rows of an id have to be given where one of them is.

    Returns
    -------
    certain
        For each of all points; those that get fewer than k are certain not to get more.
    """
    point, image, square = pairs
    order = np.lexsort((key_rank[image], square, point))
    point, image, square = point[order], image[order], square[order]
    count, taken = len(place), len(point)
    first = np.searchsorted(point, np.arange(count + 1))
    has = np.diff(first)
    numbers = int(number.max()) + 1 if len(number) else 0
    holding = np.full(numbers, -1, dtype=np.int64)
    holding[number[image]] = np.arange(taken)
    least_margin = np.full(numbers, np.inf)
    np.minimum.at(least_margin, number, margins[1])

    # Node i < taken is pair i, node taken + p that point p gets no more than it has.
    distance = np.sqrt(square)
    doubt = np.zeros(taken + count, dtype=bool)
    doubt[:taken] = (margins[0][point] < distance) | (least_margin[number[image]] < distance)
    doubt[taken:] = (has < k) & (margins[0] < limit)
    nodes: list[Rows] = []
    hang_on: list[Rows] = []
    for plane in planes if taken else ():
        # What is as near to a point as its farthest image, or within the limit where it has room for more.
        wide = np.full(count, knn.largest_square(limit))
        full = has == k
        wide[full] = square[first[1:][full] - 1]
        for one, other, apart in _near(plane, plane.of_points(wide), of_points=True):
            holder = holding[number[other]]
            hangs = (holder >= 0) & ((point[holder] != one) | (image[holder] != other))
            roomy = hangs & (has[one] < k)
            nodes.append(taken + one[roomy])
            hang_on.append(holder[roomy])
            for turn in range(int(has.max(initial=0))):
                own = np.minimum(first[one] + turn, taken - 1)
                before = hangs & (turn < has[one]) & (holder != own)
                before &= (apart < square[own]) | ((apart == square[own]) & (key_rank[other] < key_rank[image[own]]))
                nodes.append(own[before])
                hang_on.append(holder[before])
        # What is as near to an image as the point that has it.
        held = holding[plane.of_images(number)]
        wide = np.where(held >= 0, square[np.maximum(held, 0)], -1.0)
        for rival, wanted, apart in _near(plane, wide, of_points=False):
            own = holding[number[wanted]]
            before = (rival != point[own]) & ((apart < square[own]) | (place[rival] < place[point[own]]))
            mine, others = own[before], rival[before]
            doubt[mine[has[others] < k]] = True
            for turn in range(int(has.max(initial=0))):
                there = turn < has[others]
                nodes.append(mine[there])
                hang_on.append(first[others[there]] + turn)
    _spread(doubt, np.concatenate([*nodes, _NONE]), np.concatenate([*hang_on, _NONE]))
    sure = ~doubt[taken:]
    sure[point[doubt[:taken]]] = False
    return sure


def within_limit(planes: Sequence[InPlane], points: Flags, images: int) -> Flags:
    """Return which of so many images at least one of some points (flags of all) may match."""
    found = np.zeros(images, dtype=bool)
    for plane in planes:
        wide = np.where(plane.of_points(points), knn.largest_square(plane.limit), -1.0)
        for _, image, _ in _near(plane, wide, of_points=True):
            found[image] = True
    return found


_NONE = np.empty(0, dtype=np.int64)


def _spread(doubt: Flags, nodes: Rows, hang_on: Rows) -> None:
    """Flag each node that hangs on a flagged one."""
    while True:
        open_ = ~doubt[nodes]
        nodes, hang_on = nodes[open_], hang_on[open_]
        new = nodes[doubt[hang_on]]
        if not len(new):
            return
        doubt[new] = True


def _near(plane: InPlane, wide: Floats, *, of_points: bool) -> Iterator[tuple[Rows, Rows, Floats]]:
    """
    Yield the pairs that the plane's test passes, as far as each point, or each image, reaches.

    Parameters
    ----------
    plane
        Where to look.
    wide
        Largest squared distance of each of its points, or images: negative for nothing.
    of_points
        Which of the two.

    Yields
    ------
    points, images, squares
        Rows among all, and squared distances, in parts of bounded size.
    """
    sources, targets = (plane.points, plane.images) if of_points else (plane.images, plane.points)
    usable = np.flatnonzero(np.isfinite(targets[0]) & np.isfinite(targets[1]))
    asking = np.flatnonzero((wide >= 0) & np.isfinite(sources[0]) & np.isfinite(sources[1]))
    if not len(usable) or not len(asking):
        return
    reach = np.sqrt(wide[asking])
    west, south = targets[0][usable].min(), targets[1][usable].min()
    far = float(max(targets[0][usable].max() - west, targets[1][usable].max() - south, 1.0))
    sides = [max(float(reach.max()) * 1.001, far * 1e-6, 1e-3) / FINER**step for step in range(SIDES)]
    # Wider than they reach by far more than the rounding of coordinates.
    size = np.searchsorted(-np.array(sides[1:]), -reach * 1.0005, side="right")
    for step, side in enumerate(sides):
        here = size == step
        if not here.any():
            continue
        lines, columns = (
            np.floor((values[usable] - low) / side).astype(np.int64) + 2
            for values, low in ((targets[1], south), (targets[0], west))
        )
        width = int(columns.max()) + 4
        key = lines * width + columns
        sorted_ = np.argsort(key, kind="stable")
        key, rows = key[sorted_], usable[sorted_]
        some = asking[here]
        line, column = (
            np.clip(np.floor((values[some] - low) / side) + 2, 0, most).astype(np.int64)
            for values, low, most in (
                (sources[1], south, int(lines.max()) + 2),
                (sources[0], west, width - 2),
            )
        )
        for up in (-1, 0, 1):
            start = np.searchsorted(key, (line + up) * width + np.maximum(column - 1, 0))
            stop = np.searchsorted(key, (line + up) * width + column + 1, side="right")
            yield from _listed(plane, wide, some, rows, (start, stop), of_points=of_points)


def _listed(
    plane: InPlane, wide: Floats, some: Rows, rows: Rows, runs: tuple[Rows, Rows], *, of_points: bool
) -> Iterator[tuple[Rows, Rows, Floats]]:
    """Yield the pairs of some sources with runs of the sorted targets, in parts of bounded size."""
    sources, targets = (plane.points, plane.images) if of_points else (plane.images, plane.points)
    start, counts = runs[0], np.maximum(runs[1] - runs[0], 0)
    total = np.cumsum(counts)
    at = 0
    while at < len(some):
        done = int(total[at - 1]) if at else 0
        stop = max(int(np.searchsorted(total, done + CHUNK_PAIRS, side="right")), at + 1)
        count = counts[at:stop]
        one = np.repeat(some[at:stop], count)
        offset = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count)
        other = rows[np.repeat(start[at:stop], count) + offset]
        east, north = sources[0][one] - targets[0][other], sources[1][one] - targets[1][other]
        apart = east * east + north * north
        passes = apart <= wide[one]
        one, other, apart = one[passes], other[passes], apart[passes]
        if plane.test is not None:
            passes = plane.test(*((one, other) if of_points else (other, one)), apart)
            one, other, apart = one[passes], other[passes], apart[passes]
        if of_points:
            yield plane.points_among_all(one), plane.images_among_all(other), apart
        else:
            yield plane.points_among_all(other), plane.images_among_all(one), apart
        at = stop
