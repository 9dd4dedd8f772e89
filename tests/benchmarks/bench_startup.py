"""How long `mlygeo --help` takes, against `python -c "import argparse"`, and the help of verbs against it."""

from __future__ import annotations

import statistics
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

MLYGEO = str(Path(sysconfig.get_path("scripts")) / "mlygeo")

VERBS = ("select", "upload", "video-process-and-upload")
"""One of the region, one that acts, and the one with most options."""

COMMANDS = {
    "import argparse": [sys.executable, "-c", "import argparse"],
    "mlygeo --help": [MLYGEO, "--help"],
    **{f"mlygeo {verb} --help": [MLYGEO, verb, "--help"] for verb in VERBS},
    "import mlygeo": [sys.executable, "-c", "import mlygeo"],
}


def main() -> None:
    """Run the commands in turn, and print their medians."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(21):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            taken[name].append(1000 * (time.perf_counter() - started))
    medians = {name: statistics.median(values) for name, values in taken.items()}
    bar = 2 * medians["import argparse"] + 100
    print("\nstart-up, medians of 21")
    for name, median in medians.items():
        print(f"  {name:38} {median:6.0f} ms")
    print(
        f"  the bar, twice argparse and 100 ms: {bar:.0f} ms; --help takes {medians['mlygeo --help'] / bar:.0%} of it"
    )
    slowest = max(medians[f"mlygeo {verb} --help"] for verb in VERBS) / medians["mlygeo --help"]
    print(f"  the slowest help of these verbs: {slowest:.2f} times that of mlygeo (the bar: 1.5 times)")


if __name__ == "__main__":
    main()
