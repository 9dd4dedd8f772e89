"""Google's camera motion metadata (CAMM) -> positions; see `mlygeo.formats.camm` for its samples."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mlygeo.formats import mp4
from mlygeo.formats.camm import GPS, KIND, NO_ALTITUDE, POSITION, ROWS
from mlygeo.readers.cameras.positions import Points, Recorded

if TYPE_CHECKING:
    from datetime import datetime

    from mlygeo.arrays import Floats


_GPS_EPOCH_S = 315_964_800
_LEAP_SECONDS = 18
"""Seconds that GPS time is ahead of UTC since 2017, the year the format was published."""

_UNIX_SINCE_S = 1_480_000_000
"""November 2016 counted from 1970, November 2026 counted from 1980: the limit where the epoch is unknown."""


def recorded(file: BinaryIO, _: int, movie: mp4.Movie | None, _first_only: bool) -> Recorded | None:
    """Return the positions of the first camera motion track that has any; see `mlygeo.readers.cameras.Reader`."""
    for track in () if movie is None else movie.tracks:
        if movie is not None and KIND in track.formats:
            created = movie.start(time.time_ns() // 1000)[0]
            found = read(file, track, created)
            if len(found):
                return Recorded(found, movie.texts.get("make"), movie.texts.get("model"), track)
    return None


def read(file: BinaryIO, track: mp4.Track, created: datetime | None) -> Points:
    """
    Read the positions of a CAMM track, by the seconds of its media.

    Where a track has both types, type 6 is read, since it has the time.

    Parameters
    ----------
    file
        Open for reading.
    track
        The track, of format `camm`.
    created
        Creation time of the video; it decides whether the times count from 1970 or 1980.
    """
    found: dict[int, list[bytes]] = {POSITION: [], GPS: []}
    rows: dict[int, list[int]] = {POSITION: [], GPS: []}
    size = track.samples.size
    # The other types, which come hundreds of times a second, are shorter and need not be read.
    wanted = np.flatnonzero((size >= ROWS[POSITION].itemsize) & (size <= 4096))
    for row, content in mp4.read_samples(file, track, wanted, largest=4096):
        kind = int.from_bytes(content[2:4], "little")
        if kind in ROWS and len(content) >= ROWS[kind].itemsize:
            found[kind].append(content[: ROWS[kind].itemsize])
            rows[kind].append(row)
    kind = GPS if found[GPS] else POSITION
    table = np.frombuffer(b"".join(found[kind]), dtype=ROWS[kind])
    video_s = track.samples.shown[rows[kind]] / track.timescale
    lon, lat = table["lon"].astype(np.float64), table["lat"].astype(np.float64)
    with np.errstate(invalid="ignore"):  # damaged bytes may be any kind of NaN
        altitude = table["altitude"].astype(np.float64)
    if (altitude == NO_ALTITUDE).all():
        altitude[:] = np.nan
    if kind == POSITION:
        return Points.of(video_s, lon, lat, altitude=altitude)
    with np.errstate(invalid="ignore", over="ignore"):
        speed = np.hypot(table["east"], table["north"]).astype(np.float64)
    # Writers that know no speed leave it, and what it is good to, at zero.
    speed = np.where((table["speed"] == 0) & (speed == 0), np.nan, speed)
    fix = table["fix"].astype(np.float64)
    epoch_s = _unix(table["time"], video_s, created)
    return Points.of(video_s, lon, lat, altitude=altitude, speed=speed, fix=fix, epoch_s=epoch_s)


def _unix(written: Floats, video_s: Floats, created: datetime | None) -> Floats:
    """
    Return seconds since 1970 from a time that should count from 1980, but in many files counts from 1970.

    The one closer to the creation time is right; without a creation time, the one in the years in which
    such files exist.
    """
    sane = np.isfinite(written) & (written > 0) & (written < 2**33)
    unix = np.where(sane, written.astype(np.float64), np.nan)
    if not sane.any():
        return unix
    as_gps = unix + (_GPS_EPOCH_S - _LEAP_SECONDS)
    if created is None:
        return unix if np.nanmedian(unix) >= _UNIX_SINCE_S else as_gps
    start = created.timestamp()
    off = [abs(float(np.nanmedian(candidate - video_s)) - start) for candidate in (unix, as_gps)]
    return unix if off[0] <= off[1] else as_gps
