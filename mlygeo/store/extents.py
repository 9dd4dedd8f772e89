"""Rows in a box of degrees: one meaning for all formats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import degrees, frames
from mlygeo.errors import FrameError, InputError, RegionError
from mlygeo.spatial import boxes

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Bounds


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
        If it is no box.
    """
    if isinstance(bbox, str):
        bbox = boxes.parse(bbox)
    try:
        west, south, east, north = (float(side) for side in bbox)
    except (TypeError, ValueError) as error:
        raise RegionError(f"`bbox` is four numbers, not {str(bbox)[:60]}", hint=boxes.FORM) from error
    flat = (west == east, south == north)
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
            f"{file} has no CRS, so that nobody knows which rows lie in `bbox`", hint="read it whole, and use .set_crs"
        )
    lonlat = frame.geometry if is_lonlat(frame.crs) else frames.in_degrees(frame.geometry, file)
    inside = degrees.meets(shapely.bounds(np.asarray(lonlat.values)).T, bbox)
    attrs = frame.attrs
    found = frame[inside].reset_index(drop=True)
    found.attrs = attrs
    return found


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
