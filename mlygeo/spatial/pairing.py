"""
Each image to one point: the stable matching of points and images by distance.

The shortest of all pairs is taken first, then the shortest of those left, and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlygeo.spatial.grid import HoldTest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlygeo.arrays import Floats, Rows
    from mlygeo.spatial.grid import PairTest
    from mlygeo.spatial.planes import InPlane

BATCH = 4
"""Images searched for a point in addition to k: more than that are seldom refused."""


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
