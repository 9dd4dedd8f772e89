"""
The selection over parts: the images nearest to the points of a cell, with the surroundings that it needs.

A task reads the images in reach of its points and matches them as a run on whole frames does. So a point gets
the same images, distances and ranks wherever the world is cut.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo.errors import InputError
from mlygeo.parts import facts, images, plan
from mlygeo.parts.matching import check_headings, ids_of_points, planar
from mlygeo.parts.rings import Search
from mlygeo.spatial import areas, cells, geodesy
from mlygeo.spatial.knn import FIRST_LIMIT_M
from mlygeo.spatial.zones import Zones
from mlygeo.store import parquet
from mlygeo.store.atomic import atomic
from mlygeo.store.datasets import layout
from mlygeo.store.point_sources import TablePoints
from mlygeo.store.points import floats_of

if TYPE_CHECKING:
    from pathlib import Path

    from mlygeo.arrays import Floats, Rows
    from mlygeo.parts.images import Images
    from mlygeo.parts.plan import Plan
    from mlygeo.regions import Region
    from mlygeo.spatial.projection import Projection
    from mlygeo.store.point_sources import Points

STEP = "selection"

COUNTS = "part"
"""Where the attributes of a part's file have what is counted in it."""


@dataclass(frozen=True)
class Options:
    """
    Which images match a point; those of `mlygeo.spatial.nearest.select_nearest`.

    Parameters
    ----------
    max_distance, k, max_heading_difference
        As there.
    """

    max_distance: float | None
    k: int
    max_heading_difference: float | None


@dataclass(frozen=True)
class Planned:
    """
    A plan that is not written yet.

    Parameters
    ----------
    plan
        The plan.
    columns
        What tasks need of all points: arrays by name.
    order
        Rows of the points that have a task, by task.
    ends
        Where each task begins and ends in `order`.
    """

    plan: Plan
    columns: dict[str, Any]
    order: Rows
    ends: Rows

    def write(self) -> Plan:
        """Write the plan, and the points of each task, to its folder, unless they are there; return the plan."""
        path = self.plan.folder / plan.POINTS_FILE
        if not path.exists():
            fields = [(name, pa.from_numpy_dtype(values.dtype)) for name, values in self.columns.items()]
            with atomic(path) as temporary, pa.OSFile(str(temporary), "wb") as sink:
                self._write_points(sink, pa.schema(fields))
        plan.write(self.plan)
        return self.plan

    def _write_points(self, sink: pa.NativeFile, schema: pa.Schema) -> None:
        with pa.ipc.new_file(sink, schema) as writer:
            for start, stop in itertools.pairwise(self.ends.tolist()):
                rows = self.order[start:stop]
                arrays = [pa.array(values[rows]) for values in self.columns.values()]
                writer.write_batch(pa.record_batch(arrays, schema=schema))


def planned(
    points: Points,
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
    points
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
        Most images of a task; None for `mlygeo.parts.plan.ROWS_PER_TASK`.

    Raises
    ------
    FrameError
        If points or images lack a column, or ids of points are not unique.
    InputError
        If no box in degrees holds what is in reach of the points.
    """
    rows_per_task = plan.ROWS_PER_TASK if rows_per_task is None else rows_per_task
    columns = _columns(points, projection)
    if options.max_heading_difference is not None:
        check_headings(points, dataset.empty)
    lon, lat = points.lonlat
    index = dataset.index
    placed = np.where(np.isfinite(lon) & np.isfinite(lat), cells.codes(lon, lat, layout.MOST_ZOOM), -1)
    parted = plan.cut(placed, index.cells, index.counts, rows_per_task)
    order = np.argsort(parted.of, kind="stable")
    ends = np.searchsorted(parted.of[order], np.arange(len(parted.leaves) + 1))
    tasks = []
    for number, (code, zoom) in enumerate(zip(parted.leaves.code.tolist(), parted.leaves.zoom.tolist(), strict=True)):
        rows = order[ends[number] : ends[number + 1]]
        reach = _reach(
            projection, lon[rows], lat[rows], FIRST_LIMIT_M if options.max_distance is None else options.max_distance
        )
        near = plan.in_reach(reach, index.cells, index.counts)
        tasks.append(plan.Task(cells.quadkey(code, zoom), len(rows), near, reach))
    if region is not None or conditions:
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
        "written_at": max(part.written_at for part in index.parts).isoformat(),
        "rows_per_task": rows_per_task,
        "points": {"name": points.name, "count": len(points), "columns": [*columns]},
        "by_text": sorted(images.by_text(dataset, region, conditions)),
    }
    name = plan.digest(given, *columns.values())
    made = plan.Plan(folder / f"{STEP}-{name}", name, STEP, str(dataset.folder), given, tuple(tasks))
    return Planned(made, columns, order, ends)


def task(made: Plan, number: int) -> dict[str, Any]:
    """
    Write the part of a task, and return what is counted in it.

    Parameters
    ----------
    made
        The plan.
    number
        Number of the task.

    Raises
    ------
    FileError
        If an input cannot be read, or the part not be written.
    """
    given, own = made.given, made.tasks[number]
    dataset = images.opened(made.images, given["images"])
    dataset = dataset.with_by_text(frozenset(given["by_text"]))
    projection = Zones() if given["srid"] == Zones.srid else geodesy.projection(given["srid"])
    points = _points_of(made, number)
    region = images.region_of_json(given["region"])
    conditions = images.conditions_of_json(given["conditions"])
    options = dict(given["options"])
    distance_m = options.pop("max_distance")
    search = Search(dataset, projection, region, conditions, **options)
    if distance_m is None:
        table, lon, lat = search.nearest(points)
    else:
        matched = search.within(points, own.reach, distance_m)
        table, (lon, lat) = matched.table.cast(dataset.schema_of(matched.table.schema)), matched.lonlat
    counts = {
        "number": number,
        "rows": len(table),
        "sums": facts.sums_of(table, len(points)),
        "counted": images.counted(dataset, own.counts, region, conditions),
        **_described(table, lon, lat),
    }
    with plan.writing(made, number) as temporary:
        attrs = {**dataset.attrs, "plan": made.hash, COUNTS: counts}
        parquet.write_points(table, lon, lat, temporary, attrs=attrs)
    return counts


def counts_of(path: Path) -> dict[str, Any]:
    """Return what is counted in the file of a part, as `task` does."""
    from mlygeo.store.parquet.files import GeoFile

    found: dict[str, Any] = GeoFile(path).attrs[COUNTS]
    return found


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


def _reach(
    projection: Projection | Zones, lon: Floats, lat: Floats, distance_m: float
) -> tuple[float, float, float, float]:
    bounds = areas.bounds(lon, lat)
    reach = None if bounds is None else projection.reach(bounds, distance_m)
    if reach is None:
        raise InputError(
            f"no box in degrees holds all that is within {distance_m:g} m of points around"
            f" {np.nanmean(lon):.3f}, {np.nanmean(lat):.3f} in EPSG:{projection.srid}",
            hint="leave out points near a pole or beyond the area of use of `srid`, or take another `srid`",
        )
    return reach


def _columns(points: Points, projection: Projection | Zones) -> dict[str, Any]:
    """Return what tasks need of points, as arrays."""
    lon, lat = points.lonlat
    columns = {"row": np.arange(len(points)), "point_id": ids_of_points(points), "lon": lon, "lat": lat}
    if "bearing" in points.columns:
        columns["bearing"] = floats_of(points, "bearing")
    own = planar(points, projection)
    if own is not None:
        columns["x"], columns["y"] = own
    return columns


@dataclass(frozen=True)
class _TaskPoints(TablePoints):
    """Points of a task; with the coordinates of the CRS to measure in where they came in that."""

    srid: int | str

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""
        return [name for name in super().columns if name not in {"row", "x", "y"}]

    @property
    def native(self) -> tuple[Floats, Floats, Any]:
        """The coordinates as they came."""
        from pyproj import CRS

        if "x" not in self.table.column_names:
            return super().native
        return self.table["x"].to_numpy(), self.table["y"].to_numpy(), CRS.from_epsg(self.srid)


def _points_of(made: Plan, number: int) -> Points:
    with pa.memory_map(str(made.folder / plan.POINTS_FILE)) as source:
        table = pa.Table.from_batches([pa.ipc.open_file(source).get_batch(number)])
    return _TaskPoints(table, made.given["points"]["name"], {}, made.given["srid"])


def point_ids_of(made: Plan) -> tuple[Rows, Rows]:
    """Return the ids of all points that have a task, and their row numbers among all points."""
    with pa.memory_map(str(made.folder / plan.POINTS_FILE)) as source:
        file = pa.ipc.open_file(source)
        none = [pa.record_batch({"point_id": pa.array([], pa.int64()), "row": pa.array([], pa.int64())})]
        batches = [file.get_batch(number).select(["point_id", "row"]) for number in range(file.num_record_batches)]
        table = pa.Table.from_batches([*none, *batches])
        return table["point_id"].to_numpy().copy(), table["row"].to_numpy().copy()
