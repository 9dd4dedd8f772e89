"""Panoramax's API against servers that answer as no good one would; and pictures that are redirected."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from conftest import DATA
from helpers.scripted_server import QUICK, scripted

from mlygeo.errors import InputError, RegionError, ServiceError
from mlygeo.net.answers import NotFoundError, PendingError
from mlygeo.net.pictures import ExpiredError, Pictures
from mlygeo.providers.panoramax.api import Api
from mlygeo.providers.panoramax.search import Part, split
from mlygeo.providers.panoramax.service import Endpoints, Service

ITEM = json.loads((DATA / "panoramax" / "item.json").read_text())
PAGE = json.loads((DATA / "panoramax" / "search_page.json").read_text())
ID = ITEM["id"]
SEQUENCE = ITEM["collection"]
TOKEN = "eyJ.secret.token"


def service(url: str) -> Service:
    return Service(endpoints=Endpoints(url), retry=QUICK, token=TOKEN)


def answer(value, status=200, **headers):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return status, headers, body


def numbered(number, lon=9.1, lat=48.7, time="2024-01-01T00:00:00Z"):
    return {**ITEM, "id": f"{number:08x}-0000-4000-8000-000000000000",
            "geometry": {"type": "Point", "coordinates": [lon, lat]},
            "properties": {**ITEM["properties"], "datetime": time}}  # fmt: skip


def test_reading_sends_no_token():
    with scripted(answer(ITEM)) as (url, asked), Api(service(url)) as api:
        assert api.entity(ID)["id"] == ID
    assert asked[0][0] == f"/x/pictures/{ID}"
    assert "Authorization" not in asked[0][1]
    assert TOKEN not in str(asked)


@pytest.mark.parametrize(
    ("came", "error", "requests"),
    [
        (answer({**ITEM, "id": SEQUENCE}), ServiceError, QUICK.attempts),  # of another picture
        (answer(b"<!doctype html><title>404</title>", 404), NotFoundError, QUICK.attempts),
        (answer({"data": []}), ServiceError, QUICK.attempts),
        (answer(b"", 102), PendingError, QUICK.attempts),
        (answer({"message": "Internal", "status_code": 500}, 500), ServiceError, QUICK.attempts),
        (answer({"message": "bad", "status_code": 400}, 400), ServiceError, 1),
    ],
)
def test_answers_that_are_no_item(came, error, requests):
    with scripted(came) as (url, asked), Api(service(url)) as api, pytest.raises(error):
        api.entity(ID)
    assert len(asked) == requests


def test_a_web_page_does_not_say_that_a_picture_is_gone():
    with scripted(answer(b"<html>sign in</html>", 404)) as (url, _), Api(service(url)) as api:
        (batch,) = api.images([ID])
    assert batch.missing[ID] != "gone (status 404)"
    with pytest.raises(InputError, match="is not an id"), Api(service("http://127.0.0.1:9")) as api:
        list(api.images([7]))


def test_an_answer_of_mapillary_is_refused_by_name():
    theirs = {"data": [{"id": "1", "captured_at": 1, "compass_angle": 2.0}]}
    with scripted(answer(theirs)) as (url, _), Api(service(url)) as api, pytest.raises(ServiceError, match="Mapillary"):
        list(api.search(bbox=(9, 48, 9.1, 48.1)))


def test_items_that_contradict_each_other_are_asked_for_alone():
    other = {**ITEM, "properties": {**ITEM["properties"], "view:azimuth": 7}}
    page = {"type": "FeatureCollection", "features": [ITEM, other]}
    with scripted(answer(page), answer(ITEM), answer(numbered(1))) as (url, asked), Api(service(url), workers=1) as api:
        (batch,) = api.images([ID, numbered(1)["id"]])
    assert batch.found[ID] == ITEM
    assert len(asked) == 3
    assert "limit=2" in asked[0][0]


def page(*found, following=None):
    links = [] if following is None else [{"rel": "next", "href": following}]
    return answer({"type": "FeatureCollection", "features": list(found), "links": links})


def test_pages_are_followed_to_their_end():
    gone = answer({"message": "No more items in this collection", "status_code": 404}, 404)
    with scripted(page(numbered(1), following="?startAfterRank=1"), page(numbered(2), following="?startAfterRank=2"),
                  gone) as (url, asked), Api(service(url)) as api:  # fmt: skip
        assert api.image_ids(SEQUENCE) == [numbered(1)["id"], numbered(2)["id"]]
    assert asked[1][0].endswith("/items?startAfterRank=1")


@pytest.mark.parametrize(
    ("following", "reason"),
    [
        ("https://elsewhere.example/api/items", "on another server"),
        ("http://127.0.0.2/api/items", "on another server"),
        ("?startAfterRank=1", "have no end"),
    ],
)
def test_pages_that_lead_astray(following, reason):
    came = page(numbered(1), following=following)
    with scripted(came) as (url, _), Api(service(url)) as api, pytest.raises(ServiceError, match=reason):
        api.image_ids(SEQUENCE)


def test_users_have_the_whole_name_and_one_name_may_be_several():
    users = {"features": [{"id": numbered(n)["id"], "label": label} for n, label in enumerate(("Ada", "Ada", "Ada B"))]}
    with scripted(answer(users)) as (url, asked), Api(service(url)) as api:
        assert api.user_ids("Ada") == [numbered(0)["id"], numbered(1)["id"]]
        assert api.user_ids(ID.upper()) == [ID]
        with pytest.raises(InputError, match="no user 'B'") as caught:
            api.user_ids("B")
    assert "Ada B" in caught.value.hint
    assert len(asked) == 2


def test_a_full_answer_is_never_taken_for_whole():
    some = page(*(numbered(n) for n in range(3)), following="more")
    with scripted(some, page()) as (url, asked), Api(service(url), workers=1) as api:
        search = api.search(bbox=(9, 48, 9.2, 48.9), limit=1000)
        assert len([item for batch in search for item in batch]) == 3
    assert len(asked) > 4  # a link to more pages says that it was cut off


def test_a_server_that_always_has_more_is_not_asked_for_ever():
    same_page = page(*(numbered(n) for n in range(10)))
    with scripted(same_page) as (url, asked), Api(service(url), workers=2) as api:
        search = api.search(bbox=(9, 48, 9.01, 48.01), limit=10)
        list(search)
    assert search.truncated
    assert len(asked) < 2_000


def test_faults_lose_nothing_and_repeat_nothing():
    found = [numbered(n) for n in range(40)]
    busy = answer(b"<html>busy</html>", 503)
    script = [busy] * (2 * QUICK.attempts + 1) + [page(*found)]
    with scripted(*script) as (url, asked), Api(service(url), workers=1) as api:
        search = api.search(bbox=(9, 48, 9.2, 48.9), limit=1000)
        ids = [item["id"] for batch in search for item in batch]
    assert sorted(ids) == [item["id"] for item in found]
    assert search.complete
    assert len(asked) > 2 * QUICK.attempts


def test_searches_that_make_no_sense():
    with Api(service("http://127.0.0.1:9")) as api:
        with pytest.raises(InputError, match="where or whose"):
            api.search()
        with pytest.raises(InputError, match="`since` is later than `until`"):
            api.search(
                bbox=(9, 48, 10, 49), since=datetime(2024, 2, 1, tzinfo=UTC), until=datetime(2024, 1, 1, tzinfo=UTC)
            )
        with pytest.raises(RegionError, match="too many"):
            api.search(bbox=(-90, -80, 89, 80))


def test_splitting_loses_nothing():
    box = Part((0.0, 0.0, 1.0, 1.0))
    quarters = split(box, [numbered(1, 0.1, 0.1), numbered(2, 0.9, 0.9)])
    assert {part.bounds for part in quarters} == {
        (0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 0.5), (0.0, 0.5, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0)}  # fmt: skip
    at_one_place = [numbered(n, time=f"2024-01-01T00:00:0{n}Z") for n in range(4)]
    first, last = split(box, at_one_place)
    assert first.until < last.since
    assert (last.since - first.until).total_seconds() == 1e-6
    instant = [numbered(n) for n in range(4)]
    seen, parts = [], [box]
    while parts:
        part = parts.pop()
        seen.append(part)
        parts += split(part, instant) if part.since is None or part.until is None or part.since < part.until else []
        assert len(seen) < 20
    assert any(part.since == part.until is not None for part in seen)


def hop(location, status=302):
    return status, {"Location": location}, b""


def test_pictures_follow_redirects_without_a_token():
    with scripted(hop("/b"), hop("/c", 307), answer(b"picture")) as (url, asked), Pictures(service(url)) as pictures:
        assert pictures.get(url, what="picture") == b"picture"
    assert [path for path, _ in asked] == ["/x", "/b", "/c"]
    assert all("Authorization" not in headers and "Cookie" not in headers for _, headers in asked)
    assert TOKEN not in str(asked)


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("/x", "no address that is safe"),
        ("ftp://example.org/x", "no address that is safe"),
        ("http://example.org/x", "no address that is safe"),
        ("https://user:pw@example.org/x", "no address that is safe"),
        ("http://[", "no address that is safe"),
        (f"https://example.org/{TOKEN}", "with a secret in it"),
    ],
)
def test_redirects_that_are_not_followed(location, reason):
    with (
        scripted(hop(location)) as (url, asked),
        Pictures(service(url)) as pictures,
        pytest.raises(ServiceError) as caught,
    ):
        pictures.get(url, what="picture")
    assert reason in str(caught.value)
    assert len(asked) == 1


def test_redirects_have_an_end_and_a_picture_in_the_works_is_no_failure_of_its_address():
    hops = [hop(f"/{number}") for number in range(20)]
    often = pytest.raises(ServiceError, match="redirected too often")
    with scripted(*hops) as (url, asked), Pictures(service(url)) as pictures, often:
        pictures.get(url, what="picture")
    assert len(asked) == Service.picture_redirects + 1
    with scripted((102, {}, b"")) as (url, _), Pictures(service(url)) as pictures, pytest.raises(PendingError):
        pictures.get(url, what="picture")
    with scripted(answer(b"", 404)) as (url, _), Pictures(service(url)) as pictures, pytest.raises(ExpiredError):
        pictures.get(url, what="picture")


def test_a_list_that_is_none():
    came, none = (
        answer({"type": "FeatureCollection", "features": 7}),
        pytest.raises(ServiceError, match="not a list of items"),
    )
    with scripted(came) as (url, _), Api(service(url)) as api, none:
        list(api.search(bbox=(9, 48, 9.1, 48.1)))
