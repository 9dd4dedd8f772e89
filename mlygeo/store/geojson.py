"""
Frames as GeoJSON, whole or a feature a line: coordinates to the last digit, and a description of the frame.

The description is a foreign member, which RFC 7946 allows: of the collection, or of the first feature where each
has a line of its own. Other programs pass over it. GDAL reads both.
"""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.store import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import geopandas as gpd
    from pyproj import CRS

FORM = columns.Form(name="GeoJSON", largest=2**53 - 1, infinite=False, ids_as_text=True, milliseconds=False)
"""Texts of times, ids as text: readers in JavaScript round whole numbers past 2^53."""

LINES = (".geojsonl", ".geojsons")
"""Endings of files with a feature a line."""

EMPTY = b'{"type": "FeatureCollection"'
"""How the only line of a file of lines begins that has no features."""

_STARTS = (f'{{"type": "FeatureCollection", "{columns.KEY}": ', f'{{"type": "Feature", "{columns.KEY}": ')

_LONGEST = 1 << 26
"""Longest description that is looked for, in bytes."""

_AT_ONCE = 10_000


def write(frame: gpd.GeoDataFrame, path: Path) -> None:
    """
    Write a frame in degrees.

    Parameters
    ----------
    frame
        The frame, in longitude and latitude.
    path
        The file; its ending tells whether each feature has a line.

    Raises
    ------
    FrameError
        If a column has values that GeoJSON cannot hold.
    """
    plain, description = columns.encode(frame, FORM, path.name)
    about = json.dumps(description, ensure_ascii=False)
    features = _features(frame, plain)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if path.suffix.lower() in LINES:
            first = next(features, None)
            if first is None:
                file.write(f'{_STARTS[0]}{about}, "features": []}}\n')
                return
            file.write(f"{_STARTS[1]}{about}, {first.removeprefix(_FEATURE)}\n")
            file.writelines(f"{feature}\n" for feature in features)
            return
        file.write(f'{_STARTS[0]}{about}, "features": [')
        separator = "\n"
        for feature in features:
            file.write(separator + feature)
            separator = ",\n"
        file.write("\n]}\n")


def description_of(path: Path) -> dict[str, Any] | None:
    """Return the description of a frame in a file; None where another program wrote the file."""
    with path.open("rb") as file:
        head = file.read(128)
        start = next((start for start in _STARTS if head.startswith(start.encode())), None)
        if start is None:
            return None
        # The description has no line breaks, and the first line of a file is short beside it.
        head += file.readline(_LONGEST)
    text = head.decode("utf-8", errors="replace")
    try:
        found, _ = json.JSONDecoder().raw_decode(text, len(start))
    except (ValueError, RecursionError):
        return None
    return columns.parse(json.dumps(found))


def named_crs(path: Path) -> tuple[bool, CRS | None]:
    """
    Return whether a file has a member `crs`, and the CRS that it names; None where it says that there is none.

    RFC 7946 has no such member, and without one coordinates are degrees; the format of 2008 has it. GDAL takes what
    it cannot read there for degrees, and would fetch a link.

    Raises
    ------
    FormatError
        If it names no CRS that is known.
    """
    found = [member for part in _outermost(path) for member in _members(part)]
    if not found:
        return False, None
    known = {None if member is None else _crs_of(member, path.name) for member in found}
    if len(known) > 1:
        raise FormatError(f"{path.name} names several CRS", hint="write each into a file of its own")
    return True, known.pop()


def _crs_of(member: Any, name: str) -> CRS:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    facts = member.get("properties") if isinstance(member, dict) else None
    facts = facts if isinstance(facts, dict) else {}
    kind = str(member.get("type")).lower() if isinstance(member, dict) else ""
    code = facts.get({"name": "name", "epsg": "code", "ogc": "urn"}.get(kind, ""))
    text = f"EPSG:{code}" if kind == "epsg" and isinstance(code, int) and not isinstance(code, bool) else code
    try:
        found = CRS.from_user_input(text) if isinstance(text, str) else None
    except (CRSError, ValueError, RecursionError):
        found = None
    if found is None:
        said = json.dumps(member, ensure_ascii=False)
        raise FormatError(
            f"{name} is in a CRS that is not known: {said if len(said) <= 80 else said[:79] + '…'}",
            hint="correct its member 'crs', such as EPSG:25832, or remove it if the coordinates are degrees",
        )
    return CRS.from_epsg(4326) if found.equals(CRS.from_epsg(4326), ignore_axis_order=True) else found


def _outermost(path: Path) -> Iterator[BinaryIO]:
    """Yield the objects of a file that may have a member `crs`: the whole, or each line of one of lines."""
    if not _has_any(path, _CRS):
        return
    if path.suffix.lower() in LINES:
        yield from (io.BytesIO(record) for record in records(path) if any(key in record for key in _CRS))
        return
    with path.open("rb") as file:
        yield file


_CRS = (b'"crs"', b'"CRS"')
"""The member as it is written, and as GDAL takes it, too."""

_PIECE = 1 << 20
"""Bytes of a file that are looked at at once. A map of the file would count as memory of the process."""

_LONGEST_CRS = 1 << 16
"""Bytes within which the member has to end."""

_LONGEST_ID = 1 << 12
"""Bytes within which the name of an id and the begin of its value stand, with the spaces between them."""


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _has_any(path: Path, words: Sequence[bytes]) -> bool:
    """Return whether any of these bytes stand in a file."""
    longest, rest = max(map(len, words)), b""
    for piece in _pieces(path):
        held = rest + piece
        if any(word in held for word in words):
            return True
        rest = held[1 - longest :] if longest > 1 else b""
    return False


def _members(file: BinaryIO) -> Iterator[Any]:
    """Yield the values of the outermost members `crs` of a JSON object."""
    decoder = json.JSONDecoder()
    for found in _at_depth(file, _CRS, (1,), _LONGEST_CRS):
        rest = found[len(_CRS[0]) :].decode("utf-8", errors="replace").lstrip()
        if not rest.startswith(":"):
            continue
        text = rest[1:].lstrip()
        try:
            yield decoder.raw_decode(text)[0]
        except (ValueError, RecursionError):
            yield text[:80]


def _at_depth(file: BinaryIO, names: tuple[bytes, ...], wanted: Sequence[int], longest: int) -> Iterator[bytes]:
    """
    Yield names of members that so many brackets enclose, with what follows: so many bytes at most.

    A feature may have a property of that name, so brackets outside of texts are counted, piece by piece, as arrays.
    """
    depth, in_text, held, ahead = 0, 0, file.read(_PIECE), b""
    while held:
        # What a backslash stands before belongs to it.
        while held.endswith(b"\\") and (ahead := ahead or file.read(_PIECE)):
            whole = len(ahead) - len(ahead.lstrip(b"\\")) + 1
            held, ahead = held + ahead[:whole], ahead[whole:]
        ahead += file.read(max(_PIECE, longest) - len(ahead))
        letters = np.frombuffer(held.replace(b"\\\\", b"__").replace(b'\\"', b"__"), dtype=np.uint8)
        is_quote = letters == ord('"')
        # Odd numbers of quotes enclose texts; they may wrap.
        within = (np.cumsum(is_quote, dtype=np.uint8) + np.uint8(in_text)) % 2 == 1
        steps = np.zeros(len(letters), dtype=np.int8)
        steps[(letters == ord("{")) | (letters == ord("["))] = 1
        steps[(letters == ord("}")) | (letters == ord("]"))] = -1
        steps[within] = 0
        depths = np.cumsum(steps, dtype=np.int32) + np.int32(depth)
        opens = np.flatnonzero(is_quote & within)
        both = held + ahead[:longest]
        for place in opens[np.isin(depths[opens], wanted)].tolist():
            if both.startswith(names, place):
                yield both[place : place + longest]
        depth, in_text = int(depths[-1]), int(within[-1])
        held, ahead = ahead[:_PIECE], ahead[_PIECE:]


Verdict: TypeAlias = Literal["kept", "removed", "texts"]

_IDS = re.compile(rb'"id"\s*:\s*(?:-?[0-9]|"0")')
"""An id that is a number, or that may be the first of a count of rows."""


def with_ids(path: Path) -> bytes | None:
    """
    Return a file with the whole numbers that are ids of its features as text, which GDAL reads as a column `id`.

    GDAL takes numbers for those of rows, and drops them. Ids that just count the rows, as GDAL and GeoPandas write
    them, are none, and are removed.

    Parameters
    ----------
    path
        A file of another program.

    Returns
    -------
    content
        None where nothing is to be changed: without such ids, with a property `id`, which counts before them, and of
        a file that is not JSON.
    """
    if not may_have_ids(path):
        return None
    is_lines = path.suffix.lower() in LINES
    if is_lines:
        found: Any = [_loaded(record) or record for record in records(path)]
        features = [feature for feature in found if isinstance(feature, dict)]
    else:
        with path.open("rb") as file:
            if not _has_ids(file, (1, 3)):
                return None
        found = _loaded(path.read_bytes()) or {}
        features = found.get("features") if found.get("type") == "FeatureCollection" else [found]
        if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
            return None
    ids = Ids()
    for feature in features:
        ids.add(feature)
    if ids.verdict == "kept":
        return None
    for feature in features:
        change(feature, ids.verdict)
    if is_lines:
        return b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in found)
    return json.dumps(found).encode()


class Ids:
    """What is to be done with the ids of all features, by one after another; see `with_ids`."""

    def __init__(self) -> None:
        self.features = 0
        self.has_property = self._has_number = self._has_truth = False
        self._counts = {"texts", "from 0", "from 1"}

    def add(self, feature: dict[str, Any]) -> None:
        """Take a further feature into account."""
        id_, row = feature.get("id"), self.features
        self.features += 1
        if isinstance(properties := feature.get("properties"), dict) and "id" in properties:
            self.has_property = True
        self._has_number = self._has_number or type(id_) in {int, float}
        self._has_truth = self._has_truth or isinstance(id_, bool)
        if self._counts:
            expected = {"texts": str(row), "from 0": row, "from 1": row + 1}
            self._counts = {kind for kind in self._counts if id_ == expected[kind]}

    @property
    def verdict(self) -> Verdict:
        """Whether they are kept as they are, removed, or made texts of."""
        if not self.features or self.has_property:
            return "kept"
        if self._counts and not self._has_truth:
            return "removed"
        return "texts" if self._has_number else "kept"


def change(feature: dict[str, Any], verdict: Verdict) -> bool:
    """Change the id of a feature; return whether there was something to change."""
    id_ = feature.get("id")
    if verdict == "removed":
        del feature["id"]
        return True
    if verdict == "kept" or type(id_) not in {int, float}:
        return False
    feature["id"] = str(int(id_) if isinstance(id_, float) and id_.is_integer() else id_)
    return True


def may_have_ids(path: Path) -> bool:
    """Return whether anything in a file, be it a property, has an id that `with_ids` may change."""
    rest = b""
    for piece in _pieces(path):
        held = rest + piece
        if _IDS.search(held):
            return True
        rest = held[-_LONGEST_ID:]
    return False


def _has_ids(file: BinaryIO, depths: Sequence[int]) -> bool:
    """Return whether an object has such an id within so many brackets."""
    return any(_IDS.match(found) for found in _at_depth(file, (b'"id"',), depths, _LONGEST_ID))


def _loaded(content: bytes) -> dict[str, Any] | None:
    """Return a JSON object; None where it is something else, of which GDAL says what is wrong."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def collected(path: Path) -> bytes:
    """Return the features of a file with a line each as one collection, of which GDAL reads texts as they are."""
    return b"".join(_collected(path))


def _collected(path: Path) -> Iterator[bytes]:
    separator = b""
    yield b'{"type": "FeatureCollection", "features": ['
    for line in records(path):
        if not line.startswith(EMPTY):
            yield separator + line
            separator = b","
    yield b"]}"


def count_records(path: Path) -> int:
    """Return how many features a file with a line each should have: what stands in its lines, or between separators."""
    return sum(1 for _ in records(path))


def begins_with_feature(path: Path) -> bool:
    """Return whether the first line of a file, or what stands before its first separator, is a feature."""
    return (_loaded(next(records(path), b"")) or {}).get("type") == "Feature"


def records(path: Path) -> Iterator[bytes]:
    """Yield the texts of a file with a line each, or with separators (RFC 8142) before them."""
    separator = b"\x1e" if _has_any(path, [b"\x1e"]) else b"\n"
    rest = b""
    for piece in _pieces(path):
        *whole, rest = (rest + piece).split(separator)
        yield from filter(None, map(bytes.strip, whole))
    if rest := rest.strip():
        yield rest


_ENCODER = json.JSONEncoder(ensure_ascii=False)
"""What `json.dumps` would make anew for every value."""

_FEATURE = '{"type": "Feature", '


def _features(frame: gpd.GeoDataFrame, plain: dict[str, Any]) -> Iterator[str]:
    """Yield the features as JSON, in the order of the rows."""
    import shapely

    geometry = np.asarray(frame.geometry.values)
    gone = shapely.is_missing(geometry) | columns.are_nowhere(geometry)
    names = [f"{json.dumps(name, ensure_ascii=False)}: " for name in plain]
    for start in range(0, len(frame), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        shapes: Any = geometry[part].copy()
        shapes[gone[part]] = None
        shapes = shapely.to_geojson(shapes)
        cells = [_cells(values.iloc[part]) for values in plain.values()]
        for shape, *row in zip(shapes, *cells, strict=True):
            properties = ", ".join(name + cell for name, cell in zip(names, row, strict=True))
            yield f'{_FEATURE}"properties": {{{properties}}}, "geometry": {shape or "null"}}}'


def _cells(values: Any) -> list[str]:
    """Return the values of a column as JSON."""
    gone = values.isna().to_numpy()
    if values.dtype.kind in "iuf" and not gone.any():
        return [repr(value) for value in values.tolist()]
    return ["null" if null else _ENCODER.encode(value) for value, null in zip(values.tolist(), gone, strict=True)]
