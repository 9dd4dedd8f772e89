"""Jobs one after another: sample, process, upload."""

from __future__ import annotations

import inspect
from typing import Any

from mlygeo.errors import InputError
from mlygeo.jobs._job import Job


def process_and_upload(import_path: Any, **options: Any) -> Job:
    """Do what `mlygeo.process_and_upload` says."""
    from mlygeo.jobs import process, upload

    first = _run(process.process, import_path, options)
    if options["dry_run"]:
        return first
    return _joined(first, _run(upload.upload, import_path, options | {"output": None}))


def video_process(videos: Any, **options: Any) -> Job:
    """Do what `mlygeo.video_process` says."""
    from mlygeo.jobs import process

    sampled, folder = _sample(videos, options)
    return _joined(sampled, _run(process.process, folder, options))


def video_process_and_upload(videos: Any, **options: Any) -> Job:
    """Do what `mlygeo.video_process_and_upload` says."""
    sampled, folder = _sample(videos, options)
    return _joined(sampled, process_and_upload(folder, **options))


def _sample(videos: Any, options: dict[str, Any]) -> tuple[Job, Any]:
    """Sample videos; return the job, and the one folder of all frames."""
    from mlygeo.jobs import video

    if options["dry_run"]:
        raise InputError(
            "--dry-run cannot tell what becomes of frames that are not there", hint="run mlygeo sample-video first"
        )
    if options["geotag_source_path"] is None and str(options["geotag_source"]).endswith("_videos"):
        # The older tools geotag from the videos themselves unless told otherwise.
        options["geotag_source_path"] = options["video_import_path"] or _only(videos)
    sampled = _run(video.sample_video, videos, options)
    folders = sampled.summary["folders"]
    if options["import_path"] is None and len(folders) != 1:
        raise InputError(
            f"the videos lie in {len(folders)} folders, and so do their frames",
            hint="name one folder for all frames with --import-path",
        )
    folder = options.pop("import_path") or folders[0]
    return sampled, folder


def _only(videos: Any) -> Any:
    several = [videos] if isinstance(videos, str) or hasattr(videos, "__fspath__") else list(videos or [])
    if len(several) != 1:
        raise InputError("--geotag-source-path is needed where there are several videos")
    return several[0]


def _run(job: Any, subject: Any, options: dict[str, Any]) -> Job:
    """Run a job on a folder or file with those of the options that it has."""
    first, *others = inspect.signature(job).parameters.values()
    # A job that sorts its options by itself takes what it knows and passes over the rest.
    sorts = any(parameter.kind is parameter.VAR_KEYWORD for parameter in others)
    names = options.keys() - {first.name} if sorts else [parameter.name for parameter in others]
    done: Job = job(**{first.name: subject}, **{name: options[name] for name in names})
    return done


def _joined(first: Job, second: Job) -> Job:
    """Return two jobs as one: the frame is the second's, and what it says is of both."""
    summary = {**first.summary, **second.summary, "failed": [*map(str, first.failed), *map(str, second.failed)]}
    return Job(
        lambda: second.frame,
        summary,
        f"{first.headline}\n{second.headline}",
        second.write,
        [*first.failed, *second.failed],
        text=second.text,
    )
