"""A proxy in front of a real server, on a line that loses requests and answers."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from helpers.processes import Forks

FAULTS = ("refused", "busy", "lost", "cut")
"""
What goes wrong: the connection is closed before the request gets to the server, the proxy answers 503, the server does
what it is asked and its answer is lost, or cut in the middle.
"""

PASSED_ON = ("authorization", "content-type", "user-agent", "accept-encoding")


class Proxy:
    """
    A running proxy; `share` of the requests go wrong, and `lost_answers` names paths whose first answers are lost.

    Where it is `named` to the server, addresses in answers lead through it, too.
    """

    def __init__(self, api: str, *, share: float = 0.0, seed: int = 0, named: bool = False) -> None:
        self.share, self.seen, self.faults = share, Counter(), Counter()
        self.passed_on = (*PASSED_ON, "host") if named else PASSED_ON
        self.lost_answers: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._random, self._lock = random.Random(seed), threading.Lock()
        target = urlsplit(api)
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fault = proxy.fault(self.command, self.path, dict(self.headers))
                if fault == "refused":
                    self.close_connection = True
                    return
                if fault == "busy":
                    self._answer(503, "text/html", b"<html>busy</html>", None)
                    return
                there = http.client.HTTPConnection(target.hostname, target.port, timeout=120)
                said = {name: value for name, value in self.headers.items() if name.lower() in proxy.passed_on}
                there.request(self.command, self.path, body=body, headers=said)
                came = there.getresponse()
                content = came.read()
                there.close()
                if fault == "lost":
                    self.close_connection = True
                    return
                with contextlib.suppress(OSError):
                    self._answer(came.status, came.getheader("Content-Type"), content, came.getheader("Content-Encoding"),
                                 cut=fault == "cut")  # fmt: skip

            do_GET = do_POST = _pass_on  # noqa: N815 - the names that http.server calls

            def _answer(self, status, kind, content, encoding, *, cut=False) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind or "application/json")
                self.send_header("Content-Length", str(len(content)))
                if encoding:
                    self.send_header("Content-Encoding", encoding)
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if cut else content)
                self.close_connection = self.close_connection or cut

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Clients are killed: a broken connection is not news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.api = f"http://127.0.0.1:{self._server.server_port}{target.path}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, method: str, path: str, headers: dict[str, str]) -> str | None:
        """Return what goes wrong with a request."""
        with self._lock:
            self.seen[f"{method} {path.partition('?')[0].rpartition('/')[2]}"] += 1
            self.headers.append(headers)
            place = f"{method} {path.partition('?')[0]}"
            lost = next((each for each in self.lost_answers if place.endswith(each)), None)
            if lost is not None:
                self.lost_answers.remove(lost)
                return "lost"
            fault = self._random.choice(FAULTS) if self._random.random() < self.share else None
            self.faults[fault] += 1
            return fault

    @property
    def count(self) -> int:
        """Number of requests so far."""
        with self._lock:
            return self.seen.total()


def killed_often(program: Forks, proxy: Proxy, *, kills: int, most: int, seed: int) -> None:
    """
    Begin a program that asks through a proxy again and again, each time killed after a few requests; then let it end.

    All these kills are made: the program must not be done before.

    Parameters
    ----------
    program
        The program; it ends with 0 when all is done.
    proxy
        The proxy.
    kills
        How often it is killed.
    most
        Requests before a kill, at most.
    seed
        Of the moments of the kills.
    """
    chance = random.Random(seed)
    for killed in range(kills):
        run = program.begin()
        goal = proxy.count + chance.randint(1, most)
        while proxy.count < goal and run.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.05))
        status = run.kill()
        assert status != 0, f"all was there after {killed} of {kills} kills: the last ones test nothing"
        assert status == -signal.SIGKILL, run.said
    last = program.begin()
    assert last.wait() == 0, last.said
    assert set(proxy.faults) > {"refused", "busy", "lost", "cut"}
