"""The whole job through a stand-in of the service: every tile fetched over real sockets, or said to be missing."""

import json

import mercantile
import pandas as pd
import pytest
from conftest import DATA, STUTTGART
from geopandas.testing import assert_geodataframe_equal
from helpers.tokens import TOKEN

import mlygeo
from mlygeo import cli
from mlygeo.standin import Faults, Imagery, serve

BBOX = "9.1616,48.7624,9.1759,48.7789"
EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
SELECT = ["select", "--bbox", BBOX, "--streets", str(EDGES), "--interval", "50", "--srid", "25832"]
SELECT += ["--method", "percept"]


@pytest.fixture(scope="module")
def imagery():
    """The tiles of the bundled data's images, encoded once for all servers."""
    return Imagery(mlygeo.read_tiles(STUTTGART / "stuttgart_tile_cache"))


@pytest.fixture
def online(imagery, monkeypatch, tmp_path):
    """A stand-in that the environment leads to, with a token that it takes."""
    with serve(imagery, token=TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
        monkeypatch.chdir(tmp_path)
        yield server


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert "0123456789abcdef" not in out + err
    return status, out, err


def expected_pairs():
    expected = pd.read_csv(DATA / "expected" / "stuttgart_50m_selection.csv")
    return list(zip(expected["point_id"], expected["id"], strict=True))


def pairs(folder):
    selection = mlygeo.read_frame(folder / "selection.parquet")
    return list(zip(selection["point_id"], selection["id"], strict=True))


def tiles_of(bbox):
    return len(list(mercantile.tiles(*(float(number) for number in bbox.split(",")), zooms=14)))


def test_tiles_from_the_service_give_the_selection_of_the_cache(online, capsys, tmp_path):
    status, _, err = run(capsys, *SELECT, "-o", tmp_path / "out")
    assert status == 0, err
    assert pairs(tmp_path / "out") == expected_pairs()
    tiles = online.count("tiles")
    assert tiles == json.loads((tmp_path / "out" / "summary.json").read_text())["tiles"]["tiles"]
    status, _, _ = run(capsys, *SELECT, "-o", tmp_path / "again")
    assert status == 0
    assert online.count("tiles") == tiles, "the second run takes every tile from the cache"
    assert pairs(tmp_path / "again") == expected_pairs()


def test_a_service_that_misbehaves_gives_the_same(online, capsys, tmp_path):
    online.faults = Faults(seed=3, first=2, server_error=0.25, drop=0.2, truncate=0.2, html=0.15, rate=0.1)
    status, _, err = run(capsys, *SELECT, "-o", tmp_path / "out")
    assert status == 0, err
    assert pairs(tmp_path / "out") == expected_pairs()


def test_no_token_is_needed_when_every_tile_is_cached(online, capsys, tmp_path, monkeypatch):
    run(capsys, "tiles", "--bbox", BBOX, "--tiles-only")
    monkeypatch.delenv("MAPILLARY_ACCESS_TOKEN")
    status, _, err = run(capsys, *SELECT, "-o", tmp_path / "out")
    assert status == 0, err
    assert pairs(tmp_path / "out") == expected_pairs()


def test_no_token_is_said_before_anything_is_written(online, capsys, tmp_path, monkeypatch):
    monkeypatch.delenv("MAPILLARY_ACCESS_TOKEN")
    status, _, err = run(capsys, *SELECT, "-o", tmp_path / "out")
    assert status == 2
    assert "no access token" in err
    assert online.count() == 0
    assert not (tmp_path / "out").exists()


def test_a_damaged_tile_in_the_cache_is_fetched_again(online, capsys, tmp_path):
    cache = tmp_path / "cache"
    run(capsys, "tiles", "--bbox", BBOX, "--tiles-only", "--tile-cache", cache)
    biggest = max(cache.glob("mly1_public_*"), key=lambda path: path.stat().st_size)
    good = biggest.read_bytes()
    biggest.write_bytes(good[: len(good) // 2])
    online.forget()
    status, _, err = run(capsys, *SELECT, "--tile-cache", cache, "-o", tmp_path / "out")
    assert status == 0, err
    assert online.count("tiles") == 1
    assert biggest.read_bytes() == good
    assert pairs(tmp_path / "out") == expected_pairs()


def test_tiles_that_cannot_be_had_are_named_and_can_be_fetched_later(online, capsys, tmp_path):
    online.faults = Faults(not_found=1.0)
    status, _, err = run(capsys, "tiles", "--bbox", BBOX, "-o", tmp_path / "images.parquet")
    assert status == 3
    listed = (tmp_path / "failed_tiles.txt").read_text().splitlines()
    assert len(listed) == len(set(listed)) == tiles_of(BBOX)
    assert "could not be fetched" in err
    online.faults = Faults()
    online.forget()
    arguments = ["tiles", "--bbox", BBOX, "--tile-list-file", tmp_path / "failed_tiles.txt"]
    status, _, err = run(capsys, *arguments, "-o", tmp_path / "images.parquet")
    assert status == 0, err
    assert online.count("tiles") == len(listed)
    assert len(mlygeo.read_frame(tmp_path / "images.parquet")) > 0


def test_a_dry_run_asks_for_nothing(online, capsys, tmp_path):
    status, _, err = run(capsys, "tiles", "--bbox", BBOX, "--dry-run")
    assert status == 0
    assert "nothing was fetched" in err
    assert online.count() == 0
    assert list(tmp_path.iterdir()) == []


def test_the_functions_fetch_as_the_verbs_do(online, tmp_path):
    region = mlygeo.Region.from_bbox(*(float(number) for number in BBOX.split(",")))
    tiles = mlygeo.fetch_tiles(region, tile_cache=tmp_path / "cache")
    assert set(tiles["status"]) == {"fetched"}
    images = mlygeo.read_tiles(tiles, region=region)
    assert_geodataframe_equal(images, mlygeo.tiles(region, tile_cache=tmp_path / "cache")[images.columns])


SWAPPED = "48.7624,9.1616,48.7789,9.1759"
"""The box with latitudes before longitudes: valid, and in Ethiopia."""


@pytest.mark.parametrize(
    "verb", [["tiles"], ["tiles", "-o", "parts/"], ["select", "--points", "points.csv"], ["download"]]
)
def test_where_a_box_lies_is_said_and_what_it_is_with_its_axes_exchanged(online, capsys, tmp_path, verb):
    (tmp_path / "points.csv").write_text("point_id,lon,lat\n1,48.77,9.17\n")
    status, _, err = run(capsys, verb[0], "--bbox", SWAPPED, *verb[1:])
    assert status == 0, err
    assert "the box is 9.1616–9.1759°N, 48.7624–48.7789°E, 1.8 km by 1.6 km" in err
    assert f"if latitude and longitude are swapped, give --bbox {BBOX}" in err


def test_where_a_box_lies_is_said_before_and_after_its_tiles_are_fetched(online, capsys, tmp_path):
    for more in (["--dry-run"], ["-o", tmp_path / "images.parquet"], ["-o", f"{tmp_path}/parts/"], ["--tiles-only"]):
        status, _, err = run(capsys, "tiles", "--bbox", BBOX, *more)
        assert status == 0, err
        assert "; the box is 48.7624–48.7789°N, 9.1616–9.1759°E, 1 km by 1.8 km" in err
        assert "swapped" not in err
    corners = [[9.1616, 48.7624], [9.1759, 48.7624], [9.1616, 48.7789], [9.1616, 48.7624]]
    (tmp_path / "here.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}))
    status, _, err = run(capsys, "tiles", "--region", tmp_path / "here.geojson", "--dry-run")
    assert status == 0, err
    assert "the box is" not in err
