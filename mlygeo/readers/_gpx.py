"""
GPX -> points, in one pass over the file, in bounded memory.

expat parses the file. Where long runs of plain track points stand in it, of the form that nearly all
loggers write, one regular expression takes them out, and expat gets what is left; that is more than
twice as fast, and gives the same points, since such a run is well-formed in itself.

Nothing outside the file is ever opened, and a file that declares entities is refused: GPX needs none, and
they are how a small file is made to fill the memory. Format: GPX 1.0 and 1.1 (topografix.com); namespaces
and prefixes are passed over, since loggers write them wrongly more often than anything else.
"""

from __future__ import annotations

import math
import re
import zlib
from contextlib import suppress
from gzip import BadGzipFile
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from xml.parsers import expat

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.readers._photo_values import clock_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedIOBase

    import numpy.typing as npt

KINDS = ("track", "route", "waypoint")

BLOCK = 1 << 20
"""Bytes parsed at a time."""

GATHERED = 1 << 16
"""Points whose text is gathered before it is turned into numbers."""

LONGEST_TEXT = 256
"""Characters of a time, an elevation or a name that are kept."""

_POINTS = {"trkpt": 0, "rtept": 1, "wpt": 2}
_PARENTS = {"trk": 0, "rte": 1}
# A plain track point: its two attributes, elevation, time, and elements with nothing but ASCII text in them.
_LEAVES = r"(?:<(?!ele>|time>)(?P<leaf>[a-z]+)>[\t -%'-;=?-~]*</(?P=leaf)>\s*)*"
_REST = rf"\s*>\s*(?:<ele>([0-9eE+. -]*)</ele>\s*)?(?:<time>([0-9TZ:+. -]*)</time>\s*)?{_LEAVES}</trkpt>[ \t\r\n]*"
_PLAIN = {
    order: re.compile(rf'<trkpt\s+{order[:3]}="([0-9eE+. -]*)"\s+{order[3:]}="([0-9eE+. -]*)"{_REST}', re.ASCII)
    for order in ("latlon", "lonlat")
}
_ORDER = re.compile(rb"<trkpt\s+(lat|lon)=")
_INVALID_TOKEN = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]


_Take: TypeAlias = "Callable[[list[str], list[str], list[str | None], list[str | None]], None]"


class Points(NamedTuple):
    """Points in the order of the file, each with the number of its segment, and what those are called."""

    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    altitude: npt.NDArray[np.float64]
    time: npt.NDArray[np.datetime64]
    segment: npt.NDArray[np.int32]
    segments: list[Segment]
    problems: list[str]


class Segment(NamedTuple):
    """A track segment, a route, or the way points."""

    kind: int
    parent: int
    name: str


class _Damage(NamedTuple):
    """Where and why a file could not be read to its end."""

    what: str
    invalid_token: bool = False


class _RefusedError(Exception):
    """The file declares entities."""


class _NotPlainError(Exception):
    """The file is not of the form that can be read without parsing all of it."""


def read(open_file: Callable[[], BufferedIOBase], name: str) -> Points:
    """
    Read the points of a GPX file.

    Parameters
    ----------
    open_file
        Opens the file, inflated; a second time where its encoding was not the one it claims.
    name
        What the file is called in messages.

    Returns
    -------
    points
        Arrays `lon`, `lat`, `altitude` (float64, NaN when unknown), `time` (datetime64[us], UTC),
        and `segment` (int32), the row in `segments`. `problems` tells what was left out.

    Raises
    ------
    FormatError
        If this is no GPX file, or one that declares entities.
    """
    points = damage = None
    with suppress(_NotPlainError):
        points, damage = _parse(open_file, None, name, plain=True)
    if points is None or damage is not None:
        # Comments may hide what looks like points; and where runs were taken out expat cannot tell the line.
        points, damage = _parse(open_file, None, name)
    if damage is not None and damage.invalid_token:
        # Names in Latin-1 in a file that claims UTF-8, or claims nothing.
        again, second = _parse(open_file, "iso-8859-1", name)
        if second is None or len(again.lon) > len(points.lon):
            points, damage = again, second
            points.problems.append("its text is not UTF-8 and was read as Latin-1")
    if damage is not None:
        if not len(points.lon):
            raise FormatError(f"{name} is no GPX file, or a damaged one ({damage.what})")
        points.problems.append(f"it is damaged ({damage.what}); the {len(points.lon):,} points before that were kept")
    return points


def _parse(
    open_file: Callable[[], BufferedIOBase], encoding: str | None, name: str, *, plain: bool = False
) -> tuple[Points, _Damage | None]:
    gathered = _Gathered()
    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    take = _attach(parser, gathered)
    damage = None
    try:
        with open_file() as file:
            # White space before the declaration is not allowed, and common.
            block = file.read1(BLOCK).lstrip(b" \t\r\n")
            order = _ORDER.search(block) if plain else None
            if order is not None:
                block = _parse_plain(parser, take, file, block, "latlon" if order[1] == b"lat" else "lonlat")
            while block:
                parser.Parse(block, False)
                block = file.read1(BLOCK)
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        reason = expat.errors.messages.get(error.code, "not well-formed")
        damage = _Damage(f"line {error.lineno}: {reason}", invalid_token=error.code == _INVALID_TOKEN)
    except (EOFError, zlib.error, BadGzipFile) as error:
        damage = _Damage(f"its gzip is broken: {error}")
    except _RefusedError as error:
        raise FormatError(
            f"{name} declares entities, which no GPX file needs and which can fill the memory",
            hint="do not trust this file; a track exported anew has none",
        ) from error
    except (LookupError, ValueError) as error:
        raise FormatError(f"{name} is in an encoding that is not known ({error})") from error
    if gathered.root.lower() != "gpx" and (damage is None or gathered.root):
        raise FormatError(f"{name} is XML, but no GPX file (it starts with <{gathered.root}>)")
    return gathered.points(), damage


def _parse_plain(parser: expat.XMLParserType, take: _Take, file: BufferedIOBase, block: bytes, order: str) -> bytes:
    """
    Parse a file as long as it consists of plain track points; return what expat shall go on with.

    What stands between the points goes to expat, so that nothing escapes it. Where that is anything but
    elements (a comment, CDATA, a declaration), or points stand where none should, this is given up.
    """
    pattern = _PLAIN[order]
    head = True
    while block:
        more = file.read1(BLOCK)
        # Six parts for each point: what stands before it, four values by order, and the last leaf's name.
        parts = pattern.split(block.decode("latin-1"))
        between = parts[::6]
        if len(between) < 2:
            return block + more
        # The last part may go on in the next block.
        between[-1], tail = ("", between[-1]) if more else (between[-1], "")
        lon, lat = (parts[2::6], parts[1::6]) if order == "latlon" else (parts[1::6], parts[2::6])
        ele, time = parts[3::6], parts[4::6]
        start = 0
        for stop in [number for number, text in enumerate(between) if text]:
            take(lon[start:stop], lat[start:stop], ele[start:stop], time[start:stop])
            text = between[stop]
            declared = head and text.startswith("<?xml ") and text.count("<?") == 1
            if "<!" in text or ("<?" in text and not declared):
                raise _NotPlainError
            parser.Parse(text.encode("latin-1"), False)
            start, head = stop, False
        take(lon[start:], lat[start:], ele[start:], time[start:])
        block, head = tail.encode("latin-1") + more, False
    return b""


def _attach(parser: expat.XMLParserType, gathered: _Gathered) -> _Take:
    """
    Set the handlers, and return what takes track points that need no parsing.

    They run millions of times: closures over local names, and no more than needed.
    """
    short: dict[str, str] = {}
    lon, lat, ele, time, segment = gathered.text
    pieces: list[str] = []
    depth = 0
    inside = parent = -1  # depths of the point, and of the track or route, that we are in
    kind, current = -1, 0  # of the segment that the last point lies in
    x = y = z = t = ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth, inside, parent, kind, current, x, y, z, t
        depth += 1
        local = short.get(name)
        if local is None:
            local = short[name] = name.rpartition(":")[2]
        if inside >= 0:
            if depth == inside + 1 and local in ("ele", "time"):
                pieces.clear()
                parser.CharacterDataHandler = pieces.append
        elif local in _POINTS:
            inside = depth
            x, y, z, t = attributes.get("lon", ""), attributes.get("lat", ""), "", ""
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
        nonlocal depth, inside, parent, kind, z, t
        if inside >= 0:
            if depth == inside + 1:
                local = short[name]
                if local in ("ele", "time"):
                    parser.CharacterDataHandler = None
                    text = pieces[0] if len(pieces) == 1 else "".join(pieces)
                    if local == "ele":
                        z = text[:LONGEST_TEXT]
                    else:
                        t = text[:LONGEST_TEXT]
            elif depth == inside:
                inside = -1
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

    def take(lons: list[str], lats: list[str], eles: list[str | None], times: list[str | None]) -> None:
        nonlocal kind, current
        if not lons:
            return
        if inside >= 0 or depth < 1 or parser.CharacterDataHandler is not None:
            raise _NotPlainError
        if kind != 0:
            kind, current = 0, gathered.begin_segment(0)
        lon.extend(lons)
        lat.extend(lats)
        ele.extend([value or "" for value in eles])
        time.extend([value or "" for value in times])
        segment.extend([current] * len(lons))
        if len(lon) >= GATHERED:
            gathered.convert()

    def refuse(*_: object) -> None:
        raise _RefusedError

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.EntityDeclHandler = refuse
    return take


class _Gathered:
    """Points as text, turned into numbers in blocks."""

    def __init__(self) -> None:
        self.text: tuple[list[str], list[str], list[str], list[str], list[int]] = ([], [], [], [], [])
        self.root = ""
        self._blocks: list[tuple[npt.NDArray[Any], ...]] = []
        self._segments: list[tuple[int, int]] = []
        self._parents: list[str] = []
        self._ways = -1
        self._unplaced = self._senseless = 0

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

    def convert(self) -> None:
        """Turn the text gathered into numbers, and leave out points without a position."""
        lon, lat, altitude = (reals(texts) for texts in self.text[:3])
        time, senseless = moments(self.text[3])
        segment = np.array(self.text[4], dtype=np.int32)
        for texts in self.text:
            texts.clear()
        placed = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
        self._senseless += senseless
        block: tuple[npt.NDArray[Any], ...] = (lon, lat, altitude, time, segment)
        if not placed.all():
            self._unplaced += int((~placed).sum())
            block = tuple(column[placed] for column in block)
        self._blocks.append(block)

    def points(self) -> Points:
        self.convert()
        lon, lat, altitude, time, segment = (np.concatenate(column) for column in zip(*self._blocks, strict=True))
        problems = []
        if self._unplaced:
            problems.append(f"{self._unplaced:,} points without a position were left out")
        if self._senseless:
            problems.append(f"{self._senseless:,} points have a time that is none")
        segments = [
            Segment(kind, parent, self._parents[parent] if kind < 2 and parent >= 0 else "")
            for kind, parent in self._segments
        ]
        return Points(lon, lat, altitude, time, segment, segments, problems)


def reals(texts: list[str]) -> npt.NDArray[np.float64]:
    """Return numbers; NaN where a text is none."""
    import pyarrow as pa

    if not any(texts):
        return np.full(len(texts), np.nan)
    try:
        numbers: npt.NDArray[np.float64] = pa.array(texts, pa.string()).cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:  # an empty text, spaces, or none at all: Python tells which
        numbers = np.fromiter(map(_real, texts), np.float64, len(texts))
    return numbers


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def moments(texts: list[str]) -> tuple[npt.NDArray[np.datetime64], int]:
    """Return times in UTC, and how many are none although something stands there. Without a zone they are UTC."""
    import pandas as pd

    given = np.fromiter(map(bool, texts), bool, len(texts))
    if not given.any():
        return np.full(len(texts), "NaT", dtype="datetime64[us]"), 0
    parsed = pd.to_datetime(pd.Series(texts, dtype="str"), format="ISO8601", utc=True, errors="coerce")
    times = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    for row in np.flatnonzero(np.isnat(times) & given).tolist():
        times[row] = _odd_time(texts[row])
    return times, int((np.isnat(times) & given).sum())


def _odd_time(text: str) -> np.datetime64:
    """Return a time that pandas does not read: 24:00, the 60th second of a leap minute, dates with one digit."""
    found = clock_time(text)
    return np.datetime64("NaT") if found is None else np.datetime64(found[0], "us")
