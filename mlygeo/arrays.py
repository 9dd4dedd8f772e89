"""Work on long arrays, chunk by chunk, in as many threads as there are processors."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def workers() -> int:
    """Return the number of threads that can run side by side: the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def in_threads(work: Callable[[int, int], None], length: int, chunk: int) -> None:
    """
    Call `work(start, stop)` for all chunks of a length.

    NumPy, PROJ and compiled code let go of the interpreter while they work, so threads use all
    processors. Short work stays in the calling thread.
    """
    starts = range(0, length, chunk)
    threads = min(workers(), len(starts))
    if threads <= 1:
        for start in starts:
            work(start, min(start + chunk, length))
        return
    with ThreadPoolExecutor(threads) as pool:
        # list() raises what a thread raised.
        list(pool.map(lambda start: work(start, min(start + chunk, length)), starts))
