"""
Datasets written out of core: rows are counted, scattered by cell, and put in order, in bounded memory.

The parts do not depend on the order of inputs or rows, on how many files these are in, or on the number of
processes. What a run has done is kept in a hidden folder beside the dataset until the end, so that a run that
was killed goes on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import arrays
from mlygeo.errors import FileError, InputError
from mlygeo.places import STATE_FOLDER, existing
from mlygeo.processes import Processes
from mlygeo.progress import keep, working
from mlygeo.store.datasets import choosing, counting, form, layout, publishing, scatter, settling, sorting, sources
from mlygeo.store.datasets.index import Index, Part
from mlygeo.store.datasets.work import Work, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mlygeo.arrays import Rows
    from mlygeo.store import FrameLike
    from mlygeo.store.datasets.choosing import Choice
    from mlygeo.store.datasets.layout import Leaves
    from mlygeo.store.datasets.source import Source

log = logging.getLogger("mlygeo.store.datasets")

ALL = "all"
"""File that says that all parts are written anew."""

ROWS_PER_BUCKET = 2_000_000
"""Ids that are compared at once: 16 MB of hashes."""

MOST_BUCKETS = 4096

SPILLED = 1.3
"""Bytes that a run needs on the way for a byte of its inputs (measured: 1.13), beside those of the parts."""

BYTES_PER_ROW = 16
"""Bytes for the cell and the hash of a row, and a little."""


BASE_BYTES, MEMORY_PER_ROW = 250_000_000, 250
"""Bytes of memory of a process, and of each row of its task (measured: 430 MB for 1 M rows, 740 MB for 2 M)."""

SECONDS_PER_PART, SECONDS_PER_ROW = 0.02, 1.6e-6
"""Processor time, with that of all steps (measured)."""


@dataclass(frozen=True)
class Plan:
    """
    What a run will do.

    Parameters
    ----------
    work
        What its tasks share.
    dataset
        The folder of the dataset.
    there
        The index of what is there; None where nothing is.
    inputs
        Hash of where the inputs are, of their last changes and of options, by which a run goes on with an earlier one.
    new
        The inputs, without those that are there, and those that say which rows of these go.
    said
        What else tells whether a dataset is the one that the run would write; JSON.
    base
        Hash of what is there, by which a run knows that too.
    noted
        What else the index says of the dataset; JSON.
    record
        What the run was asked for, JSON; the index keeps it behind those of earlier runs.
    processes
        Those that do the tasks.
    """

    work: Work
    dataset: Path
    there: Index | None
    inputs: str
    new: tuple[Source, ...] = ()
    said: tuple[object, ...] = ()
    base: str = ""
    noted: dict[str, Any] = field(default_factory=dict)
    record: dict[str, Any] | None = None
    processes: Processes = field(default_factory=lambda: Processes(1))

    def on(self, processes: Processes, *, threads: bool) -> Plan:
        """Return the plan for these processes, which may use threads or not."""
        return replace(self, processes=processes, work=replace(self.work, threads=threads))

    def rehearsed(self) -> Plan:
        """Return the plan of a rehearsal, which counts the rows by cell and no more."""
        return replace(self, work=replace(self.work, buckets=0, rehearsal=True))

    @property
    def content(self) -> str:
        """Hash of the inputs, wherever they lie, and of options: the index says it, and tells a run that it is done."""
        with ThreadPoolExecutor(arrays.workers()) as pool:
            found = sorted(pool.map(lambda source: source.content, self.new))
        return _hash(json.dumps([*self.said, found]))

    @property
    def rows(self) -> int:
        """Rows of all inputs that are read."""
        return sum(source.rows_read for source in self.work.sources)

    @property
    def bytes(self) -> int:
        """Bytes of all inputs that are read, about."""
        return sum(source.bytes * source.rows_read // max(source.rows, 1) for source in self.work.sources)

    @property
    def is_choice(self) -> bool:
        """Whether only some rows of the inputs are meant; how many is known when they are counted."""
        return any(source.choice is not None for source in self.work.sources)

    def memory(self, leaves: Leaves) -> int:
        """Return the bytes of memory that a process needs, about, by the cells that get parts."""
        piece = max(_rows(self.work), default=0)
        part = min(self.work.most, int(leaves.rows.max(initial=0)))
        return BASE_BYTES + MEMORY_PER_ROW * max(piece, part)

    def seconds(self, parts: int, number: int) -> float:
        """Return how long a number of processes takes for a number of parts, about."""
        return (SECONDS_PER_PART * parts + SECONDS_PER_ROW * self.rows) / number

    def disk(self, rows: int) -> int:
        """Return the bytes of disk that the run needs for so many rows, with those of the parts."""
        return int(self.bytes_of(rows) * (SPILLED + 1.0) + BYTES_PER_ROW * rows)

    def bytes_of(self, rows: int) -> int:
        """Return the bytes that so many of the rows take, about."""
        return round(self.bytes * rows / max(self.rows, 1))


@dataclass
class Told:
    """What is told of a run: the rows, reasons why some are left out, and what is in doubt, with their numbers."""

    rows: int = 0
    placeless: int = 0
    repeats: int = 0
    passed_over: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    problems: dict[str, int] = field(default_factory=dict)
    shown: dict[str, list[str]] = field(default_factory=dict)


def plan(
    inputs: Sequence[FrameLike],
    dataset: Path,
    *,
    folder: Path,
    most: int,
    there: Index | None,
    choice: Choice | None = None,
) -> Plan:
    """
    Return the plan of a run.

    Parameters
    ----------
    inputs
        GeoParquet files and frames of points.
    dataset
        Folder of the dataset.
    folder
        That of the run, which is there.
    most
        Most rows of a part.
    there
        The index of the dataset that the rows are added to.
    choice
        Which rows of the inputs are meant; None for all.

    Raises
    ------
    InputError
        If there are no inputs, or they do not fit each other.
    FrameError
        If they have no column that tells which rows are meant.
    FileError
        If one cannot be read.
    """
    if not inputs:
        raise InputError("there is nothing to partition", hint="name files")
    later = 0 if there is None else 1
    new = sources.sources(inputs, folder=folder, generation=later, choice=choice)
    if choice is not None:
        choice = choice.of(form.united(new).schema)
        new = [replace(source, choice=choice) for source in new]
    scope = "" if choice is None else choice.digest
    return planned(new, dataset, folder=folder, most=most, there=there, scope=scope)


def planned(
    new: Sequence[Source],
    dataset: Path,
    *,
    folder: Path,
    most: int,
    there: Index | None,
    going: Sequence[Source] = (),
    order: Sequence[str] = (),
    scope: str = "",
    noted: dict[str, Any] | None = None,
) -> Plan:
    """
    Return the plan of a run, by its inputs.

    Parameters
    ----------
    new
        The inputs. Of rows with the same id the one of the latest generation counts.
    dataset, folder, most, there
        As for `plan`.
    going
        Those that say which rows of the dataset go, if they do not come anew; see `Source`.
    order
        Names of the columns of `new` in the order of the parts, where nothing is there that has one.
    scope
        What `going` is of, or which rows are meant, in whatever words; with it a run knows whether an earlier one did
        the same.
    noted
        What else the index says of the dataset; JSON.
    """
    kept = [] if there is None else [part for part in there.parts if part.rows or len(there.parts) == 1]
    old = [sources.of_file(dataset / part.path, footer=part.footer_sha256) for part in kept]
    found = tuple(
        sorted(
            [*old, *going, *new],
            key=lambda source: (source.generation, source.hides, source.digest, str(source.path)),
        )
    )
    united = form.united([source for source in found if not source.hides])
    if order:
        united = united.ordered([*(name for source in old[:1] for name in source.schema.names), *order])
    found = _sharing(found)
    rows = sum(source.rows_read for source in found)
    buckets = 1
    while buckets * ROWS_PER_BUCKET < rows and buckets < MOST_BUCKETS:
        buckets *= 2
    work = Work(
        folder, found, tuple(sources.pieces(found)), united, most, buckets if united.has_ids else 0, threads=True
    )
    said = (layout.VERSION, most, *([scope] if scope else []))
    inputs = _hash(json.dumps([*said, sorted(str(source.identity) for source in new)]))
    base = "" if there is None else json.dumps([there.more.get("inputs"), [part.sha256 for part in there.parts]])
    return Plan(work, dataset, there, inputs, tuple(new), said, _hash(base) if base else "", noted or {})


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _sharing(found: tuple[Source, ...]) -> tuple[Source, ...]:
    """Return inputs in which equal schemas and facts are the same objects, for they are sent to processes."""
    held: dict[str, Any] = {}

    def one(value: Any) -> Any:
        return held.setdefault(f"{type(value)} {value}", value)

    return tuple(
        replace(
            each,
            schema=one(each.schema),
            further=one(each.further),
            attrs=one(each.attrs),
            notes=one(each.notes),
            keys=one(each.keys),
        )
        for each in found
    )


def histogram(given: Plan) -> tuple[Told, tuple[Rows, Rows]]:
    """Count the rows of the inputs by cell, as they come; return the cells with rows, and how many each has."""
    work, told = given.work, Told()
    for counts in _all(given, counting.count, range(len(work.pieces)), "counting", rows=_rows(work)):
        told.rows += counts["rows"]
        told.placeless += counts["placeless"]
        _add(told.problems, counts["problems"])
        _add(told.left_out, counts["left_out"])
    if unread := sum(source.rows - source.rows_read for source in work.sources):
        _add(told.left_out, {choosing.OUTSIDE: unread})
    for source in work.sources:
        if source.of:  # what its frame says was left out when the file was read
            _add(told.left_out, source.attrs.get("left_out") or {})
    return told, counting.merged([counting.counted(work, piece) for piece in range(len(work.pieces))])


def write(given: Plan) -> Index:
    """
    Write a dataset, or go on with it where an earlier run was ended.

    Raises
    ------
    FileError
        If there is not enough disk, or it cannot be written.
    FrameError
        If rows of the inputs do not fit.
    """
    is_new = _begin(given)
    work = given.work
    if is_new and not given.is_choice:
        _check_disk(given, given.rows)
    told, cells = histogram(given)
    if is_new and given.is_choice:
        _check_disk(given, told.rows)
    if work.buckets:
        again = _all(given, counting.find_repeats, range(work.buckets), "looking for repeated ids")
        if any(counts["repeated"] for counts in again):
            work, cells = _settled(given, replace(work, repeated=True), told, cells)
    work = replace(work, leaves=layout.leaves(*cells, work.most))
    work = replace(work, written=_concerned(given, work, told.placeless))
    work = _scattered(given, work)
    numbers = _cells_with_rows(work)
    found: dict[int, list[dict[str, Any]]] = {}
    with working("writing the parts") as step:
        step.begin(sum(rows for _, rows in numbers), "rows")
        # The largest first, so that no process is left with one at the end.
        ordered = [number for number, _ in sorted(numbers, key=lambda each: (-each[1], each[0]))]
        for number, counts in given.processes.each(partial(sorting.sort, work), ordered, too_often=_too_often):
            found[number] = counts["parts"]
            step.advance(sum(part["rows"] for part in counts["parts"]))
    index, gone = _index(given, work, told, cells, found)
    new = [part["path"] for parts in found.values() for part in parts]
    publishing.publish(work.folder, given.dataset, index, new=new, old=gone)
    return index


def _begin(given: Plan) -> bool:
    """Keep what an earlier run of the same plan did, and nothing else; return whether there was no such run."""
    work = given.work
    path = work.folder / publishing.PLAN
    said = json.dumps({"inputs": given.inputs, "base": given.base, "version": layout.VERSION})
    is_new = not path.exists() or path.read_text(encoding="utf-8") != said
    if is_new:
        held = [each.path.name for each in work.sources if each.is_held]
        publishing.clear(work.folder, keep=[STATE_FOLDER, publishing.READ, *held])
        with whole(path) as temporary:
            temporary.write_text(said, encoding="utf-8")
    keep("what was counted and written so far is kept")
    return is_new


def _check_disk(given: Plan, rows: int) -> None:
    """Raise where the disk is too small for so many rows."""
    free, needed = shutil.disk_usage(existing(given.work.folder)).free, given.disk(rows)
    if free < needed:
        (given.work.folder / publishing.PLAN).unlink()  # not begun: the next run asks again
        raise FileError(
            f"{needed / 1e6:,.1f} MB of disk are needed for this, and {free / 1e6:,.1f} MB are free",
            hint="free some, or partition some of the inputs and add the others",
        )


def _all(
    given: Plan,
    function: Callable[[Work, int], dict[str, Any]],
    numbers: range,
    label: str,
    *,
    work: Work | None = None,
    rows: list[int] | None = None,
) -> list[dict[str, Any]]:
    """Return the counts of all tasks of a step, in their order."""
    found: dict[int, dict[str, Any]] = {}
    with working(label) as step:
        step.begin(len(numbers) if rows is None else sum(rows), "buckets" if rows is None else "rows")
        for number, counts in given.processes.each(
            partial(function, work or given.work), numbers, too_often=_too_often
        ):
            found[number] = counts
            step.advance(1 if rows is None else rows[number])
    return [found[number] for number in numbers]


def _too_often(_number: int) -> FileError:
    return FileError(
        "the processes that do the work are ended again and again, as for lack of memory",
        hint="use fewer `workers`; what is done is kept",
    )


def _rows(work: Work) -> list[int]:
    """Return the rows of each piece."""
    return [
        sum(sum(work.sources[span.source].groups[span.first : span.stop]) for span in piece) for piece in work.pieces
    ]


def _settled(given: Plan, work: Work, told: Told, cells: tuple[Rows, Rows]) -> tuple[Work, tuple[Rows, Rows]]:
    """Settle repeated ids; return the rows by cell without those left out."""
    _all(given, scatter.extract, range(len(work.pieces)), "gathering repeated ids", work=work, rows=_rows(work))
    for counts in _all(given, settling.settle, range(work.buckets), "settling repeated ids", work=work):
        _add(told.left_out, counts["left_out"])
        _add(told.problems, counts["problems"])
        told.repeats += counts["repeats"]
        told.passed_over += counts["passed_over"]
        for reason, ids in counts["shown"].items():
            told.shown[reason] = sorted([*told.shown.get(reason, []), *ids])[: settling.MOST_SHOWN]
    before = [settling.counted(work, bucket, "all") for bucket in range(work.buckets)]
    after = [settling.counted(work, bucket, "kept") for bucket in range(work.buckets)]
    told.placeless += sum(each[2] for each in after) - sum(each[2] for each in before)
    there = counting.merged([each[:2] for each in before])
    cells = counting.added(cells, there, sign=-1)
    cells = counting.added(cells, *(each[:2] for each in after))
    return work, cells


def _concerned(given: Plan, work: Work, placeless: int) -> tuple[int, ...] | None:
    """
    Return the numbers of the cells that are written anew when rows are added; None for all.

    Others keep their parts: those with the same cell as before, to which no rows came and from which none went.
    """
    there = given.there
    if there is None or (work.folder / ALL).exists() or _said(work) != there.more.get("form"):
        return None
    if there.rows_per_part != work.most:
        return None
    buckets = range(work.buckets if work.repeated else 0)
    new = [piece for piece in range(len(work.pieces)) if work.is_new(piece)]
    come = counting.merged([counting.counted(work, piece) for piece in new])
    lost = sum(int((counting.codes(work, piece) < 0).sum()) for piece in new)
    # Rows whose ids stand in several count only where these change something.
    settled = [settling.counted(work, bucket, "added") for bucket in buckets]
    come = counting.added(come, *(each[:2] for each in settled), sign=-1)
    changed = [settling.counted(work, bucket, "changed") for bucket in buckets]
    code = counting.merged([come, *(each[:2] for each in changed)])[0]
    numbers = {*np.unique(work.leaves.holding(code)).tolist()} - {-1}
    if lost > sum(each[2] for each in settled) or any(each[2] for each in changed):
        numbers.add(len(work.leaves))
    before = {part.path.rpartition("/")[0] for part in there.parts if part.rows}
    numbers |= {number for number, name in enumerate(work.leaves.folders) if name not in before}
    if not placeless:
        numbers -= {len(work.leaves)}
    return tuple(sorted(numbers))


def _scattered(given: Plan, work: Work) -> Work:
    """Scatter the rows by cell, and note where those of each cell are."""
    count = len(work.pieces) + (work.buckets if work.repeated else 0)
    rows = _rows(work) + [0] * (count - len(work.pieces))
    results = _all(given, scatter.scatter, range(count), "sorting rows into cells", work=work, rows=rows)
    gaps = {name for counts in results for name in counts["gaps"]}
    if work.written is not None and given.there is not None:
        known = set(given.there.more.get("gaps", ()))
        if gaps - known:  # what pandas is told of a column changes in all parts
            with whole(work.folder / ALL) as temporary:
                temporary.touch()
            for number in range(count):
                work.file(scatter.STEP, number, ".json").unlink(missing_ok=True)
            return _scattered(given, replace(work, written=None))
        gaps |= known
    cells = np.array([cell for counts in results for cell in counts["cells"]], dtype=np.int64)
    piece = np.repeat(np.arange(count), [len(counts["cells"]) for counts in results])
    batch = np.array([number for counts in results for number in range(len(counts["cells"]))], dtype=np.int64)
    several = np.array([number for counts in results for number in counts["rows"]], dtype=np.int64)
    order = np.argsort(cells, kind="stable")
    with whole(work.folder / sorting.PLACES) as temporary, temporary.open("wb") as file:
        np.save(file, np.stack([cells[order], piece[order], batch[order], several[order]]))
    return replace(work, gaps=frozenset(gaps))


def _cells_with_rows(work: Work) -> list[tuple[int, int]]:
    """Return the numbers of the cells to write, and their rows; a dataset without rows has the one without position."""
    cells, _, _, rows = np.load(work.folder / sorting.PLACES)
    numbers, first = np.unique(cells, return_index=True)
    if not len(work.leaves) and not len(numbers):
        return [(0, 0)]
    total = np.add.reduceat(rows, first) if len(first) else first
    return list(zip(numbers.tolist(), total.tolist(), strict=True))


def _index(
    given: Plan, work: Work, told: Told, cells: tuple[Rows, Rows], found: dict[int, list[dict[str, Any]]]
) -> tuple[Index, list[str]]:
    """Return the index, and the parts that go."""
    there = given.there
    written = {sorting.folder_of(work, number) for number in found}
    stay = set() if work.written is None else {*work.leaves.folders, layout.PLACELESS} - written
    if not told.placeless:
        stay -= {layout.PLACELESS}
    if work.written is not None:
        stay -= {sorting.folder_of(work, number) for number in work.written}
    kept = [part for part in (there.parts if there else ()) if part.path.rpartition("/")[0] in stay]
    parts = [*kept, *(_part(said) for several in found.values() for said in several)]
    folders = {name: number for number, name in enumerate([*work.leaves.folders, layout.PLACELESS])}
    parts.sort(
        key=lambda part: (folders[part.path.rpartition("/")[0]], layout.part_number(part.path.rpartition("/")[2]))
    )
    more = {
        "inputs": [*(there.more.get("inputs", []) if there else []), given.content],
        "form": _said(work),
        "gaps": sorted(work.gaps),
        "placeless": told.placeless,
        "left_out": dict(sorted(told.left_out.items())),
        "problems": dict(sorted(told.problems.items())),
        "shown": dict(sorted(told.shown.items())),
        "written": len(parts) - len(kept),
        "records": [*(there.records if there else []), *([given.record] if given.record else [])],
        **given.noted,
    }
    if given.noted:
        more |= {"repeats": told.repeats, "passed_over": told.passed_over}
    index = Index(tuple(parts), cells[0], cells[1], work.most, layout.VERSION, more)
    names = {part.path for part in parts}
    return index, [part.path for part in (there.parts if there else ()) if part.path not in names]


def _part(said: dict[str, Any]) -> Part:
    cell = said["path"].partition("/")[0].removeprefix(layout.PLACELESS)
    west, south, east, north = said["box"] or (None,) * 4
    same = ("path", "rows", "row_groups", "bytes", "min_id", "max_id", "sha256", "footer_sha256")
    return Part(
        cell=cell,
        west=west,
        south=south,
        east=east,
        north=north,
        min_captured_at=_time(said["min_captured_at"]),
        max_captured_at=_time(said["max_captured_at"]),
        **{name: said[name] for name in same},
    )


def _time(us: int | None) -> datetime | None:
    return None if us is None else datetime.fromtimestamp(us // 10**6, UTC).replace(microsecond=us % 10**6)


def _said(work: Work) -> str:
    """Return a hash of what all parts say of their columns, but for gaps."""
    said = [
        [[each.name, str(each.type)] for each in work.form.schema], work.form.geometry, work.form.further,
        work.form.attrs, work.form.notes,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _add(total: dict[str, int], more: dict[str, int]) -> None:
    for reason, count in more.items():
        total[reason] = total.get(reason, 0) + count
