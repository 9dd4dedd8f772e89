"""Programs that a test starts, waits for and interrupts; a test waits for a state, never for a time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HANGS_S = 120.0
"""Seconds after which what a test waits for will not come any more, on the slowest machine."""

WAITS_S = 45.0
"""
Seconds that a program may take to end when it is told to.

A program that waited for an answer of a silent service would take longer: until the client gives up
after 60 s (`Service.read_timeout`). On a busy machine, ending at once may take some seconds.
"""


_started: list[subprocess.Popen[str]] = []


def start(command: list[Any], **options: Any) -> subprocess.Popen[str]:
    """Start a program that writes into pipes; what is left of it after the test, `end_all` ends."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    process = subprocess.Popen([str(word) for word in command], **options)
    _started.append(process)
    return process


def end_all() -> None:
    """End the programs of a test that failed: left open, their pipes would be warnings in the tests after it."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def wait_for(reached: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Return when something is so; fail if it never is, or if the process that should bring it about has ended."""
    until = time.monotonic() + HANGS_S
    while not reached():
        if process is not None and process.poll() is not None:
            said = process.stderr.read() if process.stderr else ""
            pytest.fail(f"the process ended too early, with status {process.returncode}: {said}")
        if time.monotonic() > until:
            pytest.fail("what the test waits for does not come")
        time.sleep(0.002)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what a program wrote that was told to end; fail if it goes on waiting or working."""
    return process.communicate(timeout=WAITS_S)


KILLED = 9 if os.name == "nt" else -9
"""The status of a program that ended itself with `os.kill(os.getpid(), 9)`."""

_KILLED_AT = """
import os, sys
event, words, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
def killing(happens, about):
    global times
    if happens == event and words in str(about[0]).replace(os.sep, "/"):
        times -= 1
        if times == 0:
            os.kill(os.getpid(), 9)
from mlygeo.cli import main
sys.addaudithook(killing)
main(sys.argv[4:])
"""


def killed_at(event: str, words: str, command: list[Any], times: int = 1) -> None:
    """Run a command of mlygeo that is killed as a file whose path has these words is renamed, removed, …."""
    program = [sys.executable, "-c", _KILLED_AT, event, words, str(times), *map(str, command)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == KILLED, ended.stderr


_FORKING = """
import os, sys
loaded = {}
exec(sys.argv.pop(1), loaded)
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = loaded["main"](*sys.argv[1:])
        finally:
            sys.stderr.flush()
            os._exit(status)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    """
    A program that is loaded once and begun again and again, each time in a process of its own, within milliseconds.

    Parameters
    ----------
    code
        What is loaded: imports, and a function `main` that returns the exit status.
    words
        The arguments of `main`, as text.
    log
        The file that the standard error goes to.
    """

    def __init__(self, code: str, *words: Any, log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            command = [sys.executable, "-c", _FORKING, code, *words]
            self._process = start(command, stdin=subprocess.PIPE, stderr=file, text=False, bufsize=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(HANGS_S)
        self._process.stdout.close()

    def begin(self) -> Fork:
        """Begin one run; the one before must have ended."""
        self._process.stdin.write(b"\n")
        return Fork(int(self._process.stdout.readline()), self._process.stdout, self._log)


class Fork:
    """A run of a program; see `Forks`."""

    def __init__(self, pid: int, answers: Any, log: Path) -> None:
        self._pid, self._answers, self._log = pid, answers, log
        self._status: int | None = None

    def poll(self, timeout_s: float = 0) -> int | None:
        """Return the exit status; None while it runs."""
        if self._status is None and select.select([self._answers], [], [], timeout_s)[0]:
            self._status = int(self._answers.readline())
        return self._status

    def kill(self) -> int:
        """Kill it, unless it has ended; return the exit status."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> int:
        """Return the exit status when it has ended."""
        status = self.poll(HANGS_S)
        if status is None:
            pytest.fail(f"the process does not end: {self.said}")
        return status

    @property
    def said(self) -> str:
        """What was written to the standard error of this run and the ones before."""
        return self._log.read_text()


def process_of(_number):
    """The name and number of the process that does this: a function that other processes can import."""
    import multiprocessing

    return multiprocessing.current_process().name, os.getpid()


def locked_asleep(folder, number):
    """Lock a file of that number in a folder and sleep: a function that other processes can import."""
    from mlygeo import systems

    with (folder / f"{number}.new").open("wb") as file:
        assert systems.locked(file.fileno())
        (folder / f"{number}.begun").touch()
        time.sleep(HANGS_S)
