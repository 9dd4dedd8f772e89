"""
Who is at work on which photos of this machine: what would disturb each other is kept apart.

A run that writes into photos, or anew what is known of them, keeps all others off; uploads keep
each other off; archives are made beside anything that only reads. It is told by the paths, so
a folder and one inside of it are the same photos, and read-only folders need nothing written
into them. Each run has a lock of the operating system in the user's data folder, which dies
with its process however that dies; what it left is cleared away by the next one.

One run at a time in an output folder: a lock that says who holds it, and dies with its process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from mlygeo import store
from mlygeo.errors import FileError
from mlygeo.places import STATE_FOLDER, default_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import filelock


log = logging.getLogger("mlygeo.locks")

Doing = Literal["writing", "upload", "archives"]


FOLDER, DOOR = "at_work", "door.lock"

SHOWN: dict[str, str] = {"writing": "another run", "upload": "an upload", "archives": "a run that makes archives"}

ASK_AGAIN_S = 0.5


LOCK_FILE, HOLDER_FILE = "lock", "run.json"


class AtWork:
    """
    Keeps runs off some photos that would disturb this one, as a context manager.

    Parameters
    ----------
    places
        Folders or files; what is inside of a folder belongs to it.
    doing
        "writing" into photos or what is known of them, next to which nothing else may be; "upload",
        one at a time; "archives", next to uploads too.
    waiting
        Called once with who is at work where this run has to wait; without it that is an error.
    folder
        Where the locks are; in the user's data folder unless given.

    Raises
    ------
    FileError
        If another run is at work on them, and nobody waits; it says which one.

    Examples
    --------
    >>> with AtWork(["photos"], "upload", waiting=print):
    ...     ...
    """

    def __init__(
        self,
        places: Iterable[str | os.PathLike[str]],
        doing: Doing,
        *,
        waiting: Callable[[str], object] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._places = sorted({_plain(place) for place in places})
        self._doing, self._waiting = doing, waiting
        self._folder = default_folder() / FOLDER if folder is None else folder
        self._name = uuid.uuid4().hex
        self._lock: filelock.BaseFileLock | None = None

    def __enter__(self) -> Self:
        told = False
        while (other := self._entered()) is not None:
            found = f"{SHOWN.get(other['doing'], SHOWN['writing'])} is at work in {self._shared(other)} ({_who(other)})"
            if self._waiting is None:
                raise FileError(found, hint="wait until it is done, or end it: what it did is kept")
            if not told:
                log.info("waiting: %s", found)
                self._waiting(f"{found}; waiting until it is done")
                told = True
            time.sleep(ASK_AGAIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            self._told(self._name).unlink()
        self._lock.release()
        with contextlib.suppress(OSError):  # Windows keeps a file that another run looks at: the next one clears it
            Path(self._lock.lock_file).unlink()

    def _entered(self) -> dict[str, Any] | None:
        """Note that this run is at work, unless another one is in its way: that one is returned."""
        import filelock

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(self._folder / DOOR):
                for path in self._folder.glob("*.json"):
                    other = self._alive(path)
                    if other is not None and self._in_the_way(other):
                        return other
                self._lock = filelock.FileLock(self._lock_of(self._name), timeout=0)
                self._lock.acquire()
                told = {**_myself(), "doing": self._doing, "places": self._places}
                self._told(self._name).write_text(json.dumps(told), encoding="utf-8")
        except (OSError, NotImplementedError) as error:
            # Where nothing can be noted, a run is better off without than not at all.
            log.info("other runs are not looked for: %s", error)
        return None

    def _alive(self, path: Path) -> dict[str, Any] | None:
        """Return what a run has noted, where it still runs; what is left of one that does not is removed."""
        import filelock

        lock = filelock.FileLock(self._lock_of(path.stem), timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout:
            with contextlib.suppress(OSError, ValueError):
                return _checked(json.loads(path.read_text(encoding="utf-8")))
            return None  # it has just ended
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()
        return None

    def _in_the_way(self, other: dict[str, Any]) -> bool:
        doings = {self._doing, other["doing"]}
        return ("writing" in doings or doings == {"upload"}) and self._shared(other) is not None

    def _shared(self, other: dict[str, Any]) -> str | None:
        """Return the place that another run is at work in, where that is one of ours, or in or around one."""
        for theirs in map(str, other["places"]):
            for mine in self._places:
                if _holds(mine, theirs) or _holds(theirs, mine):
                    return theirs
        return None

    def _told(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _lock_of(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def _plain(place: str | os.PathLike[str]) -> str:
    return os.path.normcase(os.path.realpath(Path(place).expanduser()))


def _holds(folder: str, path: str) -> bool:
    return folder == path or path.startswith(os.path.join(folder, ""))  # noqa: PTH118


def _who(other: dict[str, Any]) -> str:
    return f"process {other['pid']} on {other['host']}, since {other['since']}"


def _checked(told: Any) -> dict[str, Any]:
    """Return what a run has noted of itself; ValueError where it is not that."""
    if not isinstance(told, dict) or not {"pid", "host", "since", "doing", "places"} <= told.keys():
        raise ValueError("no note of a run")
    return told


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
            store.write_text(json.dumps(_myself()) + "\n", self._state / HOLDER_FILE)
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


def _myself() -> dict[str, Any]:
    """Return what tells this process from others: number, machine, and the time."""
    return {"pid": os.getpid(), "host": platform.node(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}


def _is_alive(holder: dict[str, Any]) -> bool:
    """Return whether a holder may still run; one on another machine may."""
    if holder["host"] != platform.node():
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
