"""
OpenStreetMap files -> the edges of OSMnx's simplified graph, bucket by bucket.

The graph is never held. Pieces of ways are cut into links at the nodes where streets end, links that do not reach from
end to end are joined to chains on disk, and each chain is an edge in either direction that traffic has. Edges come in
the order of the file: of their first nodes, and then as OSMnx orders them.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.arrays import numbered, runs
from mlygeo.errors import FrameError
from mlygeo.progress import working
from mlygeo.readers import several
from mlygeo.readers.osm_files import DEGREE
from mlygeo.readers.street_chains import CHAIN, Chains
from mlygeo.readers.street_pieces import ALONG, BACKWARD, BOTH, END, JOINT, ODD, ROWS, Pieces, within
from mlygeo.store.spilled import Spilled, bounds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Self

    import geopandas as gpd
    import numpy.typing as npt

    from mlygeo.arrays import Flags, Floats, Whole, Whole32
    from mlygeo.readers.osm_files import Way
    from mlygeo.readers.street_pieces import Block

log = logging.getLogger("mlygeo.osm")

TAGS = (
    "access", "area", "bridge", "est_width", "highway", "junction", "landuse", "lanes", "maxspeed", "name", "oneway",
    "ref", "service", "tunnel", "width",
)  # fmt: skip
"""Tags of ways that become columns: OSMnx's own choice."""

COLUMNS = ("osmid", *TAGS)

LOST = "ways of which the file has no two neighbouring nodes"
"""Reason for which ways are left out."""

_EDGE, _CHAIN, _INTO = 0, 1, 2
"""Kinds of rows: an edge of two nodes, one with nodes between, and an edge of others that ends here."""

_LINK = np.dtype(
    [
        ("order", "i8"), ("sequence", "i8"), ("kind", "i1"), ("position", "i4"), ("nodes", "i4"), ("way", "i8"),
        ("component", "i4"), ("oneway", "?"), ("alone", "?"), ("start", "i8"), ("end", "i8"),
    ]
)  # fmt: skip
"""
A link of an edge: the order of the edge's first node, when its first step came into the graph, number of the link in
the edge, its vertices, its way, and its first and last node; `alone` where there is no edge back.
"""

_PLACE = np.dtype([("x", "i4"), ("y", "i4")])
_TEXT = np.dtype([("way", "i8"), ("length", "i4")])


class _Links(NamedTuple):
    """Links of a block by their first and last vertex."""

    first: Whole
    last: Whole


_USE = np.dtype(
    [
        ("link", "i8"), ("backward", "?"), ("position", "i4"), ("final", "?"), ("order", "i8"), ("sequence", "i8"),
        ("start", "i8"), ("kind", "i1"),
    ]
)  # fmt: skip
"""A link as a part of an edge: its row, how it is passed, where it stands in the edge, and what that is (`_LINK`)."""


class StreetEdges:
    """
    The streets of an OpenStreetMap file, as OSMnx makes them of the whole file with network_type="all".

    Parameters
    ----------
    path
        An OpenStreetMap file; see `osm_files.FORMATS`.
    retain_all
        Keep every component, and not only the largest (weakly connected, by its nodes; of several the one with the
        first node of the file).
    rows
        Nodes of ways that are worked on at once.

    Raises
    ------
    FormatError
        If the file is damaged, a history, or not an OpenStreetMap file.
    FrameError
        If there is no street in it.
    FileError
        If the disk for what is on the way is too small.

    Examples
    --------
    >>> with StreetEdges(Path("country.osm.pbf"), retain_all=True) as edges:
    ...     for frame in edges.frames():
    ...         print(len(frame))
    """

    def __init__(self, path: Path, *, retain_all: bool, rows: int = ROWS) -> None:
        self._close = ExitStack()
        try:
            self._begin(path, rows, retain_all=retain_all)
        except BaseException:
            self._close.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close.close()

    @property
    def facts(self) -> dict[str, Any]:
        """What is told of the file: ways, those that were cut, and the length of components that were left out."""
        return facts_of(self._pieces) | {"components_dropped_m": self._dropped_um / 1e6}

    def frames(self) -> Iterator[gpd.GeoDataFrame]:
        """
        Return the edges, some hundred thousand at a time.

        Yields
        ------
        edges
            EPSG:4326, with `u`, `v`, `key` (int64), `osmid`, `highway`, `name` (str), `oneway` (bool), `length`
            (float64, metres, great circle) and a column (str) for each further tag that a way has.
        """
        rings = self._rings()
        with working("building the streets") as step:
            step.begin(self._buckets, "buckets")
            for bucket in range(self._buckets):
                frame = self._frame(bucket, rings)
                step.advance()
                if len(frame):
                    yield frame

    # Links, and the edges they are parts of

    def _begin(self, path: Path, rows: int, *, retain_all: bool) -> None:
        self._pieces = pieces = Pieces(path, encoded, self._close, rows=rows)
        log.info(
            "read %s streets from %s; %s cut where nodes are missing",
            f"{pieces.ways:,}", path.name, f"{pieces.ways_cut:,}",
        )  # fmt: skip
        facts_of(pieces)
        self._largest = None if retain_all else pieces.largest()
        self._dropped_um = 0
        self._present = np.zeros(len(COLUMNS), dtype=bool)
        spilled = self._close.enter_context
        self._links, self._places = spilled(Spilled(_LINK)), spilled(Spilled(_PLACE))
        self._texts, self._lengths = spilled(Spilled(np.uint8)), spilled(Spilled(_TEXT))
        chains = self._joined(rows)
        look_around = _OddLinks()
        with working("building the links") as step:
            step.begin(len(pieces.blocks), "blocks")
            for number in pieces.blocks:
                self._emit(number, *_uses(chains.links(number)), look_around)
                step.advance()
        for row, (edge, places, text) in enumerate(look_around.edges()):
            edge["way"] = -1 - row
            self._add(edge, places, {-1 - row: text})

    @property
    def _buckets(self) -> int:
        return len(self._bounds) + 1

    def _found(self, block: Block, kinds: npt.NDArray[np.int8]) -> _Links:
        """Return the links of a block in the components that are kept."""
        vertices = block.vertices
        stops = (kinds != JOINT) | vertices.last
        stops[0:1] = True
        stops[1:] |= vertices.last[:-1]
        at = np.flatnonzero(stops)
        goes_on = np.flatnonzero(~vertices.last[at])
        first, last = at[goes_on], at[goes_on + 1]
        if self._largest is not None:
            here = self._pieces.components(block)[first] == self._largest
            first, last = first[here], last[here]
        return _Links(first, last)

    def _joined(self, rows: int) -> Chains:
        """Join the links that do not reach from end to end, and see how edges are shared out."""
        pieces = self._pieces
        chains = Chains(pieces.bounds, self._close)
        sampled, count = [], 0
        with working("joining the streets") as step:
            step.begin(len(pieces.blocks) + chains.steps, "buckets")
            for number in pieces.blocks:
                block = pieces.block(number)
                vertices, kind = block.vertices, pieces.kinds(block)
                if self._largest is not None:
                    self._dropped_um += _micrometres(block, pieces.components(block) != self._largest)
                links = self._found(block, kind)
                both = np.stack(links, axis=1)
                sampled.append(vertices.order[both].ravel()[:: max(min(rows // 64, 64), 1)].copy())
                count += 2 * int((links.last - links.first + 1).sum())
                both = both[(kind[both] != END).any(axis=1)]
                along, back = block.sequence()
                found = np.zeros(len(both), dtype=CHAIN)
                found["end"], found["order"], found["kind"] = vertices.id[both], vertices.order[both], kind[both]
                found["sequence"] = np.stack((along[both[:, 0]], back[both[:, 1] - 1]), axis=1)
                found["flow"] = block.flow[both[:, 0]]
                chains.add(number, found)
                step.advance()
            self._bounds = bounds(np.concatenate(sampled), -(-4 * count // rows))
            chains.join(step.advance)
        return chains

    def _emit(self, number: int, uses: npt.NDArray[Any], odd: Whole, look_around: _OddLinks) -> None:
        """Hand the links of a block on to the edges they are parts of; `uses` and `odd` count the open ones."""
        pieces = self._pieces
        block = pieces.block(number)
        vertices, kind = block.vertices, pieces.kinds(block)
        links = self._found(block, kind)
        if not len(links.first):
            return
        texts, sequences, components = pieces.texts(block), block.sequence(), pieces.components(block)
        ended = (kind[links.first] == END) & (kind[links.last] == END)
        open_rows = np.flatnonzero(~ended)
        for row in open_rows[odd].tolist():
            at = slice(int(links.first[row]), int(links.last[row]) + 1)
            component = int(components[at.start])
            look_around.add(block, at, kind[at], sequences, text=texts[vertices.way[at.start]], component=component)
        uses["link"] = open_rows[uses["link"]]
        used = np.concatenate(
            (uses, *(_whole(block, links, ended, sequences, backward=each) for each in (False, True)))
        )
        first, last = links.first[used["link"]], links.last[used["link"]]
        rows = np.zeros(len(first), dtype=_LINK)
        for name in ("order", "sequence", "kind", "position"):
            rows[name] = used[name]
        rows["nodes"] = last - first + 1
        rows["way"] = block.first_way + vertices.way[first]
        rows["component"] = components[first]
        rows["oneway"] = rows["alone"] = block.flow[first] != BOTH
        enter, leave = np.where(used["backward"], last, first), np.where(used["backward"], first, last)
        rows["start"], rows["end"] = vertices.id[enter], vertices.id[leave]
        step = np.where(used["backward"], -1, 1)
        at_vertex = np.repeat(enter, rows["nodes"]) + np.repeat(step, rows["nodes"]) * numbered(rows["nodes"])
        places = np.empty(len(at_vertex), dtype=_PLACE)
        places["x"], places["y"] = vertices.x[at_vertex], vertices.y[at_vertex]
        self._add(rows, places, {block.first_way + row: texts[row] for row in np.unique(vertices.way[first]).tolist()})
        alone = used["final"] & rows["alone"]
        into = rows[alone]
        into["order"], into["kind"], into["nodes"] = vertices.order[leave[alone]], _INTO, 0
        into["start"], into["end"] = rows["end"][alone], used["start"][alone]
        self._links.add(np.searchsorted(self._bounds, into["order"], side="right"), into)

    def _add(self, rows: npt.NDArray[Any], places: npt.NDArray[Any], texts: dict[int, bytes]) -> None:
        """Keep links with their places, and the texts of their ways."""
        bucket = np.searchsorted(self._bounds, rows["order"], side="right")
        self._links.add(bucket, rows)
        self._places.add(np.repeat(bucket, rows["nodes"]), places)
        pairs = np.unique(np.stack((bucket, rows["way"]), axis=1), axis=0)
        count, first = runs(pairs[:, 0])
        for number, start, length in zip(pairs[first, 0].tolist(), first.tolist(), count.tolist(), strict=True):
            ways = pairs[start : start + length, 1]
            found = [texts[way] for way in ways.tolist()]
            told = np.empty(length, dtype=_TEXT)
            told["way"], told["length"] = ways, [len(text) for text in found]
            self._lengths.put(number, told)
            self._texts.put(number, np.frombuffer(b"".join(found), dtype=np.uint8))
        for text in texts.values():
            self._present |= [bool(value) for value in text.split(b"\0")]

    # Edges

    def _rings(self) -> Whole:
        """
        Return the components in which no street ends once they are simplified, which OSMnx takes for rings.

        Such as towns in which each pair of junctions is joined by two one-way streets, with two others at each.
        """
        with Spilled(np.int64) as known:
            for bucket in range(self._buckets):
                component, passed = self._passed(bucket)
                found = np.unique(2 * component.astype(np.int64) + ~passed)
                known.add(found // (2 * self._pieces.rows), found)
            rings = [np.empty(0, dtype=np.int64)]
            for share in range(self._pieces.count // self._pieces.rows + 1):
                found = known.take(share)
                rings.append(np.setdiff1d(found >> 1, found[(found & 1).astype(bool)] >> 1))
        return np.concatenate(rings)

    def _passed(self, bucket: int) -> tuple[Whole32, Flags]:
        """Return the component of each node at which edges of a bucket begin, and whether it is only passed through."""
        rows = _in_order(self._links.take(bucket))[0]
        if not len(rows):
            return np.empty(0, dtype=np.int32), np.empty(0, dtype=bool)
        count, first = _edges(rows)
        node, neighbour = rows["start"][first], rows["end"][first + count - 1]
        out = rows["kind"][first] != _INTO
        into = ~(out & rows["alone"][first])
        order = np.lexsort((neighbour, node))
        node, neighbour, out, into = node[order], neighbour[order], out[order], into[order]
        _, start = runs(node)
        new = np.ones(len(node), dtype=bool)
        new[1:] = (node[1:] != node[:-1]) | (neighbour[1:] != neighbour[:-1])
        others, outward, inward, itself = (
            np.add.reduceat(each.astype(np.int64), start) for each in (new, out, into, node == neighbour)
        )
        passed = (others == 2) & np.isin(outward + inward, (2, 4)) & (outward > 0) & (inward > 0) & (itself == 0)
        return rows["component"][first][order][start], passed

    def _frame(self, bucket: int, rings: Whole) -> gpd.GeoDataFrame:
        """Return the edges that begin at the nodes of a bucket."""
        import geopandas as gpd
        import shapely

        rows = self._links.take(bucket)
        rows, row = _in_order(rows, np.cumsum(rows["nodes"]) - rows["nodes"])
        kept = (rows["kind"] != _INTO) & ~within(rows["component"], rings)
        rows, place = rows[kept], row[kept]
        if not len(rows):
            return frames.empty(frames.STREETS)
        count, first = _edges(rows)
        u, v = rows["start"][first], rows["end"][first + count - 1]
        row_of, key = _numbered(rows["order"][first], v, rows["kind"][first])
        edge = np.repeat(np.arange(len(first)), count)
        # where two links meet, their common node stands once
        skipped = (rows["position"] > 0).astype(np.int64)
        nodes = rows["nodes"] - skipped
        at = np.repeat(place + skipped, nodes) + numbered(nodes)
        places, edge = self._places.take(bucket)[at], np.repeat(edge, nodes)
        lon, lat = places["x"] / DEGREE, places["y"] / DEGREE
        ways, texts = self._ways_of(bucket)
        columns = _columns(np.searchsorted(ways, rows["way"]), count, first, texts)
        found: dict[str, Any] = {"u": u, "v": v, "key": key}
        found |= {name: columns[COLUMNS.index(name)] for name in ("osmid", "highway", "name")}
        found["oneway"] = np.logical_and.reduceat(rows["oneway"], first)
        found["length"] = _lengths(lon, lat, edge)
        found |= {
            name: column
            for name, column, there in zip(COLUMNS, columns, self._present, strict=True)
            if there and name not in found
        }
        frame = gpd.GeoDataFrame(found, geometry=shapely.linestrings(lon, lat, indices=edge), crs=frames.CRS)
        return frame.iloc[row_of].reset_index(drop=True)

    def _ways_of(self, bucket: int) -> tuple[Whole, list[list[str]]]:
        """Return the numbers of the ways in a bucket, ascending, and what is known of each."""
        told, text = self._lengths.take(bucket), self._texts.take(bucket).tobytes()
        stops = np.cumsum(told["length"]).tolist()
        fields = [text[start:stop].decode().split("\0") for start, stop in pairwise([0, *stops])]
        order = np.argsort(told["way"])
        return told["way"][order], [fields[row] for row in order.tolist()]


def facts_of(pieces: Pieces) -> dict[str, Any]:
    """
    Return what is told of the ways of a file: their number, those that were cut, and those that are left out.

    Raises
    ------
    FrameError
        If there is no street.
    """
    if not pieces.count:
        raise FrameError(
            f"{pieces.path.name} contains no streets", hint="it has no way with a highway tag and two of its nodes"
        )
    facts: dict[str, Any] = {"ways": pieces.ways, "ways_cut": pieces.ways_cut}
    return facts | ({"left_out": {LOST: pieces.ways_lost}} if pieces.ways_lost else {})


def encoded(way: Way) -> bytes:
    """Return the id and the tags of a way that become columns, as text."""
    return "\0".join([str(way.id), *(way.tags.get(tag, "") for tag in TAGS)]).encode()


def _whole(
    block: Block, links: _Links, ended: Flags, sequences: tuple[Whole, Whole], *, backward: bool
) -> npt.NDArray[Any]:
    """Return the links that reach from end to end as edges, those along their ways or those back."""
    vertices = block.vertices
    row = np.flatnonzero(ended & (block.flow[links.first] != (ALONG if backward else BACKWARD)))
    enter = (links.last if backward else links.first)[row]
    found = np.zeros(len(row), dtype=_USE)
    found["link"], found["backward"], found["final"] = row, backward, True
    found["order"], found["start"] = vertices.order[enter], vertices.id[enter]
    found["sequence"] = sequences[1][enter - 1] if backward else sequences[0][enter]
    found["kind"] = np.where(links.last[row] - links.first[row] == 1, _EDGE, _CHAIN)
    return found


def _uses(links: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Whole]:
    """Return what edges joined links are parts of, by link, and the links of chains that end where one has to look."""
    odd = (links["kind"] == ODD).any(axis=1)
    found = []
    for side, against in enumerate((BACKWARD, ALONG)):
        some = links[~odd & (links["flow"] != against)]
        uses = np.zeros(len(some), dtype=_USE)
        uses["link"], uses["backward"], uses["kind"] = some["row"], side == 1, _CHAIN
        uses["position"], uses["final"] = some["past"][:, side], some["past"][:, 1 - side] == 0
        for name, known in (("order", "order"), ("sequence", "sequence"), ("start", "end")):
            uses[name] = some[known][:, side]
        found.append(uses)
    joined = np.concatenate(found)
    return joined[np.argsort(joined["link"], kind="stable")], links["row"][odd].astype(np.int64)


def _in_order(rows: npt.NDArray[Any], *others: Whole) -> tuple[Any, ...]:
    """Return links in the order of their edges, and others in the same order."""
    order = np.lexsort((rows["position"], rows["kind"], rows["sequence"], rows["order"]))
    return tuple(each[order] for each in (rows, *others)) if others else (rows[order],)


def _edges(rows: npt.NDArray[Any]) -> tuple[Whole, Whole]:
    """Return how many links each edge has, and where they begin."""
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (
        (rows["sequence"][1:] != rows["sequence"][:-1])
        | (rows["kind"][1:] != rows["kind"][:-1])
        | (rows["order"][1:] != rows["order"][:-1])
    )
    at = np.flatnonzero(first)
    return np.diff(at, append=len(rows)), at


def _numbered(order: Whole, v: Whole, kind: npt.NDArray[np.int8]) -> tuple[Whole, Whole]:
    """
    Return edges in the order of OSMnx's graph, and the key of each, from edges in that of their first steps.

    From a node, edges of two nodes come before chains, and those to the same node stand together.
    """
    row = np.arange(len(v))
    by_node = np.lexsort((row, kind, v, order))
    same = np.zeros(len(v), dtype=bool)
    same[1:] = (v[by_node][1:] == v[by_node][:-1]) & (order[by_node][1:] == order[by_node][:-1])
    start = np.flatnonzero(~same)
    count = np.diff(start, append=len(v))
    key = np.empty(len(v), dtype=np.int64)
    key[by_node] = numbered(count)
    lead = np.empty(len(v), dtype=np.int64)
    lead[by_node] = np.repeat(by_node[start], count)
    return np.lexsort((key, lead, kind[lead], order)), key


def _lengths(lon: Floats, lat: Floats, edge: Whole) -> Floats:
    """Return the length of each edge, metres, as OSMnx adds it up: by Python's own `sum`, which may compensate."""
    import osmnx

    steps = osmnx.distance.great_circle(lat[:-1], lon[:-1], lat[1:], lon[1:])
    steps[np.isnan(steps)] = 0
    steps = steps[edge[1:] == edge[:-1]]
    vertices, _ = runs(edge)
    starts = np.cumsum(vertices - 1) - (vertices - 1)
    found: Floats = steps[starts]
    several_steps = np.flatnonzero(vertices > 2)
    listed = steps.tolist()
    found[several_steps] = [
        sum(listed[start:stop])
        for start, stop in zip(
            starts[several_steps].tolist(), (starts + vertices - 1)[several_steps].tolist(), strict=True
        )
    ]
    return found


def _micrometres(block: Block, counted: Flags) -> int:
    """Return the length of steps from the counted vertices on, in whole micrometres."""
    import osmnx

    vertices = block.vertices
    at = np.flatnonzero(counted & ~vertices.last)
    lon, lat = vertices.x / DEGREE, vertices.y / DEGREE
    return int(np.rint(osmnx.distance.great_circle(lat[at], lon[at], lat[at + 1], lon[at + 1]) * 1e6).sum())


def _columns(way: Whole, count: Whole, first: Whole, texts: list[list[str]]) -> list[Any]:
    """Return what is known of the ways of each edge, column by column."""
    import pandas as pd

    row = way[first]
    mixed = np.flatnonzero(np.minimum.reduceat(way, first) != np.maximum.reduceat(way, first))
    known: dict[tuple[int, ...], int] = {}
    listed = way.tolist()
    for edge, start, length in zip(mixed.tolist(), first[mixed].tolist(), count[mixed].tolist(), strict=True):
        together = tuple(sorted(set(listed[start : start + length])))
        row[edge] = known.setdefault(together, len(texts) + len(known))
    found = []
    for values in zip(*texts, strict=True):
        joined = [_text({values[each] for each in together} - {""}) for together in known]
        alone = [value if value and value[0] != "[" else _text({value} - {""}) for value in values]
        found.append(pd.Series([*alone, *joined], dtype="str").take(row).reset_index(drop=True))
    return found


def _text(values: set[str]) -> str | None:
    if len(values) == 1:
        (value,) = values
        return several.join(value) if value[0] == "[" else value
    return several.together(values) if values else None


class _OddLinks:
    """Links of chains that meet where a walk has to look around: they are few, and OSMnx itself simplifies them."""

    def __init__(self) -> None:
        self._nodes: dict[int, tuple[int, int, int, bool]] = {}
        self._steps: list[tuple[int, int, int, dict[str, Any]]] = []

    def add(
        self,
        block: Block,
        at: slice,
        kinds: npt.NDArray[np.int8],
        sequences: tuple[Whole, Whole],
        *,
        text: bytes,
        component: int,
    ) -> None:
        """Add a link: some vertices of a block, and their kinds."""
        vertices = block.vertices
        ids = vertices.id[at].tolist()
        flow = int(block.flow[at.start])
        each = zip(ids, vertices.order[at].tolist(), vertices.x[at].tolist(), vertices.y[at].tolist(), strict=True)
        for (node, order, x, y), kind in zip(each, kinds.tolist(), strict=True):
            self._nodes[node] = order, x, y, kind == END
        values = text.decode().split("\0")
        told: dict[str, Any] = {name: value for name, value in zip(COLUMNS, values, strict=True) if value}
        told |= {"oneway": flow != BOTH, "component": component}
        along, back = (each[at].tolist() for each in sequences)
        for (u, v), forward, backward in zip(pairwise(ids), along, back, strict=False):
            if flow != BACKWARD:
                self._steps.append((forward, u, v, told))
            if flow != ALONG:
                self._steps.append((backward, v, u, told))

    def edges(self) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any], bytes]]:
        """Return the links as edges, each with its places and the text of its ways, and as an edge that ends there."""
        import networkx as nx
        import osmnx

        if not self._steps:
            return
        graph = nx.MultiDiGraph()
        for node, (_, x, y, is_end) in sorted(self._nodes.items(), key=lambda item: item[1][0]):
            graph.add_node(node, x=x, y=y, **({"end": True} if is_end else {}))
        began: dict[tuple[int, int], int] = {}
        for sequence, u, v, told in sorted(self._steps, key=lambda each: each[0]):
            began.setdefault((u, v), sequence)
            graph.add_edge(u, v, sequence=sequence, **told)
        graph = osmnx.simplify_graph(graph, node_attrs_include=["end"], track_merged=True)
        for u, v, told in graph.edges(data=True):
            steps = told.get("merged_edges")
            nodes = [u, v] if steps is None else [u, *(after for _, after in steps)]
            rows = np.zeros(2, dtype=_LINK)
            rows["sequence"] = told["sequence"] if steps is None else began[steps[0]]
            rows["kind"] = [_EDGE if steps is None else _CHAIN, _INTO]
            rows["nodes"], rows["component"] = [len(nodes), 0], told["component"]
            oneway = told["oneway"]
            rows["oneway"], rows["alone"] = all(oneway) if isinstance(oneway, list) else oneway, True
            rows["start"], rows["end"], rows["order"] = [u, v], [v, u], [self._nodes[u][0], self._nodes[v][0]]
            places = np.array([self._nodes[node][1:3] for node in nodes], dtype=np.int32).view(_PLACE).ravel()
            joined = [several.join(told.get(name)) if name != "oneway" else "" for name in COLUMNS]
            yield rows, places, "\0".join(text or "" for text in joined).encode()
