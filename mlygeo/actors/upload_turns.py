"""One run at a time for each sequence that is uploaded."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path


class Turns:
    """
    One run at a time for each sequence, whatever folder, terminal or user interface it is started from.

    Parameters
    ----------
    folder
        Where the history is.
    stop
        Ends the wait for a turn when set.
    """

    def __init__(self, folder: Path, stop: threading.Event) -> None:
        self._folder, self._stop = folder / "locks", stop

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Wait until no other run is at work on something of this name, and keep others from it."""
        import filelock

        # A bounded number of files; two names that share one wait for each other, and no harm is done.
        stripe = hashlib.md5(name.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:2]
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self._folder / f"{stripe}.lock", timeout=0.5)
        while True:
            try:
                lock.acquire()
                break
            except filelock.Timeout:
                if self._stop.is_set():
                    raise
            except NotImplementedError:  # a file system without locks
                break
        try:
            yield
        finally:
            if lock.is_locked:
                lock.release()
