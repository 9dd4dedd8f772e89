"""Each image to one point, over parts: the pairs of all rounds, brought together in the parts of the selection."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo.parts import certain, plan, points
from mlygeo.parts.selection import Inputs, write_part

if TYPE_CHECKING:
    from mlygeo.parts.plan import Plan


def task(made: Plan, number: int) -> dict[str, Any]:
    """
    Write the part of a task of what the rounds have found, and return what is counted in it.

    Parameters
    ----------
    made
        The plan of the selection, whose rounds are done.
    number
        Number of the task.

    Raises
    ------
    FileError
        If an input cannot be read, or the part not be written.
    """
    rounds = []
    for count in itertools.count():
        folder = certain.folder_of(made, count)
        if not (folder / plan.PLAN_FILE).exists():
            break
        rounds.append(plan.read(folder))
    table = pa.concat_tables([pairs for each in rounds if (pairs := certain.pairs_of(each, number)) is not None])
    ids = points.of_task(made, number).arrow("point_id").to_numpy()
    by_id = np.argsort(ids, kind="stable")
    row = by_id[np.searchsorted(ids[by_id], table["point_id"].to_numpy())]
    table = table.take(pa.array(np.lexsort([table["rank"].to_numpy(), row])))
    lon, lat = (table[name].to_numpy() for name in ("lon", "lat"))
    if made.given["options"]["max_distance"] is None:  # the first round has one part
        counted = Inputs.of(made).counted(made.tasks[number])
    else:
        counted = plan.counts_of(rounds[0].path(number))["counted"]
    return write_part(made, number, table.drop_columns(["lon", "lat"]), lon, lat, count=len(ids), counted=counted)
