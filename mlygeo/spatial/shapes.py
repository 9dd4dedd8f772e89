"""
Shapes of any coordinate reference system as polygons in longitude and latitude, cut at the antimeridian.

An edge is straight where it was drawn: in the plane of a projected CRS, else in longitude and latitude (RFC 7946).
Edges of a plane get more corners before they are transformed. Along a ring longitudes run on past ±180°, so
that a ring across the antimeridian stays one, and one that comes back 360° further on encloses a pole.
"""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import arrays
from mlygeo.arrays import through_pyproj
from mlygeo.degrees import short_way
from mlygeo.errors import RegionError
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyproj import CRS, Proj
    from shapely.geometry.base import BaseGeometry

    from mlygeo.arrays import Bounds, Flags, Floats, Objects, Whole

    Mapping = Callable[[Floats], Floats]

LOG = logging.getLogger("mlygeo.spatial.shapes")

TOLERANCE_M = 0.1
"""How far an edge may lie from where it was drawn, metres: less than any position of an image is known to."""

METRES_A_DEGREE = 111_320.0
"""Length of a degree of latitude, and of one of longitude at the equator, to one percent."""

FIRST_PIECES_M = 250_000.0
"""Edges are parted into pieces of this length before anything is measured on them: no bend hides in one."""

WIDEST_STEP_DEG = 45.0
"""Longest step in longitude along a transformed edge; shorter than half a turn, its direction is certain."""

ASTRAY_M = 10_000.0
"""Between a corner and where the CRS takes its longitude and latitude back to: both ways may shift the datum by other
grids, hundreds of metres at most; from outside of the CRS's domain it is thousands of kilometres."""

POLE_M = 1e-3
"""A piece this short with a long step in longitude runs through a pole."""

MOST_CORNERS = 5_000_000
"""Corners of all edges together."""

HAIR = 1e-9
"""Degrees; a tenth of a millimetre."""

AXIS_M2 = 6_378_137.0**2
ECCENTRICITY = 0.0818191908426215
"""Of the ellipsoid of WGS 84."""


class Lines(NamedTuple):
    """Corners of lines, one line after another; shape (n, 2); and the number of the line of each, ascending."""

    corners: Floats
    line: Whole


def polygons(drawn: Objects, crs: CRS | Proj | None, name: str, *, tolerance: float = TOLERANCE_M) -> BaseGeometry:
    """
    Return polygons as one shape in longitude and latitude, cut at the antimeridian.

    Parameters
    ----------
    drawn
        Valid polygons; shape (n,).
    crs
        Their CRS, in the order x, y, or a projection of WGS 84 in metres; None is EPSG:4326.
    name
        What messages call them.
    tolerance
        How far an edge may lie from where it was drawn, metres.

    Returns
    -------
    shape
        Polygon or multi-polygon, EPSG:4326; no longitude is beyond ±180.

    Raises
    ------
    RegionError
        If a corner lies outside of what the CRS can show, or it is in doubt which side of an edge is meant.
    """
    import shapely

    plane = Plane(crs, name)
    rings, polygon = shapely.get_rings(drawn, return_index=True)
    corners, ring = shapely.get_coordinates(rings, return_index=True)
    if plane.is_lonlat:
        lonlat = plane.lonlat(corners)
        _check_steps(lonlat, ring, name)
        whole = drawn if lonlat is corners else shapely.set_coordinates(drawn.copy(), lonlat)
        return cut(shapely.union_all(shapely.make_valid(whole)))
    lonlat, line = plane.unwrapped(corners, ring, tolerance)
    ends = np.searchsorted(line, np.arange(len(rings) + 1))
    turns = np.rint((lonlat[ends[1:] - 1, 0] - lonlat[ends[:-1], 0]) / 360).astype(np.int64)
    # The side that is meant lies on the left of a ring that is counter-clockwise on the globe.
    counter_clockwise = shapely.is_ccw(rings) == plane.is_upright(corners)
    made = [
        _of_polygon([lonlat[ends[one] : ends[one + 1]] for one in own], turns[own], counter_clockwise[own], name)
        for own in np.split(np.arange(len(rings)), np.flatnonzero(np.diff(polygon)) + 1)
    ]
    return polygons_only(shapely.union_all(made))


def check_edges(drawn: Objects, crs: CRS | None, name: str) -> None:
    """
    Raise where an edge of polygons in longitude and latitude may be meant either way round.

    Parameters
    ----------
    drawn, crs, name
        As for `polygons`; they need not be valid.

    Raises
    ------
    RegionError
        Naming the edge.
    """
    import shapely

    plane = Plane(crs, name)
    if plane.is_lonlat:
        corners, ring = shapely.get_coordinates(shapely.get_rings(drawn), return_index=True)
        _check_steps(plane.lonlat(corners), ring, name)


def lines(drawn: Objects, crs: CRS | None, name: str, *, tolerance: float = TOLERANCE_M) -> Lines:
    """
    Return lines in longitude and latitude; longitudes run on past ±180.

    Parameters
    ----------
    drawn
        Points, lines or rings; shape (n,).
    crs
        Their CRS, in the order x, y; None is EPSG:4326.
    name
        What messages call them.
    tolerance
        How far an edge may lie from where it was drawn, metres.

    Returns
    -------
    lines
        In longitude and latitude an edge of more than 180° is taken the short way round, with a warning.

    Raises
    ------
    RegionError
        If a corner lies outside of what the CRS can show.
    """
    import shapely

    corners, line = shapely.get_coordinates(drawn, return_index=True)
    plane = Plane(crs, name)
    if not plane.is_lonlat:
        return plane.unwrapped(corners, line, tolerance)
    lonlat = plane.lonlat(corners)
    long = int((np.abs(np.diff(lonlat[:, 0]))[line[1:] == line[:-1]] > 180).sum())
    if long:
        edges = "1 edge" if long == 1 else f"{long:,} edges"
        LOG.warning("%s: %s of more than 180° taken the short way, across the antimeridian", name, edges)
    return Lines(np.column_stack([_run_on(lonlat[:, 0], line), lonlat[:, 1]]), line)


def cut(shape: BaseGeometry) -> BaseGeometry:
    """Return a polygon or multi-polygon whose longitudes run on past ±180, with each part brought back there."""
    return polygons_only(_brought_back(shape))


def polygons_only(shape: BaseGeometry) -> BaseGeometry:
    """Return the polygons of a shape that have an area, as one valid shape."""
    import shapely

    if not shapely.is_valid(shape):
        shape = shapely.make_valid(shape)
    parts = shapely.get_parts(shapely.get_parts(shape))
    found = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)]
    # The parts of a valid shape do not overlap.
    whole: BaseGeometry = found[0] if len(found) == 1 else shapely.multipolygons(found)
    return whole


def tight_bounds(shape: BaseGeometry) -> Bounds:
    """Return the narrowest box of a shape, which crosses the antimeridian if the parts lie at both ends."""
    import shapely

    west, south, east, north = shape.bounds
    if east - west > 180:
        extents = shapely.bounds(shapely.get_parts(shape))
        eastern, western = extents[extents[:, 0] >= 0], extents[extents[:, 2] <= 0]
        if len(eastern) + len(western) == len(extents) and len(eastern) and len(western):
            gap_west, gap_east = float(western[:, 2].max()), float(eastern[:, 0].min())
            if gap_east - gap_west > 180:
                return gap_east, south, gap_west, north
    return west, south, east, north


def area_m2(shape: BaseGeometry) -> float:
    """
    Return the area of polygons in longitude and latitude on the ellipsoid of WGS 84, square metres.

    Their edges are straight in longitude and latitude. Below an edge lies the integral of the area between the
    equator and each of its latitudes (Snyder, Map Projections, equation 3-12), by Gauss and Legendre.
    """
    import shapely

    rings, polygon = shapely.get_rings(shapely.get_parts(shape), return_index=True)
    lonlat, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    start, stop = np.radians(lonlat[:-1][same]), np.radians(lonlat[1:][same])
    nodes, weights = np.polynomial.legendre.leggauss(12)
    lat = start[:, 1, None] + (stop - start)[:, 1, None] * (nodes + 1) / 2
    sine = ECCENTRICITY * np.sin(lat)
    below = (1 - ECCENTRICITY**2) / 2 * (np.sin(lat) / (1 - sine**2) + np.arctanh(sine) / ECCENTRICITY)
    share = AXIS_M2 * (stop - start)[:, 0] * (below @ weights) / 2
    of_ring = np.abs(np.bincount(ring[:-1][same], share, len(rings)))
    return float(np.where(np.diff(polygon, prepend=-1) > 0, of_ring, -of_ring).sum())


def refined(
    given: Lines,
    mapped: Mapping,
    bend: Callable[[Floats, Floats, Floats], Floats],
    *,
    tolerance: float,
    longest: float,
    shortest: float,
) -> Lines | None:
    """
    Return lines after a transformation, with corners added until no edge bends by more than a tolerance.

    Parameters
    ----------
    given
        The lines.
    mapped
        The transformation of corners.
    bend
        How far a place on an edge lies from the straight line between its ends, from the transformed start, place and
        end; infinity parts the edge in any case.
    tolerance
        Bend that is allowed.
    longest
        Length of the pieces that edges are parted into before they are measured, in the units of `given`.
    shortest
        Length below which no piece is parted.

    Returns
    -------
    lines
        Transformed; None if they have more than `MOST_CORNERS`.
    """
    begins = np.flatnonzero(given.line[1:] == given.line[:-1])
    start, reach = given.corners[begins], given.corners[begins + 1] - given.corners[begins]
    length = np.hypot(reach[:, 0], reach[:, 1])
    pieces = np.maximum(np.ceil(length / longest), 1.0)
    if pieces.sum() + len(given.line) > MOST_CORNERS:
        return None
    count = pieces.astype(np.int64)
    edge = np.repeat(np.arange(len(begins)), count)
    width = 1 / pieces[edge]
    place = arrays.numbered(count) * width

    def at(share: Floats) -> Floats:
        return mapped(start[edge] + reach[edge] * share[:, None])

    # What is kept of an edge is the place on it, counted on from the corner where it begins.
    kept = [np.arange(len(given.line), dtype=np.float64)]
    while len(edge):
        first, last = at(place), at(place + width)
        off = np.maximum(*(bend(first, at(place + width * share), last) for share in (0.3, 0.5)))
        parted = (off > tolerance) & (length[edge] * width > shortest)
        kept.append((begins[edge] + place)[place > 0])
        if sum(map(len, kept)) + parted.sum() > MOST_CORNERS:
            return None
        edge, width = np.repeat(edge[parted], 2), np.repeat(width[parted] / 2, 2)
        place = np.repeat(place[parted], 2)
        place[1::2] += width[1::2]
    places = np.unique(np.concatenate(kept))
    before = places.astype(np.int64)
    share = (places - before)[:, None]
    after = np.minimum(before + 1, len(given.line) - 1)
    corners = given.corners[before] + (given.corners[after] - given.corners[before]) * share
    return Lines(mapped(corners), given.line[before])


class Plane:
    """
    A CRS that shapes are drawn in, and the way from there to longitude and latitude.

    Parameters
    ----------
    crs
        The CRS, in the order x, y, or a projection of WGS 84 in metres; None is EPSG:4326.
    name
        What messages call the shapes.

    Raises
    ------
    RegionError
        If it is not a CRS of places on the earth.
    """

    def __init__(self, crs: CRS | Proj | None, name: str) -> None:
        from pyproj import CRS, Proj, Transformer
        from pyproj.exceptions import ProjError

        self._name, self._label = name, "EPSG:4326"
        self._transformer: Transformer | None = None
        self._projection: Proj | None = None
        self.is_lonlat, self._unit, self._prime = True, 1.0, 0.0
        if isinstance(crs, Proj):
            self._projection, self.is_lonlat = crs, False
            return
        if crs is None or crs == CRS.from_epsg(4326):
            return
        code = crs.to_authority()
        self._label = ":".join(code) if code else crs.name
        horizontal: Any = crs
        while horizontal.is_bound or horizontal.is_compound:
            horizontal = horizontal.source_crs if horizontal.is_bound else horizontal.sub_crs_list[0]
        if not (horizontal.is_geographic or horizontal.is_projected):
            raise RegionError(f"{name} is in {self._label}, which is not a map of the earth", hint="use EPSG:4326")
        try:
            self._transformer = Transformer.from_crs(crs, CRS.from_epsg(4326), always_xy=True)
        except ProjError as error:
            raise RegionError(
                f"{name} is in {self._label}, which PROJ cannot transform", hint="use EPSG:4326"
            ) from error
        self._unit = float(horizontal.axis_info[0].unit_conversion_factor)
        # The degrees of a rotated pole are those of a plane.
        self.is_lonlat = horizontal.is_geographic and not horizontal.is_derived
        if horizontal.is_geographic:
            self._unit = math.degrees(self._unit) * (1.0 if self.is_lonlat else METRES_A_DEGREE)
            prime = horizontal.prime_meridian
            self._prime = math.degrees(prime.longitude * prime.unit_conversion_factor)

    def lonlat(self, corners: Floats) -> Floats:
        """
        Return the longitudes and latitudes of corners; those of a geographic CRS keep their turns.

        Raises
        ------
        RegionError
            If one lies outside of what the CRS can show, or is not a coordinate.
        """
        if not np.isfinite(corners).all():
            raise RegionError(f"{self._name} has corners that are not finite numbers")
        if self.is_lonlat:
            self._check_range(corners * self._unit + [self._prime, 0.0])
            lonlat = self._mapped(corners)
            if lonlat is not corners:
                drawn = corners[:, 0] * self._unit + self._prime
                lonlat[:, 0] += 360 * np.rint((drawn - lonlat[:, 0]) / 360)
            return lonlat
        lonlat = self._mapped(corners)
        outside = np.asarray(~np.isfinite(lonlat).all(axis=1))
        outside[~outside] = ~self._comes_back(corners[~outside], lonlat[~outside])
        if outside.any():
            x, y = corners[outside][0]
            raise RegionError(
                f"{self._name} has {outside.sum():,} of {len(corners):,} corners outside of what {self._label} can "
                f"show, such as {x:.12g}, {y:.12g}",
                hint="is that the CRS it was drawn in?",
            )
        return lonlat

    def unwrapped(self, corners: Floats, line: Whole, tolerance: float) -> Lines:
        """
        Return lines of the plane in longitude and latitude, which run on past ±180, with corners added where they bend.

        Raises
        ------
        RegionError
            If a part of an edge lies outside of what the CRS can show, or there are too many corners.
        """
        self.lonlat(corners)  # for its checks
        # At a pole there is no longitude: a line through it is moved by a hair, and passes it on one side.
        for x, y in ((0.0, 0.0), (0.0137, 0.0291), (-0.0313, 0.0171)):
            moved = corners + np.array([x, y]) / self._unit
            found = refined(
                Lines(moved, line), self._inside, bend_on_earth, tolerance=tolerance,
                longest=FIRST_PIECES_M / self._unit, shortest=POLE_M / self._unit,
            )  # fmt: skip
            if found is None:
                raise RegionError(f"{self._name} has more than {MOST_CORNERS:,} corners", hint="simplify it")
            lon, lat = _run_on(found.corners[:, 0], found.line), found.corners[:, 1]
            same = found.line[1:] == found.line[:-1]
            at_pole = np.abs(lat) > 90 - HAIR
            if not (np.abs(np.diff(lon))[same] > 2 * WIDEST_STEP_DEG).any() and not (
                at_pole.any() and self._is_point(90.0 if lat[at_pole][0] > 0 else -90.0)
            ):
                return Lines(np.column_stack([lon, lat]), found.line)
        raise RegionError(f"{self._name} has edges that run through a pole", hint="move them by a metre")

    def is_upright(self, corners: Floats) -> bool:
        """Return whether the axes of the plane turn as those of a map do, rather than mirrored."""
        lat = self._mapped(corners)[:, 1]
        step = 1.0 / self._unit
        flattest = corners[int(np.argmin(np.abs(lat)))]
        origin, along_x, along_y = self._mapped(flattest + np.array([[0.0, 0.0], [step, 0.0], [0.0, step]]))
        x, y = along_x - origin, along_y - origin
        return bool(short_way(x[0]) * y[1] - short_way(y[0]) * x[1] >= 0)

    def _mapped(self, corners: Floats) -> Floats:
        if self._projection is not None:
            return np.column_stack(
                through_pyproj(partial(self._projection, inverse=True), corners[:, 0], corners[:, 1])
            )
        if self._transformer is None:
            return corners
        return np.column_stack(through_pyproj(self._transformer.transform, corners[:, 0], corners[:, 1]))

    def _inside(self, corners: Floats) -> Floats:
        lonlat = self._mapped(corners)
        if not np.isfinite(lonlat).all():
            raise RegionError(
                f"{self._name} has edges that leave what {self._label} can show", hint="cut it where that ends"
            )
        return lonlat

    def _back(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        if self._projection is not None:
            x, y = through_pyproj(self._projection, lon, lat)
            return x, y
        if self._transformer is None:
            return lon, lat
        x, y = through_pyproj(partial(self._transformer.transform, direction="INVERSE"), lon, lat)
        return x, y

    def _comes_back(self, corners: Floats, lonlat: Floats) -> Flags:
        """Return which corners the CRS takes back to where they were, or a turn of a cylindrical map away."""
        (lon, lat), allowed = lonlat.T, ASTRAY_M / self._unit
        x, y = self._back(lon, lat)
        same_x, same_y = np.abs(corners[:, 0] - x) <= allowed, np.abs(corners[:, 1] - y) <= allowed
        turned = np.flatnonzero(same_y & ~same_x)
        if len(turned):
            # The width of the map, measured at three places of which at most one is at its seam.
            widths = [
                360
                * (
                    self._back(lon[turned] + off + 0.5, lat[turned])[0]
                    - self._back(lon[turned] + off - 0.5, lat[turned])[0]
                )
                for off in (0.0, 120.0, 240.0)
            ]
            turns = (corners[turned, 0] - x[turned]) / np.median(widths, axis=0)
            same_x[turned] = np.abs(turns - np.rint(turns)) < 1e-3
        both: Flags = same_x & same_y
        return both

    def _is_point(self, pole: float) -> bool:
        x, y = self._back(np.array([0.0, 120.0]), np.array([pole, pole]))
        return bool(np.ptp(x) + np.ptp(y) < 1.0 / self._unit)

    def _check_range(self, lonlat: Floats) -> None:
        (west, south), (east, north) = lonlat.min(axis=0), lonlat.max(axis=0)
        bounds = float(west), float(south), float(east), float(north)
        boxes.check_latitudes(bounds[1], bounds[3], self._name, bounds)
        if west < -360 or east > 360:
            raise RegionError(f"{self._name} spans longitudes {west:g} to {east:g}, which are none")


def bend_on_earth(start: Floats, place: Floats, stop: Floats) -> Floats:
    """Return how far places lie from straight edges in longitude and latitude, metres; see `refined`."""
    metres = METRES_A_DEGREE * np.column_stack([np.cos(np.radians(place[:, 1])), np.ones(len(place))])
    edge, here = (np.column_stack([short_way(to[:, 0] - start[:, 0]), to[:, 1] - start[:, 1]]) for to in (stop, place))
    off: Floats = np.where(np.abs(edge[:, 0]) > WIDEST_STEP_DEG, np.inf, _off_edge(edge * metres, here * metres))
    return off


def bend_in_plane(start: Floats, place: Floats, stop: Floats) -> Floats:
    """Return how far places lie from straight edges of a plane; see `refined`."""
    return _off_edge(stop - start, place - start)


def _off_edge(edge: Floats, place: Floats) -> Floats:
    """Return the distance of places from edges, which both start at the origin."""
    along = np.clip((edge * place).sum(axis=1) / np.maximum((edge**2).sum(axis=1), 1e-300), 0.0, 1.0)
    return np.asarray(np.hypot(*(place - edge * along[:, None]).T))


def _run_on(lon: Floats, line: Whole) -> Floats:
    """Return the longitudes of lines such that none jumps; each begins within ±180, to a hair."""
    steps = short_way(np.diff(lon))
    along = np.concatenate([[0.0], np.cumsum(steps)])
    begins = np.searchsorted(line, line)
    whole: Floats = lon[begins] + along - along[begins]
    # The sum of steps is rounded, the longitude itself is not.
    return np.asarray(lon + 360 * np.rint((whole - lon) / 360))


def _check_steps(lonlat: Floats, ring: Whole, name: str) -> None:
    """Raise where an edge in longitude and latitude may be meant either way round, or a ring overlaps itself."""
    same = ring[1:] == ring[:-1]
    step = np.abs(np.diff(lonlat[:, 0]))
    doubtful = same & (step > 180) & (np.abs(step - 360) > HAIR)
    if doubtful.any():
        at = int(np.flatnonzero(doubtful)[0])
        west, east = sorted((float(lonlat[at, 0]), float(lonlat[at + 1, 0])))
        raise RegionError(
            f"{name} has an edge from {lonlat[at, 0]:g}° to {lonlat[at + 1, 0]:g}° of longitude, and it is in doubt "
            f"whether it goes {east - west:g}° round the world or {360 - east + west:g}° across the antimeridian",
            hint=f"write {west + 360:g} for {west:g} to cross the antimeridian, or add corners every 90° to go round",
        )
    begins = np.flatnonzero(np.diff(ring, prepend=-1))
    width = np.maximum.reduceat(lonlat[:, 0], begins) - np.minimum.reduceat(lonlat[:, 0], begins)
    if (width > 360 + HAIR).any():
        raise RegionError(f"{name} is {width.max():g}° wide, and the world is 360°")


def _of_polygon(rings: list[Floats], turns: Whole, counter_clockwise: Flags, name: str) -> BaseGeometry:
    """Return a polygon of unwrapped rings, the first of which is the outer one, cut at the antimeridian."""
    import shapely

    if not turns.any():
        closed = np.asarray(
            shapely.linearrings(np.concatenate(rings), indices=np.repeat(np.arange(len(rings)), [*map(len, rings)]))
        )
        if (shapely.is_ccw(closed) != counter_clockwise).any():
            raise RegionError(f"{name} reaches round the globe, and over both poles", hint="take it in smaller parts")
        west = shapely.bounds(closed)[:, 0]
        shift = 360 * np.ceil((west[0] - west - HAIR) / 360)
        holes = [
            shapely.linearrings(ring + np.array([east, 0.0])) for ring, east in zip(rings[1:], shift[1:], strict=True)
        ]
        return _brought_back(shapely.make_valid(shapely.Polygon(closed[0], holes)))
    filled = [
        _of_polygon([ring], turn[None], side[None], name)
        if not turn
        else _cap(ring, int(turn), northern=(turn > 0) == side)
        for ring, turn, side in zip(rings, turns, counter_clockwise, strict=True)
    ]
    return filled[0].difference(shapely.union_all(filled[1:])) if len(filled) > 1 else filled[0]


def _cap(ring: Floats, turn: int, *, northern: bool) -> BaseGeometry:
    """Return what lies between a ring around the earth and a pole."""
    import shapely

    # From the corner nearest to the pole no edge lies in the way to it.
    first = int(np.argmax(ring[:, 1]) if northern else np.argmin(ring[:, 1])) % (len(ring) - 1)
    around = np.concatenate([ring[first:-1], ring[: first + 1] + np.array([360.0 * turn, 0.0])])
    pole = 90.0 if northern else -90.0
    ends = np.array([[around[-1, 0], pole], [around[0, 0], pole]])
    return _brought_back(shapely.make_valid(shapely.Polygon(np.concatenate([around, ends]))))


def _brought_back(shape: BaseGeometry) -> BaseGeometry:
    import shapely

    west, _, east, _ = shape.bounds
    if west >= -180 and east <= 180:
        return shape
    first, last = math.floor((west + 180) / 360), math.ceil((east - 180) / 360)
    return shapely.union_all([_shifted_part(shape, turns) for turns in range(first, last + 1)])


def _shifted_part(shape: BaseGeometry, turns: int) -> BaseGeometry:
    """Return the part of a shape that lies so many turns away, brought into [-180, 180]."""
    import shapely
    from shapely.geometry import box

    part = shapely.intersection(shape, box(-180 + 360 * turns, -90, 180 + 360 * turns, 90))
    return shapely.transform(part, lambda lonlat: lonlat - [360.0 * turns, 0.0])
