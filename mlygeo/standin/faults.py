"""What a stand-in does wrong: how often, how, and decided anew for every request in the same way."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Fault = Literal[
    "server_error",
    "temporary",
    "query_timeout",
    "too_much",
    "rate",
    "not_found",
    "html",
    "error_object",
    "empty",
    "drop",
    "truncate",
    "truncate_quietly",
    "endless",
    "stall",
]
"""The faults that a share of requests meets, in the order in which the shares are laid out."""

SHARES: tuple[Fault, ...] = Fault.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Faults:
    """
    What goes wrong, and how often.

    The faults from `server_error` on are shares of requests, 0 to 1, that add up to 1 at most.
    Whether a request meets one depends on the seed, its path, and how often that path was asked
    for before: never on the order in which threads come.

    Parameters
    ----------
    seed
        Another seed, other requests.
    first
        Only the first so many requests of each path meet a fault of the shares; None for all.
    latency
        Seconds before every answer.
    rate_answer
        How "too many requests" is said: HTTP 429 without a code, or the service's code.
    retry_after
        The header Retry-After of answers with "rate" and "server_error": seconds or a date.
    login_after
        After so many tile requests each further one is redirected to the login page, as the
        service does with an address that asks too fast; None for never.
    refuse_token
        Answer every request as if its token were bad: with this status, and code 190 where the
        service has one (400, 401, 500), or without (403).
    server_error
        Status 502 and a web page.
    temporary
        Status 500, code 2.
    query_timeout
        Status 400, code -2: said not to be transient, and is.
    too_much
        Status 500, code 1.
    rate
        Too many requests.
    not_found
        Status 404, as of tiles that are there the next day.
    html
        Status 200 and a web page.
    error_object
        Status 200, code 2.
    empty
        Status 200 and no byte, for a tile that has images.
    drop
        The connection breaks in the middle of the body.
    truncate
        Half of the body under the whole body's Content-Length.
    truncate_quietly
        Half of the body, and a Content-Length that agrees.
    endless
        A body that does not end.
    stall
        Silence, with the connection open.
    """

    seed: int = 0
    first: int | None = None
    latency: float = 0.0
    rate_answer: Literal[429, 4, 17, 613] = 4
    retry_after: str | None = None
    login_after: int | None = None
    refuse_token: Literal[400, 401, 403, 500] | None = None
    server_error: float = 0.0
    temporary: float = 0.0
    query_timeout: float = 0.0
    too_much: float = 0.0
    rate: float = 0.0
    not_found: float = 0.0
    html: float = 0.0
    error_object: float = 0.0
    empty: float = 0.0
    drop: float = 0.0
    truncate: float = 0.0
    truncate_quietly: float = 0.0
    endless: float = 0.0
    stall: float = 0.0

    def __post_init__(self) -> None:
        shares = [getattr(self, name) for name in SHARES]
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise ValueError(f"the shares of faults add up to {sum(shares):g}, and must lie between 0 and 1")

    def choose(self, path: str, times: int) -> Fault | None:
        """
        Return the fault that a request meets, or None.

        Parameters
        ----------
        path
            The request's path.
        times
            How often it was asked for before.
        """
        if self.first is not None and times >= self.first:
            return None
        draw = random.Random(f"{self.seed} {path} {times}").random()  # noqa: S311 - repeatable on purpose
        for name in SHARES:
            share: float = getattr(self, name)
            if draw < share:
                return name
            draw -= share
        return None
