"""Sequences of a dataset of images: its parts are put into buckets, each is cut, and all become a dataset again."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import store
from mlygeo.errors import InputError
from mlygeo.pipelines import steps
from mlygeo.pipelines.job import Job, body_of, check_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd

    from mlygeo.parts.cutting import Rules
    from mlygeo.parts.images import Images
    from mlygeo.parts.plan import Plan
    from mlygeo.pipelines.options import Spread
    from mlygeo.progress import Progress

    Said = Callable[[dict[str, Any]], tuple[dict[str, Any], str]]


def cut(
    dataset: Images,
    rules: Rules,
    *,
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
    run.job = Job(run.frame, {}, "", run.write)
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

    def write(self, path: Path) -> list[Path]:
        """Write the images as a dataset; or as a file of frames, where one is named."""
        from mlygeo.locks import FolderLock
        from mlygeo.store.datasets import layout, publishing

        if store.names_file(path):
            return [store.write_frame(self.frame(), path)]
        check_folder(path)
        target = path.expanduser().absolute()
        if target == self.dataset.folder:
            raise InputError(f"`output` {path} is the dataset itself", hint="name another folder")
        work = target.with_name(f".{target.name}.cut")
        if publishing.check(target, add=False) is not None and not work.exists():
            raise publishing.in_the_way(target)
        with FolderLock(work):
            self._cut(work, target)
            shutil.rmtree(work, ignore_errors=True)
        return [target, layout.index_of(target)]

    def frame(self) -> gpd.GeoDataFrame:
        """Return the images, in the order of a dataset."""
        with tempfile.TemporaryDirectory(prefix="mlygeo-") as folder:
            self._cut(Path(folder) / "work", Path(folder) / "images")
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
            f"{rows:,} images in about {buckets:,} parts, to read {facts['bytes'] / 1e6:,.0f} MB; a process needs"
            f" about {facts['memory_bytes'] / 1e6:,.0f} MB, and more for folders and sequences of more than"
            f" {step.ROWS_PER_BUCKET:,} images; all take about {facts['seconds']:,.0f} s in {at_once:,}"
            f" process{'' if at_once == 1 else 'es'}; nothing was done"
        )
        return Job(lambda: gpd.GeoDataFrame({"images": [rows]}, geometry=[None], crs=4326), facts, text)

    def _cut(self, work: Path, target: Path) -> None:
        """Cut the images in a folder of work, of which what is done is kept, and write the dataset."""
        from mlygeo.parts import sequences as step
        from mlygeo.pipelines.datasets import partition

        first = self._done(step.scattering(self.dataset, work, self.rules, datetime.now(UTC)))
        more: dict[str, Any] = {}
        if not step.by_folder(self.dataset):
            more = step.handed(self._done(step.following(first, step.EDGES, {})))
        made = self._done(step.following(first, step.CUT, more))
        counts = [step.counts_of(made.path(number)) or {} for number in range(len(made.tasks))]
        files = [made.path(number) for number, each in enumerate(counts) if each["rows"]]
        body_of(partition)(files, target, workers=self.workers, progress=self.progress)
        problems: Counter[str] = Counter()
        for file in files:
            problems.update(steps.problems_of(store.read_frame(file, columns=["problem"])["problem"]))
        facts: dict[str, Any] = {
            **step.added(each["told"] for each in counts),
            "problems": dict(problems.most_common()),
        }
        summary, self.job.headline = self.said(facts)
        self.job.summary.update(summary)

    def _done(self, plan: Plan) -> Plan:
        from mlygeo.parts import plan as plans
        from mlygeo.parts import run

        plans.write(plan)
        run.do(
            plan, plan.left(), workers=self.workers, executor=self.spread.executor, client=self.spread.client,
            scheduler=self.spread.scheduler, progress=self.progress,
        )  # fmt: skip
        return plan
