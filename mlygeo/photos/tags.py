"""
From what is known of an image, a row of a frame or a record of the Graph API, to the tags that say it.

A value is taken in whatever form it came. Times are written as the clocks at the place show them: the time
zone is the real one, by its borders and its rules at that time.
"""

from __future__ import annotations

import json
import logging
import math
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from mlygeo.errors import InputError
from mlygeo.formats import exif
from mlygeo.formats.exif import Tags, Value
from mlygeo.formats.xmp import Panorama

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import tzinfo

LICENCE = "CC BY-SA 4.0, https://creativecommons.org/licenses/by-sa/4.0/"

Overwrite = Literal["all", "time", "gps", "direction", "orientation"]
"""Tags that are written beside the image description: see `description_tags`."""

DESCRIPTION_COLUMNS = {
    "altitude": "MAPAltitude",
    "sequence_id": "MAPSequenceUUID",
    "photo_uuid": "MAPPhotoUUID",
    "exif_orientation": "MAPOrientation",
    "make": "MAPDeviceMake",
    "model": "MAPDeviceModel",
    "camera_uuid": "MAPCameraUUID",
    "gps_accuracy_m": "MAPGPSAccuracyMeters",
    "filename": "MAPFilename",
    "meta_tags": "MAPMetaTags",
    "organization_key": "MAPOrganizationKey",
    "private": "MAPPrivate",
    "user_key": "MAPSettingsUserKey",
    "user_name": "MAPSettingsUsername",
}
"""The optional parts of an image description, by the column each is taken from."""

_SENSOR_MM = 36.0
"""Larger side of the frame that 35 mm equivalents are told for."""

_EXIF_VERSION, _GPS_VERSION = b"0232", bytes((2, 3, 0, 0))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger("mlygeo.photos.tags")


def picture_tags(image: Mapping[str, Any], *, computed: bool = False) -> Tags:
    """
    Return the tags that say in a picture what Mapillary says of it.

    An orientation is never among them: pictures are delivered upright. What is unknown is not
    written; a heading of 0 is a heading, a position of exactly (0, 0) is none.

    Parameters
    ----------
    image
        A row of an images frame (as `to_dict("records")` gives it), or a record of the Graph API.
    computed
        Take position, altitude and heading as computed by 3D reconstruction, where there are
        such. Their `UserComment` says which of them were.

    Returns
    -------
    tags
        Position, altitude, heading, times, camera, creator, licence and ids, and for a panorama
        what makes viewers open it as one.

    Raises
    ------
    InputError
        If a value is of a kind that cannot be understood, such as a time that is none.

    Examples
    --------
    >>> insert(jpeg, picture_tags({"id": 1, "geometry": Point(9.17, 48.77), "captured_at": 1720488258913}))
    """
    position, altitude, heading = _position(image), _altitude(image), number(image, "compass_angle")
    taken = []
    if computed:
        if (found := _position(image, "computed_geometry")) is not None:
            position = found
            taken.append("position")
        if (found_altitude := _altitude(image, "computed_altitude")) is not None:
            altitude = found_altitude
            taken.append("altitude")
        if (found_heading := number(image, "computed_compass_angle")) is not None:
            heading = found_heading
            taken.append("heading")
    is_pano = _is_panorama(image)
    exif: dict[str, Value] = {
        **_place(position, altitude),
        **_direction(heading),
        **_times(_time_ms(image), position),
        **({} if is_pano else _focal_length(image)),
        **_rights(image),
        **_identity(image, taken),
    }
    camera: dict[str, Value] = {
        name: text for name, key in (("Make", "make"), ("Model", "model")) if (text := text_of(image, key)) is not None
    }
    panorama = Panorama(None if heading is None else heading % 360) if is_pano else None
    return Tags(exif=exif, absent={**camera, **_versions(exif)}, panorama=panorama, measured=True)


def image_description(image: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the image description that Mapillary reads from the tag ImageDescription.

    Parameters
    ----------
    image
        A row of a frame of local photos: `geometry`, `captured_at`, and what there is of
        `compass_angle` and the columns in `DESCRIPTION_COLUMNS`.

    Returns
    -------
    description
        MAPLatitude, MAPLongitude, MAPCaptureTime and what else is known.

    Raises
    ------
    InputError
        If position or time is unknown: Mapillary takes no picture without them.

    Examples
    --------
    >>> image_description({"geometry": Point(9.17, 48.77), "captured_at": 1720488258913})["MAPCaptureTime"]
    '2024_07_09_01_24_18_913'
    """
    position, time_ms = _position(image), _time_ms(image)
    time = None if time_ms is None else _utc(time_ms)
    missing = [name for name, value in (("position", position), ("capture time", time)) if value is None]
    if position is None or time is None:
        raise InputError(f"an image description needs a position and a time; unknown: {', '.join(missing)}")
    described: dict[str, Any] = {
        "MAPLatitude": position[1],
        "MAPLongitude": position[0],
        "MAPCaptureTime": f"{time:%Y_%m_%d_%H_%M_%S}_{time.microsecond // 1000:03}".rjust(23, "0"),
    }
    if (heading := number(image, "compass_angle")) is not None:
        described["MAPCompassHeading"] = {"TrueHeading": heading % 360, "MagneticHeading": heading % 360}
    for column, name in DESCRIPTION_COLUMNS.items():
        if (value := image.get(column)) is not None and known(value):
            described[name] = _altitude(image) if column == "altitude" else plain(value)
    return described


def description_tags(
    image: Mapping[str, Any],
    *,
    description: Mapping[str, Any] | None = None,
    overwrite: Collection[Overwrite] = (),
) -> Tags:
    """
    Return the image description as a tag, and other tags that are to agree with it.

    Parameters
    ----------
    image
        A row of a frame of local photos, as for `image_description`.
    description
        The image description to write; made of the row unless given.
    overwrite
        Which other tags are written too. "time": the capture time, local with its offset, and the
        GPS time; "gps": position and altitude; "direction": the heading; "orientation": the
        orientation in `exif_orientation`; "all": all of these.

    Returns
    -------
    tags
        For `insert` and `write_exif`.

    Raises
    ------
    InputError
        If `overwrite` names something else, or there is no description and none can be made.

    Examples
    --------
    >>> write_exif("DSC00001.JPG", description_tags(row, overwrite=("gps", "direction")))
    """
    kinds = {"time", "gps", "direction", "orientation"}
    asked = {str(kind) for kind in overwrite}
    if unknown := asked - kinds - {"all"}:
        raise InputError(f"there is nothing to overwrite called {', '.join(sorted(unknown))}")
    asked = kinds if "all" in asked else asked
    described = image_description(image) if description is None else description
    try:
        text = json.dumps(described, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the image description cannot be written as JSON: {error}") from error
    exif: dict[str, Value] = {"ImageDescription": text}
    position = _position(image)
    if "time" in asked:
        exif |= _times(_time_ms(image), position)
    if "gps" in asked:
        exif |= _place(position, _altitude(image))
    if "direction" in asked:
        exif |= _direction(number(image, "compass_angle"))
    if "orientation" in asked and (orientation := number(image, "exif_orientation")) in range(1, 9):
        exif["Orientation"] = int(orientation)  # type: ignore[arg-type]
    return Tags(exif=exif, absent=_versions(exif))


def _versions(exif: Mapping[str, Value]) -> dict[str, Value]:
    found: dict[str, Value] = {"ExifVersion": _EXIF_VERSION}
    if any(name.startswith("GPS") for name in exif):
        found["GPSVersionID"] = _GPS_VERSION
    return found


def _place(position: tuple[float, float] | None, altitude: float | None) -> dict[str, Value]:
    return {
        **({} if position is None else exif.position_tags(*position)),
        **({} if altitude is None else exif.altitude_tags(altitude)),
    }


def _direction(heading: float | None) -> dict[str, Value]:
    return {} if heading is None else exif.heading_tags(heading)


def _times(time_ms: int | None, position: tuple[float, float] | None) -> dict[str, Value]:
    time = None if time_ms is None else _utc(time_ms)
    return {} if time is None else exif.time_tags(time, _local(time, position))


def _focal_length(image: Mapping[str, Any]) -> dict[str, Value]:
    """
    Return the focal length, told for a frame 36 mm long.

    Mapillary's focal length is a part of the larger side of the picture; what the lens measures in
    millimetres it does not tell. The resolution in the focal plane, which the size of the picture
    adds, belongs to the same frame, so that programs find the focal length in pixels again.
    """
    parameters = image.get("camera_parameters")
    if isinstance(parameters, str):
        try:
            parameters = json.loads(parameters)
        except ValueError:
            return {}
    if not isinstance(parameters, list | tuple | np.ndarray) or not len(parameters) or not known(parameters[0]):
        return {}
    millimetres = _real(parameters[0], "camera_parameters") * _SENSOR_MM
    if not 0.5 <= millimetres < 65_535:
        return {}
    return {
        "FocalLength": ((round(millimetres * 10_000), 10_000),),
        "FocalLengthIn35mmFormat": round(millimetres),
        "FocalPlaneResolutionUnit": 3,  # centimetres
    }


def _rights(image: Mapping[str, Any]) -> dict[str, Value]:
    creator = image.get("creator")
    name = text_of(creator, "username") if isinstance(creator, dict) else text_of(image, "creator_username")
    whose = "Mapillary contributor" if name is None else f"Mapillary contributor {name}"
    found: dict[str, Value] = {"Copyright": f"{whose}, {LICENCE}"}
    return found if name is None else {"Artist": name, **found}


def _identity(image: Mapping[str, Any], computed: list[str]) -> dict[str, Value]:
    creator, organization = image.get("creator"), image.get("organization")
    sequence = image.get("sequence_id") if known(image.get("sequence_id")) else image.get("sequence")
    ids = {
        "image_id": _id_text(image.get("id")),
        "sequence_id": _id_text(sequence),
        "creator_id": _id_text(creator.get("id") if isinstance(creator, dict) else image.get("creator_id")),
        "organization_id": _id_text(
            organization.get("id") if isinstance(organization, dict) else image.get("organization_id")
        ),
    }
    found: dict[str, Any] = {name: value for name, value in ids.items() if value is not None}
    if found and computed:
        found["computed"] = computed
    return {"UserComment": b"ASCII\0\0\0" + json.dumps(found).encode("ascii")} if found else {}


def _is_panorama(image: Mapping[str, Any]) -> bool:
    told = image.get("is_pano")
    return bool(told) if known(told) else text_of(image, "camera_type") in {"equirectangular", "spherical"}


def _position(image: Mapping[str, Any], name: str = "geometry") -> tuple[float, float] | None:
    """Return longitude and latitude; None where they are unknown, impossible, or exactly (0, 0)."""
    geometry = image.get(name)
    if isinstance(geometry, str):
        try:
            geometry = json.loads(geometry)
        except ValueError as error:
            raise InputError(f"{name} is no position: {geometry[:60]!r}") from error
    if isinstance(geometry, dict):
        coordinates = geometry.get("coordinates")
        if not isinstance(coordinates, list | tuple) or len(coordinates) < 2:
            raise InputError(f"{name} is no position: {geometry!r:.60}")
        lon, lat = coordinates[:2]
    elif geometry is not None and hasattr(geometry, "is_empty"):
        lon, lat = (None, None) if geometry.is_empty else (geometry.x, geometry.y)
    elif name == "geometry":
        lon, lat = image.get("lon"), image.get("lat")
    else:
        lon, lat = None, None
    if not (known(lon) and known(lat)):
        return None
    lon, lat = _real(lon, name), _real(lat, name)
    return (lon, lat) if abs(lon) <= 180 and abs(lat) <= 90 and (lon, lat) != (0, 0) else None


def _altitude(image: Mapping[str, Any], name: str = "altitude") -> float | None:
    """Return a height in metres, below zero too; None where it is unknown."""
    found = number(image, name)
    return None if found is None else exif.signed_altitude(found)


def _time_ms(image: Mapping[str, Any]) -> int | None:
    """Return `captured_at` in milliseconds since 1970, whatever form it has; None when unknown."""
    value = image.get("captured_at")
    if not known(value):
        return None
    if isinstance(value, str):
        if re.fullmatch(r"-?\d{1,20}", value.strip()):
            return int(value)
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise InputError(f"captured_at is no time: {value!r}") from error
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[ms]").astype(np.int64))
    if isinstance(value, datetime):
        return ((value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH) // timedelta(milliseconds=1)
    return _whole(value, "captured_at")


def _id_text(value: Any) -> str | None:
    """Return an id as text: as a number in JSON, many readers would round it."""
    if not known(value) or value == "":
        return None
    return str(_whole(value, "an id")) if isinstance(value, Real) else str(value)


def _real(value: Any, name: str) -> float:
    """Return a value as a number; InputError where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is no number: {value!r:.60}") from error


def _whole(value: Any, name: str) -> int:
    if isinstance(value, Integral):
        return int(value)
    found = _real(value, name)
    if not found.is_integer() or abs(found) > 2**53:
        raise InputError(f"{name} is no whole number: {value!r:.60}")
    return int(found)


def _utc(time_ms: int) -> datetime | None:
    """Return a time given in milliseconds since 1970; None where it lies beyond the years 1 to 9999."""
    try:
        return _EPOCH + timedelta(milliseconds=time_ms)
    except OverflowError:
        return None


def _local(time: datetime, position: tuple[float, float] | None) -> datetime:
    """
    Return a time as the clocks at a place show it.

    Parameters
    ----------
    time
        The time, with a time zone.
    position
        Longitude and latitude, degrees; None when unknown.

    Returns
    -------
    time
        The same moment, with the offset that held there and then; UTC where the place is
        unknown, or where the offset was no whole number of minutes, which EXIF cannot say.
    """
    if position is None:
        return time
    # A Rust extension of 5 MB that takes 35 MB once asked, and a microsecond an answer. Borders
    # are simplified, to within 111 m; the exact ones cost 140 MB and half a second a process.
    import tzfpy

    try:
        there = time.astimezone(_zone(tzfpy.get_tz(*position)))
    except OverflowError:
        return time
    offset = there.utcoffset() or timedelta()
    return time if offset % timedelta(minutes=1) else there


@cache
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except ZoneInfoNotFoundError:
        log.warning("the time zone %s is not known here; times there are written in UTC", name)
        return UTC


# Values of a row or record, each in one form.


def number(image: Mapping[str, Any], name: str) -> float | None:
    """Return a number; None where it is unknown, or not finite."""
    value = image.get(name)
    found = _real(value, name) if known(value) else math.nan
    return found if math.isfinite(found) else None


def text_of(image: Mapping[str, Any], name: str) -> str | None:
    """Return a text; None where it is unknown, which the service also writes "none"."""
    value = image.get(name)
    found = str(value).strip() if known(value) else ""
    return None if found.lower() in {"", "none", "null"} else found


def plain(value: Any) -> Any:
    """Return a value as JSON has it; a text that is JSON itself stands for what it says."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def known(value: Any) -> bool:
    """Return whether a value is there: not None, NaN, NaT or NA."""
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return False
    if isinstance(value, np.datetime64):
        return not np.isnat(value)
    # Whole numbers are asked for first: one of hundreds of digits is no float.
    return isinstance(value, Integral) or not (isinstance(value, Real) and math.isnan(value))
