"""Records of the service as frames, in parts that fit the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import geopandas as gpd

RECORDS_AT_ONCE = 20_000
"""Records made a frame together: as JSON objects they need ten times the memory."""


def joined(parts: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return the parts as one frame, with the attributes of the first."""
    import pandas as pd

    if len(parts) == 1:
        return parts[0]
    # An empty part would only make the others' dtypes doubtful.
    joined: gpd.GeoDataFrame = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    joined.attrs = dict(parts[0].attrs)
    return joined
