"""
The segments of a JPEG file: found up to the image data, replaced and added without touching another byte.

The head of a JPEG file: its EXIF and XMP segments, and the size of the picture.

Only segments before the picture's data are looked at, and only those wanted are read; a photo of
30 MB costs one read of 64 kB. Markers: ITU-T T.81, annex B; APP1: Exif 2.32, 4.7.2, and XMP part 3, 1.1.3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO


APP0, APP1, APP2 = 0xE0, 0xE1, 0xE2


SOS, EOI, TEM = 0xDA, 0xD9, 0x01

EXIF_NAME = b"Exif\0"

XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"

MPF_NAME = b"MPF\0"

JFIF_NAMES = (b"JFIF\0", b"JFXX\0")

LONGEST_PAYLOAD = 65_533
"""Bytes that a segment holds: its length is 16 bits wide and counts itself."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_ALONE = frozenset((*range(0xD0, 0xD9), TEM))

FIRST_READ = 1 << 16
"""Bytes read at once: the EXIF segment comes first and cannot be longer than this."""

LATER_READ = 1 << 12
"""Bytes read where a segment starts beyond the first read."""

MOST_SEGMENTS = 4096
"""A head of more segments is none; ICC profiles, extended XMP and previews make a few hundred at most."""

LONGEST_GAP = 1 << 16
"""Bytes of rubbish between two segments that are passed over."""

_EXIF = b"Exif\0"

_XMP = b"http://ns.adobe.com/xap/1.0/\0"


_APP1, _SOS, _EOI = 0xE1, 0xDA, 0xD9

# These stand alone: no length and no payload follow.
_ALONE_IN_HEAD = frozenset({0x01, *range(0xD0, 0xD9)})

_OTHERS = (
    (b"\x89PNG", "a PNG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"RIFF", "a WebP picture or a film"),
    (b"<", "a web page or XML"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment: its marker, and where it lies, marker included."""

    marker: int
    start: int
    end: int


@dataclass(frozen=True)
class Layout:
    """
    Where everything lies in a JPEG file, up to its image data.

    Parameters
    ----------
    segments
        The segments before the first scan, in order.
    scan
        Where the first scan begins.
    width, height
        Pixels; 0 where the file tells only after the image data.
    """

    segments: tuple[Segment, ...]
    scan: int
    width: int
    height: int


def layout(jpeg: bytes) -> Layout:
    """
    Return where everything lies in a JPEG file.

    Bytes between two segments that belong to none are passed over, as decoders do: cameras
    leave some.

    Raises
    ------
    FormatError
        If it is no JPEG, or ends before its image data.
    """
    if jpeg[:2] != b"\xff\xd8":
        raise FormatError(f"no JPEG: it begins with {jpeg[:4].hex(' ') or 'nothing'}")
    found: list[Segment] = []
    width = height = position = 0
    position, framed = 2, False
    while True:
        position, marker = _next_marker(jpeg, position)
        if marker == SOS:
            break
        if marker == EOI:
            raise FormatError(f"a JPEG without image data: it ends at byte {position:,}")
        if marker in _ALONE:
            position += 2
            continue
        end = position + 2 + int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if end < position + 4 or end > len(jpeg):
            raise FormatError(f"a JPEG cut short or damaged: the segment at byte {position:,} reaches past its end")
        found.append(Segment(marker, position, end))
        if marker in _FRAMES:
            if end - position < 10:
                raise FormatError(f"a damaged JPEG: the frame header at byte {position:,} is too short")
            height, width = struct.unpack(">HH", jpeg[position + 5 : position + 9])
            framed = True
        position = end
    if not framed:
        raise FormatError("a damaged JPEG: image data without a frame header")
    return Layout(tuple(found), position, width, height)


def named(jpeg: bytes, found: Layout, marker: int, name: bytes) -> list[Segment]:
    """Return the segments of a marker whose payload begins with a name."""
    return [
        segment
        for segment in found.segments
        if segment.marker == marker and jpeg.startswith(name, segment.start + 4, segment.end)
    ]


def payload(jpeg: bytes, segment: Segment) -> bytes:
    """Return what a segment holds, without marker and length."""
    return jpeg[segment.start + 4 : segment.end]


def place_for_exif(jpeg: bytes, found: Layout) -> int:
    """Return where a new EXIF segment goes: first of all, but after JFIF's own, which must be first too."""
    place = 2
    for segment in found.segments:
        if segment.marker != APP0 or not jpeg.startswith(JFIF_NAMES, segment.start + 4, segment.end):
            break
        place = segment.end
    return place


def rebuilt(
    jpeg: bytes, found: Layout, replaced: Mapping[Segment, bytes], added: Mapping[int, tuple[tuple[int, bytes], ...]]
) -> bytes:
    """
    Return a JPEG file with some segments replaced and others added; every other byte stays.

    Parameters
    ----------
    jpeg
        The file.
    found
        Its layout.
    replaced
        New payloads of segments.
    added
        Markers and payloads of new segments, by the byte before which they go.

    Raises
    ------
    FormatError
        If a payload is too long for a segment.
    """
    edits = [(segment.start, segment.end, _segment(segment.marker, new)) for segment, new in replaced.items()]
    edits += [(place, place, b"".join(_segment(*new) for new in several)) for place, several in added.items()]
    edits += _index_edits(jpeg, found, edits)
    edits.sort(key=lambda edit: edit[:2])
    source, done = memoryview(jpeg), 0
    parts: list[bytes | memoryview] = []
    for start, end, new in edits:
        parts += [source[done:start], new]
        done = end
    return b"".join([*parts, source[done:]])


def _segment(marker: int, new: bytes) -> bytes:
    if len(new) > LONGEST_PAYLOAD:
        raise FormatError(f"the metadata does not fit: {len(new):,} bytes, a JPEG segment holds {LONGEST_PAYLOAD:,}")
    return struct.pack(">BBH", 0xFF, marker, len(new) + 2) + new


def _next_marker(jpeg: bytes, position: int) -> tuple[int, int]:
    while True:
        position = jpeg.find(b"\xff", position)
        if position < 0 or position + 4 > len(jpeg):
            raise FormatError("a JPEG cut short: it ends before its image data")
        if jpeg[position + 1] not in {0x00, 0xFF}:
            return position, jpeg[position + 1]
        position += 1


def _index_edits(jpeg: bytes, found: Layout, edits: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """
    Return what to change in the index of further pictures (CIPA DC-007, MPF).

    Its offsets count from the index itself, so they hold where everything new lies before it, as
    it does in the files of cameras; what grows after it moves the pictures away from it.
    """
    changes = []
    for segment in named(jpeg, found, APP2, MPF_NAME):
        growth = sum(len(new) - (end - start) for start, end, new in edits if start >= segment.end)
        if growth:
            base = segment.start + 4 + len(MPF_NAME)
            changes += _moved_pictures(jpeg[base : segment.end], base, growth)
    return changes


def _moved_pictures(index: bytes, base: int, growth: int) -> list[tuple[int, int, bytes]]:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(index[:4])
    if order is None:
        return []
    try:
        (first,) = struct.unpack_from(f"{order}I", index, 4)
        (count,) = struct.unpack_from(f"{order}H", index, first)
        entries = [struct.unpack_from(f"{order}HHII", index, first + 2 + 12 * number) for number in range(count)]
        changes = []
        for tag, _, size, where in entries:
            if tag != 0xB002:  # the list of pictures: 16 bytes each, the offset after flags and size
                continue
            for place in range(where + 8, where + size, 16):
                (offset,) = struct.unpack_from(f"{order}I", index, place)
                if offset:  # 0 is the first picture itself
                    moved = struct.pack(f"{order}I", offset + growth)
                    changes.append((base + place, base + place + 4, moved))
    except struct.error as error:
        raise FormatError("the index of further pictures (MPF) is damaged, and would have to be changed") from error
    return changes


class Head(NamedTuple):
    """What the head of a JPEG holds; None for what it does not."""

    exif: bytes | None = None
    xmp: bytes | None = None
    width: int | None = None
    height: int | None = None
    problem: str | None = None
    error: str | None = None


def read_head(file: BinaryIO) -> Head:
    """
    Read the head of a JPEG file.

    Parameters
    ----------
    file
        A file open for reading, unbuffered, at its start.

    Returns
    -------
    head
        `exif` starts with the TIFF header, `xmp` is the packet; `problem` tells what is odd but
        could be passed over, `error` why this is no picture.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    buffer = file.read(FIRST_READ) or b""
    if buffer[:2] != b"\xff\xd8":
        return Head(error=_not_a_jpeg(buffer))
    base, position = 0, 2
    exif = xmp = problem = None
    for _ in range(MOST_SEGMENTS):
        if position + 12 > base + len(buffer):
            base, buffer = position, _read_at(file, position, LATER_READ)
        at = position - base
        if at + 4 > len(buffer):
            return Head(exif, xmp, problem=problem, error="the file ends before its picture starts")
        if buffer[at] != 0xFF:
            gap = _next_marker_in(file, position)
            if gap is None:
                return Head(exif, xmp, problem=problem, error="rubbish stands where its picture should start")
            problem = problem or f"rubbish ({gap} bytes) stands between two segments"
            position += gap
            continue
        marker = buffer[at + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _ALONE_IN_HEAD:
            position += 2
            continue
        if marker in (_SOS, _EOI):
            break
        length = buffer[at + 2] << 8 | buffer[at + 3]
        if length < 2:
            return Head(exif, xmp, problem=problem, error="a segment before its picture has no length")
        if marker in _FRAMES:
            if at + 9 > len(buffer):
                return Head(exif, xmp, problem=problem, error="the file ends before its picture starts")
            height = buffer[at + 5] << 8 | buffer[at + 6]
            width = buffer[at + 7] << 8 | buffer[at + 8]
            return Head(exif, xmp, width or None, height or None, problem)
        if marker == _APP1 and (exif is None or xmp is None):
            if at + 2 + length > len(buffer):
                base, at = position, 0
                buffer = _read_at(file, position, length + 2 + LATER_READ)
            payload = buffer[at + 4 : at + 2 + length]
            if exif is None and payload.startswith(_EXIF):
                exif = payload[6:]
                if len(payload) < length - 2:
                    problem = problem or "the EXIF segment is cut off"
            elif xmp is None and payload.startswith(_XMP):
                xmp = payload[len(_XMP) :]
        position += 2 + length
    return Head(exif, xmp, problem=problem, error="the file holds no picture")


def _read_at(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size) or b""


def _next_marker_in(file: BinaryIO, position: int) -> int | None:
    """Return how many bytes from a position the next marker is; None if there is none near."""
    rubbish = _read_at(file, position, LONGEST_GAP)
    at = rubbish.find(b"\xff")
    while at >= 0:
        if at + 1 < len(rubbish) and rubbish[at + 1] >= 0xC0 and rubbish[at + 1] != 0xFF:
            return at
        at = rubbish.find(b"\xff", at + 1)
    return None


def _not_a_jpeg(start: bytes) -> str:
    if not start:
        return "the file is empty"
    if start[4:8] == b"ftyp":
        return "not a JPEG, but a HEIF picture or a film"
    what = next((what for signature, what in _OTHERS if start.startswith(signature)), None)
    if what is None and not start.strip(b"\0"):
        what = "zeros"
    return f"not a JPEG, but {what}" if what else "not a JPEG: it does not start with FF D8"
