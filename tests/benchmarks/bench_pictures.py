"""
Look for damaged pictures that pass as whole ones and cannot be decoded, at random, for a minute or as long as asked.

What it finds belongs into `tests/downloads/test_check.py` as a fixed example. Run as
`python tests/benchmarks/bench_pictures.py [seconds] [seed]`.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from downloads.test_check import changed, decodes

from mlygeo.downloads.check import check_picture
from mlygeo.errors import FormatError


def main() -> None:
    """Print what was found; the exit status is 1 if that is anything."""
    seconds, seed = float(([*sys.argv[1:], "60"])[0]), int(([*sys.argv[2:], str(time.time_ns())])[0])
    chance, end = random.Random(seed), time.monotonic() + seconds
    tried = passed = found = 0
    while time.monotonic() < end:
        kind, places, content = changed(chance)
        tried += 1
        try:
            check_picture(content)
        except FormatError:
            continue
        passed += 1
        if not decodes(content):
            found += 1
            print(f"passes and cannot be decoded: {kind!r}, {places}")
    print(f"seed {seed}: {tried:,} pictures, {passed:,} passed, {found} of these cannot be decoded")
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
