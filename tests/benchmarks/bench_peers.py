"""
A dataset read in a box, and joined with the nearest image of each point: mlygeo beside other engines.

Run `python tests/benchmarks/bench_peers.py [IMAGES POINTS ROUNDS]`. All read the dataset that `mlygeo partition` wrote,
and the same points, and measure in the plane of EPSG:25832: each point's nearest image within 100 m, of several as
near the one with the lowest id. Every run is a process of its own, the engines interleaved; figures are medians of
processor seconds of all threads, and of the most memory of the process. All must have the same answer. What is not
installed is said, and left out; `SEDONA_PYTHON` may name the interpreter of another environment, with SedonaDB.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

import mlygeo

FOLDER = Path(__file__).parent / ".data"
IMAGES, POINTS, ROUNDS = 1_000_000, 50_000, 3
WEST, SOUTH, SIDE = 9.0, 48.6, 0.4
BOX = (9.18, 48.76, 9.23, 48.81)
STEP = 360 / 2**14 / 4096
"""Degrees of longitude between two places of a vector tile of zoom 14."""

START = """
import json, resource, sys, time
dataset, points, box = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
west, south, east, north = box
"""

END = """
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
cpu = sum(each.ru_utime + each.ru_stime for each in used)
print(json.dumps({"cpu": cpu, "mb": peak / 1024, "answer": [int(each) for each in answer]}))
"""

DUCKDB = """
import duckdb, duckdb_extension_spatial
from pathlib import Path
db = duckdb.connect()
extension = next(Path(duckdb_extension_spatial.__file__).parent.rglob("spatial.duckdb_extension"))
db.execute(f"load '{extension}'")
"""

SEDONA = """
import glob
import sedona.db
db = sedona.db.connect()
db.read_parquet(sorted(glob.glob(dataset + "/*/*.parquet"))).to_view("images")
"""

BOXES = {
    "mlygeo": """
import mlygeo
found = mlygeo.read_frame(dataset, bbox=box)
answer = len(found), found["id"].sum()
""",
    "GeoPandas": """
import geopandas as gpd
found = gpd.read_parquet(dataset, bbox=box).cx[west:east, south:north]
answer = len(found), found["id"].sum()
""",
    "dask_geopandas": """
import dask_geopandas
found = dask_geopandas.read_parquet(dataset).cx[west:east, south:north].compute()
answer = len(found), found["id"].sum()
""",
    "DuckDB": DUCKDB
    + """
found = db.execute(f\"\"\"
    select * from read_parquet('{dataset}/*/*.parquet', hive_partitioning = false)
    where bbox.xmax >= {west} and bbox.xmin <= {east} and bbox.ymax >= {south} and bbox.ymin <= {north}
    and st_x(geometry) between {west} and {east} and st_y(geometry) between {south} and {north}
\"\"\").to_arrow_table()
answer = len(found), found["id"].to_numpy().sum()
""",
    "SedonaDB": SEDONA
    + """
edges = f"POLYGON(({west} {south},{east} {south},{east} {north},{west} {north},{west} {south}))"
found = db.sql(f\"\"\"
    select * from images where st_intersects(geometry, st_setsrid(st_geomfromtext('{edges}'), 4326))
\"\"\").to_arrow_table()
answer = len(found), found["id"].to_numpy().sum()
""",
}
"""Rows of a dataset in a box, with all columns, in memory."""

JOINS = {
    "mlygeo": """
import mlygeo
found = mlygeo.select(points=points, images=dataset, max_distance=100, srid=25832)
answer = len(found), found["id"].sum()
""",
    "GeoPandas": """
import geopandas as gpd
near = gpd.read_parquet(points).to_crs(25832)
images = gpd.read_parquet(dataset).to_crs(25832)
found = gpd.sjoin_nearest(near, images, max_distance=100, distance_col="distance_m")
found = found.sort_values(["point_id", "id"]).drop_duplicates("point_id")
answer = len(found), found["id"].sum()
""",
    "dask_geopandas": """
import dask_geopandas, geopandas as gpd
near = gpd.read_parquet(points).to_crs(25832)
squares = near.assign(point=near.geometry, geometry=near.buffer(100, cap_style="square"))
images = dask_geopandas.read_parquet(dataset, gather_spatial_partitions=False).to_crs(25832)
def nearest(pairs):
    pairs = pairs.assign(distance_m=pairs.geometry.distance(gpd.GeoSeries(pairs["point"], crs=25832)))
    pairs = pairs[pairs["distance_m"] <= 100][["point_id", "id", "distance_m"]]
    return pairs.sort_values(["point_id", "distance_m", "id"]).drop_duplicates("point_id")
pairs = dask_geopandas.sjoin(images, squares, predicate="intersects")
found = pairs.map_partitions(nearest, meta={"point_id": "int64", "id": "int64", "distance_m": "f8"}).compute()
found = found.sort_values(["point_id", "distance_m", "id"]).drop_duplicates("point_id")
answer = len(found), found["id"].sum()
""",
    "DuckDB": DUCKDB
    + """
found = db.execute(f\"\"\"
    with p as (select point_id, st_transform(geometry, 'EPSG:4326', 'EPSG:25832', always_xy := true) as place
               from read_parquet('{points}')),
    i as (select id, st_transform(geometry, 'EPSG:4326', 'EPSG:25832', always_xy := true) as place
          from read_parquet('{dataset}/*/*.parquet', hive_partitioning = false))
    select point_id, min(struct_pack(d := st_distance(p.place, i.place), id := id)) as best
    from p join i on st_dwithin(p.place, i.place, 100) group by point_id
\"\"\").to_arrow_table()
import pyarrow.compute as pc
answer = len(found), pc.struct_field(found["best"], "id").to_numpy().sum()
""",
    "SedonaDB": SEDONA
    + """
db.read_parquet(points).to_view("points")
found = db.sql(\"\"\"
    with p as (select point_id, st_transform(geometry, 'EPSG:25832') as place from points),
    i as (select id, st_transform(geometry, 'EPSG:25832') as place from images),
    pairs as (select point_id, id, st_distance(p.place, i.place) as d
              from p join i on st_dwithin(p.place, i.place, 100))
    select point_id, first_value(id order by d, id) as best from pairs group by point_id
\"\"\").to_arrow_table()
answer = len(found), found["best"].to_numpy().sum()
""",
}
"""The nearest image of each point."""


def made(images: int, points: int) -> tuple[Path, Path]:
    """Return a dataset of images along drives on the grid of vector tiles, and points near most of them."""
    dataset, at = FOLDER / f"peers-{images}", FOLDER / f"peers-points-{points}.parquet"
    if dataset.is_dir() and at.is_file():
        return dataset, at
    rng = np.random.default_rng(0)
    drives = images // 100
    drive = np.arange(images) // 100 % drives
    start, course = rng.normal(0.5, 0.18, (2, drives)), rng.integers(0, 36, drives) * 10.0
    step = np.arange(images) % 100 * 0.0002
    east = WEST + SIDE * (start[0][drive] + step * np.sin(np.radians(course[drive])))
    north = SOUTH + SIDE * (start[1][drive] + step * np.cos(np.radians(course[drive])))
    lon, lat = np.round(east / STEP) * STEP, np.round(north / STEP) * STEP
    frame = gpd.GeoDataFrame(
        {
            "id": rng.permutation(images) + 10**15,
            "sequence_id": pd.Series(np.char.mod("%022d", drive), dtype="str"),
            "captured_at": pd.to_datetime(1_717_200_000_000 + np.arange(images) * 977, unit="ms", utc=True),
            "compass_angle": course[drive],
            "is_pano": (rng.random(drives) < 0.4)[drive],
        },
        geometry=shapely.points(lon, lat),
        crs=4326,
    )
    mlygeo.partition(frame, dataset, rows_per_part=max(images // 8, 1))
    near, aside = rng.integers(0, images, points), rng.normal(0, 0.0004, (2, points))
    aside[:, rng.random(points) < 0.25] *= 40
    place = shapely.points(lon[near] + aside[0], lat[near] + aside[1])
    mlygeo.write_frame(gpd.GeoDataFrame({"point_id": np.arange(points)}, geometry=place, crs=4326), at)
    return dataset, at


def run(name: str, code: str, dataset: Path, points: Path) -> dict[str, object] | str:
    """Return what a process used and found, or why it could not."""
    python = os.environ.get("SEDONA_PYTHON", sys.executable) if name == "SedonaDB" else sys.executable
    words = [python, "-c", START + code + END, str(dataset), str(points), json.dumps(BOX)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1][:200]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(title: str, ways: dict[str, str], dataset: Path, points: Path, rounds: int) -> None:
    print(title)
    found: dict[str, list[dict[str, object]]] = {}
    for number in range(rounds):
        order = list(ways.items())
        for name, code in order if number % 2 == 0 else order[::-1]:
            if number and name not in found:
                continue
            one = run(name, code, dataset, points)
            if isinstance(one, str):
                print(f"  {name:<16} cannot: {one}")
            else:
                found.setdefault(name, []).append(one)
    own = found["mlygeo"]
    expected = own[0]["answer"]
    for name, several in found.items():
        cpu, memory = (statistics.median(float(str(each[key])) for each in several) for key in ("cpu", "mb"))
        ratio = statistics.median(
            float(str(b["cpu"])) / float(str(a["cpu"])) for a, b in zip(own, several, strict=True)
        )
        same = "the same" if all(each["answer"] == expected for each in several) else f"OTHER: {several[0]['answer']}"
        print(f"  {name:<16}{cpu:7.2f} CPU s {ratio:6.2f} x mlygeo's {memory:7.0f} MB   {same}")
    print(f"  {expected}")


def main(images: int, points: int, rounds: int) -> None:
    FOLDER.mkdir(exist_ok=True)
    dataset, at = made(images, points)
    print(f"{images:,} images, {points:,} points")
    compare(f"rows in a box of {BOX}", BOXES, dataset, at, rounds)
    compare("nearest image within 100 m", JOINS, dataset, at, rounds)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [IMAGES, POINTS, ROUNDS][len(given) :]))
