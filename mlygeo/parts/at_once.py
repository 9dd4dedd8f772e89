"""
A selection over parts at once: the process that was asked reads the images some at a time, each row once.

For every point it keeps the nearest images so far, and matches them again together with those that it reads next: of
the nearest of some images and all others, the nearest are those of all. What is held are the points, some row groups,
and the images that were chosen. The parts are the bytes that tasks would write.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo import arrays
from mlygeo.degrees import heading_difference
from mlygeo.keys import Keyed
from mlygeo.parts import images, plan, selection
from mlygeo.parts.matching import Matched
from mlygeo.parts.run import quiet
from mlygeo.parts.whole import Whole
from mlygeo.progress import Progress
from mlygeo.spatial import areas
from mlygeo.spatial.nearest import OWN_COLUMNS, Matches
from mlygeo.store.datasets.files import File
from mlygeo.store.parquet.reading import groups_near
from mlygeo.store.parquet.writing import order_of
from mlygeo.store.point_sources import PointFile, TablePoints
from mlygeo.store.points import Behind, SomeOf, floats_of, keep, keyed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.arrays import Floats, Rows
    from mlygeo.parts.plan import Plan
    from mlygeo.parts.points import TaskPoints
    from mlygeo.parts.selection import Inputs, Planned
    from mlygeo.store.point_sources import Points

ROWS_AT_ONCE = 500_000
"""Images of a piece; a row group is not cut, and may have more."""

AHEAD, BEHIND = 3, 4
"""Pieces that are read before they are matched, and those that then wait for their columns to be read, at most."""

TAKERS = 2
"""Threads that read columns: what is left when all is matched keeps two processors busy."""

MOST_IMAGES = 50_000_000
"""Of more, a run takes half a minute or longer: parts are made, so that one that was killed goes on from these."""

MOST_BYTES = 1_000_000_000
"""Memory that a run at once may need; for more, parts are made."""

FULL_TURN = 360.0

BYTES_PER_ROW, BYTES_PER_PAIR = 60, 300
"""Memory for each image of a piece, and for each image that a point may have (measured)."""


def needs(made: Plan) -> int:
    """Return the memory in bytes that a selection needs at once, about."""
    count, k = sum(task.points for task in made.tasks), int(made.given["options"]["k"])
    pieces = (AHEAD + 1 + BEHIND) * ROWS_AT_ONCE * BYTES_PER_ROW
    return plan.BASE_BYTES + pieces + count * (plan.BYTES_PER_POINT + k * BYTES_PER_PAIR)


def fits(made: Plan) -> bool:
    """
    Return whether a selection is made at once: it fits into memory, is done soon, and nothing of it is there yet.

    Datasets elsewhere are read part by part, with fewest requests. So are those whose ids may repeat, which
    `partition` has not settled.
    """
    options = selection.Options(**made.given["options"])
    if made.step != selection.STEP or options.max_distance is None or options.preference is not None or not made.tasks:
        return False
    dataset = images.opened(made.images, made.given["images"])
    if not isinstance(dataset.folder, Path) or "problems" not in dataset.index.more:
        return False
    return dataset.index.rows <= MOST_IMAGES and needs(made) <= MOST_BYTES and len(made.left()) == len(made.tasks)


@dataclass(frozen=True)
class AtOnce(Whole):
    """
    The parts of a selection that was made at once, in memory until they are written.

    Parameters
    ----------
    plan
        The plan.
    pairs
        A row a pair, in the order of tasks, and in each of them that of its file.
    lonlat
        Places of the images, degrees.
    ends
        Where the pairs of each task begin in all, and where the last end.
    places
        Ids of all points that have a task, and their row numbers among all points.
    counted
        What is counted in each part.
    """

    pairs: pa.Table
    lonlat: tuple[Floats, Floats]
    ends: list[int]
    places: tuple[Rows, Rows]
    counted: list[dict[str, Any]]

    @cached_property
    def counts(self) -> list[dict[str, Any]]:
        """What is counted in each part, in the order of the tasks."""
        return self.counted

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the selection, without geometry."""
        return list(self.pairs.column_names)

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield columns of each part that has rows, in the order of the tasks."""
        pairs = self.pairs.select(columns)
        yield from (pairs.slice(start, stop - start) for start, stop in pairwise(self.ends) if stop > start)

    def write(self) -> None:
        """Write the parts to the folder of the plan, in which no worker is at work."""
        self.plan.parts.mkdir(parents=True, exist_ok=True)
        lon, lat = self.lonlat

        def one(number: int) -> None:
            start, stop = self.ends[number : number + 2]
            own = self.pairs.slice(start, stop - start)
            selection.write_pairs(self.plan, own, lon[start:stop], lat[start:stop], self.counted[number])

        with ThreadPoolExecutor(arrays.workers()) as pool:
            for _ in pool.map(one, range(len(self.plan.tasks))):
                pass

    def _places(self) -> Iterator[tuple[Floats, Floats]]:
        lon, lat = self.lonlat
        yield from ((lon[start:stop], lat[start:stop]) for start, stop in pairwise(self.ends) if stop > start)

    def _points(self) -> tuple[Rows, Rows]:
        return self.places

    def _none(self) -> pa.Table:
        return self.pairs.slice(0, 0)


def select(planned: Planned, progress: Progress | None = None) -> AtOnce:
    """
    Return the parts of a selection, made at once.

    Parameters
    ----------
    planned
        Its plan, for which `fits`; it is not written.
    progress
        Where progress is shown.

    Raises
    ------
    FileError
        If an input cannot be read.
    FrameError
        If the points are others than when the plan was made.
    """
    inputs = selection.Inputs.of(planned.plan)
    points, ends = planned.points_of_tasks()
    read = _Pieces(planned.plan, inputs)
    search = _Search(planned.plan, inputs, points, ends)
    total = inputs.dataset.index.rows
    with (
        (progress or Progress()).bar("searching the nearest images", total=total, unit="images") as bar,
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(TAKERS) as taker,
        quiet(),
    ):
        pieces = read.pieces()
        ahead = deque(reader.submit(_following, pieces) for _ in range(AHEAD))
        while (piece := ahead.popleft().result()) is not None:
            ahead.append(reader.submit(_following, pieces))
            search.add(piece, taker)
            bar.advance(len(piece))
        bar.advance(total - read.rows)
        return search.found(read.counted)


@dataclass
class _Pieces:
    """The images that a plan needs, some at a time; where not all may be chosen, they are counted on the way."""

    made: Plan
    inputs: Inputs
    counted: dict[int, dict[str, int]] = field(default_factory=dict)
    rows: int = 0

    def pieces(self) -> Iterator[Points]:
        """Yield those of each part that may be chosen, with what the search needs of them in memory."""
        inputs, dataset = self.inputs, self.inputs.dataset
        are_cut = inputs.region is not None or bool(inputs.conditions)
        for number, part in enumerate(dataset.index.parts):
            listed = File(Path(part.path), part.path, part=part)
            near = [box for task in self.made.tasks if (box := task.reach) is not None and listed.may_meet(box)]
            if not near and not are_cut:
                continue
            file = dataset.file(number)
            groups = None
            if not are_cut:
                groups = sorted({group for box in near for group in groups_near(file, box)})
            total = self.counted[number] = {"kept": 0, "unplaced": 0}
            for piece in PointFile(file, groups=groups).pieces(ROWS_AT_ONCE):
                self.rows += len(piece)
                kept = keep(dataset.as_part(piece), region=inputs.region, conditions=inputs.conditions)
                lon, lat = kept.lonlat
                if not are_cut and pa.types.is_int64(piece.type_of("id")):
                    piece.arrow("id")  # which stays with it
                total["kept"] += len(kept)
                total["unplaced"] += int(np.count_nonzero(~(np.isfinite(lon) & np.isfinite(lat))))
                yield kept


class _Search:
    """
    The nearest images of points so far.

    Parameters
    ----------
    made, inputs
        The plan, and what it names.
    points
        The points of all tasks, task after task.
    ends
        Where the points of each task begin in all, and where the last end.
    """

    def __init__(self, made: Plan, inputs: Inputs, points: TaskPoints, ends: Rows) -> None:
        self._made, self._inputs, self._points, self._ends = made, inputs, points, ends
        options = made.given["options"]
        self._options = {name: options[name] for name in ("max_distance", "k", "max_heading_difference")}
        by_heading = options["max_heading_difference"] is not None
        # What is only told of chosen images is found out in the end.
        self._searched = points if by_heading else points.without("bearing")
        columns = inputs.dataset.empty.columns
        self._carried = [name for name in columns if name not in OWN_COLUMNS]
        compared = ["provider", *(["compass_angle", "is_pano"] if by_heading else [])]
        self._compared = [name for name in compared if name in columns]
        self._chosen = inputs.dataset.nothing.select(["id", *self._compared, "lon", "lat"])
        self._columns: list[Future[pa.Table]] = []
        # Which of the chosen images are those of each point, in the order of ranks; -1 where there is none.
        self._which = np.full((len(points), options["k"]), -1)
        self._distance_m = np.full(self._which.shape, np.nan)
        self._beside = _beside(made, points, ends)

    def add(self, piece: Points, pool: ThreadPoolExecutor) -> None:
        """Search some more images; the pool reads the columns of those that are chosen."""
        near = self._near(piece)
        if not len(near):
            return
        before = np.unique(self._which[near])
        before = before[before >= 0]
        together = Behind(piece, TablePoints(self._chosen.take(pa.array(before)), piece.name, {}))
        found = keyed(together)
        matches = Matched.of(
            SomeOf(self._searched, near), together, keyed=found, projection=self._inputs.projection, unique=False,
            **self._options,
        ).matches  # fmt: skip
        is_used = np.zeros(len(together), dtype=bool)
        is_used[matches.image_row] = True
        fresh = len(before) + np.flatnonzero(is_used[len(before) :])
        rows = np.concatenate((np.arange(len(before)), fresh))
        which = np.concatenate((before, len(self._chosen) + np.arange(len(fresh))))
        pairs = near[matches.point_row], matches.rank - 1
        self._which[near] = -1
        self._which[pairs] = which[np.searchsorted(rows, matches.image_row)]
        self._distance_m[pairs] = matches.distance_m
        if len(fresh):
            self._keep(piece, fresh - len(before), found.ids(fresh))
            self._columns.append(pool.submit(_taken, piece, fresh - len(before), self._carried))
            if len(self._columns) > BEHIND:
                self._columns[-BEHIND - 1].result()

    def found(self, counted: dict[int, dict[str, int]]) -> AtOnce:
        """Return what was found in all images, with what is counted in each part of the dataset."""
        made, points, dataset = self._made, self._points, self._inputs.dataset
        point, rank = np.nonzero(self._which >= 0)
        which = self._which[point, rank]
        none = dataset.empty.take(which[:0], self._carried)
        own = pa.concat_tables([each.result() for each in self._columns] or [none])
        self._columns.clear()
        arrays.give_back()
        chosen = self._chosen.combine_chunks()
        places = {name: chosen[name] for name in ("lon", "lat")}
        own = pa.table({**{name: own[name] for name in own.column_names}, **places})  # there may be no other columns
        words = pa.concat_arrays(chosen["id"].chunks or [pa.array([], chosen["id"].type)])
        held = words.to_numpy() if pa.types.is_integer(words.type) else words
        ids = points.arrow("point_id").to_numpy()
        candidates = TablePoints(own, dataset.name, {})
        difference = np.full(len(point), np.nan)
        if "bearing" in points.columns and "compass_angle" in own.column_names:
            heading = floats_of(candidates, "compass_angle")[which]
            difference = heading_difference(heading, floats_of(points, "bearing")[point])
        matched = Matched(
            points, ids, candidates, Keyed(np.arange(len(own)), held),
            Matches(point, which, self._distance_m[point, rank], rank + 1), difference,
        )  # fmt: skip
        lon, lat = matched.lonlat
        pairs = matched.table.cast(dataset.schema_of(matched.table.schema)).combine_chunks()
        limits = np.searchsorted(point, self._ends).tolist()
        if (order := _as_written(lon, lat, limits)) is not None:
            pairs, lon, lat = pairs.take(pa.array(order)), lon[order], lat[order]
        counts = []
        for number, task in enumerate(made.tasks):
            start, stop = limits[number : number + 2]
            seen = {name: sum(counted[part][name] for part in task.counts) for name in ("kept", "unplaced")}
            counts.append(
                selection.counts_of_pairs(
                    number, pairs.slice(start, stop - start), lon[start:stop], lat[start:stop], count=task.points,
                    counted=seen,
                )
            )  # fmt: skip
        return AtOnce(made, pairs, (lon, lat), limits, (ids, points.rows), counts)

    def _near(self, piece: Points) -> Rows:
        """Return the rows of the points that may have some of the images near them."""
        bounds = areas.bounds(*piece.lonlat)
        if bounds is None:
            return np.empty(0, dtype=np.int64)
        (west, south, east, north), (wide, tall) = bounds, self._beside
        if areas.width(bounds) + 2 * wide >= FULL_TURN:
            west, east = -180.0, 180.0
        else:
            west, east = areas.wrap(west - wide), areas.wrap(east + wide)
        return np.flatnonzero(areas.inside(*self._points.lonlat, (west, south - tall, east, north + tall)))

    def _keep(self, piece: Points, rows: Rows, ids: Any) -> None:
        """Keep what of images is matched again."""
        lon, lat = piece.lonlat
        compared = piece.take(rows, self._compared)
        columns = {"id": ids, **{name: compared[name] for name in compared.column_names}}
        more = pa.table({**columns, "lon": lon[rows], "lat": lat[rows]})
        self._chosen = pa.concat_tables([self._chosen, more]) if len(self._chosen) else more


def _beside(made: Plan, points: TaskPoints, ends: Rows) -> tuple[float, float]:
    """Return the degrees of longitude and latitude around any point that hold all images that may be its."""
    lon, lat = points.lonlat
    sides = [(0.0, 0.0)]
    for task, (start, stop) in zip(made.tasks, pairwise(ends.tolist()), strict=True):
        bounds, reach = areas.bounds(lon[start:stop], lat[start:stop]), task.reach
        if bounds is not None and reach is not None:  # the reach is as much wider as a point of the task needs
            sides += [((bounds[0] - reach[0]) % FULL_TURN, bounds[1] - reach[1])]
            sides += [((reach[2] - bounds[2]) % FULL_TURN, reach[3] - bounds[3])]
    wide, tall = np.max(sides, axis=0).tolist()
    return wide, tall


def _as_written(lon: Floats, lat: Floats, limits: list[int]) -> Rows | None:
    """Return the order of pairs in which the files of the tasks have them; None where it is theirs already."""
    orders = {start: order_of(lon[start:stop], lat[start:stop]) for start, stop in pairwise(limits)}
    if all(order is None for order in orders.values()):
        return None
    rows = np.arange(len(lon))
    for start, order in orders.items():
        if order is not None:
            rows[start : start + len(order)] = start + order
    return rows


def _following(pieces: Iterator[Points]) -> Points | None:
    """Return the next piece, read in one thread; None behind the last."""
    with arrays.most_threads(1):
        return next(pieces, None)


def _taken(piece: Points, rows: Rows, names: list[str]) -> pa.Table:
    """Return columns of some images, read in one thread."""
    with arrays.most_threads(1):
        return piece.take(rows, names)
