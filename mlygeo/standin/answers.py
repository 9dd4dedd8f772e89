"""Requests as the server receives them, and its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlygeo.standin.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mlygeo.standin.bodies import Body
    from mlygeo.standin.faults import Fault

WEB_PAGE = b"<!DOCTYPE html>\n<html><head><title>Mapillary</title></head><body>Log in</body></html>\n"

SIGNATURE = frozenset({"access_token", "oh", "oe"})
"""Parameters of the query that are credentials or expiry, not part of the question."""


@dataclass(frozen=True)
class Request:
    """
    A request as the server received it.

    Parameters
    ----------
    route
        Name of its route; "" where there is none.
    path
        Its path, without the query.
    query
        The first value of each parameter.
    headers
        Its headers.
    started
        Time of arrival, seconds of a monotonic clock.
    method
        Its method.
    faults
        The faults of its route.
    body
        Its body.
    fault
        The fault of this request; None for a right answer.
    wait
        Waits so many seconds, or until the server closes.
    """

    route: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    started: float
    method: str = "GET"
    faults: Faults = field(default_factory=Faults, repr=False)
    body: Body | None = field(default=None, repr=False, compare=False)
    fault: Fault | None = None
    wait: Callable[[float], object] | None = field(default=None, repr=False, compare=False)

    @property
    def question(self) -> str:
        """The path and the query, without the parameters in `SIGNATURE`."""
        rest = "&".join(f"{name}={value}" for name, value in self.query.items() if name not in SIGNATURE)
        asked = f"{self.path}?{rest}" if rest else self.path
        return asked if self.method == "GET" else f"{self.method} {asked}"

    @property
    def token(self) -> str | None:
        """The token in its header or its query, or None."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() in {"oauth", "bearer"}:
            return token.strip()
        return self.query.get("access_token")

    @property
    def carries_secret(self) -> bool:
        """Whether it has any secret that only the Graph API and the tile server may receive."""
        return (
            "Authorization" in self.headers
            or "Cookie" in self.headers
            or "access_token" in self.query
            or any("MLY|" in value for value in (*self.headers.values(), *self.query.values()))
        )


@dataclass(frozen=True)
class Answer:
    """
    The answer to a request.

    Parameters
    ----------
    body
        Its bytes.
    status
        The HTTP status.
    content_type
        The media type of its body.
    headers
        Further headers.
    file
        The file with the body, in place of `body`.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    file: Path | None = None

    def bytes(self) -> bytes:
        """Return the whole body, from `body` or `file`."""
        return self.body if self.file is None else self.file.read_bytes()


def json_answer(value: Any) -> Answer:
    """Return a value as JSON."""
    return Answer(json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


def error_answer(status: int, code: int, message: str, *, kind: str = "MLYApiException", **more: object) -> Answer:
    """Return an error in the service's form."""
    error = {"message": message, "type": kind, "code": code, **more, "fbtrace_id": "A0standin"}
    return Answer(json.dumps({"error": error}).encode(), status)


def refusal(status: int) -> Answer:
    """Return one of the service's answers to a bad token."""
    if status == 500:
        return error_answer(500, 190, "Invalid OAuth 2.0 Access Token")
    if status == 403:
        return Answer(b"Forbidden\n", 403, "text/plain")
    message = "Failed to decode" if status == 401 else "Error validating application"
    return error_answer(status, 190, message, kind="OAuthException")


def plain(status: int, text: str) -> Answer:
    """Return a line of text."""
    return Answer(f"{text}\n".encode(), status, "text/plain")
