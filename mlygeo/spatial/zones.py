"""
The UTM zone of each position: what to measure in where positions span several zones.

A distance from a point is planar in the zone of the point, so that it depends on the two positions alone, and a
part of some points gives the same bits as all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.spatial import areas, projection

if TYPE_CHECKING:
    from mlygeo.arrays import Bounds, Floats, Rows
    from mlygeo.spatial.projection import Projection

LEAST_SCALE = 0.99
"""Least planar length of a metre in any UTM zone and the polar projections (0.9996, 0.994), and a little less."""

METRES_A_DEGREE = 110_500.0
"""Least length of a degree of latitude, and of longitude on the equator (110,574; 111,320), and a little less."""


def of(lon: Floats, lat: Floats) -> Rows:
    """
    Return the EPSG code of the UTM zone (WGS 84) of each position.

    Parameters
    ----------
    lon, lat
        Degrees; longitudes within ±180.

    Returns
    -------
    codes
        int64: 32601 to 32660 north, 32701 to 32760 south of the equator, with the wider zones of Norway and
        Svalbard; 5041 beyond 84° N, 5042 beyond 80° S; 0 where a position is not finite.
    """
    lon, lat = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = np.where(known, lon, 0.0), np.where(known, lat, 0.0)
    zone = np.minimum(np.floor_divide(lon + 180, 6) + 1, 60)
    zone = np.where((lat >= 56) & (lat < 64) & (lon >= 3) & (lon < 6), 32, zone)
    wide = (lat >= 72) & (lat <= 84) & (lon >= 0) & (lon < 42)
    zone = np.where(wide, 31 + 2 * np.floor_divide(lon + 3, 12), zone)
    code = np.where(lat >= 0, 32600, 32700) + zone
    code = np.where(lat > 84, 5041, np.where(lat < -80, 5042, code))
    return np.where(known, code, 0).astype(np.int64)


@dataclass(frozen=True)
class Zones:
    """In place of one `Projection`: each point's own UTM zone."""

    srid: str = "utm"
    """In place of an EPSG code."""
    name: str = "UTM zone of each point"
    unit_m: float = 1.0

    def is_of(self, crs: Any) -> bool:  # noqa: ARG002 - as Projection has it
        """Return False: coordinates in one zone are none of the zone of each point."""
        return False

    def planes(self, lon: Floats, lat: Floats) -> list[tuple[Projection, Rows]]:
        """Return the projection of each zone that positions lie in, in the order of codes, and their rows."""
        codes = of(lon, lat)
        present = np.unique(codes)
        return [(projection.projection(int(code), None), np.flatnonzero(codes == code)) for code in present if code]

    def reach(self, bounds: Bounds, distance_m: float) -> Bounds | None:
        """Return a box that holds everything within a distance of a box, in any zone; see `Projection.reach`."""
        if not np.isfinite([*bounds, distance_m]).all():
            return None
        west, south, east, north = bounds
        east = east if west <= east else east + 360
        tall = (distance_m + 1) / LEAST_SCALE / METRES_A_DEGREE
        most = max(-(south - tall), north + tall)
        if most > projection.MOST_LATITUDE:
            return None
        wide = tall / np.cos(np.radians(most))
        if east - west + 2 * wide >= 360:
            return None
        return areas.wrap(west - wide), south - tall, areas.wrap(east + wide), north + tall

    def margin(self, lon: Floats, lat: Floats, bounds: Bounds) -> Floats:
        """Return how far positions lie inside a box, in any zone; see `Projection.margin`."""
        none = np.full(len(lon), -np.inf)
        west, south, east, north = bounds
        east = east if west <= east else east + 360
        most = max(-south, north)
        if not np.isfinite(bounds).all() or east - west >= 360 or most > projection.MOST_LATITUDE:
            return none
        lon = west + (lon - west) % 360
        beside = np.minimum(lon - west, east - lon) * np.cos(np.radians(most))
        margin = np.minimum(beside, np.minimum(lat - south, north - lat)) * METRES_A_DEGREE * LEAST_SCALE - 1
        return np.where(margin > 0, margin, none)
