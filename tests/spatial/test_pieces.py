"""Pieces make up the streets to the micrometre, and what is covered of them is what a plain loop finds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.spatial import pieces, polylines
from mlygeo.spatial.reach import Stretches

LINES = st.lists(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=6, unique=True),
    min_size=1,
    max_size=5,
)


def laid(lines):
    """Lines whose degrees are their metres, in thousandths."""
    vertices = np.concatenate([np.array(line, dtype=float) for line in lines])
    first = np.cumsum([0, *map(len, lines)])
    return polylines.measure(*vertices.T, first), vertices / 1000


@given(lines=LINES, data=st.data())
def test_pieces_make_up_the_lines(lines, data):
    measured, lonlat = laid(lines)
    of = pieces.segments(measured, lonlat)
    number = len(of.vertex)
    cuts = data.draw(st.lists(st.tuples(st.integers(0, number - 1), st.floats(-0.2, 1.2)), max_size=20))
    segment, share = np.array([each[0] for each in cuts], dtype=int), np.array([each[1] for each in cuts], dtype=float)
    cut = pieces.cut(measured, of, segment, share)
    length = np.zeros(len(lines), dtype=np.int64)
    np.add.at(length, cut.line, cut.stop - cut.start)
    assert length.tolist() == pieces.micrometres(measured.length).tolist()
    same = cut.line[1:] == cut.line[:-1]
    assert (cut.start[1:][same] == cut.stop[:-1][same]).all()
    assert (cut.start[1:][~same] == 0).all()
    for line, start, stop, lon, lat in zip(*cut, strict=True):
        x, y, _ = polylines.locate(measured, np.array([line]), np.array([(start + stop) / 2e6]))
        assert np.hypot(x[0] - lon * 1000, y[0] - lat * 1000) < 1e-5
    inside = {(each, place) for each, place in cuts if 1e-6 < place < 1 - 1e-6}
    assert len(cut.line) >= len({each for each, _ in inside}) + number


@given(data=st.data())
def test_what_is_covered_of_parts(data):
    length = np.array(data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=4)), dtype=float)
    stretches, grid = [], []
    for line, metres in enumerate(length.astype(int).tolist()):
        own = np.array(data.draw(st.lists(st.booleans(), min_size=metres, max_size=metres)))
        grid.append(own)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], own.astype(int), [0]))))
        stretches += [(line, float(start), float(stop)) for start, stop in edges.reshape(-1, 2)]
    columns = zip(*stretches, strict=True) if stretches else ((), (), ())
    line, start, stop = columns
    axis = pieces.Axis(length, Stretches(np.array(line, dtype=int), np.array(start, float), np.array(stop, float)))
    for line, own in enumerate(grid):
        start = data.draw(st.integers(0, len(own)))
        stop = data.draw(st.integers(start, len(own)))
        parts = (np.array([line]), np.array([start * 10**6]), np.array([stop * 10**6]))
        assert axis.within(*parts).tolist() == [int(own[start:stop].sum()) * 10**6]


def test_across_the_antimeridian():
    lonlat = np.array([[179.9, 10.0], [-179.9, 10.0]])
    measured = polylines.measure(np.array([0.0, 100.0]), np.array([0.0, 0.0]), np.array([0, 2]))
    cut = pieces.cut(measured, pieces.segments(measured, lonlat), np.array([0]), np.array([0.75]))
    np.testing.assert_allclose(cut.lon, [179.975, -179.925], atol=1e-9)
    assert cut.stop.tolist() == [75_000_000, 100_000_000]
