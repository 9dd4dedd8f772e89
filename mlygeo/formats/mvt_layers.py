"""
The layers of a vector tile as arrays, without a compiler.

A layer is a long row of small messages: features, each a list of indexes into the layer's tables of keys
and values, and the values. Only the lengths of the messages have to be read one after the other; their
contents are read all at once. `mvt_numba` has the same functions, compiled; it returns the same arrays to
the last bit, and imports constants and limits from here.
Source: https://github.com/mapbox/vector-tile-spec/tree/master/2.1.
"""

from __future__ import annotations

import re
from array import array
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import protobuf
from mlygeo.formats.protobuf import OVERLONG, signed, varints

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from mlygeo.arrays import Bytes, Flags, Floats, Whole, Whole32, Words

NAME, FEATURE, KEY, VALUE, EXTENT = 1, 2, 3, 4, 5

_FEATURE_TAG, _VALUE_TAG = FEATURE << 3 | protobuf.BYTES, VALUE << 3 | protobuf.BYTES

BLOCK = 1 << 13
"""Messages read at a time: their arrays then stay in the processor's cache."""

_BLOCK_BYTES = 1 << 22
"""Bytes of features read at a time, so that no tile makes gigabytes of temporary arrays."""

_ROUNDS = 16
"""Fields of a feature that are read for all features at once; four are usual."""

EXACT_DOUBLE, EXACT_FLOAT = 2.0**53, 2.0**24
"""Above this, a floating point number cannot represent every whole number."""

LONGEST_TEXT = 64
"""Most bytes of a sequence id; ids have 22 today, and had 36 in the past."""

_MOST_AT_ONCE = 1 << 30
"""Most bytes of texts that are read at once; an Arrow string array has room for twice as many."""

_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,19}", re.ASCII)

PADDING = bytes(256)
"""Zeros after a layer: reading a few bytes too far stays inside the array, and field 0 ends every run."""

LIMIT = 1_000_000
"""Most features, and most values, of a layer: two million images have about as many values."""

KEY_LIMIT = 1 << 16
"""Most keys of a layer; eight or nine are usual."""

TAGS, TYPE, GEOMETRY = 2, 3, 4

POINT, MOVE_TO = 1, 1

NOTHING, STRING, FLOAT, DOUBLE, INT, UINT, SINT, BOOL, ODD = range(9)
"""Kinds of value: the field's number in the message; `odd_value` reads an `ODD` value."""

DEFAULT_EXTENT = 4096

FEATURE_LIMIT = 1 << 20
"""Most bytes of a feature; an image has about forty."""

PROPERTY_LIMIT = 256
"""Most properties of a feature; seven or eight are usual."""


class Index(NamedTuple):
    """Where the parts of a layer lie: arrays of first bytes and of the bytes behind the last."""

    name: bytes
    extent: int
    keys: list[bytes]
    values: tuple[Whole, Whole]
    features: tuple[Whole, Whole]


def index(layer: bytes, end: int) -> Index:
    """
    Return the positions of the parts of a layer.

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


def values(layer: bytes, spans: tuple[Whole, Whole]) -> tuple[Bytes, Words]:
    """
    Return kind and bits of the values of a layer.

    Parameters
    ----------
    layer
        The layer, and `PADDING` behind it.
    spans
        Where the values lie.

    Returns
    -------
    kind
        Which of the seven kinds each value is; `ODD` where `odd_value` has to read it. Behind
        the values stands one that is `NOTHING`: index -1, no such property, finds it.
    bits
        The number's 64 bits (a float's 32); of a string its first byte << 32 | its length.
        Signed integers of both encodings are `INT`.
    """
    starts, stops = spans
    data = np.frombuffer(layer, dtype=np.uint8)
    kind = np.zeros(len(starts) + 1, dtype=np.uint8)
    bits = np.zeros(len(starts) + 1, dtype=np.uint64)
    for low in range(0, len(starts), BLOCK):
        block = slice(low, min(low + BLOCK, len(starts)))
        kind[block], bits[block] = _values(data, starts[block], stops[block])
    return kind, bits


class Features(NamedTuple):
    """The features of a layer: positions in tile units, and which value each has in each column."""

    value_of: Whole32
    placed: Flags
    px: Whole
    py: Whole


def features(
    layer: bytes,
    spans: tuple[Whole, Whole],
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
        The column of each key of the layer, -1 for keys that are not needed.
    n_values, n_columns
        Number of values and of columns.

    Returns
    -------
    features
        `value_of` (columns by features) is -1 where a feature does not have the property; given
        twice, the last one counts. `placed` is False for what is not a point or has no position;
        of several points, the first one counts.

    Raises
    ------
    FormatError
        If a feature is cut off, or points to missing keys or values.
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


def _run(layer: bytes, data: Bytes, at: int, end: int, heads: array[int]) -> int:
    """Note where the messages of a run start whose tag and length take a byte each; return where it ends."""
    tag, append = layer[at], heads.append
    window = 1 << 14
    while len(heads) <= LIMIT:
        # Short runs, and the borders between windows, message by message.
        for _ in repeat(None, 64):
            length = layer[at + 1]
            if layer[at] != tag or length > 0x7F:
                return at
            append(at)
            at += length + 2
        if layer[at] != tag:
            return at
        found, at = _chain(data, at, min(at + window, end))
        heads.frombytes(found.astype(np.uint64).tobytes())
        window = min(4 * window, 1 << 20)
    return at


def _chain(data: Bytes, at: int, limit: int) -> tuple[Whole, int]:
    """
    Follow a run of messages through a window, and return where they start and what comes next.

    A byte that equals the tag may start a message, if the byte after that message equals the tag
    too. Nearly all bytes that pass this test do, and each leads to the next of them; only where
    one leads to another byte does the chain have to be followed message by message.
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


def _spans(data: Bytes, heads: array[int]) -> tuple[Whole, Whole]:
    at = np.frombuffer(heads, dtype=np.uint64).astype(np.int64)
    _, at = varints(data, at)
    length, start = varints(data, at)
    return start, start + length.astype(np.int64)


def _values(data: Bytes, starts: Whole, stops: Whole) -> tuple[Bytes, Words]:
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


def _messages(layer: bytes, starts: Whole, stops: Whole) -> tuple[Bytes, Words, Whole, Whole]:
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


def _rewrite(layer: bytes, rows: Whole, spans: tuple[Whole, Whole], parts: tuple[Words, Whole, Whole]) -> Bytes:
    """
    Append the tags and geometry of features that have them in several pieces, each joined to one piece.

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
    tags: Whole,
    column_of_key: npt.NDArray[np.int8],
    n_values: int,
    value_of: Whole32,
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


def _positions(data: Bytes, geometry_type: Words, geometry: Whole) -> tuple[Flags, Whole, Whole]:
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


# Values as typed columns. Each value says whether it is a string, a float, a double, one of three kinds of
# integer, or a truth value, and services have changed the kind of a property before. So every column accepts
# every kind that converts without loss; other values are unknown, never zero.


class Values:
    """
    The values of a layer, to be gathered into columns.

    Parameters
    ----------
    layer
        The layer's bytes, which contain the strings.
    kind, bits
        Kind and bits of each value, as `values` returns them.
    longest
        Most bytes of a text.
    """

    def __init__(self, layer: bytes | memoryview, kind: Bytes, bits: Words, *, longest: int = LONGEST_TEXT) -> None:
        self._layer, self._longest = layer, longest
        self._kind, self._bits = kind, bits

    def whole(self, at: Whole32, *, floor: bool = False) -> tuple[Whole, Flags]:
        """
        Return whole numbers, exact to the last digit, and which of them are known.

        Parameters
        ----------
        at
            Index of the value of each row; -1 for none.
        floor
            Take floating point numbers with a fraction too, rounded down.

        Returns
        -------
        numbers
            0 where unknown.
        known
            False for a value that is missing, not a number, beyond 63 bits, or a floating point
            number so large that it may have lost digits.
        """
        kind, bits = self._kind[at], self._bits[at]
        numbers = bits.view(np.int64)
        known = (kind == INT) | ((kind == UINT) & (numbers >= 0))
        if known.all():
            return numbers, known
        numbers = np.where(known, numbers, 0)
        real = (kind == FLOAT) | (kind == DOUBLE)
        if real.any():
            values, limit = (
                self._reals(kind[real], bits[real]),
                np.where(kind[real] == FLOAT, EXACT_FLOAT, EXACT_DOUBLE),
            )
            down = np.floor(values)
            exact = (np.abs(values) < limit) & ((down == values) | floor)
            known[real] = exact
            numbers[real] = np.where(exact, down, 0).astype(np.int64)
        text = kind == STRING
        if text.any():
            strings, which = np.unique(bits[text], return_inverse=True)
            parsed = [whole_number(self._text(int(string))) for string in strings]
            known[text] = np.array([number is not None for number in parsed])[which]
            numbers[text] = np.array([number or 0 for number in parsed], dtype=np.int64)[which]
        return numbers, known

    def real(self, at: Whole32) -> Floats:
        """Return numbers as float64, NaN where there is none or it is not finite."""
        if not len(at) or at.max() < 0:
            return np.full(len(at), np.nan)
        kind, bits = self._kind[at], self._bits[at]
        if (kind == DOUBLE).all():
            numbers = bits.view(np.float64)
        else:
            numbers = self._reals(kind, bits)
            numbers[kind == INT] = bits[kind == INT].view(np.int64)
            numbers[kind == UINT] = bits[kind == UINT]
        numbers[~np.isfinite(numbers)] = np.nan
        return numbers

    @staticmethod
    def _reals(kind: Bytes, bits: Words) -> Floats:
        numbers = np.full(len(kind), np.nan)
        double, single = kind == DOUBLE, kind == FLOAT
        numbers[double] = bits[double].view(np.float64)
        numbers[single] = bits[single].astype(np.uint32).view(np.float32)
        return numbers

    def truth(self, at: Whole32) -> Flags:
        """Return truth values: a truth value or number other than zero is true, all else false."""
        result: Flags = (self._kind[at] >= FLOAT) & (self._bits[at] != 0)
        return result

    def is_truth(self, at: Whole32) -> Flags:
        """Return which values say whether something is true: truth values and numbers."""
        known: Flags = self._kind[at] >= FLOAT
        return known

    def text(self, at: Whole32) -> pa.Array:
        """
        Return strings, null where there is none or it is empty.

        Raises
        ------
        FormatError
            If one is longer than `LONGEST_TEXT`, or not UTF-8.
        """
        # Many rows share a string; each string is decoded once.
        used = np.zeros(len(self._kind), dtype=np.bool_)
        used[at] = True
        places = np.flatnonzero(used)
        filled = (self._kind[places] == STRING) & ((self._bits[places] & np.uint64(0xFFFFFFFF)) > 0)
        places = places[filled]
        number = np.full(len(used), -1, dtype=np.int32)
        number[places] = np.arange(len(places), dtype=np.int32)
        return self._strings(places, number[at])

    def _strings(self, places: Whole | Whole32, which: Whole32) -> pa.Array:
        """Return for each row the string at one of the places, null for -1."""
        import pyarrow as pa

        strings = self._plain(places)
        if strings is None:
            strings = pa.array([self._text(each) for each in self._bits[places].tolist()], pa.string())
        gone = which < 0
        which = pa.array(which, mask=gone if gone.any() else None)
        return pa.DictionaryArray.from_arrays(which, strings).cast(pa.string())

    def _plain(self, places: Whole | Whole32) -> pa.Array | None:
        """Return the strings at places, read all at once; None if one is too long, or has letters beyond ASCII."""
        import pyarrow as pa

        starts = (self._bits[places] >> np.uint64(32)).astype(np.int64)
        offsets = np.zeros(len(places) + 1, dtype=np.int64)
        np.cumsum(self._bits[places] & np.uint64(0xFFFFFFFF), out=offsets[1:])
        lengths = np.diff(offsets)
        if len(places) and (lengths.max() > self._longest or offsets[-1] > _MOST_AT_ONCE):
            return None
        pieces = zip(starts.tolist(), (starts + lengths).tolist(), strict=True)
        text = b"".join([self._layer[start:stop] for start, stop in pieces])
        if not text.isascii() or not text.decode().isprintable():
            return None
        buffers = pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(text)
        return pa.StringArray.from_buffers(len(places), *buffers)

    def _text(self, bits: int) -> str:
        start, length = bits >> 32, bits & 0xFFFFFFFF
        if length > self._longest:
            raise FormatError(f"a text of {length} bytes where an id should be")
        try:
            text = str(self._layer[start : start + length], "utf-8")
        except UnicodeDecodeError as error:
            raise FormatError("a text that is not UTF-8") from error
        return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def whole_number(value: object) -> int | None:
    """Return a value as an exact whole number of 63 bits and a sign, or None."""
    if isinstance(value, str):
        value = int(value) if _WHOLE_NUMBER.fullmatch(value) else None
    elif isinstance(value, float):
        value = int(value) if abs(value) < EXACT_DOUBLE and value == int(value) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(1 << 63) <= value < 1 << 63 else None


def odd_value(layer: bytes | memoryview, start: int, stop: int) -> tuple[int, int]:
    """
    Return the kind and bits of a value whose message is not exactly one field.

    Of several fields, the last known one counts; fields of other numbers or wire types are ignored.

    Raises
    ------
    FormatError
        If the message is cut off.
    """
    wires = {STRING: protobuf.BYTES, FLOAT: protobuf.FIXED32, DOUBLE: protobuf.FIXED64}
    kind, bits = NOTHING, 0
    for number, wire, value, end in protobuf.fields(layer, start, stop):
        if number > BOOL or wire != wires.get(number, protobuf.VARINT):
            continue
        kind, bits = number, value
        if number == STRING:
            bits = value << 32 | end - value
        elif number in {FLOAT, DOUBLE}:
            bits = int.from_bytes(layer[value:end], "little")
        elif number == SINT:
            kind, bits = INT, value >> 1 ^ (-(value & 1) & (1 << 64) - 1)
    return kind, bits
