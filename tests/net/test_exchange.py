"""Servers that attack: every exchange ends in time, with an error of ours in a line, and in bounded memory."""

import gzip
import itertools
import json
import threading
import time
import zlib

import pytest
from helpers.hostile_server import CONTENT, WIRE, EndlessSearch, hostile, record, run, whole
from helpers.processes import HANGS_S
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import FormatError, NetworkError, ServiceError
from mlygeo.net import exchange
from mlygeo.net.answers import Body, Broken, clean, parsed_json
from mlygeo.net.exchange import Room
from mlygeo.net.http import Client, Retry
from mlygeo.net.pictures import Pictures
from mlygeo.providers.mapillary import search as protocol
from mlygeo.providers.mapillary.graph import Graph
from mlygeo.providers.mapillary.service import Endpoints, Service
from mlygeo.providers.mapillary.uploads import Uploads

DEADLINE_S = 0.4

QUICK = Retry(attempts=1, first_wait=0.001, longest_wait=0.002, rate_wait=0.002)


def service_of(url, **more):
    times = {"connect_timeout": 1.0, "read_timeout": DEADLINE_S / 2, "total_timeout": DEADLINE_S}
    return Service(
        endpoints=Endpoints(graph=url, tiles=url, upload=url), token="t" * 20, **{"retry": QUICK, **times, **more}
    )


def client(url, **times):
    with Client(service_of(url, **times)) as asked:
        return asked.get(f"{url}/1.jpg", what="tile 14/1/2", longest_body=1 << 20)


def pictures(url, **times):
    with Pictures(service_of(url, **times), longest=1 << 20) as asked:
        return asked.get(f"{url}/1.jpg", what="image 1")


def uploads(url):
    with Uploads(service_of(url)) as asked:
        return asked.send("key.jpg", b"x" * 200_000, what="photo")


HARMLESS = {"HTTP/0.9", "head that is none", "length too short", "picture of 65,500 x 65,500", "gzip of a JSON list"}
"""What a client may take for a body: whoever asked for it looks at it."""


@pytest.mark.parametrize("asks", [client, pictures, uploads])
def test_every_exchange_ends_in_time(asks, monkeypatch):
    """All attacks at once, since most of the time is waiting."""
    monkeypatch.setattr("mlygeo.providers.mapillary.uploads.SHORTEST_TIMEOUT_S", DEADLINE_S)
    monkeypatch.setitem(Uploads._ask_once.__kwdefaults__, "read_timeout", DEADLINE_S)
    ends = {}

    def attack(name):
        began = time.monotonic()
        try:
            with hostile(name) as url:
                ends[name] = asks(url), time.monotonic() - began
        except BaseException as error:  # noqa: BLE001 - looked at below
            ends[name] = error, time.monotonic() - began

    names = [name for name in WIRE if "3 GB" not in name and "million" not in name]
    threads = [threading.Thread(target=attack, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANGS_S)
    assert not [name for name in names if name not in ends]
    for name, (end, seconds) in ends.items():
        assert isinstance(end, ServiceError) or (name in HARMLESS and isinstance(end, bytes)), (name, str(end)[:200])
        assert len(str(end).splitlines()) == 1, name
        assert "\x1b" not in str(end), name
        assert seconds < HANGS_S / 2, name


def test_the_deadline_is_that_of_the_whole_exchange():
    for name in ("slow status line", "slow head", "100 Continue, slowly", "trailers, slowly", "body in drops"):
        for asks in (client, pictures):
            with hostile(name) as url, pytest.raises(NetworkError, match=r"took more than 0\.4 s"):
                asks(url, read_timeout=10.0)


def test_an_answer_in_time_is_taken_whatever_its_pace():
    body = json.dumps(record(7)).encode()

    def slowly(sock, _):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        for byte in head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body):
            sock.sendall(bytes([byte]))

    with hostile(slowly) as url, Client(service_of(url, total_timeout=30, read_timeout=10)) as asked:
        for _ in range(3):
            assert asked.get(url, what="x") == body


def test_an_answer_without_end_takes_no_memory(monkeypatch):
    """Bodies of which one is larger than the room of all: they wait for each other, or fail, and give it back."""
    monkeypatch.setattr(exchange, "_room", Room(3 << 20))
    body = b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000)
    taken, results = [], []

    def check(content):
        taken.append(exchange._room.taken)
        time.sleep(0.05)

    def ask():
        with Client(service_of(url, total_timeout=60, read_timeout=30)) as asked:
            results.append(len(asked.get(url, what="x", check=check)))

    with hostile(lambda sock, _: sock.sendall(body)) as url:
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANGS_S)
    assert results == [4_000_000] * 6
    assert max(taken) <= (3 << 20) + 4_000_000
    assert exchange._room.taken == 0


def test_room_is_waited_for_until_the_deadline():
    room = Room(100)
    assert room.grow("a", 60, deadline=0.0)
    assert room.grow("b", 60, deadline=0.0)  # one may exceed it
    assert not room.grow("c", 10, deadline=0.0)
    waits = threading.Thread(target=lambda: room.grow("c", 40, deadline=time.monotonic() + HANGS_S))
    waits.start()
    room.release("b")
    waits.join(HANGS_S)
    assert room.taken == 100
    for each in ("a", "b", "c"):
        room.release(each)
    assert room.taken == 0


class TestBody:
    @given(
        content=st.binary(max_size=5000),
        cuts=st.lists(st.integers(0, 5000), max_size=8),
        form=st.sampled_from(["plain", "gzip", "gzip without header", "two members"]),
        broken=st.sampled_from([None, "short", "long"]),
    )
    @settings(deadline=None)
    def test_in_any_pieces(self, content, cuts, form, broken):
        sent = content if form == "plain" else gzip.compress(content)
        if form == "plain" and content[:2] == b"\x1f\x8b":
            return
        if form == "two members":
            sent, content = sent * 2, content * 2
        headers = {"Content-Length": str(len(sent))}
        if form in {"gzip", "two members"}:
            headers["Content-Encoding"] = "gzip"
        wrong = {None: sent, "short": sent[:-1], "long": sent + b"x"}[broken]
        came = Body(headers, 100_000)
        places = sorted({0, len(wrong), *(cut for cut in cuts if cut < len(wrong))})
        for start, stop in itertools.pairwise(places):
            came.feed(wrong[start:stop])
        found = came.finish()
        assert found == content if broken is None or (broken == "short" and not sent) else isinstance(found, Broken)

    @pytest.mark.parametrize("length", ["9" * 5000, "-1", "1, 2", "x", "1.0", "0x1", "\u0661", "+1", "1 1", "1;2"])
    def test_an_impossible_length(self, length):
        assert Body({"Content-Length": length}, 1000).finish() == Broken("stated an impossible length of its answer")

    def test_more_than_allowed_is_not_kept(self):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = packer.compress(bytes(200 << 20)) + packer.flush()
        asked = []
        came = Body({}, 10 << 20, reserve=asked.append)
        came.feed(bomb)
        assert isinstance(came.finish(), Broken)
        assert max(asked) <= 10 << 20
        assert came._content == []


class TestJson:
    @pytest.mark.parametrize(
        ("sent", "found"),
        [
            (r'"a\ud800b"', "a\ufffdb"),
            (r'"\ud83d\ude00"', "\U0001f600"),
            (r'"Canon\u0000\u0000"', "Canon"),
            (r'"a\u0000b"', "a\ufffdb"),
            (r'"\u001b[31mred"', "\ufffd[31mred"),
            (r'"\u202eabc\u2066"', "\ufffdabc\ufffd"),
            (r'"a\r\nb\tc"', "a  b c"),
            (r'"\u0645\u200c\u0627"', "\u0645\u200c\u0627"),  # what scripts need stays
            ('"Stra\u00dfe \u6771\u4eac"', "Stra\u00dfe \u6771\u4eac"),
            ("1e999", None),
            ("-Infinity", None),
            ("NaN", None),
            ('"' + "x" * 70_000 + '"', None),
            ("[" * 20 + "]" * 20, json.loads("[" * 20 + "]" * 20)),
            ('{"b": 1, "b": 1}', {"b": 1}),
            ('{"b": 1, "b": 2}', {"b": None}),
            ("123456789012345678901234567890", 123456789012345678901234567890),
        ],
    )
    def test_what_cannot_be_used_is_cleaned_or_unknown(self, sent, found):
        assert parsed_json(b'{"a": %b}' % sent.encode()) == {"a": found}

    def test_letters_that_are_no_utf_8(self):
        assert parsed_json(b'{"a": "\xff\xed\xa0\x80", "b": 1}')["b"] == 1

    @pytest.mark.parametrize(
        "sent", [b"9" * 5000, b"[" * 200_000, b"[" + b"[]," * 1_000_000, b"\xff\xfe{\x00}\x00", b'{"a"' * 9000]
    )
    def test_what_is_no_json_is_an_error(self, sent):
        for content in (sent, b'{"data": %b}' % sent):
            with pytest.raises(FormatError):
                parsed_json(content)

    @given(st.text())
    @settings(deadline=None)
    def test_clean_texts_go_anywhere(self, text):
        found = clean(text)
        found.encode()
        assert not {"\0", "\x1b", "\n", "\r", "\u202e"} & {*found}
        assert clean(found) == found
        assert len(found) <= len(text)
        assert found == text or not text.isprintable()

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
            max_leaves=20,
        )
    )
    @settings(deadline=None)
    def test_any_value_can_be_written_afterwards(self, value):
        found = parsed_json(json.dumps({"a": value}).encode())
        written = json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
        assert parsed_json(written) == found


class TestWithoutEnd:
    @pytest.mark.parametrize(
        ("page", "says"),
        [
            (lambda number: [record(number)], "names ever more"),
            (lambda number: [record(number % 7 + 1)], None),
            (lambda _: [], None),
        ],
        ids=["new images", "the same images", "no images"],
    )
    def test_searches_page_by_page(self, page, says, monkeypatch):
        monkeypatch.setattr(protocol, "PAGES_AT_LEAST", 40)
        with hostile(EndlessSearch(page)) as url:
            service = service_of(url, total_timeout=30, read_timeout=10)
            with Graph(service) as graph:
                search = graph.search(fields=["geometry"], creator_username="jane")
                if says is None:
                    with pytest.raises(ServiceError, match="repeat themselves"):
                        list(search)
                else:
                    assert sum(map(len, search)) == search.requests < 60
                    assert says in search.shortcomings()[0]

    @pytest.mark.parametrize(
        "page", [lambda number: [record(number)], lambda _: [record(7)], lambda _: []], ids=["new", "same", "none"]
    )
    def test_searches_in_boxes(self, page, monkeypatch):
        monkeypatch.setattr(protocol, "PAGES_AT_LEAST", 20)
        with hostile(EndlessSearch(page)) as url, Graph(service_of(url, total_timeout=30, read_timeout=10)) as graph:
            search = graph.search(fields=["geometry"], bbox=(9.161, 48.762, 9.166, 48.766))
            list(search)
            assert search.requests < 60
            if page(1):
                assert "too many images" in search.shortcomings()[0]

    def test_boxes_that_are_always_full(self, monkeypatch):
        monkeypatch.setattr(protocol, "PAGES_AT_LEAST", 20)
        many = json.dumps({"data": [record(number) for number in range(1, 101)]}).encode()
        with (
            hostile(lambda sock, _: sock.sendall(whole(many))) as url,
            Graph(service_of(url, total_timeout=30, read_timeout=10)) as graph,
        ):
            search = graph.search(fields=["geometry"], bbox=(9.161, 48.762, 9.166, 48.766))
            assert sum(map(len, search)) == 100
        assert search.requests < 120
        assert search.truncated

    def test_an_upload_that_grows_by_a_byte(self):
        with hostile("an upload that grows by a byte") as url:
            service = service_of(url, total_timeout=30, read_timeout=10, retry=Retry(20, 0.001, 0.002, 0.002))
            with Uploads(service) as asked, pytest.raises(ServiceError, match="in 20 tries"):
                asked.send("key.jpg", b"x" * 200_000, what="photo")


@pytest.mark.parametrize(
    ("verb", "attack"),
    [
        ("metadata", "text with half a letter"),
        ("download", "text with half a letter"),
        ("inspect", "number of 4,000 digits"),
        ("tiles", "gzip of 3 GB"),
    ],
)
def test_verbs_under_attack(verb, attack, tmp_path):
    """All verbs and attacks: `benchmarks/bench_hostile.py`."""
    assert attack in WIRE or attack in CONTENT
    with hostile(attack) as url:
        ended = run(verb, url, tmp_path, patience=HANGS_S)
    assert ended.status in {0, 1, 3}, ended.said
    assert not ended.has_traceback, ended.said
    assert ended.megabytes < 500
    if verb == "metadata":
        assert (tmp_path / "metadata.parquet").exists()


def test_errors_say_what_was_wrong():
    for name, says in (
        ("nothing", "without an answer"),
        ("length of 5,000 digits", "impossible length"),
        ("TLS", "not HTTP"),
        ("encoding br", "encoding 'br'"),
        ("redirect to itself", "not the service"),
        ("100 Continue without end", "around the content"),
    ):
        with hostile(name) as url, pytest.raises(ServiceError, match=says):
            client(url, total_timeout=HANGS_S, read_timeout=HANGS_S / 2)
