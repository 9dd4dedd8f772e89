"""Rows on disk on their way: they come back as they were added, whatever was written between."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.store.spilled import Spilled

ROW = np.dtype([("id", "i8"), ("kind", "i1"), ("place", "i4", 2)])


@settings(max_examples=100, deadline=None)
@given(added=st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(-(2**40), 2**40)), max_size=9), max_size=12))
def test_each_bucket_has_its_rows_in_their_order(added):
    expected: dict[int, list[int]] = {}
    with Spilled(ROW) as spilled:
        for each in added:
            rows = np.zeros(len(each), dtype=ROW)
            rows["id"] = [value for _, value in each]
            rows["place"] = rows["id"][:, None] % 1000
            spilled.add(np.array([bucket for bucket, _ in each], dtype=np.int64), rows)
            for bucket, value in each:
                expected.setdefault(bucket, []).append(value)
            for bucket in range(7):
                found = spilled.take(bucket)
                assert found["id"].tolist() == expected.get(bucket, [])
                assert (found["place"] == found["id"][:, None] % 1000).all()
                assert spilled.rows(bucket) == len(found)


def test_what_is_held_does_not_grow_with_what_is_added():
    with Spilled(np.int64) as spilled:
        for number in range(5000):
            spilled.put(number % 3, np.arange(number, number + 2))
        assert len(spilled._last) == len(spilled._rows) == 3
        assert spilled.take(1).tolist() == [value for number in range(1, 5000, 3) for value in (number, number + 1)]
