"""
The values of a vector tile's layer as typed columns.

A value says itself whether it is a string, a float, a double, one of three kinds of integer, or
a truth value, and services have changed their minds about which one a property has. So every
column takes every kind that can hold it without loss; what cannot is unknown, never zero.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import protobuf
from mlygeo.readers._mvt_spec import BOOL, DOUBLE, FLOAT, INT, NOTHING, SINT, STRING, UINT

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Integers = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

EXACT_DOUBLE, EXACT_FLOAT = 2.0**53, 2.0**24
"""From here on a floating point number no longer holds every whole number."""

LONGEST_TEXT = 64
"""Bytes of a sequence id; they have 22 today, and had 36 once."""

_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,19}", re.ASCII)


class Values:
    """
    The values of a layer, to be gathered into columns.

    Parameters
    ----------
    layer
        The layer's bytes, where the strings are.
    kind, bits
        What each value is, as the kernels return it.
    """

    def __init__(self, layer: bytes, kind: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint64]) -> None:
        self._layer = layer
        # One more, so that index -1 (no such property) finds a value that is nothing.
        self._kind = np.append(kind, np.uint8(NOTHING))
        self._bits = np.append(bits, np.uint64(0))

    def whole(self, at: npt.NDArray[np.int32], *, floor: bool = False) -> tuple[Integers, Mask]:
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
            False for what is missing, no number, past 63 bits, or a floating point number so
            large that it may have lost digits.
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

    def real(self, at: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
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
    def _reals(kind: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
        numbers = np.full(len(kind), np.nan)
        double, single = kind == DOUBLE, kind == FLOAT
        numbers[double] = bits[double].view(np.float64)
        numbers[single] = bits[single].astype(np.uint32).view(np.float32)
        return numbers

    def truth(self, at: npt.NDArray[np.int32]) -> Mask:
        """Return truth values: a truth value or number other than zero is true, all else false."""
        result: Mask = (self._kind[at] >= FLOAT) & (self._bits[at] != 0)
        return result

    def text(self, at: npt.NDArray[np.int32]) -> pa.Array:
        """
        Return strings, null where there is none or it is empty.

        Raises
        ------
        FormatError
            If one is longer than `LONGEST_TEXT`, or not UTF-8.
        """
        # Many rows share a string: each is decoded once.
        used = np.zeros(len(self._kind), dtype=np.bool_)
        used[at] = True
        places = np.flatnonzero(used)
        filled = (self._kind[places] == STRING) & ((self._bits[places] & np.uint64(0xFFFFFFFF)) > 0)
        places = places[filled]
        number = np.full(len(used), -1, dtype=np.int32)
        number[places] = np.arange(len(places), dtype=np.int32)
        return self._strings(places, number[at])

    def _strings(self, places: Integers, which: npt.NDArray[np.int32]) -> pa.Array:
        """Return the string at one of some places for each row, null for -1."""
        import pyarrow as pa

        strings = pa.array([self._text(each) for each in self._bits[places].tolist()], pa.string())
        gone = which < 0
        which = pa.array(which, mask=gone if gone.any() else None)
        return pa.DictionaryArray.from_arrays(which, strings).cast(pa.string())

    def _text(self, bits: int) -> str:
        start, length = bits >> 32, bits & 0xFFFFFFFF
        if length > LONGEST_TEXT:
            raise FormatError(f"a text of {length} bytes where an id should be")
        try:
            return self._layer[start : start + length].decode()
        except UnicodeDecodeError as error:
            raise FormatError("a text that is not UTF-8") from error


def whole_number(value: object) -> int | None:
    """Return the whole number that a value holds exactly, or None; only 63 bits and a sign count."""
    if isinstance(value, str):
        value = int(value) if _WHOLE_NUMBER.fullmatch(value) else None
    elif isinstance(value, float):
        value = int(value) if abs(value) < EXACT_DOUBLE and value == int(value) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -(1 << 63) <= value < 1 << 63 else None


def odd_value(layer: bytes, start: int, stop: int) -> tuple[int, int]:
    """
    Return the kind and bits of a value whose message is not exactly one field.

    Of several, the last known one counts; fields of other numbers or wire types are passed over.

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
