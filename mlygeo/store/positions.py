"""Which columns of a table say where its rows are, and whether these contradict each other or the geometry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FrameError, MlygeoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from mlygeo.arrays import Flags, Floats, Rows

log = logging.getLogger("mlygeo.store")

LON_NAMES = ("lon", "longitude", "lng", "long", "x")
LAT_NAMES = ("lat", "latitude", "y")
WKT_NAMES = ("geometry", "wkt", "geom")

SAME_PLACE = 1e-5
"""Degrees, a metre: what two columns say of a place may differ so much by rounding."""

CONTRADICTED = "rows with longitude and latitude that contradict their geometry"
"""Reason why a position is in doubt."""


def coordinates_of(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the columns that may hold the geometry, the likeliest first: of WKT, else of lon and lat."""
    plain = {name.strip().lower(): name for name in reversed(names)}
    found: list[tuple[str, ...]] = [(plain[name],) for name in WKT_NAMES if name in plain]
    lon, lat = lonlat_columns(names)
    return [*found, (lon[0], lat[0])] if lon and lat else found


def lonlat_columns(names: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """
    Return the columns whose names say that they are longitudes, and those of latitudes, the likeliest first.

    Columns x and y count where no other does, since they may be those of a plane.
    """
    plain = [(str(name).strip().lower(), name) for name in names]

    def called(known: tuple[str, ...], other: str) -> list[Any]:
        found = [name for each in known if each != other for text, name in plain if text == each]
        return found or [name for text, name in plain if text == other]

    return called(LON_NAMES, "x"), called(LAT_NAMES, "y")


def check_alike(
    columns: Sequence[Any],
    values: Callable[[Any], Floats],
    name: str,
    error: type[MlygeoError] = FrameError,
    *,
    first: int = 0,
) -> None:
    """
    Raise where several columns could be the longitudes (or latitudes), and do not agree.

    Parameters
    ----------
    columns
        Names of the columns, those of `lonlat_columns`.
    values
        Function that returns the numbers of a column.
    name
        What messages call the table.
    error
        Class of the error.
    first
        The number of the first row.
    """
    for other in columns[1:]:
        try:
            found = values(other)
        except error:  # such as a text called "long"
            continue
        differ = np.flatnonzero(~_are_equal(values(columns[0]), found))
        if len(differ):
            raise error(
                f"{name}: columns {columns[0]!r} and {other!r} differ in row {differ[0] + first + 1}, "
                "and either could be the position",
                hint="rename or leave out the one that is not",
            )


def contradicted(geometry: Any, table: pd.DataFrame, name: str) -> dict[str, int]:
    """
    Return how many rows' points lie elsewhere than their longitude and latitude beside them say, and log it.

    Columns x and y are not looked at, which may be those of a plane.

    Parameters
    ----------
    geometry
        The shapes, in degrees; shape (n,). They count.
    table
        The other columns.
    name
        What messages call it.

    Returns
    -------
    in_doubt
        The reason -> the number of rows; nothing where all agree.
    """
    rows = contradictory(geometry, table)
    return told_of(len(rows), int(rows[0]), len(table), table.columns, name) if len(rows) else {}


def contradictory(geometry: Any, table: pd.DataFrame) -> Rows:
    """Return the rows, ascending, that `contradicted` counts."""
    import pandas as pd
    import shapely

    lon, lat = lonlat_columns(each for each in table.columns if str(each).strip().lower() not in {"x", "y"})
    if not lon or not lat or not all(pd.api.types.is_numeric_dtype(table[each].dtype) for each in (lon[0], lat[0])):
        return np.empty(0, dtype=np.int64)
    shapes: Any = np.array(geometry, dtype=object)
    shapes[shapely.is_empty(shapes)] = None
    x, y = shapely.get_x(shapes), shapely.get_y(shapes)  # NaN of what is not a point
    said = [table[each].to_numpy(dtype=np.float64, na_value=np.nan) for each in (lon[0], lat[0])]
    east, north = np.abs((said[0] - x + 180) % 360 - 180), np.abs(said[1] - y)
    return np.flatnonzero((east > SAME_PLACE) | (north > SAME_PLACE))


def told_of(count: int, first: int, rows: int, columns: Iterable[Any], name: str) -> dict[str, int]:
    """Log how many rows contradict their geometry, and which is the first; return that as `contradicted` does."""
    lon, lat = lonlat_columns(each for each in columns if str(each).strip().lower() not in {"x", "y"})
    log.warning(
        "%s: in %s, columns %r and %r contradict the geometry, which is used; the first is row %d",
        name, f"{count:,} of {rows:,} rows", lon[0], lat[0], first + 1,
    )  # fmt: skip
    return {CONTRADICTED: count}


def _are_equal(one: Floats, other: Floats) -> Flags:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))
