"""
NMEA 0183 logs -> points: RMC, GGA, GNS and GLL sentences of any talker, dates from RMC and ZDA.

Sentences are found, checked and split into fields by the positions of their `$`, commas and ends, a
stretch of the log at once; fields are decoded as columns. Format: NMEA 0183 version 4.10, sentences RMC,
GGA, GNS, GLL and ZDA.
"""

from __future__ import annotations

import math
import re
import time as _time
from collections import Counter
from datetime import date as _date
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.degrees import turn
from mlygeo.formats import texts
from mlygeo.formats.texts import cell_reals, cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from mlygeo.arrays import Bytes, Flags, Floats, Times, Whole

STRETCH = 1 << 20
"""Bytes decoded at a time."""

_HEAD = len("$GPRMC,")
_LONGEST = 200
"""Bytes of a sentence that are read."""

_FIELDS = 16
"""Commas after a stretch: at least the highest number of a field that is read."""

_AHEAD = 32
"""Zeros after a stretch, so that a few letters can be read from any place in it."""

SNIFF = re.compile(rb"\$[A-Z]{2}[A-Z]{3},[^\r\n]*")
"""Pattern of an NMEA sentence."""

_DAY_US = 86_400_000_000
_RMC, _GGA, _ZDA, _GNS, _GLL = range(5)
_KINDS = (b"RMC,", b"GGA,", b"ZDA,", b"GNS,", b"GLL,")

_PROPRIETARY = (b"$PGRMF,", b"$PUBX,00")
"""Sentences of Garmin's and u-blox' own with a position; they are not read, but counted."""

_FINE, _NO_FIX, _SIMULATION, _STRANGE, _OFF_EARTH, _ZERO = range(6)
_REASONS = ("", "without a fix", "simulated", "position not understood", "out of range", "(0, 0)")
"""Why a sentence has no position."""

_NOT_DECIMAL = 3
"""Digits before the point of degrees and minutes; a latitude with fewer may be decimal degrees instead."""

_FOLLOWS_US = 600_000_000
"""Sentences this close to the one before are one recording, whose date does not jump."""

_APART = 0.01
"""Degrees by which sentences of one moment may differ: some round to whole minutes of a hundredth."""

_SPACE = " \t\n\r\f\v"
_SIMULATED = 8
"""GGA's quality of simulated positions."""

_NO_DAY = np.iinfo(np.int64).min
_FIRST_ROLLOVER = np.datetime64("1999-08-22").astype("datetime64[D]").astype(np.int64).item()

_CAPITAL = (np.arange(256) >= ord("A")) & (np.arange(256) <= ord("Z"))
_HEX = np.full(256, -1)
_HEX[np.frombuffer(b"0123456789ABCDEFabcdef", dtype=np.uint8)] = [*range(16), *range(10, 16)]
_ASCII = bytes(range(128)) + b"?" * 128

_NUMBER = re.compile(r"\s*-?(?:\d+\.?\d*|\.\d+)\s*", re.ASCII)
_HMS = re.compile(r"(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?", re.ASCII)


class Fixes(NamedTuple):
    """Points in the order of time; altitude in metres, NaN when unknown; time NaT where no date is known."""

    lon: Floats
    lat: Floats
    altitude: Floats
    time: Times
    problems: list[str]
    left_out: dict[str, int]


def decode(text: bytes, *, date: np.datetime64 | None = None, now_us: int | None = None) -> Fixes:
    """
    Decode an NMEA log.

    A point is one moment: its position comes from the first GGA, RMC, GNS or GLL of that moment with a position,
    its altitude from GGA or GNS. A moment that RMC or GLL calls void has no position. Sentences with a wrong
    checksum are left out, sentences without a checksum are read. What is not degrees and minutes in one number,
    such as decimal degrees, is not a position. GGA, GNS and GLL have no date: they take that of the RMC or ZDA of the
    same moment, else of the last one before or the first one after, one day on if the clock has passed midnight
    in between. A date that jumps while the clock goes on, as where it moves one sentence after midnight, is put
    right.

    Parameters
    ----------
    text
        The log. Lines that are not NMEA are skipped.
    date
        The day of the first sentence, for logs without a date.
    now_us
        The time now, microseconds since 1970; None asks the clock.

    Returns
    -------
    fixes
        Sorted by time; `left_out` counts moments without a position, and sentences, by reason.
    """
    problems: list[str] = []
    left_out: Counter[str] = Counter()
    parts = []
    for stretch in _stretches(text):
        sentences, wrong, proprietary = _sentences(stretch)
        parts.append(sentences)
        left_out.update({"wrong checksum": wrong, "proprietary position": proprietary})
    if not any((part.kind != _ZDA).any() for part in parts):
        problems.append("no sentence tells a position; RMC, GGA, GNS and GLL do")
    if not any(len(part.kind) for part in parts):
        nothing = np.empty(0, dtype="datetime64[us]")
        return Fixes(np.empty(0), np.empty(0), np.empty(0), nothing, problems, dict(+left_out))
    sentences = _Sentences(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    now_us = _time.time_ns() // 1000 if now_us is None else now_us
    moment, dated = _moments(sentences, date, now_us, problems)
    _, _, _, _, lon, lat, altitude, why, void = sentences

    # One point for each moment: sort by time with a stable sort, and take the first of each group.
    order = np.argsort(moment, kind="stable")
    starts = np.flatnonzero(np.diff(moment[order], prepend=moment[order[0]] - 1))
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(order)))
    usable = (why == _FINE) & ~np.isin(group, group[void])
    first = _first(group[usable], np.flatnonzero(usable), len(starts))
    heights = usable & np.isfinite(altitude)
    high = _first(group[heights], np.flatnonzero(heights), len(starts))
    kept = np.flatnonzero(first >= 0)
    rows, heights_at = first[kept], high[kept]
    _count_lost(group, first, why, void, left_out)
    apart = (np.abs(lat - lat[first[group]]) > _APART) | (turn(lon, lon[first[group]]) > _APART)
    if contradicting := len(np.unique(group[usable & apart])):
        problems.append(f"sentences of one moment lie apart, the first was taken: {contradicting:,}")
    time = moment[rows].astype("datetime64[us]")
    if not dated:
        time[:] = np.datetime64("NaT", "us")
        problems.append("no sentence tells the date; the day of the first one can be given")
    altitude = np.where(heights_at >= 0, altitude[heights_at], np.nan)
    return Fixes(lon[rows], lat[rows], altitude, time, problems, dict(+left_out))


def _count_lost(group: Whole, first: Whole, why: Whole, void: Flags, left_out: Counter[str]) -> None:
    """Count the moments without a position, by what the first sentence that should have one says."""
    said = np.where(void, _NO_FIX, why)
    # Where one sentence of a moment is void, it is without a fix whatever the others say.
    told = np.flatnonzero((said > _FINE) & (first[group] < 0))
    told = told[np.lexsort((told, ~void[told], group[told]))]
    reason = said[told[np.flatnonzero(np.diff(group[told], prepend=-1))]] if len(told) else told
    left_out.update({_REASONS[code]: int(count) for code, count in enumerate(np.bincount(reason)) if count})


def coordinate(text: str, side: str) -> float:
    """
    Return degrees from degrees and minutes in one number, dddmm.mmmm, and a side; NaN where they are not.

    Numbers with fewer than three digits before the point may be decimal degrees, and are none.
    """
    sign = {"N": 1, "E": 1, "S": -1, "W": -1}.get(side.strip(_SPACE).upper()[:1])
    text = text.strip(_SPACE)
    if sign is None or not _NUMBER.fullmatch(text) or len(text.partition(".")[0]) < _NOT_DECIMAL:
        if sign is not None and _NUMBER.fullmatch(text) and float(text) == 0:
            return 0.0
        return math.nan
    whole, minutes = divmod(float(text), 100)
    return sign * (whole + minutes / 60) if whole >= 0 and minutes < 60 and "-" not in text else math.nan


def day(text: str) -> int | None:
    """Return the days since 1970 of a day written ddmmyy; None where it is not a day."""
    found = _rmc_day(text)
    return None if found == _NO_DAY else found


class _Sentences(NamedTuple):
    """
    The contents of the sentences, in the order of the log.

    Clock and day are microseconds and days since 1970, `_NO_DAY` where there is none. `why` is `_FINE` where the
    position can be used, another reason where it cannot, and -1 for sentences that have none; `void` sentences
    say that their moment has no position; the dates of `trusted` ones are with a fix.
    """

    kind: Whole
    clock: Whole
    day: Whole
    trusted: Flags
    lon: Floats
    lat: Floats
    altitude: Floats
    why: Whole
    void: Flags


class _Stretch(NamedTuple):
    """Sentences of a stretch of the log, and where their fields are."""

    text: bytes
    letters: Bytes
    marks: Whole  # positions of commas and ends of sentences
    first: Whole  # for each sentence, the index in marks of the comma before its first field
    end: Whole  # where its last field ends

    def of(self, rows: Whole) -> _Stretch:
        """Return some of the sentences."""
        return self._replace(first=self.first[rows], end=self.end[rows])

    def long(self, fields: int) -> Flags:
        """Return which sentences have at least so many fields."""
        whole: Flags = self.marks[self.first + fields - 1] < self.end
        return whole

    def field(self, number: int, last: int = 0) -> tuple[Whole, Whole]:
        """Return where a field starts and stops, or several up to the last; an empty one where there is none."""
        before = np.minimum(self.marks[self.first + number], self.end)
        stop = np.minimum(self.marks[self.first + max(number, last) + 1], self.end)
        return np.minimum(before + 1, stop), stop

    def cells(self, number: int, last: int = 0) -> pa.Array:
        """Return the texts of a field."""
        return cells(self.text, *self.field(number, last))

    def letter(self, number: int) -> Bytes:
        """Return the first letter of a field; 0 where it is empty."""
        start, stop = self.field(number)
        return np.where(stop > start, self.letters[start], 0)

    def each(self, function: Callable[[str], int], number: int, last: int = 0) -> Whole:
        """Return a function's result for each text of a field; it is called once for each distinct text."""
        start, stop = self.field(number, last)
        width = stop - start
        if not len(width):
            return width
        changed = np.zeros(len(width), dtype=bool)
        changed[1:] = width[1:] != width[:-1]
        for place in range(int(width.max())):
            letter = np.where(width > place, self.letters[np.minimum(start + place, len(self.text))], 0)
            changed[1:] |= letter[1:] != letter[:-1]
        changed[0] = True
        coded = cells(self.text, start[changed], stop[changed]).fill_null("").dictionary_encode()
        values: Whole = np.array([function(text) for text in coded.dictionary.to_pylist()], dtype=np.int64)
        result: Whole = values[coded.indices.to_numpy()][np.cumsum(changed) - 1]
        return result


def _first(groups: Whole, rows: Whole, count: int) -> Whole:
    """Return the first row of each group; -1 where it has none."""
    first = np.full(count, -1, dtype=np.int64)
    first[groups[::-1]] = rows[::-1]
    return first


def _stretches(text: bytes) -> Iterator[bytes]:
    """Return the log in stretches; none ends within a sentence."""
    at = 0
    while at < len(text):
        stop = at + STRETCH
        if stop < len(text):
            # A sentence contains no $, so a stretch may end before its last $.
            cut = text.rfind(b"$", at + 1, stop)
            stop = cut if cut > 0 else stop
        yield text[at:stop]
        at = stop


def _sentences(text: bytes) -> tuple[_Sentences, int, int]:
    """Return the sentences with a time and a right checksum, or none; the numbers of wrong and of proprietary ones."""
    stretch, kind, wrong, proprietary = _cut(text)
    clock = np.full(len(kind), -1)
    for rows, at in ((np.flatnonzero(kind != _GLL), 0), (np.flatnonzero(kind == _GLL), 4)):
        clock[rows] = _clock(stretch.of(rows), at)
    timed = np.flatnonzero(clock >= 0)
    stretch, kind, clock = stretch.of(timed), kind[timed], clock[timed]
    count = len(kind)
    day, altitude = np.full(count, _NO_DAY), np.full(count, np.nan)
    lon, lat = np.full(count, np.nan), np.full(count, np.nan)
    trusted, void = (np.zeros(count, dtype=bool) for _ in range(2))
    why = np.full(count, -1)
    zda = np.flatnonzero(kind == _ZDA)
    if len(zda):
        day[zda] = stretch.of(zda).each(_zda_day, 1, last=3)
    # RMC: time, status, latitude, N/S, longitude, E/W, …, mode; GGA: time, latitude, N/S, longitude, E/W, quality;
    # GNS: the same with a letter for each system; GLL: latitude, N/S, longitude, E/W, time, status, mode.
    for which, at in ((_RMC, 2), (_GGA, 1), (_GNS, 1), (_GLL, 0)):
        rows = np.flatnonzero(kind == which)
        if not len(rows):
            continue
        here = stretch.of(rows)
        if which in (_RMC, _GLL):
            status, mode = here.letter(1 if which == _RMC else 5), here.letter(11 if which == _RMC else 6)
            fix = np.where(_among(status, b"AD") & ~_among(mode, b"NS"), _FINE, _NO_FIX)
            fix[mode == ord("S")] = _SIMULATION
            if which == _RMC:
                day[rows] = here.each(_rmc_day, 8)
                trusted[rows] = status == ord("A")
                fix[~here.long(6) & (fix == _FINE)] = _NO_FIX
            void[rows] = fix != _FINE if which == _RMC else status == ord("V")
        else:
            fix = np.where(here.long(6), here.each(_gga_fix if which == _GGA else _gns_fix, 5), _NO_FIX)
        lon[rows], lat[rows], strange = _positions(here, at)
        why[rows] = np.where(fix == _FINE, strange, fix)
    high = np.flatnonzero(((kind == _GGA) | (kind == _GNS)) & (why == _FINE))
    here = stretch.of(high)
    # An altitude at the end of the sentence may be cut off.
    altitude[high] = np.where(here.long(10), _reals(here.cells(8)), np.nan)
    return _Sentences(kind, clock, day, trusted, lon, lat, altitude, why, void), wrong, proprietary


def _positions(here: _Stretch, at: int) -> tuple[Floats, Floats, Whole]:
    """Return longitudes and latitudes whose fields start at a number, and why they are none."""
    north, east = here.letter(at + 1), here.letter(at + 3)
    lat, lon = _reals(here.cells(at)), _reals(here.cells(at + 2))
    sided = _among(north, b"NSns") & _among(east, b"EWew")
    with np.errstate(invalid="ignore"):
        fine = sided & (lat >= 0) & (lon >= 0) & (lat % 100 < 60) & (lon % 100 < 60)
    fine &= (_digits(here, at) >= _NOT_DECIMAL) & (_digits(here, at + 2) >= _NOT_DECIMAL)
    empty = (here.letter(at) == 0) | (here.letter(at + 2) == 0)
    zero = (lat == 0) & (lon == 0)
    lat = np.where(_among(north, b"Ss"), -1, 1) * _degrees(lat)
    lon = np.where(_among(east, b"Ww"), -1, 1) * _degrees(lon)
    inside = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    why = np.select([zero, empty, ~fine, ~inside], [_ZERO, _NO_FIX, _STRANGE, _OFF_EARTH], _FINE)
    return lon, lat, why


def _digits(here: _Stretch, number: int) -> Whole:
    """Return how many digits a field begins with, at most `_NOT_DECIMAL`."""
    start, stop = here.field(number)
    count, goes_on = np.zeros(len(start), dtype=np.int64), np.ones(len(start), dtype=bool)
    for place in range(_NOT_DECIMAL):
        goes_on &= (start + place < stop) & (here.letters[start + place] - np.uint8(ord("0")) <= 9)
        count += goes_on
    return count


def _cut(text: bytes) -> tuple[_Stretch, Whole, int, int]:
    """Return the sentences of a stretch and their kinds, how many have a wrong checksum, and how many no known form."""
    letters = np.frombuffer(text + bytes(_AHEAD), dtype=np.uint8)
    # Only commas and ends of sentences are needed; most other characters come later in ASCII.
    marks = np.flatnonzero(letters[: len(text)] <= ord(","))
    sign = letters[marks]
    counts = _among(sign, b"$*,\r\n")
    if not counts.all():
        marks, sign = marks[counts], sign[counts]
    ends = np.flatnonzero(sign != ord(","))
    marks, ends = np.append(marks, np.full(_FIELDS, len(text))), np.append(ends, len(marks))

    # Text before the $ is skipped: dash cameras write the time of their own clock there.
    number = np.flatnonzero(sign[ends[:-1]] == ord("$"))
    start = marks[ends[number]]
    head = np.ndarray((len(letters) - 7,), dtype="<u8", buffer=letters, strides=(1,))[start]
    kind = np.full(len(start), -1)
    for which, name in enumerate(_KINDS):
        kind[head >> 24 & 0xFFFFFFFF == int.from_bytes(name, "little")] = which
    kind[~_CAPITAL[head >> 8 & 0xFF] | ~_CAPITAL[head >> 16 & 0xFF]] = -1
    kind[head >> 8 & 0xFF == ord("P")] = -1  # $PGRMC is Garmin's, and no RMC
    unread = np.zeros(len(head), dtype=bool)
    for name in _PROPRIETARY:
        unread |= head & np.uint64((1 << 8 * len(name)) - 1) == np.uint64(int.from_bytes(name, "little"))
    fine = kind >= 0
    number, start, kind = number[fine], start[fine], kind[fine]
    first = ends[number] + 1
    stop = np.minimum(marks[ends[number + 1]], start + _HEAD + _LONGEST)

    # The checksum is over all bytes between $ and *.
    high, low = _HEX[letters[stop + 1]], _HEX[letters[stop + 2]]
    checksum = np.where((letters[stop] == ord("*")) & (high >= 0) & (low >= 0), high * 16 + low, -1)
    sums = np.bitwise_xor.reduceat(letters, np.column_stack([start + 1, stop]).ravel())[::2] if len(start) else checksum
    right = (checksum < 0) | (checksum == sums)

    if not text.isascii():
        text = text.translate(_ASCII)
    sentences = _Stretch(text, letters, marks, first[right], stop[right])
    return sentences, kind[right], int((~right).sum()), int(unread.sum())


def _among(letters: Bytes, which: bytes) -> Flags:
    among: Flags = letters == which[0]
    for letter in which[1:]:
        among |= letters == letter
    return among


def _gga_fix(quality: str) -> int:
    quality = quality.strip(_SPACE)
    return _SIMULATION if quality == str(_SIMULATED) else _NO_FIX if quality in ("", "0") else _FINE


def _gns_fix(modes: str) -> int:
    """Return whether one of the satellite systems has a fix; each has a letter."""
    found = set(modes.strip(_SPACE)) - {"N", "n"}
    return _NO_FIX if not found else _SIMULATION if found <= {"S", "s"} else _FINE


def _reals(texts: pa.Array) -> Floats:
    """Return numbers in plain digits; NaN where a text is not a number."""
    letters = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)
    if ((letters >= ord("-")) & (letters <= ord("9")) & (letters != ord("/"))).all():
        return cell_reals(texts)
    return np.array(
        [float(text) if text and _NUMBER.fullmatch(text) else np.nan for text in texts.to_pylist()], dtype=np.float64
    )


def _clock(stretch: _Stretch, number: int) -> Whole:
    """Return times of day in a field, microseconds; -1 where there is none. A leap second ends the day."""
    start, stop = stretch.field(number)
    width = stop - start
    digits = [stretch.letters[start + place] - np.uint8(ord("0")) for place in range(6)]  # a non-digit exceeds 9
    plain = (width == 6) | ((width >= 8) & (width <= 16) & (stretch.letters[start + 6] == ord(".")))
    fraction = np.zeros(len(start), dtype=np.int32)
    for place in range(7, min(int(width.max(initial=0)), 16)):
        digit = np.where(width > place, stretch.letters[start + place] - np.uint8(ord("0")), 0)
        digits.append(digit)
        if place < 13:
            fraction += digit * np.int32(10 ** (12 - place))
    for digit in digits:
        plain &= digit <= 9
    h, m, s = (10 * digits[place] + digits[place + 1] for place in (0, 2, 4))
    seconds = (h * np.int32(60) + m) * np.int32(60) + s
    plain_clock = seconds * np.int64(1_000_000) + fraction
    clocks: Whole = np.where(plain & (h < 24) & (m < 60) & (s <= 60), plain_clock, -1)
    odd = np.flatnonzero(~plain & (width > 0))
    clocks[odd] = [_odd_clock(text) for text in stretch.of(odd).cells(number).to_pylist()]
    return clocks


def _odd_clock(text: str) -> int:
    match = _HMS.fullmatch(text.strip(_SPACE))
    if match is None:
        return -1
    h, m, s = int(match[1]), int(match[2]), int(match[3])
    fraction = int((match[4] or "0").ljust(6, "0")[:6])
    return ((h * 60 + m) * 60 + s) * 1_000_000 + fraction if h < 24 and m < 60 and s <= 60 else -1


def _moments(sentences: _Sentences, date: np.datetime64 | None, now_us: int, problems: list[str]) -> tuple[Whole, bool]:
    """Return the time of each sentence, microseconds since 1970, and whether the days are known."""
    clock, day, trusted = sentences.clock, sentences.day, sentences.trusted
    # Without a fix, receivers send made-up dates; use these only where there is no other date.
    known = day != _NO_DAY
    if (known & trusted).any():
        known &= trusted
    moved, doubt = texts.rolled_over(day[known].astype("datetime64[D]"), now_us, before_us=_FIRST_ROLLOVER * _DAY_US)
    day[known] = moved.astype("datetime64[D]").astype(np.int64)
    problems += [] if doubt is None else [doubt]

    # A clock that falls back by more than half a day has passed midnight.
    steps = np.diff(clock, prepend=clock[0])
    nights = np.cumsum((steps < -_DAY_US // 2).astype(np.int64) - (steps > _DAY_US // 2).astype(np.int64))
    base = day - nights  # the day of the log's first sentence
    rows = np.flatnonzero(known)
    if not len(rows):
        start = 0 if date is None else int(date.astype("datetime64[D]").astype(np.int64))
        return (start + nights) * _DAY_US + clock, date is not None
    if corrected := _put_right(base, rows, steps):
        problems.append(f"dates that jump by a day while the clock goes on were put right: {corrected:,}")
    after = np.minimum(np.searchsorted(rows, np.arange(len(clock))), len(rows) - 1)
    before = np.maximum(np.searchsorted(rows, np.arange(len(clock)), side="right") - 1, 0)
    # The date of the sentence after counts only at the same moment: there may be a gap of days between.
    same = (clock[rows[after]] == clock) & (clock[rows[before]] != clock)
    return (base[rows[np.where(same, after, before)]] + nights) * _DAY_US + clock, True


def _rmc_day(text: str) -> int:
    text = text.strip(_SPACE)
    if len(text) != 6 or not text.isdigit():
        return _NO_DAY
    year = int(text[4:6])
    return _day(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[:2]))


def _zda_day(text: str) -> int:
    parts = [field.strip(_SPACE) for field in text.split(",")]
    if len(parts) < 3 or not all(part.isdigit() and len(part) <= 4 for part in parts):
        return _NO_DAY
    return _day(int(parts[2]), int(parts[1]), int(parts[0]))


def _day(year: int, month: int, day: int) -> int:
    try:
        return _date(year, month, day).toordinal() - 719_163  # the ordinal of 1970-01-01
    except ValueError:
        return _NO_DAY


def _put_right(base: Whole, rows: Whole, steps: Whole) -> int:
    """
    Correct dates that change while the clock goes on, in place, and return how many.

    Some receivers change the date a sentence after midnight, or at the midnight of their zone. Within a recording
    the day of its first sentence is the same for all; that of most sentences counts, and where the last ones are
    a day early for some minutes since midnight, that of those before.

    Parameters
    ----------
    base
        For each sentence, the day of the log's first sentence as its date tells it.
    rows
        The sentences with a date.
    steps
        Microseconds of the clock since the sentence before.
    """
    if not (np.diff(base[rows]) != 0).any():
        return 0
    gone = np.abs((steps + _DAY_US // 2) % _DAY_US - _DAY_US // 2)
    recording = np.cumsum(gone > _FOLLOWS_US)[rows]
    since = np.cumsum(np.where(gone > _FOLLOWS_US, 0, gone))
    starts = np.flatnonzero(np.diff(recording, prepend=recording[0] - 1))
    corrected = 0
    for start, stop in zip(starts, np.append(starts[1:], len(rows)), strict=True):
        here = rows[start:stop]
        days, counts = np.unique(base[here], return_counts=True)
        if len(days) == 1:
            continue
        first = base[here[0]]
        late = here[base[here] == first - 1]
        is_late = len(days) == 2 and len(late) and since[late[-1]] - since[late[0]] <= _FOLLOWS_US
        is_usual = counts[days == first][0] == counts.max()
        usual = first if is_late or is_usual else days[np.argmax(counts)]
        wrong = here[np.abs(base[here] - usual) == 1]
        base[wrong] = usual
        corrected += len(wrong)
    return corrected


def _degrees(value: Floats) -> Floats:
    """Return degrees from degrees and minutes written as one number, dddmm.mmmm."""
    whole = np.floor(value / 100)
    with np.errstate(invalid="ignore"):  # of endless digits
        degrees: Floats = whole + (value - 100 * whole) / 60
    return degrees
