"""Hand each image to one point: the stable matching of points and images by distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlygeo.spatial import knn
from mlygeo.spatial._pairs import HoldTest

if TYPE_CHECKING:
    from mlygeo.spatial.grid import Array, PairTest, Rows

BATCH = 4
"""Images that a point asks for at once, beside the k it wants: more than that is seldom refused."""


def assign(
    points: tuple[Array, Array],
    images: tuple[Array, Array],
    ids: Rows,
    *,
    number: Rows,
    place: Rows,
    max_distance: float,
    k: int,
    test: PairTest | None,
    compiled: bool | None,
) -> tuple[Rows, Rows, Array]:
    """
    Return the pairs that taking the shortest pair first, again and again, would give.

    Pairs stand in the order (squared distance, image id, place of the point); each is taken if its
    image is still free and its point has fewer than k. Because both sides prefer by that one order,
    this is the only stable matching, and deferred acceptance (Gale and Shapley 1962) finds it without
    listing all pairs: points propose to their nearest, images keep the best proposal so far.

    Parameters
    ----------
    points, images, ids
        Positions (x, y), metres, and ids of the images.
    number
        Number of each image; rows with the same id share one.
    place
        Place of each point in the order that settles ties.
    max_distance, k, test, compiled
        As in `mlygeo.spatial.knn.search`.

    Returns
    -------
    rows, image_rows, squares
        Rows of points and images and their squared distances, in no order.
    """
    count = len(points[0])
    numbers = int(number.max()) + 1 if len(number) else 0
    held_square, held_by = np.full(numbers, np.inf), np.full(numbers, -1, dtype=np.int64)
    holder, held_image = np.full(numbers, -1, dtype=np.int64), np.full(numbers, -1, dtype=np.int64)
    wants = np.full(count, k, dtype=np.int64)
    exhausted = np.zeros(count, dtype=bool)
    seekers = np.arange(count)
    ask = k + BATCH
    hold: PairTest | None = test
    while len(seekers):
        squares, rows = knn.search(
            points, images, ids, max_distance=max_distance, k=ask, test=hold, only=seekers, compiled=compiled
        )
        listed = (rows >= 0).sum(axis=1)
        # Images only ever go to nearer points, so a list that was complete stays complete.
        exhausted[seekers[listed[seekers] < ask]] = True
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
        seekers = np.flatnonzero((wants > 0) & ~exhausted)
        hold = HoldTest(number, held_square, held_by, place, test)
    taken = np.flatnonzero(holder >= 0)
    return holder[taken], held_image[taken], held_square[taken]


def places(point_id: Rows) -> Rows:
    """Return the place of each point in the order of their ids."""
    place = np.empty(len(point_id), dtype=np.int64)
    place[np.argsort(point_id, kind="stable")] = np.arange(len(point_id))
    return place
