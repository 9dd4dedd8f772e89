"""
One run of fetching tiles into the cache: several at a time, until all are there or it has no sense to go on.

A tile is checked and stored whole before it counts as fetched.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from mlygeo import store
from mlygeo.errors import FileError, NetworkError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.net.answers import NotFoundError, check_tile
from mlygeo.providers.mapillary.tile_cache import tile_name, tileset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mercantile import Tile

    from mlygeo.net.http import Client, Service
    from mlygeo.net.quota import TileQuota
    from mlygeo.progress import Bar, Progress

log = logging.getLogger("mlygeo.service")

FAILURES_IN_A_ROW = 24
"""Tiles that fail one after another, each in all its tries, until the run stops: the service is down."""

UNREACHABLE_IN_A_ROW = 8
"""The same where not even a connection comes about: there is no network."""

LEFTOVER_AGE_S = 3600.0
"""Age of a temporary folder in the cache from which it belongs to no run that is still alive, seconds."""

SECONDS_TO_STOP = 1.0
"""How long a run that stops waits for requests that are under way."""


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
        progress: Progress | None,
    ) -> None:
        self._service, self._token, self._quota, self._cache = service, token, quota, cache
        self._computed, self._workers, self._validate, self._progress = computed, workers, validate, progress
        self._stop, self._over = threading.Event(), threading.Event()
        self._fetched = 0
        self._todo: queue.SimpleQueue[Tile] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Tile, Exception | None]] = queue.SimpleQueue()

    def run(self, missing: tuple[Tile, ...]) -> dict[Tile, str]:
        """Fetch these tiles; return the errors of those that failed."""
        from mlygeo.net.http import Client
        from mlygeo.progress import Progress

        _prepare(self._cache)
        for tile in missing:
            self._todo.put(tile)
        with (
            Client(self._service, connections=self._workers, admit=self._quota.take, stop=self._stop) as client,
            (self._progress or Progress()).bar("tiles", total=len(missing), unit="tiles") as bar,
        ):
            # Daemons, because a thread that reads from a silent socket cannot be woken: Ctrl-C must
            # not wait for its time-out. What such a thread still gets is dropped.
            threads = [
                threading.Thread(target=self._work, args=(client,), name=f"mlygeo-tiles-{number}", daemon=True)
                for number in range(min(self._workers, len(missing)))
            ]
            errors: dict[Tile, str] = {}
            try:
                for thread in threads:
                    thread.start()
                fatal = self._count(len(missing), errors, bar)
            finally:
                self._end(threads)
        if fatal is None:
            return errors
        if not isinstance(fatal, ServiceError):
            raise fatal
        while not self._done.empty():
            self._fetched += self._done.get()[1] is None
        hint = fatal.hint or "run the same command again later: it goes on where this one stopped"
        raise type(fatal)(f"{fatal}; {self._fetched:,} of {len(missing):,} missing tiles were fetched", hint=hint)

    def _count(self, missing: int, errors: dict[Tile, str], bar: Bar) -> Exception | None:
        """Take in what the workers did, until all is done or an error that ends the run, which is returned."""
        failures = unreachable = 0
        for _ in range(missing):
            tile, error = self._next()
            bar.advance()
            if error is None:
                self._fetched += 1
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

    def _end(self, threads: list[threading.Thread]) -> None:
        """Let requests under way finish, for a moment; what comes later is dropped."""
        self._stop.set()
        deadline = time.monotonic() + SECONDS_TO_STOP
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        self._over.set()

    def _next(self) -> tuple[Tile, Exception | None]:
        while True:
            # A wait without an end would keep Ctrl-C from being seen on Windows.
            with suppress(queue.Empty):
                return self._done.get(timeout=0.5)

    def _work(self, client: Client) -> None:
        """Fetch tiles until there are none left; any error goes to the caller's thread."""
        from mlygeo.net.http import StoppedError

        while not self._stop.is_set():
            try:
                tile = self._todo.get_nowait()
            except queue.Empty:
                return
            try:
                self._fetch(client, tile)
            except StoppedError:
                return
            except (TokenRejectedError, ThrottledError) as error:
                self._stop.set()  # at once: every further request makes it worse
                self._done.put((tile, error))
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                self._done.put((tile, error))
            else:
                self._done.put((tile, None))

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
        with store.atomic(self._cache / f"{tile_name(tile, computed=self._computed)}.mvt") as temporary:
            temporary.write_bytes(content)


def _prepare(cache: Path) -> None:
    """Make the cache's folder, and clear away what killed runs left in it."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"tile cache {cache}: {error.strerror}", hint="name another folder") from error
    for leftover in cache.glob(".*.part"):
        # Another run may clear the same leftovers; whoever is second finds nothing to do.
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_AGE_S:
                shutil.rmtree(leftover)
