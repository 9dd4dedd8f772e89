"""Sequences of a dataset of images: its parts are put into buckets, each is cut, and all become a dataset again."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import store
from mlygeo.errors import InputError
from mlygeo.pipelines import datasets, provenance, steps
from mlygeo.pipelines.job import Job, body_of, check_folder
from mlygeo.progress import about, counted
from mlygeo.store.datasets import layout
from mlygeo.store.datasets.index import read_index, write_index

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd

    from mlygeo.parts.cutting import Rules
    from mlygeo.parts.images import Images
    from mlygeo.parts.plan import Plan
    from mlygeo.pipelines.options import Spread
    from mlygeo.progress import Progress

    Said = Callable[[dict[str, Any]], tuple[dict[str, Any], str]]

CUT = "cut"
"""What the index says of a dataset of images that were cut."""

OF_DATASET = ("parts", "bytes", "output", "index")
"""What the summary says of a dataset that is written, beside what it says of its images."""


def cut(
    dataset: Images,
    rules: Rules,
    *,
    output: Path | None,
    spread: Spread,
    workers: int | None,
    dry_run: bool,
    said: Said,
    progress: Progress | None,
) -> Job[gpd.GeoDataFrame]:
    """
    Return the job of cutting the images of a dataset.

    Parameters
    ----------
    dataset
        The images.
    rules
        How sequences are made.
    output
        The folder of the dataset to write; None for a frame.
    spread, workers
        Who works on the parts; None for `workers` where it was not given.
    dry_run
        Whether only a plan is wanted.
    said
        Makes the summary of the facts, and its headline.
    progress
        Where progress is shown.
    """
    from mlygeo.parts import sequences as step

    spread.check(workers)
    if spread.part is not None:
        raise InputError(
            "`part` is not possible here: images are put into buckets in one pass, and cut in another",
            hint="name `scheduler` or `workers`",
        )
    step.check(dataset)
    run = _Run(dataset, rules, spread, workers, said, progress)
    if dry_run:
        return run.dry()
    if output is not None:
        return run.written(output)
    run.job = Job(run.frame, {}, "", as_file=True)
    return run.job


@dataclass
class _Run:
    """A run over parts; what it finds out goes into the summary and the headline of its job."""

    dataset: Images
    rules: Rules
    spread: Spread
    workers: int | None
    said: Said
    progress: Progress | None
    job: Job[gpd.GeoDataFrame] = field(init=False)
    headline: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def written(self, path: Path) -> Job[gpd.GeoDataFrame]:
        """
        Write the images as a dataset, and return its parts; what a killed run has done is kept.

        The index says by which plan, so that the same command again does nothing.
        """
        from mlygeo.locks import FolderLock
        from mlygeo.parts import sequences as step
        from mlygeo.store.datasets import publishing

        check_folder(path, is_dataset=True)
        target = path.expanduser().absolute()
        work = target.with_name(f".{target.name}.cut")
        there, name = publishing.check(target, add=False), step.hash_of(self.dataset, self.rules)
        is_done = there is not None and there.more.get(CUT, {}).get("plan") == name
        if there is not None and not is_done and not work.exists():
            raise publishing.in_the_way(target, grows=False)
        if not is_done or work.exists():
            with FolderLock(work):
                if not is_done:
                    self._cut(work, target)
                    self._note(target, name)
                shutil.rmtree(work, ignore_errors=True)
        index = read_index(layout.index_of(target))
        return told(datasets.job_of(index, target, add=False), *self.said(index.more[CUT]["facts"]))

    def _note(self, target: Path, name: str) -> None:
        """Note in the index of the dataset by which plan it was made, and what is said of it."""
        path, record = layout.index_of(target), provenance.of_this_call()
        index = read_index(path)
        more = {CUT: {"plan": name, "facts": self.facts}, "records": [] if record is None else [record]}
        write_index(replace(index, more=index.more | more), path)

    def frame(self) -> gpd.GeoDataFrame:
        """Return the images, in the order of a dataset."""
        with tempfile.TemporaryDirectory(prefix="mlygeo-") as folder:
            told = self._cut(Path(folder) / "work", Path(folder) / "images").summary
            self.job.summary.update({name: value for name, value in told.items() if name not in OF_DATASET})
            self.job.headline = self.headline
            return store.read_frame(Path(folder) / "images", frame="images")

    def dry(self) -> Job[gpd.GeoDataFrame]:
        """Return what the work would be."""
        import geopandas as gpd

        from mlygeo.parts import plan
        from mlygeo.parts import sequences as step

        rows = self.dataset.index.rows
        buckets = max(1, -(-rows // step.ROWS_PER_BUCKET))
        at_once = min(self.workers or 1, buckets)
        facts = {
            "parts": buckets,
            "images": rows,
            "bytes": sum(part.bytes for part in self.dataset.index.parts),
            "memory_bytes": plan.BASE_BYTES + step.BYTES_PER_IMAGE * min(rows, step.ROWS_PER_BUCKET),
            "processes": at_once,
            "seconds": round(rows * step.SECONDS_PER_IMAGE / at_once, 1),
        }
        text = (
            f"{counted(rows, 'image')} in about {counted(buckets, 'part')}, to read"
            f" {facts['bytes'] / 1e6:,.1f} MB; a process needs"
            f" about {facts['memory_bytes'] / 1e6:,.0f} MB, and more for folders and sequences of more than"
            f" {step.ROWS_PER_BUCKET:,} images; it takes {about(facts['seconds'])} in {at_once:,}"
            f" process{'' if at_once == 1 else 'es'}; nothing was done"
        )
        return Job(lambda: gpd.GeoDataFrame({"images": [rows]}, geometry=[None], crs=4326), facts, text)

    def _cut(self, work: Path, target: Path) -> Job[gpd.GeoDataFrame]:
        """Cut the images in a folder of work, where what is done is kept; write the dataset, and return its parts."""
        from mlygeo.parts import sequences as step

        if not self.dataset.index.rows:
            none = step.cut_of_none(self.dataset, self.rules)
            return self._as_dataset(none, target, {**step.told(none), "problems": {}})
        first = self._done(step.scattering(self.dataset, work, self.rules, datetime.now(UTC)))
        more: dict[str, Any] = {}
        if not step.by_folder(self.dataset):
            more = step.handed(self._done(step.following(first, step.EDGES, {})))
        made = self._done(step.following(first, step.CUT, more))
        counts = [step.counts_of(made.path(number)) or {} for number in range(len(made.tasks))]
        files = [made.path(number) for number, each in enumerate(counts) if each["rows"]]
        problems: Counter[str] = Counter()
        for file in files:
            problems.update(steps.problems_of(store.read_frame(file, columns=["problem"])["problem"]))
        facts: dict[str, Any] = step.added(each["told"] for each in counts)
        facts["problems"] = dict(problems.most_common())
        return self._as_dataset(files, target, facts)

    def _as_dataset(self, images: Any, target: Path, facts: dict[str, Any]) -> Job[gpd.GeoDataFrame]:
        self.facts = facts
        summary, self.headline = self.said(facts)
        return as_dataset(images, target, summary, self.headline, workers=self.workers, progress=self.progress)

    def _done(self, plan: Plan) -> Plan:
        from mlygeo.parts import plan as plans
        from mlygeo.parts import run

        plans.write(plan)
        run.do(
            plan, plan.left(), workers=self.workers, executor=self.spread.executor, client=self.spread.client,
            scheduler=self.spread.scheduler, progress=self.progress,
        )  # fmt: skip
        return plan


def as_dataset(
    images: Any, target: Path, summary: dict[str, Any], headline: str, *, workers: int | None, progress: Progress | None
) -> Job[gpd.GeoDataFrame]:
    """
    Write images that were cut as a dataset, and return its parts.

    Parameters
    ----------
    images
        A frame, or files.
    target
        The folder of the dataset.
    summary, headline
        What is said of the images.
    workers
        Number of processes; None for as many as pay.
    progress
        Where progress is shown.
    """
    made = body_of(datasets.partition)(images, target, workers=workers, progress=progress)
    return told(made, summary, headline)


def told(made: Job[gpd.GeoDataFrame], summary: dict[str, Any], headline: str) -> Job[gpd.GeoDataFrame]:
    """Return the job of a dataset that was made, with what is said of its images."""
    of_dataset = {name: made.summary[name] for name in OF_DATASET}
    return Job(lambda: made.result, {**summary, **of_dataset}, f"{headline}\n{made.headline}")
