"""The Mapillary service as a value that is passed on: where it answers, with which token, how patiently it is asked."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlygeo import config
from mlygeo.config import Endpoints
from mlygeo.net.quota import TILES_A_DAY, Pace, entity_pace, search_pace, tile_pace

if TYPE_CHECKING:
    import os
    from pathlib import Path


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
        Shortest wait of all workers after the service said "too many requests", seconds.
    patience
        Longest wait that the service may ask for, seconds; beyond it the run stops.
    """

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 60.0
    rate_wait: float = 60.0
    patience: float = 900.0

    def wait_after(self, tries: int, *, told: float | None = None) -> float:
        """
        Return how long to wait after so many tries that failed, seconds.

        Parameters
        ----------
        tries
            How many there were, at least one.
        told
            Seconds that the service asks to wait, which the wait is not shorter than.
        """
        # Doubling past 2**30 would leave every limit behind and end in an overflow.
        most = min(self.longest_wait, self.first_wait * 2 ** min(tries - 1, 30))
        return max(told or 0.0, random.uniform(0, most))  # noqa: S311 - no secret hangs on it


@dataclass(frozen=True)
class Service:
    """
    The Mapillary service, and how to treat it; a value that is passed on.

    Parameters
    ----------
    endpoints
        Where it answers.
    token
        The access token; never shown.
    retry
        How failed requests are tried again.
    pace
        The pace of tile requests; share a `Service` to share its paces.
    entity_pace, search_pace
        The paces of the Graph API: of what is asked for by id, and of searches.
    tiles_a_day
        Tile requests a day.
    state_dir
        Folder that remembers the tile requests of the day; the user's state folder unless given.
    connect_timeout, read_timeout, total_timeout
        Seconds for a connection, between two pieces of an answer, and for a whole answer.
    longest_body
        Bytes of an answer, before and after decompression. Tiles of a million images are real,
        and have tens of megabytes.
    """

    endpoints: Endpoints = field(default_factory=Endpoints)
    token: str | None = field(default=None, repr=False)
    retry: Retry = field(default_factory=Retry)
    pace: Pace = field(default_factory=tile_pace, compare=False)
    entity_pace: Pace = field(default_factory=entity_pace, compare=False)
    search_pace: Pace = field(default_factory=search_pace, compare=False)
    tiles_a_day: int = TILES_A_DAY
    state_dir: Path | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    total_timeout: float = 600.0
    longest_body: int = 1 << 30

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
            The access token, or a file with it; looked for as `config.require_token` does unless given.
        retry
            How failed requests are tried again, where that is not as usual.

        Raises
        ------
        CredentialsError
            If there is no access token.
        ConfigError
            If an endpoint is no URL.
        """
        found = config.require_token(token, token_file)
        return cls(endpoints=Endpoints.from_environment(), token=found, retry=retry or Retry())
