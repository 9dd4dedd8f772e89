"""
Read and write frames by file ending: GeoParquet first, any vector format beside it.

Every write is atomic: the file appears whole under its name, or the old one stays.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, overload

from mlygeo import dtypes, frames, plausible
from mlygeo.errors import CrsError, FileError, FrameError, InputError, OutputError
from mlygeo.places import is_device, sha256_of
from mlygeo.progress import counted, working
from mlygeo.store import columns as described
from mlygeo.store import extents, gdal, paths, postgis, sidecars, stac, text
from mlygeo.store.atomic import atomic, file_error, remove, write_text
from mlygeo.store.paths import parted
from mlygeo.store.positions import LAT_NAMES, LON_NAMES, WKT_NAMES
from mlygeo.store.whole_ids import with_whole_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import geopandas as gpd

    from mlygeo.arrays import Bounds
    from mlygeo.store.datasets import alike
    from mlygeo.store.datasets.files import File, Listing

__all__ = [
    "FORMATS",
    "LAT_NAMES",
    "LON_NAMES",
    "PARQUET",
    "WKT_NAMES",
    "Format",
    "FrameLike",
    "Paths",
    "as_frame",
    "atomic",
    "check_writable",
    "file_error",
    "files_beside",
    "has_layers",
    "is_table",
    "names_file",
    "part_of",
    "parted",
    "read_frame",
    "remove",
    "shown",
    "write_frame",
    "write_layers",
    "write_text",
]

log = logging.getLogger("mlygeo.store")

FrameLike: TypeAlias = "gpd.GeoDataFrame | str | os.PathLike[str]"
"""A frame as an argument: a GeoDataFrame, or the path of a file with one."""

Paths: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Listing"
"""What is read as one frame: a file, a folder, a pattern, or several of them."""

PARQUET = (".parquet", ".geoparquet", ".pq")


class Format(Protocol):
    """
    The functions in the module of a format.

    `read` returns the requested columns, or all where they are None. The box (degrees, checked; west > east crosses
    the antimeridian) says which rows are wanted: others may come, too, and are left out by `read_frame`. `write`
    need not be atomic.
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

IN_DEGREES = frozenset({*text.SEPARATORS, *(ending for ending, name in gdal.DRIVERS.items() if "GeoJSON" in name)})
"""Endings of formats that have no CRS but longitude and latitude."""


@working("reading")
def read_frame(
    path: Paths,
    *,
    frame: str | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    columns: Sequence[str] | None = None,
    layer: str | None = None,
    srid: int | str | None = None,
) -> gpd.GeoDataFrame:
    """
    Read a frame from a file, several files, or a table of PostGIS.

    A folder, a pattern or several paths are read as one frame, with the files in the order of their paths, or of the
    list. The frame has the columns of all files; a row has no value in a column that its file lacks. The names of
    folders such as `year=2024` become columns, unless the files have them. Coordinates are converted to the CRS of
    the first file. Files of another kind than the first, such as street points beside images, are an error.

    A row with damaged geometry is left out, with a warning, and counted in `attrs["left_out"]`. A file in which all
    geometries are damaged is an error.

    Parameters
    ----------
    path
        GeoParquet (.parquet), or anything GDAL reads: .geojson, .gpkg, .fgb, .gpx, .shp, …; or .csv with columns
        `lon` and `lat` (or longitude/latitude, or x/y), or `geometry` (WKT); or a table of PostGIS,
        `postgresql://user@host/database?table=schema.table`. Name a layer after a colon: `streets.gpkg:edges`. Or a
        folder with such files, a pattern such as `tiles/*.parquet`, or several of these.
    frame
        The kind of frame it should be ("images", "streets", "street_points", "points", "selection", …): its columns
        are brought to their dtypes. None reads the file as it is, except for ids, which become whole numbers again if
        they were written as text; GeoParquet and PostGIS store their type.
    bbox
        West, south, east, north in degrees; west > east crosses the antimeridian. A row is returned
        if the box of its geometry, in longitude and latitude, meets it; rows without geometry are
        not. Where the file allows (GeoParquet with a bounding-box column, GeoPackage, files of
        points, …) only such rows are read.
    columns
        Only these columns, and the geometry, in the order of the file. None reads all.
    layer
        Name of the layer, for a file that holds several (.gpkg, .gdb, …). None reads the only layer with geometry.
    srid
        CRS of the coordinates in a file that does not tell it, such as a table of text (.csv, .tsv) or a shapefile
        without .prj: an EPSG code, such as 25832. Default: degrees for text, none for others.

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
        If it is not the kind of frame asked for, has no such column or layer, or has several layers
        with geometry and none was named.
    RegionError
        If `bbox` is not a box.

    Examples
    --------
    >>> read_frame("images.parquet", frame="images", bbox=(9.16, 48.76, 9.18, 48.78))
    """
    from mlygeo.store.datasets.files import are_several

    schema = _schema(frame)
    srid = None if srid is None else _crs_of(srid)
    box, wanted = None if bbox is None else extents.checked(bbox), extents.checked_columns(columns)
    if is_table(path):
        found, name = postgis.read(str(path), bbox=box, columns=wanted), str(postgis.table_of(str(path)))
        keeps_dtypes = True
    elif are_several(path):
        found, name, keeps_dtypes = _read_several(path, box, wanted, layer, srid)
    else:
        file, named = parted(paths.must_be_local(path, "`path`"))
        if layer is not None and (not isinstance(layer, str) or named not in {None, layer}):
            raise InputError(f"`layer` is {layer!r}, and the path names {named!r}" if named else "`layer` is not text")
        found, name = _read_file(file, box, wanted, layer or named, srid), file.name
        keeps_dtypes = file.suffix.lower() in PARQUET
    log.info("read %s from %s", counted(len(found), "row"), name)
    if schema is not None and schema.name == frames.IMAGES.name and stac.is_stac(found.columns):
        return stac.to_images(found, name=name)
    if schema is None:
        return found if keeps_dtypes else with_whole_ids(found)
    return _conformed(found, schema, name)


@overload
def write_frame(frame: gpd.GeoDataFrame, path: os.PathLike[str]) -> Path: ...


@overload
def write_frame(frame: gpd.GeoDataFrame, path: str) -> Path | str: ...


def write_frame(frame: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> Path | str:
    """
    Write a frame to a file or a table of PostGIS, completely or not at all.

    Reading the file gives the same frame: names, dtypes, values, geometry, `attrs`. Index levels with names are
    written as columns; an index without a name is not written. GeoPackage, FlatGeobuf, GeoJSON and SQLite keep a
    description of the frame beside the rows, from which `read_frame` restores what the format has no type for; other
    programs see durations, nested values and times finer than a millisecond as text, and ids in GeoJSON, since
    readers in JavaScript would round them. A column with a reserved name (`fid`, `geom`, …), or with a name that
    differs from another only in case, is renamed in the file, with a warning. Such a file is read back before it
    replaces the old one; if a value would be lost, this is an error that names the column.

    A text table (.csv, .tsv) has no description. For a frame that a verb has made, `attrs` are in FILE-metadata.json
    beside it (CSV on the Web), and are used as long as the table is not changed. Points are `lon`, `lat`, other
    geometry is WKT, and the type of a column is inferred from its cells. Categories are read as their values, lists
    as JSON, times in UTC, with a warning; types that text cannot express (durations, bytes, …) are an error. Text
    that a spreadsheet would run as a formula gets an apostrophe, which `read_frame` removes. GeoJSON and text tables
    are in degrees: a frame in another CRS is converted, with a warning, and a frame without a CRS is an error.

    Parameters
    ----------
    frame
        Any GeoDataFrame.
    path
        The ending decides the format. `.stac.parquet` is STAC-GeoParquet, one item per row, for images frames; the
        STAC Collection is in its metadata and in `NAME.collection.json` beside it.
        GeoParquet (.parquet) keeps every dtype and `attrs`; it is GeoParquet 1.1 with a bounding-box column,
        compressed with zstd, in row groups of 100,000 rows, and spatially sorted where there is more than one group.
        `postgresql://user@host/database?table=schema.table` names a table of PostGIS; a table that mlygeo wrote is
        replaced, any other is not changed.

    Returns
    -------
    path
        The file, or the URL of the table as it was given.

    Raises
    ------
    FormatError
        If frames cannot be written in a format with this ending.
    FrameError
        If the format cannot store a value or the name of a column; an existing file is then not changed.
    FileError
        If the file cannot be written, or the database refuses; an existing file or table is then not changed.
    DependencyError
        If psycopg is missing for PostGIS: the hint names the command.

    Examples
    --------
    >>> write_frame(selection, "selection.gpkg")
    """
    if isinstance(path, str) and postgis.is_url(path):
        postgis.write(_to_write(frame), path)
        return path
    paths.must_be_local(path, "`path`")
    path = Path(path).expanduser()
    check_writable(path)
    described.check_names(frame, path.name)
    frame = _to_write(_in_degrees(frames.index_as_columns(frame), path))
    if path.name.lower().endswith(stac.ENDING):
        _write_items(frame, path)
        return path
    separator, sha256 = text.SEPARATORS.get(path.suffix.lower()), ""
    with atomic(path) as temporary:
        FORMATS[path.suffix.lower()]().write(frame, temporary)
        sha256 = sha256 if separator is None else sha256_of(temporary)
    if separator is not None and not is_device(path, or_pipe=True):
        sidecars.write(frame.attrs, path, separator, sha256=sha256)
    log.info("wrote %s to %s", counted(len(frame), "row"), path.name)
    return path


def files_beside(path: Path) -> list[Path]:
    """Return the files that were written beside that of a frame: what it cannot hold, or a collection of items."""
    if path.name.lower().endswith(stac.ENDING):
        from mlygeo.store import stac_collections

        return [stac_collections.of(path)] if stac_collections.is_beside(path) else []
    return [sidecars.of(path)] if path.suffix.lower() in text.SEPARATORS and sidecars.read(path) else []


def _write_items(frame: gpd.GeoDataFrame, path: Path) -> None:
    """
    Write images, or items, as STAC-GeoParquet, with their collection in it and beside it.

    Items of others are in collections of theirs; one of ours that an earlier file had is removed.
    """
    from mlygeo.store import parquet, stac_collections

    items = frame
    images: gpd.GeoDataFrame | None = None
    if not stac.is_stac(frame.columns):
        images = frames.conform(frame, frames.IMAGES)
        items = stac.from_images(images, path)
    elif (linked := stac.linked_to(frame, path)) is not None:
        items, images = linked, stac.to_images(linked, name=path.name)
    collection = None if images is None else stac_collections.of_images(images, path)
    with atomic(path) as temporary:
        metadata = None if collection is None else stac_collections.metadata_of(collection)
        parquet.write(items, temporary, metadata=metadata)
    stac_collections.write(collection, path)
    log.info("wrote %s to %s", counted(len(frame), "row"), path.name)


def _to_write(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Return a frame to write.

    Its attribution is that of its rows, where these say whose the images are. What was left out when it was read is
    not written: whoever reads the file would count it again.
    """
    frame = dtypes.in_native_bytes(frame)
    attrs = {name: value for name, value in frame.attrs.items() if name != "left_out"}
    if "attribution" in attrs and "provider" in frame.columns:
        attrs["attribution"] = frames.credited_of(frame)
    if attrs == frame.attrs:
        return frame
    frame = frame.copy(deep=False)
    frame.attrs = attrs
    return frame


def write_layers(layers: Mapping[str, gpd.GeoDataFrame], path: str | os.PathLike[str]) -> Path:
    """
    Write frames to one file, each as a layer; where the format has no layers, only the first frame.

    Parameters
    ----------
    layers
        The frames by the names of their layers, the main one first.
    path
        The file; its ending tells the format, see `write_frame`.

    Returns
    -------
    path
        The file.

    Raises
    ------
    FormatError
        If frames cannot be written in a format with this ending.
    FrameError
        If the format cannot hold a value or a name of a column or layer.
    FileError
        If the file cannot be written; whatever stood there before still does.
    """
    paths.must_be_local(path, "`path`")
    file = Path(path).expanduser()
    check_writable(file)
    if file.suffix.lower() not in gdal.LAYERED:
        return write_frame(next(iter(layers.values())), file)
    if len({name.casefold() for name in layers}) < len(layers):
        raise FrameError(f"{file.name}: two layers have one name: {', '.join(layers)}")
    for frame in layers.values():
        described.check_names(frame, file.name)
    with atomic(file) as temporary:
        for name, frame in layers.items():
            gdal.write_layer(frames.index_as_columns(_to_write(frame)), temporary, name)
    log.info("wrote %s layers to %s", len(layers), file.name)
    return file


def part_of(
    frame: gpd.GeoDataFrame, *, bbox: Bounds | None = None, columns: Sequence[str] | None = None
) -> gpd.GeoDataFrame:
    """
    Return the part of a frame that `read_frame` would return of its file.

    Parameters
    ----------
    frame
        The frame.
    bbox
        As in `read_frame`.
    columns
        As in `read_frame`.

    Raises
    ------
    FrameError
        If it has no such column, or no CRS and a box was given.
    RegionError
        If `bbox` is not a box.
    """
    box, wanted = None if bbox is None else extents.checked(bbox), extents.checked_columns(columns)
    if wanted is not None:
        if missing := [name for name in wanted if name not in frame.columns]:
            listed = ", ".join(map(str, frame.columns))
            raise FrameError(f"the frame has no column {', '.join(missing)} (it has {listed})")
        kept = {*wanted, frame.active_geometry_name}
        frame = frame[[name for name in frame.columns if name in kept]]
    return frame if box is None else extents.meeting(frame, box, "the frame")


def is_table(path: object) -> bool:
    """Return whether a path names a table of PostGIS."""
    return isinstance(path, str) and postgis.is_url(path)


def endings() -> str:
    """Return the endings of files that frames are written to, for messages."""
    return f".parquet {' '.join(sorted(FORMATS.keys() - {*PARQUET}))}"


def names_file(path: Path) -> bool:
    """Return whether results go into a file of this name, by its ending, and not into a folder that is there."""
    return path.suffix.lower() in FORMATS and not path.is_dir()


def shown(path: str | os.PathLike[str]) -> str:
    """Return the name of a file or table for messages, without a password."""
    if isinstance(path, str) and postgis.is_url(path):
        return str(postgis.table_of(path))
    address = paths.address_of(path)
    return Path(path if address is None else address.partition("?")[0]).name


def _in_degrees(frame: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    """Return a frame in longitude and latitude where its format has nothing else."""
    if path.suffix.lower() not in IN_DEGREES:
        return frame
    if frame.crs is None:
        if not len(frame):
            return frame.set_crs(frames.CRS)
        raise FrameError(
            f"{path.name} is in degrees, and the frame has no CRS",
            hint="say which it is with `srid`, or frame.set_crs('EPSG:…')",
        )
    if extents.is_lonlat(frame.crs):
        return frame
    found: gpd.GeoDataFrame = frames.in_degrees(frame, f"the frame for {path.name}")
    log.warning("%s is in longitude and latitude; the frame was in %s", path.name, frame.crs.to_string()[:60])
    return found


def as_frame(value: Any, *, frame: str | None = None, name: str = "the frame") -> gpd.GeoDataFrame:
    """
    Return the frame of what a user holds; the same thing in another wrapping is the same frame.

    Parameters
    ----------
    value
        A GeoDataFrame; the path of a file, or a table of PostGIS; a folder, a pattern or several paths, see
        `read_frame`; anything that hands over Arrow's data (`__arrow_c_stream__`); a DataFrame with columns of
        longitude and latitude, or of WKT, WKB or shapely geometries; a GeoSeries; edges of OSMnx, whose index becomes
        columns; a shapely geometry; a dict of GeoJSON, or what has a `__geo_interface__`; or several of these, whose
        rows follow each other.
        Columns of numbers, text or bytes, shapes and GeoJSON that name no CRS are in degrees; a column of geometry
        (GeoPandas, GeoArrow, GeoParquet) without one has none. It is not changed.
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
    from mlygeo.store.datasets.files import are_several

    schema = _schema(frame)
    if isinstance(value, str | os.PathLike) or are_several(value):
        return read_frame(value, frame=frame)
    found = held.as_frame(value, name=name, read=read_frame)
    if schema is None:
        return found if found is value else with_whole_ids(found)
    if schema.name == frames.IMAGES.name and stac.is_stac(found.columns):
        return stac.to_images(found, name=name)
    return _conformed(found, schema, name)


def check_writable(path: Path) -> None:
    """
    Raise unless a frame could be written to this path.

    Raises
    ------
    OutputError
        If frames cannot be written in a format with this ending.
    FileError
        If the folder cannot be made, or the path is a folder.
    """
    from mlygeo.store.datasets import layout

    paths.must_be_local(path, "the output")
    layout.must_be_elsewhere(path)
    if paths.has_pattern(path.name):
        raise OutputError(f"{path} is a pattern, and a result needs the name of one file", hint="name one file")
    file, layer = parted(path)
    if layer is not None:
        raise OutputError(
            f"{path}: a frame is written as a whole file, not as a layer beside others",
            hint=f"write {file.with_stem(file.stem + '_' + layer).name}",
        )
    ending = path.suffix.lower()
    if ending == ".shp":
        raise OutputError(
            f"{path.name}: a shapefile cuts column names at ten letters and cannot hold ids past 2^53",
            hint="write .gpkg, which every GIS opens",
        )
    if ending not in FORMATS:
        raise OutputError(
            f"{path.name}: frames cannot be written as {repr(ending) if ending else 'a file without an ending'}",
            hint=f"use one of {endings()}",
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


def _read_several(
    path: Any, bbox: Bounds | None, columns: list[str] | None, layer: str | None, srid: int | str | None
) -> tuple[gpd.GeoDataFrame, str, bool]:
    """Return the frame of several files, what messages call them, and whether all keep dtypes."""
    from mlygeo.store import held
    from mlygeo.store.datasets import alike, files

    listing = files.listed(path)
    near = listing.near(bbox).files
    parts = [_part(file, bbox, columns, file.layer or layer, srid) for file in near]
    alike.check([_held(file, part) for file, part in zip(near, parts, strict=True)], listing.name)
    there = dict.fromkeys(column for part in parts for column in part.columns)
    if missing := [column for column in columns or () if column not in there]:
        raise FrameError(f"{listing.name} has no column {', '.join(missing)}")
    of_one = listing.index is not None and len({str(part["id"].dtype) for part in parts if "id" in part.columns}) == 1
    whole = held.joined(parts, listing.name, of_one=of_one)
    if listing.index is not None and listing.index.records and sidecars.MADE not in whole.attrs:
        whole.attrs[sidecars.MADE] = listing.index.records[-1]
    return whole, listing.name, all(file.is_parquet for file in listing.files)


def _held(file: File, part: gpd.GeoDataFrame) -> alike.Held:
    from mlygeo.store.datasets.alike import Held

    kinds = frames.kinds_of(part)
    own = part.dtypes.drop(part.geometry.name)
    there = {column: dtype if len(part) else None for column, dtype in own.items()}
    return Held(file.name, there, part.crs, "Point" in kinds if kinds else None)


def _part(
    file: File, bbox: Bounds | None, columns: list[str] | None, layer: str | None, srid: int | str | None
) -> gpd.GeoDataFrame:
    """Return the frame of a file of a dataset, with what its folders say, and those of the columns that it has."""
    import pandas as pd

    if isinstance(file.path, Path) and not file.is_parquet:
        part = _read_file(file.path, bbox, None, layer, srid)
    else:
        from mlygeo.store import parquet
        from mlygeo.store.parquet.files import GeoFile

        _must_have_no_layer(file.name, layer)
        opened = GeoFile(file.path, footer=file.footer)
        own = None if columns is None else [column for column in columns if column in opened.columns]
        part = parquet.read(opened, bbox=bbox if srid is None else None, columns=own)
        part = part if srid is None else _in_crs(part, srid, bbox, file.name)
    if columns is not None:
        part = part[[column for column in part.columns if column in {*columns, part.geometry.name}]]
    said = {name: value for name, value in file.keys.items()
            if name not in part.columns and (columns is None or name in columns)}  # fmt: skip
    for name, value in said.items():
        kind = "object" if value is None else "str" if isinstance(value, str) else "int64"
        part[name] = pd.Series(value, index=part.index, dtype=kind)
    return part


def _read_file(
    path: Path, bbox: Bounds | None, columns: Sequence[str] | None, layer: str | None, srid: int | str | None
) -> gpd.GeoDataFrame:
    paths.must_exist(path)
    found: gpd.GeoDataFrame
    if _format(path) is text:
        _must_have_no_layer(path.name, layer)
        found = text.read(path, bbox=bbox, columns=columns, srid=srid)
        found.attrs = sidecars.read(path) | found.attrs
        return found
    box = bbox if srid is None else None
    if has_layers(path):
        found = gdal.read(path, bbox=box, columns=columns, layer=layer)
    else:
        _must_have_no_layer(path.name, layer)
        found = _format(path).read(path, bbox=box, columns=columns)
    if srid is not None:
        return _in_crs(found, srid, bbox, path.name)
    if bbox is None or path.suffix.lower() in PARQUET:
        return found
    return extents.meeting(found, bbox, path.name)


def _crs_of(srid: Any) -> Any:
    """Return the CRS that a user names."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(srid)
    except CRSError as error:
        raise CrsError(
            f"`srid` is {srid!r}, and there is no such CRS", hint="an EPSG code is a number such as 25832"
        ) from error


def _in_crs(found: gpd.GeoDataFrame, srid: int | str, bbox: Bounds | None, name: str) -> gpd.GeoDataFrame:
    """Return what was read of a file that does not tell its CRS in the one that a user names; of it what is near."""
    if found.crs is not None:
        raise InputError(
            f"`srid` is for files that do not tell their CRS; {name} is in {found.crs.to_string()[:60]}",
            hint="leave it out",
        )
    found = found.set_crs(srid)
    return found if bbox is None else extents.meeting(found, bbox, name)


def _must_have_no_layer(name: str, layer: str | None) -> None:
    """Raise where a layer is named in a file without layers."""
    if layer is not None:
        raise FrameError(f"{name} has no layers", hint="leave out the layer")


def _format(path: Path) -> Format:
    """Return the format of a file to read; GDAL reads more formats than mlygeo writes with it."""
    return FORMATS.get(path.suffix.lower(), _format_of_gdal)()


def _conformed(frame: gpd.GeoDataFrame, schema: frames.Schema, name: str) -> gpd.GeoDataFrame:
    """Return a frame in the form of a schema; rows without a provider beside others are told."""
    try:
        found = frames.conform(frame, schema)
    except FrameError as error:
        raise FrameError(f"{name} is {error}", hint=error.hint) from error
    if schema.name in {frames.IMAGES.name, frames.LOCAL_IMAGES.name, frames.SELECTION.name}:
        for reason, count in plausible.of_frame(found).items():
            log.warning("%s: %d %s", name, count, reason)
    if schema.name == frames.IMAGES.name and "provider" in found.columns:
        frames.warn_of_unnamed(int((found["provider"].isna() & found["id"].notna()).sum()), len(found), name)
    return found
