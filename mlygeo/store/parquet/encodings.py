"""Geometry between arrays, WKB and the native encodings of GeoParquet; points without an object each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from mlygeo import frames
from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    import numpy.typing as npt
    from pyproj import CRS

    from mlygeo.arrays import Floats

MOST_BYTES = 2**31 - 1
"""Most bytes in a chunk of a column: the limit of 32-bit offsets. Not every reader supports wider ones."""

POINT_WKB: Final = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
"""A point in little-endian WKB, 21 bytes."""


def points_to_wkb(x: Floats, y: Floats) -> pa.ChunkedArray:
    """Return points as an Arrow column of little-endian WKB; a point without coordinates is empty."""
    records = np.empty(len(x), dtype=POINT_WKB)
    records["order"], records["type"], records["x"], records["y"] = 1, 1, x, y
    size = POINT_WKB.itemsize
    most = MOST_BYTES // size
    offsets = np.arange(min(len(x), most) + 1, dtype=np.int32) * np.int32(size)
    pieces = [records[start : start + most] for start in range(0, max(len(x), 1), most)]
    return pa.chunked_array(
        [
            pa.Array.from_buffers(
                pa.binary(), len(piece), [None, pa.py_buffer(offsets[: len(piece) + 1]), pa.py_buffer(piece)]
            )
            for piece in pieces
        ]
    )


def coordinates(geometry: pa.ChunkedArray, path: Path) -> tuple[Floats, Floats]:
    """Return the coordinates of points without an object per point."""
    parts = [_coordinates(chunk, path) for chunk in geometry.chunks]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty(0), *(x for x, _ in parts)]), np.concatenate([np.empty(0), *(y for _, y in parts)])


def to_lonlat(x: Floats, y: Floats, crs: CRS) -> tuple[Floats, Floats]:
    """Return coordinates in a CRS as degrees, NaN where that is impossible."""
    if crs.equals(frames.CRS, ignore_axis_order=True):
        return x, y
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(crs, frames.CRS, always_xy=True).transform(x, y)
    gone = ~(np.isfinite(lon) & np.isfinite(lat))
    lon[gone] = lat[gone] = np.nan
    return lon, lat


def _coordinates(array: pa.Array, path: Path) -> tuple[Floats, Floats]:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_struct(array.type):
        x, y = (array.field(axis).to_numpy(zero_copy_only=False).astype(float) for axis in ("x", "y"))
        gone = array.is_null().to_numpy(zero_copy_only=False)
        return np.where(gone, np.nan, x), np.where(gone, np.nan, y)
    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        raise FormatError(f"the geometry of {path.name} is {array.type}, which is no encoding of points")
    if not len(array):
        return np.empty(0), np.empty(0)
    if array.null_count == 0:
        wide = np.int64 if pa.types.is_large_binary(array.type) else np.int32
        offsets = np.frombuffer(array.buffers()[1], dtype=wide)[array.offset : array.offset + len(array) + 1]
        if (np.diff(offsets) == POINT_WKB.itemsize).all():
            records = np.frombuffer(array.buffers()[2], dtype=POINT_WKB, count=len(array), offset=int(offsets[0]))
            if (records["order"] == 1).all() and (records["type"] == 1).all():
                return records["x"].copy(), records["y"].copy()
    import shapely

    points = shapes(array, path)
    kinds = shapely.get_type_id(points)
    if ((kinds != 0) & (kinds != -1)).any():
        raise FormatError(f"{path.name} holds other geometries than points")
    return frames.coordinates(points)


def shapes(wkb: pa.Array | pa.ChunkedArray, path: Path) -> npt.NDArray[Any]:
    """Return the geometries of WKB, None where there is none."""
    import shapely

    try:
        return np.asarray(shapely.from_wkb(wkb.to_numpy(zero_copy_only=False)))
    except shapely.errors.GEOSException as error:
        raise FormatError(f"{path.name} holds a damaged geometry: {error}") from error


def geometry_array(values: pa.ChunkedArray, column: dict[str, Any], path: Path) -> Any:
    import geopandas as gpd

    encoding = str(column["encoding"]).lower()
    if encoding == "wkb":
        array = values.combine_chunks()
        if column.get("geometry_types") == ["Point"] and values.null_count == 0:
            x, y = coordinates(values, path)
            if np.isfinite(x).all():  # an empty point has no coordinates
                return gpd.points_from_xy(x, y)
        return gpd.array.GeometryArray(shapes(array, path))
    if encoding == "point":
        return gpd.points_from_xy(*coordinates(values, path))
    import geopandas.io._geoarrow as native

    return gpd.array.GeometryArray(native.construct_shapely_array(values.combine_chunks(), f"geoarrow.{encoding}"))


def types_of(geometry: gpd.GeoSeries) -> list[str]:
    return sorted(
        {f"{kind} Z" if z else str(kind) for kind, z in zip(geometry.geom_type, geometry.has_z, strict=True) if kind}
    )
