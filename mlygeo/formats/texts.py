"""Columns of text -> numbers and times: lists of texts, and texts taken from a block of bytes at once."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.formats.times import DAY_US, EARLIEST_US, read

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


def cell_moments(texts: pa.Array) -> tuple[Times, int]:
    """Return times in UTC, and how many are none although something stands there. Without a zone they are UTC."""
    import pyarrow as pa

    if texts.null_count == len(texts):
        return np.full(len(texts), "NaT", dtype="datetime64[us]"), 0
    # Arrow reads some forms with a zone as pandas does; a form that it refuses may still be valid.
    for unit in ("us", "ns"):
        with suppress(pa.ArrowInvalid):
            times = texts.cast(pa.timestamp(unit, tz="UTC")).to_numpy(zero_copy_only=False)
            return times.astype("datetime64[us]"), 0
    return moments([text.replace("\r\n", "\n").replace("\r", "\n") for text in texts.fill_null("").to_pylist()])


def reals(texts: list[str]) -> Floats:
    """Return numbers; NaN where a text is not a number."""
    import pyarrow as pa

    if not any(texts):
        return np.full(len(texts), np.nan)
    try:
        numbers: Floats = pa.array(texts, pa.string()).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:  # an empty text, spaces, or not a number: Python decides
        numbers = np.fromiter(map(_real, texts), np.float64, len(texts))
    return numbers


def moments(texts: list[str]) -> tuple[Times, int]:
    """Return times in UTC, and how many are none although something stands there. Without a zone they are UTC."""
    import pandas as pd

    given = np.fromiter(map(bool, texts), bool, len(texts))
    if not given.any():
        return np.full(len(texts), "NaT", dtype="datetime64[us]"), 0
    parsed = pd.to_datetime(pd.Series(texts, dtype="str"), format="ISO8601", utc=True, errors="coerce")
    times = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    for row in np.flatnonzero(np.isnat(times) & given).tolist():
        times[row] = _odd_time(texts[row])
    return times, int((np.isnat(times) & given).sum())


def gps_to_utc_ms(gps_ms: Whole) -> Whole:
    """Return times of GPS (milliseconds since 6 January 1980, without leap seconds) as milliseconds since 1970 UTC."""
    days = np.array([np.datetime64(day, "ms").astype(np.int64) for day in LEAPS])
    # In GPS time, the n-th leap second ends n seconds after that day begins.
    ends = days - GPS_EPOCH_MS + 1000 * np.arange(1, len(days) + 1)
    utc: Whole = gps_ms + GPS_EPOCH_MS - 1000 * np.searchsorted(ends, gps_ms, side="right")
    return utc


def stray(times: Times, track: Whole | None = None) -> Flags:
    """
    Return which times lie years away from the others of their recording.

    Receivers write a default date until they have their first fix. Within one recording the times are grouped at
    gaps of more than a year; the largest group is kept (of equal ones the latest), all others are stray.

    Parameters
    ----------
    times
        Shape (n,), datetime64; NaT where there is none, which is not stray.
    track
        Shape (n,), the number of the recording of each; None for one recording.

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
    found[known[order]] = ~kept[group]
    return found


def implausible(times: Times, now_us: int) -> Flags:
    """Return which times lie before 1995 or more than a day after now; see `mlygeo.formats.times.implausible`."""
    us = times.astype("datetime64[us]").astype(np.int64)
    found: Flags = ~np.isnat(times) & ((us < EARLIEST_US) | (us > now_us + DAY_US))
    return found


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _odd_time(text: str) -> np.datetime64:
    """Return a time that pandas cannot read: 24:00, the 60th second of a leap minute, dates with one digit."""
    found = read(text)
    return np.datetime64("NaT") if found is None else np.datetime64(found.us, "us")
