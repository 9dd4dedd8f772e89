"""Columns from one dtype to another, without loss or not at all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import numpy as np

if TYPE_CHECKING:
    from typing import TypeVar

    import pandas as pd
    import pyarrow as pa

    Table = TypeVar("Table", bound=pd.DataFrame)


def cast(values: pd.Series, dtype: str) -> pd.Series:
    """
    Return a column in another dtype, without loss (times rounded to its unit); ValueError where that cannot be.

    A column of truth values with gaps is `boolean`, since `bool` has no value for what is unknown.
    """
    if str(values.dtype) == dtype:
        return values
    if dtype.startswith("datetime64"):
        times = _times(values)
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


def in_utc(times: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """
    Return times of Arrow in UTC without their zone, so that years, days and texts of them need no data of zones.

    Arrow reads that of the system, which Windows and small containers do not have.
    """
    import pyarrow as pa

    return times.cast(pa.timestamp(times.type.unit))


def in_native_bytes(table: Table) -> Table:
    """Return a table with its numbers in the byte order of this machine, which Arrow and steps of pandas need."""
    if not table.columns.is_unique:
        return table
    swapped = {
        name: dtype.newbyteorder("=")
        for name, dtype in table.dtypes.items()
        if isinstance(dtype, np.dtype) and not dtype.isnative
    }
    return table.astype(swapped) if swapped else table


def id_texts(values: pd.Series) -> pd.Series:
    """Return ids as text, whole numbers by their digits; ValueError where something else is among them."""
    import pandas as pd

    if pd.api.types.is_float_dtype(values):
        values = _whole_numbers(values)
    elif pd.api.types.is_bool_dtype(values):
        raise ValueError("these are truth values")
    elif values.dtype == object and not set(map(type, values)) <= {str, type(None)}:
        values = values.map(_id_text, na_action="ignore")
    return cast(values, "str")


def is_mixed(values: pd.Series) -> bool:
    """Return whether a column has texts and other values, or UUIDs as Python has them."""
    kinds = set(map(type, values)) - {type(None)} if values.dtype == object else set()
    return UUID in kinds or (str in kinds and len(kinds) > 1)


def _id_text(id_: Any) -> str:
    is_number = isinstance(id_, bool | np.bool_ | float | np.floating)
    whole = int(id_) if is_number and not isinstance(id_, bool | np.bool_) and float(id_).is_integer() else None
    if is_number and (whole is None or abs(whole) >= 2**53):
        raise ValueError(f"{id_} is neither text nor a whole number")
    return id_.decode() if isinstance(id_, bytes) else str(id_ if whole is None else whole)


def fits(found: str, dtype: str) -> bool:
    """Return whether a column of a dtype is one of another as it is; truth values may have gaps."""
    return found == dtype or (dtype == "bool" and found == "boolean")


def only_unit_differs(found: str, dtype: str) -> bool:
    """Return whether two dtypes are both times in UTC, whatever their units."""
    return _TIME.fullmatch(found) is not None and _TIME.fullmatch(dtype) is not None


_LARGEST = 2**63 - 1
"""The largest whole number of 64 bits."""

_TIME = re.compile(r"datetime64\[(s|ms|us|ns), UTC\]")


def _times(values: pd.Series) -> pd.Series:
    """Return times in UTC: of numbers by what they count, of texts in ISO 8601."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(values):
        raise ValueError("these are truth values")
    if pd.api.types.is_numeric_dtype(values):
        return pd.to_datetime(values, unit=_count(values), utc=True)
    if pd.api.types.is_string_dtype(values):
        known = values.dropna().astype("str")
        # pandas would take 09/06/2024 as a day in September.
        odd = ~known.str.match(r"\s*[+-]?\d{4,}(?:-\d\d(?:-\d\d)?)?(?:\D|$)").astype(bool) & (known.str.strip() != "")
        if odd.any():
            raise ValueError(f"{known[odd].iloc[0][:40]!r} is not a time such as 2024-06-09T08:00:00Z")
        if known.str.fullmatch(r"\s*[+-]?\d{5,}(?:\.\d*)?\s*").any():
            return _times(pd.to_numeric(values))
        try:
            return pd.to_datetime(values.where(values != "", None), utc=True, format="ISO8601")
        except ValueError as error:
            raise ValueError(str(error).partition(" You might")[0].rstrip()) from error
    return pd.to_datetime(values, utc=True)


_COUNTS: tuple[tuple[Literal["s", "ms", "us", "ns"], float], ...] = (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9))

_FROM_S, _TO_S = 365 * 86_400.0, 130 * 365.25 * 86_400
"""1971 to 2100, in seconds since 1970: no number lies there in two counts."""


def _count(values: pd.Series) -> Literal["s", "ms", "us", "ns"]:
    """Return what numbers count since 1970, by their size: seconds, milliseconds, microseconds or nanoseconds."""
    numbers = np.abs(values.dropna().to_numpy(dtype=float))
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    if not len(numbers):
        return "ms"
    found = {unit for unit, per_s in _COUNTS if ((numbers >= _FROM_S * per_s) & (numbers < _TO_S * per_s)).any()}
    if len(found) > 1:
        raise ValueError(f"some of these numbers count {' and some '.join(sorted(found))} since 1970")
    if not found:
        raise ValueError(f"{numbers[0]:.15g} is neither seconds nor milliseconds since 1970 of this time")
    return found.pop()


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
        first = text[odd].iloc[0][:40]
        is_rounded = re.fullmatch(r"[+-]?[0-9.,]+[eE][+-]?[0-9]+", first) is not None
        raise ValueError(f"{first!r} {'was rounded by a spreadsheet' if is_rounded else 'is not a whole number'}")
    large = ~missing & (text.str.len() >= 19)
    past = [value for value in text[large] if len(value) > 20 or not -_LARGEST - 1 <= int(value) <= _LARGEST]
    if past:
        raise ValueError(f"{past[0][:40]} is past 2^63")
    numbers = pd.array(
        [pd.NA if gone else int(value) for gone, value in zip(missing, text, strict=True)], dtype="Int64"
    )
    return pd.Series(numbers, index=values.index)


def _truth(values: pd.Series) -> pd.Series:
    """Return truth values as bool, or as boolean where some are unknown: gaps and empty texts."""
    import pandas as pd

    gone = values.isna()
    if pd.api.types.is_numeric_dtype(values):
        if not values.dropna().isin([0, 1]).all():
            raise ValueError("these are not truth values")
        true = values.eq(1).fillna(value=False).astype("bool")
    else:
        text = values.astype("str").str.strip().str.lower().where(values.notna(), "")
        true, false = text.isin(["true", "t", "yes", "1"]), text.isin(["false", "f", "no", "0"])
        gone = text == ""
        if not (true | false | gone).all():
            raise ValueError(f"{text[~(true | false | gone)].iloc[0][:40]!r} is not a truth value")
    return true.astype("boolean").mask(gone) if gone.any() else true


def nulls(dtype: str, length: int, index: pd.Index | None = None) -> pd.Series:
    """Return a column of unknown values: NaN, NaT or NA."""
    import pandas as pd

    if dtype == "float64":
        return pd.Series(np.full(length, np.nan), index=index)
    unknown: Any = pd.array([None], dtype="boolean" if dtype == "bool" else dtype)  # type: ignore[call-overload]
    return pd.Series(unknown.repeat(length), index=index)
