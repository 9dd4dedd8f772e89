"""
Regions: a bounding box, a polygon file, the name of a place or a configuration file -> one `Region`.

Its shape is one of polygons in longitude and latitude, none of which leaves [-180, 180]: what crosses the
antimeridian is cut there in two.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import NetworkError, RegionError
from mlygeo.progress import working
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapely.geometry.base import BaseGeometry

    from mlygeo.arrays import Bounds, Flags, Floats
    from mlygeo.config import Config


def as_region(value: Any) -> Region:
    """
    Return the region that a caller means.

    Parameters
    ----------
    value
        A `Region`; four numbers west, south, east, north, or a text of them; a shapely polygon; a
        frame of polygons; or the path of a configuration file (.json, .toml) or of a polygon file.

    Raises
    ------
    RegionError
        If it is none of these.
    """
    if isinstance(value, Region):
        return value
    if isinstance(value, Configured) and value.region is not None:
        return value.region
    if isinstance(value, str) and len(value.split(",")) == 4 and not Path(value).exists():
        return Region.from_bbox(*boxes.parse(value))
    if isinstance(value, str | os.PathLike):
        return _region_of_file(Path(value))
    if hasattr(value, "geom_type") and hasattr(value, "bounds") and not hasattr(value, "crs"):
        return Region.from_geometry(value)
    if hasattr(value, "geometry") and hasattr(value, "to_crs"):
        return Region.from_geometry(value.to_crs(4326).union_all())
    try:
        sides = tuple(float(number) for number in value)
    except (TypeError, ValueError) as error:
        raise RegionError(f"{value!r} is no region", hint=boxes.FORM) from error
    if len(sides) != 4:
        raise RegionError(f"{value!r} has {len(sides)} numbers", hint=boxes.FORM)
    return Region.from_bbox(*sides)


@dataclass(frozen=True)
class Region:
    """
    A part of the earth, in longitude and latitude.

    Parameters
    ----------
    geometry
        Polygon or multi-polygon, EPSG:4326, cut at the antimeridian: no longitude leaves
        [-180, 180].
    bounds
        West, south, east, north; west > east where the region crosses the antimeridian.
    name
        What messages call it.
    is_box
        Whether it is a bounding box.
    """

    geometry: BaseGeometry
    bounds: Bounds
    name: str = "the region"
    is_box: bool = False

    @classmethod
    def from_bbox(
        cls, west: float, south: float, east: float, north: float, *, name: str = "the bounding box"
    ) -> Region:
        """
        Return a bounding box.

        Parameters
        ----------
        west, south, east, north
            Longitudes and latitudes, degrees. West may be larger than east: then the box crosses
            the antimeridian, unless it would be over 180° wide.
        name
            What messages call it.

        Raises
        ------
        RegionError
            If a number is no coordinate, the box is empty, or latitude and longitude are swapped.
        """
        bounds = boxes.checked(west, south, east, north)
        return cls(_of_box(bounds), bounds, name, is_box=True)

    @classmethod
    def from_geometry(cls, geometry: BaseGeometry, *, name: str = "the region") -> Region:
        """
        Return a region of any shape.

        Parameters
        ----------
        geometry
            Polygon or multi-polygon, EPSG:4326. Longitudes beyond ±180 are brought back; two parts
            on either side of the antimeridian count as one region that crosses it.
        name
            What messages call it.

        Raises
        ------
        RegionError
            If it is empty, no polygon, or lies outside the range of coordinates.
        """
        geometry = _tidy(geometry, name)
        return cls(geometry, _tight_bounds(geometry), name)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Region:
        """
        Return the region of a file of polygons; several polygons make one region.

        Parameters
        ----------
        path
            Any vector file (.geojson, .gpkg, .fgb, .parquet, .shp, .kml, …), in any CRS.

        Raises
        ------
        RegionError
            If there is no polygon in it.
        FileError
            If it cannot be read.
        """
        name = f"the region in {Path(path).name}"
        return cls.from_geometry(_of_file(path, name), name=name)

    @classmethod
    def from_place(cls, name: str) -> Region:
        """
        Return the region of a place that OpenStreetMap's Nominatim knows by name.

        Parameters
        ----------
        name
            Such as "Utrecht, Netherlands".

        Raises
        ------
        RegionError
            If no place of that name has an area.
        NetworkError
            If Nominatim cannot be reached.
        """
        return cls.from_geometry(_of_place(name), name=name)

    @classmethod
    def from_config(cls, path: str | os.PathLike[str], **sides: float | None) -> Region:
        """
        Return the region of a configuration file.

        Parameters
        ----------
        path
            Configuration file, JSON or TOML; see `mlygeo.config.load`.
        **sides
            west, south, east, north: these win over the file's.

        Raises
        ------
        ConfigError
            If the file is missing or broken.
        RegionError
            If it names no region.
        """
        from mlygeo import config

        return from_parts(config=config.load(path), sides=sides)

    @property
    def boxes(self) -> list[Bounds]:
        """The bounding box as one box, or two where it crosses the antimeridian."""
        return boxes.split(self.bounds)

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle of the bounding box."""
        west, south, east, north = self.bounds
        lon = (west + east) / 2 if west <= east else (west + east + 360) / 2
        return (lon - 360 if lon > 180 else lon), (south + north) / 2

    def contains(self, lon: Floats, lat: Floats) -> Flags:
        """
        Return which points lie in the region or on its edge.

        Parameters
        ----------
        lon, lat
            Degrees; shape (n,).

        Returns
        -------
        inside
            bool, shape (n,); False for NaN.
        """
        inside = np.zeros(len(lon), dtype=bool)
        for west, south, east, north in self.boxes:
            inside |= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        if not self.is_box and inside.any():
            import shapely

            shapely.prepare(self.geometry)
            rows = np.flatnonzero(inside)
            inside[rows] = shapely.intersects_xy(self.geometry, lon[rows], lat[rows])
        return inside


def settle(value: Any) -> tuple[Region | None, Config | None]:
    """Return the region that a caller means, and its configuration where it came from one."""
    if value is None:
        return None, None
    if isinstance(value, Configured):
        return value.region, value.config
    if isinstance(value, str | os.PathLike) and Path(value).suffix.lower() in {".json", ".toml"}:
        path = Path(value).expanduser()
        if not _is_geojson(path):
            from mlygeo import config

            settings = config.load(path)
            return from_parts(config=settings), settings
    return as_region(value), None


@dataclass(frozen=True)
class Configured:
    """A region, and the configuration that it came from or goes with; a configuration may name none."""

    region: Region | None
    config: Config


RegionLike = Region | Configured | str | os.PathLike[str] | tuple[float, float, float, float]
"""What stands for a region in a call: a `Region`, a bounding box, or the path of a file."""


def from_parts(
    *,
    config: Config | None = None,
    bbox: Sequence[float] | None = None,
    sides: dict[str, float | None] | None = None,
    file: str | os.PathLike[str] | None = None,
    place: str | None = None,
) -> Region:
    """
    Return the region that the options of a verb name; the command line wins over the file.

    Parameters
    ----------
    config
        Configuration; its bounding box, region file or place serve where no option does.
    bbox
        West, south, east, north.
    sides
        Any of west, south, east, north; they win over those of `config`.
    file
        A polygon file.
    place
        The name of a place.

    Raises
    ------
    RegionError
        If nothing names a region, two options do, or sides are missing.
    """
    given = {name: value for name, value in (sides or {}).items() if value is not None}
    named = [
        option
        for option, value in (
            ("`bbox`", bbox),
            ("`region_file`", file),
            ("`place`", place),
            ("`west`/`south`/`east`/`north`", given or None),
        )
        if value is not None
    ]
    if len(named) > 1:
        raise RegionError(f"{' and '.join(named)} both name a region", hint="give one of them")
    if bbox is not None:
        return as_region(tuple(bbox))
    if file is not None:
        return Region.from_file(file)
    if place is not None:
        return Region.from_place(place)
    if config is not None:
        if not given and config.region is not None:
            return Region.from_file(config.region)
        if not given and config.place is not None:
            return Region.from_place(config.place)
        given = {**(config.bounding_box or {}), **given}
    missing = [name for name in ("west", "south", "east", "north") if name not in given]
    where = f" in {config.path.name}" if config is not None else ""
    if len(missing) == 4:
        raise RegionError(f"no region{where}", hint="give `region`")
    if missing:
        raise RegionError(
            f"the bounding box{where} has no {' and no '.join(missing)}", hint=f"add `{missing[0]}=DEGREES`"
        )
    name = f"the bounding box{where}"
    return Region.from_bbox(given["west"], given["south"], given["east"], given["north"], name=name)


def outside_hint(region: Region, bounds: Bounds | None) -> str | None:
    """
    Return a hint for data that lies outside the region.

    Parameters
    ----------
    region
        The region.
    bounds
        Bounds of the data; None if unknown.

    Returns
    -------
    hint
        That latitude and longitude look swapped, if swapped data would lie in the region; else the
        bounds of the data.
    """
    if bounds is None:
        return None
    west, south, east, north = region.bounds
    data_west, data_south, data_east, data_north = bounds
    if data_west <= north and data_east >= south and data_south <= east and data_north >= west:
        return f"latitude and longitude look swapped: did you mean `region=({south:g}, {west:g}, {north:g}, {east:g})`"
    return f"the data lies in `region=({data_west:.4f}, {data_south:.4f}, {data_east:.4f}, {data_north:.4f})`"


def widened(bounds: Bounds, margin_m: float, *, name: str) -> Region:
    """
    Return a box, a margin wider on every side.

    Parameters
    ----------
    bounds
        West, south, east, north, degrees; it may be a single point.
    margin_m
        Margin, metres; at least a millimetre is added, so that the box has an area.
    name
        What messages call it.
    """
    west, south, east, north = bounds
    # A degree of latitude is nowhere shorter than 110,574 m (WGS 84, at the equator).
    margin_lat = max(margin_m, 0.001) / 110_574.0
    south, north = max(south - margin_lat, -90.0), min(north + margin_lat, 90.0)
    margin_lon = margin_lat / max(math.cos(math.radians(max(abs(south), abs(north)))), 1e-6)
    width = east - west if west <= east else east - west + 360
    if width + 2 * margin_lon >= 360:
        return Region.from_bbox(-180.0, south, 180.0, north, name=name)
    west, east = west - margin_lon, east + margin_lon
    west = west + 360 if west < -180 else west
    east = east - 360 if east > 180 else east
    bounds = (west, south, east, north)
    return Region(_of_box(bounds), bounds, name, is_box=True)


def _is_geojson(path: Path) -> bool:
    import json

    if path.suffix.lower() != ".json":
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and "type" in content


def _region_of_file(path: Path) -> Region:
    path = path.expanduser()
    if path.suffix.lower() in {".json", ".toml"} and not _is_geojson(path):
        return Region.from_config(path)
    return Region.from_file(path)


def _of_box(bounds: Bounds) -> BaseGeometry:
    """Return the shape of a bounding box."""
    from shapely.geometry import MultiPolygon, box

    parts = [box(*part) for part in boxes.split(bounds)]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _tidy(geometry: BaseGeometry, name: str) -> BaseGeometry:
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


def _of_file(path: str | os.PathLike[str], name: str) -> BaseGeometry:
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


@working("looking the place up")
def _of_place(name: str) -> BaseGeometry:
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
                hint="use `region=BBOX`, or `region=FILE` with its outline",
            ) from error
        raise RegionError(
            f"no place with an area is called {name!r}", hint="add the country, or use `region=BBOX` or `region=FILE`"
        ) from error
    outline: BaseGeometry = frame.geometry.iloc[0]
    return outline


def _tight_bounds(geometry: BaseGeometry) -> Bounds:
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
