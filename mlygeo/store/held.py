"""
What a user holds -> a frame: tables, columns of geometry, shapes, GeoJSON, and several of any of them.

The same thing in another wrapping becomes the same frame as its file does.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import degrees, dtypes, frames
from mlygeo.errors import FormatError, FrameError, MlygeoError
from mlygeo.store.columns import DAMAGED, warn_of_damage
from mlygeo.store.datasets import alike
from mlygeo.store.parquet import metadata
from mlygeo.store.positions import LON_NAMES, WKT_NAMES, check_alike, contradicted, lonlat_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats, Objects
    from mlygeo.store.parquet.metadata import GeometryColumn

log = logging.getLogger("mlygeo.store")

WKB_NAMES = ("geometry", "wkb", "geom", "wkb_geometry", "shape")
"""Names of columns with binary geometry, in the order of preference."""

KINDS = (
    "a GeoDataFrame, the path of a file, an Arrow table, a DataFrame with lon and lat or WKT, a GeoSeries, "
    "shapely geometries, GeoJSON, or a list of these"
)

SAY_CRS = "make a GeoDataFrame with its CRS: geopandas.points_from_xy(x, y, crs=…)"
"""What to do where coordinates that name no CRS are no degrees."""

SHAPES = frozenset(
    {"Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"}
)
"""The types of geometry in GeoJSON (RFC 7946)."""


def as_frame(value: Any, *, name: str, read: Callable[[Any], gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """
    Return the frame of what a user holds; see `mlygeo.store.as_frame`.

    Parameters
    ----------
    value
        What the user holds.
    name
        Name of it in messages.
    read
        Function that reads the frame of a path.
    """
    if isinstance(value, str | os.PathLike):
        return read(value)
    found = _of_table(value, name)
    if found is None:
        found = _of_shapes(value, name)
    if found is not None:
        return found
    is_listed = isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview | Mapping)
    if is_listed and getattr(value, "ndim", 1) != 0:
        return _of_several(list(value), name, read)
    raise FrameError(f"{name} is {described(value)}, not a frame", hint=f"give {KINDS}")


def as_table(value: Any, *, name: str) -> pd.DataFrame | None:
    """
    Return a table as a DataFrame, which has geometry where Arrow's data name one; None where it is not a table.

    Parameters
    ----------
    value
        What the user holds.
    name
        Name of it in messages.
    """
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        frames.check_names(value.columns, name)
        return dtypes.in_native_bytes(value)
    if is_dask(value):
        return as_table(value.compute(), name=name)
    if isinstance(value, pd.Series):  # pandas hands it over as a column without a table
        return None
    if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__"):
        return _of_arrow(value, name)
    return None


def is_dask(value: Any) -> bool:
    """Return whether a value is a frame or column of Dask's, whose rows are there once they are computed."""
    return type(value).__module__.startswith(("dask_geopandas", "dask_expr", "dask.dataframe"))


def has_geometry(table: pd.DataFrame) -> bool:
    """Return whether a table has geometry, or columns whose names say that they are one."""
    names = _by_name(table.columns)
    shaped = hasattr(table, "active_geometry_name") or any(str(dtype) == "geometry" for dtype in table.dtypes)
    return shaped or any(each in names for each in (*LON_NAMES, *WKT_NAMES, *WKB_NAMES))


def described(value: object) -> str:
    """Return in a few words what a value is: its type, and what it holds where that is short."""
    kind = type(value).__name__
    article = "an" if kind[:1].lower() in "aeiou" else "a"
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str | bytes | float | complex | np.generic):
        text = repr(value)
        return text if len(text) <= 40 else f"{text[:37]}…"
    if isinstance(value, int):
        return repr(value) if abs(value) < 10**20 else "an int of many digits"
    return f"{article} {kind}"


def joined(parts: list[gpd.GeoDataFrame], name: str, *, of_one: bool = False) -> gpd.GeoDataFrame:
    """
    Return several frames as one.

    Columns are united, and whole numbers that a part does not have stay whole numbers. The coordinates come into
    the CRS of the first, counts of what was left out are added, and attributions are united. Where images of
    Mapillary, whose ids are whole numbers, come to those of others, all get a `provider`, and all ids are text.

    Parameters
    ----------
    parts
        One or more frames with geometry.
    name
        What messages call them.
    of_one
        Whether they are parts of one frame, so that the ids of a part do not tell whose they are.

    Raises
    ------
    FrameError
        If some parts have a CRS and others have none, or a column is text in one and numbers in another.
    """
    import pandas as pd

    if len(parts) == 1:
        return parts[0]
    parts = parts if of_one else _of_their_providers(parts)
    first = parts[0]
    if len({part.crs for part in parts}) > 1 and first.crs is not None and (reason := frames.not_on_earth(first.crs)):
        raise FrameError(f"the first frame of {name}: {reason}")
    if len({part.crs is None for part in parts}) == 2:
        raise FrameError(f"some frames of {name} have a CRS and some have none", hint="set_crs on those without")
    geometry = first.geometry.name
    same = []
    for part in parts:
        here = part if part.geometry.name == geometry else _with_geometry_named(part, geometry, name)
        same.append(here if here.crs == first.crs else frames.in_degrees(here, name, first.crs))
    filled = [part for part in same if len(part)] or same[:1]
    columns = list(dict.fromkeys(column for part in same for column in part.columns))
    dtypes = {column: _common_dtype(column, filled, name) for column in columns if column != geometry}
    filled = [
        part.astype({column: dtypes[column] for column in part.columns if dtypes.get(column) is not None})
        for part in filled
    ]
    whole: gpd.GeoDataFrame = pd.concat(filled, ignore_index=True)
    whole = whole.reindex(columns=[column for column in columns if column != geometry] + [geometry])
    whole.attrs = joined_attrs([part.attrs for part in parts])
    if "provider" in whole.columns and "attribution" in whole.attrs:
        whole.attrs["attribution"] = frames.credited_of(whole)
    return whole


def _of_their_providers(parts: list[gpd.GeoDataFrame]) -> list[gpd.GeoDataFrame]:
    """Return images frames of several providers in one form, and with the providers of all rows where one has them."""
    import pandas as pd

    with_ids = [part for part in parts if "id" in part.columns and getattr(part["id"], "ndim", 1) == 1]
    if len(with_ids) < len(parts) or not any("provider" in part.columns or _has_text(part["id"]) for part in parts):
        return parts
    filled = [part for part in parts if len(part)]
    if alike.may_be_of_one([dict(part.dtypes) for part in filled]):
        return parts
    forms = [frames.form(frames.IMAGES, part.columns, part.__getitem__) for part in parts]
    text = any(form is not frames.IMAGES for form in forms)
    if not text and all("provider" in part.columns for part in parts):
        return parts
    found = []
    for part, form in zip(parts, forms, strict=True):
        changed: dict[str, Any] = {}
        if form is frames.IMAGES:
            names = part["provider"] if "provider" in part.columns else pd.Series(None, part.index, dtype="str")
            changed["provider"] = names.astype("str").where(part["id"].isna() | names.notna(), frames.DEFAULT_PROVIDER)
        for name in part.columns if text and form is frames.IMAGES else ():
            if name in frames.KEYS and pd.api.types.is_integer_dtype(part[name].dtype):
                changed[name] = part[name].astype("Int64").astype("string").astype("str")
            elif isinstance(part[name].dtype, pd.DatetimeTZDtype):
                changed[name] = part[name].dt.as_unit("us")
        found.append(_with_attrs(part.assign(**changed), part.attrs))
    return found


def _with_attrs(frame: gpd.GeoDataFrame, attrs: dict[Any, Any]) -> gpd.GeoDataFrame:
    frame.attrs = dict(attrs)
    return frame


def _has_text(values: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_string_dtype(values.dtype)) and bool(values.notna().any())


def _with_geometry_named(part: gpd.GeoDataFrame, geometry: str, name: str) -> gpd.GeoDataFrame:
    if geometry in part.columns:
        raise FrameError(
            f"the frames of {name} have different geometry columns, {geometry!r} and {part.geometry.name!r}",
            hint="use set_geometry, so that all have the same",
        )
    return part.rename_geometry(geometry)


def _common_dtype(column: str, parts: list[gpd.GeoDataFrame], name: str) -> Any:
    """Return the dtype of a column in the joined frame; None leaves it to pandas."""
    import pandas as pd

    there = [part[column] for part in parts if column in part.columns]
    known = [values for values in there if not (str(values.dtype) == "object" and values.isna().all())]
    if not known:
        return None
    kinds = {str(values.dtype) for values in known}
    gaps = len(there) < len(parts) or len(known) < len(there)
    if all(pd.api.types.is_bool_dtype(values.dtype) for values in known):
        return "boolean" if gaps or "boolean" in kinds else "bool"
    if all(pd.api.types.is_integer_dtype(values.dtype) for values in known):
        if len(kinds) == 1:
            kind = kinds.pop()
            return kind.capitalize().replace("Ui", "UI") if gaps else kind
        if any(values.notna().any() and int(values.max()) >= 2**63 for values in known):
            raise FrameError(f"the column {column!r} of {name} has whole numbers beyond int64 and other types",
                             hint="bring it to one dtype")  # fmt: skip
        return "Int64" if gaps or any(kind[0] in "IU" for kind in kinds) else "int64"
    if all(_is_text(values.dtype) for values in known) and len(kinds & {"str", "string"}) == 1 and "category" in kinds:
        return next(iter(kinds & {"str", "string"}))
    if (
        all(isinstance(values.dtype, pd.DatetimeTZDtype) for values in known)
        and len({str(values.dtype.tz) for values in known}) > 1
    ):
        units = ("s", "ms", "us", "ns")
        return pd.DatetimeTZDtype(max((values.dtype.unit for values in known), key=units.index), "UTC")
    if all(isinstance(values.dtype, pd.CategoricalDtype) for values in known):
        return _united_categories([values.dtype for values in known])
    zones = [values.dt.tz is None for values in known if pd.api.types.is_datetime64_any_dtype(values.dtype)]
    if len(set(zones)) == 2:
        raise FrameError(
            f"the column {column!r} has times with a zone in one frame of {name} and without one in another",
            hint="give all a zone, with .dt.tz_localize",
        )
    whole = [values for values in known if pd.api.types.is_integer_dtype(values.dtype)]
    if whole and len(whole) < len(known) and any(_is_beyond_floats(values) for values in whole):
        raise FrameError(
            f"the column {column!r} has whole numbers beyond 2^53 in one frame of {name} and others in another",
            hint="bring it to one dtype",
        )
    texts = {kind for kind in kinds if kind in {"str", "string"}}
    if texts and len(kinds) > len(texts) and "object" not in kinds:
        raise FrameError(
            f"the column {column!r} is text in one frame of {name} and {(kinds - texts).pop()} in another",
            hint="bring it to one dtype, or read the files with mlygeo.read_frame(…, frame=KIND)",
        )
    if len(kinds) == 1:
        kind = known[0].dtype
        return None if str(kind) in {"geometry", "object"} else kind
    return None


def _is_text(dtype: Any) -> bool:
    """Return whether a dtype is that of text, or of categories that are."""
    return str(dtype.categories.dtype if hasattr(dtype, "categories") else dtype) in {"str", "string"}


def _united_categories(dtypes: list[pd.CategoricalDtype]) -> Any:
    """Return the dtype with the categories of all; None, which makes values of them, where they cannot be united."""
    import pandas as pd

    if len({str(dtype.categories.dtype) for dtype in dtypes}) > 1:
        return None
    first = dtypes[0]
    if any(dtype.ordered for dtype in dtypes):
        return first if all(dtype == first for dtype in dtypes) else None
    united = first.categories
    for dtype in dtypes[1:]:
        united = united.append(dtype.categories.difference(united, sort=False))
    return pd.CategoricalDtype(united)


def _is_beyond_floats(values: pd.Series) -> bool:
    there = values.dropna()
    return bool(len(there)) and max(abs(int(there.min())), abs(int(there.max()))) > 2**53


def joined_attrs(attrs: list[dict[Any, Any]]) -> dict[Any, Any]:
    """Return the `attrs` of the first, with the attributions of all and the sums of what they left out."""
    whole = dict(attrs[0])
    if any(each.get("record") != whole.get("record") for each in attrs):
        whole.pop("record", None)  # of what made one of them
    if attribution := frames.credited(*attrs):
        whole["attribution"] = attribution
    left_out: dict[str, int] = {}
    for each in attrs:
        for reason, count in each.get("left_out", {}).items():
            left_out[reason] = left_out.get(reason, 0) + count
    if left_out:
        whole["left_out"] = left_out
    return whole


# Several things


def _of_several(values: list[Any], name: str, read: Callable[[Any], gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import shapely

    if not values:
        raise FrameError(f"{name} is an empty list, not a frame", hint=f"give {KINDS}")
    shapes = [isinstance(value, shapely.Geometry) for value in values]
    if any(shapes) and all(shape or value is None for shape, value in zip(shapes, values, strict=True)):
        return gpd.GeoDataFrame(geometry=_shaped(values), crs=frames.CRS)
    if all(isinstance(value, Mapping) and value.get("type") == "Feature" for value in values):
        return _of_geojson({"type": "FeatureCollection", "features": values}, name)
    parts = []
    for number, value in enumerate(values, 1):
        part = f"{name}, number {number}"
        found = read(value) if isinstance(value, str | os.PathLike) else _of_table(value, part)
        found = _of_shapes(value, part) if found is None else found
        if found is None:
            raise FrameError(f"{part} is {described(value)}, not a frame", hint=f"give {KINDS}")
        parts.append(found)
    return joined(parts, name)


def _shaped(values: Any) -> Objects:
    """Return geometries as an array of one dimension, which NumPy would not make of sequences of points."""
    shapes = np.empty(len(values), dtype=object)
    shapes[:] = values
    return shapes


# Tables


def _of_table(value: Any, name: str) -> gpd.GeoDataFrame | None:
    """Return the frame of a table or column; None where it is neither."""
    import geopandas as gpd
    import pandas as pd

    if is_dask(value):
        return _of_table(value.compute(), name)
    if isinstance(value, gpd.GeoSeries):
        frame = gpd.GeoDataFrame(geometry=value.rename("geometry"))
        frame.attrs = dict(value.attrs)
        return frame
    if isinstance(value, pd.Series):
        if str(value.dtype) == "geometry":
            return _of_table(gpd.GeoSeries(value), name)
        return _of_several(list(value), name, _no_path) if _has_shapes(value) else None
    table = as_table(value, name=name)
    return None if table is None else _of_dataframe(_with_index_as_columns(table), name)


def _no_path(value: Any) -> gpd.GeoDataFrame:
    raise FrameError(f"a column of geometries holds {described(value)}", hint="give shapely geometries")


def _has_shapes(values: pd.Series) -> bool:
    import shapely

    return any(isinstance(value, shapely.Geometry) for value in values)


def _with_index_as_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with the levels of its index as columns, such as u, v and key of OSMnx's edges."""
    import pandas as pd

    index = frame.index
    if not isinstance(index, pd.MultiIndex) or any(not isinstance(level, str) for level in index.names):
        return frame
    attrs = dict(frame.attrs)
    frame = frame.reset_index(level=[level for level in index.names if level not in frame.columns])
    frame = frame.reset_index(drop=True)
    frame.attrs = attrs
    return frame


def _of_dataframe(table: pd.DataFrame, name: str) -> gpd.GeoDataFrame:
    import geopandas as gpd

    if isinstance(table, gpd.GeoDataFrame) and table.active_geometry_name is not None:
        return table
    found = _by_name(table.columns)
    shapes = [column for column in table.columns if str(table[column].dtype) == "geometry"]
    damaged = np.zeros(len(table), dtype=bool)
    if shapes:
        column = "geometry" if "geometry" in shapes else shapes[0]
        if len(shapes) > 1 and column != "geometry":
            raise FrameError(
                f"{name} has several columns of geometry ({', '.join(map(repr, shapes))}), and none of them is active",
                hint=f"frame.set_geometry({shapes[0]!r})",
            )
        used = {column}
        made = gpd.GeoSeries(table[column])
    elif (text := next((found[each] for each in (*WKT_NAMES, *WKB_NAMES) if each in found), None)) is not None:
        used = {text}
        made, damaged = _of_column(table[text].to_numpy(dtype=object), text, name)
    else:
        lon, lat = _lonlat_names(table, name)
        used = {lon, lat}
        made = _points(table[lon], table[lat], name)
    rest = table[[column for column in table.columns if column not in used]]
    frame = gpd.GeoDataFrame(rest, geometry=gpd.GeoSeries(made.to_numpy(), index=table.index, crs=made.crs))
    frame.attrs = dict(table.attrs)
    if len(used) == 1 and (made.crs is None or made.crs.is_geographic) and (doubts := contradicted(made, rest, name)):
        frame.attrs["in_doubt"] = doubts
    return _without(frame, damaged, name)


def _by_name(columns: Iterable[Any]) -> dict[str, Any]:
    return {str(column).strip().lower(): column for column in columns}


def _lonlat_names(table: pd.DataFrame, name: str) -> tuple[Any, Any]:
    lon, lat = lonlat_columns(table.columns)
    if not lon or not lat:
        has = ", ".join(str(column) for column in table.columns[:8]) or "no columns"
        raise FrameError(
            f"{name} has no geometry, and no columns 'lon' and 'lat' (it has {has})",
            hint="name the columns of longitude and latitude so, or a column of WKT 'geometry'",
        )
    for columns in (lon, lat):
        check_alike(columns, lambda column: _numbers(table[column], name), name)
    return lon[0], lat[0]


def _numbers(values: pd.Series, name: str) -> Floats:
    import pandas as pd

    try:
        return np.asarray(pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan))
    except (ValueError, TypeError) as error:
        raise FrameError(f"{name}: a coordinate is not a number ({error})") from error


def _points(lon: Any, lat: Any, name: str) -> gpd.GeoSeries:
    """Return the points of columns of degrees, null where a coordinate is missing."""
    import geopandas as gpd

    x, y = _numbers(lon, name), _numbers(lat, name)
    degrees.check(x, y, name, hint=SAY_CRS)
    missing = np.isnan(x) | np.isnan(y)
    shapes = frames.points(x, y)
    shapes[missing] = None
    return gpd.GeoSeries(shapes, crs=frames.CRS)


def _of_column(values: Objects, column: str, name: str) -> tuple[gpd.GeoSeries, Flags]:
    """Return the geometries of a column of shapes, WKT or WKB, and which are damaged; see `_placed`."""
    shapes, damaged = _parsed(values, column, name)
    return _placed(shapes, column, name), damaged


def _parsed(values: Objects, column: str, name: str) -> tuple[Objects, Flags]:
    """Return the geometries of a column of shapes, WKT or WKB, and which of them are damaged, and null."""
    import shapely

    values = np.array([None if _is_missing(value) else value for value in values] or [], dtype=object)
    there = np.array([value is not None for value in values], dtype=bool)
    binary = [isinstance(value, bytes | bytearray | memoryview) for value in values]
    try:
        if any(binary):
            known = [value if value is None else bytes(value) for value in values]
            shapes = shapely.from_wkb(known, on_invalid="ignore")
        elif any(isinstance(value, str) for value in values):
            shapes = shapely.from_wkt(values, on_invalid="ignore")
        else:
            shapes = _shaped(values)
            shapely.is_empty(shapes)
    except (shapely.errors.GEOSException, TypeError, ValueError) as error:
        raise FrameError(f"{name}: the column {column!r} is not a geometry (WKT or WKB)") from error
    shapes = np.asarray(shapes, dtype=object)
    damaged = there & shapely.is_missing(shapes)
    if damaged.any() and damaged.sum() == there.sum():
        raise FrameError(f"{name}: the column {column!r} is not a geometry (WKT or WKB)")
    return shapes, damaged


def _placed(shapes: Objects, column: str, name: str) -> gpd.GeoSeries:
    """Return shapes in the CRS that they name themselves (EWKB); without one they are degrees."""
    import geopandas as gpd
    import pandas as pd
    import shapely

    srids = set(shapely.get_srid(shapes[pd.notna(shapes)]).tolist()) - {0}
    if len(srids) > 1:
        raise FrameError(f"{name}: the column {column!r} has several CRS (EPSG:{', EPSG:'.join(map(str, srids))})")
    if srids:
        return gpd.GeoSeries(shapely.set_srid(shapes, 0), crs=f"EPSG:{srids.pop()}")
    bounds = shapely.bounds(shapes)
    degrees.check(bounds[:, [0, 2]], bounds[:, [1, 3]], name, hint=SAY_CRS)
    return gpd.GeoSeries(shapes, crs=frames.CRS)


def _without(frame: gpd.GeoDataFrame, damaged: Flags, name: str) -> gpd.GeoDataFrame:
    """Return a frame without the rows whose geometry is damaged, which are counted, and said in a warning."""
    if not damaged.any():
        return frame
    warn_of_damage(damaged, name)
    kept = frame[~damaged].reset_index(drop=True)
    kept.attrs = {**frame.attrs, "left_out": {**(frame.attrs.get("left_out") or {}), DAMAGED: int(damaged.sum())}}
    return kept


def _is_missing(value: Any) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and np.isnan(value))


# Arrow


def _of_arrow(value: Any, name: str) -> pd.DataFrame:
    """Return the table of anything that hands over Arrow's data by its C interface."""
    import pandas as pd
    import pyarrow as pa

    try:
        if hasattr(value, "__arrow_c_stream__"):
            table = pa.RecordBatchReader.from_stream(value).read_all()
        else:
            table = pa.Table.from_batches([pa.record_batch(value)])
    except Exception as error:  # whatever the other library raises where it cannot hand over its data
        raise FrameError(f"{name} is {described(value)}, which cannot be read as a table: {_line(error)}") from error
    frames.check_names(pd.Index(table.column_names), name)
    try:
        return _described(table, name)
    except FormatError as error:
        raise FrameError(str(error), hint=error.hint) from error


def _described(table: pa.Table, name: str) -> pd.DataFrame:
    """Return a table as its metadata describe it, without the boxes of rows and the index of pandas."""
    import geopandas as gpd

    stated = metadata.geometry_in(table.schema, name)
    pandas = metadata.pandas_metadata((table.schema.metadata or {}).get(b"pandas"), name)
    index = [each for each in pandas.get("index_columns") or [] if isinstance(each, str)]
    gone = {*(each for each in index if each.startswith("__index_level_")), *(column.covering for column in stated)}
    table = table.select([each for each in table.column_names if each not in gone])
    plain = frames.to_pandas(table.drop_columns([column.name for column in stated]))
    if not stated:
        return plain
    columns, damaged = {}, np.zeros(len(plain), dtype=bool)
    for column in stated:
        made, bad = _series_of(table, column, name)
        columns[column.name] = made.set_axis(plain.index)
        damaged |= bad
    frame = gpd.GeoDataFrame(plain.assign(**columns)[table.column_names]).set_geometry(stated[0].name)
    frame.attrs = dict(pandas.get("attributes") or {})
    found: pd.DataFrame = _without(frame, damaged, name)
    return found


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def _series_of(table: pa.Table, column: GeometryColumn, name: str) -> tuple[gpd.GeoSeries, Flags]:
    """Return a column of geometry in the CRS that the table names, else that of its shapes, else in none."""
    import geopandas as gpd
    import shapely

    shapes, damaged = _shapes_of(table, column, name)
    if column.crs is None and shapely.get_srid(shapes[~shapely.is_missing(shapes)]).any():
        return _placed(shapes, column.name, name), damaged
    return gpd.GeoSeries(shapely.set_srid(shapes, 0), crs=metadata.known_crs(column, name)), damaged


def _shapes_of(table: pa.Table, column: GeometryColumn, name: str) -> tuple[Objects, Flags]:
    import geopandas as gpd
    import pyarrow as pa

    values, kind = table[column.name], f"geoarrow.{column.encoding}"
    if isinstance(values.type, pa.ExtensionType):
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], type=values.type.storage_type)
    try:
        if column.encoding in {"wkb", "wkt"}:
            return _parsed(values.to_numpy(zero_copy_only=False), column.name, name)
        native = pa.field(column.name, values.type, metadata={b"ARROW:extension:name": kind.encode()})
        made = gpd.GeoDataFrame.from_arrow(pa.table([values], schema=pa.schema([native])))[column.name]
        return np.asarray(made, dtype=object), np.zeros(len(made), dtype=bool)
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError) as error:
        if isinstance(error, MlygeoError):
            raise
        raise FrameError(f"{name}: the column {column.name!r} ({kind}) cannot be read: {_line(error)}") from error


# Shapes and GeoJSON


def _of_shapes(value: Any, name: str) -> gpd.GeoDataFrame | None:
    """Return the frame of a geometry or of GeoJSON; None where it is neither."""
    import geopandas as gpd
    import shapely

    if isinstance(value, shapely.Geometry):
        return gpd.GeoDataFrame(geometry=_shaped([value]), crs=frames.CRS)
    if isinstance(value, Mapping):
        return _of_geojson(value, name)
    if hasattr(value, "__geo_interface__"):
        interface = value.__geo_interface__
        if not isinstance(interface, Mapping):
            raise FrameError(f"{name} is {described(value)}, whose __geo_interface__ is {described(interface)}")
        return _of_geojson(interface, name)
    return None


def _of_geojson(value: Mapping[str, Any], name: str) -> gpd.GeoDataFrame:
    """Return the frame of GeoJSON, as it is read from a file."""
    import shapely

    from mlygeo.store import gdal

    kind = value.get("type")
    if kind not in SHAPES and kind not in {"Feature", "FeatureCollection"}:
        said = f"with the type {kind!r}" if kind is not None else "without a type"
        raise FrameError(f"{name} is {described(value)} {said}, and no GeoJSON", hint=f"give {KINDS}")
    try:
        text = json.dumps(_listed(value), default=_plain_value)
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(f"{name} is not GeoJSON: {_line(error)}") from error
    with tempfile.TemporaryDirectory(prefix="mlygeo-") as folder:
        path = Path(folder) / "held.geojson"
        path.write_bytes(text.encode("utf-8", errors="replace"))
        try:
            return gdal.read(path, bbox=None, columns=None)
        except (FormatError, shapely.errors.GEOSException) as error:
            said = str(error).replace(path.name, name)
            raise FrameError(f"{name} is not GeoJSON that can be read: {said}") from error


def _listed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return GeoJSON as dicts; the ids of features that count from 0 are GeoPandas' row labels, not theirs."""
    whole = dict(value)
    features = whole.get("features")
    if whole.get("type") == "FeatureCollection" and isinstance(features, list | tuple):
        ids = [feature.get("id") if isinstance(feature, Mapping) else None for feature in features]
        if ids == [str(number) for number in range(len(ids))]:
            whole["features"] = [{key: part for key, part in each.items() if key != "id"} for each in features]
    return whole


def _plain_value(value: Any) -> Any:
    """Return a value of GeoJSON's properties as JSON knows it."""
    import pandas as pd

    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if _is_missing(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "__geo_interface__"):
        return value.__geo_interface__
    raise TypeError(f"it holds {described(value)}")
