"""
The streets of an OpenStreetMap file as pieces of ways with their nodes, block by block.

Nodes are found by their ids in buckets that lie on disk (`store.spilled`): references, nodes and what is known of
them meet bucket by bucket, and go back to the ways in blocks, which have the order of the file.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.arrays import numbered, runs
from mlygeo.errors import FormatError
from mlygeo.progress import working
from mlygeo.readers import osm_files
from mlygeo.store.spilled import Spilled, bounds

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    import numpy.typing as npt

    from mlygeo.arrays import Flags, Whole, Whole32
    from mlygeo.readers.osm_files import Way

log = logging.getLogger("mlygeo.osm")

ONEWAY = frozenset({"yes", "true", "1", "-1", "reverse", "T", "F"})
"""Values of `oneway` for which a way becomes one edge, and not one in each direction."""

AGAINST = frozenset({"-1", "reverse", "T"})
"""Values of `oneway` for which that edge runs against the way."""

ROWS = 2_000_000
"""References that are worked on at once; a row takes up to 200 bytes on the way."""

WIDTH = 26
"""Bits for the place of an edge in its way; a way may have 33 million nodes."""

BOTH, ALONG, BACKWARD = 0, 1, 2
"""Directions of traffic on a way, seen along its nodes."""

JOINT, END, ODD = 0, 1, 2
"""Kinds of nodes: one that is passed through, one at which streets end, and one at which a walk has to look around."""

_SAMPLED = 128
"""One reference of so many is kept in memory, to see how ids are spread."""

_HELD = 3
"""Buckets of wanted ids that are held at a time while nodes are read in the order of their ids."""

_REFERENCE = np.dtype([("id", "i8"), ("place", "i8")])
_NODE = np.dtype([("id", "i8"), ("order", "i8"), ("x", "i4"), ("y", "i4")])
_FOUND = np.dtype([("place", "i8"), ("order", "i8"), ("x", "i4"), ("y", "i4")])
_SIDE = np.dtype([("id", "i8"), ("neighbour", "i8"), ("piece", "i8"), ("way", "i1")])
_KIND = np.dtype([("id", "i8"), ("kind", "i1")])
_MET = np.dtype([("piece", "i4"), ("nodes", "i4")])
_WAY = np.dtype([("id", "i8"), ("place", "i8"), ("nodes", "i4"), ("flow", "i1"), ("text", "i4"), ("used", "?")])


class Vertices(NamedTuple):
    """Nodes of pieces, one piece after the other."""

    id: Whole
    order: Whole
    """Place of the node in the file."""
    x: Whole32
    y: Whole32
    piece: Whole
    """Number of the piece, in the whole file."""
    way: Whole
    """Row of the way in the block."""
    offset: Whole
    """Number of the vertex in its way."""
    last: Flags
    """Whether it is the last of its piece."""


@dataclass
class Block:
    """Ways that follow each other in a file, and the vertices of their pieces."""

    number: int
    first_way: int
    """Number of the first way, in the whole file."""
    ways: npt.NDArray[Any]
    vertices: Vertices

    @property
    def flow(self) -> npt.NDArray[np.int8]:
        """Direction of traffic at each vertex."""
        flow: npt.NDArray[np.int8] = self.ways["flow"][self.vertices.way]
        return flow

    def sequence(self) -> tuple[Whole, Whole]:
        """
        Return when the edge from each vertex to the next, and that back, come into OSMnx's graph.

        Of a way those along it come first, then those back; with traffic backward only, these from its end. Where
        there is no such edge the number has no meaning.
        """
        vertices = self.vertices
        count, _ = runs(vertices.piece)
        nodes = np.repeat(count, count)
        step = numbered(count)
        base = (self.ways["place"][vertices.way] << WIDTH) + 2 * (vertices.offset - step)
        back = np.where(self.flow == BACKWARD, nodes - 2 - step, nodes - 1 + step)
        return base + step, base + back


class Pieces:
    """
    All streets of a file, in blocks that follow its order.

    Parameters
    ----------
    path
        An OpenStreetMap file; see `osm_files.FORMATS`.
    encode
        Gives the text that is kept of a way, such as its tags.
    close
        Takes what has to be closed when all is done.
    rows
        References that are worked on at once.

    Raises
    ------
    FormatError
        If the file is damaged, a history, or not an OpenStreetMap file.
    FileError
        If the disk is too small.
    """

    def __init__(self, path: Path, encode: Callable[[Way], bytes], close: ExitStack, *, rows: int = ROWS) -> None:
        self.path, self.rows, self._close = path, rows, close
        self.ways = self.ways_cut = self.ways_lost = 0
        """Ways, each once; those that lack nodes; those of which no two neighbouring nodes are in the file."""
        self._first_way, self._first_reference, self._first_piece = [0], [0], [0]
        self._ways, self._texts, self._refs = self._spilled(_WAY), self._spilled(np.uint8), self._spilled(np.int64)
        sample = self._read_ways(encode)
        self._moved, self._dropped = self._repeated()
        self.bounds: Whole = bounds(sample, -(-self._first_reference[-1] // rows))
        self._found = self._spilled(_FOUND)
        self._find_nodes()
        self._kinds, self._pairs = self._spilled(_KIND), self._spilled(np.int32)
        self._met, self._components = self._spilled(_MET), self._spilled(np.int32)
        self._look_around()
        self._connect()

    def _spilled(self, dtype: npt.DTypeLike) -> Spilled:
        return self._close.enter_context(Spilled(dtype))

    # Ways

    def _read_ways(self, encode: Callable[[Way], bytes]) -> Whole:
        """Read the ways into blocks; return a sample of their references."""
        sampled: list[npt.NDArray[np.int64]] = []
        ways: list[tuple[Any, ...]] = []
        texts: list[bytes] = []
        refs: list[int] = []
        most = max(self.rows // 8, 1)

        def keep() -> None:
            number = len(self._first_way) - 1
            nodes = np.array(refs, dtype=np.int64)
            sampled.append(nodes[:: min(_SAMPLED, max(self.rows // 64, 1))].copy())
            self._ways.put(number, np.array(ways, dtype=_WAY))
            self._texts.put(number, np.frombuffer(b"".join(texts), dtype=np.uint8))
            self._refs.put(number, nodes)
            self._first_way.append(self._first_way[-1] + len(ways))
            self._first_reference.append(self._first_reference[-1] + len(refs))
            for each in (ways, texts, refs):
                each.clear()

        with working("reading the ways") as step:
            step.begin(None, "streets")
            for way in osm_files.streets(self.path):
                if len(way.refs) >> (WIDTH - 1):
                    raise FormatError(f"{self.path.name}: way {way.id} has {len(way.refs):,} nodes")
                text = encode(way)
                place = self._first_way[-1] + len(ways)
                ways.append((way.id, place, len(way.refs), flow(way.tags), len(text), True))
                texts.append(text)
                refs.extend(way.refs)
                if len(refs) >= most or len(ways) >= most:
                    step.advance(len(ways))
                    keep()
            if ways:
                step.advance(len(ways))
                keep()
        return np.concatenate(sampled) if sampled else np.empty(0, dtype=np.int64)

    def _repeated(self) -> tuple[Whole, Whole]:
        """
        Return which ways are used in the place of an earlier version, and which not at all.

        Of a repeated way the last version is used, in the place of the first, as OSMnx does it.

        Returns
        -------
        moved, dropped
            Numbers of ways, shape (2, n): those that move, and where to; and numbers of ways, ascending.
        """
        none = np.empty((2, 0), dtype=np.int64), np.empty(0, dtype=np.int64)
        last, ascending = None, True
        for number in self.blocks:
            ids = self._ways.take(number)["id"]
            ascending &= bool((ids[1:] > ids[:-1]).all()) and (last is None or ids[0] > last)
            last = ids[-1]
        if ascending:
            return none
        moved, dropped = [none[0]], [none[1]]
        buckets = -(-self._first_way[-1] // self.rows)
        with Spilled(np.dtype([("id", "i8"), ("number", "i8")])) as spilled:
            for number in self.blocks:
                ways = self._ways.take(number)
                rows = np.empty(len(ways), dtype=spilled.dtype)
                rows["id"], rows["number"] = ways["id"], ways["place"]
                spilled.add(ways["id"] % buckets, rows)
            for bucket in range(buckets):
                rows = spilled.take(bucket)
                rows = rows[np.lexsort((rows["number"], rows["id"]))]
                count, first = runs(rows["id"])
                final = first + count - 1
                again = count > 1
                moved.append(np.stack((rows["number"][final[again]], rows["number"][first[again]])))
                goes = np.ones(len(rows), dtype=bool)
                goes[final] = False
                dropped.append(rows["number"][goes])
        return np.concatenate(moved, axis=1), np.sort(np.concatenate(dropped))

    # Nodes

    def _find_nodes(self) -> None:
        """Find the nodes of all references."""
        references, nodes = self._spilled(_REFERENCE), self._spilled(_NODE)
        for number in self.blocks:
            refs, ways = self._refs.take(number), self._taken(number)
            rows = np.empty(len(refs), dtype=_REFERENCE)
            rows["id"], rows["place"] = refs, self._first_reference[number] + np.arange(len(refs))
            rows = rows[np.repeat(ways["used"], ways["nodes"])]
            references.add(np.searchsorted(self.bounds, rows["id"], side="right"), rows)
        with working("reading the nodes") as step:
            step.begin(None, "nodes")
            self._read_nodes(references, nodes, step.advance)
        starts = np.array(self._first_reference[1:])
        with working("finding the nodes of the ways") as step:
            step.begin(len(self.bounds) + 1, "buckets")
            for bucket in range(len(self.bounds) + 1):
                there, wanted = _each_once(nodes.take(bucket)), references.take(bucket)
                if len(there):
                    place = np.minimum(np.searchsorted(there["id"], wanted["id"]), len(there) - 1)
                    known = there["id"][place] == wanted["id"]
                    found = np.empty(int(known.sum()), dtype=_FOUND)
                    found["place"] = wanted["place"][known]
                    for name in ("order", "x", "y"):
                        found[name] = there[name][place[known]]
                    self._found.add(np.searchsorted(starts, found["place"], side="right"), found)
                step.advance()
        references.close()
        nodes.close()

    def _read_nodes(self, references: Spilled, nodes: Spilled, advance: Callable[[float], None]) -> None:
        """Keep the nodes that ways may refer to."""
        held: dict[int, Whole] = {}
        order = 0
        for block in osm_files.nodes(self.path):
            rows = np.empty(len(block.id), dtype=_NODE)
            rows["id"], rows["order"], rows["x"], rows["y"] = block.id, order + np.arange(len(rows)), block.x, block.y
            order += len(rows)
            bucket = np.searchsorted(self.bounds, block.id, side="right")
            numbers = np.unique(bucket).tolist()
            if len(numbers) <= _HELD:  # in the order of their ids: those that nothing refers to need not be kept
                wanted = np.zeros(len(rows), dtype=bool)
                for number in numbers:
                    if number not in held:
                        if len(held) >= _HELD:
                            held.pop(next(iter(held)))
                        held[number] = np.unique(references.take(number)["id"])
                    here = np.flatnonzero(bucket == number)
                    wanted[here] = within(block.id[here], held[number])
                rows, bucket = rows[wanted], bucket[wanted]
            nodes.add(bucket, rows)
            advance(len(block.id))

    # Pieces

    @property
    def blocks(self) -> range:
        """The numbers of the blocks."""
        return range(len(self._first_way) - 1)

    @property
    def count(self) -> int:
        """How many pieces there are."""
        return self._first_piece[-1]

    @property
    def references(self) -> int:
        """How many nodes the ways refer to, one counted as often as it is named."""
        return self._first_reference[-1]

    def texts(self, block: Block) -> list[bytes]:
        """Return the text that is kept of each way of a block."""
        text = self._texts.take(block.number).tobytes()
        return [text[start:stop] for start, stop in pairwise([0, *np.cumsum(block.ways["text"]).tolist()])]

    def _taken(self, number: int) -> npt.NDArray[Any]:
        """Return the ways of a block, and which of them are used."""
        ways, first = self._ways.take(number), self._first_way[number]
        here = self._dropped[np.searchsorted(self._dropped, first) : np.searchsorted(self._dropped, first + len(ways))]
        ways["used"][here - first] = False
        moves = (self._moved[0] >= first) & (self._moved[0] < first + len(ways))
        ways["place"][self._moved[0, moves] - first] = self._moved[1, moves]
        return ways

    def block(self, number: int) -> Block:
        """Return the pieces of a block of ways: runs of two nodes or more that the file has."""
        ways, refs, found = self._taken(number), self._refs.take(number), self._found.take(number)
        place = found["place"] - self._first_reference[number]
        known = np.zeros(len(refs), dtype=bool)
        known[place] = True
        order, x, y = np.zeros(len(refs), np.int64), np.zeros(len(refs), np.int32), np.zeros(len(refs), np.int32)
        order[place], x[place], y[place] = found["order"], found["x"], found["y"]
        way = np.repeat(np.arange(len(ways)), ways["nodes"])
        goes_on = np.zeros(len(refs), dtype=bool)
        goes_on[1:] = known[1:] & known[:-1] & (way[1:] == way[:-1])
        again = np.zeros(len(refs), dtype=bool)
        again[1:] = goes_on[1:] & (refs[1:] == refs[:-1])
        run = np.cumsum(~goes_on)
        kept = np.flatnonzero(known & ~again)
        count, _ = runs(run[kept])
        kept = kept[np.repeat(count > 1, count)]
        count, first = runs(run[kept])
        piece = np.repeat(np.arange(len(count)), count)
        of_way, _ = runs(way[kept])
        offset = numbered(of_way)
        last = np.zeros(len(kept), dtype=bool)
        last[first + count - 1] = True
        if number == len(self._first_piece) - 1:
            self._first_piece.append(self._first_piece[-1] + len(count))
            lacking = np.bincount(way, weights=~known, minlength=len(ways)) > 0
            given = np.bincount(way[kept], minlength=len(ways)) > 0
            self.ways += int(ways["used"].sum())
            self.ways_cut += int((ways["used"] & (lacking | (ways["nodes"] == 0))).sum())
            self.ways_lost += int((ways["used"] & ~given).sum())
        piece += self._first_piece[number]
        vertices = Vertices(refs[kept], order[kept], x[kept], y[kept], piece, way[kept], offset, last)
        return Block(number, self._first_way[number], ways, vertices)

    def kinds(self, block: Block) -> npt.NDArray[np.int8]:
        """Return the kind of each vertex of a block."""
        kinds = np.full(len(block.vertices.id), JOINT, dtype=np.int8)
        known = self._kinds.take(block.number)
        known = known[np.argsort(known["id"], kind="stable")]
        if len(known):
            place = np.minimum(np.searchsorted(known["id"], block.vertices.id), len(known) - 1)
            found = known["id"][place] == block.vertices.id
            kinds[found] = known["kind"][place[found]]
        return kinds

    def components(self, block: Block) -> Whole32:
        """Return the component of each vertex of a block: the number of its first piece."""
        found: Whole32 = self._components.take(block.number)[block.vertices.piece - self._first_piece[block.number]]
        return found

    def _look_around(self) -> None:
        """Find the kind of each node, which pieces meet, and how many nodes are first met on each piece."""
        with self._spilled(_SIDE) as sides, working("joining the ways") as step:
            step.begin(len(self.blocks) + len(self.bounds) + 1, "buckets")
            for number in self.blocks:
                rows = _sides(self.block(number))
                sides.add(np.searchsorted(self.bounds, rows["id"], side="right"), rows)
                step.advance()
            starts = np.array(self._first_piece[1:])
            for bucket in range(len(self.bounds) + 1):
                rows = sides.take(bucket)
                rows = rows[np.lexsort((rows["neighbour"], rows["id"]))]
                step.advance()
                if not len(rows):
                    continue
                count, first = runs(rows["id"])
                kind = _kinds(rows, count, first)
                owner = np.minimum.reduceat(rows["piece"], first)
                pieces, nodes = np.unique(owner, return_counts=True)
                met = np.empty(len(pieces), dtype=_MET)
                met["piece"], met["nodes"] = pieces, nodes
                self._met.add(np.searchsorted(starts, pieces, side="right"), met)
                owner, kind = np.repeat(owner, count), np.repeat(kind, count)
                others = owner != rows["piece"]
                pairs = np.unique(np.stack((owner[others], rows["piece"][others]), axis=1), axis=0)
                self._pairs.put(bucket, pairs.ravel())
                told = np.empty(len(rows), dtype=_KIND)
                told["id"], told["kind"] = rows["id"], kind
                block = np.searchsorted(starts, rows["piece"], side="right")
                special = kind != JOINT
                told, block = told[special], block[special]
                order = np.lexsort((told["id"], block))
                told, block = told[order], block[order]
                new = np.ones(len(told), dtype=bool)
                new[1:] = (told["id"][1:] != told["id"][:-1]) | (block[1:] != block[:-1])
                self._kinds.add(block[new], told[new])

    def _connect(self) -> None:
        """Find for each piece the first one that it is connected with; 4 bytes a piece are held meanwhile."""
        label = np.arange(self.count, dtype=np.int32)
        for bucket in range(len(self.bounds) + 1):
            pairs = self._pairs.take(bucket).reshape(-1, 2)
            while len(pairs):
                first = _first(label, pairs)
                apart = first[:, 0] != first[:, 1]
                pairs, first = pairs[apart], first[apart]
                np.minimum.at(label, first.max(axis=1), first.min(axis=1))
        for number in self.blocks:
            self._components.put(number, _first(label, np.arange(*self._first_piece[number : number + 2])))

    def largest(self) -> int:
        """Return the number of the component with most nodes, of several that which has the first node of the file."""
        size = np.zeros(self.count, dtype=np.min_scalar_type(self.references))
        for number in self.blocks:
            met, component = self._met.take(number), self._components.take(number)
            np.add.at(size, component[met["piece"] - self._first_piece[number]], met["nodes"].astype(size.dtype))
        most = np.flatnonzero(size == size.max())
        if len(most) == 1:
            return int(most[0])
        first: dict[int, int] = {}
        for number in self.blocks:
            block = self.block(number)
            of = self.components(block)
            for component in most[within(most, np.unique(of))].tolist():
                order = int(block.vertices.order[of == component].min())
                first[component] = min(order, first.get(component, order))
        return min(first, key=first.__getitem__)


def _first(label: Whole32, pieces: npt.NDArray[Any]) -> Whole32:
    """Return the piece at which the labels of others end, and let them point at it."""
    found: Whole32 = label[pieces]
    while not ((further := label[found]) == found).all():
        label[found] = found = label[further]
    label[pieces] = found
    return found


def flow(tags: dict[str, str]) -> int:
    """Return the direction of traffic on a way."""
    oneway = tags.get("oneway")
    if oneway not in ONEWAY and tags.get("junction") != "roundabout":
        return BOTH
    return BACKWARD if oneway in AGAINST else ALONG


def within(values: Whole, ascending: Whole) -> Flags:
    """Return which values are among others, which are in ascending order."""
    if not len(ascending):
        return np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    found: Flags = ascending[place] == values
    return found


def _each_once(nodes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return nodes by their id: the last of several versions, in the place of the first."""
    nodes = nodes[np.lexsort((nodes["order"], nodes["id"]))]
    count, first = runs(nodes["id"])
    found: npt.NDArray[Any] = nodes[first + count - 1]
    found["order"] = nodes["order"][first]
    return found


def _sides(block: Block) -> npt.NDArray[Any]:
    """Return for each step between vertices a row for either end: its neighbour, and traffic out (2) and in (1)."""
    vertices = block.vertices
    start = np.flatnonzero(~vertices.last)
    rows = np.empty(2 * len(start), dtype=_SIDE)
    one, other = rows[: len(start)], rows[len(start) :]
    one["id"] = other["neighbour"] = vertices.id[start]
    other["id"] = one["neighbour"] = vertices.id[start + 1]
    one["piece"] = other["piece"] = vertices.piece[start]
    one["way"] = np.array([3, 2, 1], dtype=np.int8)[block.flow[start]]
    other["way"] = np.array([3, 1, 2], dtype=np.int8)[block.flow[start]]
    return rows


def _kinds(sides: npt.NDArray[Any], count: Whole, first: Whole) -> npt.NDArray[np.int8]:
    """
    Return the kind of each node by the rules of `osmnx.simplify_graph`.

    Streets end at a node that has other than two neighbours, other than two or four edges, or no edges in or out.
    Others are passed through; with more than two steps at one, which of them are taken depends on where one comes from.
    """
    new = np.ones(len(sides), dtype=bool)
    new[1:] = (sides["id"][1:] != sides["id"][:-1]) | (sides["neighbour"][1:] != sides["neighbour"][:-1])
    neighbours, out, into = (
        np.add.reduceat(each.astype(np.int64), first) for each in (new, sides["way"] >> 1, sides["way"] & 1)
    )
    passed = (neighbours == 2) & np.isin(out + into, (2, 4)) & (out > 0) & (into > 0)
    return np.where(passed, np.where(count == 2, JOINT, ODD), END).astype(np.int8)
