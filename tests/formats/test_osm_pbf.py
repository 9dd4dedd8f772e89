"""Nodes of OpenStreetMap's PBF: those of libosmium, and damaged blocks."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from conftest import DATA
from helpers import osm_pbf as made
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import FormatError
from mlygeo.formats import osm_pbf

osmium = pytest.importorskip("osmium", reason="files of OpenStreetMap need mlygeo[osm]")

FILES = sorted((DATA / "osm").glob("*.osm.pbf"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nodes_are_those_of_libosmium(path):
    with path.open("rb") as file:
        found = [nodes for block in osm_pbf.blocks(file) for nodes in osm_pbf.nodes(block)]
    expected = [
        (node.id, node.location.x, node.location.y) for node in osmium.FileProcessor(str(path), osmium.osm.NODE)
    ]
    table = np.stack([np.concatenate(column) for column in list(zip(*found, strict=True))[:3]], axis=1)
    assert table.tolist() == [list(row) for row in expected]
    assert all(nodes.visible.all() for nodes in found)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(-(2**40), 2**40), st.integers(-(10**8), 10**8), st.integers(-(10**8), 10**8)),
        min_size=1,
        max_size=20,
    ),
    group=st.sampled_from([made.dense, made.plain]),
    granularity=st.integers(1, 2000),
    offset=st.integers(-(10**10), 10**10),
)
def test_any_nodes_come_back_in_the_unit_of_openstreetmap(rows, group, granularity, offset):
    block = made.block([group(rows)], granularity=granularity, lat_offset=offset, lon_offset=-offset)
    (found,) = osm_pbf.nodes(block)

    def unit(value, off):
        nano = value * granularity + off
        return abs(nano) // 100 * (1 if nano >= 0 else -1)

    expected = [(number, unit(lon, -offset), unit(lat, offset)) for number, lat, lon in rows]
    assert list(zip(*(column.tolist() for column in found[:3]), strict=True)) == expected


def test_deleted_nodes_are_told():
    rows = [(1, 10, 20), (2, 30, 40)]
    columns = [made.deltas(column) for column in zip(*rows, strict=True)]
    packed = b"".join(made.message(number, column) for number, column in zip((1, 8, 9), columns, strict=True))
    group = made.message(2, packed + made.message(5, made.message(6, bytes([1, 0]))))
    (found,) = osm_pbf.nodes(made.block([group]))
    assert found.visible.tolist() == [True, False]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_bytes_are_a_format_error_or_nodes(seed):
    rng = random.Random(seed)
    rows = [(number, rng.randint(-(10**8), 10**8), rng.randint(-(10**8), 10**8)) for number in range(30)]
    kind = rng.choice([made.dense, made.plain])
    block = bytearray(made.block([kind(rows)]))
    for _ in range(rng.randint(1, 4)):
        block[rng.randrange(len(block))] = rng.randrange(256)
    file = made.blob("OSMHeader", made.header()) + made.blob("OSMData", bytes(block[: rng.randint(1, len(block))]))
    for data in (file, file[: rng.randrange(len(file))]):
        try:
            for one in osm_pbf.blocks(io.BytesIO(data)):
                for nodes in osm_pbf.nodes(one):
                    assert len({len(column) for column in nodes}) == 1
        except FormatError:
            pass


@pytest.mark.parametrize("name", ["lzma", "bzip2", "lz4", "zstd"])
def test_a_compression_that_is_not_read_is_named(name):
    with pytest.raises(FormatError, match=f"compressed by {name}"):
        list(osm_pbf.blocks(io.BytesIO(made.blob("OSMData", made.block([]), compression=name))))
