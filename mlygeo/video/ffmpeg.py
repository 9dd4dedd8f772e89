"""
Single frames from a video by the `ffmpeg` program, for hardware and formats that PyAV's wheel does not support.

One process decodes the frames of neighbouring runs. It starts at a key frame, selects the frames by their
times, and writes JPEGs, each preceded by its length, and the time of each to its error stream.
"""

from __future__ import annotations

import logging
import queue
import re
import shutil
import subprocess
import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from mlygeo.errors import DependencyError, FormatError, InputError
from mlygeo.video.decoding import CANNOT, Run, runs_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from mlygeo.arrays import Whole
    from mlygeo.video.sampling import FrameTable

log = logging.getLogger("mlygeo.video.frames")

MOST_FRAMES = 1000
"""Most frames for one process: each makes its command longer, and Windows limits a command to 32 KB."""

NEAR_S = 1.0
"""Seconds of unwanted video that are decoded rather than starting another process."""

BEYOND_S = 30.0
"""Seconds after the last wanted frame at which a process ends that has not found all frames."""

_TIME = re.compile(rb"showinfo.*\bn: *\d+ pts: *(-?\d+)")


def find(name: str, *, hardware: str | None = None) -> Program:
    """
    Find the program.

    Parameters
    ----------
    name
        Its name or path.
    hardware
        The hardware to decode with.

    Raises
    ------
    DependencyError
        If it is missing, or is not ffmpeg.
    InputError
        If it does not support the hardware.
    """
    path = shutil.which(name)
    if path is None:
        raise DependencyError(
            f"the program {name} is to decode, and is not there", hint="install FFmpeg, or leave `decoder` out"
        )
    known = _said(path, "-h", "long")
    if "-hwaccels" not in known:
        raise DependencyError(f"{path} is not an ffmpeg program")
    if hardware is not None:
        names = _said(path, "-hwaccels").split(":", 1)[-1].split()
        if hardware not in names:
            raise InputError(
                f"{path} does not know the hardware {hardware!r}", hint=f"it knows {', '.join(names) or 'none'}"
            )
    return Program(path, ("-fps_mode" if "-fps_mode" in known else "-vsync", "passthrough"))


class Program(NamedTuple):
    """An ffmpeg program: its path, and the option with which it neither drops nor duplicates frames."""

    path: str
    passthrough: tuple[str, str]


def pictures(
    program: Program, path: Path, table: FrameTable, rows: Whole, *, quality: int, hardware: str | None = None
) -> Iterator[tuple[int, bytes]]:
    """
    Yield frames as JPEG, upright and in JPEG's colours, as they are finished.

    Parameters
    ----------
    program
        The program, of `find`.
    path
        The video.
    table
        Its frames.
    rows
        The wanted ones.
    quality
        FFmpeg's quantiser, 1 (best) to 31.
    hardware
        The program's name of the hardware; None decodes in software.

    Yields
    ------
    row, jpeg
        Rows that are never yielded could not be decoded.

    Raises
    ------
    FormatError
        If the program writes no picture at all.
    """
    count, errors = 0, ""
    for run in _stretches(table, runs_of(table, rows)):
        process = subprocess.Popen(  # noqa: S603  as above
            _command(program, path, table, run, quality=quality, hardware=hardware),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        with process:
            try:
                listener = _Listener(cast("IO[bytes]", process.stderr))
                expected = dict(zip(table.pts[run.wanted].tolist(), run.wanted.tolist(), strict=True))
                for jpeg in _parts(cast("IO[bytes]", process.stdout)):
                    row = expected.pop(listener.next_time(), None)
                    if row is not None:
                        count += 1
                        yield row, jpeg
                    if not expected:
                        break  # later pictures are not needed
            finally:
                process.kill()
                listener.join()
        errors = errors or listener.errors
    if errors:
        log.debug("%s: %s", path.name, errors)
    if len(rows) and not count:
        raise FormatError(f"{path.name} {CANNOT} by {program.path}: {errors or 'it gave no frame'}")


def _said(path: str, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  a program that the user names
            [path, "-v", "error", *words], capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyError(f"{path} does not run: {error}") from error
    return done.stdout.decode("utf-8", "replace")


def _stretches(table: FrameTable, runs: list[Run]) -> Iterator[Run]:
    """Yield the frames for each process: several runs with little between them, or a part of a long run."""
    parts = [
        Run(run.key, int(wanted.max()), wanted)
        for run in runs
        for wanted in np.split(run.wanted, range(MOST_FRAMES, len(run.wanted), MOST_FRAMES))
    ]
    gathered = parts[:1]
    for part in parts[1:]:
        last = gathered[-1]
        between_s = float((table.pts[part.key] - table.pts[last.last]) * table.time_base)
        count = len(last.wanted) + len(part.wanted)
        if last.key < part.key and between_s <= NEAR_S and count <= MOST_FRAMES:
            gathered[-1] = Run(last.key, part.last, np.concatenate([last.wanted, part.wanted]))
        else:
            gathered.append(part)
    yield from gathered


def _command(
    program: Program, path: Path, table: FrameTable, run: Run, *, quality: int, hardware: str | None
) -> list[str]:
    times = table.pts[run.wanted]
    key = int(min(table.pts[run.key], table.dts[run.key]))
    start_s = float(key * table.time_base)
    length_s = float((int(times.max()) - key) * table.time_base) + BEYOND_S
    steps = [
        f"settb=expr={table.time_base}", f"select='{_among(sorted(times.tolist()))}'", "showinfo",
        "scale=out_color_matrix=bt601:out_range=full", "format=yuvj420p",
    ]  # fmt: skip
    # Without `seek_timestamp`, a container's first time stamp would be added to where it is to start.
    seek = ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", f"{start_s + 1e-6:.6f}"] if run.key > 0 else []
    reading = [word for name, value in table.options.items() for word in (f"-{name}", value)]
    return [
        program.path, "-hide_banner", "-nostats", "-nostdin", "-v", "level+info", "-copyts",
        *reading, *(["-hwaccel", hardware] if hardware else []), *seek, "-t", f"{length_s:.6f}", "-i", f"file:{path}",
        "-map", f"0:{table.stream}", "-vf", ",".join(steps), *program.passthrough,
        "-c:v", "mjpeg", "-q:v", str(quality), "-flags", "+bitexact", "-f", "mpjpeg", "pipe:1",
    ]  # fmt: skip


def _among(times: list[int]) -> str:
    """Return an expression that is true for these times: a tree, since FFmpeg's parser rejects long sums."""
    if len(times) == 1:
        return f"eq(pts,{times[0]})"
    half = len(times) // 2
    return f"if(lt(pts,{times[half]}),{_among(times[:half])},{_among(times[half:])})"


def _parts(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the JPEGs of a multipart stream."""
    length = 0
    while line := stream.readline(1000):
        name, _, value = line.strip().partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
        elif not line.strip() and length:
            content = stream.read(length)
            if len(content) == length:
                yield content
            length = 0


class _Listener:
    """Reads the error stream in parallel to the pictures, so that neither blocks the other."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._times: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._last_errors: deque[str] = deque(maxlen=3)
        self._thread = threading.Thread(target=self._read, args=(stream,), name="mlygeo-ffmpeg", daemon=True)
        self._thread.start()

    def next_time(self) -> int | None:
        """Return the time of the next picture, in units of the time base; None after the last one."""
        return self._times.get()

    def join(self) -> None:
        """Wait until the error stream ends."""
        self._thread.join()

    @property
    def errors(self) -> str:
        """The last errors that the program reported."""
        return "; ".join(self._last_errors)

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            if (match := _TIME.search(line)) is not None:
                self._times.put(int(match[1]))
            elif b"[error]" in line or b"[fatal]" in line:
                self._last_errors.append(line.decode("utf-8", "replace").split("] ")[-1].strip())
        self._times.put(None)
