"""
Random histories of photos, in each of which every picture must be at the stand-in exactly once in the end.

    python tests/benchmarks/bench_histories.py [--histories 200] [--photos 500] [--steps 12] [--first 0]

What tests/uploads/test_histories.py does in small, in large; it takes hours. A history that fails is named with its
seed, and run again with `--first SEED --histories 1`.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import histories


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--histories", type=int, default=200)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    wrong = []
    for seed in range(given.first, given.first + given.histories):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as work:
            try:
                histories.run(Path(work), seed, photos=given.photos, steps=given.steps)
            except AssertionError as error:
                wrong.append(seed)
                print(f"seed {seed}: {error}", flush=True)
        print(f"seed {seed}: {time.perf_counter() - started:.1f} s", flush=True)
    print(f"{given.histories - len(wrong)} of {given.histories} histories of {given.photos} photos hold; not: {wrong}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
