"""Files of the tile cache -> images frame: raw vector tiles, and the GeoJSON of percept-vsvi-filter."""

from __future__ import annotations

import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError
from mlygeo.providers.mapillary import layers

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.readers.tiles")

NAME = re.compile(r"(?P<tileset>mly\w*?)_(?P<x>\d+)_(?P<y>\d+)_(?P<zoom>\d+)(\.mvt|\.pbf|\.geojson|\.json)?")
"""A file of the tile cache: tileset, column, row and zoom level of the tile."""


def read_tiles(
    tiles: gpd.GeoDataFrame | Iterable[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    region: Region | None = None,
    computed: bool = False,
) -> gpd.GeoDataFrame:
    """
    Read files of the tile cache into one images frame.

    Parameters
    ----------
    tiles
        What `fetch_tiles` returned, or paths of tile files, or a folder of them. Raw vector
        tiles (`mly1_public_X_Y_14.mvt`) and GeoJSON without an ending, as percept-vsvi-filter
        leaves it (`mly1_public_X_Y_14`).
    region
        Keep only images that lie in it, or on its edge. None keeps all.
    computed
        Of a folder, read the tiles of computed positions (`mly1_computed_public_…`).

    Returns
    -------
    images
        Images frame, EPSG:4326, each image once even if two neighbouring tiles hold it, sorted
        by id. `attrs["images_without_id"]` counts what had to be left out for want of an id.

    Raises
    ------
    FormatError
        If a file is no tile; the message names it.
    FileError
        If a file cannot be read.

    Examples
    --------
    >>> read_tiles("ams-tiles", region=Region.from_bbox(4.88, 52.36, 4.90, 52.38))
    """
    table = images_table(_paths(tiles, computed=computed), region=region)
    images = frames.from_arrow(table, frames.IMAGES)
    metadata = table.schema.metadata or {}
    return frames.attribute(
        images,
        frames.MAPILLARY,
        positions=metadata.get(b"positions", b"original").decode(),
        images_without_id=int(metadata.get(b"images_without_id", b"0")),
    )


def images_table(paths: Iterable[Path], *, region: Region | None = None, damaged: list[Path] | None = None) -> pa.Table:
    """
    Read tile files into one Arrow table; the floor below `read_tiles`.

    Parameters
    ----------
    paths
        Tile files.
    region
        Keep only images in it.
    damaged
        Damaged files are added to this list and passed over; without a list they raise.

    Returns
    -------
    table
        The columns of `mvt.decode`, each id once, sorted by id. The metadata say how many images
        had no id, and whose positions these are (original or computed).
    """
    import pyarrow as pa

    def read(path: Path) -> pa.Table | None:
        try:
            return read_table(path)
        except FormatError:
            if damaged is None:
                raise
            damaged.append(path)
            return None

    paths = sorted(paths)
    with ThreadPoolExecutor(2) as pool:
        parts = [part for part in pool.map(read, paths) if part is not None]
    without_id = sum(int((part.schema.metadata or {}).get(b"images_without_id", b"0")) for part in parts)
    positions = {"computed" if "computed" in path.name else "original" for path in paths} or {"original"}
    parts = [part.replace_schema_metadata(None) for part in parts] or [layers.decode(b"", 0, 0)]
    table = pa.concat_tables(parts, promote_options="default")
    if region is not None:
        table = table.filter(pa.array(region.contains(table["lon"].to_numpy(), table["lat"].to_numpy())))
    _, first = np.unique(table["id"].to_numpy(), return_index=True)
    twice = len(table) - len(first)
    table = table.take(pa.array(first))
    log.info("%s images in %d tiles (%d stood in two)", f"{len(table):,}", len(paths), twice)
    return table.replace_schema_metadata(
        {"images_without_id": str(without_id), "positions": " and ".join(sorted(positions))}
    )


def read_table(path: Path) -> pa.Table:
    """
    Read one tile file into an Arrow table.

    Raises
    ------
    FormatError
        If it is no tile, or its name does not say which.
    FileError
        If it cannot be read.
    """
    match = NAME.fullmatch(path.name)
    if match is None:
        raise FormatError(f"{path.name} is no file of a tile cache", hint="its name should be mly1_public_X_Y_14.mvt")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        if data[:1] in (b"{", b"[") or (data[:1].isspace() and data.lstrip()[:1] == b"{"):
            return layers.read_geojson_tile(data)
        return layers.decode(data, int(match["x"]), int(match["y"]), int(match["zoom"]))
    except FormatError as error:
        raise FormatError(
            f"the tile {path} is damaged: {error}", hint="delete that file, and it will be fetched again"
        ) from error


def _paths(tiles: Any, *, computed: bool) -> list[Path]:
    if isinstance(tiles, str | os.PathLike):
        path = Path(tiles).expanduser()
        if not path.exists():
            raise FileError(f"{path} does not exist")
        return _in_folder(path, "mly1_computed_public" if computed else "mly1_public") if path.is_dir() else [path]
    if hasattr(tiles, "columns"):
        return [Path(path) for path in tiles.loc[tiles["status"].isin(["cached", "fetched"]), "path"]]
    return [Path(path) for path in tiles]


def _in_folder(folder: Path, tileset: str) -> list[Path]:
    """Return the files of a tile set, the raw tile where a tile has both kinds of file."""
    chosen: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        match = NAME.fullmatch(file.name)
        if match is not None and match["tileset"] == tileset:
            chosen[file.name.partition(".")[0]] = file  # the bare name sorts before the one with an ending
    return list(chosen.values())
