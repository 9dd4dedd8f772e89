"""What is to be written into a picture, by the names that ExifTool gives the tags, and how each is encoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = str | int | bytes | tuple[tuple[int, int], ...]
"""Text, a whole number, raw bytes, or rationals as (numerator, denominator)."""

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7

IFD0, EXIF, GPS = "IFD0", "ExifIFD", "GPS"


class Tag(NamedTuple):
    """Where a tag stands, under which number, and its type."""

    directory: str
    number: int
    type: int


TABLE = {
    "ImageDescription": Tag(IFD0, 0x010E, ASCII),
    "Make": Tag(IFD0, 0x010F, ASCII),
    "Model": Tag(IFD0, 0x0110, ASCII),
    "Orientation": Tag(IFD0, 0x0112, SHORT),
    "Artist": Tag(IFD0, 0x013B, ASCII),
    "Copyright": Tag(IFD0, 0x8298, ASCII),
    "ExifVersion": Tag(EXIF, 0x9000, UNDEFINED),
    "DateTimeOriginal": Tag(EXIF, 0x9003, ASCII),
    "CreateDate": Tag(EXIF, 0x9004, ASCII),
    "OffsetTimeOriginal": Tag(EXIF, 0x9011, ASCII),
    "OffsetTimeDigitized": Tag(EXIF, 0x9012, ASCII),
    "FocalLength": Tag(EXIF, 0x920A, RATIONAL),
    "UserComment": Tag(EXIF, 0x9286, UNDEFINED),
    "SubSecTimeOriginal": Tag(EXIF, 0x9291, ASCII),
    "SubSecTimeDigitized": Tag(EXIF, 0x9292, ASCII),
    "ExifImageWidth": Tag(EXIF, 0xA002, LONG),
    "ExifImageHeight": Tag(EXIF, 0xA003, LONG),
    "FocalPlaneXResolution": Tag(EXIF, 0xA20E, RATIONAL),
    "FocalPlaneYResolution": Tag(EXIF, 0xA20F, RATIONAL),
    "FocalPlaneResolutionUnit": Tag(EXIF, 0xA210, SHORT),
    "FocalLengthIn35mmFormat": Tag(EXIF, 0xA405, SHORT),
    "GPSVersionID": Tag(GPS, 0x0000, BYTE),
    "GPSLatitudeRef": Tag(GPS, 0x0001, ASCII),
    "GPSLatitude": Tag(GPS, 0x0002, RATIONAL),
    "GPSLongitudeRef": Tag(GPS, 0x0003, ASCII),
    "GPSLongitude": Tag(GPS, 0x0004, RATIONAL),
    "GPSAltitudeRef": Tag(GPS, 0x0005, BYTE),
    "GPSAltitude": Tag(GPS, 0x0006, RATIONAL),
    "GPSTimeStamp": Tag(GPS, 0x0007, RATIONAL),
    "GPSImgDirectionRef": Tag(GPS, 0x0010, ASCII),
    "GPSImgDirection": Tag(GPS, 0x0011, RATIONAL),
    "GPSMapDatum": Tag(GPS, 0x0012, ASCII),
    "GPSDateStamp": Tag(GPS, 0x001D, ASCII),
}


@dataclass(frozen=True)
class Panorama:
    """A picture that shows a sphere, or a part of one, in equirectangular projection."""

    heading: float | None = None
    """Heading of its centre, degrees clockwise from true north; None when unknown."""


@dataclass(frozen=True)
class Tags:
    """
    What is to be written into a picture; a plain value, which may cross to another process.

    Parameters
    ----------
    exif
        Values by the names in `TABLE`; they replace what the picture says.
    absent
        Values written only where the picture does not have the tag. The maker is among them,
        since programs choose by it how to read the maker notes.
    panorama
        Set where the picture is to be marked as a panorama (XMP, GPano).
    measured
        Whether the size of the picture, as its own header tells it, is written too.
    """

    exif: Mapping[str, Value] = field(default_factory=dict)
    absent: Mapping[str, Value] = field(default_factory=dict)
    panorama: Panorama | None = None
    measured: bool = False

    def __or__(self, other: Tags) -> Tags:
        """Return both; where both have a tag, the other's value."""
        return Tags(
            exif={**self.exif, **other.exif},
            absent={**self.absent, **other.absent},
            panorama=other.panorama or self.panorama,
            measured=self.measured or other.measured,
        )


class Encoded(NamedTuple):
    """A value as it stands in a file: its type, how many there are of it, and its bytes."""

    type: int
    number: int
    raw: bytes


def encode(name: str, value: Value, order: str) -> Encoded:
    """
    Return a value as it stands in a file.

    Parameters
    ----------
    name
        Name of the tag, one of `TABLE`.
    value
        Its value, of the kind that the tag has.
    order
        "<" for little-endian files, ">" for big-endian ones.

    Raises
    ------
    TypeError
        If the value is not of that kind.
    """
    kind = TABLE[name].type
    if kind == ASCII and isinstance(value, str):
        # EXIF says ASCII; UTF-8 is what its writers and readers have made of it.
        raw = value.replace("\0", " ").encode("utf-8", "replace") + b"\0"
        return Encoded(kind, len(raw), raw)
    if kind in {BYTE, UNDEFINED} and isinstance(value, bytes):
        return Encoded(kind, len(value), value)
    if kind == SHORT and isinstance(value, int):
        return Encoded(kind, 1, struct.pack(f"{order}H", value))
    if kind == LONG and isinstance(value, int):
        return Encoded(kind, 1, struct.pack(f"{order}I", value))
    if kind == RATIONAL and isinstance(value, tuple):
        parts = [part for pair in value for part in pair]
        return Encoded(kind, len(value), struct.pack(f"{order}{len(parts)}I", *parts))
    raise TypeError(f"{name} cannot hold {value!r}")
