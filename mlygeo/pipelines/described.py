"""Where `process` writes image descriptions: beside the photos, into one file, or to standard output."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import FileError, InputError

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.pipelines.job import Job

    PathLike = str | os.PathLike[str]

STANDARD_OUTPUT = "-"
"""What stands for standard output in the place of a file."""


def check_desc_path(desc_path: PathLike | None) -> None:
    """Raise InputError if `desc_path` names a track."""
    if desc_path is not None and Path(desc_path).suffix.lower() == ".gpx":
        raise InputError(
            f"`desc_path` {desc_path}: image descriptions are JSON", hint="'mlygeo tracks VIDEO -o FILE.gpx' writes GPX"
        )


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
    known = known[~known["path"].isin(rows["path"]) & known["path"].map(os.path.lexists).astype("bool")]
    return joined([known, rows]) if len(known) else rows
