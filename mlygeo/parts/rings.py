"""
The images nearest to points of a cell, read ring by ring where no distance limits them.

Points whose images were all found within a distance are done: nothing farther can come before them. The others are
searched again farther, as in one run, and shared out where more images would be in reach than memory holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FileError
from mlygeo.parts import plan
from mlygeo.parts.matching import Matched
from mlygeo.spatial import areas
from mlygeo.spatial.knn import FIRST_LIMIT_M, WIDER
from mlygeo.store.points import SomeOf, keep
from mlygeo.store.repeats import once

if TYPE_CHECKING:
    import pyarrow as pa

    from mlygeo.arrays import Bounds, Floats, Rows
    from mlygeo.parts.images import Images
    from mlygeo.regions import Region
    from mlygeo.spatial.best import Preference
    from mlygeo.spatial.projection import Projection
    from mlygeo.spatial.zones import Zones
    from mlygeo.store.point_sources import Points

MOST_IN_REACH = 1_800_000
"""Images that are read at once: 1 GB of memory by `plan.BYTES_PER_IMAGE`."""


@dataclass(frozen=True)
class Search:
    """
    A search of images for points.

    Parameters
    ----------
    dataset
        The images.
    projection
        The plane to measure in.
    region, conditions
        Which images may be chosen; see `mlygeo.store.points.keep`.
    k, max_heading_difference
        As in `mlygeo.spatial.nearest.select_nearest`.
    preference
        What is preferred to the nearest image; None for nothing. With it a largest distance is needed.
    """

    dataset: Images
    projection: Projection | Zones
    region: Region | None
    conditions: dict[str, Any]
    k: int
    max_heading_difference: float | None
    preference: Preference | None = None

    def within(
        self,
        points: Points,
        box: Bounds | None,
        max_distance: float | None,
        neighbours: pa.Table | None = None,
    ) -> Matched:
        """
        Return the images near points.

        Parameters
        ----------
        points
            The points.
        box
            Box in degrees whose images are read, which must hold what is within the distance; None for the world.
        max_distance
            Metres.
        neighbours
            What the neighbours of the points got first, as of `mlygeo.parts.matching.Matched.of`.
        """
        candidates = keep(self.dataset.points(box), region=self.region, conditions=self.conditions)
        candidates, repeated = once(candidates)
        return Matched.of(
            points, candidates, keyed=repeated.keys, projection=self.projection, max_distance=max_distance, k=self.k,
            unique=False, max_heading_difference=self.max_heading_difference, preference=self.preference,
            neighbours=neighbours,
        )  # fmt: skip

    def nearest(self, points: Points) -> tuple[pa.Table, Floats, Floats]:
        """
        Return the images nearest to points, however far they are; as `Matched.table` and `Matched.lonlat`.

        Raises
        ------
        FileError
            If the images in reach of a single point do not fit into memory.
        """
        import pyarrow as pa

        found = [*self._rings(points, np.arange(len(points)), FIRST_LIMIT_M)]
        tables = [table for _, table, _, _ in found]
        row = np.concatenate([rows for rows, _, _, _ in found])
        lon, lat = (np.concatenate([each[axis] for each in found]) for axis in (2, 3))
        table = pa.concat_tables(tables)
        order = np.lexsort([table["rank"].to_numpy(), row])
        return table.take(pa.array(order)), lon[order], lat[order]

    def _rings(self, points: Points, rows: Rows, distance_m: float) -> list[tuple[Rows, pa.Table, Floats, Floats]]:
        """Return the rows of points, the pairs, and the places of the images, of some of the points."""
        import pyarrow as pa

        found: list[tuple[Rows, pa.Table, Floats, Floats]] = []
        index = self.dataset.index
        while True:
            some = SomeOf(points, rows)
            bounds = areas.bounds(*some.lonlat)
            box = None if bounds is None else self.projection.reach(bounds, distance_m)
            if plan.in_reach(box, index.cells, index.counts) > MOST_IN_REACH:
                return found + self._shared(points, rows, distance_m)
            matched = self.within(some, box, None if box is None else distance_m)
            point = matched.matches.point_row
            enough = np.bincount(point, minlength=len(rows)) >= self.k if box is not None else np.ones(len(rows), bool)
            chosen = np.flatnonzero(enough[point])
            lon, lat = matched.lonlat
            kind = self.dataset.schema_of(matched.table.schema)
            own = matched.table.cast(kind).take(pa.array(chosen))
            found.append((rows[point[chosen]], own, lon[chosen], lat[chosen]))
            rows = rows[~enough]
            if not len(rows):
                return found
            distance_m *= WIDER

    def _shared(self, points: Points, rows: Rows, distance_m: float) -> list[tuple[Rows, pa.Table, Floats, Floats]]:
        """Return the same as `_rings`, of two halves of the points."""
        if len(rows) == 1:
            raise FileError(
                f"more than {MOST_IN_REACH:,} images may be the nearest of one point, and do not fit into memory",
                hint="name the largest distance, such as `max_distance=1000`",
            )
        lon, lat = (values[rows] for values in points.lonlat)
        along = lon if np.ptp(lon) > np.ptp(lat) else lat
        halves = np.array_split(rows[np.argsort(along, kind="stable")], 2)
        return [pairs for half in halves for pairs in self._rings(points, np.sort(half), distance_m)]
