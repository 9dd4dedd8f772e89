"""
The layers of a vector tile as arrays and typed columns, compiled by Numba (`mlygeo[speed]`).

The functions of `mvt_layers` under the same names, and the same arrays to the last bit: one pass over the
bytes instead of many arrays. Compiled code does not check that an index lies inside its array. So no read
here starts at or after the end that it was given, and where the bytes end soon, they are read one by one:
a layer is read where it lies in its tile, without a copy that has zeros behind it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from mlygeo.compiled import compiler
from mlygeo.errors import FormatError
from mlygeo.formats import mvt_layers
from mlygeo.formats.mvt_layers import (  # fmt: skip
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
    POINT,
    PROPERTY_LIMIT,
    SINT,
    STRING,
    TAGS,
    TYPE,
    UINT,
    VALUE,
    Features,
    Index,
)
from mlygeo.formats.protobuf import BYTES, FIXED32, FIXED64, VARINT

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pyarrow as pa

    from mlygeo.arrays import Bytes, Flags, Floats, Whole, Whole32, Words

__all__ = ["PADDING", "Values", "features", "index", "values"]

numba = compiler()

PADDING = b""
"""No zeros are needed after a layer."""

_FEATURE_TAG, _VALUE_TAG = FEATURE << 3 | BYTES, VALUE << 3 | BYTES

_FINE, _CUT_OFF, _TOO_MANY, _NO_PAIRS, _NOT_THERE, _TOO_LARGE = range(6)

_FAULTS = {
    _CUT_OFF: "one of its messages is cut off, or none",
    _TOO_MANY: f"a layer of more than {LIMIT} features or values or {KEY_LIMIT} keys, or a feature of more than "
    f"{PROPERTY_LIMIT} properties",
    _NO_PAIRS: "a feature's tags do not come in pairs",
    _NOT_THERE: "a feature points to a key or value that is not there",
    _TOO_LARGE: "a feature's position has more than 32 bits",
}

_U0, _U1, _U2, _U3, _U4, _U7, _U8, _U14, _U32, _U56, _U63 = (
    np.uint64(number) for number in (0, 1, 2, 3, 4, 7, 8, 14, 32, 56, 63)
)

_LOW7, _MAX32 = np.uint64(0x7F), np.uint64(0xFFFFFFFF)

_EACH = np.uint64(0x0101010101010101)

_LAST, _SEVENS = _EACH << _U7, _EACH * _LOW7
"""Of eight bytes, the bit that says whether a number goes on, and the seven of the number."""

_PAIRS, _FOURS, _WHOLE = (np.uint64(each) for each in (0x007F007F007F007F, 0x00003FFF00003FFF, 0x000000000FFFFFFF))
"""Where groups of seven, fourteen and twenty-eight bits lie as they are joined."""

Function = TypeVar("Function", bound="Callable[..., Any]")

_NO_SINGLES = np.empty(0, dtype=np.float32)


def index(layer: bytes | memoryview, end: int) -> Index:
    """Return the positions of the parts of a layer; see `mvt_layers.index`."""
    data = np.frombuffer(layer, dtype=np.uint8)
    counts = np.zeros(VALUE + 1, dtype=np.int64)
    _raise(_count(data, end, counts))
    features, keys, values = (np.empty((2, counts[part]), dtype=np.int64) for part in (FEATURE, KEY, VALUE))
    name = np.zeros(2, dtype=np.int64)
    extent = int(_note(data, end, features, keys, values, name))
    return Index(
        bytes(layer[name[0] : name[1]]),
        extent,
        [bytes(layer[start:stop]) for start, stop in keys.T.tolist()],
        (values[0], values[1]),
        (features[0], features[1]),
    )


def values(layer: bytes | memoryview, spans: tuple[Whole, Whole]) -> tuple[Bytes, Words]:
    """Return kind and bits of the values of a layer; see `mvt_layers.values`."""
    kind = np.empty(len(spans[0]) + 1, dtype=np.uint8)
    bits = np.empty(len(spans[0]) + 1, dtype=np.uint64)
    kind[-1], bits[-1] = NOTHING, 0
    _values(np.frombuffer(layer, dtype=np.uint8), *spans, kind, bits)
    return kind, bits


def features(
    layer: bytes | memoryview,
    spans: tuple[Whole, Whole],
    column_of_key: npt.NDArray[np.int8],
    n_values: int,
    n_columns: int,
) -> Features:
    """Return positions and value indexes of a layer's features; see `mvt_layers.features`."""
    data = np.frombuffer(layer, dtype=np.uint8)
    value_of = np.full((n_columns, len(spans[0])), -1, dtype=np.int32)
    placed = np.zeros(len(spans[0]), dtype=np.bool_)
    position = np.zeros((2, len(spans[0])), dtype=np.int64)
    _raise(_features(data, *spans, column_of_key, n_values, value_of, placed, position))
    return Features(value_of, placed, position[0], position[1])


class Values(mvt_layers.Values):
    """The columns of `mvt_layers.Values`, each in one walk over its rows."""

    def whole(self, at: Whole32, *, floor: bool = False) -> tuple[Whole, Flags]:
        """Return whole numbers, and which are known; floating point numbers and texts go through `mvt_layers`."""
        numbers, known = np.empty(len(at), dtype=np.int64), np.empty(len(at), dtype=np.bool_)
        if _whole(self._kind, self._bits, np.ascontiguousarray(at), numbers, known):
            return numbers, known
        return super().whole(at, floor=floor)

    def real(self, at: Whole32) -> Floats:
        """Return numbers as float64, NaN where there is none or it is not finite."""
        numbers = np.empty(len(at), dtype=np.float64)
        singles = self._bits.astype(np.uint32).view(np.float32) if (self._kind == FLOAT).any() else _NO_SINGLES
        _real(self._kind, self._bits, self._bits.view(np.float64), singles, np.ascontiguousarray(at), numbers)
        return numbers

    def truth(self, at: Whole32) -> Flags:
        """Return truth values: a truth value or number other than zero is true, all else false."""
        result = np.empty(len(at), dtype=np.bool_)
        _truth(self._kind, self._bits, np.ascontiguousarray(at), result)
        return result

    def text(self, at: Whole32) -> pa.Array:
        """Return strings, null where there is none or it is empty."""
        number = np.zeros(len(self._kind), dtype=np.int32)
        places, which = np.empty((2, len(at)), dtype=np.int32)
        count = _number_texts(self._kind, self._bits, np.ascontiguousarray(at), number, places, which)
        return self._strings(places[:count], which)


def _compiled(function: Function, *, inline: Any = "never") -> Function:
    """Compile a function at its first call, and keep the result for the next process if a folder is writable."""
    try:
        return cast("Function", numba.njit(cache=True, nogil=True, inline=inline)(function))
    except RuntimeError:  # no folder for the cache can be written to
        return cast("Function", numba.njit(nogil=True, inline=inline)(function))


# Passing an array to a function costs more than reading a number.
_inlined = functools.partial(_compiled, inline="always")


@_inlined
def _eight(data: Any, at: Any) -> Any:
    """Return the eight bytes that begin at a byte, as one number."""
    word = _U0
    for place in range(8):
        word |= np.uint64(data[at + place]) << np.uint64(8 * place)
    return word


@_compiled
def _long_varint(low: Any, ninth: Any, tenth: Any) -> Any:
    """Return the number in eight bytes and two more, and how many of them it takes: 0 if more than ten."""
    last = ~low & _LAST
    length: Any = 8
    if last != _U0:
        # The lowest byte without its high bit is the last; the mask covers it and all below.
        last &= ~last + _U1
        mask = last ^ (last - _U1)
        length = np.int64(((mask & _EACH) * _EACH) >> _U56)
        low &= mask
    value = low & _SEVENS
    value = (value & _PAIRS) | ((value & ~_PAIRS) >> _U1)
    value = (value & _FOURS) | ((value & ~_FOURS) >> _U2)
    value = (value & _WHOLE) | ((value & ~_WHOLE) >> _U4)
    if last != _U0:
        return value, length
    value |= (ninth & _LOW7) << _U56
    if ninth <= _LOW7:
        return value, 9
    if tenth <= _U1:
        return value | (tenth << _U63), 10
    return value, 0


@_inlined
def _varint(data: Any, at: Any, end: Any) -> Any:
    """Return the number at a byte and where the next one starts: -1 if it is cut off or too long."""
    if at >= end:
        return _U0, -1
    first = np.uint64(data[at])
    if first <= _LOW7:
        return first, at + 1
    if at + 10 <= len(data):
        second, third = np.uint64(data[at + 1]), np.uint64(data[at + 2])
        if second <= _LOW7:
            value, length = (first & _LOW7) | (second << _U7), 2
        elif third <= _LOW7:
            value, length = (first & _LOW7) | ((second & _LOW7) << _U7) | (third << _U14), 3
        else:
            value, length = _long_varint(_eight(data, at), np.uint64(data[at + 8]), np.uint64(data[at + 9]))
    else:  # zeros instead of what is not there
        low = ninth = _U0
        for place in range(len(data) - at):
            byte = np.uint64(data[at + place])
            if place < 8:
                low |= byte << np.uint64(8 * place)
            else:
                ninth = byte
        value, length = _long_varint(low, ninth, _U0)
    if length == 0 or at + length > end:
        return _U0, -1
    return value, at + length


@_compiled
def _field(data: Any, at: Any, end: Any) -> Any:
    """Return number, wire type, value (or first byte), first byte and end of a field; the end is -1 on errors."""
    tag, start = _varint(data, at, end)
    number = np.int64(tag >> _U3)
    wire = np.int64(tag & _U7)
    if start < 0 or tag > _MAX32 or number == 0:
        return 0, 0, _U0, 0, -1
    if wire == VARINT:
        value, stop = _varint(data, start, end)
        return number, wire, value, start, stop
    length = np.uint64(end)
    if wire == BYTES:
        length, start = _varint(data, start, end)
        if start < 0:
            return 0, 0, _U0, 0, -1
    elif wire == FIXED64:
        length = np.uint64(8)
    elif wire == FIXED32:
        length = np.uint64(4)
    else:
        return 0, 0, _U0, 0, -1
    if length > np.uint64(end - start):
        return 0, 0, _U0, 0, -1
    return number, wire, np.uint64(start), start, start + np.int64(length)


@_compiled
def _count(data: Any, end: Any, counts: Any) -> Any:
    """Count the features, keys and values of a layer, by the number of their field; no more than the limits."""
    at: Any = 0
    while at < end:
        tag, length = np.int64(data[at]), np.int64(data[at + 1]) if at + 1 < end else 0x80
        if tag in (_FEATURE_TAG, _VALUE_TAG) and length <= 0x7F:  # a byte each, as in nearly all layers
            number, wire, at = tag >> 3, BYTES, at + 2 + length
        else:
            number, wire, _, _, at = _field(data, at, end)
        if at < 0 or at > end:
            return _CUT_OFF
        if wire == BYTES and number <= VALUE:
            counts[number] += 1
        if counts[FEATURE] > LIMIT or counts[VALUE] > LIMIT or counts[KEY] > KEY_LIMIT:
            return _TOO_MANY
    return _FINE


@_compiled
def _note(data: Any, end: Any, features: Any, keys: Any, values: Any, name: Any) -> Any:  # noqa: PLR0917
    """Note where each feature, key and value of a layer lies, and its name; return its extent."""
    extent = np.uint64(DEFAULT_EXTENT)
    at: Any = 0
    n_features = n_keys = n_values = 0
    while at < end:
        tag, length = np.int64(data[at]), np.int64(data[at + 1]) if at + 1 < end else 0x80
        if tag in (_FEATURE_TAG, _VALUE_TAG) and length <= 0x7F:
            number, wire, value, start = tag >> 3, BYTES, _U0, at + 2
            at = start + length
        else:
            number, wire, value, start, at = _field(data, at, end)
        if wire == BYTES:
            if number == FEATURE:
                features[0, n_features], features[1, n_features] = start, at
                n_features += 1
            elif number == VALUE:
                values[0, n_values], values[1, n_values] = start, at
                n_values += 1
            elif number == KEY:
                keys[0, n_keys], keys[1, n_keys] = start, at
                n_keys += 1
            elif number == NAME:
                name[0], name[1] = start, at
        elif number == EXTENT and wire == VARINT:
            extent = value
    return extent


@_compiled
def _values(data: Any, starts: Any, stops: Any, kind: Any, bits: Any) -> None:
    for place in range(len(starts)):
        start, stop = starts[place], stops[place]
        if start == stop:
            kind[place] = NOTHING
            bits[place] = _U0
            continue
        kind[place] = ODD
        tag = data[start]
        number, wire = tag >> 3, tag & 7
        if wire == VARINT and INT <= number <= BOOL:
            value, after = _varint(data, start + 1, stop)
            if after == stop:
                if number == SINT:
                    value = (value >> _U1) ^ (~(value & _U1) + _U1)
                    number = INT
                kind[place] = number
                bits[place] = value
        elif number == DOUBLE and wire == FIXED64 and stop - start == 9:
            kind[place] = DOUBLE
            bits[place] = _eight(data, start + 1)
        elif number == FLOAT and wire == FIXED32 and stop - start == 5:
            kind[place] = FLOAT
            value = _U0
            for byte in range(4):
                value |= np.uint64(data[start + 1 + byte]) << np.uint64(8 * byte)
            bits[place] = value
        elif number == STRING and wire == BYTES:
            length, after = _varint(data, start + 1, stop)
            if after >= 0 and length == np.uint64(stop - after):
                kind[place] = STRING
                bits[place] = (np.uint64(after) << _U32) | length


@_compiled
def _features(  # noqa: PLR0917
    data: Any, starts: Any, stops: Any, column_of_key: Any, n_values: Any, value_of: Any, placed: Any, position: Any
) -> Any:
    n_keys = np.uint64(len(column_of_key))
    for row in range(len(starts)):
        at, end = starts[row], stops[row]
        geometry_type = _U0
        key = _U0  # of the pair that is being read
        paired = True
        pairs = 0
        command = x = y = _U0
        numbers = 0  # of the geometry so far
        while at < end:
            tag, length = np.int64(data[at]), np.int64(data[at + 1]) if at + 1 < end else 0x80
            if 7 < tag <= 0x7F and length <= 0x7F and (tag & 7) == BYTES:
                number, wire, value, start = tag >> 3, BYTES, _U0, at + 2
                stop = start + length
            elif 7 < tag <= 0x7F and (tag & 7) == VARINT:
                number, wire, start = tag >> 3, VARINT, at + 1
                value, stop = _varint(data, start, end)
            else:
                number, wire, value, start, stop = _field(data, at, end)
            if stop < 0 or stop > end:
                return _CUT_OFF
            at = stop
            if number == TYPE and wire == VARINT:
                geometry_type = value
            elif number in (TAGS, GEOMETRY) and wire in (BYTES, VARINT):
                # Packed, or a single number; a list may come in several pieces.
                if wire == BYTES and stop > start and data[stop - 1] > 0x7F:
                    return _CUT_OFF
                while start < stop and (number == TAGS or numbers < 3):
                    value, start = _varint(data, start, stop)
                    if start < 0:
                        return _CUT_OFF
                    if number == GEOMETRY:
                        if numbers == 0:
                            command = value
                        elif numbers == 1:
                            x = value
                        else:
                            y = value
                        numbers += 1
                    elif paired:
                        key = value
                        paired = False
                        if key >= n_keys:
                            return _NOT_THERE
                    else:
                        paired = True
                        pairs += 1
                        if pairs > PROPERTY_LIMIT:
                            return _TOO_MANY
                        if value >= np.uint64(n_values):
                            return _NOT_THERE
                        column = column_of_key[np.int64(key)]
                        if column >= 0:
                            value_of[column, row] = np.int32(value)
        if not paired:
            return _NO_PAIRS
        if geometry_type == np.uint64(POINT) and (command & _U7) == np.uint64(MOVE_TO) and command > _U7:
            if (numbers > 1 and x > _MAX32) or (numbers > 2 and y > _MAX32):
                return _TOO_LARGE
            if numbers > 2:
                placed[row] = True
                position[0, row] = np.int64(x >> _U1) ^ -np.int64(x & _U1)
                position[1, row] = np.int64(y >> _U1) ^ -np.int64(y & _U1)
    return _FINE


def _raise(status: int) -> None:
    if status != _FINE:
        raise FormatError(_FAULTS[status])


# Index -1, no such property, finds the last value, which is empty.
@_compiled
def _whole(kind: Any, bits: Any, at: Any, numbers: Any, known: Any) -> Any:
    """Gather integers; return False where there is a number of another kind, or a text."""
    for row in range(len(at)):
        what, number = kind[at[row]], np.int64(bits[at[row]])
        if what in (FLOAT, DOUBLE, STRING):
            return False
        known[row] = what == INT or (what == UINT and number >= 0)
        numbers[row] = number if known[row] else 0
    return True


@_compiled
def _real(kind: Any, bits: Any, doubles: Any, singles: Any, at: Any, numbers: Any) -> None:  # noqa: PLR0917
    for row in range(len(at)):
        place = at[row]
        what = kind[place]
        if what == DOUBLE:
            number = doubles[place]
        elif what == FLOAT:
            number = np.float64(singles[place])
        elif what == INT:
            number = np.float64(np.int64(bits[place]))
        elif what == UINT:
            number = np.float64(bits[place])
        else:
            number = np.nan
        numbers[row] = number if np.isfinite(number) else np.nan


@_compiled
def _truth(kind: Any, bits: Any, at: Any, result: Any) -> None:
    for row in range(len(at)):
        result[row] = kind[at[row]] >= FLOAT and bits[at[row]] != _U0


@_compiled
def _number_texts(kind: Any, bits: Any, at: Any, number: Any, places: Any, which: Any) -> Any:  # noqa: PLR0917
    """Number the texts in the order of the rows that use them, from 1 in `number`; set which text each row has."""
    count = np.int32(0)
    for row in range(len(at)):
        place = at[row]
        if number[place] == 0 and kind[place] == STRING and bits[place] & _MAX32 > _U0:
            places[count] = place
            count += np.int32(1)
            number[place] = count
        which[row] = number[place] - 1
    return count
