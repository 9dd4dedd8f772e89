"""
The boxes that a search begins with, and those that they are split into.

"0.01 degrees square", the documented limit of a box, has been read as an area and as a side; the
cells here satisfy both.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.errors import RegionError
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    from mlygeo.regions import Region
    from mlygeo.spatial.boxes import Bounds

CELL = 0.01
"""Longest side of a box that is asked for, degrees."""

SPLITS = 10
"""How often a cell is split at most: the smallest has a side of about a metre."""

MARGIN = 1e-7
"""
Degrees, a centimetre, that each box reaches over its cell, so that an image just on the edge of two
is found whether the service counts edges as inside or not.
"""

MOST_CELLS = 100_000
"""Cells of one search; beyond it vector tiles are the way."""


class Cell(NamedTuple):
    """A part of a search's box: its bounds, degrees, and how often it was split off."""

    bounds: Bounds
    depth: int = 0

    def quarters(self) -> list[Cell]:
        """Return its four quarters; none below the floor."""
        if self.depth >= SPLITS:
            return []
        west, south, east, north = self.bounds
        x, y = (west + east) / 2, (south + north) / 2
        parts = [(west, south, x, y), (x, south, east, y), (west, y, x, north), (x, y, east, north)]
        return [Cell(part, self.depth + 1) for part in parts]


def cells(region: Region) -> list[Cell]:
    """
    Return the cells that a search in a region begins with, each at most `CELL` wide and high.

    Parameters
    ----------
    region
        The region; cells that only its bounding box meets are left out.

    Raises
    ------
    RegionError
        If there would be too many.
    """
    import shapely

    parts = []
    for west, south, east, north in boxes.split(region.bounds):
        # Room for the margin: with it, too, no side is longer than the limit.
        columns, rows = (math.ceil((high - low) / (CELL - 3 * MARGIN)) for low, high in ((west, east), (south, north)))
        if columns * rows > 4 * MOST_CELLS:
            raise _too_large(columns * rows, region)
        x, y = np.linspace(west, east, columns + 1), np.linspace(south, north, rows + 1)
        column, row = (grid.ravel() for grid in np.meshgrid(np.arange(columns), np.arange(rows)))
        parts.append(np.column_stack([x[column], y[row], x[column + 1], y[row + 1]]))
    bounds = np.concatenate(parts)
    if not region.is_box:
        shapely.prepare(region.geometry)
        bounds = bounds[shapely.intersects(region.geometry, shapely.box(*bounds.T))]
    if len(bounds) > MOST_CELLS:
        raise _too_large(len(bounds), region)
    return [Cell((west, south, east, north)) for west, south, east, north in bounds.tolist()]


def _too_large(count: int, region: Region) -> RegionError:
    return RegionError(
        f"{region.name} has {count:,} boxes to search, and more than {MOST_CELLS:,} are too many",
        hint="take a smaller region, or its vector tiles: 'mlygeo tiles' asks far fewer times",
    )
