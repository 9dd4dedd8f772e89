"""The attributes of a frame between pandas and Arrow."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo import frames
from mlygeo.store.parquet.metadata import pandas_metadata


def restored(table: pa.Table, file: pq.ParquetFile) -> Any:
    """Return attributes as pandas columns, in the dtypes at the time of writing."""
    data = frames.to_pandas(table)
    for column in pandas_metadata(file).get("columns", []):
        name, dtype = column.get("name"), column.get("numpy_type")
        if name in data.columns and dtype in {"Int64", "Int32", "boolean"} and str(data[name].dtype) != dtype:
            data[name] = data[name].astype(dtype)
    return data


def plain_pandas_metadata(table: pa.Table, others: tuple[str, ...]) -> dict[str, Any]:
    """Return the metadata from which pandas restores dtypes, for a table that pandas did not make."""
    columns: list[dict[str, Any]] = []
    for field in table.schema:
        if field.name in others:
            continue
        metadata = {"timezone": "UTC"} if pa.types.is_timestamp(field.type) and field.type.tz else None
        kinds = _pandas_types(field, has_gaps=table[field.name].null_count > 0)
        columns.append({"name": field.name, "field_name": field.name, **kinds, "metadata": metadata})
    return {"index_columns": [], "column_indexes": [], "columns": columns, "creator": {"library": "mlygeo"}}


def _pandas_types(field: pa.Field, *, has_gaps: bool) -> dict[str, str]:
    """Return the names of a column's type in pandas' metadata."""
    kind = field.type
    if pa.types.is_integer(kind):
        dtypes = {schema.dtype(field.name) for schema in frames.SCHEMAS.values()} - {None}
        return {"pandas_type": "int64", "numpy_type": "Int64" if has_gaps or dtypes == {"Int64"} else "int64"}
    if pa.types.is_timestamp(kind):
        return {"pandas_type": "datetimetz" if kind.tz else "datetime", "numpy_type": f"datetime64[{kind.unit}]"}
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return {"pandas_type": "unicode", "numpy_type": "str"}
    if pa.types.is_boolean(kind) and not has_gaps:
        return {"pandas_type": "bool", "numpy_type": "bool"}
    return {"pandas_type": str(kind), "numpy_type": "float64" if pa.types.is_floating(kind) else "object"}


def is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
