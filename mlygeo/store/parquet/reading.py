"""GeoParquet into frames, whole or in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mlygeo import degrees, frames
from mlygeo.errors import FormatError, FrameError
from mlygeo.store import extents
from mlygeo.store.columns import DAMAGED
from mlygeo.store.parquet import attributes, encodings, metadata
from mlygeo.store.parquet.files import GeoFile, box_sides, may_be_null, near, widened
from mlygeo.store.paths import called

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import geopandas as gpd
    from pyproj import CRS

    from mlygeo.arrays import Flags, Floats, Objects

    Box = tuple[float, float, float, float]


def read(
    path: Path | GeoFile,
    *,
    bbox: Box | None = None,
    columns: Sequence[str] | None = None,
    groups: Sequence[int] | None = None,
) -> gpd.GeoDataFrame:
    """
    Read a GeoParquet file into a frame.

    Parameters
    ----------
    path
        The file, opened or not: GeoParquet 1.0 or 1.1, geometry as WKB or in a native encoding, or Parquet with a
        column of its own types GEOMETRY or GEOGRAPHY.
    bbox
        West, south, east, north in degrees (west > east crosses the antimeridian): only rows whose
        own box, in longitude and latitude, meets it are returned; rows without geometry are not. Only row groups
        that may have such rows are read, and geometry is made of the rows that are returned.
    columns
        Attribute columns to read, further geometry columns among them; None reads all.
    groups
        Only these row groups; None takes all that may have such rows.

    Returns
    -------
    frame
        Rows and columns in the file's order, `attrs` as written. Rows with damaged geometry are left out, which
        is logged and counted in `attrs["left_out"]`. The boxes of rows that readers skip by are not a
        column, whether the metadata name them or, as in DuckDB's files, not. Dtypes are as pandas noted them; see
        `mlygeo.store.parquet.attributes.to_pandas` for files of other writers.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If the file is not GeoParquet, or damaged, or has damaged geometry only.
    FrameError
        If a requested column is missing.
    """
    import geopandas as gpd
    from geopandas.array import GeometryArray

    file = path if isinstance(path, GeoFile) else GeoFile(path)
    names = _wanted(file, columns)
    if bbox is None:
        table = file.read(range(file.file.num_row_groups) if groups is None else groups, names)
        shapes, damaged = encodings.shapes(table[file.primary.name], file.primary.encoding, file.path)
        encodings.warn_of_damage(damaged, file.path)
        if damaged.any():
            table, shapes = table.filter(pa.array(~damaged)), shapes[~damaged]
        left_out = int(damaged.sum())
    else:
        table, shapes, left_out = _in_box(file, names, bbox, groups)
    found: dict[str, Any] = {}
    for name in names:
        if name not in file.geometry:
            found[name] = attributes.to_pandas(table[name], file.described(name), name, called(file.path))
            continue
        column = file.geometry[name]
        own = shapes
        if column is not file.primary:
            own, damaged = encodings.shapes(table[name], column.encoding, file.path)
            if damaged.any():
                count = int(damaged.sum())
                raise FormatError(
                    f"the column {name!r} of {called(file.path)} holds damaged geometry in {count} of its rows",
                    hint=f"leave it out: read_frame(…, columns=…) without {name!r}",
                )
        found[name] = GeometryArray(own, crs=metadata.known_crs(column, called(file.path)))
    frame = gpd.GeoDataFrame(found, geometry=file.primary.name)
    frame.attrs = file.attrs
    if left_out:
        frame.attrs["left_out"] = {DAMAGED: left_out}
    return frame


def groups_near(file: GeoFile, bbox: Box) -> list[int]:
    """
    Return the row groups of a file that may have rows in a box, by what its footer says.

    Parameters
    ----------
    file
        The file.
    bbox
        West, south, east, north in degrees; west > east crosses the antimeridian.
    """
    crs = metadata.crs_of(file.primary, called(file.path))
    lonlat = crs.equals(frames.CRS, ignore_axis_order=True)
    if lonlat and file.primary.bbox is not None:
        whole = np.array(file.primary.bbox)[:, np.newaxis]
        if not degrees.meets(whole, bbox)[0]:
            return []
    return [group for group in range(file.file.num_row_groups) if _may_meet(file, group, crs, lonlat=lonlat, bbox=bbox)]


def _may_meet(file: GeoFile, group: int, crs: CRS, *, lonlat: bool, bbox: Box) -> bool:
    """Return whether a row group may have rows in a box, by its statistics."""
    extent = _extent(file, group)
    if extent is None or _some_unboxed(file, group):
        return True
    if lonlat:
        return _wraps(extent) or bool(degrees.meets(extent[:, :1], bbox)[0])
    around = extents.in_degrees(extent[:, 0].tolist(), crs)
    return around is None or bool(degrees.meets(np.array(around)[:, np.newaxis], bbox)[0])


def _wanted(file: GeoFile, columns: Sequence[str] | None) -> list[str]:
    """Return the columns to read, in the file's order, the primary geometry among them."""
    if columns is None:
        return file.columns
    if missing := [str(column) for column in columns if column not in file.columns]:
        raise FrameError(f"{called(file.path)} has no column {', '.join(missing)} (it has {', '.join(file.columns)})")
    return [name for name in file.columns if name in columns or name == file.primary.name]


def _in_box(file: GeoFile, names: list[str], bbox: Box, groups: Sequence[int] | None) -> tuple[pa.Table, Objects, int]:
    """Return the rows that meet a box: their other columns, their geometry; and how many damaged ones were seen."""
    crs = metadata.crs_of(file.primary, called(file.path))
    lonlat = crs.equals(frames.CRS, ignore_axis_order=True)
    others = [name for name in names if name != file.primary.name]
    empty = file.file.schema_arrow.empty_table().select(others)
    tables, shapes = [empty], [np.empty(0, dtype=object)]
    all_damaged = [np.empty(0, dtype=bool)]
    for group in _ahead(file, names, groups_near(file, bbox) if groups is None else groups):
        near = _near(file, group, bbox) if lonlat else _near_in_plane(file, group, crs, bbox)
        if near is not None and not near.any():
            continue
        whole = near is None or bool(near.all())
        geometry = file.read([group], [file.primary.name])
        if not whole:
            geometry = geometry.filter(pa.array(near))
        inside, kept, damaged = _meeting(geometry.column(0), file, crs, bbox)
        all_damaged.append(damaged)
        if not len(kept):
            continue
        shapes.append(kept)
        if others:
            chosen = inside
            if not whole and near is not None:
                chosen = near.copy()
                chosen[near] = inside
            part = file.read([group], others)
            tables.append(part if chosen.all() else part.filter(pa.array(chosen)))
    damaged = np.concatenate(all_damaged)
    encodings.warn_of_damage(damaged, file.path)
    whole_table = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    return whole_table, np.concatenate(shapes), int(damaged.sum())


def _ahead(file: GeoFile, names: list[str], groups: Sequence[int]) -> Iterator[int]:
    """Return row groups one by one, while what is read of them is asked for ahead."""
    wanted = [*names, *([file.primary.covering] if file.primary.covering else [])]
    for some in file.batches(groups, wanted):
        chosen = [groups[number] for number in some]
        with file.ahead(chosen, wanted):
            yield from chosen


def _near(file: GeoFile, group: int, bbox: Box) -> Flags | None:
    """
    Return which rows of a group may meet a box, by the boxes in the file.

    None where all may: they all do by the statistics of the group, or the file has no boxes.
    """
    extent = _extent(file, group)
    if extent is None:
        return None if file.primary.covering is None else _near_rows(file, group, bbox)
    if not _wraps(extent) and not degrees.meets(extent[:, :1], bbox)[0] and not _some_unboxed(file, group):
        return np.zeros(1, dtype=bool)
    west, south, east, north = bbox
    xmin, ymin, xmax, ymax = extent[:, 0]
    if file.primary.covering is None or (west <= xmin and south <= ymin and xmax <= east and ymax <= north):
        return None
    return _near_rows(file, group, bbox)


def _near_in_plane(file: GeoFile, group: int, crs: CRS, bbox: Box) -> Flags | None:
    """Return which rows of a group in a plane may meet a box; None where all may."""
    extent = _extent(file, group)
    around = None if extent is None else extents.in_degrees(extent[:, 0].tolist(), crs)
    if around is None:
        return None
    if not degrees.meets(np.array(around)[:, np.newaxis], bbox)[0] and not _some_unboxed(file, group):
        return np.zeros(1, dtype=bool)
    box = None if file.primary.covering is None else extents.in_plane(bbox, around, crs)
    if box is None:
        return None
    sides = box_sides(file.read([group], [str(file.primary.covering)]).column(0))
    return extents.may_meet(widened(sides), box) | np.isnan(sides).any(axis=0)


def _near_rows(file: GeoFile, group: int, bbox: Box) -> Flags:
    return near(box_sides(file.read([group], [str(file.primary.covering)]).column(0)), bbox)


def _extent(file: GeoFile, group: int) -> Floats | None:
    """
    Return the box around a row group by its statistics, shape (4, 2); None where there are none.

    The first column is the box, the second the other ends: the largest west and south, the smallest east and north.
    """
    name = file.primary.covering or file.primary.name
    if file.primary.covering is None and file.primary.encoding != "point":
        return _extent_of_type(file, group)
    sides = metadata.SIDES if file.primary.covering else ("x", "y", "x", "y")
    where = file.leaves
    if not all(f"{name}.{side}" in where for side in sides):
        return None
    row_group = file.file.metadata.row_group(group)
    statistics = [row_group.column(where[f"{name}.{side}"]).statistics for side in sides]
    if any(found is None or not found.has_min_max for found in statistics):
        return None
    ends = [(found.min, found.max) if number < 2 else (found.max, found.min) for number, found in enumerate(statistics)]
    extent = np.array(ends, dtype=np.float64)
    if file.primary.covering:
        extent[:, :1] = widened(extent[:, :1])
    return extent if np.isfinite(extent).all() else None


def _some_unboxed(file: GeoFile, group: int) -> bool:
    """Return whether rows of a group may have no box of their own, so that the box around the others is not theirs."""
    if not file.primary.covering:
        return False
    row_group = file.file.metadata.row_group(group)
    sides = [row_group.column(file.leaves[f"{file.primary.covering}.{side}"]).statistics for side in metadata.SIDES]
    return any(may_be_null(side) for side in sides)


def _extent_of_type(file: GeoFile, group: int) -> Floats | None:
    """Return the box of a row group in the statistics of Parquet's own type of geometry, shape (4, 2)."""
    if file.primary.name not in file.leaves:
        return None
    found = file.file.metadata.row_group(group).column(file.leaves[file.primary.name]).geo_statistics
    if found is None or None in (sides := [getattr(found, side) for side in metadata.SIDES]):
        return None
    extent = np.array(sides, dtype=np.float64)
    return np.stack([extent, extent], axis=1) if np.isfinite(extent).all() else None


def _wraps(extent: Floats) -> bool:
    """Return whether a group must have a box that crosses the antimeridian, whose west is east of its east."""
    return bool(extent[0, 1] > extent[2, 0] or extent[0, 0] > extent[2, 1])


def _meeting(values: pa.ChunkedArray, file: GeoFile, crs: CRS, bbox: Box) -> tuple[Flags, Objects, Flags]:
    """Return which geometries meet a box, those that do, and which are damaged; points become objects only then."""
    if (plain := encodings.plain_points(values)) is not None:
        lon, lat = encodings.to_lonlat(*plain, crs, called(file.path))
        inside = degrees.meets(np.array([lon, lat, lon, lat]), bbox)
        return inside, frames.points(plain[0][inside], plain[1][inside]), np.zeros(len(inside), dtype=bool)
    shapes, damaged = encodings.shapes(values, file.primary.encoding, file.path)
    inside = degrees.meets(encodings.lonlat_bounds(shapes, crs, called(file.path)), bbox)
    return inside, shapes[inside], damaged
