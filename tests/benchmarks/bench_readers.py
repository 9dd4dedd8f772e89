"""
Photos and tracks: how many times faster than the libraries that older tools read them with.

Run `python tests/benchmarks/bench_readers.py [FOLDER_OF_PHOTOS]`. Candidates are interleaved, each measurement is
a run of its own on the same files, and the figures are medians of ratios within a round. Needs gpxpy and
exifread; piexif, Pillow and pynmea2 are compared where they are installed.
"""

from __future__ import annotations

import gzip
import io
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[1] / "data"
ROUNDS = 3
PHOTOS = 2_000
POINTS = 500_000


def measure(title: str, candidates: dict, count: int, unit: str) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(ROUNDS):
        order = list(candidates.items())
        for name, run in order if number % 2 == 0 else order[::-1]:
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    base = next(iter(seconds))
    print(title)
    for name, values in seconds.items():
        ratio = statistics.median(theirs / ours for ours, theirs in zip(seconds[base], values, strict=True))
        print(f"  {name:<28}{count / statistics.median(values):>12,.0f} {unit}/s   {ratio:6.1f} x the time of {base}")


def photos(folder: Path | None) -> None:
    from mlygeo.readers import photo
    from mlygeo.readers.photos import read_photos

    sources = sorted((folder or DATA / "photos").rglob("*.jpg")) if folder else sorted((DATA / "photos").glob("*.jpg"))
    with tempfile.TemporaryDirectory() as place:
        names = []
        for number in range(PHOTOS):
            name = Path(place) / f"{number:05d}.jpg"
            name.write_bytes(sources[number % len(sources)].read_bytes()[:200_000])
            names.append(str(name))
        candidates = {
            "mlygeo, array floor": lambda: photo.read_photos(names, local=False),
            "mlygeo.read_photos": lambda: read_photos(place),
            "mlygeo.read_photos, 2 workers": lambda: read_photos(place, workers=2),
        }
        try:
            import exifread

            def with_exifread() -> None:
                for name in names:
                    with Path(name).open("rb") as file:
                        exifread.process_file(file, details=False)

            candidates["exifread, details off"] = with_exifread
        except ImportError:
            pass
        try:
            import piexif

            def with_piexif() -> None:
                for name in names:
                    try:
                        piexif.load(name)
                    except Exception:  # noqa: BLE001 - it raises struct.error, ValueError and more
                        continue

            candidates["piexif.load"] = with_piexif
        except ImportError:
            pass
        try:
            from PIL import Image

            def with_pillow() -> None:
                for name in names:
                    with Image.open(name) as image:
                        exif = image.getexif()
                        exif.get_ifd(0x8769)
                        exif.get_ifd(0x8825)

            candidates["Pillow, three directories"] = with_pillow
        except ImportError:
            pass
        logging.disable(logging.CRITICAL)
        measure(f"{PHOTOS:,} photos, warm page cache", candidates, PHOTOS, "photos")


def gpx() -> None:
    from mlygeo.readers.tracks import read_track

    step = np.arange(POINTS)
    body = "".join(
        f'<trkpt lat="{48 + i * 1e-6:.7f}" lon="{9 + i * 1e-6:.7f}"><ele>{300 + i % 50}.5</ele>'
        f"<time>{np.datetime64('2024-01-01T00:00:00') + i}Z</time></trkpt>\n"
        for i in step.tolist()
    )
    text = f'<?xml version="1.0"?>\n<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>\n{body}</trkseg></trk></gpx>'
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "long.gpx"
        path.write_text(text)
        read_track(path)  # so that nothing is imported while the clock runs
        candidates = {"mlygeo.read_track": lambda: read_track(path)}
        try:
            import gpxpy

            candidates["gpxpy.parse"] = lambda: gpxpy.parse(io.StringIO(text))
        except ImportError:
            pass
        measure(f"GPX, {POINTS:,} points, {len(text) / 1e6:.0f} MB", candidates, POINTS, "points")


def nmea() -> None:
    from mlygeo.readers.tracks import read_track

    lines = gzip.decompress((DATA / "tracks" / "josm_1433_leeds.nmea.gz").read_bytes()) * 20
    count = lines.count(b"RMC")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "long.nmea"
        path.write_bytes(lines)
        read_track(path)
        candidates = {"mlygeo.read_track": lambda: read_track(path)}
        try:
            import pynmea2

            def with_pynmea2() -> None:
                for line in lines.decode().splitlines():
                    if line[3:6] in {"RMC", "GGA"}:
                        pynmea2.parse(line)

            def with_positions() -> None:
                for line in lines.decode().splitlines():
                    if line[3:6] in {"RMC", "GGA"}:
                        sentence = pynmea2.parse(line)
                        _ = sentence.latitude, sentence.longitude, sentence.timestamp

            candidates["pynmea2.parse"] = with_pynmea2
            candidates["pynmea2, positions read"] = with_positions
        except ImportError:
            pass
        measure(f"NMEA, {count:,} epochs", candidates, count, "epochs")


if __name__ == "__main__":
    photos(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    gpx()
    nmea()
