"""
Each image to one point, over parts: a round, whose tasks find out which pairs are certain, and what is left open.

What a point gets may hang on a chain of points, so that a part does not know it of all of its points. The tasks of the
first round read the points and images of the world around theirs; those of the next what the round before has left
open, in larger parts, and the last one takes all that is left as one. See `mlygeo.spatial.nearest.match_part`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlygeo.parts import plan
from mlygeo.parts.matching import Matched
from mlygeo.parts.points import TaskPoints, of_tasks
from mlygeo.parts.selection import Inputs
from mlygeo.spatial import areas, cells
from mlygeo.store import parquet
from mlygeo.store.atomic import atomic, to_disk
from mlygeo.store.datasets import layout
from mlygeo.store.point_sources import PointFile, TablePoints
from mlygeo.store.points import keep
from mlygeo.store.repeats import once

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mlygeo.arrays import Bounds, Flags, Rows
    from mlygeo.keys import Keyed
    from mlygeo.parts.plan import Plan
    from mlygeo.store.point_sources import Points

STEP = "certain"

PAIRS, POINTS = "pairs.arrow", "points.arrow"
"""Beside the file of a part, which has the open images: its certain pairs, and the open points."""

ELSEWHERE = "elsewhere.arrow"
"""In the folder of a selection's plan: the ids of images that stand at several places."""


def folder_of(made: Plan, number: int) -> Path:
    """Return the folder of the plan of a round, from 0, of a selection."""
    return made.folder / f"{STEP}-{number}"


def write_elsewhere(made: Plan, ids: Any) -> None:
    """Write the ids of images that stand at several places, before the first round of a selection."""
    table = pa.table({"id": pa.array(ids, None if len(ids) else pa.int64())})
    with atomic(made.folder / ELSEWHERE) as temporary:
        _write(temporary, table, [0, len(table)])


def task(made: Plan, number: int) -> dict[str, Any]:
    """
    Write which pairs of a part are certain, and which of its points and of the images are open.

    Parameters
    ----------
    made
        The plan of a round.
    number
        Number of the task.

    Returns
    -------
    counts
        `rows`, the certain pairs; `points` and `images`, the open ones; `box`, that of the open points.

    Raises
    ------
    FileError
        If an input cannot be read, or the part not be written.
    """
    whole, own = plan.read(made.folder.parent), made.tasks[number]
    inputs, options = Inputs.of(whole), dict(whole.given["options"])
    del options["unique"], options["preference"], options["looks"]
    if made.given["round"]:
        points, core, images = _left_open(made, number, inputs)
    else:
        points, core = _around(whole, number, own.reach)
        images = keep(inputs.dataset.points(own.reach), region=inputs.region, conditions=inputs.conditions)
    images, repeated = once(images)
    no_rows = np.empty(0, dtype=np.int64)
    if own.reach is None:
        found = Matched.of(
            points, images, keyed=repeated.keys, projection=inputs.projection, unique=True, **options,
        )  # fmt: skip
        open_points, open_images = no_rows, no_rows
    else:
        found, part = Matched.of_part(
            points, images, keyed=repeated.keys, projection=inputs.projection, core=core, known=own.reach,
            elsewhere=_elsewhere(whole, repeated.keys), **options,
        )  # fmt: skip
        open_points, open_images = part.open_points, part.open_images
    pairs, (lon, lat) = found.table.cast(inputs.dataset.schema_of(found.table.schema)), found.lonlat
    pairs = pairs.append_column("lon", pa.array(lon)).append_column("lat", pa.array(lat))
    of = points.table["task"].to_numpy()[found.matches.point_row]
    order, tasks = np.argsort(of, kind="stable"), np.array(made.given["tasks"][number])
    rest = points.table.take(pa.array(open_points))
    box = areas.bounds(rest["lon"].to_numpy(), rest["lat"].to_numpy())
    counts = {
        "number": number, "rows": len(pairs), "points": len(rest), "images": len(open_images), "box": box,
        "counted": inputs.counted(own),
    }  # fmt: skip
    table = images.take(open_images)
    table = table.set_column(table.column_names.index("id"), "id", _column(repeated.keys, open_images))
    lon, lat = (values[open_images] for values in images.lonlat)
    attrs = {"plan": made.hash, plan.COUNTS: counts}
    with plan.writing(made, number) as temporary:
        beside = {name: temporary.with_name(f"{temporary.name}.{name}") for name in (PAIRS, POINTS)}
        borders = [*np.searchsorted(of[order], tasks), len(pairs)]
        _write(beside[PAIRS], pairs.take(pa.array(order)), borders)
        _write(beside[POINTS], rest, [0, len(rest)])
        made.path(number).parent.mkdir(exist_ok=True)
        for name, path in beside.items():
            to_disk(path)
            path.replace(made.path(number).with_name(name))
        parquet.write_points(table.cast(inputs.dataset.schema_of(table.schema)), lon, lat, temporary, attrs=attrs)
    return counts


def counts(made: Plan) -> list[dict[str, Any]]:
    """Return what is counted in each part of a round that is done, as `task` does."""
    return [plan.counts_of(made.path(number)) for number in range(len(made.tasks))]


def pairs_of(made: Plan, of: int) -> pa.Table | None:
    """
    Return the pairs that a round has found for the points of a task of the selection; None if none was open.

    Parameters
    ----------
    made
        The plan of the round.
    of
        Number of the task.

    Returns
    -------
    pairs
        As `mlygeo.parts.matching.Matched.table`, with `lon` and `lat`, the places of the images.
    """
    for number, tasks in enumerate(made.given["tasks"]):
        if of in tasks:
            return _read(made.path(number).with_name(PAIRS), [tasks.index(of)])
    return None


def _around(whole: Plan, number: int, box: Bounds | None) -> tuple[TaskPoints, Flags]:
    """Return the points that a task of the first round knows, and which of them are its own; None is the world."""
    near = meeting(tuple(task.cell for task in whole.tasks), box)
    points = of_tasks(whole, sorted({number, *near}))
    core = points.table["task"].to_numpy() == number
    if box is None:
        return points, core
    inside = np.flatnonzero(core | areas.inside(*points.lonlat, box))
    return TaskPoints(points.table.take(pa.array(inside)), points.name, {}, points.srid), core[inside]


def meeting(quadkeys: tuple[str, ...], box: Bounds | None) -> list[int]:
    """Return the numbers of the cells that a box in degrees meets, or touches; None is the world."""
    if box is None:
        return [*range(len(quadkeys))]
    west, south, east, north = box
    zoom = np.array([len(each) for each in quadkeys])
    x, y = cells.parts(np.array([cells.from_quadkey(each)[0] for each in quadkeys], dtype=np.int64))
    deeper = layout.MOST_ZOOM - zoom
    (left, right), (top, bottom) = (
        (values << deeper, ((values + 1) << deeper) - 1) for values in (x, y)
    )  # the first and last columns and rows of zoom 14
    ends_x, ends_y = cells.tiles(np.array([west, east]), np.array([north, south]), layout.MOST_ZOOM)
    after, before = right >= ends_x[0], left <= ends_x[1]
    beside = after & before if west <= east else after | before
    return np.flatnonzero(beside & (bottom >= ends_y[0]) & (top <= ends_y[1])).tolist()


def _left_open(made: Plan, number: int, inputs: Inputs) -> tuple[TaskPoints, Flags, Points]:
    """Return the points and images that the round before has left open around a part, and which points are its own."""
    given, box = made.given, made.tasks[number].reach
    before = plan.read(folder_of(plan.read(made.folder.parent), given["round"] - 1))
    near, own = given["near"][number], {*given["tasks"][number]}
    table = pa.concat_tables([_read(before.path(each).with_name(POINTS)) for each in near])
    core = np.isin(table["task"].to_numpy(), [*own])
    whole = plan.read(made.folder.parent)
    points = TaskPoints(table, whole.given["points"]["name"], {}, whole.given["srid"])
    if box is not None:
        inside = np.flatnonzero(core | areas.inside(*points.lonlat, box))
        points, core = TaskPoints(table.take(pa.array(inside)), points.name, {}, points.srid), core[inside]
    images = _free(_open_images([before.path(each) for each in near], box), before, near)
    return points, core, inputs.dataset.as_part(TablePoints(images, inputs.dataset.name, {}))


def _open_images(paths: Sequence[Path], box: Bounds | None) -> pa.Table:
    tables = []
    for path in paths:
        file = PointFile(path)
        lon, lat = file.lonlat
        rows = np.arange(len(file)) if box is None else np.flatnonzero(areas.inside(lon, lat, box))
        table = file.take(rows).append_column("lon", pa.array(lon[rows])).append_column("lat", pa.array(lat[rows]))
        tables.append(table.replace_schema_metadata(None))
    return pa.concat_tables(tables)


def _free(images: pa.Table, before: Plan, near: Iterable[int]) -> pa.Table:
    """Return the images that are in no certain pair of some parts of a round."""
    key = [name for name in ("id", "provider") if name in images.column_names]
    if pa.types.is_integer(images["id"].type):  # such an id is one image, whoever is said to have it
        key = ["id"]
    wanted = images["id"].unique() if len(images) else images["id"]
    taken = [images.select(key).slice(0, 0)]
    for each in near:
        pairs = _read(before.path(each).with_name(PAIRS), columns=key)
        taken.append(pairs.filter(pc.is_in(pairs["id"], value_set=wanted)))
    together = pa.concat_tables([images.select(key), *taken])
    code = np.zeros(len(together), dtype=np.int64)
    for name in key:
        column = together[name]
        if name == "provider":
            column = column.cast(pa.string()).fill_null("")
        words = column.combine_chunks().dictionary_encode()
        code = code * max(len(words.dictionary), 1) + words.indices.to_numpy().astype(np.int64)
    return images.filter(pa.array(~np.isin(code[: len(images)], code[len(images) :])))


def _elsewhere(whole: Plan, keyed: Keyed) -> Flags | None:
    """Return which images have an id that stands at several places; None where there is none."""
    ids = _read(whole.folder / ELSEWHERE)["id"]
    if not len(ids):
        return None
    column = _column(keyed, np.arange(len(keyed.ranks)))
    found: Flags = pc.is_in(column, value_set=ids.cast(column.type)).to_numpy(zero_copy_only=False)
    return found


def _column(keyed: Keyed, rows: Rows) -> pa.Array:
    ids = keyed.ids(rows)
    return pa.array(ids) if isinstance(ids, np.ndarray) else ids


def _write(path: Path, table: pa.Table, borders: Sequence[int]) -> None:
    """Write a table in batches, which begin and end at these rows."""
    whole = table.unify_dictionaries().combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
        for start, stop in itertools.pairwise(map(int, borders)):
            parts = [column.slice(start, stop - start).chunks for column in whole.columns]
            arrays = [
                pa.concat_arrays(chunks or [pa.array([], column.type)])
                for chunks, column in zip(parts, whole.columns, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=whole.schema))


def _read(path: Path, batches: Iterable[int] | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        file = pa.ipc.open_file(source)
        numbers = range(file.num_record_batches) if batches is None else batches
        table = pa.Table.from_batches([file.get_batch(each) for each in numbers], file.schema)
        return table if columns is None else table.select(columns)
