"""Words of rows: equal rows have equal ones, in every process and on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlygeo import arrays

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlygeo.arrays import Words


def of_ids(table: pa.Table) -> Words:
    """
    Return hashes of the ids of rows, with their providers; 0 where a row has none.

    Equal ids have equal hashes. That other ids have them too is rare, and no harm.
    """
    ids = _in_one(table["id"])
    known = pc.is_valid(ids).to_numpy(zero_copy_only=False)
    found = _of_values(ids)
    if "provider" in table.column_names:
        names = _in_one(table["provider"]).dictionary_encode()
        kinds = np.append(_of_texts(names.dictionary.cast(pa.string())), np.uint64(0))
        found = _mixed(found ^ kinds[names.indices.fill_null(len(kinds) - 1).to_numpy().astype(np.int64)])
    # Zero stands for no id.
    found[found == 0] = 1
    found[~known] = 0
    return found


def of_rows(table: pa.Table) -> Words:
    """Return hashes of whole rows; numbers count by their bits."""
    found = np.zeros(len(table), dtype=np.uint64)
    for column in table.columns:
        found = _mixed(found ^ _of_values(_in_one(column)))
    return found


def digest(tables: Iterable[pa.Table]) -> str:
    """
    Return a hash of rows, 32 hexadecimal digits, that depends neither on their order nor on how tables are cut.

    It tells whether two sets of rows are the same; it is no proof against somebody who looks for others with the same.

    Parameters
    ----------
    tables
        Tables of the same columns.
    """
    sums, rows = np.zeros(2, dtype=np.uint64), 0
    for table in tables:
        found = of_rows(table)
        sums += np.array([found.sum(dtype=np.uint64), _mixed(~found).sum(dtype=np.uint64)], dtype=np.uint64)
        rows += len(table)
    sums[:1] += _mixed(np.array([rows], dtype=np.uint64))
    return "".join(f"{int(each):016x}" for each in sums)


def _in_one(values: pa.ChunkedArray) -> pa.Array:
    whole = values.combine_chunks()
    return whole if not isinstance(whole, pa.ChunkedArray) else pa.concat_arrays(whole.chunks)


def _of_values(values: pa.Array) -> Words:
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        found = _of_texts(values)
    elif pa.types.is_null(kind):
        found = np.zeros(len(values), dtype=np.uint64)
    elif pa.types.is_boolean(kind):
        found = values.fill_null(False).to_numpy(zero_copy_only=False).astype(np.uint64)
    elif pa.types.is_primitive(kind):
        width = f"u{kind.bit_width // 8}"
        buffer = values.buffers()[1]
        bits = np.frombuffer(buffer, dtype=width)[values.offset : values.offset + len(values)]
        found = _mixed(bits.astype(np.uint64))
    else:
        found = _of_texts(pa.array([repr(value) for value in values.to_pylist()], pa.string()))
    if values.null_count:
        found[values.is_null().to_numpy(zero_copy_only=False)] = 1
    return found


def _mixed(numbers: Words) -> Words:
    """Return numbers whose bits all depend on all bits: a step of SplitMix64."""
    return arrays.mix(numbers + np.uint64(arrays.GOLDEN))


def _of_texts(words: pa.StringArray | pa.BinaryArray) -> Words:
    """Return hashes of texts: sums of their bytes, each times a number for its place (Carter and Wegman, 1979)."""
    if not len(words):
        return np.empty(0, dtype=np.uint64)
    words = words.fill_null(b"" if pa.types.is_binary(words.type) else "")
    _, places, content = words.buffers()
    starts = np.frombuffer(places, dtype=np.int32)[words.offset : words.offset + len(words) + 1].astype(np.int64)
    length = np.diff(starts)
    found = _mixed(length.astype(np.uint64))
    if content is None or not length.any():
        return _mixed(found)  # as beside texts that are not empty
    letters = np.frombuffer(content, dtype=np.uint8)[starts[0] : starts[-1]]
    if (length == length[0]).all():
        table = letters.reshape(len(words), -1)
        factors = _mixed(np.arange(table.shape[1], dtype=np.uint64))
        for column, factor in zip(table.T, factors, strict=True):
            found += column.astype(np.uint64) * factor
        return _mixed(found)
    some = np.flatnonzero(length)
    first = (starts - starts[0])[some]
    place = arrays.numbered(length[some])
    factors = _mixed(np.arange(int(length.max()), dtype=np.uint64))
    found[some] += np.add.reduceat(letters.astype(np.uint64) * factors[place], first)
    return _mixed(found)
