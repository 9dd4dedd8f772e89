"""
What an answer of the service means: whole or broken, an error to try again or to stop at.

Pure: bytes and headers in, a verdict out. Errors are told apart by the `code` in their body, and
by the HTTP status only where there is none: the service answers a missing token with 500.

What an answer to an upload means: whole or broken, an error to try again or to stop at.

Pure, as `answers` is. The upload service tells errors in a form of its own,
`{"debug_info": {"retriable", "type", "message"}, "backoff"?}`; the Graph API, which signs people
in and finishes uploads, in its usual one.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from mlygeo.errors import FormatError, NetworkError, ServiceError, ThrottledError, TokenRejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping


CODE_TOKEN = 190

CODE_TOO_MUCH = 1


CODE_REQUEST, SUBCODE_GONE = 100, 33

CODE_QUERY_TIMEOUT = -2

CODES_RATE = frozenset({4, 17, 613})

CODES_AGAIN = frozenset({2, -2})
"""Codes of errors that pass: "temporary", and a query's time-out that claims not to be transient."""

STATUSES_AGAIN = frozenset({404, 408, 425})
"""Statuses without a code that pass: a tile answers 404 for a while, and is there the next day."""

_NO_FIELD = re.compile(r"nonexisting field \((?P<field>[^)]*)\)(?: on node type \((?P<node>[^)]*)\))?")

_SECRETS = re.compile(
    r"(access_token(?:=|%3D|\"\s*:\s*\"|'\s*:\s*'))[^&\s\"'<>)]*"
    r"|((?:OAuth|Bearer)\s+)[^\s\"',<>)]{16,}"
    r"|MLY(?:\||%7C)[^\s\"'&<>)]*",
    re.IGNORECASE,
)

SIGN_IN_HINT = "sign in again with 'mlygeo authenticate'; what is done is kept"


_OFFSET, _RATE, _TOKEN = "OffsetInvalidError", "RequestRateLimitedError", "NotAuthorizedError"


class RefusedError(ServiceError):
    """The service will not answer this request, however often it is asked."""


class TooMuchDataError(RefusedError):
    """The service would have to return too much (code 1): ask for less."""


class GoneError(RefusedError):
    """There is no such thing, not any more, or not for this token (code 100, subcode 33): final."""


class UnknownFieldError(RefusedError):
    """
    A field that was asked for does not exist (code 100).

    Parameters
    ----------
    message
        What was found, and where.
    hint
        What to do about it.
    field
        Name of the field; "" where the service does not say.
    node
        Kind of the thing that does not have it, in the service's words; "" where it does not say.
    """

    def __init__(self, message: str, *, hint: str | None = None, field: str = "", node: str = "") -> None:
        super().__init__(message, hint=hint)
        self.field, self.node = field, node

    @property
    def of_image(self) -> bool:
        """Whether it is an image that does not have it."""
        return "image" in self.node.lower()


class QueryTimeoutError(ServiceError):
    """The service ran out of time over a question (code -2): again, or a smaller question."""


class NotFoundError(ServiceError):
    """The service does not have it (404 without a code): tiles come back within a day."""


@dataclass(frozen=True)
class Broken:
    """An answer that did not come whole, and why."""

    reason: str


@dataclass(frozen=True)
class Trouble:
    """
    An answer that is an error.

    Parameters
    ----------
    error
        What it means.
    then
        "stop": repeating it is no use; "again": it may pass; "at once": it may pass without a wait;
        "all wait": no request at all for a while.
    wait
        Seconds that the service asks to wait; None where it does not say.
    """

    error: ServiceError
    then: Literal["stop", "again", "at once", "all wait"]
    wait: float | None = None


def redact(text: str, *secrets: str | None) -> str:
    """
    Return a text without access tokens.

    Parameters
    ----------
    text
        A message, a URL, the body of an answer.
    secrets
        Tokens that are known, in whatever form; they are taken out also where nothing marks them.

    Examples
    --------
    >>> redact("https://tiles.mapillary.com/maps?access_token=abc&x=1")
    'https://tiles.mapillary.com/maps?access_token=…&x=1'
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…").replace(quote(secret, safe=""), "…")
    return _SECRETS.sub(lambda match: f"{match[1] or match[2] or ''}…", text)


def judge(status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float) -> Trouble | None:
    """
    Return what is wrong with an answer, or None where it is no error.

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
    if status == 200 and found is None:
        return None
    code, subcode, message = found if found is not None else (None, None, "")
    said = f" (code {code}: {message})" if found else ""
    text = redact(f"{what}: the service answered {status}{said}")
    wait = _retry_after(headers.get("Retry-After"), now)
    if code == CODE_TOKEN or (code is None and status in {401, 403}):
        hint = "make a new token at https://www.mapillary.com/dashboard/developers"
        return Trouble(TokenRejectedError(f"{text}: it refuses the access token", hint=hint), "stop")
    if code in CODES_RATE or status == 429:
        return Trouble(ThrottledError(f"{text}: too many requests"), "all wait", wait)
    if code == CODE_TOO_MUCH:
        return Trouble(TooMuchDataError(f"{text}: too much data", hint="ask for a smaller area"), "stop")
    if code == CODE_REQUEST:
        return Trouble(_bad_request(text, subcode, message), "stop")
    if 300 <= status < 400:
        return Trouble(_redirected(headers.get("Location", ""), what), "stop")
    if code in CODES_AGAIN or status in STATUSES_AGAIN or status >= 500 or status == 200:
        hint = "a revoked token is answered like this too" if code == 2 else "try again later"
        kind = NotFoundError if status == 404 and code is None else ServiceError
        kind = QueryTimeoutError if code == CODE_QUERY_TIMEOUT else kind
        return Trouble(kind(text, hint=hint), "again", wait)
    return Trouble(RefusedError(text), "stop")


def parsed_json(content: bytes) -> dict[str, Any]:
    """
    Return the JSON object that bytes hold.

    Parameters
    ----------
    content
        Body of an answer of the Graph API.

    Raises
    ------
    FormatError
        Saying what it is instead: a web page, a text that was cut short, a list.
    """
    start = content[:200].lstrip().lower()
    if start.startswith(b"<"):
        raise FormatError("a web page came instead of JSON")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise FormatError("what came is no JSON, or was cut short" if content else "nothing came") from None
    if not isinstance(value, dict):
        raise FormatError("the JSON that came is no object")
    return value


def decompressed(body: bytes, headers: Mapping[str, str], longest: int) -> bytes | Broken:
    """
    Return the body of an answer decompressed, or why it is not whole.

    The libraries' own decompression takes a stream for whole that was cut short; this does not.

    Parameters
    ----------
    body
        As it came; gzip is recognised by its first bytes too, where no header names it.
    headers
        Content-Length, Content-Encoding and Transfer-Encoding are looked at.
    longest
        Bytes; a longer result is broken, so that a small body cannot fill the memory.
    """
    length = headers.get("Content-Length", "")
    if length.isdigit() and int(length) != len(body):
        return Broken(f"sent {len(body):,} of {int(length):,} bytes")
    if not body and not length and "chunked" not in headers.get("Transfer-Encoding", "").lower():
        # The end of such a body is the end of the connection, so nothing tells empty from lost.
        return Broken("closed the connection without an answer")
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if body and (encoding in {"gzip", "x-gzip"} or body.startswith(b"\x1f\x8b")):
        return _gunzip(body, longest)
    if encoding not in {"", "identity", "gzip", "x-gzip"}:
        return Broken(f"answered in the encoding {encoding[:20]!r}")
    return body


def check_tile(content: bytes) -> None:
    """
    Raise unless bytes look like a whole vector tile.

    Walks over the layers without decoding them: a web page, an error text, or a tile that was cut
    short inside a layer is told from a tile in microseconds. Zero bytes are an empty tile.

    Parameters
    ----------
    content
        A vector tile, decompressed.

    Raises
    ------
    FormatError
        Saying what it is instead.
    """
    start = content[:200].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<!--")):
        raise FormatError("a web page came instead of a vector tile")
    if start.startswith((b"{", b"[")):
        raise FormatError("a JSON text came instead of a vector tile")
    position, end = 0, len(content)
    while position < end:
        key, position = _varint(content, position)
        field, wire_type = key >> 3, key & 7
        if wire_type == 2:
            length, position = _varint(content, position)
            position += length
        elif wire_type == 0:
            _, position = _varint(content, position)
        elif wire_type in {1, 5}:
            position += 8 if wire_type == 1 else 4
        else:
            raise FormatError("what came is no vector tile")
        if field == 0 or (field == 3 and wire_type != 2):
            raise FormatError("what came is no vector tile")
    if position > end:
        raise FormatError("the vector tile was cut short")


def _gunzip(body: bytes, longest: int) -> bytes | Broken:
    pieces, size = [], 0
    while body:
        decompressor = zlib.decompressobj(wbits=31)
        try:
            piece = decompressor.decompress(body, longest - size + 1)
        except zlib.error:
            return Broken("sent a damaged answer (gzip)")
        pieces.append(piece)
        size += len(piece)
        if size > longest:
            return Broken(f"sent more than {longest:,} bytes")
        if not decompressor.eof:
            return Broken("sent an answer that was cut short (gzip)")
        body = decompressor.unused_data
    return b"".join(pieces)


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
        error: Any = json.loads(body).get("error")
    except (ValueError, RecursionError):
        return None
    if not isinstance(error, dict):
        return None if error is None else (None, None, str(error)[:200])
    code, subcode = (value if isinstance(value := error.get(name), int) else None for name in ("code", "error_subcode"))
    message = " ".join(str(error.get("message") or error.get("type") or "no message").split())[:200]
    return code, subcode, message


def _retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number of them, or a date."""
    if not value:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d*)?\s*", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _redirected(location: str, what: str) -> ServiceError:
    try:
        target = urlsplit(location)
        shown = f"{target.netloc.rsplit('@', 1)[-1]}{target.path}"[:120] or "nowhere"
    except ValueError:
        shown = "nowhere"
    # Only host and path are shown: the query may be the request's own, token and all.
    if "login" in location.lower():
        return ThrottledError(
            f"{what}: redirected to {redact(shown)}: this address is being throttled",
            hint="wait some hours before the next run; it goes on where this one stopped",
        )
    return NetworkError(
        f"{what}: redirected to {redact(shown)}, which is not the service",
        hint="check the network connection: a sign-in page may stand between",
    )


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Read protobuf's integer of seven bits a byte; return it and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(content):
            raise FormatError("the vector tile was cut short")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise FormatError("what came is no vector tile")


class OffsetError(ServiceError):
    """The service has another number of bytes than it was believed to have: ask how many, at once."""


def judge_upload(status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float) -> Trouble | None:
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
    usual = judge(status, headers, body, what=what, now=now)
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
