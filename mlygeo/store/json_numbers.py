"""Numbers of GeoJSON that 64 bits cannot hold: GDAL refuses some, and makes others of the rest."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.store import geojson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 1 << 20
"""Bytes of text that are looked at at once."""

_LONG_EXPONENTS = [re.compile(letter + rb"(?<=[0-9.].)[+-]?[0-9]{3,}[\],}\s]") for letter in (b"e", b"E")]
"""
The end of a number that may be too large or too small, outside of texts and within.

Python finds a letter four times as fast as one of two (1.4 s a gigabyte, measured).
"""

_DIGITS = 309
"""Digits of the smallest whole number that a float cannot hold, about 1.8e308."""

_SPAN = 2 * _DIGITS
"""Bytes of a piece that are looked at again with the next one."""

_TOKEN = re.compile(
    rb'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9]{%d}[0-9.eE+-]*|-?[0-9][0-9.]*[eE][+-]?[0-9]{3,}|"' % _DIGITS, re.DOTALL
)
"""A text, a number that may be too large or too small, or the begin of a text that goes on."""

_OF_NUMBERS = b"0123456789.eE+-"

_LEAST = np.finfo(np.float64).smallest_normal


def check(path: Path) -> None:
    """
    Raise where a file has a number that 64 bits do not hold.

    Of whole numbers these are those in properties of files with a feature a line; GDAL itself refuses them in a
    collection, and those of ids are texts.

    Parameters
    ----------
    path
        A file of another program.

    Raises
    ------
    FormatError
        If there is one; it is named.
    """
    if any(_may_have(path)):
        for number in _numbers(path):
            value = abs(float(number))
            if math.isinf(value) or (value < _LEAST and re.search(rb"[1-9]", re.split(rb"[eE]", number)[0])):
                raise _refused(path, number.decode())
    if path.suffix.lower() in geojson.LINES:
        for record in geojson.records(path):
            if has_many_digits(record):
                for whole in _whole(_properties(record)):
                    if not -(2**63) <= whole < 2**63:
                        raise _refused(path, str(whole))


def _refused(path: Path, number: str) -> FormatError:
    shown = number if len(number) <= 40 else f"{number[:30]}… of {len(number)} letters"
    return FormatError(
        f"{path.name} has the number {shown}, which 64 bits cannot hold", hint="write it as text, or correct it"
    )


def _may_have(path: Path) -> Iterator[bool]:
    """Yield for each piece of a file whether it has numbers that may be too large or small, or texts that look so."""
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            held = rest + piece
            yield any(each.search(held) for each in _LONG_EXPONENTS)
            yield has_many_digits(held, _DIGITS)
            rest = held[-_SPAN:]


def _numbers(path: Path) -> Iterator[bytes]:
    """Yield the numbers outside of texts that may be too large or too small."""
    rest = b""
    with path.open("rb") as file:
        while True:
            piece = file.read(PIECE)
            held = rest + piece
            body = held.rstrip(_OF_NUMBERS) if piece else held  # a number may go on
            rest = held[len(body) :]
            for token in _TOKEN.finditer(body):
                if token[0] == b'"':
                    rest = held[token.start() :]
                    break
                if not token[0].startswith(b'"'):
                    yield token[0]
            if not piece:
                return


def _properties(record: bytes) -> Any:
    """Return the properties of a feature; None where it is none, of which GDAL says what is wrong."""
    with suppress(ValueError, RecursionError):
        feature = json.loads(record)
        return feature.get("properties") if isinstance(feature, dict) else None
    return None


def _whole(value: Any) -> Iterator[int]:
    """Yield the whole numbers in a value of JSON."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _whole(each)


def has_many_digits(text: bytes, count: int = 19) -> bool:
    """Return whether so many digits follow each other; with 19 a number may be beyond 64 bits."""
    # An expression takes twelve seconds a gigabyte (measured), arrays one.
    runs = np.frombuffer(text, dtype=np.uint8) - np.uint8(ord("0")) < 10
    length = 1
    while length < count and len(runs) and (length < 16 or runs.any()):
        further = min(length, count - length)
        runs = runs[:-further] & runs[further:]
        length += further
    return length == count and bool(runs.any())
