"""
Cells of the world: their names, and tiles of the web map as Morton codes, whose order is that of quadkeys.

A tile x, y of zoom z has the code that interleaves the bits of x and y; its two bits a level are the
digits of the quadkey. So the codes of all tiles inside a tile of a lower zoom are one range.

Which cell a position lies in is decided by comparing degrees with the cell's borders, and those have ten
decimals. So machines whose logarithms differ in the last bit agree, and `bounds` holds a position exactly
where `codes` puts it there.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mlygeo.errors import InputError
from mlygeo.extras import missing

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from mlygeo.arrays import Bounds, Flags, Floats, Rows

Bits = TypeVar("Bits", bound="npt.NDArray[np.integer[Any]]")

MOST_ZOOM = 30
"""Codes of 60 bits; a cell is 4 cm wide."""

MOST_RESOLUTION = 15
"""Finest resolution of H3; a hexagon has 0.9 m²."""

BORDER_DECIMALS = 10
"""Decimals of a border's latitude, rounded up: 0.01 mm."""

NEAR_BORDER_DEG = 1e-8
"""Nearer to a border than this, a position is compared with it: far more than the formula's error."""


def named(text: str, option: str, *, also: str = "") -> tuple[str, int]:
    """
    Return the cells that a name means.

    Parameters
    ----------
    text
        "quadkey17" for tiles of zoom 17, or "h3:9" for hexagons of resolution 9.
    option
        The parameter, for errors.
    also
        What else it takes, for errors.

    Returns
    -------
    kind
        "quadkey" or "h3".
    size
        The zoom, or the resolution.

    Raises
    ------
    InputError
        If it means none, or there is no such zoom or resolution.
    """
    found = re.fullmatch(r"(quadkey|h3:)([0-9]{1,3})", text)
    if found is None:
        shown = text if len(text) < 60 else f"{text[:57]}…"
        raise InputError(f"`{option}` is {also}a zoom such as quadkey17, or a resolution such as h3:9, not {shown!r}")
    kind, size = found[1].removesuffix(":"), int(found[2])
    most, word = (MOST_ZOOM, "zoom") if kind == "quadkey" else (MOST_RESOLUTION, "resolution")
    if size > most:
        raise InputError(f"`{option}` is {text}, and the finest {word} is {most}")
    return kind, size


def h3() -> Any:
    """
    Return the package h3, in which cells are numbers.

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    try:
        import h3.api.basic_int
    except ImportError as error:
        raise missing("hexagons need h3", "cells") from error
    return h3.api.basic_int


def tiles(lon: Floats, lat: Floats, zoom: int) -> tuple[Rows, Rows]:
    """
    Return the column and the row of the tile that holds each position.

    Parameters
    ----------
    lon, lat
        Degrees. Latitudes beyond the map's edge (85.05) count to the outermost row, longitudes beyond
        the antimeridian to the outermost column.
    zoom
        From 0 to 30.

    Returns
    -------
    x, y
        int64, from the west and from the north; both -1 where a position is not finite. A position on a
        border belongs to the tile east of it, and south of it.
    """
    _check(zoom)
    lon, lat = (np.asarray(values, dtype=np.float64) for values in (lon, lat))
    count = 1 << zoom
    known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = np.where(known, lon, 0.0), np.clip(np.where(known, lat, 0.0), -89.0, 89.0)
    across, down = web_map(lon, lat, zoom)
    x = _count(across, count, lambda rows, border: lon[rows] >= _west(border, zoom))
    y = _count(down, count, lambda rows, border: lat[rows] <= _north(border, zoom))
    return np.where(known, x, -1), np.where(known, y, -1)


def web_map(lon: Floats, lat: Floats, zoom: int) -> tuple[Floats, Floats]:
    """Return places on the web map in columns and rows of tiles, with fractions; of degrees, not those of the poles."""
    count = 1 << zoom
    sine = np.sin(np.radians(lat))
    return (lon + 180.0) * (count / 360.0), (0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi)) * count


def codes(lon: Floats, lat: Floats, zoom: int) -> Rows:
    """Return the Morton code (int64) of the tile of each position, -1 where it is not finite; see `tiles`."""
    return interleave(*tiles(lon, lat, zoom))


def interleave(x: Rows, y: Rows) -> Rows:
    """Return the Morton codes (int64) of tiles by column and row; -1 where the column is negative."""
    x, y = np.asarray(x, dtype=np.int64), np.asarray(y, dtype=np.int64)
    code = spread(np.maximum(x, 0)) | (spread(np.maximum(y, 0)) << 1)
    return np.where(x < 0, -1, code)


def parts(code: Rows) -> tuple[Rows, Rows]:
    """Return the columns and rows (int64) of tiles by Morton code: the inverse of `interleave`."""
    code = np.asarray(code, dtype=np.int64)
    return _gather(code), _gather(code >> 1)


def span(code: int, zoom: int, deeper: int) -> tuple[int, int]:
    """Return the first code of another, higher zoom inside a cell, and the one after the last."""
    bits = 2 * (deeper - zoom)
    if bits < 0:
        raise InputError(f"zoom {deeper} is coarser than zoom {zoom}, that of the cell")
    return code << bits, (code + 1) << bits


def quadkey(code: int, zoom: int) -> str:
    """Return the quadkey of a cell: a digit a level; empty for the whole world (zoom 0)."""
    _check(zoom)
    if not 0 <= code < 1 << 2 * zoom:
        raise InputError(f"zoom {zoom} has no cell {code}")
    return "".join(str(code >> 2 * level & 3) for level in range(zoom - 1, -1, -1))


def from_quadkey(text: str) -> tuple[int, int]:
    """
    Return the code and the zoom of a quadkey.

    Raises
    ------
    InputError
        If the text has another character than 0, 1, 2 and 3, or more than 30 of them.
    """
    if len(text) > MOST_ZOOM or not set(text) <= set("0123"):
        raise InputError(f"{text!r} is not a quadkey", hint="a quadkey has up to 30 digits from 0 to 3, such as 12020")
    return int(text, 4) if text else 0, len(text)


def bounds(code: int, zoom: int) -> Bounds:
    """
    Return what a cell holds: west, south, east, north in degrees.

    A position is in the cell where west <= lon < east and south < lat <= north. The outermost rows reach
    to the poles, beyond the web map; the outermost column has its eastern border too.
    """
    _check(zoom)
    x, y = (int(values) for values in parts(np.asarray(code)))
    return _west(x, zoom), _north(y + 1, zoom), _west(x + 1, zoom), _north(y, zoom)


def inside(lon: Floats, lat: Floats, code: int, zoom: int) -> Flags:
    """Return whether positions (degrees) lie in a cell; those that are not finite do not."""
    result: Flags = codes(lon, lat, zoom) == code
    return result


def _count(exact: Floats, count: int, beyond: Callable[[Rows, int], Flags]) -> Rows:
    """Return the whole parts of numbers from 0 to count, where near a whole number as `beyond` decides."""
    number = np.floor(np.clip(exact, 0, count - 1)).astype(np.int64)
    nearest = np.rint(exact)
    # No row or column is more than 360 / count degrees wide.
    near = np.flatnonzero((np.abs(exact - nearest) * 360.0 < NEAR_BORDER_DEG * count) & (nearest > 0))
    order = near[np.argsort(nearest[near])]
    for rows in np.split(order, np.flatnonzero(np.diff(nearest[order])) + 1):
        if len(rows):
            border = int(nearest[rows[0]])
            number[rows] = np.where(beyond(rows, border), border, border - 1)
    return np.minimum(number, count - 1)


def _west(column: int, zoom: int) -> float:
    """Return the western border of a column of tiles, degrees: exactly."""
    return column * 360.0 / (1 << zoom) - 180.0


def _north(row: int, zoom: int) -> float:
    """Return the northern border of a row of tiles, degrees; that of the first row is the pole."""
    count = 1 << zoom
    if row <= 0 or row >= count:
        return 90.0 if row <= 0 else -90.0
    exact = math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / count))))
    return math.ceil(exact * 10.0**BORDER_DECIMALS) / 10.0**BORDER_DECIMALS


def _check(zoom: int) -> None:
    if not 0 <= zoom <= MOST_ZOOM:
        raise InputError(f"cells have a zoom from 0 to {MOST_ZOOM}, not {zoom}")


_MASKS = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def spread(values: Bits) -> Bits:
    """Return 64-bit numbers, of up to 32 bits each, with a zero before each bit (Morton, 1966)."""
    bits: Any = values
    for shift, mask in _MASKS:
        bits = (bits | (bits << shift)) & mask
    found: Bits = bits
    return found


def _gather(values: Rows) -> Rows:
    """Return every other bit of numbers, the lowest first: the inverse of `spread`."""
    values = values & _MASKS[-1][1]
    for (shift, _), (_, mask) in zip(_MASKS[::-1], (*_MASKS[-2::-1], (32, 0x00000000FFFFFFFF)), strict=True):
        values = (values | (values >> shift)) & mask
    return values
