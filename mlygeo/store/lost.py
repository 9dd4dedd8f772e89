"""What GDAL loses of a file in silence: the ends of a shapefile's names, and points of a GPX file."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.progress import counted
from mlygeo.schemas import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

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
    element = _POINTS.get(layer) or _LINES[layer]
    content = path.read_bytes()
    plain = content.count(f"<{element} ".encode())
    is_plain = plain == content.count(f"<{element}".encode()) and not _ODD_POSITION.search(content)
    if is_plain and layer in _POINTS and plain == len(found):
        return found
    sound = _sound(content, element)
    lost = sum(one is not True for one in sound)
    if not lost:
        return found
    kept = np.array([one for one in sound if one is not None], dtype=bool)
    if layer in _LINES and not kept.all():
        raise FormatError(
            f"{path.name}: {layer} have points whose latitude or longitude is not a number",
            hint="correct or remove them",
        )
    attrs = {**found.attrs, "left_out": {**found.attrs.get("left_out", {}), NO_POSITION: lost}}
    if layer in _POINTS and len(kept) == len(found):
        found = found[kept].reset_index(drop=True)
    found.attrs = attrs
    log.warning("%s: %s left out, without latitude and longitude", path.name, counted(lost, "point"))
    return found


def _sound(content: bytes, element: str) -> list[bool | None]:
    """Return which points of a GPX file have two numbers; None where one is missing."""
    from xml.parsers import expat

    sound: list[bool | None] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2] == element:
            texts = [attributes.get(key) for key in ("lat", "lon")]
            sound.append(None if None in texts else all(_NUMBER.fullmatch(str(text)) for text in texts))

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    with suppress(expat.ExpatError):  # what is behind a fault, GDAL has not read either
        parser.Parse(content, True)
    return sound
