"""Archives of map tiles for tests: small ones, made of real streets and a few shapes around them."""

from __future__ import annotations

import gzip
import io
import math

import mapbox_vector_tile
import numpy as np
import shapely
from PIL import Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

OSM = '<a href="https://www.openstreetmap.org/copyright">&copy; OpenStreetMap contributors</a>'

EXTENT = 4096


def tile_steps(geometry, zoom):
    """Shapes in steps of tiles from the north-western corner of the world, rows to the south."""

    def steps(places):
        lon, lat = places.T
        x = (lon + 180) / 360 * 2**zoom
        y = (0.5 - np.arctanh(np.sin(np.radians(lat))) / (2 * np.pi)) * 2**zoom
        return np.column_stack([x, y]) * EXTENT

    return shapely.transform(geometry, steps)


def vector_tiles(layers, zooms):
    """
    Encode shapes in degrees as vector tiles: {(zoom, column, row): bytes}.

    Layers are {name: [(shape, properties)]}; shapes go 64 steps beyond their tile, as programs of tiles do it.
    """
    found = {}
    for zoom in zooms:
        parts = {}
        for name, features in layers.items():
            for shape, properties in features:
                there = tile_steps(shape, zoom)
                west, north, east, south = (value / EXTENT for value in there.bounds)
                for column in range(math.floor(west), math.floor(east) + 1):
                    for row in range(math.floor(north), math.floor(south) + 1):
                        left, top = column * EXTENT, row * EXTENT
                        cut = shapely.clip_by_rect(there, left - 64, top - 64, left + EXTENT + 64, top + EXTENT + 64)
                        cut = shapely.transform(cut, lambda at, corner=(left, top): np.rint(at - corner))
                        if not cut.is_empty:
                            feature = {"geometry": cut, "properties": properties}
                            parts.setdefault((zoom, column, row), {}).setdefault(name, []).append(feature)
        for address, named in parts.items():
            said = [{"name": name, "features": features} for name, features in named.items()]
            found[address] = mapbox_vector_tile.encode(said, default_options={"y_coord_down": True, "extents": EXTENT})
    return found


def picture_tiles(bounds, zooms, colour):
    """Tiles of one colour that cover a box, as PNG."""
    held = io.BytesIO()
    Image.new("RGB", (256, 256), colour).save(held, "png")
    box = shapely.box(*bounds)
    found = {}
    for zoom in zooms:
        west, north, east, south = (math.floor(value / EXTENT) for value in tile_steps(box, zoom).bounds)
        found |= {(zoom, x, y): held.getvalue() for x in range(west, east + 1) for y in range(north, south + 1)}
    return found


def write(path, tiles, *, bounds, attribution=OSM, kind="MVT", compression="GZIP", **metadata):
    """Write tiles to an archive, with vector tiles as gzip."""
    packed = compression == "GZIP" and kind == "MVT"
    with path.open("wb") as file:
        writer = Writer(file)
        for address in sorted(tiles, key=lambda each: zxy_to_tileid(*each)):
            content = gzip.compress(tiles[address], mtime=0) if packed else tiles[address]
            writer.write_tile(zxy_to_tileid(*address), content)
        sides = dict(zip(("min_lon_e7", "min_lat_e7", "max_lon_e7", "max_lat_e7"), bounds, strict=True))
        header = {
            "tile_type": TileType[kind],
            "tile_compression": Compression[compression if kind == "MVT" else "NONE"],
            **{name: round(value * 1e7) for name, value in sides.items()},
        }
        said = {} if attribution is None else {"attribution": attribution}
        writer.finalize(header, {**said, **metadata})
    return path
