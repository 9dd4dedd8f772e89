"""Vector tiles, written value by value, so that a test can say what no server would send."""

from __future__ import annotations

import struct


def varint(number: int) -> bytes:
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def value(said) -> bytes:
    """A value of a tile: text, truth, a whole number or a real one."""
    if isinstance(said, str):
        return field(1, said.encode())
    if isinstance(said, bool):
        return varint(7 << 3) + varint(said)
    if isinstance(said, int):
        return varint(4 << 3) + varint(said)
    return varint(3 << 3 | 1) + struct.pack("<d", said)


def tile(layers: dict[str, list[dict]], *, extent: int = 4096) -> bytes:
    """A tile of points: a row is the properties of one, with its place in tile units as `at`."""
    out = b""
    for name, rows in layers.items():
        keys = list(dict.fromkeys(key for row in rows for key in row if key != "at"))
        values, features = [], b""
        for row in rows:
            tags = b""
            for key, said in row.items():
                if key != "at":
                    values.append(value(said))
                    tags += varint(keys.index(key)) + varint(len(values) - 1)
            x, y = row.get("at", (100, 200))
            geometry = varint(9) + varint(2 * x) + varint(2 * y)
            features += field(2, field(2, tags) + field(3, 1) + field(4, geometry))
        table = b"".join(field(3, key.encode()) for key in keys) + b"".join(field(4, each) for each in values)
        out += field(3, field(15, 2) + field(1, name.encode()) + features + table + field(5, extent))
    return out
