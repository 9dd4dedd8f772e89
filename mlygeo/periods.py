"""
Times and periods in ISO 8601, as options take them: a year, month, week or day is all of it.

Nothing else is read: what a text might mean in another notation, nobody can tell.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import Any, NamedTuple

from mlygeo.errors import InputError

FORM = "write it in ISO 8601: 2024, 2024-06, 2024-W26, 2024-06-30 or 2024-06-30T12:00:00Z"

LAST = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
"""The latest time; the end of the year 9999 cannot be written."""

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
"""From which times are counted."""

FARTHEST_ZONE_H = 14
"""Hours of the zones farthest from UTC (Kiribati; the other way it is 12)."""

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?|-W(?P<week>\d\d)(?:-(?P<weekday>\d))?|-(?P<ordinal>\d{3}))?",
    re.ASCII,
)
_BASIC_DATE = re.compile(
    r"(?P<year>\d{4})(?:(?P<month>\d\d)(?P<day>\d\d)|W(?P<week>\d\d)(?P<weekday>\d)?|(?P<ordinal>\d{3}))", re.ASCII
)
_CLOCK = re.compile(
    r"(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r"(?P<zone>Z|[+\u2212-]\d\d(?::\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_BASIC_CLOCK = re.compile(
    r"(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r"(?P<zone>Z|[+\u2212-]\d\d(?:\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_SEVERAL = re.compile(r"\d{4}[-\dTWZ:]*(/|--)(\d{4}|P|\.)|R\d*/|P(\d|T\d)", re.ASCII | re.IGNORECASE)
"""How intervals, repetitions and durations begin."""


class Period(NamedTuple):
    """
    A part of time, from its start to just before its end, UTC; a moment has both at the same time.

    Parameters
    ----------
    start
        The first moment in it.
    end
        The first moment after it.
    """

    start: dt.datetime
    end: dt.datetime


def period(value: object, option: str) -> Period:
    """
    Return the period that a value names.

    Parameters
    ----------
    value
        Text in ISO 8601, extended or basic: a year (2024), month (2024-06), week (2024-W26), day (2024-06-30,
        2024-W26-7, 2024-182), or a moment (2024-06-30T12:00:00Z, with a space for the T as in RFC 3339); or a
        date, a datetime, a NumPy datetime64 or a period of pandas. Without a zone it is UTC. A time of day is a
        moment, whatever its precision; moments are read to the microsecond.
    option
        The parameter, for the error.

    Raises
    ------
    InputError
        If it is none of these, or no such day or time exists.
    """
    try:
        found = _of_text(value) if isinstance(value, str) else _of_object(value)
    except (ValueError, OverflowError) as error:
        raise InputError(f"`{option}` {_shown(value)} does not exist: {error}", hint=FORM) from error
    if found is not None:
        return found
    if isinstance(value, str) and not value.strip():
        raise InputError(f"`{option}` is empty", hint=f"leave it out, or {FORM}")
    if isinstance(value, str) and _SEVERAL.match(value.strip()):
        raise InputError(f"`{option}` {_shown(value)} is an interval or a duration, not one date or time", hint=FORM)
    raise InputError(f"`{option}` {_shown(value)} is not a date or time", hint=FORM)


def day(value: object, option: str) -> dt.date:
    """Return the day that a value names, or begins; an `InputError` where it is longer or another moment of a day."""
    found = period(value, option)
    begins = found.start == found.end and found.start.time() == dt.time()
    if not begins and found.end - found.start != dt.timedelta(days=1):
        raise InputError(f"`{option}` {_shown(value)} is not a day", hint="write it as 2024-06-30")
    return found.start.date()


def moment(value: object, option: str) -> dt.datetime:
    """Return the one moment that a value names, UTC; an `InputError` where it is a period."""
    found = period(value, option)
    if found.end != found.start:
        raise InputError(f"`{option}` {_shown(value)} has no time of day", hint="write it as 2024-06-30T12:00:00Z")
    return found.start


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value) if isinstance(value, dt.date) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}…"


def _of_text(value: str) -> Period | None:
    text = value.strip()
    date, _, clock = re.sub("[Tt ]", "T", text, count=1).partition("T")
    for form, form_of_clock in ((_DATE, _CLOCK), (_BASIC_DATE, _BASIC_CLOCK)):
        found = form.fullmatch(date.upper())
        if found is None:
            continue
        whole = _days(found)
        if date == text:
            return whole
        time = form_of_clock.fullmatch(clock)
        if time is None or whole.end - whole.start != dt.timedelta(days=1):
            return None
        return _at(whole.start, time)
    return None


def _days(found: re.Match[str]) -> Period:
    year = int(found["year"])
    if not 1 <= year <= 9999:
        raise ValueError(f"the year {found['year']}")
    if found["week"] is not None:
        start = dt.date.fromisocalendar(year, int(found["week"]), int(found["weekday"] or 1))
        return _whole(start, 1 if found["weekday"] is not None else 7)
    if found["ordinal"] is not None:
        number = int(found["ordinal"])
        if not 1 <= number <= 365 + calendar.isleap(year):
            raise ValueError(f"{year} has no day {number}")
        return _whole(dt.date.fromordinal(dt.date(year, 1, 1).toordinal() + number - 1), 1)
    if found["month"] is None:
        return _whole(dt.date(year, 1, 1), 365 + calendar.isleap(year))
    month = int(found["month"])
    if not 1 <= month <= 12:
        raise ValueError(f"a year has no month {month}")
    length = calendar.monthrange(year, month)[1]
    if found["day"] is None:
        return _whole(dt.date(year, month, 1), length)
    if not 1 <= int(found["day"]) <= length:
        raise ValueError(f"{year}-{month:02} has no day {int(found['day'])}")
    return _whole(dt.date(year, month, int(found["day"])), 1)


def _whole(first: dt.date, days: int) -> Period:
    start = dt.datetime(first.year, first.month, first.day, tzinfo=dt.UTC)
    try:
        return Period(start, start + dt.timedelta(days=days))
    except OverflowError:
        return Period(start, LAST)


def _at(start: dt.datetime, found: re.Match[str]) -> Period:
    """Return the moment of a time on a day; 24:00 and a leap second are the beginning of what comes next."""
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    us = int(f"{found['fraction'] or '0':0<6.6}")
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second or us)):
        raise ValueError(f"a day has no time {hour:02}:{minute:02}:{second:02}")
    if second == 60 and us:
        us = 0
    there = start + dt.timedelta(hours=hour, minutes=minute, seconds=second, microseconds=us)
    moment = there - _offset(found["zone"])
    return Period(moment, moment)


def _offset(zone: str | None) -> dt.timedelta:
    if zone is None or zone in {"Z", "z"}:
        return dt.timedelta(0)
    digits = zone[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    east = dt.timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or east > dt.timedelta(hours=FARTHEST_ZONE_H):
        raise ValueError(f"no place has the zone {zone}")
    return east if zone[0] == "+" else -east


def _of_object(value: Any) -> Period | None:
    """Return the period of a date, a datetime, a datetime64 or a period of pandas; None for anything else."""
    kind = type(value).__name__
    if isinstance(value, dt.datetime):
        if str(value) == "NaT":  # pandas' NaT is a datetime
            return None
        moment = dt.datetime(
            value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond,
            tzinfo=dt.UTC,
        ) - (value.utcoffset() or dt.timedelta(0))  # fmt: skip
        return Period(moment, moment)
    if isinstance(value, dt.date):
        return _whole(value, 1)
    if kind == "datetime64" and str(value) != "NaT":
        return _of_numpy(value)
    if kind == "Period" and hasattr(value, "start_time"):
        start, end = (_of_object(each.start_time.to_pydatetime(warn=False)) for each in (value, value + 1))
        return None if start is None or end is None else Period(start.start, end.start)
    return None


def _of_numpy(value: Any) -> Period:
    unit = str(value.dtype).partition("[")[2].rstrip("]")
    after = (value.astype("int64") + 1).astype(value.dtype)
    start, end = (_of_us(int(each.astype("datetime64[us]").astype("int64"))) for each in (value, after))
    return Period(start, end if unit in {"Y", "M", "W", "D"} else start)


def _of_us(us: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)
