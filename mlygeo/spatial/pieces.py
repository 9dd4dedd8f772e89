"""
Pieces of streets between borders, in whole micrometres along the streets, so that lengths add up exactly.

Streets are cut where they cross borders, in degrees, and a piece belongs to where its middle lies. A cut where
nothing changes does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.degrees import wrapped

if TYPE_CHECKING:
    from mlygeo.arrays import Floats, Whole
    from mlygeo.spatial.polylines import Lines
    from mlygeo.spatial.reach import Stretches

MICROMETRES = 1e6


class Segments(NamedTuple):
    """The straight parts of lines: the first vertex, where it lies, and how far east and north the next is, degrees."""

    vertex: Whole
    lon: Floats
    lat: Floats
    east: Floats
    north: Floats


class Pieces(NamedTuple):
    """Pieces in the order of lines and places: from start to stop along a line, micrometres; the middle in degrees."""

    line: Whole
    start: Whole
    stop: Whole
    lon: Floats
    lat: Floats


def micrometres(metres: Floats) -> Whole:
    """Return lengths as whole micrometres."""
    return np.rint(metres * MICROMETRES).astype(np.int64)


def segments(lines: Lines, lonlat: Floats) -> Segments:
    """
    Return the straight parts of lines.

    Parameters
    ----------
    lines
        The lines in the plane.
    lonlat
        Their vertices, degrees, shape (vertices, 2).
    """
    vertex = np.delete(np.arange(len(lonlat)), lines.first[1:] - 1)
    lon, lat = lonlat[vertex].T
    east, north = (lonlat[vertex + 1] - lonlat[vertex]).T
    return Segments(vertex, lon, lat, wrapped(east), north)


def cut(lines: Lines, of: Segments, segment: Whole, share: Floats) -> Pieces:
    """
    Return the pieces of lines between cuts.

    Parameters
    ----------
    lines
        The lines in the plane.
    of
        Their segments.
    segment, share
        Where to cut: the number of the segment, and the place on it from 0 to 1; in any order.

    Returns
    -------
    pieces
        They make up the lines; what is shorter than a micrometre is left out.
    """
    inside = (share > 0) & (share < 1)
    number = np.concatenate((np.arange(len(of.vertex)), segment[inside]))
    begin = np.concatenate((np.zeros(len(of.vertex)), share[inside]))
    order = np.lexsort((begin, number))
    number, begin = number[order], begin[order]
    is_last = np.append(number[1:] != number[:-1], np.ones(min(len(number), 1), dtype=bool))
    end = np.where(is_last, 1.0, np.append(begin[1:], 1.0)[: len(begin)])
    vertex = of.vertex[number]
    along, step = lines.along[vertex], lines.step[vertex + 1]
    start = micrometres(along + begin * step)
    stop = micrometres(np.where(is_last, lines.along[vertex + 1], along + end * step))
    middle = (begin + end) / 2
    lon = wrapped(of.lon[number] + middle * of.east[number])
    lat = of.lat[number] + middle * of.north[number]
    line = np.searchsorted(lines.first, vertex, side="right") - 1
    real = stop > start
    return Pieces(line[real], start[real], stop[real], lon[real], lat[real])


class Axis:
    """
    Lines laid end to end, with stretches on them.

    Parameters
    ----------
    length
        Lengths of the lines, metres.
    stretches
        Disjoint parts of them, in order.
    """

    def __init__(self, length: Floats, stretches: Stretches) -> None:
        size = micrometres(length)
        self._base = np.cumsum(size) - size
        self._starts = self._base[stretches.line] + micrometres(stretches.start)
        self._lengths = micrometres(stretches.stop) - micrometres(stretches.start)
        self._before = np.cumsum(self._lengths) - self._lengths

    def within(self, line: Whole, start: Whole, stop: Whole) -> Whole:
        """Return how much of parts of lines the stretches cover, micrometres; the parts are so, too."""
        return self._until(self._base[line] + stop) - self._until(self._base[line] + start)

    def _until(self, place: Whole) -> Whole:
        if not len(self._starts):
            return np.zeros(len(place), dtype=np.int64)
        last = np.searchsorted(self._starts, place, side="right") - 1
        at = np.maximum(last, 0)
        covered = self._before[at] + np.minimum(place - self._starts[at], self._lengths[at])
        return np.where(last < 0, 0, covered)
