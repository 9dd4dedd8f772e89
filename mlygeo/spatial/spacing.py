"""
Points kept a distance apart, in an order that depends on the place of each alone.

The order is that of a hash of the place: whether a point is kept then depends on points within a few distances,
whatever the order of rows, and can be found out in a part of the points that reaches a little beyond what is
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.arrays import mix
from mlygeo.progress import current_step
from mlygeo.spatial import cells

if TYPE_CHECKING:
    from mlygeo.arrays import Flags, Floats, Indices, Rows

TOLERANCE = 1e-9
"""Relative: two points exactly the distance apart are far enough, however their distance is rounded."""

LEVELS = 31
"""Halvings of the world's width and height: a place is 2 cm wide at the equator, and 1 cm tall."""

BATCH = 65_536
"""Points that are thinned between two looks at the display."""


class Thinned(NamedTuple):
    """What is known of points: a flag for each. What is neither was left out, and certainly so."""

    kept: Flags
    undecided: Flags
    """It depends on points that were not given."""


def place_ids(lon: Floats, lat: Floats) -> Rows:
    """
    Return a number of each place on Earth: the Morton code of a grid of 2^31 columns and rows.

    Parameters
    ----------
    lon, lat
        Degrees, finite; -180 to 180 and -90 to 90.

    Returns
    -------
    ids
        int64 from 0, below 2^62. Places with the same number are less than 3 cm apart; numbers near each other
        are places near each other.
    """
    count = 1 << LEVELS
    column, row = (
        np.clip(np.floor((values + most) * (count / (2 * most))), 0, count - 1).astype(np.int64)
        for values, most in ((lon, 180.0), (lat, 90.0))
    )
    return cells.interleave(column, row)


def order(x: Floats, y: Floats, ids: Rows) -> Indices:
    """Return the order in which points are looked at: by a hash of their place, then by position, then as given."""
    return np.lexsort((y, x, mix(ids.astype(np.uint64))))


def thin(x: Floats, y: Floats, ids: Rows, apart: float, complete: Flags | None = None) -> Thinned:
    """
    Keep each point that is not closer than a distance to one kept before, in the order of a hash of their places.

    Parameters
    ----------
    x, y
        Positions in the plane, metres.
    ids
        Their places (`place_ids`). Of points at the same position the first one given comes first.
    apart
        The distance, metres.
    complete
        Whether all points closer than the distance to a point are among those given; by default they are.

    Returns
    -------
    thinned
        What holds whichever points there are beyond those given: a point is kept if all that come before it and
        are too close are certainly left out, and left out if one of them is certainly kept. Near points that are
        not complete some are undecided; how far that reaches depends on the places, seldom more than six
        distances.

    Notes
    -----
    Whether a point is kept depends on those before it, along chains: sequential by nature, so this is a loop.
    Kept points are filed by square cells of the distance; a cell holds four at most, so a point looks at few of
    them, however many lie in one place.
    """
    kept, undecided = np.zeros(len(x), dtype=bool), np.zeros(len(x), dtype=bool)
    if not len(x):
        return Thinned(kept, undecided)
    columns = np.floor((x - x.min()) / apart).astype(np.int64) + 1
    lines = np.floor((y - y.min()) / apart).astype(np.int64) + 1
    width = int(columns.max()) + 2
    cell_of = lines * width + columns
    around = [down * width + right for down in (0, -1, 1) for right in (0, -1, 1)]
    closest = apart * (1 - TOLERANCE)
    limit = closest * closest  # infinite where a power would overflow
    filed: dict[int, list[tuple[float, float]]] = {}
    in_doubt: dict[int, list[tuple[float, float]]] = {}
    known = np.ones(len(x), dtype=bool) if complete is None else complete
    # Most points have no other in the cells around theirs.
    alone = _alone(cell_of, around)
    kept[alone], undecided[alone] = known[alone], ~known[alone]
    rest = np.flatnonzero(~alone)
    sequence = rest[order(x[rest], y[rest], ids[rest])]
    step = current_step()
    step.begin(len(rest), "points")
    for start in range(0, len(rest), BATCH):
        some = sequence[start : start + BATCH]
        of_each = (values[some].tolist() for values in (x, y, cell_of, known))
        for number, east, north, cell, sure in zip(some.tolist(), *of_each, strict=True):
            for offset in around:
                near = filed.get(cell + offset)
                if near and any((east - px) ** 2 + (north - py) ** 2 < limit for px, py in near):
                    break
            else:
                if sure and not (in_doubt and _any_near(in_doubt, cell, around, (east, north), limit)):
                    filed.setdefault(cell, []).append((east, north))
                    kept[number] = True
                else:
                    in_doubt.setdefault(cell, []).append((east, north))
                    undecided[number] = True
        step.advance(len(some))
    step.begin(None, "")
    return Thinned(kept, undecided)


def _alone(cell_of: Rows, around: list[int]) -> Flags:
    """Return which points are the only ones in the cells around theirs."""
    cells_, inverse, counts = np.unique(cell_of, return_inverse=True, return_counts=True)
    total = np.zeros(len(cells_), dtype=np.int64)
    for offset in around:
        place = np.searchsorted(cells_, cells_ + offset)
        there = np.flatnonzero(place < len(cells_))
        there = there[cells_[place[there]] == cells_[there] + offset]
        total[there] += counts[place[there]]
    result: Flags = total[inverse] == 1
    return result


def _any_near(
    filed: dict[int, list[tuple[float, float]]], cell: int, around: list[int], place: tuple[float, float], limit: float
) -> bool:
    """Return whether a filed point lies within a squared distance of a place."""
    east, north = place
    return any((east - x) ** 2 + (north - y) ** 2 < limit for offset in around for x, y in filed.get(cell + offset, ()))
