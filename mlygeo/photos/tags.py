"""
From an image, a row of a frame or a provider's record, to its tags.

Values may have any form. Times are written in the local time of the place, with the borders and rules of
the time zone at that time.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from mlygeo import attribution, providers, rows
from mlygeo.errors import InputError
from mlygeo.formats import exif, times
from mlygeo.formats.exif import CaptureTime, Tags, Value
from mlygeo.formats.xmp import Panorama, Statement
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import tzinfo

    from mlygeo.attribution import Rights
    from mlygeo.providers import Provider

Overwrite = Literal["all", "time", "gps", "direction", "orientation"]
"""Tags that are written beside the image description: see `description_tags`."""

_SENSOR_MM = 36.0
"""Larger side of the frame for 35 mm equivalents."""

_CREATIVE_COMMONS = re.compile(r"https?://(?:www\.)?creativecommons\.org/")

_EXIF_VERSION, _GPS_VERSION = b"0232", bytes((2, 3, 0, 0))

log = logging.getLogger("mlygeo.photos.tags")


def picture_tags(image: Mapping[str, Any], *, computed: bool = False, provider: Provider | None = None) -> Tags:
    """
    Return the tags that say in a picture what its provider says of it.

    There is never an orientation: pictures are delivered upright. Unknown values are not
    written; a heading of 0 is valid, a position of exactly (0, 0) is not.

    Parameters
    ----------
    image
        A row of an images frame (as `to_dict("records")` gives it), or a record of the provider.
    computed
        Use position and heading computed by 3D reconstruction, where they exist, and headings that the provider
        computed from the sequence, which are not written else. The `UserComment`
        says which of them were computed. The altitude is always the original one: the computed one
        counts from the ground of the reconstruction, not from the sea.
    provider
        The provider of the picture. A row's own `provider` counts before it; without either, a row whose `id` is a
        whole number is Mapillary's, and any other is of an unknown provider.

    Returns
    -------
    tags
        Position, altitude, heading, times, camera, creator and licence, and for a panorama the
        properties that make viewers open it as one. All that the provider says of the image, under
        its own names, is JSON for the `UserComment`. Of providers other than Mapillary, heading, creator and licence
        are for EXIF and XMP, and only where the picture has none; where the licence is unknown, none is claimed.

    Raises
    ------
    InputError
        If a value is invalid, such as a text that is not a time.

    Examples
    --------
    >>> insert(jpeg, picture_tags({"id": 1, "geometry": Point(9.17, 48.77), "captured_at": 1720488258913}))
    """
    who = _provider_of(image, provider)
    said: dict[str, Any] = {}
    if who is not None and who.records is not None:
        said = who.records.said_of(image)
        image = who.records.row_of(image)
    position, altitude, heading = rows.position(image), rows.altitude(image), rows.number(image, "compass_angle")
    taken = []
    if computed:
        if (found := rows.position(image, "computed_geometry")) is not None:
            position = found
            taken.append("position")
        if (found_heading := rows.number(image, "computed_compass_angle")) is not None:
            heading = found_heading
            taken.append("heading")
    if heading is not None and "heading" not in taken and rows.text_of(image, "compass_source") == "computed":
        # A heading in a file is taken as measured by everyone who reads it.
        heading = heading if computed else None
        taken += ["heading"] if computed else []
    is_pano = _is_panorama(image)
    rights = attribution.of_row(image) if who is None or who.pictures is None else who.pictures.rights(image)
    is_default = rights.provider == DEFAULT_PROVIDER
    # Others may say whole degrees of what the picture itself knows to a fraction.
    is_anothers = not is_default and rights.provider is not None
    time_us = rows.time_us(image)
    if time_us is not None and not is_anothers:  # the frames of Mapillary have milliseconds
        time_us -= time_us % 1000
    time = None if time_us is None else rows.utc_us(time_us)
    exif: dict[str, Value] = {
        **_place(position, altitude),
        **({} if is_anothers else _direction(heading)),
        **_times(time, position),
        **({} if is_pano else _focal_length(image)),
        **(_rights(rights) if is_default else {}),
    }
    camera: dict[str, Value] = {
        name: text
        for name, key in (("Make", "make"), ("Model", "model"))
        if (text := rows.text_of(image, key)) is not None
    }
    panorama = Panorama(None if heading is None else heading % 360) if is_pano else None
    if said and taken:
        said["computed"] = taken
    return Tags(
        exif=exif,
        absent={**camera, **_versions({**exif, **_direction(heading)})},
        panorama=panorama,
        measured=True,
        comment=said or None,
        statement=None if is_default else statement_of(rights),
        heading=heading % 360 if is_anothers and heading is not None else None,
    )


def description_tags(
    image: Mapping[str, Any],
    *,
    description: Mapping[str, Any] | None = None,
    overwrite: Collection[Overwrite] = (),
) -> Tags:
    """
    Return the image description as a tag, and other tags that must agree with it.

    Parameters
    ----------
    image
        A row of a frame of local photos: `geometry`, `captured_at`, and all other columns.
    description
        The image description to write; by default it is made from the row.
    overwrite
        Other tags to write too. "time": the capture time with its offset, by the camera's clock
        where that is right in some time zone, else in that of the place, and the GPS time; "gps":
        position and altitude; "direction": the heading; "orientation": the orientation in
        `exif_orientation`; "all": all of these.

    Returns
    -------
    tags
        For `insert` and `write_exif`.

    Raises
    ------
    InputError
        If `overwrite` has another name, or there is no description and none can be made.

    Examples
    --------
    >>> write_exif("DSC00001.JPG", description_tags(row, overwrite=("gps", "direction")))
    """
    kinds = {"time", "gps", "direction", "orientation"}
    asked = {str(kind) for kind in overwrite}
    if unknown := asked - kinds - {"all"}:
        raise InputError(f"there is nothing to overwrite called {', '.join(sorted(unknown))}")
    asked = kinds if "all" in asked else asked
    if description is None:
        description = providers.descriptions().full(image)
    try:
        text = json.dumps(description, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the image description cannot be written as JSON: {error}") from error
    exif: dict[str, Value] = {"ImageDescription": text}
    position = rows.position(image)
    captured = None
    if "time" in asked and (time_ms := rows.time_ms(image)) is not None and (time := rows.utc(time_ms)) is not None:
        captured = CaptureTime(time, None if position is None else local_time(time, position))
    if "gps" in asked:
        exif |= _place(position, rows.altitude(image))
    if "direction" in asked:
        exif |= _direction(rows.number(image, "compass_angle"))
    if "orientation" in asked and (orientation := rows.number(image, "exif_orientation")) in range(1, 9):
        exif["Orientation"] = int(orientation)  # type: ignore[arg-type]
    return Tags(exif=exif, absent=_versions(exif, captured), captured=captured)


def _versions(exif: Mapping[str, Value], captured: CaptureTime | None = None) -> dict[str, Value]:
    found: dict[str, Value] = {"ExifVersion": _EXIF_VERSION}
    if captured is not None or any(name.startswith("GPS") for name in exif):
        found["GPSVersionID"] = _GPS_VERSION
    return found


def _place(position: tuple[float, float] | None, altitude: float | None) -> dict[str, Value]:
    return {
        **({} if position is None else exif.position_tags(*position)),
        **({} if altitude is None else exif.altitude_tags(altitude)),
    }


def _direction(heading: float | None) -> dict[str, Value]:
    return {} if heading is None else exif.heading_tags(heading)


def _times(time: datetime | None, position: tuple[float, float] | None) -> dict[str, Value]:
    return {} if time is None else exif.time_tags(time, local_time(time, position))


def _focal_length(image: Mapping[str, Any]) -> dict[str, Value]:
    """
    Return the focal length for a frame 36 mm long.

    The focal length in `camera_parameters` is a fraction of the larger side of the picture; the lens's focal
    length in millimetres is unknown. The resolution in the focal plane, from the size of the picture, belongs
    to the same frame, so that programs can compute the focal length in pixels.
    """
    parameters = image.get("camera_parameters")
    if isinstance(parameters, str):
        try:
            parameters = json.loads(parameters)
        except ValueError:
            return {}
    if not isinstance(parameters, list | tuple | np.ndarray) or not len(parameters) or not rows.known(parameters[0]):
        return {}
    millimetres = rows.real(parameters[0], "camera_parameters") * _SENSOR_MM
    if not 0.5 <= millimetres < 65_535:
        return {}
    return {
        "FocalLength": ((round(millimetres * 10_000), 10_000),),
        "FocalLengthIn35mmFormat": round(millimetres),
        "FocalPlaneResolutionUnit": 3,  # centimetres
    }


def _provider_of(image: Mapping[str, Any], provider: Provider | None) -> Provider | None:
    """Return the provider of a row or record; None where it is unknown, or not known here."""
    name = attribution.of_row(image, None if provider is None else provider.name).provider
    if provider is not None and provider.name == name:
        return provider
    return providers.provider(name) if name in providers.names() else None


def _rights(rights: Rights) -> dict[str, Value]:
    known = {"Artist": rights.creator, "Copyright": rights.line}
    return {name: value for name, value in known.items() if value is not None}


def statement_of(rights: Rights) -> Statement | None:
    """Return what a picture is to say of its owner and licence; None where nothing is known."""
    if rights.creator is None and rights.terms is None:
        return None
    own = rights.licence_url or ""
    # A row may have the licence's address elsewhere, such as at spdx.org.
    known = [own, attribution.link_of(rights.licence) or ""]
    return Statement(
        creator=rights.creator,
        rights=None if rights.terms is None else rights.line,
        terms=rights.terms,
        url=own if own.startswith(("https://", "http://")) else None,
        cc=next((url for url in known if _CREATIVE_COMMONS.match(url)), None),
    )


def _is_panorama(image: Mapping[str, Any]) -> bool:
    flag = image.get("is_pano")
    return bool(flag) if rows.known(flag) else rows.text_of(image, "camera_type") in {"equirectangular", "spherical"}


def local_time(time: datetime, position: tuple[float, float] | None) -> datetime:
    """
    Return a time in the local time of a place.

    Parameters
    ----------
    time
        The time, with a time zone.
    position
        Longitude and latitude, degrees; None when unknown.

    Returns
    -------
    time
        The same moment, with the offset valid there and then; UTC if the place is unknown, or
        if the offset was not a whole number of minutes, which EXIF cannot store.
    """
    if position is None:
        return time
    try:
        there = time.astimezone(_zone(times.zone_name(*position)))
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
