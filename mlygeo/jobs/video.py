"""The jobs on videos: their tracks, and frames sampled from them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import places
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.pipelines.job import Job, counted, version

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime

    import geopandas as gpd

    from mlygeo.pipelines.options import Telemetry
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.jobs")

LOGS = frozenset({".gpx", ".nmea", ".csv", ".log"})
"""Endings of files that are taken for tracks where a folder is searched; those of GPS loggers."""


def tracks(
    paths: PathLike | Iterable[PathLike],
    *,
    source: Telemetry,
    max_dop: float,
    keep_outliers: bool,
    video_start_time: int | None,
    skip_subfolders: bool,
    progress: Progress | None,
) -> Job[Any]:
    """Do what `tracks` says."""
    from mlygeo import store
    from mlygeo.progress import Progress
    from mlygeo.readers import tracks as logs
    from mlygeo.readers import video

    start = _moment(video_start_time)
    files = _files(_listed(paths), skip_subfolders=skip_subfolders)
    parts: list[gpd.GeoDataFrame] = []
    failed: dict[str, str] = {}
    errors: list[FileError] = []
    with (progress or Progress()).bar("tracks", total=len(files), unit="files") as bar:
        for file in files:
            try:
                if file.suffix.lower() in video.ENDINGS:
                    part = video.read_video(
                        file, source=source, max_dop=max_dop, keep_outliers=keep_outliers, start_time=start
                    )
                else:
                    part = logs.read_track(file)
                parts.append(part)
            except (FileError, FormatError) as error:
                log.warning("%s", error)
                failed[str(file)] = str(error)
                errors.append(error)
            bar.advance()
    if not parts:
        raise errors[0]
    joined = _joined(parts)
    summary: dict[str, Any] = {
        "files": len(files),
        "tracks": int(joined["track_id"].nunique()),
        "points": len(joined),
        "dropped": sum(sum(part.attrs.get("dropped", {}).values()) for part in parts),
        "failed": failed,
        "version": version(),
    }
    headline = f"{counted(len(joined), 'point')} in {counted(summary['tracks'], 'track')}"
    if summary["dropped"]:
        headline += f"; {counted(summary['dropped'], 'point')} without a good fix left out"
    if failed:
        headline += f"; {counted(len(failed), 'file')} without a track"

    def write(path: Path) -> list[Path]:
        if path.name.lower().endswith((".gpx", ".gpx.gz")):
            return [logs.write_track(joined, path)]
        return [store.write_frame(joined, path)]

    return Job(lambda: joined, summary, headline, write, list(failed))


def sample_video(
    videos: PathLike | Iterable[PathLike] | None,
    *,
    video_import_path: PathLike | None,
    import_path: PathLike | None,
    video_sample_interval: float,
    video_sample_distance: float | None,
    video_start_time: int | None,
    video_duration_ratio: float,
    skip_subfolders: bool,
    track: PathLike | None,
    rerun: bool,
    decoder: str,
    hardware: str | None,
    progress: Progress | None,
) -> Job[Any]:
    """Do what `sample_video` says."""
    from mlygeo import store
    from mlygeo.video.frames import Sampling, find_videos, sample_frames

    sampling = Sampling(video_sample_interval, video_sample_distance, video_start_time, video_duration_ratio)
    named = _listed(videos) + _listed(video_import_path)
    if not named:
        raise InputError("no video", hint="name videos, or folders of them")
    folder = None if import_path is None else Path(import_path).expanduser()
    found = find_videos(named, folder=folder, skip_subfolders=skip_subfolders)
    if not found:
        raise FileError(f"there is no video in {', '.join(map(str, named))}")
    images = sample_frames(
        found,
        sampling=sampling,
        track=None if track is None else _track(Path(track).expanduser(), progress),
        rerun=rerun,
        decoder=decoder,
        hardware=hardware,
        progress=progress,
    )
    wrong = images[images["error"].notna()]
    failed = dict(zip(wrong["path"], wrong["error"], strict=True))
    sampled = len(images) - len(wrong)
    summary: dict[str, Any] = {
        "videos": len(found),
        "frames": sampled,
        "with_position": int(images.geometry.notna().sum()),
        "folders": sorted({str(target) for _, target in found}),
        "failed": failed,
        "version": version(),
    }
    headline = (
        f"{counted(sampled, 'frame')} of {counted(len(found), 'video')}, {summary['with_position']:,} with a position"
    )
    if failed:
        headline += f"; {counted(len(failed), 'video')} not whole"
    return Job(lambda: images, summary, headline, lambda path: [store.write_frame(images, path)], list(failed))


def frames_folder(path: PathLike) -> Path:
    """
    Return the folder in which the frames of a video, or of a folder of videos, go unless another is named.

    Parameters
    ----------
    path
        A video, or a folder of them.
    """
    from mlygeo.video.frames import FOLDER

    place = Path(path).expanduser()
    return (place if place.is_dir() else place.parent) / FOLDER


def start_of_track(track: PathLike | None, videos: list[Any]) -> int | None:
    """
    Return when a track starts, for a video whose own clock does not count.

    Parameters
    ----------
    track
        A log, or a tracks frame; None is no track.
    videos
        What the video is named by.

    Returns
    -------
    start
        Milliseconds since 1970; None where there are several videos: they did not all start with the track.

    Raises
    ------
    FileError, FormatError
        If the track cannot be read.
    """
    if track is None or len(videos) != 1 or Path(videos[0]).expanduser().is_dir():
        return None
    times = _track(Path(track).expanduser(), None)["time"].dropna()
    return int(times.min().timestamp() * 1000) if len(times) else None


def _track(path: Path, progress: Progress | None) -> gpd.GeoDataFrame:
    """Return the track that tells where videos went: a tracks frame, a log, or another video."""
    from mlygeo import frames, store
    from mlygeo.readers import video

    if path.is_file() and path.suffix.lower() not in LOGS | video.ENDINGS | {".gz", ".txt", ".tsv"}:
        return frames.conform(store.read_frame(path), frames.TRACKS)
    job = tracks(
        path,
        source="auto",
        max_dop=video.MAX_DOP,
        keep_outliers=False,
        video_start_time=None,
        skip_subfolders=False,
        progress=progress,
    )
    return job.result


def _listed(paths: Any) -> list[Path]:
    return [Path(path).expanduser() for path in places.several(paths)]


def _moment(milliseconds: int | None) -> datetime | None:
    from datetime import UTC, datetime, timedelta

    if milliseconds is None:
        return None
    if not 0 < milliseconds < 2**43:
        raise InputError(f"--video-start-time {milliseconds} is no time", hint="give milliseconds since 1970, UTC")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def _files(paths: list[Path], *, skip_subfolders: bool) -> list[Path]:
    """Return the files that are named, and the videos and logs of the folders that are."""
    from mlygeo.readers import video

    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = path.glob("*") if skip_subfolders else path.rglob("*")
            wanted = video.ENDINGS | LOGS
            found.update(
                dict.fromkeys(sorted(file for file in inside if file.suffix.lower() in wanted and file.is_file()))
            )
        else:
            found[path] = None
    if not found:
        raise FileError(f"there is no video and no track in {', '.join(map(str, paths)) or 'nothing'}")
    return list(found)


def _joined(parts: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return several tracks frames as one, in which no two tracks share an id."""
    import pandas as pd

    from mlygeo import frames

    taken: set[str] = set()
    renamed = []
    for part in parts:
        names = {}
        for name in part["track_id"].unique():
            number, free = 2, name
            while free in taken:
                number, free = number + 1, f"{name} ({number})"
            taken.add(free)
            names[name] = free
        renamed.append(part.assign(track_id=part["track_id"].map(names).astype("str")))
    if len(renamed) == 1:
        return renamed[0]
    for part in renamed:
        part.attrs = {}
    return frames.conform(pd.concat(renamed, ignore_index=True), frames.TRACKS)
