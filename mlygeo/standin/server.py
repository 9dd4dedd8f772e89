"""
The stand-in's server: its images, its faults, and its record of requests.

It listens on the loopback address only. A second host is the target of redirects and foreign links, and must
never receive a token.
"""

from __future__ import annotations

import functools
import io
import json
import logging
import random
import threading
import time
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from mlygeo import frames
from mlygeo.errors import FrameError, InputError
from mlygeo.providers.mapillary.service import Endpoints
from mlygeo.standin import panoramax_routes, upload_routes
from mlygeo.standin.answers import WEB_PAGE, Answer, Request, error_answer, json_answer, plain, refusal
from mlygeo.standin.backend import Backend
from mlygeo.standin.connection import Listener
from mlygeo.standin.faults import PANORAMAX, UPLOADS, WITHOUT_TOKEN, Faults
from mlygeo.standin.imagery import Imagery
from mlygeo.standin.panoramax import Panoramax
from mlygeo.standin.pictures import Pictures
from mlygeo.standin.records import Records
from mlygeo.standin.routes import JPEG, expired, find_route
from mlygeo.standin.upload_store import UploadStore
from mlygeo.store import file_error

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    import geopandas as gpd

    from mlygeo.standin.connection import Connection
    from mlygeo.standin.faults import Fault


log = logging.getLogger("mlygeo.standin")

REQUESTS_KEPT = 50_000
"""At least this many of the last requests are recorded; all are counted."""

ODD: tuple[Any, ...] = (
    None,
    5,
    "an answer",
    [[]],
    {"data": None},
    {"data": {"id": 5}},
    {"data": "none"},
    {"data": [None, 5, "six"]},
    {"data": [{"id": {}, "sequence": 5, "captured_at": "yesterday", "geometry": {"coordinates": ["a", None]}}]},
    {"error": "none"},
)
"""JSON that is no answer to any question."""

BOMB_MB = 256

BOMB_SIDE = 65_500
"""Pixels; the most that a JPEG can say is 65,535."""


@contextmanager
def serve(
    images: gpd.GeoDataFrame | Imagery | None = None,
    *,
    photos: str | os.PathLike[str] | Pictures | None = None,
    faults: Faults | None = None,
    port: int = 0,
    token: str | None = None,
    buffer: int = 0,
    store: str | os.PathLike[str] | None = None,
) -> Iterator[Server]:
    """
    Run a stand-in of Mapillary and Panoramax on this machine.

    Parameters
    ----------
    images
        Images frame with all images of the server, each of the provider in its column `provider` (Mapillary without
        the column); or the `Imagery` of one, to encode its tiles once for several servers. By default there are no
        images.
    photos
        Folder with pictures `ID.jpg`, at any depth, or the `Pictures` of one; missing pictures are
        drawn.
    faults
        Faults of the server; by default none.
    port
        Its port; 0 for a free one.
    token
        The only valid token; by default any token, or none, is valid.
    buffer
        Width of the border in which a tile repeats images of its neighbours, in units of 4096 a
        side; an `Imagery` has its own.
    store
        Folder for uploads.

    Yields
    ------
    server
        The running server; its `endpoints` and its `panoramax` lead a client here.

    Raises
    ------
    FrameError
        If `images` is not an images frame, or has images of another provider.
    FileError
        If there is no folder of photos, or the store cannot be made.
    InputError
        If the port is taken, or none.

    Examples
    --------
    >>> with serve(images, faults=Faults(server_error=0.1)) as server:
    ...     service = Service(endpoints=server.endpoints, token="any")
    """
    server = start(images, photos=photos, faults=faults, port=port, token=token, buffer=buffer, store=store)
    try:
        yield server
    finally:
        server.stop()


class Server:
    """
    A running stand-in; made by `serve` or `start`.

    Attributes
    ----------
    url
        Address of the server.
    faults
        Its faults; may be replaced at any time.
    requests
        The last requests, at least 50,000.
    most_at_once
        The largest number of simultaneous requests.
    store
        Folder for uploads; None where there is none.
    """

    def __init__(
        self,
        imagery: Imagery,
        panoramax: Panoramax,
        *,
        faults: Faults,
        port: int,
        token: str | None,
        pictures: Pictures | None = None,
        store: Path | None = None,
    ) -> None:
        self.faults = faults
        self.requests: list[Request] = []
        self.most_at_once = 0
        self.store = store
        self._at_once = self._leaks = 0
        self._numbers: Counter[str] = Counter()
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._other_host: OtherHost | None = None
        self._listener = Listener(port, self._handle)
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}"
        self._backend = Backend(
            imagery, Records(imagery.images), panoramax, pictures or Pictures(), token, self.url,
            lambda: self.other_host.url, store=store, uploads=None if store is None else UploadStore(store),
        )  # fmt: skip
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def images(self) -> int:
        """The number of its images."""
        return len(self._backend.records.ids) + len(self._backend.panoramax)

    @property
    def providers(self) -> list[str]:
        """The titles of the providers that it stands in for: Mapillary, and Panoramax if it has images of it."""
        return ["Mapillary", *(["Panoramax"] if len(self._backend.panoramax) else [])]

    @property
    def photos(self) -> int:
        """The number of its images with a picture that is not drawn."""
        ids = [*self._backend.records.ids.tolist(), *self._backend.panoramax.ids]
        return sum(self._backend.pictures.file(id_) is not None for id_ in ids)

    @property
    def endpoints(self) -> Endpoints:
        """The endpoints that lead a client of Mapillary here."""
        return Endpoints(graph=self.url, tiles=self.url, upload=f"{self.url}/upload")

    @property
    def panoramax(self) -> str:
        """The endpoint that leads a client of Panoramax here."""
        return f"{self.url}{panoramax_routes.API}"

    @property
    def other_host(self) -> OtherHost:
        """The other host to which redirects lead; it starts at the first use."""
        with self._lock:
            if self._other_host is None:
                self._other_host = OtherHost()
            return self._other_host

    @property
    def leaks(self) -> int:
        """The number of requests that sent a token to the pictures or to another host, where none may go."""
        with self._lock:
            return self._leaks + (0 if self._other_host is None else self._other_host.leaks)

    def count(self, route: str | None = None) -> int:
        """Return the number of requests, of one route or in all."""
        with self._lock:
            return sum(self._numbers.values()) if route is None else self._numbers[route]

    def forget(self) -> None:
        """Reset the record of requests, and with it the faults."""
        with self._lock:
            self.requests.clear()
            self._numbers.clear()
            self._times.clear()
            self.most_at_once = self._leaks = 0
            if self._other_host is not None:
                self._other_host.requests.clear()

    def start(self) -> None:
        """Start answering requests."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; wakes the waiting requests."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()
        if self._other_host is not None:
            self._other_host.stop()

    def _handle(self, connection: Connection) -> None:
        """Answer one request, correctly or with a fault."""
        parts = urlsplit(connection.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        found = find_route(connection.command, parts.path, query)
        route = found[0].name if found else ""
        faults = self.faults.of(route)
        request = Request(
            route, parts.path, query, connection.fields, time.monotonic(), connection.command, faults, connection.body,
            wait=self._closing.wait,
        )  # fmt: skip
        number, times = self._note(request)
        try:
            if faults.latency > 0:
                self._closing.wait(faults.latency)
            refused = self._refused(request, number)
            if found is None:
                connection.send(plain(404, "not found"))
            elif refused is not None:
                connection.send(refused)
            else:
                fault = faults.choose(request.question, times)
                request = replace(request, fault=fault)
                answer = found[0].answer(self._backend, request, found[1])
                _send(
                    connection,
                    request,
                    answer,
                    None if fault in found[0].settles else fault,
                    times=times,
                    other_host=lambda: self.other_host.url,
                    closing=self._closing,
                )
        finally:
            with self._lock:
                self._at_once -= 1

    def _note(self, request: Request) -> tuple[int, int]:
        """Record a request; return the number of requests before on its route, and of equal requests."""
        with self._lock:
            number, times = self._numbers[request.route], self._times[request.question]
            self._numbers[request.route] += 1
            self._times[request.question] += 1
            self.requests.append(request)
            if len(self.requests) >= 2 * REQUESTS_KEPT:
                del self.requests[:REQUESTS_KEPT]
            self._leaks += request.route in {"thumbs", *PANORAMAX} and request.carries_secret
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        return number, times

    def _refused(self, request: Request, number: int) -> Answer | None:
        """Return the answer to a request that is refused before its route; None for others."""
        faults = request.faults
        expired = faults.expires_after is not None and number >= faults.expires_after
        if (faults.refuse_token is not None or expired) and request.route not in WITHOUT_TOKEN:
            is_upload = request.route in UPLOADS
            return upload_routes.unauthorized() if is_upload else refusal(faults.refuse_token or 401)
        if faults.login_after is not None and request.route == "tiles" and number >= faults.login_after:
            # The query is repeated, as in a careless redirect: a client must not show it.
            location = f"{self.url}/login/?next=tile&access_token={request.query.get('access_token', '')}"
            return Answer(b"", 302, "text/html", (("Location", location),))
        return None


def start(
    images: gpd.GeoDataFrame | Imagery | None = None,
    *,
    photos: str | os.PathLike[str] | Pictures | None = None,
    faults: Faults | None = None,
    port: int = 0,
    token: str | None = None,
    buffer: int = 0,
    store: str | os.PathLike[str] | None = None,
) -> Server:
    """
    Start a stand-in of Mapillary and Panoramax on this machine; it runs until its `stop`.

    Parameters
    ----------
    images
        As for `serve`.
    photos
        As for `serve`.
    faults
        As for `serve`.
    port
        As for `serve`.
    token
        As for `serve`.
    buffer
        As for `serve`.
    store
        As for `serve`.

    Returns
    -------
    server
        The running server.

    Raises
    ------
    FrameError
        If `images` is not an images frame, or has images of another provider.
    FileError
        If there is no folder of photos, or the store cannot be made.
    InputError
        If the port is taken, or none.
    """
    if not 0 <= port <= 65_535:
        raise InputError(f"{port} is no port", hint="take one from 1024 to 65535, or 0 for a free one")
    if isinstance(images, Imagery):
        imagery, panoramax = images, Panoramax()
    else:
        of_mapillary, of_panoramax = by_provider(frames.empty(frames.IMAGES) if images is None else images)
        imagery, panoramax = Imagery(of_mapillary, buffer=buffer), Panoramax(of_panoramax)
    pictures = photos if isinstance(photos, Pictures) else Pictures(photos)
    folder = None if store is None else _made(Path(store).expanduser())
    try:
        server = Server(
            imagery, panoramax, faults=faults or Faults(), port=port, token=token, pictures=pictures, store=folder
        )
    except OSError as error:
        raise InputError(f"port {port} cannot be used: {error.strerror}", hint="0 takes a free one") from error
    server.start()
    log.info("serving %s images at %s", f"{server.images:,}", server.url)
    return server


def by_provider(images: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame | None]:
    """
    Return the images of Mapillary, and those of Panoramax; None if there are none.

    Parameters
    ----------
    images
        Images frame in either form.

    Raises
    ------
    FrameError
        If it is no images frame, or has images of another provider.
    """
    images = frames.check(images, frames.IMAGES)
    if str(images["id"].dtype) == "int64":
        return images, None
    if "provider" not in images:
        raise FrameError(
            "the images have no column 'provider', and their ids are text",
            hint="add the column: the stand-in has images of 'mapillary' and 'panoramax'",
        )
    providers = images["provider"].fillna("unknown")
    if len(others := set(providers) - {"mapillary", "panoramax"}):
        raise FrameError(
            f"the images have the provider {min(others)!r}",
            hint="the stand-in has images of 'mapillary' and 'panoramax'",
        )
    of_mapillary = images[(providers == "mapillary").to_numpy()].drop(columns="provider")
    if of_mapillary.empty:
        return frames.empty(frames.IMAGES), images
    of_mapillary = frames.conform(of_mapillary, frames.IMAGES)
    of_panoramax = images[(providers == "panoramax").to_numpy()]
    return of_mapillary, None if of_panoramax.empty else of_panoramax


def _made(folder: Path) -> Path:
    """Make a folder unless it exists."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(error, folder) from error
    return folder


# The other host.


class OtherHost:
    """
    A second server, which is not the service: it answers every request, and none correctly.

    Attributes
    ----------
    url
        Its address; the host's name differs from the stand-in's.
    requests
        The requests so far.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._listener = Listener(0, self._handle)
        self.url = f"http://localhost:{self._listener.server_address[1]}"
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def leaks(self) -> int:
        """The number of requests with a token."""
        return sum(request.carries_secret for request in list(self.requests))

    def stop(self) -> None:
        """Stop answering."""
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def _handle(self, connection: Connection) -> None:
        parts = urlsplit(connection.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Request("other_host", parts.path, query, connection.fields, time.monotonic(), connection.command)
        self.requests.append(request)
        if parts.path.endswith(".jpg"):
            connection.send(Answer(_grey_picture(), content_type="image/jpeg"))
        else:
            connection.send(json_answer({"data": []}))


@functools.cache
def _grey_picture() -> bytes:
    """Return a small picture of no image."""
    from PIL import Image

    written = io.BytesIO()
    Image.new("RGB", (16, 16), "grey").save(written, "JPEG")
    return written.getvalue()


def _send(
    connection: Connection,
    request: Request,
    answer: Answer,
    fault: Fault | None,
    *,
    times: int,
    other_host: Callable[[], str],
    closing: threading.Event,
) -> None:
    """
    Send an answer, changed by the fault.

    Parameters
    ----------
    connection
        The client's connection.
    request
        The request.
    answer
        The right answer.
    fault
        The fault; None sends the right answer.
    times
        Number of equal requests before.
    other_host
        Returns the address of another host.
    closing
        Set when the server closes: ends endless answers.
    """
    match fault:
        case "drop" | "truncate":
            connection.send(answer, part=0.5, reset=fault == "drop")
        case "endless":
            start = answer.bytes() if answer.content_type == JPEG else b""
            connection.send_endless(start, answer.content_type, closing)
        case "stall":
            connection.close_connection = True
            closing.wait()
        case "hang_up":
            connection.close_connection = True
        case _:
            connection.send(answer if fault is None else _changed(request, answer, fault, times, other_host))


def _changed(request: Request, answer: Answer, fault: Fault, times: int, other_host: Callable[[], str]) -> Answer:
    """Return an answer changed by a fault."""
    faults = request.faults
    if fault == "pending" and request.route not in PANORAMAX:
        return answer
    if request.route in PANORAMAX and (found := panoramax_routes.changed(fault, faults)) is not None:
        return found
    retry_after = (("Retry-After", faults.retry_after),) if faults.retry_after is not None else ()
    match fault:
        case "server_error":
            return Answer(WEB_PAGE, 502, "text/html", retry_after)
        case "temporary" | "error_object":
            temporary = error_answer(500, 2, "Service temporarily unavailable", is_transient=True)
            return temporary if fault == "temporary" else Answer(temporary.body)
        case "query_timeout":
            more = {"error_subcode": 3404014, "is_transient": False}
            return error_answer(400, -2, "Query timed out", kind="OAuthException", **more)
        case "too_much":
            return error_answer(500, 1, "Please reduce the amount of data you're asking for, then retry your request")
        case "rate":
            limited = error_answer(400, faults.rate_answer, "Application request limit reached", is_transient=True)
            if faults.rate_answer == 429:
                limited = plain(429, "Too Many Requests")
            return Answer(limited.body, limited.status, limited.content_type, retry_after)
        case "not_found":
            return Answer(b"", 404, "text/plain")
        case "html":
            return Answer(WEB_PAGE, 200, "text/html")
        case "empty":
            return Answer(b"", 200, answer.content_type)
        case "truncate_quietly":
            body = answer.bytes()
            return Answer(body[: len(body) // 2], 200, answer.content_type, answer.headers)
        case "garbage":
            body = random.Random(f"{request.question} {times}").randbytes(len(answer.bytes()))  # noqa: S311
            return Answer(body, 200, answer.content_type, answer.headers)
        case "odd_json":
            odd = random.Random(f"{request.question} {times}").choice(ODD)  # noqa: S311
            return Answer(json.dumps(odd).encode())
        case "expired" if request.route == "thumbs":
            return expired(faults)
        case "redirect":
            query = "&".join(f"{name}={value}" for name, value in request.query.items() if name != "access_token")
            return Answer(b"", 302, "text/html", (("Location", f"{other_host()}{request.path}?{query}"),))
        case "bomb" if answer.content_type == JPEG:
            return Answer(_huge_picture(), 200, JPEG)
        case "bomb":
            return Answer(_bomb(), 200, answer.content_type, (("Content-Encoding", "gzip"),))
    return answer


@functools.cache
def _bomb() -> bytes:
    """Return a small gzip stream of very many blanks: the beginning of endless JSON."""
    blanks = b" " * 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # Each piece ends at a byte and does not refer to bytes before it, so that it can be repeated.
    piece = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = functools.reduce(lambda value, _: zlib.crc32(blanks, value), range(BOMB_MB), 0)
    size = BOMB_MB * 2**20
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return header + piece * BOMB_MB + packer.flush() + checksum.to_bytes(4, "little") + size.to_bytes(4, "little")


@functools.cache
def _huge_picture() -> bytes:
    """Return a small JPEG whose header claims more pixels than fit in memory."""
    from PIL import Image

    written = io.BytesIO()
    Image.new("RGB", (8, 8)).save(written, "JPEG")
    picture = bytearray(written.getvalue())
    # The frame header: marker, length (2), precision (1), height (2), width (2).
    place = picture.index(b"\xff\xc0") + 5
    picture[place : place + 4] = BOMB_SIDE.to_bytes(2, "big") * 2
    return bytes(picture)
