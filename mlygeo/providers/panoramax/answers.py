"""
Interpreting answers of Panoramax's servers: which errors their JSON reports.

An instance answers `{"message", "status_code", "details"?}`, the catalogue `{"status", "message"}`, and a missing
token has a body with only `message`. A web page is never an answer of the service itself: a 404 without its JSON may
come from a proxy, or from a wrong path, and does not say that a picture is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlygeo.errors import FormatError, ServiceError, TokenRejectedError
from mlygeo.net import answers
from mlygeo.net.answers import (
    PENDING,
    GoneError,
    PendingError,
    QueryTimeoutError,
    RefusedError,
    Trouble,
    redact,
    retry_after,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

GONE = "gone (status 404)"
"""The reason of a picture that was removed, never existed, or is not public."""

LONGEST_MESSAGE = 300


class ConflictError(RefusedError):
    """
    What was sent is there already (409), or the server forbids it in its present state.

    Parameters
    ----------
    message
        What was found, and where.
    hint
        What to do about it.
    body
        The JSON of the answer.
    """

    def __init__(self, message: str, *, hint: str | None = None, body: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.body = dict(body or {})
        self.is_conflict = True
        """Whether it is one (409); else what was sent is not accepted."""


class InvalidError(ConflictError):
    """The server understood the request, and does not accept what was sent (400, 415, 422)."""


def judge(
    status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float, token_hint: str
) -> Trouble | None:
    """
    Return what is wrong with an answer, or None where it is not an error.

    Parameters
    ----------
    status
        HTTP status.
    headers
        Its headers.
    body
        Its body, decompressed.
    what
        What was asked for, for messages.
    now
        Seconds since 1970.
    token_hint
        What to do where the service refuses the token.
    """
    if 200 <= status < 300:
        return None
    if status == PENDING:
        return Trouble(PendingError(f"{what}: the server still works on it", hint="try again later"), "again")
    error = error_object(body)
    if error is None:
        return answers.judge(status, headers, what=what, now=now, token_hint=token_hint)
    said = _said(error)
    text = redact(f"{what}: the service answered {status}{f': {said}' if said else ''}")
    wait = retry_after(headers.get("Retry-After"), now)
    details = error.get("details")
    if status == 401 and isinstance(details, dict) and isinstance(page := details.get("validation_page"), str):
        hint = f"accept the terms of service at {page[:LONGEST_MESSAGE]}, and run the same command again"
        return Trouble(TokenRejectedError(text, hint=hint), "stop")
    if status in {401, 403} and (status == 401 or "token" in said.lower()):
        return Trouble(TokenRejectedError(text, hint=token_hint), "stop")
    if status in {404, 410}:
        return Trouble(GoneError(text, hint="it was removed, never existed, or is not public"), "stop")
    if status == 409:
        return Trouble(ConflictError(text, body=error), "stop")
    if status in {400, 415, 422}:
        return Trouble(InvalidError(text, body=error), "stop")
    if status == 500 and "timeout" in said.lower().replace(" ", "").replace("-", ""):
        return Trouble(QueryTimeoutError(text, hint="ask for less"), "stop")
    if status == 403:
        return Trouble(RefusedError(text), "stop")
    if status >= 500:
        return Trouble(ServiceError(text, hint="try again later"), "again", wait)
    return answers.judge(status, headers, what=what, now=now, token_hint=token_hint)


def error_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object of an error; None where the body is anything else, such as a web page."""
    if body.lstrip()[:1] != b"{" or b'"message"' not in body:
        return None
    try:
        return answers.parsed_json(body)
    except FormatError:
        return None


def _said(error: Mapping[str, Any]) -> str:
    """Return the message of an error, with its details."""
    parts = [str(error.get("message") or "")]
    details = error.get("details")
    for each in details if isinstance(details, list) else [details]:
        if isinstance(each, dict):
            parts += [str(each[name]) for name in ("error", "message") if each.get(name)]
            fields = each.get("fields") or each.get("missing_fields")
            parts += [", ".join(map(str, fields))] if isinstance(fields, list) else []
    return " ".join(": ".join(part for part in parts if part).split())[:LONGEST_MESSAGE]
