"""
Longitudes and latitudes: what is one, which longitudes are the same place, and which boxes meet.

One rule for all that is given in degrees (frames, files, tables of text, Arrow, boxes): latitudes lie within ±90,
longitudes within ±360, since those from 0 to 360 and those that run on across the antimeridian are in use. What lies
beyond ±180 is the same place a turn of the earth away, and whoever takes it there says so.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FrameError, MlygeoError
from mlygeo.progress import counted

if TYPE_CHECKING:
    from mlygeo.arrays import Bounds, Flags, Floats

log = logging.getLogger("mlygeo.degrees")

MOST_LON, MOST_LAT = 360.0, 90.0
"""Degrees beyond which there is no longitude and no latitude."""

HAIR = 1e-9
"""Degrees by which the arithmetic of a projection may miss a pole or a turn: a tenth of a millimetre."""


def beyond(lon: Floats, lat: Floats) -> Flags:
    """Return which coordinates are no longitude and latitude; those that are not finite are no coordinates at all."""
    with np.errstate(invalid="ignore"):
        wrong = (np.abs(lon) > MOST_LON + HAIR) | (np.abs(lat) > MOST_LAT + HAIR)
    found: Flags = wrong & np.isfinite(lon) & np.isfinite(lat)
    return found


def turn(one: Any, other: Any) -> Any:
    """
    Return the angle between two directions, the shorter way round: 0 to 180 degrees.

    Parameters
    ----------
    one, other
        Degrees, of any turn: numbers, or arrays or Series alike. NaN where one is not known or infinite.
    """
    return abs((one - other + 180.0) % 360.0 - 180.0)


def off_axis(heading: Floats, bearing: Floats) -> Floats:
    """Return the angle between two directions, degrees from 0 to 180; NaN where one is unknown."""
    with np.errstate(invalid="ignore"):
        turned = np.fmod(np.abs(heading - bearing), 360.0)
    return np.minimum(turned, 360.0 - turned)


def heading_difference(heading: Floats, bearing: Floats) -> Floats:
    """Return the angle between a camera and the line of a street in either direction: 0 to 90°, NaN if unknown."""
    # fmod is exact, and the compiled kernel uses the same, so that both agree to the last bit.
    with np.errstate(invalid="ignore"):
        difference = np.fmod(np.abs(heading - bearing), 180.0)
    return np.minimum(difference, 180.0 - difference)


def check(
    lon: Floats,
    lat: Floats,
    name: str,
    *,
    hint: str,
    swapped: str | None = None,
    error: type[MlygeoError] = FrameError,
    first: int = 0,
) -> None:
    """
    Raise where coordinates are no longitude and latitude, such as those of a projected CRS.

    Parameters
    ----------
    lon, lat
        Degrees, shape (n,), or (n, 2) for the corners of the boxes of n geometries; those that are not finite pass.
    name
        What messages call them.
    hint
        What to do about it.
    swapped
        What to do where longitudes and latitudes look exchanged; the same by default.
    error
        Class of the error.
    first
        The number of the first row.

    Raises
    ------
    MlygeoError
        Of that class, with the first row that is wrong.
    """
    if _at_most(lon, 180.0) and _at_most(lat, MOST_LAT):
        return
    wrong = beyond(lon, lat)
    if not wrong.any():
        return
    place = tuple(np.argwhere(wrong)[0])
    exchanged = not beyond(lat[wrong], lon[wrong]).any()
    raise error(
        f"{name}: row {place[0] + first + 1} lies at {lon[place]:.12g}, {lat[place]:.12g}, which is no longitude and"
        " latitude",
        hint=f"longitude and latitude look swapped: {swapped or hint}" if exchanged else hint,
    )


def within(lon: Floats, name: str) -> Floats:
    """
    Return longitudes within ±180: those beyond are brought back by a turn, and a warning counts them.

    Parameters
    ----------
    lon
        Degrees, shape (n,); NaN stays.
    name
        What the warning calls them.

    Returns
    -------
    lon
        The same array where there is nothing to bring back.
    """
    turns = None if _at_most(lon, 180.0) else turns_of(lon, lon)
    if turns is None:
        return lon
    warn(int(np.count_nonzero(turns)), name)
    return lon - 360.0 * turns


def _at_most(values: Floats, most: float) -> bool:
    """Return whether all values are known to lie within ± a number, by two numbers of them; not where one is NaN."""
    return values.size > 0 and bool(values.min() >= -most) and bool(values.max() <= most)


def warn(number: int, name: str) -> None:
    """Say how many rows of `name` are taken round the earth."""
    log.warning("%s: %s beyond ±180° of longitude, and taken as the same place within", name, counted(number, "row"))


def turns_of(west: Floats, east: Floats) -> Floats | None:
    """
    Return by how many turns of the earth boxes lie beyond ±180, float64 of shape (n,); None where none does.

    A box that goes on across the antimeridian is not beyond: a part of it is within.

    Parameters
    ----------
    west, east
        The ends of the boxes, degrees, shape (n,).
    """
    with np.errstate(invalid="ignore"):
        if not ((west > 180.0) | (east < -180.0)).any():
            return None
        turns = np.where(west > 180.0, np.ceil((west - 180.0) / 360.0), 0.0)
        return np.where(east < -180.0, -np.ceil((-180.0 - east) / 360.0), turns)


def meets(bounds: Floats | tuple[Floats, Floats, Floats, Floats], bbox: Bounds) -> Flags:
    """
    Return which boxes meet a box; a longitude beyond ±180 is the same place within.

    Parameters
    ----------
    bounds
        Shape (4, n), or four arrays: west, south, east, north, degrees; NaN never meets.
    bbox
        West, south, east, north, degrees within ±180; west > east crosses the antimeridian.
    """
    xmin, ymin, xmax, ymax = bounds
    west, south, east, north = bbox
    with np.errstate(invalid="ignore"):
        in_lon = (xmax >= west) & (xmin <= east) if west <= east else (xmax >= west) | (xmin <= east)
        outside = (xmax > 180.0) | (xmin < -180.0)
        if outside.any():
            end = east if west <= east else east + 360.0
            there = [(xmax + turn >= west) & (xmin + turn <= end) for turn in (-360.0, 0.0, 360.0, 720.0)]
            in_lon = np.where(outside, np.logical_or.reduce(there), in_lon)
        return np.asarray(in_lon & (ymax >= south) & (ymin <= north))
