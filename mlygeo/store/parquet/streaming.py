"""Points into GeoParquet some at a time: what the metadata say of all is found in a first pass."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo import frames
from mlygeo.store.parquet import attributes
from mlygeo.store.parquet.encodings import points_to_wkb
from mlygeo.store.parquet.metadata import SIDES
from mlygeo.store.parquet.writing import ROWS_PER_GROUP, Shapes, boxes, free_name

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from mlygeo.arrays import Floats

GEOMETRY = "geometry"
"""Name of the column of geometry."""


def write_pieces(
    pieces: Callable[[], Iterable[tuple[pa.Table, Floats, Floats]]],
    path: str | os.PathLike[str],
    *,
    attrs: dict[str, Any],
) -> None:
    """
    Write points as `mlygeo.store.parquet.write_points` does, but in the order they come in.

    Parameters
    ----------
    pieces
        Gives all points from the start, and is called twice. A piece has attributes, of the same columns and types
        in all, and longitudes and latitudes in degrees; one at least comes, with points or without.
    path
        The file.
    attrs
        The frame's `attrs`; JSON.
    """
    gaps: set[str] = set()
    sides: list[Floats] = []
    for table, lon, lat in pieces():
        gaps |= {name for name in table.column_names if table[name].null_count}
        if (known := np.isfinite(lon) & np.isfinite(lat)).any():
            sides.append(np.array([lon[known].min(), lat[known].min(), lon[known].max(), lat[known].max()]))
    fields = [pa.field(name, table[name].type) for name in table.column_names]
    covering = free_name("bbox", [*table.column_names, GEOMETRY])
    schema = _schema(fields, covering, gaps, np.array(sides).reshape(-1, 4).T, attrs)
    del table
    plain = {GEOMETRY, covering}
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=[n for n in schema.names if n not in plain and n not in frames.IDS] or False,
        write_statistics=[n for n in schema.names if n not in plain] + [f"{covering}.{side}" for side in SIDES],
    ) as writer:
        held: list[pa.Table] = []
        for table, lon, lat in pieces():
            bounds = np.array([lon, lat, lon, lat])
            more = [points_to_wkb(lon, lat), boxes(bounds, np.isfinite(bounds).all(axis=0))]
            held.append(pa.table([*table.columns, *more], schema=schema))
            held = _write(writer, pa.concat_tables(held))
        writer.write_table(held[0], row_group_size=ROWS_PER_GROUP)


def _write(writer: pq.ParquetWriter, table: pa.Table) -> list[pa.Table]:
    """Write full row groups of rows; return the others."""
    full = max(len(table) - 1, 0) // ROWS_PER_GROUP * ROWS_PER_GROUP  # so that there are some for the end
    if full:
        writer.write_table(table.slice(0, full), row_group_size=ROWS_PER_GROUP)
    return [table.slice(full)]


def _schema(fields: list[pa.Field], covering: str, gaps: set[str], sides: Floats, attrs: dict[str, Any]) -> pa.Schema:
    """Return the schema with the metadata of all points; `sides` are boxes, shape (4, boxes)."""
    shapes = Shapes(points_to_wkb(np.empty(0), np.empty(0)), ["Point"], sides, frames.CRS)
    column = shapes.described(GEOMETRY)
    column["covering"] = {"bbox": {side: [covering, side] for side in SIDES}}
    geo = {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    notes = []
    for field in fields:
        sample = pa.table({field.name: pa.nulls(int(field.name in gaps), field.type)})
        notes += attributes.plain_pandas_metadata(sample, ())["columns"]
    said = {key: value for key, value in attrs.items() if attributes.is_json({key: value})}
    pandas = {**attributes.with_columns(notes), "attributes": said}
    box = pa.struct([(side, pa.float32()) for side in SIDES])
    schema = pa.schema([*fields, pa.field(GEOMETRY, pa.binary()), pa.field(covering, box)])
    return schema.with_metadata({b"geo": json.dumps(geo).encode(), b"pandas": json.dumps(pandas).encode()})
