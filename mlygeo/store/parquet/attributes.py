"""
The attributes of a frame between pandas and Arrow: a column comes back as it was, or it is not written.

Each dtype is noted in the metadata of pandas. Columns whose dtype alone does not promise that they come back (objects,
categories, periods, …) are compared with what was written, see `mlygeo.store.parquet.writing`.
"""

from __future__ import annotations

import json
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlygeo import frames
from mlygeo.errors import FormatError, FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

UNREADABLE = (pa.ArrowException, ValueError, TypeError, KeyError, AttributeError, OverflowError, NotImplementedError,
              RecursionError)  # fmt: skip
"""What Arrow and pandas raise where a column cannot be converted."""


FIRST_SECOND, END_SECOND = -62_135_596_800, 253_402_300_800
"""The years 1 to 9999, in seconds since 1970."""

DAY = 86_400
"""What a zone may take a time beyond them, in seconds."""


def to_arrow(values: pd.Series, name: str) -> tuple[pa.ChunkedArray, dict[str, Any]]:
    """
    Return a column of a frame as Arrow's, and what to note of it in the metadata of pandas.

    Parameters
    ----------
    values
        The column.
    name
        Its name.

    Raises
    ------
    FrameError
        If Arrow has no type for its values.
    """
    import pandas as pd

    try:
        table = pa.Table.from_pandas(pd.DataFrame({name: values}), preserve_index=False)
        note: dict[str, Any] = json.loads(table.schema.metadata[b"pandas"])["columns"][0]
        if isinstance(values.dtype, pd.CategoricalDtype):
            # Parquet keeps neither unused categories nor those that are not text.
            note["metadata"] = {**(note["metadata"] or {}), "categories": _plain_list(values.dtype.categories)}
        if values.dtype == object and is_text(table.schema.field(0).type):
            note["metadata"] = {**(note["metadata"] or {}), "objects": True}
        if isinstance(values.dtype, pd.ArrowDtype) and pa.types.is_nested(table.schema.field(0).type):
            # pandas cannot read the name that it gives such a dtype.
            note |= {"numpy_type": "object", "metadata": {**(note["metadata"] or {}), "arrow": True}}
        _check_years(table.column(0))
    except UNREADABLE as error:
        raise unwritable(name, " ".join(str(error).split())[:120]) from error
    return table.column(0), note


def unwritable(name: str, reason: str) -> FrameError:
    """Return the error for a column that GeoParquet cannot hold."""
    return FrameError(
        f"the column {name!r} cannot be held by Arrow and GeoParquet: {reason}",
        hint=f"convert it, such as by frame[{name!r}].map(str), or leave it out",
    )


def is_sure(values: pd.Series, arrow: pa.DataType) -> bool:
    """Return whether the dtype of a column promises that it comes back; any other is compared after it was written."""
    import pandas as pd

    dtype = values.dtype
    if values.dtype == object:
        return bool(pa.types.is_string(arrow))
    if isinstance(dtype, np.dtype):
        sure = {np.dtype(name) for name in ("float32", "float64", "datetime64[ms]", "datetime64[us]", "datetime64[ns]")}
        return dtype.kind in "biu" or dtype in sure
    known = pd.Int64Dtype, pd.Float64Dtype, pd.BooleanDtype
    return str(dtype) == "str" or isinstance(dtype, known) or (str(dtype).endswith(", UTC]"))


def to_pandas(values: pa.ChunkedArray, note: dict[str, Any], name: str, where: str) -> pd.Series:
    """
    Return a column of a file as it was in the frame, as far as pandas' note of it tells.

    Without a note, whole numbers with gaps are Int64 (UInt64 where they are unsigned and of 64 bits), lists and
    structs are lists and dicts of Python, text is `str`.

    Parameters
    ----------
    values
        The column.
    note
        What pandas noted of it, or nothing.
    name
        Name of the column, for messages.
    where
        The file, for messages.

    Raises
    ------
    FormatError
        If it cannot be converted, such as a time in a zone that does not exist.
    """
    try:
        _check_years(values)
        return _restored(_plain_layout(values), note)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:120]
        raise FormatError(f"the column {name!r} of {where} cannot be read: {reason}") from error


def same(one: pd.Series, other: pd.Series) -> bool:
    """Return whether a column came back as it was: its dtype and all values."""
    import pandas as pd

    if isinstance(one.dtype, pd.CategoricalDtype) and isinstance(other.dtype, pd.CategoricalDtype):
        kept = one.dtype.categories.equals(other.dtype.categories) and one.dtype.ordered == other.dtype.ordered
        alike = one.dtype.categories.dtype == other.dtype.categories.dtype
        return bool(kept and alike and np.array_equal(one.cat.codes, other.cat.codes))
    if isinstance(one.dtype, pd.ArrowDtype) and isinstance(other.dtype, pd.ArrowDtype):
        # Parquet calls the values of a list otherwise than Arrow does.
        return bool(one.dtype.pyarrow_dtype == other.dtype.pyarrow_dtype and one.tolist() == other.tolist())
    if str(one.dtype) != str(other.dtype):
        return False
    if one.dtype != object:
        gone = one.isna().to_numpy()
        known, found = one.array[~gone], other.array[~gone]
        return bool(np.array_equal(gone, other.isna().to_numpy()) and np.asarray(known == found, dtype=bool).all())
    return all(map(_same, one, other))


def plain_pandas_metadata(table: pa.Table, others: Iterable[str]) -> dict[str, Any]:
    """Return the metadata from which pandas restores dtypes, for a table that pandas did not make."""
    columns: list[dict[str, Any]] = []
    for field in table.schema:
        if field.name in others:
            continue
        metadata = {"timezone": field.type.tz} if pa.types.is_timestamp(field.type) and field.type.tz else None
        kinds = _pandas_types(field, has_gaps=table[field.name].null_count > 0)
        columns.append({"name": field.name, "field_name": field.name, **kinds, "metadata": metadata})
    return with_columns(columns)


def with_columns(columns: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the metadata of pandas for notes of columns."""
    return {"index_columns": [], "column_indexes": [], "columns": columns, "creator": {"library": "mlygeo"}}


def is_json(value: Any) -> bool:
    """Return whether a value can be written as JSON."""
    try:
        json.dumps(value).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _check_years(values: pa.ChunkedArray) -> None:
    """Raise ValueError where a time is not in the years 1 to 9999, for pandas cannot so much as print it."""
    if not pa.types.is_timestamp(values.type) or values.null_count == len(values):
        return
    ends = pc.min_max(values.cast(pa.int64())).as_py()
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[values.type.unit]
    margin = 0 if values.type.tz is None else DAY
    if ends["min"] < (FIRST_SECOND + margin) * scale or ends["max"] >= (END_SECOND - margin) * scale:
        raise ValueError("a time is not in the years 1 to 9999")


def _plain_list(categories: pd.Index) -> list[Any] | None:
    """Return categories for JSON; None where JSON would change them."""
    found = categories.tolist()
    plain = all(type(each) in {str, int, float, bool} for each in found)
    return found if plain and is_json(found) else None


def _plain_layout(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text and bytes in the layout that pandas knows best."""
    kind = values.type
    if pa.types.is_string_view(kind):
        return values.cast(pa.large_string())
    if pa.types.is_binary_view(kind):
        return values.cast(pa.large_binary())
    return values


def _restored(values: pa.ChunkedArray, note: dict[str, Any]) -> pd.Series:
    import pandas as pd

    dtype = note.get("numpy_type")
    kind = values.type
    if note.get("pandas_type") == "categorical":
        return _categories(values, note)
    if not isinstance(dtype, str):
        return _unnoted(values)
    if dtype == "object":
        # Before pandas 3 all text was objects; only our own note tells that it is meant.
        noted = note.get("metadata")
        if isinstance(noted, dict) and noted.get("arrow") is True:
            return pd.Series(pd.arrays.ArrowExtensionArray(values))
        meant = isinstance(noted, dict) and noted.get("objects") is True
        return _objects(values) if meant or not is_text(kind) else _unnoted(values)
    if dtype.endswith("[pyarrow]") and dtype != "string[pyarrow]":
        return pd.Series(pd.arrays.ArrowExtensionArray(values))
    if dtype.startswith(("datetime64[", "timedelta64[")) and (
        pa.types.is_timestamp(kind) or pa.types.is_duration(kind)
    ):
        unit: Any = dtype.partition("[")[2].rstrip("]").partition(",")[0]
        times = _unnoted(values)
        return times.dt.as_unit(unit) if unit in {"s", "ms", "us", "ns"} else times
    try:
        known = pd.api.types.pandas_dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        return _unnoted(values)
    if isinstance(known, pd.api.extensions.ExtensionDtype) and hasattr(known, "__from_arrow__"):
        return pd.Series(known.__from_arrow__(values))
    return _unnoted(values)


def _unnoted(values: pa.ChunkedArray) -> pd.Series:
    """Return a column of another writer."""
    if pa.types.is_nested(values.type):
        return _objects(values)
    return frames.to_pandas(pa.table({"values": values}))["values"]


def _objects(values: pa.ChunkedArray) -> pd.Series:
    """Return a column of Python's own values."""
    import pandas as pd

    found = np.empty(len(values), dtype=object)
    found[:] = values.to_pylist()
    return pd.Series(found, dtype=object)


def _categories(values: pa.ChunkedArray, note: dict[str, Any]) -> pd.Series:
    import pandas as pd

    noted = note.get("metadata")
    noted = noted if isinstance(noted, dict) else {}
    plain = _unnoted(values)
    ordered = bool(noted.get("ordered"))
    categories = noted.get("categories")
    if not isinstance(categories, list):
        return plain.astype("category").cat.set_categories(plain.astype("category").cat.categories, ordered=ordered)
    codes = plain.astype(object).where(plain.notna(), None)
    return pd.Series(pd.Categorical(codes, categories=categories, ordered=ordered))


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is one of plain text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _pandas_types(field: pa.Field, *, has_gaps: bool) -> dict[str, str]:
    """Return the names of a column's type in pandas' metadata."""
    kind = field.type
    if pa.types.is_uint64(kind):
        return {"pandas_type": "uint64", "numpy_type": "UInt64" if has_gaps else "uint64"}
    if pa.types.is_integer(kind):
        dtypes = {schema.dtype(field.name) for schema in frames.SCHEMAS.values()} - {None}
        return {"pandas_type": str(kind), "numpy_type": "Int64" if has_gaps or dtypes == {"Int64"} else str(kind)}
    if pa.types.is_timestamp(kind):
        return {"pandas_type": "datetimetz" if kind.tz else "datetime", "numpy_type": f"datetime64[{kind.unit}]"}
    if is_text(kind):
        return {"pandas_type": "unicode", "numpy_type": "str"}
    if pa.types.is_boolean(kind):
        return {"pandas_type": "bool", "numpy_type": "boolean" if has_gaps else "bool"}
    if pa.types.is_floating(kind):
        return {"pandas_type": str(kind), "numpy_type": str(kind.to_pandas_dtype()().dtype)}
    return {"pandas_type": str(kind), "numpy_type": "object"}


def _same(one: Any, other: Any) -> bool:
    """Return whether a value came back; lists, tuples and arrays are lists of the same values."""
    import pandas as pd

    if isinstance(one, dict):
        return (
            isinstance(other, dict) and one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
        )
    if isinstance(one, list | tuple | np.ndarray):
        return isinstance(other, list) and len(one) == len(other) and all(map(_same, one, other))
    if other is None or pd.api.types.is_scalar(one):
        gone, missing = pd.isna(one) is True, pd.isna(other) is True
        if gone or missing:
            return gone and missing
    if isinstance(one, datetime | time) or isinstance(other, datetime | time):
        return type(one).__name__ in {type(other).__name__, "Timestamp"} and one == other and (
            one.utcoffset() == other.utcoffset()
        )  # fmt: skip
    if isinstance(one, bool | np.bool_ | str | bytes | date):
        return isinstance(other, type(one) if not isinstance(one, np.bool_) else bool) and one == other
    return not isinstance(other, bool | str | bytes) and bool(one == other)
