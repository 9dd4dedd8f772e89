"""
Points, read column by column as needed: opened, chosen from, and their columns in the types of a kind of frame.

A selection from ten million images needs the coordinates and ids of all, and all columns of the few
selected images. `open_points` gives the same view of a GeoDataFrame and of files.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from mlygeo import degrees, dtypes, frames, keys, store
from mlygeo.errors import FrameError
from mlygeo.progress import working
from mlygeo.store import stac
from mlygeo.store.columns import check_names
from mlygeo.store.datasets import alike, files
from mlygeo.store.held import is_dask
from mlygeo.store.parquet.files import Reopened
from mlygeo.store.point_sources import FramePoints, PointFile, Points
from mlygeo.store.united import United

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import geopandas as gpd
    import pandas as pd
    from pyproj import CRS

    from mlygeo.arrays import Bounds, Flags, Floats, Rows, Whole
    from mlygeo.store.point_sources import TablePoints
    from mlygeo.store.united import Part

MOST_OPEN = 200
"""Files that stay open; of more, each is opened when it is read."""

OPENED_AT_ONCE = 8
"""Files elsewhere that are opened side by side."""


def open_points(value: Any, *, name: str, placed: bool = True) -> Points:
    """
    Return the points of a frame or file.

    Parameters
    ----------
    value
        A GeoDataFrame of points, or the path of any file of them, or what names several: a folder, a pattern, a
        list of paths. GeoParquet is read column by column as needed.
    name
        Name of a frame in messages; a file has its own name.
    placed
        Whether the positions are needed. Where they are not, a frame may have any geometry, as a file
        whose geometry is never read.

    Returns
    -------
    points
        A view of the frame or file.

    Raises
    ------
    FrameError
        If it has geometries other than points, or no CRS.
    """
    if files.are_several(value):
        return open_several(files.listed(value))
    if isinstance(value, str | os.PathLike):
        path = Path(value).expanduser()
        if path.suffix.lower() in store.PARQUET and path.is_file():
            file = PointFile(path)
            if not stac.is_stac(file.columns):
                return file
            return open_points(store.read_frame(path, frame="images"), name=path.name, placed=placed)
        return open_points(store.read_frame(value), name=path.name, placed=placed)
    if is_dask(value) or isinstance(value, pa.Table):
        value = store.as_frame(value, name=name)
    if not hasattr(value, "geometry") or value.active_geometry_name is None:
        raise FrameError(f"{name} has no geometry: expected a GeoDataFrame of points or a file of them")
    check_names(value, name)
    if not placed:
        return FramePoints(value, name)
    if value.crs is None:
        raise FrameError(f"{name} has no CRS", hint="set_crs(4326) where the coordinates are degrees")
    kinds = frames.kinds_of(value)
    if kinds - {"Point"}:
        raise FrameError(f"{name} contains {', '.join(sorted(kinds))} geometries, and points are needed")
    return FramePoints(value, name)


def open_several(listing: files.Listing, bbox: Bounds | None = None, *, at_once: bool = False) -> Points:
    """
    Return the points of the files of a dataset, read column by column as needed.

    Parameters
    ----------
    listing
        The files.
    bbox
        West, south, east, north in degrees; west > east crosses the antimeridian. Only points in it; files and row
        groups that can have none are not read. None takes all, those without a position among them.
    at_once
        Whether all columns of files elsewhere are asked for at once; see `PointFile`.

    Returns
    -------
    points
        Their rows follow each other in the order of the files. Columns are united as `read_frame` does it.

    Raises
    ------
    FrameError
        If the files hold different kinds of things.
    FormatError
        If one is not a GeoParquet, or is damaged.
    """
    near = listing.near(bbox).files
    parts = _parts_of(near, bbox, at_once=at_once)
    alike.check([_held(file, part) for file, part in zip(near, parts, strict=True)], listing.name)
    if any(stac.is_stac(part.columns) for part in parts):
        frame = store.read_frame(listing, frame="images", bbox=bbox)
        return FramePoints(frame, listing.name)
    said: list[dict[str, Any]] = [dict(file.keys) for file in near]
    if len(parts) == 1 and not said[0]:
        whole: Points = parts[0]
    else:
        of_one = (
            listing.index is not None and len({str(part.type_of("id")) for part in parts if "id" in part.columns}) == 1
        )
        texts = frozenset() if of_one else _of_their_providers(parts, said)
        whole = United(parts, listing.name, said, texts)
    if bbox is None:
        return whole
    lon, lat = whole.lonlat
    inside = degrees.meets((lon, lat, lon, lat), bbox)
    return whole if inside.all() else SomeOf(whole, np.flatnonzero(inside))


def _held(file: files.File, part: Part) -> alike.Held:
    return alike.Held(file.name, {name: part.type_of(name) for name in part.columns})


def _parts_of(near: Sequence[files.File], bbox: Bounds | None, *, at_once: bool) -> list[Part]:
    briefly = len(near) > MOST_OPEN
    if len(near) == 1 or all(isinstance(file.path, Path) for file in near):
        return [_points_of(file, bbox, briefly=briefly, at_once=at_once) for file in near]
    with ThreadPoolExecutor(OPENED_AT_ONCE) as pool:  # a request takes its time whatever it asks for
        return [*pool.map(lambda file: _points_of(file, bbox, briefly=briefly, at_once=at_once), near)]


def _points_of(file: files.File, bbox: Bounds | None, *, briefly: bool, at_once: bool) -> Part:
    if file.is_parquet:
        path = Reopened(file.path) if briefly and isinstance(file.path, Path) else file.path
        return PointFile(path, bbox=bbox, footer=file.footer, at_once=at_once)
    name = f"{file.path}:{file.layer}" if file.layer else f"{file.path}"
    return FramePoints(store.read_frame(name, bbox=bbox), file.name)


def _of_their_providers(parts: list[Part], said: list[dict[str, Any]]) -> frozenset[str]:
    """
    Note Mapillary as the provider of files with its ids beside those of others; return the columns that become text.

    As in `held.joined`: where images of Mapillary, whose ids are whole numbers, come to those of others.
    """
    if not all("id" in part.columns for part in parts):
        return frozenset()
    named = ["provider" in part.columns or "provider" in more for part, more in zip(parts, said, strict=True)]
    text = any(not pa.types.is_integer(part.type_of("id")) for part in parts)
    if not (text or any(named)):
        return frozenset()
    if alike.may_be_of_one(_keys_of(parts, named)):
        return frozenset()
    forms = [form_of(part, frames.IMAGES) for part in parts]
    for number, form in enumerate(forms):
        if form is frames.IMAGES and not named[number]:
            said[number]["provider"] = frames.DEFAULT_PROVIDER
    return frozenset() if all(form is frames.IMAGES for form in forms) else frozenset(frames.KEYS)


def _keys_of(parts: list[Part], named: list[bool]) -> list[dict[str, Any]]:
    """Return the types of the keys of files, and whether they name providers."""
    return [
        {name: part.type_of(name) for name in frames.KEYS if name in part.columns} | ({"provider": None} if has else {})
        for part, has in zip(parts, named, strict=True)
    ]


@dataclass(frozen=True)
class _Of:
    """A view of other points, with their name, attributes and facts."""

    points: Points

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.points.name

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""
        return self.points.columns

    @property
    def attrs(self) -> dict[str, Any]:
        """Attribution and the like."""
        return self.points.attrs

    @property
    def settled(self) -> Settled | None:
        """What is known of the whole that they are a part of."""
        return _settled(self.points)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.points)

    @property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude, degrees; NaN where there is no point."""
        return self.points.lonlat

    @property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """The coordinates in the CRS they came in, and that CRS."""
        return self.points.native

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""
        return self.points.arrow(name)

    def parts(self, name: str) -> Iterator[pa.Array]:
        """Yield an attribute of all rows, part after part."""
        yield from self.points.parts(name)

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows."""
        return self.points.take(rows, columns)


@dataclass(frozen=True)
class Settled:
    """
    What was found out of the whole of some points, and cannot be seen in a part of them.

    Parameters
    ----------
    form
        The schema of an images frame, in the form that fits; see `frames.form`.
    by_text
        Providers whose keys go by text; see `keys.text_ranks`.
    """

    form: frames.Schema
    by_text: frozenset[str] = frozenset()


def _settled(points: Points) -> Settled | None:
    found: Settled | None = getattr(points, "settled", None)
    return found


@dataclass(frozen=True)
class PartOf(_Of):
    """
    Points that are a part of others.

    Parameters
    ----------
    points
        The part.
    whole
        What is known of the whole.
    """

    whole: Settled

    @property
    def settled(self) -> Settled:
        """What is known of the whole that they are a part of."""
        return self.whole


@dataclass(frozen=True)
class SomeOf(_Of):
    """Some rows of other points, in their order."""

    rows: Rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    @cached_property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude, degrees; NaN where there is no point."""
        lon, lat = self.points.lonlat
        return lon[self.rows], lat[self.rows]

    @cached_property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """The coordinates as they came, and their CRS."""
        x, y, crs = self.points.native
        return x[self.rows], y[self.rows], crs

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""
        return self.points.arrow(name).take(self.rows)

    def parts(self, name: str) -> Iterator[pa.Array]:
        """Yield an attribute of all rows, part after part."""
        if (self.rows[1:] < self.rows[:-1]).any():
            yield from self.arrow(name).chunks
            return
        start = 0
        for part in self.points.parts(name):
            first, last = np.searchsorted(self.rows, [start, start + len(part)])
            yield part.take(pa.array(self.rows[first:last] - start))
            start += len(part)

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows."""
        return self.points.take(self.rows[rows], columns)


@dataclass(frozen=True)
class Behind(_Of):
    """
    Points with others before them.

    Parameters
    ----------
    points
        Any points.
    before
        Others in degrees, which come first, with those columns that are asked for.
    """

    before: TablePoints

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.before) + len(self.points)

    @cached_property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude, degrees; NaN where there is no point."""
        lon, lat = (np.concatenate(both) for both in zip(self.before.lonlat, self.points.lonlat, strict=True))
        return lon, lat

    @property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """Longitude and latitude, and their CRS."""
        return *self.lonlat, self.before.native[2]

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""
        own = in_plain(self.points.arrow(name))
        return pa.chunked_array([*self.before.arrow(name).cast(own.type).chunks, *own.chunks], own.type)

    def parts(self, name: str) -> Iterator[pa.Array]:
        """Yield an attribute of all rows, part after part."""
        yield from self.before.arrow(name).chunks
        yield from self.points.parts(name)

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows."""
        names = self.columns if columns is None else columns
        return pa.table({name: self.arrow(name).take(pa.array(rows)) for name in names})


@dataclass(frozen=True)
class Conformed(_Of):
    """
    Points whose attributes have the dtypes of a schema, as far as it knows them; read as needed, like the points.

    Parameters
    ----------
    points
        Any points.
    schema
        The kind of frame they are.
    """

    schema: frames.Schema

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""
        if name == "provider" and self.schema.name == frames.IMAGES.name:  # several steps ask for it
            return self._providers
        return self._in_dtype(name, self.points.arrow(name))

    def parts(self, name: str) -> Iterator[pa.Array]:
        """Yield an attribute of all rows, part after part."""
        for part in self.points.parts(name):
            is_text = pa.types.is_dictionary(part.type) and self._form.dtype(name) in {None, "str"}
            yield from [part] if is_text and name != "provider" else self._in_dtype(name, _plain([part])).chunks

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows."""
        table = self.points.take(rows, columns)
        return pa.table({name: self._in_dtype(name, table[name]) for name in table.column_names})

    @property
    def settled(self) -> Settled | None:
        """What is known of the whole that they are a part of; the form is that of all, whichever are chosen of them."""
        known = _settled(self.points)
        return known if known is not None or self.schema is not frames.IMAGES else Settled(self._form)

    @cached_property
    def _form(self) -> frames.Schema:
        return form_of(self.points, self.schema)

    @cached_property
    def _providers(self) -> pa.ChunkedArray:
        return keys.provider_names(self.points.arrow("provider"))

    def _in_dtype(self, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
        if name == "provider" and self.schema.name == frames.IMAGES.name:
            return keys.provider_names(values)
        dtype = self._form.dtype(name)
        if name == "id" or dtype is None or _fits(values, dtype):  # ids are those of the service, see `keys_of`
            return values
        try:
            column = dtypes.cast(_series(values), dtype)
        except (ValueError, TypeError, OverflowError) as error:
            raise FrameError(f"{self.name}: column '{name}' does not fit {dtype} ({error})") from error
        return pa.chunked_array([pa.Array.from_pandas(column)])


def _fits(values: pa.ChunkedArray, dtype: str) -> bool:
    """Return whether a column becomes this dtype in pandas as it is; times in whatever unit."""
    kind = values.type
    if dtype.startswith("datetime64"):
        return bool(pa.types.is_timestamp(kind) and kind.tz == "UTC")
    tests = {
        "int64": pa.types.is_int64,
        "Int64": pa.types.is_int64,
        "float64": pa.types.is_float64,
        "bool": pa.types.is_boolean,
        "str": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind),
    }
    return bool(tests[dtype](kind)) or bool(pa.types.is_null(kind))


@working("reading positions")
def keep(points: Points, *, region: Area | None, conditions: dict[str, Any]) -> Points:
    """
    Return the points that lie in a region and meet all conditions of `frames.conditions_of`.

    Parameters
    ----------
    points
        Any points.
    region
        None for the whole earth.
    conditions
        See `frames.filter_images`; without conditions all points are returned.

    Raises
    ------
    FrameError
        If the column of a condition is missing.
    """
    kept = np.ones(len(points), dtype=bool)
    if conditions:
        kept &= frames.conditions_mask(asked_of(points, conditions), conditions)
    if region is not None:
        kept &= region.contains(*points.lonlat)
    return points if kept.all() else SomeOf(points, np.flatnonzero(kept))


def asked_of(points: Points, conditions: dict[str, Any]) -> dict[str, pd.Series]:
    """
    Return the columns that conditions of `frames.conditions_of` look at, in the dtypes of an images frame.

    Raises
    ------
    FrameError
        If one is missing, or does not fit.
    """
    names = frames.columns_for(conditions, points.columns)
    schema = form_of(points, frames.IMAGES)
    return {name: _of_schema(schema, name, _series(points.arrow(name)), points.name) for name in names}


class Area(Protocol):
    """A part of the earth, such as a `Region`."""

    def contains(self, lon: Floats, lat: Floats) -> Flags:
        """Return which points lie in it or on its edge."""
        ...


def as_frame(points: Points, schema: frames.Schema) -> gpd.GeoDataFrame:
    """Return points as a frame of a schema."""
    lon, lat = points.lonlat
    own = points.take(np.arange(len(points)))
    return frames.placed(own if own.num_columns else pa.table({"": lon}).select([]), lon, lat, schema)


def ids_of(points: Points, column: str) -> Whole:
    """
    Return a column of ids as int64.

    Raises
    ------
    FrameError
        If it is missing, has gaps or has values other than whole numbers.
    """
    values = points.arrow(column)
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type) and not values.null_count:
        return np.ascontiguousarray(values.to_numpy().astype(np.int64, copy=False))
    import pandas as pd

    held = _series(values)
    try:
        return np.ascontiguousarray(dtypes.cast(held, "int64").to_numpy())
    except (ValueError, TypeError, OverflowError) as error:
        hint = frames.SAY_PROVIDER if column == "id" and pd.api.types.is_string_dtype(held) else None
        raise FrameError(f"{points.name}: column '{column}' contains no ids ({error})", hint=hint) from error


def _plain(parts: list[pa.Array]) -> pa.ChunkedArray:
    return in_plain(pa.chunked_array(parts))


def in_plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without a dictionary."""
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def form_of(points: Points, schema: frames.Schema) -> frames.Schema:
    """Return a schema in the form that fits points; see `frames.form`."""
    if (whole := _settled(points)) is not None:
        return whole.form if schema is frames.IMAGES else schema
    if "provider" not in points.columns and "id" in points.columns and pa.types.is_integer(_type_of(points, "id")):
        return schema  # as Mapillary's are; said without pandas, whose import takes as long as much of a selection

    def column(name: str) -> pd.Series:
        if name == "provider":
            return _series(pa.chunked_array([points.arrow(name).unique()]))
        some = points.take(_spread(len(points)), [name])[name]
        if pa.types.is_integer(some.type):
            return _series(some.slice(0, 0))
        return shown if frames.is_no_number(shown := _series(some)) else _series(points.arrow(name))

    return frames.form(schema, points.columns, column)


def _type_of(points: Points, name: str) -> pa.DataType:
    return points.take(np.empty(0, dtype=np.int64), [name])[name].type


def _spread(length: int) -> Rows:
    """Return a few hundred rows that stand for all: at several places, so that few row groups are read for them."""
    starts = np.linspace(0, max(0, length - _TOGETHER), _PLACES).astype(np.int64)
    return np.unique((starts[:, None] + np.arange(min(length, _TOGETHER))).ravel())


_PLACES, _TOGETHER = 4, 250
"""Places where ids are looked at before all, and rows at each."""


def keys_of(points: Points) -> Whole | pd.api.extensions.ExtensionArray:
    """
    Return the ids of images: int64 where they are Mapillary's alone, else an array of pandas' `str`.

    Raises
    ------
    FrameError
        If they are missing, have gaps, or hold what is not an id.
    """
    import pandas as pd

    if not _has_texts(points):
        return ids_of(points, "id")
    try:
        found: pd.api.extensions.ExtensionArray = pd.array(keys.texts(points.arrow("id")), dtype="str")
    except (ValueError, pa.ArrowInvalid) as error:
        raise _no_ids(points, error) from error
    return found


def keyed(points: Points) -> keys.Keyed:
    """
    Return the keys of images with their ranks, by which ties are settled.

    Raises
    ------
    FrameError
        As `keys_of` does.
    """
    if not _has_texts(points):
        ids = ids_of(points, "id")
        return keys.Keyed(keys.ranks(ids), ids)
    providers = points.arrow("provider") if "provider" in points.columns else None
    try:
        whole = _settled(points)
        by_text = frozenset() if whole is None else whole.by_text
        return keys.keyed(lambda: points.parts("id"), len(points), providers, by_text)
    except (ValueError, pa.ArrowInvalid) as error:
        raise _no_ids(points, error) from error


def _has_texts(points: Points) -> bool:
    return form_of(points, frames.IMAGES).dtype("id") == "str"


def _no_ids(points: Points, error: Exception) -> FrameError:
    return FrameError(f"{points.name}: column 'id' contains no ids ({error})")


def floats_of(points: Points, column: str) -> Floats:
    """
    Return a column of numbers as float64, NaN where it has gaps.

    Raises
    ------
    FrameError
        If it is missing, or has values other than numbers.
    """
    found = np.empty(len(points))

    def fill(rows: slice, part: pa.Array) -> None:
        found[rows] = part.to_numpy(zero_copy_only=False)

    try:
        if _each_part(points, column, pa.float64(), fill):
            return found
        return np.asarray(dtypes.cast(_series(points.arrow(column)), "float64").to_numpy(dtype=float, na_value=np.nan))
    except (ValueError, TypeError) as error:
        raise FrameError(f"{points.name}: column '{column}' holds no numbers ({error})") from error


def truths_of(points: Points, column: str) -> tuple[Flags, Flags]:
    """
    Return a column of truth values, and which of them are known; the others are False.

    Raises
    ------
    FrameError
        If it is missing, or has other values.
    """
    true, known = np.empty(len(points), dtype=bool), np.empty(len(points), dtype=bool)

    def fill(rows: slice, part: pa.Array) -> None:
        true[rows] = part.fill_null(False).to_numpy(zero_copy_only=False)
        known[rows] = part.is_valid().to_numpy(zero_copy_only=False) if part.null_count else True

    try:
        if _each_part(points, column, pa.bool_(), fill):
            return true, known
        values = dtypes.cast(_series(points.arrow(column)), "bool")
    except (ValueError, TypeError) as error:
        raise FrameError(f"{points.name}: column '{column}' holds no truth values ({error})") from error
    return frames.truths(values), ~values.isna().to_numpy()


def _each_part(points: Points, column: str, kind: pa.DataType, work: Callable[[slice, pa.Array], None]) -> bool:
    """Call `work` with the rows of each part of a column, and the part; return False at one of another type."""
    start = 0
    for part in points.parts(column):
        if part.type != kind:
            return False
        work(slice(start, start + len(part)), part)
        start += len(part)
    return True


def _of_schema(schema: frames.Schema, name: str, values: pd.Series, where: str) -> pd.Series:
    dtype = schema.dtype(name)
    if dtype is None:  # a column of the user's own
        return values
    try:
        return dtypes.cast(values, dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise FrameError(f"{where}: column '{name}' cannot be filtered by ({error})") from error


def _series(values: pa.ChunkedArray) -> pd.Series:
    return frames.to_pandas(pa.table({"values": values}))["values"]
