"""
One photo -> one row. Only the standard library is imported here, so that worker processes start in milliseconds.

EXIF is read first, XMP for values that EXIF lacks, and the file's name last, only for the time. Where they contradict
each other, or a value is understood in part, the row says so in `warning`.
"""

from __future__ import annotations

import marshal
import math
import os
import re
import stat
import struct
import sys
import time
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar

from mlygeo import systems
from mlygeo.degrees import short_way, turn
from mlygeo.formats import exif, positions, times
from mlygeo.formats.jpeg import Head, read_head
from mlygeo.formats.tiff import Field, Fields
from mlygeo.formats.xmp import Properties

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_LENGTH = struct.Struct("<Q")
"""The length of a message between processes, before it."""

_ORIGINAL = ("DateTimeOriginal", "SubSecTimeOriginal", "OffsetTimeOriginal")
_DIGITIZED = ("CreateDate", "SubSecTimeDigitized", "OffsetTimeDigitized")
_CHANGED = ("ModifyDate", "SubSecTime", "OffsetTime")
"""Tags of a time, its fraction of a second, and its offset from UTC."""

_USUAL_LENGTH = 19
"""Letters of a time in EXIF, `2018:06:08 13:24:10`."""

_XMP_TIMES = ("exif:DateTimeOriginal", "exif:DateTimeDigitized", "xmp:CreateDate")

_OFFICIAL = {"CreateDate": "DateTimeDigitized", "ModifyDate": "DateTime"}
"""Names of tags in the EXIF standard, where ExifTool's differ."""

FAR_APART_M = 100.0
"""Positions in EXIF and XMP that are further apart contradict each other; XMP's are often rounded."""

TURNED_DEG = 5.0
"""Headings that differ by more contradict each other; receivers are no more exact."""

NEAR_NULL_DEG = 0.01
"""About a kilometre around a buoy in the Gulf of Guinea, where no street is."""

ROUGH_DOP = 20.0
"""A dilution of precision above which positions are of little use (Langley, GPS World 5/1999, "poor")."""

ROUGH_M = 100.0
"""A positioning error above which the image may be on another street: positions from radio cells."""

_WHOLE_PAIR = re.compile(r"\s*[+-]?\d{1,3},\d{1,2}\s*")

_LONGEST_SHOWN = 40


class Photo(NamedTuple):
    """
    Values from the tags of a photo, and of its file. Degrees, metres, pixels; None for missing values.

    `modified_ns` is when the file was last changed, before it was read; -1 where there is none.
    """

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
    modified_ns: int = -1


def read_photos(paths: list[str]) -> list[list[object]]:
    """Return the columns of `Photo`, in its order, for many files."""
    return [list(column) for column in zip(*(read_photo(path) for path in paths), strict=True)]


def read_photo(path: str) -> Photo:
    """Read the head of one JPEG file. A damaged or missing file raises no error."""
    modified_ns = -1
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path for each of a million files costs more than reading them
        modified_ns = status.st_mtime_ns
        if not stat.S_ISREG(status.st_mode):
            return Photo(path, error="not a file", modified_ns=modified_ns)  # opening a pipe would wait forever
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
            head = read_head(file)
    except OSError as error:
        return Photo(path, error=f"cannot be read: {error.strerror or error}", modified_ns=modified_ns)
    except ValueError as error:  # a NUL in the name
        return Photo(path, error=f"cannot be read: {error}")
    try:
        return _photo(path, head, status.st_size, modified_ns)
    except (struct.error, ArithmeticError, LookupError, ValueError) as error:
        # An unexpected error: one photo of many must not stop the others.
        problem = f"its tags cannot be understood ({error})"
        return Photo(path, error=problem, filesize=status.st_size, modified_ns=modified_ns)


def _photo(path: str, head: Head, filesize: int, modified_ns: int = -1) -> Photo:
    tags = Fields(head.exif) if head.exif is not None else None
    doubts: list[str] = []
    if tags is not None and head.later:
        _add_segments(tags, head.later, doubts)
    xmp = _Xmp(head.xmp, head.extension)
    text, whole = (tags.text, tags.whole) if tags else (_nothing, _nothing)
    picture = tags.picture if tags else {}

    place = heading = height_m = orientation = None
    if tags is not None:
        if tags.gps:
            place = _position(tags, doubts)
            heading = _heading(tags, doubts)
            height_m = _altitude(tags, doubts)
        orientation = _orientation(whole(picture.get("Orientation")), doubts)
        _compare_size(tags, head, doubts)
    make = text(picture.get("Make"))
    decided = _time(tags, xmp, path, place, doubts)
    if head.xmp is not None:
        place = _alike(place, xmp.position(doubts), _compare_places, doubts)
        heading = _alike(heading, xmp.heading(doubts), _compare_headings, doubts)
        if heading is not None and (pose := xmp.pose_heading()) is not None and turn(pose, heading) > TURNED_DEG:
            doubts.append(f"the heading of its panorama is another ({pose:.4g}°)")
        height_m = _alike(height_m, xmp.altitude(doubts), _compare_altitudes, doubts)
        turned = _orientation(xmp.whole("tiff:Orientation"), doubts)
        orientation = _alike(orientation, turned, _compare_orientations, doubts)
        make = _alike(make, xmp.text("tiff:Make"), _compare_makes, doubts)
    error = head.error
    if error is None and decided.us is None and tags is not None and tags.broken and tags.problem:
        error = f"its tags cannot be read: {tags.problem}"
    if head.problem or (tags is not None and tags.problem) or xmp.problem:
        problems = (head.problem, tags.problem if tags else None, xmp.problem)
        doubts[:0] = [problem for problem in problems if problem]
    doubts += decided.doubts
    described = text(picture.get("ImageDescription"))
    return Photo(
        path,
        None if decided.us is None else decided.us // 1000,
        place[0] if place else None,
        place[1] if place else None,
        heading,
        height_m,
        xmp.is_panorama(),
        make or text(picture.get("LensMake")),
        text(picture.get("Model")) or xmp.text("tiff:Model") or text(picture.get("LensModel")),
        head.width or _size(tags, "ExifImageWidth", "ImageWidth"),
        head.height or _size(tags, "ExifImageHeight", "ImageHeight"),
        orientation,
        _camera_uuid(tags, xmp),
        described if exif.image_description(described) is not None else None,
        decided.source,
        filesize,
        error,
        "; ".join(dict.fromkeys(doubts)) if doubts else None,
        modified_ns,
    )


def _nothing(_: object) -> None:
    return None


def _shown(text: str) -> str:
    """Return a text from a file for a message: short, on one line, without the separator of messages."""
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return repr(text.replace(";", ","))


def _is_blank(text: str) -> bool:
    """Return whether a text stands for a missing value: `0000:00:00 00:00:00`, `    :  :     :  :  `."""
    return not text.strip(" 0:-/.\t\0")


def _add_segments(tags: Fields, later: tuple[bytes, ...], doubts: list[str]) -> None:
    names = [_OFFICIAL.get(name, name) for data in later for name in tags.add(data)]
    if names:
        doubts.append(f"its EXIF segments contradict each other ({', '.join(dict.fromkeys(names))}), the first counts")


# Times.


def _time(
    tags: Fields | None, xmp: _Xmp, path: str, place: tuple[float, float] | None, doubts: list[str]
) -> times.Decision:
    """Return the capture time, see `times.decide`, from all that the photo says about it."""
    gps_us = changed = None
    clocks: list[times.Reading] = []
    if tags is not None:
        gps_us, picture = _gps_time(tags, doubts), tags.picture
        if gps_us is not None and place is None and "GPSStatus" in tags.gps:
            _say_no_fix(tags, "GPS time", doubts)
        original = picture.get("DateTimeOriginal")
        if original is not None and (found := _clock(tags, _ORIGINAL, doubts)) is not None:
            clocks.append(found)
        digitized = picture.get("CreateDate")
        # Cameras write both alike, for which reading one is enough.
        if (
            digitized is not None
            and not (
                clocks
                and tags.same(original, digitized)
                and tags.same(picture.get("OffsetTimeOriginal"), picture.get("OffsetTimeDigitized"))
            )
            and (found := _clock(tags, _DIGITIZED, doubts)) is not None
        ):
            clocks.append(found)
        if (
            (not clocks or gps_us is None)
            and "ModifyDate" in picture
            and not (
                original is not None
                and clocks
                and clocks[0].offset_s is not None
                and tags.same(original, picture["ModifyDate"])
            )
        ):
            changed = _clock(tags, _CHANGED, doubts)
    if xmp.exists:
        xmp_us = xmp.gps_time(doubts)
        if gps_us is None:
            gps_us = xmp_us
        elif xmp_us is not None and abs(xmp_us - gps_us) > times.AGREES_US:
            doubts.append(f"its XMP has another GPS time, {times.shown(xmp_us)}")
        clocks += xmp.clocks(doubts, first_only=bool(clocks))

    def stem() -> str:
        return os.path.splitext(os.path.basename(path))[0]  # noqa: PTH119, PTH122

    lon, lat = place or (None, None)
    now_us = time.time_ns() // 1000
    decided = times.decide(gps_us, clocks, changed=changed, now_us=now_us, lon=lon, lat=lat, stem=stem)
    if gps_us is None and tags is not None and decided.us is not None:
        if "GPSDateStamp" in tags.gps:
            _compare_day(tags, decided.us, doubts)
        elif decided.source == "offset" and "GPSTimeStamp" in tags.gps:
            _compare_time_of_day(tags, decided.us, doubts)
    return decided


def _clock(tags: Fields, names: tuple[str, str, str], doubts: list[str]) -> times.Reading | None:
    picture = tags.picture
    text = tags.text(picture[names[0]])
    if text is None:
        return None
    part, offset = tags.text(picture.get(names[1]), strip=False), tags.text(picture.get(names[2]))
    return _reading(text, part, offset, names, doubts)


def _reading(
    text: str, part: str | None, offset: str | None, names: tuple[str, str, str], doubts: list[str]
) -> times.Reading | None:
    """Return the time of some texts, and say what of them is none."""
    found = times.read(text, subsec=part, offset=offset)
    if (
        found is not None
        and (offset is None or (found.offset_s is not None and len(text) <= _USUAL_LENGTH))
        and (part is None or found.digits)
    ):
        return found
    if found is None:
        if not _is_blank(text):
            doubts.append(f"its {_OFFICIAL.get(names[0], names[0])} is not a time ({_shown(text)})")
        return None
    if part is not None and not found.digits and not _is_blank(part) and times.decimals(part) is None:
        doubts.append(f"its {names[1]} is not a fraction of a second ({_shown(part)})")
    if offset is not None and not _is_blank(offset):
        if times.zone(offset) is None:
            doubts.append(f"its {names[2]} is not a time zone ({_shown(offset)})")
        elif (
            len(text) > _USUAL_LENGTH
            and (own := times.read(text)) is not None
            and own.offset_s not in (None, found.offset_s)
        ):
            doubts.append(f"its {names[2]} contradicts the zone in {names[0]} ({_shown(text)})")
    return found


def _gps_time(tags: Fields, doubts: list[str]) -> int | None:
    gps = tags.gps
    date, clock = gps.get("GPSDateStamp"), gps.get("GPSTimeStamp")
    if date is None or clock is None:
        return None
    text = tags.text(date)
    numbers = times.fractions(tags.text(clock)) if clock.type == exif.ASCII else tags.numbers(clock)
    found = times.gps_time(text, numbers)
    if found is None and text is not None and not _is_blank(text):
        said = text if times.day(text) is None or not numbers else f"{text} {_ratios(numbers)}"
        doubts.append(f"its GPS time is none ({_shown(said)})")
    return found


def _ratios(numbers: list[tuple[int, int]]) -> str:
    return " ".join(f"{num}" if den == 1 else f"{num}/{den}" for num, den in numbers[:3])


def _compare_day(tags: Fields, us: int, doubts: list[str]) -> None:
    """Say where a GPS date without a usable time of day is another day than the capture time, by more than zones."""
    text = tags.text(tags.gps["GPSDateStamp"])
    days = times.day(text)
    if days and abs(days * times.DAY_US + times.DAY_US // 2 - us) > 2 * times.DAY_US:
        doubts.append(f"its GPS date is another day ({_shown(text or '')})")


def _compare_time_of_day(tags: Fields, us: int, doubts: list[str]) -> None:
    """Say where a GPS time of day without a date is another than that of a clock whose offset is known."""
    stamp = tags.gps["GPSTimeStamp"]
    numbers = times.fractions(tags.text(stamp)) if stamp.type == exif.ASCII else tags.numbers(stamp)
    gps_us = times.gps_time("2000:01:01", numbers)
    # Receivers without a fix write zeros.
    if gps_us is None or not any(num for num, _ in numbers):
        return
    apart_us = (gps_us - us + times.DAY_US // 2) % times.DAY_US - times.DAY_US // 2
    if abs(apart_us) > times.AGREES_US:
        doubts.append(f"GPS says {times.shown(gps_us)[11:]} without a date, its clock {times.shown(us)[11:]} in UTC")


# Positions, headings, altitudes, sizes.


def _position(tags: Fields, doubts: list[str]) -> tuple[float, float] | None:
    gps = tags.gps
    lat_field, lon_field = gps.get("GPSLatitude"), gps.get("GPSLongitude")
    if lat_field is None or lon_field is None:
        if lat_field is not lon_field:
            doubts.append(f"its GPS position has no {'latitude' if lat_field is None else 'longitude'}")
        return None
    lon = _coordinate(tags, lon_field, "lon", gps.get("GPSLongitudeRef"), doubts)
    lat = _coordinate(tags, lat_field, "lat", gps.get("GPSLatitudeRef"), doubts)
    place = positions.position(lon, lat)
    if place is None:
        doubts.append(_why_no_position(tags, lon, lat))
        return None
    if 0 in place:
        doubts.append(f"its {'longitude' if place[0] == 0 else 'latitude'} is exactly 0, which may stand for none")
    elif max(map(abs, place)) < NEAR_NULL_DEG:
        doubts.append("its position is next to (0, 0), which may stand for none")
    if "GPSStatus" in gps:
        _say_no_fix(tags, "position", doubts)
    datum = gps.get("GPSMapDatum")
    if datum is not None and (name := tags.text(datum)) is not None and name != "WGS-84" and not _is_wgs84(name):
        doubts.append(f"its position is in another datum ({_shown(name)}), taken as WGS 84")
    if "GPSDOP" in gps and (dop := tags.real(gps["GPSDOP"])) is not None and dop > ROUGH_DOP:
        doubts.append(f"its position is rough (dilution of precision {dop:.4g})")
    if "GPSHPositioningError" in gps:
        error_m = tags.real(gps["GPSHPositioningError"])
        if error_m is not None and error_m > ROUGH_M:
            doubts.append(f"its position is rough (error of {error_m:,.0f} m)")
    return place


def _say_no_fix(tags: Fields, what: str, doubts: list[str]) -> None:
    status = tags.text(tags.gps["GPSStatus"])
    if status is not None and status.upper() != "A":
        doubts.append(f"its {what} is in doubt, its receiver had no fix (GPSStatus {_shown(status)})")


def _coordinate(tags: Fields, field: Field, axis: positions.Axis, ref: Field | None, doubts: list[str]) -> float | None:
    if field.type == exif.ASCII:
        return _text_coordinate(tags.text(field), axis, tags.text(ref), signed=False)
    parts = tags.numbers(field)
    degrees = positions.from_numbers(parts, axis, tags.text(ref))
    if degrees is not None and len(parts) > 1 and not _is_plain(parts) and _is_odd(parts[:3]):
        name = "longitude" if axis == "lon" else "latitude"
        doubts.append(f"its {name} has decimals and a smaller unit, or 60 of one ({_ratios(parts)})")
    return degrees


def _text_coordinate(text: str | None, axis: positions.Axis, ref: str | None, *, signed: bool = True) -> float | None:
    """Return a coordinate that is text. Of `48,30` nobody knows whether it is Adobe's form or has a decimal comma."""
    if text is not None and _WHOLE_PAIR.fullmatch(text):
        return None
    return positions.from_text(text, axis, ref, signed=signed)


def _is_plain(parts: list[tuple[int, int]]) -> bool:
    """Return whether degrees and minutes are whole, and nothing reaches 60, as most cameras write them."""
    (_, one), (minutes, two) = parts[:2]
    return one == two == 1 and minutes < 60 and (len(parts) < 3 or parts[2][0] < 60 * parts[2][1])


def _is_odd(parts: list[tuple[int, int]]) -> bool:
    """Return whether degrees or minutes have a fraction beside minutes or seconds that say it again, or reach 60."""
    if any(num >= 60 * den for num, den in parts[1:]):
        return True
    smaller = False
    for num, den in reversed(parts):
        if smaller and num % den:
            return True
        smaller = smaller or num != 0
    return False


def _why_no_position(tags: Fields, lon: float | None, lat: float | None) -> str:
    if lon is not None and lat is not None:
        return "its GPS position is (0, 0), that is none"
    gps = tags.gps
    fields = [gps[name] for name in ("GPSLatitude", "GPSLongitude")]
    numbers = [number for field in fields for number in tags.numbers(field)]
    if numbers and all(num == 0 for num, _ in numbers):
        return "its GPS position is (0, 0), that is none"
    said = []
    both: tuple[tuple[str, positions.Axis, float | None], ...] = (
        ("GPSLatitude", "lat", lat), ("GPSLongitude", "lon", lon)
    )  # fmt: skip
    for name, axis, found in both:
        field, ref = gps[name], tags.text(gps.get(f"{name}Ref"))
        if found is not None:
            continue
        if field.type != exif.ASCII and positions.side(ref, axis) is None:
            said.append(f"{name} lacks its side" if ref is None else f"{name}Ref is not a side of it ({_shown(ref)})")
        elif field.type == exif.ASCII:
            said.append(f"{name} is none ({_shown(tags.text(field) or '')})")
        else:
            said.append(f"{name} is none ({_ratios(tags.numbers(field)) or 'no numbers'})")
    return f"its GPS position makes no sense: {', '.join(said)}"


def _is_wgs84(datum: str) -> bool:
    """Return whether a datum is WGS 84, under any of the names that cameras give it."""
    plain = "".join(filter(str.isalnum, datum)).upper()
    return plain in {"WGS84", "WGS1984", "WORLDGEODETICSYSTEM1984", "EPSG4326", ""}


def _heading(tags: Fields, doubts: list[str]) -> float | None:
    for name in ("GPSImgDirection", "GPSTrack"):
        field = tags.gps.get(name)
        if field is not None and (number := tags.real(field)) is not None:
            found = exif.heading(number)
            if found is None:
                doubts.append(f"its {name} is not a heading ({number:.6g})")
                continue
            ref = tags.gps.get(f"{name}Ref")
            if ref is not None and (north := tags.text(ref)) not in (None, "T"):
                _say_north(name, north or "", doubts)
            return found
    return None


def _say_north(name: str, ref: str, doubts: list[str]) -> None:
    if ref[:1].upper() == "M":
        doubts.append("its heading is magnetic, not corrected")
    elif ref[:1].upper() != "T":
        doubts.append(f"its {name}Ref is neither true nor magnetic north ({_shown(ref)})")


def _altitude(tags: Fields, doubts: list[str]) -> float | None:
    field = tags.gps.get("GPSAltitude")
    if field is None:
        return None
    ref_field = tags.gps.get("GPSAltitudeRef")
    ref = tags.whole(ref_field)
    if ref_field is not None and ref_field.type == exif.ASCII:  # "1" as text
        text = tags.text(ref_field) or ""
        ref = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else None
        if ref is None and text:
            doubts.append(f"its GPSAltitudeRef is none ({_shown(text)}), taken as above the sea")
    metres = tags.real(field)
    return _sensible(exif.altitude(metres, ref), ref, doubts)


def _sensible(height_m: float | None, ref: int | None, doubts: list[str]) -> float | None:
    """Return an altitude, None where no place has it; say what is odd about it."""
    if height_m is None:
        return None
    if ref is not None and not 0 <= ref <= 3:
        doubts.append(f"its GPSAltitudeRef is none ({ref}), taken as above the sea")
    elif ref in (2, 3):
        doubts.append("its altitude is that above the ellipsoid, not above the sea")
    if (doubt := exif.altitude_doubt(height_m)) is not None:
        doubts.append(doubt)
        return None if exif.is_no_altitude(height_m) else height_m
    return height_m


def _orientation(number: int | None, doubts: list[str]) -> int | None:
    if number is None or 1 <= number <= 8:
        return number
    if number:  # 0 stands for unknown
        doubts.append(f"its orientation is none ({number})")
    return None


def _compare_size(tags: Fields, head: Head, doubts: list[str]) -> None:
    picture = tags.picture
    if "ExifImageWidth" not in picture or "ExifImageHeight" not in picture or not head.width or not head.height:
        return
    width, height = tags.whole(picture["ExifImageWidth"]), tags.whole(picture["ExifImageHeight"])
    if width and height and (width, height) != (head.width, head.height):
        doubts.append(f"its tags say {width} x {height} pixels, the picture has {head.width} x {head.height}")


def _size(tags: Fields | None, *fields: str) -> int | None:
    """Return a size from the tags, where the picture itself has none."""
    if tags is None:
        return None
    sizes = (tags.whole(tags.picture.get(field)) for field in fields)
    return next((size for size in sizes if size is not None and 0 < size < 1 << 16), None)


# EXIF and XMP beside each other.


def _alike(mine: _T | None, other: _T | None, compare: Callable[[_T, _T], str | None], doubts: list[str]) -> _T | None:
    """Return the value in EXIF, else that in XMP; say where they contradict each other."""
    if mine is None:
        return other
    if other is not None and (said := compare(mine, other)) is not None:
        doubts.append(said)
    return mine


def _compare_places(mine: tuple[float, float], other: tuple[float, float]) -> str | None:
    # On a sphere, which is exact enough for what is far.
    lat = math.radians(mine[1])
    east = math.radians(short_way(other[0] - mine[0])) * math.cos(lat)
    apart_m = 6_371_000 * math.hypot(east, math.radians(other[1] - mine[1]))
    return f"its XMP has another position, {apart_m:,.0f} m away" if apart_m > FAR_APART_M else None


def _compare_headings(mine: float, other: float) -> str | None:
    apart = turn(other, mine)
    return f"its XMP has another heading ({other:.4g}°)" if apart > TURNED_DEG else None


def _compare_altitudes(mine: float, other: float) -> str | None:
    return f"its XMP has another altitude ({other:,.0f} m)" if abs(mine - other) > FAR_APART_M else None


def _compare_orientations(mine: int, other: int) -> str | None:
    return f"its XMP has another orientation ({other})" if mine != other else None


def _compare_makes(mine: str, other: str) -> str | None:
    one, two = mine.casefold(), other.casefold()
    return None if one in two or two in one else f"its XMP has another maker ({_shown(other)})"


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


class _Xmp(Properties):
    """Values from the XMP properties of a photo; what they say and is not understood goes into `doubts`."""

    def whole(self, name: str) -> int | None:
        number = exif.real(self.text(name))
        return None if number is None else int(number)

    def position(self, doubts: list[str]) -> tuple[float, float] | None:
        lat_text, lon_text = self.text("exif:GPSLatitude"), self.text("exif:GPSLongitude")
        if lat_text is None or lon_text is None:
            if lat_text is not lon_text:
                doubts.append(f"its XMP position has no {'latitude' if lat_text is None else 'longitude'}")
            return None
        lat = _text_coordinate(lat_text, "lat", self.text("exif:GPSLatitudeRef"))
        lon = _text_coordinate(lon_text, "lon", self.text("exif:GPSLongitudeRef"))
        found = positions.position(lon, lat)
        if found is None:
            doubts.append(f"its XMP position is none ({_shown(f'{lat_text} {lon_text}')})")
        return found

    def heading(self, doubts: list[str]) -> float | None:
        for name in ("GPSImgDirection", "GPSTrack"):
            text = self.text(f"exif:{name}")
            if text is not None:
                found = exif.heading(exif.real(text))
                if found is not None:
                    _say_north(name, self.text(f"exif:{name}Ref") or "T", doubts)
                    return found
                doubts.append(f"its XMP {name} is not a heading ({_shown(text)})")
        return None

    def pose_heading(self) -> float | None:
        """Return the heading of a panorama's centre; programs write 0 where they know none."""
        return exif.heading(exif.real(self.text("GPano:PoseHeadingDegrees"))) or None

    def altitude(self, doubts: list[str]) -> float | None:
        text = self.text("exif:GPSAltitude")
        if text is None:
            return None
        metres, ref = exif.real(text), self.whole("exif:GPSAltitudeRef")
        if metres is None:
            doubts.append(f"its XMP altitude is none ({_shown(text)})")
        return _sensible(exif.altitude(metres, ref), ref, doubts)

    def clocks(self, doubts: list[str], *, first_only: bool) -> list[times.Reading]:
        """Return the times of the shot; `first_only` the original one, to compare it."""
        found = []
        for name in _XMP_TIMES[:1] if first_only else _XMP_TIMES:
            text = self.text(name)
            if text is not None:
                fields = name.replace("DateTime", "SubsecTime"), name.replace("DateTime", "OffsetTime")
                part, offset = (self.text(field) if field != name else None for field in fields)
                reading = _reading(text, part, offset, (f"XMP {name}", *fields), doubts)
                found += [] if reading is None else [reading]
        return found

    def gps_time(self, doubts: list[str]) -> int | None:
        stamp = self.text("exif:GPSTimeStamp")
        if stamp is None:
            return None
        whole = times.read(stamp)  # in XMP the time stamp includes the date
        if whole is not None:
            return whole.us if whole.us // times.DAY_US != 0 else None
        date = self.text("exif:GPSDateStamp")
        found = times.gps_time(date, times.fractions(stamp))
        if found is None and not _is_blank(stamp):
            doubts.append(f"its XMP GPS time is none ({_shown(' '.join(filter(None, (date, stamp))))})")
        return found


def serve() -> None:
    """Answer requests on standard input until it is closed: the main function of a worker process."""
    systems.ignore_ctrl_c()  # the parent closes our input when it stops
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            paths = receive(requests)
        except EOFError:
            return
        send(answers, read_photos(paths))


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
