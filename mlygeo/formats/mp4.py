"""
MP4 and QuickTime files: their tracks, metadata and samples, read within bounds whatever the files claim.

Only headers and tables are read, never the pictures, so that a video of many gigabytes costs no more
than a short one. A recording that must survive a loss of power, or is sent while it goes on, has its
tables in fragments, each before its media. Format: ISO/IEC 14496-12 (fragments: 8.8.1 to 8.8.12), and
Apple's QuickTime File Format Specification for the parts of it that cameras use.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mlygeo.arrays import sums_before
from mlygeo.formats import mp4_tables as of
from mlygeo.formats import times
from mlygeo.formats.mp4_tables import (
    MOST_BOXES,
    MOST_FILE_BOXES,
    OF_FRAGMENTS,
    Box,
    Samples,
    boxes,
    child,
    file_boxes,
    is_listed,
    joined,
    samples,
)
from mlygeo.formats.timeline import Edit, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlygeo.arrays import Whole
    from mlygeo.formats.mp4_tables import Defaults, Runs

LARGEST_MOOV = 96 << 20
"""Bytes of headers and tables that are read at most: some twenty hours of video with all its sensors."""

BUFFER = 8192
"""Buffer size to open a file with: the parts that are read lie far apart, and a larger buffer reads in vain."""

_LATE_S = 10

_EPOCH, _UNIX = datetime(1904, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)

_SPHERICAL_V1 = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")

_PICTURES = {b"vide"}

LARGEST_FRAGMENTS = 160 << 20
"""Bytes of `moof` boxes that are read at most: a day of pictures, sound and telemetry has some 120 million."""

_NEEDS_OTHERS = 0x0101_0000
"""Flags of a sample: it is not a sync sample, or it depends on others."""


def read_movie(file: BinaryIO, size: int) -> Movie | None:
    """
    Read the headers of a file.

    Parameters
    ----------
    file
        Open for reading.
    size
        Its bytes.

    Returns
    -------
    movie
        None where there is no movie box, as in a recording that was cut off.
    """
    movie: Movie | None = None
    extends: memoryview | None = None
    moofs = Moofs()
    others: list[Box] = []
    fragmented, damage = False, None
    for number, box in enumerate(file_boxes(file, size), 1):
        kind, start, stop, whole, _ = box
        if not whole:
            damage = f"the file ends inside its '{_printable(kind)}' box"
        elif number == MOST_FILE_BOXES and stop < size:
            damage = f"only the first {number:,} of its boxes are read"
        if kind == b"moof":
            fragmented = True
            moofs.take(file, box)
        elif kind not in OF_FRAGMENTS:
            others.append(box)
            if kind == b"moov" and (movie is None or not movie.tracks):
                if stop - start > LARGEST_MOOV:
                    damage = f"its headers claim {stop - start:,} bytes"
                    continue
                file.seek(start)
                content = memoryview(file.read(stop - start))
                found = _movie(content, size)
                if found is not None:
                    movie, extends = found, child(content, b"mvex")
    if movie is None:
        return None
    if moofs.full:
        damage = f"only its first {len(moofs.places):,} fragments are read"
    if moofs.places:
        fragments = moofs.fragments(_defaults_of(extends), size)
        if fragments.cut:
            damage = damage or "the file ends inside the media of its last fragment"
        # What the headers say of the whole file is true only if the file is complete.
        duration = 0 if damage else _whole_duration(extends)
        movie = replace(movie, duration=duration, tracks=_with_fragments(movie, fragments))
    fragmented = fragmented or extends is not None
    return replace(movie, boxes=tuple(others), fragmented=fragmented, damage=damage)


@dataclass(frozen=True)
class Movie:
    """The headers of a file; `boxes` are all boxes but fragments and media."""

    created: datetime | None
    timescale: int
    duration: int
    tracks: tuple[Track, ...]
    texts: dict[str, str]
    boxes: tuple[Box, ...] = ()
    fragmented: bool = False
    damage: str | None = None

    @property
    def duration_s(self) -> float:
        """Seconds; NaN when unknown."""
        if self.timescale and self.duration:
            return self.duration / self.timescale
        lasting = ((track.lasting, track.timescale) for track in self.tracks)
        return max((units / timescale for units, timescale in lasting if units > 0), default=float("nan"))

    @property
    def video(self) -> Track | None:
        """The track with the largest pictures; None where there is none."""
        found = [track for track in self.tracks if track.is_video]
        return max(found, key=lambda track: track.width * track.height, default=None)

    def start(self, now_us: int) -> tuple[datetime | None, str | None]:
        """
        Return the creation time of the file, or of its pictures; and what is in doubt about it.

        Writers that count from 1970 give years before the first digital camera, and cameras whose clock was
        never set give 1904 or 1970 plus some seconds. Apple's creation date has its time zone, and stays as it
        was when a video is exported again; where the two contradict each other, it counts.

        Parameters
        ----------
        now_us
            The time now, microseconds since 1970.
        """
        video = self.video
        found, problem = None, None
        for created in (self.created, None if video is None else video.created):
            if created is not None and found is None:
                us = round(created.timestamp()) * times.SECOND_US
                why = times.implausible(us, now_us)
                found = us if why is None else None
                problem = problem or (f"its creation time, {times.shown(us)}, is {why}" if why else None)
        apple = times.read(self.texts.get("creationdate"))
        if apple is not None and apple.offset_s is not None and times.implausible(apple.us, now_us) is None:
            if found is not None and abs(found - apple.us) > times.AGREES_US:
                problem = f"its creation time, {times.shown(found)}, is not its creation date, {times.shown(apple.us)}"
            if found is None or abs(found - apple.us) > times.AGREES_US:
                found = apple.us
        if found is None:
            return None, problem
        return _UNIX + timedelta(microseconds=found), problem

    @cached_property
    def zero_s(self) -> float:
        """
        The second of the movie at which its first picture is shown, from which all times in a video are counted.

        Without pictures it is the movie's 0, or where the first track begins in what was cut out of a broadcast.
        """
        video = self.video
        if video is None:
            return min((track.start / track.timescale for track in self.tracks), default=0.0)
        seconds = video.timeline.samples(video.samples.shown).seconds
        return float(seconds[0]) if len(seconds) else 0.0


@dataclass(frozen=True)
class Track:
    """
    A track: its description and its tables.

    `start` is the time of the first sample in units of the timescale, where that is late because the
    video was cut out of a broadcast.
    """

    number: int
    handler: bytes
    formats: tuple[bytes, ...]
    timescale: int
    duration: int
    created: datetime | None
    width: int
    height: int
    rotation: int
    sphere: bool
    edits: tuple[Edit, ...]
    movie_timescale: int
    table: memoryview = field(repr=False)
    file_size: int
    fragments: Fragments | None = field(default=None, repr=False)
    start: int = 0
    _kept: dict[int, Samples] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_video(self) -> bool:
        """Whether it is a video track."""
        return self.handler in _PICTURES and self.formats[:1] != (b"jpeg",)

    @cached_property
    def timeline(self) -> Timeline:
        """When its samples are shown, by its edit list."""
        return Timeline.of(self.edits, movie_timescale=self.movie_timescale, timescale=self.timescale)

    @property
    def samples(self) -> Samples:
        """Its samples, as far as the tables are complete and agree. Only the last used track of a movie is cached."""
        found = self._kept.get(id(self))
        if found is None:
            self._kept.clear()
            found = self._kept[id(self)] = self._samples()
        return found

    def _samples(self) -> Samples:
        listed = samples(self.table, self.file_size)
        if self.fragments is None:
            return listed
        return joined(listed, self.fragments.samples(self.number, lambda: listed.end))

    @property
    def lasting(self) -> int:
        """Its duration, in units of the timescale: what its header says, or until its last fragment ends."""
        if self.fragments is None:
            return self.duration
        span = self.fragments.span(self.number, lambda: samples(self.table, self.file_size).end)
        if span is None:
            return self.duration
        return span[1] - (span[0] if self.start else 0) + max(self.shift, 0)

    @property
    def shift(self) -> int:
        """How much later than its own time its first sample is shown, in units of the timescale."""
        return next((int(part.at_s * self.timescale) - part.anchor for part in self.timeline.parts), 0)


def read_samples(file: BinaryIO, track: Track, rows: Whole, *, largest: int) -> Iterator[tuple[int, bytes]]:
    """
    Yield the bytes of samples, by row, one after another.

    Parameters
    ----------
    file
        Open for reading.
    track
        The track.
    rows
        Which of its samples.
    largest
        Samples that claim more bytes are skipped, as are those beyond the end of the file.
    """
    found = track.samples
    for row in rows.tolist():
        offset, size = int(found.offset[row]), int(found.size[row])
        if 0 < size <= largest and offset >= 0 and offset + size <= track.file_size:
            file.seek(offset)
            content = file.read(size)
            if len(content) == size:
                yield row, content


def _with_fragments(movie: Movie, fragments: Fragments) -> tuple[Track, ...]:
    """
    Return the tracks of a movie with the samples of its fragments.

    In a video cut out of a broadcast, the first picture may have any time; it is the start of the video.
    """
    tracks = tuple(replace(track, fragments=fragments) for track in movie.tracks)
    first = Fraction(0)
    if not any(is_listed(track.table) for track in tracks):
        firsts = [Fraction(begin + fragments.first_later(track.number) + min(track.shift, 0), track.timescale)
                  for track in ([movie.video] if movie.video else tracks)
                  if (begin := fragments.begin(track.number)) is not None]  # fmt: skip
        first = min(firsts, default=first)
    if first <= _LATE_S:
        return tracks
    return tuple(replace(track, start=int(first * track.timescale)) for track in tracks)


def _printable(kind: bytes) -> str:
    return kind.decode("latin-1") if kind.isalnum() else kind.hex()


def _movie(content: memoryview, file_size: int) -> Movie | None:
    header = child(content, b"mvhd")
    created, timescale, duration = _times(header, 0)
    tracks = []
    kept: dict[int, Samples] = {}
    for kind, inside in boxes(content):
        if kind == b"trak":
            track = _track(inside, timescale, file_size, kept)
            if track is not None:
                tracks.append(track)
    if header is None and not tracks:
        return None
    return Movie(created, timescale, duration, tuple(tracks[:64]), _texts(content))


def _times(header: memoryview | None, default: int) -> tuple[datetime | None, int, int]:
    """Return creation time, timescale and duration of an mvhd or mdhd box."""
    if header is None or len(header) < 20:
        return None, default, 0
    if header[0] == 1:
        if len(header) < 32:
            return None, default, 0
        created, _, timescale, duration = struct.unpack(">QQIQ", header[4:32])
        unknown = 0xFFFFFFFFFFFFFFFF
    else:
        created, _, timescale, duration = struct.unpack(">IIII", header[4:20])
        unknown = 0xFFFFFFFF
    return _date(created), timescale, 0 if duration == unknown else duration


def _date(seconds: int) -> datetime | None:
    if not 0 < seconds < 2**33:
        return None
    return _EPOCH + timedelta(seconds=seconds)


def _track(content: memoryview, movie_timescale: int, file_size: int, kept: dict[int, Samples]) -> Track | None:
    media = child(content, b"mdia")
    table = None if media is None else child(media, b"minf", b"stbl")
    if media is None or table is None:
        return None
    created, timescale, duration = _times(child(media, b"mdhd"), 0)
    handler = child(media, b"hdlr")
    entries = child(table, b"stsd")
    if timescale <= 0 or handler is None or len(handler) < 12:
        return None
    formats = tuple(kind for kind, _ in boxes(entries[8:])) if entries is not None and len(entries) > 8 else ()
    number, width, height, rotation = _header(child(content, b"tkhd"))
    return Track(
        number, bytes(handler[8:12]), formats, timescale, duration, created, width, height, rotation,
        _is_sphere(content, entries), _edits(child(content, b"edts", b"elst")), movie_timescale, table, file_size,
        _kept=kept,
    )  # fmt: skip


def _header(header: memoryview | None) -> tuple[int, int, int, int]:
    """Return number, width, height, and the clockwise turn that shows the pictures upright, of a tkhd box."""
    if header is None or len(header) < 84:
        return 0, 0, 0, 0
    number_at, matrix_at = (20, 52) if header[0] == 1 else (12, 40)
    if len(header) < matrix_at + 44:
        return 0, 0, 0, 0
    number = struct.unpack(">I", header[number_at : number_at + 4])[0]
    a, b, _, c, d = struct.unpack(">5i", header[matrix_at : matrix_at + 20])
    width, height = struct.unpack(">II", header[matrix_at + 36 : matrix_at + 44])
    one = 1 << 16
    turns = {(one, 0, 0, one): 0, (0, one, -one, 0): 90, (-one, 0, 0, -one): 180, (0, -one, one, 0): 270}
    return number, width >> 16, height >> 16, turns.get((a, b, c, d), 0)


def _is_sphere(content: memoryview, entries: memoryview | None) -> bool:
    """Return whether the pictures are marked as equirectangular (Google's Spherical Video, versions 1 and 2)."""
    if any(kind == b"uuid" and bytes(inside[:16]) == _SPHERICAL_V1 for kind, inside in boxes(content)):
        return True
    if entries is None or len(entries) <= 8:
        return False
    # A sample entry of pictures has 78 bytes of its own before the boxes inside.
    return any(child(entry[78:], b"sv3d", b"proj", b"equi") is not None for _, entry in boxes(entries[8:]))


def _edits(content: memoryview | None) -> tuple[Edit, ...]:
    if content is None or len(content) < 8:
        return ()
    form = ">Qqi" if content[0] == 1 else ">Iii"
    size = struct.calcsize(form)
    count = min(struct.unpack(">I", content[4:8])[0], (len(content) - 8) // size, MOST_BOXES)
    return tuple(Edit(*entry) for entry in struct.iter_unpack(form, content[8 : 8 + count * size]))


def _texts(content: memoryview) -> dict[str, str]:
    """Return the texts in the file's user data and metadata: make, model, firmware, …"""
    found: dict[str, str] = {}
    names = {b"\xa9mak": "make", b"\xa9mod": "model", b"@mak": "make", b"@mod": "model", b"manu": "make",
             b"modl": "model", b"FIRM": "firmware"}  # fmt: skip
    for kind, inside in boxes(child(content, b"udta") or memoryview(b"")):
        if kind in names:
            # A QuickTime text has its length and language before it.
            text = bytes(inside[4:] if kind[:1] == b"\xa9" else inside)
            found.setdefault(names[kind], text.split(b"\0")[0].decode("utf-8", "replace").strip())
    for meta in (child(content, b"udta", b"meta"), child(content, b"meta")):
        if meta is None:
            continue
        found.update(_keyed_texts(meta if child(meta, b"keys") is not None else meta[4:]))
    return {name: text for name, text in found.items() if text}


def _keyed_texts(meta: memoryview) -> dict[str, str]:
    """Return the texts of a QuickTime metadata box, by the last word of their keys."""
    keys, items = child(meta, b"keys"), child(meta, b"ilst")
    if keys is None or items is None or len(keys) < 8:
        return {}
    names = [bytes(name).decode("utf-8", "replace") for _, name in boxes(keys[8:])]
    found = {}
    for kind, inside in boxes(items):
        number, value = struct.unpack(">I", kind)[0], child(inside, b"data")
        if 1 <= number <= len(names) and value is not None and bytes(value[:4]) == b"\0\0\0\1":
            found[names[number - 1].rsplit(".", 1)[-1]] = bytes(value[8:]).decode("utf-8", "replace").strip()
    return found


def _defaults_of(extends: memoryview | None) -> Defaults:
    """Return the default duration, size and flags of fragments, by the number of the track (mvex box)."""
    found: Defaults = {}
    for kind, inside in boxes(extends or memoryview(b"")):
        if kind == b"trex" and len(inside) >= 24:
            number, _, duration, size, flags = struct.unpack(">5I", inside[4:24])
            found.setdefault(number, (duration, size, flags))
    return found


def _whole_duration(extends: memoryview | None) -> int:
    """Return the duration that a file claims with all its fragments, units of the movie's timescale; 0 if none."""
    header = None if extends is None else child(extends, b"mehd")
    if header is None or len(header) < 8 or (header[0] == 1 and len(header) < 12):
        return 0
    duration: int = struct.unpack(">Q", header[4:12])[0] if header[0] == 1 else struct.unpack(">I", header[4:8])[0]
    return 0 if duration in {0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF} else duration


# Fragments: samples in `moof` boxes, which the tables in `moov` do not list.


@dataclass(frozen=True, eq=False)
class Fragments:
    """The samples of all tracks in the fragments of a file."""

    content: memoryview = field(repr=False)
    runs: Runs = field(repr=False)
    file_size: int

    @property
    def cut(self) -> bool:
        """Whether the file ends before the data of the last runs."""
        last = self.runs.rows(slice(-64, None))
        return bool((last.start + of.sums(self.content, last, "size") > self.file_size).any())

    @cached_property
    def _lasting(self) -> Whole:
        return of.sums(self.content, self.runs, "duration")

    def _begins(self, rows: Whole, after: Callable[[], int]) -> Whole:
        """Return the decoding times of the first samples of all runs of a track."""
        given, lasting = self.runs.time[rows], self._lasting[rows]
        before = np.cumsum(lasting) - lasting
        last = np.maximum.accumulate(np.where(given >= 0, np.arange(len(rows)), -1))
        first = after() if len(rows) and last[0] < 0 else 0
        begins: Whole = np.where(last < 0, first, given[last] - before[last]) + before
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
        """Return the decoding time of a track's first samples in fragments; None where there is none."""
        rows = np.flatnonzero(self.runs.track == number)
        some = np.flatnonzero(self.runs.held[rows] > 0)[:1]
        if not len(some):
            return None
        given = self.runs.time[rows[: some[0] + 1]]
        return int(given[given >= 0][-1:].sum())

    def first_later(self, number: int) -> int:
        """Return the composition offset of the first sample of a track in fragments; 0 where there is none."""
        rows = np.flatnonzero((self.runs.track == number) & (self.runs.held > 0))[:1]
        one = self.runs.rows(rows)._replace(held=np.ones(len(rows), dtype=np.int64))
        return int(self._samples(one, np.zeros(len(rows), dtype=np.int64)).shown.sum())

    def samples(self, number: int, after: Callable[[], int]) -> Samples:
        """
        Return the samples of a track that are in fragments, and whose bytes are in the file.

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

    def _samples(self, runs: Runs, begins: Whole) -> Samples:
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
        offset, time = sums_before(size, count, runs.start), sums_before(duration, count, begins)
        later += time
        return Samples(offset, size, time, later, duration, key)


@dataclass
class Moofs:
    """The joined contents of a file's `moof` boxes, and where each box ends here and begins in the file."""

    content: bytearray = field(default_factory=bytearray)
    ends: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    full: bool = False

    def take(self, file: BinaryIO, box: Box) -> None:
        """Add a box, up to the largest total size."""
        _, start, stop, _, begin = box
        self.full = self.full or len(self.content) + stop - start > LARGEST_FRAGMENTS
        if not self.full and stop > start:
            file.seek(start)
            self.content += file.read(stop - start)
            self.ends.append(len(self.content))
            self.places.append(begin)

    def fragments(self, defaults: Defaults, file_size: int) -> Fragments:
        """Return the fragments; no box can be added afterwards."""
        self.content += of.PAD
        runs = of.runs(
            self.content, np.array(self.ends, np.int64), np.array(self.places, np.int64), defaults, file_size
        )
        return Fragments(memoryview(self.content), runs, file_size)
