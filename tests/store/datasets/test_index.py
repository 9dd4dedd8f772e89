"""Tests of mlygeo.store.datasets.index: what was written comes back, and damage is told."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlygeo.errors import FileError, FormatError
from mlygeo.store.datasets import index, layout

TIME = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)


def an_index(low=2**60 + 1, high=2**60 + 7):
    part = index.Part("0231", "cell=q0231/part-0.parquet", 5, 1, 99, 9.1, 48.7, 9.2, 48.8, low, high, TIME, TIME,
                      "00")  # fmt: skip
    nowhere = index.Part("", "cell=q/part-0.parquet", 2, 1, 9, None, None, None, None, None, None, None, None, "1")
    return index.Index((part, nowhere), np.array([7, 2**27]), np.array([2, 3]), 1000, more={"kind": "images"})


@pytest.mark.parametrize("ids", [(2**60 + 1, 2**60 + 7), ("aé", "b"), (None, None)])
def test_an_index_comes_back_as_it_was_written(tmp_path, ids):
    path = layout.index_of(tmp_path / "images")
    written = an_index(*ids)

    index.write_index(written, path)

    found = index.read_index(path)
    assert path.name == "images.partitions.parquet"
    assert (found.parts, found.rows_per_part, found.version, found.more) == (written.parts, 1000, 1, {"kind": "images"})
    assert np.array_equal(found.cells, written.cells)
    assert np.array_equal(found.counts, written.counts)
    assert found.rows == 7


def changed(path: Path, **facts: object) -> None:
    table = pq.read_table(path)
    said = json.loads(table.schema.metadata[b"mlygeo:dataset"])
    pq.write_table(table.replace_schema_metadata({b"mlygeo:dataset": json.dumps({**said, **facts}).encode()}), path)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"layout": 2}, "newer than this version"),
        ({"rows": 8}, "do not add up"),
        ({"cells": "AAAA"}, "damaged index"),
        ({"counts": ""}, "damaged index"),
    ],
)
def test_an_index_that_cannot_be_right_is_refused(tmp_path, facts, message):
    path = tmp_path / "images.partitions.parquet"
    index.write_index(an_index(), path)
    changed(path, **facts)
    with pytest.raises(FormatError, match=message):
        index.read_index(path)


def test_what_is_no_index_is_refused(tmp_path):
    path = tmp_path / "images.partitions.parquet"
    with pytest.raises(FileError):
        index.read_index(path)
    pq.write_table(pa.table({"id": [1]}), path)
    with pytest.raises(FormatError, match="is not the index"):
        index.read_index(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(FormatError):
        index.read_index(path)
