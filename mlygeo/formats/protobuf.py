"""
The wire format of protocol buffers: one field at a time, and many numbers at once.

`field` reads the few fields around the layers of a vector tile, and the rare messages that the
kernels cannot read; `varints` reads the many small messages inside a layer.
Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.arrays import Bytes, Whole, Words

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types. Groups (3 and 4) were removed from the format before vector tiles existed."""

LONGEST_VARINT = 10
"""Bytes of a 64-bit number at seven bits each; the tenth holds the last bit alone."""

OVERLONG = LONGEST_VARINT + 1
"""The length that `varints` returns for invalid numbers."""

_ONE = np.uint64(1)


def varint(data: bytes | memoryview, at: int, end: int) -> tuple[int, int]:
    """
    Return the number that starts at a byte, and where the next field starts.

    Raises
    ------
    FormatError
        If the number runs past `end`, or is longer than 64 bits.
    """
    value = 0
    for place, byte in enumerate(data[at : min(at + LONGEST_VARINT, end)]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, at + place + 1
    if end - at < LONGEST_VARINT:
        raise FormatError(f"the number at byte {at} is cut off")
    raise FormatError(f"the number at byte {at} is longer than 64 bits")


def field(data: bytes | memoryview, at: int, end: int) -> tuple[int, int, int, int]:
    """
    Return the field that starts at a byte.

    Returns
    -------
    number
        Number of the field.
    wire
        Wire type: VARINT, FIXED64, BYTES or FIXED32.
    value
        The number itself for VARINT, the first byte of the content for the others.
    stop
        Where the next field starts.

    Raises
    ------
    FormatError
        If there is no whole field.
    """
    tag, start = varint(data, at, end)
    number, wire = tag >> 3, tag & 7
    if not 0 < number < 1 << 29:
        raise FormatError(f"byte {at} starts no field")
    if wire == VARINT:
        value, stop = varint(data, start, end)
        return number, wire, value, stop
    if wire == BYTES:
        length, start = varint(data, start, end)
    elif wire in {FIXED64, FIXED32}:
        length = 8 if wire == FIXED64 else 4
    else:
        raise FormatError(f"byte {at} starts a field of the unknown wire type {wire}")
    if length > end - start:
        raise FormatError(f"the field at byte {at} has {length} bytes, of which {end - start} are there")
    return number, wire, start, start + length


def fields(data: bytes | memoryview, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the fields of a message, each as `field` returns it."""
    while at < end:
        number, wire, value, stop = field(data, at, end)
        yield number, wire, value, stop
        at = stop


def varints(data: Bytes, at: Whole) -> tuple[Words, Whole]:
    """
    Return the numbers that start at the given bytes, and the byte after each.

    Parameters
    ----------
    data
        Bytes, with at least ten after the last number.
    at
        First byte of each number.

    Returns
    -------
    numbers
        Their 64 bits.
    after
        The byte after each number; eleven bytes further on where a number is longer than 64 bits.
    """
    first = data[at]
    if not (first & 0x80).any():
        return first.astype(np.uint64), at + 1
    # Most numbers end within four bytes.
    number, length, ended = _leading_groups(np.ndarray((len(data) - 3,), "<u4", data, strides=(1,))[at])
    if not ended.all():
        number, length, ended = _leading_groups(words(data)[at])
        long = np.flatnonzero(~ended)
        ninth, tenth = data[at[long] + 8].astype(np.uint64), data[at[long] + 9].astype(np.uint64)
        ends = ninth < 0x80
        number[long] |= (ninth & np.uint64(0x7F)) << np.uint64(56)
        number[long] |= np.where(ends, np.uint64(0), (tenth & np.uint64(1)) << np.uint64(63))
        length[long] = np.where(ends, 9, np.where(tenth < 2, 10, OVERLONG))
    return number.astype(np.uint64, copy=False), at + length


def signed(zigzag: Words) -> Whole:
    """Return the numbers of a zigzag encoding: 0, -1, 1, -2 and so on."""
    return (zigzag >> _ONE).astype(np.int64) ^ -(zigzag & _ONE).astype(np.int64)


def words(data: Bytes) -> Words:
    """Return the eight bytes that begin at each byte, as one number, without a copy."""
    return np.ndarray((len(data) - 7,), dtype="<u8", buffer=data, strides=(1,))


def _leading_groups(word: Any) -> Any:
    """Return the numbers in the first bytes of words, their lengths, and whether they end there."""
    every = word.dtype.type(0x0101010101010101 & np.iinfo(word.dtype).max)
    # The lowest byte without its high bit is the last; the mask covers this byte and all below.
    last = ~word & (every << 7)
    ended = last != 0
    last &= -last
    mask = last ^ (last - 1)
    number = word & mask & (every * 0x7F)
    # Join the groups of seven bits: to fourteen, to twenty-eight, to fifty-six.
    for shift, keep in ((1, 0x007F007F007F007F), (2, 0x00003FFF00003FFF), (4, 0x000000000FFFFFFF))[
        : word.itemsize // 4 + 1
    ]:
        low = word.dtype.type(keep & np.iinfo(word.dtype).max)
        number = (number & low) | ((number & ~low) >> shift)
    return number, np.bitwise_count(mask).astype(np.int64) >> 3, ended
