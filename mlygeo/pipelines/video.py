"""From videos to tracks, and to frames with time, position and heading."""

from __future__ import annotations

import logging
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import places
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, check_folder, public, public_with, tally, version
from mlygeo.pipelines.options import Recorded, VideoFrames, VideoSampling, start_ms
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import geopandas as gpd

    from mlygeo.progress import Progress
    from mlygeo.readers.cameras import Telemetry
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

LOGS = frozenset({".gpx", ".nmea", ".csv", ".log"})
"""Endings of GPS logs when a folder is searched for tracks."""


@public
def tracks(
    paths: PathLike | Iterable[PathLike],
    *,
    source: Telemetry = "auto",
    max_dop: float = 10.0,
    keep_outliers: bool = False,
    video_start_time: int | str | None = None,
    skip_subfolders: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Read the tracks in videos, and in GPX, NMEA and CSV files.

    Positions of videos without a fix, with low precision, and far outliers are left out. Files without a track are
    listed, and the others are read.

    Parameters
    ----------
    paths
        Videos, tracks, or folders of them.
    video_start_time
        Start time of the video, for positions without a time: milliseconds since 1970 (UTC),
        YYYY_MM_DD_HH_MM_SS_mmm in UTC, or ISO 8601 with a UTC offset. Default: the creation time in the file.
    skip_subfolders
        Use only files in the folders themselves.

    Returns
    -------
    tracks
        Tracks frame, a `track_id` for each file or track in it. Of videos it has `video_time_s`, `fix`,
        `dop` and `speed_ms` as well.

    Raises
    ------
    FileError
        If a path does not exist, or no file could be read.
    FormatError
        If no file has a track.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> tracks(["GH010042.MP4", "walk.gpx"]).groupby("track_id")["time"].agg(["min", "max"])
    """
    from mlygeo.formats import chapters

    recorded = Recorded(source=source, max_dop=max_dop, keep_outliers=keep_outliers)
    start = _moment(start_ms(video_start_time))
    files = _files(listed(paths), skip_subfolders=skip_subfolders)
    if not any(file.suffix.lower() in chapters.ENDINGS for file in files):
        of_no_use(Recorded, "without a video")
        of_no_use(("video_start_time",), "without a video")
    return _read(files, recorded, start=start, progress=progress)


@public_with(VideoSampling, VideoFrames)
def sample_video(
    videos: PathLike | Iterable[PathLike] | None = None,
    *,
    video_import_path: PathLike | None = None,
    import_path: PathLike | None = None,
    video_sample_interval: float = 2.0,
    video_sample_distance: float | None = None,
    video_start_time: int | str | None = None,
    video_duration_ratio: float = 1.0,
    skip_subfolders: bool = False,
    track: PathLike | None = None,
    rerun: bool = False,
    decoder: str = "pyav",
    hardware: str | None = None,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Sample videos into JPEG files with capture time and, if there is a track, position and heading.

    Each frame is exactly the one that the video shows at its time. Chapters of one recording follow each other by
    their lengths. Existing frames are not made again, so repeat the command to continue an interrupted run. From a
    damaged video, the readable frames are made, and a row tells what is missing.

    Parameters
    ----------
    videos
        Videos, or folders of them.
    video_import_path
        A video, or a folder of videos; the name of this option in the older tools.
    skip_subfolders
        Use only videos in the folders themselves.
    rerun
        Make the frames of an earlier run again.

    Returns
    -------
    images
        Frame of local images, with `video` and `video_time_s`; `time_source` says where times come from, and
        `warning` what is in doubt. Frames of a video that does not say when it was recorded have no
        `captured_at`. A video that was not sampled whole has a row of its own, with `error`.

    Raises
    ------
    InputError
        If there is no video, an option makes no sense, or one start time is given for several recordings.
    FileError
        If a path does not exist, or contains no video.
    FormatError, FrameError
        If `track` contains no track, or no track with times.
    DependencyError
        If PyAV is missing (the package `av`), or the program that is to decode.

    Examples
    --------
    >>> sample_video("GH010042.MP4", video_sample_distance=3)[["path", "captured_at", "compass_angle"]]
    """
    sampling = VideoSampling(
        video_sample_interval=video_sample_interval,
        video_sample_distance=video_sample_distance,
        video_start_time=video_start_time,
        video_duration_ratio=video_duration_ratio,
        track=track,
    )
    if import_path is not None:
        check_folder(Path(import_path).expanduser(), "`import_path`")
    made = VideoFrames(import_path=import_path, rerun=rerun, decoder=decoder, hardware=hardware)
    named = listed(videos) + listed(video_import_path)
    return run_sampling(named, sampling, made, skip_subfolders=skip_subfolders, progress=progress)


def tracks_of(files: list[Path], *, source: Telemetry = "auto", progress: Progress | None) -> Job[gpd.GeoDataFrame]:
    """
    Return the tracks of videos and logs, as `tracks` returns them by default.

    Parameters
    ----------
    files
        The videos and logs; of a folder, those in it.
    source
        Where the positions of a video are taken from.
    progress
        Where progress is shown; None shows none.
    """
    from mlygeo.readers import video

    recorded = Recorded(source=source, max_dop=video.MAX_DOP, keep_outliers=False)
    return _read(_files(files, skip_subfolders=False), recorded, start=None, progress=progress)


def _read(
    files: list[Path], recorded: Recorded, *, start: datetime | None, progress: Progress | None
) -> Job[gpd.GeoDataFrame]:
    from mlygeo import store
    from mlygeo.formats import chapters
    from mlygeo.progress import Progress
    from mlygeo.readers import tracks as logs
    from mlygeo.readers import video

    parts: list[gpd.GeoDataFrame] = []
    failed: dict[str, str] = {}
    errors: list[FileError] = []
    read: list[Path] = []
    with (progress or Progress()).bar("tracks", total=len(files), unit="files") as bar:
        for file in files:
            try:
                if file.suffix.lower() in chapters.ENDINGS:
                    part = video.read_video(
                        file,
                        source=recorded.source,
                        max_dop=recorded.max_dop,
                        keep_outliers=recorded.keep_outliers,
                        start_time=start,
                    )
                else:
                    part = logs.read_track(file)
                parts.append(part)
                read.append(file)
            except (FileError, FormatError) as error:
                failed[str(file)] = str(error)
                errors.append(error)
            bar.advance()
    for each in errors if parts else errors[1:]:  # without parts the first is raised
        log.warning("%s", each)
    if not parts:
        raise errors[0]
    left_out: Counter[str] = Counter()
    problems: Counter[str] = Counter()
    for part in parts:
        left_out.update(part.attrs.get("left_out", {}))
        problems.update(part.attrs.get("problems", []))
    joined, paths = _joined(parts, read)
    joined.attrs |= {"left_out": dict(left_out), "problems": list(problems), "paths": paths}
    summary: dict[str, Any] = {
        "files": len(files),
        "tracks": int(joined["track_id"].nunique()),
        "points": len(joined),
        "left_out": dict(left_out),
        "problems": dict(problems),
        "failed": failed,
        "version": version(),
    }
    headline = f"{counted(len(joined), 'point')} in {counted(summary['tracks'], 'track')}"
    if left_out:
        headline += f"; left out: {tally(left_out)}"
    if problems:
        headline += f"; in doubt: {', '.join(problems)}"
    if failed:
        headline += f"; {counted(len(failed), 'file')} without a track"

    def write(path: Path) -> list[Path]:
        if path.name.lower().endswith((".gpx", ".gpx.gz")):
            return [logs.write_track(job.result, path)]
        return [store.write_frame(job.result, path), *store.files_beside(path)]

    job = Job(lambda: joined, summary, headline, write, list(failed))
    return job


def run_sampling(
    named: list[Path],
    sampling: VideoSampling,
    made: VideoFrames,
    *,
    skip_subfolders: bool,
    progress: Progress | None,
) -> Job[gpd.GeoDataFrame]:
    """
    Sample videos; see `sample_video`.

    Parameters
    ----------
    named
        Videos, or folders of them.
    sampling
        Which frames.
    made
        Where they go, and how they are made.
    skip_subfolders
        Whether only videos in the folders themselves are taken.
    progress
        Where progress is shown; None shows none.
    """
    from mlygeo.video.frames import copies_among, find_videos, phrases, sample_frames
    from mlygeo.video.recordings import NO_TIME
    from mlygeo.video.sampling import Sampling

    which = Sampling(
        sampling.video_sample_interval,
        sampling.video_sample_distance,
        sampling.start_ms,
        sampling.video_duration_ratio,
    )
    if not named:
        raise InputError("no video", hint="name videos, or folders of them")
    folder = None if made.import_path is None else Path(made.import_path).expanduser()
    found = find_videos(named, folder=folder, skip_subfolders=skip_subfolders)
    if not found:
        raise FileError(f"there is no video in {', '.join(map(str, named))}")
    images = sample_frames(
        found,
        sampling=which,
        track=None if sampling.track is None else read_track(sampling.track, progress=progress),
        rerun=made.rerun,
        decoder=made.decoder,
        hardware=made.hardware,
        progress=progress,
    )
    if copies := copies_among(named, skip_subfolders=skip_subfolders):
        images.attrs["left_out"] |= {"low-resolution copies": copies}
    wrong = images[images["error"].notna()]
    failed = dict(zip(wrong["path"], wrong["error"], strict=True))
    sampled = len(images) - len(wrong)
    doubts = phrases(images)
    summary: dict[str, Any] = {
        "videos": len(found),
        "frames": sampled,
        "with_position": int(images.geometry.notna().sum()),
        "folders": sorted({str(target) for _, target in found}),
        "left_out": images.attrs["left_out"],
        "problems": doubts,
        "failed": failed,
        "version": version(),
    }
    headline = (
        f"{counted(sampled, 'frame')} of {counted(len(found), 'video')}, {summary['with_position']:,} with a position"
    )
    without = int((images["error"].isna() & images["captured_at"].isna()).sum())
    if without:
        headline += f"; {counted(without, 'frame')} without a time, since their video does not say it"
    if images.attrs["left_out"]:
        headline += f"; left out: {tally(images.attrs['left_out'])}"
    if others := [doubt for doubt in doubts if doubt != NO_TIME]:
        headline += f"; in doubt: {'; '.join(others)}"
    if failed:
        headline += f"; {counted(len(failed), 'video')} incomplete"
    return Job(lambda: images, summary, headline, failed=list(failed), as_file=True)


def frames_folder(path: PathLike) -> Path:
    """
    Return the default folder for the frames of a video, or of a folder of videos.

    Parameters
    ----------
    path
        A video, or a folder of them.
    """
    from mlygeo.video.frames import FOLDER

    place = Path(path).expanduser()
    return (place if place.is_dir() else place.parent) / FOLDER


def read_track(track: FrameLike, *, progress: Progress | None) -> gpd.GeoDataFrame:
    """
    Return the track of videos.

    Parameters
    ----------
    track
        A tracks frame, in a file or not, a log, or another video.
    progress
        Where progress is shown; None shows none.
    """
    from mlygeo import frames, store
    from mlygeo.formats import chapters

    if not isinstance(track, str | os.PathLike):
        frame: gpd.GeoDataFrame = track
        return frame
    path = Path(track).expanduser()
    if path.is_file() and path.suffix.lower() not in LOGS | chapters.ENDINGS | {".gz", ".txt", ".tsv"}:
        return frames.conform(store.read_frame(path), frames.TRACKS)
    return tracks_of([path], progress=progress).result


def listed(paths: PathLike | Iterable[PathLike] | None) -> list[Path]:
    """Return paths that may be given alone as a list."""
    return [Path(path).expanduser() for path in places.several(paths)]


def _moment(milliseconds: int | None) -> datetime | None:
    from datetime import UTC, datetime, timedelta

    if milliseconds is None:
        return None
    if not 0 < milliseconds < 2**43:
        raise InputError(f"`video_start_time={milliseconds}` is not a time", hint="give milliseconds since 1970, UTC")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _files(paths: list[Path], *, skip_subfolders: bool) -> list[Path]:
    """Return the given files, and the videos and logs of the given folders."""
    from mlygeo.formats import chapters

    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = path.glob("*") if skip_subfolders else path.rglob("*")
            wanted = chapters.ENDINGS | LOGS
            files = [file for file in inside if file.suffix.lower() in wanted and file.is_file()]
            found.update(dict.fromkeys(sorted(files, key=places.natural_key)))
        else:
            found[path] = None
    if not found:
        raise FileError(f"there is no video and no track in {', '.join(map(str, paths)) or 'nothing'}")
    return list(found)


def _joined(parts: list[gpd.GeoDataFrame], files: list[Path]) -> tuple[gpd.GeoDataFrame, dict[str, str]]:
    """Return several tracks frames as one, in which no two tracks share an id, and the file of each track."""
    import pandas as pd

    from mlygeo import frames

    paths: dict[str, str] = {}
    renamed = []
    for part, file in zip(parts, files, strict=True):
        names = {}
        for name in part["track_id"].unique():
            number, free = 2, name
            while free in paths:
                number, free = number + 1, f"{name} ({number})"
            paths[free] = str(file)
            names[name] = free
        renamed.append(part.assign(track_id=part["track_id"].map(names).astype("str")))
    if len(renamed) == 1:
        return renamed[0], paths
    for part in renamed:
        part.attrs = {}
    return frames.conform(pd.concat(renamed, ignore_index=True), frames.TRACKS), paths
