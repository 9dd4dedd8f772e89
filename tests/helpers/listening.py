"""Servers of other projects that run while a test does, in a process of their own."""

import contextlib
import socket
import subprocess
import sys
import time

STARTS_S = 60.0
"""Seconds after which a server that does not listen will not."""


@contextlib.contextmanager
def listening(words, port, log):
    """Run a Python module with these words until the end, from when it listens; what it says goes to the log."""
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", *words], stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + STARTS_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)
