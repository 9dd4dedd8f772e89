"""The files that verbs write under names of their own into a folder, and how each is recognised."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import own, places
from mlygeo.errors import FileError, InputError, MlygeoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


FRAMES_OF_PHOTOS = frozenset({
    "process", "process_and_upload", "video_process", "video_process_and_upload", "exif_insert", "post_process",
    "extract_user_data", "extract_import_meta_data", "extract_geotag_data", "extract_sequence_data",
    "extract_upload_params",
})  # fmt: skip
"""Functions that keep the frames of a folder of photos in the folder that is named."""

DATASETS = frozenset({"tiles", "streets", "cut", "partition"})
"""Functions that may write a dataset."""

FOLDERS = frozenset({"download", "download_originals", "zip_sequences"})
"""Functions that write into a folder what nothing reads by a name of its own."""

VIEWS = "views.parquet"
"""Frame of the views that are cut."""

SELECTION = "selection"
"""Folder of the parts of a selection."""

PHOTOS_OR_FRAMES = frozenset({"geotag_photos", "cut", "quality"})
"""Functions of which a folder has photos, unless it is a dataset, into which nothing is written."""


def written(function: str, target: Path, given: Mapping[str, Any]) -> list[Path]:
    """
    Return the files and datasets that a public function writes by names that are known before it runs.

    Lists of what is still to do, which a run may take and write again, are not among them (`FAILED_TILES`,
    `MISSING_IMAGES`).

    Parameters
    ----------
    function
        The public function.
    target
        The path that is named for its results.
    given
        Its options.
    """
    from mlygeo import store
    from mlygeo.store.datasets import layout

    if function in FOLDERS:
        return []
    if function in FRAMES_OF_PHOTOS:
        from mlygeo.photos.import_folder import IMAGES_FILE, PHOTOS_FILE, SEQUENCES_FILE

        return [target / name for name in (IMAGES_FILE, PHOTOS_FILE, SEQUENCES_FILE)]
    if function == "views":
        return [target / VIEWS]
    if function == "find_sequences":
        lists = _lists_of(given)
        return [] if lists is None else [target / name for name in lists]
    if function in {"select", "coverage"} and not store.names_file(target):
        names = [*(SELECT if function == "select" else COVERAGE), SELECTION]
        return [target / name for name in names if name not in TILES]
    return [target, layout.index_of(target)] if function in DATASETS and target.name else [target]


def _lists_of(given: Mapping[str, Any]) -> Mapping[str, own.Recognised] | None:
    """Return the files of a search for sequences by its options; None where these name no user rightly."""
    user = given.get("user")
    user = user[0] if isinstance(user, list | tuple) and len(user) == 1 else user
    return sequence_lists(file_stem(user, given.get("organization"))) if user is None or isinstance(user, str) else None


def refuse_inputs(function: str, target: Path, given: Mapping[str, Any]) -> None:
    """
    Raise if results would replace what is read for them; to be called before anything is written.

    Files are compared as the file system tells them apart, over links and whatever the case of their names.

    Parameters
    ----------
    function
        The public function.
    target
        The path that is named for its results.
    given
        The values of its options, as the caller gave them.

    Raises
    ------
    InputError
        Naming the file, and the option that reads it.
    """
    # A path may lead through a folder that writing makes first, as `new/../images.parquet` does.
    there = [path for path in written(function, target, given) if path.resolve().exists()]
    for name, value in given.items() if there else ():
        for each in _read(function, name, value):
            if (path := next((path for path in there if _are_same(each, path)), None)) is not None:
                raise InputError(
                    f"{path} is read as `{name}`, and would be replaced", hint="write to another file or folder"
                )


def _are_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other.resolve())
    except (OSError, ValueError):  # there is none
        return False


def _read(function: str, name: str, value: Any) -> Iterator[Path]:
    """Yield the files and folders that a value of an option names."""
    from mlygeo import store
    from mlygeo.store import paths
    from mlygeo.store.datasets import files

    for each in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(each, str | os.PathLike) or store.is_table(each) or paths.is_url(each):
            continue
        with contextlib.suppress(MlygeoError, OSError, ValueError):  # no name of a file, which others tell
            yield store.parted(each)[0].expanduser()
            if name == "lock":
                yield from _of_lock(each)
            elif files.are_several(each) and not (function in PHOTOS_OR_FRAMES and Path(each).expanduser().is_dir()):
                yield from (file.path for file in files.listed(each).files if isinstance(file.path, Path))


def _of_lock(lock: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the lock, and the inputs that it names; what is wrong with it is told where it is read."""
    file = Path(lock).expanduser()
    file = file / LOCK if file.is_dir() else file
    yield file
    with contextlib.suppress(LookupError, TypeError, AttributeError, RecursionError):
        for facts in json.loads(places.content_of(file, own.LONGEST_SUMMARY))["inputs"].values():
            for each in facts.get("files", [facts]):
                if "path" in each:
                    yield places.located(each["path"], file.parent)


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
        If the file is one that the verb reads.
    """
    from mlygeo import store

    refuse_inputs(function, target, given)
    if not is_named and function in UNNAMED:
        own.refuse_others(target.parent, {target.name: UNNAMED[function]})
    if not is_named and function == "plot" and target.exists():  # nothing in a picture tells what it is of
        raise FileError(f"{target} is there, and would be replaced", hint=f"name it with -o {target}, or another file")
    is_file = store.names_file(target)
    if function in {"select", "coverage"} and not is_file:
        own.refuse_others(target, SELECT if function == "select" else COVERAGE)
    elif function in {"select", "coverage", "tiles"}:
        own.refuse_others(target.parent, TILES)
    elif function == "metadata":
        own.refuse_others(target.parent, METADATA)
    elif function == "find_sequences":
        lists = _lists_of(given)
        if lists is not None:
            own.refuse_others(target, lists)
