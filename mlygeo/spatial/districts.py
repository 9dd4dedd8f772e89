"""Districts, each with a name and a shape: which of them hold places, and the pieces of streets in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.spatial import pieces

if TYPE_CHECKING:
    from mlygeo.arrays import Flags, Floats, Objects, Whole
    from mlygeo.spatial.pieces import Pieces, Segments
    from mlygeo.spatial.polylines import Lines

AT_ONCE = 1_000_000
"""Places and segments that are looked up together."""

SLACK = 1e-9
"""A border's edges meet at its corners, whatever the rounding; in parts of an edge."""

OUTSIDE = -1
"""In place of the number of a district: none."""


@dataclass(frozen=True)
class Districts:
    """
    Districts.

    Parameters
    ----------
    names
        Their names.
    shapes
        Their polygons, EPSG:4326; shape (n,).
    """

    names: tuple[str, ...]
    shapes: Objects

    def of(self, lon: Floats, lat: Floats) -> tuple[Whole, Flags]:
        """
        Return which district holds each place.

        Parameters
        ----------
        lon, lat
            Degrees.

        Returns
        -------
        number
            int64; of several the first, with their borders; `OUTSIDE` where none does.
        several
            Whether several do.
        """
        number, found = np.full(len(lon), len(self.names)), np.zeros(len(lon), dtype=np.int64)
        for start in range(0, len(lon), AT_ONCE):
            here = slice(start, start + AT_ONCE)
            self._look_up(lon[here], lat[here], number[here], found[here])
        return np.where(found > 0, number, OUTSIDE), found > 1

    def _look_up(self, lon: Floats, lat: Floats, number: Whole, found: Whole) -> None:
        import shapely

        place, district = self._boxes.query(shapely.points(lon, lat))
        order = np.argsort(district, kind="stable")
        place, district = place[order], district[order]
        for own in np.split(np.arange(len(place)), np.flatnonzero(np.diff(district)) + 1):
            if not len(own):
                continue
            each = int(district[own[0]])
            rows = place[own][shapely.intersects_xy(self._prepared[each], lon[place[own]], lat[place[own]])]
            number[rows] = np.minimum(number[rows], each)
            found[rows] += 1

    @cached_property
    def _boxes(self) -> Any:
        import shapely

        return shapely.STRtree(self.shapes)

    @cached_property
    def _prepared(self) -> Objects:
        import shapely

        shapely.prepare(self.shapes)
        return self.shapes

    def cut(self, lines: Lines, lonlat: Floats) -> Pieces:
        """
        Return the pieces of lines between the borders of districts.

        Parameters
        ----------
        lines
            The lines in the plane.
        lonlat
            Their vertices, degrees, shape (vertices, 2).
        """
        import shapely

        of = pieces.segments(lines, lonlat)
        rings = shapely.get_rings(shapely.get_parts(self.shapes))
        corner, ring = shapely.get_coordinates(rings, return_index=True)
        begins = np.flatnonzero(ring[1:] == ring[:-1])
        return pieces.cut(lines, of, *crossings(of, corner[begins], corner[begins + 1]))


def crossings(of: Segments, begin: Floats, end: Floats) -> tuple[Whole, Floats]:
    """
    Return where segments cross, or run beside, edges.

    Parameters
    ----------
    of
        The segments.
    begin, end
        Both ends of the edges, degrees, shape (edges, 2).

    Returns
    -------
    segment, share
        The number of the segment, and the place on it, from 0 to 1.
    """
    import shapely

    tree = shapely.STRtree(np.asarray(shapely.linestrings(np.stack([begin, end], axis=1))))
    found: list[tuple[Whole, Floats]] = [(np.empty(0, dtype=np.int64), np.empty(0))]
    for turn in (0.0, -360.0, 360.0):
        lon = of.lon + turn
        beyond = np.flatnonzero((np.maximum(lon, lon + of.east) >= -180) & (np.minimum(lon, lon + of.east) <= 180))
        for start in range(0, len(beyond), AT_ONCE):
            own = beyond[start : start + AT_ONCE]
            ends = np.stack([lon[own], of.lat[own], lon[own] + of.east[own], of.lat[own] + of.north[own]], axis=1)
            segment, edge = tree.query(shapely.linestrings(ends.reshape(-1, 2, 2)))
            found += _on_segments(own[segment], ends[segment], begin[edge], end[edge])
    segments, shares = zip(*found, strict=True)
    return np.concatenate(segments), np.concatenate(shares)


def _on_segments(segment: Whole, ends: Floats, begin: Floats, end: Floats) -> list[tuple[Whole, Floats]]:
    """Return the places on segments where they meet edges; of those on one line with an edge, those of its ends."""
    at, along, edge, away = ends[:, :2], ends[:, 2:] - ends[:, :2], end - begin, begin - ends[:, :2]
    turn = along[:, 0] * edge[:, 1] - along[:, 1] * edge[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (away[:, 0] * edge[:, 1] - away[:, 1] * edge[:, 0]) / turn
        on_edge = (away[:, 0] * along[:, 1] - away[:, 1] * along[:, 0]) / turn
    meets = np.flatnonzero((turn != 0) & (on_edge >= -SLACK) & (on_edge <= 1 + SLACK))
    found = [(segment[meets], share[meets])]
    square = (along * along).sum(axis=1)
    beside = np.flatnonzero((turn == 0) & (square > 0))
    places = (((corner - at) * along).sum(axis=1)[beside] / square[beside] for corner in (begin, end))
    return [*found, *((segment[beside], place) for place in places)]
