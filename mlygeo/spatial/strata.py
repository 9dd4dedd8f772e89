"""
Strata of streets: which stretch of each street belongs to which class, polygon or cell, and how long they are.

Stretches are exact: streets are cut where they cross the border of a polygon or cell. A street's parts have
together its length.
"""

from __future__ import annotations

import bisect
import heapq
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import arrays
from mlygeo.errors import FrameError, InputError
from mlygeo.spatial import cells, polylines
from mlygeo.spatial.pieces import micrometres

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd

    from mlygeo.arrays import Floats, Objects, Whole
    from mlygeo.spatial.measured import Network

UNKNOWN = "unknown"
"""Name of the stratum of streets without a value in the column."""

OUTSIDE = -1
"""Instead of a stratum: the stretch belongs to none."""

LEAST_M = 1e-3
"""Stretches shorter than this belong to their neighbour on the street: what rounding leaves at a border."""

MOST_PIECES = 20_000_000
"""More pieces of streets than this mean a mistake in the size of cells, and would not fit in memory."""

MOST_OVERLAP = 1e-2
"""Share of the smaller of two polygons that may be in both: borders drawn twice seldom agree."""

MOST_NUMBER = 1 << 31
"""Columns and lines of squares are counted up to this, either way from the origin of the plane."""

LONGEST_SIDE_DEG = 0.01
"""Sides of polygons are straight in degrees; in the plane they bend, and so are projected in pieces."""

FAR_DEG = 3.0
"""Polygons are cut so far beyond the streets: what lies further away may have no place in the plane of the streets."""

MOST_LOOKED_UP = 2_000_000
"""Places whose hexagon is looked up, one after another; it takes some seconds."""


class Stretches(NamedTuple):
    """Stretches of streets by stratum."""

    row: Whole
    """The row of each stretch's street."""
    start: Floats
    """Where it starts, metres along the street."""
    stop: Floats
    stratum: Whole
    """Number of its stratum; OUTSIDE where it belongs to none."""
    labels: Objects
    """Name of each stratum."""

    def lengths(self) -> Whole:
        """Return the length of each stratum, in whole micrometres: in their sums no order matters."""
        inside = self.stratum >= 0
        total = np.zeros(len(self.labels), dtype=np.int64)
        np.add.at(total, self.stratum[inside], micrometres(self.stop - self.start)[inside])
        return total

    def outside_m(self) -> float:
        """Return the length of streets that belong to no stratum, metres."""
        outside = self.stratum < 0
        return float(np.rint((self.stop - self.start)[outside] * 1e6).sum() / 1e6)


@dataclass(frozen=True)
class Cell:
    """
    Cells of a grid: squares in the plane, tiles of the web map, or hexagons of H3.

    Parameters
    ----------
    kind
        "metres", "quadkey" or "h3".
    size
        Metres, zoom, or resolution.
    """

    kind: str
    size: float

    @classmethod
    def of(cls, cell: float | str) -> Cell:
        """
        Return the cells that a text or a number of metres means.

        Parameters
        ----------
        cell
            Metres, or a text such as "quadkey17" or "h3:9".

        Raises
        ------
        InputError
            If it means none, or there is no such zoom or resolution.
        """
        if not isinstance(cell, str):
            if not 0 < cell < np.inf:
                raise InputError(f"`cell` must be a positive number of metres, not {cell:g}")
            return cls("metres", float(cell))
        return cls(*cells.named(cell, "cell", also="a number of metres, "))

    def __str__(self) -> str:
        """Return the text that means these cells."""
        return {"metres": f"{self.size:g}", "quadkey": f"quadkey{self.size:g}", "h3": f"h3:{self.size:g}"}[self.kind]


def whole(network: Network, rows: Whole, codes: Whole, labels: Objects) -> Stretches:
    """
    Return whole streets as stretches.

    Parameters
    ----------
    network
        The streets.
    rows
        A row for each street.
    codes
        Number of the stratum of each.
    labels
        Name of each stratum.
    """
    length = network.lines.length[rows]
    return Stretches(rows, np.zeros(len(rows)), length, codes, labels)


def by_column(network: Network, rows: Whole, streets: gpd.GeoDataFrame, column: str) -> Stretches:
    """
    Return streets by a column of theirs.

    Parameters
    ----------
    network, rows
        The streets, and a row for each.
    streets
        Their frame.
    column
        The column; its values as text are the names of the strata, `UNKNOWN` where there is none.

    Raises
    ------
    FrameError
        If there is no such column.
    """
    if column not in streets.columns or column == streets.geometry.name:
        raise FrameError(f"the streets have no column {column!r}", hint=f"they have {_listed(streets)}")
    labels, codes = np.unique(_names(streets[column].iloc[rows]), return_inverse=True)
    return whole(network, rows, codes.astype(np.int64), labels.astype(object))


def by_polygons(network: Network, rows: Whole, polygons: gpd.GeoDataFrame, column: str | None = None) -> Stretches:
    """
    Return stretches of streets by the polygon they lie in; on a common border they belong to the first by name.

    Parameters
    ----------
    network, rows
        The streets, and a row for each.
    polygons
        Frame of polygons, EPSG:4326.
    column
        Its column with the names of the strata; polygons of one name are one stratum. By default `name` if there is
        one, else polygons are numbered from 1.

    Raises
    ------
    FrameError
        If there is no such column, or something else than valid polygons, or polygons of two strata overlap.
    """
    import shapely

    shapes = np.asarray(polygons.geometry.values)
    kinds = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
    odd = ~np.isin(shapely.get_type_id(shapes), kinds) | ~shapely.is_valid(shapes) | shapely.is_empty(shapes)
    if not len(shapes):
        raise FrameError("`strata` has no polygon")
    if odd.any():
        raise FrameError(
            f"`strata` holds {int(odd.sum()):,} rows of {len(odd):,} that are not valid polygons",
            hint="repair them, such as with shapely.make_valid, or leave them out",
        )
    column = "name" if column is None and "name" in polygons.columns else column
    if column is not None and (column not in polygons.columns or column == polygons.geometry.name):
        raise FrameError(f"`strata` has no column {column!r}", hint=f"it has {_listed(polygons)}")
    names = np.array([str(number) for number in range(1, len(shapes) + 1)], dtype=object)
    if column is not None:
        names = _names(polygons[column])
    fine = shapely.segmentize(_near(shapes, network), LONGEST_SIDE_DEG)
    planar = shapely.transform(fine, lambda lonlat: np.column_stack(network.projection.forward(*lonlat.T)))
    labels = names
    if column is not None:
        labels = np.unique(names)
        planar = np.array([shapely.union_all(planar[names == label]) for label in labels], dtype=object)
    _refuse_overlaps(planar, labels)
    segments = _Segments.of(network, rows)
    return segments.stretches(*segments.in_polygons(planar), labels.astype(object))


def by_cell(network: Network, rows: Whole, cell: Cell) -> Stretches:
    """
    Return stretches of streets by the cell of a grid they lie in.

    Parameters
    ----------
    network, rows
        The streets, and a row for each.
    cell
        The cells. Squares are counted from the origin of the plane, and so lie where they lie whatever the streets.

    Raises
    ------
    InputError
        If the cells are so small that streets would be cut into more pieces than fit in memory.
    DependencyError
        If H3 is asked for, and its package is missing.
    """
    segments = _Segments.of(network, rows)
    if cell.kind == "h3":
        return _by_hexagon(network, segments, int(cell.size))
    if cell.kind == "quadkey":
        zoom = int(cell.size)
        return segments.in_grid(
            *_web_map(network, segments, zoom),
            lambda x, y: cells.codes(*network.projection.inverse(x, y), zoom),
            lambda codes: [cells.quadkey(int(code), zoom) for code in codes],
        )
    size = cell.size
    columns, lines = (segments.x0 / size, segments.x1 / size), (segments.y0 / size, segments.y1 / size)
    if any(np.abs(ends).max(initial=0.0) > MOST_NUMBER for ends in (*columns, *lines)):
        raise InputError(f"`cell` is {size:g} metres, too few to number the cells", hint="use larger cells")
    return segments.in_grid(
        columns,
        lines,
        lambda x, y: (np.floor(x / size).astype(np.int64) << 32) + np.floor(y / size).astype(np.int64) + MOST_NUMBER,
        lambda codes: [f"{size:g} m {code >> 32} {(code & 0xFFFFFFFF) - MOST_NUMBER}" for code in codes.tolist()],
    )


def allocated(lengths: Whole, n: int) -> Whole:
    """
    Share out points among strata in proportion to their length, one at least to each.

    By the method of Sainte-Laguë: each further point goes to the stratum with the most length for an odd divisor,
    2 p + 1 where it has p points; ties in the order of strata. So with a larger `n` no stratum gets fewer, as it may
    with largest remainders. Whole numbers all along, so that every machine gives the same.

    Parameters
    ----------
    lengths
        Length of each stratum, whole micrometres, above 0.
    n
        How many points.

    Returns
    -------
    points
        int64, shape of `lengths`; their sum is `n`.

    Raises
    ------
    InputError
        If there are fewer points than strata.
    """
    if n < len(lengths):
        raise InputError(
            f"`n` is {n:,}, and there are {len(lengths):,} strata, of which each needs a point",
            hint="use a larger `n`, or fewer strata",
        )
    exact = [int(length) for length in lengths]  # products pass 64 bits
    total = sum(exact)

    def rounded(parts: int) -> list[int]:
        return [max(1, (2 * length * parts + total) // (2 * total)) for length in exact]

    # The lengths in parts, rounded, are what all strata have at some time; from the last before `n` on, one by one.
    parts = bisect.bisect_right(range(n + 1), n, key=lambda parts: sum(rounded(parts))) - 1
    points = rounded(parts)
    waiting = [(Fraction(-length, 2 * points[each] + 1), each) for each, length in enumerate(exact)]
    heapq.heapify(waiting)
    for _ in range(n - sum(points)):
        each = waiting[0][1]
        points[each] += 1
        heapq.heapreplace(waiting, (Fraction(-exact[each], 2 * points[each] + 1), each))
    return np.array(points, dtype=np.int64)


def _names(values: Any) -> Objects:
    """Return values as names of strata."""
    return np.array([UNKNOWN if value is None or value != value else str(value) for value in values], dtype=object)  # noqa: PLR0124 - NaN


def _listed(frame: gpd.GeoDataFrame) -> str:
    return ", ".join(str(name) for name in frame.columns if name != frame.geometry.name) or "none but the geometry"


def _near(shapes: Objects, network: Network) -> Objects:
    """Return polygons, of those that reach far beyond the streets what is near: a plane is not made for the rest."""
    import shapely

    west, south, east, north = polylines.bounds(network.lonlat)
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    boxes = [
        shapely.box(left - FAR_DEG, max(south - FAR_DEG, -90.0), right + FAR_DEG, min(north + FAR_DEG, 90.0))
        for left, right in spans
    ]
    around = shapely.union_all(boxes)
    far = np.flatnonzero(~shapely.covers(around, shapes))
    cut, of = shapely.get_parts(shapely.intersection(shapes[far], around), return_index=True)
    cut, each = shapely.get_parts(cut, return_index=True)
    areal = shapely.get_type_id(cut) == shapely.GeometryType.POLYGON
    cut, of = cut[areal], of[each][areal]
    found = shapes.copy()
    found[far] = [shapely.multipolygons(cut[of == place]) for place in range(len(far))]
    return found


def _refuse_overlaps(shapes: Objects, labels: Objects) -> None:
    import shapely

    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    one, other = one[one < other], other[one < other]
    shared = shapely.area(shapely.intersection(shapes[one], shapes[other]))
    smaller = np.minimum(shapely.area(shapes[one]), shapely.area(shapes[other]))
    if (over := np.flatnonzero(shared > MOST_OVERLAP * smaller)).size:
        first = over[0]
        raise FrameError(
            f"`strata`: {labels[one[first]]} and {labels[other[first]]} overlap, in {shared[first]:,.0f} square metres",
            hint="a place belongs to one stratum; cut the polygons, or give them the same name",
        )


@dataclass(frozen=True)
class _Segments:
    """The segments of streets in the plane, in the order of the streets and along them."""

    row: Whole
    x0: Floats
    y0: Floats
    x1: Floats
    y1: Floats
    along: Floats
    step: Floats

    @classmethod
    def of(cls, network: Network, rows: Whole) -> _Segments:
        lines = network.lines
        counts = (np.diff(lines.first) - 1)[rows]
        row = np.repeat(rows, counts)
        within = arrays.numbered(counts)
        at = lines.first[row] + within
        ends = lines.x[at], lines.y[at], lines.x[at + 1], lines.y[at + 1]
        return cls(row, *ends, lines.along[at], lines.along[at + 1] - lines.along[at])

    def __len__(self) -> int:
        return len(self.row)

    def at(self, segment: Whole, share: Floats) -> tuple[Floats, Floats]:
        """Return places on segments."""
        x, y = self.x0[segment], self.y0[segment]
        return x + share * (self.x1[segment] - x), y + share * (self.y1[segment] - y)

    def in_grid(
        self,
        across: tuple[Floats, Floats],
        up: tuple[Floats, Floats],
        code_of: Callable[[Floats, Floats], Whole],
        named: Callable[[Whole], list[str]],
    ) -> Stretches:
        """Return stretches by cell: `across` and `up` count columns and lines at both ends of each segment."""
        each, shares = zip(*(_crossings(*ends) for ends in (across, up)), strict=True)
        segment, start, stop = self.pieces(np.concatenate(each), np.concatenate(shares))
        codes = code_of(*self.at(segment, (start + stop) / 2))
        present, codes = np.unique(codes, return_inverse=True)
        return self.stretches(segment, start, stop, codes, np.array(named(present), dtype=object))

    def pieces(self, segment: Whole, share: Floats) -> tuple[Whole, Floats, Floats]:
        """Return the pieces into which segments are cut at shares of their length: the segment, from where to where."""
        every = np.arange(len(self))
        segment = np.concatenate((every, every, segment))
        share = np.concatenate((np.zeros(len(every)), np.ones(len(every)), np.clip(share, 0.0, 1.0)))
        order = np.lexsort((share, segment))
        segment, share = segment[order], share[order]
        keep = np.flatnonzero((segment[1:] == segment[:-1]) & (share[1:] > share[:-1]))
        return segment[keep], share[keep], share[keep + 1]

    def in_polygons(self, shapes: Objects) -> tuple[Whole, Floats, Floats, Whole]:
        """Return pieces of segments with the number of the first polygon that holds each; OUTSIDE where none does."""
        import shapely

        ends = np.stack((self.x0, self.y0, self.x1, self.y1), axis=1).reshape(-1, 2, 2)
        lines: Objects = np.asarray(shapely.linestrings(ends), dtype=object)
        tree = shapely.STRtree(lines)
        polygon, segment = tree.query(shapes, predicate="intersects")
        holding, held = tree.query(shapes, predicate="covers")
        wholly = np.isin(polygon * len(self) + segment, holding * len(self) + held)
        cut, of = segment[~wholly], polygon[~wholly]
        found, each = shapely.get_parts(shapely.intersection(lines[cut], shapes[of]), return_index=True)
        linear = (shapely.get_type_id(found) == shapely.GeometryType.LINESTRING) & ~shapely.is_empty(found)
        found, each = found[linear], each[linear]
        cut, of = cut[each], of[each]
        one, other = (
            self._share(cut, *shapely.get_coordinates(shapely.get_point(found, place)).T) for place in (0, -1)
        )
        every = np.concatenate((segment[wholly], cut)).astype(np.int64)
        start = np.concatenate((np.zeros(int(wholly.sum())), np.minimum(one, other)))
        stop = np.concatenate((np.ones(int(wholly.sum())), np.maximum(one, other)))
        code = np.concatenate((polygon[wholly], of)).astype(np.int64)
        piece, begin, end = self.pieces(np.concatenate((every, every)), np.concatenate((start, stop)))
        # Intervals begin and end where pieces do; of those that hold a piece the least code counts.
        place = np.append(piece + begin / 2, np.inf)
        low, high = np.searchsorted(place, every + start / 2), np.searchsorted(place, every + stop / 2)
        counts = np.maximum(high - low, 0)
        at = arrays.numbered(counts, low)
        none = np.iinfo(np.int64).max
        least = np.full(len(piece), none)
        np.minimum.at(least, at, np.repeat(code, counts))
        return piece, begin, end, np.where(least == none, OUTSIDE, least)

    def _share(self, segment: Whole, x: Floats, y: Floats) -> Floats:
        """Return where places on segments are on them, 0 to 1."""
        east, north = self.x1[segment] - self.x0[segment], self.y1[segment] - self.y0[segment]
        squared = east * east + north * north
        found = (x - self.x0[segment]) * east + (y - self.y0[segment]) * north
        return np.clip(np.divide(found, squared, out=np.zeros(len(found)), where=squared > 0), 0.0, 1.0)

    def stretches(self, segment: Whole, start: Floats, stop: Floats, code: Whole, labels: Objects) -> Stretches:
        """Return pieces joined to stretches of one street and stratum; those as short as an error go to a neighbour."""
        row = self.row[segment]
        begin = self.along[segment] + start * self.step[segment]
        end = self.along[segment] + stop * self.step[segment]
        row, begin, end, code = _joined(row, begin, end, code)
        for _ in range(2):  # the second time those that were first on their street
            short = end - begin < LEAST_M
            before = np.concatenate(([False], row[1:] == row[:-1])) & short
            source = np.maximum.accumulate(np.where(before, 0, np.arange(len(row))))
            code = code[source] if len(code) else code
            row, begin, end, code = _joined(row, begin, end, code)
            row, begin, end, code = row[::-1], begin[::-1], end[::-1], code[::-1]
        return Stretches(*_used(row, begin, end, code, labels))


def _used(
    row: Whole, begin: Floats, end: Floats, code: Whole, labels: Objects
) -> tuple[Whole, Floats, Floats, Whole, Objects]:
    """Return stretches with those strata only that have any, in the order of their names."""
    present = np.unique(code[code >= 0])
    order = present[np.argsort(labels[present].astype(str), kind="stable")] if len(present) else present
    number = np.full(len(labels) + 1, OUTSIDE, dtype=np.int64)
    number[order] = np.arange(len(order))
    return row, begin, end, number[code], labels[order]


def _joined(row: Whole, begin: Floats, end: Floats, code: Whole) -> tuple[Whole, Floats, Floats, Whole]:
    """Join neighbours of the same street and stratum, given in order along the streets, or in the order against it."""
    if not len(row):
        return row, begin, end, code
    starts = np.concatenate(([True], (row[1:] != row[:-1]) | (code[1:] != code[:-1])))
    first = np.flatnonzero(starts)
    last = np.append(first[1:], len(row)) - 1
    low, high = np.minimum(begin[first], begin[last]), np.maximum(end[first], end[last])
    return row[first], low, high, code[first]


def _crossings(start: Floats, stop: Floats) -> tuple[Whole, Floats]:
    """Return where segments cross whole numbers, of which they have these at their ends: the segment and the share."""
    low, high = np.minimum(start, stop), np.maximum(start, stop)
    first = np.floor(low) + 1
    counts = np.maximum(np.ceil(high) - first, 0)
    if counts.sum() > MOST_PIECES:
        raise InputError(
            f"`cell` cuts the streets into {counts.sum():,.0f} pieces, and more than {MOST_PIECES:,} are too many",
            hint="use larger cells",
        )
    counts = counts.astype(np.int64)
    segment = np.repeat(np.arange(len(start)), counts)
    border = arrays.numbered(counts, first)
    return segment, (border - start[segment]) / (stop - start)[segment]


def _web_map(network: Network, segments: _Segments, zoom: int) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Return the columns and rows of the web map's tiles, with fractions, at both ends of segments."""
    columns, lines = [], []
    for x, y in ((segments.x0, segments.y0), (segments.x1, segments.y1)):
        lon, lat = network.projection.inverse(x, y)
        column, line = cells.web_map(lon, np.clip(lat, -89.0, 89.0), zoom)
        columns.append(column)
        lines.append(line)
    return (columns[0], columns[1]), (lines[0], lines[1])


def _by_hexagon(network: Network, segments: _Segments, resolution: int) -> Stretches:
    import shapely

    h3 = cells.h3()
    apart = h3.average_hexagon_edge_length(resolution, unit="m") / 4
    parts = np.maximum(np.ceil(segments.step / apart), 1)
    if parts.sum() > MOST_LOOKED_UP:
        raise InputError(
            f"`cell` is h3:{resolution}, whose hexagons are too small for {segments.step.sum() / 1000:,.0f} km",
            hint="use larger cells",
        )
    counts = parts.astype(np.int64) + 1
    segment = np.repeat(np.arange(len(segments)), counts)
    number = arrays.numbered(counts)
    lon, lat = network.projection.inverse(*segments.at(segment, number / parts[segment]))
    touched = {h3.latlng_to_cell(*place, resolution) for place in zip(lat.tolist(), lon.tolist(), strict=True)}
    # A corner that a street cuts off between two of these places is of a neighbour.
    near = sorted({neighbour for each in touched for neighbour in h3.grid_disk(each, 1)})
    labels = np.array([h3.int_to_str(each) for each in near], dtype=object)
    borders = [np.array(h3.cell_to_boundary(each)) for each in near]
    hexagons = np.array(
        [shapely.Polygon(np.column_stack(network.projection.forward(*border.T[::-1]))) for border in borders],
        dtype=object,
    )
    return segments.stretches(*segments.in_polygons(hexagons), labels)
