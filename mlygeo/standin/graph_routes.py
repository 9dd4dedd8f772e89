"""The stand-in's answers for the Graph API: one or several entities, searches, and the owner of a token."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from mlygeo.standin.answers import Answer, Request, error_answer, json_answer, refusal
from mlygeo.standin.records import IMAGE_FIELDS, ORGANIZATION_FIELDS, USER_FIELDS
from mlygeo.standin.searches import MOST_IDS, SearchError, search

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlygeo.standin.backend import Backend

MOST_ENTITIES = 50
"""Entities in one call of `/?ids=`."""

CLIENT_TOKEN = re.compile(r"MLY\|\d+\|[0-9a-fA-F]+")

FIELD = re.compile(r"\s*(\w+)(?:\.\w+(?:\([^)]*\))?|\{[^{}]*\})*\s*")
"""A field, without its list of parts."""


def entity(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer a request for one image, person or organization."""
    if (refused := _refused(backend, request)) is not None:
        return refused
    return _answered(lambda: _entity(backend, request, parts["id"], _fields(request)))


def entities(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a request for several entities in one call: an object keyed by id."""
    if (refused := _refused(backend, request)) is not None:
        return refused
    return _answered(lambda: _keyed(backend, request))


def images_by_ids(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a request for a list of images."""
    if (refused := _refused(backend, request)) is not None:
        return refused
    return _answered(lambda: _by_ids(backend, request))


def search_images(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a search for images."""
    if (refused := _refused(backend, request)) is not None:
        return refused
    return _answered(lambda: _found(backend, request))


def image_ids(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a request for the images of a sequence, in the order in which they were taken."""
    if (refused := _refused(backend, request)) is not None:
        return refused
    if not request.query.get("sequence_id"):
        return _wrong("The parameter sequence_id is required")
    rows = backend.records.rows("sequence_id", [request.query["sequence_id"]])
    return json_answer({"data": [{"id": str(number)} for number in backend.records.ids[rows].tolist()]})


def me(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer a request for the token's owner: the person with most images."""
    if (refused := _refused(backend, request)) is not None:
        return refused
    number = backend.records.most_active()
    return _answered(lambda: _entity(backend, request, str(number), _fields(request)))


class _Refused(Exception):  # noqa: N818 - an answer more than an error
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _answered(make: Any) -> Answer:
    """Return the result of a function as JSON, or the refusal that it raised."""
    try:
        return json_answer(make())
    except _Refused as refused:
        return refused.answer
    except SearchError as error:
        return _wrong(str(error)) if error.code == 100 else error_answer(500, error.code, str(error))


def _wrong(message: str) -> Answer:
    return error_answer(400, 100, message)


def _refused(backend: Backend, request: Request) -> Answer | None:
    """Return the refusal of a bad token; None for a good one."""
    if backend.token is None or request.token == backend.token:
        return None
    if request.token is None:
        return refusal(500)
    if "Authorization" not in request.headers:
        return refusal(400)
    if CLIENT_TOKEN.fullmatch(request.token):
        return error_answer(401, 190, "Error validating application", kind="OAuthException")
    return refusal(401)


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))


def _fields(request: Request) -> list[str]:
    """Return the names of the requested fields."""
    text, names = request.query.get("fields", ""), []
    while text:
        found = FIELD.match(text)
        if found is None or (rest := text[found.end() :])[:1] not in {"", ","}:
            raise _Refused(_wrong(f"Syntax error \"Expected end of string instead of '{text[:1]}'.\""))
        names.append(found[1])
        text = rest[1:]
    return names


def _known(fields: Iterable[str], known: frozenset[str], kind: str) -> None:
    for name in fields:
        if name not in known:
            raise _Refused(_wrong(f"Tried accessing nonexisting field ({name}) on node type ({kind})"))


def _entity(backend: Backend, request: Request, name: str, fields: Sequence[str]) -> dict[str, Any]:
    """Return the requested fields of an entity of any kind."""
    records = backend.records
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 20 else -1
    if (row := records.row(number)) is not None and not request.faults.is_gone(number):
        _known(fields, IMAGE_FIELDS, "MapillaryImage")
        return _image(backend, request, row, fields)
    for entity, known, kind in (
        (records.user(number), USER_FIELDS, "MapillaryUser"),
        (records.organization(number), ORGANIZATION_FIELDS, "MapillaryOrganization"),
    ):
        if entity is not None:
            _known(fields, known, kind)
            return {field: entity[field] for field in (*fields, "id") if field in entity}
    message = (
        f"Unsupported get request. Object with ID '{name}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation"
    )
    raise _Refused(error_answer(400, 100, message, error_subcode=33))


def _keyed(backend: Backend, request: Request) -> dict[str, Any]:
    """Return several entities; a single deleted one makes the whole call fail."""
    ids, fields = _listed(request.query["ids"]), _fields(request)
    if len(ids) > MOST_ENTITIES:
        raise _Refused(_wrong(f"Too many IDs. Maximum: {MOST_ENTITIES}. Provided: {len(ids)}."))
    return {name: _entity(backend, request, name, fields) for name in ids}


def _image(backend: Backend, request: Request, row: int, fields: Iterable[str]) -> dict[str, Any]:
    lifetime = request.faults.url_lifetime

    def thumb(size: str, number: int) -> str:
        return backend.url + backend.pictures.address(size, number, lifetime=lifetime)

    record = backend.records.image(row, fields, thumb)
    if request.faults.unsigned_altitude and record.get("altitude", 0) < 0:
        record["altitude"] = round(record["altitude"]) % 2**32
    return record


def _by_ids(backend: Backend, request: Request) -> dict[str, Any]:
    """Return the images of a list of ids, without deleted ones."""
    ids, fields = _listed(request.query["image_ids"]), _fields(request)
    if not ids or not all(name.isascii() and name.isdigit() for name in ids):
        raise SearchError("Invalid parameter: image_ids must be a list of ids")
    if len(ids) > MOST_IDS:
        raise SearchError(f"Too many IDs. Maximum: {MOST_IDS}. Provided: {len(ids)}.")
    _known(fields, IMAGE_FIELDS, "MapillaryImage")
    numbers = [int(name) for name in ids]
    rows = [backend.records.row(number) for number in numbers if not request.faults.is_gone(number)]
    return {"data": [_image(backend, request, row, fields) for row in rows if row is not None]}


def _found(backend: Backend, request: Request) -> dict[str, Any]:
    """Return the images that a search finds, and the cursor of the next page if the search is paged."""
    faults, fields = request.faults, _fields(request)
    _known(fields, IMAGE_FIELDS, "MapillaryImage")
    found = search(
        backend.records,
        request.query,
        largest_page=faults.largest_page,
        densest_box=faults.densest_box,
        overhang=faults.overhang,
    )
    ids = backend.records.ids[found.rows].tolist()
    there = [row for row, number in zip(found.rows.tolist(), ids, strict=True) if not faults.is_gone(number)]
    content: dict[str, Any] = {"data": [_image(backend, request, row, fields) for row in there]}
    if found.after is not None:
        content["paging"] = {"cursors": {"after": found.after}}
    if found.more:
        content["paging"]["next"] = _next_link(backend, request, found.after)
    return content


def _next_link(backend: Backend, request: Request, after: str | None) -> str:
    """Return the address of the next page, as the service makes it: with the token in it, or without."""
    kind = request.faults.next_link
    query = {name: value for name, value in request.query.items() if name not in {"after", "access_token"}}
    query["after"] = str(after)
    if kind != "plain" and request.token is not None:
        query = {"access_token": request.token, **query}
    base = backend.other_host() if kind == "other_host" else backend.url
    return f"{base}{request.path}?{urlencode(query)}"
