"""Folders of small photos with time, position and heading in their EXIF, for processing."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from shapely.geometry import Point

from mlygeo.formats.exif import Tags, time_tags
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import description_tags

if TYPE_CHECKING:
    from pathlib import Path

START_MS = 1_718_000_000_000
LON, LAT = 9.17, 48.77
STEP = 1e-4
"""Degrees of latitude from one photo to the next: 11.1 m."""


def picture(number: int, size: tuple[int, int] = (32, 24)) -> bytes:
    image = Image.new("RGB", size, (number * 37 % 256, number * 11 % 256, number // 256 % 256))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def tagged(jpeg: bytes, *, ms=None, lon=None, lat=None, heading=None, altitude=None, whole_second=False) -> bytes:
    """Write plain EXIF into a photo, as a camera does; what is None is not written."""
    row = {
        "captured_at": ms, "compass_angle": heading, "altitude": altitude,
        "geometry": None if lon is None else Point(lon, lat),
    }  # fmt: skip
    kinds = ["time"] * (ms is not None) + ["gps"] * (lon is not None) + ["direction"] * (heading is not None)
    tags = description_tags(row, description={}, overwrite=kinds)
    exif = {name: value for name, value in tags.exif.items() if name != "ImageDescription"}
    if tags.captured is not None:
        exif |= time_tags(tags.captured.utc, tags.captured.there or tags.captured.utc)
    if whole_second:
        exif = {
            name: value
            for name, value in exif.items()
            if "SubSec" not in name and not name.startswith("GPSTime") and name != "GPSDateStamp"
        }
    return insert(jpeg, Tags(exif=exif, absent=tags.absent)) if exif else jpeg


def folder_of(folder: Path, count: int, *, seconds: float = 2.0, step: float = STEP, **more) -> list[Path]:
    """Write photos of a camera that moves north, one every so many seconds; values may be functions of the number."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        values = {"ms": START_MS + round(number * seconds * 1000), "lon": LON, "lat": LAT + number * step}
        values |= {name: value(number) if callable(value) else value for name, value in more.items()}
        path = folder / f"img_{number:05}.jpg"
        path.write_bytes(tagged(picture(number), **values))
        paths.append(path)
    return paths


def gpx_of(path: Path, count: int, *, seconds: float = 1.0, step: float = STEP / 2, start_ms: int = START_MS) -> Path:
    """Write a track that goes north."""
    times = np.datetime_as_string(
        (start_ms + np.arange(count) * round(seconds * 1000)).astype("datetime64[ms]"), unit="ms"
    )
    points = "".join(
        f'<trkpt lat="{LAT + number * step:.9f}" lon="{LON}"><ele>{200 + number}</ele><time>{time}Z</time></trkpt>'
        for number, time in enumerate(times)
    )
    path.write_text(
        f'<gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>{points}</trkseg></trk></gpx>'
    )
    return path


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()
