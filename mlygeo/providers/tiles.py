"""
Tiles of a region, fetched into a tile cache, whoever serves them.

Several are fetched at a time, at a pace that is safe for the address, until all are there or going on has
no sense. Each is checked and stored whole before it counts as fetched, so a run can be interrupted anywhere
and goes on where it stopped.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mercantile import Tile

from mlygeo import places, store
from mlygeo.errors import FileError, InputError, NetworkError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.net.answers import NotFoundError, check_tile
from mlygeo.net.workers import WorkerPool
from mlygeo.progress import counted, keep
from mlygeo.providers.tile_cache import (
    Plan,
    TileSet,
    default_tile_cache,
    plan,
    read_tile_list,
    region_tiles,
    tile_boxes,
)
from mlygeo.store.atomic import clear_leftovers

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable

    import geopandas as gpd

    from mlygeo.net.http import Client, Service
    from mlygeo.progress import Bar, Progress
    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.service")

FAILURES_IN_A_ROW = 24
"""Tiles that fail one after another, each in all its tries, until the run stops: the service is down."""

UNREACHABLE_IN_A_ROW = 8
"""The same where not even a connection comes about: there is no network."""

SECONDS_TO_STOP = 1.0
"""How long a run that stops waits for requests that are under way."""

KEPT = "the tiles fetched so far are kept"
"""What an interrupted run leaves behind."""


def listed_tiles(
    tiles: list[Tile],
    region: Region,
    tile_list_file: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None,
    *,
    tile_set: TileSet,
    read: Callable[[str | os.PathLike[str]], set[str]] | None = None,
) -> tuple[list[Tile], list[str]]:
    """
    Return the tiles of a region that are listed, and the names in the lists that are none of the region's.

    Parameters
    ----------
    tiles
        The tiles of the region.
    region
        The region.
    tile_list_file
        File with names of tiles, or several; None lists all.
    tile_set
        Whose tiles these are.
    read
        Reads a list; by default as a list of tiles of this set.
    """
    if tile_list_file is None:
        return tiles, []
    files = places.several(tile_list_file)
    listed = set().union(*map(read or (lambda path: read_tile_list(path, tile_set)), files))
    named = {tile_set.name(tile): tile for tile in tiles}
    wanted = [tile for name, tile in named.items() if name in listed]
    if not wanted:
        shown = " and ".join(map(str, files))
        raise InputError(f"none of the {len(tiles):,} tiles of {region.name} stands in {shown}")
    return wanted, sorted(listed - named.keys())


class Wanted(NamedTuple):
    """
    The tiles of a region that are wanted, and which of them are to be fetched.

    Parameters
    ----------
    tiles
        All tiles of the region.
    not_tiles
        Names in the lists that are no tiles of it.
    tile_set
        Whose tiles these are.
    cache
        Folder of the tile cache.
    work
        What is there and what is missing.
    """

    tiles: list[Tile]
    not_tiles: list[str]
    tile_set: TileSet
    cache: Path
    work: Plan

    def frame(self, errors: dict[Tile, str] | None, *, ending: str = ".mvt") -> gpd.GeoDataFrame:
        """
        Return the tiles frame.

        Parameters
        ----------
        errors
            Why tiles could not be fetched; None where nothing was.
        ending
            That of the names of the files.
        """
        cache = None if errors is None else self.cache
        return tiles_frame(
            self.tiles, self.work, errors or {}, cache, tile_set=self.tile_set, not_tiles=self.not_tiles, ending=ending
        )


def wanted_tiles(
    region: Region,
    tile_set: TileSet,
    *,
    tile_cache: str | os.PathLike[str] | None,
    tile_list_file: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None,
    overwrite: bool,
    max_age: float | None,
    damaged: Collection[Path] = (),
    read: Callable[[str | os.PathLike[str]], set[str]] | None = None,
) -> Wanted:
    """
    Return which tiles of a region are wanted, and which are to be fetched.

    Parameters
    ----------
    region
        The region.
    tile_set
        Whose tiles these are.
    tile_cache
        Folder of the tile cache; the user's cache folder unless given.
    tile_list_file
        As for `listed_tiles`.
    overwrite, max_age, damaged
        As for `mlygeo.providers.tile_cache.plan`.
    read
        As for `listed_tiles`.

    Raises
    ------
    RegionError
        If the region has no tiles, or too many.
    InputError
        If an option makes no sense.
    """
    cache = default_tile_cache() if tile_cache is None else Path(tile_cache).expanduser()
    tiles = region_tiles(region, tile_set.zoom)
    listed, not_tiles = listed_tiles(tiles, region, tile_list_file, tile_set=tile_set, read=read)
    work = plan(listed, cache, tile_set, overwrite=overwrite, max_age=max_age, damaged=damaged)
    return Wanted(tiles, not_tiles, tile_set, cache, work)


def log_fetched(region: Region, work: Plan, errors: dict[Tile, str]) -> None:
    """Log how many tiles of a region were there, came and failed."""
    log.log(
        logging.WARNING if errors else logging.INFO,
        "%s of %s: %d cached, %d fetched, %d failed",
        counted(len(work.tiles), "tile"),
        region.name,
        len(work.tiles) - len(work.missing),
        len(work.missing) - len(errors),
        len(errors),
    )


def tiles_frame(
    tiles: list[Tile],
    work: Plan,
    errors: dict[Tile, str],
    cache: Path | None,
    *,
    tile_set: TileSet,
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
            files[tile] = str(cache / f"{tile_set.name(tile)}{ending}")
    addresses = np.array([(tile.x, tile.y) for tile in tiles], dtype=np.int64).reshape(-1, 2)
    columns = {
        "x": addresses[:, 0],
        "y": addresses[:, 1],
        "zoom": np.full(len(tiles), tile_set.zoom, dtype=np.int64),
        "path": pd.Series([files.get(tile) for tile in tiles], dtype="str"),
        "status": pd.Series([status[tile] for tile in tiles], dtype="str"),
        "error": pd.Series([errors.get(tile) for tile in tiles], dtype="str"),
    }
    frame = gpd.GeoDataFrame(columns, geometry=tile_boxes(addresses, tile_set.zoom), crs="EPSG:4326")
    if not_tiles:
        frame.attrs["not_tiles"] = not_tiles
    return frame


class Address(NamedTuple):
    """Where a tile is: its URL, and the parameters of the query, which are never logged."""

    url: str
    query: dict[str, str] | None = None


def save_tile(content: bytes, _: Tile, path: Path) -> None:
    """Store a vector tile in the cache, whole or not at all."""
    with store.atomic(path.with_name(f"{path.name}.mvt")) as temporary:
        temporary.write_bytes(content)


class TileRun:
    """
    One run: workers that fetch, and the caller's thread, which counts and may stop them.

    Parameters
    ----------
    service
        The service.
    cache
        Folder of the tile cache.
    tile_set
        Whose tiles these are.
    address
        Returns where a tile is.
    admit
        As for `mlygeo.net.http.Client`.
    workers
        Tiles fetched at once.
    validate
        Called with bytes, x and y of a tile that came; raises FormatError where it is none.
    save
        Stores the content of a tile at a path, which has no ending yet.
    progress
        Shows how far it is.
    """

    def __init__(
        self,
        service: Service,
        cache: Path,
        tile_set: TileSet,
        *,
        address: Callable[[Tile], Address],
        admit: Callable[[], float],
        workers: int,
        validate: Callable[[bytes, int, int], object] | None,
        save: Callable[[bytes, Tile, Path], object] = save_tile,
        progress: Progress | None,
    ) -> None:
        self._service, self._cache, self._tile_set = service, cache, tile_set
        self._address, self._admit, self._save = address, admit, save
        self._workers, self._validate, self._progress = workers, validate, progress
        self._stop, self._over = threading.Event(), threading.Event()
        self._fetched = 0

    def run(self, missing: tuple[Tile, ...]) -> dict[Tile, str]:
        """Fetch these tiles; return the errors of those that failed."""
        from mlygeo.net.http import Client
        from mlygeo.progress import Progress

        _prepare(self._cache)
        with (
            Client(self._service, connections=self._workers, admit=self._admit, stop=self._stop) as client,
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

        def check(content: bytes) -> None:
            check_tile(content)
            if self._validate is not None:
                self._validate(content, tile.x, tile.y)

        where = self._address(tile)
        what = f"tile {tile.z}/{tile.x}/{tile.y}"
        content = client.get(where.url, what=what, query=where.query, check=check)
        if self._over.is_set():
            raise StoppedError
        self._save(content, tile, self._cache / self._tile_set.name(tile))


def _prepare(cache: Path) -> None:
    """Make the cache's folder, and clear away what killed runs left in it."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"tile cache {cache}: {error.strerror}", hint="name another folder") from error
    clear_leftovers(cache)
