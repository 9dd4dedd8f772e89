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
from mlygeo.readers import _protobuf as protobuf
from mlygeo.readers._mvt_spec import (
    BOOL,
    DEFAULT_EXTENT,
    DOUBLE,
    EXTENT,
    FEATURE,
    FLOAT,
    GEOMETRY,
    INT,
    KEY,
    KEY_LIMIT,
    LIMIT,
    MOVE_TO,
    NAME,
    NOTHING,
    ODD,
    PADDING,
    POINT,
    PROPERTY_LIMIT,
    SINT,
    STRING,
    TAGS,
    TYPE,
    VALUE,
    Features,
    Index,
)  # fmt: skip
from mlygeo.readers._mvt_values import Values
from mlygeo.readers._protobuf import OVERLONG, varints

if TYPE_CHECKING:
    import numpy.typing as npt

    Integers = npt.NDArray[np.int64]
    Unsigned = npt.NDArray[np.uint64]
    Bytes = npt.NDArray[np.uint8]

__all__ = ["Values", "features", "index", "values"]

_FEATURE_TAG, _VALUE_TAG = FEATURE << 3 | protobuf.BYTES, VALUE << 3 | protobuf.BYTES

_BLOCK = 1 << 13
"""Messages read at a time: their arrays then stay in the processor's cache."""

_BLOCK_BYTES = 1 << 22
"""Bytes of features read at a time, so that no tile makes gigabytes of temporary arrays."""

_ROUNDS = 16
"""Fields of a feature that are read for all features at once; four are usual."""

_ONE = np.uint64(1)


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
    for low in range(0, len(starts), _BLOCK):
        block = slice(low, low + _BLOCK)
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
    signed = kind == SINT
    if signed.any():
        bits[signed] = _signed(bits[signed]).view(np.uint64)
        kind[signed] = INT

    number = (wire == protobuf.VARINT) & (kind >= INT) & (kind <= BOOL)
    kind[~(number | text | double | single) | (after != stops)] = ODD
    kind[starts == stops] = NOTHING
    return kind, bits


def features(
    layer: bytes,
    spans: tuple[Integers, Integers],
    column_of_key: npt.NDArray[np.int8],
    n_values: int,
    n_columns: int,
) -> Features:
    """
    Return the positions of a layer's features, and which value each has in each column.

    Parameters
    ----------
    layer
        The layer, and `PADDING` behind it.
    spans
        Where the features lie.
    column_of_key
        The column of each key of the layer, -1 for keys that nobody asks for.
    n_values, n_columns
        Number of values and of columns.

    Returns
    -------
    features
        `value_of` (columns by features) is -1 where a feature does not have the property; given
        twice, the last one counts. `placed` is False for what is no point or has no position;
        of several points, the first one counts.

    Raises
    ------
    FormatError
        If a feature is cut off, or points to keys or values that are not there.
    """
    starts, stops = spans
    value_of = np.full((n_columns, len(starts)), -1, dtype=np.int32)
    placed = np.zeros(len(starts), dtype=np.bool_)
    px, py = np.zeros((2, len(starts)), dtype=np.int64)
    low = 0
    while low < len(starts):
        high = max(low + 1, int(np.searchsorted(stops[: low + _BLOCK], starts[low] + _BLOCK_BYTES)))
        block, low = slice(low, high), high
        data, geometry_type, tags, geometry = _messages(layer, starts[block], stops[block])
        _join(data, tags, column_of_key, n_values, value_of[:, block])
        placed[block], px[block], py[block] = _positions(data, geometry_type, geometry)
    return Features(value_of, placed, px, py)


def _messages(layer: bytes, starts: Integers, stops: Integers) -> tuple[Bytes, Unsigned, Integers, Integers]:
    """Return the type of each feature, and where its tags and geometry lie (two rows) in the bytes returned."""
    data = np.frombuffer(layer, dtype=np.uint8)
    geometry_type = np.zeros(len(starts), dtype=np.uint64)
    tags, geometry = np.zeros((2, 2, len(starts)), dtype=np.int64)
    odd = np.zeros(len(starts), dtype=np.bool_)
    rows = np.flatnonzero(starts < stops)
    at, end = starts[rows], stops[rows]
    for _ in range(_ROUNDS):
        if not len(rows):
            break
        head = at
        tag, body = varints(data, head)
        amount, after = varints(data, body)
        wire = tag & np.uint64(7)
        whole, sized = wire == protobuf.VARINT, wire == protobuf.BYTES
        fixed = (wire == protobuf.FIXED64) | (wire == protobuf.FIXED32)
        at = after + np.where(sized, np.minimum(amount, np.uint64(1 << 40)), np.uint64(0)).astype(np.int64)
        if fixed.any():
            at = np.where(fixed, body + np.where(wire == protobuf.FIXED64, 8, 4), at)
        broken = (at > end) | (tag < 8) | (tag >= 1 << 32) | ~(fixed | ((whole | sized) & (after - body < OVERLONG)))
        if (broken | (body - head >= OVERLONG)).any():
            raise FormatError("a feature is cut off, or none")
        if (here := (tag == (TYPE << 3 | protobuf.VARINT))).any():
            geometry_type[rows[here]] = amount[here]
        for number, span in ((TAGS, tags), (GEOMETRY, geometry)):
            if (here := (tag == (number << 3 | protobuf.BYTES))).any():
                odd[rows[here]] |= span[1, rows[here]] > 0
                span[:, rows[here]] = after[here], at[here]
            odd[rows[tag == (number << 3 | protobuf.VARINT)]] = True
        rest = at < end
        rows, at, end = rows[rest], at[rest], end[rest]
    odd[rows] = True
    if odd.any():
        data = _rewrite(layer, np.flatnonzero(odd), (starts, stops), (geometry_type, tags, geometry))
    return data, geometry_type, tags, geometry


def _rewrite(
    layer: bytes, rows: Integers, spans: tuple[Integers, Integers], parts: tuple[Unsigned, Integers, Integers]
) -> Bytes:
    """
    Append the tags and geometry of features that hold them in pieces, each in one piece.

    Protocol buffers allow a list to come in several packed pieces, or number by number.
    """
    geometry_type, tags, geometry = parts
    behind = bytearray()
    for row in rows.tolist():
        pieces = {TAGS: bytearray(), GEOMETRY: bytearray()}
        at, end = int(spans[0][row]), int(spans[1][row])
        while at < end:
            number, wire, value, stop = protobuf.field(layer, at, end)
            if number == TYPE and wire == protobuf.VARINT:
                geometry_type[row] = value
            elif number in pieces and wire == protobuf.BYTES:
                if stop > value and layer[stop - 1] > 0x7F:
                    raise FormatError("a feature's list ends within a number")
                pieces[number] += layer[value:stop]
            elif number in pieces and wire == protobuf.VARINT:
                _, value_start = protobuf.varint(layer, at, stop)
                pieces[number] += layer[value_start:stop]
            at = stop
        for number, span in ((TAGS, tags), (GEOMETRY, geometry)):
            start = len(layer) + len(behind)
            behind += pieces[number]
            span[:, row] = start, start + len(pieces[number])
    return np.frombuffer(b"".join((layer, behind, PADDING)), dtype=np.uint8)


def _join(
    data: Bytes,
    tags: Integers,
    column_of_key: npt.NDArray[np.int8],
    n_values: int,
    value_of: npt.NDArray[np.int32],
) -> None:
    """Enter the values that tags point to: pairs of an index into the keys and one into the values."""
    rows = np.flatnonzero(tags[1] > tags[0])
    at, end = tags[:, rows]
    if (data[end - 1] > 0x7F).any():
        raise FormatError("a feature's tags end within a number")
    for _ in range(PROPERTY_LIMIT):
        if not len(rows):
            return
        key, middle = varints(data, at)
        value, after = varints(data, middle)
        if (after > end).any():
            raise FormatError("a feature's tags do not come in pairs")
        overlong = (middle - at >= OVERLONG) | (after - middle >= OVERLONG)
        if ((key >= len(column_of_key)) | (value >= n_values) | overlong).any():
            raise FormatError("a feature points to a key or value that is not there")
        column = column_of_key[key.astype(np.int64)]
        wanted = column >= 0
        if wanted.all():
            value_of[column, rows] = value
        else:
            value_of[column[wanted], rows[wanted]] = value[wanted]
        at, rest = after, after < end
        if not rest.all():
            rows, at, end = rows[rest], at[rest], end[rest]
    if len(rows):
        raise FormatError(f"a feature of more than {PROPERTY_LIMIT} properties")


def _positions(
    data: Bytes, geometry_type: Unsigned, geometry: Integers
) -> tuple[npt.NDArray[np.bool_], Integers, Integers]:
    command, px, py = np.zeros((3, len(geometry_type)), dtype=np.uint64)
    rows = np.flatnonzero(geometry[1] > geometry[0])
    at, stop = geometry[:, rows]
    if (data[stop - 1] > 0x7F).any():
        raise FormatError("a feature's geometry ends within a number")
    for numbers in (command, px, py):
        number, after = varints(data, at)
        if (after - at >= OVERLONG).any():
            raise FormatError("a feature's geometry has a number longer than 64 bits")
        numbers[rows] = number
        at, here = after, after < stop
        if numbers is not py and not here.all():
            rows, at, stop = rows[here], at[here], stop[here]
    moves = (geometry_type == POINT) & ((command & np.uint64(7)) == MOVE_TO) & (command > 7)
    if ((px | py)[moves] >> np.uint64(32)).any():
        raise FormatError("a feature's position has more than 32 bits")
    placed = np.zeros(len(moves), dtype=np.bool_)
    placed[rows] = moves[rows]
    return placed, _signed(px), _signed(py)


def _signed(zigzag: Unsigned) -> Integers:
    return (zigzag >> _ONE).astype(np.int64) ^ -(zigzag & _ONE).astype(np.int64)
