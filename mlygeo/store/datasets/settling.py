"""
Ids that stand in several rows, settled: one row of each goes into the dataset.

The row is the one that was added last, then changed last (`updated_at`), then captured last (`captured_at`); of these
the one whose position is known, with the least longitude, then latitude, then hash of all columns. So the choice
does not depend on the order of the inputs. Rows that hide others are no rows of the dataset; see `Source`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlygeo.spatial import cells
from mlygeo.store.datasets import hashes, layout, scatter
from mlygeo.store.datasets.form import LAT, LON
from mlygeo.store.datasets.source import GOING
from mlygeo.store.datasets.work import Work, done, whole

if TYPE_CHECKING:
    from mlygeo.arrays import Flags, Rows, Words

AGAIN, OLDER, REPLACED = "that stand in several rows", "that a later row says otherwise", "that added ones replace"
GONE = "that are gone from what was added"
"""Why rows are left out: others say the same; another row of the inputs, or one that was added, counts; none does."""

SEVERAL_PLACES, OTHER_VALUES = "ids at several places", "ids with several values"
"""What is in doubt of the inputs."""

MOST_SHOWN = 3
"""Ids that are named."""


def settle(work: Work, bucket: int) -> dict[str, Any]:
    """
    Choose one row for each repeated id of a bucket, and write these.

    Returns
    -------
    counts
        `rows` chosen; `left_out` and `problems` by reason; `shown`: the least ids of each problem, as text. `repeats`:
        how many of the new rows, with those that hide others, have an id that another one has; `passed_over`: how many
        new rows are not chosen. The cells of rows are in files; see `counted`.
    """

    def make() -> dict[str, Any]:
        table = _rows_of(work, bucket)
        ordered, first = _without_hidden(_ordered(table))
        group = np.cumsum(first) - 1
        chosen = np.flatnonzero(first & ~_hides(ordered))
        with whole(work.file(scatter.SETTLE, bucket, ".arrow")) as temporary:
            settled = ordered.select(work.form.spilled.names).take(pa.array(chosen))
            with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, settled.schema) as file:
                file.write_table(settled)
        content, best = _content(ordered), np.flatnonzero(first)
        rows = table.filter(pa.array(~_hides(table)))
        _save_cells(work, bucket, "all", rows)
        _save_cells(work, bucket, "kept", settled)
        _save_cells(work, bucket, "added", rows.filter(pa.array(_generations(rows) > 0)))
        _save_cells(work, bucket, "changed", _changed(ordered, content, best, group))
        return {"rows": len(chosen), **_added(table, ordered, chosen), **_told(ordered, content, best, group)}

    return done(work, scatter.SETTLE, bucket, make)


def counted(work: Work, bucket: int, which: str) -> tuple[Rows, Rows, int]:
    """
    Return cells (codes of zoom 14) and rows of a bucket, and the number of rows without position.

    Parameters
    ----------
    work, bucket
        As for `settle`.
    which
        "all" rows there were, "kept" ones, "added" ones of these before they were settled, or "changed" ones: those
        that go from a dataset that is there, or come into it.
    """
    code = np.load(work.file(scatter.SETTLE, bucket, f".{which}.npy"))
    values, rows = np.unique(code[code >= 0], return_counts=True)
    return values.astype(np.int64), rows.astype(np.int64), int((code < 0).sum())


def _rows_of(work: Work, bucket: int) -> pa.Table:
    found: list[pa.RecordBatch] = []
    for number in range(len(work.pieces)):
        batches = scatter.extract(work, number)["cells"]
        mine = [place for place, each in enumerate(batches) if each == bucket]
        if mine:
            found += scatter.read_batches(work.file(scatter.EXTRACT, number, ".arrow"), mine)
    return pa.Table.from_batches(found, scatter.extracted(work)).combine_chunks()


def _generations(table: pa.Table) -> Rows:
    found: Rows = table[scatter.GENERATION].to_numpy()
    return found


def _hides(table: pa.Table) -> Flags:
    found: Flags = table[scatter.HIDES].to_numpy(zero_copy_only=False)
    return found


def _ordered(table: pa.Table) -> tuple[pa.Table, Flags]:
    """Return rows in the order of their ids, each time the row that counts first; and where ids begin in it."""
    keys = _codes(table["id"])
    if "provider" in table.column_names:
        names = _codes(table["provider"])
        keys = keys * (int(names.max(initial=0)) + 1) + names
    lon, lat = table[LON].to_numpy(), table[LAT].to_numpy()
    later = [_latest_first(table, name) for name in ("updated_at", "captured_at")]
    generation = -_generations(table)
    order = np.lexsort((_content(table), lat, lon, np.isnan(lon), later[1], later[0], generation, keys))
    return table.take(pa.array(order)), _starts(keys[order])


def _starts(keys: Rows) -> Flags:
    found: Flags = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    return found


def _without_hidden(found: tuple[pa.Table, Flags]) -> tuple[pa.Table, Flags]:
    """Return rows as `_ordered` does, without new ones of ids whose first new row hides them."""
    ordered, first = found
    hides, new = _hides(ordered), _generations(ordered) > GOING
    group = np.cumsum(first) - 1
    hidden = new & (first & hides & new)[np.flatnonzero(first)][group]
    if not hidden.any():
        return found
    group = group[~hidden]
    return ordered.filter(pa.array(~hidden)), _starts(group)


def _added(table: pa.Table, ordered: pa.Table, chosen: Rows) -> dict[str, int]:
    """Return how many of the new rows repeat others, and how many are not chosen."""
    new = _generations(table) > GOING
    keys, first = _ordered(table.filter(pa.array(new)))
    rows = int((new & ~_hides(table)).sum())
    taken = int((_generations(ordered)[chosen] > GOING).sum())
    return {"repeats": len(keys) - int(first.sum()), "passed_over": rows - taken}


def _changed(ordered: pa.Table, content: Words, best: Rows, group: Rows) -> pa.Table:
    """Return the rows that go from the dataset that is there, and those that come; not those that come as they are."""
    old = _generations(ordered) == 0
    gone = old & ((content != content[best][group]) | _hides(ordered)[best][group])
    stays = np.zeros(len(best), dtype=bool)
    stays[group[old & ~gone]] = True
    comes = np.zeros(len(ordered), dtype=bool)
    comes[best] = ~stays & ~_hides(ordered)[best]
    return ordered.filter(pa.array(gone | comes))


def _codes(values: pa.ChunkedArray) -> Rows:
    """Return a number for each value that only equal ones share."""
    indices = values.combine_chunks().dictionary_encode(null_encoding="encode")
    indices = indices.chunk(0) if isinstance(indices, pa.ChunkedArray) else indices
    found: Rows = indices.indices.to_numpy().astype(np.int64)
    return found


def _latest_first(table: pa.Table, name: str) -> Rows:
    if name not in table.column_names or not pa.types.is_timestamp(table.schema.field(name).type):
        return np.zeros(len(table), dtype=np.int64)
    times = pc.fill_null(table[name].cast(pa.int64()), np.iinfo(np.int64).min + 1)
    found: Rows = -times.to_numpy()
    return found


def _content(table: pa.Table) -> Words:
    return hashes.of_rows(table.drop_columns([scatter.GENERATION, scatter.HIDES]))


def _told(ordered: pa.Table, content: Words, first: Rows, group: Rows) -> dict[str, Any]:
    """Return what is left out, and what of it is in doubt."""
    generation = _generations(ordered)
    lon, lat = ordered[LON].to_numpy(), ordered[LAT].to_numpy()
    best = first[group]
    hides = _hides(ordered)
    same = content == content[best]
    alike = generation == generation[best]
    moved = ~(((lon == lon[best]) & (lat == lat[best])) | (np.isnan(lon) & np.isnan(lon[best])))
    left = ~hides & ~hides[best] & (alike | (generation == 0))
    left[first] = False
    left_out = {
        AGAIN: left & same,
        OLDER: left & ~same & alike,
        REPLACED: left & ~same & ~alike,
        GONE: ~hides & hides[best],
    }
    places = np.unique(group[left & alike & moved])
    values = np.setdiff1d(np.unique(group[left & alike & ~same]), places)
    problems = {SEVERAL_PLACES: places, OTHER_VALUES: values}
    ids = ordered["id"]
    return {
        "left_out": {reason: int(rows.sum()) for reason, rows in left_out.items() if rows.any()},
        "problems": {reason: len(each) for reason, each in problems.items() if len(each)},
        "shown": {
            reason: sorted(map(str, ids.take(pa.array(first[each])).to_pylist()))[:MOST_SHOWN]
            for reason, each in problems.items()
            if len(each)
        },
    }


def _save_cells(work: Work, bucket: int, which: str, table: pa.Table) -> None:
    code = cells.codes(table[LON].to_numpy(), table[LAT].to_numpy(), layout.MOST_ZOOM)
    with whole(work.file(scatter.SETTLE, bucket, f".{which}.npy")) as temporary, temporary.open("wb") as file:
        np.save(file, code)
