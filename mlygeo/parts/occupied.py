"""Which cells of the world have something, how much, and where in them: what a plan needs to know of all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.spatial import areas, cells
from mlygeo.store.datasets import layout

if TYPE_CHECKING:
    from mlygeo.arrays import Bounds, Floats, Rows

AT_ONCE = 1_000_000
"""Cells that are held before they are brought together."""


@dataclass(frozen=True)
class Occupied:
    """
    Cells of zoom 14 that have points, or what else stands at a position, ascending.

    Parameters
    ----------
    code
        Their Morton codes, int64.
    count
        How many points each has, int64.
    box
        The box of these in degrees: west, south, east, north; shape (4, cells).
    """

    code: Rows
    count: Rows
    box: Floats

    @classmethod
    def none(cls) -> Occupied:
        """Return no cells."""
        return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty((4, 0)))

    @classmethod
    def of(cls, lon: Floats, lat: Floats, boxes: Floats | None = None) -> Occupied:
        """Return the cells of positions, in degrees; what stands there may have boxes. Those not finite are in none."""
        code = cells.codes(lon, lat, layout.MOST_ZOOM)
        found = code >= 0
        boxes = np.stack((lon, lat, lon, lat)) if boxes is None else boxes
        return cls.joined([cls(code[found], np.ones(found.sum(), dtype=np.int64), boxes[:, found])])

    @classmethod
    def gathered(cls, several: list[Occupied]) -> list[Occupied]:
        """Return several as they are, or together where they are many."""
        many = sum(len(each.code) for each in several[1:]) > AT_ONCE
        return [cls.joined(several)] if many else several

    @classmethod
    def joined(cls, several: list[Occupied]) -> Occupied:
        """Return the cells of several together; their codes may be in any order."""
        code = np.concatenate([each.code for each in several])
        count = np.concatenate([each.count for each in several])
        box = np.concatenate([each.box for each in several], axis=1)
        if not len(code):
            return cls(code, count, box)
        code, of = np.unique(code, return_inverse=True)  # where they repeat, ten times faster than to sort
        sides = [np.full(len(code), np.inf) for _ in range(2)] + [np.full(len(code), -np.inf) for _ in range(2)]
        for side, values, end in zip(sides, box, (np.minimum, np.minimum, np.maximum, np.maximum), strict=True):
            end.at(side, of, values)
        return cls(code, np.bincount(of, weights=count).astype(np.int64), np.stack(sides))

    def bounds(self, some: slice = slice(None)) -> Bounds | None:
        """Return the box of the points of some of the cells, as `mlygeo.spatial.areas.bounds` does."""
        west, south, east, north = self.box[:, some]
        return areas.bounds(np.concatenate((west, east)), np.concatenate((south, north)))

    def around(self, some: slice) -> list[float]:
        """Return the plain box of what is in some of the cells, west <= east; NaN where nothing is."""
        west, south, east, north = self.box[:, some]
        found = [west.min(), south.min(), east.max(), north.max()] if len(west) else [np.nan] * 4
        return [float(side) for side in found]
