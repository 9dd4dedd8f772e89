"""What a row of a frame says, each value in one form, whatever form it came in."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import InputError
from mlygeo.formats import positions, times
from mlygeo.formats.exif import signed_altitude

if TYPE_CHECKING:
    from collections.abc import Mapping

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def position(image: Mapping[str, Any], name: str = "geometry") -> tuple[float, float] | None:
    """Return longitude and latitude; None where they are unknown, impossible, or exactly (0, 0)."""
    found = lonlat(image, name)
    return None if found is None else positions.position(*found)


def lonlat(image: Mapping[str, Any], name: str = "geometry") -> tuple[float, float] | None:
    """Return longitude and latitude as they are given, be they possible or not; None where they are unknown."""
    geometry = image.get(name)
    if isinstance(geometry, str):
        try:
            geometry = json.loads(geometry)
        except ValueError as error:
            raise InputError(f"{name} is not a position: {geometry[:60]!r}") from error
    if isinstance(geometry, dict):
        coordinates = geometry.get("coordinates")
        if not isinstance(coordinates, list | tuple) or len(coordinates) < 2:
            raise InputError(f"{name} is not a position: {geometry!r:.60}")
        lon, lat = coordinates[:2]
    elif geometry is not None and hasattr(geometry, "is_empty"):
        lon, lat = (None, None) if geometry.is_empty else (geometry.x, geometry.y)
    elif name == "geometry":
        lon, lat = image.get("lon"), image.get("lat")
    else:
        lon, lat = None, None
    if not (known(lon) and known(lat)):
        return None
    lon, lat = real(lon, name), real(lat, name)
    return (lon, lat) if math.isfinite(lon) and math.isfinite(lat) else None


def altitude(image: Mapping[str, Any], name: str = "altitude") -> float | None:
    """Return a height in metres, below zero too; None where it is unknown."""
    found = number(image, name)
    return None if found is None else signed_altitude(found)


def time_ms(image: Mapping[str, Any]) -> int | None:
    """Return `captured_at` in milliseconds since 1970, whatever form it has; None when unknown."""
    found = time_us(image)
    return None if found is None else found // 1000


def time_us(image: Mapping[str, Any]) -> int | None:
    """Return `captured_at` in microseconds since 1970, as `time_ms`; a number in it is milliseconds."""
    value = image.get("captured_at")
    if not known(value):
        return None
    if isinstance(value, str):
        if re.fullmatch(r"-?\d{1,20}", value.strip()):
            return int(value) * 1000
        found = times.read(value)
        if found is None:
            raise InputError(f"captured_at is not a time: {value!r}")
        return found.us
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[us]").astype(np.int64))
    if isinstance(value, datetime):
        return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    milliseconds = _whole(value, "captured_at")
    return None if milliseconds is None else milliseconds * 1000


def number(image: Mapping[str, Any], name: str) -> float | None:
    """Return a number; None where it is unknown, or not finite."""
    value = image.get(name)
    found = real(value, name) if known(value) else math.nan
    return found if math.isfinite(found) else None


def text_of(image: Mapping[str, Any], name: str) -> str | None:
    """Return a text; None where it is unknown, which the service also writes "none"."""
    value = image.get(name)
    found = str(value).strip() if known(value) else ""
    return None if found.lower() in {"", "none", "null"} else found


def id_text(value: Any) -> str | None:
    """Return an id as text: as a number in JSON, many readers would round it."""
    if not known(value) or value == "":
        return None
    return str(_whole(value, "an id")) if isinstance(value, Real) else str(value)


def plain(value: Any) -> Any:
    """Return a value as JSON has it; a text that is JSON itself stands for what it says."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def json_value(value: Any) -> Any:
    """Return a value as JSON has it; None where it is unknown, or not finite, or no such value."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        found = [json_value(each) for each in value]
        # A list with a gap is another list; it is unknown as a whole.
        return None if any(each is None for each in found) else found
    if isinstance(value, dict):
        return {str(name): inside for name, each in value.items() if (inside := json_value(each)) is not None}
    if not known(value) or value == "":
        return None
    found = plain(value)
    if isinstance(found, list | dict):
        return json_value(found)
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return found if isinstance(found, str | bool | int | float) else None


def known(value: Any) -> bool:
    """Return whether a value is there: not None, NaN, NaT or NA."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return False
    if isinstance(value, np.datetime64):
        return not np.isnat(value)
    # Whole numbers are asked for first: one of hundreds of digits is not a float.
    return isinstance(value, Integral) or not (isinstance(value, Real) and math.isnan(value))


def utc(milliseconds: int) -> datetime | None:
    """Return a time given in milliseconds since 1970; None where it lies beyond the years 1 to 9999."""
    return utc_us(milliseconds * 1000)


def utc_us(microseconds: int) -> datetime | None:
    """Return a time given in microseconds since 1970; None where it lies beyond the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return None


def real(value: Any, name: str) -> float:
    """Return a value as a number; InputError where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is not a number: {value!r:.60}") from error


def _whole(value: Any, name: str) -> int:
    if isinstance(value, Integral):
        return int(value)
    found = real(value, name)
    if not found.is_integer() or abs(found) > 2**53:
        raise InputError(f"{name} is not a whole number: {value!r:.60}")
    return int(found)
