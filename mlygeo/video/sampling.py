"""Which frames of a video to take, and the time and place of each, before any is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo import frames
from mlygeo.actors import _frame_table
from mlygeo.errors import FormatError, InputError
from mlygeo.readers import video as telemetry
from mlygeo.spatial import geodesy
from mlygeo.spatial.track import Line, lines

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    import numpy.typing as npt

    from mlygeo.actors._frame_table import FrameTable, Wholes

    Reals = npt.NDArray[np.float64]

INTERVAL_S = 2.0
MAX_EXTRAPOLATION_S = 1.0
"""Seconds outside the track for which its end is extended."""

STEADY_S = 1.0
"""Seconds by which the time of the GPS may drift against the video's, and the two still run alike."""


@dataclass(frozen=True)
class Sampling:
    """
    How a video is sampled.

    Parameters
    ----------
    interval
        Seconds of the video between two frames; used unless `distance` is given.
    distance
        Metres along the track between two frames; None samples by time.
    start_time_ms
        Time of the start of the video, milliseconds since 1970 (UTC); None takes that of the GPS, else
        the creation time in the file.
    duration_ratio
        Seconds of the video to one second of time.

    Raises
    ------
    InputError
        If a value makes no sense.
    """

    interval: float = INTERVAL_S
    distance: float | None = None
    start_time_ms: int | None = None
    duration_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Check the values."""
        if not (np.isfinite(self.interval) and self.interval > 0):
            raise InputError(f"--video-sample-interval must be above 0 s, not {self.interval}")
        if self.distance is not None and not (np.isfinite(self.distance) and self.distance > 0):
            raise InputError(f"--video-sample-distance must be above 0 m, not {self.distance}")
        if not (np.isfinite(self.duration_ratio) and self.duration_ratio > 0):
            raise InputError(f"--video-duration-ratio must be above 0, not {self.duration_ratio}")
        if self.start_time_ms is not None and not 0 < self.start_time_ms < 2**43:
            raise InputError(
                f"--video-start-time {self.start_time_ms} is no time", hint="give milliseconds since 1970, UTC"
            )


@dataclass(frozen=True)
class Plan:
    """The frames to take of a video: rows of its table, and what is known of each; by time."""

    table: FrameTable
    rows: Wholes
    video_s: Reals
    captured_ms: Wholes
    lon: Reals
    lat: Reals
    altitude: Reals
    heading: Reals
    time_source: str
    make: str | None
    model: str | None
    is_pano: bool
    width: int
    height: int
    problem: str | None


def plan_frames(video: Path, *, sampling: Sampling, track: gpd.GeoDataFrame | None = None) -> Plan:
    """
    Decide which frames of a video to take, and tell their times and places, without decoding any.

    Parameters
    ----------
    video
        The video.
    sampling
        Which frames.
    track
        Tracks frame that tells the places, by the frames' capture times; None takes what the camera
        recorded in the video, by the time of the video.

    Returns
    -------
    plan
        The frames in the order of time.

    Raises
    ------
    FileError, FormatError
        If it cannot be read, holds no pictures, has no track to go along, or its time is not known.
    FrameError
        If the track has no point with a time.
    """
    table = _frame_table.frame_table(video)
    rows = table.in_order()
    if not len(rows):
        raise FormatError(f"{video.name} shows no frames")
    video_s = table.seconds(rows)
    info = telemetry.video_info(video)
    recorded = _track(video)
    captured_ms, source = _captured(video_s, sampling, recorded, info, video)
    line: Line | None = None
    moments = _micros(video_s)
    if track is not None:
        line, moments = _only_line(track), captured_ms * 1000
    elif recorded is not None:
        line = _line(recorded)
    if sampling.distance is None:
        chosen = _by_time(video_s, sampling.interval)
    elif line is None:
        raise FormatError(
            f"{video.name} holds no track to go along", hint="name one with --track, or sample it by time"
        )
    else:
        chosen = _by_distance(line, moments, sampling.distance)
        if not len(chosen):
            raise FormatError(f"{video.name} lies outside the track in time", hint=_when(line, captured_ms, track))
    rows, video_s, captured_ms, moments = rows[chosen], video_s[chosen], captured_ms[chosen], moments[chosen]
    unknown = np.full(len(rows), np.nan)
    lon, lat, altitude, heading = unknown, unknown, unknown, unknown
    if line is not None:
        places = line.locate(moments, max_extrapolation=MAX_EXTRAPOLATION_S, max_gap=None)
        lon, lat, altitude, heading = places.lon, places.lat, places.altitude, places.bearing
    size = (info.width, info.height) if info.rotation % 180 == 0 else (info.height, info.width)
    return Plan(
        table, rows, video_s, captured_ms, lon, lat, altitude, heading, source, info.make, info.model, info.is_pano,
        *size, info.problem,
    )  # fmt: skip


def _track(video: Path) -> gpd.GeoDataFrame | None:
    try:
        track = telemetry.read_video(video)
    except FormatError:
        return None
    return track if len(track) else None


def _micros(seconds: Reals) -> Wholes:
    return np.round(seconds * 1e6).astype(np.int64)


def _line(track: gpd.GeoDataFrame) -> Line:
    """Return a track by the time of the video, which is what ties it to the frames."""
    lon, lat = frames.lonlat(track)
    times = _micros(track["video_time_s"].to_numpy())
    order = np.argsort(times, kind="stable")
    altitude = track["altitude"].to_numpy()
    number = np.zeros(len(track), dtype=np.int64)
    return Line(times[order], lon[order], lat[order], altitude[order], number).once()


def _by_time(video_s: Reals, interval: float) -> Wholes:
    """Return the frames nearest to each multiple of the interval, from the first frame to the end of the last."""
    lasts = float(np.median(np.diff(video_s))) if len(video_s) > 1 else 0.0
    targets = video_s[0] + interval * np.arange(int(np.ceil((video_s[-1] + lasts - video_s[0]) / interval - 1e-6)) or 1)
    after = np.clip(np.searchsorted(video_s, targets), 1, max(len(video_s) - 1, 1))
    before = after - 1
    if len(video_s) == 1:
        return np.zeros(1, dtype=np.int64)
    nearer = np.where(targets - video_s[before] <= video_s[after] - targets, before, after)
    return np.unique(nearer)


def _only_line(track: gpd.GeoDataFrame) -> Line:
    line, overlapping = lines(track)
    if overlapping:
        raise InputError(
            f"{len(overlapping)} tracks overlap in time, and frames can lie on one only", hint="name one --track"
        )
    return line


def _when(line: Line, captured_ms: Wholes, track: gpd.GeoDataFrame | None) -> str | None:
    """Return when the track and the video were recorded, in words."""
    if track is None:
        return None
    told = [
        " to ".join(f"{np.datetime64(int(ms), 'ms').astype('datetime64[s]')}Z" for ms in (times[0], times[-1]))
        for times in (line.time // 1000, captured_ms)
    ]
    return f"the track is of {told[0]}, the video of {told[1]}; --video-start-time sets the video's start"


def _by_distance(line: Line, moments: Wholes, distance: float) -> Wholes:
    """Return the frames of a walk along the track: the first on it, then each so far from the last one taken."""
    places = line.locate(moments, max_extrapolation=MAX_EXTRAPOLATION_S, max_gap=None)
    on_track = np.flatnonzero(np.isfinite(places.lon))
    if not len(on_track):
        return on_track
    lon, lat = places.lon[on_track], places.lat[on_track]
    # Which frame is next depends on which was last: a walk. It looks ahead in strides, not frame by frame.
    taken, at, stride = [0], 1, 64
    while at < len(lon):
        ahead = slice(at, at + stride)
        way = geodesy.distance(lon[taken[-1]], lat[taken[-1]], lon[ahead], lat[ahead])
        far = np.flatnonzero(way >= distance)
        if len(far):
            taken.append(at + int(far[0]))
            at, stride = taken[-1] + 1, max(64, min(2 * int(far[0]) + 2, 4096))
        else:
            at, stride = at + stride, min(2 * stride, 4096)
    return on_track[taken]


def _captured(
    video_s: Reals, sampling: Sampling, track: gpd.GeoDataFrame | None, info: telemetry.VideoInfo, video: Path
) -> tuple[Wholes, str]:
    """
    Return the capture times, milliseconds since 1970, and where they come from.

    What the user says counts before the GPS, and the GPS before the creation time, since some cameras
    write that in local time. Where the GPS runs at the pace of the video, its start is what most points
    say, which evens out the late first fix of some cameras; else, in a time lapse, each frame has the
    time of the GPS at its place.
    """
    ratio = sampling.duration_ratio
    start_ms, source = sampling.start_time_ms, "option"
    if start_ms is None and track is not None and track["time"].notna().any() and _has_gps_time(track, info):
        timed = track[track["time"].notna()]
        told_s = timed["time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
        ahead = told_s - timed["video_time_s"].to_numpy()
        if np.subtract(*np.percentile(ahead, [90, 10])) > STEADY_S:
            order = np.argsort(timed["video_time_s"].to_numpy(), kind="stable")
            known = timed["video_time_s"].to_numpy()[order]
            outside = (video_s - np.clip(video_s, known[0], known[-1])) / ratio
            told = np.interp(video_s, known, told_s[order]) + outside
            return np.round(told * 1000).astype(np.int64), "gps"
        start_ms, source = round(float(np.median(ahead)) * 1000), "gps"
    if start_ms is None and info.start_time is not None:
        start_ms, source = round(info.start_time.timestamp() * 1000), "creation_time"
    if start_ms is None:
        raise FormatError(f"{video.name} does not say when it was recorded", hint="give --video-start-time")
    return start_ms + np.round(video_s / ratio * 1000).astype(np.int64), source


def _has_gps_time(track: gpd.GeoDataFrame, info: telemetry.VideoInfo) -> bool:
    """Return whether the track's times are the GPS's own, rather than counted from the creation time."""
    return bool(track.attrs["gps_time"]) or info.start_time is None
