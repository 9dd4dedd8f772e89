"""Streets of OpenStreetMap files -> the graph of a region, built and simplified by the rules of OSMnx."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.arrays import runs
from mlygeo.readers.osm_files import DEGREE
from mlygeo.readers.street_edges import COLUMNS
from mlygeo.readers.street_pieces import BACKWARD, BOTH, flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    import networkx as nx
    from shapely import MultiPolygon, Polygon

    from mlygeo.arrays import Bounds
    from mlygeo.readers.street_pieces import Pieces

BUFFER_M = 500.0
"""OSMnx simplifies the network within this distance of a region, metres, before it cuts the region out."""


@dataclass
class OsmData:
    """Streets of an OpenStreetMap file, in its order."""

    nodes: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Longitude and latitude, degrees."""
    ways: dict[int, tuple[dict[str, str], list[list[int]]]] = field(default_factory=dict)
    """Tags, and the nodes of each piece."""


def of_boxes(pieces: Pieces, boxes: Sequence[Bounds]) -> OsmData:
    """
    Return the streets of a file in some boxes, which have to fit into memory.

    Parameters
    ----------
    pieces
        The streets of the file.
    boxes
        West, south, east, north in degrees; a node is taken where it lies in one of them.
    """
    nodes: dict[int, tuple[int, float, float]] = {}
    ways: dict[int, tuple[int, dict[str, str], list[list[int]]]] = {}
    for number in pieces.blocks:
        block = pieces.block(number)
        vertices = block.vertices
        lon, lat = vertices.x / DEGREE, vertices.y / DEGREE
        here = np.zeros(len(lon), dtype=bool)
        for west, south, east, north in boxes:
            here |= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        goes_on = np.zeros(len(lon), dtype=bool)
        goes_on[1:] = here[1:] & here[:-1] & ~vertices.last[:-1]
        at = np.flatnonzero(here)
        if not len(at):
            continue
        _, first = runs(np.cumsum(~goes_on)[at])
        each = (of[at].tolist() for of in (vertices.id, vertices.order, lon, lat))
        nodes |= {node: (order, x, y) for node, order, x, y in zip(*each, strict=True)}
        texts = pieces.texts(block)
        for row, ids in zip(vertices.way[at[first]].tolist(), np.split(vertices.id[at], first[1:]), strict=True):
            values = zip(COLUMNS, texts[row].decode().split("\0"), strict=True)
            tags = {name: value for name, value in values if value and name != "osmid"}
            place = int(block.ways["place"][row])
            ways.setdefault(place, (int(block.ways["id"][row]), tags, []))[2].append(ids.tolist())
    return OsmData(
        {node: (lon, lat) for node, (_, lon, lat) in sorted(nodes.items(), key=lambda item: item[1][0])},
        {osmid: (tags, several) for _, (osmid, tags, several) in sorted(ways.items())},
    )


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
        traffic = flow(tags)
        oneway, against = traffic != BOTH, traffic == BACKWARD
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
        graph = _within(graph, wider(polygon))
    graph, dropped_m = _connected(graph, retain_all=retain_all)
    graph = osmnx.simplify_graph(graph)
    if polygon is not None:
        graph = _within(graph, polygon)
        graph, dropped_later_m = _connected(graph, retain_all=retain_all)
        dropped_m += dropped_later_m
    return graph, dropped_m


def wider(polygon: Polygon | MultiPolygon) -> Any:
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
    """Return the largest component, in the order of the graph, and the length of the others, metres."""
    import networkx as nx

    if retain_all or not graph.number_of_nodes():
        return graph, 0.0
    largest = max(nx.weakly_connected_components(graph), key=len)
    # the two directions of an edge count once; in whole micrometres, so that the order does not matter
    dropped_um = sum(
        round(float(edge["length"]) * 1e6) * (2 if edge["oneway"] is True else 1)
        for u, _, edge in graph.edges(data=True)
        if u not in largest
    )
    graph = graph.copy()
    graph.remove_nodes_from([node for node in graph if node not in largest])
    return graph, dropped_um / 2e6
