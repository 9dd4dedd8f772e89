import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.downloads import layouts
from mlygeo.errors import FormatError


@given(st.text(max_size=120))
def test_a_folder_is_a_plain_name_or_refused(text):
    try:
        name = layouts.sequence_folder(text)
    except FormatError:
        return
    assert name == text
    assert name.isascii()
    assert not set(name) & set("/\\:.\0 ")
    assert 0 < len(name) <= 100
    assert name.lower() not in {"con", "nul", "aux", "prn", "com1", "lpt1"}


def test_real_sequence_ids_pass(images):
    for name in images["sequence_id"].unique():
        assert layouts.sequence_folder(name) == name
    assert layouts.sequence_folder("-_abcdefghijklmnopqrst") == "-_abcdefghijklmnopqrst"


def test_names_by_time():
    ids = np.array([3, 5, 7, 9, 11], dtype=np.int64)
    sequences = np.array([0, 0, 0, 1, -1], dtype=np.int32)
    moment = 1_753_725_650_120  # 2025-07-28 18:00:50.120 UTC
    captured = np.array([moment, moment, moment + 989, -1, layouts.UNKNOWN_TIME])
    layout = layouts.ByTime(ids, sequences, captured, ["3NpXMDuHm9IZ", "steh5jBx"],
                            np.array([moment, layouts.UNKNOWN_TIME]))  # fmt: skip
    assert [layout.path(number, {"sequence_id": "unknown22"}) for number in ids.tolist()] == [
        "20250728_180050_3NpXMDuH/20250728_180050_120.jpg",
        "20250728_180050_3NpXMDuH/20250728_180050_120_5.jpg",
        "20250728_180050_3NpXMDuH/20250728_180051_109.jpg",
        "steh5jBx/19691231_235959_999.jpg",
        "unknown2/11.jpg",
    ]
    assert layouts.with_id("a/b.jpg", 5) == "a/b_5.jpg"
    assert layouts.with_id("a/b_5.jpg", 5) == "a/b_5.jpg"


@given(st.integers(-62_135_596_800_000, 253_402_300_799_000))
def test_stamps_agree_with_pandas(moment):
    import pandas as pd

    date, milliseconds = layouts._stamp(moment)
    expected = np.datetime64(moment, "ms").astype("datetime64[ms]").item()
    assert date == f"{expected.year:04d}{expected:%m%d_%H%M%S}"
    assert milliseconds == f"{moment % 1000:03d}"
    assert pd.Timestamp("2025-07-28T18:00:50.120").value // 10**6 == 1_753_725_650_120


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), 10**20, []])
def test_times_that_are_none(value):
    assert layouts.milliseconds(value) == layouts.UNKNOWN_TIME


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (498763468214164, "498763468214164"),
        ("fc4bd9cd-e3d5-4218-81b3-0ae99d92635a", "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a"),
        ("12_a", "12_a"),
        ("aBc", "aBc~2"),
        ("abC", "abC~4"),
        ("a/../b", "a%2F%2E%2E%2Fb"),
        ("con", "%63on"),
        ("ä:1", "%C3%A4%3A1"),
        ("a.", "a%2E"),
    ],
)
def test_names_of_text_ids(key, name):
    assert layouts.file_name(key) == name


def test_an_id_that_is_too_long_for_a_name():
    with pytest.raises(FormatError, match="too long for the name of a file"):
        layouts.file_name("a" * 151)


@given(st.lists(st.text(min_size=1, max_size=12), min_size=2, unique=True))
def test_ids_are_kept_apart_on_every_system(ids):
    """Of names that a system takes for the same, which may be by case, there is never more than one."""
    names = [layouts.file_name(id_) for id_ in ids]
    assert len({name.casefold() for name in names}) == len(ids)
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_%~-]+", name)
        assert not re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d", name)


def test_names_by_time_of_text_ids():
    ids = np.array(["10", "9", "b"], dtype=object)  # the order of these ids is that of text, since one is not a number
    moment = 1_753_725_650_120
    layout = layouts.ByTime(ids, np.zeros(3, dtype=np.int32), np.full(3, moment), ["ride"], np.array([moment]))
    assert [layout.path(key, {}) for key in ids] == [
        "20250728_180050_ride/20250728_180050_120.jpg",
        "20250728_180050_ride/20250728_180050_120_9.jpg",
        "20250728_180050_ride/20250728_180050_120_b.jpg",
    ]


def test_an_id_that_ends_as_the_name_does_is_appended():
    """The last letters of a name by its time are milliseconds."""
    assert layouts.with_id("r/20250728_180050_120.jpg", 120) == "r/20250728_180050_120_120.jpg"
    assert layouts.with_id("r/20250728_180050_120.jpg", 20) == "r/20250728_180050_120_20.jpg"
    assert layouts.with_id("r/20250728_180050_120_7.jpg", 7) == "r/20250728_180050_120_7.jpg"
    assert layouts.with_id("r/112.jpg", "12") == "r/112_12.jpg"
