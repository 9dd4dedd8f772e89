"""The end of a run: its parts come to their places, and its index; a run that is killed there is ended by the next."""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import systems
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.places import STATE_FOLDER
from mlygeo.store.atomic import file_error, to_disk
from mlygeo.store.datasets import layout
from mlygeo.store.datasets.index import Index, read_index, write_index
from mlygeo.store.datasets.sorting import PARTS
from mlygeo.store.datasets.work import whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PLAN, JOURNAL, INDEX = "plan.json", "journal.json", "index.parquet"

READ = "read"
"""Folder of what a run has read of inputs that are no frames, such as tiles, before it knows what to do with it."""

HOLDER = "run.json"
"""File by which a run says in the folder that it is at work there; see `mlygeo.locks`."""


def run_folder(dataset: Path) -> Path:
    """Return the hidden folder beside a dataset in which a run keeps what it has done."""
    return dataset.with_name(f".{dataset.name}.partition")


def is_begun(folder: Path) -> bool:
    """Return whether a run brings its parts to their places, and was ended there."""
    return (folder / JOURNAL).exists()


def in_the_way(dataset: Path, *, grows: bool = True) -> FileError:
    """Return the error for a dataset that is there, and is not the one to be written; `grows`: that is added to."""
    hint = "use `add` to add to it, or name another folder" if grows else "name another folder"
    return FileError(f"{dataset} is a dataset of other inputs already", hint=hint)


def check(dataset: Path, *, add: bool) -> Index | None:
    """
    Return the index of the dataset at a path; None where there is nothing, or an empty folder.

    Raises
    ------
    FileError
        If something else is there, or nothing that could be added to.
    """
    layout.must_be_elsewhere(dataset.parent, dataset)
    index = layout.index_of(dataset)
    found = read_index(index) if index.is_file() else None
    there = dataset.is_dir() and any(dataset.iterdir())
    if dataset.exists() and not dataset.is_dir():
        raise FileError(f"{dataset} is a file, and a dataset is a folder", hint="name another folder")
    if there and found is None:
        raise FileError(
            f"{dataset} has files, and no index ({index.name}) beside it says that they are a dataset's",
            hint="name a new folder",
        )
    if found is not None and not there:
        raise FileError(f"{index.name} is there, and its dataset {dataset} is not", hint="remove it, or name another")
    if add and found is None:
        raise FileError(f"{dataset} is not there yet, so nothing can be added to it", hint="leave `add` out")
    if found is not None and add:
        for part in found.parts:
            path = dataset / part.path
            if not path.is_file() or path.stat().st_size != part.bytes:
                raise FileError(f"{path} is not as its index says", hint="partition the dataset again")
    return found


def as_it_is(there: Index) -> Index:
    """Return the index of a dataset that has what it should have already: no part of it is written."""
    return replace(there, more={**there.more, "written": 0})


def publish(folder: Path, dataset: Path, index: Index, *, new: Iterable[str], old: Iterable[str]) -> None:
    """
    Bring the new parts of a run to their places.

    Parameters
    ----------
    folder
        That of the run.
    dataset
        That of the dataset.
    index
        Its index from now on.
    new
        The parts that were written, by their paths.
    old
        The parts that go.
    """
    listed = sorted(new)
    _keep(folder / PARTS, set(listed))
    for name in listed:
        to_disk(folder / PARTS / name)
    write_index(index, folder / INDEX)
    with whole(folder / JOURNAL) as temporary:
        temporary.write_text(json.dumps({"new": listed, "old": sorted(old)}), encoding="utf-8")
        to_disk(temporary)
    finish(folder, dataset)


def _keep(parts: Path, names: set[str]) -> None:
    """Remove what is not a part: a process that was killed leaves what it was writing."""
    for path in list(parts.rglob("*")):
        if path.is_file() and path.relative_to(parts).as_posix() not in names:
            path.unlink(missing_ok=True)


def finish(folder: Path, dataset: Path) -> bool:
    """Do what is left of `publish`, if it was begun; return whether it was."""
    try:
        journal = json.loads((folder / JOURNAL).read_bytes())
    except FileNotFoundError:
        return False
    try:
        with suppress(OSError):
            dataset.rmdir()  # an empty one
        if not dataset.exists() and (folder / PARTS).exists():
            (folder / PARTS).rename(dataset)
        for name in journal["new"]:
            staged, place = folder / PARTS / name, dataset / name
            if staged.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                _bring(staged, place)
        for name in journal["old"]:
            place = dataset / name
            place.unlink(missing_ok=True)
            with suppress(OSError):
                place.parent.rmdir()
        if (folder / INDEX).exists():
            _bring(folder / INDEX, layout.index_of(dataset))
    except OSError as error:
        raise file_error(error, dataset) from error
    return True


def _bring(file: Path, place: Path) -> None:
    """Move a file to its place, from one disk to another where a link leads there; it is never there in part."""
    try:
        file.replace(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with whole(place.with_name(f".{place.name}")) as beside:
            shutil.copyfile(file, beside)
            to_disk(beside)
        place.with_name(f".{place.name}").replace(place)
        file.unlink()


@contextmanager
def cleared(folder: Path) -> Iterator[bool]:
    """
    End a run that was ended while its parts came to their places, and clear its folder when this one is done.

    Its value is whether there was one.

    What was done so far is kept where the run ends otherwise, unless the inputs are what is wrong: they stay so.
    """
    name, _, _ = folder.name.removeprefix(".").rpartition(".")
    ended = finish(folder, folder.with_name(name))
    try:
        yield ended
    except BaseException as error:
        begun = (folder / PLAN).exists() or (folder / READ).exists()
        if not begun or isinstance(error, InputError | FormatError):
            with suppress(OSError):  # what ended the run is what to tell
                clear(folder, keep=[STATE_FOLDER])
        raise
    clear(folder, keep=[STATE_FOLDER])


def clear(folder: Path, *, keep: Iterable[str] = ()) -> None:
    """Remove what a run kept, but for files of these names."""
    kept = set(keep)
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.name in kept:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                systems.remove(Path(entry.path))


def remove(folder: Path) -> None:
    """Remove the folder of a run that was cleared, and that no other run has."""
    with suppress(OSError):
        state = folder / STATE_FOLDER
        if {each.name for each in folder.iterdir()} <= {STATE_FOLDER} and not (state / HOLDER).exists():
            shutil.rmtree(folder, ignore_errors=True)
