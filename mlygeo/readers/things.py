"""Things that images look at, such as signs, trees and buildings: any vector file of points, lines or polygons."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.errors import FrameError
from mlygeo.spatial import geodesy
from mlygeo.spatial.towards import middles

if TYPE_CHECKING:
    from mlygeo.arrays import Objects
    from mlygeo.regions import Region
    from mlygeo.store import FrameLike
    from mlygeo.store.point_sources import FramePoints


@dataclass(frozen=True)
class Things:
    """
    Things with their shapes.

    Parameters
    ----------
    points
        Their middles, and their columns.
    shapes
        Their geometries, degrees.
    given
        How many there are, with those that are left out.
    left_out
        How many are left out, by reason.
    """

    points: FramePoints
    shapes: Objects
    given: int
    left_out: dict[str, int]

    @property
    def reach_m(self) -> float:
        """The largest distance from the middle of a thing to its rim, and a little more, metres."""
        import shapely

        west, south, east, north = shapely.bounds(self.shapes).T
        return float(geodesy.distance(west, south, east, north).max(initial=0.0)) * 0.51


def open_things(value: FrameLike, region: Region | None) -> Things:
    """
    Open things, those whose middle lies in a region.

    Parameters
    ----------
    value
        A frame, or a file of one.
    region
        None for the whole earth.

    Raises
    ------
    FrameError
        If there is none, or the CRS is unknown.
    """
    from mlygeo import frames, store
    from mlygeo.store.point_sources import FramePoints

    frame = store.as_frame(value, name="the things")
    if frame.crs is None:
        name = store.shown(value) if isinstance(value, str | os.PathLike) else "the things"
        raise FrameError("the things have no CRS", hint=frames.crs_hint(name))
    before = frame.attrs.get("left_out") or {}
    frame = frames.in_degrees(frame, "the things")
    lon, lat = middles(np.asarray(frame.geometry.values))
    placed = np.isfinite(lon) & np.isfinite(lat)
    inside = placed.copy()
    if region is not None:
        inside[placed] = region.contains(lon[placed], lat[placed])
    if not inside.any():
        where = "" if region is None else f" in {region.name}"
        raise FrameError(f"there is no thing{where} to look at", hint="give points, lines or polygons")
    left_out = {f"things: {reason}": count for reason, count in before.items()} | {
        "things without a geometry": int(np.count_nonzero(~placed)),
        "things outside the region": int(np.count_nonzero(placed & ~inside)),
    }
    kept = frame[inside]
    shapes = np.asarray(kept.geometry.values)
    points = kept.set_geometry(frames.points(lon[inside], lat[inside]), crs=frames.CRS).reset_index(drop=True)
    points.attrs = dict(frame.attrs)
    counts = {reason: count for reason, count in left_out.items() if count}
    return Things(FramePoints(points, "the things"), shapes, len(frame), counts)
