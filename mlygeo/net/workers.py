"""
Work done side by side: a pool of workers, and a queue in which an item may wait for another try.

Both keep a bounded number of tasks in memory, whatever the length of the list they come from.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator


log = logging.getLogger("mlygeo.service")

Task = TypeVar("Task")

Result = TypeVar("Result")

Item = TypeVar("Item")

GLANCE_S = 0.2
"""Seconds between two checks while waiting: longer waits would delay Ctrl-C on Windows."""


class WorkerPool(Generic[Task, Result]):
    """
    Runs tasks in several threads.

    No more than twice as many tasks as workers are under way or waiting to be taken, so that a
    list of any length needs little memory. The threads are daemons, because a thread that reads
    from a silent socket cannot be woken: Ctrl-C must not wait for its time-out.

    Parameters
    ----------
    work
        Function that runs a task, in a worker's thread.
    workers
        Most threads; they are started as needed. Where the system gives fewer, those do the work; where
        it gives none, the caller's does.
    name
        Name of the threads.

    Examples
    --------
    >>> pool = WorkerPool(len, workers=2, name="lengths")
    >>> sorted(result for _, result in pool.results(["a", "bb"]))
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

    def results(self, tasks: Iterable[Task]) -> Generator[tuple[Task, Result | Exception]]:
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

    def leave(self, seconds: float) -> list[tuple[Task, Result | Exception]]:
        """
        Wait for the tasks under way, for so many seconds at most; return what came of them.

        Stop after reading only part of `results`: no other task is started then.

        Parameters
        ----------
        seconds
            Longest wait for all of them together.
        """
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        left = []
        with suppress(queue.Empty):
            while True:
                left.append(self._done.get_nowait())
        return left

    def _next_task(self, waiting: Iterator[Task]) -> Task | None:
        return self._added.pop() if self._added else next(waiting, None)

    def _hand_out(self, task: Task) -> None:
        self._todo.put(task)
        if len(self._threads) < self._workers:
            thread = threading.Thread(target=self._run, name=f"mlygeo-{self._name}-{len(self._threads)}", daemon=True)
            if not start(thread):
                self._workers = max(1, len(self._threads))
            else:
                self._threads.append(thread)
        if not self._threads:
            self._do(self._todo.get_nowait())

    def _next_result(self) -> tuple[Task, Result | Exception]:
        while True:
            # An endless wait would block Ctrl-C on Windows.
            with suppress(queue.Empty):
                return self._done.get(timeout=0.5)

    def _run(self) -> None:
        while (task := self._todo.get()) is not None and not self._over.is_set():
            self._do(task)

    def _do(self, task: Task | None) -> None:
        if task is None:
            return
        try:
            self._done.put((task, self._work(task)))
        except Exception as error:  # noqa: BLE001 - it is the task's result, for the caller's thread
            self._done.put((task, error))


def start(thread: threading.Thread) -> bool:
    """
    Start a thread; return False where the system gives no more of them, which is logged.

    Parameters
    ----------
    thread
        The thread.
    """
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:  # "can't start new thread"
        log.warning("%s; the work goes on in fewer threads", error)
        return False
    return True


class RetryQueue(Generic[Item]):
    """
    Hands items from one thread to several, and takes back those that shall be tried again.

    An item counts as in the queue until `done` says that it is settled, also while it is worked
    on or waits for another try; so memory stays bounded although items come back.

    Parameters
    ----------
    capacity
        Items in the queue at most.
    clock
        Seconds that only grow.

    Examples
    --------
    >>> waiting = RetryQueue(capacity=2)
    >>> waiting.put("a")
    True
    >>> waiting.get()
    'a'
    """

    def __init__(self, capacity: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._capacity, self._clock = capacity, clock
        self._items: list[tuple[float, int, Item]] = []
        self._numbers = itertools.count()
        self._unsettled = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def unsettled(self) -> int:
        """Items in the queue, those that are worked on included."""
        with self._changed:
            return self._unsettled

    def put(self, item: Item) -> bool:
        """Add an item, once there is room; return False where the queue was closed instead."""
        with self._changed:
            while self._unsettled >= self._capacity and not self._closed:
                self._changed.wait(GLANCE_S)
            if self._closed:
                return False
            self._unsettled += 1
            self._push(item, 0.0)
            return True

    def again(self, item: Item, *, after: float) -> None:
        """Put back an item that was taken, to be taken again after so many seconds."""
        with self._changed:
            self._push(item, self._clock() + after)

    def done(self) -> None:
        """Report that a taken item is settled."""
        with self._changed:
            self._unsettled -= 1
            self._changed.notify_all()

    def get(self) -> Item | None:
        """Return the item that is due first, once one is due; None where the queue was closed."""
        with self._changed:
            while not self._closed:
                wait = GLANCE_S
                if self._items:
                    wait = self._items[0][0] - self._clock()
                    if wait <= 0:
                        return heapq.heappop(self._items)[2]
                self._changed.wait(min(wait, 5.0))
            return None

    def wait(self) -> None:
        """Wait until all items are settled, or the queue is closed."""
        with self._changed:
            while self._unsettled and not self._closed:
                self._changed.wait(GLANCE_S)

    def close(self) -> None:
        """Hand out no more items."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _push(self, item: Item, due: float) -> None:
        heapq.heappush(self._items, (due, next(self._numbers), item))
        self._changed.notify_all()
