"""Selecting the frames of a video, with the time and position of each, before any is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import DependencyError, FileError, FormatError, InputError
from mlygeo.formats import mp4
from mlygeo.readers import video as telemetry
from mlygeo.spatial import geodesy
from mlygeo.spatial.track import Line, lines

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Whole

INTERVAL_S = 2.0

MAX_EXTRAPOLATION_S = 1.0
"""Seconds outside the track for which its end is extended."""

STEADY_S = 1.0
"""Seconds by which the time of the GPS may drift against the video's if both run at the same pace."""


def plan_frames(video: Path, *, sampling: Sampling, track: gpd.GeoDataFrame | None = None) -> Plan:
    """
    Select the frames of a video, with their times and positions, without decoding any.

    Parameters
    ----------
    video
        The video.
    sampling
        How the video is sampled.
    track
        Tracks frame that gives the positions by the frames' capture times; None uses the track that the
        camera recorded in the video, by the time of the video.

    Returns
    -------
    plan
        The frames in the order of time.

    Raises
    ------
    FileError, FormatError
        If it cannot be read, has no pictures, lacks the track to sample along, or its time is unknown.
    FrameError
        If the track has no point with a time.
    """
    table = frame_table(video)
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
            f"{video.name} holds no track to go along", hint="name one with `track`, or sample it by time"
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
        Time of the start of the video, milliseconds since 1970 (UTC); None uses the time of the GPS,
        else the creation time in the file.
    duration_ratio
        Seconds of the video for one second of real time.

    Raises
    ------
    InputError
        If a value is invalid.
    """

    interval: float = INTERVAL_S
    distance: float | None = None
    start_time_ms: int | None = None
    duration_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Check the values."""
        if not (np.isfinite(self.interval) and self.interval > 0):
            raise InputError(f"`video_sample_interval` must be above 0 s, not {self.interval}")
        if self.distance is not None and not (np.isfinite(self.distance) and self.distance >= 0):
            raise InputError(f"`video_sample_distance` must be 0 m or more, not {self.distance}")
        if not (np.isfinite(self.duration_ratio) and self.duration_ratio > 0):
            raise InputError(f"`video_duration_ratio` must be above 0, not {self.duration_ratio}")
        if self.start_time_ms is not None and not 0 < self.start_time_ms < 2**43:
            raise InputError(
                f"`video_start_time={self.start_time_ms}` is no time", hint="give milliseconds since 1970, UTC"
            )


@dataclass(frozen=True)
class Plan:
    """The selected frames of a video, by time: rows of its table, and the values of each."""

    table: FrameTable
    rows: Whole
    video_s: Floats
    captured_ms: Whole
    lon: Floats
    lat: Floats
    altitude: Floats
    heading: Floats
    time_source: str
    make: str | None
    model: str | None
    is_pano: bool
    width: int
    height: int
    problem: str | None


def _track(video: Path) -> gpd.GeoDataFrame | None:
    try:
        track = telemetry.read_video(video)
    except FormatError:
        return None
    return track if len(track) else None


def _micros(seconds: Floats) -> Whole:
    return np.round(seconds * 1e6).astype(np.int64)


def _line(track: gpd.GeoDataFrame) -> Line:
    """Return a track by the time of the video, which relates it to the frames."""
    lon, lat = frames.lonlat(track)
    times = _micros(track["video_time_s"].to_numpy())
    order = np.argsort(times, kind="stable")
    altitude = track["altitude"].to_numpy()
    number = np.zeros(len(track), dtype=np.int64)
    return Line(times[order], lon[order], lat[order], altitude[order], number).once()


def _by_time(video_s: Floats, interval: float) -> Whole:
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
            f"{len(overlapping)} tracks overlap in time, and frames can lie on one only", hint="name one `track`"
        )
    return line


def _when(line: Line, captured_ms: Whole, track: gpd.GeoDataFrame | None) -> str | None:
    """Return when the track and the video were recorded, in words."""
    if track is None:
        return None
    spans = [
        " to ".join(f"{np.datetime64(int(ms), 'ms').astype('datetime64[s]')}Z" for ms in (times[0], times[-1]))
        for times in (line.time // 1000, captured_ms)
    ]
    return f"the track is of {spans[0]}, the video of {spans[1]}; `video_start_time` sets the video's start"


def _by_distance(line: Line, moments: Whole, distance: float) -> Whole:
    """Return frames at distances along the track: the first on it, then each `distance` from the last selected one."""
    places = line.locate(moments, max_extrapolation=MAX_EXTRAPOLATION_S, max_gap=None)
    on_track = np.flatnonzero(np.isfinite(places.lon))
    if not len(on_track):
        return on_track
    lon, lat = places.lon[on_track], places.lat[on_track]
    # The next frame depends on the last one: sequential by nature. The search goes in strides, not frame by frame.
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
    video_s: Floats, sampling: Sampling, track: gpd.GeoDataFrame | None, info: telemetry.VideoInfo, video: Path
) -> tuple[Whole, str]:
    """
    Return the capture times, milliseconds since 1970, and their source.

    The user's option comes before the GPS, and the GPS before the creation time, which some cameras write
    in local time. If GPS and video run at the same pace, the start is the median over all points, which
    corrects the late first fix of some cameras. Otherwise, in a time lapse, each frame has the time of the
    GPS at its place in the video.
    """
    ratio = sampling.duration_ratio
    start_ms, source = sampling.start_time_ms, "option"
    if start_ms is None and track is not None and track["time"].notna().any() and _has_gps_time(track, info):
        timed = track[track["time"].notna()]
        gps_s = timed["time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
        ahead = gps_s - timed["video_time_s"].to_numpy()
        if np.subtract(*np.percentile(ahead, [90, 10])) > STEADY_S:
            order = np.argsort(timed["video_time_s"].to_numpy(), kind="stable")
            known = timed["video_time_s"].to_numpy()[order]
            outside = (video_s - np.clip(video_s, known[0], known[-1])) / ratio
            captured_s = np.interp(video_s, known, gps_s[order]) + outside
            return np.round(captured_s * 1000).astype(np.int64), "gps"
        start_ms, source = round(float(np.median(ahead)) * 1000), "gps"
    if start_ms is None and info.start_time is not None:
        start_ms, source = round(info.start_time.timestamp() * 1000), "creation_time"
    if start_ms is None:
        raise FormatError(f"{video.name} does not say when it was recorded", hint="give `video_start_time`")
    return start_ms + np.round(video_s / ratio * 1000).astype(np.int64), source


def _has_gps_time(track: gpd.GeoDataFrame, info: telemetry.VideoInfo) -> bool:
    """Return whether the track's times are the GPS's own, rather than counted from the creation time."""
    return bool(track.attrs["gps_time"]) or info.start_time is None


# The frames of a video, in the order of storage, with their presentation times, without decoding.


def frame_table(path: Path) -> FrameTable:
    """
    Return the frames of a video: from the tables in its headers, or by reading all its packets.

    Parameters
    ----------
    path
        The video.

    Raises
    ------
    DependencyError
        If PyAV is missing.
    FileError
        If the file cannot be read.
    FormatError
        If it has no pictures, or no index of their positions.
    """
    av = library()
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            streams = [stream for stream in container.streams.video if stream.codec_context is not None]
            if not streams:
                raise FormatError(f"{path.name} holds no pictures that can be decoded")
            stream = max(streams, key=lambda found: (found.width * found.height, -found.index))
            for other in container.streams:
                if other is not stream:
                    other.discard = av.stream.Discard.all
            table = _from_headers(path, stream) or _from_packets(av, container, stream)
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, FileError):
            raise
        lost = isinstance(error, av.InvalidDataError)
        why = "it is no video, or its headers are lost" if lost else str(getattr(error, "strerror", error))
        raise (FormatError if lost else FileError)(f"{path.name} cannot be opened: {why}") from error
    if not len(table.pts):
        raise FormatError(f"{path.name} holds no frames")
    return table


@dataclass(frozen=True)
class FrameTable:
    """
    The frames of the largest video stream of a file.

    `pts` (when a frame is shown) and `dts` (when it is decoded) count units of `time_base`; `key` marks
    frames that need no others; `shown` those that the video's edit list includes. All are in the order
    of the file. `stream` is the index of the stream, `offset` the number added to its own times.
    """

    stream: int
    time_base: Fraction
    pts: Whole
    dts: Whole
    key: Flags
    shown: Flags
    offset: int = 0

    def seconds(self, rows: Whole) -> Floats:
        """Return the times of frames, seconds from the start of the video."""
        seconds: Floats = np.multiply(self.pts[rows], float(self.time_base), dtype=np.float64)
        return seconds

    def in_order(self) -> Whole:
        """Return the rows of the shown frames, in the order of time, each time once."""
        rows = np.flatnonzero(self.shown)
        rows = rows[np.argsort(self.pts[rows], kind="stable")]
        first = np.ones(len(rows), dtype=bool)
        first[1:] = np.diff(self.pts[rows]) > 0
        return rows[first]


def library() -> Any:
    """
    Return PyAV.

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise DependencyError("videos are decoded with PyAV, which is missing", hint="pip install av") from error
    return av


def _from_headers(path: Path, stream: Any) -> FrameTable | None:
    """Return the table of an MP4's headers; None where they are incomplete."""
    with path.open("rb", buffering=mp4.BUFFER) as file:
        movie = mp4.read_movie(file, path.stat().st_size)
    # From a fragment that was cut off, FFmpeg returns the complete frames.
    if movie is None or (movie.fragmented and movie.damage):
        return None
    track = next((track for track in movie.tracks if track.number == stream.id and track.is_video), None)
    if track is None or track.delay is None or Fraction(1, track.timescale) != stream.time_base:
        return None
    samples = track.samples
    if movie.fragmented:
        # FFmpeg counts only the frames of the first part, and shifts frames that are shown before their decoding
        # time in each fragment separately.
        known = not (samples.shown < samples.time).any()
    else:
        known = not stream.frames or stream.frames == len(samples.size)
    if not len(samples.size) or not known:
        return None
    pts = samples.shown + track.delay - track.start
    shown = pts >= 0
    if track.edits and track.edits[-1][0]:
        lengths = sum(length for length, _, _ in track.edits)
        scale = max(track.movie_timescale, 1)
        shown &= pts < (2 * lengths * track.timescale + scale) // (2 * scale)
    dts = samples.time + track.delay - track.start
    return FrameTable(stream.index, stream.time_base, pts, dts, samples.key, shown, -track.start)


def _from_packets(av: Any, container: Any, stream: Any) -> FrameTable:
    rows = []
    try:
        for packet in container.demux(stream):
            if packet.size and (packet.pts is not None or packet.dts is not None):
                pts = packet.dts if packet.pts is None else packet.pts
                dts = pts if packet.dts is None else packet.dts
                rows.append((pts, dts, packet.is_keyframe, not packet.is_discard))
    except av.FFmpegError:
        if not rows:
            raise
    pts, dts, key, shown = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    start = int(stream.start_time or 0)
    # Streams cut out of a broadcast start at any time; the first frame is the start of the video.
    start = start if abs(start * stream.time_base) > 10 else 0
    return FrameTable(
        stream.index, stream.time_base, pts - start, dts - start, key.astype(bool), shown.astype(bool), -start
    )
