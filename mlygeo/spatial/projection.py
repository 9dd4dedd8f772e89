"""
Projections from degrees to planar metres, by PROJ or by a polynomial that was checked against PROJ.

The only file that transforms coordinates with PROJ: on arrays, in threads.

Where a transformation is smooth (a change of datum by Helmert parameters, then a projection), a
polynomial of low degree in longitude and latitude matches it far below a micrometre, at the speed of
memory. It is fitted at Chebyshev nodes, checked against PROJ, and rejected where it is not accurate
enough: over large boxes, or where a transformation by grid is only piecewise smooth.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import in_threads, workers
from mlygeo.errors import CrsError
from mlygeo.spatial import areas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlygeo.arrays import Bounds, Floats, Indices


LOG = logging.getLogger("mlygeo.spatial.geodesy")

MANY = 100_000
"""Number of coordinates from which fitting a polynomial costs less than it saves."""

CHUNK = 50_000
"""Coordinates in one call of PROJ: enough to make the cost of the call negligible."""

TOLERANCE = 1e-6
"""Largest difference to PROJ that is accepted, metres."""

DEGREES = (5, 7, 9)
"""Total degrees tried. Beyond 9, powers of the coordinates lose too many digits."""

NODES = 24

LATTICE = 64

SAMPLE = 20_000

LARGEST_BOX_DEG = 8.0

BLOCK = 16_384
"""Coordinates computed at once: four buffers of this length fit into a core's second-level cache."""


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
    _polynomial: Polynomial | None = field(default=None, repr=False, compare=False)

    def forward(self, lon: Any, lat: Any, *, exact: bool = False) -> tuple[Floats, Floats]:
        """
        Project longitudes and latitudes.

        Parameters
        ----------
        lon, lat
            Degrees (WGS 84), one-dimensional.
        exact
            True asks PROJ for every coordinate. False lets more than 100,000 coordinates go through
            a polynomial if it agrees with PROJ to a micrometre (see `fit`), some ten times faster.

        Returns
        -------
        x, y
            Easting and northing in metres (new arrays); NaN where PROJ has no answer.
        """
        lon, lat = _coordinates(lon, lat)
        if exact:
            return self._through_proj(lon, lat)
        fitted = self.fit((lon, lat)) if self._polynomial is None else self
        if (polynomial := fitted._polynomial) is None:  # noqa: SLF001 - of this class
            return self._through_proj(lon, lat)
        x, y, outside = polynomial.evaluate(lon, lat, workers())
        if len(outside):
            x[outside], y[outside] = self._through_proj(lon[outside], lat[outside])
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

    def fit(self, *coordinates: tuple[Floats, Floats]) -> Projection:
        """
        Return the same projection, with a polynomial for the box of these coordinates if that is accurate enough.

        The polynomial is used where it agrees with PROJ within 1e-6 m on a lattice over the box and on
        some 20,000 of the coordinates. To compare two sets of coordinates, fit one projection to both, so
        that equal positions stay equal.

        Parameters
        ----------
        *coordinates
            Pairs of arrays (lon, lat) in degrees.

        Returns
        -------
        projection
            With a polynomial, or this projection unchanged if the coordinates are fewer than 100,000
            or no polynomial is good enough (a box of several degrees, a transformation by grid).
        """
        if sum(len(lon) for lon, _ in coordinates) <= MANY:
            return self
        polynomial = fit(self._through_proj, coordinates)
        if polynomial is None:
            LOG.info("EPSG:%d: no polynomial is within %g m of PROJ here, so PROJ it is", self.srid, TOLERANCE)
            return self
        LOG.debug("EPSG:%d: degree %d agrees with PROJ within %.1e m", self.srid, polynomial.degree, polynomial.error_m)
        return replace(self, _polynomial=polynomial)

    def reach(self, bounds: Bounds, distance_m: float) -> Bounds | None:
        """
        Return a box in degrees that holds everything within a planar distance of a box.

        Parameters
        ----------
        bounds
            West, south, east, north in degrees; west > east across the antimeridian.
        distance_m
            Planar distance in metres.

        Returns
        -------
        bounds
            A box that is rather too large than too small (west > east across the antimeridian), or
            None where the projection gives none.
        """
        if not np.isfinite([*bounds, distance_m]).all():
            return None
        transformer, margin = _transformer(self.srid), distance_m / self.unit_m
        try:
            west, south, east, north = transformer.transform_bounds(*bounds)
            # A straight border becomes a curve; the error of 21 points on it is far below 1 % of the box.
            margin += 0.01 * max(east - west, north - south)
            planar = (west - margin, south - margin, east + margin, north + margin)
            west, south, east, north = transformer.transform_bounds(*planar, direction="INVERSE")
        except _error():
            return None
        if not np.isfinite([west, south, east, north]).all() or max(abs(south), abs(north)) > 89:
            return None
        south, north = max(south - 0.001, -90.0), min(north + 0.001, 90.0)
        return areas.wrap(west - 0.001), south, areas.wrap(east + 0.001), north

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
        shared.transform(*part, inplace=True, direction=direction)
        failed = ~(np.isfinite(part[0]) & np.isfinite(part[1]))
        for values in part:
            values[failed] = np.nan

    in_threads(work, len(first), CHUNK, "positions")
    return first, second


@dataclass(frozen=True)
class Polynomial:
    """
    Planar coordinates as polynomials of longitude and latitude over a box.

    Parameters
    ----------
    centre, half
        Middle and half the size of the box, degrees.
    coefficients
        Shape (2, degree + 1, degree + 1): of u^i v^j for x and for y, u and v being longitude and
        latitude scaled to [-1, 1].
    error_m
        Largest difference to PROJ that the check found, metres.
    """

    centre: tuple[float, float]
    half: tuple[float, float]
    coefficients: Floats
    error_m: float

    @property
    def degree(self) -> int:
        """Total degree."""
        return int(self.coefficients.shape[1]) - 1

    def evaluate(self, lon: Floats, lat: Floats, threads: int = 1) -> tuple[Floats, Floats, Indices]:
        """
        Return x and y in metres, and the indices of the coordinates for which the polynomial is not valid.

        Those lie outside the box or are not finite; their x and y have no meaning.
        """
        x, y = np.empty(len(lon)), np.empty(len(lon))
        chunk = max(BLOCK, -(-len(lon) // max(threads, 1)))

        def work(start: int) -> list[Indices]:
            buffers = np.empty((3, BLOCK))
            stop = min(start + chunk, len(lon))
            return [
                self._block((lon, lat), (x, y), slice(first, min(first + BLOCK, stop)), buffers)
                for first in range(start, stop, BLOCK)
            ]

        starts = range(0, len(lon), chunk)
        if len(starts) <= 1:
            outside = [block for start in starts for block in work(start)]
        else:
            with ThreadPoolExecutor(len(starts)) as pool:
                outside = [block for blocks in pool.map(work, starts) for block in blocks]
        return x, y, np.concatenate(outside) if outside else np.empty(0, dtype=np.intp)

    def _block(
        self, degrees: tuple[Floats, Floats], metres: tuple[Floats, Floats], block: slice, buffers: Floats
    ) -> Indices:
        u, v, part = (buffer[: block.stop - block.start] for buffer in buffers)
        np.subtract(degrees[0][block], self.centre[0], out=u)
        np.multiply(u, 1 / self.half[0], out=u)
        np.subtract(degrees[1][block], self.centre[1], out=v)
        np.multiply(v, 1 / self.half[1], out=v)
        # One multiplication and one addition at a time, so that every position gives the same bits
        # wherever it stands in the array: equal positions must stay equal.
        with np.errstate(invalid="ignore", over="ignore"):
            for coefficients, out in zip(self.coefficients, metres, strict=True):
                _horner(coefficients, (u, v), part, out[block])
            edge = 1 + 1e-9
            outside = ~((u >= -edge) & (u <= edge) & (v >= -edge) & (v <= edge))
        rows: Indices = np.flatnonzero(outside) + block.start
        return rows


def fit(
    project: Callable[[Floats, Floats], tuple[Floats, Floats]], coordinates: Sequence[tuple[Floats, Floats]]
) -> Polynomial | None:
    """
    Return a polynomial for the box of some coordinates, or None if none is good enough.

    Parameters
    ----------
    project
        The projection to follow: degrees to metres.
    coordinates
        Pairs of arrays (lon, lat), degrees; what is not finite is left out.

    Returns
    -------
    polynomial
        Within `TOLERANCE` of `project` on a lattice over the box and on a sample of the coordinates.
    """
    box = _box(coordinates)
    if box is None or max(box[2] - box[0], box[3] - box[1]) > LARGEST_BOX_DEG:
        return None
    centre = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = max((box[2] - box[0]) / 2, 1e-6), max((box[3] - box[1]) / 2, 1e-6)

    angle = np.pi * (np.arange(NODES) + 0.5) / NODES
    node_u, node_v = (grid.ravel() for grid in np.meshgrid(np.cos(angle), np.cos(angle), indexing="ij"))
    at_nodes = project(centre[0] + half[0] * node_u, centre[1] + half[1] * node_v)
    if not all(np.isfinite(values).all() for values in at_nodes):
        return None

    step = np.linspace(-1, 1, LATTICE)
    lattice_u, lattice_v = (grid.ravel() for grid in np.meshgrid(step, step))
    sampled = [_sample(lon, lat, box, share=_share(coordinates)) for lon, lat in coordinates]
    check_lon = np.concatenate([centre[0] + half[0] * lattice_u, *(lon for lon, _ in sampled)])
    check_lat = np.concatenate([centre[1] + half[1] * lattice_v, *(lat for _, lat in sampled)])
    expected = project(check_lon, check_lat)

    for degree in DEGREES:
        coefficients = np.stack([_power_coefficients(values.reshape(NODES, NODES), degree) for values in at_nodes])
        candidate = Polynomial(centre, half, coefficients, np.inf)
        x, y, outside = candidate.evaluate(check_lon, check_lat)
        if len(outside):
            return None
        error = max(float(np.max(np.abs(x - expected[0]))), float(np.max(np.abs(y - expected[1]))))
        if error < TOLERANCE:
            return Polynomial(centre, half, coefficients, error)
    return None


def _horner(coefficients: Floats, scaled: tuple[Floats, Floats], part: Floats, out: Floats) -> None:
    """Evaluate sum c[i, j] u^i v^j with i + j <= degree: in v for each power of u, then in u."""
    u, v = scaled
    degree = len(coefficients) - 1
    out[:] = coefficients[degree, 0]
    for i in range(degree - 1, -1, -1):
        np.multiply(v, coefficients[i, degree - i], out=part)
        for j in range(degree - i - 1, 0, -1):
            np.add(part, coefficients[i, j], out=part)
            np.multiply(part, v, out=part)
        np.add(part, coefficients[i, 0], out=part)
        np.multiply(out, u, out=out)
        np.add(out, part, out=out)


def _power_coefficients(values: Floats, degree: int) -> Floats:
    """Return coefficients of u^i v^j from values at Chebyshev nodes, cut to a total degree."""
    order = np.arange(degree + 1)
    basis = np.cos(np.outer(order, np.pi * (np.arange(NODES) + 0.5) / NODES)) * (2 / NODES)
    basis[0] /= 2
    chebyshev = basis @ values @ basis.T
    chebyshev[np.add.outer(order, order) > degree] = 0
    to_powers = np.zeros((degree + 1, degree + 1))
    for i in order:
        one = np.polynomial.chebyshev.cheb2poly(np.eye(degree + 1)[i, : i + 1])
        to_powers[i, : len(one)] = one
    powers: Floats = to_powers.T @ chebyshev @ to_powers
    return powers


def _box(coordinates: Sequence[tuple[Floats, Floats]]) -> tuple[float, float, float, float] | None:
    lows, highs = [], []
    for pair in coordinates:
        if not len(pair[0]):
            continue
        low = [np.fmin.reduce(values) for values in pair]
        high = [np.fmax.reduce(values) for values in pair]
        if not np.isfinite([low, high]).all():
            finite = np.isfinite(pair[0]) & np.isfinite(pair[1])
            if not finite.any():
                continue
            low = [values[finite].min() for values in pair]
            high = [values[finite].max() for values in pair]
        lows.append(low)
        highs.append(high)
    if not lows:
        return None
    west, south = np.min(lows, axis=0)
    east, north = np.max(highs, axis=0)
    return float(west), float(south), float(east), float(north)


def _share(coordinates: Sequence[tuple[Floats, Floats]]) -> float:
    return SAMPLE / max(sum(len(lon) for lon, _ in coordinates), 1)


def _sample(lon: Floats, lat: Floats, box: tuple[float, float, float, float], share: float) -> tuple[Floats, Floats]:
    """
    Return a share of the coordinates inside a box, chosen by a hash of their bits.

    So the choice, and with it whether the polynomial is used, does not depend on the order of rows.
    """
    if not len(lon):
        return lon, lat
    threshold = np.uint64(min(share, 1.0) * (2**64 - 2048))
    rows = []
    for start in range(0, len(lon), BLOCK):
        stop = start + BLOCK
        bits = np.ascontiguousarray(lon[start:stop]).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        bits ^= np.ascontiguousarray(lat[start:stop]).view(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        bits ^= bits >> np.uint64(29)
        bits *= np.uint64(0xBF58476D1CE4E5B9)
        bits ^= bits >> np.uint64(32)
        bits *= np.uint64(0x94D049BB133111EB)
        rows.append(np.flatnonzero(bits <= threshold) + start)
    chosen = np.concatenate(rows)
    lon, lat = lon[chosen], lat[chosen]
    inside = (lon >= box[0]) & (lon <= box[2]) & (lat >= box[1]) & (lat <= box[3])
    return lon[inside], lat[inside]
