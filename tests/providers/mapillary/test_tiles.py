"""Fetching tiles from a stand-in that misbehaves: the whole right result, or the right clear error."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import sys
import textwrap
import time
import traceback
from pathlib import Path

import geopandas as gpd
import mapbox_vector_tile
import mercantile
import numpy as np
import pytest
import shapely
from conftest import STUTTGART
from helpers.processes import HANGS_S, ended, start, wait_for
from helpers.tokens import TOKEN
from helpers.unix import needs_unix
from helpers.work import at_most, connections, little_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from mercantile import Tile

from mlygeo import frames
from mlygeo.errors import (
    CredentialsError,
    FileError,
    FormatError,
    InputError,
    NetworkError,
    RegionError,
    ServiceError,
    ThrottledError,
    TokenRejectedError,
)
from mlygeo.net.answers import check_tile
from mlygeo.net.http import Retry
from mlygeo.net.pace import Pace
from mlygeo.progress import LineProgress
from mlygeo.providers.mapillary.service import Service
from mlygeo.providers.mapillary.tile_cache import ZOOM, read_tile_list, tile_name, tile_set, with_costs
from mlygeo.providers.mapillary.tiles import fetch_tiles, plan_tiles
from mlygeo.providers.quota import TileQuota
from mlygeo.providers.tile_cache import plan, region_tiles, tile_boxes
from mlygeo.regions import Region
from mlygeo.standin import Faults, Imagery, serve

SECRET = TOKEN.rsplit("|", 1)[-1]
WEST, SOUTH, EAST, NORTH = 9.08, 48.736, 9.20, 48.80
QUICK = Retry(attempts=5, first_wait=0.01, longest_wait=0.02, rate_wait=0.05)


@pytest.fixture(scope="module")
def images():
    """Six hundred images over 30 tiles, with ids past 2^53."""
    rng = np.random.default_rng(11)
    count = 600
    frame = gpd.GeoDataFrame(
        {
            "id": 26858300993768842 + rng.permutation(count),
            "sequence_id": [f"sequence-{number // 100}" for number in range(count)],
            "captured_at": 1_700_000_000_000 + np.arange(count) * 1000,
            "compass_angle": rng.uniform(0, 360, count),
            "is_pano": rng.random(count) < 0.5,
        },
        geometry=gpd.points_from_xy(rng.uniform(WEST, EAST, count), rng.uniform(SOUTH, NORTH, count), crs=4326),
    )
    return frames.conform(frame, frames.IMAGES)


@pytest.fixture(scope="module")
def imagery(images):
    """The same, encoded once for all servers."""
    return Imagery(images)


@pytest.fixture
def region():
    return Region.from_bbox(WEST, SOUTH, EAST, NORTH)


@pytest.fixture
def small():
    """Six tiles."""
    return Region.from_bbox(9.12, 48.752, 9.15, 48.78)


@pytest.fixture
def service_of(tmp_path):
    def service_of(server, **settings_):
        settings_ = {"retry": QUICK, "pace": Pace(1e6, 10_000), "read_timeout": 5.0, **settings_}
        return Service(endpoints=server.endpoints, token=TOKEN, state_dir=tmp_path / "state", **settings_)

    return service_of


def ids_in(cache: Path) -> list[int]:
    """The ids of all images in the cache, by another decoder."""
    ids = []
    for path in cache.glob("*.mvt"):
        if content := path.read_bytes():
            layer = mapbox_vector_tile.decode(content).get("image", {"features": []})
            ids += [feature["properties"]["id"] for feature in layer["features"]]
    return sorted(ids)


def everything_under(folder: Path) -> str:
    return "".join(path.name + path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())


def whole(tiles, images, cache):
    """The frame says that all was fetched, and all images are there, once."""
    assert set(tiles["status"]) == {"fetched"}
    assert tiles["error"].isna().all()
    assert all(Path(path).is_file() for path in tiles["path"])
    assert ids_in(cache) == sorted(images["id"])
    assert {path.name for path in cache.iterdir()} == {Path(path).name for path in tiles["path"]}


class TestRegionTiles:
    @given(st.floats(-180, 179.9), st.floats(-85, 84.9), st.floats(0.0001, 0.3), st.floats(0.0001, 0.3))
    @settings(max_examples=80)
    def test_a_box_has_the_tiles_that_mercantile_names(self, west, south, width, height):
        box = (west, south, min(west + width, 180.0), south + height)
        expected = sorted(mercantile.tiles(*box, zooms=14))
        assert region_tiles(Region(shapely.box(*box), box, is_box=True), ZOOM) == expected

    def test_a_polygon_has_only_the_tiles_it_meets(self):
        polygon = shapely.Polygon([(9.0, 48.7), (9.3, 48.7), (9.0, 49.0)])
        tiles = region_tiles(Region.from_geometry(polygon), ZOOM)
        box = list(mercantile.tiles(*polygon.bounds, zooms=14))
        expected = [tile for tile in box if polygon.intersects(shapely.box(*mercantile.bounds(tile)))]
        assert tiles == sorted(expected)
        assert len(tiles) < 0.7 * len(box)

    def test_far_parts_do_not_cost_what_lies_between(self):
        parts = shapely.MultiPolygon([shapely.box(-60, 3, -59.9, 3.1), shapely.box(55, 48, 55.1, 48.1)])
        assert len(region_tiles(Region.from_geometry(parts), ZOOM)) < 200

    def test_across_the_antimeridian(self):
        tiles = region_tiles(Region.from_bbox(179.99, -16.8, -179.99, -16.7), ZOOM)
        assert {tile.x for tile in tiles} == {0, 16383}
        assert tiles == sorted([*mercantile.tiles(179.99, -16.8, -179.99, -16.7, 14)])

    def test_near_the_poles(self, caplog):
        edge = region_tiles(Region.from_bbox(10, 85.04, 10.01, 89), ZOOM)
        assert min(tile.y for tile in edge) == 0
        assert "no tiles" in caplog.text
        for south, north, word in ((86, 89, "north"), (-89, -86, "south")):
            with pytest.raises(RegionError, match=rf"85\.0511° {word}") as caught:
                region_tiles(Region.from_bbox(10, south, 11, north), ZOOM)
            assert caught.value.exit_status == 2

    def test_the_world_is_too_much(self):
        with at_most(), little_memory(20e6), pytest.raises(RegionError, match="tiles"):
            region_tiles(Region.from_bbox(-180, -80, 180, 80), ZOOM)

    def test_outlines(self):
        addresses = np.array([[0, 0], [8609, 5642], [16383, 16383]])
        for outline, (x, y) in zip(tile_boxes(addresses, 14), addresses, strict=True):
            assert outline.bounds == pytest.approx(mercantile.bounds(x, y, 14), abs=1e-12)


class TestTileList:
    def test_names_in_many_forms(self, tmp_path):
        path = tmp_path / "list.txt"
        path.write_bytes(
            b"\xef\xbb\xbf# tiles\r\nmly1_public_8608_5641_14\r\n\r\n  cache/mly1_public_8609_5641_14.mvt \r\n"
            b"C:\\cache\\mly1_public_1_2_14.geojson\nmly1_computed_public_3_4_14\nmly1_public_8608_5641_14"
        )
        assert read_tile_list(path) == {
            "mly1_public_8608_5641_14",
            "mly1_public_8609_5641_14",
            "mly1_public_1_2_14",
            "mly1_computed_public_3_4_14",
        }

    @pytest.mark.parametrize(
        "line", ["hello", "mly1_public_8608_5641_13", "mly1_public_99999_1_14", "mly1_public_-1_1_14", "8608 5641"]
    )
    def test_what_is_no_name_is_an_error_that_names_the_line(self, tmp_path, line):
        path = tmp_path / "list.txt"
        path.write_text(f"mly1_public_8608_5641_14\n{line}\n")
        with pytest.raises(InputError, match="line 2"):
            read_tile_list(path)

    @pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
    def test_an_empty_list_never_means_everything(self, tmp_path, text):
        (tmp_path / "list.txt").write_text(text)
        with pytest.raises(InputError, match="names no tile"):
            read_tile_list(tmp_path / "list.txt")

    def test_a_missing_list(self, tmp_path):
        with pytest.raises(FileError, match=r"nothing\.txt"):
            read_tile_list(tmp_path / "nothing.txt")

    def test_only_listed_tiles_are_fetched(self, imagery, small, tmp_path, service_of):
        names = [tile_name(tile) for tile in region_tiles(small, ZOOM)]
        (tmp_path / "list").write_text("\n".join([*names[:2], "mly1_public_1_1_14"]))
        with serve(imagery) as server:
            tiles = fetch_tiles(
                small, tile_cache=tmp_path / "cache", service=service_of(server), tile_list_file=tmp_path / "list"
            )
            assert server.count() == 2
        assert tiles["status"].tolist() == ["fetched"] * 2 + ["skipped"] * (len(names) - 2)
        assert tiles["path"].isna().tolist() == [False] * 2 + [True] * (len(names) - 2)

    def test_a_list_of_other_places(self, small, tmp_path):
        (tmp_path / "list").write_text("mly1_public_1_1_14\n")
        with pytest.raises(InputError, match="none of the 6 tiles"):
            fetch_tiles(small, tile_cache=tmp_path, tile_list_file=tmp_path / "list")


class TestFetch:
    def test_all_of_a_region_and_then_nothing_more(self, images, imagery, region, tmp_path, service_of, caplog):
        caplog.set_level(logging.INFO, "mlygeo")
        cache = tmp_path / "cache"
        with serve(imagery, token=TOKEN) as server:
            tiles = fetch_tiles(region, tile_cache=cache, service=service_of(server))
            whole(tiles, images, cache)
            assert server.count() == len(tiles) == len(region_tiles(region, ZOOM))
            again = fetch_tiles(region, tile_cache=cache, service=service_of(server))
            assert server.count() == len(tiles)
        assert set(again["status"]) == {"cached"}
        assert again["path"].equals(tiles["path"])
        assert "30 tiles of the bounding box: 0 cached, 30 fetched, 0 failed" in caplog.text

    def test_the_frame(self, imagery, small, tmp_path, service_of):
        with serve(imagery) as server:
            tiles = fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))
        dtypes = {name: str(dtype) for name, dtype in tiles.dtypes.items()}
        assert dtypes == {
            "x": "int64", "y": "int64", "zoom": "int64",
            "path": "str", "status": "str", "error": "str", "geometry": "geometry",
        }  # fmt: skip
        assert tiles.crs.to_epsg() == 4326
        for row in tiles.itertuples():
            assert row.geometry.bounds == pytest.approx(mercantile.bounds(row.x, row.y, row.zoom), abs=1e-12)
            assert Path(row.path).name == f"mly1_public_{row.x}_{row.y}_{row.zoom}.mvt"

    def test_a_cached_region_takes_no_token_and_no_network(self, imagery, small, tmp_path, service_of, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with serve(imagery) as server:
            fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))
        assert set(fetch_tiles(small, tile_cache=tmp_path / "c")["status"]) == {"cached"}

    def test_a_missing_tile_takes_a_token_before_anything_starts(
        self, imagery, small, tmp_path, service_of, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        with serve(imagery) as server:
            tiles = fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))
            for path in tiles["path"][:2]:
                Path(path).unlink()
            asked = server.count()
            monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", server.url)
            with pytest.raises(CredentialsError, match="2 of 6 tiles are not in the tile cache") as caught:
                fetch_tiles(small, tile_cache=tmp_path / "c")
            assert "https://www.mapillary.com/dashboard/developers" in caught.value.hint
            with pytest.raises(CredentialsError, match="2 of 6"):
                fetch_tiles(small, tile_cache=tmp_path / "c", service=Service(endpoints=server.endpoints))
            assert server.count() == asked
            monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", TOKEN)
            assert fetch_tiles(small, tile_cache=tmp_path / "c")["status"].tolist() == ["fetched"] * 2 + ["cached"] * 4
            assert server.count() == asked + 2

    def test_the_users_cache_folder_is_the_default(self, imagery, small, service_of, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        with serve(imagery) as server:
            tiles = fetch_tiles(small, service=service_of(server))
        assert Path(tiles["path"][0]).parent == tmp_path / "cache" / "mlygeo" / "tiles"

    def test_computed_positions_have_files_of_their_own(self, imagery, small, service_of, tmp_path):
        with serve(imagery) as server:
            fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))
            tiles = fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server), computed=True)
        assert set(tiles["status"]) == {"fetched"}
        assert all("mly1_computed_public_" in path for path in tiles["path"])
        assert len(list((tmp_path / "c").iterdir())) == 12

    def test_tiles_without_images_are_files_of_zero_bytes(self, images, small, service_of, tmp_path):
        with serve(images.iloc[:0]) as server:
            tiles = fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))
            assert {Path(path).stat().st_size for path in tiles["path"]} == {0}
            assert set(fetch_tiles(small, tile_cache=tmp_path / "c")["status"]) == {"cached"}

    def test_several_at_a_time(self, imagery, region, tmp_path, service_of):
        with serve(imagery, faults=Faults(latency=0.3)) as server:
            fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server), workers=6)
            assert server.most_at_once == 6
        with serve(imagery) as server:
            fetch_tiles(region, tile_cache=tmp_path / "d", service=service_of(server), workers=1)
            assert server.most_at_once == 1
        with pytest.raises(InputError, match="0 workers"):
            fetch_tiles(region, workers=0)

    def test_progress_counts_what_is_fetched(self, imagery, small, tmp_path, service_of, capsys):
        with serve(imagery) as server:
            fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))
            assert capsys.readouterr() == ("", "")
            fetch_tiles(
                small, tile_cache=tmp_path / "c", service=service_of(server), overwrite=True, progress=LineProgress()
            )
        assert "tiles: 6 of 6 tiles" in capsys.readouterr().err

    def test_the_pace_is_kept(self, imagery, small, tmp_path, service_of):
        with serve(imagery) as server:
            started = time.monotonic()
            fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server, pace=Pace(600, 2)))
            assert time.monotonic() - started >= 0.4
            times = sorted(request.started for request in server.requests)
        assert (np.array(times) - started >= [0, 0, 0.1, 0.2, 0.3, 0.4]).all()


class TestCache:
    def test_files_of_percept_are_taken_as_they_are(self, tmp_path):
        bundled = STUTTGART / "stuttgart_tile_cache"
        tiles = fetch_tiles(Region.from_bbox(9.1616, 48.7624, 9.1759, 48.7789), tile_cache=bundled)
        assert set(tiles["status"]) == {"cached"}
        assert sorted(Path(path).name for path in tiles["path"]) == sorted(path.name for path in bundled.iterdir())

    def test_a_vector_tile_beside_them_wins_and_an_empty_one_is_none(self, imagery, small, tmp_path, service_of):
        first, second, *rest = region_tiles(small, ZOOM)
        for tile in (first, second):
            (tmp_path / tile_name(tile)).write_text('{"type": "FeatureCollection", "features": []}')
        (tmp_path / f"{tile_name(second)}.mvt").write_bytes(b"")
        (tmp_path / tile_name(rest[0])).write_bytes(b"")
        work = plan([first, second, *rest], tmp_path, tile_set())
        assert work.files == {first: tmp_path / tile_name(first), second: tmp_path / f"{tile_name(second)}.mvt"}
        assert work.missing == tuple(rest)
        with serve(imagery) as server:
            fetch_tiles(small, tile_cache=tmp_path, service=service_of(server))
            assert server.count() == len(rest)

    def test_max_age(self, imagery, small, tmp_path, service_of):
        with serve(imagery) as server:
            tiles = fetch_tiles(small, tile_cache=tmp_path, service=service_of(server))
            for path, days in zip(tiles["path"], (0, 1, 5, 9, 20, 400), strict=True):
                os.utime(path, (time.time() - days * 86_400,) * 2)
            found = fetch_tiles(small, tile_cache=tmp_path, service=service_of(server), max_age=7)
            assert found["status"].tolist() == ["cached"] * 3 + ["fetched"] * 3
            assert set(fetch_tiles(small, tile_cache=tmp_path, max_age=7)["status"]) == {"cached"}
            assert set(fetch_tiles(small, tile_cache=tmp_path, service=service_of(server), max_age=0)["status"]) == {
                "fetched"
            }

    @pytest.mark.parametrize("age", [-1, float("nan"), float("inf")])
    def test_what_is_no_age(self, small, tmp_path, age):
        with pytest.raises(InputError, match="age"):
            fetch_tiles(small, tile_cache=tmp_path, max_age=age)

    def test_overwrite_fetches_anew_and_keeps_the_old_file_where_that_fails(self, imagery, small, tmp_path, service_of):
        with serve(imagery) as server:
            tiles = fetch_tiles(small, tile_cache=tmp_path, service=service_of(server))
            Path(tiles["path"][0]).write_bytes(b"\x1a\x00")
            fetch_tiles(small, tile_cache=tmp_path, service=service_of(server), overwrite=True)
            assert Path(tiles["path"][0]).read_bytes() != b"\x1a\x00"
            before = {path: path.read_bytes() for path in tmp_path.glob("*.mvt")}
            server.faults = Faults(server_error=1)
            failed = fetch_tiles(small, tile_cache=tmp_path, service=service_of(server), overwrite=True)
        assert set(failed["status"]) == {"failed"}
        assert failed["path"].equals(tiles["path"])
        assert {path: path.read_bytes() for path in tmp_path.glob("*.mvt")} == before

    def test_leftovers_of_killed_runs_are_cleared_once_old(self, imagery, small, tmp_path, service_of):
        tile, new = "mly1_public_1_1_14.mvt", ".mly1_public_1_1_14.mvt.new_abcd.part"
        of_the_user = (".holiday.part", ".mly1_public_2_2_14.mvt.mine_abc.part")
        for name, inside, age in (
            (".mly1_public_1_1_14.mvt.old_abcd.part", tile, 7200),
            (new, tile, 60),
            *((name, "photo.jpg", 7200) for name in of_the_user),
        ):
            (tmp_path / name).mkdir()
            (tmp_path / name / inside).write_text("half")
            for path in (tmp_path / name / inside, tmp_path / name):
                os.utime(path, (time.time() - age,) * 2)
        with serve(imagery) as server:
            fetch_tiles(small, tile_cache=tmp_path, service=service_of(server))
        assert sorted(path.name for path in tmp_path.glob(".*")) == sorted([new, *of_the_user])
        assert all((tmp_path / name / "photo.jpg").exists() for name in of_the_user), "what is not ours stays"

    def test_a_cache_that_is_a_file(self, small, tmp_path, imagery, service_of):
        (tmp_path / "file").write_text("")
        with serve(imagery) as server, pytest.raises(FileError, match="file"):
            fetch_tiles(small, tile_cache=tmp_path / "file", service=service_of(server))

    def test_damaged_files_are_fetched_anew(self, imagery, small, tmp_path, service_of):
        with serve(imagery) as server:
            tiles = fetch_tiles(small, tile_cache=tmp_path, service=service_of(server))
            broken = Path(tiles["path"][3])
            good = broken.read_bytes()
            broken.write_bytes(b"broken")
            again = fetch_tiles(small, tile_cache=tmp_path, service=service_of(server), damaged=[broken])
        assert again["status"].tolist() == ["cached"] * 3 + ["fetched"] + ["cached"] * 2
        assert broken.read_bytes() == good

    def test_a_dry_run_asks_for_nothing(self, imagery, small, tmp_path, service_of):
        with serve(imagery) as server:
            service = service_of(server)
            tiles = fetch_tiles(small, tile_cache=tmp_path / "c", service=service, dry_run=True)
            work = plan_tiles(small, tile_cache=tmp_path / "c", service=service)
            assert server.count() == 0
        assert set(tiles["status"]) == {"missing"}
        assert tiles["path"].isna().all()
        assert len(work.missing) == 6
        assert not (tmp_path / "c").exists()

    def test_the_plan(self, small, tmp_path):
        tiles = region_tiles(small, ZOOM)
        service = Service(pace=Pace(60, 4), tiles_a_day=4)
        quota = TileQuota(TOKEN, pace=service.pace, limit=4, folder=tmp_path / "state")
        work = with_costs(plan(tiles, tmp_path, tile_set()), service, quota)
        assert (work.days, work.used_today) == (2, 0)
        assert work.seconds == pytest.approx(2, abs=0.1)
        assert str(work) == "6 tiles, 0 cached, 6 to fetch (over 2 days, for the service's daily limit)"
        for tile in tiles[:5]:
            (tmp_path / f"{tile_name(tile)}.mvt").touch()
        quota.take()
        work = with_costs(plan(tiles, tmp_path, tile_set()), service, quota)
        assert (work.days, work.used_today, work.missing) == (1, 1, (tiles[5],))
        slow = with_costs(plan(tiles, tmp_path / "x", tile_set()), Service(pace=Pace(2, 1)), quota)
        assert str(slow) == "6 tiles, 0 cached, 6 to fetch (about 3 min)"
        assert with_costs(plan(tiles[:5], tmp_path, tile_set()), service, quota).days == 0


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [
            {"server_error": 1}, {"temporary": 1}, {"query_timeout": 1}, {"not_found": 1}, {"html": 1},
            {"error_object": 1}, {"drop": 1}, {"truncate": 1}, {"truncate_quietly": 1}, {"endless": 1}, {"stall": 1},
            {"rate": 1}, {"rate": 1, "rate_answer": 429}, {"server_error": 1, "retry_after": "0"},
        ],
        ids=str,
    )  # fmt: skip
    def test_what_passes_leaves_no_trace(self, images, imagery, region, tmp_path, service_of, fault):
        cache = tmp_path / "c"
        # Short where the test waits for it, else long: a busy machine's answer must not count as silence.
        service = {"read_timeout": 0.3 if "stall" in fault else 10, "longest_body": 3_000_000}
        with serve(imagery, faults=Faults(first=1, **fault)) as server:
            tiles = fetch_tiles(region, tile_cache=cache, service=service_of(server, **service), workers=8)
            whole(tiles, images, cache)
            assert server.count() == 2 * len(tiles)

    def test_all_of_them_at_once(self, images, imagery, region, tmp_path, service_of):
        shares = dict.fromkeys(
            ("server_error", "temporary", "not_found", "html", "drop", "truncate", "truncate_quietly"), 0.08
        )
        with serve(imagery, faults=Faults(seed=1, **shares)) as server:
            settings_ = {"retry": Retry(attempts=12, first_wait=0.01, longest_wait=0.02)}
            tiles = fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server, **settings_), workers=8)
        whole(tiles, images, tmp_path / "c")

    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            ("server_error", "502"), ("temporary", "code 2"), ("not_found", "404"), ("html", "web page"),
            ("error_object", "code 2"), ("truncate_quietly", "cut short"), ("query_timeout", "code -2"),
        ],
    )  # fmt: skip
    def test_a_tile_that_fails_for_good_is_unknown_and_never_empty(
        self, imagery, small, tmp_path, service_of, fault, says
    ):
        broken = region_tiles(small, ZOOM)[2]

        class Only(Faults):
            def choose(self, path, times):
                return super().choose(path, times) if path.endswith(f"/14/{broken.x}/{broken.y}") else None

        with serve(imagery, faults=Only(**{fault: 1})) as server:
            tiles = fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))
            assert server.count() == 5 + 5
        row = tiles.iloc[2]
        assert tiles["status"].tolist() == ["fetched", "fetched", "failed", "fetched", "fetched", "fetched"]
        assert says in row["error"]
        assert f"tile 14/{broken.x}/{broken.y}" in row["error"]
        assert tiles["path"].isna().tolist() == [False, False, True, False, False, False]
        assert not list((tmp_path / "c").glob(f"*{broken.x}_{broken.y}*"))
        with serve(imagery) as server:
            assert fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))["status"][2] == "fetched"
            assert server.count() == 1

    def test_an_address_that_is_throttled_stops_and_keeps_what_is_done(
        self, images, imagery, region, tmp_path, service_of
    ):
        with serve(imagery, faults=Faults(login_after=11)) as server:
            with pytest.raises(ThrottledError, match="11 of 30 missing tiles were fetched") as caught:
                fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server))
            assert "throttled" in str(caught.value)
            assert "wait" in caught.value.hint
            assert server.count("login") == 0
            assert server.count("tiles") <= 11 + 4
        assert len(list((tmp_path / "c").glob("*.mvt"))) == 11
        with serve(imagery) as server:
            tiles = fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server))
            assert server.count() == 19
        assert tiles["status"].value_counts().to_dict() == {"fetched": 19, "cached": 11}
        assert ids_in(tmp_path / "c") == sorted(images["id"])

    @pytest.mark.parametrize("status", [400, 401, 403, 500])
    def test_a_refused_token_stops_at_once(self, imagery, region, tmp_path, service_of, status):
        with serve(imagery, faults=Faults(refuse_token=status)) as server:
            with pytest.raises(TokenRejectedError, match="0 of 30"):
                fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server))
            assert server.count() <= 4
        assert not list((tmp_path / "c").iterdir())

    def test_another_token_than_the_service_knows(self, imagery, small, tmp_path, service_of):
        with serve(imagery, token="MLY|1|other") as server, pytest.raises(TokenRejectedError):
            fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))

    def test_too_many_requests_for_ever(self, imagery, small, tmp_path, service_of):
        with serve(imagery, faults=Faults(rate=1)) as server, pytest.raises(ThrottledError, match="too many requests"):
            fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server))

    def test_no_network_is_one_error(self, small, region, tmp_path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        from mlygeo.providers.mapillary.service import Endpoints

        nowhere = Service(
            endpoints=Endpoints(tiles=f"http://127.0.0.1:{port}"), token=TOKEN, retry=QUICK, state_dir=tmp_path / "s"
        )
        for place in (small, region):
            with connections() as attempts, pytest.raises(NetworkError, match="refused") as caught:
                fetch_tiles(place, tile_cache=tmp_path / "c", service=nowhere)
            assert 0 < len(attempts) < 100
            assert caught.value.exit_status == 1

    def test_a_service_that_is_down_is_not_asked_for_every_tile(self, imagery, region, tmp_path, service_of):
        with serve(imagery, faults=Faults(server_error=1)) as server:
            with pytest.raises(ServiceError, match="502"):
                fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server))
            assert server.count() < 5 * 30

    def test_an_area_of_404_is_not_a_service_that_is_down(self, imagery, region, tmp_path, service_of):
        with serve(imagery, faults=Faults(not_found=1)) as server:
            tiles = fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server), workers=8)
        assert set(tiles["status"]) == {"failed"}
        assert not list((tmp_path / "c").iterdir())

    def test_the_daily_limit(self, images, imagery, region, tmp_path, service_of):
        with serve(imagery) as server:
            with pytest.raises(ThrottledError, match="limit is 20 a day") as caught:
                fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server, tiles_a_day=20))
            assert server.count() == 20
            assert "tomorrow" in caught.value.hint
            with pytest.raises(ThrottledError):
                fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server, tiles_a_day=20))
            assert server.count() == 20
            fetch_tiles(region, tile_cache=tmp_path / "c", service=service_of(server, tiles_a_day=30))
            assert server.count() == 30
        assert ids_in(tmp_path / "c") == sorted(images["id"])

    def test_a_validator_of_ones_own(self, imagery, small, tmp_path, service_of):
        seen = []

        def validate(content, x, y):
            seen.append((x, y))
            if seen.count((x, y)) == 1:
                raise FormatError("not to my taste")

        with serve(imagery) as server:
            tiles = fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server), validate=validate)
        assert set(tiles["status"]) == {"fetched"}
        assert set(seen) == {(tile.x, tile.y) for tile in region_tiles(small, ZOOM)}
        assert len(seen) == 12

    def test_a_mistake_in_a_validator_comes_out(self, imagery, small, tmp_path, service_of):
        def validate(content, x, y):
            raise KeyError("mistake")

        with serve(imagery) as server, pytest.raises(KeyError, match="mistake"):
            fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server), validate=validate)

    def test_the_token_is_in_no_file_log_or_error(self, imagery, small, tmp_path, service_of, caplog):
        caplog.set_level(logging.DEBUG)
        result = ""
        for faults in (Faults(), Faults(drop=1), Faults(login_after=3), Faults(refuse_token=400), Faults(rate=1)):
            with serve(imagery, faults=faults, token=TOKEN) as server:
                try:
                    fetch_tiles(small, tile_cache=tmp_path / "c", service=service_of(server), overwrite=True)
                except ServiceError as error:
                    result += "".join(traceback.format_exception(error)) + str(error.hint) + repr(error.__context__)
        assert result.count("Error") >= 4
        assert SECRET not in result
        assert "access_token=…" in caplog.text
        assert SECRET not in caplog.text
        assert SECRET not in everything_under(tmp_path)
        assert (tmp_path / "state" / "tile_requests.json").exists()


PROGRAM = """
    import resource, signal, sys
    from mlygeo.providers.mapillary.service import Endpoints
    from mlygeo.errors import MlygeoError
    from mlygeo.regions import Region
    from mlygeo.providers.mapillary.service import Service
    from mlygeo.providers.mapillary.tiles import fetch_tiles
    url, cache, state, limit = sys.argv[1:]
    if int(limit):
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    service = Service(endpoints=Endpoints(tiles=url), token="MLY|1|x", state_dir=__import__("pathlib").Path(state))
    try:
        fetch_tiles(Region.from_bbox(9.08, 48.736, 9.20, 48.80), tile_cache=cache, service=service)
    except MlygeoError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
"""


def started(server, cache, state, *, limit=0):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), server.url, str(cache), str(state), str(limit)]
    return start(command)


@needs_unix("signals of Unix")
class TestInterruption:
    def test_a_killed_run_leaves_whole_files_and_the_next_one_goes_on(
        self, images, imagery, region, tmp_path, service_of
    ):
        cache = tmp_path / "c"
        with serve(imagery, faults=Faults(latency=0.5)) as server:
            process = started(server, cache, tmp_path / "s")
            wait_for(lambda: len(list(cache.glob("*.mvt"))) >= 6, process)
            process.kill()
            process.communicate()
            left = list(cache.glob("*.mvt"))
            assert 6 <= len(left) < 30
            server.faults = Faults()
            with_images = {path.name: served(imagery, path) for path in left}
            assert {path.name: path.read_bytes() for path in left} == with_images
            server.forget()
            tiles = fetch_tiles(region, tile_cache=cache, service=service_of(server))
            assert server.count() == 30 - len(left)
        assert tiles["status"].value_counts().to_dict() == {"fetched": 30 - len(left), "cached": len(left)}
        assert ids_in(cache) == sorted(images["id"])

    @pytest.mark.parametrize("faults", [Faults(latency=3), Faults(stall=1)], ids=["at work", "silent socket"])
    def test_ctrl_c_waits_for_nothing(self, imagery, tmp_path, faults):
        cache = tmp_path / "c"
        with serve(imagery, faults=faults) as server:
            process = started(server, cache, tmp_path / "s")
            wait_for(lambda: server.count() >= 4, process)
            process.send_signal(signal.SIGINT)
            _, error = ended(process)
            assert server.count() < 30, "the tiles that were left were fetched all the same"
        assert process.returncode == 130
        assert error == ""
        assert not list(cache.glob(".*"))
        for path in cache.glob("*.mvt"):
            assert path.read_bytes() == served(imagery, path)

    def test_a_disk_without_room_is_reported_and_harms_nothing(self, imagery, tmp_path):
        cache = tmp_path / "c"
        cache.mkdir()
        old = cache / f"{tile_name(Tile(1, 1, 14))}.mvt"
        old.write_bytes(b"\x1a\x00")
        with serve(imagery) as server:
            process = started(server, cache, tmp_path / "s", limit=1000)
            _, error = process.communicate(timeout=HANGS_S)
        assert process.returncode == 1
        assert error.startswith("FileError: ")
        assert os.strerror(errno.EFBIG) in error
        assert error.count("\n") == 1
        assert not list(cache.glob(".*"))
        assert old.read_bytes() == b"\x1a\x00"
        for path in set(cache.glob("*.mvt")) - {old}:
            assert path.read_bytes() == served(imagery, path)


def served(imagery, path: Path) -> bytes:
    """The bytes that the stand-in serves for a cache file."""
    _, _, x, y, _ = path.stem.split("_")
    return imagery.tile("mly1_public", 14, int(x), int(y))


class TestCheckTile:
    def test_real_and_made_tiles_pass(self, imagery):
        check_tile(b"")
        for x, y, _ in region_tiles(Region.from_bbox(WEST, SOUTH, EAST, NORTH), ZOOM):
            check_tile(served(imagery, Path(f"mly1_public_{x}_{y}_14.mvt")))

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"<!DOCTYPE html><html></html>", "web page"),
            (b"  \n<HTML>", "web page"),
            (b'{"error": {"message": "x"}}', "JSON"),
            (b"[]", "JSON"),
            (b"Not Found", "not a vector tile|cut short"),
            (b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "not a vector tile"),
            (b"\x1a\x05ab", "cut short"),
            (b"\x1a", "cut short"),
            (b"\x18\x01", "not a vector tile"),
            (bytes(100), "not a vector tile"),
        ],
    )
    def test_what_is_no_tile_is_reported(self, content, says):
        with pytest.raises(FormatError, match=says):
            check_tile(content)

    def test_a_tile_that_is_cut_anywhere_but_between_layers_is_reported(self, imagery):
        content = served(imagery, Path("mly1_public_8608_5642_14.mvt"))
        layers = mapbox_vector_tile.decode(content)
        passed = 0
        for length in range(1, len(content)):
            try:
                check_tile(content[:length])
            except FormatError:
                continue
            passed += 1
        assert passed == len(layers) - 1

    @given(st.binary(max_size=60))
    def test_any_bytes_get_a_verdict(self, content):
        try:
            check_tile(content)
        except FormatError as error:
            assert str(error)  # noqa: PT017 - whatever the bytes are, nothing else is raised
