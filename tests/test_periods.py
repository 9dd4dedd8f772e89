"""Times and periods in ISO 8601."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import periods
from mlygeo.errors import InputError


def at(*parts):
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("2024", at(2024, 1, 1), at(2025, 1, 1)),
        ("2024-06", at(2024, 6, 1), at(2024, 7, 1)),
        ("2024-12", at(2024, 12, 1), at(2025, 1, 1)),
        ("2024-W23", at(2024, 6, 3), at(2024, 6, 10)),
        ("2024W23", at(2024, 6, 3), at(2024, 6, 10)),
        ("2020-W53", at(2020, 12, 28), at(2021, 1, 4)),
        ("2024-W23-7", at(2024, 6, 9), at(2024, 6, 10)),
        ("2024-366", at(2024, 12, 31), at(2025, 1, 1)),
        ("2024-02-29", at(2024, 2, 29), at(2024, 3, 1)),
        (" 20240630 ", at(2024, 6, 30), at(2024, 7, 1)),
        ("9999", at(9999, 1, 1), periods.LAST),
        (dt.date(2024, 6, 30), at(2024, 6, 30), at(2024, 7, 1)),
        (np.datetime64("2024-06"), at(2024, 6, 1), at(2024, 7, 1)),
        (np.datetime64("2024-06-30", "D"), at(2024, 6, 30), at(2024, 7, 1)),
        (pd.Period("2024-06"), at(2024, 6, 1), at(2024, 7, 1)),
        (pd.Period("2024Q2"), at(2024, 4, 1), at(2024, 7, 1)),
    ],
)
def test_periods(value, start, end):
    assert periods.period(value, "since") == (start, end)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-06-30T12:00:00Z", at(2024, 6, 30, 12)),
        ("2024-06-30T12:00", at(2024, 6, 30, 12)),
        ("2024-06-30 12:00:00.25+02:00", at(2024, 6, 30, 10, 0, 0, 250_000)),
        ("20240630T120000Z", at(2024, 6, 30, 12)),
        ("20240630T12-0730", at(2024, 6, 30, 19, 30)),
        ("2024-W26-7T12:00:00\N{MINUS SIGN}07", at(2024, 6, 30, 19)),
        ("2024-06-30T24:00", at(2024, 7, 1)),
        ("2016-12-31T23:59:60Z", at(2017, 1, 1)),
        (dt.datetime(2024, 6, 30, 12), at(2024, 6, 30, 12)),
        (pd.Timestamp("2024-06-30 12:00", tz="Europe/Berlin"), at(2024, 6, 30, 10)),
        (np.datetime64("2024-06-30T12:00:00.123456789"), at(2024, 6, 30, 12, 0, 0, 123_456)),
    ],
)
def test_moments(value, moment):
    assert periods.period(value, "since") == (moment, moment)
    assert periods.moment(value, "since") == moment


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "NaT", "nan", "now", "today", "June", "June 2024", "12:00", "T12:00", "10/11/2024", "2024/06/30", "30.06.2024",
        "2024-6-1", "24-06-30", "202406", "2024-06T12:00", "2024-06-30T", "2024-06-30Z", "2024-06-30T12:00 PST",
        "2024-06-30T1200Z", "20240630T12:00Z", "2024-06-30T12:00+2", "-2024", "+2024", "002024", "1719748800", "1719748800000",
        "2024-06-30T12.5", "\uff12\uff10\uff12\uff14", "2024\N{MINUS SIGN}06", "\ud800",
        pd.NaT, np.datetime64("NaT", "us"), float("nan"), 2024, 2024.5, True, None, b"2024", ["2024"], object(), np.array([1, 2]),
        pd.Timedelta("1D"),
    ],
)  # fmt: skip
def test_nothing_else_is_a_time(value):
    with pytest.raises(InputError, match=r"^`since` .*is (not a date or time|empty)") as caught:
        periods.period(value, "since")
    assert "2024-06-30T12:00:00Z" in caught.value.hint


@pytest.mark.parametrize(
    "value", ["2024/2025", "2024-01-01/P1M", "P1Y", "PT36H", "R5/2024-01-01/P1D", "2024-01--2024-06", "p2w"]
)
def test_intervals_and_durations_are_refused_by_name(value):
    with pytest.raises(InputError, match="interval or a duration"):
        periods.period(value, "until")


@pytest.mark.parametrize(
    "value",
    ["2024-13", "2024-00", "2024-02-30", "2023-02-29", "2023-366", "2024-000", "2024-W00", "2024-W53", "2024-W10-8", "0000",
     "2024-06-30T25:00", "2024-06-30T24:01", "2024-06-30T12:60", "2024-06-30T12:00:61", "2024-06-30T12:00+15:00",
     "2024-06-30T12:00+02:60", "0001-01-01T00:00+14:00", np.datetime64("20000-01-01")],
)  # fmt: skip
def test_days_and_times_that_do_not_exist(value):
    with pytest.raises(InputError, match="does not exist"):
        periods.period(value, "since")


TIMES = st.datetimes(dt.datetime(1826, 1, 1), dt.datetime(2999, 12, 31), timezones=st.just(dt.UTC))


@settings(deadline=None)
@given(time=TIMES)
def test_a_time_lies_in_each_period_that_its_text_begins_with(time):
    iso = time.isocalendar()
    texts = [
        f"{time:%Y}", f"{time:%Y-%m}", f"{time:%Y-%m-%d}", f"{time:%Y%m%d}", f"{time:%Y-%j}", f"{time:%Y%j}",
        f"{iso.year:04}-W{iso.week:02}", f"{iso.year:04}W{iso.week:02}{iso.weekday}",
    ]  # fmt: skip
    for text in texts:
        start, end = periods.period(text, "since")
        assert start <= time < end, text
        # The next one begins where it ends.
        assert periods.period(end.date(), "since").start == end
    assert periods.moment(time.isoformat(), "since") == time
    assert periods.moment(time.strftime("%Y%m%dT%H%M%S.%fZ"), "since") == time


@settings(deadline=None)
@given(text=st.text(max_size=30) | st.from_regex(r"\d{4}-?\d\d-?\d\d[T ]?[\d:.,]*[Z+-]?[\d:]*"))
def test_any_text_is_a_time_or_an_error_of_one_line(text):
    said = ""
    try:
        found = periods.period(text, "since")
    except InputError as error:
        found, said = None, str(error)
    assert found is None or found.start <= found.end
    assert found or said.startswith("`since` ")
    assert "\n" not in said


def test_days():
    assert periods.day("2024-06-30", "date") == dt.date(2024, 6, 30)
    assert periods.day(pd.Timestamp("2024-06-30"), "date") == dt.date(2024, 6, 30)
    for longer_or_shorter in ("2024", "2024-06", "2024-06-30T12:00"):
        with pytest.raises(InputError, match=r"`date` .* is not a day"):
            periods.day(longer_or_shorter, "date")
    with pytest.raises(InputError, match="no time of day"):
        periods.moment("2024-06-30", "now")
