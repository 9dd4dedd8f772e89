"""
Measures of pictures, a second of one core: beside a plain script with OpenCV, scikit-image and imagehash.

Both measure contrast, tone, brightness, blur and a perceptual hash of the same files, in turns, in one process and one
thread; the least processor time of each counts. Then the sun of a million images, and their copies.
Run as `python tests/benchmarks/bench_quality.py [folder of pictures]`.
"""

# ruff: noqa: E402 - the number of threads is read when the libraries are loaded
from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import sys
import time
from functools import partial
from pathlib import Path

import cv2
import geopandas as gpd
import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy import stats
from skimage.color import rgb2gray

from mlygeo import flag_copies, sun_position
from mlygeo.measuring import pictures

BUNDLED = Path(__file__).parents[2] / "examples" / "stuttgart" / "pictures"
ROUNDS, LEAST_PICTURES, IMAGES = 5, 8, 1_000_000
IDEAL = stats.beta(2, 2).pdf(np.linspace(0, 1, 256))


def plain(path: str) -> tuple[object, ...]:
    """Measure a picture with one call of a library for each measure."""
    bgr = cv2.imread(path)
    low, high = np.percentile(rgb2gray(bgr[:, :, ::-1]), [1, 99])
    blue, green, red = np.moveaxis(bgr.astype(np.float32), -1, 0)
    bright = np.sqrt(0.299 * red**2 + 0.587 * green**2 + 0.114 * blue**2)
    counts, _ = np.histogram(bright, bins=256, range=(0, 255))
    tone = counts @ IDEAL / np.linalg.norm(counts) / np.linalg.norm(IDEAL)
    blur = cv2.Laplacian(bgr, cv2.CV_64F).var()
    dark = float((bright < 64).mean())
    return blur, (high - low) / 2, tone, bright.mean(), dark, str(imagehash.phash(Image.open(path)))


def main() -> None:
    """Print pictures a second of one core, and ratios."""
    cv2.setNumThreads(1)
    folder = Path(([*sys.argv[1:], BUNDLED])[0])
    paths = [str(path) for path in sorted(folder.glob("*.jpg"))]
    paths *= -(-LEAST_PICTURES // len(paths))
    ways = {
        "plain script, all pixels": plain,
        "mlygeo, all pixels (--preset percept)": partial(pictures.measure_picture, side=None),
        "mlygeo, reduced to 1,024 pixels": pictures.measure_picture,
    }
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, measured in ways.items():
            start = time.process_time()
            for path in paths:
                measured(path)
            least[name] = min(least[name], time.process_time() - start)
    first = least["plain script, all pixels"]
    for name, seconds in least.items():
        print(f"{name}: {len(paths) / seconds:.1f} pictures a second of one core, {first / seconds:.1f} x")
    frame = made(IMAGES)
    for name, step in {"sun_position": sun_position, "flag_copies": flag_copies}.items():
        start = time.process_time()
        step(frame)
        print(f"{name}: {IMAGES / (time.process_time() - start) / 1e6:.2f} million images a second of one core")


def made(count: int) -> gpd.GeoDataFrame:
    """Images of sequences with a picture a second in a city, and a tenth of them once more elsewhere."""
    rng = np.random.default_rng(1)
    own = count - count // 10
    sequence, place = np.divmod(np.arange(own), 500)
    begin = rng.integers(1_600_000_000, 1_720_000_000, sequence.max() + 1)
    lon = rng.uniform(9.1, 9.3, len(begin))[sequence] + place * 1e-4
    lat = rng.uniform(48.7, 48.9, len(begin))[sequence]
    again = rng.choice(own, count - own, replace=False)
    rows = np.concatenate([np.arange(own), again])
    times = pd.to_datetime(begin[sequence] + place, unit="s", utc=True).as_unit("ms")
    columns = {
        "id": np.arange(count),
        "sequence_id": pd.Series(np.concatenate([sequence, sequence[again] + 10**6])).astype("str"),
        "captured_at": times[rows],
        "compass_angle": rng.uniform(0, 360, own)[rows],
    }
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(lon[rows], lat[rows]), crs=4326)


if __name__ == "__main__":
    main()
