"""
NMEA sentences inside videos -> positions: BlackVue's `gps ` box, and text tracks.

BlackVue writes the time of the camera's clock before each sentence, `[epoch ms]$GPRMC,…`. The clock runs in
local time; its offset from UTC follows from the valid RMC sentences.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mlygeo.formats import mp4, mp4_tables, nmea
from mlygeo.readers.cameras.positions import STRAY_S, Points, Recorded

if TYPE_CHECKING:
    from mlygeo.arrays import Whole

LARGEST_BOX = 64 << 20
"""Bytes of a box of sentences that are read at most."""

_LINE = re.compile(rb"\[(\d{1,15})\][ \t]*(\$[A-Z]{2}(RMC|GGA|GLL),[^\r\n\[\0]{0,200})")
_KNOT = 1852 / 3600
_KINDS = (b"RMC", b"GGA", b"GLL")


def recorded(file: BinaryIO, size: int, movie: mp4.Movie | None, _first_only: bool) -> Recorded | None:
    """Return the positions and the model in a file's `free` boxes; see `mlygeo.readers.cameras.Reader`."""
    sentences, name = b"", None
    for outer in mp4_tables.file_boxes(file, size) if movie is None else movie.boxes:
        if outer.kind != b"free":
            continue
        for inner in list(mp4_tables.file_boxes(file, size, outer.start, outer.stop)):
            if inner.kind == b"gps " and not sentences:
                file.seek(inner.start)
                sentences = file.read(min(inner.stop - inner.start, LARGEST_BOX))
            elif inner.kind == b"cprt":
                file.seek(inner.start)
                name = model(file.read(min(inner.stop - inner.start, 4096))) or name
    found = decode(sentences) if sentences else Points.joined([])
    return Recorded(found, "BlackVue", name) if len(found) else None


def decode(content: bytes) -> Points:
    """
    Decode the content of a BlackVue `gps ` box.

    The points are those of the RMC sentences, with altitude and dilution of precision from the GGA
    sentence at the same time of the camera's clock; without RMC sentences those of GGA, else of GLL.
    `video_s` counts from the first sentence, with which the video begins, whether it has a fix or not. Where
    the camera's clock is set meanwhile, it goes on as before.

    Parameters
    ----------
    content
        Lines of `[epoch ms]$…`; other lines are skipped.

    Returns
    -------
    points
        In the order of time, those without a fix among them.
    """
    lines = []
    for match in _LINE.finditer(content):
        sentence = match[2].split(b"*")
        if len(sentence) < 2 or _checked(sentence[0][1:], sentence[1]):
            lines.append((int(match[1]), match[3], sentence[0].split(b",")))
    stamps = _unbroken(np.array([stamp for stamp, _, _ in lines], dtype=np.int64))
    found: dict[bytes, list[tuple[int, list[bytes]]]] = {kind: [] for kind in _KINDS}
    for stamp, (_, kind, words) in zip(stamps.tolist(), lines, strict=True):
        found[kind].append((stamp, words))
    tables = {kind: _table(kind, rows) for kind, rows in found.items()}
    chosen = next((kind for kind in _KINDS if (tables[kind].fix < 0).any()), None)
    if chosen is None:
        return plain(content)
    kind, points = chosen, tables[chosen]
    points = points.take(np.argsort(points.video_s, kind="stable"))
    camera_s = points.video_s
    off = _clock_error(found[kind], points.take(points.fix < 0), kind)
    altitude, dop = points.altitude, points.dop
    gga = tables[b"GGA"].take(tables[b"GGA"].fix < 0)
    if kind == b"RMC" and len(gga):
        gga = gga.take(np.argsort(gga.video_s, kind="stable"))
        at = np.minimum(np.searchsorted(gga.video_s, camera_s), len(gga) - 1)
        near = np.abs(gga.video_s[at] - camera_s) < 0.5
        altitude, dop = np.where(near, gga.altitude[at], np.nan), np.where(near, gga.dop[at], np.nan)
    return Points.of(
        camera_s - stamps.min() / 1000, points.lon, points.lat, epoch_s=camera_s + off, altitude=altitude, dop=dop,
        speed=points.speed, fix=points.fix,
    )  # fmt: skip


def plain(content: bytes) -> Points:
    """
    Decode sentences without the time of a camera's clock; `video_s` counts from the first of them.

    Parameters
    ----------
    content
        Text with NMEA sentences in it.
    """
    fixes = nmea.decode(content)
    known = ~np.isnat(fixes.time)
    epoch_s = fixes.time[known].astype(np.int64) / 1e6
    # Days that come before the receiver knew the date do not count.
    video_s = _unbroken(np.round(epoch_s * 1000).astype(np.int64)) / 1000
    video_s = video_s - video_s[:1]
    return Points.of(video_s, *(values[known] for values in (fixes.lon, fixes.lat)),
                     altitude=fixes.altitude[known], epoch_s=epoch_s)  # fmt: skip


def model(content: bytes) -> str | None:
    """Return the camera's model from the content of BlackVue's `cprt` box, which is JSON or separated by semicolons."""
    text = content.strip(b" \0\r\n\t").decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parts = text.split(";")
        return parts[1].strip() or None if len(parts) > 1 else None
    found = parsed.get("model") if isinstance(parsed, dict) else None
    return found.strip() or None if isinstance(found, str) else None


def _checked(sentence: bytes, checksum: bytes) -> bool:
    total = 0
    for byte in sentence:
        total ^= byte
    try:
        return total == int(checksum[:2], 16)
    except ValueError:
        return True  # cut off after the star: no checksum


def _table(kind: bytes, lines: list[tuple[int, list[bytes]]]) -> Points:
    """Return the positions of sentences of one kind; `video_s` is the camera's clock, `fix` 0 where there is none."""
    # RMC: time, status, latitude, N/S, longitude, E/W, knots; GGA: time, latitude, …, quality, number, HDOP,
    # altitude; GLL: latitude, N/S, longitude, E/W, time, status.
    lat_at, valid_at, valid = {
        b"RMC": (3, 2, (b"A", b"D")),
        b"GGA": (2, 6, tuple(b"12345679")),
        b"GLL": (1, 6, (b"A", b"D")),
    }[kind]
    rows = []
    for stamp, words in lines:
        fields = [*words, *[b""] * 12][: max(len(words), 12)]
        state = fields[valid_at].strip()[:1]
        is_valid = state in valid or (state != b"" and kind == b"GGA" and state[0] in valid)
        lat, lon = _degrees(fields[lat_at], fields[lat_at + 1]), _degrees(fields[lat_at + 2], fields[lat_at + 3])
        speed = _number(fields[7]) * _KNOT if kind == b"RMC" else np.nan
        high, dop = (_number(fields[9]), _number(fields[8])) if kind == b"GGA" else (np.nan, np.nan)
        is_there = is_valid and np.isfinite(lat) and np.isfinite(lon)
        rows.append((stamp / 1000, lon, lat, high, speed, dop, -1 if is_there else 0))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 7).T
    names = ("altitude", "speed", "dop", "fix")
    return Points.of(*columns[:3], **dict(zip(names, columns[3:], strict=True)))


def _unbroken(stamps: Whole) -> Whole:
    """Return times of the camera's clock, milliseconds, as if it had not been set while it was recording."""
    steps = np.diff(stamps)
    is_set = np.abs(steps) > STRAY_S * 1000
    if is_set.any():
        usual = steps[~is_set & (steps > 0)]
        steps[is_set] = int(np.median(usual)) if len(usual) else 1000
        # The later part counts: by then the clock was set.
        stamps = stamps[-1] - np.append(np.cumsum(steps[::-1])[::-1], 0)
    return stamps


def _number(text: bytes) -> float:
    try:
        value = float(text)
    except ValueError:
        return np.nan
    return value if np.isfinite(value) else np.nan


def _degrees(text: bytes, side: bytes) -> float:
    return nmea.coordinate(text.decode("ascii", "replace"), side.decode("ascii", "replace"))


def _clock_error(lines: list[tuple[int, list[bytes]]], points: Points, kind: bytes) -> float:
    """
    Return the seconds to add to the camera's clock to get UTC: the median of all sentences.

    RMC has date and time. GGA and GLL have only the time of day; for them the camera's day is assumed,
    or the day before or after if that is closer.
    """
    stamps = {round(value * 1000) for value in points.video_s.tolist()}
    off = []
    for stamp, words in lines:
        text = words[{b"RMC": 1, b"GGA": 1, b"GLL": 5}[kind]] if len(words) > 5 else b""
        if stamp not in stamps or len(text) < 6 or not text[:6].isdigit():
            continue
        seconds = int(text[:2]) * 3600 + int(text[2:4]) * 60 + _number(text[4:])
        if kind == b"RMC":
            off.append(_day_s(words[9] if len(words) > 9 else b"") + seconds - stamp / 1000)
        else:
            off.append((seconds - stamp / 1000 % 86_400 + 43_200) % 86_400 - 43_200)
    finite = np.array(off)[np.isfinite(off)]
    return float(np.round(np.median(finite), 3)) if len(finite) else 0.0


def _day_s(text: bytes) -> float:
    """Return the seconds from 1970 to a day written ddmmyy; NaN where it is not a day."""
    day = nmea.day(text.decode("ascii", "replace"))
    return np.nan if day is None else day * 86_400.0
