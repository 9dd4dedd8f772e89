"""Columns of the frames of an import: parts put together, earlier values carried over, ids of photos."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy.typing as npt
    import pandas as pd

    Flags = npt.NDArray[np.bool_]


def joined(parts: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return parts as one frame of local images, whatever columns each of them lacks."""
    import pandas as pd

    from mlygeo import dtypes, frames

    # Columns that one part lacks or holds no value in would change their dtype.
    wanted = {column.name: column.dtype for column in frames.LOCAL_IMAGES.columns}
    filled = []
    for part in parts:
        part = part.assign(  # noqa: PLW2901
            **{
                name: dtypes.nulls(dtype, len(part), part.index)
                for name, dtype in wanted.items()
                if name not in part.columns
            }
        )
        part.attrs = {}
        filled.append(part)
    if len(filled) == 1:
        return frames.conform(filled[0], frames.LOCAL_IMAGES)
    return frames.conform(pd.concat(filled, ignore_index=True), frames.LOCAL_IMAGES)


def carried(
    images: gpd.GeoDataFrame, before: gpd.GeoDataFrame, place: Any, found: Flags, columns: list[str]
) -> gpd.GeoDataFrame:
    """Return images with columns of an earlier frame, in the rows that it has."""
    import geopandas as gpd

    from mlygeo import dtypes

    rows = np.flatnonzero(found)
    values: dict[str, Any] = {}
    for column in columns:
        if column == "geometry":
            points = np.array(images.geometry.values, dtype=object)
            points[rows] = np.asarray(before.geometry.values, dtype=object)[place[rows]]
            values[column] = gpd.GeoSeries(points, index=images.index, crs=images.crs)
        elif column == "error":
            # What a photo itself is wrong with is known anew; what a track was wrong with is carried.
            theirs = before["failed_in"].eq("geotag").fillna(value=False).to_numpy(dtype=bool)
            rows_of = rows[theirs[place[rows]] & images["error"].isna().to_numpy()[rows]]
            for name, source in (("error", before["error"]), ("failed_in", before["failed_in"])):
                values[name] = _with(images[name], rows_of, source.iloc[place[rows_of]])
        else:
            dtype = str(images[column].dtype)
            values[column] = _with(images[column], rows, dtypes.cast(before[column].iloc[place[rows]], dtype))
    values["exif_written"] = _with(images["exif_written"], rows, before["exif_written"].iloc[place[rows]])
    return images.assign(**values) if len(rows) else images


def _with(column: pd.Series, rows: Any, values: pd.Series) -> pd.Series:
    changed = column.copy()
    changed.iloc[rows] = values.array
    return changed


def uuids(photos: gpd.GeoDataFrame) -> Any:
    """Return an id for each photo: the same on every run, from where it was and when it was taken."""
    import uuid

    import pandas as pd

    from mlygeo.spatial.sequences import NAMESPACE

    times = photos["captured_at"].astype("str").fillna("")
    texts = zip(photos["first_path"], times, strict=True)
    return pd.array([str(uuid.uuid5(NAMESPACE, f"photo\n{path}\n{time}")) for path, time in texts], dtype="str")
