"""
Distances and bearings on the WGS 84 ellipsoid, and projections that turn degrees into planar metres.

Most steps between images are some metres long. There the mid-latitude formula of Gauss (first order:
radii of curvature and convergence of meridians at the middle of the line) agrees with PROJ within
`TOLERANCE_M` and `TOLERANCE_DEGREES`, in a tenth of the time. To compare distances with a limit, use
`farther`: where the formula's error could matter PROJ decides, so the answer is always PROJ's.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import in_threads, through_pyproj
from mlygeo.errors import CrsError, InputError
from mlygeo.spatial import areas
from mlygeo.spatial import projection as projections

if TYPE_CHECKING:
    from mlygeo.arrays import Bounds, Flags, Floats
    from mlygeo.spatial.projection import Projection

LOG = logging.getLogger("mlygeo.spatial.geodesy")

TRUE_SCALE = 0.01
"""Planar distances that are off by more than this share are worth a warning; UTM stays within 0.001."""

SEAM_M = 1.0
"""Two points on both sides of the antimeridian, 2 cm apart, must come out closer than this, in metres."""

SEMI_MAJOR_M, FLATTENING = 6_378_137.0, 1 / 298.257223563

ECCENTRICITY_SQUARE = FLATTENING * (2 - FLATTENING)

SHORT_DEGREES = 0.01
"""Lines within this many degrees of latitude, and of longitude at the equator's scale, are short: 1.1 km."""

STEEP_DEGREES = 80.0
"""Beyond this latitude meridians converge too fast for the formula."""

TOLERANCE_M = 1e-4

TOLERANCE_DEGREES = 1e-5
"""Generous bounds on the error of the formula: at 1 km and 80° it is 3e-5 m and 2e-6°."""

CHUNK = 1 << 15
"""Pairs worked on at once: the arrays of this length stay in the caches."""


def distance(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Floats:
    """
    Return the geodesic distances between pairs of positions.

    Parameters
    ----------
    lon1, lat1
        First positions, degrees (WGS 84). All four broadcast against each other.
    lon2, lat2
        Second positions, degrees.

    Returns
    -------
    distance_m
        Metres along the WGS 84 ellipsoid (Karney 2013, as PROJ has it); NaN where a coordinate is
        not finite.

    Examples
    --------
    >>> distance(9.0, 48.0, 9.0, 49.0).round(1)
    array([111200.])
    """
    return inverse(lon1, lat1, lon2, lat2)[1]


def bearing(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Floats:
    """
    Return the bearings from positions to other positions.

    Parameters
    ----------
    lon1, lat1
        Positions where the bearing is taken, degrees (WGS 84). All four broadcast against each other.
    lon2, lat2
        Positions that the bearing points to, degrees.

    Returns
    -------
    bearing
        Initial azimuth of the geodesic, degrees clockwise from true north in [0, 360); NaN where the
        two positions coincide (no direction is better than another) or a coordinate is not finite.

    Examples
    --------
    >>> bearing(9.0, 48.0, [9.0, 8.0], [49.0, 48.0]).round(2)
    array([  0.  , 270.37])
    """
    azimuth, length = inverse(lon1, lat1, lon2, lat2)
    azimuth = np.where(length > 0, np.mod(azimuth, 360.0), np.nan)
    # np.mod of a tiny negative number rounds up to 360 itself.
    return np.where(azimuth == 360.0, 0.0, azimuth)


def inverse(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> tuple[Floats, Floats]:
    """
    Return direction and length of the geodesics between pairs of positions.

    Parameters
    ----------
    lon1, lat1
        First positions, degrees (WGS 84). All four broadcast against each other.
    lon2, lat2
        Second positions, degrees.

    Returns
    -------
    azimuth, distance_m
        Azimuth at the first position as PROJ has it, degrees in [-180, 180], of no meaning where the two
        coincide; metres. NaN where a coordinate is not finite. At least one-dimensional.
    """
    arrays = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in (lon1, lat1, lon2, lat2))
    )
    azimuth, _, length = through_pyproj(_ellipsoid().inv, *(np.ascontiguousarray(array) for array in arrays))
    return azimuth, length


def destination(lon: Any, lat: Any, azimuth: Any, distance_m: Any) -> tuple[Floats, Floats]:
    """
    Return the positions that lie in a direction, at a distance.

    Parameters
    ----------
    lon, lat
        Positions to start from, degrees (WGS 84). All four broadcast against each other.
    azimuth
        Direction there, degrees clockwise from true north.
    distance_m
        Metres along the geodesic; negative ones lead the other way.

    Returns
    -------
    lon, lat
        Degrees, longitudes in [-180, 180]. NaN where an argument is not finite.
    """
    arrays = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(value, dtype=np.float64)) for value in (lon, lat, azimuth, distance_m))
    )
    east, north, _ = through_pyproj(_ellipsoid().fwd, *(np.ascontiguousarray(array) for array in arrays))
    return east, north


def projection(srid: int) -> Projection:
    """
    Return the projection of an EPSG code.

    Parameters
    ----------
    srid
        EPSG code of a projected CRS.

    Returns
    -------
    projection
        Ready to use; no coordinate is looked at, see `check_srid`.

    Raises
    ------
    CrsError
        If EPSG has no such code, or it is not a plain projected CRS: geographic (degrees are no
        distances), geocentric, vertical, or compound.

    Examples
    --------
    >>> projection(25832).name
    'ETRS89 / UTM zone 32N'
    """
    return projections.projection(int(srid), None)


def check_forced(srid: int | None, *, force: bool) -> None:
    """
    Raise if an area of use is to be passed over, and no CRS is named whose area that could be.

    Raises
    ------
    InputError
        If there is no `srid`.
    """
    if force and srid is None:
        raise InputError("`force_srid` has no effect without `srid`", hint="leave `force_srid` out")


def check_srid(srid: int, bounds: Bounds, *, force: bool = False) -> Projection:
    """
    Return the projection of an EPSG code, if it can serve a region.

    A CRS serves a region if its area of use, widened by 0.1°, contains the region. A region that
    exceeds the area although its centre lies inside passes with a warning where no better CRS is known,
    such as a region across two UTM zones, as long as no distance in it is wrong by more than 1 %. A CRS whose
    distances are wrong there although it is meant for it (EPSG:3857) passes with a warning.

    Parameters
    ----------
    srid
        EPSG code of a projected CRS.
    bounds
        The region: west, south, east, north in degrees; west > east across the antimeridian.
    force
        Do not look at the area of use. A geographic or unknown code stays an error.

    Returns
    -------
    projection
        To be used for the region.

    Raises
    ------
    CrsError
        If the code is unknown or not projected, its area of use does not hold the region, it cuts
        the region in two at the antimeridian, or the region is too large for it, such as two continents. The hint
        names a better code, where there is one.
    """
    bounds = areas.checked(bounds)
    candidate = projections.projection(int(srid), bounds)
    if not force:
        areas.check(candidate.srid, candidate.area, candidate.area_name, bounds)
        if not areas.holds(candidate.area, bounds):
            _check_size(candidate, bounds)
    if bounds[0] > bounds[2] and _cut_at_antimeridian(candidate, bounds):
        raise CrsError(
            f"EPSG:{srid} ({candidate.name}) is cut at the antimeridian, which the region crosses",
            hint=f"use `srid={areas.suggest(bounds, srid)}`",
        )
    scale = _scale(candidate, *areas.centre(bounds))
    if abs(scale - 1) > TRUE_SCALE:
        LOG.warning(
            "distances in EPSG:%d (%s) are %.2f times the true ones here; `srid=%d` keeps them",
            *(candidate.srid, candidate.name, scale, areas.suggest(bounds, srid)),
        )
    return candidate


def utm_srid(west: float, south: float, east: float, north: float) -> int:
    """
    Return the EPSG code of the UTM zone (WGS 84) at the centre of a box.

    Norway's and Svalbard's wider zones are those of the standard; beyond 84° N and 80° S it is the
    polar stereographic projection that goes with UTM (EPSG:5041, 5042).

    Parameters
    ----------
    west, south, east, north
        The box in degrees; west > east across the antimeridian.

    Returns
    -------
    srid
        EPSG code: 32601 to 32660 north, 32701 to 32760 south of the equator, or 5041, 5042.

    Raises
    ------
    CrsError
        If the box is not one: not finite, or south of the south pole.

    Examples
    --------
    >>> utm_srid(9.16, 48.76, 9.18, 48.78)
    32632
    """
    return areas.utm(areas.checked((west, south, east, north)))


@lru_cache(maxsize=1)
def _ellipsoid() -> Any:
    from pyproj import Geod

    return Geod(ellps="WGS84")


def _cut_at_antimeridian(candidate: Projection, bounds: Bounds) -> bool:
    latitude = areas.centre(bounds)[1]
    x, y = candidate.forward([180 - 1e-7, -180 + 1e-7], [latitude, latitude], exact=True)
    return not np.hypot(x[1] - x[0], y[1] - y[0]) < SEAM_M


def _check_size(candidate: Projection, bounds: Bounds) -> None:
    """Raise if distances at the edges of a region, beyond the area of use of a CRS, are wrong by more than 1 %."""
    west, south, east, north = bounds
    east = east if west <= east else east + 360
    lons = [areas.wrap(west + part * (east - west)) for part in (0.0, 0.25, 0.75, 1.0)]
    lats = [south, (south + north) / 2, north]
    scales = [_scale(candidate, lon, lat, unknown=np.inf) for lon in lons for lat in lats]
    worst = max(scales, key=lambda scale: abs(np.log(max(scale, 1e-9))))
    if abs(worst - 1) > TRUE_SCALE:
        much = f"up to {worst:.2f} times the true ones" if np.isfinite(worst) else "unknown in parts of it"
        raise CrsError(
            f"the region is too large for one plane: distances in EPSG:{candidate.srid} ({candidate.name}) are {much}",
            hint="work on parts of the region one by one, or go on with a CRS that you name:"
            f" `srid={candidate.srid}` and `force_srid=True`",
        )


def _scale(candidate: Projection, lon: float, lat: float, *, unknown: float = 1.0) -> float:
    """Return the ratio of planar to geodesic length of two short lines at a place, whichever is further from 1."""
    step = 1e-4
    lats = np.array([lat, lat, lat + (step if lat < 89 else -step)])
    lons = np.array([lon, lon + step / max(np.cos(np.radians(lat)), 1e-3), lon])
    x, y = candidate.forward(lons, lats, exact=True)
    ratio = np.hypot(x[1:] - x[0], y[1:] - y[0]) / distance(lons[0], lats[0], lons[1:], lats[1:])
    if not np.isfinite(ratio).all():
        return unknown
    return float(ratio[np.argmax(np.abs(np.log(np.maximum(ratio, 1e-9))))])


# Geodesics between many pairs of positions: short ones by the formula, the others by PROJ.


def lengths(lon1: Floats, lat1: Floats, lon2: Floats, lat2: Floats) -> Floats:
    """Return the lengths of lines between pairs of positions, metres; NaN where a coordinate is."""
    found = np.empty(len(lon1))

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        east, north, _, long = _offsets(lon1[part], lat1[part], lon2[part], lat2[part])
        np.multiply(east, east, out=east)
        east += north * north
        np.sqrt(east, out=east)
        if long.any():
            east[long] = distance(lon1[part][long], lat1[part][long], lon2[part][long], lat2[part][long])
        found[part] = east

    in_threads(work, len(lon1), CHUNK, "positions")
    return found


def bearings(lon1: Floats, lat1: Floats, lon2: Floats, lat2: Floats) -> Floats:
    """Return the bearings of lines where they start, degrees in [0, 360); NaN where positions coincide."""
    found = np.empty(len(lon1))

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        east, north, turn, long = _offsets(lon1[part], lat1[part], lon2[part], lat2[part])
        azimuth = np.degrees(np.arctan2(east, north) - 0.5 * turn)
        azimuth[(east == 0) & (north == 0)] = np.nan
        azimuth += 360.0 * (azimuth < 0)
        # What was a tiny negative number has become 360 itself; half a turn of meridians may pass it too.
        azimuth -= 360.0 * (azimuth >= 360)
        if long.any():
            azimuth[long] = bearing(lon1[part][long], lat1[part][long], lon2[part][long], lat2[part][long])
        found[part] = azimuth

    in_threads(work, len(lon1), CHUNK, "positions")
    return found


def farther(lon1: Floats, lat1: Floats, lon2: Floats, lat2: Floats, limit_m: float) -> Flags:
    """
    Return which pairs lie farther apart than a limit; the answer is PROJ's.

    An invalid position (NaN, or a latitude beyond 90) is far from everything.
    """
    found = np.empty(len(lon1), dtype=bool)

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        east, north, _, unsure = _offsets(lon1[part], lat1[part], lon2[part], lat2[part])
        np.multiply(east, east, out=east)
        east += north * north
        answer = ~(east <= limit_m * limit_m)
        # One band around the limit, in squares; NaN compares as False.
        least, most = max(limit_m - TOLERANCE_M, 0.0), max(limit_m + TOLERANCE_M, 0.0)
        near = east > least * least  # which is infinite where a power would overflow
        near &= east <= most * most
        unsure |= near
        if unsure.any():
            exact = distance(lon1[part][unsure], lat1[part][unsure], lon2[part][unsure], lat2[part][unsure])
            answer[unsure] = ~(exact <= limit_m)
        found[part] = answer

    in_threads(work, len(lon1), CHUNK, "positions")
    return found


def along(lon1: Floats, lat1: Floats, lon2: Floats, lat2: Floats, share: Floats) -> tuple[Floats, Floats]:
    """
    Return positions on the geodesics through pairs of positions, by PROJ.

    Parameters
    ----------
    lon1, lat1, lon2, lat2
        Degrees.
    share
        0 at the first position, 1 at the second; less or more lies on the line's extension.

    Returns
    -------
    lon, lat
        Degrees, longitudes in [-180, 180]. At shares 0 and 1 the positions themselves, to the last bit.
    """
    azimuth, length = inverse(lon1, lat1, lon2, lat2)
    lon, lat = destination(lon1, lat1, azimuth, length * share)
    # A resting receiver repeats its position; a direct problem of length 0 would rewrite its last digits.
    for at, (exact_lon, exact_lat) in ((0.0, (lon1, lat1)), (1.0, (lon2, lat2))):
        same = (share == at) | (length == 0)
        lon[same], lat[same] = exact_lon[same], exact_lat[same]
    return lon, lat


def _offsets(lon1: Floats, lat1: Floats, lon2: Floats, lat2: Floats) -> tuple[Floats, Floats, Floats, Flags]:
    """
    Return metres east and north, turn of the meridians (radians), and which lines are not short.

    Where a line is not short, the other values have no meaning.
    """
    delta = lon2 - lon1
    far = np.abs(delta) > 180
    if far.any():
        delta[far] -= np.copysign(360.0, delta[far])
    rise = lat2 - lat1
    middle = lat1 + lat2
    middle *= 0.5
    sine = np.sin(np.radians(middle))
    square = sine * sine
    cosine = np.sqrt(1.0 - square)
    root = 1.0 - ECCENTRICITY_SQUARE * square
    long = np.abs(middle) > STEEP_DEGREES
    long |= np.abs(rise) > SHORT_DEGREES
    # Radius of curvature across the meridian, and along it.
    normal = SEMI_MAJOR_M / np.sqrt(root)
    delta = np.radians(delta)
    cosine *= delta
    long |= np.abs(cosine) > np.radians(SHORT_DEGREES)
    cosine *= normal
    normal /= root
    normal *= 1 - ECCENTRICITY_SQUARE
    normal *= np.radians(rise)
    delta *= sine
    return cosine, normal, delta, long
