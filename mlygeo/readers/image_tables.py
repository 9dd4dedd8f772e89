"""
Tables about photos -> columns: rows of a CSV file that name photos, or have the order of the photos.

Columns are numbered from 1. Times are UTC; GPS time is converted to UTC with the leap seconds of its day. A column
of which nothing is understood is refused by its number; single values that are not become problems of their rows.
"""

from __future__ import annotations

import codecs
import csv
import io
import logging
import os
import re
import time
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import places
from mlygeo.errors import FileError, FormatError, InputError, unreadable
from mlygeo.formats import positions, times
from mlygeo.formats.texts import GPS_EPOCH_MS, WEEK_MS, gps_to_utc_ms, reals
from mlygeo.progress import counted, working
from mlygeo.systems import BARE_NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mlygeo.arrays import Flags, Floats, Times, Whole

log = logging.getLogger("mlygeo.readers.image_tables")

LARGEST_TABLE = 1 << 30

UNITS = (
    ("seconds", 1e10, 1000.0),
    ("milliseconds", 1e13, 1.0),
    ("microseconds", 1e16, 1e-3),
    ("nanoseconds", 1e20, 1e-6),
)
"""Units of times since 1970: name, the number below which a time is taken for one, and milliseconds in it. In seconds
1e10 is the year 2286; in milliseconds it is April 1970."""

SPREADSHEET_DAYS = 25_569
"""1970-01-01 in the day numbers of spreadsheets, which count from 1899-12-30 (1904-01-01 on old Macs)."""

MOST_ALTITUDE_M = 12_000
"""No deeper place lies on Earth, and photos from aircraft are not higher: a larger number is in other units."""

ROLLOVER_WEEKS = 1024
"""GPS sends the number of its week in ten bits; receivers write what they got, or what they make of it."""

DEFAULT_FORMAT = "%Y:%m:%d %H:%M:%S.%f"

_OTHER_ZONE_MS = times.EASTERNMOST_S * 1000 + 600_000
"""How far times may be apart where one of them is that of a clock in some time zone, with ten minutes to spare."""


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
    time_format: str = DEFAULT_FORMAT

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
    for missing values; only requested columns exist. `problems` has the reason why a row cannot be used, and
    `doubts` what is in doubt of one that can be; None for other rows. `zoneless` is the number of times that say
    no time zone. `rolled` tells the rows whose GPS week was completed by multiples of 1024.
    """

    count: int
    names: list[str] | None
    time_ms: Whole | None
    numbers: dict[str, Floats]
    meta: list[list[str]]
    problems: list[str | None] = field(default_factory=list)
    doubts: list[str | None] = field(default_factory=list)
    zoneless: int = 0
    rolled: Flags | None = None


class Matches(NamedTuple):
    """Row of each photo (-1 where there is none), why a photo has none, and why a row has no photo."""

    rows: Whole
    reasons: list[str | None]
    rows_left_out: dict[int, str]


class TableTimes(NamedTuple):
    """Milliseconds since 1970, which texts are no times, and how many say no time zone."""

    time_ms: Whole
    wrong: Flags
    zoneless: int = 0


NO_TIME = np.iinfo(np.int64).min

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - what clocks show

_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d*)?")

_FRACTION = re.compile(r"[.,](\d+)(?!.*[.,]\d)")
"""The last decimals in a text."""

_STAMP = re.compile(
    r"(\d{4})([:/.\-\s]?)(\d\d?)([:/.\-\s]?)(\d\d?)(\s*T\s*|[\s_]*)(\d\d?)(:?)(\d\d)(:?)(?:(\d\d)())?"
    r"(?:(?P<mark>[.,])(?P<part>\d+))?(?P<rest>\s*(?:Z|(?:UTC|GMT|UT)?\s*[+-]\d{1,2}:?(?:\d\d)?|UTC|GMT|UT)?)",
    re.IGNORECASE,
)
"""The numbers of a time, what stands between them, and its zone."""

_ZONE = re.compile(r"Z|[+-]\d\d:?\d\d")

_NUMBER_CODE = re.compile(r"%([dmHI])")

_LEAP_SECOND = re.compile(r"(\d\d:59):60(?!\d)")


def read_rows(path: str | os.PathLike[str], *, delimiter: str = ",") -> list[list[str]]:
    """
    Read the rows of a CSV file, as text.

    Parameters
    ----------
    path
        The file: UTF-8, UTF-16 with its mark, or Windows-1252, which is said.
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
        data = places.content_of(path, LARGEST_TABLE)
        if len(data) > LARGEST_TABLE:
            raise FormatError(f"{path.name} holds more than {LARGEST_TABLE >> 30} GiB")
        text = data.decode(encoding_of(data))
        if encoding_of(data) == "cp1252":
            log.warning("%s is not UTF-8 text; it is read as Windows-1252", path.name)
    except UnicodeDecodeError as error:
        raise FormatError(f"{path.name} is not UTF-8 text: byte {error.start:,}") from error
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError(unreadable(path, error)) from error
    try:
        return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
    except csv.Error as error:
        raise FormatError(f"{path.name} is not a table: {error}") from error


def encoding_of(data: bytes) -> str:
    """Return the encoding of a table: UTF-8, or UTF-16 by the mark at the start; Windows-1252 where it is neither."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig" if data.startswith(codecs.BOM_UTF8) else "utf-8"


@working("reading the table")
def read_table(
    path: str | os.PathLike[str], columns: TableColumns, *, delimiter: str = ",", header: bool = False
) -> ImageTable:
    """
    Read a table about photos.

    Parameters
    ----------
    path
        The file, CSV; see `read_rows`.
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
                f"{Path(path).name}: row {number} has only {counted(len(row), 'column')}, but {missing} should be in"
                f" column {asked[missing]}",
                hint="`delimiter` is the character between columns; the first column is 1",
            )

    def column(number: int) -> list[str]:
        return [row[number - 1].strip() for row in rows]

    problems: list[str | None] = [None] * len(rows)
    doubts: list[str | None] = [None] * len(rows)
    numbers: dict[str, Floats] = {}
    for name in ("latitude", "longitude", "heading", "altitude"):
        if name in asked:
            numbers[name] = _numbers(name, column(asked[name]), problems)
            _must_hold(Path(path).name, name, asked[name], column(asked[name]), ~np.isfinite(numbers[name]))
    found, rolled = None, None
    if columns.timestamp is not None:
        texts = column(columns.timestamp)
        if columns.gps_time:
            weeks = None if columns.gps_week is None else column(columns.gps_week)
            found, rolled = _gps_times(texts, weeks, problems, doubts)
        else:
            with _named(Path(path).name, columns.timestamp):
                found = times_of(texts, utc_time=columns.utc_time, time_format=columns.time_format)
        _must_hold(Path(path).name, "time", columns.timestamp, texts, found.wrong)
        _check_times(found, texts, problems, doubts)
    _check_positions(numbers, problems)
    return ImageTable(
        len(rows),
        None if columns.filename is None else column(columns.filename),
        None if found is None else found.time_ms,
        numbers,
        [column(number) for number in columns.meta],
        problems,
        doubts,
        0 if found is None else found.zoneless,
        rolled,
    )


def rows_of(paths: Sequence[str], names: Sequence[str]) -> Matches:
    """
    Find the row of a table that each photo belongs to.

    A row belongs to the photo whose path shares the longest end with the row's file name, folder by folder, if only
    one does: names are compared as they are, then without regard to case, then without their ending. Paths of
    Windows are understood, and so are paths on another disk. A row that fits several photos equally belongs to
    none; of several rows for one photo that with the longest common end counts, of equal ones the first.

    Parameters
    ----------
    paths
        The photos.
    names
        File names of the rows.

    Returns
    -------
    matches
        Which photo has which row, and what was left out.
    """
    photos = [_parts(path) for path in paths]
    by_name: dict[str, list[int]] = {}
    by_stem: dict[str, list[int]] = {}
    for at, part in enumerate(photos):
        by_name.setdefault(part[-1].casefold(), []).append(at)
        by_stem.setdefault(_stem(part[-1]).casefold(), []).append(at)
    claims: dict[int, list[tuple[tuple[int, int, int, int], int]]] = {}
    left_out: dict[int, str] = {}
    shared: dict[int, str] = {}
    parts = [_parts(name) for name in names]
    for row, part in enumerate(parts):
        key = part[-1].casefold()
        candidates = by_name.get(key) or by_stem.get(key) or by_stem.get(_stem(part[-1]).casefold(), [])
        ranks = {at: _rank(part, photos[at]) for at in candidates}
        best = [at for at in candidates if ranks[at] == max(ranks.values())]
        if not names[row]:
            left_out[row] = "it names no photo"
        elif not best:
            left_out[row] = f"there is no photo {names[row]}"
        elif len(best) > 1:
            left_out[row] = f"{names[row]} fits {len(best):,} photos"
            shared.update(dict.fromkeys(best, f"row {row + 1:,} of the table, {names[row]}, fits {len(best):,} photos"))
        else:
            claims.setdefault(best[0], []).append((ranks[best[0]], row))
    rows = np.full(len(paths), -1, dtype=np.int64)
    reasons: list[str | None] = ["no row of the table names it"] * len(paths)
    for at, text in shared.items():
        reasons[at] = text
    for at, claiming in claims.items():
        most = max(rank for rank, _ in claiming)
        first, *others = [row for rank, row in claiming if rank == most]
        if any(parts[other] != parts[first] for other in others):
            reasons[at] = f"rows {first + 1:,} and {others[0] + 1:,} of the table both fit it"
            left_out.update(
                (row, f"{names[row]} fits a photo that another row fits as well") for row in (first, *others)
            )
            others = []
        else:
            rows[at], reasons[at] = first, None
        left_out.update((row, f"{names[row]} is in row {first + 1:,} already") for row in others)
        left_out.update((row, f"another row fits {names[row]} better") for rank, row in claiming if rank != most)
    return Matches(rows, reasons, left_out)


def times_of(texts: Sequence[str], *, utc_time: bool, time_format: str | None) -> TableTimes:
    """
    Return times in milliseconds since 1970, and which texts are not times.

    Parameters
    ----------
    texts
        The times.
    utc_time
        Whether the times are seconds, milliseconds, micro- or nanoseconds since 1970; in the whole column the same.
    time_format
        Form of other times; None or the default format takes every form that `mlygeo.formats.times` reads.

    Raises
    ------
    FormatError
        If the column mixes units, or holds day numbers of a spreadsheet.
    InputError
        If the format is none.
    """
    if utc_time:
        return _epochs(texts)
    if time_format in {None, DEFAULT_FORMAT}:
        found = [times.read(text) for text in texts]
        known = np.array([each is not None for each in found], dtype=bool)
        time_ms = np.array([NO_TIME if each is None else each.us // 1000 for each in found], dtype=np.int64)
        return TableTimes(time_ms, ~known, sum(each is not None and each.offset_s is None for each in found))
    return _formatted(texts, str(time_format))


def rewritten(
    texts: Sequence[str], time_ms: Whole, rows: Iterable[int], *, utc_time: bool, time_format: str | None
) -> list[str]:
    """
    Return a column of times with other ones in some rows, written in the form that the column has.

    Parameters
    ----------
    texts
        The column, which `times_of` reads.
    time_ms
        Shape (n,), the times of all rows, milliseconds since 1970.
    rows
        The rows whose texts change.
    utc_time, time_format
        As for `times_of`.

    Raises
    ------
    FormatError
        If a time does not fit the form of the column, such as half a second where there are whole ones. Nothing
        but what reads back as the very same time is returned.
    """
    new = list(texts)
    write = _epoch_writer(texts) if utc_time else _text_writer(texts, time_format)
    for row in rows:
        new[row] = write(texts[row], int(time_ms[row])) or ""
    try:
        again = times_of(new, utc_time=utc_time, time_format=time_format)
        differing = [row for row in rows if again.wrong[row] or again.time_ms[row] != time_ms[row]]
    except FormatError:
        differing = list(rows)
    if differing:
        row = differing[0]
        moment = np.datetime64(int(time_ms[row]), "ms")
        raise FormatError(
            f"row {row + 1:,}: the time {moment}Z cannot be written in the form of its column, {texts[row]!r}",
            hint="the file was left as it is; let the whole column have thousandths of a second, then try again",
        )
    return new


def _epoch_writer(texts: Sequence[str]) -> Callable[[str, int], str | None]:
    _, milli = unit_of(texts)
    digits = max((len(text.partition(".")[2]) for text in texts), default=0)

    def write(old: str, time_ms: int) -> str | None:
        if not _PLAIN_NUMBER.fullmatch(old):
            return None
        return f"{Decimal(time_ms) / Decimal(str(milli)):.{digits}f}"

    return write


def _text_writer(texts: Sequence[str], time_format: str | None) -> Callable[[str, int], str | None]:
    if time_format in {None, DEFAULT_FORMAT}:
        stamps = [match for text in texts if (match := _STAMP.fullmatch(text)) is not None and match["part"]]
        mark = stamps[0]["mark"] if stamps else ""
        return partial(_restamped, mark=mark, digits=max((len(match["part"]) for match in stamps), default=0))
    form = str(time_format)
    found = [match for text in texts if "%f" in form and (match := _FRACTION.search(text)) is not None]
    return partial(_reformatted, form=form, digits=max((len(match[1]) for match in found), default=0))


def _restamped(old: str, time_ms: int, *, mark: str, digits: int) -> str | None:
    """Return a time with other numbers; what stands between them and behind them stays."""
    found, match = times.read(old), _STAMP.fullmatch(old)
    if found is None or match is None:
        return None
    wall = _EPOCH + timedelta(milliseconds=time_ms, seconds=found.offset_s or 0)
    text = ""
    for value, number, gap in zip(
        (wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.second),
        match.groups()[0:12:2],
        match.groups()[1:13:2],
        strict=True,
    ):
        text += ("" if number is None else f"{value:0{len(number)}}") + (gap or "")
    return text + (f"{mark}{_part(wall, digits)}" if digits else "") + (match["rest"] or "")


def _reformatted(old: str, time_ms: int, *, form: str, digits: int) -> str | None:
    """Return a time in a format, with the zone of the old text, and leading zeros where that has them."""
    try:
        before = datetime.strptime(old, form)  # noqa: DTZ007 - the format may have a zone
    except ValueError:
        return None  # a form that pandas reads and Python does not
    offset = before.utcoffset() or timedelta()
    zone = _ZONE.findall(old)

    def text_of(wall: datetime, *, is_bare: bool) -> str:
        filled = form.replace("%f", _part(wall, digits)).replace("%z", zone[-1] if zone else "%z")
        return wall.strftime(_NUMBER_CODE.sub(BARE_NUMBER, filled) if is_bare else filled)

    shown = before.replace(tzinfo=None)
    is_bare = text_of(shown, is_bare=False) != old and text_of(shown, is_bare=True) == old
    return text_of(_EPOCH + timedelta(milliseconds=time_ms) + offset, is_bare=is_bare)


def _part(time: datetime, digits: int) -> str:
    return f"{time.microsecond:06}"[:digits].ljust(digits, "0")


def unit_of(texts: Sequence[str]) -> tuple[str, float]:
    """
    Return the unit of times since 1970, and the milliseconds in one.

    Raises
    ------
    FormatError
        If the column mixes units, or holds day numbers of a spreadsheet.
    """
    numbers = reals(list(texts))
    limits = [limit for _, limit, _ in UNITS]
    rows = np.flatnonzero(np.isfinite(numbers) & (numbers != 0))
    kinds = np.minimum(np.searchsorted(limits, np.abs(numbers[rows]), side="right"), len(UNITS) - 1)
    if len(rows) and (other := np.flatnonzero(kinds != kinds[0])).size:
        row = int(rows[other[0]])
        raise FormatError(
            f"row {rows[0] + 1:,} is in {UNITS[kinds[0]][0]} ({texts[rows[0]]}), row {row + 1:,} in "
            f"{UNITS[kinds[other[0]]][0]} ({texts[row]}), and one of them is wrong",
            hint="write the whole column in one unit",
        )
    today = SPREADSHEET_DAYS + time.time() / 86_400
    if len(rows) and bool(((numbers[rows] > SPREADSHEET_DAYS + 9131) & (numbers[rows] < today + 1)).all()):
        raise FormatError(
            f"its times, such as {texts[rows[0]]}, look like the day numbers of a spreadsheet, and not like seconds",
            hint="let the spreadsheet write dates as text, such as 2024-06-10T06:13:20Z",
        )
    name, _, milli = UNITS[int(kinds[0]) if len(rows) else 0]
    return name, milli


def settled_times(table: ImageTable, rows: Whole, own: Times) -> tuple[Times, dict[int, str]]:
    """
    Return the times of rows in the light of what the photos say themselves, and what is in doubt.

    A time whose GPS week was completed goes to the cycle of 1024 weeks that is nearest to the photo's own time. One
    that is earlier by 1024 weeks or a multiple of them comes from a receiver from before a roll-over of the week
    number: the weeks are added. Where the two are apart by anything else that no time zone explains, the table
    counts, and it is said.

    Parameters
    ----------
    table
        The table, with times.
    rows
        Shape (n,), rows that have a time.
    own
        Shape (n,), datetime64[ms], what the photos say themselves; NaT, and times before 1995, tell nothing.

    Returns
    -------
    times
        Shape (n,), datetime64[ms].
    doubts
        What is in doubt, by the place in `rows`.
    """
    time_ms = np.zeros(0, dtype=np.int64) if table.time_ms is None else table.time_ms[rows]
    own_ms = own.astype("datetime64[ms]").astype(np.int64)
    told = ~np.isnat(own)
    plausible = told & (own_ms >= times.EARLIEST_US // 1000)
    rolled = np.zeros(len(rows), dtype=bool) if table.rolled is None else table.rolled[rows]
    cycle = ROLLOVER_WEEKS * WEEK_MS
    cycles = np.where(plausible, np.round((own_ms - np.where(told, time_ms, 0)) / cycle), 0).astype(np.int64)
    # A completed week is the latest possible one; it never goes into the future.
    nearer = time_ms + np.minimum(cycles, 0) * cycle
    time_ms = np.where(rolled & (nearer >= times.EARLIEST_US // 1000), nearer, time_ms)
    added = np.where(rolled, 0, np.maximum(cycles, 0))
    is_rollover = (added > 0) & (np.abs(own_ms - time_ms - added * cycle) <= _OTHER_ZONE_MS)
    time_ms = np.where(is_rollover, time_ms + added * cycle, time_ms)
    apart = told & (np.abs(own_ms - time_ms) > _OTHER_ZONE_MS)
    doubts = {}
    for at in np.flatnonzero(is_rollover | apart).tolist():
        doubts[at] = f"its own time is {own[at]}Z, the table has another"
        if is_rollover[at]:
            weeks = added[at] * ROLLOVER_WEEKS
            doubts[at] = f"{weeks} weeks were added to its time in the table (a roll-over of its GPS week)"
    return time_ms.view("datetime64[ms]"), doubts


def _check(columns: TableColumns) -> None:
    for name, number in columns.numbers().items():
        if number < 1:
            raise InputError(f"the column of {name} is {number}, and columns count from 1")
    if columns.gps_week is not None and not columns.gps_time:
        raise InputError("`gps_week_column` has no effect without `convert_gps_time`", hint="give both")
    if (columns.gps_time or columns.utc_time) and columns.timestamp is None:
        raise InputError("there are times to convert, but no `timestamp_column`")
    if columns.gps_time and columns.utc_time:
        raise InputError("`convert_gps_time` and `convert_utc_time` say two things of one column")
    if (columns.latitude is None) != (columns.longitude is None):
        raise InputError("a position needs `latitude_column` and `longitude_column`")
    if not set(columns.numbers()) - {"filename", "gps_week"}:
        raise InputError("there is nothing to take from the table", hint="name columns, such as `timestamp_column=4`")


@contextmanager
def _named(file: str, column: int) -> Iterator[None]:
    """Let an error of a column name it."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{file}, column {column}: {error}", hint=error.hint) from error


def _must_hold(file: str, name: str, number: int, texts: list[str], wrong: Flags) -> None:
    """Raise where nothing in a column is what it is asked for."""
    given = np.array([bool(text) for text in texts], dtype=bool)
    if given.any() and bool(wrong[given].all()):
        first = next(text for text in texts if text)
        raise FormatError(
            f"{file}, column {number}: not one of its {int(given.sum()):,} values is right for {name}, the first is"
            f" {first[:40]!r}",
            hint="columns count from 1; see `delimiter`, `time_format` and `header` too",
        )


def _numbers(name: str, texts: list[str], problems: list[str | None]) -> Floats:
    numbers = reals(texts).copy()
    for row in np.flatnonzero(~np.isfinite(numbers)):
        number = None
        if name in {"latitude", "longitude"}:
            number = positions.from_text(texts[row], "lat" if name == "latitude" else "lon")
        elif (decimal := texts[row].replace(",", ".", 1)) != texts[row]:
            number = float(reals([decimal])[0])
            number = number if np.isfinite(number) else None
        numbers[row] = np.nan if number is None else number
        if texts[row] and number is None:
            problems[row] = problems[row] or f"its {name} is not a number: {texts[row][:40]!r}"
    return numbers


def _check_positions(numbers: dict[str, Any], problems: list[str | None]) -> None:
    for name, most in (("latitude", 90), ("longitude", 180), ("heading", 360), ("altitude", MOST_ALTITUDE_M)):
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


def _check_times(found: TableTimes, texts: list[str], problems: list[str | None], doubts: list[str | None]) -> None:
    """Note texts that are no times, and times at which no digital picture was taken."""
    for row in np.flatnonzero(found.wrong):
        found.time_ms[row] = NO_TIME
        if texts[row]:
            problems[row] = problems[row] or f"its time is none: {texts[row][:40]!r}"
    now_us = time.time_ns() // 1000
    for row in np.flatnonzero(~found.wrong):
        us = int(found.time_ms[row]) * 1000
        if (why := times.implausible(us, now_us)) is not None:
            doubts[row] = f"its time in the table, {times.shown(us)}, is {why}"


def _epochs(texts: Sequence[str]) -> TableTimes:
    numbers = reals(list(texts))
    _, milli = unit_of(texts)
    with np.errstate(invalid="ignore", over="ignore"):
        values = numbers * milli
        good = np.isfinite(values) & (np.abs(values) < 2**53)
    time_ms = np.full(len(numbers), NO_TIME)
    time_ms[good] = np.round(values[good]).astype(np.int64)
    return TableTimes(time_ms, ~good)


def _formatted(texts: Sequence[str], time_format: str) -> TableTimes:
    """Return times in a format of their own; the 60th second of a leap minute is the first of the next one."""
    import pandas as pd

    leaps = np.array([bool(_LEAP_SECOND.search(text)) for text in texts], dtype=bool)
    plain = [_LEAP_SECOND.sub(r"\1:59", text) if leap else text for text, leap in zip(texts, leaps, strict=True)]
    try:
        parsed = pd.to_datetime(pd.Series(plain, dtype="str"), format=time_format, errors="coerce", utc=True)
    except ValueError as error:
        raise InputError(f"`time_format` {time_format!r} is none: {error}") from error
    stamps = parsed.dt.as_unit("ms").to_numpy(dtype="datetime64[ms]")
    time_ms = stamps.view(np.int64) + np.where(leaps & ~np.isnat(stamps), 1000, 0)
    says_zone = "%z" in time_format or "%Z" in time_format or time_format.rstrip().endswith(("Z", "UTC", "GMT"))
    return TableTimes(time_ms, np.isnat(stamps), 0 if says_zone else int((~np.isnat(stamps)).sum()))


def _gps_times(
    texts: list[str], weeks: list[str] | None, problems: list[str | None], doubts: list[str | None]
) -> tuple[TableTimes, Flags]:
    """
    Return times of GPS in UTC, and the rows whose week was completed by multiples of 1024.

    Of a week below 1024 nobody can tell how often the number has rolled over. The latest one that is not in the
    future is taken, and said.
    """
    seconds = reals(texts)
    rolled = np.zeros(len(seconds), dtype=bool)
    now_ms = time.time_ns() // 1_000_000
    first_week = (times.EARLIEST_US // 1000 - GPS_EPOCH_MS) // WEEK_MS
    last_week = (now_ms + 86_400_000 - GPS_EPOCH_MS) // WEEK_MS
    whole = seconds * 1000
    good = np.isfinite(seconds) & (seconds >= 0) & (whole < 2**47)
    if weeks is not None:
        week = reals(weeks)
        for row in range(len(seconds)):
            if not (np.isfinite(week[row]) and week[row] == np.floor(week[row]) and week[row] >= 0):
                if weeks[row]:
                    problems[row] = problems[row] or f"its GPS week is none: {weeks[row][:40]!r}"
                good[row] = False
            elif good[row] and seconds[row] > WEEK_MS / 1000:
                problems[row] = problems[row] or f"a week has no second {texts[row][:40]}"
                good[row] = False
            else:
                full = week[row]
                if full < ROLLOVER_WEEKS:
                    full += (last_week - full) // ROLLOVER_WEEKS * ROLLOVER_WEEKS
                    rolled[row] = True
                    doubts[row] = (
                        f"its GPS week {weeks[row]} is counted modulo {ROLLOVER_WEEKS}; the one nearest to its own time"
                        " was taken, else the latest"
                    )
                if not first_week <= full <= last_week:
                    problems[row] = problems[row] or f"its GPS week {weeks[row]} is before 1995, or in the future"
                    good[row] = False
                whole[row] += full * WEEK_MS
    elif good.any() and bool((seconds[good] <= WEEK_MS / 1000).all()):
        raise FormatError(
            f"the GPS times, such as {texts[int(np.flatnonzero(good)[0])]}, are seconds of an unknown week",
            hint="`gps_week_column` names the column of weeks",
        )
    time_ms = np.full(len(seconds), NO_TIME)
    time_ms[good] = gps_to_utc_ms(np.round(whole[good]).astype(np.int64))
    return TableTimes(time_ms, ~good), rolled


def _parts(path: str) -> tuple[str, ...]:
    """Return folders and name of a path, be it of Windows, without its drive and what means no folder."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in {"", "."}]
    if parts and len(parts[0]) == 2 and parts[0][1] == ":":
        del parts[0]
    return tuple(unicodedata.normalize("NFC", part.strip()) for part in parts) or ("",)


def _rank(row: tuple[str, ...], photo: tuple[str, ...]) -> tuple[int, int, int, int]:
    """
    Return how well a row fits a photo of the same name.

    The folders at the end that both share come first, then whether the row names no other folder, whether the names
    have the same ending, and how much agrees in case too.
    """
    same = [ours.casefold() == theirs.casefold() for ours, theirs in zip(row[-2::-1], photo[-2::-1], strict=False)]
    shared = same.index(False) if False in same else len(same)
    exact = [ours == theirs for ours, theirs in zip(row[::-1], photo[::-1], strict=False)][: shared + 1]
    has_ending = row[-1].casefold() == photo[-1].casefold()
    return int(has_ending), shared, int(shared == len(row) - 1), sum(exact)


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]  # noqa: PTH122 - a name, not a path
