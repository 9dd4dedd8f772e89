"""The pace of requests: so many at once, then so many a minute."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pace:
    """
    A token bucket: so many requests at once, then so many a minute.

    Parameters
    ----------
    rate_per_minute
        Requests a minute in the long run.
    burst
        Requests that may go out before that.
    clock
        Seconds that only grow.
    """

    def __init__(self, rate_per_minute: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        if not rate_per_minute > 0 or burst < 1:
            raise ValueError(f"a pace of {rate_per_minute} a minute after {burst} at once lets nothing pass")
        self.rate_per_minute = rate_per_minute
        self.burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._level = float(burst)
        self._filled_at = clock()

    @property
    def level(self) -> float:
        """Requests that may go out now; below zero where that many already wait."""
        with self._lock:
            return self._fill()

    def take(self) -> float:
        """Count one request, and return how many seconds to wait before it is sent."""
        with self._lock:
            self._level = self._fill() - 1
            return max(0.0, -self._level * 60 / self.rate_per_minute)

    def lower(self, level: float) -> None:
        """Let no more requests go out at once than `level`, because others use the same address."""
        with self._lock:
            self._level = min(self._fill(), level)

    def seconds_for(self, requests: int) -> float:
        """Return how long this many requests take to go out, if they start now."""
        return max(0.0, (requests - self.level) * 60 / self.rate_per_minute)

    def _fill(self) -> float:
        now = self._clock()
        self._level = min(float(self.burst), self._level + (now - self._filled_at) / 60 * self.rate_per_minute)
        self._filled_at = now
        return self._level
