"""
Tables of text (CSV, TSV) of any length, some rows at a time: the rows, dtypes and faults of `mlygeo.store.text`.

A first pass over the text finds what all cells of each column say, as far as types hang on it; a second one gives the
rows. What is counted or told of rows is told once, of all.
"""

from __future__ import annotations

import codecs
import math
import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FormatError
from mlygeo.formats import texts
from mlygeo.store import columns as described
from mlygeo.store import positions, text, text_values
from mlygeo.store.atomic import file_error
from mlygeo.store.whole_ids import WholeIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats

BLOCK = 4 << 20
"""Bytes of text that are parsed at once; a longer row is read with larger blocks."""

LARGEST_BLOCK = 1 << 30

ROWS_AT_ONCE = 250_000
"""Rows of a frame, about."""

_STRADDLES = "straddling object"
"""What Arrow says of a row that is longer than a block."""


class LongTable:
    """
    A table of text, read in two passes.

    Parameters
    ----------
    path
        The file.
    folder
        Where a copy in UTF-8 is kept, for a file that is not; the caller removes it.

    Raises
    ------
    FormatError
        If it is not a table, or has no coordinates in degrees.
    FileError
        If it cannot be read.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        self.path = path
        self._source = _in_utf8(path, folder)
        with self._source.open("rb") as file:
            head, self._separator = text.head_of(file.read(1 << 22), path)
        self.names = [cell.text for cell in head]
        self.rows, self._block = 0, BLOCK
        self.attrs: dict[str, Any] = {}
        self.left_out: dict[str, int] = {}
        self._columns = self._found(head)
        self.used = self._chosen()
        self._kept = [name for name in self.names if name not in self.used]
        self._ids = self._whole_ids()

    def frames(self) -> Iterator[gpd.GeoDataFrame]:
        """
        Yield the rows, with the columns and dtypes of all; then `attrs` tells what is in doubt of them.

        `left_out` then counts the rows that are left out, by reason.

        Raises
        ------
        FormatError
            If a position is not degrees, or all geometry is damaged.
        """
        first = lost = first_lost = contradicted = first_contradicted = 0
        example = ""
        for table in self._some_at_once():
            values = {
                name: self._columns[name].values(table.column(place))
                for place, name in enumerate(self.names)
                if name not in self.used
            }
            geometry, damaged = self._geometry(table, first)
            if damaged.any():
                row = int(np.flatnonzero(damaged)[0])
                if not lost:
                    first_lost = first + row
                    example = repr(str(table.column(self.names.index(self.used[0]))[row])[:60])
                lost += int(damaged.sum())
            if len(self.used) == 1:
                rows = positions.contradictory(geometry, _table_of(values, self._kept, len(geometry)))
                if len(rows) and not contradicted:
                    first_contradicted = first + int(rows[0])
                contradicted += len(rows)
            first += table.num_rows
            yield self._frame(values, geometry, damaged)
        if lost and lost == self._columns[self.used[0]].texts:
            raise FormatError(f"{self.path.name}: the geometry of row {first_lost + 1} is damaged ({example})")
        if lost:
            described.warn_of_lost(lost, first_lost, self.path.name, example)
            self.left_out = {described.DAMAGED: lost}
        if contradicted:
            told = positions.told_of(contradicted, first_contradicted, first, self._kept, self.path.name)
            self.attrs["in_doubt"] = told

    def _frame(self, values: dict[str, pd.Series], geometry: Any, damaged: Flags) -> gpd.GeoDataFrame:
        import geopandas as gpd

        shape = next(each for each in ("geometry", "shape", "shape_1") if each not in self._kept)
        plain = _table_of(values, self._kept, len(geometry))
        found = gpd.GeoDataFrame(plain.assign(**{shape: geometry}), geometry=shape, crs=frames.CRS)
        return self._ids.applied(found[~damaged].reset_index(drop=True) if damaged.any() else found)

    def _geometry(self, table: pa.Table, first: int) -> tuple[Any, Flags]:
        """Return the shapes of rows, of which the first has this number, and which of them are damaged."""
        shapes, damaged = self._shapes(table)
        if len(self.used) == 2:

            def numbers(name: str) -> Floats:
                return self._numbers(name, table.column(self.names.index(name)))

            shapes = frames.points(*map(numbers, self.used))
            for columns in positions.lonlat_columns(self.names):
                positions.check_alike(columns, numbers, self.path.name, FormatError, first=first)
            for name in self.used:
                shapes[~table.column(self.names.index(name)).is_valid().to_numpy()] = None
        text.check_degrees(shapes, self.used, self.path, first=first)
        return shapes, damaged

    def _shapes(self, table: pa.Table) -> tuple[Any, Flags]:
        """Return the shapes of WKT, and which are damaged; none where two columns hold points."""
        import shapely

        if len(self.used) == 2:
            return None, np.zeros(table.num_rows, dtype=bool)
        cells = table.column(self.names.index(self.used[0]))
        shapes: Any = np.asarray(shapely.from_wkt(cells.to_numpy(), on_invalid="ignore"))
        return shapes, cells.is_valid().to_numpy() & shapely.is_missing(shapes)

    # The first pass

    def _found(self, head: list[text.Head]) -> dict[str, _Column]:
        """Find what all cells of each column say."""
        commas = self._separator != ","
        places = {name for columns in positions.lonlat_columns(self.names) for name in columns}
        shapes = {each[0] for each in positions.coordinates_of(self.names) if len(each) == 1}
        found = {
            name: _Column(
                name,
                text_values.Said(commas=commas),
                text_values.Said(commas=True) if name in places else None,
                name in shapes,
            )
            for name in self.names
        }
        for table in self._tables():
            for place, column in enumerate(found.values()):
                column.add(table.column(place), self.rows)
            self.rows += table.num_rows
            last = table
        if self.rows:
            with self._source.open("rb") as file:
                file.seek(max(0, self._source.stat().st_size - text.END))
                text.check_closed(last, file.read(), self.path, self.rows)
        self._quoted([*found.values()], head)
        doubtful = [column for column in found.values() if len(column.settle()) > 0]
        while doubtful and (misfit := self._misfit(doubtful)) is not None:
            misfit.kinds.pop(0)
        return found

    def _misfit(self, columns: list[_Column]) -> _Column | None:
        """Return a column of which a value does not fit the type of its form, such as the 31st of February."""
        for table in self._tables():
            for column in columns:
                if not column.fits(table.column(self.names.index(column.name))):
                    return column
        return None

    def _quoted(self, columns: list[_Column], head: list[text.Head]) -> None:
        """Note the columns whose first value is quoted, see `text`."""
        if all(cell.is_quoted for cell in head):
            return
        for column in columns:
            if len(column.word) > text.LONG_WORD:
                doubled = column.word.replace('"', '""').encode()
                with self._source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as seen:
                    column.is_text = seen.find(b'"' + doubled + b'"') >= 0
        there = [(place, each) for place, each in enumerate(columns) if each.row >= 0]
        short = [(place, each) for place, each in there if len(each.word) <= text.LONG_WORD]
        last, start = max((each.row for _, each in short), default=-1), 0
        for table in self._tables(nulls=["", *dict.fromkeys(each.word for _, each in short)]):
            for place, each in short:
                if start <= each.row < start + table.num_rows:
                    each.is_text = table.column(place)[each.row - start].is_valid
            start += table.num_rows
            if start > last:
                return

    def _chosen(self) -> tuple[str, ...]:
        """Return the columns that hold the geometry: the likeliest that look so."""
        likely = positions.coordinates_of(self.names)
        for number, found in enumerate(likely):
            is_last = number == len(likely) - 1
            if len(found) == 2:
                return found
            column = self._columns[found[0]]
            if text.may_be_wkt(column.texts, self.rows, found[0], self.path, some=column.has_wkt, must=is_last):
                return found
        raise FormatError(f"{self.path.name} has no geometry")

    def _whole_ids(self) -> WholeIds:
        """Return which columns of ids, texts all of them, are whole numbers."""
        import pyarrow as pa

        found = WholeIds()
        names = [name for name in [*WholeIds.NAMES, "provider"] if name in self.names and name not in self.used]
        if any(self._columns[name].kind is None for name in names if name != "provider"):
            for table in self._tables() if self.rows else [self._nothing()]:
                _, damaged = self._shapes(table)
                kept = table.filter(pa.array(~damaged)) if damaged.any() else table
                found.add({name: self._columns[name].values(kept.column(self.names.index(name))) for name in names})
        return found

    def _numbers(self, name: str, cells: pa.ChunkedArray) -> Floats:
        """Return a column of coordinates; NaN where a cell says nothing, or "nan"."""
        import pyarrow as pa

        column = self._columns[name]
        said = column.said_as_place
        if said is None or not said.has_values:
            return np.full(len(cells), np.nan)
        if not said.types or not (pa.types.is_floating(said.types[0]) or pa.types.is_integer(said.types[0])):
            raise text.no_number(self.path, name, self._odd(name))
        found: Floats = said.cast(cells, pa.float64()).to_numpy()
        return found

    def _odd(self, name: str) -> str:
        """Return the first text of a column that is not a number; else its first one."""
        place, first = self.names.index(name), None
        for table in self._tables():
            for word in table.column(place).to_pylist():
                if word is not None and word not in text_values.NULLS:
                    if math.isnan(texts.real(word)):
                        return str(word)
                    first = first or str(word)
        return first or "a word"

    # The text

    def _tables(self, nulls: Sequence[str] = ("",)) -> Iterator[pa.Table]:
        """Yield all cells as text, a block at a time."""
        import pyarrow as pa
        from pyarrow import csv as arrow

        rows = 0
        while True:
            options = text.options_of(len(self.names), self._separator, block=self._block, nulls=nulls)
            options["read_options"].use_threads = False
            seen = 0
            try:
                for batch in arrow.open_csv(self._source, **options):
                    seen += batch.num_rows
                    if seen > rows:  # after a row that was too long, those before it come again
                        new = min(batch.num_rows, seen - rows)
                        rows = seen
                        yield pa.Table.from_batches([batch.slice(batch.num_rows - new)])
            except (pa.ArrowException, OSError, ValueError) as error:
                if _STRADDLES not in str(error) or self._block >= LARGEST_BLOCK:
                    raise text.no_table(self.path, error) from error
                self._block *= 8
                continue
            return

    def _some_at_once(self) -> Iterator[pa.Table]:
        """Yield the cells, so many rows at a time that a frame of them is worth its while; once at least."""
        import pyarrow as pa

        held: list[pa.Table] = []
        rows = 0
        for table in self._tables():
            held.append(table)
            rows += table.num_rows
            if rows >= ROWS_AT_ONCE:
                yield pa.concat_tables(held)
                held, rows = [], 0
        if held or not self.rows:
            yield pa.concat_tables(held) if held else self._nothing()

    def _nothing(self) -> pa.Table:
        import pyarrow as pa

        return pa.table({str(place): pa.array([], pa.string()) for place in range(len(self.names))})


class _Column:
    """A column: what all its cells say."""

    def __init__(
        self, name: str, said: text_values.Said, said_as_place: text_values.Said | None, may_be_shapes: bool
    ) -> None:
        self.name, self.said, self.said_as_place = name, said, said_as_place
        self._may_be_shapes = may_be_shapes
        self.row, self.word = -1, ""
        self.is_text = False
        self.texts, self.has_wkt, self._has_exponent = 0, False, False
        self.kinds: list[pa.DataType] = []

    def add(self, cells: pa.ChunkedArray, start: int) -> None:
        """Take further cells into account, of which the first has this number."""
        import pyarrow as pa

        self.texts += len(cells) - cells.null_count
        if self.row < 0 and (row := cells.is_valid().index(pa.scalar(value=True)).as_py()) >= 0:
            self.row, self.word = start + row, cells[row].as_py()
        self.said.add(cells)
        if self.said_as_place is not None:
            self.said_as_place.add(cells)
        if self._may_be_shapes and not self.has_wkt:
            self.has_wkt = text.has_wkt(cells.drop_null())
        if self.name.lower() in text_values.ID_NAMES and not self._has_exponent:
            self._has_exponent = text_values.has_exponent(cells)

    def settle(self) -> list[pa.DataType]:
        """Settle the types that the values may have, which are returned where some may not fit the first."""
        import pyarrow as pa

        self.kinds = [] if self.is_text else self.said.types
        if self._has_exponent and self.kinds and pa.types.is_floating(self.kinds[0]):
            self.kinds = []
        return [each for each in self.kinds if not (pa.types.is_boolean(each) or pa.types.is_floating(each))]

    @property
    def kind(self) -> pa.DataType | None:
        """The type of the values; None for text."""
        return next(iter(self.kinds), None)

    def fits(self, cells: pa.ChunkedArray) -> bool:
        """Return whether cells have values of the type."""
        import pyarrow as pa

        try:
            return self.kind is None or self.said.cast(cells, self.kind) is not None
        except pa.ArrowInvalid:
            return False

    def values(self, cells: pa.ChunkedArray) -> pd.Series:
        """Return the values of cells."""
        if self.kind is None:
            return text_values.as_text(cells, is_text=self.is_text)
        return text_values.as_values(self.said.cast(cells, self.kind), has_gaps=self.said.has_gaps)


def _in_utf8(path: Path, folder: Path) -> Path:
    """Return a file of the text in UTF-8, without a mark or empty lines before it: the file itself where it is so."""
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
            encoding = texts.encoding_of(start)
            encoding = text.legacy_of(_pieces(path), path.name) if encoding == "utf-8" else encoding
            if encoding == "utf-8" and not start.startswith((b"\r", b"\n")):
                return path
        copy = folder / f"{path.name}.utf-8"
        with copy.open("wb") as target:
            decode, is_first = codecs.getincrementaldecoder(encoding)().decode, True
            for piece in _with_end(_pieces(path)):
                words = decode(piece, final=not piece)
                words = words.removeprefix("\ufeff").lstrip("\r\n") if is_first else words
                is_first = is_first and not words
                target.write(words.encode())
    except UnicodeError as error:
        raise FormatError(f"{path.name}: its text is not {encoding}") from error
    except OSError as error:
        raise file_error(error, path) from error
    return copy


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(BLOCK):
            yield piece


def _with_end(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from pieces
    yield b""


def _table_of(values: dict[str, pd.Series], names: list[str], rows: int) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({name: values[name] for name in names}, index=pd.RangeIndex(rows))
