"""
Arrays: the names of their types, and work on long ones, chunk by chunk, in as many threads as there are processors.

What takes many times its size in memory while it becomes arrays is worked on in one thread at a time.

The names of types are for annotations; they are imported under TYPE_CHECKING, and NumPy is not loaded for them.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from mlygeo.progress import current_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


LARGE = 8 << 20
"""Bytes from which answers and files are interpreted one at a time, since that takes several times their memory."""

_one_at_a_time = threading.RLock()


@contextmanager
def interpreting(size: int) -> Iterator[None]:
    """Interpret so many bytes: large answers and files one at a time, whichever thread reads them."""
    if size < LARGE:
        yield
        return
    with _one_at_a_time:
        try:
            yield
        finally:
            give_back()


def give_back() -> None:
    """Return freed memory to the system: the GNU C library keeps some for each thread that had it, and Arrow all."""
    import ctypes

    arrow: Any = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return
    trim(0)


def workers() -> int:
    """Return the number of threads that can run side by side: the processors this process may use, or fewer."""
    if (most := _most.get()) is not None:
        return most
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


_most: ContextVar[int | None] = ContextVar("most", default=None)


@contextmanager
def most_threads(number: int | None) -> Iterator[None]:
    """
    Let no more threads run side by side for what is called in this block: others use the other processors.

    Parameters
    ----------
    number
        The number of threads; None leaves it as it is.
    """
    token = _most.set(_most.get() if number is None else number)
    try:
        yield
    finally:
        _most.reset(token)


def numbered(count: Whole, start: Any = 0) -> Whole:
    """
    Return the numbers of things in groups, which stand one group after another.

    Parameters
    ----------
    count
        How many each group has, shape (g,).
    start
        The number of the first thing of each group, shape (g,), or of all.

    Returns
    -------
    numbers
        Shape (sum of `count`,): from `start` in each group, one by one.

    Examples
    --------
    >>> numbered(np.array([3, 0, 2]))
    array([0, 1, 2, 0, 1])
    """
    import numpy as np

    numbers: Whole = np.arange(int(count.sum())) + np.repeat(start - (np.cumsum(count) - count), count)
    return numbers


def sums_before(steps: Whole, count: Whole, start: Any = 0) -> Whole:
    """
    Return for each thing in groups, which stand one group after another, the sum of those before it in its group.

    Parameters
    ----------
    steps
        What each thing adds, int64, shape (n,).
    count
        How many things each group has, shape (g,), n together.
    start
        The sum where each group begins, shape (g,), or of all.

    Examples
    --------
    >>> sums_before(np.array([5, 7, 9]), np.array([2, 1]))
    array([0, 5, 0])
    """
    import numpy as np

    total: Whole = np.cumsum(steps)
    total -= steps
    first = np.cumsum(count) - count
    some = count > 0
    total += np.repeat(np.broadcast_to(start, first.shape)[some] - total[first[some]], count[some])
    return total


def runs(values: npt.NDArray[Any]) -> tuple[Whole, Whole]:
    """
    Return the runs of equal values.

    Parameters
    ----------
    values
        Shape (n,), of any type that compares.

    Returns
    -------
    count, first
        How often the value of each run stands in a row, and where the run starts, shape (g,).

    Examples
    --------
    >>> runs(np.array([7, 7, 4]))
    (array([2, 1]), array([0, 2]))
    """
    import numpy as np

    if not len(values):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    first = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return np.diff(first, append=len(values)), first


def within_runs(values: npt.NDArray[Any]) -> Whole:
    """
    Return the number of each value within its run of equal values, from 0.

    Parameters
    ----------
    values
        Shape (n,), of any type that compares.

    Examples
    --------
    >>> within_runs(np.array([7, 7, 4]))
    array([0, 1, 0])
    """
    return numbered(runs(values)[0])


def distinct(values: Whole) -> int:
    """Return the number of different values; to sort them takes a tenth of the time that `np.unique` takes."""
    import numpy as np

    ascending = values if (values[1:] > values[:-1]).all() else np.sort(values)
    return int(np.count_nonzero(ascending[1:] != ascending[:-1])) + (len(ascending) > 0)


def maybe_repeated(numbers: npt.NDArray[Any]) -> Rows:
    """
    Return the rows of all numbers that stand in several rows, and of a few others; none where there are none.

    Numbers of half the length that stand for them are sorted, which takes a third of the time: only rows that
    share one are returned.

    Parameters
    ----------
    numbers
        int64 or uint64, shape (n,).
    """
    import numpy as np

    from mlygeo.kernels import kernel

    none = np.empty(0, dtype=np.int64)
    if (numbers[1:] > numbers[:-1]).all():
        return none
    code = kernel("mlygeo.arrays_numba", len(numbers) * SAVED_S)
    if code is not None:
        found: Rows = code.maybe_repeated(numbers.view(np.uint64))
        return found
    spread = numbers.view(np.uint64) * np.uint64(GOLDEN)
    spread >>= np.uint64(32)
    short = spread.astype(np.uint32)
    del spread
    ordered = np.sort(short)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(shared):
        return none
    # Which rows have a number that is shared is looked up by its first bits, so that a few others are among them.
    may = np.zeros(1 << _BITS, dtype=bool)
    may[shared >> (32 - _BITS)] = True
    return np.flatnonzero(may[short >> (32 - _BITS)])


def mix(values: Words) -> Words:
    """Spread 64-bit numbers (the finalizer of SplitMix64; Steele, Lea and Flood 2014)."""
    import numpy as np

    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


GOLDEN = 0x9E3779B97F4A7C15
"""The golden ratio in 64 bits, which spreads numbers that follow each other (Knuth, volume 3, 6.4)."""

SAVED_S = 3e-8
"""Processor time that compiled code saves for each number that is looked for elsewhere (measured)."""

_BITS = 24
"""Bits of a table of shared numbers: 16 MB."""


def in_threads(work: Callable[[int, int], None], length: int, chunk: int, unit: str = "") -> None:
    """
    Call `work(start, stop)` for all chunks of a length, and count them in the step that is shown.

    NumPy, PROJ and compiled code let go of the interpreter while they work, so threads use all
    processors. Short work stays in the calling thread.

    Parameters
    ----------
    work
        Is given where a chunk starts and stops.
    length
        Length of all chunks together.
    chunk
        Length of one.
    unit
        What the length counts, in the plural, for the display of progress.
    """
    starts = range(0, length, chunk)
    if len(starts) <= 1:
        if length:
            work(0, length)
        return

    def one(start: int) -> int:
        stop = min(start + chunk, length)
        work(start, stop)
        return stop - start

    step, threads = current_step(), min(workers(), len(starts))
    step.begin(length, unit)
    if threads <= 1:
        for start in starts:
            step.advance(one(start))
    else:
        with ThreadPoolExecutor(threads) as pool:
            for done in pool.map(one, starts):  # taking the results raises what a thread raised
                step.advance(done)
    step.begin(None, "")


def through_pyproj(step: Callable[..., Any], *columns: Any) -> tuple[Floats, ...]:
    """
    Call a function of pyproj with columns of numbers, and return columns.

    pyproj takes an array of one number for a number where NumPy lets it (before 2.4, with a warning), and gives back
    a number; so one row is given twice.

    Parameters
    ----------
    step
        The function, such as `Transformer.transform`, or a partial of it.
    columns
        Arrays of one shape.
    """
    import numpy as np

    if np.size(columns[0]) != 1:
        return tuple(step(*columns))
    return tuple(each[:1].reshape(np.shape(columns[0])) for each in step(*(np.repeat(each, 2) for each in columns)))
