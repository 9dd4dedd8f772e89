"""Boxes in memory, and the sample tables among them: which bytes of a file are shown when."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

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

MOST_FILE_BOXES = 400_000
"""Boxes looked at in a file in fragments: more than a day of two fragments, each with its media, a second."""

OF_FRAGMENTS = frozenset({b"moof", b"mdat", b"styp", b"sidx", b"ssix", b"emsg", b"prft"})
"""Kinds of boxes that a recording in fragments has over and over again."""

_WINDOW = 4096
_HEAD, _LONG = struct.Struct(">I4s").unpack_from, struct.Struct(">Q").unpack_from


class Box(NamedTuple):
    """A box of a file: its kind, where its content starts and stops, whether that is all, and where it begins."""

    kind: bytes
    start: int
    stop: int
    whole: bool
    begin: int


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

    def rows(self, which: Flags) -> Samples:
        """Return some of them."""
        return Samples(self.offset[which], self.size[which], self.time[which], self.shown[which], self.duration[which],
                       self.key[which])  # fmt: skip

    @property
    def end(self) -> int:
        """When the last one ends that is decoded, in units of the track's timescale."""
        return int(self.time[-1] + self.duration[-1]) if len(self.time) else 0


def boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Give the boxes inside another, by kind and content, until one makes no sense."""
    start, stop = 0, len(content)
    for _ in range(MOST_BOXES):
        if start + 8 > stop:
            return
        box = box_at(content, start, start, stop)
        if box is None:
            return
        yield box.kind, content[box.start : box.stop]
        start = box.stop


def box_at(content: bytes | memoryview, at: int, start: int, stop: int) -> Box | None:
    """Return the box whose first bytes are at a place of a content, and at `start`; None where it makes no sense."""
    if len(content) < at + 8:
        return None
    length, kind = _HEAD(content, at)
    header = 8
    if length < 8:
        if length == 1 and len(content) >= at + 16:
            length, header = _LONG(content, at + 8)[0], 16
        elif length == 0:
            length = stop - start
        if length < header:
            return None
    end = start + length
    return Box(kind, start + header, end, True, start) if end <= stop else Box(kind, start + header, stop, False, start)


def file_boxes(file: BinaryIO, size: int, start: int = 0, stop: int | None = None) -> Iterator[Box]:
    """
    Give the boxes of a file, or of a part of it, until one makes no sense.

    Parameters
    ----------
    file
        Open for reading.
    size
        Its bytes.
    start, stop
        The part; all of it unless given.
    """
    # A fragment and its media have more bytes than this; what has less is no recording but an attempt.
    most_boxes = min(MOST_FILE_BOXES, MOST_BOXES + size // 64) if stop is None else MOST_BOXES
    stop = size if stop is None else min(stop, size)
    window, begin, others = b"", start, 0
    for _ in range(most_boxes):
        if start + 8 > stop:
            return
        if start + 16 > begin + len(window):
            file.seek(start)
            window, begin = file.read(_WINDOW), start
        box = box_at(window, start - begin, start, stop)
        if box is None:
            return
        kind, _, start, _, _ = box
        if kind not in OF_FRAGMENTS:
            others += 1
            if others > MOST_BOXES:
                return
        yield box


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


def is_listed(table: memoryview) -> bool:
    """Return whether a sample table box lists any samples."""
    sizes = child(table, b"stsz")
    return sizes is not None and _count(sizes, 8) > 0


def joined(listed: Samples, further: Samples) -> Samples:
    """Return samples and those that come after them, as many as are looked at."""
    if not len(listed.size):
        return further
    room = MOST_SAMPLES - len(listed.size)
    both = zip(listed, further, strict=True)
    offset, size, time, shown, duration, key = (np.concatenate([some, more[:room]]) for some, more in both)
    return Samples(offset, size, time, shown, duration, key.astype(bool, copy=False))


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
