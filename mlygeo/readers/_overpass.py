"""Streets from OpenStreetMap's Overpass service, through OSMnx and its cache."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import NetworkError
from mlygeo.osm import our_osmnx
from mlygeo.readers.street_graph import BUFFER_M, TAGS

if TYPE_CHECKING:
    import networkx as nx

log = logging.getLogger("mlygeo.osm")

EMPTY = ("No data elements in server response", "Found no graph nodes within the requested polygon")
"""How OSMnx's errors begin where there are no streets."""


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
        with our_osmnx(osmnx.settings.overpass_url, useful_tags_way=list(TAGS)):
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


def _inside_antimeridian(polygon: Any) -> Any:
    """Take a strip along the antimeridian off a polygon: OSMnx asks for 500 m around it, and cannot ask beyond 180°."""
    import shapely

    west, south, east, north = polygon.bounds
    strip = 1.05 * BUFFER_M / 111_000 / np.cos(np.radians(min(max(abs(south), abs(north)), 89)))
    if west - strip >= -180 and east + strip <= 180:
        return polygon
    log.warning("streets within %.4f° of the antimeridian cannot be fetched; a file of streets has them", strip)
    return shapely.intersection(polygon, shapely.box(-180 + strip, south, 180 - strip, north))
