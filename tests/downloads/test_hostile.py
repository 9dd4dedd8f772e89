"""Answers that mean harm: names that lead out of the folder, addresses that catch secrets, pictures that fill memory."""

import json
import re
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from helpers.picture_downloads import fetch, pictures_in
from helpers.processes import HANGS_S, WAITS_S
from helpers.tokens import TOKEN

import mlygeo
from mlygeo.errors import NetworkError, ServiceError
from mlygeo.net.http import Retry, StoppedError
from mlygeo.net.pictures import ExpiredError, Pictures, WaitError
from mlygeo.providers.mapillary.records import expiry
from mlygeo.providers.mapillary.service import Endpoints, Service
from mlygeo.standin import serve
from mlygeo.standin.pictures import Pictures as Drawn

PICTURE = Drawn().drawn(1, "256", is_pano=False)


class Web(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def web(answer):
    """A web server: `answer(handler)` answers; what it was asked stands in `asked`."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            answer(self)

        def send(self, status, body=b"", **headers):
            self.send_response(status)
            for name, value in {"Content_Length": len(body), **headers}.items():
                self.send_header(name.replace("_", "-"), str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

        def handle(self):
            with suppress(ConnectionError):
                super().handle()

    server = Web(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def graph_of(records, picture=lambda handler: handler.send(200, PICTURE)):
    """Answer as the Graph API with these records (a dict by id, or whatever is given), and with pictures."""

    def answer(handler):
        parts = urlsplit(handler.path)
        if parts.path.startswith("/pictures"):
            picture(handler)
        elif parts.path == "/images":
            ids = parse_qs(parts.query)["image_ids"][0].split(",")
            found = [records[number] for number in ids if number in records]
            handler.send(200, json.dumps({"data": found}).encode())
        elif parts.path.strip("/") in records:
            handler.send(200, json.dumps(records[parts.path.strip("/")]).encode())
        else:
            handler.send(400, b'{"error": {"code": 100, "error_subcode": 33, "message": "gone", "type": "x"}}')

    return answer


def download_of(url, ids, folder, **options):
    service = Service(
        endpoints=Endpoints(graph=url, tiles=url, upload=url),
        token=TOKEN,
        retry=Retry(attempts=2, first_wait=0.01, longest_wait=0.02, rate_wait=0.05),
        **{"read_timeout": 2, **options.pop("times", {})},
    )
    options = {"size": "256", "required_disk_space": 0, "num_retries": 1, "service": service, **options}
    return mlygeo.download(ids, output=folder, **options)


HOSTILE = [
    "../../evil",
    "..",
    ".",
    "/etc/evil",
    "\\\\host\\share",
    "C:\\evil",
    "C:evil",
    "a/b",
    "a\\b",
    "evil\0.jpg",
    "nul",
    "CON",
    "com1",
    "LPT9",
    "x" * 10_000,
    "",
    " ",
    "trailing.",
    ".mlygeo",
    "a\nb",
    "ünï",
    "~",
    "$HOME",
    "-rf; rm",
]


@pytest.mark.parametrize("layout", ["sequence", "time", "flat"])
def test_names_never_lead_out_of_the_folder(tmp_path, layout):
    others = [5, None, ["../x"], {"a": "../x"}, True, 1.5]
    names = [*HOSTILE, *others]
    records = {str(number): {"id": str(number), "sequence": name} for number, name in enumerate(names, start=1)}
    ids = list(range(1, len(names) + 1))
    folder = tmp_path / "a" / "b" / "c" / "pictures"
    with web(graph_of(records)) as (url, _):
        for number, record in records.items():
            record["thumb_256_url"] = f"{url}/pictures/{number}.jpg"
            record["captured_at"] = 1_720_488_258_913
        frame = download_of(url, ids, folder, layout=layout)
    everything = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(folder in path.parents for path in everything)
    if layout == "flat":
        assert frame["status"].unique().tolist() == ["done"]
        assert len(pictures_in(folder)) == len(names)
    else:
        assert frame["status"].unique().tolist() == ["failed"]
        assert frame["reason"].str.contains("cannot be the name of a folder|names no sequence").all()
        assert frame["reason"].str.len().max() < 200
        assert pictures_in(folder) == {}


def test_hostile_ids_in_the_frame_of_a_stand_in(images, tmp_path):
    """The same by way of the stand-in, beside images that are as they should be."""
    some = images.iloc[:30].copy()
    some.loc[some.index[::3], "sequence_id"] = "../../../evil"
    with serve(some, token=TOKEN) as server:
        frame = fetch(server, some, tmp_path / "a" / "b")
        assert frame["status"].value_counts().to_dict() == {"done": 20, "failed": 10}
        assert server.count("thumbs") == 20
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    "captured", ["yesterday", None, 1e300, -1e300, True, [], float("nan"), 10**30, -62_135_596_800_000]
)
def test_times_that_are_none(tmp_path, captured):
    records = {"7": {"id": "7", "sequence": "abcdefghij", "captured_at": captured}}
    with web(graph_of(records)) as (url, _):
        records["7"]["thumb_256_url"] = f"{url}/pictures/7.jpg"
        frame = download_of(url, [7], tmp_path, layout="time")
    assert frame["status"].tolist() == ["done"]
    assert frame["path"][0] in {"abcdefgh/7.jpg", "00010101_000000_abcdefgh/00010101_000000_000.jpg"}


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("file:///etc/passwd", "none of a picture"),
        ("ftp://example.org/x.jpg", "none of a picture"),
        ("http://example.org/x.jpg", "none of a picture"),
        ("//example.org/x.jpg", "none of a picture"),
        ("https://", "none of a picture"),
        ("https://exa mple.org/x.jpg", "none of a picture"),
        ("https://example.org/x.jpg\r\nX-Injected: 1", "none of a picture"),
        ("https://example.org:99999/x.jpg", "none of a picture"),
        ("https://example.org/" + "x" * 10_000, "none of a picture"),
        ("https://user:password@example.org/x.jpg", "secret"),
        (f"https://example.org/x.jpg?access_token={TOKEN}", "secret"),
        (f"https://example.org/{TOKEN.replace('|', '%7C')}/x.jpg", "secret"),
        (5, "no address"),
        (["https://example.org"], "no address"),
        ("", "no address"),
    ],
)
def test_addresses_that_are_not_asked(tmp_path, address, words):
    records = {"7": {"id": "7", "sequence": "abc", "thumb_256_url": address}}
    with web(graph_of(records)) as (url, _):
        frame = download_of(url, [7], tmp_path)
    assert frame["status"].tolist() == ["failed"]
    assert words in frame["reason"][0]
    assert TOKEN not in frame["reason"][0]
    assert "password" not in frame["reason"][0]


def test_a_service_elsewhere_may_not_point_at_this_machine():
    service = Service(endpoints=Endpoints(graph="https://graph.example.org"), token=TOKEN)
    with Pictures(service) as pictures, pytest.raises(ServiceError, match="this very machine"):
        pictures.get("http://127.0.0.1:9/x.jpg", what="image 7")


def test_redirects_are_not_followed_and_nothing_goes_elsewhere(tmp_path):
    with web(lambda handler: handler.send(200, PICTURE)) as (elsewhere, asked):
        location = f"{elsewhere}/x.jpg?access_token={TOKEN}"
        records = {"7": {"id": "7", "sequence": "abc"}}
        with web(graph_of(records, lambda handler: handler.send(302, Location=location))) as (url, seen):
            records["7"]["thumb_256_url"] = f"{url}/pictures/7.jpg"
            frame = download_of(url, [7], tmp_path)
    assert asked == []
    assert "redirects" in frame["reason"][0]
    for path, headers in seen:
        if path.startswith("/pictures"):
            assert TOKEN not in str(headers) + path
            assert not {"Authorization", "Cookie", "Referer"} & set(headers)


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"\xff\xd8\xff" + bytes(65_536))
    except OSError:
        handler.close_connection = True


def trickling(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"\xff\xd8\xff")
        handler.wfile.flush()
        time.sleep(0.02)


def gzip_bomb(handler):
    import gzip

    handler.send(200, gzip.compress(bytes(40 << 20), 1), Content_Encoding="gzip")


BODIES = {
    "endless": (endless, "more than|too slow"),
    "trickling": (trickling, "took more than 1 s"),
    "gzip bomb": (gzip_bomb, "more than"),
    "announced too large": (lambda handler: handler.send(200, b"", Content_Length=10**12), "announced"),
    "empty": (lambda handler: handler.send(200), "empty"),
    "web page": (lambda handler: handler.send(200, b"<!DOCTYPE html><html></html>"), "a web page"),
    "JSON": (lambda handler: handler.send(200, b'{"error": {"code": 2, "message": "no"}}'), "a JSON text"),
    "half": (lambda handler: handler.send(200, PICTURE[: len(PICTURE) // 2]), "cut short"),
    "without its end": (lambda handler: handler.send(200, PICTURE[:-2]), "cut short"),
    "a PNG": (lambda handler: handler.send(200, b"\x89PNG\r\n\x1a\n" + bytes(99)), "a PNG"),
    "half under the whole length": (
        lambda handler: (
            handler.send(200, PICTURE[:-100], Content_Length=len(PICTURE)),
            handler.connection.shutdown(2),
        ),
        "broke off|sent",
    ),
    "impossible status": (lambda handler: handler.wfile.write(b"HTTP/1.1 abc what\r\n\r\n"), "not HTTP"),
    "impossible length": (
        lambda handler: handler.send(200, PICTURE, Content_Length="-5"),
        "impossible length",
    ),
    "too many headers": (
        lambda handler: handler.send(200, PICTURE, **{f"X_{n}": "x" for n in range(500)}),
        "not HTTP",
    ),
}


@pytest.mark.parametrize("kind", BODIES)
def test_bodies_that_are_no_picture(tmp_path, kind, monkeypatch):
    body, words = BODIES[kind]
    monkeypatch.setitem(Pictures.__init__.__kwdefaults__, "longest", 20 << 20)
    records = {"7": {"id": "7", "sequence": "abc"}}
    with web(graph_of(records, body)) as (url, _):
        records["7"]["thumb_256_url"] = f"{url}/pictures/7.jpg"
        frame = download_of(url, [7], tmp_path, times={"total_timeout": 1.0, "read_timeout": 1.0})
    assert frame["status"].tolist() == ["failed"]
    assert re.search(words, frame["reason"][0]), frame["reason"][0]
    assert pictures_in(tmp_path) == {}
    assert not list((tmp_path / ".mlygeo" / "parts").iterdir())


@pytest.mark.parametrize(
    "odd", [None, 5, "x", [], {"data": None}, {"data": {}}, {"data": [None, 5, {"id": {}}, {"id": "seven"}]}]
)
def test_json_of_the_wrong_shape(tmp_path, odd):
    def answer(handler):
        handler.send(200, json.dumps(odd).encode())

    with web(answer) as (url, _):
        try:
            frame = download_of(url, [7, 8], tmp_path)
        except ServiceError:
            return
    assert frame["status"].unique().tolist() == ["failed"]


def test_what_pictures_say():
    answers = iter([(403, ExpiredError), (404, ExpiredError), (410, ExpiredError), (500, ServiceError)])
    kinds = []

    def answer(handler):
        status, kind = next(answers)
        kinds.append(kind)
        handler.send(status, b"no")

    with web(answer) as (url, _), Pictures(Service(endpoints=Endpoints(graph=url), token=TOKEN)) as pictures:
        for _ in range(4):
            with pytest.raises(ServiceError) as caught:
                pictures.get(f"{url}/x.jpg", what="image 7")
            assert type(caught.value) is kinds[-1]
    with (
        web(lambda handler: handler.send(429, Retry_After="7")) as (url, _),
        Pictures(Service(endpoints=Endpoints(graph=url), token=TOKEN)) as pictures,
        pytest.raises(WaitError) as caught,
    ):
        pictures.get(f"{url}/x.jpg", what="image 7")
    assert caught.value.seconds == 7
    with (
        Pictures(Service(endpoints=Endpoints(graph=url), token=TOKEN)) as pictures,
        pytest.raises(NetworkError, match="could not be reached"),
    ):
        pictures.get(f"{url}/x.jpg", what="image 7")


def test_silence_can_be_interrupted():
    silent, over = threading.Event(), threading.Event()

    def answer(handler):
        silent.set()
        over.wait(600)

    with web(answer) as (url, _):
        pictures, ended = Pictures(Service(endpoints=Endpoints(graph=url), token=TOKEN, read_timeout=60)), []

        def get():
            try:
                pictures.get(f"{url}/x.jpg", what="image 7")
            except StoppedError:
                ended.append(True)

        thread = threading.Thread(target=get, daemon=True)
        thread.start()
        assert silent.wait(HANGS_S)
        time.sleep(0.05)
        pictures.interrupt()
        thread.join(WAITS_S)  # less than the minute of silence that is waited for
        assert ended
        over.set()


def test_connections_are_kept():
    sources = set()

    def answer(handler):
        sources.add(handler.client_address)
        handler.send(200, PICTURE)

    with web(answer) as (url, _), Pictures(Service(endpoints=Endpoints(graph=url), token=TOKEN)) as pictures:
        for _ in range(5):
            assert pictures.get(f"{url}/x.jpg", what="image 7") == PICTURE
    assert len(sources) == 1


@pytest.mark.parametrize(
    ("url", "seconds"),
    [
        ("https://x.example/p.jpg?oh=1&oe=66F0C180", 0x66F0C180),
        ("https://x.example/p.jpg?oe=zz", None),
        ("https://x.example/p.jpg?oe=" + "f" * 400, None),
        ("https://x.example/p.jpg", None),
        ("https://[", None),
    ],
)
def test_expiry_of_addresses(url, seconds):
    assert expiry(url) == seconds
