"""
The whole selection, files in and file out, against the plain GeoPandas script.

Ten million images and half a million points along streets, GeoParquet as GeoPandas writes it, and the dataset that
`mlygeo partition` makes of it; EPSG:4326; nearest within 100 m in EPSG:28992; result written. Every run is a process
of its own, the ways interleaved; what counts are the ratios. `python bench_select.py [IMAGES POINTS ROUNDS]`
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / ".data"
SRID = 28992

PLAIN = """
import sys
import geopandas as gpd
images, points, output = sys.argv[1:]
points = gpd.read_parquet(points).to_crs(28992)
images = gpd.read_parquet(images).to_crs(28992)
found = gpd.sjoin_nearest(points, images, max_distance=100, distance_col="distance_m")
found.to_parquet(output)
"""

WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None; "
"""A module that is None cannot be imported: as if the extra were not installed."""

OURS = "import sys; from mlygeo.cli import main; sys.exit(main())"

STAGES = """
import json, sys, time
started = time.perf_counter()
from mlygeo.store import point_sources as sources
from mlygeo.pipelines import selecting as jobs
from mlygeo.pipelines.selection import Selection
from mlygeo.spatial import nearest, projection
spent, open_now = {"imports": time.perf_counter() - started}, []

def timed(holder, name, stage):
    inner = getattr(holder, name)
    def outer(*args, **kwargs):
        open_now.append(0.0)
        begun = time.perf_counter()
        try:
            return inner(*args, **kwargs)
        finally:
            took = time.perf_counter() - begun
            spent[stage] = spent.get(stage, 0.0) + took - open_now.pop()
            if open_now:
                open_now[-1] += took
    setattr(holder, name, outer)

timed(sources.PointFile.__dict__["lonlat"], "func", "read coordinates")
timed(sources, "ids_of", "read ids")
timed(projection.Projection, "forward", "reproject")
timed(nearest, "match", "nearest")
timed(sources.PointFile, "take", "gather")
timed(Selection, "write", "write")
images, points, output = sys.argv[1:]
from mlygeo import cli
cli.main(["select", "--images", images, "--points", points, "--srid", "28992", "--max-distance", "100", "-o", output, "-q"])
spent["rest"] = time.perf_counter() - started - sum(spent.values())
print(json.dumps(spent))
"""


def images_and_points(images: int, points: int, *, far: bool) -> tuple[Path, Path]:
    """
    Make images along streets, on the grid of their zoom-14 tile as real ones are, and points.

    Parameters
    ----------
    images, points
        How many.
    far
        Whether half of the points lie where there is no image within reach.
    """
    image_file = FOLDER / f"images_{images}.parquet"
    point_file = FOLDER / f"points_{points}_of_{images}{'_far' if far else ''}.parquet"
    if image_file.exists() and point_file.exists():
        return image_file, point_file
    import geopandas as gpd
    import pandas as pd

    FOLDER.mkdir(exist_ok=True)
    random = np.random.default_rng(14)
    # 4,000 straight streets in 25 by 25 km round Utrecht; images every few metres on some of each.
    streets = 4000
    middle = random.uniform((4.95, 52.0), (5.32, 52.225), (streets, 2))
    turn, half = random.uniform(0, np.pi, streets), random.uniform(100, 700, streets)
    east, north = half * np.cos(turn) / 68_300, half * np.sin(turn) / 111_250

    def along(
        count: int, shift: tuple[float, float] = (0.0, 0.0), spread: float = 1.5
    ) -> tuple[np.ndarray, np.ndarray]:
        street, where = random.integers(0, streets, count), random.uniform(-1, 1, count)
        off = random.normal(0, spread, (2, count))
        lon = middle[street, 0] + east[street] * where + off[0] / 68_300 + shift[0]
        return lon, middle[street, 1] + north[street] * where + off[1] / 111_250 + shift[1]

    if not image_file.exists():
        lon, lat = _on_tile_grid(*along(images))
        sequences = np.array([f"seq{number:019d}" for number in range(max(images // 300, 1))])
        frame = gpd.GeoDataFrame(
            {
                "id": random.permutation(images).astype("int64") * 1_000_003 + 10**15,
                "sequence_id": pd.Series(sequences[random.integers(0, len(sequences), images)], dtype="str"),
                "captured_at": pd.to_datetime(random.integers(1.5e12, 1.75e12, images), unit="ms", utc=True).as_unit(
                    "ms"
                ),
                "compass_angle": random.uniform(0, 360, images),
                "is_pano": random.random(images) < 0.5,
                "creator_id": pd.array(random.integers(1e14, 2e14, images), dtype="Int64"),
                "organization_id": pd.array(np.where(random.random(images) < 0.75, pd.NA, 10**15), dtype="Int64"),
            },
            geometry=gpd.points_from_xy(lon, lat, crs=4326),
        )
        frame.to_parquet(image_file)
    near = points // 2 if far else points
    lon, lat = along(near)
    if far:
        # The same streets 40 km further east: no image there.
        far_lon, far_lat = along(points - near, (0.6, 0.0))
        lon, lat = np.concatenate([lon, far_lon]), np.concatenate([lat, far_lat])
    order = random.permutation(points)
    gpd.GeoDataFrame(
        {"point_id": np.arange(points)}, geometry=gpd.points_from_xy(lon[order], lat[order], crs=4326)
    ).to_parquet(point_file)
    return image_file, point_file


def dataset_of(images: Path) -> Path:
    """Return the dataset that `mlygeo partition` makes of a file."""
    folder = images.with_suffix("")
    if not folder.is_dir():
        run([sys.executable, "-c", OURS, "partition", str(images), "-o", str(folder), "-q"])
    return folder


def _on_tile_grid(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    steps = 4096 * 2**14
    x = np.round((lon + 180) / 360 * steps) / steps
    y = np.round((1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * steps) / steps
    return x * 360 - 180, np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y))))


MEASURED = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
cpu = usage.ru_utime + usage.ru_stime
print(time.perf_counter() - started, usage.ru_maxrss / 1024, cpu, os.waitstatus_to_exitcode(status))
"""
"""
Starts a program from a small one: until it is loaded, a program counts as large as the one that started it, and
this one has made the data.
"""


def run(command: list[str]) -> tuple[float, float, float]:
    """Return wall seconds, peak memory (MB) and processor seconds of a process, of that alone."""
    measured = [sys.executable, "-S", "-c", MEASURED, *command]
    said = subprocess.run(measured, check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, megabytes, cpu, status = map(float, said.split())
    if status:
        raise SystemExit(f"{command[2][:60]!r} failed with {status:g}")
    return seconds, megabytes, cpu


def compare(images: int, points: int, rounds: int, *, far: bool) -> None:
    """Run all ways, interleaved, and print their ratios."""
    image_file, point_file = images_and_points(images, points, far=far)
    title = "half of the points without an image in reach" if far else "all points along streets with images"
    print(f"\nselect: {images:,} images x {points:,} points, {title}")
    with tempfile.TemporaryDirectory() as folder:
        files = [str(image_file), str(point_file)]
        options = ["--srid", str(SRID), "--max-distance", "100", "-q"]
        ours = ["select", "--images", files[0], "--points", files[1], *options]
        of_dataset = ["select", "--images", str(dataset_of(image_file)), "--points", files[1], *options]
        ways = {
            "plain GeoPandas": [sys.executable, "-c", PLAIN, *files, f"{folder}/plain.parquet"],
            "mlygeo, NumPy": [sys.executable, "-c", WITHOUT_NUMBA + OURS, *ours, "-o", f"{folder}/numpy"],
            "mlygeo[speed]": [sys.executable, "-c", OURS, *ours, "-o", f"{folder}/numba"],
            "from a dataset": [sys.executable, "-c", OURS, *of_dataset, "-o", f"{folder}/dataset"],
        }
        figures: dict[str, list[tuple[float, float, float]]] = {way: [] for way in ways}
        run(ways["mlygeo[speed]"])  # compiles and caches the kernels
        for number in range(rounds):
            for way in list(ways) if number % 2 == 0 else reversed(ways):
                figures[way].append(run(ways[way]))
        found = [
            f"{folder}/{way}" for way in ("numpy/selection.parquet", "numba/selection.parquet", "dataset/selection")
        ]
        agree(f"{folder}/plain.parquet", *found)
        seconds, memory, cpu = (
            {way: end(figure[place] for figure in taken) for way, taken in figures.items()}
            for place, end in ((0, statistics.median), (1, max), (2, min))
        )
        for way in ways:
            ratio = seconds["plain GeoPandas"] / seconds[way]
            share = memory[way] / memory["plain GeoPandas"]
            print(
                f"  {way:16} {seconds[way]:7.2f} s  {ratio:5.1f}x   {cpu[way]:6.2f} s of processors (least)"
                f"  {cpu['plain GeoPandas'] / cpu[way]:5.1f}x   {memory[way]:6.0f} MB  {share:5.2f} of the plain memory"
            )
        for way, before in (("NumPy", WITHOUT_NUMBA), ("[speed]", "")):
            command = [sys.executable, "-c", before + STAGES, *files, f"{folder}/stages"]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            stages = json.loads(out)
            total = sum(stages.values())
            print(
                f"  share of each stage, {way}: "
                + ", ".join(f"{name} {spent / total:.0%}" for name, spent in stages.items())
            )


def agree(plain: str, *ours: str) -> None:
    """Fail unless all ways chose the same: the lowest id among those nearest."""
    import geopandas as gpd
    import pandas as pd

    theirs = pd.DataFrame(gpd.read_parquet(plain)[["point_id", "id", "distance_m"]])
    best = theirs.groupby("point_id")["distance_m"].transform("min")
    # PROJ and the checked polynomial differ by at most a micrometre, so ties are told apart no finer.
    tied = theirs[theirs["distance_m"] - best < 2e-6]
    for path in ours:
        found = gpd.read_parquet(path)[["point_id", "id", "distance_m"]].sort_values("point_id")
        assert found["point_id"].is_unique
        assert set(found["point_id"]) == set(theirs["point_id"]), path
        nearest = theirs.groupby("point_id")["distance_m"].min()
        assert abs(found["distance_m"].to_numpy() - nearest.sort_index().to_numpy()).max() < 2e-6, path
        assert len(found.merge(tied, on=["point_id", "id"])) == len(found), path
    print(f"  all ways agree on {len(best.groupby(theirs['point_id'])):,} points")


def main(arguments: list[str]) -> None:
    """Run both cases."""
    images, points, rounds = (int(value) for value in (*arguments, *(10_000_000, 500_000, 3)[len(arguments) :]))
    compare(images, points, rounds, far=False)
    compare(images, points, rounds, far=True)


if __name__ == "__main__":
    main(sys.argv[1:])
