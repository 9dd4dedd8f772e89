"""The first pass: how many rows each cell has, and which ids stand in several rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.spatial import cells
from mlygeo.store.datasets import hashes, layout, sources
from mlygeo.store.datasets.work import Work, done, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from mlygeo.arrays import Flags, Rows, Words

STEP, FOUND = "count", "repeats"
"""Names of the tasks that count rows, and of those that look for repeated ids."""


def count(work: Work, number: int) -> dict[str, Any]:
    """
    Count the rows of a piece by cell, and note the cell of each row and the hash of each id.

    Parameters
    ----------
    work
        The run.
    number
        Of the piece.

    Returns
    -------
    counts
        `rows`, those without position as `placeless`, `problems` by their names, and those that are not chosen as
        `left_out` by reason.
    """

    def make() -> dict[str, Any]:
        names = work.form.id_columns if work.buckets else []
        codes, held = [], []
        problems: dict[str, int] = {}
        left_out: dict[str, int] = {}
        for chunk in sources.read(work.sources, work.pieces[number], work.form, names, threads=work.threads):
            codes.append(cells.codes(chunk.lon, chunk.lat, layout.MOST_ZOOM).astype(np.int32))
            if names:
                held.append(hashes.of_ids(chunk.table))
            for total, more in ((problems, chunk.problems), (left_out, chunk.left_out)):
                for name, times in more.items():
                    total[name] = total.get(name, 0) + times
        code = np.concatenate([np.empty(0, dtype=np.int32), *codes])
        known = code[code >= 0]
        values, numbers = np.unique(known, return_counts=True)
        if not work.rehearsal:
            _save(work.file(STEP, number, ".codes.npy"), code)
        _save(work.file(STEP, number, ".cells.npy"), np.stack([values.astype(np.int64), numbers.astype(np.int64)]))
        if names:
            _save_by_bucket(work, number, np.concatenate([np.empty(0, dtype=np.uint64), *held]))
        placeless = 0 if work.hides(number) else len(code) - len(known)
        return {"rows": len(code), "placeless": placeless, "problems": problems, "left_out": left_out}

    return done(work, STEP, number, make)


def counted(work: Work, number: int) -> tuple[Rows, Rows]:
    """Return the cells of a piece's rows, codes of zoom 14, ascending, and how many rows each has."""
    code, rows = np.load(work.file(STEP, number, ".cells.npy"))
    return code, rows


def codes(work: Work, number: int) -> Rows:
    """Return the cell of each row of a piece, int32 codes of zoom 14; -1 where it has no position."""
    found: Rows = np.load(work.file(STEP, number, ".codes.npy"))
    return found


def added(one: tuple[Rows, Rows], *others: tuple[Rows, Rows], sign: int = 1) -> tuple[Rows, Rows]:
    """Return cells of all and the sums of their rows; `sign` -1 subtracts the others, and drops cells without rows."""
    code = np.concatenate([one[0], *(each[0] for each in others)])
    rows = np.concatenate([one[1], *(sign * each[1] for each in others)])
    if not len(code):
        return code, rows
    order = np.argsort(code, kind="stable")
    code, rows = code[order], rows[order]
    starts = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]]))
    total = np.add.reduceat(rows, starts)
    return code[starts][total != 0], total[total != 0]


def bucket_of(hashed: Words, buckets: int) -> npt.NDArray[np.uint16]:
    """Return the bucket of each id by its hash; there are at most 2**16 of them, a power of 2."""
    bits = buckets.bit_length() - 1
    return (hashed >> np.uint64(48)).astype(np.uint16) >> np.uint16(16 - bits) if bits else (
        np.zeros(len(hashed), dtype=np.uint16)
    )  # fmt: skip


def find_repeats(work: Work, bucket: int) -> dict[str, Any]:
    """Note the hashes of a bucket that stand in several rows, ascending; return their number as `repeated`."""

    def make() -> dict[str, Any]:
        parts = []
        for number in range(len(work.pieces)):
            starts = np.load(work.file(STEP, number, ".starts.npy"))
            if starts[bucket + 1] > starts[bucket]:
                held = np.load(work.file(STEP, number, ".ids.npy"), mmap_mode="r")
                parts.append(np.array(held[starts[bucket] : starts[bucket + 1]]))
        found = np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)
        some = np.sort(found)
        again = np.unique(some[1:][some[1:] == some[:-1]])
        _save(work.file(FOUND, bucket, ".npy"), again)
        return {"repeated": len(again)}

    return done(work, FOUND, bucket, make)


def are_repeated(work: Work, hashed: Words) -> Flags:
    """Return which rows have an id that stands in several."""
    found = np.zeros(len(hashed), dtype=bool)
    bucket = bucket_of(hashed, work.buckets)
    order = np.argsort(bucket, kind="stable")
    starts = np.searchsorted(bucket[order], np.arange(work.buckets + 1))
    for number in range(work.buckets):
        rows = order[starts[number] : starts[number + 1]]
        again = np.load(work.file(FOUND, number, ".npy"), mmap_mode="r")
        if len(rows) and len(again):
            place = np.minimum(np.searchsorted(again, hashed[rows]), len(again) - 1)
            found[rows] = again[place] == hashed[rows]
    return found


def _save_by_bucket(work: Work, number: int, hashed: Words) -> None:
    hashed = hashed[hashed != 0]
    bucket = bucket_of(hashed, work.buckets)
    order = np.argsort(bucket, kind="stable")
    starts = np.searchsorted(bucket[order], np.arange(work.buckets + 1))
    _save(work.file(STEP, number, ".ids.npy"), hashed[order])
    _save(work.file(STEP, number, ".starts.npy"), starts.astype(np.int64))


def _save(path: Path, values: npt.NDArray[Any]) -> None:
    with whole(path) as temporary, temporary.open("wb") as file:
        np.save(file, values)


def merged(several: Sequence[tuple[Rows, Rows]]) -> tuple[Rows, Rows]:
    """Return the sums of the rows of many pieces by cell, some pieces at a time."""
    none = np.empty(0, dtype=np.int64)
    total = (none, none)
    for start in range(0, len(several), 64):
        total = added(total, *several[start : start + 64])
    return total
