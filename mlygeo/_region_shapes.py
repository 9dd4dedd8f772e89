"""
The shapes of regions, as polygons in longitude and latitude.

No longitude leaves [-180, 180]: what crosses the antimeridian is cut there in two.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.errors import NetworkError, RegionError
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    import os

    from shapely.geometry.base import BaseGeometry

    from mlygeo.spatial.boxes import Bounds


def of_box(bounds: Bounds) -> BaseGeometry:
    """Return the shape of a bounding box."""
    from shapely.geometry import MultiPolygon, box

    parts = [box(*part) for part in boxes.split(bounds)]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def tidy(geometry: BaseGeometry, name: str) -> BaseGeometry:
    """Return any polygon as a region's shape; see `mlygeo.regions.Region.from_geometry`."""
    import shapely

    if geometry is None or geometry.is_empty or geometry.area == 0:
        raise RegionError(f"{name} is empty: it covers no area")
    if geometry.geom_type not in {"Polygon", "MultiPolygon"}:
        raise RegionError(f"{name} is a {geometry.geom_type}, and a region must be a polygon")
    geometry = shapely.make_valid(shapely.force_2d(geometry))
    west, south, east, north = geometry.bounds
    boxes.check_latitudes(south, north, name, (west, south, east, north))
    if not (math.isfinite(west) and math.isfinite(east)) or west < -360 or east > 360 or east - west > 360:
        raise RegionError(f"{name} spans longitudes {west:g} to {east:g}, which are none")
    return _polygons_only(shapely.union_all([_shifted_part(geometry, turns) for turns in (-1, 0, 1)]))


def of_file(path: str | os.PathLike[str], name: str) -> BaseGeometry:
    """Return the polygons of a file as one; see `mlygeo.regions.Region.from_file`."""
    import shapely

    from mlygeo import store

    frame = store.read_frame(path)
    if frame.crs is None:
        raise RegionError(f"{name} has no CRS", hint="write it with a CRS, or as GeoJSON in longitude and latitude")
    frame = frame.to_crs(4326)
    polygons = frame.geometry[frame.geom_type.isin(["Polygon", "MultiPolygon"]) & ~frame.geometry.is_empty]
    if not len(polygons):
        kinds = ", ".join(sorted({str(kind) for kind in frame.geom_type.dropna()})) or "nothing"
        raise RegionError(f"{Path(path).name} holds no polygon, but {kinds}")
    return shapely.union_all(shapely.make_valid(np.asarray(polygons)))


def of_place(name: str) -> BaseGeometry:
    """Return the outline of a place; see `mlygeo.regions.Region.from_place`."""
    import osmnx

    from mlygeo.osm import our_osmnx

    try:
        with our_osmnx(osmnx.settings.nominatim_url):
            frame = osmnx.geocode_to_gdf(name)
    except (OSError, TypeError, ValueError) as error:
        # OSMnx raises the OSErrors of requests, an error of its own where the service answers
        # badly, and ValueError or TypeError where the place is unknown or has no area.
        if isinstance(error, OSError) or type(error).__name__ == "ResponseStatusCodeError":
            raise NetworkError(
                f"the place {name!r} could not be looked up: Nominatim does not answer",
                hint="use --bbox, or --region FILE with its outline",
            ) from error
        raise RegionError(
            f"no place with an area is called {name!r}", hint="add the country, or use --bbox or --region FILE"
        ) from error
    outline: BaseGeometry = frame.geometry.iloc[0]
    return outline


def tight_bounds(geometry: BaseGeometry) -> Bounds:
    """Return the narrowest box of a shape, which crosses the antimeridian if the parts lie at both ends."""
    import shapely

    west, south, east, north = geometry.bounds
    if east - west > 180:
        extents = shapely.bounds(shapely.get_parts(geometry))
        eastern, western = extents[extents[:, 0] >= 0], extents[extents[:, 2] <= 0]
        if len(eastern) + len(western) == len(extents) and len(eastern) and len(western):
            gap_west, gap_east = float(western[:, 2].max()), float(eastern[:, 0].min())
            if gap_east - gap_west > 180:
                return gap_east, south, gap_west, north
    return west, south, east, north


def _shifted_part(geometry: BaseGeometry, turns: int) -> BaseGeometry:
    """Return the part of a shape that lies so many turns away, brought into [-180, 180]."""
    import shapely
    from shapely.geometry import box

    part = shapely.intersection(geometry, box(-180 + 360 * turns, -90, 180 + 360 * turns, 90))
    return shapely.transform(part, lambda lonlat: lonlat - [360.0 * turns, 0.0])


def _polygons_only(geometry: BaseGeometry) -> BaseGeometry:
    import shapely

    parts = shapely.get_parts(geometry)
    polygons = parts[np.isin(shapely.get_type_id(parts), [3, 6]) & (shapely.area(parts) > 0)]
    return shapely.union_all(polygons)
