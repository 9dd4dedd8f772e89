"""
Panoramax's vector tiles of a region, fetched into the tile cache.

No token is needed, and none is sent. An empty tile has zero bytes and status 200.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mlygeo.errors import InputError
from mlygeo.providers.panoramax.layers import decode
from mlygeo.providers.panoramax.service import Service
from mlygeo.providers.panoramax.tile_cache import tile_set
from mlygeo.providers.tile_cache import Plan, with_costs
from mlygeo.providers.tiles import Address, TileRun, log_fetched, wanted_tiles

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable
    from pathlib import Path

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
        Fetch nothing; report which tiles are missing.
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
        If no tile could be fetched because there is no connection, or two dozen tiles in a row failed.
    FileError
        If the cache cannot be written to.
    """
    if workers < 1:
        raise InputError(f"{workers} workers fetch nothing", hint="use `workers=1` or more")
    service = Service.from_environment() if service is None else service
    wanted = wanted_tiles(
        region, tile_set(service.endpoints), tile_cache=tile_cache, tile_list_file=tile_list_file, overwrite=overwrite,
        max_age=max_age, damaged=damaged,
    )  # fmt: skip
    if dry_run:
        return wanted.frame(None)
    errors: dict[Tile, str] = {}
    if wanted.work.missing:
        log.info("%s", with_costs(wanted.work, service.pace))
        run = TileRun(
            service,
            wanted.cache,
            wanted.tile_set,
            address=lambda tile: Address(f"{service.endpoints.api}/map/{tile.z}/{tile.x}/{tile.y}.mvt"),
            admit=service.pace.take,
            workers=workers,
            validate=decode,
            progress=progress,
        )
        errors = run.run(wanted.work.missing)
    log_fetched(region, wanted.work, errors)
    return wanted.frame(errors)


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
    wanted = wanted_tiles(
        region, tile_set(service.endpoints), tile_cache=tile_cache, tile_list_file=tile_list_file, overwrite=overwrite,
        max_age=max_age,
    )  # fmt: skip
    return with_costs(wanted.work, service.pace)
