"""
Projections from degrees to planar metres, by PROJ or by polynomials that were checked against PROJ.

The only file that transforms coordinates with PROJ: on arrays, in threads.

Where a position lies in the plane depends on the projection and the position alone, not on what is
projected with it, so that a part of some data gives the same bits as the whole. The world is cut into
cells of half a degree. Where the transformation is smooth (a change of datum by Helmert parameters, then a
projection), a polynomial of low degree in longitude and latitude matches it far below a micrometre, at the
speed of memory. It is fitted at Chebyshev nodes of the cell, and checked against PROJ on a fixed lattice
with the cell's borders. PROJ itself serves the cells where that fails: where a transformation by grid is only
piecewise smooth, near the poles of some projections, and where PROJ changes from one transformation to another.
To fit a cell costs as much as 145 positions through PROJ; fitted cells are kept.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.arrays import in_threads, through_pyproj, workers
from mlygeo.errors import CrsError
from mlygeo.kernels import kernel
from mlygeo.spatial import areas

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from mlygeo.arrays import Bounds, Floats, Indices, Whole, Whole32


CHUNK = 50_000
"""Coordinates in one call of PROJ: enough to make the cost of the call negligible."""

CELL_DEG = 0.5
"""Side of a cell: a power of two, so that the division into cells is exact."""

COLUMNS, LINES = 720, 360

TOLERANCE = 1e-7
"""Largest difference to PROJ that is accepted, metres."""

DEGREES = (5, 7)
"""Total degrees tried: 5 for most projections, 7 for Mercator beyond 70 degrees."""

NODES = 8
"""Chebyshev nodes to a side: as many as the degree 7 has coefficients."""

LATTICE = 9
"""Lines of the lattice of the check to a side, the first and the last on the cell's borders."""

NEAR_BORDER_DEG = 1e-6
"""Far more than what PROJ rounds where it changes from one transformation to another."""

MOST_CELLS = 50_000
"""Cells that are kept for a projection; 30 MB at most."""

BLOCK = 65_536
"""Coordinates sorted by cell at once: enough that a cell has many of them, and their buffers stay in the caches."""

FEW = 48
"""Fewer coordinates of a cell in a block are computed together with those of other cells."""

SAVED_S = 4e-8
"""Processor time that compiled code saves for each position (measured)."""

REACH_LATTICE_DEG, REACH_LINES = 0.5, 181
"""Step of the lattice on which the scale is measured, degrees, and the most lines it has to a side."""

REACH_MARGIN = 1.02
"""By how much a reach is extended, for the change of scale between the places where it is measured."""

MOST_LATITUDE = 89.0
"""Nearer to a pole, a box in degrees does not hold what is near in the plane."""


@lru_cache(maxsize=64)
def projection(srid: int, bounds: Bounds | None) -> Projection:
    """Return the projection of an EPSG code; an error names a better one for the bounds."""
    from pyproj import CRS

    better = "a projected one, such as that of the region's UTM zone"
    if bounds is not None:
        better = f"`srid={areas.suggest(bounds, srid)}`"
    try:
        crs = CRS.from_epsg(srid)
    except _error() as error:
        raise CrsError(f"EPSG has no coordinate reference system {srid}", hint=f"use {better}") from error
    if crs.is_compound:
        horizontal = crs.sub_crs_list[0].to_epsg() if crs.sub_crs_list else None
        better = f"`srid={horizontal}`, its horizontal part" if horizontal else better
    if crs.is_geographic and not crs.is_compound:
        raise CrsError(
            f"EPSG:{srid} ({crs.name}) is geographic: it counts in degrees, not in metres", hint=f"use {better}"
        )
    if not crs.is_projected or crs.is_vertical:
        raise CrsError(f"EPSG:{srid} ({crs.name}) is a {crs.type_name}, not a projected one", hint=f"use {better}")
    area = crs.area_of_use
    return Projection(
        srid=srid,
        name=crs.name,
        unit_m=float(crs.axis_info[0].unit_conversion_factor),
        area=None if area is None else area.bounds,
        area_name="" if area is None else area.name,
    )


@dataclass(frozen=True)
class Projection:
    """
    A projected coordinate reference system, in metres whatever its unit is; made by `projection`.

    Parameters
    ----------
    srid
        EPSG code.
    name
        Name of the CRS.
    unit_m
        Metres in one unit of the CRS.
    area
        Area of use (west, south, east, north) in degrees, west > east where it crosses the
        antimeridian; None where EPSG knows none.
    area_name
        What EPSG calls the area of use.
    """

    srid: int
    name: str
    unit_m: float
    area: Bounds | None
    area_name: str = ""

    def forward(self, lon: Any, lat: Any, *, exact: bool = False) -> tuple[Floats, Floats]:
        """
        Project longitudes and latitudes.

        Parameters
        ----------
        lon, lat
            Degrees (WGS 84), one-dimensional.
        exact
            True asks PROJ for every coordinate. False takes the polynomial of the position's cell where it
            agrees with PROJ within 1e-7 m, some ten times faster.

        Returns
        -------
        x, y
            Easting and northing in metres (new arrays); NaN where PROJ has no answer. They depend on the
            position alone, to the last bit.
        """
        lon, lat = _coordinates(lon, lat)
        if exact or not len(lon):
            return self._through_proj(lon, lat)
        x, y = np.empty(len(lon)), np.empty(len(lon))
        cells = _cells(self)
        chunk = max(BLOCK, -(-len(lon) // workers()))
        code = kernel("mlygeo.spatial.projection_numba", len(lon) * SAVED_S)

        def work(start: int) -> list[Indices]:
            stop = min(start + chunk, len(lon))
            parts = [slice(first, min(first + BLOCK, stop)) for first in range(start, stop, BLOCK)]
            if code is None:
                return [cells.project(lon[part], lat[part], x[part], y[part]) + part.start for part in parts]
            return [cells.project_compiled(code, lon[part], lat[part], x[part], y[part]) + part.start for part in parts]

        starts = range(0, len(lon), chunk)
        if len(starts) == 1:
            others = work(0)
        else:
            with ThreadPoolExecutor(len(starts)) as pool:
                others = [rows for found in pool.map(work, starts) for rows in found]
        rows = np.concatenate(others)
        if len(rows):
            x[rows], y[rows] = self._through_proj(lon[rows], lat[rows])
        return x, y

    def is_of(self, crs: Any) -> bool:
        """Return whether a pyproj CRS is this one; the order of its axes does not count."""
        return bool(crs.is_projected) and bool(crs.equals(f"EPSG:{self.srid}", ignore_axis_order=True))

    def inverse(self, x: Any, y: Any) -> tuple[Floats, Floats]:
        """
        Return longitudes and latitudes (degrees, WGS 84) of planar positions in metres, as PROJ has them.

        NaN where PROJ has no answer.
        """
        x, y = _coordinates(x, y)
        return _transform(self.srid, x / self.unit_m, y / self.unit_m, inverse=True)

    def reach(self, bounds: Bounds, distance_m: float) -> Bounds | None:
        """
        Return a box in degrees that holds everything within a planar distance of a box.

        The box is extended by the distance and some 2 % of it, in degrees by the least scale of the
        projection in the box and its surroundings, measured with PROJ every half degree.

        Parameters
        ----------
        bounds
            West, south, east, north in degrees; west > east across the antimeridian.
        distance_m
            Planar distance in metres.

        Returns
        -------
        bounds
            A box that is rather too large than too small (west > east across the antimeridian), or None
            where the projection gives none: near a pole, beyond where it has coordinates, round the world.
        """
        if not np.isfinite([*bounds, distance_m]).all():
            return None
        west, south, east, north = bounds
        east = east if west <= east else east + 360
        wide = tall = 0.0
        for _ in range(8):
            around = (west - wide, south - tall, east + wide, north + tall)
            if around[2] - around[0] >= 360 or max(-around[1], around[3]) > MOST_LATITUDE:
                return None
            steps = self._degrees_a_metre(around)
            if steps is None:
                return None
            needed = tuple(step * (distance_m + 1) * REACH_MARGIN for step in steps)
            if needed[0] <= wide and needed[1] <= tall:
                return areas.wrap(around[0]), around[1], areas.wrap(around[2]), around[3]
            # A little more, so that the surroundings hold what they were measured for.
            wide, tall = max(wide, needed[0] * 1.001), max(tall, needed[1] * 1.001)
        return None

    def margin(self, lon: Floats, lat: Floats, bounds: Bounds) -> Floats:
        """
        Return how far positions lie inside a box: what is not in the box is farther away in the plane.

        Parameters
        ----------
        lon, lat
            Degrees.
        bounds
            West, south, east, north in degrees; west > east across the antimeridian.

        Returns
        -------
        margin
            Metres, rather too few than too many, but where a box was extended by `reach` at least its distance;
            -infinity beyond the box, and throughout where the scale in the box is not known, as near a pole and
            round the world.
        """
        none = np.full(len(lon), -np.inf)
        west, south, east, north = bounds
        east = east if west <= east else east + 360
        if not np.isfinite(bounds).all() or east - west >= 360 or max(-south, north) > MOST_LATITUDE:
            return none
        steps = self._degrees_a_metre((west, south, east, north))
        if steps is None:
            return none
        lon = west + (lon - west) % 360
        beside = np.minimum(lon - west, east - lon) / steps[0]
        margin = np.minimum(beside, np.minimum(lat - south, north - lat) / steps[1]) / REACH_MARGIN - 0.5
        return np.where(margin > 0, margin, none)

    def _degrees_a_metre(self, box: Bounds) -> tuple[float, float] | None:
        """Return the most degrees of longitude and latitude that a planar metre is in a box; None for unknown."""
        step = 1e-5
        # Where a projection ends, as at 180 degrees, the ends of a step are a world apart: not all lines may be there.
        beside = 10 * step if box[2] - box[0] < 20 * step else 0.0
        lon, lat = (
            np.linspace(low, high, min(max(int((high - low) / REACH_LATTICE_DEG) + 2, 3), REACH_LINES))
            for low, high in ((box[0] - beside, box[2] + beside), (box[1], box[3]))
        )
        lon, lat = (values.ravel() for values in np.meshgrid(lon, lat))
        count = len(lon)
        x, y = self._through_proj(
            np.concatenate((lon - step, lon + step, lon, lon)), np.concatenate((lat, lat, lat - step, lat + step))
        )
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return None
        along, up = (
            (values[1] - values[0], values[3] - values[2]) for values in (x.reshape(4, count), y.reshape(4, count))
        )
        area = np.abs(along[0] * up[1] - along[1] * up[0])
        if not area.all():
            return None
        return (
            float((np.hypot(along[1], up[1]) / area).max() * 2 * step),
            float((np.hypot(along[0], up[0]) / area).max() * 2 * step),
        )

    def _through_proj(self, lon: Floats, lat: Floats) -> tuple[Floats, Floats]:
        x, y = _transform(self.srid, lon, lat, inverse=False)
        if self.unit_m != 1.0:
            x *= self.unit_m
            y *= self.unit_m
        return x, y


def _coordinates(first: Any, second: Any) -> tuple[Floats, Floats]:
    return (np.atleast_1d(np.asarray(first, dtype=np.float64)), np.atleast_1d(np.asarray(second, dtype=np.float64)))


@lru_cache(maxsize=64)
def _transformer(srid: int) -> Any:
    """Return the transformer from longitude and latitude (WGS 84) to a CRS, in its own unit."""
    from pyproj import Transformer

    # pyproj has one PROJ object for each thread inside, so that threads may share the transformer.
    return Transformer.from_crs(4326, srid, always_xy=True)


def _error() -> type[Exception]:
    """Return the class of PROJ's errors."""
    from pyproj.exceptions import ProjError

    kind: type[Exception] = ProjError
    return kind


def _transform(srid: int, first: Floats, second: Floats, *, inverse: bool) -> tuple[Floats, Floats]:
    """Return new arrays with the coordinates transformed to a CRS, or from it; NaN where PROJ has no answer."""
    shared = _transformer(srid)
    first, second = np.array(first), np.array(second)
    direction = "INVERSE" if inverse else "FORWARD"

    def work(start: int, stop: int) -> None:
        part = first[start:stop], second[start:stop]
        moved = through_pyproj(partial(shared.transform, inplace=True, direction=direction), *part)
        failed = ~(np.isfinite(moved[0]) & np.isfinite(moved[1]))
        for values, new in zip(part, moved, strict=True):
            if new is not values:
                values[:] = new
            values[failed] = np.nan

    in_threads(work, len(first), CHUNK, "positions")
    return first, second


@lru_cache(maxsize=64)
def _changes(srid: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the longitudes and latitudes at which PROJ may change from one transformation to another, degrees."""
    from pyproj.transformer import TransformerGroup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a better transformation needs a grid that is not installed
        group = TransformerGroup(4326, srid, always_xy=True)
    boxes = [one.area_of_use.bounds for one in group.transformers if one.area_of_use is not None]
    if len(group.transformers) < 2:
        return (), ()
    return (
        tuple(sorted({side for west, _, east, _ in boxes for side in (west, east)})),
        tuple(sorted({side for _, south, _, north in boxes for side in (south, north)})),
    )


@lru_cache(maxsize=128)
def _cells(of: Projection) -> Cells:
    return Cells(of._through_proj, *_changes(of.srid))  # noqa: SLF001 - of this file


class _Known(NamedTuple):
    """Cells that were fitted: their numbers, ascending, the degree of each (0: PROJ), and its coefficients."""

    numbers: Whole
    degrees: Whole
    coefficients: Floats


class Cells:
    """
    The polynomials of a projection, fitted as they are needed.

    Parameters
    ----------
    project
        The projection to follow: degrees to metres.
    longitudes, latitudes
        Degrees at which it may jump: cells that they cross have no polynomial.
    """

    def __init__(
        self,
        project: Callable[[Floats, Floats], tuple[Floats, Floats]],
        longitudes: tuple[float, ...] = (),
        latitudes: tuple[float, ...] = (),
    ) -> None:
        self._project = project
        self._jumps = np.array(longitudes, dtype=np.float64), np.array(latitudes, dtype=np.float64)
        none = np.empty(0, dtype=np.int64)
        self._known = _Known(none, none, np.empty((0, 2, DEGREES[-1] + 1, DEGREES[-1] + 1)))
        self._of_degree: tuple[_Known, tuple[Whole, Floats]] | None = None

    def project(self, lon: Floats, lat: Floats, x: Floats, y: Floats) -> Indices:
        """
        Fill in x and y (metres) of positions (degrees), and return the rows of those that PROJ must project.

        Parameters
        ----------
        lon, lat, x, y
            Arrays of equal length, not a long one.
        """
        with np.errstate(invalid="ignore"):
            column, line = np.floor(lon * (1 / CELL_DEG)), np.floor(lat * (1 / CELL_DEG))
            column += COLUMNS // 2
            line += LINES // 2
            number = line * COLUMNS + column
            inside = (column >= 0) & (column < COLUMNS) & (line >= 0) & (line < LINES)
        if inside.all() and number.min() == number.max():
            known, slots = self._fitted(number[:1].astype(np.int64))
            if (degree := int(known.degrees[slots[0]])) == 0:
                return np.arange(len(lon))
            _evaluate(known.coefficients[slots[0]], degree, (lon - _middle(column[0], COLUMNS)) * SCALE,
                      (lat - _middle(line[0], LINES)) * SCALE, (x, y))  # fmt: skip
            return np.empty(0, dtype=np.intp)
        number = np.where(inside, number, -1).astype(np.int32)
        order = _order(number)
        order = order[np.searchsorted(number[order], 0) :]
        outside = np.flatnonzero(~inside)
        if not len(order):
            return outside
        first = np.flatnonzero(np.diff(number[order], prepend=-1))
        known, slots = self._fitted(number[order[first]].astype(np.int64))
        counts = np.diff(first, append=len(order))
        u = (lon[order] - _middle(column[order], COLUMNS)) * SCALE
        v = (lat[order] - _middle(line[order], LINES)) * SCALE
        out_x, out_y = np.empty(len(order)), np.empty(len(order))
        degrees = known.degrees[slots]
        for at in np.flatnonzero((counts >= FEW) & (degrees > 0)):
            part = slice(first[at], first[at] + counts[at])
            _evaluate(known.coefficients[slots[at]], int(degrees[at]), u[part], v[part], (out_x[part], out_y[part]))
        for degree in DEGREES:
            small = (counts < FEW) & (degrees == degree)
            if small.any():
                rows = np.flatnonzero(np.repeat(small, counts))
                own = np.moveaxis(known.coefficients[np.repeat(slots[small], counts[small])], 0, -1)
                some = np.empty(len(rows)), np.empty(len(rows))
                _evaluate(own, degree, u[rows], v[rows], some)
                out_x[rows], out_y[rows] = some
        x[order], y[order] = out_x, out_y
        return np.concatenate((outside, order[np.repeat(degrees == 0, counts)]))

    def project_compiled(self, code: ModuleType, lon: Floats, lat: Floats, x: Floats, y: Floats) -> Indices:
        """Do the same as `project`, by compiled code where the polynomial has the degree that is compiled."""
        known = self._compilable(code.DEGREE)
        grid = (CELL_DEG, COLUMNS, LINES)
        rows: Indices = code.project(lon, lat, x, y, numbers=known[0], coefficients=known[1], grid=grid)
        if not len(rows):
            return rows
        others = np.empty(len(rows)), np.empty(len(rows))
        left = self.project(lon[rows], lat[rows], *others)
        x[rows], y[rows] = others
        return rows[left]

    def _compilable(self, degree: int) -> tuple[Whole, Floats]:
        """Return the numbers of the cells with a polynomial of a degree that are known, and their coefficients."""
        known, held = self._known, self._of_degree
        if held is None or held[0] is not known:
            own = np.flatnonzero(known.degrees == degree)
            self._of_degree = held = known, (known.numbers[own], known.coefficients[own])
        return held[1]

    def _fitted(self, numbers: Whole) -> tuple[_Known, Whole]:
        """Return what is known of cells with these numbers, and the place of each there."""
        known = self._known
        slots = np.searchsorted(known.numbers, numbers)
        there = np.zeros(len(numbers), dtype=bool)
        within = slots < len(known.numbers)
        there[within] = known.numbers[slots[within]] == numbers[within]
        if there.all():
            return known, slots
        # A cell has the same coefficients whoever fits it, and what is known is replaced as a whole: no lock.
        if len(known.numbers) > MOST_CELLS:
            known = self._fit(numbers)
        else:
            fresh = self._fit(numbers[~there])
            together = [np.concatenate(parts) for parts in zip(known, fresh, strict=True)]
            order = np.argsort(together[0])
            known = _Known(*(values[order] for values in together))
        self._known = known
        return known, np.searchsorted(known.numbers, numbers)

    def _fit(self, numbers: Whole) -> _Known:
        """Fit the polynomials of cells."""
        parts = [self._fit_some(numbers[start : start + 256]) for start in range(0, len(numbers), 256)]
        return _Known(*(np.concatenate(values) for values in zip(*parts, strict=True)))

    def _fit_some(self, numbers: Whole) -> _Known:
        lon, lat = _middle(numbers % COLUMNS, COLUMNS), _middle(numbers // COLUMNS, LINES)
        half = CELL_DEG / 2
        places = np.concatenate((_NODE_UV, _LATTICE_UV), axis=1)
        position = lon[:, np.newaxis] + half * places[0], lat[:, np.newaxis] + half * places[1]
        planar = [values.reshape(position[0].shape) for values in self._project(*(one.ravel() for one in position))]
        smooth = np.isfinite(planar[0]).all(axis=1) & np.isfinite(planar[1]).all(axis=1)
        for middle, jumps in zip((lon, lat), self._jumps, strict=True):
            near = np.searchsorted(jumps, middle - half - NEAR_BORDER_DEG)
            smooth &= near == np.searchsorted(jumps, middle + half + NEAR_BORDER_DEG)
        side = DEGREES[-1] + 1
        coefficients = np.zeros((len(numbers), 2, side, side))
        degrees = np.zeros(len(numbers), dtype=np.int64)
        nodes = NODES * NODES
        for degree in DEGREES:
            todo = np.flatnonzero(smooth & (degrees == 0))
            if not len(todo):
                break
            # Cells last, for the arithmetic of one number at a time: a cell's bits do not depend on the others.
            own = np.zeros((2, side, side, len(todo)))
            error = np.zeros(len(todo))
            for axis in range(2):
                at_nodes = planar[axis][todo, :nodes].T.reshape(NODES, NODES, len(todo))
                own[axis, : degree + 1, : degree + 1] = _power_coefficients(at_nodes, degree)
            found = np.empty((2, len(_LATTICE_UV[0]), len(todo)))
            u, v = (np.broadcast_to(values[:, np.newaxis], found[0].shape) for values in _LATTICE_UV)
            _evaluate(own[:, :, :, np.newaxis], degree, u, v, (found[0], found[1]))
            for axis in range(2):
                np.maximum(error, np.abs(found[axis] - planar[axis][todo, nodes:].T).max(axis=0), out=error)
            good = error < TOLERANCE
            degrees[todo[good]] = degree
            coefficients[todo[good]] = np.moveaxis(own, -1, 0)[good]
        return _Known(numbers, degrees, coefficients)


def _order(number: Whole32) -> Indices:
    """Return the order of numbers of cells; where they are near each other, by 16 bits, which NumPy sorts faster."""
    known = number[number >= 0]
    low, high = (int(known.min()), int(known.max())) if len(known) else (0, 0)
    columns = number % COLUMNS
    west, east = int(columns.min()), int(columns.max())
    wide = east - west + 1
    if (high // COLUMNS - low // COLUMNS + 1) * wide >= 1 << 16:
        return np.argsort(number, kind="stable")
    short = (number // COLUMNS - low // COLUMNS) * wide + (columns - west) + 1
    return np.argsort(np.where(number < 0, 0, short).astype(np.uint16), kind="stable")


SCALE = 2 / CELL_DEG
"""From degrees off the middle of a cell to -1 to 1: a power of two, so that nothing is rounded."""


def _middle(number: Any, count: int) -> Any:
    """Return the longitude or latitude in the middle of a column or line of cells, of so many."""
    return (number - count // 2) * CELL_DEG + CELL_DEG / 2


def _evaluate(coefficients: Floats, degree: int, u: Floats, v: Floats, out: tuple[Floats, Floats]) -> None:
    """
    Evaluate sum c[axis, i, j] u^i v^j with i + j <= degree, for x and y: in v for each power of u, then in u.

    One multiplication and one addition at a time, so that every position gives the same bits wherever it
    stands in the array, and whether its coefficients are numbers or arrays: equal positions must stay equal.
    """
    part = np.empty(np.shape(u))
    for own, result in zip(coefficients, out, strict=True):
        result[...] = own[degree, 0]
        for i in range(degree - 1, -1, -1):
            np.multiply(v, own[i, degree - i], out=part)
            for j in range(degree - i - 1, 0, -1):
                np.add(part, own[i, j], out=part)
                np.multiply(part, v, out=part)
            np.add(part, own[i, 0], out=part)
            np.multiply(result, u, out=result)
            np.add(result, part, out=result)


def _power_coefficients(values: Floats, degree: int) -> Floats:
    """Return coefficients of u^i v^j, cut to a total degree, from values at Chebyshev nodes: (NODES, NODES, cells)."""
    order = np.arange(degree + 1)
    basis = np.cos(np.outer(order, np.pi * (np.arange(NODES) + 0.5) / NODES)) * (2 / NODES)
    basis[0] /= 2
    chebyshev = _combined(basis, values)
    chebyshev[np.add.outer(order, order) > degree] = 0
    to_powers = np.zeros((degree + 1, degree + 1))
    for i in order:
        one = np.polynomial.chebyshev.cheb2poly(np.eye(degree + 1)[i, : i + 1])
        to_powers[i, : len(one)] = one
    return _combined(to_powers.T, chebyshev)


def _combined(matrix: Floats, values: Floats) -> Floats:
    """Return matrix times values times transposed matrix, for each cell, in one order of additions."""
    for _ in range(2):
        total = np.zeros((len(matrix), *values.shape[1:]))
        for at, row in enumerate(values):
            total += matrix[:, at, np.newaxis, np.newaxis] * row
        values = np.swapaxes(total, 0, 1)
    return values


def _square(along: Floats) -> Floats:
    return np.stack([values.ravel() for values in np.meshgrid(along, along, indexing="ij")])


_NODE_UV = _square(np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES))
_LATTICE_UV = _square(np.linspace(-1, 1, LATTICE))
