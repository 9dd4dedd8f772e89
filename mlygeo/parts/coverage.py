"""
The coverage of streets over parts: a task has some of the streets, whole, and reads the images near them.

A street has the same coverage whatever other streets are at hand, so tasks only share out the work. What counts
images, near streets of several tasks perhaps, is settled when all parts are there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mlygeo import arrays, attribution, dtypes, frames, plausible
from mlygeo.arrays import mix
from mlygeo.errors import FrameError
from mlygeo.parts import facts, images, plan, surroundings
from mlygeo.spatial import cells, coverage, coverage_classes, geodesy, local_times, reach
from mlygeo.spatial.comparison import Side
from mlygeo.spatial.expected import Places
from mlygeo.spatial.reach import Groups, Reached, Stretches
from mlygeo.store.atomic import atomic
from mlygeo.store.datasets import layout
from mlygeo.store.points import form_of, in_plain, keep
from mlygeo.store.repeats import once

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

    from mlygeo.arrays import Floats, Rows
    from mlygeo.parts.images import Images
    from mlygeo.parts.plan import Plan
    from mlygeo.spatial.coverage import Coverage, Laid
    from mlygeo.store.point_sources import Points

    AnyRows = npt.NDArray[np.integer[Any]]

STEP = "coverage"

FILE = "streets.arrow"
"""Name of the streets by task, in the folder of a plan."""

COUNTS = b"part"
"""Where the first table of a part's file has what is counted in it."""

PLACES_AT_ONCE = 5_000_000
"""Images near streets whose places are compared at once; of more, a share at a time."""


@dataclass(frozen=True)
class Planned:
    """
    A plan that is not written yet.

    Parameters
    ----------
    plan
        The plan.
    laid
        All streets.
    task_of
        Number of the task of each street.
    """

    plan: Plan
    laid: Laid
    task_of: Rows

    def write(self) -> Plan:
        """Write the plan, and the streets of each task, to its folder, unless they are there; return the plan."""
        path = self.plan.folder / FILE
        if not path.exists():
            schema = pa.schema({"line": pa.int64(), "lon": pa.float64(), "lat": pa.float64()})
            with (
                atomic(path) as temporary,
                pa.OSFile(str(temporary), "wb") as sink,
                pa.ipc.new_file(sink, schema) as writer,
            ):
                for number in range(len(self.plan.tasks)):
                    line = np.flatnonzero(self.task_of == number)
                    vertex, first = _vertices(self.laid.lines.first, line)
                    lon, lat = self.laid.lonlat[vertex].T
                    columns = [np.repeat(line, np.diff(first)), np.ascontiguousarray(lon), np.ascontiguousarray(lat)]
                    writer.write_batch(pa.record_batch([pa.array(each) for each in columns], schema=schema))
        plan.write(self.plan)
        return self.plan


def planned(
    laid: Laid,
    dataset: Images,
    folder: Path,
    *,
    distance: float,
    by: tuple[str, ...],
    time_zone: str | None = None,
    nearest: bool = False,
    sides: tuple[Side, ...] = (),
    conditions: dict[str, Any],
    rows_per_task: int | None = None,
) -> Planned:
    """
    Return the plan of a coverage, not yet written.

    Parameters
    ----------
    laid
        The streets.
    dataset
        The images.
    folder
        Where the folder of the plan is to be.
    distance, by, time_zone, nearest, sides
        As in `mlygeo.spatial.coverage.measure`.
    conditions
        Which images count; see `mlygeo.store.points.keep`.
    rows_per_task
        Most images of a task; None for `mlygeo.parts.plan.ROWS_PER_TASK`.

    Raises
    ------
    FrameError
        If the images lack a column.
    InputError
        If no box in degrees holds what is within the distance of a street.
    """
    rows_per_task = plan.ROWS_PER_TASK if rows_per_task is None else rows_per_task
    index, first = dataset.index, laid.lines.first
    tasks: list[plan.Task] = []
    task_of = np.empty(0, dtype=np.int64)
    if laid.projection is not None and len(first) > 1:
        lon, lat = laid.lonlat[first[:-1]].T
        placed = cells.codes(lon, lat, layout.MOST_ZOOM)
        with_streets = np.unique(placed, return_counts=True)
        leaves = plan.cut(*with_streets, index.cells, index.counts, rows_per_task)
        task_of = leaves.of(placed)
        for number, (code, zoom) in enumerate(zip(leaves.code.tolist(), leaves.zoom.tolist(), strict=True)):
            line = np.flatnonzero(task_of == number)
            vertex, own_first = _vertices(first, line)
            near = surroundings.of_lines(laid.lonlat[vertex], own_first, laid.projection, distance)
            tasks.append(plan.Task(cells.quadkey(code, zoom), len(line), near.count(index), near.box))
    if conditions or says_whose(dataset):
        tasks = images.with_counts(tasks, dataset)
    given = {
        "version": plan.VERSION,
        "step": STEP,
        "srid": None if laid.projection is None else laid.projection.srid,
        "distance": distance,
        "by": list(by),
        "time_zone": time_zone,
        "nearest": nearest,
        "sides": [asdict(side) for side in sides],
        "conditions": images.conditions_as_json(conditions),
        "images": dataset.hash,
        "rows_per_task": rows_per_task,
        "streets": len(first) - 1,
        "by_text": sorted(images.by_text(dataset, None, conditions)),
    }
    name = plan.digest(given, laid.lonlat, first)
    made = plan.Plan(folder / f"{STEP}-{name}", name, STEP, str(dataset.folder), given, tuple(tasks))
    return Planned(made, laid, task_of)


def says_whose(dataset: Images) -> bool:
    """Return whether rows may say whose images are, and so all of them have to be looked at."""
    return any(name in dataset.empty.columns for name in attribution.COLUMNS)


def task(made: Plan, number: int) -> dict[str, Any]:
    """Write the part of a task, and return what is counted in it; see `mlygeo.parts.run.Step`."""
    given, own = made.given, made.tasks[number]
    dataset = images.opened(Path(made.images), given["images"]).with_by_text(frozenset(given["by_text"]))
    projection = geodesy.projection(given["srid"])
    conditions, by = images.conditions_of_json(given["conditions"]), tuple(given["by"])
    sides = tuple(Side(**each) for each in given["sides"])
    lonlat, first, line = _streets_of(made, number)
    laid = coverage.Laid(frames.empty(frames.STREETS), lonlat, coverage.in_plane(lonlat, first, projection), projection)
    area = surroundings.of_lines(lonlat, first, projection, given["distance"])
    places, raw = _images_in(dataset, area, columns_for(dataset.empty, by, given["nearest"], sides), conditions)
    near = coverage.near(
        laid, places, columns_of(raw, dataset.settled.form, dataset.name), distance=given["distance"], by=by,
        time_zone=given["time_zone"], nearest=given["nearest"], sides=sides,
    )  # fmt: skip
    reached, rows = near.reached, np.flatnonzero(near.reached.near)
    codes = {f"code.{name}": kind.codes[rows] for name, kind in near.classes.items()}
    nearest = reached.nearest
    closest = {} if nearest is None else {"street": line[nearest.line], "square": nearest.square}
    sequence = {} if near.sequence is None else {"sequence": near.sequence}
    on_side = {f"side.{place}": own for place, own in enumerate(near.on_side)} | near.implausible
    found = np.flatnonzero((reached.points > 0) | (reached.newest != reach.NEVER))
    counts = {"number": number, "rows": len(found), "counted": counted(dataset, own.counts, conditions)}
    stretches = reached.stretches
    tables = [
        pa.table({"line": line[found], "points": reached.points[found], "newest": reached.newest[found]}),
        pa.table({"line": line[stretches.line], "start": stretches.start, "stop": stretches.stop}),
        pa.table({"lon": places[0][rows], "lat": places[1][rows], **codes, **closest, **sequence, **on_side}),
    ]
    for name, group in reached.groups.items():
        tables += [
            pa.table({
                "line": line[group.line], "code": group.code, "covered_m": group.covered_m, "points": group.points,
            }),
            _examples(raw.take(pa.array(rows)), codes[f"code.{name}"], name, near),
        ]  # fmt: skip
    tables += [pa.table({"line": line[each.line], "start": each.start, "stop": each.stop}) for each in near.sides]
    path = made.path(number)
    with atomic(path) as temporary, pa.OSFile(str(temporary), "wb") as sink:
        for each in (_as_table(counts), *tables):
            with pa.ipc.new_stream(sink, each.schema) as writer:
                writer.write_table(each)
    return counts


def counts_of(path: Path) -> dict[str, Any]:
    """Return what is counted in the file of a part, as `task` does."""
    return _counts_in(next(_tables(path)))


def columns_for(points: Points, by: tuple[str, ...], nearest: bool, sides: tuple[Side, ...]) -> list[str]:
    """Return the columns of images that a coverage by these names looks at; see `mlygeo.spatial.coverage.measure`."""
    wanted = [coverage_classes.BY[name] for name in by] + (["sequence_id"] if nearest else [])
    wanted += ["provider" for side in sides if side.provider is not None]
    schema = form_of(points, frames.IMAGES)
    beside = ["provider", *coverage_classes.NAMES] if "creator_id" in wanted and schema.dtype("provider") else []
    return [name for name in dict.fromkeys([*wanted, *beside, "captured_at"]) if name in points.columns]


def columns_of(table: pa.Table, schema: frames.Schema, name: str) -> dict[str, pd.Series]:
    """
    Return the columns by which images are grouped, in the dtypes of an images frame, and their times.

    Parameters
    ----------
    table
        Columns of images, those of `columns_for`.
    schema
        The form that fits the images.
    name
        What messages call the images.

    Raises
    ------
    FrameError
        If a column holds other things.
    """
    columns = {}
    for column in table.column_names:
        values = frames.to_pandas(table.select([column]))[column]
        try:
            columns[column] = dtypes.cast(values, str(schema.dtype(column)))
        except (ValueError, TypeError, OverflowError) as error:
            raise FrameError(f"{name}: column '{column}' holds other things ({error})") from error
    return columns


def _images_in(
    dataset: Images, area: surroundings.Area, columns: list[str], conditions: dict[str, Any]
) -> tuple[tuple[Floats, Floats], pa.Table]:
    """Return the places and columns of the images that count in an area, each row once."""
    lon, lat, tables = [np.empty(0)], [np.empty(0)], []
    for points in area.images(dataset):
        kept, _ = once(keep(points, region=None, conditions=conditions))
        tables.append(pa.table({name: in_plain(kept.arrow(name)) for name in columns}))
        lon.append(kept.lonlat[0])
        lat.append(kept.lonlat[1])
    if not tables:
        tables = [pa.table({name: in_plain(dataset.empty.arrow(name)) for name in columns})]
    return (np.concatenate(lon), np.concatenate(lat)), pa.concat_tables(tables, promote_options="permissive")


def _examples(rows: pa.Table, codes: AnyRows, name: str, near: coverage.Near) -> pa.Table:
    """Return rows that tell what each code stands for: of creators, all names that they have."""
    if name in local_times.NAMES:
        code = np.unique(codes)
        numbers = near.values[name].iloc[code]  # noqa: PD011 - of no frame
        return pa.table({name: pa.array(numbers, pa.int64()), "code": pa.array(code)})
    own = [coverage_classes.BY[name]]
    if name == "creator":
        own = [column for column in ("creator_id", "provider", *coverage_classes.NAMES) if column in rows.column_names]
        table = rows.select(own).append_column("code", pa.array(codes))
        return table.group_by(table.column_names, use_threads=False).aggregate([])
    code, first = np.unique(codes, return_index=True)
    return rows.select(own).take(pa.array(first)).append_column("code", pa.array(code))


def is_settled(dataset: Images) -> bool:
    """Return whether `partition` has made sure that no id stands in two rows."""
    return "problems" in dataset.index.more


def counted(dataset: Images, numbers: Iterable[int], conditions: dict[str, Any]) -> dict[str, Any]:
    """
    Return what is said of all images of some parts that count, JSON.

    Parameters
    ----------
    dataset
        The images.
    numbers
        Numbers of the parts.
    conditions
        Which images count.

    Returns
    -------
    counts
        "kept", "unplaced" (those of them without position), "providers" (names, null where unknown), "shares" (as
        `facts.shares`; none where ids may stand in two parts, see `shares`) and "whose" (rows of `attribution.tallied`;
        None where rows do not say it).
    """
    total = {"kept": 0, "unplaced": 0}
    providers: dict[str | None, None] = {}
    found: list[dict[str, Any]] = []
    whose: list[pa.Table] = []
    for number in numbers:
        kept = keep(dataset.part(number), region=None, conditions=conditions)
        lon, lat = kept.lonlat
        total["kept"] += len(kept)
        total["unplaced"] += int(np.count_nonzero(~(np.isfinite(lon) & np.isfinite(lat))))
        if not is_settled(dataset):
            kept, _ = once(kept)
        if "provider" in kept.columns:
            own = pa.table(
                {name: in_plain(kept.arrow(name)) for name in ("provider", "licence") if name in kept.columns}
            )
            providers |= dict.fromkeys(own["provider"].unique().to_pylist())
            if is_settled(dataset):
                found += _shares(own)
        if (said := attribution.columns_in(kept.columns, kept.arrow)) is not None:
            whose.append(attribution.tallied(said))
    tally = _added(whose)
    return {
        **total, "providers": [*providers], "shares": facts.shares_added(found),
        "whose": None if tally is None else tally.to_pylist(),
    }  # fmt: skip


def _shares(images_of: pa.Table) -> list[dict[str, Any]]:
    if "licence" not in images_of.column_names:
        images_of = images_of.append_column("licence", pa.nulls(len(images_of), pa.string()))
    rows = images_of.group_by(["provider", "licence"], use_threads=False).aggregate([([], "count_all")]).to_pylist()
    return [
        {row["provider"] or "unknown": {"licences": {row["licence"] or "unknown": row["count_all"]}}} for row in rows
    ]


def shares(dataset: Images, conditions: dict[str, Any], parts: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """
    Return what each provider has given, as `facts.shares`.

    Parameters
    ----------
    dataset
        The images.
    conditions
        Which of them count.
    parts
        The shares of its parts; where ids may stand in two parts, all ids are read instead.
    """
    if is_settled(dataset):
        return facts.shares_added(parts)
    shares_of = max(1, -(-dataset.index.rows // images.AT_ONCE))
    found = []
    for share in range(shares_of):
        tables = []
        for number in range(len(dataset.index.parts)):
            kept = keep(dataset.part(number), region=None, conditions=conditions)
            own = np.flatnonzero(images.spread(kept.arrow("id")) % shares_of == share)
            names = [name for name in ("id", "provider", "licence") if name in kept.columns]
            tables.append(pa.table({name: in_plain(kept.arrow(name).take(pa.array(own))) for name in names}))
        found.append(facts.shares(pa.concat_tables(tables)))
    return facts.shares_added(found)


def tally_of(parts: list[list[dict[str, Any]] | None]) -> pa.Table | None:
    """Return the tally of all images of those of parts, as `counted` returns them; None where rows say nothing."""
    rows = [row for part in parts if part is not None for row in part]
    if not rows:
        return None
    names = [name for name in rows[0] if name != "count_all"]
    schema = pa.schema([*((name, pa.string()) for name in names), ("count_all", pa.int64())])
    return _added([pa.Table.from_pylist(rows, schema=schema)])


def _added(tallies: list[pa.Table]) -> pa.Table | None:
    """Return the sum of what `attribution.tallied` returns."""
    if not tallies:
        return None
    names = [name for name in tallies[0].column_names if name != "count_all"]
    summed = pa.concat_tables(tallies).group_by(names, use_threads=False).aggregate([("count_all", "sum")])
    return summed.rename_columns([*names, "count_all"])


def _as_table(counts: dict[str, Any]) -> pa.Table:
    return pa.table({"": pa.array([], pa.null())}).replace_schema_metadata({COUNTS: json.dumps(counts).encode()})


def _counts_in(table: pa.Table) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(table.schema.metadata[COUNTS])
    return found


@dataclass(frozen=True)
class Covered(plan.AllParts):
    """
    The parts of a coverage, all of which are there.

    Parameters
    ----------
    plan
        The plan.
    laid
        All streets.
    form
        The form that fits the images.
    """

    laid: Laid
    form: frames.Schema

    def coverage(self) -> Coverage:
        """Return the coverage, as a run on whole frames measures it."""
        number = len(self.laid.lines.first) - 1
        by = tuple(self.plan.given["by"])
        points, newest = np.zeros(number, dtype=np.int64), np.full(number, reach.NEVER)
        for table in self._all(1):
            line = table["line"].to_numpy()
            points[line], newest[line] = table["points"].to_numpy(), table["newest"].to_numpy()
        stretches = self._stretches(2)
        number_of_sides = len(self.plan.given["sides"])
        sides = tuple(self._stretches(4 + 2 * len(by) + place) for place in range(number_of_sides))
        values: dict[str, pd.Series] = {}
        groups: dict[str, Groups] = {}
        numbers: dict[str, list[Rows]] = {}
        for place, name in enumerate(by):
            numbers[name], own = self._numbered(name, 5 + 2 * place)
            values |= own
            kinds = {"line": np.int64, "code": np.int64, "covered_m": np.float64, "points": np.int64}
            joined = self._together(4 + 2 * place, kinds, numbers[name])
            order = np.lexsort((joined["code"], joined["line"]))
            groups[name] = Groups(*(each[order] for each in joined.values()))
        counts = {name: len(values[name]) for name in by}
        flags = [*(f"side.{place}" for place in range(number_of_sides)), *plausible.TIMES]
        near = self._near(numbers, counts, flags)
        reached = Reached(stretches, points, newest, groups, np.empty(0, dtype=bool))
        return self.laid.coverage(reached, values, near, self.plan.given["distance"], places=self._places, sides=sides)

    def _stretches(self, place: int) -> Stretches:
        found = self._together(place, {"line": np.int64, "start": np.float64, "stop": np.float64})
        order = np.argsort(found["line"], kind="stable")
        return Stretches(*(values[order] for values in found.values()))

    def _numbered(self, name: str, place: int) -> tuple[list[Rows], dict[str, pd.Series]]:
        """Return the numbers among all of a task's codes, of each task, and what they stand for."""
        tables = [*self._all(place)]
        if not tables:
            return [], {name: pd.Series([], dtype=object)}
        rows = pa.concat_tables(tables, promote_options="permissive")
        if name in local_times.NAMES:
            columns = {name: pd.Series(rows[name].to_pylist(), dtype="Int64")}
        else:
            columns = columns_of(rows.drop_columns(["code"]), self.form, "the images")
        classes, values = coverage_classes.classes_of(columns, (name,))
        numbers, start = [], 0
        for table in tables:
            codes = table["code"].to_numpy()
            own = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int64)
            own[codes] = classes[name].codes[start : start + len(table)]
            numbers.append(own)
            start += len(table)
        return numbers, values

    def _together(self, place: int, kinds: Mapping[str, Any], numbers: list[Rows] | None = None) -> dict[str, Any]:
        found: dict[str, list[Any]] = {name: [np.empty(0, dtype=kind)] for name, kind in kinds.items()}
        for task_number, table in enumerate(self._all(place)):
            for name, parts in found.items():
                own = table[name].to_numpy()
                parts.append(own if name != "code" or numbers is None else numbers[task_number][own])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _near(self, numbers: dict[str, list[Rows]], counts: dict[str, int], flags: list[str]) -> dict[str, Rows]:
        """Return how many images are near some street: of all, of those with each flag, and of each class."""
        found = {name: np.zeros(1, dtype=np.int64) for name in ("all", *flags)} | {
            name: np.zeros(count, dtype=np.int64) for name, count in counts.items()
        }
        for table, task_number in self._each_place([*(f"code.{name}" for name in counts), *flags]):
            found["all"][0] += len(task_number)
            for flag in flags:
                found[flag][0] += int(table[flag].sum())
            for name, count in counts.items():
                code = table[f"code.{name}"]
                for number in np.unique(task_number):
                    own = numbers[name][number][code[task_number == number]]
                    found[name] += np.bincount(own, minlength=count)
        return found

    def _places(self) -> Iterator[Places]:
        """Return the images near streets, some at a time; each has the nearest of all streets."""
        has = set(next(self._all(3)).column_names) if self.plan.tasks else set()
        names = [name for name in ("street", "square", "sequence") if name in has]
        for table, _ in self._each_place(names):
            yield Places(table["lon"], table["lat"], table.get("street"), table.get("sequence"))

    def _each_place(self, names: list[str]) -> Iterator[tuple[dict[str, Any], Rows]]:
        """
        Return columns of the images near streets, some at a time, and the task of each.

        All images at a place are near the same streets, so those of the first task that has a place count. The street
        that is nearest may be one of another task.
        """
        total = sum(len(table) for table in self._all(3))
        shares_of = max(1, -(-total // PLACES_AT_ONCE))
        for share in range(shares_of):
            found: dict[str, list[Any]] = {name: [] for name in ("lon", "lat", *names)}
            tasks = [np.empty(0, dtype=np.int64)]
            for number, table in enumerate(self._all(3)):
                place = np.stack([table["lon"].to_numpy(), table["lat"].to_numpy()], axis=1) + 0.0
                own = np.flatnonzero(_spread(place) % shares_of == share)
                tasks.append(np.full(len(own), number))
                columns = {name: table[name].to_numpy() for name in names} | {"lon": place[:, 0], "lat": place[:, 1]}
                for name, parts in found.items():
                    parts.append(columns[name][own])
            if not found["lon"]:
                return
            columns = {name: np.concatenate(parts) for name, parts in found.items()}
            task_number = np.concatenate(tasks)
            lon, lat = columns["lon"], columns["lat"]
            nearness = (columns["street"], columns["square"]) if "street" in columns else ()
            order = np.lexsort((*nearness, lat, lon))
            starts = np.ones(len(order), dtype=bool)
            starts[1:] = (np.diff(lon[order]) != 0) | (np.diff(lat[order]) != 0)
            first, of_place = order[starts], np.cumsum(starts) - 1
            counting = np.full(len(first), len(self.plan.tasks))
            np.minimum.at(counting, of_place, task_number[order])
            counts = task_number[order] == counting[of_place]
            rows = order[counts]
            of_rows = {name: values[rows] for name, values in columns.items()}
            if "street" in columns:
                of_rows["street"] = columns["street"][first[of_place[counts]]]
            yield of_rows, task_number[rows]

    def _all(self, place: int) -> Iterator[pa.Table]:
        for number in range(len(self.plan.tasks)):
            yield next(each for at, each in enumerate(_tables(self.plan.path(number))) if at == place)


def _spread(place: Floats) -> Rows:
    lon, lat = np.ascontiguousarray(place.T).view(np.uint64)
    found: Rows = (mix(mix(lon) ^ lat) >> np.uint64(1)).astype(np.int64)
    return found


def _tables(path: Path) -> Iterator[pa.Table]:
    with pa.memory_map(str(path)) as source:
        while source.tell() < source.size():
            yield pa.ipc.open_stream(source).read_all()


def _vertices(first: Rows, line: Rows) -> tuple[Rows, Rows]:
    """Return the vertices of some lines, and the first of each among them."""
    counts = np.diff(first)[line]
    return arrays.numbered(counts, first[line]), np.concatenate(([0], np.cumsum(counts)))


def _streets_of(made: Plan, number: int) -> tuple[Floats, Rows, Rows]:
    """Return the vertices of a task's streets, the first of each, and the numbers of the streets."""
    with pa.memory_map(str(made.folder / FILE)) as source:
        batch = pa.ipc.open_file(source).get_batch(number)
        owner, lon, lat = (batch.column(each).to_numpy() for each in range(3))
        line, first = np.unique(owner, return_index=True)
        return np.stack([lon, lat], axis=1), np.append(first, len(owner)), line
