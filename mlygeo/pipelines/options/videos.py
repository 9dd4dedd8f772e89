"""Options on videos: the positions that they hold, and frames sampled from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.options.groups import dataclass

if TYPE_CHECKING:
    import os

    from mlygeo.readers.cameras import Telemetry
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """
    Which of the positions recorded in videos are used.

    Parameters
    ----------
    source
        Where the positions of a video come from. "auto": the first of {telemetry} that has any.
    max_dop
        Leave out positions of a video with a larger dilution of precision (DOP). The larger the DOP, the less
        accurate the position.
    keep_outliers
        Keep positions of a video that are far from the others.
    """

    source: Telemetry
    max_dop: float
    keep_outliers: bool


INTERVAL_S = 2.0
"""Seconds between frames, unless the call says otherwise."""


def start_ms(moment: int | str | None) -> int | None:
    """
    Return the start of a video, milliseconds since 1970.

    Parameters
    ----------
    moment
        Such milliseconds, also as text; YYYY_MM_DD_HH_MM_SS_mmm in UTC, as mapillary_tools takes it; or ISO 8601 with
        an offset from UTC.

    Raises
    ------
    InputError
        If it is none of these.
    """
    if moment is None or isinstance(moment, int):
        return moment
    from mlygeo.formats import times

    text = moment.strip()
    if text.isascii() and text.isdigit():
        return int(text)
    named = times.name_time(text)
    if named is not None and set(text) <= set("0123456789_"):
        return named.us // 1000
    found = times.read(text)
    if found is None or found.offset_s is None:
        why = "has no offset from UTC" if found is not None else "is not a time"
        raise InputError(
            f"`video_start_time` {text[:40]!r} {why}",
            hint="milliseconds since 1970, 2021_10_10_10_10_10_123 (UTC), or 2021-10-10T10:10:10.123Z",
        )
    return found.us // 1000


@dataclass(frozen=True, kw_only=True)
class VideoSampling:
    """
    Which frames of videos are sampled, with which times and positions.

    Parameters
    ----------
    video_sample_interval
        Seconds of video from one frame to the next.
    video_sample_distance
        Metres along the track from one frame to the next, instead of seconds. 0 takes every frame on the track. A
        negative number counts as not given, as in mapillary_tools.
    video_start_time
        Start time of the video: milliseconds since 1970 (UTC), YYYY_MM_DD_HH_MM_SS_mmm in UTC, or ISO 8601 with a
        UTC offset. Further chapters of the same recording follow it. Default: the GPS time in the video, else the
        creation time in the file.
    video_duration_ratio
        Real seconds per second of video, such as 0.5 for a video in slow motion at half speed.
    track
        Track along which the videos were recorded, matched by the times of the frames: a GPX, NMEA or CSV log, a
        file of tracks (in Python also a frame), or another video. Default: what the camera recorded in the video.
    """

    video_sample_interval: float
    video_sample_distance: float | None
    video_start_time: int | str | None
    video_duration_ratio: float
    track: FrameLike | None

    def __post_init__(self) -> None:
        """Take values below zero as mapillary_tools does, and the start as milliseconds."""
        if self.video_sample_distance is not None and self.video_sample_distance < 0:
            object.__setattr__(self, "video_sample_distance", None)
        if self.video_sample_distance is not None and self.video_sample_interval > 0:
            of_no_use(("video_sample_interval",), "with `video_sample_distance`")
        if self.video_sample_distance is not None and self.video_sample_interval <= 0:
            object.__setattr__(self, "video_sample_interval", INTERVAL_S)
        if self.video_sample_distance is None and not self.video_sample_interval > 0:
            raise InputError(
                f"`video_sample_interval={self.video_sample_interval:g}` takes no frame, and no"
                " `video_sample_distance` is given",
                hint="one of them must be above zero",
            )
        object.__setattr__(self, "video_start_time", start_ms(self.video_start_time))

    @property
    def start_ms(self) -> int | None:
        """The start of the video, milliseconds since 1970."""
        return start_ms(self.video_start_time)


@dataclass(frozen=True, kw_only=True)
class VideoFrames:
    """
    Folder and decoder of the frames of videos.

    Parameters
    ----------
    import_path
        Folder for the frames, VIDEO.mp4/VIDEO_000001.jpg and so on. Default:
        mapillary_sampled_video_frames beside the videos.
    decoder
        "pyav" is built in. "ffmpeg", or the path of an ffmpeg program, uses that program, for hardware and formats
        that PyAV does not support.
    hardware
        Hardware decoder, as the decoder names it: vaapi, cuda, videotoolbox, d3d11va, … Default: none.
    """

    import_path: PathLike | None
    rerun: bool
    decoder: str
    hardware: str | None
