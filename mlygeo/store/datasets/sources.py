"""The inputs of a dataset: GeoParquet files and frames, read piece by piece in bounded memory."""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo import degrees, frames, store
from mlygeo.errors import FileError, FrameError
from mlygeo.store import gdal, stac, text
from mlygeo.store.datasets import files, items
from mlygeo.store.datasets.form import Form, plain
from mlygeo.store.datasets.source import Source, Span
from mlygeo.store.long_layers import LongLayer
from mlygeo.store.long_tables import LongTable
from mlygeo.store.parquet import encodings, metadata
from mlygeo.store.parquet.files import GeoFile, reading
from mlygeo.store.paths import called
from mlygeo.systems import free_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlygeo.arrays import Floats
    from mlygeo.store import FrameLike
    from mlygeo.store.datasets.choosing import Choice
    from mlygeo.store.datasets.index import Part
    from mlygeo.store.datasets.remote import Remote

log = logging.getLogger("mlygeo.store.datasets")

ROWS_AT_ONCE = 131_072
"""Rows that are decoded at once."""

ROWS_PER_PIECE = 1_000_000
"""Rows of a piece, which is one process's task: some row groups of some files."""

MEMORY_PER_BYTE = 6
"""Bytes of memory for a byte of a file that is read as a whole (measured: 2.6 for GeoJSON to 5.7 for CSV)."""

STAC_BYTES_PER_ROW = 2_500
"""Bytes of memory for a STAC item (measured: 2,040)."""

LONG_BYTES = 32_000_000
"""Bytes from which on a file of text is read some rows at a time, which reads it twice."""

ITEMS_AT_ONCE = 100_000
"""STAC items that are read at once, but whole row groups."""

MUCH_MEMORY = 1_000_000_000
"""Bytes beyond which it is told that a file is read as a whole."""

TURNED = "positions beyond ±180° of longitude, taken as the same place within"
FLAT = "positions with a height, which is left out"


@dataclass(frozen=True)
class Chunk:
    """Some rows: attributes, further geometry, and positions in degrees (NaN where there is none); others by reason."""

    table: pa.Table
    lon: Floats
    lat: Floats
    problems: dict[str, int]
    left_out: dict[str, int] = field(default_factory=dict)


def sources(
    inputs: Sequence[FrameLike], *, folder: Path, generation: int = 0, choice: Choice | None = None
) -> list[Source]:
    """
    Return the inputs as files.

    Parameters
    ----------
    inputs
        Files, folders and patterns of GeoParquet, other files of points that `mlygeo.read_frame` reads, and frames.
    folder
        Where inputs that are no GeoParquet are written as such.
    generation
        See `Source`.
    choice
        Which of their rows are meant; None for all. Files that can have none by the index are not opened, but for one
        of each dataset.

    Raises
    ------
    FrameError
        If one has no points.
    FileError
        If one cannot be read, or has to be read as a whole and does not fit into memory.
    """
    named = [each for each in inputs if isinstance(each, str | os.PathLike) and not store.is_table(each)]
    held = [each for each in inputs if not any(each is name for name in named)]
    found: list[Source] = []
    opened: dict[str, Source] = {}
    listed = files.listed(named).files if named else ()
    if choice is not None:  # those that are opened first
        listed = (*filter(choice.may_meet, listed), *(file for file in listed if not choice.may_meet(file)))
    for file in listed:
        if file.is_parquet:
            dataset = None if file.part is None else _place(file.path).removesuffix(file.part.path)
            if choice is not None and file.part and dataset in opened and not choice.may_meet(file):
                found.append(_unread(opened[dataset], file, file.part))
                continue
            source = of_file(file.path, generation=generation, keys=file.keys, footer=file.footer, choice=choice)
            if file.part is not None:
                source = replace(source, sha256=file.part.sha256)
            if dataset is not None:
                opened.setdefault(dataset, source)
            if not stac.is_stac(source.schema.names):
                found.append(source)
                continue
            if source.rows > ITEMS_AT_ONCE:
                must_fit(file.name, max(source.groups) * STAC_BYTES_PER_ROW)
                for frame in items.images(file, ITEMS_AT_ONCE):
                    found.append(
                        _of_frame(frame, folder, len(found), generation=generation, choice=choice, name=file.name)
                    )
                continue
            must_fit(file.name, source.rows * STAC_BYTES_PER_ROW)
            frame = store.read_frame(files.Listing(file.name, (file,)), frame="images")
        else:
            if isinstance(file.path, Path) and file.path.is_file():
                size = gdal.size_of(file.path)
                if size > LONG_BYTES and (long := _long(file, file.path, folder)) is not None:
                    found += _of_long(long, file, folder, len(found), generation=generation, choice=choice)
                    continue
                must_fit(file.name, size * MEMORY_PER_BYTE)
            frame = store.read_frame(files.Listing(file.name, (file,)))
        source = _of_frame(frame, folder, len(found), generation=generation, choice=choice, name=file.name)
        found.append(replace(source, of=file.name))
    if held:
        frame = store.as_frame(held if len(held) > 1 else held[0], name="the inputs")
        found.append(
            _of_frame(frame, folder, len(found), generation=generation, choice=choice, name="a frame of the inputs")
        )
    return found


def _place(path: Path | Remote) -> str:
    return path.resolve().as_posix() if isinstance(path, Path) else path.address


def _unread(other: Source, file: files.File, part: Part) -> Source:
    """Return a part of a dataset that is not read, by another one of it that was opened and what the index says."""
    path, modified_ns, digest = file.path, 0, part.sha256
    if isinstance(path, Path):
        path, modified_ns, digest = path.resolve(), path.stat().st_mtime_ns, ""
    return replace(
        other, path=path, groups=(part.rows,), bytes=part.bytes, modified_ns=modified_ns, digest=digest,
        sha256=part.sha256, chosen=(),
    )  # fmt: skip


def must_fit(name: str, needed: int) -> None:
    """
    Raise where a file that is read as a whole does not fit into memory; tell where it needs much.

    Parameters
    ----------
    name
        What messages call it.
    needed
        The bytes of memory that reading it takes, about.

    Raises
    ------
    FileError
        If they are not free.
    """
    free = free_memory()
    if free is not None and needed > free:
        raise FileError(
            f"{name} is read as a whole, which needs about {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB"
            " are free",
            hint="part it into several files, which are read one after another, or convert it to GeoParquet,"
            " which is read in pieces",
        )
    if needed > MUCH_MEMORY:
        log.warning("%s is read as a whole, which needs about %.1f GB of memory; GeoParquet is read in pieces",
                    name, needed / 1e9)  # fmt: skip


def of_file(
    path: Path | Remote,
    *,
    generation: int = 0,
    digest: str = "",
    keys: Mapping[str, int | str | None] | None = None,
    footer: str | None = None,
    choice: Choice | None = None,
) -> Source:
    """Return a GeoParquet file as an input; FormatError where it is none, or has another footer than an index says."""
    file = GeoFile(path, footer=footer)
    if isinstance(path, Path):
        state = path.stat()
        path, size, modified_ns = path.resolve(), state.st_size, state.st_mtime_ns
    else:  # nobody knows when it was changed, and its end tells its content
        size, modified_ns = file.size, 0
        digest = hashlib.sha256(str(file.file.metadata.to_dict()).encode()).hexdigest()
    names = [name for name in file.columns if name != file.primary.name]
    arrow = file.file.schema_arrow
    fields = [pa.field(name, pa.binary() if name in file.geometry else plain(arrow.field(name).type)) for name in names]
    metadata.crs_of(file.primary, called(path))
    keys = {name: value for name, value in (keys or {}).items() if name not in file.columns}
    fields += [pa.field(name, pa.scalar(value).type) for name, value in keys.items()]
    return Source(
        path=path,
        generation=generation,
        groups=tuple(file.groups),
        bytes=size,
        modified_ns=modified_ns,
        schema=pa.schema(fields),
        geometry=file.primary.name,
        further={name: column.crs for name, column in file.geometry.items() if name != file.primary.name},
        attrs=file.attrs,
        notes={name: note for name in names if name not in file.geometry and (note := file.described(name))},
        keys=keys,
        digest=digest,
        choice=choice,
        chosen=None if choice is None else choice.groups(file),
    )


def pieces(found: Sequence[Source], most: int = ROWS_PER_PIECE) -> list[tuple[Span, ...]]:
    """
    Return the row groups of all inputs in tasks of about so many rows.

    A row group is in one task, and rows of a task are of one generation, and either all hide others or none does.
    """
    tasks: list[tuple[Span, ...]] = []
    spans: list[Span] = []
    rows = 0
    for number, source in enumerate(found):
        before = found[spans[-1].source] if spans else source
        if (source.generation, source.hides) != (before.generation, before.hides):
            tasks.append(tuple(spans))
            spans, rows = [], 0
        for group in source.read:
            count = source.groups[group]
            if rows and rows + count > most:
                tasks.append(tuple(spans))
                spans, rows = [], 0
            rows += count
            if spans and spans[-1].source == number and spans[-1].stop == group:
                spans[-1] = replace(spans[-1], stop=group + 1)
            else:
                spans.append(Span(number, group, group + 1))
    return [*tasks, tuple(spans)] if spans else tasks


def read(
    found: Sequence[Source], spans: Iterable[Span], form: Form, columns: Sequence[str] | None, *, threads: bool = False
) -> Iterator[Chunk]:
    """
    Yield the rows of a task, in the order of the inputs.

    Parameters
    ----------
    found
        All inputs.
    spans
        Which of their row groups.
    form
        The columns of the dataset.
    columns
        Which of them; None takes all.
    threads
        Whether several threads decode.

    Raises
    ------
    FrameError
        If a position is no longitude and latitude, or a value does not fit its type.
    FormatError
        If a file is damaged, or has geometries other than points.
    """
    names = form.schema.names if columns is None else list(columns)
    for span in spans:
        source = found[span.source]
        file = GeoFile(source.path)
        choice = source.choice
        more = [] if choice is None else [name for name in choice.columns if name not in names]
        here = [name for name in [*names, *more] if name in source.schema.names and name not in source.keys]
        if "provider" in names and form.provider is not None and "id" not in here:
            here.append("id")
        crs = metadata.crs_of(file.primary, source.name)
        rows, before = 0, source.first + sum(source.groups[: span.first])
        for table in _tables(file, span, [*here, file.primary.name], threads=threads):
            lon, lat, problems = _positions(table[file.primary.name], file, crs, source.name, first=before + rows)
            rows += len(table)
            attributes = _attributes(table, here, file)
            for name, value in source.keys.items():
                attributes[name] = pa.chunked_array([pa.array([value] * len(table), pa.scalar(value).type)])
            found_rows = form.conformed(attributes, [*names, *more], len(table), source.name)
            left_out: dict[str, int] = {}
            if choice is not None:
                kept, left_out = choice.rows(found_rows, lon, lat, source.name)
                if left_out:
                    found_rows, lon, lat = found_rows.filter(pa.array(kept)), lon[kept], lat[kept]
                    if problems:
                        _, _, problems = _positions(
                            table[file.primary.name].filter(pa.array(kept)), file, crs, source.name
                        )
            yield Chunk(found_rows.select(names), lon, lat, problems, left_out)
        if rows != sum(source.groups[span.first : span.stop]):
            raise FrameError(f"{source.name} was changed while it was read", hint="run the command again")


def _tables(file: GeoFile, span: Span, columns: Sequence[str], *, threads: bool) -> Iterator[pa.Table]:
    """Yield columns of row groups, a bounded number of rows at a time; those of a server by whole row groups."""
    if not isinstance(file.path, Path):
        for group in range(span.first, span.stop):
            yield file.read([group], columns, use_threads=threads)
        return
    batches = file.file.iter_batches(
        ROWS_AT_ONCE, row_groups=range(span.first, span.stop), columns=list(columns), use_threads=threads
    )
    while (batch := reading(file.path, partial(next, batches, None))) is not None:
        yield pa.Table.from_batches([batch])


def spilled(chunk: Chunk, form: Form) -> pa.Table:
    """Return rows with their positions as columns, as they are kept on the way to their parts."""
    columns = [*chunk.table.columns, pa.chunked_array([chunk.lon]), pa.chunked_array([chunk.lat])]
    return pa.table(columns, schema=form.spilled)


def _attributes(table: pa.Table, names: Sequence[str], file: GeoFile) -> dict[str, pa.ChunkedArray]:
    columns = {}
    for name in names:
        values = table[name]
        if name in file.geometry:
            values = _as_wkb(values, file.geometry[name].encoding, file)
        elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            reading(file.path, partial(values.validate, full=True))
        columns[name] = values
    return columns


def _as_wkb(values: pa.ChunkedArray, encoding: str, file: GeoFile) -> pa.ChunkedArray:
    import shapely

    if encoding == "wkb" and not isinstance(values.type, pa.BaseExtensionType):
        return values.cast(pa.binary())
    shapes, _ = encodings.shapes(values, encoding, file.path)
    return pa.chunked_array([pa.array(shapely.to_wkb(shapes, byte_order=1, flavor="iso"), pa.binary())])


def _positions(
    values: pa.ChunkedArray, file: GeoFile, crs: Any, name: str, *, first: int = 0
) -> tuple[Floats, Floats, dict[str, int]]:
    problems: dict[str, int] = {}
    plain = encodings.plain_points(values)
    if plain is None:
        plain = encodings.coordinates(values, file.path)
        if high := _heights(values, file):
            problems[FLAT] = high
    lon, lat = encodings.to_lonlat(*plain, crs, name)
    degrees.check(lon, lat, name, hint="is the CRS another one?", first=first)
    unknown = ~(np.isfinite(lon) & np.isfinite(lat))
    if unknown.any():
        lon, lat = np.where(unknown, np.nan, lon), np.where(unknown, np.nan, lat)
    if (turns := degrees.turns_of(lon, lon)) is not None:
        problems[TURNED] = int(np.count_nonzero(turns))
        lon = lon - 360.0 * turns
    # Zero has two signs, and a place has one.
    return lon + 0.0, lat + 0.0, problems


def _heights(values: pa.ChunkedArray, file: GeoFile) -> int:
    import shapely

    if pa.types.is_struct(values.type):
        return len(values) - values.null_count if values.type.get_field_index("z") >= 0 else 0
    shapes, _ = encodings.shapes(values, file.primary.encoding, file.path)
    return int(shapely.has_z(shapes).sum())


def _long(file: files.File, path: Path, folder: Path) -> LongTable | LongLayer | None:
    """Return a long file of text or of GDAL, to be read some rows at a time; None for one that is read as a whole."""
    if path.suffix.lower() in text.SEPARATORS:
        if file.layer is not None:
            raise FrameError(f"{file.name} has no layers", hint="leave out the layer")
        return LongTable(path, folder)
    return LongLayer.of(path, file.layer, folder)


def _of_long(
    long: LongTable | LongLayer,
    file: files.File,
    folder: Path,
    number: int,
    *,
    generation: int,
    choice: Choice | None,
) -> list[Source]:
    """Write the rows of a long file to files, some to each, and return those."""
    found: list[Source] = []
    for frame in long.frames():
        said = {name: value for name, value in file.keys.items() if name not in frame.columns}
        source = _of_frame(
            frame.assign(**said), folder, number + len(found), generation=generation, choice=choice, name=file.name
        )
        found.append(replace(source, of=file.name, first=sum(each.rows for each in found)))
    more = long.attrs if isinstance(long, LongTable) else {}
    told = [
        {**source.attrs, **more, "left_out": {} if number else long.left_out} for number, source in enumerate(found)
    ]
    return [replace(source, attrs=attrs) for source, attrs in zip(found, told, strict=True)]


def _of_frame(frame: Any, folder: Path, number: int, *, generation: int, choice: Choice | None, name: str) -> Source:
    """Write a frame to a file called after its content, and return that; `name` is what a user knows it by."""
    import shapely

    from mlygeo.store import parquet

    if (shapely.get_type_id(np.asarray(frame.geometry.values)) > shapely.GeometryType.POINT).any():
        raise FrameError(f"{name} contains geometries other than points")
    if frame.crs is None:
        raise FrameError(f"{name} has no CRS", hint=frames.crs_hint(name))
    written = folder / f"input-{number}.parquet"
    try:
        parquet.write(frame, written)
        with written.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        path = written.with_name(f"frame-{digest[:32]}.parquet")
        written.replace(path)
    except OSError as error:
        raise store.file_error(error, written) from error
    return of_file(path, generation=generation, digest=digest, choice=choice)
