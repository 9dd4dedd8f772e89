"""Photos whose frames lie in a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mlygeo.errors import FileError, FormatError
from mlygeo.photos.import_folder import PHOTOS_FILE, STATE_FOLDER


def photos_of(place: Any) -> Path | None:
    """
    Return the folder of the photos whose frames lie in a folder of their own.

    Parameters
    ----------
    place
        A folder: what was named with -o when the photos were processed.

    Returns
    -------
    folder
        Where the photos are; None where it is not such a folder.
    """
    from mlygeo import store

    frame = Path(place).expanduser() / PHOTOS_FILE
    if frame.parent.name == STATE_FOLDER or not frame.is_file():
        return None
    try:
        folders = [os.path.dirname(path) for path in store.read_frame(frame)["path"]]  # noqa: PTH120
        return Path(os.path.commonpath(folders)) if folders else None
    except (FileError, FormatError, KeyError, TypeError, ValueError):
        return None  # a file of this name that is something else
