"""The stand-in's pictures: whole files under signed addresses, drawn ones, no tokens; and how it fails with them."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from helpers.plain_client import ask
from helpers.tokens import TOKEN
from PIL import Image

from mlygeo.errors import FileError, InputError
from mlygeo.standin import Faults, Pictures, serve
from mlygeo.standin.faults import GRAPH, PANORAMAX, PASSING, ROUTE_NAMES, SHARES
from mlygeo.standin.routes import ROUTES


@pytest.fixture(scope="module")
def few(images):
    return images.head(40)


@pytest.fixture(scope="module")
def photos(few, tmp_path_factory):
    """Photos of the first ten images, as several downloads leave them: in folders of their sequences."""
    folder = tmp_path_factory.mktemp("photos")
    for number, sequence in zip(few["id"][:10], few["sequence_id"][:10], strict=True):
        (folder / sequence).mkdir(exist_ok=True)
        seed = hashlib.sha256(str(number).encode()).digest()
        picture = Image.frombytes("RGB", (64, 48), (seed * 300)[: 64 * 48 * 3])
        picture.save(folder / sequence / f"{number}.jpg", quality=95)
    hidden = folder / ".part"
    hidden.mkdir()
    (hidden / f"{few['id'].iloc[11]}.jpg").write_bytes(b"not yet")
    (folder / "readme.jpg").write_bytes(b"no picture of an image")
    return folder


@pytest.fixture(scope="module")
def server(few, photos):
    with serve(few, photos=photos) as server:
        yield server


@pytest.fixture(autouse=True)
def right_again(server):
    yield
    server.faults = Faults()
    server.forget()


def address(server, number, size="2048"):
    return ask(f"{server.url}/{number}", fields=f"thumb_{size}_url").json[f"thumb_{size}_url"]


class TestPictures:
    @pytest.mark.parametrize("size", ["256", "1024", "2048", "original"])
    def test_a_photo_comes_as_it_is(self, server, few, photos, size):
        for number, sequence in zip(few["id"][:10], few["sequence_id"][:10], strict=True):
            reply = ask(address(server, number, size))
            assert reply.status == 200
            assert reply.headers["Content-Type"] == "image/jpeg"
            assert reply.body == (photos / sequence / f"{number}.jpg").read_bytes()
            assert int(reply.headers["Content-Length"]) == len(reply.body)

    def test_the_others_are_drawn_each_its_own(self, server, few):
        rows = few.iloc[10:20]
        seen = set()
        for row in rows.itertuples():
            for size, side in {"256": 256, "1024": 1024, "2048": 2048, "original": 2048}.items():
                body = ask(address(server, row.id, size)).body
                with Image.open(io.BytesIO(body)) as picture:
                    picture.load()
                    assert picture.format == "JPEG"
                    assert picture.size == (side, side // 2 if row.is_pano else side * 3 // 4)
                if size != "original":
                    seen.add(hashlib.sha256(body).digest())
        assert len(seen) == 3 * len(rows)
        assert few["is_pano"].nunique() == 2, "both shapes were looked at"

    def test_another_server_draws_the_same(self, server, few):
        number = few["id"].iloc[20]
        with serve(few) as other:
            assert ask(address(other, number)).body == ask(address(server, number)).body

    def test_what_is_under_way_and_other_files_are_no_photos(self, server, few):
        assert server.photos == 10
        assert ask(address(server, few["id"].iloc[11])).body[:2] == b"\xff\xd8"

    def test_no_such_folder(self, few, tmp_path):
        with pytest.raises(FileError, match="no folder"), serve(few, photos=tmp_path / "nowhere"):
            pass

    def test_pictures_may_be_shared(self, few, photos):
        pictures = Pictures(photos)
        assert len(pictures) == 10
        with serve(few, photos=pictures) as one, serve(few, photos=pictures) as other:
            assert ask(address(one, few["id"].iloc[0])).body == ask(address(other, few["id"].iloc[0])).body

    def test_a_large_one_to_many_at_once_over_kept_connections(self, few, tmp_path):
        number = int(few["id"].iloc[0])
        body = bytes(range(256)) * 8192
        (tmp_path / f"{number}.jpg").write_bytes(body)
        with serve(few, photos=tmp_path) as server:
            url = urlsplit(address(server, number))

            def fetch(_):
                connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
                for _ in range(5):
                    connection.request("GET", f"{url.path}?{url.query}")
                    assert connection.getresponse().read() == body
                    assert connection.sock is not None, "the connection is kept"
                connection.close()

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(fetch, range(8)))
            assert server.count("thumbs") == 40


class TestAddresses:
    def test_they_expire(self, server, few):
        number = few["id"].iloc[0]
        server.faults = Faults(url_lifetime=5)
        before = time.time()
        url = address(server, number)
        expiry = int(parse_qs(urlsplit(url).query)["oe"][0], 16)
        assert before + 4 <= expiry <= time.time() + 6
        assert ask(url).status == 200
        time.sleep(expiry - time.time() + 0.05)
        assert ask(url).status == 403
        server.faults = Faults(expired_status=410)
        assert ask(url).status == 410
        assert ask(address(server, number)).status == 200

    def test_after_thirty_days_by_default(self, server, few):
        expiry = int(parse_qs(urlsplit(address(server, few["id"].iloc[0])).query)["oe"][0], 16)
        assert expiry - time.time() == pytest.approx(30 * 86_400, abs=60)

    def test_nothing_in_them_can_be_changed(self, server, few):
        url = address(server, few["id"].iloc[0])
        parts = parse_qs(urlsplit(url).query)
        later = f"{int(parts['oe'][0], 16) + 3600:08X}"
        for wrong in (
            url.replace(parts["oe"][0], later),
            url.replace(parts["oh"][0], "0" * 32),
            url.replace(str(few["id"].iloc[0]), str(few["id"].iloc[1])),
            url.replace("/2048/", "/original/"),
            url.split("?")[0],
            url.split("&")[0],
            url.replace("oe=", "oe=zz"),
        ):
            assert ask(wrong).status == 403, wrong

    def test_a_token_has_no_place_there(self, server, few):
        url = address(server, few["id"].iloc[0])
        assert server.leaks == 0
        assert ask(url, token=TOKEN).status == 400
        assert ask(f"{url}&access_token=x").status == 400
        assert ask(url, headers={"Cookie": "session=x"}).status == 400
        assert ask(url, headers={"Referer": f"https://example.org/{TOKEN}"}).status == 400
        assert server.leaks == 4
        assert ask(url).status == 200
        assert ask(f"{server.url}/me", token=TOKEN).status == 200
        assert server.leaks == 4
        server.forget()
        assert server.leaks == 0

    def test_the_picture_of_an_image_that_is_gone(self, server, few):
        url = address(server, few["id"].iloc[0])
        server.faults = Faults(gone={int(few["id"].iloc[0])})
        assert ask(url).status == 404


class TestFaults:
    @pytest.mark.parametrize("at", [0, 12], ids=["photo", "drawn"])
    def test_bodies_that_are_not_whole(self, server, few, at):
        number = few["id"].iloc[at]
        url = address(server, number)
        whole = ask(url).body
        server.faults = Faults(truncate_quietly=1)
        assert ask(url).body == whole[: len(whole) // 2]
        server.faults = Faults(truncate=1)
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(url)
        assert caught.value.partial == whole[: len(whole) // 2]
        server.faults = Faults(drop=1)
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            ask(url)
        server.faults = Faults(hang_up=1)
        with pytest.raises(http.client.RemoteDisconnected):
            ask(url)
        server.faults = Faults(empty=1)
        assert ask(url).body == b""
        server.faults = Faults(html=1)
        assert ask(url).body.startswith(b"<!DOCTYPE")
        server.faults = Faults(garbage=1)
        reply = ask(url)
        assert (reply.status, reply.headers["Content-Type"], len(reply.body)) == (200, "image/jpeg", len(whole))
        assert reply.body[:2] != b"\xff\xd8"
        server.faults = Faults(expired=1)
        assert ask(url).status == 403
        server.faults = Faults(not_found=1)
        assert ask(url).status == 404
        server.faults = Faults()
        assert ask(url).body == whole

    def test_endless_ones_begin_as_the_picture(self, server, few):
        url = address(server, few["id"].iloc[0])
        whole = ask(url).body
        server.faults = Faults(endless=1)
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        connection.request("GET", f"{parts.path}?{parts.query}")
        body = connection.getresponse().read(2_000_000)
        connection.close()
        assert len(body) == 2_000_000
        assert body.startswith(whole)

    def test_bombs(self, server, few):
        url = address(server, few["id"].iloc[0])
        server.faults = Faults(bomb=1)
        picture = ask(url).body
        assert len(picture) < 10_000
        Image.MAX_IMAGE_PIXELS, before = None, Image.MAX_IMAGE_PIXELS
        try:
            with Image.open(io.BytesIO(picture)) as opened:
                assert opened.size == (65_500, 65_500)
        finally:
            Image.MAX_IMAGE_PIXELS = before
        reply = ask(f"{server.url}/me")
        assert reply.headers["Content-Encoding"] == "gzip"
        assert len(reply.body) < 2_000_000
        with gzip.GzipFile(fileobj=io.BytesIO(reply.body)) as stream:
            size = sum(len(piece) for piece in iter(lambda: stream.read(2**22), b""))
        assert size == 256 * 2**20, "and its checksum is right"

    def test_redirects_lead_to_another_host(self, server, few):
        server.faults = Faults(redirect=1)
        thumb = f"{server.url}/thumbs/256/{few['id'].iloc[0]}.jpg?oh=a&oe=b"
        for url in (thumb, f"{server.url}/me?access_token={TOKEN}", f"{server.url}/maps/vtp/mly1_public/2/14/1/1"):
            reply = ask(url)
            assert reply.status == 302
            location = reply.headers["Location"]
            assert urlsplit(location).netloc == urlsplit(server.other_host.url).netloc != urlsplit(server.url).netloc
            assert urlsplit(location).hostname == "localhost"
            assert TOKEN not in location
            before = server.leaks
            assert ask(location).status == 200
            assert server.leaks == before
            ask(location, token=TOKEN)
            assert server.leaks == before + 1
        assert len(server.other_host.requests) == 6

    def test_json_of_the_wrong_shape(self, server, few):
        server.faults = Faults(odd_json=1)
        bodies = {ask(f"{server.url}/images?image_ids={number}").body for number in few["id"]}
        assert len(bodies) > 5
        for body in bodies:
            odd = json.loads(body)
            if isinstance(odd, dict) and isinstance(odd.get("data"), list):
                assert odd["data"], "an empty list would be an answer"

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ("server_error", 502, None),
            ("temporary", 500, 2),
            ("query_timeout", 400, -2),
            ("too_much", 500, 1),
            ("error_object", 200, 2),
            ("html", 200, None),
            ("expired", 200, None),  # only pictures have an address that expires
        ],
    )
    def test_errors_of_the_graph(self, server, few, fault, status, code):
        server.faults = Faults(**{fault: 1})
        for path in (f"/{few['id'].iloc[0]}", f"/?ids={few['id'].iloc[0]}", "/me", "/images?bbox=9.1,48.7,9.2,48.79"):
            reply = ask(server.url + path)
            assert reply.status == status
            if code is not None:
                assert reply.json["error"]["code"] == code

    def test_too_many_requests(self, server, few):
        server.faults = Faults(rate=1, rate_answer=429, retry_after="7", first=1)
        reply = ask(f"{server.url}/me")
        assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
        assert ask(f"{server.url}/me").status == 200


class TestRoutes:
    def test_their_names(self):
        assert {route.name for route in ROUTES} | {"graph", "uploads", "panoramax"} == ROUTE_NAMES
        assert set(GRAPH) < ROUTE_NAMES
        assert set(PASSING) < set(SHARES)

    def test_faults_on_some_only(self, server, few):
        url = address(server, few["id"].iloc[0])
        for faults in (Faults(not_found=1, only=("thumbs",)), Faults(routes={"thumbs": Faults(not_found=1)})):
            server.faults = faults
            assert ask(url).status == 404
            assert ask(f"{server.url}/me").status == 200
        server.faults = Faults(temporary=1, latency=600, only=("graph",))
        assert ask(url).status == 200
        server.faults = Faults(temporary=1, latency=0.2, only=("graph",))
        started = time.monotonic()
        for path in ("/me", "/5", "/?ids=5", "/image_ids?sequence_id=x", "/images?image_ids=5", "/images?fields=id"):
            assert ask(server.url + path).status == 500
        assert time.monotonic() - started >= 6 * 0.2
        server.faults = Faults(routes={"search": Faults(too_much=1), "graph": Faults(temporary=1)})
        assert ask(f"{server.url}/images?bbox=1,1,1.01,1.01").error == (1, None)
        assert ask(f"{server.url}/images?image_ids=5").error == (2, None)

    def test_what_holds_everywhere_holds_where_no_fault_is_laid(self, server, few):
        server.faults = Faults(drop=1, only=("thumbs",), gone={int(few["id"].iloc[0])}, url_lifetime=60)
        assert ask(f"{server.url}/{few['id'].iloc[0]}").error == (100, 33)
        expiry = int(parse_qs(urlsplit(address(server, few["id"].iloc[1])).query)["oe"][0], 16)
        assert expiry - time.time() < 70

    def test_a_route_that_there_is_not(self):
        for wrong in ({"only": ("thumb",)}, {"routes": {"tile": Faults()}}):
            with pytest.raises(ValueError, match="no route is called"):
                Faults(**wrong)

    def test_each_is_counted(self, server, few):
        server.forget()
        number = few["id"].iloc[0]
        ask(address(server, number))
        for path in ("/?ids=5", "/images?image_ids=5", "/images?bbox=1,1,1.01,1.01", "/image_ids?sequence_id=x", "/me"):
            ask(server.url + path)
        assert {name: server.count(name) for name in sorted(ROUTE_NAMES - {"graph", "uploads", "panoramax", *PANORAMAX})} == {
            "entities": 1, "entity": 1, "finish_upload": 0, "image_ids": 1, "images": 1, "logging": 0, "login": 0,
            "me": 1, "search": 1, "sign_in": 0, "thumbs": 1, "tiles": 0, "upload": 0, "upload_offset": 0,
        }  # fmt: skip
        assert server.count() == 7
        assert [request.route for request in server.requests][:2] == ["entity", "thumbs"]


class TestChoice:
    def test_a_share_is_spread(self):
        faults = Faults(seed=5, latency=0.1).spread(0.26)
        assert (faults.seed, faults.latency) == (5, 0.1)
        assert {name: getattr(faults, name) for name in PASSING} == dict.fromkeys(PASSING, pytest.approx(0.02))
        assert sum(getattr(faults, name) for name in SHARES) == pytest.approx(0.26)
        faults = Faults().spread(0.5, "drop", "stall")
        assert (faults.drop, faults.stall, faults.html) == (0.25, 0.25, 0)

    def test_the_question_decides_and_not_the_signature(self, server, few):
        """Asked anew under a fresh address, or with another token, it is the same request once more."""
        server.faults = Faults(not_found=1, first=2, only=("thumbs",))
        number = few["id"].iloc[0]
        statuses = []
        for lifetime in (100, 200, 300):
            server.faults = Faults(not_found=1, first=2, only=("thumbs",), url_lifetime=lifetime)
            statuses.append(ask(address(server, number)).status)
        assert statuses == [404, 404, 200]
        server.faults = Faults(temporary=1, first=1)
        assert [ask(f"{server.url}/me", access_token=name).status for name in "ab"] == [500, 200]
        assert ask(f"{server.url}/images", image_ids="5").status == 500
        assert ask(f"{server.url}/images", image_ids="6").status == 500
        assert ask(f"{server.url}/images", image_ids="5").status == 200

    def test_the_order_of_requests_plays_no_part(self, few, photos):
        faults = Faults(seed=3).spread(0.6, "temporary", "not_found", "server_error")
        paths = [f"/{number}?fields=sequence" for number in few["id"]]
        found = []
        for order in (paths, paths[::-1]):
            with serve(few, faults=faults) as server, ThreadPoolExecutor(8) as pool:
                found.append(dict(zip(order, pool.map(lambda path: ask(server.url + path).status, order), strict=True)))
        assert found[0] == found[1]
        assert len(set(found[0].values())) == 4


class TestConnections:
    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"GET /me HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
            (b"GET /me HTTP/1.0\r\n\r\n", b"200"),
            (b"GET //me HTTP/1.1\r\n\r\n", b"200"),
            (b"nonsense\r\n\r\n", b"400"),
            (b"GET /me HTTP/2\r\n\r\n", b"400"),
            (b"DELETE /me HTTP/1.1\r\n\r\n", b"501"),
            (b"GET /me HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        ],
    )
    def test_odd_requests(self, server, sent, status):
        parts = urlsplit(server.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
            connection.sendall(sent)
            assert connection.recv(4096).split()[1] == status

    def test_names_of_headers_in_any_case(self, few):
        with serve(few, token=TOKEN) as server:
            assert ask(f"{server.url}/me", headers={"aUTHORIZATION": f"oauth {TOKEN}"}).status == 200

    def test_the_last_requests_are_kept_and_all_are_counted(self, few, monkeypatch):
        monkeypatch.setattr("mlygeo.standin.server.REQUESTS_KEPT", 10)
        with serve(few) as server:
            for _ in range(35):
                ask(f"{server.url}/login")
            assert server.count("login") == 35
            assert 10 <= len(server.requests) < 20

    def test_a_port_that_is_taken(self, server, few):
        with pytest.raises(InputError, match="cannot be used"), serve(few, port=urlsplit(server.url).port):
            pass
        with pytest.raises(InputError, match="no port"), serve(few, port=70_000):
            pass

    def test_the_store_is_made(self, few, tmp_path):
        with serve(few, store=tmp_path / "a" / "b") as server:
            assert server.store is not None
            assert server.store.is_dir()
        (tmp_path / "file").touch()
        with pytest.raises(FileError), serve(few, store=tmp_path / "file"):
            pass
