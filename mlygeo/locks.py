"""
Locks between runs that would disturb each other: on an output folder, on photos, on a sequence.

All locks are the operating system's, on a file: it takes them back when a process dies, however it dies.
Beside a lock, a file names its holder, for the messages of other runs. Process numbers are shown, and nothing
follows from them: they are given again to other processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import platform
import time
import unicodedata
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from mlygeo import store, systems
from mlygeo.errors import FileError
from mlygeo.places import STATE_FOLDER, content_of, default_folder

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    import filelock

log = logging.getLogger("mlygeo.locks")

Doing = Literal["writing", "upload", "archives"]
"""What a run does to photos: see `PhotoLock`."""

SHOWN: dict[str, str] = {"writing": "another run", "upload": "an upload", "archives": "a run that makes archives"}
"""Names of runs in messages, by their purpose."""

PHOTO_LOCKS, ENTRY_FILE = "at_work", "entry.lock"
"""Folder of the locks on photos, in the user's data folder, and the lock under which they are changed."""

LIVES = "lives"
"""Folder, in the user's data folder, of the locks by which it shows whether a run still lives."""

LOCK_FILE, HOLDER_FILE = "lock", "run.json"
"""Files of an output folder's lock: the lock, and its holder."""

ASK_AGAIN_S = 0.5

LONGEST_HOLDER_FILE = 1 << 20
"""Bytes; a longer file names no holder."""


class HeldError(TimeoutError):
    """Another process holds a lock."""


class Lock:
    """
    A lock on a file, for one process at a time.

    Parameters
    ----------
    path
        The file; made where it is missing.
    wait_s
        Seconds to wait for the process that holds it; None waits as long as it takes.
    mode
        Rights of the file; those of any new file unless given.
    """

    def __init__(self, path: Path, *, wait_s: float | None = 0, mode: int | None = None) -> None:
        self.path = path
        self._timeout = -1 if wait_s is None else wait_s
        self._mode: dict[str, Any] = {} if mode is None else {"mode": mode}
        self._lock: filelock.BaseFileLock | None = None

    def take(self, *, soft: bool = False) -> None:
        """
        Take the lock.

        Parameters
        ----------
        soft
            Let the mere existence of the file be the lock, for file systems that have none. It
            outlives a process that is killed.

        Raises
        ------
        HeldError
            If another process holds it, still after the wait.
        NotImplementedError
            If the file system has no locks.
        OSError
            If the file cannot be made.
        """
        import filelock

        kind = filelock.SoftFileLock if soft else filelock.FileLock
        lock = kind(self.path, timeout=self._timeout, **self._mode)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise HeldError from None
        self._lock = lock

    def give_up(self, *, remove: bool = False) -> None:
        """Give the lock up, if it was taken, and remove its file on request."""
        if self._lock is None:
            return
        self._lock.release()
        self._lock = None
        if remove:
            with contextlib.suppress(OSError):  # on Windows, a file in use: the next run deletes it
                self.path.unlink()

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_up()


class FolderLock:
    """
    Locks an output folder for this process, as a context manager.

    On file systems without locks the file itself is the lock. Its holder then has a lock of the
    system in the user's data folder too, so that the file counts as stale on this machine once its
    holder runs no more.

    Parameters
    ----------
    folder
        The output folder; made where it is missing.

    Raises
    ------
    FileError
        If another run holds it, naming that run; or if the folder is not writable.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._state = folder / STATE_FOLDER
        self._lock = Lock(self._state / LOCK_FILE)
        self._life: Lock | None = None

    def __enter__(self) -> Self:
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            this = _this_process()
            try:
                self._lock.take()
            except NotImplementedError:
                self._drop_stale()
                self._lock.take(soft=True)
                this["life"] = self._take_life()
            if (left := self._holder()) is not None:
                log.info("the run of process %s ended before it was done; this one goes on from there", left["pid"])
            store.write_text(json.dumps(this) + "\n", self._state / HOLDER_FILE)
        except HeldError:
            holder = self._holder()
            raise FileError(
                f"another run is at work in {self._folder}{f' ({_described(holder)})' if holder else ''}",
                hint="wait until it is done, or name another folder with `output`",
            ) from None
        except OSError as error:
            self._give_up()
            if isinstance(error, FileError):
                raise
            raise store.file_error(error, self._state) from error
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            (self._state / HOLDER_FILE).unlink()
        self._give_up()

    def _give_up(self) -> None:
        self._lock.give_up()
        if self._life is not None:
            self._life.give_up(remove=True)

    def _take_life(self) -> str | None:
        """Take a lock that ends with this process, and return its name; None where there are no locks at all."""
        name: str = uuid.uuid4().hex
        lock = _life_lock(name)
        try:
            lock.path.parent.mkdir(parents=True, exist_ok=True)
            lock.take()
        except (OSError, NotImplementedError):
            return None
        self._life = lock
        return name

    def _holder(self) -> dict[str, Any] | None:
        return _read_holder(self._state / HOLDER_FILE)

    def _drop_stale(self) -> None:
        holder = self._holder()
        if holder is not None and not _is_alive(holder):
            with contextlib.suppress(OSError):
                self._lock.path.unlink()


class PhotoLock:
    """
    Locks photos against runs that would disturb this one, as a context manager.

    A run that writes into photos, or anew what is known of them, keeps all others off; uploads
    keep each other off; archives are made beside anything that only reads. Paths tell, so a folder
    and one inside of it are the same photos, and read-only folders need nothing written into them.
    Each run has a lock in the user's data folder; what a killed run left there is cleared away by
    the next one.

    Parameters
    ----------
    places
        Folders or files; a folder includes its contents.
    doing
        "writing" into photos or what is known of them, next to which nothing else may be; "upload",
        one at a time; "archives", next to uploads too.
    waiting
        Called once with the holder if this run has to wait; without it, waiting is an error.
    folder
        Where the locks are; in the user's data folder unless given.

    Raises
    ------
    FileError
        If another run holds them, and nobody waits; it says which one.

    Examples
    --------
    >>> with PhotoLock(["photos"], "upload", waiting=print):
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
        self._places = sorted({_real_path(place) for place in places})
        self._doing, self._waiting = doing, waiting
        self._folder = default_folder() / PHOTO_LOCKS if folder is None else folder
        name = uuid.uuid4().hex
        self._holder_file, self._lock = self._folder / f"{name}.json", self._lock_of(name)

    def __enter__(self) -> Self:
        said = False
        while (other := self._taken_unless_held()) is not None:
            who = f"{SHOWN.get(other['doing'], SHOWN['writing'])} is at work in {self._shared(other)}"
            found = f"{who} ({_described(other)})"
            if self._waiting is None:
                raise FileError(found, hint="wait until it is done, or end it: what it did is kept")
            if not said:
                log.info("waiting: %s", found)
                self._waiting(f"{found}; waiting until it is done")
                said = True
            time.sleep(ASK_AGAIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._holder_file.unlink()
        self._lock.give_up(remove=True)

    def _taken_unless_held(self) -> dict[str, Any] | None:
        """Take the lock, unless a run is in the way of this one: that run is returned."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with Lock(self._folder / ENTRY_FILE, wait_s=None):
                for path in self._folder.glob("*.json"):
                    other = self._running(path)
                    if other is not None and self._in_the_way(other):
                        return other
                self._lock.take()
                holder = {**_this_process(), "doing": self._doing, "places": self._places}
                self._holder_file.write_text(json.dumps(holder), encoding="utf-8")
        except (OSError, NotImplementedError) as error:
            # Where no lock can be taken, a run is better off without than not at all.
            log.info("other runs are not looked for: %s", error)
        return None

    def _running(self, path: Path) -> dict[str, Any] | None:
        """Return the holder that a file names, if it still runs; the file of a dead holder is removed."""
        lock = self._lock_of(path.stem)
        try:
            lock.take()
        except HeldError:
            return _read_holder(path)  # None: it has just ended
        with contextlib.suppress(OSError):
            path.unlink()
        lock.give_up(remove=True)
        return None

    def _in_the_way(self, other: dict[str, Any]) -> bool:
        doings = {self._doing, other["doing"]}
        return ("writing" in doings or doings == {"upload"}) and self._shared(other) is not None

    def _shared(self, other: dict[str, Any]) -> str | None:
        """Return the path that another run holds, if it is one of this run's, or inside or around one."""
        for theirs in other["places"]:
            for mine in self._places:
                if _holds(mine, theirs) or _holds(theirs, mine):
                    return str(theirs)
        return None

    def _lock_of(self, name: str) -> Lock:
        return Lock(self._folder / f"{name}.lock")


class NameLocks:
    """
    Locks a name, such as a sequence's, between runs from any folder or terminal.

    Parameters
    ----------
    folder
        Where the locks are.
    stop
        Ends the wait for a lock when set.
    """

    def __init__(self, folder: Path, stop: threading.Event) -> None:
        self._folder, self._stop = folder, stop

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """
        Wait until no other run holds this name, and hold it.

        Raises
        ------
        HeldError
            If another run holds it when the wait ends.
        """
        # A bounded number of files; two names that share one wait for each other, and no harm is done.
        stripe = hashlib.md5(name.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()[:2]
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(self._folder / f"{stripe}.lock", wait_s=ASK_AGAIN_S)
        while True:
            try:
                lock.take()
                break
            except HeldError:
                if self._stop.is_set():
                    raise
            except NotImplementedError:  # a file system without locks
                break
        try:
            yield
        finally:
            lock.give_up()


def _this_process() -> dict[str, Any]:
    """Return the identity of a holder: process number, machine, and time."""
    return {"pid": os.getpid(), "host": platform.node(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}


def _read_holder(path: Path) -> dict[str, Any] | None:
    """Return the present or last holder of a lock; None if it cannot be read."""
    try:
        content = content_of(path, LONGEST_HOLDER_FILE)
        if len(content) > LONGEST_HOLDER_FILE:
            return None
        holder = json.loads(content)
        life = holder.get("life")
        return {
            "pid": int(holder["pid"]),
            "host": _shown(holder["host"], 200),
            "since": _shown(holder["since"], 40),
            "doing": str(holder.get("doing", "writing")),
            "places": [str(place) for place in holder.get("places", ())],
            "life": life if isinstance(life, str) and life.isalnum() else None,
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _shown(value: Any, most: int) -> str:
    """Return a text of a file that others may have written, as it can be shown."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(value)[:most])


def _described(holder: dict[str, Any]) -> str:
    return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"


def _life_lock(name: str) -> Lock:
    return Lock(default_folder() / LIVES / f"{name}.lock")


def _is_alive(holder: dict[str, Any]) -> bool:
    """Return whether a holder may still run; one on another machine may."""
    if holder["host"] != platform.node():
        return True
    if holder["life"] is not None:
        lock = _life_lock(holder["life"])
        try:
            lock.take()
        except FileNotFoundError:  # its folder is gone, and with it the lock
            return False
        except (HeldError, OSError, NotImplementedError):
            return True
        lock.give_up(remove=True)
        return False
    return systems.is_running(holder["pid"]) is not False


def _real_path(place: str | os.PathLike[str]) -> str:
    return os.path.realpath(Path(place).expanduser())


def _holds(folder: str, path: str) -> bool:
    """Return whether a path is that of a folder or in it, as the disk tells names apart."""
    whole, parts = Path(folder), Path(path).parts
    around = Path(*parts[: len(whole.parts)])
    if around == whole:
        return True
    if _folded(around) != _folded(whole):
        return False
    try:  # drivers of FUSE have a number of their own for each spelling
        return around.samefile(whole) or _as_listed(around) == _as_listed(whole)
    except OSError:  # one of them is no name here, as where letters of both cases are told apart
        return False


def _as_listed(path: Path) -> Path:
    """Return a path that exists as the folders around it list it."""
    if path.parent == path:
        return path
    names = os.listdir(path.parent)  # noqa: PTH208 - no more than names
    alike = [name for name in names if _folded(Path(name)) == _folded(Path(path.name))]
    return _as_listed(path.parent) / (alike[0] if path.name not in names and len(alike) == 1 else path.name)


def _folded(path: Path) -> str:
    """Return a path as the disks of macOS and Windows compare it, or more alike."""
    return unicodedata.normalize("NFKD", str(path)).casefold()
