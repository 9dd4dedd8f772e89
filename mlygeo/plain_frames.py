"""Frames of any kind: their columns and points read as arrays, and made from arrays and Arrow."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas as gpd
    import pandas as pd
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats, Objects


def lonlat(frame: gpd.GeoDataFrame) -> tuple[Floats, Floats]:
    """Return the coordinates of a frame of points, as two arrays; NaN where there is no point."""
    return coordinates(np.asarray(frame.geometry.values))


def coordinates(
    points: Objects,
) -> tuple[Floats, Floats]:
    """Return the coordinates of an array of points, as two arrays; NaN where a point is missing or empty."""
    import shapely

    # GEOS has no answer for POINT EMPTY but an error.
    if (empty := shapely.is_empty(points)).any():
        points = points.copy()
        points[empty] = None
    return shapely.get_x(points), shapely.get_y(points)


def points(lon: Floats, lat: Floats) -> Objects:
    """Return points of longitudes and latitudes, degrees."""
    import shapely

    with unsearched():
        return np.asarray(shapely.points(lon, lat))


@contextmanager
def unsearched() -> Iterator[None]:
    """
    Hold the cyclic garbage collector while points are made, and a frame of them.

    It would search all points for cycles some seventy times, find none, and take longer than making them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def reals(frame: pd.DataFrame, name: str) -> Floats:
    """
    Return a column of numbers as float64; NaN for what is not finite, and throughout where there is no such column.

    Parameters
    ----------
    frame
        Any frame.
    name
        The column.

    Raises
    ------
    FrameError
        If it has other values than numbers.
    """
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    values = frame[name]
    if values.dtype.kind in "mM":
        raise FrameError(f"column {name!r} is {values.dtype}, and numbers are needed")
    try:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise FrameError(f"column {name!r} has other values than numbers: {error}") from error
    return np.where(np.isfinite(numbers), numbers, np.nan)


def truths(values: pd.Series) -> Flags:
    """Return which values of a column of truth values, with or without gaps, are known to be true."""
    return np.asarray(values.astype("boolean").to_numpy(dtype=bool, na_value=False))


def phrases(*columns: Any) -> Objects:
    """
    Return what several columns say of each row, joined by "; "; None where none of them says anything.

    Parameters
    ----------
    *columns
        Texts in the order of the rows, shape (n,), arrays or columns; null where there is none.
    """
    import pandas as pd

    joined = np.full(len(columns[0]), None, dtype=object)
    said = np.zeros(len(joined), dtype=bool)
    for column in columns:
        texts = np.asarray(column, dtype=object)
        new = pd.notna(texts)
        both = np.flatnonzero(new & said)
        joined[new & ~said] = texts[new & ~said]
        joined[both] = [f"{one}; {other}" for one, other in zip(joined[both], texts[both], strict=True)]
        said |= new
    return joined


def with_phrases(frame: gpd.GeoDataFrame, column: str, texts: Any) -> gpd.GeoDataFrame:
    """
    Return a frame with texts joined to those in a column, which is made where it is missing.

    Parameters
    ----------
    frame
        The frame.
    column
        A column for people to read, such as `warning`.
    texts
        Texts in the order of the rows, shape (n,); null where there is none.
    """
    import pandas as pd

    known = [frame[column]] if column in frame.columns else []
    return frame.assign(**{column: pd.Series(phrases(*known, texts), index=frame.index, dtype="str")})


def index_as_columns(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """
    Return a frame with the levels of its index that have names as columns, since files have no index.

    An index without names is a numbering, and dropped. A level that is also a column with the same values is that
    column.

    Parameters
    ----------
    frame
        Any frame, such as OSMnx's edges with the index (u, v, key).

    Returns
    -------
    frame
        The same rows; the index counts from 0.

    Raises
    ------
    FrameError
        If a level has the name of a column with other values, or one that is not text or there twice.
    """
    import pandas as pd

    names = [name for name in frame.index.names if name is not None]
    if odd := [name for name in names if not isinstance(name, str) or names.count(name) > 1]:
        raise FrameError(f"the index has levels called {odd[0]!r}", hint="give each a name of its own, which is text")
    levels = {name: frame.index.get_level_values(name) for name in names}
    for name in [name for name in levels if name in frame.columns]:
        if not pd.Series(levels.pop(name)).equals(pd.Series(frame[name].array)):
            raise FrameError(f"the index and a column are both called {name!r}", hint="frame.rename_axis(index=…)")
    plain = frame.reset_index(drop=True)
    for place, (name, values) in enumerate(levels.items()):
        plain.insert(place, name, values)
    return plain


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """
    Return an Arrow table as a DataFrame.

    Whole numbers with gaps become Int64 (UInt64 if need be), never float; truth values with gaps become boolean.
    """
    import pandas as pd
    import pyarrow as pa

    text = text_types()
    gaps = {name for name in table.column_names if table[name].null_count}
    parts = {}
    for name in table.column_names:
        column = table[name]
        if name in gaps and pa.types.is_integer(column.type):
            whole = pd.UInt64Dtype() if pa.types.is_uint64(column.type) else pd.Int64Dtype()
            parts[name] = column.to_pandas(types_mapper={column.type: whole}.get)
        elif name in gaps and pa.types.is_boolean(column.type):
            parts[name] = column.to_pandas(types_mapper={column.type: pd.BooleanDtype()}.get)
        else:
            parts[name] = column.to_pandas(types_mapper=text.get)
    return pd.DataFrame(parts, index=pd.RangeIndex(table.num_rows))


def text_types() -> dict[pa.DataType, pd.StringDtype]:
    """Return the dtype of texts by their Arrow type: str, which PyArrow before 19 makes object of."""
    import pandas as pd
    import pyarrow as pa

    return dict.fromkeys((pa.string(), pa.large_string()), pd.StringDtype(na_value=np.nan))
