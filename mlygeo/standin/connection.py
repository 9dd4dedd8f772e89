"""The stand-in's side of a connection: it reads requests, and writes answers completely or in part."""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from mlygeo.standin.bodies import Body

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from typing import BinaryIO

    from mlygeo.standin.answers import Answer

log = logging.getLogger("mlygeo.standin")

MOST_HEADERS = 100

LONGEST_LINE = 65_537
"""Most bytes of a header's line."""


class Listener(ThreadingHTTPServer):
    """Accepts connections on the loopback address, each in a thread of its own."""

    daemon_threads = True
    block_on_close = False  # a stalled request would prevent the server from closing
    request_queue_size = 128

    def __init__(self, port: int, handle: Callable[[Connection], None]) -> None:
        super().__init__(
            ("127.0.0.1", port), type("Connected", (Connection,), {"handle_request": staticmethod(handle)})
        )

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log an error: clients that close their connection are expected, any other error is a bug here."""
        if isinstance(sys.exception(), ConnectionError):
            log.debug("a client broke off")
        else:
            log.error("a request could not be answered", exc_info=True)  # noqa: LOG014 - called while handling it


class Connection(BaseHTTPRequestHandler):
    """A connection; `handle_request` is called for each request on it."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet
    disable_nagle_algorithm = True
    handle_request: Callable[[Connection], None]
    raw_requestline: bytes
    fields: dict[str, str]
    body: Body

    def do_GET(self) -> None:
        """Answer a request."""
        self.body = Body(cast("BinaryIO", self.rfile), self.fields)
        self.handle_request(self)
        if not self.close_connection and not self.body.pass_over():
            self.close_connection = True

    def do_POST(self) -> None:
        """Answer a request with a body."""
        self.do_GET()

    def parse_request(self) -> bool:
        """
        Read the head of a request; `fields` has its headers, each word of their names capitalised.

        The standard library parses it like an e-mail, which takes longer than the rest of a request
        for a picture.
        """
        self.requestline = self.raw_requestline.decode("iso-8859-1").rstrip("\r\n")
        self.command, self.request_version, self.close_connection = "", "HTTP/1.0", True
        words = self.requestline.split()
        if len(words) != 3 or words[2] not in {"HTTP/1.0", "HTTP/1.1"}:
            self.send_error(400, "Bad request")
            return False
        self.command, path, self.request_version = words
        self.path = "/" + path.lstrip("/")
        self.fields = {}
        for _ in range(MOST_HEADERS):
            line = self.rfile.readline(LONGEST_LINE)
            if line in {b"\r\n", b"\n", b""}:
                break
            name, _, value = line.decode("iso-8859-1").partition(":")
            self.fields[name.strip().title()] = value.strip()
        else:
            self.send_error(431, "Too many headers")
            return False
        option = self.fields.get("Connection", "").lower()
        self.close_connection = option == "close" or (self.request_version == "HTTP/1.0" and option != "keep-alive")
        return True

    def finish(self) -> None:
        """Close the connection, even if the client is gone and the rest cannot be sent."""
        try:
            super().finish()
        finally:
            self.rfile.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: the request line contains the token."""

    def send(self, answer: Answer, *, part: float = 1.0, reset: bool = False) -> None:
        """Send an answer, or only a part of its body with the length of the whole body."""
        if answer.file is None:
            size = len(answer.body)
            self._head(answer, size)
            self.wfile.write(answer.body[: int(size * part)])
            self.wfile.flush()
        else:
            with answer.file.open("rb", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                self._head(answer, size)
                # The kernel copies from file to socket, without work for Python.
                self.wfile.flush()
                if count := int(size * part):
                    self.connection.sendfile(file, count=count)
        if part < 1:
            self.close_connection = True
        if reset:
            # Closing at once with unsent data resets the connection instead of ending it.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _head(self, answer: Answer, size: int) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(size))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()

    def send_endless(self, start: bytes, content_type: str, closing: threading.Event) -> None:
        """Send a body that goes on until the client closes the connection or the server stops."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        chunk = start or bytes(4096)
        while not closing.is_set():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.flush()
            chunk = bytes(4096)
