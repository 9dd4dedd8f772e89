"""
What a table of text cannot hold of its frame: what made it, in a file beside the table.

The file is that of CSV on the Web, which others look for by its name: https://www.w3.org/TR/tabular-data-model/,
section 5.3. It has the hash of the table, so that it says nothing of a table that was changed since.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from mlygeo import places
from mlygeo.store.atomic import remove, write_text
from mlygeo.store.text import SEPARATORS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger("mlygeo.store")

ENDING = "-metadata.json"
"""What the specification has behind the whole name of the table."""

ENDINGS = tuple(f"{ending}{ENDING}" for ending in SEPARATORS)
"""How the names of such files end, which are no frames."""

KEY = "mlygeo"
"""Member of the note that is ours."""

MADE = "record"
"""Attribute of frames that says what made them; without it there is nothing to write."""

LONGEST = 64 << 20
"""Bytes; a longer file is none of ours."""


def of(table: Path) -> Path:
    """Return the path of the file beside a table."""
    return table.with_name(table.name + ENDING)


def write(attrs: Mapping[str, Any], table: Path, separator: str, *, sha256: str) -> None:
    """
    Write what is known of a frame beside its table, or remove what an earlier table has left there.

    A file of that name that mlygeo has not written stays as it is, which is logged.

    Parameters
    ----------
    attrs
        Those of the frame; only what JSON holds is written.
    table
        The table.
    separator
        That of its columns.
    sha256
        The hash of the table; see `mlygeo.places.sha256_of`.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    file = of(table)
    is_there = file.exists()
    is_theirs = is_there and _note(file) is None
    if MADE not in attrs:
        if is_there and not is_theirs:
            remove(file)
        return
    if is_theirs:
        log.warning("%s is not of mlygeo and stays as it is, so %s does not say what made it", file.name, table.name)
        return
    said = {key: value for key, value in attrs.items() if isinstance(key, str) and _is_json(value)}
    content = {
        "@context": "http://www.w3.org/ns/csvw",
        "url": table.name,
        "dialect": {"delimiter": separator, "encoding": "utf-8", "header": True},
        "notes": [{KEY: {"sha256": sha256, "attrs": said}}],
    }
    write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", file)


def read(table: Path) -> dict[str, Any]:
    """Return the attributes of the frame in a table; none where nothing is beside it, or the table was changed."""
    note = _note(of(table))
    if note is None:
        return {}
    if note["sha256"] != places.sha256_of(table):
        log.info("%s was changed since %s was written, which is left out", table.name, of(table).name)
        return {}
    return dict(note["attrs"])


def _note(file: Path) -> dict[str, Any] | None:
    """Return what mlygeo has noted in a file; None where there is none, or it is of others."""
    try:
        content = json.loads(places.content_of(file, LONGEST))
        found = next(each[KEY] for each in content["notes"] if isinstance(each, dict) and KEY in each)
    except (OSError, ValueError, RecursionError, KeyError, TypeError, StopIteration):
        return None
    is_ours = isinstance(found, dict) and isinstance(found.get("attrs"), dict)
    return found if is_ours and isinstance(found.get("sha256"), str) else None


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True
