"""
The stand-in's server: what it serves, what goes wrong, and what it remembers of the requests it got.

It listens on the loopback address only. A second host stands for where redirects and other people's links
lead, and must never get a token.
"""

from __future__ import annotations

import functools
import io
import logging
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from mlygeo import frames
from mlygeo.config import Endpoints
from mlygeo.errors import InputError
from mlygeo.standin import misbehaviour, upload_routes
from mlygeo.standin.answers import Answer, Request, json_answer, plain, refusal
from mlygeo.standin.backend import Backend
from mlygeo.standin.connection import Listener
from mlygeo.standin.faults import UPLOADS, WITHOUT_TOKEN, Faults
from mlygeo.standin.imagery import Imagery
from mlygeo.standin.pictures import Pictures
from mlygeo.standin.records import Records
from mlygeo.standin.routes import find_route
from mlygeo.standin.upload_store import UploadStore
from mlygeo.store import file_error

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import geopandas as gpd

    from mlygeo.standin.connection import Connection

log = logging.getLogger("mlygeo.standin")

REQUESTS_KEPT = 50_000
"""Requests remembered at least, the last ones; they are counted for ever."""


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
    Run a stand-in of the Mapillary service on this machine.

    Parameters
    ----------
    images
        Images frame: all the images it has; or the `Imagery` made of one, to encode its tiles once
        for several servers. None unless given.
    photos
        Folder with pictures `ID.jpg`, at any depth, or the `Pictures` made of one; what is not
        there is drawn.
    faults
        What it does wrong; nothing unless given.
    port
        Its port; 0 for a free one.
    token
        The one token it takes; any, or none, unless given.
    buffer
        How far images of the neighbours reach into a tile, in units of 4096 a side; an `Imagery`
        has its own.
    store
        Folder for what is uploaded.

    Yields
    ------
    server
        The running server; its `endpoints` lead a client here.

    Raises
    ------
    FrameError
        If `images` is no images frame.
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
        Where it answers.
    faults
        What it does wrong; may be replaced at any time.
    requests
        The last requests: 50,000 at least.
    most_at_once
        The largest number of requests that were under way at the same time.
    store
        Folder for what is uploaded; None where there is none.
    """

    def __init__(
        self,
        imagery: Imagery,
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
            imagery, Records(imagery.images), pictures or Pictures(), token, self.url, lambda: self.other_host.url,
            store=store, uploads=None if store is None else UploadStore(store),
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
        return len(self._backend.records.ids)

    @property
    def photos(self) -> int:
        """How many of its images have a picture that need not be drawn."""
        return sum(self._backend.pictures.file(number) is not None for number in self._backend.records.ids.tolist())

    @property
    def endpoints(self) -> Endpoints:
        """The endpoints that lead a client here."""
        return Endpoints(graph=self.url, tiles=self.url, upload=f"{self.url}/upload")

    @property
    def other_host(self) -> OtherHost:
        """The other host to which redirects lead; it runs once it is asked for."""
        with self._lock:
            if self._other_host is None:
                self._other_host = OtherHost()
            return self._other_host

    @property
    def leaks(self) -> int:
        """How many requests brought a token where none may go: to the pictures, or to another host."""
        with self._lock:
            return self._leaks + (0 if self._other_host is None else self._other_host.leaks)

    def count(self, route: str | None = None) -> int:
        """Return how many requests came, for one route or in all."""
        with self._lock:
            return sum(self._numbers.values()) if route is None else self._numbers[route]

    def forget(self) -> None:
        """Start the record of requests anew, and with it the faults."""
        with self._lock:
            self.requests.clear()
            self._numbers.clear()
            self._times.clear()
            self.most_at_once = self._leaks = 0
            if self._other_host is not None:
                self._other_host.requests.clear()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; wakes the requests that were kept waiting."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()
        if self._other_host is not None:
            self._other_host.stop()

    def _handle(self, connection: Connection) -> None:
        """Answer one request, rightly or as the faults say."""
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
                misbehaviour.send(
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
        """Remember a request; return how many came before on its route, and how many asked the same."""
        with self._lock:
            number, times = self._numbers[request.route], self._times[request.question]
            self._numbers[request.route] += 1
            self._times[request.question] += 1
            self.requests.append(request)
            if len(self.requests) >= 2 * REQUESTS_KEPT:
                del self.requests[:REQUESTS_KEPT]
            self._leaks += request.route == "thumbs" and request.carries_secret
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        return number, times

    def _refused(self, request: Request, number: int) -> Answer | None:
        """Return the answer to a request that does not get as far as its route."""
        faults = request.faults
        expired = faults.expires_after is not None and number >= faults.expires_after
        if (faults.refuse_token is not None or expired) and request.route not in WITHOUT_TOKEN:
            is_upload = request.route in UPLOADS
            return upload_routes.unauthorized() if is_upload else refusal(faults.refuse_token or 401)
        if faults.login_after is not None and request.route == "tiles" and number >= faults.login_after:
            # The query comes along, as a careless redirect's does: a client must not show it.
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
    Start a stand-in of the Mapillary service on this machine; it runs until its `stop`.

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
        If `images` is no images frame.
    FileError
        If there is no folder of photos, or the store cannot be made.
    InputError
        If the port is taken, or none.
    """
    if not 0 <= port <= 65_535:
        raise InputError(f"{port} is no port", hint="take one from 1024 to 65535, or 0 for a free one")
    images = frames.empty(frames.IMAGES) if images is None else images
    imagery = images if isinstance(images, Imagery) else Imagery(images, buffer=buffer)
    pictures = photos if isinstance(photos, Pictures) else Pictures(photos)
    folder = None if store is None else _made(Path(store).expanduser())
    try:
        server = Server(imagery, faults=faults or Faults(), port=port, token=token, pictures=pictures, store=folder)
    except OSError as error:
        raise InputError(f"port {port} cannot be used: {error.strerror}", hint="0 takes a free one") from error
    server.start()
    log.info("serving %s images at %s", f"{len(imagery.images):,}", server.url)
    return server


def _made(folder: Path) -> Path:
    """Make a folder unless it is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise file_error(error, folder) from error
    return folder


# The other host.


class OtherHost:
    """
    A second server, which is not the service: it answers everything, and nothing rightly.

    Attributes
    ----------
    url
        Where it answers; its name is another than the stand-in's.
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
        """How many requests brought a token along."""
        return sum(request.carries_secret for request in list(self.requests))

    def stop(self) -> None:
        """Answer no more."""
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
    """Return a small picture that is no image's."""
    from PIL import Image

    written = io.BytesIO()
    Image.new("RGB", (16, 16), "grey").save(written, "JPEG")
    return written.getvalue()
