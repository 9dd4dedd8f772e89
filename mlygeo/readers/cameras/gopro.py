"""
GoPro's telemetry: the GPMF payloads of a video's metadata track -> positions.

Format: https://github.com/gopro/gpmf-parser. Keys, lengths and values (KLV) nest; a device (DEVC) has
streams (STRM). The stream with GPS5 or GPS9 has the positions, with their divisors in SCAL, and beside GPS5
the time (GPSU), fix (GPSF) and dilution of precision (GPSP) of the whole payload.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from mlygeo.formats import mp4, times
from mlygeo.readers.cameras.positions import Points, Recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlygeo.arrays import Floats


LARGEST_PAYLOAD = 16 << 20
"""Most bytes read of a payload; cameras write some hundred kilobytes a second."""

_TYPES = {"b": "i1", "B": "u1", "s": ">i2", "S": ">u2", "l": ">i4", "L": ">u4", "f": ">f4", "d": ">f8", "j": ">i8",
          "J": ">u8"}  # fmt: skip
_YEAR_2000_S = 946_684_800


class Entry(NamedTuple):
    """A key, the type, size and number of its values, and their bytes."""

    key: bytes
    type: str
    size: int
    repeat: int
    content: memoryview


class Stream(NamedTuple):
    """
    The positions of one payload.

    `values` has a row for each position: latitude, longitude (degrees), altitude (m), speed over ground and
    in space (m/s), and from GPS9 days since 2000, seconds of the day, dilution of precision and fix.
    """

    key: bytes
    device: str
    values: Floats
    epoch_s: float
    fix: float
    dop: float


def recorded(file: BinaryIO, _: int, movie: mp4.Movie | None, first_only: bool) -> Recorded | None:
    """Return the positions of the first metadata track that has any; see `mlygeo.readers.cameras.Reader`."""
    for track in () if movie is None else movie.tracks:
        if b"gpmd" not in track.formats:
            continue
        gathered = Payloads()
        samples, scale = track.samples, track.timescale
        for row, content in mp4.read_samples(file, track, np.arange(len(samples.size)), largest=LARGEST_PAYLOAD):
            gathered.add(content, float(samples.shown[row]) / scale, float(samples.duration[row]) / scale)
            if first_only and gathered.placed:
                break
        if len(found := gathered.points()):
            return Recorded(found, "GoPro", gathered.model(), track)
    return None


@dataclass
class Payloads:
    """Positions collected from one payload after another."""

    parts: dict[str, list[Points]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    placed: bool = False

    def add(self, content: bytes, start_s: float, duration_s: float) -> None:
        """Add a payload, which belongs to some seconds of the track from `start_s` on."""
        for device, found in first_streams(content):
            self.names.setdefault(device, found.device)
            if len(found.values):
                self.parts.setdefault(device, []).append(_points(found, start_s, duration_s))
                self.placed = self.placed or len(self.parts[device][-1].possible()) > 0

    def points(self) -> Points:
        """Return the positions of the device with most positions, with the times that some have."""
        if not self.parts:
            return Points.joined([])
        return Points.joined(max(self.parts.values(), key=lambda found: sum(map(len, found))))

    def model(self) -> str | None:
        """Return the camera's name; of several devices that of the camera itself."""
        names = sorted(name.strip() for name in self.names.values() if name.strip())
        for word in ("hero", "gopro"):
            for name in names:
                if word in name.lower():
                    return name
        return names[0] if names else None


def entries(content: memoryview) -> Iterator[Entry]:
    """Yield the entries of a payload, or of an entry that contains others, until one is invalid."""
    at = 0
    while at + 8 <= len(content):
        key, kind, size, repeat = struct.unpack(">4sBBH", content[at : at + 8])
        length = size * repeat
        if key == b"\0\0\0\0" or at + 8 + length > len(content):
            return
        yield Entry(key, chr(kind), size, repeat, content[at + 8 : at + 8 + length])
        at += 8 + (length + 3) // 4 * 4


def first_streams(content: bytes) -> Iterator[tuple[str, Stream]]:
    """
    Yield each device of a payload, and the first of its streams with positions.

    Cameras that write both kinds write GPS5 first, which is the one that other programs read.
    """
    for number, device in enumerate(entry for entry in entries(memoryview(content)) if entry.key == b"DEVC"):
        inside = list(entries(device.content))
        found = {entry.key: bytes(entry.content) for entry in inside if entry.key in (b"DVID", b"DVNM")}
        name = found.get(b"DVNM", b"").split(b"\0")[0].decode("utf-8", "replace")
        identity = found.get(b"DVID", b"%d" % number).hex()
        found_streams = (_stream(entry.content, name) for entry in inside if entry.key == b"STRM")
        first = next((stream for stream in found_streams if stream is not None and len(stream.values)), None)
        yield identity, first or Stream(b"", name, np.empty((0, 5)), np.nan, -1.0, np.nan)


def streams(content: bytes) -> Iterator[Stream]:
    """Yield every stream of a payload with positions, of every device."""
    for device in entries(memoryview(content)):
        if device.key == b"DEVC":
            inside = list(entries(device.content))
            names = [bytes(entry.content) for entry in inside if entry.key == b"DVNM"]
            name = names[0].split(b"\0")[0].decode("utf-8", "replace") if names else ""
            for entry in inside:
                if entry.key == b"STRM" and (found := _stream(entry.content, name)) is not None:
                    yield found


def _stream(content: memoryview, device: str) -> Stream | None:
    known = {entry.key: entry for entry in entries(content)}
    for key in (b"GPS5", b"GPS9"):
        if key in known:
            break
    else:
        return None
    values = _matrix(known[key], known.get(b"TYPE"))
    if values is None or values.shape[1] < (5 if key == b"GPS5" else 9):
        return None
    scale = _column(known.get(b"SCAL"))
    if len(scale) == 1:
        scale = np.repeat(scale, values.shape[1])
    if len(scale) < values.shape[1]:
        return None
    scaled = values / np.where(scale[: values.shape[1]] == 0, 1.0, scale[: values.shape[1]])
    fix, dop = _column(known.get(b"GPSF")), _column(known.get(b"GPSP"))
    return Stream(
        key,
        device,
        scaled,
        _moment(known.get(b"GPSU")),
        float(fix[0]) if len(fix) else -1.0,
        float(dop[0]) / 100 if len(dop) else np.nan,
    )


def _matrix(entry: Entry, types: Entry | None) -> Floats | None:
    """Return the values of an entry, one a row; None where their type is unknown."""
    kinds = [entry.type]
    if entry.type == "?":
        if types is None:
            return None
        kinds = _expanded(bytes(types.content).split(b"\0")[0].decode("latin-1"))
    if not entry.size or any(kind not in _TYPES for kind in kinds):
        return None
    row = np.dtype([(str(place), _TYPES[kind]) for place, kind in enumerate(kinds)])
    if len(kinds) == 1:
        row = np.dtype(
            [(str(place), _TYPES[kinds[0]]) for place in range(entry.size // np.dtype(_TYPES[kinds[0]]).itemsize)]
        )
    if not row.names or row.itemsize != entry.size:
        return None
    table = np.frombuffer(entry.content, dtype=row)
    return np.column_stack([table[name].astype(np.float64) for name in row.names])


def _expanded(kinds: str) -> list[str]:
    """Return the letters of a structure, with repeats such as "l[5]" expanded."""
    letters: list[str] = []
    at = 0
    while at < len(kinds) and len(letters) < 256:
        if kinds[at] == "[":
            stop = kinds.find("]", at)
            number = kinds[at + 1 : stop] if stop > 0 else ""
            if not letters or not (number.isascii() and number.isdigit()):
                return ["?"]
            letters += letters[-1:] * (min(int(number), 256) - 1)
            at = stop + 1
        else:
            letters.append(kinds[at])
            at += 1
    return letters


def _column(entry: Entry | None) -> Floats:
    if entry is None or entry.type not in _TYPES:
        return np.empty(0)
    kind = np.dtype(_TYPES[entry.type])
    count = len(entry.content) // kind.itemsize
    return np.frombuffer(entry.content, dtype=kind, count=count).astype(np.float64) if count else np.empty(0)


def _moment(entry: Entry | None) -> float:
    """Return the seconds since 1970 of a GPSU entry (yymmddhhmmss.sss, UTC); NaN where it is not a time."""
    text = b"" if entry is None else bytes(entry.content).split(b"\0")[0].strip()
    if not text[:12].isdigit():
        return np.nan
    found = times.read(f"20{text.decode('latin-1')}")
    return np.nan if found is None else found.us / times.SECOND_US


def _points(stream: Stream, start_s: float, duration_s: float) -> Points:
    """Return the positions of a payload, spread evenly over its part of the track."""
    count = len(stream.values)
    lat, lon, altitude, speed = stream.values[:, :4].T
    video_s = start_s + duration_s * np.arange(count) / count
    if stream.key == b"GPS9":
        days, seconds, dop, fix = stream.values[:, 5:9].T
        epoch_s = np.where(days > 0, _YEAR_2000_S + days * 86_400 + seconds, np.nan)
    else:
        epoch_s = np.full(count, np.nan)
        epoch_s[0] = stream.epoch_s
        fix, dop = np.full(count, stream.fix), np.full(count, stream.dop)
    return Points.of(video_s, lon, lat, epoch_s=epoch_s, altitude=altitude, speed=speed, dop=dop, fix=fix)
