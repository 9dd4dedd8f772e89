"""OpenStreetMap files, block by block: the ways that are streets, and the positions of all nodes."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mlygeo.arrays import Whole, Whole32

FORMATS = {".pbf": "pbf", ".osm": "osm", ".xml": "osm", ".gz": "osm.gz", ".bz2": "osm.bz2"}
"""libosmium's format for each ending of an OpenStreetMap file."""

NO_STREETS = re.compile("abandoned|construction|no|planned|platform|proposed|raceway|razed|rest_area|services")
"""
Values of `highway` that OSMnx's network_type="all" leaves out.

Overpass searches for the words anywhere in the value, so that "unknown" is left out as well.
"""

AREAS = re.compile("yes")
"""Values of `area` that OSMnx leaves out."""

BLOCK = 250_000
"""Nodes, or nodes of ways, that are read at a time."""


class Way(NamedTuple):
    """A street: its id, tags and the ids of its nodes."""

    id: int
    tags: dict[str, str]
    refs: list[int]


class Nodes(NamedTuple):
    """Ids of nodes, and their longitude and latitude in units of 1e-7 degrees, int32, as OpenStreetMap has them."""

    id: Whole
    x: Whole32
    y: Whole32


def streets(path: Path) -> Iterator[Way]:
    """
    Read the ways of OSMnx's network_type="all" of a file, in its order; deleted ones are left out.

    Parameters
    ----------
    path
        A file with an ending in `FORMATS`. Of ways and nodes either may come first.

    Raises
    ------
    FormatError
        If it is damaged, a history, or not an OpenStreetMap file.
    """
    import osmium

    with _readable(path):
        found: Iterable[Any] = osmium.FileProcessor(_file(path), osmium.osm.WAY).with_filter(
            osmium.filter.KeyFilter("highway")
        )
        for way in found:
            if not way.deleted and _is_street(way.tags):
                yield Way(way.id, {tag.k: tag.v for tag in way.tags}, [node.ref for node in way.nodes])


def nodes(path: Path, block: int = BLOCK) -> Iterator[Nodes]:
    """
    Read the nodes of a file, in its order; deleted ones and those without a valid position are left out.

    Parameters
    ----------
    path
        A file with an ending in `FORMATS`.
    block
        Nodes that are held at a time.

    Raises
    ------
    FormatError
        If it is damaged, a history, or not an OpenStreetMap file.
    """
    import osmium

    with _readable(path):
        found: Iterable[Any] = osmium.FileProcessor(_file(path), osmium.osm.NODE)
        rows: list[tuple[int, int, int]] = []
        for node in found:
            place = node.location
            if not node.deleted and place.valid():
                rows.append((node.id, place.x, place.y))
                if len(rows) == block:
                    yield _columns(rows)
                    rows = []
        if rows:
            yield _columns(rows)


def _columns(rows: list[tuple[int, int, int]]) -> Nodes:
    table = np.array(rows, dtype=np.int64)
    return Nodes(table[:, 0], table[:, 1].astype(np.int32), table[:, 2].astype(np.int32))


def _is_street(tags: Any) -> bool:
    return not NO_STREETS.search(tags["highway"]) and not AREAS.search(tags.get("area", ""))


def _file(path: Path) -> Any:
    """Open a file for libosmium; raise if it holds the versions of objects, of which none is the present one."""
    import osmium

    file = osmium.io.File(str(path), FORMATS[path.suffix.lower()])
    with osmium.io.Reader(file, osmium.osm.NOTHING) as reader:
        several = reader.header().has_multiple_object_versions
    if several:
        raise FormatError(
            f"{path.name} is a history: it has all versions of each street",
            hint="take an extract of one day; 'osmium time-filter' makes it",
        )
    return file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    import osmium

    try:
        yield
    except FormatError:
        raise
    except (RuntimeError, osmium.InvalidLocationError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise FormatError(
            f"{path.name} cannot be read as OpenStreetMap data: {reason}", hint="fetch it again; it may be incomplete"
        ) from error
