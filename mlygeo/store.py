"""
Read and write frames by file ending: GeoParquet first, any vector format beside it.

Every write is atomic: the file appears whole under its name, or the old one stays.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from mlygeo import dtypes, frames, postgis
from mlygeo.errors import FileError, FormatError, FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

log = logging.getLogger("mlygeo.store")

FrameLike = Any
"""What stands for a frame in a call: a GeoDataFrame, or the path of a file that holds one."""

PARQUET = (".parquet", ".geoparquet", ".pq")
WRITABLE = {
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".geojsonl": "GeoJSONSeq",
    ".geojsons": "GeoJSONSeq",
    ".gpkg": "GPKG",
    ".fgb": "FlatGeobuf",
    ".sqlite": "SQLite",
    ".csv": "CSV",
    ".tsv": "CSV",
}
"""GDAL's driver for each ending that frames can be written to, beside GeoParquet: those that keep every id."""

LON_NAMES = ("lon", "longitude", "lng", "long", "x")
LAT_NAMES = ("lat", "latitude", "y")
WKT_NAMES = ("geometry", "wkt", "geom")


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
    log.info("read %s rows from %s", f"{len(found):,}", name)
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
        If PostGIS is meant and psycopg is missing: install `mlygeo[postgis]`.

    Examples
    --------
    >>> write_frame(selection, "selection.gpkg")
    """
    if isinstance(path, str) and postgis.is_url(path):
        postgis.write(_plain_columns(frame, ids_as_text=False), path)
        return path
    path = Path(path).expanduser()
    check_writable(path)
    ending = path.suffix.lower()
    with atomic(path) as temporary:
        if ending in PARQUET:
            from mlygeo import geoparquet

            geoparquet.write(frame, temporary)
        elif ending in {".csv", ".tsv"}:
            _write_csv(frame, temporary)
        else:
            _write_vector(frame, temporary)
    log.info("wrote %s rows to %s", f"{len(frame):,}", path.name)
    return path


def as_frame(value: FrameLike, *, frame: str | None = None) -> gpd.GeoDataFrame:
    """Return the frame that a caller means: the frame itself, or what its file holds."""
    return read_frame(value, frame=frame) if isinstance(value, str | os.PathLike) else value


def check_writable(path: Path) -> None:
    """
    Raise unless a frame could be written to this path.

    Raises
    ------
    FormatError
        If the ending names no format that frames can be written to.
    FileError
        If the folder cannot be made, or the path is one.
    """
    ending = path.suffix.lower()
    if ending == ".shp":
        raise FormatError(
            f"{path.name}: a shapefile cuts column names at ten letters and cannot hold ids past 2^53",
            hint="write .gpkg, which every GIS opens",
        )
    if ending not in PARQUET and ending not in WRITABLE:
        raise FormatError(
            f"{path.name}: frames cannot be written as {ending or 'a file without an ending'!r}",
            hint=f"use one of .parquet {' '.join(sorted(WRITABLE))}",
        )
    if path.is_dir():
        raise FileError(f"{path} is a folder", hint="name a file in it")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """
    Give a temporary path beside `path`, and put it in its place once it is whole and on disk.

    The temporary file keeps the ending, since that tells the writers the format. Where anything
    fails it is removed, and whatever stood under the name still does.

    Parameters
    ----------
    path
        The file to write. Its folder is made if it is missing.

    Yields
    ------
    temporary
        A path that does not exist yet, in a folder of its own beside `path`.

    Raises
    ------
    FileError
        If the disk is full, or the place cannot be written to.
    """
    folder = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent))
        temporary = folder / path.name
        yield temporary
        _to_disk(temporary)
        temporary.replace(path)
        _folder_to_disk(path.parent)
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise file_error(error, path) from error
    finally:
        if folder is not None:
            for leftover in folder.iterdir():
                with suppress(OSError):
                    leftover.unlink()
            with suppress(OSError):
                folder.rmdir()


def write_text(text: str, path: Path) -> Path:
    """Write a text file (UTF-8), whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return path


def file_error(error: OSError, path: Path) -> FileError:
    """Return what an operating system's error means for this path, in one line."""
    if error.errno == errno.ENOSPC:
        return FileError(f"the disk is full: {path} was not written", hint="free some space; nothing was harmed")
    if error.errno == errno.EDQUOT:
        return FileError(f"the disk quota is used up: {path} was not written", hint="free some space")
    reason = error.strerror or str(error)
    return FileError(f"{path}: {reason}")


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _folder_to_disk(folder: Path) -> None:
    # Windows cannot open folders; there the rename alone has to do.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _schema(name: str | None) -> frames.Schema | None:
    if name is None:
        return None
    if name not in frames.SCHEMAS:
        raise FrameError(f"there is no kind of frame {name!r}", hint=f"one of {', '.join(frames.SCHEMAS)}")
    return frames.SCHEMAS[name]


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise FileError(f"{path} does not exist")
    if path.is_dir() and path.suffix.lower() not in {".gdb", ".zarr"}:
        raise FileError(f"{path} is a folder, not a file")


def _with_whole_ids(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Bring the columns of ids back to whole numbers, where a format could only hold text."""
    whole = {}
    for name in ("id", "creator_id", "organization_id", "point_id"):
        if name in frame.columns and str(frame[name].dtype) in {"str", "object", "string"}:
            with suppress(ValueError, TypeError):
                numbers = dtypes.cast(frame[name], "Int64")
                whole[name] = numbers if numbers.isna().any() else numbers.astype("int64")
    return frame.assign(**whole) if whole else frame


def _read_file(
    path: Path, bbox: tuple[float, float, float, float] | None, columns: Sequence[str] | None, layer: str | None
) -> gpd.GeoDataFrame:
    _must_exist(path)
    ending = path.suffix.lower()
    if ending in PARQUET:
        from mlygeo import geoparquet

        return geoparquet.read(path, bbox=bbox, columns=columns)
    if ending in {".csv", ".tsv"}:
        return _clip(_read_csv(path, columns), bbox)
    return _read_vector(path, bbox, columns, layer)


def _read_vector(
    path: Path, bbox: tuple[float, float, float, float] | None, columns: Sequence[str] | None, layer: str | None
) -> gpd.GeoDataFrame:
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
    if mask is not None:  # a spatial index gives rows in an order of its own
        found = found.sort_index().reset_index(drop=True)
    plain = {
        name: found[name].astype("int64")
        for name in found.columns
        if isinstance(found[name].dtype, pd.Int64Dtype) and not found[name].isna().any()
    }
    return found.assign(**plain)


def _gpx_layer(path: Path) -> str:
    """Return the layer of a GPX file that holds something: way points, else track or route points."""
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


def _clip(frame: gpd.GeoDataFrame, bbox: tuple[float, float, float, float] | None) -> gpd.GeoDataFrame:
    return frame if bbox is None else frame.cx[bbox[0] : bbox[2], bbox[1] : bbox[3]].reset_index(drop=True)


def _read_csv(path: Path, columns: Sequence[str] | None) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(
            path,
            parse_options=csv.ParseOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ","),
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
    return gpd.GeoDataFrame(plain, geometry=gpd.GeoSeries(geometry, crs=frames.CRS, index=plain.index))


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


def _write_csv(frame: gpd.GeoDataFrame, path: Path) -> None:
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
    table.to_csv(
        path, index=False, sep="\t" if path.suffix.lower() == ".tsv" else ",", date_format="%Y-%m-%dT%H:%M:%S.%fZ"
    )


def _write_vector(frame: gpd.GeoDataFrame, path: Path) -> None:
    import pyogrio

    driver = WRITABLE[path.suffix.lower()]
    options: dict[str, Any] = {}
    if driver == "FlatGeobuf":
        options["SPATIAL_INDEX"] = "NO"  # with the index GDAL reorders the rows
    if driver.startswith("GeoJSON"):
        options["COORDINATE_PRECISION"] = 15  # GDAL's 7 digits are a centimetre
        frame = frame.to_crs(4326) if frame.crs is not None else frame
    frame = _plain_columns(frame, ids_as_text=driver.startswith("GeoJSON"))
    try:
        pyogrio.write_dataframe(frame, path, driver=driver, use_arrow=False, **options)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, pyogrio.errors.GeometryError) as error:
        full = "No space left" in str(error) or not _room(path)
        if full:
            raise file_error(OSError(errno.ENOSPC, "No space left on device"), path) from error
        raise FileError(f"{path.name} could not be written: {error}") from error


def _room(path: Path) -> bool:
    import shutil

    return shutil.disk_usage(path.parent).free > 1_000_000


def _plain_columns(frame: gpd.GeoDataFrame, *, ids_as_text: bool) -> gpd.GeoDataFrame:
    """Return a frame of columns that every format can hold: lists become JSON text, further geometries WKT."""
    import json

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
