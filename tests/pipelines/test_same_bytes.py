"""What the same inputs give is the same bytes, whenever and wherever it is made: of each verb that writes a dataset."""

import json
import os
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from helpers import vector_tiles
from helpers.command_line import run
from mercantile import Tile, bounds

import mlygeo
from mlygeo.pipelines import provenance

TILE = Tile(8608, 5641, 14)
WEST, SOUTH, EAST, NORTH = bounds(TILE)
BOX = ",".join(str(each) for each in (WEST + 1e-6, SOUTH + 1e-6, EAST - 1e-6, NORTH - 1e-6))


def images(seed, count=400):
    rng = np.random.default_rng(seed)
    return gpd.GeoDataFrame(
        {
            "id": rng.permutation(count) + 1,
            "captured_at": pd.to_datetime(1.6e9 + np.arange(count) * 3, unit="s", utc=True).as_unit("ms"),
            "sequence_id": pd.Series(np.char.add("s", (np.arange(count) // 50).astype(str)), dtype="str"),
            "compass_angle": rng.random(count) * 360,
            "is_pano": rng.random(count) < 0.5,
        },
        geometry=gpd.points_from_xy(rng.uniform(WEST, EAST, count), rng.uniform(SOUTH, NORTH, count)),
        crs=4326,
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A folder with all that the verbs read."""
    folder = tmp_path_factory.mktemp("inputs")
    frame = images(1)
    mlygeo.write_frame(frame, folder / "images.parquet")
    mlygeo.write_frame(frame.iloc[:200].assign(is_pano=True), folder / "later.parquet")
    mlygeo.write_frame(frame, folder / "images.csv")
    mlygeo.partition(folder / "images.parquet", folder / "dataset", rows_per_part=150)
    nodes = np.random.default_rng(2).uniform((WEST, SOUTH), (EAST, NORTH), (30, 2))
    lines = gpd.GeoSeries.from_wkt(
        [f"LINESTRING ({a} {b}, {c} {d})" for (a, b), (c, d) in zip(nodes, nodes[::-1], strict=True)]
    )
    streets = gpd.GeoDataFrame(
        {"u": np.arange(30), "v": np.arange(30)[::-1], "key": 0, "highway": "residential"},
        geometry=lines.to_numpy(), crs=4326,
    )  # fmt: skip
    mlygeo.write_frame(streets, folder / "streets.parquet")
    (folder / "tiles").mkdir()
    rows = [
        {"id": 2**40 + number, "at": (number * 9, number * 7), "captured_at": 1_600_000_000_000 + number}
        for number in range(300)
    ]
    (folder / "tiles" / f"mly1_public_{TILE.x}_{TILE.y}_14.mvt").write_bytes(vector_tiles.tile({"image": rows}))
    shutil.copy(DATA / "osm" / "helsinki_centre.osm.pbf", folder)
    return folder


SELECT = "select --streets streets.parquet --interval 50 --srid 25832 --max-distance 50"
WORKS = {
    "partition": ["partition images.parquet -o out"],
    "partition csv": ["partition images.csv -o out"],
    "partition dataset": ["partition dataset --pano -o out"],
    "add": ["partition images.parquet -o out", "partition later.parquet -o out --add"],
    "streets of a file": ["partition helsinki_centre.osm.pbf -o out"],
    "street points": ["streets --streets streets.parquet --interval 50 --srid 25832 -o out/"],
    "tiles": [f"tiles --bbox={BOX} --tile-cache tiles -o out/"],
    "cut": ["cut dataset -o out/ --workers 1"],
    "cut file": ["cut images.parquet -o out/"],
    "select": [f"{SELECT} --images dataset -o out"],
    "select in parts": [f"{SELECT} --images dataset --workers 1 -o out"],
    "coverage": ["coverage --images dataset --streets streets.parquet --srid 25832 -o out"],
}


def made(work, inputs, folder, monkeypatch, capsys, *, days):
    """Run commands in a copy of the inputs that is some days older; return what is there besides them."""
    shutil.copytree(inputs, folder)
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, ns=(0, path.stat().st_mtime_ns - days * 86_400_000_000_000))
    monkeypatch.chdir(folder)
    before = {path.name for path in folder.iterdir()}
    for command in WORKS[work]:
        status, _, errors = run(capsys, *command.split())
        assert status == 0, errors
    new = [folder / name for name in {path.name for path in folder.iterdir()} - before]
    files = [file for top in new for file in ([top] if top.is_file() else top.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): content_of(file) for file in files}


def content_of(file):
    """Return the bytes of a file; of a summary what it says, but for when that was."""
    if file.name != "summary.json":
        return file.read_bytes()
    return provenance.lasting(json.loads(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize("work", WORKS)
def test_other_folders_and_times_give_the_same_bytes(inputs, tmp_path, monkeypatch, capsys, work):
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", "MLY|1|x")
    first = made(work, inputs, tmp_path / "one" / "inputs", monkeypatch, capsys, days=0)
    second = made(work, inputs, tmp_path / "two" / "elsewhere", monkeypatch, capsys, days=400)
    assert sorted(first) == sorted(second)
    assert [Path(name).name for name, content in first.items() if second[name] != content] == []
