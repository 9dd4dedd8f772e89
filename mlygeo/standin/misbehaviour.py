"""Faults applied to answers."""

from __future__ import annotations

import functools
import io
import json
import random
import zlib
from typing import TYPE_CHECKING, Any

from mlygeo.standin.answers import WEB_PAGE, Answer, Request, error_answer, plain
from mlygeo.standin.routes import JPEG, expired

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from mlygeo.standin.connection import Connection
    from mlygeo.standin.faults import Fault

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


def send(
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
