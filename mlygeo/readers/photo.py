"""
One photo -> one row. Only the standard library is imported here: worker processes start in milliseconds.

EXIF is asked first, XMP where EXIF has no answer, and the file's name last, for the time alone.
"""

from __future__ import annotations

import json
import os
import re
import stat
import struct
from typing import NamedTuple

from mlygeo.formats import exif as values
from mlygeo.formats import tiff as exif
from mlygeo.formats.jpeg import Head, read_head
from mlygeo.formats.xmp import read_properties

_PROJECTION = re.compile(rb"""ProjectionType\s*(?:=\s*["']|>)\s*(equirectangular|spherical)""", re.IGNORECASE)
_ZONE = ("clock", "offset")
_XMP_TIMES = ("exif:DateTimeOriginal", "exif:DateTimeDigitized", "xmp:CreateDate")


class Photo(NamedTuple):
    """What a photo says of itself. Degrees, metres, pixels; None for what it does not say."""

    path: str
    captured_ms: int | None = None
    lon: float | None = None
    lat: float | None = None
    compass_angle: float | None = None
    altitude: float | None = None
    is_pano: bool = False
    make: str | None = None
    model: str | None = None
    width: int | None = None
    height: int | None = None
    exif_orientation: int | None = None
    camera_uuid: str | None = None
    image_description: str | None = None
    time_source: str | None = None
    filesize: int | None = None
    error: str | None = None
    warning: str | None = None


def read_photos(paths: list[str], *, local: bool) -> list[list[object]]:
    """Return the columns of `Photo`, in its order, for many files."""
    return [list(column) for column in zip(*(read_photo(path, local=local) for path in paths), strict=True)]


def read_photo(path: str, *, local: bool = False) -> Photo:
    """
    Read the head of one JPEG file. Never raises for what is in the file, or that it is not there.

    Parameters
    ----------
    path
        The file.
    local
        Take times without an offset as this machine's local time.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path for each of a million files costs more than reading them
        if not stat.S_ISREG(status.st_mode):
            return Photo(path, error="not a file")  # to open a pipe would wait for ever
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            head = read_head(file)
    except OSError as error:
        return Photo(path, error=f"cannot be read: {error.strerror or error}")
    except ValueError as error:  # a NUL in the name
        return Photo(path, error=f"cannot be read: {error}")
    try:
        return _photo(path, head, status.st_size, local=local)
    except (struct.error, ArithmeticError, LookupError, ValueError) as error:
        # A fault that no file of ours has shown; one photo of many must not stop the others.
        return Photo(path, error=f"its tags cannot be understood ({error})", filesize=status.st_size)


def _photo(path: str, head: Head, filesize: int, *, local: bool) -> Photo:
    tags = exif.Tags(head.exif) if head.exif is not None else None
    xmp = _Xmp(head.xmp)
    text, whole = (tags.text, tags.whole) if tags else (_nothing, _nothing)
    picture = tags.picture if tags else {}

    time_us, time_source = _time(tags, xmp, path, local=local)
    place = _position(tags) or xmp.position()
    heading = _first_heading(tags) if tags else None
    height_m = values.altitude(tags.real(tags.gps.get(exif.ALTITUDE)), _altitude_ref(tags)) if tags else None
    orientation = _orientation(whole(picture.get(exif.ORIENTATION)))
    error = head.error
    if error is None and time_us is None and tags is not None and tags.broken and tags.problem:
        error = f"its tags cannot be read: {tags.problem}"
    problems = (head.problem, tags.problem if tags else None, _senseless(tags, place, time_source), xmp.problem)
    return Photo(
        path,
        None if time_us is None else time_us // 1000,
        place[0] if place else None,
        place[1] if place else None,
        heading if heading is not None else xmp.heading(),
        height_m if height_m is not None else xmp.altitude(),
        head.xmp is not None and b"ProjectionType" in head.xmp and _PROJECTION.search(head.xmp) is not None,
        text(picture.get(exif.MAKE)) or xmp.text("tiff:Make") or text(picture.get(exif.LENS_MAKE)),
        text(picture.get(exif.MODEL)) or xmp.text("tiff:Model") or text(picture.get(exif.LENS_MODEL)),
        head.width or _size(tags, exif.PIXEL_WIDTH, exif.IMAGE_WIDTH),
        head.height or _size(tags, exif.PIXEL_HEIGHT, exif.IMAGE_HEIGHT),
        orientation if orientation is not None else _orientation(xmp.whole("tiff:Orientation")),
        _camera_uuid(tags, xmp),
        image_description(text(picture.get(exif.DESCRIPTION))),
        time_source,
        filesize,
        error,
        "; ".join(filter(None, problems)) or None,
    )


def _nothing(_: object) -> None:
    return None


def _time(tags: exif.Tags | None, xmp: _Xmp, path: str, *, local: bool) -> tuple[int | None, str | None]:
    """
    Return the capture time, and where it comes from.

    `gps` is a GPS time stamp, `offset` a camera's clock that tells its offset from UTC, `clock` one that
    does not, and `filename` the name of the file.
    """
    if tags is not None:
        gps, picture = tags.gps, tags.picture
        stamp = values.gps_time(tags.text(gps.get(exif.GPS_DATE)), _gps_clock(tags))
        if stamp is not None:
            return stamp, "gps"
        for date, subsec, offset in (
            (exif.ORIGINAL, exif.SUBSEC_ORIGINAL, exif.OFFSET_ORIGINAL),
            (exif.DIGITIZED, exif.SUBSEC_DIGITIZED, exif.OFFSET_DIGITIZED),
            (exif.DATE_TIME, exif.SUBSEC, exif.OFFSET_TIME),
        ):
            if date in picture:
                found = values.clock_time(
                    tags.text(picture[date]), tags.text(picture.get(subsec), strip=False),
                    tags.text(picture.get(offset)),
                    local=local,
                )  # fmt: skip
                if found is not None:
                    return found[0], _ZONE[found[1]]
    stamp = xmp.gps_time()
    if stamp is not None:
        return stamp, "gps"
    for name in _XMP_TIMES:
        fields = name.replace("DateTime", "SubsecTime"), name.replace("DateTime", "OffsetTime")
        subsec_text, offset_text = (xmp.text(field) if field != name else None for field in fields)
        found = values.clock_time(xmp.text(name), subsec_text, offset_text, local=local)
        if found is not None:
            return found[0], _ZONE[found[1]]
    found = values.name_time(os.path.splitext(os.path.basename(path))[0], local=local)  # noqa: PTH119, PTH122
    return (None, None) if found is None else (found[0], "filename")


def _gps_clock(tags: exif.Tags) -> list[tuple[int, int]]:
    field = tags.gps.get(exif.GPS_TIME)
    return values.gps_clock(tags.text(field)) if field is not None and field.type == 2 else tags.numbers(field)


def _position(tags: exif.Tags | None) -> tuple[float, float] | None:
    if tags is None or exif.LATITUDE not in tags.gps or exif.LONGITUDE not in tags.gps:
        return None
    lon, lat = (
        values.coordinate(
            tags.numbers(tags.gps[field]),
            tags.text(tags.gps[field]) if tags.gps[field].type == 2 else None,
            tags.text(tags.gps.get(ref)),
        )
        for field, ref in ((exif.LONGITUDE, exif.LONGITUDE_REF), (exif.LATITUDE, exif.LATITUDE_REF))
    )
    return values.position(lon, lat)


def _senseless(tags: exif.Tags | None, place: tuple[float, float] | None, time_source: str | None) -> str | None:
    """Return what stands in the GPS tags and cannot be used, so that nobody wonders where it went."""
    if tags is None or not tags.gps:
        return None
    coordinates = [tags.gps[field] for field in (exif.LATITUDE, exif.LONGITUDE) if field in tags.gps]
    if place is None and coordinates:
        numbers = [number for field in coordinates for number in tags.numbers(field)]
        zero = bool(numbers) and all(over == 0 < under for over, under in numbers)
        return f"its GPS position {'is (0, 0), that is none' if zero else 'lacks its side, or makes no sense'}"
    if time_source != "gps" and exif.GPS_DATE in tags.gps and exif.GPS_TIME in tags.gps:
        return f"its GPS time is none ({tags.text(tags.gps[exif.GPS_DATE]) or 'no date'})"
    return None


def _first_heading(tags: exif.Tags) -> float | None:
    direction = values.heading(tags.real(tags.gps.get(exif.DIRECTION)))
    return direction if direction is not None else values.heading(tags.real(tags.gps.get(exif.TRACK)))


def _altitude_ref(tags: exif.Tags) -> int | None:
    field = tags.gps.get(exif.ALTITUDE_REF)
    if field is not None and field.type == 2:  # "1" as text
        text = tags.text(field) or ""
        return int(text) if text.isascii() and text.isdigit() else None
    return tags.whole(field)


def _orientation(number: int | None) -> int | None:
    return number if number is not None and 1 <= number <= 8 else None


def _size(tags: exif.Tags | None, *fields: int) -> int | None:
    """Return a size that the tags tell, where the picture itself does not."""
    if tags is None:
        return None
    sizes = (tags.whole(tags.picture.get(field)) for field in fields)
    return next((size for size in sizes if size is not None and 0 < size < 1 << 16), None)


def _camera_uuid(tags: exif.Tags | None, xmp: _Xmp) -> str | None:
    """Return the serial numbers of camera and lens, letters and digits only."""
    body = lens = None
    if tags is not None:
        body = tags.text(tags.picture.get(exif.BODY_SERIAL)) or tags.text(tags.picture.get(exif.CAMERA_SERIAL))
        lens = tags.text(tags.picture.get(exif.LENS_SERIAL))
    if body is None and lens is None:
        body = xmp.text("exif:SerialNumber", "exif:BodySerialNumber", "exif:CameraSerialNumber",
                        "exifEX:SerialNumber", "exifEX:BodySerialNumber", "aux:SerialNumber")  # fmt: skip
        lens = xmp.text("exif:LensSerialNumber", "exifEX:LensSerialNumber", "aux:LensSerialNumber")
    parts = ["".join(filter(str.isalnum, part)) for part in (body, lens) if part]
    return "_".join(filter(None, parts)) or None


def image_description(text: str | None) -> str | None:
    """Return the text if it is an image description: a JSON object with MAP… keys."""
    if text is None or not text.startswith("{") or '"MAP' not in text:
        return None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return text if any(key.startswith("MAP") for key in parsed) else None


class _Xmp:
    """The properties of an XMP packet, parsed when the first of them is asked for that stands in it."""

    def __init__(self, packet: bytes | None) -> None:
        self._packet = packet
        self._properties: dict[str, str] | None = None
        self.problem: str | None = None

    def text(self, *names: str) -> str | None:
        """Return the first of some properties that is there."""
        packet = self._packet
        if packet is None:
            return None
        for name in names:
            # Most packets hold none of what is asked for; to search them is far cheaper than to parse.
            if self._properties is None and packet.isascii() and name.partition(":")[2].encode() not in packet:
                continue
            if self._properties is None:
                self._properties, self.problem = read_properties(packet)
            if name in self._properties:
                return self._properties[name]
        return None

    def whole(self, name: str) -> int | None:
        number = values.real(self.text(name))
        return None if number is None else int(number)

    def position(self) -> tuple[float, float] | None:
        lat = values.text_coordinate(self.text("exif:GPSLatitude"), self.text("exif:GPSLatitudeRef"))
        lon = values.text_coordinate(self.text("exif:GPSLongitude"), self.text("exif:GPSLongitudeRef"))
        return values.position(lon, lat)

    def heading(self) -> float | None:
        direction = values.heading(values.real(self.text("exif:GPSImgDirection")))
        return direction if direction is not None else values.heading(values.real(self.text("exif:GPSTrack")))

    def altitude(self) -> float | None:
        return values.altitude(values.real(self.text("exif:GPSAltitude")), self.whole("exif:GPSAltitudeRef"))

    def gps_time(self) -> int | None:
        stamp = self.text("exif:GPSTimeStamp")
        if stamp is None:
            return None
        whole = values.clock_time(stamp)  # in XMP the time stamp carries its date
        if whole is not None:
            return whole[0] if whole[0] // 86_400_000_000 != 0 else None
        return values.gps_time(self.text("exif:GPSDateStamp"), values.gps_clock(stamp))
