"""
Image descriptions: Mapillary's metadata in an image, and in the file `mapillary_image_description.json` beside it.

The file is a list of objects, as mapillary_tools writes it too: images with their MAP… fields, videos
with their track, and what failed, with the reason.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mlygeo import frames, places, rows, store
from mlygeo.degrees import turn
from mlygeo.errors import FileError, FormatError, InputError, unreadable
from mlygeo.formats import exif
from mlygeo.formats.jpeg import read_head
from mlygeo.formats.tiff import Fields
from mlygeo.providers.mapillary.image_descriptions import (
    DESCRIPTION_COLUMNS,
    FINE,
    IN_FILE,
    as_json,
    image_description,
    known_of,
    ready_lines,
    rounded,
)
from mlygeo.readers.cameras import CAMERAS
from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    from collections.abc import Mapping

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Floats

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
Columns with the owner of an image. mapillary_tools 0.14 has no fields for them, and refuses a file with
such fields: files that are written for it lack them, and these values have to come from other sources.
"""

NUMBER_COLUMNS = {"altitude": "MAPAltitude", "gps_accuracy_m": "MAPGPSAccuracyMeters"}

KNOWN = frozenset(
    {
        *TEXT_COLUMNS.values(), *NUMBER_COLUMNS.values(), "MAPLatitude", "MAPLongitude", "MAPCaptureTime",
        "MAPCompassHeading", "MAPOrientation", "MAPMetaTags", "MAPPrivate", "MAPGPSTrack", "filename", "filetype",
        "filesize", "md5sum", "error",
    }
)  # fmt: skip

ERROR_TYPES = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"captured .* (?:before the track starts|after the track ends)", "MapillaryOutsideGPXTrackError"),
        (r"nothing on it in the XML of ExifTool", "MapillaryExifToolXMLNotFoundError"),
        (r"ExifTool is not installed", "MapillaryExiftoolNotFoundError"),
        (r"is \(0, 0\)", "MapillaryNullIslandError"),
        (r"^no (?:position|capture time)|captured in a gap", "MapillaryGeoTaggingError"),
    )
)
"""Our errors -> their types in mapillary_tools (exceptions.py); others are of MapillaryDescriptionError."""

COLUMNS = frozenset(
    {
        "path", "filetype", "error", "error_type", "is_duplicate", "duplicate_of", "geometry", "lon", "lat",
        "captured_at", "compass_angle", "filesize", "md5sum", "track", *DESCRIPTION_COLUMNS,
    }
)  # fmt: skip
"""Columns of a frame that entries are made of."""

LONGEST_FILE = 4 << 30


def read_descriptions(path: str | os.PathLike[str]) -> gpd.GeoDataFrame:
    """
    Read an image description file into an images frame.

    An entry without a required field becomes a row with `error`, and so does an entry that describes a failure. The
    files of the entries are not opened. If a file is not at its path, but the end of the path exists in the folder of
    the description file, that file is used: the folder may have been moved.

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


def write_descriptions(images: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> Path:
    """
    Write an image description file, which `mapillary_tools upload` and `mlygeo upload` read.

    It does not contain organization, privacy, user and photo UUID, because mapillary_tools does not accept a file
    with these fields.

    Parameters
    ----------
    images
        Images frame of local files: rows with `error` and duplicates (`is_duplicate`) are written
        as what failed; videos as `read_descriptions` returns them.
    path
        The file, or the folder for it.

    Returns
    -------
    path
        The file.

    Raises
    ------
    FileError
        If it cannot be written, or the path is a file of another kind; see `is_description_file`.

    Examples
    --------
    >>> write_descriptions(images, "photos")
    """
    path = Path(path).expanduser()
    path = path / FILE if path.is_dir() else path
    if path.is_file() and not is_description_file(path):
        raise FileError(f"{path} is there, and is not an image description file", hint="name another file, or a folder")
    lines, failed = _lines_of(images)
    written = store.write_text(_text_of(lines), path)
    log.info("%s: %d entries, %d of them failed", path.name, len(lines), failed)
    return written


def is_description_file(path: Path) -> bool:
    """
    Return whether a file may be replaced by descriptions: it has nothing else, as mlygeo or mapillary_tools write it.

    Each entry names its file, and has a field of Mapillary or the reason why it failed. An empty file is one, too.

    Parameters
    ----------
    path
        The file. It is read as a whole: other JSON begins like descriptions.

    Raises
    ------
    FileError
        If it cannot be read.
    """
    try:
        if not path.is_file():
            return False
        at = path.stat()
        return _has_descriptions(_Seen(path, at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns))
    except OSError as error:
        raise FileError(unreadable(path, error)) from error


class _Seen(NamedTuple):
    """A file at a moment: what tells it from another one at its path."""

    path: Path
    device: int
    number: int
    size: int
    modified_ns: int
    changed_ns: int


@functools.lru_cache(maxsize=16)
def _has_descriptions(file: _Seen) -> bool:
    """Return whether a file has descriptions; a run asks before it begins, and again before it replaces the file."""
    with file.path.open("rb") as content:
        begin = content.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()  # a video, say, is not read to its end
    if not begin:
        return file.size <= 64
    try:
        return begin.startswith(b"[") and all(_is_described(entry) for entry in _entries(file.path))
    except FormatError:
        return False


def _is_described(entry: dict[str, Any]) -> bool:
    about = (
        "MAPLatitude" in entry or isinstance(entry.get("error"), dict) or any(key.startswith("MAP") for key in entry)
    )
    return about and isinstance(_name(entry), str)


def _name(entry: dict[str, Any]) -> Any:
    return entry.get("filename", entry.get("_filename"))  # the latter before mapillary_tools 0.9


def descriptions_text(images: gpd.GeoDataFrame) -> str:
    """
    Return an image description file as text.

    Parameters
    ----------
    images
        As `write_descriptions` takes them.
    """
    lines, _ = _lines_of(images)
    return _text_of(lines)


def _lines_of(images: gpd.GeoDataFrame) -> tuple[list[str], int]:
    """Return the entries of a frame as JSON, and how many of them failed."""
    # Empty columns, and those that no entry has, only take time; and an indented text takes ten times longer.
    said = [name for name in images.columns if name in COLUMNS - {"geometry"} and images[name].notna().any()]
    table = _plain_numbers(images, said)
    ready, entries = ready_lines(table)
    rest: list[Any] = table[~ready].to_dict("records")
    others = [_entry(image) for image in rest]
    lines = np.empty(len(table), dtype=object)
    lines[ready] = entries
    lines[~ready] = [as_json(entry) for entry in others]
    return lines.tolist(), sum("error" in entry for entry in others)


def _text_of(lines: list[str]) -> str:
    return "[\n" + ",\n".join(lines) + "\n]\n"


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
        text = tags.text(tags.picture.get("ImageDescription"))
    except (struct.error, ArithmeticError, LookupError, ValueError):
        return None  # tags that cannot be decoded
    return exif.image_description(text)


def _plain_numbers(images: gpd.GeoDataFrame, columns: list[str]) -> pd.DataFrame:
    """Return columns of a frame with longitudes, latitudes and milliseconds for points and times."""
    import pandas as pd

    lon, lat = frames.lonlat(images)
    table = pd.DataFrame({name: images[name] for name in columns}).assign(lon=lon, lat=lat)
    if "duplicate_of" in columns:
        place = pd.Index(images["path"]).get_indexer(pd.Index(images["duplicate_of"].fillna("")))
        kept = place >= 0
        there = place[kept]
        far = np.full(len(images), np.nan)
        far[kept] = geodesy.distance(lon[kept], lat[kept], lon[there], lat[there])
        heading = images["compass_angle"].to_numpy(dtype=np.float64)
        turned = np.full(len(images), np.nan)
        with np.errstate(invalid="ignore"):  # infinite ones
            turned[kept] = turn(heading[kept], heading[there])
        table = table.assign(duplicate_distance_m=far, duplicate_angle=turned)
    if "captured_at" in columns and isinstance(images["captured_at"].dtype, pd.DatetimeTZDtype):
        times = images["captured_at"].dt.as_unit("ms")
        table["captured_at"] = times.astype("int64").astype("Int64").mask(times.isna())
    return table


def _entry(image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of one row."""
    kind = rows.text_of(image, "filetype") or "image"
    entry: dict[str, Any] = {"filename": os.path.abspath(str(image.get("path"))), "filetype": kind}  # noqa: PTH100
    reason, kind_of_error = rows.text_of(image, "error"), rows.text_of(image, "error_type")
    duplicate = image.get("is_duplicate")
    more: dict[str, Any] = {}
    if reason is None and rows.known(duplicate) and bool(duplicate):
        of = rows.text_of(image, "duplicate_of")
        reason, kind_of_error = f"it is a duplicate{f' of {of}' if of else ''}", DUPLICATE
        more = _of_duplicate(image, of)
    if reason is None:
        try:
            described = _of_video(image) if kind in VIDEO_TYPES else rounded(image_description(image))
        except InputError as error:
            reason = str(error)
    if reason is not None:
        known = next((kind for pattern, kind in ERROR_TYPES if pattern.search(reason)), "MapillaryDescriptionError")
        return {**entry, "error": {"type": kind_of_error or known, "message": reason, **more}}
    entry |= {key: value for key, value in described.items() if key in IN_FILE or key == "MAPGPSTrack"}
    size, md5 = rows.number(image, "filesize"), rows.text_of(image, "md5sum")
    return {**entry, "filesize": None if size is None else int(size), "md5sum": md5}


def _of_duplicate(image: Mapping[str, Any], of: str | None) -> dict[str, Any]:
    """Return what mapillary_tools notes of a duplicate besides: its description, and the way to the one kept."""
    try:
        described = {key: value for key, value in rounded(known_of(image)).items() if key in IN_FILE}
    except InputError:  # a value that cannot be read
        described = {}
    apart = {
        name: None if (value := rows.number(image, column)) is None else round(value, FINE)
        for name, column in (("distance", "duplicate_distance_m"), ("angle_diff", "duplicate_angle"))
    }
    path = os.path.abspath(str(image.get("path")))  # noqa: PTH100
    return {"vars": {"desc": {**described, "filename": path, "filetype": "image"}, **apart, "duplicate_of": of}}


def _of_video(image: Mapping[str, Any]) -> dict[str, Any]:
    track = image.get("track")
    if not rows.known(track):
        raise InputError("a video needs a track")
    described: dict[str, Any] = {"MAPGPSTrack": rows.plain(track)}
    for column, name in (("make", "MAPDeviceMake"), ("model", "MAPDeviceModel"), ("camera_uuid", "MAPCameraUUID")):
        if (text := rows.text_of(image, column)) is not None:
            described[name] = text
    return described


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise FormatError(f"{path} is too long for an image description file")
        entries = json.loads(path.read_bytes())
    except OSError as error:
        if isinstance(error, FormatError):
            raise
        raise FileError(unreadable(path, error), hint="'mlygeo process' makes one") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not an image description file: {str(error)[:100] or 'broken JSON'}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FormatError(f"{path} is not an image description file: it is not a list of objects")
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
    placed: Flags,
    timed: Flags,
    paths: list[str | None],
) -> tuple[list[str | None], list[str | None]]:
    """Return why each entry cannot be used, and the type of error that it names."""
    errors: list[str | None] = []
    types: list[str | None] = []
    for entry, kind, has_place, has_time, path in zip(entries, kinds, placed, timed, paths, strict=True):
        reason = entry.get("error")
        if reason is not None:
            reason = reason if isinstance(reason, dict) else {}
            errors.append(
                _text(reason.get("message")) or _text(reason.get("type")) or "it failed, and nothing says why"
            )
            types.append(_text(reason.get("type")))
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
        name = _text(_name(entry))
        if name is None or "\0" in name:
            paths.append(None)
            continue
        path = os.path.normpath(os.path.join(base, name))  # noqa: PTH118
        paths.append(path if os.path.lexists(path) else places.find_moved(name, base) or path)
    return paths


def _start(track: list[Any] | None) -> tuple[Any, Any] | None:
    first = track[0] if track else None
    return (first[1], first[2]) if isinstance(first, list) and len(first) >= 3 else None


def _headings(entries: list[dict[str, Any]]) -> Floats:
    headings = [entry.get("MAPCompassHeading") for entry in entries]
    return _numbers(
        heading.get("TrueHeading", heading.get("MagneticHeading")) if isinstance(heading, dict) else None
        for heading in headings
    )


def _numbers(values: Any) -> Floats:
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
