"""
Tables of GPS loggers as columns: which there are, by what their names say, and the cells as they stand.

The names are those of Qstarz and BT747, Columbus, GPSBabel's unicsv, GPSLogger, Garmin, DJI and Geolife, and what is
alike. OziExplorer's .plt has no names and is known by its first line (oziexplorer3.com/eng/help/fileformats.html).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats import texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

FOOT_M = 0.3048
"""The international foot (NIST SP 811, B.6)."""

LAT = ("lat", "latitude", "y")
LON = ("lon", "longitude", "lng", "long", "x")
ALTITUDE = ("altitude", "alt", "ele", "elevation", "height", "z", "altitude_msl", "alt_msl", "heightmsl", "hmsl",
            "altitude_above_sealevel", "altitude_above_sea_level")  # fmt: skip
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
FIX = ("valid", "fix", "fix_type", "fixtype", "fix_status", "fix_mode", "status")
WEEK = ("week", "week_number", "weeknumber", "wn")

_UNKNOWN_FEET = -777
"""OziExplorer's unknown altitude."""

METRES = {"": 1.0, "m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0, "msl": 1.0,
          "ft": FOOT_M, "feet": FOOT_M, "foot": FOOT_M}  # fmt: skip

_DEGREES = {"", "deg", "degree", "degrees", "dd", "wgs84", "wgs_84", "\u00b0"}

_UNITS = METRES.keys() | _DEGREES | {
    "utc", "gmt", "local", "s", "sec", "ms", "us", "ns", "semicircles", "millisecond", "milliseconds", "rad", "km",
}  # fmt: skip

_ZONES = {"utc": "utc", "gmt": "utc", "gps": "utc", "gnss": "utc", "local": "local", "lt": "local", "loc": "local"}

_SEPARATORS = ",;\t|"

_HEADER_LINES = 60
"""Lines among which the names of the columns are looked for."""

_BRACKETS = re.compile(r"^(.*?)\s*[(\[]([^)\]]*)[)\]]\s*$")

_FUSED = re.compile(r"^(utc|gps|gmt|local)(time|date|datetime|timestamp)$")

_PREFIX = re.compile(r"^(?:gps|gnss|osd|custom|location|loc|position|pos|geo|point|trackpoint|record)_?(?=[a-z])")


def is_plt(start: bytes) -> bool:
    """Return whether a file is OziExplorer's or Geolife's table without names, by its first bytes."""
    return start.startswith((b"Geolife trajectory", b"OziExplorer Track Point File"))


class Column(NamedTuple):
    """A column as its head names it: its name without unit and words for a zone, and the name as it stands."""

    place: int
    base: str
    unit: str
    zone: str  # "utc", "local", or "" where none is named
    written: str
    key: str


class Table(NamedTuple):
    """A table: the columns that have a name, and their cells as they stand."""

    columns: list[Column]
    cells: Sequence[pa.Array]
    rows: int
    left_out: Counter[str]

    def find(self, names: Sequence[str], *, plain: bool = False) -> list[Column]:
        """Return the columns of these names, in the order of the names; before them those of exactly such a name."""
        exact = [column for name in names for column in self.columns if column.key == name]
        loose = [column for name in names for column in self.columns if name and column.base == name]
        return list(dict.fromkeys(exact if plain else exact + loose))

    def of(self, column: Column) -> list[str]:
        """Return the cells of a column, without spaces around them."""
        return [cell.strip() for cell in self.cells[column.place].to_pylist()] if self.rows else []


def text_of(content: bytes, problems: list[str]) -> str:
    """Return the text of a file; say so in `problems` where its letters may be wrong."""
    encoding = texts.encoding_of(content[: 1 << 16])
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if error.start >= len(content) - 4:  # cut off within a letter
            return content[: error.start].decode(encoding).removeprefix("\ufeff")
    problems.append("its text is not UTF-8 and was read as Latin-1")
    return content.decode("latin-1")


def _column(place: int, field: str) -> Column:
    written = field.strip().strip('"').lstrip("#").strip()
    bracketed = _BRACKETS.match(written.casefold())
    name, unit = (bracketed[1], bracketed[2].strip()) if bracketed else (written.casefold(), "")
    key = re.sub(r"[^a-z0-9]+", "_", name).strip("_")
    words = _FUSED.sub(r"\1_\2", key).split("_")
    if not unit and key not in KNOWN and len(words) > 1 and words[-1] in _UNITS - {"msl", "utc", "gmt", "local"}:
        unit = words.pop()
    zone = next((_ZONES[word] for word in (*words, unit) if word in _ZONES), "")
    base = "_".join(word for word in words if word not in _ZONES)
    stripped = _PREFIX.sub("", _PREFIX.sub("", base))
    return Column(place, stripped if stripped in KNOWN else base, unit, zone, written, key)


KNOWN = {*LAT, *LON, *ALTITUDE, *MOMENT, *DAY, *WEEK, *LAT_SIDE, *LON_SIDE, *FIX}


def plt_table(text: str) -> Table | None:
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
    return Table([column for column in columns if column.base], arrays, len(whole), +left_out)


def named_table(text: str, name: str, problems: list[str]) -> Table:
    """Return a table whose columns have names; raise FormatError if none are a longitude and a latitude."""
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
    noun = "columns" if len(missing) > 1 else "column"
    raise FormatError(
        f"{name} has no {noun} {' and '.join(missing)} (it has {', '.join(names[:8])})",
        hint="name the columns lon, lat, time and altitude",
    )


def _rows(reader: Iterable[list[str]], head: list[str]) -> Table:
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


def _plain_rows(body: str, separator: str, head: list[str]) -> Table | None:
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


def _without_remarks(cells: list[pa.Array], fields: list[str], left_out: Counter[str]) -> Table:
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
    return Table([column for column in columns if column.written], cells, int(kept.sum()), +left_out)
