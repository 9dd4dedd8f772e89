"""
What an answer of a service means: whole or broken, an error to try again or to stop at.

Pure: bytes and headers in, a verdict out. What the bodies of errors say is known to the provider
whose service it is; here an answer is judged by its HTTP status.
"""

from __future__ import annotations

import json
import logging
import math
import re
import zlib
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from mlygeo import config
from mlygeo.errors import FormatError, InputError, NetworkError, ServiceError, ThrottledError, TokenRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger("mlygeo.service")

REDIRECTS = frozenset({301, 302, 303, 307, 308})

STATUSES_AGAIN = frozenset({404, 408, 425})
"""Statuses without a code that pass: a tile answers 404 for a while, and is there the next day."""

LONGEST_WAIT_S = 7 * 86_400.0
"""Seconds; a service that asks to wait longer, or for a date further away, has not said anything that makes sense."""

MOST_VALUES = 1_000_000
"""
Commas, colons and opening brackets of a JSON text. The largest real ones, 2,000 images with all fields, have some
100,000; each may take a hundred bytes of memory once it is read.
"""

DEEPEST = 32
"""Levels of lists and objects inside each other; real answers have six."""

LONGEST_TEXT = 1 << 16
"""Characters of one text in an answer; the longest real ones are addresses of pictures, of some 600."""

MOST_MEMBERS = 1_000
"""Parts of a gzip body, each of which is a stream of its own; real ones have one."""

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""
Letters that no name has: control characters, which act on terminals; what turns the direction of the text around it;
halves of letters, which no file and no database takes.
"""

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)

_STEP, _JOINED = 1 << 20, 4_096

TOKEN_REFUSED = ": it refuses the access token"  # noqa: S105 - words
"""The end of messages of answers that say so by their status alone."""

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


class UnknownUserError(InputError):
    """The service has no user of the name that is asked for."""


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


class ReplacedError(ServiceError):
    """There is another file at the address than the one that is meant (412)."""


class PendingError(ServiceError):
    """The service still works on it (102): it will be there later."""


PENDING = 102
"""Status of what a service still works on; it is the last one, no other follows."""


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


def redirected(url: str, location: str | None) -> str | None:
    """
    Return where a redirect leads to; None where it leads nowhere, back, or from an encrypted address to a plain one.

    Parameters
    ----------
    url
        The address that was asked.
    location
        What the server says.
    """
    try:
        target = urljoin(url, location or "")
        one, other = urlsplit(url), urlsplit(target)
        plain = other.scheme == "http" and (one.scheme != "http" or one.hostname != other.hostname)
        sound = other.scheme in {"http", "https"} and bool(other.hostname) and other.username is None
    except ValueError:
        return None
    if not location or plain or not sound or one._replace(fragment="") == other._replace(fragment=""):
        return None
    return target


class Piece(NamedTuple):
    """A part of a file: where it starts, its content, and what the server says of the whole file."""

    start: int
    content: bytes
    size: int
    tag: str | None


def range_of(stated: str | None, length: int) -> tuple[int, int]:
    """
    Return where a part starts and the size of the file, from the header `Content-Range`.

    Raises
    ------
    FormatError
        If the header does not fit the bytes that came.
    """
    found = _RANGE.fullmatch((stated or "").strip())
    if found is None:
        raise FormatError("the server sent a part and does not say which")
    start, last, size = (int(each) for each in found.groups())
    if last - start + 1 != length or last >= size:
        raise FormatError("the server sent another part than it says")
    return start, size


def offline_hint(url: str) -> str:
    """
    Return what to do where a server cannot be reached.

    Parameters
    ----------
    url
        Address that was asked.
    """
    if config.is_loopback(url):
        return (
            f"{urlsplit(url).netloc} is an address of this computer: check that its server runs ('mlygeo standin'"
            " starts one), or leave out the endpoint that names it, in the options or the environment"
        )
    return "check the network connection"


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


def clean(text: str) -> str:
    r"""
    Return a text of a service without letters that would do harm in a terminal, a file or a database.

    White space becomes a space, other letters of that kind U+FFFD; zeros at the end, which cameras pad with, go.

    Parameters
    ----------
    text
        As it came.

    Examples
    --------
    >>> clean("Canon\0\0"), clean("a\tb\x1b[31m")
    ('Canon', 'a b\ufffd[31m')
    """
    if text.isprintable():
        return text
    return _UNFIT.sub(lambda match: " " if match[0].isspace() else "\ufffd", text.rstrip("\0"))


def shown(value: Any) -> str:
    """Return a value of an answer for a message, cut off where it is long."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 1 << 200 else "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."


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
    Return what the status of an answer says is wrong with it, or None where that is not an error.

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
        return Trouble(TokenRejectedError(f"{text}{TOKEN_REFUSED}", hint=token_hint), "stop")
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
    Return the seconds that a Retry-After header asks for; None where it does not say, or nothing that makes sense.

    Parameters
    ----------
    value
        The header: a number of seconds, or a date.
    now
        Seconds since 1970, to tell how far away a date is.
    """
    if not value:
        return None
    if re.fullmatch(r"\s*[0-9]{1,9}(\.[0-9]*)?\s*", value):
        return sensible_wait(float(value))
    try:
        return sensible_wait(max(0.0, parsedate_to_datetime(value).timestamp() - now))
    except (ValueError, OverflowError, OSError, TypeError, IndexError):
        log.warning("the service asks to wait %r, which makes no sense and does not count", clean(value)[:60])
        return None


def sensible_wait(seconds: float) -> float | None:
    """Return the seconds that a service asks to wait; None where they make no sense, and with a word about it."""
    if 0 <= seconds <= LONGEST_WAIT_S:
        return seconds
    log.warning("the service asks to wait %.4g s, which makes no sense and does not count", seconds)
    return None


def parsed_json(content: bytes) -> dict[str, Any]:
    """
    Return the JSON object that bytes hold, with texts and numbers that can be used anywhere.

    Texts are cleaned (see `clean`). A number that is not finite, a text that is longer than any real one, what is
    nested too deeply, and a name that an object has twice with two values are null: unknown.

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
    if sum(map(content.count, (b",", b":", b"[", b"{"))) > MOST_VALUES:
        raise FormatError(f"the JSON that came has more than {MOST_VALUES:,} values")
    try:
        value = json.loads(content.decode("utf-8-sig", errors="replace"), object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise FormatError("the response is not JSON, or was cut short" if content else "nothing came") from None
    if not isinstance(value, dict):
        raise FormatError("the JSON that came is not an object")
    cleaned: dict[str, Any] = _usable(value, 0)
    return cleaned


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; of a name that it has with several values, none counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        for name, value in pairs:
            if name in found and found[name] is not value and found[name] != value:
                log.warning("an answer says two things of %r, so it counts as unknown", clean(name)[:60])
                found[name] = None
    return found


def _usable(value: Any, depth: int) -> Any:
    """Return a value of a JSON text without what cannot be used; see `parsed_json`."""
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            log.warning("an answer has a text of %s characters, which counts as unknown", f"{len(value):,}")
            return None
        return value if value.isprintable() else clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list):
        if depth >= DEEPEST:
            log.warning("an answer is nested in more than %d levels; what lies deeper counts as unknown", DEEPEST)
            return None
        if isinstance(value, list):
            return [_usable(each, depth + 1) for each in value]
        return {name if name.isprintable() else clean(name): _usable(each, depth + 1) for name, each in value.items()}
    return value


class Body:
    """
    The body of an answer as it comes in: decompressed at once, and never more than is allowed.

    The libraries' own decompression takes a stream for whole that was cut short; this does not. Only
    gzip is understood, since only that is asked for; it is recognised by its first bytes too, where no
    header names it. Parts of files stay as they are, which may begin with anything.

    Parameters
    ----------
    headers
        Content-Length, Content-Encoding, Transfer-Encoding and Content-Range are looked at.
    longest
        Bytes, as they come and decompressed; a longer body is broken.
    reserve
        Called with the bytes that the body is about to have; returns why it may not have them.
    """

    def __init__(
        self, headers: Mapping[str, str], longest: int, *, reserve: Callable[[int], Broken | None] = lambda _: None
    ) -> None:
        self.size = 0
        """Bytes that came."""
        self.broken: Broken | None = None
        """Why it is not whole, once that is known."""
        self._longest, self._reserve = longest, reserve
        self._content: list[bytes] = []
        self._written = 0
        self._start = b""
        self._is_gzip: bool | None = None
        self._inflater: Any = None
        self._members = 0
        self._read_headers(headers)

    def _read_headers(self, headers: Mapping[str, str]) -> None:
        frames = headers.get("Transfer-Encoding", "").strip().lower()
        encoding = headers.get("Content-Encoding", "identity").strip().lower()
        stated = {each.strip() for each in headers.get("Content-Length", "").split(",")} - {""}
        self._is_framed, self._stated = frames == "chunked", None
        if encoding in {"gzip", "x-gzip"}:
            self._is_gzip = True
        elif encoding not in {"", "identity"}:
            self.broken = Broken(f"answered in the encoding {clean(encoding[:20])!r}")
        elif headers.get("Content-Range") is not None:
            self._is_gzip = False
        if frames not in {"", "identity", "chunked"}:
            self.broken = Broken(f"answered in the transfer encoding {clean(frames[:20])!r}")
        if len(stated) > 1 or not all(re.fullmatch("[0-9]{1,18}", each) for each in stated):
            self.broken = Broken("stated an impossible length of its answer")
        elif stated:
            self._stated = int(stated.pop())
            if self._stated > self._longest:
                self.broken = Broken(
                    f"announced {self._stated:,} bytes, and more than {self._longest:,} bytes are too many"
                )

    def feed(self, piece: bytes) -> None:
        """Take in what came."""
        self.size += len(piece)
        if self.size > self._longest:
            self.broken = Broken(f"sent more than {self._longest:,} bytes")
        if self.broken is not None:
            return
        if self._is_gzip is None or self._start:
            piece, self._start = self._start + piece, b""
            if self._is_gzip is None and len(piece) < 2:
                self._start = piece
                return
            self._is_gzip = self._is_gzip or piece.startswith(b"\x1f\x8b")
        if self._is_gzip:
            self._inflate(piece)
        else:
            self._write(piece)

    def finish(self) -> bytes | Broken:
        """Return the whole body, or why it is not."""
        if self.broken is not None:
            return self.broken
        if self._stated not in {None, self.size}:
            return Broken(f"sent {self.size:,} of {self._stated:,} bytes")
        if not self.size and self._stated is None and not self._is_framed:
            # The end of such a body is the end of the connection, so empty and lost bodies look the same.
            return Broken("closed the connection without an answer")
        if self._inflater is not None:
            return Broken("sent an answer that was cut short (gzip)")
        content, self._content = b"".join(self._content), []
        return content or self._start

    def _inflate(self, data: bytes) -> None:
        while data and self.broken is None:
            if self._inflater is None:
                self._members += 1
                if self._members > MOST_MEMBERS:
                    self.broken = Broken(f"sent an answer in more than {MOST_MEMBERS:,} parts (gzip)")
                    return
                self._inflater = zlib.decompressobj(wbits=31)
            try:
                piece = self._inflater.decompress(data, _STEP)
                self._write(piece)
                while len(piece) == _STEP and self.broken is None:
                    piece = self._inflater.decompress(self._inflater.unconsumed_tail, _STEP)
                    self._write(piece)
            except zlib.error:
                self.broken = Broken("sent a damaged answer (gzip)")
                return
            if not self._inflater.eof:
                return
            data, self._inflater = self._inflater.unused_data, None

    def _write(self, piece: bytes) -> None:
        self._written += len(piece)
        if self._written > self._longest:
            self.broken = Broken(f"sent more than {self._longest:,} bytes")
        else:
            self.broken = self._reserve(self._written)
        if self.broken is None and self._content and len(self._content[-1]) + len(piece) < _JOINED:
            self._content[-1] += piece  # a list of tiny pieces would take many times their memory
        elif self.broken is None:
            self._content.append(piece)
        else:
            self._content = []


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
            raise FormatError("the response is not a vector tile")
        if field == 0 or (field == 3 and wire_type != 2):
            raise FormatError("the response is not a vector tile")
    if position > end:
        raise FormatError("the vector tile was cut short")


def _redirected(location: str, what: str) -> ServiceError:
    try:
        target = urlsplit(location)
        shown = clean(f"{target.netloc.rsplit('@', 1)[-1]}{target.path}"[:120]) or "nowhere"
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
    raise FormatError("the response is not a vector tile")
