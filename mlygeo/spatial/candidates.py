"""Which images may be chosen for a point: all pairs within a distance, some points at a time, and tests of pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.arrays import in_threads
from mlygeo.spatial import geodesy, grid, knn

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.arrays import Flags, Floats, Rows
    from mlygeo.spatial.grid import PairTest
    from mlygeo.spatial.projection import Projection

    Planar = tuple[Floats, Floats]

STEP_M = 10.0
"""Length of the step along a bearing that tells its direction in the plane, metres."""

CHUNK_POINTS = 1 << 12


def each_block(
    points: Planar,
    images: Planar,
    *,
    radius: Floats | float,
    test: PairTest | None,
    work: Callable[[Rows, Rows, Floats], None],
    only: Rows | None = None,
) -> None:
    """
    Call `work(points, images, squares)` for all pairs of points and images within a radius, some points at a time.

    Parameters
    ----------
    points, images
        Positions (x, y) in the plane; those that are not finite have no pair.
    radius
        Largest distance of each point, or of all, inclusive and finite, in the unit of the plane.
    test
        Which pairs count; None for all.
    work
        Gets rows of points and images, and squared distances, in no order; all pairs of a point in one call. It is
        called by several threads at once.
    only
        Rows of the points; None for all.
    """
    todo, chosen = knn.usable(points, images, only)
    reach = np.broadcast_to(np.asarray(radius, dtype=np.float64), len(points[0]))
    if not len(todo) or not (len(images[0]) if chosen is None else len(chosen)):
        return
    limit = float(reach[todo].max())
    for own, near, box in knn.divided(points, images, todo, chosen, limit=limit):
        built = grid.build(images, near, box, at_least=max(limit / 32, grid.SMALLEST_CELL_M))
        line, column = built.cells(points[0][own], points[1][own])
        ordered = own[np.argsort(line * built.columns + column, kind="stable")]

        def some(start: int, stop: int, ordered: Rows = ordered, built: grid.Grid = built) -> None:
            rows = ordered[start:stop]
            x, y, within = points[0][rows], points[1][rows], reach[rows]
            for first, last, windows in built.windows(x, y, within).parts(grid.CHUNK_PAIRS):
                entry, per_point = windows.entries
                part = slice(first, last)
                dx = built.x[entry] - np.repeat(x[part], per_point)
                dy = built.y[entry] - np.repeat(y[part], per_point)
                square = dx * dx + dy * dy
                keep = np.flatnonzero(np.sqrt(square) <= np.repeat(within[part], per_point))
                point, square = np.repeat(rows[part], per_point)[keep], square[keep]
                image = built.rows[entry[keep]].astype(np.int64)
                if test is not None:
                    passes = test(point, image, square)
                    point, image, square = point[passes], image[passes], square[passes]
                work(point, image, square)

        in_threads(some, len(ordered), CHUNK_POINTS, "points")


@dataclass(frozen=True)
class StripTest:
    """
    Images within a distance along the street and across it, both ways.

    Parameters
    ----------
    points, images
        Positions (x, y) in the plane.
    east, north
        The direction of the street at each point, a vector of length 1 in the plane; no image passes where it is NaN.
    along, across
        Largest distances, inclusive, in the unit of the plane; infinity for none.
    """

    points: Planar
    images: Planar
    east: Floats
    north: Floats
    along: float
    across: float

    def offsets(self, points: Rows, images: Rows) -> tuple[Floats, Floats]:
        """Return how far images are ahead of points, and to the right of them, in the unit of the plane."""
        dx, dy = (of[images] - at[points] for at, of in zip(self.points, self.images, strict=True))
        east, north = self.east[points], self.north[points]
        return dx * east + dy * north, dx * north - dy * east

    def __call__(self, points: Rows, images: Rows, squares: Floats) -> Flags:  # noqa: ARG002 - other tests need it
        """Return which pairs pass."""
        ahead, right = self.offsets(points, images)
        passes: Flags = (np.abs(ahead) <= self.along) & (np.abs(right) <= self.across)
        return passes


def directions(lon: Floats, lat: Floats, bearing: Floats, projection: Projection) -> Planar:
    """
    Return the directions of bearings in the plane, whose north is not true north: vectors of length 1.

    Parameters
    ----------
    lon, lat
        Degrees.
    bearing
        Degrees clockwise from true north.
    projection
        The plane.

    Returns
    -------
    east, north
        NaN where a position or a bearing is not finite.
    """
    known = np.isfinite(lon) & np.isfinite(lat) & np.isfinite(bearing)
    east, north = np.full(len(lon), np.nan), np.full(len(lon), np.nan)
    there = geodesy.destination(lon[known], lat[known], bearing[known], STEP_M)
    (x, y), (to_x, to_y) = projection.forward(lon[known], lat[known]), projection.forward(*there)
    dx, dy = to_x - x, to_y - y
    length = np.sqrt(dx * dx + dy * dy)
    east[known], north[known] = dx / length, dy / length
    return east, north


@dataclass(frozen=True)
class Both:
    """Two tests, both of which a pair has to pass."""

    first: PairTest
    second: PairTest

    def __call__(self, points: Rows, images: Rows, squares: Floats) -> Flags:
        """Return which pairs pass."""
        passes: Flags = self.first(points, images, squares) & self.second(points, images, squares)
        return passes
