"""
Rows in a box of a GeoParquet file of two million points: how long beside `geopandas.read_parquet(bbox=)`.

Run `python tests/benchmarks/bench_boxes.py [ROWS]`. Both read the same file, in turns; a figure is the median of the
ratios within a round, GeoPandas' time over ours. GeoPandas takes rows by their boxes in float32, and so a few more.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np

from mlygeo import store

ROWS = 2_000_000
ROUNDS = 7
BOXES = {"small": 0.005, "medium": 0.05, "large": 0.45, "everything": 1.0}
"""Half of the side of a box around the middle, as a share of the extent."""


def made(rows: int) -> gpd.GeoDataFrame:
    random = np.random.default_rng(1)
    columns = {
        "id": 2**53 + np.arange(rows),
        "sequence_id": np.char.add("sequence", (np.arange(rows) // 50).astype(str)),
        "compass_angle": random.uniform(0, 360, rows),
        "is_pano": random.random(rows) < 0.3,
    }
    place = gpd.points_from_xy(random.uniform(4, 5, rows), random.uniform(52, 53, rows), crs=4326)
    return gpd.GeoDataFrame(columns, geometry=place)


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        frame = made(rows)
        ours = store.write_frame(frame, Path(folder) / "mlygeo.parquet")
        theirs = Path(folder) / "geopandas.parquet"
        frame.to_parquet(theirs, write_covering_bbox=True, schema_version="1.1.0", row_group_size=100_000)
        for writer, path in {"mlygeo, sorted along a curve": ours, "GeoPandas, in the order of ids": theirs}.items():
            print(f"{rows:,} points, written by {writer}, {path.stat().st_size / 1e6:.0f} MB")
            for name, half in BOXES.items():
                compare(path, name, (4.5 - half, 52.5 - half, 4.5 + half, 52.5 + half))


def compare(path: Path, name: str, box: tuple[float, float, float, float]) -> None:
    readers = {"mlygeo": store.read_frame, "geopandas": gpd.read_parquet}
    seconds: dict[str, list[float]] = {each: [] for each in readers}
    rows = 0
    for number in range(ROUNDS):
        order = list(readers.items())
        for each, read in order if number % 2 == 0 else order[::-1]:
            start = time.perf_counter()
            found = read(path, bbox=box)
            seconds[each].append(time.perf_counter() - start)
            rows = len(found) if each == "mlygeo" else rows
            del found
    ratio = statistics.median(b / a for a, b in zip(seconds["mlygeo"], seconds["geopandas"], strict=True))
    own, other = (statistics.median(values) * 1000 for values in seconds.values())
    print(f"  {name:<12}{rows:>10,} rows   mlygeo {own:7.0f} ms   geopandas {other:7.0f} ms   {ratio:5.2f} x its time")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
