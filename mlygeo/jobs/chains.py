"""Jobs one after another: sample, process, upload."""

from __future__ import annotations

import inspect
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from mlygeo import places
from mlygeo.errors import FormatError, InputError
from mlygeo.jobs import job_of
from mlygeo.pipelines.job import Job, body_of
from mlygeo.pipelines.options import Sorting, source_named
from mlygeo.pipelines.uploads import upload
from mlygeo.pipelines.video import frames_folder, read_track, sample_video
from mlygeo.uploads import found

NOT_SORTED = {field.name: None if field.name == "split_import_path" else False for field in fields(Sorting)}
"""What sorting is asked for while there is more to do with the photos."""


def process_and_upload(import_path: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.process_and_upload` says."""
    sorting = Sorting(**{field.name: options[field.name] for field in fields(Sorting)})
    _check_sign_in(options)
    if found.IMAGE not in found.named(options["file_types"]):
        return _run(body_of(upload), import_path, options | {"output": None})
    # Photos are sorted by what became of their upload, so that comes last.
    first = _run(job_of("process"), import_path, options | NOT_SORTED)
    if options["dry_run"]:
        return first
    described = _described_in(import_path, options["output"])
    done = _joined(first, _run(body_of(upload), described, options | {"output": None}))
    return _sorted(done, import_path, options) if sorting.asked else done


def video_process(videos: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.video_process` says."""
    sampled, folder = _sample(videos, options)
    return _joined(sampled, _run(job_of("process"), folder, options))


def video_process_and_upload(videos: Any, **options: Any) -> Job[Any]:
    """Do what `mlygeo.video_process_and_upload` says."""
    _check_sign_in(options)
    sampled, folder = _sample(videos, options)
    return _joined(sampled, process_and_upload(folder, **options))


def then_sorted(first: Job[Any], import_path: Any, options: dict[str, Any]) -> Job[Any]:
    """
    Return a job with the post-processing of its folders after it.

    Parameters
    ----------
    first
        What was done to the folders.
    import_path
        The folders of photos.
    options
        What is asked of `post_process`; other options are passed over.
    """
    for folder in places.several(import_path):
        first = _joined(first, _run(job_of("post_process"), folder, {**options, "output": None}))
    return first


def _described_in(import_path: Any, output: Any) -> Any:
    """Return the folder by which photos are uploaded: that of their frames where nothing can be written beside them."""
    from mlygeo.photos.import_folder import import_folder

    folder = import_folder(import_path).expanduser()
    base = folder if folder.is_dir() else folder.parent
    return import_path if output is None or os.access(base, os.W_OK) else output


def _sorted(done: Job[Any], import_path: Any, options: dict[str, Any]) -> Job[Any]:
    """Return a chain with the post-processing of its folder after it; its frame stays that of the upload."""
    last = _run(job_of("post_process"), import_path, options | {"video_import_path": None})
    return Job(
        lambda: done.result,
        {**done.summary, "post_process": last.summary, "failed": [*map(str, [*done.failed, *last.failed])]},
        f"{done.headline}\n{last.headline}",
        lambda path: [*done.write(path), *last.write(path)],
        [*done.failed, *last.failed],
        text=last.text,
    )


def _check_sign_in(options: dict[str, Any]) -> None:
    """
    Find out whether there is somebody to upload as, and the organization, before any photo is touched.

    Raises
    ------
    CredentialsError
        If nobody has signed in, or there is no such organization.
    InputError
        If private images are to belong to nobody.
    """
    from mlygeo.uploads import owner

    if options["dry_run"]:
        return
    account = owner.account_of(
        service=options["service"], user_name=options["user_name"], token=options["token"],
        token_file=options["token_file"], config_file=options["config_file"], max_attempts=options["max_attempts"],
    )  # fmt: skip
    organization = owner.organization_of(account, options["organization_key"], options["organization_name"])
    if options["private"] and organization is None:
        raise InputError("private images belong to an organization", hint="give --organization-key")


def _sample(videos: Any, options: dict[str, Any]) -> tuple[Job[Any], Any]:
    """Sample videos; return the job, and the one folder of all frames."""
    from mlygeo.pipelines.geotagging import LOG_ENDINGS

    options["geotag_source"] = source_named(options["geotag_source"])
    if options["dry_run"]:
        raise InputError(
            "--dry-run cannot tell what becomes of frames that are not there", hint="run mlygeo sample-video first"
        )
    if options["geotag_source_path"] is None and str(options["geotag_source"]).endswith("_videos"):
        # The older tools geotag from the videos themselves unless told otherwise.
        options["geotag_source_path"] = options["video_import_path"] or _only(videos)
    logged = str(options["geotag_source"]) in LOG_ENDINGS
    if options["video_sample_distance"] is not None and options["track"] is None and logged:
        options["track"] = options["geotag_source_path"]
    named = [*places.several(videos), *places.several(options["video_import_path"])]
    folders = {str(frames_folder(path)) for path in named}
    if options["import_path"] is None and len(folders) > 1:
        raise InputError(
            f"the videos lie in {len(folders)} folders, and so would their frames",
            hint="name one folder for all frames with --import-path",
        )
    if options["use_gps_start_time"] and options["video_start_time"] is None and logged:
        options["video_start_time"] = _start_of_track(options["geotag_source_path"], named)
    sampled = _run(body_of(sample_video), videos, options)
    if not sampled.summary["frames"]:
        raise FormatError("; ".join(map(str, sampled.summary["failed"].values())) or "the videos show no frames")
    folder = options.pop("import_path") or folders.pop()
    return sampled, folder


def _start_of_track(track: Any, videos: list[Any]) -> int | None:
    """
    Return when a track starts, for a video whose own clock does not count; milliseconds since 1970.

    None where there are several videos: they did not all start with the track.
    """
    if track is None or len(videos) != 1 or Path(videos[0]).expanduser().is_dir():
        return None
    times = read_track(track, progress=None)["time"].dropna()
    return int(times.min().timestamp() * 1000) if len(times) else None


def _only(videos: Any) -> Any:
    named = places.several(videos)
    if len(named) != 1:
        raise InputError("--geotag-source-path is needed where there are several videos")
    return named[0]


def _run(job: Any, subject: Any, options: dict[str, Any]) -> Job[Any]:
    """Run a job on a folder or file with those of the options that it has."""
    first, *others = inspect.signature(job).parameters.values()
    names = [parameter.name for parameter in others if parameter.name in options]
    done: Job[Any] = job(**{first.name: subject}, **{name: options[name] for name in names})
    return done


def _joined(first: Job[Any], second: Job[Any]) -> Job[Any]:
    """Return two jobs as one: the frame is the second's, and what it says is of both."""
    summary = {**first.summary, **second.summary, "failed": [*map(str, first.failed), *map(str, second.failed)]}
    return Job(
        lambda: second.result,
        summary,
        f"{first.headline}\n{second.headline}",
        second.write,
        [*first.failed, *second.failed],
        text=second.text,
    )
