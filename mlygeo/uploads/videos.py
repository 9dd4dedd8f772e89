"""
Videos to upload: as they are, or as copies with their positions in a camera motion (CAMM) track.

The service takes videos of BlackVue, and with CAMM. Others whose positions are known (GoPro, sentences in a
text track, a track in a description file) go up as copies, as in mapillary_tools, which are made while they
are sent: the pictures come from the original, byte by byte, and nothing is written to a disk. Times,
fixes and unknown values are written as there; see `mlygeo.formats.camm`. In contrast to mapillary_tools, a
copy has all tracks of the original, such as the sound.

As mapillary_tools decides it, a video is not sent if all its positions are within 10 m of the first one, or if
it is faster than 400 km/h on average.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, InputError, unreadable
from mlygeo.formats import camm, mp4, positions, times
from mlygeo.formats.mp4_writer import NewTrack, Spliced, length_of, with_track
from mlygeo.readers.cameras.positions import Points
from mlygeo.readers.video import gps_start_s, read_video, video_info
from mlygeo.spatial import geodesy
from mlygeo.spatial.checks import MAX_SPEED_KMH
from mlygeo.spatial.track import lines
from mlygeo.uploads.items import Recipe, WholeFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import geopandas as gpd

    from mlygeo.formats.mp4_writer import Piece
    from mlygeo.providers import UploadKind
    from mlygeo.spatial.track import Line

log = logging.getLogger("mlygeo.uploads")

STATIONARY_M = 10.0
"""A video whose positions are all within this distance of the first one does not move; as in mapillary_tools."""

COPY = "camm"
"""The kind of file that a copy is."""

LARGEST = 110_000_000_000
"""Most bytes of a video; as in mapillary_tools."""

TRACK_NAME = "Camera motion metadata"

_SAME_DEG = 2e-6
"""Largest difference between a track and its rounded form in a description file: positions and milliseconds."""

_BUFFER = 1 << 20


class NoPositionsError(FormatError):
    """The video has no positions, or none that could go up with it: only frames of it can be uploaded."""


class UnusableTrackError(FormatError):
    """The video has positions, but the service could not use them."""


LEFT_OUT: dict[type[FormatError], str] = {
    NoPositionsError: "videos to sample first",
    UnusableTrackError: "videos without a usable track",
}
"""How videos that are not uploaded are counted."""


class VideoTrack(NamedTuple):
    """
    The positions of a video, as arrays in the order of time.

    `time_s` is seconds from the start of the video; `altitude` (metres), `epoch_s` (seconds since 1970, UTC)
    and `fix` are NaN, NaN and -1 where they are unknown. `source` is the camera, None if a description file
    has them.
    """

    points: Points
    source: str | None
    make: str | None
    model: str | None


class GivenTrack(NamedTuple):
    """
    A track of another device for videos, and how it is related to them.

    `line` has its points in the order of time; `start_ms` is the time of the start of the video, milliseconds
    since 1970 (UTC), None for what the video says: the time of its own GPS, else its creation time.
    """

    line: Line
    start_ms: int | None


def given_track(tracks: gpd.GeoDataFrame, start_ms: int | None) -> GivenTrack:
    """
    Return a tracks frame as the track of videos.

    Parameters
    ----------
    tracks
        Tracks frame.
    start_ms
        Time of the start of the videos, milliseconds since 1970 (UTC); None for what each of them says.

    Raises
    ------
    InputError
        If its tracks overlap in time, or the time is none.
    FrameError
        If no point has both a time and a position.
    """
    line, overlapping = lines(tracks)
    if overlapping:
        raise InputError(
            f"{len(overlapping)} tracks overlap in time, and a video can lie on one only", hint="name one `track`"
        )
    if start_ms is not None and not 0 < start_ms < 2**43:
        raise InputError(f"`video_start_time={start_ms}` is not a time", hint="give milliseconds since 1970, UTC")
    return GivenTrack(line, start_ms)


class CammCopy:
    """
    A copy of a video with a CAMM track, which is made while it is read.

    Parameters
    ----------
    path
        The original, which is not changed.
    track
        The positions.

    Raises
    ------
    FileError
        If the original cannot be read.
    NoPositionsError
        If such a file cannot be copied.
    UnusableTrackError
        If all positions are from before the start of the video.
    """

    def __init__(self, path: Path, track: VideoTrack) -> None:
        self.path = path
        with _opened(path) as file:
            # The times of a camera count from the first picture, and those of the file from its own start.
            late_s = 0.0 if track.source is None else _zero_s(file)
        movie_s = track.points.video_s + late_s
        there = movie_s >= 0
        points = replace(track.points, video_s=movie_s).take(there)
        if not len(points):
            raise UnusableTrackError(f"{path.name}: no position is from its own time")
        if early := int((~there).sum()):
            log.info("%s: %d positions from before the start of the video are left out", path.name, early)
        samples = camm.samples(
            points.lon, points.lat, altitude=_without_gaps(points), epoch_s=points.timed().epoch_s, fix=points.fix
        )
        new = NewTrack(camm.KIND, TRACK_NAME, samples, points.video_s)
        texts = {b"@mak": track.make or "", b"@mod": track.model or ""}
        with _opened(path) as file:
            self._state = _state(file)
            try:
                self._pieces: tuple[Piece, ...] = with_track(file, self._state[0], new, texts=texts)
            except FormatError as error:
                raise NoPositionsError(
                    f"{path.name} cannot get a track of positions: {error}", hint="sample it"
                ) from error

    @property
    def size(self) -> int:
        """Bytes of the copy."""
        return length_of(self._pieces)

    def open(self) -> BinaryIO:
        """
        Open the copy for reading, from any place.

        Raises
        ------
        FileError
            If the original cannot be read, or has changed.
        """
        file = _opened(self.path)
        if _state(file) != self._state:
            file.close()
            raise FileError(f"{self.path.name} has changed in the meantime")
        return io.BufferedReader(Spliced(file, self._pieces), _BUFFER)

    def md5(self) -> str:
        """Return the MD5 of the copy, hexadecimal."""
        with self.open() as file:
            # The function asks for more of a file than it uses.
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()  # type: ignore[arg-type]


def video_file(
    path: str,
    described: Mapping[str, Any] | None,
    file_types: Mapping[UploadKind, str],
    given: GivenTrack | None = None,
) -> WholeFile:
    """
    Return a video as it is uploaded.

    Parameters
    ----------
    path
        The video.
    described
        Its row of a description file, whose track counts instead of the video's own; None if it has none.
    file_types
        The kinds of files that the service accepts, with its names for them.
    given
        A track that counts instead of both.

    Raises
    ------
    FileError
        If it cannot be read.
    NoPositionsError
        If it has no positions that could go up with it.
    UnusableTrackError
        If the service could not use them.
    """
    video = Path(path)
    size = _size(video)
    recipe = None
    if given is not None:
        recipe = _on_track(video, given)
    elif described is not None and isinstance(described.get("track"), str):
        recipe = Recipe(described["track"], _said(described, "make"), _said(described, "model"))
    track = track_of(video, recipe)
    _check(video, track)
    if size > LARGEST:
        raise UnusableTrackError(f"{video.name} has {size / 1e9:,.0f} GB, and the service takes {LARGEST / 1e9:,.0f}")
    source = track.source
    if recipe is not None:
        source = _source_with_track(video, track, file_types)
    if source is not None and source in file_types:
        return WholeFile(path, size, "video", file_types[source], camera=source)
    if COPY not in file_types:
        raise NoPositionsError(f"{video.name} is of a kind that the service does not take", hint="sample it")
    copy = CammCopy(video, track)
    return WholeFile(
        path, copy.size, "video", file_types[COPY], camera=track.source or "video",
        recipe=recipe or Recipe(),
    )  # fmt: skip


def in_doubt(files: list[WholeFile], given: GivenTrack) -> dict[str, str]:
    """
    Return the videos whose place on a track is in doubt, with the reason, by path.

    The chapters of a recording may all have the creation time of the first one.

    Parameters
    ----------
    files
        The videos.
    given
        The track.

    Raises
    ------
    InputError
        If several videos would have the start that was given.
    """
    if given.start_ms is not None and len(files) > 1:
        raise InputError(
            f"`video_start_time` is that of one video, and there are {len(files):,}", hint="upload them one by one"
        )
    times_us = [file.recipe.created_us for file in files if file.recipe is not None]
    return {
        file.path: f"{Path(file.path).name} has the same creation time as another video, and both cannot begin there "
        "(upload it alone, with `video_start_time`)"
        for file in files
        if file.recipe is not None and file.recipe.created_us is not None and times_us.count(file.recipe.created_us) > 1
    }


def copy_of(file: WholeFile) -> CammCopy | None:
    """Return the copy to send of a video; None if it is sent as it is."""
    if file.recipe is None:
        return None
    path = Path(file.path)
    return CammCopy(path, track_of(path, file.recipe))


def track_of(path: Path, recipe: Recipe | None = None) -> VideoTrack:
    """
    Return the positions that go up with a video: those of a recipe, else its own without noise.

    Parameters
    ----------
    path
        The video.
    recipe
        What a description file says of it.

    Raises
    ------
    FileError, FormatError
        If they cannot be read.
    """
    if recipe is not None and recipe.track is not None:
        track = VideoTrack(_described(recipe.track, path.name), None, recipe.make, recipe.model)
    else:
        try:
            tracks = read_video(path)
        except FormatError as error:
            raise NoPositionsError(str(error), hint=error.hint) from error
        track = VideoTrack(_points(tracks), *(tracks.attrs[name] for name in ("source", "make", "model")))
        if not len(track.points):
            raise UnusableTrackError(
                f"{path.name}: none of its positions is reliable: they have no fix, or a low precision"
            )
    return track._replace(points=track.points.take(np.argsort(track.points.video_s, kind="stable")))


def _points(tracks: gpd.GeoDataFrame) -> Points:
    """Return the positions of a tracks frame; times only if they are the GPS's own."""
    lon, lat = frames.lonlat(tracks)
    epoch_s = np.full(len(tracks), np.nan)
    if tracks.attrs["gps_time"]:
        known = tracks["time"].notna().to_numpy()
        epoch_s[known] = tracks["time"][known].dt.as_unit("us").astype("int64").to_numpy() / 1e6
    return Points.of(
        tracks["video_time_s"].to_numpy(), lon, lat, altitude=tracks["altitude"].to_numpy(), epoch_s=epoch_s,
        fix=tracks["fix"].to_numpy(dtype=np.float64, na_value=-1.0),
    )  # fmt: skip


def _described(text: str, name: str) -> Points:
    """Return the positions in a description file: [ms, longitude, latitude, altitude, heading, epoch in s]."""
    rows = []
    for number, entry in enumerate(json.loads(text), 1):
        values = [_number(value) for value in entry] if isinstance(entry, list) else []
        values += [np.nan] * (6 - len(values))
        ms, lon, lat = values[:3]
        why = positions.why_none(lon, lat) or (None if np.isfinite(ms) else "without a time")
        if why is not None:
            raise UnusableTrackError(f"{name}: entry {number:,} of its described track is not a position: {why}")
        rows.append((ms / 1000, lon, lat, values[3], values[5]))
    time_s, lons, lats, altitude, epoch_s = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    now_us = time.time_ns() // 1000
    for moment in epoch_s[np.isfinite(epoch_s) & (epoch_s > 0)][[0, -1]] if (epoch_s > 0).any() else ():
        if (why := times.implausible(round(moment * times.SECOND_US), now_us)) is not None:
            log.warning("%s: the GPS times of its described track are left out: one is %s", name, why)
            epoch_s = np.full(len(epoch_s), np.nan)
            break
    return Points.of(time_s, lons, lats, altitude=altitude, epoch_s=np.where(epoch_s > 0, epoch_s, np.nan))


def _on_track(path: Path, given: GivenTrack) -> Recipe:
    """Return the part of a given track that belongs to a video: from its start to the first position after its end."""
    try:
        info = video_info(path)
    except FormatError as error:
        raise NoPositionsError(str(error), hint=error.hint) from error
    make, model, start_us = info.make, info.model, None
    if given.start_ms is not None:
        start_us = given.start_ms * 1000
    else:
        with contextlib.suppress(FormatError):
            own = read_video(path)
            make, model = own.attrs["make"] or make, own.attrs["model"] or model
            start_s = gps_start_s(own)
            start_us = None if start_s is None else round(start_s * times.SECOND_US)
    created_us = None
    if start_us is None:
        start_us = created_us = _creation_time(path, info.start_time, make)
    line = given.line
    with _opened(path) as file:
        start_us -= round(_zero_s(file) * times.SECOND_US)
    since_us = line.time - start_us
    last = info.duration_s * times.SECOND_US if np.isfinite(info.duration_s) else np.inf
    rows = np.flatnonzero(since_us >= 0)
    rows = rows[: np.searchsorted(since_us[rows], last) + 1]
    if not len(rows) or since_us[rows[0]] > last:
        raise UnusableTrackError(
            f"{path.name}: the track is of {times.shown(int(line.time[0]))} to {times.shown(int(line.time[-1]))}, "
            f"and the video begins at {times.shown(start_us)} (UTC)", hint="give `video_start_time`",
        )  # fmt: skip
    entries = [
        [ms / 1000, x, y, None if np.isnan(z) else z, None, at / times.SECOND_US]
        for ms, x, y, z, at in zip(
            since_us[rows].tolist(), line.lon[rows].tolist(), line.lat[rows].tolist(), line.altitude[rows].tolist(),
            line.time[rows].tolist(), strict=True,
        )
    ]  # fmt: skip
    return Recipe(json.dumps(entries), make, model, created_us)


def _creation_time(path: Path, created: datetime | None, make: str | None) -> int:
    """Return the creation time of a video, microseconds since 1970; a GoPro writes local time there."""
    if created is None:
        raise UnusableTrackError(f"{path.name} does not say when it was recorded", hint="give `video_start_time`")
    if (make or "").lower() == "gopro":
        raise UnusableTrackError(
            f"{path.name} has its start in local time only, as GoPro writes it", hint="give `video_start_time`"
        )
    return round(created.timestamp() * times.SECOND_US)


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if is_number else np.nan


def _said(described: Mapping[str, Any], name: str) -> str | None:
    text = described.get(name)
    return text if isinstance(text, str) else None


def _check(path: Path, track: VideoTrack) -> None:
    """Raise if the service could not use the positions of a video."""
    points = track.points
    if not len(points):
        raise UnusableTrackError(f"{path.name}: its described track has no position")
    far = geodesy.distance(points.lon[0], points.lat[0], points.lon, points.lat)
    if far.max() <= STATIONARY_M:
        raise UnusableTrackError(
            f"{path.name}: the camera does not move; its {len(points):,} positions are within {STATIONARY_M:g} m"
        )
    way = geodesy.distance(points.lon[:-1], points.lat[:-1], points.lon[1:], points.lat[1:]).sum()
    clock = points.epoch_s if np.isfinite(points.epoch_s[[0, -1]]).all() else points.video_s
    seconds = float(clock[-1] - clock[0])
    if not seconds > 0:
        raise UnusableTrackError(f"{path.name}: no time passes between its first and its last position")
    if (speed := way / seconds * 3.6) > MAX_SPEED_KMH:
        raise UnusableTrackError(f"{path.name}: its positions are {speed:,.0f} km/h fast on average")


def _source_with_track(path: Path, track: VideoTrack, file_types: Mapping[UploadKind, str]) -> str | None:
    """Return the camera of a video that the service takes as it is, if its own track is the described one."""
    try:
        own = read_video(path, max_dop=np.inf, keep_outliers=True)
    except FormatError:
        return None
    if own.attrs["source"] not in file_types or not len(own):
        return None
    points, wanted = _points(own), track.points
    order = np.argsort(points.video_s, kind="stable")
    for name in ("lon", "lat"):
        there = np.interp(wanted.video_s, points.video_s[order], getattr(points, name)[order])
        if np.abs(there - getattr(wanted, name)).max() > _SAME_DEG:
            log.info("%s: the described track is another one than its own, and goes up with a copy", path.name)
            return None
    source: str = own.attrs["source"]
    return source


def _without_gaps(points: Points) -> Any:
    """Return altitudes, interpolated where only some are known: the format has no value for an unknown one."""
    known = np.isfinite(points.altitude)
    if known.all() or not known.any():
        return points.altitude
    return np.interp(points.video_s, points.video_s[known], points.altitude[known])


def _zero_s(file: BinaryIO) -> float:
    """Return the second of the file at which its first picture is shown."""
    movie = mp4.read_movie(file, os.fstat(file.fileno()).st_size)
    return 0.0 if movie is None else movie.zero_s


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise FileError(unreadable(path, error)) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise FileError(unreadable(path, error)) from error


def _state(file: BinaryIO) -> tuple[int, int]:
    state = os.fstat(file.fileno())
    return state.st_size, state.st_mtime_ns
