"""
Distances and bearings on the WGS 84 ellipsoid, and projections that turn degrees into planar metres.

A `Projection` takes arrays of longitude and latitude to metres, with PROJ in several threads or, for
many coordinates, with a polynomial that was checked against PROJ (`mlygeo.spatial.polynomial`).
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import CrsError
from mlygeo.spatial import areas
from mlygeo.spatial import projection as projections
from mlygeo.spatial.areas import Bounds, bounds
from mlygeo.spatial.projection import MANY, Projection

if TYPE_CHECKING:
    from mlygeo.spatial.polynomial import Array

__all__ = [
    "MANY",
    "Bounds",
    "Projection",
    "bearing",
    "bounds",
    "check_srid",
    "destination",
    "distance",
    "inverse",
    "projection",
    "utm_srid",
]

LOG = logging.getLogger("mlygeo.spatial.geodesy")

TRUE_SCALE = 0.01
"""Planar distances that are off by more than this share are worth a warning; UTM stays within 0.001."""

SEAM_M = 1.0
"""Two points on both sides of the antimeridian, 2 cm apart, must come out closer than this, in metres."""


def distance(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Array:
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


def bearing(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Array:
    """
    Return the bearings from positions to other positions.

    Parameters
    ----------
    lon1, lat1
        Positions where the bearing is taken, degrees (WGS 84). All four broadcast against each other.
    lon2, lat2
        Positions it points to, degrees.

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


def inverse(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> tuple[Array, Array]:
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
    azimuth, _, length = _ellipsoid().inv(*(np.ascontiguousarray(array) for array in arrays))
    return azimuth, length


def destination(lon: Any, lat: Any, azimuth: Any, distance_m: Any) -> tuple[Array, Array]:
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
    east, north, _ = _ellipsoid().fwd(*(np.ascontiguousarray(array) for array in arrays))
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


def check_srid(srid: int, bounds: Bounds, *, force: bool = False) -> Projection:
    """
    Return the projection of an EPSG code, if it can serve a region.

    It can if its area of use, widened by 0.1°, holds the region. A region that sticks out although
    its centre lies inside passes with a warning where no better CRS is known, as for a region across
    two UTM zones. A CRS whose metres are not metres there (EPSG:3857) passes with a warning too.

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
        If the code is unknown or not projected, its area of use does not hold the region, or it cuts
        the region in two at the antimeridian. The hint names a better code.
    """
    bounds = areas.checked(bounds)
    candidate = projections.projection(int(srid), bounds)
    if not force:
        areas.check(candidate.srid, candidate.area, candidate.area_name, bounds)
    if bounds[0] > bounds[2] and _cut_at_antimeridian(candidate, bounds):
        raise CrsError(
            f"EPSG:{srid} ({candidate.name}) is cut at the antimeridian, which the region crosses",
            hint=f"use --srid {areas.suggest(bounds, srid)}",
        )
    scale = _scale(candidate, *areas.centre(bounds))
    if abs(scale - 1) > TRUE_SCALE:
        LOG.warning(
            "distances in EPSG:%d (%s) are %.2f times the true ones here; --srid %d keeps them",
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


def _scale(candidate: Projection, lon: float, lat: float) -> float:
    """Return planar over geodesic length of two short lines at a place, whichever is further from 1."""
    step = 1e-4
    lats = np.array([lat, lat, lat + (step if lat < 89 else -step)])
    lons = np.array([lon, lon + step / max(np.cos(np.radians(lat)), 1e-3), lon])
    x, y = candidate.forward(lons, lats, exact=True)
    ratio = np.hypot(x[1:] - x[0], y[1:] - y[0]) / distance(lons[0], lats[0], lons[1:], lats[1:])
    if not np.isfinite(ratio).all():
        return 1.0
    return float(ratio[np.argmax(np.abs(np.log(np.maximum(ratio, 1e-9))))])
