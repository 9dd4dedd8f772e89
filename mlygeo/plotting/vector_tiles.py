"""
Vector tiles as the lines and areas of a base map, by what they are: water, green, buildings, roads, boundaries.

Layers are known by their names in three schemas: OpenMapTiles (https://openmaptiles.org/schema/), Shortbread 1.0
(https://shortbread-tiles.org/schema/1.0/) and Protomaps (https://docs.protomaps.com/basemaps/layers). No name means
one thing in one of them and another in the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import mvt_tiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlygeo.arrays import Flags, Objects, Whole

STEPS = 4096
"""Steps along the side of a tile."""

_HALF_M = 20037508.342789244
"""Half of the width of the Web Mercator world, metres: GDAL's coordinates of tile 0/0/0."""

LOOKS: dict[str, dict[str, Any]] = {
    "green": {"colour": "#dfead8"},
    "water": {"colour": "#c5dbe9"},
    "paved": {"colour": "#eceef0"},
    "building": {"colour": "#e3dfd9"},
    "stream": {"colour": "#c5dbe9", "width": 1.4},
    "path": {"colour": "#d9dde1", "width": 0.9},
    "rail": {"colour": "#c9c0c7", "width": 1.2},
    "minor": {"colour": "#d3d8dc", "width": 1.8},
    "major": {"colour": "#bec5cc", "width": 3},
    "boundary": {"colour": "#b9a3bd", "width": 1.2},
    "line": {"colour": "#b5bac0", "width": 1.2},
}
"""How each kind of line and area looks, the lowest first: pale, so that what lies above stands out."""

THEMES = {
    **dict.fromkeys(("water", "waterway", "ocean", "water_polygons", "water_lines", "physical_line"), "water"),
    **dict.fromkeys(("landcover", "landuse", "land", "sites", "natural", "park"), "green"),
    **dict.fromkeys(("building", "buildings"), "building"),
    **dict.fromkeys(("transportation", "streets", "street_polygons", "roads", "transit"), "road"),
    **dict.fromkeys(("boundary", "boundaries"), "boundary"),
}
"""What the layers of the three schemas are, by their names; of Protomaps those of its older versions, too."""

LEFT_OUT = frozenset({
    "addresses", "aerialways", "aerodrome_label", "aeroway", "boundary_labels", "bridges", "dam_lines", "dam_polygons",
    "earth", "ferries", "globallandcover", "housenumber", "mountain_peak", "physical_point",
    "pier_lines", "pier_polygons", "place", "place_labels", "places", "poi", "pois", "public_transport",
    "street_labels", "street_labels_points", "streets_polygons_labels", "street_polygons_labels",
    "transportation_name", "water_lines_labels", "water_name", "water_polygons_labels",
})  # fmt: skip
"""Layers of the three schemas that are not drawn: labels, and what few maps need."""

GREEN = frozenset({
    "allotments", "cemetery", "forest", "garden", "golf_course", "grass", "grassland", "grave_yard", "heath", "meadow",
    "national_park", "nature_reserve", "orchard", "park", "pitch", "playground", "protected_area",
    "recreation_ground", "scrub", "swamp", "village_green", "vineyard", "wetland", "wood", "bog", "marsh", "dog_park",
    "string_bog", "wet_meadow",
})  # fmt: skip

MAJOR = frozenset({
    "motorway", "trunk", "primary", "secondary", "tertiary", "motorway_link", "trunk_link", "primary_link",
    "secondary_link", "tertiary_link", "highway", "major_road", "medium_road",
})  # fmt: skip

PATHS = frozenset({
    "path", "footway", "cycleway", "track", "steps", "pedestrian", "bridleway", "pier", "platform",
})  # fmt: skip

RAILS = frozenset({
    "rail", "railway", "transit", "subway", "tram", "light_rail", "narrow_gauge", "monorail", "funicular", "preserved",
})  # fmt: skip

UNSEEN = frozenset({
    "ferry", "aerialway", "cable_car", "aeroway", "runway", "taxiway", "abandoned", "disused", "razed",
    *(f"{road}_construction" for road in ("motorway", "trunk", "primary", "secondary", "tertiary", "minor", "service",
                                          "path", "track", "raceway")),
})  # fmt: skip
"""Lines among the roads that nobody drives or walks on: of ferries and aircraft, and what is gone or not yet there."""

STREAMS = frozenset({None, "river", "stream", "canal", "drain", "ditch", "tidal_channel", "waterway"})
"""Lines among the waters that are water: others are dams, or stand for the label of a strait."""

KIND = ("class", "kind", "pmap:kind", "natural")
"""Columns that tell what a feature of a layer is, by schema; the last in Protomaps' oldest."""

LEVEL = ("admin_level", "kind_detail", "pmap:min_admin_level")
"""Columns that tell the level of a boundary, by schema."""

LIMITS = frozenset({"overlay_limit", "lease_limit"})
"""Boundaries at sea that part no land."""

LOWEST_BOUNDARY = 8.0
"""Boundaries of a higher `admin_level` are those of quarters."""


@dataclass
class Shapes:
    """
    Lines and areas of many tiles of one zoom, by how they look.

    Parameters
    ----------
    zoom
        The zoom.
    known
        Whether a layer of a known schema was among them.
    others
        Names of layers that no known schema has.
    """

    zoom: int
    known: bool = False
    others: set[str] = field(default_factory=set)
    _areas: dict[str, list[Part]] = field(default_factory=dict)
    _lines: dict[str, list[Part]] = field(default_factory=dict)

    def add(self, data: bytes, column: int, row: int) -> None:
        """
        Add what a tile has.

        Parameters
        ----------
        data
            The tile, as gzip or without.
        column, row
            Its address.

        Raises
        ------
        FormatError
            If it cannot be read.
        """
        corner = np.array([column, row], dtype=np.int64) * STEPS
        with mvt_tiles.opened(data) as tile:
            for name, geometry, columns in _layers(tile):
                theme = THEMES.get(name)
                if theme is None:
                    if name not in LEFT_OUT:
                        self.others.add(name)
                        self._add({"line?": np.ones(len(geometry), dtype=bool)}, geometry, corner)
                    continue
                self.known = True
                self._add(_looks(theme, geometry, columns), geometry, corner)

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Yield how each part looks, the lowest first; layers of no known schema only where there are no others."""
        for look in LOOKS:
            for found in (self._areas, self._lines):
                source = "line?" if look == "line" and not self.known else look
                if pieces := found.get(source):
                    yield look, Part.joined(pieces)

    def _add(self, looks: dict[str, Flags], geometry: Objects, corner: Whole) -> None:
        import shapely

        for look, chosen in looks.items():
            parts = shapely.get_parts(geometry[chosen])
            dimensions = shapely.get_dimensions(parts)
            areas, lines = parts[dimensions == 2], parts[dimensions == 1]
            if look == "line?":
                lines, areas = np.concatenate([lines, shapely.get_rings(areas)]), areas[:0]
            if len(areas) and "width" not in LOOKS.get(look, {}):
                self._areas.setdefault(look, []).append(Part.of_areas(areas, corner))
            if len(lines) and "width" in LOOKS.get(look, {"width": 1}):
                self._lines.setdefault(look, []).append(Part.of_lines(lines, corner))


@dataclass(frozen=True)
class Part:
    """
    Lines, or the rings of areas, in steps of tiles from the north-western corner of the world.

    Parameters
    ----------
    places
        Columns and rows of vertices; shape (vertices, 2).
    counts
        Vertices of each line or ring.
    rings
        Rings of each area; None for lines.
    """

    places: Whole
    counts: Whole
    rings: Whole | None = None

    @classmethod
    def of_lines(cls, lines: Objects, corner: Whole) -> Part:
        """Return lines in metres of tile 0/0/0 as a part."""
        import shapely

        places = shapely.get_coordinates(lines)
        steps = np.rint((places / (2 * _HALF_M) * [1, -1] + 0.5) * STEPS).astype(np.int64)
        return cls(steps + corner, shapely.get_num_coordinates(lines).astype(np.int64))

    @classmethod
    def of_areas(cls, areas: Objects, corner: Whole) -> Part:
        """Return areas in metres of tile 0/0/0 as a part."""
        import shapely

        rings, owner = shapely.get_rings(areas, return_index=True)
        found = cls.of_lines(rings, corner)
        return cls(found.places, found.counts, np.bincount(owner, minlength=len(areas)))

    @classmethod
    def joined(cls, parts: list[Part]) -> Part:
        """Return parts as one."""
        rings = [part.rings for part in parts if part.rings is not None]
        return cls(
            np.concatenate([part.places for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate(rings) if rings else None,
        )


def _layers(tile: bytes) -> Iterator[tuple[str, Objects, dict[str, Objects]]]:
    """Yield the name of each layer, its geometries in metres of tile 0/0/0, and the columns that tell what they are."""
    import pyarrow as pa
    import pyogrio
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError, FieldError, GeometryError

    if not tile:
        return
    if (guess := mvt_tiles.guess(tile[:64])) is not None:
        raise FormatError(guess)
    try:
        for name, _ in pyogrio.list_layers(tile).tolist():
            if name in LEFT_OUT:
                continue
            options = {"columns": [*KIND, *LEVEL, "maritime"], "X": 0, "Y": 0, "Z": 0}
            about, table = pyogrio.read_arrow(tile, layer=name, **options)
            geometry = table.column(about["geometry_name"] or "wkb_geometry").to_numpy(zero_copy_only=False)
            columns = {each: table.column(each).to_numpy(zero_copy_only=False) for each in table.column_names}
            yield name, np.asarray(shapely.from_wkb(geometry, on_invalid="ignore")), columns
    except (
        DataSourceError, DataLayerError, FieldError, GeometryError, pa.ArrowException, RuntimeError, ValueError,
        KeyError,
    ) as error:  # fmt: skip
        # Names that are not UTF-8 are ValueErrors.
        said = re.sub(r"'/vsimem/[^']*'", "it is", str(error)).partition(";")[0].rstrip(".")
        raise FormatError(f"GDAL cannot read it ({said})") from error


def _looks(theme: str, geometry: Objects, columns: dict[str, Objects]) -> dict[str, Flags]:
    """Return which features of a layer look how."""
    import shapely

    everything = np.ones(len(geometry), dtype=bool)
    kinds = next((columns[name] for name in KIND if name in columns), np.full(len(geometry), None))
    areas = shapely.get_dimensions(geometry) == 2
    if theme == "water":
        return {"water": areas, "stream": _among(kinds, STREAMS)}
    if theme == "green":
        return {"green": _among(kinds, GREEN) if any(name in columns for name in KIND) else everything}
    if theme == "boundary":
        level = _numbers(next((columns[name] for name in LEVEL if name in columns), None), len(geometry))
        land = ~(_numbers(columns.get("maritime"), len(geometry)) > 0) & ~_among(kinds, LIMITS)
        return {"boundary": land & ~(level > LOWEST_BOUNDARY)}
    if theme == "road":
        rails, paths, major = (_among(kinds, names) for names in (RAILS, PATHS, MAJOR))
        minor = ~(rails | paths | major | _among(kinds, UNSEEN))
        return {"paved": areas, "rail": rails, "path": paths, "minor": minor, "major": major}
    return {theme: everything}


def _among(values: Iterable[Any], names: frozenset[str] | frozenset[str | None]) -> Flags:
    return np.array([value in names for value in values], dtype=bool)


def _numbers(values: Objects | None, length: int) -> Any:
    import pandas as pd

    if values is None:
        return np.full(length, np.nan)
    return pd.to_numeric(pd.Series(values).replace({True: 1, False: 0}), errors="coerce").to_numpy(dtype=float)
