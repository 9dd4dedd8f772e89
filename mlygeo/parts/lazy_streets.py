"""
Steps on streets that are a frame of Dask: points along them, and what imagery covers.

The world is cut into rectangles, one for each partition. Each has the points that lie in it, of the streets around; or
the streets whose south-western corner lies in it, so that all rows of a street are in one, and the images near them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo.errors import FrameError, InputError
from mlygeo.parts import lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import geopandas as gpd

    from mlygeo.arrays import Bounds, Flags, Floats
    from mlygeo.schemas import Schema
    from mlygeo.spatial.projection import Projection

HALO = 24
"""Intervals around a rectangle from which streets are looked at: four times what mostly makes its points certain."""


class Extent(NamedTuple):
    """The box of the streets of a partition, and the width and height of the largest one, degrees; their ends."""

    box: Bounds
    width: float
    height: float
    ends: Floats
    """The places that tell the box of all streets; shape (6, 2)."""


@dataclass(frozen=True)
class Cell:
    """A rectangle in degrees: positions from `west` and `south` on, before `east` and `north`."""

    west: float = -math.inf
    south: float = -math.inf
    east: float = math.inf
    north: float = math.inf

    def holds(self, lon: Floats, lat: Floats) -> Flags:
        """Return which positions lie in it."""
        return (lon >= self.west) & (lon < self.east) & (lat >= self.south) & (lat < self.north)

    def meets(self, box: Bounds) -> bool:
        """Return whether a box has a place in it."""
        return box[0] < self.east and box[2] >= self.west and box[1] < self.north and box[3] >= self.south

    def within(self, bounds: Bounds, width: float = 0.0, height: float = 0.0) -> Bounds:
        """Return the part of a box in it, and so much further to the east and the north."""
        west, south, east, north = bounds
        return (
            min(max(self.west, west), east), min(max(self.south, south), north),
            max(min(self.east + width, east), west), max(min(self.north + height, north), south),
        )  # fmt: skip


@dataclass(frozen=True)
class Lines:
    """Streets that are a frame of Dask: their partitions, what is known of each, and how they are measured."""

    form: lazy.Form
    parts: list[Any]
    extents: list[Extent | None]
    projection: Projection | None
    srid: int | None

    @classmethod
    def of(cls, streets: Any, kinds: tuple[Schema, ...], srid: int | None, *, force_srid: bool) -> Lines:
        """Compute the positions of streets, and settle the CRS to measure in."""
        import numpy as np

        from mlygeo.spatial import geodesy, polylines

        form = lazy.Form.of(streets, "streets", kinds)
        dask, parts = lazy.module("dask"), streets.to_delayed()
        extents = [*dask.compute(*(dask.delayed(_extent)(form, part) for part in parts))]
        ends = [each.ends for each in extents if each is not None]
        if not ends:
            return cls(form, [*parts], extents, None, srid)
        bounds = polylines.bounds(np.concatenate(ends))
        srid = geodesy.utm_srid(*bounds) if srid is None else srid
        projection = geodesy.check_srid(srid, bounds, force=force_srid)
        return cls(form, [*parts], extents, projection, srid)

    @property
    def known(self) -> list[tuple[Any, Extent]]:
        """The partitions that have streets."""
        return [(part, each) for part, each in zip(self.parts, self.extents, strict=True) if each is not None]

    def cells(self) -> list[Cell]:
        """Return rectangles that share out the world, as many as there are partitions, by the places of these."""
        import numpy as np

        boxes = np.array([each.box for _, each in self.known]).reshape(-1, 4)
        return _shared_out(Cell(), (boxes[:, :2] + boxes[:, 2:]) / 2, max(1, len(self.parts)))


def _shared_out(cell: Cell, places: Any, count: int) -> list[Cell]:
    """Return so many rectangles in one, cut between places so that each has about as many of them."""
    import numpy as np

    if count <= 1 or len(places) < 2:
        return [cell]
    axis = int(np.argmax(np.ptp(places, axis=0)))
    places = places[np.argsort(places[:, axis], kind="stable")]
    first = count // 2
    at = min(max(1, round(len(places) * first / count)), len(places) - 1)
    border = float((places[at - 1, axis] + places[at, axis]) / 2)
    low, high = (
        (Cell(cell.west, cell.south, border, cell.north), Cell(border, cell.south, cell.east, cell.north))
        if axis == 0
        else (Cell(cell.west, cell.south, cell.east, border), Cell(cell.west, border, cell.east, cell.north))
    )
    return _shared_out(low, places[:at], first) + _shared_out(high, places[at:], count - first)


def _extent(form: lazy.Form, part: gpd.GeoDataFrame) -> Extent | None:
    import numpy as np

    from mlygeo.spatial import polylines

    if not len(part):
        return None
    lonlat, first = polylines.coordinates(form.settled(part))
    lon, lat = lonlat.T
    turned = np.where(lon <= 0, lon + 360, lon)
    rows = [end(values) for values in (lon, lat, turned) for end in (np.argmin, np.argmax)]
    west, south, east, north = polylines.boxes(lonlat, first)
    box = (float(west.min()), float(south.min()), float(east.max()), float(north.max()))
    return Extent(box, float((east - west).max()), float((north - south).max()), lonlat[rows])


def _around(extents: Sequence[Extent]) -> Bounds:
    """Return the box around those of partitions; as wide as the world where streets lie across the antimeridian."""
    import numpy as np

    west, south, east, north = np.array([each.box for each in extents]).reshape(-1, 4).T
    return (
        float(west.min(initial=180.0)), float(south.min(initial=90.0)),
        float(east.max(initial=-180.0)), float(north.max(initial=-90.0)),
    )  # fmt: skip


# Points along streets


def street_points(
    step: Callable[..., gpd.GeoDataFrame], streets: Any, options: dict[str, Any], kinds: tuple[Schema, ...]
) -> Any:
    """
    Return the points along streets, those of `mlygeo.street_points` with `even`, by the places of partitions.

    Parameters
    ----------
    step
        The step on frames in memory.
    streets
        The streets.
    options
        The other arguments.
    kinds
        The schemas that name the columns of streets.

    Raises
    ------
    InputError
        If an option makes no sense.
    CrsError
        If `srid` does not suit the streets.
    """
    from mlygeo.spatial import streets as spatial

    dask, dataframe = lazy.module("dask"), lazy.module("dask.dataframe")
    meta = step(lazy.Form.of(streets, "streets", kinds).settled(lazy.empty(streets)), **options)
    lines = Lines.of(streets, kinds, options.get("srid"), force_srid=options.get("force_srid", False))
    interval = float(options.get("interval", spatial.INTERVAL_M))
    lay = dask.delayed(_Laying(lines.form, meta, interval, lines.srid), pure=False)
    found = []
    around = _around([extent for _, extent in lines.known])
    for cell in lines.cells() if lines.known else []:
        reach = None if lines.projection is None else lines.projection.reach(cell.within(around), HALO * interval)
        near = [dask.delayed(_meeting)(lines.form, part, reach) for part, extent in lines.known
                if lazy.may_meet(extent.box, reach)]  # fmt: skip
        if near:
            found.append(lay(near, cell, reach))
    return dataframe.from_delayed(found or [dask.delayed(meta)], meta=meta, verify_meta=False)


def _meeting(form: lazy.Form, part: gpd.GeoDataFrame, reach: Bounds | None) -> gpd.GeoDataFrame:
    """Return the streets whose box meets another."""
    from mlygeo import degrees
    from mlygeo.spatial import polylines

    streets = form.settled(part)
    if reach is None or not len(streets):
        return streets
    return streets[degrees.meets(polylines.boxes(*polylines.coordinates(streets)), reach)]


@dataclass(frozen=True)
class _Laying:
    form: lazy.Form
    meta: gpd.GeoDataFrame
    interval: float
    srid: int | None

    def __call__(self, streets: Sequence[gpd.GeoDataFrame], cell: Cell, reach: Bounds | None) -> gpd.GeoDataFrame:
        from mlygeo.spatial.streets import even_points_of_part

        near = _together(streets)
        if not len(near) or self.srid is None:
            return self.meta
        points, undecided = even_points_of_part(near, cell.holds, reach, interval=self.interval, srid=self.srid)
        if undecided:
            raise FrameError(
                f"{undecided:,} places may be points or not, by streets more than {HALO:,} intervals away",
                hint="give the streets as a frame, .compute(), or lay the points with 'mlygeo streets -o points/'",
            )
        return lazy.like(self.meta, points)


def _together(several: Sequence[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    import pandas as pd

    held = [each for each in several if len(each)] or [*several[:1]]
    return pd.concat(held, ignore_index=True)


# Coverage


def street_coverage(
    step: Callable[..., gpd.GeoDataFrame],
    streets: Any,
    images: Any,
    options: dict[str, Any],
    kinds: Mapping[str, tuple[Schema, ...]],
) -> Any:
    """
    Return what imagery covers of streets, the rows of `mlygeo.street_coverage`, by the places of partitions.

    Parameters
    ----------
    step
        The step on frames in memory.
    streets, images
        The frames, of which one at least is of Dask.
    options
        The other arguments.
    kinds
        The schemas that name the columns of each frame.

    Raises
    ------
    InputError
        If an option makes no sense, or an answer hangs on all images.
    CrsError
        If `srid` does not suit the streets.
    FrameError
        If a frame lacks a column, or the streets are not lines.
    """
    from mlygeo.spatial import coverage, coverage_classes

    streets, images = lazy.as_lazy(streets, "streets"), lazy.as_lazy(images, "images")
    names = {*coverage_classes.NAMES, "provider"} & {*lazy.empty(images).columns}
    if options.get("by") == "creator" and names:
        raise InputError(
            f"`by=creator` is not possible with a frame of Dask that has the column {min(names)!r}: the name of a"
            " contributor is that of all their images",
            hint=f"drop {', '.join(sorted(names))}, or {lazy.PARTS}",
        )
    dask, dataframe = lazy.module("dask"), lazy.module("dask.dataframe")
    form = lazy.Form.of(images, "images", kinds["images"])
    none = lazy.empty(images)
    street_form = lazy.Form.of(streets, "streets", kinds["streets"])
    meta = step(street_form.settled(lazy.empty(streets)), form.settled(none), **options)
    if options.get("by") == "pano" and none["is_pano"].dtype == bool:  # which no row can leave unknown
        meta = meta.astype({"is_pano": bool})
    lines = Lines.of(streets, kinds["streets"], options.get("srid"), force_srid=options.get("force_srid", False))
    measure = dask.delayed(
        _Measuring(step, lines.form, form, meta, {**options, "srid": lines.srid, "force_srid": True}), pure=False
    )
    distance_m = float(options.get("distance", coverage.DISTANCE_M))
    image_parts, held = images.to_delayed(), lazy.boxes(images)
    found = []
    for cell in lines.cells() if lines.known else []:
        mine = [(part, extent) for part, extent in lines.known if cell.meets(extent.box)]
        if not mine:
            continue
        around = _around([extent for _, extent in mine])
        largest = max(each.width for _, each in mine), max(each.height for _, each in mine)
        box = cell.within(around, *largest)
        reach = None if lines.projection is None else lines.projection.reach(box, distance_m)
        near = [
            dask.delayed(lazy.within)(part, reach)
            for part, its in zip(image_parts, held, strict=True)
            if lazy.may_meet(its, reach)
        ]
        own = [dask.delayed(_cornered)(lines.form, part, cell) for part, _ in mine]
        found.append(measure(own, near or [none]))
    return dataframe.from_delayed(found or [dask.delayed(meta)], meta=meta, verify_meta=False)


def _cornered(form: lazy.Form, part: gpd.GeoDataFrame, cell: Cell) -> gpd.GeoDataFrame:
    """Return the streets the south-western corner of whose box lies in a rectangle."""
    from mlygeo.spatial import polylines

    streets = form.settled(part)
    if not len(streets):
        return streets
    west, south, _, _ = polylines.boxes(*polylines.coordinates(streets))
    return streets[cell.holds(west, south)]


@dataclass(frozen=True)
class _Measuring:
    step: Callable[..., gpd.GeoDataFrame]
    street_form: lazy.Form
    form: lazy.Form
    meta: gpd.GeoDataFrame
    options: dict[str, Any]

    def __call__(self, streets: Sequence[gpd.GeoDataFrame], images: Sequence[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
        own = _together(streets)
        if not len(own):
            return self.meta
        return lazy.like(self.meta, self.step(own, self.form.settled(_together(images)), **self.options))
