"""
Make the data of this example: photos without positions, and the track of the same ride.

A cyclist rides through Stuttgart at five metres a second, waits twenty seconds at a crossing, and
later rests for five minutes. The camera takes a picture every two seconds, its clock is three
seconds fast, and it knows no position; a phone records the track. The way is that of a sequence
in the bundled tiles.

    python examples/gpx_import/make_data.py FOLDER
"""

import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

import mlygeo

SEQUENCE = "xHUWVkul6BrJRGbPnApeaQ"
START = pd.Timestamp("2024-06-12T08:30:00Z")
SPEED_MS, FAST_S, INTERVAL_S = 5.0, 3.0, 2.0
STOPS = ((30, 20), (70, 300))
"""Seconds of riding, and how long the cyclist then stands."""
RIDE_S = 110


def moments(ridden: np.ndarray) -> np.ndarray:
    """Return the seconds since the start at which so many seconds have been ridden."""
    return ridden + sum(np.where(ridden > after, length, 0) for after, length in STOPS)


def ridden(elapsed: np.ndarray) -> np.ndarray:
    """Return the seconds ridden at a time since the start."""
    seconds = np.arange(0, RIDE_S + 1e-9, 0.01)
    return np.interp(elapsed, moments(seconds), seconds)


def main(folder: Path) -> None:
    """Write ride.gpx and photos/ to a folder."""
    stuttgart = Path(__file__).parents[1] / "stuttgart" / "stuttgart_tile_cache"
    images = mlygeo.read_tiles(stuttgart)
    way = images[images["sequence_id"] == SEQUENCE].sort_values("captured_at").to_crs(25832).geometry
    steps = np.concatenate([[0], np.cumsum(np.hypot(np.diff(way.x), np.diff(way.y)))])

    def at(elapsed: np.ndarray) -> gpd.GeoSeries:
        along = ridden(elapsed) * SPEED_MS
        x, y = np.interp(along, steps, way.x), np.interp(along, steps, way.y)
        return gpd.GeoSeries(gpd.points_from_xy(x, y, crs=25832)).to_crs(4326)

    whole = float(moments(np.array([RIDE_S]))[0])
    seconds = np.arange(0, whole)
    track = gpd.GeoDataFrame(
        {
            "track_id": "ride",
            "time": (START + pd.to_timedelta(seconds, unit="s")).as_unit("us"),
            "altitude": 250.0 + 0.02 * seconds,
        },
        geometry=at(seconds).round(7),
    ).astype({"track_id": "str"})
    folder.mkdir(parents=True, exist_ok=True)
    mlygeo.write_track(track, folder / "ride.gpx")

    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    # No pictures while the cyclist rests: the camera was off.
    rest = STOPS[1][0] + STOPS[0][1]
    taken = [second for second in np.arange(1, whole - 1, INTERVAL_S) if not rest + 4 < second < rest + STOPS[1][1] - 2]
    for number, second in enumerate(taken, start=1):
        picture = Image.new("RGB", (96, 64), (92, 128, 150))
        draw = ImageDraw.Draw(picture)
        draw.polygon([(0, 64), (40, 30), (56, 30), (96, 64)], fill=(80, 80, 80))
        draw.text((36, 8), f"{number:03d}", fill="white")
        exif = Image.Exif()
        clock = START + pd.Timedelta(seconds=float(second) + FAST_S)
        exif[271], exif[272] = "Example", "Handlebar camera"
        tags = exif.get_ifd(0x8769)
        tags[36867] = clock.strftime("%Y:%m:%d %H:%M:%S")
        tags[36881] = "+00:00"
        tags[37521] = f"{clock.microsecond // 1000:03d}"
        exif[0x8769] = dict(tags)
        picture.save(photos / f"IMG_{number:04d}.jpg", quality=70, exif=exif)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
