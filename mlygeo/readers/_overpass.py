"""Streets from OpenStreetMap's Overpass service, through OSMnx and its cache."""

from __future__ import annotations

import logging
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import numpy as np

from mlygeo import frames
from mlygeo.errors import NetworkError
from mlygeo.readers._osm_graph import BUFFER_M, TAGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import networkx as nx

log = logging.getLogger("mlygeo.osm")

EMPTY = ("No data elements in server response", "Found no graph nodes within the requested polygon")
"""How OSMnx's errors begin where there are no streets."""

REACH_TIMEOUT_S = 10.0


def download(polygon: Any, *, retain_all: bool) -> nx.MultiDiGraph:
    """
    Return OSMnx's graph of a polygon, without edges where OpenStreetMap has none.

    Parameters
    ----------
    polygon
        Polygon or multi-polygon, EPSG:4326, on one side of the antimeridian.
    retain_all
        Keep every component, and not only the largest.

    Raises
    ------
    NetworkError
        If the service cannot be reached, or sends something else.
    """
    import networkx as nx
    import osmnx

    hint = "try again later, or give a file of streets with --streets FILE (.osm.pbf, .gpkg, …)"
    try:
        with _osmnx_settings():
            found: nx.MultiDiGraph = osmnx.graph_from_polygon(
                _inside_antimeridian(polygon), network_type="all", retain_all=retain_all
            )
            return found
    except OSError as error:  # those of requests among them
        raise NetworkError("OpenStreetMap's Overpass service cannot be reached for the streets", hint=hint) from error
    except ValueError as error:
        if not str(error).startswith(EMPTY):
            reason = " ".join(str(error).split())[:200]
            raise NetworkError(f"OpenStreetMap's Overpass service sent no streets: {reason}", hint=hint) from error
        log.info("OSMnx: %s", error)
        nothing: nx.MultiDiGraph = nx.MultiDiGraph(crs=frames.CRS)
        return nothing


@contextmanager
def _osmnx_settings() -> Iterator[None]:
    """
    Let OSMnx keep its answers in the user's cache, not in the working directory, and take our tags.

    Where the service cannot be reached OSMnx would wait a minute for its status, and ask another
    service for its address; then it is to try at once, and be content with its cache.
    """
    import osmnx
    import platformdirs

    settings = osmnx.settings
    ours: dict[str, Any] = {"useful_tags_way": list(TAGS)}
    if str(settings.cache_folder) == "./cache":  # OSMnx's default: the user has not chosen one
        ours["cache_folder"] = Path(platformdirs.user_cache_dir("mlygeo")) / "osmnx"
    if not _reachable(settings.overpass_url):
        ours |= {"overpass_rate_limit": False, "doh_url_template": None}
    before = {name: getattr(settings, name) for name in ours}
    resolve = socket.getaddrinfo  # OSMnx puts its own in this place, and leaves it there
    for name, value in ours.items():
        setattr(settings, name, value)
    try:
        yield
    finally:
        socket.getaddrinfo = resolve
        for name, value in before.items():
            setattr(settings, name, value)


def _reachable(url: str) -> bool:
    """Return whether a host answers; taken for granted behind a proxy, where a socket says nothing."""
    parts = urlsplit(url)
    if getproxies():
        return True
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 443), timeout=REACH_TIMEOUT_S):
            return True
    except OSError:
        return False


def _inside_antimeridian(polygon: Any) -> Any:
    """Take a strip along the antimeridian off a polygon: OSMnx asks for 500 m around it, and cannot ask beyond 180°."""
    import shapely

    west, south, east, north = polygon.bounds
    strip = 1.05 * BUFFER_M / 111_000 / np.cos(np.radians(min(max(abs(south), abs(north)), 89)))
    if west - strip >= -180 and east + strip <= 180:
        return polygon
    log.warning("streets within %.4f° of the antimeridian cannot be fetched; a file of streets has them", strip)
    return shapely.intersection(polygon, shapely.box(-180 + strip, south, 180 - strip, north))
