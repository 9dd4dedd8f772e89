"""Paths: the state folder inside a folder, the user's own folders, and paths in arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

from mlygeo.errors import FileError

STATE_FOLDER = ".mlygeo"
"""Folder inside a folder that stores its state."""

COPIES = "processed_images"
"""Folder of the copies that --keep-original writes, as in the older tools."""

PATH_VARIABLE = "MLYGEO_UPLOAD_HISTORY"
"""Environment variable that names another folder for the history of uploads."""


def default_folder() -> Path:
    """Return the folder of the user's history."""
    import platformdirs

    named = os.environ.get(PATH_VARIABLE, "").strip()
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("mlygeo", appauthor=False))


def several(given: Any) -> list[Any]:
    """Return what may be given alone as a list: a path, several of them, or None."""
    if given is None:
        return []
    return [given] if isinstance(given, str | os.PathLike) else list(given)


def unlisted(error: OSError) -> NoReturn:
    """Raise for a folder that cannot be listed: it may have photos in it, and to go on would lose them silently."""
    raise FileError(f"the folder {error.filename} cannot be read: {error.strerror or error}") from error


def find_moved(name: str, base: str) -> str | None:
    """
    Return the file under a folder whose path ends as this one does; None where there is none.

    Parameters
    ----------
    name
        Where the file was.
    base
        The folder that may hold it now.
    """
    parts = name.replace("\\", "/").split("/")
    for number in range(1, len(parts)):
        path = os.path.join(base, *parts[number:])  # noqa: PTH118
        if ".." not in parts[number:] and os.path.lexists(path):
            return os.path.normpath(path)
    return None
