"""Work counted instead of seconds: lines of Python, bytes of memory, attempts to connect."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from helpers.processes import WAITS_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_LINES = 500_000
"""Lines of Python that no reader needs for a file of some kilobytes, and what it imports at its first use."""


@contextmanager
def at_most(lines: int = MOST_LINES) -> Iterator[None]:
    """Fail as soon as the block has run so many lines of Python; what runs in compiled code does not count."""
    run = 0

    def count(frame: Any, event: str, argument: Any) -> Any:
        nonlocal run
        run += event == "line"
        if run > lines:
            raise AssertionError(f"more than {lines:,} lines of Python were run")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)
    assert run <= lines


@contextmanager
def little_memory(most: float) -> Iterator[None]:
    """Fail if the block allocates more bytes at a time than so many."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


_connects: list[list[Any]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for attempts in _connects:
            attempts.append(arguments[1])


sys.addaudithook(_note)


@contextmanager
def connections() -> Iterator[list[Any]]:
    """Give the addresses to which sockets of this process try to connect, as they do."""
    attempts: list[Any] = []
    _connects.append(attempts)
    try:
        yield attempts
    finally:
        _connects.remove(attempts)


def without_waiting(function: Callable[[], object]) -> None:
    """Call a function that would wait for a minute if its subject was broken, and fail if it does."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread of the test
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(WAITS_S)
    assert not thread.is_alive(), f"it still waits after {WAITS_S:g} s"
    if raised:
        raise raised[0]
