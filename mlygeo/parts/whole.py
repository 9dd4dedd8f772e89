"""What is known of a selection only when all of its parts are there: exact, and in bounded memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo import arrays, attribution
from mlygeo.arrays import maybe_repeated
from mlygeo.parts import facts, points
from mlygeo.parts.images import AT_ONCE, spread
from mlygeo.parts.plan import AllParts
from mlygeo.places import sha256_of
from mlygeo.store.datasets import layout
from mlygeo.store.datasets.index import Index, Part
from mlygeo.store.parquet import encodings
from mlygeo.store.parquet.files import GeoFile, footer_sha256

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mlygeo.arrays import Flags, Floats, Rows
    from mlygeo.attribution import Bare
    from mlygeo.parts.plan import Plan


@dataclass(frozen=True)
class Whole(AllParts):
    """
    The parts of a selection, all of which are there.

    Parameters
    ----------
    plan
        The plan.
    """

    @property
    def columns(self) -> list[str]:
        """Names of the columns of the selection, without geometry."""
        return [] if not self.plan.tasks else self._file(0).attributes

    def tables(self, columns: list[str]) -> Iterator[pa.Table]:
        """Yield columns of each part that has rows, in the order of the tasks."""
        for number, counted in enumerate(self.counts):
            if counted["rows"]:
                file = self._file(number)
                yield file.read(range(len(file.groups)), columns).replace_schema_metadata(None)

    def write(self) -> None:
        """Write the parts, unless they are there, as they are here."""

    @cached_property
    def sums(self) -> dict[str, Any]:
        """The sums of all parts; points without a position, which no task has, count as points."""
        found = facts.added(counted["sums"] for counted in self.counts)
        return {**found, "points": self.plan.given["points"]["count"]}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts of the selection, as of a run on whole frames."""
        images, _, providers = self._images
        return facts.facts_of(
            self.sums,
            images=images,
            distance_m=facts.quartiles(self.sums["covered"], self._nearest),
            providers=providers,
        )

    @property
    def firsts(self) -> Flags:
        """Which of all pairs, in the order of the tasks, are the first of their image."""
        return self._images[1]

    def attribution(self, bare: Bare | None) -> list[str]:
        """Return the attributions of the selected images; see `mlygeo.attribution.sources`."""
        names = [name for name in attribution.COLUMNS if name in self.columns]
        found: list[pa.Table] = []
        for table in self.tables([*names, "id"]) if names else ():
            said = attribution.columns_in([*names, "id"], table.column)
            if said is not None:
                found.append(attribution.tallied(said))
        tally = None
        if found:
            own = [name for name in found[0].column_names if name != "count_all"]
            summed = pa.concat_tables(found).group_by(own, use_threads=False).aggregate([("count_all", "sum")])
            tally = summed.rename_columns([*own, "count_all"])
        return attribution.sources_of(tally, self.plan.given["attrs"], bare)

    def index(self, more: dict[str, Any]) -> Index:
        """Return the index of the selection as a dataset; `more` is noted in it."""
        return index_of(self.plan, self.counts, more)

    def table(self) -> tuple[pa.Table, Floats, Floats]:
        """Return all parts as one table, in the order of the points' rows and of ranks; and the places, degrees."""
        names = self.columns
        tables = [*self.tables(names)] or [self._none()]
        together = pa.concat_tables(tables).replace_schema_metadata(None)
        places = [(np.empty(0), np.empty(0)), *self._places()]
        lon, lat = (np.concatenate(values) for values in zip(*places, strict=True))
        ids, rows = self._points()
        ordered = np.argsort(ids, kind="stable")
        place = rows[ordered[np.searchsorted(ids[ordered], together["point_id"].to_numpy())]]
        order = np.lexsort([together["rank"].to_numpy(), place])
        return together.take(pa.array(order)), lon[order], lat[order]

    def placed(self, columns: Collection[str]) -> Iterator[tuple[pa.Table, Floats, Floats]]:
        """Yield those of some columns that there are, and the places in degrees, of each part that has rows."""
        names = [name for name in self.columns if name in columns]
        for table, place in zip(self.tables(names), self._places(), strict=True):
            yield table, *place

    def _places(self) -> Iterator[tuple[Floats, Floats]]:
        for number, counted in enumerate(self.counts):
            if counted["rows"]:
                file = self._file(number)
                wkb = file.read(range(len(file.groups)), [file.primary.name]).column(0)
                yield encodings.coordinates(wkb, file.path)

    def _points(self) -> tuple[Rows, Rows]:
        """Return the ids of all points that have a task, and their row numbers among all points."""
        return points.ids_of_all(self.plan)

    def _none(self) -> pa.Table:
        """Return no pairs, with all columns."""
        first = self._file(0)
        return first.read([0] if len(first.groups) else [], self.columns)

    def _file(self, number: int) -> GeoFile:
        return GeoFile(self.plan.path(number))

    def _nearest(self, places: Rows) -> Floats:
        """Return the distances that stand at some places among those of the nearest image of each point."""

        def distances() -> Iterator[Floats]:
            for table in self.tables(["distance_m", "rank"]):
                yield table["distance_m"].to_numpy()[table["rank"].to_numpy() == 1]

        if self.sums["covered"] > facts.AT_HAND:
            return facts.smallest(distances, places)
        found: Floats = np.partition(np.concatenate([*distances()]), places)[places]
        return found

    @cached_property
    def _images(self) -> tuple[int, Flags, dict[str, Any] | None]:
        """Return the number of distinct images, which pairs are the first of theirs, and the shares of providers."""
        names: list[str] = [name for name in ("id", "provider", "licence") if name in self.columns]
        key = [name for name in names if name != "licence"]
        pairs = self.sums["pairs"]
        first = np.zeros(pairs, dtype=bool)
        shares: list[dict[str, Any]] = []
        number, shares_of = 0, -(-pairs // AT_ONCE)
        for share in range(shares_of):
            parts, rows, start = [], [], 0
            for table in self.tables(names):
                chosen = np.flatnonzero(spread(table["id"]) % shares_of == share)
                rows.append(chosen + start)
                start += len(table)
                parts.append(table.take(pa.array(chosen)))
            together = pa.concat_tables(parts)
            if key == ["id"] and pa.types.is_int64(together["id"].type) and not together["id"].null_count:
                # Faster than in groups: few are compared.
                ids, own = together["id"].to_numpy(), np.ones(len(together), dtype=bool)
                several = np.sort(maybe_repeated(ids))
                own[several] = False
                own[several[np.unique(ids[several], return_index=True)[1]]] = True
                first[np.concatenate(rows)[own]] = True
                number += int(np.count_nonzero(own))
                continue
            once = (
                together.select(key)
                .append_column("row", pa.array(np.concatenate(rows)))
                .group_by(key, use_threads=False)
                .aggregate([("row", "min")])
            )
            first[once["row_min"].to_numpy()] = True
            is_whole = pa.types.is_integer(together["id"].type)  # such an id is one image, whoever is said to have it
            number += len(together["id"].unique()) if is_whole else len(once)
            if "provider" in names:
                shares.append(facts.shares(together))
        return number, first, facts.shares_added(shares) if "provider" in names else None


def index_of(made: Plan, counts: list[dict[str, Any]], more: dict[str, Any]) -> Index:
    """Return the index of parts as a dataset, of those that have rows, by what is counted in each."""

    def described(number: int) -> Part:
        task, path, counted = made.tasks[number], made.path(number), counts[number]
        sha256 = sha256_of(path)
        west, south, east, north = counted["box"]
        times = {
            name: None if counted[name] is None else datetime.fromisoformat(counted[name])
            for name in ("min_captured_at", "max_captured_at")
        }
        return Part(
            task.cell, task.path, counted["rows"], len(GeoFile(path).groups), path.stat().st_size,
            west, south, east, north, counted["min_id"], counted["max_id"], **times, sha256=sha256,
            footer_sha256=footer_sha256(path),
        )  # fmt: skip

    filled = [number for number, counted in enumerate(counts) if counted["rows"]]
    with ThreadPoolExecutor(arrays.workers()) as pool:
        parts = [*pool.map(described, filled)]
    cells = [np.cumsum(np.array(counts[number]["cells"], dtype=np.int64)) for number in filled]
    rows = [np.array(counts[number]["cell_rows"], dtype=np.int64) for number in filled]
    code, count = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if cells:
        code, inverse = np.unique(np.concatenate(cells), return_inverse=True)
        count = np.bincount(inverse, weights=np.concatenate(rows)).astype(np.int64)
    return Index(tuple(parts), code, count, layout.ROWS_PER_PART, more=more)
