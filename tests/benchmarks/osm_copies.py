"""Write an OpenStreetMap extract many times over, beside itself, to have one of any size: EXTRACT COPIES OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import osmium
from osmium.osm import mutable

APART = 0.5
"""Degrees from one copy to the next; more than a small extract is wide."""

IN_A_ROW = 300


def write(extract: Path, copies: int, output: Path) -> None:
    """
    Write copies with ids and places of their own, nodes before ways and both in the order of their ids.

    Parameters
    ----------
    extract
        A small .osm.pbf file in which copies of half a degree do not overlap: its nodes and ways are held in memory.
        Relations are left out.
    copies
        How often it is written.
    output
        The .osm.pbf file to write.
    """
    nodes = [
        (node.id, (node.location.x / 1e7, node.location.y / 1e7), _others(node))
        for node in osmium.FileProcessor(extract, osmium.osm.NODE)
    ]
    ways = [
        (way.id, [node.ref for node in way.nodes], _others(way))
        for way in osmium.FileProcessor(extract, osmium.osm.WAY)
    ]
    next_node, next_way = nodes[-1][0] + 1, ways[-1][0] + 1
    with osmium.SimpleWriter(str(output), overwrite=True) as writer:
        for copy in range(copies):
            east, north = (copy % IN_A_ROW) * APART - 80, (copy // IN_A_ROW) * APART - 40
            for number, (lon, lat), others in nodes:
                writer.add_node(
                    mutable.Node(id=number + copy * next_node, location=(lon + east, lat + north), **others)
                )
        for copy in range(copies):
            for number, refs, others in ways:
                moved = [ref + copy * next_node for ref in refs]
                writer.add_way(mutable.Way(id=number + copy * next_way, nodes=moved, **others))


def _others(element: Any) -> dict[str, Any]:
    """Return what an element says besides its id and place; sizes of files hang on it."""
    names = ("version", "changeset", "timestamp", "uid", "user")
    return {"tags": {tag.k: tag.v for tag in element.tags}, **{name: getattr(element, name) for name in names}}


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
