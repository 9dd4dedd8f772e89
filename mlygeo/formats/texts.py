"""Columns of text -> numbers and times: lists of texts, and texts taken from a block of bytes at once."""

from __future__ import annotations

import codecs
import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.formats.times import DAY_US, EARLIEST_US, ROLLOVER_US, read

if TYPE_CHECKING:
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats, Times, Whole

GPS_EPOCH_MS = 315_964_800_000
"""6 January 1980, from which GPS counts."""

WEEK_MS = 7 * 24 * 3600 * 1000

LEAPS = (
    "1981-07-01", "1982-07-01", "1983-07-01", "1985-07-01", "1988-01-01", "1990-01-01", "1991-01-01", "1992-07-01",
    "1993-07-01", "1994-07-01", "1996-01-01", "1997-07-01", "1999-01-01", "2006-01-01", "2009-01-01", "2012-07-01",
    "2015-07-01", "2017-01-01",
)  # fmt: skip
"""Days before which a leap second was inserted since GPS time began (IERS Bulletin C); UTC is behind by their count."""

_YEAR_US = 365 * DAY_US

_FORM = r"^[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?"

_OFFSET = r"(?:Z|\+(?:0\d|1[0-3]):[0-5]\d|\+14:00|-(?:0\d|1[01]):[0-5]\d|-12:00)$"
"""Offsets from UTC as `times.zone` has them: none is west of -12:00 or east of +14:00."""

_SHORTEST = {"UTC": len("2024-06-09T08:00:00Z"), None: len("2024-06-09T08:00")}
"""Arrow reads dates and hours alone too; texts of at least this length have hours and minutes, and are whole times."""

_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']""")

_FIRST_US = -719_162 * DAY_US
"""The year 1; Arrow knows a year 0."""


class Moments(NamedTuple):
    """
    Times of a column of texts.

    Parameters
    ----------
    time
        Shape (n,), datetime64[us], UTC; NaT where there is none.
    senseless
        How many texts are not understood as a time.
    zoneless
        How many times say no zone, and were taken as UTC.
    """

    time: Times
    senseless: int
    zoneless: int


def encoding_of(start: bytes) -> str:
    """
    Return the encoding of a text, from its first bytes: that of its byte order mark, of its zeros, or as XML declares.

    Parameters
    ----------
    start
        The first bytes; some letters of ASCII are assumed there.

    Returns
    -------
    encoding
        The name of a codec; "utf-8" where nothing tells another.
    """
    marks = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
             codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
    marked = next((encoding for mark, encoding in marks.items() if start.startswith(mark)), None)
    if marked is not None:
        return marked
    for step, name in ((4, "utf-32"), (2, "utf-16")):
        # Of a letter of ASCII all bytes but one are zero, at the same end.
        head = start[: min(len(start), 256) // step * step]
        zeros = [head[place::step].count(0) for place in range(step)]
        most = 0.9 * len(head) / step
        if head and min(zeros[1:]) >= most > zeros[0]:
            return f"{name}-le"
        if head and min(zeros[:-1]) >= most > zeros[-1]:
            return f"{name}-be"
    found = _DECLARED.search(start[:1024])
    declared = "utf-8" if found is None else found[1].decode()
    with suppress(LookupError):
        if "16" not in declared and "32" not in declared:  # whose letters would have zeros
            return codecs.lookup(declared).name
    return "utf-8"


def cells(block: bytes, starts: Whole, stops: Whole) -> pa.Array:
    """
    Return the texts between positions of a block; null where a text is empty.

    Parameters
    ----------
    block
        Bytes; the texts are ASCII.
    starts
        Where each text starts, ascending.
    stops
        Where each text ends, not after the start of the next one.

    Returns
    -------
    texts
        Arrow strings.
    """
    import pyarrow as pa

    count = len(starts)
    if not count:
        return pa.array([], pa.string())
    # Arrow's offsets: a text, the bytes before the next one, the next one, and so on; every second is a text.
    offsets = np.empty(2 * count, dtype=np.int32)
    offsets[::2], offsets[1::2] = starts, stops
    both = pa.Array.from_buffers(pa.string(), 2 * count - 1, [None, pa.py_buffer(offsets), pa.py_buffer(block)])
    empty = starts == stops
    return both.take(pa.array(np.arange(0, 2 * count, 2, dtype=np.int32), mask=empty if empty.any() else None))


def cell_reals(texts: pa.Array) -> Floats:
    """Return numbers; NaN where a text is not a number, or null."""
    import pyarrow as pa

    if texts.null_count == len(texts):
        return np.full(len(texts), np.nan)
    try:
        numbers: Floats = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = reals(texts.fill_null("").to_pylist())
    return numbers


def cell_moments(texts: pa.Array) -> Moments:
    """
    Return the times that texts say, each understood in full or not at all, as `mlygeo.formats.times.read` has it.

    Parameters
    ----------
    texts
        Arrow strings; null where nothing stands.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if texts.null_count == len(texts):
        return Moments(np.full(len(texts), "NaT", dtype="datetime64[us]"), 0, 0)
    # Nearly all logs write one form throughout.
    for zone in ("UTC", None):
        usual = _usual(texts, zone)
        if usual is not None:
            return Moments(usual, 0, 0 if zone else len(texts) - texts.null_count)
    time = np.full(len(texts), "NaT", dtype="datetime64[us]")
    zoned = pc.match_substring_regex(texts, _FORM + _OFFSET).fill_null(fill_value=False)
    local = pc.match_substring_regex(texts, _FORM + "$").fill_null(fill_value=False)
    plain = pc.or_(zoned, local).to_numpy(zero_copy_only=False)
    time[plain] = _in_form(texts.filter(pa.array(plain)))
    zoneless = int(np.count_nonzero(local.to_numpy(zero_copy_only=False) & ~np.isnat(time)))
    rest = np.flatnonzero(np.isnat(time) & texts.is_valid().to_numpy(zero_copy_only=False))
    coded = texts.take(pa.array(rest)).dictionary_encode()
    readings = [read(text) for text in coded.dictionary.to_pylist()]
    known = np.array([0 if reading is None else reading.us for reading in readings], dtype="datetime64[us]")
    known[[reading is None for reading in readings]] = np.datetime64("NaT", "us")
    without = np.array([reading is not None and reading.offset_s is None for reading in readings], dtype=bool)
    codes = coded.indices.to_numpy()
    time[rest] = known[codes]
    return Moments(time, int(np.isnat(time[rest]).sum()), zoneless + int(without[codes].sum()))


def reals(texts: list[str]) -> Floats:
    """Return numbers; NaN where a text is not a number."""
    import pyarrow as pa

    if not any(texts):
        return np.full(len(texts), np.nan)
    try:
        numbers: Floats = pa.array(texts, pa.string()).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:  # an empty text, spaces, or not a number: Python decides
        numbers = np.fromiter(map(real, texts), np.float64, len(texts))
    return numbers


def real(text: str) -> float:
    """Return a number; NaN where a text is not a number."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def gps_to_utc_ms(gps_ms: Whole) -> Whole:
    """Return times of GPS (milliseconds since 6 January 1980, without leap seconds) as milliseconds since 1970 UTC."""
    days = np.array([np.datetime64(day, "ms").astype(np.int64) for day in LEAPS])
    # In GPS time, the n-th leap second ends n seconds after that day begins.
    ends = days - GPS_EPOCH_MS + 1000 * np.arange(1, len(days) + 1)
    utc: Whole = gps_ms + GPS_EPOCH_MS - 1000 * np.searchsorted(ends, gps_ms, side="right")
    return utc


def stray(times: Times, track: Whole | None = None, *, share: float = 1.0, few: int = 0) -> Flags:
    """
    Return which times lie years away from the others of their recording.

    Receivers write a default date until they have their first fix. Within one recording the times are grouped at
    gaps of more than a year; the largest group is kept (of equal ones the latest), others are stray.

    Parameters
    ----------
    times
        Shape (n,), datetime64; NaT where there is none, which is not stray.
    track
        Shape (n,), the number of the recording of each; None for one recording.
    share
        A group of more than this share of its recording is not a default date, and is not stray; by default all are.
    few
        Nor is it for its share where it has no more points than these.

    Returns
    -------
    stray
        Shape (n,), bool.
    """
    found = np.zeros(len(times), dtype=bool)
    known = np.flatnonzero(~np.isnat(times))
    if not len(known):
        return found
    us = times[known].astype("datetime64[us]").astype(np.int64)
    part = np.zeros(len(known), dtype=np.int64) if track is None else np.asarray(track)[known]
    if us.max() - us.min() <= _YEAR_US:
        return found
    order = np.lexsort((us, part))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(us[order]) > _YEAR_US) | (np.diff(part[order]) != 0)
    group = np.cumsum(new) - 1
    size, owner = np.bincount(group), part[order][new]
    # The last of the groups of a recording by size, then by time.
    ranked = np.lexsort((np.arange(len(size)), size, owner))
    last = np.ones(len(ranked), dtype=bool)
    last[:-1] = np.diff(owner[ranked]) != 0
    kept = np.zeros(len(size), dtype=bool)
    kept[ranked[last]] = True
    whole = np.zeros(int(owner.max()) + 1, dtype=np.int64)
    np.add.at(whole, owner, size)
    kept |= size > np.maximum(share * whole[owner], few)
    found[known[order]] = ~kept[group]
    return found


def rolled_over(times: Times, now_us: int, *, before_us: int = EARLIEST_US) -> tuple[Times, str | None]:
    """
    Return times, with those moved on that a receiver's week number has put back, and what is in doubt.

    GPS sends its week number in ten bits; receivers from before a roll-over go back by 1024 weeks. What lies before
    such logs existed is moved on; where all times would be as plausible 1024 weeks later, they stay, and it is said.

    Parameters
    ----------
    times
        Shape (n,), datetime64[us].
    now_us
        The time now, microseconds since 1970.
    before_us
        What lies before is moved on; not what lies before 1980-01-06, since GPS time began then.
    """
    us = times.astype("datetime64[us]").astype(np.int64)
    known = ~np.isnat(times)
    early = known & (us < before_us) & (us >= GPS_EPOCH_MS * 1000)
    if early.any():
        moved = np.where(early, us + ROLLOVER_US * -((us - before_us) // ROLLOVER_US), us).astype("datetime64[us]")
        day = np.datetime64(before_us, "us").astype("datetime64[D]")
        return moved, f"times before {day} were moved on by 1024 weeks (GPS week roll-over): {int(early.sum()):,}"
    if known.any() and us[known].max() + ROLLOVER_US <= now_us:
        first = us[known].min()
        days = (np.datetime64(int(at), "us").astype("datetime64[D]") for at in (first, first + ROLLOVER_US))
        return times, "its dates start at {}; an old receiver may be 1024 weeks behind (then {})".format(*days)
    return times, None


def implausible(times: Times, now_us: int) -> Flags:
    """Return which times lie before 1995 or more than a day after now; see `mlygeo.formats.times.implausible`."""
    us = times.astype("datetime64[us]").astype(np.int64)
    found: Flags = ~np.isnat(times) & ((us < EARLIEST_US) | (us > now_us + DAY_US))
    return found


def _usual(texts: pa.Array, zone: str | None) -> Times | None:
    """Return times where Arrow reads all of them, all with an offset from UTC or all without; else None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for unit in ("us", "ns"):
        with suppress(pa.ArrowInvalid):
            time: Times = texts.cast(pa.timestamp(unit, tz=zone)).to_numpy(zero_copy_only=False)
            time = time.astype("datetime64[us]")
            long = pc.min(pc.binary_length(texts)).as_py() >= _SHORTEST[zone]
            in_use = (
                zone is None
                or pc.all(pc.ends_with(texts, pattern="Z")).as_py()
                or pc.all(pc.match_substring_regex(texts, _OFFSET)).as_py()
            )
            first = time.min() if not texts.null_count else time[~np.isnat(time)].min()
            return time if long and in_use and first.astype(np.int64) >= _FIRST_US else None
    return None


def _in_form(texts: pa.Array) -> Times:
    """Return the times of texts in the usual form; NaT where there is no such day or hour."""
    import pandas as pd

    parsed = pd.to_datetime(texts.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    times: Times = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    return times
