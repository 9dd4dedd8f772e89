"""Units of `process`, one by one: each reads and writes the same frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.jobs import job_of

if TYPE_CHECKING:
    import os

    import geopandas as gpd

    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


def extract_user_data(
    import_path: PathLike,
    *,
    output: PathLike | None = None,
    rerun: bool = False,
    skip_subfolders: bool = False,
    user_name: str,
    organization_name: str | None = None,
    organization_key: str | None = None,
    private: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Note whose photos they are: the first unit of `process`.

    Every unit reads and writes `images.parquet`, so that they can be run one after another.

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
    user_name
        Mapillary user that the photos are uploaded as.
    organization_name
        Name of the organization that they belong to.
    organization_key
        Key of the organization that they belong to.
    private
        Mark them as private imagery of the organization.
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
    >>> extract_user_data("DCIM", user_name="mapillary_user")
    """
    return job_of("extract_user_data")(**locals()).result


def extract_import_meta_data(
    import_path: PathLike,
    *,
    output: PathLike | None = None,
    rerun: bool = False,
    skip_subfolders: bool = False,
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
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Note what photos and options tell of camera and files: a unit of `process`.

    Maker, model and orientation are those that photos hold, unless told here.

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
    >>> extract_import_meta_data("DCIM", device_make="GoPro", device_model="HERO11 Black")
    """
    return job_of("extract_import_meta_data")(**locals()).result


def extract_upload_params(
    import_path: PathLike,
    *,
    output: PathLike | None = None,
    rerun: bool = False,
    skip_subfolders: bool = False,
    user_name: str,
    desc_path: PathLike | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Write the image description file, which an upload goes by: a unit of `process`.

    Needs what the other units found.

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
    user_name
        Mapillary user that the photos are uploaded as.
    desc_path
        Where the image description file goes; `mapillary_image_description.json` in the folder of photos
        unless given.
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
    >>> extract_upload_params("DCIM", user_name="mapillary_user")
    """
    return job_of("extract_upload_params")(**locals()).result


def exif_insert(
    import_path: PathLike,
    *,
    output: PathLike | None = None,
    rerun: bool = False,
    skip_subfolders: bool = False,
    skip_exif_insert: bool = False,
    keep_original: bool = False,
    overwrite_all_exif_tags: bool = False,
    overwrite_exif_time_tag: bool = False,
    overwrite_exif_gps_tag: bool = False,
    overwrite_exif_direction_tag: bool = False,
    overwrite_exif_orientation_tag: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Write what the other units found into the photos: the last unit of `process`.

    The image description goes into the tag ImageDescription of each photo that is ready; with options, time,
    position, heading and orientation go into their own tags too. A photo is replaced only by a new one that
    was read back and found whole; whatever else it holds stays. Photos that are uploaded already are left alone.

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
    >>> exif_insert("DCIM", overwrite_exif_gps_tag=True)
    """
    return job_of("exif_insert")(**locals()).result
