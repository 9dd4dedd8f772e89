"""
Images by a rule that looks at neighbours, over parts: the second choices, where the first of all points are known.

The neighbour of a point is the nearest other one, wherever it lies: points are read around those of a task, farther
and farther, until each has another. What all that are read got first is then looked up, so that no part has to hold
the choices of the world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo.parts import firsts, points, selection
from mlygeo.parts.certain import meeting
from mlygeo.parts.matching import planar
from mlygeo.parts.points import TaskPoints
from mlygeo.parts.selection import Inputs, Options
from mlygeo.spatial import areas, nearest
from mlygeo.spatial.knn import FIRST_LIMIT_M, WIDER
from mlygeo.store.points import SomeOf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.arrays import Bounds, Rows
    from mlygeo.parts.plan import Plan
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones

MOST_POINTS = 1_000_000
"""Points that are searched at once; those of one task may be more."""


def task(made: Plan, number: int) -> dict[str, Any]:
    """
    Write the part of a task, whose first choices and those of all others are there; return what is counted in it.

    Parameters
    ----------
    made
        The plan of the selection.
    number
        Number of the task.

    Raises
    ------
    FileError
        If an input cannot be read, or the part not be written.
    """
    own, inputs = made.tasks[number], Inputs.of(made)
    options = Options(**made.given["options"])
    own_points = points.of_tasks(made, [number])
    other, of = others(made, number, own_points, inputs.projection)
    told = firsts.told(firsts.of(made), np.unique(of[of >= 0]).tolist() or [number])
    ids = told["point_id"].to_numpy()
    order = np.argsort(ids, kind="stable")
    place = np.searchsorted(ids[order], other)
    row = np.full(len(other), -1)
    known = np.flatnonzero((of >= 0) & (place < len(ids)))
    known = known[ids[order[place[known]]] == other[known]]
    row[known] = order[place[known]]
    neighbours = told.drop_columns(["point_id"]).take(pa.array(row, mask=row < 0))
    matched = inputs.search(options).within(own_points, own.reach, options.max_distance, neighbours)
    return selection.write_matched(made, number, matched, inputs, inputs.counted(own))


def others(made: Plan, number: int, own: TaskPoints, projection: Projection | Zones) -> tuple[Rows, Rows]:
    """
    Return the ids of the nearest other points of those of a task, and the numbers of the tasks that have them.

    Of several at the same distance it is that with the lowest id; -1 for the task where there is no other.

    Parameters
    ----------
    made, number
        The plan of the selection, and the number of the task.
    own
        Its points.
    projection
        The plane to measure in.
    """
    cells = tuple(task.cell for task in made.tasks)
    other, of = np.zeros(len(own), dtype=np.int64), np.full(len(own), -1)
    rows, distance_m = np.arange(len(own)), FIRST_LIMIT_M
    while len(rows):
        some = SomeOf(own, rows)
        bounds = areas.bounds(*some.lonlat)
        box = None if bounds is None else projection.reach(bounds, distance_m)
        tasks = sorted({number, *meeting(cells, box)})
        point, near = _nearest_of(made, some, tasks, box, projection, None if box is None else distance_m)
        other[rows[point]] = near["point_id"].to_numpy()
        of[rows[point]] = near["task"].to_numpy()
        if box is None:
            break
        rows = rows[of[rows] < 0]
        distance_m *= WIDER
    return other, of


def _nearest_of(  # noqa: PLR0917 - as `others`
    made: Plan,
    some: SomeOf,
    tasks: list[int],
    box: Bounds | None,
    projection: Projection | Zones,
    max_distance: float | None,
) -> tuple[Rows, pa.Table]:
    """Return which points have another one within the distance, and those others, among the points of some tasks."""
    own_ids, own_xy = some.arrow("point_id").to_numpy(), planar(some, projection)
    kept, pairs = None, None
    for numbers in _shared(made, tasks):
        near = points.of_tasks(made, numbers)
        if box is not None:
            near = _of(near, near.table.take(pa.array(np.flatnonzero(areas.inside(*near.lonlat, box)))))
        if kept is not None:  # of the nearest of some and all others, the nearest are those of all
            near = _of(near, pa.concat_tables([kept, near.table]))
        ids = near.arrow("point_id").to_numpy()
        # Of the two nearest, one may be the point itself.
        found = nearest.match(
            *some.lonlat, *near.lonlat, nearest.places(ids), projection=projection, max_distance=max_distance, k=2,
            point_xy=own_xy, image_xy=planar(near, projection),
        )  # fmt: skip
        kept = near.table.take(pa.array(np.unique(found.image_row)))
        is_other = ids[found.image_row] != own_ids[found.point_row]
        point, row = found.point_row[is_other], found.image_row[is_other]
        first = np.diff(point, prepend=-1) > 0
        pairs = point[first], near.table.take(pa.array(row[first]))
    assert pairs is not None  # noqa: S101 - the task of the points is among these
    return pairs


def _of(given: TaskPoints, table: pa.Table) -> TaskPoints:
    return TaskPoints(table, given.name, {}, given.srid)


def _shared(made: Plan, tasks: list[int]) -> Iterator[list[int]]:
    """Yield tasks, some at a time, whose points are searched at once."""
    some: list[int] = []
    count = 0
    for number in tasks:
        if some and count + made.tasks[number].points > MOST_POINTS:
            yield some
            some, count = [], 0
        some.append(number)
        count += made.tasks[number].points
    yield some
