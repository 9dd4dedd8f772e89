"""
Samples of Google's camera motion metadata (CAMM) with positions: types 5 and 6.

Format: https://developers.google.com/streetview/publish/camm-spec. Each sample has two reserved bytes, its
type, and little-endian values: type 5 latitude, longitude, altitude; type 6 the same with the time of the
GPS, fix, accuracies and velocities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mlygeo.arrays import Floats

KIND = b"camm"
"""The format and the handler of a CAMM track."""

POSITION, GPS = 5, 6

_HEAD = [("reserved", "<u2"), ("type", "<u2")]

ROWS = {
    POSITION: np.dtype([*_HEAD, ("lat", "<f8"), ("lon", "<f8"), ("altitude", "<f8")]),
    GPS: np.dtype(
        [*_HEAD, ("time", "<f8"), ("fix", "<i4"), ("lat", "<f8"), ("lon", "<f8"), ("altitude", "<f4"),
         ("horizontal", "<f4"), ("vertical", "<f4"), ("east", "<f4"), ("north", "<f4"), ("up", "<f4"),
         ("speed", "<f4")]
    ),
}  # fmt: skip
"""The values of a sample, by its type."""

NO_ALTITUDE = -1.0
"""Altitude where it is unknown, as mapillary_tools writes it; the format has no other value for it."""


def samples(lon: Floats, lat: Floats, *, altitude: Floats, epoch_s: Floats, fix: Floats) -> list[bytes]:
    """
    Return positions as samples: of type 6 if all have a time, else of type 5.

    As in mapillary_tools, the times count from 1970 and not from 1980, an unknown fix is 3 with an altitude
    and 2 without, and accuracies and velocities are 0, which means unknown.

    Parameters
    ----------
    lon, lat
        Degrees, WGS 84.
    altitude
        Metres; NaN where unknown. The gaps of a track that knows some are interpolated by the caller.
    epoch_s
        Seconds since 1970, UTC; NaN where unknown.
    fix
        2 or 3 dimensions; below 0 where unknown.
    """
    kind = GPS if len(lon) and np.isfinite(epoch_s).all() else POSITION
    known = np.isfinite(altitude)
    table = np.zeros(len(lon), dtype=ROWS[kind])
    table["type"], table["lat"], table["lon"] = kind, lat, lon
    table["altitude"] = np.where(known, altitude, NO_ALTITUDE)
    if kind == GPS:
        table["time"], table["fix"] = epoch_s, np.where(fix >= 0, fix, np.where(known, 3, 2))
    size, content = table.itemsize, table.tobytes()
    return [content[start : start + size] for start in range(0, len(content), size)]
