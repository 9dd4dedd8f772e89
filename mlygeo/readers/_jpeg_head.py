"""
The head of a JPEG file: its EXIF and XMP segments, and the size of the picture.

Only segments before the picture's data are looked at, and only those wanted are read; a photo of
30 MB costs one read of 64 kB. Markers: ITU-T T.81, annex B; APP1: Exif 2.32, 4.7.2, and XMP part 3, 1.1.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import BinaryIO

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
# A start of frame tells the size; C4, C8 and CC in the same range are tables and reserved.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# These stand alone: no length and no payload follow.
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})

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
            gap = _next_marker(file, position)
            if gap is None:
                return Head(exif, xmp, problem=problem, error="rubbish stands where its picture should start")
            problem = problem or f"rubbish ({gap} bytes) stands between two segments"
            position += gap
            continue
        marker = buffer[at + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _ALONE:
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


def _next_marker(file: BinaryIO, position: int) -> int | None:
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
