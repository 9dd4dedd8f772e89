"""
The stand-in's routes: the paths that it knows, and the functions that answer them.

A route is a line in `ROUTES`: a name, a method, the pattern of its path, a required parameter, and the
function that answers. This module answers requests for vector tiles and pictures: pictures to anyone
with a signed address, and never to a token.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlygeo.standin import graph_routes, panoramax_routes, upload_routes
from mlygeo.standin.answers import WEB_PAGE, Answer, Request, plain, refusal
from mlygeo.standin.imagery import TILESETS

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from mlygeo.standin.answers import Request
    from mlygeo.standin.backend import Backend
    from mlygeo.standin.faults import Faults

JPEG = "image/jpeg"

_UUID = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


def find_route(method: str, path: str, query: Container[str]) -> tuple[Route, Mapping[str, str]] | None:
    """Return the route of a request and the parts of its path, or None if there is none."""
    for route in ROUTES:
        if route.method != method or (route.needs is not None and route.needs not in query):
            continue
        if match := route.path.fullmatch(path):
            return route, match.groupdict()
    return None


@dataclass(frozen=True)
class Route:
    """
    One kind of request.

    Parameters
    ----------
    name
        Name of the route for counting requests and configuring faults.
    method
        Its HTTP method.
    path
        Pattern of its path.
    answer
        The function that answers it.
    needs
        A parameter of the query that the route requires.
    settles
        Faults that the function handles itself.
    """

    name: str
    method: str
    path: re.Pattern[str]
    answer: Callable[[Backend, Request, Mapping[str, str]], Answer]
    needs: str | None = None
    settles: frozenset[str] = frozenset()


def expired(faults: Faults) -> Answer:
    """Return the answer for an expired address."""
    return plain(faults.expired_status, "URL signature expired")


def _login(_backend: Backend, _request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a request for the login page."""
    return Answer(WEB_PAGE, 200, "text/html")


def _picture(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for a picture."""
    if request.carries_secret:
        return plain(400, "Bad request: a token has no place here")
    faults, number = request.faults, int(parts["id"])
    signature, expiry = request.query.get("oh", ""), request.query.get("oe", "")
    if not backend.pictures.is_signed(parts["size"], number, signature, expiry):
        return expired(faults)
    row = backend.records.row(number)
    if row is None or faults.is_gone(number):
        return plain(404, "Not found")
    file = backend.pictures.file(number)
    if file is not None:
        return Answer(content_type=JPEG, file=file)
    is_pano = bool(backend.records.images["is_pano"].iloc[row])
    return Answer(backend.pictures.drawn(number, parts["size"], is_pano=is_pano), content_type=JPEG)


def _tile(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for a tile."""
    token = request.query.get("access_token")
    if token is None and "Authorization" in request.headers:
        # The tile server reads the token only from the query.
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


ROUTES = (
    Route(
        "tiles",
        "GET",
        re.compile(r"/maps/vtp/(?P<tileset>\w+)/2/(?P<zoom>\d{1,2})/(?P<x>\d{1,5})/(?P<y>\d{1,5})/?"),
        _tile,
    ),
    Route("login", "GET", re.compile(r"/login/?"), _login),
    Route(
        "thumbs",
        "GET",
        re.compile(r"/thumbs/(?P<size>256|1024|2048|original)/(?P<id>\d{1,19})\.jpg"),
        _picture,
    ),
    Route("entities", "GET", re.compile(r"/"), graph_routes.entities, needs="ids"),
    Route("images", "GET", re.compile(r"/images/?"), graph_routes.images_by_ids, needs="image_ids"),
    Route("search", "GET", re.compile(r"/images/?"), graph_routes.search_images),
    Route("image_ids", "GET", re.compile(r"/image_ids/?"), graph_routes.image_ids),
    Route("sign_in", "POST", re.compile(r"/login/?"), upload_routes.sign_in, settles=upload_routes.SETTLED),
    Route(
        "upload_offset",
        "GET",
        re.compile(r"/upload/(?P<key>[^/]+)"),
        upload_routes.offset,
        settles=upload_routes.SETTLED,
    ),
    Route("upload", "POST", re.compile(r"/upload/(?P<key>[^/]+)"), upload_routes.upload, settles=upload_routes.SETTLED),
    Route(
        "finish_upload", "POST", re.compile(r"/finish_upload/?"), upload_routes.finish, settles=upload_routes.SETTLED
    ),
    Route("logging", "POST", re.compile(r"/logging/?"), upload_routes.statistics),
    Route("me", "GET", re.compile(r"/me/?"), graph_routes.me),
    Route("entity", "GET", re.compile(r"/(?P<id>\d+)/?"), graph_routes.entity),
    *(
        Route(f"panoramax_{name}", method, re.compile(f"/api{path}/?"), answer)
        for name, method, path, answer in (
            ("server", "GET", "", panoramax_routes.landing),
            ("server", "GET", "/configuration", panoramax_routes.configuration),
            (
                "tiles",
                "GET",
                r"/map/(?P<zoom>\d{1,2})/(?P<x>\d{1,5})/(?P<y>\d{1,5})\.(?:mvt|pbf)",
                panoramax_routes.tile,
            ),
            ("search", "GET", "/search", panoramax_routes.search),
            ("items", "GET", f"/pictures/(?P<id>{_UUID})", panoramax_routes.item),
            ("items", "GET", f"/collections/(?P<sequence>{_UUID})/items/(?P<id>{_UUID})", panoramax_routes.item),
            ("sequences", "GET", f"/collections/(?P<sequence>{_UUID})/items", panoramax_routes.items),
            ("sequences", "GET", f"/collections/(?P<sequence>{_UUID})", panoramax_routes.collection),
            ("sequences", "GET", "/collections", panoramax_routes.collections),
            ("users", "GET", "/users/search", panoramax_routes.search_users),
            ("users", "GET", f"/users/(?P<user>{_UUID})", panoramax_routes.user),
            ("users", "GET", f"/users/(?P<user>{_UUID})/collection", panoramax_routes.sequences_of_user),
            ("pictures", "GET", rf"/pictures/(?P<id>{_UUID})/(?P<size>hd|sd|thumb)\.jpg", panoramax_routes.picture),
            ("server", "POST", "/.*", panoramax_routes.no_uploads),
            ("server", "GET", "/(?:users/me|upload_sets|auth)(?:/.*)?", panoramax_routes.no_uploads),
            ("server", "GET", "/.*", panoramax_routes.nowhere),
        )
    ),
)
