"""Where points come from: a frame, a table or a GeoParquet file, read column by column as needed."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa

from mlygeo import degrees, dtypes, frames
from mlygeo.arrays import give_back, workers
from mlygeo.errors import FrameError
from mlygeo.store.parquet import attributes, encodings, metadata
from mlygeo.store.parquet.files import GeoFile
from mlygeo.store.parquet.reading import groups_near
from mlygeo.store.paths import called

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import geopandas as gpd
    import pandas as pd
    from pyproj import CRS

    from mlygeo.arrays import Bounds, Floats, Rows
    from mlygeo.store.parquet.files import Elsewhere

Result = TypeVar("Result")

THREADS = 2
"""Row groups decoded at once: more gain little and need more memory (measured on 2 cores)."""


MANY = 2_000_000
"""Rows of which the memory that was needed to decode them is returned: some 100 MB (measured)."""


class Points(Protocol):
    """Points with attributes, which are read as needed."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def __len__(self) -> int:
        """Return the number of rows."""

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""

    @property
    def attrs(self) -> dict[str, Any]:
        """Attribution and the like."""

    @property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude, degrees; NaN where there is no point."""

    @property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """The coordinates as they came, float64 of shape (n,), NaN where there is no point; and their CRS."""

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""

    def parts(self, name: str) -> Iterator[pa.Array]:
        """
        Yield an attribute of all rows, part after part, for where the whole need not be held.

        Text of few values may come as codes of a dictionary.
        """

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows."""


class _Whole(ABC):
    """Points whose attributes come as a whole."""

    @abstractmethod
    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""

    def parts(self, name: str) -> Iterator[pa.Array]:
        """Yield an attribute of all rows, part after part."""
        yield from self.arrow(name).chunks


class _Placed(ABC):
    """Points that know their coordinates in their own CRS."""

    name: str

    @property
    @abstractmethod
    def native(self) -> tuple[Floats, Floats, CRS]:
        """The coordinates in the CRS they came in, and that CRS."""

    @cached_property
    def lonlat(self) -> tuple[Floats, Floats]:
        """
        Longitude and latitude, degrees; NaN where there is no point. What lies beyond ±180° is taken within.

        Raises
        ------
        FormatError
            If a file has geometries other than points, or no CRS.
        FrameError
            If a point is no longitude and latitude, such as metres in a frame that says degrees.
        """
        lon, lat = encodings.to_lonlat(*self.native, self.name)
        degrees.check(lon, lat, self.name, hint="is the CRS another one?")
        return degrees.within(lon, self.name), lat


@dataclass(frozen=True)
class FramePoints(_Placed, _Whole):
    """
    The points of a frame.

    Parameters
    ----------
    frame
        GeoDataFrame of points, in any CRS.
    name
        What messages call it.
    """

    frame: gpd.GeoDataFrame
    name: str

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """Names of the attributes; a further position, such as the computed one, is not an attribute."""
        return [name for name, dtype in self.frame.dtypes.items() if str(dtype) != "geometry"]

    @property
    def attrs(self) -> dict[str, Any]:
        """Attribution and the like."""
        return dict(self.frame.attrs)

    @cached_property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """The coordinates in the CRS of the frame, and that CRS."""
        return *frames.lonlat(self.frame), self.crs

    @property
    def crs(self) -> CRS:
        """The CRS of the frame."""
        return self.frame.crs

    def type_of(self, name: str) -> pa.DataType:
        """Return the Arrow type of an attribute."""
        return self.arrow(name).type

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""
        _must_have(name, self.columns, self.name)
        return attributes.to_arrow(self._held(name), name)[0]

    @cached_property
    def _ids(self) -> pd.Series:
        return self._keys("id")

    def _held(self, name: str) -> pd.Series:
        if name == "id":  # several steps ask for it
            return self._ids
        return self._keys(name) if name in frames.KEYS else self.frame[name]

    def _keys(self, name: str) -> pd.Series:
        values: pd.Series = self.frame[name]
        if not dtypes.is_mixed(values):
            return values
        try:  # numbers and texts, where frames were put together
            return dtypes.id_texts(values)
        except ValueError as error:
            raise FrameError(f"{self.name}: column '{name}' contains no ids ({error})") from error

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows."""
        names = self.columns if columns is None else [name for name in columns if name in self.columns]
        held = {name: self._held(name) for name in names}
        return pa.table({name: attributes.to_arrow(held[name].iloc[rows], name)[0] for name in names})


class PointFile(_Placed):
    """
    The points of a GeoParquet file, which is read only as far as needed.

    Parameters
    ----------
    path
        GeoParquet with points, as WKB or in the native encoding, in any CRS.
    bbox
        West, south, east, north in degrees; west > east crosses the antimeridian. Only row groups that may have
        points in it. None takes all.
    groups
        Only these row groups; None takes all.
    footer
        Hash of its footer, as an index of its dataset has it; None where there is no index.
    at_once
        Whether all columns of a file elsewhere are asked for at once, and kept: fewest requests for who needs all.

    Attributes
    ----------
    name
        Name in messages: the name of the file.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If it is not a GeoParquet.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | Elsewhere | GeoFile,
        *,
        bbox: Bounds | None = None,
        groups: list[int] | None = None,
        footer: str | None = None,
        at_once: bool = False,
    ) -> None:
        if isinstance(path, str | os.PathLike):
            path = Path(path)
        self._file = path if isinstance(path, GeoFile) else GeoFile(path, footer=footer)
        self.path = self._file.path
        self.name = called(self.path)
        rows = self._file.groups
        everything = [*range(len(rows))] if groups is None else groups
        self._groups = everything if bbox is None else groups_near(self._file, bbox)
        self._rows = [rows[group] for group in self._groups]
        if at_once:
            self._file.hold(self._groups)

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(self._rows)

    @property
    def columns(self) -> list[str]:
        """Names of the attribute columns: all but geometry, the boxes of rows and the index of pandas."""
        return self._file.attributes

    @property
    def attrs(self) -> dict[str, Any]:
        """The frame's `attrs` when it was written."""
        return self._file.attrs

    @cached_property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """
        The coordinates as the file has them, and their CRS.

        Raises
        ------
        FormatError
            If the file has geometries other than points, or no CRS.
        """
        primary, crs = self._file.primary, self.crs
        x, y = np.empty(len(self)), np.empty(len(self))
        ends = np.cumsum([0, *self._rows])

        def decode(some: range) -> None:
            part = slice(ends[some.start], ends[some.stop])
            groups = [self._groups[number] for number in some]
            if not self._fill_plain(groups, x[part], y[part]):
                values = self._file.read(groups, [primary.name], use_threads=False).column(0)
                x[part], y[part] = encodings.coordinates(values, self.path)

        for _ in self._in_threads(decode, [primary.name]):
            pass
        self._give_back()
        return x, y, crs

    @property
    def crs(self) -> CRS:
        """The CRS of the coordinates; FormatError where the file names none."""
        return metadata.crs_of(self._file.primary, self.name)

    def pieces(self, most: int) -> Iterator[PointFile]:
        """Yield the points of some row groups at a time, in their order, with so many rows or one row group each."""
        if len(self) <= most or len(self._groups) == 1:
            if len(self._groups):
                yield self  # whose coordinates are read once
            return
        start = 0
        while start < len(self._groups):
            stop, rows = start + 1, self._rows[start]
            while stop < len(self._groups) and rows + self._rows[stop] <= most:
                rows += self._rows[stop]
                stop += 1
            yield PointFile(self._file, groups=self._groups[start:stop])
            start = stop

    def _in_threads(self, work: Callable[[range], Result], names: list[str]) -> Iterator[Result]:
        """Yield what is done with some row groups after others, by their places among those that are read."""
        batches = self._file.batches(self._groups, names)
        threads = min(THREADS, workers(), len(batches))
        if threads <= 1:  # another thread would open the file once more
            yield from map(work, batches)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield from pool.map(work, batches)

    def _give_back(self) -> None:
        """Return the memory of what was decoded to the system, where it is much."""
        if len(self) > MANY:
            give_back()

    def _fill_plain(self, groups: list[int], x: Floats, y: Floats) -> bool:
        """Fill in the coordinates of row groups; return whether all are plain points."""
        start = 0
        for piece in self._file.pieces(groups, [self._file.primary.name]):
            stop = start + len(piece)
            if not encodings.fill_plain(piece.column(0), x[start:stop], y[start:stop]):
                return False
            start = stop
        return True

    def type_of(self, name: str) -> pa.DataType:
        """Return the Arrow type of an attribute."""
        _must_have(name, self.columns, self.name)
        return self._file.file.schema_arrow.field(name).type

    def arrow(self, name: str) -> pa.ChunkedArray:
        """
        Return an attribute of all rows.

        Raises
        ------
        FrameError
            If there is no such column.
        """
        _must_have(name, self.columns, self.name)
        if name == "id":  # several steps ask for it
            return self._ids
        return self._providers if name == "provider" else self._all(name)

    def _all(self, name: str) -> pa.ChunkedArray:
        return self._file.read(self._groups, [name]).column(0)

    @cached_property
    def _ids(self) -> pa.ChunkedArray:
        if not pa.types.is_int64(self.type_of("id")):
            return self._all("id")
        # In one array, which NumPy takes as it is: to put chunks together takes as much memory again.
        found, ends = np.empty(len(self), dtype=np.int64), np.cumsum([0, *self._rows])

        def decode(some: range) -> bool:
            start = ends[some.start]
            for piece in self._file.pieces([self._groups[number] for number in some], ["id"]):
                if piece.column(0).null_count:
                    return False
                stop = start + len(piece)
                found[start:stop] = piece.column(0).to_numpy()
                start = stop
            return True

        if not all(self._in_threads(decode, ["id"])):
            return self._all("id")
        self._give_back()
        return pa.chunked_array([pa.array(found)])

    @cached_property
    def _providers(self) -> pa.ChunkedArray:
        return self._file.read_coded("provider", self._groups)

    def statistics(self, name: str) -> tuple[int, Any] | None:
        """Return how many rows have no value of an attribute, and the largest value; None where the file tells not."""
        leaf, metadata = self._file.leaves.get(name), self._file.file.metadata
        if leaf is None:
            return None
        found = [metadata.row_group(group).column(leaf).statistics for group in self._groups]
        if not found or not all(each is not None and each.has_null_count for each in found):
            return None
        known = [each for each, rows in zip(found, self._rows, strict=True) if each.null_count < rows]
        if not all(each.has_min_max for each in known):
            return None
        try:
            return sum(each.null_count for each in found), max((each.max for each in known), default=None)
        except (ValueError, OverflowError):  # a time beyond the years of Python
            return None

    def parts(self, name: str) -> Iterator[pa.Array]:
        """
        Yield an attribute of all rows, row group after row group; text that is stored as codes comes as these.

        Raises
        ------
        FrameError
            If there is no such column.
        """
        _must_have(name, self.columns, self.name)
        coded = name != "id" and self._file.is_coded(name, self._groups)

        def decode(group: int) -> pa.ChunkedArray:
            if coded:
                return self._file.read_coded(name, [group])
            return self._file.read([group], [name], use_threads=False).column(0)

        with ThreadPoolExecutor(THREADS) as pool:
            read = deque[Future[pa.ChunkedArray]]()
            for group in self._groups:
                read.append(pool.submit(decode, group))
                if len(read) > THREADS:
                    yield from read.popleft().result().chunks
            for part in read:
                yield from part.result().chunks

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """
        Return chosen rows, in the given order.

        Parameters
        ----------
        rows
            Row numbers, int64, in any order, repeated or not.
        columns
            Attribute columns; None takes all.

        Returns
        -------
        table
            A row for each of `rows`; a table without columns has none.
        """
        names = self.columns if columns is None else [name for name in columns if name in self.columns]
        if not names:
            return pa.table({})
        if "provider" in names and "_providers" in vars(self):  # read already
            others = self.take(rows, [name for name in names if name != "provider"])
            whose = self._providers.take(pa.array(rows)).cast(self._file.file.schema_arrow.field("provider").type)
            return pa.table({name: whose if name == "provider" else others[name] for name in names})
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        ends = np.cumsum([0, *self._rows])
        limits = np.searchsorted(ordered, ends)
        coded = [name for name in names if self._file.is_coded(name, self._groups)]

        def pick(some: range) -> list[pa.RecordBatch]:
            used = [number for number in some if limits[number] < limits[number + 1]]
            # Rows of groups that are not read are not counted.
            gone = [np.full(limits[number + 1] - limits[number], ends[number] - start)
                    for number, start in zip(used, _starts(self._rows, used), strict=True)]  # fmt: skip
            if not used:
                return []
            wanted = ordered[limits[some.start] : limits[some.stop]] - np.concatenate(gone)
            found, start = [], 0
            groups = [self._groups[number] for number in used]
            for piece in self._file.pieces(groups, names, coded=coded, checked=False):
                first, last = np.searchsorted(wanted, [start, start + len(piece)])
                if first < last:
                    some = piece.take(pa.array(wanted[first:last] - start))
                    self._file.check_texts(some)
                    found.append(self._plain(some, coded))
                start += len(piece)
            return found

        parts = [part for found in self._in_threads(pick, names) for part in found]
        self._give_back()
        if not parts:
            return self._file.file.schema_arrow.empty_table().select(names).replace_schema_metadata(None)
        whole = pa.Table.from_batches(parts).replace_schema_metadata(None)
        if (order[1:] > order[:-1]).all():
            return whole
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return whole.take(pa.array(back))

    def _plain(self, piece: pa.RecordBatch, coded: list[str]) -> pa.RecordBatch:
        """Return rows with text where there are codes of text, in the types of the file."""
        schema = self._file.file.schema_arrow
        columns = {
            name: values.dictionary_decode().cast(schema.field(name).type) if name in coded else values
            for name, values in zip(piece.schema.names, piece.columns, strict=True)
        }
        return pa.record_batch(columns)


def _starts(rows: list[int], used: list[int]) -> list[int]:
    """Return where the rows of some groups begin, one behind the other."""
    return [*accumulate((rows[number] for number in used), initial=0)][:-1]


@dataclass(frozen=True)
class TablePoints(_Whole):
    """The points of an Arrow table, with coordinates in the columns `lon` and `lat`."""

    table: pa.Table
    name: str
    facts: dict[str, Any]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.table)

    @property
    def columns(self) -> list[str]:
        """Names of the attributes."""
        return [name for name in self.table.column_names if name not in ("lon", "lat")]

    @property
    def attrs(self) -> dict[str, Any]:
        """Attribution and the like."""
        return dict(self.facts)

    @property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude, degrees; NaN where there is no point."""
        return self.table["lon"].to_numpy(), self.table["lat"].to_numpy()

    @property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """Longitude and latitude, which are how they came."""
        from pyproj import CRS

        return *self.lonlat, CRS.from_epsg(4326)

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""
        _must_have(name, self.columns, self.name)
        return self.table[name]

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows."""
        names = self.columns if columns is None else [name for name in columns if name in self.columns]
        return self.table.select(names).take(rows).replace_schema_metadata(None)


def _must_have(name: str, columns: list[str], where: str) -> None:
    if name not in columns:
        raise FrameError(f"{where} has no column '{name}' (it has {', '.join(columns) or 'none but the geometry'})")
