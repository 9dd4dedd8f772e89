"""Videos made for tests: MP4 files of true boxes around given samples, and moving pictures of a fixed seed."""

import struct
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import DATA

from mlygeo.progress import Progress
from mlygeo.spatial import geodesy

EPOCH_1904 = 2_082_844_800
IPHONE = DATA / "video" / "iphone6_one_position.mov"
START = pd.Timestamp("2024-05-05T10:00:00Z")

KINDS = {
    "plain.mp4": {},
    "one_key.mp4": {"gop": 1000, "b_frames": 0},
    "open_gop.mp4": {"options": {"x264-params": "open-gop=1:keyint=20:bframes=3"}},
    "varying.mp4": {"drop": {7, 8, 9, 40, 41, 77}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=20:open-gop=1:bframes=4"}},
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 0},
    "matroska.mkv": {},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "broadcast.ts": {},
}  # fmt: skip


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind, *parts):
    return box(kind, b"\0\0\0\0", *parts)


def movie(kind, handler, samples, durations, *, timescale=1000, created_s=0, edits=(), extra=b"", udta=b"", head=b""):
    """An MP4 with one track of samples, each of a duration in units of the timescale."""

    def moov(offset):
        total = sum(durations)
        created = created_s + EPOCH_1904 if created_s else 0
        mvhd = full(b"mvhd", struct.pack(">IIII", created, created, timescale, total), bytes(80))
        tkhd = full(b"tkhd", struct.pack(">III", created, created, 1), bytes(68))
        mdhd = full(b"mdhd", struct.pack(">IIIII", created, created, timescale, total, 0))
        hdlr = full(b"hdlr", bytes(4), handler, bytes(13))
        stsd = full(b"stsd", struct.pack(">I", 1), box(kind, bytes(6), b"\0\1"))
        stts = full(b"stts", struct.pack(">I", len(durations)), *(struct.pack(">II", 1, one) for one in durations))
        stsc = full(b"stsc", struct.pack(">IIII", 1, 1, len(samples), 1))
        stsz = full(b"stsz", struct.pack(">II", 0, len(samples)), *(struct.pack(">I", len(one)) for one in samples))
        stco = full(b"stco", struct.pack(">II", 1, offset))
        stbl = box(b"stbl", stsd, stts, stsc, stsz, stco)
        minf = box(b"minf", full(b"nmhd"), stbl)
        elst = full(b"elst", struct.pack(">I", len(edits)), *(struct.pack(">Iii", *edit) for edit in edits))
        parts = [tkhd, box(b"edts", elst)] if edits else [tkhd]
        return box(b"moov", mvhd, box(b"trak", *parts, box(b"mdia", mdhd, hdlr, minf)), udta)

    start = box(b"ftyp", b"mp42", bytes(4), b"mp42") + head
    offset = len(start) + len(moov(0)) + 8
    return start + moov(offset) + box(b"mdat", *samples) + extra


def klv(key, kind, size, repeat, content):
    return struct.pack(">4scBH", key, kind, size, repeat) + content + bytes(-len(content) % 4)


def nest(key, *parts):
    content = b"".join(parts)
    return klv(key, b"\0", 1, len(content), content)


def gpmf(rows, moment=b"240505100000.000", fix=3, dop=150, name=b"HERO9 Black"):
    """A payload of GPS5 with rows of latitude, longitude, altitude, speed over ground and in space."""
    scale = (10_000_000, 10_000_000, 1000, 1000, 100)
    values = b"".join(struct.pack(">5i", *(round(v * s) for v, s in zip(row, scale, strict=True))) for row in rows)
    return nest(
        b"DEVC", klv(b"DVID", b"L", 4, 1, struct.pack(">I", 1)), klv(b"DVNM", b"c", 1, len(name), name),
        nest(b"STRM", klv(b"GPSF", b"L", 4, 1, struct.pack(">I", fix)), klv(b"GPSU", b"U", 16, 1, moment),
             klv(b"GPSP", b"S", 2, 1, struct.pack(">H", dop)), klv(b"SCAL", b"l", 4, 5, struct.pack(">5i", *scale)),
             klv(b"GPS5", b"l", 20, len(rows), values)),
    )  # fmt: skip


def camm5(lat, lon, altitude):
    return struct.pack("<HH3d", 0, 5, lat, lon, altitude)


def camm6(time, fix, lat, lon, altitude, east=0.0, north=0.0, speed_accuracy=0.0):
    return struct.pack("<HHdidd7f", 0, 6, time, fix, lat, lon, altitude, 1.0, 1.0, east, north, 0.0, speed_accuracy)


def pictures(path, *, seconds=6.0, rate=25, size=(192, 108), codec="libx264", options=None, created="2024-05-05T10:00:00Z",
             drop=(), b_frames=2, gop=25, rotation=None, container_options=None, make=None):  # fmt: skip
    """Write a video in which every frame differs from all others; `drop` leaves frames out, for a varying rate."""
    av = pytest.importorskip("av", reason="videos are made with PyAV: needs mlygeo[video]")

    random = np.random.default_rng(20240505)
    background = random.integers(60, 180, (size[1], size[0], 3), dtype=np.uint8)
    with av.open(str(path), "w", options=container_options or {}) as output:
        if created:
            output.metadata["creation_time"] = created
        if make:
            output.metadata["make"] = make
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        stream.codec_context.thread_count = 1
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for number in range(round(seconds * rate)):
            if number in drop:
                continue
            picture = background.copy()
            left = number * 5 % (size[0] - 24)
            picture[number % 60 : number % 60 + 24, left : left + 24] = (255, number * 7 % 256, number * 13 % 256)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def extends(number, *, duration=0, size=0, flags=0, whole=None):
    """The box that tells that a movie goes on in fragments, and what holds where they tell nothing."""
    header = b"" if whole is None else full(b"mehd", struct.pack(">I", whole))
    return box(b"mvex", header, full(b"trex", struct.pack(">5I", number, 1, duration, size, flags)))


def tfhd(number, *, base=None, moof=False, description=None, duration=None, size=None, flags=None):
    parts = (
        (1, base, ">Q"),
        (2, description, ">I"),
        (8, duration, ">I"),
        (0x10, size, ">I"),
        (0x20, flags, ">I"),
    )
    bits = sum(bit for bit, value, _ in parts if value is not None) | (0x20000 if moof else 0)
    values = b"".join(struct.pack(form, value) for _, value, form in parts if value is not None)
    return box(b"tfhd", struct.pack(">II", bits, number), values)


def tfdt(time, version=1):
    return box(b"tfdt", struct.pack((">II", ">IQ")[version], version << 24, time))


def trun(count, *, shift=None, first_flags=None, duration=None, size=None, flags=None, later=None, version=0):
    """A run of samples; the columns that are given are told for each."""
    columns = ((0x100, duration, "I"), (0x200, size, "I"), (0x400, flags, "I"), (0x800, later, "Ii"[version]))
    bits = sum(bit for bit, column, _ in columns if column is not None)
    bits |= (0 if shift is None else 1) | (0 if first_flags is None else 4)
    head = b"" if shift is None else struct.pack(">i", shift)
    head += b"" if first_flags is None else struct.pack(">I", first_flags)
    there = [(column, form) for _, column, form in columns if column is not None]
    records = b"".join(
        struct.pack(">" + form, column[row]) for row in range(count if there else 0) for column, form in there
    )
    return box(b"trun", struct.pack(">II", version << 24 | bits, count), head, records)


def moof(*trafs):
    return box(b"moof", full(b"mfhd", bytes(4)), *(box(b"traf", *parts) for parts in trafs))


def fragmented(kind, handler, samples, durations, style, *, per=3, first=0, lead=0, start=0, mvex=None, **others):
    """
    The same as `movie`, with `first` samples in it and the others in fragments of `per` with `lead` bytes before.

    `style` gives the parts of each track fragment, from where the fragment begins in the file, how many bytes
    later its data do, its samples, their durations, and the time of the first. The first of all is at `start`.
    """
    content = movie(kind, handler, samples[:first], durations[:first], udta=mvex or extends(1), **others)
    for begin in range(first, len(samples), per):
        some, lasting = samples[begin : begin + per], durations[begin : begin + per]
        layout = some, lasting, start + sum(durations[:begin])
        length = len(moof(*style(len(content), 0, *layout)))
        content += moof(*style(len(content), length + 8, *layout)) + box(b"mdat", bytes(lead), *some)
    return content


class Impatient(Progress):
    """Somebody who presses Ctrl-C at the first step."""

    @contextmanager
    def bar(self, label, *, total=None, unit=""):
        class Bar:
            def advance(self, n=1):
                raise KeyboardInterrupt

        yield Bar()


def with_track(video, tmp_path, speed=10.0, seconds=6.0, name="drive.mp4", step=1.0):
    """Append a BlackVue box to a video: north-east at a speed, with GPS times that contradict the creation time."""
    first = START.timestamp() + 3600
    count = int(seconds / step) + 1
    lon, lat = geodesy.destination(9.17, 48.77, 45.0, np.arange(count) * speed * step)
    sentences = []
    for x, y, moment in zip(lon, lat, first + np.arange(count) * step, strict=True):
        clock = pd.Timestamp(moment, unit="s")
        words = (f"$GPRMC,{clock:%H%M%S}.{clock.microsecond // 10000:02d},A,{int(y):02d}{y % 1 * 60:09.6f},N,"
                 f"{int(x):03d}{x % 1 * 60:09.6f},E,{speed * 3600 / 1852:.3f},45.0,{clock:%d%m%y},,,A")  # fmt: skip
        sentences.append(f"[{round(moment * 1000)}]{words}")
    target = tmp_path / name
    target.write_bytes(Path(video).read_bytes() + box(b"free", box(b"gps ", "\n".join(sentences).encode())))
    return target
