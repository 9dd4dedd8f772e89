"""
Mapillary's tile cache: which tiles a region has, and how their files are named.

The cache holds one file a zoom-14 tile, `mly1_public_X_Y_14.mvt` (the vector tile as it is,
decompressed; zero bytes where the service has no images) or `mly1_computed_public_X_Y_14.mvt`.
GeoJSON files without an ending, as percept-vsvi-filter leaves them, serve where no `.mvt` file
stands beside them. See `mlygeo.providers.tile_cache`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.providers import tile_cache
from mlygeo.providers.tile_cache import Plan, TileSet

if TYPE_CHECKING:
    import os

    from mercantile import Tile

    from mlygeo.providers.mapillary.service import Service
    from mlygeo.providers.quota import TileQuota

__all__ = [
    "ZOOM",
    "read_tile_list",
    "tile_name",
    "tile_set",
    "tileset",
    "with_costs",
]

ZOOM = 14
"""The one zoom at which tiles hold images."""


def tileset(*, computed: bool = False) -> str:
    """Return the tileset with the original positions, or with those computed in 3D reconstruction."""
    return "mly1_computed_public" if computed else "mly1_public"


def tile_name(tile: Tile, *, computed: bool = False) -> str:
    """
    Return the name of a tile's cache file, without the ending.

    Examples
    --------
    >>> tile_name(Tile(8608, 5641, 14))
    'mly1_public_8608_5641_14'
    """
    return tile_set(computed=computed).name(tile)


def tile_set(*, computed: bool = False) -> TileSet:
    """Return the tiles with the original positions, or with those computed in 3D reconstruction."""
    return TileSet(tileset(computed=computed), ZOOM)


def read_tile_list(path: str | os.PathLike[str]) -> set[str]:
    """Return the names in a list of tiles; see `mlygeo.providers.tile_cache.read_tile_list`."""
    return tile_cache.read_tile_list(path, tile_set(), tile_set(computed=True))


def with_costs(plan: Plan, service: Service, quota: TileQuota) -> Plan:
    """Return a plan with its costs by the service's pace and its limit of the day."""
    return tile_cache.with_costs(plan, service.pace, quota=quota, limit=service.tiles_a_day)
