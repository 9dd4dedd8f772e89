"""
Progress of long work: a bar on a terminal, plain lines in files and pipes, nothing if quiet.

Every function that takes long accepts a `Progress`; None means silence, so nothing draws in
somebody else's program unless it asks for it. What such a function does in steps is shown on the same
display, without being passed on: `working` finds it, as a log record finds its handler. A `Run` also notes
what its work leaves behind, for the words after Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

LINE_EVERY_S = 10.0
"""Seconds between two plain lines, where there is no terminal to draw a bar on."""

STEP_AFTER_S = 2.0
"""Seconds after which a step is worth a plain line; most steps take less."""

LATELY_S = 60.0
"""Seconds over which a rate is taken: what a run found done already says nothing about the rest."""

FORESEEN_S = 30 * 86_400.0
"""A longer time left says only that nothing moves yet."""

TICK_S = 0.25
"""Seconds between two looks at whether a plain line is due."""


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
            The unit that is counted, in the plural.

        Yields
        ------
        bar
            Call its `advance` as units are done, from any thread.
        """
        yield _Silence()

    @contextmanager
    def step(self, label: str) -> Iterator[Step]:  # noqa: ARG002
        """
        Show a step of a computation: the seconds it takes, and how far it is where it counts.

        Parameters
        ----------
        label
            What is done, such as "reading the images".

        Yields
        ------
        step
            Call its `begin` before units are counted, and `advance` as they are done.
        """
        yield _Silence()

    def note(self, text: str) -> None:
        """Show the user a message."""


class Step(Bar, Protocol):
    """A step of a computation, which may count one thing after another."""

    def begin(self, total: float | None, unit: str) -> None:
        """Count from 0 again, up to a new total in a new unit."""


class _Silence:
    def advance(self, n: float = 1, size: float = 0) -> None:
        pass

    def begin(self, total: float | None, unit: str) -> None:
        pass


class _Count:
    """What is done of a piece of work, and its words: the same on every display."""

    def __init__(self, label: str, total: float | None, unit: str, clock: Callable[[], float]) -> None:
        self.label, self.clock = label, clock
        self.started = clock()
        self._lock = threading.Lock()
        self._restart(total, unit)

    def _restart(self, total: float | None, unit: str) -> None:
        self.total, self.unit = total, unit
        self.done = self.size = 0.0
        self._since = self.clock()
        self._lately = deque([(self._since, 0.0, 0.0)])

    def begin(self, total: float | None, unit: str) -> None:
        with self._lock:
            self._restart(total, unit)
        self.moved()

    def advance(self, n: float = 1, size: float = 0) -> None:
        with self._lock:
            self.done += n
            self.size += size
            now = self.clock()
            if now - self._lately[-1][0] >= 1:
                self._lately.append((now, self.done, self.size))
                while len(self._lately) > 2 and now - self._lately[1][0] >= LATELY_S:
                    self._lately.popleft()
        self.moved()

    def moved(self) -> None:
        """Be told that something was counted; displays do with it what they need."""

    def words(self) -> str:
        """Return how far the work is, the rate, and the time left, without the label."""
        with self._lock:
            now = self.clock()
            since, done, size = self._lately[0]
            total = self.total if self.total and self.done <= self.total else None
            rates = (self.done - done) / max(now - since, 1e-3), (self.size - size) / max(now - since, 1e-3)
            counted = self.done or self.unit
            parts = [self._amount(total)] if counted else [_seconds(now - self.started)]
            if self.size and self.unit != "MB":
                parts.append(f"{self.size / 1e6:,.1f} MB")
            if self.size:
                parts.append(f"{rates[1] / 1e6:,.1f} MB/s")
            elif self.done and now - since >= 1:
                parts.append(_rate(rates[0]))
            if total is not None and rates[0] > 0 and self.done < total and now - since >= 1:
                left = (total - self.done) / rates[0]
                if left < FORESEEN_S:
                    parts.append(f"{_seconds(left)} left")
            return ", ".join(parts)

    def _amount(self, total: float | None) -> str:
        many = self.done if total is None else total
        unit = self.unit[:-1] if many == 1 and self.unit.endswith("s") else self.unit
        written = _megabytes(many) if self.unit == "MB" else ",.0f"
        of = "" if total is None else f" of {total:{written}}"
        return f"{self.done:{written}}{of} {unit}".rstrip()


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
        self._open: list[_Line] = []
        self._changes = threading.Lock()

    @contextmanager
    def bar(self, label: str, *, total: float | None = None, unit: str = "") -> Iterator[Bar]:
        """Show a line every few seconds, whether or not anything gets done, and one at the end."""
        with self._line(_Line(self.write, self._clock, label, total, unit, first_s=LINE_EVERY_S)) as line:
            try:
                yield line
            finally:
                if line.total != 0 or line.done:
                    line.show()

    @contextmanager
    def step(self, label: str) -> Iterator[Step]:
        """Show a line after two seconds and then every few seconds; nothing for shorter steps."""
        with self._line(_Line(self.write, self._clock, label, None, "", first_s=STEP_AFTER_S)) as line:
            yield line

    @contextmanager
    def _line(self, line: _Line) -> Iterator[_Line]:
        with self._changes:
            self._open.append(line)
            if len(self._open) == 1:
                self._over = threading.Event()
                threading.Thread(target=self._tick, args=(self._over,), daemon=True, name="mlygeo-progress").start()
        try:
            yield line
        finally:
            with self._changes:
                self._open.remove(line)
                if not self._open:
                    self._over.set()

    def _tick(self, over: threading.Event) -> None:
        """Show the innermost piece of work when it is due, even while none of its units gets done."""
        while not over.wait(TICK_S):
            with self._changes:
                line = self._open[-1] if self._open else None
            if line is not None:
                line.show_if_due()

    def write(self, text: str) -> None:
        """Write a line as it stands."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        """Write a line."""
        self.write(self._words(text))


class _Line(_Count):
    def __init__(
        self,
        write: Callable[[str], None],
        clock: Callable[[], float],
        label: str,
        total: float | None,
        unit: str,
        *,
        first_s: float,
    ) -> None:
        super().__init__(label, total, unit, clock)
        self._write = write
        self._due = self.started + first_s
        self._showing = threading.Lock()

    def moved(self) -> None:
        self.show_if_due()

    def show_if_due(self) -> None:
        # Threads that come to show the same line leave it to the first of them.
        if self.clock() >= self._due and self._showing.acquire(blocking=False):
            try:
                self.show()
            finally:
                self._showing.release()

    def show(self) -> None:
        self._due = self.clock() + LINE_EVERY_S
        self._write(f"{self.label}: {self.words()}")


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
        self._drawing: Any = None
        self._open = 0
        self._changes = threading.Lock()

    @contextmanager
    def bar(self, label: str, *, total: float | None = None, unit: str = "") -> Iterator[Bar]:
        """Draw a bar."""
        with self._drawn(label, total, unit) as drawn:
            yield drawn

    @contextmanager
    def step(self, label: str) -> Iterator[Step]:
        """Draw a bar that runs to and fro until something is counted."""
        with self._drawn(label, None, "") as drawn:
            yield drawn

    @contextmanager
    def _drawn(self, label: str, total: float | None, unit: str) -> Iterator[_Drawn]:
        with self._changes:
            if not self._open:
                self._drawing = _drawing()
                self._drawing.start()
            self._open += 1
            drawing = self._drawing
        drawn = _Drawn(drawing, label, total, unit)
        try:
            yield drawn
        finally:
            drawing.remove_task(drawn.task)
            with self._changes:
                self._open -= 1
                if not self._open:
                    drawing.stop()

    def note(self, text: str) -> None:
        """Write a line."""
        sys.stderr.write(f"{self._words(text)}\n")
        sys.stderr.flush()


def _drawing() -> Any:
    """Return bars on the terminal, none yet: their words say the count, the rate and the time left."""
    from rich import progress as rich_progress
    from rich.console import Console
    from rich.text import Text

    class Words(rich_progress.ProgressColumn):
        def render(self, task: rich_progress.Task) -> Text:
            return Text(task.fields["count"].words())

    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn(),
        Words(),
        rich_progress.TimeElapsedColumn(),
    )
    return rich_progress.Progress(*columns, console=Console(stderr=True), transient=True)


class _Drawn(_Count):
    def __init__(self, drawing: Any, label: str, total: float | None, unit: str) -> None:
        super().__init__(label, total, unit, time.monotonic)
        self._drawing = drawing
        self.task = drawing.add_task(label, total=total, count=self)

    def begin(self, total: float | None, unit: str) -> None:
        super().begin(total, unit)
        self._drawing.update(self.task, total=total)

    def moved(self) -> None:
        self._drawing.update(self.task, completed=self.done)


def _seconds(seconds: float) -> str:
    """Return a time in the unit that suits it: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"


def about(seconds: float) -> str:
    """Return an estimated time, such as "about 45 s"."""
    return "less than a second" if seconds < 1 else f"about {_seconds(seconds)}"


def _rate(a_second: float) -> str:
    """Return a rate, a minute where a second brings little."""
    if a_second < 0.1:
        return f"{a_second * 60:.1f}/min"
    return f"{a_second:,.1f}/s" if a_second < 10 else f"{a_second:,.0f}/s"


def _megabytes(total: float) -> str:
    """Return the format of megabytes: what is little has decimals enough not to be 0."""
    return ",.0f" if total >= 100 else ",.1f" if total >= 1 else ".3f"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 tile" or "1,298 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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


# A run: the display on which its steps are shown, and what it leaves behind if it is interrupted.


@dataclass
class Run:
    """
    A call of a public function, or a command.

    Parameters
    ----------
    display
        The display of its steps.
    kept
        What the run has done so far that the next one goes on from, such as "the tiles fetched so far are kept".
    written
        How many files of its result it has written.
    writing
        Whether it writes its result now.
    keeping
        What is kept once a file that it writes now is whole.
    """

    display: Progress = field(default_factory=Progress)
    kept: list[str] = field(default_factory=list)
    written: int = 0
    writing: bool = False
    keeping: str | None = None

    def left_behind(self) -> str:
        """Return what there is of the run after it was interrupted, in words."""
        words = list(dict.fromkeys(self.kept))
        if self.written:
            some = "one file is" if self.written == 1 else f"{self.written:,} files are"
            words.append(f"{some} written, the rest not")
        if not words:
            return "nothing was written"
        on = "goes on from there" if self.kept else "writes all of them"
        return f"{', '.join(words)}: the same command {on}"


_RUN: ContextVar[Run | None] = ContextVar("mlygeo_run", default=None)

_STEP: ContextVar[Step | None] = ContextVar("mlygeo_step", default=None)


@contextmanager
def running(display: Progress | None = None) -> Iterator[Run]:
    """
    Make a run the current one, within this block and this thread.

    Parameters
    ----------
    display
        The display of its steps; None for that of the run around it, if there is one.

    Yields
    ------
    run
        The run.
    """
    run = _RUN.get() or Run()
    before = run.display
    run.display = display or before
    token = _RUN.set(run)
    try:
        yield run
    finally:
        run.display = before
        _RUN.reset(token)


@contextmanager
def working(label: str) -> Iterator[Step]:
    """
    Show a step of the current run on its display; without one, nothing.

    Parameters
    ----------
    label
        What is done, such as "reading the images".

    Yields
    ------
    step
        Counts units, if the step has any; work in `mlygeo.arrays.in_threads` is counted by itself.
    """
    run = _RUN.get()
    with (Progress() if run is None else run.display).step(label) as shown:
        token = _STEP.set(shown)
        try:
            yield shown
        finally:
            _STEP.reset(token)


def current_step() -> Step:
    """Return the innermost step of the current run; one that shows nothing where there is none."""
    return _STEP.get() or _Silence()


def counting(items: Iterable[T], total: int, unit: str) -> Iterator[T]:
    """
    Yield items, and count them in the innermost step of the current run.

    Parameters
    ----------
    items
        What is worked on.
    total
        How many there are.
    unit
        What they are, in the plural.
    """
    step = current_step()
    step.begin(total, unit)
    for item in items:
        yield item
        step.advance()
    step.begin(None, "")


def keep(what: str) -> None:
    """
    Note what the current run has done that the next one goes on from.

    Parameters
    ----------
    what
        A sentence without its end, such as "the tiles fetched so far are kept".
    """
    if (run := _RUN.get()) is not None and what not in run.kept:
        run.kept.append(what)


@contextmanager
def writing() -> Iterator[None]:
    """Show that the result of the current run is written; the files that get complete meanwhile are its result."""
    run = _RUN.get() or Run()
    run.writing = True
    try:
        with working("writing"):
            yield
    finally:
        run.writing = False


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """
    Note what the next run goes on from as soon as a file is whole that is written in this block.

    Parameters
    ----------
    what
        As of `keep`.
    """
    run = _RUN.get() or Run()
    before, run.keeping = run.keeping, what
    try:
        yield
    finally:
        run.keeping = before


def wrote() -> None:
    """Note that a file is written, whole; state that a run keeps for itself is not a result of it."""
    if (run := _RUN.get()) is None:
        return
    if run.keeping is not None:
        keep(run.keeping)
    elif run.writing:
        run.written += 1


def may_ask() -> bool:
    """Return whether there is a terminal at which to ask the user."""
    return sys.stdin is not None and sys.stdin.isatty()
