"""
GPX: points, in one pass over the file, in bounded memory.

expat parses the file. Runs of track points that a logger wrote in one form are read as columns; expat
parses the text between the runs, and the first point of each run. If expat finds a track point there,
the points that follow are track points too. The result is the same as parsing all points with expat,
some thirty times as fast.

Nothing outside the file is ever opened. A file that declares entities is refused: GPX needs none, and
with entities a small file can fill the memory. Format: GPX 1.0 and 1.1 (topografix.com); namespaces
and prefixes are ignored, since many loggers write them wrongly.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections import Counter
from contextlib import suppress
from gzip import BadGzipFile
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from xml.parsers import expat

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import positions, texts
from mlygeo.formats.texts import cell_moments, reals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedIOBase
    from typing import Self

    import numpy.typing as npt
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats, Times, Whole, Whole32, Words

KINDS = ("track", "route", "waypoint")

BLOCK = 1 << 20
"""Bytes parsed at a time."""

GATHERED = 1 << 16
"""Points whose text is collected before it is converted to numbers."""

LONGEST_TEXT = 256
"""Characters of a time, an elevation or a name that are kept."""

_POINTS = {"trkpt": 0, "rtept": 1, "wpt": 2}

_PARENTS = {"trk": 0, "rte": 1}

_INVALID_TOKEN = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]

_WRONG_ENCODING = {
    expat.errors.codes[expat.errors.XML_ERROR_INCORRECT_ENCODING],
    expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING],
}


_FRAGMENT = 1 << 13
"""Bytes at the end of a block that may begin a point, and are read again with the next block."""

_IDLE = 3
"""After this many consecutive blocks without useful runs, no more runs are searched for."""

_INTERRUPTIONS = 32
"""Points parsed one by one between the runs of a block; parsing all of it is faster where there are more."""

_SHORT = 4
"""Average number of points that the runs of a block need to be useful."""

_Enter: TypeAlias = "Callable[[bytes], int]"

Probe: TypeAlias = "Callable[[bytes], tuple[str, str, str, str] | None]"
"""Parses a document that is one point, and returns its longitude, latitude, elevation and time, as texts."""

LONGEST_POINT = 1 << 12
"""Bytes of a point that can be a template."""

_LONGEST_VALUE = 64

_MOST_MARKS = 512
"""Most `<` and quotes in a template; values and tags need fewer."""

_MOST_TEMPLATES = 16

_TRIES = 4
"""Points of a block that may be tried as templates."""

_LONGEST_GAP = 64

_POINT = b"<trkpt"

_INNER, _NO_FIX = ("ele", "time", "fix"), "none"
"""Elements of a point that are read; a receiver without a fix writes `<fix>none</fix>`."""

_QUOTE = re.compile(rb"<trkpt\s+\w+\s*=\s*([\"'])")

_MARK = re.compile(r"v(\d+);")

_SPACE = b" \t\r\n"


def read(open_file: Callable[[], BufferedIOBase], name: str) -> Points:
    """
    Read the points of a GPX file.

    Parameters
    ----------
    open_file
        Opens the file, decompressed; called again where the encoding was not the declared one.
    name
        Name of the file in messages.

    Returns
    -------
    points
        Arrays `lon`, `lat`, `altitude` (float64, NaN when unknown), `time` (datetime64[us], UTC),
        and `segment` (int32), the row in `segments`. `left_out` counts points without a position by reason,
        `zoneless` times without a zone, which were taken as UTC, `senseless` texts that are no time,
        `unread` elevations that are no number.

    Raises
    ------
    FormatError
        If the file is not GPX, or declares entities.
    """
    points = damage = None
    with suppress(_NotPlainError):
        points, damage = _parse(open_file, None, name, plain=True)
    if points is None or damage is not None:
        # Comments may contain text that looks like points; and without the runs, expat's line numbers are wrong.
        points, damage = _parse(open_file, None, name)
    encoding = "" if damage is None else _encoding(open_file, damage)
    if encoding:
        # Programs that convert a file often leave the declaration as it was.
        again, second = _parse(lambda: _Transcoded(open_file(), encoding), "utf-8", name)
        if second is None or len(again.lon) > len(points.lon):
            points, damage = again, second
            points.problems.append(f"its text is not in the encoding that it declares, and was read as {encoding}")
    if damage is not None and damage.invalid_token:
        # Names in Latin-1 in a file that declares UTF-8, or no encoding.
        again, second = _parse(open_file, "iso-8859-1", name)
        if second is None or len(again.lon) > len(points.lon):
            points, damage = again, second
            points.problems.append("its text is not UTF-8 and was read as Latin-1")
    if damage is not None:
        if not len(points.lon):
            raise FormatError(f"{name} is not a GPX file, or is damaged ({damage.what})")
        points.problems.append(f"it is damaged ({damage.what}); the {len(points.lon):,} points before that were kept")
    return points


class Points(NamedTuple):
    """Points in the order of the file, each with the number of its segment, and the segments' names."""

    lon: Floats
    lat: Floats
    altitude: Floats
    time: Times
    segment: Whole32
    segments: list[Segment]
    problems: list[str]
    left_out: dict[str, int]
    senseless: int
    zoneless: int
    unread: int


class Segment(NamedTuple):
    """A track segment, a route, or the way points."""

    kind: int
    parent: int
    name: str


class _Damage(NamedTuple):
    """Where and why a file could not be read to its end."""

    what: str
    invalid_token: bool = False
    wrong_encoding: bool = False


class _RefusedError(Exception):
    """The file declares entities."""


class _NotPlainError(Exception):
    """The file is not of the form that can be read without parsing all of it."""


def _parse(
    open_file: Callable[[], BufferedIOBase | _Transcoded], encoding: str | None, name: str, *, plain: bool = False
) -> tuple[Points, _Damage | None]:
    gathered = _Gathered()
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    enter = _attach(parser, gathered)
    damage = None
    try:
        with open_file() as file:
            blocks = _blocks(file)
            if plain:
                _parse_runs(parser, enter, gathered, blocks)
            for block in blocks:
                parser.Parse(block, False)
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        reason = expat.errors.messages.get(error.code, "not well-formed")
        damage = _Damage(
            f"line {error.lineno}: {reason}",
            invalid_token=error.code == _INVALID_TOKEN,
            wrong_encoding=error.code in _WRONG_ENCODING,
        )
    except (EOFError, zlib.error, BadGzipFile) as error:
        damage = _Damage(f"its gzip is broken: {error}")
    except _RefusedError as error:
        raise FormatError(
            f"{name} declares entities, which no GPX file needs and which can fill the memory",
            hint="do not trust this file; a track exported anew has none",
        ) from error
    except (LookupError, ValueError) as error:
        # The codecs of Python that expat cannot use: those of several bytes a letter, and unknown ones.
        damage = _Damage(f"its encoding: {error}", wrong_encoding=True)
    if gathered.root.lower() != "gpx" and (damage is None or gathered.root):
        raise FormatError(f"{name} is XML, but no GPX file (it starts with <{gathered.root}>)")
    return gathered.points(), damage


def _encoding(open_file: Callable[[], BufferedIOBase], damage: _Damage) -> str:
    """Return the encoding of a file that expat could not read in that which it declares; "" where it is that one."""
    if not damage.wrong_encoding and not damage.invalid_token:
        return ""
    with open_file() as file:
        encoding = texts.encoding_of(file.read1(BLOCK))
    # UTF-32 is none of expat's, whatever is declared.
    return encoding if damage.wrong_encoding or encoding.startswith("utf-32") else ""


class _Transcoded:
    """A file as UTF-8, whatever its encoding; bytes that are none in it become U+FFFD."""

    def __init__(self, file: BufferedIOBase, encoding: str) -> None:
        self._text = codecs.getreader(encoding)(file, "replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def read1(self, size: int) -> bytes:
        """Return some letters as UTF-8; nothing at the end."""
        return self._text.read(size).encode("utf-8", "replace")


def _blocks(file: BufferedIOBase | _Transcoded) -> Iterator[bytes]:
    """Yield a file in blocks; of a damaged file, the part before the damage."""
    pieces: list[bytes] = []
    length, head = 0, True
    try:
        while piece := file.read1(BLOCK):
            if head:
                # White space before the declaration is invalid, but common.
                piece = piece.lstrip(b" \t\r\n")
                head = not piece
            pieces.append(piece)
            length += len(piece)
            if length >= BLOCK:
                yield b"".join(pieces)
                pieces, length = [], 0
    except (EOFError, zlib.error, BadGzipFile):
        yield b"".join(pieces)
        raise
    yield b"".join(pieces)


def _parse_runs(parser: expat.XMLParserType, enter: _Enter, gathered: _Gathered, blocks: Iterator[bytes]) -> None:
    """Parse a file as long as it has runs of points."""
    finder = Finder(_probe)
    tail, idle = b"", 0
    for more in blocks:
        block = tail + more
        rows = finder.rows(block)
        worth = rows is not None and len(rows.joined) >= _SHORT * np.count_nonzero(~rows.joined)
        at = _parse_run_block(parser, enter, gathered, block, rows) if rows is not None and worth else 0
        tail = block[at:]
        if len(tail) > _FRAGMENT:
            # Without runs, or after too many interruptions.
            parser.Parse(tail, False)
            tail = b""
            idle += 1
            if idle == _IDLE:
                return
        else:
            idle = 0
    parser.Parse(tail, False)


def _parse_run_block(parser: expat.XMLParserType, enter: _Enter, gathered: _Gathered, block: bytes, rows: Rows) -> int:
    """Parse a block with runs, and return where the last run that was used ends."""
    first = np.flatnonzero(~rows.joined)
    last = np.append(first[1:], len(rows.joined))
    gathered.offer(rows)
    at = interruptions = 0
    for start, stop, here, behind, end in zip(
        first.tolist(), last.tolist(), rows.start[first].tolist(), rows.stop[first].tolist(),
        rows.stop[last - 1].tolist(), strict=True,
    ):  # fmt: skip
        parser.Parse(block[at:here], False)
        if gathered.text[0]:
            gathered.convert()
            interruptions += 1
        gathered.take(start, stop, enter(block[here:behind]))
        at = end
        if interruptions == _INTERRUPTIONS:
            break
    gathered.put_away()
    return at


def _probe(point: bytes) -> tuple[str, str, str, str] | None:
    """Return longitude, latitude, elevation and time of a point, if the point is complete."""
    gathered = _Gathered()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    _attach(parser, gathered)
    try:
        parser.Parse(point, True)
    except expat.ExpatError:
        return None
    lon, lat, ele, time, _ = gathered.text
    return (lon[0], lat[0], ele[0], time[0]) if len(lon) == 1 else None


def _attach(parser: expat.XMLParserType, gathered: _Gathered) -> _Enter:
    """
    Set the handlers, and return a function that parses a run's first point and returns its segment.

    The handlers run millions of times, so they are closures over local names, and as short as possible.
    """
    short: dict[str, str] = {}
    lon, lat, ele, time, segment = gathered.text
    pieces: list[str] = []
    depth = 0
    inside = parent = -1  # depths of the current point, and of the current track or route
    kind, current = -1, 0  # of the segment that the last point lies in
    x = y = z = t = ""
    lost = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, inside, parent, kind, current, x, y, z, t, lost
        depth += 1
        local = short.get(name)
        if local is None:
            local = short[name] = name.rpartition(":")[2]
        if inside >= 0:
            if depth == inside + 1 and local in _INNER:
                pieces.clear()
                parser.CharacterDataHandler = pieces.append
        elif local in _POINTS:
            inside = depth
            x, y, z, t, lost = attributes.get("lon", ""), attributes.get("lat", ""), "", "", False
            if kind != _POINTS[local]:
                kind = _POINTS[local]
                current = gathered.begin_segment(kind)
        elif local in _PARENTS:
            parent, kind = depth, -1
            gathered.begin_parent()
        elif local == "trkseg":
            kind = -1
        elif local == "name" and depth == parent + 1:
            pieces.clear()
            parser.CharacterDataHandler = pieces.append
        elif depth == 1:
            gathered.root = local[:40]

    def end(name: str) -> None:
        nonlocal depth, inside, parent, kind, z, t, lost
        if inside >= 0:
            if depth == inside + 1:
                local = short[name]
                if local in _INNER:
                    parser.CharacterDataHandler = None
                    text = pieces[0] if len(pieces) == 1 else "".join(pieces)
                    if local == "ele":
                        z = text[:LONGEST_TEXT]
                    elif local == "time":
                        t = text[:LONGEST_TEXT]
                    else:
                        lost = text.strip().lower() == _NO_FIX
            elif depth == inside:
                inside = -1
                if lost:
                    gathered.without_fix += 1
                    depth -= 1
                    return
                lon.append(x)
                lat.append(y)
                ele.append(z)
                time.append(t)
                segment.append(current)
                if len(lon) >= GATHERED:
                    gathered.convert()
        elif depth == parent:
            parent = kind = -1
        elif depth == parent + 1 and short[name] == "name":
            parser.CharacterDataHandler = None
            gathered.name_parent("".join(pieces))
        depth -= 1

    def enter(point: bytes) -> int:
        # Inside a comment, a name, a way point and so on it is not a track point, and neither are those after it.
        parser.Parse(point, False)
        if len(lon) != 1 or inside >= 0 or depth < 1 or parser.CharacterDataHandler is not None:
            raise _NotPlainError
        for column in gathered.text:
            column.clear()
        return current

    def refuse(*_: object) -> None:
        raise _RefusedError

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.EntityDeclHandler = refuse
    return enter


class _Gathered:
    """Points as text, converted to numbers in blocks, and points that are numbers already, in the order of the file."""

    def __init__(self) -> None:
        self.text: tuple[list[str], list[str], list[str], list[str], list[int]] = ([], [], [], [], [])
        self.root = ""
        self.without_fix = 0
        self._blocks: list[tuple[npt.NDArray[Any], ...]] = []
        self._segments: list[tuple[int, int]] = []
        self._parents: list[str] = []
        self._ways = -1
        self._left_out: Counter[str] = Counter()
        self._senseless = self._zoneless = self._unread = 0
        self._rows: Rows | None = None
        self._of_rows = np.empty(0, dtype=np.int32)
        self._done = self._taken = 0

    def begin_parent(self) -> None:
        self._parents.append("")

    def name_parent(self, name: str) -> None:
        self._parents[-1] = " ".join(name.split())[:LONGEST_TEXT]

    def begin_segment(self, kind: int) -> int:
        if kind == 2 and self._ways >= 0:  # all way points are one
            return self._ways
        self._segments.append((kind, len(self._parents) - 1))
        if kind == 2:
            self._ways = len(self._segments) - 1
        return len(self._segments) - 1

    def offer(self, rows: Rows) -> None:
        """Set the points of a block, from which runs are taken."""
        self._rows = rows
        self._of_rows = np.empty(len(rows.lon), dtype=np.int32)
        self._done = self._taken = 0

    def take(self, start: int, stop: int, segment: int) -> None:
        """Take a run of the block's points; they belong to a segment."""
        self._of_rows[start:stop] = segment
        self._taken = stop

    def put_away(self) -> None:
        """Store the points that were taken."""
        if self._rows is not None and self._taken > self._done:
            run = slice(self._done, self._taken)
            rows = self._rows
            time = self._moments(rows.time.slice(self._done, self._taken - self._done))
            if rows.unread is not None:
                self._unread += int(rows.unread[run].sum())
            self._keep(rows.lon[run], rows.lat[run], rows.altitude[run], time, self._of_rows[run])
            self._done = self._taken

    def convert(self) -> None:
        """Convert the collected text to numbers, after the points that were taken before."""
        import pyarrow as pa

        self.put_away()
        lon, lat, altitude = (reals(column) for column in self.text[:3])
        self._unread += int(np.isnan(altitude).sum()) - self.text[2].count("")
        time = self._moments(pa.array([text or None for text in self.text[3]], pa.string()))
        segment = np.array(self.text[4], dtype=np.int32)
        for column in self.text:
            column.clear()
        self._keep(lon, lat, altitude, time, segment)

    def _moments(self, times: pa.Array) -> Times:
        moments = cell_moments(times)
        self._senseless += moments.senseless
        self._zoneless += moments.zoneless
        return moments.time

    def _keep(self, *block: npt.NDArray[Any]) -> None:
        """Store points that have a position."""
        placed, left_out = positions.possible(block[0], block[1])
        if left_out:
            self._left_out.update(left_out)
            block = tuple(column[placed] for column in block)
        self._blocks.append(block)

    def points(self) -> Points:
        self.convert()
        lon, lat, altitude, time, segment = (np.concatenate(column) for column in zip(*self._blocks, strict=True))
        segments = [
            Segment(kind, parent, self._parents[parent] if kind < 2 and parent >= 0 else "")
            for kind, parent in self._segments
        ]
        return Points(
            lon, lat, altitude, time, segment, segments, [],
            dict(self._left_out + Counter({"without a fix": self.without_fix})),
            self._senseless, self._zoneless, self._unread,
        )  # fmt: skip


# Runs of points that a logger wrote in one form. Only their numbers differ, so one of them is a template:
# the other points repeat the text between its values byte by byte. The XML parser reads the template
# itself, with marks in place of its values; so this parser alone decides which value is the latitude,
# and whether the template is well-formed. A point that repeats the template, and whose values contain
# no XML markup, is then well-formed too, and its values are where the template's are.


class Finder:
    """
    Find points that repeat a template, block by block.

    Parameters
    ----------
    probe
        The parser that decides what the values of a point are.
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
            A block of the file, in any encoding that extends ASCII.

        Returns
        -------
        rows
            In the order of the block. Other points may lie between them.
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
        heights = texts.cell_reals(altitude)
        unread: Flags | None = None
        if np.count_nonzero(np.isnan(heights)) > altitude.null_count:
            unread = np.isnan(heights) & altitude.is_valid().to_numpy(zero_copy_only=False)
        lon, lat = texts.cell_reals(lon), texts.cell_reals(lat)
        return Rows(start, stop, _joined(block, start, stop), lon, lat, heights, time, unread)

    def _block(self, text: bytes) -> _Block | None:
        if not self._quote:
            found = _QUOTE.search(text)
            if found is None:
                return None
            self._quote = found[1]
        letters = np.frombuffer(text, dtype=np.uint8)
        # With zeros and marks after the block, no bounds have to be checked.
        padded = text + bytes(LONGEST_POINT + 8)
        words = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
        marks = np.flatnonzero((letters == ord("<")) | (letters == ord(self._quote)))
        # Comparing one letter is faster than eight, and most tags start with another letter.
        first = np.flatnonzero(np.frombuffer(padded, dtype=np.uint8)[marks + 1] == _POINT[1])
        first = first[_stands(words, marks[first], _POINT)]
        return _Block(text, words, np.concatenate([marks, np.full(_MOST_MARKS, len(text))]), first)

    def _learn(self, text: bytes, start: int) -> _Template | None:
        """Return a point as a template, or None where it cannot be one: it is unusual, or cut off."""
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


class Rows(NamedTuple):
    """Points of a block: where they start and stop, whether each directly follows the one before; times are texts."""

    start: Whole
    stop: Whole
    joined: Flags
    lon: Floats
    lat: Floats
    altitude: Floats
    time: pa.Array
    unread: Flags | None  # elevations that are no number


class _Template(NamedTuple):
    """The parts of a point."""

    literals: tuple[bytes, ...]  # the text before, between and after its values
    marks: tuple[int, ...]  # how many `<` and quotes of the point come before each of these texts
    values: tuple[int, ...]  # the literal that precedes lon, lat, elevation and time; -1 for none


class _Block(NamedTuple):
    """A block of the file, and where the `<` and the quotes in it are."""

    text: bytes
    words: Words  # the eight bytes from each byte on, as one number
    marks: Whole
    first: Whole  # for each <trkpt, its place among the marks


def _longer(slot: tuple[int, int]) -> bool:
    return slot[1] - slot[0] > _LONGEST_VALUE


def _slots(text: bytes, start: int, quote: bytes) -> list[tuple[int, int]] | None:
    """
    Return where the values of a point are, followed by the end of the point, twice.

    Values are the text between quotes, and text that is more than white space.
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
            # What kind of fix it is belongs to the template, so that points without one are parsed.
            if between[0].strip(_SPACE) and not found[0].endswith(b"fix>"):
                slots.append(between.span())
            at = between.end()
    return [(start + one, start + other) for one, other in [*slots, (at, at)]]


def _stands(words: Words, places: Whole, literal: bytes) -> Flags:
    """Return at which of the places a text is found."""
    same = np.ones(len(places), dtype=bool)
    for offset in range(0, len(literal), 8):
        piece = literal[offset : offset + 8]
        found = words[places + offset] if offset else words[places]
        if len(piece) < 8:
            found &= np.uint64((1 << 8 * len(piece)) - 1)
        same &= found == np.uint64(int.from_bytes(piece, "little"))
    return same


def _fill(template: _Template, block: _Block, rows: Whole, stop: Whole, spans: Whole) -> Whole:
    """Set the ends and the values of the points that repeat a template; return the other points."""
    if not len(rows):
        return rows
    first = block.first[rows]
    # The literal must be at the n-th mark of the point. No mark is left between it and the literal before,
    # since the value between them contains none.
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


def _clean(text: bytes, start: Whole) -> Flags:
    """
    Return which points contain only characters that are the same in every encoding and no XML markup.

    The parser handles references, the end of a CDATA section, control characters and everything else that is not ASCII.
    """
    letters = np.frombuffer(text, dtype=np.uint8)
    controls = letters < 32
    spaces = sum(np.count_nonzero(letters == space) for space in b"\t\r\n")
    if text.isascii() and b"&" not in text and b"]" not in text and np.count_nonzero(controls) == spaces:
        return np.ones(len(start), dtype=bool)
    controls &= (letters != 9) & (letters != 10) & (letters != 13)
    odd = np.flatnonzero(controls | (letters > 126) | (letters == ord("&")) | (letters == ord("]")))
    clean = np.ones(len(start) + 1, dtype=bool)
    clean[np.searchsorted(start, odd, side="right") - 1] = False  # the last one is for the text before all points
    return clean[:-1]


def _joined(block: _Block, start: Whole, stop: Whole) -> Flags:
    """Return which points follow the one before with nothing, or the usual white space, between."""
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
