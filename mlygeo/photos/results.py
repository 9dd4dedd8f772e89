"""The results that units of `process` have for photos, and how those of an earlier run are carried over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Flags, Whole

OWNED = {
    "user": ("user_name", "organization_name", "organization_key", "private"),
    "meta-data": ("make", "model", "exif_orientation", "camera_uuid", "gps_accuracy_m", "filename", "meta_tags"),
    "geotag": (
        *("captured_at", "geometry", "altitude", "geotag_angle", "compass_angle"),
        *("track_gap_s", "error", "warning", "time_source"),
    ),
    "sequence": ("sequence_id", "compass_angle", "is_duplicate", "duplicate_of", "problem"),
}
"""The columns that each unit writes. A row belongs to a unit until the unit is run again."""

ADDED = {
    "user_name": "str",
    "organization_name": "str",
    "organization_key": "str",
    "private": "bool",
    "gps_accuracy_m": "float64",
    "filename": "str",
    "meta_tags": "str",
    "photo_uuid": "str",
    "geotag_angle": "float64",
    "track_gap_s": "float64",
    "is_duplicate": "bool",
    "duplicate_of": "str",
    "problem": "str",
    "failed_in": "str",
    "exif_written": "bool",
    "picture": "str",
    "original_time": "str",
    "uploaded": "bool",
}
"""Columns that units add to a photo's own values, and their dtypes."""

KNOWN_BY = ("photo_uuid", "picture", "original_time")
"""Columns with what a photo is known by; see `mlygeo.formats.identity`."""


def plain(frame: gpd.GeoDataFrame, name: str) -> list[Any]:
    """Return a column as Python values, with None for nulls."""
    if name not in frame.columns:
        return [None] * len(frame)
    column = frame[name]
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values


def with_results(
    images: gpd.GeoDataFrame, before: gpd.GeoDataFrame, origins: pd.Series, rows: Flags
) -> gpd.GeoDataFrame:
    """
    Return images with the results of the last run in some rows, if those rows could be used then.

    Parameters
    ----------
    images
        The frame of this run.
    before
        The frame of the last run.
    origins
        The path of each image in that frame.
    rows
        The rows that get their results back.
    """
    from mlygeo import dtypes

    place = rows_of(before, origins)
    rows = rows & (place >= 0)
    rows[rows] = before["error"].isna().to_numpy()[place[rows]]
    if not rows.any():
        return images
    columns = dict.fromkeys(column for names in OWNED.values() for column in names if column in before.columns)
    values: dict[str, Any] = {}
    for column in [*columns, "failed_in", "geotag_angle", "exif_written"]:
        if column == "geometry":
            values[column] = _with_points(images, before, np.flatnonzero(rows), place[rows])
        elif column in before.columns:
            dtype = str(images[column].dtype)
            source = dtypes.cast(before[column].iloc[place[rows]], dtype)
            values[column] = _with(images[column], np.flatnonzero(rows), source)
    return images.assign(**values)


def duplicates_of(before: gpd.GeoDataFrame, origins: pd.Series, rows: Flags) -> Flags:
    """
    Return which images were duplicates, in the last run, of those in some rows.

    Parameters
    ----------
    before
        The frame of the last run.
    origins
        The path of each image in that frame.
    rows
        The rows of the images that they were duplicates of.
    """
    found: Flags = np.zeros(len(origins), dtype=np.bool_)
    if "duplicate_of" not in before.columns:
        return found
    place = rows_of(before, origins)
    of = before["is_duplicate"].fillna(value=False).astype(bool) & before["duplicate_of"].isin(set(origins[rows]))
    found[place >= 0] = of.to_numpy()[place[place >= 0]]
    return found


def rows_of(before: gpd.GeoDataFrame, paths: pd.Series) -> Whole:
    """Return the row of each path in a frame; -1 for none."""
    import pandas as pd

    rows: Whole = pd.Index(before["path"]).get_indexer(pd.Index(paths))
    return rows


def _with_points(images: gpd.GeoDataFrame, before: gpd.GeoDataFrame, rows: Whole, place: Whole) -> gpd.GeoSeries:
    import geopandas as gpd

    points = np.array(images.geometry.values, dtype=object)
    points[rows] = np.asarray(before.geometry.values, dtype=object)[place]
    return gpd.GeoSeries(points, index=images.index, crs=images.crs)


def carried(
    images: gpd.GeoDataFrame, before: gpd.GeoDataFrame, place: Any, found: Flags, columns: list[str]
) -> gpd.GeoDataFrame:
    """Return images with columns of an earlier frame, in the rows that it has."""
    from mlygeo import dtypes

    rows = np.flatnonzero(found)
    values: dict[str, Any] = {}
    for column in columns:
        if column == "geometry":
            values[column] = _with_points(images, before, rows, place[rows])
        elif column == "error":
            # Errors of the photo itself are found again; errors from a track are carried over.
            theirs = before["failed_in"].eq("geotag").fillna(value=False).to_numpy(dtype=bool)
            rows_of = rows[theirs[place[rows]] & images["error"].isna().to_numpy()[rows]]
            for name, source in (("error", before["error"]), ("failed_in", before["failed_in"])):
                values[name] = _with(images[name], rows_of, source.iloc[place[rows_of]])
        elif column in KNOWN_BY:
            known = rows[before[column].notna().to_numpy()[place[rows]]]
            values[column] = _with(images[column], known, before[column].iloc[place[known]])
        else:
            dtype = str(images[column].dtype)
            values[column] = _with(images[column], rows, dtypes.cast(before[column].iloc[place[rows]], dtype))
    values["exif_written"] = _with(images["exif_written"], rows, before["exif_written"].iloc[place[rows]])
    return images.assign(**values) if len(rows) else images


def _with(column: pd.Series, rows: Any, values: pd.Series) -> pd.Series:
    changed = column.copy()
    changed.iloc[rows] = values.array
    return changed
