"""
Projections from degrees to planar metres, by PROJ or by a polynomial that was checked against PROJ.

The only file that transforms coordinates with PROJ: on arrays, in threads.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.arrays import in_threads, workers
from mlygeo.errors import CrsError
from mlygeo.spatial import areas
from mlygeo.spatial.polynomial import TOLERANCE, fit

if TYPE_CHECKING:
    from mlygeo.arrays import Bounds, Floats
    from mlygeo.spatial.polynomial import Polynomial

LOG = logging.getLogger("mlygeo.spatial.geodesy")

MANY = 100_000
"""Number of coordinates from which fitting a polynomial costs less than it saves."""

CHUNK = 50_000
"""Coordinates in one call of PROJ: enough to make the cost of the call negligible."""


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

    in_threads(work, len(first), CHUNK)
    return first, second
