"""
Many lines as arrays: their lengths, places along them, bearings there, and which of them are the same.

All vertices are in one array; `first[i]` is the first vertex of line i, `first[-1]` the number of vertices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.arrays import in_threads, mix
from mlygeo.errors import FrameError
from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Whole, Words
    from mlygeo.spatial.projection import Projection


CHUNK = 20_000
"""Bearings that a thread computes at a time."""


@dataclass(frozen=True)
class Lines:
    """Lines in the plane, metres."""

    x: Floats
    y: Floats
    first: Whole
    step: Floats
    """Distance from the vertex before, at each vertex; 0 at the first of a line."""
    along: Floats
    """Distance from the start of the line, at each vertex."""
    before: Floats
    """Approximate length of all lines before each line."""
    overall: Floats
    """Approximate distance from the start of the first line, along one line after another, at each vertex."""

    @property
    def length(self) -> Floats:
        """Length of each line, metres."""
        return self.along[self.first[1:] - 1]


def coordinates(streets: gpd.GeoDataFrame) -> tuple[Floats, Whole]:
    """
    Return the vertices of a frame of lines, degrees, shape (vertices, 2), and the first of each line (and one more).

    Raises
    ------
    FrameError
        If a row is not a line, or a coordinate no number.
    """
    import shapely

    geometry = np.asarray(streets.geometry.values)
    vertices = shapely.get_num_coordinates(geometry)
    odd = (shapely.get_type_id(geometry) != shapely.GeometryType.LINESTRING) | (vertices < 2)
    lonlat = shapely.get_coordinates(geometry)
    if odd.any() or not np.isfinite(lonlat).all():
        raise FrameError(
            f"{int(odd.sum())} of {len(streets):,} streets are no lines"
            if odd.any()
            else "some streets have coordinates that are no numbers",
            hint="mlygeo.street_network(path=…) reads any file of lines and leaves such rows out",
        )
    return lonlat, np.concatenate(([0], np.cumsum(vertices)))


def bounds(lonlat: Floats) -> tuple[float, float, float, float]:
    """Return west, south, east, north; west exceeds east for streets on both sides of the antimeridian."""
    lon, lat = lonlat.T
    if lon.max() - lon.min() > 180:
        return float(lon[lon > 0].min()), float(lat.min()), float(lon[lon <= 0].max()), float(lat.max())
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def boxes(lonlat: Floats, first: Whole) -> Floats:
    """
    Return the box of each line: west, south, east, north in degrees; shape (4, lines).

    A line is straight in the plane from vertex to vertex, and so bends away from the box of its vertices: by about
    s² t / 8, with the segment's length in Earth's radii and the tangent of the latitude. The boxes have room for
    eight times as much, and for the bend of meridians in a plane. None crosses the antimeridian, as no line does.
    """
    low, high = (of.reduceat(lonlat, first[:-1], axis=0) for of in (np.minimum, np.maximum))
    step = np.zeros(len(lonlat))
    step[1:] = np.radians(np.abs(np.diff(lonlat, axis=0)).sum(axis=1))
    step[first[:-1]] = 0.0
    most = np.minimum(np.abs(np.stack((low[:, 1], high[:, 1]))).max(axis=0), 89.0)
    bend = np.degrees(np.maximum.reduceat(step, first[:-1]) ** 2 * (np.tan(np.radians(most)) + 0.5))
    wide = bend / np.cos(np.radians(most))
    return np.stack((low[:, 0] - wide, low[:, 1] - bend, high[:, 0] + wide, high[:, 1] + bend))


def each_once(streets: gpd.GeoDataFrame, street: Whole, hashes: tuple[Words, Words]) -> Whole:
    """Return one row for each street, the lowest (u, v, key), in that order, independent of the order of the rows."""
    u, v, key = (streets[name].to_numpy() for name in ("u", "v", "key"))
    order = np.lexsort((*hashes, key, v, u))
    first = np.sort(np.unique(street[order], return_index=True)[1])
    return order[first]


def measure(x: Floats, y: Floats, first: Whole) -> Lines:
    """Return lines with the lengths that GEOS has for them, to the last digit."""
    step = np.zeros(len(x))
    step[1:] = np.sqrt(np.diff(x) ** 2 + np.diff(y) ** 2)
    step[first[:-1]] = 0.0
    along = _running_length(step, first)
    length = along[first[1:] - 1]
    before = np.cumsum(length) - length
    return Lines(x, y, first, step, along, before, along + np.repeat(before, np.diff(first)))


def project(lonlat: Floats, first: Whole, projection: Projection, *, exact: bool = False) -> Lines:
    """
    Project and measure lines, within a tenth of a micrometre of PROJ, or as PROJ does.

    Results that depend on the last digit, such as the side of a border that a point is on, need `exactly`.
    """
    lon, lat = lonlat.T
    return measure(*projection.forward(lon, lat, exact=exact), first)


def exactly(lines: Lines, which: Whole, lonlat: Floats, projection: Projection) -> None:
    """Replace the vertices and lengths of these lines with PROJ's own."""
    chosen = np.zeros(len(lines.first) - 1, dtype=bool)
    chosen[which] = True
    vertices = np.diff(lines.first)
    here = np.repeat(chosen, vertices)
    first = np.concatenate(([0], np.cumsum(vertices[chosen])))
    exact = measure(*projection.forward(*lonlat[here].T, exact=True), first)
    lines.x[here], lines.y[here], lines.step[here], lines.along[here] = exact.x, exact.y, exact.step, exact.along


def _running_length(step: Floats, first: Whole) -> Floats:
    """
    Cumulate steps along each line, from 0 and one after another, as GEOS does.

    One sum over all lines with the line's start subtracted would round differently, and a point on
    the border of a cell could fall on its other side. Lines with similar numbers of vertices are summed
    together, as rows of a matrix at most twice as wide as the line.
    """
    along = np.empty(len(step))
    vertices = np.diff(first)
    magnitude = np.frexp((vertices - 1).astype(float))[1]
    for power in np.unique(magnitude):
        lines = np.flatnonzero(magnitude == power)
        offset = np.arange(vertices[lines].max())
        inside = offset < vertices[lines, None]
        at = np.where(inside, first[lines, None] + offset, 0)
        along[at[inside]] = np.cumsum(np.where(inside, step[at], 0.0), axis=1)[inside]
    return along


def locate(lines: Lines, line: Whole, distance: Floats) -> tuple[Floats, Floats, Whole]:
    """
    Return the places at distances along lines, and the vertex where the segment of each starts.

    The same places as GEOS's (shapely's `line_interpolate_point`), to the last digit.
    """
    start, last = lines.first[line], lines.first[line + 1] - 1
    # a sum over all lines is accurate enough to find the segment; its rounding is corrected below
    segment = np.searchsorted(lines.overall, lines.before[line] + distance, side="right") - 1
    segment = np.clip(segment, start, last - 1)
    while (early := (segment < last - 1) & (lines.along[segment + 1] <= distance)).any():
        segment[early] += 1
    while (late := (segment > start) & (lines.along[segment] > distance)).any():
        segment[late] -= 1

    step = lines.step[segment + 1]
    share = np.divide(distance - lines.along[segment], step, out=np.ones(len(step)), where=step > 0)
    at_end = distance >= lines.along[last]
    x = np.where(at_end, lines.x[last], (lines.x[segment + 1] - lines.x[segment]) * share + lines.x[segment])
    y = np.where(at_end, lines.y[last], (lines.y[segment + 1] - lines.y[segment]) * share + lines.y[segment])
    return x, y, segment


def bearings(lines: Lines, lonlat: Floats, vertex: Words, segment: Whole) -> Floats:
    """Return the geodesic bearing of segments; one without length takes that of the nearest one before, or after."""
    vertices = np.arange(len(lonlat))
    moves = _moves(vertex, lines.first)
    before = np.maximum.accumulate(np.where(moves, vertices, -1))[segment]
    after = np.minimum.accumulate(np.where(moves, vertices, len(lonlat))[::-1])[::-1][segment]
    line = np.searchsorted(lines.first, segment, side="right") - 1
    use = np.where(before >= lines.first[line], before, after)
    known = use < lines.first[line + 1]
    (lon1, lat1), (lon2, lat2) = lonlat[use[known]].T, lonlat[use[known] + 1].T
    found = np.empty(len(lon1))

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        found[part] = geodesy.bearing(lon1[part], lat1[part], lon2[part], lat2[part])

    in_threads(work, len(found), CHUNK, "vertices")
    bearing = np.full(len(segment), np.nan)
    bearing[known] = found
    return bearing


def hashes(lonlat: Floats) -> Words:
    """Return a 64-bit hash of each vertex."""
    lon, lat = (np.ascontiguousarray(values + 0.0).view("uint64") for values in lonlat.T)  # -0.0 is 0.0
    return mix(mix(lon) + lat)


def same_lines(vertex: Words, first: Whole) -> tuple[Whole, Words]:
    """
    Number lines so that lines with the same course, in either direction, have the same number.

    Lines are the same if they have the same segments: the sum of a hash over segments tells so
    without comparing them (two lines among a million differ unseen once in 10^7 networks).

    Returns
    -------
    number, hashes
        The number of each line, from 0 in the order of their appearance, and that sum.
    """
    import pandas as pd

    sums = _sum_over_segments(vertex, np.roll(vertex, -1), first)
    return pd.factorize(sums)[0], sums


def directions(vertex: Words, first: Whole) -> Words:
    """Return a hash of each line that differs between its two directions."""
    return _sum_over_segments(vertex, np.roll(vertex, -1) << np.uint64(1), first)


def _sum_over_segments(vertex: Words, after: Words, first: Whole) -> Words:
    segment = mix(vertex + after)
    segment[~_moves(vertex, first)] = 0
    sums = np.add.reduceat(segment, first[:-1])
    return np.where(sums == 0, vertex[first[:-1]], sums)  # lines without length: their position


def _moves(vertex: Words, first: Whole) -> Flags:
    """Return at which vertices a segment with length starts."""
    moves = np.zeros(len(vertex), dtype=bool)
    moves[:-1] = vertex[1:] != vertex[:-1]
    moves[first[1:] - 1] = False
    return moves
