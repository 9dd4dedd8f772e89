"""
Shapes as they were drawn, from whatever a user holds, and the one area that they are.

Polygons are the area, also those in collections. Lines and points are none, unless a buffer says how much around
them is meant; what is left out is counted, and said in a warning.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FormatError, FrameError, NetworkError, RegionError
from mlygeo.progress import working
from mlygeo.regions import picture
from mlygeo.spatial import shapes, surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import geopandas as gpd
    from pyproj import CRS
    from shapely.geometry.base import BaseGeometry

    from mlygeo.arrays import Flags, Objects

log = logging.getLogger("mlygeo.regions")

NO_GEOMETRY, NO_AREA, POINTS, LINES = "rows without geometry", "polygons without area", "points", "lines"
"""Reasons for which something is left out of a region."""

GPX_LAYERS = {"tracks": "track_points", "routes": "route_points", "waypoints": None}
"""The layers of a GPX file in which each place stands once, and those of the points of lines."""

AREAS = ("Polygon", "Surface", "Collection", "Unknown")
"""Words in the kinds of layers that may hold polygons."""


IN_PYTHON = "name its CRS, with set_crs(4326) where it is in longitude and latitude"


@dataclass(frozen=True)
class Drawn:
    """
    Shapes as they were drawn.

    Parameters
    ----------
    given
        Geometries of any kind, some of which may be None.
    crs
        Their CRS; None is EPSG:4326.
    name
        What messages call the region.
    left_out
        How many rows were left out where they were read, by reason.
    """

    given: Objects
    crs: CRS | None
    name: str
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass
class _Parts:
    """The single geometries of shapes, and counts of what has no effect."""

    polygons: Objects
    lines: Objects
    points: Objects
    left_out: dict[str, int] = field(default_factory=dict)


def of_frame(frame: gpd.GeoDataFrame | gpd.GeoSeries, name: str, *, hint: str = IN_PYTHON) -> Drawn:
    """
    Return the shapes of a frame or series.

    Raises
    ------
    RegionError
        If it has no CRS, or no geometry.
    """
    try:
        given, crs = np.asarray(frame.geometry.values, dtype=object), frame.crs
    except AttributeError as error:
        raise RegionError(f"{name} has no column of geometries", hint="name one, with set_geometry") from error
    if crs is None:
        raise RegionError(f"{name} has no CRS", hint=hint)
    return Drawn(given, crs, name, dict(frame.attrs.get("left_out") or {}))


def of_value(value: Any, name: str) -> Drawn:
    """
    Return the shapes of what a user holds: a frame, shapes, GeoJSON, or several; see `mlygeo.store.as_frame`.

    Raises
    ------
    RegionError
        If it is nothing of the kind, or has no CRS.
    """
    if hasattr(value, "geom_type") and hasattr(value, "bounds") and not hasattr(value, "crs"):
        given = np.empty(1, dtype=object)
        given[0] = value
        return Drawn(given, None, name)
    if not hasattr(value, "crs") or not hasattr(value, "geometry"):
        from mlygeo import store

        try:
            value = store.as_frame(value, name=name)
        except FrameError as error:
            raise RegionError(str(error), hint=error.hint) from error
    return of_frame(value, name)


def of_file(path: Path, layer: str | None, name: str, *, buffered: bool) -> Drawn:
    """
    Return the shapes of a vector file.

    Parameters
    ----------
    path
        The file.
    layer
        The layer; None takes the only one that serves, and of GPX tracks, routes and way points together.
    name
        What messages call the region.
    buffered
        Whether lines and points serve.

    Raises
    ------
    RegionError
        If it has no CRS, or several layers that serve.
    FileError
        If it cannot be read.
    """
    from mlygeo import store

    if layer is None and path.suffix.lower() == ".gpx":
        parts = [of_frame(frame, name, hint=frames.crs_hint(path.name)) for frame in _of_gpx(path)]
        left_out = Counter[str]()
        for part in parts:
            left_out.update(part.left_out)
        return Drawn(np.concatenate([part.given for part in parts]), None, name, dict(left_out))
    if layer is None:
        layer = _layer(path, buffered=buffered)
    return of_frame(store.read_frame(path, layer=layer), name, hint=frames.crs_hint(path.name))


def _of_gpx(path: Path) -> Iterator[gpd.GeoDataFrame]:
    """Yield the frames of a GPX file in which each place stands, once where its lines have two points or more."""
    from mlygeo import store
    from mlygeo.store.columns import DAMAGED

    for layer, points in GPX_LAYERS.items():
        try:
            frame = store.read_frame(path, layer=layer)
        except FormatError:  # such as that of a line of one point, if there is no other
            if points is None:
                raise
            yield store.read_frame(path, layer=points)
            continue
        left_out = frame.attrs.get("left_out") or {}
        if points is not None and DAMAGED in left_out:
            frame.attrs["left_out"] = {reason: count for reason, count in left_out.items() if reason != DAMAGED}
            yield store.read_frame(path, layer=points)
        yield frame


@working("looking the place up")
def of_place(place: str) -> Drawn:
    """Return the outline of a place; see `mlygeo.regions.Region.from_place`."""
    import osmnx

    from mlygeo.osm import our_osmnx

    if not isinstance(place, str) or not place.strip():
        raise RegionError(f"{place!r} is not a name of a place", hint="such as 'Utrecht, Netherlands'")
    try:
        with our_osmnx(osmnx.settings.nominatim_url):
            frame = osmnx.geocode_to_gdf(place)
    except (OSError, TypeError, ValueError) as error:
        # OSMnx raises the OSErrors of requests, an error of its own where the service answers
        # badly, and ValueError or TypeError where the place is unknown or has no area.
        if isinstance(error, OSError) or type(error).__name__ == "ResponseStatusCodeError":
            raise NetworkError(
                f"the place {place!r} could not be looked up: Nominatim does not answer",
                hint="use `region=BBOX`, or `region=FILE` with its outline",
            ) from error
        raise RegionError(
            f"no place with an area is called {place!r}", hint="add the country, or use `region=BBOX` or `region=FILE`"
        ) from error
    return of_frame(frame, place)


def area(drawn: Drawn, buffer: float | None) -> tuple[BaseGeometry, dict[str, int]]:
    """
    Return the area of shapes, or what lies within a buffer of them.

    Parameters
    ----------
    drawn
        The shapes.
    buffer
        Metres; None takes the polygons alone.

    Returns
    -------
    area
        Polygon or multi-polygon, EPSG:4326, cut at the antimeridian.
    left_out
        How many things were left out, by reason.

    Raises
    ------
    RegionError
        If there is no area, or it is in doubt.
    """
    import shapely

    metres = None if buffer is None else surroundings.checked(buffer)
    parts = _parts(drawn)
    repaired = _repaired(parts, drawn)
    if metres is None:
        for kind, found in ((LINES, parts.lines), (POINTS, parts.points)):
            if len(found):
                parts.left_out[kind] = len(found)
    _check_anything(parts, drawn.name, buffered=metres is not None)
    tolerance = shapes.TOLERANCE_M if metres is None else min(shapes.TOLERANCE_M, surroundings.SIMPLER * metres)
    whole: BaseGeometry = shapely.Polygon()
    if len(parts.polygons):
        whole = shapes.polygons(parts.polygons, drawn.crs, drawn.name, tolerance=tolerance)
    if metres is not None:
        thin = np.concatenate([parts.lines, parts.points])
        if len(thin):
            edges = shapes.lines(thin, drawn.crs, drawn.name, tolerance=tolerance)
            whole = shapes.polygons_only(shapely.union(whole, surroundings.around(edges, metres, drawn.name)))
        if len(parts.polygons):
            whole = widened(whole, metres, drawn.name)
    if whole.is_empty:
        raise RegionError(f"{drawn.name} is empty: it covers no area")
    _say(drawn.name, repaired, parts.left_out, whole)
    return whole, {**drawn.left_out, **parts.left_out}


def widened(whole: BaseGeometry, metres: float, name: str) -> BaseGeometry:
    """Return an area in longitude and latitude, wider by so many metres."""
    import shapely

    corners, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(whole)), return_index=True)
    edge = surroundings.around(shapes.Lines(corners, ring), metres, name)
    return shapes.polygons_only(shapely.union(whole, edge))


def _layer(path: Path, *, buffered: bool) -> str | None:
    """Return the one layer that serves; None where there are not several, or the file has none."""
    import pyogrio

    from mlygeo import store

    if not path.exists() or not store.has_layers(path):
        return None
    try:
        layers = [(str(name), str(kind)) for name, kind in pyogrio.list_layers(path) if kind is not None]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        return None  # reading it says what is wrong
    if len(layers) > 1:
        layers = [(name, kind) for name, kind in layers if _serves(path, name, kind, buffered=buffered)] or layers[:1]
    serving = [name for name, _ in layers]
    if len(serving) > 1:
        raise RegionError(
            f"{path.name} has {len(serving)} layers that may be meant: {', '.join(serving)}",
            hint=f"name one: `region={path}:{serving[0]}`",
        )
    return serving[0] if serving else None


def _serves(path: Path, layer: str, kind: str, *, buffered: bool) -> bool:
    """Return whether a layer has what a region is made of; where its kind does not say, its rows do."""
    import shapely

    from mlygeo import store

    if not buffered and not any(word in kind for word in AREAS):
        return False
    if "Polygon" in kind or "Surface" in kind:
        return True
    parts = shapely.get_parts(shapely.get_parts(np.asarray(store.read_frame(path, layer=layer).geometry.values)))
    return bool(len(parts)) if buffered else bool(np.isin(shapely.get_type_id(parts), (3, 6)).any())


def _parts(drawn: Drawn) -> _Parts:
    """Return single polygons, lines and points, out of all collections."""
    import shapely

    missing = shapely.is_missing(drawn.given) | shapely.is_empty(drawn.given)
    singles = drawn.given[~missing]
    while (shapely.get_type_id(singles) >= shapely.GeometryType.MULTIPOINT).any():
        singles = shapely.get_parts(singles)
    singles = shapely.force_2d(singles[~shapely.is_empty(singles)])
    if not np.isfinite(shapely.get_coordinates(singles)).all():
        raise RegionError(f"{drawn.name} has corners that are not finite numbers")
    kind = shapely.get_type_id(singles)
    lines = (kind == shapely.GeometryType.LINESTRING) | (kind == shapely.GeometryType.LINEARRING)
    left_out = {NO_GEOMETRY: int(missing.sum())} if missing.any() else {}
    return _Parts(
        singles[kind == shapely.GeometryType.POLYGON],
        singles[lines],
        singles[kind == shapely.GeometryType.POINT],
        left_out,
    )


def _repaired(parts: _Parts, drawn: Drawn) -> str | None:
    """Replace polygons that cross themselves by what they enclose; return words for how many, and why."""
    import shapely

    valid: Flags = shapely.is_valid(parts.polygons)
    words = None
    if not valid.all():
        # Where edges are parted at crossings, none looks long any more.
        shapes.check_edges(parts.polygons[~valid], drawn.crs, drawn.name)
        reason = str(shapely.is_valid_reason(parts.polygons[~valid][0])).split("[")[0].lower()
        made = shapely.get_parts(shapely.get_parts(shapely.make_valid(parts.polygons[~valid])))
        made = made[shapely.get_type_id(made) == shapely.GeometryType.POLYGON]
        count = int((~valid).sum())
        words = f"{count:,} polygon{'' if count == 1 else 's'} of {drawn.name} cannot be drawn so ({reason})"
        parts.polygons = np.concatenate([parts.polygons[valid], made])
        if not len(made):
            words = None
            parts.left_out[NO_AREA] = count
    flat = shapely.area(parts.polygons) == 0
    if flat.any():
        parts.left_out[NO_AREA] = parts.left_out.get(NO_AREA, 0) + int(flat.sum())
        parts.polygons = parts.polygons[~flat]
    return words


def _check_anything(parts: _Parts, name: str, *, buffered: bool) -> None:
    if len(parts.polygons) or (buffered and len(parts.lines) + len(parts.points)):
        return
    if len(parts.lines) + len(parts.points):
        raise RegionError(
            f"{name} contains no polygon, only {_listed(parts.left_out)}",
            hint="`buffer=METRES` takes what lies around them",
        )
    found = f": it holds {_listed(parts.left_out)}" if parts.left_out else ""
    raise RegionError(f"{name} is empty and covers no area{found}")


def _say(name: str, repaired: str | None, left_out: dict[str, int], whole: BaseGeometry) -> None:
    if repaired is not None:
        log.warning(
            "%s; %s now covers %s, what its lines enclose", repaired, name, picture.square_km(shapes.area_m2(whole))
        )
    if left_out:
        one = sum(left_out.values()) == 1
        log.warning("%s: %s %s", name, _listed(left_out), "was left out" if one else "were left out")


def _listed(left_out: dict[str, int]) -> str:
    """Return counts in words, such as "3 lines and 1 point"."""
    words = []
    for reason, count in left_out.items():
        first, _, rest = reason.partition(" ")
        words.append(f"{count:,} {first if count != 1 else first.removesuffix('s')}{' ' if rest else ''}{rest}")
    return " and ".join(words)
