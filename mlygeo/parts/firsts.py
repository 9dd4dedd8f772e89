"""The first choices of points by a rule, over parts: of which sequence the image is that each point gets first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlygeo.parts import plan, points
from mlygeo.parts.plan import Plan
from mlygeo.parts.selection import Inputs, Options
from mlygeo.store.atomic import file_error
from mlygeo.store.points import in_plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlygeo.parts.images import Images

STEP = "firsts"

COUNTS = b"part"
"""Where a part's file has what is counted in it."""


def of(made: Plan) -> Plan:
    """Write the plan of the first choices, unless it is there, and return it; the plan of the selection is written."""
    folder = made.folder / STEP
    if not (folder / plan.PLAN_FILE).exists():
        given = {"of": made.hash}
        plan.write(Plan(folder, plan.digest(given), STEP, made.images, given, made.tasks))
    return plan.read(folder)


def task(made: Plan, number: int) -> dict[str, Any]:
    """
    Write the sequences of the first choices of a task's points, and return what is counted.

    Parameters
    ----------
    made
        The plan of the first choices.
    number
        Number of the task.

    Raises
    ------
    FileError
        If an input cannot be read, or the part not be written.
    """
    whole = plan.read(made.folder.parent)
    own, inputs, own_points = whole.tasks[number], Inputs.of(whole), points.of_task(whole, number)
    options = Options(**{**whole.given["options"], "k": 1})
    # Before all have chosen, no sequence is wanted.
    nobody = nothing(inputs.dataset, len(own_points))
    found = inputs.search(options).within(own_points, own.reach, options.max_distance, nobody)
    first = found.matches.rank == 1
    table = pa.table({"point_id": found.point_ids[found.matches.point_row[first]]})
    told = found.images.take(found.matches.image_row[first], nobody.column_names)
    for name in nobody.column_names:
        table = table.append_column(name, in_plain(told[name]).cast(pa.large_string()))
    counts = {"number": number, "rows": len(table)}
    table = table.combine_chunks().replace_schema_metadata({COUNTS: json.dumps(counts).encode()})
    with (
        plan.writing(made, number) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    return counts


def counts_of(path: Path) -> dict[str, Any]:
    """Return what is counted in the file of a part, as `task` does."""
    found: dict[str, Any] = json.loads(_read(path).schema.metadata[COUNTS])
    return found


def told(made: Plan, numbers: Iterable[int]) -> pa.Table:
    """
    Return the sequences of the first choices of some tasks, whose parts are there.

    Parameters
    ----------
    made
        The plan of the first choices.
    numbers
        Numbers of the tasks.

    Returns
    -------
    told
        `point_id`, `sequence_id`, and `provider` where images have it; points that got no image have no row.
    """
    return pa.concat_tables([_read(made.path(number)).replace_schema_metadata(None) for number in numbers])


def nothing(dataset: Images, count: int) -> pa.Table:
    """Return so many rows that tell of no sequence."""
    names = [name for name in ("sequence_id", "provider") if name in dataset.empty.columns]
    return pa.table({name: pa.nulls(count, pa.large_string()) for name in names})


def _read(path: Path) -> pa.Table:
    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).read_all()
    except OSError as error:
        raise file_error(error, path) from error
