"""The layout of a dataset on disk: which cells have a part, and what folders and files are called."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.errors import FileError
from mlygeo.spatial import cells

if TYPE_CHECKING:
    from mlygeo.arrays import Rows

VERSION = 1
"""Version of the layout, which the index states."""

LEAST_ZOOM, MOST_ZOOM = 4, 14
"""Zooms of the cells of parts; rows are counted by cells of the latter."""

ROWS_PER_PART = 1_000_000
"""Most rows in a file."""

ROWS_PER_GROUP = 50_000
"""Rows in a row group: fewer make reads of a part with its surroundings no faster (measured)."""

KEY = "cell"
"""Name of the column that readers of hive partitions make of the folders' names."""

PLACELESS = f"{KEY}=q"
"""Folder of the rows that have no position on Earth: they are kept, and no box meets them."""

INDEX_ENDING = ".partitions.parquet"
"""Ending of the index beside the folder; in it, it would be taken for a part by most readers."""

_FOLDER = re.compile(rf"{KEY}=q([0-3]{{0,{MOST_ZOOM}}})")
_PART = re.compile(r"part-(0|[1-9][0-9]{0,8})\.parquet")


@dataclass(frozen=True)
class Leaves:
    """
    The cells that have parts, in the order of their codes.

    Parameters
    ----------
    code
        Morton codes (int64), each at its own zoom, shape (n,).
    zoom
        Zooms (int64), from 4 to 14.
    rows
        Rows of each cell (int64), above zero.
    """

    code: Rows
    zoom: Rows
    rows: Rows

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.code)

    @property
    def first(self) -> Rows:
        """The first code of zoom 14 inside each cell: ascending."""
        return self.code << 2 * (MOST_ZOOM - self.zoom)

    @property
    def folders(self) -> list[str]:
        """Names of their folders."""
        return [folder(code, zoom) for code, zoom in zip(self.code.tolist(), self.zoom.tolist(), strict=True)]

    def of(self, code: Rows) -> Rows:
        """Return the number of the cell that each code of zoom 14 lies in; the cells must cover all."""
        return np.searchsorted(self.first, code, side="right") - 1

    def holding(self, code: Rows) -> Rows:
        """Return the number of the cell that each code of zoom 14 lies in; -1 where none has it."""
        number = self.of(code)
        stop = np.append((self.code + 1) << 2 * (MOST_ZOOM - self.zoom), 0)
        return np.where(code < stop[number], number, -1)


def leaves(code: Rows, rows: Rows, most: int = ROWS_PER_PART) -> Leaves:
    """
    Return the largest cells with at most so many rows each.

    Parameters
    ----------
    code
        Codes of zoom 14 that have rows, each once, ascending; int64, shape (n,).
    rows
        How many rows each has; int64.
    most
        Most rows of a cell. One of zoom 14 may have more: it gets several parts.

    Returns
    -------
    leaves
        Cells without rows are not among them.
    """
    found: list[tuple[Rows, int, Rows]] = []
    for zoom in range(LEAST_ZOOM, MOST_ZOOM + 1):
        at, start = np.unique(code >> 2 * (MOST_ZOOM - zoom), return_index=True)
        if not len(at):
            break
        total = np.add.reduceat(rows, start)
        done = (total <= most) | (zoom == MOST_ZOOM)
        found.append((at[done], zoom, total[done]))
        left = np.repeat(~done, np.diff(np.append(start, len(code))))
        code, rows = code[left], rows[left]
    none = np.empty(0, dtype=np.int64)
    cell = np.concatenate([none, *(each for each, _, _ in found)])
    depth = np.concatenate([none, *(np.full(len(each), zoom) for each, zoom, _ in found)])
    count = np.concatenate([none, *(total for _, _, total in found)])
    order = np.argsort(cell << 2 * (MOST_ZOOM - depth), kind="stable")
    return Leaves(cell[order], depth[order], count[order])


def no_leaves() -> Leaves:
    """Return no cells at all."""
    none = np.empty(0, dtype=np.int64)
    return Leaves(none, none, none)


def folder(code: int, zoom: int) -> str:
    """Return the name of a cell's folder: a letter goes before the digits, which readers would take for a number."""
    return f"{KEY}=q{cells.quadkey(code, zoom)}"


def cell_of(name: str) -> tuple[int, int] | None:
    """Return code and zoom of the cell that a folder's name says; zoom 0 where it is `PLACELESS`, None for others."""
    found = _FOLDER.fullmatch(name)
    return None if found is None else cells.from_quadkey(found[1])


def part(number: int) -> str:
    """Return the name of a part's file in the folder of its cell."""
    return f"part-{number}.parquet"


def part_number(name: str) -> int | None:
    """Return the number of a part by the name of its file; None for other files."""
    found = _PART.fullmatch(name)
    return None if found is None else int(found[1])


def index_of(dataset: Path) -> Path:
    """Return the path of the index of a dataset by that of its folder."""
    return dataset.with_name(dataset.name + INDEX_ENDING)


def is_named(text: str) -> bool:
    """Return whether a path as it is given names a dataset: a folder by its last character, or one that is there."""
    ends = [end for end in (os.sep, os.altsep) if end]
    return text.endswith(tuple(ends)) or index_of(followed(Path(text).expanduser().absolute())).is_file()


def followed(folder: Path, *, to_write: bool = False) -> Path:
    """Return a folder; of a link without an index beside it, where it leads to, if an index is there or to come."""
    if folder.is_symlink() and not index_of(folder).is_file():
        place = Path(os.path.realpath(folder))
        if place.name and (to_write or index_of(place).is_file()):
            return place
    return folder


def around(path: Path) -> Path | None:
    """Return the dataset that a path is in or names, by itself or over links; None where there is none."""
    places = (Path(os.path.normpath(path)), Path(os.path.realpath(path)))
    several = (each for place in places for each in (place, *place.parents))
    return next((each for each in several if each.name and index_of(each).is_file()), None)


def must_be_elsewhere(path: Path, name: Path | None = None) -> None:
    """
    Raise where a path, to which something is to be written, is in a dataset, or that of one.

    Parameters
    ----------
    path
        The path; relative ones are those of the current folder.
    name
        What the message calls it, where that is another path.

    Raises
    ------
    FileError
        Naming the dataset.
    """
    place = path.expanduser().absolute()
    if (dataset := around(place)) is not None:
        itself = name is None and os.path.realpath(place) == os.path.realpath(dataset)
        where = "is a dataset" if itself else f"lies in the dataset {dataset}"
        raise FileError(f"{name or path} {where}, which would be changed", hint="name a place elsewhere")
