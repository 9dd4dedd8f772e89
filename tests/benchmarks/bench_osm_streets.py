"""
Streets of OpenStreetMap extracts: processor time and memory as they grow, each read in a process of its own.

Run: python tests/benchmarks/bench_osm_streets.py [EXTRACT] [--copies 1 4 60]; 2,400 copies of Monaco are a gigabyte.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import osm_copies

EXTRACT = Path(__file__).parents[1] / "data" / "osm" / "helsinki_centre.osm.pbf"

MOST_MB = 1000
"""Memory that no extract may take more of."""

READ = """
import json, resource, sys, time
import osmnx
from mlygeo.readers.street_edges import StreetEdges
from pathlib import Path

start = time.process_time()
with StreetEdges(Path(sys.argv[1]), retain_all=True) as edges:
    rows = sum(map(len, edges.frames()))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"rows": rows, "cpu_s": time.process_time() - start, "peak_mb": peak}))
"""


def main() -> None:
    """Print a line for each number of copies; raise if one takes too much memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extract", nargs="?", type=Path, default=EXTRACT)
    parser.add_argument("--copies", nargs="+", type=int, default=[1, 4, 60])
    options = parser.parse_args()
    for copies in options.copies:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "copies.osm.pbf"
            osm_copies.write(options.extract, copies, path)
            size = path.stat().st_size / 1e6
            told = subprocess.run([sys.executable, "-c", READ, str(path)], check=True, capture_output=True, text=True)
        found = json.loads(told.stdout)
        print(
            f"streets of {size:,.1f} MB of .osm.pbf: {found['rows']:,} edges, {found['cpu_s']:.1f} s of processor time"
            f" ({size / found['cpu_s']:.2f} MB/s), {found['peak_mb']:,.0f} MB of memory"
        )
        if found["peak_mb"] > MOST_MB:
            raise SystemExit(f"more than {MOST_MB} MB of memory")


if __name__ == "__main__":
    main()
