"""Columns of texts: times are what the one reader of times reads; times that lie years away; encodings."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.formats import texts, times

TWO = "{:02d}".format

ZONES = [
    "",
    "Z",
    "+02:00",
    "-0730",
    "+2",
    "+15:00",
    "\u221207:00",
    " PM",
    "PST",
    "+14:00",
    "-12:30",
    "-12:00",
    " GMT+02:00",
]

FULL = st.builds(
    lambda year, month, day, between, hour, minute, second, part, zone: (
        f"{year:04d}-{month:02d}-{day:02d}{between}{hour:02d}:{minute:02d}:{second:02d}{part}{zone}"
    ),
    st.one_of(st.integers(1990, 2030), st.integers(0, 9999)), st.integers(0, 13), st.integers(0, 32),
    st.sampled_from(["T", "T", " ", "  ", "t"]), st.integers(0, 25), st.integers(0, 60), st.integers(0, 61),
    st.one_of(st.just(""), st.text("0123456789", min_size=1, max_size=12).map(".{}".format)), st.sampled_from(ZONES),
)  # fmt: skip

ODD = st.sampled_from([
    "2024", "2024-06", "2024-06-09", "2024-06-09T08", "2024-06-09T08Z", "2024-06-09T08:00Z", "2024-06-09T08:00", "08:00",
    "20240609T080000Z", "2024:06:09 08:00:00", "2024-W23-7T08:00:00Z", "1717920000", "2024-06-09T24:00:00Z", "20240609",
    "2016-12-31T23:59:60Z", "2024-06-09T08+02:00", "2024-06-09T080000Z", "2024-06-09Z", " 2024-06-09T08:00:00Z ", "x", "",
])  # fmt: skip

FORMS = st.tuples(st.sampled_from(["", "Z", "+02:00"]), st.sampled_from([0, 3, 9])).flatmap(
    lambda form: st.lists(
        st.integers(0, 2**50).map(lambda ns: str(np.datetime64(2**60 + ns, "ns"))[: 20 + form[1] if form[1] else 19] + form[0]),
        min_size=1, max_size=5,
    )
)  # fmt: skip


@given(
    st.one_of(
        st.lists(FULL, max_size=5),
        FORMS,
        st.lists(st.one_of(FULL, ODD, st.none()), max_size=5),
        st.lists(ODD, max_size=3),
    )
)
@settings(deadline=None, max_examples=500)
def test_columns_of_times_are_what_the_one_reader_reads(column):
    column = [text or None for text in column]
    found = texts.cell_moments(pa.array(column, pa.string()))
    expected = [times.read(text) for text in column]
    us = found.time.astype("datetime64[us]").astype(np.int64).tolist()
    lost = np.isnat(found.time).tolist()
    assert [None if none else at for at, none in zip(us, lost, strict=True)] == [
        None if reading is None else reading.us for reading in expected
    ]
    assert found.senseless == sum(
        text is not None and reading is None for text, reading in zip(column, expected, strict=True)
    )
    assert found.zoneless == sum(reading is not None and reading.offset_s is None for reading in expected)


def at(*days):
    return np.array(days, dtype="datetime64[us]")


def test_times_years_away_from_their_recording_are_stray():
    few = at("2000-01-01", "2022-09-10", "2022-09-11", "NaT")
    assert texts.stray(few).tolist() == [True, False, False, False]
    assert texts.stray(few, np.array([0, 1, 1, 1])).tolist() == [False] * 4
    assert texts.stray(at("2022-09-10", "2000-01-01")).tolist() == [False, True]
    years = np.concatenate([at("2019-05-01") + np.arange(500), at("2022-05-01") + np.arange(1000)])
    assert texts.stray(years).sum() == 500
    assert texts.stray(years, share=0.1, few=60).sum() == 0
    early = np.concatenate([at("2000-01-01") + np.arange(50), at("2022-05-01") + np.arange(100)])
    assert texts.stray(early, share=0.1, few=60).sum() == 50


@pytest.mark.parametrize(
    ("given", "moved", "says"),
    [("1990-01-01", "2009-08-17", "moved on"), ("1980-01-06", "1999-08-22", "moved on"), ("1970-01-01", "1970-01-01", "may be"),
     ("2003-02-01", "2003-02-01", "may be 1024 weeks behind (then 2022-09-17)"), ("2010-01-01", "2010-01-01", None)],
)  # fmt: skip
def test_weeks_that_rolled_over(given, moved, says):
    now_us = int(np.datetime64("2026-11-28", "us").astype(np.int64))
    times_, doubt = texts.rolled_over(at(given), now_us)
    assert times_.tolist() == at(moved).tolist()
    assert says in doubt if says else doubt is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("text", ["<gpx>é", "lat,lon\n1,2", "$GPRMC,1"])
def test_encodings_are_told_by_marks_and_zeros(encoding, text):
    content = text.encode(encoding)
    assert content.decode(texts.encoding_of(content)).lstrip("\ufeff") == text
