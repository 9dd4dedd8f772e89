"""
Every attack of a hostile server on every verb that asks a service: how it ends, in which time, with how much memory.

Deadlines are two seconds, and every request is tried twice. A line an attack: the exit statuses of the verbs, the longest
time and the largest memory of any. Ends with status 1 if a run had a traceback, did not end, or took more than 500 MB.
Run as `python tests/benchmarks/bench_hostile.py [part of the attacks' names] [verb ...]`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers import upload_folders
from helpers.hostile_server import COMMANDS, CONTENT, WIRE, hostile, run

MOST_MB = 500


def main() -> None:
    """Print the table."""
    part, verbs = ([*sys.argv[1:], ""])[0], sys.argv[2:] or list(COMMANDS)
    wrong = []
    with tempfile.TemporaryDirectory() as work:
        photos = Path(work) / "photos"
        photos.mkdir()
        upload_folders.folder_of(photos, 2)
        print(f"| attack | {' | '.join(verbs)} | seconds | MB |")
        print(f"| --- |{' --- |' * (len(verbs) + 2)}", flush=True)
        for number, attack in enumerate(each for each in (*WIRE, *CONTENT) if part in each):
            ends, seconds, megabytes = [], 0.0, 0
            for verb in verbs:
                here = Path(work) / f"{number}-{verb}"
                here.mkdir()
                try:
                    with hostile(attack) as url:
                        ended = run(verb, url, here, photos=photos)
                except subprocess.TimeoutExpired:
                    wrong.append(f"{attack}, {verb}: no end")
                    ends.append("no end")
                    continue
                ends.append(str(ended.status))
                seconds, megabytes = max(seconds, ended.seconds), max(megabytes, ended.megabytes)
                if ended.has_traceback or ended.megabytes > MOST_MB:
                    wrong.append(f"{attack}, {verb}: {ended.megabytes} MB; {ended.said[-1500:]}")
            print(f"| {attack} | {' | '.join(ends)} | {seconds:.1f} | {megabytes} |", flush=True)
    print("\n".join(wrong) or "no traceback, all ended, none took more than 500 MB")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
