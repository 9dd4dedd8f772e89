"""
Panoramax's vector tiles of a region, fetched into the tile cache.

No token is needed, and none is sent. An empty tile has zero bytes and status 200.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.errors import InputError
from mlygeo.providers.panoramax.layers import decode
from mlygeo.providers.panoramax.service import Service
from mlygeo.providers.panoramax.tile_cache import ZOOM, tile_set
from mlygeo.providers.tile_cache import Plan, default_tile_cache, plan, region_tiles, with_costs
from mlygeo.providers.tiles import Address, TileRun, listed_tiles, log_fetched, tiles_frame

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable

    import geopandas as gpd
    from mercantile import Tile

    from mlygeo.progress import Progress
    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.service")


def fetch_tiles(
    region: Region,
    *,
    tile_cache: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    max_age: float | None = None,
    tile_list_file: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    workers: int = 4,
    service: Service | None = None,
    damaged: Collection[Path] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Fetch the zoom-15 tiles of a region into the tile cache.

    Tiles that are there already are not asked for, and an interrupted run goes on where it stopped. Each tile is
    decoded before it is stored, so that nothing else is stored as one, and stored whole or not at all.

    Parameters
    ----------
    region
        The region.
    tile_cache
        Folder of the tile cache; the user's cache folder unless given.
    overwrite
        Fetch all tiles anew. The old file stays until the new one is whole.
    max_age
        Fetch those tiles anew that are older than this, days.
    tile_list_file
        Only tiles whose cache file's name stands in this text file, or one of several, one a line.
    workers
        Tiles fetched at once.
    service
        The server; the catalogue, or the one that the environment names, unless given.
    damaged
        Files of the cache that cannot be read; their tiles are fetched anew.
    dry_run
        Fetch nothing; tell which tiles are missing.
    progress
        Shows how far it is.

    Returns
    -------
    tiles
        A row a tile, as for Mapillary; see `mlygeo.fetch_tiles`.

    Raises
    ------
    RegionError
        If the region has no tiles, or too many.
    InputError
        If an option makes no sense.
    NetworkError, ServiceError
        If no tile at all could be fetched for want of a connection, or two dozen in a row failed.
    FileError
        If the cache cannot be written to.
    """
    if workers < 1:
        raise InputError(f"{workers} workers fetch nothing", hint="use `workers=1` or more")
    service = Service.from_environment() if service is None else service
    cache = default_tile_cache() if tile_cache is None else Path(tile_cache).expanduser()
    wanted_set = tile_set(service.endpoints)
    tiles = region_tiles(region, ZOOM)
    wanted, not_tiles = listed_tiles(tiles, region, tile_list_file, tile_set=wanted_set)
    work = plan(wanted, cache, wanted_set, overwrite=overwrite, max_age=max_age, damaged=damaged)
    if dry_run:
        return tiles_frame(tiles, work, {}, None, tile_set=wanted_set, not_tiles=not_tiles)
    errors: dict[Tile, str] = {}
    if work.missing:
        log.info("%s", with_costs(work, service.pace))
        run = TileRun(
            service,
            cache,
            wanted_set,
            address=lambda tile: Address(f"{service.endpoints.api}/map/{tile.z}/{tile.x}/{tile.y}.mvt"),
            admit=service.pace.take,
            workers=workers,
            validate=decode,
            progress=progress,
        )
        errors = run.run(work.missing)
    log_fetched(region, work, errors)
    return tiles_frame(tiles, work, errors, cache, tile_set=wanted_set, not_tiles=not_tiles)


def plan_tiles(
    region: Region,
    *,
    tile_cache: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    max_age: float | None = None,
    tile_list_file: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    service: Service | None = None,
) -> Plan:
    """
    Return what `fetch_tiles` would fetch, and how long it would take; nothing is asked for.

    Parameters
    ----------
    region, tile_cache, overwrite, max_age, tile_list_file, service
        As for `fetch_tiles`.

    Raises
    ------
    RegionError
        If the region has no tiles, or too many.
    InputError
        If an option makes no sense.
    """
    service = Service.from_environment() if service is None else service
    cache = default_tile_cache() if tile_cache is None else Path(tile_cache).expanduser()
    wanted_set = tile_set(service.endpoints)
    wanted, _ = listed_tiles(region_tiles(region, ZOOM), region, tile_list_file, tile_set=wanted_set)
    work = plan(wanted, cache, wanted_set, overwrite=overwrite, max_age=max_age)
    return with_costs(work, service.pace)
