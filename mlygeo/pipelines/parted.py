"""Selections from datasets: the parts are made in a folder, or a temporary one, and then brought together."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import own, store
from mlygeo.errors import FileError, InputError, RegionError
from mlygeo.pipelines import inputs, own_files, provenance, selection, selection_lock
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job
from mlygeo.pipelines.spreading import leave
from mlygeo.places import STATE_FOLDER
from mlygeo.progress import about, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import geopandas as gpd

    from mlygeo.keys import Key
    from mlygeo.parts.images import Images
    from mlygeo.parts.looking import Looks
    from mlygeo.parts.plan import Plan
    from mlygeo.parts.points import GivenPoints
    from mlygeo.parts.selection import Planned
    from mlygeo.parts.whole import Whole
    from mlygeo.pipelines.options import Matching, Spread, StreetPoints
    from mlygeo.pipelines.selection_lock import Lock
    from mlygeo.progress import Progress
    from mlygeo.regions import Region
    from mlygeo.spatial.best import Preference
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store.point_sources import Points
    from mlygeo.store.repeats import Repeats

    Do = Callable[[Plan], None]
    Summed = Callable[[dict[str, Any], int, list[str]], dict[str, Any]]
    Said = Callable[[dict[str, Any], dict[str, Any]], str]

HELD_POINTS = 1_000_000
"""Points that are held when they are written, along a curve; more are written as they come."""

FIRST_CHOICES = "first choices"
"""What is done first where the image of a point hangs on that of its neighbour."""

WHOLE = "whole"
"""Folder of the parts of a plan that are about to take their place."""


def check(spread: Spread, laid: StreetPoints, *, given_points: bool) -> None:
    """
    Raise for what is not defined over parts, with the reason.

    Parameters
    ----------
    spread
        Who works on the parts.
    laid
        Where points are laid.
    given_points
        Whether the user has points, and none are laid.

    Raises
    ------
    InputError
        Naming the option.
    """
    spread.check(None)
    if not given_points:
        refuse_percept(
            laid,
            "with a dataset of images",
            hint="take `method=even`, or lay the points first, with 'mlygeo streets', and give them as `points`",
        )
    if spread.part is not None:
        of_no_use(("dry_run",), "with `part`")


def refuse_percept(laid: StreetPoints, where: str, hint: str) -> None:
    """Raise InputError for points that hang on all others, with the reason; `where` they are not possible."""
    if laid.method == "percept":
        raise InputError(
            f"`method=percept` is not possible {where}: its squares begin at the corner of all points,"
            " and the first row in each is kept, so that a part of the points does not tell which they are",
            hint=hint,
        )


def select(
    points: Callable[[Path, Do], GivenPoints],
    dataset: Images,
    *,
    projection: Callable[[GivenPoints], Projection | Zones],
    matching: Matching,
    preference: Preference | None,
    looks: Looks | None,
    region: Region | None,
    conditions: dict[str, Any],
    spread: Spread,
    workers: int | None,
    dry_run: bool,
    left_out: dict[str, int],
    doubts: dict[str, int],
    summed: Summed,
    said: Said,
    lock: Lock,
    progress: Progress | None,
) -> Job[gpd.GeoDataFrame]:
    """
    Return the job of a selection over the parts of a dataset.

    Parameters
    ----------
    points
        Returns all points, which may have to be laid: for the folder of their plan, and what does plans.
    dataset
        The images.
    projection
        Returns the plane to measure in for the points.
    matching, preference
        As of a selection from a frame.
    looks
        Which images look at things, where the points are the middles of these; else None.
    region, conditions
        Which images may be chosen.
    spread, workers
        Who works on the parts; None for `workers` where it was not given.
    dry_run
        Whether only a plan is wanted.
    left_out, doubts
        How many rows are left out, and are in doubt, by reason; those of the images are added.
    summed
        Makes the summary of the facts, the number of images considered, and attributions.
    said
        Makes the headline of a summary and the facts.
    lock
        What the selection is made of.
    progress
        Where progress is shown.
    """
    from mlygeo import frames
    from mlygeo.parts import rounds
    from mlygeo.parts import selection as step

    spread.check(workers)
    frames.columns_for(conditions, dataset.empty.columns)
    if region is not None:
        _check_inside(region, dataset)
    options = step.Options(
        matching.limit, matching.k, matching.unique, matching.max_heading_difference,
        None if preference is None else preference.as_json(), None if looks is None else vars(looks),
    )  # fmt: skip

    def planned(found: GivenPoints, folder: Path) -> Planned:
        if matching.unique and matching.limit is None:
            rounds.check_whole(len(found), dataset.index.rows)
        return step.planned(
            found, dataset, folder, projection=projection(found), options=options, region=region,
            conditions=conditions,
        )  # fmt: skip

    run = _Run(
        points, dataset, region, conditions, preference, looks, spread, workers, left_out, doubts, summed, said, lock,
        progress, planned,
    )  # fmt: skip
    if dry_run:
        return run.dry()
    job: Job[gpd.GeoDataFrame] = Job(run.frame, run.summary, "", run.write, ids=run.words)
    run.job.append(job)
    return job


def _check_inside(region: Region, dataset: Images) -> None:
    """Raise, as a run on frames does, if no image lies in the region: a mistake in the call."""
    from mlygeo import regions
    from mlygeo.spatial import areas
    from mlygeo.store.datasets import files

    placed = [(number, part) for number, part in enumerate(dataset.index.parts) if part.west is not None]
    for number, part in placed:
        near = files.File(Path(part.path), part.path, part=part).may_meet(region.bounds)
        near |= 180.0 in (abs(part.west or 0.0), abs(part.east or 0.0))  # which is the same place as -180
        if near and region.contains(*dataset.part(number, region.bounds).lonlat).any():
            return
    if dataset.index.rows:
        lon = [side for _, part in placed for side in (part.west, part.east)]
        lat = [side for _, part in placed for side in (part.south, part.north)]
        hint = regions.outside_hint(region, areas.bounds(lon, lat))
        raise RegionError(f"no image of {dataset.name} lies in {region.name}", hint=hint)


@dataclass
class _Run:
    """A selection over parts; what it finds out goes into the summary and the headline of its job."""

    given: Callable[[Path, Do], GivenPoints]
    dataset: Images
    region: Region | None
    conditions: dict[str, Any]
    preference: Preference | None
    looks: Looks | None
    spread: Spread
    workers: int | None
    left_out: dict[str, int]
    doubts: dict[str, int]
    summed: Summed
    said: Said
    lock: Lock
    progress: Progress | None
    plan: Callable[[GivenPoints, Path], Planned]
    summary: dict[str, Any] = field(default_factory=dict)
    job: list[Job[gpd.GeoDataFrame]] = field(default_factory=list)
    points: GivenPoints = field(init=False)

    def planned(self, folder: Path) -> Planned:
        """Return the plan in a folder, for which the points are there or made."""
        self.points = self.given(folder / STATE_FOLDER, self._lay)
        return self.plan(self.points, folder / STATE_FOLDER)

    def write(self, folder: Path) -> list[Path]:
        """Make the parts in a folder, and bring them together; what a killed run has made is kept."""
        from mlygeo.locks import FolderLock

        _refuse_dataset(folder, self.dataset)
        if store.names_file(folder):
            with self._temporary() as whole:
                frame, placed = self._frame(whole), self._street_points()
            placed.attrs = self.points.attrs | {"run": self.summary["run"]}
            return [store.write_layers({"selection": frame, "street_points": placed}, folder)]
        own.refuse_others(folder, own_files.SELECT)
        _refuse_other(folder)
        planned = self.planned(folder)
        if self.spread.share is not None:
            self._do_share(planned)
            return []
        with FolderLock(folder):
            _take_back(folder, planned.plan)
            whole = self._done(planned)
            files = self._publish(whole, folder)
            _forget(folder)
        leave(folder)
        return files

    def frame(self) -> gpd.GeoDataFrame:
        """Return the whole selection, as a run on frames does."""
        with self._temporary() as whole:
            return self._frame(whole)

    def words(self) -> list[Key]:
        """Return the ids of the images, each once, as words of a list."""
        with self._temporary() as whole:
            return [*selection.words_of(whole.table()[0])]

    def dry(self) -> Job[gpd.GeoDataFrame]:
        """Return what the work would be."""
        import geopandas as gpd
        from shapely import box

        from mlygeo.parts import at_once, rounds
        from mlygeo.parts import selection as step
        from mlygeo.spatial import cells

        with tempfile.TemporaryDirectory(prefix="mlygeo-") as folder:
            plan = self.planned(Path(folder)).plan
        is_unique, is_twice = plan.step == step.UNIQUE, plan.step == step.NEIGHBOURS
        tasks = rounds.first_tasks(plan, self.dataset.index.rows) if is_unique else plan.tasks
        seconds_of = [
            task.seconds * (1 + is_twice) + is_unique * rounds.SECONDS_PER_POINT * task.points for task in tasks
        ]
        bounds = [cells.bounds(*cells.from_quadkey(task.cell)) for task in tasks]
        parts = gpd.GeoDataFrame(
            {
                "cell": [task.cell for task in tasks],
                "points": [task.points for task in tasks],
                "images": [task.images for task in tasks],
                "memory_bytes": [task.bytes for task in tasks],
                "seconds": seconds_of,
            },
            geometry=[box(*each) for each in bounds],
            crs=4326,
        )
        rows = max(self.dataset.index.rows, 1)
        size = sum(part.bytes for part in self.dataset.index.parts)
        seconds = sum(seconds_of)
        is_at_once = self._is_at_once(plan)
        in_reach = sum(task.images for task in tasks)
        to_read = min(in_reach, self.dataset.index.rows) if is_at_once else in_reach  # tasks read their borders twice
        most = at_once.needs(plan) if is_at_once else max((task.bytes for task in tasks), default=0)
        processes = min(self.workers or 1, max(len(tasks), 1))
        facts: dict[str, Any] = {
            "parts": len(tasks),
            "points": sum(task.points for task in tasks),
            "images_in_reach": in_reach,
            "bytes": round(size * to_read / rows),
            "at_once": is_at_once,
            "memory_bytes": most,
            "processes": processes,
            "seconds": round(seconds / processes, 1),
        }
        who = "this process makes all at once and needs" if is_at_once else "a process needs"
        text = (
            f"{counted(facts['parts'], 'part')} with {counted(facts['points'], 'point')}, to read"
            f" {facts['bytes'] / 1e6:,.1f} MB; {who} up to {most / 1e6:,.0f} MB; it takes"
            f" {about(facts['seconds'])} in {'1 process' if processes == 1 else f'{processes:,} processes'}"
            f"{rounds.remark(plan) if is_unique else ''}"
            f"{'; each part is made twice, for the term same_sequence' if is_twice else ''}; nothing was done"
        )
        return Job(lambda: parts, facts, text)

    @contextmanager
    def _temporary(self) -> Iterator[Whole]:
        if self.spread.share is not None:
            raise InputError("`part` needs a folder that all shares have in common", hint="name it with -o")
        with tempfile.TemporaryDirectory(prefix="mlygeo-") as folder:
            whole = self._done(self.planned(Path(folder)))
            self._settle(whole)
            yield whole

    def _frame(self, whole: Whole) -> gpd.GeoDataFrame:
        from mlygeo.parts.matching import frame_of

        table, lon, lat = whole.table()
        attrs = {**self.dataset.attrs, "attribution": self.summary["attribution"], "run": self.summary["run"]}
        return frame_of(table, (lon, lat), attrs=attrs)

    def _done(self, planned: Planned) -> Whole:
        """Do what is left of a plan, and return its parts."""
        from mlygeo.parts import at_once, firsts, rounds, run, selection
        from mlygeo.parts.whole import Whole

        if self._is_at_once(planned.plan):
            return at_once.select(planned, self.progress)
        plan = planned.write()
        if plan.step == selection.UNIQUE and plan.left():
            turn: Plan | None = rounds.first(plan, self._elsewhere)
            while turn is not None:
                self._do(turn, turn.left(), run, f"round {turn.given['round'] + 1}")
                turn = rounds.following(plan, turn)
        if plan.step == selection.NEIGHBOURS and plan.left():
            first = firsts.of(plan)
            self._do(first, first.left(), run, FIRST_CHOICES)
        self._do(plan, plan.left(), run)
        return Whole(plan)

    def _is_at_once(self, plan: Plan) -> bool:
        """Return whether this process does all itself: nobody is named who works on the parts, and it fits."""
        from mlygeo.parts import at_once

        spread = self.spread
        named = (self.workers, spread.scheduler, spread.executor, spread.client, spread.share)
        return all(each is None for each in named) and at_once.fits(plan)

    def _elsewhere(self) -> Any:
        """Return the ids of images that stand at several places."""
        return self._repeats[1].placed

    @cached_property
    def _repeats(self) -> tuple[Points, Repeats]:
        from mlygeo.parts import images

        return images.repeated(self.dataset, self.region, self.conditions)

    def _do_share(self, planned: Planned) -> None:
        from mlygeo.parts import firsts, rounds, run, selection

        plan = planned.write()
        if plan.step == selection.UNIQUE and plan.left():
            plan = rounds.first(plan, self._elsewhere)
        if plan.step == selection.NEIGHBOURS and plan.left():
            first = firsts.of(plan)
            if first.left():
                first_tasks = self._own_tasks(first)
                self._do(first, first_tasks, run, FIRST_CHOICES)
            if first.left():
                done = len(first.tasks) - len(first.left())
                self.summary |= {"parts": len(first.tasks), "parts_done": 0, "parts_of_this_share": 0}
                self.job[0].headline = (
                    f"the first choices of {done:,} of {counted(len(first.tasks), 'part')} are there,"
                    f" {len(first_tasks):,} by this run; the same command makes parts of them once all are"
                )
                return
        own_tasks = self._own_tasks(plan)
        self._do(plan, own_tasks, run)
        done = len(plan.tasks) - len(plan.left())
        self.summary |= {"parts": len(plan.tasks), "parts_done": done, "parts_of_this_share": len(own_tasks)}
        verb = "is" if len(plan.tasks) == 1 else "are"
        text = f"{done:,} of {counted(len(plan.tasks), 'part')} {verb} done, {len(own_tasks):,} by this run"
        if done == len(plan.tasks):
            text += "; the same command without `part` brings them together"
        self.job[0].headline = text

    def _own_tasks(self, plan: Plan) -> list[int]:
        """Return the tasks of this share whose part is not there."""
        number, of = self.spread.share or (0, 1)
        left = set(plan.left())
        return [each for each in range(number, len(plan.tasks), of) if each in left]

    def _lay(self, plan: Plan) -> None:
        """Do what is left of a plan whose parts all shares need: of several at once each begins elsewhere."""
        from mlygeo.parts import run

        number, of = self.spread.share or (0, 1)
        self._do(plan, sorted(plan.left(), key=lambda task: (task - number) % of), run, "laying points")

    def _do(self, plan: Plan, numbers: list[int], run: Any, label: str = "parts") -> None:
        spread = self.spread
        run.do(
            plan, numbers, workers=self.workers, executor=spread.executor, client=spread.client,
            scheduler=spread.scheduler, progress=self.progress, label=label,
        )  # fmt: skip

    def _settle(self, whole: Whole) -> None:
        """Fill in the summary and the headline."""
        from mlygeo import frames
        from mlygeo.parts import looking
        from mlygeo.providers import attribution_of
        from mlygeo.store import repeats
        from mlygeo.store.points import SomeOf

        index = self.dataset.index
        counts = [counted["counted"] for counted in whole.counts]
        unplaced = sum(part.rows for part in index.parts if part.west is None)
        kept, kept_unplaced = index.rows, unplaced
        if self.region is not None or self.conditions:
            kept, kept_unplaced = (sum(each[name] for each in counts) for name in ("kept", "unplaced"))
        if not kept:
            inputs.log.warning("the filters and the region leave out all of %s", self.dataset.name)
        rows, found = self._repeats
        gone = unplaced - kept_unplaced if index.rows > kept else 0
        cut = {"outside the region, or by the filters": index.rows - kept - gone}
        self.left_out |= inputs.left_out_counts(
            "images", self.dataset.attrs.get("left_out"), cut=cut, unplaced=unplaced
        )
        if len(found.again):
            self.left_out |= {f"images {repeats.AGAIN}": len(found.again)}
        if self.looks is not None:
            self.left_out |= looking.unseeing_of(counts, SomeOf(rows, found.again), self.looks)
        self.doubts |= self._unknown()
        self.doubts |= found.problems
        credited = list(dict.fromkeys([*whole.attribution(attribution_of), *frames.credited(self.points.attrs)]))
        summary = self.summed(whole.facts, kept - len(found.again), credited)
        summary["run"] = provenance.run_of({**summary, "plan": whole.plan.hash})
        self.lock.check(lambda: self._told(whole), summary["software"])
        self.summary |= summary
        for job in self.job:
            job.headline = self.said(summary, whole.facts)

    def _unknown(self) -> dict[str, int]:
        """Return what is not known of images that could be preferred; what that leaves out is noted."""
        if self.preference is None:
            return {}
        from mlygeo.parts import preferred
        from mlygeo.store.points import keep

        index, counts, gone = self.dataset.index, [], []
        for number in range(len(index.parts)):
            kept = keep(self.dataset.part(number), region=self.region, conditions=self.conditions)
            counts.append(preferred.unknown(kept, self.preference, of_things=self.looks is not None))
            gone.append(preferred.left_out(kept, self.preference))
        self.left_out |= preferred.found_by(iter(gone))
        found = preferred.found_by(iter(counts))
        if self.looks is not None:
            return found
        return found | preferred.no_bearings(self.points.found.without_bearing, self.preference)

    def _told(self, whole: Whole) -> dict[str, Any]:
        """Return what was selected, for the lock."""
        return selection_lock.result_of(whole.placed(selection_lock.CHOSEN), self.points.tables())

    def _publish(self, whole: Whole, folder: Path) -> list[Path]:
        """Write all that goes beside the parts, and let them take their places together."""
        from mlygeo.store.datasets import index, layout

        self._settle(whole)
        run = {"run": self.summary["run"]}
        target, beside = folder / own_files.SELECTION, layout.index_of(folder / own_files.SELECTION)
        points, ids = folder / "street_points.parquet", folder / own_files.IMAGE_IDS
        with inputs.as_set(folder, own_files.SELECT):
            for stale in ("selection.parquet", own_files.FAILED_TILES):
                store.remove(folder / stale)
            # Both are begun here: what is written together is of one thread.
            with store.atomic(points) as for_points, store.atomic(ids) as for_ids:
                with ThreadPoolExecutor(2) as pool, for_ids.open("wb") as file:
                    parts = pool.submit(whole.write)
                    placed = pool.submit(self._write_points, for_points, self.points.attrs | run)
                    told = pool.submit(self._told, whole)
                    for lines in _lines(whole):
                        file.write(lines)
                    parts.result()
                    placed.result()
                outputs = {
                    path.name: selection_lock.file_facts(held) for path, held in ((points, for_points), (ids, for_ids))
                }
            made = whole.index(run | {"attribution": self.summary["attribution"]})
            index.write_index(made, beside)
            outputs[own_files.SELECTION] = selection_lock.index_facts(made)
            locked = self.lock.write(folder, self.summary, told.result(), outputs)
            text = json.dumps(self.summary, indent=2, ensure_ascii=False) + "\n"
            said = store.write_text(text, folder / own_files.SUMMARY)
            _move(whole, folder, target, beside)
        return [target, beside, ids, points, locked, said]

    def _write_points(self, path: Path, attrs: dict[str, Any]) -> None:
        from mlygeo.store import parquet

        if len(self.points) > HELD_POINTS and not self.points.are_held:
            parquet.write_pieces(self.points.tables, path, attrs=attrs)
            return
        whole = self.points.whole
        parquet.write_points(selection.points_table(whole), *whole.lonlat, path, attrs=attrs)

    def _street_points(self) -> gpd.GeoDataFrame:
        from mlygeo import frames

        whole = self.points.whole
        return frames.placed(selection.points_table(whole), *whole.lonlat)


def _lines(whole: Whole) -> Iterator[bytes]:
    """Yield the lines of the list of images, some at a time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    start, firsts = 0, whole.firsts
    for table in whole.tables([name for name in ("id", "provider") if name in whole.columns]):
        own_firsts = firsts[start : start + len(table)]
        start += len(table)
        own = table.take(pa.array(np.flatnonzero(own_firsts)))
        if "provider" in own.column_names or not pa.types.is_integer(own["id"].type):
            yield "\n".join([*selection.words_of(own), ""]).encode()
        elif len(own):
            words = own["id"].combine_chunks().cast(pa.string())
            together = pa.ListArray.from_arrays(pa.array([0, len(words)], pa.int32()), words)
            yield pc.binary_join(together, "\n")[0].as_buffer().to_pybytes() + b"\n"


def _refuse_dataset(folder: Path, dataset: Images) -> None:
    """Raise if a folder lies in a dataset, or its parts would take the place of the images."""
    from mlygeo.store.datasets import layout

    place = folder.expanduser().absolute()
    if (around := layout.around(place)) is not None or str(dataset.folder) in {
        str(place / own_files.SELECTION),
        os.path.realpath(place / own_files.SELECTION),
    }:
        raise FileError(
            f"{folder} cannot take the selection: {around or dataset.folder} is a dataset, which would be changed",
            hint="name a folder elsewhere",
        )


def _refuse_other(folder: Path) -> None:
    """Raise if a folder is in the place of the parts that no run has made."""
    from mlygeo.errors import FormatError
    from mlygeo.store.datasets import index, layout

    target = folder / own_files.SELECTION
    beside = layout.index_of(target)
    if not target.exists() and not beside.exists():
        return
    try:
        is_ours = target.is_dir() and _was_made_here(target)
        is_ours = is_ours or (beside.is_file() and "run" in index.read_index(beside).more)
    except (FileError, FormatError):
        is_ours = False
    if not is_ours:
        raise own.other(target if target.exists() else beside)


def clear(folder: Path) -> None:
    """
    Remove the parts that an earlier run has left in a folder, which gets the files of a run without parts.

    Those of a run that was killed go too; FileError where a run is at work on them.
    """
    from mlygeo.locks import FolderLock
    from mlygeo.store.datasets import layout

    target = folder / own_files.SELECTION
    beside = layout.index_of(target)
    if store.names_file(folder):
        return
    if target.exists() or beside.exists():
        _refuse_other(folder)
        (folder / own_files.SUMMARY).unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
    if any((folder / STATE_FOLDER).glob("selection-*")):
        with FolderLock(folder):
            _forget(folder)
        leave(folder)


def _forget(folder: Path) -> None:
    """Remove what runs over parts have kept in a folder."""
    for kind in ("selection-*", "laying-*"):
        for each in (folder / STATE_FOLDER).glob(kind):
            shutil.rmtree(each, ignore_errors=True)


def _was_made_here(target: Path) -> bool:
    """Return whether a folder has parts of a plan, or nothing at all."""
    from mlygeo.store.parquet.files import GeoFile

    first = next(target.glob("cell=q*/part-0.parquet"), None)
    return "plan" in GeoFile(first).attrs if first is not None else not any(target.iterdir())


def _take_back(folder: Path, plan: Plan) -> None:
    """Take back parts of this plan that a killed run had put in their place before all else was there."""
    from mlygeo.store.parquet.files import GeoFile

    target = folder / own_files.SELECTION
    if not plan.parts.exists() and (plan.folder / WHOLE).exists():
        (plan.folder / WHOLE).replace(plan.parts)
    if plan.parts.exists() or (folder / own_files.SUMMARY).exists() or not target.is_dir():
        return
    first = next(target.glob("cell=q*/part-0.parquet"), None)
    if first is not None and GeoFile(first).attrs.get("plan") == plan.hash:
        target.replace(plan.parts)


def _move(whole: Whole, folder: Path, target: Path, beside: Path) -> None:
    """Put the parts in their place; before that, what says that those of an earlier run are complete goes."""
    plan, counts = whole.plan, whole.counts
    parts = plan.folder / WHOLE
    plan.parts.replace(parts)  # where no worker of an earlier run can add a part any more
    for task, counted_in in zip(plan.tasks, counts, strict=True):
        if not counted_in["rows"]:
            (parts / task.path).unlink()
            (parts / task.path).parent.rmdir()
    for stale in (folder / own_files.SUMMARY, beside):
        stale.unlink(missing_ok=True)
    if target.exists():
        target.replace(whole.plan.folder / "earlier")
    parts.replace(target)
