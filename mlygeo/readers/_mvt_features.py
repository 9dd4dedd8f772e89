"""
The features of a vector tile's layer as arrays, without a compiler.

A feature is a list of indexes into the layer's tables of keys and values, and a position; the
fields of many features are read at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import protobuf
from mlygeo.formats.protobuf import OVERLONG, signed, varints
from mlygeo.readers._mvt_spec import GEOMETRY, MOVE_TO, PADDING, POINT, PROPERTY_LIMIT, TAGS, TYPE, Features

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.formats.protobuf import Bytes, Integers, Unsigned

BLOCK = 1 << 13
"""Messages read at a time: their arrays then stay in the processor's cache."""

_BLOCK_BYTES = 1 << 22
"""Bytes of features read at a time, so that no tile makes gigabytes of temporary arrays."""

_ROUNDS = 16
"""Fields of a feature that are read for all features at once; four are usual."""


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
        high = max(low + 1, int(np.searchsorted(stops[: low + BLOCK], starts[low] + _BLOCK_BYTES)))
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
    return placed, signed(px), signed(py)
