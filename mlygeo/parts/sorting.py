"""Rows sorted by task, out of core: each is written twice, and a task's rows are one batch of an Arrow file."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mlygeo.store.atomic import atomic, file_error

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlygeo.arrays import Rows

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


def by_task(path: Path, schema: pa.Schema, tables: Iterable[tuple[pa.Table, Rows]], count: int) -> Rows:
    """
    Write rows with a batch for each task, in which they keep their order.

    What is held are one of the tables, and the rows of one task.

    Parameters
    ----------
    path
        The file to write.
    schema
        The columns.
    tables
        Rows, and the number of the task of each (int64); those of no task have -1.
    count
        Number of tasks.

    Returns
    -------
    rows
        How many rows each task has, int64.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    rows = np.zeros(count, dtype=np.int64)
    with atomic(path) as temporary:
        scattered = temporary.with_name("scattered.arrow")
        task = _scatter(scattered, schema, tables)
        order = np.argsort(task, kind="stable")
        ends = np.searchsorted(task[order], np.arange(count + 1))
        with (
            pa.OSFile(str(scattered), "rb") as source,
            pa.ipc.open_file(source) as given,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            for number in range(count):
                some = [given.get_batch(each) for each in order[ends[number] : ends[number + 1]].tolist()]
                whole = pa.Table.from_batches(some, schema).combine_chunks()
                batch = whole.to_batches()[0] if len(whole) else pa.RecordBatch.from_pylist([], schema)
                writer.write_batch(batch)
                rows[number] = len(whole)
        scattered.unlink()
    return rows


def of_task(path: Path, number: int) -> pa.Table:
    """Return the rows of a task from a file that `by_task` wrote."""
    try:
        with pa.memory_map(str(path)) as source:
            return pa.Table.from_batches([pa.ipc.open_file(source).get_batch(number)])
    except OSError as error:
        raise file_error(error, path) from error


def _scatter(path: Path, schema: pa.Schema, tables: Iterable[tuple[pa.Table, Rows]]) -> Rows:
    """Write rows in batches of one task each; return the task of each batch."""
    of_batch = []
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema, options=_OPTIONS) as writer:
        for table, task in tables:
            order = np.argsort(task, kind="stable")
            order = order[np.searchsorted(task[order], 0) :]
            tasks = task[order]
            rows = table.take(pa.array(order)).combine_chunks()
            for start, stop in pairwise(np.flatnonzero(np.diff(tasks, prepend=-1, append=-1)).tolist()):
                for batch in rows.slice(start, stop - start).to_batches():
                    writer.write_batch(batch)
                    of_batch.append(int(tasks[start]))
    return np.array(of_batch, dtype=np.int64)
