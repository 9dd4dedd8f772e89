"""Base maps: where their tiles are and whose they are; and map tiles below a picture, laid out in degrees."""

from __future__ import annotations

import html
import io
import math
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import numpy as np

from mlygeo.errors import FormatError, InputError
from mlygeo.frames import OPENSTREETMAP
from mlygeo.net import http
from mlygeo.net.answers import NotFoundError
from mlygeo.net.files import Files
from mlygeo.plotting.thinning import NORTHMOST
from mlygeo.store import paths, tile_archives

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

VECTOR = (".pbf", ".mvt")
"""How addresses of vector tiles end."""

KNOWN = {"tile.openstreetmap.org": OPENSTREETMAP}
"""Whose the tiles of a host are, where it serves no others."""


@dataclass(frozen=True)
class Ground:
    """
    A base map.

    Parameters
    ----------
    address
        Address of its tiles, with {z}, {x} and {y}; or path or address of an archive.
    attribution
        Whose it is.
    kind
        Tiles that are pictures, which a browser fetches when the map is looked at; vector tiles, or an archive of
        either, which are put into the page.
    """

    address: str
    attribution: str
    kind: Literal["pictures", "vector", "archive"] = "pictures"

    @property
    def line(self) -> str:
        """Whose it is, for below the map."""
        return f"base map: {self.attribution}"

    @property
    def is_remote(self) -> bool:
        """Whether a server has it."""
        return "://" in self.address

    @property
    def name(self) -> str:
        """What messages call it."""
        return paths.shown(self.address) if self.is_remote else Path(self.address).name

    def tile(self, zoom: int, column: int, row: int) -> str:
        """Return the address of a tile; columns go on round the earth."""
        numbers = {"{z}": zoom, "{x}": column % 2**zoom, "{y}": row}
        address = self.address
        for name, number in numbers.items():
            address = address.replace(name, str(number))
        return address


def ground_of(basemap: str | os.PathLike[str] | None, attribution: str | None) -> Ground | None:
    """
    Return the base map at an address of map tiles, or in an archive of them; None where there is none.

    Parameters
    ----------
    basemap
        Address of tiles, with {z}, {x} and {y}; or path or address of a PMTiles archive.
    attribution
        Credit for the tiles. The credit in an archive is written below the map in any case.

    Raises
    ------
    InputError
        If it is neither, or the credit for the tiles is unknown.
    FileError
        If an archive cannot be read.
    FormatError
        If it is none, or damaged.
    ServiceError
        If the server of an archive does not answer.
    """
    if basemap is None:
        if attribution is not None:
            raise InputError("`basemap_attribution` has no effect without `basemap`")
        return None
    attribution = (attribution or "").strip() or None
    basemap = os.fspath(basemap)
    if not any(name in basemap for name in ("{z}", "{x}", "{y}")) and tile_archives.is_one(basemap):
        return _of_archive(basemap, attribution)
    try:
        parts = urlsplit(basemap)
        _ = parts.port
    except ValueError:  # a host or a port that none is
        parts = urlsplit("")
    near = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    sound = (parts.scheme == "https" or near) and bool(parts.hostname)
    sound = sound and all(name in basemap for name in ("{z}", "{x}", "{y}"))
    named = paths.shown(basemap) if "://" in basemap else basemap
    if not sound or any(letter in basemap for letter in "\"'<>; "):
        raise InputError(
            f"`basemap` is neither an address of map tiles nor an existing PMTiles archive: {named[:80]!r}",
            hint="such as https://tile.openstreetmap.org/{z}/{x}/{y}.png, or city.pmtiles",
        )
    attribution = attribution or KNOWN.get(parts.hostname or "")
    if attribution is None:
        raise InputError(
            f"`basemap_attribution` is missing: it is not known whom to credit for the tiles of {parts.hostname}",
            hint='such as "© OpenStreetMap contributors", as the terms of the server ask',
        )
    return Ground(basemap, attribution, "vector" if parts.path.lower().endswith(VECTOR) else "pictures")


def _of_archive(source: str, attribution: str | None) -> Ground:
    """Return the base map in an archive, with what it says of whose it is."""
    with tile_archives.opened(source) as archive:
        said = archive.metadata().get("attribution")
        name = archive.name
    lines = [line for line in (attribution, _plain(said) if isinstance(said, str) else None) if line]
    if not lines:
        raise InputError(
            f"`basemap_attribution` is missing: {name} does not say whom to credit for its tiles",
            hint='such as "© OpenStreetMap contributors", as its makers ask',
        )
    address = source if "://" in source else str(Path(source).expanduser())
    return Ground(address, "; ".join(dict.fromkeys(lines)), "archive")


def _plain(text: str) -> str:
    """Return a text of HTML, as attributions of tiles are, as plain text."""
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", text)).split())


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
    InputError
        If it is an archive, or vector tiles.
    ServiceError
        If the server cannot be reached, or refuses.
    FormatError
        If what it sends are no pictures.
    """
    if ground.kind != "pictures":
        raise InputError(
            "`basemap`: vector tiles and archives are drawn on interactive maps (.html); below a picture lie tiles that"
            " are pictures",
            hint="-o map.html, or an address such as https://tile.openstreetmap.org/{z}/{x}/{y}.png",
        )
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
        tiles = list(pool.map(lambda at: _tile(client, ground, zoom, *at), places))
    mosaic = np.full(((bottom - top + 1) * SIDE, (right - left + 1) * SIDE, 3), 255, np.uint8)
    for (column, row), tile in zip(places, tiles, strict=True):
        if tile is not None:
            mosaic[(row - top) * SIDE :, (column - left) * SIDE :][:SIDE, :SIDE] = tile
    # Rows of tiles are equal steps of Mercator's projection; the axes have equal steps of latitude.
    highest, lowest = (latitude(number, zoom) for number in (top, bottom + 1))
    steps = highest - (np.arange(len(mosaic)) + 0.5) * (highest - lowest) / len(mosaic)
    rows = np.clip(((np.array([_row(lat, zoom) for lat in steps]) - top) * SIDE).astype(int), 0, len(mosaic) - 1)
    extent = (left * 360.0 / 2**zoom - 180.0, (right + 1) * 360.0 / 2**zoom - 180.0, lowest, highest)
    return mosaic[rows], extent, sum(tile is None for tile in tiles)


def _tile(client: http.Client, ground: Ground, zoom: int, column: int, row: int) -> Bytes | None:
    from PIL import Image, UnidentifiedImageError

    what = f"tile {zoom}/{column % 2**zoom}/{row} of {ground.name}"
    try:
        content = client.get(ground.tile(zoom, column, row), what=what)
    except NotFoundError:
        return None
    try:
        with Image.open(io.BytesIO(content)) as opened:
            return np.asarray(_on_white(opened).resize((SIDE, SIDE)))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise FormatError(
            f"{what} is not a picture", hint="give an address of tiles that are pictures, not vector tiles"
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


def latitude(row: float, zoom: int) -> float:
    """Return the latitude of a row of tiles, degrees."""
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / 2**zoom))))
