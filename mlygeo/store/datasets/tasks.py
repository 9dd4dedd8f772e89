"""
Tasks of a run on several processes: each writes files, and returns counts.

A process that ends in the middle costs its task alone. When the run itself is killed, its processes end too.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mlygeo.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Work = TypeVar("Work")
Result = TypeVar("Result")

MOST_DEATHS = 5
"""How often processes may end one after another without a task done between."""


class Processes:
    """
    The processes of a run, as a context manager; they start with the first task.

    Parameters
    ----------
    number
        How many; 1 does all tasks in this one.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._pool: ProcessPoolExecutor | None = None

    def each(
        self, function: Callable[[Work, int], Result], work: Work, numbers: Sequence[int]
    ) -> Iterator[tuple[int, Result]]:
        """
        Yield the numbers and results of tasks as they are done.

        Parameters
        ----------
        function
            Does a task; a function of a module, since other processes import it.
        work
            What all tasks need.
        numbers
            The tasks.

        Raises
        ------
        FileError
            If processes end again and again.
        """
        if self._number <= 1 or len(numbers) <= 1:
            for number in numbers:
                yield number, function(work, number)
            return
        left, deaths = list(numbers), 0
        while left:
            try:
                running = self._submitted(function, work, left)
                for future in as_completed(running):
                    result = future.result()
                    left.remove(running[future])
                    deaths = 0
                    yield running[future], result
            except BrokenProcessPool as error:
                self._end()
                deaths += 1
                if deaths > MOST_DEATHS:
                    raise FileError(
                        "the processes that do the work are ended again and again, as for lack of memory",
                        hint="use fewer `workers`; what is done is kept",
                    ) from error

    def _submitted(
        self, function: Callable[[Work, int], Result], work: Work, numbers: Sequence[int]
    ) -> dict[Future[Result], int]:
        with _without_main():
            if self._pool is None:
                # Not forked: the threads of Arrow and PROJ would be missing there.
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self._number, mp_context=context, initializer=_begin)
            return {self._pool.submit(function, work, number): number for number in numbers}

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()


def _begin() -> None:
    """Prepare a process: it ends when the one that started it does."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True, name="mlygeo-parent").start()


def _end_after(parent: Any) -> None:
    parent.join()
    os._exit(1)


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
