"""The chain of verbs from photos to an upload."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import places
from mlygeo.pipelines.described import STANDARD_OUTPUT
from mlygeo.pipelines.destination import Destination
from mlygeo.pipelines.job import Job, one_after_another, public_with
from mlygeo.pipelines.options import (
    Cutting,
    Described,
    Geotagging,
    Insertion,
    MetaData,
    PhotoFolder,
    SignedIn,
    Sorting,
    Uploading,
    User,
)
from mlygeo.pipelines.processing import process, run_process, video_options
from mlygeo.pipelines.upload_sequences import track_for_videos
from mlygeo.pipelines.uploads import upload

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.pipelines.sources import Sources
    from mlygeo.pipelines.video_tracks import VideoOptions
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


@public_with(process, upload)
def process_and_upload(
    import_path: PathLike | Iterable[PathLike],
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
    video_geotag_source: Sources | None = None,
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
    preset: str | None = None,
    endpoint: str | None = None,
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
    track: PathLike | None = None,
    video_start_time: int | None = None,
    reupload: bool = False,
    manual_done: bool = False,
    number_threads: int | None = None,
    max_attempts: int | None = None,
    token: str | None = None,
    token_file: PathLike | None = None,
    config_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | None = None,
    blurred: bool = False,
    progress: Progress | None = None,
) -> Job[pd.DataFrame]:
    """
    Process photos, and upload the results.

    The same as `process` and then `upload`, with the options of both. Videos are uploaded as by `upload`, even if
    there are no photos. With `dry_run`, nothing is written or sent.

    Returns
    -------
    uploads
        What `upload` returns.

    Raises
    ------
    InputError
        If an option makes no sense.
    FileError
        If a path does not exist.
    CredentialsError
        If an upload belongs to it and nobody is signed in.

    Examples
    --------
    >>> process_and_upload("DCIM", user_name="jane")  # doctest: +SKIP
    """
    from mlygeo.uploads import found

    folder = PhotoFolder(
        output=output, rerun=rerun, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
    )
    user = User(
        user_name=user_name, organization_name=organization_name, organization_key=organization_key, private=private
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
        preset=preset,
        endpoint=None if preset is None else endpoint,
    )
    insertion = Insertion(
        skip_exif_insert=skip_exif_insert,
        keep_original=keep_original,
        overwrite_all_exif_tags=overwrite_all_exif_tags,
        overwrite_exif_time_tag=overwrite_exif_time_tag,
        overwrite_exif_gps_tag=overwrite_exif_gps_tag,
        overwrite_exif_direction_tag=overwrite_exif_direction_tag,
        overwrite_exif_orientation_tag=overwrite_exif_orientation_tag,
        desc_path=desc_path,
    )
    sorting = Sorting(
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
    )
    described = uploaded_by(desc_path, skip_subfolders=skip_subfolders)
    signed_in = SignedIn(token=token, token_file=token_file, config_file=config_file, service=service)
    uploading = Uploading(
        reupload=reupload,
        manual_done=manual_done,
        file_types=file_types,
        number_threads=number_threads,
        max_attempts=max_attempts,
    )
    return processed_and_uploaded(
        import_path,
        to=Destination.of(provider=provider, endpoint=endpoint, blurred=blurred, service=service, used=("file_types",)),
        folder=folder,
        user=user,
        meta=meta,
        how=how,
        cutting=cutting,
        insertion=insertion,
        sorting=sorting,
        described=described,
        signed_in=signed_in,
        uploading=uploading,
        track=track,
        video_start_time=video_start_time,
        videos=video_options(
            geotag_source,
            video_geotag_source,
            geotag_source_path,
            found.named(file_types),
            device_make=device_make,
            device_model=device_model,
            use_gps_start_time=use_gps_start_time,
        ),
    )


def uploaded_by(desc_path: PathLike | None, *, skip_subfolders: bool) -> Described:
    """Return the descriptions of an upload after `process`: those on standard output are in its folders, too."""
    written = None if desc_path is None or str(desc_path) == STANDARD_OUTPUT else desc_path
    return Described(desc_path=written, skip_subfolders=skip_subfolders)


def processed_and_uploaded(
    import_path: PathLike | Iterable[PathLike],
    *,
    to: Destination,
    folder: PhotoFolder,
    user: User,
    meta: MetaData,
    how: Geotagging,
    cutting: Cutting,
    insertion: Insertion,
    sorting: Sorting,
    described: Described,
    signed_in: SignedIn,
    uploading: Uploading,
    videos: VideoOptions | None,
    track: PathLike | None = None,
    video_start_time: int | None = None,
) -> Job[pd.DataFrame]:
    """
    Process photos, and upload what was made of them; see `process_and_upload`.

    Parameters
    ----------
    import_path
        Folders of photos and videos, photos, or videos.
    to
        Whom they are uploaded to.
    folder, user, meta, how, cutting, insertion, sorting
        The options of `run_process`.
    described, signed_in, uploading
        The options of the upload.
    videos
        How videos are described; None leaves them out.
    track, video_start_time
        The track of the videos, and when they start.
    """
    from mlygeo.pipelines.sorting import then_sorted
    from mlygeo.uploads import found

    def upload_from(path: PathLike | Iterable[PathLike]) -> Job[pd.DataFrame]:
        return to.upload(
            path, described=described, user=user, signed_in=signed_in, uploading=uploading, output=None,
            dry_run=folder.dry_run, progress=folder.progress, track=track, video_start_time=video_start_time,
        )  # fmt: skip

    sorting.warn()
    track_for_videos(track, video_start_time, None)  # errors are raised before any photo is changed
    to.check_sign_in(user, signed_in, uploading, dry_run=folder.dry_run)
    types = found.named(uploading.file_types)
    if types == {"zip"}:
        return upload_from(import_path)
    # Photos are sorted by the result of their upload, so sorting comes last.
    processed = run_process(
        import_path,
        types=types,
        videos=videos,
        folder=folder,
        user=user,
        meta=meta,
        how=how,
        cutting=cutting,
        insertion=insertion,
        sorting=None,
    )
    if folder.dry_run:
        if len(processed.result) or not processed.summary.get("videos"):
            return processed
        # What photos are uploaded by was not written; videos have it themselves, unless a log places them.
        rehearsed = upload_from(import_path)
        return processed if rehearsed.summary["left_out"] else one_after_another(processed, rehearsed)
    done = one_after_another(processed, upload_from(_described_in(import_path, folder.output)))
    if not sorting.asked:
        return done
    for root in dict.fromkeys(places.several(import_path)):
        done = then_sorted(done, root, folder=folder, sorting=sorting)
    return replace(done, summary={**done.summary, "failed": [*map(str, done.failed)]})


def _described_in(import_path: PathLike | Iterable[PathLike], output: PathLike | None) -> PathLike | Iterable[PathLike]:
    """Return the folder by which photos are uploaded: that of their frames where nothing can be written beside them."""
    if output is None:
        return import_path
    folder = Path(places.several(import_path)[0]).expanduser()  # of several none can have an output
    base = folder if folder.is_dir() else folder.parent
    return import_path if os.access(base, os.W_OK) else output
