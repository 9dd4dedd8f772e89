"""
Boxes in memory, and their sample tables: which bytes of a file are shown when.

Format: ISO/IEC 14496-12; of fragments, sections 8.8.4 to 8.8.12.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from mlygeo.arrays import sums_before

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from mlygeo.arrays import Flags, Whole

    Records = npt.NDArray[np.void]

MOST_SAMPLES = 4_000_000
"""Most samples read of one track: a whole day of video, or three hours of a gyroscope."""

MOST_BOXES = 4096
"""Most boxes read inside another box; some files consist of nothing else."""

MOST_FILE_BOXES = 400_000
"""Most boxes read in a fragmented file: more than a day with two fragments, each with its media, a second."""

OF_FRAGMENTS = frozenset({b"moof", b"mdat", b"styp", b"sidx", b"ssix", b"emsg", b"prft"})
"""Kinds of boxes that a recording in fragments repeats."""

_WINDOW = 4096

_HEAD, _LONG = struct.Struct(">I4s").unpack_from, struct.Struct(">Q").unpack_from

Defaults = dict[int, tuple[int, int, int]]

MOST_RUNS = 1 << 20
"""Most runs of samples read: a day with two fragments a second and six tracks."""

PAD = bytes(64)
"""Padding after the last fragment, so that fields can be read before it is known whether they exist."""

DURATION, SIZE, FLAGS, LATER, SIGNED = 0x100, 0x200, 0x400, 0x800, 0x1000
"""The columns of a run's sample records, from its flags, and whether `later` may be negative."""

_COLUMNS = ((DURATION, "duration", ">u4"), (SIZE, "size", ">u4"), (FLAGS, "flags", ">u4"), (LATER, "later", ">u4"))

_BATCH = 16 << 20

_MOST_INSIDE = _BATCH // 8

_NOWHERE = -(1 << 62)

_LARGEST = 1 << 62


class Box(NamedTuple):
    """A box of a file: its kind, where its content starts and stops, whether it is complete, and where it begins."""

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

    offset: Whole
    size: Whole
    time: Whole
    shown: Whole
    duration: Whole
    key: Flags

    def rows(self, which: Flags) -> Samples:
        """Return some of them."""
        return Samples(self.offset[which], self.size[which], self.time[which], self.shown[which], self.duration[which],
                       self.key[which])  # fmt: skip

    @property
    def end(self) -> int:
        """End of the sample that is decoded last, in units of the track's timescale."""
        return int(self.time[-1] + self.duration[-1]) if len(self.time) else 0


def boxes(content: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield kind and content of the boxes inside another, until one is invalid."""
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
    """Return the box that begins at a position of a content, and at `start` of the file; None where it is invalid."""
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
    Yield the boxes of a file, or of a part of it, until one is invalid.

    Parameters
    ----------
    file
        Open for reading.
    size
        Its bytes.
    start, stop
        The part; by default the whole file.
    """
    # A fragment and its media have more bytes than this; a file of smaller ones is not a recording.
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
    """Return the samples of a sample table box, as far as its parts are complete and agree."""
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
    """Return samples and those that follow, up to the limit."""
    if not len(listed.size):
        return further
    room = MOST_SAMPLES - len(listed.size)
    both = zip(listed, further, strict=True)
    offset, size, time, shown, duration, key = (np.concatenate([some, more[:room]]) for some, more in both)
    return Samples(offset, size, time, shown, duration, key.astype(bool, copy=False))


def _count(content: memoryview, at: int) -> int:
    return int(struct.unpack(">I", content[at : at + 4])[0]) if len(content) >= at + 4 else 0


def _numbers(content: memoryview, kind: str, count: int) -> Whole:
    """Return at most `count` numbers, fewer where there are fewer."""
    there = len(content) // np.dtype(kind).itemsize
    return np.frombuffer(content, dtype=kind, count=min(count, there)).astype(np.int64)


def _sizes(content: memoryview | None, file_size: int) -> Whole:
    if content is None or len(content) < 12:
        return np.empty(0, dtype=np.int64)
    same, count = _count(content, 4), min(_count(content, 8), MOST_SAMPLES)
    if same == 0:
        return _numbers(content[12:], ">u4", count)
    return np.full(min(count, file_size // same), same, dtype=np.int64)


def _runs(content: memoryview | None, most: int, value: str) -> Whole:
    """Return a table of (count, value) as single values, up to a limit."""
    if content is None:
        return np.empty(0, dtype=np.int64)
    pairs = min(_count(content, 4), (len(content) - 8) // 8) if len(content) >= 8 else 0
    table = np.frombuffer(content, dtype=[("count", ">u4"), ("value", value)], count=pairs, offset=8 if pairs else 0)
    ends = np.minimum(np.cumsum(table["count"].astype(np.int64)), most)
    return np.repeat(table["value"].astype(np.int64), np.diff(ends, prepend=0))


def _offsets(table: memoryview, size: Whole) -> Whole:
    """Return the byte of the file where each sample starts, as far as the chunks list them."""
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
    return sums_before(size[: held.sum()], held, chunks)


# Boxes inside `moof` boxes, as columns of runs of samples. A day of video has hundreds of thousands of fragments,
# each with a few boxes. So everything here works on all fragments at once, box after box and field after field.


class Runs(NamedTuple):
    """
    Runs of samples, in the order of the file.

    `track` is the number of the track; `start` the byte of the file where the data begin, below 0 where
    that is impossible; `time` the decoding time of the first sample, -1 where the run continues the one
    before. `held` samples have records at `at`, and `layout` gives the records' columns; `duration`,
    `size` and `flags` replace missing columns. `first_flags` are the flags of the first sample, -1 where
    it has none of its own.
    """

    track: Whole
    start: Whole
    time: Whole
    held: Whole
    at: Whole
    layout: Whole
    duration: Whole
    size: Whole
    flags: Whole
    first_flags: Whole

    def rows(self, which: Whole | Flags | slice) -> Runs:
        """Return some of them."""
        return Runs(*(column[which] for column in self))


def tables(content: memoryview, runs: Runs) -> Iterator[tuple[int, Flags, Records]]:
    """Yield, for each layout of records, its runs and the records of all of them."""
    used = np.where(runs.held > 0, runs.layout, 0)
    for layout in np.unique(used).tolist():
        columns = [(name, kind) for bit, name, kind in _COLUMNS if layout & bit]
        if columns:
            kind = np.dtype(columns)
            which = used == layout
            at = runs.at[which]
            stop = at + runs.held[which] * kind.itemsize
            parts = [content[a:b] for a, b in zip(at.tolist(), stop.tolist(), strict=True)]
            yield layout, which, np.frombuffer(b"".join(parts), dtype=kind)


def sums(content: memoryview, runs: Runs, name: str) -> Whole:
    """Return the sums of the durations or sizes of runs."""
    totals: Whole = runs.held * (runs.duration if name == "duration" else runs.size)
    bit = DURATION if name == "duration" else SIZE
    for layout, which, records in tables(content, runs):
        if layout & bit:
            count = runs.held[which]
            totals[which] = np.add.reduceat(records[name], np.cumsum(count) - count, dtype=np.int64)
    return totals


def runs(content: bytearray, ends: Whole, places: Whole, defaults: Defaults, file_size: int) -> Runs:
    """
    Return the runs of samples of fragments.

    Parameters
    ----------
    content
        The contents of all `moof` boxes, one after another, and `PAD`.
    ends
        Where each ends there.
    places
        The byte of the file where each box begins.
    defaults
        Default duration, size and flags of a fragment, by the number of the track.
    file_size
        Bytes of the file.
    """
    words = _Words(content)
    found, held = [], 0
    starts = np.append(0, ends)[: len(ends)]
    # Fragments are independent of each other: reading some megabytes at a time bounds memory, whatever they claim.
    for rows in np.split(np.arange(len(ends)), np.flatnonzero(np.diff(starts // _BATCH)) + 1):
        if held < MOST_RUNS:
            some = _batch(words, _Bounds(starts[rows], ends[rows], places[rows]), defaults, file_size)
            found.append(some.rows(slice(MOST_RUNS - held)))
            held += len(found[-1].track)
    every = Runs(*(np.concatenate(column) for column in zip(*found, strict=True)))
    # A file can claim any number of samples without records, but all of them must lie in the file.
    free = np.where((every.layout & (DURATION | SIZE | FLAGS | LATER)) == 0, np.maximum(every.size, 1), 0)
    fits = np.cumsum(every.held * free.astype(np.float64)) <= file_size
    return every._replace(held=_clamped(every.track, np.where(fits | (free == 0), every.held, 0)))


class _Words:
    """The big-endian number at each byte of a content; positions past its end give the last number."""

    def __init__(self, content: bytearray) -> None:
        self.content = memoryview(content)
        # A word at every byte: they overlap, and nothing is copied.
        self._words = np.ndarray((len(content) - 3,), ">u4", content, 0, (1,))

    def __call__(self, at: Whole) -> Whole:
        return self._words[np.minimum(at, len(self._words) - 1)].astype(np.int64)

    def long(self, at: Whole) -> Whole:
        """Return numbers of eight bytes; -1 for impossible values."""
        high = self(at)
        return np.where(high < 1 << 30, (high << 32) | self(at + 4), -1)


class _Inside(NamedTuple):
    """Boxes inside others: the row of the other, the kind as a number, and where the content starts and stops."""

    parent: Whole
    kind: Whole
    start: Whole
    stop: Whole


def _number(kind: bytes) -> int:
    return int.from_bytes(kind, "big")


def _inside(words: _Words, start: Whole, stop: Whole, kinds: tuple[bytes, ...]) -> _Inside:
    """Return the boxes of some kinds inside boxes, ordered: the first box of each, then the second of each, …"""
    wanted = np.array([_number(kind) for kind in kinds])
    parent = np.arange(len(start))
    found: list[tuple[Whole, ...]] = []
    looked_at = 0
    for _ in range(MOST_BOXES):
        there = start + 8 <= stop
        parent, start, stop = parent[there], start[there], stop[there]
        looked_at += len(parent)
        if not len(parent) or looked_at > _MOST_INSIDE:
            break
        length, kind = words(start), words(start + 4)
        header = np.where(length == 1, 16, 8)
        length = np.where(length == 1, words.long(start + 8), np.where(length == 0, stop - start, length))
        sound = (length >= header) & (start + header <= stop)
        end = start + np.minimum(length, stop - start)
        keep = np.flatnonzero(sound & np.isin(kind, wanted))
        found.append((parent[keep], kind[keep], (start + header)[keep], end[keep]))
        parent, start, stop = parent[sound], end[sound], stop[sound]
    if not found:
        nothing = np.empty(0, dtype=np.int64)
        return _Inside(nothing, nothing, nothing, nothing)
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    order = np.argsort(columns[2], kind="stable")
    return _Inside(*(column[order] for column in columns))


class _Bounds(NamedTuple):
    """Where the contents of `moof` boxes start and stop, and the byte of the file where each box begins."""

    start: Whole
    stop: Whole
    place: Whole


def _batch(words: _Words, moofs: _Bounds, defaults: Defaults, file_size: int) -> Runs:
    parts = _inside(words, moofs.start, moofs.stop, (b"traf",))
    inside = _inside(words, parts.start, parts.stop, (b"tfhd", b"tfdt", b"trun"))
    heads = _heads(words, inside, len(parts.parent), defaults)
    moof = parts.parent
    place = moofs.place[moof]
    opens = np.diff(moof, prepend=-1) != 0
    # By default, the data of a further track follow those of the track before: _NOWHERE until their place is known.
    plain = heads.relative | opens
    base = np.where(heads.based, heads.base, np.where(plain, place, _NOWHERE))
    follows = ~heads.based & ~plain

    which = (inside.kind == _number(b"trun")) & (inside.start + 8 <= inside.stop) & heads.sound[inside.parent]
    part, at, stop = inside.parent[which], inside.start[which], inside.stop[which]
    version, flags, count = words(at) >> 24, words(at) & 0xFFFFFF, words(at + 4)
    placed = (flags & 1) != 0
    shift = np.where(placed, (words(at + 8) ^ 0x8000_0000) - 0x8000_0000, 0)
    at = at + 8 + 4 * placed
    first_flags = np.where((flags & 4) != 0, words(at), -1)
    at = at + 4 * ((flags & 4) != 0)
    record = 4 * sum(((flags & bit) != 0).astype(np.int64) for bit, _, _ in _COLUMNS)
    size = heads.size[part]
    most = np.where(
        record > 0,
        np.maximum(stop - at, 0) // np.maximum(record, 1),
        file_size // np.maximum(size, 1),
    )
    first = np.diff(part, prepend=-1) != 0
    time = np.where(first, heads.time[part], -1)
    layout = (flags & 0xF00) | np.where((version > 0) & ((flags & LATER) != 0), SIGNED, 0)
    held = np.minimum(count, np.minimum(most, MOST_SAMPLES))
    found = Runs(heads.track[part], base[part] + shift, time, held, at, layout, heads.duration[part], size,
                heads.flags[part], first_flags)  # fmt: skip
    chained = np.flatnonzero(follows[part] | ~(placed | first))
    if len(chained):
        opens_moof = np.diff(moof[part], prepend=-1)[chained] != 0
        links = _Links(chained, part[chained], np.where(opens_moof, place[part[chained]], -1), shift[chained],
                       (follows[part] & (placed | first))[chained])  # fmt: skip
        _follow_on(found.start, sums(words.content, found, "size"), links)
    return found


def _clamped(track: Whole, count: Whole) -> Whole:
    """Return how many samples of each run are read, so that no track exceeds the limit."""
    order = np.argsort(track, kind="stable")
    some = count[order]
    total = np.cumsum(some)
    starts = np.diff(track[order], prepend=-1) != 0
    before = total - some
    before -= before[np.maximum.accumulate(np.where(starts, np.arange(len(some)), 0))]
    left: Whole = np.empty_like(count)
    left[order] = np.clip(MOST_SAMPLES - before, 0, some)
    return left


class _Links(NamedTuple):
    """
    Runs whose place depends on the run before, by row.

    `place` is where the `moof` box begins, -1 where the run before is in the same box; `relative` are the
    runs that lie `shift` bytes from where the first run of their track fragment would continue.
    """

    row: Whole
    part: Whole
    place: Whole
    shift: Whole
    relative: Flags


def _follow_on(start: Whole, lengths: Whole, links: _Links) -> None:
    """
    Fill in the starts of runs whose data follow those of the run before.

    Each place depends on the one before it, which may have been filled in too: a loop, but only over
    those runs.
    """
    base_of, base = -1, 0
    for row, part, place, shift, relative in zip(*(column.tolist() for column in links), strict=True):
        before = place if place >= 0 else min(int(start[row - 1]) + int(lengths[row - 1]), _LARGEST)
        if base_of != part:
            base_of, base = part, before
        start[row] = base + shift if relative else before


class _Heads(NamedTuple):
    """The headers of track fragments; fragments without a header are not `sound`."""

    sound: Flags
    track: Whole
    based: Flags
    base: Whole
    relative: Flags
    duration: Whole
    size: Whole
    flags: Whole
    time: Whole


def _heads(words: _Words, inside: _Inside, count: int, defaults: Defaults) -> _Heads:
    at, stop = _firsts(inside, b"tfhd", count)
    sound = (stop - at) >= 8
    bits, track = words(at) & 0xFFFFFF, np.where(sound, words(at + 4), 0)
    at = at + 8
    based = (bits & 1) != 0
    base = np.where(at + 8 <= stop, words.long(at), -1)
    # A place beyond any file must stay beyond it, whatever is added to it.
    base = np.where((base < 0) | (base > _LARGEST), _NOWHERE, base)
    at = at + 8 * based + 4 * ((bits & 2) != 0)
    numbers = np.array(sorted(defaults), dtype=np.int64)
    defaults_of = np.array([defaults[number] for number in sorted(defaults)], dtype=np.int64).reshape(-1, 3)
    row = np.searchsorted(numbers, track)
    known = np.zeros(count, dtype=bool) if not len(numbers) else numbers[np.minimum(row, len(numbers) - 1)] == track
    values: list[Whole] = []
    for place, bit in enumerate((8, 0x10, 0x20)):
        value = np.zeros(count, dtype=np.int64)
        value[known] = defaults_of[row[known], place]
        there = (bits & bit) != 0
        values.append(np.where(there & (at + 4 <= stop), words(at), value))
        at = at + 4 * there
    at, stop = _firsts(inside, b"tfdt", count)
    long = (words(at) >> 24) == 1
    time = np.where(long, words.long(at + 4), words(at + 4))
    time = np.where((stop - at >= np.where(long, 12, 8)) & (time <= _LARGEST), time, -1)
    duration, size, flags = values
    return _Heads(sound, track, based, base, (bits & 0x20000) != 0, duration, size, flags, time)


def _firsts(inside: _Inside, kind: bytes, count: int) -> tuple[Whole, Whole]:
    """Return where the content of the first box of a kind starts and stops in each part; both 0 where there is none."""
    rows = np.flatnonzero(inside.kind == _number(kind))
    parents, first = np.unique(inside.parent[rows], return_index=True)
    start, stop = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    start[parents], stop[parents] = inside.start[rows[first]], inside.stop[rows[first]]
    return start, stop
