import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.spatial import concentration

AMOUNTS = st.lists(st.integers(0, 10**15), min_size=1, max_size=40).filter(any)


def by_the_definition(amounts):
    """Half the mean difference of all pairs, in parts of the mean; and one over the sum of squared shares."""
    total, number = sum(amounts), len(amounts)
    differences = sum(abs(one - other) for one in amounts for other in amounts)
    gini = Fraction(differences, 2 * number * total)
    return float(gini), float(1 / sum(Fraction(each, total) ** 2 for each in amounts))


def test_worked_by_hand():
    """Shares 0.1, 0.2, 0.3, 0.4: Gini 0.25; squares add up to 0.3."""
    found = concentration.of(np.array([30, 10, 40, 20]))
    assert found == (4, 0.25, pytest.approx(10 / 3), 0.4)


@given(AMOUNTS)
def test_it_is_what_a_loop_over_all_pairs_finds(amounts):
    found = concentration.of(np.array(amounts))
    assert (found.gini, found.effective_number) == pytest.approx(by_the_definition(amounts), rel=1e-12)
    assert found.largest_share == max(amounts) / sum(amounts)


@given(AMOUNTS, st.integers(2, 1000), st.randoms(use_true_random=False))
def test_laws(amounts, times, random):
    found = concentration.of(np.array(amounts))
    assert 0 <= found.gini <= 1 - 1 / len(amounts) + 1e-12
    assert 1 <= found.effective_number <= len(amounts) * (1 + 1e-12)
    assert concentration.of(np.array(amounts) * times)[1:] == pytest.approx(found[1:], rel=1e-12)
    again = concentration.of(np.array(amounts * 3))
    assert again.gini == pytest.approx(found.gini, abs=1e-12)
    assert again.effective_number == pytest.approx(3 * found.effective_number)
    shuffled = random.sample(amounts, len(amounts))
    assert concentration.of(np.array(shuffled)) == found


def test_equal_shares_and_none():
    assert concentration.of(np.full(7, 3)) == (7, 0.0, 7.0, 1 / 7)
    assert concentration.of(np.array([5])) == (1, 0.0, 1.0, 1.0)
    for amounts in ([], [0, 0]):
        found = concentration.of(np.array(amounts, dtype=np.int64))
        assert found.holders == len(amounts)
        assert all(math.isnan(value) for value in found[1:])
