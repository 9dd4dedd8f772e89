"""Frames as tables of text (CSV, TSV): points as two columns, any other geometry as WKT."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FormatError, FrameError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import geopandas as gpd
    import pyarrow as pa

SEPARATORS = {".csv": ",", ".tsv": "\t"}
"""Separator of the columns, by the file's ending."""

LON_NAMES = ("lon", "longitude", "lng", "long", "x")
LAT_NAMES = ("lat", "latitude", "y")
WKT_NAMES = ("geometry", "wkt", "geom")


def read(
    path: Path, *, bbox: tuple[float, float, float, float] | None, columns: Sequence[str] | None
) -> gpd.GeoDataFrame:
    """Return the frame of a table, with these columns or all; with a box, only the rows that intersect it."""
    import geopandas as gpd
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(
            path,
            parse_options=csv.ParseOptions(delimiter=SEPARATORS[path.suffix.lower()]),
            convert_options=csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{path.name} is no table: {error}") from error
    names = {name.strip().lower(): name for name in table.column_names}
    lon = next((names[name] for name in LON_NAMES if name in names), None)
    lat = next((names[name] for name in LAT_NAMES if name in names), None)
    text = next((names[name] for name in WKT_NAMES if name in names), None)
    if (lon is None or lat is None) and text is None:
        raise FormatError(
            f"{path.name} has no columns 'lon' and 'lat' (it has {', '.join(table.column_names[:8])})",
            hint="name the columns of longitude and latitude so, or a column of WKT 'geometry'",
        )
    if lon is not None and lat is not None:
        used, geometry = {lon, lat}, _points_of(table, lon, lat, path)
    else:
        used, geometry = {str(text)}, _shapes_of(table, str(text), path)
    kept = [name for name in table.column_names if name not in used]
    if columns is not None:
        _must_have(columns, kept, path)
        kept = list(columns)
    plain = frames.to_pandas(table.select(kept))
    frame = gpd.GeoDataFrame(plain, geometry=gpd.GeoSeries(geometry, crs=frames.CRS, index=plain.index))
    return frame if bbox is None else frame.cx[bbox[0] : bbox[2], bbox[1] : bbox[3]].reset_index(drop=True)


def write(frame: gpd.GeoDataFrame, path: Path) -> None:
    """Write a frame as a table, in degrees if its CRS is known."""
    import pandas as pd
    import shapely

    table = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    lonlat = frame.to_crs(4326) if frame.crs is not None and frame.crs != frames.CRS else frame
    if len(frame) and not (frame.geom_type.dropna() == "Point").all():
        table = table.assign(geometry=shapely.to_wkt(np.asarray(lonlat.geometry.values), rounding_precision=-1))
    else:
        lon, lat = frames.lonlat(lonlat)
        table = table.assign(lon=lon, lat=lat)
    further = [column for column in table.columns if str(table[column].dtype) == "geometry"]
    table = table.assign(**{name: shapely.to_wkt(np.asarray(table[name]), rounding_precision=-1) for name in further})
    table.to_csv(path, index=False, sep=SEPARATORS[path.suffix.lower()], date_format="%Y-%m-%dT%H:%M:%S.%fZ")


def _points_of(table: pa.Table, lon: str, lat: str, path: Path) -> Any:
    import geopandas as gpd
    import pyarrow as pa

    try:
        x, y = (table[name].cast(pa.float64()).to_numpy() for name in (lon, lat))
    except pa.ArrowException as error:
        raise FormatError(f"{path.name}: a coordinate is no number ({error})") from error
    return gpd.points_from_xy(x, y)


def _shapes_of(table: pa.Table, name: str, path: Path) -> Any:
    import shapely

    try:
        return shapely.from_wkt(table[name].to_numpy())
    except (shapely.errors.GEOSException, TypeError) as error:
        raise FormatError(f"{path.name}: the column {name!r} is no geometry (WKT)") from error


def _must_have(columns: Sequence[str], available: Sequence[str], path: Path) -> None:
    missing = [name for name in columns if name not in available]
    if missing:
        raise FrameError(f"{path.name} has no column {', '.join(missing)} (it has {', '.join(available)})")
