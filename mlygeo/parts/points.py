"""
The points of a selection over parts: looked through once, some at a time, and then sorted by task.

They are held whole nowhere. What a plan needs of all of them, such as how many lie in each cell, is found while
they are read; each task gets its own from a file beside the plan.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlygeo import frames, schemas
from mlygeo.arrays import distinct, mix
from mlygeo.parts import sorting
from mlygeo.parts.matching import as_carried, carried, planar, repeated_ids
from mlygeo.parts.occupied import Occupied
from mlygeo.progress import working
from mlygeo.spatial import cells, zones
from mlygeo.store.datasets import layout
from mlygeo.store.pieces import pieces
from mlygeo.store.point_sources import FramePoints, TablePoints
from mlygeo.store.points import SomeOf, ids_of, keep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlygeo.arrays import Floats, Objects, Rows, Whole
    from mlygeo.parts.plan import Plan
    from mlygeo.regions import Region
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store.datasets.layout import Leaves
    from mlygeo.store.point_sources import Points

FILE = "points.arrow"
"""Name of the file of the points by task, in the folder of a plan."""

SHAPE = "shape"
"""Column of the geometries of things, WKB."""

IDS_PER_BUCKET = 2_000_000
"""Ids that are compared at once."""

MOST_BUCKETS = 512


@dataclass(frozen=True)
class Found:
    """
    What is known of all points when they were looked through.

    Parameters
    ----------
    given
        How many there are.
    count
        How many of them are in the region.
    unplaced, unplaced_kept
        How many of all have no position, and of those in the region.
    occupied
        The cells that have points.
    edge
        Longitudes and latitudes of some points that have the same box and the same UTM zones as all.
    digest
        Hash of all that tasks are given.
    without_bearing
        How many of those in the region have no bearing.
    """

    given: int
    count: int
    unplaced: int
    unplaced_kept: int
    occupied: Occupied
    edge: tuple[Floats, Floats]
    digest: str
    without_bearing: int


@dataclass(frozen=True)
class GivenPoints:
    """
    Points as they were given, those in a region.

    Parameters
    ----------
    everything
        All points.
    region
        None for the whole earth.
    by_id
        Whether they are in the order of their ids, in whatever order they are read.
    said
        Attribution and the like; None where these are those of the points.
    shapes
        Geometries of things whose middles these are, degrees, in their order; None where they are points. Then
        there is no region.
    """

    everything: Points
    region: Region | None = None
    by_id: bool = False
    said: dict[str, Any] | None = None
    shapes: Objects | None = None

    @property
    def name(self) -> str:
        """What messages call them."""
        return self.everything.name

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""
        return self.everything.columns

    @property
    def attrs(self) -> dict[str, Any]:
        """Attribution and the like."""
        return self.everything.attrs if self.said is None else self.said

    def __len__(self) -> int:
        """Return the number of points in the region."""
        return self.found.count

    @property
    def are_held(self) -> bool:
        """Whether they are a frame in memory."""
        return isinstance(self.everything, FramePoints)

    @property
    def whole(self) -> Points:
        """All of them, held at once, in their order."""
        whole = keep(self.everything, region=self.region, conditions={})
        return SomeOf(whole, np.argsort(ids_of(whole, "point_id"))) if self.by_id else whole

    def pieces(self) -> Iterator[Points]:
        """Yield them some at a time, in their order."""
        for piece in pieces(self.everything):
            yield keep(piece, region=self.region, conditions={})

    def tables(self) -> Iterator[tuple[pa.Table, Floats, Floats]]:
        """Yield their ids and other attributes, and their positions in degrees, some at a time; something at least."""
        start = 0
        for piece in self.pieces():
            own = piece.take(np.arange(len(piece)), [name for name in piece.columns if name != "point_id"])
            ids = _ids(piece, start)
            start += len(piece)
            yield pa.table({"point_id": ids, **{name: own[name] for name in own.column_names}}), *piece.lonlat

    @property
    def edge(self) -> Points:
        """Some of them, which have the same box and lie in the same UTM zones as all."""
        lon, lat = self.found.edge
        return TablePoints(pa.table({"lon": lon, "lat": lat}), self.name, self.attrs)

    @cached_property
    def found(self) -> Found:
        """
        What is known of all, for which all are read.

        Raises
        ------
        FrameError
            If ids are no whole numbers, or not unique.
        """
        with working("reading the points") as step:
            step.begin(len(self.everything), "points")
            return self._looked_through(step.advance)

    def _looked_through(self, advance: Any) -> Found:
        given = count = unplaced = unplaced_kept = without_bearing = 0
        occupied = [Occupied.none()]
        edges: list[tuple[Floats, Floats]] = []
        columns = ("x", "y", "point_id", *frames.OF_POINTS, *schemas.sampled(self.columns))
        hashes = {name: hashlib.blake2b(digest_size=16) for name in columns}
        if self.shapes is not None:
            hashes["shape"] = hashlib.blake2b(digest_size=16)
        last = None
        ascending = True
        for piece in pieces(self.everything):
            lon, lat = piece.lonlat
            given += len(piece)
            unplaced += _unplaced(lon, lat)
            kept = keep(piece, region=self.region, conditions={})
            lon, lat = kept.lonlat
            unplaced_kept += _unplaced(lon, lat)
            occupied = Occupied.gathered([*occupied, Occupied.of(lon, lat)])
            edges.append(_edge(lon, lat))
            ids = _ids(kept, count)
            for name, numbers in zip(("x", "y", "point_id"), (*kept.native[:2], ids), strict=True):
                hashes[name].update(np.ascontiguousarray(numbers).data)
            for name in carried(kept):
                values = as_carried(kept, name)
                if pa.types.is_floating(values.type):
                    hashes[name].update(values.to_numpy().data)
                else:
                    _hash(values, hashes[name])
                if name == "bearing":
                    without_bearing += int(np.count_nonzero(~np.isfinite(values.to_numpy())))
            if self.shapes is not None:
                hashes["shape"].update(b"".join(self._wkb(count, len(kept)).to_pylist()))
            if len(ids):
                ascending &= bool((np.diff(ids) > 0).all()) and (last is None or bool(ids[0] > last))
                last = ids[-1]
            count += len(kept)
            advance(len(piece))
        if not ascending:
            self._check_ids(count)
        digest = "".join(each.hexdigest() for each in hashes.values())
        lon, lat = (np.concatenate([np.empty(0), *(each[axis] for each in edges)]) for axis in (0, 1))
        return Found(
            given, count, unplaced, unplaced_kept, Occupied.joined(occupied), (lon, lat), digest, without_bearing
        )

    def _check_ids(self, count: int) -> None:
        """Raise if an id stands twice: ids are compared that have the first bits of a hash in common."""
        bits = 0
        while count > IDS_PER_BUCKET << bits and 1 << bits < MOST_BUCKETS:
            bits += 1
        with ExitStack() as opened:
            buckets = [opened.enter_context(tempfile.TemporaryFile()) for _ in range(1 << bits)]
            for piece in self.pieces():
                ids = _ids(piece, 0)
                bucket = (mix(ids.view(np.uint64)) >> np.uint64(64 - bits)).astype(np.uint16) if bits else None
                order = slice(None) if bucket is None else np.argsort(bucket, kind="stable")
                ends = [0, len(ids)] if bucket is None else np.searchsorted(bucket[order], np.arange((1 << bits) + 1))
                ids = np.ascontiguousarray(ids[order])
                for number, file in enumerate(buckets):
                    file.write(ids[ends[number] : ends[number + 1]].data)
            for file in buckets:
                file.seek(0)
                ids = np.frombuffer(file.read(), dtype=np.int64)
                if distinct(ids) < len(ids):
                    raise repeated_ids(self.name)

    def columns_of_tasks(self, projection: Projection | Zones) -> list[str]:
        """Return the names of the columns that tasks get: coordinates too where they came in the CRS to measure in."""
        first = next(self.pieces(), None)
        names = ["row", "point_id", "lon", "lat"]
        if first is None:
            return names
        names += carried(first)
        if self.shapes is not None:
            return [*names, SHAPE]
        return names if planar(first, projection) is None else [*names, "x", "y"]

    def _wkb(self, start: int, count: int) -> pa.Array:
        """Return the geometries of some of the things."""
        import shapely

        assert self.shapes is not None  # noqa: S101 - they are things
        return pa.array(shapely.to_wkb(self.shapes[start : start + count]), pa.large_binary())

    def write(self, path: Path, leaves: Leaves, columns: list[str]) -> Rows:
        """
        Write the points by task.

        Parameters
        ----------
        path
            The file.
        leaves
            The cells of the tasks.
        columns
            As `columns_of_tasks` returns them.

        Returns
        -------
        rows
            How many points each task has, int64.
        """
        return sorting.by_task(path, _schema(columns), self._with_tasks(leaves, columns), len(leaves))

    def by_task(self, leaves: Leaves, columns: list[str]) -> tuple[pa.Table, Rows]:
        """Return what `write` would write, in memory, and where the points of each task begin and the last end."""
        tables, of = [_schema(columns).empty_table()], [np.empty(0, dtype=np.int64)]
        for table, task in self._with_tasks(leaves, columns):
            tables.append(table)
            of.append(task)
        task = np.concatenate(of)
        order = np.argsort(task, kind="stable")
        ends = np.searchsorted(task[order], np.arange(len(leaves) + 1))
        return pa.concat_tables(tables).take(pa.array(order[ends[0] :])).combine_chunks(), ends - ends[0]

    def _with_tasks(self, leaves: Leaves, columns: list[str]) -> Iterator[tuple[pa.Table, Rows]]:
        """Yield what tasks get of the points, some at a time, with the number of the task of each; -1 for none."""
        start = 0
        for piece in self.pieces():
            lon, lat = piece.lonlat
            ids = _ids(piece, start)
            row = ids if self.by_id else np.arange(start, start + len(piece))
            held: dict[str, Any] = {"row": row, "point_id": ids, "lon": lon, "lat": lat}
            held |= {name: as_carried(piece, name) for name in carried(piece)}
            if "x" in columns:
                held["x"], held["y"], _ = piece.native
            if self.shapes is not None:
                held[SHAPE] = self._wkb(start, len(piece))
            start += len(piece)
            code = cells.codes(lon, lat, layout.MOST_ZOOM)
            table = pa.table([held[name] for name in columns], schema=_schema(columns))
            yield table, np.where(code < 0, -1, leaves.of(code))


def _schema(columns: list[str]) -> pa.Schema:
    kinds = {"row": pa.int64(), "point_id": pa.int64(), SHAPE: pa.large_binary()}
    kinds |= {column.name: pa.string() for column in schemas.STREET_POINTS.columns if column.dtype == "str"}
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in columns])


def _unplaced(lon: Floats, lat: Floats) -> int:
    return int(np.count_nonzero(~(np.isfinite(lon) & np.isfinite(lat))))


def _hash(values: pa.ChunkedArray, into: Any) -> None:
    """Add texts to a hash: their lengths, and their letters."""
    lengths = pc.fill_null(pc.binary_length(values), -1)
    into.update(np.ascontiguousarray(lengths.to_numpy()).data)
    texts = pc.fill_null(values, "").combine_chunks()
    for array in texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]:
        together = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(array)], pa.int32()), array), "")
        into.update(together[0].as_buffer())


def _ids(points: Points, start: int) -> Whole:
    """Return the ids of points: their `point_id`, or their numbers."""
    if "point_id" in points.columns:
        return ids_of(points, "point_id")
    return np.arange(start, start + len(points))


def _edge(lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
    """Return some positions that have the same box and lie in the same UTM zones as all."""
    codes = zones.of(lon, lat)
    placed = np.flatnonzero(codes)
    if not len(placed):
        return np.empty(0), np.empty(0)
    east, north = lon[placed], lat[placed]
    turned = np.where(east < 0, east + 360, east)
    ends = [end(values) for values in (east, north, turned) for end in (np.argmin, np.argmax)]
    kinds, of = np.unique(codes[placed], return_inverse=True)
    first = np.full(len(kinds), len(placed))
    np.minimum.at(first, of, np.arange(len(placed)))
    rows = placed[np.union1d(ends, first)]
    return lon[rows], lat[rows]


@dataclass(frozen=True)
class TaskPoints(TablePoints):
    """Points of a task; with the coordinates of the CRS to measure in where they came in that."""

    srid: int | str

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""
        return [name for name in super().columns if name not in {"row", "task", "x", "y", SHAPE}]

    @property
    def native(self) -> tuple[Floats, Floats, Any]:
        """The coordinates as they came."""
        from pyproj import CRS

        if "x" not in self.table.column_names:
            return super().native
        return self.table["x"].to_numpy(), self.table["y"].to_numpy(), CRS.from_epsg(self.srid)

    @property
    def shapes(self) -> Objects:
        """The geometries of things, degrees."""
        import shapely

        found: Objects = shapely.from_wkb(self.table[SHAPE].to_numpy(zero_copy_only=False))
        return found

    @property
    def rows(self) -> Rows:
        """Their row numbers among all points."""
        found: Rows = self.table["row"].to_numpy()
        return found

    def without(self, name: str) -> TaskPoints:
        """Return the points without an attribute."""
        return replace(self, table=self.table.select([each for each in self.table.column_names if each != name]))


def of_task(made: Plan, number: int) -> TaskPoints:
    """Return the points of a task."""
    table = sorting.of_task(made.folder / FILE, number)
    return TaskPoints(table, made.given["points"]["name"], {}, made.given["srid"])


def of_tasks(made: Plan, numbers: list[int]) -> TaskPoints:
    """Return the points of some tasks, with the numbers of these as `task`."""
    tables = [sorting.of_task(made.folder / FILE, number) for number in numbers]
    table = pa.concat_tables(tables).append_column("task", pa.array(np.repeat(numbers, [*map(len, tables)])))
    return TaskPoints(table, made.given["points"]["name"], {}, made.given["srid"])


def ids_of_all(made: Plan) -> tuple[Rows, Rows]:
    """Return the ids of all points that have a task, and their row numbers among all points."""
    some = [
        sorting.of_task(made.folder / FILE, number).select(["point_id", "row"]) for number in range(len(made.tasks))
    ]
    none = pa.table({"point_id": pa.array([], pa.int64()), "row": pa.array([], pa.int64())})
    table = pa.concat_tables([none, *some])
    return table["point_id"].to_numpy().copy(), table["row"].to_numpy().copy()
