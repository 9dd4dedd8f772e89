"""OSMnx with settings of ours, which leave its own as they were."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies

if TYPE_CHECKING:
    from collections.abc import Iterator

REACH_TIMEOUT_S = 10.0
"""Seconds to wait for a service to accept a connection at all."""


@contextmanager
def our_osmnx(url: str, **settings: object) -> Iterator[None]:
    """
    Let OSMnx keep its answers in the user's cache, not in the working directory.

    Where the service cannot be reached OSMnx would wait a minute for its status, and ask another
    service for its address; then it is to try at once, and be content with its cache.

    Parameters
    ----------
    url
        The service that OSMnx is going to ask.
    **settings
        Further settings of OSMnx for the time being.
    """
    import osmnx
    import platformdirs

    if str(osmnx.settings.cache_folder) == "./cache":  # OSMnx's default: the user has not chosen one
        settings["cache_folder"] = Path(platformdirs.user_cache_dir("mlygeo", appauthor=False)) / "osmnx"
    if not is_reachable(url):
        settings |= {"overpass_rate_limit": False, "doh_url_template": None}
    before = {name: getattr(osmnx.settings, name) for name in settings}
    resolve = socket.getaddrinfo  # OSMnx puts its own in this place, and leaves it there
    for name, value in settings.items():
        setattr(osmnx.settings, name, value)
    try:
        yield
    finally:
        socket.getaddrinfo = resolve
        for name, value in before.items():
            setattr(osmnx.settings, name, value)


def overpass_url() -> str:
    """Return the address of the Overpass service that OSMnx asks."""
    import osmnx

    return str(osmnx.settings.overpass_url)


def is_reachable(url: str) -> bool:
    """
    Return whether a host accepts connections; taken for granted behind a proxy, where a socket says nothing.

    Parameters
    ----------
    url
        The address, of which host and port count.
    """
    parts = urlsplit(url)
    if getproxies():
        return True
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), timeout=REACH_TIMEOUT_S):
            return True
    except OSError:
        return False
