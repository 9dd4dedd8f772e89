"""
Tiles of a base map that are put into the page: of an archive, or vector tiles of a server.

A page that was opened from the disk may not read a file beside it, and vector tiles have to be decoded. So the tiles
around what the map shows are read when it is made, from coarse to fine, as far as the budget goes.
"""

from __future__ import annotations

import base64
import json
import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FormatError, InputError
from mlygeo.net import http
from mlygeo.net.answers import NotFoundError
from mlygeo.net.files import Files
from mlygeo.plotting import ground as base
from mlygeo.plotting.columns import Packer
from mlygeo.plotting.thinning import WORLD
from mlygeo.plotting.vector_tiles import LOOKS, Shapes
from mlygeo.progress import counted, working
from mlygeo.store import tile_archives

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlygeo.plotting.ground import Ground

    Address = tuple[int, int, int]
    Fetch = Callable[[list[Address]], Iterable[bytes | None]]

MOST_BYTES = 8_000_000
"""The budget: bytes of the page that a base map may take."""

MOST_HELD = 128 << 20
"""Bytes of the tiles of one zoom, at most: real ones have less than a hundredth."""

MOST_TILES, MOST_ASKED_FOR = 1500, 300
"""Most tiles that are read from this machine, and from a server, which each answers to a request."""

WIDER = {"shapes": 1.5, "pictures": 2.0}
"""How far beyond what the map shows tiles are taken, in tiles of each zoom: about half of a screen."""

COARSER = 3
"""Zooms that are taken beside the one at which the whole map is one tile: for who zooms out."""

FINEST = 14
"""The finest zoom of vector tiles of a server in all three schemas; it does not say itself."""

DEEPEST = 19
"""The finest zoom of an archive that is looked at; columns of tiles then fit into 32 bits with their steps."""


@dataclass(frozen=True)
class Laid:
    """
    A base map as it is put into a page.

    Parameters
    ----------
    about
        What the page has to know of it.
    content
        Its tiles or levels, JSON.
    notes
        What of it is not there, in sentences.
    """

    about: dict[str, Any]
    content: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class _Level:
    zoom: int
    about: list[dict[str, Any]]
    content: Any
    size: int


@dataclass
class _Taken:
    """What was read so far."""

    levels: list[_Level] = field(default_factory=list)
    absent: tuple[int, int] = (0, 0)
    broken: list[str] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    known: bool = False


@working("laying the base map")
def lay(ground: Ground, view: list[float]) -> Laid:
    """
    Return a base map as it is put into a page.

    Parameters
    ----------
    ground
        The base map.
    view
        West and north edge, width and height of what the map shows, in units of the world.

    Raises
    ------
    InputError
        If it does not reach what the map shows, or is too large for the page.
    FormatError
        If it is damaged, or of a kind that cannot be shown.
    FileError, ServiceError
        If it cannot be read.
    """
    if ground.kind == "pictures":
        return Laid({"kind": "address", "url": ground.address, "zooms": [0, base.DEEPEST]})
    with ExitStack() as stack:
        if ground.kind == "archive":
            archive = stack.enter_context(tile_archives.opened(ground.address))
            _must_meet(archive, view)
            kind, unpack = ("shapes", None) if archive.kind == "vector" else ("pictures", archive.picture)
            pool = stack.enter_context(ThreadPoolExecutor(base.AT_ONCE if ground.is_remote else 1))
            fetch = partial(pool.map, archive.tile)
            taken = _taken(lambda all_of: fetch(*_columns(all_of)), unpack, archive.zooms, view, ground)
            picture = archive.kind
        else:
            client = stack.enter_context(http.Client(Files(), connections=base.AT_ONCE))
            pool = stack.enter_context(ThreadPoolExecutor(base.AT_ONCE))
            kind, picture = "shapes", ""
            fetch = partial(pool.map, partial(_asked, client, ground))
            taken = _taken(lambda all_of: fetch(*_columns(all_of)), None, (0, FINEST), view, ground)
    zooms = [taken.levels[0].zoom, taken.levels[-1].zoom]
    if kind == "pictures":
        tiles = {name: text for level in taken.levels for name, text in level.content.items()}
        return Laid({"kind": kind, "type": picture, "zooms": zooms}, json.dumps(tiles), _notes(taken, ground))
    levels = [{"zoom": level.zoom, "parts": level.about} for level in taken.levels]
    content = json.dumps([level.content for level in taken.levels])
    return Laid({"kind": kind, "looks": LOOKS, "levels": levels}, content, _notes(taken, ground))


def _must_meet(archive: tile_archives.Archive, view: list[float]) -> None:
    """Raise unless an archive covers some of what the map shows, as its header says."""
    west, south, east, north = archive.bounds
    if west >= east or south >= north:  # it does not say
        return
    left, top, wide, high = view
    first, last = (base.latitude((top + step) / WORLD, 0) for step in (high, 0.0))
    begin, end = left / WORLD * 360 - 180, (left + wide) / WORLD * 360 - 180
    if last < south or first > north or not any(begin + turn <= east and end + turn >= west for turn in (-360, 0, 360)):
        raise InputError(
            f"`basemap`: {archive.name} covers {west:.2f} to {east:.2f}° east and {south:.2f} to {north:.2f}° north;"
            f" the map shows {begin:.2f} to {end:.2f}° east and {first:.2f} to {last:.2f}° north",
            hint="take an archive of the same region",
        )


def _taken(
    fetch: Fetch,
    picture: Callable[[bytes], bytes] | None,
    zooms: tuple[int, int],
    view: list[float],
    ground: Ground,
) -> _Taken:
    """Return the levels that fit into the page, from coarse to fine; `picture` unpacks one, None for shapes."""
    whole = math.floor(math.log2(WORLD / max(view[2], view[3])))
    least, most = zooms[0], min(zooms[1], DEEPEST)
    start = max(min(whole, most) - COARSER, least)
    taken, asked, size = _Taken(), 0, 0
    room = MOST_ASKED_FOR if ground.is_remote else MOST_TILES
    for zoom in range(start, most + 1):
        columns, rows = _around(view, zoom, WIDER["pictures" if picture else "shapes"])
        count = len(columns) * len(rows)
        asked += count
        if asked > room:
            if not taken.levels:
                raise _too_large(ground, f"zoom {zoom}, its coarsest, has {count:,} tiles there, of which"
                                 f" {room:,} may be read")  # fmt: skip
            break
        tiles = _read(fetch, _addresses(zoom, columns, rows), ground)
        middle = set(_addresses(zoom, *_around(view, zoom, 0.0)))
        before = replace(taken, broken=list(taken.broken), others=set(taken.others))
        level = _pictures(zoom, tiles, picture, taken) if picture else _shapes(zoom, tiles, taken)
        if size + level.size > MOST_BYTES:
            if not taken.levels:
                raise _too_large(ground, f"zoom {zoom} alone takes {level.size / 1e6:.1f} MB of {MOST_BYTES / 1e6:.0f}")
            taken = before
            break
        if not middle & tiles.keys():
            continue  # an archive may begin at a finer zoom than its header says
        taken.absent = (len(middle - tiles.keys()), len(middle))
        taken.levels.append(level)
        size += level.size
    if not taken.levels and taken.broken:
        raise FormatError(f"`basemap`: no tile of {ground.name} can be read: {taken.broken[0]}")
    if not taken.levels:
        raise InputError(f"`basemap`: {ground.name} has no tile where the map is")
    return taken


def _read(fetch: Fetch, addresses: list[Address], ground: Ground) -> dict[Address, bytes]:
    """Return those of some tiles that are there."""
    found, held = {}, 0
    for address, content in zip(addresses, fetch(addresses), strict=True):
        if content:
            found[address] = content
            held += len(content)
        if held > MOST_HELD:
            raise _too_large(ground, f"the tiles of zoom {address[0]} have more than {MOST_HELD >> 20} MiB")
    return found


def _too_large(ground: Ground, why: str) -> InputError:
    return InputError(
        f"`basemap`: {ground.name} is too large for this map: {why}",
        hint="take an archive with coarser zooms, or draw a smaller region",
    )


def _columns(addresses: list[Address]) -> tuple[tuple[int, ...], ...]:
    return tuple(zip(*addresses, strict=True))


def _asked(client: http.Client, ground: Ground, zoom: int, column: int, row: int) -> bytes | None:
    url = ground.tile(zoom, column, row)
    try:
        return client.get(url, what=f"tile {zoom}/{column}/{row} of {ground.name}")
    except NotFoundError:
        return None


def _around(view: list[float], zoom: int, wider: float) -> tuple[range, range]:
    """Return the columns and rows of the tiles of what the map shows, and some around it; columns go on round."""
    side, count = WORLD / 2**zoom, 2**zoom
    left, top, wide, high = view
    first, last = math.floor(left / side - wider), math.floor((left + wide) / side + wider)
    last = min(last, first + count - 1)
    upper, lower = max(math.floor(top / side - wider), 0), min(math.floor((top + high) / side + wider), count - 1)
    return range(first, last + 1), range(upper, lower + 1)


def _addresses(zoom: int, columns: range, rows: range) -> list[Address]:
    return [(zoom, column % 2**zoom, row) for row in rows for column in columns]


def _pictures(zoom: int, tiles: dict[Address, bytes], picture: Callable[[bytes], bytes], taken: _Taken) -> _Level:
    content = {}
    for address in list(tiles):
        name = "/".join(map(str, address))
        try:
            content[name] = base64.b64encode(picture(tiles[address])).decode()
        except FormatError as error:
            taken.broken.append(f"{name}: {error}")
            del tiles[address]
    return _Level(zoom, [], content, sum(len(name) + len(text) + 6 for name, text in content.items()))


def _shapes(zoom: int, tiles: dict[Address, bytes], taken: _Taken) -> _Level:
    shapes = Shapes(zoom)
    for address in list(tiles):
        try:
            shapes.add(tiles[address], *address[1:])
        except FormatError as error:
            taken.broken.append(f"{zoom}/{address[1]}/{address[2]}: {error}")
            del tiles[address]
    taken.known |= shapes.known
    taken.others |= shapes.others
    packer, about = Packer(), []
    for look, part in shapes.parts():
        x, y = part.places.T.clip(0, 2 ** (zoom + 12))
        found = {
            "look": look,
            "x": packer.add(x.clip(0, 2**32 - 1), "u4", differences=True),
            "y": packer.add(y.clip(0, 2**32 - 1), "u4", differences=True),
            "counts": packer.add(part.counts, "u4"),
        }
        if part.rings is not None:
            found["rings"] = packer.add(part.rings, "u4")
        about.append(found)
    text = packer.text()
    return _Level(zoom, about, text, len(text))


def _notes(taken: _Taken, ground: Ground) -> list[str]:
    """Return what of the base map is in the page, and what is not, in sentences."""
    first, last = taken.levels[0].zoom, taken.levels[-1].zoom
    size = sum(level.size for level in taken.levels)
    zooms = f"zoom {first}" if first == last else f"zooms {first} to {last}"
    said = [f"base map: {zooms} of {ground.name} in the page, {size / 1e6:.1f} MB"]
    absent, middle = taken.absent
    if absent:
        said.append(f"base map: {absent:,} of {middle:,} tiles of zoom {last} are not there")
    if taken.broken:
        said.append(f"base map: {counted(len(taken.broken), 'tile')} cannot be read ({taken.broken[0]})")
    if taken.others:
        names = ", ".join(sorted(taken.others)[:5]) + (", …" if len(taken.others) > 5 else "")
        several = "s" if len(taken.others) > 1 else ""
        how = "left out" if taken.known else "drawn as grey lines"
        said.append(f"base map: layer{several} {names} of no known schema, {how}")
    return said
