"""Streets as measured lines, each known by its course, and the frame of points on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import CrsError
from mlygeo.spatial import geodesy, pieces, polylines

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Rows, Whole, Words
    from mlygeo.spatial.polylines import Lines
    from mlygeo.spatial.projection import Projection

UNSURE_M = 1e-5
"""More than the error of a line's length at each of its vertices, where it was not measured exactly."""

CARRIED = ("u", "v", "key", "osmid", "name", "highway")


@dataclass(frozen=True)
class Network:
    """Streets as measured lines."""

    lonlat: Floats
    lines: Lines
    projection: Projection
    vertex: Words
    """Hash of each vertex."""
    street: Whole
    """Number of each row's street: rows with the same segments have the same."""
    same: Words
    """Hash of that."""

    @classmethod
    def of(
        cls,
        streets: gpd.GeoDataFrame,
        interval: float | None,
        srid: int | None,
        *,
        force_srid: bool | None,
        exact: bool = False,
    ) -> Network:
        """
        Measure streets.

        Parameters
        ----------
        streets
            Streets frame, EPSG:4326, with a row at least.
        interval
            Metres that lengths are divided by: those of about a whole number of them are measured exactly.
        srid
            The CRS to measure in; None for the UTM zone of the streets.
        force_srid
            Whether its area of use does not matter; None looks at no place.
        exact
            Whether all lengths are those of PROJ to the last bit.

        Raises
        ------
        CrsError
            If the srid does not serve the streets.
        FrameError
            If a row is not a line.
        """
        lonlat, first = polylines.coordinates(streets)
        bounds = polylines.bounds(lonlat)
        srid = geodesy.utm_srid(*bounds) if srid is None else srid
        if force_srid is None:
            projection = geodesy.projection(srid)
        else:
            projection = geodesy.check_srid(srid, bounds, force=force_srid)
        vertex = polylines.hashes(lonlat)
        lines = polylines.project(lonlat, first, projection, exact=exact)
        if not np.isfinite(lines.length).all():
            raise CrsError(f"EPSG:{srid} has no coordinates for some of the streets", hint="leave `srid` out")
        if interval is not None:
            # for a street of about a whole number of intervals, the number of parts depends on the last digits
            count = lines.length / interval
            unsure = np.abs(count - np.rint(count)) * interval < UNSURE_M * np.diff(first)
            polylines.exactly(lines, np.flatnonzero(unsure), lonlat, projection)
        return cls(lonlat, lines, projection, vertex, *polylines.same_lines(vertex, first))

    def once(self, streets: gpd.GeoDataFrame) -> Whole:
        """Return one row for each street."""
        hashes = polylines.directions(self.vertex, self.lines.first), self.same
        return polylines.each_once(streets, self.street, hashes)

    def corners(self) -> tuple[Floats, Floats]:
        """Return the south-western corner of each row's box, degrees."""
        west_south = np.minimum.reduceat(self.lonlat, self.lines.first[:-1], axis=0)
        return west_south[:, 0], west_south[:, 1]

    def micrometres(self) -> Whole:
        """Return the length of each row in whole micrometres: in sums of these no order matters."""
        return pieces.micrometres(self.lines.length)

    def facts(self, counted: Flags | None = None) -> dict[str, Any]:
        """Return how many edges and streets there are, and the length of the streets, of the counted rows alone."""
        import pandas as pd

        counted = np.ones(len(self.street), dtype=bool) if counted is None else counted
        once = np.flatnonzero(~pd.Series(self.street).duplicated().to_numpy() & counted)
        return {
            "edges": int(counted.sum()),
            "streets": len(once),
            "length_m": float(self.micrometres()[once].sum() / 1e6),
        }


class Laid(NamedTuple):
    """Points on rows of streets: the row of each, its position and the street's bearing there, degrees, its number."""

    row: Whole
    lon: Floats
    lat: Floats
    bearing: Floats
    point_id: Rows


NO_POINTS = Laid(*(np.empty(0, dtype) for dtype in ("int64", "float64", "float64", "float64", "int64")))


def points_frame(
    streets: gpd.GeoDataFrame, laid: Laid, facts: dict[str, Any], columns: dict[str, Any] | None = None
) -> gpd.GeoDataFrame:
    """
    Return the frame of points on rows of streets.

    Parameters
    ----------
    streets
        Streets frame, whose attribution it has.
    laid
        The points.
    facts
        What is told of them, for `attrs["street_points"]`.
    columns
        More columns.
    """
    import geopandas as gpd
    import shapely

    own: dict[str, Any] = {"point_id": laid.point_id}
    own |= {name: streets[name].array.take(laid.row) for name in CARRIED}
    own |= {"bearing": laid.bearing} | (columns or {})
    points = gpd.GeoDataFrame(own, geometry=shapely.points(laid.lon, laid.lat), crs=frames.CRS)
    points = frames.conform(points, frames.STREET_POINTS)
    points.attrs["attribution"] = list(streets.attrs.get("attribution", []))
    points.attrs["street_points"] = facts
    return points
