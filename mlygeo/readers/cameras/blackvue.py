"""
NMEA sentences inside videos -> positions: BlackVue's `gps ` box, and text tracks.

BlackVue writes the time of the camera's clock before each sentence, `[epoch ms]$GPRMC,…`. The clock runs in
local time; its offset from UTC follows from the valid RMC sentences.
"""

from __future__ import annotations

import json
import re
from typing import BinaryIO

import numpy as np

from mlygeo.formats import mp4, mp4_tables, nmea
from mlygeo.readers.cameras.positions import Points, Recorded

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
    `video_s` counts from the first point.

    Parameters
    ----------
    content
        Lines of `[epoch ms]$…`; other lines are skipped.

    Returns
    -------
    points
        In the order of time.
    """
    found: dict[bytes, list[tuple[int, list[bytes]]]] = {kind: [] for kind in _KINDS}
    for match in _LINE.finditer(content):
        sentence = match[2].split(b"*")
        if len(sentence) < 2 or _checked(sentence[0][1:], sentence[1]):
            found[match[3]].append((int(match[1]), sentence[0].split(b",")))
    tables = {kind: _table(kind, lines) for kind, lines in found.items()}
    kind = next((kind for kind in _KINDS if len(tables[kind])), None)
    if kind is None:
        return plain(content)
    points = tables[kind]
    points = points.take(np.argsort(points.video_s, kind="stable"))
    camera_s = points.video_s
    off = _clock_error(found[kind], points, kind)
    altitude, dop = points.altitude, points.dop
    if kind == b"RMC" and len(gga := tables[b"GGA"]):
        gga = gga.take(np.argsort(gga.video_s, kind="stable"))
        at = np.minimum(np.searchsorted(gga.video_s, camera_s), len(gga) - 1)
        near = np.abs(gga.video_s[at] - camera_s) < 0.5
        altitude, dop = np.where(near, gga.altitude[at], np.nan), np.where(near, gga.dop[at], np.nan)
    return Points.of(
        camera_s - camera_s[0], points.lon, points.lat, epoch_s=camera_s + off, altitude=altitude, dop=dop,
        speed=points.speed,
    )  # fmt: skip


def plain(content: bytes, start_s: float = 0.0) -> Points:
    """
    Decode sentences without the time of a camera's clock.

    Parameters
    ----------
    content
        Text with NMEA sentences in it.
    start_s
        Seconds of the video at the first of them.
    """
    fixes = nmea.decode(content)
    epoch_s = fixes.time.astype(np.int64) / 1e6
    known = ~np.isnat(fixes.time)
    video_s = epoch_s - epoch_s[known][0] + start_s if known.any() else np.empty(0)
    points = Points.of(video_s, *(values[known] for values in (fixes.lon, fixes.lat)),
                       altitude=fixes.altitude[known], epoch_s=epoch_s[known])  # fmt: skip
    return points if known.all() else points.take(np.flatnonzero(np.isfinite(points.epoch_s)))


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
    """Return the valid positions of sentences of one kind; `video_s` is the camera's clock."""
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
        if state in valid or (state and kind == b"GGA" and state[0] in valid):
            lat, lon = _degrees(fields[lat_at], fields[lat_at + 1]), _degrees(fields[lat_at + 2], fields[lat_at + 3])
            speed = _number(fields[7]) * _KNOT if kind == b"RMC" else np.nan
            high, dop = (_number(fields[9]), _number(fields[8])) if kind == b"GGA" else (np.nan, np.nan)
            rows.append((stamp / 1000, lon, lat, high, speed, dop))
    columns = np.array(rows, dtype=np.float64).reshape(-1, 6).T
    names = ("altitude", "speed", "dop")
    found = Points.of(*columns[:3], **dict(zip(names, columns[3:], strict=True)))
    return found.take(np.isfinite(found.lon) & np.isfinite(found.lat)).possible()


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
