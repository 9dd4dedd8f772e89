"""
OpenStreetMap's PBF -> the ids and coordinates of its nodes, in columns.

Source: https://wiki.openstreetmap.org/wiki/PBF_Format. Coordinates are brought to units of 1e-7 degrees as libosmium
does it, towards zero.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats.protobuf import BYTES, LONGEST_VARINT, fields, signed, varints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.arrays import Flags, Whole, Words

LARGEST_HEADER, LARGEST_BLOB = 64 << 10, 32 << 20
"""Bytes that the format allows."""

UNIT = 100
"""Nanodegrees in OpenStreetMap's unit of coordinates."""

COMPRESSIONS = {4: "lzma", 5: "bzip2", 6: "lz4", 7: "zstd"}
"""Compressions of blobs that are not read, by their fields."""


_KINDS = {1: "nodes", 2: "nodes", 3: "ways", 4: "relations"}
"""What the fields of a group hold."""


class Nodes(NamedTuple):
    """Ids (int64), longitude and latitude (int64, units of 1e-7 degrees), and which of them are not deleted."""

    id: Whole
    x: Whole
    y: Whole
    visible: Flags


def blocks(file: BinaryIO) -> Iterator[bytes]:
    """
    Read the blocks of data of a file, decompressed.

    Raises
    ------
    FormatError
        If it is cut off or damaged, or compressed in a way that is not read.
    """
    while head := file.read(4):
        if len(head) < 4:
            raise FormatError("the file is cut off")
        (length,) = struct.unpack(">I", head)
        if length > LARGEST_HEADER:
            raise FormatError(f"a header has {length:,} bytes")
        said = _messages(_whole(file, length))
        kind, size = said.get(1, b""), said.get(3, 0)
        if not isinstance(size, int) or size > LARGEST_BLOB:
            raise FormatError("a blob has no size, or one beyond 32 MiB")
        blob = _whole(file, size)
        if kind == b"OSMData":
            yield _decompressed(blob)


def nodes(block: bytes) -> Iterator[Nodes]:
    """
    Return the nodes of a block, group by group.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    groups: list[tuple[int, int]] = []
    unit, offset_y, offset_x = UNIT, 0, 0
    for number, wire, value, at in fields(block, 0, len(block)):
        if number == 2 and wire == BYTES:
            groups.append((value, at))
        elif number == 17:
            unit = value
        elif number in {19, 20}:
            offset = value - ((value >> 63) << 64)
            offset_y, offset_x = (offset, offset_x) if number == 19 else (offset_y, offset)
    for start, stop in groups:
        single: list[bytes] = []
        for number, wire, value, at in fields(block, start, stop):
            if number not in {1, 2} or wire != BYTES:
                break
            if number == 1:
                single.append(block[value:at])
            else:
                yield _placed(_dense(block[value:at]), unit, offset_x, offset_y)
        if single:
            yield _placed(_single(single), unit, offset_x, offset_y)


def kinds(block: bytes) -> set[str]:
    """Return what the groups of a block hold: "nodes", "ways", "relations"."""
    found = set()
    for number, wire, value, at in fields(block, 0, len(block)):
        if number == 2 and wire == BYTES:
            kind = next((each for each, *_ in fields(block, value, at)), 0)
            found |= {_KINDS[kind]} if kind in _KINDS else set()
    return found


def _whole(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise FormatError("the file is cut off")
    return data


def _messages(data: bytes) -> dict[int, bytes | int]:
    """Return the fields of a message, of repeated ones the last."""
    return {
        number: data[value:stop] if wire == BYTES else value for number, wire, value, stop in fields(data, 0, len(data))
    }


def _decompressed(blob: bytes) -> bytes:
    said = _messages(blob)
    if isinstance(raw := said.get(1), bytes):
        return raw
    if isinstance(content := said.get(3), bytes):
        try:
            found = zlib.decompressobj().decompress(content, LARGEST_BLOB)
        except zlib.error as error:
            raise FormatError(f"a blob cannot be decompressed: {error}") from error
        if len(found) != said.get(2):
            raise FormatError("a blob has another size than it says")
        return found
    names = [name for number, name in COMPRESSIONS.items() if number in said]
    raise FormatError(f"a blob is compressed by {names[0]}" if names else "a blob is empty")


def _dense(group: bytes) -> Nodes:
    said = _messages(group)
    columns = [_sums(said.get(number, b"")) for number in (1, 9, 8)]
    visible = np.ones(len(columns[0]), dtype=bool)
    if isinstance(info := said.get(5), bytes) and isinstance(flags := _messages(info).get(6), bytes):
        visible = _varints(flags) != 0
    if len({len(each) for each in (*columns, visible)}) > 1:
        raise FormatError("nodes have columns of several lengths")
    return Nodes(columns[0], columns[1], columns[2], visible)


def _single(rows: list[bytes]) -> Nodes:
    found = []
    for row in rows:
        said = _messages(row)
        numbers = [said.get(number) for number in (1, 9, 8)]
        if not all(isinstance(number, int) for number in numbers):
            raise FormatError("a node has no id or no position")
        info = said.get(4)
        visible = _messages(info).get(6, 1) if isinstance(info, bytes) else 1
        found.append([*numbers, visible])
    table = np.array(found, dtype=np.uint64)
    ids, x, y = (signed(table[:, column]) for column in range(3))
    return Nodes(ids, x, y, table[:, 3] != 0)


def _placed(found: Nodes, unit: int, offset_x: int, offset_y: int) -> Nodes:
    def degrees(values: Whole, offset: int) -> Whole:
        nano = values * unit + offset
        units: Whole = np.sign(nano) * (np.abs(nano) // UNIT)
        return units

    return found._replace(x=degrees(found.x, offset_x), y=degrees(found.y, offset_y))


def _sums(packed: bytes | int) -> Whole:
    """Return numbers that are packed as differences."""
    if not isinstance(packed, bytes):
        raise FormatError("nodes are not in columns")
    found: Whole = np.cumsum(signed(_varints(packed)))
    return found


def _varints(packed: bytes) -> Words:
    """Return packed numbers."""
    data = np.frombuffer(packed + bytes(LONGEST_VARINT), dtype=np.uint8)
    stop = np.flatnonzero(data[: len(packed)] < 0x80)
    start = np.zeros(len(stop), dtype=np.int64)
    start[1:] = stop[:-1] + 1
    found, after = varints(data, start)
    if not np.array_equal(after, stop + 1) or (len(packed) and packed[-1] > 0x7F):
        raise FormatError("packed numbers are damaged")
    return found
