"""
Panoramax's vector tiles -> images frame: tiles in memory, and the files of the tile cache.

Pictures stand in the layer `pictures` of tiles of zoom 15, and nowhere else; tiles of lower zooms have sequences or
counts. A tile says little of a picture: neither licence, nor instance, nor addresses, for which its item is needed.
Nothing here touches the network.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import FormatError, InputError
from mlygeo.formats import mvt_tiles
from mlygeo.formats.mvt_layers import FEATURE_LIMIT, ODD, odd_value
from mlygeo.keys import UUIDS
from mlygeo.progress import counted, working
from mlygeo.providers.foreign import ForeignError, foreign_tile
from mlygeo.providers.panoramax.items import ATTRIBUTION
from mlygeo.providers.panoramax.tile_cache import ZOOM, host_of_name
from mlygeo.providers.tile_files import content_of, tables_of
from mlygeo.store.stac import utc_times

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats
    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.providers.panoramax.layers")

LAYER = b"pictures"
"""The layer that holds the pictures of a zoom-15 tile."""

OTHER_LAYERS = frozenset({b"sequences", b"grid"})
"""Further layers of Panoramax's tiles."""

PROPERTIES = (
    "id", "ts", "heading", "account_id", "type", "model", "gps_accuracy", "h_pixel_density", "first_sequence",
    "sequences", "hidden",
)  # fmt: skip
"""The properties of a picture that are read; others are ignored. Each may be missing."""

LONGEST_TEXT = 1 << 16
"""Bytes of a text of a tile: the list of sequences of a picture, each of some 40 bytes, is one."""

KINDS = {"equirectangular": True, "flat": False}
"""The property `type` -> whether it is a panorama."""

_UUID = r"^(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$"

MOST_TURNS = 10
"""Turns of a heading that may still be one."""

WITHOUT = ("images_without_id", "images_without_position", "images_hidden")
"""What the metadata of a table count: images that were left out, and why."""


def read_tile(data: bytes, x: int, y: int, zoom: int = ZOOM) -> gpd.GeoDataFrame:
    """
    Read a vector tile into an images frame.

    Parameters
    ----------
    data
        The tile as the service sends it, plain or gzip. Zero bytes mean that there are no pictures.
    x, y
        Column and row of the tile, counted from the north-west corner of the world.
    zoom
        Its zoom level; only tiles of zoom 15 have pictures.

    Returns
    -------
    images
        Images frame, EPSG:4326, in the order of the tile; see `decode` for its columns. Positions are on the tile's
        grid (0.3 m at the equator).

    Raises
    ------
    FormatError
        If the bytes are no vector tile, a damaged one, or one of another provider.
    InputError
        If there is no such tile, or one of its zoom has no pictures.
    """
    return images_frame(decode(data, x, y, zoom))


def images_frame(table: pa.Table) -> gpd.GeoDataFrame:
    """Return the images frame of a table as `decode` returns it."""
    return frames.attribute(frames.from_arrow(table, frames.IMAGES.of_any_provider), ATTRIBUTION, positions="original")


def decode(data: bytes, x: int, y: int, zoom: int = ZOOM, *, instance: str | None = None) -> pa.Table:
    """
    Read a vector tile into an Arrow table; the floor below `read_tile`.

    A picture whose `id` is not a UUID cannot be named and is left out, as is a feature that is not a point or has no
    position, and what is hidden from the public; each is counted. Other properties that cannot be read are unknown.

    Parameters
    ----------
    data
        The tile, plain or gzip.
    x, y
        Column and row of the tile.
    zoom
        Its zoom level.
    instance
        Host of the instance that the tile is from; None for one of the catalogue, whose tiles do not say it.

    Returns
    -------
    images
        Columns id, sequence_id (string), captured_at (timestamp[us, UTC]), compass_angle (float64, degrees in
        [0, 360), NaN when unknown; it may be computed, which a tile does not say), is_pano (bool, null when unknown),
        creator_id and organization_id (string; the latter is null), provider, instance, camera_type, model (string;
        make and model in one), gps_accuracy_m, pixel_density, lon and lat (float64). The schema's metadata count
        `images_without_id`, `images_without_position` and `images_hidden`.

    Raises
    ------
    FormatError
        If the bytes are no vector tile, a damaged one, or one of another provider.
    InputError
        If there is no such tile, or one of its zoom has no pictures.

    Examples
    --------
    >>> decode(b"", 17218, 11285).num_rows
    0
    """
    return _decode(data, x, y, zoom, instance=instance, kernel=mvt_tiles.kernel())


def _decode(data: bytes, x: int, y: int, zoom: int, *, instance: str | None, kernel: ModuleType) -> pa.Table:
    where = f"tile {zoom}/{x}/{y}"
    if not (0 <= zoom <= ZOOM and 0 <= x < 1 << zoom and 0 <= y < 1 << zoom):
        raise InputError(f"there is no {where}", hint="x and y run from 0 to 2^zoom - 1")
    names: list[bytes] = []
    parts = []
    try:
        with mvt_tiles.opened(data) as tile:
            for layer, end in mvt_tiles.layers(tile, kernel):
                index = kernel.index(layer, end)
                names.append(index.name)
                if index.name == LAYER:
                    parts.append(_pictures(layer, index, (x, y, zoom), kernel))
    except FormatError as error:
        what = mvt_tiles.guess(bytes(data[:512]))
        raise FormatError(f"{where} is {what or f'damaged: {error}'}", hint="fetch the tile again") from error
    if names and not parts and not OTHER_LAYERS.intersection(names):
        raise foreign_tile(where, names, wanted="Panoramax")
    if names and not parts and zoom != ZOOM:
        raise InputError(f"{where} has no pictures: Panoramax has them in tiles of zoom {ZOOM} alone")
    return _table(parts, where, instance)


class Pictures(NamedTuple):
    """The pictures of a layer: columns by the names of an images frame, and how many were left out."""

    columns: dict[str, Any]
    left_out: dict[str, int]


def _pictures(layer: bytes | memoryview, index: Any, address: tuple[int, int, int], kernel: ModuleType) -> Pictures:
    import pyarrow as pa
    import pyarrow.compute as pc

    if not 0 < index.extent < 1 << 32:
        raise FormatError(f"an extent of {index.extent}")
    starts, stops = index.features
    if len(starts) and (longest := int((stops - starts).max())) > FEATURE_LIMIT:
        raise FormatError(f"a feature of {longest} bytes")
    value_starts, value_stops = spans = index[3]
    kind, bits = kernel.values(layer, spans)
    for odd in np.flatnonzero(kind == ODD).tolist():
        kind[odd], bits[odd] = odd_value(layer, int(value_starts[odd]), int(value_stops[odd]))
    known = {name.encode(): column for column, name in enumerate(PROPERTIES)}
    column_of_key = np.array([known.get(key, -1) for key in index.keys], dtype=np.int8)
    features = kernel.features(layer, index.features, column_of_key, len(kind) - 1, len(PROPERTIES))
    values = kernel.Values(layer, kind, bits, longest=LONGEST_TEXT)

    ids = values.text(features.value_of[0])
    is_id = _flags(pc.match_substring_regex(ids, _UUID))
    is_hidden = values.truth(features.value_of[PROPERTIES.index("hidden")])
    keep = features.placed & is_id & ~is_hidden
    at = dict(zip(PROPERTIES, features.value_of[:, keep], strict=True))
    lon, lat = mvt_tiles.lonlat(features.px[keep], features.py[keep], index.extent, address)
    inside = np.abs(lat) <= 90
    kinds = values.text(at["type"])
    columns = {
        "id": pc.utf8_lower(ids.filter(pa.array(keep))),
        "sequence_id": _sequences(values.text(at["first_sequence"]), values.text(at["sequences"])),
        "captured_at": utc_times(values.text(at["ts"])),
        "compass_angle": headings(values.real(at["heading"])),
        "is_pano": pa.array([KINDS.get(each) for each in kinds.to_pylist()], pa.bool_()),
        "creator_id": uuids(values.text(at["account_id"])),
        "camera_type": pc.if_else(pc.equal(kinds, "equirectangular"), kinds, pa.scalar(None, pa.string())),
        "model": values.text(at["model"]),
        "gps_accuracy_m": _not_negative(values.real(at["gps_accuracy"])),
        "pixel_density": _not_negative(values.real(at["h_pixel_density"])),
        "lon": lon,
        "lat": np.where(inside, lat, np.nan),
    }
    return Pictures(
        columns,
        {
            "images_without_id": int((features.placed & ~is_id).sum()),
            "images_without_position": int((~features.placed).sum()),
            "images_hidden": int((features.placed & is_id & is_hidden).sum()),
        },
    )


def _flags(values: pa.Array) -> Flags:
    import pyarrow.compute as pc

    found: Flags = pc.fill_null(values, False).to_numpy(zero_copy_only=False)
    return found


def uuids(words: pa.Array) -> pa.Array:
    """Return UUIDs in lower case; null where a text is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.match_substring_regex(words, _UUID), pc.utf8_lower(words), pa.scalar(None, pa.string()))


def _sequences(first: pa.Array, listed: pa.Array) -> pa.Array:
    """Return the sequence of each picture: the one that is named, else the first of the list, JSON in a text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = uuids(first)
    if not found.null_count:
        return found
    missing = np.flatnonzero(_flags(pc.and_(found.is_null(), listed.is_valid()))).tolist()
    said = found.to_pylist()
    for row in missing:
        said[row] = _first_of(listed[row].as_py())
    return pa.array(said, pa.string())


def _first_of(text: str) -> str | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return UUIDS.find(found[0]) if isinstance(found, list) and found else None


def headings(degrees: Floats) -> Floats:
    """Return headings in [0, 360); NaN where there is none, or ten turns and more came."""
    degrees = degrees.copy()
    degrees[~(np.abs(degrees) < MOST_TURNS * 360)] = np.nan
    outside = (degrees < 0) | (degrees >= 360)
    # Of a tiny negative angle the remainder is 360 itself.
    degrees[outside] = np.mod(degrees[outside], 360) % 360
    return degrees


def _not_negative(numbers: Floats) -> Floats:
    return np.where(numbers >= 0, numbers, np.nan)


def _table(parts: list[Pictures], where: str, instance: str | None) -> pa.Table:
    """Return the table of the pictures of some layers, with the counts of what was left out in its metadata."""
    import pyarrow as pa

    schema = _schema()
    tables = []
    for part in parts:
        rows = len(part.columns["lon"])
        said = {"provider": pa.repeat("panoramax", rows), "instance": pa.repeat(pa.scalar(instance, pa.string()), rows)}
        columns = {**part.columns, **said, "organization_id": pa.nulls(rows, pa.string())}
        tables.append(pa.table([columns[name] for name in schema.names], schema=schema))
    table = pa.concat_tables(tables).combine_chunks() if tables else schema.empty_table()
    left_out = {name: sum(part.left_out[name] for part in parts) for name in WITHOUT}
    if any(left_out.values()):
        log.warning(
            "%s: %d images, left out %d without a usable id, %d without a position and %d that are hidden",
            where, table.num_rows, *left_out.values(),
        )  # fmt: skip
    else:
        log.debug("%s: %s", where, counted(table.num_rows, "image"))
    return table.replace_schema_metadata({name: str(count) for name, count in left_out.items()})


def _schema() -> pa.Schema:
    import pyarrow as pa

    text, real = pa.string(), pa.float64()
    return pa.schema(
        [
            ("id", text),
            ("sequence_id", text),
            ("captured_at", pa.timestamp("us", tz="UTC")),
            ("compass_angle", real),
            ("is_pano", pa.bool_()),
            ("creator_id", text),
            ("organization_id", text),
            ("provider", text),
            ("instance", text),
            ("camera_type", text),
            ("model", text),
            ("gps_accuracy_m", real),
            ("pixel_density", real),
            ("lon", real),
            ("lat", real),
        ]
    )


@working("reading the tiles")
def images_table(paths: Iterable[Path], *, region: Region | None = None, damaged: list[Path] | None = None) -> pa.Table:
    """
    Read tile files into one Arrow table.

    Parameters
    ----------
    paths
        Tile files.
    region
        Keep only images in it.
    damaged
        Damaged files are added to this list and passed over; without a list they raise. A file of another provider
        always raises.

    Returns
    -------
    table
        The columns of `decode`, each id once, sorted by id. The metadata count what was left out.

    Raises
    ------
    FormatError
        If a file is not a tile of Panoramax; the message names it.
    FileError
        If a file cannot be read.
    """
    import pyarrow as pa

    paths = sorted(paths)
    parts = tables_of(paths, read_table, damaged=damaged)
    left_out = {
        name: sum(int((part.schema.metadata or {}).get(name.encode(), b"0")) for part in parts) for name in WITHOUT
    }
    parts = [part.replace_schema_metadata(None) for part in parts] or [_schema().empty_table()]
    table = pa.concat_tables(parts)
    if region is not None:
        table = table.filter(pa.array(region.contains(table["lon"].to_numpy(), table["lat"].to_numpy())))
    order = table["id"].combine_chunks().to_pandas().drop_duplicates().sort_values()
    twice = len(table) - len(order)
    table = table.take(pa.array(order.index.to_numpy(dtype=np.int64)))
    log.info("%s in %s (%d stood in two)", counted(len(table), "image"), counted(len(paths), "tile"), twice)
    return table.replace_schema_metadata(
        {name: str(count) for name, count in left_out.items()} | {"positions": "original"}
    )


def read_table(path: Path) -> pa.Table:
    """
    Read one tile file into an Arrow table.

    Raises
    ------
    FormatError
        If it is not a tile of Panoramax, or its name does not say which.
    FileError
        If it cannot be read.
    """
    found = host_of_name(path.name)
    if found is None:
        if path.name.startswith("mly"):
            raise ForeignError(
                f"{path.name} is a tile of Mapillary, and one of Panoramax is needed", hint="`provider='mapillary'`"
            )
        raise FormatError(
            f"{path.name} is not a file of a tile cache of Panoramax",
            hint="its name should be panoramax_HOST_X_Y_15.mvt",
        )
    instance, x, y = found
    data = content_of(path)
    try:
        return decode(data, x, y, instance=instance)
    except ForeignError as error:
        raise ForeignError(f"the tile {path} is of another provider: {error}", hint=error.hint) from error
    except FormatError as error:
        raise FormatError(
            f"the tile {path} is damaged: {error}", hint="delete that file, and it will be fetched again"
        ) from error
