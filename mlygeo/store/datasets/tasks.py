"""
Tasks of a run on several processes: each writes files, and returns counts.

A process that ends in the middle costs its task alone. When the run itself is killed, its processes end too.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from mlygeo.errors import FileError

Work = TypeVar("Work")
Result = TypeVar("Result")

MOST_DEATHS = 5
"""How often processes may end one after another without a task done between."""

_shared: dict[str, Any] = {}
"""What the tasks of this process share; a process has one run."""


def each(
    function: Callable[[Work, int], Result], work: Work, numbers: Sequence[int], *, workers: int
) -> Iterator[tuple[int, Result]]:
    """
    Yield the results of tasks as they are done.

    Parameters
    ----------
    function
        Does a task; a function of a module, since other processes import it.
    work
        What all tasks need.
    numbers
        The tasks.
    workers
        Processes; 1 does them in this one.

    Raises
    ------
    FileError
        If processes end again and again.
    """
    if workers <= 1 or len(numbers) <= 1:
        for number in numbers:
            yield number, function(work, number)
        return
    left, deaths = list(numbers), 0
    while left:
        pool = _pool(function, work, min(workers, len(left)))
        try:
            with _without_main():
                running = {pool.submit(_one, number): number for number in left}
            for future in as_completed(running):
                result = future.result()
                left.remove(running[future])
                deaths = 0
                yield running[future], result
        except BrokenProcessPool as error:
            deaths += 1
            if deaths > MOST_DEATHS:
                raise FileError(
                    "the processes that do the work are ended again and again, as for lack of memory",
                    hint="use fewer `workers`; what is done is kept",
                ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _pool(function: Callable[[Work, int], Any], work: Work, workers: int) -> ProcessPoolExecutor:
    # Not forked: the threads of Arrow and PROJ would be missing there.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(function, work))


def _begin(function: Callable[[Any, int], Any], work: Any) -> None:
    """Prepare a process: it ends when the one that started it does."""
    import pyarrow as pa

    _shared.update(function=function, work=work)
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True, name="mlygeo-parent").start()


def _one(number: int) -> Any:
    return _shared["function"](_shared["work"], number)


@contextmanager
def _without_main() -> Iterator[None]:
    """
    Start processes without the caller's main module.

    They would run a script without a `__main__` guard again, and need nothing of it.
    """
    main = sys.modules.get("__main__")
    hidden = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)
