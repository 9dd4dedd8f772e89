"""Observed against expected images: worked by hand, by a plain loop, and by samples whose truth is known."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mlygeo.spatial import expected


def tallied(key, sequence, at_once=None):
    tally = expected.Tally()
    for start in range(0, len(key), at_once or max(len(key), 1)):
        own = slice(start, start + (at_once or len(key)))
        tally.add(np.array(key[own], dtype=np.int64), np.array(sequence[own], dtype=np.int64))
    return tally.observed()


def test_worked_by_hand():
    """Six sequences, 20 images, 12 of class 0, which has half of the length."""
    of_each = [(4, 0), (3, 1), (2, 2), (1, 3), (1, 1), (1, 1)]
    key = [kind for first, second in of_each for kind in [0] * first + [1] * second]
    sequence = [number for number, pair in enumerate(of_each) for _ in range(sum(pair))]
    found = expected.against(tallied(key, sequence), np.array([0, 1]), np.array([500, 500])).iloc[0]
    assert (found["images"], found["sequences"], found["expected_images"], found["ratio"]) == (12, 6, 10.0, 1.2)
    # Deviations from 0.6 of each sequence's images: 1.6, 0.6, -0.4, -1.4, -0.2, -0.2; squares add up to 5.12.
    error = math.sqrt(6 / 5 * 5.12 / 20**2)
    half = stats.t.ppf(0.975, 5) * error / 0.6
    assert found["ratio_low"] == pytest.approx(1.2 * math.exp(-half), rel=1e-3)
    assert found["ratio_high"] == pytest.approx(1.2 * math.exp(half), rel=1e-3)
    assert found["design_effect"] == pytest.approx(error**2 / (0.6 * 0.4 / 20))


@given(
    rows=st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 7)), max_size=60),
    length=st.lists(st.integers(1, 10**12), min_size=5, max_size=5), at_once=st.integers(1, 20), seed=st.integers(0, 99),
)  # fmt: skip
def test_a_plain_loop_finds_the_same_in_any_order(rows, length, at_once, seed):
    key, sequence = [row[0] for row in rows], [row[1] for row in rows]
    found = expected.against(tallied(key, sequence), np.arange(-1, 4), np.array(length))
    shuffled = np.random.default_rng(seed).permutation(len(rows)).tolist()
    other = tallied([key[each] for each in shuffled], [sequence[each] for each in shuffled], at_once)
    pd.testing.assert_frame_equal(expected.against(other, np.arange(-1, 4), np.array(length)), found, check_exact=True)
    units = sorted(set(sequence))
    for place, kind in enumerate(range(-1, 4)):
        row, own = found.iloc[place], key.count(kind)
        assert row["images"] == own
        assert row["sequences"] == len({each for k, each in rows if k == kind})
        assert row["expected_images"] == pytest.approx(len(rows) * length[place] / sum(length))
        if not own or len(units) < expected.LEAST_SEQUENCES:
            assert math.isnan(row["ratio_low"])
            continue
        share = own / len(rows)
        off = [sum(1 for k, e in rows if e == u and k == kind) - share * sequence.count(u) for u in units]
        error = math.sqrt(len(units) / (len(units) - 1) * sum(each**2 for each in off)) / len(rows)
        half = math.exp(expected.student_t(len(units) - 1) * error / share)
        assert (row["ratio_low"], row["ratio_high"]) == pytest.approx((row["ratio"] / half, row["ratio"] * half))


def test_intervals_hold_the_truth_where_sequences_are_sampled():
    """Sequences of very different lengths, mostly of one class: an interval that took images for units would fail."""
    rng, truth, runs = np.random.default_rng(8), 0.3, 600
    held = naive = 0
    for _ in range(runs):
        size = rng.integers(5, 60, 60)
        share = np.where(rng.random(60) < 0.3, 0.9, 0.3 / 7)  # 0.3 on average
        own = rng.binomial(size, share)
        key = np.concatenate([[0] * a + [1] * (b - a) for a, b in zip(own, size, strict=True)])
        observed = tallied(key.tolist(), np.repeat(np.arange(60), size).tolist())
        row = expected.against(observed, np.array([0, 1]), np.array([300, 700])).iloc[0]
        held += row["ratio_low"] <= 1 <= row["ratio_high"]
        found = own.sum() / size.sum()
        naive += abs(found - truth) <= 1.96 * math.sqrt(found * (1 - found) / size.sum())
    assert 0.92 <= held / runs <= 0.98
    assert naive / runs < 0.6


@pytest.mark.parametrize("freedom", [4, 5, 9, 29, 999])
def test_student(freedom):
    assert expected.student_t(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-3)


@settings(max_examples=20)
@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "c", "ä" * 30])), min_size=1, max_size=12))
def test_a_sequence_has_its_number_wherever_it_is_met(ids):
    numbers = expected.numbers_of(pd.Series(ids, dtype="str"))
    for one, number in zip(ids, numbers, strict=True):
        assert expected.numbers_of(pd.Series([one], dtype="str"))[0] == number
    assert len(set(numbers)) == len(set(ids))
    assert (
        expected.numbers_of(pd.Series(["a"], dtype="str"))[0]
        == pd.util.hash_array(np.array(["a"], object)).view("i8")[0]
    )


def test_nothing_was_observed():
    tally = expected.Tally()
    found = expected.against(tally.observed(), np.array([0, 1]), np.array([3, 0]))
    assert found["images"].tolist() == [0, 0]
    assert found[["ratio", "ratio_low", "design_effect"]].isna().all(axis=None)
