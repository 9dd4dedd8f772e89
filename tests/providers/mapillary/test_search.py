"""Searches of the Graph API: boxes split until nothing is lost, pages that end, and what is said of the rest."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from helpers.scripted_server import QUICK, reply, scripted
from helpers.tokens import SECRET, TOKEN
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import frames
from mlygeo.errors import InputError, RegionError, ServiceError, TokenRejectedError
from mlygeo.net.http import Retry
from mlygeo.providers.mapillary import search as module
from mlygeo.providers.mapillary.graph import Graph
from mlygeo.providers.mapillary.search import CELL, MARGIN, SPLITS, Cell, cells
from mlygeo.providers.mapillary.service import Endpoints, Service
from mlygeo.regions import Region
from mlygeo.standin import Faults, serve


def images_at(lon, lat, **columns):
    """Return an images frame; image number i has the id 2^53 + i."""
    count = len(lon)
    frame = gpd.GeoDataFrame(
        {
            "id": 2**53 + np.arange(1, count + 1),
            "sequence_id": "s",
            "captured_at": pd.to_datetime(np.arange(count), unit="s", utc=True).as_unit("ms"),
            "compass_angle": 0.0,
            "is_pano": False,
            "creator_id": 7,
            "organization_id": 9,
            "creator_username": "ann",
            **columns,
        },
        geometry=gpd.points_from_xy(lon, lat, crs=4326),
    )
    return frames.conform(frame, frames.IMAGES)


def searched(server, *, retry=QUICK, workers=4, fields=("sequence",), **options):
    """Return the ids found, in the order in which they came, and the search."""
    service = Service(endpoints=server.endpoints, token=TOKEN, retry=retry)
    with Graph(service, workers=workers) as graph:
        search = graph.search(fields=fields, **options)
        return [int(record["id"]) for batch in search for record in batch], search


@st.composite
def clusters(draw):
    """Images in a box, many of them heaped up within metres, some on its edges and on those of its quarters."""
    seed = draw(st.integers(0, 2**32 - 1))
    noise = np.random.default_rng(seed)
    west, south = draw(st.sampled_from([(9.16, 48.76), (-0.006, -0.004), (179.99, -16.8)]))
    width, height = draw(st.sampled_from([(0.01, 0.01), (0.0099, 0.004), (0.013, 0.021)]))
    width = min(width, 180.0 - west)
    heaps = noise.uniform(0, 1, (draw(st.integers(1, 3)), 2))
    near = heaps[noise.integers(0, len(heaps), draw(st.integers(0, 80)))]
    spread = draw(st.sampled_from([1e-5, 1e-3, 0.3]))
    inside = np.clip(near + noise.normal(0, spread, near.shape), 0, 1)
    # On edges that cells share, where a service's bounds may count as inside, or not.
    edges = noise.integers(0, 9, (draw(st.integers(0, 20)), 2)) / 8
    places = np.concatenate([inside, edges])
    lon, lat = west + places[:, 0] * width, south + places[:, 1] * height
    return (west, south, west + width, south + height), np.round(lon, 11), np.round(lat, 11)


class TestNothingIsLost:
    @settings(max_examples=25)
    @given(clusters(), st.integers(5, 40), st.sampled_from([10, 20_000]))
    def test_of_dense_clusters(self, places, limit, densest):
        """Whatever fits into the smallest boxes is found once; where more lies, the place is told."""
        (west, south, east, north), lon, lat = places
        images = images_at(lon, lat)
        faults = Faults(largest_page=limit, densest_box=densest)
        with serve(images, faults=faults) as server:
            found, search = searched(server, bbox=(west, south, east, north), limit=limit)
        assert len(found) == len(set(found))
        result = {float(f"{x:.14g}") for x in lon}, {float(f"{y:.14g}") for y in lat}
        assert result  # the stand-in rounds as the service does
        expected = set(images["id"][(lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)])
        if search.complete:
            assert set(found) == expected
        else:
            lost = images[images["id"].isin(expected - set(found))]
            boxes = shapely.box(*np.array(search.truncated).T).tolist() if search.truncated else []
            around = shapely.buffer(shapely.union_all(boxes), 2 * MARGIN)
            assert shapely.covers(around, lost.geometry.to_numpy()).all()
            assert len(search.shortcomings()) == len(search.truncated)

    def test_of_a_city_block_of_ten_thousand(self):
        noise = np.random.default_rng(1)
        lon = np.concatenate([9.165 + noise.normal(0, 2e-4, 9000), noise.uniform(9.16, 9.18, 1000)])
        lat = np.concatenate([48.765 + noise.normal(0, 2e-4, 9000), noise.uniform(48.76, 48.78, 1000)])
        images = images_at(lon, lat)
        with serve(images, faults=Faults(densest_box=3000)) as server:
            found, search = searched(server, bbox=(9.16, 48.76, 9.18, 48.78))
        assert search.complete
        assert sorted(found) == images["id"].tolist()
        assert search.requests < 100

    @pytest.mark.parametrize("limit", [100, 1000])
    def test_where_the_service_has_a_smaller_limit_than_was_asked_for(self, limit):
        noise = np.random.default_rng(2)
        images = images_at(noise.uniform(9.16, 9.164, 3 * limit), noise.uniform(48.76, 48.764, 3 * limit))
        with serve(images, faults=Faults(largest_page=limit)) as server:
            found, search = searched(server, bbox=(9.159, 48.759, 9.17, 48.77), limit=2000)
        assert search.complete
        assert len(found) == 3 * limit

    def test_across_the_antimeridian(self):
        images = images_at([179.995, 180.0, -179.995, -180.0, 0.0], [-16.8, -16.8, -16.8, -16.801, -16.8])
        with serve(images) as server:
            found, search = searched(server, bbox=(179.99, -16.81, -179.99, -16.79))
            boxes = [request.query["bbox"] for request in server.requests]
        assert search.complete
        assert sorted(found) == images["id"].tolist()[:4]
        assert all(float(west) < float(east) for west, _, east, _ in (box.split(",") for box in boxes))

    def test_images_that_reach_past_the_box_are_left_out(self):
        images = images_at([9.1600, 9.1599, 9.1701, 9.165], [48.765] * 4)
        with serve(images, faults=Faults(overhang=0.01)) as server:
            found, _ = searched(server, bbox=(9.16, 48.76, 9.17, 48.77))
        assert sorted(found) == images["id"].iloc[[0, 3]].tolist()

    def test_of_a_polygon_only_what_lies_in_it(self):
        triangle = shapely.Polygon([(9.10, 48.70), (9.20, 48.70), (9.10, 48.80)])
        region = Region.from_geometry(triangle)
        noise = np.random.default_rng(3)
        images = images_at(noise.uniform(9.1, 9.2, 500), noise.uniform(48.7, 48.8, 500))
        with serve(images) as server:
            found, search = searched(server, bbox=region)
        assert search.least_requests == len(server.requests) < 100  # of 121 cells of its box
        assert set(found) == set(images["id"][shapely.contains_xy(triangle, *frames.lonlat(images))])

    def test_while_a_third_of_all_requests_fails(self):
        noise = np.random.default_rng(4)
        images = images_at(noise.uniform(9.16, 9.18, 800), noise.uniform(48.76, 48.78, 800))
        faults = Faults(largest_page=60).spread(0.3)
        with serve(images, faults=faults) as server:
            retry = Retry(attempts=12, first_wait=0.001, longest_wait=0.01)
            found, search = searched(server, retry=retry, bbox=(9.16, 48.76, 9.18, 48.78), limit=60)
        assert search.complete
        assert sorted(found) == images["id"].tolist()

    def test_a_query_that_times_out_again_and_again_is_split(self):
        """A server that answers small boxes only: the large ones time out, code -2."""
        asked = []

        def answer(handler):
            query = dict(part.split("=") for part in handler.path.split("?")[1].split("&"))
            west, _, east, _ = map(float, query["bbox"].split(","))
            asked.append(east - west)
            small = east - west < 0.004
            text = {"data": [{"id": "5", "geometry": {"type": "Point", "coordinates": [9.161, 48.761]}}]}
            if not small:
                text = {
                    "error": {"code": -2, "error_subcode": 3404014, "message": "Query timed out", "is_transient": False}
                }
            reply(handler, text, 200 if small else 400)

        with scripted(answer) as (url, _):
            found, search = run(url, bbox=(9.16, 48.76, 9.169, 48.769))
        assert found == [5]
        assert search.complete
        assert max(asked) > 0.008

    def test_more_than_an_answer_holds_on_one_spot_is_reported(self, caplog):
        images = images_at([9.165] * 30, [48.765] * 30)
        with serve(images) as server:
            found, search = searched(server, bbox=(9.16, 48.76, 9.17, 48.77), limit=25)
        assert len(found) == 25
        assert not search.complete
        for west, south, east, north in search.truncated:
            assert west - MARGIN <= 9.165 <= east + MARGIN
            assert south - MARGIN <= 48.765 <= north + MARGIN
            assert east - west == pytest.approx(CELL / 2**SPLITS, rel=0.6)
        assert "too many images" in search.shortcomings()[0]
        assert "more images than the service tells of" in caplog.text

    def test_a_box_that_was_not_answered_is_reported_and_the_others_are_there(self):
        def answer(handler):
            west = float(handler.path.split("bbox=")[1].split(",")[0])
            if west > 9.164:
                reply(handler, {"error": {"code": 2, "message": "Service temporarily unavailable"}}, 500)
            else:
                reply(handler, {"data": [{"id": "5", "geometry": {"type": "Point", "coordinates": [9.161, 48.761]}}]})

        with scripted(answer) as (url, _):
            found, search = run(url, bbox=(9.16, 48.76, 9.175, 48.761))
        assert found == [5]
        [(bounds, reason)] = search.failed.items()
        assert bounds[0] == pytest.approx(9.1675)
        assert "temporarily" in reason
        assert not search.complete

    def test_where_no_box_is_answered_it_is_an_error(self):
        with (
            serve(images_at([9.165], [48.765]), faults=Faults(server_error=1.0)) as server,
            pytest.raises(ServiceError, match=r"no box could be searched.*502"),
        ):
            searched(server, bbox=(9.16, 48.76, 9.18, 48.78))

    def test_a_service_that_refuses_every_box_is_left_soon(self):
        with serve(images_at([9.165], [48.765]), faults=Faults(too_much=1.0)) as server:
            with pytest.raises(ServiceError, match="even the smallest boxes"):
                searched(server, bbox=(9.16, 48.76, 9.17, 48.77))
            assert server.count() < 200

    def test_a_bad_token_ends_it_at_once(self):
        with serve(images_at([9.165], [48.765]), faults=Faults(refuse_token=500)) as server:
            with pytest.raises(TokenRejectedError) as caught:
                searched(server, bbox=(9.0, 48.0, 9.2, 48.2), workers=4)
            assert server.count() <= 4
        assert SECRET not in str(caught.value)


class TestCells:
    @given(
        st.floats(-180, 179.5), st.floats(-90, 89.5), st.floats(1e-6, 0.4), st.floats(1e-6, 0.4)
    )  # fmt: skip
    def test_they_cover_the_box_and_are_small(self, west, south, width, height):
        region = Region.from_bbox(west, south, west + width, south + height)
        bounds = np.array([cell.bounds for cell in cells(region)])
        assert (bounds[:, 2] - bounds[:, 0] + 2 * MARGIN <= CELL + 1e-12).all()
        assert (bounds[:, 3] - bounds[:, 1] + 2 * MARGIN <= CELL + 1e-12).all()
        area = ((bounds[:, 2] - bounds[:, 0]) * (bounds[:, 3] - bounds[:, 1])).sum()
        west, south, east, north = region.bounds
        assert area == pytest.approx((east - west) * (north - south), rel=1e-6)
        assert (bounds.min(axis=0)[:2] == (west, south)).all()
        assert (bounds.max(axis=0)[2:] == (east, north)).all()

    def test_quarters_meet_without_gap_or_overlap(self):
        cell = Cell((9.16, 48.76, 9.17, 48.77))
        parts = [part.bounds for part in cell.quarters()]
        assert shapely.union_all(shapely.box(*np.array(parts).T)).equals(shapely.box(*cell.bounds))
        assert sum(shapely.area(shapely.box(*np.array(parts).T))) == pytest.approx(0.01**2)
        assert [part.depth for part in cell.quarters()] == [1] * 4
        assert Cell(cell.bounds, SPLITS).quarters() == []

    def test_a_country_is_too_large(self):
        with pytest.raises(RegionError, match="too many") as caught:
            cells(Region.from_bbox(5.0, 47.0, 15.0, 55.0))
        assert "mlygeo tiles" in caught.value.hint


def run(url, **options):
    endpoint = url.removesuffix("/x")
    service = Service(endpoints=Endpoints(graph=endpoint), token=TOKEN, retry=QUICK)
    with Graph(service, workers=2) as graph:
        search = graph.search(fields=("sequence",), **options)
        return [int(record["id"]) for batch in search for record in batch], search


@pytest.fixture(scope="module")
def people():
    count = 2500
    images = images_at(np.full(count, 9.165), np.full(count, 48.765))
    return images.assign(
        creator_id=pd.array([7, 8] * (count // 2), dtype="Int64"),
        creator_username=pd.Series(["ann", "bob & co?"] * (count // 2), dtype="str"),
        is_pano=np.arange(count) % 3 == 0,
    )


class TestPages:
    @pytest.mark.parametrize("link", ["token", "plain", "other_host"])
    def test_all_pages_are_read_whatever_the_next_link_looks_like(self, people, link):
        faults = Faults(next_link=link)
        with serve(people, token=TOKEN, faults=faults) as server:
            found, search = searched(server, creator_username="ann", limit=300)
            assert server.count() == 5
            # The token stands in the header, though the links hold it, and goes to no other host.
            assert all(request.headers["Authorization"] == f"OAuth {TOKEN}" for request in server.requests)
            assert all("access_token" not in request.query for request in server.requests)
        assert search.complete
        assert found == people["id"][people["creator_id"] == 7].tolist()

    def test_conditions_narrow_it_down(self, people):
        with serve(people) as server:
            found, _ = searched(
                server,
                creator_username="bob & co?",
                is_pano=True,
                since=datetime(1970, 1, 1, 0, 10, 0, 5, tzinfo=UTC),
                until=datetime(1970, 1, 1, 0, 20, 0, 5),
                organization_id=9,
            )
            query = server.requests[0].query
        assert query["start_captured_at"] == "1970-01-01T00:10:00Z"
        assert query["end_captured_at"] == "1970-01-01T00:20:01Z"
        expected = people[(people["creator_id"] == 8) & people["is_pano"]].iloc[:]
        seconds = expected["captured_at"].astype("int64") / 1000
        assert found == expected["id"][(seconds >= 600) & (seconds <= 1201)].tolist()

    def test_in_a_box_too(self, people):
        with serve(people) as server:
            found, search = searched(server, bbox=(9.16, 48.76, 9.17, 48.77), creator_username="ann", limit=2000)
        assert found
        assert set(found) == set(people["id"][people["creator_id"] == 7])
        assert search.complete

    def test_of_sequences(self, people):
        with serve(people) as server:
            found, _ = searched(server, sequence_ids=["s", "t"], limit=2000)
        assert found == people["id"].tolist()

    def test_max_pages_cuts_off_and_says_so(self, people):
        with serve(people) as server:
            found, search = searched(server, creator_username="ann", limit=500, max_pages=2)
            assert (len(found), server.count()) == (1000, 2)
            assert "after 2 pages" in search.shortcomings()[0]
            found, search = searched(server, creator_username="ann", limit=1250, max_pages=1)
        assert len(found) == 1250
        assert search.complete

    def test_nobody_has_no_images(self, people):
        with serve(people) as server:
            assert searched(server, creator_username="nobody")[0] == []

    def test_pages_that_are_too_large_are_asked_for_smaller(self):
        limits = []

        def answer(handler):
            limit = int(handler.path.split("limit=")[1].split("&")[0])
            limits.append(limit)
            if limit > 300:
                reply(handler, {"error": {"code": 1, "message": "Please reduce the amount of data"}}, 500)
            else:
                reply(handler, {"data": [{"id": "5"}]})

        with scripted(answer) as (url, _):
            found, search = run(url, creator_username="ann")
        assert (found, limits) == ([5], [1000, 500, 250])
        assert search.complete

    @staticmethod
    def page(number, after, count=2, **paging):
        data = [{"id": str(10 * number + row + 1)} for row in range(count)]
        link = f"https://graph.mapillary.com/images?after={after}"
        return (200, {}, json.dumps({"data": data, "paging": {"next": link, **paging}}).encode())

    @pytest.mark.parametrize(
        "pages",
        [
            [(0, "a"), (1, "b"), (2, "a")],  # the cursors lead back
            [(0, "a"), (0, "b"), (0, "c"), (0, "d")],  # the same images under new cursors
            [(0, "a"), (0, "a")],
        ],
    )
    def test_pages_that_repeat_are_an_error_and_no_endless_search(self, pages):
        with (
            scripted(*(self.page(number, after) for number, after in pages)) as (url, asked),
            pytest.raises(ServiceError, match="repeat themselves"),
        ):
            run(url, creator_username="ann")
        assert len(asked) <= 6

    def test_empty_pages_without_end_are_an_error(self):
        count = iter(range(1000))

        def answer(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n")
            body = json.dumps({"data": [], "paging": {"next": f"https://x/?after={next(count)}"}}).encode()
            handler.wfile.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

        with scripted(answer) as (url, asked), pytest.raises(ServiceError, match="no end"):
            run(url, creator_username="ann")
        assert len(asked) < 10

    @pytest.mark.parametrize("link", ["https://[bad", "https://x/?before=1", 5, "nonsense"])
    def test_a_next_link_without_a_cursor_is_an_error(self, link):
        answer = (200, {}, json.dumps({"data": [{"id": "1"}], "paging": {"next": link}}).encode())
        with scripted(answer) as (url, _), pytest.raises(ServiceError, match="no cursor"):
            run(url, creator_username="ann")

    @pytest.mark.parametrize("paging", [b'"next"', b"5", b"true"])
    def test_pages_of_which_nothing_is_known_are_an_error(self, paging):
        answer = (200, {}, b'{"data": [{"id": "5"}], "paging": %b}' % paging)
        with scripted(answer) as (url, _), pytest.raises(ServiceError, match="further pages"):
            run(url, creator_username="ann")

    def test_the_cursor_may_stand_beside_the_link(self):
        first = self.page(0, "", cursors={"after": "q w&e"})
        last = (200, {}, b'{"data": [{"id": "99"}], "paging": {"cursors": {"after": "zzz"}}}')
        with scripted(first, last) as (url, asked):
            found, search = run(url, creator_username="ann")
        assert found == [1, 2, 99]
        assert search.complete
        assert "after=q+w%26e" in asked[1][0]

    def test_a_search_that_breaks_off_keeps_what_it_has_and_says_so(self):
        with scripted(self.page(0, "a"), (502, {}, b"")) as (url, _):
            found, search = run(url, creator_username="ann")
        assert found == [1, 2]
        assert "broke off" in search.shortcomings()[0]
        with scripted((502, {}, b"")) as (url, _), pytest.raises(ServiceError):
            run(url, creator_username="ann")

    @pytest.mark.parametrize(
        "data", ["[5]", '["a"]', "[null]", '[{"ID": "5"}]', '[{"id": "-5"}]', '[{"id": 1e30}]', "{}"]
    )
    def test_a_list_of_other_things_is_an_error(self, data):
        with scripted((200, {}, b'{"data": %s}' % data.encode())) as (url, asked), pytest.raises(ServiceError):
            run(url, creator_username="ann")
        assert len(asked) == QUICK.attempts

    def test_an_endless_answer_is_cut(self, monkeypatch):
        from mlygeo.providers.mapillary import graph as protocol

        monkeypatch.setattr(protocol, "LONGEST_JSON", 100_000)
        with (
            serve(images_at([9.165], [48.765]), faults=Faults(endless=1.0)) as server,
            pytest.raises(ServiceError, match="more than 100,000 bytes"),
        ):
            searched(server, creator_username="ann", retry=Retry(attempts=1))


class TestCalls:
    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({}, "where or whose"),
            ({"is_pano": True, "make": "GoPro"}, "where or whose"),
            ({"creator_username": " "}, "creator_username is empty"),
            ({"sequence_ids": []}, "sequence_ids is empty"),
            ({"creator_username": "ann", "limit": 0}, "no images"),
            ({"creator_username": "ann", "max_pages": 0}, "no pages"),
            ({"bbox": (9, 48, 9, 49)}, "no width"),
        ],
    )
    def test_a_search_that_makes_no_sense_is_refused_before_it_starts(self, options, says):
        with Graph(Service(token=TOKEN)) as graph, pytest.raises(InputError, match=says):
            graph.search(fields=("id",), **options)

    def test_the_smallest_box_is_a_metre(self):
        assert pytest.approx(1.1, rel=0.1) == CELL / 2**SPLITS * 111_000
        assert module.LIMIT == 1000
