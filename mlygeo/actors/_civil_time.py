"""What clocks show at a place: the time zone is the real one, by its borders and its rules at that time."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from datetime import tzinfo

log = logging.getLogger("mlygeo.photos.exif_writer")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(time_ms: int) -> datetime | None:
    """Return a time given in milliseconds since 1970; None where it lies beyond the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return None


def local(time: datetime, position: tuple[float, float] | None) -> datetime:
    """
    Return a time as the clocks at a place show it.

    Parameters
    ----------
    time
        The time, with a time zone.
    position
        Longitude and latitude, degrees; None when unknown.

    Returns
    -------
    time
        The same moment, with the offset that held there and then; UTC where the place is
        unknown, or where the offset was no whole number of minutes, which EXIF cannot say.
    """
    if position is None:
        return time
    # A Rust extension of 5 MB that takes 35 MB once asked, and a microsecond an answer. Borders
    # are simplified, to within 111 m; the exact ones cost 140 MB and half a second a process.
    import tzfpy

    try:
        there = time.astimezone(_zone(tzfpy.get_tz(*position)))
    except OverflowError:
        return time
    offset = there.utcoffset() or timedelta()
    return time if offset % timedelta(minutes=1) else there


def offset_text(time: datetime) -> str:
    """Return the offset of a time from UTC, as EXIF writes it: +05:30."""
    minutes = (time.utcoffset() or timedelta()) // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@cache
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except ZoneInfoNotFoundError:
        log.warning("the time zone %s is not known here; times there are written in UTC", name)
        return UTC
