"""The streets of OpenStreetMap's own files as a file or a dataset, as they are read."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.places import sha256_of
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import geopandas as gpd

    from mlygeo.arrays import Bounds
    from mlygeo.progress import Progress
    from mlygeo.store.datasets.index import Index

CUT = "ways of which the file lacks some nodes, which end there"

STREETS_PER_PART = 250_000
"""Most streets of a part, unless it is said: one takes five times the memory of an image."""


def osm_file(value: Any) -> Path | None:
    """Return the path of an OpenStreetMap file, whose streets are meant; None for anything else."""
    from mlygeo.readers.streets import is_osm

    if not isinstance(value, str | os.PathLike) or "://" in os.fspath(value) or not is_osm(value):
        return None
    path = Path(value).expanduser()
    return path if path.is_file() else None


def _problems(attrs: dict[str, Any]) -> dict[str, int]:
    """Return how many ways of a file are not whole, as its streets tell."""
    cut = attrs["streets"]["ways_cut"]
    return {CUT: cut} if cut else {}


def write_streets(
    path: Path, output: Path, *, bbox: Bounds | None, columns: list[str] | None
) -> tuple[int, list[str], dict[str, int]]:
    """
    Write the streets of an OpenStreetMap file as GeoParquet; return rows, columns, and what is left out.

    Parameters
    ----------
    path
        A file of OpenStreetMap.
    output
        The GeoParquet file.
    bbox, columns
        Only rows whose box meets this one, and only these columns.
    """
    from mlygeo import store
    from mlygeo.readers.streets import street_batches
    from mlygeo.store.atomic import atomic
    from mlygeo.store.datasets import lines

    left_out: dict[str, int] = {}

    def chosen(batches: Iterator[gpd.GeoDataFrame]) -> Iterator[gpd.GeoDataFrame]:
        for batch in batches:
            left_out.update(batch.attrs.get("left_out", {}))
            yield batch if bbox is None and columns is None else store.part_of(batch, bbox=bbox, columns=columns)

    with street_batches(path, retain_all=True) as batches, atomic(output) as temporary:
        written = lines.write_file(chosen(batches), temporary)
    return written.rows, list(written.columns), left_out


def partition_streets(
    given: Sequence[Any], dataset: Path, *, rows_per_part: int | None, progress: Progress | None
) -> Index | None:
    """
    Write the streets of an OpenStreetMap file as a dataset; return its index, or None where no such file is given.

    Parameters
    ----------
    given
        The inputs: such a file alone, or others.
    dataset
        Folder of the dataset.
    rows_per_part
        Most rows of a part; None for `STREETS_PER_PART`.
    progress
        Shows how far the work is.

    Raises
    ------
    InputError
        If there are other inputs beside the file, or options that have no effect for it.
    FileError
        If a dataset of other inputs is there.
    """
    from mlygeo.locks import FolderLock
    from mlygeo.pipelines import provenance
    from mlygeo.progress import running
    from mlygeo.readers.streets import street_batches
    from mlygeo.store.datasets import layout, lines, publishing

    paths = [path for each in given if (path := osm_file(each)) is not None]
    if not paths:
        return None
    if len(given) > 1:
        raise InputError(
            f"{paths[0].name} is one of {counted(len(given), 'input')}, and streets join within one file only",
            hint="give it alone; 'osmium merge' makes one file of several",
        )
    of_no_use(("add", "dry_run", "workers"), "for the streets of an OpenStreetMap file, which one process writes anew")
    path, most = paths[0], rows_per_part or STREETS_PER_PART
    said = json.dumps([layout.VERSION, most, sha256_of(path)])
    inputs = hashlib.sha256(said.encode()).hexdigest()[:32]
    folder, record = publishing.run_folder(dataset), provenance.of_this_call()
    try:
        with FolderLock(folder), publishing.cleared(folder):
            there = publishing.check(dataset, add=False)
            if there is not None:
                if there.more.get("inputs") != [inputs]:
                    raise publishing.in_the_way(dataset, grows=False)
                return there
            with running(progress), street_batches(path, retain_all=True) as batches:
                return lines.write(
                    batches, dataset, folder, most=most, inputs=inputs, problems=_problems, record=record
                )
    finally:
        publishing.remove(folder)
