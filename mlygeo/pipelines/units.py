"""
The units of `process`, one by one.

Each reads the frame that is kept for the folder of photos, and writes it back.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.pipelines.described import check_described, described_apart
from mlygeo.pipelines.job import Job, public, public_with
from mlygeo.pipelines.options import Cutting, Geotagging, Insertion, MetaData, PhotoFolder, User
from mlygeo.pipelines.unit_runs import Run, run_units

if TYPE_CHECKING:
    import os

    import geopandas as gpd

    from mlygeo.pipelines.sources import Sources
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


@public
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
) -> Job[gpd.GeoDataFrame]:
    """
    Record who owns the photos: the first step of `process`.

    Every step reads and writes `images.parquet`, so you can run them one after another.

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
    from mlygeo.pipelines import steps

    folder = PhotoFolder(
        output=output, rerun=rerun, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
    )
    user = User(
        user_name=user_name,
        organization_name=organization_name,
        organization_key=organization_key,
        private=private,
    )
    return run_units(
        import_path, lambda run: run.kept(steps.with_user(run.images, user)), folder=folder, again=("user",)
    )


@public
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
) -> Job[gpd.GeoDataFrame]:
    """
    Record the metadata of camera and files: a step of `process`.

    Maker, model and orientation are those in the photos, unless you give others.

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
    folder = PhotoFolder(
        output=output, rerun=rerun, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
    )
    meta = MetaData(
        device_make=device_make,
        device_model=device_model,
        add_file_name=add_file_name,
        exclude_import_path=exclude_import_path,
        exclude_path=exclude_path,
        windows_path=windows_path,
        add_import_date=add_import_date,
        orientation=orientation,
        gps_accuracy=gps_accuracy,
        camera_uuid=camera_uuid,
        custom_meta_data=custom_meta_data,
    )
    return run_units(
        import_path, lambda run: run.kept(run.with_meta_data(run.images, meta)), folder=folder, again=("meta-data",)
    )


@public
def extract_geotag_data(
    import_path: PathLike,
    *,
    output: PathLike | None = None,
    rerun: bool = False,
    skip_subfolders: bool = False,
    geotag_source: Sources = "exif",
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
) -> Job[gpd.GeoDataFrame]:
    """
    Give photos time, position and heading: a step of `process`.

    Starts from the original values of the photos. Sequences that were cut before are discarded, because they may be
    wrong now.

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
    from mlygeo.pipelines.geotagging import placed

    folder = PhotoFolder(
        output=output, rerun=rerun, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
    )
    how = Geotagging(
        geotag_source=geotag_source,
        geotag_source_path=geotag_source_path,
        local_time=local_time,
        sub_second_interval=sub_second_interval,
        offset_time=offset_time,
        offset_angle=offset_angle,
        interpolation_offset_time=interpolation_offset_time,
        use_gps_start_time=use_gps_start_time,
        max_gap=max_gap,
    )

    def work(run: Run) -> gpd.GeoDataFrame:
        return run.kept(placed(run.images, how, run.place.base, progress=progress))

    # Sequences that were cut from other positions would be wrong.
    return run_units(import_path, work, folder=folder, again=("geotag", "sequence"))


@public_with(Cutting)
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
) -> Job[gpd.GeoDataFrame]:
    """
    Cut photos into sequences, flag duplicates, derive headings: a step of `process`.

    The photos of one folder and camera (make, model, serial number and picture size) are cut where the gap to the
    next photo is too large, and split at `max_images`, 6 gigapixels and 110 GiB. Photos without a heading are assumed
    to look in the direction of travel: within `duplicate_distance` of the last photo kept, they are duplicates.

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
    from mlygeo.pipelines import steps

    folder = PhotoFolder(
        output=output, rerun=rerun, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
    )
    cutting = Cutting(
        cutoff_distance=cutoff_distance,
        cutoff_time=cutoff_time,
        max_images=max_images,
        interpolate_directions=interpolate_directions,
        offset_angle=offset_angle,
        keep_duplicates=keep_duplicates,
        duplicate_distance=duplicate_distance,
        duplicate_angle=duplicate_angle,
        max_speed=max_speed,
        preset=None,
        endpoint=None,
    )

    def work(run: Run) -> gpd.GeoDataFrame:
        return run.kept(steps.with_sequences(steps.checked(run.images), run.photos, cutting))

    return run_units(import_path, work, folder=folder, again=("sequence",))


@public
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
) -> Job[gpd.GeoDataFrame]:
    """
    Write the image description file for the upload: a step of `process`.

    Run the other steps first; it needs their results.

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
    from mlygeo.pipelines import steps

    folder = PhotoFolder(
        output=output, rerun=rerun, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
    )

    def work(run: Run) -> gpd.GeoDataFrame:
        images = run.kept(steps.with_user_name(run.images, user_name))
        run.save(images)
        if desc_path is None:
            run.describe(images)
        return images

    path = Path(import_path).expanduser()
    check_described(desc_path, [path if path.is_dir() else path.parent], output)
    job = run_units(import_path, work, folder=folder, again=(), goes_on=True)
    return job if desc_path is None or dry_run else described_apart(job, [], desc_path)


@public
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
) -> Job[gpd.GeoDataFrame]:
    """
    Write the results of the other steps into the photos: the last step of `process`.

    The image description is written into the tag ImageDescription of each photo that is ready. With options, time,
    position, heading and orientation are also written into their own tags. A photo is replaced only by a new file
    that was read back and is complete; everything else in it stays. Photos that were uploaded are not changed.

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
    folder = PhotoFolder(
        output=output, rerun=rerun, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
    )
    insertion = Insertion(
        skip_exif_insert=skip_exif_insert,
        keep_original=keep_original,
        overwrite_all_exif_tags=overwrite_all_exif_tags,
        overwrite_exif_time_tag=overwrite_exif_time_tag,
        overwrite_exif_gps_tag=overwrite_exif_gps_tag,
        overwrite_exif_direction_tag=overwrite_exif_direction_tag,
        overwrite_exif_orientation_tag=overwrite_exif_orientation_tag,
        desc_path=None,
    )
    return run_units(
        import_path, lambda run: run.inserted(run.kept(run.images), insertion), folder=folder, again=(), goes_on=True
    )
