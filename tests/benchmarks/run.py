"""All benchmarks, one after another; each prints ratios measured in one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = (
    "bench_startup",
    "bench_tiles",
    "bench_streets",
    "bench_osm_streets",
    "bench_nearest_core",
    "bench_select",
    "bench_text_ids",
    "bench_sequences",
    "bench_readers",
    "bench_boxes",
    "bench_peers",
    "bench_process",
    "bench_video",
    "bench_coverage",
    "bench_map",
    "bench_map_libraries",
    "bench_map_widgets",
    "bench_download",
    "bench_pictures",
    "bench_quality",
    "bench_promises",
)

for name in NAMES:
    subprocess.run([sys.executable, str(Path(__file__).parent / f"{name}.py")], check=True)
