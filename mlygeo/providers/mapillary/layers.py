"""
Mapillary's vector tiles -> images frame. Nothing here touches a file or the network.

`read_tile` gives a frame, `decode` below it an Arrow table; `read_geojson_tile` gives the same
table from a tile that was stored as GeoJSON. Only the layer `image` is read; a tile without it
holds no images. Many steps are done for all images at once; see `_mvt_numpy`, and `_mvt_numba`,
which is used where Numba is installed (`mlygeo[speed]`).
"""

from __future__ import annotations

import functools
import logging
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FormatError, InputError
from mlygeo.formats import mvt_layers, protobuf
from mlygeo.readers._geojson_tile import read_geojson_tile
from mlygeo.readers._image_table import PROPERTIES, Images, images_table
from mlygeo.readers._mvt_spec import FEATURE_LIMIT, ODD, PADDING
from mlygeo.readers._mvt_values import odd_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    import geopandas as gpd
    import numpy.typing as npt
    import pyarrow as pa

    Reals = npt.NDArray[np.float64]

__all__ = ["decode", "read_geojson_tile", "read_tile"]

log = logging.getLogger("mlygeo.providers.mapillary.layers")

LAYER = b"image"
"""The layer that holds the images of a zoom-14 tile."""

LARGEST_TILE = 128 << 20
"""Bytes of a tile once inflated: two million images. What is larger is no tile, but a bomb."""

_LAYERS = 3
_GZIP = b"\x1f\x8b"


def read_tile(data: bytes, x: int, y: int, zoom: int = 14) -> gpd.GeoDataFrame:
    """
    Read a vector tile into an images frame.

    Nothing is clipped and nothing is joined: tiles reach a little past their edge, so that
    images near it stand in the neighbouring tile too.

    Parameters
    ----------
    data
        The tile as the service sends it, plain or gzip. Zero bytes mean that there are no images.
    x, y
        Column and row of the tile, counted from the north-west corner of the world.
    zoom
        Its zoom level.

    Returns
    -------
    images
        Images frame, EPSG:4326, in the order of the tile, with `quality_score` (float64) where
        some image has it. Positions are on the tile's grid (0.6 m at the equator).
        `attrs["images_without_id"]` counts the images that were left out; see `decode`.

    Raises
    ------
    FormatError
        If the bytes are no vector tile, or a damaged one.
    InputError
        If there is no such tile.

    Examples
    --------
    >>> read_tile(Path("mly1_public_8574_5735_14.mvt").read_bytes(), 8574, 5735)
    """
    return _frame(decode(data, x, y, zoom))


def decode(data: bytes, x: int, y: int, zoom: int = 14) -> pa.Table:
    """
    Read a vector tile into an Arrow table; the floor below `read_tile`.

    An image whose `id` is missing, or no whole number that fits 64 bits exactly, cannot be
    spoken of and is left out, as is a feature that is no point or has no position; both are
    counted. Of a feature with several points the first is the image's place. Other properties
    that cannot be read are unknown: null, or NaN.

    Parameters
    ----------
    data
        The tile, plain or gzip.
    x, y
        Column and row of the tile.
    zoom
        Its zoom level.

    Returns
    -------
    images
        Columns id (int64), sequence_id (string), captured_at (timestamp[ms, UTC]), compass_angle
        (float64, degrees in [0, 360), NaN when unknown), is_pano (bool, false when unknown),
        creator_id and organization_id (int64, null when there is none), quality_score (float64,
        only if some image has it), lon and lat (float64, degrees; longitudes beyond the
        antimeridian continue on its other side). The schema's metadata count
        `images_without_id` and `images_without_position`.

    Raises
    ------
    FormatError
        If the bytes are no vector tile, or a damaged one.
    InputError
        If there is no such tile.

    Examples
    --------
    >>> decode(b"", 8574, 5735).num_rows
    0
    """
    return _decode(data, x, y, zoom, kernel=_kernel())


def _decode(data: bytes, x: int, y: int, zoom: int, *, kernel: ModuleType) -> pa.Table:
    if not (0 <= zoom <= 32 and 0 <= x < 1 << zoom and 0 <= y < 1 << zoom):
        raise InputError(f"there is no tile {zoom}/{x}/{y}", hint="x and y run from 0 to 2^zoom - 1")
    try:
        tile = _inflate(bytes(data))
        parts = [_decode_layer(layer, end, (x, y, zoom), kernel) for layer, end in _layers(tile)]
    except FormatError as error:
        what = _guess(bytes(data[:512]))
        raise FormatError(
            f"tile {zoom}/{x}/{y} is {what or f'damaged: {error}'}", hint="fetch the tile again"
        ) from error
    return images_table([part for part in parts if part is not None], f"tile {zoom}/{x}/{y}")


def _inflate(data: bytes) -> bytes:
    if data.startswith(_GZIP):
        inflater = zlib.decompressobj(wbits=31)
        try:
            data = inflater.decompress(data, LARGEST_TILE + 1)
        except zlib.error as error:
            raise FormatError(f"its gzip is broken ({error})") from error
        if len(data) <= LARGEST_TILE and not inflater.eof:
            raise FormatError("its gzip is cut off")
        if inflater.unused_data:
            raise FormatError("bytes follow the end of its gzip")
    if len(data) > LARGEST_TILE:
        raise FormatError(f"more than {LARGEST_TILE >> 20} MiB")
    return data


def _layers(tile: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield each layer with zeros behind it, and its length without them."""
    for number, wire, value, stop in protobuf.fields(tile, 0, len(tile)):
        if number == _LAYERS and wire == protobuf.BYTES:
            yield b"".join((memoryview(tile)[value:stop], PADDING)), stop - value


def _guess(start: bytes) -> str | None:
    """Return what bytes are that turned out to be no vector tile, where their start tells it."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        return "a web page or XML, not a vector tile"
    return "JSON, not a vector tile" if text.startswith((b"{", b"[")) else None


@functools.cache
def _kernel() -> ModuleType:
    """Return the compiled kernel where Numba is installed, else the one in NumPy."""
    try:
        from mlygeo.formats import mvt_numba
    except ModuleNotFoundError:
        return mvt_layers
    except ImportError as error:
        log.warning("Numba cannot be imported (%s); tiles are decoded without it", error)
        return mvt_layers
    return mvt_numba


def _decode_layer(layer: bytes, end: int, address: tuple[int, int, int], kernel: ModuleType) -> Images | None:
    index = kernel.index(layer, end)
    if index.name != LAYER:
        return None
    if not 0 < index.extent < 1 << 32:
        raise FormatError(f"an extent of {index.extent}")
    starts, stops = index.features
    if len(starts) and (longest := int((stops - starts).max())) > FEATURE_LIMIT:
        raise FormatError(f"a feature of {longest} bytes")
    kind, bits = kernel.values(layer, index.values)
    for odd in np.flatnonzero(kind == ODD).tolist():
        kind[odd], bits[odd] = odd_value(layer, int(index.values[0][odd]), int(index.values[1][odd]))
    columns = {name.encode(): column for column, name in enumerate(PROPERTIES)}
    column_of_key = np.array([columns.get(key, -1) for key in index.keys], dtype=np.int8)
    features = kernel.features(layer, index.features, column_of_key, len(kind), len(PROPERTIES))

    values = kernel.Values(layer, kind, bits)
    ids, known = values.whole(features.value_of[0])
    keep = features.placed & known
    px, py, value_of = features.px, features.py, features.value_of
    if not keep.all():
        ids, px, py, value_of = ids[keep], px[keep], py[keep], value_of[:, keep]
    column = dict(zip(PROPERTIES, value_of, strict=True))
    lon, lat = _lonlat(px, py, index.extent, address)
    return Images(
        ids,
        values.text(column["sequence_id"]),
        values.whole(column["captured_at"], floor=True),
        values.real(column["compass_angle"]),
        values.truth(column["is_pano"]),
        values.whole(column["creator_id"]),
        values.whole(column["organization_id"]),
        values.real(column["quality_score"]),
        lon,
        lat,
        int((features.placed & ~known).sum()),
        int((~features.placed).sum()),
    )


def _lonlat(
    px: npt.NDArray[np.int64], py: npt.NDArray[np.int64], extent: int, address: tuple[int, int, int]
) -> tuple[Reals, Reals]:
    """Return degrees from tile units, by the inverse of the spherical Mercator projection."""
    x, y, zoom = address
    lon = (x + px / extent) / 2.0**zoom * 360 - 180
    beyond = np.abs(lon) > 180
    if beyond.any():
        lon[beyond] = (lon[beyond] + 180) % 360 - 180

    def latitude(rows: npt.NDArray[np.int64]) -> Reals:
        # Rows far outside the world overflow towards the poles, which is where they are.
        with np.errstate(over="ignore"):
            return np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * ((y + rows / extent) / 2.0**zoom)))))

    # A tile has fewer rows than a dense tile has images: each row's latitude is worked out once.
    low, high = (int(py.min()), int(py.max())) if len(py) else (0, 0)
    if high - low < len(py):
        return lon, latitude(np.arange(low, high + 1))[py - low]
    return lon, latitude(py)


def _frame(table: pa.Table) -> gpd.GeoDataFrame:
    """Return the images frame of a table; its columns have the schema's dtypes as they are made."""
    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa
    from geopandas.array import GeometryArray

    def own(column: pa.Array) -> npt.NDArray[Any]:
        return column.to_numpy(zero_copy_only=False, writable=True)  # type: ignore[no-any-return]

    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name in {"creator_id", "organization_id"}:
            columns[name] = pd.arrays.IntegerArray(own(column.fill_null(0)), own(column.is_null()))
        elif column.type in {pa.int64(), pa.float64()}:
            columns[name] = own(column)
        elif column.type == pa.string():
            columns[name] = column.to_pandas().astype("str")  # pyarrow 22 makes objects of an empty one
        else:
            columns[name] = column.to_pandas()
    points = frames.points(columns.pop("lon"), columns.pop("lat"))
    columns["geometry"] = GeometryArray(points, crs=frames.CRS)
    return frames.attribute(
        gpd.GeoDataFrame(columns, geometry="geometry", copy=False),
        frames.MAPILLARY,
        images_without_id=int(table.schema.metadata[b"images_without_id"]),
    )
