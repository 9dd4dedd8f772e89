"""
Track points that loggers write all alike, read as columns without parsing each of them.

A logger writes thousands of points that differ in their numbers only. One of them is a template: what
stands between its values is text that others repeat to the byte. The template itself goes through the
parser of all GPX, with marks in place of its values, so that nobody but that parser says which of them is
the latitude, and whether it is well-formed. A point that repeats the template, and whose values hold
nothing that means anything in XML, then is well-formed too, and its values are where the template's are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from mlygeo.formats import texts

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]
    Reals = npt.NDArray[np.float64]
    Wholes = npt.NDArray[np.int64]
    Words = npt.NDArray[np.uint64]

Probe: TypeAlias = "Callable[[bytes], tuple[str, str, str, str] | None]"
"""Parses a document that is one point, and returns its longitude, latitude, elevation and time, as texts."""

LONGEST_POINT = 1 << 12
"""Bytes of a point that can be a template."""

_LONGEST_VALUE = 64
_MOST_MARKS = 512
"""Of `<` and quotes in a template; more than it can have values and tags."""

_MOST_TEMPLATES = 16
_TRIES = 4
"""Points of a block that may be tried as templates."""

_LONGEST_GAP = 64
_POINT = b"<trkpt"
_QUOTE = re.compile(rb"<trkpt\s+\w+\s*=\s*([\"'])")
_MARK = re.compile(r"v(\d+);")
_SPACE = b" \t\r\n"


class Rows(NamedTuple):
    """Points of a block: where they start and stop, whether each follows the one before without anything between."""

    start: Wholes
    stop: Wholes
    joined: Flags
    lon: Reals
    lat: Reals
    altitude: Reals
    time: npt.NDArray[np.datetime64]
    senseless: int


class _Template(NamedTuple):
    """What a point consists of."""

    literals: tuple[bytes, ...]  # the text before, between and behind its values
    marks: tuple[int, ...]  # how many `<` and quotes of the point stand before each of them
    values: tuple[int, ...]  # the literal behind which lon, lat, elevation and time stand; -1 for none


class _Block(NamedTuple):
    """A block of the file, and where the `<` and the quotes in it are."""

    text: bytes
    words: Words  # the eight bytes from each byte on, as one number
    marks: Wholes
    first: Wholes  # for each <trkpt, its place among the marks


class Finder:
    """
    Finds points that repeat a template, block by block.

    Parameters
    ----------
    probe
        The parser that says what a point means.
    """

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self._templates: list[_Template] = []
        self._quote = b""

    def rows(self, text: bytes) -> Rows | None:
        """
        Return the points of a block that repeat a template; None where there are none.

        Parameters
        ----------
        text
            A block of the file, in any encoding that has ASCII in it.

        Returns
        -------
        rows
            In the order of the block. Other points may stand between them.
        """
        block = self._block(text)
        if block is None:
            return None
        start = block.marks[block.first]
        stop = np.full(len(start), -1)
        spans = np.repeat(start, 8).reshape(-1, 4, 2)  # where the four values start and stop; nothing at first
        left = np.flatnonzero(_clean(text, start))
        for template in self._templates:
            left = _fill(template, block, left, stop, spans)
        for _ in range(_TRIES):
            if not len(left) or len(self._templates) == _MOST_TEMPLATES:
                break
            template_or_none = self._learn(text, int(start[left[0]]))
            if template_or_none is None:
                left = left[1:]
            else:
                self._templates.append(template_or_none)
                left = _fill(template_or_none, block, left, stop, spans)
        found = np.flatnonzero(stop >= 0)
        if not len(found):
            return None
        start, stop, spans = start[found], stop[found], spans[found]
        lon, lat, altitude, time = (texts.cells(text, spans[:, n, 0], spans[:, n, 1]) for n in range(4))
        return Rows(
            start, stop, _joined(block, start, stop),
            texts.cell_reals(lon), texts.cell_reals(lat), texts.cell_reals(altitude),
            *texts.cell_moments(time),
        )  # fmt: skip

    def _block(self, text: bytes) -> _Block | None:
        if not self._quote:
            found = _QUOTE.search(text)
            if found is None:
                return None
            self._quote = found[1]
        letters = np.frombuffer(text, dtype=np.uint8)
        # Zeros behind the block, and marks there, spare us looking whether anything ends within it.
        padded = text + bytes(LONGEST_POINT + 8)
        words = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
        marks = np.flatnonzero((letters == ord("<")) | (letters == ord(self._quote)))
        # Looking at one letter is cheaper than at eight, and most tags start with another one.
        first = np.flatnonzero(np.frombuffer(padded, dtype=np.uint8)[marks + 1] == _POINT[1])
        first = first[_stands(words, marks[first], _POINT)]
        return _Block(text, words, np.concatenate([marks, np.full(_MOST_MARKS, len(text))]), first)

    def _learn(self, text: bytes, start: int) -> _Template | None:
        """Return the template that a point is, or None where it is none: an odd one, or one that is cut off."""
        slots = _slots(text, start, self._quote)
        if slots is None:
            return None
        bounds = [start, *(place for slot in slots[:-1] for place in slot), slots[-1][1]]
        literals = [text[bounds[n] : bounds[n + 1]] for n in range(0, len(bounds), 2)]
        marked = literals[0] + b"".join(b"v%d;%b" % (n, literal) for n, literal in enumerate(literals[1:]))
        values = self._probe(marked)
        if values is None or _POINT in marked[1:]:
            return None
        places = []
        for value in values:
            mark = _MARK.fullmatch(value)
            if value and mark is None:  # text in several parts
                return None
            places.append(-1 if mark is None else int(mark[1]))
        if min(places[:2]) < 0 or any(_longer(slots[place]) for place in places if place >= 0):
            return None
        counts = [literal.count(b"<") + literal.count(self._quote) for literal in literals]
        if sum(counts) > _MOST_MARKS:
            return None
        return _Template(tuple(literals), (0, *np.cumsum(counts)[:-1].tolist()), tuple(places))


def _longer(slot: tuple[int, int]) -> bool:
    return slot[1] - slot[0] > _LONGEST_VALUE


def _slots(text: bytes, start: int, quote: bytes) -> list[tuple[int, int]] | None:
    """
    Return where the values of a point are, and at last the end of the point twice.

    Values are what stands between quotes, and text that is more than white space.
    """
    value = b"%b[^<&%b]*%b" % (quote, quote, quote)
    tag = re.compile(rb"<(/?)[A-Za-z_:][\w:.-]*((?:\s+[A-Za-z_:][\w:.-]*\s*=\s*%b)*)\s*(/?)>" % value)
    words = re.compile(b"[^<&%b]*" % quote)
    text = text[start : start + LONGEST_POINT]
    slots: list[tuple[int, int]] = []
    at = depth = 0
    while True:
        found = tag.match(text, at)
        if found is None or (found[1] and (found[2] or found[3])):
            return None
        offset = found.start(2)
        slots += [(offset + part.start() + 1, offset + part.end() - 1) for part in re.finditer(value, found[2])]
        depth += -1 if found[1] else 0 if found[3] else 1
        at = found.end()
        if depth <= 0:
            break
        between = words.match(text, at)
        if between is not None:
            if between[0].strip(_SPACE):
                slots.append(between.span())
            at = between.end()
    return [(start + one, start + other) for one, other in [*slots, (at, at)]]


def _stands(words: Words, places: Wholes, literal: bytes) -> Flags:
    """Return at which of the places a text stands."""
    same = np.ones(len(places), dtype=bool)
    for offset in range(0, len(literal), 8):
        piece = literal[offset : offset + 8]
        found = words[places + offset] if offset else words[places]
        if len(piece) < 8:
            found &= np.uint64((1 << 8 * len(piece)) - 1)
        same &= found == np.uint64(int.from_bytes(piece, "little"))
    return same


def _fill(template: _Template, block: _Block, rows: Wholes, stop: Wholes, spans: Wholes) -> Wholes:
    """Set where those of the points stop that repeat a template, and where their values are; return the others."""
    if not len(rows):
        return rows
    first = block.first[rows]
    # The n-th mark of the point is where the literal must be. Between it and the one before no mark is left over:
    # the value between them holds none.
    places = [block.marks[first + mark] for mark in template.marks]
    fine = np.ones(len(rows), dtype=bool)
    for place, literal in zip(places, template.literals, strict=True):
        fine &= _stands(block.words, place, literal)
    within = []
    for what, number in enumerate(template.values):
        if number >= 0:
            one, other = places[number] + len(template.literals[number]), places[number + 1]
            fine &= other - one <= _LONGEST_VALUE
            within.append((what, one, other))
    good = rows[fine]
    stop[good] = places[-1][fine] + len(template.literals[-1])
    for what, one, other in within:
        spans[good, what, 0], spans[good, what, 1] = one[fine], other[fine]
    return rows[~fine]


def _clean(text: bytes, start: Wholes) -> Flags:
    """
    Return which points hold nothing but what means the same in every encoding, and nothing to XML.

    References, the end of a CDATA section, control characters and whatever is not ASCII are left to the parser.
    """
    letters = np.frombuffer(text, dtype=np.uint8)
    controls = letters < 32
    spaces = sum(np.count_nonzero(letters == space) for space in b"\t\r\n")
    if text.isascii() and b"&" not in text and b"]" not in text and np.count_nonzero(controls) == spaces:
        return np.ones(len(start), dtype=bool)
    controls &= (letters != 9) & (letters != 10) & (letters != 13)
    odd = np.flatnonzero(controls | (letters > 126) | (letters == ord("&")) | (letters == ord("]")))
    clean = np.ones(len(start) + 1, dtype=bool)
    clean[np.searchsorted(start, odd, side="right") - 1] = False  # the last one stands for what is before all points
    return clean[:-1]


def _joined(block: _Block, start: Wholes, stop: Wholes) -> Flags:
    """Return which points follow the one before, with nothing or the white space between that most have there."""
    joined = np.zeros(len(start), dtype=bool)
    gap = start[1:] - stop[:-1]
    joined[1:] = gap == 0
    if joined[1:].all():
        return joined
    width = int(np.bincount(np.minimum(gap, _LONGEST_GAP + 1)).argmax())
    here = int(stop[np.flatnonzero(np.minimum(gap, _LONGEST_GAP + 1) == width)[0]])
    space = block.text[here : here + width]
    if 0 < width <= _LONGEST_GAP and not space.strip(_SPACE):
        joined[1:] |= (gap == width) & _stands(block.words, stop[:-1], space)
    return joined
