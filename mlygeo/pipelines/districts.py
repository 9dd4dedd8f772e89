"""Districts out of a file or frame of polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FrameError, RegionError

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.spatial.districts import Districts
    from mlygeo.store import FrameLike

NAME = "name"
"""Column with the names of districts, unless another is named."""

UNNAMED = "without a name"


@dataclass(frozen=True)
class Read:
    """
    Districts, and what was left out.

    Parameters
    ----------
    districts
        The districts, in the order of their first rows.
    left_out
        How many rows were left out, by reason.
    rows
        How many rows there were.
    """

    districts: Districts
    left_out: dict[str, int]
    rows: int

    def frame(self, columns: dict[str, Any]) -> gpd.GeoDataFrame:
        """Return columns, with a value for each district, as a frame with the shapes."""
        import geopandas as gpd

        from mlygeo import frames

        return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(self.districts.shapes, crs=frames.CRS))


def read(given: FrameLike, column: str | None) -> Read:
    """
    Return the districts of a frame or file; rows of the same name are one district.

    Parameters
    ----------
    given
        Polygons, in any CRS.
    column
        The column with their names; None for "name".

    Raises
    ------
    FrameError
        If there is no such column.
    RegionError
        If a district covers no area, or there is none.
    """
    import numpy as np
    import pandas as pd

    from mlygeo import store
    from mlygeo.regions import Region
    from mlygeo.spatial.districts import Districts

    frame = store.as_frame(given, name="the districts")
    name = NAME if column is None else column
    others = [each for each in frame.columns if each != frame.geometry.name]
    if name not in others:
        raise FrameError(
            f"the districts have no column {name!r} with their names",
            hint=f"name one with `district_name`: they have {', '.join(map(str, others)) or 'none but the geometry'}",
        )
    left_out = dict(frame.attrs.get("left_out") or {})
    unnamed = frame[name].isna() | (frame[name].astype("str").str.strip() == "")
    if unnamed.any():
        left_out[UNNAMED] = int(unnamed.sum())
    named = frame[~unnamed]
    if not len(named):
        raise RegionError("the districts are empty", hint="name another file, or column of names")
    number, names = pd.factorize(named[name].astype("str").str.strip())
    shapes = np.empty(len(names), dtype=object)
    for each, own in enumerate(names):
        try:
            region = Region.from_geometry(named.geometry[number == each], name=f"district {own!r}")
        except RegionError as error:
            if error.hint is None or "buffer" not in error.hint:
                raise
            raise RegionError(str(error), hint="name a file of polygons with `districts`") from error
        shapes[each] = region.geometry
        for reason, count in region.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + count
    return Read(Districts(tuple(names), shapes), left_out, len(frame))
