"""
Download pictures of 500 kB from the stand-in, which waits 50 ms before each answer.

Ours (metadata, bytes, check, fsync, ledger) against the same addresses one after another, and
against `curl --parallel` with the same parallelism, which gets the addresses for nothing. Rounds
are interleaved; figures are medians of the rounds' ratios. Then: how fast a folder of images that
are all there is seen to be complete, and in how much memory.

Run as `python tests/benchmarks/bench_download.py [images] [rounds] [ids there]`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np

WORKERS, LATENCY_S, BYTES = 16, 0.05, 500_000
SHARE_ONE_BY_ONE = 10
"""One picture in so many is fetched one after another; the time is scaled."""

TOKEN = "any"


def main() -> None:
    """Print the ratios."""
    images, rounds, there = (
        int(argument) for argument in (*sys.argv[1:], *("2000", "3", "1000000")[len(sys.argv) - 1 :])
    )
    with tempfile.TemporaryDirectory(prefix="mlygeo-bench-") as folder:
        transfer(Path(folder), images, rounds)
    with tempfile.TemporaryDirectory(prefix="mlygeo-bench-") as folder:
        for provider in ("mapillary", "panoramax"):
            already_there(Path(folder), there, provider)


def transfer(folder: Path, images: int, rounds: int) -> None:
    """Compare the ways to fetch pictures."""
    import mlygeo
    from mlygeo.providers.mapillary.graph import Graph
    from mlygeo.providers.mapillary.service import Endpoints, Service

    frame = make_images(folder, images)
    command = [sys.executable, "-m", "mlygeo", "standin", "--images", folder / "images.parquet", "--photos",
               folder / "photos", "--latency", LATENCY_S]  # fmt: skip
    standin = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    try:
        assert standin.stdout is not None
        url = standin.stdout.readline().split()[-1]
        service = Service(endpoints=Endpoints(graph=url, tiles=url), token=TOKEN)
        with Graph(service) as graph:
            batches = graph.images(frame["id"].to_numpy(), fields=["thumb_original_url"])
            urls = {number: record["thumb_original_url"] for batch in batches for number, record in batch.found.items()}
        assert len(urls) == images
        curl = shutil.which("curl")
        if curl is None:
            print("curl is not installed (apt-get install curl): its column is left out")
        spent: dict[str, list[float]] = {"ours": [], "one after another": [], "curl": []}
        for number in range(rounds):
            out = folder / f"out{number}"
            started = time.perf_counter()
            done = mlygeo.download(frame, output=out / "ours", workers=WORKERS, required_disk_space=0, service=service)
            spent["ours"].append(time.perf_counter() - started)
            assert (done["status"] == "done").all()
            some = dict(list(urls.items())[::SHARE_ONE_BY_ONE])
            started = time.perf_counter()
            one_after_another(some, out / "single")
            spent["one after another"].append((time.perf_counter() - started) * images / len(some))
            if curl is not None:
                started = time.perf_counter()
                with_curl(curl, urls, out / "curl")
                spent["curl"].append(time.perf_counter() - started)
            shutil.rmtree(out)
    finally:
        standin.terminate()
        standin.wait()
    ours = np.array(spent["ours"])
    print(
        f"{images:,} pictures of {BYTES / 1e3:.0f} kB, {LATENCY_S * 1e3:.0f} ms latency, {WORKERS} at once, {rounds} rounds"
    )
    for name, seconds in spent.items():
        if seconds:
            rate = images / float(np.median(seconds))
            ratio = float(np.median(np.array(seconds) / ours))
            print(f"  {name:20}{rate:8.0f} pictures/s   ours is {ratio:5.2f} times as fast")


def make_images(folder: Path, images: int) -> object:
    """Write an images frame, and for each image a picture of `BYTES` bytes; return the frame."""
    import io

    import geopandas as gpd
    import pandas as pd
    import shapely
    from PIL import Image

    import mlygeo
    from mlygeo import frames

    rng = np.random.default_rng(1)
    columns = {
        "id": np.arange(images, dtype=np.int64) + 10**15,
        "sequence_id": [f"sequence{number // 200:014d}" for number in range(images)],
        "captured_at": pd.to_datetime(np.arange(images) * 1000 + 1_720_000_000_000, unit="ms", utc=True),
        "compass_angle": rng.uniform(0, 360, images),
        "is_pano": np.zeros(images, dtype=bool),
        "creator_id": np.ones(images, dtype=np.int64),
        "organization_id": pd.array([None] * images, dtype="Int64"),
    }
    geometry = shapely.points(rng.uniform(9.16, 9.18, images), rng.uniform(48.76, 48.78, images))
    frame = frames.conform(gpd.GeoDataFrame(columns, geometry=geometry, crs=frames.CRS), frames.IMAGES)
    mlygeo.write_frame(frame, folder / "images.parquet")
    written = io.BytesIO()
    noise = rng.integers(0, 256, (1024, 2048, 3), dtype=np.uint8) // 5 + 100
    Image.fromarray(noise).save(written, "JPEG", quality=60)
    # A comment fills the picture up to the size.
    content = written.getvalue()
    while (rest := BYTES - len(content)) > 4:
        part = min(rest, 65_000)
        content = content[:2] + b"\xff\xfe" + (part - 2).to_bytes(2, "big") + bytes(part - 4) + content[2:]
    photos = folder / "photos"
    photos.mkdir()
    (photos / "first").write_bytes(content)
    for number in columns["id"].tolist():
        os.link(photos / "first", photos / f"{number}.jpg")
    return frame


def one_after_another(urls: dict[int, str], folder: Path) -> None:
    """Fetch pictures in a loop, over one connection."""
    import urllib3

    folder.mkdir(parents=True)
    with urllib3.PoolManager() as pool:
        for number, url in urls.items():
            (folder / f"{number}.jpg").write_bytes(pool.request("GET", url).data)


def with_curl(curl: str, urls: dict[int, str], folder: Path) -> None:
    """Fetch pictures with curl, as many at once as ours."""
    folder.mkdir(parents=True)
    listed = folder / "urls.txt"
    listed.write_text(
        "".join(f'url = "{url}"\noutput = "{folder / f"{number}.jpg"}"\n' for number, url in urls.items())
    )
    subprocess.run(
        [
            curl,
            "--silent",
            "--no-progress-meter",
            "--parallel",
            "--parallel-max",
            str(WORKERS),
            "--parallel-immediate",
            "-K",
            str(listed),
        ],
        check=True,
    )
    assert sum(1 for _ in folder.glob("*.jpg")) == len(urls)


CHECK = """
import re, sys, time
from pathlib import Path
from mlygeo import cli
folder, ids = sys.argv[1:]
started = time.perf_counter()
status = cli.main(["download", "--imgid-file", ids, "-o", folder, "--size", "2048"])
seconds = time.perf_counter() - started
assert status == 0
# Of this program alone: what getrusage tells includes the process that it was forked from.
print(seconds, time.process_time(), int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def already_there(folder: Path, ids: int, provider: str = "mapillary") -> None:
    """Print how fast a complete folder of a provider's pictures is seen to be so, in a process of its own."""
    from mlygeo.downloads.ledger import Form, Ledger, Transfer

    def key(number: int) -> int | str:
        """Return an id: a number, or for Panoramax a UUID, whose order has nothing to do with that of numbers."""
        return number if provider == "mapillary" else str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))

    numbers = np.random.default_rng(2).permutation(ids) + 10**15
    pictures = folder / f"pictures_{provider}"
    with Ledger(pictures) as ledger:
        for start in range(0, ids, 10_000):
            rows = []
            for number in range(10**15 + start, 10**15 + min(start + 10_000, ids)):
                path = f"sequence{number // 1000 % 10_000:014d}/{key(number)}.jpg"
                target = pictures / path
                if number % 1000 == 0 or number == 10**15 + start:
                    target.parent.mkdir(exist_ok=True)
                with open(target, "wb") as file:  # noqa: PTH123 - a million of them
                    file.write(b"x")
                rows.append(
                    Transfer(
                        key(number),
                        "done",
                        Form("2048"),
                        path=path,
                        sequence_id="s",
                        bytes=1,
                        checksum="0" * 64,
                        provider=provider,
                    )
                )
            ledger.record(*rows)
    listed = folder / "ids.txt"
    listed.write_text("".join(f"{key(number)}\n" for number in numbers.tolist()))
    spent = subprocess.run(
        [sys.executable, "-c", CHECK, str(pictures), str(listed)], check=True, capture_output=True, text=True
    )
    seconds, busy, megabytes = map(float, spent.stdout.split())
    print(spent.stderr.strip().replace(str(folder), "…"))
    print(
        f"{ids:,} ids of {provider} that are there: {ids / seconds:,.0f} ids/s, start and reading the list included,"
        f" in {busy:.1f} s of the processor; peak {megabytes:.0f} MB"
    )


if __name__ == "__main__":
    main()
