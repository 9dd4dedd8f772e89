"""
Mapillary's vector tiles of a region, fetched into the tile cache.

Several are fetched at a time, at a pace that is safe for the address, until all are there or going on has
no sense. Each is checked and stored whole before it counts as fetched, so a run can be interrupted anywhere
and goes on where it stopped.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from mlygeo import store
from mlygeo.arrays import LARGE, interpreting
from mlygeo.errors import (
    CredentialsError,
    FileError,
    FormatError,
    InputError,
)
from mlygeo.progress import counted
from mlygeo.providers.mapillary.tile_cache import (
    read_tile_list,
    tile_set,
    tileset,
    with_costs,
)
from mlygeo.providers.quota import TileQuota
from mlygeo.providers.tiles import Address, TileRun, log_fetched, save_tile, wanted_tiles

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    import geopandas as gpd
    from mercantile import Tile

    from mlygeo.progress import Progress
    from mlygeo.providers.mapillary.service import Service
    from mlygeo.providers.tile_cache import Plan
    from mlygeo.regions import Region


__all__ = ["fetch_tiles", "plan_tiles"]

log = logging.getLogger("mlygeo.service")


def fetch_tiles(
    region: Region,
    *,
    tile_cache: str | os.PathLike[str] | None = None,
    computed: bool = False,
    overwrite: bool = False,
    max_age: float | None = None,
    tile_list_file: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    workers: int = 4,
    service: Service | None = None,
    validate: Callable[[bytes, int, int], object] | None = None,
    damaged: Collection[Path] = (),
    geojson: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Fetch the zoom-14 tiles of a region into the tile cache.

    Cached tiles are not requested, so a second run makes no request and needs no token, and an interrupted run
    continues where it stopped. Each tile is checked, and stored completely or not at all. The rate of requests stays
    below the limits of the service, including the daily limit, over all runs of this user.

    Parameters
    ----------
    region
        The region.
    tile_cache
        Folder of the tile cache; the user's cache folder unless given.
    computed
        Tiles with the positions computed in 3D reconstruction, instead of the original ones.
    overwrite
        Fetch all tiles anew. The old file stays until the new one is whole.
    max_age
        Fetch those tiles anew that are older than this, days.
    tile_list_file
        Only tiles whose cache file's name stands in this text file, or one of several, one a line.
    workers
        Tiles fetched at once.
    service
        The service, with its token; from the environment and the user's files unless given.
    validate
        Called with bytes, x and y of a tile that came (a zero-byte one too), from several threads;
        raises FormatError where it is none, and then the tile is asked for again.
    damaged
        Files of the cache that cannot be read; their tiles are fetched anew.
    geojson
        Store tiles as GeoJSON files without an ending, as percept-vsvi-filter does, in place of vector tiles;
        those in the cache are replaced, too.
    dry_run
        Fetch nothing; report which tiles are missing.
    progress
        Shows how far it is.

    Returns
    -------
    tiles
        A row a tile, sorted by x and y: x, y, zoom (int64), path (str; the tile's file, null where
        there is none), status (str: "cached", "fetched", "failed", with `dry_run` "missing", or
        "skipped" for tiles that `tile_list_file` leaves out), error (str, null when fine), and the tile's outline as
        geometry, EPSG:4326. A tile whose refresh failed keeps its old file, and has both. Names in `tile_list_file`
        that are no tiles of the region are in `attrs["not_tiles"]`.

    Raises
    ------
    RegionError
        If the region has no tiles, or too many.
    InputError
        If an option makes no sense.
    CredentialsError
        If a tile is missing and there is no token; before anything starts.
    TokenRejectedError, ThrottledError
        If the service refuses the token or the address, or the day's limit is spent. Tiles fetched before that are in
        the cache.
    NetworkError, ServiceError
        If no tile could be fetched because there is no connection, or two dozen tiles in a row failed.
    FileError
        If the cache cannot be written to.

    Examples
    --------
    >>> fetch_tiles(Region.from_bbox(9.16, 48.76, 9.18, 48.78), tile_cache="tiles")
    """
    if workers < 1:
        raise InputError(f"{workers} workers fetch nothing", hint="use `workers=1` or more")
    wanted = wanted_tiles(
        region, tile_set(computed=computed), tile_cache=tile_cache, tile_list_file=tile_list_file, overwrite=overwrite,
        max_age=max_age, damaged=damaged, read=read_tile_list,
    )  # fmt: skip
    if dry_run:
        return wanted.frame(None)
    errors: dict[Tile, str] = {}
    if geojson:
        wanted = wanted._replace(work=replace(wanted.work, files=_as_geojson(wanted.work, damaged)))
    work = wanted.work
    if work.missing:
        service, token = _with_token(service, work)
        quota = TileQuota(token, pace=service.pace, limit=service.tiles_a_day, folder=service.state_dir)
        log.info("%s", with_costs(work, service, quota))

        def address(tile: Tile) -> Address:
            url = f"{service.endpoints.tiles}/maps/vtp/{tileset(computed=computed)}/2/{tile.z}/{tile.x}/{tile.y}"
            # The tile server knows the token in the query alone; with a header it answers 403.
            return Address(url, {"access_token": token})

        run = TileRun(
            service,
            wanted.cache,
            wanted.tile_set,
            address=address,
            admit=quota.take,
            workers=workers,
            validate=validate,
            save=_store_geojson if geojson else save_tile,
            progress=progress,
        )
        try:
            errors = run.run(work.missing)
        finally:
            quota.close()
    log_fetched(region, work, errors)
    return wanted.frame(errors, ending="" if geojson else ".mvt")


def _as_geojson(work: Plan, damaged: Collection[Path]) -> dict[Tile, Path]:
    """Replace the vector tiles of the cache by GeoJSON; return the file of each tile there is."""
    files = dict(work.files)
    missing = set(work.missing)
    for tile, path in work.files.items():
        if path.suffix and tile not in missing and path not in damaged:
            try:
                files[tile] = _store_geojson(path.read_bytes(), tile, path.with_suffix(""))
            except FormatError:  # whoever reads the tile finds that out, and fetches it anew
                continue
            except OSError as error:
                raise FileError(f"tile cache {path.parent}: {error.strerror}") from error
    return files


def _store_geojson(content: bytes, tile: Tile, path: Path) -> Path:
    """Store a vector tile as GeoJSON, and remove the vector tile beside it."""
    from mlygeo.providers.mapillary.layers import as_geojson_tile, decode

    with interpreting(LARGE):  # objects of Python, whatever the size of the tile
        try:
            text = as_geojson_tile(decode(content, tile.x, tile.y, tile.z))
        except InputError as error:
            raise InputError(f"tile {tile.z}/{tile.x}/{tile.y}: {error}", hint=error.hint) from error
    with store.atomic(path) as temporary:
        temporary.write_bytes(text)
    path.with_name(f"{path.name}.mvt").unlink(missing_ok=True)
    return path


def plan_tiles(
    region: Region,
    *,
    tile_cache: str | os.PathLike[str] | None = None,
    computed: bool = False,
    overwrite: bool = False,
    max_age: float | None = None,
    tile_list_file: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    service: Service | None = None,
) -> Plan:
    """
    Return what `fetch_tiles` would fetch, and how long it would take; nothing is asked for.

    Parameters
    ----------
    region, tile_cache, computed, overwrite, max_age, tile_list_file, service
        As for `fetch_tiles`. Without a token the requests of today are not known.

    Returns
    -------
    plan
        The tiles that are there and those that are missing, seconds and days.

    Raises
    ------
    RegionError
        If the region has no tiles, or too many.
    InputError
        If an option makes no sense.
    """
    from mlygeo.providers.mapillary.service import TOKENS, Service

    wanted = wanted_tiles(
        region, tile_set(computed=computed), tile_cache=tile_cache, tile_list_file=tile_list_file, overwrite=overwrite,
        max_age=max_age, read=read_tile_list,
    )  # fmt: skip
    service = Service(token=TOKENS.find()) if service is None else service
    quota = TileQuota(service.token or "", pace=service.pace, limit=service.tiles_a_day, folder=service.state_dir)
    try:
        return with_costs(wanted.work, service, quota)
    finally:
        quota.close()


def _with_token(service: Service | None, work: Plan) -> tuple[Service, str]:
    """Return the service to ask and its token, which it must have."""
    from mlygeo.providers.mapillary.service import Service

    verb = "is" if len(work.missing) == 1 else "are"
    needed = f"{len(work.missing):,} of {counted(len(work.tiles), 'tile')} {verb} not in the tile cache"
    if service is None:
        try:
            service = Service.from_environment()
        except CredentialsError as error:
            raise CredentialsError(f"{needed}: {error}", hint=error.hint) from None
    if service.token is None:
        raise CredentialsError(f"{needed}, and the service was given without an access token", hint=service.token_hint)
    return service, service.token
