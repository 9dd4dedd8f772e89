"""Rows between frames and tables of PostGIS: types of columns, and COPY's text in either direction."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import dtypes, frames

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import psycopg
    import pyarrow as pa
    from psycopg import sql

ROWS_AT_ONCE = 50_000
"""Rows that are turned into text at a time; some 10 MB."""

READ_AS = {
    "timestamptz": "(extract(epoch FROM {}) * 1000000)::bigint",
    "timestamp": "(extract(epoch FROM {}) * 1000000)::bigint",
    "date": "(extract(epoch FROM {}) * 1000000)::bigint",
    "bool": "({})::int",
}
"""How a type is asked for, so that it comes exactly: times as microseconds since 1970."""


def type_of(frame: gpd.GeoDataFrame, name: str, srid: int) -> str:
    """Return the type that the database gives to a column of a frame."""
    import pandas as pd

    dtype = frame[name].dtype
    if name == frame.geometry.name:
        kinds = set(frame.geom_type.dropna().unique())
        kind = kinds.pop() if len(kinds) == 1 else "Geometry"
        return f"geometry({kind}{'Z' if frame.has_z.any() else ''}, {srid})"
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_unsigned_integer_dtype(dtype) and dtype.itemsize == 8:
        return "numeric(20)"
    if pd.api.types.is_integer_dtype(dtype):
        return "bigint"
    if pd.api.types.is_float_dtype(dtype):
        return "double precision"
    if isinstance(dtype, pd.DatetimeTZDtype):
        return "timestamptz"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "timestamp"
    return "text"


def copy_in(connection: psycopg.Connection, frame: gpd.GeoDataFrame, whole: sql.Composable, srid: int) -> None:
    """Send a frame into the table `whole`, so many rows at a time."""
    import pandas as pd
    import pyarrow as pa
    import shapely
    from psycopg import sql
    from pyarrow import csv

    names = [sql.Identifier(str(name)) for name in frame.columns]
    command = sql.SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv)").format(whole, sql.SQL(", ").join(names))
    options = csv.WriteOptions(include_header=False)
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for start in range(0, len(frame), ROWS_AT_ONCE):
            rows = frame.iloc[start : start + ROWS_AT_ONCE]
            places = shapely.set_srid(np.asarray(rows.geometry.values), srid)
            plain = pd.DataFrame(rows.drop(columns=rows.geometry.name))
            plain[rows.geometry.name] = pd.Series(
                shapely.to_wkb(places, hex=True, include_srid=True), index=rows.index, dtype="str"
            )
            plain = plain[list(frame.columns)].assign(
                **{name: plain[name].astype("str") for name in plain.columns if plain[name].dtype == object}
            )
            text = io.BytesIO()
            # An empty field is NULL, and text, in quotes, is not: as COPY reads it.
            csv.write_csv(pa.Table.from_pandas(plain, preserve_index=False), text, options)
            copy.write(text.getvalue())


def copy_out(
    connection: psycopg.Connection, query: sql.Composable, names: list[str], types: dict[str, str]
) -> pa.Table:
    """Return the rows of a query: columns `names`, whose types in the database are `types`."""
    import pyarrow as pa
    from psycopg import sql
    from pyarrow import csv

    kinds = {"int8": pa.int64(), "int4": pa.int64(), "int2": pa.int64(), "float8": pa.float64(), "float4": pa.float64(),
             "bool": pa.int64(), "timestamptz": pa.int64(), "timestamp": pa.int64(), "date": pa.int64()}  # fmt: skip
    command = sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv)").format(query)
    text = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(command) as copy:
        for part in copy:
            text.write(part)
    wanted = {name: kinds.get(types[name], pa.string()) for name in names}
    if not text.tell():
        return pa.table({name: pa.array([], kind) for name, kind in wanted.items()})
    text.seek(0)
    return csv.read_csv(
        text,
        read_options=csv.ReadOptions(column_names=names),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=wanted, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""]
        ),
    )


def frame_of(
    table: pa.Table, geometry: str, srid: int, types: dict[str, str], description: dict[str, Any]
) -> gpd.GeoDataFrame:
    """Return rows as a frame, with the dtypes and `attrs` that its description tells of."""
    import geopandas as gpd
    import shapely

    places = shapely.from_wkb(table[geometry].to_numpy(zero_copy_only=False))
    plain = frames.to_pandas(table.drop_columns([geometry]))
    known = description.get("dtypes", {})
    restored = {name: _restored(plain[name], types[name], known.get(name)) for name in plain.columns}
    frame = gpd.GeoDataFrame(restored, geometry=gpd.GeoSeries(places, crs=srid or None, index=plain.index))
    if geometry != "geometry":
        frame = frame.rename_geometry(geometry)
    frame.attrs.update(description.get("attrs", {}))
    return frame


def _restored(values: pd.Series, kind: str, dtype: str | None) -> pd.Series:
    """Return a column in the dtype that it had, or in the one that its type in the database means."""
    import pandas as pd

    if kind in {"timestamptz", "timestamp", "date"}:
        times = pd.to_datetime(values, unit="us", utc=True)
        unit: Any = "ms" if dtype is not None and "[ms" in dtype else "us"
        return times.dt.as_unit(unit) if kind == "timestamptz" else times.dt.as_unit(unit).dt.tz_localize(None)
    if kind == "bool":
        return values.astype("boolean") if values.isna().any() or dtype == "boolean" else values.astype("bool")
    if kind in {"int8", "int4", "int2"} and dtype is not None:
        return values if values.isna().any() else values.astype(dtype)  # type: ignore[call-overload]
    if kind in {"text", "varchar"} and dtype is not None:
        return dtypes.cast(values, "str")
    return values
