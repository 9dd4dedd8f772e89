"""The images of a region, by way of its vector tiles: fetched, read, and fetched anew where damaged."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import CredentialsError, FormatError

if TYPE_CHECKING:
    from collections.abc import Collection

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.config import Config
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers.mapillary.tile_cache import Plan
    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.fetching")


class Fetching:
    """Fetches the tiles of a region and reads the images in them; damaged tiles are fetched anew."""

    def __init__(
        self,
        region: Region,
        config: Config | None,
        *,
        tile_list_file: Any,
        tile_cache: Any,
        computed: bool,
        overwrite: bool,
        max_age: float | None,
        workers: int,
        token: str | None,
        token_file: Any,
        service: Service | None,
        progress: Progress | None,
    ) -> None:
        from mlygeo.providers.mapillary import layers
        from mlygeo.providers.mapillary import tile_cache as files

        self.region = region
        self.cache = Path(tile_cache or (config and config.tile_cache_dir) or files.default_tile_cache()).expanduser()
        self._which: dict[str, Any] = {
            "tile_cache": self.cache,
            "computed": computed,
            "overwrite": overwrite,
            "max_age": max_age,
            "tile_list_file": tile_list_file,
        }
        self._how: dict[str, Any] = {
            "workers": workers,
            "service": service or _service(token, token_file or (config and config.token_file)),
            "validate": layers.decode,
            "progress": progress,
        }
        self._progress = progress
        self.failed: list[str] = []
        self.summary: dict[str, Any] = {}
        self.attrs: dict[str, Any] = {}

    def plan(self) -> Plan:
        """Return what would be fetched, and how long it would take."""
        from mlygeo.providers.mapillary import tiles as protocol

        return protocol.plan_tiles(self.region, **self._which, service=self._how["service"])

    def fetch(self, damaged: Collection[Path] = (), *, dry_run: bool = False) -> gpd.GeoDataFrame:
        """Return the tiles frame, once all are in the cache that can be had."""
        from mlygeo.providers.mapillary import tile_cache as files
        from mlygeo.providers.mapillary import tiles as protocol

        which = self._which
        if damaged:  # what was asked to be fetched anew has been by now
            which = {**which, "overwrite": False, "max_age": None}
        elif self._progress is not None and not dry_run and (plan := self.plan()).missing:
            self._progress.note(str(plan))
        tiles = protocol.fetch_tiles(self.region, **which, **self._how, damaged=damaged, dry_run=dry_run)
        worked = tiles[tiles["status"] != "skipped"]
        failed = worked[worked["status"] == "failed"]
        tileset = files.tileset(computed=self._which["computed"])
        self.failed = [f"{tileset}_{x}_{y}_14" for x, y in zip(failed["x"], failed["y"], strict=True)]
        counts = {status: int((worked["status"] == status).sum()) for status in ("cached", "fetched", "failed")}
        self.summary = {"tiles": len(worked), **counts, "failed_tiles": self.failed}
        return tiles

    def images(self) -> pa.Table:
        """Return the images of the region."""
        from mlygeo import frames
        from mlygeo.readers import tiles as reader

        damaged: list[Path] = []
        table = reader.images_table(_files(self.fetch()), region=self.region, damaged=damaged)
        if damaged:
            log.warning(
                "%s in the cache is damaged and fetched anew: %s", counted(len(damaged), "tile"), damaged[0].name
            )
            try:
                again = self.fetch(damaged)
            except CredentialsError as error:
                raise FormatError(
                    f"the tile {damaged[0]} is damaged, and without a token it cannot be fetched anew", hint=error.hint
                ) from error
            table = reader.images_table(_files(again), region=self.region)
        facts = table.schema.metadata or {}
        self.summary["images_without_id"] = int(facts.get(b"images_without_id", b"0"))
        self.attrs = {
            "attribution": [frames.MAPILLARY],
            "positions": "computed" if self._which["computed"] else "original",
        }
        return table

    @property
    def warning(self) -> str:
        """What the headline adds where tiles failed."""
        if not self.failed:
            return ""
        return f"; {counted(len(self.failed), 'tile')} could not be fetched, so what lies there is unknown"


def _files(tiles: gpd.GeoDataFrame) -> list[Path]:
    return [Path(path) for path in tiles.loc[tiles["status"] != "skipped", "path"].dropna()]


def _service(token: str | None, token_file: Any) -> Service | None:
    """Return the service for a token that was given; None leaves it to be found when it is needed."""
    from mlygeo.net.http import Service

    if token is None and token_file is None:
        return None
    return Service.from_environment(token=token, token_file=token_file)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as "1 tile" or "1,298 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
