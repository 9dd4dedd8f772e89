"""Frames and files of any size as a dataset: a folder with a part for each cell of the world."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

from mlygeo.errors import InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, check_folder, public, tally, version
from mlygeo.pipelines.options import Filters
from mlygeo.progress import about, counted, running

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.progress import Progress
    from mlygeo.regions import Region, RegionLike
    from mlygeo.store import FrameLike
    from mlygeo.store.datasets.choosing import Choice
    from mlygeo.store.datasets.index import Index

DEFAULT = "dataset"
"""Folder of the dataset, unless one is named."""

MANY_ROWS = 4_000_000
"""Rows from which several processes pay: each takes a second to start."""


@public
def partition(
    inputs: FrameLike | Sequence[FrameLike],
    output: str | os.PathLike[str] | None = None,
    *,
    region: RegionLike | None = None,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
    where: str | None = None,
    rows_per_part: int | None = None,
    add: bool = False,
    verify: bool = False,
    workers: int | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Write files of any size as a dataset, without loading them into memory as a whole.

    A dataset is a folder of GeoParquet 1.1 files, `DIR/cell=q<quadkey>/part-0.parquet`. Cells are smaller where rows
    are dense; the rows of a part are ordered along a Hilbert curve. GeoPandas, PyArrow, DuckDB, Dask and Polars can
    read it. Its index, `DIR.partitions.parquet`, lists path, number of rows, bounding box, ids, capture times and
    hash of each part. The parts do not depend on the order of inputs or rows, or on the number of files or processes.
    Neither parts nor index depend on where the inputs are or when they were last changed.

    If several rows have the same id (and provider), one is kept: the one changed last (`updated_at`), then the one
    captured last, then the one with the smallest longitude and latitude. The summary gives the number of rows left
    out, and of ids with different rows. Rows without a position are stored in `DIR/cell=q`.

    Streets are stored in the cell of the south-western corner of their bounding box, 250,000 to a part. Unconnected
    streets are included. Streets have no id that could repeat.

    With a region or filters, only rows in the region that meet the filters are written. Rows that are left out are
    not compared with others of the same id. With `add`, region and filters apply only to the added rows. Parts of a
    dataset outside the region are not read. The summary gives the number of rows left out, and how many of them lack
    the value that a filter needs.

    If a run was killed, repeat the command to continue it (for streets, it starts again); nothing is left behind.
    Folders that were not made by mlygeo are not touched.

    Parameters
    ----------
    inputs
        GeoParquet files of points, such as images.parquet, in any CRS; or text tables (.csv, .tsv) and GDAL files
        (.geojson, .geojsonl, .gpkg, .fgb, .gpx, .shp, …), which are read in chunks if they are large. GeoJSON that is
        not a collection of features must fit into memory (in Python frames, too). Or one OpenStreetMap file (.osm.pbf,
        .osm, …), for all its streets.
    output
        Folder of the dataset. Default: dataset.
    region
        Write only rows in this region or on its edge. Rows without a position are in no region.
    rows_per_part
        Largest number of rows in a part. Default: 1,000,000; with `add`, the number that the existing parts have.
    add
        Add the rows to an existing dataset. They replace rows with the same id, and only the parts concerned are
        rewritten.
    verify
        Only compare the parts of the given datasets with the hashes in their indexes, byte for byte. Without this
        option, readers detect changes only in the pages that they read.
    workers
        Number of processes. Default: one per processor if there are at least four million rows.
    dry_run
        Only report the number of rows, parts and bytes, and the disk space, memory and time needed.
    progress
        Shows how far the work is; None is silent.

    Returns
    -------
    parts
        A row for each part of the dataset, with its box as geometry; with `dry_run` for each cell, with `verify` for
        each part of the inputs.

    Raises
    ------
    InputError
        If there are no inputs, or an option is out of range.
    RegionError
        If the region is invalid.
    FrameError
        If the inputs have other geometry than points, a column is of several kinds, or one that a filter asks for is
        missing.
    FileError
        If a file cannot be read or written, the disk is too small, or something else is in the folder.
    FormatError
        If a file is damaged, or a part of a dataset is not the one that its index names.

    Examples
    --------
    >>> partition("images.parquet", "dataset")
    """
    from pathlib import Path

    from mlygeo import regions
    from mlygeo.locks import FolderLock
    from mlygeo.pipelines import provenance, street_files
    from mlygeo.processes import Processes
    from mlygeo.store.datasets import layout, publishing, writing

    dataset = Path(output or DEFAULT).expanduser()
    check_folder(dataset, is_dataset=True)
    dataset = layout.followed(dataset.absolute(), to_write=True)
    if rows_per_part is not None and rows_per_part < 1:
        raise InputError(f"`rows_per_part` is {rows_per_part}, and a part has at least one row")
    if workers is not None and workers < 1:
        raise InputError(f"`workers` is {workers}, and at least one process has to work")
    filters = Filters(
        pano=pano,
        since=since,
        until=until,
        creator=creator,
        organization=organization,
        min_quality=min_quality,
        where=where,
    )
    conditions = filters.conditions()
    place, _ = regions.settle(region)
    given = list(inputs) if _are_several(inputs) else [inputs]
    if verify:
        of_no_use(("output", "rows_per_part", "add", "dry_run"), "with `verify`, which writes nothing")
        _refuse_choice(place, "with `verify`, which compares whole parts")
        with running(progress):
            return _verified(given, workers)
    _refuse_inside(given, dataset)
    asked = Asked(place, conditions)
    if any(street_files.osm_file(each) is not None for each in given):
        _refuse_choice(place, "for the streets of an OpenStreetMap file, which are written as a whole")
    streets = street_files.partition_streets(given, dataset, rows_per_part=rows_per_part, progress=progress)
    if streets is not None:
        return job_of(streets, dataset, add=False)
    folder = publishing.run_folder(dataset)
    if dry_run:
        if not publishing.is_begun(folder):
            publishing.check(dataset, add=add)
        return _rehearsed(given, dataset, asked, rows_per_part, workers, add=add)
    try:
        with FolderLock(folder), publishing.cleared(folder) as ended:
            there = publishing.check(dataset, add=add)
            most = _most(rows_per_part, there if add else None)
            plan = writing.plan(
                given, dataset, folder=folder, most=most, there=there if add else None, choice=asked.choice
            )
            if there is not None and there.more.get("inputs", [])[-1:] == [plan.content]:
                index = there if ended else publishing.as_it_is(there)
            elif there is not None and not add:
                raise publishing.in_the_way(dataset)
            else:
                plan = replace(plan, record=provenance.of_this_call())
                number = processes_for(workers, plan.rows)
                with running(progress), Processes(number) as processes:
                    index = writing.write(plan.on(processes, threads=number == 1))
    finally:
        publishing.remove(folder)
    return job_of(index, dataset, add=add, asked=asked)


@dataclass(frozen=True)
class Asked:
    """Which rows are asked for: those in a region, unless it is None, that meet conditions."""

    region: Region | None
    conditions: dict[str, Any]

    @property
    def choice(self) -> Choice | None:
        """How they are chosen; None where all are wanted."""
        from mlygeo.store.datasets.choosing import choice_of

        shape = b"" if self.region is None else self.region.geometry.wkb
        return choice_of(self.region, shape, self.conditions)

    @property
    def summary(self) -> dict[str, Any]:
        """What the summary says of them; nothing where all are wanted."""
        from mlygeo.pipelines import inputs, provenance

        said = {} if self.region is None else {"region": inputs.region_summary(self.region)}
        return {**said, "filters": provenance.shown(self.conditions)} if self.conditions else said

    def left_out(self, of_rows: dict[str, int]) -> dict[str, int]:
        """Return how many shapes of the region and rows are left out, by reason."""
        from mlygeo.pipelines import inputs

        return inputs.left_out_around(self.region) | of_rows


def _refuse_choice(region: Region | None, why: str) -> None:
    """Raise InputError where rows are to be chosen, and are not."""
    of_no_use(Filters, why)
    if region is not None:
        raise InputError(f"`region` has no effect {why}", hint="leave `region` out")


def _are_several(inputs: Any) -> TypeGuard[Sequence[Any]]:
    """Return whether values are files and frames, each an input; a list of features or shapes is one."""
    return isinstance(inputs, list | tuple) and all(
        isinstance(each, str | os.PathLike) or hasattr(each, "columns") or hasattr(each, "listing") for each in inputs
    )


def _refuse_inside(given: Sequence[Any], dataset: Path) -> None:
    """Raise where the dataset would lie in a folder of inputs, which a second run would find to be others."""
    from pathlib import Path

    for each in given:
        if isinstance(each, str | os.PathLike) and "://" not in os.fspath(each):
            folder = Path(each).expanduser().absolute()
            if Path(os.path.realpath(folder)) in Path(os.path.realpath(dataset)).parents and folder.is_dir():
                raise InputError(f"`output` {dataset} lies in {folder}, an input", hint="name a folder elsewhere")


def processes_for(workers: int | None, rows: int) -> int:
    """Return how many processes write a dataset of so many rows, unless that is given."""
    from mlygeo import arrays

    return workers or (arrays.workers() if rows >= MANY_ROWS else 1)


def _most(rows_per_part: int | None, there: Index | None) -> int:
    """Return the most rows of a part, which are those of a dataset that is added to, unless others are asked for."""
    from mlygeo.store.datasets import layout

    return rows_per_part or (layout.ROWS_PER_PART if there is None else there.rows_per_part)


def _verified(given: Sequence[Any], workers: int | None) -> Job[gpd.GeoDataFrame]:
    """Return the parts of datasets, of which all are as they were written; raise where one is not."""
    import pandas as pd

    from mlygeo import arrays
    from mlygeo.store.datasets import files, verifying

    if others := [each for each in given if not files.are_several(each)]:
        shown = others[0] if isinstance(others[0], str | os.PathLike) else "a frame"
        raise InputError(
            f"`verify` compares datasets with their indexes, and {shown} is none", hint="name their folders"
        )
    found = [verifying.verify(files.listed(each), threads=workers or arrays.workers()) for each in given]
    rows, parts = sum(index.rows for index in found), sum(len(index.parts) for index in found)
    size = sum(part.bytes for index in found for part in index.parts)
    summary = {"rows": rows, "parts": parts, "bytes": size, "verified": True, "version": version()}
    headline = f"{counted(parts, 'part')} with {counted(rows, 'row')} {'is' if parts == 1 else 'are'} as written"
    return Job(lambda: pd.concat([frame_of(index) for index in found], ignore_index=True), summary, headline)


def _rehearsed(
    given: list[FrameLike], dataset: Path, asked: Asked, rows_per_part: int | None, workers: int | None, *, add: bool
) -> Job[gpd.GeoDataFrame]:
    """Return what a run would write; nothing is kept of it."""
    import tempfile
    from pathlib import Path

    import geopandas as gpd
    import shapely

    from mlygeo import frames
    from mlygeo.processes import Processes
    from mlygeo.spatial import cells
    from mlygeo.store.datasets import layout, publishing, writing

    there = publishing.check(dataset, add=add) if add else None
    rows_per_part = _most(rows_per_part, there)
    with tempfile.TemporaryDirectory() as folder:
        plan = writing.plan(given, dataset, folder=Path(folder), most=rows_per_part, there=there, choice=asked.choice)
        number = processes_for(workers, plan.rows)
        with Processes(number) as processes:
            told, counts = writing.histogram(plan.rehearsed().on(processes, threads=number == 1))
    leaves = layout.leaves(*counts, rows_per_part)
    boxes = [cells.bounds(*each) for each in zip(leaves.code.tolist(), leaves.zoom.tolist(), strict=True)]
    parts = gpd.GeoDataFrame(
        {
            "cell": [name.removeprefix(layout.PLACELESS) for name in leaves.folders],
            "rows": leaves.rows,
            "bytes": (leaves.rows * (plan.bytes / max(plan.rows, 1))).round().astype("int64"),
        },
        geometry=[shapely.box(*box) for box in boxes],
        crs=frames.CRS,
    )
    several = int((-(-leaves.rows // rows_per_part)).sum()) + -(-told.placeless // rows_per_part)
    seconds, memory = plan.seconds(several, number), plan.memory(leaves)
    rows = told.rows
    size, disk, left_out = plan.bytes_of(rows), plan.disk(rows), asked.left_out(told.left_out)
    summary = {
        "rows": rows,
        "parts": several,
        "placeless": told.placeless,
        "left_out": left_out,
        "problems": told.problems,
        **asked.summary,
        "bytes": size,
        "disk_bytes": disk,
        "memory_bytes": memory,
        "processes": number,
        "seconds": round(seconds, 1),
        "dry_run": True,
        "version": version(),
    }
    headline = (
        f"{counted(rows, 'row')} would become {counted(several, 'part')} of about {size / 1e6:,.1f} MB"
        f"{f'; left out: {tally(left_out)}' if left_out else ''};"
        f" {disk / 1e6:,.1f} MB of disk are needed meanwhile, and up to {memory / 1e6:,.0f} MB of"
        f" memory a process; it takes {about(seconds)} in"
        f" {'1 process' if number == 1 else f'{number:,} processes'}; nothing was done"
    )
    return Job(lambda: parts, summary, headline)


def job_of(index: Index, dataset: Path, *, add: bool, asked: Asked | None = None) -> Job[gpd.GeoDataFrame]:
    """Return the job of a dataset that is written; `add` tells whether rows were added to it, and `asked` which."""
    from mlygeo import store
    from mlygeo.store.datasets import layout

    more = index.more
    asked = asked or Asked(None, {})
    left_out = asked.left_out(more["left_out"])
    summary = {
        "rows": index.rows,
        "parts": len(index.parts),
        "written": more["written"],
        "bytes": sum(part.bytes for part in index.parts),
        "placeless": more["placeless"],
        "left_out": left_out,
        "problems": more["problems"],
        **asked.summary,
        "output": str(dataset),
        "index": str(layout.index_of(dataset)),
        "version": version(),
    }
    headline = f"{counted(index.rows, 'row')} in {counted(len(index.parts), 'part')}"
    headline += f", {more['written']:,} of them written anew" if add else ""
    headline += f"; {counted(more['placeless'], 'row')} without position" if more["placeless"] else ""
    headline += f"; left out: {tally(left_out)}" if left_out else ""
    headline += f"; in doubt: {tally(more['problems'])}" if more["problems"] else ""
    headline += f"\n{store.shown(dataset)}  {store.shown(layout.index_of(dataset))}"
    return Job(lambda: frame_of(index), summary, headline)


def frame_of(index: Index) -> gpd.GeoDataFrame:
    """Return the parts of a dataset as a frame, with their boxes."""
    from dataclasses import fields

    import geopandas as gpd
    import numpy as np
    import shapely

    from mlygeo import frames
    from mlygeo.store.datasets.index import Part

    sides = ("west", "south", "east", "north")
    columns = {
        each.name: [getattr(part, each.name) for part in index.parts] for each in fields(Part) if each.name not in sides
    }
    boxes = np.array(
        [[np.nan if (side := getattr(part, name)) is None else side for name in sides] for part in index.parts]
    )
    known = np.isfinite(boxes).all(axis=1)
    geometry = np.where(known, shapely.box(*np.nan_to_num(boxes).T), None)
    return gpd.GeoDataFrame(columns, geometry=geometry, crs=frames.CRS)
