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
