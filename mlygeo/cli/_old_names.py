"""What older tools called things: every spelling here is accepted beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

VERBS = {
    "find-sequences-of-user": "find-sequences",
    "find-sequences-of-user.py": "find-sequences",
    "mapillary-jpg-download": "download",
    "mapillary-jpg-download.py": "download",
    "debug-mapillary-images": "inspect",
    "debug-mapillary-images.py": "inspect",
    "make-street-points": "streets",
    "make-street-points.py": "streets",
    "edit-config": "config",
}
"""Verb of an older tool -> ours. Underscores are read as dashes before."""

OPTIONS = {
    "config": ("--configfile",),
    "filter": ("-f",),
    "imgid_file": ("--image-file",),
    "interval": ("-I",),
    "max_images": ("--limit", "--max-results"),
    "max_pages": ("-p",),
    "dry_run": ("--dryrun",),
    "end_date": ("--end-time",),
    "file_types": ("--filetypes",),
    "manual_done": ("--nofinish",),
    "number_threads": ("--num-upload-workers",),
    "organization_key": ("--organization-keys",),
    "organization_name": ("--organization-username",),
    "geotag_source": ("--gps-source",),
    "geotag_source_path": ("--gps-source-path",),
    "gps_accuracy": ("--GPS-accuracy",),
    "skip_exif_insert": ("--skip-EXIF-insert",),
    "overwrite_all_exif_tags": ("--overwrite-all-EXIF-tags",),
    "overwrite_exif_time_tag": ("--overwrite-EXIF-time-tag",),
    "overwrite_exif_gps_tag": ("--overwrite-EXIF-gps-tag",),
    "overwrite_exif_direction_tag": ("--overwrite-EXIF-direction-tag",),
    "overwrite_exif_orientation_tag": ("--overwrite-EXIF-orientation-tag",),
    "output": ("-o", "--seqdir", "--output-folder"),
    "overwrite": ("-O",),
    "srid": ("-S",),
    "start_date": ("--start-time",),
    "tile_cache": ("--tile-cache-dir",),
    "use_gps_start_time": ("--interpolation-use-gpx-start-time",),
    "user": ("--username",),
    "video_import_path": ("--video-file",),
    "video_sample_interval": ("--sample-interval",),
}
"""Our option -> short flags, and the flags of make_street_points.py and mapillary_jpg_download.py."""

AFTERWARDS = {
    "upload": (
        "summarize",
        "list_file_status",
        "save_as_json",
        "save_local_mapping",
        "move_all_images",
        "move_duplicates",
        "move_uploaded",
        "move_sequences",
    )
}
"""Verb -> options of post-process that mapillary_tools took there, too; post-process does them after the verb."""

_ALWAYS = "what is done is found out anew in every run"

_PROCESSING = {
    "skip_process_errors": "photos that fail are always left out, and named",
    "skip_zigzag_check": "a way that jumps off and back is only told of, and nothing is left out for it",
    "num_processes": "there are as many as are of use",
    "video_geotag_source": "videos that the service takes go up as they are; --geotag-source is for photos and frames",
}
_SAMPLING = {"skip_sample_errors": "videos that fail are always left out, and named"}
_SENDING = {"noresume": "what has arrived of an upload is never sent twice"}

NO_EFFECT = {
    "authenticate": {"api_version": "the service has one version"},
    "process": _PROCESSING,
    "process-and-upload": _PROCESSING | _SENDING,
    "sample-video": _SAMPLING,
    "video-process": _SAMPLING | _PROCESSING,
    "video-process-and-upload": _SAMPLING | _PROCESSING | _SENDING,
    "upload": _SENDING
    | {
        "push_images": "uploads are finished as they are made",
        "rerun": "what was uploaded is not sent again, unless with --reupload",
    },
    "download-originals": {"rerun": "what is there and whole is not fetched again"},
    "interpolate": {"rerun": _ALWAYS},
    "process-csv": {"rerun": _ALWAYS},
    "post-process": {"rerun": _ALWAYS},
}
"""Verb -> options of mapillary_tools that are accepted and change nothing, and why."""

WITH_VALUE = frozenset({"api_version", "num_processes", "video_geotag_source"})
"""Those of them that have a value."""

NO_LONGER = {"push_images": "uploads are finished as they are made"}
"""Options of ours that are there for older command lines alone, and why."""


def values_of(option: str) -> Callable[[str], str] | None:
    """Return what says an older tool's value of an option in ours; None where the values are the same."""
    if option != "geotag_source":
        return None
    from mlygeo.pipelines.options import source_named

    return lambda value: source_named(value.replace("-", "_"))
