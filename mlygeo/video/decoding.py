"""
Single frames from a video, exactly the requested ones.

A frame can be decoded only from the key frame before it. Frames are therefore decoded in runs, each from
a key frame to the last wanted frame that depends on it. Frames between runs are never decoded, nor frames
inside a run that no wanted frame needs. Runs are decoded in parallel.
"""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.errors import FileError, InputError
from mlygeo.readers.video import opened
from mlygeo.video import sampling

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from mlygeo.arrays import Whole
    from mlygeo.video.sampling import FrameTable

log = logging.getLogger("mlygeo.video.frames")

MOST_WORKERS = 4
"""Runs decoded at once: each decoder buffers some twenty pictures, of 13 MB each at 4K."""

CANNOT = "could not be decoded"

COUNTED = frozenset({"mpeg", "mpegvideo"})
"""Formats, as FFmpeg names them, in which many packets have no time of their own (MPEG program streams)."""


def decode(
    path: Path,
    table: FrameTable,
    rows: Whole,
    take: Callable[[int, Any], None],
    *,
    hardware: str | None = None,
    workers: int | None = None,
    stop: threading.Event | None = None,
) -> Generator[int]:
    """
    Decode frames, call `take` with each, and yield the row of each finished frame.

    Parameters
    ----------
    path
        The video.
    table
        Its frames.
    rows
        The wanted ones.
    take
        Called with row and frame, from several threads at once.
    hardware
        As for `Decoder`.
    workers
        Runs decoded at once; by default the number of processors, four at most.
    stop
        Event that ends the work early.

    Yields
    ------
    row
        Rows that are never yielded could not be decoded.
    """
    runs = runs_of(table, rows)
    stop = stop or threading.Event()
    workers = workers or min(MOST_WORKERS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    # With few runs, the decoder's own threads are faster than ours.
    side_by_side = len(runs) >= 2 * workers and hardware is None
    local = threading.local()
    opened: list[Decoder] = []

    def one(run: Run) -> list[int]:
        if stop.is_set():
            return []
        decoder = getattr(local, "decoder", None)
        if decoder is None:
            decoder = local.decoder = Decoder(path, table, threads=1 if side_by_side else 0, hardware=hardware)
            opened.append(decoder)
        done = []
        for row, frame in decoder.frames(run):
            take(row, frame)
            done.append(row)
            if stop.is_set():
                break
        return done

    with ThreadPoolExecutor(workers if side_by_side else 1, thread_name_prefix="mlygeo-frames") as pool:
        waiting: set[Future[list[int]]] = set()
        todo = iter(runs)
        try:
            while True:
                for run in todo:
                    waiting.add(pool.submit(one, run))
                    if len(waiting) > 2 * workers:
                        break
                if not waiting:
                    break
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield from future.result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()
            wait(waiting)
            for decoder in opened:
                decoder.close()


class Run(NamedTuple):
    """Frames that are decoded together: rows of the table, from a key frame to the last wanted frame."""

    key: int
    last: int
    wanted: Whole


def runs_of(table: FrameTable, rows: Whole) -> list[Run]:
    """
    Return the runs with the wanted frames.

    Parameters
    ----------
    table
        The video's frames.
    rows
        The wanted ones.
    """
    keys = np.flatnonzero(table.key)
    # A frame that is stored after a key frame but shown before it depends on the key frame before that one.
    keys = keys[table.pts[keys] == np.maximum.accumulate(table.pts[keys])] if len(keys) else np.array([0])
    rows = rows[np.argsort(table.pts[rows], kind="stable")]
    owner = keys[np.maximum(np.searchsorted(table.pts[keys], table.pts[rows], side="right") - 1, 0)]
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    parts = np.split(rows, starts[1:]) if len(rows) else []
    return [Run(int(owner[start]), int(part.max()), part) for start, part in zip(starts, parts, strict=True)]


class Decoder:
    """
    An open video, from which runs are decoded.

    Parameters
    ----------
    path
        The video.
    table
        Its frames.
    threads
        Threads that the decoder may use by itself; 0 lets it choose.
    hardware
        Name of the hardware decoder (as FFmpeg names it, such as "vaapi"); None decodes in software.
    """

    def __init__(self, path: Path, table: FrameTable, *, threads: int, hardware: str | None = None) -> None:
        av = sampling.library()
        self._hardware: Any = None
        if hardware is not None:
            from av.codec.hwaccel import HWAccel

            self._hardware = HWAccel(device_type=hardware, allow_software_fallback=True)
        self._errors = (av.FFmpegError, EOFError)
        self._path, self._threads = path, threads
        self._table = table
        self._skipping = hardware is None
        try:
            self._open()
        except self._errors as error:
            if hardware is not None:
                raise InputError(f"the hardware {hardware!r} does not work here: {error}") from error
            raise FileError(f"{path.name} cannot be opened: {error}") from error
        if hardware is not None and not self._stream.codec_context.is_hwaccel:
            log.warning("%s: %s does not decode %s; done in software", path.name, hardware, self._stream.codec.name)

    def _open(self) -> None:
        av = sampling.library()
        self._container = opened(self._path, options=self._table.options, hwaccel=self._hardware)
        self._stream = self._container.streams[self._table.stream]
        for other in self._container.streams:
            if other is not self._stream:
                other.discard = av.stream.Discard.all
        self._stream.codec_context.thread_count = self._threads
        self._stream.codec_context.thread_type = "AUTO" if self._threads != 1 else "NONE"

    def close(self) -> None:
        """Close the video."""
        self._container.close()

    def frames(self, run: Run) -> Iterator[tuple[int, Any]]:
        """
        Yield the wanted frames of a run with their rows, as far as they can be decoded completely.

        Parameters
        ----------
        run
            One of `runs_of`.
        """
        pts = self._table.pts
        rows = dict(zip(pts[run.wanted].tolist(), run.wanted.tolist(), strict=True))
        # A frame shown before the key frame needs the previous key frame, without which its picture would be wrong.
        earliest = int(pts[run.key])
        # Where not every packet has a time, the others count on from the beginning of the file, and are lost by
        # a jump into it.
        for is_anew in (False, True) if self._container.format.name in COUNTED else (False,):
            for frame in self._decode(run, rows, is_anew=is_anew):
                if frame.pts is not None and not frame.is_corrupt and frame.pts >= earliest:
                    row = rows.pop(frame.pts, None)
                    if row is not None:
                        yield row, frame
                if not rows:
                    return

    def _decode(self, run: Run, wanted: dict[int, int], *, is_anew: bool) -> Iterator[Any]:
        if is_anew:
            self._container.close()
            self._open()
        context = self._stream.codec_context
        last = int(self._table.pts[run.last])
        for packet in self._packets(run, is_anew=is_anew):
            pts = packet.dts if packet.pts is None else packet.pts
            needed = pts is not None and pts in wanted
            if self._skipping:
                context.skip_frame = "DEFAULT" if needed else "NONREF"
            try:
                yield from context.decode(packet)
            except self._errors as error:
                log.debug("a packet could not be decoded: %s", error)
            if pts is not None and pts == last:
                break
        try:
            yield from context.decode(None)
        except self._errors as error:
            log.debug("the last frames of a run could not be decoded: %s", error)

    def _packets(self, run: Run, *, is_anew: bool) -> Iterator[Any]:
        """Yield the packets from a run's key frame on; in a file that was opened anew, without jumping there."""
        first, count = int(self._table.pts[run.key]), run.last - run.key + 1
        for target in (int(self._table.dts[run.key]), None)[is_anew:]:
            found = False
            try:
                if target is None and not is_anew:
                    self._container.seek(0)
                elif target is not None:
                    self._container.seek(target, stream=self._stream, backward=True)
                for packet in self._container.demux(self._stream):
                    if not packet.size:
                        continue
                    pts = packet.dts if packet.pts is None else packet.pts
                    if not found and pts is not None and pts > first and packet.is_keyframe:
                        break  # past the key frame
                    found = found or (pts is not None and pts == first)
                    if found:
                        yield packet
                        count -= 1
                        if not count:
                            return
            except self._errors as error:
                log.debug("packets could not be read: %s", error)
            if found:
                return


def check_hardware(name: str) -> None:
    """
    Refuse hardware that PyAV was not built for.

    Parameters
    ----------
    name
        As FFmpeg names it.

    Raises
    ------
    InputError
        If PyAV does not support it.
    """
    sampling.library()
    from av.codec.hwaccel import hwdevices_available

    known = hwdevices_available()
    if name not in known:
        raise InputError(
            f"PyAV does not know the hardware {name!r}",
            hint=f"it knows {', '.join(known) or 'none'}; the program of `decoder='ffmpeg'` may know others",
        )
