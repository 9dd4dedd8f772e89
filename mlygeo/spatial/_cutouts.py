"""Parts of lines as lines of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.spatial import polylines

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.spatial.geodesy import Projection
    from mlygeo.spatial.polylines import Floats, Ints, Lines


def complement(line: Ints, start: Floats, stop: Floats, length: Floats) -> tuple[Ints, Floats, Floats]:
    """
    Return what is left of lines between stretches.

    Parameters
    ----------
    line, start, stop
        Disjoint stretches, metres along their lines.
    length
        Lengths of all lines.

    Returns
    -------
    line, start, stop
        In the order of lines and places; some may have no length.
    """
    every = np.arange(len(length))
    # One more piece is left than there are stretches: each begins where a stretch stops, and the first at 0.
    left = np.concatenate((every, line))
    begins, ends = np.concatenate((np.zeros(len(length)), stop)), np.concatenate((start, length))
    begin_order = np.lexsort((begins, left))
    end_order = np.lexsort((ends, np.concatenate((line, every))))
    return left[begin_order], begins[begin_order], ends[end_order]


def substrings(
    lines: Lines, lonlat: Floats, projection: Projection, line: Ints, *, start: Floats, stop: Floats
) -> npt.NDArray[np.object_]:
    """
    Return parts of lines as geometries, EPSG:4326.

    Parameters
    ----------
    lines
        The lines in the plane.
    lonlat
        Their vertices, degrees, shape (vertices, 2).
    projection
        From one to the other.
    line
        The line of each part.
    start, stop
        Metres along it, start < stop. A part that begins or ends with its line has the line's own vertex there.
    """
    import shapely

    if not len(line):
        return np.empty(0, dtype=object)
    head, after = _places(lines, lonlat, projection, line, start)
    tail, before = _places(lines, lonlat, projection, line, stop)
    inside = np.maximum(before - after, 0)
    part = np.repeat(np.arange(len(line)), inside)
    vertex = np.arange(inside.sum()) + np.repeat(after + 1 - np.cumsum(inside) + inside, inside)
    between = (lines.along[vertex] > start[part]) & (lines.along[vertex] < stop[part])
    part, vertex = part[between], vertex[between]
    owner = np.concatenate((np.arange(len(line)), part, np.arange(len(line))))
    order = np.argsort(owner, kind="stable")
    coordinates = np.concatenate((head, lonlat[vertex], tail))[order]
    return np.asarray(shapely.linestrings(coordinates, indices=owner[order]))


def _places(lines: Lines, lonlat: Floats, projection: Projection, line: Ints, distance: Floats) -> tuple[Floats, Any]:
    """Return places along lines, degrees, and the vertex before each."""
    x, y, segment = polylines.locate(lines, line, distance)
    places = np.column_stack(projection.inverse(x, y))
    first, last = lines.first[line], lines.first[line + 1] - 1
    at_start, at_end = distance <= 0, distance >= lines.along[last]
    places[at_start], places[at_end] = lonlat[first[at_start]], lonlat[last[at_end]]
    return places, segment
