"""
What a photo and a video are known by: what the camera made, whatever happens to the file afterwards.

A photo is known by its picture and its original time. The picture is the compressed data between the markers of
the JPEG: tables, frame header, and every scan up to the first end marker. These bytes change only if the picture is
compressed again. Segments for applications (EXIF, XMP, IPTC, JFIF, MPF) and comments do not count, since programs
rewrite them; nor do fill bytes before markers and bytes between segments, which some programs drop; nor anything
behind the end marker, such as previews and the trailers of phones, which editors remove. A picture of black, or
the frames of a video that stands still, can be equal byte by byte; so the original time counts too.

The original time is read from DateTimeOriginal and DateTimeDigitized, each with its fraction, or from DateTime where
both are missing; never from the name of the file or an image description. If a program changed one of the first two,
the other still tells. If a program changed or removed all of them, the id that was written before tells: it is made
from the picture and the time, and never changed. It is the MAPPhotoUUID of the image description, and, in photos
whose times this package has changed, ImageUniqueID.

A video is known by its media data (the content of all `mdat` boxes), which contain the samples of all tracks and
not the headers that programs for metadata rewrite. Recordings never have equal media data.

Markers: ITU-T T.81, annex B; boxes: ISO/IEC 14496-12.
"""

from __future__ import annotations

import hashlib
import re
import struct
import uuid
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from mlygeo.errors import FormatError
from mlygeo.formats import jpeg as segments
from mlygeo.formats.exif import image_description
from mlygeo.formats.mp4_tables import file_boxes
from mlygeo.formats.tiff import Fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlygeo.formats.tiff import Field

GIVEN = "MAPPhotoUUID"
"""The field of an image description with the id of a photo."""

NAMESPACE = uuid.UUID("56714081-dede-41f3-93d3-1669cb1be408")
"""Namespace of the ids of photos; RFC 9562, section 5.5. Another one would give every photo a new id."""

_TIMES = (("DateTimeOriginal", "SubSecTimeOriginal"), ("CreateDate", "SubSecTimeDigitized"))

_LAST_TIME = ("ModifyDate", "SubSecTime")

_AFTER_SCAN = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")  # in the data of a scan FF is followed by 0 or a restart marker

_FREE = frozenset({*range(0xE0, 0xF0), segments.COM})
"""Markers of segments that programs may rewrite: those of applications, and comments."""

_DIGITS = re.compile(r"\D+")

_MADE = re.compile(r"[0-9a-f]{12}5[0-9a-f]{3}[89ab][0-9a-f]{15}")  # a UUID of version 5

_PIECE = 1 << 20


class Identity(NamedTuple):
    """
    What a photo or a video is known by.

    Parameters
    ----------
    picture
        Digest of the picture or of the media data: the first 128 bits of its SHA-256, hexadecimal.
    times
        Original times of the photo, as digits: year to second, a point, and the fraction without zeros at its
        end. None if the file has none; a video has none.
    given
        The MAPPhotoUUID in the file; None if it has none.
    """

    picture: str
    times: tuple[str, ...] = ()
    given: str | None = None

    @property
    def photo_uuid(self) -> str:
        """The id of the photo: the one that it was given, else the one made from its picture and time."""
        return self.given or _made(self.picture, self.times[0] if self.times else "")

    @property
    def unique(self) -> str:
        """The id for ImageUniqueID: 32 hexadecimal digits."""
        own = self.photo_uuid.replace("-", "")
        return (
            own if _MADE.fullmatch(own) else _made(self.picture, self.times[0] if self.times else "").replace("-", "")
        )

    @property
    def time(self) -> str:
        """The original times as one text, for `from_texts`."""
        return " ".join(self.times)

    @classmethod
    def from_texts(cls, picture: str, time: str | None, given: str | None) -> Self:
        """Return the identity that was stored as texts."""
        return cls(picture, tuple((time or "").split()), given or None)

    def is_same(self, other: Identity) -> bool:
        """
        Return whether this and another file are the same photo, or the same video.

        The pictures must be equal. Times must be equal too, unless one file has none, or had none when it was given
        its id, or the id that one file was given is that of the other.
        """
        if self.picture != other.picture:
            return False
        if not self.times or not other.times:
            return True
        if _made(self.picture, "") in {self.given, other.given}:
            return True  # it had no time when it got its id: the one that it has now was written into it
        return not self._ids.isdisjoint(other._ids)

    @property
    def _ids(self) -> set[str]:
        given = {self.given} if self.given else set()
        return given | {_made(self.picture, time) for time in self.times}


def of_photo(content: bytes, layout: segments.Layout | None = None) -> Identity:
    """
    Return what a photo is known by.

    Parameters
    ----------
    content
        The whole file. One that is not a JPEG, or ends before its picture starts, is known by all its bytes.
    layout
        Its layout, where that is known already.

    Examples
    --------
    >>> of_photo(jpeg) == of_photo(insert(jpeg, description_tags(row)))
    True
    """
    try:
        found = segments.layout(content) if layout is None else layout
    except FormatError:
        return Identity(_short(hashlib.sha256(content)))
    digest = hashlib.sha256()
    source = memoryview(content)
    for start, end in _picture(content, found):
        digest.update(source[start:end])
    times, given = _told(content, found)
    return Identity(_short(digest), times, given)


def given_in(description: str | None) -> str | None:
    """Return the id in the text of an image description; None if there is none."""
    given = (image_description(description) or {}).get(GIVEN)
    return given if isinstance(given, str) and given else None


def of_video(file: BinaryIO, size: int, *, whole: Any = None) -> Identity:
    """
    Return what a video is known by.

    Parameters
    ----------
    file
        Open for reading. It is read once, from start to end.
    size
        Its bytes.
    whole
        A hash object of `hashlib` that gets all bytes; None for none.
    """
    places = [(box.start, box.stop) for box in file_boxes(file, size) if box.kind == b"mdat"]
    digest = hashlib.sha256()
    position = 0
    file.seek(0)
    for start, end in [*(places or [(0, size)]), (size, size)]:
        for _ in _passed(file, start - position, [whole]):
            pass
        for _ in _passed(file, end - start, [whole, digest]):
            pass
        position = end
    return Identity(_short(digest))


def _passed(file: BinaryIO, number: int, hashes: Iterable[Any]) -> Iterator[None]:
    """Read a number of bytes into hash objects."""
    while number > 0 and (piece := file.read(min(number, _PIECE))):
        number -= len(piece)
        for each in hashes:
            if each is not None:
                each.update(piece)
        yield


def _picture(content: bytes, found: segments.Layout) -> Iterator[tuple[int, int]]:
    """Yield the parts of a JPEG file that belong to its picture."""
    for segment in found.segments:
        if segment.marker not in _FREE:
            yield segment.start, segment.end
    position = found.scan
    while True:
        for marker, start, end, _ in segments.walk(content, position):
            if marker == segments.EOI:
                return
            if marker not in _FREE and marker not in segments.ALONE:
                yield start, end
            position = end
            if marker == segments.SOS:
                break
        else:
            return
        following = _AFTER_SCAN.search(content, position)
        end = len(content) if following is None else following.start()
        last = end
        while last > position and content[last - 1] == 0xFF:  # fill bytes
            last -= 1
        yield position, last
        if following is None:
            return
        position = end


def _told(content: bytes, found: segments.Layout) -> tuple[tuple[str, ...], str | None]:
    """Return the original times in the EXIF of a photo, and the id that it was given."""
    blocks = segments.named(content, found, segments.APP1, segments.EXIF_NAME)
    if not blocks:
        return (), None
    try:
        tags = Fields(segments.payload(content, blocks[0])[6:])
        given = given_in(tags.text(tags.picture.get("ImageDescription"))) or _unique(tags)
        times = [_time(tags, *names) for names in _TIMES]
        if times[0] and times[1] and times[0].startswith(f"{times[1]}."):
            times.pop()  # the same time without its fraction would make the pictures of a burst the same
        if not any(times):
            times = [_time(tags, *_LAST_TIME)]
    except (struct.error, ArithmeticError, LookupError, ValueError):
        return (), None  # tags that cannot be decoded
    return tuple(dict.fromkeys(time for time in times if time)), given


def _unique(tags: Fields) -> str | None:
    """Return the id in ImageUniqueID, if this package has made it; cameras write other things there."""
    text = tags.text(tags.picture.get("ImageUniqueID"))
    return str(uuid.UUID(text)) if text is not None and _MADE.fullmatch(text) else None


def _time(tags: Fields, date: str, fraction: str) -> str | None:
    field: Field | None = tags.picture.get(date)
    return _digits(tags.text(field), tags.text(tags.picture.get(fraction)))


def _digits(date: str | None, fraction: str | None) -> str | None:
    """Return a time as digits; None where it is none."""
    digits = _DIGITS.sub("", date or "")
    if len(digits) < 8 or not digits.strip("0"):
        return None
    part = (digits[14:] or _DIGITS.sub("", fraction or "")).rstrip("0")
    return f"{digits[:14]}.{part}" if part else digits[:14]


def _made(picture: str, time: str) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{picture} {time}"))


def _short(digest: Any) -> str:
    text: str = digest.hexdigest()[:32]
    return text
