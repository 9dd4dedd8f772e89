"""STAC items of any number as images, some row groups at a time: the rows of `mlygeo.store.stac` for all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mlygeo.store import parquet, stac
from mlygeo.store.parquet.files import GeoFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas as gpd

    from mlygeo.arrays import Flags, Words
    from mlygeo.store.datasets.files import File


def images(file: File, most: int) -> Iterator[gpd.GeoDataFrame]:
    """
    Yield the images of a file of items.

    Parameters
    ----------
    file
        The file.
    most
        Most items at once, unless a row group has more.

    Yields
    ------
    images
        Images frames. Columns that are unknown of all of their rows are missing. Of rows with the same id the first of
        the file is among them, as of the whole; those that are left out are counted in the log when all are read.

    Raises
    ------
    FormatError
        If the file is damaged, or has no items.
    FrameError
        If an item is not a point.
    """
    opened = GeoFile(file.path, footer=file.footer)
    repeated = _repeated(opened)
    seen: set[str] = set()
    is_panoramax: bool | None = None
    left_out = {stac.WITHOUT_ID: 0, stac.TWICE: 0}
    for groups in _together(opened.groups, most):
        table = parquet.read(opened, groups=groups)
        for name, value in file.keys.items():
            if name not in table.columns:
                table[name] = pd.Series(value, index=table.index, dtype="object" if value is None else None)
        ids, known = stac.ids_of(table["id"])
        first = _first(ids, known.to_numpy(dtype=bool), repeated, seen)
        left_out[stac.WITHOUT_ID] += int((~known).sum())
        left_out[stac.TWICE] += int((known.to_numpy(dtype=bool) & ~first).sum())
        kept = table[known.to_numpy(dtype=bool) & first].reset_index(drop=True)
        if is_panoramax is None and len(kept):
            is_panoramax = stac.are_panoramax(kept.assign(id=stac.ids_of(kept["id"])[0]))
        yield stac.to_images(kept, name=file.name, is_panoramax=is_panoramax)
    stac.warn_of(left_out, file.name)


def _together(groups: list[int], most: int) -> Iterator[list[int]]:
    """Yield numbers of row groups that have so many rows at most together, one at least; `groups` has their rows."""
    held: list[int] = []
    rows = 0
    for number, count in enumerate(groups):
        # The first hundred rows tell whose all are.
        if held and rows + count > most and rows >= stac.LOOKED_AT:
            yield held
            held, rows = [], 0
        held.append(number)
        rows += count
    if held:
        yield held


def _hashes(ids: pd.Series[str]) -> Words:
    found: Words = np.asarray(pd.util.hash_pandas_object(ids.fillna(""), index=False), dtype=np.uint64)
    return found


def _repeated(opened: GeoFile) -> Words:
    """Return the hashes that several ids of a file have, ascending."""
    found = [np.empty(0, dtype=np.uint64)]
    for number in range(len(opened.groups)):
        column = parquet.read(opened, groups=[number], columns=["id"])["id"]
        ids, known = stac.ids_of(column)
        found.append(_hashes(ids[known]))
    values, counts = np.unique(np.concatenate(found), return_counts=True)
    several: Words = values[counts > 1]
    return several


def _first(ids: pd.Series[str], known: Flags, repeated: Words, seen: set[str]) -> Flags:
    """Return which ids are the first of all that are the same; `seen` has those that came before, and gets more."""
    first = np.ones(len(ids), dtype=bool)
    for row in np.flatnonzero(known & np.isin(_hashes(ids), repeated)).tolist():
        id_ = str(ids.iloc[row])
        first[row] = id_ not in seen
        seen.add(id_)
    return first
