"""A GeoParquet file: opened once, read by row groups and columns; whatever is damaged is our error."""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mlygeo import degrees
from mlygeo.errors import FileError, FormatError, MlygeoError
from mlygeo.store.parquet import attributes, encodings, metadata
from mlygeo.store.paths import called

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeVar

    from mlygeo.arrays import Bounds, Flags, Floats
    from mlygeo.store.parquet.encodings import Named

    Result = TypeVar("Result")

MOST_EXPANDED = 1_000
"""Times its size that a file may expand to. Real files reach some ten, and ids in order some hundred."""

MUCH_BYTES = 400 * 2**20
"""What a file may expand to without being asked how small it was."""


PIECE_ROWS = 1 << 17
"""Rows that are decoded at once where the whole need not be held: their bytes stay in the caches (measured)."""

LENGTH_BYTES = 4
"""Bytes of the length of a text in Parquet."""

BATCH_ROWS = 300_000
"""Rows that a thread reads at once, unless a row group has more: each read takes its time, too."""

BATCH = 32 << 20
"""Bytes of a file elsewhere that are asked for at once."""


class Opened(Protocol):
    """A file elsewhere, opened."""

    size: int

    def stream(self, ranges: Sequence[tuple[int, int]] = ()) -> pa.NativeFile:
        """Return a file for Arrow that has some ranges already."""

    def holding(self, ranges: Sequence[tuple[int, int]]) -> Opened:
        """Return the file with some ranges, which are asked for at once."""

    def check(self) -> None:
        """Raise FileError where the file is another one by now."""


class Elsewhere(Protocol):
    """A file on a server or in an object store."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def open(self) -> Opened:
        """Open it."""


ROUNDED = 2.0**-23
"""Share by which a side of a box may be off where it was rounded to float32."""


_DAMAGED = re.compile("CRC checksum|deserialize thrift")
"""Words of Arrow by which what a file says of a page is not so: it says them as of a disk that fails."""


class Reopened:
    """
    A file here that is opened for each read: of thousands, a process may not have all open at once.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state: tuple[int, ...] | None = None
        self.size = 0

    @property
    def name(self) -> str:
        """What messages call it."""
        return called(self._path)

    def open(self) -> Reopened:
        """Note which file it is."""
        try:
            self._state = self._now()
        except FileNotFoundError as error:
            raise FileError(f"{self._path} does not exist") from error
        self.size = self._state[2]
        return self

    def stream(self, ranges: Sequence[tuple[int, int]] = ()) -> pa.NativeFile:  # noqa: ARG002 - all of it is here
        """Return the opened file; FileError where it is another one by now."""
        opened = reading(self, lambda: pa.OSFile(str(self._path)))
        self.check()
        return opened

    def holding(self, ranges: Sequence[tuple[int, int]]) -> Reopened:  # noqa: ARG002 - all of it is here
        """Return the file."""
        return self

    def check(self) -> None:
        """Raise FileError where the file is another one by now."""
        try:
            same = self._now() == self._state
        except FileNotFoundError:
            same = False
        if not same:
            raise FileError(f"{self.name} was replaced while it was read", hint="run the same command again")

    def _now(self) -> tuple[int, ...]:
        found = self._path.stat()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class GeoFile:
    """
    A GeoParquet file.

    Parameters
    ----------
    path
        The file.
    footer
        Hash of its footer, as an index of its dataset has it; None where there is no index.

    Attributes
    ----------
    path
        The file.
    file
        Arrow's reader.
    geometry
        Its geometry columns by name, the primary one first.
    primary
        The primary geometry column.
    pandas
        The metadata of pandas; empty where another program wrote the file.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If it is not a GeoParquet, or is damaged, or has another footer.
    """

    def __init__(self, path: Path | Elsewhere, *, footer: str | None = None) -> None:
        self.path = path
        # Opened once: another file may be moved to the path meanwhile.
        self._remote: Opened | None = None if isinstance(path, Path) else path.open()
        if isinstance(path, Path):
            if not path.exists():
                raise FileError(f"{path} does not exist")
            self._bytes = reading(path, lambda: pa.OSFile(str(path)))
        elif self._remote is not None:
            self._bytes = self._remote.stream()
        self.file = reading(path, lambda: _opened(self._bytes))
        if footer is not None and reading(path, lambda: footer_sha256(self._bytes)) != footer:
            raise FormatError(
                f"{called(path)} is another file than the index of its dataset says", hint="partition it again"
            )
        if isinstance(path, Reopened):
            self._bytes.close()
        self._local = threading.local()
        self._local.file = self.file
        self._ahead: pa.NativeFile | None = None
        # Another reader's names may be text that is not UTF-8.
        self.geometry = {
            column.name: column for column in reading(path, lambda: metadata.geometry_columns(self.file, called(path)))
        }
        self.primary = next(iter(self.geometry.values()))
        self.pandas: dict[str, Any] = metadata.pandas_metadata(metadata.stated(self.file, b"pandas"), called(path))
        _check_size(self.file, self.size, path)
        names = self.file.schema_arrow.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise FormatError(
                f"{called(path)} has several columns called {', '.join(map(repr, twice))}", hint="rename them"
            )

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.file.metadata.num_rows)

    @property
    def size(self) -> int:
        """Its bytes."""
        return int(self._bytes.size()) if self._remote is None else self._remote.size

    @cached_property
    def groups(self) -> list[int]:
        """Numbers of rows of the row groups."""
        return [self.file.metadata.row_group(group).num_rows for group in range(self.file.num_row_groups)]

    @cached_property
    def leaves(self) -> dict[str, int]:
        """Numbers of the columns that Parquet stores, by their path, such as `bbox.xmin`."""
        return {self.file.schema.column(number).path: number for number in range(len(self.file.schema))}

    @cached_property
    def columns(self) -> list[str]:
        """Names of attributes and geometry, in the file's order: all but boxes of rows and the index of pandas."""
        boxes = {column.covering for column in self.geometry.values()} | {self._box_of_other_writers}
        index = {name for name in self.pandas.get("index_columns") or [] if isinstance(name, str)}
        hidden = boxes | {name for name in index if name.startswith("__index_level_")}
        return [name for name in self.file.schema_arrow.names if name not in hidden]

    @property
    def attributes(self) -> list[str]:
        """Names of the columns that are not geometry."""
        return [name for name in self.columns if name not in self.geometry]

    @property
    def attrs(self) -> dict[str, Any]:
        """The frame's `attrs` when it was written."""
        return dict(self.pandas.get("attributes") or {})

    def described(self, name: str) -> dict[str, Any]:
        """Return what pandas wrote of a column; empty where it wrote nothing."""
        found: list[dict[str, Any]] = self.pandas.get("columns") or []
        return next((each for each in found if name == each.get("field_name", each.get("name"))), {})

    def bytes_of(self, group: int, columns: Sequence[str]) -> list[tuple[int, int]]:
        """Return where the columns of a row group lie in the file: the first byte, and the one after the last."""
        found = self.file.metadata.row_group(group)
        ranges = []
        for path, number in self.leaves.items():
            if not any(path == name or path.startswith(f"{name}.") for name in columns):
                continue
            chunk = found.column(number)
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                start = min(start, chunk.dictionary_page_offset)
            ranges.append((int(start), int(start + chunk.total_compressed_size)))
        return ranges

    def read(self, groups: Sequence[int], columns: Sequence[str], *, use_threads: bool = True) -> pa.Table:
        """Return columns of row groups; text is checked, since what is not UTF-8 fails much later."""
        file = self._reader(groups, columns)
        whole = reading(
            self.path, lambda: file.read_row_groups(list(groups), columns=list(columns), use_threads=use_threads)
        )
        if self._remote is not None and self._ahead is None and columns and len(groups):
            self._remote.check()
        rows = self.groups
        if columns and len(whole) != sum(rows[group] for group in groups):
            raise FormatError(f"{called(self.path)} is a damaged Parquet file: its columns have different lengths")
        # Arrow takes a name with a dot for one in a struct, too.
        table = whole.select(list(columns))
        for name in columns:
            if _has_text(table.schema.field(name).type):
                _check_text(table[name], name, self.path)
        return table

    def pieces(
        self, groups: Sequence[int], columns: Sequence[str], *, coded: Sequence[str] = (), checked: bool = True
    ) -> Iterator[pa.RecordBatch]:
        """
        Yield columns of row groups, some ten thousand rows at a time, so that they stay in the caches.

        Parameters
        ----------
        groups, columns
            As in `read`.
        coded
            Columns of text that come as codes of a dictionary, as Parquet has them; see `is_coded`.
        checked
            Whether text is checked, as in `read`; else whoever takes some rows checks those; see `check_texts`.
        """
        file = self._reader_of(groups, columns, [*coded]) if coded else self._reader(groups, columns)
        batches = reading(
            self.path,
            lambda: file.iter_batches(PIECE_ROWS, row_groups=list(groups), columns=list(columns), use_threads=False),
        )
        found = 0
        while (batch := reading(self.path, lambda: next(batches, None))) is not None:
            piece = batch.select(list(columns))
            if checked:
                self.check_texts(piece)
            found += len(piece)
            yield piece
        if self._remote is not None and self._ahead is None:
            self._remote.check()
        rows = self.groups
        if found != sum(rows[group] for group in groups):
            raise FormatError(f"{called(self.path)} is a damaged Parquet file: its columns have different lengths")

    def check_texts(self, piece: pa.RecordBatch) -> None:
        """Raise FormatError where text is not UTF-8, which fails much later."""
        for name, values in zip(piece.schema.names, piece.columns, strict=True):
            if pa.types.is_dictionary(values.type):
                _check_text(values.dictionary, name, self.path)
            elif _has_text(values.type):
                _check_text(values, name, self.path)

    def is_coded(self, name: str, groups: Sequence[int]) -> bool:
        """Return whether a column is text whose values are mostly codes: then it takes less than a text's length."""
        if not attributes.is_text(self.file.schema_arrow.field(name).type) or name not in self.leaves:
            return False
        chunks = [self.file.metadata.row_group(group).column(self.leaves[name]) for group in groups]
        size, rows = sum(each.total_uncompressed_size for each in chunks), sum(each.num_values for each in chunks)
        return all(each.has_dictionary_page for each in chunks) and size < LENGTH_BYTES * rows

    def read_coded(self, name: str, groups: Sequence[int]) -> pa.ChunkedArray:
        """Return a column of row groups, text of few values as codes of a dictionary, as Parquet mostly has it."""
        if not _has_text(self.file.schema_arrow.field(name).type):
            return self.read(groups, [name]).column(0)
        coded = self._reader_of(groups, [name], read_dictionary=[name])
        values = reading(self.path, lambda: coded.read_row_groups(list(groups), columns=[name])).column(name)
        for part in values.chunks:
            _check_text(part.dictionary if pa.types.is_dictionary(part.type) else part, name, self.path)
        rows = self.groups
        if len(values) != sum(rows[group] for group in groups):
            raise FormatError(f"{called(self.path)} is a damaged Parquet file: its columns have different lengths")
        return values.unify_dictionaries()

    def hold(self, groups: Sequence[int]) -> None:
        """Ask at once for all columns of row groups of a file elsewhere, which are read from memory then."""
        if self._remote is not None and len(groups):
            ranges = [each for group in groups for each in self.bytes_of(group, self.columns)]
            self._remote = self._remote.holding(ranges)

    @contextmanager
    def ahead(self, groups: Sequence[int], columns: Sequence[str]) -> Iterator[None]:
        """Ask at once for what will be read of a file elsewhere, in this thread alone; of others, do nothing."""
        if self._remote is None:
            yield
            return
        ranges = [each for group in groups for each in self.bytes_of(group, columns)]
        self._ahead = self._remote.stream(ranges)
        try:
            yield
            self._remote.check()
        finally:
            self._ahead = None

    def batches(self, groups: Sequence[int], columns: Sequence[str]) -> list[range]:
        """
        Return which of some row groups are read at once, by their places among these.

        Some hundred thousand rows, but of a file elsewhere more: a request takes its time whatever it asks for.
        """
        found: list[range] = []
        size, most = 0, BATCH_ROWS if self._remote is None else BATCH
        rows = self.groups
        for number, group in enumerate(groups):
            more = rows[group]
            if self._remote is not None:
                more = sum(stop - start for start, stop in self.bytes_of(group, columns))
            if found and size + more <= most:
                found[-1], size = range(found[-1].start, number + 1), size + more
            else:
                found.append(range(number, number + 1))
                size = more
        return found

    def _reader(self, groups: Sequence[int], columns: Sequence[str]) -> pq.ParquetFile:
        """Return Arrow's reader for this thread; of a file elsewhere one that has what will be read."""
        if self._remote is not None:
            return self._reader_of(groups, columns)
        # One reader for each thread: Arrow does not promise that threads may share one.
        if not hasattr(self._local, "file"):
            self._local.file = self._reader_of(groups, columns)
        found: pq.ParquetFile = self._local.file
        return found

    def _reader_of(
        self, groups: Sequence[int], columns: Sequence[str], read_dictionary: Sequence[str] | None = None
    ) -> pq.ParquetFile:
        source: Any = self._bytes
        if self._remote is not None:
            source = self._ahead
            if source is None:
                source = self._remote.stream([each for group in groups for each in self.bytes_of(group, columns)])
        return reading(
            self.path,
            lambda: pq.ParquetFile(
                source,
                metadata=self.file.metadata,
                read_dictionary=read_dictionary,
                page_checksum_verification=True,
            ),
        )

    @cached_property
    def _box_of_other_writers(self) -> str | None:
        """
        The box of each row that the metadata do not name, such as DuckDB's.

        It is one if it is a struct of the four sides called `bbox` or `NAME_bbox`, and in every row the box of
        the geometry. Nothing is lost without it, since the geometry says the same.
        """
        if self.primary.covering is not None or not len(self):
            return None
        schema = self.file.schema_arrow
        for name in ("bbox", f"{self.primary.name}_bbox"):
            # What pandas noted was a column of somebody's frame.
            if name not in schema.names or name in self.geometry or self.described(name):
                continue
            kind = schema.field(name).type
            if metadata.box_fields(kind) and {field.name for field in kind} == {*metadata.SIDES}:
                groups = range(1 if self._remote is not None else self.file.num_row_groups)
                whole = all(self._are_boxes(group, name) for group in groups)
                return name if whole else None
        return None

    def _are_boxes(self, group: int, name: str) -> bool:
        import shapely

        table = self.read([group], [name, self.primary.name])
        stated = box_sides(table[name])
        own = shapely.bounds(encodings.shapes(table[self.primary.name], self.primary.encoding, self.path)[0]).T
        off = np.abs(own) * (2 * ROUNDED) + 1e-30
        return bool(((np.abs(stated - own) <= off) | (np.isnan(stated) & np.isnan(own))).all())


def box_sides(values: pa.ChunkedArray) -> Floats:
    """Return the boxes in a struct column, shape (4, n), in the order of `metadata.SIDES`; NaN where there is none."""
    import pyarrow.compute as pc

    sides = [pc.struct_field(values, side).to_numpy().astype(np.float64) for side in metadata.SIDES]
    return np.stack(sides)


def widened(sides: Floats) -> Floats:
    """
    Return boxes that hold what theirs hold before they were rounded to float32, in whatever direction.

    GeoParquet asks writers to round outwards, and not all do. Shape (4, n), as `box_sides` returns them.
    """
    off = np.abs(sides) * (2 * ROUNDED)
    return np.concatenate([sides[:2] - off[:2], sides[2:] + off[2:]])


def near(sides: Floats, bbox: Bounds) -> Flags:
    """
    Return which rows may meet a box, by the boxes they come with; of a row without one, the geometry tells.

    Parameters
    ----------
    sides
        Boxes in degrees, shape (4, n), as `box_sides` returns them.
    bbox
        West, south, east, north in degrees; west > east crosses the antimeridian.
    """
    sides = widened(sides)
    # A box whose west is east of its east crosses the antimeridian, as in RFC 7946.
    across = (sides[0] > sides[2]) & (sides[3] >= bbox[1]) & (sides[1] <= bbox[3])
    found: Flags = degrees.meets(sides, bbox) | across | np.isnan(sides).any(axis=0)
    return found


def may_be_null(statistics: pq.Statistics) -> bool:
    """Return whether a column of a row group may have rows without a value, by its statistics."""
    return not statistics.has_null_count or statistics.null_count > 0


def reading(path: Named, action: Callable[[], Result]) -> Result:
    """Return the result of an action on a file; Arrow's errors become ours."""
    try:
        return action()
    except MlygeoError:
        raise
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{called(path)} is not a Parquet file, or is damaged: {reason}") from error
    except (pa.ArrowException, OSError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        if isinstance(error, OSError) and _DAMAGED.search(reason):
            raise FormatError(f"{called(path)} is damaged: {reason}") from error
        raise FileError(f"{called(path)} cannot be read: {reason}") from error


def _opened(source: pa.NativeFile) -> pq.ParquetFile:
    file = pq.ParquetFile(source, page_checksum_verification=True)
    _ = file.schema_arrow.names
    return file


def footer_sha256(source: Path | pa.NativeFile) -> str:
    """Return the hash of the end of a Parquet file, which says what its columns are and where; hexadecimal digits."""
    if isinstance(source, Path):
        with reading(source, lambda: pa.OSFile(str(source))) as opened:
            return footer_sha256(opened)
    size = source.size()
    source.seek(max(size - 8, 0))
    length = int.from_bytes(source.read(4), "little") + 8
    source.seek(max(size - length, 0))
    return hashlib.sha256(source.read(length)).hexdigest()


def _check_size(file: pq.ParquetFile, size: int, path: Named) -> None:
    """Raise where a small file would fill the memory."""
    rows = file.metadata.num_rows
    groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
    if rows < 0 or any(group.num_rows < 0 for group in groups) or rows != sum(group.num_rows for group in groups):
        raise FormatError(f"{called(path)} is a damaged Parquet file: its numbers of rows do not add up")
    expanded = max(sum(max(group.total_byte_size, 0) for group in groups), 8 * rows * max(file.metadata.num_columns, 1))
    if expanded > max(MUCH_BYTES, MOST_EXPANDED * size):
        raise FormatError(
            f"{called(path)} has {size:,} bytes and would expand to {expanded:,}:"
            " it is damaged or made to fill the memory"
        )


def _check_text(values: pa.Array | pa.ChunkedArray, name: str, path: Path | Elsewhere) -> None:
    """Raise where text is not UTF-8, which fails much later."""
    try:
        values.validate(full=True)
    except pa.ArrowException as error:
        raise FormatError(f"the column {name!r} of {called(path)} is damaged: {error}") from error


def _has_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _has_text(kind.value_type)
    return any(_has_text(kind.field(number).type) for number in range(kind.num_fields)) or bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
