"""
Read and write frames by file ending: GeoParquet first, any vector format beside it.

Every write is atomic: the file appears whole under its name, or the old one stays.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, overload

from mlygeo import dtypes, frames
from mlygeo.errors import FileError, FormatError, FrameError
from mlygeo.progress import counted, working
from mlygeo.store import gdal, postgis, text
from mlygeo.store.atomic import atomic, file_error, remove, write_text
from mlygeo.store.text import LAT_NAMES, LON_NAMES, WKT_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import geopandas as gpd

__all__ = [
    "FORMATS",
    "LAT_NAMES",
    "LON_NAMES",
    "PARQUET",
    "WKT_NAMES",
    "Format",
    "FrameLike",
    "as_frame",
    "atomic",
    "check_writable",
    "file_error",
    "has_layers",
    "read_frame",
    "remove",
    "write_frame",
    "write_text",
]

log = logging.getLogger("mlygeo.store")

FrameLike: TypeAlias = "gpd.GeoDataFrame | str | os.PathLike[str]"
"""A frame as an argument: a GeoDataFrame, or the path of a file with one."""

PARQUET = (".parquet", ".geoparquet", ".pq")


class Format(Protocol):
    """
    The functions in the module of a format.

    `read` returns the rows that intersect the box (degrees) and the requested columns, or all where these
    are None. `write` need not be atomic.
    """

    def read(
        self, path: Path, *, bbox: tuple[float, float, float, float] | None, columns: Sequence[str] | None
    ) -> gpd.GeoDataFrame:
        """Return the frame in a file."""

    def write(self, frame: gpd.GeoDataFrame, path: Path) -> None:
        """Write a frame to a file."""


def _geoparquet() -> Format:
    from mlygeo.store import parquet

    return parquet


def _table_of_text() -> Format:
    return text


def _format_of_gdal() -> Format:
    return gdal


FORMATS: dict[str, Callable[[], Format]] = {
    **dict.fromkeys(PARQUET, _geoparquet),
    **dict.fromkeys(text.SEPARATORS, _table_of_text),
    **dict.fromkeys(gdal.DRIVERS, _format_of_gdal),
}
"""The format of each ending that frames can be written to; a format's module is imported when it is needed."""


@working("reading")
def read_frame(
    path: str | os.PathLike[str],
    *,
    frame: str | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    columns: Sequence[str] | None = None,
    layer: str | None = None,
) -> gpd.GeoDataFrame:
    """
    Read a frame from a file or a table of PostGIS.

    Parameters
    ----------
    path
        GeoParquet (.parquet), or anything GDAL reads: .geojson, .gpkg, .fgb, .gpx, .shp, …; or
        .csv with columns `lon` and `lat` (or longitude/latitude, or x/y), or `geometry` (WKT); or
        a table of PostGIS, `postgresql://user@host/database?table=schema.table`.
    frame
        The kind of frame it should be ("images", "streets", "street_points", "points",
        "selection", …): its columns are brought to their dtypes. None takes the file as it is,
        but for ids, which come back as whole numbers where they were written as text.
    bbox
        West, south, east, north in degrees: only rows whose bounding box meets it are returned,
        and where the file allows (GeoParquet with a bounding-box column, GeoPackage,
        FlatGeobuf, …) only they are read.
    columns
        Only these columns, and the geometry. None reads all.
    layer
        Name of the layer, for a file that holds several (.gpkg, .gdb, …). None reads the first.

    Returns
    -------
    frame
        In the file's order. Whole numbers with gaps are Int64, never float.

    Raises
    ------
    FileError
        If the file is missing or cannot be read.
    FormatError
        If it is not what its name says.
    FrameError
        If it is not the kind of frame asked for.

    Examples
    --------
    >>> read_frame("images.parquet", frame="images", bbox=(9.16, 48.76, 9.18, 48.78))
    """
    schema = _schema(frame)
    if postgis.is_url(path):
        found, name = postgis.read(str(path), bbox=bbox, columns=columns), str(postgis.table_of(str(path)))
    else:
        path = Path(path).expanduser()
        found, name = _read_file(path, bbox, columns, layer), path.name
    log.info("read %s from %s", counted(len(found), "row"), name)
    if schema is None:
        return _with_whole_ids(found)
    try:
        return frames.conform(found, schema)
    except FrameError as error:
        raise FrameError(f"{name} is {error}") from error


@overload
def write_frame(frame: gpd.GeoDataFrame, path: os.PathLike[str]) -> Path: ...


@overload
def write_frame(frame: gpd.GeoDataFrame, path: str) -> Path | str: ...


def write_frame(frame: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> Path | str:
    """
    Write a frame to a file or a table of PostGIS, whole or not at all.

    Parameters
    ----------
    frame
        Any GeoDataFrame.
    path
        The ending tells the format. GeoParquet (.parquet) keeps every dtype and `attrs`; it is
        GeoParquet 1.1 with a bounding-box column, compressed with zstd, in row groups of
        100,000 rows, and spatially sorted where there is more than one group. In .geojson ids
        are text, since readers in JavaScript would round them. In .csv points are `lon`, `lat`,
        and other geometry is WKT. GeoPackage, GeoJSON and FlatGeobuf hold times to the
        millisecond. `postgresql://user@host/database?table=schema.table` names a table of PostGIS;
        one that mlygeo wrote is replaced, any other is left alone.

    Returns
    -------
    path
        The file, or the URL of the table as it was given.

    Raises
    ------
    FormatError
        If the ending names no format that frames can be written to.
    FileError
        If the file cannot be written, or the database refuses; whatever stood there before still does.
    DependencyError
        If PostGIS is meant and psycopg is missing: the hint names the command.

    Examples
    --------
    >>> write_frame(selection, "selection.gpkg")
    """
    if isinstance(path, str) and postgis.is_url(path):
        postgis.write(gdal.plain_columns(frame, ids_as_text=False), path)
        return path
    path = Path(path).expanduser()
    check_writable(path)
    with atomic(path) as temporary:
        FORMATS[path.suffix.lower()]().write(frame, temporary)
    log.info("wrote %s to %s", counted(len(frame), "row"), path.name)
    return path


def as_frame(value: Any, *, frame: str | None = None, name: str = "the frame") -> gpd.GeoDataFrame:
    """
    Return the frame of what a user holds; the same thing in another wrapping is the same frame.

    Parameters
    ----------
    value
        A GeoDataFrame; the path of a file, or a table of PostGIS; anything that hands over Arrow's data
        (`__arrow_c_stream__`); a DataFrame with columns of longitude and latitude, or of WKT, WKB or shapely
        geometries; a GeoSeries; edges of OSMnx, whose index becomes columns; a shapely geometry; a dict of
        GeoJSON, or what has a `__geo_interface__`; or several of these, whose rows follow each other. What
        names no CRS is in degrees. It is not changed.
    frame
        The kind of frame it should be, as in `read_frame`.
    name
        What messages call it.

    Returns
    -------
    frame
        The same frame where it is a GeoDataFrame with nothing to change.

    Raises
    ------
    FrameError
        If it is none of these, or not the kind of frame asked for.
    FileError
        If a file is missing or cannot be read.
    """
    from mlygeo.store import held

    schema = _schema(frame)
    if isinstance(value, str | os.PathLike):
        return read_frame(value, frame=frame)
    found = held.as_frame(value, name=name, read=read_frame)
    if schema is None:
        return found if found is value else _with_whole_ids(found)
    try:
        return frames.conform(found, schema)
    except FrameError as error:
        raise FrameError(f"{name} is {error}") from error


def check_writable(path: Path) -> None:
    """
    Raise unless a frame could be written to this path.

    Raises
    ------
    FormatError
        If the ending names no format that frames can be written to.
    FileError
        If the folder cannot be made, or the path is a folder.
    """
    ending = path.suffix.lower()
    if ending == ".shp":
        raise FormatError(
            f"{path.name}: a shapefile cuts column names at ten letters and cannot hold ids past 2^53",
            hint="write .gpkg, which every GIS opens",
        )
    if ending not in FORMATS:
        raise FormatError(
            f"{path.name}: frames cannot be written as {ending or 'a file without an ending'!r}",
            hint=f"use one of .parquet {' '.join(sorted(FORMATS.keys() - {*PARQUET}))}",
        )
    if path.is_dir():
        raise FileError(f"{path} is a folder", hint="name a file in it")


def has_layers(path: Path) -> bool:
    """Return whether a file may have several layers: whether GDAL reads it."""
    return _format(path) is gdal


def _schema(name: str | None) -> frames.Schema | None:
    if name is None:
        return None
    if name not in frames.SCHEMAS:
        raise FrameError(f"there is no kind of frame {name!r}", hint=f"one of {', '.join(frames.SCHEMAS)}")
    return frames.SCHEMAS[name]


def _read_file(
    path: Path, bbox: tuple[float, float, float, float] | None, columns: Sequence[str] | None, layer: str | None
) -> gpd.GeoDataFrame:
    _must_exist(path)
    if has_layers(path):
        return gdal.read(path, bbox=bbox, columns=columns, layer=layer)
    return _format(path).read(path, bbox=bbox, columns=columns)


def _format(path: Path) -> Format:
    """Return the format of a file to read; GDAL reads more formats than mlygeo writes with it."""
    return FORMATS.get(path.suffix.lower(), _format_of_gdal)()


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise FileError(f"{path} does not exist")
    if path.is_dir() and path.suffix.lower() not in {".gdb", ".zarr"}:
        raise FileError(f"{path} is a folder, not a file")


def _with_whole_ids(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Convert the columns of ids back to whole numbers, where a format stores them as text."""
    whole = {}
    for name in ("id", "creator_id", "organization_id", "point_id"):
        if name in frame.columns and str(frame[name].dtype) in {"str", "object", "string"}:
            with suppress(ValueError, TypeError):
                numbers = dtypes.cast(frame[name], "Int64")
                whole[name] = numbers if numbers.isna().any() else numbers.astype("int64")
    return frame.assign(**whole) if whole else frame
