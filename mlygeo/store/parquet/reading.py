"""GeoParquet into frames, whole or in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FrameError
from mlygeo.store.parquet.attributes import restored
from mlygeo.store.parquet.encodings import geometry_array
from mlygeo.store.parquet.metadata import geo_metadata, is_attribute, is_lonlat, known_crs, open_file, pandas_metadata
from mlygeo.store.parquet.metadata import reading as reading_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import geopandas as gpd
    import pyarrow.parquet as pq

    from mlygeo.arrays import Flags, Floats


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
    table = reading_of(path, lambda: file.read_row_groups(groups, columns=[*attributes, *further, name]))
    crs = geo["columns"][name].get("crs", "OGC:CRS84")
    geometry = geometry_array(table[name], geo["columns"][name], path)
    frame = gpd.GeoDataFrame(restored(table.select(attributes), file), geometry=geometry, crs=known_crs(crs))
    frame = frame.rename_geometry(name) if name != "geometry" else frame
    for other in further:
        crs_of_other = known_crs(geo["columns"][other].get("crs", "OGC:CRS84"))
        values = geometry_array(table[other], geo["columns"][other], path)
        frame.insert(frame.columns.get_loc(name), other, gpd.GeoSeries(values, index=frame.index, crs=crs_of_other))
    frame.attrs = dict(pandas_metadata(file).get("attributes") or {})
    if bbox is not None:
        lonlat = frame.geometry if is_lonlat(crs) else frame.geometry.to_crs(4326)
        frame = frame[_meets(lonlat.bounds.to_numpy().T, bbox)].reset_index(drop=True)
    return frame


def _further(file: pq.ParquetFile, geo: dict[str, Any]) -> list[str]:
    """Return the geometry columns beside the primary one."""
    return [
        column for column in geo["columns"] if column != geo["primary_column"] and column in file.schema_arrow.names
    ]


def _groups_meeting(file: pq.ParquetFile, geo: dict[str, Any], bbox: tuple[float, float, float, float]) -> list[int]:
    """Return the row groups that may have rows in the box, by their statistics."""
    column = geo["columns"][geo["primary_column"]]
    covering = column.get("covering", {}).get("bbox")
    if not is_lonlat(column.get("crs", "OGC:CRS84")):
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
