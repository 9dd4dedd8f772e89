"""Frames in the formats of GDAL: GeoPackage, GeoJSON, FlatGeobuf and many more."""

from __future__ import annotations

import errno
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError
from mlygeo.store.atomic import file_error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd

DRIVERS = {
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".geojsonl": "GeoJSONSeq",
    ".geojsons": "GeoJSONSeq",
    ".gpkg": "GPKG",
    ".fgb": "FlatGeobuf",
    ".sqlite": "SQLite",
}
"""The driver for each ending that frames can be written to: formats that preserve every id."""


def read(
    path: Path,
    *,
    bbox: tuple[float, float, float, float] | None,
    columns: Sequence[str] | None,
    layer: str | None = None,
) -> gpd.GeoDataFrame:
    """Return the frame of a layer, with exact whole numbers; with a box, only the rows that intersect it."""
    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa
    import pyogrio

    # Read with Arrow: otherwise a column of ids with gaps comes back as float64 and loses digits.
    integers = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int64Dtype(), pa.int16(): pd.Int64Dtype()}
    options: dict[str, Any] = {"use_arrow": True, "arrow_to_pandas_kwargs": {"types_mapper": integers.get}}
    if columns is not None:
        options["columns"] = list(columns)
    if layer is not None:
        options["layer"] = layer
    elif path.suffix.lower() == ".gpx":
        options["layer"] = _gpx_layer(path)
    try:
        mask = _box_in_crs_of(path, bbox, options.get("layer")) if bbox is not None else None
        found = pyogrio.read_dataframe(path, bbox=mask, fid_as_index=mask is not None, **options)
    except pyogrio.errors.DataSourceError as error:
        raise FormatError(f"{path.name} cannot be read as a vector file: {error}") from error
    except (pyogrio.errors.DataLayerError, pa.ArrowException, ValueError, RuntimeError) as error:
        raise FormatError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(found, gpd.GeoDataFrame):
        raise FormatError(f"{path.name} has no geometry")
    if mask is not None:  # a spatial index returns rows in another order
        found = found.sort_index().reset_index(drop=True)
    plain = {
        name: found[name].astype("int64")
        for name in found.columns
        if isinstance(found[name].dtype, pd.Int64Dtype) and not found[name].isna().any()
    }
    return found.assign(**plain)


def write(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write a frame in the format of the ending."""
    import pyogrio

    driver = DRIVERS[path.suffix.lower()]
    options: dict[str, Any] = {}
    if driver == "FlatGeobuf":
        options["SPATIAL_INDEX"] = "NO"  # with the index GDAL reorders the rows
    if driver.startswith("GeoJSON"):
        options["COORDINATE_PRECISION"] = 15  # GDAL's 7 digits are a centimetre
        frame = frame.to_crs(4326) if frame.crs is not None else frame
    frame = plain_columns(frame, ids_as_text=driver.startswith("GeoJSON"))
    try:
        pyogrio.write_dataframe(frame, path, driver=driver, use_arrow=False, **options)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, pyogrio.errors.GeometryError) as error:
        full = "No space left" in str(error) or not _room(path)
        if full:
            raise file_error(OSError(errno.ENOSPC, "No space left on device"), path) from error
        raise FileError(f"{path.name} could not be written: {error}") from error


def plain_columns(frame: gpd.GeoDataFrame, *, ids_as_text: bool) -> gpd.GeoDataFrame:
    """Return a frame of columns that every format can store: lists become JSON text, further geometries WKT."""
    import pandas as pd

    plain: dict[str, pd.Series] = {}
    for name in frame.columns:
        if name == frame.geometry.name:
            continue
        values = frame[name]
        if str(values.dtype) == "geometry":
            plain[name] = values.to_wkt(rounding_precision=-1).astype("str")
        elif ids_as_text and name in frames.IDS and pd.api.types.is_integer_dtype(values):
            plain[name] = values.astype("str").where(values.notna(), None)
        elif isinstance(values.dtype, pd.CategoricalDtype):
            plain[name] = values.astype(values.cat.categories.dtype)
        elif values.dtype == object:
            plain[name] = pd.Series(
                [
                    json.dumps(value, default=str) if isinstance(value, list | dict | tuple | np.ndarray) else value
                    for value in values
                ],
                index=values.index,
                dtype=object,
            )
    return frame.assign(**plain) if plain else frame


def _gpx_layer(path: Path) -> str:
    """Return the first layer of a GPX file with features: way points, else track or route points."""
    import pyogrio

    counts = {
        layer: pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"]
        for layer in ("waypoints", "track_points", "route_points")
    }
    return next((layer for layer, count in counts.items() if count), "waypoints")


def _box_in_crs_of(
    path: Path, bbox: tuple[float, float, float, float], layer: str | None
) -> tuple[float, float, float, float]:
    import pyogrio
    from pyproj import CRS, Transformer

    crs = pyogrio.read_info(path, layer=layer)["crs"]
    if crs is None or CRS.from_user_input(crs).equals(CRS.from_epsg(4326)):
        return bbox
    west, south, east, north = Transformer.from_crs(4326, crs, always_xy=True).transform_bounds(*bbox)
    return west, south, east, north


def _room(path: Path) -> bool:
    return shutil.disk_usage(path.parent).free > 1_000_000
