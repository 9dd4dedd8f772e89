"""
Lines as a dataset or a file, written batch by batch, in bounded memory.

A line lies in the cell of the south-western corner of its box, once and whole; the boxes in the index and in the
parts are those of the lines.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo import frames
from mlygeo.places import STATE_FOLDER, sha256_of
from mlygeo.progress import working
from mlygeo.spatial import cells, hilbert
from mlygeo.store.datasets import layout, publishing
from mlygeo.store.datasets.index import Index, Part
from mlygeo.store.datasets.sorting import PARTS
from mlygeo.store.datasets.work import whole
from mlygeo.store.parquet import attributes, metadata
from mlygeo.store.parquet.files import footer_sha256
from mlygeo.store.parquet.writing import boxes, free_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.arrays import Floats, Rows

log = logging.getLogger("mlygeo.store.datasets")

GEOMETRY = "geometry"

_SIDES = ("/west", "/south", "/east", "/north")
"""Names of the columns of exact boxes on the way to the parts."""


@dataclass(frozen=True)
class Written:
    """What was written: rows, and the columns that have values in some of them."""

    rows: int
    columns: tuple[str, ...]


def write_file(batches: Iterable[gpd.GeoDataFrame], path: Path) -> Written:
    """
    Write lines as one GeoParquet 1.1 file, in their order.

    Parameters
    ----------
    batches
        Frames with the same columns, EPSG:4326; at least one. The `attrs` of the last are those of the file.
    path
        The file. Not atomic by itself.
    """
    writer, rows, attrs, extent = None, 0, {}, None
    try:
        for batch in batches:
            table, bounds = _table(batch)
            if writer is None:
                schema = _schema(table.schema, {})
                writer = _writer(path, schema)
            writer.write_table(_boxed(table, bounds, writer.schema), row_group_size=layout.ROWS_PER_GROUP)
            rows, attrs = rows + len(batch), batch.attrs
            extent = _joined(extent, bounds) if len(batch) else extent
        if writer is None:
            raise ValueError("there are no batches")
        geo = _geo(writer.schema.names, extent)
        writer.add_key_value_metadata({"geo": json.dumps(geo), "pandas": json.dumps(_footer(writer.schema, attrs))})
    finally:
        if writer is not None:
            writer.close()
    return Written(rows, tuple(name for name in writer.schema.names if name != _covering(writer.schema.names)))


def write(
    batches: Iterable[gpd.GeoDataFrame],
    dataset: Path,
    folder: Path,
    *,
    most: int,
    inputs: str,
    problems: Callable[[dict[str, Any]], dict[str, int]],
    record: dict[str, Any] | None = None,
) -> Index:
    """
    Write lines as a dataset.

    Parameters
    ----------
    batches
        Streets frames with the same columns; at least one. The `attrs` of the last are those of the parts.
    dataset
        The folder of the dataset, in which nothing is.
    folder
        That of the run, which is there; it is cleared by the caller.
    most
        Most rows of a part.
    inputs
        Hash of what the lines are made of.
    problems
        Makes of the `attrs` of the parts how many lines are in doubt, by reason.
    record
        What the run was asked for, JSON; None where that is unknown.

    Returns
    -------
    index
        The parts, in which lines stand along a Hilbert curve of the south-western corners of their boxes, and then
        by `u`, `v` and `key`.
    """
    publishing.clear(folder, keep=[STATE_FOLDER])
    schema, attrs, rows, codes, counts = _kept(batches, folder)
    found = np.unique(codes)
    total = np.zeros(len(found), dtype=np.int64)
    np.add.at(total, np.searchsorted(found, codes), counts)
    leaves = layout.leaves(found, total, most)
    parts: list[Part] = []
    left_out, in_doubt = attrs.get("left_out") or {}, problems(attrs)
    with pa.OSFile(str(_scattered(folder, schema, leaves))) as source, working("writing the parts") as step:
        step.begin(rows, "rows")
        reader = pa.ipc.open_file(source)
        cell_of = np.load(folder / "cells.npy")
        for number, name in enumerate(leaves.folders):
            table = pa.Table.from_batches(
                [reader.get_batch(batch) for batch in np.flatnonzero(cell_of == number).tolist()]
            ).combine_chunks()
            parts += _parts(table, folder / PARTS / name, most, attrs)
            # Who reads all parts adds up what is left out of each, so one of them says it.
            attrs = {key: value for key, value in attrs.items() if key != "left_out"}
            step.advance(len(table))
    more = {
        "inputs": [inputs], "form": "lines", "gaps": [], "placeless": 0, "left_out": left_out,
        "problems": in_doubt, "shown": {}, "written": len(parts), "records": [record] if record else [],
    }  # fmt: skip
    index = Index(tuple(parts), found, total, most, layout.VERSION, more)
    publishing.publish(folder, dataset, index, new=[part.path for part in parts], old=[])
    return index


def _kept(batches: Iterable[gpd.GeoDataFrame], folder: Path) -> tuple[pa.Schema, dict[str, Any], int, Rows, Rows]:
    """Keep batches on disk; return their schema and `attrs`, their rows, and how many there are in which cell."""
    writer, attrs, rows, codes, counts = None, {}, 0, [], []
    try:
        for batch in batches:
            table, bounds = _table(batch)
            for name, side in zip(_SIDES, bounds, strict=True):
                table = table.append_column(name, pa.array(side))
            if writer is None:
                writer = pa.ipc.new_file(str(folder / "lines.arrow"), table.schema)
                schema = table.schema
            writer.write_table(table)
            code, count = np.unique(cells.codes(bounds[0], bounds[1], layout.MOST_ZOOM), return_counts=True)
            codes.append(code)
            counts.append(count)
            attrs, rows = batch.attrs, rows + len(batch)
    finally:
        if writer is not None:
            writer.close()
    return schema, attrs, rows, np.concatenate(codes), np.concatenate(counts)


def _scattered(folder: Path, schema: pa.Schema, leaves: layout.Leaves) -> Path:
    """Sort the lines of each batch by cell, into a file of batches of one cell each."""
    path, numbers = folder / "scattered.arrow", []
    with pa.OSFile(str(folder / "lines.arrow")) as source, pa.ipc.new_file(str(path), schema) as writer:
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            west, south = (batch[name].to_numpy() for name in _SIDES[:2])
            cell = leaves.of(cells.codes(west, south, layout.MOST_ZOOM))
            order = np.argsort(cell, kind="stable")
            several, first = np.unique(cell[order], return_index=True)
            batch = batch.take(pa.array(order))
            for each, start, stop in zip(several.tolist(), first, [*first[1:], len(order)], strict=True):
                writer.write_batch(batch.slice(start, stop - start))
                numbers.append(each)
    (folder / "lines.arrow").unlink()
    np.save(folder / "cells.npy", np.array(numbers, dtype=np.int64))
    return path


def _parts(table: pa.Table, folder: Path, most: int, attrs: dict[str, Any]) -> list[Part]:
    """Write the parts of a cell."""
    bounds = np.stack([table[name].to_numpy() for name in _SIDES])
    columns = table.drop_columns(list(_SIDES))
    keys = [columns[name].to_numpy() for name in ("key", "v", "u")]
    order = np.lexsort((*keys, hilbert.codes(bounds[0], bounds[1])))
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    size = -(-len(order) // -(-len(order) // most))
    for number, start in enumerate(range(0, len(order), size)):
        rows = order[start : start + size]
        path = folder / layout.part(number)
        box = bounds[:, rows]
        told = attrs if number == 0 else {key: value for key, value in attrs.items() if key != "left_out"}
        schema = _schema(columns.schema, told, _joined(None, box))
        with whole(path) as temporary, _writer(temporary, schema) as writer:
            for first in range(0, len(rows), layout.ROWS_PER_GROUP):
                some = rows[first : first + layout.ROWS_PER_GROUP]
                group = _boxed(columns.take(pa.array(some)), bounds[:, some], schema)
                writer.write_table(group, row_group_size=layout.ROWS_PER_GROUP)
        west, south, east, north = _joined(None, box)
        sha256 = sha256_of(path)
        parts.append(
            Part(
                folder.name.removeprefix(layout.PLACELESS), f"{folder.name}/{path.name}", len(rows),
                -(-len(rows) // layout.ROWS_PER_GROUP), path.stat().st_size, west, south, east, north,
                None, None, None, None, sha256, footer_sha256(path),
            )
        )  # fmt: skip
    return parts


def _table(batch: gpd.GeoDataFrame) -> tuple[pa.Table, Floats]:
    """Return a frame as a table with WKB, and the boxes of its rows, shape (4, n)."""
    import shapely

    columns = {name: attributes.to_arrow(batch[name], name)[0] for name in batch.columns if name != batch.geometry.name}
    geometry = np.asarray(batch.geometry.values)
    columns[GEOMETRY] = pa.array(shapely.to_wkb(geometry, byte_order=1, flavor="iso"), pa.binary())
    return pa.table(columns), shapely.bounds(geometry).T


def _boxed(table: pa.Table, bounds: Floats, schema: pa.Schema) -> pa.Table:
    return pa.table([*table.columns, boxes(bounds, np.ones(len(table), dtype=bool))], schema=schema)


def _covering(names: Iterable[str]) -> str:
    """Return the name of the last column, that of the boxes."""
    return list(names)[-1]


def _schema(plain: pa.Schema, attrs: dict[str, Any], extent: list[float] | None = None) -> pa.Schema:
    covering = free_name("bbox", plain.names)
    schema = plain.append(pa.field(covering, pa.struct([(side, pa.float32()) for side in metadata.SIDES])))
    if extent is None:
        return schema
    geo, pandas = _geo(schema.names, extent), _footer(schema, attrs)
    return schema.with_metadata({b"geo": json.dumps(geo).encode(), b"pandas": json.dumps(pandas).encode()})


def _geo(names: list[str], extent: list[float] | None) -> dict[str, Any]:
    from pyproj import CRS

    covering = _covering(names)
    column: dict[str, Any] = {
        "encoding": "WKB", "geometry_types": ["LineString"], "crs": CRS.from_user_input(frames.CRS).to_json_dict(),
        "covering": {"bbox": {side: [covering, side] for side in metadata.SIDES}},
    }  # fmt: skip
    if extent is not None:  # a file without rows has none
        column["bbox"] = extent
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}


def _footer(schema: pa.Schema, attrs: dict[str, Any]) -> dict[str, Any]:
    table = schema.empty_table().select([name for name in schema.names[:-1] if name != GEOMETRY])
    return {
        **attributes.plain_pandas_metadata(table, (GEOMETRY,)),
        "attributes": {name: value for name, value in attrs.items() if attributes.is_json({name: value})},
    }


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    covering = _covering(schema.names)
    plain = {GEOMETRY, covering}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=[name for name in schema.names if name not in plain and name not in frames.IDS] or False,
        write_statistics=[name for name in schema.names if name not in plain]
        + [f"{covering}.{side}" for side in metadata.SIDES],
    )


def _joined(extent: list[float] | None, bounds: Floats) -> list[float]:
    low, high = bounds[:2].min(axis=1), bounds[2:].max(axis=1)
    if extent is not None:
        low, high = np.minimum(low, extent[:2]), np.maximum(high, extent[2:])
    return [*low.tolist(), *high.tolist()]
