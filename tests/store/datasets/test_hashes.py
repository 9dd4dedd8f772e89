"""A hash of rows depends on what they say, and neither on their order nor on how tables are cut."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.store.datasets import hashes

ROWS = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(-180, 180), st.none() | st.text(max_size=4)), max_size=20
)


def table(rows):
    number, lon, name = zip(*rows, strict=True) if rows else ((), (), ())
    types = pa.int64(), pa.float64(), pa.string()
    return pa.table(
        {key: pa.array(each, kind) for key, each, kind in zip("abc", (number, lon, name), types, strict=True)}
    )


@given(rows=ROWS, seed=st.integers(0, 99), cut=st.integers(0, 20))
def test_the_order_and_the_cut_do_not_matter(rows, seed, cut):
    shuffled = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
    assert hashes.digest([table(rows)]) == hashes.digest([table(shuffled[:cut]), table(shuffled[cut:])])


@given(rows=ROWS, other=ROWS)
def test_other_rows_have_another_hash(rows, other):
    def plain(each):
        return sorted(map(repr, each))

    assert (hashes.digest([table(rows)]) == hashes.digest([table(other)])) == (plain(rows) == plain(other))


@given(rows=ROWS.filter(bool), place=st.integers(0, 19))
def test_one_changed_value_is_seen(rows, place):
    number, lon, name = rows[place % len(rows)]
    for changed in ((number ^ 1, lon, name), (number, float(np.nextafter(lon, 200)), name), (number, lon, f"{name}x")):
        others = [*rows]
        others[place % len(rows)] = changed
        assert hashes.digest([table(rows)]) != hashes.digest([table(others)])
    assert hashes.digest([table(rows)]) != hashes.digest([table(rows + rows[:1])])
