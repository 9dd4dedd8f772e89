"""
Tables of GPS loggers (CSV) -> points: columns by their names, in the encodings and forms that loggers write.

What a column says is understood, or the table is refused by its name: a side that is unknown, times in a form that
may be read in two ways, local times without an offset. Columns: those of Qstarz and BT747, Columbus, GPSBabel's
unicsv, GPSLogger, Garmin, DJI and Geolife, and what is alike. OziExplorer's .plt has no names and is known by its
first line (oziexplorer3.com/eng/help/fileformats.html).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import positions, texts, times

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats, Times, Whole

FOOT_M = 0.3048
"""The international foot (NIST SP 811, B.6)."""

SPREADSHEET_DAYS = 25_569
"""Days from 1899-12-30, from which spreadsheets count, to 1970-01-01."""

JULIAN_DAYS = 2_440_587.5
"""The Julian date of 1970-01-01."""

MODIFIED_JULIAN_DAYS = 40_587
"""The modified Julian date of 1970-01-01."""

FIT_EPOCH_S = 631_065_600
"""1989-12-31, from which Garmin's FIT counts seconds (FIT SDK, date_time)."""

SEMICIRCLE = 180 / 2**31
"""Degrees in Garmin's unit of coordinates (FIT SDK, semicircles)."""

LAT = ("lat", "latitude", "y")
LON = ("lon", "longitude", "lng", "long", "x")
ALTITUDE = ("altitude", "alt", "ele", "elevation", "height", "z", "altitude_msl", "alt_msl", "heightmsl", "hmsl",
            "altitude_above_sealevel", "altitude_above_sea_level")  # fmt: skip
TRACK = ("track_id", "trajectory_id", "trackid", "track", "sequence_id", "segment")
LAT_SIDE = ("n_s", "ns", "nors", "lat_ref", "latitude_ref", "latituderef", "lat_dir", "latitude_dir",
            "lat_direction", "latitude_direction", "lat_hemisphere", "latitude_hemisphere", "lat_n_s", "latitude_n_s",
            "lat_ns", "latitude_ns", "n_s_indicator", "ns_indicator")  # fmt: skip
LON_SIDE = ("e_w", "ew", "eorw", "lon_ref", "long_ref", "longitude_ref", "longituderef", "lon_dir", "long_dir",
            "longitude_dir", "lon_direction", "longitude_direction", "lon_hemisphere", "longitude_hemisphere",
            "lon_e_w", "long_e_w", "longitude_e_w", "lon_ew", "longitude_ew", "e_w_indicator",
            "ew_indicator")  # fmt: skip
MOMENT = ("time", "timestamp", "datetime", "date_time", "captured_at", "", "t", "isotime", "iso_time", "time_iso",
          "iso8601", "date_time_stamp", "datetimestamp", "unix", "unixtime", "unix_time", "epoch", "epoch_time",
          "updatetime", "mjd", "jd", "julian", "julian_date", "recorded_at", "zeit", "uhrzeit")  # fmt: skip
DAY = ("date", "day", "datum")
OFFSET = ("utc_offset", "utcoffset", "offset_utc", "gmt_offset", "timezone", "time_zone", "tz", "zone", "zone_offset")
MILLISECONDS = ("ms", "msec", "millisecond", "milliseconds")
FIX = ("valid", "fix", "fix_type", "fixtype", "fix_status", "fix_mode", "status")
TIME_OF_WEEK = ("tow", "itow", "time_of_week", "seconds_of_week", "week_seconds", "sow")
WEEK = ("week", "week_number", "weeknumber", "wn")
PARTS = (
    ("year",), ("month", "mon"), ("day",),
    ("hour", "hours"), ("minute", "minutes", "min"), ("second", "seconds", "sec"),
)  # fmt: skip

_UNKNOWN_FEET = -777
"""OziExplorer's unknown altitude."""

_NO_FIX = {"no fix", "nofix", "no_fix", "none", "invalid", "void", "v", "0", "false"}

_METRES = {"": 1.0, "m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0, "msl": 1.0,
           "ft": FOOT_M, "feet": FOOT_M, "foot": FOOT_M}  # fmt: skip

_DEGREES = {"", "deg", "degree", "degrees", "dd", "wgs84", "wgs_84", "\u00b0"}

_UNITS = _METRES.keys() | _DEGREES | {
    "utc", "gmt", "local", "s", "sec", "ms", "us", "ns", "semicircles", "millisecond", "milliseconds", "rad", "km",
}  # fmt: skip

_ZONES = {"utc": "utc", "gmt": "utc", "gps": "utc", "gnss": "utc", "local": "local", "lt": "local", "loc": "local"}

_SEPARATORS = ",;\t|"

_HEADER_LINES = 60
"""Lines among which the names of the columns are looked for."""

_BRACKETS = re.compile(r"^(.*?)\s*[(\[]([^)\]]*)[)\]]\s*$")

_FUSED = re.compile(r"^(utc|gps|gmt|local)(time|date|datetime|timestamp)$")

_PREFIX = re.compile(r"^(?:gps|gnss|osd|custom|location|loc|position|pos|geo|point|trackpoint|record)_?(?=[a-z])")

_HEIGHT = re.compile(
    r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?)\s*(m|ft|feet|meters?|metres?|')?", re.IGNORECASE
)

_SLASHED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d\d)")

_NAMED_MONTH = re.compile(r"(\d{1,2})[ .-]+([a-z]{3,9})\.?[ ,.-]+(\d{4})", re.IGNORECASE)

_MONTH_FIRST = re.compile(r"([a-z]{3,9})\.? +(\d{1,2}),? +(\d{4})", re.IGNORECASE)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_SIX = re.compile(r"\d{6}")

_DATE_AND_CLOCK = re.compile(
    r"(\d{1,2}([./-])\d{1,2}\2(?:\d{4}|\d\d)|\d{1,2}[ -][a-z]{3,9}[ -]\d{4})[T ,]+(.+)", re.IGNORECASE
)

_PLAIN_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")

_WHOLE = re.compile(r"\d{0,18}|[0-8]\d{18}")

_ZONE = re.compile(r"(?:utc|gmt)?\s*[+-]?(?:\d{1,2}(?::\d\d)?|\d{4})|z|utc|gmt", re.IGNORECASE)

_HOURS = re.compile(r"[+-]?\d{1,2}[.,]\d{1,2}")

_ORDERS: dict[str, tuple[int, int, int]] = {
    "day.month.year": (0, 1, 2), "month/day/year": (1, 0, 2), "year/month/day": (2, 1, 0),
}  # fmt: skip
"""Where day, month and year stand in three numbers."""


class Points(NamedTuple):
    """
    The points of a table, in its order.

    `track` is None where no column names the tracks; `left_out` counts rows by reason; `senseless` times are not
    understood, `zoneless` ones say no zone and were taken as UTC, `unread` altitudes are no number.
    """

    lon: Floats
    lat: Floats
    altitude: Floats
    time: Times
    track: list[str] | None
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
    text = _text(content, problems)
    table = _plt(text) or _table(text, name, problems)
    return _points(table, name, now_us, problems)


def is_plt(start: bytes) -> bool:
    """Return whether a file is OziExplorer's or Geolife's table without names, by its first bytes."""
    return start.startswith((b"Geolife trajectory", b"OziExplorer Track Point File"))


class _Column(NamedTuple):
    """A column as its head names it: its name without unit and words for a zone, and the name as it stands."""

    place: int
    base: str
    unit: str
    zone: str  # "utc", "local", or "" where none is named
    written: str
    key: str


class _Table(NamedTuple):
    """A table: the columns that have a name, and their cells as they stand."""

    columns: list[_Column]
    cells: Sequence[pa.Array]
    rows: int
    left_out: Counter[str]

    def find(self, names: Sequence[str], *, plain: bool = False) -> list[_Column]:
        """Return the columns of these names, in the order of the names; before them those of exactly such a name."""
        exact = [column for name in names for column in self.columns if column.key == name]
        loose = [column for name in names for column in self.columns if name and column.base == name]
        return list(dict.fromkeys(exact if plain else exact + loose))

    def of(self, column: _Column) -> list[str]:
        """Return the cells of a column, without spaces around them."""
        return [cell.strip() for cell in self.cells[column.place].to_pylist()] if self.rows else []


def _text(content: bytes, problems: list[str]) -> str:
    encoding = texts.encoding_of(content[: 1 << 16])
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if error.start >= len(content) - 4:  # cut off within a letter
            return content[: error.start].decode(encoding).removeprefix("\ufeff")
    problems.append("its text is not UTF-8 and was read as Latin-1")
    return content.decode("latin-1")


def _column(place: int, field: str) -> _Column:
    written = field.strip().strip('"').lstrip("#").strip()
    bracketed = _BRACKETS.match(written.casefold())
    name, unit = (bracketed[1], bracketed[2].strip()) if bracketed else (written.casefold(), "")
    key = re.sub(r"[^a-z0-9]+", "_", name).strip("_")
    words = _FUSED.sub(r"\1_\2", key).split("_")
    if not unit and key not in _KNOWN and len(words) > 1 and words[-1] in _UNITS - {"msl", "utc", "gmt", "local"}:
        unit = words.pop()
    zone = next((_ZONES[word] for word in (*words, unit) if word in _ZONES), "")
    base = "_".join(word for word in words if word not in _ZONES)
    stripped = _PREFIX.sub("", _PREFIX.sub("", base))
    return _Column(place, stripped if stripped in _KNOWN else base, unit, zone, written, key)


_KNOWN = {*LAT, *LON, *ALTITUDE, *MOMENT, *DAY, *WEEK, *LAT_SIDE, *LON_SIDE, *FIX}


def _plt(text: str) -> _Table | None:
    """Return a .plt table: six lines, then latitude, longitude, a break, feet, days since 1899-12-30, and more."""
    import pyarrow as pa

    if not is_plt(text[:64].encode("utf-8", "replace")):
        return None
    columns = [_column(place, field) for place, field in enumerate(("lat", "lon", "", "altitude (ft)", "time (utc)"))]
    rows = [row for row in list(csv.reader(io.StringIO(text, newline="")))[6:] if any(row)]
    whole = [row for row in rows if len(row) >= 5]
    left_out = Counter({"row of another length": len(rows) - len(whole)})
    cells = list(zip(*(row[:5] for row in whole), strict=True))
    if cells:
        cells[3] = tuple("" if texts.real(cell) == _UNKNOWN_FEET else cell for cell in cells[3])
    arrays = [pa.array(column, pa.string()) for column in cells]
    return _Table([column for column in columns if column.base], arrays, len(whole), +left_out)


def _table(text: str, name: str, problems: list[str]) -> _Table:
    head, separator, start = _head(text, name)
    body = text[start:]
    plain_rows = _plain_rows(body, separator, head)
    if plain_rows is not None:
        return plain_rows
    try:
        return _rows(
            csv.reader(io.StringIO(body, newline=""), delimiter=separator, skipinitialspace=True, strict=True), head
        )
    except csv.Error as error:
        problems.append(f"its quotation marks do not match ({error}); they were read as letters")
        plain = csv.reader(io.StringIO(body, newline=""), delimiter=separator, quoting=csv.QUOTE_NONE)
        return _rows(([cell.strip().strip('"') for cell in row] for row in plain), head)


def _head(text: str, name: str) -> tuple[list[str], str, int]:
    """Return the names of the columns, the separator, and where the rows start."""
    at, first = 0, None
    for line in io.StringIO(text[: 1 << 16], newline=""):
        at += len(line)
        if not line.strip():
            continue
        for separator in _SEPARATORS:
            fields = next(csv.reader([line.strip("\r\n").lstrip("# ")], delimiter=separator, skipinitialspace=True), [])
            columns = [_column(place, field) for place, field in enumerate(fields)]
            if any(column.base in LAT or column.base in LAT_SIDE for column in columns) and any(
                column.base in LON or column.base in LON_SIDE for column in columns
            ):
                return fields, separator, at
        first = first or line
        if line.count("\n") and text[:at].count("\n") > _HEADER_LINES:
            break
    separator = max(_SEPARATORS, key=(first or "").count)
    names = [field.strip().strip('"') for field in (first or "").strip().split(separator)]
    bases = {_column(0, field).base for field in names}
    missing = [what for what, known in (("lon", LON), ("lat", LAT)) if not bases & set(known)]
    raise FormatError(
        f"{name} has no column {' and '.join(missing)} (it has {', '.join(names[:8])})",
        hint="name the columns lon, lat, time and altitude",
    )


def _rows(reader: Iterable[list[str]], head: list[str]) -> _Table:
    """Return the rows that have a cell for each name; rows with more cells only if those are blank."""
    import pyarrow as pa

    fields = _named(head)
    count, left_out = len(fields), Counter[str]()
    taken: list[tuple[str, ...]] = []
    for row in reader:
        if len(row) == count:
            taken.append(tuple(row))
        elif not row or row[0].lstrip().startswith("#"):
            continue
        elif len(row) > count and not any(cell.strip() for cell in row[count:]):
            taken.append(tuple(row[:count]))  # without separators at the end
        elif any(cell.strip() for cell in row):
            left_out["row of another length"] += 1
    columns = [pa.array(column, pa.string()) for column in zip(*taken, strict=True)]
    return _without_remarks(columns or [pa.array([], pa.string())] * count, fields, left_out)


def _plain_rows(body: str, separator: str, head: list[str]) -> _Table | None:
    """Return the same rows, read as columns; None where cells are quoted, or a row is of another length."""
    import pyarrow as pa
    from pyarrow import csv as columns_of

    fields = _named(head)
    if '"' in body or not body.strip():
        return None
    names = [str(place) for place in range(len(fields))]
    try:
        table = columns_of.read_csv(
            pa.BufferReader(body.encode()),
            read_options=columns_of.ReadOptions(column_names=names),
            parse_options=columns_of.ParseOptions(delimiter=separator, quote_char=False),
            convert_options=columns_of.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, UnicodeError):
        return None
    return _without_remarks([table[name].combine_chunks() for name in names], fields, Counter())


def _named(head: list[str]) -> list[str]:
    """Return the names of the columns without blank ones at the end."""
    fields = [field.strip() for field in head]
    while fields and not fields[-1]:
        fields.pop()
    return fields


def _without_remarks(cells: list[pa.Array], fields: list[str], left_out: Counter[str]) -> _Table:
    """Return a table without remarks, blank rows, and rows that repeat the names, which are counted."""
    import pyarrow as pa

    kept = np.ones(len(cells[0]), dtype=bool)
    for row, cell in enumerate(cells[0].to_pylist()):
        first = cell.strip()
        if first.startswith("#"):
            kept[row] = False
        elif not first or first == fields[0]:
            whole = [column[row].as_py().strip() for column in cells]
            kept[row] = any(whole) and whole != fields
            left_out["names of the columns again"] += whole == fields
    if not kept.all():
        cells = [column.filter(pa.array(kept)) for column in cells]
    columns = [_column(place, field) for place, field in enumerate(fields)]
    return _Table([column for column in columns if column.written], cells, int(kept.sum()), +left_out)


def _points(table: _Table, name: str, now_us: int, problems: list[str]) -> Points:
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
    time, senseless, zoneless = _Clock(table, name, now_us, problems).times()
    track: list[str] | None = None
    for column in table.find(TRACK)[:1]:
        track = [cell for cell, used in zip(table.of(column), placed.tolist(), strict=True) if used]
    return Points(
        lon[placed], lat[placed], altitude[placed], time[placed], track, dict(+left_out), senseless, zoneless, unread,
        problems,
    )  # fmt: skip


def _only(table: _Table, names: Sequence[str], name: str, problems: list[str]) -> _Column:
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


def _coordinates(table: _Table, column: _Column, axis: positions.Axis, name: str, problems: list[str]) -> Floats:
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


def _sides(table: _Table, column: _Column, axis: positions.Axis, problems: list[str]) -> _Column | None:
    """Return the column of the sides of a coordinate: by its name, or the next one if all its cells are sides."""
    named = [found for found in table.find(LAT_SIDE if axis == "lat" else LON_SIDE) if found.place != column.place]
    if named:
        return named[0]
    beside = [found for found in table.columns if found.place == column.place + 1 and found.base not in _KNOWN]
    for found in beside:
        said = set(table.of(found)) - {""}
        if said and all(positions.side(each, axis) is not None for each in said):
            problems.append(f"its column {found.written} was taken as the side of {column.written}")
            return found
    return None


def _altitudes(table: _Table, lat_of: _Column, problems: list[str]) -> tuple[Floats, int]:
    """Return altitudes in metres, and how many are not understood."""
    unknown = np.full(table.rows, np.nan)
    for column in table.find(ALTITUDE):
        metres = _METRES.get(column.unit)
        if metres is None:
            problems.append(f"its column {column.written} was left out: {column.unit!r} is no unit of altitudes here")
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


class _Clock:
    """The times of a table, from the columns that tell them."""

    def __init__(self, table: _Table, name: str, now_us: int, problems: list[str]) -> None:
        self._table, self._name, self._now_us, self._problems = table, name, now_us, problems
        self._nothing = np.full(table.rows, "NaT", dtype="datetime64[us]")

    def times(self) -> tuple[Times, int, int]:
        """Return the times, how many are not understood, and how many say no zone."""
        table = self._table
        weeks = self._of_weeks()
        if weeks is not None:
            return weeks, 0, 0
        columns = [column for column in table.columns if self._may_tell(column)]
        order = {name: number for number, name in enumerate((*MOMENT, *DAY))}
        columns.sort(key=lambda column: (("utc", "", "local").index(column.zone), order[column.base], column.place))
        blank = True
        for column in columns:
            cells = table.of(column)
            sample = [cell for cell in cells if cell][:50]
            if not sample:
                continue
            blank = False
            found = self._read(column, cells, sample)
            if found is not None:
                return self._with_milliseconds(found[0]), found[1], found[2]
        found = self._of_parts()
        if found is not None:
            return found
        if blank:
            self._problems.append("it has no column of times")
            return self._nothing, 0, 0
        column = next(column for column in columns if any(table.of(column)))
        raise FormatError(
            f"{self._name}: its column {column.written} is not understood as times, such as"
            f" {next(cell for cell in table.of(column) if cell)!r}",
            hint="write times as 2024-06-09T08:07:06Z, or rename the column if it has no times",
        )

    def _may_tell(self, column: _Column) -> bool:
        if column.base == "":
            return column.zone == "utc" and column.key in {"utc", "gmt", "gps_utc"}
        return column.base in MOMENT or column.base in DAY

    def _read(self, column: _Column, cells: list[str], sample: list[str]) -> tuple[Times, int, int] | None:
        """Return what a column tells; None where it has no times, or a time of day without a day."""
        are_numbers = all(_PLAIN_NUMBER.fullmatch(cell) for cell in sample)
        are_short = are_numbers and all(len(cell.partition(".")[0]) <= 6 for cell in sample)
        if are_short or any(times.clock(cell) is not None and times.read(cell) is None for cell in sample):
            # Before anything else: 034700 is a day of spreadsheets too.
            day = self._day_of(column)
            found = None if day is None else self._of_day_and_clock(day, column)
            if (
                found is not None
                or not are_short
                or any(cell[0] == "0" and cell[1:2].isdigit() for cell in cells if cell)
            ):
                return found
        found = self._of_numbers(column, cells) if are_numbers else None
        return found or self._of_texts(column, cells)

    def _day_of(self, clock: _Column) -> _Column | None:
        days = [column for column in self._table.columns if column.base in DAY and column.place != clock.place]
        days = [column for column in days if any(self._table.of(column))]
        return next((column for column in days if column.zone == clock.zone), days[0] if len(days) == 1 else None)

    def _of_texts(self, column: _Column, cells: list[str]) -> tuple[Times, int, int] | None:
        import pyarrow as pa

        time, senseless, zoneless = texts.cell_moments(pa.array([cell or None for cell in cells], pa.string()))
        strange = np.flatnonzero(np.isnat(time) & np.fromiter(map(bool, cells), bool, len(cells)))
        split = {row: match for row in strange.tolist() if (match := _DATE_AND_CLOCK.fullmatch(cells[row]))}
        if split:
            rows = np.array(list(split))
            time[rows], understood, without = self._joined(
                [match[1] for match in split.values()], [match[3] for match in split.values()]
            )
            senseless -= understood
            zoneless += without
        if senseless == len([cell for cell in cells if cell]):
            return None
        if zoneless:
            time, zoneless = self._in_utc(time, column, np.array([self._is_zoneless(cell) for cell in cells]), zoneless)
        return time, senseless, zoneless

    def _is_zoneless(self, cell: str) -> bool:
        found = times.read(cell) if cell else None
        if found is None and (match := _DATE_AND_CLOCK.fullmatch(cell)):
            found = times.clock(match[3])
        return found is not None and found.offset_s is None

    def _of_day_and_clock(self, day: _Column, clock: _Column) -> tuple[Times, int, int] | None:
        dates, clocks = self._table.of(day), self._table.of(clock)
        if all(_PLAIN_NUMBER.fullmatch(cell) for cell in clocks if cell):
            # Spreadsheets drop the zeros before 030405.
            longest = max(len(cell.partition(".")[0]) for cell in clocks)
            if longest == 6:
                clocks = [cell and "0" * (6 - len(cell.partition(".")[0])) + cell for cell in clocks]
        if not any(times.clock(cell) for cell in set(clocks) if cell):
            return None
        time, _, zoneless = self._joined(dates, clocks)
        given = np.fromiter((bool(one or other) for one, other in zip(dates, clocks, strict=True)), bool, len(dates))
        senseless = int(np.count_nonzero(np.isnat(time) & given))
        if senseless == int(given.sum()):
            return None
        if zoneless:
            without = {
                cell: (found := times.clock(cell)) is not None and found.offset_s is None for cell in set(clocks)
            }
            column = clock if clock.zone else day
            time, zoneless = self._in_utc(time, column, np.array([without[cell] for cell in clocks]), zoneless)
        return time, senseless, zoneless

    def _joined(self, dates: list[str], clocks: list[str]) -> tuple[Times, int, int]:
        """Return times of days and times of day, how many are understood, and how many of them say no zone."""
        days = self._days(dates)
        read = {cell: times.clock(cell) for cell in set(clocks)}
        time = np.full(len(dates), "NaT", dtype="datetime64[us]")
        zoneless = 0
        for row, (date_text, clock_text) in enumerate(zip(dates, clocks, strict=True)):
            day, clock = days.get(date_text), read[clock_text]
            if day is not None and clock is not None:
                time[row] = np.datetime64(times.on_day(day, clock).us, "us")
                zoneless += clock.offset_s is None
        return time, int(np.count_nonzero(~np.isnat(time))), zoneless

    def _in_utc(self, time: Times, column: _Column, without: Flags, zoneless: int) -> tuple[Times, int]:
        """Return times in UTC by the column of offsets, and how many remain that say no zone; refuse local times."""
        if column.zone == "utc":
            return time, 0
        for offsets in self._table.find(OFFSET, plain=True):
            cells = self._table.of(offsets)
            known = {cell: _offset_s(cell) for cell in set(cells)}
            strange = {cell for cell, offset in known.items() if cell and offset is None}
            if strange:
                raise FormatError(
                    f"{self._name}: its column {offsets.written} says {min(strange)!r}, which is no offset from UTC",
                    hint="write offsets as +02:00",
                )
            there = np.array([known[cell] is not None for cell in cells]) & without
            time = time.copy()
            time[there] -= np.array([known[cell] or 0 for cell in cells], dtype="timedelta64[s]")[there]
            self._problems.append(f"its column {offsets.written} was taken as the offset of {column.written} from UTC")
            without, zoneless = without & ~there, zoneless - int(np.count_nonzero(there & ~np.isnat(time)))
            break
        if zoneless and column.zone == "local":
            raise FormatError(
                f"{self._name}: its column {column.written} has local times without an offset from UTC",
                hint="add a column utc_offset, as +02:00",
            )
        return time, zoneless

    def _of_numbers(self, column: _Column, cells: list[str]) -> tuple[Times, int, int] | None:
        """Return times from numbers whose size tells what they count; None where no count gives a plausible time."""
        numbers = texts.reals([cell.replace(",", ".") for cell in cells])
        known = np.isfinite(numbers)
        middle = float(np.median(numbers[known]))
        earliest, latest = times.EARLIEST_US, self._now_us + times.DAY_US
        fit = any("semicircle" in other.unit for other in self._table.columns)
        day, since = float(times.DAY_US), FIT_EPOCH_S * 1e6 if fit else 0.0
        counts = {"s": (1e6, since), "ms": (1e3, since), "us": (1.0, since), "ns": (1e-3, since),
                  "julian": (day, -JULIAN_DAYS * day), "days": (day, -SPREADSHEET_DAYS * day)}  # fmt: skip
        if "mjd" in column.base:
            counts = {"days": (day, -MODIFIED_JULIAN_DAYS * day)}
        said = {"sec": "s", "millisecond": "ms", "milliseconds": "ms"}.get(column.unit, column.unit)
        which = next((count for count, (us, at) in counts.items() if earliest <= middle * us + at <= latest), None)
        if which is None or (said in {"s", "ms", "us", "ns"} and said != which):
            return None
        factor, at = counts[which]
        us = np.zeros(len(cells), dtype=np.int64)
        if which == "ns" and all(_WHOLE.fullmatch(cell) for cell in cells):  # beyond 2^53, where floats lose digits
            us[known] = [int(cell) // 1000 for cell in cells if cell]
        else:
            with np.errstate(invalid="ignore", over="ignore"):
                exact = numbers[known] * factor
                known[known] = np.abs(exact + at) < 2**62
                us[known] = np.round(exact[np.abs(exact + at) < 2**62]).astype(np.int64) + int(at)
        if factor == day:
            us = _whole_seconds(us, max(len(cell.replace(",", ".").partition(".")[2]) for cell in cells))
        time = np.where(known, us, np.iinfo(np.int64).min).astype("datetime64[us]")
        senseless = int(np.count_nonzero(~known & np.fromiter(map(bool, cells), bool, len(cells))))
        if which != "days" or "mjd" in column.base:
            if column.key.startswith("gps") and which in {"s", "ms"}:
                self._problems.append(f"its column {column.written} was taken as counted from 1970, in UTC")
            return time, senseless, 0
        self._problems.append(f"its column {column.written} was taken as days since 1899-12-30, as spreadsheets count")
        zoneless = int(known.sum())
        time, zoneless = self._in_utc(time, column, known, zoneless)
        return time, senseless, zoneless

    def _of_weeks(self) -> Times | None:
        """Return times of a GPS week and the seconds in it; None where there is no such pair of columns."""
        table = self._table
        for week_of in table.find(WEEK):
            for column in table.find((*TIME_OF_WEEK, *MOMENT)):
                week, of_week = texts.reals(table.of(week_of)), texts.reals(table.of(column))
                known = np.isfinite(week) & np.isfinite(of_week)
                if not known.any() or (week[known] != np.floor(week[known])).any() or of_week[known].min() < 0:
                    continue
                most = of_week[known].max()
                ms = of_week * (1000 if most < 604_801 else 1)
                if most >= 604_800_001:
                    continue
                rolled = week[known] < 1024
                now_week = (self._now_us // 1000 - texts.GPS_EPOCH_MS) // texts.WEEK_MS
                if rolled.any():
                    turns = max(int(now_week - week[known].max()) // 1024, 0)
                    week = week + 1024 * turns
                    self._problems.append(
                        f"{1024 * turns} weeks were added to its GPS weeks, which are counted modulo 1024"
                    )
                time = self._nothing.copy()
                gps_ms = np.round(week[known] * texts.WEEK_MS + ms[known]).astype(np.int64)
                time[known] = texts.gps_to_utc_ms(gps_ms).astype("datetime64[ms]")
                return time
        return None

    def _of_parts(self) -> tuple[Times, int, int] | None:
        """Return times of columns for year, month, day, hour, minute and second."""
        import pyarrow as pa

        found = [self._table.find(names, plain=True) for names in PARTS]
        if not all(found):
            return None
        columns = [self._table.of(columns[0]) for columns in found]
        joined = [
            "{}-{}-{} {:0>2}:{:0>2}:{:0>2}".format(*(part.removesuffix(".0") for part in row)) if all(row) else None
            for row in zip(*columns, strict=True)
        ]
        joined = [None if text is None else re.sub(r":(\d)\.", r":0\1.", text) for text in joined]
        time, senseless, zoneless = texts.cell_moments(pa.array(joined, pa.string()))
        time, zoneless = self._in_utc(time, found[3][0], ~np.isnat(time), zoneless)
        return time, senseless, zoneless

    def _with_milliseconds(self, time: Times) -> Times:
        """Return times with the milliseconds of a column of their own, where the times are whole seconds."""
        for column in self._table.find(MILLISECONDS, plain=True):
            ms = texts.reals(self._table.of(column))
            known = np.isfinite(ms) & ~np.isnat(time)
            whole = known.any() and not (time[known].astype(np.int64) % times.SECOND_US).any()
            if whole and ((ms[known] >= 0) & (ms[known] < 1000) & (ms[known] == np.floor(ms[known]))).all():
                time = time.copy()
                time[known] += ms[known].astype("timedelta64[ms]")
        return time

    def _days(self, cells: Sequence[str]) -> dict[str, int | None]:
        """
        Return the days since 1970 of dates; None where one is not understood.

        The order of day and month is that in which all dates of the table are days; it is refused if several are.
        """
        found: dict[str, int | None] = {"": None}
        open_texts: dict[str, tuple[int, int, int]] = {}
        orders = set(_ORDERS)
        for cell in set(cells) - {""}:
            named = _NAMED_MONTH.fullmatch(cell) or _MONTH_FIRST.fullmatch(cell)
            parts = _SLASHED.fullmatch(cell)
            if named is not None:
                found[cell] = _named_day(*named.groups())
            elif parts is not None:
                open_texts[cell] = int(parts[1]), int(parts[3]), int(parts[4])
                if parts[2] == ".":
                    orders &= {"day.month.year"}
                elif len(parts[4]) == 4:
                    orders -= {"year/month/day"}
            elif _SIX.fullmatch(cell):
                open_texts[cell] = int(cell[:2]), int(cell[2:4]), int(cell[4:])
                if {"tag", "index"} <= {column.base for column in self._table.columns}:  # Columbus writes yymmdd
                    orders &= {"year/month/day"}
            else:
                found[cell] = times.day(cell)
        if not open_texts:
            return found
        days: dict[str, list[int]] = {}
        for order in sorted(orders):
            tried = [_day(*(parts[place] for place in _ORDERS[order])) for parts in open_texts.values()]
            if None not in tried:
                days[order] = [value for value in tried if value is not None]
        earliest, latest = times.EARLIEST_US // times.DAY_US, self._now_us // times.DAY_US + 1
        likely = {order: values for order, values in days.items() if earliest <= min(values) and max(values) <= latest}
        chosen = likely or days
        if len({tuple(values) for values in chosen.values()}) > 1:
            text = min(open_texts)
            raise FormatError(
                f"{self._name}: nobody knows whether {text} is {' or '.join(sorted(chosen))}",
                hint="write dates as 2024-06-09",
            )
        for order, values in chosen.items():
            if order != "day.month.year":
                self._problems.append(f"its dates, such as {min(open_texts)}, were read as {order}")
            return found | dict(zip(open_texts, values, strict=True))
        return found | dict.fromkeys(open_texts)


def _named_day(one: str, other: str, year: str) -> int | None:
    number, month = (one, other) if one.isdigit() else (other, one)
    short = month[:3].casefold()
    return _day(int(number), _MONTHS.index(short) + 1, int(year)) if short in _MONTHS else None


def _day(day: int, month: int, year: int) -> int | None:
    if year < 100:  # as in NMEA
        year += 1900 if year >= 80 else 2000
    try:
        return (date(year, month, day) - date(1970, 1, 1)).days
    except ValueError:
        return None


def _offset_s(cell: str) -> int | None:
    """Return an offset from UTC, seconds to the east: hours, with minutes or decimals, or nothing else."""
    if _HOURS.fullmatch(cell):
        seconds = round(float(cell.replace(",", ".")) * 3600)
        return seconds if seconds % 900 == 0 and -43_200 <= seconds <= 50_400 else None
    return times.zone(cell) if _ZONE.fullmatch(cell.replace("\u2212", "-")) else None


def _whole_seconds(us: Whole, decimals: int) -> Whole:
    """Return times that were days with some decimals: the whole second where it is as near as the decimals tell."""
    near_us = times.DAY_US // 10**decimals + 1
    whole = (us + times.SECOND_US // 2) // times.SECOND_US * times.SECOND_US
    return np.where(np.abs(us - whole) <= near_us, whole, (us + 500) // 1000 * 1000)
