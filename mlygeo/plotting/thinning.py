"""
What is drawn of frames that hold more than a browser bears: rows spread over the whole, and simpler lines.

The rows that stay are a function of the positions: one in each cell of a lattice as fine as their number
allows, so that every place that has something shows something and the extent is kept; the rest of the
number goes to rows at equal steps along Morton's curve, so that dense places stay dense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlygeo.progress import working
from mlygeo.spatial import cells

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.arrays import Flags, Floats, Objects, Rows, Words

WORLD = 2.0**32
"""Width and height of the Web Mercator world in whole numbers."""

NORTHMOST = 85.0511
"""Where the Web Mercator world ends, degrees: its height is its width."""

CHUNK = 1 << 20

CELLS = 0.7
"""The largest share of the rows that stay that goes to cells."""

FINEST_DEG = 1e-6
"""The first tolerance of simpler lines, degrees: a tenth of a metre."""


def world(lon: Floats, lat: Floats) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return Web Mercator positions as whole numbers (uint32); latitudes beyond `NORTHMOST` are moved to the edge."""
    x = np.mod(np.rint((lon + 180.0) / 360.0 * WORLD), WORLD)
    sine = np.sin(np.radians(np.clip(lat, -NORTHMOST, NORTHMOST)))
    y = np.rint((0.5 - np.arctanh(sine) / (2 * np.pi)) * WORLD)
    return x.astype(np.uint32), np.clip(y, 0, WORLD - 1).astype(np.uint32)


def curve(x: npt.NDArray[np.uint32], y: npt.NDArray[np.uint32]) -> Words:
    """Return the place of each position on Morton's curve, on which neighbours follow each other."""
    east, south = (cells.spread(values.astype(np.uint64)) for values in (x, y))
    return east | (south << np.uint64(1))


@working("thinning what is drawn")
def rows_to_draw(lon: Floats, lat: Floats, most: int) -> Rows:
    """
    Return the rows that stand for all, ascending, at most so many.

    Parameters
    ----------
    lon, lat
        Degrees, finite.
    most
        How many; all where there are no more.
    """
    if len(lon) <= most:
        return np.arange(len(lon))
    places = np.empty(len(lon), dtype=np.uint64)
    for start in range(0, len(lon), CHUNK):
        part = slice(start, start + CHUNK)
        places[part] = curve(*world(lon[part], lat[part]))
    order = np.argsort(places, kind="stable")
    places = places[order]
    outermost = np.array([lon.argmin(), lon.argmax(), lat.argmin(), lat.argmax()])
    room = max(most - len(outermost), 1)
    firsts = _first_of_cells(places, int(room * CELLS))
    # What is left of the number goes to all rows alike, in steps that are as equal as whole numbers allow.
    rest = max(room - len(firsts), 0)
    evenly = (np.arange(rest) * (len(order) / max(rest, 1))).astype(np.int64)
    chosen = np.concatenate([order[firsts], order[evenly], outermost])
    return np.unique(chosen)[-most:] if most < len(outermost) else np.unique(chosen)


def _first_of_cells(places: Words, most: int) -> Rows:
    """Return the first of each cell among sorted places on the curve, for the finest cells that are no more."""
    fine, coarse = 0, 64
    while coarse - fine > 1:  # a cell is what places share without their last bits
        bits = (fine + coarse) // 2
        if _starts(places, bits).sum() <= most:
            coarse = bits
        else:
            fine = bits
    return np.flatnonzero(_starts(places, coarse))


def _starts(places: Words, bits: int) -> Flags:
    starts = np.ones(len(places), dtype=bool)
    if bits >= 64:
        starts[1:] = False
        return starts
    for start in range(1, len(places), CHUNK):
        part = slice(start, min(start + CHUNK, len(places)))
        cells = places[start - 1 : part.stop] >> np.uint64(bits)
        starts[part] = cells[1:] != cells[:-1]
    return starts


def rows_of_tracks(number: Rows, most: int) -> Rows:
    """
    Return the places in the order of tracks that stand for all: at equal steps, and the ends of every track.

    Parameters
    ----------
    number
        Number of the track of each position, in order.
    most
        How many; the ends of tracks are left out where they alone are more.
    """
    if len(number) <= most:
        return np.arange(len(number))
    begins = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    ends = np.append(begins[1:] - 1, len(number) - 1)
    fixed = np.unique(np.concatenate([begins, ends]))
    if len(fixed) > most // 2:
        fixed = fixed[:: -(-len(fixed) // max(most // 2, 1))]
    rest = max(most - len(fixed), 1)
    evenly = (np.arange(rest) * (len(number) / rest)).astype(np.int64)
    return np.unique(np.concatenate([fixed, evenly]))


@working("simplifying lines")
def simpler(geometry: Objects, most: int) -> tuple[Objects, float]:
    """
    Return lines or borders of areas with at most so many vertices, if simplifying can do it, and the tolerance.

    Parameters
    ----------
    geometry
        Lines and areas, degrees.
    most
        How many vertices all have together.

    Returns
    -------
    geometry
        The same where they are no more.
    tolerance
        How far lines may have moved, degrees; 0 where nothing was done.
    """
    import shapely

    tolerance, found = 0.0, geometry
    while shapely.get_num_coordinates(found).sum() > most and tolerance < 1:
        tolerance = max(tolerance * 4, FINEST_DEG)
        found = np.asarray(shapely.simplify(geometry, tolerance, preserve_topology=False))
        gone = shapely.is_empty(found)
        found[gone] = shapely.simplify(geometry[gone], tolerance, preserve_topology=True)
    return found, tolerance
