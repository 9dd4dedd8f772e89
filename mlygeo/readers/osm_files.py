"""OpenStreetMap files, block by block: the ways that are streets, and the positions of all nodes."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.errors import FormatError
from mlygeo.extras import missing
from mlygeo.formats import osm_pbf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mlygeo.arrays import Whole

log = logging.getLogger("mlygeo.osm")

FORMATS = {".pbf": "pbf", ".osm": "osm", ".xml": "osm", ".gz": "osm.gz", ".bz2": "osm.bz2"}
"""libosmium's format for each ending of an OpenStreetMap file."""

NO_STREETS = re.compile("abandoned|construction|no|planned|platform|proposed|raceway|razed|rest_area|services")
"""
Values of `highway` that the network_type="all" of OSMnx 2.1 leaves out; that of 2.0 has `rest_area` and `services`.

Overpass searches for the words anywhere in the value, so that "unknown" is left out as well.
"""

AREAS = re.compile("yes")
"""Values of `area` that OSMnx leaves out."""

OVERPASS = f'["highway"]["area"!~"{AREAS.pattern}"]["highway"!~"{NO_STREETS.pattern}"]'
"""The same as a filter of Overpass, so that what is downloaded are the streets that files have, with any OSMnx."""

DEGREE = 10_000_000
"""OpenStreetMap's unit of coordinates, in a degree."""

BLOCK = 250_000
"""Nodes, or nodes of ways, that are read at a time."""


class Way(NamedTuple):
    """A street: its id, tags and the ids of its nodes."""

    id: int
    tags: dict[str, str]
    refs: list[int]


class Nodes(NamedTuple):
    """Ids of nodes, and their longitude and latitude in units of 1e-7 degrees, as OpenStreetMap has them; int64."""

    id: Whole
    x: Whole
    y: Whole


def streets(path: Path) -> Iterator[Way]:
    """
    Read the ways of OSMnx's network_type="all" of a file, in its order; deleted ones are left out.

    Parameters
    ----------
    path
        A file with an ending in `FORMATS`. Of ways and nodes either may come first.

    Raises
    ------
    DependencyError
        If pyosmium is not installed.
    FormatError
        If it is damaged, a history, or not an OpenStreetMap file.
    """
    osmium = _osmium()
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
    DependencyError
        If pyosmium is not installed.
    FormatError
        If it is damaged, a history, or not an OpenStreetMap file.
    """
    with _readable(path):
        file = _file(path)
        for found in _of_pbf(path, block) if FORMATS[path.suffix.lower()] == "pbf" else _of_any(file, block):
            # as in libosmium, a position beyond the Earth is none
            valid = (np.abs(found.x) <= 180 * DEGREE) & (np.abs(found.y) <= 90 * DEGREE)
            yield Nodes(*(each[valid] for each in found))


def _of_any(file: Any, block: int) -> Iterator[Nodes]:
    osmium = _osmium()
    rows: list[tuple[int, int, int]] = []
    found: Iterable[Any] = osmium.FileProcessor(file, osmium.osm.NODE)
    for node in found:
        if not node.deleted:
            rows.append((node.id, node.location.x, node.location.y))
            if len(rows) == block:
                yield Nodes(*np.array(rows, dtype=np.int64).T)
                rows = []
    if rows:
        yield Nodes(*np.array(rows, dtype=np.int64).T)


def _of_pbf(path: Path, block: int) -> Iterator[Nodes]:
    """
    Read the nodes of a .osm.pbf file in columns.

    pyosmium gives them one by one, which takes ten times as long (2.7 µs for each, measured).
    """
    held: list[osm_pbf.Nodes] = []
    count, kinds = 0, set[str]()
    with path.open("rb") as file:
        for data in osm_pbf.blocks(file):
            kinds |= osm_pbf.kinds(data)
            for found in osm_pbf.nodes(data):
                held.append(found)
                count += len(found.id)
            if count >= block:
                yield _joined(held)
                held, count = [], 0
    _check_end(path, kinds)
    if held:
        yield _joined(held)


def _check_end(path: Path, kinds: set[str]) -> None:
    """
    Raise where a file has nodes and no ways; warn where it has ways and no relations, which come last.

    A download that was cut off between two blobs looks like a whole file otherwise.
    """
    import osmium

    if kinds == {"nodes"}:
        raise FormatError(
            f"{path.name} has nodes and no ways, which follow them: its end is missing",
            hint="fetch it again, and compare its size or checksum with that of the server",
        )
    with osmium.io.Reader(osmium.io.File(str(path), "pbf"), osmium.osm.NOTHING) as reader:
        is_sorted = reader.header().get("sorting", "") == "Type_then_ID"
    if is_sorted and "ways" in kinds and "relations" not in kinds:
        log.warning(
            "%s ends with its ways, and has no relations: either these were filtered out, or its end is missing, and"
            " streets with it (compare its size or checksum with that of the server)", path.name,
        )  # fmt: skip


def _joined(several: list[osm_pbf.Nodes]) -> Nodes:
    visible = np.concatenate([each.visible for each in several])
    return Nodes(*(np.concatenate(columns)[visible] for columns in zip(*(each[:3] for each in several), strict=True)))


def _is_street(tags: Any) -> bool:
    return not NO_STREETS.search(tags["highway"]) and not AREAS.search(tags.get("area", ""))


def _osmium() -> Any:
    try:
        import osmium
    except ImportError as error:
        raise missing("OpenStreetMap's own files are read with pyosmium", "osm") from error
    return osmium


def _file(path: Path) -> Any:
    """Open a file for libosmium; raise if it holds the versions of objects, of which none is the present one."""
    osmium = _osmium()
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
    osmium = _osmium()
    try:
        yield
    except (RuntimeError, osmium.InvalidLocationError, ValueError) as error:
        if isinstance(error, FormatError) and error.hint:
            raise
        reason = " ".join(str(error).split())
        raise FormatError(
            f"{path.name} cannot be read as OpenStreetMap data: {reason}", hint="fetch it again; it may be incomplete"
        ) from error
