"""The files that verbs write under names of their own into a folder, and how each is recognised."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from mlygeo import own
from mlygeo.errors import FileError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUMMARY = "summary.json"
"""File that says that all files of a run are there."""

LOCK = "selection.lock.json"
"""File that says what a selection was made of, by hash, and what came out."""

FAILED_TILES = "failed_tiles.txt"
"""File with the names of tiles that could not be fetched, for `--tile-list-file`."""

MISSING_IMAGES = "missing_images.txt"
"""File with the ids of which the service knows nothing, and why, for `--imgid-file`."""

PICTURE = "coverage.png"

IMAGE_IDS = "image_ids.txt"

TILES = {FAILED_TILES: own.lines(r"\S+(_\d+){2,3}")}

METADATA = {MISSING_IMAGES: own.lines(r"\S+  # .+")}

SELECT = {
    "selection.parquet": own.of_run,
    "street_points.parquet": own.of_run,
    IMAGE_IDS: own.beside("selection.parquet", SUMMARY),
    LOCK: own.keys("lock", "command", "outputs"),
    SUMMARY: own.of_run,
    **TILES,
}

BESIDE = ("districts", "cells", "compared")
"""Frames that a coverage writes beside its own where they are asked for."""

COVERAGE = {
    "coverage.parquet": own.of_run,
    "gaps.parquet": own.of_run,
    **{f"{name}.parquet": own.of_run for name in BESIDE},
    PICTURE: own.beside("coverage.parquet", SUMMARY),
    SUMMARY: own.of_run,
    **TILES,
}


_PHOTOS = own.columns(("captured_at", "geometry"))

UNNAMED = {
    "tiles": own.attrs("attribution"),
    "streets": own.attrs("street_points"),
    "metadata": own.attrs("attribution"),
    "tracks": own.attrs("paths"),
    "sample_video": _PHOTOS,
    "geotag_photos": _PHOTOS,
    "cut": _PHOTOS,
    "quality": own.made_by("quality"),
}
"""What tells that the file of a verb is ours, where -o names none and the verb's own name is taken."""


OTHER_ROWS = frozenset({"tiles", "streets", "select", "coverage", "tracks", "sample_video"})
"""Functions whose frames have other rows than those that they read, which would be lost in the same file."""


def _must_not_be_read(target: Path, given: Mapping[str, Any]) -> None:
    from mlygeo import store

    for name, value in given.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if not isinstance(each, str | os.PathLike) or store.is_table(each):
                continue
            try:
                is_same = store.parted(each)[0].samefile(target)
            except (OSError, ValueError):  # there is none
                continue
            if is_same:
                raise InputError(
                    f"{target} is read as `{name}`, and would be replaced", hint="name another file with -o"
                )


def file_stem(user: str | None, organization: int | str | None) -> str:
    """Return the files' name without its ending: a user's name with only the characters valid on every file system."""
    name = user if user is not None else None if organization is None else f"organization_{organization}"
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", name or "")[:80].strip("_")
    return f"sequences_{safe}" if safe else "sequences"


def sequence_lists(stem: str) -> Mapping[str, own.Recognised]:
    """Return the files of a search for sequences, by the name without an ending."""
    return {
        f"{stem}.parquet": own.columns(("sequence_id", "images", "start", "length_m", "geometry")),
        f"{stem}.txt": own.lines(r"# .*|[A-Za-z0-9_-]{1,100}"),
    }


def check(function: str, target: Path, given: Mapping[str, Any], *, is_named: bool) -> None:
    """
    Raise if a verb would replace a file that no run has written; to be called before it begins.

    Parameters
    ----------
    function
        The verb's function.
    target
        The path of -o, or the verb's own.
    given
        The verb's options.
    is_named
        The user names the path, and so what is there may be replaced.

    Raises
    ------
    FileError
        Naming the file.
    InputError
        If the file is one that the verb reads, and other rows would take the place of its own.
    """
    from mlygeo import store

    if not is_named and function in UNNAMED:
        own.refuse_others(target.parent, {target.name: UNNAMED[function]})
    if not is_named and function == "plot" and target.exists():  # nothing in a picture tells what it is of
        raise FileError(f"{target} is there, and would be replaced", hint=f"name it with -o {target}, or another file")
    if function in OTHER_ROWS and target.is_file():
        _must_not_be_read(target, given)
    is_file = store.names_file(target)
    if function in {"select", "coverage"} and not is_file:
        own.refuse_others(target, SELECT if function == "select" else COVERAGE)
    elif function in {"select", "coverage", "tiles"}:
        own.refuse_others(target.parent, TILES)
    elif function == "metadata":
        own.refuse_others(target.parent, METADATA)
    elif function == "find_sequences":
        user = given.get("user")
        user = user[0] if isinstance(user, list | tuple) and len(user) == 1 else user
        if user is None or isinstance(user, str):
            own.refuse_others(target, sequence_lists(file_stem(user, given.get("organization"))))
