"""Points along streets of any number as a dataset: laid part by part, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, InputError
from mlygeo.locks import FolderLock
from mlygeo.parts import run
from mlygeo.parts.laying import Laid
from mlygeo.parts.whole import index_of
from mlygeo.pipelines import provenance
from mlygeo.pipelines.datasets import frame_of
from mlygeo.pipelines.job import Job, check_folder
from mlygeo.progress import counted
from mlygeo.store import shown
from mlygeo.store.datasets import layout, publishing
from mlygeo.store.datasets.sorting import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.parts.laying import Planned
    from mlygeo.pipelines.networks import Laying
    from mlygeo.progress import Progress
    from mlygeo.store.datasets.index import Index


def write(
    laying: Laying,
    dataset: Path,
    *,
    workers: int | None,
    summed: Callable[[dict[str, Any]], dict[str, Any]],
    said: Callable[[dict[str, Any]], str],
    progress: Progress | None,
) -> Job[gpd.GeoDataFrame]:
    """
    Lay points, and write them as a dataset.

    Parameters
    ----------
    laying
        What lays them.
    dataset
        The folder.
    workers
        Processes; None for one.
    summed
        Makes the summary of what was found out of the streets and points.
    said
        Makes the headline of the facts of the points.
    progress
        Where progress is shown.

    Raises
    ------
    FileError
        If something else is in the folder, or it cannot be written.
    InputError
        If the number of processes makes no sense.
    """
    if workers is not None and workers < 1:
        raise InputError(f"`workers` is {workers}, and at least one process has to work")
    dataset = dataset.expanduser()
    check_folder(dataset, is_dataset=True)
    dataset = layout.followed(dataset.absolute(), to_write=True)
    folder = publishing.run_folder(dataset)
    try:
        with FolderLock(folder), publishing.cleared(folder):
            index = publishing.check(dataset, add=False)
            planned = laying.planned(folder / publishing.READ)
            if index is None:
                index = _laid(planned, dataset, workers, progress)
            elif index.more.get("plan") != planned.plan.hash:
                raise FileError(f"{dataset} is a dataset of something else already", hint="name another folder")
    finally:
        publishing.remove(folder)
    more = {
        "rows": index.rows,
        "parts": len(index.parts),
        "bytes": sum(part.bytes for part in index.parts),
        "output": str(dataset),
        "index": str(layout.index_of(dataset)),
    }
    facts = index.more["street_points"]
    headline = f"{said(facts)}, in {counted(len(index.parts), 'part')}"
    headline += f"\n{shown(dataset)}  {shown(layout.index_of(dataset))}"
    return Job(
        lambda: frame_of(index), summed({"streets": laying.streets.facts, "street_points": facts}) | more, headline
    )


def _laid(planned: Planned, dataset: Path, workers: int | None, progress: Progress | None) -> Index:
    """Lay the points, let their parts come to their places, and return their index."""
    plan = planned.write()
    run.do(plan, plan.left(), workers=workers, progress=progress)
    laid = Laid(plan)
    noted = {"plan": plan.hash, "street_points": laid.facts, "written": len(laid.files), "placeless": 0}
    record = provenance.of_this_call()
    noted |= {"left_out": {}, "problems": {}, "records": [] if record is None else [record]}
    index = index_of(plan, laid.counts, noted)
    folder = publishing.run_folder(dataset)
    plan.parts.replace(folder / PARTS)
    publishing.publish(folder, dataset, index, new=[part.path for part in index.parts], old=[])
    return index
