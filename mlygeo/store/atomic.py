"""Atomic files: a file appears complete under its name, or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import FileError
from mlygeo.progress import wrote

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """
    Yield a temporary path beside `path`, and rename it to `path` once it is complete and on disk.

    The temporary file has the same ending, since writers choose the format by it. On any error the
    temporary file is removed, and an existing file at `path` stays unchanged.

    Parameters
    ----------
    path
        The file to write. Its folder is made if it is missing.

    Yields
    ------
    temporary
        A path that does not exist yet, in a folder of its own beside `path`.

    Raises
    ------
    FileError
        If the disk is full, or the folder is not writable.
    """
    folder = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent))
        temporary = folder / path.name
        yield temporary
        _to_disk(temporary)
        temporary.replace(path)
        wrote()
        _folder_to_disk(path.parent)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise file_error(error, path) from error
    finally:
        if folder is not None:
            for leftover in folder.iterdir():
                with suppress(OSError):
                    leftover.unlink()
            with suppress(OSError):
                folder.rmdir()


def write_text(text: str, path: Path) -> Path:
    """Write a text file (UTF-8) atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def file_error(error: OSError, path: Path) -> FileError:
    """Return our error for an operating system's error at this path, with a message of one line."""
    if error.errno == errno.ENOSPC:
        return FileError(f"the disk is full: {path} was not written", hint="free some space; nothing was harmed")
    if error.errno == errno.EDQUOT:
        return FileError(f"the disk quota is used up: {path} was not written", hint="free some space")
    reason = error.strerror or str(error)
    return FileError(f"{path}: {reason}")


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    # Windows cannot open folders; there the rename must suffice.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
