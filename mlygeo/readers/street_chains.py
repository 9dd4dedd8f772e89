"""
Links of streets joined to chains, from one end of a street to the other, bucket by bucket.

Buckets are of ids of nodes, in ascending order. In each, the chains that meet in it are joined; what they become waits
in the bucket of its next joint, so that no bucket ever has more than two chains for each of its joints, and all of them
together are written twice at most. On the way back each chain learns which street it is a part of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo.arrays import runs, sums_before
from mlygeo.readers.street_pieces import ALONG, BACKWARD, BOTH, END, JOINT
from mlygeo.store.spilled import Spilled

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    import numpy.typing as npt

    from mlygeo.arrays import Flags, Whole, Whole32

CHAIN = np.dtype(
    [
        ("end", "i8", 2), ("order", "i8", 2), ("sequence", "i8", 2), ("kind", "i1", 2), ("flow", "i1"),
        ("links", "i4"), ("past", "i4", 2), ("origin", "i4"), ("row", "i4"),
    ]
)  # fmt: skip
"""
Links in a row. Of either end: its node, the order of the node in the file, when the edge that enters there came into
the graph, and the kind of the node; the direction of traffic, how many links it has, and how many the street has past
either end; and where it was made: in which bucket, or -1 less the block of a link, and in which row of it.
"""

_ENDS = ("end", "order", "sequence", "kind")

_TURNED = np.zeros(3, dtype=np.int8)
_TURNED[[BOTH, ALONG, BACKWARD]] = BOTH, BACKWARD, ALONG
"""Directions of traffic, seen from the other end."""


class Steps(NamedTuple):
    """Chains, each from either end: the half links by which its links are entered, one chain after the other."""

    half: Whole
    """Twice the row of a link, and 1 where it is entered at its last vertex."""
    chain: Whole
    position: Whole32
    """Number of the link in its chain."""


def walk(ends: Whole, kinds: npt.NDArray[np.int8]) -> Steps:
    """
    Join links at their joints, where two ends of links meet.

    Parameters
    ----------
    ends
        Ids of the nodes at both ends of each link, shape (links, 2).
    kinds
        What kind they are (`street_pieces.JOINT` or another), of the same shape.

    Returns
    -------
    steps
        Without rings, which have no end.
    """
    flat, joint = ends.ravel(), kinds.ravel() == JOINT
    halves = np.flatnonzero(joint)
    halves = halves[np.argsort(flat[halves], kind="stable")]
    other = np.full(len(flat), -1, dtype=np.int64)
    other[halves[::2]], other[halves[1::2]] = halves[1::2], halves[::2]
    current = np.flatnonzero(~joint)
    chain = np.arange(len(current))
    found: list[tuple[Whole, Whole, Whole32]] = []
    while len(current):
        found.append((current, chain, np.full(len(current), len(found), dtype=np.int32)))
        current = other[current ^ 1]
        goes_on: Flags = current >= 0
        current, chain = current[goes_on], chain[goes_on]
    if not found:
        return Steps(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32))
    half, chain, position = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(chain, kind="stable")
    return Steps(half[order], chain[order], position[order])


class Chains:
    """
    Links that do not reach from end to end, joined to streets on disk.

    Parameters
    ----------
    bounds
        Ids of nodes at which buckets begin, ascending.
    close
        Takes what has to be closed when all is done.
    """

    def __init__(self, bounds: Whole, close: ExitStack) -> None:
        self._bounds = bounds
        self._met, self._told, self._links = (close.enter_context(Spilled(CHAIN)) for _ in range(3))

    @property
    def steps(self) -> int:
        """How often `join` calls what it is given."""
        return 2 * (len(self._bounds) + 1)

    def add(self, block: int, links: npt.NDArray[Any]) -> None:
        """Add the links of a block, of dtype `CHAIN`; where they were made and how many they are is filled in."""
        links["links"], links["origin"], links["row"] = 1, -1 - block, np.arange(len(links))
        self._hand_on(links)

    def join(self, advance: Callable[[], None]) -> None:
        """Join all links that were added."""
        buckets = range(len(self._bounds) + 1)
        for bucket in buckets:
            parts = self._met.take(bucket)
            wholes = _joined(parts, *self._walks(bucket, parts))
            wholes["origin"], wholes["row"] = bucket, np.arange(len(wholes))
            self._hand_on(wholes)
            advance()
        for bucket in reversed(buckets):
            parts = self._met.take(bucket)
            self._tell(_learnt(parts, *self._walks(bucket, parts), self._told.take(bucket)))
            advance()

    def links(self, block: int) -> npt.NDArray[Any]:
        """
        Return the links of a block by their row, once they are joined.

        Returns
        -------
        links
            Of dtype `CHAIN`, with the ends of their streets in place of their own. Those of rings are missing.
        """
        links = self._links.take(block)
        return links[np.argsort(links["row"])]

    def _next(self, chains: npt.NDArray[Any]) -> Whole:
        """Return the bucket of the joint at either end of chains, shape (n, 2), or one beyond all where it is none."""
        bucket = np.searchsorted(self._bounds, chains["end"], side="right")
        bucket[chains["kind"] != JOINT] = len(self._bounds) + 1
        return bucket

    def _hand_on(self, chains: npt.NDArray[Any]) -> None:
        """Let chains wait in the bucket of their first joint; those without one are streets."""
        bucket = self._next(chains).min(axis=1)
        goes_on = bucket <= len(self._bounds)
        self._met.add(bucket[goes_on], chains[goes_on])
        self._tell(chains[~goes_on])

    def _tell(self, chains: npt.NDArray[Any]) -> None:
        """Hand what is known of chains back to where they were made."""
        origin = chains["origin"]
        is_link = origin < 0
        self._links.add(-1 - origin[is_link], chains[is_link])
        self._told.add(origin[~is_link], chains[~is_link])

    def _walks(self, bucket: int, parts: npt.NDArray[Any]) -> tuple[Whole, Whole]:
        """Return the half chains along each chain that the chains of a bucket become, and how many it has."""
        kinds = np.where(self._next(parts) == bucket, JOINT, END).astype(np.int8)
        steps = walk(parts["end"], kinds)
        count, first = runs(steps.chain)
        once = steps.half[first] < steps.half[first + count - 1] ^ 1
        return steps.half[np.repeat(once, count)], count[once]


def _joined(parts: npt.NDArray[Any], half: Whole, count: Whole) -> npt.NDArray[Any]:
    """Return the chains that others become."""
    wholes = np.zeros(len(count), dtype=CHAIN)
    if not len(wholes):
        return wholes
    first = np.cumsum(count) - count
    ends = np.stack((half[first], half[first + count - 1] ^ 1), axis=1)
    for name in _ENDS:
        wholes[name] = parts[name][ends >> 1, ends & 1]
    flow = parts["flow"][ends[:, 0] >> 1]
    wholes["flow"] = np.where(ends[:, 0] & 1, _TURNED[flow], flow)
    wholes["links"] = np.add.reduceat(parts["links"][half >> 1], first)
    return wholes


def _learnt(parts: npt.NDArray[Any], half: Whole, count: Whole, told: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the chains of which others were made, with what is told of these; what is not told of is a ring."""
    row = np.full(len(count), -1, dtype=np.int64)
    row[told["row"]] = np.arange(len(told))
    row, whole = np.repeat(row, count), np.repeat(np.arange(len(count)), count)
    known = row >= 0
    half, row, whole = half[known], row[known], whole[known]
    found: npt.NDArray[Any] = parts[half >> 1]
    told = told[row]
    at, side = np.arange(len(half)), half & 1
    for name in _ENDS:
        found[name][at, side], found[name][at, 1 - side] = told[name].T
    before = sums_before(found["links"], runs(whole)[0])
    found["past"][at, side] = told["past"][:, 0] + before
    found["past"][at, 1 - side] = told["past"][:, 1] + told["links"] - before - found["links"]
    return found
