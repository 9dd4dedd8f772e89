"""The stand-in's Graph API: the shapes of recorded answers, searches against plain loops, tokens and errors."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA
from helpers.plain_client import ask
from helpers.tokens import TOKEN
from pyproj import Geod

from mlygeo import frames
from mlygeo.providers.mapillary.records import FIELDS, images_frame
from mlygeo.standin import Faults, serve
from mlygeo.standin.records import IMAGE_FIELDS, THUMBS

IDS = (135511895288847, 148137757289079, 308609047601518, 311681117131457)
RECORDED = [DATA / "graph" / f"{number}.json" for number in IDS]


def recorded(name):
    return json.loads((DATA / "graph" / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def raw():
    """An images frame with the columns of recorded answers, untouched."""
    records = [json.loads(path.read_text()) for path in RECORDED]
    frame = pd.DataFrame(records).rename(columns={"sequence": "sequence_id"})
    frame["is_pano"] = False
    places = gpd.points_from_xy(*zip(*(place["coordinates"] for place in frame.pop("geometry")), strict=True))
    return frames.conform(gpd.GeoDataFrame(frame, geometry=places, crs=4326), frames.IMAGES)


@pytest.fixture(scope="module")
def city(images):
    """The bundled images with more columns: names, cameras, some of an organization."""
    count = len(images)
    return images.assign(
        make=np.where(images["is_pano"], None, "GoPro"),
        model=pd.array(np.where(images["is_pano"], None, "Max"), dtype="str"),
        altitude=np.where(np.arange(count) % 3 == 0, np.nan, -15.25),
        organization_id=pd.array([24595874160038714 if row % 4 == 0 else pd.NA for row in range(count)], dtype="Int64"),
        creator_username=images["creator_id"].map({number: f"näme {number}" for number in images["creator_id"]}),
    )


@pytest.fixture(scope="module")
def server(city):
    with serve(city) as server:
        yield server


@pytest.fixture(autouse=True)
def right_again(server):
    yield
    server.faults = Faults()


class TestRecordedAnswers:
    @pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
    def test_an_image_has_the_fields_of_the_service(self, raw, path):
        expected = json.loads(path.read_text())
        with serve(raw) as server:
            answer = ask(f"{server.url}/{path.stem}", fields=",".join(expected)).json
        assert list(answer) == list(expected), "the same fields, in the order in which they were asked for"
        for name in THUMBS:
            assert answer.pop(name).startswith(server.url)
            expected.pop(name)
        assert answer == expected
        assert [type(value) for value in answer.values()] == [type(value) for value in expected.values()]

    def test_absent_values_are_left_out(self, raw):
        assert "mesh" not in recorded("308609047601518")
        with serve(raw) as server:
            answer = ask(f"{server.url}/308609047601518", fields=",".join(IMAGE_FIELDS - THUMBS.keys())).json
        assert not {"mesh", "creator", "organization", "make", "model"} & set(answer)
        assert None not in answer.values()

    def test_image_ids(self, raw):
        expected = recorded("image_ids_7nfcwfvjdtphz7yj6zat6a")["data"]
        with serve(raw) as server:
            answer = ask(f"{server.url}/image_ids", sequence_id="7nfcwfvjdtphz7yj6zat6a").json
        assert list(answer) == ["data"]
        ours = {int(path.stem) for path in RECORDED}
        assert answer["data"] == [item for item in expected if int(item["id"]) in ours], "in the recorded order"

    def test_a_user(self, city):
        expected = recorded("user_104214208486349")
        mine = city.assign(creator_id=pd.array([int(expected["id"])] * len(city), dtype="Int64"))
        mine["creator_username"] = expected["username"]
        with serve(mine) as server:
            reply = ask(f"{server.url}/{expected['id']}", fields="username")
            assert list(reply.json.items()) == list(expected.items())
            assert ask(f"{server.url}/me", fields="id,username").json == expected

    @pytest.mark.parametrize(
        ("name", "faults", "token"),
        [
            ("error_application_request_limit_reached", Faults(rate=1), TOKEN),
            ("error_internal_server_error", Faults(), None),
        ],
    )
    def test_errors(self, city, name, faults, token):
        expected = recorded(name)["error"]
        with serve(city, faults=faults, token=TOKEN) as server:
            answer = ask(f"{server.url}/{city['id'].iloc[0]}", token=token).json
        assert list(answer) == ["error"]
        for key in ("message", "type", "code", "is_transient"):
            assert answer["error"].get(key) == expected.get(key)
        assert isinstance(answer["error"]["fbtrace_id"], str)


class TestEntities:
    def test_every_column_in_the_services_form(self, server, city):
        row = city[city["organization_id"].notna() & city["altitude"].notna() & ~city["is_pano"]].iloc[0]
        answer = ask(f"{server.url}/{row.id}", fields=",".join(IMAGE_FIELDS)).json
        urls = {name: answer.pop(name) for name in THUMBS}
        assert len({urlsplit(url).path for url in urls.values()}) == 4
        assert answer == {
            "id": str(row.id),
            "sequence": row.sequence_id,
            "captured_at": round(row.captured_at.timestamp() * 1000),
            "compass_angle": pytest.approx(row.compass_angle, abs=1e-9),
            "is_pano": False,
            "creator": {"username": row.creator_username, "id": str(row.creator_id)},
            "organization": {"id": "24595874160038714"},
            "organization_id": "24595874160038714",
            "altitude": -15.25,
            "make": "GoPro",
            "model": "Max",
            "geometry": {
                "type": "Point",
                "coordinates": [pytest.approx(row.geometry.x, abs=1e-11), pytest.approx(row.geometry.y, abs=1e-11)],
            },
        }
        assert type(answer["captured_at"]) is int

    def test_without_fields_only_the_id_comes(self, server, city):
        number = str(city["id"].iloc[3])
        assert ask(f"{server.url}/{number}").json == {"id": number}
        assert ask(f"{server.url}/{number}/").json == {"id": number}

    def test_what_there_is_not(self, server, city):
        for path in ("/5", "/99999999999999999999999", "/0"):
            reply = ask(server.url + path, fields="id")
            assert (reply.status, reply.error) == (400, (100, 33)), path
        server.faults = Faults(gone={int(city["id"].iloc[0])})
        assert ask(f"{server.url}/{city['id'].iloc[0]}").error == (100, 33)
        assert ask(f"{server.url}/{city['id'].iloc[1]}").status == 200

    def test_a_share_of_images_is_gone_and_stays_so(self, server, city):
        server.faults = Faults(missing=0.25, seed=1)
        ids = city["id"].tolist()
        gone = {number for number in ids if server.faults.is_gone(number)}
        assert 0.2 < len(gone) / len(ids) < 0.3
        for number in ids[:20]:
            assert (ask(f"{server.url}/{number}").status == 400) is (number in gone)
        listed = ask(f"{server.url}/images", image_ids=",".join(map(str, ids[:200]))).json["data"]
        assert {int(image["id"]) for image in listed} == set(ids[:200]) - gone

    def test_an_unknown_field(self, server, city):
        reply = ask(f"{server.url}/{city['id'].iloc[0]}", fields="id,brightness,sequence")
        assert (reply.status, reply.error) == (400, (100, None))
        assert "Tried accessing nonexisting field (brightness)" in reply.json["error"]["message"]
        assert ask(f"{server.url}/{city['creator_id'].iloc[0]}", fields="sequence").error == (100, None)

    def test_parts_of_fields(self, server, city):
        row = city.iloc[0]
        for fields in ("creator{id,username},sequence", "creator.fields(id),sequence", " creator , sequence"):
            assert set(ask(f"{server.url}/{row.id}", fields=fields).json) == {"creator", "sequence", "id"}
        assert ask(f"{server.url}/{row.id}", fields="creator{id").error == (100, None)

    def test_several_keyed_by_id(self, server, city):
        ids = [str(number) for number in city["id"].head(50)]
        answer = ask(f"{server.url}/", ids=",".join(ids), fields="sequence").json
        assert list(answer) == ids
        assert all(answer[name] == ask(f"{server.url}/{name}", fields="sequence").json for name in ids[:5])
        assert ask(f"{server.url}/", ids=f"{ids[0]},5", fields="id").error == (100, 33), "one spoils the call"
        assert ask(f"{server.url}/", ids=",".join([*ids, "5"])).error == (100, None)
        assert ask(f"{server.url}/", ids=ids[0], fields="nope").error == (100, None)
        assert ask(f"{server.url}/", ids=ids[0], fields="{").error == (100, None)

    def test_many_in_a_list(self, server, city):
        ids = [str(number) for number in city["id"].tail(200)]
        answer = ask(f"{server.url}/images", image_ids=",".join([*ids[:-1], "5", ids[0]]), fields="captured_at").json
        assert [image["id"] for image in answer["data"]] == ids[:-1]
        assert list(answer) == ["data"]
        assert ids_of(ask(f"{server.url}/images", image_ids=",".join(ids))) == [int(number) for number in ids]
        assert ask(f"{server.url}/images", image_ids=",".join([*ids, "5"])).error == (100, None)
        for wrong in ("", ",", "5,x"):
            assert ask(f"{server.url}/images", image_ids=wrong).error == (100, None)
        assert server.count("images") >= 4

    def test_organizations_and_people(self, server, city):
        answer = ask(f"{server.url}/24595874160038714", fields="slug,name,description").json
        assert set(answer) == {"slug", "name", "description", "id"}
        number = city["creator_id"].iloc[0]
        assert ask(f"{server.url}/{number}").json == {"id": str(number)}
        assert ask(f"{server.url}/me").json == {"id": str(city["creator_id"].mode().iloc[0])}

    def test_people_without_names_have_made_up_ones(self, images):
        number = int(images["creator_id"].iloc[0])
        with serve(images) as server:
            assert ask(f"{server.url}/{number}", fields="username").json["username"] == f"user_{number}"
            found = ask(f"{server.url}/images", creator_username=f"user_{number}", limit=5).json["data"]
        own = set(images.loc[images["creator_id"] == number, "id"])
        assert {int(image["id"]) for image in found} <= own
        assert len(found) == min(5, len(own))

    def test_sequences_in_order(self, server, city):
        name = city["sequence_id"].mode().iloc[0]
        own = city[city["sequence_id"] == name].sort_values(["captured_at", "id"])
        answer = ask(f"{server.url}/image_ids", sequence_id=name).json["data"]
        assert [int(image["id"]) for image in answer] == own["id"].tolist()
        assert ask(f"{server.url}/image_ids", sequence_id="none").json == {"data": []}
        assert ask(f"{server.url}/image_ids").error == (100, None)

    def test_altitudes_below_the_sea_may_come_unsigned(self, server, city):
        row = city[city["altitude"].notna()].iloc[0]
        server.faults = Faults(unsigned_altitude=True)
        assert ask(f"{server.url}/{row.id}", fields="altitude").json["altitude"] == 2**32 - 15

    def test_our_reader_makes_the_same_frame_of_it_again(self, raw, city):
        for frame in (raw, city.head(100)):
            asked = ",".join(name for name in FIELDS if name not in THUMBS)
            ids = ",".join(str(number) for number in frame["id"])
            with serve(frame) as server:
                first = images_frame(ask(f"{server.url}/images", image_ids=ids, fields=asked).json["data"])
            with serve(first) as server:
                again = images_frame(ask(f"{server.url}/images", image_ids=ids, fields=asked).json["data"])
            pd.testing.assert_frame_equal(pd.DataFrame(again), pd.DataFrame(first))


class TestComputedPositions:
    @pytest.mark.parametrize(
        "form",
        [
            lambda points: points,
            lambda points: [shapely.to_wkb(point) for point in points],
            lambda points: [shapely.to_geojson(point) for point in points],
            lambda points: [shapely.geometry.mapping(point) for point in points],
        ],
        ids=["geometry", "WKB", "GeoJSON text", "GeoJSON"],
    )
    def test_from_whichever_column(self, images, form):
        few = images.head(2).reset_index(drop=True)
        moved = few.translate(xoff=0.00125)
        column = pd.Series(list(form(moved)), dtype=object)
        column[1] = None
        with serve(few.assign(computed_geometry=column)) as server:
            answer = [ask(f"{server.url}/{number}", fields="computed_geometry,geometry").json for number in few["id"]]
        assert answer[0]["computed_geometry"]["type"] == "Point"
        assert answer[0]["computed_geometry"]["coordinates"] == pytest.approx([moved[0].x, moved[0].y], abs=1e-11)
        assert set(answer[1]) == {"geometry", "id"}


BOX = (9.166, 48.766, 9.172, 48.774)


def ids_of(reply):
    assert reply.status == 200, reply.body
    return [int(image["id"]) for image in reply.json["data"]]


class TestSearches:
    def test_a_box(self, server, city):
        inside = {row.id for row in city.itertuples() if BOX[0] <= row.geometry.x <= BOX[2] and BOX[1] <= row.geometry.y <= BOX[3]}  # fmt: skip
        reply = ask(f"{server.url}/images", bbox=",".join(map(str, BOX)), fields="id,geometry")
        assert 100 < len(inside) < len(city)
        assert sorted(ids_of(reply)) == sorted(inside)
        assert "paging" not in reply.json
        assert set(reply.json["data"][0]) == {"id", "geometry"}

    def test_a_full_answer_is_cut_from_the_edge(self, server, city):
        found = ids_of(ask(f"{server.url}/images", bbox=",".join(map(str, BOX)), limit=50))
        depth = {}
        for row in city.itertuples():
            x, y = row.geometry.x, row.geometry.y
            depth[row.id] = min(x - BOX[0], BOX[2] - x, y - BOX[1], BOX[3] - y)
        inside = sorted((value, number) for number, value in depth.items() if value >= 0)
        assert len(found) == 50
        assert max(depth[number] for number in found) == pytest.approx(inside[49][0], abs=1e-12)
        reply = ask(f"{server.url}/images", bbox=",".join(map(str, BOX)), limit=50)
        assert "paging" not in reply.json, "nothing says that there is more"

    @pytest.mark.parametrize(
        ("box", "status"),
        [
            ("9.1,48.7,9.2,48.8", 400),  # 0.01 square degrees: the first that is too large
            ("9.1,48.7,9.19999,48.8", 200),
            ("9.2,48.7,9.1,48.8", 400),
            ("9.1,48.7,9.1,48.8", 400),
            ("9.1,48.7,9.2", 400),
            ("nan,48.7,9.2,48.8", 400),
            ("a,b,c,d", 400),
            ("179.95,48.7,180.05,48.8", 400),
        ],
    )
    def test_boxes_that_are_refused(self, server, box, status):
        reply = ask(f"{server.url}/images", bbox=box)
        assert reply.status == status
        if status == 400:
            assert reply.error == (100, None)

    def test_a_dense_box_is_refused_and_its_parts_are_not(self, server, city):
        server.faults = Faults(densest_box=500)
        whole = ask(f"{server.url}/images", bbox="9.16,48.76,9.18,48.78")
        assert (whole.status, whole.error) == (500, (1, None))
        assert "reduce the amount of data" in whole.json["error"]["message"]
        assert ids_of(ask(f"{server.url}/images", bbox="9.16,48.76,9.165,48.765")) is not None

    def test_pages_may_be_small_and_boxes_overflow(self, server, city):
        server.faults = Faults(largest_page=7)
        assert len(ids_of(ask(f"{server.url}/images", bbox=",".join(map(str, BOX))))) == 7
        server.faults = Faults(overhang=0.001)
        west, south, east, north = BOX
        wider = shapely.box(west - 0.001, south - 0.001, east + 0.001, north + 0.001)
        expected = set(city.loc[city.intersects(wider), "id"])
        assert set(ids_of(ask(f"{server.url}/images", bbox=",".join(map(str, BOX))))) == expected

    def test_around_a_place(self, server, city):
        centre = city.geometry.iloc[7]
        metres = Geod(ellps="WGS84").inv(
            np.full(len(city), centre.x), np.full(len(city), centre.y), city.geometry.x, city.geometry.y
        )[2]
        expected = [number for _, number in sorted(zip(metres, city["id"], strict=True)) if _ <= 40]
        found = ids_of(ask(f"{server.url}/images", lat=centre.y, lng=centre.x, radius=40))
        assert len(expected) > 3
        assert sorted(found) == sorted(expected)
        assert ask(f"{server.url}/images", lat=centre.y, lng=centre.x, radius=51).error == (100, None)
        assert ask(f"{server.url}/images", lat=centre.y, lng=centre.x).error == (100, None)

    @pytest.mark.parametrize(
        ("query", "meets"),
        [
            ({"is_pano": "true"}, lambda row: row.is_pano),
            ({"is_pano": "false"}, lambda row: not row.is_pano),
            ({"make": "GoPro", "model": "Max"}, lambda row: row.make == "GoPro"),
            ({"make": "Sony"}, lambda row: False),
            ({"organization_id": "24595874160038714"}, lambda row: row.organization_id is not pd.NA),
            ({"start_captured_at": "2024-07-01T00:00:00Z"}, lambda row: row.captured_at >= pd.Timestamp("2024-07-01", tz="UTC")),
            ({"end_captured_at": "2024-07-01"}, lambda row: row.captured_at <= pd.Timestamp("2024-07-01", tz="UTC")),
            ({"start_time": "2024-07-01"}, lambda row: True),  # unknown names are ignored
        ],
        ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
    )  # fmt: skip
    def test_conditions(self, server, city, query, meets):
        expected = sorted(row.id for row in city.itertuples() if meets(row))
        assert sorted(ids_of(ask(f"{server.url}/images", bbox="9.13,48.74,9.2,48.8", **query))) == expected

    def test_conditions_on_a_frame_without_the_column(self, images):
        with serve(images) as server:
            assert ids_of(ask(f"{server.url}/images", bbox="9.16,48.76,9.18,48.78", make="GoPro")) == []

    def test_wrong_parameters(self, server):
        for query in ({}, {"is_pano": "true"}, {"make": "GoPro"}, {"creator_username": "x", "limit": "many"},
                      {"creator_username": "x", "after": "?"}, {"bbox": "9,48,9.01,48.01", "start_captured_at": "then"},
                      {"organization_id": "org"}, {"bbox": "9,48,9.01,48.01", "fields": "nope"}):  # fmt: skip
            reply = ask(f"{server.url}/images", **query)
            assert (reply.status, reply.error) == (400, (100, None)), query

    @pytest.mark.parametrize("kind", ["creator_username", "organization_id", "sequence_ids"])
    def test_other_searches_are_paged(self, server, city, kind):
        value = {
            "creator_username": city["creator_username"].iloc[0],
            "organization_id": "24595874160038714",
            "sequence_ids": ",".join(city["sequence_id"].unique()[:2]),
        }[kind]
        own = {
            "creator_username": city["creator_username"] == value,
            "organization_id": city["organization_id"].notna(),
            "sequence_ids": city["sequence_id"].isin(value.split(",")),
        }[kind]
        url, found, pages = f"{server.url}/images?fields=id&limit=100&{kind}={value.replace(' ', '+')}", [], 0
        url = url.replace("ä", "%C3%A4")
        while url:
            reply = ask(url, token=TOKEN)
            found += ids_of(reply)
            assert reply.json["paging"]["cursors"]["after"]
            url, pages = reply.json["paging"].get("next"), pages + 1
            if url is not None:
                assert url.startswith(f"{server.url}/images?")
                assert parse_qs(urlsplit(url).query)["access_token"] == [TOKEN]
        assert sorted(found) == sorted(city.loc[own, "id"])
        assert len(found) == len(set(found))
        assert pages == -(-own.sum() // 100)

    def test_links_without_the_token_and_to_another_host(self, city):
        query = {"organization_id": "24595874160038714", "limit": 10}
        with serve(city, token=TOKEN, faults=Faults(next_link="plain")) as server:
            link = ask(f"{server.url}/images", token=TOKEN, **query).json["paging"]["next"]
            assert "access_token" not in link
            assert ask(link).error == (190, None)
            assert len(ids_of(ask(link, token=TOKEN))) == 10
            server.faults = Faults(next_link="other_host")
            link = ask(f"{server.url}/images", token=TOKEN, **query).json["paging"]["next"]
            assert link.startswith(server.other_host.url)
            assert server.leaks == 0
            assert ask(link).status == 200
            assert server.leaks == 1
            assert [request.path for request in server.other_host.requests] == ["/images"]

    def test_a_page_that_holds_just_all_is_the_last(self, server, city):
        name = city["sequence_id"].iloc[0]
        count = int((city["sequence_id"] == name).sum())
        for limit, more in ((count, False), (count - 1, True)):
            reply = ask(f"{server.url}/images", sequence_ids=name, limit=limit)
            assert len(ids_of(reply)) == limit
            assert ("next" in reply.json["paging"]) is more

    def test_nobody_by_that_name(self, server):
        assert ask(f"{server.url}/images", creator_username="nobody").json == {"data": []}


class TestToken:
    @pytest.mark.parametrize("path", ["/5", "/?ids=5", "/images?image_ids=5", "/images?bbox=9,48,9.01,48.01",
                                      "/image_ids?sequence_id=x", "/me"])  # fmt: skip
    def test_a_bad_one(self, city, path):
        with serve(city, token=TOKEN) as server:
            joined = "&" if "?" in path else "?"
            replies = [
                (ask(server.url + path), 500, "Invalid OAuth 2.0 Access Token", "MLYApiException"),
                (ask(server.url + path, token="nonsense"), 401, "Failed to decode", "OAuthException"),
                (ask(server.url + path, token="MLY|1|ff"), 401, "Error validating application", "OAuthException"),
                (ask(f"{server.url}{path}{joined}access_token=x"), 400, "Error validating application", "OAuthException"),
            ]  # fmt: skip
            for reply, status, message, kind in replies:
                error = reply.json["error"]
                assert (reply.status, error["code"], error["message"], error["type"]) == (status, 190, message, kind)

    def test_the_right_one_in_header_or_query(self, city):
        with serve(city, token=TOKEN) as server:
            assert ask(f"{server.url}/me", token=TOKEN).status == 200
            assert ask(f"{server.url}/me", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200
            assert ask(f"{server.url}/me", access_token=TOKEN).status == 200

    def test_everything_is_refused_when_told_so(self, city):
        with serve(city, faults=Faults(refuse_token=401)) as server:
            assert ask(f"{server.url}/me", token=TOKEN).error == (190, None)
            url = f"{server.url}/thumbs/256/{city['id'].iloc[0]}.jpg"
            assert ask(url).body == b"URL signature expired\n", "pictures take no token"


def test_an_image_that_serves_several_points_is_there_once(images):
    twice = pd.concat([images.head(3), images.head(2)])
    with serve(twice) as server:
        assert server.images == 3
        assert len(ids_of(ask(f"{server.url}/images", bbox="9.16,48.76,9.18,48.78"))) == 3
