"""Coverage from a dataset of images: the parts are measured in a folder, or a temporary one, and brought together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlygeo import own, store
from mlygeo.pipelines import inputs, own_files
from mlygeo.pipelines.coverage_results import Considered, Results
from mlygeo.pipelines.job import Job
from mlygeo.pipelines.spreading import Spreading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.parts.coverage import Planned
    from mlygeo.parts.images import Images
    from mlygeo.parts.plan import Plan
    from mlygeo.pipelines.coverage_asked import Asked
    from mlygeo.pipelines.options import Spread
    from mlygeo.progress import Progress
    from mlygeo.spatial.coverage import Laid


def coverage(
    laid: Laid,
    dataset: Images,
    asked: Asked,
    *,
    one_provider_is_told: bool,
    conditions: dict[str, Any],
    spread: Spread,
    workers: int | None,
    dry_run: bool,
    left_out: dict[str, int],
    credited: list[str],
    summed: Callable[[dict[str, Any], Considered], dict[str, Any]],
    progress: Progress | None,
) -> Job[gpd.GeoDataFrame]:
    """
    Return the job of a coverage over the parts of a dataset.

    Parameters
    ----------
    laid
        The streets.
    dataset
        The images.
    asked
        What it is to tell.
    one_provider_is_told
        Whether they are told apart by provider where there is one only.
    conditions
        Which images count.
    spread, workers
        Who works on the parts; None for `workers` where it was not given.
    dry_run
        Whether only a plan is wanted.
    left_out
        How many rows of the other inputs are left out, by reason.
    credited
        Whose the streets are.
    summed
        Makes the summary of the facts of the coverage, and the images.
    progress
        Where progress is shown.
    """
    from mlygeo.parts import coverage as step

    def planned(folder: Path) -> Planned:
        return step.planned(
            laid, dataset, folder, distance=asked.distance, by=asked.grouped, time_zone=asked.time_zone,
            nearest=asked.expected, sides=asked.sides or (), conditions=conditions,
        )  # fmt: skip

    spreading = Spreading(dataset, planned, spread, workers, progress)
    spreading.check()
    if dry_run:
        return spreading.dry("street")

    def results(plan: Plan) -> Results:
        whole = step.Covered(plan, laid, dataset.settled.form)
        considered, providers = _considered(dataset, whole.counts, conditions, left_out, credited)
        told = asked if one_provider_is_told or len(providers) > 1 else asked.without("provider")
        return Results(whole.coverage(), told, considered, summed)

    return _Run(dataset, spreading, results).job


@dataclass
class _Run:
    """A coverage over parts; what it finds out goes into the summary and the headline of its job."""

    dataset: Images
    spreading: Spreading
    results: Callable[[Plan], Results]
    job: Job[gpd.GeoDataFrame] = field(init=False)
    found: Results | None = None

    def __post_init__(self) -> None:
        self.job = Job(self.frame, {}, "", self.write, text=self.text)

    def frame(self) -> gpd.GeoDataFrame:
        """Return the coverage frame, as a run on frames does."""
        return self._at_hand().frame()

    def text(self) -> str:
        """Return what is printed."""
        return "" if self.found is None else self.found.printed()

    def write(self, folder: Path) -> list[Path]:
        """Measure the parts in a folder, and bring them together; what a killed run has made is kept."""
        from mlygeo.parts import coverage as step
        from mlygeo.store.datasets import layout

        if store.names_file(folder):
            return self._at_hand().write(folder, [], self.job.call)
        own.refuse_others(folder, own_files.COVERAGE)
        layout.must_be_elsewhere(folder)
        if self.spreading.spread.share is not None:
            facts, self.job.headline = self.spreading.share(folder)
            self.job.summary.update(facts)
            return []
        with self.spreading.done_in(folder, step.STEP) as plan:
            return self._settled(plan).write(folder, [], self.job.call)

    def _at_hand(self) -> Results:
        if self.found is None:
            with self.spreading.done() as plan:
                self._settled(plan)
        assert self.found is not None  # noqa: S101 - it is settled
        return self.found

    def _settled(self, plan: Plan) -> Results:
        self.found = self.results(plan)
        self.job.summary.update(self.found.summary)
        self.job.headline = self.found.headline
        return self.found


def _considered(
    dataset: Images,
    counts: list[dict[str, Any]],
    conditions: dict[str, Any],
    left_out: dict[str, int],
    credited: list[str],
) -> tuple[Considered, list[str | None]]:
    """Return what is said of the images, as of a run on frames, and the names of their providers."""
    from mlygeo.attribution import sources_of
    from mlygeo.parts import coverage as step
    from mlygeo.parts import images
    from mlygeo.providers import attribution_of
    from mlygeo.store import repeats

    index = dataset.index
    unplaced = sum(part.rows for part in index.parts if part.west is None)
    kept, kept_unplaced = index.rows, unplaced
    parts: list[dict[str, Any]] = []
    if conditions or step.says_whose(dataset):
        # Without a street there is no task that counts.
        parts = [each["counted"] for each in counts] or [step.counted(dataset, range(len(index.parts)), conditions)]
        kept, kept_unplaced = (sum(part[name] for part in parts) for name in ("kept", "unplaced"))
    if not kept:
        inputs.log.warning("the filters leave out all of %s", dataset.name)
    _, again = images.repeated(dataset, None, conditions)
    gone = unplaced - kept_unplaced if index.rows > kept else 0
    found = left_out | inputs.left_out_counts(
        "images", dataset.attrs.get("left_out"), cut={"by the filters": index.rows - kept - gone}, unplaced=unplaced
    )
    if len(again.again):
        found |= {f"images {repeats.AGAIN}": len(again.again)}
    shares: dict[str, Any] = {}
    if "provider" in dataset.empty.columns:
        shares = step.shares(dataset, conditions, [part["shares"] for part in parts])
    tally = step.tally_of([part["whose"] for part in parts])
    whose = list(dict.fromkeys([*sources_of(tally, dataset.attrs, attribution_of), *credited]))
    doubts = inputs.doubts_of(dataset.empty, "images") | again.problems
    providers = dict.fromkeys(name for part in parts for name in part["providers"])
    return Considered(kept - len(again.again), found, doubts, shares, whose), [*providers]
