"""
Checks that bytes are a complete picture: JPEG by its structure and its headers, other formats by decoding.

A JPEG of half a megabyte takes 20 milliseconds to decode, and a fifth of one to walk over: segment by segment
and through every scan to the end of the image. So the walk finds files that are cut off or are not pictures.
Whether the headers can be decoded is decided by the decoder itself: it decodes the same picture of 8 x 8 pixels
and without the data of its scans, which takes 50 microseconds. It refuses no data of scans, since it goes on past
what it does not understand. So what passes decodes, without a second opinion on any header here. For an unusual
file the decoder has the whole of it.
"""

from __future__ import annotations

import contextlib
import functools
import io
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

    from mlygeo.arrays import Flags

MOST_PIXELS = 400_000_000
"""Most pixels; the largest panoramas of cameras have half as many."""

MANY_PIXELS = 4_000_000
"""Pixels from which pictures are decoded one at a time, so that memory stays bounded."""

MOST_MEMORY = 256 << 20
"""Bytes that decoding a whole picture may take; one that takes more cannot be decided on, and counts as none."""

MOST_SCANS = 200
"""Most scans; progressive pictures have ten. A decoder goes over the whole picture for each."""

LONGEST_HEAD = 32 << 20
"""Most bytes of all segments together, without the data of scans."""

COMMON_HEAD = 4_096
"""Bytes of a head that is remembered: one without a preview or a profile of colours has 600."""

MOST_SEGMENTS, LONGEST_GAP = 5_000, 1 << 20
"""Most segments, and bytes between two of them; with more, Pillow's reader takes minutes and gigabytes."""

LONGEST_SIDE = 65_500
"""Most pixels of a side that decoders take (JPEG_MAX_DIMENSION of libjpeg)."""

_one_at_a_time = threading.Lock()

MOST_BLOCKS = 10
"""Blocks of one unit of a scan of several components, from the specification (ITU-T T.81, B.2.3)."""

_PLAIN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive frames with Huffman coding, which every decoder supports."""

_REFUSALS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, AttributeError, OverflowError,
    ZeroDivisionError, MemoryError, struct.error,
)  # fmt: skip
"""Errors of Pillow's plug-ins; each of these means that the bytes are not a picture."""

_PASSED_OVER = frozenset({*range(0xE0, 0xF0), jpeg.DRI, jpeg.COM})
"""Segments of applications, restart intervals and comments."""


def check_picture(content: bytes, *, format: str = "jpg") -> Picture:  # noqa: A002 - the word for it
    """
    Raise unless bytes are a complete picture.

    Parameters
    ----------
    content
        The received bytes, or the content of a file.
    format
        The expected format: "jpg" or "webp".

    Returns
    -------
    picture
        Its format and dimensions.

    Raises
    ------
    FormatError
        If it is not; the message says what it is instead.
    BombError
        If it claims to be larger than any camera makes them.

    Examples
    --------
    >>> check_picture(Path("photo.jpg").read_bytes()).width
    """
    if not content:
        raise FormatError("it is empty")
    if format != "jpg":
        return _decoded(content, format)
    if not content.startswith(b"\xff\xd8\xff"):
        raise FormatError(f"it is not a JPEG, but {_kind(content)}")
    try:
        size, head = _walk(content)
        _decode_head(head)
    except _UnusualError:
        return _decoded(content, "jpg")
    return Picture("jpg", *size)


@dataclass(frozen=True)
class Picture:
    """The result of a check: the picture's format ("jpg", "webp"), and its width and height in pixels."""

    format: str
    width: int
    height: int


class BombError(FormatError):
    """A picture that claims to be larger than any camera makes them."""


class _UnusualError(Exception):
    """The walk cannot decide; the decoder has to."""


def _walk(content: bytes) -> tuple[tuple[int, int], bytes]:
    """Walk over the segments of a JPEG to its end; return width and height, and the segments of a tiny one."""
    position, size = 2, len(content)
    head, head_size = [content[:2]], 0
    dimensions: tuple[int, int] | None = None
    components: dict[int, tuple[int, int]] = {}
    progressive = False
    tables: set[tuple[str, int]] = set()
    scans = 0
    for marker, start, position, rubbish in _segments(content):
        if rubbish:
            raise _UnusualError  # decoders look for the next marker
        if marker == jpeg.EOI:
            break
        if marker == jpeg.TEM:
            continue
        if marker < 0xC0 or marker in jpeg.ALONE:
            raise _UnusualError
        if max(position, start + 4) > size:
            raise FormatError("it is cut short")
        if position < start + 4:
            raise FormatError("a segment of it is damaged")
        segment = content[start + 4 : position]
        head_size += position - start
        if head_size > LONGEST_HEAD or len(head) > MOST_SEGMENTS:
            raise FormatError("its head is longer than that of any picture")
        if marker == jpeg.COM:  # which decoders pass over
            head.append(b"")
        else:
            head.append(content[start:position] if marker not in jpeg.FRAMES else _tiny(content[start:position]))
        if marker in jpeg.FRAMES:
            if dimensions is not None or marker not in _PLAIN_FRAMES:
                raise _UnusualError
            dimensions, components = _frame(segment)
            progressive = marker == 0xC2
        elif marker == jpeg.DHT:
            tables |= _huffman_tables(segment)
        elif marker == jpeg.DQT:
            tables |= _quantisation_tables(segment)
        elif marker == jpeg.SOS:
            _check_scan(segment, components, tables, progressive=progressive)
            scans += 1
            if scans > MOST_SCANS:
                raise FormatError(f"it has more than {MOST_SCANS} scans")
        elif marker == jpeg.DRI and len(segment) != 2:
            raise FormatError("a segment of it is damaged")
        elif marker not in _PASSED_OVER:
            raise _UnusualError
    else:
        if position >= size - 1:
            raise FormatError("it is cut short")
        raise _UnusualError
    if dimensions is None or not scans:
        raise FormatError("it holds no picture")
    # More may follow, such as a second picture of the camera: decoders read no further.
    head.append(b"\xff\xd9")
    return dimensions, b"".join(head)


def _tiny(frame: bytes) -> bytes:
    """Return the segment of a frame with a height and width of 8 pixels."""
    return frame[:5] + b"\x00\x08\x00\x08" + frame[9:]


def _decode_head(head: bytes) -> None:
    """Let the decoder judge all headers of a picture; `head` has no data of scans, which it takes for damaged ones."""
    try:
        (_decodes_once if len(head) <= COMMON_HEAD else _decodes)(head)
    except _REFUSALS as error:
        raise _UnusualError from error


def _decodes(head: bytes) -> None:
    _plugins()["jpg"](io.BytesIO(head)).load()


_decodes_once = functools.lru_cache(maxsize=256)(_decodes)
"""Most pictures of a camera or a service have the headers of others, byte by byte."""


def _segments(content: bytes) -> Iterator[jpeg.Segment]:
    """Yield the segments of a whole file: those of the first walk, and of one more walk after the data of each scan."""
    segment: jpeg.Segment | None = None
    position = 2
    while True:
        for segment in jpeg.walk(content, position):
            yield segment
            position = segment.end
        if segment is None or segment.marker != jpeg.SOS:
            return
        following = _next_marker(content, position)
        if following is None:
            raise FormatError("it is cut short")
        if following == position:
            raise _UnusualError  # a scan without data
        position = following
        segment = None


def _next_marker(content: bytes, position: int) -> int | None:
    """
    Return the position of the first possible marker in the data of a scan; None if there is none.

    FF 00 is a byte of data there, D0 to D7 are restarts, and after FF FF a marker follows later.
    """
    # In windows, so that the arrays stay small; each twice as long, so that many short scans are as fast.
    window = 1 << 18
    while position < len(content) - 1:
        values = np.frombuffer(content, np.uint8, min(window + 1, len(content) - position), position)
        starts = (values[:-1] == 0xFF).nonzero()[0]
        found = _is_marker()[values[starts + 1]].nonzero()[0]
        if len(found):
            return position + int(starts[found[0]])
        position += len(values) - 1
        window = min(2 * window, 1 << 20)
    return None


@functools.cache
def _is_marker() -> Flags:
    """Return for each byte whether it makes a marker behind 0xFF; 0 and restarts are in the data of scans."""
    found = np.ones(256, dtype=np.bool_)
    found[[0x00, 0xFF, *range(0xD0, 0xD8)]] = False
    return found


def _frame(segment: bytes) -> tuple[tuple[int, int], dict[int, tuple[int, int]]]:
    """Return width and height of a frame, and for each component its blocks per unit and its quantisation table."""
    if len(segment) < 6:
        raise FormatError("its frame is damaged")
    precision, count = segment[0], segment[5]
    height, width = int.from_bytes(segment[1:3]), int.from_bytes(segment[3:5])
    if precision != 8 or height == 0 or count not in {1, 3, 4}:
        raise _UnusualError
    if width == 0 or len(segment) != 6 + 3 * count:
        raise FormatError("its frame is damaged")
    _check_pixels(width, height)
    for sampling in segment[7::3]:
        if not (1 <= sampling >> 4 <= 4 and 1 <= sampling & 15 <= 4):
            raise FormatError("its frame is damaged")
    components = {
        each: (blocks >> 4) * (blocks & 15) for each, blocks in zip(segment[6::3], segment[7::3], strict=True)
    }
    if len(components) != count:
        raise _UnusualError
    return (width, height), {
        each: (components[each], table) for each, table in zip(segment[6::3], segment[8::3], strict=True)
    }


def _check_pixels(width: int, height: int) -> None:
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        raise BombError(f"it claims to be {width:,} x {height:,} pixels")


def _huffman_tables(segment: bytes) -> set[tuple[str, int]]:
    position, found = 0, set()
    while position < len(segment):
        if position + 17 > len(segment):
            raise FormatError("a table of it is damaged")
        which, lengths = segment[position], segment[position + 1 : position + 17]
        codes = room = 0
        for length, count in enumerate(lengths, start=1):
            codes += count
            room += count << (16 - length)
        values = segment[position + 17 : position + 17 + codes]
        position += 17 + codes
        if codes > 256 or which & 15 > 3 or which >> 4 > 1 or position > len(segment):
            raise FormatError("a table of it is damaged")
        # More codes than possible, or differences of more than 15 bits: harmless if no scan uses the table.
        if room >= 1 << 16 or (which >> 4 == 0 and max(values, default=0) > 15):
            raise _UnusualError
        found.add(("AC" if which >> 4 else "DC", which & 15))
    return found


def _quantisation_tables(segment: bytes) -> set[tuple[str, int]]:
    position, found = 0, set()
    while position < len(segment):
        which = segment[position]
        position += 1 + (128 if which >> 4 else 64)
        if which & 15 > 3 or position > len(segment):
            raise FormatError("a table of it is damaged")
        found.add(("quantisation", which & 15))
    return found


def _check_scan(
    segment: bytes, components: dict[int, tuple[int, int]], tables: set[tuple[str, int]], *, progressive: bool
) -> None:
    """Raise if a scan's header is invalid; leave headers that only some decoders accept to the decoder."""
    count = segment[0] if segment else 0
    if not components or not 1 <= count <= 4 or len(segment) != 4 + 2 * count:
        raise FormatError("a scan of it is damaged")
    chosen, selectors = segment[1 : 1 + 2 * count : 2], segment[2 : 2 + 2 * count : 2]
    start, last, high, low = segment[-3], segment[-2], segment[-1] >> 4, segment[-1] & 15
    if len(set(chosen)) != count or not set(chosen) <= set(components):
        raise _UnusualError
    if count > 1 and sum(components[each][0] for each in chosen) > MOST_BLOCKS:
        raise _UnusualError
    if progressive:
        bands = last == 0 if start == 0 else start <= last <= 63 and count == 1
        if not bands or low > 13 or (high and high != low + 1):
            raise _UnusualError
    elif (start, last, high, low) != (0, 63, 0, 0):
        raise _UnusualError
    needed = {("quantisation", components[each][1]) for each in chosen}
    for selector in selectors:
        needed |= {("DC", selector >> 4)} if start == 0 and not high else set()
        needed |= {("AC", selector & 15)} if last > 0 else set()
    if not needed <= tables:
        raise _UnusualError  # decoders use the usual table for a missing one, or refuse the file


def _decoded(content: bytes, format: str) -> Picture:  # noqa: A002
    """Decode a picture with Pillow, and check its format."""
    try:
        if format == "jpg":
            _check_head(content)
        picture: Image.Image = _plugins()[format](io.BytesIO(content))
        width, height = picture.size
        _check_pixels(width, height)
        _check_memory(picture, content)
        with _one_at_a_time if width * height > MANY_PIXELS else contextlib.nullcontext():
            if width * height > MOST_MEMORY // 4:
                _decode_head(_made_tiny(content))
                picture.draft(picture.mode, (1, 1))  # an eighth of each side, where headers are judged less strictly
            picture.load()
    except FormatError:
        raise
    except (_UnusualError, *_REFUSALS) as error:
        reason = "it is cut short" if "truncated" in str(error) else f"it is no {format.upper()} that can be decoded"
        raise FormatError(reason) from error
    return Picture(format, width, height)


def _made_tiny(content: bytes) -> bytes:
    """Return a JPEG with a height and width of 8 pixels."""
    frames = [segment.start for segment in jpeg.walk(content) if segment.marker in jpeg.FRAMES]
    return content[: frames[-1]] + _tiny(content[frames[-1] :])


@functools.cache
def _plugins() -> dict[str, Any]:
    """Return Pillow's readers: the plug-ins themselves, since `Image.open` has a limit that large panoramas exceed."""
    from PIL import JpegImagePlugin, WebPImagePlugin

    class Jpeg(JpegImagePlugin.JpegImageFile):
        def _read_dpi_from_exif(self) -> None:
            """Read no EXIF: it does not touch the picture, and damaged EXIF would be warned of."""

    return {"jpg": Jpeg, "webp": WebPImagePlugin.WebPImageFile}


def _check_head(content: bytes) -> None:
    """Raise if a picture has more before its first scan than any camera writes."""
    end = 2
    for number, segment in enumerate(jpeg.walk(content)):
        if number > MOST_SEGMENTS or segment.end > LONGEST_HEAD or segment.start - end > LONGEST_GAP:
            raise FormatError("its head is longer than that of any picture")
        end = segment.end


def _check_memory(picture: Image.Image, content: bytes) -> None:
    """Raise if decoding a picture takes too much memory: all pixels, or all coefficients where there are many scans."""
    from PIL import JpegImagePlugin

    memory = 4.0 * picture.width * picture.height
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        if content.count(b"\xff\xda") > MOST_SCANS:
            raise FormatError(f"it has more than {MOST_SCANS} scans")
        count = len(picture.layer)
        first_scan = (picture.fp.tell() if picture.fp else 0) - 8 - 2 * count
        if not picture.info.get("progressive") and content[first_scan : first_scan + 2] == b"\xff\xda":
            return  # all components are in one scan, which is decoded as it is read
        blocks = [across * down for _, across, down, _ in picture.layer]
        memory = memory / 2 * sum(blocks) / max(1, *blocks, 1)
    if memory > MOST_MEMORY:
        raise FormatError("it is too large and too unusual to be checked")


def _kind(content: bytes) -> str:
    start = content[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        return "a web page"
    if start.startswith((b"{", b"[")):
        return "a JSON text"
    if start.startswith(b"\x89png"):
        return "a PNG"
    if start.startswith(b"riff") and start[8:12] == b"webp":
        return "a WebP"
    return "something else"
