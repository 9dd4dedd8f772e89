"""Rows in a box of degrees: one meaning for all formats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import degrees, frames
from mlygeo.errors import FrameError, InputError, RegionError
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd

    from mlygeo.arrays import Bounds, Flags, Floats


def checked(bbox: Any) -> Bounds:
    """
    Return a box as four numbers: west, south, east, north in degrees; west > east crosses the antimeridian.

    A box may be a line or a point, as that of one point is.

    Parameters
    ----------
    bbox
        As a user gave it.

    Raises
    ------
    RegionError
        If it is not a box.
    """
    if isinstance(bbox, str):
        bbox = boxes.parse(bbox)
    try:
        west, south, east, north = (float(side) for side in bbox)
    except (TypeError, ValueError) as error:
        raise RegionError(f"`bbox` is four numbers, not {str(bbox)[:60]}", hint=boxes.FORM) from error
    flat = (west == east or (west, east) == (180, -180), south == north)
    try:
        if any(flat):
            _check_sides(west, south, east, north)
            return west, south, east, north
        return boxes.checked(west, south, east, north)
    except RegionError as error:
        hint = None if error.hint is None else error.hint.replace("region=", "bbox=")
        raise RegionError(f"`bbox`: {error}", hint=hint) from error


def _check_sides(west: float, south: float, east: float, north: float) -> None:
    box = (west, south, east, north)
    if not all(map(math.isfinite, box)):
        raise RegionError(f"the bounding box {box} holds a number that is none", hint=boxes.FORM)
    boxes.check_latitudes(south, north, "the bounding box", box)
    if max(abs(west), abs(east)) > 180:
        raise RegionError(f"longitudes lie between -180 and 180, not at {west if abs(west) > 180 else east:g}")
    if south > north:
        raise RegionError(f"south ({south:g}) lies north of north ({north:g})")


def meeting(frame: gpd.GeoDataFrame, bbox: Bounds, file: str) -> gpd.GeoDataFrame:
    """
    Return the rows whose own box, in degrees, meets a box; rows without geometry do not.

    Longitudes beyond ±180 are the same places a turn of the earth away.

    Parameters
    ----------
    frame
        The frame.
    bbox
        West, south, east, north in degrees; west > east crosses the antimeridian.
    file
        Name of the file, for messages.

    Raises
    ------
    FrameError
        If nobody knows the CRS of the frame, or it is none of places on the earth.
    """
    import shapely

    if frame.crs is None:
        if not len(frame):
            return frame
        raise FrameError(
            f"{file} has no CRS, so that nobody knows which rows lie in `bbox`", hint=frames.crs_hint(file)
        )
    lonlat = frame.geometry if is_lonlat(frame.crs) else frames.in_degrees(frame.geometry, file)
    inside = degrees.meets(shapely.bounds(np.asarray(lonlat.values)).T, bbox)
    attrs = frame.attrs
    found = frame[inside].reset_index(drop=True)
    found.attrs = attrs
    return found


REACH = 2.0
"""How far from its box in a plane, in widths and heights of it, the box of a row in degrees reaches at most."""

_PADDING = 1e-4
"""Degrees by which boxes are wider for it: ways between two datums differ by metres."""


def in_degrees(extent: Sequence[float], crs: Any) -> Bounds | None:
    """
    Return a box in degrees around all that lies in a box of a plane.

    Parameters
    ----------
    extent
        Lowest x and y, highest x and y, in the plane.
    crs
        CRS of the plane.

    Returns
    -------
    bounds
        None near the antimeridian or a pole, where the box of a line in degrees is another one than that of its way,
        and where the plane is stretched so unevenly that `REACH` might not hold.
    """
    from pyproj import Proj
    from pyproj.exceptions import ProjError

    if not np.isfinite(extent).all() or extent[0] > extent[2] or extent[1] > extent[3]:
        return None
    try:
        found = frames.turned(crs, frames.CRS).transform_bounds(*map(float, extent), densify_pts=101)
        west, south, east, north = found
        wide, high = 0.05 * (east - west) + _PADDING, 0.05 * (north - south) + _PADDING
        bounds = west - wide, south - high, east + wide, north + high
        if not np.isfinite(bounds).all() or west > east:
            return None
        if max(map(abs, bounds[::2])) > 179 or max(map(abs, bounds[1::2])) > 89:
            return None
        lon, lat = np.meshgrid(np.linspace(bounds[0], bounds[2], 9), np.linspace(bounds[1], bounds[3], 9))
        scales = Proj(crs).get_factors(lon.ravel(), lat.ravel(), errcheck=True)
        even = np.max(scales.tissot_semimajor) <= REACH * np.min(scales.tissot_semiminor)
    except (ProjError, ValueError):
        return None
    return bounds if even else None


def in_plane(bbox: Bounds, around: Bounds, crs: Any) -> Bounds | None:
    """
    Return the box in a plane around a box of degrees; None where it has none.

    Parameters
    ----------
    bbox
        West, south, east, north in degrees.
    around
        The box in degrees of all rows, from `in_degrees`; what lies outside is left away.
    crs
        CRS of the plane.
    """
    from pyproj.exceptions import ProjError

    west, south, east, north = bbox
    if west > east:
        return None
    low, high = (max(west - _PADDING, around[0]), max(south - _PADDING, around[1])), (
        min(east + _PADDING, around[2]), min(north + _PADDING, around[3]),
    )  # fmt: skip
    if low[0] > high[0] or low[1] > high[1]:
        return None
    try:
        found = frames.turned(frames.CRS, crs).transform_bounds(*low, *high, densify_pts=101)
    except ProjError:
        return None
    if not np.isfinite(found).all():
        return None
    wide, tall = 0.05 * (found[2] - found[0]), 0.05 * (found[3] - found[1])
    return found[0] - wide, found[1] - tall, found[2] + wide, found[3] + tall


def may_meet(sides: Floats, box: Bounds) -> Flags:
    """
    Return which rows may meet a box in degrees, by their boxes in a plane.

    A row whose box in degrees holds a place has a point of its longitude and one of its latitude; from either it is
    no farther away than the row is long, as the plane measures it.

    Parameters
    ----------
    sides
        Lowest x and y, highest x and y of the rows, shape (4, n); NaN where there is no geometry.
    box
        The box around the one in degrees, from `in_plane`.
    """
    reach = REACH * ((sides[2] - sides[0]) + (sides[3] - sides[1]))
    inside: Flags = (
        (sides[2] + reach >= box[0]) & (sides[0] - reach <= box[2])
        & (sides[3] + reach >= box[1]) & (sides[1] - reach <= box[3])
    )  # fmt: skip
    inside |= (sides[0] > sides[2]) | (sides[1] > sides[3])
    return inside


def is_lonlat(crs: Any) -> bool:
    """Return whether a CRS is longitude and latitude on WGS 84."""
    from pyproj import CRS

    return bool(CRS.from_user_input(crs).equals(CRS.from_epsg(4326), ignore_axis_order=True))


def checked_columns(columns: Any) -> list[str] | None:
    """
    Return names of columns as a list.

    Parameters
    ----------
    columns
        As a user gave them: None for all, one name, or several.

    Raises
    ------
    InputError
        If they are no names.
    """
    if columns is None:
        return None
    if isinstance(columns, str):
        return [columns]
    try:
        found = list(columns)
    except TypeError as error:
        raise InputError(f"`columns` are names of columns, not {type(columns).__name__}") from error
    if odd := [name for name in found if not isinstance(name, str)]:
        raise InputError(f"`columns` are names of columns, not {str(odd[0])[:40]!r}")
    return list(dict.fromkeys(found))
