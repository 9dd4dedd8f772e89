"""
The one reader of times: from the text of a tag, a cell or an element to a moment, in full or not at all.

A text is understood to its last letter, or it is not a time: what stands behind a time (a zone, AM or PM) changes it
by hours, and must not be dropped. Where several sources tell when a photo was taken, `decide` chooses by rules that
stand there with their reasons, and says where they contradict each other. Times are microseconds since 1970 UTC
(int). Only the standard library is imported here, since worker processes start with it.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SECOND_US = 1_000_000

HOUR_US = 3600 * SECOND_US

DAY_US = 86_400 * SECOND_US

ROLLOVER_US = 1024 * 7 * DAY_US
"""GPS sends its week number in ten bits: old receivers go back by 1024 weeks (IS-GPS-200, 20.3.3.3.1.1)."""

EARLIEST_US = 9131 * DAY_US
"""1995-01-01. Before it no camera wrote EXIF (version 1.0 is of October 1995); dates before are unset clocks."""

BUDDHIST_YEARS = 543
"""Years that the calendar in use in Thailand is ahead; its months and days are the same."""

MINGUO_YEARS = 1911
"""Years that the calendar in use in Taiwan is behind; its months and days are the same."""

WESTERNMOST_S, EASTERNMOST_S = -12 * 3600, 14 * 3600
"""The offsets from UTC that exist on land (IANA time zone database)."""

AGREES_US = 60 * SECOND_US
"""How far two times of one photo may be apart: clocks drift by seconds a week, receivers tell their last fix."""

LATER_US = 366 * DAY_US
"""From here on the later of two times is likelier: clocks and receivers that lose their time fall back, never ahead."""

QUARTER_US = 15 * 60 * SECOND_US
"""All offsets from UTC in use are multiples of a quarter of an hour."""

OFFSETS_H = (
    *range(-12, 15), -9.5, -4.5, -3.5, -2.5, 3.5, 4.5, 5.5, 5.75, 6.5, 8.5, 8.75, 9.5, 10.5, 11.5, 12.75, 13.75,
)  # fmt: skip
"""Offsets from UTC that were in use since 1995, hours (IANA time zone database)."""

NO_ZONE = "no time zone, taken as UTC"
"""What is in doubt about a time whose offset from UTC is unknown."""

_ZONES_US = (EASTERNMOST_S - WESTERNMOST_S) * SECOND_US
"""How far two clocks may be apart that show the same moment in different zones."""

_QUARTERS = frozenset(int(hours * 4) for hours in OFFSETS_H)

_CALENDARS = ((-BUDDHIST_YEARS, "Buddhist"), (MINGUO_YEARS, "Minguo"))
"""Calendars whose months and days are the usual ones; others cannot be converted by their year."""

_EPOCH = date(1970, 1, 1).toordinal()

_MINUS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63\uff0d"), "-")
"""Hyphens, dashes and minus signs; ISO 8601 names U+2212 beside the hyphen-minus."""

_DATE = r"(?:(\d{4})([:/.\-\s])(\d{1,2})\2(\d{1,2})|(\d{4})(\d\d)(\d\d)|(\d{4})-?W(\d\d)-?([1-7])|(\d{4})-?(\d{3}))"
"""Year, month, day; the same in eight digits; ISO 8601's year, week, day of the week; year and day of the year."""

_CLOCK = r"(?:(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,:](\d+))?)?|(\d\d)(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)"

_HALF = (
    r"(a\.?\s?m\.?|p\.?\s?m\.?|\u4e0a\u5348|\u4e0b\u5348|\u5348\u524d|\u5348\u5f8c|\uc624\uc804|\uc624\ud6c4"
    r"|\u0635|\u0645|\u03c0\.?\u03bc\.?|\u03bc\.?\u03bc\.?)"
)
"""AM and PM as cameras write them: Latin, Chinese, Japanese, Korean, Arabic, Greek."""

_AFTERNOON = ("p", "\u4e0b\u5348", "\u5348\u5f8c", "\uc624\ud6c4", "\u0645", "\u03bc")

_ZONE = r"(Z|(?:UTC|GMT|UT)?\s*[+-]\s?\d{1,2}(?::?\d\d)?(?::?00)?|UTC|GMT|UT)"

_PLACE = r"(?:\[!?([A-Za-z0-9_+\-/]+)\])?"
"""The name of a zone behind an offset (RFC 9557)."""

_TIME = re.compile(
    rf"\s*{_DATE}(?:\s*T\s*|[\s_]+|,\s*)(?:{_HALF}\s*)?{_CLOCK}\s*{_HALF}?\s*(?:{_ZONE}{_PLACE})?\s*", re.IGNORECASE
)

_USUAL = re.compile(r"([12]\d{3}):([01]\d):([0-3]\d) ([0-2]\d):([0-5]\d):([0-5]\d)", re.ASCII)

_DIGITS = re.compile(r"\s*(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:[.,](\d{1,6}))?\s*(?:(Z|UTC|GMT)\s*)?", re.IGNORECASE)
"""Fourteen digits, as loggers write them."""

_DAY_ALONE = re.compile(rf"\s*{_DATE}\s*", re.IGNORECASE)

_CLOCK_ALONE = re.compile(rf"\s*(?:{_HALF}\s*)?{_CLOCK}\s*{_HALF}?\s*(?:{_ZONE}{_PLACE})?\s*", re.IGNORECASE)

_ZONE_ALONE = re.compile(
    r"\s*(?:(Z|UTC|GMT|UT)|(?:UTC|GMT|UT)?\s*([+-])?\s?(\d{1,2})(?::?(\d\d))?(?::?00)?)\s*", re.IGNORECASE
)

_NAME = re.compile(r"(?<!\d)(\d{4})_(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d\d)_(\d{1,6})(?!\d)")

_PHONE_NAME = re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)[_\-T ]?(\d\d)(\d\d)(\d\d)(?:_?\d{3})?(?!\d)")


class Reading(NamedTuple):
    """
    A time as a text says it.

    `us` is the moment where `offset_s` is known, and what the clock showed, counted as if in UTC, where it is None.
    `offset_s` is the offset from UTC, seconds to the east. `digits` are the decimals of the second that were given,
    None for a time without seconds.
    """

    us: int
    offset_s: int | None = None
    digits: int | None = 0

    @property
    def wall_us(self) -> int:
        """What the clock showed, counted as if in UTC."""
        return self.us + (self.offset_s or 0) * SECOND_US


def read(text: str | None, *, subsec: str | None = None, offset: str | None = None) -> Reading | None:
    """
    Return the time that a text says; None unless it is a time from its first letter to its last.

    Parameters
    ----------
    text
        A date and a time of day: `2018:06:08 13:24:10`, or ISO 8601 with month and day, week or day of the year;
        with or without seconds, decimals, AM or PM, and offset from UTC. Not: a date alone, names of zones
        (PST, CST, IST are each used for several), days before months.
    subsec
        Digits of the fraction of the second. GoPros write spaces for leading zeros. See `decimals` for what is none.
    offset
        Offset from UTC, `-07:00`; it comes before that in the text.
    """
    own: int | None
    count: int | None
    if text is None:
        return None
    usual = _USUAL.fullmatch(text)
    if usual is not None:  # nearly all photos; the general form takes five times as long
        year, month, of_month, hour, minute, second = map(int, usual.groups())
        days = _days(year, month, of_month)
        if days is None or hour > 24 or (hour == 24 and (minute or second)):
            return None
        us, own, count = ((days * 24 + hour) * 3600 + minute * 60 + second) * SECOND_US, None, 0
    else:
        general = _general(text)
        if general is None:
            return None
        us, own, count = general
    if subsec is not None and count is not None and (digits := decimals(subsec)) is not None:
        # Digits beyond the microsecond are cut off, as the official tools do.
        us, count = us - us % SECOND_US + int(digits[:6].ljust(6, "0")), len(digits)
    if offset is not None and (east := zone(offset)) is not None:
        us, own = us + ((own or 0) - east) * SECOND_US, east
    return Reading(us, own, count)


def decimals(text: str | None) -> str | None:
    """Return the digits of the fraction of a second, with zeros for spaces; None where they are none."""
    digits = text or ""
    if not digits.isdigit():
        digits = digits.rstrip("\0").rstrip(" ").replace(" ", "0").strip("\0")
    return digits if digits.isascii() and digits.isdigit() else None


@lru_cache(maxsize=1024)
def zone(text: str | None) -> int | None:
    """
    Return an offset from UTC, seconds to the east: `+05:30`, `-0700`, `+2`, `GMT+02:00`, `Z`; None for anything else.

    Offsets that no place has (west of -12:00, east of +14:00) are none.
    """
    match = _ZONE_ALONE.fullmatch(text.translate(_MINUS)) if text else None
    if match is None:
        return None
    if match[3] is None:
        return 0
    minutes = int(match[3]) * 60 + int(match[4] or 0)
    east = -minutes * 60 if match[2] == "-" else minutes * 60
    return east if int(match[4] or 0) < 60 and WESTERNMOST_S <= east <= EASTERNMOST_S else None


@lru_cache(maxsize=1024)
def day(text: str | None) -> int | None:
    """Return the days since 1970 of a date alone (`2024-06-09`, `20240609`, a week or a day of the year), else None."""
    match = _DAY_ALONE.fullmatch(text.translate(_MINUS)) if text else None
    return None if match is None else _days_of(match.groups())


def clock(text: str | None) -> Reading | None:
    """
    Return a time of day alone (`13:24:10.5`, `1:24:10 PM`, `132410Z`), counted from midnight, else None.

    `us` is what the clock showed, also where an offset is known: the day that it belongs to is not.
    """
    match = _CLOCK_ALONE.fullmatch(text.translate(_MINUS)) if text else None
    return None if match is None else _clock_of(match.groups())


def on_day(days: int, time: Reading) -> Reading:
    """Return a time of day, from `clock`, on a day, from `day`."""
    return time._replace(us=days * DAY_US + time.us - (time.offset_s or 0) * SECOND_US)


def name_time(stem: str) -> Reading | None:
    """Return the time in a file's name, `2024_06_09_08_07_06_123`, as mapillary_tools writes and reads it."""
    match = _NAME.search(stem)
    return None if match is None else _of_digits(match.groups()[:6], match[7])


def name_witness(stem: str) -> Reading | None:
    """Return the time that phones write into names, `IMG_20240609_080706`; it is not a source, but may confirm one."""
    match = _PHONE_NAME.search(stem)
    return None if match is None else _of_digits(match.groups(), "")


def from_local(seconds: int, zone: str) -> tuple[int | None, str | None]:
    """
    Return a local time as seconds since 1970 UTC, and what is in doubt about it.

    Parameters
    ----------
    seconds
        What the clock shows, counted as if in UTC.
    zone
        Name of the zone in the IANA time zone database; empty for that of this machine.

    Returns
    -------
    utc_s
        None where there is no such zone, or no such local time. Of a time that a clock shows twice, the first.
    doubt
        Whether the clock shows the time twice, or never.
    """
    try:
        place = ZoneInfo(zone) if zone else None
        wall = datetime(1970, 1, 1, tzinfo=place) + timedelta(seconds=seconds)
        first, second = wall.timestamp(), wall.replace(fold=1).timestamp()
    except (ZoneInfoNotFoundError, ValueError, OverflowError, OSError):
        return None, None
    if first == second:
        return round(first), None
    if first < second:
        return round(first), "which had this time twice, the first was taken"
    return round(first), "which never had this time"


def gps_time(days: str | None, clock: Sequence[tuple[int, int]]) -> int | None:
    """
    Return the time of a GPS date stamp and time stamp, which are always UTC.

    Receivers without a fix write 1970-01-01, which counts as missing.

    Parameters
    ----------
    days
        `2024:06:09`, with any separator.
    clock
        Hours, minutes and seconds as fractions (numerator, denominator).
    """
    number = day(days)
    if not number or len(clock) < 3 or 0 in (clock[0][1], clock[1][1], clock[2][1]):
        return None
    (h, hd), (m, md), (s, sd) = clock[:3]
    if hd == md == sd == 1 and 0 <= h <= 24 and 0 <= m <= 60 and 0 <= s <= 61:
        return ((number * 24 + h) * 3600 + m * 60 + s) * SECOND_US
    if min(h / hd, m / md, s / sd) < 0 or h > 24 * hd or m > 60 * md or s > 61 * sd:
        return None
    # Integer arithmetic, so that 41.03 s are 41,030 ms and not 41,029.999….
    return number * DAY_US + _us(h, hd, 3600) + _us(m, md, 60) + _us(s, sd, 1)


def fractions(text: str | None) -> list[tuple[int, int]]:
    """Return hours, minutes and seconds of a time of day in UTC that is written as text; empty where it is none."""
    found = clock(text)
    if found is None or found.offset_s:
        return []
    seconds, us = divmod(found.us, SECOND_US)
    return [(seconds // 3600, 1), (seconds // 60 % 60, 1), (seconds % 60 * SECOND_US + us, SECOND_US)]


def shown(us: int) -> str:
    """Return a time as text, to the second."""
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=us // SECOND_US)}"[:19]
    except OverflowError:
        return f"{us // SECOND_US} s after 1970"


def implausible(us: int, now_us: int, *, is_utc: bool = False) -> str | None:
    """
    Return why a time cannot be the capture time of a digital picture, "before 1995" or "in the future"; else None.

    Parameters
    ----------
    us
        The time.
    now_us
        The time now, by the clock of this machine.
    is_utc
        Whether it is UTC, and may be ahead by an hour (the clock of this machine, too, can be wrong). A clock
        without a zone may be ahead by 14 hours more.
    """
    if us < EARLIEST_US:
        return "before 1995"
    if us > now_us + (HOUR_US if is_utc else EASTERNMOST_S * SECOND_US + HOUR_US):
        return "in the future"
    return None


def place_offset(us: int, lon: float, lat: float) -> int | None:
    """
    Return the offset from UTC at a place and moment, seconds to the east; None where its zone is not known here.

    Parameters
    ----------
    us
        The moment.
    lon, lat
        The place, degrees.
    """
    name = zone_name(lon, lat)
    try:
        there = datetime.fromtimestamp(us // SECOND_US, ZoneInfo(name)).utcoffset() if name else None
    except (ZoneInfoNotFoundError, ValueError, OverflowError, OSError):
        return None
    return None if there is None else round(there.total_seconds())


def zone_name(lon: float, lat: float) -> str:
    """
    Return the name of the time zone of a place (`Europe/Berlin`); empty where there is none.

    Borders are simplified, to within 111 m; exact ones need 140 MB and half a second in each process.
    """
    # A Rust extension of 5 MB that needs 35 MB of memory after the first call, and a microsecond a call.
    import tzfpy

    return tzfpy.get_tz(lon, lat)


class Decision(NamedTuple):
    """The capture time of a photo, its source (`gps`, `offset`, `clock`, `filename`), and what is in doubt."""

    us: int | None
    source: str | None
    doubts: tuple[str, ...] = ()
    offset_s: int | None = None


def decide(
    gps_us: int | None,
    clocks: Sequence[Reading],
    *,
    changed: Reading | None = None,
    now_us: int,
    lon: float | None = None,
    lat: float | None = None,
    stem: Callable[[], str],
) -> Decision:
    """
    Return when a photo was taken, from all that tells it.

    The rules, and why:

    1. GPS comes first: it is UTC by definition, and receivers take it from the satellites.
    2. Unless it differs from the camera's clock by a multiple of 1024 weeks, to within a day: receivers from before
       a roll-over of the week number count on from the old epoch. The weeks are added.
    3. Unless it is one day off, and the rest is an offset from UTC that exists (or the clock's own): some cameras
       write the local date beside the time in UTC, or change the date late. The day is corrected. A clock that is
       10 to 14 hours off could be either; the zone of the place decides.
    4. Unless it lies before 1995 or in the future, and the clock does not; or is earlier than the clock by more than
       a year: that is a default date, since what loses its time falls back to an earlier one. The clock's
       time is taken.
    5. Where they differ by anything else, GPS counts: clocks are often not set.
    6. Without GPS the camera's clock counts, of several the first. If its offset is not known, a second time of the
       same second tells it; else it is taken as UTC, and the source says so (`clock`). A year of the Buddhist
       or the Minguo calendar is converted.
    7. The time when the file was last changed counts where the camera says nothing else, and the file's name after it,
       or instead of a clock that lies before 1995 or in the future.
    8. The clock's decimals refine a GPS time of whole seconds that shows the same second.

    All but 1, 8 and an agreement are a doubt, as is a time without a zone. GPS and clock agree where they are at most
    a minute apart; a clock without a zone may be apart by any offset from UTC that exists, since cameras show the
    time at home or UTC as often as that of the place.

    Parameters
    ----------
    gps_us
        The GPS time.
    clocks
        The camera's clock at the shot, in the order of preference: original, digitized; EXIF before XMP.
    changed
        When the file was last changed, by the camera's or another clock.
    now_us
        The time now, for what lies in the future.
    lon, lat
        The place, degrees, if known; its zone tells what a clock there may show.
    stem
        Returns the name of the file, without its ending; called where it matters.
    """
    doubts: list[str] = []
    clock = clocks[0] if clocks else None
    if clock is not None and (
        len(clocks) > 1 or clock.offset_s is None or changed is not None or clock.us < EARLIEST_US or clock.us > now_us
    ):
        clock = _clock(clocks, changed, now_us, doubts)
    if gps_us is None:
        if clock is None and changed is not None:
            doubts.append("it tells only when it was last changed")
            clock = _clock((changed,), None, now_us, doubts)
        return _without_gps(clock, now_us, stem, doubts)
    if not EARLIEST_US <= gps_us <= now_us and (other := _years_more(Reading(gps_us), now_us)) is not None:
        doubts.append(f"the year of its GPS time {shown(gps_us)} is taken as one of the {other[1]} calendar")
        gps_us = other[0].us
    if clock is None:
        return Decision(_gps_alone(gps_us, changed, now_us, stem, doubts), "gps", tuple(doubts))
    apart = clock.us - gps_us
    why = implausible(gps_us, now_us, is_utc=True)
    if why is not None or not _agree(apart, clock):
        gps_us, source = _contradiction(gps_us, why, clock, now_us, doubts)
        if source != "gps":
            if source == "clock":
                doubts.append(NO_ZONE)
            return Decision(gps_us, source, tuple(doubts), clock.offset_s)
        apart = clock.us - gps_us
    elif clock.offset_s is None and (
        not _SURE_WEST_US < apart < _SURE_EAST_US
        or (lon is not None and not -_FAR_US < apart - lon * _SOLAR_US < _FAR_US)
    ):
        gps_us = _far_zone(gps_us, apart, lon, lat, doubts)
        apart = clock.us - gps_us
    if clock.digits and gps_us % SECOND_US == 0 and (apart - clock.us % SECOND_US) % QUARTER_US == 0:
        gps_us += clock.us % SECOND_US
    return Decision(gps_us, "gps", tuple(doubts))


_SURE_WEST_US, _SURE_EAST_US = -10 * HOUR_US + AGREES_US, 12 * HOUR_US - AGREES_US
"""Between these a clock's distance from GPS time is an offset; beyond, the GPS date could be a day off instead."""

_SOLAR_US, _FAR_US = 240 * SECOND_US, 9 * HOUR_US
"""What the sun is late by for each degree of longitude, and further from it than any zone is from its places' sun."""


def _agree(apart_us: int, clock: Reading) -> bool:
    """Return whether a clock that is so far ahead of GPS agrees with it; without an offset a zone may explain it."""
    if clock.offset_s is not None:
        return -AGREES_US <= apart_us <= AGREES_US
    quarters = (apart_us + QUARTER_US // 2) // QUARTER_US
    return quarters in _QUARTERS and abs(apart_us - quarters * QUARTER_US) <= AGREES_US


def _clock(clocks: Sequence[Reading], changed: Reading | None, now_us: int, doubts: list[str]) -> Reading:
    """Return what the camera's clock showed, from one or more times, and say where they contradict each other."""
    first = clocks[0]
    if (why := implausible(first.us, now_us, is_utc=first.offset_s is not None)) is not None:
        other = _years_more(first, now_us)
        later = next((each for each in clocks[1:] if implausible(each.us, now_us) is None), None)
        if other is not None:
            doubts.append(f"the year of its time {shown(first.wall_us)} is taken as one of the {other[1]} calendar")
            first = other[0]
        elif later is not None:
            doubts.append(f"its time {shown(first.wall_us)} is {why}, another one was taken")
            first = later
    if first.offset_s is None:
        for other_clock in (*clocks[1:], changed):
            if other_clock is not None and (east := _offset_from(first, other_clock)) is not None:
                first = first._replace(us=first.us - east * SECOND_US, offset_s=east)
                doubts.append(f"its zone, {_offset_text(east)}, is that of another time in it")
                break
    for each in clocks[1:]:
        if first.offset_s is not None and each.offset_s is not None:
            same = abs(first.us - each.us) <= AGREES_US
        else:
            same = abs(first.wall_us - each.wall_us) <= AGREES_US or _zones_explain(first, each)
        if not same:
            doubts.append(f"it also says {shown(each.wall_us)} for its time {shown(first.wall_us)}")
            break
    if changed is not None and changed.wall_us < first.wall_us - _ZONES_US:
        doubts.append(f"it was last changed before its time {shown(first.wall_us)}, at {shown(changed.wall_us)}")
    return first


def _offset_from(time: Reading, other: Reading) -> int | None:
    """Return the offset of a time without one, if another time of the same second tells it."""
    if other.offset_s is None:
        return None
    apart_s = (time.us // SECOND_US) - (other.wall_us // SECOND_US)
    if other.offset_s:
        return other.offset_s if apart_s == 0 else None
    # The same clock in UTC tells nothing: programs write Z behind local times.
    return apart_s if apart_s and apart_s % 900 == 0 and apart_s // 900 in _QUARTERS else None


def _offset_text(east_s: int) -> str:
    return f"{'-' if east_s < 0 else '+'}{abs(east_s) // 3600:02}:{abs(east_s) % 3600 // 60:02}"


def _zones_explain(time: Reading, other: Reading) -> bool:
    """Return whether two times are one moment, if the one without an offset is local time there."""
    if time.offset_s is None and other.offset_s == 0:
        return _agree(time.us - other.us, time)
    return time.offset_s == 0 and other.offset_s is None and _agree(other.us - time.us, other)


def _without_gps(clock: Reading | None, now_us: int, stem: Callable[[], str], doubts: list[str]) -> Decision:
    why = None if clock is None else implausible(clock.us, now_us, is_utc=clock.offset_s is not None)
    if clock is None or why is not None:
        named = name_time(stem()) or (None if clock is None else name_witness(stem()))
        if named is not None and (clock is None or implausible(named.us, now_us) is None):
            if clock is not None:
                doubts.append(f"its time {shown(clock.wall_us)} is {why}, that in its name was taken")
            elif (why := implausible(named.us, now_us)) is not None:
                doubts.append(f"the time in its name, {shown(named.us)}, is {why}")
            return Decision(named.us, "filename", (*doubts, NO_ZONE))
        if clock is None:
            return Decision(None, None, tuple(doubts))
        doubts.append(f"its time {shown(clock.wall_us)} is {why}")
    elif (named := name_time(stem()) or name_witness(stem())) is not None:
        _compare_name(clock.wall_us, named, now_us, doubts)
    if clock.digits is None:
        doubts.append("its time has no seconds")
    # Clocks that lost their time begin at the turn of a year: 2000, 2004, 2015, whenever the camera was made.
    if clock.wall_us % DAY_US < 2 * HOUR_US and shown(clock.wall_us)[5:10] == "01-01":
        doubts.append(f"its time {shown(clock.wall_us)} may be that of a clock which was never set")
    if clock.offset_s is None:
        return Decision(clock.us, "clock", (*doubts, NO_ZONE))
    return Decision(clock.us, "offset", tuple(doubts), clock.offset_s)


def _gps_alone(gps_us: int, changed: Reading | None, now_us: int, stem: Callable[[], str], doubts: list[str]) -> int:
    """Return a GPS time beside which no clock stands; the file's name, or its last change, may tell a roll-over."""
    why = implausible(gps_us, now_us, is_utc=True)
    named = name_time(stem()) or name_witness(stem())
    for witness, who in ((named, "its name"), (changed, "the time of its last change")):
        if witness is not None and implausible(witness.us, now_us) is None:
            rolled = _rolled(gps_us, witness)
            if rolled is not None and (rolled > gps_us or why is not None):
                weeks = round((rolled - gps_us) / (7 * DAY_US))
                doubts.append(f"GPS says {shown(gps_us)}: {weeks} weeks were added, since {who} says so")
                return rolled
    if why is not None:
        doubts.append(f"its GPS time {shown(gps_us)} is {why}")
    elif changed is not None and changed.us < gps_us - _ZONES_US:
        doubts.append(f"it was last changed before its GPS time {shown(gps_us)}, at {shown(changed.wall_us)}")
    elif named is not None:
        _compare_name(gps_us, named, now_us, doubts)
    elif changed is None and gps_us + ROLLOVER_US <= now_us:
        doubts.append(f"only GPS tells its time {shown(gps_us)}, and an old receiver may be 1024 weeks behind")
    return gps_us


def _compare_name(us: int, named: Reading, now_us: int, doubts: list[str]) -> None:
    """Say where a file's name contradicts a time that stands alone, by more than zones explain."""
    if abs(named.us - us) > _ZONES_US and implausible(named.us, now_us) is None:
        doubts.append(f"its name says {shown(named.us)} for its time {shown(us)}")


def _contradiction(gps_us: int, why: str | None, clock: Reading, now_us: int, doubts: list[str]) -> tuple[int, str]:
    """Return the likelier time where GPS and clock contradict each other, and its source; say which was taken."""
    said = f"GPS says {shown(gps_us)}, its clock {shown(clock.wall_us)}"
    if implausible(clock.us, now_us, is_utc=clock.offset_s is not None) is None:
        rolled = _rolled(gps_us, clock)
        if rolled is not None and (rolled > gps_us or why is not None):
            weeks = round((rolled - gps_us) / ROLLOVER_US) * 1024
            by_day = (rolled, rolled - DAY_US, rolled + DAY_US)
            rolled = next((at for at in by_day if _agree(clock.us - at, clock)), rolled)
            doubts.append(f"{said}: {weeks} weeks were added to the GPS time (a roll-over of its week number)")
            return rolled, "gps"
        source = "clock" if clock.offset_s is None else "offset"
        if why is not None:
            doubts.append(f"{said}: the clock's time was taken, since the other is {why}")
            return clock.us, source
        for days in (DAY_US, -DAY_US):
            if _agree(clock.us - gps_us - days, clock):
                doubts.append(f"{said}: the GPS date was corrected by a day")
                return gps_us + days, "gps"
        if clock.us - gps_us > LATER_US:
            doubts.append(f"{said}: the clock's time was taken, since what loses its time falls back")
            return clock.us, source
    elif why is not None and _agree(clock.us - gps_us, clock):
        doubts.append(f"its time {shown(gps_us)} is {why}")
        return gps_us, "gps"
    doubts.append(f"{said}: the GPS time was taken" + ("" if why is None else f", which is {why}"))
    return gps_us, "gps"


def _rolled(gps_us: int, clock: Reading) -> int | None:
    """Return a GPS time moved by the multiple of 1024 weeks that brings it to a clock, to within a day and a zone."""
    apart = clock.us - gps_us
    weeks = round(apart / ROLLOVER_US)
    rest, spare = apart - weeks * ROLLOVER_US, DAY_US + AGREES_US
    west, east = (0, 0) if clock.offset_s is not None else (WESTERNMOST_S * SECOND_US, EASTERNMOST_S * SECOND_US)
    return gps_us + weeks * ROLLOVER_US if weeks and west - spare <= rest <= east + spare else None


def _far_zone(gps_us: int, apart_us: int, lon: float | None, lat: float | None, doubts: list[str]) -> int:
    """
    Return a GPS time whose clock, without an offset, is 10 to 14 hours off, or far from the time of the place.

    Near the date line such a clock is right where the zone of the place says so; else the GPS date may be a day off,
    if that brings them nearer to each other. A clock that is half a day off shows hours of the other half, or GPS does.
    """
    days = DAY_US if apart_us > 0 else -DAY_US
    other_us = apart_us - days
    may_be_a_day = _agree(other_us, Reading(0))
    there_s = None if lon is None or lat is None else place_offset(gps_us, lon, lat)
    said = f"its clock is {abs(apart_us) / HOUR_US:.3g} h {'ahead of' if apart_us > 0 else 'behind'} GPS"
    if there_s is None:
        if may_be_a_day:
            doubts.append(f"{said}: a zone, or the GPS date is a day off")
        return gps_us
    off_us, other_off_us = abs(apart_us - there_s * SECOND_US), abs(other_us - there_s * SECOND_US)
    if may_be_a_day and other_off_us <= AGREES_US:
        doubts.append(f"{said}, and the place is in another zone: the GPS date was corrected by a day")
        return gps_us + days
    if may_be_a_day and other_off_us < off_us:
        doubts.append(f"{said}: a zone far from the place, or the GPS date is a day off")
    elif abs(off_us - DAY_US // 2) <= AGREES_US:
        doubts.append(f"{said}, and half a day from the time of the place: one of them may show the other half")
    return gps_us


def _years_more(time: Reading, now_us: int) -> tuple[Reading, str] | None:
    """Return a time whose year is of another calendar as a plausible one, and the calendar; None where it is none."""
    for years, name in _CALENDARS:
        found = _with_years(time, years)
        if found is not None and implausible(found.us, now_us) is None and implausible(time.us, now_us) is not None:
            return found, name
    return None


def _with_years(time: Reading, years: int) -> Reading | None:
    wall = time.wall_us
    try:
        # Not `fromtimestamp`, which some systems cannot do for early years.
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=wall // SECOND_US)
        moved = moment.replace(year=moment.year + years)
    except (ValueError, OverflowError):
        return None
    us = round((moved - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * SECOND_US + wall % SECOND_US
    return time._replace(us=us - (time.offset_s or 0) * SECOND_US)


def _general(text: str) -> Reading | None:
    plain = unicodedata.normalize("NFKC", text.strip("\0")).translate(_MINUS)
    match = _TIME.fullmatch(plain)
    if match is None:
        run = _DIGITS.fullmatch(plain)
        found = None if run is None else _of_digits(run.groups()[:6], run[7] or "")
        return found if found is None or run is None or run[8] is None else found._replace(offset_s=0)
    groups = match.groups()
    days, time = _days_of(groups[:12]), _clock_of(groups[12:])
    if days is None or time is None:
        return None
    found = on_day(days, time)
    return found if groups[-1] is None or _is_offset_of(groups[-1], found) else None


def _days_of(groups: Sequence[str | None]) -> int | None:
    """Return the days since 1970 of a date in the groups of `_DATE`."""
    year, _, month, of_month, year8, month8, day8, week_year, week, of_week, year_n, of_year = groups
    if year is not None or year8 is not None:
        return _days(int(year or year8 or 0), int(month or month8 or 0), int(of_month or day8 or 0))
    try:
        if week_year is not None:
            found = date.fromisocalendar(int(week_year), int(week or 0), int(of_week or 0))
            return found.toordinal() - _EPOCH
        first = date(int(year_n or 0), 1, 1)
    except ValueError:
        return None
    found = first + timedelta(days=int(of_year or 0) - 1)
    return found.toordinal() - _EPOCH if found.year == first.year else None


def _clock_of(groups: Sequence[str | None]) -> Reading | None:
    """Return the time of day in the groups of a half of the day, `_CLOCK`, a half, `_ZONE` and `_PLACE`."""
    before, hours, minutes, seconds, part, hours2, minutes2, seconds2, part2, after, offset, _ = groups
    if before is not None and after is not None:
        return None
    hour, minute = int(hours or hours2 or 0), int(minutes or minutes2 or 0)
    seconds, part, half = seconds or seconds2, part or part2, before or after
    if half is not None:
        is_afternoon = half.lower().startswith(_AFTERNOON)
        # 12 AM is midnight and 12 PM noon; some cameras write the half of the day behind 24 hours.
        if hour == 12:
            hour = 12 if is_afternoon else 0
        elif is_afternoon and 0 < hour < 12:
            hour += 12
        elif is_afternoon is (hour < 12):
            return None
    second = int(seconds or 0)
    # 24:00:00 is midnight, and a leap second is the first second of the next minute.
    if hour > 24 or minute > 59 or second > 60 or (hour == 24 and (minute or second or int(part or 0))):
        return None
    east = None if offset is None else zone(offset)
    if offset is not None and east is None:
        return None
    us = (hour * 3600 + minute * 60 + second) * SECOND_US + int((part or "0")[:6].ljust(6, "0"))
    return Reading(us, east, None if seconds is None else len(part or ""))


def _of_digits(groups: Sequence[str], part: str) -> Reading | None:
    year, month, of_month, hour, minute, second = map(int, groups)
    days = _days(year, month, of_month)
    if days is None or hour > 23 or minute > 59 or second > 59:
        return None
    return Reading(
        ((days * 24 + hour) * 3600 + minute * 60 + second) * SECOND_US + int(part.ljust(6, "0")), None, len(part)
    )


@lru_cache(maxsize=1024)
def _days(year: int, month: int, of_month: int) -> int | None:
    try:
        return date(year, month, of_month).toordinal() - _EPOCH
    except ValueError:
        return None


def _is_offset_of(name: str, time: Reading) -> bool:
    """Return whether a zone of this name has the offset of a time, then."""
    try:
        there = datetime.fromtimestamp(time.us // SECOND_US, ZoneInfo(name)).utcoffset()
    except (ZoneInfoNotFoundError, ValueError, OverflowError, OSError):
        return False
    return there is not None and time.offset_s is not None and there == timedelta(seconds=time.offset_s)


def _us(numerator: int, denominator: int, seconds: int) -> int:
    return (2 * numerator * seconds * SECOND_US + denominator) // (2 * denominator)
