"""
`process` against mapillary_tools 0.14.7 on the same folder, and re-tagging against a plain copy, as ratios.

    python tests/benchmarks/bench_process.py [--photos 20000] [--retag 1000] [--rounds 3]

The photos are small JPEGs with time and position, 1,000 to a folder, so that reading pictures plays no part; both
programs run as commands and write their description file, and neither writes into photos. Re-tagging writes an
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

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.mapillary_tools_oracle import program
from helpers.photo_folders import LAT, LON, START_MS, picture, tagged

from mlygeo.photos import insertion
from mlygeo.photos.tags import description_tags
from mlygeo.readers.photos import read_photos

MEGABYTES = 3


def timed(action):
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def medians(actions, rounds, prepare=lambda: None):
    """Return the median time of each action; the order is reversed every second round."""
    times = {name: [] for name in actions}
    for number in range(rounds):
        for name in list(actions) if number % 2 == 0 else reversed(list(actions)):
            prepare()
            times[name].append(timed(actions[name]))
    return {name: statistics.median(found) for name, found in times.items()}


def photos(folder, count):
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tagged(picture(number), ms=START_MS + number * 2000, lon=LON, lat=LAT + number * 1e-5))


def compare_process(work, count, rounds):
    folder = work / "in"
    photos(folder, count)
    environment = {**os.environ, "MLYGEO_NO_PROGRESS": "1"}

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

    run(sys.executable, "-m", "mlygeo", "--version")
    found = medians({"ours": ours, "again": again, "theirs": theirs}, rounds)
    print(
        f"process, {count:,} photos: {found['theirs'] / found['ours']:.1f} x mapillary_tools"
        f" (ours {found['ours']:.1f} s, theirs {found['theirs']:.1f} s);"
        f" run again {found['theirs'] / found['again']:.1f} x ({found['again']:.1f} s)"
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
    print(
        f"re-tagging {count:,} photos of {MEGABYTES} MB: {count / found['ours']:.0f} a second,"
        f" {found['ours'] / found['copy']:.2f} times a plain copy to disk by one thread,"
        f" {found['ours'] / found['copies']:.2f} times one by {insertion.WORKERS}"
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
