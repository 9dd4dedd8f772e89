"""Random numbers: the published sequence, the same in any order, and places that arrive as a Poisson process's do."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlygeo.arrays import GOLDEN
from mlygeo.errors import InputError
from mlygeo.spatial import draws

MASK = 2**64 - 1

GOLDEN_STATES = [4414019431610648415, 5090977316425868581, 7758145696617331093]
GOLDEN_ARRIVALS = ([2, 1, 2, 2], [0, 0, 1, 2])
GOLDEN_SHARES = [0.9049481459548339, 0.8578376325113803, 0.8245574543769272, 0.7219454966426326]


def mixed(word):
    """The finalizer of SplitMix64 in Python's whole numbers."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def numbers(state, count):
    """The sequence of SplitMix64, one after another, as fractions of 2^53 and a half."""
    found = []
    for _ in range(count):
        state = (state + GOLDEN) & MASK
        found.append(((mixed(state) >> 11) + 0.5) * 2.0**-53)
    return found


def test_the_numbers_are_those_of_splitmix64():
    """The first word from the state 1234567 is that of the reference implementation (Vigna, splitmix64.c)."""
    assert mixed((1234567 + GOLDEN) & MASK) == 6457827717110365317
    state = np.array([1234567], dtype=np.uint64)
    assert draws.uniform(state, np.arange(5)).tolist() == numbers(1234567, 5)
    assert draws.uniform(state, np.array(3))[0] == numbers(1234567, 4)[3]


@given(seed=st.integers(0, draws.MOST_SEED), key=st.integers(0, MASK))
def test_a_state_is_that_of_a_loop_in_whole_numbers(seed, key):
    state = mixed((seed + GOLDEN) & MASK)
    state = mixed(((state ^ key) + GOLDEN) & MASK)
    assert int(draws.states(seed, np.array([key], dtype=np.uint64))[0]) == state


def test_keys_are_those_of_blake2b():
    expected = int.from_bytes(hashlib.blake2b("Süd".encode(), digest_size=8).digest(), "little")
    assert draws.keys_of(["Süd"]).tolist() == [expected]
    assert len(draws.keys_of([])) == 0


def test_golden_values():
    """The same on every machine and with every Python and NumPy: what was drawn once is drawn again."""
    state = draws.states(7, np.array([1, 2, 3], dtype=np.uint64))
    assert state.tolist() == GOLDEN_STATES
    stretch, number, share = draws.first_arrivals(
        state, np.array([10.0, 20.0, 30.0]), np.zeros(3, dtype=np.int64), np.array([4])
    )
    assert (stretch.tolist(), number.tolist()) == GOLDEN_ARRIVALS
    assert share.tolist() == GOLDEN_SHARES


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_has_63_bits(seed):
    with pytest.raises(InputError, match="seed"):
        draws.check_seed(seed)


def loop(state, lengths, stratum, wanted):
    """First arrivals from a plain loop: enough arrivals on every stretch, sorted by time."""
    every = []
    for row, (own, length) in enumerate(zip(state.tolist(), lengths, strict=True)):
        time, sequence = 0.0, numbers(own, 2 * 200)
        for number in range(200):
            if length > 0:
                time += -np.log(sequence[2 * number]) / length
                every.append((int(stratum[row]), time, row, number, sequence[2 * number + 1]))
    every.sort()
    kept, counts = [], dict.fromkeys(range(len(wanted)), 0)
    for of, _, row, number, share in every:
        if counts[of] < wanted[of]:
            counts[of] += 1
            kept.append((row, number, share))
    return kept


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.floats(0.5, 300), min_size=1, max_size=8), strata=st.integers(1, 3), seed=st.integers(0, 99),
    many=st.integers(0, 20),
)  # fmt: skip
def test_arrivals_are_those_of_a_loop(lengths, strata, seed, many):
    stratum = np.arange(len(lengths)) % strata
    wanted = np.where(np.isin(np.arange(strata), stratum), many, 0)
    state = draws.states(seed, np.arange(len(lengths)))
    found = draws.first_arrivals(state, np.array(lengths), stratum, wanted)
    assert list(zip(*(each.tolist() for each in found), strict=True)) == loop(state, lengths, stratum, wanted)


def test_arrivals_are_evenly_distributed_and_independent():
    """
    Of 20,000 samples of three places on stretches of 1, 2 and 5 m.

    Which stretch, where on it, and both together for the first and the last: chi-squared tests at one in 10^4.
    """
    samples, length = 20_000, np.tile([1.0, 2.0, 5.0], 20_000)
    state = np.concatenate([draws.states(seed, np.arange(3)) for seed in range(samples)])
    stratum = np.repeat(np.arange(samples), 3)
    stretch, _, share = draws.first_arrivals(state, length, stratum, np.full(samples, 3))
    place = (np.array([0.0, 1.0, 3.0])[stretch % 3] + share * np.array([1.0, 2.0, 5.0])[stretch % 3]) / 8
    first, last = np.floor(place.reshape(-1, 3)[:, [0, 2]] * 8).astype(int).T
    assert stats.chisquare(np.bincount(np.floor(place * 80).astype(int), minlength=80)).pvalue > 1e-4
    assert stats.chisquare(np.bincount(first * 8 + last, minlength=64)).pvalue > 1e-4


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), few=st.integers(1, 20), more=st.integers(0, 20), cut=st.integers(1, 6))
def test_more_places_keep_the_former_and_more_streets_replace_some(seed, few, more, cut):
    state, length = draws.states(seed, np.arange(7)), np.arange(1.0, 8.0)
    one = np.zeros(7, dtype=np.int64)

    def drawn(streets, n):
        stretch, number, _ = draws.first_arrivals(state[:streets], length[:streets], one[:streets], np.array([n]))
        return set(zip(stretch.tolist(), number.tolist(), strict=True))

    assert drawn(7, few) <= drawn(7, few + more)
    assert {each for each in drawn(7, few) if each[0] < cut} <= drawn(cut, few)


def test_no_place_is_drawn_where_none_is_wanted():
    state = draws.states(1, np.arange(2))
    stretch, _, _ = draws.first_arrivals(state, np.ones(2), np.array([0, 1]), np.array([0, 3]))
    assert stretch.tolist() == [1, 1, 1]
