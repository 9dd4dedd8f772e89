"""
Hour, weekday and season of moments, as clocks show them at their places, or in a zone that somebody has named.

A zone is that of each place (tzfpy, from OpenStreetMap's borders); one of the IANA time zone database; or mean solar
time: UTC and four minutes for each degree of longitude, which differs by up to 17 minutes from what a sundial shows
(the equation of time).
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlygeo.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlygeo.arrays import Floats, Whole

Name = Literal["hour", "weekday", "season"]

NAMES = ("hour", "weekday", "season")

LOCAL = "local"
"""In place of a zone: that of each place."""

GRID_DEG = 1e-3
"""Places are looked up in steps of so many degrees, 111 m at most: the borders of zones are as coarse as that."""

SOLAR = "solar"
"""In place of a zone: the mean solar time of each place."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

SEASONS = ("winter", "spring", "summer", "autumn")
"""Meteorological seasons: winter is December to February north of the equator, and June to August south of it."""

TROPIC_DEG = 23.44
"""Latitude of the tropics, the obliquity of the ecliptic: between them, months do not part a year into four seasons."""

NEVER = np.iinfo(np.int64).min
"""An unknown time: that of `mlygeo.spatial.reach`, and NaT."""

QUARTER_MS = 900_000
"""Zones have changed their offsets at quarters of an hour since 1972, when the last of them, Liberia, came to one."""

SOLAR_MS_A_DEGREE = 240_000

DAY_MS = 86_400_000


def check(time_zone: str) -> None:
    """
    Raise unless there is a time zone of this name.

    Parameters
    ----------
    time_zone
        A name of the IANA time zone database, "local" or "solar".

    Raises
    ------
    InputError
        With the names that are nearest.
    """
    import zoneinfo

    if time_zone in {SOLAR, LOCAL}:
        return
    try:
        zoneinfo.ZoneInfo(time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = {name.lower(): name for name in {*zoneinfo.available_timezones(), SOLAR, LOCAL}}
        near = [known[name] for name in difflib.get_close_matches(time_zone.lower(), sorted(known), 3)]
        hint = f"did you mean {' or '.join(near)}?" if near else "write local, Europe/Berlin, UTC or solar"
        raise InputError(f"`time_zone` {time_zone!r} is not a known time zone", hint=hint) from error


def local_ms(time_ms: Whole, lonlat: tuple[Floats, Floats], time_zone: str) -> Whole:
    """
    Return what clocks show at some moments.

    Parameters
    ----------
    time_ms
        Milliseconds since 1970, UTC; `NEVER` where unknown.
    lonlat
        Longitudes and latitudes, degrees; looked at for "local" and "solar" only.
    time_zone
        A name of the IANA time zone database, "local" or "solar".

    Returns
    -------
    local_ms
        Milliseconds since 1970 began on these clocks; `NEVER` where the time is unknown, or the place that is
        needed is not finite, or has no zone.
    """
    import pandas as pd

    lon, lat = lonlat
    known = time_ms != NEVER
    if time_zone == LOCAL:
        found = np.full(len(time_ms), NEVER)
        rows = np.flatnonzero(known & np.isfinite(lon) & np.isfinite(lat))
        names, number = _zones(lon[rows], lat[rows])
        for nth, name in enumerate(names):
            mine = rows[number == nth]
            if name is not None:
                found[mine] = local_ms(time_ms[mine], (lon[mine], lat[mine]), name)
        return found
    if time_zone == SOLAR:
        known &= np.isfinite(lon)
        offset = np.rint(np.where(known, lon, 0.0) * SOLAR_MS_A_DEGREE).astype(np.int64)
        return np.where(known, np.where(known, time_ms, 0) + offset, NEVER)
    quarter, place = np.unique(np.where(known, time_ms, 0) // QUARTER_MS, return_inverse=True)
    moments = pd.DatetimeIndex((quarter * QUARTER_MS).astype("M8[ms]")).tz_localize("UTC").tz_convert(time_zone)
    shown = moments.tz_localize(None).to_numpy(dtype="M8[ms]").astype(np.int64)
    return np.where(known, time_ms + (shown - quarter * QUARTER_MS)[place], NEVER)


def _zones(lon: Floats, lat: Floats) -> tuple[list[str | None], Whole]:
    """Return the names of the zones of places, None for those that are not known, and which of them each place has."""
    import zoneinfo

    import tzfpy

    x = np.rint((lon + 180.0) % 360.0 / GRID_DEG).astype(np.int64)
    y = np.rint((lat + 90.0) / GRID_DEG).astype(np.int64)
    cell, cell_of = np.unique(x * 1_000_000 + y, return_inverse=True)
    east, north = cell // 1_000_000 * GRID_DEG - 180.0, cell % 1_000_000 * GRID_DEG - 90.0
    said = [tzfpy.get_tz(*place) for place in zip(east.tolist(), north.tolist(), strict=True)]
    known = zoneinfo.available_timezones()
    names = sorted({*said})
    number = np.searchsorted(np.array(names, dtype=object), np.array(said, dtype=object)) if names else cell_of
    return [name if name in known else None for name in names], np.asarray(number, dtype=np.int64)[cell_of]


def numbers(name: str, local_ms: Whole, lat: Floats) -> Whole:
    """
    Return hours, weekdays or seasons as numbers.

    Parameters
    ----------
    name
        "hour", "weekday" or "season".
    local_ms
        As `local_ms` returns it.
    lat
        Latitudes, degrees; looked at for seasons only. The equator belongs to the north.

    Returns
    -------
    numbers
        int64: hours from 0 to 23; weekdays from 0, Monday, to 6; places in `SEASONS`; -1 where unknown.
    """
    known = local_ms != NEVER
    moment = np.where(known, local_ms, 0)
    if name == "hour":
        found = moment % DAY_MS // 3_600_000
    elif name == "weekday":
        found = (moment // DAY_MS + 3) % 7  # 1970 began on a Thursday
    else:
        known &= np.isfinite(lat)
        month = moment.astype("M8[ms]").astype("M8[M]").astype(np.int64) % 12
        found = ((month + 1) // 3 + np.where(lat < 0, 2, 0)) % 4
    return np.where(known, found, -1)


def classes(names: Iterable[str], time_ms: Whole, lonlat: tuple[Floats, Floats], time_zone: str) -> dict[str, Whole]:
    """Return the numbers of some of `NAMES`, by name; see `local_ms` and `numbers`."""
    local = local_ms(time_ms, lonlat, time_zone)
    return {name: numbers(name, local, lonlat[1]) for name in names}


def labels(name: str, number: pd.Series) -> list[str | None]:
    """Return numbers as text: hours of two digits, English names of weekdays and seasons; None where unknown."""
    words = {"weekday": WEEKDAYS, "season": SEASONS}.get(name, tuple(f"{hour:02d}" for hour in range(24)))
    return [None if unknown else words[int(each)] for each, unknown in zip(number, number.isna(), strict=True)]


def column(name: str, number: pd.Series) -> pd.Series:
    """Return numbers as a column of frames: hours as Int64, weekdays and seasons by their names."""
    import pandas as pd

    if name == "hour":
        return number.astype("Int64")
    return pd.Series(labels(name, number), index=number.index, dtype="str")


def between_tropics(lat: Any) -> int:
    """Return how many latitudes lie between the tropics, where seasons of three months say little."""
    return int(np.count_nonzero(np.abs(lat) < TROPIC_DEG))
