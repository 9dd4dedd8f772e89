"""
Vector tiles of a region, fetched into the tile cache.

Several are fetched at a time, at a pace that is safe for the address, until all are there or going on has
no sense. Each is checked and stored whole before it counts as fetched, so a run can be interrupted anywhere
and goes on where it stopped.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mercantile import Tile

from mlygeo import places, store
from mlygeo.arrays import LARGE, interpreting
from mlygeo.errors import (
    CredentialsError,
    FileError,
    FormatError,
    InputError,
    NetworkError,
    ServiceError,
    ThrottledError,
    TokenRejectedError,
)
from mlygeo.net.answers import NotFoundError, check_tile
from mlygeo.net.quota import TileQuota
from mlygeo.net.workers import WorkerPool
from mlygeo.progress import counted, keep
from mlygeo.providers.mapillary.tile_cache import (
    ZOOM,
    Plan,
    default_tile_cache,
    plan,
    read_tile_list,
    region_tiles,
    tile_boxes,
    tile_name,
    tileset,
    with_costs,
)
from mlygeo.store.atomic import clear_leftovers

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable

    import geopandas as gpd

    from mlygeo.net.http import Client
    from mlygeo.progress import Bar, Progress
    from mlygeo.providers.mapillary.service import Service
    from mlygeo.regions import Region


__all__ = [
    "FAILURES_IN_A_ROW",
    "SECONDS_TO_STOP",
    "UNREACHABLE_IN_A_ROW",
    "fetch_tiles",
    "plan_tiles",
]

log = logging.getLogger("mlygeo.service")

FAILURES_IN_A_ROW = 24
"""Tiles that fail one after another, each in all its tries, until the run stops: the service is down."""

UNREACHABLE_IN_A_ROW = 8
"""The same where not even a connection comes about: there is no network."""

SECONDS_TO_STOP = 1.0
"""How long a run that stops waits for requests that are under way."""

KEPT = "the tiles fetched so far are kept"
"""What an interrupted run leaves behind."""


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

    Tiles that are there already are not asked for, so a second run makes no request and needs no
    token, and an interrupted one goes on where it stopped. Each tile is checked before it is
    stored, and stored whole or not at all. Requests keep a pace that is safe for the address, and
    the service's daily limit, over all runs of this user.

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
        Fetch nothing; tell which tiles are missing.
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
        If the service refuses the token or the address, or the day's limit is spent. The tiles
        that came before are in the cache.
    NetworkError, ServiceError
        If no tile at all could be fetched for want of a connection, or two dozen in a row failed.
    FileError
        If the cache cannot be written to.

    Examples
    --------
    >>> fetch_tiles(Region.from_bbox(9.16, 48.76, 9.18, 48.78), tile_cache="tiles")
    """
    if workers < 1:
        raise InputError(f"{workers} workers fetch nothing", hint="use `workers=1` or more")
    cache = default_tile_cache() if tile_cache is None else Path(tile_cache).expanduser()
    tiles = region_tiles(region)
    wanted, not_tiles = _listed(tiles, region, tile_list_file, computed=computed)
    work = plan(wanted, cache, computed=computed, overwrite=overwrite, max_age=max_age, damaged=damaged)
    if dry_run:
        return _frame(tiles, work, {}, None, computed=computed, not_tiles=not_tiles)
    errors: dict[Tile, str] = {}
    if geojson:
        work = replace(work, files=_as_geojson(work, damaged))
    if work.missing:
        service, token = _with_token(service, work)
        quota = TileQuota(token, pace=service.pace, limit=service.tiles_a_day, folder=service.state_dir)
        log.info("%s", with_costs(work, service, quota))
        run = TileRun(
            service,
            token,
            quota,
            cache,
            computed=computed,
            workers=workers,
            validate=validate,
            geojson=geojson,
            progress=progress,
        )
        try:
            errors = run.run(work.missing)
        finally:
            quota.close()
    log.log(
        logging.WARNING if errors else logging.INFO,
        "%s of %s: %d cached, %d fetched, %d failed",
        counted(len(wanted), "tile"),
        region.name,
        len(wanted) - len(work.missing),
        len(work.missing) - len(errors),
        len(errors),
    )
    return _frame(tiles, work, errors, cache, computed=computed, not_tiles=not_tiles, ending="" if geojson else ".mvt")


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

    cache = default_tile_cache() if tile_cache is None else Path(tile_cache).expanduser()
    wanted, _ = _listed(region_tiles(region), region, tile_list_file, computed=computed)
    work = plan(wanted, cache, computed=computed, overwrite=overwrite, max_age=max_age)
    service = Service(token=TOKENS.find()) if service is None else service
    quota = TileQuota(service.token or "", pace=service.pace, limit=service.tiles_a_day, folder=service.state_dir)
    try:
        return with_costs(work, service, quota)
    finally:
        quota.close()


def _listed(
    tiles: list[Tile],
    region: Region,
    tile_list_file: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None,
    *,
    computed: bool,
) -> tuple[list[Tile], list[str]]:
    """Return the tiles of a region that are listed, and the names in the lists that are none of the region's."""
    if tile_list_file is None:
        return tiles, []
    files = places.several(tile_list_file)
    listed = set().union(*map(read_tile_list, files))
    named = {tile_name(tile, computed=computed): tile for tile in tiles}
    wanted = [tile for name, tile in named.items() if name in listed]
    if not wanted:
        shown = " and ".join(map(str, files))
        raise InputError(f"none of the {len(tiles):,} tiles of {region.name} stands in {shown}")
    return wanted, sorted(listed - named.keys())


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


def _frame(
    tiles: list[Tile],
    work: Plan,
    errors: dict[Tile, str],
    cache: Path | None,
    *,
    computed: bool,
    ending: str = ".mvt",
    not_tiles: list[str],
) -> gpd.GeoDataFrame:
    """Return the tiles frame; without a cache the missing tiles have not been fetched into it."""
    import geopandas as gpd
    import pandas as pd

    missing, wanted = set(work.missing), set(work.tiles)
    files = {tile: str(path) for tile, path in work.files.items()}
    status = {}
    for tile in tiles:
        if tile not in wanted:
            status[tile] = "skipped"
        elif tile in errors:
            status[tile] = "failed"
        elif tile not in missing:
            status[tile] = "cached"
        elif cache is None:
            status[tile] = "missing"
        else:
            status[tile] = "fetched"
            files[tile] = str(cache / f"{tile_name(tile, computed=computed)}{ending}")
    addresses = np.array([(tile.x, tile.y) for tile in tiles], dtype=np.int64).reshape(-1, 2)
    columns = {
        "x": addresses[:, 0],
        "y": addresses[:, 1],
        "zoom": np.full(len(tiles), ZOOM, dtype=np.int64),
        "path": pd.Series([files.get(tile) for tile in tiles], dtype="str"),
        "status": pd.Series([status[tile] for tile in tiles], dtype="str"),
        "error": pd.Series([errors.get(tile) for tile in tiles], dtype="str"),
    }
    frame = gpd.GeoDataFrame(columns, geometry=tile_boxes(addresses, ZOOM), crs="EPSG:4326")
    if not_tiles:
        frame.attrs["not_tiles"] = not_tiles
    return frame


class TileRun:
    """One run: workers that fetch, and the caller's thread, which counts and may stop them."""

    def __init__(
        self,
        service: Service,
        token: str,
        quota: TileQuota,
        cache: Path,
        *,
        computed: bool,
        workers: int,
        validate: Callable[[bytes, int, int], object] | None,
        geojson: bool,
        progress: Progress | None,
    ) -> None:
        self._geojson = geojson
        self._service, self._token, self._quota, self._cache = service, token, quota, cache
        self._computed, self._workers, self._validate, self._progress = computed, workers, validate, progress
        self._stop, self._over = threading.Event(), threading.Event()
        self._fetched = 0

    def run(self, missing: tuple[Tile, ...]) -> dict[Tile, str]:
        """Fetch these tiles; return the errors of those that failed."""
        from mlygeo.net.http import Client
        from mlygeo.progress import Progress

        _prepare(self._cache)
        with (
            Client(self._service, connections=self._workers, admit=self._quota.take, stop=self._stop) as client,
            (self._progress or Progress()).bar("tiles", total=len(missing), unit="tiles") as bar,
        ):
            pool = WorkerPool[Tile, None](
                lambda tile: self._work(client, tile), workers=min(self._workers, len(missing)), name="tiles"
            )
            results = pool.results(missing)
            errors: dict[Tile, str] = {}
            try:
                fatal = self._count(results, len(missing), errors, bar)
            finally:
                # Requests under way may finish, for a moment; what comes later is dropped.
                self._stop.set()
                results.close()
                late = pool.leave(SECONDS_TO_STOP)
                if any(result is None for _, result in late):
                    keep(KEPT)
                self._over.set()
        if fatal is None:
            return errors
        if not isinstance(fatal, ServiceError):
            raise fatal
        self._fetched += sum(result is None for _, result in late)
        hint = fatal.hint or "run the same command again later: it goes on where this one stopped"
        raise type(fatal)(f"{fatal}; {self._fetched:,} of {len(missing):,} missing tiles were fetched", hint=hint)

    def _count(
        self, results: Iterable[tuple[Tile, Exception | None]], missing: int, errors: dict[Tile, str], bar: Bar
    ) -> Exception | None:
        """Take in what the workers did, until all is done or an error that ends the run, which is returned."""
        from mlygeo.net.http import StoppedError

        failures = unreachable = 0
        for tile, error in results:
            if isinstance(error, StoppedError):  # another tile's error ends the run, and comes as well
                continue
            bar.advance()
            if error is None:
                self._fetched += 1
                keep(KEPT)
                failures = unreachable = 0
                continue
            errors[tile] = str(error)
            # Whole areas may answer 404 for a day; to stop there would bar the way to all the rest.
            failures += not isinstance(error, NotFoundError)
            unreachable += isinstance(error, NetworkError)
            if (
                not isinstance(error, ServiceError)
                or isinstance(error, TokenRejectedError | ThrottledError)
                or failures >= FAILURES_IN_A_ROW
                or unreachable >= min(UNREACHABLE_IN_A_ROW, missing)
            ):
                return error
            log.debug("%s", error)
        return None

    def _work(self, client: Client, tile: Tile) -> None:
        """Fetch a tile; a refused token or address stops all others at once: each further request makes it worse."""
        try:
            self._fetch(client, tile)
        except (TokenRejectedError, ThrottledError):
            self._stop.set()
            raise

    def _fetch(self, client: Client, tile: Tile) -> None:
        from mlygeo.net.http import StoppedError

        address = f"{tile.z}/{tile.x}/{tile.y}"
        url = f"{self._service.endpoints.tiles}/maps/vtp/{tileset(computed=self._computed)}/2/{address}"

        def check(content: bytes) -> None:
            check_tile(content)
            if self._validate is not None:
                self._validate(content, tile.x, tile.y)

        # The tile server knows the token in the query alone; with a header it answers 403.
        query = {"access_token": self._token}
        content = client.get(url, what=f"tile {address}", query=query, check=check)
        if self._over.is_set():
            raise StoppedError
        name = tile_name(tile, computed=self._computed)
        if self._geojson:
            _store_geojson(content, tile, self._cache / name)
            return
        with store.atomic(self._cache / f"{name}.mvt") as temporary:
            temporary.write_bytes(content)


def _prepare(cache: Path) -> None:
    """Make the cache's folder, and clear away what killed runs left in it."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"tile cache {cache}: {error.strerror}", hint="name another folder") from error
    clear_leftovers(cache)
