"""Cells that part the world, for tables: tiles of the web map by quadkey, and hexagons of H3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo import arrays
from mlygeo.errors import InputError
from mlygeo.spatial import cells, districts, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlygeo.arrays import Flags, Floats, Objects, Whole
    from mlygeo.spatial.pieces import Pieces
    from mlygeo.spatial.polylines import Lines

MOST_CUTS = 20_000_000
"""More cuts of streets than this mean a mistake in the size of cells, and would not fit in memory."""

ARC_M = 1000.0
"""Sides of hexagons are great circles: pieces this short bend less than 0.1 m from straight lines in degrees, but
near the poles."""

EARTH_M = 6_371_007.0
"""Radius of a sphere with the area of the earth."""


def of(text: str) -> Quadkeys | Hexagons:
    """
    Return the cells that a text means.

    Parameters
    ----------
    text
        "quadkey17" for tiles of zoom 17, or "h3:9" for hexagons of resolution 9.

    Raises
    ------
    InputError
        If it means none, or there is no such zoom or resolution.
    DependencyError
        If the package h3 is needed, and is not installed.
    """
    kind, size = cells.named(text, "cells")
    if kind == "quadkey":
        return Quadkeys(size)
    cells.h3()
    return Hexagons(size)


@dataclass(frozen=True)
class Quadkeys:
    """
    Tiles of the web map.

    Parameters
    ----------
    zoom
        From 0 to 30.
    """

    zoom: int

    def of(self, lon: Floats, lat: Floats) -> tuple[Whole, Flags]:
        """Return the Morton code of the tile of each place (degrees), -1 where it is not finite; none has several."""
        return cells.codes(lon, lat, self.zoom), np.zeros(len(lon), dtype=bool)

    def labels(self, keys: Whole) -> list[str]:
        """Return the quadkeys of tiles."""
        return [cells.quadkey(key, self.zoom) for key in keys.tolist()]

    def shapes(self, keys: Whole) -> Objects:
        """Return the boxes of tiles, EPSG:4326."""
        import shapely

        bounds = np.array([cells.bounds(key, self.zoom) for key in keys.tolist()]).reshape(-1, 4)
        return np.asarray(shapely.box(*bounds.T))

    def cut(self, lines: Lines, lonlat: Floats) -> Pieces:
        """Return the pieces of lines between the borders of tiles; see `Areas`."""
        of = pieces.segments(lines, lonlat)
        width = 360 / (1 << self.zoom)
        column = (of.lon + 180) / width
        row = cells.tiles(of.lon, of.lat, self.zoom)[1]
        last_row = cells.tiles(of.lon, of.lat + of.north, self.zoom)[1]
        last_column = (of.lon + of.east + 180) / width
        low, high = np.floor(np.minimum(column, last_column)), np.floor(np.maximum(column, last_column))
        first, last = np.minimum(row, last_row), np.maximum(row, last_row)
        _check(int((high - low).sum()) + int((last - first).sum()))
        crossed, border = _each(low.astype(np.int64), high.astype(np.int64))
        with np.errstate(divide="ignore", invalid="ignore"):
            east = (border * width - 180 - of.lon[crossed]) / of.east[crossed]
            level, border = _each(first, last)
            north = (self._north(border) - of.lat[level]) / of.north[level]
        return pieces.cut(lines, of, np.concatenate((crossed, level)), np.concatenate((east, north)))

    def _north(self, row: Whole) -> Floats:
        """Return the latitude of the northern border of rows."""
        rows, place = np.unique(row, return_inverse=True)
        codes = cells.interleave(np.zeros(len(rows), dtype=np.int64), rows)
        return np.array([cells.bounds(code, self.zoom)[3] for code in codes.tolist()])[place]


@dataclass(frozen=True)
class Hexagons:
    """
    Hexagons, and twelve pentagons, of H3.

    Parameters
    ----------
    resolution
        From 0 to 15.
    """

    resolution: int

    def of(self, lon: Floats, lat: Floats) -> tuple[Whole, Flags]:
        """Return the cell of each place (degrees) as a number, -1 where it is not finite; none has several."""
        found, known = np.full(len(lon), -1, dtype=np.int64), np.isfinite(lon) & np.isfinite(lat)
        look_up, own = cells.h3().latlng_to_cell, zip(lat[known].tolist(), lon[known].tolist(), strict=True)
        found[known] = [look_up(*place, self.resolution) for place in own]
        return found, np.zeros(len(lon), dtype=bool)

    def labels(self, keys: Whole) -> list[str]:
        """Return the names of cells, such as "891f8d7a49bffff"."""
        return list(map(cells.h3().int_to_str, keys.tolist()))

    def shapes(self, keys: Whole) -> Objects:
        """Return the polygons of cells, EPSG:4326, cut at the antimeridian."""
        import shapely

        from mlygeo.spatial import shapes

        made = np.empty(len(keys), dtype=object)
        for number, corners in enumerate(self._corners(keys)):
            lon = _unwrapped(corners[:, 0])
            ring = shapely.Polygon(np.stack([lon, corners[:, 1]], axis=1))
            made[number] = ring if np.abs(lon).max() <= 180 else shapes.cut(ring)
        return made

    def _corners(self, keys: Sequence[int] | Whole) -> list[Floats]:
        corners_of = cells.h3().cell_to_boundary
        return [np.array(corners_of(int(key)))[:, ::-1] for key in keys]

    def cut(self, lines: Lines, lonlat: Floats) -> Pieces:
        """Return the pieces of lines between the borders of cells; see `Areas`."""
        h3 = cells.h3()
        of = pieces.segments(lines, lonlat)
        apart = h3.average_hexagon_edge_length(self.resolution, unit="m") / 2
        count = np.ceil(lines.step[of.vertex + 1] / apart).astype(np.int64) + 1
        _check(int(count.sum()))
        segment = np.repeat(np.arange(len(count)), count)
        share = arrays.numbered(count) / (count[segment] - 1).clip(1)
        lon, lat = of.lon[segment] + share * of.east[segment], of.lat[segment] + share * of.north[segment]
        touched = np.unique(self.of(lon, lat)[0]).tolist()
        near = sorted({each for cell in touched for each in h3.grid_disk(cell, 1)})
        sides = [_sides(corners) for corners in self._corners(near)]
        if not sides:
            return pieces.cut(lines, of, np.empty(0, dtype=np.int64), np.empty(0))
        begin, end = (np.concatenate(each) for each in zip(*sides, strict=True))
        return pieces.cut(lines, of, *districts.crossings(of, begin, end))


def _sides(corners: Floats) -> tuple[Floats, Floats]:
    """Return both ends of short pieces of a cell's sides, degrees; those beyond ±180 on both sides of the map."""
    lon, lat = np.radians(corners).T
    place = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    following = np.roll(place, -1, axis=0)
    count = int(np.ceil(np.linalg.norm(following - place, axis=1).max() * EARTH_M / ARC_M))
    share = np.linspace(0, 1, count + 1)[None, :, None]
    arcs = place[:, None] * (1 - share) + following[:, None] * share  # longer or shorter than the radius: no matter
    along = np.degrees(np.arctan2(arcs[..., 2], np.hypot(arcs[..., 0], arcs[..., 1])))
    across = np.degrees(np.arctan2(arcs[..., 1], arcs[..., 0]))
    parts = (slice(0, -1), slice(1, None))
    begin, end = (np.stack([across[:, part].ravel(), along[:, part].ravel()], axis=1) for part in parts)
    end[:, 0] = begin[:, 0] + (end[:, 0] - begin[:, 0] + 180) % 360 - 180
    beyond = np.abs(end[:, 0]) > 180
    turn = np.array([360.0, 0.0]) * np.sign(end[beyond, :1])
    return np.concatenate((begin, begin[beyond] - turn)), np.concatenate((end, end[beyond] - turn))


def _unwrapped(lon: Floats) -> Floats:
    found: Floats = lon + 360 * np.rint((lon[0] - lon) / 360)
    return found


def _each(low: Whole, high: Whole) -> tuple[Whole, Whole]:
    """Return for each pair the numbers above the lower one up to the higher one, and which pair they are of."""
    count = high - low
    pair = np.repeat(np.arange(len(count)), count)
    return pair, arrays.numbered(count, low + 1)


def _check(cuts: int) -> None:
    if cuts > MOST_CUTS:
        raise InputError(f"`cells` are too small: streets would be cut {cuts:,} times", hint="use larger cells")
