"""
Points along streets over parts: those of `even`, in the cells of the world, from the streets around each.

Streets are looked through some at a time, and sorted by cell out of core. A task lays the points of its cell as
`mlygeo.spatial.streets.even_points_of_part` does, from as many streets as it takes to be certain of each.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from mlygeo import degrees, frames
from mlygeo.errors import FrameError
from mlygeo.parts import plan, sorting
from mlygeo.parts.occupied import Occupied
from mlygeo.parts.points import GivenPoints
from mlygeo.progress import working
from mlygeo.spatial import cells, geodesy, polylines
from mlygeo.spatial.streets import even_places, even_points_of_part
from mlygeo.store import parquet
from mlygeo.store.atomic import atomic
from mlygeo.store.datasets import layout
from mlygeo.store.parquet.files import Reopened
from mlygeo.store.point_sources import FramePoints, PointFile
from mlygeo.store.points import MOST_OPEN
from mlygeo.store.united import United

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.arrays import Bounds, Floats, Rows
    from mlygeo.parts.plan import Plan
    from mlygeo.store.datasets.layout import Leaves

STEP = "laying"

FILE = "streets.arrow"
"""Name of the file of the streets by task, in the folder of a plan."""

PLACES_PER_TASK = 200_000
"""Places and streets of a task: what lays points takes about 500 bytes for each (measured)."""

HALO = 6
"""Intervals around a cell from which streets are read at first: mostly enough to be certain of each point."""

PLACES_AT_ONCE = 500_000
"""Places that are looked at at once, when streets are looked through."""

MOST_METRES_A_DEGREE = 111_700.0
"""Length of a degree at the poles, the longest."""

SIDES = ("west", "south", "east", "north")

_SCHEMA = pa.schema(
    [
        *((name, pa.int64()) for name in ("u", "v", "key")),
        *((name, pa.string()) for name in ("osmid", "name", "highway")),
        ("wkb", pa.binary()),
        *((side, pa.float64()) for side in SIDES),
    ]
)


class Streets(Protocol):
    """Streets, which come some at a time."""

    @property
    def name(self) -> str:
        """What messages call them."""

    def pieces(self) -> Iterator[gpd.GeoDataFrame]:
        """Yield streets frames, EPSG:4326: all rows, in the same order each time."""


def bounds_of(streets: Streets) -> Bounds | None:
    """Return the box of streets as `mlygeo.spatial.polylines.bounds` does; None where there are none."""
    ends = [np.empty((0, 2))]
    for piece in streets.pieces():
        if len(piece):
            lonlat, _ = polylines.coordinates(piece)
            lon, lat = lonlat.T
            turned = np.where(lon <= 0, lon + 360, lon)
            rows = [end(values) for values in (lon, lat, turned) for end in (np.argmin, np.argmax)]
            ends.append(lonlat[rows])
    places = np.concatenate(ends)
    return polylines.bounds(places) if len(places) else None


@dataclass(frozen=True)
class Planned:
    """
    A plan that is not written yet.

    Parameters
    ----------
    plan
        The plan.
    streets
        The streets.
    leaves
        The cells of its tasks.
    """

    plan: Plan
    streets: Streets
    leaves: Leaves

    def write(self) -> Plan:
        """
        Write the plan, and the streets of each task, to its folder, unless they are there; return the plan.

        Raises
        ------
        FileError
            If it cannot be written.
        FrameError
            If the streets are others than when the plan was made.
        """
        path = self.plan.folder / FILE
        if not path.exists():
            rows = sorting.by_task(path, _SCHEMA, self._tables(), len(self.leaves))
            if rows.tolist() != self.plan.given["streets"]["of_task"]:
                path.unlink()
                raise FrameError(f"{self.streets.name} was changed while it was read", hint="run the command again")
        plan.write(self.plan)
        return self.plan

    def _tables(self) -> Iterator[tuple[pa.Table, Rows]]:
        for piece in self.streets.pieces():
            if len(piece):
                table = _table(piece)
                corner = _corners(piece)
                yield table, self.leaves.of(cells.codes(*corner, layout.MOST_ZOOM))


def planned(streets: Streets, folder: Path, *, interval: float, srid: int, attribution: list[str]) -> Planned:
    """
    Return the plan of laying points, not yet written.

    Parameters
    ----------
    streets
        All streets.
    folder
        Where the folder of the plan is to be.
    interval, srid
        As of `mlygeo.spatial.streets.street_points`; the srid is not checked.
    attribution
        Whom the streets are owed to.

    Raises
    ------
    InputError
        If the interval is not a positive number.
    CrsError
        If the srid has no coordinates for some of the streets.
    """
    some, corners = [Occupied.none()], [Occupied.none()]
    found, count = hashlib.blake2b(digest_size=16), 0
    with working("looking through the streets") as step:
        step.begin(None, "streets")
        for piece in streets.pieces():
            if not len(piece):
                continue
            for few in _cut(piece, interval):
                places = even_places(few, interval=interval, srid=srid)
                # A cell may have a street's corner and no point.
                lon, lat = np.concatenate((places.lon, places.west)), np.concatenate((places.lat, places.south))
                some = Occupied.gathered([*some, Occupied.of(lon, lat)])
                corners = Occupied.gathered([*corners, Occupied.of(places.west, places.south, places.boxes)])
            for batch in _table(piece).combine_chunks().to_batches():
                found.update(batch.serialize())
            count += len(piece)
            step.advance(len(piece))
    own = Occupied.joined(corners)
    occupied = Occupied.joined(some)
    leaves = layout.leaves(occupied.code, occupied.count, PLACES_PER_TASK)
    ends, own_ends = (np.append(np.searchsorted(each.code, leaves.first), len(each.code)) for each in (occupied, own))
    tasks, boxes, rows = [], [], []
    for number, (code, zoom) in enumerate(zip(leaves.code.tolist(), leaves.zoom.tolist(), strict=True)):
        here, mine = (slice(each[number], each[number + 1]) for each in (ends, own_ends))
        tasks.append(plan.Task(cells.quadkey(code, zoom), int(occupied.count[here].sum()), 0, occupied.bounds(here)))
        rows.append(int(own.count[mine].sum()))
        boxes.append(own.around(mine))
    given = {
        "version": plan.VERSION,
        "step": STEP,
        "srid": srid,
        "interval": interval,
        "attribution": attribution,
        "places_per_task": PLACES_PER_TASK,
        "streets": {"name": streets.name, "count": count, "digest": found.hexdigest(), "of_task": rows, "boxes": boxes},
    }
    name = plan.digest(given)
    made = plan.Plan(folder / f"{STEP}-{name}", name, STEP, "", given, tuple(tasks))
    return Planned(made, streets, leaves)


def task(made: Plan, number: int) -> dict[str, Any]:
    """Write the part of a task, and return what is counted in it; see `mlygeo.parts.run.Step`."""
    given, own = made.given, made.tasks[number]
    points = _laid(made, own)
    table = FramePoints(points, "the street points").take(np.arange(len(points)))
    lon, lat = frames.lonlat(points)
    code, rows = np.unique(cells.codes(lon, lat, layout.MOST_ZOOM), return_counts=True)
    said = points.attrs["street_points"]
    counts = {
        "number": number,
        "rows": len(points),
        "edges": said["edges"],
        "streets": said["streets"],
        "length_um": round(said["length_m"] * 1e6),
        "box": [lon.min(), lat.min(), lon.max(), lat.max()] if len(points) else [None] * 4,
        "min_id": None, "max_id": None, "min_captured_at": None, "max_captured_at": None,
        "cells": np.diff(code, prepend=0).tolist(), "cell_rows": rows.tolist(),
    }  # fmt: skip
    with atomic(made.path(number)) as temporary:
        attrs = {"attribution": given["attribution"], "plan": made.hash, plan.COUNTS: counts}
        parquet.write_points(table, lon, lat, temporary, attrs=attrs)
    return counts


def _laid(made: Plan, own: plan.Task) -> gpd.GeoDataFrame:
    """Return the points of a cell, from as many streets around it as decide on each."""
    srid, interval = made.given["srid"], made.given["interval"]
    code, zoom = cells.from_quadkey(own.cell)
    projection = geodesy.projection(srid)
    halo = HALO * interval
    while True:
        known = None if own.reach is None else projection.reach(own.reach, halo)
        points, undecided = even_points_of_part(
            _streets_near(made, known),
            lambda lon, lat: cells.inside(lon, lat, code, zoom),
            known,
            interval=interval,
            srid=srid,
        )
        if not undecided:
            return points
        halo *= 2


def _streets_near(made: Plan, known: Bounds | None) -> gpd.GeoDataFrame:
    """Return the streets whose boxes meet a box; all where that is None."""
    import geopandas as gpd
    import shapely

    boxes = np.array(made.given["streets"]["boxes"], dtype=np.float64).reshape(-1, 4).T
    near = np.arange(boxes.shape[1]) if known is None else np.flatnonzero(degrees.meets(boxes, known))
    some = [_SCHEMA.empty_table()]
    for number in near.tolist():
        table = sorting.of_task(made.folder / FILE, number)
        if known is not None:
            own = np.stack([table[side].to_numpy() for side in SIDES])
            table = table.filter(pa.array(degrees.meets(own, known)))
        some.append(table)
    together = pa.concat_tables(some)
    columns = frames.to_pandas(together.drop_columns(["wkb", *SIDES]))
    lines = shapely.from_wkb(together["wkb"].to_numpy(zero_copy_only=False))
    found = gpd.GeoDataFrame(columns, geometry=lines, crs=frames.CRS).assign(oneway=False)  # which points do not have
    return frames.conform(found, frames.STREETS)


def _cut(streets: gpd.GeoDataFrame, interval: float) -> Iterator[gpd.GeoDataFrame]:
    """Yield streets with about `PLACES_AT_ONCE` places at a time: those of one at least."""
    import shapely

    lengths = shapely.length(np.asarray(streets.geometry.values)) * MOST_METRES_A_DEGREE
    number = np.floor(np.cumsum(lengths / interval + 1) / PLACES_AT_ONCE)
    starts = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
    for start, stop in pairwise([*starts, len(streets)]):
        yield streets.iloc[start:stop]


def _table(streets: gpd.GeoDataFrame) -> pa.Table:
    """Return streets as they are kept by task."""
    import shapely

    columns = {name: pa.array(streets[name], _SCHEMA.field(name).type, from_pandas=True) for name in _SCHEMA.names[:6]}
    columns["wkb"] = pa.array(shapely.to_wkb(np.asarray(streets.geometry.values)), pa.binary())
    lonlat, first = polylines.coordinates(streets)
    columns |= dict(zip(SIDES, polylines.boxes(lonlat, first), strict=True))
    return pa.table(columns, schema=_SCHEMA)


def _corners(streets: gpd.GeoDataFrame) -> tuple[Floats, Floats]:
    """Return the south-western corners of the boxes of streets."""
    lonlat, first = polylines.coordinates(streets)
    west_south = np.minimum.reduceat(lonlat, first[:-1], axis=0)
    return west_south[:, 0], west_south[:, 1]


@dataclass(frozen=True)
class Laid(plan.AllParts):
    """
    Points that were laid: all parts are there.

    Parameters
    ----------
    plan
        The plan.
    """

    @property
    def files(self) -> list[Path]:
        """The files of the parts that have points; of one without, where none has any."""
        found = [self.plan.path(number) for number, counted in enumerate(self.counts) if counted["rows"]]
        return found or [self.plan.path(0)]

    @property
    def facts(self) -> dict[str, Any]:
        """What `mlygeo.spatial.streets.street_points` says of all streets and points."""
        edges, streets, length_um, rows = (
            sum(counted[name] for counted in self.counts) for name in ("edges", "streets", "length_um", "rows")
        )
        return {
            "edges": edges,
            "streets": streets,
            "length_m": length_um / 1e6,
            "points": rows,
            "interval_m": float(self.plan.given["interval"]),
            "srid": self.plan.given["srid"],
            "method": "even",
            "edges_without_point": 0,
            "length_without_point_m": 0.0,
            "share_without_point": 0.0,
        }

    def points(self) -> GivenPoints:
        """Return the points, of which single ones are read; in the order of their ids where they are held."""
        several = len(self.files) > MOST_OPEN
        members = [PointFile(Reopened(path) if several else path) for path in self.files]
        everything = United(members, "the street points", [{}] * len(members))
        attrs = {"attribution": self.plan.given["attribution"], "street_points": self.facts}
        return GivenPoints(everything, by_id=True, said=attrs)
