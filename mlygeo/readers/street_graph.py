"""OpenStreetMap files -> street graphs, built and simplified by the rules of OSMnx."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import networkx as nx
    from shapely import MultiPolygon, Polygon

log = logging.getLogger("mlygeo.osm")

FORMATS = {".pbf": "pbf", ".osm": "osm", ".xml": "osm", ".gz": "osm.gz", ".bz2": "osm.bz2"}
"""libosmium's format for each ending of an OpenStreetMap file."""

NO_STREETS = re.compile("abandoned|construction|no|planned|platform|proposed|raceway|razed|rest_area|services")
"""
Values of `highway` that OSMnx's network_type="all" leaves out.

Overpass searches for the words anywhere in the value, so that "unknown" is left out as well.
"""

AREAS = re.compile("yes")
"""Values of `area` that OSMnx leaves out."""

ONEWAY = frozenset({"yes", "true", "1", "-1", "reverse", "T", "F"})
"""Values of `oneway` for which a way becomes one edge, and not one in each direction."""

AGAINST = frozenset({"-1", "reverse", "T"})
"""Values of `oneway` for which that edge runs against the way."""

TAGS = (
    "access", "area", "bridge", "est_width", "highway", "junction", "landuse", "lanes", "maxspeed", "name", "oneway",
    "ref", "service", "tunnel", "width",
)  # fmt: skip
"""Tags of ways that become columns: OSMnx's own choice."""

BUFFER_M = 500.0
"""OSMnx simplifies the network within this distance of a region, metres, before it cuts the region out."""


@dataclass
class OsmData:
    """The streets of an OpenStreetMap file, in its order."""

    nodes: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Longitude and latitude, degrees."""
    ways: dict[int, tuple[dict[str, str], list[list[int]]]] = field(default_factory=dict)
    """Tags, and the nodes of each piece."""
    cut: int = 0
    """Ways that lack nodes."""


def read_osm(path: Path) -> OsmData:
    """
    Read the streets of an OpenStreetMap file: the ways of OSMnx's network_type="all".

    Ways that leave a clipped extract refer to nodes outside it. They are cut there, and their
    pieces keep the tags.

    Parameters
    ----------
    path
        A file with an ending in `FORMATS`. Ways may come before their nodes.

    Raises
    ------
    FormatError
        If it is damaged, or not an OpenStreetMap file.
    """
    import osmium

    file = osmium.io.File(str(path), FORMATS[path.suffix.lower()])
    data = OsmData()
    found: Iterable[Any] = osmium.FileProcessor(file, osmium.osm.WAY).with_filter(osmium.filter.KeyFilter("highway"))
    try:
        # of a repeated way the last version is used, in the place of the first, as in OSMnx
        ways = {
            way.id: ({tag.k: tag.v for tag in way.tags}, [node.ref for node in way.nodes])
            for way in found
            if not way.deleted and _is_street(way.tags)
        }
        wanted = {ref for _, refs in ways.values() for ref in refs}
        nodes: Iterable[Any] = osmium.FileProcessor(file, osmium.osm.NODE)
        for node in nodes:
            if node.id in wanted and not node.deleted and node.location.valid():
                data.nodes[node.id] = (node.location.lon, node.location.lat)
    except (RuntimeError, osmium.InvalidLocationError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise FormatError(
            f"{path.name} cannot be read as OpenStreetMap data: {reason}", hint="fetch it again; it may be incomplete"
        ) from error
    for number, (tags, refs) in ways.items():
        pieces = [list(piece) for known, piece in groupby(refs, key=data.nodes.__contains__) if known]
        data.cut += len(pieces) != 1 or len(pieces[0]) != len(refs)
        data.ways[number] = ({tag: tags[tag] for tag in TAGS if tag in tags}, pieces)
    log.info(
        "read %s streets with %s nodes from %s; %s cut where nodes are missing",
        f"{len(data.ways):,}", f"{len(data.nodes):,}", path.name, f"{data.cut:,}",
    )  # fmt: skip
    return data


def _is_street(tags: Any) -> bool:
    return not NO_STREETS.search(tags["highway"]) and not AREAS.search(tags.get("area", ""))


def build_graph(data: OsmData) -> nx.MultiDiGraph:
    """
    Return the graph with an edge between neighbouring nodes of streets, as `osmnx.graph_from_xml` builds it.

    Not simplified; with `length` (metres, great circle).
    """
    import networkx as nx
    import osmnx

    graph = nx.MultiDiGraph(crs=frames.CRS.lower())
    graph.add_nodes_from((number, {"y": lat, "x": lon}) for number, (lon, lat) in data.nodes.items())
    for osmid, (tags, pieces) in data.ways.items():
        oneway = tags.get("oneway") in ONEWAY or tags.get("junction") == "roundabout"
        against = oneway and tags.get("oneway") in AGAINST
        attributes = {"osmid": osmid, **tags, "oneway": oneway}
        for piece in pieces:
            nodes = [number for number, _ in groupby(piece)]
            edges = list(pairwise(reversed(nodes) if against else nodes))
            graph.add_edges_from(edges, **attributes, reversed=False)
            if not oneway:
                graph.add_edges_from([(v, u) for u, v in edges], **attributes, reversed=True)
    return osmnx.distance.add_edge_lengths(graph) if graph.number_of_edges() else graph


def simplify(
    graph: nx.MultiDiGraph, polygon: Polygon | MultiPolygon | None, *, retain_all: bool
) -> tuple[nx.MultiDiGraph, float]:
    """
    Cut a region out of a graph and simplify it, in the order of OSMnx.

    Parameters
    ----------
    graph
        As `build_graph` returns it.
    polygon
        The region, EPSG:4326, on one side of the antimeridian; None for the whole graph.
    retain_all
        Keep every component, and not only the largest (weakly connected, by its nodes).

    Returns
    -------
    graph, dropped_m
        The graph, without nodes where no street is in the region, and the length of the streets in
        components that were left out, metres.
    """
    import osmnx

    if polygon is not None:
        graph = _within(graph, _wider(polygon))
    graph, dropped_m = _connected(graph, retain_all=retain_all)
    graph = osmnx.simplify_graph(graph)
    if polygon is not None:
        graph = _within(graph, polygon)
        graph, dropped_later_m = _connected(graph, retain_all=retain_all)
        dropped_m += dropped_later_m
    return graph, dropped_m


def _wider(polygon: Polygon | MultiPolygon) -> Any:
    """Return a polygon widened by `BUFFER_M`, as OSMnx does it."""
    import osmnx
    import shapely

    plane: Any
    plane, crs = osmnx.projection.project_geometry(polygon)
    wider: Any
    wider, _ = osmnx.projection.project_geometry(plane.buffer(BUFFER_M), crs=crs, to_latlong=True)
    west, south, east, north = wider.bounds
    if east - west <= 180:
        return wider
    # it crosses the antimeridian, where the conversion back to degrees turns it inside out
    west, south, east, north = polygon.bounds
    reach = BUFFER_M / 111_000 / np.array([np.cos(np.radians(max(abs(south), abs(north)))), 1])
    return shapely.box(
        max(west - reach[0], -180), max(south - reach[1], -90), min(east + reach[0], 180), min(north + reach[1], 90)
    )


def _within(graph: nx.MultiDiGraph, polygon: Polygon | MultiPolygon) -> nx.MultiDiGraph:
    import osmnx

    try:
        return osmnx.truncate.truncate_graph_polygon(graph, polygon)
    except ValueError:  # "Found no graph nodes within the requested polygon."
        return graph.subgraph([]).copy()


def _connected(graph: nx.MultiDiGraph, *, retain_all: bool) -> tuple[nx.MultiDiGraph, float]:
    import osmnx

    if retain_all or not graph.number_of_nodes():
        return graph, 0.0
    largest = osmnx.truncate.largest_component(graph, strongly=False)
    return largest, max(_length(graph) - _length(largest), 0.0)


def _length(graph: nx.MultiDiGraph) -> float:
    """Return the length of a graph's streets, metres; the two directions of an edge count once."""
    return sum(
        float(edge["length"]) * (1.0 if edge["oneway"] is True else 0.5) for _, _, edge in graph.edges(data=True)
    )
