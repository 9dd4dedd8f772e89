"""Programs that a test starts, waits for and interrupts; a test waits for a state, never for a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

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


_KILLED_AT = """
import os, signal, sys
event, words, times = sys.argv[1], sys.argv[2], int(sys.argv[3])
def killing(happens, about):
    global times
    if happens == event and words in str(about[0]):
        times -= 1
        if times == 0:
            os.kill(os.getpid(), signal.SIGKILL)
from mlygeo.cli import main
sys.addaudithook(killing)
main(sys.argv[4:])
"""


def killed_at(event: str, words: str, command: list[Any], times: int = 1) -> None:
    """Run a command of mlygeo that is killed as a file whose path has these words is renamed, removed, …."""
    program = [sys.executable, "-c", _KILLED_AT, event, words, str(times), *map(str, command)]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
