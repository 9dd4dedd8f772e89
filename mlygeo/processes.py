"""
Tasks on processes of this machine: each does one at a time, and one that ends in the middle costs its task alone.

When the program itself is killed, its processes end too.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections import deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mlygeo import systems
from mlygeo.own_process import without_pandas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlygeo.errors import MlygeoError

Result = TypeVar("Result")
Task = TypeVar("Task")

MOST_DEATHS = 3
"""Times that a task may end its process before it is given up."""


class Processes:
    """
    Processes, as a context manager; each starts with its first task, and stays for later ones.

    Parameters
    ----------
    number
        How many; 1 does all tasks in this one.
    threads
        Threads of Arrow that each may use.
    """

    def __init__(self, number: int, *, threads: int = 1) -> None:
        self._number, self._threads = number, threads
        # Each a pool of its own: when a process ends, its pool is broken, and the others go on.
        self._pools: dict[int, ProcessPoolExecutor] = {}
        self._busy: dict[Future[Any], tuple[int, int]] = {}

    def each_of(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], *, too_often: Callable[[int], MlygeoError]
    ) -> Iterator[tuple[int, Result]]:
        """
        Yield the places of tasks in a list, and their results, as they are done: a process gets its own task alone.

        Parameters
        ----------
        function
            Does a task; what other processes can import, or a partial of it.
        tasks
            The tasks, which can be sent to another process, in the order in which they begin.
        too_often
            As of `each`, by the place of the task.

        Raises
        ------
        MlygeoError
            What `too_often` returns.
        """
        return self._each(function, range(len(tasks)), tasks.__getitem__, too_often)

    def each(
        self, function: Callable[[int], Result], numbers: Sequence[int], *, too_often: Callable[[int], MlygeoError]
    ) -> Iterator[tuple[int, Result]]:
        """
        Yield the numbers and results of tasks as they are done.

        Parameters
        ----------
        function
            Does a task by its number; what other processes can import, or a partial of it.
        numbers
            The tasks, in the order in which they begin.
        too_often
            Returns the error for a task that ended its process `MOST_DEATHS` times.

        Raises
        ------
        MlygeoError
            What `too_often` returns.
        """
        return self._each(function, numbers, int, too_often)

    def _each(
        self,
        function: Callable[[Any], Result],
        numbers: Sequence[int],
        task: Callable[[int], Any],
        too_often: Callable[[int], MlygeoError],
    ) -> Iterator[tuple[int, Result]]:
        """Yield what `each` does; a function gets what `task` returns for a number."""
        if self._number <= 1:
            for number in numbers:
                yield number, function(task(number))
            return
        left = deque(numbers)
        deaths: dict[int, int] = {}

        def start(at: int) -> None:
            if left:
                number = left.popleft()
                self._busy[self._pool(at).submit(function, task(number))] = at, number

        with _without_main():
            for at in range(min(self._number, len(left))):
                start(at)
        while self._busy:
            for future in wait(self._busy, return_when=FIRST_COMPLETED)[0]:
                at, number = self._busy.pop(future)
                try:
                    result = future.result()
                except BrokenExecutor as error:
                    deaths[number] = deaths.get(number, 0) + 1
                    if deaths[number] >= MOST_DEATHS:
                        raise too_often(number) from error
                    left.append(number)
                    self._pools.pop(at).shutdown(wait=False)
                    with _without_main():
                        start(at)
                    continue
                start(at)
                yield number, result

    def _pool(self, at: int) -> ProcessPoolExecutor:
        if at not in self._pools:
            # Not forked: the threads of Arrow and PROJ would be missing there.
            context = multiprocessing.get_context("spawn")
            self._pools[at] = ProcessPoolExecutor(
                1, mp_context=context, initializer=_begin, initargs=(self._threads, os.getpid())
            )
        return self._pools[at]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, also those at work: what they have not finished is nobody's any more."""
        for at, _number in self._busy.values():
            for process in list((getattr(self._pools.get(at), "_processes", None) or {}).values()):
                process.terminate()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
        self._busy.clear()
        self._pools.clear()


def _begin(threads: int, parent: int) -> None:
    """Prepare a process: the one that started it ends it, not Ctrl-C, and it ends when that one is gone."""
    without_pandas()
    import pyarrow as pa

    pa.set_cpu_count(threads)
    pa.set_io_thread_count(threads)
    systems.ignore_ctrl_c()
    starter = multiprocessing.parent_process()

    def watch() -> None:
        # Where the pipe to a program that was killed is not noticed, the number of the parent changes.
        while starter is not None and starter.is_alive() and systems.is_child_of(parent):
            starter.join(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="mlygeo-parent").start()


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
