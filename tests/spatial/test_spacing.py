"""Points kept apart: against the plain rule, with points missing, in crowds and chains; numbers of places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.spatial import spacing


def greedy(x, y, ids, apart):
    """Return the flags that a loop over all pairs gives."""
    kept = np.zeros(len(x), dtype=bool)
    for number in spacing.order(x, y, ids):
        kept[number] = (np.hypot(x[number] - x[kept], y[number] - y[kept]) >= apart).all()
    return kept


def some_points(rng, count, side):
    """Return whole metres, so that many distances are ties, and their places somewhere."""
    x, y = rng.uniform(0, side, (2, count)).round()
    return x, y, spacing.place_ids(5 + x * 1e-5, 52 + y * 1e-5)


def test_it_is_the_plain_greedy_rule():
    x, y, ids = some_points(np.random.default_rng(3), 1500, 300)
    kept, undecided = spacing.thin(x, y, ids, 10.0)
    assert not undecided.any()
    np.testing.assert_array_equal(kept, greedy(x, y, ids, 10.0))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 400), rim=st.integers(0, 40))
def test_what_is_decided_without_the_others_holds_with_them(seed, count, rim):
    rng = np.random.default_rng(seed)
    x, y, ids = some_points(rng, count, 100)
    whole = greedy(x, y, ids, 7.0)
    given_, complete = (x >= rim) & (y >= rim), (x >= rim + 7) & (y >= rim + 7)
    order = rng.permutation(np.flatnonzero(given_))
    kept, undecided = spacing.thin(x[order], y[order], ids[order], 7.0, complete[order])
    assert not (kept & undecided).any()
    decided = ~undecided
    # Of points at one place only how many of them are kept is the same.
    places = np.stack((x, y))
    for number in np.flatnonzero(decided):
        same = (places == places[:, order[number], None]).all(axis=0)
        assert whole[same].any() == kept[(places[:, order] == places[:, order[number], None]).all(axis=0)].any()
    if rim == 0:
        far = (x[order] > 60) & (y[order] > 60)
        assert not undecided[far].any()


def test_crowds_and_long_chains_are_thinned_in_bounded_time():
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0, 10, (2, 100_000))
    ids = spacing.place_ids(x * 1e-5, y * 1e-5)
    assert 1 <= np.count_nonzero(spacing.thin(x, y, ids, 25.0).kept) <= 4
    nothing_known = np.zeros(len(x), dtype=bool)
    assert spacing.thin(x, y, ids, 25.0, nothing_known).undecided.all()
    chain = np.arange(100_000) * 0.1
    kept = spacing.thin(chain, np.zeros_like(chain), spacing.place_ids(chain * 1e-5, chain * 0), 25.0).kept
    assert np.diff(np.flatnonzero(kept)).min() >= 250
    assert np.diff(np.flatnonzero(kept)).max() < 500


def test_no_points():
    none = np.empty(0)
    assert len(spacing.thin(none, none, none.astype("int64"), 25.0).kept) == 0


@pytest.mark.parametrize(
    ("lon", "lat", "number"),
    [(-180.0, -90.0, 0), (180.0, 90.0, 2**62 - 1), (0.0, 0.0, 3 << 60), (-180.0, 0.0, 2 << 60), (0.0, -90.0, 1 << 60)],
)
def test_places_have_numbers(lon, lat, number):
    assert spacing.place_ids(np.array([lon]), np.array([lat])).tolist() == [number]


@settings(deadline=None)
@given(lon=st.floats(-180, 179.99), lat=st.floats(-89.99, 89.9), right=st.floats(-1, 1), up=st.floats(-1, 1))
def test_places_farther_apart_than_the_grid_have_different_numbers(lon, lat, right, up):
    one = spacing.place_ids(np.array([lon]), np.array([lat]))[0]
    assert 0 <= one < 2**62
    other = np.clip(lon + right * 1e-6, -180, 180), np.clip(lat + up * 1e-6, -90, 90)
    far = abs(other[0] - lon) > 360 / 2**31 or abs(other[1] - lat) > 180 / 2**31
    again = spacing.place_ids(np.array([other[0]]), np.array([other[1]]))[0]
    if far:
        assert again != one
    elif other == (lon, lat):
        assert again == one
