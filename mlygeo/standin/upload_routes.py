"""The stand-in's answers for sign-in and uploads."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mlygeo.standin.answers import Answer, Request, error_answer, json_answer
from mlygeo.standin.upload_store import KEY, OffsetInvalidError, UploadRefusedError, unwritten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlygeo.standin.backend import Backend
    from mlygeo.standin.upload_store import UploadStore

SETTLED = frozenset({"rate", "temporary", "query_timeout", "wrong_offset", "cut"})
"""Faults that the routes here handle themselves, before they process a request."""

CLIENT_TOKEN = re.compile(r"MLY\|\d+\|[0-9a-fA-F]+")

WRONG_PASSWORD = "wrong"  # noqa: S105 - the one password that the stand-in does not take
"""The only password that is refused, to rehearse a failing sign-in."""

SUBCODE_WRONG_PASSWORD = 1348092


def sign_in(backend: Backend, request: Request, _parts: Mapping[str, str]) -> Answer:
    """Answer with the token of a person: any email does, and any password but `WRONG_PASSWORD`."""
    if (fault := _fault(request)) is not None:
        return fault
    if not CLIENT_TOKEN.fullmatch(request.token or "") or "Authorization" not in request.headers:
        return error_answer(401, 190, "Error validating application", kind="OAuthException")
    given = _json(request)
    if not all(isinstance(given.get(name), str) and given[name] for name in ("email", "password", "locale")):
        return error_answer(400, 100, "Invalid parameter")
    if given["password"] == WRONG_PASSWORD:
        return error_answer(
            400, 100, "Invalid login", kind="OAuthException", error_subcode=SUBCODE_WRONG_PASSWORD,
            error_user_title="Invalid login", error_user_msg="The email or the password is not right.",
        )  # fmt: skip
    number = backend.records.most_active() or 1
    return json_answer({"access_token": backend.token or f"MLYA-stand-in-{number}", "user_id": str(number)})


def offset(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Answer with the number of bytes of a file that are there."""
    if (refused := _refused(backend, request, parts)) is not None:
        return refused
    return json_answer({"offset": _store(backend).offset(parts["key"])})


def upload(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Receive bytes of a file, from the given offset on."""
    if (refused := _refused(backend, request, parts)) is not None:
        return refused
    key, start, body = parts["key"], request.headers.get("Offset", ""), request.body
    if not start.isdigit() or request.headers.get("X-Entity-Name") != key or body is None:
        return trouble(400, "InvalidRequestError", "The headers Offset and X-Entity-Name are required")
    faults = request.faults
    if request.fault == "wrong_offset":
        _store(backend).forget_tail(key)
        return offset_invalid()
    pieces: Iterator[bytes] = body.pieces(rate=faults.read_rate, wait=request.wait)
    if request.fault == "cut":
        pieces = unwritten(pieces, faults.cut_after)
    try:
        return json_answer({"h": _store(backend).receive(key, int(start), pieces)})
    except OffsetInvalidError:
        return offset_invalid()
    except UploadRefusedError as error:
        return trouble(400, error.kind, str(error))


def finish(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer:
    """Make a cluster of an uploaded file."""
    if (refused := _refused(backend, request, parts)) is not None:
        return refused
    given = _json(request)
    organization = given.get("organization_id")
    if organization is not None and not _is_organization(backend, organization):
        return error_answer(400, 100, f"There is no organization {str(organization)[:40]!r}")
    try:
        cluster = _store(backend).finish(str(given.get("file_handle")), str(given.get("file_type")), organization)
    except UploadRefusedError as error:
        return error_answer(400, 100, str(error))
    return json_answer({"cluster_id": cluster})


def statistics(_backend: Backend, _request: Request, _parts: Mapping[str, str]) -> Answer:
    """Accept the statistics that the official client sends, and discard them."""
    return json_answer({"success": True})


def trouble(status: int, kind: str, message: str, *, retriable: bool = False, **more: object) -> Answer:
    """Return an error in the upload service's form."""
    content = {"debug_info": {"retriable": retriable, "type": kind, "message": message}, **more}
    return Answer(json.dumps(content).encode(), status)


def unauthorized() -> Answer:
    """Return the answer to an expired token."""
    return trouble(401, "NotAuthorizedError", "The access token has expired")


def offset_invalid() -> Answer:
    """Return the answer to bytes that do not continue the existing ones."""
    return trouble(412, "OffsetInvalidError", "Request starting offset is invalid", retriable=True)


def _refused(backend: Backend, request: Request, parts: Mapping[str, str]) -> Answer | None:
    if request.token is None or "Authorization" not in request.headers:
        return unauthorized()
    if backend.token is not None and request.token != backend.token:
        return unauthorized()
    if backend.uploads is None:
        return trouble(501, "NotImplementedError", "this stand-in keeps no uploads: it was started without a store")
    if "key" in parts and not KEY.fullmatch(parts["key"]):
        return trouble(400, "InvalidRequestError", "The key of the session is not right")
    return None if request.fault in {"wrong_offset", "cut"} else _fault(request)


def _is_organization(backend: Backend, key: Any) -> bool:
    text = str(key)
    return text.isascii() and text.isdigit() and len(text) < 20 and backend.records.organization(int(text)) is not None


def _fault(request: Request) -> Answer | None:
    faults = request.faults
    match request.fault:
        case "rate":
            more: dict[str, Any] = {} if faults.backoff_ms is None else {"backoff": faults.backoff_ms}
            limited = trouble(429, "RequestRateLimitedError", "Request rate limit has been exceeded", **more)
            headers = () if faults.retry_after is None else (("Retry-After", faults.retry_after),)
            return Answer(limited.body, 429, headers=headers)
        case "temporary":
            return trouble(503, "ServiceUnavailableError", "Try again", retriable=True)
        case "query_timeout":
            return trouble(500, "TimeoutError", "The request took too long", retriable=True)
    return None


def _store(backend: Backend) -> UploadStore:
    if backend.uploads is None:  # `_refused` has checked it
        raise RuntimeError("there is no store")
    return backend.uploads


def _json(request: Request) -> dict[str, Any]:
    try:
        given = json.loads(request.body.all() if request.body is not None else b"")
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}
