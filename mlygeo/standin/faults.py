"""Faults of a stand-in: which, how often, and decided reproducibly for every request."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

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
    "hang_up",
    "garbage",
    "odd_json",
    "expired",
    "redirect",
    "bomb",
    "wrong_offset",
    "cut",
    "pending",
]
"""The faults that occur for a share of requests, in the order of the shares."""

SHARES: tuple[Fault, ...] = Fault.__args__  # type: ignore[attr-defined]

PASSING: tuple[Fault, ...] = (
    "server_error",
    "temporary",
    "query_timeout",
    "html",
    "error_object",
    "empty",
    "drop",
    "truncate",
    "truncate_quietly",
    "hang_up",
    "garbage",
    "odd_json",
    "expired",
)
"""Faults that a client overcomes by repeating the request, at once or after some seconds."""

PASSING_TILES: tuple[Fault, ...] = tuple(fault for fault in PASSING if fault != "empty")
"""The same for vector tiles, of which an empty one is an answer."""

PASSING_UPLOADS: tuple[Fault, ...] = (
    "server_error",
    "temporary",
    "query_timeout",
    "rate",
    "html",
    "empty",
    "drop",
    "truncate",
    "hang_up",
    "garbage",
    "wrong_offset",
    "cut",
)
"""Faults of sign-in and uploads that a client overcomes by repeating the request; after some it was done already."""

PASSING_PANORAMAX: tuple[Fault, ...] = (
    "server_error",
    "temporary",
    "not_found",
    "html",
    "error_object",
    "drop",
    "truncate",
    "truncate_quietly",
    "hang_up",
    "garbage",
    "odd_json",
    "pending",
)
"""The same for requests to Panoramax. An empty tile is an answer there, and so is not among them."""

UPLOADS = ("upload_offset", "upload", "finish_upload")
"""Routes of uploads; `uploads` means all of them."""

GRAPH = ("entity", "entities", "images", "search", "image_ids", "me")
"""Routes of the Graph API; `graph` means all of them."""

PANORAMAX = (
    "panoramax_tiles",
    "panoramax_search",
    "panoramax_items",
    "panoramax_sequences",
    "panoramax_users",
    "panoramax_pictures",
    "panoramax_server",
)
"""Routes of Panoramax; `panoramax` means all of them."""

WITHOUT_TOKEN = ("thumbs", "login", "sign_in", "logging", *PANORAMAX)
"""Routes without a token, which cannot refuse one."""

ROUTE_NAMES = frozenset({"graph", "tiles", "uploads", "panoramax", *GRAPH, *UPLOADS, *WITHOUT_TOKEN})

URL_LIFETIME = 30 * 86_400.0
"""Seconds for which the service's signed addresses are valid."""


@dataclass(frozen=True)
class Faults:
    """
    Faults, and how often they occur.

    The faults from `server_error` on are shares of requests, 0 to 1, that add up to 1 at most.
    Whether a request gets a fault depends on the seed, its path (with its query, but without token
    and signature), and the number of equal requests before; never on the order of threads.

    Parameters
    ----------
    seed
        With another seed, other requests get faults.
    first
        Number of first requests of each path that can get a fault of the shares; None for all.
    latency
        Seconds before every answer.
    rate_answer
        Form of "too many requests": HTTP 429 without a code, or the service's code.
    retry_after
        The header Retry-After of answers with "rate" and "server_error": seconds or a date.
    login_after
        After this many tile requests, each further one is redirected to the login page, as the
        service does with clients that send too many requests; None for never.
    refuse_token
        Answer every request that takes a token as if the token were bad: with this status, and code
        190 where the service has one (400, 401, 500), or without (403).
    server_error
        Status 502 and a web page.
    temporary
        Status 500, code 2.
    query_timeout
        Status 400, code -2: declared not transient, although it is.
    too_much
        Status 500, code 1.
    rate
        Too many requests.
    not_found
        Status 404, as for tiles that exist again the next day.
    html
        Status 200 and a web page.
    error_object
        Status 200, code 2.
    empty
        Status 200 and an empty body, where the right one is not empty.
    drop
        The connection breaks in the middle of the body.
    truncate
        Half of the body with the whole body's Content-Length.
    truncate_quietly
        Half of the body, with a matching Content-Length.
    endless
        A body that does not end.
    stall
        No answer, with the connection open.
    hang_up
        The connection is closed without a byte.
    garbage
        As many random bytes as the body has.
    odd_json
        JSON that does not answer the request.
    expired
        A picture's address that counts as expired too early; other routes answer correctly.
    redirect
        Status 302 to another host, which gives other answers: see `Server.other_host`.
    bomb
        A small body that becomes 256 MB when it is decompressed, or a picture that claims 65,500 x 65,500
        pixels.
    wrong_offset
        Half of the received bytes of a file are lost, so that the client's offset is wrong; other routes
        answer correctly.
    cut
        The connection breaks after `cut_after` bytes of an upload; other routes answer correctly.
    pending
        Status 102 as the final one, with which Panoramax answers for a picture in the works; other routes
        answer correctly.
    only
        Names of the routes with the faults above, "graph" for all of the Graph API, "uploads" for
        all routes of uploads, "panoramax" for all of Panoramax; None for every route.
    routes
        Faults of single routes, which replace all others.
    gone
        Ids of deleted images: code 100, subcode 33, or left out of a list.
    missing
        Share of deleted images, decided by seed and id.
    url_lifetime
        Seconds until the address of a picture expires.
    expired_status
        Status of an address that has expired, or whose signature is wrong.
    largest_page
        Most images in one answer of a search.
    densest_box
        Boxes with more images are refused with code 1.
    overhang
        Degrees by which the images of a search may lie outside its box.
    unsigned_altitude
        Whether an altitude below zero comes as an unsigned number of 32 bits.
    cut_after
        Bytes of an upload that arrive before it is cut.
    read_rate
        Bytes a second at which uploads are read; None for no limit.
    backoff_ms
        Milliseconds that "rate" asks an upload to wait; None for no such field.
    expires_after
        After this many requests on a route the token has expired; None for never.
    next_link
        The address of a search's next page contains the token, as the service's usually does
        ("token"), or not ("plain"), or leads to another host, with the token ("other_host").
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
    hang_up: float = 0.0
    garbage: float = 0.0
    odd_json: float = 0.0
    expired: float = 0.0
    redirect: float = 0.0
    bomb: float = 0.0
    wrong_offset: float = 0.0
    cut: float = 0.0
    pending: float = 0.0
    only: tuple[str, ...] | None = None
    routes: Mapping[str, Faults] = field(default_factory=dict, hash=False)
    gone: Collection[int | str] = field(default=frozenset(), hash=False)
    missing: float = 0.0
    url_lifetime: float = URL_LIFETIME
    expired_status: Literal[403, 410] = 403
    largest_page: int = 2000
    densest_box: int = 20_000
    overhang: float = 0.0
    unsigned_altitude: bool = False
    cut_after: int = 10_000
    read_rate: float | None = None
    backoff_ms: int | None = 20
    expires_after: int | None = None
    next_link: Literal["token", "plain", "other_host"] = "token"

    def __post_init__(self) -> None:
        shares = [getattr(self, name) for name in SHARES]
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise ValueError(f"the shares of faults add up to {sum(shares):g}, and must lie between 0 and 1")
        if unknown := sorted({*(self.only or ()), *self.routes} - ROUTE_NAMES):
            raise ValueError(f"no route is called {', '.join(unknown)}; there are {', '.join(sorted(ROUTE_NAMES))}")

    def spread(self, share: float, *names: Fault) -> Self:
        """
        Return the same with faults for a share of requests, each kind equally often.

        Parameters
        ----------
        share
            Share of requests, 0 to 1.
        *names
            The faults; by default `PASSING`, which a client overcomes by repeating the request soon.
        """
        chosen = names or PASSING
        shares: dict[str, Any] = {name: share / len(chosen) for name in chosen}
        return replace(self, **shares)

    def of(self, route: str) -> Faults:
        """Return the faults of a route."""
        groups = {"graph": GRAPH, "uploads": UPLOADS, "panoramax": PANORAMAX}
        group = next((name for name, names in groups.items() if route in names), route)
        for name in (route, group):
            if name in self.routes:
                return self.routes[name]
        if self.only is None or route in self.only or group in self.only:
            return self
        nothing: dict[str, Any] = dict.fromkeys(SHARES, 0.0)
        nothing |= dict.fromkeys(("only", "login_after", "refuse_token", "read_rate", "expires_after"))
        return replace(self, latency=0.0, **nothing)

    def is_gone(self, number: int | str) -> bool:
        """Return whether an image is deleted."""
        return number in self.gone or (self.missing > 0 and self._draw(f"gone {number}") < self.missing)

    def choose(self, path: str, times: int) -> Fault | None:
        """
        Return the fault of a request, or None.

        Parameters
        ----------
        path
            The request's path and query, without the parameters in `answers.SIGNATURE`.
        times
            Number of equal requests before.
        """
        if not self._shares or (self.first is not None and times >= self.first):
            return None
        draw = self._draw(f"{path} {times}")
        for name, share in self._shares:
            if draw < share:
                return name
            draw -= share
        return None

    @functools.cached_property
    def _shares(self) -> list[tuple[Fault, float]]:
        """The shares above 0."""
        return [(name, share) for name in SHARES if (share := getattr(self, name))]

    def _draw(self, what: str) -> float:
        return random.Random(f"{self.seed} {what}").random()  # noqa: S311 - repeatable on purpose
