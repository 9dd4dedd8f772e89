"""
Bounds on one exchange with a server: a deadline for the whole of it, limits of size, room in memory.

`requests` and `urllib3` bound the wait for each piece of an answer, so a server that sends a byte now and then, or
for ever what is not a part of a body (100 Continue, trailers, chunks of one byte), holds them as long as it likes. Here
the socket itself is read: each wait ends with the exchange, and what is not body has a limit of its own.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import requests
import urllib3
from urllib3.util import connection

from mlygeo.net.answers import Body, Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

OVERHEAD = 1 << 20
"""
Bytes on the wire that are not body: the head, trailers, the frames of chunks. Large heads have some
kilobytes; beyond this, a body may have as much again in frames as it has bytes.
"""

PIECE = 1 << 18

SLOWEST, GRACE_S = 1_000, 60.0
"""Bytes a second on average below which an answer is given up, after so many seconds."""

MOST_ADDRESSES = 8
"""Addresses of a host that are tried for one connection."""

SMALL = 2 << 20
"""Bytes that every body may have at once, beside the room that all larger ones share."""

ROOM = 64 << 20
"""Bytes that all larger bodies may have at once; one of them may exceed it."""

here = threading.local()
"""The exchange of the thread, which its connections ask for the time that is left."""


class OverdueError(TimeoutError):
    """The time of the exchange is over."""


class OverheadError(OSError):
    """The server sends too much that is not a body."""


class Exchange:
    """
    A request and its answer, in this thread; a context manager.

    Connections of `bounded` ask it how long they may wait. Finding a host's address is left to
    the system's resolver, which has limits of its own.

    Parameters
    ----------
    head_s
        Seconds until the head of the answer is there.
    whole_s
        Seconds for all of it.
    clock
        Seconds that only grow.

    Examples
    --------
    >>> with Exchange(120, 600) as exchange:
    ...     response = pool.request("GET", url, preload_content=False)
    ...     body = exchange.read(response, longest=64 << 20)
    """

    def __init__(self, head_s: float, whole_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._whole_s = whole_s
        self._seconds = min(head_s, whole_s)
        self._on_wire, self._allowed = 0, OVERHEAD
        self._is_large = False
        self.broken: Broken | None = None
        """What ended it, where that was one of its bounds."""

    def __enter__(self) -> Self:
        here.exchange = self
        return self

    def __exit__(self, *_: object) -> None:
        here.exchange = None
        kept: list[Exchange] | None = getattr(here, "kept", None)
        if self._is_large and kept is not None:
            kept.append(self)
        elif self._is_large:
            _room.release(self)

    def left(self, most: float | None) -> float:
        """
        Return how long the next operation of the socket may take, seconds.

        Parameters
        ----------
        most
            Its own time limit.

        Raises
        ------
        OverdueError
            If there is no time left.
        """
        seconds = self._started + self._seconds - self._clock()
        if seconds <= 0:
            self.broken = Broken(f"took more than {self._seconds:g} s for its answer")
            raise OverdueError(self.broken.reason)
        return seconds if most is None else min(most, seconds)

    def note(self, count: int) -> None:
        """Count bytes that came, and raise OverheadError where too many of them are no body."""
        self._on_wire += count
        if self._on_wire > self._allowed:
            self.broken = Broken(f"sent more than {OVERHEAD:,} bytes around the content of its answer")
            raise OverheadError(self.broken.reason)

    def read(
        self,
        response: urllib3.BaseHTTPResponse,
        *,
        longest: int,
        stopped: Callable[[], bool] = lambda: False,
    ) -> bytes | Broken:
        """
        Return the body of an answer, decompressed and whole, or why it is not.

        Parameters
        ----------
        response
            The answer, of which the head was read.
        longest
            Bytes of the body, as it comes and decompressed.
        stopped
            Whether the work was called off.
        """
        self._seconds = self._whole_s
        began = self._clock()
        body = Body(response.headers, longest, reserve=self._reserve)
        while body.broken is None and (piece := response.read1(PIECE, decode_content=False)):
            body.feed(piece)
            self._allowed = OVERHEAD + 2 * body.size
            passed = self._clock() - began
            if passed > self._whole_s:
                return Broken(f"took more than {self._whole_s:g} s for its answer")
            if passed > GRACE_S and body.size < SLOWEST * passed:
                return Broken(f"sent {body.size:,} bytes in {passed:,.0f} s, which is too slow")
            if stopped():
                return Broken("was interrupted")
        return body.finish()

    def _reserve(self, size: int) -> Broken | None:
        if size <= SMALL:
            return None
        self._is_large = True
        if _room.grow(self, size, deadline=self._started + self._seconds, clock=self._clock):
            return None
        return Broken("sent a large answer, and others took all the room for such")


class Room:
    """
    The memory that large bodies share; thread-safe.

    Parameters
    ----------
    size
        Bytes.

    Examples
    --------
    >>> room = Room(100)
    >>> room.grow("a body", 80, deadline=0.0), room.grow("another", 80, deadline=0.0)
    (True, True)
    >>> room.grow("a third", 80, deadline=0.0)
    False
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: dict[Hashable, int] = {}
        self._exceeding: Hashable | None = None
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        """Bytes in use."""
        with self._changed:
            return sum(self._parts.values())

    def grow(self, whose: Hashable, size: int, *, deadline: float, clock: Callable[[], float] = time.monotonic) -> bool:
        """
        Wait for room for so many bytes in all; return False if there was none in time.

        One body at a time may exceed the room, so that bodies that have a part each do not wait for
        each other for ever.
        """
        with self._changed:
            while True:
                others = sum(self._parts.values()) - self._parts.get(whose, 0)
                if others + size <= self._size or self._exceeding in {None, whose}:
                    if others + size > self._size:
                        self._exceeding = whose
                    self._parts[whose] = size
                    return True
                if (left := deadline - clock()) <= 0:
                    return False
                self._changed.wait(min(left, 1.0))

    def release(self, whose: Hashable) -> None:
        """Give the room of a body back."""
        with self._changed:
            if self._parts.pop(whose, None) is not None:
                if self._exceeding == whose:
                    self._exceeding = None
                self._changed.notify_all()


_room = Room(ROOM)


@contextmanager
def keeping() -> Iterator[None]:
    """Let the bodies that this thread receives keep their room until the end of the context, where they are used."""
    if getattr(here, "kept", None) is not None:
        yield
        return
    here.kept = []
    try:
        yield
    finally:
        kept, here.kept = here.kept, None
        for each in kept:
            _room.release(each)


def bounded(manager: urllib3.PoolManager, *, connected: Callable[[Any], object] | None = None) -> None:
    """
    Bind the connections of a pool manager to the exchange of the thread that uses them.

    Parameters
    ----------
    manager
        The pool manager, before its first request.
    connected
        Called with the socket of each new connection.
    """
    kinds: dict[str, Any] = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {
        scheme: type("Pool", (pool,), {"ConnectionCls": _bounded(pool.ConnectionCls, connected)})
        for scheme, pool in kinds.items()
    }


class Adapter(requests.adapters.HTTPAdapter):
    """What `requests` sends its requests with, on connections that are bound to exchanges."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: object) -> None:
        """Make the pool manager."""
        super().init_poolmanager(connections, maxsize, block, **options)
        bounded(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **options: object) -> Any:
        """Return the pool manager of a proxy; made at the first call."""
        is_new = proxy not in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **options)
        if is_new:
            bounded(manager)
        return manager


def _bounded(plain: Any, connected: Callable[[Any], object] | None) -> type:
    """Return a kind of connection that keeps within the exchange of its thread."""

    class Connection(plain):  # type: ignore[misc]
        response_class = _Response
        timeout: Any
        _dns_host: str

        def connect(self) -> None:
            super().connect()
            if connected is not None:
                connected(self.sock)

        def send(self, data: Any) -> None:
            exchange = getattr(here, "exchange", None)
            if exchange is not None and self.sock is not None:
                self.sock.settimeout(exchange.left(self.timeout))
            super().send(data)

        def _new_conn(self) -> Any:
            """Connect to the first address of the host that answers; each has its own time, all have the exchange's."""
            exchange = getattr(here, "exchange", None)
            if exchange is None or hasattr(self, "_socks_options"):
                return super()._new_conn()
            host, seconds = self._dns_host, self.timeout
            try:
                found = socket.getaddrinfo(host, self.port, connection.allowed_gai_family(), socket.SOCK_STREAM)
            except (OSError, UnicodeError):
                return super()._new_conn()  # which has the words for it
            addresses = list(dict.fromkeys(str(each[4][0]) for each in found))[:MOST_ADDRESSES]
            try:
                for number, address in enumerate(addresses, 1):
                    self._dns_host, self.timeout = address, exchange.left(seconds)
                    try:
                        return super()._new_conn()
                    except urllib3.exceptions.HTTPError:
                        if number == len(addresses):
                            raise
            finally:
                self._dns_host, self.timeout = host, seconds
            return super()._new_conn()

    return Connection


class _Response(http.client.HTTPResponse):
    """An answer that is read within the exchange of the thread that asked."""

    def __init__(self, sock: Any, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
        super().__init__(sock, debuglevel, method, url)
        exchange = getattr(here, "exchange", None)
        if exchange is not None:
            self.fp = io.BufferedReader(_Wire(self.fp.detach(), sock, exchange))


class _Wire(io.RawIOBase):
    """Reads a socket, waiting no longer than its exchange lasts."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: Exchange) -> None:
        self._raw, self._sock, self._exchange = raw, sock, exchange
        self._seconds = sock.gettimeout()
        self._is_shorter = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        seconds = self._exchange.left(self._seconds)
        if self._is_shorter or seconds != self._seconds:
            self._is_shorter = True
            self._sock.settimeout(seconds)
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            self._exchange.left(None)
            raise
        self._exchange.note(count or 0)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()
