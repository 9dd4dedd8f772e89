"""OpenStreetMap's PBF written byte by byte, as programs may write it and libosmium does not."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise


def varint(value):
    """Return an unsigned whole number as protobuf has it."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def signed(value):
    """Return a whole number of either sign, zig-zag encoded."""
    return varint(value << 1 if value >= 0 else (-value << 1) - 1)


def whole(number, value):
    """Return a field that is a number."""
    return varint(number << 3) + varint(value)


def message(number, content):
    """Return a field that is text, packed numbers or a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def deltas(values):
    """Return numbers as packed differences."""
    return b"".join(signed(after - before) for before, after in pairwise([0, *values]))


def blob(kind, content, *, compression="zlib"):
    """Return a block of a file, with its header."""
    if compression == "raw":
        inner = message(1, content)
    else:
        number = {"zlib": 3, "lzma": 4, "bzip2": 5, "lz4": 6, "zstd": 7}[compression]
        inner = whole(2, len(content)) + message(number, zlib.compress(content))
    head = message(1, kind.encode()) + whole(3, len(inner))
    return struct.pack(">I", len(head)) + head + inner


def header(*features):
    """Return the content of a header block with these required features."""
    return b"".join(message(4, each.encode()) for each in ("OsmSchema-V0.6", "DenseNodes", *features))


def block(groups, strings=(), *, granularity=100, lat_offset=0, lon_offset=0):
    """Return the content of a block of nodes or ways."""
    table = b"".join(message(1, each.encode()) for each in ("", *strings))
    more = whole(17, granularity) + whole(19, lat_offset) + whole(20, lon_offset)
    return message(1, table) + b"".join(message(2, each) for each in groups) + more


def dense(nodes):
    """Return a group of nodes (id, lat, lon in units of the granularity), in columns."""
    columns = [deltas(column) for column in zip(*nodes, strict=True)]
    return message(2, b"".join(message(number, column) for number, column in zip((1, 8, 9), columns, strict=True)))


def plain(nodes):
    """Return a group of nodes (id, lat, lon in units of the granularity), one after the other."""
    return b"".join(
        message(1, b"".join(varint(number << 3) + signed(value) for number, value in zip((1, 8, 9), node, strict=True)))
        for node in nodes
    )


def ways(rows):
    """Return a group of ways: id, numbers of the strings of keys and of values, and nodes."""
    return b"".join(
        message(3, whole(1, number) + message(2, bytes(keys)) + message(3, bytes(values)) + message(8, deltas(refs)))
        for number, keys, values, refs in rows
    )
