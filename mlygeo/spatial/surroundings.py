"""
What lies within so many metres of points, lines and polygons, on the ellipsoid.

Distances are measured in azimuthal equidistant projections, each around the middle of a part of the earth that is
at most some 300 km from there; two places in it are as far apart as on the earth, to 0.04 % (a sixth of the squared
angle to the middle). Circles are drawn with 64 corners (0.06 %). Together the edge lies within 0.1 % of the distance.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import through_pyproj
from mlygeo.degrees import short_way
from mlygeo.errors import RegionError
from mlygeo.spatial import areas, shapes

if TYPE_CHECKING:
    from collections.abc import Callable

    from shapely.geometry.base import BaseGeometry

    from mlygeo.arrays import Flags, Floats, Objects, Whole
    from mlygeo.spatial.shapes import Lines

LEAST_M, MOST_M = 0.01, 1_000_000.0
"""Distances around something, metres. Beyond the largest one no part of a globe is like a plane."""

QUARTER = 16
"""Edges in a quarter of a circle."""

ROUNDNESS = (1 + 1 / math.cos(math.pi / 4 / QUARTER)) / 2
"""By which radii grow, so that a circle's corners lie as far outside as its edges lie inside."""

SIMPLER = 2e-4
"""By how much of the distance lines may be simplified, and bend between corners."""

CLUSTER = 0.04
"""Side of the cells, in distances, whose points count as their convex hull: the hull adds up to 0.04 % of it."""

CHUNK = 16
"""Edges of a line that are widened at once: GEOS takes minutes for thousands that cross each other."""

BATCH = 20_000
"""Widened pieces united at once, for the memory they take."""

CELL_DEG = 3.0
"""Height of the parts of the earth, degrees; their width is about the same on the ground."""

POLAR_DEG = 87.0
"""Beyond this latitude all that is around a pole is one part."""

PIECE_M = 100_000.0
"""Longest piece of a line that lies in one part."""


def around(lines: Lines, metres: float, name: str) -> BaseGeometry:
    """
    Return what lies within a distance of lines and points.

    Parameters
    ----------
    lines
        Longitudes and latitudes, degrees, which may run on past ±180; a line with one corner is a point. Edges are
        straight in longitude and latitude.
    metres
        The distance, from 0.01 to 1,000,000.
    name
        What messages call them.

    Returns
    -------
    shape
        Polygon or multi-polygon, EPSG:4326, cut at the antimeridian.

    Raises
    ------
    RegionError
        If the lines have too many corners.
    """
    import shapely

    pieces = shapes.refined(
        lines, lambda lonlat: lonlat, _too_long, tolerance=PIECE_M, longest=CELL_DEG, shortest=shapes.HAIR
    )
    if pieces is None:
        raise RegionError(f"{name} has more than {shapes.MOST_CORNERS:,} corners", hint="simplify it")
    begins, is_point = _edges(pieces)
    middle = np.where(
        is_point[:, None], pieces.corners[begins], (pieces.corners[begins] + pieces.corners[begins + ~is_point]) / 2
    )
    centres, cell = _cells(middle)
    found = [
        _around_in_cell(pieces, (begins[cell == number], is_point[cell == number]), centre, metres, name)
        for number, centre in enumerate(centres)
    ]
    return shapes.polygons_only(shapely.union_all(found))


def checked(metres: Any) -> float:
    """
    Return a distance around something, metres.

    Raises
    ------
    RegionError
        If it is not a number, or not between 0.01 m and 1,000 km.
    """
    try:
        number = math.nan if isinstance(metres, bool | np.bool_) else float(metres)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isfinite(number) and LEAST_M <= number <= MOST_M:
        return number
    shown = repr(metres)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    if math.isnan(number):
        raise RegionError(f"a buffer of {shown} is not a number of metres", hint="such as `buffer=200`")
    reason = "would leave nothing" if number < 0 else "has no width" if number < LEAST_M else "is wider than 1,000 km"
    raise RegionError(f"a buffer of {shown} m {reason}", hint="give 0.01 to 1,000,000 metres, such as `buffer=200`")


def _too_long(start: Floats, place: Floats, stop: Floats) -> Floats:
    """Return about how long edges are, metres; see `mlygeo.spatial.shapes.refined`."""
    east = (stop[:, 0] - start[:, 0]) * np.cos(np.radians(place[:, 1]))
    return np.hypot(east, stop[:, 1] - start[:, 1]) * shapes.METRES_A_DEGREE


def _edges(lines: Lines) -> tuple[Whole, Flags]:
    """Return the corners at which edges begin, and which of them are points."""
    alone = np.bincount(lines.line)[lines.line] == 1
    begins = np.flatnonzero(np.append(lines.line[1:] == lines.line[:-1], False) | alone)
    return begins, alone[begins]


def _cells(lonlat: Floats) -> tuple[Floats, Whole]:
    """Return the middles of the parts of the earth that positions lie in, and the part of each."""
    lon, lat = short_way(lonlat[:, 0]), lonlat[:, 1]
    box = areas.bounds(lon, lat)
    if box is not None:
        # All in one part, unless it is too large: then no seam runs through it.
        middle = areas.centre(box)
        flattest = min(abs(box[1]), abs(box[3])) if box[1] * box[3] > 0 else 0.0
        if math.hypot(areas.width(box) * math.cos(math.radians(flattest)), box[3] - box[1]) < 1.5 * CELL_DEG:
            return np.array([middle]), np.zeros(len(lon), dtype=np.int64)
    row = np.floor(lat / CELL_DEG)
    low = np.minimum(np.abs(row * CELL_DEG), np.abs((row + 1) * CELL_DEG))
    columns = np.maximum(np.ceil(360 * np.cos(np.radians(low)) / CELL_DEG), 1.0)
    column = np.minimum(np.floor((lon + 180) / 360 * columns), columns - 1)
    middles = np.column_stack([(column + 0.5) * 360 / columns - 180, (row + 0.5) * CELL_DEG])
    middles[np.abs(lat) >= POLAR_DEG] = 0.0, 90.0
    middles[lat <= -POLAR_DEG, 1] = -90.0
    found, number = np.unique(middles, axis=0, return_inverse=True)
    return found, number.ravel()


def _around_in_cell(lines: Lines, edges: tuple[Whole, Flags], centre: Floats, metres: float, name: str) -> BaseGeometry:
    """Return what lies within a distance of the edges of a part of the earth; see `_edges`."""
    import shapely
    from pyproj import Proj

    plane = Proj(proj="aeqd", lon_0=float(centre[0]), lat_0=float(centre[1]), ellps="WGS84", units="m")

    def mapped(lonlat: Floats) -> Floats:
        return np.column_stack(through_pyproj(plane, lonlat[:, 0], lonlat[:, 1]))

    begins, is_point = edges
    allowed = SIMPLER * metres
    kinds: list[Objects] = []
    if is_point.any():
        kinds.append(_clusters(mapped(lines.corners[begins[is_point]]), CLUSTER * metres))
    if not is_point.all():
        kinds.append(_polylines(lines, begins[~is_point], mapped, allowed, name))
    pieces = np.concatenate(kinds)
    radius = metres * ROUNDNESS
    united = [
        shapely.union_all(shapely.buffer(pieces[start : start + BATCH], radius, quad_segs=QUARTER))
        for start in range(0, len(pieces), BATCH)
    ]
    parts = shapely.get_parts(shapely.union_all(united))
    return shapes.polygons(parts, plane, name, tolerance=min(shapes.TOLERANCE_M, allowed))


def _clusters(xy: Floats, side: float) -> Objects:
    """Return points, or the convex hulls of those that lie in one cell of a grid."""
    import shapely

    _, cell = np.unique(np.floor(xy / side), axis=0, return_inverse=True)
    order = np.argsort(cell.ravel(), kind="stable")
    return np.asarray(shapely.convex_hull(shapely.multipoints(xy[order], indices=cell.ravel()[order])))


def _polylines(lines: Lines, begins: Whole, mapped: Callable[[Floats], Floats], allowed: float, name: str) -> Objects:
    """Return edges in the plane, each where it is bent as in longitude and latitude, as lines of a few edges."""
    import shapely

    run = np.cumsum(np.diff(begins, prepend=-2) != 1) - 1
    bent = shapes.refined(
        _with_ends(lines.corners, begins, run), mapped, shapes.bend_in_plane, tolerance=allowed, longest=CELL_DEG,
        shortest=shapes.HAIR,
    )  # fmt: skip
    if bent is None:
        raise RegionError(f"{name} has more than {shapes.MOST_CORNERS:,} corners", hint="simplify it")
    simpler = shapely.simplify(shapely.linestrings(bent.corners, indices=bent.line), allowed, preserve_topology=False)
    corners, line = shapely.get_coordinates(simpler, return_index=True)
    begins = np.flatnonzero(line[1:] == line[:-1])
    new = (np.diff(line[begins], prepend=-1) > 0) | (np.arange(len(begins)) % CHUNK == 0)
    firsts = np.flatnonzero(new)
    lasts = np.append(firsts[1:], len(begins)) - 1
    # GEOS takes a line that ends where it begins for a ring, and loses it where it goes there and back.
    closed = (corners[begins[firsts]] == corners[begins[lasts] + 1]).all(axis=1)
    new |= np.repeat(closed, lasts - firsts + 1)
    chunk = np.cumsum(new) - 1
    chunks = _with_ends(corners, begins, chunk)
    return np.asarray(shapely.linestrings(chunks.corners, indices=chunks.line))


def _with_ends(corners: Floats, begins: Whole, run: Whole) -> Lines:
    """Return lines of edges that begin at corners and follow one another in each run."""
    lasts = np.flatnonzero(np.diff(run, append=run[-1] + 1))
    at, line = np.append(begins, begins[lasts] + 1), np.append(run, run[lasts])
    order = np.lexsort((at, line))
    return shapes.Lines(corners[at[order]], line[order])
