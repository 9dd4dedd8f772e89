"""Another host: where redirects and other people's links lead, and which must never get a token."""

from __future__ import annotations

import functools
import io
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from mlygeo.standin.answers import Answer, Request, json_answer
from mlygeo.standin.connection import Listener

if TYPE_CHECKING:
    from mlygeo.standin.connection import Connection


class Elsewhere:
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
        request = Request("elsewhere", parts.path, query, connection.fields, time.monotonic(), connection.command)
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
