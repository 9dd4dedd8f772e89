"""Geometry between arrays, WKB and the native encodings of GeoParquet; points without an object each."""

from __future__ import annotations

import logging
import struct
import warnings
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
import pyarrow as pa

from mlygeo import frames
from mlygeo.arrays import through_pyproj
from mlygeo.errors import FormatError
from mlygeo.store.paths import called

if TYPE_CHECKING:
    import numpy.typing as npt
    from pyproj import CRS

    from mlygeo.arrays import Flags, Floats, Objects

    Numbers = npt.NDArray[np.int64]

log = logging.getLogger("mlygeo.store.parquet")

MOST_BYTES = 2**31 - 1
"""Most bytes in a chunk of a column: the limit of 32-bit offsets. Not every reader supports wider ones."""

POINT_WKB: Final = np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")])
"""A point in little-endian WKB, 21 bytes."""

MOST_NESTED = 64
"""Most geometries within each other: GEOS reads them one in another, and some 20,000 end the process."""

TYPES = ("Point", "LineString", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
         "GeometryCollection")  # fmt: skip
"""Names of geometry types in GeoParquet, by shapely's number; a ring is written as a line."""

_LEVEL_BYTES = 9
"""Fewest bytes of a geometry within another."""


class Named(Protocol):
    """A file, here or elsewhere, as messages know it."""

    @property
    def name(self) -> str:
        """What messages call it."""


def points_to_wkb(x: Floats, y: Floats) -> pa.ChunkedArray:
    """Return points as an Arrow column of little-endian WKB; a point without coordinates is empty."""
    records = np.empty(len(x), dtype=POINT_WKB)
    records["order"], records["type"], records["x"], records["y"] = 1, 1, x, y
    size = POINT_WKB.itemsize
    most = MOST_BYTES // size
    offsets = np.arange(min(len(x), most) + 1, dtype=np.int32) * np.int32(size)
    pieces = [records[start : start + most] for start in range(0, max(len(x), 1), most)]
    return pa.chunked_array(
        [
            pa.Array.from_buffers(
                pa.binary(), len(piece), [None, pa.py_buffer(offsets[: len(piece) + 1]), pa.py_buffer(piece)]
            )
            for piece in pieces
        ]
    )


def coordinates(values: pa.ChunkedArray, path: Named) -> tuple[Floats, Floats]:
    """
    Return the coordinates of points without an object per point; NaN where a point is missing or empty.

    Raises
    ------
    FormatError
        If they are no points, or damaged.
    """
    parts = [_coordinates(chunk, path) for chunk in values.chunks]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([np.empty(0), *(x for x, _ in parts)]), np.concatenate([np.empty(0), *(y for _, y in parts)])


def plain_points(values: pa.ChunkedArray) -> tuple[Floats, Floats] | None:
    """Return the coordinates of a column where each row is a point with two of them; None for any other column."""
    parts = [_plain_points(_storage(chunk)) for chunk in values.chunks]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    x, y = (np.concatenate([np.empty(0), *(part[axis] for part in known)]) for axis in (0, 1))
    return (x, y) if np.isfinite(x).all() and np.isfinite(y).all() else None


def fill_plain(values: pa.Array, x: Floats, y: Floats) -> bool:
    """Fill in the coordinates of points; return whether each row is a plain one, so that all were filled in."""
    found = _plain_views(_storage(values))
    if found is not None:
        x[:], y[:] = found
    return found is not None


def shapes(values: pa.ChunkedArray, encoding: str, path: Named) -> tuple[Objects, Flags]:
    """
    Return the geometries of a column, None where there is none, and which of them are damaged and therefore None.

    Parameters
    ----------
    values
        The column.
    encoding
        One of `metadata.ENCODINGS`.
    path
        The file, for messages.

    Raises
    ------
    FormatError
        If all geometries are damaged, or the column is not of that encoding.
    """
    parts = [_shapes(_storage(chunk), encoding, path) for chunk in values.chunks]
    found: Objects = np.concatenate([np.empty(0, dtype=object), *(part for part, _ in parts)])
    damaged: Flags = np.concatenate([np.empty(0, dtype=bool), *(part for _, part in parts)])
    return found, damaged


def to_lonlat(x: Floats, y: Floats, crs: CRS, name: str) -> tuple[Floats, Floats]:
    """
    Return coordinates in a CRS as degrees, NaN where that is impossible.

    Raises
    ------
    FormatError
        If there is no way from the CRS to longitude and latitude; `name` says whose it is.
    """
    if crs.equals(frames.CRS, ignore_axis_order=True):
        return x, y
    if (reason := frames.not_on_earth(crs)) is not None:
        raise FormatError(f"{name}: {reason}")
    lon, lat = through_pyproj(frames.turned(crs, frames.CRS).transform, x, y)
    gone = ~(np.isfinite(lon) & np.isfinite(lat))
    lon[gone] = lat[gone] = np.nan
    return lon, lat


def lonlat_bounds(geometry: Objects, crs: CRS, name: str) -> Floats:
    """Return the boxes of geometries in degrees, shape (4, n); NaN where there is none, or it is not finite."""
    import shapely

    if not crs.equals(frames.CRS, ignore_axis_order=True):
        geometry = shapely.transform(
            geometry, lambda xy: np.stack(to_lonlat(xy[:, 0].copy(), xy[:, 1].copy(), crs, name), axis=1)
        )
    bounds: Floats = shapely.bounds(geometry).T
    bounds[:, ~np.isfinite(bounds).all(axis=0)] = np.nan
    return bounds


def types_of(geometry: Objects) -> list[str]:
    """Return the types of geometries as GeoParquet names them; a missing geometry has none."""
    import shapely

    kinds, high = shapely.get_type_id(geometry), shapely.has_z(geometry)
    found = {(TYPES[kind], z) for z in (False, True) for kind in np.unique(kinds[(kinds >= 0) & (high == z)])}
    return sorted(f"{name} Z" if z else name for name, z in found)


def _storage(array: pa.Array) -> pa.Array:
    """Return the values of a column in the plain layout: neither an extension type, nor a dictionary, nor views."""
    while isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_binary_view(array.type) or pa.types.is_fixed_size_binary(array.type):
        array = array.cast(pa.large_binary())
    return array


def _is_wkb(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _offsets(array: pa.Array) -> Numbers:
    """Return where the values of a column of bytes begin and end, in its buffer."""
    wide = np.int64 if pa.types.is_large_binary(array.type) else np.int32
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        return np.zeros(len(array) + 1, dtype=np.int64)
    return np.frombuffer(buffer, dtype=wide)[array.offset : array.offset + len(array) + 1].astype(np.int64)


def _plain_points(array: pa.Array) -> tuple[Floats, Floats] | None:
    found = _plain_views(array)
    return None if found is None else (np.array(found[0]), np.array(found[1]))


def _plain_views(array: pa.Array) -> tuple[Floats, Floats] | None:
    """Return views of the coordinates; None unless each row is a point with two of them, in little-endian WKB."""
    if array.null_count:
        return None
    if pa.types.is_struct(array.type):
        return _fields(array) if _axes(array.type) == ["x", "y"] else None
    if not _is_wkb(array.type):
        return None
    if not len(array):
        return np.empty(0), np.empty(0)
    wide = np.int64 if pa.types.is_large_binary(array.type) else np.int32
    offsets = np.frombuffer(array.buffers()[1], dtype=wide)[array.offset : array.offset + len(array) + 1]
    if (np.diff(offsets) == POINT_WKB.itemsize).all():
        records = np.frombuffer(array.buffers()[2], dtype=POINT_WKB, count=len(array), offset=int(offsets[0]))
        if (records["order"] == 1).all() and (records["type"] == 1).all():
            return records["x"], records["y"]
    return None


def _axes(kind: pa.StructType) -> list[str]:
    return [field.name for field in kind]


def _fields(array: pa.StructArray) -> tuple[Floats, Floats]:
    x, y = (array.field(axis).to_numpy(zero_copy_only=False).astype(float) for axis in ("x", "y"))
    gone = array.is_null().to_numpy(zero_copy_only=False)
    return np.where(gone, np.nan, x), np.where(gone, np.nan, y)


def _coordinates(array: pa.Array, path: Named) -> tuple[Floats, Floats]:
    array = _storage(array)
    if (plain := _plain_points(array)) is not None:
        return plain
    if pa.types.is_struct(array.type) and {"x", "y"} <= {*_axes(array.type)}:
        return _fields(array)
    if not _is_wkb(array.type):
        raise FormatError(f"the geometry of {called(path)} is {array.type}, which is not an encoding of points")
    import shapely  # takes longer to load than the coordinates of a million points

    points, damaged = _shapes(array, "wkb", path)
    kinds = shapely.get_type_id(points)
    if ((kinds != 0) & (kinds != -1)).any():
        raise FormatError(f"{called(path)} contains geometries other than points")
    warn_of_damage(damaged, path)
    return frames.coordinates(points)


def warn_of_damage(damaged: Flags, path: Named) -> None:
    """Warn of rows with damaged geometry, which are left out; FormatError if there is no other."""
    count = int(damaged.sum())
    if count and count == len(damaged):
        raise FormatError(f"{called(path)} holds damaged geometry in every row")
    if count:
        log.warning("%s: %s of %s rows have damaged geometry and are left out", called(path), count, len(damaged))


def _shapes(array: pa.Array, encoding: str, path: Named) -> tuple[Objects, Flags]:
    import shapely

    whole = np.zeros(len(array), dtype=bool)
    if encoding != "wkb":
        return _native(array, encoding, path), whole
    if not _is_wkb(array.type):
        raise FormatError(f"the geometry of {called(path)} is not WKB, as its metadata say, but {array.type}")
    if (plain := _plain_points(array)) is not None and np.isfinite(plain).all():
        return frames.points(*plain), whole
    wkb = array.to_numpy(zero_copy_only=False)
    known = np.array([value is not None for value in wkb], dtype=bool) if array.null_count else ~whole
    long = np.flatnonzero(np.diff(_offsets(array)) > _LEVEL_BYTES * MOST_NESTED)
    if deep := [row for row in long.tolist() if wkb[row] is not None and _too_deep(wkb[row])]:
        wkb = wkb.copy()
        wkb[deep] = None
    try:
        found = np.asarray(shapely.from_wkb(wkb), dtype=object)
    except (shapely.errors.GEOSException, TypeError):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"), dtype=object)
    return found, known & shapely.is_missing(found)


def _native(array: pa.Array, encoding: str, path: Named) -> Objects:
    """Return the geometries of a native encoding, by GeoPandas' reader of it."""
    import geopandas.io._geoarrow as native
    import shapely

    try:
        array.validate(full=True)
        return np.asarray(native.construct_shapely_array(array, f"geoarrow.{encoding}"), dtype=object)
    except (pa.ArrowException, shapely.errors.ShapelyError, ValueError, TypeError, AttributeError, KeyError,
            IndexError, NotImplementedError) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:120]
        raise FormatError(f"the geometry of {called(path)} is not {encoding}, as its metadata say: {reason}") from error


def _too_deep(wkb: bytes) -> bool:
    """Return whether geometries are nested too deep; True stops short of GEOS, which cannot bear them."""
    place, left = 0, [1]
    try:
        while left:
            if not left[-1]:
                left.pop()
                continue
            left[-1] -= 1
            order = "<" if wkb[place] else ">"
            (kind,) = struct.unpack_from(f"{order}I", wkb, place + 1)
            place += 9 if kind & 0x20000000 else 5
            base = kind & 0x0FFFFFFF
            size = 8 * (2 + max((kind >> 31) + (kind >> 30 & 1), (0, 1, 1, 2)[base // 1000 % 4]))
            base %= 1000
            if base == 1:
                place += size
                continue
            (count,) = struct.unpack_from(f"{order}I", wkb, place)
            place += 4
            if base in {2, 8}:
                place += count * size
            elif base in {3, 17}:
                for _ in range(count):
                    (points,) = struct.unpack_from(f"{order}I", wkb, place)
                    place += 4 + points * size
            else:
                left.append(count)
                if len(left) > MOST_NESTED:
                    return True
    except (struct.error, IndexError):
        pass  # damaged, as GEOS will say
    return False
