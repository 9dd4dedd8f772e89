"""
How far the nearest images can be, and in which cells they can lie, by counts of images in cells of the world.

Without a largest distance an image anywhere may be a point's nearest. Counts of images in cells (those that the
index of a dataset has) bound how far: the cells that hold k images lie within some distance as a whole, and only
cells that begin within it need to be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.spatial import cells as tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.arrays import Flags, Floats, Rows
    from mlygeo.spatial.projection import Projection

ROUND_MARGIN, ROUND_MARGIN_M = 1.02, 1.0
"""By how much the circle around a cell is wider than its corners and middles of sides are far, and metres."""

CHUNK = 1 << 22
"""Pairs of groups of points and cells compared at once."""


@dataclass(frozen=True)
class CountedCells:
    """
    Cells with images, as circles in a plane; made by `CountedCells.of`.

    Parameters
    ----------
    codes
        Morton codes (int64).
    counts
        How many images each has, one at least (int64).
    x, y, radius
        A circle that holds all positions of the cell, metres; infinite where the plane has no coordinates for
        a part of the cell, NaN where it has none for any.
    """

    codes: Rows
    counts: Rows
    x: Floats
    y: Floats
    radius: Floats

    @classmethod
    def of(cls, codes: Rows, counts: Rows, *, zoom: int, projection: Projection) -> CountedCells:
        """Place cells of a zoom in a plane; those without images are left out."""
        codes, counts = np.asarray(codes, dtype=np.int64), np.asarray(counts, dtype=np.int64)
        codes, counts = codes[counts > 0], counts[counts > 0]
        number = 1 << zoom
        column, row = tiles.parts(codes)
        west, east = (edge * (360.0 / number) - 180.0 for edge in (column, column + 1))
        north, south = (np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * edge / number)))) for edge in (row, row + 1))
        north, south = np.where(row == 0, 90.0, north), np.where(row == number - 1, -90.0, south)
        shares = np.array([0.5, 0, 0, 0, 0.5, 0.5, 1, 1, 1]), np.array([0.5, 0, 0.5, 1, 0, 1, 0, 0.5, 1])
        lon = west[:, np.newaxis] + (east - west)[:, np.newaxis] * shares[0]
        lat = south[:, np.newaxis] + (north - south)[:, np.newaxis] * shares[1]
        x, y = (values.reshape(lon.shape) for values in projection.forward(lon.ravel(), lat.ravel()))
        known = np.isfinite(x) & np.isfinite(y)
        with np.errstate(invalid="ignore"):
            radius = np.hypot(x - x[:, :1], y - y[:, :1]).max(axis=1) * ROUND_MARGIN + ROUND_MARGIN_M
        # A cell that reaches to a pole is no small square, and one that leaves the plane has no circle.
        partly = (known.any(axis=1) & ~known.all(axis=1)) | (row == 0) | (row == number - 1)
        radius = np.where(partly, np.inf, radius)
        return cls(codes, counts, np.where(partly, 0.0, x[:, 0]), np.where(partly, 0.0, y[:, 0]), radius)

    def bound(self, x: Floats, y: Floats, k: int) -> Floats:
        """
        Return a distance within which each point surely has k images.

        Parameters
        ----------
        x, y
            Points in the plane, metres.
        k
            Number of images. An id counts as often as it stands in the counts.

        Returns
        -------
        distance_m
            Infinite where so many are not known to be in the plane, NaN where the point is not.
        """
        result = np.full(len(x), np.nan)
        for rows, groups, apart in self._apart(x, y):
            farthest = np.where(np.isnan(apart), np.inf, apart + groups[:, np.newaxis] + self.radius)
            most = min(k, farthest.shape[1])
            if not most:
                result[np.concatenate(rows)] = np.inf
                continue
            near = np.argpartition(farthest, most - 1, axis=1)[:, :most]
            far = np.take_along_axis(farthest, near, axis=1)
            order = np.argsort(far, axis=1)
            far = np.take_along_axis(far, order, axis=1)
            total = np.cumsum(self.counts[np.take_along_axis(near, order, axis=1)], axis=1)
            enough = total >= k
            at = np.argmax(enough, axis=1)
            bounds = np.where(enough.any(axis=1), far[np.arange(len(far)), at], np.inf)
            for one, value in zip(rows, bounds.tolist(), strict=True):
                result[one] = value
        return result

    def within(self, x: Floats, y: Floats, distance_m: Floats) -> Flags:
        """
        Return which cells may have an image within a distance of a point.

        Parameters
        ----------
        x, y
            Points in the plane, metres.
        distance_m
            Of each point, inclusive; infinity for no limit.
        """
        found = np.zeros(len(self.codes), dtype=bool)
        for rows, groups, apart in self._apart(x, y):
            reach = np.array([distance_m[one].max() for one in rows])
            with np.errstate(invalid="ignore"):  # an infinite reach and an infinite circle
                nearest = apart - groups[:, np.newaxis] - self.radius
                found |= (nearest <= reach[:, np.newaxis]).any(axis=0)
            found |= np.isinf(self.radius)
        return found

    def _apart(self, x: Floats, y: Floats) -> Iterator[tuple[list[Rows], Floats, Floats]]:
        """Yield groups of points near each other: their rows, the radius of each, and how far all cells are."""
        here = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if not len(here):
            return
        round_ = self.radius[np.isfinite(self.radius)]
        side = float(np.median(round_)) if len(round_) else 1000.0
        square = np.stack((np.floor(x[here] / side), np.floor(y[here] / side)))
        order = here[np.lexsort(square)]
        square = np.stack((np.floor(x[order] / side), np.floor(y[order] / side)))
        first = np.flatnonzero(np.r_[True, (np.diff(square) != 0).any(axis=0)])
        rows = np.split(order, first[1:])
        step = max(CHUNK // max(len(self.codes), 1), 1)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            middle = np.array([[(values[one].min() + values[one].max()) / 2 for values in (x, y)] for one in some])
            groups = np.array(
                [np.hypot(x[one] - at[0], y[one] - at[1]).max() for one, at in zip(some, middle, strict=True)]
            )
            apart = np.hypot(middle[:, :1] - self.x, middle[:, 1:] - self.y)
            yield some, groups * (1 + 1e-12) + 1e-6, apart
