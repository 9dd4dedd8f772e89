"""Chains of verbs that begin with videos: to photos, to sequences, to an upload."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import places
from mlygeo.errors import FormatError, InputError
from mlygeo.pipelines.chains import processed_and_uploaded, uploaded_by
from mlygeo.pipelines.destination import Destination
from mlygeo.pipelines.job import Job, one_after_another, public_with
from mlygeo.pipelines.options import (
    Cutting,
    Geotagging,
    Insertion,
    MetaData,
    PhotoFolder,
    SignedIn,
    Sorting,
    Uploading,
    User,
    VideoFrames,
    VideoSampling,
)
from mlygeo.pipelines.processing import check_file_types, process, run_process
from mlygeo.pipelines.uploads import upload
from mlygeo.pipelines.video import frames_folder, listed, read_track, run_sampling, sample_video

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import geopandas as gpd
    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.pipelines.sources import Sources
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


@public_with(sample_video, process)
def video_process(
    videos: PathLike | Iterable[PathLike] | None = None,
    *,
    video_import_path: PathLike | None = None,
    import_path: PathLike | None = None,
    video_sample_interval: float = 2.0,
    video_sample_distance: float | None = None,
    video_start_time: int | str | None = None,
    video_duration_ratio: float = 1.0,
    skip_subfolders: bool = False,
    track: PathLike | None = None,
    rerun: bool = False,
    decoder: str = "pyav",
    hardware: str | None = None,
    output: PathLike | None = None,
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
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Sample videos into photos, and process the photos.

    The same as `sample_video` and then `process` on the folder of frames, with the options of both. Frames of a video
    with a track already have positions. To use another track, give it as for `process`.

    Returns
    -------
    images
        What `process` returns.

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
    >>> video_process("GH010042.MP4", video_sample_distance=3)  # doctest: +SKIP
    """
    sampling = VideoSampling(
        video_sample_interval=video_sample_interval,
        video_sample_distance=video_sample_distance,
        video_start_time=video_start_time,
        video_duration_ratio=video_duration_ratio,
        track=track,
    )
    made = VideoFrames(import_path=import_path, rerun=rerun, decoder=decoder, hardware=hardware)
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
        endpoint=endpoint,
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
    types = _frame_types(file_types)
    sampled, frames, how = _sample(videos, video_import_path, sampling=sampling, made=made, folder=folder, how=how)
    processed = run_process(
        frames,
        types=types,
        videos=None,
        folder=folder,
        user=user,
        meta=meta,
        how=how,
        cutting=cutting,
        insertion=insertion,
        sorting=sorting,
    )
    return one_after_another(sampled, processed)


@public_with(sample_video, process, upload)
def video_process_and_upload(
    videos: PathLike | Iterable[PathLike] | None = None,
    *,
    video_import_path: PathLike | None = None,
    import_path: PathLike | None = None,
    video_sample_interval: float = 2.0,
    video_sample_distance: float | None = None,
    video_start_time: int | str | None = None,
    video_duration_ratio: float = 1.0,
    skip_subfolders: bool = False,
    track: PathLike | None = None,
    rerun: bool = False,
    decoder: str = "pyav",
    hardware: str | None = None,
    output: PathLike | None = None,
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
    Sample videos into photos, process them, and upload the results.

    The same as `sample_video`, then `process`, then `upload`, with the options of all three.

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
    >>> video_process_and_upload("GH010042.MP4", user_name="jane")  # doctest: +SKIP
    """
    sampling = VideoSampling(
        video_sample_interval=video_sample_interval,
        video_sample_distance=video_sample_distance,
        video_start_time=video_start_time,
        video_duration_ratio=video_duration_ratio,
        track=track,
    )
    made = VideoFrames(import_path=import_path, rerun=rerun, decoder=decoder, hardware=hardware)
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
    to = Destination.of(
        provider=provider, endpoint=endpoint, blurred=blurred, service=service,
        used=("file_types", "track", "video_start_time"),
    )  # fmt: skip
    to.check_sign_in(user, signed_in, uploading, dry_run=dry_run)
    sampled, frames, how = _sample(videos, video_import_path, sampling=sampling, made=made, folder=folder, how=how)
    uploaded = processed_and_uploaded(
        frames,
        to=to,
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
        videos=None,
    )
    return one_after_another(sampled, uploaded)


def _frame_types(file_types: str | None) -> frozenset[str]:
    """Return the types of files given in a call; raise if photos, as frames become, are not among them."""
    types = check_file_types(file_types)
    if "image" not in types:
        raise InputError("`file_types` leaves out photos, and videos become photos here")
    return types


def _sample(
    videos: PathLike | Iterable[PathLike] | None,
    video_import_path: PathLike | None,
    *,
    sampling: VideoSampling,
    made: VideoFrames,
    folder: PhotoFolder,
    how: Geotagging,
) -> tuple[Job[gpd.GeoDataFrame], PathLike, Geotagging]:
    """Sample videos; return the job, the one folder of all frames, and how these are geotagged."""
    from mlygeo.pipelines.geotagging import LOG_ENDINGS

    if folder.dry_run:
        raise InputError(
            "`dry_run` cannot tell what becomes of frames that are not there", hint="run mlygeo sample-video first"
        )
    if how.geotag_source_path is None and how.is_video:
        # The older tools geotag from the videos themselves by default.
        how = replace(how, geotag_source_path=video_import_path or _only(videos))
    named = listed(videos) + listed(video_import_path)
    folders = {frames_folder(path) for path in named}
    if made.import_path is None and len(folders) > 1:
        raise InputError(
            f"the videos lie in {len(folders)} folders, and so would their frames",
            hint="name one folder for all frames with `import_path`",
        )
    if how.geotag_source in LOG_ENDINGS and how.geotag_source_path is not None:
        log = Path(how.geotag_source_path).expanduser()
        sampling, how = _along(log, sampling, how, named, folder.progress, skip_subfolders=folder.skip_subfolders)
    sampled = run_sampling(named, sampling, made, skip_subfolders=folder.skip_subfolders, progress=folder.progress)
    if not sampled.summary["frames"]:
        raise FormatError("; ".join(map(str, sampled.summary["failed"].values())) or "the videos show no frames")
    return sampled, made.import_path or folders.pop(), how


def _along(
    log: Path,
    sampling: VideoSampling,
    how: Geotagging,
    videos: list[Path],
    progress: Progress | None,
    *,
    skip_subfolders: bool,
) -> tuple[VideoSampling, Geotagging]:
    """
    Return the sampling of videos along the log that their frames are geotagged with, and the geotagging.

    A recording whose own clock is ignored starts with the log, and its chapters follow. Several recordings cannot
    all start with it: those that say when they were recorded keep their distances, and are placed by `process`. A
    log that is needed here is read once, for both.
    """
    from mlygeo.spatial.track import lines, start_us
    from mlygeo.video.frames import find_videos
    from mlygeo.video.recordings import recordings_of

    by_distance = sampling.video_sample_distance is not None and sampling.track is None
    by_start = how.use_gps_start_time and sampling.video_start_time is None
    if by_start:
        found = find_videos(videos, skip_subfolders=skip_subfolders)
        by_start = recordings_of([video for video, _ in found]) == 1
    if not by_distance and not by_start:
        return sampling, how
    track = read_track(log, progress=progress)
    if by_start and track["time"].notna().any():
        merged, _ = lines(track)
        sampling = replace(sampling, video_start_time=start_us(merged) // 1000)
    if by_distance:
        sampling = replace(sampling, track=track)
    if not log.is_dir():
        how = replace(how, geotag_source_path=track)
    return sampling, how


def _only(videos: PathLike | Iterable[PathLike] | None) -> PathLike:
    named: list[PathLike] = places.several(videos)
    if len(named) != 1:
        raise InputError("`geotag_source_path` is needed where there are several videos")
    return named[0]
