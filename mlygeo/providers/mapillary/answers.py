"""
Interpreting answers of Mapillary's service, and their JSON.

Pure functions of bytes and headers. Errors are distinguished by the `code` in their body, and by the
HTTP status only if there is no code: the service answers a missing token with 500.

The upload service has its own form of errors, `{"debug_info": {"retriable", "type", "message"},
"backoff"?}`; the Graph API, which signs people in and finishes uploads, uses its usual one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FormatError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.keys import WHOLE_NUMBERS
from mlygeo.net import answers
from mlygeo.net.answers import (
    GoneError,
    QueryTimeoutError,
    RefusedError,
    TooMuchDataError,
    Trouble,
    UnknownFieldError,
    redact,
    retry_after,
    sensible_wait,
)
from mlygeo.providers.foreign import foreign_record

if TYPE_CHECKING:
    from collections.abc import Mapping

Record = dict[str, Any]
"""A JSON object of the service."""

CODE_TOKEN = 190

CODE_TOO_MUCH = 1

CODE_REQUEST, SUBCODE_GONE = 100, 33

CODE_QUERY_TIMEOUT = -2

CODES_RATE = frozenset({4, 17, 613})

CODES_AGAIN = frozenset({2, -2})
"""Codes of errors that pass: "temporary", and a query's time-out that claims not to be transient."""

_NO_FIELD = re.compile(r"nonexisting field \((?P<field>[^)]*)\)(?: on node type \((?P<node>[^)]*)\))?")

TOKEN_HINT = "make a new token at https://www.mapillary.com/dashboard/developers"  # noqa: S105 - says where

SIGN_IN_HINT = "sign in again with 'mlygeo authenticate'; what is done is kept"

_OFFSET, _RATE, _TOKEN = "OffsetInvalidError", "RequestRateLimitedError", "NotAuthorizedError"


class OffsetError(ServiceError):
    """The service has another number of bytes than expected: ask for the number at once."""


def judge(status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float) -> Trouble | None:
    """
    Return what is wrong with an answer, or None where it is not an error.

    Parameters
    ----------
    status
        HTTP status.
    headers
        Its headers; Location and Retry-After are looked at.
    body
        Its body, decompressed.
    what
        What was asked for, for messages.
    now
        Seconds since 1970, to tell how far away a date in Retry-After is.
    """
    found = _error_object(body)
    code, subcode, message = found if found is not None else (None, None, "")
    said = f" (code {code}: {message})" if found else ""
    text = redact(f"{what}: the service answered {status}{said}")
    wait = retry_after(headers.get("Retry-After"), now)
    if code == CODE_TOKEN:
        return Trouble(TokenRejectedError(f"{text}: it refuses the access token", hint=TOKEN_HINT), "stop")
    if code in CODES_RATE or status == 429:
        return Trouble(ThrottledError(f"{text}: too many requests"), "all wait", wait)
    if code == CODE_TOO_MUCH:
        return Trouble(TooMuchDataError(f"{text}: too much data", hint="ask for a smaller area"), "stop")
    if code == CODE_REQUEST:
        return Trouble(_bad_request(text, subcode, message), "stop")
    if code in CODES_AGAIN and not 300 <= status < 400:
        hint = "a revoked token is answered like this too" if code == 2 else "try again later"
        kind = QueryTimeoutError if code == CODE_QUERY_TIMEOUT else ServiceError
        return Trouble(kind(text, hint=hint), "again", wait)
    return answers.judge(status, headers, what=what, now=now, said=said, coded=code is not None, token_hint=TOKEN_HINT)


def data_of(record: Record) -> list[Any]:
    """
    Return the list that an answer holds.

    Raises
    ------
    FormatError
        If it holds none.
    """
    values = record.get("data")
    if not isinstance(values, list):
        foreign = foreign_record("the answer", record, wanted="Mapillary")
        if foreign is not None:
            raise foreign
        raise FormatError("the JSON that came holds no list `data`")
    return values


def id_of(record: Any) -> int | None:
    """Return the id of a record; None where it has none, or no record is there."""
    return WHOLE_NUMBERS.find(record.get("id")) if isinstance(record, dict) else None


def judge_upload(status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float) -> Trouble | None:
    """
    Return what is wrong with an answer, or None where it is not an error.

    Parameters
    ----------
    status
        HTTP status.
    headers
        Its headers; Retry-After is looked at.
    body
        Its body.
    what
        What was asked for, for messages.
    now
        Seconds since 1970, to tell how far away a date in Retry-After is.
    """
    usual = judge(status, headers, body, what=what, now=now)
    info = _debug_info(body)
    if info is None or status == 200:
        return usual if usual is None else _with_hint(usual)
    kind, message, retriable, backoff = info
    text = redact(f"{what}: the service answered {status} ({kind}: {message})")
    if kind == _OFFSET or status == 412:
        return Trouble(OffsetError(text), "at once")
    # A rate limit is declared not retriable, although it is.
    if kind == _RATE or status == 429:
        wait = backoff if backoff is not None else usual.wait if usual is not None else None
        return Trouble(ThrottledError(text), "all wait", wait)
    if kind == _TOKEN or status in {401, 403}:
        return Trouble(TokenRejectedError(f"{text}: it refuses the token", hint=SIGN_IN_HINT), "stop")
    if status == 501:
        return Trouble(ServiceError(text, hint="uploads are not taken there: check the endpoint"), "stop")
    if status >= 500 or status in {408, 425} or retriable:
        return Trouble(ServiceError(text, hint="try again later"), "again", usual.wait if usual is not None else None)
    return Trouble(RefusedError(text), "stop")


def _bad_request(text: str, subcode: int | None, message: str) -> RefusedError:
    if subcode == SUBCODE_GONE:
        return GoneError(text, hint="it was removed, never existed, or is not for this token")
    if field := _NO_FIELD.search(message):
        return UnknownFieldError(text, field=field["field"], node=field["node"] or "")
    return RefusedError(text)


def _error_object(body: bytes) -> tuple[int | None, int | None, str] | None:
    """Return code, subcode and message of an error in the service's form, or None where there is none."""
    if body.lstrip()[:1] != b"{" or b'"error"' not in body[:1000]:
        return None
    try:
        error: Any = answers.parsed_json(body).get("error")
    except FormatError:
        return None
    if not isinstance(error, dict):
        return None if error is None else (None, None, str(error)[:200])
    code, subcode = (value if isinstance(value := error.get(name), int) else None for name in ("code", "error_subcode"))
    message = " ".join(str(error.get("message") or error.get("type") or "no message").split())[:200]
    return code, subcode, message


def _with_hint(trouble: Trouble) -> Trouble:
    if not isinstance(trouble.error, TokenRejectedError):
        return trouble
    return Trouble(TokenRejectedError(str(trouble.error), hint=SIGN_IN_HINT), trouble.then, trouble.wait)


def _debug_info(body: bytes) -> tuple[str, str, bool, float | None] | None:
    """Return type, message, whether it may be tried again, and the seconds to wait; None for another form."""
    if b'"debug_info"' not in body[:5000]:
        return None
    try:
        content = answers.parsed_json(body)
    except FormatError:
        return None
    info = content.get("debug_info")
    if not isinstance(info, dict):
        return None
    backoff = content.get("backoff")
    if isinstance(backoff, str) and re.fullmatch("[0-9]{1,15}", backoff):
        backoff = int(backoff)
    message = " ".join(str(info.get("message") or "no message").split())[:200]
    seconds = None
    if isinstance(backoff, int | float) and not isinstance(backoff, bool) and abs(backoff) < 1e15:
        seconds = sensible_wait(backoff / 1000)
    return str(info.get("type") or "no type")[:80], message, info.get("retriable") is True, seconds
