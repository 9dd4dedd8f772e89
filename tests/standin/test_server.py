"""The stand-in: tiles as the service's, and every fault as promised. Asked with the plainest of clients."""

from __future__ import annotations

import gzip
import http.client
import json
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import geopandas as gpd
import mapbox_vector_tile
import mercantile
import numpy as np
import pytest
from conftest import STUTTGART
from helpers.work import without_waiting

from mlygeo import frames
from mlygeo.errors import FrameError
from mlygeo.standin import Faults, serve
from mlygeo.standin.imagery import Imagery

TILE = "/maps/vtp/mly1_public/2/14/8609/5642"


@pytest.fixture(scope="module")
def street_images():
    """The images of the bundled data, read with nothing of ours but the schema."""
    import json as json_

    features = []
    folder = STUTTGART / "stuttgart_tile_cache"
    for path in sorted(folder.iterdir()):
        features += json_.loads(path.read_text())["features"]
    frame = gpd.GeoDataFrame.from_features(features, crs=4326)
    return frames.conform(frame, frames.IMAGES)


def fetch(server, path=TILE, *, token="any", headers=None, timeout=60):
    """Return status, headers and body; nothing is followed, nothing decompressed."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        query = "" if token is None else f"?access_token={token}"
        connection.request("GET", path + query, headers=headers or {})
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


def decoded(body):
    return mapbox_vector_tile.decode(gzip.decompress(body), default_options={"y_coord_down": True})


class TestTiles:
    def test_every_image_is_there_with_its_properties(self, street_images):
        with serve(street_images) as server:
            status, headers, body = fetch(server)
        assert status == 200
        assert headers["Content-Encoding"] == "gzip"
        tile = decoded(body)
        assert list(tile) == ["sequence", "image"]
        assert (tile["image"]["version"], tile["image"]["extent"]) == (2, 4096)
        found = {feature["properties"]["id"]: feature for feature in tile["image"]["features"]}
        assert set(found) == set(street_images["id"])
        assert max(found) > 2**53
        bounds = mercantile.bounds(8609, 5642, 14)
        for row in street_images.itertuples():
            properties = dict(found[row.id]["properties"])
            assert properties.pop("id") == row.id
            assert properties.pop("sequence_id") == row.sequence_id
            assert properties.pop("captured_at") == int(row.captured_at.timestamp() * 1000 + 0.5)
            assert properties.pop("compass_angle") == row.compass_angle
            assert properties.pop("is_pano") is bool(row.is_pano)
            assert properties.pop("creator_id") == row.creator_id
            assert properties == {}, "organization_id is left out where there is none"
            x, y = found[row.id]["geometry"]["coordinates"]
            assert 0 <= x < 4096
            assert 0 <= y < 4096
            # These positions came from a tile, and come back to the same place.
            assert bounds.west + x * (bounds.east - bounds.west) / 4096 == pytest.approx(row.geometry.x, abs=1e-9)
            mercator = mercantile.xy_bounds(8609, 5642, 14)
            north = mercator.top - y * (mercator.top - mercator.bottom) / 4096
            assert mercantile.lnglat(0, north).lat == pytest.approx(row.geometry.y, abs=1e-9)

    def test_features_are_numbered_through(self, street_images):
        tile = mapbox_vector_tile.decode(Imagery(street_images).tile("mly1_public", 14, 8609, 5642))
        lines = [feature["id"] for feature in tile["sequence"]["features"]]
        points = [feature["id"] for feature in tile["image"]["features"]]
        assert lines == list(range(len(lines)))
        assert points == list(range(len(lines) + 1, len(lines) + 1 + len(points)))

    def test_sequences_are_lines_under_their_own_id(self, street_images):
        imagery = Imagery(street_images)
        for zoom in (6, 10, 13, 14):
            x, y, _ = mercantile.tile(9.17, 48.77, zoom)
            tile = mapbox_vector_tile.decode(imagery.tile("mly1_public", zoom, x, y))
            assert ("image" in tile) is (zoom == 14)
            for feature in tile.get("sequence", {"features": []})["features"]:
                properties = feature["properties"]
                own = street_images[street_images["sequence_id"] == properties["id"]]
                assert properties["image_id"] in set(own["id"])
                assert feature["geometry"]["type"] in {"LineString", "MultiLineString"}
            if zoom == 14:
                names = {feature["properties"]["id"] for feature in tile["sequence"]["features"]}
                assert names == set(street_images["sequence_id"])

    def test_the_overview_holds_one_image_a_sequence(self, street_images):
        x, y, _ = mercantile.tile(9.17, 48.77, 5)
        tile = mapbox_vector_tile.decode(Imagery(street_images).tile("mly1_public", 5, x, y))
        assert list(tile) == ["overview"]
        names = [feature["properties"]["sequence_id"] for feature in tile["overview"]["features"]]
        assert sorted(names) == sorted(street_images["sequence_id"].unique())
        assert set(tile["overview"]["features"][0]["properties"]) == {"captured_at", "id", "is_pano", "sequence_id"}

    def test_optional_properties_and_organizations(self, street_images):
        few = street_images.head(2).assign(quality_score=[0.5, np.nan])
        few["organization_id"] = few["organization_id"].where([False, True], 24595874160038714)
        tile = mapbox_vector_tile.decode(Imagery(few).tile("mly1_public", 14, 8609, 5642))
        by_id = {feature["properties"]["id"]: feature["properties"] for feature in tile["image"]["features"]}
        first, second = (by_id[number] for number in few["id"])
        assert (first["organization_id"], first["quality_score"]) == (24595874160038714, 0.5)
        assert "organization_id" not in second
        assert "quality_score" not in second

    def test_computed_positions(self, street_images):
        few = street_images.head(3)
        moved = gpd.GeoSeries(few.translate(xoff=0.001).where([True, True, False]), crs=4326)
        imagery = Imagery(few.assign(computed_geometry=moved))
        tile = mapbox_vector_tile.decode(imagery.tile("mly1_computed_public", 14, 8609, 5642))
        assert {feature["properties"]["id"] for feature in tile["image"]["features"]} == set(few["id"].iloc[:2])
        plain = mapbox_vector_tile.decode(imagery.tile("mly1_public", 14, 8609, 5642))
        assert len(plain["image"]["features"]) == 3

    def test_with_a_buffer_an_image_stands_in_two_tiles(self):
        edge = mercantile.bounds(8609, 5642, 14)
        step = (edge.east - edge.west) / 4096
        images = made([edge.east - 3 * step, edge.east + 3 * step], [48.77, 48.77])
        for buffer, count in ((0, 1), (64, 2)):
            imagery = Imagery(images, buffer=buffer)
            for x in (8609, 8610):
                tile = mapbox_vector_tile.decode(imagery.tile("mly1_public", 14, x, 5642))
                assert len(tile["image"]["features"]) == count

    def test_each_image_is_in_exactly_one_tile_without(self):
        rng = np.random.default_rng(5)
        images = made(rng.uniform(9.1, 9.2, 500), rng.uniform(48.7, 48.8, 500))
        imagery = Imagery(images)
        found = []
        for tile in mercantile.tiles(9.1, 48.7, 9.2, 48.8, 14):
            if body := imagery.tile("mly1_public", 14, tile.x, tile.y):
                layer = mapbox_vector_tile.decode(body).get("image", {"features": []})
                found += [feature["properties"]["id"] for feature in layer["features"]]
        assert sorted(found) == sorted(images["id"])

    def test_no_images_no_bytes(self, street_images):
        with serve(street_images) as server:
            assert fetch(server, "/maps/vtp/mly1_public/2/14/1/1")[::2] == (200, b"")
        with serve(street_images.iloc[:0]) as server:
            assert fetch(server)[::2] == (200, b"")

    def test_a_slash_at_the_end_is_accepted(self, street_images):
        with serve(street_images) as server:
            assert fetch(server, TILE + "/")[2] == fetch(server)[2]

    @pytest.mark.parametrize(
        "path", ["/", "/maps/vtp/other/2/14/1/1", "/maps/vtp/mly1_public/2/15/1/1", "/maps/vtp/mly1_public/2/3/8/1"]
    )
    def test_other_paths_are_not_found(self, street_images, path):
        with serve(street_images) as server:
            assert fetch(server, path)[0] == 404

    def test_what_is_no_images_frame_is_refused(self, street_images):
        with pytest.raises(FrameError), serve(street_images.drop(columns="id")):
            pass


def made(lon, lat):
    count = len(lon)
    frame = gpd.GeoDataFrame(
        {
            "id": np.arange(count) + 26858300993768842,
            "sequence_id": [f"s{number // 10}" for number in range(count)],
            "captured_at": np.arange(count) * 1000 + 1_700_000_000_000,
            "is_pano": False,
        },
        geometry=gpd.points_from_xy(lon, lat, crs=4326),
    )
    return frames.conform(frame, frames.IMAGES)


class TestToken:
    def test_a_token_counts_in_the_query_alone(self, street_images):
        with serve(street_images, token="MLY|1|x") as server:
            assert fetch(server, token="MLY%7C1%7Cx")[0] == 200
            assert fetch(server, token=None, headers={"Authorization": "OAuth MLY|1|x"})[0] == 403
            status, _, body = fetch(server, token=None)
            assert (status, json.loads(body)["error"]["code"]) == (500, 190)
            status, _, body = fetch(server, token="other")
            assert (status, json.loads(body)["error"]["code"]) == (400, 190)

    @pytest.mark.parametrize(("status", "code"), [(400, 190), (401, 190), (500, 190), (403, None)])
    def test_the_ways_to_refuse_one(self, street_images, status, code):
        with serve(street_images, faults=Faults(refuse_token=status)) as server:
            found, _, body = fetch(server)
        assert found == status
        assert (json.loads(body)["error"]["code"] if code else None) == code


class TestFaults:
    @pytest.mark.parametrize(
        ("faults", "status", "code"),
        [
            (Faults(server_error=1), 502, None),
            (Faults(temporary=1), 500, 2),
            (Faults(error_object=1), 200, 2),
            (Faults(query_timeout=1), 400, -2),
            (Faults(too_much=1), 500, 1),
            (Faults(rate=1), 400, 4),
            (Faults(rate=1, rate_answer=613), 400, 613),
            (Faults(rate=1, rate_answer=429), 429, None),
            (Faults(not_found=1), 404, None),
            (Faults(html=1), 200, None),
        ],
    )
    def test_errors(self, street_images, faults, status, code):
        with serve(street_images, faults=faults) as server:
            found, headers, body = fetch(server)
        assert found == status
        if code is not None:
            assert json.loads(body)["error"]["code"] == code
        elif status in {200, 502}:
            assert headers["Content-Type"] == "text/html"
            assert body.startswith(b"<!DOCTYPE html>")

    def test_retry_after(self, street_images):
        for faults in (Faults(rate=1, retry_after="3"), Faults(server_error=1, retry_after="3")):
            with serve(street_images, faults=faults) as server:
                assert fetch(server)[1]["Retry-After"] == "3"

    def test_bodies(self, street_images):
        with serve(street_images) as server:
            whole = fetch(server)[2]
            server.faults = Faults(empty=1)
            assert fetch(server)[2] == b""
            server.faults = Faults(truncate_quietly=1)
            assert fetch(server)[2] == whole[: len(whole) // 2]
            server.faults = Faults(truncate=1)
            with pytest.raises(http.client.IncompleteRead) as caught:
                fetch(server)
            assert caught.value.partial == whole[: len(whole) // 2]
            server.faults = Faults(drop=1)
            with pytest.raises((ConnectionError, http.client.IncompleteRead)):
                fetch(server)
            server.faults = Faults()
            assert fetch(server)[2] == whole

    def test_an_endless_body(self, street_images):
        with (
            serve(street_images, faults=Faults(endless=1)) as server,
            urllib.request.urlopen(server.url + TILE, timeout=60) as response,
        ):
            assert len(response.read(5_000_000)) == 5_000_000

    def test_a_stall_lasts_until_the_server_closes(self, street_images):
        with serve(street_images, faults=Faults(stall=1)) as server:
            with pytest.raises(TimeoutError):
                fetch(server, timeout=0.2)
            without_waiting(server.stop)

    def test_latency(self, street_images):
        with serve(street_images, faults=Faults(latency=0.2)) as server:
            started = time.monotonic()
            fetch(server)
            assert time.monotonic() - started >= 0.2

    def test_a_login_page_after_so_many_tiles(self, street_images):
        with serve(street_images, faults=Faults(login_after=2)) as server:
            assert [fetch(server)[0] for _ in range(4)] == [200, 200, 302, 302]
            _, headers, _ = fetch(server)
            assert urlsplit(headers["Location"]).path == "/login/"
            with urllib.request.urlopen(headers["Location"]) as page:
                assert (page.status, page.headers["Content-Type"]) == (200, "text/html")

    def test_only_the_first_requests_of_a_path(self, street_images):
        with serve(street_images, faults=Faults(not_found=1, first=2)) as server:
            assert [fetch(server)[0] for _ in range(3)] == [404, 404, 200]
            assert fetch(server, TILE.replace("8609", "8608"))[0] == 404

    def test_shares_are_kept_and_do_not_depend_on_the_order(self):
        faults = Faults(seed=3, server_error=0.2, drop=0.3)
        paths = [f"/{number}" for number in range(4000)]
        chosen = {path: faults.choose(path, 0) for path in paths}
        assert chosen == {path: faults.choose(path, 0) for path in reversed(paths)}
        shares = {fault: list(chosen.values()).count(fault) / len(paths) for fault in ("server_error", "drop", None)}
        assert shares == pytest.approx({"server_error": 0.2, "drop": 0.3, None: 0.5}, abs=0.03)
        assert chosen != {path: Faults(seed=4, server_error=0.2, drop=0.3).choose(path, 0) for path in paths}
        assert any(faults.choose(path, 1) != fault for path, fault in chosen.items())

    def test_shares_past_the_whole_are_refused(self):
        with pytest.raises(ValueError, match="add up"):
            Faults(drop=0.6, html=0.6)


class TestRecord:
    def test_requests_are_counted_by_route(self, street_images):
        with serve(street_images) as server:
            fetch(server)
            fetch(server)
            fetch(server, "/login")
            fetch(server, "/nowhere")
            assert (server.count("tiles"), server.count("login"), server.count(), server.count("")) == (2, 1, 4, 1)
            assert server.requests[0].path == TILE
            assert server.requests[0].query == {"access_token": "any"}
            server.forget()
            assert server.count() == 0

    def test_it_listens_on_this_machine_only_and_frees_its_port(self, street_images):
        with serve(street_images) as server:
            port = urlsplit(server.url).port
            assert urlsplit(server.url).hostname == "127.0.0.1"
            assert server.endpoints.tiles == server.url
        with serve(street_images, port=port) as server:
            assert urlsplit(server.url).port == port
        with pytest.raises(ConnectionError):
            fetch(server)
