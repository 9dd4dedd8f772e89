"""
Boxes and sample tables of MP4 and QuickTime files, read within bounds whatever they claim.

Only headers and tables are read, never the pictures, so that a video of many gigabytes costs no more
than a short one. Format: ISO/IEC 14496-12, and Apple's QuickTime File Format Specification for what
cameras keep of it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from mlygeo.readers._mp4_tables import MOST_BOXES, Box, Samples, box_at, boxes, child, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.readers._mp4_tables import Wholes

__all__ = ["Box", "Movie", "Samples", "Track", "boxes", "child", "file_boxes", "read_movie", "read_samples"]

LARGEST_MOOV = 96 << 20
"""Bytes of headers and tables that are read at most: some twenty hours of video with all its sensors."""

_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_SPHERICAL_V1 = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")
_PICTURES = {b"vide"}


@dataclass(frozen=True)
class Track:
    """A track: what it holds, and its tables."""

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
    edits: tuple[tuple[int, int, int], ...]
    movie_timescale: int
    table: memoryview = field(repr=False)
    file_size: int

    @property
    def is_video(self) -> bool:
        """Whether it holds moving pictures."""
        return self.handler in _PICTURES and self.formats[:1] != (b"jpeg",)

    @property
    def delay(self) -> int | None:
        """
        What is added to a presentation time to make it the movie's, in units of the timescale.

        None where the edit list does more than shift the track as a whole.
        """
        if not self.edits:
            return 0
        empty, rest = 0, list(self.edits)
        while rest and rest[0][1] == -1:
            empty += rest.pop(0)[0]
        if len(rest) != 1 or rest[0][2] != 1 << 16:
            return None
        return empty * self.timescale // max(self.movie_timescale, 1) - rest[0][1]

    @property
    def shift_s(self) -> float:
        """The same in seconds; 0 where there is no such thing."""
        return (self.delay or 0) / self.timescale

    @cached_property
    def samples(self) -> Samples:
        """Its samples, as far as the tables go and agree."""
        return samples(self.table, self.file_size)


@dataclass(frozen=True)
class Movie:
    """What the headers of a file say."""

    created: datetime | None
    timescale: int
    duration: int
    tracks: tuple[Track, ...]
    texts: dict[str, str]
    fragmented: bool
    damage: str | None = None

    @property
    def duration_s(self) -> float:
        """Seconds; NaN when unknown."""
        if self.timescale and self.duration:
            return self.duration / self.timescale
        return max((track.duration / track.timescale for track in self.tracks if track.duration), default=float("nan"))

    @property
    def video(self) -> Track | None:
        """The track with the largest pictures; None where there is none."""
        found = [track for track in self.tracks if track.is_video]
        return max(found, key=lambda track: track.width * track.height, default=None)


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
    stop = size if stop is None else min(stop, size)
    for _ in range(MOST_BOXES):
        if start + 8 > stop:
            return
        file.seek(start)
        box = box_at(file.read(16), start, stop)
        if box is None:
            return
        yield box
        start = box.stop


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
    fragments = 0
    damage = None
    for box in file_boxes(file, size):
        if not box.whole:
            damage = f"the file ends inside its '{_printable(box.kind)}' box"
        if box.kind == b"moof":
            fragments += 1
        elif box.kind == b"moov" and (movie is None or not movie.tracks):
            if box.stop - box.start > LARGEST_MOOV:
                damage = f"its headers claim {box.stop - box.start:,} bytes"
                continue
            file.seek(box.start)
            movie = _movie(memoryview(file.read(box.stop - box.start)), size) or movie
    if movie is None:
        return None
    return Movie(
        movie.created, movie.timescale, movie.duration, movie.tracks, movie.texts,
        fragmented=movie.fragmented or fragments > 0, damage=damage,
    )  # fmt: skip


def _printable(kind: bytes) -> str:
    return kind.decode("latin-1") if kind.isalnum() else kind.hex()


def _movie(content: memoryview, file_size: int) -> Movie | None:
    header = child(content, b"mvhd")
    created, timescale, duration = _times(header, 0)
    tracks = []
    for kind, inside in boxes(content):
        if kind == b"trak":
            track = _track(inside, timescale, file_size)
            if track is not None:
                tracks.append(track)
    if header is None and not tracks:
        return None
    return Movie(created, timescale, duration, tuple(tracks[:64]), _texts(content), child(content, b"mvex") is not None)


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
    date = _EPOCH + timedelta(seconds=seconds)
    # Some writers count from 1970 and land before the first digital camera; cameras whose clock was never
    # set say 1904 or 1970 and some seconds. Neither is a time of recording.
    return date if date.year > 1970 else None


def _track(content: memoryview, movie_timescale: int, file_size: int) -> Track | None:
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


def _edits(content: memoryview | None) -> tuple[tuple[int, int, int], ...]:
    if content is None or len(content) < 8:
        return ()
    form = ">Qqi" if content[0] == 1 else ">Iii"
    size = struct.calcsize(form)
    count = min(struct.unpack(">I", content[4:8])[0], (len(content) - 8) // size, MOST_BOXES)
    return tuple(struct.iter_unpack(form, content[8 : 8 + count * size]))


def _texts(content: memoryview) -> dict[str, str]:
    """Return what the file's user data and metadata say, in words: make, model, firmware, …"""
    found: dict[str, str] = {}
    names = {b"\xa9mak": "make", b"\xa9mod": "model", b"@mak": "make", b"@mod": "model", b"manu": "make",
             b"modl": "model", b"FIRM": "firmware"}  # fmt: skip
    for kind, inside in boxes(child(content, b"udta") or memoryview(b"")):
        if kind in names:
            # A QuickTime text has its length and language before it.
            text = bytes(inside[4:] if kind[:1] == b"\xa9" else inside)
            found.setdefault(names[kind], text.split(b"\0")[0].decode("utf-8", "replace").strip())
    meta = child(content, b"meta")
    if meta is not None:
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


def read_samples(file: BinaryIO, track: Track, rows: Wholes, *, largest: int) -> Iterator[tuple[int, bytes]]:
    """
    Give the bytes of samples, by row, one after another.

    Parameters
    ----------
    file
        Open for reading.
    track
        The track.
    rows
        Which of its samples.
    largest
        Samples that claim more bytes are passed over, as are those that the file ends before.
    """
    found = track.samples
    for row in rows.tolist():
        offset, size = int(found.offset[row]), int(found.size[row])
        if 0 < size <= largest and offset >= 0 and offset + size <= track.file_size:
            file.seek(offset)
            content = file.read(size)
            if len(content) == size:
                yield row, content
