"""
The frames that every other module speaks: their columns, dtypes and geometry.

A `Schema` names the columns that functions may rely on; further columns are carried along
untouched. Readers call `conform` once, public functions call `check`, and nothing inside
checks again. Geometry is always longitude and latitude (EPSG:4326); distances are metres,
angles degrees clockwise from true north in [0, 360), times UTC.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import dtypes
from mlygeo.errors import FrameError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    import geopandas as gpd
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

CRS = "EPSG:4326"
"""The coordinate reference system of every frame."""

MAPILLARY = "Mapillary, CC BY-SA 4.0"
OPENSTREETMAP = "© OpenStreetMap contributors, ODbL"

MS_UTC = "datetime64[ms, UTC]"


@dataclass(frozen=True)
class Column:
    """A column of a schema: its name, its dtype as pandas prints it, and what it holds."""

    name: str
    dtype: str
    meaning: str
    optional: bool = False


@dataclass(frozen=True)
class Schema:
    """What a kind of frame holds: columns, and the type of its geometry."""

    name: str
    geometry: str
    columns: tuple[Column, ...]

    @property
    def required(self) -> tuple[Column, ...]:
        """The columns that every frame of this kind has."""
        return tuple(column for column in self.columns if not column.optional)

    def dtype(self, name: str) -> str | None:
        """Return the dtype of a column, or None where the schema does not know it."""
        return next((column.dtype for column in self.columns if column.name == name), None)


IMAGES = Schema(
    "images",
    "Point",
    (
        Column("id", "int64", "Mapillary's id of the image, unique"),
        Column("sequence_id", "str", "Mapillary's id of its sequence"),
        Column("captured_at", MS_UTC, "capture time"),
        Column("compass_angle", "float64", "heading of the camera, degrees; NaN when unknown"),
        Column("is_pano", "bool", "whether it is a panorama"),
        Column("creator_id", "Int64", "Mapillary's id of who took it"),
        Column("organization_id", "Int64", "Mapillary's id of the organization; null when there is none"),
        Column("altitude", "float64", "metres above sea level, as recorded", optional=True),
        Column("computed_altitude", "float64", "metres, after 3D reconstruction", optional=True),
        Column("computed_compass_angle", "float64", "degrees, after 3D reconstruction", optional=True),
        Column("camera_type", "str", "perspective, fisheye, equirectangular or spherical", optional=True),
        Column("make", "str", "maker of the camera", optional=True),
        Column("model", "str", "model of the camera", optional=True),
        Column("width", "Int64", "pixels of the upload", optional=True),
        Column("height", "Int64", "pixels of the upload", optional=True),
        Column("quality_score", "float64", "Mapillary's score, 0 to 1", optional=True),
        Column("exif_orientation", "Int64", "EXIF orientation of the upload, 1 to 8", optional=True),
        Column("creator_username", "str", "name of who took it", optional=True),
    ),
)

LOCAL_IMAGES = Schema(
    "local_images",
    "Point",
    (
        Column("id", "Int64", "Mapillary's id of the image; null before it is uploaded"),
        Column("sequence_id", "str", "id of its sequence; null before it is cut into one"),
        Column("captured_at", MS_UTC, "capture time; null when unknown"),
        Column("compass_angle", "float64", "heading of the camera, degrees; NaN when unknown"),
        Column("is_pano", "bool", "whether it is a panorama"),
        Column("creator_id", "Int64", "Mapillary's id of who took it"),
        Column("organization_id", "Int64", "Mapillary's id of the organization; null when there is none"),
        Column("path", "str", "the file"),
        Column("folder", "str", "the folder that holds it"),
        Column("error", "str", "why the image cannot be used; null when it can"),
        Column("warning", "str", "what is wrong with the file's tags but could be passed over", optional=True),
        Column("altitude", "float64", "metres above sea level; NaN when unknown", optional=True),
        Column("make", "str", "maker of the camera", optional=True),
        Column("model", "str", "model of the camera", optional=True),
        Column("width", "Int64", "pixels, as stored", optional=True),
        Column("height", "Int64", "pixels, as stored", optional=True),
        Column("exif_orientation", "Int64", "EXIF orientation, 1 to 8; null when unknown", optional=True),
        Column("camera_uuid", "str", "serial numbers of camera and lens", optional=True),
        Column("image_description", "str", "the image description (JSON) that is in the file already", optional=True),
        Column("time_source", "str", "where the capture time comes from", optional=True),
        Column("filesize", "Int64", "bytes", optional=True),
    ),
)
"""Photos on this machine: an images frame of files, whose ids are not known yet."""

STREETS = Schema(
    "streets",
    "LineString",
    (
        Column("u", "int64", "node where the edge starts"),
        Column("v", "int64", "node where the edge ends"),
        Column("key", "int64", "number among the parallel edges from u to v"),
        Column("osmid", "str", "ids of its OpenStreetMap ways, several separated by ';'"),
        Column("highway", "str", "OpenStreetMap's highway class, several separated by ';'"),
        Column("name", "str", "name of the street, several separated by ';'; null when it has none"),
        Column("oneway", "bool", "whether traffic runs from u to v only"),
    ),
)

STREET_POINTS = Schema(
    "street_points",
    "Point",
    (
        Column("point_id", "int64", "number of the point, from 0"),
        Column("u", "int64", "node where its edge starts"),
        Column("v", "int64", "node where its edge ends"),
        Column("key", "int64", "number among the parallel edges"),
        Column("bearing", "float64", "bearing of the street there, degrees"),
        Column("osmid", "str", "ids of the street's OpenStreetMap ways", optional=True),
        Column("name", "str", "name of the street", optional=True),
        Column("highway", "str", "OpenStreetMap's highway class", optional=True),
    ),
)

POINTS = Schema("points", "Point", (Column("point_id", "int64", "number of the point"),))
"""Points of a user's own, to select images for; a `bearing` is used where there is one."""

SELECTION = Schema(
    "selection",
    "Point",
    (
        Column("point_id", "int64", "the point that the image was chosen for"),
        Column("id", "int64", "Mapillary's id of the image"),
        Column("distance_m", "float64", "planar distance from point to image, metres"),
        Column("rank", "int64", "1 = nearest"),
        Column("heading_difference", "float64", "angle between camera and street, 0 to 90 degrees; NaN when unknown"),
    ),
)

SEQUENCES = Schema(
    "sequences",
    "LineString",
    (
        Column("sequence_id", "str", "Mapillary's id of the sequence"),
        Column("images", "int64", "number of images"),
        Column("start", MS_UTC, "time of the first image"),
        Column("end", MS_UTC, "time of the last image"),
        Column("length_m", "float64", "length, metres"),
        Column("duration_s", "float64", "duration, seconds"),
        Column("mean_speed_ms", "float64", "mean speed, metres a second"),
        Column("is_pano", "bool", "whether its images are panoramas"),
        Column("creator_id", "Int64", "Mapillary's id of who took it"),
        Column("make", "str", "maker of the camera"),
        Column("model", "str", "model of the camera"),
    ),
)

TRACKS = Schema(
    "tracks",
    "Point",
    (
        Column("track_id", "str", "the track that the position belongs to"),
        Column("time", "datetime64[us, UTC]", "time of the position"),
        Column("altitude", "float64", "metres above sea level; NaN when unknown"),
        Column("kind", "str", "track, route or waypoint", optional=True),
    ),
)

SCHEMAS = {
    schema.name: schema
    for schema in (IMAGES, LOCAL_IMAGES, STREETS, STREET_POINTS, POINTS, SELECTION, SEQUENCES, TRACKS)
}

IDS = ("id", "creator_id", "organization_id", "point_id", "osmid", "u", "v")
"""Columns of ids that pass 2^53: text wherever a format's readers would make floats of them."""


def check(frame: gpd.GeoDataFrame, schema: Schema) -> None:
    """
    Raise unless a frame has the columns, dtypes, geometry and CRS of a schema.

    Costs well under a millisecond: no row is looked at.

    Parameters
    ----------
    frame
        The frame in question.
    schema
        What it should be.

    Raises
    ------
    FrameError
        Naming every problem in one message.
    """
    import geopandas as gpd

    if not isinstance(frame, gpd.GeoDataFrame):
        raise FrameError(f"expected a GeoDataFrame of {schema.name}, got {type(frame).__name__}")
    problems = []
    for column in schema.columns:
        if column.name not in frame.columns:
            if not column.optional:
                problems.append(f"column '{column.name}' ({column.dtype}) is missing")
        elif (found := str(frame[column.name].dtype)) != column.dtype:
            problems.append(f"column '{column.name}' is {found}, expected {column.dtype}")
    problems += _geometry_problems(frame)
    if problems:
        raise FrameError(
            f"not a frame of {schema.name}: {'; '.join(problems)}",
            hint=f"mlygeo.read_frame(…, frame={schema.name!r}) brings columns to their dtypes",
        )


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
        A new frame; the index counts from 0.

    Raises
    ------
    FrameError
        If a column is missing that cannot be null, or does not fit its dtype without loss.
    """
    problems, columns = [], {}
    for column in schema.columns:
        if column.name in frame.columns:
            try:
                columns[column.name] = dtypes.cast(frame[column.name], column.dtype)
            except (ValueError, TypeError, OverflowError) as error:
                problems.append(f"column '{column.name}' does not fit {column.dtype} ({error})")
        elif column.optional:
            continue
        elif column.dtype in {"int64", "bool"}:
            problems.append(f"column '{column.name}' ({column.dtype}) is missing")
        else:
            columns[column.name] = dtypes.nulls(column.dtype, len(frame), frame.index)
    if frame.active_geometry_name is None:
        problems.append("it has no geometry")
    elif frame.crs is None:
        problems.append("its geometry has no CRS")
    if problems:
        raise FrameError(f"not a frame of {schema.name}: {'; '.join(problems)}")
    if _geometry_problems(frame):
        frame = frame.to_crs(4326)
    if frame.active_geometry_name != "geometry":
        frame = frame.rename_geometry("geometry")
    others = [name for name in frame.columns if name not in columns and name != "geometry"]
    ordered = [*columns, *others, "geometry"]
    return frame.assign(**columns)[ordered].reset_index(drop=True)


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
    import geopandas as gpd
    from geopandas.array import GeometryArray

    geometry = GeometryArray(points(table["lon"].to_numpy(), table["lat"].to_numpy()), crs=CRS)
    frame = gpd.GeoDataFrame(to_pandas(table.drop_columns(["lon", "lat"])), geometry=geometry)
    return frame if schema is None else conform(frame, schema)


def points(lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> npt.NDArray[np.object_]:
    """Return points of longitudes and latitudes, degrees."""
    import shapely

    # The cyclic garbage collector would search all points for cycles some seventy times, find
    # none, and take longer than making them.
    enabled = gc.isenabled()
    gc.disable()
    try:
        return np.asarray(shapely.points(lon, lat))
    finally:
        if enabled:
            gc.enable()


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return an Arrow table as a DataFrame; whole numbers with gaps become Int64, never float."""
    import pandas as pd
    import pyarrow as pa

    gaps = {name for name in table.column_names if table[name].null_count}
    parts = {}
    for name in table.column_names:
        column = table[name]
        if name in gaps and pa.types.is_integer(column.type):
            parts[name] = column.to_pandas(types_mapper={column.type: pd.Int64Dtype()}.get)
        else:
            parts[name] = column.to_pandas()
    return pd.DataFrame(parts, index=pd.RangeIndex(table.num_rows))


def lonlat(frame: gpd.GeoDataFrame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the coordinates of a frame of points, as two arrays; NaN where there is no point."""
    return coordinates(np.asarray(frame.geometry.values))


def coordinates(
    points: npt.NDArray[np.object_],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the coordinates of an array of points, as two arrays; NaN where a point is missing or empty."""
    import shapely

    # GEOS has no answer for POINT EMPTY but an error.
    if (empty := shapely.is_empty(points)).any():
        points = points.copy()
        points[empty] = None
    return shapely.get_x(points), shapely.get_y(points)


def filter_images(
    images: gpd.GeoDataFrame,
    *,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
) -> gpd.GeoDataFrame:
    """
    Keep the images that meet every condition given.

    An image of which the value in question is unknown does not meet the condition.

    Parameters
    ----------
    images
        Images frame.
    pano
        True keeps panoramas only, False flat pictures only.
    since
        Keep images captured at or after this time (ISO 8601; UTC unless it says otherwise).
    until
        Keep images captured before this time; a date without a time includes that whole day.
    creator
        Keep images of these people: ids, or user names where the frame has `creator_username`.
    organization
        Keep images of these organizations (ids).
    min_quality
        Keep images of at least this `quality_score` (0 to 1).

    Returns
    -------
    images
        The rows that meet all conditions, index unchanged.

    Raises
    ------
    FrameError
        If a condition asks for a column that the frame does not have.
    InputError
        If a condition has no sense.

    Examples
    --------
    >>> filter_images(images, pano=True, since="2024-01-01")
    """
    check(images, IMAGES)
    conditions = conditions_of(
        pano=pano, since=since, until=until, creator=creator, organization=organization, min_quality=min_quality
    )
    if not conditions:
        return images
    return images[conditions_mask({name: images[name] for name in images.columns}, conditions)]


def conditions_of(
    *,
    pano: bool | None,
    since: str | datetime | None,
    until: str | datetime | None,
    creator: int | str | Iterable[int | str] | None,
    organization: int | str | Iterable[int | str] | None,
    min_quality: float | None,
) -> dict[str, Any]:
    """Return the conditions that were given, checked and in one form; see `filter_images`."""
    given: dict[str, Any] = {}
    if pano is not None:
        given["pano"] = pano
    if since is not None:
        given["since"] = _moment(since, "since")
    if until is not None:
        given["until"] = _moment(until, "until")
    if "since" in given and "until" in given and given["since"] >= given["until"]:
        raise InputError(f"--since {since} is not before --until {until}")
    if creator is not None:
        given["creator"] = _listed(creator)
    if organization is not None:
        given["organization"] = _listed(organization)
        if not all(isinstance(value, int) for value in given["organization"]):
            raise InputError("--organization takes ids (whole numbers)")
    if min_quality is not None:
        if not 0 <= min_quality <= 1:
            raise InputError(f"--min-quality must lie between 0 and 1, not {min_quality}")
        given["min_quality"] = min_quality
    return given


def columns_for(conditions: Mapping[str, Any], available: Iterable[str]) -> list[str]:
    """
    Return the columns that conditions look at.

    Raises
    ------
    FrameError
        If one of them is not available.
    """
    needs = {"pano": "is_pano", "since": "captured_at", "until": "captured_at", "organization": "organization_id",
             "min_quality": "quality_score"}  # fmt: skip
    columns = {needs[name] for name in conditions if name != "creator"}
    for value in conditions.get("creator", ()):
        columns.add("creator_id" if isinstance(value, int) else "creator_username")
    missing = sorted(columns - set(available))
    if missing:
        raise FrameError(
            f"these images have no {', '.join(missing)}, which the filters ask for",
            hint="leave that filter out, or add the column to the images frame",
        )
    return sorted(columns)


def conditions_mask(columns: Mapping[str, pd.Series], conditions: Mapping[str, Any]) -> npt.NDArray[np.bool_]:
    """Return which rows meet all conditions of `conditions_of`."""
    import pandas as pd

    columns_for(conditions, columns)
    masks = []
    if "pano" in conditions:
        masks.append(columns["is_pano"] == conditions["pano"])
    if "since" in conditions:
        masks.append(columns["captured_at"] >= conditions["since"])
    if "until" in conditions:
        masks.append(columns["captured_at"] < conditions["until"])
    if "creator" in conditions:
        ids = [value for value in conditions["creator"] if isinstance(value, int)]
        names = [value for value in conditions["creator"] if not isinstance(value, int)]
        by_id = columns["creator_id"].isin(ids) if ids else False
        masks.append(by_id | columns["creator_username"].isin(names) if names else by_id)
    if "organization" in conditions:
        masks.append(columns["organization_id"].isin(conditions["organization"]))
    if "min_quality" in conditions:
        masks.append(columns["quality_score"] >= conditions["min_quality"])
    met: npt.NDArray[np.bool_] = np.logical_and.reduce(
        [pd.Series(mask).fillna(value=False).to_numpy(dtype=bool) for mask in masks]
    )
    return met


def _moment(value: str | datetime, option: str) -> pd.Timestamp:
    import pandas as pd

    try:
        moment = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"--{option} {value!r} is not a date or time", hint="write it as 2024-06-30 or 2024-06-30T12:00:00Z"
        ) from error
    moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
    whole_day = option == "until" and isinstance(value, str) and len(value.strip()) == len("2024-06-30")
    return moment + pd.Timedelta(days=1) if whole_day else moment


def _listed(value: int | str | Iterable[int | str]) -> list[int | str]:
    values = [value] if isinstance(value, int | str) else list(value)
    return [int(item) if str(item).strip().isdigit() else str(item).strip() for item in values]


def attribute(frame: gpd.GeoDataFrame, *sources: str, **facts: Any) -> gpd.GeoDataFrame:
    """
    Note in `attrs` whose data a frame holds, and facts about it such as the positions used.

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
