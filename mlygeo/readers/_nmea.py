"""
NMEA 0183 logs -> points: RMC and GGA sentences of any talker, dates from RMC and ZDA.

Sentences are found with one regular expression, checked and decoded as columns. Format: NMEA 0183
version 4.10, sentences RMC, GGA and ZDA.
"""

from __future__ import annotations

import re
from datetime import date as _date
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Reals = npt.NDArray[np.float64]
    Wholes = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

# Whatever stands before the $ is passed over: dash cameras write the time of their own clock there.
_SENTENCE = re.compile(rb"\$[A-Z]{2}(RMC|GGA|ZDA),([^$*\r\n]{0,200})(?:\*([0-9A-Fa-f]{2}))?")
SNIFF = re.compile(rb"\$[A-Z]{2}[A-Z]{3},[^\r\n]*")
"""What any NMEA sentence looks like."""

_DAY_US = 86_400_000_000
_RMC, _GGA, _ZDA = 0, 1, 2
_KINDS = {b"RMC": _RMC, b"GGA": _GGA, b"ZDA": _ZDA}
_SIMULATED = 8
"""GGA's quality of positions that a receiver makes up for a demonstration."""

_NO_DAY = np.iinfo(np.int64).min
_WEEKS = 1024 * 7
"""Days after which the week number that satellites send starts from zero."""

_FIRST_ROLLOVER = np.datetime64("1999-08-22").astype("datetime64[D]").astype(np.int64).item()
_DOUBTFUL = np.datetime64("2007-01-01").astype("datetime64[D]").astype(np.int64).item()


class Fixes(NamedTuple):
    """Points in the order of time; altitude in metres, NaN when unknown; time NaT where no date is known."""

    lon: Reals
    lat: Reals
    altitude: Reals
    time: npt.NDArray[np.datetime64]
    problems: list[str]


def decode(text: bytes, *, date: np.datetime64 | None = None) -> Fixes:
    """
    Decode an NMEA log.

    A point is one moment: its position from the first GGA or RMC of that moment that has one, its altitude
    from GGA. A moment that RMC calls void has no position. Sentences with a wrong checksum are left out,
    those without one are taken. GGA has no date: it is that of the RMC or ZDA of the same moment, or of the
    last one before, or the first one after, one day on where the clock has passed midnight in between.

    Parameters
    ----------
    text
        The log. What is not NMEA in it is passed over.
    date
        The day of the first sentence, for logs that hold no date.

    Returns
    -------
    fixes
        Sorted by time.
    """
    problems: list[str] = []
    kind, fields, wrong = _sentences(text)
    if wrong:
        problems.append(f"{wrong:,} sentences with a wrong checksum were left out")
    clock = _clock([row[0] for row in fields])
    timed = np.flatnonzero(clock >= 0)
    kind, clock, fields = kind[timed], clock[timed], [fields[row] for row in timed.tolist()]
    if not len(kind):
        return Fixes(np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype="datetime64[us]"), problems)

    moment, dated = _moments(kind, fields, clock, date, problems)
    lon, lat, valid, void = _positions(kind, fields)
    altitude = np.full(len(kind), np.nan)
    gga = np.flatnonzero((kind == _GGA) & valid)
    altitude[gga] = _reals([fields[row][8] if len(fields[row]) > 8 else b"" for row in gga.tolist()])

    # One point a moment: sort by time, keeping the order within, and take the first of each group.
    order = np.argsort(moment, kind="stable")
    starts = np.flatnonzero(np.diff(moment[order], prepend=moment[order[0]] - 1))
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    usable = valid & ~np.isin(group, group[void])
    first = _first(group[usable], np.flatnonzero(usable), len(starts))
    heights = usable & np.isfinite(altitude)
    high = _first(group[heights], np.flatnonzero(heights), len(starts))
    kept = np.flatnonzero(first >= 0)
    rows, heights_at = first[kept], high[kept]
    lost = len(starts) - len(kept)
    if lost:
        problems.append(f"{lost:,} moments without a fix were left out")
    time = moment[rows].astype("datetime64[us]")
    if not dated:
        time[:] = np.datetime64("NaT")
        problems.append("no sentence tells the date; the day of the first one can be given")
    return Fixes(lon[rows], lat[rows], np.where(heights_at >= 0, altitude[heights_at], np.nan), time, problems)


def _first(groups: Wholes, rows: Wholes, count: int) -> Wholes:
    """Return the first row of each group; -1 where it has none."""
    first = np.full(count, -1, dtype=np.int64)
    first[groups[::-1]] = rows[::-1]
    return first


def _sentences(text: bytes) -> tuple[Wholes, list[list[bytes]], int]:
    """Return kind and fields of every sentence with a right checksum, or none, and how many had a wrong one."""
    matches = list(_SENTENCE.finditer(text))
    if not matches:
        return np.empty(0, dtype=np.int64), [], 0
    # The checksum is over all bytes between $ and *.
    starts = np.fromiter((match.start() + 1 for match in matches), np.int64, len(matches))
    stops = np.fromiter((match.end(2) for match in matches), np.int64, len(matches))
    told = np.fromiter((int(match[3], 16) if match[3] else -1 for match in matches), np.int64, len(matches))
    sums = np.bitwise_xor.reduceat(
        np.frombuffer(text + b"\0", dtype=np.uint8), np.column_stack([starts, stops]).ravel()
    )[::2]
    right = (told < 0) | (told == sums)
    kept = [match for match, fine in zip(matches, right.tolist(), strict=True) if fine]
    kind = np.fromiter((_KINDS[match[1]] for match in kept), np.int64, len(kept))
    return kind, [match[2].split(b",") for match in kept], int((~right).sum())


def _reals(texts: list[bytes]) -> Reals:
    try:
        return np.fromiter(map(float, texts), np.float64, len(texts))
    except ValueError:
        return np.fromiter(
            (float(text) if _NUMBER.fullmatch(text) else np.nan for text in texts), np.float64, len(texts)
        )


_NUMBER = re.compile(rb"\s*-?\d+\.?\d*\s*")
_HMS = re.compile(rb"(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?")


def _clock(texts: list[bytes]) -> Wholes:
    """Return times of day, microseconds; -1 where there is none. A leap second ends the day."""
    clocks = np.full(len(texts), -1, dtype=np.int64)
    for row, text in enumerate(texts):
        match = _HMS.fullmatch(text.strip())
        if match is not None:
            h, m, s = int(match[1]), int(match[2]), int(match[3])
            if h < 24 and m < 60 and s <= 60:
                fraction = int((match[4] or b"0").ljust(6, b"0")[:6])
                clocks[row] = ((h * 60 + m) * 60 + s) * 1_000_000 + fraction
    return clocks


def _moments(
    kind: Wholes, fields: list[list[bytes]], clock: Wholes, date: np.datetime64 | None, problems: list[str]
) -> tuple[Wholes, bool]:
    """Return the time of each sentence, microseconds since 1970, and whether the days are known."""
    day = np.full(len(kind), _NO_DAY)
    for row in np.flatnonzero(kind != _GGA).tolist():
        day[row] = _rmc_day(fields[row]) if kind[row] == _RMC else _zda_day(fields[row])
    # Without a fix, receivers tell dates of their own; they are asked only where nothing better is there.
    trusted = np.array([len(row) > 1 and row[1][:1] == b"A" for row in fields], dtype=bool) & (kind == _RMC)
    known = day != _NO_DAY
    if (known & trusted).any():
        known &= trusted
    day[known] = _rolled_over(day[known], problems)

    # A clock that falls back by more than half a day has passed midnight.
    steps = np.diff(clock, prepend=clock[0])
    nights = np.cumsum((steps < -_DAY_US // 2).astype(np.int64) - (steps > _DAY_US // 2).astype(np.int64))
    base = day - nights  # the day that the log's first sentence would have
    rows = np.flatnonzero(known)
    if not len(rows):
        start = 0 if date is None else int(date.astype("datetime64[D]").astype(np.int64))
        return (start + nights) * _DAY_US + clock, date is not None
    after = np.minimum(np.searchsorted(rows, np.arange(len(kind))), len(rows) - 1)
    before = np.maximum(np.searchsorted(rows, np.arange(len(kind)), side="right") - 1, 0)
    # The sentence after has the word only where it is of the same moment: behind a gap of days.
    same = (clock[rows[after]] == clock) & (clock[rows[before]] != clock)
    return (base[rows[np.where(same, after, before)]] + nights) * _DAY_US + clock, True


def _rmc_day(fields: list[bytes]) -> int:
    text = fields[8].strip() if len(fields) > 8 else b""
    if len(text) != 6 or not text.isdigit():
        return _NO_DAY
    year = int(text[4:6])
    return _day(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[:2]))


def _zda_day(fields: list[bytes]) -> int:
    parts = [field.strip() for field in fields[1:4]]
    if len(parts) < 3 or not all(part.isdigit() and len(part) <= 4 for part in parts):
        return _NO_DAY
    return _day(int(parts[2]), int(parts[1]), int(parts[0]))


def _day(year: int, month: int, day: int) -> int:
    try:
        return _date(year, month, day).toordinal() - 719_163  # the ordinal of 1970-01-01
    except ValueError:
        return _NO_DAY


def _rolled_over(day: Wholes, problems: list[str]) -> Wholes:
    """
    Return days with those moved that a receiver cannot have seen.

    Before the first roll-over of the week number there was no such log: those days are 1024 weeks early,
    once or more. Days soon after it may be right, or early; they are left, with a word of warning.
    """
    early = day < _FIRST_ROLLOVER
    if early.any():
        day = np.where(early, day + _WEEKS * -((day - _FIRST_ROLLOVER) // _WEEKS), day)
        problems.append(
            f"{int(early.sum()):,} dates before 1999-08-22 were moved on by 1024 weeks (GPS week roll-over)"
        )
    elif len(day) and (day < _DOUBTFUL).all():
        first = np.datetime64(int(day.min()), "D")
        problems.append(f"its dates start at {first}; an old receiver may be 1024 weeks behind (then {first + _WEEKS})")
    return day


def _positions(kind: Wholes, fields: list[list[bytes]]) -> tuple[Reals, Reals, Flags, Flags]:
    """Return degrees, which sentences have a position, and which say that there is none at their moment."""
    count = len(kind)
    lon, lat = np.full(count, np.nan), np.full(count, np.nan)
    valid, void = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    # RMC: time, status, latitude, N/S, longitude, E/W; GGA: time, latitude, N/S, longitude, E/W, quality.
    for which, at in ((_RMC, 2), (_GGA, 1)):
        rows = np.flatnonzero(kind == which)
        parts = [fields[row] if len(fields[row]) >= 6 else [b""] * 6 for row in rows.tolist()]
        south = np.array([part[at + 1][:1] in (b"S", b"s") for part in parts], dtype=bool)
        west = np.array([part[at + 3][:1] in (b"W", b"w") for part in parts], dtype=bool)
        sided = np.array(
            [part[at + 1][:1] in (b"N", b"S", b"n", b"s") and part[at + 3][:1] in (b"E", b"W", b"e", b"w")
             for part in parts], dtype=bool,
        )  # fmt: skip
        lat[rows] = np.where(south, -1, 1) * _degrees(_reals([part[at] for part in parts]))
        lon[rows] = np.where(west, -1, 1) * _degrees(_reals([part[at + 2] for part in parts]))
        if which == _RMC:
            fix = np.array([part[1][:1] in (b"A", b"D") for part in parts], dtype=bool)
            void[rows] = ~fix
        else:
            fix = np.array([part[5].strip() not in (b"", b"0", b"8") for part in parts], dtype=bool)
        valid[rows] = fix & sided
    valid &= (np.abs(lon) <= 180) & (np.abs(lat) <= 90) & ((lon != 0) | (lat != 0))
    return lon, lat, valid, void


def _degrees(value: Reals) -> Reals:
    """Return degrees from degrees and minutes written as one number, dddmm.mmmm."""
    whole = np.floor(value / 100)
    degrees: Reals = whole + (value - 100 * whole) / 60
    return degrees
