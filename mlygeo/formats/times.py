"""
The one reader of times: from the text of a tag, a cell or an element to a moment, in full or not at all.

A text is understood to its last letter, or it is no time: what stands behind a time (a zone, AM or PM) changes it
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

WESTERNMOST_S, EASTERNMOST_S = -12 * 3600, 14 * 3600
"""The offsets from UTC that exist on land (IANA time zone database)."""

AGREES_US = 10 * 60 * SECOND_US
"""How far GPS and a clock of known zone may be apart: phones write the time of their last fix."""

QUARTER_US = 15 * 60 * SECOND_US
"""All offsets from UTC in use are multiples of a quarter of an hour."""

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

_PHONE_NAME = re.compile(r"(?<!\d)(\d{4})(\d\d)(\d\d)[_\-T ]?(\d\d)(\d\d)(\d\d)")


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
    if text is None:
        return None
    usual = _USUAL.fullmatch(text)
    if usual is not None:  # nearly all photos; the general form takes five times as long
        days = _days(int(usual[1]), int(usual[2]), int(usual[3]))
        hour = int(usual[4])
        if days is None or hour > 24 or (hour == 24 and (usual[5], usual[6]) != ("00", "00")):
            return None
        wall_us = ((days * 24 + hour) * 3600 + int(usual[5]) * 60 + int(usual[6])) * SECOND_US
        found = Reading(wall_us)
    else:
        general = _general(text)
        if general is None:
            return None
        found = general
    digits = decimals(subsec)
    if digits is not None and found.digits is not None:
        whole = found.us - found.us % SECOND_US
        # Digits beyond the microsecond are cut off, as the official tools do.
        found = found._replace(us=whole + int(digits[:6].ljust(6, "0")), digits=len(digits))
    if offset is not None and (east := zone(offset)) is not None:
        found = found._replace(us=found.wall_us - east * SECOND_US, offset_s=east)
    return found


def decimals(text: str | None) -> str | None:
    """Return the digits of the fraction of a second, with zeros for spaces; None where they are none."""
    digits = (text or "").rstrip("\0").rstrip(" ").replace(" ", "0").strip("\0")
    return digits if digits.isascii() and digits.isdigit() else None


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
    """Return the time that phones write into names, `IMG_20240609_080706`; it is no source, but may confirm one."""
    match = _PHONE_NAME.search(stem)
    return None if match is None else _of_digits(match.groups(), "")


def local_to_utc(seconds: int) -> int | None:
    """Return a local time of this machine as seconds since 1970 UTC; None where there is no such local time."""
    try:
        wall = datetime(1970, 1, 1) + timedelta(seconds=seconds)  # noqa: DTZ001 - the wall clock is meant
        return round(wall.timestamp())
    except (ValueError, OverflowError, OSError):
        return None


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
    if not number or len(clock) < 3 or not all(den for _, den in clock[:3]):
        return None
    (h, hd), (m, md), (s, sd) = clock[:3]
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
        return f"{datetime.fromtimestamp(us // SECOND_US, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{us // SECOND_US} s after 1970"


def implausible(us: int, now_us: int) -> str | None:
    """
    Return why a time cannot be the capture time of a digital picture, "before 1995" or "in the future"; else None.

    Parameters
    ----------
    us
        The time.
    now_us
        The time now; a day more is allowed, since a clock without a zone may be ahead by 14 hours.
    """
    if us < EARLIEST_US:
        return "before 1995"
    if us > now_us + DAY_US:
        return "in the future"
    return None


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
    stem: Callable[[], str],
) -> Decision:
    """
    Return when a photo was taken, from all that tells it.

    The rules, and why:

    1. GPS comes first: it is UTC by definition, and receivers take it from the satellites.
    2. Unless it is earlier than the camera's clock by 1024 weeks or a multiple of them: receivers from before a
       roll-over of the week number count on from the old epoch. The weeks are added.
    3. Unless it is one day off, so that no zone explains the difference: some cameras write the local date
       beside the time in UTC, or change the date late. The day is corrected. By the zones that exist the clock's
       own offset lies between -12 and +14 hours.
    4. Unless it lies before 1995 or in the future, and the clock does not: that is a default date.
    5. Where they differ by anything else, GPS counts: clocks are often not set. It is said.
    6. Without GPS the camera's clock counts, of several the first. Without an offset it is taken as UTC, and
       the source says so (`clock`). A year of the Buddhist calendar is converted.
    7. The file's name counts where nothing else tells the time.
    8. The clock's decimals refine a GPS time of whole seconds that shows the same second.

    Parameters
    ----------
    gps_us
        The GPS time.
    clocks
        The camera's clock at the shot, in the order of preference: original, digitized; EXIF before XMP.
    changed
        When the file was last changed, by the camera's or another clock; it counts where `clocks` are empty.
    now_us
        The time now, for what lies in the future.
    lon
        Longitude of the photo, degrees; it tells whether the clock may show the time of the place.
    stem
        Returns the name of the file, without its ending; called where it matters.
    """
    doubts: list[str] = []
    if not clocks and changed is not None:
        clocks = (changed,)
    clock = clocks[0] if clocks else None
    if clock is not None and implausible(clock.us, now_us) is not None:
        clock = _plausible_clock(clocks, now_us, doubts)
    if len(clocks) > 1:
        _compare(clocks, doubts)
    if gps_us is None:
        return _without_gps(clock, now_us, stem, doubts)
    if clock is None:
        if (why := implausible(gps_us, now_us)) is not None:
            gps_us = _against_name(gps_us, why, now_us, stem, doubts)
        return Decision(gps_us, "gps", tuple(doubts))
    apart = clock.us - gps_us
    if clock.offset_s is None:
        agrees = WESTERNMOST_S * SECOND_US - AGREES_US <= apart <= EASTERNMOST_S * SECOND_US + AGREES_US
        if agrees and lon is not None and abs(apart - lon / 15 * HOUR_US) > 12 * HOUR_US:
            doubts.append(f"its clock is {_hours(apart)} from its GPS time, which no time zone near there is")
    else:
        agrees = abs(apart) <= AGREES_US
    if not agrees or implausible(gps_us, now_us) is not None:
        gps_us, source = _contradiction(gps_us, clock, now_us, doubts)
        if source != "gps":
            return Decision(gps_us, source, tuple(doubts), clock.offset_s)
        apart = clock.us - gps_us
    if gps_us % SECOND_US == 0 and clock.digits and (apart - clock.us % SECOND_US) % QUARTER_US == 0:
        gps_us += clock.us % SECOND_US
    return Decision(gps_us, "gps", tuple(doubts))


def _without_gps(clock: Reading | None, now_us: int, stem: Callable[[], str], doubts: list[str]) -> Decision:
    if clock is None:
        found = name_time(stem())
        if found is None:
            return Decision(None, None, tuple(doubts))
        if (why := implausible(found.us, now_us)) is not None:
            doubts.append(f"the time in its name, {shown(found.us)}, is {why}")
        return Decision(found.us, "filename", tuple(doubts))
    if (why := implausible(clock.us, now_us)) is not None:
        doubts.append(f"its time, {shown(clock.us)}, is {why}")
    if clock.digits is None:
        doubts.append("its time has no seconds")
    return Decision(clock.us, "clock" if clock.offset_s is None else "offset", tuple(doubts), clock.offset_s)


def _plausible_clock(clocks: Sequence[Reading], now_us: int, doubts: list[str]) -> Reading:
    """Return the first time of the clock that is plausible, maybe in another calendar; the first where none is."""
    first = clocks[0]
    other = _years_less(first, BUDDHIST_YEARS)
    if other is not None and implausible(other.us, now_us) is None:
        doubts.append(f"its time {shown(first.wall_us)} is taken as a year of the Buddhist calendar")
        return other
    for later in clocks[1:]:
        if implausible(later.us, now_us) is None:
            doubts.append(
                f"its time, {shown(first.wall_us)}, is {implausible(first.us, now_us)}; another one was taken"
            )
            return later
    return first


def _compare(clocks: Sequence[Reading], doubts: list[str]) -> None:
    """Say where a camera tells several times of the shot, and they differ."""
    first = clocks[0]
    for other in clocks[1:]:
        both = first.offset_s is not None and other.offset_s is not None
        apart = abs(first.us - other.us) if both else abs(first.wall_us - other.wall_us)
        if apart > AGREES_US and not (first.offset_s != other.offset_s and apart <= 26 * HOUR_US):
            doubts.append(f"it also says {shown(other.wall_us)} for its time {shown(first.wall_us)}")
            return


def _contradiction(gps_us: int, clock: Reading, now_us: int, doubts: list[str]) -> tuple[int, str]:
    """Return the likelier time where GPS and clock contradict each other, and its source; say which was taken."""
    said = f"GPS says {shown(gps_us)}, its clock {shown(clock.wall_us)}"
    clock_is_possible = implausible(clock.us, now_us) is None
    source = "clock" if clock.offset_s is None else "offset"
    if clock_is_possible:
        weeks = round((clock.us - gps_us) / ROLLOVER_US)
        if weeks > 0 and _explained(gps_us + weeks * ROLLOVER_US, clock, spare_days=1):
            rolled = gps_us + weeks * ROLLOVER_US
            rolled = next((at for at in (rolled, rolled - DAY_US, rolled + DAY_US) if _explained(at, clock)), rolled)
            doubts.append(f"{said}: {1024 * weeks} weeks were added to the GPS time (a roll-over of its week number)")
            return rolled, "gps"
        for days in (1, -1):
            if implausible(gps_us, now_us) is None and _explained(gps_us + days * DAY_US, clock):
                doubts.append(f"{said}: the GPS date was corrected by a day")
                return gps_us + days * DAY_US, "gps"
    if implausible(gps_us, now_us) is not None and clock_is_possible:
        doubts.append(f"{said}: the clock's time was taken, since the other is {implausible(gps_us, now_us)}")
        return clock.us, source
    doubts.append(f"{said}: the GPS time was taken")
    if (why := implausible(gps_us, now_us)) is not None:
        doubts.append(f"that is {why}")
    return gps_us, "gps"


def _explained(gps_us: int, clock: Reading, *, spare_days: int = 0) -> bool:
    """Return whether a GPS time and a clock agree, with some days to spare; without an offset a zone may explain it."""
    apart, spare = clock.us - gps_us, spare_days * DAY_US + AGREES_US
    if clock.offset_s is not None:
        return abs(apart) <= spare
    return WESTERNMOST_S * SECOND_US - spare <= apart <= EASTERNMOST_S * SECOND_US + spare


def _against_name(gps_us: int, why: str, now_us: int, stem: Callable[[], str], doubts: list[str]) -> int:
    """Return a GPS time that is implausible and stands alone, corrected by the weeks that the file's name tells."""
    witness = name_time(stem()) or name_witness(stem())
    if witness is not None and implausible(witness.us, now_us) is None:
        weeks = round((witness.us - gps_us) / ROLLOVER_US)
        if weeks > 0 and _explained(gps_us + weeks * ROLLOVER_US, witness, spare_days=1):
            doubts.append(
                f"GPS says {shown(gps_us)}, that is {why}: {1024 * weeks} weeks were added, as its name tells"
            )
            return gps_us + weeks * ROLLOVER_US
    doubts.append(f"its GPS time, {shown(gps_us)}, is {why}")
    return gps_us


def _hours(apart_us: int) -> str:
    hours = apart_us / HOUR_US
    return f"{abs(hours):.3g} h {'ahead' if hours > 0 else 'behind'}"


def _years_less(time: Reading, years: int) -> Reading | None:
    wall = time.wall_us
    try:
        moment = datetime.fromtimestamp(wall // SECOND_US, UTC)
        earlier = moment.replace(year=moment.year - years)
    except (ValueError, OverflowError, OSError):
        return None
    us = round(earlier.timestamp()) * SECOND_US + wall % SECOND_US
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
