"""
GeoJSON of any length as a sequence of features (RFC 8142), which GDAL reads one by one in bounded memory.

Of a collection GDAL's driver remembers a number for each row, and takes numbers that are ids for them.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo.store import geojson
from mlygeo.store.json_numbers import has_many_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PIECE = 1 << 20
"""Bytes of text that are read at once."""

LONGEST = 1 << 26
"""Letters of the longest feature that is read so."""

_IN_NUMBERS = re.compile(r"[0-9.eE+-]*")

_SPACE = re.compile(r"[ \t\n\r]*")

_NEXT = re.compile(r"[ \t\n\r]*,[ \t\n\r]*(?=\{)")
"""What stands between two objects."""

_MANY_DIGITS = re.compile(r"\d{19}")
"""What may be a number beyond 64 bits, which GDAL refuses in a collection and rounds in a sequence."""

_DECODER = json.JSONDecoder()


def _within_64_bits(digits: str) -> int:
    """Return a whole number; of one that GDAL would round in a sequence, and refuses in a collection, raise."""
    if not -(2**63) < (number := int(digits)) < 2**63:
        raise _NotPlainError
    return number


_CAREFUL_DECODER = json.JSONDecoder(parse_int=_within_64_bits)


class Written(NamedTuple):
    """How many features were written, how many were added behind them, and whether their ids were changed."""

    features: int
    added: int
    is_changed: bool


def write(path: Path, target: Path, *, is_described: bool) -> Written | None:
    """
    Write the features of a file so that GDAL reads them one by one.

    Parameters
    ----------
    path
        GeoJSON, one collection or a feature a line.
    target
        The file to write: a sequence, or lines where another program wrote lines.
    is_described
        Whether mlygeo wrote the file. Then a feature follows that has a word in each column of texts, so that GDAL
        takes none of them for dates, and ids are left as they are. Else those that are numbers become text, as in
        `mlygeo.store.geojson.with_ids`.

    Returns
    -------
    written
        None where a file is not one collection of features, or no JSON, or has no features; or where a column has
        both texts and numbers with fractions: GDAL makes other texts of those in a sequence than in a collection.
    """
    verdict: geojson.Verdict = "kept" if is_described else "texts"
    while True:
        ids, words, fractions, is_changed = geojson.Ids(), set[str](), set[str](), False
        are_lines = path.suffix.lower() in geojson.LINES and not is_described
        try:
            with target.open("wb") as file:
                for number, (original, feature) in enumerate(_features(path)):
                    text = original
                    if feature is not None:
                        ids.add(feature)
                        for name, value in _attributes(feature, is_described=is_described).items():
                            if isinstance(value, str):
                                words.add(name)
                            elif isinstance(value, float):
                                fractions.add(name)
                        if not is_described:
                            if (verdict == "removed" or not ids.has_property) and geojson.change(feature, verdict):
                                text, is_changed = json.dumps(feature).encode(), True
                            elif are_lines:
                                text = json.dumps(feature).encode()
                    file.write((b"\n" if number else b"") + text if are_lines else b"\x1e" + text + b"\n")
                if not are_lines and words & fractions:
                    return None
                if is_described and words:
                    last = {"type": "Feature", "properties": dict.fromkeys(words, "word"), "geometry": None}
                    file.write(b"\x1e" + json.dumps(last).encode() + b"\n")
        except (_NotPlainError, RecursionError, UnicodeError):
            return None
        if is_described or verdict == ids.verdict or not (is_changed or ids.verdict == "removed"):
            return Written(ids.features, int(is_described and bool(words)), is_changed) if ids.features else None
        verdict = ids.verdict


def _attributes(feature: dict[str, Any], *, is_described: bool) -> dict[str, Any]:
    """Return what GDAL makes columns of: of features that have no properties, it is their members."""
    properties = feature.get("properties")
    if isinstance(properties, dict):
        return properties
    return {} if is_described else feature


class _NotPlainError(Exception):
    """The file is not one collection of features."""


def _features(path: Path) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """Yield the features of a file, as they are written and as objects; of lines those that are none, too."""
    if path.suffix.lower() not in geojson.LINES:
        with path.open(encoding="utf-8-sig", errors="surrogatepass", newline="") as file:
            yield from _Collection(file.read).features()
        return
    for line in geojson.records(path):
        feature = None
        with suppress(ValueError, RecursionError):
            feature = json.loads(line)
        if not line.startswith(geojson.EMPTY):
            yield line, feature if isinstance(feature, dict) else None


class _Collection:
    """The text of a collection, of which a part is held: what was not yet read, from `_place` on."""

    def __init__(self, read: Callable[[int], str]) -> None:
        self._read = read
        self._text, self._place = "", 0
        self._is_whole = self._has_long = False

    def features(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Yield the features, as they are written and as objects."""
        kind, has_features = None, False
        for name in self._names():
            if name == "features":
                if has_features or self._letter() != "[":
                    raise _NotPlainError
                has_features = True
                for feature in self._objects():
                    if feature.get("type") != "Feature":
                        raise _NotPlainError
                    if self._has_long and _MANY_DIGITS.search(self._last):
                        _CAREFUL_DECODER.decode(self._last)
                    yield self._last.encode("utf-8", "surrogatepass"), feature
                continue
            value = self._value()
            kind = value if name == "type" else kind
        if kind != "FeatureCollection" or not has_features or self._letter():
            raise _NotPlainError

    def _names(self) -> Iterator[str]:
        """Yield the names of an object's members, of which the caller takes the values."""
        self._take("{")
        if self._letter() == "}":
            self._take("}")
            return
        while True:
            name = self._value()
            if not isinstance(name, str):
                raise _NotPlainError
            self._take(":")
            yield name
            if self._letter() == "}":
                self._take("}")
                return
            self._take(",")

    def _objects(self) -> Iterator[dict[str, Any]]:
        """Yield the values of an array of objects; `_last` is the text of each."""
        self._take("[")
        if self._letter() == "]":
            self._take("]")
            return
        while True:
            feature = self._value()
            if not isinstance(feature, dict):
                raise _NotPlainError
            yield feature
            # Most follow each other in what is held.
            while follows := _NEXT.match(self._text, self._place):
                start = follows.end()
                try:
                    feature, self._place = _DECODER.raw_decode(self._text, start)
                except ValueError:
                    break
                self._last = self._text[start : self._place]
                yield feature
            if self._letter() == "]":
                self._take("]")
                return
            self._take(",")

    def _take(self, letter: str) -> None:
        if self._letter() != letter:
            raise _NotPlainError
        self._place += 1

    def _letter(self) -> str:
        """Return the next letter that is no space, which is not read over; "" at the end."""
        while True:
            self._place = _SPACE.match(self._text, self._place).end()  # type: ignore[union-attr]
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._more():
                return ""

    def _value(self) -> Any:
        """Return the next value; `_last` is its text."""
        self._letter()
        while True:
            try:
                value, stop = _DECODER.raw_decode(self._text, self._place)
            except ValueError:
                if len(self._text) - self._place > LONGEST or not self._more():
                    raise _NotPlainError from None
                continue
            # A number may go on, behind a point or an e that are held already.
            if _IN_NUMBERS.match(self._text, stop).end() < len(self._text) or not self._more():  # type: ignore[union-attr]
                self._last, self._place = self._text[self._place : stop], stop
                return value

    def _more(self) -> bool:
        """Hold more of the text, twice as much at least; return whether there is more."""
        if self._is_whole:
            return False
        self._text, self._place = self._text[self._place :], 0
        more = self._read(max(PIECE, len(self._text)))
        self._is_whole = not more
        self._text += more
        self._has_long = has_many_digits(self._text.encode("utf-8", "surrogatepass"))
        return bool(more)
