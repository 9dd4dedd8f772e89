"""Links of streets joined to chains, from one end of a street to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.readers.street_pieces import JOINT

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.arrays import Flags, Whole, Whole32


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
