"""
Geodesics between many pairs of positions: short ones by a formula, the others by PROJ.

Most steps between images are some metres long. There the mid-latitude formula of Gauss (first order:
radii of curvature and convergence of meridians at the middle of the line) agrees with PROJ within
`TOLERANCE_M` and `TOLERANCE_DEGREES`, at a tenth of its price. Whoever compares a distance with a limit
asks `farther`, which lets PROJ decide where the formula's error could matter, and so gives PROJ's answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from mlygeo.arrays import in_threads
from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    from mlygeo.spatial.polynomial import Array

Flags: TypeAlias = npt.NDArray[np.bool_]

SEMI_MAJOR_M, FLATTENING = 6_378_137.0, 1 / 298.257223563
ECCENTRICITY_SQUARE = FLATTENING * (2 - FLATTENING)

SHORT_DEGREES = 0.01
"""Lines within this many degrees of latitude, and of longitude at the equator's scale, are short: 1.1 km."""

STEEP_DEGREES = 80.0
"""Beyond this latitude meridians converge too fast for the formula."""

TOLERANCE_M = 1e-4
TOLERANCE_DEGREES = 1e-5
"""Bounds on the error of the formula, with room to spare: at 1 km and 80° it is 3e-5 m and 2e-6°."""

CHUNK = 1 << 15
"""Pairs worked on at once: the arrays of this length stay in the caches."""


def lengths(lon1: Array, lat1: Array, lon2: Array, lat2: Array) -> Array:
    """Return the lengths of lines between pairs of positions, metres; NaN where a coordinate is."""
    found = np.empty(len(lon1))

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        east, north, _, long = _offsets(lon1[part], lat1[part], lon2[part], lat2[part])
        np.multiply(east, east, out=east)
        east += north * north
        np.sqrt(east, out=east)
        if long.any():
            east[long] = geodesy.distance(lon1[part][long], lat1[part][long], lon2[part][long], lat2[part][long])
        found[part] = east

    in_threads(work, len(lon1), CHUNK)
    return found


def bearings(lon1: Array, lat1: Array, lon2: Array, lat2: Array) -> Array:
    """Return the bearings of lines where they start, degrees in [0, 360); NaN where positions coincide."""
    found = np.empty(len(lon1))

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        east, north, turn, long = _offsets(lon1[part], lat1[part], lon2[part], lat2[part])
        azimuth = np.degrees(np.arctan2(east, north) - 0.5 * turn)
        azimuth[(east == 0) & (north == 0)] = np.nan
        azimuth += 360.0 * (azimuth < 0)
        # What was a tiny negative number has become 360 itself; half a turn of meridians may pass it too.
        azimuth -= 360.0 * (azimuth >= 360)
        if long.any():
            azimuth[long] = geodesy.bearing(lon1[part][long], lat1[part][long], lon2[part][long], lat2[part][long])
        found[part] = azimuth

    in_threads(work, len(lon1), CHUNK)
    return found


def farther(lon1: Array, lat1: Array, lon2: Array, lat2: Array, limit_m: float) -> Flags:
    """
    Return which pairs lie farther apart than a limit, as PROJ has it.

    A position that is none (NaN, or a latitude beyond 90) is far from everything.
    """
    found = np.empty(len(lon1), dtype=bool)

    def work(start: int, stop: int) -> None:
        part = slice(start, stop)
        east, north, _, unsure = _offsets(lon1[part], lat1[part], lon2[part], lat2[part])
        np.multiply(east, east, out=east)
        east += north * north
        answer = ~(east <= limit_m * limit_m)
        # One band around the limit, in squares; NaN compares as False.
        near = east > max(limit_m - TOLERANCE_M, 0.0) ** 2
        near &= east <= max(limit_m + TOLERANCE_M, 0.0) ** 2
        unsure |= near
        if unsure.any():
            exact = geodesy.distance(lon1[part][unsure], lat1[part][unsure], lon2[part][unsure], lat2[part][unsure])
            answer[unsure] = ~(exact <= limit_m)
        found[part] = answer

    in_threads(work, len(lon1), CHUNK)
    return found


def along(lon1: Array, lat1: Array, lon2: Array, lat2: Array, share: Array) -> tuple[Array, Array]:
    """
    Return positions on the geodesics through pairs of positions, as PROJ has them.

    Parameters
    ----------
    lon1, lat1, lon2, lat2
        Degrees.
    share
        0 at the first position, 1 at the second; less or more lies on the line's extension.

    Returns
    -------
    lon, lat
        Degrees, longitudes in [-180, 180]. At shares 0 and 1 the positions themselves, to the last bit.
    """
    azimuth, length = geodesy.inverse(lon1, lat1, lon2, lat2)
    lon, lat = geodesy.destination(lon1, lat1, azimuth, length * share)
    # A resting receiver repeats its position; a direct problem of length 0 would rewrite its last digits.
    for at, (exact_lon, exact_lat) in ((0.0, (lon1, lat1)), (1.0, (lon2, lat2))):
        same = (share == at) | (length == 0)
        lon[same], lat[same] = exact_lon[same], exact_lat[same]
    return lon, lat


def _offsets(lon1: Array, lat1: Array, lon2: Array, lat2: Array) -> tuple[Array, Array, Array, Flags]:
    """
    Return metres east and north, turn of the meridians (radians), and which lines are not short.

    Where a line is not short, the rest is of no use.
    """
    delta = lon2 - lon1
    far = np.abs(delta) > 180
    if far.any():
        delta[far] -= np.copysign(360.0, delta[far])
    rise = lat2 - lat1
    middle = lat1 + lat2
    middle *= 0.5
    sine = np.sin(np.radians(middle))
    square = sine * sine
    cosine = np.sqrt(1.0 - square)
    root = 1.0 - ECCENTRICITY_SQUARE * square
    long = np.abs(middle) > STEEP_DEGREES
    long |= np.abs(rise) > SHORT_DEGREES
    # Radius of curvature across the meridian, and along it.
    normal = SEMI_MAJOR_M / np.sqrt(root)
    delta = np.radians(delta)
    cosine *= delta
    long |= np.abs(cosine) > np.radians(SHORT_DEGREES)
    cosine *= normal
    normal /= root
    normal *= 1 - ECCENTRICITY_SQUARE
    normal *= np.radians(rise)
    delta *= sine
    return cosine, normal, delta, long
