"""Images whose ids stand in several rows: the same row again, or one that contradicts another."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.arrays import maybe_repeated
from mlygeo.progress import counted
from mlygeo.store.points import SomeOf, form_of, keyed

if TYPE_CHECKING:
    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Whole
    from mlygeo.keys import Ids, Keyed
    from mlygeo.store.point_sources import Points

log = logging.getLogger("mlygeo.store")

AGAIN = "that stand in several rows"
SEVERAL_PLACES, OTHER_VALUES = "ids at several places", "ids with several values"

MOST_SHOWN = 3
"""Ids that a warning names."""


@dataclass(frozen=True)
class Repeats:
    """
    The rows of images whose ids stand in several rows.

    Parameters
    ----------
    again
        Rows that say the same as one before, int64.
    placed
        Ids that stand at several places.
    valued
        Ids that stand at one place with several values in the columns of an images frame.
    keys
        Keys of the rows that stay.
    """

    again: Whole
    placed: Ids
    valued: Ids
    keys: Keyed

    @property
    def problems(self) -> dict[str, int]:
        """How many ids are in doubt, by the reason."""
        counts = {SEVERAL_PLACES: len(self.placed), OTHER_VALUES: len(self.valued)}
        return {reason: count for reason, count in counts.items() if count}


def once(points: Points) -> tuple[Points, Repeats]:
    """
    Return images with each row once, and what contradicts in those whose ids stand in several rows.

    Rows of one id say the same where their positions and their columns of an images frame are equal: a selection
    has a row for each of its points. Rows that contradict another stay, and a warning names some of their ids.
    Rows of one id are put in the order of longitude, latitude, capture time, and then of their other values, whatever
    order they came in, so that of rows that are equally near always the same one is taken.

    Parameters
    ----------
    points
        Images with an `id`.

    Raises
    ------
    FrameError
        If the ids are missing, or hold what is not an id.
    """
    found = keyed(points)
    ranks, none = found.ranks, np.empty(0, dtype=np.int64)
    values = _repeated(ranks, found.doubtful)
    if not len(values):
        return points, Repeats(none, none, none, found)
    at = np.flatnonzero(np.isin(ranks, values))
    rows = at[_order(points, at, ranks)]
    table = _facts(points, rows, ranks)
    again = np.sort(rows[table.duplicated().to_numpy()])
    different = table.drop_duplicates()
    places = different.drop_duplicates(["id", "lon", "lat"])["id"].value_counts()
    placed = np.sort(places.index[places > 1].to_numpy(dtype=np.int64))
    rest = different["id"].value_counts()
    valued = np.setdiff1d(rest.index[rest > 1].to_numpy(dtype=np.int64), placed)
    first = dict(zip(ranks[rows[::-1]].tolist(), rows[::-1].tolist(), strict=True))

    def named(some: Whole) -> Ids:
        return np.asarray(found.ids(np.array([first[rank] for rank in some.tolist()], dtype=np.int64)))

    kept: Flags = np.ones(len(ranks), dtype=bool)
    kept[again] = False
    stay = np.arange(len(ranks))
    stay[at[np.argsort(ranks[at], kind="stable")]] = rows
    stay = stay[kept[stay]]
    as_they_are = np.array_equal(stay, np.arange(len(ranks)))
    repeats = Repeats(again, named(placed), named(valued), found if as_they_are else found.only(stay))
    _warn(repeats.placed, points.name, "at several places")
    _warn(repeats.valued, points.name, "with several values")
    return points if as_they_are else SomeOf(points, stay), repeats


def _repeated(ids: Whole, doubtful: Whole | None) -> Whole:
    """Return the numbers that stand in several rows."""
    values, count = np.unique(ids[maybe_repeated(ids) if doubtful is None else doubtful], return_counts=True)
    return values[count > 1]


def places_of(ids: Ids, lon: Floats, lat: Floats, name: str) -> Whole:
    """
    Return the first row of each image at each of its places; a warning names images that stand at several.

    Parameters
    ----------
    ids
        Ids of the rows.
    lon, lat
        Their positions, degrees; NaN where unknown.
    name
        What the warning calls them.
    """
    import pandas as pd

    table = pd.DataFrame({"id": ids, "lon": lon, "lat": lat})
    rows = np.flatnonzero(~table.duplicated().to_numpy())
    kept = ids[rows]
    _warn(np.unique(kept[pd.Series(kept).duplicated().to_numpy()]), name, "at several places")
    return rows


def _warn(ids: Any, name: str, what: str) -> None:
    if len(ids):
        more = ", …" if len(ids) > MOST_SHOWN else ""
        shown = ", ".join(map(str, ids[:MOST_SHOWN].tolist())) + more
        log.warning("%s: %s %s: %s", name, counted(len(ids), "id"), what, shown)


def _order(points: Points, rows: Whole, ranks: Whole) -> Whole:
    """Return the order of rows by id, place, capture time, and whatever else they hold; what is missing comes last."""
    import pandas as pd

    lon, lat = (pd.Series(values[rows]) for values in points.lonlat)
    table = frames.to_pandas(points.take(rows))
    others = sorted((name for name in table.columns if name not in {"id", "captured_at"}), key=str)
    captured = [table["captured_at"].reset_index(drop=True)] if "captured_at" in table.columns else []
    columns = [lon, lat, *captured, *(table[name].map(repr) for name in others)]
    codes = [pd.factorize(column, sort=True)[0] for column in columns]
    return np.lexsort([np.where(code < 0, len(rows), code) for code in codes[::-1]] + [ranks[rows]])


def _facts(points: Points, rows: Whole, ranks: Whole) -> pd.DataFrame:
    """Return what rows say of their images, as numbers that are equal where the values are."""
    import pandas as pd

    known = [
        column.name
        for column in form_of(points, frames.IMAGES).columns
        if column.name != "id" and column.name in points.columns
    ]
    table = frames.to_pandas(points.take(rows, known)) if known else pd.DataFrame(index=range(len(rows)))
    codes = {name: pd.factorize(table[name])[0] for name in table.columns}
    lon, lat = (pd.factorize(values[rows])[0] for values in points.lonlat)
    return pd.DataFrame({"id": ranks[rows], "lon": lon, "lat": lat, **codes})
