"""Bounding boxes in degrees: read from text, checked, and split at the antimeridian."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlygeo.errors import RegionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.arrays import Bounds

FORM = "a bounding box is west, south, east, north in degrees, such as 9.16,48.76,9.18,48.78"

WHOLE = "all longitudes are from -180 to 180"


def parse(text: str) -> Bounds:
    """
    Return the numbers of a text such as "9.16,48.76,9.18,48.78".

    Raises
    ------
    RegionError
        If they are not four numbers.
    """
    try:
        west, south, east, north = (float(part) for part in text.replace(";", ",").split(","))
    except ValueError as error:
        raise RegionError(f"{text!r} is not a bounding box", hint=FORM) from error
    return west, south, east, north


def checked(west: float, south: float, east: float, north: float) -> Bounds:
    """
    Return a box as four floats.

    Raises
    ------
    RegionError
        If a number is not a coordinate, the box is empty, or it would be over 180° wide.
    """
    try:
        west, south, east, north = float(west), float(south), float(east), float(north)
    except (TypeError, ValueError) as error:
        raise RegionError(f"{(west, south, east, north)} are not four numbers", hint=FORM) from error
    box = (west, south, east, north)
    if not all(math.isfinite(number) for number in box):
        raise RegionError(f"the bounding box {box} holds a number that is none", hint=FORM)
    check_latitudes(south, north, "the bounding box", box)
    if max(abs(west), abs(east)) > 180:
        raise RegionError(f"longitudes lie between -180 and 180, not at {west if abs(west) > 180 else east:g}")
    if west == east:
        raise RegionError(f"west and east are both {west:g}: the box has no width")
    if west == 180 and east == -180:
        raise RegionError("west (180) and east (-180) are one meridian: the box has no width", hint=WHOLE)
    if south == north:
        raise RegionError(f"south and north are both {south:g}: the box has no height")
    if south > north:
        raise RegionError(
            f"south ({south:g}) lies north of north ({north:g})",
            hint=f"did you mean `region=({west:g}, {north:g}, {east:g}, {south:g})`",
        )
    if west > east and west - east < 180:
        raise RegionError(
            f"west ({west:g}) lies east of east ({east:g}); across the antimeridian the box "
            f"would be {east + 360 - west:g}° wide",
            hint=f"did you mean `region=({east:g}, {south:g}, {west:g}, {north:g})`",
        )
    return box


def check_latitudes(south: float, north: float, name: str, box: Bounds) -> None:
    """
    Raise unless latitudes lie between the poles.

    Raises
    ------
    RegionError
        With the corrected box, where latitude and longitude look swapped.
    """
    if max(abs(south), abs(north)) <= 90:
        return
    west, _, east, _ = box
    hint = FORM
    if max(abs(west), abs(east)) <= 90:
        hint = f"latitude and longitude look swapped: did you mean `region=({south:g}, {west:g}, {north:g}, {east:g})`"
    latitude = south if abs(south) > 90 else north
    raise RegionError(f"{name} has the latitude {latitude:g}, and latitudes lie between -90 and 90", hint=hint)


def exchanged(bounds: Bounds) -> Bounds | None:
    """Return the box that is meant if latitudes were given as longitudes; None where that is no box."""
    west, south, east, north = bounds
    try:
        return checked(south, west, north, east)
    except RegionError:
        return None


def place(bounds: Bounds) -> str:
    """
    Return where a box lies and how large it is, such as "48.76–48.78°N, 9.16–9.18°E, 1.5 km by 2.2 km".

    The first length is the width, in the middle of the box. Both are those of a sphere, right to half a percent.
    """
    west, south, east, north = bounds
    wide_km = KM_A_DEGREE * ((east - west) % 360 or 360) * math.cos(math.radians((south + north) / 2))
    lengths = (wide_km, KM_A_DEGREE * (north - south))
    sizes = " by ".join(
        f"{length * 1000:.2g} m" if length < 1 else f"{float(f'{length:.2g}'):,g} km" for length in lengths
    )
    return f"{span(south, north, 'NS')}, {span(west, east, 'EW')}, {sizes}"


KM_A_DEGREE = math.pi * 6371.0 / 180
"""Kilometres of a degree of a great circle on a sphere of the earth's mean radius (IUGG)."""


def span(low: float, high: float, letters: str, *, written: Callable[[float], str] = "{:.6g}".format) -> str:
    """
    Return two degrees as people say them, such as "3.2–7.2°E" or "1.5°W–3°E".

    Parameters
    ----------
    low, high
        Degrees.
    letters
        The letters for positive and for negative ones.
    written
        Function that writes a number.
    """
    first, last = (letters[each < 0 or (each == 0 and low + high < 0)] for each in (low, high))
    return f"{written(abs(low))}{'' if first == last else '°' + first}–{written(abs(high))}°{last}"


def split(bounds: Bounds) -> list[Bounds]:
    """Return a box as it is, or as two where it crosses the antimeridian."""
    west, south, east, north = bounds
    if west <= east:
        return [bounds]
    parts = [(west, south, 180.0, north), (-180.0, south, east, north)]
    return [part for part in parts if part[0] < part[2]]
