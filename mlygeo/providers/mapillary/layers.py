"""
Mapillary's vector tiles -> images frame: tiles in memory, and the files of the tile cache.

`read_tile` gives a frame, `decode` below it an Arrow table; a tile that percept-vsvi-filter stored as
GeoJSON gives the same table. Only the layer `image` is read; a tile without it has no images. Many steps
are done for all images at once: see `mlygeo.formats.mvt_layers`, and `mlygeo.formats.mvt_numba`, which is
used where Numba is installed (`mlygeo[speed]`). Nothing here touches the network.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.arrays import interpreting
from mlygeo.degrees import short_way
from mlygeo.errors import FileError, FormatError, FrameError, InputError
from mlygeo.formats import mvt_tiles
from mlygeo.formats.mvt_layers import EXACT_DOUBLE, FEATURE_LIMIT, ODD, odd_value, whole_number
from mlygeo.formats.mvt_tiles import LARGEST_TILE
from mlygeo.progress import counted, working
from mlygeo.providers.foreign import ForeignError, foreign_tile, owner_of_tile
from mlygeo.providers.tile_files import content_of, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    import geopandas as gpd
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats, Whole
    from mlygeo.formats import mvt_layers
    from mlygeo.regions import Region

    Nullable = tuple[Whole, Flags]
    Keep = Callable[[pa.Table], pa.Table]


__all__ = ["decode", "read_geojson_tile", "read_tile"]

log = logging.getLogger("mlygeo.providers.mapillary.layers")

LAYER = b"image"
"""The layer that holds the images of a zoom-14 tile."""

MOST_VALUES = 3_000_000
"""Commas, colons and opening brackets of a tile in GeoJSON; an image has some twenty."""

ROWS_AT_A_TIME = 1 << 17
"""Features of a layer that are decoded at a time: the arrays of a million would take four times as much memory."""

MOST_IN_GEOJSON = 100_000
"""Images of a tile that can be stored as GeoJSON; with more, it could not be read again (`MOST_VALUES`)."""

PROPERTIES = (
    "id", "sequence_id", "captured_at", "compass_angle", "is_pano", "creator_id", "organization_id", "quality_score",
)  # fmt: skip
"""The properties of an image that are read; others are ignored."""


_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999, the range of dates in Python."""

NAME = re.compile(r"(?P<tileset>mly\w*?)_(?P<x>\d+)_(?P<y>\d+)_(?P<zoom>\d+)(\.mvt|\.pbf|\.geojson|\.json)?")
"""A file of the tile cache: tileset, column, row and zoom level of the tile."""


def read_tile(data: bytes, x: int, y: int, zoom: int = 14) -> gpd.GeoDataFrame:
    """
    Read a vector tile into an images frame.

    Nothing is clipped or merged: tiles extend a little beyond their edge, so images near it are also in the
    neighbouring tile.

    Parameters
    ----------
    data
        The tile as the service sends it, plain or gzip. Zero bytes mean that there are no images.
    x, y
        Column and row of the tile, counted from the north-west corner of the world.
    zoom
        Its zoom level.

    Returns
    -------
    images
        Images frame, EPSG:4326, in the order of the tile, with `quality_score` (float64) where
        some image has it. Positions are on the tile's grid (0.6 m at the equator).
        `attrs["images_without_id"]` counts the images that were left out; see `decode`.

    Raises
    ------
    FormatError
        If the bytes are not a vector tile, or are damaged.
    InputError
        If there is no such tile.

    Examples
    --------
    >>> read_tile(Path("mly1_public_8574_5735_14.mvt").read_bytes(), 8574, 5735)
    """
    return _read_tile(data, x, y, zoom, kernel=mvt_tiles.kernel())


def decode(data: bytes, x: int, y: int, zoom: int = 14) -> pa.Table:
    """
    Read a vector tile into an Arrow table; the floor below `read_tile`.

    An image whose `id` is missing, or no whole number that fits 64 bits exactly, cannot be
    spoken of and is left out, as is a feature that is not a point or has no position; both are
    counted. Of a feature with several points the first is the image's place. Other properties
    that cannot be read are unknown: null, or NaN.

    Parameters
    ----------
    data
        The tile, plain or gzip.
    x, y
        Column and row of the tile.
    zoom
        Its zoom level.

    Returns
    -------
    images
        Columns id (int64), sequence_id (string), captured_at (timestamp[ms, UTC]), compass_angle
        (float64, degrees in [0, 360), NaN when unknown), is_pano (bool, null when unknown),
        creator_id and organization_id (int64, null when there is none), quality_score (float64,
        only if some image has it), lon and lat (float64, degrees; longitudes beyond the
        antimeridian continue on its other side). The schema's metadata count
        `images_without_id` and `images_without_position`.

    Raises
    ------
    FormatError
        If the bytes are not a vector tile, or are damaged.
    InputError
        If there is no such tile.

    Examples
    --------
    >>> decode(b"", 8574, 5735).num_rows
    0
    """
    return _decode(data, x, y, zoom, kernel=mvt_tiles.kernel())


def check(data: bytes, x: int, y: int, zoom: int = 14) -> None:
    """
    Raise for what `decode` raises for; the images are forgotten as they are read.

    Parameters
    ----------
    data, x, y, zoom
        As for `decode`.

    Raises
    ------
    FormatError
        If the bytes are not a vector tile, or are damaged.
    InputError
        If there is no such tile.
    """
    for _ in _parts(data, (x, y, zoom), mvt_tiles.kernel()):
        pass


def _read_tile(data: bytes, x: int, y: int, zoom: int, *, kernel: ModuleType) -> gpd.GeoDataFrame:
    return _frame(list(_parts(data, (x, y, zoom), kernel)), f"tile {zoom}/{x}/{y}")


def _decode(data: bytes, x: int, y: int, zoom: int, *, kernel: ModuleType, keep: Keep | None = None) -> pa.Table:
    return _images_table(_parts(data, (x, y, zoom), kernel), f"tile {zoom}/{x}/{y}", keep)


def _parts(data: bytes, address: tuple[int, int, int], kernel: ModuleType) -> Iterator[Images]:
    """Yield the images of a tile, some at a time; of tiles that are large in memory, one at a time is read."""
    x, y, zoom = address
    if not (0 <= zoom <= 32 and 0 <= x < 1 << zoom and 0 <= y < 1 << zoom):
        raise InputError(f"there is no tile {zoom}/{x}/{y}", hint="x and y run from 0 to 2^zoom - 1")
    names: list[bytes] = []
    try:
        with mvt_tiles.opened(data) as tile:
            for layer, end in mvt_tiles.layers(tile, kernel):
                yield from _decode_layer(layer, end, address, kernel, names)
    except FormatError as error:
        what = mvt_tiles.guess(bytes(data[:512]))
        raise FormatError(
            f"tile {zoom}/{x}/{y} is {what or f'damaged: {error}'}", hint="fetch the tile again"
        ) from error
    if LAYER not in names and owner_of_tile(names) not in {None, "Mapillary"}:
        raise foreign_tile(f"tile {zoom}/{x}/{y}", names, wanted="Mapillary")


def _decode_layer(
    layer: bytes | memoryview, end: int, address: tuple[int, int, int], kernel: ModuleType, names: list[bytes]
) -> Iterator[Images]:
    """Yield the images of a layer, in its order; none of a layer of another name."""
    index = kernel.index(layer, end)
    names.append(index.name)
    if index.name != LAYER:
        return
    if not 0 < index.extent < 1 << 32:
        raise FormatError(f"an extent of {index.extent}")
    starts, stops = index.features
    if len(starts) and (longest := int((stops - starts).max())) > FEATURE_LIMIT:
        raise FormatError(f"a feature of {longest} bytes")
    kind, bits = kernel.values(layer, index.values)
    for odd in np.flatnonzero(kind == ODD).tolist():
        kind[odd], bits[odd] = odd_value(layer, int(index.values[0][odd]), int(index.values[1][odd]))
    columns = {name.encode(): column for column, name in enumerate(PROPERTIES)}
    column_of_key = np.array([columns.get(key, -1) for key in index.keys], dtype=np.int8)
    values = kernel.Values(layer, kind, bits)
    for first in range(0, max(len(starts), 1), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        features = kernel.features(layer, (starts[rows], stops[rows]), column_of_key, len(kind) - 1, len(PROPERTIES))
        yield _images(features, values, index.extent, address)


def _images(
    features: mvt_layers.Features, values: mvt_layers.Values, extent: int, address: tuple[int, int, int]
) -> Images:
    ids, known = values.whole(features.value_of[0])
    keep = features.placed & known
    px, py, value_of = features.px, features.py, features.value_of
    if not keep.all():
        ids, px, py, value_of = ids[keep], px[keep], py[keep], value_of[:, keep]
    column = dict(zip(PROPERTIES, value_of, strict=True))
    lon, lat = mvt_tiles.lonlat(px, py, extent, address)
    return Images(
        ids,
        values.text(column["sequence_id"]),
        values.whole(column["captured_at"], floor=True),
        values.real(column["compass_angle"]),
        (values.truth(column["is_pano"]), values.is_truth(column["is_pano"])),
        values.whole(column["creator_id"]),
        values.whole(column["organization_id"]),
        values.real(column["quality_score"]),
        lon,
        lat,
        int((features.placed & ~known).sum()),
        int((~features.placed).sum()),
    )


def _frame(parts: list[Images], where: str) -> gpd.GeoDataFrame:
    """Return the images frame of the parts of a tile; their arrays become its columns, as far as they can uncopied."""
    import geopandas as gpd
    import pandas as pd
    from geopandas.array import GeometryArray

    images = _plausible(_joined(parts))
    times, has_time = images.captured_at
    times = times.view("datetime64[ms]")
    times[~has_time] = np.datetime64("NaT", "ms")
    is_pano, says = images.is_pano
    _log(where, len(images.id), images.without_id, images.without_position)
    columns: dict[str, Any] = {
        "id": images.id,
        "sequence_id": pd.array(images.sequence_id, dtype="str"),
        "captured_at": pd.DatetimeIndex(times).tz_localize("UTC"),
        "compass_angle": images.compass_angle,
        "is_pano": is_pano if says.all() else pd.arrays.BooleanArray(is_pano, ~says),
    }
    for name, (numbers, known) in (("creator_id", images.creator_id), ("organization_id", images.organization_id)):
        columns[name] = pd.arrays.IntegerArray(numbers, ~known)
    if not np.isnan(images.quality_score).all():
        columns["quality_score"] = images.quality_score
    with frames.unsearched():
        columns["geometry"] = GeometryArray(frames.points(images.lon, images.lat), crs=frames.CRS)
        frame = gpd.GeoDataFrame(columns, geometry="geometry", copy=False)
        return frames.attribute(frame, frames.MAPILLARY, images_without_id=images.without_id)


class Images(NamedTuple):
    """The images of a layer, as arrays; whole numbers and truth values come with a mask of which are known."""

    id: Whole
    sequence_id: pa.Array
    captured_at: Nullable
    compass_angle: Floats
    is_pano: tuple[Flags, Flags]
    creator_id: Nullable
    organization_id: Nullable
    quality_score: Floats
    lon: Floats
    lat: Floats
    without_id: int
    without_position: int


def _images_table(parts: Iterable[Images], where: str, keep: Keep | None = None) -> pa.Table:
    """
    Return the Arrow table of the images of a tile; `decode` tells its columns.

    Parameters
    ----------
    parts
        Images, some at a time; there may be none.
    where
        What the log calls the tile.
    keep
        Chooses images of each part, before the next one is made.

    Returns
    -------
    table
        With the counts of what was left out in the schema's metadata.
    """
    import pyarrow as pa

    tables = []
    images = without_id = without_position = 0
    has_quality = False
    for part in parts:
        images += len(part.id)
        without_id += part.without_id
        without_position += part.without_position
        has_quality |= not np.isnan(part.quality_score).all()
        tables.append(_columns(part) if keep is None else keep(_columns(part)))
    table = pa.concat_tables(tables or [_columns(_no_images())])
    if keep is not None and len(tables) > 1:
        table = keep(table)
    if not has_quality:
        table = table.drop_columns(["quality_score"])
    _log(where, images, without_id, without_position)
    return table.replace_schema_metadata(
        {"images_without_id": str(without_id), "images_without_position": str(without_position)}
    )


def _log(where: str, images: int, without_id: int, without_position: int) -> None:
    if without_id or without_position:
        log.warning(
            "%s: %d images, left out %d without a usable id and %d without a position",
            where, images, without_id, without_position,
        )  # fmt: skip
    else:
        log.debug("%s: %s", where, counted(images, "image"))


def _joined(parts: list[Images]) -> Images:
    """Return the images of some parts as those of one."""
    import pyarrow as pa

    if len(parts) < 2:
        return parts[0] if parts else _no_images()

    def joined(columns: tuple[Any, ...]) -> Any:
        first = columns[0]
        if isinstance(first, int):
            return sum(columns)
        if isinstance(first, tuple):
            return tuple(map(np.concatenate, zip(*columns, strict=True)))
        return pa.concat_arrays(columns) if isinstance(first, pa.Array) else np.concatenate(columns)

    return Images(*map(joined, zip(*parts, strict=True)))


def _plausible(images: Images) -> Images:
    """Return images whose times are in the range of dates, or unknown, and whose angles are in [0, 360)."""
    captured_at, known = images.captured_at
    angle = images.compass_angle
    outside = (angle < 0) | (angle >= 360)
    if outside.any():
        # The remainder of a tiny negative angle is 360 itself.
        angle[outside] = np.mod(angle[outside], 360) % 360
    known = known & (captured_at >= _FIRST_MS) & (captured_at <= _LAST_MS)
    return images._replace(captured_at=(captured_at, known), compass_angle=angle)


def _columns(images: Images) -> pa.Table:
    import pyarrow as pa

    def nullable(column: Nullable | tuple[Flags, Flags], to: pa.DataType) -> pa.Array:
        values, known = column
        return pa.array(values, mask=None if known.all() else ~known).cast(to)

    images = _plausible(images)
    return pa.table(
        {
            "id": images.id,
            "sequence_id": images.sequence_id,
            "captured_at": nullable(images.captured_at, pa.timestamp("ms", tz="UTC")),
            "compass_angle": images.compass_angle,
            "is_pano": nullable(images.is_pano, pa.bool_()),
            "creator_id": nullable(images.creator_id, pa.int64()),
            "organization_id": nullable(images.organization_id, pa.int64()),
            "quality_score": images.quality_score,
            "lon": images.lon,
            "lat": images.lat,
        }
    )


def _no_images() -> Images:
    import pyarrow as pa

    whole, real, truth = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64), np.empty(0, dtype=np.bool_)
    return Images(
        whole,
        pa.array([], pa.string()),
        (whole, truth),
        real,
        (truth, truth),
        (whole, truth),
        (whole, truth),
        real,
        real,
        real,
        0,
        0,
    )


def read_geojson_tile(data: bytes, name: str = "the tile") -> pa.Table:
    """
    Read a tile that was stored as GeoJSON, as percept-vsvi-filter's cache has them.

    Parameters
    ----------
    data
        A GeoJSON FeatureCollection in longitude and latitude, with the properties of the
        layer `image`.
    name
        What messages and the log call it.

    Returns
    -------
    images
        The table that `mvt.decode` gives. Ids may be numbers or strings of digits.

    Raises
    ------
    FormatError
        If it is not JSON or not a FeatureCollection, or if its ids are floating point numbers past
        2^53, whose last digits are lost.

    Examples
    --------
    >>> read_geojson_tile(Path("mly1_public_8609_5642_14").read_bytes())
    """
    return _geojson_tile(data, name, None)


def _geojson_tile(data: bytes, name: str, keep: Keep | None) -> pa.Table:
    hint = "remove the file and fetch the tile again"
    if len(data) > LARGEST_TILE or sum(map(data.count, (b",", b":", b"[", b"{"))) > MOST_VALUES:
        raise FormatError("the tile has more images than any", hint=hint)
    with interpreting(len(data)):
        try:
            collection = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{name} is not JSON: {str(error)[:200]}", hint=hint) from error
        try:
            part = _decode_features(collection)
        except FormatError as error:
            raise FormatError(f"the GeoJSON of {name} cannot be used: {error}", hint=hint) from error
    return _images_table([part], name, keep)


_REALS = frozenset({"compass_angle", "quality_score"})
"""Columns in which NaN says that a value is unknown."""


def as_geojson_tile(images: pa.Table) -> bytes:
    """
    Return a tile as percept-vsvi-filter stores it; `read_geojson_tile` gives the same table back.

    Parameters
    ----------
    images
        The images of the tile, as `decode` returns them.

    Returns
    -------
    content
        A GeoJSON FeatureCollection in longitude and latitude, UTF-8; what is unknown is left out. Ids are
        numbers, as in the service's tiles, which JavaScript would round beyond 2^53.

    Raises
    ------
    InputError
        If there are more than `MOST_IN_GEOJSON` images.
    """
    import pyarrow as pa

    if len(images) > MOST_IN_GEOJSON:
        raise InputError(
            f"a tile of {len(images):,} images cannot be stored as GeoJSON, which is read up to {MOST_IN_GEOJSON:,}",
            hint="leave out `geojson`",
        )
    times = images["captured_at"].cast(pa.int64())
    known = images.set_column(images.schema.get_field_index("captured_at"), "captured_at", times)
    features = []
    for row in known.to_pylist():
        place = [row.pop("lon"), row.pop("lat")]
        unknown = [name for name, value in row.items() if value is None or (name in _REALS and math.isnan(value))]
        properties = {name: value for name, value in row.items() if name not in unknown}
        geometry = {"type": "Point", "coordinates": place}
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    collection = {"type": "FeatureCollection", "features": features}
    return json.dumps(collection, indent=4, ensure_ascii=False, allow_nan=False).encode()


def _decode_features(collection: Any) -> Images:
    import pyarrow as pa

    features = collection.get("features") if isinstance(collection, dict) else None
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        raise FormatError("it is not a FeatureCollection")
    points = [_first_point(feature.get("geometry")) for feature in features]
    properties = [feature.get("properties") or {} for feature in features]
    if not all(isinstance(each, dict) for each in properties):
        raise FormatError("a feature's properties are no object")
    ids = [_exact(each.get("id")) for each in properties]
    placed = [point is not None for point in points]
    keep = [id_ is not None and here for id_, here in zip(ids, placed, strict=True)]
    properties = [each for each, kept in zip(properties, keep, strict=True) if kept]
    column = {name: [each.get(name) for each in properties] for name in PROPERTIES}
    lonlat = np.array([point for point, kept in zip(points, keep, strict=True) if kept], dtype=np.float64)
    lon, lat = lonlat.reshape(-1, 2).T
    try:
        sequence_id = pa.array([value if value and isinstance(value, str) else None for value in column["sequence_id"]],
                               pa.string())  # fmt: skip
    except UnicodeEncodeError as error:
        raise FormatError("a sequence_id that is not text") from error
    return Images(
        np.array([id_ for id_, kept in zip(ids, keep, strict=True) if kept], dtype=np.int64),
        sequence_id,
        _whole([whole_number(_floor(value)) for value in column["captured_at"]]),
        _real(column["compass_angle"]),
        (
            np.array([isinstance(value, int | float) and value != 0 for value in column["is_pano"]], dtype=np.bool_),
            np.array([isinstance(value, int | float) for value in column["is_pano"]], dtype=np.bool_),
        ),
        _whole([_exact(value) for value in column["creator_id"]]),
        _whole([_exact(value) for value in column["organization_id"]]),
        _real(column["quality_score"]),
        lon,
        lat,
        sum(placed) - sum(keep),
        len(placed) - sum(placed),
    )


def _first_point(geometry: Any) -> tuple[float, float] | None:
    if not isinstance(geometry, dict):
        return None
    kind, place = geometry.get("type"), geometry.get("coordinates")
    if kind == "MultiPoint" and isinstance(place, list) and place:
        place = place[0]
    elif kind != "Point":
        return None
    if place in (None, []):
        return None
    if not isinstance(place, list) or len(place) < 2 or not all(isinstance(each, int | float) for each in place[:2]):
        raise FormatError("a point without two numbers")
    lon, lat = place[:2]
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise FormatError(f"a point at {str(lon)[:24]}, {str(lat)[:24]}, which are not degrees")
    return (lon if -180 <= lon <= 180 else short_way(lon), lat)


def _exact(value: Any) -> int | None:
    if isinstance(value, float) and abs(value) >= EXACT_DOUBLE:
        raise FormatError("its ids are floating point numbers past 2^53, whose last digits are lost")
    return whole_number(value)


def _floor(value: Any) -> Any:
    return value // 1 if isinstance(value, float) and np.isfinite(value) else value


def _whole(values: list[int | None]) -> Nullable:
    known = np.array([value is not None for value in values], dtype=np.bool_)
    return np.array([value or 0 for value in values], dtype=np.int64), known


def _real(values: list[Any]) -> Floats:
    numbers = np.array([value if type(value) in {int, float} else np.nan for value in values], dtype=np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


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
        Keep only images in it or on its edge. None keeps all.
    computed
        Of a folder, read the tiles of computed positions (`mly1_computed_public_…`).

    Returns
    -------
    images
        Images frame, EPSG:4326, each image once even if two neighbouring tiles hold it, sorted by id.
        `attrs["images_without_id"]` counts the images that were left out because they have no id.

    Raises
    ------
    FormatError
        If a file is not a tile; the message names it.
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


@working("reading the tiles")
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

    def keep(images: pa.Table) -> pa.Table:
        if region is not None:
            inside = region.contains(images["lon"].to_numpy(), images["lat"].to_numpy())
            images = images if inside.all() else images.filter(pa.array(inside))
        if len(images) < ROWS_AT_A_TIME:
            return images
        _, first = np.unique(images["id"].to_numpy(), return_index=True)
        return images if len(first) == len(images) else images.take(np.sort(first))

    paths = sorted(paths)
    parts = tables_of(paths, lambda path: read_table(path, keep), damaged=damaged)
    without_id = sum(int((part.schema.metadata or {}).get(b"images_without_id", b"0")) for part in parts)
    positions = {"computed" if "computed" in path.name else "original" for path in paths} or {"original"}
    parts = [part.replace_schema_metadata(None) for part in parts] or [decode(b"", 0, 0)]
    table = pa.concat_tables(parts, promote_options="default")
    del parts
    _, first = np.unique(table["id"].to_numpy(), return_index=True)
    twice = len(table) - len(first)
    order = pa.array(first)
    columns = {}
    for name in table.column_names:  # each goes as it is copied, since a million images take some 100 MB
        columns[name] = table[name].take(order)
        table = table.drop_columns(name)
    table = pa.table(columns)
    log.info("%s in %s (%d stood in two)", counted(len(table), "image"), counted(len(paths), "tile"), twice)
    return table.replace_schema_metadata(
        {"images_without_id": str(without_id), "positions": " and ".join(sorted(positions))}
    )


def read_table(path: Path, keep: Keep | None = None) -> pa.Table:
    """
    Read one tile file into an Arrow table.

    Parameters
    ----------
    path
        The file.
    keep
        Chooses images of a part of the tile, before the next part is read.

    Raises
    ------
    FormatError
        If it is not a tile, or its name does not say which.
    FileError
        If it cannot be read.
    """
    match = NAME.fullmatch(path.name)
    if match is None and path.name.startswith("panoramax_"):
        raise ForeignError(
            f"{path.name} is a tile of Panoramax, and one of Mapillary is needed", hint="`provider='panoramax'`"
        )
    if match is None:
        raise FormatError(
            f"{path.name} is not a file of a tile cache", hint="its name should be mly1_public_X_Y_14.mvt"
        )
    data = content_of(path)
    try:
        if data[:1] in (b"{", b"[") or (data[:1].isspace() and data.lstrip()[:1] == b"{"):
            return _geojson_tile(data, path.name, keep)
        address = int(match["x"]), int(match["y"]), int(match["zoom"])
        return _decode(data, *address, kernel=mvt_tiles.kernel(), keep=keep)
    except ForeignError as error:
        raise ForeignError(f"the tile {path} is of another provider: {error}", hint=error.hint) from error
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
        missing = [name for name in ("status", "path") if name not in tiles.columns]
        if missing:
            raise FrameError(
                f"these tiles have no column {' and no '.join(map(repr, missing))}", hint="see fetch_tiles"
            )
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
