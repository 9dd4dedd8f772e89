"""The index of a dataset: what each part holds, so that readers and planners open only those they need."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo.errors import FormatError
from mlygeo.store.atomic import atomic
from mlygeo.store.datasets import layout
from mlygeo.store.parquet.files import reading

if TYPE_CHECKING:
    from datetime import datetime

    from mlygeo.arrays import Rows
    from mlygeo.keys import Key
    from mlygeo.store.parquet.files import Elsewhere, Opened

_KEY = b"mlygeo:dataset"
"""Where the metadata of the file have what is said of the whole."""

_LATER = frozenset({"footer_sha256"})
"""Columns that indexes of earlier versions do not have."""

_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Part:
    """
    A part of a dataset: a row of its index.

    Parameters
    ----------
    cell
        Quadkey of its cell; empty for rows without position.
    path
        Its file, relative to the folder of the dataset, with slashes.
    rows, row_groups, bytes
        Their numbers, and the size of the file.
    west, south, east, north
        The box around its geometry in degrees, exact; None where it has none.
    min_id, max_id
        Its smallest and largest id, by number or as text; None where rows have no id.
    min_captured_at, max_captured_at
        Its earliest and latest capture time, UTC; None where unknown.
    sha256
        Hash of the file, in hexadecimal digits.
    footer_sha256
        Hash of its end, by which readers know it: they check the pages that they read by checksums in the file. None
        where an earlier version has written it.
    """

    cell: str
    path: str
    rows: int
    row_groups: int
    bytes: int
    west: float | None
    south: float | None
    east: float | None
    north: float | None
    min_id: Key | None
    max_id: Key | None
    min_captured_at: datetime | None
    max_captured_at: datetime | None
    sha256: str
    footer_sha256: str | None = None


@dataclass(frozen=True)
class Index:
    """
    What is known of a dataset without opening a part.

    Parameters
    ----------
    parts
        In the order of their paths' cells, and of their numbers in a cell.
    cells
        Codes of the cells of zoom 14 that have rows, ascending; int64, shape (n,).
    counts
        How many rows each has; int64, shape (n,).
    rows_per_part
        Most rows of a part, by which it was cut.
    version
        Version of the layout.
    more
        What else is noted of the dataset; JSON.
    """

    parts: tuple[Part, ...]
    cells: Rows
    counts: Rows
    rows_per_part: int = layout.ROWS_PER_PART
    version: int = layout.VERSION
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What the runs were asked for that have written it, in their order; none of earlier versions of mlygeo."""
        found = self.more.get("records")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def write_index(index: Index, path: Path) -> None:
    """
    Write the index of a dataset to its file, atomically.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    text = any(isinstance(part.min_id, str) for part in index.parts)
    columns = {
        each.name: pa.array([getattr(part, each.name) for part in index.parts], _type(each.name, text=text))
        for each in fields(Part)
    }
    said = {
        "layout": index.version,
        "rows": index.rows,
        "rows_per_part": index.rows_per_part,
        "zoom": layout.MOST_ZOOM,
        "cells": _packed(np.diff(index.cells, prepend=0)),
        "counts": _packed(index.counts),
        "more": index.more,
    }
    table = pa.table(columns).replace_schema_metadata({_KEY: json.dumps(said, sort_keys=True).encode()})
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_index(path: Path | Elsewhere) -> Index:
    """
    Read the index of a dataset.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If it is not an index, or is damaged, or of a layout that this version does not know.
    """
    if isinstance(path, Path):
        return _index_of(reading(path, lambda: pq.ParquetFile(path).read()), path.name)
    return index_of(content_of(path.open()), path)


def content_of(file: Opened) -> bytes:
    """Return all bytes of an index elsewhere."""
    content: bytes = file.stream([(0, file.size)]).read()
    file.check()
    return content


def index_of(content: bytes, path: Path | Elsewhere) -> Index:
    """Return the index in the bytes of a file, as `read_index` does; the path is for messages."""
    return _index_of(reading(path, lambda: pq.ParquetFile(pa.BufferReader(content)).read()), path.name)


def _index_of(table: pa.Table, name: str) -> Index:
    raw = (table.schema.metadata or {}).get(_KEY)
    if raw is None or (missing := {each.name for each in fields(Part)} - {*table.column_names, *_LATER}):
        what = "" if raw is None else f": it has no column {', '.join(sorted(missing))}"
        raise FormatError(f"{name} is not the index of a dataset{what}")
    try:
        said = json.loads(raw)
        version = int(said["layout"])
    except (ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{name} is a damaged index: {error}") from error
    if version > layout.VERSION:
        raise FormatError(f"{name} has layout {version}, which is newer than this version of mlygeo",
                          hint="update mlygeo, or partition the dataset again")  # fmt: skip
    try:
        cells, counts = np.cumsum(_unpacked(said["cells"])), _unpacked(said["counts"])
        parts = tuple(
            Part(**row)
            for row in table.select([each.name for each in fields(Part) if each.name in table.column_names]).to_pylist()
        )
        found = Index(parts, cells, counts, int(said["rows_per_part"]), version, dict(said["more"]))
        stated = int(said["rows"])
    except (ValueError, TypeError, KeyError, zlib.error, pa.ArrowException) as error:
        raise FormatError(f"{name} is a damaged index: {str(error)[:120]}") from error
    if len(cells) != len(counts) or found.rows != stated:
        raise FormatError(f"{name} is a damaged index: its numbers of rows do not add up")
    return found


def _type(name: str, *, text: bool) -> pa.DataType:
    if name in {"min_id", "max_id"}:
        return pa.string() if text else pa.int64()
    if name in {"rows", "row_groups", "bytes"}:
        return pa.int64()
    if name in {"west", "south", "east", "north"}:
        return pa.float64()
    return _TIME if name.endswith("_at") else pa.string()


def _packed(numbers: Rows) -> str:
    return base64.b64encode(zlib.compress(numbers.astype("<i8").tobytes(), 6)).decode()


def _unpacked(text: str) -> Rows:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<i8").astype(np.int64)
