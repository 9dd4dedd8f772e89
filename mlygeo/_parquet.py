"""What is common to reading GeoParquet whole and in parts: opening, metadata, coordinates of points."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo import frames
from mlygeo.errors import FileError, FormatError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

POINT_WKB: Final = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
"""A point in little-endian WKB, 21 bytes."""


def open_file(path: Path) -> pq.ParquetFile:
    """Open a Parquet file."""
    if not path.exists():
        raise FileError(f"{path} does not exist")
    return reading(path, lambda: pq.ParquetFile(path))


def reading(path: Path, action: Any) -> Any:
    """Return what an action on a file returns; Arrow's errors become ours."""
    try:
        return action()
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path.name} is no Parquet file, or a damaged one: {error}") from error
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path.name} cannot be read: {error}") from error


def geo_metadata(file: pq.ParquetFile, path: Path) -> dict[str, Any]:
    """Return the GeoParquet metadata of a file; FormatError where there are none, or broken ones."""
    raw = (file.schema_arrow.metadata or {}).get(b"geo")
    if raw is None:
        raise FormatError(f"{path.name} is Parquet, but not GeoParquet: it says nothing of a geometry")
    try:
        geo = json.loads(raw)
        if geo["columns"][geo["primary_column"]]["encoding"] and geo["primary_column"] in file.schema_arrow.names:
            return dict(geo)
    except (ValueError, KeyError, TypeError):
        pass
    raise FormatError(f"the GeoParquet metadata of {path.name} are broken")


def pandas_metadata(file: pq.ParquetFile) -> dict[str, Any]:
    """Return what pandas noted in a file; nothing where another program wrote it."""
    return dict(file.schema_arrow.pandas_metadata or {})


def is_attribute(name: str, geo: dict[str, Any]) -> bool:
    """Return whether a column is neither geometry nor bounding box nor pandas' index."""
    coverings = [column.get("covering", {}).get("bbox", {}) for column in geo["columns"].values()]
    boxes = {path[0] for covering in coverings for path in covering.values()}
    return name not in geo["columns"] and name not in boxes and not name.startswith("__index_level_")


def coordinates(geometry: pa.ChunkedArray, path: Path) -> tuple[Floats, Floats]:
    """Return the coordinates of points without making an object of each."""
    parts = [_coordinates(chunk, path) for chunk in geometry.chunks]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty(0), *(x for x, _ in parts)]), np.concatenate([np.empty(0), *(y for _, y in parts)])


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


def to_lonlat(x: Floats, y: Floats, column: dict[str, Any], path: Path) -> tuple[Floats, Floats]:
    """Return coordinates in the CRS of a geometry column as degrees, NaN where that cannot be."""
    crs = column.get("crs", "OGC:CRS84")
    if is_lonlat(crs):
        return x, y
    if crs is None:
        raise FormatError(f"the geometry of {path.name} has no CRS", hint="write it with one, such as EPSG:4326")
    from pyproj import Transformer

    lon, lat = Transformer.from_crs(crs_of(crs), 4326, always_xy=True).transform(x, y)
    gone = ~(np.isfinite(lon) & np.isfinite(lat))
    lon[gone] = lat[gone] = np.nan
    return lon, lat


def is_lonlat(crs: Any) -> bool:
    """Return whether a CRS of the metadata is longitude and latitude on WGS 84."""
    if isinstance(crs, dict):
        identity = crs.get("id", {})
        return (identity.get("authority"), str(identity.get("code"))) in {("EPSG", "4326"), ("OGC", "CRS84")}
    return crs in {"OGC:CRS84", "EPSG:4326"}


def crs_of(crs: Any) -> Any:
    """Return the CRS, with longitude and latitude under their usual name."""
    from pyproj import CRS

    if crs is None:
        return None
    return CRS.from_epsg(4326) if is_lonlat(crs) else CRS.from_user_input(crs)
