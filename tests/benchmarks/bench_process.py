"""
`process` against mapillary_tools 0.14.7 on the same folder, and re-tagging against a plain copy, as ratios.

    python tests/benchmarks/bench_process.py [--photos 20000] [--retag 1000] [--rounds 3]

The photos are small JPEGs with time and position, 1,000 to a folder, so that reading pictures plays no part; both
programs run as commands with the compiled modules of an installation, write their description file, and neither
writes into photos. Beside time stands processor time, which says more on a busy machine, where nothing is gained by
two processes. Re-tagging writes an
image description and position into photos of a few megabytes, forced to the disk and read back; beside it, what
any program would need: the same photos copied, forced to the disk (with their new names) and read back, by one
thread and by as many as re-tagging has. Rounds are interleaved, with the order reversed every second round; figures are medians.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.mapillary_tools_oracle import program
from helpers.photo_folders import LAT, LON, START_MS, picture, tagged

from mlygeo.photos import insertion
from mlygeo.photos.tags import description_tags
from mlygeo.readers.photos import read_photos

MEGABYTES = 3


class Taken(NamedTuple):
    """Seconds, and seconds of processors, of this process and those that it started."""

    wall: float
    cpu: float


def timed(action):
    started, cpu = time.perf_counter(), sum(os.times()[:4])
    action()
    return Taken(time.perf_counter() - started, sum(os.times()[:4]) - cpu)


def medians(actions, rounds, prepare=lambda: None):
    """Return the medians of what each action takes; the order is reversed every second round."""
    times = {name: [] for name in actions}
    for number in range(rounds):
        for name in list(actions) if number % 2 == 0 else reversed(list(actions)):
            prepare()
            times[name].append(timed(actions[name]))
    return {name: Taken(*map(statistics.median, zip(*found, strict=True))) for name, found in times.items()}


def photos(folder, count):
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tagged(picture(number), ms=START_MS + number * 2000, lon=LON, lat=LAT + number * 1e-5))


def compare_process(work, count, rounds):
    folder = work / "in"
    photos(folder, count)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["MLYGEO_NO_PROGRESS"] = "1"

    def run(*words):
        subprocess.run([str(word) for word in words], check=True, capture_output=True, env=environment)

    def ours():
        shutil.rmtree(folder / ".mlygeo", ignore_errors=True)
        run(
            sys.executable,
            "-m",
            "mlygeo",
            "process",
            folder,
            "--skip-exif-insert",
            "--desc-path",
            work / "a.json",
            "-q",
        )

    def again():
        run(
            sys.executable,
            "-m",
            "mlygeo",
            "process",
            folder,
            "--skip-exif-insert",
            "--desc-path",
            work / "a.json",
            "-q",
        )

    def theirs():
        run(program(), "process", folder, "--skip_process_errors", "--desc_path", work / "b.json")

    ours()  # compiles the modules
    found = medians({"ours": ours, "again": again, "theirs": theirs}, rounds)
    mine, second, other = found["ours"], found["again"], found["theirs"]
    print(
        f"process, {count:,} photos: {other.wall / mine.wall:.1f} x mapillary_tools"
        f" (ours {mine.wall:.1f} s, theirs {other.wall:.1f} s), {other.cpu / mine.cpu:.1f} x its processor time"
        f" (ours {mine.cpu:.1f} s, theirs {other.cpu:.1f} s);"
        f" run again {other.wall / second.wall:.1f} x ({second.wall:.1f} s)"
    )


def compare_retagging(work, count, rounds):
    source, folder = work / "source", work / "retag"
    source.mkdir()
    content = tagged(picture(1), ms=START_MS, lon=LON, lat=LAT) + os.urandom(MEGABYTES * 1_000_000)
    for number in range(count):
        (source / f"{number:05}.jpg").write_bytes(content)
    images = read_photos(source)
    images["path"] = [str(folder / Path(path).name) for path in images["path"]]

    def prepare():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        os.sync()

    def ours():
        done = insertion.insert_tags(images, lambda row: description_tags(row, overwrite=("gps",)))
        assert done["exif_written"].all()

    def copy(path):
        data = path.read_bytes()
        temporary = path.with_suffix(".part")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        assert temporary.read_bytes() == data
        temporary.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def plain(workers):
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(copy, sorted(folder.iterdir())))

    found = medians(
        {"ours": ours, "copy": lambda: plain(1), "copies": lambda: plain(insertion.WORKERS)}, rounds, prepare
    )
    mine = found["ours"].wall
    print(
        f"re-tagging {count:,} photos of {MEGABYTES} MB: {count / mine:.0f} a second,"
        f" {mine / found['copy'].wall:.2f} times a plain copy to disk by one thread,"
        f" {mine / found['copies'].wall:.2f} times one by {insertion.WORKERS}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--retag", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        compare_process(Path(work), given.photos, given.rounds)
    with tempfile.TemporaryDirectory() as work:
        compare_retagging(Path(work), given.retag, given.rounds)


if __name__ == "__main__":
    main()
