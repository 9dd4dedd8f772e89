"""
Each image to one point: the stable matching of points and images by distance.

The shortest of all pairs is taken first, then the shortest of those left, and so on. That is not a local rule: what a
point gets may hang on a chain of points. `certain` finds out in a part which points get what they get whatever lies
beyond it; those of all parts that are left are matched as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo import arrays
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
    # As far as its farthest image, or the limit where it has room for more, a point wants others.
    wide = np.full(count, knn.largest_square(limit))
    full = has == k
    wide[full] = square[first[1:][full] - 1]
    around = [(_Around.of(plane, of_points=True), _Around.of(plane, of_points=False)) for plane in planes]
    most, new = int(has.max(initial=0)), doubt.copy()
    while new[:taken].any():
        known = doubt.copy()
        in_front = np.flatnonzero(new[:taken])
        wanted, rivals = np.zeros(numbers, dtype=bool), np.zeros(count, dtype=bool)
        wanted[number[image[in_front]]], rivals[point[in_front]] = True, True
        for images_around, points_around in around:
            # What points get hangs on images that others have, and are nearer, not being left to them.
            for one, other, apart in points_around.near(wanted[number]):
                holder = holding[number[other]]
                hangs = (apart <= wide[one]) & ((point[holder] != one) | (image[holder] != other))
                doubt[taken + one[hangs & (has[one] < k)]] = True
                for turn in range(most):
                    own = np.minimum(first[one] + turn, taken - 1)
                    before = hangs & (turn < has[one]) & (holder != own)
                    before &= (apart < square[own]) | (
                        (apart == square[own]) & (key_rank[other] < key_rank[image[own]])
                    )
                    doubt[own[before]] = True
            # Who has an image hangs on those that are nearer to it having others. None of them has room for more.
            for rival, other, apart in images_around.near(rivals):
                own = holding[number[other]]
                nearer = (apart < square[own]) | ((apart == square[own]) & (place[rival] < place[point[own]]))
                doubt[own[(own >= 0) & (rival != point[own]) & nearer]] = True
        new = doubt & ~known
    sure = ~doubt[taken:]
    sure[point[doubt[:taken]]] = False
    return sure


def within_limit(planes: Sequence[InPlane], points: Flags, images: int) -> Flags:
    """Return which of so many images at least one of some points (flags of all) may match."""
    found = np.zeros(images, dtype=bool)
    for plane in planes:
        for _, image, _ in _Around.of(plane, of_points=True).near(points):
            found[image] = True
    return found


@dataclass(frozen=True)
class _Around:
    """
    What lies within the limit of points, or images, of a plane: the images, or points, in the order of squares.

    Parameters
    ----------
    plane
        Where to look.
    of_points
        Whether images around points are looked for, or points around images.
    rows
        Rows of those that are looked for, by square.
    squares
        Numbers of their squares.
    west, south, side
        Where the squares begin, and how wide they are.
    width, height
        Numbers of columns and lines, with a border.
    """

    plane: InPlane
    of_points: bool
    rows: Rows
    squares: Rows
    west: float
    south: float
    side: float
    width: int
    height: int

    @classmethod
    def of(cls, plane: InPlane, *, of_points: bool) -> _Around:
        """Return those of a plane."""
        x, y = plane.images if of_points else plane.points
        rows = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if not len(rows):
            return cls(plane, of_points, rows, rows, 0.0, 0.0, 1.0, 4, 4)
        west, south = float(x[rows].min()), float(y[rows].min())
        far = max(float(x[rows].max()) - west, float(y[rows].max()) - south, 1.0)
        # Wider than the limit by far more than the rounding of coordinates.
        side = max(plane.limit * 1.001, far * 1e-6, 1e-3)
        column, line = (np.floor((v[rows] - low) / side).astype(np.int64) + 2 for v, low in ((x, west), (y, south)))
        width = int(column.max()) + 4
        squares = line * width + column
        order = np.argsort(squares, kind="stable")
        return cls(plane, of_points, rows[order], squares[order], west, south, side, width, int(line.max()) + 3)

    def near(self, which: Flags) -> Iterator[tuple[Rows, Rows, Floats]]:
        """
        Yield the pairs within the limit, which the plane's test passes, of some points, or images.

        Parameters
        ----------
        which
            Flags of all.

        Yields
        ------
        points, images, squares
            Rows among all, and squared distances, in parts of bounded size.
        """
        plane, of_points = self.plane, self.of_points
        x, y = plane.points if of_points else plane.images
        flags = plane.of_points(which) if of_points else plane.of_images(which)
        some = np.flatnonzero(flags & np.isfinite(x) & np.isfinite(y))
        if not len(some) or not len(self.rows):
            return
        column, line = (
            np.clip(np.floor((values[some] - low) / self.side) + 2, 0, most).astype(np.int64)
            for values, low, most in ((x, self.west, self.width - 2), (y, self.south, self.height - 1))
        )
        for up in (-1, 0, 1):
            start = np.searchsorted(self.squares, (line + up) * self.width + np.maximum(column - 1, 0))
            stop = np.searchsorted(self.squares, (line + up) * self.width + column + 1, side="right")
            yield from self._listed(some, start, np.maximum(stop - start, 0))

    def _listed(self, some: Rows, start: Rows, counts: Rows) -> Iterator[tuple[Rows, Rows, Floats]]:
        """Yield the pairs of some rows with runs of the others, in parts of bounded size."""
        plane, of_points = self.plane, self.of_points
        sources, targets = (plane.points, plane.images) if of_points else (plane.images, plane.points)
        most = knn.largest_square(plane.limit)
        total = np.cumsum(counts)
        at = 0
        while at < len(some):
            done = int(total[at - 1]) if at else 0
            stop = max(int(np.searchsorted(total, done + CHUNK_PAIRS, side="right")), at + 1)
            count = counts[at:stop]
            one = np.repeat(some[at:stop], count)
            offset = arrays.numbered(count)
            other = self.rows[np.repeat(start[at:stop], count) + offset]
            east, north = sources[0][one] - targets[0][other], sources[1][one] - targets[1][other]
            apart = east * east + north * north
            passes = apart <= most
            point, image = (one, other) if of_points else (other, one)
            point, image, apart = point[passes], image[passes], apart[passes]
            if plane.test is not None:
                passes = plane.test(point, image, apart)
                point, image, apart = point[passes], image[passes], apart[passes]
            yield plane.points_among_all(point), plane.images_among_all(image), apart
            at = stop
