"""One run at a time in an output folder: a lock that says who holds it, and dies with its process."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from mlygeo import store
from mlygeo.downloads.ledger import STATE_FOLDER
from mlygeo.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path

    import filelock

log = logging.getLogger("mlygeo.download")

LOCK_FILE, HOLDER_FILE = "lock", "run.json"


class FolderLock:
    """
    Holds an output folder for this process, as a context manager.

    The lock is the operating system's, which takes it back when the process dies however it
    dies. On file systems that have none, the file itself is the lock, and counts as stale where
    its holder was on this machine and runs no more.

    Parameters
    ----------
    folder
        The output folder; made where it is missing.

    Raises
    ------
    FileError
        If another run holds it, saying which one; or if the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / STATE_FOLDER
        self._lock: filelock.BaseFileLock | None = None

    def __enter__(self) -> Self:
        import filelock

        try:
            self._state.mkdir(parents=True, exist_ok=True)
            try:
                self._lock = self._taken(filelock.FileLock)
            except NotImplementedError:
                self._drop_stale()
                self._lock = self._taken(filelock.SoftFileLock)
            left = self._holder()
            if left is not None and not _is_alive(left):
                log.info("the run of process %s ended before it was done; this one goes on from there", left["pid"])
            store.write_text(json.dumps(myself()) + "\n", self._state / HOLDER_FILE)
        except filelock.Timeout:
            raise FileError(
                f"another run is at work in {self._folder}{self._described()}",
                hint="wait until it is done, or name another folder with -o",
            ) from None
        except OSError as error:
            self._release()
            if isinstance(error, FileError):
                raise
            raise store.file_error(error, self._state) from error
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            (self._state / HOLDER_FILE).unlink()
        self._release()

    def _taken(self, kind: type[filelock.BaseFileLock]) -> filelock.BaseFileLock:
        lock = kind(self._state / LOCK_FILE, timeout=0)
        lock.acquire()
        return lock

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _holder(self) -> dict[str, Any] | None:
        """Return who holds, or held, the folder; None where nothing tells."""
        try:
            holder = json.loads((self._state / HOLDER_FILE).read_text(encoding="utf-8"))
            return {"pid": int(holder["pid"]), "host": str(holder["host"])[:200], "since": str(holder["since"])[:40]}
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _described(self) -> str:
        holder = self._holder()
        return "" if holder is None else f" (process {holder['pid']} on {holder['host']}, since {holder['since']})"

    def _drop_stale(self) -> None:
        holder = self._holder()
        if holder is not None and not _is_alive(holder):
            with contextlib.suppress(OSError):
                (self._state / LOCK_FILE).unlink()


def myself() -> dict[str, Any]:
    """Return what tells this process from others: number, machine, and the time."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}


def _is_alive(holder: dict[str, Any]) -> bool:
    """Return whether a holder may still run; one on another machine may."""
    if holder["host"] != socket.gethostname():
        return True
    if os.name == "nt":
        return True  # a signal of 0 would end the process there
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
