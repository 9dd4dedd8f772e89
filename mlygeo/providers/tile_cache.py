"""
Tile caches: which tiles a region has, which of them are on disk, and what fetching the rest takes.

A cache holds one file a tile, the vector tile as it is, decompressed; zero bytes where the service has no images. A
tile that could not be fetched has no file: unknown is never stored as empty. `TileSet` says of which zoom tiles are
and how their files are named; GeoJSON files without an ending serve where no `.mvt` file stands beside them.
"""

from __future__ import annotations

import logging
import math
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mercantile import Tile

from mlygeo import places
from mlygeo.errors import FileError, InputError, RegionError, unreadable
from mlygeo.progress import counted

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Sequence

    from mlygeo.arrays import Objects, Whole
    from mlygeo.net.pace import Pace
    from mlygeo.providers.quota import TileQuota
    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.service")

MOST_TILES = 750_000
"""Tiles of one run: fifteen days at the lowest daily limit, and half a gigabyte of memory. More is a slip."""

LONGEST_LIST = 64 << 20
"""Bytes of a list of tiles: more than the most tiles of one run have."""

EDGE = 85.0511287798066
"""Latitude where the map projection of vector tiles ends, degrees: atan(sinh(π))."""

HAIR = 1e-11
"""Degrees; a region that ends where a tile begins does not meet it. Mercantile's own measure."""

EXAMPLE_AT = {14: Tile(8608, 5641, 14), 15: Tile(17218, 11285, 15)}
"""A tile of each zoom that services have images at, for messages."""

_ENDINGS = (".mvt", ".pbf", ".geojson", ".json")


@dataclass(frozen=True)
class TileSet:
    """
    Tiles that hold images, and how their files in the cache are named.

    Parameters
    ----------
    prefix
        The start of the names: whose tiles these are.
    zoom
        The one zoom at which tiles hold images.
    """

    prefix: str
    zoom: int

    def name(self, tile: Tile) -> str:
        """Return the name of a tile's cache file, without the ending."""
        return f"{self.prefix}_{tile.x}_{tile.y}_{tile.z}"

    def normal(self, name: str) -> str | None:
        """Return a name as `name` makes it; None if it is not the name of a tile of this set."""
        found = re.fullmatch(rf"{re.escape(self.prefix)}_(\d{{1,6}})_(\d{{1,6}})_{self.zoom}", name, re.ASCII)
        if found is None or max(int(found[1]), int(found[2])) >= 2**self.zoom:
            return None
        return f"{self.prefix}_{int(found[1])}_{int(found[2])}_{self.zoom}"


def region_tiles(region: Region, zoom: int) -> list[Tile]:
    """
    Return the tiles of a region.

    Parameters
    ----------
    region
        The region; tiles that only its bounding box touches are left out.
    zoom
        Their zoom.

    Returns
    -------
    tiles
        Sorted by x, then y. What lies beyond 85.0511° north or south has no tiles and is left out.

    Raises
    ------
    RegionError
        If the whole region lies beyond 85.0511°, or has more tiles than 750,000.
    """
    import shapely

    geometry = region.geometry
    _, south, _, north = geometry.bounds
    if south >= EDGE or north <= -EDGE:
        raise RegionError(
            f"{region.name} lies beyond {EDGE:.4f}° {'north' if south > 0 else 'south'}, where the map projection of "
            "vector tiles ends: the service has no tiles there"
        )
    if south < -EDGE or north > EDGE:
        log.warning("%s reaches beyond %.4f° of latitude, where the service has no tiles", region.name, EDGE)
    shapely.prepare(geometry)
    # From the whole world down, four parts of each tile at a time. Tiles that lie inside have all their parts, and
    # need no more looking at; those at the border are parted, and seen on a coarse zoom, a slip costs no time.
    border = np.zeros((1, 2), dtype=np.int64)
    inside: list[tuple[int, Whole]] = []
    for level in range(1, zoom + 1):
        border = (2 * border[:, None, :] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])).reshape(-1, 2)
        outlines = tile_boxes(border, level, shrink=HAIR)
        meets = shapely.intersects(geometry, outlines)
        border, outlines = border[meets], outlines[meets]
        whole = shapely.covers(geometry, outlines)
        inside.append((zoom - level, border[whole]))
        border = border[~whole]
        least = len(border) + sum(len(tiles) * 4**parted for parted, tiles in inside)
        if least > MOST_TILES:
            raise RegionError(f"{region.name} has at least {counted(least, 'tile')}", hint="take it in smaller parts")
    tiles = np.concatenate([border, *(_parts(tiles, parted) for parted, tiles in inside if len(tiles))])
    if not len(tiles):
        raise RegionError(f"{region.name} is too small to lie in a tile")
    tiles = tiles[np.lexsort((tiles[:, 1], tiles[:, 0]))]
    return [Tile._make((x, y, zoom)) for x, y in tiles.tolist()]


def _parts(tiles: Whole, parted: int) -> Whole:
    """Return all parts that tiles have, so many zooms further."""
    side = np.arange(2**parted)
    within = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    parts: Whole = (tiles[:, None, :] * 2**parted + within).reshape(-1, 2)
    return parts


def tile_boxes(tiles: Whole, zoom: int, *, shrink: float = 0.0) -> Objects:
    """
    Return the outlines of tiles.

    Parameters
    ----------
    tiles
        x and y; shape (n, 2).
    zoom
        Their zoom.
    shrink
        How far each side is drawn in, degrees.

    Returns
    -------
    outlines
        Polygons, EPSG:4326; shape (n,).
    """
    import shapely

    count = 2**zoom
    west, east = (tiles[:, 0] + step for step in (0, 1))
    north, south = (np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * (tiles[:, 1] + step) / count)))) for step in (0, 1))
    outlines: Objects = shapely.box(
        west / count * 360 - 180 + shrink, south + shrink, east / count * 360 - 180 - shrink, north - shrink
    )
    return outlines


def read_tile_list(path: str | os.PathLike[str], *tile_sets: TileSet) -> set[str]:
    """
    Read a list of tiles, one cache file's name a line.

    Blank lines and lines that start with `#` are left out; folders before the name and an ending
    after it are allowed, so that the output of `ls` serves.

    Parameters
    ----------
    path
        A text file.
    *tile_sets
        The tile sets that it may name tiles of; the first is that of the example in messages.

    Returns
    -------
    names
        As `TileSet.name` makes them.

    Raises
    ------
    InputError
        If a line is not the name of a tile, or there is none: that would mean no tiles, not all of them.
    FileError
        If it cannot be read.
    """
    path = Path(path).expanduser()
    try:
        content = places.content_of(path, LONGEST_LIST)
        lines = content.decode("utf-8-sig").splitlines() if len(content) <= LONGEST_LIST else []
    except OSError as error:
        raise FileError(f"tile list {unreadable(path, error)}") from error
    except UnicodeDecodeError:
        raise InputError(f"tile list {path} is not text in UTF-8") from None
    if len(content) > LONGEST_LIST:
        raise InputError(f"tile list {path} is longer than {LONGEST_LIST >> 20} MB", hint="take it in smaller parts")
    names = set()
    for number, line in enumerate(lines, 1):
        if not (text := line.strip()) or text.startswith("#"):
            continue
        # Names of hosts have dots in them, other names none.
        file = re.split(r"[/\\]", text)[-1]
        names_of = (_without_ending(file), file.split(".")[0])
        normal = (each.normal(name) for each in tile_sets for name in names_of)
        found = next((name for name in normal if name is not None), None)
        if found is None:
            shown = text if len(text) <= 60 else f"{text[:57]}..."
            example = tile_sets[0].name(EXAMPLE_AT[tile_sets[0].zoom])
            raise InputError(
                f"tile list {path}, line {number}: {shown!r} is not the name of a tile", hint=f"such as {example}"
            )
        names.add(found)
    if not names:
        raise InputError(f"tile list {path} names no tile", hint="leave the option out to take all tiles of the region")
    return names


def _without_ending(name: str) -> str:
    return next((name.removesuffix(ending) for ending in _ENDINGS if name.endswith(ending)), name)


@dataclass(frozen=True)
class Plan:
    """
    What fetching tiles will take, known before it starts.

    Parameters
    ----------
    tiles
        The tiles asked for.
    files
        The file of each tile that stands in the cache, also where it is to be refreshed.
    missing
        The tiles to fetch.
    seconds
        How long that takes at least, at the pace that is safe for the address.
    used_today
        Tile requests already made on this UTC day.
    days
        Days it takes within the service's daily limit; 0 where nothing is missing.
    """

    tiles: tuple[Tile, ...]
    files: dict[Tile, Path]
    missing: tuple[Tile, ...]
    seconds: float = 0.0
    used_today: int = 0
    days: int = 0

    def __str__(self) -> str:
        cached = len(self.tiles) - len(self.missing)
        text = f"{counted(len(self.tiles), 'tile')}, {cached:,} cached, {len(self.missing):,} to fetch"
        if self.days > 1:
            return f"{text} (over {counted(self.days, 'day')}, for the service's daily limit)"
        if self.seconds >= 60:
            return f"{text} (about {math.ceil(self.seconds / 60):,} min)"
        return text


def plan(
    tiles: Sequence[Tile],
    tile_cache: str | os.PathLike[str],
    tile_set: TileSet,
    *,
    overwrite: bool = False,
    max_age: float | None = None,
    damaged: Collection[Path] = (),
) -> Plan:
    """
    Return which tiles are in the cache and which are to be fetched.

    Parameters
    ----------
    tiles
        Tiles of the zoom of the tile set.
    tile_cache
        Folder of the tile cache; it need not exist.
    tile_set
        Whose tiles these are.
    overwrite
        Fetch all of them anew.
    max_age
        Fetch those anew that are older than this, days.
    damaged
        Files of the cache that are damaged; fetch their tiles anew.

    Raises
    ------
    InputError
        If `max_age` is not an age.
    FileError
        If the cache cannot be read.
    """
    if max_age is not None and not 0 <= max_age < math.inf:
        raise InputError(f"a tile's largest age of {max_age} days makes no sense", hint="give a number of days")
    oldest = -math.inf if max_age is None else time.time() - max_age * 86_400
    files: dict[Tile, Path] = {}
    fresh = set()
    for tile in tiles:
        if (found := _cached(Path(tile_cache) / tile_set.name(tile))) is not None:
            files[tile], changed = found
            if changed > oldest and not overwrite and files[tile] not in damaged:
                fresh.add(tile)
    return Plan(tuple(tiles), files, tuple(tile for tile in tiles if tile not in fresh))


def with_costs(plan: Plan, pace: Pace, *, quota: TileQuota | None = None, limit: int = 0) -> Plan:
    """
    Return a plan with the time it takes, the day's requests so far, and the days it needs.

    Parameters
    ----------
    plan
        What is to be fetched.
    pace
        The pace of tile requests.
    quota
        The requests made so far; None where the service has no limit of the day.
    limit
        Tile requests a day.
    """
    missing = len(plan.missing)
    if quota is None:
        return replace(plan, seconds=pace.seconds_for(missing), days=min(missing, 1))
    used = quota.used
    left = max(0, limit - used)
    days = 0 if not missing else 1 if missing <= left else 1 + math.ceil((missing - left) / limit)
    return replace(plan, seconds=pace.seconds_for(missing), used_today=used, days=days)


def _cached(stem: Path) -> tuple[Path, float] | None:
    """Return a tile's file in the cache and when it was written, seconds since 1970."""
    for path in (stem.with_name(f"{stem.name}.mvt"), stem):
        try:
            stat = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise FileError(f"tile cache {path.parent}: {error.strerror}") from error
        # GeoJSON is never empty; such a file is what a crash of percept-vsvi-filter leaves.
        if path.suffix or stat.st_size:
            return path, stat.st_mtime
    return None


def default_tile_cache() -> Path:
    """Return the tile cache in the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("mlygeo", appauthor=False)) / "tiles"
