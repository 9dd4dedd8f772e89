"""
What an answer of a service means: whole or broken, an error to try again or to stop at.

Pure: bytes and headers in, a verdict out. What the bodies of errors say is known to the provider
whose service it is; here an answer is judged by its HTTP status.
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


STATUSES_AGAIN = frozenset({404, 408, 425})
"""Statuses without a code that pass: a tile answers 404 for a while, and is there the next day."""

_TRIED = re.compile(r", in \d+ (try|tries)$")

_SECRETS = re.compile(
    r"(access_token(?:=|%3D|\"\s*:\s*\"|'\s*:\s*'))[^&\s\"'<>)]*"
    r"|((?:OAuth|Bearer)\s+)[^\s\"',<>)]{16,}"
    r"|MLY(?:\||%7C)[^\s\"'&<>)]*",
    re.IGNORECASE,
)


class RefusedError(ServiceError):
    """The service will not answer this request, however often it is asked."""


class TooMuchDataError(RefusedError):
    """The service would have to return too much: ask for less."""


class GoneError(RefusedError):
    """There is no such thing, not any more, or not for this token: final."""


class UnknownFieldError(RefusedError):
    """
    A field that was asked for does not exist.

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
    """The service ran out of time over a question: again, or a smaller question."""


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


def tried(error: Exception, tries: int) -> str:
    """Return the text of an error with how often something was tried; a number that it names already is replaced."""
    return f"{_TRIED.sub('', str(error))}, in {tries} {'try' if tries == 1 else 'tries'}"


def judge(
    status: int,
    headers: Mapping[str, str],
    *,
    what: str,
    now: float,
    token_hint: str,
    said: str = "",
    coded: bool = False,
) -> Trouble | None:
    """
    Return what the status of an answer says is wrong with it, or None where that is no error.

    Parameters
    ----------
    status
        HTTP status.
    headers
        Its headers; Location and Retry-After are looked at.
    what
        What was asked for, for messages.
    now
        Seconds since 1970, to tell how far away a date in Retry-After is.
    token_hint
        What to do where the service refuses the token.
    said
        What the body says of the error, for messages; an answer of status 200 is an error then, too.
    coded
        Whether the body has the service's own code of the error, which is another one than that the
        token is refused, or that there is no such thing.
    """
    if status == 200 and not said:
        return None
    text, wait = redact(f"{what}: the service answered {status}{said}"), retry_after(headers.get("Retry-After"), now)
    if status in {401, 403} and not coded:
        return Trouble(TokenRejectedError(f"{text}: it refuses the access token", hint=token_hint), "stop")
    if status == 429:
        return Trouble(ThrottledError(f"{text}: too many requests"), "all wait", wait)
    if 300 <= status < 400:
        return Trouble(_redirected(headers.get("Location", ""), what), "stop")
    if status in STATUSES_AGAIN or status >= 500 or status == 200:
        kind = NotFoundError if status == 404 and not coded else ServiceError
        return Trouble(kind(text, hint="try again later"), "again", wait)
    return Trouble(RefusedError(text), "stop")


def retry_after(value: str | None, now: float) -> float | None:
    """
    Return the seconds that a Retry-After header asks for; None where it does not say.

    Parameters
    ----------
    value
        The header: a number of seconds, or a date.
    now
        Seconds since 1970, to tell how far away a date is.
    """
    if not value:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d*)?\s*", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def parsed_json(content: bytes) -> dict[str, Any]:
    """
    Return the JSON object that bytes hold.

    Parameters
    ----------
    content
        Body of an answer.

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
        # The end of such a body is the end of the connection, so empty and lost bodies look the same.
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
    short inside a layer is distinguished from a tile in microseconds. Zero bytes are an empty tile.

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
