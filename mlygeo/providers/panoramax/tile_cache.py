"""
Panoramax's tile cache: how the files of its tiles are named.

The cache holds one file a zoom-15 tile, `panoramax_HOST_X_Y_15.mvt`, with the host that it is from: each instance has
tiles of its own pictures, the catalogue those of all. A port and a path beside `/api` follow the host after a `+`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mlygeo.providers.tile_cache import TileSet

if TYPE_CHECKING:
    from mlygeo.providers.panoramax.service import Endpoints

ZOOM = 15
"""The one zoom at which tiles hold pictures; at 14 there are lines, and 16 does not exist."""

CATALOGUE_HOST = "api.panoramax.xyz"
"""Host of the catalogue, whose tiles have the pictures of all instances."""

_NAME = re.compile(r"panoramax_([a-z0-9.+-]+)_(\d{1,5})_(\d{1,5})_15(?:\.mvt|\.pbf)?", re.ASCII)


def tile_set(endpoints: Endpoints) -> TileSet:
    """Return the tiles of a server."""
    parts = urlsplit(endpoints.api)
    path = parts.path.strip("/")
    words = [parts.netloc.lower().replace(":", "+"), *([] if path == "api" else path.lower().split("/"))]
    return TileSet(f"panoramax_{re.sub('[^a-z0-9.+-]', '-', '+'.join(words))}", ZOOM)


def host_of_name(name: str) -> tuple[str | None, int, int] | None:
    """
    Return what the name of a tile's file says: the instance, or None for the catalogue, then x and y.

    Parameters
    ----------
    name
        Name of a file; None is returned for one that is not the name of a tile of Panoramax.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    x, y = int(found[2]), int(found[3])
    if max(x, y) >= 1 << ZOOM:
        return None
    host = found[1].partition("+")[0]
    return (None if host == CATALOGUE_HOST else host), x, y
