"""The last step: the rows of a cell, put in order, become its parts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlygeo import frames
from mlygeo.places import sha256_of
from mlygeo.spatial import hilbert
from mlygeo.store.datasets import hashes, layout, scatter
from mlygeo.store.datasets.form import LAT, LON, noted
from mlygeo.store.datasets.work import Work, done, whole
from mlygeo.store.parquet import metadata
from mlygeo.store.parquet.encodings import points_to_wkb
from mlygeo.store.parquet.files import footer_sha256
from mlygeo.store.parquet.writing import boxes, free_name, repeats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mlygeo.arrays import Floats, Rows

STEP, PARTS, PLACES = "part", "parts", "places.npy"
"""Name of the tasks, the folder of the finished parts, and the file that tells where the rows of a cell are."""


def sort(work: Work, number: int) -> dict[str, Any]:
    """
    Write the parts of a cell.

    Parameters
    ----------
    work
        The run, whose rows are scattered.
    number
        Of the cell.

    Returns
    -------
    counts
        `parts`: for each file what the index says of it, as JSON has it.
    """

    def make() -> dict[str, Any]:
        folder = folder_of(work, number)
        found: list[dict[str, Any]] = []
        for table in _tables(work, number):
            order, lon, lat = _ordered(table)
            files = max(1, -(-len(order) // work.most))
            size = max(1, -(-len(order) // files))
            for start in range(0, max(len(order), 1), size):
                rows = order[start : start + size]
                path = work.folder / PARTS / folder / layout.part(len(found))
                path.parent.mkdir(parents=True, exist_ok=True)
                with whole(path) as temporary:
                    _write(work, table, rows, (lon[rows], lat[rows]), temporary)
                found.append({"path": f"{folder}/{path.name}", **_facts(table, rows, (lon[rows], lat[rows]), path)})
        return {"parts": found}

    return done(work, STEP, number, make)


def folder_of(work: Work, number: int) -> str:
    """Return the name of a cell's folder."""
    return layout.PLACELESS if number == len(work.leaves) else work.leaves.folders[number]


def footer(work: Work) -> dict[str, Any]:
    """Return the metadata of pandas that all parts have."""
    notes = []
    for field in work.form.schema:
        if field.name in work.form.further:
            continue
        notes.append(work.form.notes.get(field.name) or noted(field, gaps=field.name in work.gaps))
    return {
        "index_columns": [], "column_indexes": [], "columns": notes, "creator": {"library": "mlygeo"},
        "attributes": work.form.attrs,
    }  # fmt: skip


def _tables(work: Work, number: int) -> Iterator[pa.Table]:
    """
    Yield the rows of a cell, in tables of about as many as a part has, one after another along the curve.

    Rows at one place are in one table, however many they are.
    """
    batches = _batches(work, number)
    total = int(batches[3].sum())
    if total <= work.most:
        yield _table(work, _read(work, batches))
        return
    lonlat = [[batch[LON].to_numpy(), batch[LAT].to_numpy()] for batch in _read(work, batches, [LON, LAT])]
    place = np.sort(hilbert.codes(*(np.concatenate(each) for each in zip(*lonlat, strict=True))))
    del lonlat
    files = -(-total // work.most)
    size = -(-total // files)
    cuts = np.unique(place[size::size])
    del place
    for low, high in zip([-1, *cuts.tolist()], [*cuts.tolist(), 4**hilbert.LEVELS], strict=True):
        some = []
        for batch in _read(work, batches):
            here = hilbert.codes(batch[LON].to_numpy(), batch[LAT].to_numpy())
            some.append(batch.filter(pa.array((here >= low) & (here < high))))
        if any(batch.num_rows for batch in some):
            yield _table(work, some)


def _batches(work: Work, number: int) -> Rows:
    """Return where the rows of a cell are: in each column a batch, by cell, piece, number in that, and rows."""
    places = np.load(work.folder / PLACES, mmap_mode="r")
    first, stop = np.searchsorted(places[0], [number, number + 1])
    found: Rows = np.array(places[:, first:stop])
    return found


def _read(work: Work, batches: Rows, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    for piece in np.unique(batches[1]).tolist():
        mine = batches[2][batches[1] == piece].tolist()
        yield from scatter.read_batches(work.file(scatter.STEP, piece, ".arrow"), mine, columns)


def _table(work: Work, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    return pa.Table.from_batches(list(batches), work.form.spilled).combine_chunks()


def _ordered(table: pa.Table) -> tuple[Rows, Floats, Floats]:
    """Return the order of rows: along the curve, then by id, then by the hash of the row; and their positions."""
    lon, lat = table[LON].to_numpy(), table[LAT].to_numpy()
    place = hilbert.codes(lon, lat)
    order = np.argsort(place)
    place = place[order]
    same = np.flatnonzero(place[1:] == place[:-1])
    tied = np.union1d(same, same + 1)
    if len(tied):
        rows = order[tied]
        some = table.take(pa.array(rows))
        keys = [hashes.of_rows(some), lat[rows], lon[rows]]
        if "provider" in table.column_names and "id" in table.column_names:
            keys.append(_ranks(some["provider"]))
        if "id" in table.column_names:
            keys.append(_ranks(some["id"]))
        order[tied] = rows[np.lexsort([*keys, place[tied]])]
    return order, lon, lat


def _ranks(values: pa.ChunkedArray) -> Rows:
    """Return numbers that are in the order of values; null comes last."""
    if pa.types.is_integer(values.type) and not values.null_count:
        numbers: Rows = values.to_numpy()
        return numbers
    encoded = pa.concat_arrays([pa.nulls(0, values.type), *values.chunks]).dictionary_encode()
    rank = np.empty(len(encoded.dictionary) + 1, dtype=np.int64)
    rank[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(encoded.dictionary))
    rank[-1] = len(encoded.dictionary)
    found: Rows = rank[encoded.indices.fill_null(len(encoded.dictionary)).to_numpy()]
    return found


def _write(work: Work, table: pa.Table, rows: Rows, lonlat: tuple[Floats, Floats], path: Path) -> None:
    form = work.form
    covering = free_name("bbox", [*form.schema.names, form.geometry])
    lon, lat = lonlat
    known = np.isfinite(lon)
    schema = _schema(work, covering, lon, lat)
    plain = {form.geometry, covering, *form.further}
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        write_page_checksum=True,
        # A dictionary of nearly unique values only takes time.
        use_dictionary=[n for n in schema.names if n not in plain and n not in frames.IDS and repeats(table[n], rows)]
        or False,
        write_statistics=[n for n in schema.names if n not in plain]
        + [f"{covering}.{side}" for side in metadata.SIDES],
    ) as writer:
        for start in range(0, len(rows), layout.ROWS_PER_GROUP):
            here = slice(start, start + layout.ROWS_PER_GROUP)
            group = table.select(form.schema.names).take(pa.array(rows[here]))
            bounds = np.array([lon[here], lat[here], lon[here], lat[here]])
            wkb = points_to_wkb(lon[here], lat[here])
            if not known[here].all():
                wkb = pc.if_else(pa.array(known[here]), wkb, None)
            columns = [*group.columns, wkb, boxes(bounds, known[here])]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=layout.ROWS_PER_GROUP)


def _schema(work: Work, covering: str, lon: Floats, lat: Floats) -> pa.Schema:
    form = work.form
    box = pa.struct([(side, pa.float32()) for side in metadata.SIDES])
    schema = form.schema.append(pa.field(form.geometry, pa.binary())).append(pa.field(covering, box))
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"], "crs": _crs()}
    if np.isfinite(lon).any():
        column["bbox"] = _box(lon, lat)
    column["covering"] = {"bbox": {side: [covering, side] for side in metadata.SIDES}}
    further = {name: {"encoding": "WKB", "geometry_types": [], "crs": crs} for name, crs in form.further.items()}
    geo = {"version": "1.1.0", "primary_column": form.geometry, "columns": {form.geometry: column, **further}}
    return schema.with_metadata({b"geo": json.dumps(geo).encode(), b"pandas": json.dumps(footer(work)).encode()})


def _crs() -> dict[str, Any]:
    from pyproj import CRS

    found: dict[str, Any] = CRS.from_user_input(frames.CRS).to_json_dict()
    return found


def _box(lon: Floats, lat: Floats) -> list[float]:
    return [float(np.nanmin(lon)), float(np.nanmin(lat)), float(np.nanmax(lon)), float(np.nanmax(lat))]


def _facts(table: pa.Table, rows: Rows, lonlat: tuple[Floats, Floats], path: Path) -> dict[str, Any]:
    """Return what the index says of a part."""
    lon, lat = lonlat
    digest = sha256_of(path)
    found: dict[str, Any] = {
        "rows": len(rows),
        "row_groups": -(-len(rows) // layout.ROWS_PER_GROUP),
        "bytes": path.stat().st_size,
        "sha256": digest,
        "footer_sha256": footer_sha256(path),
        "box": _box(lon, lat) if np.isfinite(lon).any() else None,
        "min_id": None, "max_id": None, "min_captured_at": None, "max_captured_at": None,
    }  # fmt: skip
    index = pa.array(rows)
    if "id" in table.column_names:
        found |= dict(zip(("min_id", "max_id"), _ends(table["id"].take(index)), strict=True))
    if "captured_at" in table.column_names and pa.types.is_timestamp(table.schema.field("captured_at").type):
        times = table["captured_at"].take(index).cast(pa.timestamp("us", tz="UTC"), safe=False).cast(pa.int64())
        found |= dict(zip(("min_captured_at", "max_captured_at"), _ends(times), strict=True))
    return found


def _ends(values: pa.ChunkedArray) -> tuple[Any, Any]:
    ends = pc.min_max(values).as_py()
    return ends["min"], ends["max"]
