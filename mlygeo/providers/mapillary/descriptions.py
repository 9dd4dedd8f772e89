"""
Image description files -> images frame: `mapillary_image_description.json`, as mapillary_tools and `process` write it.

A list of objects: images with their MAP… fields, videos with their track, and what failed, with
the reason.
"""

from __future__ import annotations

import json
import logging
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError
from mlygeo.formats.jpeg import read_head
from mlygeo.formats.tiff import Fields
from mlygeo.readers import photo
from mlygeo.readers.cameras import CAMERAS

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy.typing as npt

log = logging.getLogger("mlygeo.providers.mapillary.descriptions")

FILE = "mapillary_image_description.json"
"""Name of the file in a folder of photos."""

DUPLICATE = "MapillaryDuplicationError"
"""The type of error under which mapillary_tools notes duplicates."""

VIDEO_TYPES = ("video", *(name for camera in CAMERAS.values() for name in camera.older_names))

TEXT_COLUMNS = {
    "sequence_id": "MAPSequenceUUID",
    "photo_uuid": "MAPPhotoUUID",
    "make": "MAPDeviceMake",
    "model": "MAPDeviceModel",
    "camera_uuid": "MAPCameraUUID",
    "filename": "MAPFilename",
    "organization_key": "MAPOrganizationKey",
    "user_key": "MAPSettingsUserKey",
    "user_name": "MAPSettingsUsername",
}
PERSONAL_COLUMNS = ("photo_uuid", "organization_key", "private", "user_key", "user_name")
"""
Columns of what says whose an image is. mapillary_tools 0.14 has no fields for them, and refuses a file
that does: files that are written for it lack them, and what they would say has to be found elsewhere.
"""

NUMBER_COLUMNS = {"altitude": "MAPAltitude", "gps_accuracy_m": "MAPGPSAccuracyMeters"}

KNOWN = frozenset(
    {
        *TEXT_COLUMNS.values(), *NUMBER_COLUMNS.values(), "MAPLatitude", "MAPLongitude", "MAPCaptureTime",
        "MAPCompassHeading", "MAPOrientation", "MAPMetaTags", "MAPPrivate", "MAPGPSTrack", "filename", "filetype",
        "filesize", "md5sum", "error",
    }
)  # fmt: skip

LONGEST_FILE = 4 << 30


def read_descriptions(path: str | os.PathLike[str]) -> gpd.GeoDataFrame:
    """
    Read an image description file into an images frame.

    An entry that lacks what it must have becomes a row with `error`; so do the entries that say
    themselves that something failed. The files that the entries name are not opened. One that is
    not where its entry says, but lies under the description file's folder at the end of the same
    path, is taken from there: folders are moved.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    images
        Images frame of local files (`frames.LOCAL_IMAGES`), EPSG:4326, a row for each entry, in
        their order. More columns: `filetype` ("image", "video", "gopro", "blackvue", "camm"),
        `md5sum`, `error_type`, `is_duplicate` (bool), `filename`, `photo_uuid`, `gps_accuracy_m`,
        `meta_tags` (JSON), `organization_key`, `private` (boolean), `user_key`, `user_name`, and
        `track` (JSON), the positions of a video: [ms since its start, longitude, latitude,
        altitude, heading, GPS epoch in s], of which the geometry is the first.

    Raises
    ------
    FileError
        If the file does not exist or cannot be read.
    FormatError
        If it is not what its name says.

    Examples
    --------
    >>> read_descriptions("photos/mapillary_image_description.json")[["path", "captured_at", "error"]]
    """
    path = Path(path).expanduser()
    entries = _entries(path)
    images = described_images(entries, path.parent)
    unknown = sorted({key for entry in entries for key in entry if key.startswith("MAP")} - KNOWN)
    if unknown:
        log.warning("%s: fields left alone: %s", path.name, ", ".join(unknown)[:200])
    log.info(
        "%s: %d entries, %d of videos, %d that failed", path.name, len(images),
        int(images["filetype"].isin(VIDEO_TYPES).sum()), int(images["error"].notna().sum()),
    )  # fmt: skip
    return images


def description_in(file: BinaryIO) -> dict[str, Any] | None:
    """
    Return the image description in the EXIF of one JPEG; None where there is none.

    Parameters
    ----------
    file
        The picture, open for reading at its start; it can be part of an archive.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    head = read_head(file)
    if head.exif is None:
        return None
    try:
        tags = Fields(head.exif)
        text = photo.image_description(tags.text(tags.picture.get("ImageDescription")))
    except (struct.error, ArithmeticError, LookupError, ValueError):
        return None  # tags that no program understands
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise FormatError(f"{path} is too long for an image description file")
        entries = json.loads(path.read_bytes())
    except OSError as error:
        if isinstance(error, FormatError):
            raise
        raise FileError(f"{path}: {error.strerror or error}", hint="'mlygeo process' makes one") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is no image description file: {str(error)[:100] or 'broken JSON'}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FormatError(f"{path} is no image description file: it is not a list of objects")
    return entries


def described_images(entries: list[dict[str, Any]], folder: Path) -> gpd.GeoDataFrame:
    """
    Return entries of an image description file as the frame that `read_descriptions` describes.

    Parameters
    ----------
    entries
        The entries: such as the description in an image's EXIF, with its `filename`.
    folder
        The folder that their relative paths are meant from.
    """
    import geopandas as gpd
    import pandas as pd
    from geopandas.array import GeometryArray

    kinds = [entry.get("filetype") if entry.get("filetype") in VIDEO_TYPES else "image" for entry in entries]
    paths = _paths(entries, folder)
    tracks = [entry.get("MAPGPSTrack") if isinstance(entry.get("MAPGPSTrack"), list) else None for entry in entries]
    starts = [_start(track) for track in tracks]
    lon = _numbers(
        start[0] if start else entry.get("MAPLongitude") for entry, start in zip(entries, starts, strict=True)
    )
    lat = _numbers(
        start[1] if start else entry.get("MAPLatitude") for entry, start in zip(entries, starts, strict=True)
    )
    placed = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    points = np.full(len(entries), None, dtype=object)
    points[placed] = frames.points(lon[placed], lat[placed])
    times = pd.to_datetime(
        pd.Series([_text(entry.get("MAPCaptureTime")) for entry in entries], dtype="str"),
        format="%Y_%m_%d_%H_%M_%S_%f", utc=True, errors="coerce",
    ).astype("datetime64[ms, UTC]")  # fmt: skip
    errors, types = _errors(entries, kinds, placed=placed, timed=times.notna().to_numpy(), paths=paths)
    columns: dict[str, Any] = {
        "path": _texts(paths),
        "folder": _texts([None if each is None else os.path.dirname(each) for each in paths]),  # noqa: PTH120
        "captured_at": times,
        "compass_angle": _headings(entries),
        "is_pano": np.zeros(len(entries), dtype=bool),
        "error": _texts(errors),
        "error_type": _texts(types),
        "is_duplicate": np.array([kind == DUPLICATE for kind in types], dtype=bool),
        "filetype": _texts(kinds),
        "md5sum": _texts([_text(entry.get("md5sum")) for entry in entries]),
        "filesize": _whole([entry.get("filesize") for entry in entries]),
        "exif_orientation": _whole([entry.get("MAPOrientation") for entry in entries]),
        "meta_tags": _texts([_json(entry.get("MAPMetaTags")) for entry in entries]),
        "private": pd.array(
            [value if isinstance(value := entry.get("MAPPrivate"), bool) else None for entry in entries],
            dtype="boolean",
        ),
        "track": _texts([_json(track) for track in tracks]),
    }
    columns |= {name: _texts([_text(entry.get(key)) for entry in entries]) for name, key in TEXT_COLUMNS.items()}
    columns |= {name: _numbers(entry.get(key) for entry in entries) for name, key in NUMBER_COLUMNS.items()}
    return frames.conform(
        gpd.GeoDataFrame(columns, geometry=GeometryArray(points, crs=frames.CRS)), frames.LOCAL_IMAGES
    )


def _errors(
    entries: list[dict[str, Any]],
    kinds: list[Any],
    *,
    placed: npt.NDArray[np.bool_],
    timed: npt.NDArray[np.bool_],
    paths: list[str | None],
) -> tuple[list[str | None], list[str | None]]:
    """Return why each entry cannot be used, and the type of error that it names."""
    errors: list[str | None] = []
    types: list[str | None] = []
    for entry, kind, has_place, has_time, path in zip(entries, kinds, placed, timed, paths, strict=True):
        told = entry.get("error")
        if told is not None:
            told = told if isinstance(told, dict) else {}
            errors.append(_text(told.get("message")) or _text(told.get("type")) or "it failed, and nothing says why")
            types.append(_text(told.get("type")))
            continue
        types.append(None)
        lacks = ["a file name"] * (path is None)
        if kind in VIDEO_TYPES:
            lacks += ["a track (MAPGPSTrack)"] * (not isinstance(entry.get("MAPGPSTrack"), list))
        else:
            lacks += ["a position (MAPLatitude, MAPLongitude)"] * (not has_place)
            lacks += ["a time (MAPCaptureTime)"] * (not has_time)
        errors.append(f"its description lacks {', '.join(lacks)}" if lacks else None)
    return errors, types


def _paths(entries: list[dict[str, Any]], folder: Path) -> list[str | None]:
    paths: list[str | None] = []
    base = os.path.abspath(folder)  # noqa: PTH100 - many paths
    for entry in entries:
        name = _text(entry.get("filename"))
        if name is None or "\0" in name:
            paths.append(None)
            continue
        path = os.path.normpath(os.path.join(base, name))  # noqa: PTH118
        paths.append(path if os.path.lexists(path) else find_moved(name, base) or path)
    return paths


def find_moved(name: str, base: str) -> str | None:
    """
    Return the file under a folder whose path ends as this one does; None where there is none.

    Parameters
    ----------
    name
        Where the file was.
    base
        The folder that may hold it now.
    """
    parts = name.replace("\\", "/").split("/")
    for number in range(1, len(parts)):
        path = os.path.join(base, *parts[number:])  # noqa: PTH118
        if ".." not in parts[number:] and os.path.lexists(path):
            return os.path.normpath(path)
    return None


def _start(track: list[Any] | None) -> tuple[Any, Any] | None:
    first = track[0] if track else None
    return (first[1], first[2]) if isinstance(first, list) and len(first) >= 3 else None


def _headings(entries: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    headings = [entry.get("MAPCompassHeading") for entry in entries]
    return _numbers(
        heading.get("TrueHeading", heading.get("MagneticHeading")) if isinstance(heading, dict) else None
        for heading in headings
    )


def _numbers(values: Any) -> npt.NDArray[np.float64]:
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return np.nan
    return float(value) if abs(value) < 1e300 else np.nan


def _whole(values: list[Any]) -> Any:
    import pandas as pd

    kept = [
        int(value) if not isinstance(value, bool) and isinstance(value, int | float) and abs(value) < 2**53 else None
        for value in values
    ]
    return pd.array(kept, dtype="Int64")


def _texts(values: list[Any]) -> Any:
    import pandas as pd

    return pd.Series(values, dtype="str")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list | bool):
        return None
    text = str(value).encode("utf-8", "replace").decode()
    return text or None


def _json(value: Any) -> str | None:
    return json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list) else None
