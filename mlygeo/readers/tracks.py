"""
Tracks of GPS loggers -> tracks frame: GPX, NMEA and tables; and tracks frames -> GPX.

What is not a position, and times that a receiver cannot have meant, are left out here for all formats, and counted.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
import time as clock
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

import numpy as np

from mlygeo import frames, periods, plausible, store
from mlygeo.errors import FileError, FormatError, InputError, OutputError, unreadable
from mlygeo.formats import exif, gpx, nmea, positions, tables, texts
from mlygeo.progress import counted, working
from mlygeo.spatial import geodesy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    import geopandas as gpd
    import numpy.typing as npt
    import pyarrow as pa

    from mlygeo.arrays import Flags, Floats, Times, Whole

log = logging.getLogger("mlygeo.readers.tracks")

Format = Literal["gpx", "nmea", "csv"]
"""Formats of logs."""

LARGEST_LOG = 2 << 30
"""Most bytes of a decompressed NMEA log or table; larger ones are decompression bombs, not tracks."""

_SNIFFED = 1 << 16

_GZIP = b"\x1f\x8b"

_RECORD = '<record xmlns="https://pypi.org/project/mlygeo/">'
"""Element of GPX with what made the frame, JSON."""

_MOST_METADATA = 1 << 20
"""Bytes at the beginning of a file in which that element is looked for."""

_DEFAULT_DATE_SHARE = 0.1
"""More of a recording than this was not written with a receiver's default date."""

_DEFAULT_DATE_POINTS = 60
"""A minute of a logger without a fix may be more than that of a short recording."""

_FASTEST_M_S, _LEAP_M = 350, 1000
"""Nothing that carries a camera flies faster; shorter leaps are the scatter of a receiver."""

_LONE_POINTS = 3
"""Points of tracks of their own that may be written with a default date."""

_SAID = {
    "without a position": ("point", "left out: without a position"),
    "out of range": ("point", "left out: out of range, beyond 90° or 180°"),
    "(0, 0)": ("point", "left out: at (0, 0), which means no fix"),
    "position not understood": ("point", "left out: coordinates not understood"),
    "without a fix": ("moment", "left out: without a fix"),
    "simulated": ("moment", "left out: with a simulated position"),
    "stray time": ("point", "left out: years away from the others, a receiver's default date"),
    "time not understood": ("time", "not understood"),
    "altitude not understood": ("altitude", "not understood"),
    "impossible altitude": ("altitude", "left out: below the deepest sea or above the air"),
    "row of another length": ("row", "left out: with more or fewer cells than columns"),
    "names of the columns again": ("row", "left out: the names of the columns again"),
    "wrong checksum": ("sentence", "left out: with a wrong checksum"),
    "proprietary position": ("proprietary sentence", "with a position not read"),
}
"""Reasons of `left_out` -> what is counted, and what the log says of them."""


@working("reading tracks")
def read_track(
    path: str | os.PathLike[str],
    *,
    format: Literal["auto"] | Format = "auto",  # noqa: A002 - the word of the command line
    points: Literal["auto", "tracks", "routes", "waypoints", "all"] = "auto",
    date: str | date | None = None,
) -> gpd.GeoDataFrame:
    """
    Read a track into a tracks frame: GPX, NMEA, or a table (CSV); each plain or gzip.

    Invalid points are left out: points without a fix, (0, 0), coordinates out of range, and times years away from the
    others of their recording, which are default dates of receivers. Times without a zone are taken as UTC. Times
    before 1995, which come from a rollover of the GPS week number, are moved by 1,024 weeks. A file with a damaged
    end is read up to the damage. Nothing is interpolated or filtered; times that go back, jumps and unusual altitudes
    are reported. `attrs["left_out"]` counts the points left out by reason; `attrs["problems"]` and the log have these
    and all doubts.

    In tables the columns are found by their names, those of the usual loggers; times may be ISO 8601, a date and a
    time of day in two columns, numbers since 1970, or days as spreadsheets count them; the hemisphere of a coordinate
    may be in a separate column. A column that is not understood is an error.

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
        If the file is not a track, is a GPX file that declares entities, or a table with a column that is not
        understood: an unknown side, times in an unknown format, or dates with ambiguous day and month.
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
        now_us = clock.time_ns() // 1000
        if kind == "gpx":
            read = _from_gpx(path, points)
        elif kind == "nmea":
            read = _from_nmea(path, day, now_us)
        else:
            read = _from_csv(path, now_us)
    except FileError:
        raise
    except EOFError as error:
        raise FormatError(f"{path.name} is cut off: its gzip ends too early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FormatError(f"{path.name}: its gzip is broken ({error})") from error
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    tracks, problems, left_out = _sound(read, now_us, may_be_behind=kind != "nmea")
    if kind == "gpx" and (record := _record_in(path)) is not None:
        tracks.attrs["record"] = record
    tracks.attrs["problems"] = problems
    tracks.attrs["left_out"] = left_out
    for problem in problems:
        log.warning("%s: %s", path.name, problem)
    log.info("%s points in %d tracks from %s", f"{len(tracks):,}", tracks["track_id"].nunique(), path.name)
    return tracks


def write_track(tracks: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> Path:
    """
    Write a tracks frame as GPX 1.1.

    Coordinates, elevations and times are written in full, so that reading the file gives the same frame.
    `attrs["record"]` is written as an extension of the metadata, which other programs ignore.

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
        raise OutputError(
            f"{path.name}: tracks are written as .gpx or .gpx.gz", hint="write_frame writes other formats"
        )
    text = _gpx_text(tracks).encode()
    with store.atomic(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if path.suffix.lower() == ".gz" else text)
    log.info("wrote %s to %s", counted(len(tracks), "point"), path.name)
    return path


def _day(date: str | date | None) -> np.datetime64 | None:
    return None if date is None else np.datetime64(periods.day(date, "date"), "D")


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
    plain = _ascii(start)
    if plain.lstrip(b"? \t\r\n").startswith(b"<") or _stem_and_ending(path)[1] == ".gpx":
        return "gpx"
    if nmea.SNIFF.search(plain):
        return "nmea"
    if b"\0" in plain:
        raise FormatError(f"{path.name} is neither GPX, nor NMEA, nor a table")
    return "csv"


def _ascii(content: bytes) -> bytes:
    """Return a text in UTF-16 or UTF-32 as ASCII, and any other as it stands, without a byte order mark."""
    encoding = texts.encoding_of(content[:_SNIFFED])
    if encoding.startswith(("utf-16", "utf-32")):
        return content.decode(encoding, "replace").encode("ascii", "replace")
    return content.removeprefix(b"\xef\xbb\xbf")


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


class _Points(Protocol):
    """What a format gives: columns of its points."""

    @property
    def time(self) -> Times: ...
    @property
    def altitude(self) -> Floats: ...
    @property
    def lon(self) -> Floats: ...
    @property
    def lat(self) -> Floats: ...


class _Read(NamedTuple):
    """A log as it was read: columns of its points, the number of each one's recording, and what was left out."""

    track_id: Any
    time: Times
    altitude: Any
    lon: Any
    lat: Any
    kind: Any
    recording: Whole
    left_out: dict[str, int]
    zoneless: int
    problems: list[str]


def _sound(read: _Read, now_us: int, *, may_be_behind: bool) -> tuple[gpd.GeoDataFrame, list[str], dict[str, int]]:
    """Return a frame of the points whose times a receiver can have meant, what is in doubt, and what was left out."""
    problems, left_out, time = list(read.problems), dict(read.left_out), read.time
    stray = _stray(time, read.recording, now_us)
    if stray.any():
        left_out["stray time"] = int(stray.sum())
        time = time[~stray]
    if may_be_behind:
        time, doubt = texts.rolled_over(time, now_us)
        problems += [] if doubt is None else [doubt]
    if wrong := int(texts.implausible(time, now_us).sum()):
        problems.append(f"{_counted(wrong, 'time')} before 1995 or in the future")
    problems += _unsteady(read, time, None if not stray.any() else ~stray)
    altitude = np.asarray(read.altitude)
    impossible = plausible.ALTITUDE.beyond(altitude)
    if impossible.any():
        left_out["impossible altitude"] = int(impossible.sum())
        altitude = np.where(impossible, np.nan, altitude)
        read = read._replace(altitude=altitude)
    if unusual := int(((altitude < exif.USUAL_M[0]) | (altitude > exif.USUAL_M[1])).sum()):
        problems.append(f"{_counted(unusual, 'altitude')} of a depth or height that is unusual")
    if read.zoneless:
        problems.append(f"{_counted(read.zoneless, 'time')} without a time zone, taken as UTC")
    left_out = {reason: count for reason, count in left_out.items() if count}
    said = [f"{_counted(count, _SAID[reason][0])} {_SAID[reason][1]}" for reason, count in left_out.items()]
    kept = None if not stray.any() else ~stray
    return _frame(read._replace(time=time), kept), said + problems, left_out


def _unsteady(read: _Read, time: Times, kept: Flags | None) -> list[str]:
    """Say where the points of a recording are not in order, or leap. Way points are in no order."""
    import pyarrow.compute as pc

    moving = pc.not_equal(read.kind, "waypoint").to_numpy(zero_copy_only=False)
    lon, lat = (column if kept is None else column[kept] for column in (read.lon, read.lat))
    recording, moving = (column if kept is None else column[kept] for column in (read.recording, moving))
    rows = np.flatnonzero(~np.isnat(time) & moving)
    problems = []
    step_us, same = np.diff(time[rows]).astype("int64"), np.diff(recording[rows]) == 0
    back = same & (step_us < 0)
    if back.any():
        # Tables that begin with the newest point are in order, too.
        mixed = np.isin(recording[rows[1:]], np.unique(recording[rows[1:]][same & (step_us > 0)]))
        if count := int((back & mixed).sum()):
            problems.append(f"{_counted(count, 'time')} earlier than that of the point before")
    if back.any() or (np.diff(recording[rows]) < 0).any():
        rows = rows[np.lexsort((time[rows], recording[rows]))]
        step_us, same = np.diff(time[rows]).astype("int64"), np.diff(recording[rows]) == 0
    # A degree is at most 111.7 km, so that of nearly all steps this tells that they are no leap.
    degrees = np.abs(np.diff(lon[rows])) + np.abs(np.diff(lat[rows]))
    steps = np.flatnonzero(same & (degrees > _LEAP_M / 111_700))
    at, to = rows[steps], rows[steps + 1]
    far_m = geodesy.lengths(lon[at], lat[at], lon[to], lat[to])
    if count := int(((far_m > _LEAP_M) & (far_m > _FASTEST_M_S * step_us[steps] / 1e6)).sum()):
        problems.append(f"{_counted(count, 'leap')} between points at over {_FASTEST_M_S} m/s")
    return problems


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _stray(time: Times, recording: Whole, now_us: int) -> Flags:
    """Return which times are default dates: years from the others of the recording, or impossible unlike others."""
    stray = texts.stray(time, recording, share=_DEFAULT_DATE_SHARE, few=_DEFAULT_DATE_POINTS)
    known = ~np.isnat(time)
    count = int(np.count_nonzero(known))
    if count:
        # Some loggers begin a new track once they have a fix; the points before are a track of their own.
        stray |= texts.stray(time, share=min(_DEFAULT_DATE_SHARE, _LONE_POINTS / count))
    impossible = texts.implausible(time, now_us)
    if impossible.any() and (known & ~impossible).any():
        stray |= impossible
    return stray


def _from_gpx(path: Path, points: str) -> _Read:
    read = gpx.read(lambda: _open(path), path.name)
    kind = np.array([segment.kind for segment in read.segments], dtype=np.int64)[read.segment]
    if points == "auto":
        wanted = kind == (kind.min() if len(kind) else 0)
    else:
        wanted = np.isin(kind, {"tracks": [0], "routes": [1], "waypoints": [2], "all": [0, 1, 2]}[points])
    left_out = read.left_out | {"time not understood": read.senseless, "altitude not understood": read.unread}
    return _Read(
        _repeated(_track_ids(read.segments), read.segment[wanted]),
        read.time[wanted], read.altitude[wanted], read.lon[wanted], read.lat[wanted],
        _repeated(gpx.KINDS, kind[wanted]), read.segment[wanted], left_out, read.zoneless, read.problems,
    )  # fmt: skip


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


def _from_nmea(path: Path, day: np.datetime64 | None, now_us: int) -> _Read:
    content, problems = _read_whole(path)
    text = _ascii(content)
    fixes = nmea.decode(text, date=day, now_us=now_us)
    if not len(fixes.lon) and not nmea.SNIFF.search(text):
        raise FormatError(f"{path.name} contains no NMEA sentences")
    return _one_track(path, fixes, left_out=fixes.left_out, problems=problems + fixes.problems)


def _from_csv(path: Path, now_us: int) -> _Read:
    text, problems = _read_whole(path)
    rows = tables.decode(text, path.name, now_us=now_us)
    left_out = rows.left_out | {"time not understood": rows.senseless, "altitude not understood": rows.unread}
    problems += rows.problems
    return _one_track(path, rows, track=rows.track, left_out=left_out, zoneless=rows.zoneless, problems=problems)


def _one_track(
    path: Path,
    points: _Points,
    *,
    left_out: dict[str, int],
    problems: list[str],
    zoneless: int = 0,
    track: list[str] | None = None,
) -> _Read:
    """Return the points of a file as one track of its name, or as the tracks that they name."""
    import pandas as pd

    placed, unplaced = positions.possible(points.lon, points.lat)
    time = points.time[placed]
    altitude, lon, lat = (column[placed] for column in (points.altitude, points.lon, points.lat))
    recording = np.zeros(len(lon), dtype=np.int64)
    names: Any = _repeated([_stem(path)], recording)
    if track is not None:
        track = [name for name, used in zip(track, placed.tolist(), strict=True) if used]
        names, recording = track, pd.factorize(np.array(track, dtype=object))[0].astype(np.int64)
    kind = _repeated(["track"], np.zeros(len(lon), dtype=np.int32))
    return _Read(names, time, altitude, lon, lat, kind, recording, left_out | unplaced, zoneless, problems)


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


def _frame(read: _Read, kept: Flags | None) -> gpd.GeoDataFrame:
    """Return the frame of the points that are kept; `time` is already of these alone."""
    import pyarrow as pa

    table = pa.table({
        "track_id": pa.array(read.track_id, pa.string()),
        "altitude": pa.array(read.altitude), "kind": read.kind, "lon": pa.array(read.lon), "lat": pa.array(read.lat),
    })  # fmt: skip
    if kept is not None:
        table = table.filter(pa.array(kept))
    time = pa.array(read.time.astype("datetime64[us]")).cast(pa.timestamp("us", tz="UTC"))
    return frames.from_arrow(table.add_column(1, "time", time), frames.TRACKS)


def _gpx_text(tracks: gpd.GeoDataFrame) -> str:
    lon, lat = frames.lonlat(tracks)
    placed = np.isfinite(lon) & np.isfinite(lat)
    kind = tracks["kind"].to_numpy(dtype=object) if "kind" in tracks.columns else np.full(len(tracks), "track", object)
    inner = _elements(tracks)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             '<gpx version="1.1" creator="mlygeo" xmlns="http://www.topografix.com/GPX/1/1">',
             *_metadata(tracks.attrs.get("record"))]  # fmt: skip
    # The schema requires way points first, then routes, then tracks.
    lines += [_point("wpt", lon, lat, inner, row) for row in np.flatnonzero(placed & (kind == "waypoint")).tolist()]
    for what, outer, point in (("route", "rte", "rtept"), ("track", "trk", "trkpt")):
        rows = np.flatnonzero(placed & ((kind == what) if what == "route" else ~np.isin(kind, ["route", "waypoint"])))
        if not len(rows):
            continue
        names = tracks["track_id"].astype(object).where(tracks["track_id"].notna(), None).to_numpy()[rows]
        starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
        segment = outer == "trk"
        for start, stop in zip(starts, np.r_[starts[1:], len(rows)], strict=True):
            lines.append(f"<{outer}>{_name(names[start])}{'<trkseg>' if segment else ''}")
            # Text is made row by row: no vectorised function writes numbers with all digits.
            lines += [_point(point, lon, lat, inner, row) for row in rows[start:stop].tolist()]
            lines.append(f"{'</trkseg>' if segment else ''}</{outer}>")
    return "\n".join([*lines, "</gpx>", ""])


def _metadata(record: Any) -> Iterator[str]:
    """Yield the metadata of a file: what made its frame, if that is known, as JSON in an element of our own."""
    from xml.sax.saxutils import escape

    if isinstance(record, dict):
        yield f"<metadata><extensions>{_RECORD}{escape(json.dumps(record))}</record></extensions></metadata>"


def _record_in(path: Path) -> dict[str, Any] | None:
    """Return what made the frame of a GPX file, as its metadata say it; None where they do not."""
    from xml.sax.saxutils import unescape

    with suppress(OSError, EOFError, zlib.error, ValueError, RecursionError), _open(path) as file:
        head = file.read(_MOST_METADATA)
        start = head.find(_RECORD.encode())
        if start < 0:
            return None
        text = head[start + len(_RECORD) :].partition(b"</record>")[0].decode()
        found = json.loads(unescape(text))
        return found if isinstance(found, dict) else None
    return None


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
