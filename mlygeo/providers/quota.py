"""
How many tile requests may still go out: the pace of the moment, and the count of the day.

Both are kept for the user across runs and processes, in one small file in the state folder, since
the service counts by address and by token and not by run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import places, store
from mlygeo.errors import FileError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.net.pace import Pace

log = logging.getLogger("mlygeo.service")

STATE_FILE = "tile_requests.json"

REQUESTS_A_WRITE = 20
"""Requests between two writes of the state file; so many may go uncounted when a process is killed."""

LONGEST_FILE = 1 << 20
"""Bytes; a longer file is not ours, and is not read to its end."""

MOST_COUNTED = 10_000_000
"""No run makes so many requests in a day; a file that says so is damaged."""

LOCK_PATIENCE_S = 2.0
"""Seconds to wait for another process that writes the state file."""


class TileQuota:
    """
    Admits tile requests, one at a time, from several threads.

    The file holds the UTC day, the requests made on it by a hash of each token (never the token),
    and the level of the pace. Where it cannot be read or written, that is logged, and this run's
    own count has to do.

    Parameters
    ----------
    token
        The access token.
    pace
        The pace; several runs that share the state folder share its bursts.
    limit
        Requests a day.
    folder
        State folder; the user's unless given.
    wall_clock
        Seconds since 1970.
    """

    def __init__(
        self,
        token: str,
        *,
        pace: Pace,
        limit: int,
        folder: Path | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if folder is None:
            import platformdirs

            folder = Path(platformdirs.user_state_dir("mlygeo", appauthor=False))
        self._path = folder / STATE_FILE
        self._key = hashlib.sha256(f"mlygeo:{token}".encode()).hexdigest()[:16]
        self._pace, self._limit, self._wall_clock = pace, limit, wall_clock
        self._lock = threading.Lock()
        self._day = ""
        self._written = 0  # requests of the day that the file knows
        self._pending = 0  # requests since
        self._due = REQUESTS_A_WRITE  # requests in `_pending` at which the file is written
        self._failed = False
        self._synchronise()

    @property
    def used(self) -> int:
        """Requests made on this UTC day."""
        with self._lock:
            if self._today() != self._day:
                self._synchronise()
            return self._written + self._pending

    def take(self) -> float:
        """
        Count one request, and return how many seconds to wait before it is sent.

        Raises
        ------
        ThrottledError
            If the day's limit is reached.
        """
        with self._lock:
            if self._pending >= self._due or self._today() != self._day:
                self._synchronise()
            if self._written + self._pending >= self._limit:
                raise ThrottledError(
                    f"{self._written + self._pending:,} tile requests were made today (UTC), and the service's limit "
                    f"is {self._limit:,} a day",
                    hint="run the same command tomorrow: it goes on where this one stopped",
                )
            self._pending += 1
        return self._pace.take()

    def close(self) -> None:
        """Write the counts."""
        with self._lock:
            self._synchronise()

    def _today(self) -> str:
        return datetime.fromtimestamp(self._wall_clock(), UTC).date().isoformat()

    def _synchronise(self) -> None:
        """Add what this process did to the file, and learn what others did."""
        from filelock import FileLock, Timeout

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._path}.lock", timeout=LOCK_PATIENCE_S):
                self._merge(_read(self._path))
        except (OSError, Timeout, NotImplementedError) as error:
            if not self._failed:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                log.warning("the count of today's tile requests cannot be kept: %s", reason)
            self._failed = True
            self._roll_over()
            self._due = self._pending + REQUESTS_A_WRITE

    def _merge(self, state: dict[str, Any]) -> None:
        self._roll_over()
        now, today = self._wall_clock(), self._day
        counts = state["requests"] if state["day"] == today else {}
        level = float(self._pace.burst)
        # A clock that was set back since then says nothing of the time that has passed.
        if state["level"] is not None and state["at"] <= now + LOCK_PATIENCE_S:
            minutes = max(0.0, now - state["at"]) / 60
            level = min(level, max(-level, state["level"]) + minutes * self._pace.rate_per_minute)
        level -= self._pending
        counts[self._key] = counts.get(self._key, 0) + self._pending
        if self._pending:
            state = {"day": today, "requests": counts, "level": round(level, 3), "at": round(now, 3)}
            store.write_text(json.dumps(state) + "\n", self._path)
        self._written, self._pending, self._due = counts[self._key], 0, REQUESTS_A_WRITE
        self._pace.lower(level)

    def _roll_over(self) -> None:
        """Start a new day's count; pending requests belong to the day before, which is over."""
        today = self._today()
        if today != self._day:
            self._day, self._written, self._pending = today, 0, 0


def _read(path: Path) -> dict[str, Any]:
    """Return the state in a file; a new one if the file is missing or unreadable."""
    fresh: dict[str, Any] = {"day": "", "requests": {}, "level": None, "at": 0.0}
    try:
        content = places.content_of(path, LONGEST_FILE)
        state = json.loads(content) if len(content) <= LONGEST_FILE else {}
        level, at = float(state["level"]), float(state["at"])
        requests = {str(key): int(count) for key, count in state["requests"].items()}
        sound = abs(level) < MOST_COUNTED and 0 <= at < MOST_COUNTED**2
        if not sound or not all(0 <= count < MOST_COUNTED for count in requests.values()):
            state = {}
        return {"day": str(state["day"]), "requests": requests, "level": level, "at": at}
    except FileNotFoundError:
        return fresh
    except OSError as error:
        raise FileError(f"{path.name}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        log.warning("%s is damaged; the count of today's tile requests starts anew", path.name)
        return fresh
