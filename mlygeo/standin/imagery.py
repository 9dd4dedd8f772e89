"""
The stand-in's vector tiles: the images of a frame, encoded as the service encodes them.

Version 2, extent 4096; layer `sequence` (zoom 6 to 14) before layer `image` (zoom 14), or layer
`overview` (zoom 0 to 5). Features are numbered across layers, with the image's id in the property
`id`; properties without a value are left out. A tile without images is empty.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

    from mlygeo.arrays import Floats, Indices, Objects


EXTENT = 4096

TILESETS = ("mly1_public", "mly1_computed_public")

IMAGE = (
    "captured_at",
    "compass_angle",
    "creator_id",
    "id",
    "is_pano",
    "organization_id",
    "quality_score",
    "sequence_id",
)
SEQUENCE = ("captured_at", "creator_id", "id", "is_pano", "organization_id", "sequence_id")
OVERVIEW = ("captured_at", "id", "is_pano", "sequence_id")
"""Columns that become the properties of each layer's features."""

TILES_KEPT = 256
"""Encoded tiles kept in memory."""


class Imagery:
    """
    Encodes tiles of an images frame.

    Parameters
    ----------
    images
        Images frame. With a column `computed_geometry` of points (geometry, WKB or GeoJSON), the
        tileset with computed positions has those, and leaves out images without; else both tilesets
        are the same.
    buffer
        Width of the border in which a tile repeats images of its neighbours, in units of the tile
        (4096 a side). If it is not 0, an image can be in two tiles.

    Raises
    ------
    FrameError
        If it is not an images frame.
    """

    def __init__(self, images: gpd.GeoDataFrame, *, buffer: int = 0) -> None:
        import geopandas as gpd

        images = frames.check(images, frames.IMAGES)
        if images["id"].duplicated().any():  # as in a selection, where an image may be selected for several points
            images = images.drop_duplicates("id")
        if "computed_geometry" in images:
            images = images.assign(computed_geometry=_points_in(images["computed_geometry"]))
        self._images = images.sort_values(["sequence_id", "captured_at", "id"], kind="stable")
        self._buffer = buffer
        computed = self._images
        if "computed_geometry" in computed:
            computed = gpd.GeoDataFrame(geometry=computed["computed_geometry"], crs=frames.CRS)
        self._places = {"mly1_public": on_map(self._images), "mly1_computed_public": on_map(computed)}
        self._lines = {name: lines_of(places, self._images["sequence_id"]) for name, places in self._places.items()}
        self._kept: dict[tuple[str, int, int, int], bytes] = {}
        self._lock = threading.Lock()

    @property
    def images(self) -> gpd.GeoDataFrame:
        """The images, sequence by sequence and in the order in which they were taken."""
        return self._images

    def tile(self, tileset: str, zoom: int, x: int, y: int) -> bytes:
        """
        Return a vector tile, not compressed; empty where there are no images.

        Parameters
        ----------
        tileset
            One of `TILESETS`.
        zoom, x, y
            Zoom and position of the tile, y from the north; zoom 0 to 14.
        """
        key = (tileset, zoom, x, y)
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= TILES_KEPT:
                    self._kept.pop(next(iter(self._kept)))
                self._kept[key] = self._encode(*key)
            return self._kept[key]

    def _encode(self, tileset: str, zoom: int, x: int, y: int) -> bytes:
        import mapbox_vector_tile

        # Round positions on the whole map before assigning them to tiles, so that each image is in one tile,
        # and positions that were read from tiles stay the same.
        units = np.round(self._places[tileset] * (2**zoom * EXTENT)) - np.array([x, y]) * EXTENT
        low, high = -self._buffer, EXTENT + self._buffer
        rows = np.flatnonzero(((units >= low) & (units < high)).all(axis=1))
        units = units[rows]
        if zoom <= 5:
            first = ~self._images["sequence_id"].iloc[rows].duplicated().to_numpy()
            layers = {"overview": self._points(rows[first], units[first], OVERVIEW)}
        else:
            layers = {"sequence": self._sequences(tileset, zoom, x, y)}
            if zoom == 14:
                layers["image"] = self._points(rows, units, IMAGE)
        # Numbers of images follow those of the sequences, with one number left out, as in real tiles.
        number, full = 0, []
        for name, features in layers.items():
            for feature in features:
                feature["id"] = number
                number += 1
            number += 1
            if features:
                full.append({"name": name, "features": features})
        if not full:
            return b""
        encoded: bytes = mapbox_vector_tile.encode(full, default_options={"y_coord_down": True, "extents": EXTENT})
        return encoded

    def _points(self, rows: Indices, units: Floats, names: tuple[str, ...]) -> list[dict[str, Any]]:
        import shapely

        points = np.asarray(shapely.points(units))
        return [
            {"geometry": point, "properties": image}
            for point, image in zip(points, self._properties(rows, names), strict=True)
        ]

    def _sequences(self, tileset: str, zoom: int, x: int, y: int) -> list[dict[str, Any]]:
        """Return the part of each sequence's line that lies in the tile."""
        import shapely

        lines, starts = self._lines[tileset]
        low, high = -self._buffer, EXTENT + self._buffer
        corner, side = np.array([x, y]), 1 / 2**zoom
        west, north = (corner + low / EXTENT) * side
        east, south = (corner + high / EXTENT) * side
        near = np.flatnonzero(shapely.intersects(lines, shapely.box(west, north, east, south)))
        scaled = shapely.transform(lines[near], lambda places: (places / side - corner) * EXTENT)
        features = []
        parts = shapely.clip_by_rect(scaled, low, low, high, high)
        for part, image in zip(parts, self._properties(starts[near], SEQUENCE), strict=True):
            if (line := in_whole_units(part)) is not None:
                image["image_id"] = image.pop("id")
                image["id"] = image.pop("sequence_id")
                features.append({"geometry": line, "properties": image})
        return features

    def _properties(self, rows: Indices, names: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return the properties of images as plain values; unknown values are left out."""
        chosen = self._images[[name for name in names if name in self._images]].iloc[rows]
        columns = {}
        for name, column in chosen.items():
            known = column.notna().tolist()
            plain = column.astype("int64") if name == "captured_at" else column.astype("object")
            columns[name] = list(zip(known, plain.tolist(), strict=True))
        return [
            {name: value for name, (known, value) in zip(columns, image, strict=True) if known}
            for image in zip(*columns.values(), strict=True)
        ]


def _points_in(column: pd.Series) -> gpd.GeoSeries:
    """Return points as geometry, from any form of a file's column."""
    import geopandas as gpd
    import pandas as pd
    import shapely
    from shapely.geometry.base import BaseGeometry

    if str(column.dtype) == "geometry":
        return gpd.GeoSeries(column)

    def point(value: Any) -> Any:
        match value:
            case BaseGeometry():
                return value
            case bytes():
                return shapely.from_wkb(value)
            case str():
                return shapely.from_geojson(value)
            case {"coordinates": (lon, lat, *_)}:
                return shapely.Point(lon, lat)
            case {"coordinates": np.ndarray() as places}:
                return shapely.Point(places[:2])
        return None

    points = [None if value is None or value is pd.NA else point(value) for value in column]
    return gpd.GeoSeries(points, index=column.index, crs=frames.CRS)


def on_map(images: gpd.GeoDataFrame) -> Floats:
    """Return where images lie on the square map of zoom 0: x and y in [0, 1], y from the north."""
    lon, lat = frames.lonlat(images)
    return np.column_stack([lon / 360 + 0.5, 0.5 - np.arcsinh(np.tan(np.radians(lat))) / (2 * math.pi)])


def lines_of(places: Floats, sequences: pd.Series) -> tuple[Objects, Indices]:
    """Return the line of each sequence of two images or more, and the row of its first image."""
    import shapely

    rows = np.flatnonzero(np.isfinite(places).all(axis=1) & sequences.notna().to_numpy())
    codes, _ = sequences.iloc[rows].factorize()
    counts = np.bincount(codes)
    long_enough = counts[codes] > 1
    rows, codes = rows[long_enough], codes[long_enough]
    # The rows are ordered by sequence, so the numbers increase, and each sequence starts at its first row.
    _, starts, numbers = np.unique(codes, return_index=True, return_inverse=True)
    lines: Objects = np.asarray(shapely.linestrings(places[rows], indices=numbers))
    return lines, rows[starts]


def in_whole_units(geometry: BaseGeometry) -> BaseGeometry | None:
    """Return lines in whole units, without parts that shrink to a point; None if no part remains."""
    import shapely

    lines = []
    for part in shapely.get_parts(geometry):
        if part.geom_type != "LineString":
            continue
        units = np.round(shapely.get_coordinates(part))
        units = units[np.append(True, np.any(np.diff(units, axis=0) != 0, axis=1))]
        if len(units) > 1:
            lines.append(units)
    if not lines:
        return None
    return shapely.LineString(lines[0]) if len(lines) == 1 else shapely.MultiLineString(lines)
