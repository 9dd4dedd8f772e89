"""
What a Parquet file or an Arrow table tells of its geometry: its columns, how they are encoded, their CRS and boxes.

Read are the `geo` metadata of GeoParquet 1.0 and 1.1, and where there are none the logical types GEOMETRY and
GEOGRAPHY of Parquet itself (https://github.com/apache/parquet-format/blob/master/Geospatial.md). Tables have the same
metadata where they were read from such a file, else the extension types of GeoArrow (https://geoarrow.org).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow.parquet as pq
    from pyproj import CRS

MOST_JSON_BYTES = 16 * 2**20
"""Largest metadata that are read: parsed, JSON takes some twenty times its size."""

ENCODINGS = ("wkb", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon")
"""The encodings of GeoParquet 1.1, in small letters."""

SIDES = ("xmin", "ymin", "xmax", "ymax")
"""The fields of a bounding box, in the order of every box in this project."""

DEFAULT_CRS = "OGC:CRS84"
"""The CRS of geometry whose metadata name none."""


@dataclass(frozen=True)
class GeometryColumn:
    """
    A geometry column, as the metadata of its file describe it.

    Parameters
    ----------
    name
        Name of the column.
    encoding
        One of `ENCODINGS`; of a GeoArrow type what follows its dot, such as `wkt`.
    crs
        PROJJSON, or text that names a CRS; None where the CRS is unknown.
    covering
        The struct column with the box of each row; None where there is none.
    bbox
        The box around all rows, in its CRS: lowest x and y, highest x and y; None where it is not stated.
    """

    name: str
    encoding: str
    crs: Any
    covering: str | None
    bbox: tuple[float, float, float, float] | None = None


def geometry_columns(file: pq.ParquetFile, name: str) -> list[GeometryColumn]:
    """
    Return the geometry columns of a file, the primary one first.

    Raises
    ------
    FormatError
        If the metadata are missing or damaged, or an encoding is unknown.
    """
    schema = file.schema_arrow
    raw = stated(file, b"geo")
    if raw is None:
        found = _by_logical_type(file, name)
        if not found:
            raise FormatError(f"{name} is Parquet, but not GeoParquet: it says nothing of a geometry")
        return found
    geo = parsed(raw, "the GeoParquet metadata", name)
    described, primary = geo.get("columns"), geo.get("primary_column")
    if not isinstance(described, dict) or not isinstance(primary, str) or primary not in schema.names:
        raise FormatError(f"the GeoParquet metadata of {name} are damaged: they name no geometry column")
    if not isinstance(described.get(primary), dict):
        raise FormatError(f"the GeoParquet metadata of {name} do not describe the column {primary!r}")
    names = [primary, *(each for each in described if each != primary and each in schema.names)]
    return [_described(each, described[each], schema, name) for each in names]


def geometry_in(schema: pa.Schema, name: str) -> list[GeometryColumn]:
    """
    Return the columns of an Arrow table that say they are geometry, the primary one first.

    Parameters
    ----------
    schema
        Schema of the table.
    name
        What messages call it.

    Raises
    ------
    FormatError
        If metadata of GeoParquet are there, and damaged.
    """
    described: dict[str, Any] = {}
    primary = None
    if (raw := (schema.metadata or {}).get(b"geo")) is not None:
        geo = parsed(raw, "the GeoParquet metadata", name)
        described, primary = geo.get("columns", {}), geo.get("primary_column")
        if not isinstance(described, dict):
            raise FormatError(f"the GeoParquet metadata of {name} are damaged: they describe no columns")
    found = []
    for field in schema:
        kind, facts = _extension(field)
        if field.name in described:
            found.append(_described(field.name, described[field.name], schema, name))
        elif kind.startswith("geoarrow.") or kind == "ogc.wkb":
            found.append(GeometryColumn(field.name, kind.partition(".")[2], facts.get("crs"), None))
    return sorted(found, key=lambda column: column.name != primary)


def known_crs(column: GeometryColumn, name: str) -> CRS | None:
    """
    Return the CRS of a geometry column, longitude and latitude as EPSG:4326; None where it is unknown.

    Raises
    ------
    FormatError
        If it cannot be understood.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if column.crs is None:
        return None
    if is_lonlat(column.crs):
        return CRS.from_epsg(4326)
    # PyProj also takes numbers and lists, which are no CRS in the metadata of a file.
    if not isinstance(column.crs, dict | str):
        raise FormatError(f"the CRS of {column.name!r} in {name} is damaged: {json.dumps(column.crs)[:80]}")
    try:
        return CRS.from_user_input(column.crs)
    except (CRSError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[-120:]
        raise FormatError(
            f"the CRS of {column.name!r} in {name} cannot be understood: {reason}",
            hint="write it with a CRS that PROJ knows, such as EPSG:4326",
        ) from error


def crs_of(column: GeometryColumn, name: str) -> CRS:
    """Return the CRS of a geometry column; FormatError where it has none."""
    known = known_crs(column, name)
    if known is None:
        raise FormatError(f"the geometry of {name} has no CRS", hint="write it with one, such as EPSG:4326")
    return known


def is_lonlat(crs: Any) -> bool:
    """Return whether a CRS of the metadata is longitude and latitude on WGS 84."""
    if isinstance(crs, dict):
        identity = crs.get("id")
        if crs.get("type", "GeographicCRS") != "GeographicCRS" or not isinstance(identity, dict):
            return False
        return f"{identity.get('authority')}:{identity.get('code')}" in {"EPSG:4326", "OGC:CRS84"}
    return isinstance(crs, str) and crs in {"OGC:CRS84", "EPSG:4326"}


def pandas_metadata(raw: bytes | None, name: str) -> dict[str, Any]:
    """Return pandas' metadata of a file or table; empty where there are none, FormatError where they are damaged."""
    if raw is None:
        return {}
    pandas = parsed(raw, "the metadata of pandas", name)
    columns, attrs = pandas.get("columns") or [], pandas.get("attributes") or {}
    whole = isinstance(columns, list) and all(isinstance(column, dict) for column in columns)
    if not whole or not isinstance(attrs, dict) or not isinstance(pandas.get("index_columns") or [], list):
        raise FormatError(f"the metadata of pandas in {name} are damaged")
    return pandas


def stated(file: pq.ParquetFile, key: bytes) -> bytes | None:
    """Return what the footer of a file has under a key; Arrow's own schema leaves out keys that GDAL writes."""
    found: bytes | None = (file.metadata.metadata or {}).get(key)
    return found


def parsed(raw: bytes, what: str, name: str) -> dict[str, Any]:
    """Return the object in JSON metadata; FormatError where there is none."""
    if len(raw) > MOST_JSON_BYTES:
        raise FormatError(f"{what} of {name} are larger than {MOST_JSON_BYTES // 2**20} MB")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{what} of {name} are damaged: {str(error)[:120]}") from error
    if not isinstance(found, dict):
        raise FormatError(f"{what} of {name} are damaged: they are not a JSON object")
    return found


def box_fields(kind: pa.DataType, sides: Sequence[str] = SIDES) -> bool:
    """Return whether a column type is a struct whose fields can be the sides of a box."""
    if not pa.types.is_struct(kind):
        return False
    return all(kind.get_field_index(side) >= 0 and pa.types.is_floating(kind.field(side).type) for side in sides)


def _described(key: str, column: Any, schema: pa.Schema, name: str) -> GeometryColumn:
    if not isinstance(column, dict):
        raise FormatError(f"the GeoParquet metadata of {name} do not describe the column {key!r}")
    encoding = column.get("encoding")
    if not isinstance(encoding, str) or encoding.lower() not in ENCODINGS:
        raise FormatError(
            f"{name} encodes the column {key!r} as {str(encoding)[:40]!r}, which no version of GeoParquet has",
            hint="WKB, or one of " + ", ".join(ENCODINGS[1:]),
        )
    return GeometryColumn(
        key, encoding.lower(), column.get("crs", DEFAULT_CRS), _covering(column, schema), _bbox(column)
    )


def _extension(field: pa.Field) -> tuple[str, dict[str, Any]]:
    """Return the name and the metadata of a column's extension type, registered with pyarrow or not."""
    if isinstance(field.type, pa.ExtensionType):
        kind, facts = field.type.extension_name, field.type.__arrow_ext_serialize__()
    else:
        metadata = field.metadata or {}
        kind = metadata.get(b"ARROW:extension:name", b"").decode(errors="replace")
        facts = metadata.get(b"ARROW:extension:metadata", b"")
    try:
        known = json.loads(facts or b"{}")
    except (ValueError, RecursionError):
        known = {}
    return kind, known if isinstance(known, dict) else {}


def _covering(column: dict[str, Any], schema: pa.Schema) -> str | None:
    """Return the column with the boxes of the rows, where the metadata name one of the form that is specified."""
    covering = column.get("covering")
    boxes = covering.get("bbox") if isinstance(covering, dict) else None
    if not isinstance(boxes, dict) or not all(isinstance(boxes.get(side), list) for side in SIDES):
        return None
    parts = [boxes[side] for side in SIDES]
    name = parts[0][0] if parts[0] else None
    if not isinstance(name, str) or parts != [[name, side] for side in SIDES] or schema.names.count(name) != 1:
        return None
    return name if box_fields(schema.field(name).type) else None


def _bbox(column: dict[str, Any]) -> tuple[float, float, float, float] | None:
    """Return the box around all rows that the metadata state: of two or three dimensions, and no turned one."""
    sides = column.get("bbox")
    if not isinstance(sides, list) or len(sides) not in {4, 6}:
        return None
    if not all(isinstance(side, int | float) and not isinstance(side, bool) and math.isfinite(side) for side in sides):
        return None
    half = len(sides) // 2
    west, south, east, north = sides[0], sides[1], sides[half], sides[half + 1]
    return (float(west), float(south), float(east), float(north)) if west <= east and south <= north else None


def _by_logical_type(file: pq.ParquetFile, name: str) -> list[GeometryColumn]:
    """Return the columns of Parquet's own types GEOMETRY and GEOGRAPHY."""
    found = []
    top = set(file.schema_arrow.names)
    for number in range(len(file.schema)):
        column = file.schema.column(number)
        kind = str(column.logical_type)
        if column.path in top and kind.startswith(("Geometry(", "Geography(")):
            found.append(GeometryColumn(column.path, "wkb", _crs_of_type(kind, file, name), None))
    return found


def _crs_of_type(kind: str, file: pq.ParquetFile, name: str) -> Any:
    """Return the CRS in the text of a logical type, such as `Geometry(crs=srid:28992)`."""
    text = kind[kind.index("(") + 1 : -1].removeprefix("crs=")
    if kind.startswith("Geography("):
        text = text.rpartition(", algorithm=")[0] or ("" if text.startswith("algorithm=") else text)
    if not text:
        return DEFAULT_CRS
    if text.startswith("{"):
        return parsed(text.encode(), "the CRS", name)
    if text.lower().startswith("srid:"):
        return f"EPSG:{text[5:]}" if text[5:] != "0" else None
    if text.startswith("projjson:"):
        raw = stated(file, text[9:].encode())
        if raw is None:
            raise FormatError(f"{name} names the CRS {text[9:]!r} and does not describe it")
        return parsed(raw, "the CRS", name)
    return text
