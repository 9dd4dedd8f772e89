"""
What an answer to an upload means: whole or broken, an error to try again or to stop at.

Pure, as `answers` is. The upload service tells errors in a form of its own,
`{"debug_info": {"retriable", "type", "message"}, "backoff"?}`; the Graph API, which signs people
in and finishes uploads, in its usual one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlygeo.errors import ServiceError, ThrottledError, TokenRejectedError
from mlygeo.net import answers
from mlygeo.net.answers import RefusedError, Trouble, redact

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGN_IN_HINT = "sign in again with 'mlygeo authenticate'; what is done is kept"

_OFFSET, _RATE, _TOKEN = "OffsetInvalidError", "RequestRateLimitedError", "NotAuthorizedError"


class OffsetError(ServiceError):
    """The service has another number of bytes than it was believed to have: ask how many, at once."""


def judge(status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float) -> Trouble | None:
    """
    Return what is wrong with an answer, or None where it is no error.

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
    usual = answers.judge(status, headers, body, what=what, now=now)
    told = _debug_info(body)
    if told is None or status == 200:
        return usual if usual is None else _with_hint(usual)
    kind, message, retriable, backoff = told
    text = redact(f"{what}: the service answered {status} ({kind}: {message})")
    if kind == _OFFSET or status == 412:
        return Trouble(OffsetError(text), "at once")
    # A rate limit is said not to be retriable, and is.
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


def _with_hint(trouble: Trouble) -> Trouble:
    if not isinstance(trouble.error, TokenRejectedError):
        return trouble
    return Trouble(TokenRejectedError(str(trouble.error), hint=SIGN_IN_HINT), trouble.then, trouble.wait)


def _debug_info(body: bytes) -> tuple[str, str, bool, float | None] | None:
    """Return type, message, whether it may be tried again, and the seconds to wait; None for another form."""
    if b'"debug_info"' not in body[:5000]:
        return None
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    info = told.get("debug_info") if isinstance(told, dict) else None
    if not isinstance(info, dict):
        return None
    backoff = told.get("backoff")
    if isinstance(backoff, str) and backoff.isdigit():
        backoff = int(backoff)
    known = isinstance(backoff, int | float) and not isinstance(backoff, bool) and 0 <= backoff < 1e12
    message = " ".join(str(info.get("message") or "no message").split())[:200]
    seconds = float(backoff) / 1000 if known else None
    return str(info.get("type") or "no type")[:80], message, info.get("retriable") is True, seconds
