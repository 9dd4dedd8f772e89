"""Where a verb may write: checked before any work is done."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from mlygeo.errors import FileError, FormatError

if TYPE_CHECKING:
    from pathlib import Path

Output = Literal["frame", "folder", "picture", "track"]
"""What a verb writes under the path of -o."""

PICTURES = (".html", ".png", ".svg", ".pdf")


def check_output(kind: Output, path: Path) -> None:
    """
    Raise unless results could be written to this path; nothing is made.

    Parameters
    ----------
    kind
        What will be written there.
    path
        The path of -o.

    Raises
    ------
    FileError
        If a file stands where a folder must be, or the other way round, or nothing can be written there.
    FormatError
        If the ending names no format.
    """
    from mlygeo import store

    if kind == "folder":
        if path.exists() and not path.is_dir():
            raise FileError(f"{path} is a file, and -o names a folder here")
    elif kind == "track" and path.name.lower().endswith((".gpx", ".gpx.gz")):
        pass
    elif kind == "picture":
        if path.suffix.lower() not in PICTURES:
            raise FormatError(f"{path.name}: maps are written as {', '.join(PICTURES[:-1])} or {PICTURES[-1]}")
    else:
        store.check_writable(path)
    parent = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
    if not os.access(parent, os.W_OK):
        raise FileError(f"{parent} cannot be written to", hint="name another place with -o")
