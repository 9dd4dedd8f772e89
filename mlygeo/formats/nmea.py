"""
NMEA 0183 logs -> points: RMC and GGA sentences of any talker, dates from RMC and ZDA.

Sentences are found, checked and split into fields by the positions of their `$`, commas and ends, a
stretch of the log at once; fields are decoded as columns. Format: NMEA 0183 version 4.10, sentences RMC,
GGA and ZDA.
"""

from __future__ import annotations

import re
from datetime import date as _date
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

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
_RMC, _GGA, _ZDA = 0, 1, 2
_KINDS = (b"RMC,", b"GGA,", b"ZDA,")
_SPACE = " \t\n\r\f\v"
_SIMULATED = 8
"""GGA's quality of simulated positions."""

_NO_DAY = np.iinfo(np.int64).min
_WEEKS = 1024 * 7
"""Days after which the GPS week number starts again from zero."""

_FIRST_ROLLOVER = np.datetime64("1999-08-22").astype("datetime64[D]").astype(np.int64).item()
_DOUBTFUL = np.datetime64("2007-01-01").astype("datetime64[D]").astype(np.int64).item()

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


def decode(text: bytes, *, date: np.datetime64 | None = None) -> Fixes:
    """
    Decode an NMEA log.

    A point is one moment: its position comes from the first GGA or RMC of that moment with a position, its
    altitude from GGA. A moment that RMC calls void has no position. Sentences with a wrong checksum are left
    out, sentences without a checksum are read. GGA has no date: it takes that of the RMC or ZDA of the same
    moment, else of the last one before or the first one after, one day on if the clock has passed midnight
    in between.

    Parameters
    ----------
    text
        The log. Lines that are not NMEA are skipped.
    date
        The day of the first sentence, for logs without a date.

    Returns
    -------
    fixes
        Sorted by time.
    """
    problems: list[str] = []
    parts, wrong = [], 0
    for stretch in _stretches(text):
        sentences, wrong_here = _sentences(stretch)
        parts.append(sentences)
        wrong += wrong_here
    if wrong:
        problems.append(f"{wrong:,} sentences with a wrong checksum were left out")
    if not any(len(part.kind) for part in parts):
        return Fixes(np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype="datetime64[us]"), problems)
    sentences = _Sentences(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    moment, dated = _moments(sentences, date, problems)
    _, _, _, _, lon, lat, altitude, valid, void = sentences

    # One point for each moment: sort by time with a stable sort, and take the first of each group.
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


class _Sentences(NamedTuple):
    """
    The contents of the sentences, in the order of the log.

    Clock and day are microseconds and days since 1970, `_NO_DAY` where there is none. A position is `valid` if
    it can be used; `void` sentences say that their moment has no position; `trusted` ones have a fix.
    """

    kind: Whole
    clock: Whole
    day: Whole
    trusted: Flags
    lon: Floats
    lat: Floats
    altitude: Floats
    valid: Flags
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


def _sentences(text: bytes) -> tuple[_Sentences, int]:
    """Return the sentences with a time and a right checksum, or none, and the number of wrong checksums."""
    stretch, kind, wrong = _cut(text)
    clock = _clock(stretch)
    timed = np.flatnonzero(clock >= 0)
    stretch, kind, clock = stretch.of(timed), kind[timed], clock[timed]
    count = len(kind)
    day, altitude = np.full(count, _NO_DAY), np.full(count, np.nan)
    lon, lat = np.full(count, np.nan), np.full(count, np.nan)
    trusted, valid, void = (np.zeros(count, dtype=bool) for _ in range(3))
    zda = np.flatnonzero(kind == _ZDA)
    if len(zda):
        day[zda] = stretch.of(zda).each(_zda_day, 1, last=3)
    # RMC: time, status, latitude, N/S, longitude, E/W; GGA: time, latitude, N/S, longitude, E/W, quality.
    for which, at in ((_RMC, 2), (_GGA, 1)):
        rows = np.flatnonzero(kind == which)
        here = stretch.of(rows)
        if which == _RMC:
            day[rows] = here.each(_rmc_day, 8)
            status = here.letter(1)
            trusted[rows] = status == ord("A")
            fix = here.long(6) & _among(status, b"AD")
            void[rows] = ~fix
        else:
            fix = here.long(6) & (here.each(_has_fix, 5) > 0)
        north, east = here.letter(at + 1), here.letter(at + 3)
        lat[rows] = np.where(_among(north, b"Ss"), -1, 1) * _degrees(_reals(here.cells(at)))
        lon[rows] = np.where(_among(east, b"Ww"), -1, 1) * _degrees(_reals(here.cells(at + 2)))
        valid[rows] = fix & _among(north, b"NSns") & _among(east, b"EWew")
    valid &= (np.abs(lon) <= 180) & (np.abs(lat) <= 90) & ((lon != 0) | (lat != 0))
    high = np.flatnonzero((kind == _GGA) & valid)
    altitude[high] = _reals(stretch.of(high).cells(8))
    return _Sentences(kind, clock, day, trusted, lon, lat, altitude, valid, void), wrong


def _cut(text: bytes) -> tuple[_Stretch, Whole, int]:
    """Return the sentences of a stretch and their kinds, and how many were left out because of their checksum."""
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
    return _Stretch(text, letters, marks, first[right], stop[right]), kind[right], int((~right).sum())


def _among(letters: Bytes, which: bytes) -> Flags:
    among: Flags = letters == which[0]
    for letter in which[1:]:
        among |= letters == letter
    return among


def _has_fix(quality: str) -> bool:
    return quality.strip(_SPACE) not in ("", "0", str(_SIMULATED))


def _reals(texts: pa.Array) -> Floats:
    """Return numbers in plain digits; NaN where a text is not a number."""
    letters = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)
    if ((letters >= ord("-")) & (letters <= ord("9")) & (letters != ord("/"))).all():
        return cell_reals(texts)
    return np.array(
        [float(text) if text and _NUMBER.fullmatch(text) else np.nan for text in texts.to_pylist()], dtype=np.float64
    )


def _clock(stretch: _Stretch) -> Whole:
    """Return times of day, microseconds; -1 where there is none. A leap second ends the day."""
    start, stop = stretch.field(0)
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
    clocks[odd] = [_odd_clock(text) for text in stretch.of(odd).cells(0).to_pylist()]
    return clocks


def _odd_clock(text: str) -> int:
    match = _HMS.fullmatch(text.strip(_SPACE))
    if match is None:
        return -1
    h, m, s = int(match[1]), int(match[2]), int(match[3])
    fraction = int((match[4] or "0").ljust(6, "0")[:6])
    return ((h * 60 + m) * 60 + s) * 1_000_000 + fraction if h < 24 and m < 60 and s <= 60 else -1


def _moments(sentences: _Sentences, date: np.datetime64 | None, problems: list[str]) -> tuple[Whole, bool]:
    """Return the time of each sentence, microseconds since 1970, and whether the days are known."""
    clock, day, trusted = sentences.clock, sentences.day, sentences.trusted
    # Without a fix, receivers send made-up dates; use these only where there is no other date.
    known = day != _NO_DAY
    if (known & trusted).any():
        known &= trusted
    day[known] = _rolled_over(day[known], problems)

    # A clock that falls back by more than half a day has passed midnight.
    steps = np.diff(clock, prepend=clock[0])
    nights = np.cumsum((steps < -_DAY_US // 2).astype(np.int64) - (steps > _DAY_US // 2).astype(np.int64))
    base = day - nights  # the day of the log's first sentence
    rows = np.flatnonzero(known)
    if not len(rows):
        start = 0 if date is None else int(date.astype("datetime64[D]").astype(np.int64))
        return (start + nights) * _DAY_US + clock, date is not None
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


def _rolled_over(day: Whole, problems: list[str]) -> Whole:
    """
    Return days, with impossible ones moved by roll-overs of the GPS week number.

    Before the first roll-over there was no such log: those days are too early by a multiple of 1024 weeks.
    Days soon after it may be right, or too early; they are unchanged, with a warning.
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


def _degrees(value: Floats) -> Floats:
    """Return degrees from degrees and minutes written as one number, dddmm.mmmm."""
    whole = np.floor(value / 100)
    with np.errstate(invalid="ignore"):  # of endless digits
        degrees: Floats = whole + (value - 100 * whole) / 60
    return degrees
