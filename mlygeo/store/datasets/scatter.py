"""The second pass: rows go from the inputs into a file for each piece, ordered by the cells they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo.spatial import cells
from mlygeo.store.atomic import file_error
from mlygeo.store.datasets import counting, hashes, layout, sources
from mlygeo.store.datasets.form import LAT, LON
from mlygeo.store.datasets.work import Work, done, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlygeo.arrays import Rows

STEP, EXTRACT, SETTLE = "scatter", "extract", "settle"
"""Names of the tasks: rows by cell, rows with repeated ids by bucket, and the chosen ones of them."""

ROWS_AT_ONCE = 500_000
"""Rows that are ordered at once."""

GENERATION, HIDES = "/generation", "/hides"
"""Names of the columns that tell which rows were added later, and which keep others out, where ids are settled."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def scatter(work: Work, number: int) -> dict[str, Any]:
    """
    Write the rows of a piece by cell.

    Parameters
    ----------
    work
        The run, whose cells are known.
    number
        Of the piece; after the last one the buckets of settled ids begin.

    Returns
    -------
    counts
        For each batch of the file `cells` and `rows`; and `gaps`, the columns with nulls.
    """

    def make() -> dict[str, Any]:
        tables = _of_piece(work, number) if number < len(work.pieces) else _of_settled(work, number - len(work.pieces))
        return _by_number(work.file(STEP, number, ".arrow"), work.form.spilled, tables)

    return done(work, STEP, number, make)


def extract(work: Work, number: int) -> dict[str, Any]:
    """Write the rows of a piece whose ids stand in several rows, by bucket; see `scatter`."""

    def make() -> dict[str, Any]:
        repeated = [
            counting.are_repeated(work, hashes.of_ids(chunk.table))
            for chunk in sources.read(
                work.sources, work.pieces[number], work.form, work.form.id_columns, threads=work.threads
            )
        ]
        schema = extracted(work)
        some = any(flags.any() for flags in repeated)
        return _by_number(work.file(EXTRACT, number, ".arrow"), schema, _repeated(work, number) if some else iter(()))

    return done(work, EXTRACT, number, make)


def extracted(work: Work) -> pa.Schema:
    """Return the schema of the rows that `extract` writes."""
    return work.form.spilled.append(pa.field(GENERATION, pa.int32())).append(pa.field(HIDES, pa.bool_()))


def read_batches(path: Path, batches: list[int], columns: list[str] | None = None) -> list[pa.RecordBatch]:
    """Return batches of a file that `scatter` or `extract` wrote."""
    try:
        with pa.memory_map(str(path)) as source:
            options = None
            if columns is not None:
                with pa.ipc.open_file(source) as file:
                    numbers = [file.schema.get_field_index(name) for name in columns]
                options = pa.ipc.IpcReadOptions(included_fields=numbers)
            with pa.ipc.open_file(source, options=options) as file:
                return [file.get_batch(batch) for batch in batches]
    except OSError as error:
        raise file_error(error, path) from error


def cells_of(work: Work, code: Rows) -> Rows:
    """Return the number of the cell of each row by its code of zoom 14; that after the last where it is negative."""
    return np.where(code < 0, len(work.leaves), work.leaves.of(code))


def _of_piece(work: Work, number: int) -> Iterator[tuple[pa.Table, Rows]]:
    """Yield rows of a piece with the numbers of their cells, without those that are not written anew."""
    if work.hides(number):
        return
    code = counting.codes(work, number)
    if work.written is not None and not np.isin(np.unique(cells_of(work, code)), work.written).any():
        return
    start = 0
    for chunk in sources.read(work.sources, work.pieces[number], work.form, None, threads=work.threads):
        place = cells_of(work, code[start : start + len(chunk.lon)])
        start += len(chunk.lon)
        table = sources.spilled(chunk, work.form)
        kept = np.ones(len(place), dtype=bool) if work.written is None else np.isin(place, work.written)
        if work.repeated:
            kept &= ~counting.are_repeated(work, hashes.of_ids(table))
        if not kept.all():
            table, place = table.filter(pa.array(kept)), place[kept]
        yield table, place


def _of_settled(work: Work, bucket: int) -> Iterator[tuple[pa.Table, Rows]]:
    """Yield the rows that were chosen among those with repeated ids, with the numbers of their cells."""
    path = work.file(SETTLE, bucket, ".arrow")
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as file:
        table = file.read_all()
    code = cells.codes(table[LON].to_numpy(), table[LAT].to_numpy(), layout.MOST_ZOOM)
    place = cells_of(work, code)
    if work.written is not None:
        kept = np.isin(place, work.written)
        table, place = table.filter(pa.array(kept)), place[kept]
    yield table, place


def _repeated(work: Work, number: int) -> Iterator[tuple[pa.Table, Rows]]:
    for span in work.pieces[number]:
        source = work.sources[span.source]
        for chunk in sources.read(work.sources, [span], work.form, None, threads=work.threads):
            hashed = hashes.of_ids(chunk.table)
            kept = counting.are_repeated(work, hashed)
            table = sources.spilled(chunk, work.form).filter(pa.array(kept))
            generation = pa.array(np.full(len(table), source.generation, dtype=np.int32))
            hides = pa.array(np.full(len(table), source.hides))
            yield (
                table.append_column(GENERATION, generation).append_column(HIDES, hides),
                counting.bucket_of(hashed[kept], work.buckets).astype(np.int64),
            )


def _by_number(path: Path, schema: pa.Schema, tables: Iterator[tuple[pa.Table, Rows]]) -> dict[str, Any]:
    """Write rows in batches of one number each."""
    numbers: list[int] = []
    rows: list[int] = []
    gaps: set[str] = set()
    with (
        whole(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema, options=_OPTIONS) as file,
    ):
        for table, place in _gathered(tables):
            gaps |= {name for name in table.column_names if table[name].null_count}
            for number, count in _write(file, table, place):
                numbers.append(number)
                rows.append(count)
    return {"cells": numbers, "rows": rows, "gaps": sorted(gaps)}


def _write(file: Any, table: pa.Table, place: Rows) -> Iterator[tuple[int, int]]:
    """Write rows by number, and yield the number and the rows of each batch."""
    if (place[1:] < place[:-1]).any():
        order = np.argsort(place.astype(np.int32), kind="stable")
        table, place = table.combine_chunks().take(pa.array(order)), place[order]
    starts = np.flatnonzero(np.concatenate([[True], place[1:] != place[:-1]]))
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(place)], strict=True):
        for batch in table.slice(start, stop - start).combine_chunks().to_batches():
            file.write_batch(batch)
            yield int(place[start]), batch.num_rows


def _gathered(tables: Iterator[tuple[pa.Table, Rows]]) -> Iterator[tuple[pa.Table, Rows]]:
    """Yield rows in larger tables, none of them empty."""
    held: list[tuple[pa.Table, Rows]] = []
    rows = 0
    for table, place in tables:
        if len(table):
            held.append((table, place))
            rows += len(table)
        if rows >= ROWS_AT_ONCE:
            yield pa.concat_tables([each for each, _ in held]), np.concatenate([each for _, each in held])
            held, rows = [], 0
    if held:
        yield pa.concat_tables([each for each, _ in held]), np.concatenate([each for _, each in held])
