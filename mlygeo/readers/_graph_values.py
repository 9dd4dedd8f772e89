"""
JSON values of the Graph API -> columns. Each function takes one value of each record, None where a
record has none, and returns the column with a mask of the values that are of the wrong shape.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import pandas as pd

    Values = Sequence[Any]
    Wrong = npt.NDArray[np.bool_]

_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, which is what calendars in Python can show."""

_LARGEST = 2**63 - 1

_WRONG = object()


def reals(values: Values) -> tuple[npt.NDArray[np.float64], Wrong]:
    """Return numbers; NaN where there is none, and where JSON's extensions say NaN or Infinity."""
    numbers, wrong = _each(values, _real)
    return np.array([math.nan if number is None else number for number in numbers], dtype=np.float64), wrong


def angles(values: Values) -> tuple[npt.NDArray[np.float64], Wrong]:
    """Return degrees in [0, 360); NaN where there is none."""
    degrees, wrong = reals(values)
    outside = (degrees < 0) | (degrees >= 360)
    if outside.any():
        # Of a tiny negative angle the remainder is 360 itself.
        degrees[outside] = np.mod(degrees[outside], 360) % 360
    return degrees, wrong


def altitudes(values: Values) -> tuple[npt.NDArray[np.float64], Wrong]:
    """Return metres; heights below the sea have come as unsigned 32-bit numbers, and are set right."""
    metres, wrong = reals(values)
    wrapped = (metres >= 2.0**31) & (metres < 2.0**32)
    metres[wrapped] -= 2.0**32
    return metres, wrong


def wholes(values: Values) -> tuple[pd.Series, Wrong]:
    """Return whole numbers, which the service writes as numbers or as text, as Int64."""
    import pandas as pd

    numbers, wrong = _each(values, _whole)
    return pd.Series(numbers, dtype="Int64"), wrong


def texts(values: Values) -> tuple[pd.Series, Wrong]:
    """Return texts; an empty one counts as none."""
    import pandas as pd

    found, wrong = _each(values, lambda value: (value or None) if isinstance(value, str) else _WRONG)
    return pd.Series(found, dtype="str"), wrong


def names(values: Values) -> tuple[pd.Series, Wrong]:
    """Return texts, of which "none" is what some uploads say for want of a name."""
    found, wrong = texts(values)
    trimmed = found.str.strip()
    return trimmed.where(trimmed.notna() & ~trimmed.str.lower().isin(["none", ""]), None), wrong


def ids_as_text(values: Values) -> tuple[pd.Series, Wrong]:
    """Return ids as text, which the service writes as text or as numbers."""
    import pandas as pd

    def one(value: Any) -> Any:
        return value if isinstance(value, str) else str(value) if type(value) is int else _WRONG

    found, wrong = _each(values, one)
    return pd.Series(found, dtype="str"), wrong


def truths(values: Values) -> tuple[list[bool | None], Wrong]:
    """Return truth values; None where there is none."""
    return _each(values, lambda value: value if isinstance(value, bool) else _WRONG)


def times(values: Values) -> tuple[pd.Series, Wrong]:
    """Return times, milliseconds since 1970; null outside the years 1 to 9999, which clocks of cameras do say."""
    import pandas as pd

    numbers, wrong = wholes(values)
    numbers = numbers.where(numbers.between(_FIRST_MS, _LAST_MS).fillna(value=False), pd.NA)
    stamps = numbers.fillna(0).to_numpy(dtype=np.int64).view("datetime64[ms]").copy()
    stamps[numbers.isna().to_numpy()] = np.datetime64("NaT")
    return pd.Series(stamps).dt.tz_localize("UTC"), wrong


def positions(values: Values) -> tuple[npt.NDArray[np.float64], Wrong]:
    """Return longitude and latitude of GeoJSON points, shape (n, 2); NaN where there is none."""
    found, wrong = _each(values, _position)
    lonlat = np.array([(math.nan, math.nan) if place is None else place for place in found], dtype=np.float64)
    return lonlat.reshape(-1, 2), wrong


def lists(values: Values) -> tuple[pd.Series, Wrong]:
    """Return lists of numbers; an empty one counts as none."""
    import pandas as pd

    found, wrong = _each(values, _list)
    column = np.empty(len(found), dtype=object)
    column[:] = found
    return pd.Series(column), wrong


def members(values: Values, name: str) -> tuple[list[Any], Wrong]:
    """Return a member of each object, such as the `id` of a `creator`."""

    def one(value: Any) -> Any:
        return value.get(name) if isinstance(value, dict) else _WRONG

    return _each(values, one)


def others(values: Values) -> tuple[pd.Series, Wrong]:
    """Return values of a field that is not known here: of one kind as they are, else as JSON texts."""
    import pandas as pd

    kinds = {type(value) for value in values if value is not None}
    none = np.zeros(len(values), dtype=bool)
    if kinds == {int} and all(value is None or abs(value) <= _LARGEST for value in values):
        return pd.Series(list(values), dtype="Int64"), none
    if kinds and kinds <= {int, float}:
        numbers, wrong = reals(values)
        return pd.Series(numbers), wrong
    if kinds == {bool}:
        return pd.Series(list(values), dtype="boolean"), none
    if kinds <= {str}:
        return pd.Series(list(values), dtype="str"), none
    written = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
    return pd.Series(written, dtype="str"), none


def _each(values: Values, convert: Callable[[Any], Any]) -> tuple[list[Any], Wrong]:
    found = [None if value is None else convert(value) for value in values]
    wrong = np.fromiter((value is _WRONG for value in found), dtype=bool, count=len(found))
    return [None if value is _WRONG else value for value in found], wrong


def _real(value: Any) -> Any:
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) is int and abs(value) < 1 << 1000:  # beyond it there is no float
        return float(value)
    return _WRONG


def _whole(value: Any) -> Any:
    as_text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19
    as_float = type(value) is float and abs(value) < 2.0**53 and value.is_integer()
    number = int(value) if as_text or as_float else value
    return number if type(number) is int and abs(number) <= _LARGEST else _WRONG


def _position(value: Any) -> Any:
    coordinates = value.get("coordinates") if isinstance(value, dict) and value.get("type") == "Point" else None
    if not isinstance(coordinates, list) or len(coordinates) < 2:
        return _WRONG
    lon, lat = (_real(number) for number in coordinates[:2])
    if lon is _WRONG or lat is _WRONG:
        return _WRONG
    if lon is None or lat is None:
        return None
    return (lon, lat) if abs(lon) <= 180 and abs(lat) <= 90 else _WRONG


def _list(value: Any) -> Any:
    if not isinstance(value, list):
        return _WRONG
    numbers = [_real(number) for number in value]
    if any(number is _WRONG or number is None for number in numbers):
        return _WRONG
    return numbers or None
