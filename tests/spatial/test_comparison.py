"""What two sides cover is what plain loops over whole metres, and coverages of each side alone, find."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.spatial import comparison
from mlygeo.spatial.comparison import Side
from mlygeo.spatial.reach import Stretches

GRIDS = st.lists(st.tuples(st.lists(st.booleans(), min_size=12, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12)), min_size=1, max_size=4)  # fmt: skip


def stretches(grids):
    """Runs of covered metres as stretches."""
    found = []
    for line, own in enumerate(grids):
        edges = np.flatnonzero(np.diff([0, *map(int, own), 0])).reshape(-1, 2)
        found += [(line, float(start), float(stop)) for start, stop in edges]
    line, start, stop = zip(*found, strict=True) if found else ((), (), ())
    return Stretches(np.array(line, dtype=int), np.array(start, dtype=float), np.array(stop, dtype=float))


@given(GRIDS)
def test_every_metre_counts(grids):
    found = comparison.compare(
        np.full(len(grids), 12.0), stretches(one for one, _ in grids), stretches(two for _, two in grids)
    )
    told = comparison.columns(found)
    for line, (one, two) in enumerate(grids):
        pairs = list(zip(one, two, strict=True))
        expected = {
            "first_m": sum(one), "second_m": sum(two), "both_m": pairs.count((True, True)),
            "gained_m": pairs.count((False, True)), "lost_m": pairs.count((True, False)),
        }  # fmt: skip
        assert {name: values[line] for name, values in told.items()} == expected


@given(GRIDS)
def test_the_other_way_round_gains_are_losses(grids):
    length = np.full(len(grids), 12.0)
    one, two = stretches(one for one, _ in grids), stretches(two for _, two in grids)
    there, back = (comparison.columns(comparison.compare(length, *pair)) for pair in ((one, two), (two, one)))
    for name, other in (("first_m", "second_m"), ("gained_m", "lost_m"), ("both_m", "both_m")):
        assert there[name].tolist() == back[other].tolist()


def test_sides_are_half_open_and_leave_out_what_is_unknown():
    time = np.array([np.iinfo(np.int64).min, 99, 100, 199, 200])
    provider = pd.Series(["a", "a", None, "b", "a"], dtype="str")
    assert Side("x", start_ms=100, end_ms=200).has(time, None).tolist() == [False, False, True, True, False]
    assert Side("x", end_ms=200).has(time, provider).tolist() == [False, True, True, True, False]
    assert Side("x", start_ms=100).has(time, None).tolist() == [False, False, True, True, True]
    assert Side("a", provider="a").has(time, provider).tolist() == [True, True, False, False, True]
