"""
Tables of GPS loggers (CSV) -> points: columns by their names, in the encodings and forms that loggers write.

What a column says is understood, or the table is refused by its name: a side that is unknown, times in a form that
may be read in two ways, local times without an offset.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import positions, texts
from mlygeo.formats.gpx import KINDS
from mlygeo.formats.table_columns import (
    ALTITUDE,
    FIX,
    FOOT_M,
    KNOWN,
    LAT,
    LAT_SIDE,
    LON,
    LON_SIDE,
    METRES,
    Column,
    Table,
    named_table,
    plt_table,
    text_of,
)
from mlygeo.formats.table_times import Clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlygeo.arrays import Floats, Times

SEMICIRCLE = 180 / 2**31
"""Degrees in Garmin's unit of coordinates (FIT SDK, semicircles)."""

TRACK = ("track_id", "trajectory_id", "trackid", "track", "sequence_id", "segment")

KIND = ("kind",)

_NO_FIX = {"no fix", "nofix", "no_fix", "none", "invalid", "void", "v", "0", "false"}

_HEIGHT = re.compile(
    r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?)\s*(m|ft|feet|meters?|metres?|')?", re.IGNORECASE
)


class Points(NamedTuple):
    """
    The points of a table, in its order.

    `track` is None where no column names the tracks, `kind` where none says whether they are tracks, routes or way
    points; `left_out` counts rows by reason; `senseless` times are not
    understood, `zoneless` ones say no zone and were taken as UTC, `unread` altitudes are no number.
    """

    lon: Floats
    lat: Floats
    altitude: Floats
    time: Times
    track: list[str] | None
    kind: list[str] | None
    left_out: dict[str, int]
    senseless: int
    zoneless: int
    unread: int
    problems: list[str]


def decode(content: bytes, name: str, *, now_us: int) -> Points:
    """
    Decode a table with a track.

    Parameters
    ----------
    content
        The file.
    name
        Its name in messages.
    now_us
        The time now, microseconds since 1970; a time after it tells that numbers or dates mean something else.

    Returns
    -------
    points
        Those that have a position.

    Raises
    ------
    FormatError
        If this is not a table, has no longitude and latitude, or a column says what is not understood.
    """
    problems: list[str] = []
    text = text_of(content, problems)
    table = plt_table(text) or named_table(text, name, problems)
    return _points(table, name, now_us, problems)


def _points(table: Table, name: str, now_us: int, problems: list[str]) -> Points:
    left_out = table.left_out
    if left_out["row of another length"] and not table.rows:
        raise FormatError(f"{name}: no row has as many cells as there are names of columns")
    lon_of, lat_of = _only(table, LON, name, problems), _only(table, LAT, name, problems)
    if {lon_of.key, lat_of.key} & {"x", "y"}:
        problems.append(
            f"its columns {lon_of.written} and {lat_of.written} were taken as longitude and latitude, degrees"
        )
    lon, lat = _coordinates(table, lon_of, "lon", name, problems), _coordinates(table, lat_of, "lat", name, problems)
    given = np.fromiter(
        (bool(x or y) for x, y in zip(table.of(lon_of), table.of(lat_of), strict=True)), bool, table.rows
    )
    placed, why = positions.possible(lon, lat)
    strange = int(np.count_nonzero(given & ~(np.isfinite(lon) & np.isfinite(lat))))
    if strange and strange == int(given.sum()):
        at = int(np.flatnonzero(given)[0])
        raise FormatError(
            f"{name}: no coordinates are understood, such as {table.of(lat_of)[at]!r}, {table.of(lon_of)[at]!r}",
            hint="write degrees, as 48.7758 and 9.1829, or 48.7758N and 9.1829E",
        )
    if why.get("out of range") and not placed.any():
        raise FormatError(
            f"{name}: all coordinates are out of range; {lon_of.written} and {lat_of.written} are no degrees",
            hint="tracks are in degrees, WGS 84",
        )
    if strange:
        why["without a position"] -= strange
        why["position not understood"] = strange
    left_out.update(why)
    for column in table.find(FIX)[:1]:
        lost = np.fromiter((cell.casefold() in _NO_FIX for cell in table.of(column)), bool, table.rows) & placed
        left_out["without a fix"] += int(lost.sum())
        placed &= ~lost
    altitude, unread = _altitudes(table, lat_of, problems)
    time, senseless, zoneless = Clock(table, name, now_us, problems).times()
    track: list[str] | None = None
    for column in table.find(TRACK)[:1]:
        track = [cell for cell, used in zip(table.of(column), placed.tolist(), strict=True) if used]
    kind: list[str] | None = None
    for column in table.find(KIND)[:1]:
        said = [cell for cell, used in zip(table.of(column), placed.tolist(), strict=True) if used]
        kind = said if {*said} <= {*KINDS} else None  # else it says something else, such as the kind of a road
    return Points(
        lon[placed], lat[placed], altitude[placed], time[placed], track, kind, dict(+left_out), senseless, zoneless,
        unread, problems,
    )  # fmt: skip


def _only(table: Table, names: Sequence[str], name: str, problems: list[str]) -> Column:
    """Return the column of a coordinate; say so where there are several that differ."""
    found = table.find(names)
    if not found:  # only a column of sides by its name: the side is in the value
        found = table.find(LAT_SIDE if names is LAT else LON_SIDE)
    if not found:
        raise FormatError(f"{name} has no column {names[0]}", hint="name the columns lon, lat, time and altitude")
    others = [column.written for column in found[1:] if table.of(column) != table.of(found[0])]
    if others:
        problems.append(f"it has columns {found[0].written} and {', '.join(others)} that differ; the first was taken")
    return found[0]


def _coordinates(table: Table, column: Column, axis: positions.Axis, name: str, problems: list[str]) -> Floats:
    cells = table.of(column)
    if column.unit in {"rad", "radian", "radians", "m", "km", "ft", "mm", "utm"} or "mm" in column.unit:
        raise FormatError(
            f"{name}: its column {column.written} is in {column.unit!r}", hint="tracks are in degrees, WGS 84"
        )
    if "semicircle" in column.unit:
        return texts.reals(cells) * SEMICIRCLE
    sides = _sides(table, column, axis, problems)
    if sides is None:
        return positions.from_texts(cells, axis)
    refs = table.of(sides)
    unknown = {ref for ref, cell in zip(refs, cells, strict=True) if ref and cell and positions.side(ref, axis) is None}
    if unknown:
        known = "N or S" if axis == "lat" else "E or W"
        raise FormatError(f"{name}: its column {sides.written} says {min(unknown)!r}, which is not {known}")
    return positions.from_texts(cells, axis, refs)


def _sides(table: Table, column: Column, axis: positions.Axis, problems: list[str]) -> Column | None:
    """Return the column of the sides of a coordinate: by its name, or the next one if all its cells are sides."""
    named = [found for found in table.find(LAT_SIDE if axis == "lat" else LON_SIDE) if found.place != column.place]
    if named:
        return named[0]
    beside = [found for found in table.columns if found.place == column.place + 1 and found.base not in KNOWN]
    for found in beside:
        said = set(table.of(found)) - {""}
        if said and all(positions.side(each, axis) is not None for each in said):
            problems.append(f"its column {found.written} was taken as the side of {column.written}")
            return found
    return None


def _altitudes(table: Table, lat_of: Column, problems: list[str]) -> tuple[Floats, int]:
    """Return altitudes in metres, and how many are not understood."""
    unknown = np.full(table.rows, np.nan)
    for column in table.find(ALTITUDE):
        metres = METRES.get(column.unit)
        if metres is None:
            problems.append(
                f"its column {column.written} was left out: {column.unit!r} is not a unit of altitudes here"
            )
            continue
        cells = table.of(column)
        values = texts.reals(cells)
        strange = np.flatnonzero(~np.isfinite(values))
        if len(strange):
            # A comma is the decimal mark where the coordinates have it, and may separate thousands elsewhere.
            comma = any("," in cell for cell in table.of(lat_of)[:1000])
            read = {cells[row]: _height(cells[row], comma=comma) for row in strange.tolist()}
            values[strange] = [read[cells[row]] for row in strange.tolist()]
        unread = int(np.count_nonzero(np.isnan(values))) - sum(cell.casefold() in {"", "nan", "null"} for cell in cells)
        return values * metres, unread
    return unknown, 0


def _height(cell: str, *, comma: bool) -> float:
    match = _HEIGHT.fullmatch(cell)
    if match is None or ("," in match[1] and not comma):
        return math.nan
    return float(match[1].replace(",", ".")) * (FOOT_M if (match[2] or "").casefold() in {"ft", "feet", "'"} else 1.0)
