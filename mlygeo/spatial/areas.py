"""Boxes in degrees and areas of use: whether a CRS suits a region, and which one suits it better."""

from __future__ import annotations

import logging
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.degrees import short_way
from mlygeo.errors import CrsError
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    from mlygeo.arrays import Bounds, Flags, Floats

LOG = logging.getLogger("mlygeo.spatial.geodesy")

MARGIN_DEG = 0.1
"""EPSG draws areas of use roughly, and a projection stays accurate a little beyond its area."""

ROUNDING_DEG = 1e-9
"""More than longitudes lose when they are counted from another meridian."""

ETRS89_ZONES = range(28, 39)
"""UTM zones that EPSG has for ETRS89, Europe's own datum: EPSG:25828 to 25838."""

WITH_ARTICLE = ("Netherlands", "United ", "Bahamas", "Philippines", "Maldives", "Faroe ", "Falkland ", "Gambia")


def bounds(lon: Any, lat: Any) -> Bounds | None:
    """
    Return the box of some positions.

    Parameters
    ----------
    lon, lat
        Degrees; what is not finite is left out.

    Returns
    -------
    bounds
        West, south, east, north. West > east where the box is narrower across the antimeridian than
        round the other way. None where no position is finite.
    """
    lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    finite = np.isfinite(lon) & np.isfinite(lat)
    if not finite.any():
        return None
    if not finite.all():
        lon, lat = lon[finite], lat[finite]
    west, east = float(lon.min()), float(lon.max())
    if east - west > 180:
        turned = np.where(lon < 0, lon + 360, lon)
        if turned.max() - turned.min() < east - west:
            west, east = wrap(float(turned.min())), wrap(float(turned.max()))
    return west, float(lat.min()), east, float(lat.max())


def around(boxes: Floats) -> Bounds | None:
    """
    Return the narrowest box of some boxes.

    Parameters
    ----------
    boxes
        West, south, east, north in degrees, shape (4, boxes), west > east across the antimeridian; those that are not
        finite are left out.

    Returns
    -------
    bounds
        As of `bounds`: it also holds what lies between the sides of each box. None where there is none.
    """
    west, south, east, north = boxes[:, np.isfinite(boxes).all(axis=0)]
    if not len(west):
        return None
    low, high = float(south.min()), float(north.max())
    if (west <= east).all() and east.max() - west.min() <= 180:
        return float(west.min()), low, float(east.max()), high
    start = west % 360
    order = np.argsort(start)
    start = np.concatenate((start[order], start[order] + 360, start[order[:1]] + 720))
    wide = np.where(west <= east, east - west, east - west + 360)[order]
    stop = np.maximum.accumulate(start[:-1] + np.concatenate((wide, wide)))
    gap = start[1:] - stop
    place = len(west) + int(np.argmax(gap[len(west) :]))  # in the second turn, which knows what the first has covered
    if gap[place] <= ROUNDING_DEG:
        return -180.0, low, 180.0, high
    return wrap(float(start[place + 1] % 360) - ROUNDING_DEG), low, wrap(float(stop[place] % 360) + ROUNDING_DEG), high


def inside(lon: Floats, lat: Floats, bounds: Bounds) -> Flags:
    """Return whether positions (degrees) lie in a box (west > east across the antimeridian), its border included."""
    west, south, east, north = bounds
    beside = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    result: Flags = beside & (lat >= south) & (lat <= north)
    return result


def checked(bounds: Bounds) -> Bounds:
    """
    Return a box as four floats, longitudes within ±180°.

    Raises
    ------
    CrsError
        If a number is not finite, a latitude lies beyond a pole, or south lies north of north.
    """
    west, south, east, north = (float(value) for value in bounds)
    if not all(math.isfinite(value) for value in (west, south, east, north)):
        raise CrsError(f"a region needs four finite numbers, not {west}, {south}, {east}, {north}")
    if not -90 <= south <= north <= 90:
        raise CrsError(
            f"a region from latitude {south:g} to {north:g} does not exist",
            hint="give west, south, east, north in degrees; are longitude and latitude swapped?",
        )
    if east - west >= 360:
        return -180.0, south, 180.0, north
    return wrap(west), south, wrap(east), north


def wrap(longitude: float) -> float:
    """Return a longitude brought into [-180, 180]."""
    if -180 <= longitude <= 180:
        return longitude
    return float(short_way(longitude))


def width(bounds: Bounds) -> float:
    """Return the width of a box in degrees."""
    west, _, east, _ = bounds
    return east - west if west <= east else east - west + 360


def centre(bounds: Bounds) -> tuple[float, float]:
    """Return longitude and latitude in the middle of a box."""
    west, south, _, north = bounds
    return wrap(west + width(bounds) / 2), (south + north) / 2


def holds(area: Bounds | None, box: Bounds) -> bool:
    """Return whether an area of use, widened by a margin, contains a box; an unknown area contains every box."""
    if area is None:
        return True
    if box[1] < area[1] - MARGIN_DEG or box[3] > area[3] + MARGIN_DEG:
        return False
    room = width(area) + 2 * MARGIN_DEG
    return room >= 360 or (box[0] - area[0] + MARGIN_DEG) % 360 + width(box) <= room


def utm(bounds: Bounds) -> int:
    """Return the EPSG code of the WGS 84 UTM zone, or polar projection, at the centre of a box."""
    lon, lat = centre(bounds)
    if lat > 84:
        return 5041
    if lat < -80:
        return 5042
    return (32600 if lat >= 0 else 32700) + _zone(lon, lat)


def suggest(bounds: Bounds, instead_of: int | None = None) -> int:
    """Return the EPSG code to recommend for a box: UTM, on Europe's own datum where that holds the box."""
    lon, lat = centre(bounds)
    if -80 <= lat <= 84 and (zone := _zone(lon, lat)) in ETRS89_ZONES:
        code = 25800 + zone
        if code != instead_of and holds(_area_of(code), bounds):
            return code
    return utm(bounds)


def check(srid: int, area: Bounds | None, area_name: str, bounds: Bounds) -> None:
    """
    Raise unless the area of use of a CRS suits a region; see `mlygeo.spatial.geodesy.check_srid`.

    Raises
    ------
    CrsError
        Naming both areas, with a hint that names a better code.
    """
    if holds(area, bounds):
        return
    lon, lat = centre(bounds)
    better = suggest(bounds, srid)
    inside = holds(area, (lon, lat, lon, lat))
    if inside and not holds(_area_of(better), bounds):
        LOG.warning("the region reaches beyond the area of use of EPSG:%d (%s)", srid, _box(area))
        return
    where = f"{_longitude(lon, 2)}, {_latitude(lat, 2)}"
    if inside:
        where = f"{_box(bounds)}, and reaches beyond"
    raise CrsError(
        f"EPSG:{srid} covers {_covered(area, area_name)}; the region lies at {where}",
        hint=f"use `srid={better}`, or `force_srid=True` to go on",
    )


def _zone(lon: float, lat: float) -> int:
    zone = min(int((lon + 180) // 6) + 1, 60)
    if 56 <= lat < 64 and 3 <= lon < 6:  # south-western Norway belongs to zone 32
        return 32
    if 72 <= lat <= 84 and 0 <= lon < 42:  # Svalbard has four wide zones
        return 31 + 2 * int((lon + 3) // 12)
    return zone


def _area_of(srid: int) -> Bounds | None:
    from pyproj import CRS

    area = CRS.from_epsg(srid).area_of_use
    return None if area is None else area.bounds


def _covered(area: Bounds | None, name: str) -> str:
    """Return an area of use as people say it: its first words and its box."""
    place = re.split(r" - |[;:.]", name)[0]
    place = re.sub(r"\s*\(.*?\)", "", place).strip()
    if not place or place.startswith(("Between", "World", "Northern hemi", "Southern hemi")):
        return _box(area)
    article = "the " if place.startswith(WITH_ARTICLE) else ""
    return f"{article}{place} ({_box(area)})"


def _box(area: Bounds | None) -> str:
    if area is None:
        return "an unknown area"
    west, south, east, north = area
    return f"{boxes.span(west, east, 'EW', written=_tenth)}, {boxes.span(south, north, 'NS', written=_tenth)}"


def _tenth(value: float) -> str:
    # Half up, as people round: 50.75 is 50.8.
    return f"{math.floor(value * 10 + 0.5 + 1e-9) / 10:.1f}"


def _longitude(value: float, digits: int) -> str:
    return f"{abs(value):.{digits}f}°{'E' if value >= 0 else 'W'}"


def _latitude(value: float, digits: int) -> str:
    return f"{abs(value):.{digits}f}°{'N' if value >= 0 else 'S'}"
