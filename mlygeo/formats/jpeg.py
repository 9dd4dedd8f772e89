"""The segments of a JPEG file: found up to the image data, replaced and added without touching another byte."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
