"""
Arrays: the names of their types, and work on long ones, chunk by chunk, in as many threads as there are processors.

The names of types are for annotations; they are imported under TYPE_CHECKING, and NumPy is not loaded for them.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    Floats: TypeAlias = npt.NDArray[np.float64]
    Whole: TypeAlias = npt.NDArray[np.int64]
    Whole32: TypeAlias = npt.NDArray[np.int32]
    Flags: TypeAlias = npt.NDArray[np.bool_]
    Bytes: TypeAlias = npt.NDArray[np.uint8]
    Words: TypeAlias = npt.NDArray[np.uint64]  # eight bytes at once, or a hash
    Indices: TypeAlias = npt.NDArray[np.intp]  # as np.flatnonzero and np.argsort give them
    Times: TypeAlias = npt.NDArray[np.datetime64]
    Objects: TypeAlias = npt.NDArray[np.object_]
    Rows: TypeAlias = Whole  # row numbers

Bounds: TypeAlias = tuple[float, float, float, float]
"""West, south, east, north in degrees; west > east where the antimeridian lies between."""


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
