"""Files with the number of points of each stratum -> a dict."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import places
from mlygeo.errors import FileError, FormatError, unreadable

if TYPE_CHECKING:
    import os

LARGEST_BYTES = 64 << 20
"""Far more than a line for each stratum of any sample."""


def read(path: str | os.PathLike[str]) -> dict[str, int]:
    """
    Return the number of points of each stratum.

    Parameters
    ----------
    path
        A table with the columns `stratum` and `n` (.csv), or an object of numbers by name (.json); UTF-8.

    Raises
    ------
    FileError
        If the file cannot be read.
    FormatError
        If it is neither, a stratum stands in it twice, or a number is not a whole one.
    """
    path = Path(path).expanduser()
    try:
        content = places.content_of(path, LARGEST_BYTES)
    except OSError as error:
        raise FileError(
            f"`allocation`: {unreadable(path, error)}",
            hint="it is proportional, equal, or a file of the number of points by stratum",
        ) from error
    if len(content) > LARGEST_BYTES:
        raise FormatError(f"{path.name} is too large for a file of the number of points by stratum")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path.name} is not text in UTF-8") from error
    pairs = _of_object(text, path) if path.suffix.lower() == ".json" else _of_table(text, path)
    found: dict[str, int] = {}
    for name, number in pairs:
        if name in found:
            raise FormatError(f"{path.name} has the stratum {name!r} twice")
        try:
            found[name] = int(number)
        except ValueError as error:
            raise FormatError(f"{path.name}: stratum {name!r} is to get {number!r} points, no whole number") from error
    if not found:
        raise FormatError(f"{path.name} has no stratum")
    return found


def _of_object(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        found = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(each, tuple) for each in found):
        raise FormatError(f'{path.name} is not an object of numbers by stratum, such as {{"residential": 40}}')
    return [(name, str(number)) for name, number in found]


def _of_table(text: str, path: Path) -> list[tuple[str, str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except csv.Error as error:
        raise FormatError(f"{path.name} is not CSV: {error}") from error
    columns = [name.strip() for name in rows[0]] if rows else []
    if not {"stratum", "n"} <= {*columns}:
        raise FormatError(
            f"{path.name} has no columns 'stratum' and 'n'", hint="the first line names the columns: stratum,n"
        )
    stratum, number = columns.index("stratum"), columns.index("n")
    if any(len(row) <= max(stratum, number) for row in rows):
        raise FormatError(f"{path.name} has rows with too few columns")
    return [(row[stratum].strip(), row[number].strip()) for row in rows[1:]]
