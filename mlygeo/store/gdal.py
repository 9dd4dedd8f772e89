"""Frames in the formats of GDAL: GeoPackage, GeoJSON, FlatGeobuf and many more."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import warnings
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, FrameError
from mlygeo.progress import counted
from mlygeo.schemas import SCHEMAS
from mlygeo.store import columns as described
from mlygeo.store import extents, geojson, json_numbers, lost, no_frames, shapefiles
from mlygeo.store.atomic import file_error
from mlygeo.store.gdal_dtypes import Told

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Bounds, Objects

log = logging.getLogger("mlygeo.store")

_ROW_NUMBERS = "Altering it to be unique"
"""What GDAL says where row numbers of GeoJSON repeat; they are not read, and ids of images are not altered."""

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

LAYERED = (".gpkg", ".sqlite")
"""Endings of files that can be written with several layers."""

GEOPACKAGE = "1.2"
"""
Version of GeoPackage that is written, which GDAL wrote by default before 3.11.

Of 1.4, the default since, older programs (GDAL 3.6, so QGIS 3.22 in Debian 12) warn that they may support it only in
part, and that times in whole seconds, which only 1.4 has without milliseconds, are not as they should be.
"""

_RESERVED = frozenset({"fid", "ogc_fid", "geom", "geometry", "wkb_geometry", "wkt_geometry", "ogr_style", "rowid"})
"""Names that a driver gives to columns of its own, or takes for the row number or the style of a feature."""

FORMS = {
    "GPKG": described.Form(name="GeoPackage", reserved=_RESERVED, folds_case=True, infinite=False),
    "SQLite": described.Form(name="SQLite", reserved=_RESERVED, folds_case=True, infinite=False, letters="'"),
    "FlatGeobuf": described.Form(name="FlatGeobuf", reserved=_RESERVED, folds_case=True),
}

_ABOUT = "mlygeo_description"
"""Table of an SQLite file with the descriptions of its layers; SQLite has no metadata of layers."""

_PADDING = 1e-6
"""Degrees by which the box for a driver is wider: drivers round boxes to 32 bits."""

NO_FEATURE = "lines that are no features"
"""Reason for which rows of a file with a feature a line are left out."""


def read(
    path: Path,
    *,
    bbox: Bounds | None,
    columns: Sequence[str] | None,
    layer: str | None = None,
) -> gpd.GeoDataFrame:
    """
    Return the frame of a layer, with exact whole numbers.

    Parameters
    ----------
    path
        The file.
    bbox
        West, south, east, north in degrees: a row whose own box meets it is never left out; others may come, too.
    columns
        Only these columns, and the geometry. None reads all.
    layer
        Name of the layer. None reads the only layer with geometry.

    Raises
    ------
    FormatError
        If the file cannot be read, or has no geometry but damaged ones.
    FrameError
        If there is no such layer or column, or several layers to choose from.
    """
    import geopandas as gpd

    found_layer = Layer.of(path, layer)
    about, names, options = found_layer.about, found_layer.names, found_layer.options
    if columns is not None:
        written = {name: name for name in columns} if names is None else names
        options["columns"] = [written[name] for name in columns if name in written]
    with reading(path):
        import pyogrio

        if bbox is not None and found_layer.info:
            options |= _prefilter(path, str(options["layer"]), found_layer.info, bbox)
        source = _source(path, is_described=about is not None, is_geojson=found_layer.is_geojson)
        if source is not path:
            options.pop("layer", None)  # there is one, which the file's name gives
        meta, table = pyogrio.raw.read_arrow(source, datetime_as_string=True, **options)
        found = found_layer.placed(_frame_of(meta, table, path, is_described=about is not None))
        if about is None and path.suffix.lower() in geojson.LINES and (lines := count_lost_lines(path)):
            found.attrs["left_out"] = {**found.attrs.get("left_out", {}), NO_FEATURE: lines}
        if path.suffix.lower() == ".gpx":
            found = lost.with_sound_points(found, path, str(options["layer"]))
        if found_layer.left_out:
            found.attrs["left_out"] = {**found_layer.left_out, **found.attrs.get("left_out", {})}
    found = found_layer.named(found)
    if columns is not None:
        _must_have(columns, found, names, path, options.get("layer"))
    if about is not None:
        found = described.decode(found, about, columns)
    if columns is not None:
        kept = {*columns, str(found.active_geometry_name)}
        attrs = found.attrs
        found = gpd.GeoDataFrame(found[[name for name in found.columns if name in kept]])
        found.attrs = attrs
    return found


@dataclass
class Layer:
    """A layer of a file: what tells how it is read, and what it stands for."""

    options: dict[str, Any]
    info: Mapping[str, Any]
    about: dict[str, Any] | None
    """The description of the frame that mlygeo wrote."""
    names: dict[str, str] | None
    is_geojson: bool
    stated: tuple[bool, Any]
    """Whether the file says its CRS itself, and which."""
    crs: Any = None
    """What else is known of the CRS."""
    left_out: dict[str, int] = field(default_factory=dict)
    """What stands in other layers and would be read if the file had no others, by reason."""

    @classmethod
    def of(cls, path: Path, layer: str | None) -> Layer:
        """Find a layer; see `read`."""
        if path.suffix.lower() == ".mvt":
            raise no_frames.tile(path, [*layers(path)])
        about = geojson.description_of(path) if DRIVERS.get(path.suffix.lower(), "").startswith("GeoJSON") else None
        options: dict[str, Any] = {}
        info: Mapping[str, Any] = {}
        left_out: dict[str, int] = {}
        with reading(path):
            import pyogrio

            if about is not None and layer is None:
                options["DATE_AS_STRING"] = "YES"
            elif not _is_collection(path) or layer is not None:
                is_chosen = layer is None and path.suffix.lower() == ".gpx"
                options["layer"], left_out = _gpx_layer(path) if is_chosen else (chosen_layer(path, layer), {})
                info = pyogrio.read_info(path, layer=options["layer"])
                about = _description_of(path, options["layer"], info)
        is_geojson = str(info.get("driver") or DRIVERS.get(path.suffix.lower())).startswith("GeoJSON")
        if is_geojson and about is None:
            json_numbers.check(path)
        stated = geojson.named_crs(path) if is_geojson else (False, None)
        names = None if about is None else described.written_names(about)
        if path.suffix.lower() == ".shp" and shapefiles.beside(path, ".dbf") is None:
            log.warning("%s: its rows have no columns, for there is no %s.dbf beside it", path.name, path.stem)
        if info.get("driver") == "ESRI Shapefile":
            names = lost.whole_names([str(name) for name in info["fields"]], path.name)
        return cls(options, info, about, names, is_geojson, stated, left_out=left_out)

    def placed(self, found: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return rows in the CRS that the file says."""
        is_stated, crs = self.stated if self.stated[0] or self.crs is None else (True, self.crs)
        return found.set_crs(crs, allow_override=True) if is_stated else found

    def named(self, found: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return rows with the names of columns that the file could not have."""
        if self.about is None and self.names is not None:
            return found.rename(columns={written: name for name, written in self.names.items()})
        return found

    def finished(self, found: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        """Return rows as the frame that was written had them."""
        found = self.named(self.placed(found))
        return found if self.about is None else described.decode(found, self.about, None)


def write(frame: gpd.GeoDataFrame, path: Path) -> None:
    """
    Write a frame in the format of the ending; the file has been read back and found the same where this returns.

    Parameters
    ----------
    frame
        The frame, in degrees where the format is GeoJSON.
    path
        The file.

    Raises
    ------
    FrameError
        If the format cannot hold a value; its column is named.
    FileError
        If the file cannot be written.
    """
    if DRIVERS[path.suffix.lower()].startswith("GeoJSON"):
        geojson.write(frame, path)
        described.must_be_same(frame, read(path, bbox=None, columns=None), path.name)
        return
    write_layer(frame, path, path.stem)


def write_layer(frame: gpd.GeoDataFrame, path: Path, layer: str) -> None:
    """
    Add a layer to a file, which is made if it is missing.

    Parameters
    ----------
    frame
        The frame.
    path
        The file.
    layer
        Name of the layer.

    Raises
    ------
    FrameError
        If the format cannot hold a value; its column is named.
    FileError
        If the file cannot be written.
    """
    import geopandas as gpd
    import pandas as pd
    import pyogrio

    driver = DRIVERS[path.suffix.lower()]
    options: dict[str, Any] = {}
    if driver == "FlatGeobuf":
        options["SPATIAL_INDEX"] = "NO"  # with the index GDAL reorders the rows
    if driver == "SQLite":
        options["LAUNDER"] = "NO"  # which would write names in lower case
    if driver == "GPKG":
        options["VERSION"] = GEOPACKAGE
    plain, about = described.encode(frame, FORMS[driver], path.name)
    _check_shapes(frame, driver, path)
    if driver == "FlatGeobuf" and not plain:  # without columns GDAL reads no rows
        plain["row"] = pd.Series(np.arange(len(frame)), index=frame.index)
        about["columns"].append({"name": "row", "kind": "added"})
    text = json.dumps(about, ensure_ascii=False)
    if driver != "SQLite":
        options["layer_metadata"] = {described.KEY: text}
    shapes = gpd.GeoSeries(_without_rings(np.asarray(frame.geometry.values)), crs=frame.crs)
    table = pd.DataFrame({key: values.reset_index(drop=True) for key, values in plain.items()}, index=shapes.index)
    free = next(each for each in ("geometry", "shape", "shape_1") if each not in plain)
    if not frames.kinds_of(frame):  # QGIS opens a layer without a kind of geometry and without shapes as a table
        options["geometry_type"] = _kind_of(frame)
    table = gpd.GeoDataFrame(table.assign(**{free: shapes}), geometry=free, crs=frame.crs)
    try:
        with reading(path, quiet=True):
            pyogrio.write_dataframe(
                table, path, driver=driver, layer=layer, use_arrow=False, promote_to_multi=False, **options
            )
    except FormatError as error:
        full = "No space left" in str(error) or not _room(path)
        if full:
            raise file_error(OSError(errno.ENOSPC, "No space left on device"), path) from error
        raise FileError(f"{path.name} could not be written: {error.__cause__}") from error
    if driver == "SQLite":
        _describe_sqlite(path, layer, text)
    if renamed := described.renamed(about):
        log.warning(
            "%s: other programs see %s, since the format keeps these names for itself", path.name,
            ", ".join(f"column {one!r} as {other!r}" for one, other in renamed.items()),
        )  # fmt: skip
    described.must_be_same(frame, read(path, bbox=None, columns=None, layer=layer), path.name)


def _kind_of(frame: gpd.GeoDataFrame) -> str:
    """Return the kind of geometry that a frame without any would have by its columns; "Unknown" if none is known."""
    names = {*frame.columns}
    meant = [schema for schema in SCHEMAS.values() if schema.required and names.issuperset(
        column.name for column in schema.required
    )]  # fmt: skip
    return max(meant, key=lambda schema: len(schema.required)).geometry if meant else "Unknown"


def _check_shapes(frame: gpd.GeoDataFrame, driver: str, path: Path) -> None:
    """Raise where GDAL has no such geometry: measures never, heights of some rows alone in FlatGeobuf."""
    import shapely

    name, shapes = frame.active_geometry_name, np.asarray(frame.geometry.values)
    if shapely.has_m(shapes).any():
        raise FrameError(
            f"{path.name}: column {name!r} has coordinates with measures (M), which cannot be written",
            hint="drop them with shapely.force_2d or force_3d",
        )
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    high = shapely.has_z(shapes[there])
    if driver == "FlatGeobuf" and high.any() and not high.all():
        raise FrameError(
            f"{path.name}: column {name!r} has heights (Z) in some rows only, which FlatGeobuf cannot hold",
            hint="use shapely.force_3d or force_2d, or write .gpkg",
        )


def _without_rings(shapes: Objects) -> Objects:
    """Return shapes with rings as the lines that every format has for them; pyogrio crashes of rings."""
    import shapely

    rows = np.flatnonzero(np.isin(shapely.get_type_id(shapes), (2, 7)))
    if len(rows):
        shapes = shapes.copy()
        shapes[rows] = shapely.from_wkb(shapely.to_wkb(shapes[rows], output_dimension=4))
    return shapes


def layers(path: Path) -> dict[str, str | None]:
    """
    Return the layers of a file, each with the kind of its geometry, or None where it has none.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FormatError
        If GDAL cannot read it.
    """
    if path.suffix.lower() == ".shp":
        shapefiles.check(path)
    with reading(path):
        import pyogrio

        found = pyogrio.list_layers(path)
    return {str(name): None if kind is None else str(kind) for name, kind in found if name != _ABOUT}


def size_of(path: Path) -> int:
    """Return the bytes of a file, of a shapefile with those of its attributes, which are beside it."""
    files = [path]
    if path.suffix.lower() == ".shp":
        files += [file for file in [shapefiles.beside(path, ".dbf")] if file is not None]
    return sum(file.stat().st_size for file in files)


def chosen_layer(path: Path, layer: str | None) -> str:
    """
    Return the layer to read: the one that was named, else the only one that has geometry.

    Parameters
    ----------
    path
        The file.
    layer
        The name that was given.

    Raises
    ------
    FrameError
        If there is no such layer, or there are several to choose from.
    """
    found = layers(path)
    listed = ", ".join(f"{name} ({kind or 'no geometry'})" for name, kind in found.items())
    if layer is not None:
        if layer not in found:
            raise FrameError(f"{path.name} has no layer {layer!r}", hint=f"it has {listed or 'none'}")
        return layer
    spatial = [name for name, kind in found.items() if kind is not None]
    if len(spatial) > 1:
        raise FrameError(
            f"{path.name} has several layers: {listed}",
            hint=f"name one of them: {path.name}:{spatial[0]}, or layer={spatial[0]!r} in Python",
        )
    if not found:
        raise FormatError(f"{path.name} has no layer")
    return spatial[0] if spatial else next(iter(found))


@contextmanager
def reading(path: Path, *, quiet: bool = False) -> Iterator[None]:
    """Turn the errors of GDAL and Arrow into ours, and its warnings into lines of the log that name the file."""
    import pyarrow as pa
    import pyogrio

    # GDAL's own stream of FlatGeobuf has wrong offsets from a missing geometry on, and whoever follows them crashes.
    pyogrio.set_gdal_config_options({"OGR_FLATGEOBUF_STREAM_BASE_IMPL": "YES"})
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    except pyogrio.errors.DataSourceError as error:
        if (other := no_frames.of_json(path)) is not None:
            raise other from error
        if path.is_file() and not path.stat().st_size:
            raise FormatError(f"{path.name} is empty") from error
        raise FormatError(f"{path.name} cannot be read as a vector file: {_line(error)}") from error
    except (
        pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError, pyogrio.errors.FieldError,
        pyogrio.errors.GeometryError, pyogrio.errors.CRSError, pa.ArrowException, RuntimeError, NotImplementedError,
        OverflowError, AttributeError, KeyError, TypeError,
    ) as error:  # fmt: skip
        raise FormatError(f"{path.name} cannot be read: {_line(error)}") from error
    except ValueError as error:
        if isinstance(error, FormatError | FrameError):
            raise
        raise FormatError(f"{path.name} cannot be read: {_line(error)}") from error
    for message in dict.fromkeys(_line(each.message) for each in caught if not quiet):
        if _ROW_NUMBERS in message:
            continue
        log.warning("%s: %s", path.name, message)


def _line(error: object) -> str:
    """Return what a library says, in one line; its advice on GDAL's drivers is not for who types the file's name."""
    if "not recognized as being in a supported file format" in str(error):
        return "its format is not recognized"
    return " ".join(str(error).split())[:300]


def _source(path: Path, *, is_described: bool, is_geojson: bool) -> Path | bytes:
    """Return what GDAL is to read: a file, or GeoJSON in a form of which it loses nothing."""
    if is_described:
        return geojson.collected(path) if path.suffix.lower() in geojson.LINES else path
    return (geojson.with_ids(path) if is_geojson else None) or path


_OF_JSON_FG = (b'"coordRefSys"', b'"conformsTo"', b'"featureType"', b'"place"', b'"time"')
"""
Members by which GDAL takes a collection for JSON-FG, which has places of its own and several layers
(https://gdal.org/drivers/vector/jsonfg.html); it looks for them in the first 6,000 bytes.
"""


def _is_collection(path: Path) -> bool:
    """Return whether a file is one collection of GeoJSON, which has one layer; to open it is to read it."""
    if not DRIVERS.get(path.suffix.lower(), "").startswith("GeoJSON"):
        return False
    with path.open("rb") as file:
        head = file.read(1 << 14)
    return b'"FeatureCollection"' in head[:4096] and not any(member in head for member in _OF_JSON_FG)


def _description_of(path: Path, layer: str, info: Mapping[str, Any]) -> dict[str, Any] | None:
    if info.get("driver") == "SQLite":
        return _description_in_sqlite(path, layer)
    return described.parse((info.get("layer_metadata") or {}).get(described.KEY))


def _describe_sqlite(path: Path, layer: str, text: str) -> None:
    import sqlite3

    try:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(f"CREATE TABLE IF NOT EXISTS {_ABOUT} (layer TEXT PRIMARY KEY, description TEXT)")
            database.execute(f"INSERT OR REPLACE INTO {_ABOUT} VALUES (?, ?)", (layer, text))  # noqa: S608
    except sqlite3.Error as error:
        if not _room(path):
            raise file_error(OSError(errno.ENOSPC, "No space left on device"), path) from error
        raise FileError(f"{path.name} could not be written: {_line(error)}") from error


def _description_in_sqlite(path: Path, layer: str) -> dict[str, Any] | None:
    import sqlite3

    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
        row = database.execute(f"SELECT description FROM {_ABOUT} WHERE layer = ?", (layer,)).fetchone()  # noqa: S608
        return None if row is None else described.parse(row[0])
    return None


def _prefilter(path: Path, layer: str, info: Mapping[str, Any], bbox: Bounds) -> dict[str, Any]:
    """
    Return options with which a driver leaves out rows outside a box, and never one inside.

    Drivers compare shapes, and not their boxes: only for points that is the same. In a GeoPackage the boxes stand in
    a table.
    """
    kind = str(info.get("geometry_type") or "").removeprefix("2.5D ").split(" ")[0]
    is_lonlat = info["crs"] is None or extents.is_lonlat(info["crs"])
    west, south, east, north = bbox
    tree = _rtree(path, layer, info) if info.get("driver") == "GPKG" else None
    if tree is not None and is_lonlat:
        sides = f"maxx >= {west - _PADDING!r} {'AND' if west <= east else 'OR'} minx <= {east + _PADDING!r}"
        heights = f"maxy >= {south - _PADDING!r} AND miny <= {north + _PADDING!r}"
        inside = f"SELECT id FROM {_quoted(tree)} WHERE ({sides}) AND {heights}"  # noqa: S608 - names are quoted
        # What lies beyond ±180° is the same place within: `extents.meeting` tells.
        inside += f" UNION SELECT id FROM {_quoted(tree)} WHERE maxx > 180"  # noqa: S608
        inside += f" UNION SELECT id FROM {_quoted(tree)} WHERE minx < -180"  # noqa: S608
        return {"where": f"{_quoted(info['fid_column'] or 'fid')} IN ({inside})"}
    if tree is not None and (near := _near_in_plane(path, tree, bbox, info["crs"])) is not None:
        inside = f"SELECT id FROM {_quoted(tree)} WHERE {near}"  # noqa: S608 - names are quoted
        return {"where": f"{_quoted(info['fid_column'] or 'fid')} IN ({inside})"}
    if kind != "Point" or west > east:
        return {}
    box = (west - _PADDING, south - _PADDING, east + _PADDING, north + _PADDING)
    if is_lonlat:
        whole = info.get("total_bounds")
        # Where points lie beyond ±180°, which are the same places within, drivers would not find them.
        return {} if whole is None or whole[0] < -180 or whole[2] > 180 else {"bbox": box}
    from pyproj.exceptions import ProjError

    try:
        found = frames.turned(frames.CRS, info["crs"]).transform_bounds(*box, densify_pts=101)
    except ProjError:
        return {}
    if not np.isfinite(found).all():
        return {}
    wide, high = found[2] - found[0], found[3] - found[1]
    margin = 0.05 * max(wide, high)
    return {"bbox": (found[0] - margin, found[1] - margin, found[2] + margin, found[3] + margin)}


def _near_in_plane(path: Path, tree: str, bbox: Bounds, crs: Any) -> str | None:
    """Return the condition of rows that may meet a box in degrees, see `extents.may_meet`; None where all may."""
    import sqlite3

    extent = f"SELECT min(minx), min(miny), max(maxx), max(maxy) FROM {_quoted(tree)}"  # noqa: S608 - names are quoted
    try:
        with closing(_opened(path)) as database:
            whole = database.execute(extent).fetchone()
    except sqlite3.Error:
        return None
    if None in whole or (around := extents.in_degrees(whole, crs)) is None:
        return None
    if (box := extents.in_plane(bbox, around, crs)) is None:
        return None
    west, south, east, north = map(float, box)
    reach = f"{extents.REACH} * ((maxx - minx) + (maxy - miny))"
    return (
        f"maxx + {reach} >= {west!r} AND minx - {reach} <= {east!r}"
        f" AND maxy + {reach} >= {south!r} AND miny - {reach} <= {north!r}"
    )


def _opened(path: Path) -> sqlite3.Connection:
    import sqlite3

    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def _rtree(path: Path, layer: str, info: Mapping[str, Any]) -> str | None:
    """Return the table of boxes of a layer of a GeoPackage; None where it has none."""
    import sqlite3

    name = f"rtree_{layer}_{info['geometry_name']}"
    with suppress(sqlite3.Error), closing(_opened(path)) as database:
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone():
            return name
    return None


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _frame_of(meta: Mapping[str, Any], table: pa.Table, path: Path, *, is_described: bool) -> gpd.GeoDataFrame:
    """Return the frame of what GDAL has read, without rows whose geometry is damaged."""
    attributes, wkb = columns_of(meta, table, path)
    shapes, damaged = _shapes(wkb, path)
    told = Told(meta, is_described=is_described)
    told.add(attributes)
    return joined(meta, told.applied(attributes), shapes, damaged)


def columns_of(meta: Mapping[str, Any], table: pa.Table, path: Path) -> tuple[pd.DataFrame, Objects]:
    """Return the attributes of what GDAL has read, and the geometry as WKB."""
    import pandas as pd
    import pyarrow as pa

    table.validate(full=True)  # a text that is not UTF-8 would fail somewhere else
    place = _geometry_place(table, str(meta["geometry_name"] or "wkb_geometry"))
    if place is None:
        raise FormatError(f"{path.name} has no geometry")
    wkb = table.column(place)
    if isinstance(wkb.type, pa.BaseExtensionType):
        wkb = pa.chunked_array([chunk.storage for chunk in wkb.chunks], wkb.type.storage_type)
    table = table.remove_column(place)
    integers = {kind: pd.Int64Dtype() for kind in (pa.int64(), pa.int32(), pa.int16(), pa.uint8(), pa.int8())}
    mapper = {**frames.text_types(), **integers, pa.bool_(): pd.BooleanDtype()}
    # A file may have a column of the name that the geometry has.
    if not table.num_columns:
        return pd.DataFrame(index=range(len(wkb))), wkb.to_numpy()
    return table.to_pandas(types_mapper=mapper.get), wkb.to_numpy()


def joined(meta: Mapping[str, Any], attributes: pd.DataFrame, shapes: Objects, damaged: Any) -> gpd.GeoDataFrame:
    """Return the frame of attributes and shapes, without rows whose geometry is damaged; these are counted."""
    import geopandas as gpd

    name = next(
        each for each in ("geometry", str(meta["geometry_name"] or "shape"), "geometry_1") if each not in attributes
    )
    geometry = gpd.GeoSeries(shapes, index=attributes.index, crs=meta["crs"])
    found = gpd.GeoDataFrame(attributes.assign(**{name: geometry}), geometry=name)
    if damaged.any():
        found = found[~damaged].reset_index(drop=True)
        found.attrs["left_out"] = {described.DAMAGED: int(damaged.sum())}
    return found


def _geometry_place(table: pa.Table, name: str) -> int | None:
    """Return the number of the column of geometry: a column of attributes may have its name."""
    import pyarrow as pa

    places = []
    for place, column in enumerate(table.schema):
        marked = (column.metadata or {}).get(b"ARROW:extension:name", b"")
        if isinstance(column.type, pa.BaseExtensionType):
            marked = column.type.extension_name.encode()
        if b"wkb" in marked:
            places.append(place)
    named = [place for place, field in enumerate(table.schema) if field.name == name and pa.types.is_binary(field.type)]
    return next(iter(places or named), None)


def _shapes(wkb: Objects, path: Path) -> tuple[Objects, Any]:
    """Return geometries, and which are damaged."""
    shapes, damaged = read_shapes(wkb, path)
    if damaged.any():
        reason = why_damaged(wkb, damaged)
        if damaged.sum() == sum(value is not None for value in wkb):
            raise all_damaged(path, int(np.flatnonzero(damaged)[0]), reason)
        described.warn_of_damage(damaged, path.name, reason)
    return shapes, damaged


def read_shapes(wkb: Objects, path: Path) -> tuple[Objects, Any]:
    """Return geometries, and which are damaged; raise FormatError for kinds that GEOS does not know."""
    import shapely

    try:
        shapes = np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"))
    except NotImplementedError as error:  # curves
        raise FormatError(f"{path.name} cannot be read: {_line(error)}") from error
    there = np.fromiter((value is not None for value in wkb), bool, len(wkb))
    return shapes, there & shapely.is_missing(shapes)


def why_damaged(wkb: Objects, damaged: Any) -> str:
    """Return what is wrong with the first geometry that is damaged."""
    import shapely

    try:
        shapely.from_wkb(wkb[int(np.flatnonzero(damaged)[0])])
    except shapely.errors.GEOSException as error:
        return _line(error).partition(": ")[2] or _line(error)
    return "it is damaged"


def all_damaged(path: Path, row: int, reason: str) -> FormatError:
    """Return the error for a file in which all geometries are damaged, the first of them in this row."""
    return FormatError(f"{path.name}: the geometry of row {row + 1} is damaged ({reason})")


def _must_have(
    columns: Sequence[str], found: gpd.GeoDataFrame, names: Mapping[str, str] | None, path: Path, layer: str | None
) -> None:
    """Raise where a requested column is missing; only then the names of all columns are read."""
    present = {*map(str, found.columns)} if names is None else {*names}
    present.add(str(found.active_geometry_name))
    missing = [name for name in columns if name not in present]
    if not missing:
        return
    if names is None:
        import pyogrio

        with reading(path):
            available = [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]
    else:
        available = list(names)
    raise FrameError(f"{path.name} has no column {', '.join(missing)} (it has {', '.join(available)})")


def count_lost_lines(path: Path) -> int:
    """Return how many lines of a file with a feature a line are none, which GDAL passes over, and warn of them."""
    import pyogrio

    info = pyogrio.read_info(path, force_feature_count=True)
    # A file of one feature and what is none, GDAL takes for a whole.
    are_lines = info["driver"] == "GeoJSONSeq" or geojson.begins_with_feature(path)
    lines = geojson.count_records(path) - int(info["features"]) if are_lines else 0
    if lines > 0:
        said = "1 line was" if lines == 1 else f"{lines:,} lines were"
        log.warning("%s: %s left out, which no feature can be read from", path.name, said)
    return max(lines, 0)


def _gpx_layer(path: Path) -> tuple[str, dict[str, int]]:
    """Return the first layer of a GPX file with points: way, track or route points; and the points of the others."""
    counts = {layer: count(path, layer) for layer in ("waypoints", "track_points", "route_points")}
    first, *others = [layer for layer, count in counts.items() if count] or ["waypoints"]
    words = {layer: layer.replace("_", " ") for layer in counts}
    if others:
        also = " and ".join(counted(counts[layer], words[layer].removesuffix("s")) for layer in others)
        named = " or ".join(f"{path.name}:{layer}" for layer in others)
        log.warning("%s: only its %s were read; it has %s, too: %s reads them", path.name, words[first], also, named)
    return first, {f"{words[layer]} beside its {words[first]}": counts[layer] for layer in others}


def count(path: Path, layer: str) -> int:
    """Return how many features a layer has."""
    import pyogrio

    return int(pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"])


def _room(path: Path) -> bool:
    return shutil.disk_usage(path.parent).free > 1_000_000
