"""From videos to tracks, and to frames with time, position and heading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.jobs import video as jobs

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import geopandas as gpd

    from mlygeo.pipelines.options import Telemetry
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


def tracks(
    paths: PathLike | Iterable[PathLike],
    *,
    source: Telemetry = "auto",
    max_dop: float = 10.0,
    keep_outliers: bool = False,
    video_start_time: int | None = None,
    skip_subfolders: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Read the tracks that cameras recorded in their videos, and those of GPX, NMEA and CSV files.

    Of videos, positions without a fix, of a low precision, and far outliers are left out. A file without
    a track is named, and the others are read.

    Parameters
    ----------
    paths
        Videos, tracks, or folders of them.
    source
        Where the positions of a video are taken from. "auto": the first that has any of a GoPro's
        metadata track (gopro), a camera motion track (camm), BlackVue's box of NMEA sentences
        (blackvue), and a text track of such sentences (nmea).
    max_dop
        Leave out positions of a video whose dilution of precision is above this.
    keep_outliers
        Keep positions of a video that lie far from the others.
    video_start_time
        Start of the video, milliseconds since 1970 (UTC), for positions that have no time of their own.
        Default: the creation time in the file.
    skip_subfolders
        Take only what lies in the folders themselves.
    progress
        Where progress is shown; None shows none.

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
        If none holds a track.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> tracks(["GH010042.MP4", "walk.gpx"]).groupby("track_id")["time"].agg(["min", "max"])
    """
    return jobs.tracks(**locals()).result


def sample_video(
    videos: PathLike | Iterable[PathLike] | None = None,
    *,
    video_import_path: PathLike | None = None,
    import_path: PathLike | None = None,
    video_sample_interval: float = 2.0,
    video_sample_distance: float | None = None,
    video_start_time: int | None = None,
    video_duration_ratio: float = 1.0,
    skip_subfolders: bool = False,
    track: PathLike | None = None,
    rerun: bool = False,
    decoder: str = "pyav",
    hardware: str | None = None,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Sample videos into JPEG files with capture time and, where a track was recorded, position and heading.

    Each frame is exactly the one that the video shows at its time. Frames that are there already are not
    made again, so an interrupted run goes on where it stopped. Of a damaged video the readable frames
    are made, and a row says what is missing.

    Parameters
    ----------
    videos
        Videos, or folders of them.
    video_import_path
        A video, or a folder of them, as the older tools name it.
    import_path
        Folder for the frames, VIDEO.mp4/VIDEO_000001.jpg and so on. Default:
        mapillary_sampled_video_frames beside the videos.
    video_sample_interval
        Seconds of the video from one frame to the next.
    video_sample_distance
        Metres along the track from one frame to the next, instead of seconds.
    video_start_time
        Time of the start of the video, milliseconds since 1970 (UTC). Default: the time of the GPS in
        the video, else the creation time in the file.
    video_duration_ratio
        Seconds of the video to one second of time: 0.5 for a video that runs twice as fast as life.
    skip_subfolders
        Take only videos in the folders themselves.
    track
        Where the videos went, by the times of their frames: a GPX, NMEA or CSV log, a tracks frame, or
        another video. Default: what the camera recorded in the video.
    rerun
        Make the frames of an earlier run anew.
    decoder
        "pyav" decodes by itself; "ffmpeg", or the path of such a program, has that program decode, for
        hardware and formats that PyAV was not built for.
    hardware
        Hardware that decodes, as the decoder names it: vaapi, cuda, videotoolbox, d3d11va, … Default: none.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        Frame of local images, with `video` and `video_time_s`; `time_source` says where times come from.
        A video that was not sampled whole has a row of its own, with `error`.

    Raises
    ------
    InputError
        If there is no video, or an option makes no sense.
    FileError
        If a path does not exist, or holds no video.
    FormatError, FrameError
        If `track` holds no track, or none with times.
    DependencyError
        If PyAV is missing (the package `av`), or the program that is to decode.

    Examples
    --------
    >>> sample_video("GH010042.MP4", video_sample_distance=3)[["path", "captured_at", "compass_angle"]]
    """
    return jobs.sample_video(**locals()).result
