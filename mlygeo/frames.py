"""
The frames that every other module speaks: their columns, dtypes and geometry.

A `Schema` names the columns that functions may rely on; further columns are carried along
untouched. Readers call `conform` once, public functions call `check`, and nothing inside
checks again. Geometry is always longitude and latitude (EPSG:4326); distances are metres,
angles degrees clockwise from true north in [0, 360), times UTC.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import attribution, degrees, dtypes, keys
from mlygeo.attribution import MAPILLARY
from mlygeo.errors import FrameError
from mlygeo.filters import columns_for, conditions_mask, conditions_of
from mlygeo.plain_frames import (
    coordinates,
    index_as_columns,
    lonlat,
    phrases,
    points,
    reals,
    to_pandas,
    truths,
    unsearched,
    with_phrases,
)
from mlygeo.schemas import (
    CRS,
    DEFAULT_PROVIDER,
    IDS,
    IMAGES,
    KEYS,
    LOCAL_IMAGES,
    MS_UTC,
    OF_POINTS,
    POINTS,
    PREFERRED_BY,
    SCHEMAS,
    SELECTION,
    SEQUENCES,
    STREET_POINTS,
    STREETS,
    TRACKS,
    VIEWS,
    Column,
    Schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa
    from pyproj import Transformer

    from mlygeo.arrays import Flags, Floats
    from mlygeo.attribution import Bare

log = logging.getLogger("mlygeo.frames")

__all__ = [
    "CRS",
    "DEFAULT_PROVIDER",
    "IDS",
    "IMAGES",
    "KEYS",
    "LOCAL_IMAGES",
    "MAPILLARY",
    "MS_UTC",
    "OF_POINTS",
    "OPENSTREETMAP",
    "POINTS",
    "PREFERRED_BY",
    "SCHEMAS",
    "SELECTION",
    "SEQUENCES",
    "STREETS",
    "STREET_POINTS",
    "TRACKS",
    "VIEWS",
    "Column",
    "Schema",
    "attribute",
    "check",
    "check_names",
    "columns_for",
    "conditions_mask",
    "conditions_of",
    "conform",
    "coordinates",
    "empty",
    "filter_images",
    "form",
    "from_arrow",
    "in_dtypes",
    "index_as_columns",
    "is_no_number",
    "lonlat",
    "phrases",
    "placed",
    "points",
    "reals",
    "to_pandas",
    "truths",
    "turned",
    "unsearched",
    "with_phrases",
]

OPENSTREETMAP = "© OpenStreetMap contributors, ODbL"


def check(frame: gpd.GeoDataFrame, schema: Schema) -> gpd.GeoDataFrame:
    """
    Return a frame, if it has the columns, dtypes, geometry and CRS of a schema.

    Only the unit of times may be another, for pandas takes a finer one where a `Timedelta` is
    added. The frame that comes back has them in the schema's unit, rounded to the nearest.
    Where there is nothing to change this costs well under a millisecond: no row is looked at.

    Parameters
    ----------
    frame
        The frame in question.
    schema
        What it should be.

    Returns
    -------
    frame
        The same frame, or one with the same rows and index whose times are in the schema's unit.

    Raises
    ------
    FrameError
        Naming every problem in one message.
    """
    import geopandas as gpd

    if not isinstance(frame, gpd.GeoDataFrame):
        raise FrameError(f"expected a GeoDataFrame of {schema.words}, got {type(frame).__name__}")
    check_names(frame.columns, f"a frame of {schema.words}")
    problems, times = [], {}
    for column in _form_by_dtype(frame, schema).columns:
        if column.name not in frame.columns:
            if not column.optional:
                problems.append(f"column '{column.name}' ({column.dtype}) is missing")
        elif not dtypes.fits(found := str(frame[column.name].dtype), column.dtype):
            if dtypes.only_unit_differs(found, column.dtype):
                try:
                    times[column.name] = dtypes.cast(frame[column.name], column.dtype)
                except (ValueError, OverflowError) as error:
                    problems.append(f"column '{column.name}' does not fit {column.dtype} ({error})")
            else:
                problems.append(f"column '{column.name}' is {found}, expected {column.dtype}")
    problems += _geometry_problems(frame)
    if problems:
        raise FrameError(
            f"not a frame of {schema.words}: {'; '.join(problems)}",
            hint=f"mlygeo.read_frame(…, frame={schema.name!r}) brings columns to their dtypes",
        )
    return frame.assign(**times) if times else frame


def check_names(columns: pd.Index, name: str) -> None:
    """
    Raise where names of columns stand twice, or have several levels: nobody can tell which column is meant.

    Parameters
    ----------
    columns
        The columns of a table.
    name
        What messages call the table.

    Raises
    ------
    FrameError
        If a name stands twice, or the names have levels.
    """
    if columns.nlevels > 1:
        first = ", ".join(map(repr, columns[:1]))
        raise FrameError(
            f"{name} has column names of {columns.nlevels} levels, such as {first}",
            hint="give each column one name, with frame.set_axis([…], axis=1)",
        )
    if not columns.is_unique:
        twice = columns[columns.duplicated()][0]
        raise FrameError(f"{name} has two columns {str(twice)!r}", hint="rename one of them, or leave it out")


def named_geometry(frame: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """
    Return a frame whose active geometry is called `geometry`.

    Parameters
    ----------
    frame
        A frame with active geometry.
    name
        What messages call it.

    Raises
    ------
    FrameError
        If another column is called so.
    """
    own = frame.active_geometry_name
    if own == "geometry":
        return frame
    if "geometry" in frame.columns:
        raise FrameError(
            f"{name}: there is a column 'geometry' beside the geometry, which is called {str(own)!r}",
            hint="rename that column, or leave it out",
        )
    return frame.rename_geometry("geometry")


def form(schema: Schema, columns: Collection[str], column: Callable[[str], Any]) -> Schema:
    """
    Return a schema in the form that fits a frame: Mapillary's alone, or of any provider.

    The second form is that of frames with a column `provider` that names another than Mapillary, and of frames
    whose `id` is text of which some is not a number, unless all rows name Mapillary. Ids that look like numbers are
    numbers, also where some are damaged, such as 1.5E+14, or begin with zeros, or where fewer than one in a hundred
    is something else: these are then refused as that.

    Parameters
    ----------
    schema
        The schema, in its first form.
    columns
        Names of the frame's columns.
    column
        Returns a column by its name, as a Series.
    """
    if schema.name not in _HAVE_KEYS:
        return schema
    import pandas as pd

    providers = column("provider") if "provider" in columns else pd.Series([], dtype="str")
    names = {keys.provider_name(name) for name in pd.unique(providers)} if getattr(providers, "ndim", 1) == 1 else set()
    known = {name for name in names if isinstance(name, str)}
    if known - {DEFAULT_PROVIDER}:
        return schema.of_any_provider
    name = next((each for each in ("id", "creator_id") if each in columns), None)
    if name is None or getattr(values := column(name), "ndim", 1) != 1:
        return schema
    # A column of Python objects is one of texts where all but its gaps are.
    if not pd.api.types.is_string_dtype(values.dropna() if values.dtype == object else values):
        return schema
    if known:
        # Rows that name Mapillary beside rows that name nobody were put together: those others may be anyone's.
        return schema if names == known or look_like_numbers(values).all() else schema.of_any_provider
    return schema if _are_numbers(values, name) else schema.of_any_provider


def kinds_of(frame: gpd.GeoDataFrame) -> set[str]:
    """Return the kinds of the geometries of a frame by their names, such as "Point"; gaps have none."""
    import shapely

    found = np.unique(shapely.get_type_id(frame.geometry.to_numpy()))
    return {_KINDS[kind] for kind in found.tolist() if kind >= 0}


_KINDS = (
    "Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
    "GeometryCollection",
)  # fmt: skip
"""Names of the kinds by the numbers of GEOS."""


def warn_of_unnamed(nameless: int, rows: int, name: str) -> None:
    """
    Warn of rows that name no provider beside rows that name one: nobody knows whose images they are.

    Parameters
    ----------
    nameless
        How many rows name none.
    rows
        How many there are.
    name
        What messages call the frame.
    """
    if 0 < nameless < rows:
        log.warning(
            "%s: %d of %d rows name no provider, and others do: nobody knows whose images they are (a list of frames"
            " in place of a frame put together keeps Mapillary's apart, or fill the column 'provider')",
            name, nameless, rows,
        )  # fmt: skip


def is_no_number(values: pd.Series) -> bool:
    """Return whether ids are text, and none of them looks like a number."""
    import pandas as pd

    words = values.dropna()
    return len(words) > 0 and pd.api.types.is_string_dtype(words) and not look_like_numbers(words).any()


def look_like_numbers(words: pd.Series) -> Flags:
    """Return which texts are numbers as tables have them, or gaps."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pa.array(words.astype("str"), pa.large_string(), from_pandas=True)
    return np.asarray(pc.fill_null(pc.match_substring_regex(texts, _NUMBER), fill_value=True), dtype=bool)


def _are_numbers(values: pd.Series, name: str) -> bool:
    """Return whether texts are meant as numbers: all look like some, or nearly all; a warning says where some do."""
    if is_no_number(values.iloc[:: max(1, len(values) // _SAMPLE)]):
        return False
    words = values.dropna()
    are_numbers = look_like_numbers(words)
    numbers = int(np.count_nonzero(are_numbers))
    odd = None if numbers == len(words) else str(words[~are_numbers].iloc[0])
    return are_meant_as_numbers(numbers, len(words), odd, name)


def are_meant_as_numbers(numbers: int, words: int, odd: str | None, name: str) -> bool:
    """Return whether texts are meant as numbers, of which so many look like some; `odd` is the first other one."""
    if numbers == words or (words - numbers) * _RARE < words:
        return True
    if numbers:
        log.warning(
            "%d of %d values of '%s' are numbers, and others are not, such as %r: all are taken as text, and nobody"
            " knows of which provider they are",
            numbers, words, name, str(odd)[:40],
        )  # fmt: skip
    return False


_SAMPLE = 1000
"""Ids that are looked at first."""

_RARE = 100
"""Of so many ids one is a slip among numbers, and no name among names."""

_HAVE_KEYS = {schema.name for schema in (IMAGES, LOCAL_IMAGES, SELECTION, VIEWS, SEQUENCES)}

_NUMBER = r"^\s*(?:[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|(?i:<?n/?an?>?|none|null))?\s*$"
"""A number as tables of text have it, or a gap."""


def _form_by_dtype(frame: gpd.GeoDataFrame, schema: Schema) -> Schema:
    """Return a schema in the form of a frame that has it, by dtypes alone."""
    if schema.name not in _HAVE_KEYS:
        return schema
    name = next((each for each in ("id", "creator_id") if each in frame.columns), None)
    is_text = name is not None and str(frame[name].dtype) == "str"
    return schema.of_any_provider if is_text else schema


def _geometry_problems(frame: gpd.GeoDataFrame) -> list[str]:
    if frame.active_geometry_name is None:
        return ["it has no geometry"]
    if frame.crs is None:
        return [f"its geometry has no CRS, expected {CRS}"]
    if frame.crs.to_epsg() != 4326 and not frame.crs.equals("OGC:CRS84"):
        return [f"its CRS is {frame.crs.to_string()}, expected {CRS}; use .to_crs(4326)"]
    return []


def conform(frame: gpd.GeoDataFrame, schema: Schema) -> gpd.GeoDataFrame:
    """
    Bring the columns of a frame to the dtypes of a schema, and its geometry to EPSG:4326.

    Columns that the schema does not know stay as they are; an optional column that is missing
    stays missing, and a required one that may be null is added as null.

    Parameters
    ----------
    frame
        A GeoDataFrame, as a reader made it.
    schema
        What it shall be.

    Returns
    -------
    frame
        A new frame; the index counts from 0. What lies beyond ±180° of longitude is brought back there, with a warning.

    Raises
    ------
    FrameError
        If a column is missing that cannot be null, does not fit its dtype without loss, or stands twice; or if a
        column is called `geometry` beside the geometry.
    """
    check_names(frame.columns, f"a frame of {schema.words}")
    problems, columns = [], {}
    shape = form(schema, frame.columns, frame.__getitem__)
    for column in shape.columns:
        if column.name in frame.columns:
            values = frame[column.name]
            try:
                is_key = column.name in KEYS and column.dtype == "str"
                values = dtypes.id_texts(values) if is_key else dtypes.cast(values, column.dtype)
                columns[column.name] = _plain(values, column.name, is_text=shape is not schema)
            except (ValueError, TypeError, OverflowError) as error:
                problems.append(f"column '{column.name}' does not fit {column.dtype} ({error})")
        elif column.optional:
            continue
        elif column.dtype in {"int64", "bool"}:
            problems.append(f"column '{column.name}' ({column.dtype}) is missing")
        else:
            columns[column.name] = dtypes.nulls(column.dtype, len(frame), frame.index)
    if shape is schema and schema.name in _HAVE_KEYS and "provider" in frame.columns:
        columns["provider"] = _plain(frame["provider"], "provider", is_text=False)
    if frame.active_geometry_name is None:
        problems.append("it has no geometry")
    elif frame.crs is None:
        problems.append("its geometry has no CRS")
    elif _geometry_problems(frame) and (reason := not_on_earth(frame.crs)) is not None:
        problems.append(reason)
    if problems:
        raise FrameError(f"not a frame of {schema.words}: {'; '.join(problems)}", hint=_hint_of(problems, frame))
    if _geometry_problems(frame):
        frame = frame.to_crs(4326)
    frame = _brought_back(frame, schema.name)
    frame = named_geometry(frame, f"a frame of {schema.words}")
    known = [name for name in columns if name != "provider" or shape.dtype(name) is not None]
    others = [name for name in frame.columns if name not in known and name != "geometry"]
    ordered = [*known, *others, "geometry"]
    return frame.assign(**columns)[ordered].reset_index(drop=True)


def _hint_of(problems: list[str], frame: gpd.GeoDataFrame) -> str | None:
    """Return what to do where ids do not fit; None for other problems."""
    import pandas as pd

    of_ids = any(problem.startswith("column 'id' does not fit int64") for problem in problems)
    return SAY_PROVIDER if of_ids and pd.api.types.is_string_dtype(frame["id"]) else None


SAY_PROVIDER = "ids of Mapillary are whole numbers; a column 'provider' says where they are another's"
"""What to do where texts are taken for numbers, and some are none."""


def _plain(values: pd.Series, name: str, *, is_text: bool) -> pd.Series:
    """Return a column with names of providers as they have them, and where ids are text, with UUIDs in lower case."""
    if name == "provider":
        return keys.with_provider_names(values)
    return keys.uuids_in_lower_case(values) if is_text and name in (*KEYS, "sequence_id") else values


def _brought_back(frame: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """Return a frame in degrees whose geometries are within ±180° of longitude, or begin there; raise for others."""
    import shapely
    from geopandas.array import GeometryArray

    shapes = np.asarray(frame.geometry.values)
    bounds = shapely.bounds(shapes)
    degrees.check(bounds[:, [0, 2]], bounds[:, [1, 3]], name, hint="is the CRS another one?")
    west, _, east, _ = bounds.T
    turns = degrees.turns_of(west, east)
    if turns is None:
        return frame
    degrees.warn(int(np.count_nonzero(turns)), name)
    shapes = shapes.copy()
    for has_z in (False, True):
        rows = np.flatnonzero((turns != 0) & (shapely.has_z(shapes) == has_z))
        moved, owner = shapely.get_coordinates(shapes[rows], include_z=has_z, return_index=True)
        moved[:, 0] -= 360.0 * turns[rows][owner]
        shapes[rows] = shapely.set_coordinates(shapes[rows], moved)
    return frame.assign(**{str(frame.active_geometry_name): GeometryArray(shapes, crs=frame.crs)})


@lru_cache(maxsize=16)
def turned(crs: Any, into: Any) -> Transformer:
    """Return the way from one CRS to another, x before y; to find the best of many takes PROJ up to 0.2 s."""
    from pyproj import Transformer

    return Transformer.from_crs(crs, into, always_xy=True)


def not_on_earth(crs: Any) -> str | None:
    """
    Return in words why coordinates are no places on the earth; None where they are.

    Parameters
    ----------
    crs
        Their CRS, as pyproj has it: one of a building site, of heights alone, geocentric or of the Moon has none.
    """
    from pyproj.exceptions import ProjError

    code = crs.to_authority()
    label = ":".join(code) if code else crs.name
    horizontal = crs
    while horizontal.is_bound or horizontal.is_compound:
        horizontal = horizontal.source_crs if horizontal.is_bound else horizontal.sub_crs_list[0]
    if not (horizontal.is_geographic or horizontal.is_projected):
        return f"its CRS, {label}, is not a map of the earth"
    try:
        turned(crs, CRS)
    except ProjError:
        return f"its CRS, {label}, cannot be turned into longitude and latitude"
    return None


def in_degrees(held: Any, name: str, crs: Any = CRS) -> Any:
    """
    Return a frame or series in longitude and latitude, or in another CRS.

    Parameters
    ----------
    held
        GeoDataFrame or GeoSeries, in any CRS.
    name
        What messages call it.
    crs
        CRS to return it in.

    Raises
    ------
    FrameError
        If its CRS is none of places on the earth.
    """
    reason = not_on_earth(held.crs)
    if reason is not None:
        raise FrameError(f"{name}: {reason}", hint="set_crs('EPSG:…', allow_override=True), if it is another one")
    return held.to_crs(crs)


def in_dtypes(frame: gpd.GeoDataFrame, *schemas: Schema, name: str) -> gpd.GeoDataFrame:
    """
    Return a frame whose columns have the dtypes of schemas, as far as it has them.

    Where there is nothing to change this costs well under a millisecond: no row is looked at.

    Parameters
    ----------
    frame
        The frame; it is not changed.
    *schemas
        Schemas that name its columns. A column may be as any of them says; the first that fits is taken.
    name
        What messages call it.

    Raises
    ------
    FrameError
        If a column fits none of its dtypes without loss, or stands twice.
    """
    check_names(frame.columns, name)
    formed = tuple(form(schema, frame.columns, frame.__getitem__) for schema in schemas)
    is_text = any(schema is not first for schema, first in zip(formed, schemas, strict=True))
    return in_forms(frame, *formed, is_text=is_text, name=name)


def in_forms(frame: gpd.GeoDataFrame, *schemas: Schema, is_text: bool, name: str) -> gpd.GeoDataFrame:
    """
    Return a frame as `in_dtypes` does, by schemas in the form that was settled before, such as by all rows of which
    these are some.

    Parameters
    ----------
    frame, *schemas
        As there.
    is_text
        Whether one of the schemas is in the form of any provider; see `form`.
    name
        As there.

    Raises
    ------
    FrameError
        As there.
    """
    changed, problems = {}, []
    for column in dict.fromkeys(each.name for schema in schemas for each in schema.columns):
        if column not in frame.columns:
            continue
        values = frame[column]
        wanted = [dtype for schema in schemas if (dtype := schema.dtype(column)) is not None]
        if str(values.dtype) in wanted:
            continue
        failed = ""
        for dtype in dict.fromkeys(wanted):
            try:
                changed[column] = dtypes.cast(values, dtype)
                break
            except (ValueError, TypeError, OverflowError) as error:
                failed = failed or f"column '{column}' does not fit {dtype} ({error})"
        else:
            problems.append(failed)
    if problems:
        raise FrameError(f"{name}: {'; '.join(problems)}", hint=_hint_of(problems, frame))
    columns = ("provider", *KEYS, "sequence_id") if is_text else ("provider",)
    for column in columns if any(schema.name in _HAVE_KEYS for schema in schemas) else ():
        if column in frame.columns:
            values = changed.get(column, frame[column])
            if (plain := _plain(values, column, is_text=is_text)) is not values:
                changed[column] = plain
    return frame.assign(**changed) if changed else frame


def empty(schema: Schema) -> gpd.GeoDataFrame:
    """Return a frame of a schema without rows, with all its required columns."""
    import geopandas as gpd
    import pandas as pd

    columns = {column.name: pd.Series([], dtype=column.dtype) for column in schema.required}
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=CRS))


def from_arrow(table: pa.Table, schema: Schema | None = None) -> gpd.GeoDataFrame:
    """
    Return the frame of an Arrow table whose points stand in the columns `lon` and `lat`.

    Parameters
    ----------
    table
        Columns `lon` and `lat` (float64, degrees) and any others.
    schema
        The schema to bring the columns to.

    Returns
    -------
    frame
        Point geometry, EPSG:4326. Whole numbers with gaps are Int64, never float.
    """
    return placed(table.drop_columns(["lon", "lat"]), table["lon"].to_numpy(), table["lat"].to_numpy(), schema)


def placed(table: pa.Table, lon: Floats, lat: Floats, schema: Schema | None = None) -> gpd.GeoDataFrame:
    """
    Return the frame of an Arrow table and points beside it; the table may have columns `lon` and `lat` of its own.

    Parameters
    ----------
    table
        Attributes, a row a point.
    lon, lat
        Degrees, shape (n,); NaN where there is no point.
    schema
        The schema to bring the columns to.

    Raises
    ------
    FrameError
        If an attribute is called `geometry`.
    """
    import geopandas as gpd
    from geopandas.array import GeometryArray

    if "geometry" in table.column_names:
        raise FrameError("there is a column 'geometry' beside the geometry", hint="rename it")
    places = points(lon, lat)
    places[np.isnan(lon)] = None
    frame = gpd.GeoDataFrame(to_pandas(table), geometry=GeometryArray(places, crs=CRS))
    return frame if schema is None else conform(frame, schema)


def filter_images(
    images: gpd.GeoDataFrame,
    *,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
    where: str | None = None,
) -> gpd.GeoDataFrame:
    """
    Keep the images that meet every condition given.

    An image for which the value is unknown does not meet the condition.

    Parameters
    ----------
    images
        Images frame, or any frame of points with the columns that the conditions look at.
    pano
        True keeps panoramas only, False flat pictures only.
    since
        Keep images captured at or after this time, or the beginning of this year, month, week or day: ISO 8601,
        such as 2024, 2024-06, 2024-W26, 2024-06-30 or 2024-06-30T12:00:00Z; UTC unless it names another zone.
    until
        Keep images captured before this time (ISO 8601); a year, month, week or day includes all of itself.
    creator
        Keep images of these people: ids, or user names where the frame has `creator_username`.
    organization
        Keep images of these organizations (ids).
    min_quality
        Keep images of at least this `quality_score` (0 to 1).
    where
        Keep images that meet this condition on any columns, such as "blur >= 100 and sun_altitude > 0": comparisons
        (=, !=, <, <=, >, >=), "in ('a', 'b')", "is null" and "is not null", joined by and, or, not and parentheses.
        Text and times stand in quotes; a day, month or year is all of it. A comparison with an unknown value is
        unknown, as in SQL, and such images are left out.

    Returns
    -------
    images
        The rows that meet all conditions, index unchanged.

    Raises
    ------
    FrameError
        If a condition needs a column that the frame does not have.
    InputError
        If a condition is invalid.

    Examples
    --------
    >>> filter_images(images, pano=True, since="2024-01-01")
    """
    images = check(images, IMAGES.only())
    conditions = conditions_of(
        pano=pano,
        since=since,
        until=until,
        creator=creator,
        organization=organization,
        min_quality=min_quality,
        where=where,
    )
    if not conditions:
        return images
    # Conditions on any columns look at what these hold; the others rely on dtypes.
    plain = {name: value for name, value in conditions.items() if name != "where"}
    images = check(images, IMAGES.only(*columns_for(plain, images.columns)))
    return images[conditions_mask({name: images[name] for name in images.columns}, conditions)]


def credited(*attrs: Mapping[Any, Any]) -> list[str]:
    """Return the sources that the `attrs` of frames credit, each once."""
    return list(dict.fromkeys(source for each in attrs for source in each.get("attribution", ())))


def credited_of(*several: gpd.GeoDataFrame, bare: Bare | None = None) -> list[str]:
    """
    Return the sources of the data of frames, each once: of images by their rows where these say whose they are.

    Parameters
    ----------
    *several
        The frames.
    bare
        Returns the attribution of a provider as a whole; see `attribution.credits_of`.
    """
    found = [attribution.sources(frame.columns, frame.__getitem__, frame.attrs, bare) for frame in several]
    return list(dict.fromkeys(source for lines in found for source in lines))


def attribute(frame: gpd.GeoDataFrame, *sources: str, **facts: object) -> gpd.GeoDataFrame:
    """
    Set in `attrs` the attribution of a frame's data, and facts about it such as the positions used.

    Parameters
    ----------
    frame
        The frame, changed in place.
    *sources
        Attributions, such as "Mapillary, CC BY-SA 4.0".
    **facts
        Further facts, under their own names.

    Returns
    -------
    frame
        The same frame.
    """
    known = list(frame.attrs.get("attribution", []))
    frame.attrs["attribution"] = known + [source for source in sources if source not in known]
    frame.attrs.update(facts)
    return frame
