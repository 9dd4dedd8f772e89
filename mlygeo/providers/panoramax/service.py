"""Panoramax's service as a value: the catalogue or an instance, with or without a token, and how fast it is asked."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from mlygeo.config import TokenSources, checked_url, is_loopback
from mlygeo.errors import InputError
from mlygeo.net import http
from mlygeo.net.http import Retry
from mlygeo.net.pace import Pace
from mlygeo.providers.foreign import refuse_host
from mlygeo.providers.panoramax import answers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlygeo.net.answers import Trouble

CATALOGUE = "https://api.panoramax.xyz/api"
"""The catalogue of all instances; it is read without a token, and takes no uploads."""

URL_VARIABLE = "MLYGEO_PANORAMAX_URL"
"""Environment variable with the address of an instance, or of another catalogue."""

TOKEN_VARIABLE = "MLYGEO_PANORAMAX_TOKEN"  # noqa: S105 - the name of a variable
"""Environment variable with the token of a user of an instance."""

TOKENS = TokenSources((TOKEN_VARIABLE,), "the instance (mlygeo authenticate)")
"""Where the token is looked for; the files of Mapillary's tokens are not."""

EXAMPLE = "https://panoramax.openstreetmap.fr/api"
"""What an endpoint looks like, for messages."""

TOKEN_HINT = (
    f"sign in at the instance with 'mlygeo authenticate', or put its token into {TOKEN_VARIABLE}; its terms of use may"
    " have to be accepted there first"
)

TILES_A_MINUTE, TILES_AT_ONCE = 600.0, 200
"""Tile requests a minute, and at once before that. No limit is published; a map in a browser asks as fast."""

SEARCHES_A_MINUTE, SEARCHES_AT_ONCE = 120.0, 60
"""Searches a minute, and at once before that: one in half a second, as others that copy a region do."""

ENTITIES_A_MINUTE, ENTITIES_AT_ONCE = 600.0, 200
"""Requests a minute by id, and at once before that."""


@dataclass(frozen=True)
class Endpoints:
    """
    Where a server of Panoramax answers.

    Parameters
    ----------
    api
        The STAC API, with the tiles: of the catalogue, or of an instance. `panoramax.ign.fr` and
        `https://panoramax.ign.fr` mean `https://panoramax.ign.fr/api`.

    Raises
    ------
    ConfigError
        If it is not an http(s) URL, or would be asked without encryption on another machine.
    """

    api: str = CATALOGUE

    def __post_init__(self) -> None:
        object.__setattr__(self, "api", api_address(self.api, "endpoint"))

    @classmethod
    def from_environment(cls, endpoint: str | None = None, environ: Mapping[str, str] = os.environ) -> Endpoints:
        """
        Return the endpoints: the one given, else that of the environment, else the catalogue.

        Parameters
        ----------
        endpoint
            Address of an instance.
        environ
            May set MLYGEO_PANORAMAX_URL.

        Raises
        ------
        ConfigError
            As for the class.
        """
        if endpoint is not None:
            return cls(endpoint)
        url = environ.get(URL_VARIABLE, "").strip()
        return cls(api_address(url, URL_VARIABLE)) if url else cls()

    @property
    def host(self) -> str:
        """Host and port of the server: its name where it has no other."""
        return urlsplit(self.api).netloc.lower()

    @property
    def is_catalogue(self) -> bool:
        """Whether it is the catalogue of all instances."""
        return self.api == CATALOGUE


def api_address(url: str, name: str) -> str:
    """
    Return the address of a server's API, from any address of the server.

    Parameters
    ----------
    url
        The address; without a scheme it is https, without a path its API is at `/api`.
    name
        What messages call it.

    Raises
    ------
    ConfigError
        If it is not an http(s) URL, or would be asked without encryption on another machine.

    Examples
    --------
    >>> api_address("panoramax.ign.fr", "endpoint")
    'https://panoramax.ign.fr/api'
    """
    url = url.strip()
    if "://" not in url:
        url = f"https://{url}"
    checked = checked_url(url, name, example=EXAMPLE)
    refuse_host(checked, name, wanted="Panoramax")
    return checked if urlsplit(checked).path else f"{checked}/api"


def tile_pace() -> Pace:
    """Return the pace of tile requests."""
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
    A server of Panoramax, and how to treat it; a value that is passed on.

    Parameters
    ----------
    endpoints
        Where it answers.
    pace
        The pace of tile requests; share a `Service` to share its paces.
    entity_pace, search_pace
        The paces of what is asked for by id, and of searches.
    **others
        As for `mlygeo.net.http.Service`. The token is of use for uploads only: reading needs none, and sends none.
    """

    provider: ClassVar[str] = "panoramax"
    token_hint: ClassVar[str] = TOKEN_HINT
    picture_redirects: ClassVar[int] = 4
    """Instances redirect to the hosts of their storage, and the catalogue to the instances."""

    endpoints: Endpoints = field(default_factory=Endpoints)
    pace: Pace = field(default_factory=tile_pace, compare=False)
    entity_pace: Pace = field(default_factory=entity_pace, compare=False)
    search_pace: Pace = field(default_factory=search_pace, compare=False)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The server itself; the token goes to no other, such as those of the pictures."""
        return (self.endpoints.api,)

    @property
    def is_local(self) -> bool:
        """Whether it is this very machine: then pictures may be, too."""
        return is_loopback(self.endpoints.api)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes, *, what: str, now: float) -> Trouble | None:
        """Return what is wrong with an answer, by its status and the JSON of the error; None if it is none."""
        return answers.judge(status, headers, body, what=what, now=now, token_hint=self.token_hint)

    @classmethod
    def from_environment(
        cls,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        token_file: str | os.PathLike[str] | None = None,
        retry: Retry | None = None,
    ) -> Service:
        """
        Return the service by arguments and environment; without a token, which only uploads need, it reads.

        Parameters
        ----------
        endpoint
            Address of an instance; by default that of the environment, or the catalogue.
        token, token_file
            The token of a user, or a file with it; looked for in MLYGEO_PANORAMAX_TOKEN unless given.
        retry
            How failed requests are tried again, where that is not as usual.

        Raises
        ------
        CredentialsError
            If what was given is not a token.
        ConfigError
            If the endpoint is not a URL.
        """
        if token is None and token_file is None:
            token = os.environ.get(TOKEN_VARIABLE, "").strip() or None
        found = None if token is None and token_file is None else TOKENS.find(token, token_file)
        return cls(endpoints=Endpoints.from_environment(endpoint), token=found, retry=retry or Retry())


def own(service: http.Service) -> Service:
    """
    Return the service, checked to be Panoramax's.

    Raises
    ------
    InputError
        If it is another provider's.
    """
    if not isinstance(service, Service):
        raise InputError(f"this is a service of {service.provider}, and Panoramax's is needed")
    return service
