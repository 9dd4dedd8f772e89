"""
Several processes for large folders: plain interpreters that read photos and answer with columns.

They are started afresh with a command of their own, so that they inherit no threads or locks, and a
script without a `__main__` guard, a notebook and a frozen program work alike; `multiprocessing` would
run the caller's main module once more in each of them.
"""

from __future__ import annotations

import logging
import marshal
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO

from mlygeo.readers import photo

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger("mlygeo.readers.photos")

_LENGTH = struct.Struct("<Q")
_COMMAND = "from mlygeo.readers import _workers; _workers.serve()"


def read_chunks(chunks: list[list[str]], *, local: bool, workers: int) -> Iterator[tuple[int, list[list[object]]]]:
    """
    Read chunks of photos in several processes, and yield the columns of each with its number, as they come.

    A chunk whose process could not be started, or died, is read in this process instead.
    """
    if workers < 2:
        for number, chunk in enumerate(chunks):
            yield number, photo.read_photos(chunk, local=local)
        return
    todo: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, list[list[object]] | None]] = SimpleQueue()
    for number in range(len(chunks)):
        todo.put(number)
    stop = threading.Event()
    threads = [
        threading.Thread(target=_feed, args=(chunks, local, todo, done, stop), daemon=True)
        for _ in range(min(workers, len(chunks)))
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in chunks:
            number, columns = done.get()
            yield number, photo.read_photos(chunks[number], local=local) if columns is None else columns
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _feed(
    chunks: list[list[str]],
    local: bool,
    todo: SimpleQueue[int],
    done: SimpleQueue[tuple[int, list[list[object]] | None]],
    stop: threading.Event,
) -> None:
    """Hand chunks to one worker until there are none left."""
    worker: subprocess.Popen[bytes] | None = None
    try:
        worker = _start()
    except OSError as error:
        log.warning("no further process could be started (%s); photos are read in this one", error)
    try:
        while not stop.is_set():
            try:
                number = todo.get_nowait()
            except Empty:
                return
            columns: Any = None
            if worker is not None:
                try:
                    _send(worker.stdin, (chunks[number], local))  # type: ignore[arg-type]
                    columns = _receive(worker.stdout)  # type: ignore[arg-type]
                except (OSError, EOFError, ValueError) as error:
                    log.warning("a process that read photos ended (%s); its share is read in this one", error)
                    worker.kill()
                    worker.communicate()
                    worker = None
            done.put((number, columns))
    finally:
        if worker is not None:
            worker.communicate()  # closes its input, upon which it ends


def _start() -> subprocess.Popen[bytes]:
    # -P keeps Python files that lie among the photos from being imported; PYTHONPATH says where we are.
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and our own command
        [sys.executable, "-P", "-c", _COMMAND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def serve() -> None:
    """Answer requests on standard input until it is closed; what a worker process runs."""
    import signal

    # Ctrl-C reaches the whole group; the parent closes our input when it stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            paths, local = _receive(requests)
        except EOFError:
            return
        _send(answers, photo.read_photos(paths, local=local))


def _send(stream: BinaryIO, message: Any) -> None:
    data = marshal.dumps(message)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream: BinaryIO) -> Any:
    start = stream.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        raise EOFError("its pipe was closed")
    # Both ends are the same interpreter and the same module: nothing foreign is ever loaded.
    return marshal.loads(stream.read(_LENGTH.unpack(start)[0]))  # noqa: S302
