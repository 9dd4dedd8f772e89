"""
EXIF: one table of tags, and their values as stored in files and as plain numbers.

Headings are degrees in [0, 360), altitudes metres. None means that a value is missing or invalid. Times are read by
`times`, positions by `positions`. Only the standard library is imported here.
"""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mlygeo.degrees import turn
from mlygeo.formats import times
from mlygeo.plausible import HIGHEST_M, LOWEST_M

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.formats.xmp import Panorama, Pose, Statement

Value = str | int | bytes | tuple[tuple[int, int], ...]
"""Text, a whole number, raw bytes, or rationals as (numerator, denominator)."""

Number = TypeVar("Number")

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, UTF8 = 1, 2, 3, 4, 5, 7, 129

IFD0, EXIF, GPS = "IFD0", "ExifIFD", "GPS"


_PIEXIF_NAMES = {IFD0: "0th", EXIF: "Exif", GPS: "GPS"}


class Tag(NamedTuple):
    """The directory, number and type of a tag."""

    directory: str
    number: int
    type: int


USUAL_M = -500, 12_000
"""No place on land lies so deep or high, and few aircraft fly higher."""

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
    "ImageUniqueID": Tag(EXIF, 0xA420, ASCII),
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
    "ImageUniqueID",
})  # fmt: skip
"""The tags that are read from photos; damage in other tags is ignored."""

UNSIGNED = 2**32

WHOLE_DEGREE = 1.0
"""Largest distance between a heading and the same one in whole degrees, in whatever direction it was rounded."""

ARC_PARTS = 10**7
"""Parts of a second of arc in a position that is written: 3 micrometres on the ground."""

_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)

_DIGITIZED = ("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized")

_FRACTION = re.compile(r"([+-]?\d+)\s*/\s*(\d+)")


# Tags to write into a picture, and their encoding.


class CaptureTime(NamedTuple):
    """A capture time in UTC, and in the time zone of the place, None where that is unknown."""

    utc: datetime
    there: datetime | None


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
        Properties that mark the picture as a panorama, or say which way a flat one looks (XMP, GPano); None writes
        none.
    measured
        Whether to write the size of the picture too, as given in its own header.
    comment
        An object that is written into UserComment as JSON. Where the EXIF segment would be too long, its
        longest values are left out, and the JSON names them under `left_out`.
    captured
        The capture time, which is written beside what the camera's clock showed; see `Clocks.tags`.
    statement
        Owner and licence, for EXIF and XMP. What the picture itself says of its owner or its rights stays.
    heading
        A heading that its source may have rounded to whole degrees. What the picture itself says of its heading
        stays; where the two contradict each other, that is in doubt.
    """

    exif: Mapping[str, Value] = field(default_factory=dict)
    absent: Mapping[str, Value] = field(default_factory=dict)
    panorama: Panorama | Pose | None = None
    measured: bool = False
    comment: Mapping[str, Any] | None = None
    captured: CaptureTime | None = None
    statement: Statement | None = None
    heading: float | None = None

    def __or__(self, other: Tags) -> Tags:
        """Return the tags of both; where both have a tag, `other`'s value."""
        return Tags(
            exif={**self.exif, **other.exif},
            absent={**self.absent, **other.absent},
            panorama=other.panorama or self.panorama,
            measured=self.measured or other.measured,
            comment=self.comment if other.comment is None else other.comment,
            captured=self.captured if other.captured is None else other.captured,
            statement=other.statement or self.statement,
            heading=self.heading if other.heading is None else other.heading,
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


def new_segment(values: Mapping[str, Value]) -> bytes:
    """
    Return the EXIF segment of a picture that has none yet, as piexif makes it; see `mlygeo.formats.tiff.laid_out`.

    Parameters
    ----------
    values
        Value of each tag, by names of `TABLE`.
    """
    import piexif

    directories: dict[str, dict[int, Any]] = {name: {} for name in _PIEXIF_NAMES.values()}
    for name, value in values.items():
        tag = TABLE[name]
        raw = encode(name, value, ">").raw
        # As bytes, since piexif encodes text as Latin-1; it appends the zero byte itself.
        given = raw[:-1] if tag.type == ASCII else raw if tag.type in {BYTE, UNDEFINED} else value
        directories[_PIEXIF_NAMES[tag.directory]][tag.number] = given
    segment: bytes = piexif.dump(directories)
    return segment


def image_description(text: str | None) -> dict[str, Any] | None:
    """Return the image description in a text: a JSON object with MAP… keys; None where it is none."""
    if text is None or not text.startswith("{") or '"MAP' not in text:
        return None
    try:
        found: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if any(key.startswith("MAP") for key in found) else None


def json_comment(values: Mapping[str, Any]) -> bytes:
    """Return an object as the JSON of a UserComment, whose first eight bytes say that it is ASCII."""
    return b"ASCII\0\0\0" + json.dumps(values, allow_nan=False).encode("ascii")


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
    Return the tags of a capture time, to a millisecond, or to a microsecond where it has such.

    Parameters
    ----------
    utc
        The time in UTC, for the GPS time stamp.
    there
        The same time in the time zone of the place, with its offset from UTC.
    """
    digits = 6 if utc.microsecond % 1000 else 3
    fraction, unit = utc.microsecond // 10 ** (6 - digits), 10**digits
    text, part, offset = _date_time(there), f"{fraction:0{digits}}", _offset_text(there)
    return {
        "DateTimeOriginal": text,
        "SubSecTimeOriginal": part,
        "OffsetTimeOriginal": offset,
        "CreateDate": text,
        "SubSecTimeDigitized": part,
        "OffsetTimeDigitized": offset,
        "GPSDateStamp": _date_time(utc)[:10],
        "GPSTimeStamp": ((utc.hour, 1), (utc.minute, 1), (utc.second * unit + fraction, unit)),
    }


class Clocks(NamedTuple):
    """
    The times that a picture tells itself.

    Parameters
    ----------
    original, digitized, changed
        What the camera's clock showed at the shot, at digitization and at the last change.
    gps_us
        The GPS time stamp.
    """

    original: times.Reading | None = None
    digitized: times.Reading | None = None
    changed: times.Reading | None = None
    gps_us: int | None = None

    def tags(self, captured: CaptureTime, *, now_us: int) -> tuple[dict[str, Value], str | None]:
        """
        Return the tags of a capture time in a picture, and what is in doubt, for people to read.

        Where the capture time is what the picture itself tells, be its clock taken as UTC or as local time, what the
        clock showed stays, and gets the offset from UTC that makes it right. Where the time was corrected (an
        offset, a table), or where the two are apart by no time zone, the clock is set: to the zone that the camera
        named, or had before a correction of less than a quarter of an hour, else to that of the place, else to UTC.
        The time of digitization goes along where it is that of the shot; that of the last change is not touched, but
        for its offset. The GPS time stamp is always the capture time in UTC.

        Parameters
        ----------
        captured
            The capture time.
        now_us
            The time now, for `times.decide`.
        """
        clock, doubt = self.original, None
        written = time_tags(captured.utc, captured.there or captured.utc)
        if clock is None:
            return written, None
        time_us = (captured.utc - _EPOCH_UTC) // timedelta(microseconds=1)
        parts = (self.digitized,) if self.digitized is not None else ()
        own = [times.decide(self.gps_us, (clock, *parts), now_us=now_us, stem=str).us]
        if self.gps_us is None and clock.offset_s is None:
            seconds, part = divmod(clock.wall_us, times.SECOND_US)
            local, _ = times.from_local(seconds, "")
            own.append(None if local is None else local * times.SECOND_US + part)
        # A clock without sub-seconds shows whole ones; the time may have been refined since.
        grain = 1000 if clock.digits else times.SECOND_US
        ahead_us = (clock.wall_us // grain - time_us // grain) * grain
        is_zone = _is_zone(ahead_us)
        known = [us for us in own if us is not None]
        is_own = any(us // grain == time_us // grain for us in known)
        ahead = timedelta(microseconds=ahead_us)
        is_there = clock.offset_s is None and (captured.there is None or captured.there.utcoffset() == ahead)
        if is_zone and (is_own or is_there):
            return self._with_offset(written, timezone(ahead), captured.utc), None
        if is_own:
            doubt = (
                f"its clock, {times.shown(clock.wall_us)}, is apart from its capture time, {times.shown(time_us)} UTC,"
                " by no time zone, and was set to that"
            )
        offset_s = clock.offset_s
        if offset_s is None and known and not is_own:
            # A small correction, of a clock that drifts, is none of its zone.
            nearest = min(known, key=lambda us: abs(us - time_us))
            apart_us = clock.wall_us - nearest
            if abs(nearest - time_us) < times.QUARTER_US and _is_zone(apart_us):
                offset_s = apart_us // times.SECOND_US
        if offset_s is not None:
            written = time_tags(captured.utc, captured.utc.astimezone(timezone(timedelta(seconds=offset_s))))
        if self.digitized is not None and not self._is_shot(self.digitized):
            written = {name: value for name, value in written.items() if name not in _DIGITIZED}
        return written, doubt

    def _with_offset(self, written: Mapping[str, Value], zone: timezone, utc: datetime) -> dict[str, Value]:
        """Return the tags that complete what the clock showed; what is right as it is is not among them."""
        whole = time_tags(utc, utc.astimezone(zone))
        wanted = {name: value for name, value in written.items() if name.startswith("GPS")}
        wanted["OffsetTimeOriginal"] = whole["OffsetTimeOriginal"]
        is_refined = self.original is not None and not self.original.digits and utc.microsecond >= 1000
        if is_refined:
            wanted["SubSecTimeOriginal"] = whole["SubSecTimeOriginal"]
        if self.digitized is None:
            wanted |= {name: whole[name] for name in _DIGITIZED}
        elif self._is_shot(self.digitized):
            wanted["OffsetTimeDigitized"] = whole["OffsetTimeDigitized"]
            if is_refined and not self.digitized.digits:
                wanted["SubSecTimeDigitized"] = whole["SubSecTimeDigitized"]
        if self.changed is not None and self.changed.offset_s is None and self._is_shot(self.changed):
            wanted["OffsetTime"] = whole["OffsetTimeOriginal"]
        return wanted

    def _is_shot(self, other: times.Reading) -> bool:
        """Return whether another time is that of the shot, to the second that the clock showed."""
        return (
            self.original is not None and other.wall_us // times.SECOND_US == self.original.wall_us // times.SECOND_US
        )


def _is_zone(ahead_us: int) -> bool:
    """Return whether a clock may be so far ahead of UTC by its time zone."""
    offset_s = ahead_us // times.SECOND_US
    return ahead_us % times.QUARTER_US == 0 and times.WESTERNMOST_S <= offset_s <= times.EASTERNMOST_S


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


def same_heading(one: float, other: float) -> bool:
    """Return whether two headings, degrees, are the same but for a rounding to whole degrees."""
    return bool(turn(one, other) <= WHOLE_DEGREE)


def altitude(metres: float | None, ref: int | None) -> float | None:
    """Return an altitude; odd references mean below (1: sea level; 3: sea level, and 1: the ellipsoid, in Exif 3)."""
    if metres is None or not math.isfinite(metres):
        return None
    return -metres if ref in (1, 3) else metres


def altitude_doubt(metres: float) -> str | None:
    """Return what is odd about an altitude: no place on land lies so deep or high, and few aircraft fly higher."""
    if USUAL_M[0] <= metres <= USUAL_M[1]:
        return None
    return f"its altitude of {metres:,.0f} m is {'no such place' if is_no_altitude(metres) else 'unusual'}"


def is_no_altitude(metres: float) -> bool:
    """Return whether an altitude lies below the deepest sea or where the air ends."""
    return not LOWEST_M <= metres <= HIGHEST_M


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
