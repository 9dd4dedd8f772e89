"""From photos, and tracks, to sequences that are ready for upload: `process`."""

from __future__ import annotations

import dataclasses
import logging
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.described import check_described, described_apart, with_others
from mlygeo.pipelines.job import Job, public, tally
from mlygeo.pipelines.options import INSERTED, Cutting, Geotagging, Insertion, MetaData, PhotoFolder, Sorting, User
from mlygeo.pipelines.unit_runs import Run, run_units
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import geopandas as gpd

    from mlygeo.pipelines.import_paths import ImportPaths
    from mlygeo.pipelines.sources import Sources
    from mlygeo.pipelines.video_tracks import VideoOptions
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]


log = logging.getLogger("mlygeo.pipelines")


@public
def process(
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
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Geotag photos, cut them into sequences, flag duplicates, and write the results into the photos.

    Reads the photos of folders, gives them positions (their own, or from a track or videos), cuts them into
    sequences, flags duplicates, computes missing headings along the photos kept, flags what looks wrong, and writes
    the image description into each photo that is ready. Three files are stored in the folder of photos:
    `images.parquet` with all photos, including failed ones and the reason; `sequences.parquet` with one row per
    sequence; and `mapillary_image_description.json`, which the official tools read too. A photo is replaced only by a
    complete new file. Repeat the command to continue an interrupted run. It starts from the original values of the
    photos, even if they or their folder were moved or renamed since. Photos that were uploaded are not changed and
    keep their results, unless you give `rerun`.

    Videos in the folder are not changed. The track of each video, from its camera or from a GPX file with the same
    name beside it, is written to the image description file. Videos without positions are counted; if you name such a
    video directly, it is an error.

    Parameters
    ----------
    import_path
        Folders of photos and videos, including their subfolders; photos; or videos. Each folder keeps its own
        frames and descriptions.
    file_types
        Use only files of these types, separated by commas: image, and video or the makers of cameras. An upload
        includes the others unchanged. Default: all.

    Returns
    -------
    images
        Images frame of local files, a row for each photo; those that cannot be used have an `error`.
        New columns are those of `geotag`, `cut_sequences`, `flag_duplicates` and `check_images`, and
        `filename`, `meta_tags` (JSON), `gps_accuracy_m`, `user_name`, `organization_name`,
        `organization_key`, `private`, `geotag_angle` (the heading before any was derived), `failed_in` (the unit
        that the error comes from), `exif_written` (bool), `uploaded` (bool), and what a photo is known by,
        which is null for photos that were not read as a whole: `photo_uuid`, `picture` (a digest) and
        `original_time`.

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
    types = check_file_types(file_types)
    return run_process(
        import_path,
        types=types,
        videos=video_options(
            geotag_source,
            video_geotag_source,
            geotag_source_path,
            types,
            device_make=device_make,
            device_model=device_model,
            use_gps_start_time=use_gps_start_time,
        ),
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
            preset=preset,
            endpoint=endpoint,
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


OF_PHOTOS = (
    "add_file_name", "exclude_import_path", "exclude_path", "windows_path", "add_import_date", "orientation",
    "gps_accuracy", "camera_uuid", "custom_meta_data", "sub_second_interval", "max_gap", "keep_duplicates",
    "max_speed", *(name for name in INSERTED if name != "skip_exif_insert"),
)  # fmt: skip
"""
Options that no video is described by.

Those that command lines of mapillary_tools have for videos too are not among them, such as `cutoff_distance`.
"""


def check_file_types(file_types: str | None) -> frozenset[str]:
    """
    Return the types of files given in a call; raise unless photos or videos are among them.

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

    types = found.named(file_types)
    if types == {"zip"}:
        raise InputError(
            "`file_types` leaves out photos and videos, and nothing else is processed",
            hint="'mlygeo upload' takes archives as they are",
        )
    return types


def video_options(
    geotag_source: Sources,
    video_geotag_source: Sources | None,
    geotag_source_path: Any,
    types: frozenset[str],
    *,
    device_make: str | None,
    device_model: str | None,
    use_gps_start_time: bool,
) -> VideoOptions:
    """
    Return how videos are described.

    Parameters
    ----------
    geotag_source, video_geotag_source, geotag_source_path
        Options of `process`.
    types
        From `check_file_types`.
    device_make, device_model, use_gps_start_time
        Options of `process`.
    """
    from mlygeo.pipelines.video_tracks import VideoOptions, video_sources

    return VideoOptions(
        video_sources(geotag_source, video_geotag_source, geotag_source_path),
        None if "video" in types else types - {"image", "zip"},
        device_make,
        device_model,
        use_gps_start_time,
    )


def run_process(
    import_path: PathLike | Iterable[PathLike],
    *,
    types: frozenset[str],
    videos: VideoOptions | None,
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
        Folders of photos and videos, photos, or videos.
    types
        The types of files that are processed.
    videos
        How videos are described; None leaves them out.
    folder, user, meta, how, cutting, insertion
        The options.
    sorting
        Sorting of the folders afterwards; None if that follows later.
    """
    from mlygeo.photos.results import OWNED
    from mlygeo.pipelines import steps
    from mlygeo.pipelines.differences import note
    from mlygeo.pipelines.geotagging import placed
    from mlygeo.pipelines.import_paths import import_paths
    from mlygeo.pipelines.sorting import then_sorted

    with_videos = videos is not None and (videos.cameras is None or bool(videos.cameras))
    if "image" not in types:
        of_no_use(OF_PHOTOS, "where no photo is processed")
    if videos is not None and not with_videos:
        of_no_use(("video_geotag_source",), "where no video is processed")
    imports = import_paths(
        import_path, skip_subfolders=folder.skip_subfolders, photos="image" in types, videos=with_videos
    )
    if folder.output is not None and len(imports) > 1:
        raise InputError(
            f"`output` names one folder for the frames of {len(imports)} folders", hint="process them one by one"
        )
    apart = insertion.desc_path is not None  # one file for all
    check_described(insertion.desc_path, [each.base for each in imports], folder.output)

    def work(run: Run) -> gpd.GeoDataFrame:
        images = steps.with_user(run.images, user)
        _warn_of_opened(run.before, images)
        images = run.with_meta_data(images, meta)
        images = placed(images, how, run.place.base, progress=folder.progress)
        images = run.kept(steps.with_sequences(images, run.photos, cutting))
        run.drop_copies()
        run.save(images)
        images = run.inserted(images, insertion)
        if not apart:
            run.describe(images)
        return images

    if sorting is not None:
        sorting.warn()
    jobs: list[Job[gpd.GeoDataFrame]] = []
    rows: list[gpd.GeoDataFrame] = []
    for each in imports:
        described = _videos_of(each, videos, folder)
        rows += [] if described is None else [described]
        # Where the descriptions are asked for, an empty list of them is an answer.
        others = len(imports) > 1 or each.videos or each.left_out or "image" not in types or apart
        if each.has_photos or not others:

            def work_with(run: Run, described: gpd.GeoDataFrame | None = described) -> gpd.GeoDataFrame:
                return work(dataclasses.replace(run, videos=described))

            jobs.append(run_units(each.root, work_with, folder=folder, again=tuple(OWNED), files=each.files))
        else:
            jobs.append(_of_videos_alone(each, described, write=not apart and not folder.dry_run))
        jobs[-1] = _with_videos(jobs[-1], each, described)
    job = jobs[0] if len(jobs) == 1 else _together(jobs)
    if len(job.result) and (line := note(job.result, cutting)) is not None:
        summary = {**job.summary, "unlike_mapillary_tools": line.partition(": ")[2].split("; ")}
        job = dataclasses.replace(job, summary=summary, headline=f"{job.headline}\n{line}")
    if insertion.desc_path is not None and not folder.dry_run:
        job = described_apart(job, rows, insertion.desc_path)
    if sorting is not None and sorting.asked and not folder.dry_run:
        for each in imports:
            if each.has_photos:
                job = then_sorted(job, each.root, folder=folder, sorting=sorting)
    return job


def _warn_of_opened(before: gpd.GeoDataFrame | None, images: gpd.GeoDataFrame) -> None:
    """Warn of photos that an earlier run marked as private or for an organization, and this run does not."""
    if before is None or not {"private", "organization_key"} <= set(before.columns):
        return
    kept = before["private"].fillna(value=False).astype(bool) | before["organization_key"].notna()
    owned = images["private"].astype(bool) | images["organization_key"].notna() | images["organization_name"].notna()
    opened = int(images.loc[~owned, "path"].isin(before.loc[kept, "path"]).sum())
    if opened:
        log.warning(
            "%s private or of an organization before, but not in this run: `private=True`, `organization_key`",
            f"{counted(opened, 'photo')} {'was' if opened == 1 else 'were'}",
        )


def _videos_of(each: ImportPaths, options: VideoOptions | None, folder: PhotoFolder) -> gpd.GeoDataFrame | None:
    """Return the rows of the videos of an import; those without positions only if they were named."""
    from mlygeo.pipelines.video_tracks import NO_POSITIONS, described_videos

    if options is None or not each.videos:
        return None
    if not options.sources:
        each.left_out["videos, which this source is not for"] += len(each.videos)
        return None
    described = described_videos(each.videos, options, progress=folder.progress)
    passed_over = described["error_type"].eq(NO_POSITIONS).fillna(value=False) & ~described["path"].isin(each.named)
    if count := int(passed_over.sum()):
        each.left_out["videos without positions"] += count
        for path in described.loc[passed_over, "path"]:
            log.warning("%s contains no positions; 'mlygeo sample-video' makes photos of it", path)
    return described


def _of_videos_alone(each: ImportPaths, videos: gpd.GeoDataFrame | None, *, write: bool) -> Job[gpd.GeoDataFrame]:
    """Return the job of an import without photos."""
    from mlygeo.pipelines import steps
    from mlygeo.providers import descriptions

    images = _no_photos()
    files = []
    if write and (videos is not None or each.whole):
        rows = images if videos is None else videos
        if not each.whole:
            rows = with_others(rows, each.base / descriptions().file)
        files.append(descriptions().write(rows, each.base))
    summary = steps.summary_of(images, files=files)
    headline = f"there is no photo and no video to process in {each.root}"
    return Job(lambda: images, summary, headline, lambda _: files, [])


def _no_photos() -> gpd.GeoDataFrame:
    from mlygeo import dtypes, frames
    from mlygeo.photos.results import ADDED

    images = frames.empty(frames.LOCAL_IMAGES)
    return images.assign(**{name: dtypes.nulls(dtype, 0) for name, dtype in ADDED.items()})


def _with_videos(
    job: Job[gpd.GeoDataFrame], each: ImportPaths, videos: gpd.GeoDataFrame | None
) -> Job[gpd.GeoDataFrame]:
    """Return a job with the videos of its import, and what was left out, in summary and headline."""
    from mlygeo.pipelines import steps
    from mlygeo.pipelines.video_tracks import NO_POSITIONS

    summary, lines = dict(job.summary), []
    failed: dict[str, str] = {}
    if videos is not None:
        wrong = videos[videos["error"].notna()]
        expected = wrong["error_type"].eq(NO_POSITIONS).fillna(value=False) & ~wrong["path"].isin(each.named)
        failed = steps.failures(wrong[~expected])
        summary["videos"] = int(videos["error"].isna().sum())
        summary["failed"] += len(failed)
        summary["failed_files"] = {**summary["failed_files"], **failed}
        lines.append(f"{counted(summary['videos'], 'video')} with a track")
        lines += [f"  {path}: {reason}" for path, reason in failed.items()]
    if each.left_out:
        lines.append(f"left out: {tally(each.left_out)}")
    summary["left_out"] = dict(Counter(summary["left_out"]) + each.left_out)
    if summary["photos"] or not lines:
        lines = [job.headline, *lines]
    elif summary["files"]:
        lines.append("  ".join(summary["files"]))
    return dataclasses.replace(job, summary=summary, headline="\n".join(lines), failed=[*job.failed, *failed])


def _together(jobs: list[Job[gpd.GeoDataFrame]]) -> Job[gpd.GeoDataFrame]:
    """Return the jobs of several imports as one, with all their rows."""
    from mlygeo.photos.import_folder import joined
    from mlygeo.pipelines import steps

    frames = [job.result.copy(deep=False) for job in jobs]
    for frame in frames:
        frame.attrs = {}
    images = joined([frame for frame in frames if len(frame)] or frames[:1])
    files = [file for job in jobs for file in job.write(Path())]
    failed = [name for job in jobs for name in job.failed]
    left_out: Counter[str] = Counter()
    for job in jobs:
        left_out += Counter(job.summary["left_out"])
    images.attrs["left_out"] = dict(left_out)
    written = sum(job.summary["exif_written"] for job in jobs)
    summary = steps.summary_of(images, files=files, written=written) | {
        "failed": len(failed),
        "failed_files": {path: error for job in jobs for path, error in job.summary["failed_files"].items()},
        "videos": sum(job.summary.get("videos", 0) for job in jobs),
    }
    return Job(lambda: images, summary, "\n".join(job.headline for job in jobs), lambda _: files, failed)
