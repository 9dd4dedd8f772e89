"""Mapillary's service as a value: where it answers, with which token, and how fast it may be asked."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, ClassVar

from mlygeo.config import TokenSources, checked_url, is_loopback
from mlygeo.net import http
from mlygeo.net.http import Retry
from mlygeo.net.pace import Pace
from mlygeo.providers.foreign import refuse_host
from mlygeo.providers.mapillary import answers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlygeo.net.answers import Trouble

TOKENS = TokenSources(
    ("MAPILLARY_ACCESS_TOKEN", "MLY_ACCESS_TOKEN", "MAPILLARY_TOKEN"),
    "https://www.mapillary.com/dashboard/developers",
    prefix="MLY|",
)
"""Where the access token is looked for."""

EXAMPLE = "https://tiles.mapillary.com"
"""What an endpoint looks like, for messages."""

TILES_A_MINUTE = 60.0
"""
Tile requests a minute that an address can sustain. About 370 a minute over 10,659 requests got an
address redirected to a login page, with every token (observed 2026-08-12); the project that met
this has paced 60 a minute since.
"""

TILES_AT_ONCE = 300
"""Tile requests that may go out before the pace sets in: less than a minute of the rate above."""

TILES_A_DAY = 50_000
"""Tile requests a day, from the API documentation's rate limits."""

ENTITIES_LIMIT = 60_000
"""Requests a minute by id that the documentation of the Graph API allows an application."""

ENTITIES_A_MINUTE, SEARCHES_A_MINUTE = 30_000.0, 5_000.0
"""
Requests a minute to the Graph API: half of what its documentation allows an application (60,000
and 10,000), since another program may run under the same one.
"""

ENTITIES_AT_ONCE, SEARCHES_AT_ONCE = 500, 100
"""Requests that may go out before these paces set in: a second's worth."""


@dataclass(frozen=True)
class Endpoints:
    """
    Where the Mapillary service answers.

    Parameters
    ----------
    graph
        The Graph API.
    tiles
        Vector tiles.
    upload
        The upload service.

    Raises
    ------
    ConfigError
        If one is not an http(s) URL, or would send the token unencrypted to another machine, or is another provider's.
    """

    graph: str = "https://graph.mapillary.com"
    tiles: str = "https://tiles.mapillary.com"
    upload: str = "https://rupload.facebook.com/mapillary_public_uploads"

    def __post_init__(self) -> None:
        for each in fields(self):
            url = checked_url(getattr(self, each.name), each.name, example=EXAMPLE)
            refuse_host(url, each.name, wanted="Mapillary")
            object.__setattr__(self, each.name, url)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Endpoints:
        """
        Return the endpoints, those of the environment before the real ones.

        Parameters
        ----------
        environ
            May set MAPILLARY_GRAPH_API_ENDPOINT and MAPILLARY_UPLOAD_ENDPOINT (the official
            client's variables) and MAPILLARY_TILES_ENDPOINT.

        Raises
        ------
        ConfigError
            As for the class.
        """
        variables = {
            "graph": "MAPILLARY_GRAPH_API_ENDPOINT",
            "tiles": "MAPILLARY_TILES_ENDPOINT",
            "upload": "MAPILLARY_UPLOAD_ENDPOINT",
        }
        urls = {}
        for name, variable in variables.items():
            if url := environ.get(variable, "").strip():
                urls[name] = checked_url(url, variable, example=EXAMPLE)
                refuse_host(urls[name], variable, wanted="Mapillary")
        return cls(**urls)


def tile_pace() -> Pace:
    """Return the pace that is safe for an address over long runs of tile requests."""
    return Pace(TILES_A_MINUTE, TILES_AT_ONCE)


def entity_pace() -> Pace:
    """Return the pace of what is asked for by id."""
    return Pace(ENTITIES_A_MINUTE, ENTITIES_AT_ONCE)


def search_pace() -> Pace:
    """Return the pace of searches."""
    return Pace(SEARCHES_A_MINUTE, SEARCHES_AT_ONCE)


@dataclass(frozen=True, kw_only=True)
class Service(http.Service):
    """
    The Mapillary service, and how to treat it; a value that is passed on.

    Parameters
    ----------
    endpoints
        Where it answers.
    pace
        The pace of tile requests; share a `Service` to share its paces.
    entity_pace, search_pace
        The paces of the Graph API: of what is asked for by id, and of searches.
    tiles_a_day
        Tile requests a day.
    state_dir
        Folder that remembers the tile requests of the day; the user's state folder unless given.
    **others
        As for `mlygeo.net.http.Service`.
    """

    provider: ClassVar[str] = "mapillary"
    token_hint: ClassVar[str] = TOKENS.hint
    token_scheme: ClassVar[str] = "OAuth"  # noqa: S105 - a word before it

    endpoints: Endpoints = field(default_factory=Endpoints)
    pace: Pace = field(default_factory=tile_pace, compare=False)
    entity_pace: Pace = field(default_factory=entity_pace, compare=False)
    search_pace: Pace = field(default_factory=search_pace, compare=False)
    tiles_a_day: int = TILES_A_DAY
    state_dir: Path | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """The Graph API and the upload service; tiles take their token in the query only."""
        return self.endpoints.graph, self.endpoints.upload

    @property
    def is_local(self) -> bool:
        """Whether the Graph API, which names the addresses of pictures, is this very machine."""
        return is_loopback(self.endpoints.graph)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float) -> Trouble | None:
        """Return what is wrong with an answer, by the code in it before its status; None where it is not an error."""
        return answers.judge(status, headers, body, what=what, now=now)

    @classmethod
    def from_environment(
        cls,
        *,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        retry: Retry | None = None,
    ) -> Service:
        """
        Return the service as the environment and the user's files name it.

        Parameters
        ----------
        token, token_file
            The access token, or a file with it; looked for as `TOKENS.require` does unless given.
        retry
            How failed requests are tried again, where that is not as usual.

        Raises
        ------
        CredentialsError
            If there is no access token.
        ConfigError
            If an endpoint is not a URL.
        """
        found = TOKENS.require(token, token_file)
        return cls(endpoints=Endpoints.from_environment(), token=found, retry=retry or Retry())
