"""Points of several files as one: their rows follow each other, and every column has one type."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from mlygeo import frames
from mlygeo.errors import FrameError
from mlygeo.store.held import joined_attrs
from mlygeo.store.point_sources import Points

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pyproj import CRS

    from mlygeo.arrays import Floats, Rows


class Part(Points, Protocol):
    """Points of a file, which know the types of their columns."""

    @property
    def crs(self) -> CRS:
        """The CRS that their coordinates come in."""

    def type_of(self, name: str) -> pa.DataType:
        """Return the type of an attribute."""


@dataclass(frozen=True)
class United:
    """
    Points of several files.

    Parameters
    ----------
    members
        The points of each file; one at least.
    name
        What messages call them.
    constants
        Columns that all rows of a file have one value in: for each part by name. A part's own column goes before.
    as_text
        Columns of whole numbers that are text here, since ids of another provider are.
    """

    members: Sequence[Part]
    name: str
    constants: Sequence[Mapping[str, int | str | None]]
    as_text: frozenset[str] = field(default=frozenset())

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._ends[-1])

    @cached_property
    def columns(self) -> list[str]:
        """Names of the attributes of any part, in the order in which they come."""
        own = dict.fromkeys(name for part in self.members for name in part.columns)
        return [*dict.fromkeys([*own, *(name for said in self.constants for name in said)])]

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """The facts of the first part, the attributions of all and the sums of what they left out."""
        return joined_attrs([part.attrs for part in self.members])

    @cached_property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude, degrees; NaN where there is no point."""
        lon, lat = np.empty(len(self)), np.empty(len(self))
        for part, end in zip(self.members, self._ends, strict=True):
            rows = slice(end - len(part), end)
            lon[rows], lat[rows] = part.lonlat
        return lon, lat

    @cached_property
    def native(self) -> tuple[Floats, Floats, CRS]:
        """The coordinates as they came, and their CRS; longitude and latitude where the parts have several."""
        first, *others = [part.native for part in self.members]
        if any(crs != first[2] for _, _, crs in others):
            return *self.lonlat, _degrees()
        x, y = (np.concatenate([first[axis], *(other[axis] for other in others)]) for axis in (0, 1))
        return x, y, first[2]

    @cached_property
    def crs(self) -> CRS:
        """The CRS of `native`, for which no coordinate is read."""
        first, *others = [part.crs for part in self.members]
        return _degrees() if any(crs != first for crs in others) else first

    def type_of(self, name: str) -> pa.DataType:
        """
        Return the type of an attribute, which holds the values of all parts.

        Raises
        ------
        FrameError
            If it is text in one file and numbers in another, or the like.
        """
        if name not in self._types:
            self._types[name] = self._common(name)
        return self._types[name]

    def arrow(self, name: str) -> pa.ChunkedArray:
        """Return an attribute of all rows."""
        if name not in self.columns:
            raise FrameError(f"{self.name} has no column '{name}' (it has {', '.join(self.columns)})")
        if name == "id":  # several steps ask for it
            return self._ids
        return self._whole(name)

    def parts(self, name: str) -> Iterator[pa.Array]:
        """Yield an attribute of all rows, part after part."""
        for number, member in enumerate(self.members):
            if name in member.columns:
                for part in member.parts(name):
                    yield from self.as_here(pa.chunked_array([part]), number, name, len(part)).chunks
            else:
                yield from self.as_here(None, number, name, len(member)).chunks

    def take(self, rows: Rows, columns: Iterable[str] | None = None) -> pa.Table:
        """Return attributes of chosen rows, in the given order."""
        names = self.columns if columns is None else [name for name in columns if name in self.columns]
        if not names:
            return pa.table({})
        order = np.argsort(rows, kind="stable")
        ordered = np.asarray(rows)[order]
        limits = np.searchsorted(ordered, np.concatenate([[0], self._ends]))
        tables = []
        for number, part in enumerate(self.members):
            mine = ordered[limits[number] : limits[number + 1]] - (self._ends[number] - len(part))
            if len(mine):
                own = part.take(mine, [name for name in names if name in part.columns])
                columns_of = {name: own[name] if name in own.column_names else None for name in names}
                tables.append(
                    pa.table(
                        {name: self.as_here(values, number, name, len(mine)) for name, values in columns_of.items()}
                    )
                )
        if not tables:
            return pa.table({name: pa.array([], self.type_of(name)) for name in names})
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_tables(tables).take(pa.array(back))

    @cached_property
    def _ends(self) -> Rows:
        return np.cumsum([len(part) for part in self.members])

    @cached_property
    def _ids(self) -> pa.ChunkedArray:
        return self._whole("id")

    @cached_property
    def _types(self) -> dict[str, pa.DataType]:
        return {}

    def _whole(self, name: str) -> pa.ChunkedArray:
        kind = self.type_of(name)
        chunks = [
            chunk
            for number, part in enumerate(self.members)
            for chunk in self.as_here(
                part.arrow(name) if name in part.columns else None, number, name, len(part)
            ).chunks
        ]
        return pa.chunked_array(chunks, kind)

    def as_here(self, values: pa.ChunkedArray | None, number: int, name: str, rows: int) -> pa.ChunkedArray:
        """Return values of a part in the type of all; those of a constant where the part has none."""
        kind = self.type_of(name)
        if values is None:
            return pa.chunked_array([pa.repeat(pa.scalar(self.constants[number].get(name), kind), rows)])
        if values.type == kind:
            return values
        try:
            return values.cast(kind)
        except pa.ArrowException as error:
            raise FrameError(
                f"{self.name}: the column {name!r} of {self.members[number].name} does not fit {kind},"
                f" as others have it ({' '.join(str(error).split())[:120]})"
            ) from error

    def _common(self, name: str) -> pa.DataType:
        known: list[tuple[pa.DataType, str]] = []
        for part, said in zip(self.members, self.constants, strict=True):
            if name in part.columns:
                kind = part.type_of(name)
                known.append((pa.string() if name in self.as_text and pa.types.is_integer(kind) else kind, part.name))
            elif said.get(name) is not None:
                known.append((pa.string() if isinstance(said[name], str) else pa.int64(), part.name))
        if not known:
            return pa.null()
        try:
            return reduce(_wider, (kind for kind, _ in known))
        except pa.ArrowException as error:
            first, (other, where) = (
                known[0],
                next((each for each in known if not _go_together(each[0], known[0][0])), known[-1]),
            )
            raise FrameError(
                f"{self.name}: the column {name!r} is {first[0]} in {first[1]} and {other} in {where}",
                hint="bring it to one type, or read the files with mlygeo.read_frame(…, frame=KIND)",
            ) from error


def _degrees() -> CRS:
    from pyproj import CRS

    return CRS.from_user_input(frames.CRS)


def _go_together(one: pa.DataType, other: pa.DataType) -> bool:
    try:
        _wider(one, other)
    except pa.ArrowException:
        return False
    return True


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of two; ArrowTypeError where there is none."""
    if one == other:
        return one
    one, other = _plain(one), _plain(other)
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_integer(one) and pa.types.is_integer(other):
        return pa.int64()
    numbers = [pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in (one, other)]
    if all(numbers):
        return pa.float64()
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other):
        if (one.tz is None) != (other.tz is None):
            raise pa.ArrowTypeError("times with a zone and without")
        units = ("s", "ms", "us", "ns")
        zone = one.tz if one.tz == other.tz else "UTC"
        return pa.timestamp(units[max(units.index(one.unit), units.index(other.unit))], zone)
    schemas = [pa.schema([("values", kind)]) for kind in (one, other)]
    kind: pa.DataType = pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    if pa.types.is_string(one) != pa.types.is_string(other) and not pa.types.is_large_string(kind):
        raise pa.ArrowTypeError("text and another type")
    return kind


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values in categories, and one type of text and of bytes."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) else kind
