"""Columns from one dtype to another, without loss or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def cast(values: pd.Series, dtype: str) -> pd.Series:
    """Return a column in another dtype, without loss (times rounded to its unit); ValueError where that cannot be."""
    import pandas as pd

    if str(values.dtype) == dtype:
        return values
    if dtype.startswith("datetime64"):
        times = pd.to_datetime(values, unit=None if not pd.api.types.is_numeric_dtype(values) else "ms", utc=True)
        return _in_unit(times, "ms" if "[ms" in dtype else "us")
    if dtype in {"int64", "Int64"}:
        whole = _whole_numbers(values)
        if dtype == "int64":
            if whole.isna().any():
                raise ValueError(f"{int(whole.isna().sum())} of {len(whole)} values are missing")
            return whole.astype("int64")
        return whole
    if dtype == "bool":
        return _truth(values)
    if dtype == "str":
        text = values.astype("str")
        return text.where(values.notna(), None)
    return values.astype(dtype)  # type: ignore[call-overload, no-any-return]


def only_unit_differs(found: str, dtype: str) -> bool:
    """Return whether two dtypes are both times in UTC, whatever their units."""
    return _TIME.fullmatch(found) is not None and _TIME.fullmatch(dtype) is not None


_LARGEST = 2**63 - 1
"""The largest whole number of 64 bits."""

_TIME = re.compile(r"datetime64\[(s|ms|us|ns), UTC\]")


def _in_unit(times: pd.Series, unit: Literal["ms", "us"]) -> pd.Series:
    """Return times in a unit, rounded to the nearest: seconds that were floats are often a little short."""
    finer = {"ms": ("us", "ns"), "us": ("ns",)}[unit]
    result: pd.Series = (times.dt.round(unit) if times.dt.unit in finer else times).dt.as_unit(unit)
    return result


def _whole_numbers(values: pd.Series) -> pd.Series:
    """Return ids as Int64, exactly: a float that has lost digits is refused."""
    import pandas as pd

    if pd.api.types.is_float_dtype(values):
        known = values.dropna()
        if (known.abs() >= 2.0**53).any():
            raise ValueError("these are floats past 2^53, whose last digits are lost")
        if (known != known.round()).any():
            raise ValueError("these are not whole numbers")
        return values.astype("Int64")
    if pd.api.types.is_integer_dtype(values):
        if len(values) and values.max() is not pd.NA and values.max() > _LARGEST:
            raise ValueError(f"{values.max()} is past 2^63")
        return values.astype("Int64")
    text = values.astype("str").str.strip()
    missing = values.isna() | (text == "")
    # Text such as 007 is a name: as the number 7 it would be another one.
    odd = ~missing & ~text.str.fullmatch(r"[+-]?(?:0|[1-9][0-9]*)").astype(bool)
    if odd.any():
        raise ValueError(f"{text[odd].iloc[0][:40]!r} is not a whole number")
    large = ~missing & (text.str.len() >= 19)
    past = [value for value in text[large] if len(value) > 20 or not -_LARGEST - 1 <= int(value) <= _LARGEST]
    if past:
        raise ValueError(f"{past[0][:40]} is past 2^63")
    numbers = pd.array(
        [pd.NA if gone else int(value) for gone, value in zip(missing, text, strict=True)], dtype="Int64"
    )
    return pd.Series(numbers, index=values.index)


def _truth(values: pd.Series) -> pd.Series:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values):
        if not values.dropna().isin([0, 1]).all():
            raise ValueError("these are not truth values")
        return values.fillna(0).astype("bool")
    text = values.astype("str").str.strip().str.lower().where(values.notna(), "")
    true, false = text.isin(["true", "t", "yes", "1"]), text.isin(["false", "f", "no", "0", ""])
    if not (true | false).all():
        raise ValueError(f"{text[~(true | false)].iloc[0][:40]!r} is not a truth value")
    return true


def nulls(dtype: str, length: int, index: pd.Index | None = None) -> pd.Series:
    """Return a column of unknown values: NaN, NaT or NA."""
    import pandas as pd

    values: Any = np.full(length, np.nan) if dtype == "float64" else [None] * length
    return pd.Series(values, index=index, dtype=dtype)
