"""Paths: folders of state and of the user, paths in arguments, files that are read to their end, the order of names."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
import time
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NoReturn

from mlygeo import systems
from mlygeo.errors import FileError

_DIGITS, _ASCII_DIGITS = re.compile(r"\d+"), re.compile(r"[0-9]+")

_BLOCK = 0xD000
"""Lengths from here on take several characters; no character below is half of another one."""

STATE_FOLDER = ".mlygeo"
"""Folder inside a folder that stores its state."""

COPIES = "processed_images"
"""Folder of the copies that --keep-original writes, as in the older tools."""

PATH_VARIABLE = "MLYGEO_UPLOAD_HISTORY"
"""Environment variable that names another folder for the history of uploads."""


PIPE_S = 60.0
"""How long a pipe may take, seconds."""

WRITER_S = 0.5
"""
How long to wait for somebody who writes to a pipe, seconds: who waits to open it does so a moment after the reader.
"""

MOST_PIPED = 64 << 20
"""Bytes that may come from a pipe: some four million ids."""


def opened(path: str | os.PathLike[str]) -> BinaryIO:
    """
    Open a file of the user, or of an earlier run, for reading; none that never ends, or has nothing to say.

    What comes from a pipe is read here, at once: all of it, if somebody writes to it. A pipe can be read once, so
    this is for readers that open a file once.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    file
        Of bytes.

    Raises
    ------
    OSError
        If it cannot be read; at once for a folder, a device, a socket, and a pipe that nobody begins to write to
        within `WRITER_S`. A pipe may take `PIPE_S`, and have `MOST_PIPED` bytes.
    """
    status = os.stat(path)  # noqa: PTH116 - paths may be text
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if stat.S_ISFIFO(status.st_mode):
        return io.BytesIO(_from_pipe(path))
    if systems.is_endless(status) and not _is_nothing(path):
        raise OSError(errno.ENODEV, "it is a device or a socket, not a file")
    return open(path, "rb", opener=systems.without_waiting)


def content_of(path: str | os.PathLike[str], most: int) -> bytes:
    """
    Return what is in a file, or its beginning: a byte more than `most` where it has more than these.

    Parameters
    ----------
    path
        The file; see `opened`.
    most
        Bytes that such a file may have.

    Raises
    ------
    OSError
        If it cannot be read; see `opened`.
    """
    with opened(path) as file:
        return file.read(most + 1)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_device(path: str | os.PathLike[str], *, or_pipe: bool = False) -> bool:
    """Return whether a path is that of a device or a socket, but for the device that is always empty."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return False
    return (or_pipe and stat.S_ISFIFO(status.st_mode)) or (systems.is_endless(status) and not _is_nothing(path))


def _is_nothing(path: str | os.PathLike[str]) -> bool:
    """Return whether a device is the one that is always empty."""
    try:
        return os.path.samefile(path, os.devnull)  # noqa: PTH121 - paths may be text
    except OSError:
        return False


def _from_pipe(path: str | os.PathLike[str]) -> bytes:
    import select

    found = bytearray()
    began = time.monotonic()
    ends = began + PIPE_S
    descriptor = systems.without_waiting(os.fspath(path), os.O_RDONLY)
    try:
        while True:
            try:
                piece = os.read(descriptor, 1 << 16)
            except BlockingIOError:  # somebody will write
                if not select.select([descriptor], [], [], max(0.0, ends - time.monotonic()))[0]:
                    raise TimeoutError(errno.ETIMEDOUT, f"the pipe did not end within {PIPE_S:.0f} s") from None
                continue
            found += piece
            if not piece:
                if found or time.monotonic() - began > WRITER_S:
                    break
                time.sleep(0.01)  # nobody has opened it to write
            if len(found) > MOST_PIPED:
                raise OSError(errno.EFBIG, f"more than {MOST_PIPED >> 20} MiB come from the pipe; write them to a file")
    finally:
        os.close(descriptor)
    if not found:
        raise OSError(errno.ENODATA, "nothing comes from the pipe; begin to write to it first")
    return bytes(found)


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


def located(said: str, folder: Path) -> Path:
    """Return the path that a lock in a folder tells; see `mlygeo.pipelines.selection_lock.relative`."""
    path = Path(PurePosixPath(said)).expanduser()
    return path if path.is_absolute() else folder / path


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
    if folded.isascii():  # nearly all
        return _ASCII_DIGITS.sub(_comparable, folded), text
    return _DIGITS.sub(_comparable, unicodedata.normalize("NFC", folded)), text


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
    if len(digits) < _BLOCK:
        return f"0{chr(len(digits))}{digits}"
    blocks, rest = divmod(len(digits), _BLOCK)
    return f"0{chr(_BLOCK) * blocks}{chr(rest)}{digits}"
