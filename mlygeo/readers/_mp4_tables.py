"""Boxes in memory, and the sample tables among them: which bytes of a file are shown when."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Wholes = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

MOST_SAMPLES = 4_000_000
"""Samples of one track that are looked at: a whole day of video, or three hours of a gyroscope."""

MOST_BOXES = 4096
"""Boxes looked at in one other box; files are known that consist of nothing else."""


class Box(NamedTuple):
    """A box of a file: its kind, and where its content starts and stops."""

    kind: bytes
    start: int
    stop: int
    whole: bool


class Samples(NamedTuple):
    """
    The samples of a track in the order they are stored.

    `offset` and `size` are bytes of the file; `time` (decoding) and `shown` (presentation, before the
    edit list) count units of the track's timescale, as does `duration`; `key` marks samples that can be
    decoded without others.
    """

    offset: Wholes
    size: Wholes
    time: Wholes
    shown: Wholes
    duration: Wholes
    key: Flags


def boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Give the boxes inside another, by kind and content, until one makes no sense."""
    start, stop = 0, len(content)
    for _ in range(MOST_BOXES):
        if start + 8 > stop:
            return
        box = box_at(bytes(content[start : start + 16]), start, stop)
        if box is None:
            return
        yield box.kind, content[box.start : box.stop]
        start = box.stop


def box_at(head: bytes, start: int, stop: int) -> Box | None:
    """Return the box whose first bytes these are, at `start`; None where it makes no sense."""
    if len(head) < 8:
        return None
    length, kind = struct.unpack(">I4s", head[:8])
    header = 8
    if length == 1:
        if len(head) < 16:
            return None
        length, header = struct.unpack(">Q", head[8:16])[0], 16
    elif length == 0:
        length = stop - start
    if length < header:
        return None
    return Box(kind, start + header, min(start + length, stop), start + length <= stop)


def child(content: memoryview, *path: bytes) -> memoryview | None:
    """Return the content of the first box under a path of kinds; None where there is none."""
    for kind in path:
        found = next((inside for name, inside in boxes(content) if name == kind), None)
        if found is None:
            return None
        content = found
    return content


def samples(table: memoryview, file_size: int) -> Samples:
    """Return the samples of a sample table box, as far as its parts go and agree."""
    size = _sizes(child(table, b"stsz"), file_size)
    durations = _runs(child(table, b"stts"), len(size), ">u4")
    offset = _offsets(table, size[: len(durations)])
    count = min(len(size), len(durations), len(offset))
    durations = durations[:count]
    time = np.cumsum(durations) - durations
    later = np.zeros(count, dtype=np.int64)
    shifts = _runs(child(table, b"ctts"), count, ">i4")
    later[: len(shifts)] = shifts
    key = np.ones(count, dtype=bool)
    if (sync := child(table, b"stss")) is not None:
        key[:] = False
        numbers = _numbers(sync[8:], ">u4", _count(sync, 4)) - 1
        key[numbers[(numbers >= 0) & (numbers < count)]] = True
    return Samples(offset[:count], size[:count], time, time + later, durations, key)


def _count(content: memoryview, at: int) -> int:
    return int(struct.unpack(">I", content[at : at + 4])[0]) if len(content) >= at + 4 else 0


def _numbers(content: memoryview, kind: str, count: int) -> Wholes:
    """Return up to so many numbers, as many as there are."""
    there = len(content) // np.dtype(kind).itemsize
    return np.frombuffer(content, dtype=kind, count=min(count, there)).astype(np.int64)


def _sizes(content: memoryview | None, file_size: int) -> Wholes:
    if content is None or len(content) < 12:
        return np.empty(0, dtype=np.int64)
    same, count = _count(content, 4), min(_count(content, 8), MOST_SAMPLES)
    if same == 0:
        return _numbers(content[12:], ">u4", count)
    return np.full(min(count, file_size // same), same, dtype=np.int64)


def _runs(content: memoryview | None, most: int, value: str) -> Wholes:
    """Return the values of a table of (count, value) written out, up to so many."""
    if content is None:
        return np.empty(0, dtype=np.int64)
    pairs = min(_count(content, 4), (len(content) - 8) // 8) if len(content) >= 8 else 0
    table = np.frombuffer(content, dtype=[("count", ">u4"), ("value", value)], count=pairs, offset=8 if pairs else 0)
    ends = np.minimum(np.cumsum(table["count"].astype(np.int64)), most)
    return np.repeat(table["value"].astype(np.int64), np.diff(ends, prepend=0))


def _offsets(table: memoryview, size: Wholes) -> Wholes:
    """Return where in the file each sample starts, as far as the chunks go."""
    short, long = child(table, b"stco"), child(table, b"co64")
    content, kind = (short, ">u4") if short is not None else (long, ">u8")
    runs = child(table, b"stsc")
    if content is None or runs is None or len(content) < 8 or len(runs) < 8:
        return np.empty(0, dtype=np.int64)
    chunks = _numbers(content[8:], kind, _count(content, 4))
    rows = _numbers(runs[8:], ">u4", 3 * _count(runs, 4))
    rows = rows[: len(rows) // 3 * 3].reshape(-1, 3)
    first = np.maximum.accumulate(np.clip(rows[:, 0] - 1, 0, len(chunks)))
    per_chunk = np.zeros(len(chunks), dtype=np.int64)
    lengths = np.diff(first, append=len(chunks))
    start = int(first[0]) if len(first) else len(chunks)
    per_chunk[start:] = np.repeat(rows[:, 1], lengths)[: len(chunks) - start]
    ends = np.minimum(np.cumsum(np.minimum(per_chunk, len(size))), len(size))
    held = np.diff(ends, prepend=0)
    chunk = np.repeat(np.arange(len(chunks)), held)
    before = np.concatenate([[0], np.cumsum(size)])
    offset: Wholes = chunks[chunk] + before[: len(chunk)] - before[(ends - held)[chunk]]
    return offset
