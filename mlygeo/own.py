"""
Files that runs write under names of their own into a user's folder: which of those that are there they may replace.

A file is ours if its content says so. Another of such a name belongs to the user, and is never replaced.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    Recognised = Callable[[Path], bool]

LONGEST_SUMMARY = 64 << 20
"""Bytes; a longer file of JSON is not a summary."""

LOOKED_AT = 1 << 16
"""Bytes of a text that are looked at."""


def refuse_others(folder: Path, files: Mapping[str, Recognised]) -> None:
    """
    Raise if a file is there that a run would replace, and that no run has written.

    Parameters
    ----------
    folder
        The folder; it may be missing.
    files
        The names of the files, and what tells whether one is ours.

    Raises
    ------
    FileError
        Naming the first such file.
    """
    for name, is_ours in files.items():
        path = folder / name
        try:
            is_there = path.exists()
            if not is_there or (path.is_file() and is_ours(path)):
                continue
        except OSError as error:
            raise FileError(f"{path}: {error.strerror or error}") from error
        raise other(path)


def other(path: Path) -> FileError:
    """Return the error for a file that is the user's own."""
    return FileError(
        f"{path} was not written by an earlier run, which would write a file of this name",
        hint="give another place as `output`, or move that file",
    )


def none(_: Path) -> bool:
    """Return that a file is none of ours."""
    return False


def of_run(path: Path) -> bool:
    """Return whether a frame (GeoParquet) or a summary (JSON) names the run that it is of."""
    if path.suffix == ".parquet":
        return isinstance(_attrs(path).get("run"), str)
    content = _json(path)
    return isinstance(content, dict) and {"run", "version"} <= content.keys()


def beside(*names: str) -> Recognised:
    """Return what takes a file as ours if one of these beside it is of a run."""
    return lambda path: any(of_run(path.with_name(name)) for name in names if path.with_name(name).is_file())


def columns(names: Iterable[str]) -> Recognised:
    """Return what takes a frame (GeoParquet) as ours that has these columns."""
    wanted = set(names)
    return lambda path: wanted <= set(_schema_names(path))


def attrs(name: str) -> Recognised:
    """Return what takes a frame (GeoParquet) as ours whose `attrs` have a member of this name."""
    return lambda path: name in _attrs(path)


def made_by(function: str) -> Recognised:
    """Return what takes a frame (GeoParquet) as ours whose record names this function."""

    def is_ours(path: Path) -> bool:
        record = _attrs(path).get("record")
        return isinstance(record, dict) and record.get("command") == function

    return is_ours


def lines(pattern: str) -> Recognised:
    """Return what takes a text as ours of which all lines are of this form; see `re.fullmatch`."""
    form = re.compile(pattern)

    def are_ours(path: Path) -> bool:
        with path.open("rb") as file:
            text = file.read(LOOKED_AT)
        *whole, rest = text.split(b"\n")
        if len(text) < LOOKED_AT and rest:
            return False  # our last lines end
        try:
            return all(form.fullmatch(line.decode()) for line in whole)
        except UnicodeDecodeError:
            return False

    return are_ours


def keys(*names: str) -> Recognised:
    """Return what takes a JSON object as ours that has these members."""
    wanted = set(names)

    def is_ours(path: Path) -> bool:
        content = _json(path)
        return isinstance(content, dict) and wanted <= content.keys()

    return is_ours


def _json(path: Path) -> Any:
    if path.stat().st_size > LONGEST_SUMMARY:
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None


def _schema_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, ValueError):
        return []


def _attrs(path: Path) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        described = json.loads((pq.read_schema(path).metadata or {}).get(b"pandas", b"{}"))
        attrs = described.get("attributes")
    except (pa.ArrowException, ValueError, RecursionError, AttributeError):
        return {}
    return attrs if isinstance(attrs, dict) else {}
