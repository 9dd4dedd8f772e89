"""What a GeoParquet file tells of itself: its geometry columns, their CRS, and the columns of pandas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo.errors import FileError, FormatError

if TYPE_CHECKING:
    from pathlib import Path

    from pyproj import CRS


def open_file(path: Path) -> pq.ParquetFile:
    """Open a Parquet file."""
    if not path.exists():
        raise FileError(f"{path} does not exist")
    return reading(path, lambda: pq.ParquetFile(path))


def reading(path: Path, action: Any) -> Any:
    """Return the result of an action on a file; Arrow's errors become ours."""
    try:
        return action()
    except pa.ArrowInvalid as error:
        raise FormatError(f"{path.name} is no Parquet file, or a damaged one: {error}") from error
    except (pa.ArrowException, OSError) as error:
        raise FileError(f"{path.name} cannot be read: {error}") from error


def geo_metadata(file: pq.ParquetFile, path: Path) -> dict[str, Any]:
    """Return the GeoParquet metadata of a file; raise FormatError where they are missing or damaged."""
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
    """Return pandas' metadata in a file; empty where another program wrote it."""
    return dict(file.schema_arrow.pandas_metadata or {})


def is_attribute(name: str, geo: dict[str, Any]) -> bool:
    """Return whether a column is an attribute: not geometry, bounding box or pandas' index."""
    coverings = [column.get("covering", {}).get("bbox", {}) for column in geo["columns"].values()]
    boxes = {path[0] for covering in coverings for path in covering.values()}
    return name not in geo["columns"] and name not in boxes and not name.startswith("__index_level_")


def crs_of(column: dict[str, Any], path: Path) -> CRS:
    """Return the CRS of a geometry column; FormatError where it has none."""
    known: CRS | None = known_crs(column.get("crs", "OGC:CRS84"))
    if known is None:
        raise FormatError(f"the geometry of {path.name} has no CRS", hint="write it with one, such as EPSG:4326")
    return known


def is_lonlat(crs: Any) -> bool:
    """Return whether a CRS of the metadata is longitude and latitude on WGS 84."""
    if isinstance(crs, dict):
        identity = crs.get("id", {})
        return (identity.get("authority"), str(identity.get("code"))) in {("EPSG", "4326"), ("OGC", "CRS84")}
    return crs in {"OGC:CRS84", "EPSG:4326"}


def known_crs(crs: Any) -> Any:
    """Return the CRS, with longitude and latitude under their usual name."""
    from pyproj import CRS

    if crs is None:
        return None
    return CRS.from_epsg(4326) if is_lonlat(crs) else CRS.from_user_input(crs)
