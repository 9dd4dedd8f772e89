"""
`mlygeo mapillary_tools VERB …`: the command line of mapillary_tools 0.14.7, with its defaults and exit statuses.

Options and values are those of that program, and go on in ours; a name that it does not have, or that has no
counterpart, is an error. Its environment variables are taken where they change results. What is different all the
same stands in docs/moving/mapillary_tools.md.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import click

from mlygeo import errors

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = frozenset({"mapillary_tools", "mapillary-tools"})

PREFIX = "MAPILLARY_TOOLS_"
"""Of its environment variables."""

PROCESSING = {
    "CUTOFF_DISTANCE": ("--cutoff_distance", "100"),
    "CUTOFF_TIME": ("--cutoff_time", "60"),
    "DUPLICATE_DISTANCE": ("--duplicate_distance", "0.1"),
    "DUPLICATE_ANGLE": ("--duplicate_angle", "5"),
    "MAX_CAPTURE_SPEED_KMH": ("--max_speed", "400"),
    "MAX_SEQUENCE_LENGTH": ("--max_images", "1000"),
}
"""Variable -> our option, and its default there (mapillary_tools 0.14.7, constants.py)."""

SAMPLING = {
    "VIDEO_SAMPLE_DISTANCE": ("--video_sample_distance", "3"),
    "VIDEO_SAMPLE_INTERVAL": ("--video_sample_interval", "-1"),
    "VIDEO_DURATION_RATIO": ("--video_duration_ratio", "1"),
}

NOT_TAKEN = (
    "GOPRO_MAX_DOP100", "GOPRO_GPS_FIXES", "GOPRO_GPS_PRECISION", "MAX_SEQUENCE_FILESIZE", "MAX_SEQUENCE_PIXELS",
    "IMAGE_DESCRIPTION_FILENAME", "SAMPLED_VIDEO_FRAMES_FILENAME", "FFMPEG_PATH",
)  # fmt: skip
"""Variables that would change what comes out there, and are not taken here."""

OVERWRITING = frozenset(
    f"--overwrite_{what}"
    for what in ("all_EXIF_tags", "EXIF_time_tag", "EXIF_gps_tag", "EXIF_direction_tag", "EXIF_orientation_tag")
)

_PROCESS_VALUES = frozenset(
    {"--filetypes", "--file_types", "--device_make", "--device_model", "--desc_path", "--geotag_source",
     "--geotag_source_path", "--video_geotag_source", "--interpolation_offset_time", "--offset_angle",
     "--offset_time", "--num_processes", "--cutoff_distance", "--cutoff_time", "--duplicate_distance",
     "--duplicate_angle"}
)  # fmt: skip
_PROCESS_FLAGS = OVERWRITING | {
    "--skip_subfolders", "--skip_process_errors", "--interpolation_use_gpx_start_time", "--interpolate_directions",
    "--skip_zigzag_check",
}  # fmt: skip
_SAMPLE_VALUES = frozenset(
    {"--video_sample_distance", "--video_sample_interval", "--video_duration_ratio", "--video_start_time"}
)
_SAMPLE_FLAGS = frozenset({"--skip_subfolders", "--rerun", "--skip_sample_errors"})
_UPLOAD_VALUES = frozenset({"--desc_path", "--user_name", "--organization_key", "--num_upload_workers"})
_UPLOAD_FLAGS = frozenset({"--reupload", "--dry_run", "--dryrun", "--nofinish", "--noresume"})


class Command(NamedTuple):
    """
    A command of mapillary_tools.

    `values` and `flags` are its options with and without a value, `paths` how many paths it takes at least and at
    most, and `failed` its exit status where some files failed. `added` are the options of ours that nobody typed:
    its defaults.
    """

    values: frozenset[str]
    flags: frozenset[str]
    paths: tuple[int, int]
    failed: int
    added: frozenset[str] = frozenset()

    def status_of(self, error: errors.MlygeoError) -> int:
        """Return its exit status for an error of ours."""
        return next((status for kind, status in STATUSES if isinstance(error, kind)), 1)


MANY = 1 << 30

COMMANDS = {
    "process": Command(_PROCESS_VALUES, _PROCESS_FLAGS, (1, MANY), 6),
    "upload": Command(_UPLOAD_VALUES, _UPLOAD_FLAGS, (1, MANY), 15),
    "sample_video": Command(_SAMPLE_VALUES, _SAMPLE_FLAGS, (1, 2), 7),
    "video_process": Command(_PROCESS_VALUES | _SAMPLE_VALUES, _PROCESS_FLAGS | _SAMPLE_FLAGS, (1, 2), 6),
    "authenticate": Command(
        frozenset({"--config_file", "--user_name", "--user_email", "--user_password", "--jwt"}),
        frozenset({"--delete"}),
        (0, 0),
        1,
    ),
    "process_and_upload": Command(_PROCESS_VALUES | _UPLOAD_VALUES, _PROCESS_FLAGS | _UPLOAD_FLAGS, (1, MANY), 6),
    "video_process_and_upload": Command(
        _PROCESS_VALUES | _SAMPLE_VALUES | _UPLOAD_VALUES,
        _PROCESS_FLAGS | _SAMPLE_FLAGS | _UPLOAD_FLAGS,
        (1, 2),
        6,
    ),
    "zip": Command(frozenset({"--desc_path"}), frozenset(), (2, 2), 1),
}

WITHOUT_EFFECT = frozenset({"--num_processes", "--skip_zigzag_check", "--noresume"})
"""Options that change nothing here: as many processes as are of use, zig-zags are flagged, uploads go on."""

STATUSES: tuple[tuple[type[errors.MlygeoError], int], ...] = (
    (errors.NotDescribedError, 3),
    (errors.TokenRejectedError, 14),
    (errors.NetworkError, 12),
    (errors.ServiceError, 16),
    (errors.DependencyError, 8),
    (errors.FormatError, 4),
    (errors.FileError, 3),
    (errors.InputError, 2),
)
"""Our errors -> its exit statuses (exceptions.py)."""

HELP = f"""Usage: mlygeo mapillary_tools [--version] [--verbose] COMMAND ...

  The commands of mapillary_tools 0.14.7, with its options, defaults and exit statuses:
  {", ".join(COMMANDS)}.

  'mlygeo VERB --help' explains what a command does here.

Example:
  mlygeo mapillary_tools process DCIM --geotag_source gpx --geotag_source_path ride.gpx"""


def run(words: list[str], main: Callable[..., int]) -> int:
    """
    Run a command line of mapillary_tools; return its exit status.

    Parameters
    ----------
    words
        The words after `mapillary_tools`.
    main
        Runs words of ours: takes them and `statuses`.

    Raises
    ------
    click.UsageError
        If it has no such command or option.
    """
    before = [word for word in words[:2] if word == "--verbose"]
    words = words[len(before) :] if words[:1] == ["--verbose"] else words
    if words[:1] == ["--version"]:
        return main(["--version"])
    if not words or words[0] in {"-h", "--help"}:
        click.echo(HELP)
        return 0
    name = words[0].replace("-", "_")
    if name not in COMMANDS:
        raise click.UsageError(f"mapillary_tools has no command '{words[0]}'; it has {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    if {"-h", "--help"} & set(words[1:]):
        return main([name, "--help"])
    options, paths = _parsed(name, command, words[1:])
    ours = _translated(name, command, options, paths)
    added = {word.replace("_", "-") for word in ours if word.startswith("--")}
    added -= {option.replace("_", "-") for option, _ in options}
    return main([*ours, *["--verbose"] * bool(before)], statuses=command._replace(added=frozenset(added)))


def _translated(name: str, command: Command, options: list[tuple[str, str | None]], paths: list[str]) -> list[str]:
    least, most = command.paths
    if not least <= len(paths) <= most:
        wanted = str(least) if least == most else f"{least} or more" if most == MANY else f"{least} to {most}"
        raise click.UsageError(f"mapillary_tools {name} takes {wanted} paths, not {len(paths)}")
    said = dict(options)
    ours: list[str] = []
    if "process" in name:
        ours += _processing(name, said, paths)
    if "video" in name:
        ours += _defaults(SAMPLING, said)
        _check_sampling(said)
        if len(paths) == 2:
            ours += ["--import_path", paths.pop()]
    if name == "zip":
        ours += ["-o", paths.pop()]
    for option, value in options:
        if option == "--offset_time":
            ours += ["--offset_time", f"{-_number(option, value or ''):g}"]
        elif option not in WITHOUT_EFFECT:
            ours += [option] if value is None else [option, value]
    return [name, *ours, *paths]


def _parsed(name: str, command: Command, words: list[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
    """Return options with their values, and paths."""
    options: list[tuple[str, str | None]] = []
    paths: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            paths += rest
            break
        if not word.startswith("--"):
            paths.append(word)
            continue
        option, equals, value = word.partition("=")
        if option == "--verbose":
            options.append((option, None))
        elif option in command.values:
            if not equals and not rest:
                raise click.UsageError(f"{option} needs a value")
            options.append((option, value if equals else rest.pop(0)))
        elif option in command.flags and not equals:
            options.append((option, None))
        else:
            raise click.UsageError(f"mapillary_tools {name} has no option {word}")
    return options, paths


def _processing(name: str, said: dict[str, str | None], paths: list[str]) -> list[str]:
    """Return the words that stand for what that program does without being asked."""
    for variable in NOT_TAKEN:
        if os.environ.get(f"{PREFIX}{variable}"):
            raise click.UsageError(f"{PREFIX}{variable} is set, and mlygeo does not take it")
    ours = [*_defaults(PROCESSING, said), "--local-time"]
    if not OVERWRITING & said.keys():
        ours.append("--skip-exif-insert")
    tracks = said.get("--geotag_source") or "native"
    if said.get("--offset_time") and any(word in tracks for word in ("gpx", "nmea", "gopro", "blackvue", "camm")):
        raise click.UsageError(
            "--offset_time moves the times of photos, but not their places on the track; mlygeo does not do that."
            " --interpolation_offset_time moves both"
        )
    alone = len(paths) == 1 and os.path.isdir(paths[0])  # noqa: PTH112 - a word
    if name == "process" and "--desc_path" not in said and not alone:
        ours += ["--desc_path", "-"]
    return ours


def _defaults(table: dict[str, tuple[str, str]], said: dict[str, str | None]) -> list[str]:
    """Return the options that were not given, with the values of the environment, or else that program's own."""
    return [
        word
        for variable, (option, default) in table.items()
        if option not in said
        for word in (option, os.environ.get(f"{PREFIX}{variable}", default))
    ]


def _check_sampling(said: dict[str, str | None]) -> None:
    distance, interval = (
        _number(option, said.get(option) or os.environ.get(f"{PREFIX}{variable}", default))
        for variable, (option, default) in list(SAMPLING.items())[:2]
    )
    if (distance >= 0) == (interval > 0):
        raise click.UsageError(
            f"either --video_sample_distance is 0 or more, or --video_sample_interval above 0, not {distance:g} and"
            f" {interval:g}"
        )


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise click.UsageError(f"{option} takes a number, not {text!r}") from error
