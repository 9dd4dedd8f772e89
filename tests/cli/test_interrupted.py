"""What a verb says when Ctrl-C ends it is true of that verb: real processes, real signals."""

import os
import signal
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import DATA, STUTTGART
from helpers.picture_downloads import pictures_in
from helpers.processes import ended, start, wait_for
from helpers.tokens import TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo.standin import Faults, serve

CONFIG, EDGES = STUTTGART / "stuttgart_config.json", STUTTGART / "stuttgart_osm_edges.gpkg"

pytestmark = needs_unix("Ctrl-C for another process")


def verb(tmp_path, *words, **environment):
    """A verb that writes what it says into a file, where the test can look on."""
    said = tmp_path / "said.txt"
    with said.open("w") as file:
        process = start([sys.executable, "-m", "mlygeo", *words], stderr=file, env={**os.environ, **environment})
    return process, said


def last_line(process, said):
    process.send_signal(signal.SIGINT)
    ended(process)
    text = said.read_text(encoding="utf-8")
    assert process.returncode == 130, text
    assert "Traceback" not in text
    assert TOKEN not in text
    return text.splitlines()[-1]


def test_a_computation_leaves_nothing(tmp_path):
    """Points every half centimetre: the work shows that it goes on, and is broken off."""
    process, said = verb(tmp_path, "streets", "--streets", EDGES, "--interval", "0.005", "-o", tmp_path / "x.parquet")
    wait_for(lambda: "laying points: " in said.read_text(), process)
    assert last_line(process, said) == "interrupted; nothing was written"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["said.txt"]


@pytest.mark.parametrize("was_there", [True, False])
def test_a_demonstration_leaves_nothing(tmp_path, was_there):
    folder = tmp_path / "demo"
    if was_there:
        folder.mkdir()
    process, said = verb(tmp_path, "demo", "-o", folder)
    wait_for((folder / "mlygeo.toml").exists, process)
    assert last_line(process, said) == "interrupted; nothing was written"
    assert folder.exists() == was_there
    assert not was_there or not list(folder.iterdir())


def test_tiles_are_kept(tmp_path, images):
    cache, target = tmp_path / "cache", tmp_path / "images.parquet"
    words = ("tiles", "--bbox", "9.13,48.75,9.19,48.79", "--tile-cache", cache, "--workers", "1", "-o", target)
    with serve(images, token=TOKEN, faults=Faults(latency=0.3)) as server:
        environment = {"MAPILLARY_TILES_ENDPOINT": server.url, "MAPILLARY_ACCESS_TOKEN": TOKEN}
        process, said = verb(tmp_path, *words, **environment)
        wait_for(lambda: len(list(cache.glob("*.mvt"))) >= 3, process)
        assert last_line(process, said) == (
            "interrupted; the tiles fetched so far are kept: the same command goes on from there"
        )
        assert not target.exists()
        kept = len(list(cache.glob("*.mvt")))
        server.faults = Faults()
        server.forget()
        again, _ = verb(tmp_path, *words, **environment)
        again.wait()
        assert again.returncode == 0
        assert server.count() == len(list(cache.glob("*.mvt"))) - kept
    assert len(mlygeo.read_frame(target)) == len(images)


def test_a_silent_service_leaves_nothing(tmp_path, images):
    target = tmp_path / "out"
    with serve(images, token=TOKEN, faults=Faults(stall=1.0)) as server:
        environment = {"MAPILLARY_TILES_ENDPOINT": server.url, "MAPILLARY_ACCESS_TOKEN": TOKEN}
        words = ("select", "-c", CONFIG, "--streets", EDGES, "--tile-cache", tmp_path / "cache", "-o", target)
        process, said = verb(tmp_path, *words, **environment)
        wait_for(server.count, process)
        assert last_line(process, said) == "interrupted; nothing was written"
    assert not target.exists()


def test_downloads_are_kept(tmp_path, images):
    ids, folder = tmp_path / "ids.txt", tmp_path / "pictures"
    ids.write_text("".join(f"{number}\n" for number in images["id"].iloc[:100]))
    with serve(images, token=TOKEN, faults=Faults(latency=0.1)) as server:
        environment = {"MAPILLARY_GRAPH_API_ENDPOINT": server.url, "MAPILLARY_ACCESS_TOKEN": TOKEN}
        words = (
            "download",
            "--imgid-file",
            ids,
            "--size",
            "256",
            "--workers",
            "1",
            "--required-disk-space",
            "0",
            "-o",
            folder,
        )
        process, said = verb(tmp_path, *words, **environment)
        wait_for(lambda: len(pictures_in(folder)) >= 3, process)
        assert last_line(process, said) == (
            "interrupted; what was downloaded is kept: the same command goes on from there"
        )
        there = len(pictures_in(folder))
        assert len(mlygeo.transfers(folder)) == there < 100


def test_measures_of_pictures_are_kept(tmp_path, images):
    """One round of pictures is done; the others are too many to be done meanwhile."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    many = pd.concat([images] * 10, ignore_index=True)
    many["id"] = np.arange(len(many)) + 1
    for number in many["id"]:
        (folder / f"{number}.jpg").symlink_to(DATA / "photos" / "Nikon_D70.jpg")
    mlygeo.write_frame(many, tmp_path / "images.parquet")
    words = (
        "quality",
        tmp_path / "images.parquet",
        "--pictures",
        folder,
        "--workers",
        "1",
        "-o",
        tmp_path / "x.parquet",
    )
    process, said = verb(tmp_path, *words)
    wait_for((folder / ".mlygeo" / "measured.parquet").exists, process)
    last = last_line(process, said)
    assert last == "interrupted; the measures taken so far are kept: the same command goes on from there"
    assert not (tmp_path / "x.parquet").exists()
