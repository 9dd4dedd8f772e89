"""
The stand-in's server: sockets, faults, and what it remembers of the requests it got.

It listens on the loopback address only.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from mlygeo.config import Endpoints
from mlygeo.standin.faults import Faults
from mlygeo.standin.imagery import Imagery
from mlygeo.standin.routes import WEB_PAGE, Answer, Backend, Request, error_answer, find_route, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import geopandas as gpd

    from mlygeo.standin.faults import Fault

log = logging.getLogger("mlygeo.standin")


class Server:
    """
    A running stand-in; made by `serve`.

    Attributes
    ----------
    url
        Where it answers.
    faults
        What it does wrong; may be replaced at any time.
    requests
        The requests so far.
    most_at_once
        The largest number of requests that were under way at the same time.
    """

    def __init__(self, imagery: Imagery, *, faults: Faults, port: int, token: str | None) -> None:
        self.faults = faults
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._at_once = 0
        self._numbers: Counter[str] = Counter()
        self._times: Counter[str] = Counter()
        self._backend = Backend(imagery, token)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Http(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def endpoints(self) -> Endpoints:
        """The endpoints that lead a client here."""
        return Endpoints(graph=self.url, tiles=self.url, upload=f"{self.url}/mapillary_public_uploads")

    def count(self, route: str | None = None) -> int:
        """Return how many requests came, for one route or in all."""
        with self._lock:
            return sum(route is None or request.route == route for request in self.requests)

    def forget(self) -> None:
        """Start the record of requests anew, and with it the faults."""
        with self._lock:
            self.requests.clear()
            self._numbers.clear()
            self._times.clear()
            self.most_at_once = 0

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; wakes the requests that were kept waiting."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def handle(self, handler: _Handler) -> None:
        """Answer one request, rightly or as the faults say."""
        parts = urlsplit(handler.path)
        found = find_route(handler.command, parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        route = found[0].name if found else ""
        request = Request(route, parts.path, query, dict(handler.headers.items()), time.monotonic())
        with self._lock:
            number, times = self._numbers[route], self._times[parts.path]
            self._numbers[route] += 1
            self._times[parts.path] += 1
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self._closing.wait(self.faults.latency)
            refused = self._refused(request, number)
            if found is None:
                handler.send(Answer(b"not found\n", 404, "text/plain"))
            elif refused is not None:
                handler.send(refused)
            else:
                self._misbehave(
                    handler, found[0].answer(self._backend, request, found[1]), self.faults.choose(request.path, times)
                )
        finally:
            with self._lock:
                self._at_once -= 1

    def _refused(self, request: Request, number: int) -> Answer | None:
        """Return the answer to a request that does not get as far as its route."""
        faults = self.faults
        if faults.refuse_token is not None:
            return refusal(faults.refuse_token)
        if faults.login_after is not None and request.route == "tiles" and number >= faults.login_after:
            # The query comes along, as a careless redirect's does: a client must not show it.
            location = f"{self.url}/login/?next=tile&access_token={request.query.get('access_token', '')}"
            return Answer(b"", 302, "text/html", (("Location", location),))
        return None

    def _misbehave(self, handler: _Handler, answer: Answer, fault: Fault | None) -> None:
        """Send an answer, or what the fault makes of it."""
        faults = self.faults
        retry_after = (("Retry-After", faults.retry_after),) if faults.retry_after is not None else ()
        match fault:
            case None:
                handler.send(answer)
            case "server_error":
                handler.send(Answer(WEB_PAGE, 502, "text/html", retry_after))
            case "temporary" | "error_object":
                temporary = error_answer(500, 2, "Service temporarily unavailable", is_transient=True)
                handler.send(temporary if fault == "temporary" else Answer(temporary.body))
            case "query_timeout":
                handler.send(
                    error_answer(
                        400, -2, "Query timed out", kind="OAuthException", error_subcode=3404014, is_transient=False
                    )
                )
            case "too_much":
                message = "Please reduce the amount of data you're asking for, then retry your request"
                handler.send(error_answer(500, 1, message))
            case "rate":
                limited = error_answer(400, faults.rate_answer, "Application request limit reached", is_transient=True)
                if faults.rate_answer == 429:
                    limited = Answer(b"Too Many Requests\n", 429, "text/plain")
                handler.send(Answer(limited.body, limited.status, limited.content_type, retry_after))
            case "not_found":
                handler.send(Answer(b"", 404, "text/plain"))
            case "html":
                handler.send(Answer(WEB_PAGE, 200, "text/html"))
            case "empty":
                handler.send(Answer(b"", 200, answer.content_type))
            case "drop" | "truncate":
                handler.send(answer, part=0.5, reset=fault == "drop")
            case "truncate_quietly":
                handler.send(Answer(answer.body[: len(answer.body) // 2], 200, answer.content_type, answer.headers))
            case "endless":
                handler.send_endless(self._closing)
            case "stall":
                handler.close_connection = True
                self._closing.wait()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a request that stalls would keep the server from closing
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        # Clients that break off are part of the job; anything else is a mistake in the stand-in.
        if isinstance(sys.exception(), ConnectionError):
            log.debug("a client broke off")
        else:
            log.error("a request could not be answered", exc_info=True)  # noqa: LOG014 - called while handling it


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet
    server_to_ask: Server

    def do_GET(self) -> None:
        self.server_to_ask.handle(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        # The request line holds the token.
        pass

    def send(self, answer: Answer, *, part: float = 1.0, reset: bool = False) -> None:
        """Send an answer, or only a part of its body under the whole one's length."""
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: int(len(answer.body) * part)])
        self.wfile.flush()
        if part < 1:
            self.close_connection = True
        if reset:
            # Closing at once with unsent data resets the connection instead of ending it.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def send_endless(self, closing: threading.Event) -> None:
        """Send a body that goes on until the client breaks off or the server closes."""
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
        self.close_connection = True
        while not closing.is_set():
            self.wfile.write(chunk)
            self.wfile.flush()


def _handler(server: Server) -> type[_Handler]:
    return type("Handler", (_Handler,), {"server_to_ask": server})


@contextmanager
def serve(
    images: gpd.GeoDataFrame | Imagery,
    *,
    faults: Faults | None = None,
    port: int = 0,
    token: str | None = None,
    buffer: int = 0,
) -> Iterator[Server]:
    """
    Run a stand-in of the Mapillary service on this machine.

    Parameters
    ----------
    images
        Images frame: all the images it has; or the `Imagery` made of one, to encode its tiles once
        for several servers.
    faults
        What it does wrong; nothing unless given.
    port
        Its port; 0 for a free one.
    token
        The one token it takes; any, or none, unless given.
    buffer
        How far images of the neighbours reach into a tile, in units of 4096 a side; an `Imagery`
        has its own.

    Yields
    ------
    server
        The running server; its `endpoints` lead a client here.

    Raises
    ------
    FrameError
        If `images` is no images frame.

    Examples
    --------
    >>> with serve(images, faults=Faults(server_error=0.1)) as server:
    ...     service = Service(endpoints=server.endpoints, token="any")
    """
    imagery = images if isinstance(images, Imagery) else Imagery(images, buffer=buffer)
    server = Server(imagery, faults=faults or Faults(), port=port, token=token)
    server.start()
    try:
        yield server
    finally:
        server.stop()
