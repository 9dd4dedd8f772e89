"""The one door to HTTP: verdicts on answers, retries, pace, count of the day, and no token anywhere."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import os
import socket
import threading
import time
import traceback
from email.utils import formatdate

import pytest
from helpers.processes import wait_for
from helpers.scripted_server import scripted
from helpers.tokens import QUOTED, SECRET, TOKEN
from helpers.unix import needs_unix
from helpers.work import without_waiting
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.errors import (
    CredentialsError,
    FormatError,
    NetworkError,
    ServiceError,
    ThrottledError,
    TokenRejectedError,
)
from mlygeo.net import answers
from mlygeo.net.answers import Broken, NotFoundError, TooMuchDataError
from mlygeo.net.http import Client, Retry, StoppedError, redact
from mlygeo.net.pace import Pace
from mlygeo.providers.mapillary import answers as mapillary
from mlygeo.providers.mapillary.service import Endpoints, Service
from mlygeo.providers.quota import STATE_FILE, TileQuota


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now, self.slept = now, []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def ask(url, *, clock=None, stop=None, check=None, **settings):
    clock = clock or Clock()
    service = Service(token=TOKEN, **settings)
    with Client(service, clock=clock, wall_clock=lambda: 1e9, sleep=clock.sleep, stop=stop) as client:
        return client.get(url, what="tile 14/1/2", query={"access_token": TOKEN}, check=check)


def error(code, *, status=500, message="wrong", **more):
    return (
        status,
        {"Content-Type": "application/json"},
        json.dumps({"error": {"message": message, "code": code, **more}}).encode(),
    )


OK = (200, {}, b"\x1a\x00")


class TestRetries:
    def test_a_good_answer_is_asked_for_once(self):
        with scripted(OK) as (url, asked):
            assert ask(url) == b"\x1a\x00"
        [(path, headers)] = asked
        assert path == f"/x?access_token={QUOTED}"
        assert "Authorization" not in headers

    @pytest.mark.parametrize(
        "answer",
        [
            error(2),
            error(-2, status=400, error_subcode=3404014, is_transient=False),
            error(2, status=200),
            (502, {}, b"<html>"),
            (404, {}, b""),
            (503, {}, b""),
        ],
        ids=["code 2", "code -2", "200 with an error", "502", "404", "503"],
    )
    def test_what_passes_is_tried_again_with_growing_waits(self, answer):
        clock = Clock()
        with scripted(answer, answer, answer, answer, OK) as (url, asked):
            assert ask(url, clock=clock) == b"\x1a\x00"
        assert len(asked) == 5
        assert all(0 <= wait <= most for wait, most in zip(clock.slept, [1, 2, 4, 8], strict=True))

    def test_the_wait_doubles_up_to_the_longest_and_is_not_shorter_than_asked(self):
        retry = Retry(first_wait=1.0, longest_wait=10.0)
        longest = [max(retry.wait_after(tries) for _ in range(200)) for tries in (1, 2, 3, 4, 5, 5000)]
        for most, reached in zip([1, 2, 4, 8, 10, 10], longest, strict=True):
            assert 0.8 * most < reached <= most
        assert retry.wait_after(3, asked=4.0) == 4.0
        assert retry.wait_after(1, asked=0.0) <= 1.0

    def test_the_waits_are_spread_over_their_whole_range(self):
        clock = Clock()
        with scripted((500, {}, b"")) as (url, _), pytest.raises(ServiceError):
            ask(url, clock=clock, retry=Retry(attempts=60, longest_wait=2.0))
        waits = clock.slept[1:]
        assert len(waits) == 58
        assert min(waits) < 0.4
        assert 1.6 < max(waits) <= 2.0

    def test_after_the_last_try_the_error_is_reported(self):
        with (
            scripted(error(2, message="Service temporarily unavailable")) as (url, asked),
            pytest.raises(ServiceError) as caught,
        ):
            ask(url)
        assert len(asked) == 5
        assert "tile 14/1/2" in str(caught.value)
        assert "temporarily" in str(caught.value)
        assert "5 tries" in str(caught.value)
        assert "revoked" in caught.value.hint

    def test_404_is_distinguished_from_other_errors(self):
        with scripted((404, {}, b"")) as (url, _), pytest.raises(NotFoundError, match="404"):
            ask(url)

    def test_a_wait_the_service_asks_for_is_kept(self):
        clock = Clock()
        with scripted((503, {"Retry-After": "7"}, b""), (503, {"Retry-After": formatdate(1e9 + 30)}, b""), OK) as (
            url,
            _,
        ):
            ask(url, clock=clock)
        assert clock.slept == [7, 30]

    def test_a_wait_past_the_patience_ends_the_run(self):
        with (
            scripted((503, {"Retry-After": "86400"}, b"")) as (url, asked),
            pytest.raises(ThrottledError, match="86,400 s"),
        ):
            ask(url)
        assert len(asked) == 1

    @pytest.mark.parametrize(
        "answer", [error(4, status=400), error(17), error(613), (429, {}, b"")], ids=["4", "17", "613", "429"]
    )
    def test_too_many_requests_make_everything_wait_a_minute(self, answer):
        clock = Clock()
        with scripted(answer, answer, OK) as (url, _):
            assert ask(url, clock=clock) == b"\x1a\x00"
        assert sum(clock.slept) == pytest.approx(120)

    @pytest.mark.parametrize(
        ("asked_for", "waited"),
        [
            ("90", 90),
            ("1", 1),
            ("2.5", 2.5),
            ("0", 1),  # a second is the first wait after any error
            ("Thu, 01 Jan 1970 00:01:30 GMT", 90),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 1),
            ("nonsense", 60),
            ("-5", 60),
            ("1e9", 60),
            ("999999999", 60),
            ("9" * 5000, 60),
            ("\u0661\u0662", 60),
            ("Thu, 01 Jan 9999 00:00:00 GMT", 60),
            ("Thu, 99 Foo 1970 00:00:00 GMT", 60),
            (None, 60),
        ],
    )
    def test_what_the_service_asks_for_is_waited_for_and_a_minute_where_that_makes_no_sense(self, asked_for, waited):
        clock = Clock()
        headers = {} if asked_for is None else {"Retry-After": asked_for}
        assert Retry().hold_after(1, asked=answers.retry_after(asked_for, 0.0)) == waited
        if "1970" not in str(asked_for) and str(asked_for).isascii():
            with scripted((429, headers, b""), OK) as (url, _):
                ask(url, clock=clock)
            assert sum(clock.slept) == pytest.approx(waited)

    def test_what_is_too_short_a_wait_doubles(self):
        assert [Retry().hold_after(times, asked=1.0) for times in (1, 2, 3, 7, 99)] == [1, 2, 4, 60, 60]
        clock = Clock()
        too_many = (429, {"Retry-After": "1"}, b"")
        with scripted(too_many, too_many, too_many, OK) as (url, _):
            ask(url, clock=clock)
        assert sum(clock.slept) == pytest.approx(1 + 2 + 4)

    def test_too_many_requests_for_ever_end_the_run(self):
        with scripted(error(4)) as (url, asked), pytest.raises(ThrottledError):
            ask(url)
        assert len(asked) == 5

    def test_all_workers_wait_when_one_is_told_to(self):
        times = []

        def note(handler):
            times.append(time.monotonic())
            handler.send_response(200)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with scripted((429, {}, b""), note) as (url, _):
            service = Service(token=TOKEN, retry=Retry(rate_wait=0.6))
            with Client(service) as client:
                first = threading.Thread(target=client.get, args=(url,), kwargs={"what": "a"})
                started = time.monotonic()
                first.start()
                wait_for(lambda: client._hold_until > started + 0.3)
                client.get(url, what="b")
                first.join()
        assert len(times) == 2
        assert min(times) - started >= 0.6

    @pytest.mark.parametrize(
        "answer",
        [
            error(190),
            error(190, status=401),
            error(190, status=400),
            error(190, status=200),
            (401, {}, b""),
            (403, {}, b"Forbidden"),
        ],
    )
    def test_a_refused_token_ends_everything_at_once(self, answer):
        with scripted(answer) as (url, asked), pytest.raises(TokenRejectedError) as caught:
            ask(url)
        assert len(asked) == 1
        assert "https://www.mapillary.com/dashboard/developers" in caught.value.hint

    def test_too_much_data_is_an_error_of_its_own(self):
        with (
            scripted(error(1, message="Please reduce the amount of data")) as (url, asked),
            pytest.raises(TooMuchDataError),
        ):
            ask(url)
        assert len(asked) == 1

    @pytest.mark.parametrize("answer", [error(100, status=400), (400, {}, b"bad"), (410, {}, b"")])
    def test_what_will_not_pass_is_not_repeated(self, answer):
        with scripted(answer) as (url, asked), pytest.raises(ServiceError):
            ask(url)
        assert len(asked) == 1

    def test_a_check_that_fails_is_tried_again(self):
        def check(body):
            if body != b"\x1a\x00":
                raise FormatError("no tile")

        with scripted((200, {}, b"junk"), OK) as (url, _):
            assert ask(url, check=check) == b"\x1a\x00"
        with scripted((200, {}, b"junk")) as (url, asked), pytest.raises(ServiceError, match="no tile"):
            ask(url, check=check)
        assert len(asked) == 5


class TestRedirects:
    def test_a_login_page_means_throttled_and_is_not_opened(self):
        location = f"https://www.mapillary.com/login/?next=x&access_token={QUOTED}"
        with scripted((302, {"Location": location}, b"")) as (url, asked), pytest.raises(ThrottledError) as caught:
            ask(url)
        assert len(asked) == 1
        assert "throttled" in str(caught.value)
        assert "www.mapillary.com/login/" in str(caught.value)
        assert "access_token" not in str(caught.value)
        assert "wait" in caught.value.hint

    @pytest.mark.parametrize("location", ["http://portal.example/sign-in", "", "http://[bad"])
    def test_any_other_redirect_is_not_the_service(self, location):
        with (
            scripted((302, {"Location": location}, b"")) as (url, asked),
            pytest.raises(NetworkError, match="not the service"),
        ):
            ask(url)
        assert len(asked) == 1


def raw(data):
    return lambda handler: handler.wfile.write(data)


def head(**headers):
    return (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
        + b"".join(f"{k.replace('_', '-')}: {v}\r\n".encode() for k, v in headers.items())
        + b"\r\n"
    )


PACKED = gzip.compress(b"\x1a\x00" * 500, mtime=0)


class TestBodies:
    @pytest.mark.parametrize(
        ("answer", "body"),
        [
            ((200, {"Content-Encoding": "gzip"}, PACKED), b"\x1a\x00" * 500),
            ((200, {}, PACKED), b"\x1a\x00" * 500),
            ((200, {"Content-Encoding": "gzip"}, PACKED + PACKED), b"\x1a\x00" * 1000),
            ((200, {"Content-Encoding": "gzip"}, b""), b""),
            ((200, {}, b""), b""),
            (raw(head(Transfer_Encoding="chunked") + b"2\r\n\x1a\x00\r\n0\r\n\r\n"), b"\x1a\x00"),
            (raw(head(Transfer_Encoding="chunked") + b"0\r\n\r\n"), b""),
            (raw(head() + b"\x1a\x00"), b"\x1a\x00"),
        ],
        ids=[
            "gzip",
            "gzip without header",
            "gzip in two members",
            "empty gzip",
            "empty",
            "chunked",
            "empty chunked",
            "until close",
        ],
    )
    def test_whole_bodies(self, answer, body):
        with scripted(answer) as (url, asked):
            assert ask(url) == body
        assert len(asked) == 1

    @pytest.mark.parametrize(
        ("step", "says"),
        [
            (raw(head(Content_Length=10) + b"\x1a\x00"), "broke off"),
            (raw(head(Content_Encoding="gzip", Content_Length=len(PACKED) - 3) + PACKED[:-3]), "cut short"),
            (raw(head(Content_Encoding="gzip", Content_Length=4) + b"\x1f\x8bxx"), "damaged"),
            (raw(head(Transfer_Encoding="chunked") + b"5\r\nab"), "broke off"),
            (raw(head(Transfer_Encoding="chunked") + b"2\r\nab\r\n"), "broke off"),
            (raw(head()), "without an answer"),
            (raw(b""), "closed the connection"),
            (raw(b"SSH-2.0-OpenSSH\r\n\r\n"), "not HTTP"),
            (raw(head(Content_Encoding="br", Content_Length=2) + b"ab"), "encoding 'br'"),
            (raw(head() + bytes(300_000)), "more than 200,000 bytes"),
            ((200, {}, gzip.compress(bytes(300_000))), "more than 200,000 bytes"),
        ],
        ids=[
            "short",
            "short gzip",
            "bad gzip",
            "short chunk",
            "no last chunk",
            "no length",
            "nothing",
            "not HTTP",
            "brotli",
            "long",
            "bomb",
        ],
    )
    def test_broken_bodies_are_tried_again_and_reported(self, step, says):
        with scripted(step, step, OK) as (url, _):
            assert ask(url, longest_body=200_000) == b"\x1a\x00"
        with scripted(step) as (url, asked), pytest.raises(NetworkError, match=says) as caught:
            ask(url, longest_body=200_000)
        assert len(asked) == 5
        assert "tile 14/1/2" in str(caught.value)

    def test_a_silent_socket_ends_at_the_time_out(self):
        gate = threading.Event()
        with scripted(lambda _: gate.wait(600)) as (url, asked):
            with pytest.raises(NetworkError, match="silent"):
                ask(url, retry=Retry(attempts=2), read_timeout=0.2)
            assert len(asked) == 2
            gate.set()

    def test_a_body_in_drops_ends_at_the_total_time(self):
        over = threading.Event()

        def drip(handler):
            handler.wfile.write(head(Content_Length=100_000))
            while not over.wait(0.02):
                handler.wfile.write(b"x")
                handler.wfile.flush()

        with scripted(drip) as (url, _):
            service = Service(retry=Retry(attempts=1), total_timeout=0.3)
            with Client(service) as client, pytest.raises(NetworkError, match=r"more than 0\.3 s"):
                client.get(url, what="x")
            over.set()

    def test_no_network(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(NetworkError, match="refused") as caught:
            ask(f"http://127.0.0.1:{port}/x")
        assert f"127.0.0.1:{port} is an address of this computer: check that its server runs" in caught.value.hint
        assert answers.offline_hint("https://graph.example.org/x") == "check the network connection"


class TestStop:
    def test_a_wait_ends_at_once(self):
        stop = threading.Event()
        with scripted((503, {"Retry-After": "60"}, b"")) as (url, _), Client(Service(), stop=stop) as client:
            threading.Timer(0.2, stop.set).start()
            with pytest.raises(StoppedError):
                without_waiting(lambda: client.get(url, what="x"))


class TestSecrets:
    @pytest.mark.parametrize(
        "text",
        [
            f"https://tiles.mapillary.com/maps?access_token={QUOTED}&x=1",
            f"https://tiles.mapillary.com/maps?access_token={TOKEN}",
            f"Authorization: OAuth {TOKEN}",
            f"'Authorization': 'OAuth {SECRET}'",
            f"Bearer {SECRET}.",
            f"Cannot parse access token {TOKEN}!",
            f"next=%2Fmaps%3Faccess_token%3D{SECRET}",
            json.dumps({"access_token": SECRET}),
            str({"access_token": SECRET}),
        ],
    )
    def test_tokens_are_taken_out_of_every_text(self, text):
        assert SECRET not in redact(text)
        assert redact(redact(text)) == redact(text)

    @given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="MOBA"), max_size=200))
    def test_other_texts_stay_as_they_are(self, text):
        assert redact(text) == text or "token" in text.lower()

    def test_a_token_of_another_form_is_known_to_the_client(self):
        answer = error(100, status=400, message="unknown thing hunter2/x")
        with (
            scripted(answer) as (url, _),
            Client(Service(token="hunter2/x")) as client,
            pytest.raises(ServiceError) as caught,
        ):
            client.get(url, what="x")
        assert "hunter2" not in str(caught.value)

    def test_no_exception_nor_log_holds_the_token(self, caplog):
        caplog.set_level(logging.DEBUG)
        echo = error(100, status=400, message=f"Cannot parse access token {TOKEN}")
        steps = [
            echo,
            error(190),
            raw(b""),
            raw(head(Content_Length=9) + b"a"),
            (502, {}, b""),
            (302, {"Location": f"/login?access_token={QUOTED}"}, b""),
        ]
        for step in steps:
            with scripted(step) as (url, _), pytest.raises(ServiceError) as caught:
                ask(url)
            shown = "".join(traceback.format_exception(caught.value)) + str(caught.value.hint)
            seen, inner = set(), caught.value
            while inner is not None and inner not in seen:
                seen.add(inner)
                shown += repr(inner)
                inner = inner.__cause__ or inner.__context__
            assert SECRET not in shown
        assert "access_token=…" in caplog.text
        assert SECRET not in caplog.text

    def test_neither_a_service_nor_a_repr_shows_it(self):
        assert SECRET not in repr(Service(token=TOKEN))

    def test_a_netrc_file_adds_no_password(self, tmp_path, monkeypatch):
        (tmp_path / "netrc").write_text("default login me password hunter2\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        with scripted(OK) as (url, asked):
            ask(url)
        assert "Authorization" not in asked[0][1]

    def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
        with scripted(OK) as (url, _):
            assert ask(url) == b"\x1a\x00"


@given(st.binary(max_size=300), st.sampled_from([200, 302, 400, 401, 404, 429, 500, 503]), st.text(max_size=20))
def test_any_answer_gets_a_verdict(body, status, value):
    headers = {"Location": value, "Retry-After": value, "Content-Encoding": "gzip"}
    assert mapillary.judge(status, headers, body, what="x", now=0.0) is None or status != 0
    came = answers.Body(headers, 1000)
    came.feed(body)
    assert isinstance(came.finish(), bytes | Broken)


class TestPace:
    def test_a_burst_then_the_rate(self):
        clock = Clock()
        pace = Pace(60, 3, clock=clock)
        assert [pace.take() for _ in range(5)] == [0, 0, 0, 1, 2]
        clock.now += 10
        assert pace.level == pytest.approx(3)
        assert pace.seconds_for(3) == 0
        assert pace.seconds_for(63) == pytest.approx(60)

    def test_over_any_window_no_more_than_burst_and_rate(self):
        clock = Clock()
        pace = Pace(600, 20, clock=clock)
        sent = []
        for _ in range(500):
            clock.now += pace.take()
            sent.append(clock.now)
        for first, time_ in enumerate(sent):
            within = sum(time_ <= other < time_ + 5 for other in sent[first:])
            assert within <= 20 + 5 * 10 + 1

    def test_many_threads_share_it(self):
        pace = Pace(1e-6, 100)
        got = []
        threads = [threading.Thread(target=lambda: got.extend(pace.take() == 0 for _ in range(50))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(got) == 100

    @pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (1, 0)])
    def test_a_pace_that_lets_nothing_pass_is_refused(self, rate, burst):
        with pytest.raises(ValueError, match="pace"):
            Pace(rate, burst)


class TestQuota:
    def quota(self, folder, *, now=1.7e9, limit=50, pace=None, token=TOKEN):
        return TileQuota(token, pace=pace or Pace(6000, 1000), limit=limit, folder=folder, wall_clock=lambda: now)

    def test_the_count_survives_the_run(self, tmp_path):
        first = self.quota(tmp_path)
        for _ in range(30):
            first.take()
        first.close()
        second = self.quota(tmp_path)
        assert second.used == 30
        for _ in range(20):
            second.take()
        with pytest.raises(ThrottledError, match=r"50 tile requests.*limit is 50 a day") as caught:
            second.take()
        assert "tomorrow" in caught.value.hint

    @needs_unix("named pipes")
    def test_a_pipe_in_place_of_the_file_is_not_waited_for(self, tmp_path, caplog):
        os.mkfifo(tmp_path / STATE_FILE)
        made = []
        without_waiting(lambda: made.append(self.quota(tmp_path)))
        made[0].take()
        assert made[0].used == 1
        assert "nothing comes from the pipe" in caplog.text

    def test_the_next_day_starts_anew_also_within_a_run(self, tmp_path):
        now = [1.7e9]
        quota = TileQuota(TOKEN, pace=Pace(6000, 1000), limit=5, folder=tmp_path, wall_clock=lambda: now[0])
        for _ in range(5):
            quota.take()
        with pytest.raises(ThrottledError):
            quota.take()
        now[0] += 86_400
        quota.take()
        assert quota.used == 1

    def test_two_processes_at_once_add_up(self, tmp_path):
        one, other = self.quota(tmp_path, limit=500), self.quota(tmp_path, limit=500)
        for _ in range(45):
            one.take()
            other.take()
        one.close()
        other.close()
        assert self.quota(tmp_path).used == 90

    def test_tokens_are_counted_apart_and_never_written(self, tmp_path):
        quota = self.quota(tmp_path)
        quota.take()
        quota.close()
        assert self.quota(tmp_path, token="other").used == 0
        for path in tmp_path.iterdir():
            assert SECRET not in path.read_text()
            assert SECRET not in path.name

    def test_runs_one_after_another_share_one_burst(self, tmp_path):
        for _ in range(3):
            quota = self.quota(tmp_path, pace=Pace(60, 100), limit=1000)
            for _ in range(30):
                quota.take()
            quota.close()
        pace = Pace(60, 100)
        self.quota(tmp_path, pace=pace)
        assert pace.level == pytest.approx(10, abs=1)
        later = Pace(60, 100)
        self.quota(tmp_path, pace=later, now=1.7e9 + 60)
        assert later.level == pytest.approx(70, abs=1)

    @pytest.mark.parametrize(
        "content", ["", "[]", "{}", '{"day": 1, "requests": 5, "level": "x", "at": 0}', "[" * 100_000]
    )
    def test_a_damaged_file_starts_anew_with_a_word(self, tmp_path, content, caplog):
        (tmp_path / "tile_requests.json").write_text(content)
        quota = self.quota(tmp_path)
        assert quota.used == 0
        assert "damaged" in caplog.text
        quota.take()
        quota.close()
        assert self.quota(tmp_path).used == 1

    @pytest.mark.parametrize("odd", ["1e999", "-1e999", "NaN", "1e300", "-5", '"x"', "null", "[]", "9" * 5000, "true"])
    @pytest.mark.parametrize("place", ["count", "level", "at", "day"])
    def test_impossible_numbers_are_no_state(self, tmp_path, odd, place):
        """They neither end a run nor hold it up: what waits longest here is the pace itself."""
        now = 1.7e9
        values = {"count": "7", "level": "90", "at": str(now), "day": '"2023-11-14"', place: odd}
        key = self.quota(tmp_path)._key
        (tmp_path / STATE_FILE).write_text(
            '{"day": %(day)s, "requests": {"KEY": %(count)s}, "level": %(level)s, "at": %(at)s}'.replace("KEY", key)
            % values
        )
        quota = TileQuota(TOKEN, pace=Pace(60, 100), limit=500, folder=tmp_path, wall_clock=lambda: now)
        assert quota.used in {0, 1, 7}
        assert quota.take() <= 102
        quota.close()
        assert json.loads((tmp_path / STATE_FILE).read_text())["requests"][key] in {1, 2, 8}

    def test_a_clock_that_was_set_back_holds_nobody_up(self, tmp_path):
        ahead = TileQuota(TOKEN, pace=Pace(60, 100), limit=500, folder=tmp_path, wall_clock=lambda: 4e9)
        for _ in range(90):
            ahead.take()
        ahead.close()
        pace = Pace(60, 100)
        TileQuota(TOKEN, pace=pace, limit=500, folder=tmp_path, wall_clock=lambda: 1.7e9)
        assert pace.seconds_for(100) == pytest.approx(0, abs=1)

    def test_a_file_of_gigabytes_is_not_read(self, tmp_path, caplog):
        with (tmp_path / STATE_FILE).open("wb") as file:
            file.truncate(5 << 30)
        assert self.quota(tmp_path).used == 0
        assert "damaged" in caplog.text

    def test_a_folder_that_cannot_be_written_does_not_stop_a_run(self, tmp_path, caplog):
        (tmp_path / "file").write_text("")
        quota = self.quota(tmp_path / "file" / "state", limit=70)
        for _ in range(70):
            quota.take()
        with pytest.raises(ThrottledError):
            quota.take()
        quota.close()
        assert caplog.text.count("cannot be kept") == 1

    def test_the_users_state_folder_is_the_default(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        quota = self.quota(None)
        quota.take()
        quota.close()
        assert (tmp_path / "mlygeo" / "tile_requests.json").exists()


def test_a_service_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("MLY_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("MAPILLARY_TILES_ENDPOINT", "http://127.0.0.1:1")
    service = Service.from_environment()
    assert service.token == TOKEN
    assert service.endpoints == Endpoints(tiles="http://127.0.0.1:1")


class TestTokenInTheHeader:
    """The Graph API's way: the token goes into the header, to the endpoint's host and nowhere else."""

    @staticmethod
    def ask(url, endpoint, **more):
        clock = Clock()
        service = Service(endpoints=Endpoints(graph=endpoint, upload=endpoint), token=more.pop("token", TOKEN))
        with Client(service, clock=clock, sleep=clock.sleep) as client:
            return client.get(url, what="id 5", token_in_header=True, **more)

    def test_it_stands_in_the_header_alone(self):
        with scripted(OK) as (url, asked):
            assert self.ask(f"{url}?fields=id", url.removesuffix("/x")) == b"\x1a\x00"
        [(path, headers)] = asked
        assert path == "/x?fields=id"
        assert headers["Authorization"] == f"OAuth {TOKEN}"

    def test_every_try_has_it(self):
        with scripted((502, {}, b""), OK) as (url, asked):
            self.ask(url, url.removesuffix("/x"))
        assert [headers["Authorization"] for _, headers in asked] == [f"OAuth {TOKEN}"] * 2

    @pytest.mark.parametrize("other", ["http://127.0.0.1:9", "https://127.0.0.1:{port}", "http://localhost:{port}"])
    def test_it_goes_to_no_other_host_port_or_scheme(self, other):
        with scripted(OK) as (url, asked):
            port = url.split(":")[2].split("/")[0]
            with pytest.raises(ValueError, match="does not go to"):
                self.ask(url, other.format(port=port))
        assert asked == []

    def test_a_redirect_is_not_followed_with_it(self):
        with scripted(OK) as (elsewhere, asked_there):
            with (
                scripted((302, {"Location": elsewhere}, b"")) as (url, asked),
                pytest.raises(NetworkError, match="not the service"),
            ):
                self.ask(url, url.removesuffix("/x"))
            assert len(asked) == 1
            assert asked_there == []

    def test_without_a_token_nothing_is_sent(self):
        with scripted(OK) as (url, asked), pytest.raises(CredentialsError, match="no access token"):
            self.ask(url, url.removesuffix("/x"), token=None)
        assert asked == []

    def test_an_answer_may_be_held_shorter_than_the_service_s_limit(self):
        with scripted((200, {}, b"x" * 100)) as (url, _), pytest.raises(NetworkError, match="more than 50 bytes"):
            self.ask(url, url.removesuffix("/x"), longest_body=50)

    def test_a_message_that_repeats_the_token_is_shown_without_it(self):
        with (
            scripted(error(100, status=400, message=f"the header OAuth {TOKEN} is odd")) as (url, _),
            pytest.raises(ServiceError) as caught,
        ):
            self.ask(url, url.removesuffix("/x"))
        assert SECRET not in "".join(traceback.format_exception(caught.value))

    def test_a_request_may_keep_a_pace_of_its_own(self):
        booked = []
        with scripted((502, {}, b""), OK) as (url, _):
            self.ask(url, url.removesuffix("/x"), admit=lambda: booked.append(1) or 0.0)
        assert booked == [1, 1]


class TestVerdictsOfTheGraphApi:
    @staticmethod
    def judge(code, message="wrong", status=400, **more):
        _, headers, body = error(code, status=status, message=message, **more)
        return mapillary.judge(status, headers, body, what="id 5", now=0)

    def test_gone_is_final(self):
        trouble = self.judge(100, "Unsupported get request. Object with ID '5' does not exist", error_subcode=33)
        assert trouble.then == "stop"
        assert type(trouble.error) is answers.GoneError
        assert "code 100" in str(trouble.error)

    def test_a_field_that_does_not_exist_is_named(self):
        trouble = self.judge(100, "(#100) Tried accessing nonexisting field (altitud) on node type (MapillaryImage)")
        assert trouble.then == "stop"
        assert (trouble.error.field, trouble.error.node) == ("altitud", "MapillaryImage")
        trouble = self.judge(100, "Tried accessing nonexisting field (x)")
        assert (trouble.error.field, trouble.error.node) == ("x", "")

    @pytest.mark.parametrize("code", [100, 3, 999])
    def test_other_refusals_are_final(self, code):
        trouble = self.judge(code)
        assert trouble.then == "stop"
        assert type(trouble.error) is answers.RefusedError

    def test_a_query_s_time_out_may_pass_whatever_it_says(self):
        trouble = self.judge(-2, error_subcode=3404014, is_transient=False)
        assert trouble.then == "again"
        assert type(trouble.error) is answers.QueryTimeoutError

    def test_too_much_data_is_a_refusal(self):
        trouble = self.judge(1, status=500)
        assert trouble.then == "stop"
        assert isinstance(trouble.error, answers.RefusedError)
        assert type(trouble.error) is TooMuchDataError

    @pytest.mark.parametrize("subcode", [None, "33", True, 33.5, [33]])
    def test_a_subcode_of_another_kind_is_not_gone(self, subcode):
        assert type(self.judge(100, error_subcode=subcode).error) is answers.RefusedError

    @pytest.mark.parametrize(
        ("body", "says"),
        [(b"", "nothing"), (b"<html>", "web page"), (b'{"data": [', "cut short"), (b"[]", "not an object"), (b"5", "not an object"),
         (b"\xff", "not JSON"), (b"[" * 100_000, "not JSON"), (b'{"id": ' + b"9" * 5000 + b"}", "not JSON")],
    )  # fmt: skip
    def test_what_is_no_json_object_is_reported(self, body, says):
        with pytest.raises(FormatError, match=says):
            answers.parsed_json(body)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_an_object_or_an_error(self, body):
        with contextlib.suppress(FormatError):
            assert isinstance(answers.parsed_json(body), dict)
