"""Write an OpenStreetMap extract many times over, beside itself, to have one of any size: EXTRACT COPIES OUTPUT."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APART = 5_000_000
"""From one copy to the next, in units of 1e-7 degrees: more than a small extract is wide."""

IN_A_ROW = 300

NEXT_NODE, NEXT_WAY = 1 << 34, 1 << 31
"""From the ids of one copy to those of the next; more than OpenStreetMap has."""


def write(extract: Path, copies: int, output: Path) -> None:
    """
    Write copies with ids and places of their own, nodes before ways and both in the order of their ids.

    Parameters
    ----------
    extract
        A small .osm.pbf file with dense nodes. Relations are left out.
    copies
        How often it is written.
    output
        The .osm.pbf file to write.
    """
    head, *blocks = _blocks(extract.read_bytes())
    with output.open("wb") as file:
        file.write(_blob(b"OSMHeader", head))
        for kind, shift in ((2, _shifted_nodes), (3, _shifted_way)):
            chosen = [block for block in map(_fields, blocks) if _kinds(block) == {kind}]
            for copy in range(copies):
                for block in chosen:
                    file.write(_blob(b"OSMData", _rewritten(block, kind, shift, copy)))


def _kinds(block: list[tuple[int, int, bytes | int]]) -> set[int]:
    """Return what the groups of a block hold."""
    return {number for field, _, group in block if field == 2 for number, _, _ in _fields(group)}


def _rewritten(
    block: list[tuple[int, int, bytes | int]], kind: int, shift: Callable[[bytes, int], bytes], copy: int
) -> bytes:
    return b"".join(
        _message(2, b"".join(_message(kind, shift(each, copy)) for _, _, each in _fields(value)))
        if number == 2
        else _field((number, wire, value))
        for number, wire, value in block
    )


def _shifted_nodes(nodes: bytes, copy: int) -> bytes:
    more = {1: copy * NEXT_NODE, 8: (copy // IN_A_ROW) * APART - 400_000_000, 9: copy % IN_A_ROW * APART - 800_000_000}
    return b"".join(
        _message(number, _first_moved(value, more[number])) if number in more else _field((number, wire, value))
        for number, wire, value in _fields(nodes)
    )


def _shifted_way(way: bytes, copy: int) -> bytes:
    out = b""
    for number, wire, value in _fields(way):
        moved = value
        if number == 1:
            moved = value + copy * NEXT_WAY
        elif number == 8:
            moved = _first_moved(value, copy * NEXT_NODE)
        out += _field((number, wire, moved))
    return out


def _first_moved(packed: bytes, more: int) -> bytes:
    """Return packed differences of which the first is larger, and so are all values."""
    first, start = _varint(packed, 0)
    value = ((first >> 1) ^ -(first & 1)) + more
    return _encoded((value << 1) ^ (value >> 63)) + packed[start:]


def _blocks(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        size = next(value for number, _, value in _fields(data[at + 4 : at + 4 + length]) if number == 3)
        at += 4 + length
        inner = {number: value for number, _, value in _fields(data[at : at + size])}
        at += size
        yield inner[1] if 1 in inner else zlib.decompress(inner[3])


def _blob(kind: bytes, content: bytes) -> bytes:
    inner = _encoded(2 << 3) + _encoded(len(content)) + _message(3, zlib.compress(content, 6))
    head = _message(1, kind) + _encoded(3 << 3) + _encoded(len(inner))
    return struct.pack(">I", len(head)) + head + inner


def _fields(data: bytes) -> list[tuple[int, int, bytes | int]]:
    found: list[tuple[int, int, bytes | int]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: bytes | int
        value, at = _varint(data, at)
        if tag & 7 == 2:
            value, at = data[at : at + value], at + value
        found.append((tag >> 3, tag & 7, value))
    return found


def _field(field: tuple[int, int, bytes | int]) -> bytes:
    number, wire, value = field
    return _message(number, value) if wire == 2 else _encoded(number << 3) + _encoded(value)


def _message(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | 2) + _encoded(len(content)) + content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _encoded(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
