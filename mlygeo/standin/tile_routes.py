"""How the stand-in answers for vector tiles."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from mlygeo.standin.answers import WEB_PAGE, Answer, Request, plain, refusal
from mlygeo.standin.imagery import TILESETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.standin.backend import Backend


def tile(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer for a tile."""
    token = request.query.get("access_token")
    if token is None and "Authorization" in request.headers:
        # The tile server knows the token in the query alone.
        return refusal(403)
    if backend.token is not None and token != backend.token:
        return refusal(500 if token is None else 400)
    zoom, x, y = (int(parts[name]) for name in ("zoom", "x", "y"))
    if parts["tileset"] not in TILESETS or zoom > 14 or max(x, y) >= 2**zoom:
        return plain(404, "not found")
    encoded = backend.imagery.tile(parts["tileset"], zoom, x, y)
    if not encoded:
        return Answer(b"", 200, "application/x-protobuf")
    packed = gzip.compress(encoded, mtime=0)
    return Answer(packed, 200, "application/x-protobuf", (("Content-Encoding", "gzip"),))


def login(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:  # noqa: ARG001
    """Answer for the login page."""
    return Answer(WEB_PAGE, 200, "text/html")
