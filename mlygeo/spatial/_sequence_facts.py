"""What is told of each sequence as a whole: facts of its images, and a line through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy.typing as npt
    import pandas as pd

    from mlygeo.spatial.ordering import Order, Rows
    from mlygeo.spatial.polynomial import Array


def facts(members: gpd.GeoDataFrame, rows: Rows) -> pd.DataFrame:
    """Return what the images of each sequence say of it, the first in time first."""
    import pandas as pd

    columns = ("creator_id", "organization_id", "make", "model", "camera_type", "creator_username", "folder")
    known = pd.DataFrame({name: members[name] for name in columns if name in members.columns})
    known["sequence_id"] = members["sequence_id"]
    rest = np.ones(len(members), dtype=bool)
    rest[rows] = False
    groups = known.iloc[np.concatenate([rows, np.flatnonzero(rest)])].groupby("sequence_id", sort=False)
    table = groups.first()
    table.insert(0, "images", groups.size())
    for name, column in (("is_pano", "is_pano"), ("is_duplicate", "duplicates")):
        if name in members.columns:
            flags = members[name].astype("bool").groupby(members["sequence_id"], sort=False)
            table[column] = flags.mean() > 0.5 if name == "is_pano" else flags.sum().astype("int64")
    if "is_pano" not in table:
        table["is_pano"] = False
    return table


def lines(order: Order, starts: Rows) -> npt.NDArray[np.object_]:
    """Return the lines of the sequences that start at these places of an order, cut at the antimeridian."""
    import shapely

    count = np.diff(starts, append=len(order))
    single = count == 1
    # A line has two ends: a single position is both.
    repeat = np.ones(len(order), dtype=np.int64)
    repeat[starts[single]] = 2
    lon, lat = np.repeat(order.lon, repeat), np.repeat(order.lat, repeat)
    number = np.repeat(np.arange(len(starts)), np.where(single, 2, count))
    made = np.asarray(shapely.linestrings(lon, lat, indices=number))
    crossing = np.flatnonzero((np.abs(np.diff(lon)) > 180) & (np.diff(number) == 0))
    for which in np.unique(number[crossing]):
        part = slice(starts[which], starts[which] + count[which])
        made[which] = _cut_at_antimeridian(order.lon[part], order.lat[part])
    return made


def _cut_at_antimeridian(lon: Array, lat: Array) -> Any:
    """Return a line as a MultiLineString that ends at the antimeridian on either side."""
    import shapely

    pieces, piece = [], [(lon[0], lat[0])]
    for west, south, east, north in zip(lon[:-1], lat[:-1], lon[1:], lat[1:], strict=True):
        if abs(east - west) > 180:
            edge = float(np.copysign(180.0, west))
            span = east + 2 * edge - west
            height = south + (north - south) * ((edge - west) / span if span else 0.0)
            pieces.append([*piece, (edge, height)])
            piece = [(-edge, height)]
        piece.append((east, north))
    return shapely.MultiLineString([*pieces, piece])
