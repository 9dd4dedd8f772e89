"""
Videos in an import: the track of each, and its entry in the image description file.

A track is that of the camera, of a log beside the video, or what ExifTool reads. The positions in an entry count
from the start of the video; those of a log are related to it by the clock of the video, or, where it has none, by
taking the log to begin with it.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import DependencyError, FileError, FormatError, InputError
from mlygeo.pipelines.sources import EXIFTOOL, EXIFTOOL_XML, Pattern, Source, Sources, sources_named
from mlygeo.readers.cameras import CAMERAS, VIDEO_SOURCES

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.formats.exiftool_xml import Record
    from mlygeo.progress import Progress
    from mlygeo.readers.video import VideoInfo

log = logging.getLogger("mlygeo.pipelines")

LOGS = ("gpx", "nmea", "csv")

NO_POSITIONS = "MapillaryVideoGPSNotFoundError"

TRY_ON = frozenset({NO_POSITIONS, "MapillaryExiftoolNotFoundError", "MapillaryExifToolXMLNotFoundError"})
"""Types of error after which the next source is tried (mapillary_tools 0.14.7, geotag/factory.py)."""


@dataclass(frozen=True)
class VideoOptions:
    """
    How the videos of an import are described.

    Parameters
    ----------
    sources
        The sources that are tried, in their order.
    cameras
        The cameras whose telemetry is read; None for all.
    device_make, device_model
        Of the camera; they win over what videos say.
    use_gps_start_time
        Whether logs begin with their videos.
    """

    sources: tuple[Source, ...]
    cameras: frozenset[str] | None = None
    device_make: str | None = None
    device_model: str | None = None
    use_gps_start_time: bool = False


def video_sources(
    geotag_source: Sources, video_geotag_source: Sources | None, geotag_source_path: Any
) -> tuple[Source, ...]:
    """
    Return the sources of videos: those named for them, then those for all files.

    Where neither names one, videos are taken at their word, and then a GPX file beside them of the same name.

    Parameters
    ----------
    geotag_source, video_geotag_source, geotag_source_path
        As the call names them.
    """
    own = sources_named(video_geotag_source, option="video_geotag_source")
    common = tuple(source for source in sources_named(geotag_source) if source.for_videos)
    if own and common == (Source("exif"),):
        common = ()  # the default
    # Videos of cameras as a source of photos tell nothing of other videos.
    found = (*own, *(source for source in common if source.name not in VIDEO_SOURCES))
    if not own and common == (Source("exif"),):
        found += (Source("gpx"),)
    if isinstance(geotag_source_path, str | os.PathLike):
        path = geotag_source_path if isinstance(geotag_source_path, Pattern) else os.fspath(geotag_source_path)
        found = tuple(
            replace(source, path=path) if source.path is None and source.name != "exif" else source for source in found
        )
    for source in found:
        if source.name == EXIFTOOL_XML and source.path is None:
            raise InputError("`geotag_source_path` names the files that ExifTool wrote, or their folder; it is missing")
    return tuple(dict.fromkeys(found))


def described_videos(videos: list[str], options: VideoOptions, *, progress: Progress | None) -> gpd.GeoDataFrame:
    """
    Return the rows of videos in an image description file, as `mlygeo.read_descriptions` returns them.

    Parameters
    ----------
    videos
        Absolute paths.
    options
        How they are described.
    progress
        Where progress is shown.
    """
    from mlygeo.progress import Progress
    from mlygeo.providers import descriptions

    entries = []
    records = _Records(videos)
    with (progress or Progress()).bar("videos", total=len(videos), unit="videos") as bar:
        for video in videos:
            entries.append(_entry(video, options, records))
            bar.advance()
    return descriptions().frame(entries, Path("/"))


class _Records(Mapping[Source, Mapping[str, "Record"]]):
    """What ExifTool says of the videos, read at the first use."""

    def __init__(self, videos: list[str]) -> None:
        self._videos = videos
        self._found: dict[Source, Mapping[str, Record]] = {}

    def __getitem__(self, source: Source) -> Mapping[str, Record]:
        from mlygeo.pipelines.geotagging import exiftool_records

        if source not in self._found:
            self._found[source] = exiftool_records(source.name, source.path, self._videos)
        return self._found[source]

    def __iter__(self) -> Any:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class _FailedError(Exception):
    """A source does not tell where a video went; with the official client's type of that error."""

    def __init__(self, message: str, kind: str = NO_POSITIONS) -> None:
        super().__init__(message)
        self.kind = kind


class _NoLogError(_FailedError):
    """There is no log for a video."""


def _entry(video: str, options: VideoOptions, records: _Records) -> dict[str, Any]:
    entry: dict[str, Any] = {"filename": video, "filetype": "video"}
    failed = None
    for source in options.sources:
        try:
            track, kind = _track(Path(video), source, options, records)
        except _FailedError as error:
            if failed is None or not isinstance(error, _NoLogError):
                failed = error
            if error.kind not in TRY_ON:
                break
            continue
        points = _encoded(track)
        if not points:
            failed = _FailedError("its positions are too noisy: none has a good fix", "MapillaryGPSNoiseError")
            break
        make, model = (
            given or track.attrs.get(name)
            for given, name in ((options.device_make, "make"), (options.device_model, "model"))
        )
        camera = {name: text for name, text in (("MAPDeviceMake", make), ("MAPDeviceModel", model)) if text}
        return {**entry, "filetype": kind, "filesize": os.stat(video).st_size, **camera, "MAPGPSTrack": points}  # noqa: PTH116
    failed = failed or _FailedError("no source is for videos")
    return {**entry, "error": {"type": failed.kind, "message": str(failed)}}


def _track(video: Path, source: Source, options: VideoOptions, records: _Records) -> tuple[gpd.GeoDataFrame, str]:
    """Return the track of a video from one source, by `video_time_s`, and the type of file."""
    from mlygeo.readers import exiftool

    if source.name in {EXIFTOOL, EXIFTOOL_XML}:
        try:
            record = records[source].get(os.path.realpath(video))
        except DependencyError as error:
            raise _FailedError(str(error), "MapillaryExiftoolNotFoundError") from error
        except (FileError, FormatError) as error:
            raise _FailedError(str(error), "MapillaryExifToolXMLNotFoundError") from error
        if record is None:
            raise _FailedError(exiftool.MISSING, "MapillaryExifToolXMLNotFoundError")
        track = exiftool.track_in(record, video.stem)
        if track is None:
            raise _FailedError(f"{video.name} contains no positions")
        return track, _type_of(str(track.attrs["make"]).lower())
    if source.name in LOGS:
        return _of_log(video, source, options)
    camera = VIDEO_SOURCES.get(source.name)
    return _native(video, options.cameras if camera is None else frozenset({camera}))


def _native(video: Path, cameras: frozenset[str] | None) -> tuple[gpd.GeoDataFrame, str]:
    from mlygeo.readers.video import read_video

    try:
        track = read_video(video)
    except FormatError as error:
        invalid = error.hint is None
        raise _FailedError(str(error), "MapillaryInvalidVideoError" if invalid else NO_POSITIONS) from error
    except FileError as error:
        raise _FailedError(str(error), "MapillaryInvalidVideoError") from error
    kind = _type_of(track.attrs["source"])
    if cameras is not None and kind not in cameras:
        # A video may have the tracks of two kinds, as a copy with a CAMM track does.
        for camera in sorted(cameras & CAMERAS.keys()):
            with suppress(FormatError):
                return read_video(video, source=camera), camera  # type: ignore[arg-type]
        raise _FailedError(f"it is a video of {kind}, not of {' or '.join(sorted(cameras)) or 'another camera'}")
    return track, kind


def _type_of(camera: str) -> str:
    """Return the official client's type of file for a camera's videos."""
    return camera if any(camera in each.older_names for each in CAMERAS.values()) else "video"


def _of_log(video: Path, source: Source, options: VideoOptions) -> tuple[gpd.GeoDataFrame, str]:
    """Return the part of a log that belongs to a video."""
    import numpy as np

    from mlygeo.readers.tracks import read_track
    from mlygeo.readers.video import gps_start_s, video_info
    from mlygeo.spatial.geotag import MAX_EXTRAPOLATION_S
    from mlygeo.spatial.track import lines

    path = _log_of(video, source)
    own: gpd.GeoDataFrame | None = None
    kind = "video"
    try:
        own, kind = _native(video, options.cameras)
    except _FailedError as error:
        log.debug("%s: %s", video.name, error)
    info: VideoInfo | None = None
    try:
        track = read_track(path)
    except (FileError, FormatError) as error:
        raise _FailedError(str(error)) from error
    try:
        info = video_info(video)
    except (FileError, FormatError) as error:
        if own is None:
            raise _FailedError(str(error), "MapillaryInvalidVideoError") from error
    track = track[track["time"].notna()].sort_values("time", kind="stable", ignore_index=True)
    if not len(track):
        raise _FailedError(f"{path.name} has no point with a time", "MapillaryGPXEmptyError")
    times_s = track["time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    gps_s = None if own is None else gps_start_s(own)
    start_s = gps_s
    if start_s is None and info is not None and info.start_time is not None:
        start_s = info.start_time.timestamp()
    begins = options.use_gps_start_time if source.use_gps_start_time is None else source.use_gps_start_time
    if begins or start_s is None:
        if not begins:
            log.warning("%s says no start time; %s is taken to begin with it", video.name, path.name)
        start_s = float(times_s[0])
    start_s += source.offset_time or 0.0
    lasts_s = math.inf if own is None or not len(own) else float(own["video_time_s"].max())
    if info is not None and math.isfinite(info.duration_s):
        lasts_s = info.duration_s
    if times_s[0] > start_s + lasts_s + MAX_EXTRAPOLATION_S or times_s[-1] < start_s - MAX_EXTRAPOLATION_S:
        how = "" if gps_s is None else " by its GPS"
        raise _FailedError(
            f"{path.name} is of {_moment(times_s[0])} to {_moment(times_s[-1])}, and the video begins at"
            f" {_moment(start_s)}{how}; `use_gps_start_time` takes them to begin together",
            "MapillaryOutsideGPXTrackError",
        )
    track = track.assign(video_time_s=times_s - start_s)
    inside = track["video_time_s"].between(-MAX_EXTRAPOLATION_S, lasts_s + MAX_EXTRAPOLATION_S)
    first, last = int(inside.argmax()), len(inside) - 1 - int(inside[::-1].argmax())
    # A point more at either end, so that all of the video lies between two.
    track = track.iloc[max(first - 1, 0) : last + 2] if inside.any() else _around(track)
    if track["track_id"].nunique() > 1 and (overlapping := lines(track)[1]):
        raise _FailedError(
            f"{path.name}: {len(overlapping)} tracks overlap in time, and a video can lie on one only",
            "MapillaryGPSNoiseError",
        )
    facts = own.attrs if own is not None else {}
    camera = {name: facts.get(name) or getattr(info, name, None) for name in ("make", "model")}
    track.attrs |= {**camera, "gps_time": True}
    return track, kind


def _around(track: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return the two points around a short video that has none of its own."""
    after = int((track["video_time_s"] > 0).argmax())
    return track.iloc[max(after - 1, 0) : after + 1]


def _log_of(video: Path, source: Source) -> Path:
    if source.path is None:
        beside = [video.with_suffix(f".{ending}") for ending in (source.name, source.name.upper())]
        path = next((each for each in beside if each.is_file()), beside[0])
    else:
        path = source.path.file_for(video) if isinstance(source.path, Pattern) else Path(source.path).expanduser()
        if path.is_dir():
            path = path / f"{video.stem}.{source.name}"
    if not path.is_file():
        raise _NoLogError(f"there is no {path.name} for it")
    return path


def _encoded(track: gpd.GeoDataFrame) -> list[list[float | int | None]]:
    """Return the points as mapillary_tools writes them: ms since the start, longitude, latitude, altitude, …."""
    from mlygeo import frames

    lon, lat = frames.lonlat(track)
    epoch = track["time"]
    unknown = epoch.isna() if track.attrs["gps_time"] else [True] * len(track)
    epoch_s = [None if missing else moment.timestamp() for missing, moment in zip(unknown, epoch, strict=True)]
    return [
        [
            int(second * 1000), round(x, 7), round(y, 7),
            round(height, 3) if math.isfinite(height) else None, None, when,
        ]
        for second, x, y, height, when in zip(
            track["video_time_s"].tolist(), lon.tolist(), lat.tolist(), track["altitude"].tolist(), epoch_s, strict=True
        )
    ]  # fmt: skip


def _moment(second: float) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}Z"
