"""
The fragments of MP4 files: what `moof` boxes say of samples that the tables in `moov` do not list.

A recording that must survive a loss of power, or is sent while it goes on, has its tables in pieces, each
before the media that it is about. Format: ISO/IEC 14496-12, sections 8.8.1 to 8.8.12.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mlygeo.formats.mp4_tables import Box, Samples, boxes, child
from mlygeo.readers import _mp4_runs as of

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.formats.mp4_tables import Wholes
    from mlygeo.readers._mp4_runs import Defaults, Runs

LARGEST_FRAGMENTS = 160 << 20
"""Bytes of `moof` boxes that are read at most: a day of pictures, sound and telemetry has some 120 million."""

_NEEDS_OTHERS = 0x0101_0000
"""Flags of a sample: it is no sync sample, or it depends on others."""


@dataclass
class Moofs:
    """The contents of a file's `moof` boxes one after another, and where each ends here and begins in the file."""

    content: bytearray = field(default_factory=bytearray)
    ends: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    full: bool = False

    def take(self, file: BinaryIO, box: Box) -> None:
        """Take in a box, as long as there is room."""
        _, start, stop, _, begin = box
        self.full = self.full or len(self.content) + stop - start > LARGEST_FRAGMENTS
        if not self.full and stop > start:
            file.seek(start)
            self.content += file.read(stop - start)
            self.ends.append(len(self.content))
            self.places.append(begin)

    def fragments(self, defaults: Defaults, file_size: int) -> Fragments:
        """Return what they say; nothing may be taken in any more."""
        self.content += of.PAD
        runs = of.runs(
            self.content, np.array(self.ends, np.int64), np.array(self.places, np.int64), defaults, file_size
        )
        return Fragments(memoryview(self.content), runs, file_size)


@dataclass(frozen=True, eq=False)
class Fragments:
    """What the fragments of a file say of the samples of all its tracks."""

    content: memoryview = field(repr=False)
    runs: Runs = field(repr=False)
    file_size: int

    @property
    def cut(self) -> bool:
        """Whether the file ends before the data that the last runs tell of."""
        last = self.runs.rows(slice(-64, None))
        return bool((last.start + of.sums(self.content, last, "size") > self.file_size).any())

    @cached_property
    def _lasting(self) -> Wholes:
        return of.sums(self.content, self.runs, "duration")

    def _begins(self, rows: Wholes, after: Callable[[], int]) -> Wholes:
        """Return the decoding times of the first samples of all runs of a track."""
        told, lasting = self.runs.time[rows], self._lasting[rows]
        before = np.cumsum(lasting) - lasting
        last = np.maximum.accumulate(np.where(told >= 0, np.arange(len(rows)), -1))
        first = after() if len(rows) and last[0] < 0 else 0
        begins: Wholes = np.where(last < 0, first, told[last] - before[last]) + before
        return begins

    def span(self, number: int, after: Callable[[], int]) -> tuple[int, int] | None:
        """
        Return the decoding times of the start and the end of a track's fragments; None where it has none.

        Parameters
        ----------
        number
            The track's.
        after
            Gives the decoding time of the end of what the tables in `moov` list, where it is needed.
        """
        rows = np.flatnonzero(self.runs.track == number)
        begins, some = self._begins(rows, after), self.runs.held[rows] > 0
        if not some.any():
            return None
        return int(begins[some].min()), int((begins + self._lasting[rows])[some].max())

    def begin(self, number: int) -> int | None:
        """Return the decoding time that a track's first samples in fragments tell; None where it has none."""
        rows = np.flatnonzero(self.runs.track == number)
        some = np.flatnonzero(self.runs.held[rows] > 0)[:1]
        if not len(some):
            return None
        told = self.runs.time[rows[: some[0] + 1]]
        return int(told[told >= 0][-1:].sum())

    def first_later(self, number: int) -> int:
        """Return the composition offset of the first sample of a track in fragments; 0 where there is none."""
        rows = np.flatnonzero((self.runs.track == number) & (self.runs.held > 0))[:1]
        one = self.runs.rows(rows)._replace(held=np.ones(len(rows), dtype=np.int64))
        return int(self._samples(one, np.zeros(len(rows), dtype=np.int64)).shown.sum())

    def samples(self, number: int, after: Callable[[], int]) -> Samples:
        """
        Return the samples of a track that are in fragments, and whose bytes are there.

        Parameters
        ----------
        number
            The track's.
        after
            Gives the decoding time of the end of what the tables in `moov` list, where it is needed.
        """
        rows = np.flatnonzero(self.runs.track == number)
        found = self._samples(self.runs.rows(rows), self._begins(rows, after))
        there = (found.offset >= 0) & (found.offset + found.size <= self.file_size)
        return found if there.all() else found.rows(there)

    def _samples(self, runs: Runs, begins: Wholes) -> Samples:
        count = runs.held
        firsts = np.cumsum(count) - count
        size, duration = np.repeat(runs.size, count), np.repeat(runs.duration, count)
        key = np.repeat((runs.flags & _NEEDS_OTHERS) == 0, count)
        own = (runs.first_flags >= 0) & (count > 0)
        key[firsts[own]] = (runs.first_flags[own] & _NEEDS_OTHERS) == 0
        later = np.zeros(len(size), dtype=np.int64)
        for layout, which, records in of.tables(self.content, runs):
            place = slice(None) if which.all() else np.repeat(which, count)
            if layout & of.SIZE:
                size[place] = records["size"]
            if layout & of.DURATION:
                duration[place] = records["duration"]
            if layout & of.FLAGS:
                key[place] = (records["flags"] & _NEEDS_OTHERS) == 0
            if layout & of.LATER:
                later[place] = records["later"].view(">i4") if layout & of.SIGNED else records["later"]
        offset, time = _from_starts(runs.start, size, count), _from_starts(begins, duration, count)
        later += time
        return Samples(offset, size, time, later, duration, key)


def defaults_of(extends: memoryview | None) -> Defaults:
    """Return duration, size and flags that hold where a fragment tells none, by the number of the track (mvex box)."""
    found: Defaults = {}
    for kind, inside in boxes(extends or memoryview(b"")):
        if kind == b"trex" and len(inside) >= 24:
            number, _, duration, size, flags = struct.unpack(">5I", inside[4:24])
            found.setdefault(number, (duration, size, flags))
    return found


def whole_duration(extends: memoryview | None) -> int:
    """Return the duration that a file claims with all its fragments, units of the movie's timescale; 0 if none."""
    header = None if extends is None else child(extends, b"mehd")
    if header is None or len(header) < 8 or (header[0] == 1 and len(header) < 12):
        return 0
    duration: int = struct.unpack(">Q", header[4:12])[0] if header[0] == 1 else struct.unpack(">I", header[4:8])[0]
    return 0 if duration in {0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF} else duration


def _from_starts(starts: Wholes, steps: Wholes, count: Wholes) -> Wholes:
    """Return for each sample the sum of what its run starts at and of the steps of those before it in the run."""
    total: Wholes = np.cumsum(steps)
    total -= steps
    some = count > 0
    firsts = (np.cumsum(count) - count)[some]
    total += np.repeat(starts[some] - total[firsts], count[some])
    return total
