"""
The single entry to HTTP: every request to a service goes through a `Client`.

It keeps the pace, tries again what may pass, stops at what will not, as the service judges its own
answers, and lets no token into a message or a log. The `Service` itself is a value that is passed
on: with which token, and how patiently, it is asked.
"""

from __future__ import annotations

import http.client
import http.cookiejar
import logging
import math
import random
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from mlygeo import config
from mlygeo.arrays import interpreting
from mlygeo.errors import (
    CredentialsError,
    FileError,
    FormatError,
    NetworkError,
    ServiceError,
    ThrottledError,
    TokenRejectedError,
)
from mlygeo.net import answers, exchange
from mlygeo.net.answers import REDIRECTS, Broken, Piece, RefusedError, Trouble, range_of, redact, redirected, tried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


__all__ = ["Client", "Retry", "Service", "StoppedError"]

log = logging.getLogger("mlygeo.service")

MOST_KEPT = 1024
"""Connections kept open for further requests. urllib3 makes room for all of them in advance; others are closed."""

LONGEST_ERROR = 1 << 20
"""Bytes of an answer that is an error."""

EMPTY = frozenset({204, 304})
"""Statuses of answers that never have a body, as those below 200 have none."""

Answer = TypeVar("Answer")


class _RedactingFilter(logging.Filter):
    """Takes tokens out of what the HTTP library logs: at DEBUG it logs whole URLs."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_RedactingFilter())


class StoppedError(Exception):
    """The work was called off while this request waited or ran."""


class Client:
    """
    Makes requests, from several threads at once.

    Parameters
    ----------
    service
        Where to, and how.
    connections
        Connections kept open.
    admit
        Called before every request, repeated ones too; returns the seconds to wait first, and
        raises where no further request may go out.
    stop
        Ends every wait at once when set, with `StoppedError`; an answer that is coming in may
        still come, until the client is closed.
    clock, wall_clock
        Seconds that only grow; seconds since 1970.
    sleep
        Waits so many seconds.

    Examples
    --------
    >>> with Client(service) as client:
    ...     body = client.get(url, what="tile 14/8608/5641", query={"access_token": token})
    """

    def __init__(
        self,
        service: Service,
        *,
        connections: int = 4,
        admit: Callable[[], float] | None = None,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._service = service
        self._admit = admit
        self._stop, self._closed = stop or threading.Event(), threading.Event()
        self._clock, self._wall_clock, self._sleep = clock, wall_clock, sleep or self._stop.wait
        self._hold_until = clock()
        self._lock = threading.Lock()
        self._session = _Session()
        # Cookies of an answer would be kept for ever, and sent with every further request.
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        kept = min(connections, MOST_KEPT)
        adapter = exchange.Adapter(pool_connections=kept, pool_maxsize=kept, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # Gzip alone, since its end can be checked: a body cut short inside is not taken for whole.
        self._session.headers.update({"User-Agent": "mlygeo", "Accept-Encoding": "gzip"})
        # Without this, requests would send passwords of a .netrc file.
        self._session.auth = lambda request: request

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._session.close()

    def get(
        self,
        url: str,
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        check: Callable[[bytes], object] | None = None,
        admit: Callable[[], float] | None = None,
        token_in_header: bool = False,
        longest_body: int | None = None,
    ) -> bytes:
        """
        Return the body of an answer, decompressed and whole.

        Redirects are never followed: the service has none, and the one that occurs leads to a
        login page.

        Parameters
        ----------
        url
            Where to ask.
        what
            What is asked for, for messages.
        query
            Parameters of the query.
        check
            Called with the body; raises FormatError if it is not the requested content, and then
            the request is tried again.
        admit
            As for the client, for this request instead of the client's.
        token_in_header
            Send the service's token in the header `Authorization`. It goes to the service's
            own addresses alone.
        longest_body
            Bytes of the answer; the service's limit unless given.

        Raises
        ------
        CredentialsError
            If the token shall go into the header and there is none.
        ValueError
            If it would go to another host; nothing is sent.
        TokenRejectedError
            If the service refuses the token.
        ThrottledError
            If it sends this address to a login page, asks for a longer wait than the patience, or
            answers "too many requests" at every try.
        NetworkError
            If it could not be reached, in all tries.
        TooMuchDataError
            If it asks for a smaller question.
        ServiceError
            If it answered with another error, in all tries where repeating may help.
        StoppedError
            If the work was called off.
        """
        headers = self._authorization(url) if token_in_header else {}
        longest = min(longest_body or self._service.longest_body, self._service.longest_body)
        return self._persist(
            lambda: self._get_once(url, what=what, query=query, check=check, headers=headers, longest=longest),
            what=what,
            admit=admit or self._admit,
        )

    def get_part(self, url: str, wanted: str, *, what: str, tag: str | None = None) -> Piece:
        """
        Return a part of a file; redirects are followed as for pictures, to https and without a token.

        Parameters
        ----------
        url
            Address of the file.
        wanted
            The part, as the header `Range` has it.
        what
            What is asked for, for messages.
        tag
            The tag of the file that is meant (`ETag`), where another one must not be sent instead.

        Raises
        ------
        ReplacedError
            If the file has another tag by now.
        ServiceError
            As `get` raises them; also if the server sends no parts of files.
        """
        return self._persist(lambda: self._get_part_once(url, wanted, what, tag), what=what, admit=self._admit)

    def _get_part_once(self, url: str, wanted: str, what: str, tag: str | None) -> Piece | Trouble:
        headers = {"Range": wanted, "Accept-Encoding": "identity"}
        if tag is not None:
            headers["If-Match"] = tag
        for _ in range(self._service.picture_redirects + 1):
            longest = self._service.longest_body
            # A whole file that was not asked for, of gigabytes maybe, is not read.
            came = self._ask("GET", url, what=what, headers=headers, longest=longest, unread=frozenset({200}))
            if isinstance(came, Trouble):
                return came
            status, sent, body = came
            if status in REDIRECTS and (target := redirected(url, sent.get("Location"))) is not None:
                url = target
                continue
            if status == 206:
                try:
                    start, size = range_of(sent.get("Content-Range"), len(body))
                except FormatError as error:
                    return Trouble(ServiceError(f"{what}: {error}", hint="try again later"), "again")
                return Piece(start, body, size, sent.get("ETag") or sent.get("Last-Modified"))
            if status == 412 or (status == 416 and tag is not None):
                return Trouble(answers.ReplacedError(f"{what} was replaced"), "stop")
            if status == 200:
                whole = ServiceError(f"{what}: the server sends no parts of files", hint="download the whole file")
                return Trouble(whole, "stop")
            trouble = self._service.judge(status, sent, body, what=what, now=self._wall_clock())
            return _of_no_token(trouble) or Trouble(ServiceError(f"{what}: the server answered {status}"), "stop")
        return Trouble(ServiceError(f"{what}: it is redirected too often"), "stop")

    def _persist(
        self,
        once: Callable[[], Answer | Trouble],
        *,
        what: str,
        admit: Callable[[], float] | None = None,
        grew: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Try until success or a final error; a try that got further than those before resets the count."""
        retry = self._service.retry
        tries = held = 0
        while True:
            self._wait_for_turn(admit)
            answer = once()
            if not isinstance(answer, Trouble):
                return answer
            if answer.then == "stop":
                raise answer.error
            if (answer.wait or 0) > retry.patience:
                raise ThrottledError(
                    f"{what}: the service asks to wait {answer.wait:,.0f} s", hint="run the same command again then"
                )
            tries, held = (0, 0) if grew() else (tries, held)
            if answer.then == "all wait":
                held += 1
                if held >= retry.attempts:
                    raise ThrottledError(
                        f"{answer.error}, {held} times",
                        hint="wait an hour; the same command then goes on where this one stopped",
                    )
                self._hold(retry.hold_after(held, asked=answer.wait), answer.error)
                continue
            tries += 1
            if tries >= retry.attempts:
                raise type(answer.error)(tried(answer.error, tries), hint=answer.error.hint)
            if answer.then == "at once":
                continue
            wait = retry.wait_after(tries, asked=answer.wait)
            log.debug("%s; again in %.1f s", answer.error, wait)
            self._pause(wait)

    def _authorization(self, url: str) -> dict[str, str]:
        """Return the header with the token, for the endpoints that take it there and no other host."""
        if not self._service.token:
            raise CredentialsError("no access token", hint=self._service.token_hint)
        if _origin(url) not in {_origin(address) for address in self._service.addresses}:
            raise ValueError(f"the access token does not go to {urlsplit(url).hostname}")
        return {"Authorization": f"{self._service.token_scheme} {self._service.token}"}

    def _wait_for_turn(self, admit: Callable[[], float] | None) -> None:
        if admit is not None and (wait := admit()) > 0:
            self._pause(wait)
        while True:
            with self._lock:
                wait = self._hold_until - self._clock()
            if wait <= 0:
                break
            self._pause(wait)
        if self._stop.is_set():
            raise StoppedError

    def _hold(self, seconds: float, error: ServiceError) -> None:
        log.warning("%s; all requests wait %.0f s", error, seconds)
        with self._lock:
            self._hold_until = max(self._hold_until, self._clock() + seconds)

    def _pause(self, seconds: float) -> None:
        self._sleep(seconds)
        if self._stop.is_set():
            raise StoppedError

    def _get_once(
        self,
        url: str,
        *,
        what: str,
        query: Mapping[str, str] | None,
        check: Callable[[bytes], object] | None,
        headers: Mapping[str, str],
        longest: int,
    ) -> bytes | Trouble:
        with exchange.keeping():
            came = self._ask("GET", url, what=what, query=query, headers=headers, longest=longest)
            if isinstance(came, Trouble):
                return came
            status, sent, body = came
            trouble = self._service.judge(status, sent, body, what=what, now=self._wall_clock())
            if trouble is None and check is not None:
                try:
                    with interpreting(len(body)):
                        check(body)
                except FormatError as error:
                    trouble = Trouble(ServiceError(f"{what}: {error}", hint="try again later"), "again")
            elif not self._service.token:
                trouble = _of_no_token(trouble)
        return body if trouble is None else self._without_token(trouble)

    def _ask(
        self,
        method: Literal["GET", "POST"],
        url: str,
        *,
        what: str,
        headers: Mapping[str, str],
        longest: int,
        query: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        timeout: tuple[float, float] | None = None,
        sending_s: float = 0.0,
        unread: frozenset[int] = frozenset(),
    ) -> tuple[int, Mapping[str, str], bytes] | Trouble:
        """
        Make one request; return status, headers and body of a whole answer.

        No network error is raised from within the `except`: the causes contain the token.

        Parameters
        ----------
        method, url, query, body, headers
            The request.
        what
            What it is about, for messages.
        longest
            Bytes of the answer; that of an error has `LONGEST_ERROR` at most.
        timeout
            Seconds for a connection, and between two pieces; the service's unless given.
        sending_s
            Seconds that the request itself may take, beyond those of its answer.
        unread
            Statuses of answers whose body is not read.
        """
        service = self._service
        head_s = service.head_timeout if body is None else math.inf
        bounds = exchange.Exchange(head_s, service.total_timeout + sending_s, clock=self._clock)
        try:
            with (
                bounds,
                self._session.request(
                    method,
                    url,
                    params=query,
                    data=body,
                    headers=headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=timeout or (service.connect_timeout, service.read_timeout),
                    proxies={"http": "", "https": ""} if config.is_loopback(url) else None,
                ) as response,
            ):
                status, sent = response.status_code, response.headers
                most = longest if status in {200, 206} else min(longest, LONGEST_ERROR)
                content: bytes | Broken = b""
                if status >= 200 and status not in EMPTY | unread:
                    content = bounds.read(response.raw, longest=most, stopped=self._closed.is_set)
        except FileError:  # of the uploaded file
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # ValueError: what impossible heads end in, and reading from a connection that was closed.
            content = bounds.broken or Broken(redact(_reason(error), service.token))
        if isinstance(content, Broken):
            if self._closed.is_set():
                raise StoppedError
            message = f"{what}: {urlsplit(url).netloc} {content.reason}"
            return Trouble(NetworkError(message, hint=answers.offline_hint(url)), "again")
        return status, sent, content

    def _without_token(self, trouble: Trouble) -> Trouble:
        """Take out a token that the answer repeats: `redact` alone knows only the usual forms."""
        error = trouble.error
        message = redact(str(error), self._service.token)
        return trouble if message == str(error) else replace(trouble, error=type(error)(message, hint=error.hint))


def _of_no_token(trouble: Trouble | None) -> Trouble | None:
    """Return what is wrong with an answer to a request without a token, which cannot be that it is refused."""
    if trouble is None or not isinstance(trouble.error, TokenRejectedError):
        return trouble
    return Trouble(RefusedError(str(trouble.error).removesuffix(answers.TOKEN_REFUSED)), "stop")


def _origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL: what a secret may be shared with."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Report no redirect: requests would parse even one that is not followed, and read its body without limit."""


def _reason(error: BaseException) -> str:
    """Return what went wrong with a connection, without the library's names and URLs."""
    if isinstance(error, requests.ConnectTimeout | urllib3.exceptions.ConnectTimeoutError):
        return "could not be reached: no connection in time"
    if isinstance(error, requests.ReadTimeout | urllib3.exceptions.ReadTimeoutError):
        return "fell silent"
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, urllib3.exceptions.IncompleteRead | http.client.IncompleteRead):
            return "broke off in the middle of its answer"
        if isinstance(seen, urllib3.exceptions.ReadTimeoutError):
            return "fell silent"
        if isinstance(seen, http.client.RemoteDisconnected):
            return "closed the connection without an answer"
        if isinstance(seen, http.client.HTTPException):
            return "answered something that is not HTTP"
        if isinstance(seen, OSError) and seen.strerror:
            return f"could not be reached: {seen.strerror}"
        inner = [part for part in (getattr(seen, "reason", None), *seen.args) if isinstance(part, BaseException)]
        seen = inner[0] if inner else seen.__cause__ or seen.__context__
    return f"could not be reached ({type(error).__name__})"


@dataclass(frozen=True)
class Retry:
    """
    How often and how patiently a request is tried again.

    Parameters
    ----------
    attempts
        Tries in all.
    first_wait
        Longest wait before the second try, seconds; it doubles with each further try, and the
        wait itself is drawn evenly from zero to it ("full jitter", so that workers do not come
        back all at once).
    longest_wait
        Where the doubling ends, seconds.
    rate_wait
        Wait of all workers after the service said "too many requests" and not for how long, seconds.
    patience
        Longest wait that the service may ask for, seconds; beyond it the run stops.
    """

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    rate_wait: float = 60.0
    patience: float = 900.0

    def wait_after(self, tries: int, *, asked: float | None = None) -> float:
        """
        Return how long to wait after so many tries that failed, seconds.

        Parameters
        ----------
        tries
            How many there were, at least one.
        asked
            Seconds that the service asks to wait, which the wait is not shorter than.
        """
        # Doubling past 2**30 would leave every limit behind and end in an overflow.
        most = min(self.longest_wait, self.first_wait * 2 ** min(tries - 1, 30))
        return max(asked or 0.0, random.uniform(0, most))  # noqa: S311 - no secret hangs on it

    def hold_after(self, times: int, *, asked: float | None = None) -> float:
        """
        Return how long all requests wait after "too many requests", seconds.

        Parameters
        ----------
        times
            How often it was said in a row, at least once. What the service asks for is enough the first time;
            where it says so again, the wait doubles, up to `rate_wait`.
        asked
            Seconds that the service asks to wait; None where it does not say, which means `rate_wait`.
        """
        if asked is None:
            return self.rate_wait
        return max(asked, min(self.rate_wait, self.first_wait * 2.0 ** min(times - 1, 30)))


@dataclass(frozen=True, kw_only=True)
class Service:
    """
    The service of a provider, and how to treat it; a value that is passed on.

    A provider has a kind of its own, which adds where it answers and how fast it may be asked.

    Parameters
    ----------
    token
        The access token; never shown.
    retry
        How failed requests are tried again.
    connect_timeout, read_timeout, total_timeout
        Seconds for a connection, between two pieces of an answer, and for all of an exchange: from
        the connection to the last byte. The head of an answer has the first two and a minute.
    longest_body
        Bytes of an answer, before and after decompression. Tiles of a million images are real,
        and have tens of megabytes; every kind of answer may have a lower limit.
    """

    provider: ClassVar[str]
    """Name of the service's provider, as in `mlygeo.providers.PROVIDERS`."""

    token_hint: ClassVar[str]
    """Hint if there is no access token, or it is refused."""

    token_scheme: ClassVar[str] = "Bearer"  # noqa: S105 - a word before it
    """The word before the token in the header `Authorization`."""

    picture_redirects: ClassVar[int] = 0
    """Redirects of a picture that are followed, to https and without a token; see `mlygeo.net.pictures`."""

    token: str | None = field(default=None, repr=False)
    retry: Retry = field(default_factory=Retry)
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    total_timeout: float = 600.0
    longest_body: int = 64 << 20

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the service; the header with the token is sent only to these hosts."""
        return ()

    @property
    def head_timeout(self) -> float:
        """Seconds until the head of an answer has to be there."""
        return self.connect_timeout + self.read_timeout + exchange.GRACE_S

    @property
    def is_local(self) -> bool:
        """Whether it is this very machine: then pictures may be, too."""
        return any(config.is_loopback(address) for address in self.addresses)

    def judge(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes,  # noqa: ARG002 - for those whose errors stand there
        *,
        what: str,
        now: float,
    ) -> Trouble | None:
        """
        Return the error of an answer, or None if it is not an error.

        Parameters
        ----------
        status
            HTTP status.
        headers
            Its headers.
        body
            Its body, decompressed; it is read if the provider reports errors there.
        what
            The subject of the request, for messages.
        now
            Seconds since 1970.
        """
        return answers.judge(status, headers, what=what, now=now, token_hint=self.token_hint)
