"""
What ExifTool reads in photos and videos -> the values of photos, and tracks frames.

ExifTool knows the maker notes and telemetry of hundreds of cameras. It is asked to read the files, or its XML
(`exiftool -X -n -ee`) is read. Times and positions are decided by the same rules as from EXIF.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from mlygeo import frames
from mlygeo.errors import DependencyError, FileError, FormatError, unreadable
from mlygeo.formats import exif, exiftool_xml, positions, times
from mlygeo.readers.cameras.positions import Points, Recorded, as_tracks, on_the_timeline, without_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import geopandas as gpd

    from mlygeo.formats.exiftool_xml import Record

log = logging.getLogger("mlygeo.readers.exiftool")

PROGRAM = "exiftool"

PROGRAM_VARIABLE = "MAPILLARY_TOOLS_EXIFTOOL_PATH"
"""Variable of the environment that names the program, as in mapillary_tools."""

OPTIONS = ("-fast", "-q", "-n", "-X", "-ee", "-api", "LargeFileSupport=1", "-charset", "filename=utf8")
"""Numbers as they are, as XML, with the telemetry inside videos (https://exiftool.org/exiftool_pod.html)."""

AT_ONCE = 1000
"""Files of one call of the program."""

MISSING = "there is nothing on it in the XML of ExifTool"

NO_PROGRAM = "ExifTool is not installed"

_PHOTO_GROUPS = frozenset({"GPS", "Composite", "IFD0", "ExifIFD", "XMP-exif", "XMP-xmp", "XMP-tiff", "GoPro"})
_TRACKS = tuple(f"Track{number}" for number in range(1, 33))
_VIDEO_GROUPS = frozenset({"QuickTime", "Insta360", "UserData", "Keys", "GoPro", *_TRACKS})
_POSITION_TAGS = frozenset(
    {"SampleTime", "SampleDuration", "GPSDateTime", "GPSLongitude", "GPSLatitude", "GPSAltitude", "GPSSpeed",
     "GPSMeasureMode", "GPSHPositioningError", "Make", "Model"}
)  # fmt: skip
_PHOTO_TAGS = frozenset(
    {"GPSDateStamp", "GPSTimeStamp", "GPSDateTime", "GPSLatitude", "GPSLatitudeRef", "GPSLongitude", "GPSLongitudeRef",
     "GPSAltitude", "GPSAltitudeRef", "GPSImgDirection", "GPSTrack", "DateTimeOriginal", "CreateDate",
     "DateTimeDigitized", "ModifyDate", "SubSecTimeOriginal", "SubSecTimeDigitized", "SubSecTime",
     "SubsecTimeOriginal", "OffsetTimeOriginal", "OffsetTimeDigitized", "OffsetTime", "Make", "Model"}
)  # fmt: skip

_CLOCKS = (
    ("ExifIFD:DateTimeOriginal", "ExifIFD:SubSecTimeOriginal", "ExifIFD:OffsetTimeOriginal"),
    ("ExifIFD:CreateDate", "ExifIFD:SubSecTimeDigitized", "ExifIFD:OffsetTimeDigitized"),
    ("XMP-exif:DateTimeOriginal", "XMP-exif:SubsecTimeOriginal", "XMP-exif:OffsetTimeOriginal"),
    ("XMP-exif:DateTimeDigitized", "XMP-exif:SubsecTimeDigitized", "XMP-exif:OffsetTimeDigitized"),
    ("XMP-xmp:CreateDate", "", ""),
)
_CHANGED = ("IFD0:ModifyDate", "ExifIFD:SubSecTime", "ExifIFD:OffsetTime")


def program() -> str:
    """
    Return the path of the program.

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    name = os.environ.get(PROGRAM_VARIABLE) or PROGRAM
    found = shutil.which(name)
    if found is None:
        raise DependencyError(f"{NO_PROGRAM} ({name})", hint="https://exiftool.org, or the package exiftool")
    return found


def read_files(paths: Iterable[str]) -> dict[str, Record]:
    """
    Return what ExifTool reads in files, by path; files that it cannot read are left out.

    Parameters
    ----------
    paths
        Photos and videos.

    Raises
    ------
    DependencyError
        If ExifTool is not installed.
    """
    command = program()
    found: dict[str, Record] = {}
    # Its list of files has a line for each.
    listed = [path for path in map(os.path.abspath, paths) if "\n" not in path and "\r" not in path]
    for start in range(0, len(listed), AT_ONCE):
        some = listed[start : start + AT_ONCE]
        with tempfile.NamedTemporaryFile("wb", suffix=".args") as names:
            names.write(b"".join(os.fsencode(path) + b"\n" for path in some))
            names.flush()
            with subprocess.Popen(  # noqa: S603 - the program that the user installed, without a shell
                [command, *OPTIONS, "-@", names.name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as process:
                try:
                    output = cast("BinaryIO", process.stdout)
                    for record in exiftool_xml.records(output, "the output of ExifTool", wanted=_wanted):
                        found[os.path.realpath(record.path)] = record
                except FormatError as error:
                    log.warning("%s", error)
                    process.kill()
    return found


def read_xml(source: str | os.PathLike[str], *, left_out: list[str] | None = None) -> dict[str, Record]:
    """
    Return what ExifTool wrote about files, by the files' paths; relative ones begin at the working directory.

    Parameters
    ----------
    source
        An XML file, or a folder of them.
    left_out
        Gets the reason for each file of a folder that is damaged or none of ExifTool's.

    Raises
    ------
    FileError
        If it does not exist.
    FormatError
        If the file named is not one of ExifTool.
    """
    place = Path(source).expanduser()
    if not place.exists():
        raise FileError(f"{place} does not exist", hint="exiftool -r -ee -n -X FOLDER > exiftool.xml makes it")
    files = sorted(file for file in place.rglob("*.xml") if file.is_file()) if place.is_dir() else [place]
    found: dict[str, Record] = {}
    for file in files:
        try:
            for record in _of_file(file):
                found.setdefault(os.path.realpath(record.path), record)
        except FormatError as error:
            if file == place:
                raise
            log.warning("%s", error)
            if left_out is not None:
                left_out.append(str(error))
    return found


def read_patterned(paths: Iterable[str], file_for: Callable[[str], Path]) -> dict[str, Record]:
    """
    Return what ExifTool wrote about files, each into a file of its own.

    An XML file that has one record is that of its photo or video, whatever path it names; of several records
    the one with the path counts.

    Parameters
    ----------
    paths
        Photos and videos.
    file_for
        Returns the XML file of one.
    """
    found: dict[str, Record] = {}
    for path in paths:
        try:
            several = list(_of_file(file_for(path)))
        except (FileError, FormatError) as error:
            log.info("%s", error)
            continue
        real = os.path.realpath(path)
        fitting = several if len(several) == 1 else [one for one in several if os.path.realpath(one.path) == real]
        if fitting:
            found[real] = fitting[0]
    return found


def with_values(images: gpd.GeoDataFrame, records: Mapping[str, Record]) -> gpd.GeoDataFrame:
    """
    Return photos with the times, positions, headings and altitudes that ExifTool read.

    Parameters
    ----------
    images
        Images frame of local files.
    records
        By the real paths of the photos.

    Returns
    -------
    images
        The same rows with `captured_at`, `time_source`, geometry, `compass_angle`, `altitude`, and with `make` and
        `model` where they were missing. Photos without a record have an `error`; what is in doubt is added to
        `warning`.
    """
    import pandas as pd
    from geopandas.array import GeometryArray

    now_us = round(time.time() * 1e6)
    paths = images["path"].fillna("")
    rows = [_values(records.get(os.path.realpath(path)) if path else None, path, now_us) for path in paths]
    columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in _EMPTY}
    lon, lat = (np.array(columns[name], dtype=np.float64) for name in ("lon", "lat"))
    points = np.full(len(images), None, dtype=object)
    placed = np.isfinite(lon)
    points[placed] = frames.points(lon[placed], lat[placed])

    def texts(name: str) -> Any:
        return pd.Series(columns[name], index=images.index, dtype="str")

    captured = pd.array(columns["captured_ms"], dtype="Int64")
    said: dict[str, Any] = {
        name: images[name].where(images[name].notna(), texts(name)) for name in ("make", "model") if name in images
    }
    tagged = images.assign(
        captured_at=pd.Series(pd.to_datetime(captured, unit="ms", utc=True), index=images.index).astype(
            "datetime64[ms, UTC]"
        ),
        time_source=texts("time_source"),
        compass_angle=np.array(columns["compass_angle"], dtype=np.float64),
        altitude=np.array(columns["altitude"], dtype=np.float64),
        error=images["error"].where(images["error"].notna(), texts("error")),
        **said,
    )
    tagged = frames.with_phrases(tagged, "warning", texts("warning"))
    return tagged.set_geometry(GeometryArray(points, crs=frames.CRS))


def track_in(record: Record, name: str, *, max_dop: float = 10.0) -> gpd.GeoDataFrame | None:
    """
    Return the track of a video as ExifTool read it; None where it read none.

    Parameters
    ----------
    record
        What it read.
    name
        The name of the track.
    max_dop
        Largest dilution of precision that is kept.

    Returns
    -------
    tracks
        As from `mlygeo.read_video`.
    """
    points = next((found for group in ("QuickTime", "Insta360") if len(found := _timed(record, group))), None)
    if points is None:
        points = next((found for group in _TRACKS if len(found := _sampled(record, group))), None)
    if points is None:
        return None
    make, model = _camera(record.texts())
    points, left_out = on_the_timeline(
        Recorded(points, make, model), None, np.nan, lambda found: without_noise(found, max_dop=max_dop, outliers=True)
    )
    track = as_tracks(name, points)
    has_times = bool(np.isfinite(points.epoch_s).any())
    track.attrs |= {"source": PROGRAM, "make": make, "model": model, "left_out": left_out, "gps_time": has_times}
    return track


def _wanted(tag: str) -> bool:
    group, _, name = tag.partition(":")
    return (group in _PHOTO_GROUPS and name in _PHOTO_TAGS) or (group in _VIDEO_GROUPS and name in _POSITION_TAGS)


def _of_file(file: Path) -> Iterable[Record]:
    try:
        with file.open("rb") as opened:
            yield from exiftool_xml.records(opened, file.name, wanted=_wanted)
    except FormatError:
        raise
    except OSError as error:
        raise FileError(unreadable(file, error)) from error


_EMPTY: dict[str, Any] = {
    "captured_ms": None, "time_source": None, "lon": np.nan, "lat": np.nan, "compass_angle": np.nan,
    "altitude": np.nan, "make": None, "model": None, "error": None, "warning": None,
}  # fmt: skip


def _values(record: Record | None, path: str, now_us: int) -> dict[str, Any]:
    """Return the values of one photo."""
    if record is None:
        return {**_EMPTY, "error": MISSING}
    tags = record.texts()
    place = _position(tags)
    clocks = [
        found
        for text, subsec, offset in _CLOCKS
        if (found := times.read(tags.get(text), subsec=tags.get(subsec), offset=tags.get(offset))) is not None
    ]
    text, subsec, offset = _CHANGED
    decided = times.decide(
        _gps_us(tags),
        clocks,
        changed=times.read(tags.get(text), subsec=tags.get(subsec), offset=tags.get(offset)),
        now_us=now_us,
        lon=place[0] if place else None,
        lat=place[1] if place else None,
        stem=lambda: Path(path).stem,
    )
    doubts = list(decided.doubts)
    if place is None and "GPS:GPSLatitude" in tags:
        doubts.append("its GPS position makes no sense")
    said = (f"{group}:GPS{name}" for group in ("GPS", "XMP-exif") for name in ("ImgDirection", "Track"))
    headings = (exif.heading(exif.real(tags.get(name))) for name in said)
    heading = next((each for each in headings if each is not None), None)
    heights = (_altitude(tags, f"{group}:GPSAltitude") for group in ("GPS", "XMP-exif"))
    height_m = next((each for each in heights if each is not None), None)
    make, model = _camera(tags)
    return {
        "captured_ms": None if decided.us is None else decided.us // 1000,
        "time_source": decided.source,
        "lon": place[0] if place else np.nan,
        "lat": place[1] if place else np.nan,
        "compass_angle": np.nan if heading is None else heading,
        "altitude": np.nan if height_m is None else height_m,
        "make": make,
        "model": model,
        "error": None,
        "warning": "; ".join(doubts) or None,
    }


def _position(tags: Mapping[str, str]) -> tuple[float, float] | None:
    for group in ("GPS", "Composite", "XMP-exif"):
        signed = group != "GPS"  # in EXIF the side stands apart, and without it the hemisphere is unknown
        lat, lon = f"{group}:GPSLatitude", f"{group}:GPSLongitude"
        place = positions.position(
            positions.from_text(tags.get(lon), "lon", tags.get(f"{lon}Ref"), signed=signed),
            positions.from_text(tags.get(lat), "lat", tags.get(f"{lat}Ref"), signed=signed),
        )
        if place is not None:
            return place
    return None


def _altitude(tags: Mapping[str, str], name: str) -> float | None:
    below = (tags.get(f"{name}Ref") or "").lower()
    return exif.altitude(exif.real(tags.get(name)), 1 if below == "1" or "below" in below else 0)


def _gps_us(tags: Mapping[str, str]) -> int | None:
    stamp = times.gps_time(tags.get("GPS:GPSDateStamp"), times.fractions(tags.get("GPS:GPSTimeStamp")))
    if stamp is not None:
        return stamp
    clock = tags.get("XMP-exif:GPSDateTime") or tags.get("XMP-exif:GPSTimeStamp")
    whole = times.read(clock)
    if whole is not None:
        return whole.us if whole.us // times.DAY_US else None
    return times.gps_time(tags.get("XMP-exif:GPSDateStamp"), times.fractions(clock))


def _camera(tags: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return make and model; GoPros name only the model in their telemetry."""
    for group in ("GoPro", "Insta360", "IFD0", "UserData", "Keys"):
        make = group if group in {"GoPro", "Insta360"} else None
        if model := tags.get(f"{group}:Model"):
            return tags.get(f"{group}:Make") or make, model
    return tags.get("IFD0:Make") or tags.get("XMP-tiff:Make"), tags.get("XMP-tiff:Model")


def _number(text: str | None) -> float:
    value = exif.real(text)
    return np.nan if value is None else value


def _epoch_s(text: str | None) -> float:
    found = times.read(text)
    return np.nan if found is None or found.us < times.EARLIEST_US else found.us / 1e6


def _points(rows: list[dict[str, str]], video_s: list[float], epoch_s: list[float]) -> Points:
    """Return points from the texts of their tags."""

    def column(name: str) -> Any:
        return np.array([_number(row.get(name)) for row in rows], dtype=np.float64)

    fix = column("GPSMeasureMode")
    return Points.of(
        np.array(video_s, dtype=np.float64), column("GPSLongitude"), column("GPSLatitude"),
        epoch_s=np.array(epoch_s, dtype=np.float64), altitude=column("GPSAltitude"), speed=column("GPSSpeed"),
        dop=column("GPSHPositioningError"), fix=np.where(np.isfinite(fix), fix, -1.0),
    )  # fmt: skip


def _timed(record: Record, group: str) -> Points:
    """Return the points of a group in which each has its time: BlackVue, Insta360 and many dash cameras."""
    rows: list[dict[str, str]] = []
    for tag, text in record.tags:
        of, _, name = tag.partition(":")
        if of == group and name in _POSITION_TAGS:
            if name == "GPSDateTime":
                rows.append({})
            if rows:
                rows[-1].setdefault(name, text)
    rows = [row for row in rows if {"GPSDateTime", "GPSLongitude", "GPSLatitude"} <= row.keys()]
    epoch_s = [_epoch_s(row["GPSDateTime"]) for row in rows]
    start_s = next((each for each in epoch_s if np.isfinite(each)), np.nan)
    return _points(rows, [each - start_s for each in epoch_s], epoch_s)


def _sampled(record: Record, group: str) -> Points:
    """Return the points of a track: those of a sample are spread evenly in it, as GoPros write them."""
    samples: list[tuple[dict[str, str], list[dict[str, str]]]] = []
    for tag, text in record.tags:
        of, _, name = tag.partition(":")
        if of != group:
            continue
        if name == "SampleTime":
            samples.append(({}, []))
        if not samples:
            continue
        shared, rows = samples[-1]
        if name == "GPSLatitude":
            rows.append({})
        if name in {"GPSLatitude", "GPSLongitude", "GPSAltitude", "GPSSpeed"} and rows:
            rows[-1].setdefault(name, text)
        elif name not in shared:
            shared[name] = text
    every: list[dict[str, str]] = []
    video_s: list[float] = []
    epoch_s: list[float] = []
    for shared, rows in samples:
        start_s, lasts_s = _number(shared.get("SampleTime")), _number(shared.get("SampleDuration"))
        first_s = _epoch_s(shared.get("GPSDateTime"))
        for number, row in enumerate(rows):
            every.append(shared | row)
            within_s = lasts_s * number / len(rows)
            video_s.append(start_s + within_s)
            epoch_s.append(first_s if number == 0 else np.nan)
    return _points(every, video_s, epoch_s).timed() if every else _points([], [], [])
