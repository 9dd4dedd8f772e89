import os
import shutil
import subprocess
import sys

import geopandas as gpd
import mercantile
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA, STUTTGART
from geopandas.testing import assert_geodataframe_equal
from helpers.hostile_server import million_images
from helpers.unix import needs_proc

import mlygeo
from mlygeo import frames
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.providers.mapillary import layers
from mlygeo.providers.mapillary.layers import images_table, read_tiles
from mlygeo.standin import Imagery

CACHE = STUTTGART / "stuttgart_tile_cache"
CONFIG = STUTTGART / "stuttgart_config.json"


def frame(places, first_id=1):
    """Images at places, in one sequence."""
    lon, lat = np.transpose(places)
    number = np.arange(len(lon))
    return frames.conform(
        gpd.GeoDataFrame(
            {
                "id": first_id + number,
                "sequence_id": "s",
                "captured_at": pd.Timestamp("2024-05-01", tz="UTC") + pd.to_timedelta(number, "s"),
                "compass_angle": 0.0,
                "is_pano": False,
            },
            geometry=gpd.points_from_xy(lon, lat, crs=4326),
        ),
        frames.IMAGES,
    )


def names(images):
    return sorted(images["id"].tolist())


def test_a_folder_of_geojson_tiles_as_the_older_tool_leaves_it():
    images = read_tiles(CACHE)
    frames.check(images, frames.IMAGES)
    expected = pd.read_csv(DATA / "stuttgart_mapillary_images.csv", dtype={"id": "int64"})
    assert set(expected["id"]) <= set(images["id"])
    assert images["id"].is_monotonic_increasing
    assert images["id"].is_unique
    assert images.attrs["positions"] == "original"
    assert images.attrs["attribution"] == [frames.MAPILLARY]


def test_only_what_lies_in_the_region():
    region = mlygeo.Region.from_config(CONFIG)
    inside = read_tiles(CACHE, region=region)
    expected = pd.read_csv(DATA / "stuttgart_mapillary_images.csv", dtype={"id": "int64"})
    assert names(inside) == sorted(expected["id"])
    west, south, east, north = inside.total_bounds
    triangle = shapely.Polygon([(west, south), (east, south), (west, north)])
    cut = read_tiles(CACHE, region=mlygeo.Region.from_geometry(triangle))
    assert names(cut) == names(inside[inside.intersects(triangle)])
    assert 0 < len(cut) < len(inside)


def test_an_image_in_two_neighbouring_tiles_counts_once(tmp_path):
    # A few units from the common edge of two tiles, which both hold it since they reach over.
    x, y, _ = mercantile.tile(9.17, 48.8, 14)
    edge = mercantile.bounds(x, y, 14).west
    images = frame([(edge + 1e-5, 48.8), (edge - 1e-5, 48.8), (edge + 5e-3, 48.8)])
    imagery = Imagery(images, buffer=64)
    total = 0
    for column in (x - 1, x):
        data = imagery.tile("mly1_public", 14, column, y)
        total += len(layers.decode(data, column, y))
        (tmp_path / f"mly1_public_{column}_{y}_14.mvt").write_bytes(data)
    assert total == 5
    assert names(read_tiles(tmp_path)) == [1, 2, 3]


def test_the_raw_tile_wins_where_both_kinds_lie_side_by_side(tmp_path):
    source = min(CACHE.iterdir())
    shutil.copy(source, tmp_path)
    x, y = (int(part) for part in source.name.split("_")[2:4])
    before = read_tiles(tmp_path)
    (tmp_path / f"{source.name}.mvt").write_bytes(Imagery(before[:5]).tile("mly1_public", 14, x, y))
    assert names(read_tiles(tmp_path)) == names(before[:5])


def test_computed_positions_lie_in_tiles_of_their_own(tmp_path):
    images = frame([(9.17, 48.77), (9.171, 48.77)])
    images["computed_geometry"] = gpd.GeoSeries.from_xy([9.1705, None], [48.7705, None], crs=4326)
    imagery = Imagery(images)
    x, y, _ = mercantile.tile(9.17, 48.77, 14)
    for tileset in ("mly1_public", "mly1_computed_public"):
        (tmp_path / f"{tileset}_{x}_{y}_14.mvt").write_bytes(imagery.tile(tileset, 14, x, y))
    assert names(read_tiles(tmp_path)) == [1, 2]
    computed = read_tiles(tmp_path, computed=True)
    assert names(computed) == [1]
    assert computed.attrs["positions"] == "computed"
    assert computed.geometry.x[0] == pytest.approx(9.1705, abs=1e-5)


def test_a_frame_of_tiles_names_its_files():
    paths = sorted(str(path) for path in CACHE.iterdir())
    tiles = pd.DataFrame({"status": ["fetched", "cached", "failed"], "path": [*paths[:2], "not there"]})
    assert names(read_tiles(tiles)) == names(read_tiles(paths[:2]))
    assert names(read_tiles(paths[0])) == names(read_tiles([paths[0]]))


def test_an_empty_folder_is_an_empty_frame(tmp_path):
    (tmp_path / "notes.txt").write_text("no tile")
    images = read_tiles(tmp_path)
    frames.check(images, frames.IMAGES)
    assert len(images) == 0
    (tmp_path / "mly1_public_8609_5634_14.mvt").write_bytes(b"")
    assert len(read_tiles(tmp_path)) == 0, "a tile without bytes is a tile without images"


@pytest.mark.parametrize("damage", [b"\x1a\xff\xff", b'{"type": "FeatureCollection", "features": [', b"<html>"])
def test_a_damaged_file_is_named(tmp_path, damage):
    source = min(CACHE.iterdir())
    shutil.copy(source, tmp_path)
    bad = tmp_path / "mly1_public_8609_5634_14"
    bad.write_bytes(damage)
    with pytest.raises(FormatError, match="mly1_public_8609_5634_14 is damaged") as caught:
        read_tiles(tmp_path)
    assert "delete that file" in caught.value.hint
    damaged = []
    table = images_table(sorted(tmp_path.iterdir()), damaged=damaged)
    assert damaged == [bad]
    assert len(table) == len(read_tiles(source))


def test_what_is_no_tile_file(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        read_tiles(tmp_path / "nothing")
    other = tmp_path / "image.jpg"
    other.write_bytes(b"")
    with pytest.raises(FormatError, match=r"image\.jpg is not a file of a tile cache"):
        read_tiles(other)
    if hasattr(os, "mkfifo"):
        pipe = tmp_path / "mly1_public_8609_5642_14.mvt"
        os.mkfifo(pipe)
        with pytest.raises(FileError, match="it is not a file"):
            read_tiles(pipe)


MEASURED = """
import sys
from pathlib import Path
from mlygeo.providers.mapillary import layers
from mlygeo.regions import Region
region = Region.from_bbox(-180, -80, 180, 80) if sys.argv[2] == "all" else Region.from_bbox(0, 0, 1, 1)
paths = sorted(Path(sys.argv[1]).iterdir())
for path in paths:
    layers.check(path.read_bytes(), 8609, 5642)
print(len(layers.images_table(paths, region=region)))
print(next(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@needs_proc
@pytest.mark.parametrize(("where", "images"), [("all", 1), ("elsewhere", 0)])
def test_millions_of_images_take_little_memory(tmp_path, where, images):
    """Four tiles of a million images, of one id, in gzip of some kilobytes: twice as much without a bound."""
    for x in range(8609, 8613):
        (tmp_path / f"mly1_public_{x}_5642_14.mvt").write_bytes(million_images(999_000))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, tmp_path, where], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found, megabytes = map(int, done.stdout.split())
    assert found == images
    assert megabytes < 480


def test_a_tile_that_could_not_be_read_again_is_not_made_geojson():
    table = layers.decode(million_images(layers.MOST_IN_GEOJSON + 1), 8609, 5642)
    with pytest.raises(InputError, match="a tile of 100,001 images cannot be stored as GeoJSON"):
        layers.as_geojson_tile(table)
    whole = table.slice(0, 2_000)
    assert layers.read_geojson_tile(layers.as_geojson_tile(whole))["id"].to_pylist() == [7] * 2_000


@pytest.mark.parametrize("rows", [1, 2, 3, 7])
def test_a_tile_read_in_parts_is_the_tile_read_at_once(rows, monkeypatch):
    data = (DATA / "tiles" / "dietikon" / "mly1_public_8574_5735_14.mvt").read_bytes()
    whole = layers.decode(data, 8574, 5735)
    monkeypatch.setattr(layers, "ROWS_AT_A_TIME", len(whole) // rows)
    parts = layers.decode(data, 8574, 5735)
    assert parts.combine_chunks().equals(whole.combine_chunks(), check_metadata=True)
    assert_geodataframe_equal(layers.read_tile(data, 8574, 5735), frames.from_arrow(whole, frames.IMAGES))
