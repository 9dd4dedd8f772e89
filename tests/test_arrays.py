"""Numbers that stand in several rows, found by both ways and hardly any others; groups and runs of values."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import arrays, kernels
from mlygeo.spatial import knn

WAYS = [False, True] if knn.has_kernel() else [False]


@pytest.fixture(params=WAYS)
def compiled(request, monkeypatch):
    found = kernels.kernel
    monkeypatch.setattr(kernels, "kernel", lambda *given: found(*given, compiled=request.param))
    return request.param


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-20, 20), max_size=60))
@pytest.mark.usefixtures("compiled")
def test_all_repeated_numbers_are_found(values):
    numbers = np.array(values, dtype=np.int64)
    _, inverse, count = np.unique(numbers, return_inverse=True, return_counts=True)
    assert {*np.flatnonzero(count[inverse] > 1)} <= {*arrays.maybe_repeated(numbers)}


@pytest.mark.usefixtures("compiled")
def test_of_many_numbers_few_others_are_taken_for_repeated():
    numbers = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, 1_300_000)
    numbers[[7, 9]] = numbers[[1_299_999, 40]]
    found = arrays.maybe_repeated(numbers)
    assert {7, 9, 40, 1_299_999} <= {*found}
    assert len(found) < 100_000


def test_distinct_numbers_are_counted_in_order_or_not():
    numbers = np.array([3, 5, 9, 9, 2])
    assert [arrays.distinct(some) for some in (numbers, numbers[:3], numbers[:0], np.sort(numbers))] == [4, 3, 0, 4]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-9, 9)), max_size=30))
def test_numbers_in_groups_are_those_of_a_plain_loop(groups):
    count = np.array([each for each, _ in groups], dtype=np.int64)
    start = np.array([each for _, each in groups], dtype=np.int64)
    assert arrays.numbered(count).tolist() == [place for each, _ in groups for place in range(each)]
    assert arrays.numbered(count, start).tolist() == [first + place for each, first in groups for place in range(each)]


@given(st.lists(st.integers(0, 2), max_size=30))
def test_runs_are_those_of_itertools(values):
    expected = [len([*each]) for _, each in itertools.groupby(values)]
    count, first = arrays.runs(np.array(values, dtype=np.int64))
    assert count.tolist() == expected
    assert first.tolist() == [sum(expected[:number]) for number in range(len(expected))]
    within = arrays.within_runs(np.array(values, dtype=np.int64))
    assert within.tolist() == [place for each in expected for place in range(each)]


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), st.integers(-9, 9)), max_size=20))
def test_sums_in_groups_are_those_of_a_plain_loop(groups):
    steps = np.array([step for each, _ in groups for step in each], dtype=np.int64)
    count = np.array([len(each) for each, _ in groups], dtype=np.int64)
    start = np.array([each for _, each in groups], dtype=np.int64)
    plain = [[sum(each[:place]) for place in range(len(each))] for each, _ in groups]
    assert arrays.sums_before(steps, count).tolist() == list(itertools.chain(*plain))
    expected = [first + total for (_, first), each in zip(groups, plain, strict=True) for total in each]
    assert arrays.sums_before(steps, count, start).tolist() == expected
