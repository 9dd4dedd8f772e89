"""Panoramax's side of the stand-in: as the real server answers, and with the faults that the real one has."""

from __future__ import annotations

import io
import json
import math
import urllib.parse
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.plain_client import ask
from helpers.scripted_server import QUICK
from PIL import Image

from mlygeo import frames, standin
from mlygeo.errors import FrameError, InputError
from mlygeo.net.answers import GoneError
from mlygeo.providers.panoramax import items
from mlygeo.providers.panoramax.api import Api
from mlygeo.providers.panoramax.layers import images_frame, images_table
from mlygeo.providers.panoramax.service import Endpoints, Service
from mlygeo.providers.panoramax.tiles import fetch_tiles
from mlygeo.regions import Region
from mlygeo.standin.faults import PASSING_PANORAMAX

PLACE = Region.from_bbox(9.1195, 48.7045, 9.1225, 48.7085)
PARIS = Region.from_bbox(2.34, 48.85, 2.36, 48.86)
NOBODY = "00000000-0000-4000-8000-000000000000"


def made(count=60, *, sequences=3, **columns):
    """Pictures of Panoramax along lines, of two users, each under a licence of its own."""
    number = np.arange(count)
    ids = [f"{n:08x}-0000-4000-8000-000000000000" for n in number]
    lines = [f"{n % sequences:08x}-1111-4000-8000-000000000000" for n in number]
    table = {
        "id": ids,
        "provider": "panoramax",
        "sequence_id": lines,
        "captured_at": pd.Timestamp("2024-05-01T10:00:00.000001Z") + pd.to_timedelta(number, unit="s"),
        "compass_angle": (number * 7.0) % 360,
        "compass_source": np.where(number % 2 == 0, "measured", "computed"),
        "is_pano": number % sequences == 1,
        "creator_id": [f"{n % 2:08x}-2222-4000-8000-000000000000" for n in number % sequences],
        "creator": np.where(number % sequences % 2 == 0, "Ada", "Åsa Öberg"),
        "licence": np.where(number % 3 == 0, "etalab-2.0", "CC-BY-SA-4.0"),
        "licence_url": np.where(number % 3 == 0, None, "https://creativecommons.org/licenses/by-sa/4.0/"),
        "altitude": number / 4 - 3,
        "width": 4000,
        "height": 3000,
        **columns,
    }
    points = gpd.points_from_xy(9.17 + number * 1e-4, 48.77 + (number % sequences) * 1e-3, crs=4326)
    return frames.conform(gpd.GeoDataFrame(table, geometry=points), frames.IMAGES)


def service_of(url, **more):
    return Service(endpoints=Endpoints(url), retry=QUICK, **more)


def found_in(url, region, **conditions):
    with Api(service_of(url), workers=4) as api:
        search = api.search(bbox=region, **conditions)
        found = [item for batch in search for item in batch]
        assert search.complete, search.shortcomings()
    problems = {}
    frame = items.images_frame(found, problems=problems)
    assert problems == {}
    return frame.sort_values("id", ignore_index=True)


def in_tiles(url, region, cache):
    tiles = fetch_tiles(region, tile_cache=cache, service=service_of(url))
    images = images_frame(images_table(map(Path, tiles["path"]), region=region))
    return images.sort_values("id", ignore_index=True)


def refused(url):
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(url, timeout=20)
    return caught.value.code, caught.value.headers["Content-Type"], caught.value.read()


def test_the_same_frames_as_from_a_real_server(panoramax, tmp_path):
    """Everything that is read from a real server, served by the stand-in, is read again as it was."""
    real = pd.concat([found_in(panoramax.api, PLACE), found_in(panoramax.api, PARIS)], ignore_index=True)
    real = frames.conform(real, frames.IMAGES)
    assert len(real) > 100
    assert set(real["compass_source"].dropna()) == {"measured", "computed"}
    with standin.serve(real) as server:
        for number, region in enumerate((PLACE, PARIS)):
            expected, got = found_in(panoramax.api, region), found_in(server.panoramax, region)
            assert list(got) == list(expected)
            for name in expected:
                said = got[name]
                if name in {"hd_url", "sd_url", "thumb_url", "tiles_url"}:
                    said = said.str.replace(server.panoramax, panoramax.api)
                pd.testing.assert_series_equal(pd.Series(said), pd.Series(expected[name]), obj=name)
            of_tiles = [
                in_tiles(url, region, tmp_path / f"{host}{number}")
                for host, url in (("real", panoramax.api), ("standin", server.panoramax))
            ]
            pd.testing.assert_frame_equal(*of_tiles)
        with Api(service_of(panoramax.api)) as of_real, Api(service_of(server.panoramax)) as api:
            name = real["creator"].iloc[0]
            assert api.user_ids(name) == of_real.user_ids(name)
            batches = list(api.images([real["id"].iloc[0].upper(), NOBODY]))
            assert [batch.missing for batch in batches] == [{NOBODY: "gone (status 404)"}]
    for path in (
        "/search?limit=10001", "/search?bbox=1,2,3", "/search?datetime=x", "/search?ids=x", f"/pictures/{NOBODY}",
        "/pictures/x", f"/collections/{NOBODY}", f"/collections/{NOBODY}/items", "/map/16/1/1.mvt",
        "/map/15/40000/1.mvt", "/nonsense", f"/users/{NOBODY}", f"/users/{NOBODY}/collection",
        f"/pictures/{NOBODY}/hd.jpg",
    ):  # fmt: skip
        with standin.serve(real) as server:
            answers = [refused(url + path) for url in (panoramax.api, server.panoramax)]
        assert answers[0][:2] == answers[1][:2], path
        if "json" in answers[0][1]:
            assert json.loads(answers[0][2])["message"] == json.loads(answers[1][2])["message"], path


def test_a_search_is_one_page_of_the_nearest():
    images = made()
    with standin.serve(images) as server:
        said = ask(f"{server.panoramax}/search", bbox="9.16,48.76,9.18,48.78").json
        assert len(said["features"]) == 10
        assert {link["rel"] for link in said["links"]} == {"root"}
        away = [
            math.hypot(x - 9.17, y - 48.77) for x, y in (each["geometry"]["coordinates"] for each in said["features"])
        ]
        assert away == sorted(away)
        assert max(away) <= np.hypot(images.geometry.x - 9.17, images.geometry.y - 48.77).nsmallest(10).max() + 1e-9
        assert "geovisio:status" not in said["features"][0]["properties"]
        instant = images["captured_at"].iloc[7].isoformat()
        for when, count in ((instant, 1), (f"{instant}/..", 53), (f"../{instant}", 8), ("2024-05-01", 0)):
            answer = ask(f"{server.panoramax}/search", datetime=when, limit="1000")
            assert len(answer.json["features"]) == count, when
        assert ask(f"{server.panoramax}/search", filter="x IS NOT NULL").status == 400


def test_every_way_leads_to_every_picture(tmp_path):
    images = made(sequence_rank=pd.array([n // 3 + 5 for n in range(60)], dtype="Int64"))
    everywhere = Region.from_bbox(9.16, 48.76, 9.18, 48.78)
    with standin.serve(images.sample(frac=1, random_state=4)) as server:
        searched = found_in(server.panoramax, everywhere)
        tiles = in_tiles(server.panoramax, everywhere, tmp_path)
        for name in (name for name in images if name != "geometry"):
            pd.testing.assert_series_equal(searched[name], images[name], obj=name)
        assert np.allclose(searched.geometry.x, images.geometry.x, atol=1e-9)
        for name in ("id", "sequence_id", "captured_at", "creator_id", "is_pano"):
            assert tiles[name].tolist() == images[name].tolist(), name
        for axis in ("x", "y"):
            away = getattr(tiles.geometry, axis) - getattr(searched.geometry, axis)
            assert away.abs().max() < 360 / 2**15 / 4096
        with Api(service_of(server.panoramax)) as api:
            (user,) = api.user_ids("Åsa Öberg")
            assert api.sequences_of(user) == ["00000001-1111-4000-8000-000000000000"]
            assert api.image_ids("00000001-1111-4000-8000-000000000000") == images["id"][1::3].tolist()
            paged = f"{server.panoramax}/collections/00000001-1111-4000-8000-000000000000/items?limit=7"
            pages = []
            while paged:
                said = json.loads(urllib.request.urlopen(paged, timeout=20).read())
                pages.append(len(said["features"]))
                paged = next((link["href"] for link in said["links"] if link["rel"] == "next"), None)
            assert pages == [7, 7, 6]
            with pytest.raises(InputError, match="no user"):
                api.user_ids("Nobody")
        assert server.leaks == 0


def test_pictures_have_the_sizes_of_the_real_server(tmp_path):
    images = made(3)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f"{images['id'][0].upper()}.jpg").write_bytes(b"a picture")
    with standin.serve(images, photos=tmp_path) as server:
        assert (server.images, server.photos) == (3, 1)
        for size in ("hd", "sd", "thumb"):
            assert ask(f"{server.panoramax}/pictures/{images['id'][0]}/{size}.jpg").body == b"a picture"
        for id_, size, expected in (
            (images["id"][1], "thumb", (500, 300)), (images["id"][1], "sd", (2048, 1024)),
            (images["id"][2], "thumb", (500, 375)), (images["id"][2], "sd", (2048, 1536)),
        ):  # fmt: skip
            drawn = ask(f"{server.panoramax}/pictures/{id_}/{size}.jpg").body
            assert Image.open(io.BytesIO(drawn)).size == expected


def test_faults_have_the_form_of_panoramax_and_are_overcome(tmp_path):
    images = made()
    everywhere = Region.from_bbox(9.16, 48.76, 9.18, 48.78)
    for fault, status in (("pending", 102), ("rate", 429), ("not_found", 404), ("temporary", 500)):
        with standin.serve(images, faults=standin.Faults().spread(1, fault)) as server:
            answer = ask(f"{server.panoramax}/pictures/{images['id'][0]}")
            assert answer.status == status, fault
            assert b"fbtrace_id" not in answer.body
            # Only the service's own JSON says that a picture is gone.
            with Api(service_of(server.panoramax)) as api, pytest.raises(Exception) as caught:
                api.entity(images["id"][0])
            assert not isinstance(caught.value, GoneError)
    gone = images["id"][5]
    with standin.serve(images, faults=standin.Faults(gone={gone})) as server, Api(service_of(server.panoramax)) as api:
        with pytest.raises(GoneError):
            api.entity(gone)
        assert ask(f"{server.panoramax}/search", ids=gone).json["features"] == []
    faults = standin.Faults(seed=3, first=2).spread(0.4, *PASSING_PANORAMAX)
    with standin.serve(images, faults=faults) as server:
        assert found_in(server.panoramax, everywhere)["id"].tolist() == images["id"].tolist()
        assert in_tiles(server.panoramax, everywhere, tmp_path)["id"].tolist() == images["id"].tolist()
        with Api(service_of(server.panoramax)) as api:
            batches = list(api.images(images["id"]))
            assert sum(len(batch.found) for batch in batches) == len(images)


def test_images_are_served_by_their_provider(images):
    mapillary = images.head(20).assign(provider="mapillary")
    both = frames.conform(
        pd.concat([mapillary.assign(id=mapillary["id"].astype(str)), made(5)], ignore_index=True), frames.IMAGES
    )
    with standin.serve(both) as server:
        assert server.providers == ["Mapillary", "Panoramax"]
        assert server.images == 25
        first = images["id"].iloc[0]
        assert ask(f"{server.url}/{first}", fields="sequence").json["sequence"] == images["sequence_id"].iloc[0]
        assert len(ask(f"{server.panoramax}/search", limit="100").json["features"]) == 5
    with standin.serve(images.head(3)) as server:
        assert server.providers == ["Mapillary"]
        assert ask(f"{server.panoramax}/search").json["features"] == []
    for wrong, words in (
        (made(3).assign(provider="kartaview"), "the provider 'kartaview'"),
        (made(3).drop(columns="provider"), "no column 'provider'"),
        (made(3).assign(id=["a", "b", "c"]), "not an id of Panoramax"),
    ):
        with pytest.raises(FrameError, match=words):
            standin.start(wrong)


def test_values_that_a_frame_does_not_have_are_absent(tmp_path):
    full = made(2)
    bare = full[["id", "provider", "captured_at", "is_pano", "geometry"]]
    bare = frames.conform(bare.assign(captured_at=pd.Series([None, None], dtype="datetime64[us, UTC]")), frames.IMAGES)
    everywhere = Region.from_bbox(9.16, 48.76, 9.18, 48.78)
    with standin.serve(bare) as server:
        for images in (
            found_in(server.panoramax, everywhere), in_tiles(server.panoramax, everywhere, tmp_path),
        ):  # fmt: skip
            assert images["id"].tolist() == bare["id"].tolist()
            for name in ("sequence_id", "captured_at", "compass_angle", "creator_id"):
                assert images[name].isna().all(), name
        item = ask(f"{server.panoramax}/pictures/{bare['id'][0]}").json
        assert "license" not in item["properties"]
        assert item["providers"] == []
        assert "None" not in str([link["href"] for link in item["links"]])
    with standin.serve(bare.iloc[:0]) as server:
        assert server.images == 0
        assert ask(f"{server.panoramax}/map/15/17218/11285.mvt").body == b""


def test_a_token_that_reaches_the_pictures_is_a_leak():
    images = made(2)
    with standin.serve(images) as server:
        request = urllib.request.Request(
            f"{server.panoramax}/pictures/{images['id'][0]}/hd.jpg", headers={"Authorization": "Bearer secret"}
        )
        with pytest.raises(HTTPError):
            urllib.request.urlopen(request, timeout=20)
        assert server.leaks == 1
        # Uploads and sign-in end at once, and are not asked for again.
        for path in ("/users/me", "/upload_sets", f"/upload_sets/{NOBODY}"):
            status, kind, body = refused(server.panoramax + path)
            assert (status, kind) == (403, "application/json")
            assert "takes no uploads" in json.loads(body)["message"]
        assert ask(f"{server.panoramax}/configuration").json["auth"] == {"enabled": False}
