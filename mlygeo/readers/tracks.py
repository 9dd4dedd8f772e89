"""
Tracks of GPS loggers -> tracks frame: GPX, NMEA and tables; and tracks frames -> GPX.

The columns of a table are found by their names. Separators are commas, semicolons or tabs; times ISO 8601,
EXIF's form, or numbers since 1970.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from mlygeo import frames, store
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.formats import gpx, nmea
from mlygeo.formats.texts import moments, reals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import geopandas as gpd
    import numpy.typing as npt
    import pyarrow as pa

    from mlygeo.arrays import Floats, Times

log = logging.getLogger("mlygeo.readers.tracks")

Format = Literal["gpx", "nmea", "csv"]
"""Formats of logs."""

LARGEST_LOG = 2 << 30
"""Most bytes of a decompressed NMEA log or table; larger ones are decompression bombs, not tracks."""

_SNIFFED = 1 << 16

_GZIP = b"\x1f\x8b"

NAMES = {
    "lon": ("lon", "longitude", "lng", "long", "x"),
    "lat": ("lat", "latitude", "y"),
    "time": ("time", "timestamp", "datetime", "date_time", "captured_at", "utc", "gpstime", "gps_time", "t"),
    "altitude": ("altitude", "alt", "ele", "elevation", "height", "z"),
    "track_id": ("track_id", "trajectory_id", "trackid", "track", "sequence_id", "segment"),
}
"""Possible names of a column, in upper or lower case; the first one found is used."""

# The unit of a number since 1970 follows from its size: these are the year 2286 in each unit.
_UNITS = ((1e10, 1_000_000), (1e13, 1_000), (1e16, 1))


def read_track(
    path: str | os.PathLike[str],
    *,
    format: Literal["auto"] | Format = "auto",  # noqa: A002 - the word of the command line
    points: Literal["auto", "tracks", "routes", "waypoints", "all"] = "auto",
    date: str | date | None = None,
) -> gpd.GeoDataFrame:
    """
    Read a track into a tracks frame: GPX, NMEA, or a table (CSV); each plain or gzip.

    Times without a zone are UTC. A file with a damaged end is read up to the damage. `attrs["problems"]`
    and the log say what was left out, and why. Nothing is interpolated or filtered.

    Parameters
    ----------
    path
        The file.
    format
        Format of the file. "auto" detects it from the content; "gpx", "nmea" and "csv" set it.
    points
        Which points of a GPX file to read. "auto" reads those of its tracks, or of its routes where there are
        no tracks, or the way points where there is neither; "tracks", "routes", "waypoints" read only those;
        "all" reads all. A track is recorded while moving; way points and routes often are not.
    date
        The day of the first sentence of an NMEA log without a date (only GGA).

    Returns
    -------
    tracks
        Tracks frame (`frames.TRACKS`), EPSG:4326: `track_id` (str), `time` (datetime64[us, UTC], NaT when
        unknown), `altitude` (float64, metres, NaN when unknown), `kind` (str: track, route or waypoint).
        Rows of GPX and tables are in the order of the file, those of NMEA in the order of time. A track's
        id is its name or number; each segment of a track becomes a separate track. In NMEA and tables the
        id is the file's name, or the value of the column `track_id`.

    Raises
    ------
    FileError
        If the file cannot be read.
    FormatError
        If the file is not a track, or is a GPX file that declares entities.
    InputError
        If an option is invalid.

    Examples
    --------
    >>> read_track("ride.gpx")[["track_id", "time", "altitude"]]
    """
    path = Path(path).expanduser()
    if format not in ("auto", *get_args(Format)):
        raise InputError(f"there is no format {format!r}", hint=f"one of auto, {', '.join(get_args(Format))}")
    if points not in ("auto", "tracks", "routes", "waypoints", "all"):
        raise InputError(f"there are no points {points!r}", hint="one of auto, tracks, routes, waypoints, all")
    day = _day(date)
    try:
        kind = _kind(path) if format == "auto" else format
        if kind == "gpx":
            tracks, problems = _from_gpx(path, points)
        elif kind == "nmea":
            tracks, problems = _from_nmea(path, day)
        else:
            tracks, problems = _from_csv(path)
    except FileError:
        raise
    except EOFError as error:
        raise FormatError(f"{path.name} is cut off: its gzip ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path.name}: its gzip is broken ({error})") from error
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror or error}") from error
    tracks.attrs["problems"] = problems
    for problem in problems:
        log.warning("%s: %s", path.name, problem)
    log.info("%s points in %d tracks from %s", f"{len(tracks):,}", tracks["track_id"].nunique(), path.name)
    return tracks


def write_track(tracks: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> Path:
    """
    Write a tracks frame as GPX 1.1.

    Coordinates, elevations and times are written in full, so that reading the file gives the same frame.

    Parameters
    ----------
    tracks
        Tracks frame. Each `track_id` becomes a track of one segment, in the order of the rows; `kind`, if
        there is one, makes routes and way points of the others. Rows without a position are left out.
    path
        The file, `.gpx` or `.gpx.gz`. It is written atomically.

    Returns
    -------
    path
        The file.

    Raises
    ------
    FrameError
        If this is not a tracks frame.
    FormatError
        If the path has another ending.
    FileError
        If it cannot be written.

    Examples
    --------
    >>> write_track(tracks, "ride.gpx")
    """
    tracks = frames.check(tracks, frames.TRACKS)
    path = Path(path).expanduser()
    if not path.name.lower().endswith((".gpx", ".gpx.gz")):
        raise FormatError(
            f"{path.name}: tracks are written as .gpx or .gpx.gz", hint="write_frame writes other formats"
        )
    text = _gpx_text(tracks).encode()
    with store.atomic(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix.lower() == ".gz" else text)
    log.info("wrote %s points to %s", f"{len(tracks):,}", path.name)
    return path


def _day(date: str | date | None) -> np.datetime64 | None:
    if date is None:
        return None
    try:
        return np.datetime64(str(date)[:10], "D")
    except ValueError as error:
        raise InputError(f"`date` {date!r} is not a day", hint="write it as 2024-06-30") from error


def _open(path: Path) -> io.BufferedIOBase:
    """Open a file, and decompress it if it is gzip, whatever its name."""
    file = path.open("rb")
    if file.read(2) == _GZIP:
        file.close()
        return gzip.GzipFile(path, "rb")
    file.seek(0)
    return file


def _kind(path: Path) -> Format:
    """Return the format of a file, from its first bytes."""
    with _open(path) as file:
        start = file.read1(_SNIFFED)
    if not start.strip():
        raise FormatError(f"{path.name} is empty")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith((b"<", b"\xff\xfe", b"\xfe\xff")) or _stem_and_ending(path)[1] == ".gpx":
        return "gpx"
    if nmea.SNIFF.search(start):
        return "nmea"
    if b"\0" in start:
        raise FormatError(f"{path.name} is neither GPX, nor NMEA, nor a table")
    return "csv"


def _read_whole(path: Path) -> tuple[bytes, list[str]]:
    """Return the content of a file, as far as its gzip is undamaged."""
    content = io.BytesIO()
    with _open(path) as file:
        try:
            while block := file.read1(1 << 20):
                content.write(block)
                if content.tell() > LARGEST_LOG:
                    raise FormatError(f"{path.name} holds more than {LARGEST_LOG >> 30} GiB")
        except (EOFError, zlib.error) as error:
            if not content.tell():
                raise
            return content.getvalue(), [f"its gzip is damaged ({error}); what comes before was kept"]
    return content.getvalue(), []


def _from_gpx(path: Path, points: str) -> tuple[gpd.GeoDataFrame, list[str]]:
    read = gpx.read(lambda: _open(path), path.name)
    kind = np.array([segment.kind for segment in read.segments], dtype=np.int64)[read.segment]
    if points == "auto":
        wanted = kind == (kind.min() if len(kind) else 0)
    else:
        wanted = np.isin(kind, {"tracks": [0], "routes": [1], "waypoints": [2], "all": [0, 1, 2]}[points])
    tracks = _frame(
        _repeated(_track_ids(read.segments), read.segment[wanted]),
        read.time[wanted], read.altitude[wanted], read.lon[wanted], read.lat[wanted],
        kind=_repeated(gpx.KINDS, kind[wanted]),
    )  # fmt: skip
    return tracks, read.problems


def _track_ids(segments: list[gpx.Segment]) -> list[str]:
    """Return a unique id for each segment: the name of its track, or a number."""
    parents: dict[tuple[int, int], int] = {}
    for segment in segments:
        parents[segment.kind, segment.parent] = parents.get((segment.kind, segment.parent), 0) + 1
    ordinals: dict[tuple[int, int], int] = {}
    parts: dict[tuple[int, int], int] = {}
    taken: set[str] = set()
    ids = []
    for segment in segments:
        key = segment.kind, segment.parent
        number = ordinals.setdefault(key, sum(kind == segment.kind for kind, _ in ordinals) + 1)
        parts[key] = parts.get(key, 0) + 1
        plain = "waypoints" if segment.kind == 2 else f"{gpx.KINDS[segment.kind]} {number}"
        base = segment.name or plain
        name = f"{base} / {parts[key]}" if parents[key] > 1 else base
        again = 2
        while name in taken:
            name = f"{base} ({again})" if parents[key] == 1 else f"{base} / {parts[key]} ({again})"
            again += 1
        taken.add(name)
        ids.append(name)
    return ids


def _from_nmea(path: Path, day: np.datetime64 | None) -> tuple[gpd.GeoDataFrame, list[str]]:
    text, problems = _read_whole(path)
    fixes = nmea.decode(text, date=day)
    if not len(fixes.lon) and not nmea.SNIFF.search(text):
        raise FormatError(f"{path.name} holds no NMEA sentences")
    names = _repeated([_stem(path)], np.zeros(len(fixes.lon), dtype=np.int32))
    return _frame(names, fixes.time, fixes.altitude, fixes.lon, fixes.lat), problems + fixes.problems


def _from_csv(path: Path) -> tuple[gpd.GeoDataFrame, list[str]]:
    text, problems = _read_whole(path)
    rows = _decode(text, path.name)
    names = rows.track if rows.track is not None else _repeated([_stem(path)], np.zeros(len(rows.lon), dtype=np.int32))
    return _frame(names, rows.time, rows.altitude, rows.lon, rows.lat), problems + rows.problems


def _stem(path: Path) -> str:
    return os.fsencode(_stem_and_ending(path)[0]).decode("utf-8", "backslashreplace")


def _stem_and_ending(path: Path) -> tuple[str, str]:
    """Return a file's name without its endings, and the ending of its format."""
    name = Path(path.stem) if path.suffix.lower() == ".gz" else Path(path.name)
    return name.stem, name.suffix.lower()


def _repeated(names: Sequence[str], numbers: npt.NDArray[Any]) -> pa.Array:
    """Return a name for each of the numbers, without a Python object for each row."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(
        pa.array(numbers, pa.int32()), pa.array(names, pa.string())
    ).dictionary_decode()


def _frame(track_id: Any, time: Any, altitude: Any, lon: Any, lat: Any, *, kind: Any = None) -> gpd.GeoDataFrame:
    import pyarrow as pa

    if kind is None:
        kind = _repeated(["track"], np.zeros(len(lon), dtype=np.int32))
    table = pa.table({
        "track_id": pa.array(track_id, pa.string()),
        "time": pa.array(time.astype("datetime64[us]")).cast(pa.timestamp("us", tz="UTC")),
        "altitude": pa.array(altitude), "kind": kind, "lon": pa.array(lon), "lat": pa.array(lat),
    })  # fmt: skip
    return frames.from_arrow(table, frames.TRACKS)


def _gpx_text(tracks: gpd.GeoDataFrame) -> str:
    lon, lat = frames.lonlat(tracks)
    placed = np.isfinite(lon) & np.isfinite(lat)
    kind = tracks["kind"].to_numpy(dtype=object) if "kind" in tracks.columns else np.full(len(tracks), "track", object)
    inner = _elements(tracks)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             '<gpx version="1.1" creator="mlygeo" xmlns="http://www.topografix.com/GPX/1/1">']  # fmt: skip
    # The schema requires way points first, then routes, then tracks.
    lines += [_point("wpt", lon, lat, inner, row) for row in np.flatnonzero(placed & (kind == "waypoint")).tolist()]
    for what, outer, point in (("route", "rte", "rtept"), ("track", "trk", "trkpt")):
        rows = np.flatnonzero(placed & ((kind == what) if what == "route" else ~np.isin(kind, ["route", "waypoint"])))
        if not len(rows):
            continue
        names = tracks["track_id"].to_numpy(dtype=object)[rows]
        starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
        segment = outer == "trk"
        for start, stop in zip(starts, np.r_[starts[1:], len(rows)], strict=True):
            lines.append(f"<{outer}>{_name(names[start])}{'<trkseg>' if segment else ''}")
            # Text is made row by row: no vectorised function writes numbers with all digits.
            lines += [_point(point, lon, lat, inner, row) for row in rows[start:stop].tolist()]
            lines.append(f"{'</trkseg>' if segment else ''}</{outer}>")
    return "\n".join([*lines, "</gpx>", ""])


def _point(element: str, lon: Any, lat: Any, inner: list[str], row: int) -> str:
    return f'<{element} lat="{float(lat[row])!r}" lon="{float(lon[row])!r}">{inner[row]}</{element}>'


def _elements(tracks: gpd.GeoDataFrame) -> list[str]:
    """Return elevation and time of each row as elements, in the schema's order."""
    altitude = tracks["altitude"].to_numpy()
    ele = [
        f"<ele>{float(value)!r}</ele>" if known else ""
        for value, known in zip(altitude, np.isfinite(altitude), strict=True)
    ]
    moments = tracks["time"].dt.tz_localize(None).to_numpy()
    whole = moments.astype("datetime64[s]")
    texts = np.datetime_as_string(moments, unit="s" if (whole == moments)[~np.isnat(moments)].all() else "us")
    time = [f"<time>{text}Z</time>" if text != "NaT" else "" for text in texts.tolist()]
    return [height + moment for height, moment in zip(ele, time, strict=True)]


def _name(track_id: object) -> str:
    from xml.sax.saxutils import escape

    if not isinstance(track_id, str):
        return ""
    # XML cannot hold control characters at all.
    return f"<name>{escape(''.join(letter if letter.isprintable() else ' ' for letter in track_id))}</name>"


def _decode(text: bytes, name: str) -> Rows:
    """
    Decode a table with a track.

    Parameters
    ----------
    text
        The file.
    name
        Its name in messages.

    Returns
    -------
    rows
        In the order of the table; `track` is None where no column names the tracks.

    Raises
    ------
    FormatError
        If this is not a table, or has no longitude and latitude.
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


def _times(texts: list[str]) -> tuple[Times, int]:
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


# Tables.


class Rows(NamedTuple):
    """The rows of a table that have a position."""

    lon: Floats
    lat: Floats
    altitude: Floats
    time: Times
    track: list[str] | None
    problems: list[str]
