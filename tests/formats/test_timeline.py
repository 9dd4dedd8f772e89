"""Edit lists: a table of cases with the values of the standard, and a plain loop as the oracle."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.formats import timeline
from mlygeo.formats.timeline import Edit, Timeline

HALF, TWICE, BACKWARDS, HELD = 1 << 15, 2 << 16, -(1 << 16), 0

MEDIA_S = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
"""Six samples, half a second apart, in a media of 3 s; 1000 units a second in the movie, 100 in the track."""

CASES = {
    "no edit list": ([], MEDIA_S, []),
    "all of it": ([Edit(3000, 0)], MEDIA_S, []),
    "an empty edit, then all": ([Edit(2000, -1), Edit(3000, 0)], [2.0, 2.5, 3.0, 3.5, 4.0, 4.5], []),
    "two empty edits, then all": ([Edit(500, -1), Edit(1500, -1), Edit(3000, 0)], [2.0, 2.5, 3.0, 3.5, 4.0, 4.5], []),
    "an empty edit alone": ([Edit(2000, -1)], [2.0, 2.5, 3.0, 3.5, 4.0, 4.5], []),
    "from a sample on": ([Edit(2000, 100)], [None, None, 0.0, 0.5, 1.0, 1.5], []),
    "from between two samples on": ([Edit(2250, 75)], [None, None, 0.25, 0.75, 1.25, 1.75], []),
    "an end before the media's": ([Edit(1500, 0)], [0.0, 0.5, 1.0, None, None, None], []),
    "an end behind the media's": ([Edit(9000, 0)], MEDIA_S, []),
    "an empty edit between two parts": (
        [Edit(1000, 0), Edit(1000, -1), Edit(1000, 200)], [0.0, 0.5, None, None, 2.0, 2.5], [],
    ),
    "parts in another order": ([Edit(1000, 200), Edit(1000, 0)], [1.0, 1.5, None, None, 0.0, 0.5], []),
    "no length in the last edit": ([Edit(1000, -1), Edit(0, 100)], [None, None, 1.0, 1.5, 2.0, 2.5], []),
    "no length in another": ([Edit(0, 100), Edit(1000, 0)], [0.0, 0.5, None, None, None, None], ["no length"]),
    "half as fast": ([Edit(4000, 100, HALF)], [None, None, 0.0, 1.0, 2.0, 3.0], ["0.5 times its speed"]),
    "twice as fast": ([Edit(1000, 0, TWICE)], [0.0, 0.25, 0.5, 0.75, None, None], ["2 times its speed"]),
    "backwards": ([Edit(3000, 0, BACKWARDS)], MEDIA_S, ["backwards"]),
    "one picture held": ([Edit(1000, 110, HELD), Edit(1000, 200)], [None, None, 0.0, None, 1.0, 1.5], []),
    "before the media": ([Edit(3000, -50)], [0.5, 1.0, 1.5, 2.0, 2.5, None], ["begins before its media"]),
    "nothing that is there": ([Edit(1000, 5000)], [None] * 6, []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_the_standard_says(name):
    edits, expected, problems = CASES[name]
    line = Timeline.of(edits, movie_timescale=1000, timescale=100)
    rows, seconds = line.samples(np.array([round(100 * second) for second in MEDIA_S]))
    found = dict(zip(rows.tolist(), seconds.tolist(), strict=True))
    assert [found.get(row) for row in range(6)] == [None if each is None else pytest.approx(each) for each in expected]
    assert (np.diff(seconds) > 0).all()
    assert len(line.problems) == len(problems)
    assert all(word in said for word, said in zip(problems, line.problems, strict=True))
    if name != "one picture held":
        rows, seconds = line.instants(np.array(MEDIA_S) + 1e-9)
        for row, second in zip(rows.tolist(), seconds.tolist(), strict=True):
            assert second == pytest.approx(expected[row], abs=1e-6)
        assert set(rows.tolist()) == {row for row, second in enumerate(expected) if second is not None}


def test_a_part_that_is_shown_twice():
    line = Timeline.of([Edit(1000, 0), Edit(1000, 0)], movie_timescale=1000, timescale=100)
    rows, seconds = line.samples(np.array([0, 50, 100]))
    assert rows.tolist() == [0, 1, 0, 1]
    assert seconds.tolist() == [0.0, 0.5, 1.0, 1.5]


def test_the_last_point_of_a_track_has_no_length():
    points = np.array([0.0, 1.0, 2.0, 3.0, np.nan])
    rows, seconds = Timeline.of([Edit(1000, 0), Edit(2000, 100)], movie_timescale=1000, timescale=100).instants(points)
    assert rows.tolist() == [0, 1, 2, 3]
    assert seconds.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_lengths_without_a_unit_are_said():
    line = Timeline.of([Edit(1000, -1), Edit(1000, 100)], movie_timescale=0, timescale=100)
    assert line.samples(np.array([0, 100, 500])).seconds.tolist() == [0.0, 4.0]
    assert "have no unit" in line.problems[0]


def test_claims_of_thousands_of_edits_are_bounded(monkeypatch):
    monkeypatch.setattr(timeline, "MOST_SHOWN", 1000)
    line = Timeline.of([Edit(1000, 0)] * 4096, movie_timescale=1000, timescale=100)
    assert len(line.samples(np.arange(100)).rows) == 1000
    largest = Timeline.of([Edit(2**64 - 1, -1), Edit(2**64 - 1, 2**63 - 1)] * 3, movie_timescale=1, timescale=2**32 - 1)
    assert not len(largest.samples(np.array([0, 2**40])).rows)
    assert "68 years" in largest.problems[0]
    late = Timeline.of([Edit(2**64 - 1, -1)], movie_timescale=1, timescale=100)
    assert late.samples(np.array([0, 100, 2**60])).seconds.tolist() == [0.0, 1.0]


edits = st.lists(
    st.builds(
        Edit,
        st.integers(0, 4000),
        st.one_of(st.just(-1), st.integers(0, 400)),
        st.sampled_from([1 << 16, 1 << 16, 1 << 16, HELD, HALF, TWICE]),
    ),
    max_size=6,
)


def plainly(edits, pts, movie_timescale, timescale):
    """When each sample is shown, edit after edit and sample after sample."""
    if all(edit.media == -1 for edit in edits):
        late = sum((Fraction(edit.length, movie_timescale) for edit in edits), Fraction(0))
        return sorted((late + Fraction(time, timescale), row) for row, time in enumerate(pts))
    shown, at = [], Fraction(0)
    for number, edit in enumerate(edits):
        length = Fraction(edit.length, movie_timescale)
        rate = Fraction(edit.rate, 1 << 16)
        is_open = not edit.length and number == len(edits) - 1
        if edit.media != -1 and rate == 0:
            before = [(time, row) for row, time in enumerate(pts) if time <= edit.media]
            if before:
                latest = max(time for time, _ in before)
                shown.append((at, [row for time, row in before if time == latest][-1]))
        elif edit.media != -1 and (edit.length or is_open):
            units = int(length * timescale * rate + Fraction(1, 2))
            for time, row in sorted((time, row) for row, time in enumerate(pts)):
                if edit.media <= time and (is_open or time < edit.media + units):
                    shown.append((at + Fraction(time - edit.media, timescale) / rate, row))
        at += length
    return shown


@settings(max_examples=400, deadline=None)
@given(
    edits, st.lists(st.integers(0, 500), max_size=12, unique=True), st.sampled_from([600, 1000, 90_000]),
    st.sampled_from([30, 100, 90_000]),
)  # fmt: skip
def test_the_mapping_is_a_plain_loop(edits, pts, movie_timescale, timescale):
    line = Timeline.of(edits, movie_timescale=movie_timescale, timescale=timescale)
    rows, seconds = line.samples(np.array(pts, dtype=np.int64))
    expected = plainly(edits, pts, movie_timescale, timescale)
    assert rows.tolist() == [row for _, row in expected]
    np.testing.assert_allclose(seconds, [float(second) for second, _ in expected], atol=1e-9)
