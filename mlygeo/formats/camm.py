"""
Samples of Google's camera motion metadata (CAMM) with positions: types 5 and 6.

Format: https://developers.google.com/streetview/publish/camm-spec. Each sample has two reserved bytes, its
type, and little-endian values: type 5 latitude, longitude, altitude; type 6 the same with the time of the
GPS, fix, accuracies and velocities.
"""

from __future__ import annotations

import numpy as np

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
