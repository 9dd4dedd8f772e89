"""Frames into GeoParquet 1.1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo import frames
from mlygeo.store.parquet.attributes import is_json, plain_pandas_metadata
from mlygeo.store.parquet.encodings import points_to_wkb, types_of

if TYPE_CHECKING:
    import os

    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Rows

ROWS_PER_GROUP = 100_000
"""Rows in a row group: fewer make whole reads slow, more make reads of a box slow (measured)."""


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
        further[other] = _geo_column(types_of(frame[other]), frame[other].crs)
    geometry = np.asarray(frame.geometry.values)
    attrs = {key: value for key, value in frame.attrs.items() if is_json(value)}
    has_z = shapely.has_z(geometry)
    if len(frame) and (shapely.get_type_id(geometry) == 0).all() and not has_z.any():
        _write(table, points_to_wkb(*(lonlat := frames.coordinates(geometry))), np.array([*lonlat, *lonlat]), ["Point"],
               path, crs=frame.crs, attrs=attrs, name=name, further=further)  # fmt: skip
        return
    types = types_of(frame.geometry)
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
    pandas = dict(table.schema.pandas_metadata or plain_pandas_metadata(table, (name, "bbox")))
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
