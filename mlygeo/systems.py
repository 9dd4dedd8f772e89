"""
What differs between Linux, macOS and Windows, and between file systems: here, and nowhere else.

Each function does what it can on the system that it runs on, and says so where that is less.
"""

from __future__ import annotations

import errno
import functools
import gc
import os
import shutil
import signal
import stat
import time
import traceback
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOWS = os.name == "nt"

BARE_NUMBER = r"%#\1" if WINDOWS else r"%-\1"
"""The code of a number without leading zeros in times, in the C library."""

REPLACE_S = 2.0
"""How long a file is tried to be replaced that another program has open, seconds: virus scanners take less."""

ENDINGS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))
"""The signals by which a person or the system ends a program, as far as the system has them."""


_NOT_THERE = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})
"""What file systems without rights, times or attributes answer to those who would set them."""


_NO_LINKS = _NOT_THERE | {errno.EXDEV, errno.EMLINK, errno.EACCES, errno.EINVAL}
"""What is answered where a file cannot have a second name; EINVAL by Windows on FAT."""


_DEVICES = frozenset(
    {
        "CON",
        "PRN",
        "AUX",
        "NUL",
        "CONIN$",
        "CONOUT$",
        *(f"{each}{number}" for each in ("COM", "LPT") for number in range(10)),
    }
)
"""Names of devices of Windows, which files have neither with an ending: learn.microsoft.com, "Naming Files"."""


def locked(descriptor: int) -> bool:
    """Lock an open file for this process; False where another one has, or the file system has no locks."""
    try:
        if WINDOWS:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def folder_to_disk(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. Windows opens no folders; there the rename must suffice."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace(temporary: Path, path: Path) -> None:
    """
    Rename a file to a name that may be taken, in one step.

    Windows refuses while another program has the file of that name open; it is tried for `REPLACE_S`.

    Raises
    ------
    OSError
        If it cannot be replaced.
    """
    until = time.monotonic() + REPLACE_S
    while True:
        try:
            os.replace(temporary, path)  # noqa: PTH105 - so that it is asked of the system once
        except PermissionError:
            if not WINDOWS or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def remove(path: Path) -> None:
    """
    Remove a file, which may be missing; also one that the code still has open which an error has just ended.

    Windows refuses to remove open files, and what an error came through is kept with it until it is dealt with.

    Raises
    ------
    OSError
        If it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except PermissionError as refused:
        error: BaseException | None = refused
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__context__
        gc.collect()
        path.unlink(missing_ok=True)


def wait_until_free(path: Path) -> None:
    """
    Wait until a file can be replaced and removed: Windows refuses both while another program has it open.

    Raises
    ------
    PermissionError
        If it is not free within `REPLACE_S`.
    """
    if WINDOWS and path.exists():
        replace(path, path)  # to its own name: it asks for the same rights, and changes nothing


def linked(new: Path, old: Path) -> bool:
    """
    Give a file a second name; False where the file system has no hard links, or is another one.

    Raises
    ------
    FileExistsError
        If there is a file of the new name.
    OSError
        If it fails for another reason, as on a broken disk.
    """
    itself = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
    try:
        os.link(old, new, **itself)
    except OSError as error:
        if isinstance(error, FileExistsError) or error.errno not in _NO_LINKS:
            raise
        return False
    return True


def copy_rights(source: Path, target: Path, mode: int) -> None:
    """Give a file the times and attributes of another and these rights, as far as its file system has them."""
    with _where_there():
        shutil.copystat(source, target)
    with _where_there():
        target.chmod(mode)


@contextmanager
def _where_there() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise


def copy(source: Path, target: Path) -> None:
    """Copy a file with its times and rights, as far as the file system of the copy has them."""
    shutil.copyfile(source, target)
    copy_rights(source, target, stat.S_IMODE(source.stat().st_mode))


def keep_private(folder: Path) -> None:
    """Keep other users out of a folder. On Windows its place in the user's profile does, and on FAT nothing."""
    with suppress(OSError):
        folder.chmod(0o700)


def is_running(process: int) -> bool | None:
    """Return whether a process of that number runs here; None on Windows, where to ask would end it."""
    if WINDOWS:
        return None
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def is_child_of(process: int) -> bool:
    """Return whether a process is still the parent of this one; True on Windows, where the number never changes."""
    return WINDOWS or os.getppid() == process


def free_memory() -> int | None:
    """Return the bytes of memory that this process may still take; None where only Linux and its containers tell."""
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024)
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, now = (int((group / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        found.append(max(most - now, 0))
    return min(found, default=None)


@contextmanager
def looked_up(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Yield the prefix of paths in a folder, and the options to `stat` them.

    Paths relative to an open folder are a fifth faster to look up than whole ones, where the system
    supports them.
    """
    if os.stat not in os.supports_dir_fd:
        yield f"{folder}{os.sep}", {}
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield "", {"dir_fd": descriptor}
    finally:
        os.close(descriptor)


def is_endless(status: os.stat_result) -> bool:
    """Return whether a file may never end: a device, a socket, or one that the system makes as it is read."""
    mode = status.st_mode
    if stat.S_ISREG(mode):
        return status.st_size == 0 and status.st_dev in _made_as_read()
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISSOCK(mode)


@functools.cache
def _made_as_read() -> frozenset[int]:
    """Return the numbers of the file systems whose files are not on any disk."""
    return frozenset(os.stat(each).st_dev for each in ("/proc", "/sys") if os.path.exists(each))  # noqa: PTH110, PTH116


def is_reserved(path: Path) -> bool:
    """Return whether Windows takes a file of this name for a device, or gives it another name; False elsewhere."""
    device = path.name.partition(".")[0].rstrip(" ").upper() in _DEVICES
    return WINDOWS and (device or path.name != path.name.rstrip(" ."))


def without_waiting(path: str, flags: int) -> int:
    """Open a file, a pipe without a wait for whoever writes to it; an opener for `open`."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def ignore_ctrl_c() -> None:
    """Leave Ctrl-C, which reaches all processes of a terminal, to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def quoted(text: str) -> str:
    """Return a word as the system's shell takes it."""
    import shlex

    return f'"{text}"' if WINDOWS else f"'{text}'" if "'" not in text else shlex.quote(text)
