"""
The stand-in's routes: which paths it knows, and who answers them when nothing goes wrong.

A route is a line in `ROUTES`: a name, a method, the form of its path, the parameter without which
it is not meant, and the function that answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlygeo.standin import graph_routes, picture_routes, tile_routes, upload_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from mlygeo.standin.answers import Answer, Request
    from mlygeo.standin.backend import Backend


@dataclass(frozen=True)
class Route:
    """
    One kind of request.

    Parameters
    ----------
    name
        What it is counted and told to fail by.
    method
        Its HTTP method.
    path
        What its path looks like.
    answer
        The function that answers it.
    needs
        A parameter of the query without which the path means nothing.
    settles
        Faults that the function answers with itself.
    """

    name: str
    method: str
    path: re.Pattern[str]
    answer: Callable[[Backend, Request, Mapping[str, str]], Answer]
    needs: str | None = None
    settles: frozenset[str] = frozenset()


ROUTES = (
    Route(
        "tiles",
        "GET",
        re.compile(r"/maps/vtp/(?P<tileset>\w+)/2/(?P<zoom>\d{1,2})/(?P<x>\d{1,5})/(?P<y>\d{1,5})/?"),
        tile_routes.tile,
    ),
    Route("login", "GET", re.compile(r"/login/?"), tile_routes.login),
    Route(
        "thumbs",
        "GET",
        re.compile(r"/thumbs/(?P<size>256|1024|2048|original)/(?P<id>\d{1,19})\.jpg"),
        picture_routes.picture,
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
)


def find_route(method: str, path: str, query: Container[str]) -> tuple[Route, Mapping[str, str]] | None:
    """Return the route of a request and the parts of its path, or None where there is none."""
    for route in ROUTES:
        if route.method != method or (route.needs is not None and route.needs not in query):
            continue
        if match := route.path.fullmatch(path):
            return route, match.groupdict()
    return None
