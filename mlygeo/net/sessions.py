"""
A session with a service that answers JSON: many requests, from several threads, until they have no sense any more.

A refused token, or a throttled address, ends all requests at once; so do many failures one after another.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mlygeo.errors import InputError, NetworkError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.net import answers
from mlygeo.net.answers import QueryTimeoutError, RefusedError
from mlygeo.net.http import Client

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlygeo.net.http import Service
    from mlygeo.net.pace import Pace

Answer = TypeVar("Answer")

FAILURES_IN_A_ROW, UNREACHABLE_IN_A_ROW = 24, 8
"""Requests that fail one after another, each in all its tries, until the run stops: the service is down."""


class JsonSession:
    """
    A session with a service; thread-safe, and a context manager.

    Parameters
    ----------
    service
        Where it answers; and how failed requests are tried again.
    workers
        Requests made at once, where there are several to make.
    stop
        Ends every wait at once when set.
    """

    def __init__(self, service: Service, *, workers: int, stop: threading.Event | None = None) -> None:
        if workers < 1:
            raise InputError(f"{workers} workers ask for nothing", hint="use `workers=1` or more")
        self.workers = workers
        self.ended: ServiceError | None = None
        """The error that ended everything; None while requests may go out."""
        self._client = Client(service, connections=workers, stop=stop)
        self._lock = threading.Lock()
        self._failures = self._unreachable = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *of_error: object) -> None:
        self._client.__exit__(*of_error)

    def ask_url(
        self,
        url: str,
        *,
        what: str,
        read: Callable[[dict[str, Any]], Answer],
        pace: Pace,
        cost: int = 1,
        token_in_header: bool = False,
        longest_body: int,
    ) -> Answer:
        """
        Make one request, and return what is read from its answer.

        Parameters
        ----------
        url
            Where to ask.
        what
            What is asked for, for messages.
        read
            Reads the JSON object that came; raises FormatError where it is not what was asked
            for, and then the request is tried again.
        pace
            The pace it keeps.
        cost
            How many requests it counts as.
        token_in_header, longest_body
            As for `mlygeo.net.http.Client.get`.

        Raises
        ------
        ServiceError
            As `mlygeo.net.http.Client.get` raises them.
        """
        result: list[Answer] = []

        def check(body: bytes) -> None:
            result[:] = [read(answers.parsed_json(body))]

        try:
            self._client.get(
                url, what=what, check=check, admit=lambda: self._admit(pace, cost), token_in_header=token_in_header,
                longest_body=longest_body,
            )  # fmt: skip
        except ServiceError as error:
            self.note(error)
            raise
        with self._lock:
            self._failures = self._unreachable = 0
        return result[0]

    def _admit(self, pace: Pace, cost: int) -> float:
        """Count a request; raise if all requests have ended."""
        if self.ended is not None:
            raise self.ended
        return max(pace.take() for _ in range(cost))

    def note(self, error: ServiceError) -> None:
        """
        Count consecutive failures, and end all requests after too many.

        Parameters
        ----------
        error
            What a request ended in.
        """
        with self._lock:
            if isinstance(error, RefusedError | QueryTimeoutError):  # the service is up
                self._failures = self._unreachable = 0
                return
            self._failures += 1
            self._unreachable = self._unreachable + 1 if isinstance(error, NetworkError) else 0
            if (
                isinstance(error, TokenRejectedError | ThrottledError)
                or self._failures >= FAILURES_IN_A_ROW
                or self._unreachable >= UNREACHABLE_IN_A_ROW
            ):
                self.ended = self.ended or error
