"""
The selection over parts: the images nearest to the points of a cell, with the surroundings that it needs.

A task reads the images in reach of its points and matches them as a run on whole frames does. So a point gets
the same images, distances and ranks wherever the world is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo.errors import FrameError, InputError
from mlygeo.parts import facts, images, looking, plan, points, preferred
from mlygeo.parts.matching import Matched, check_headings
from mlygeo.parts.rings import Search
from mlygeo.spatial import areas, cells, geodesy, towards
from mlygeo.spatial.best import Preference
from mlygeo.spatial.knn import FIRST_LIMIT_M
from mlygeo.spatial.zones import Zones
from mlygeo.store import parquet
from mlygeo.store.datasets import layout
from mlygeo.store.points import keep
from mlygeo.store.repeats import once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlygeo.arrays import Bounds, Floats, Objects, Rows
    from mlygeo.parts.images import Images
    from mlygeo.parts.plan import Plan
    from mlygeo.parts.points import GivenPoints, TaskPoints
    from mlygeo.regions import Region
    from mlygeo.spatial.projection import Projection
    from mlygeo.store.datasets.layout import Leaves

STEP, UNIQUE, NEIGHBOURS = "selection", "unique", "neighbours"
"""
Modules whose `task` makes a part; the second where each image serves one point, the third where what a point gets hangs
on the image of its neighbour.
"""

HALOS = (5, 3, 2)
"""Largest distances around the points of a task within which others are known, where each image serves one point."""


@dataclass(frozen=True)
class Options:
    """
    Which images match a point; those of `mlygeo.spatial.nearest.select_nearest`.

    Parameters
    ----------
    max_distance, k, unique, max_heading_difference
        As there.
    preference
        What is preferred to the nearest image, as `mlygeo.spatial.best.Preference.as_json` has it; None for nothing.
    looks
        Which images look at things, the values of `mlygeo.parts.looking.Looks`; None where points are no things.
    """

    max_distance: float | None
    k: int
    unique: bool
    max_heading_difference: float | None
    preference: dict[str, Any] | None = None
    looks: dict[str, Any] | None = None

    @property
    def step(self) -> str:
        """The module whose `task` makes a part."""
        preference = self.preferred
        if preference is not None and preference.rule is not None and "same_sequence" in preference.rule.weights:
            return NEIGHBOURS
        return UNIQUE if self.unique else STEP

    @property
    def preferred(self) -> Preference | None:
        """What is preferred to the nearest image."""
        return None if self.preference is None else Preference.of_json(self.preference)


@dataclass(frozen=True)
class Planned:
    """
    A plan that is not written yet.

    Parameters
    ----------
    plan
        The plan.
    points
        The points.
    leaves
        The cells of its tasks.
    """

    plan: Plan
    points: GivenPoints
    leaves: Leaves

    def write(self) -> Plan:
        """
        Write the plan, and the points of each task, to its folder, unless they are there; return the plan.

        Raises
        ------
        FileError
            If it cannot be written.
        FrameError
            If the points are others than when the plan was made.
        """
        path = self.plan.folder / points.FILE
        if not path.exists():
            rows = self.points.write(path, self.leaves, self.plan.given["points"]["columns"])
            if not self._are_these(rows):
                path.unlink()
                raise self._changed()
        plan.write(self.plan)
        return self.plan

    def points_of_tasks(self) -> tuple[TaskPoints, Rows]:
        """
        Return the points of all tasks in memory, and where those of each begin and the last end.

        Raises
        ------
        FrameError
            If the points are others than when the plan was made.
        """
        given = self.plan.given
        table, ends = self.points.by_task(self.leaves, given["points"]["columns"])
        if not self._are_these(np.diff(ends)):
            raise self._changed()
        return points.TaskPoints(table, given["points"]["name"], {}, given["srid"]), ends

    def _are_these(self, rows: Rows) -> bool:
        return bool(rows.tolist() == [task.points for task in self.plan.tasks])

    def _changed(self) -> FrameError:
        return FrameError(f"{self.points.name} was changed while it was read", hint="run the command again")


def planned(
    given_points: GivenPoints,
    dataset: Images,
    folder: Path,
    *,
    projection: Projection | Zones,
    options: Options,
    region: Region | None,
    conditions: dict[str, Any],
    rows_per_task: int | None = None,
) -> Planned:
    """
    Return the plan of a selection, not yet written.

    Parameters
    ----------
    given_points
        All points; tasks have them sorted by cell, beside the plan.
    dataset
        The images.
    folder
        Where the folder of the plan is to be.
    projection, options
        The plane to measure in, and which images are near enough.
    region, conditions
        Which images may be chosen; see `mlygeo.store.points.keep`.
    rows_per_task
        Most images of a task; None for those of `mlygeo.parts.plan.rows_per_task`.

    Raises
    ------
    FrameError
        If points or images lack a column, or ids of points are not unique.
    InputError
        If no box in degrees holds what is in reach of the points.
    """
    if rows_per_task is None:
        rows_per_task = plan.rows_per_task(dataset.index.rows)
    if options.max_heading_difference is not None:
        check_headings(given_points, dataset.empty)
    if (preference := options.preferred) is not None:
        names = given_points.name, dataset.name
        of_things = options.looks is not None
        preferred.check_columns(preference, given_points.columns, dataset.empty.columns, names, of_things=of_things)
    index, found = dataset.index, given_points.found
    occupied = found.occupied
    leaves = plan.cut(occupied.code, occupied.count, index.cells, index.counts, rows_per_task)
    ends = np.append(np.searchsorted(occupied.code, leaves.first), len(occupied.code))
    distance_m = FIRST_LIMIT_M if options.max_distance is None else options.max_distance
    things = [*_things_of(given_points.shapes, leaves)]
    tasks = []
    for number, (code, zoom) in enumerate(zip(leaves.code.tolist(), leaves.zoom.tolist(), strict=True)):
        own = slice(ends[number], ends[number + 1])
        if things:
            reach = towards.reach(things[number], projection, distance_m)
            if reach is None:
                raise _out_of_reach(projection, areas.around(towards.boxes(things[number])), distance_m, "things")
        else:
            reach = _reach(projection, occupied.bounds(own), distance_m)
        if options.unique:
            reach = _wider(reach, occupied.bounds(own), projection, options, dataset)
        near = plan.in_reach(reach, index.cells, index.counts)
        tasks.append(plan.Task(cells.quadkey(code, zoom), int(occupied.count[own].sum()), near, reach))
    if region is not None or conditions or options.looks is not None:
        tasks = images.with_counts(tasks, dataset)
    given = {
        "version": plan.VERSION,
        "step": STEP,
        "srid": projection.srid,
        "options": vars(options),
        "region": images.region_as_json(region),
        "conditions": images.conditions_as_json(conditions),
        "images": dataset.hash,
        "attrs": dataset.attrs,
        "rows_per_task": rows_per_task,
        "points": {
            "name": given_points.name,
            "count": found.count,
            "digest": found.digest,
            "columns": given_points.columns_of_tasks(projection),
        },
        "by_text": sorted(images.by_text(dataset, region, conditions)),
    }
    name = plan.digest(given)
    made = plan.Plan(folder / f"{STEP}-{name}", name, options.step, str(dataset.folder), given, tuple(tasks))
    return Planned(made, given_points, leaves)


def task(made: Plan, number: int) -> dict[str, Any]:
    """Write the part of a task, and return what is counted in it; see `mlygeo.parts.run.Step`."""
    own, inputs, own_points = made.tasks[number], Inputs.of(made), points.of_task(made, number)
    options = Options(**made.given["options"])
    if options.looks is not None:
        looks = looking.Looks(**options.looks)
        looked = _looking(own_points, own.reach, inputs, options, looks)
        counted = looking.counted_in(inputs.dataset, own.counts, inputs.region, inputs.conditions, looks)
        return write_matched(made, number, looked, inputs, counted)
    search = inputs.search(options)
    if options.max_distance is None:
        table, lon, lat = search.nearest(own_points)
        return write_part(made, number, table, lon, lat, count=len(own_points), counted=inputs.counted(own))
    matched = search.within(own_points, own.reach, options.max_distance)
    return write_matched(made, number, matched, inputs, inputs.counted(own))


def _looking(points: TaskPoints, box: Bounds | None, inputs: Inputs, options: Options, looks: looking.Looks) -> Matched:
    """Return the images in a box that look at things of a task; it must hold what is within the distance of these."""
    candidates = keep(inputs.dataset.points(box), region=inputs.region, conditions=inputs.conditions)
    candidates, repeated = once(candidates)
    cameras, _ = looking.cameras_of(candidates, usual_angle=looks.field_of_view)
    assert options.max_distance is not None  # noqa: S101 - things need one
    ids, best = looking.match(
        points.shapes, points, candidates, keyed=repeated.keys, projection=inputs.projection,
        looking=towards.Looking(looks.min_distance, options.max_distance, looks.apart), cameras=cameras, k=options.k,
        preference=options.preferred,
    )  # fmt: skip
    return Matched.of_best(points, ids, candidates, repeated.keys, options.preferred, best)


def write_matched(made: Plan, number: int, matched: Matched, inputs: Inputs, counted: dict[str, Any]) -> dict[str, Any]:
    """
    Write the part of a task, and return what is counted in it.

    Parameters
    ----------
    made, number
        The plan, and the number of the task.
    matched
        Images matched to its points.
    inputs
        What the plan names.
    counted
        What is counted of the images.
    """
    kind = inputs.dataset.schema_of(matched.table.schema, but=matched.added)
    table, (lon, lat) = matched.table.cast(kind), matched.lonlat
    return write_part(made, number, table, lon, lat, count=len(matched.points), counted=counted)


@dataclass(frozen=True)
class Inputs:
    """
    What a plan names: the images, those of them that may be chosen, and the plane to measure in.

    Parameters
    ----------
    dataset, projection, region, conditions
        As of `planned`.
    """

    dataset: Images
    projection: Projection | Zones
    region: Region | None
    conditions: dict[str, Any]

    @classmethod
    def of(cls, made: Plan) -> Inputs:
        """Return it of a plan; raise FormatError if its images are others by now."""
        given = made.given
        dataset = images.opened(made.images, given["images"]).with_by_text(frozenset(given["by_text"]))
        projection = Zones() if given["srid"] == Zones.srid else geodesy.projection(given["srid"])
        region, conditions = images.region_of_json(given["region"]), images.conditions_of_json(given["conditions"])
        return cls(dataset, projection, region, conditions)

    def search(self, options: Options) -> Search:
        """Return the search of images for points."""
        return Search(
            self.dataset, self.projection, self.region, self.conditions, options.k, options.max_heading_difference,
            options.preferred,
        )  # fmt: skip

    def counted(self, task: plan.Task) -> dict[str, int]:
        """Return what a task counts of the images; see `mlygeo.parts.images.counted`."""
        return images.counted(self.dataset, task.counts, self.region, self.conditions)


def write_part(
    made: Plan, number: int, table: pa.Table, lon: Floats, lat: Floats, *, count: int, counted: dict[str, int]
) -> dict[str, Any]:
    """
    Write the part of a task, and return what is counted in it.

    Parameters
    ----------
    made, number
        The plan, and the number of the task.
    table, lon, lat
        The pairs, sorted by point and rank, and the places of the images.
    count
        Number of points that were searched for.
    counted
        What is counted of the images.
    """
    counts = counts_of_pairs(number, table, lon, lat, count=count, counted=counted)
    write_pairs(made, table, lon, lat, counts)
    return counts


def counts_of_pairs(
    number: int, table: pa.Table, lon: Floats, lat: Floats, *, count: int, counted: dict[str, int]
) -> dict[str, Any]:
    """Return what is counted in the part of a task; its parameters are those of `write_part`."""
    return {
        "number": number,
        "rows": len(table),
        "sums": facts.sums_of(table, count),
        "counted": counted,
        **_described(table, lon, lat),
    }


def write_pairs(made: Plan, table: pa.Table, lon: Floats, lat: Floats, counts: dict[str, Any]) -> None:
    """Write the part of a task, and with it what `counts_of_pairs` returned; the others are those of `write_part`."""
    with plan.writing(made, counts["number"]) as temporary:
        attrs = {**images.opened(made.images, made.given["images"]).attrs, "plan": made.hash, plan.COUNTS: counts}
        parquet.write_points(table, lon, lat, temporary, attrs=attrs)


def _described(table: pa.Table, lon: Floats, lat: Floats) -> dict[str, Any]:
    """Return what the index of the selection says of a part."""
    import pyarrow.compute as pc

    code, count = np.unique(cells.codes(lon, lat, layout.MOST_ZOOM), return_counts=True)
    times: dict[str, Any] = {"min_captured_at": None, "max_captured_at": None}
    if "captured_at" in table.column_names and pa.types.is_timestamp(table["captured_at"].type):
        ends = pc.min_max(table["captured_at"]).as_py()
        times = {f"{end}_captured_at": None if (at := ends[end]) is None else at.isoformat() for end in ("min", "max")}
    ids = pc.min_max(table["id"].combine_chunks()).as_py() if len(table) else {"min": None, "max": None}
    box = [float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())] if len(table) else [None] * 4
    return {
        "box": box, "min_id": ids["min"], "max_id": ids["max"], **times,
        "cells": np.diff(code, prepend=0).tolist(), "cell_rows": count.tolist(),
    }  # fmt: skip


def _reach(projection: Projection | Zones, bounds: Bounds | None, distance_m: float) -> Bounds:
    reach = None if bounds is None else projection.reach(bounds, distance_m)
    if reach is None:
        raise _out_of_reach(projection, bounds, distance_m, "points")
    return reach


def _out_of_reach(projection: Projection | Zones, bounds: Bounds | None, distance_m: float, noun: str) -> InputError:
    lon, lat = (np.nan, np.nan) if bounds is None else areas.centre(bounds)
    return InputError(
        f"no box in degrees holds all that is within {distance_m:g} m of {noun} around"
        f" {lon:.3f}, {lat:.3f} in EPSG:{projection.srid}",
        hint=f"leave out {noun} near a pole or beyond the area of use of `srid`, or take another `srid`",
    )


def _things_of(shapes: Objects | None, leaves: Leaves) -> Iterator[Objects]:
    """Yield the geometries of the things of each task; none where there are none."""
    if shapes is None:
        return
    code = cells.codes(*towards.middles(shapes), layout.MOST_ZOOM)
    of = np.where(code < 0, -1, leaves.of(code))
    order = np.argsort(of, kind="stable")
    ends = np.searchsorted(of[order], np.arange(len(leaves) + 1)).tolist()
    yield from (shapes[order[start:stop]] for start, stop in pairwise(ends))


def _wider(
    reach: Bounds, bounds: Bounds | None, projection: Projection | Zones, options: Options, dataset: Images
) -> Bounds:
    """Return the box that a task knows where each image serves one point: wide, but not of too many images."""
    index = dataset.index
    if bounds is None or options.max_distance is None:
        return reach
    most = max(2 * plan.in_reach(reach, index.cells, index.counts), plan.ROWS_PER_TASK)
    for times in HALOS:
        wider = projection.reach(bounds, times * options.max_distance)
        if wider is not None and plan.in_reach(wider, index.cells, index.counts) <= most:
            return wider
    return reach
