"""
Tables about photos -> columns: rows of a CSV file that name photos, or have the order of the photos.

Columns are numbered from 1. Times are UTC; GPS time is converted to UTC with the leap seconds of its day.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.formats.texts import WEEK_MS, gps_to_utc_ms, reals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlygeo.arrays import Flags, Floats, Whole

LARGEST_TABLE = 1 << 30
MILLISECONDS_FROM = 1e10
"""Times since 1970 from this number on are milliseconds: in seconds it would be the year 2286."""


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table by their content, counted from 1, and the form of times."""

    filename: int | None = None
    timestamp: int | None = None
    latitude: int | None = None
    longitude: int | None = None
    heading: int | None = None
    altitude: int | None = None
    gps_week: int | None = None
    meta: tuple[int, ...] = ()
    gps_time: bool = False
    utc_time: bool = False
    time_format: str = "%Y:%m:%d %H:%M:%S.%f"

    def numbers(self) -> dict[str, int]:
        """Return the requested columns by their content."""
        named = ("filename", "timestamp", "latitude", "longitude", "heading", "altitude", "gps_week")
        asked = {name: number for name in named if (number := getattr(self, name)) is not None}
        return {**asked, **{f"meta {number}": number for number in self.meta}}


@dataclass(frozen=True)
class ImageTable:
    """
    The rows of a table about photos.

    `time_ms` are milliseconds since 1970 UTC (the lowest int64 means none), the others degrees and metres, NaN
    for missing values; only requested columns exist. `problems` has the reason why a row cannot be used, None
    for other rows.
    """

    count: int
    names: list[str] | None
    time_ms: Whole | None
    numbers: dict[str, Floats]
    meta: list[list[str]]
    problems: list[str | None] = field(default_factory=list)


NO_TIME = np.iinfo(np.int64).min


def read_rows(path: str | os.PathLike[str], *, delimiter: str = ",") -> list[list[str]]:
    """
    Read the rows of a CSV file, as text.

    Parameters
    ----------
    path
        The file, UTF-8.
    delimiter
        Separator of columns; "tab" for tabs.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If it is not a table.
    InputError
        If the delimiter is not one character.
    """
    path = Path(path).expanduser()
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise InputError(f"`delimiter` is one letter, not {delimiter!r}", hint='"tab" stands for tabs')
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise FormatError(f"{path.name} holds more than {LARGEST_TABLE >> 30} GiB")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path.name} is not UTF-8 text: byte {error.start:,}") from error
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist") from error
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise FormatError(f"{path.name} is no table: {error}") from error


def read_table(
    path: str | os.PathLike[str], columns: TableColumns, *, delimiter: str = ",", header: bool = False
) -> ImageTable:
    """
    Read a table about photos.

    Parameters
    ----------
    path
        The file, CSV in UTF-8.
    columns
        The columns by their content.
    delimiter
        Separator of the columns.
    header
        Whether the first row names the columns.

    Returns
    -------
    table
        In the order of the file.

    Raises
    ------
    FileError
        If it cannot be read.
    FormatError
        If it is not a table, or a row lacks a column.
    InputError
        If a column is invalid.

    Examples
    --------
    >>> read_table("log.csv", TableColumns(filename=1, latitude=2, longitude=3))
    """
    _check(columns)
    rows = read_rows(path, delimiter=delimiter)[1 if header else 0 :]
    asked = columns.numbers()
    widest = max(asked.values(), default=0)
    for number, row in enumerate(rows, 1):
        if len(row) < widest:
            missing = next(name for name, column in asked.items() if column > len(row))
            raise FormatError(
                f"{Path(path).name}: row {number} has {len(row)} columns, and {missing} is asked from column"
                f" {asked[missing]}",
                hint="`delimiter` tells what separates columns; they count from 1",
            )

    def column(number: int) -> list[str]:
        return [row[number - 1].strip() for row in rows]

    problems: list[str | None] = [None] * len(rows)
    numbers: dict[str, Floats] = {}
    for name in ("latitude", "longitude", "heading", "altitude"):
        if name in asked:
            numbers[name] = _numbers(name, column(asked[name]), problems)
    time_ms = None
    if columns.timestamp is not None:
        weeks = None if columns.gps_week is None else column(columns.gps_week)
        time_ms = _times(column(columns.timestamp), weeks, columns, problems)
    _check_positions(numbers, problems)
    return ImageTable(
        len(rows),
        None if columns.filename is None else column(columns.filename),
        time_ms,
        numbers,
        [column(number) for number in columns.meta],
        problems,
    )


def rows_of(paths: Sequence[str], names: Sequence[str]) -> tuple[Whole, list[str | None]]:
    """
    Find the row of a table that each photo belongs to.

    A row belongs to the photo whose path equals or ends with the row's file name; else to the photo of the same
    name in another folder, if only one photo and one row have this name. Names are compared with their ending,
    then without. Of several rows for one photo the first counts.

    Parameters
    ----------
    paths
        The photos.
    names
        File names of the rows.

    Returns
    -------
    rows
        Row of each photo, -1 where there is none.
    reasons
        Why a photo has no row.
    """
    parts = [tuple(name.replace("\\", "/").strip("/").split("/")) for name in names]
    by_name: dict[str, list[int]] = {}
    by_stem: dict[str, list[int]] = {}
    for row, part in enumerate(parts):
        by_name.setdefault(part[-1], []).append(row)
        by_stem.setdefault(_stem(part[-1]), []).append(row)
    split = [tuple(path.replace("\\", "/").strip("/").split("/")) for path in paths]
    same: dict[str, int] = {}
    for part in split:
        same[part[-1]] = same.get(part[-1], 0) + 1
    rows = np.full(len(paths), -1, dtype=np.int64)
    reasons: list[str | None] = [None] * len(paths)
    for at, part in enumerate(split):
        candidates = by_name.get(part[-1]) or by_stem.get(_stem(part[-1]), [])
        if not candidates:
            reasons[at] = "no row of the table names it"
            continue
        whole = [row for row in candidates if _ends_with(part, parts[row])]
        if whole:
            rows[at] = max(whole, key=lambda row: (len(parts[row]), -row))
        elif len({parts[row] for row in candidates}) == 1 and same[part[-1]] == 1:
            rows[at] = candidates[0]
        else:
            reasons[at] = f"several rows or photos are called {part[-1]}, and no row names its folder"
    return rows, reasons


def times_of(texts: Sequence[str], *, utc_time: bool, time_format: str) -> tuple[Whole, Flags]:
    """
    Return times in milliseconds since 1970, and which texts are not times.

    Parameters
    ----------
    texts
        The times.
    utc_time
        Whether the times are seconds or milliseconds since 1970.
    time_format
        Form of other times.
    """
    import pandas as pd

    if utc_time:
        numbers = reals(list(texts))
        with np.errstate(invalid="ignore"):
            milli = np.where(np.abs(numbers) < MILLISECONDS_FROM, numbers * 1000, numbers)
            good = np.isfinite(milli) & (np.abs(milli) < 2**53)
        time_ms = np.full(len(numbers), NO_TIME)
        time_ms[good] = np.round(milli[good]).astype(np.int64)
        return time_ms, ~good
    try:
        parsed = pd.to_datetime(pd.Series(list(texts), dtype="str"), format=time_format, errors="coerce", utc=True)
    except ValueError as error:
        raise InputError(f"`time_format` {time_format!r} is none: {error}") from error
    plain = parsed.dt.as_unit("ms").to_numpy(dtype="datetime64[ms]")
    return plain.view(np.int64), np.isnat(plain)


def _check(columns: TableColumns) -> None:
    for name, number in columns.numbers().items():
        if number < 1:
            raise InputError(f"the column of {name} is {number}, and columns count from 1")
    if columns.gps_week is not None and not columns.gps_time:
        raise InputError("`gps_week_column` is of no use without `convert_gps_time`", hint="give both")
    if (columns.gps_time or columns.utc_time) and columns.timestamp is None:
        raise InputError("there are times to convert, but no `timestamp_column`")
    if columns.gps_time and columns.utc_time:
        raise InputError("`convert_gps_time` and `convert_utc_time` say two things of one column")
    if (columns.latitude is None) != (columns.longitude is None):
        raise InputError("a position needs `latitude_column` and `longitude_column`")
    if not set(columns.numbers()) - {"filename", "gps_week"}:
        raise InputError("there is nothing to take from the table", hint="name columns, such as `timestamp_column=4`")


def _numbers(name: str, texts: list[str], problems: list[str | None]) -> Floats:
    numbers = reals(texts).copy()
    for row in np.flatnonzero(~np.isfinite(numbers)):
        if texts[row]:
            problems[row] = problems[row] or f"its {name} is no number: {texts[row][:40]!r}"
        numbers[row] = np.nan
    return numbers


def _check_positions(numbers: dict[str, Any], problems: list[str | None]) -> None:
    for name, most in (("latitude", 90), ("longitude", 180), ("heading", 360)):
        if name in numbers:
            for row in np.flatnonzero(np.abs(numbers[name]) > most):
                problems[row] = problems[row] or f"its {name} cannot be: {numbers[name][row]:g}"
    if "latitude" in numbers:
        lat, lon = numbers["latitude"], numbers["longitude"]
        for row in np.flatnonzero(np.isnan(lat) != np.isnan(lon)):
            problems[row] = problems[row] or "it has only half a position"
        for row in np.flatnonzero((lat == 0) & (lon == 0)):
            problems[row] = problems[row] or "its position is (0, 0), which means that there is none"
    if "heading" in numbers:
        numbers["heading"] = np.mod(numbers["heading"], 360.0)


def _times(texts: list[str], weeks: list[str] | None, columns: TableColumns, problems: list[str | None]) -> Whole:
    if not columns.gps_time:
        time_ms, wrong = times_of(texts, utc_time=columns.utc_time, time_format=columns.time_format)
    else:
        seconds = reals(texts)
        week = np.zeros(len(seconds)) if weeks is None else reals(weeks)
        whole = seconds * 1000 + week * WEEK_MS
        good = np.isfinite(whole) & (whole >= 0) & (whole < 2**47)
        time_ms, wrong = np.full(len(seconds), NO_TIME), ~good
        time_ms[good] = gps_to_utc_ms(np.round(whole[good]).astype(np.int64))
    for row in np.flatnonzero(wrong):
        time_ms[row] = NO_TIME
        if texts[row]:
            problems[row] = problems[row] or f"its time is none: {texts[row][:40]!r}"
    return time_ms


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]  # noqa: PTH122 - a name, not a path


def _ends_with(path: tuple[str, ...], name: tuple[str, ...]) -> bool:
    """Return whether a path ends with a name, which may lack its ending."""
    if len(name) > len(path) or path[len(path) - len(name) : -1] != name[:-1]:
        return False
    return path[-1] == name[-1] or _stem(path[-1]) in {name[-1], _stem(name[-1])}
