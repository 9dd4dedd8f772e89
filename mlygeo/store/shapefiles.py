"""
Whether all of a shapefile is there: GDAL reads what there is of a cut one, and loses the rest in silence.

Specification: https://www.esri.com/content/dam/esrisites/sitecore-archive/Files/Pdfs/library/whitepapers/pdfs/shapefile.pdf
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mlygeo.errors import FileError, FormatError, unreadable

if TYPE_CHECKING:
    from pathlib import Path

HINT = "copy all files of the shapefile: .shp, .shx, .dbf and .prj"

_HEAD, _RECORD = 100, 8
"""Bytes of the head of .shp and .shx, and of a record of .shx."""

_CODE = 9994
"""What .shp and .shx begin with."""


def beside(path: Path, ending: str) -> Path | None:
    """Return the file of a shapefile with another ending, in small or capital letters; None where there is none."""
    return next((file for each in (ending, ending.upper()) if (file := path.with_suffix(each)).is_file()), None)


def check(path: Path) -> None:
    """
    Check that a shapefile has its index, that no file is shorter than it says, and that each shape has its row.

    Parameters
    ----------
    path
        The file ending in .shp. One that is no shapefile, or an empty one, is left to GDAL, which says so.

    Raises
    ------
    FormatError
        If something is missing.
    FileError
        If a file cannot be read.
    """
    index, table = beside(path, ".shx"), beside(path, ".dbf")
    if index is None:
        raise FormatError(f"{path.name} cannot be read without {path.stem}.shx beside it", hint=HINT)
    said = [_length(file) for file in (path, index)]
    if None in said:
        return
    _must_have(path, said[0])
    _must_have(index, said[1])
    if table is None:
        return
    head = _head(table)
    if len(head) < 32:
        raise FormatError(f"{table.name} is cut off: it has {len(head)} bytes", hint=HINT)
    rows, before, row = struct.unpack_from("<IHH", head, 4)
    _must_have(table, before + rows * row)
    shapes = ((said[1] or 0) - _HEAD) // _RECORD
    if shapes != rows:
        raise FormatError(f"{path.name} has {shapes:,} shapes, and {table.name} {rows:,} rows", hint=HINT)


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_HEAD)
    except OSError as error:
        raise FileError(unreadable(file, error)) from error


def _length(file: Path) -> int | None:
    """Return the bytes that .shp or .shx says it has; None where it is none."""
    head = _head(file)
    if len(head) < _HEAD or struct.unpack_from(">i", head)[0] != _CODE:
        return None
    words: int = struct.unpack_from(">I", head, 24)[0]
    return 2 * words


def _must_have(file: Path, said: int | None) -> None:
    found = file.stat().st_size
    if said is not None and found < said:
        raise FormatError(f"{file.name} is cut off: it has {found:,} of {said:,} bytes", hint=HINT)
