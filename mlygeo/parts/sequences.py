"""
Sequences over parts: rows are put into buckets of whole sequences, and each bucket is cut as one frame.

First the rows of each part go into ranges of camera and time, or of folders. A range begins with a sequence where
the gap to the last image before it is too large; otherwise the images up to its first gap are of the sequence
before, and go to its range. So no sequence is ever in two buckets, and nothing about it is guessed.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo import frames, store
from mlygeo.errors import FormatError, InputError
from mlygeo.parts import cutting, images, plan
from mlygeo.spatial import ordering
from mlygeo.spatial.ordering import Order
from mlygeo.spatial.sequences import summarise
from mlygeo.store.atomic import atomic
from mlygeo.store.datasets import hashes
from mlygeo.store.point_sources import TablePoints
from mlygeo.store.points import PartOf, as_frame, in_plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd

    from mlygeo.arrays import Rows, Words
    from mlygeo.parts.cutting import Rules
    from mlygeo.parts.images import Images
    from mlygeo.parts.plan import Plan

STEP = "sequences"

SCATTER, EDGES, CUT = "scatter", "edges", "cut"
"""Names of the passes."""

ROWS_PER_BUCKET = 300_000
"""Images of a bucket, about; of a frame, each takes about a kilobyte while it is cut."""

MOST_ROWS = 1_000_000
"""Most images of a bucket: a process stays within a gigabyte or so."""

SAMPLES = 50
"""Keys that are looked at for each bucket, to find ranges of about as many rows."""

NEVER = np.iinfo(np.int64).min

BYTES_PER_IMAGE = 2_000
"""Memory for each image of a bucket, about, while it is cut."""

SECONDS_PER_IMAGE = 20e-6
"""Processor time for each image, about, of all passes."""


@dataclass(frozen=True)
class Keys:
    """What rows are put into ranges by: a hash of the camera or folder, and the time, milliseconds."""

    group: Words
    time_ms: Rows


def by_folder(dataset: Images) -> bool:
    """Return whether folders are whole buckets: what looks wrong is told by all images of a folder."""
    return "folder" in dataset.empty.columns


def check(dataset: Images) -> None:
    """
    Raise for datasets whose images cannot be told apart.

    Raises
    ------
    FormatError
        Saying what to do.
    """
    if "problems" not in dataset.index.more or any(part.min_id is None and part.rows for part in dataset.index.parts):
        raise FormatError(
            f"{dataset.name} may hold an id twice, or rows without one, and sequences are named by their first images",
            hint="make a dataset of it with partition, which settles that",
        )


def scattering(dataset: Images, folder: Path, rules: Rules, now: datetime) -> Plan:
    """
    Return the plan of the first pass, not yet written.

    Parameters
    ----------
    dataset
        The images.
    folder
        Where the folders of the plans are to be.
    rules
        How sequences are made.
    now
        The time after which no image was captured; of a run that goes on, that of its beginning counts.
    """
    given = _given(dataset, rules)
    name = plan.digest(given)
    tasks = tuple(
        plan.Task(f"{number:06d}", 0, part.rows, None, (number,)) for number, part in enumerate(dataset.index.parts)
    )
    place = folder / f"{SCATTER}-{name}"
    if (place / plan.PLAN_FILE).exists():
        return plan.read(place)
    borders = _borders(dataset, rules)
    return plan.Plan(
        place, name, STEP, str(dataset.folder), {**given, "borders": borders, "now": now.isoformat()}, tasks
    )


def hash_of(dataset: Images, rules: Rules) -> str:
    """Return the hash of what the answer depends on."""
    return plan.digest(_given(dataset, rules))


def _given(dataset: Images, rules: Rules) -> dict[str, Any]:
    return {
        "version": plan.VERSION,
        "step": STEP,
        "stage": SCATTER,
        "images": dataset.hash,
        "rules": vars(rules),
        "rows": ROWS_PER_BUCKET,
    }


def _borders(dataset: Images, rules: Rules) -> list[list[int]]:
    """Return where ranges begin, but for the first: group and time."""
    count = -(-dataset.index.rows // ROWS_PER_BUCKET)
    step = max(1, ROWS_PER_BUCKET // SAMPLES)
    if count < 2:
        return []
    groups, times = [], []
    for number in range(len(dataset.index.parts)):
        found = _keys(dataset, _table(dataset, number, _key_columns(dataset, rules)), rules)
        groups.append(found.group[::step])
        times.append(found.time_ms[::step])
    group, time = np.concatenate(groups), np.concatenate(times)
    order = np.lexsort((time, group))
    chosen = order[np.linspace(0, len(order), count + 1).astype(np.int64)[1:-1]]
    return [list(pair) for pair in dict.fromkeys(zip(group[chosen].tolist(), time[chosen].tolist(), strict=True))]


def _key_columns(dataset: Images, rules: Rules) -> list[str]:
    wanted = ("folder",) if by_folder(dataset) else (*rules.groups, "captured_at", "error")
    return [name for name in wanted if name in dataset.empty.columns]


def _table(dataset: Images, number: int, columns: list[str] | None = None) -> pa.Table:
    """Return rows of a part: attributes, and their places as `lon` and `lat`."""
    points = dataset.part(number)
    names = points.columns if columns is None else columns
    kinds = {field.name: field.type for field in dataset.nothing.schema}
    lon, lat = points.lonlat
    found = {name: in_plain(points.arrow(name)) for name in names}
    table = pa.table({**found, "lon": lon, "lat": lat})
    plain = {
        name: kind.value_type if pa.types.is_dictionary(kind) else kind
        for name, kind in kinds.items()
        if name in table.column_names
    }
    return table.cast(pa.schema([(name, plain[name]) for name in table.column_names]))


def _keys(dataset: Images, table: pa.Table, rules: Rules) -> Keys:
    if by_folder(dataset):
        return Keys(hashes.of_rows(table.select(["folder"])), np.zeros(len(table), dtype=np.int64))
    names = [name for name in rules.groups if name in table.column_names]
    group = hashes.of_rows(table.select(names)) if names else np.zeros(len(table), dtype=np.uint64)
    time = table["captured_at"].to_numpy().astype("datetime64[ms]").view(np.int64)
    return Keys(group, time)


def _buckets(dataset: Images, table: pa.Table, rules: Rules, borders: list[list[int]]) -> Rows:
    """Return the number of the bucket of each row; that after the last is for what can be in no sequence."""
    found = _keys(dataset, table, rules)
    group = np.array([border[0] for border in borders], dtype=np.uint64)
    time = np.array([border[1] for border in borders], dtype=np.int64)
    low, high = np.searchsorted(group, found.group, "left"), np.searchsorted(group, found.group, "right")
    bucket = low.astype(np.int64)
    for start in np.unique(low[high > low]).tolist():
        mine = np.flatnonzero((low == start) & (high > low))
        stop = int(high[mine[0]])
        bucket[mine] = start + np.searchsorted(time[start:stop], found.time_ms[mine], "right")
    if not by_folder(dataset):
        lon, lat = table["lon"].to_numpy(), table["lat"].to_numpy()
        usable = np.isfinite(lon) & np.isfinite(lat) & (found.time_ms != NEVER)
        if "error" in table.column_names:
            usable &= table["error"].is_null().to_numpy()
        bucket[~usable] = len(borders) + 1
    return bucket


def following(first: Plan, stage: str, more: dict[str, Any]) -> Plan:
    """
    Return the plan of a later pass over the buckets of the first, not yet written.

    Parameters
    ----------
    first
        The plan of the first pass, which is done.
    stage
        The name of the pass.
    more
        What its tasks need to know.

    Raises
    ------
    InputError
        If a bucket does not fit into memory.
    """
    rows = Counter[int]()
    places: dict[int, list[list[int]]] = {}
    for number in range(len(first.tasks)):
        found = counts_of(first.path(number)) or {}
        for batch, (bucket, count) in enumerate(found["batches"]):
            rows[bucket] += count
            places.setdefault(bucket, []).append([number, batch])
    last = len(first.given["borders"]) + 1
    for bucket, count in rows.items():
        if count > MOST_ROWS:
            what = "images without time or position" if bucket == last else "images of one folder, or of one time,"
            raise InputError(
                f"{count:,} {what} belong together, and {MOST_ROWS:,} fit into memory",
                hint="cut the folder in several, or take a part of the dataset with filters",
            )
    numbers = sorted(rows)
    given = {
        **{name: first.given[name] for name in ("version", "step", "images", "rules", "borders", "now")},
        "stage": stage, "first": str(first.folder), "buckets": numbers, "places": [places[each] for each in numbers],
        **more,
    }  # fmt: skip
    name = plan.digest({**given, "first": first.hash})
    tasks = tuple(plan.Task(f"{each:06d}", 0, rows[each], None) for each in numbers)
    return replace(first, folder=first.folder.parent / f"{stage}-{name}", hash=name, given=given, tasks=tasks)


def handed(edges: Plan) -> dict[str, Any]:
    """
    Return which buckets hand their heads to one before, by their places among the buckets.

    Parameters
    ----------
    edges
        The plan of the second pass, which is done.

    Returns
    -------
    more
        "heads": images that each bucket hands over; "takes": the buckets whose heads each one gets.

    Raises
    ------
    InputError
        If the images of a bucket and what it gets do not fit into memory.
    """
    rules = cutting.Rules(**edges.given["rules"])
    found = [counts_of(edges.path(number)) or {} for number in range(len(edges.tasks))]
    heads, takes = [0] * len(found), [[] for _ in found]  # type: ignore[var-annotated]
    owner, last = -1, None
    for number, each in enumerate(found):
        if not each["usable"]:
            continue
        if last is None or not _goes_on(last, each["first"], rules):
            owner = number
        else:
            heads[number] = each["head"]
            takes[owner].append(number)
            if each["head"] < each["usable"]:
                owner = number
        last = each["last"]
    for number, others in enumerate(takes):
        count = found[number]["usable"] + sum(heads[other] for other in others)
        if count > MOST_ROWS:
            raise InputError(
                f"{count:,} images follow each other without a gap of more than {rules.cutoff_distance:g} m or"
                f" {rules.cutoff_time:g} s, and {MOST_ROWS:,} fit into memory",
                hint="name a smaller `cutoff_distance` or `cutoff_time`",
            )
    return {"heads": heads, "takes": takes}


def _goes_on(last: list[Any], first: list[Any], rules: Rules) -> bool:
    """Return whether an image is of the sequence of the last one before its bucket."""
    if last[0] != first[0]:
        return False
    time, lon, lat = (np.array([last[place], first[place]]) for place in (1, 2, 3))
    order = Order(None, np.array([True, False]), time, lon.astype(float), lat.astype(float))
    return not bool(rules.starts(order)[1])


def task(made: Plan, number: int) -> dict[str, Any]:
    """Write the part of a task, and return what is counted in it; see `mlygeo.parts.run.Step`."""
    given = made.given
    dataset = images.opened(Path(made.images), given["images"])
    work = _Work(made, dataset, cutting.Rules(**given["rules"]))
    return {SCATTER: work.scatter, EDGES: work.edges, CUT: work.cut}[given["stage"]](number)


def cut_of_none(dataset: Images, rules: Rules) -> gpd.GeoDataFrame:
    """Return the images of a dataset that has none, with the columns that images get when they are cut."""
    return cutting.cut_and_flagged(_frame(dataset, dataset.nothing), rules, now=datetime.now(UTC))


def counts_of(path: Path) -> dict[str, Any] | None:
    """Return what is counted in the file of a part, as `task` does; None where it is not known."""
    try:
        found: dict[str, Any] = json.loads(_beside(path).read_bytes())
    except (OSError, ValueError):
        return None
    return found


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _counted(path: Path, counts: dict[str, Any]) -> dict[str, Any]:
    with atomic(_beside(path)) as temporary:
        temporary.write_text(json.dumps(counts), encoding="utf-8")
    return counts


@dataclass(frozen=True)
class _Bucket:
    """The images of a bucket, by group, and the order of those that may be in a sequence."""

    table: pa.Table
    group: Words
    order: Order

    @cached_property
    def rows(self) -> Rows:
        """Rows of the table in that order."""
        return np.arange(len(self.table)) if self.order.rows is None else self.order.rows


@dataclass(frozen=True)
class _Work:
    made: Plan
    dataset: Images
    rules: Rules

    def scatter(self, number: int) -> dict[str, Any]:
        """Write the rows of a part by bucket."""
        path = self.made.path(number)
        table = _table(self.dataset, number)
        bucket = _buckets(self.dataset, table, self.rules, self.made.given["borders"])
        order = np.argsort(bucket, kind="stable")
        table, bucket = table.take(pa.array(order)).combine_chunks(), bucket[order]
        starts = np.flatnonzero(np.diff(bucket, prepend=-1))
        ends = np.append(starts, len(bucket))
        batches = [[int(bucket[start]), int(stop - start)] for start, stop in itertools.pairwise(ends.tolist())]
        counts = {"number": number, "rows": len(table), "batches": batches}
        _counted(path, counts)
        with (
            atomic(path) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as file,
        ):
            for start, (_, count) in zip(starts.tolist(), batches, strict=True):
                file.write_batch(table.slice(start, count).combine_chunks().to_batches()[0])
        return counts

    def edges(self, number: int) -> dict[str, Any]:
        """Tell where the images of a bucket begin and end, and how many come before its first gap."""
        path, bucket = self.made.path(number), self._bucket(number)
        order, count = bucket.order, len(bucket.order)
        counts: dict[str, Any] = {"number": number, "rows": len(bucket.table), "usable": count}
        if count:
            starts = np.flatnonzero(self.rules.starts(order))
            counts["head"] = int(starts[1]) if len(starts) > 1 else count
            for name, place in (("first", 0), ("last", count - 1)):
                group = int(bucket.group[bucket.rows[place]])
                counts[name] = [
                    group, int(order.time_ms[place]), float(order.lon[place]), float(order.lat[place]),
                ]  # fmt: skip
        _counted(path, counts)
        with atomic(path) as temporary:
            temporary.write_bytes(b"")
        return counts

    def cut(self, number: int) -> dict[str, Any]:
        """Cut the images of a bucket into sequences, without those that it hands over, with those that it gets."""
        given, path = self.made.given, self.made.path(number)
        bucket = self._bucket(number)
        kept = np.ones(len(bucket.table), dtype=bool)
        tables = [bucket.table]
        if "heads" in given:
            kept[bucket.rows[: given["heads"][number]]] = False
            tables = [bucket.table.filter(pa.array(kept))]
            for other in given["takes"][number]:
                more = self._bucket(other)
                tables.append(more.table.take(pa.array(more.rows[: given["heads"][other]])))
        frame = _frame(self.dataset, pa.concat_tables(tables))
        made = cutting.cut_and_flagged(frame, self.rules, now=datetime.fromisoformat(given["now"]))
        counts = {"number": number, "rows": len(made), "told": told(made)}
        _counted(path, counts)
        store.write_frame(made, path)
        return counts

    def _bucket(self, number: int) -> _Bucket:
        given = self.made.given
        folder = Path(given["first"])
        first = plan.read(folder)
        batches = []
        for piece, batch in given["places"][number]:
            with pa.memory_map(str(first.path(piece))) as source:
                batches.append(pa.ipc.open_file(source).get_batch(batch))
        table = pa.Table.from_batches(batches)
        group = _keys(self.dataset, table, self.rules).group
        order = np.argsort(group, kind="stable")
        table, group = table.take(pa.array(order)), group[order]
        if by_folder(self.dataset):
            return _Bucket(table, group, Order(np.empty(0, dtype=np.int64), *[np.empty(0)] * 4))  # type: ignore[arg-type]
        frame = _frame(self.dataset, table)
        found = _Bucket(table, group, ordering.by_time(frame, self.rules.groups))
        if len(np.unique(group[found.rows])) != np.count_nonzero(found.order.first):
            raise FormatError(
                f"two cameras of {self.dataset.name} have the same hash, so that their images cannot be told apart",
                hint="cut a part of the dataset, which fits into memory",
            )
        return found


def _frame(dataset: Images, table: pa.Table) -> gpd.GeoDataFrame:
    points = PartOf(TablePoints(table, dataset.name, dataset.attrs), dataset.settled)
    found = as_frame(points, dataset.settled.form)
    schema = frames.LOCAL_IMAGES if "path" in found.columns else frames.IMAGES
    # In the form of the whole dataset, which a bucket does not tell.
    is_text = dataset.settled.form.dtype("id") == "str"
    return frames.conform(found, schema.of_any_provider if is_text else schema)


def told(made: gpd.GeoDataFrame) -> dict[str, int]:
    """
    Return the facts of images that were cut, JSON; `added` makes those of the whole of those of its parts.

    Parameters
    ----------
    made
        As `cutting.cut_and_flagged` returns them.
    """
    sequences = summarise(made)
    length = np.rint(sequences["length_m"].fillna(0).to_numpy(dtype=np.float64) * 1e6).astype(np.int64)
    return {
        "images": len(made),
        "sequences": len(sequences),
        "length_um": int(length.sum()),
        "duplicates": int(made["is_duplicate"].sum()),
        "without_sequence": int(made["sequence_id"].isna().sum()),
        "without_time_zone": int(cutting.without_zone(made).sum()),
    }


def added(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the facts of a whole by those of its parts."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)
