"""Steps over the parts of a dataset, whoever works on them: planned, shared out, done, and brought together."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job
from mlygeo.places import STATE_FOLDER
from mlygeo.progress import about, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import geopandas as gpd

    from mlygeo.parts.images import Images
    from mlygeo.parts.plan import Plan
    from mlygeo.pipelines.options import Spread
    from mlygeo.progress import Progress


class Planned(Protocol):
    """A plan that is not written yet."""

    @property
    def plan(self) -> Plan:
        """The plan."""
        ...

    def write(self) -> Plan:
        """Write it, unless it is there; return it."""
        ...


@dataclass(frozen=True)
class Spreading:
    """
    A step over parts.

    Parameters
    ----------
    dataset
        The images.
    planned
        Returns the plan, whose folder is to be in a given one.
    spread, workers
        Who works on the parts; None for `workers` where it was not given.
    progress
        Where progress is shown.
    """

    dataset: Images
    planned: Callable[[Path], Planned]
    spread: Spread
    workers: int | None
    progress: Progress | None

    def check(self) -> None:
        """Raise for options that make no sense together."""
        from mlygeo.pipelines.arguments import of_no_use

        self.spread.check(self.workers)
        if self.spread.part is not None:
            of_no_use(("dry_run",), "with `part`")

    def dry(self, noun: str) -> Job[gpd.GeoDataFrame]:
        """
        Return what the work would be.

        Parameters
        ----------
        noun
            What the tasks have beside images, such as "street".
        """
        import geopandas as gpd
        from shapely import box

        from mlygeo.spatial import cells

        tasks = self.planned(Path()).plan.tasks
        parts = gpd.GeoDataFrame(
            {
                "cell": [task.cell for task in tasks],
                f"{noun}s": [task.points for task in tasks],
                "images": [task.images for task in tasks],
                "memory_bytes": [task.bytes for task in tasks],
                "seconds": [task.seconds for task in tasks],
            },
            geometry=[box(*cells.bounds(*cells.from_quadkey(task.cell))) for task in tasks],
            crs=4326,
        )
        size = sum(part.bytes for part in self.dataset.index.parts)
        in_reach = sum(task.images for task in tasks)
        at_once = min(self.workers or 1, max(len(tasks), 1))
        own = sum(task.points for task in tasks)
        facts: dict[str, Any] = {
            "parts": len(tasks),
            f"{noun}s": own,
            "images_in_reach": in_reach,
            "bytes": round(size * in_reach / max(self.dataset.index.rows, 1)),
            "memory_bytes": max((task.bytes for task in tasks), default=0),
            "processes": at_once,
            "seconds": round(sum(task.seconds for task in tasks) / at_once, 1),
        }
        text = (
            f"{counted(len(tasks), 'part')} with {counted(own, noun)}, to read {facts['bytes'] / 1e6:,.1f} MB; a"
            f" process needs up to {facts['memory_bytes'] / 1e6:,.0f} MB; it takes {about(facts['seconds'])}"
            f" in {'1 process' if at_once == 1 else f'{at_once:,} processes'}; nothing was done"
        )
        return Job(lambda: parts, facts, text)

    @contextmanager
    def done(self) -> Iterator[Plan]:
        """Do all parts in a temporary folder, and yield the plan."""
        if self.spread.share is not None:
            raise InputError("`part` needs a folder that all shares have in common", hint="name it with -o")
        with tempfile.TemporaryDirectory(prefix="mlygeo-") as folder:
            plan = self.planned(Path(folder)).write()
            self._do(plan, plan.left())
            yield plan

    @contextmanager
    def done_in(self, folder: Path, step: str) -> Iterator[Plan]:
        """
        Do the parts that are left in a folder, and yield the plan; the parts go when its block ends without an error.

        Parameters
        ----------
        folder
            The folder of the results.
        step
            Name of the step, with which the folders of its plans begin.
        """
        from mlygeo.locks import FolderLock

        with FolderLock(folder):
            plan = self.planned(folder / STATE_FOLDER).write()
            self._do(plan, plan.left())
            yield plan
            _remove(folder, step)
        leave(folder)

    def share(self, folder: Path) -> tuple[dict[str, Any], str]:
        """Do the share of the parts that was asked for; return the facts, and them in a sentence."""
        plan = self.planned(folder / STATE_FOLDER).write()
        number, of = self.spread.share or (0, 1)
        left = set(plan.left())
        own = [each for each in range(number, len(plan.tasks), of) if each in left]
        self._do(plan, own)
        done = len(plan.tasks) - len(plan.left())
        verb = "is" if len(plan.tasks) == 1 else "are"
        text = f"{done:,} of {counted(len(plan.tasks), 'part')} {verb} done, {len(own):,} by this run"
        if done == len(plan.tasks):
            text += "; the same command without `part` brings them together"
        return {"parts": len(plan.tasks), "parts_done": done, "parts_of_this_share": len(own)}, text

    def _do(self, plan: Plan, numbers: list[int]) -> None:
        from mlygeo.parts import run

        run.do(
            plan, numbers, workers=self.workers, executor=self.spread.executor, client=self.spread.client,
            scheduler=self.spread.scheduler, progress=self.progress,
        )  # fmt: skip


def forget(folder: Path, step: str) -> None:
    """
    Remove what runs that were killed have left in a folder, which gets the results of a run without parts.

    Parameters
    ----------
    folder
        The folder of the results.
    step
        Name of the step.

    Raises
    ------
    FileError
        If a run is at work there.
    """
    from mlygeo.locks import FolderLock

    if any((folder / STATE_FOLDER).glob(f"{step}-*")):
        with FolderLock(folder):
            _remove(folder, step)
        leave(folder)


def _remove(folder: Path, step: str) -> None:
    for each in (folder / STATE_FOLDER).glob(f"{step}-*"):
        shutil.rmtree(each, ignore_errors=True)


def leave(folder: Path) -> None:
    """Remove what a lock has left in a folder."""
    with suppress(OSError):
        (folder / STATE_FOLDER / "lock").unlink()
    with suppress(OSError):
        (folder / STATE_FOLDER).rmdir()
