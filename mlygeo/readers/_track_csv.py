"""
Tables with a track -> points: columns of longitude, latitude and time, found by their names.

Separators are commas, semicolons or tabs; times ISO 8601, EXIF's form, or numbers since 1970.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.formats.texts import moments, reals

if TYPE_CHECKING:
    import numpy.typing as npt

NAMES = {
    "lon": ("lon", "longitude", "lng", "long", "x"),
    "lat": ("lat", "latitude", "y"),
    "time": ("time", "timestamp", "datetime", "date_time", "captured_at", "utc", "gpstime", "gps_time", "t"),
    "altitude": ("altitude", "alt", "ele", "elevation", "height", "z"),
    "track_id": ("track_id", "trajectory_id", "trackid", "track", "sequence_id", "segment"),
}
"""Names that a column may have, whatever its case; the first of them counts."""

# The unit of a number since 1970 follows from its size: these are the year 2286 in each.
_UNITS = ((1e10, 1_000_000), (1e13, 1_000), (1e16, 1))


class Rows(NamedTuple):
    """The rows of a table that have a position."""

    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    altitude: npt.NDArray[np.float64]
    time: npt.NDArray[np.datetime64]
    track: list[str] | None
    problems: list[str]


def decode(text: bytes, name: str) -> Rows:
    """
    Decode a table with a track.

    Parameters
    ----------
    text
        The file.
    name
        What it is called in messages.

    Returns
    -------
    rows
        In the order of the table; `track` is None where no column names the tracks.

    Raises
    ------
    FormatError
        If this is no table, or one without longitude and latitude.
    """
    import pyarrow as pa
    from pyarrow import csv

    text = text.removeprefix(b"\xef\xbb\xbf")
    header = text.partition(b"\n")[0]
    separator = max(b",;\t", key=lambda byte: header.count(bytes([byte])))
    try:
        names = [field.strip().strip('"') for field in header.decode().strip().split(chr(separator))]
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(column_names=[str(number) for number in range(len(names))], skip_rows=1),
            parse_options=csv.ParseOptions(delimiter=chr(separator)),
            convert_options=csv.ConvertOptions(
                column_types={str(number): pa.string() for number in range(len(names))}, strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise FormatError(f"{name} is no table: {error}") from error
    places = {field.lower(): str(number) for number, field in reversed(list(enumerate(names)))}
    found = {
        what: next((places[candidate] for candidate in candidates if candidate in places), None)
        for what, candidates in NAMES.items()
    }
    missing = [what for what in ("lon", "lat") if found[what] is None]
    if missing:
        raise FormatError(
            f"{name} has no column {' and '.join(missing)} (it has {', '.join(names[:8])})",
            hint="name the columns lon, lat, time and altitude",
        )
    columns = {
        what: [value.strip() for value in table[place].to_pylist()]
        for what, place in found.items()
        if place is not None
    }
    if separator == ord(";"):
        for what in {"lon", "lat", "altitude"} & columns.keys():
            columns[what] = [value.replace(",", ".") for value in columns[what]]
    return _rows(columns, len(table))


def _rows(columns: dict[str, list[str]], count: int) -> Rows:
    lon, lat = reals(columns["lon"]), reals(columns["lat"])
    altitude = reals(columns["altitude"]) if "altitude" in columns else np.full(count, np.nan)
    time, senseless = _times(columns["time"]) if "time" in columns else (np.full(count, "NaT", "datetime64[us]"), 0)
    problems = [f"{senseless:,} rows have a time that is none"] if senseless else []
    placed = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    if not placed.all():
        problems.append(f"{int((~placed).sum()):,} rows without a position were left out")
    track: Any = None
    if "track_id" in columns:
        track = np.array(columns["track_id"], dtype=object)[placed].tolist()
    return Rows(lon[placed], lat[placed], altitude[placed], time[placed], track, problems)


def _times(texts: list[str]) -> tuple[npt.NDArray[np.datetime64], int]:
    numbers = reals(texts)
    given = np.isfinite(numbers)
    if not given.any():
        return moments(texts)
    times = np.full(len(texts), "NaT", dtype="datetime64[us]")
    largest = float(np.abs(numbers[given]).max())
    factor = next((factor for limit, factor in _UNITS if largest < limit), None)
    # Whole numbers of microseconds are exact in float64 up to the year 2255; nanoseconds are not.
    micro = numbers[given] * factor if factor is not None else numbers[given] / 1000
    with np.errstate(invalid="ignore"):
        times[given] = np.where(np.abs(micro) < 2**62, np.round(micro), np.nan).astype("int64").astype("datetime64[us]")
    senseless = int((~given & np.fromiter(map(bool, texts), bool, len(texts))).sum())
    return times, senseless
