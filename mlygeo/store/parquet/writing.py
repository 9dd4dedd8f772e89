"""Frames into GeoParquet 1.1: every column comes back as it was, or nothing is written."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlygeo import frames
from mlygeo.errors import FrameError
from mlygeo.spatial import cells
from mlygeo.store.columns import check_names
from mlygeo.store.parquet import attributes
from mlygeo.store.parquet.encodings import points_to_wkb, types_of
from mlygeo.store.parquet.metadata import SIDES
from mlygeo.store.paths import called

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Objects, Rows

log = logging.getLogger("mlygeo.store.parquet")

ROWS_PER_GROUP = 100_000
"""Rows in a row group: fewer make whole reads slow, more make reads of a box slow (measured)."""

SHOWN = 512
"""Values that show whether those of a column repeat."""


@dataclass(frozen=True)
class Shapes:
    """A geometry column to write: WKB, the types and boxes (4, n) of its geometries, and its metadata."""

    wkb: pa.Array | pa.ChunkedArray
    types: list[str]
    bounds: Floats
    crs: Any
    heights: tuple[float, float] | None = None

    @property
    def known(self) -> Flags:
        """Which rows have a box."""
        return np.asarray(np.isfinite(self.bounds).all(axis=0))

    def described(self, name: str) -> dict[str, Any]:
        """Return what GeoParquet's metadata say of the column."""
        column = {"encoding": "WKB", "geometry_types": self.types, "crs": _projjson(self.crs, name)}
        known = self.known
        if known.any():
            low, high = self.bounds[:2, known].min(1).tolist(), self.bounds[2:, known].max(1).tolist()
            if self.heights is not None:
                low, high = [*low, self.heights[0]], [*high, self.heights[1]]
            column["bbox"] = [*low, *high]
        return column


def write(frame: gpd.GeoDataFrame, path: str | os.PathLike[str], *, metadata: dict[bytes, bytes] | None = None) -> None:
    """
    Write a frame as GeoParquet 1.1.

    Columns keep their order and dtypes. The boxes of the rows, by which readers skip, are a further column with a
    name that no column of the frame has. Of the index only levels with names are stored, as columns.

    Parameters
    ----------
    frame
        Any GeoDataFrame. Further geometry columns stay geometry.
    path
        The file. Not atomic by itself; see `mlygeo.store.write_frame`.
    metadata
        Further metadata of the file.

    Raises
    ------
    FrameError
        If a column would not come back as it was, or its name is not text or there twice, or that of the index.
    """
    check_names(frame, Path(path).name)
    frame = frames.index_as_columns(frame)
    name = str(frame.geometry.name)
    columns, notes, geometry = {}, [], {}
    for column in frame.columns:
        if str(frame[column].dtype) == "geometry":
            shapes = _shapes(np.asarray(frame[column].values), frame[column].crs, column)
            geometry[column] = shapes
            columns[column] = shapes.wkb
        else:
            columns[column], note = attributes.to_arrow(frame[column], column)
            notes.append(note)
    doubtful = [
        column
        for column in frame.columns
        if column not in geometry and not attributes.is_sure(frame[column], columns[column].type)
    ]
    order = _write(
        columns, geometry, name, path, pandas=attributes.with_columns(notes), attrs=frame.attrs, more=metadata
    )
    _check_written(frame, doubtful, notes, order, Path(path))


def write_points(
    table: pa.Table,
    lon: Floats,
    lat: Floats,
    path: str | os.PathLike[str],
    *,
    crs: Any = frames.CRS,
    attrs: dict[str, Any] | None = None,
    name: str = "geometry",
) -> None:
    """
    Write points as GeoParquet 1.1, from arrays.

    Parameters
    ----------
    table
        Attributes, a row a point.
    lon, lat
        Coordinates in `crs`, shape (n,); NaN where there is no point.
    path
        The file.
    crs
        Anything pyproj understands.
    attrs
        The frame's `attrs`; JSON.
    name
        Name of the geometry column.

    Raises
    ------
    FrameError
        If an attribute has the name of the geometry, or two have the same.
    """
    names = [*table.column_names, name]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise FrameError(f"there are several columns called {', '.join(map(repr, twice))}", hint="rename them")
    shapes = Shapes(points_to_wkb(lon, lat), ["Point"] if len(lon) else [], np.array([lon, lat, lon, lat]), crs)
    columns = {**{each: table[each] for each in table.column_names}, name: shapes.wkb}
    pandas = attributes.plain_pandas_metadata(table, (name,))
    _write(columns, {name: shapes}, name, path, pandas=pandas, attrs=attrs or {})


def _shapes(geometry: Objects, crs: Any, name: str) -> Shapes:
    import shapely

    has_z = shapely.has_z(geometry)
    if len(geometry) and (shapely.get_type_id(geometry) == 0).all() and not has_z.any() and not _measured(geometry):
        x, y = frames.coordinates(geometry)
        return Shapes(points_to_wkb(x, y), ["Point"], np.array([x, y, x, y]), crs)
    if _measured(geometry):
        raise FrameError(
            f"the geometry in {name!r} has measures (M), which GeoParquet cannot hold", hint="shapely.force_3d"
        )
    wkb = pa.array(shapely.to_wkb(geometry, byte_order=1, flavor="iso"), pa.binary())
    heights = shapely.get_coordinates(geometry[has_z], include_z=True)[:, 2] if has_z.any() else np.empty(0)
    heights = heights[np.isfinite(heights)]
    extent = (float(heights.min()), float(heights.max())) if len(heights) else None
    return Shapes(wkb, types_of(geometry), shapely.bounds(geometry).T, crs, extent)


def _measured(geometry: Objects) -> bool:
    import shapely

    return hasattr(shapely, "has_m") and shapely.geos_version >= (3, 12, 0) and bool(shapely.has_m(geometry).any())


def _write(
    columns: dict[str, Any],
    geometry: dict[str, Shapes],
    name: str,
    path: str | os.PathLike[str],
    *,
    pandas: dict[str, Any],
    attrs: dict[Any, Any],
    more: dict[bytes, bytes] | None = None,
) -> Rows | None:
    """Write columns; return the order of the rows where it is not the one they came in."""
    primary = geometry[name]
    covering = free_name("bbox", columns)
    table = pa.table({**columns, covering: boxes(primary.bounds, primary.known)})
    xmin, ymin, xmax, ymax = primary.bounds
    order = order_of((xmin + xmax) / 2, (ymin + ymax) / 2)
    if order is not None:
        table = table.combine_chunks()  # or they were put together for each row group
    described = {each: shapes.described(each) for each, shapes in geometry.items()}
    described[name]["covering"] = {"bbox": {side: [covering, side] for side in SIDES}}
    geo = {"version": "1.1.0", "primary_column": name, "columns": described}
    pandas["attributes"] = _json_attrs(attrs)
    metadata = {b"geo": json.dumps(geo).encode(), b"pandas": json.dumps(pandas).encode()}
    table = table.replace_schema_metadata(metadata | (more or {}))
    plain = {*geometry, covering}
    try:
        with pq.ParquetWriter(
            path,
            table.schema,
            compression="zstd",
            write_page_checksum=True,
            # A dictionary of nearly unique values only takes time.
            use_dictionary=[
                n for n in table.column_names if n not in plain and n not in frames.IDS and repeats(table[n], order)
            ]
            or False,
            write_statistics=[n for n in table.column_names if n not in plain]
            + [f"{covering}.{side}" for side in SIDES],
        ) as writer:
            for start in range(0, max(len(table), 1), ROWS_PER_GROUP):
                group = table.slice(start, ROWS_PER_GROUP)
                if order is not None:
                    group = table.take(pa.array(order[start : start + ROWS_PER_GROUP]))
                writer.write_table(group, row_group_size=ROWS_PER_GROUP)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise _culprit(table, error) from error
    return order


def repeats(values: pa.ChunkedArray, rows: Rows | None = None) -> bool:
    """
    Return whether numbers repeat, as far as some hundred of them show, side by side or apart; text may always.

    Parameters
    ----------
    values
        A column.
    rows
        Which of its rows are written, in their order; None for all.
    """
    count = len(values) if rows is None else len(rows)
    if count < 2 * SHOWN or not (pa.types.is_floating(values.type) or pa.types.is_timestamp(values.type)):
        return True
    for some in (np.linspace(0, count - 1, SHOWN).astype(np.int64), count // 2 + np.arange(SHOWN)):
        shown = values.take(pa.array(some if rows is None else rows[some]))
        if pc.count_distinct(shown).as_py() <= SHOWN // 2:
            return True
    return False


def _culprit(table: pa.Table, error: Exception) -> FrameError:
    """Return the error that names the column that Parquet does not take."""
    for name in table.column_names:
        try:
            pq.write_table(table.select([name]).slice(0, ROWS_PER_GROUP), pa.BufferOutputStream())
        except pa.ArrowException as reason:
            return attributes.unwritable(name, " ".join(str(reason).split())[:120])
    return FrameError(f"the frame cannot be written as GeoParquet: {error}")


def _check_written(
    frame: gpd.GeoDataFrame, doubtful: list[str], notes: list[dict[str, Any]], order: Rows | None, path: Path
) -> None:
    """Raise if a column does not come back from the file as it was."""
    if not doubtful:
        return
    noted = {note["field_name"]: note for note in notes}
    written = pq.ParquetFile(path).read(columns=doubtful).select(doubtful)
    for name in doubtful:
        values = frame[name] if order is None else frame[name].iloc[order]
        back = attributes.to_pandas(written[name], noted[name], name, called(path))
        if not attributes.same(values.reset_index(drop=True), back):
            raise attributes.unwritable(name, f"it would come back changed, as {written[name].type}")


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return a name that no column has; some readers do not tell small letters from capitals."""
    used = {each.casefold() for each in taken}
    candidates = [name, *(f"{name}_{number}" for number in range(1, len(used) + 2))]
    return next(each for each in candidates if each not in used)


def _json_attrs(attrs: dict[Any, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in attrs.items() if isinstance(key, str) and attributes.is_json({key: value})}
    if left := [str(key) for key in attrs if key not in kept]:
        log.warning("attrs %s are not JSON, and not written", ", ".join(left))
    return kept


def _projjson(crs: Any, name: str) -> dict[str, Any] | None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return None if crs is None else CRS.from_user_input(crs).to_json_dict()
    except (CRSError, ValueError) as error:
        raise FrameError(f"the CRS of {name!r} cannot be written as PROJJSON", hint="frame.to_crs(4326)") from error


def boxes(bounds: Floats, known: Flags) -> pa.StructArray:
    """Return boxes as float32, rounded outwards so that a box always contains its geometry."""
    sides = {}
    for side, values, outwards in zip(SIDES, bounds, (-np.inf, -np.inf, np.inf, np.inf), strict=True):
        with np.errstate(over="ignore"):
            rounded = values.astype(np.float32)
        inside = rounded > values if outwards < 0 else rounded < values
        rounded[inside] = np.nextafter(rounded[inside], np.float32(outwards))
        sides[side] = pa.array(rounded)
    mask = None if known.all() else pa.array(~known)
    return pa.StructArray.from_arrays(list(sides.values()), names=list(sides), mask=mask)


def order_of(x: Floats, y: Floats) -> Rows | None:
    """Return the order in which rows at these places are written; None for that in which they come."""
    return _z_order(x, y) if len(x) > ROWS_PER_GROUP else None


def _z_order(x: Floats, y: Floats) -> Rows:
    """Return the order of places along a Z-order curve over their own extent (Morton, 1966)."""
    codes = np.zeros(len(x), dtype=np.uint32)
    for shift, values in ((0, x), (1, y)):
        known = np.isfinite(values)
        low, high = (values[known].min(), values[known].max()) if known.any() else (0.0, 1.0)
        scaled = (np.where(known, values, low) - low) * (65535 / max(high - low, 1e-300))
        codes |= cells.spread(scaled.astype(np.uint64)).astype(np.uint32) << np.uint32(shift)
    return np.argsort(codes, kind="stable")
