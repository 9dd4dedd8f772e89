"""
EXIF: one table of tags, and their values as stored in files and as plain numbers.

Headings are degrees in [0, 360), altitudes metres. None means that a value is missing or invalid. Times are read by
`times`, positions by `positions`. Only the standard library is imported here.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.formats.xmp import Panorama

Value = str | int | bytes | tuple[tuple[int, int], ...]
"""Text, a whole number, raw bytes, or rationals as (numerator, denominator)."""

Number = TypeVar("Number")

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, UTF8 = 1, 2, 3, 4, 5, 7, 129

IFD0, EXIF, GPS = "IFD0", "ExifIFD", "GPS"


class Tag(NamedTuple):
    """The directory, number and type of a tag."""

    directory: str
    number: int
    type: int


TABLE = {
    "ImageWidth": Tag(IFD0, 0x0100, LONG),
    "ImageHeight": Tag(IFD0, 0x0101, LONG),
    "ImageDescription": Tag(IFD0, 0x010E, ASCII),
    "Make": Tag(IFD0, 0x010F, ASCII),
    "Model": Tag(IFD0, 0x0110, ASCII),
    "Orientation": Tag(IFD0, 0x0112, SHORT),
    "ModifyDate": Tag(IFD0, 0x0132, ASCII),
    "Artist": Tag(IFD0, 0x013B, ASCII),
    "Copyright": Tag(IFD0, 0x8298, ASCII),
    "ExifOffset": Tag(IFD0, 0x8769, LONG),
    "GPSInfo": Tag(IFD0, 0x8825, LONG),
    "CameraSerialNumber": Tag(IFD0, 0xC62F, ASCII),
    "ExifVersion": Tag(EXIF, 0x9000, UNDEFINED),
    "DateTimeOriginal": Tag(EXIF, 0x9003, ASCII),
    "CreateDate": Tag(EXIF, 0x9004, ASCII),
    "OffsetTime": Tag(EXIF, 0x9010, ASCII),
    "OffsetTimeOriginal": Tag(EXIF, 0x9011, ASCII),
    "OffsetTimeDigitized": Tag(EXIF, 0x9012, ASCII),
    "FocalLength": Tag(EXIF, 0x920A, RATIONAL),
    "UserComment": Tag(EXIF, 0x9286, UNDEFINED),
    "SubSecTime": Tag(EXIF, 0x9290, ASCII),
    "SubSecTimeOriginal": Tag(EXIF, 0x9291, ASCII),
    "SubSecTimeDigitized": Tag(EXIF, 0x9292, ASCII),
    "ExifImageWidth": Tag(EXIF, 0xA002, LONG),
    "ExifImageHeight": Tag(EXIF, 0xA003, LONG),
    "InteropOffset": Tag(EXIF, 0xA005, LONG),
    "FocalPlaneXResolution": Tag(EXIF, 0xA20E, RATIONAL),
    "FocalPlaneYResolution": Tag(EXIF, 0xA20F, RATIONAL),
    "FocalPlaneResolutionUnit": Tag(EXIF, 0xA210, SHORT),
    "FocalLengthIn35mmFormat": Tag(EXIF, 0xA405, SHORT),
    "SerialNumber": Tag(EXIF, 0xA431, ASCII),
    "LensMake": Tag(EXIF, 0xA433, ASCII),
    "LensModel": Tag(EXIF, 0xA434, ASCII),
    "LensSerialNumber": Tag(EXIF, 0xA435, ASCII),
    "GPSVersionID": Tag(GPS, 0x0000, BYTE),
    "GPSLatitudeRef": Tag(GPS, 0x0001, ASCII),
    "GPSLatitude": Tag(GPS, 0x0002, RATIONAL),
    "GPSLongitudeRef": Tag(GPS, 0x0003, ASCII),
    "GPSLongitude": Tag(GPS, 0x0004, RATIONAL),
    "GPSAltitudeRef": Tag(GPS, 0x0005, BYTE),
    "GPSAltitude": Tag(GPS, 0x0006, RATIONAL),
    "GPSTimeStamp": Tag(GPS, 0x0007, RATIONAL),
    "GPSStatus": Tag(GPS, 0x0009, ASCII),
    "GPSDOP": Tag(GPS, 0x000B, RATIONAL),
    "GPSTrackRef": Tag(GPS, 0x000E, ASCII),
    "GPSTrack": Tag(GPS, 0x000F, RATIONAL),
    "GPSImgDirectionRef": Tag(GPS, 0x0010, ASCII),
    "GPSImgDirection": Tag(GPS, 0x0011, RATIONAL),
    "GPSMapDatum": Tag(GPS, 0x0012, ASCII),
    "GPSDateStamp": Tag(GPS, 0x001D, ASCII),
    "GPSHPositioningError": Tag(GPS, 0x001F, RATIONAL),
}
"""All tags that are read or written, by the names that ExifTool gives them (Exif 2.32, CIPA DC-008, 4.6)."""

READ = frozenset({
    "ImageWidth", "ImageHeight", "ImageDescription", "Make", "Model", "Orientation", "ModifyDate", "ExifOffset",
    "GPSInfo", "CameraSerialNumber", "DateTimeOriginal", "CreateDate", "OffsetTime", "OffsetTimeOriginal",
    "OffsetTimeDigitized", "SubSecTime", "SubSecTimeOriginal", "SubSecTimeDigitized", "ExifImageWidth",
    "ExifImageHeight", "SerialNumber", "LensMake", "LensModel", "LensSerialNumber", "GPSLatitudeRef", "GPSLatitude",
    "GPSLongitudeRef", "GPSLongitude", "GPSAltitudeRef", "GPSAltitude", "GPSTimeStamp", "GPSTrack", "GPSImgDirection",
    "GPSDateStamp", "GPSStatus", "GPSDOP", "GPSTrackRef", "GPSImgDirectionRef", "GPSMapDatum", "GPSHPositioningError",
})  # fmt: skip
"""The tags that are read from photos; damage in other tags is ignored."""

UNSIGNED = 2**32

ARC_PARTS = 10**7
"""Parts of a second of arc in a position that is written: 3 micrometres on the ground."""

_FRACTION = re.compile(r"([+-]?\d+)\s*/\s*(\d+)")


# Tags to write into a picture, and their encoding.


@dataclass(frozen=True)
class Tags:
    """
    Tags to write into a picture; a plain value, which can be sent to another process.

    Parameters
    ----------
    exif
        Values by the names in `TABLE`; they replace those of the picture.
    absent
        Values written only where the picture does not have the tag. The maker is among them,
        since programs choose by it how to read the maker notes.
    panorama
        Properties that mark the picture as a panorama (XMP, GPano); None for other pictures.
    measured
        Whether to write the size of the picture too, as given in its own header.
    """

    exif: Mapping[str, Value] = field(default_factory=dict)
    absent: Mapping[str, Value] = field(default_factory=dict)
    panorama: Panorama | None = None
    measured: bool = False

    def __or__(self, other: Tags) -> Tags:
        """Return the tags of both; where both have a tag, `other`'s value."""
        return Tags(
            exif={**self.exif, **other.exif},
            absent={**self.absent, **other.absent},
            panorama=other.panorama or self.panorama,
            measured=self.measured or other.measured,
        )


class Encoded(NamedTuple):
    """An encoded value: its type, count and bytes."""

    type: int
    number: int
    raw: bytes


def encode(name: str, value: Value, order: str) -> Encoded:
    """
    Return a value as it is stored in a file.

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
        # EXIF says ASCII; its writers and readers use UTF-8.
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


def position_tags(lon: float, lat: float) -> dict[str, Value]:
    """Return the tags of a position, degrees (WGS 84); the other way round, see `mlygeo.formats.positions`."""
    return {
        "GPSLatitudeRef": "S" if lat < 0 else "N",
        "GPSLatitude": _rationals(lat),
        "GPSLongitudeRef": "W" if lon < 0 else "E",
        "GPSLongitude": _rationals(lon),
        "GPSMapDatum": "WGS-84",
    }


def altitude_tags(metres: float) -> dict[str, Value]:
    """Return the tags of an altitude, to a millimetre; none where it is too large to be written."""
    millimetres = round(metres * 1000)
    if abs(millimetres) >= UNSIGNED:
        return {}
    return {"GPSAltitudeRef": bytes((millimetres < 0,)), "GPSAltitude": ((abs(millimetres), 1000),)}


def heading_tags(degrees: float) -> dict[str, Value]:
    """Return the tags of a heading, clockwise from true north."""
    return {"GPSImgDirectionRef": "T", "GPSImgDirection": ((round(degrees % 360 * 10_000) % 3_600_000, 10_000),)}


def time_tags(utc: datetime, there: datetime) -> dict[str, Value]:
    """
    Return the tags of a capture time, to a millisecond.

    Parameters
    ----------
    utc
        The time in UTC, for the GPS time stamp.
    there
        The same time in the time zone of the place, with its offset from UTC.
    """
    thousandths = utc.microsecond // 1000
    text, part, offset = _date_time(there), f"{thousandths:03}", _offset_text(there)
    return {
        "DateTimeOriginal": text,
        "SubSecTimeOriginal": part,
        "OffsetTimeOriginal": offset,
        "CreateDate": text,
        "SubSecTimeDigitized": part,
        "OffsetTimeDigitized": offset,
        "GPSDateStamp": _date_time(utc)[:10],
        "GPSTimeStamp": ((utc.hour, 1), (utc.minute, 1), (utc.second * 1000 + thousandths, 1000)),
    }


def _rationals(angle: float) -> tuple[tuple[int, int], ...]:
    """Return the degrees, minutes and seconds of an angle, without its sign."""
    # Round the whole angle once: rounding the parts separately can give 60 seconds.
    minutes, parts = divmod(round(abs(angle) * 3600 * ARC_PARTS), 60 * ARC_PARTS)
    return (minutes // 60, 1), (minutes % 60, 1), (parts, ARC_PARTS)


def _date_time(time: datetime) -> str:
    return f"{time:%Y:%m:%d %H:%M:%S}".rjust(19, "0")  # the C library omits the leading zeros of early years


def _offset_text(time: datetime) -> str:
    """Return the offset of a time from UTC: +05:30."""
    minutes = (time.utcoffset() or timedelta()) // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


# Decoded values: headings, altitudes.


def heading(degrees: float | None) -> float | None:
    """Return a heading in [0, 360); values beyond a full turn in either direction are invalid."""
    if degrees is None or not abs(degrees) <= 360:
        return None
    return degrees % 360


def altitude(metres: float | None, ref: int | None) -> float | None:
    """Return an altitude; odd references mean below (1: sea level; 3: sea level, and 1: the ellipsoid, in Exif 3)."""
    if metres is None or not math.isfinite(metres):
        return None
    return -metres if ref in (1, 3) else metres


def altitude_doubt(metres: float) -> str | None:
    """Return what is odd about an altitude: no place on land lies so deep or high, and few aircraft fly higher."""
    if -500 <= metres <= 12_000:
        return None
    return f"its altitude of {metres:,.0f} m is {'no such place' if is_no_altitude(metres) else 'unusual'}"


def is_no_altitude(metres: float) -> bool:
    """Return whether an altitude lies below the deepest sea or where the air ends."""
    return not -11_000 <= metres <= 100_000


def signed_altitude(metres: Number) -> Number:
    """
    Return an altitude, or an array of altitudes, with its sign restored.

    Mapillary has sent altitudes below zero as unsigned numbers of 32 bits.
    """
    return metres - UNSIGNED * ((metres >= UNSIGNED // 2) & (metres < UNSIGNED))  # type: ignore[operator, return-value]


def real(text: str | None) -> float | None:
    """Return a number written as decimal or as a fraction."""
    text = (text or "").strip()
    match = _FRACTION.fullmatch(text)
    try:
        number = int(match[1]) / int(match[2]) if match else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None
