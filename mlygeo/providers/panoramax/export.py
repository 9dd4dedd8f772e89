"""
Panoramax's weekly export: one STAC-GeoParquet file of all pictures, read by box from a server or from disk.

Of more than 20 GB, a box needs some megabytes: the footer says which row groups can have its pictures, by the column
`bbox`. Statistics of other columns are not asked, since some have been unusable. What a column says is read by
`mlygeo.store.stac`: by name, and what is missing is unknown.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from mlygeo import frames, store
from mlygeo.config import is_loopback
from mlygeo.errors import FormatError, InputError
from mlygeo.keys import UUIDS
from mlygeo.progress import counted
from mlygeo.providers.panoramax.service import Service
from mlygeo.regions import Region
from mlygeo.store import stac
from mlygeo.store.parquet import encodings
from mlygeo.store.parquet.files import box_sides, may_be_null, near, reading
from mlygeo.store.parquet.metadata import SIDES, box_fields, pandas_metadata

if TYPE_CHECKING:
    import geopandas as gpd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mlygeo.arrays import Bounds

log = logging.getLogger("mlygeo.service")

EXPORT = "https://api.panoramax.xyz/data/geoparquet/panoramax.parquet"
"""Address of the export, which is made anew every week."""

_READ = "tables of anybody's items are read with mlygeo.read_frame(…, frame='images')"

_UNUSED = frozenset({"exif", "semantics", "annotations", "stac_extensions", "tiles:tile_matrix_sets"})
"""Columns of the export that an images frame has no place for, and that are large."""


def read_export(
    source: str | os.PathLike[str] = EXPORT,
    *,
    region: Region | Bounds | None = None,
    service: Service | None = None,
) -> gpd.GeoDataFrame:
    """
    Read the pictures of a region from an export.

    Parameters
    ----------
    source
        Its address, or a file. By default the weekly export of the catalogue.
    region
        A region, or a box in degrees (west > east crosses the antimeridian). A file may be read whole.
    service
        How patiently a server is asked; its token is not sent.

    Returns
    -------
    images
        Images frame of any provider; `attrs["left_out"]` counts rows that could not be used, and `warning` names
        values that could not be.

    Raises
    ------
    InputError
        If the whole export of a server is asked for.
    FormatError
        If it is not a STAC-GeoParquet, or one of another provider.
    FileError
        If a file cannot be read.
    ServiceError
        If the server does not answer, or sends no parts of files.
    """
    area = region if isinstance(region, Region) or region is None else Region.from_bbox(*region)
    text = os.fspath(source)
    if not text.startswith(("https://", "http://")):
        path = Path(text).expanduser()
        bbox = None if area is None else _with_antimeridian(area.bounds)
        images = _images(_checked(store.read_frame(path, bbox=bbox), path.name), path.name, is_ours=True)
    else:
        if area is None:
            raise InputError("the export has the pictures of the whole world", hint="give `bbox`, or download the file")
        if not text.startswith("https://") and not is_loopback(text):
            raise InputError(f"{text[:80]} is not encrypted", hint="use https://")
        images = _over_network(text, area, service or Service.from_environment())
    if area is not None and len(images):
        lonlat = frames.lonlat(images)
        kept = area.contains(*lonlat)
        attrs = images.attrs
        images = images[kept].reset_index(drop=True)
        images.attrs = attrs
    log.info("%s in the export %s", counted(len(images), "image"), Path(urlsplit(text).path).name)
    return images


def _with_antimeridian(bbox: Bounds) -> Bounds:
    """Return a box that has the antimeridian by both of its longitudes, where a box ends there."""
    west, south, east, north = bbox
    if west <= east and (west == -180.0) != (east == 180.0):
        return (west, south, -180.0, north) if east == 180.0 else (180.0, south, east, north)
    return bbox


def _checked(table: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """Return a table, if it may be of Panoramax; an images frame of Mapillary is named as that."""
    if stac.is_stac(table.columns):
        return table
    is_mapillary = {"captured_at", "id"} <= {*table.columns} and str(table["id"].dtype) == "int64"
    what = "images of Mapillary" if is_mapillary else "no STAC items"
    raise FormatError(
        f"{name} has {what}, and an export of Panoramax is needed", hint="it has the columns id and datetime"
    )


def _over_network(url: str, area: Region, service: Service) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mlygeo.net.http import Client
    from mlygeo.net.ranges import RangeFile

    name = Path(urlsplit(url).path).name or url
    with Client(service, connections=2) as client:
        remote = RangeFile(client, url, what=f"export {name}")

        def read() -> tuple[pa.Table, list[int], int]:
            file = pq.ParquetFile(pa.PythonFile(remote, mode="r"), pre_buffer=True)
            names = file.schema_arrow.names
            if not stac.is_stac(names):
                _checked(gpd.GeoDataFrame(file.schema_arrow.empty_table().to_pandas()), name)
            if "geometry" not in names:
                raise FormatError(f"{name} has no column 'geometry'")
            groups = [group for group in range(file.num_row_groups) if may_meet(file, group, area.bounds)]
            wanted = [each for each in names if each not in _UNUSED]
            parts = [_near(file.read_row_group(group, columns=wanted), area.bounds) for group in groups]
            table = pa.concat_tables(parts) if parts else file.schema_arrow.empty_table().select(wanted)
            return table, groups, file.num_row_groups

        table, groups, count = reading(Path(name), read)
    log.info(
        "%d of %d row groups of %s, %.1f MB in %d requests",
        len(groups), count, name, remote.bytes_read / 1e6, remote.requests,
    )  # fmt: skip
    return _images(_frame(table, name), name, is_ours=urlsplit(url).hostname == urlsplit(EXPORT).hostname)


def _images(table: gpd.GeoDataFrame, name: str, *, is_ours: bool) -> gpd.GeoDataFrame:
    """
    Return the images of a table; whose they are, its columns tell, unless it is said to be an export of Panoramax.

    Raises
    ------
    FormatError
        If that has pictures of others.
    """
    if not is_ours:
        return stac.to_images(table, name=name)
    others = table["provider"].dropna() if "provider" in table.columns else table["id"].iloc[:0]
    odd = next((each for each in others.unique() if each != "panoramax"), None)
    if odd is not None:
        raise FormatError(f"{name} has images of {str(odd)[:40]}, and an export of Panoramax is needed", hint=_READ)
    odd = next((each for each in table["id"].dropna().iloc[:1000] if UUIDS.find(str(each).strip()) is None), None)
    if odd is not None and str(odd).strip():
        raise FormatError(f"{name}: {str(odd)[:40]!r} is not an id of Panoramax, whose export is needed", hint=_READ)
    return stac.to_images(table, name=name, is_panoramax=True)


def may_meet(file: pq.ParquetFile, group: int, bbox: Bounds) -> bool:
    """
    Return whether a row group may have pictures in a box; True where the file does not say.

    Parameters
    ----------
    file
        The file.
    group
        Number of the row group.
    bbox
        West, south, east, north in degrees.
    """
    found: dict[str, tuple[float, float]] = {}
    described = file.metadata.row_group(group)
    for number in range(described.num_columns):
        column = described.column(number)
        outer, _, side = column.path_in_schema.partition(".")
        if outer == "bbox" and side in SIDES and column.is_stats_set and column.statistics.has_min_max:
            if may_be_null(column.statistics):
                return True
            low, high = column.statistics.min, column.statistics.max
            if isinstance(low, int | float) and isinstance(high, int | float) and low <= high:
                found[side] = float(low), float(high)
    if found.keys() != {*SIDES}:
        return True
    return bool(near(np.array([[found[side][side.endswith("max")]] for side in SIDES]), bbox)[0])


def _near(table: pa.Table, bbox: Bounds) -> pa.Table:
    """Return the rows whose box meets a box; all where the table has no boxes."""
    import pyarrow as pa

    if "bbox" not in table.column_names or not box_fields(table.schema.field("bbox").type):
        return table
    return table.filter(pa.array(near(box_sides(table["bbox"]), bbox)))


def _frame(table: pa.Table, name: str) -> gpd.GeoDataFrame:
    """Return a table with points, as WKB or in the native encoding, as a frame."""
    import geopandas as gpd

    pandas_metadata((table.schema.metadata or {}).get(b"pandas"), name)  # raises where pandas could not read it
    lon, lat = encodings.coordinates(table["geometry"], Path(name))
    others = frames.to_pandas(table.drop_columns(["geometry"]))
    geometry = frames.points(lon, lat)
    geometry[np.isnan(lon)] = None
    return gpd.GeoDataFrame(others, geometry=gpd.GeoSeries(geometry, crs=frames.CRS))
