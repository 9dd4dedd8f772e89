"""
The bytes of pictures, from the hosts that deliver them: signed addresses, and never a token.

Read with urllib3, since `requests` on top of it costs four times the CPU. One call is one request:
the caller decides what to try again, because an expired address has to be requested again.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests
import urllib3

from mlygeo import config
from mlygeo.errors import NetworkError, ServiceError, ThrottledError
from mlygeo.net import answers, exchange
from mlygeo.net.answers import PENDING, REDIRECTS, Broken, PendingError, redact, redirected
from mlygeo.net.http import MOST_KEPT, Service, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_PICTURE = 128 << 20
"""Bytes; the largest panoramas have some 60 MB."""

LONGEST_URL = 8_000

EXPIRED = frozenset({403, 404, 410})
"""Statuses of an address that no longer leads to a picture, or never did: a new one may."""


class ExpiredError(ServiceError):
    """The address of a picture has expired: request a new one."""


class WaitError(ThrottledError):
    """
    The host wants fewer requests.

    Parameters
    ----------
    message
        Status of the answer.
    seconds
        Seconds that the host asks to wait; None if it does not say.
    """

    def __init__(self, message: str, *, seconds: float | None) -> None:
        super().__init__(message, hint="use fewer `workers`")
        self.seconds = seconds


class Pictures:
    """
    Fetches pictures; threads may share it.

    Nothing but the address goes to the host: no token, no cookie, no name of a user. As many redirects are
    followed as the service allows, each checked as the address itself. Plain http goes to this machine only.

    Parameters
    ----------
    service
        Its timeouts are used, and its token is removed from every address and message.
    connections
        Connections kept open to each host.
    stop
        Ends everything when set, together with `interrupt`.
    longest
        Bytes of a picture.
    clock
        Seconds that only grow.

    Examples
    --------
    >>> with Pictures(service) as pictures:
    ...     content = pictures.get(record["thumb_1024_url"], what="image 498763468214164")
    """

    def __init__(
        self,
        service: Service,
        *,
        connections: int = 16,
        stop: threading.Event | None = None,
        longest: int = LONGEST_PICTURE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service, self._longest, self._clock = service, longest, clock
        self._stop = stop or threading.Event()
        self._connections = connections
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._proxies: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.interrupt()
        for pool in self._pools.values():
            pool.clear()

    def interrupt(self) -> None:
        """Break off all requests that are under way, also those that wait in silence."""
        self._stop.set()
        with self._lock:
            sockets = list(self._sockets)
        for each in sockets:
            # The plain socket, since TLS would first send a close message to a host that may not answer.
            with contextlib.suppress(OSError, ValueError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)

    def get(self, url: str, *, what: str) -> bytes:
        """
        Return the content of an address, complete by its stated length.

        Parameters
        ----------
        url
            The address.
        what
            What is asked for, for messages.

        Raises
        ------
        PendingError
            If the service still works on the picture (102).
        ExpiredError
            If the host does not know the address, or not any more (403, 404, 410).
        WaitError
            If it wants fewer requests (429).
        NetworkError
            If it could not be reached, broke off, fell silent or was too slow.
        ServiceError
            If it answered anything else but a body within the limits, or is not a host to ask.
        StoppedError
            If the work was called off.
        """
        for _ in range(self._service.picture_redirects + 1):
            answer = self._get_once(url, what)
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise ServiceError(f"{what}: the picture is redirected too often", hint="try again later")

    def _get_once(self, url: str, what: str) -> bytes | str:
        """Return the content of an address, or the address that it is redirected to."""
        host = self._checked(url, what)
        service = self._service
        bounds = exchange.Exchange(service.head_timeout, service.total_timeout, clock=self._clock)
        status = 0
        headers: Mapping[str, str] = {}
        body: bytes | Broken
        try:
            with bounds:
                status, headers, body = self._ask(url, bounds)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # ValueError: what reading from a socket that was shut down ends in, and impossible headers.
            if self._stop.is_set():
                raise StoppedError from None
            body = bounds.broken or Broken(redact(_reason(error), service.token))
        if self._stop.is_set() and isinstance(body, Broken):
            raise StoppedError
        if status == 429:
            seconds = answers.retry_after(headers.get("Retry-After"), time.time())
            raise WaitError(f"{what}: {host} answered 429: too many requests", seconds=seconds)
        if status in EXPIRED:
            raise ExpiredError(f"{what}: {host} answered {status}: the address of the picture does not hold")
        if status == PENDING:
            raise PendingError(f"{what}: {host} still works on it", hint="try again later")
        if status in REDIRECTS and self._service.picture_redirects:
            target = redirected(url, headers.get("Location"))
            if target is None:
                raise ServiceError(f"{what}: {host} redirects to no address that is safe to follow")
            return target
        if 300 <= status < 400:
            raise ServiceError(f"{what}: {host} redirects, and pictures are not redirected")
        if isinstance(body, Broken):
            raise NetworkError(f"{what}: {host} {body.reason}", hint=answers.offline_hint(url))
        if status != 200:
            raise ServiceError(f"{what}: {host} answered {status}", hint="try again later")
        return body

    def _checked(self, url: str, what: str) -> str:
        """Return the host of an address, or raise where it must not be asked."""
        try:
            parts = urlsplit(url)
            host, sound = parts.hostname or "", parts.port is None or parts.port > 0
        except ValueError:
            host, sound = "", False
        allowed = parts.scheme == "https" or (parts.scheme == "http" and config.is_loopback(url)) if sound else False
        if not (host and allowed) or len(url) > LONGEST_URL or not url.isprintable() or " " in url:
            raise ServiceError(f"{what}: the service gave an address that is none of a picture")
        if config.is_loopback(url) and not self._service.is_local:
            raise ServiceError(f"{what}: the service gave an address on this very machine")
        if parts.username is not None or redact(url, self._service.token) != url:
            raise ServiceError(f"{what}: the service gave an address with a secret in it, which is not sent")
        return host

    def _ask(self, url: str, bounds: exchange.Exchange) -> tuple[int, Mapping[str, str], bytes | Broken]:
        service = self._service
        response = self._pool(url).request(
            "GET",
            url,
            headers={"User-Agent": "mlygeo", "Accept": "image/*", "Accept-Encoding": "identity"},
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=service.connect_timeout, read=service.read_timeout),
        )
        body: bytes | Broken = Broken("was interrupted")
        try:
            body = b""
            if response.status == 200:
                body = bounds.read(response, longest=self._longest, stopped=self._stop.is_set)
            return response.status, response.headers, body
        finally:
            # A connection whose answer was not read completely cannot be reused.
            if isinstance(body, bytes) and response.status == 200:
                response.release_conn()
            else:
                response.close()

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        with self._lock:
            key = (parts.scheme, parts.netloc)
            if key not in self._proxies:
                self._proxies[key] = "" if config.is_loopback(url) else _proxy(url)
            proxy = self._proxies[key]
            if proxy not in self._pools:
                self._pools[proxy] = self._made(proxy)
            return self._pools[proxy]

    def _made(self, proxy: str) -> urllib3.PoolManager:
        certificates = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        options: dict[str, Any] = {
            "num_pools": 16,
            "maxsize": min(self._connections, MOST_KEPT),
            "ca_certs": certificates or requests.utils.DEFAULT_CA_BUNDLE_PATH,
        }
        if proxy:
            user, password = requests.utils.get_auth_from_url(proxy)
            headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
            pool: urllib3.PoolManager = urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
        else:
            pool = urllib3.PoolManager(**options)
        exchange.bounded(pool, connected=self._note_socket)
        return pool

    def _note_socket(self, sock: Any) -> None:
        """Note the socket of a connection, so that it can be shut down."""
        with self._lock:
            self._sockets.add(sock)


def _proxy(url: str) -> str:
    """Return the proxy that the environment names for an address; "" for none."""
    proxies = requests.utils.get_environ_proxies(url, no_proxy=None)
    return requests.utils.select_proxy(url, proxies) or ""


def _reason(error: BaseException) -> str:
    """Return what went wrong with a connection, without the library's names and addresses."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # refused, or no such host
        return "could not be reached"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return "could not be reached: no connection in time"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return "fell silent"
    if isinstance(error, urllib3.exceptions.ProxyError):
        return "could not be reached: its proxy does not answer as one"
    if isinstance(error, urllib3.exceptions.ProxySchemeUnknown | urllib3.exceptions.ProxySchemeUnsupported):
        return "could not be reached: the proxy that the environment names is none"
    if isinstance(error, urllib3.exceptions.SSLError):
        return "could not be reached: its certificate is not to be trusted"
    odd = [part for part in error.args if isinstance(part, http.client.HTTPException)]
    if odd and not isinstance(odd[0], ConnectionError | http.client.IncompleteRead):
        return "answered something that is not HTTP"
    if isinstance(error, urllib3.exceptions.ProtocolError | ConnectionError):
        return "broke off its answer, or gave none"
    if isinstance(error, OSError):
        return "could not be reached"
    return f"could not be understood ({type(error).__name__})"
