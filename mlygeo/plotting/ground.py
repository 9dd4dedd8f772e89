"""Map tiles below a picture: fetched from whoever serves them, and laid out in degrees."""

from __future__ import annotations

import io
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np

from mlygeo.errors import FormatError, InputError
from mlygeo.frames import OPENSTREETMAP
from mlygeo.net import http
from mlygeo.net.answers import NotFoundError
from mlygeo.net.files import Files
from mlygeo.plotting.thinning import NORTHMOST

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.arrays import Bytes

SIDE = 256
"""Width and height of a tile, dots."""

MOST_TILES = 64
"""More tiles than these a picture does not ask for; it takes coarser ones instead."""

DEEPEST = 19
"""The finest zoom that most servers have."""

AT_ONCE = 4
"""Tiles that are asked for at a time: servers that cost nothing ask for few."""

KNOWN = {"tile.openstreetmap.org": OPENSTREETMAP}
"""Whose the tiles of a host are, where it serves no others."""


@dataclass(frozen=True)
class Ground:
    """
    A base map.

    Parameters
    ----------
    address
        Address of its tiles, with {z}, {x} and {y}.
    attribution
        Whose it is; None where the host tells.
    """

    address: str
    attribution: str | None = None

    @property
    def line(self) -> str:
        """Whose it is, for below the map."""
        return f"base map: {self.attribution or KNOWN[urlsplit(self.address).hostname or '']}"

    def tile(self, zoom: int, column: int, row: int) -> str:
        """Return the address of a tile; columns go on round the earth."""
        numbers = {"{z}": zoom, "{x}": column % 2**zoom, "{y}": row}
        address = self.address
        for name, number in numbers.items():
            address = address.replace(name, str(number))
        return address


def ground_of(basemap: str | None, attribution: str | None) -> Ground | None:
    """
    Return the base map at an address of map tiles; None where there is none.

    Parameters
    ----------
    basemap
        The address.
    attribution
        Whose the tiles are.

    Raises
    ------
    InputError
        If it is not an address of tiles, or it is not known whose they are.
    """
    if basemap is None:
        if attribution is not None:
            raise InputError("`basemap_attribution` has no effect without `basemap`")
        return None
    try:
        parts = urlsplit(basemap)
        _ = parts.port
    except ValueError:  # a host or a port that none is
        parts = urlsplit("")
    near = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    sound = (parts.scheme == "https" or near) and bool(parts.hostname)
    sound = sound and all(name in basemap for name in ("{z}", "{x}", "{y}"))
    if not sound or any(letter in basemap for letter in "\"'<>; "):
        raise InputError(
            f"`basemap` is not an address of map tiles: {basemap[:80]!r}",
            hint="such as https://tile.openstreetmap.org/{z}/{x}/{y}.png",
        )
    attribution = (attribution or "").strip() or None
    if attribution is None and parts.hostname not in KNOWN:
        raise InputError(
            f"`basemap_attribution` is missing: nothing says whose the map tiles of {parts.hostname} are",
            hint='such as "© OpenStreetMap contributors"; whoever serves the tiles says what',
        )
    return Ground(basemap, attribution)


def picture(
    ground: Ground, bounds: tuple[float, float, float, float], *, dots: float
) -> tuple[npt.NDArray[np.uint8], tuple[float, float, float, float], int]:
    """
    Fetch the tiles below a picture.

    Parameters
    ----------
    ground
        The base map.
    bounds
        West, south, east and north, degrees; east may pass 180.
    dots
        How many dots wide the picture is.

    Returns
    -------
    image
        Red, green and blue, shape (rows, columns, 3), rows at equal steps of latitude.
    extent
        West, east, south and north of it, degrees.
    missing
        Tiles that the server does not have; they are white.

    Raises
    ------
    ServiceError
        If the server cannot be reached, or refuses.
    FormatError
        If what it sends are no pictures, such as vector tiles.
    """
    west, south, east, north = bounds
    south, north = max(south, -NORTHMOST), min(north, NORTHMOST)
    zoom = int(np.clip(math.floor(math.log2(max(dots / SIDE, 1) * 360.0 / (east - west)) + 0.5), 0, DEEPEST))
    while True:
        left, right = (math.floor(_column(lon, zoom)) for lon in (west, east))
        top, bottom = (int(np.clip(math.floor(_row(lat, zoom)), 0, 2**zoom - 1)) for lat in (north, south))
        if (right - left + 1) * (bottom - top + 1) <= MOST_TILES or zoom == 0:
            break
        zoom -= 1
    places = [(column, row) for row in range(top, bottom + 1) for column in range(left, right + 1)]
    with http.Client(Files(), connections=AT_ONCE) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        tiles = list(pool.map(lambda at: _tile(client, ground.tile(zoom, *at)), places))
    mosaic = np.full(((bottom - top + 1) * SIDE, (right - left + 1) * SIDE, 3), 255, np.uint8)
    for (column, row), tile in zip(places, tiles, strict=True):
        if tile is not None:
            mosaic[(row - top) * SIDE :, (column - left) * SIDE :][:SIDE, :SIDE] = tile
    # Rows of tiles are equal steps of Mercator's projection; the axes have equal steps of latitude.
    highest, lowest = (_latitude(number, zoom) for number in (top, bottom + 1))
    steps = highest - (np.arange(len(mosaic)) + 0.5) * (highest - lowest) / len(mosaic)
    rows = np.clip(((np.array([_row(lat, zoom) for lat in steps]) - top) * SIDE).astype(int), 0, len(mosaic) - 1)
    extent = (left * 360.0 / 2**zoom - 180.0, (right + 1) * 360.0 / 2**zoom - 180.0, lowest, highest)
    return mosaic[rows], extent, sum(tile is None for tile in tiles)


def _tile(client: http.Client, address: str) -> Bytes | None:
    from PIL import Image, UnidentifiedImageError

    what = f"the tile {address}"
    try:
        content = client.get(address, what=what)
    except NotFoundError:
        return None
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return np.asarray(_on_white(opened).resize((SIDE, SIDE)))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise FormatError(
            f"{what} is not a picture", hint="base maps are tiles of pictures, not vector tiles"
        ) from error


def _on_white(opened: Any) -> Any:
    """Return a picture without transparency."""
    from PIL import Image

    clear = opened.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def _column(lon: float, zoom: int) -> float:
    return float((lon + 180.0) / 360.0 * 2**zoom)


def _row(lat: float, zoom: int) -> float:
    return float((0.5 - math.asinh(math.tan(math.radians(lat))) / (2 * math.pi)) * 2**zoom)


def _latitude(row: float, zoom: int) -> float:
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / 2**zoom))))
