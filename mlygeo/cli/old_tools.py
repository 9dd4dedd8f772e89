"""
The command lines of older tools: words in another order, and other names of verbs and options.

Where only a name differs, `VERBS` and `OPTIONS` have it, and every spelling is accepted beside ours. What
such a tool always did (a layout, metadata in the files, a limit) is added, and can be overridden by giving the
option: an old name does what its program did, defaults included. What follows from its program is said in its
function below, and tested with the commands of its README.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlygeo.errors import InputError
from mlygeo.progress import may_ask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


SIZES = {"320": "1024", "640": "1024"}
"""Sizes that the service no longer has, and the next larger one."""

IMPORT_PATH_VERBS = frozenset(
    {
        "upload", "zip", "download-originals", "authenticate", "process", "extract-user-data",
        "extract-import-meta-data", "extract-geotag-data", "extract-sequence-data", "extract-upload-params",
        "exif-insert", "interpolate", "process-csv", "post-process", "process-and-upload",
    }
)  # fmt: skip
"""Verbs to which mapillary_tools named the folder with an option, and that have it as a word."""

VIDEO_VERBS = frozenset({"sample-video", "video-process", "video-process-and-upload"})
"""Verbs to which the folder of the frames is an option here, too."""

IGNORED = frozenset({"--advanced", "--flag-duplicates"})
"""Flags of mapillary_tools for what is always so here."""

ACTIONS = frozenset({"list", "edit", "remove"})
"""What `config` does."""

TRUTHS = frozenset({"true", "false", "1", "0", "yes", "no"})
"""Values that mapillary_tools took after --dry_run."""

FRAMES_OF_2019 = ".mapillary/sampled_video_frames"
"""Where mapillary_tools of 2019 sampled videos to, beside them or in the import path."""

FLAGS = frozenset(
    {
        "--overwrite", "-O", "--quiet", "-q", "--verbose", "-v", "-vv", "--dry-run", "--dryrun", "--json",
        "--retry-failed", "--exif", "--computed", "--tiles-only", "--geojson", "--pano", "--flat", "--no-config",
    }
)  # fmt: skip
"""Options of ours without a value, so that the word after them is a word of its own."""

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
    "region_file": ("--region",),
    "regions_file": ("--regions",),
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
    "skip_zigzag_check": "a track that jumps off and back only gives a warning, and nothing is left out",
    "num_processes": "there are as many as are of use",
}

_OF_VIDEOS = {"video_geotag_source": "videos become photos here, and --geotag-source is for those"}

DESCRIBED = frozenset({"upload", "zip"})
"""Verbs that read an image description file; a dash stands for standard input, as in mapillary_tools."""

SECOND_PATH = {
    "zip": "output",
    "sample-video": "import_path",
    "video-process": "import_path",
    "video-process-and-upload": "import_path",
}
"""Verb -> the option that the second of two words without one is, as in mapillary_tools."""

_SKIP_PHOTOS = {
    "skip_process_errors": "Exit with status 0 although some files cannot be used; they are named all the same.",
}

_SKIP_VIDEOS = {
    "skip_sample_errors": "Exit with status 0 although some videos cannot be sampled; they are named all the same.",
}

SKIPPING = {
    "process": _SKIP_PHOTOS,
    "process-and-upload": _SKIP_PHOTOS,
    "sample-video": _SKIP_VIDEOS,
    "video-process": _SKIP_VIDEOS | _SKIP_PHOTOS,
    "video-process-and-upload": _SKIP_VIDEOS | _SKIP_PHOTOS,
}
"""Verb -> flags after which failed items do not count in the exit status, and their help."""

_SENDING = {"noresume": "what has arrived of an upload is never sent twice"}

NO_EFFECT = {
    "authenticate": {"api_version": "the service has one version"},
    "process": _PROCESSING,
    "process-and-upload": _PROCESSING | _SENDING,
    "video-process": _PROCESSING | _OF_VIDEOS,
    "video-process-and-upload": _PROCESSING | _OF_VIDEOS | _SENDING,
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


def translated(words: list[str]) -> list[str]:
    """
    Return a command line in our words; one of our own comes back as it is.

    Parameters
    ----------
    words
        The words after `mlygeo`.
    """
    words = words[1:] if words[:1] == ["--advanced"] else words
    if words[:1] == ["--verbose"]:
        # mapillary_tools took it before the verb, too.
        words = [*words[1:2], "--verbose", *words[2:]]
    name = words[0].replace("_", "-").removesuffix(".py") if words else ""
    if name == "edit-config":
        return _edit_config(words)
    if name == "download" and "--output-folder" in {_dashed(word).partition("=")[0] for word in words}:
        name = "download-originals"
    if name == "authenticate" and "--delete" in words:
        # What else mapillary_tools takes there has no effect with it.
        said = _mapillary_tools(words[1:])
        return ["config", "remove", *_only(said, {"--user-name", "--config-file"}, {"--json", "-q", "--quiet"})]
    if name in IMPORT_PATH_VERBS:
        return [name, *(_frames_of_2019(word) for word in _mapillary_tools(words[1:]))]
    if name in VIDEO_VERBS:
        return [name, *(word for word in words[1:] if _dashed(word) not in IGNORED)]
    if name not in COMMANDS:
        return words
    verb, in_our_words = COMMANDS[name]
    if {"-h", "--help"} & set(words):
        return [verb, "--help"]
    return [verb, *in_our_words([_dashed(word) for word in words[1:]])]


def _frames_of_2019(word: str) -> str:
    """
    Return where the frames of videos are, for the path at which mapillary_tools of 2019 had them.

    It sampled `PLACE/NAME` into `PLACE/.mapillary/sampled_video_frames/NAME`. Frames of that program are taken from
    there; those that were sampled here are found where they are now.
    """
    before, found, after = word.replace("\\", "/").partition(f"{FRAMES_OF_2019}/")
    name = after.strip("/")
    if not found or not name or "/" in name:
        return word
    from pathlib import Path

    from mlygeo.video.frames import FOLDER

    place = Path(before or ".").expanduser()
    if (place / FRAMES_OF_2019 / name).exists():
        return word
    known = (place / name / FOLDER, place / FOLDER / name, *sorted((place / FOLDER).glob(f"{name}.*")))
    return next((str(path) for path in known if path.is_dir()), word)


def may_be_target(verb: str, path: Path) -> bool:
    """
    Return whether the second of two words of a verb is where results go, rather than a second input.

    Parameters
    ----------
    verb
        The verb.
    path
        That word; no file.

    Raises
    ------
    InputError
        If it is a folder of photos, and archives would go among them.
    """
    if not path.is_dir():
        return True
    from mlygeo.pipelines.import_paths import import_paths

    is_zip = verb == "zip"
    found = import_paths(path, skip_subfolders=False, photos=is_zip, videos=not is_zip)
    if is_zip and any(each.has_photos for each in found):
        raise InputError(
            f"{path} holds photos: it may be where the archives go, or a second folder to put into archives",
            hint=f"`output={path}` puts archives there; `output=zips` with both takes both",
        )
    return not any(each.videos for each in found)


def _edit_config(words: list[str]) -> list[str]:
    """edit_config.py [PATH], of 2018, which signed in anew; with an action it is our config."""
    free = [word for word in words[1:2] if not word.startswith("-")]
    if free and free[0] not in ACTIONS:
        return ["authenticate", "--config-file", free[0], *words[2:]]
    return ["authenticate" if words[0].endswith(".py") and not free else "config", *words[1:]]


def _only(words: list[str], with_value: set[str], without: set[str]) -> list[str]:
    """Return the options of these names alone."""
    said: list[str] = []
    position = 0
    while position < len(words):
        word, equals, _ = _dashed(words[position]).partition("=")
        if word in without:
            said.append(words[position])
        elif word in with_value:
            said += words[position : position + (1 if equals else 2)]
            position += not equals
        position += 1
    return said


def _mapillary_tools(words: list[str]) -> list[str]:
    """VERB [--import_path PATH] [--advanced] …, of mapillary_tools of 2018 and 2019; its other words are ours."""
    said: list[str] = []
    paths: list[str] = []
    position = 0
    while position < len(words):
        name, equals, value = _dashed(words[position]).partition("=")
        position += 1
        if name == "--import-path" and (equals or position < len(words)):
            paths.append(value if equals else words[position])
            position += not equals
        elif name == "--dry-run" and words[position : position + 1] and words[position].lower() in TRUTHS:
            # It had a value there, and whatever that was, the run was a dry one.
            said.append(name)
            position += 1
        elif name == "--dry-run" and equals:
            said.append(name)
        elif name == "--organization-keys":
            # Several followed it there, and nothing else could.
            keys = [value] if equals else []
            while position < len(words) and words[position].isdigit():
                keys.append(words[position])
                position += 1
            said += [part for key in keys for part in (name, key)] or [name]
        elif name not in IGNORED:
            said.append(words[position - 1])
    return [*said, *paths]


def _make_street_points(words: list[str]) -> list[str]:
    """make_street_points.py -c FILE -S SRID -I METRES -o FILE: the points of percept-vsvi-filter."""
    return [*_unless(words, "percept", "--method"), *words]


def _mapillary_jpg_download(words: list[str]) -> list[str]:
    """mapillary_jpg_download.py -c FILE: tiles as GeoJSON; it stopped when less than 100 GB were free."""
    room = [] if "--tiles-only" in words else _unless(words, "100", "--required-disk-space")
    has_region = bool(REGION & {word.partition("=")[0] for word in words})
    return [*(_flag(words, "--geojson") if has_region else []), *room, *words]


def _find_sequences_of_user(words: list[str]) -> list[str]:
    """find_sequences_of_user.py [USER] [-p PAGES] [-f FILTER]: without a user, it asks at a terminal."""
    options, free = _split(words, {})
    named = {option.partition("=")[0] for option in options}
    if free or {"--user", "--username", "--organization", *REGION} & named or not may_ask():
        return words
    answers = [_asked("Mapillary user")]
    if not answers[0]:
        raise click.UsageError("the user's name is empty")
    if not {"-p", "--max-pages"} & named and (pages := _asked("pages of a thousand images at most [all]")):
        answers += ["--max-pages", pages]
    if not {"-f", "--filter"} & named and (kind := _asked("all, 360 or regular photos [all]")):
        answers += ["--filter", FILTERS.get(kind, kind)]
    return [*answers, *words]


REGION = frozenset({"-c", "--config", "--configfile", "--bbox", "--west", "--region", "--place"})

FILTERS = {"1": "all", "2": "360", "3": "regular"}
"""The numbers by which find_sequences_of_user.py had its user choose."""


def _asked(what: str) -> str:
    return str(click.prompt(what, default="", show_default=False, err=True)).strip()


def _sequence_downloader(words: list[str]) -> list[str]:
    """sequence_downloader.py SEQUENCE [-i ID...] [--image-file FILE] [-q QUALITY]."""
    options, free = _split(words, {"-q": "--quality"}, many=("-i", "--images"))
    return [
        *_as_sequence_downloader(options),
        *[part for sequence in free[:1] for part in ("--sequence", sequence)],
        *options,
        *free[1:],
    ]


def _batch_downloader(words: list[str]) -> list[str]:
    """batch_downloader.py SEQUENCES_FILE [-q QUALITY]."""
    options, free = _split(words, {"-q": "--quality"})
    return [
        *_as_sequence_downloader(options),
        *[part for file in free for part in ("--sequence-file", file)],
        *options,
    ]


def _as_sequence_downloader(options: list[str]) -> list[str]:
    """Return what it always did: folders by time below `downloads`, EXIF with computed positions."""
    return [
        *_unless(options, "time", "--layout"),
        *_unless(options, "downloads", *OUTPUT),
        *_flag(options, "--exif"),
        *_flag(options, "--computed"),
    ]


def _mapillary_download(words: list[str]) -> list[str]:
    """mapillary-download --token T --bbox W,S,E,N [--username U] [--limit 10000] [--output ./downloads]."""
    options, free = _split(words, {})
    return [*_as_bbox_downloader(options, "10000"), *_unless(options, "downloads", *OUTPUT), *options, *free]


def _run_downloads(words: list[str]) -> list[str]:
    """run_downloads.py [FILE]: the boxes of a file, a thousand images of each into a folder of its name."""
    options, free = _split(words, {})
    file = free or ["downloads/study_area_segments.txt"]
    return [
        *_as_bbox_downloader(options, "1000"),
        *_unless(options, "downloads", *OUTPUT),
        *[part for each in file for part in ("--regions-file", each)],
        *options,
    ]


def _as_bbox_downloader(options: list[str], limit: str) -> list[str]:
    """Return what it always did: pictures and JSON apart, at most so many images."""
    return [*_unless(options, "flat", "--layout"), *_unless(options, limit, *LIMIT)]


OUTPUT = ("-o", "--output", "--seqdir", "--output-folder")

LIMIT = ("--limit", "--max-results", "--max-images")


def _download_images(words: list[str]) -> list[str]:
    """download_images.py MIN_LAT MAX_LAT MIN_LON MAX_LON [--max_results=N] [--image_size=PIXELS]."""
    options, free = _split(words, {"--image-size": "--size"})
    if len(free) != 4:
        raise click.UsageError("download_images takes MIN_LAT MAX_LAT MIN_LON MAX_LON")
    south, north, west, east = free
    size = next((word for before, word in _pairs(options) if before == "--size"), "")
    if size in SIZES:
        options[options.index("--size") + 1] = SIZES[size]
        if not {"-q", "--quiet"} & set(options):
            click.echo(f"warning: the service has no pictures of {size} pixels; those of {SIZES[size]}", err=True)
    return ["--bbox", f"{west},{south},{east},{north}", *options]


COMMANDS: dict[str, tuple[str, Callable[[list[str]], list[str]]]] = {
    "make-street-points": ("streets", _make_street_points),
    "mapillary-jpg-download": ("download", _mapillary_jpg_download),
    "find-sequences-of-user": ("find-sequences", _find_sequences_of_user),
    "sequence-downloader": ("download", _sequence_downloader),
    "batch-downloader": ("download", _batch_downloader),
    "mapillary-download": ("download", _mapillary_download),
    "download-bbox": ("download", _mapillary_download),
    "run-downloads": ("download", _run_downloads),
    "download-images": ("download", _download_images),
}
"""Name of an older tool, with dashes and without an ending -> our verb, and what says its words in ours."""


def _split(words: list[str], renamed: dict[str, str], *, many: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    """Return the options, each followed by its value, and the words that belong to none."""
    options: list[str] = []
    free: list[str] = []
    position = 0
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    while position < len(words):
        word = words[position]
        position += 1
        if not word.startswith("-") or _is_number(word):
            free.append(word)
            continue
        if word in many:  # its values follow, as many as there are, and are taken as free words
            continue
        options.append(renamed.get(word, word))
        if (word in renamed or word not in FLAGS) and position < len(words):
            options.append(words[position])
            position += 1
    return options, free


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(["", *words], words, strict=False))


def _unless(options: list[str], value: str, *names: str) -> list[str]:
    """Return the last of these spellings of an option with a value, unless one of them was given."""
    given = {option.partition("=")[0] for option in options}
    return [] if given & set(names) else [names[-1], value]


def _flag(options: list[str], name: str) -> list[str]:
    return [] if name in options else [name]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _dashed(word: str) -> str:
    """Read underscores in the name of an option as dashes."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return f"{name.replace('_', '-')}{equals}{value}"
