"""
Rows in a box of a GeoParquet file of two million points: how long beside GeoPandas, and beside Arrow's own filter.

Run `python tests/benchmarks/bench_boxes.py [ROWS]`. All read the same file, in turns; a figure is the median of the
ratios within a round, their time over ours: `geopandas.read_parquet(bbox=)` and our frame, and the rows that
`pyarrow.dataset` finds by the boxes and those of `Dataset.points`, as tables with coordinates. The others take rows by
their boxes in float32, and so a few more.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset

from mlygeo import store
from mlygeo.store.datasets import reading
from mlygeo.store.parquet import encodings

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
    readers = {"mlygeo": store.read_frame, "geopandas": gpd.read_parquet, "as points": points_in, "Arrow": arrow_in}
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
    text = f"  {name:<12}{rows:>10,} rows"
    for own, other in (("mlygeo", "geopandas"), ("as points", "Arrow")):
        ratio = statistics.median(b / a for a, b in zip(seconds[own], seconds[other], strict=True))
        middle = [statistics.median(seconds[each]) * 1000 for each in (own, other)]
        text += f"   {own} {middle[0]:5.0f} ms, {other} {middle[1]:5.0f} ms: {ratio:5.2f} x its time"
    print(text)


def points_in(path: Path, bbox: tuple[float, float, float, float]) -> pa.Table:
    found = reading.open(path).points(bbox)
    lon, lat = found.lonlat
    return found.take(np.arange(len(found))).append_column("lon", pa.array(lon)).append_column("lat", pa.array(lat))


def arrow_in(path: Path, bbox: tuple[float, float, float, float]) -> pa.Table:
    west, south, east, north = bbox
    sides = {side: pc.field("bbox", side) for side in ("xmin", "ymin", "xmax", "ymax")}
    near = (sides["xmax"] >= west) & (sides["xmin"] <= east) & (sides["ymax"] >= south) & (sides["ymin"] <= north)
    table = pyarrow.dataset.dataset(path).to_table(filter=near)
    lon, lat = encodings.coordinates(table["geometry"], path)
    return (
        table.drop_columns(["geometry", "bbox"]).append_column("lon", pa.array(lon)).append_column("lat", pa.array(lat))
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
