"""What older tools called things: every spelling here is accepted beside ours."""

from __future__ import annotations

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
    "edit-config.py": "config",
}
"""Verb of an older tool -> ours. Underscores are read as dashes before."""

OPTIONS = {
    "config": ("--configfile",),
    "filter": ("-f",),
    "imgid_file": ("--image-file",),
    "interval": ("-I",),
    "max_images": ("--limit", "--max-results"),
    "max_pages": ("-p",),
    "end_date": ("--end-time",),
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

NO_EFFECT = {
    "authenticate": {"api_version": "the service has one version"},
    "upload": {
        "push_images": "uploads are finished as they are made",
        "rerun": "what was uploaded is not sent again, unless with --reupload",
    },
    "download-originals": {"rerun": "what is there and whole is not fetched again"},
    "interpolate": {"rerun": _ALWAYS},
    "process-csv": {"rerun": _ALWAYS},
    "post-process": {"rerun": _ALWAYS},
}
"""Verb -> options of mapillary_tools that are accepted and change nothing, and why."""

WITH_VALUE = frozenset({"api_version"})
"""Those of them that have a value."""

NO_LONGER = {"push_images": "uploads are finished as they are made"}
"""Options of ours that are there for older command lines alone, and why."""
