"""Paths: the state folder inside a folder, the user's own folders, paths in arguments, and the order of names."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any, NoReturn

from mlygeo.errors import FileError

_DIGITS = re.compile(r"\d+")

_BLOCK = 0xD000
"""Lengths from here on take several characters; no character below is half of another one."""

STATE_FOLDER = ".mlygeo"
"""Folder inside a folder that stores its state."""

COPIES = "processed_images"
"""Folder of the copies that --keep-original writes, as in the older tools."""

PATH_VARIABLE = "MLYGEO_UPLOAD_HISTORY"
"""Environment variable that names another folder for the history of uploads."""


def config_file(name: str) -> Path:
    """Return the place of a file in the user's configuration folder."""
    import platformdirs

    return Path(platformdirs.user_config_dir("mlygeo", appauthor=False)) / name


def default_folder() -> Path:
    """Return the folder of the user's history."""
    import platformdirs

    named = os.environ.get(PATH_VARIABLE, "").strip()
    return Path(named).expanduser() if named else Path(platformdirs.user_data_dir("mlygeo", appauthor=False))


def existing(folder: Path) -> Path:
    """Return a folder, or the nearest above it that exists."""
    return next(each for each in (folder, *folder.absolute().parents) if each.is_dir())


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


def natural_key(path: str | os.PathLike[str]) -> tuple[str, str]:
    """
    Return the sort key of a name or path in natural order: IMG_2 before IMG_10.

    Every order of files in mlygeo is this one. Numbers in names are compared as numbers, whatever their length and
    their script (a digit is what Unicode calls a decimal digit); all else as text, without regard to case, and
    folder by folder. Names that differ in leading zeros, case or normalization only are ordered by their
    characters, so that no two names are equal.

    Parameters
    ----------
    path
        Name or path, of any system.

    Returns
    -------
    key
        To be compared with other keys of this function only.
    """
    text = os.fspath(path)
    folded = text.replace("\\", "/").replace("/", "\0").casefold()  # a folder comes before longer names
    if not folded.isascii():
        folded = unicodedata.normalize("NFC", folded)
    return _DIGITS.sub(_comparable, folded), text


def _comparable(found: re.Match[str]) -> str:
    """
    Return a number as text that compares as the number does, and as a digit with other text.

    Of two numbers without leading zeros the longer is the larger, so their length comes first. `int` would refuse
    numbers of many digits.
    """
    digits = found[0]
    if not digits.isascii():
        digits = "".join(str(unicodedata.decimal(digit)) for digit in digits)
    digits = digits.lstrip("0")
    blocks, rest = divmod(len(digits), _BLOCK)
    return f"0{chr(_BLOCK) * blocks}{chr(rest)}{digits}"
