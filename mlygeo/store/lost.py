"""What GDAL loses of a file in silence: the ends of a shapefile's names, and points of a GPX file."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.progress import counted
from mlygeo.schemas import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.arrays import Bytes, Flags

log = logging.getLogger("mlygeo.store")

NO_POSITION = "points without latitude and longitude"
"""Reason for which points of a GPX file are left out."""

_LETTERS = 10
"""The longest name of a column in a shapefile."""

_POINTS = {"waypoints": "wpt", "track_points": "trkpt", "route_points": "rtept"}
_LINES = {"tracks": "trkpt", "routes": "rtept"}
"""The elements of the points in the layers that GDAL makes of a GPX file."""

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
_ODD_POSITION = re.compile(rb"\b(?:lat|lon)\s*=\s*(?![\"']" + _NUMBER.pattern.encode() + rb"[\"'])")


def whole_names(fields: list[str], file: str) -> dict[str, str]:
    """
    Return the columns of a shapefile by their names; those of frames that it cuts at ten letters are restored.

    Where a name may be one of a frame or another, it stays as it is; a warning names both kinds.

    Parameters
    ----------
    fields
        Names of the columns in the file.
    file
        Name of the file.
    """
    known: dict[str, set[str]] = {}
    for name in {column.name for schema in SCHEMAS.values() for column in schema.columns}:
        if len(name) > _LETTERS:
            known.setdefault(name[:_LETTERS], set()).add(name)
    names, restored, doubtful = {}, [], []
    for field in fields:
        meant = sorted(known.get(field, set()))
        # Of names that begin alike GDAL numbers the second one: nobody knows which of them was cut.
        stems = re.escape(field[: _LETTERS - 2]), re.escape(field[: _LETTERS - 3])
        numbered = re.compile(rf"{stems[0]}_\d|{stems[1]}_\d\d")
        is_sure = len(meant) == 1 and not any(numbered.fullmatch(other) for other in fields)
        names[meant[0] if is_sure else field] = field
        if is_sure:
            restored.append(f"{field} is read as {meant[0]}")
        elif meant:
            doubtful.append(f"{field} may be {' or '.join(meant)}")
    if restored or doubtful:
        log.warning("%s: its format cuts names at ten letters: %s", file, ", ".join(restored + doubtful))
    return names


def with_sound_points(found: gpd.GeoDataFrame, path: Path, layer: str) -> gpd.GeoDataFrame:
    """
    Return the rows of a layer of a GPX file whose points have a latitude and a longitude; the others are counted.

    GDAL passes over a point without them, and reads one whose numbers are none as 0.

    Parameters
    ----------
    found
        The rows as GDAL reads them.
    path
        The file.
    layer
        Name of the layer.

    Raises
    ------
    FormatError
        If a line goes through such a 0.
    """
    sound = sound_points(path, layer, len(found))
    if sound is None:
        return found
    attrs = {**found.attrs, "left_out": {**found.attrs.get("left_out", {}), NO_POSITION: sound.lost}}
    if sound.rows is not None:
        found = found[sound.rows].reset_index(drop=True)
    found.attrs = attrs
    return found


class Sound(NamedTuple):
    """Which rows of a layer of a GPX file have a position, None where all that GDAL reads; and the points without."""

    rows: Flags | None
    lost: int


def sound_points(path: Path, layer: str, rows: int) -> Sound | None:
    """
    Return which rows of a layer of a GPX file have a latitude and a longitude, in memory of a byte for each point.

    Parameters
    ----------
    path
        The file.
    layer
        Name of the layer.
    rows
        The rows that GDAL reads of it.

    Returns
    -------
    sound
        None where nothing is lost. A warning counts the points that are.

    Raises
    ------
    FormatError
        If a line goes through such a point.
    """
    element = _POINTS.get(layer) or _LINES[layer]
    if layer in _POINTS and _plain_points(path, element) == rows:
        return None
    points = _sound(path, element)
    lost = len(points) - int(np.count_nonzero(points == _GOOD))
    if not lost:
        return None
    kept = points[points != _MISSING] == _GOOD
    if layer in _LINES and not kept.all():
        raise FormatError(
            f"{path.name}: {layer} have points whose latitude or longitude is not a number",
            hint="correct or remove them",
        )
    log.warning("%s: %s left out, without latitude and longitude", path.name, counted(lost, "point"))
    return Sound(kept if layer in _POINTS and len(kept) == rows else None, lost)


_GOOD, _MISSING, _ODD = 0, 1, 2
"""A point with two numbers, one of which a number is missing, and one with something else."""

_PIECE = 1 << 20
"""Bytes of a file that are looked at at once."""

_LONGEST = 1 << 24
"""Bytes without a tag after which a file is read as XML."""


def _plain_points(path: Path, element: str) -> int | None:
    """Return how many points a file has; None where some may have no position, or are written in another way."""
    start, rest, points = f"<{element}".encode(), b"", 0
    with path.open("rb") as file:
        while True:
            piece = file.read(_PIECE)
            held = rest + piece
            # A tag has no other within.
            end = held.rfind(b"<") if piece else len(held)
            whole, rest = held[: max(end, 0)], held[max(end, 0) :]
            found = whole.count(start)
            if found != whole.count(start + b" ") or _ODD_POSITION.search(whole) or len(rest) > _LONGEST:
                return None
            points += found
            if not piece:
                return points


def _sound(path: Path, element: str) -> Bytes:
    """Return what each point of a GPX file has."""
    from xml.parsers import expat

    sound = bytearray()

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == element:
            texts = [attributes.get(key) for key in ("lat", "lon")]
            is_good = all(text is not None and _NUMBER.fullmatch(text) for text in texts)
            sound.append(_MISSING if None in texts else _GOOD if is_good else _ODD)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    with suppress(expat.ExpatError), path.open("rb") as file:  # what is behind a fault, GDAL has not read either
        parser.ParseFile(file)
    return np.frombuffer(sound, dtype=np.uint8)
