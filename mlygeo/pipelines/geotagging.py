"""Positions from a track, and sequences: on frames of photos, and as units of `process`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os

    import geopandas as gpd

    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


def geotag_photos(
    images: Any,
    *,
    geotag_source: Literal["exif", "gpx", "nmea", "csv", "gopro_videos", "blackvue_videos", "camm_videos"] = "exif",
    geotag_source_path: PathLike | None = None,
    local_time: bool = False,
    sub_second_interval: float = 0.0,
    offset_time: float = 0.0,
    offset_angle: float = 0.0,
    interpolation_offset_time: float = 0.0,
    use_gps_start_time: bool = False,
    max_gap: float | None = None,
    skip_subfolders: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Give photos time, position, heading and altitude: their own, or those of a track or video.

    What `extract_geotag_data` does to a folder, for a frame; nothing is kept or written into photos.

    Parameters
    ----------
    images
        Folder of photos, photos, or an images frame of local files or a file that holds one.
    geotag_source
        Where positions come from. exif: the photos. gpx, nmea, csv: a track. gopro_videos,
        blackvue_videos, camm_videos: the telemetry of videos.
    geotag_source_path
        The track or video, or a folder of them; the folder of photos is searched unless given.
    local_time
        Photos' times that do not tell their offset from UTC are local time of this machine, not UTC.
    sub_second_interval
        Seconds from one photo to the next, of a camera that writes whole seconds only; 0 spreads photos
        of one second evenly within it.
    offset_time
        Seconds by which the camera's clock is ahead of the GPS device's; subtracted from capture times.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise; added to headings.
    interpolation_offset_time
        Seconds that are added to capture times to find the place on the track: offset_time with the
        other sign, as mapillary_tools has it today.
    use_gps_start_time
        The camera's clock is of no use: the first photo is taken to be where the track starts.
    max_gap
        Longest gap of the track that positions are taken from, seconds; all are bridged unless given.
    skip_subfolders
        Leave out photos in subfolders.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        The images with time, position, `compass_angle`, `altitude` and `error`; of a track also `track_gap_s`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FormatError
        If the track is none.
    FrameError
        If the frame has not the columns of local images.

    Examples
    --------
    >>> geotag_photos("DCIM", geotag_source="gpx", geotag_source_path="ride.gpx", offset_time=2)
    """
    return job_of("geotag_photos")(**locals()).result


def cut(
    images: Any,
    *,
    cutoff_distance: float = 600.0,
    cutoff_time: float = 60.0,
    max_images: int = 500,
    interpolate_directions: bool = False,
    offset_angle: float = 0.0,
    keep_duplicates: bool = False,
    duplicate_distance: float = 0.1,
    duplicate_angle: float = 5.0,
    max_speed: float = 400.0,
    skip_subfolders: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Cut images into sequences, derive headings, flag duplicates and what looks wrong, and split at 500.

    What `extract_sequence_data` does to a folder, for a frame; nothing is kept or written into photos.

    Parameters
    ----------
    images
        Folder of photos, photos, or an images frame of local files or a file that holds one.
    cutoff_distance
        Largest gap inside a sequence, metres.
    cutoff_time
        Largest gap inside a sequence, seconds.
    max_images
        Most images in a sequence, duplicates not counted.
    interpolate_directions
        Derive all headings from the way that was travelled; otherwise only the missing ones.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise; added to derived
        headings.
    keep_duplicates
        Flag no duplicates.
    duplicate_distance
        Largest distance of a duplicate from the last image kept, metres.
    duplicate_angle
        Largest difference of their headings, degrees.
    max_speed
        Apparent speed above which an image is flagged, kilometres an hour.
    skip_subfolders
        Leave out photos in subfolders.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        The images with `sequence_id`, `compass_angle`, `is_duplicate`, `duplicate_of` and `problem`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FrameError
        If the frame has not the columns of images.

    Examples
    --------
    >>> cut("images.parquet", cutoff_distance=100, cutoff_time=120).groupby("sequence_id").size()
    """
    return job_of("cut")(**locals()).result


def extract_geotag_data(
    import_path: PathLike,
    *,
    output: PathLike | None = None,
    rerun: bool = False,
    skip_subfolders: bool = False,
    geotag_source: Literal["exif", "gpx", "nmea", "csv", "gopro_videos", "blackvue_videos", "camm_videos"] = "exif",
    geotag_source_path: PathLike | None = None,
    local_time: bool = False,
    sub_second_interval: float = 0.0,
    offset_time: float = 0.0,
    offset_angle: float = 0.0,
    interpolation_offset_time: float = 0.0,
    use_gps_start_time: bool = False,
    max_gap: float | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Give photos time, position and heading: a unit of `process`.

    Starts from what photos said when they were first read. Sequences that were cut before are forgotten,
    for they may be wrong now.

    Parameters
    ----------
    import_path
        The folder of photos, with its subfolders; or one photo.
    output
        Folder for the frames; `.mlygeo` in the folder of photos unless given.
    rerun
        Read photos again that were read before, but for those that were written into, and forget those
        that are gone.
    skip_subfolders
        Leave out photos in subfolders.
    geotag_source
        Where positions come from. exif: the photos. gpx, nmea, csv: a track. gopro_videos,
        blackvue_videos, camm_videos: the telemetry of videos.
    geotag_source_path
        The track or video, or a folder of them; the folder of photos is searched unless given.
    local_time
        Photos' times that do not tell their offset from UTC are local time of this machine, not UTC.
    sub_second_interval
        Seconds from one photo to the next, of a camera that writes whole seconds only; 0 spreads photos
        of one second evenly within it.
    offset_time
        Seconds by which the camera's clock is ahead of the GPS device's; subtracted from capture times.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise; added to headings.
    interpolation_offset_time
        Seconds that are added to capture times to find the place on the track: offset_time with the
        other sign, as mapillary_tools has it today.
    use_gps_start_time
        The camera's clock is of no use: the first photo is taken to be where the track starts.
    max_gap
        Longest gap of the track that positions are taken from, seconds; all are bridged unless given.
    dry_run
        Say what would be done; write nothing, neither frames nor tags.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        Images frame of local files, a row for each photo; those that cannot be used have an `error`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.
    FormatError
        If the track is none.

    Examples
    --------
    >>> extract_geotag_data("DCIM", geotag_source="gpx", geotag_source_path="ride.gpx")
    """
    return job_of("extract_geotag_data")(**locals()).result


def extract_sequence_data(
    import_path: PathLike,
    *,
    output: PathLike | None = None,
    rerun: bool = False,
    skip_subfolders: bool = False,
    cutoff_distance: float = 600.0,
    cutoff_time: float = 60.0,
    max_images: int = 500,
    interpolate_directions: bool = False,
    keep_duplicates: bool = False,
    offset_angle: float = 0.0,
    duplicate_distance: float = 0.1,
    duplicate_angle: float = 5.0,
    max_speed: float = 400.0,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Cut photos into sequences, derive headings, flag duplicates: a unit of `process`.

    Photos of one folder and camera are cut where the gap to the next is too large, and split at
    `max_images`.

    Parameters
    ----------
    import_path
        The folder of photos, with its subfolders; or one photo.
    output
        Folder for the frames; `.mlygeo` in the folder of photos unless given.
    rerun
        Read photos again that were read before, but for those that were written into, and forget those
        that are gone.
    skip_subfolders
        Leave out photos in subfolders.
    cutoff_distance
        Largest gap inside a sequence, metres.
    cutoff_time
        Largest gap inside a sequence, seconds.
    max_images
        Most images in a sequence, duplicates not counted.
    interpolate_directions
        Derive all headings from the way that was travelled; otherwise only the missing ones.
    keep_duplicates
        Flag no duplicates.
    offset_angle
        Angle from the direction of travel to that of the camera, degrees clockwise; added to derived
        headings.
    duplicate_distance
        Largest distance of a duplicate from the last image kept, metres.
    duplicate_angle
        Largest difference of their headings, degrees.
    max_speed
        Apparent speed above which an image is flagged, kilometres an hour.
    dry_run
        Say what would be done; write nothing, neither frames nor tags.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        Images frame of local files, a row for each photo; those that cannot be used have an `error`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> extract_sequence_data("DCIM", cutoff_distance=100, cutoff_time=120)
    """
    return job_of("extract_sequence_data")(**locals()).result
