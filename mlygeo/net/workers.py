"""Workers that make requests side by side: tasks go in as they are needed, results come as they are done."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Task = TypeVar("Task")
Result = TypeVar("Result")


class Crew(Generic[Task, Result]):
    """
    Does tasks in several threads.

    No more than twice as many tasks as workers are under way or waiting to be taken, so that a
    list of any length needs little memory. The threads are daemons, because a thread that reads
    from a silent socket cannot be woken: Ctrl-C must not wait for its time-out.

    Parameters
    ----------
    work
        Does a task, in a worker's thread.
    workers
        Threads at most; they are started as they are needed.
    name
        Of the threads.

    Examples
    --------
    >>> crew = Crew(len, workers=2, name="lengths")
    >>> sorted(result for _, result in crew.results(["a", "bb"]))
    [1, 2]
    """

    def __init__(self, work: Callable[[Task], Result], *, workers: int, name: str) -> None:
        self._work, self._workers, self._name = work, workers, name
        self._added: list[Task] = []
        self._todo: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Task, Result | Exception]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._over = threading.Event()

    def add(self, tasks: Iterable[Task]) -> None:
        """
        Add tasks that a result has given rise to; from the thread that reads the results.

        They are done before those that still wait, the last one first: so one branch of a growing
        tree of tasks ends before the next begins.

        Parameters
        ----------
        tasks
            More tasks.
        """
        self._added.extend(tasks)

    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result | Exception]]:
        """
        Yield each task with its result, or with the exception that it ended in, as they are done.

        Parameters
        ----------
        tasks
            Taken one by one, in this thread, as workers become free.

        Yields
        ------
        task, result
            In the order in which they are done.
        """
        waiting, under_way = iter(tasks), 0
        try:
            while True:
                while under_way < 2 * self._workers and (task := self._next_task(waiting)) is not None:
                    self._hand_out(task)
                    under_way += 1
                if not under_way:
                    return
                yield self._next_result()
                under_way -= 1
        finally:
            self._over.set()
            for _ in self._threads:
                self._todo.put(None)

    def _next_task(self, waiting: Iterator[Task]) -> Task | None:
        return self._added.pop() if self._added else next(waiting, None)

    def _hand_out(self, task: Task) -> None:
        self._todo.put(task)
        if len(self._threads) < self._workers:
            name = f"mlygeo-{self._name}-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
            self._threads[-1].start()

    def _next_result(self) -> tuple[Task, Result | Exception]:
        while True:
            # A wait without an end would keep Ctrl-C from being seen on Windows.
            with suppress(queue.Empty):
                return self._done.get(timeout=0.5)

    def _run(self) -> None:
        while (task := self._todo.get()) is not None and not self._over.is_set():
            try:
                self._done.put((task, self._work(task)))
            except Exception as error:  # noqa: BLE001 - it is the task's result, for the caller's thread
                self._done.put((task, error))
