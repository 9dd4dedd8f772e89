"""
GeoParquet 1.1: written for GIS tools, and read whole or in parts.

Written files have WKB, a bounding-box column that lets readers skip row groups, zstd compression, row
groups of 100,000 rows, and rows along a Z-order curve where there is more than one group. Points are
converted between arrays and WKB without an object per point; `mlygeo.store.points` reads parts of files.
Specification: https://geoparquet.org/releases/v1.1.0/.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, FrameError

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    import geopandas as gpd
    import numpy.typing as npt
    from pyproj import CRS

    from mlygeo.arrays import Flags, Floats, Rows

ROWS_PER_GROUP = 100_000
"""Rows in a row group: fewer make whole reads slow, more make reads of a box slow (measured)."""

MOST_BYTES = 2**31 - 1
"""Most bytes in a chunk of a column: the limit of 32-bit offsets. Not every reader supports wider ones."""

POINT_WKB: Final = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
"""A point in little-endian WKB, 21 bytes."""


def read(
    path: Path,
    *,
    bbox: tuple[float, float, float, float] | None = None,
    columns: Sequence[str] | None = None,
) -> gpd.GeoDataFrame:
    """
    Read a GeoParquet file into a frame.

    Parameters
    ----------
    path
        The file; geometry as WKB or in a native encoding.
    bbox
        West, south, east, north in degrees (west > east crosses the antimeridian): only rows whose
        own box intersects it are returned, and only row groups that may have such rows are read.
    columns
        Attribute columns to read, further geometry columns among them; None reads all.

    Returns
    -------
    frame
        Rows in the file's order, `attrs` as written.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If the file is not GeoParquet.
    FrameError
        If a requested column is missing.
    """
    import geopandas as gpd

    file = open_file(path)
    geo = geo_metadata(file, path)
    name = geo["primary_column"]
    attributes = [column for column in file.schema_arrow.names if is_attribute(column, geo)]
    further = _further(file, geo)
    if columns is not None:
        further = [column for column in further if column in columns]
        missing = [column for column in columns if column not in attributes and column not in (name, *further)]
        if missing:
            raise FrameError(f"{path.name} has no column {', '.join(missing)} (it has {', '.join(attributes)})")
        attributes = [column for column in columns if column not in (name, *further)]
    groups = list(range(file.num_row_groups)) if bbox is None else _groups_meeting(file, geo, bbox)
    table = reading(path, lambda: file.read_row_groups(groups, columns=[*attributes, *further, name]))
    crs = geo["columns"][name].get("crs", "OGC:CRS84")
    geometry = _geometry(table[name], geo["columns"][name], path)
    frame = gpd.GeoDataFrame(_restored(table.select(attributes), file), geometry=geometry, crs=_crs_of(crs))
    frame = frame.rename_geometry(name) if name != "geometry" else frame
    for other in further:
        known_crs = _crs_of(geo["columns"][other].get("crs", "OGC:CRS84"))
        values = _geometry(table[other], geo["columns"][other], path)
        frame.insert(frame.columns.get_loc(name), other, gpd.GeoSeries(values, index=frame.index, crs=known_crs))
    frame.attrs = dict(pandas_metadata(file).get("attributes") or {})
    if bbox is not None:
        lonlat = frame.geometry if _is_lonlat(crs) else frame.geometry.to_crs(4326)
        frame = frame[_meets(lonlat.bounds.to_numpy().T, bbox)].reset_index(drop=True)
    return frame


def write(frame: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> None:
    """
    Write a frame as GeoParquet 1.1.

    Parameters
    ----------
    frame
        Any GeoDataFrame; its index is not stored. Further geometry columns stay geometry.
    path
        The file. Not atomic by itself; see `mlygeo.store.write_frame`.
    """
    import shapely

    name = frame.geometry.name
    others = [str(column) for column, dtype in frame.dtypes.items() if str(dtype) == "geometry" and column != name]
    table = pa.Table.from_pandas(frame.drop(columns=[name, *others]), preserve_index=False)
    further = {}
    for other in others:
        shapes = np.asarray(frame[other].values)
        table = table.append_column(other, pa.array(shapely.to_wkb(shapes, byte_order=1, flavor="iso"), pa.binary()))
        further[other] = _geo_column(_types(frame[other]), frame[other].crs)
    geometry = np.asarray(frame.geometry.values)
    attrs = {key: value for key, value in frame.attrs.items() if _is_json(value)}
    has_z = shapely.has_z(geometry)
    if len(frame) and (shapely.get_type_id(geometry) == 0).all() and not has_z.any():
        _write(table, points_to_wkb(*(lonlat := frames.coordinates(geometry))), np.array([*lonlat, *lonlat]), ["Point"],
               path, crs=frame.crs, attrs=attrs, name=name, further=further)  # fmt: skip
        return
    types = _types(frame.geometry)
    wkb = pa.array(shapely.to_wkb(geometry, byte_order=1, flavor="iso"), pa.binary())
    _write(
        table, wkb, shapely.bounds(geometry).T, types, path, crs=frame.crs, attrs=attrs, name=name, further=further
    )  # fmt: skip


def write_points(
    table: pa.Table,
    lon: Floats,
    lat: Floats,
    path: str | os.PathLike[str],
    *,
    crs: Any = frames.CRS,
    attrs: dict[str, Any] | None = None,
    name: str = "geometry",
) -> None:
    """
    Write points as GeoParquet 1.1, from arrays.

    Parameters
    ----------
    table
        Attributes, a row a point.
    lon, lat
        Coordinates in `crs`, shape (n,).
    path
        The file.
    crs
        Anything pyproj understands.
    attrs
        The frame's `attrs`; JSON.
    name
        Name of the geometry column.
    """
    _write(table, points_to_wkb(lon, lat), np.array([lon, lat, lon, lat]), ["Point"], path, crs=crs, attrs=attrs or {},
           name=name)  # fmt: skip


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


def _write(
    table: pa.Table,
    wkb: pa.Array | pa.ChunkedArray,
    bounds: Floats,
    types: list[str],
    path: str | os.PathLike[str],
    *,
    crs: Any,
    attrs: dict[str, Any],
    name: str,
    further: dict[str, Any] | None = None,
) -> None:
    known: Flags = np.asarray(np.isfinite(bounds).all(axis=0))
    # A table without columns has no rows either, even if its frame has.
    table = table.append_column(name, wkb) if table.num_columns else pa.table({name: wkb})
    table = table.append_column("bbox", _bbox_column(bounds, known))
    if len(table) > ROWS_PER_GROUP:
        table = table.take(pa.array(_z_order((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)))
    extent = [float(value) for value in (*bounds[:2, known].min(1), *bounds[2:, known].max(1))] if known.any() else None
    geo = _geo(name, types, crs, extent)
    geo["columns"] |= further or {}
    metadata = {b"geo": json.dumps(geo).encode()}
    pandas = dict(table.schema.pandas_metadata or _plain_pandas_metadata(table, (name, "bbox")))
    pandas["attributes"] = attrs
    metadata[b"pandas"] = json.dumps(pandas).encode()
    table = table.replace_schema_metadata(metadata)
    plain = [column for column in table.column_names if column in frames.IDS]
    with pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        # A dictionary of nearly unique values only takes time.
        use_dictionary=[n for n in table.column_names if n not in (name, "bbox", *plain)] or False,
        write_statistics=[n for n in table.column_names if n not in (name, "bbox")]
        + [f"bbox.{side}" for side in ("xmin", "ymin", "xmax", "ymax")],
    ) as writer:
        writer.write_table(table, row_group_size=ROWS_PER_GROUP)


def _geo(name: str, types: list[str], crs: Any, extent: list[float] | None) -> dict[str, Any]:
    column = _geo_column(types, crs)
    column["covering"] = {"bbox": {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}}
    if extent is not None:
        column["bbox"] = extent
    return {"version": "1.1.0", "primary_column": name, "columns": {name: column}}


def _geo_column(types: list[str], crs: Any) -> dict[str, Any]:
    from pyproj import CRS

    known = None if crs is None else CRS.from_user_input(crs).to_json_dict()
    return {"encoding": "WKB", "geometry_types": types, "crs": known}


def _types(geometry: gpd.GeoSeries) -> list[str]:
    return sorted(
        {f"{kind} Z" if z else str(kind) for kind, z in zip(geometry.geom_type, geometry.has_z, strict=True) if kind}
    )


def _further(file: pq.ParquetFile, geo: dict[str, Any]) -> list[str]:
    """Return the geometry columns beside the primary one."""
    return [
        column for column in geo["columns"] if column != geo["primary_column"] and column in file.schema_arrow.names
    ]


def _bbox_column(bounds: Floats, known: Flags) -> pa.StructArray:
    """Return boxes as float32, rounded outwards so that a box always contains its geometry."""
    sides = {}
    for side, values, outwards in zip(
        ("xmin", "ymin", "xmax", "ymax"), bounds, (-np.inf, -np.inf, np.inf, np.inf), strict=True
    ):
        rounded = values.astype(np.float32)
        inside = rounded > values if outwards < 0 else rounded < values
        rounded[inside] = np.nextafter(rounded[inside], np.float32(outwards))
        sides[side] = pa.array(rounded)
    mask = None if known.all() else pa.array(~known)
    return pa.StructArray.from_arrays(list(sides.values()), names=list(sides), mask=mask)


def _z_order(x: Floats, y: Floats) -> Rows:
    """Return the order of places along a Z-order curve over their own extent (Morton, 1966)."""
    codes = np.zeros(len(x), dtype=np.uint32)
    for shift, values in ((0, x), (1, y)):
        known = np.isfinite(values)
        low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 1.0)
        scaled = (np.where(known, values, low) - low) * (65535 / max(high - low, 1e-300))
        bits = scaled.astype(np.uint32)
        for step, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
            bits = (bits | (bits << np.uint32(step))) & np.uint32(mask)
        codes |= bits << np.uint32(shift)
    return np.argsort(codes, kind="stable")


def _groups_meeting(file: pq.ParquetFile, geo: dict[str, Any], bbox: tuple[float, float, float, float]) -> list[int]:
    """Return the row groups that may have rows in the box, by their statistics."""
    column = geo["columns"][geo["primary_column"]]
    covering = column.get("covering", {}).get("bbox")
    if not _is_lonlat(column.get("crs", "OGC:CRS84")):
        return list(range(file.num_row_groups))
    if covering:
        leaves = [".".join(covering[side]) for side in ("xmin", "ymin", "xmax", "ymax")]
    elif column["encoding"].lower() == "point":
        leaves = [f"{geo['primary_column']}.{axis}" for axis in ("x", "y", "x", "y")]
    else:
        return list(range(file.num_row_groups))
    where = {file.schema.column(i).path: i for i in range(len(file.schema))}
    if not all(leaf in where for leaf in leaves):
        return list(range(file.num_row_groups))
    kept = []
    for group in range(file.num_row_groups):
        row_group = file.metadata.row_group(group)
        statistics = [row_group.column(where[leaf]).statistics for leaf in leaves]
        if any(found is None or not found.has_min_max for found in statistics):
            kept.append(group)
            continue
        extent = np.array([[statistics[0].min], [statistics[1].min], [statistics[2].max], [statistics[3].max]])
        if _meets(extent, bbox)[0]:
            kept.append(group)
    return kept


def _meets(bounds: Floats, bbox: tuple[float, float, float, float]) -> Flags:
    xmin, ymin, xmax, ymax = bounds
    west, south, east, north = bbox
    in_lon = (xmax >= west) & (xmin <= east) if west <= east else (xmax >= west) | (xmin <= east)
    return np.asarray(in_lon & (ymax >= south) & (ymin <= north))


def _geometry(values: pa.ChunkedArray, column: dict[str, Any], path: Path) -> Any:
    import geopandas as gpd

    encoding = str(column["encoding"]).lower()
    if encoding == "wkb":
        array = values.combine_chunks()
        if column.get("geometry_types") == ["Point"] and values.null_count == 0:
            x, y = coordinates(values, path)
            if np.isfinite(x).all():  # an empty point has no coordinates
                return gpd.points_from_xy(x, y)
        return gpd.array.GeometryArray(_shapes(array, path))
    if encoding == "point":
        return gpd.points_from_xy(*coordinates(values, path))
    import geopandas.io._geoarrow as native

    return gpd.array.GeometryArray(native.construct_shapely_array(values.combine_chunks(), f"geoarrow.{encoding}"))


def _restored(table: pa.Table, file: pq.ParquetFile) -> Any:
    """Return attributes as pandas columns, in the dtypes at the time of writing."""
    data = frames.to_pandas(table)
    for column in pandas_metadata(file).get("columns", []):
        name, dtype = column.get("name"), column.get("numpy_type")
        if name in data.columns and dtype in {"Int64", "Int32", "boolean"} and str(data[name].dtype) != dtype:
            data[name] = data[name].astype(dtype)
    return data


def _plain_pandas_metadata(table: pa.Table, others: tuple[str, ...]) -> dict[str, Any]:
    """Return the metadata from which pandas restores dtypes, for a table that pandas did not make."""
    columns: list[dict[str, Any]] = []
    for field in table.schema:
        if field.name in others:
            continue
        metadata = {"timezone": "UTC"} if pa.types.is_timestamp(field.type) and field.type.tz else None
        kinds = _pandas_types(field, has_gaps=table[field.name].null_count > 0)
        columns.append({"name": field.name, "field_name": field.name, **kinds, "metadata": metadata})
    return {"index_columns": [], "column_indexes": [], "columns": columns, "creator": {"library": "mlygeo"}}


def _pandas_types(field: pa.Field, *, has_gaps: bool) -> dict[str, str]:
    """Return the names of a column's type in pandas' metadata."""
    kind = field.type
    if pa.types.is_integer(kind):
        dtypes = {schema.dtype(field.name) for schema in frames.SCHEMAS.values()} - {None}
        return {"pandas_type": "int64", "numpy_type": "Int64" if has_gaps or dtypes == {"Int64"} else "int64"}
    if pa.types.is_timestamp(kind):
        return {"pandas_type": "datetimetz" if kind.tz else "datetime", "numpy_type": f"datetime64[{kind.unit}]"}
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return {"pandas_type": "unicode", "numpy_type": "str"}
    if pa.types.is_boolean(kind) and not has_gaps:
        return {"pandas_type": "bool", "numpy_type": "bool"}
    return {"pandas_type": str(kind), "numpy_type": "float64" if pa.types.is_floating(kind) else "object"}


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


def _shapes(wkb: pa.Array | pa.ChunkedArray, path: Path) -> npt.NDArray[Any]:
    """Return the geometries of WKB, None where there is none."""
    import shapely

    try:
        return np.asarray(shapely.from_wkb(wkb.to_numpy(zero_copy_only=False)))
    except shapely.errors.GEOSException as error:
        raise FormatError(f"{path.name} holds a damaged geometry: {error}") from error


def _is_lonlat(crs: Any) -> bool:
    """Return whether a CRS of the metadata is longitude and latitude on WGS 84."""
    if isinstance(crs, dict):
        identity = crs.get("id", {})
        return (identity.get("authority"), str(identity.get("code"))) in {("EPSG", "4326"), ("OGC", "CRS84")}
    return crs in {"OGC:CRS84", "EPSG:4326"}


def _crs_of(crs: Any) -> Any:
    """Return the CRS, with longitude and latitude under their usual name."""
    from pyproj import CRS

    if crs is None:
        return None
    return CRS.from_epsg(4326) if _is_lonlat(crs) else CRS.from_user_input(crs)


# Shared by reading whole and in parts: opening, metadata, coordinates of points.


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


def coordinates(geometry: pa.ChunkedArray, path: Path) -> tuple[Floats, Floats]:
    """Return the coordinates of points without an object per point."""
    parts = [_coordinates(chunk, path) for chunk in geometry.chunks]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty(0), *(x for x, _ in parts)]), np.concatenate([np.empty(0), *(y for _, y in parts)])


def crs_of(column: dict[str, Any], path: Path) -> CRS:
    """Return the CRS of a geometry column; FormatError where it has none."""
    known: CRS | None = _crs_of(column.get("crs", "OGC:CRS84"))
    if known is None:
        raise FormatError(f"the geometry of {path.name} has no CRS", hint="write it with one, such as EPSG:4326")
    return known


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

    points = _shapes(array, path)
    kinds = shapely.get_type_id(points)
    if ((kinds != 0) & (kinds != -1)).any():
        raise FormatError(f"{path.name} holds other geometries than points")
    return frames.coordinates(points)
