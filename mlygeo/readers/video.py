"""
Videos -> tracks frames, and facts about them: GoPro, BlackVue, CAMM, and NMEA in text tracks.

Only headers and telemetry are read. This package reads the boxes itself, since no library reads the
telemetry of all these cameras with its time in the video; whatever a damaged file claims, time and
memory stay bounded.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from mlygeo.errors import FileError, FormatError, InputError, unreadable
from mlygeo.extras import install_hint
from mlygeo.formats import chapters, mp4, times
from mlygeo.progress import working
from mlygeo.readers.cameras import CAMERAS, reader_of
from mlygeo.readers.cameras.positions import Points, Recorded, as_tracks, on_the_timeline, without_noise

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from datetime import datetime

    import geopandas as gpd

    from mlygeo.readers.cameras import Telemetry

log = logging.getLogger("mlygeo.readers.video")

MAX_DOP = 10.0
"""Largest dilution of precision of a position that is kept."""


@dataclass(frozen=True)
class VideoInfo:
    """
    Facts from a video's headers.

    `start_time` is the creation time in the file; cameras write it in UTC, except GoPro, whose clock has
    local time; None when unknown, or impossible. `rotation` is the clockwise rotation that shows the pictures
    upright, degrees; `width` and `height` are pixels as stored. `telemetry` names the source of positions, None
    where there is none. `problem` says what is damaged, `warning` what is in doubt. `tracks_of_pictures` counts
    the tracks of pictures, of which the largest is read.
    """

    path: str
    start_time: datetime | None
    duration_s: float
    frame_rate: float
    frames: int
    width: int
    height: int
    rotation: int
    is_pano: bool
    codec: str
    make: str | None
    model: str | None
    telemetry: str | None
    filesize: int
    problem: str | None
    warning: str | None = None
    tracks_of_pictures: int = 1


@working("reading the track in a video")
def read_video(
    path: str | os.PathLike[str],
    *,
    source: Telemetry = "auto",
    max_dop: float = MAX_DOP,
    keep_outliers: bool = False,
    start_time: datetime | None = None,
) -> gpd.GeoDataFrame:
    """
    Read the positions that a camera recorded in its video.

    Points without a fix, with a dilution of precision over `max_dop`, and far outliers are dropped, as in
    mapillary_tools. Points of unknown fix or precision are kept. Only times are interpolated: GoPro writes about one
    a second, and the points between are spread evenly. Points that the track's edit list hides are dropped. Times far
    from the others, which receivers write before they know the time, are ignored. The times of the GPS are compared
    with the creation time of the file, by the rules of `mlygeo.formats.times.decide`: rollovers of the week number
    and wrong days are corrected, and reported.

    Parameters
    ----------
    path
        The video: MP4 or QuickTime.
    source
        Source of positions, a name in `mlygeo.readers.cameras.CAMERAS`: "gopro" (a GPMF track; of streams
        GPS5 and GPS9 the first in the file), "camm" (a CAMM track: types 6, else 5), "blackvue" (NMEA
        sentences in a `gps ` box), "nmea" (NMEA sentences in a text track); "auto": the first with positions.
    max_dop
        Largest dilution of precision that is kept; infinity keeps all.
    keep_outliers
        Keep points that lie far from the others.
    start_time
        Time of the start of the video (UTC), for positions without a time of their own. Default: the
        creation time in the file.

    Returns
    -------
    tracks
        Tracks frame in the order of the video, and the columns `video_time_s` (float64: seconds from the
        first picture of the video), `fix` (Int64: 2 or 3 dimensions), `dop` and `speed_ms` (float64). `time`
        is that of the GPS where there is one, null where no time is known. `attrs` has `source`, `make`,
        `model`, `left_out` (the number of points, or only times, that were left out, by reason), `problems`
        (what is in doubt) and `gps_time` (whether the times are the GPS's own).

    Raises
    ------
    FileError
        If the file is missing or cannot be read.
    FormatError
        If it is not such a video, or has no positions.
    InputError
        If an option is invalid.

    Examples
    --------
    >>> read_video("GH010042.MP4")[["time", "video_time_s", "altitude"]]
    """
    path = Path(path).expanduser()
    if not max_dop > 0:
        raise InputError(f"`max_dop` must be above 0, not {max_dop}")
    with _opened(path) as file:
        size = path.stat().st_size
        movie = mp4.read_movie(file, size)
        name, recorded, left_out = record_of(
            file, size, movie, source=source,
            cleaned=lambda points: without_noise(points, max_dop=max_dop, outliers=not keep_outliers),
        )  # fmt: skip
    if movie is None and not len(recorded.points):
        raise FormatError(f"{path.name} is not an MP4 or QuickTime video, or its headers are lost")
    if name is None:
        asked = "" if source == "auto" else f" of {source}"
        why = "".join(f", {count:,} {reason}" for reason, count in left_out.items())
        raise FormatError(
            f"{path.name} contains no positions{asked}{why}", hint="a GPX or NMEA log can be given beside it"
        )
    created, wrong = _created(movie)
    points, problems = _decided(recorded.points, created, path.stem)
    if wrong and not np.isfinite(points.epoch_s).any():
        problems = [*problems, wrong]
    if recorded.track is not None:
        problems += recorded.track.timeline.problems
    tracks = as_tracks(path.stem, points, start_time or created)
    tracks.attrs |= {
        "source": name, "make": recorded.make, "model": recorded.model, "left_out": left_out,
        "problems": problems, "gps_time": bool(np.isfinite(points.epoch_s).any()),
    }  # fmt: skip
    for problem in problems:
        log.warning("%s: %s", path.name, problem)
    log.info(
        "%s: %s points of %s; left out: %s",
        *(path.name, f"{len(points):,}", name),
        ", ".join(f"{count:,} {reason}" for reason, count in tracks.attrs["left_out"].items()) or "none",
    )
    return tracks


def gps_start_s(track: gpd.GeoDataFrame) -> float | None:
    """
    Return when a video began by the times of the GPS in it, seconds since 1970; None where it has none.

    It is the median over all points, which corrects the late first fix of some cameras.

    Parameters
    ----------
    track
        From `read_video`.
    """
    timed = track[track["time"].notna()] if track.attrs["gps_time"] else track[:0]
    if not len(timed):
        return None
    gps_s = timed["time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
    return float(np.median(gps_s - timed["video_time_s"].to_numpy()))


def video_info(path: str | os.PathLike[str]) -> VideoInfo:
    """
    Return the metadata in the headers of a video.

    Parameters
    ----------
    path
        The video: MP4 or QuickTime; with PyAV (the package `av`) whatever FFmpeg opens.

    Returns
    -------
    info
        Start time, make, model, duration, frame rate, size, and the source of telemetry.

    Raises
    ------
    FileError
        If the file is missing or cannot be read.
    FormatError
        If it is not a video, or its headers are missing.

    Examples
    --------
    >>> video_info("GH010042.MP4").duration_s
    """
    path = Path(path).expanduser()
    with _opened(path) as file:
        size = path.stat().st_size
        movie = mp4.read_movie(file, size)
        name, recorded, _ = record_of(file, size, movie, source="auto", first_only=True)
    track = None if movie is None else movie.video
    if movie is not None and track is None and movie.fragmented:
        # FFmpeg would find none either, but would allocate as much memory as fragments claim.
        raise FormatError(f"{path.name} contains no pictures")
    if movie is None or track is None:
        return _info_of_other(path, size)
    shown = len(track.samples.shown)
    seconds = float(track.samples.duration.sum()) / track.timescale
    texts = movie.texts
    created, wrong = _created(movie)
    warnings = [wrong] if wrong else []
    warnings += track.timeline.problems
    pictures = sum(each.is_video for each in movie.tracks)
    if pictures > 1:
        halves = ", the parts of a sphere that are not joined" if path.suffix.lower() == ".360" else ""
        warnings.append(f"it has {pictures} tracks of pictures{halves}, of which the first of the largest is read")
    is_gopro = any(b"gpmd" in each.formats for each in movie.tracks)
    return VideoInfo(
        path=str(path),
        start_time=created,
        duration_s=movie.duration_s,
        frame_rate=shown / seconds if seconds > 0 else float("nan"),
        frames=shown,
        width=track.width,
        height=track.height,
        rotation=track.rotation,
        is_pano=track.sphere,
        codec=track.formats[0].decode("latin-1") if track.formats else "",
        make=texts.get("make") or recorded.make or ("GoPro" if is_gopro else None),
        model=texts.get("model") or recorded.model,
        telemetry=name,
        filesize=size,
        problem=movie.damage,
        warning="; ".join(warnings) or None,
        tracks_of_pictures=pictures,
    )


def record_of(
    file: BinaryIO,
    size: int,
    movie: mp4.Movie | None,
    *,
    source: Telemetry,
    first_only: bool = False,
    cleaned: Callable[[Points], tuple[Points, dict[str, int]]] | None = None,
) -> tuple[str | None, Recorded, dict[str, int]]:
    """
    Return the camera whose telemetry an open video has, the positions on the video's timeline, and what is none.

    Parameters
    ----------
    file
        Open for reading.
    size
        Its bytes.
    movie
        Its headers; None where they are missing (a BlackVue box can be read without them).
    source
        As in `read_video`.
    first_only
        Stop at the first payload with positions, which is enough to know source and camera.
    cleaned
        Returns points without those that are unreliable, and counts by reason; None keeps all.
    """
    created, _ = _created(movie)
    left_out: dict[str, int] = {}
    for name in CAMERAS:
        if source in {"auto", name}:
            recorded = reader_of(name)(file, size, movie, first_only)
            if recorded is None:
                continue
            created_s = np.nan if created is None else created.timestamp()
            points, counts = on_the_timeline(recorded, movie, created_s, cleaned)
            left_out = {reason: left_out.get(reason, 0) + count for reason, count in counts.items()} | {
                reason: count for reason, count in left_out.items() if reason not in counts
            }
            if not first_only and movie is not None:
                others = sum(bool({b"gpmd", b"camm"} & set(track.formats)) for track in movie.tracks)
                others -= recorded.track is not None and name in {"gopro", "camm"}
                left_out |= {"tracks of telemetry": others} if others else {}
            if len(points) or len(recorded.points.possible()):
                return name, recorded._replace(points=points), left_out
    return None, Recorded(Points.joined([]), None, None), left_out


def _created(movie: mp4.Movie | None) -> tuple[datetime | None, str | None]:
    """Return the creation time of a video, and what is in doubt about it."""
    return (None, None) if movie is None else movie.start(time.time_ns() // 1000)


def _decided(points: Points, created: datetime | None, stem: str) -> tuple[Points, list[str]]:
    """Return points with the times that are likelier, of those of the GPS and the file's, and what is in doubt."""
    dated = np.flatnonzero(np.isfinite(points.epoch_s))
    if not len(dated):
        return points, []
    first = dated[np.argmin(points.video_s[dated])]
    start_us = round((points.epoch_s[first] - points.video_s[first]) * 1e6)
    clocks = [] if created is None else [times.Reading(round(created.timestamp()) * times.SECOND_US)]
    chapter = chapters.named_chapter(stem)
    # The chapters of a GoPro have the time at which the first of them began.
    earlier_us = 0 if chapter is None else chapter.number * times.HOUR_US
    if clocks and 0 <= start_us - clocks[0].us <= earlier_us:
        clocks = []
    decision = times.decide(
        start_us, clocks, now_us=time.time_ns() // 1000, lon=float(points.lon[first]), stem=lambda: stem
    )
    doubts = list(decision.doubts)
    if decision.source == "gps" and decision.us is not None:
        points = replace(points, epoch_s=points.epoch_s + (decision.us - start_us) / 1e6)
        apart_us = clocks[0].us - decision.us if clocks else 0
        if not doubts and abs(apart_us) > times.AGREES_US:
            hours = f"{abs(apart_us) / times.HOUR_US:.3g} h {'ahead of' if apart_us > 0 else 'behind'}"
            doubts.append(f"its creation time is {hours} the GPS time, which counts")
    else:
        points = replace(points, epoch_s=np.full(len(points), np.nan))
    return points, doubts


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=mp4.BUFFER)
    except OSError as error:
        raise FileError(unreadable(path, error)) from error


def opened(path: Path, *, options: dict[str, str] | None = None, hwaccel: Any = None) -> Any:
    """
    Open a video with PyAV; bytes of its metadata that are not UTF-8 are no error.

    Parameters
    ----------
    path
        A video.
    options
        As of `av.open`.
    hwaccel
        Likewise.

    Returns
    -------
    container
        To be closed by the caller.
    """
    import av

    # From 19 on, PyAV does so by itself, and has no such option.
    if int(av.__version__.partition(".")[0]) < 19:
        return av.open(str(path), metadata_errors="surrogateescape", options=options, hwaccel=hwaccel)
    return av.open(str(path), options=options, hwaccel=hwaccel)


def _said(metadata: dict[str, str], name: str) -> str | None:
    """Return a text of the metadata; what is not UTF-8 in it is replaced, so that frames and files take it."""
    text = metadata.get(name)
    return None if text is None else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def pictures_of(container: Any) -> list[Any]:
    """
    Return the streams of moving pictures that can be decoded; covers and previews are none.

    Parameters
    ----------
    container
        As PyAV opened it.
    """
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails
    found = [stream for stream in container.streams.video if stream.codec_context is not None]
    return [stream for stream in found if not stream.disposition & still]


def _moment(text: str | None) -> tuple[datetime | None, str | None]:
    """Return a creation time that is written as text, and why there is none though one is written."""
    from datetime import UTC, datetime

    if not text:
        return None, None
    read = times.read(text)
    if read is None:
        return None, f"its creation time, {text[:40]!r}, is not understood"
    why = times.implausible(read.us, time.time_ns() // 1000)
    if why is not None:
        return None, f"its creation time, {times.shown(read.us)}, is {why}"
    return datetime.fromtimestamp(read.us / times.SECOND_US, UTC), None


def _info_of_other(path: Path, size: int) -> VideoInfo:
    """Return the facts that FFmpeg gives for a file that is not an MP4."""
    try:
        import av
    except ImportError as error:
        raise FormatError(
            f"{path.name} is not an MP4 or QuickTime video, or its headers are lost; other kinds are read with PyAV, "
            "which is not installed",
            hint=install_hint("video"),
        ) from error
    try:
        with opened(path) as container:
            streams = pictures_of(container)
            if not streams:
                raise FormatError(f"{path.name} contains no pictures")
            stream = max(streams, key=lambda found: found.width * found.height)
            text = _said(container.metadata, "creation_time") or _said(stream.metadata, "creation_time")
            start, wrong = _moment(text)
            several = f"it has {len(streams)} tracks of pictures, of which the first of the largest is read"
            return VideoInfo(
                path=str(path),
                start_time=start,
                duration_s=container.duration / 1e6 if container.duration else float("nan"),
                frame_rate=float(stream.average_rate) if stream.average_rate else float("nan"),
                frames=stream.frames,
                width=stream.width,
                height=stream.height,
                rotation=0,
                is_pano=False,
                codec=stream.codec_context.name,
                make=_said(container.metadata, "make"),
                model=_said(container.metadata, "model"),
                telemetry=None,
                filesize=size,
                problem=None,
                warning="; ".join(filter(None, [wrong, several if len(streams) > 1 else None])) or None,
                tracks_of_pictures=len(streams),
            )
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path.name} is not a video, or its headers are lost") from error
