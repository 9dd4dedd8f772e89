"""Where `process` writes image descriptions: beside the photos, into one file, or to standard output."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo import places
from mlygeo.errors import FileError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd

    from mlygeo.pipelines.job import Job

    PathLike = str | os.PathLike[str]

STANDARD_OUTPUT = "-"
"""What stands for standard output in the place of a file."""


def check_described(desc_path: PathLike | None, bases: Iterable[Path], output: PathLike | None) -> None:
    """Raise if descriptions would replace a file of another kind, before any photo is written into."""
    from mlygeo.providers import descriptions

    name = descriptions().file
    if desc_path is None:
        files = [described_beside(base, output) / name for base in bases]
    elif str(desc_path) == STANDARD_OUTPUT:
        return
    else:
        path = Path(desc_path).expanduser()
        files = [path / name if path.is_dir() else path]
    for file in files:
        if file.suffix.lower() == ".gpx":
            raise InputError(
                f"`desc_path` {desc_path}: image descriptions are JSON",
                hint="'mlygeo tracks VIDEO -o FILE.gpx' writes GPX",
            )
        if any(parent.exists() and not parent.is_dir() for parent in file.parents):
            raise FileError(f"{file} is below a file", hint="name another file by `desc_path`")
        if file.exists() and not (file.is_file() and descriptions().is_one(file)):  # a pipe would be replaced, too
            raise FileError(
                f"{file} is there, and is not an image description file", hint="move it, or name a file by `desc_path`"
            )
    if desc_path is not None:
        check_place(Path(desc_path).expanduser())


def check_place(path: Path) -> None:
    """Raise FileError if a file that is named cannot be written, or its folder cannot be made."""
    folder = places.existing(path if path.is_dir() else path.parent)
    try:
        with tempfile.TemporaryFile(dir=folder):  # root may write where nothing can be written
            pass
    except OSError as error:
        raise FileError(
            f"{folder} cannot be written to: {error.strerror or error}", hint="name another file by `desc_path`"
        ) from error


def described_beside(base: Path, output: PathLike | None) -> Path:
    """Return the folder of the description file: of the photos, or of the frames if nothing can be written there."""
    return base if output is None or os.access(base, os.W_OK) else Path(output).expanduser()


def described_apart(
    job: Job[gpd.GeoDataFrame], videos: list[gpd.GeoDataFrame], desc_path: PathLike
) -> Job[gpd.GeoDataFrame]:
    """Return a job whose descriptions are in one file, or on standard output where that is a dash."""
    from mlygeo.photos.import_folder import joined
    from mlygeo.pipelines import steps
    from mlygeo.providers import descriptions

    images = job.result
    photos = [steps.uploadable(images)] if len(images) else []
    rows = joined([*photos, *videos]) if photos or videos else images
    if str(desc_path) == STANDARD_OUTPUT:
        return dataclasses.replace(job, text=lambda: descriptions().text(rows).rstrip("\n"))
    files = [*job.write(Path()), descriptions().write(rows, desc_path)]
    summary = {**job.summary, "files": [str(each) for each in files]}
    return dataclasses.replace(job, summary=summary, headline=f"{job.headline}\n{files[-1]}", write=lambda _: files)


def with_others(rows: gpd.GeoDataFrame, file: Path) -> gpd.GeoDataFrame:
    """Return rows with those of other files in an image description file: it is not lost for some files of a folder."""
    from mlygeo.photos.import_folder import joined
    from mlygeo.providers import descriptions

    try:
        known = descriptions().read(file)
    except FileError:
        return rows
    known = known[known["path"].notna() & ~known["path"].isin(rows["path"])]
    known = known[known["path"].map(os.path.lexists).astype("bool")]
    return joined([known, rows]) if len(known) else rows
