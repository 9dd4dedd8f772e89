"""
The rounds of a selection in which each image serves one point: the parts of each, until nothing is open.

The first has the parts of the selection. Where all that it leaves open fits into memory, the next takes it as one;
else parts as large as memory allows, so that ever less is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FileError, InputError
from mlygeo.parts import certain, plan
from mlygeo.parts.plan import Plan, Task
from mlygeo.parts.selection import HALOS, Inputs
from mlygeo.progress import counted
from mlygeo.spatial import cells
from mlygeo.store.datasets import layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.arrays import Bounds, Flags, Floats, Rows
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones

MOST_OPEN = 1_000_000
"""Open points and images that are matched at once."""

SECONDS_PER_POINT = 20e-6
"""Processor time of a point of the first round, beside what a task takes anyway (measured with crowded points)."""

SHARES = (4, 2, 1)
"""Which share of these has a part of the second round, the third, and those after it."""


def first(made: Plan, elsewhere: Callable[[], Any]) -> Plan:
    """
    Write the plan of the first round, unless it is there, and return it.

    Parameters
    ----------
    made
        The plan of the selection, which is written.
    elsewhere
        Returns the ids of images that stand at several places.
    """
    folder = certain.folder_of(made, 0)
    if (folder / plan.PLAN_FILE).exists():
        return plan.read(folder)
    certain.write_elsewhere(made, elsewhere())
    every = [*range(len(made.tasks))]
    if _limit(made) is None:
        rows = sum(part.rows for part in Inputs.of(made).dataset.index.parts)
        return _written(made, 0, first_tasks(made, rows), [every] if every else [], [])
    return _written(made, 0, list(made.tasks), [[number] for number in every], [])


def first_tasks(made: Plan, images: int) -> list[Task]:
    """Return the tasks of the first round, of so many images: one of all where no distance limits them."""
    if _limit(made) is not None or not made.tasks:
        return list(made.tasks)
    return [Task("", sum(task.points for task in made.tasks), images, None)]


def check_whole(points: int, images: int) -> None:
    """
    Raise unless so many points and images can be matched at once, as is needed where no distance limits them.

    Raises
    ------
    InputError
        Naming the options.
    """
    if points + images > MOST_OPEN:
        raise InputError(
            f"`unique` needs a `max_distance` for more than {MOST_OPEN:,} points and images of a dataset: without it"
            " any point may compete with any other, so that no part is certain of anything",
            hint="name the largest distance, such as `max_distance=1000`, or select from a file that fits into memory",
        )


def remark(made: Plan) -> str:
    """Return what a dry run says of the rounds after the first."""
    if _limit(made) is None:
        return "; without a largest distance, all is matched as one"
    most = Task("", 0, MOST_OPEN, None).bytes / 1e6
    return f"; each image serves one point: what the parts leave open is then matched at once, in up to {most:,.0f} MB"


def _limit(made: Plan) -> float | None:
    limit: float | None = made.given["options"]["max_distance"]
    return limit


def following(made: Plan, last: Plan) -> Plan | None:
    """
    Write the plan of the round after one that is done, unless it is there, and return it; None if nothing is open.

    Parameters
    ----------
    made
        The plan of the selection.
    last
        That of the last round.

    Raises
    ------
    FileError
        If what hangs on each other does not fit into memory.
    """
    left = _Open.of(last)
    if not left.points.any():
        return None
    number = last.given["round"] + 1
    folder = certain.folder_of(made, number)
    if (folder / plan.PLAN_FILE).exists():
        return plan.read(folder)
    if left.points.sum() + left.images.sum() <= MOST_OPEN:
        task = Task("", int(left.points.sum()), int(left.images.sum()), None)
        return _written(made, number, [task], [left.tasks_of(left.points > 0)], [[*range(len(last.tasks))]])
    if number > len(SHARES) and left.points.sum() >= sum(task.points for task in last.tasks):
        raise FileError(
            f"{counted(int(left.points.sum()), 'point')} hang on each other, and do not fit into memory at once",
            hint="name a smaller `max_distance`, or leave out `unique`",
        )
    return _in_groups(made, left, number)


def _in_groups(made: Plan, left: _Open, number: int) -> Plan:
    """Write the plan of a round over groups of the parts of the last one."""
    projection, limit = Inputs.of(made).projection, _limit(made) or 0.0
    places = np.flatnonzero(left.points > 0)
    code, place = np.unique(left.firsts[places], return_inverse=True)
    rows = np.zeros(len(code), dtype=np.int64)
    np.add.at(rows, place, (left.points + left.images)[places])
    leaves = layout.leaves(code, rows, MOST_OPEN // SHARES[min(number, len(SHARES)) - 1])
    of = leaves.of(code)[place]
    tasks, members, near = [], [], []
    for group, (cell, zoom) in enumerate(zip(leaves.code.tolist(), leaves.zoom.tolist(), strict=True)):
        own = np.zeros(len(left.points), dtype=bool)
        own[places[of == group]] = True
        known, surroundings = left.known(own, projection, limit, number)
        tasks.append(Task(cells.quadkey(cell, zoom), int(left.points[own].sum()), left.images_in(known), known))
        members.append(left.tasks_of(own))
        near.append(np.flatnonzero(surroundings).tolist())
    return _written(made, number, tasks, members, near)


def _written(made: Plan, number: int, tasks: list[Task], members: list[list[int]], near: list[list[int]]) -> Plan:
    """Write the plan of a round: the tasks of the selection whose points each part has, and the parts that it reads."""
    given = {"round": number, "tasks": members, "near": near}
    name = plan.digest({**given, "of": made.hash})
    found = Plan(certain.folder_of(made, number), name, certain.STEP, made.images, given, tuple(tasks))
    plan.write(found)
    return found


@dataclass(frozen=True)
class _Open:
    """What a round has left open in each of its parts."""

    last: Plan
    points: Rows
    images: Rows
    boxes: Floats

    @classmethod
    def of(cls, last: Plan) -> _Open:
        counts = certain.counts(last)
        points, images = (np.array([each[name] for each in counts], dtype=np.int64) for name in ("points", "images"))
        boxes = [[np.nan] * 4 if each["box"] is None else each["box"] for each in counts]
        return cls(last, points, images, np.array(boxes, dtype=np.float64).reshape(-1, 4))

    @property
    def firsts(self) -> Rows:
        """The first code of zoom 14 of each part."""
        own = [cells.from_quadkey(task.cell) for task in self.last.tasks]
        return np.array([cells.span(code, zoom, layout.MOST_ZOOM)[0] for code, zoom in own], dtype=np.int64)

    def tasks_of(self, parts: Flags) -> list[int]:
        """Return the tasks of the selection that have points in some parts."""
        return sorted(each for part in np.flatnonzero(parts).tolist() for each in self.last.given["tasks"][part])

    def known(self, own: Flags, projection: Projection | Zones, limit: float, number: int) -> tuple[Bounds, Flags]:
        """Return the box that a group of parts knows, and the parts that have something in it or near it."""
        west, south, east, north = self.boxes[own].T
        bounds = float(west.min()), float(south.min()), float(east.max()), float(north.max())
        for times in (*(each << number for each in HALOS), *HALOS, 1):
            known = projection.reach(bounds, times * limit)
            if known is not None and (times == 1 or self.images_in(known) <= MOST_OPEN):
                around = projection.reach(bounds, (times + 2) * limit)
                return known, self._meet(around)
        raise AssertionError("a box around a part is around those of its points that are open")

    def images_in(self, box: Bounds) -> int:
        """Return the open images of the parts that a box meets."""
        return int(self.images[self._meet(box)].sum())

    def _meet(self, box: Bounds | None) -> Flags:
        """Return which parts may have points, or images in reach of them, in a box in degrees; None is the world."""
        reach = [task.reach for task in self.last.tasks]
        if box is None or None in reach:
            return np.ones(len(reach), dtype=bool)
        west, south, east, north = np.array(reach, dtype=np.float64).T
        wide, own_wide = (east - west) % 360, (box[2] - box[0]) % 360
        beside = ((west - box[0]) % 360 <= own_wide) | ((box[0] - west) % 360 <= wide)
        found: Flags = beside & (south <= box[3]) & (north >= box[1])
        return found
