"""The `Region`: polygons in longitude and latitude, cut at the antimeridian, and what can be asked of them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import degrees
from mlygeo.errors import RegionError
from mlygeo.spatial import areas, boxes

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from shapely.geometry.base import BaseGeometry

    from mlygeo.arrays import Bounds, Flags, Floats
    from mlygeo.config import Config
    from mlygeo.regions.drawn import Drawn


log = logging.getLogger("mlygeo.regions")

NOMINATIM = "OpenStreetMap's Nominatim"
"""The service that knows places by name."""


@dataclass(frozen=True)
class Origin:
    """
    Where a region comes from.

    Parameters
    ----------
    path
        The file of its shapes, or the configuration file with its box; None where a service has told it.
    layer
        The layer of the file, where one was named.
    service
        The service.
    is_buffered
        Whether what lies there has become wider by a buffer.
    """

    path: Path | None = None
    layer: str | None = None
    service: str | None = None
    is_buffered: bool = False


@dataclass(frozen=True, repr=False)
class Region:
    """
    A part of the earth, in longitude and latitude.

    Parameters
    ----------
    geometry
        Polygon or multi-polygon, EPSG:4326, cut at the antimeridian: longitudes are within [-180, 180].
    bounds
        West, south, east, north; west > east where the region crosses the antimeridian.
    name
        What messages call it.
    is_box
        Whether it is a bounding box.
    left_out
        Number of geometries that were left out, by reason.
    origin
        The file or the service that it comes from; None if it was given as numbers or geometries.
    """

    geometry: BaseGeometry
    bounds: Bounds
    name: str = "the region"
    is_box: bool = False
    left_out: dict[str, int] = field(default_factory=dict, compare=False)
    origin: Origin | None = field(default=None, compare=False)

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
            If a number is not a coordinate, the box is empty, or latitude and longitude are swapped.
        """
        bounds = boxes.checked(west, south, east, north)
        return cls(_of_box(bounds), bounds, name, is_box=True)

    @classmethod
    def from_geometry(cls, geometry: Any, *, buffer: float | None = None, name: str = "the region") -> Region:
        """
        Return a region of any shape.

        Edges are straight where they were drawn: in the plane of a projected CRS, else in longitude and
        latitude. Longitudes beyond ±180 are brought back, and parts on either side of the antimeridian count as
        one region that crosses it. A ring that encloses a pole includes it.

        Parameters
        ----------
        geometry
            A shapely geometry, EPSG:4326; or a frame or series in any CRS, GeoJSON, or several of them. Its
            polygons are the region, those in collections too.
        buffer
            Metres around the shapes that belong to the region, 0.01 to 1,000,000, geodesic to 0.1 %. With a
            buffer lines and points count as polygons do; without one they are left out, and counted.
        name
            What messages call it.

        Raises
        ------
        RegionError
            If it covers no area, lies outside of what its CRS can show, or an edge of more than 180° of longitude
            leaves in doubt which way round it goes.
        """
        from mlygeo.regions import drawn

        return cls._of_drawn(drawn.of_value(geometry, name), buffer)

    @classmethod
    def from_file(
        cls, path: str | os.PathLike[str], *, layer: str | None = None, buffer: float | None = None
    ) -> Region:
        """
        Return the region of a file of shapes; several shapes make one region.

        Parameters
        ----------
        path
            Any vector file (.geojson, .gpkg, .fgb, .parquet, .shp, .kml, .gpx, …), in any CRS;
            `file.gpkg:layer` names a layer of it.
        layer
            The layer, for a file that has several. Default: the only one with polygons, or with a buffer the only
            one with geometry; of GPX tracks, routes and way points together.
        buffer
            Metres around the shapes, as for `from_geometry`.

        Raises
        ------
        RegionError
            If it has no polygon, no CRS, or several layers that may be meant; or as for `from_geometry`.
        FileError
            If it cannot be read.
        """
        from mlygeo.regions import drawn
        from mlygeo.spatial import surroundings
        from mlygeo.store.paths import must_be_local, must_exist, parted

        if buffer is not None:
            buffer = surroundings.checked(buffer)
        must_be_local(path, "the region")
        file, named = parted(path)
        must_exist(file)
        name = f"the region in {file.name}" + (f":{layer or named}" if layer or named else "")
        found = cls._of_drawn(drawn.of_file(file, layer or named, name, buffered=buffer is not None), buffer)
        return replace(found, origin=Origin(file, layer or named, is_buffered=buffer is not None))

    @classmethod
    def from_place(cls, name: str, *, buffer: float | None = None) -> Region:
        """
        Return the region of a place that OpenStreetMap's Nominatim knows by name.

        Parameters
        ----------
        name
            Such as "Utrecht, Netherlands".
        buffer
            Metres around the place, as for `from_geometry`.

        Raises
        ------
        RegionError
            If no place of that name has an area.
        NetworkError
            If Nominatim cannot be reached.
        """
        from mlygeo.regions import drawn

        found = cls._of_drawn(drawn.of_place(name), buffer)
        return replace(found, origin=Origin(service=NOMINATIM, is_buffered=buffer is not None))

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

    @classmethod
    def _of_drawn(cls, given: Drawn, buffer: float | None) -> Region:
        from mlygeo.regions import drawn
        from mlygeo.spatial import shapes

        geometry, left_out = drawn.area(given, buffer)
        return cls(geometry, shapes.tight_bounds(geometry), given.name, left_out=left_out)

    def buffered(self, metres: float) -> Region:
        """
        Return what lies within so many metres of the region.

        Parameters
        ----------
        metres
            From 0.01 to 1,000,000, geodesic to 0.1 %.

        Raises
        ------
        RegionError
            If that is no such number.
        """
        from mlygeo.regions import drawn
        from mlygeo.spatial import shapes, surroundings

        geometry = drawn.widened(self.geometry, surroundings.checked(metres), self.name)
        origin = None if self.origin is None else replace(self.origin, is_buffered=True)
        return replace(self, geometry=geometry, bounds=shapes.tight_bounds(geometry), is_box=False, origin=origin)

    @property
    def boxes(self) -> list[Bounds]:
        """The bounding box as one box, or two where it crosses the antimeridian."""
        return boxes.split(self.bounds)

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle of the bounding box."""
        return areas.centre(self.bounds)

    @property
    def area_m2(self) -> float:
        """Area on the ellipsoid of WGS 84, square metres."""
        from mlygeo.spatial import shapes

        return shapes.area_m2(self.geometry)

    def __repr__(self) -> str:
        """Return name, bounds and area in a line."""
        from mlygeo.regions import picture

        return f"<Region {self.name!r} {picture.bounds_text(self.bounds)}, {picture.square_km(self.area_m2)}>"

    def _repr_svg_(self) -> str:
        """Return the outline for notebooks."""
        from mlygeo.regions import picture

        return picture.svg(self.geometry, self.bounds)

    def _repr_html_(self) -> str:
        """Return outline, name, bounds and area for notebooks."""
        from mlygeo.regions import picture

        return picture.html(self.geometry, self.bounds, self.name, self.area_m2)

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
            bool, shape (n,); False for NaN. Longitudes beyond ±180 are the same places within.
        """
        west, _, east, _ = self.bounds
        turns = degrees.turns_of(lon, lon)
        lon = lon if turns is None else lon - 360.0 * turns
        if (west == -180 or east == 180 or west > east) and (np.abs(lon) == 180).any():
            # The antimeridian has two longitudes.
            lon = np.where(lon == -180.0, 180.0, lon) if east == 180 else np.where(lon == 180.0, -180.0, lon)
        inside = np.zeros(len(lon), dtype=bool)
        for west, south, east, north in self.boxes:
            inside |= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        if not self.is_box and inside.any():
            import shapely

            shapely.prepare(self.geometry)
            rows = np.flatnonzero(inside)
            inside[rows] = shapely.intersects_xy(self.geometry, lon[rows], lat[rows])
        return inside


def from_parts(
    *,
    config: Config | None = None,
    bbox: Sequence[float] | None = None,
    sides: dict[str, float | None] | None = None,
    file: str | os.PathLike[str] | None = None,
    place: str | None = None,
    buffer: float | None = None,
) -> Region:
    """
    Return the region that the options of a verb name; the command line wins over the file.

    Parameters
    ----------
    config
        Configuration; its bounding box, region file or place serve where no option does, and its buffer goes
        with them.
    bbox
        West, south, east, north.
    sides
        Any of west, south, east, north; they win over those of `config`.
    file
        A polygon file.
    place
        The name of a place.
    buffer
        Metres around what is named; it wins over that of `config`, which goes with the region of `config`.

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
    if buffer is None and config is not None and config.buffer is not None:
        own = config.region or config.place or config.bounding_box
        # The buffer of a file goes with the region of that file, where it has one that is used.
        if not own or not named or (given and config.bounding_box and not config.region and not config.place):
            buffer = config.buffer
        else:
            log.info("%s: its buffer goes with its region, and is left out for %s", config.path.name, named[0])
    if bbox is not None:
        box = Region.from_bbox(*bbox)
        return box if buffer is None else box.buffered(buffer)
    if file is not None:
        return Region.from_file(file, buffer=buffer)
    if place is not None:
        return Region.from_place(place, buffer=buffer)
    if config is not None:
        if not given and config.region is not None:
            return Region.from_file(config.region, buffer=buffer)
        if not given and config.place is not None:
            return Region.from_place(config.place, buffer=buffer)
        given = {**(config.bounding_box or {}), **given}
    missing = [name for name in ("west", "south", "east", "north") if name not in given]
    where = f" in {config.path.name}" if config is not None else ""
    if len(missing) == 4:
        if buffer is not None and config is None:
            raise RegionError("`buffer` has no effect without a region", hint="give `region`")
        raise RegionError(f"no region{where}", hint="give `region`")
    if missing:
        raise RegionError(
            f"the bounding box{where} has no {' and no '.join(missing)}", hint=f"add `{missing[0]}=DEGREES`"
        )
    name = f"the bounding box{where}"
    box = Region.from_bbox(given["west"], given["south"], given["east"], given["north"], name=name)
    if config is not None and given == config.bounding_box:
        box = replace(box, origin=Origin(config.path))
    return box if buffer is None else box.buffered(buffer)


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


def _of_box(bounds: Bounds) -> BaseGeometry:
    """Return the shape of a bounding box."""
    from shapely.geometry import MultiPolygon, box

    parts = [box(*part) for part in boxes.split(bounds)]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)
