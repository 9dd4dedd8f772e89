"""
The stand-in's answers to requests for Panoramax: its STAC API, vector tiles and pictures.

Reading needs no token. Requests that the stand-in does not understand are refused, so that no condition of a search
is dropped in silence. It takes no uploads.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlygeo.keys import UUIDS
from mlygeo.standin.answers import Answer, plain
from mlygeo.standin.panoramax import PANORAMA, ZOOM, Question

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.standin.answers import Request
    from mlygeo.standin.backend import Backend
    from mlygeo.standin.faults import Fault, Faults

API = "/api"

GEOJSON, TILE, JPEG = "application/geo+json", "application/vnd.mapbox-vector-tile", "image/jpeg"

LIMIT, MOST = 10, 10_000
"""Items of a search by default, and at most."""

SEQUENCES_A_PAGE = 1_000

CONDITIONS = frozenset({"bbox", "datetime", "ids", "collections", "limit"})
"""The parameters of a search that the stand-in knows."""

NOT_FOUND = (
    b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n"
    b"<p>The requested URL was not found on the server.</p>\n"
)

NAME = "Stand-in"


def error(status: int, message: str, **more: object) -> Answer:
    """Return an error in the form of an instance."""
    return Answer(json.dumps({**more, "message": message, "status_code": status}).encode(), status)


def changed(fault: Fault, faults: Faults) -> Answer | None:
    """Return the answer of a fault in Panoramax's form; None for faults that look the same with any provider."""
    match fault:
        case "pending":
            return Answer(b"", 102)
        case "temporary":
            return error(500, "Internal Server Error")
        case "query_timeout" | "too_much":
            return error(500, "Query timeout")
        case "error_object":
            return Answer(error(500, "Internal Server Error").body)
        case "rate":
            limited = error(429, "Too Many Requests")
            wait = (("Retry-After", faults.retry_after),) if faults.retry_after is not None else ()
            return Answer(limited.body, 429, limited.content_type, wait)
        case "not_found":
            return nowhere()
    return None


def nowhere(*_: object) -> Answer:
    """Return the web page for an unknown address."""
    return Answer(NOT_FOUND, 404, "text/html; charset=utf-8")


def no_uploads(*_: object) -> Answer:
    """Return the answer to uploads and sign-in."""
    return error(403, "This stand-in of Panoramax takes no uploads")


def _sent(request: Request, body: bytes, content_type: str) -> Answer:
    """Return an answer, compressed if the client wants it."""
    if not body or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return Answer(body, 200, content_type)
    return Answer(gzip.compress(body, 1, mtime=0), 200, content_type, (("Content-Encoding", "gzip"),))


def _json(request: Request, value: Any, content_type: str = "application/json") -> Answer:
    return _sent(request, json.dumps(value, separators=(",", ":"), allow_nan=False).encode(), content_type)


def landing(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a request for the landing page."""
    api = backend.url + API
    links = {
        "self": "/", "root": "/", "data": "/collections", "search": "/search", "xyz": "/map/{z}/{x}/{y}.mvt",
        "user-search": "/users/search", "item-preview": "/pictures/{id}/thumb.jpg",
    }  # fmt: skip
    found = {
        "id": "standin", "title": NAME, "description": "A stand-in of Panoramax", "type": "Catalog",
        "stac_version": "1.0.0", "geovisio_version": "standin",
        "links": [{"href": f"{api}{path}", "rel": relation} for relation, path in links.items()],
    }  # fmt: skip
    return _json(request, found)


def configuration(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a request for the configuration; it has a licence if all pictures have the same."""
    rows = range(len(backend.panoramax))
    licences = {(backend.panoramax.value(row, "licence"), backend.panoramax.value(row, "licence_url")) for row in rows}
    name, url = licences.pop() if len(licences) == 1 else (None, None)
    found = {
        "name": {"label": NAME, "langs": {"en": NAME}},
        "license": {"id": name or "proprietary", **({"url": url} if url else {})},
        "auth": {"enabled": False},
        "defaults": {
            "split_distance": 100, "split_time": 300.0, "duplicate_distance": 1.0, "duplicate_rotation": 60
        },
        "version": "standin",
    }  # fmt: skip
    return _json(request, found)


def search(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a search: the images nearest to the centre of its box, in one page."""
    query = request.query
    if unknown := sorted(query.keys() - CONDITIONS):
        return error(400, f"This stand-in does not know the parameter {unknown[0]}")
    limit = _whole(query.get("limit"), LIMIT)
    if limit is None or not 1 <= limit <= MOST:
        return error(400, f"Parameter limit must be either empty or a number between 1 and {MOST}")
    bbox = None
    if "bbox" in query:
        bbox = _box(query["bbox"])
        if bbox is None:
            return error(400, "Parameter bbox must be in format [minX, minY, maxX, maxY]")
    since = until = None
    if "datetime" in query:
        try:
            since, until = _interval(query["datetime"])
        except ValueError:
            return error(400, f"Invalid {_quoted('datetime')} argument")
    listed: dict[str, list[str] | None] = {}
    for name in ("ids", "collections"):
        words = _list(query[name]) if name in query else None
        if words is not None and not all(UUIDS.find(word) for word in words):
            return error(400, f"Parameter {name} should be a JSON array of strings")
        listed[name] = words
    rows = backend.panoramax.search(Question(bbox, since, until, listed["ids"], listed["collections"]), limit)
    rows = [row for row in rows if not request.faults.is_gone(backend.panoramax.ids[row])]
    links = [{"href": f"{backend.url}{API}/", "rel": "root", "title": "Instance catalog", "type": "application/json"}]
    features = [backend.panoramax.item(row, backend.url + API, whole=False) for row in rows]
    return _json(request, {"features": features, "links": links, "type": "FeatureCollection"}, GEOJSON)


def item(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for one item."""
    row = _row(backend, request, parts["id"])
    if row is None:
        return error(404, "Item doesn't exist")
    if "sequence" in parts and backend.panoramax.value(row, "sequence_id") != parts["sequence"].lower():
        return error(404, "Item doesn't exist")
    return _json(request, backend.panoramax.item(row, backend.url + API), GEOJSON)


def collections(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a request for a page of sequences."""
    own = f"{backend.url}{API}/collections"
    page = _page(request, sorted(backend.panoramax.sequences), own)
    if page is None:
        return error(400, "limit parameter should be an integer between 1 and 1000")
    listed, links = page
    found = [backend.panoramax.collection(each, backend.url + API) for each in listed]
    return _json(request, {"collections": found, "links": links})


def collection(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for a sequence."""
    sequence = parts["sequence"].lower()
    if sequence not in backend.panoramax.sequences:
        return error(404, "Collection doesn't exist")
    return _json(request, backend.panoramax.collection(sequence, backend.url + API))


def items(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for a page of the items of a sequence, in order of rank."""
    sequence, images = parts["sequence"].lower(), backend.panoramax
    if sequence not in images.sequences:
        return error(404, "Collection doesn't exist")
    limit, after = _whole(request.query.get("limit"), MOST), _whole(request.query.get("startAfterRank"), 0)
    if limit is None or not 1 <= limit <= MOST:
        return error(400, f"limit parameter should be an integer between 1 and {MOST}")
    if after is None:
        return error(400, "startAfterRank parameter should be an integer")
    rows = images.sequences[sequence]
    last = images.rank(rows[-1])
    if after >= last and after > 0:
        return error(404, f"No more items in this collection (last available rank is {last})")
    rest = [row for row in rows if images.rank(row) > after]
    chosen = rest[:limit]
    own = f"{backend.url}{API}/collections/{sequence}"
    links = [{"href": f"{own}/items?limit={limit}", "rel": "self", "type": GEOJSON}]
    if len(rest) > len(chosen):
        href = f"{own}/items?limit={limit}&startAfterRank={images.rank(chosen[-1])}"
        links.append({"href": href, "rel": "next", "type": GEOJSON})
    kept = [row for row in chosen if not request.faults.is_gone(images.ids[row])]
    features = [images.item(row, backend.url + API) for row in kept]
    return _json(request, {"features": features, "links": links, "type": "FeatureCollection"}, GEOJSON)


def search_users(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a search for users by a part of their name."""
    wanted = request.query.get("q", "").lower()
    if not wanted:
        return error(400, f"No search parameter given, you should provide {_quoted('q=<pattern>')} as query parameter")
    api = f"{backend.url}{API}/users"
    found = [
        {"id": user, "label": name, "links": [{"href": f"{api}/{user}", "rel": "user-info"}]}
        for user, name in backend.panoramax.users.items()
        if wanted in name.lower()
    ]
    return _json(request, {"features": found})


def user(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for a user."""
    id_ = parts["user"].lower()
    if id_ not in backend.panoramax.users:
        return error(404, "Impossible to find user")
    own = f"{backend.url}{API}/users/{id_}/collection"
    links = [{"href": own, "rel": "collection", "type": "application/json"}]
    return _json(request, {"id": id_, "links": links, "name": backend.panoramax.users[id_]})


def sequences_of_user(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for a page of links to the sequences of a user."""
    id_, images = parts["user"].lower(), backend.panoramax
    if id_ not in images.users:
        return error(404, f"Impossible to find user {id_}")
    hers = sorted(each for each, rows in images.sequences.items() if images.value(rows[0], "creator_id") == id_)
    page = _page(request, hers, f"{backend.url}{API}/users/{id_}/collection")
    if page is None:
        return error(400, "limit parameter should be an integer between 1 and 1000")
    listed, links = page
    links += [
        {"href": f"{backend.url}{API}/collections/{each}", "id": each, "rel": "child", "type": "application/json"}
        for each in listed
    ]
    found = {
        "id": f"user:{id_}",
        "links": links,
        "stac_version": "1.0.0",
        "title": images.users[id_],
        "type": "Collection",
    }
    return _json(request, found)


def tile(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for a vector tile."""
    zoom, x, y = (int(parts[name]) for name in ("zoom", "x", "y"))
    if zoom > ZOOM:
        return error(404, f"Z parameter is out of bounds (should be 0-{ZOOM})")
    if max(x, y) >= 2**zoom:
        return error(404, "X or Y parameter is out of bounds")
    return _sent(request, backend.panoramax.tile(zoom, x, y), TILE)


def picture(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for a picture."""
    if request.carries_secret:
        return plain(400, "Bad request: a token has no place here")
    row = _row(backend, request, parts["id"])
    if row is None:
        return error(404, "Picture can't be found, you may check its ID")
    id_ = backend.panoramax.ids[row]
    file = backend.pictures.file(id_)
    if file is not None:
        return Answer(content_type=JPEG, file=file)
    is_pano = backend.panoramax.is_pano(row)
    return Answer(backend.pictures.drawn(id_, parts["size"], is_pano=is_pano), content_type=JPEG)


def _row(backend: Backend, request: Request, id_: str) -> int | None:
    row = backend.panoramax.row(id_)
    return None if row is None or request.faults.is_gone(backend.panoramax.ids[row]) else row


def _page(request: Request, listed: list[str], own: str) -> tuple[list[str], list[dict[str, str]]] | None:
    """Return a page of a list of ids, with its links; None if its limit is no number of items."""
    limit = _whole(request.query.get("limit"), SEQUENCES_A_PAGE)
    if limit is None or not 1 <= limit <= SEQUENCES_A_PAGE:
        return None
    after = request.query.get("page", "")
    rest = [each for each in listed if each > after]
    links = [{"href": own, "rel": "self", "type": "application/json"}]
    if len(rest) > limit:
        links.append({"href": f"{own}?limit={limit}&page={rest[limit - 1]}", "rel": "next", "type": "application/json"})
    return rest[:limit], links


def _quoted(word: str) -> str:
    """Return a word as the server's messages have it."""
    return f"`{word}`"


def _whole(text: str | None, default: int) -> int | None:
    """Return a whole number of the query; None if it is none."""
    if text is None:
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _box(text: str) -> tuple[float, float, float, float] | None:
    try:
        west, south, east, north = (float(word) for word in text.strip("[]").split(","))
    except ValueError:
        return None
    inside = all(abs(lon) <= PANORAMA / 2 for lon in (west, east)) and all(abs(lat) <= 90 for lat in (south, north))
    return (west, south, east, north) if inside else None


def _list(text: str) -> list[str]:
    """Return a list in JSON, or of words between commas."""
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            return [text]
        return [str(word) for word in found]
    return [word for word in text.split(",") if word]


def _interval(text: str) -> tuple[int | None, int | None]:
    """Return the first and the last microsecond of an interval, or of an instant; None for an open end."""
    first, slash, last = text.partition("/")
    if not slash:
        instant = _microseconds(first)
        return instant, instant
    return tuple(None if end in {"", ".."} else _microseconds(end) for end in (first, last))  # type: ignore[return-value]


def _microseconds(text: str) -> int:
    time = datetime.fromisoformat(text)
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    since = time - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
