"""
The layers of a vector tile as arrays, without a compiler.

A layer is a long row of small messages: features, each a list of indexes into the layer's
tables of keys and values, and the values. Only their lengths have to be walked one after the
other; what they hold is read for all of them at once. `_mvt_numba` has the same functions,
compiled, and gives the same arrays to the last bit.
Source: https://github.com/mapbox/vector-tile-spec/tree/master/2.1.
"""

from __future__ import annotations

from array import array
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import protobuf
from mlygeo.formats.protobuf import signed, varints
from mlygeo.readers._mvt_features import BLOCK, features
from mlygeo.readers._mvt_spec import (
    BOOL,
    DEFAULT_EXTENT,
    DOUBLE,
    EXTENT,
    FEATURE,
    FLOAT,
    INT,
    KEY,
    KEY_LIMIT,
    LIMIT,
    NAME,
    NOTHING,
    ODD,
    SINT,
    STRING,
    VALUE,
    Index,
)
from mlygeo.readers._mvt_values import Values

if TYPE_CHECKING:
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]
    Unsigned = npt.NDArray[np.uint64]
    Bytes = npt.NDArray[np.uint8]

__all__ = ["Values", "features", "index", "values"]

_FEATURE_TAG, _VALUE_TAG = FEATURE << 3 | protobuf.BYTES, VALUE << 3 | protobuf.BYTES


def index(layer: bytes, end: int) -> Index:
    """
    Return where the parts of a layer lie.

    Parameters
    ----------
    layer
        The layer, and `PADDING` behind it.
    end
        Bytes of the layer itself.

    Returns
    -------
    index
        Fields in any order; of a name or extent that is given twice, the last one counts.

    Raises
    ------
    FormatError
        If the layer is cut off, or has more than `LIMIT` features or values.
    """
    name, extent = b"", DEFAULT_EXTENT
    keys: list[bytes] = []
    data = np.frombuffer(layer, dtype=np.uint8)
    runs = {_FEATURE_TAG: array("Q"), _VALUE_TAG: array("Q")}
    at = 0
    while at < end:
        tag = layer[at]
        if tag in runs and layer[at + 1] < 0x80:
            at = _run(layer, data, at, end, runs[tag])
            if len(runs[tag]) > LIMIT:
                raise FormatError(f"a layer of more than {LIMIT} features or values")
            continue
        number, wire, value, stop = protobuf.field(layer, at, end)
        if wire == protobuf.BYTES:
            if number in {FEATURE, VALUE}:
                heads = runs[number << 3 | wire]
                heads.append(at)
                if len(heads) > LIMIT:
                    raise FormatError(f"a layer of more than {LIMIT} features or values")
            elif number == KEY:
                keys.append(layer[value:stop])
            elif number == NAME:
                name = layer[value:stop]
        elif number == EXTENT and wire == protobuf.VARINT:
            extent = value
        at = stop
        if len(keys) > KEY_LIMIT:
            raise FormatError(f"a layer of more than {KEY_LIMIT} keys")
    if at > end:
        raise FormatError(f"the last of its {sum(map(len, runs.values()))} features and values is cut off")
    return Index(name, extent, keys, _spans(data, runs[_VALUE_TAG]), _spans(data, runs[_FEATURE_TAG]))


def _run(layer: bytes, data: Bytes, at: int, end: int, heads: array[int]) -> int:
    """Note where the messages of a run start whose tag and length take a byte each; return where it ends."""
    tag, append = layer[at], heads.append
    window = 1 << 14
    while len(heads) <= LIMIT:
        # Short runs, and the seams between windows, message by message.
        for _ in repeat(None, 64):
            length = layer[at + 1]
            if layer[at] != tag or length > 0x7F:
                return at
            append(at)
            at += length + 2
        found, at = _chain(data, at, min(at + window, end))
        heads.frombytes(found.astype(np.uint64).tobytes())
        window = min(4 * window, 1 << 20)
    return at


def _chain(data: Bytes, at: int, limit: int) -> tuple[Integers, int]:
    """
    Follow a run of messages through a window, and return where they start and what comes next.

    Every byte that equals the tag may start a message, if the byte behind that message does
    too. Nearly all that pass this test do, and each leads to the next one of them; only where
    it leads elsewhere does the chain have to be followed link by link.
    """
    heads = np.flatnonzero(data[at:limit] == data[at]) + at
    lengths = data[heads + 1]
    following = heads + 2 + lengths
    linked = (lengths <= 0x7F) & (data[following] == data[at])
    heads, following = heads[linked], following[linked]
    if not len(heads) or heads[0] != at:
        return heads[:0], at
    breaks = np.append(np.flatnonzero(following[:-1] != heads[1:]), len(heads) - 1)
    targets = np.searchsorted(heads, following[breaks])
    inside = heads[np.minimum(targets, len(heads) - 1)] == following[breaks]
    links = zip(*(part.tolist() for part in (breaks, targets, inside, np.searchsorted(breaks, targets))), strict=True)
    chain = list(links)
    pieces, start, link = [], 0, 0
    while True:
        stop, target, goes_on, next_link = chain[link]
        pieces.append(heads[start : stop + 1])
        if not goes_on:
            return np.concatenate(pieces), int(following[stop])
        start, link = target, next_link


def _spans(data: Bytes, heads: array[int]) -> tuple[Integers, Integers]:
    at = np.frombuffer(heads, dtype=np.uint64).astype(np.int64)
    _, at = varints(data, at)
    length, start = varints(data, at)
    return start, start + length.astype(np.int64)


def values(layer: bytes, spans: tuple[Integers, Integers]) -> tuple[Bytes, Unsigned]:
    """
    Return what the values of a layer are.

    Parameters
    ----------
    layer
        The layer, and `PADDING` behind it.
    spans
        Where the values lie.

    Returns
    -------
    kind
        Which of the seven kinds each is; `ODD` where it takes a second look (`odd_value`).
    bits
        The number's 64 bits (a float's 32); of a string its first byte << 32 | its length.
        Signed integers of both encodings are `INT`.
    """
    starts, stops = spans
    data = np.frombuffer(layer, dtype=np.uint8)
    kind = np.empty(len(starts), dtype=np.uint8)
    bits = np.empty(len(starts), dtype=np.uint64)
    for low in range(0, len(starts), BLOCK):
        block = slice(low, low + BLOCK)
        kind[block], bits[block] = _values(data, starts[block], stops[block])
    return kind, bits


def _values(data: Bytes, starts: Integers, stops: Integers) -> tuple[Bytes, Unsigned]:
    tag = data[starts]
    kind = (tag >> 3).astype(np.uint8)
    wire = tag & 7
    bits, after = varints(data, starts + 1)

    text = tag == (STRING << 3 | protobuf.BYTES)
    if text.any():
        length = np.minimum(bits[text], np.uint64(1 << 31))
        bits[text] = (after[text].astype(np.uint64) << np.uint64(32)) | length
        after[text] += length.astype(np.int64)
    double = tag == (DOUBLE << 3 | protobuf.FIXED64)
    if double.any():
        bits[double] = protobuf.words(data)[starts[double] + 1]
        after[double] = starts[double] + 9
    single = tag == (FLOAT << 3 | protobuf.FIXED32)
    if single.any():
        bits[single] = protobuf.words(data)[starts[single] + 1] & np.uint64(0xFFFFFFFF)
        after[single] = starts[single] + 5
    zigzag = kind == SINT
    if zigzag.any():
        bits[zigzag] = signed(bits[zigzag]).view(np.uint64)
        kind[zigzag] = INT

    number = (wire == protobuf.VARINT) & (kind >= INT) & (kind <= BOOL)
    kind[~(number | text | double | single) | (after != stops)] = ODD
    kind[starts == stops] = NOTHING
    return kind, bits
