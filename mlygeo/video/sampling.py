"""Selecting the frames of a video, with the time and position of each, before any is decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.extras import missing
from mlygeo.formats import mp4
from mlygeo.formats.timeline import Timeline
from mlygeo.readers import video as telemetry
from mlygeo.spatial import geodesy
from mlygeo.spatial.geotag import MAX_EXTRAPOLATION_S
from mlygeo.spatial.track import Line, Tracks, lines, locate

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Whole

INTERVAL_S = 2.0

STEADY_S = 1.0
"""Seconds by which the time of the GPS may drift against the video's if both run at the same pace."""


UNORDERED = "its format does not say in which order pictures are shown, so that frames may be some pictures off"
"""What is in doubt about H.264 in AVI."""


def plan_frames(clip: Clip, start: Start, *, sampling: Sampling, track: gpd.GeoDataFrame | None = None) -> Plan:
    """
    Select the frames of a video, with their times and positions, without decoding any.

    A video whose start is unknown is sampled without capture times.

    Parameters
    ----------
    clip
        The video.
    start
        When it begins.
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
    FormatError
        If it lacks the track to sample along, or its time on that.
    FrameError
        If the track has no point with a time.
    """
    video, table, info, recorded = clip.video, clip.table, clip.info, clip.track
    rows, video_s = table.rows, table.seconds
    captured_ms, doubts = _captured(video_s, clip, start, sampling)
    line: Line | None = None
    moments = _micros(video_s)
    if track is not None:
        line = _only_line(track)
        if captured_ms is not None:
            moments = captured_ms * 1000
        elif sampling.distance is not None:
            raise FormatError(f"{video.name} does not say when it was recorded", hint="give `video_start_time`")
        else:
            line = None
    elif recorded is not None:
        line = _line(recorded)
    if sampling.distance is None:
        chosen = _by_time(video_s, sampling.interval)
    elif line is None:
        raise FormatError(
            f"{video.name} contains no track to go along", hint="name one with `track`, or sample it by time"
        )
    else:
        chosen = _by_distance(line, moments, sampling.distance)
        if not len(chosen):
            raise FormatError(f"{video.name} lies outside the track in time", hint=_when(line, captured_ms, track))
    rows, video_s, moments = rows[chosen], video_s[chosen], moments[chosen]
    captured_ms = None if captured_ms is None else captured_ms[chosen]
    unknown = np.full(len(rows), np.nan)
    lon, lat, altitude, heading = unknown, unknown, unknown, unknown
    if line is not None:
        places = line.locate(moments, max_extrapolation=MAX_EXTRAPOLATION_S, max_gap=None)
        lon, lat, altitude, heading = places.lon, places.lat, places.altitude, places.bearing
    size = (info.width, info.height) if info.rotation % 180 == 0 else (info.height, info.width)
    doubts = [*start.warnings, *doubts, *filter(None, [info.warning]), *table.problems]
    if recorded is not None:
        doubts += recorded.attrs["problems"]
    return Plan(
        table, rows, video_s, captured_ms, lon, lat, altitude, heading, start.source, info.make, info.model,
        info.is_pano, *size, info.problem, "; ".join(dict.fromkeys(doubts)) or None,
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
        Seconds of real time for one second of the video, with which mapillary_tools multiplies, too.

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
                f"`video_start_time={self.start_time_ms}` is not a time", hint="give milliseconds since 1970, UTC"
            )


@dataclass(frozen=True)
class Plan:
    """
    The selected frames of a video, by time: rows of its table, and the values of each.

    `captured_ms` and `time_source` are None where the start is unknown; `warning` is what is in doubt.
    """

    table: FrameTable
    rows: Whole
    video_s: Floats
    captured_ms: Whole | None
    lon: Floats
    lat: Floats
    altitude: Floats
    heading: Floats
    time_source: str | None
    make: str | None
    model: str | None
    is_pano: bool
    width: int
    height: int
    problem: str | None
    warning: str | None


@dataclass(frozen=True)
class Clip:
    """A video that is to be sampled: its frames, the facts in its headers, and the track that it holds, if any."""

    video: Path
    table: FrameTable
    info: telemetry.VideoInfo
    track: gpd.GeoDataFrame | None
    left_out: dict[str, int]

    @property
    def gps_ms(self) -> int | None:
        """When it began by the times of the GPS, milliseconds since 1970; None where there are none."""
        start_s = None if self.track is None else telemetry.gps_start_s(self.track)
        return None if start_s is None else round(start_s * 1000)


def clip_of(video: Path) -> Clip:
    """
    Return what is needed to sample a video, without decoding any picture.

    Parameters
    ----------
    video
        The video.

    Raises
    ------
    FileError, FormatError
        If it cannot be read, or shows no pictures.
    """
    table = frame_table(video)
    if not len(table.rows):
        raise FormatError(f"{video.name} shows no frames")
    info = telemetry.video_info(video)
    left_out = {"tracks of pictures": info.tracks_of_pictures - 1} if info.tracks_of_pictures > 1 else {}
    try:
        track = telemetry.read_video(video)
    except FormatError:
        return Clip(video, table, info, None, left_out)
    return Clip(video, table, info, track if len(track) else None, left_out | track.attrs["left_out"])


class Start(NamedTuple):
    """
    When a video begins.

    `ms` is milliseconds since 1970, None where unknown; `source` is "option", "gps" or "creation_time".
    `after_s` is how long after its recording, whose name is `recording`. `warnings` say what is in doubt.
    """

    ms: int | None
    source: str | None
    after_s: float
    recording: str
    warnings: tuple[str, ...] = ()


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
    last = max(np.ceil((video_s[-1] + lasts - video_s[0]) / interval - 1e-6) - 1, 0)
    # Only the multiples before and after a frame can choose it, however long a gap is.
    place = (video_s - video_s[0]) / interval
    numbers = np.unique(np.clip(np.concatenate([np.floor(place), np.ceil(place), [0, last]]), 0, last))
    targets = video_s[0] + interval * numbers
    after = np.clip(np.searchsorted(video_s, targets), 1, max(len(video_s) - 1, 1))
    before = after - 1
    if len(video_s) == 1:
        return np.zeros(1, dtype=np.int64)
    nearer = np.where(targets - video_s[before] <= video_s[after] - targets, before, after)
    return np.unique(nearer)


def _only_line(track: gpd.GeoDataFrame) -> Line:
    """Return the line of a track; of several tracks that overlap in time, where they do not contradict each other."""
    line, overlapping = lines(track)
    if overlapping:
        _, contradictions = locate(line, overlapping, line.time, max_extrapolation=0, max_gap=None)
        if found := contradictions[contradictions.astype(bool)].tolist():
            raise InputError(f"at {len(found):,} points of the track, {found[0]}", hint="name one `track`")
        return Tracks(line.time, line.lon, line.lat, line.altitude, line.track, tuple(overlapping))
    return line


def _when(line: Line, captured_ms: Whole | None, track: gpd.GeoDataFrame | None) -> str | None:
    """Return when the track and the video were recorded, in words."""
    if track is None or captured_ms is None:
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


def _captured(video_s: Floats, clip: Clip, start: Start, sampling: Sampling) -> tuple[Whole | None, list[str]]:
    """
    Return the capture times, milliseconds since 1970, None where the start is unknown; and what is in doubt.

    The user's option comes before the GPS, and the GPS before the creation time, which some cameras write
    in local time. If GPS and video run at the same pace, the start is the median over all points, which
    corrects the late first fix of some cameras. Otherwise, in a time lapse, each frame has the time of the
    GPS at its place in the video.
    """
    ratio, doubts = sampling.duration_ratio, []
    if start.ms is None:
        return None, []
    if start.source == "gps" and clip.gps_ms is not None and clip.track is not None:
        timed = clip.track[clip.track["time"].notna()]
        gps_s = timed["time"].to_numpy(dtype="datetime64[us]").astype(np.int64) / 1e6
        track_s = timed["video_time_s"].to_numpy()
        ahead_s = gps_s - track_s * ratio
        if np.subtract(*np.percentile(ahead_s, [90, 10])) > STEADY_S:
            order = np.argsort(track_s, kind="stable")
            known = track_s[order]
            outside_s = (video_s - np.clip(video_s, known[0], known[-1])) * ratio
            captured_s = np.interp(video_s, known, gps_s[order]) + outside_s
            if ratio != 1:
                doubts.append(f"the times of the GPS are not those of `video_duration_ratio={ratio:g}`, and count")
            return np.round(captured_s * 1000).astype(np.int64), doubts
        start_ms = round(float(np.median(ahead_s)) * 1000)
    else:
        start_ms = start.ms
    return start_ms + np.round(video_s * ratio * 1000).astype(np.int64), doubts


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
        with path.open("rb", buffering=mp4.BUFFER) as file:
            movie = mp4.read_movie(file, path.stat().st_size)
        # What an edit list shows is decided in one place, not by each version of FFmpeg.
        table = None if movie is None else _read(av, path, movie, {"ignore_editlist": "1"})
        table = table or _read(av, path, None, {})
    except (av.FFmpegError, OSError) as error:
        if isinstance(error, FileError):
            raise
        lost = isinstance(error, av.InvalidDataError)
        why = "it is not a video, or its headers are lost" if lost else str(getattr(error, "strerror", error))
        raise (FormatError if lost else FileError)(f"{path.name} cannot be opened: {why}") from error
    if table is None or not len(table.pts):
        raise FormatError(f"{path.name} holds no frames")
    return table


@dataclass(frozen=True)
class FrameTable:
    """
    The frames of the largest video stream of a file.

    `pts` (when a frame is shown, before the edit list) and `dts` (when it is decoded) count units of
    `time_base`; `key` marks frames that need no others. All are in the order of the file. `rows` are the
    frames that are shown, in order, and `seconds` when, from the first of them on. `stream` is the index of
    the stream, `options` those with which FFmpeg must open the file so that its times are these. `problems`
    are what an edit list says and was not followed.
    """

    stream: int
    time_base: Fraction
    pts: Whole
    dts: Whole
    key: Flags
    rows: Whole
    seconds: Floats
    options: dict[str, str]
    problems: tuple[str, ...] = ()

    @property
    def length_s(self) -> float:
        """Seconds from the first frame until the last is over, which lasts as long as most of them."""
        if not len(self.seconds):
            return 0.0
        return float(self.seconds[-1] + (np.median(np.diff(self.seconds)) if len(self.seconds) > 1 else 0.0))


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
        raise missing("videos are decoded with PyAV", "video") from error
    return av


def _read(av: Any, path: Path, movie: mp4.Movie | None, options: dict[str, str]) -> FrameTable | None:
    """Return the table of a file; None where its headers do not describe the pictures that FFmpeg would decode."""
    with telemetry.opened(path, options=options) as container:
        streams = telemetry.pictures_of(container)
        if not streams:
            raise FormatError(f"{path.name} contains no pictures that can be decoded")
        stream = max(streams, key=lambda found: (found.width * found.height, -found.index))
        track = None
        if movie is not None:
            of_stream = (track for track in movie.tracks if track.number == stream.id and track.is_video)
            track = next(of_stream, None) if "mov" in container.format.name.split(",") else None
            if track is None:
                return None
        for other in container.streams:
            if other is not stream:
                other.discard = av.stream.Discard.all
        frames = _from_headers(movie, track, stream) or _from_packets(av, container, stream)
        base = Fraction(stream.time_base)
        # The times that FFmpeg gives to the pictures in fragments are not always those of the file.
        own = None if track is None or len(track.samples.shown) != len(frames.pts) else track.samples.shown
        rows, seconds, problems = _shown(frames, track, base, own)
        if container.format.name == "avi" and stream.codec_context.name in {"h264", "hevc"}:
            # AVI has times of decoding only, and these codecs show pictures in another order.
            problems = (*problems, UNORDERED) if stream.codec_context.has_b_frames else problems
        return FrameTable(stream.index, base, frames.pts, frames.dts, frames.key, rows, seconds, options, problems)


class _Frames(NamedTuple):
    """Frames in the order of the file; `kept` are not marked as preparation for others."""

    pts: Whole
    dts: Whole
    key: Flags
    kept: Flags


def _from_headers(movie: mp4.Movie | None, track: mp4.Track | None, stream: Any) -> _Frames | None:
    """Return the frames that an MP4's headers list; None where they are incomplete."""
    # From a fragment that was cut off, FFmpeg returns the complete frames.
    if movie is None or track is None or (movie.fragmented and movie.damage):
        return None
    if Fraction(1, track.timescale) != stream.time_base:
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
    return _Frames(samples.shown, samples.time, samples.key, np.ones(len(samples.size), dtype=bool))


def _from_packets(av: Any, container: Any, stream: Any) -> _Frames:
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
    pts, dts, key, kept = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return _Frames(pts, dts, key.astype(bool), kept.astype(bool))


def _shown(
    frames: _Frames, track: mp4.Track | None, base: Fraction, own: Whole | None
) -> tuple[Whole, Floats, tuple[str, ...]]:
    """
    Return the rows of the frames that are shown, in order, when, and what was not followed.

    Parameters
    ----------
    frames
        Frames in the order of the file, by FFmpeg's times.
    track
        Their track; None where the file has no edit lists.
    base
        Unit of FFmpeg's times.
    own
        Their times in units of the track; None where FFmpeg's count.
    """
    timeline = Timeline(timescale=1) if track is None else track.timeline
    kept = np.flatnonzero(frames.kept)
    units = frames.pts[kept]
    if own is not None:
        units = own[kept]
    elif track is None or base != Fraction(1, track.timescale):
        # Without an edit list, any unit does.
        scale = base * (1 if track is None else track.timescale)
        timeline = timeline if track is not None else replace(timeline, timescale=base.denominator)
        units = units * base.numerator if track is None else np.round(units * float(scale)).astype(np.int64)
    rows, seconds = timeline.samples(units)
    if not len(rows):
        return kept[rows], seconds, timeline.problems
    new = np.diff(seconds, prepend=seconds[0] - 1) > 0
    rows, seconds = kept[rows[new]], seconds[new]
    return rows, seconds - seconds[0], timeline.problems
