"""The surroundings of lines, as cells: of a long road, not all that lies in its box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo import arrays
from mlygeo.degrees import wrapped
from mlygeo.errors import InputError
from mlygeo.parts import plan
from mlygeo.spatial import areas, cells, polylines
from mlygeo.store.datasets import layout
from mlygeo.store.points import SomeOf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.arrays import Bounds, Flags, Floats, Rows
    from mlygeo.parts.images import Images
    from mlygeo.spatial.projection import Projection
    from mlygeo.store.datasets.index import Index
    from mlygeo.store.point_sources import Points

MOST_IN_BOX = 1_000_000
"""Images in the box of an area that are looked at together; of more, a part of the dataset at a time."""

NEARLY_180 = 180 - 1e-7
"""Degrees, 1 cm beside the antimeridian."""


@dataclass(frozen=True)
class Area:
    """
    Cells of a zoom.

    Parameters
    ----------
    zoom
        The zoom.
    codes
        Their codes, ascending.
    box
        A box in degrees around them; west > east across the antimeridian.
    """

    zoom: int
    codes: Rows
    box: Bounds

    def has(self, codes: Rows, zoom: int) -> Flags:
        """Return which cells of a zoom, at least this one's, lie in the area."""
        own = codes >> 2 * (zoom - self.zoom)
        place = np.minimum(np.searchsorted(self.codes, own), len(self.codes) - 1)
        found: Flags = (codes >= 0) & (self.codes[place] == own)
        return found

    def count(self, index: Index) -> int:
        """Return how many images of a dataset lie in the area."""
        return int(index.counts[self.has(index.cells, layout.MOST_ZOOM)].sum())

    def images(self, dataset: Images) -> Iterator[Points]:
        """Yield the images of a dataset that lie in the area; those at one place come together."""
        index = dataset.index
        if plan.in_reach(self.box, index.cells, index.counts) <= MOST_IN_BOX:
            yield self._of(dataset.points(self.box))
            return
        for number, part in enumerate(index.parts):
            if part.west is None:
                continue
            low, high = cells.span(*cells.from_quadkey(part.cell), layout.MOST_ZOOM)
            bits = 2 * (layout.MOST_ZOOM - self.zoom)
            first, last = np.searchsorted(self.codes, [low >> bits, ((high - 1) >> bits) + 1])
            if last > first:
                yield self._of(dataset.part(number))

    def _of(self, points: Points) -> Points:
        return SomeOf(points, np.flatnonzero(self.has(cells.codes(*points.lonlat, self.zoom), self.zoom)))


def of_lines(lonlat: Floats, first: Rows, projection: Projection, distance_m: float) -> Area:
    """
    Return cells that hold everything within a planar distance of lines: rather too many than too few.

    Parameters
    ----------
    lonlat
        Vertices, degrees, shape (vertices, 2); there is a line.
    first
        The first vertex of each line, and one more.
    projection
        The plane in which the lines are straight, and the distance is measured.
    distance_m
        Metres.

    Raises
    ------
    InputError
        If no box in degrees holds it.
    """
    lonlat = _unwrapped(lonlat, first, projection)
    boxes = polylines.boxes(lonlat, first)
    west, south, east, north = boxes
    bounds = areas.bounds(np.concatenate([west, east]), np.concatenate([south, north]))
    around = None if bounds is None else projection.reach(bounds, distance_m)
    if bounds is None or around is None:
        lon, lat = lonlat.mean(axis=0)
        raise InputError(
            f"no box in degrees holds all that is within {distance_m:g} m of streets around {lon:.3f}, {lat:.3f}"
            f" in EPSG:{projection.srid}",
            hint="leave out streets near a pole or beyond the area of use of `srid`, or take another `srid`",
        )
    wide, tall = (bounds[0] - around[0]) % 360, bounds[1] - around[1]
    zoom = int(np.clip(np.floor(np.log2(720 / max(wide, 1e-9))), 0, layout.MOST_ZOOM))
    west, south, east, north = _pieces(lonlat, first, boxes, 360 / (1 << zoom))
    codes = _met((west - wide, south - tall, east + wide, north + tall), zoom)
    return Area(zoom, codes, around)


def _unwrapped(lonlat: Floats, first: Rows, projection: Projection) -> Floats:
    """Return vertices whose lines go on beyond the antimeridian, where they cross it and do so in the plane."""
    step = np.zeros(len(lonlat))
    step[1:] = np.diff(lonlat[:, 0])
    step[first[:-1]] = 0.0
    crossing = np.flatnonzero(np.abs(step) > 180)
    if not len(crossing):
        return lonlat
    lat = lonlat[crossing, 1]
    sides = [projection.forward(np.full(len(lat), side), lat) for side in (-NEARLY_180, NEARLY_180)]
    apart_m = np.hypot(sides[0][0] - sides[1][0], sides[0][1] - sides[1][1])
    turns = np.zeros(len(lonlat))
    turns[crossing] = np.where(apart_m < 1.0, -np.sign(step[crossing]), 0.0)
    along = np.cumsum(turns)
    along -= np.repeat(along[first[:-1]], np.diff(first))
    found: Floats = np.stack([lonlat[:, 0] + 360 * along, lonlat[:, 1]], axis=1)
    return found


def _pieces(lonlat: Floats, first: Rows, boxes: Floats, step: float) -> Floats:
    """Return boxes that hold lines, shape (4, boxes): those of short lines, and of long ones those of short pieces."""
    long = (boxes[2] - boxes[0] > step) | (boxes[3] - boxes[1] > step)
    if not long.any():
        return boxes
    vertex = np.arange(len(lonlat) - 1)
    owner = np.repeat(np.arange(len(first) - 1), np.diff(first))
    begin = vertex[long[owner[:-1]] & (owner[:-1] == owner[1:])]
    ends = np.stack([lonlat[begin], lonlat[begin + 1]], axis=1)
    around = polylines.boxes(ends.reshape(-1, 2), np.arange(0, 2 * len(begin) + 1, 2))
    low, high = ends.min(axis=1).T, ends.max(axis=1).T
    count = np.ceil((high - low).max(axis=0) / step).astype(np.int64).clip(1)
    segment = np.repeat(np.arange(len(begin)), count)
    piece = arrays.numbered(count)
    start, way = ends[segment, 0].T, (ends[:, 1] - ends[:, 0])[segment].T
    one, other = start + way * (piece / count[segment]), start + way * ((piece + 1) / count[segment])
    below, above = low - around[:2], around[2:] - high
    found = np.concatenate([np.minimum(one, other) - below[:, segment], np.maximum(one, other) + above[:, segment]])
    return np.concatenate([boxes[:, ~long], found], axis=1)


def _met(boxes: tuple[Floats, Floats, Floats, Floats], zoom: int) -> Rows:
    """Return the codes of the cells that boxes in degrees meet; boxes may reach beyond the antimeridian."""
    west, south, east, north = boxes
    size = 1 << zoom
    left, top = cells.tiles(wrapped(west), np.clip(north, -90, 90), zoom)
    right, bottom = cells.tiles(wrapped(east), np.clip(south, -90, 90), zoom)
    across = np.where(east - west >= 360, size, (right - left) % size + 1)
    down = bottom - top + 1
    count = across * down
    box = np.repeat(np.arange(len(count)), count)
    at = arrays.numbered(count)
    x, y = (left[box] + at % across[box]) % size, top[box] + at // across[box]
    return np.unique(cells.interleave(x, y))
