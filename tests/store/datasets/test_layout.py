"""Tests of mlygeo.store.datasets.layout: cells with parts, and their names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.spatial import cells
from mlygeo.store.datasets import layout

CODES = st.lists(st.integers(0, 4**14 - 1), min_size=1, max_size=200, unique=True)


@given(codes=CODES, most=st.integers(1, 300), seed=st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_cells_hold_every_row_once_and_are_as_large_as_they_may_be(codes, most, seed):
    code = np.sort(np.array(codes, dtype=np.int64))
    rows = np.random.default_rng(seed).integers(1, 100, len(code))

    found = layout.leaves(code, rows, most)

    assert np.array_equal(np.bincount(found.of(code), rows, len(found)).astype(int), found.rows)
    assert (np.diff(found.first) > 0).all()
    for cell, zoom, count in zip(found.code.tolist(), found.zoom.tolist(), found.rows.tolist(), strict=True):
        assert count <= most or zoom == layout.MOST_ZOOM
        if zoom > layout.LEAST_ZOOM:
            first, stop = cells.span(cell >> 2, zoom - 1, layout.MOST_ZOOM)
            assert rows[(code >= first) & (code < stop)].sum() > most


def test_no_rows_have_no_cells():
    none = np.empty(0, dtype=np.int64)
    assert len(layout.leaves(none, none)) == 0


@pytest.mark.parametrize(("code", "zoom", "name"), [(45, 4, "cell=q0231"), (0, 4, "cell=q0000"), (0, 0, "cell=q")])
def test_a_folder_has_the_quadkey_of_its_cell_behind_a_letter(code, zoom, name):
    assert layout.folder(code, zoom) == name
    assert layout.cell_of(name) == (code, zoom)


@pytest.mark.parametrize("name", ["cell=0231", "cell=q4", "quadkey=q0231", "cell=q0231 ", "cell=q" + "0" * 15])
def test_other_folders_are_of_no_cell(name):
    assert layout.cell_of(name) is None


@pytest.mark.parametrize(("name", "number"), [("part-0.parquet", 0), ("part-12.parquet", 12), ("part-01.parquet", None),
                                              ("part-.parquet", None), ("other.parquet", None)])  # fmt: skip
def test_the_number_of_a_part_is_in_its_name(name, number):
    assert layout.part_number(name) == number
