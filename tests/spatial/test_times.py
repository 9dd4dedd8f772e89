"""Times in whole seconds beside times with fractions: the order of a burst is that of its photos."""

import numpy as np
import pytest
from helpers import sequence_loops as loops
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from mlygeo.spatial.times import estimate_subseconds, place_whole_seconds, spread_subseconds


def burst(*times, names=None):
    """Return images with these times in seconds, named IMG_8, IMG_9, IMG_10, …"""
    names = [f"IMG_{number + 8}.jpg" for number in range(len(times))] if names is None else names
    return loops.frame([{"t": t, "name": name} for t, name in zip(times, names, strict=True)])


def seconds_of(images):
    return (images["captured_at"] - loops.START).dt.total_seconds().round(6).tolist()


def spread(images):
    return spread_subseconds(place_whole_seconds(images))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 0.2, 0.4, 0.6, 0.8], [0, 0.2, 0.4, 0.6, 0.8]),
        ([0.2, 0, 0.6], [0.2, 0.4, 0.6]),
        ([0.2, 0, 0, 0.8], [0.2, 0.4, 0.6, 0.8]),
        ([0, 0, 0.4, 0, 0.6, 1], [0, 0.2, 0.4, 0.5, 0.6, 1]),
        ([0, 0, 0.5, 0, 1], [0, 0.166, 0.5, 0.333, 1]),  # one name tells no order, so whole seconds come first
        ([0.1, 0.4, 0], [0.1, 0.4, 0.7]),
        ([0, 0, 0, 1, 1.5], [0, 0.333, 0.666, 1, 1.5]),
        ([0.3, 0, 0.3], [0.3, 0, 0.65]),
        ([0.8, 0.2, 0, 0], [0.8, 0.2, 0, 0.1]),  # nor do these
        ([5.5, 0, 0], [5.5, 0, 0.5]),
    ],
)
def test_whole_seconds_go_where_their_names_are(times, expected):
    assert seconds_of(spread(burst(*times))) == pytest.approx(expected, abs=1e-3)


def test_images_without_paths_are_spread():
    images = burst(0.1, 0, 0, 0.8)
    images["path"] = images["path"].where([False] * 4).astype("str")
    assert len(set(seconds_of(spread(images)))) == 4


def spread_by_a_loop(images):
    """Return the times of a plain loop over seconds: first by names between known times, then repeated times."""
    times = dict(zip(images.index, seconds_of(images), strict=True))
    ms = {label: round(t * 1000) for label, t in times.items()}
    groups = {}
    for row in images.itertuples():
        groups.setdefault((row.folder, row.make), []).append(row)
    for members in groups.values():
        for second in {ms[row.Index] // 1000 for row in members}:
            inside = [row for row in members if ms[row.Index] // 1000 == second]
            inside.sort(key=lambda row: loops.natural(row.path))
            known = [ms[row.Index] for row in inside if ms[row.Index] % 1000]
            if not known or known[0] == known[-1] or len(known) == len(inside) or known != sorted(known):
                continue
            stretch, last = [], None
            for row in [*inside, None]:
                if row is not None and ms[row.Index] % 1000 == 0:
                    stretch.append(row.Index)
                    continue
                stop = (second + 1) * 1000 if row is None else ms[row.Index]
                for number, label in enumerate(stretch):
                    if last is None:
                        ms[label] = second * 1000 + number * (stop - second * 1000) // len(stretch)
                    else:
                        ms[label] = last + (number + 1) * (stop - last) // (len(stretch) + 1)
                stretch, last = [], stop
        members.sort(key=lambda row: (ms[row.Index], loops.natural(row.path)))
        found = [ms[row.Index] for row in members]
        for at, row in enumerate(members):
            before = found.index(found[at])
            count = found.count(found[at])
            end = min(found[before + count] if before + count < len(found) else 10**15, (found[at] // 1000 + 1) * 1000)
            ms[row.Index] = found[at] + (at - before) * (end - found[at]) // count
    return [ms[label] / 1000 for label in images.index]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 0.1, 0.25, 0.5, 0.9, 1, 1, 1.4, 2, 7.3]), st.sampled_from("ab")),
        max_size=14,
    ),
    st.integers(0, 2**31),
)
def test_bursts_are_spread_as_a_loop_spreads_them(pairs, seed):
    numbers = np.random.default_rng(seed).permutation(20)
    rows = [
        {"t": t, "folder": folder, "name": f"IMG_{number}.jpg"}
        for (t, folder), number in zip(pairs, numbers, strict=False)
    ]
    images = loops.frame(rows)
    found = spread(images)
    assert seconds_of(found) == spread_by_a_loop(images)
    assert_frame_equal(spread_subseconds(found), found)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 999), min_size=3, max_size=12, unique=True), st.integers(0, 2**31))
def test_fractions_that_photos_tell_are_kept_and_order_the_burst(fractions, seed):
    """Photos are named in the order of their true times; those that lose their fraction stay where they were."""
    rng = np.random.default_rng(seed)
    truth = np.sort(fractions) / 1000
    lost = rng.permutation(len(truth)) >= max(2, rng.integers(len(truth)))
    found = np.array(seconds_of(spread(burst(*np.where(lost, 0.0, truth)))))
    assert (np.diff(found) >= 0).all()
    assert (found[~lost] == truth[~lost]).all()
    assert ((found >= 0) & (found < 1)).all()


def test_estimated_times_agree_with_the_fractions_that_photos_tell():
    truth = 0.3 + 0.5 * np.arange(12)
    known = np.zeros(12, dtype=bool)
    known[[3, 7]] = True
    times = np.where(known, truth, np.floor(truth))
    found = seconds_of(estimate_subseconds(burst(*times), sub_second_interval=0.5))
    assert found == pytest.approx(truth, abs=1e-3)
    everything = burst(*truth)
    assert_frame_equal(estimate_subseconds(everything, sub_second_interval=0.5), everything)
    # Real cameras are not that regular: what a photo says stays.
    uneven = truth + np.where(known, 0.07, 0)
    found = seconds_of(estimate_subseconds(burst(*np.where(known, uneven, np.floor(truth))), sub_second_interval=0.5))
    assert np.array(found)[known] == pytest.approx(uneven[known], abs=1e-3)
