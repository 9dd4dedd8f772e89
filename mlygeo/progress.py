"""
Progress of long work: a bar on a terminal, plain lines in files and pipes, nothing if quiet.

Every function that takes long accepts a `Progress`; None means silence, so nothing draws in
somebody else's program unless it asks for it.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich import progress as rich_progress

LINE_EVERY_S = 10.0
"""Seconds between two plain lines, where there is no terminal to draw a bar on."""


class Bar(Protocol):
    """Progress of one piece of work."""

    def advance(self, n: float = 1, size: float = 0) -> None:
        """Note that `n` more units are done, which brought `size` bytes."""


class Progress:
    """
    Silent progress; the base of those that show something.

    Examples
    --------
    >>> with Progress().bar("tiles", total=10, unit="tiles") as bar:
    ...     bar.advance()
    """

    @contextmanager
    def bar(self, label: str, *, total: float | None = None, unit: str = "") -> Iterator[Bar]:  # noqa: ARG002
        """
        Show the progress of one piece of work.

        Parameters
        ----------
        label
            The kind of work, in a word or two.
        total
            How many units there are; None when unknown.
        unit
            The unit that is counted.

        Yields
        ------
        bar
            Call its `advance` as units are done, from any thread.
        """
        yield _Silence()

    def note(self, text: str) -> None:
        """Show the user a message."""


class _Silence:
    def advance(self, n: float = 1, size: float = 0) -> None:
        pass


class LineProgress(Progress):
    """
    Progress as plain lines, for pipes and log files.

    Parameters
    ----------
    stream
        The stream for the lines; by default standard error.
    clock
        Seconds that only grow.
    words
        Function that turns a note into the words to show.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        words: Callable[[str], str] = str,
    ) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._words = words

    @contextmanager
    def bar(self, label: str, *, total: float | None = None, unit: str = "") -> Iterator[Bar]:
        """Show a line every few seconds, and one at the end."""
        line = _Line(label, total, unit, self._stream, self._clock)
        try:
            yield line
        finally:
            line.show()

    def note(self, text: str) -> None:
        """Write a line."""
        self._stream.write(f"{self._words(text)}\n")
        self._stream.flush()


class _Line:
    def __init__(self, label: str, total: float | None, unit: str, stream: TextIO, clock: Callable[[], float]) -> None:
        self._label, self._total, self._unit, self._stream, self._clock = label, total, unit, stream, clock
        self._done = self._size = 0.0
        self._started = self._shown = clock()

    def advance(self, n: float = 1, size: float = 0) -> None:
        self._done += n
        self._size += size
        if self._clock() - self._shown >= LINE_EVERY_S:
            self.show()

    def show(self) -> None:
        self._shown = self._clock()
        total = f" of {self._total:,.0f}" if self._total is not None else ""
        elapsed = self._shown - self._started
        brought = f", {_amount(self._size, elapsed)}" if self._size else ""
        left = ""
        if self._total and 0 < self._done < self._total:
            left = f", {elapsed / self._done * (self._total - self._done):.0f} s left"
        self._stream.write(f"{self._label}: {self._done:,.0f}{total} {self._unit}{brought}{left}\n")
        self._stream.flush()


class TerminalProgress(Progress):
    """
    Progress as bars on a terminal or in a notebook, with rate and time left; gone when done.

    Parameters
    ----------
    words
        Function that turns a note into the words to show.
    """

    def __init__(self, words: Callable[[str], str] = str) -> None:
        self._words = words

    @contextmanager
    def bar(self, label: str, *, total: float | None = None, unit: str = "") -> Iterator[Bar]:
        """Draw a bar."""
        from rich import progress as rich_progress
        from rich.console import Console

        columns = (
            rich_progress.TextColumn("{task.description}"),
            rich_progress.BarColumn(),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TextColumn(unit),
            rich_progress.TextColumn("{task.fields[brought]}"),
            rich_progress.TimeElapsedColumn(),
            rich_progress.TimeRemainingColumn(),
        )
        with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
            yield _Drawn(drawn, drawn.add_task(label, total=total, brought=""))

    def note(self, text: str) -> None:
        """Write a line."""
        sys.stderr.write(f"{self._words(text)}\n")
        sys.stderr.flush()


class _Drawn:
    def __init__(self, drawn: rich_progress.Progress, task: rich_progress.TaskID) -> None:
        self._drawn, self._task = drawn, task
        self._size = 0.0
        self._started = time.monotonic()

    def advance(self, n: float = 1, size: float = 0) -> None:
        if size:
            self._size += size
            self._drawn.update(self._task, brought=_amount(self._size, time.monotonic() - self._started))
        self._drawn.advance(self._task, n)


def _amount(size: float, seconds: float) -> str:
    """Return how many megabytes came, and how many a second."""
    return f"{size / 1e6:,.1f} MB, {size / 1e6 / max(seconds, 1e-3):,.1f} MB/s"


def for_terminal(*, quiet: bool = False, stream: TextIO | None = None, words: Callable[[str], str] = str) -> Progress:
    """
    Return the progress that fits where the program runs.

    Parameters
    ----------
    quiet
        Show nothing.
    stream
        The stream for the progress; by default standard error.
    words
        Function that turns a note into the words to show.

    Returns
    -------
    progress
        Bars where the stream is a terminal, plain lines elsewhere; silence when quiet, or when
        the environment variable MLYGEO_NO_PROGRESS is set.
    """
    stream = stream or sys.stderr
    if quiet or os.environ.get("MLYGEO_NO_PROGRESS"):
        return Progress()
    return TerminalProgress(words) if stream.isatty() else LineProgress(stream, words=words)
