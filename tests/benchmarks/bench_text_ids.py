"""
Select images whose ids are UUIDs, without and with a column `provider`, against the same images with whole numbers.

Each runs in a process of its own; rounds are interleaved, and figures are the least processor time and memory of the
rounds. The promise: UUIDs take at most 1.3 times the time of whole numbers.

Run as `python tests/benchmarks/bench_text_ids.py [images] [points] [rounds]`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

KINDS = ("whole numbers", "UUIDs", "UUIDs and provider")

CHECK = """
import re, sys, time
from pathlib import Path
from mlygeo import cli
images, points, out = sys.argv[1:]
status = cli.main(["select", "--images", images, "--points", points, "--max-distance", "50", "--srid", "25832", "-o",
                   out, "-q"])
assert status == 0
# Of this program alone: what getrusage tells includes the process that it was forked from.
memory = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
print(time.process_time(), memory)
"""


def main() -> None:
    """Print the times, their ratios, and the memory."""
    images, points, rounds = (
        int(argument) for argument in (*sys.argv[1:], *("10000000", "500000", "3")[len(sys.argv) - 1 :])
    )
    spent: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(prefix="mlygeo-bench-") as folder:
        files, to = make_files(Path(folder), images, points)
        for number in range(rounds):
            for kind, file in zip(KINDS, files, strict=True):
                command = [sys.executable, "-c", CHECK, str(file), str(to), f"{folder}/out-{kind[-8:]}-{number}"]
                found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                spent[kind].append((float(found[0]), float(found[1])))
    least = {kind: np.min(figures, axis=0) for kind, figures in spent.items()}
    print(f"{images:,} images, {points:,} points, {rounds} rounds")
    for kind, (seconds, megabytes) in least.items():
        ratio = seconds / least[KINDS[0]][0]
        print(f"  {kind:20}{seconds:7.1f} s of the processor   {ratio:5.2f} times   peak {megabytes:5.0f} MB")


def make_files(folder: Path, images: int, points: int) -> tuple[list[Path], Path]:
    """Write images with each kind of ids, and points; return the files."""
    import pyarrow as pa

    from mlygeo.store import parquet
    from mlygeo.uuids import Uuids

    rng = np.random.default_rng(3)
    lon, lat = 9 + rng.random(images), 48.5 + rng.random(images) * 0.6
    whole = {"id": rng.permutation(images) + 10**15}
    text = {"id": Uuids(*rng.integers(0, 2**64, (2, images), dtype=np.uint64)).texts()}
    others = {
        "compass_angle": rng.random(images) * 360,
        "is_pano": rng.random(images) < 0.3,
        "captured_at": pa.array(rng.integers(16 * 10**11, 17 * 10**11, images), pa.timestamp("ms", "UTC")),
    }
    named = {"provider": pa.repeat("panoramax", images)}
    files = [folder / f"{number}.parquet" for number in range(len(KINDS))]
    for file, ids in zip(files, (whole, text, text | named), strict=True):
        parquet.write_points(pa.table(ids | others), lon, lat, file, attrs={})
    to = folder / "points.parquet"
    lon, lat = 9 + rng.random(points), 48.5 + rng.random(points) * 0.6
    parquet.write_points(pa.table({"point_id": np.arange(points)}), lon, lat, to, attrs={})
    return files, to


if __name__ == "__main__":
    main()
