"""
What Mapillary is told of images: one image as an object, and the images of a frame as lines of JSON.

Positions that are written have seven decimals (a centimetre), altitudes and headings three, as mapillary_tools
writes them.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import rows
from mlygeo.errors import InputError
from mlygeo.formats import positions
from mlygeo.formats.exif import signed_altitude

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

    from mlygeo.arrays import Flags

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

PLACES, FINE = 7, 3
"""Decimals of positions, and of altitudes and headings."""

IN_FILE = frozenset(
    {
        "MAPLatitude", "MAPLongitude", "MAPAltitude", "MAPCaptureTime", "MAPCompassHeading", "MAPSequenceUUID",
        "MAPMetaTags", "MAPDeviceMake", "MAPDeviceModel", "MAPGPSAccuracyMeters", "MAPCameraUUID", "MAPFilename",
        "MAPOrientation",
    }
)  # fmt: skip
"""
Fields of the file: those that mapillary_tools 0.14 takes; it refuses a file with others.

What else is known of an image, whose it is above all, is in the record of `process` and in the description
inside the image; `mlygeo upload` and `mlygeo zip` join them.
"""

OWNER = frozenset({"MAPOrganizationKey", "MAPSettingsUserKey", "MAPSettingsUsername"})
"""Fields of whose an image is, beside MAPPrivate."""

_TYPES = {
    **dict.fromkeys(("path", "sequence_id", "make", "model", "camera_uuid", "filename", "meta_tags", "md5sum"), "str"),
    **dict.fromkeys(("altitude", "compass_angle", "gps_accuracy_m"), "float64"),
    **dict.fromkeys(("captured_at", "exif_orientation", "filesize"), "Int64"),
    "is_duplicate": "bool",
}
"""The dtypes of columns that are written as a whole; rows of frames with others are written one by one."""

_YEARS_MS = (-62_135_596_800_000, 253_402_300_799_999)
"""The first and the last millisecond of the years 1 to 9999, in milliseconds since 1970."""

_SEPARATORS = str.maketrans("-T:.", "____")

as_json: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode
"""Return a value as JSON, as it stands in an image description file."""


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
    described = _place_and_time(image)
    missing = [
        name for name, key in (("position", "MAPLatitude"), ("capture time", "MAPCaptureTime")) if key not in described
    ]
    if missing:
        raise InputError(f"an image description needs a position and a time; unknown: {', '.join(missing)}")
    return described | _further(image)


def known_of(image: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what is known of an image, as `image_description`, also where position or time is not.

    Parameters
    ----------
    image
        A row of a frame of local photos.

    Raises
    ------
    InputError
        If a value cannot be read.
    """
    return _place_and_time(image) | _further(image)


def _place_and_time(image: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {}
    position, time_ms = rows.position(image), rows.time_ms(image)
    if position is not None:
        described |= {"MAPLatitude": position[1], "MAPLongitude": position[0]}
    if time_ms is not None and (time := rows.utc(time_ms)) is not None:
        described["MAPCaptureTime"] = f"{time:%Y_%m_%d_%H_%M_%S}_{time.microsecond // 1000:03}".rjust(23, "0")
    return described


def _further(image: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if (heading := rows.number(image, "compass_angle")) is not None:
        described["MAPCompassHeading"] = {"TrueHeading": heading % 360, "MagneticHeading": heading % 360}
    for column, name in DESCRIPTION_COLUMNS.items():
        if (value := image.get(column)) is None or not rows.known(value):
            continue
        said = rows.altitude(image) if column == "altitude" else rows.plain(value)
        if said is not None and not (isinstance(said, float) and math.isinf(said)):  # JSON has no infinity
            described[name] = said
    return described


def description_of(image: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the image description that goes into an image.

    The sequence is not part of it: which images form one is said by the upload.

    Parameters
    ----------
    image
        A row of a frame of local images.

    Raises
    ------
    InputError
        If position or time is unknown.

    Examples
    --------
    >>> description_of({"geometry": Point(9.17, 48.77), "captured_at": 1720488258913})["MAPLatitude"]
    48.77
    """
    described = rounded(image_description(image))
    described.pop("MAPSequenceUUID", None)
    return described


def parted(description: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """
    Return the part of a description that mapillary_tools 0.14 takes, and the owner, for which it has no fields.

    Parameters
    ----------
    description
        As `description_of` returns it. That of a private image stays whole: nothing else says that it is private.
    """
    if description.get("MAPPrivate"):
        return dict(description), {}
    owner = {name: value for name, value in description.items() if name in OWNER}
    return {name: value for name, value in description.items() if name in IN_FILE}, owner


def rounded(described: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return a description with the decimals that are written.

    Parameters
    ----------
    described
        From `image_description` or `known_of`.
    """
    fewer = dict(described)
    for name, digits in (("MAPLatitude", PLACES), ("MAPLongitude", PLACES), ("MAPAltitude", FINE)):
        if name in fewer:
            fewer[name] = round(fewer[name], digits)
    if "MAPCompassHeading" in fewer:
        fewer["MAPCompassHeading"] = {
            name: round(angle, FINE) % 360 for name, angle in fewer["MAPCompassHeading"].items()
        }
    return fewer


def ready_lines(table: pd.DataFrame) -> tuple[Flags, list[str]]:
    """
    Return the entries of images that are ready for upload as JSON, made column by column.

    They are what `as_json` makes of the entry of each row, in a tenth of the time.

    Parameters
    ----------
    table
        The columns of an images frame that an entry is made of, with `lon` and `lat` (degrees, NaN where there is
        no position) in place of points and `captured_at` in milliseconds since 1970 (Int64) in place of times.

    Returns
    -------
    ready
        Which rows these are, shape (n,), bool: images with position and time, no duplicates, without an error. None
        is where a column has an unusual dtype.
    lines
        An entry of each of them.
    """
    ready = _are_ready(table)
    if not ready.any():
        return ready, []
    table = table[ready]
    size = _numbers(table, "filesize", lambda size: str(int(size)), missing="null")
    md5 = _texts(table, "md5sum", lambda text: as_json(rows.text_of({"md5sum": text}, "md5sum")), missing="null")
    paths = [as_json(os.path.abspath(path)) for path in table["path"].tolist()]  # noqa: PTH100 - many paths
    said = {
        "MAPLatitude": [repr(round(lat, PLACES)) for lat in table["lat"].tolist()],
        "MAPLongitude": [repr(round(lon, PLACES)) for lon in table["lon"].tolist()],
        "MAPCaptureTime": _times(table),
        "MAPCompassHeading": _numbers(table, "compass_angle", _heading),
        "MAPAltitude": _numbers(table, "altitude", lambda height: repr(round(signed_altitude(height), FINE))),
        "MAPGPSAccuracyMeters": _numbers(table, "gps_accuracy_m", repr),
        "MAPOrientation": _numbers(table, "exif_orientation", lambda number: str(int(number))),
    }
    for column, name in DESCRIPTION_COLUMNS.items():
        if name in IN_FILE and name not in said and column in table:
            said[name] = _texts(table, column, lambda text: as_json(rows.plain(text)))
    fields = [[text and f'"{name}": {text}, ' for text in said[name]] for name in sorted(said)]
    files = [
        f'"filename": {path}, "filesize": {bytes_}, "filetype": "image", "md5sum": {digest}}}'
        for path, bytes_, digest in zip(paths, size, md5, strict=True)
    ]
    return ready, ["{" + "".join(entry) for entry in zip(*fields, files, strict=True)]


def _heading(angle: float) -> str:
    shown = repr(round(angle % 360, FINE) % 360)
    return f'{{"MagneticHeading": {shown}, "TrueHeading": {shown}}}'


def _are_ready(table: pd.DataFrame) -> Flags:
    """Return which rows `ready_lines` writes."""
    nowhere = np.zeros(len(table), dtype=bool)
    needed = {"path", "captured_at"} <= set(table.columns)
    if not needed or any(str(table[name].dtype) != dtype for name, dtype in _TYPES.items() if name in table):
        return nowhere
    ready, _ = positions.possible(table["lon"].to_numpy(), table["lat"].to_numpy())
    ready &= table["path"].notna().to_numpy()
    ready &= table["captured_at"].between(*_YEARS_MS).fillna(value=False).to_numpy(dtype=bool)
    if "error" in table:
        ready &= table["error"].isna().to_numpy()
    if "is_duplicate" in table:
        ready &= ~table["is_duplicate"].to_numpy()
    if "filetype" in table:
        ready &= (table["filetype"].isna() | table["filetype"].eq("image").fillna(value=False)).to_numpy(dtype=bool)
    return ready


def _times(table: pd.DataFrame) -> list[str]:
    times = table["captured_at"].to_numpy(dtype=np.int64).view("datetime64[ms]")
    return [f'"{text.translate(_SEPARATORS)}"' for text in np.datetime_as_string(times).tolist()]


def _numbers(table: pd.DataFrame, name: str, said: Callable[[float], str], *, missing: str = "") -> list[str]:
    """Return numbers as JSON; `missing` where they are unknown or not finite."""
    if name not in table:
        return [missing] * len(table)
    values = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return [said(value) if math.isfinite(value) else missing for value in values.tolist()]


def _texts(table: pd.DataFrame, name: str, said: Callable[[str], str], *, missing: str = "") -> list[str]:
    """Return texts as JSON, each different one made once; `missing` where there is none."""
    if name not in table:
        return [missing] * len(table)
    values = table[name].astype(object).where(table[name].notna(), None).tolist()
    known = {value: missing if value is None else said(value) for value in dict.fromkeys(values)}
    return [known[value] for value in values]
