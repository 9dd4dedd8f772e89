"""From photos, and tracks, to sequences that are ready for upload."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os

    import geopandas as gpd

    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


def process(
    import_path: PathLike,
    *,
    output: PathLike | None = None,
    rerun: bool = False,
    skip_subfolders: bool = False,
    file_types: str | None = None,
    user_name: str | None = None,
    organization_name: str | None = None,
    organization_key: str | None = None,
    private: bool = False,
    device_make: str | None = None,
    device_model: str | None = None,
    add_file_name: bool = False,
    exclude_import_path: bool = False,
    exclude_path: str | None = None,
    windows_path: bool = False,
    add_import_date: bool = False,
    orientation: int | None = None,
    gps_accuracy: float | None = None,
    camera_uuid: str | None = None,
    custom_meta_data: str | None = None,
    geotag_source: Literal["exif", "gpx", "nmea", "csv", "gopro_videos", "blackvue_videos", "camm_videos"] = "exif",
    geotag_source_path: PathLike | None = None,
    local_time: bool = False,
    sub_second_interval: float = 0.0,
    offset_time: float = 0.0,
    offset_angle: float = 0.0,
    interpolation_offset_time: float = 0.0,
    use_gps_start_time: bool = False,
    max_gap: float | None = None,
    cutoff_distance: float = 600.0,
    cutoff_time: float = 60.0,
    max_images: int = 500,
    interpolate_directions: bool = False,
    keep_duplicates: bool = False,
    duplicate_distance: float = 0.1,
    duplicate_angle: float = 5.0,
    max_speed: float = 400.0,
    skip_exif_insert: bool = False,
    keep_original: bool = False,
    overwrite_all_exif_tags: bool = False,
    overwrite_exif_time_tag: bool = False,
    overwrite_exif_gps_tag: bool = False,
    overwrite_exif_direction_tag: bool = False,
    overwrite_exif_orientation_tag: bool = False,
    desc_path: PathLike | None = None,
    summarize: bool = False,
    list_file_status: bool = False,
    save_as_json: bool = False,
    save_local_mapping: bool = False,
    move_all_images: bool = False,
    move_duplicates: bool = False,
    move_uploaded: bool = False,
    move_sequences: bool = False,
    split_import_path: PathLike | None = None,
    push_images: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Process photos: geotag them, cut them into sequences, flag duplicates, and write what is found into them.

    Reads the photos of a folder, gives them positions (their own, or from a track or videos), cuts them
    into sequences, derives missing headings, flags duplicates and what looks wrong, and writes the image
    description into each photo that is ready. Three files are kept beside them: `images.parquet` with all
    photos, the failed with their reason, `sequences.parquet` with a line for each sequence, and
    `mapillary_image_description.json`, which the official tools read too. Photos are replaced one by one
    and only by whole ones; run again, it goes on from where it stopped, and starts from what photos said
    when they were first read. Photos that are uploaded already are not written into again.

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
    file_types
        Only files of these types, with commas between; process is for image, and an upload takes others
        as they are. Default: all.
    user_name
        Mapillary user that the photos are uploaded as.
    organization_name
        Name of the organization that they belong to.
    organization_key
        Key of the organization that they belong to.
    private
        Mark them as private imagery of the organization.
    device_make
        Maker of the camera; wins over what photos say.
    device_model
        Model of the camera; wins over what photos say.
    add_file_name
        Keep the whole path of each photo in its description, not just its name.
    exclude_import_path
        With --add-file-name: leave out the folder of photos.
    exclude_path
        With --add-file-name: leave out this part of the path.
    windows_path
        With --add-file-name: write backslashes for slashes.
    add_import_date
        Add the time of this run to the meta data.
    orientation
        Degrees that pictures are stored turned by, clockwise: 0, 90, 180 or 270 (EXIF's 1, 8, 3 and 6, as
        in the older tools); wins over what photos say.
    gps_accuracy
        Accuracy of the positions, metres.
    camera_uuid
        Name that tells this camera from others; wins over the serial numbers that photos hold.
    custom_meta_data
        More meta data, as "name,type,value;name,type,value"; types are string, double, long, date and
        boolean.
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
    duplicate_distance
        Largest distance of a duplicate from the last image kept, metres.
    duplicate_angle
        Largest difference of their headings, degrees.
    max_speed
        Apparent speed above which an image is flagged, kilometres an hour.
    skip_exif_insert
        Write nothing into photos; the image description file is enough for an upload.
    keep_original
        Leave photos as they are, and write tags into copies, in `processed_images` beside the frames.
    overwrite_all_exif_tags
        Write time, position, heading and orientation into their own tags too.
    overwrite_exif_time_tag
        Write the capture time into its own tags too.
    overwrite_exif_gps_tag
        Write position and altitude into their own tags too.
    overwrite_exif_direction_tag
        Write the heading into its own tag too.
    overwrite_exif_orientation_tag
        Write the orientation into its own tag too.
    desc_path
        Where the image description file goes; `mapillary_image_description.json` in the folder of photos
        unless given.
    summarize
        Sum up what was processed and uploaded.
    list_file_status
        List the photos by status.
    save_as_json
        Write the summary and the list to files in the folder of photos.
    save_local_mapping
        Write a table of the photos' paths and ids, beside the folder of photos.
    move_all_images
        Move photos by status, duplicates and sequences.
    move_duplicates
        Move duplicates to a folder `duplicates`.
    move_uploaded
        Move photos to folders `uploaded`, `failed_upload` and `to_be_uploaded`.
    move_sequences
        Move photos to a numbered folder for each sequence.
    split_import_path
        Folder that photos are moved into; the folder of photos unless given.
    push_images
        Accepted for older scripts: uploads are finished as they are made, and nothing waits to be pushed.
    dry_run
        Say what would be done; write nothing, neither frames nor tags.
    progress
        Where progress is shown; None shows none.

    Returns
    -------
    images
        Images frame of local files, a row for each photo; those that cannot be used have an `error`.
        New columns are those of `geotag`, `cut_sequences`, `flag_duplicates` and `check_images`, and
        `filename`, `meta_tags` (JSON), `gps_accuracy_m`, `user_name`, `organization_name`,
        `organization_key`, `private`, `photo_uuid`, `geotag_angle` (the heading before any was derived),
        `failed_in` (the unit that the error comes from) and `exif_written` (bool).

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
    >>> process("DCIM", geotag_source="gpx", geotag_source_path="ride.gpx", offset_time=2)["error"].isna().sum()
    """
    return job_of("process")(**locals()).result
