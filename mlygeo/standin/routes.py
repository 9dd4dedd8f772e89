"""
The stand-in's routes: which paths it knows, and what it answers when nothing goes wrong.

A route is a line in `ROUTES`: a name, a method, the form of its path, and the function that
answers.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlygeo.standin.imagery import TILESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlygeo.standin.imagery import Imagery

WEB_PAGE = b"<!DOCTYPE html>\n<html><head><title>Mapillary</title></head><body>Log in</body></html>\n"


@dataclass(frozen=True)
class Backend:
    """
    What the routes answer from.

    Parameters
    ----------
    imagery
        The images.
    token
        The one token that is good; None where any is, or none.
    """

    imagery: Imagery
    token: str | None


@dataclass(frozen=True)
class Request:
    """
    A request as the server saw it.

    Parameters
    ----------
    route
        Name of its route; "" where there is none.
    path
        Its path, without the query.
    query
        The first value of each parameter.
    headers
        Its headers.
    started
        When it came, seconds that only grow.
    """

    route: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    started: float


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Route:
    """One kind of request: what its path looks like, and the function that answers it."""

    name: str
    method: str
    path: re.Pattern[str]
    answer: Callable[[Backend, Request, Mapping[str, str]], Answer]


def error_answer(status: int, code: int, message: str, *, kind: str = "MLYApiException", **more: Any) -> Answer:
    """Return an error in the service's form."""
    error = {"message": message, "type": kind, "code": code, **more, "fbtrace_id": "A0standin"}
    return Answer(json.dumps({"error": error}).encode(), status)


def refusal(status: int) -> Answer:
    """Return one of the ways in which the service says that a token is bad."""
    if status == 500:
        return error_answer(500, 190, "Invalid OAuth 2.0 Access Token")
    if status == 403:
        return Answer(b"Forbidden\n", 403, "text/plain")
    message = "Failed to decode" if status == 401 else "Error validating application"
    return error_answer(status, 190, message, kind="OAuthException")


def _tile(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    token = request.query.get("access_token")
    if token is None and "Authorization" in request.headers:
        # The tile server knows the token in the query alone.
        return refusal(403)
    if backend.token is not None and token != backend.token:
        return refusal(500 if token is None else 400)
    zoom, x, y = (int(parts[name]) for name in ("zoom", "x", "y"))
    if parts["tileset"] not in TILESETS or zoom > 14 or max(x, y) >= 2**zoom:
        return Answer(b"not found\n", 404, "text/plain")
    tile = backend.imagery.tile(parts["tileset"], zoom, x, y)
    if not tile:
        return Answer(b"", 200, "application/x-protobuf")
    packed = gzip.compress(tile, mtime=0)
    return Answer(packed, 200, "application/x-protobuf", (("Content-Encoding", "gzip"),))


def _login(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:  # noqa: ARG001
    return Answer(WEB_PAGE, 200, "text/html")


ROUTES = (
    Route(
        "tiles",
        "GET",
        re.compile(r"/maps/vtp/(?P<tileset>\w+)/2/(?P<zoom>\d{1,2})/(?P<x>\d{1,5})/(?P<y>\d{1,5})/?"),
        _tile,
    ),
    Route("login", "GET", re.compile(r"/login/?"), _login),
)


def find_route(method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    """Return the route of a path and the path's parts, or None where there is none."""
    for route in ROUTES:
        if route.method == method and (match := route.path.fullmatch(path)):
            return route, match.groupdict()
    return None
