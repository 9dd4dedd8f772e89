"""From what is known of an image, a row of a frame or a record of the Graph API, to the tags that say it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlygeo.actors import _civil_time
from mlygeo.actors import _image_values as values
from mlygeo.errors import InputError
from mlygeo.formats.exif import Panorama, Tags, Value

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

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

_SECONDS = 10**7
"""Parts of a second of arc in a position: 3 micrometres on the ground."""

_SENSOR_MM = 36.0
"""Larger side of the frame that 35 mm equivalents are told for."""

_UNSIGNED = 2**32
_EXIF_VERSION, _GPS_VERSION = b"0232", bytes((2, 3, 0, 0))


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
    position, altitude, heading = values.position(image), values.altitude(image), values.number(image, "compass_angle")
    taken = []
    if computed:
        if (found := values.position(image, "computed_geometry")) is not None:
            position = found
            taken.append("position")
        if (found_altitude := values.altitude(image, "computed_altitude")) is not None:
            altitude = found_altitude
            taken.append("altitude")
        if (found_heading := values.number(image, "computed_compass_angle")) is not None:
            heading = found_heading
            taken.append("heading")
    is_pano = _is_panorama(image)
    exif: dict[str, Value] = {
        **_place(position, altitude),
        **_direction(heading),
        **_times(values.time_ms(image), position),
        **({} if is_pano else _focal_length(image)),
        **_rights(image),
        **_identity(image, taken),
    }
    camera: dict[str, Value] = {
        name: text
        for name, key in (("Make", "make"), ("Model", "model"))
        if (text := values.text(image, key)) is not None
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
    position, time_ms = values.position(image), values.time_ms(image)
    time = None if time_ms is None else _civil_time.utc(time_ms)
    missing = [name for name, value in (("position", position), ("capture time", time)) if value is None]
    if position is None or time is None:
        raise InputError(f"an image description needs a position and a time; unknown: {', '.join(missing)}")
    described: dict[str, Any] = {
        "MAPLatitude": position[1],
        "MAPLongitude": position[0],
        "MAPCaptureTime": f"{time:%Y_%m_%d_%H_%M_%S}_{time.microsecond // 1000:03}".rjust(23, "0"),
    }
    if (heading := values.number(image, "compass_angle")) is not None:
        described["MAPCompassHeading"] = {"TrueHeading": heading % 360, "MagneticHeading": heading % 360}
    for column, name in DESCRIPTION_COLUMNS.items():
        if (value := image.get(column)) is not None and values.known(value):
            described[name] = values.altitude(image) if column == "altitude" else values.plain(value)
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
    position = values.position(image)
    if "time" in asked:
        exif |= _times(values.time_ms(image), position)
    if "gps" in asked:
        exif |= _place(position, values.altitude(image))
    if "direction" in asked:
        exif |= _direction(values.number(image, "compass_angle"))
    if "orientation" in asked and (orientation := values.number(image, "exif_orientation")) in range(1, 9):
        exif["Orientation"] = int(orientation)  # type: ignore[arg-type]
    return Tags(exif=exif, absent=_versions(exif))


def _versions(exif: Mapping[str, Value]) -> dict[str, Value]:
    found: dict[str, Value] = {"ExifVersion": _EXIF_VERSION}
    if any(name.startswith("GPS") for name in exif):
        found["GPSVersionID"] = _GPS_VERSION
    return found


def _place(position: tuple[float, float] | None, altitude: float | None) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if position is not None:
        lon, lat = position
        found |= {
            "GPSLatitudeRef": "S" if lat < 0 else "N",
            "GPSLatitude": _degrees(lat),
            "GPSLongitudeRef": "W" if lon < 0 else "E",
            "GPSLongitude": _degrees(lon),
            "GPSMapDatum": "WGS-84",
        }
    if altitude is not None and abs(millimetres := round(altitude * 1000)) < _UNSIGNED:
        found |= {"GPSAltitudeRef": bytes((millimetres < 0,)), "GPSAltitude": ((abs(millimetres), 1000),)}
    return found


def _degrees(angle: float) -> tuple[tuple[int, int], ...]:
    # One rounding, of the whole angle: parts that are rounded one by one end in 60 seconds.
    minutes, parts = divmod(round(abs(angle) * 3600 * _SECONDS), 60 * _SECONDS)
    return (minutes // 60, 1), (minutes % 60, 1), (parts, _SECONDS)


def _direction(heading: float | None) -> dict[str, Value]:
    if heading is None:
        return {}
    return {"GPSImgDirectionRef": "T", "GPSImgDirection": ((round(heading % 360 * 10_000) % 3_600_000, 10_000),)}


def _times(time_ms: int | None, position: tuple[float, float] | None) -> dict[str, Value]:
    time = None if time_ms is None else _civil_time.utc(time_ms)
    if time is None:
        return {}
    there, thousandths = _civil_time.local(time, position), time.microsecond // 1000
    text, part, offset = _date_time(there), f"{thousandths:03}", _civil_time.offset_text(there)
    return {
        "DateTimeOriginal": text,
        "SubSecTimeOriginal": part,
        "OffsetTimeOriginal": offset,
        "CreateDate": text,
        "SubSecTimeDigitized": part,
        "OffsetTimeDigitized": offset,
        "GPSDateStamp": _date_time(time)[:10],
        "GPSTimeStamp": ((time.hour, 1), (time.minute, 1), (time.second * 1000 + thousandths, 1000)),
    }


def _date_time(time: datetime) -> str:
    return f"{time:%Y:%m:%d %H:%M:%S}".rjust(19, "0")  # the C library leaves the zeros of early years out


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
    if not isinstance(parameters, list | tuple | np.ndarray) or not len(parameters) or not values.known(parameters[0]):
        return {}
    millimetres = values.real(parameters[0], "camera_parameters") * _SENSOR_MM
    if not 0.5 <= millimetres < 65_535:
        return {}
    return {
        "FocalLength": ((round(millimetres * 10_000), 10_000),),
        "FocalLengthIn35mmFormat": round(millimetres),
        "FocalPlaneResolutionUnit": 3,  # centimetres
    }


def _rights(image: Mapping[str, Any]) -> dict[str, Value]:
    creator = image.get("creator")
    name = values.text(creator, "username") if isinstance(creator, dict) else values.text(image, "creator_username")
    whose = "Mapillary contributor" if name is None else f"Mapillary contributor {name}"
    found: dict[str, Value] = {"Copyright": f"{whose}, {LICENCE}"}
    return found if name is None else {"Artist": name, **found}


def _identity(image: Mapping[str, Any], computed: list[str]) -> dict[str, Value]:
    creator, organization = image.get("creator"), image.get("organization")
    sequence = image.get("sequence_id") if values.known(image.get("sequence_id")) else image.get("sequence")
    ids = {
        "image_id": values.id_text(image.get("id")),
        "sequence_id": values.id_text(sequence),
        "creator_id": values.id_text(creator.get("id") if isinstance(creator, dict) else image.get("creator_id")),
        "organization_id": values.id_text(
            organization.get("id") if isinstance(organization, dict) else image.get("organization_id")
        ),
    }
    found: dict[str, Any] = {name: value for name, value in ids.items() if value is not None}
    if found and computed:
        found["computed"] = computed
    return {"UserComment": b"ASCII\0\0\0" + json.dumps(found).encode("ascii")} if found else {}


def _is_panorama(image: Mapping[str, Any]) -> bool:
    told = image.get("is_pano")
    return bool(told) if values.known(told) else values.text(image, "camera_type") in {"equirectangular", "spherical"}
