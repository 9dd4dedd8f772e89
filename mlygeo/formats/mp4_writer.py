"""
MP4 and QuickTime files with one more track: new headers, and everything else of the original unchanged.

The result is not written but described, as pieces: bytes, and ranges of the original file, which are read
where they lie. So a copy of a video of many gigabytes needs neither memory nor room on a disk. The new
`moov` box and the samples of the new track come after `ftyp`; all media follow in their order, with every
byte, and the tables of chunk offsets are moved along. Format: ISO/IEC 14496-12.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats.mp4 import LARGEST_MOOV
from mlygeo.formats.mp4_tables import MOST_BOXES, box_at, boxes, child, file_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mlygeo.arrays import Floats, Whole
    from mlygeo.formats.mp4_tables import Box

Piece = bytes | range
"""Bytes of a new file, or the range of bytes of the original that come at this place."""

TIMESCALES = (1_000_000, 1000)
"""Units a second of a new track; the finer one unless two samples are too far apart for it."""

_LONGEST_STEP = 2**31 - 1
"""Largest duration of a sample: FFmpeg reads a larger one as below 0."""

_NESTED = (b"trak", b"mdia", b"minf", b"stbl")
"""The boxes between `moov` and the tables of chunk offsets."""

_UNKNOWN, _UNKNOWN_LONG = 2**32 - 1, 2**64 - 1
"""A duration that is unknown."""

_USED = 3
"""Flags of a track that is enabled, and part of the movie."""

_NO_LANGUAGE = 0x55C4
"""The language "und", packed."""

_MATRIX = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)

_LARGEST_META = 1 << 20


@dataclass(frozen=True)
class NewTrack:
    """
    A track of metadata for a file.

    Parameters
    ----------
    kind
        Four letters: its format and its handler.
    name
        Its name for people.
    samples
        The bytes of each sample.
    times_s
        When each begins, seconds from the start of the movie, 0 or more, ascending.
    """

    kind: bytes
    name: str
    samples: Sequence[bytes]
    times_s: Floats


def with_track(
    file: BinaryIO, size: int, track: NewTrack, *, texts: Mapping[bytes, str] | None = None
) -> tuple[Piece, ...]:
    """
    Return a file with a new track, as pieces for `Spliced`.

    Tracks of the same format are left out of the new headers, so that the file has one.

    Parameters
    ----------
    file
        The original, open for reading.
    size
        Its bytes.
    track
        The new track.
    texts
        Texts for the user data, by kind of box (such as `@mak`); empty ones are not written.

    Raises
    ------
    FormatError
        If the file cannot be copied so: it is recorded in fragments, damaged, has its media elsewhere, or
        keeps places of the file in boxes whose format is not known here. The message has no name.
    """
    found = list(file_boxes(file, size))
    moov = _checked(file, found)
    file.seek(moov.start)
    headers = memoryview(file.read(moov.stop - moov.start))
    if len(headers) != moov.stop - moov.start:
        raise FormatError("it changed while it was read")
    _check_headers(headers)
    at = found[0].stop if found[0].kind == b"ftyp" else 0
    layout = _Layout(at, moov.begin, moov.stop, size)
    media = _box(b"mdat", *track.samples)
    grown = 0
    # Longer headers move the media, and offsets that no longer fit 32 bits make the headers longer: until it fits.
    while True:
        new = _new_headers(headers, track, texts or {}, layout, at=at, grown=grown)
        if len(new) + len(media) == grown:
            break
        grown = len(new) + len(media)
    ranges = (range(at), new, media, range(at, moov.begin), range(moov.stop, size))
    return tuple(piece for piece in ranges if len(piece))


class Spliced(io.RawIOBase):
    """
    The file that pieces describe, for reading from any place.

    Parameters
    ----------
    file
        The original, open for reading; closed with this one.
    pieces
        As from `with_track`.
    """

    def __init__(self, file: BinaryIO, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self._file, self._pieces = file, tuple(pieces)
        ends = np.cumsum([len(piece) for piece in self._pieces], dtype=np.int64).tolist()
        self._starts, self.size = [0, *ends][:-1], length_of(pieces)
        self._place = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place that is read next."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, from the start, from here, or from the end; return it from the start."""
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        if place < 0:
            raise ValueError(f"{place} lies before the start of the file")
        self._place = place
        return place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; return the number of bytes, fewer only at the end."""
        target = memoryview(buffer).cast("B")[: max(self.size - self._place, 0)]
        filled = 0
        while filled < len(target):
            number = bisect_right(self._starts, self._place) - 1
            piece, skipped = self._pieces[number], self._place - self._starts[number]
            count = min(len(target) - filled, len(piece) - skipped)
            target[filled : filled + count] = self._part(piece, skipped, count)
            filled += count
            self._place += count
        return filled

    def _part(self, piece: Piece, skipped: int, count: int) -> bytes:
        if isinstance(piece, bytes):
            return piece[skipped : skipped + count]
        self._file.seek(piece.start + skipped)
        content = self._file.read(count)
        if len(content) != count:
            raise OSError("it became shorter while it was read")
        return content

    def close(self) -> None:
        """Close this file and the original."""
        if not self.closed:
            self._file.close()
        super().close()


def length_of(pieces: Sequence[Piece]) -> int:
    """Return the number of bytes of the file that pieces describe."""
    return sum(len(piece) for piece in pieces)


@dataclass(frozen=True)
class _Layout:
    """Where bytes of the original come in the new file: the new ones at `at`, the old headers gone."""

    at: int
    begin: int
    stop: int
    size: int

    def moved(self, offsets: Whole, grown: int) -> Whole:
        """Return places of the new file for places of the original, with `grown` new bytes."""
        if ((offsets > self.size) | ((offsets >= self.begin) & (offsets < self.stop))).any():
            raise FormatError("its tables name places where no media are")
        after: Whole = np.where(offsets >= self.stop, grown - (self.stop - self.begin), grown)
        return offsets + np.where(offsets >= self.at, after, 0)


def _checked(file: BinaryIO, found: list[Box]) -> Box:
    """Return the box with the headers; raise where the file cannot be copied with others."""
    moovs = [box for box in found if box.kind == b"moov"]
    if any(box.kind in {b"moof", b"sidx", b"mfra"} for box in found):
        raise FormatError("it is recorded in fragments")
    if not moovs:
        raise FormatError("its headers are lost")
    if len(moovs) > 1:
        raise FormatError("it has its headers more than once")
    for box in found:
        if box.kind in {b"moov", b"mdat"} and not box.whole:
            raise FormatError(f"the file ends inside its '{box.kind.decode()}' box")
        if box.kind == b"meta" and box.stop - box.start <= _LARGEST_META:
            file.seek(box.start)
            _check_meta(memoryview(file.read(box.stop - box.start)))
    if moovs[0].stop - moovs[0].start > LARGEST_MOOV:
        raise FormatError(f"its headers claim {moovs[0].stop - moovs[0].start:,} bytes")
    return moovs[0]


def _check_headers(headers: memoryview) -> None:
    kinds = [kind for kind, _ in boxes(headers)]
    if b"mvex" in kinds:
        raise FormatError("it is recorded in fragments")
    if b"mvhd" not in kinds or b"trak" not in kinds:
        raise FormatError("its headers list no tracks")
    for kind, inside in boxes(headers):
        if kind == b"meta":
            _check_meta(inside)
        if kind != b"trak":
            continue
        table = child(inside, b"mdia", b"minf", b"stbl")
        if table is not None and child(table, b"saio") is not None:
            raise FormatError("it is encrypted, or has other tables of places that are not known here")
        references = child(inside, b"mdia", b"minf", b"dinf", b"dref")
        for _, entry in boxes(references[8:] if references is not None else memoryview(b"")):
            if len(entry) > 4 and not entry[3] & 1:
                raise FormatError("it has its media in another file")


def _check_meta(content: memoryview) -> None:
    """Raise where a box of metadata has items by their place in the file."""
    if child(content, b"iloc") is not None or child(content[4:], b"iloc") is not None:
        raise FormatError("it has items by their place in the file")


def _new_headers(
    headers: memoryview, track: NewTrack, texts: Mapping[bytes, str], layout: _Layout, *, at: int, grown: int
) -> bytes:
    """Return the new `moov` box, for a file that `grown` bytes make longer before its media."""
    movie = _movie(headers)
    number = 1 + max(movie.tracks, default=0)
    added, duration = _track(track, number, movie)
    new_texts = b"".join(_box(kind, text.encode()) for kind, text in texts.items() if text)

    def moved(kind: bytes, inside: memoryview) -> bytes | None:
        if kind in _NESTED:
            if kind == b"trak" and _is_of(inside, track.kind):
                return b""
            return _box(kind, _mapped(inside, moved))
        return _offsets(kind, inside, layout, grown) if kind in {b"stco", b"co64"} else None

    def change(kind: bytes, inside: memoryview) -> bytes | None:
        if kind == b"mvhd":
            return _box(kind, _header(bytes(inside), number, duration))
        if kind == b"udta" and new_texts:
            return _box(kind, new_texts, inside)
        return moved(kind, inside) if kind == b"trak" else None

    content = _mapped(headers, change)
    if new_texts and child(headers, b"udta") is None:
        content += _box(b"udta", new_texts)
    # The samples come right after these headers, which end with their place.
    place = at + 8 + len(content) + len(added) + 8
    return _box(b"moov", content, added[:-4], struct.pack(">I", place))


def _box(kind: bytes, *parts: bytes | memoryview) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _mapped(content: memoryview, change: Callable[[bytes, memoryview], bytes | None]) -> bytes:
    """Return boxes with some of them replaced; those for which there is None, and what is not a box, as they are."""
    start, stop, parts = 0, len(content), []
    for _ in range(MOST_BOXES):
        box = box_at(content, start, start, stop)
        if box is None or not box.whole:
            break
        new = change(box.kind, content[box.start : box.stop])
        parts.append(content[box.begin : box.stop] if new is None else new)
        start = box.stop
    return b"".join([*parts, content[start:]])


def _is_of(content: memoryview, kind: bytes) -> bool:
    """Return whether a track has samples of a format."""
    entries = child(content, b"mdia", b"minf", b"stbl", b"stsd")
    return entries is not None and any(name == kind for name, _ in boxes(entries[8:]))


def _offsets(kind: bytes, inside: memoryview, layout: _Layout, grown: int) -> bytes:
    """Return a table of chunk offsets with the places of the new file, of 64 bits where they are needed."""
    long = kind == b"co64"
    count = struct.unpack(">I", inside[4:8])[0] if len(inside) >= 8 else 0
    if len(inside) < 8 + count * (8 if long else 4):
        raise FormatError("one of its tables is cut off")
    offsets = np.frombuffer(inside, dtype=">u8" if long else ">u4", count=count, offset=8)
    if count and int(offsets.max()) >= 1 << 62:
        raise FormatError("its tables name places where no media are")
    new = layout.moved(offsets.astype(np.int64), grown)
    long = long or bool((new >= 1 << 32).any())
    return _full(b"co64" if long else b"stco", struct.pack(">I", count), new.astype(">u8" if long else ">u4").tobytes())


class _Movie(NamedTuple):
    """Times of a movie, with a duration of 0 where it is unknown, and the numbers of its tracks."""

    created: int
    modified: int
    timescale: int
    duration: int
    tracks: list[int]


def _movie(headers: memoryview) -> _Movie:
    content = child(headers, b"mvhd")
    if content is None or len(content) < (112 if content[0] == 1 else 100):
        raise FormatError("its headers are damaged")
    created, modified, timescale, duration = struct.unpack_from(">QQIQ" if content[0] == 1 else ">IIII", content, 4)
    if not timescale:
        raise FormatError("its headers are damaged")
    numbers = []
    for kind, inside in boxes(headers):
        header = child(inside, b"tkhd") if kind == b"trak" else None
        if header is not None and len(header) >= 24:
            numbers.append(struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0])
    return _Movie(created, modified, timescale, 0 if duration in {_UNKNOWN, _UNKNOWN_LONG} else duration, numbers)


def _header(content: bytes, number: int, duration: int) -> bytes:
    """Return a movie's header with one track more, and at least as long as that, where the duration is known."""
    form, place = (">Q", 24) if content[0] == 1 else (">I", 16)
    before = struct.unpack_from(form, content, place)[0]
    longest = 1 << 8 * struct.calcsize(form)
    lasting = max(before, duration) if before and duration < longest else before
    head = content[:place] + struct.pack(form, lasting) + content[place + struct.calcsize(form) : -4]
    return head + struct.pack(">I", max(struct.unpack(">I", content[-4:])[0], number + 1))


def _track(track: NewTrack, number: int, movie: _Movie) -> tuple[bytes, int]:
    """
    Return the box of a new track, and its duration in units of the movie's timescale.

    Its last four bytes are the place of the samples. A track that starts late has an edit list, which shows
    nothing until then.
    """
    count = len(track.samples)
    late = round(float(track.times_s[0]) * movie.timescale)
    first_s = late / movie.timescale
    for timescale in TIMESCALES:
        begins = np.round((track.times_s - first_s) * timescale).astype(np.int64)
        begins[0] = 0
        steps = np.diff(np.maximum.accumulate(begins))
        if not len(steps) or steps.max() <= _LONGEST_STEP:
            break
    else:
        raise FormatError("its positions are weeks apart")
    # The last one lasts as long as the one before, but not beyond the end of the movie.
    left = round((movie.duration / movie.timescale - float(track.times_s[-1])) * timescale)
    last = int(steps[-1]) if len(steps) else timescale
    steps = np.append(steps, max(1, min(last, left) if left > 0 else last))
    lasting = int(steps.sum())
    shown = -(-lasting * movie.timescale // timescale)
    times = struct.pack(">QQ", movie.created, movie.modified)
    header = _full(
        b"tkhd", times, struct.pack(">IIQ", number, 0, late + shown), bytes(16), _MATRIX, bytes(8), version=1,
        flags=_USED,
    )  # fmt: skip
    edits = [struct.pack(">QqI", lasts, start, 1 << 16) for lasts, start in ((late, -1), (shown, 0))]
    lists = _box(b"edts", _full(b"elst", struct.pack(">I", len(edits)), *edits, version=1))
    starts = np.flatnonzero(np.diff(steps, prepend=-1))
    runs = np.stack([np.diff(np.append(starts, count)), steps[starts]], axis=1).astype(">u4")
    sizes = np.array([len(sample) for sample in track.samples], dtype=">u4")
    same = int(sizes[0]) if (sizes == sizes[0]).all() else 0
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _box(track.kind, bytes(6), b"\0\1")),
        _full(b"stts", struct.pack(">I", len(runs)), runs.tobytes()),
        _full(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        _full(b"stsz", struct.pack(">II", same, count), b"" if same else sizes.tobytes()),
        _full(b"stco", struct.pack(">I", 1), bytes(4)),
    )
    media = _box(
        b"mdia",
        _full(b"mdhd", times, struct.pack(">IQ", timescale, lasting), struct.pack(">HH", _NO_LANGUAGE, 0), version=1),
        _full(b"hdlr", bytes(4), track.kind, bytes(12), track.name.encode() + b"\0"),
        _box(b"minf", _full(b"nmhd"), _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))),
             table),
    )  # fmt: skip
    return _box(b"trak", header, *([lists] if late else []), media), late + shown
