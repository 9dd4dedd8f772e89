"""
From photos, and tracks, to sequences that are ready for upload: `process`, and its units one by one.

Each unit reads the frame that is kept for the folder of photos, and writes it back.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job, public, public_with
from mlygeo.pipelines.options import Cutting, Geotagging, Insertion, MetaData, PhotoFolder, Sorting, User

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd

    from mlygeo.photos.import_folder import PhotoImport
    from mlygeo.pipelines.sources import Sources
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


log = logging.getLogger("mlygeo.pipelines")


@public
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
    geotag_source: Sources = "exif",
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
) -> Job[gpd.GeoDataFrame]:
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
    file_types
        Only files of these types, with commas between; process is for image, and an upload takes others
        as they are. Default: all.

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
    check_file_types(file_types)
    return run_process(
        import_path,
        folder=PhotoFolder(
            output=output, rerun=rerun, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
        ),
        user=User(
            user_name=user_name,
            organization_name=organization_name,
            organization_key=organization_key,
            private=private,
        ),
        meta=MetaData(
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
        ),
        how=Geotagging(
            geotag_source=geotag_source,
            geotag_source_path=geotag_source_path,
            local_time=local_time,
            sub_second_interval=sub_second_interval,
            offset_time=offset_time,
            offset_angle=offset_angle,
            interpolation_offset_time=interpolation_offset_time,
            use_gps_start_time=use_gps_start_time,
            max_gap=max_gap,
        ),
        cutting=Cutting(
            cutoff_distance=cutoff_distance,
            cutoff_time=cutoff_time,
            max_images=max_images,
            interpolate_directions=interpolate_directions,
            offset_angle=offset_angle,
            keep_duplicates=keep_duplicates,
            duplicate_distance=duplicate_distance,
            duplicate_angle=duplicate_angle,
            max_speed=max_speed,
        ),
        insertion=Insertion(
            skip_exif_insert=skip_exif_insert,
            keep_original=keep_original,
            overwrite_all_exif_tags=overwrite_all_exif_tags,
            overwrite_exif_time_tag=overwrite_exif_time_tag,
            overwrite_exif_gps_tag=overwrite_exif_gps_tag,
            overwrite_exif_direction_tag=overwrite_exif_direction_tag,
            overwrite_exif_orientation_tag=overwrite_exif_orientation_tag,
            desc_path=desc_path,
        ),
        sorting=Sorting(
            summarize=summarize,
            list_file_status=list_file_status,
            save_as_json=save_as_json,
            save_local_mapping=save_local_mapping,
            move_all_images=move_all_images,
            move_duplicates=move_duplicates,
            move_uploaded=move_uploaded,
            move_sequences=move_sequences,
            split_import_path=split_import_path,
            push_images=push_images,
        ),
    )


def check_file_types(file_types: str | None) -> None:
    """
    Raise unless photos are among the types of files given in a call.

    Parameters
    ----------
    file_types
        Types separated by commas; None for all.

    Raises
    ------
    InputError
        If they are not, or a type is unknown.
    """
    from mlygeo.uploads import found

    if found.IMAGE not in found.named(file_types):
        raise InputError(
            "`file_types` leaves out photos, and nothing else is processed",
            hint="'mlygeo upload' takes archives and videos as they are",
        )


def run_process(
    import_path: PathLike,
    *,
    folder: PhotoFolder,
    user: User,
    meta: MetaData,
    how: Geotagging,
    cutting: Cutting,
    insertion: Insertion,
    sorting: Sorting | None,
) -> Job[gpd.GeoDataFrame]:
    """
    Process photos; see `process`.

    Parameters
    ----------
    import_path
        The folder of photos, or one photo.
    folder, user, meta, how, cutting, insertion
        The options.
    sorting
        Sorting of the folder afterwards; None if that follows later.
    """
    from mlygeo.photos.import_folder import OWNED
    from mlygeo.pipelines import steps
    from mlygeo.pipelines.geotagging import placed
    from mlygeo.pipelines.sorting import then_sorted

    def work(run: Run) -> gpd.GeoDataFrame:
        images = steps.with_user(run.images, user)
        _warn_of_opened(run.before, images)
        images = run.with_meta_data(images, meta)
        images = placed(images, how, run.place.base, progress=folder.progress)
        images = steps.with_sequences(images, run.photos, cutting)
        run.save(images)
        images = run.inserted(images, insertion)
        run.describe(images, insertion.desc_path)
        return images

    if sorting is not None:
        sorting.warn()
    job = run_units(import_path, work, folder=folder, again=tuple(OWNED))
    if sorting is not None and sorting.asked and not folder.dry_run:
        return then_sorted(job, import_path, folder=folder, sorting=sorting)
    return job


class Run(NamedTuple):
    """One run over a folder: its import, the photos' own tags, and the results of earlier runs."""

    place: PhotoImport
    photos: gpd.GeoDataFrame
    images: gpd.GeoDataFrame
    before: gpd.GeoDataFrame | None
    dry_run: bool
    files: list[Path]

    def save(self, images: gpd.GeoDataFrame) -> None:
        """Write the frames, except in a dry run."""
        if not self.dry_run:
            self.files[:] = self.place.save(images)

    def describe(self, images: gpd.GeoDataFrame, desc_path: PathLike | None) -> None:
        """Write the image description file, except in a dry run."""
        from mlygeo.pipelines import steps
        from mlygeo.providers import descriptions

        if self.dry_run:
            return
        place = self.place.base if desc_path is None else Path(desc_path)
        if desc_path is None and not os.access(place, os.W_OK):
            place = self.place.folder  # with -o, where the frames are; without it, the reason is said
        if place == self.place.base:
            self.place.save_beside(images)
        self.files.append(descriptions().write(steps.uploadable(images), place))

    def with_meta_data(self, images: gpd.GeoDataFrame, meta: MetaData) -> gpd.GeoDataFrame:
        """Return images with the metadata of camera and files."""
        from mlygeo.pipelines import steps

        now_ms = round(time.time() * 1000) if meta.add_import_date else None
        return steps.with_meta_data(images, meta, base=str(self.place.base), now_ms=now_ms)

    def inserted(self, images: gpd.GeoDataFrame, insertion: Insertion) -> gpd.GeoDataFrame:
        """Write the image descriptions of the images that are ready into their photos, or copies of them."""
        if insertion.skip_exif_insert or self.dry_run:
            return images
        from mlygeo.photos.insertion import insert_tags
        from mlygeo.photos.tags import description_tags
        from mlygeo.places import COPIES
        from mlygeo.providers import descriptions
        from mlygeo.uploads import older

        ready = images["error"].isna().to_numpy() & ~images["is_duplicate"].to_numpy(dtype=bool)
        # The history of uploads identifies a photo by its content, so an uploaded photo must not change.
        uploaded = older.uploads_of(images, self.photos["first_path"]) >= older.READY
        uploaded |= older.older_uploads_of(images, ready & ~uploaded)
        if (ready & uploaded).any():
            log.info("%d photos are uploaded already, and stay as they are", int((ready & uploaded).sum()))
        ready &= ~uploaded
        copies = None
        if insertion.keep_original:
            copies = self.place.base, self.place.folder / COPIES
        else:
            self.place.note_insertion(self.photos, ready)
        asked = insertion.overwrite

        def tags_of(image: Any) -> Any:
            return description_tags(image, description=descriptions().of(image), overwrite=asked)

        written = insert_tags(images, tags_of, rows=ready, copies=copies, progress=self.place.progress)
        failed = written["error"].notna() & images["error"].isna()
        written = written.assign(failed_in=images["failed_in"].mask(failed, "exif-insert"))
        self.save(written)
        return written


def run_units(
    import_path: PathLike,
    work: Callable[[Run], gpd.GeoDataFrame],
    *,
    folder: PhotoFolder,
    again: tuple[str, ...],
    goes_on: bool = False,
) -> Job[gpd.GeoDataFrame]:
    """
    Run units on a folder of photos, and store their results.

    Parameters
    ----------
    import_path
        The folder of photos, or one photo.
    work
        Returns the frame with the columns of the units.
    folder
        The options of the folder.
    again
        Units whose earlier results are not carried over.
    goes_on
        Whether other units must have run before.
    """
    from mlygeo.photos.import_folder import import_folder
    from mlygeo.pipelines import inputs, steps

    place = inputs.photo_import(import_folder(import_path), folder)
    if goes_on and not place.was_processed:
        raise InputError(
            f"nothing was processed in {place.root} yet",
            hint=f"mlygeo process {place.root}, or its units: extract-geotag-data, extract-sequence-data, …",
        )
    with place.held(dry_run=folder.dry_run):
        known = place.photos(dry_run=folder.dry_run)
        before = place.stored()
        run = Run(place, known, place.images(known, before, again=again), before, folder.dry_run, [])
        images = work(run)
        if not run.files:
            run.save(images)
    summary = steps.summary_of(images, passed_over=place.passed_over, files=run.files)
    said, failed = steps.headline(summary), list(summary["failed_files"])
    return Job(lambda: images, summary, said, lambda _: run.files, failed)


def _warn_of_opened(before: gpd.GeoDataFrame | None, images: gpd.GeoDataFrame) -> None:
    """Warn of photos that an earlier run marked as private or for an organization, and this run does not."""
    if before is None or not {"private", "organization_key"} <= set(before.columns):
        return
    kept = before["private"].fillna(value=False).astype(bool) | before["organization_key"].notna()
    owned = images["private"].astype(bool) | images["organization_key"].notna() | images["organization_name"].notna()
    opened = int(images.loc[~owned, "path"].isin(before.loc[kept, "path"]).sum())
    if opened:
        log.warning(
            "%d photos were private or of an organization, and are not any more: `private=True`, `organization_key`",
            opened,
        )


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
    Note whose photos they are: the first unit of `process`.

    Every unit reads and writes `images.parquet`, so that they can be run one after another.

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
    return run_units(import_path, lambda run: steps.with_user(run.images, user), folder=folder, again=("user",))


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
    Note what photos and options tell of camera and files: a unit of `process`.

    Maker, model and orientation are those in the photos, unless given here.

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
    return run_units(import_path, lambda run: run.with_meta_data(run.images, meta), folder=folder, again=("meta-data",))


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
    Give photos time, position and heading: a unit of `process`.

    Starts from what photos said when they were first read. Sequences that were cut before are forgotten,
    for they may be wrong now.

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
        return placed(run.images, how, run.place.base, progress=progress)

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
    Cut photos into sequences, derive headings, flag duplicates: a unit of `process`.

    Photos of one folder and camera are cut where the gap to the next is too large, and split at
    `max_images`.

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
    )

    def work(run: Run) -> gpd.GeoDataFrame:
        return steps.with_sequences(steps.checked(run.images), run.photos, cutting)

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
    Write the image description file, which an upload goes by: a unit of `process`.

    Needs what the other units found.

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
        images = steps.with_user_name(run.images, user_name)
        run.save(images)
        run.describe(images, desc_path)
        return images

    return run_units(import_path, work, folder=folder, again=(), goes_on=True)


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
    Write what the other units found into the photos: the last unit of `process`.

    The image description goes into the tag ImageDescription of each photo that is ready; with options, time,
    position, heading and orientation go into their own tags too. A photo is replaced only by a new one that
    was read back and found whole; whatever else it holds stays. Photos that are uploaded already are left alone.

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
        import_path, lambda run: run.inserted(run.images, insertion), folder=folder, again=(), goes_on=True
    )
