"""A line of work that is bounded, and in which an item may wait its time before it is taken up again."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Item = TypeVar("Item")

GLANCE_S = 0.2
"""Seconds between two looks around while waiting: longer ones would hide Ctrl-C on Windows."""


class WaitingLine(Generic[Item]):
    """
    Hands items from one thread to several.

    An item counts as in the line until `done` says that it is settled, also while it is worked
    on or waits for another try; so memory stays bounded although items come back.

    Parameters
    ----------
    capacity
        Items in the line at most.
    clock
        Seconds that only grow.

    Examples
    --------
    >>> line = WaitingLine(capacity=2)
    >>> line.put("a")
    True
    >>> line.get()
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
        """Items in the line, those that are worked on included."""
        with self._changed:
            return self._unsettled

    def put(self, item: Item) -> bool:
        """Add an item, once there is room; return False where the line was closed instead."""
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
        """Say that an item which was taken is settled."""
        with self._changed:
            self._unsettled -= 1
            self._changed.notify_all()

    def get(self) -> Item | None:
        """Return the item that is due first, once one is due; None where the line was closed."""
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
        """Wait until all items are settled, or the line is closed."""
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
