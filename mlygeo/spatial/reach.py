"""
Stretches of lines that lie within a distance of points, exactly: circles cut segments, and the stretches are joined.

Points are sorted into a grid once; each segment reads the cells around it. Lines are processed in
chunks of neighbours, so that memory is bounded whatever the number of points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import arrays
from mlygeo.arrays import in_threads
from mlygeo.spatial import polylines
from mlygeo.spatial.grid import SMALLEST_CELL_M, Box, Grid, build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlygeo.arrays import Flags, Floats, Objects, Whole, Whole32
    from mlygeo.spatial.polylines import Lines
    from mlygeo.spatial.projection import Projection

TOUCH_M = 1e-6
"""Tolerance for rounding: stretches closer than this are joined, and those this close to the line's end reach it."""

APART_M = 1.0
"""Space between the lines of a chunk, which are laid one after another on one axis."""

STEPS_PER_M = float(1 << 24)
"""Places along lines are whole numbers of this part of a metre, 0.06 micrometres: they are sorted and joined exactly,
whatever other lines are at hand."""

LONGEST_M = 1e11
"""The longest line: 2,500 times round the earth. Such places fit into whole numbers."""

CHUNK_SEGMENTS = 4096

CHUNK_PAIRS = 1 << 19
"""Pairs of segments and points that are compared together."""

NEIGHBOURHOOD_M = 500.0
"""Lines are processed by squares of this side, so that look-ups stay in the caches."""

NEVER = np.iinfo(np.int64).min
"""The time where there is no point."""

_NO_ROWS, _NO_METRES = np.empty(0, dtype=np.int64), np.empty(0)


def reach(
    lines: Lines,
    points: tuple[Floats, Floats],
    distance: float,
    *,
    time: Whole,
    classes: Mapping[str, Classes],
    nearest: bool = False,
) -> Reached:
    """
    Return the parts of lines that lie within a distance of points, inclusive.

    Parameters
    ----------
    lines
        Lines in the plane.
    points
        Positions (x, y), metres; positions that are not finite are ignored.
    distance
        Metres.
    time
        Time of each point, for the newest.
    classes
        Classes of the points, by name.
    nearest
        Find the nearest line of each point, too.
    """
    search = _Search(lines, points, distance, time, classes, nearest=nearest)
    parts = search.run()
    stretches = Stretches(*_together([part.stretches for part in parts], _NO_STRETCHES))
    order = np.argsort(stretches.line, kind="stable")
    number = len(lines.first) - 1
    counts, newest = np.zeros(number, dtype=np.int64), np.full(number, NEVER)
    for part in parts:
        counts[part.lines], newest[part.lines] = part.points, part.newest
    groups = {}
    for name in classes:
        found = Groups(*_together([part.groups[name] for part in parts], _NO_GROUPS))
        by_line = np.lexsort((found.code, found.line))
        groups[name] = Groups(*_rows(found, by_line))
    found_nearest = _least(Nearest(*_together([part.nearest for part in parts], _NO_NEAREST))) if nearest else None
    return Reached(Stretches(*_rows(stretches, order)), counts, newest, groups, search.near, found_nearest)


@dataclass(frozen=True)
class Classes:
    """A class for each point, as a number from 0."""

    codes: Whole32
    count: int


@dataclass(frozen=True)
class Reached:
    """
    The parts of lines that lie within a distance of points.

    Parameters
    ----------
    stretches
        The parts of lines within the distance.
    points
        Number of points within the distance of each line.
    newest
        Latest time among them, `NEVER` where there is none.
    groups
        The same for each class, by the names of the classes.
    near
        Which of all points lie within the distance of some line.
    nearest
        The nearest line of each of these, in their order; None where nobody asked.
    """

    stretches: Stretches
    points: Whole
    newest: Whole
    groups: dict[str, Groups]
    near: Flags
    nearest: Nearest | None = None


class Stretches(NamedTuple):
    """Parts of lines, from start to stop (metres along the line), in the order of lines and places."""

    line: Whole
    start: Floats
    stop: Floats


_NO_STRETCHES = Stretches(_NO_ROWS, _NO_METRES, _NO_METRES)


class Groups(NamedTuple):
    """For pairs of lines and classes: how much of the line lies near points of the class, and how many they are."""

    line: Whole
    code: Whole
    covered_m: Floats
    points: Whole


_NO_GROUPS = Groups(_NO_ROWS, _NO_ROWS, _NO_METRES, _NO_ROWS)


class Nearest(NamedTuple):
    """For points near lines: the nearest line, of several the first, and the squared distance to it, m²."""

    point: Whole
    line: Whole
    square: Floats


_NO_NEAREST = Nearest(_NO_ROWS, _NO_ROWS, _NO_METRES)


def _least(found: Nearest) -> Nearest:
    """Return the nearest line of each point, in the order of points."""
    order = np.lexsort((found.line, found.square, found.point))
    point = found.point[order]
    return Nearest(*_rows(found, order[np.diff(point, prepend=-1) != 0]))


def join(owner: Whole, start: Floats, stop: Floats, length: Floats) -> Stretches:
    """
    Join stretches that overlap or touch.

    With starts and stops sorted separately, there is a gap wherever the next start exceeds the stop of
    the same rank; so the pairs need no order. What is found on a line does not depend on the other lines.

    Parameters
    ----------
    owner
        Number of the line that each stretch lies on, from 0.
    start, stop
        Metres along it.
    length
        Lengths of the lines.
    """
    if not len(owner):
        return _NO_STRETCHES
    size = _steps(length)
    base = np.cumsum(size + int(APART_M * STEPS_PER_M)) - size
    starts, stops = _steps(start) + base[owner], _steps(stop) + base[owner]
    starts.sort()
    stops.sort()
    touch = round(TOUCH_M * STEPS_PER_M)
    gap = np.flatnonzero(starts[1:] > stops[:-1] + touch)
    starts, stops = starts[np.concatenate(([0], gap + 1))], stops[np.concatenate((gap, [len(stops) - 1]))]
    owner = np.searchsorted(base, starts, side="right") - 1
    starts, stops = starts - base[owner], stops - base[owner]
    starts[starts < touch] = 0
    ends = stops > size[owner] - touch
    begin, end = starts / STEPS_PER_M, stops / STEPS_PER_M
    end[ends] = length[owner][ends]
    return Stretches(owner, np.minimum(begin, end), end)


def _steps(metres: Floats) -> Whole:
    return np.rint(metres * STEPS_PER_M).astype(np.int64)


def covered_m(stretches: Stretches, lines: int) -> Floats:
    """Return the length of the stretches on each of so many lines, metres."""
    metres = np.bincount(stretches.line, stretches.stop - stretches.start, minlength=lines)
    return metres.astype(np.float64)


def _together(parts: Sequence[tuple[Any, ...]], nothing: tuple[Any, ...]) -> list[Any]:
    """Put tables, given as tuples of columns, one below the other."""
    return [np.concatenate(columns) for columns in zip(nothing, *parts, strict=True)]


def _rows(table: tuple[Any, ...], rows: Whole) -> list[Any]:
    """Take rows of a table that is given as a tuple of columns."""
    return [column[rows] for column in table]


class _Part(NamedTuple):
    """The result of a chunk of lines; `stretches` and `groups` number the lines among all lines."""

    lines: Whole
    stretches: Stretches
    points: Whole
    newest: Whole
    groups: dict[str, Groups]
    nearest: Nearest


class _Hits(NamedTuple):
    """
    Stretches around single points: the line's number in its chunk, and the point's entry in the grid.

    The squared distance is there if the nearest lines are asked for.
    """

    line: Whole
    start: Floats
    stop: Floats
    entry: Whole
    square: Floats


class _Search:
    """The search of `reach`: the grid, and the lines in the order in which they are processed."""

    def __init__(
        self,
        lines: Lines,
        points: tuple[Floats, Floats],
        distance: float,
        time: Whole,
        classes: Mapping[str, Classes],
        *,
        nearest: bool,
    ) -> None:
        self.lines, self.distance, self.time, self.classes, self.nearest = lines, distance, time, classes, nearest
        self.near = np.zeros(len(points[0]), dtype=bool)
        self.grid: Grid | None = None
        if not len(lines.x):
            return
        margin = distance * (1 + 1e-9) + 1e-3
        low = lines.x.min() - margin, lines.y.min() - margin
        high = lines.x.max() + margin, lines.y.max() + margin
        x, y = points
        with np.errstate(invalid="ignore"):
            inside = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
        chosen = np.flatnonzero(inside).astype(np.int32)
        if len(chosen):
            at_x, at_y = x[chosen], y[chosen]
            box = Box(float(at_x.min()), float(at_y.min()), float(at_x.max()), float(at_y.max()))
            everything = None if len(chosen) == len(x) else chosen
            self.grid = build(points, everything, box, at_least=max(distance / 4, SMALLEST_CELL_M))

    def run(self) -> list[_Part]:
        """Process all lines, chunk by chunk."""
        if self.grid is None:
            return []
        first = self.lines.first
        x, y = self.lines.x[first[:-1]], self.lines.y[first[:-1]]
        row, column = (np.floor(values / NEIGHBOURHOOD_M).astype("int64") for values in (y, x))
        order = np.lexsort((column, row))
        segments = np.cumsum((np.diff(first) - 1)[order])
        borders = np.searchsorted(segments, np.arange(CHUNK_SEGMENTS, segments[-1], CHUNK_SEGMENTS))
        chunks = [chunk for chunk in np.split(order, borders) if len(chunk)]
        parts: list[_Part | None] = [None] * len(chunks)

        def work(start: int, stop: int) -> None:
            for number in range(start, stop):
                parts[number] = self._part(np.sort(chunks[number]))

        in_threads(work, len(chunks), 1, "parts of the streets")
        return [part for part in parts if part is not None]

    def _part(self, chosen: Whole) -> _Part:
        lines, grid = self.lines, self.grid
        assert grid is not None  # noqa: S101 - `run` asks before
        counts = np.diff(lines.first)[chosen] - 1
        owner = np.repeat(np.arange(len(chosen)), counts)
        vertex = arrays.numbered(counts, lines.first[chosen])
        hits = self._hits(grid, vertex, owner)

        length = lines.length[chosen]
        found = join(hits.line, hits.start, hits.stop, length)
        newest = np.full(len(chosen), NEVER)
        rows = grid.rows[hits.entry]
        self.near[rows] = True
        some = np.flatnonzero(np.diff(hits.line, prepend=-1))
        if len(some):
            newest[hits.line[some]] = np.maximum.reduceat(self.time[rows], some)
        # A point near several segments of a line counts once.
        pairs = (hits.line << 32) | hits.entry
        pairs.sort()
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]
        line, row = pairs >> 32, grid.rows[pairs & 0xFFFFFFFF]
        groups = {}
        for name, kind in self.classes.items():
            codes = kind.codes[rows]
            keys, owners = _compact(hits.line * kind.count + codes, len(chosen) * kind.count)
            stretches = join(owners, hits.start, hits.stop, length[keys // kind.count])
            covered = covered_m(stretches, len(keys))
            mine = np.searchsorted(keys, line * kind.count + kind.codes[row])
            points = np.bincount(mine, minlength=len(keys))
            groups[name] = Groups(chosen[keys // kind.count], keys % kind.count, covered, points)
        stretches = Stretches(chosen[found.line], found.start, found.stop)
        nearest = _NO_NEAREST
        if self.nearest:
            nearest = _least(Nearest(grid.rows[hits.entry].astype(np.int64), chosen[hits.line], hits.square))
        return _Part(chosen, stretches, np.bincount(line, minlength=len(chosen)), newest, groups, nearest)

    def _hits(self, grid: Grid, vertex: Whole, owner: Whole) -> _Hits:
        """Cut the segments that start at these vertices with the circles around all points."""
        segment, begin, lengths = self._windows(grid, vertex)
        pairs = np.cumsum(lengths)
        parts: list[_Hits] = []
        cut = 0
        while cut < len(pairs):
            done = pairs[cut - 1] if cut else 0
            stop = max(cut + 1, int(np.searchsorted(pairs, done + CHUNK_PAIRS, side="right")))
            parts.append(self._cut(grid, vertex, owner, segment[cut:stop], begin[cut:stop], lengths[cut:stop]))
            cut = stop
        return _Hits(*_together(parts, _Hits(_NO_ROWS, _NO_METRES, _NO_METRES, _NO_ROWS, _NO_METRES)))

    def _windows(self, grid: Grid, vertex: Whole) -> tuple[Whole, Whole, Whole]:
        """Return runs of grid entries around segments: the segment, the first entry, and the number of entries."""
        x0, y0 = self.lines.x[vertex], self.lines.y[vertex]
        x1, y1 = self.lines.x[vertex + 1], self.lines.y[vertex + 1]
        reach = self.distance + grid.slack
        low = ((np.minimum(y0, y1) - (reach + grid.south)) * (1 / grid.height)).astype(np.int64)
        high = ((np.maximum(y0, y1) + (reach - grid.south)) * (1 / grid.height)).astype(np.int64)
        np.clip(low, 0, grid.lines - 1, out=low)
        np.clip(high, 0, grid.lines - 1, out=high)
        count = high - low + 1
        segment = np.repeat(np.arange(len(vertex)), count)
        line = arrays.numbered(count, low)
        # The part of a segment that comes near a row of cells limits how far to search along that row.
        bottom = grid.south + line * grid.height - reach
        rise = np.where(y1 == y0, 1.0, y1 - y0)[segment]
        begins, finishes = (bottom - y0[segment]) / rise, (bottom + grid.height + 2 * reach - y0[segment]) / rise
        level = (y1 == y0)[segment]
        lower = np.where(level, 0.0, np.clip(np.minimum(begins, finishes), 0.0, 1.0))
        upper = np.where(level, 1.0, np.clip(np.maximum(begins, finishes), 0.0, 1.0))
        run = (x1 - x0)[segment]
        left, right = x0[segment] + run * lower, x0[segment] + run * upper
        first = ((np.minimum(left, right) - (reach + grid.west)) * (1 / grid.width)).astype(np.int64)
        last = ((np.maximum(left, right) + (reach - grid.west)) * (1 / grid.width)).astype(np.int64)
        np.clip(first, 0, grid.columns - 1, out=first)
        np.clip(last, 0, grid.columns - 1, out=last)
        line *= grid.columns
        begin = grid.starts[line + first].astype(np.int64)
        lengths = grid.starts[line + last + 1] - begin
        filled = np.flatnonzero(lengths)
        return segment[filled], begin[filled], lengths[filled]

    def _cut(  # noqa: PLR0917 - arrays that belong together
        self, grid: Grid, vertex: Whole, owner: Whole, segment: Whole, begin: Whole, lengths: Whole
    ) -> _Hits:
        lines = self.lines
        at = vertex[segment]
        step = lines.step[at + 1]
        # A segment without length is a point; its direction does not matter.
        share = np.divide(1.0, step, out=np.zeros(len(step)), where=step > 0)
        east = np.where(step > 0, (lines.x[at + 1] - lines.x[at]) * share, 1.0)
        north = (lines.y[at + 1] - lines.y[at]) * share
        entry = arrays.numbered(lengths, begin)
        window = np.repeat(np.arange(len(lengths)), lengths)
        dx = grid.x[entry] - lines.x[at][window]
        dy = grid.y[entry] - lines.y[at][window]
        beside = dx * north[window] - dy * east[window]
        chord = self.distance * self.distance - beside * beside
        met = beside_of = np.flatnonzero(chord >= 0)
        window, entry, dx, dy = window[met], entry[met], dx[met], dy[met]
        middle = dx * east[window] + dy * north[window]
        half = np.sqrt(chord[met])
        start, stop = middle - half, middle + half
        met = np.flatnonzero((stop >= 0) & (start <= step[window]))
        square = _NO_METRES
        if self.nearest:
            beyond = np.maximum(np.maximum(-middle[met], middle[met] - step[window[met]]), 0.0)
            square = beside[beside_of[met]] ** 2 + beyond * beyond
        window, start, stop = window[met], np.maximum(start[met], 0.0), stop[met]
        at, step = at[window], step[window]
        # The next segment starts where this one ends, to the last bit.
        stop = np.where(stop >= step, lines.along[at + 1], lines.along[at] + stop)
        return _Hits(owner[segment[window]], lines.along[at] + start, stop, entry[met], square)


def _compact(keys: Whole, count: int) -> tuple[Whole, Whole]:
    """Return the sorted distinct values among keys below a count, and the place of each key among them."""
    if count > max(8 * len(keys), 1 << 16):
        values, places = np.unique(keys, return_inverse=True)
        return values, places
    present = np.zeros(count, dtype=bool)
    present[keys] = True
    values = np.flatnonzero(present)
    return values, (np.cumsum(present) - 1)[keys]


# Parts of lines as lines of their own.


def complement(line: Whole, start: Floats, stop: Floats, length: Floats) -> tuple[Whole, Floats, Floats]:
    """
    Return the parts of lines between stretches.

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
    lines: Lines, lonlat: Floats, projection: Projection, line: Whole, *, start: Floats, stop: Floats
) -> Objects:
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
    vertex = arrays.numbered(inside, after + 1)
    between = (lines.along[vertex] > start[part]) & (lines.along[vertex] < stop[part])
    part, vertex = part[between], vertex[between]
    owner = np.concatenate((np.arange(len(line)), part, np.arange(len(line))))
    order = np.argsort(owner, kind="stable")
    coordinates = np.concatenate((head, lonlat[vertex], tail))[order]
    return np.asarray(shapely.linestrings(coordinates, indices=owner[order]))


def _places(lines: Lines, lonlat: Floats, projection: Projection, line: Whole, distance: Floats) -> tuple[Floats, Any]:
    """Return places along lines, degrees, and the vertex before each."""
    x, y, segment = polylines.locate(lines, line, distance)
    places = np.column_stack(projection.inverse(x, y))
    first, last = lines.first[line], lines.first[line + 1] - 1
    at_start, at_end = distance <= 0, distance >= lines.along[last]
    places[at_start], places[at_end] = lonlat[first[at_start]], lonlat[last[at_end]]
    return places, segment
