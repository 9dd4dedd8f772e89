"""
Atomic files: a file appears complete under its name, or not at all.

It is written in a temporary folder beside it, in which the process that writes holds a lock. The operating
system takes that lock back when the process dies, however it dies, so that a later run can tell such a folder
from one in use, and removes it. Files that belong together appear together; see `together`.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import systems
from mlygeo.errors import FileError
from mlygeo.places import is_device
from mlygeo.progress import wrote

if TYPE_CHECKING:
    from collections.abc import Iterator

ALIVE = ".alive"
"""The locked file in a temporary folder."""

FORSAKEN_S = 3600.0
"""Seconds without a change after which a temporary folder is one of a dead run, on a file system without locks."""

RELEASED_S = 1.0
"""Seconds within which a file system lets go of a removed file that was open."""

_TEMPORARY = re.compile(r"\.(?P<name>.{1,40})\.[a-z0-9_]{8}\.part", re.DOTALL)

_SET = "together"
"""What the names of files begin with while the others of their set are written."""

_set: ContextVar[tuple[Path, Path, dict[str, Path | None]] | None] = ContextVar("set", default=None)
"""
The folder of the files that are to appear together, where they are until then, and the files by name.

None stands for a file that is to go.
"""

_cleared: set[str] = set()
"""Folders that this process has looked through for leftovers."""


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """
    Yield a temporary path beside `path`, and rename it to `path` once it is complete and on disk.

    The temporary file has the same ending, since writers choose the format by it. On any error the
    temporary file is removed, and an existing file at `path` stays unchanged. What killed runs left in the
    folder is removed when a process first writes there.

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
        If the disk is full, or the folder is not writable, or the path is one of a pipe or a device.
    """
    others = _set.get()
    try:
        if is_device(path, or_pipe=True) or path == Path(os.devnull):
            raise FileError(f"{path} is a pipe or a device, and would be replaced", hint="name a file")
        if systems.is_reserved(path):
            raise FileError(f"{path}: Windows reserves this name", hint="name another file")
        if others is not None and others[0] == path.parent:
            temporary = others[1] / f"{_SET}-{path.name}"
            yield temporary
            to_disk(temporary)
            others[2][path.name] = temporary
            return
        with temporary_folder(path.parent, path.name) as folder:
            temporary = folder / path.name
            yield temporary
            to_disk(temporary)
            systems.replace(temporary, path)
            wrote()
            systems.folder_to_disk(path.parent)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise file_error(error, path) from error


@contextmanager
def together(folder: Path, *, last: str) -> Iterator[None]:
    """
    Let the files that are written to a folder in this block appear together, when all are complete and on disk.

    Until then those of an earlier run stay as they are, also files that are removed in the block. Then the old ones
    go, `last` before all others, and the new ones are renamed one right after the other, `last` in the end: whenever
    a process was killed, no files of two runs are there, and where `last` is, all are. On any error before that
    nothing changes.

    Parameters
    ----------
    folder
        The folder; made if it is missing.
    last
        Name of the file that says that the set is complete.

    Raises
    ------
    FileError
        If the disk is full, or the folder is not writable.
    """
    files: dict[str, Path | None] = {}
    try:
        with temporary_folder(folder, _SET) as temporary:
            token = _set.set((folder, temporary, files))
            try:
                yield
            finally:
                _set.reset(token)
            for name in files:
                systems.wait_until_free(folder / name)
            remove(folder / last)
            # Frames say of which run they are, and other files are known by them: frames go last, and come first.
            ordered = sorted(files, key=lambda name: (name == last, not name.endswith(".parquet")))
            for name in reversed(ordered):
                (folder / name).unlink(missing_ok=True)
            systems.folder_to_disk(folder)
            for name in ordered:
                made, path = files[name], folder / name
                if name == last:
                    systems.folder_to_disk(folder)  # before it says that all are there
                if made is not None:
                    systems.replace(made, path)
                    wrote()
            systems.folder_to_disk(folder)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise file_error(error, folder) from error


@contextmanager
def temporary_folder(parent: Path, name: str, *, make: bool = True) -> Iterator[Path]:
    """
    Yield a new folder for temporary files, and remove it with its files in the end.

    Parameters
    ----------
    parent
        The folder that it is made in.
    name
        What it is for. The names of files in it begin with this; otherwise a later run does not remove them.
    make
        Whether `parent` is made if it is missing.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    if make:
        parent.mkdir(parents=True, exist_ok=True)
    if str(parent) not in _cleared:
        _cleared.add(str(parent))
        clear_leftovers(parent)
    folder = Path(tempfile.mkdtemp(prefix=f".{name[:40]}.", suffix=".part", dir=parent))
    lock: int | None = None
    try:
        lock = _lock_in(folder)
        yield folder
    finally:
        if lock is not None and systems.WINDOWS:  # an open file cannot be removed there
            os.close(lock)
        for leftover in folder.iterdir():
            with suppress(OSError):
                systems.remove(leftover)
        with suppress(OSError):
            folder.rmdir()
        if lock is not None and not systems.WINDOWS:
            os.close(lock)
            # NFS and FUSE keep a removed file that is open, under another name; FUSE lets go of it some time later.
            end = time.monotonic() + RELEASED_S
            while folder.exists():
                with suppress(OSError):
                    folder.rmdir()
                    break
                if time.monotonic() > end:
                    break
                time.sleep(0.01)


def clear_leftovers(folder: Path) -> int:
    """
    Remove the temporary folders of dead runs in a folder.

    One stays if the process that made it is alive, or if anything else than its own files is in it.

    Parameters
    ----------
    folder
        The folder; it may be missing.

    Returns
    -------
    removed
        How many were removed.
    """
    removed = 0
    with suppress(OSError), os.scandir(folder) as entries:
        found = [(entry.path, match["name"]) for entry in entries if (match := _TEMPORARY.fullmatch(entry.name))]
        for path, name in found:
            with suppress(OSError):
                removed += _removed_if_dead(Path(path), name)
    return removed


def _removed_if_dead(folder: Path, name: str) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    inside, own = list(folder.iterdir()), (Path(name).stem, ALIVE)
    if any(not file.name.startswith(own) or (file.is_dir() and not file.is_symlink()) for file in inside):
        return False
    held = folder / ALIVE
    lock: int | None = None
    if held in inside:
        lock = os.open(held, os.O_RDWR)
        if not systems.locked(lock):
            os.close(lock)
            return False
    elif time.time() - max(file.lstat().st_mtime for file in [folder, *inside]) < FORSAKEN_S:
        return False
    try:
        for file in inside:
            if file != held:
                file.unlink()
    finally:
        if lock is not None:
            os.close(lock)
    with suppress(FileNotFoundError):
        held.unlink()
    folder.rmdir()
    return True


def _lock_in(folder: Path) -> int | None:
    """Return the open file that is locked in a new folder; None where the file system has no locks."""
    # Under its name it is never seen unlocked.
    made = folder / f"{ALIVE}.new"
    descriptor = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    if systems.WINDOWS:
        os.close(descriptor)
        made.rename(folder / ALIVE)
        descriptor = os.open(folder / ALIVE, os.O_RDWR)
        systems.locked(descriptor)
        return descriptor
    if not systems.locked(descriptor):
        os.close(descriptor)
        made.unlink()
        return None
    made.rename(folder / ALIVE)
    return descriptor


def write_text(text: str, path: Path) -> Path:
    """Write a text file (UTF-8) atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def remove(path: Path) -> None:
    """
    Remove a file, on the disk too before this returns; it may be missing.

    One of a set goes when the others appear; see `together`.

    Raises
    ------
    FileError
        If it cannot be removed.
    """
    others = _set.get()
    if others is not None and others[0] == path.parent:
        others[2][path.name] = None
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise file_error(error, path) from error
    if path.parent.is_dir():
        systems.folder_to_disk(path.parent)


def file_error(error: OSError, path: Path) -> FileError:
    """Return our error for an operating system's error at this path, with a message of one line."""
    if error.errno == errno.ENOSPC:
        return FileError(f"the disk is full: {path} was not written", hint="free some space; nothing was harmed")
    if error.errno == errno.EDQUOT:
        return FileError(f"the disk quota is used up: {path} was not written", hint="free some space")
    reason = error.strerror or str(error)
    return FileError(f"{path}: {reason}")


def to_disk(path: Path) -> None:
    """Wait until what was written to a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
