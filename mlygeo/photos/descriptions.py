"""
Images frame -> image descriptions: for the tag in each image, and for the file beside them.

Positions have seven decimals (a centimetre), altitudes and headings three, as mapillary_tools
writes them.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import frames, store
from mlygeo.errors import InputError
from mlygeo.photos import tags as values
from mlygeo.photos.tags import DESCRIPTION_COLUMNS, image_description
from mlygeo.providers.mapillary.descriptions import DUPLICATE, FILE, VIDEO_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd
    import pandas as pd

log = logging.getLogger("mlygeo.photos.descriptions")

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

COLUMNS = frozenset(
    {
        "path", "filetype", "error", "error_type", "is_duplicate", "duplicate_of", "geometry", "lon", "lat",
        "captured_at", "compass_angle", "filesize", "md5sum", "track", *DESCRIPTION_COLUMNS,
    }
)  # fmt: skip
"""Columns of a frame that entries are made of."""


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
    described = _rounded(image_description(image))
    described.pop("MAPSequenceUUID", None)
    return described


def write_descriptions(images: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> Path:
    """
    Write an image description file, which `mapillary_tools upload` and `mlygeo upload` read.

    Organization, privacy, user and photo UUID are not in it: mapillary_tools refuses a file that
    holds them.

    Parameters
    ----------
    images
        Images frame of local files: rows with `error` and duplicates (`is_duplicate`) are written
        as what failed; videos as `read_descriptions` returns them.
    path
        The file, or the folder that it shall stand in.

    Returns
    -------
    path
        The file.

    Raises
    ------
    FileError
        If it cannot be written.

    Examples
    --------
    >>> write_descriptions(images, "photos")
    """
    path = Path(path).expanduser()
    path = path / FILE if path.is_dir() else path
    # Columns that say nothing, and those that no entry has, only cost time; and an indented text costs ten times more.
    said = [name for name in images.columns if name in COLUMNS - {"geometry"} and images[name].notna().any()]
    records: list[Any] = _plain_numbers(images, said).to_dict("records")
    entries = [_entry(image) for image in records]
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, sort_keys=True) for entry in entries)
    written = store.write_text(f"[\n{lines}\n]\n", path)
    failed = sum("error" in entry for entry in entries)
    log.info("%s: %d entries, %d of them failed", path.name, len(entries), failed)
    return written


def _plain_numbers(images: gpd.GeoDataFrame, columns: list[str]) -> pd.DataFrame:
    """Return columns of a frame with longitudes, latitudes and milliseconds for points and times."""
    import pandas as pd

    lon, lat = frames.lonlat(images)
    table = pd.DataFrame({name: images[name] for name in columns}).assign(lon=lon, lat=lat)
    if "captured_at" in columns and isinstance(images["captured_at"].dtype, pd.DatetimeTZDtype):
        times = images["captured_at"].dt.as_unit("ms")
        table["captured_at"] = times.astype("int64").astype("Int64").mask(times.isna())
    return table


def _entry(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of one row."""
    kind = values.text_of(image, "filetype") or "image"
    entry: dict[str, Any] = {"filename": os.path.abspath(str(image.get("path"))), "filetype": kind}  # noqa: PTH100
    reason, kind_of_error = values.text_of(image, "error"), values.text_of(image, "error_type")
    duplicate = image.get("is_duplicate")
    if reason is None and values.known(duplicate) and bool(duplicate):
        of = values.text_of(image, "duplicate_of")
        reason, kind_of_error = f"it is a duplicate{f' of {of}' if of else ''}", DUPLICATE
    if reason is None:
        try:
            described = _of_video(image) if kind in VIDEO_TYPES else _rounded(image_description(image))
        except InputError as error:
            reason = str(error)
    if reason is not None:
        return {**entry, "error": {"type": kind_of_error or "MapillaryDescriptionError", "message": reason}}
    entry |= {key: value for key, value in described.items() if key in IN_FILE or key == "MAPGPSTrack"}
    size, md5 = values.number(image, "filesize"), values.text_of(image, "md5sum")
    return {**entry, "filesize": None if size is None else int(size), "md5sum": md5}


def _of_video(image: Mapping[str, Any]) -> dict[str, Any]:
    track = image.get("track")
    if not values.known(track):
        raise InputError("a video needs a track")
    described: dict[str, Any] = {"MAPGPSTrack": values.plain(track)}
    for column, name in (("make", "MAPDeviceMake"), ("model", "MAPDeviceModel"), ("camera_uuid", "MAPCameraUUID")):
        if (text := values.text_of(image, column)) is not None:
            described[name] = text
    return described


def _rounded(described: dict[str, Any]) -> dict[str, Any]:
    rounded = dict(described)
    for name in ("MAPLatitude", "MAPLongitude"):
        rounded[name] = round(rounded[name], PLACES)
    if "MAPAltitude" in rounded:
        rounded["MAPAltitude"] = round(rounded["MAPAltitude"], FINE)
    if "MAPCompassHeading" in rounded:
        rounded["MAPCompassHeading"] = {
            name: round(angle, FINE) % 360 for name, angle in rounded["MAPCompassHeading"].items()
        }
    return rounded
