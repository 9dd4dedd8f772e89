"""Links joined to streets on disk: as they are joined in memory, in whatever buckets, and no bucket holds much."""

from __future__ import annotations

import random
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.readers.street_chains import CHAIN, Chains, walk
from mlygeo.readers.street_pieces import ALONG, BACKWARD, BOTH, END, JOINT, ODD

TURNED = {BOTH: BOTH, ALONG: BACKWARD, BACKWARD: ALONG}


def chain(rng, nodes, *, ring):
    """Return links along nodes: each as its two nodes, their kinds, and the direction of traffic."""
    flow = rng.choice([BOTH, ALONG, BACKWARD])
    ends = [rng.choice([END, ODD]) for _ in range(2)]
    kinds = [JOINT] * len(nodes) if ring else [ends[0], *[JOINT] * (len(nodes) - 2), ends[1]]
    steps = [*zip(nodes, kinds, strict=True)]
    pairs = [*zip(steps, [*steps[1:], *steps[:1]], strict=True)]
    found = []
    for one, other in pairs if ring else pairs[:-1]:
        turned = rng.random() < 0.5
        (u, kind_u), (v, kind_v) = (other, one) if turned else (one, other)
        found.append((u, v, kind_u, kind_v, TURNED[flow] if turned else flow))
    return found


def drawn(rng, most=12):
    """Return links of several streets and rings in any order, with nodes in any order."""
    ids = rng.sample(range(-200, 800), 200)
    links, at = [], 0
    while at < 180:
        length = rng.randint(2, most)
        links += chain(rng, ids[at : at + length], ring=rng.random() < 0.2)
        at += length
    rng.shuffle(links)
    found = np.zeros(len(links), dtype=CHAIN)
    for row, (u, v, kind_u, kind_v, flow) in enumerate(links):
        found[row]["end"], found[row]["kind"], found[row]["flow"] = (u, v), (kind_u, kind_v), flow
    found["order"] = np.arange(2 * len(links)).reshape(-1, 2) + 1000
    found["sequence"] = np.arange(2 * len(links)).reshape(-1, 2) + 5000
    return found


def in_memory(links):
    """Return for each link of a street what there is at the ends of the street, and how many links past its own."""
    steps = walk(links["end"], links["kind"])
    found = {}
    for number in np.unique(steps.chain):
        half = steps.half[steps.chain == number]
        for position, each in enumerate(half.tolist()):
            row, side = each >> 1, each & 1
            entered = half[0]
            told = [int(links[name][entered >> 1, entered & 1]) for name in ("end", "order", "sequence", "kind")]
            found[row, side] = [*told, position]
    return found


def on_disk(links, cuts, bounds):
    with ExitStack() as close:
        chains = Chains(np.array(bounds, dtype=np.int64), close)
        blocks = np.split(links.copy(), cuts)
        for number, block in enumerate(blocks):
            chains.add(number, block)
        chains.join(lambda: None)
        most = [chains._met.rows(bucket) for bucket in range(len(bounds) + 1)]
        found, first = {}, 0
        for number, block in enumerate(blocks):
            for each in chains.links(number):
                row = first + int(each["row"])
                assert each["flow"] == links["flow"][row]
                for side in (0, 1):
                    told = [int(each[name][side]) for name in ("end", "order", "sequence", "kind", "past")]
                    found[row, side] = told
            first += len(block)
    return found, most


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 180), max_size=5),
    bounds=st.sets(st.integers(-210, 810), max_size=60),
)
def test_links_are_joined_as_in_memory_in_any_buckets(seed, cuts, bounds):
    links = drawn(random.Random(seed))
    bounds = sorted(bounds)
    found, most = on_disk(links, sorted(cuts), bounds)
    assert found == in_memory(links)
    joints = np.unique(links["end"][links["kind"] == JOINT])
    inside = np.bincount(np.searchsorted(bounds, joints, side="right"), minlength=len(bounds) + 1)
    assert (most <= 2 * inside).all()


@pytest.mark.parametrize("ids", ["ascending", "descending", "any"])
def test_one_long_street_over_many_buckets_is_one(ids):
    rng = random.Random(4)
    nodes = {"ascending": range(3000), "descending": range(3000, 0, -1), "any": rng.sample(range(3000), 3000)}[ids]
    rows = chain(rng, [*nodes], ring=False)
    links = np.zeros(len(rows), dtype=CHAIN)
    for row, (u, v, kind_u, kind_v, flow) in enumerate(rows):
        links[row]["end"], links[row]["kind"], links[row]["flow"] = (u, v), (kind_u, kind_v), flow
    found, most = on_disk(links, [1000], range(0, 3000, 30))
    past = np.array([[found[row, side][-1] for side in (0, 1)] for row in range(len(rows))])
    assert (past.sum(axis=1) == len(rows) - 1).all()
    turned = np.array([row[0] != node for row, node in zip(rows, nodes, strict=False)]).astype(int)
    assert past[np.arange(len(rows)), turned].tolist() == [*range(len(rows))]
    assert sum(most) <= 2 * 3000
    assert max(most) <= 2 * 31


def test_a_ring_is_no_street_and_neither_is_a_loop_at_one_node():
    rng = random.Random(5)
    for length in (1, 2, 3, 40):
        rows = chain(rng, [*range(length)], ring=True)
        links = np.zeros(len(rows), dtype=CHAIN)
        links["end"], links["kind"] = [row[:2] for row in rows], JOINT
        assert on_disk(links, [], range(0, 40, 3))[0] == {}
