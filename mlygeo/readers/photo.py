"""
One photo -> one row. Only the standard library is imported here, so that worker processes start in milliseconds.

EXIF is read first, XMP for values that EXIF lacks, and the file's name last, only for the time.
"""

from __future__ import annotations

import json
import marshal
import os
import stat
import struct
import sys
from typing import Any, BinaryIO, NamedTuple

from mlygeo.formats import exif
from mlygeo.formats.jpeg import Head, read_head
from mlygeo.formats.tiff import Fields
from mlygeo.formats.xmp import Properties

_LENGTH = struct.Struct("<Q")
"""The length of a message between processes, before it."""

_ZONE = ("clock", "offset")
_XMP_TIMES = ("exif:DateTimeOriginal", "exif:DateTimeDigitized", "xmp:CreateDate")


class Photo(NamedTuple):
    """Values from the tags of a photo. Degrees, metres, pixels; None for missing values."""

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
    Read the head of one JPEG file. A damaged or missing file raises no error.

    Parameters
    ----------
    path
        The file.
    local
        Interpret times without an offset as this machine's local time.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path for each of a million files costs more than reading them
        if not stat.S_ISREG(status.st_mode):
            return Photo(path, error="not a file")  # opening a pipe would wait forever
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            head = read_head(file)
    except OSError as error:
        return Photo(path, error=f"cannot be read: {error.strerror or error}")
    except ValueError as error:  # a NUL in the name
        return Photo(path, error=f"cannot be read: {error}")
    try:
        return _photo(path, head, status.st_size, local=local)
    except (struct.error, ArithmeticError, LookupError, ValueError) as error:
        # An unexpected error: one photo of many must not stop the others.
        return Photo(path, error=f"its tags cannot be understood ({error})", filesize=status.st_size)


def _photo(path: str, head: Head, filesize: int, *, local: bool) -> Photo:
    tags = Fields(head.exif) if head.exif is not None else None
    xmp = _Xmp(head.xmp)
    text, whole = (tags.text, tags.whole) if tags else (_nothing, _nothing)
    picture = tags.picture if tags else {}

    time_us, time_source = _time(tags, xmp, path, local=local)
    place = _position(tags) or xmp.position()
    heading = _first_heading(tags) if tags else None
    height_m = exif.altitude(tags.real(tags.gps.get("GPSAltitude")), _altitude_ref(tags)) if tags else None
    orientation = _orientation(whole(picture.get("Orientation")))
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
        xmp.is_panorama(),
        text(picture.get("Make")) or xmp.text("tiff:Make") or text(picture.get("LensMake")),
        text(picture.get("Model")) or xmp.text("tiff:Model") or text(picture.get("LensModel")),
        head.width or _size(tags, "ExifImageWidth", "ImageWidth"),
        head.height or _size(tags, "ExifImageHeight", "ImageHeight"),
        orientation if orientation is not None else _orientation(xmp.whole("tiff:Orientation")),
        _camera_uuid(tags, xmp),
        image_description(text(picture.get("ImageDescription"))),
        time_source,
        filesize,
        error,
        "; ".join(filter(None, problems)) or None,
    )


def _nothing(_: object) -> None:
    return None


def _time(tags: Fields | None, xmp: _Xmp, path: str, *, local: bool) -> tuple[int | None, str | None]:
    """
    Return the capture time, and where it comes from.

    `gps` is a GPS time stamp, `offset` a camera's clock with its offset from UTC, `clock` one without it,
    and `filename` the name of the file.
    """
    if tags is not None:
        gps, picture = tags.gps, tags.picture
        stamp = exif.gps_time(tags.text(gps.get("GPSDateStamp")), _gps_clock(tags))
        if stamp is not None:
            return stamp, "gps"
        for date, subsec, offset in (
            ("DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal"),
            ("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized"),
            ("ModifyDate", "SubSecTime", "OffsetTime"),
        ):
            if date in picture:
                found = exif.clock_time(
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
        found = exif.clock_time(xmp.text(name), subsec_text, offset_text, local=local)
        if found is not None:
            return found[0], _ZONE[found[1]]
    found = exif.name_time(os.path.splitext(os.path.basename(path))[0], local=local)  # noqa: PTH119, PTH122
    return (None, None) if found is None else (found[0], "filename")


def _gps_clock(tags: Fields) -> list[tuple[int, int]]:
    field = tags.gps.get("GPSTimeStamp")
    return exif.gps_clock(tags.text(field)) if field is not None and field.type == 2 else tags.numbers(field)


def _position(tags: Fields | None) -> tuple[float, float] | None:
    if tags is None or "GPSLatitude" not in tags.gps or "GPSLongitude" not in tags.gps:
        return None
    lon, lat = (
        exif.coordinate(
            tags.numbers(tags.gps[field]),
            tags.text(tags.gps[field]) if tags.gps[field].type == 2 else None,
            tags.text(tags.gps.get(ref)),
        )
        for field, ref in (("GPSLongitude", "GPSLongitudeRef"), ("GPSLatitude", "GPSLatitudeRef"))
    )
    return exif.position(lon, lat)


def _senseless(tags: Fields | None, place: tuple[float, float] | None, time_source: str | None) -> str | None:
    """Return the GPS tags that cannot be used, for a warning."""
    if tags is None or not tags.gps:
        return None
    coordinates = [tags.gps[field] for field in ("GPSLatitude", "GPSLongitude") if field in tags.gps]
    if place is None and coordinates:
        numbers = [number for field in coordinates for number in tags.numbers(field)]
        zero = bool(numbers) and all(over == 0 < under for over, under in numbers)
        return f"its GPS position {'is (0, 0), that is none' if zero else 'lacks its side, or makes no sense'}"
    if time_source != "gps" and "GPSDateStamp" in tags.gps and "GPSTimeStamp" in tags.gps:
        return f"its GPS time is none ({tags.text(tags.gps['GPSDateStamp']) or 'no date'})"
    return None


def _first_heading(tags: Fields) -> float | None:
    direction = exif.heading(tags.real(tags.gps.get("GPSImgDirection")))
    return direction if direction is not None else exif.heading(tags.real(tags.gps.get("GPSTrack")))


def _altitude_ref(tags: Fields) -> int | None:
    field = tags.gps.get("GPSAltitudeRef")
    if field is not None and field.type == 2:  # "1" as text
        text = tags.text(field) or ""
        return int(text) if text.isascii() and text.isdigit() else None
    return tags.whole(field)


def _orientation(number: int | None) -> int | None:
    return number if number is not None and 1 <= number <= 8 else None


def _size(tags: Fields | None, *fields: str) -> int | None:
    """Return a size from the tags, where the picture itself has none."""
    if tags is None:
        return None
    sizes = (tags.whole(tags.picture.get(field)) for field in fields)
    return next((size for size in sizes if size is not None and 0 < size < 1 << 16), None)


def _camera_uuid(tags: Fields | None, xmp: _Xmp) -> str | None:
    """Return the serial numbers of camera and lens, letters and digits only."""
    body = lens = None
    if tags is not None:
        body = tags.text(tags.picture.get("SerialNumber")) or tags.text(tags.picture.get("CameraSerialNumber"))
        lens = tags.text(tags.picture.get("LensSerialNumber"))
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


class _Xmp(Properties):
    """Values from the XMP properties of a photo."""

    def whole(self, name: str) -> int | None:
        number = exif.real(self.text(name))
        return None if number is None else int(number)

    def position(self) -> tuple[float, float] | None:
        lat = exif.text_coordinate(self.text("exif:GPSLatitude"), self.text("exif:GPSLatitudeRef"))
        lon = exif.text_coordinate(self.text("exif:GPSLongitude"), self.text("exif:GPSLongitudeRef"))
        return exif.position(lon, lat)

    def heading(self) -> float | None:
        direction = exif.heading(exif.real(self.text("exif:GPSImgDirection")))
        return direction if direction is not None else exif.heading(exif.real(self.text("exif:GPSTrack")))

    def altitude(self) -> float | None:
        return exif.altitude(exif.real(self.text("exif:GPSAltitude")), self.whole("exif:GPSAltitudeRef"))

    def gps_time(self) -> int | None:
        stamp = self.text("exif:GPSTimeStamp")
        if stamp is None:
            return None
        whole = exif.clock_time(stamp)  # in XMP the time stamp includes the date
        if whole is not None:
            return whole[0] if whole[0] // 86_400_000_000 != 0 else None
        return exif.gps_time(self.text("exif:GPSDateStamp"), exif.gps_clock(stamp))


def serve() -> None:
    """Answer requests on standard input until it is closed: the main function of a worker process."""
    import signal

    # Ctrl-C reaches the whole process group; the parent closes our input when it stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            paths, local = receive(requests)
        except EOFError:
            return
        send(answers, read_photos(paths, local=local))


def send(stream: BinaryIO, message: Any) -> None:
    """Send a message to the process at the other end of a pipe."""
    data = marshal.dumps(message)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Return the next message from the process at the other end of a pipe."""
    start = stream.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        raise EOFError("its pipe was closed")
    # Both ends are the same interpreter and the same module, so only our own data are unpickled.
    return marshal.loads(stream.read(_LENGTH.unpack(start)[0]))  # noqa: S302
