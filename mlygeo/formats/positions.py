"""
The one reader of positions: coordinates as text or numbers with their side, and what is not a position.

Degrees, positive to the north and east. Only the standard library is imported here, NumPy in the functions that
take columns.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlygeo.arrays import Flags, Floats

Axis = Literal["lon", "lat"]
"""Which coordinate it is."""

LIMIT: dict[Axis, int] = {"lon": 180, "lat": 90}

_SIDES: dict[Axis, dict[str, int]] = {
    "lon": {"E": 1, "EAST": 1, "W": -1, "WEST": -1},
    "lat": {"N": 1, "NORTH": 1, "S": -1, "SOUTH": -1},
}

_NUMBER = r"\d{1,3}(?:\.\d*)?|\.\d+"
"""No coordinate has more than three digits before the point; more are NMEA's degrees and minutes in one number."""

_SIDE = r"(NORTH|SOUTH|EAST|WEST|[NSEW])"

_DEGREE = "(?:\u00b0|d|deg)"

_PARTS = re.compile(
    rf"{_SIDE}?\s*([+-])?\s*({_NUMBER})\s*(?:(?:{_DEGREE}|,|:|\s)\s*({_NUMBER})\s*(?:['m,:]|min|\s|$)?"
    rf"\s*(?:({_NUMBER})\s*(?:[\"s]|''|sec)?)?)?\s*{_DEGREE}?\s*{_SIDE}?",
    re.IGNORECASE,
)
"""Degrees, or degrees and minutes, or degrees, minutes and seconds; the side before or behind."""

_SOUTH = re.compile(r"[^sSmM]*\d\s*[sS]")
"""An S behind the last number is the side, and not the sign of seconds, unless minutes have a letter too."""

_SOUTH_OR_SECONDS = re.compile(r"[^sSmM]*[mM](?:in|IN)?[^sSmM]*\d\s*S")
"""`33D51M00S`: nobody knows whether this S is the side."""

_TINY = re.compile(r"[+-]?\d(?:\.\d+)?e-\d{1,3}", re.IGNORECASE)
"""How programs write numbers next to zero."""

_SIGNS = dict.fromkeys(map(ord, "\u00ba\u02da"), "\u00b0") | dict.fromkeys(map(ord, "\u2032\u2019\u02b9\u00b4`"), "'")
_SIGNS |= dict.fromkeys(map(ord, "\u2033\u201d\u02ba"), '"')
"""What is written for the signs of degrees, minutes and seconds; NFKC would make letters of some."""

_MINUS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63\uff0d"), "-")

_DECIMAL_COMMA = re.compile(r"([+-]?\d{1,3}),(\d+)")

_ZEROS, _MAY_BE_ZEROS = re.compile(r"\s*[+-]?0\d{3}"), ("0", "+", "-", " ")

_DECIMAL_AND_SIDE = re.compile(rf"({_SIDE}?\s*[+-]?\d{{1,3}}),(\d{{3,}}\s*{_SIDE}?)", re.IGNORECASE)
"""With a comma and a side: no minutes have three digits."""

_TWO_WHOLE = re.compile(rf"{_SIDE}?\s*\d{{1,3}},\d+\s*{_SIDE}?", re.IGNORECASE)
"""Two whole numbers with a comma and a side: degrees and minutes, or a decimal comma."""


def side(text: str | None, axis: Axis) -> int | None:
    """Return the sign of a side: 1 for `N`, `n`, `North`, `E`; -1 for `S`, `W`; None for what is none of the axis."""
    sides = _SIDES[axis]
    return sides.get(text or "") or sides.get((text or "").strip("\0 \t").upper())


def from_text(text: str | None, axis: Axis, ref: str | None = None, *, signed: bool = True) -> float | None:
    """
    Return a coordinate that is written as text; None unless all of it is understood.

    Parameters
    ----------
    text
        Decimal degrees (`-9.17`, `9.17E`, and `9,17` with a decimal comma), degrees and minutes (`53,21.5679N`, Adobe's
        form in XMP), or degrees, minutes and seconds (`48°46'32.1"N`, `48 46 32.1`).
    axis
        Which coordinate; a side of the other one makes it none.
    ref
        Its side, where that stands apart.
    signed
        Whether decimal degrees without a side count by their sign. Otherwise they are none: the hemisphere is unknown.
    """
    degrees = _degrees(text, axis, ref, signed=signed)
    return None if degrees is None else _within(degrees, axis)


def from_texts(texts: Sequence[str], axis: Axis, refs: Sequence[str] | None = None) -> Floats:
    """
    Return the coordinates in a column of texts, as `from_text` reads them; NaN where one is not understood.

    Unlike there, a coordinate off the Earth is returned as it stands; see `possible`.

    Parameters
    ----------
    texts
        The column.
    axis
        Which coordinate.
    refs
        The column of its sides, where there is one; a coordinate without a side is none then.
    """
    import numpy as np

    from mlygeo.formats.texts import reals

    values = reals(list(texts)).copy()
    finite = np.isfinite(values)
    if refs is None:
        signs = np.ones(len(values))
    else:
        known = {each: side(each, axis) for each in set(refs)}
        signs = np.array([known[each] or np.nan for each in refs], dtype=np.float64)
        # -9.17 with E says two things, -9.17 with W one.
        signs[(np.signbit(values) & (values != 0)) & (signs > 0)] = np.nan
        values = np.where(finite, np.abs(values), values)
    values *= signs
    # Degrees and minutes in one number may begin with zeros, 0048.038, and would pass for degrees.
    values[[row for row, text in enumerate(texts) if text[:1] in _MAY_BE_ZEROS and _ZEROS.match(text)]] = np.nan
    read: dict[tuple[str, str | None], float | None] = {}
    for row in np.flatnonzero(~finite).tolist():
        key = texts[row], None if refs is None else refs[row]
        if key not in read:
            read[key] = None if key[1] == "" else _degrees(key[0], axis, key[1])
        found = read[key]
        values[row] = np.nan if found is None else found
    return values


def from_numbers(numbers: Sequence[tuple[int, int]], axis: Axis, ref: str | None) -> float | None:
    """
    Return a coordinate from degrees, minutes and seconds as fractions; some writers give decimal degrees alone.

    Parameters
    ----------
    numbers
        Numerators and denominators.
    axis
        Which coordinate.
    ref
        Its side; without it the hemisphere is unknown, and there is no coordinate.
    """
    sign = side(ref, axis)
    if sign is None or not numbers:
        return None
    degrees, unit = 0.0, 1
    for num, den in numbers[:3]:
        if not den:
            return None
        part = num / den
        if part < 0 or (unit > 1 and part >= 61):
            return None
        degrees += part / unit
        unit *= 60
    return _within(degrees * sign, axis)


def position(lon: float | None, lat: float | None) -> tuple[float, float] | None:
    """Return a position; None where it is none, see `why_none`."""
    return (lon, lat) if lon is not None and lat is not None and why_none(lon, lat) is None else None


def why_none(lon: float, lat: float) -> str | None:
    """Return why two numbers are no position: "(0, 0)", which means no fix, or "out of range"; None for a position."""
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return "without a position"
    if abs(lat) > 90 or abs(lon) > 180:
        return "out of range"
    return "(0, 0)" if lon == 0 and lat == 0 else None


def possible(lon: Floats, lat: Floats) -> tuple[Flags, dict[str, int]]:
    """
    Return which rows have a position, and how many have none, by reason.

    Parameters
    ----------
    lon, lat
        Degrees, shape (n,), float64; NaN where there is none.

    Returns
    -------
    placed
        Shape (n,), bool.
    left_out
        Counts by the reasons of `why_none`; empty where all have one.
    """
    import numpy as np

    known = np.isfinite(lon) & np.isfinite(lat)
    with np.errstate(invalid="ignore"):
        inside = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
        null = (lon == 0) & (lat == 0)
    counts = {
        "without a position": int((~known).sum()),
        "out of range": int((known & ~inside).sum()),
        "(0, 0)": int((known & null).sum()),
    }
    return known & inside & ~null, {reason: count for reason, count in counts.items() if count}


def _degrees(text: str | None, axis: Axis, ref: str | None, *, signed: bool = True) -> float | None:
    """Return what `from_text` does, also where it is more than 90 or 180 degrees."""
    plain = unicodedata.normalize("NFKC", (text or "").translate(_SIGNS)).translate(_MINUS).strip("\0 \t\r\n")
    comma, sided = _DECIMAL_COMMA.fullmatch(plain), _DECIMAL_AND_SIDE.fullmatch(plain)
    if comma is not None:  # Adobe's form always has its side in it
        plain = f"{comma[1]}.{comma[2]}"
    elif sided is not None:
        plain = plain.replace(",", ".")
    elif _TWO_WHOLE.fullmatch(plain):
        return None  # of `9,17E` nobody knows whether 17 are minutes
    if _TINY.fullmatch(plain):
        return float(plain) if signed and not ref else None
    if _SOUTH_OR_SECONDS.fullmatch(plain):
        return None
    south = plain[-1] if _SOUTH.fullmatch(plain) else ""
    match = _PARTS.fullmatch(plain.removesuffix(south))
    if match is None:
        return None
    before, sign, degrees, minutes, seconds, behind = match.groups()
    said = [each for each in (before, behind or south, (ref or "").strip("\0 \t") or None) if each]
    signs = {side(each, axis) for each in said}
    if len(signs) > 1 or None in signs or (minutes and "." in degrees) or (seconds and "." in minutes):
        return None
    if (not signs and not signed and (minutes is None or sign is None)) or (minutes and south == "s"):
        return None
    if float(minutes or 0) >= 60 or float(seconds or 0) >= 60:
        return None
    number = float(degrees) + float(minutes or 0) / 60 + float(seconds or 0) / 3600
    direction = next(iter(signs), None) or 1
    if sign == "-":
        if direction == 1 and signs:
            return None  # -9.17 E says two things
        direction = -1
    return number * direction


def _within(degrees: float, axis: Axis) -> float | None:
    return degrees if abs(degrees) <= LIMIT[axis] else None
