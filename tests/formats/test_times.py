"""The one reader of times: texts in full or not at all, and which of a photo's times is right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlygeo.formats import times
from mlygeo.formats.times import DAY_US, HOUR_US, NO_ZONE, ROLLOVER_US, SECOND_US

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def us(text):
    """Return microseconds of an ISO time, in UTC where it says no zone."""
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)) - EPOCH


def micro(text):
    return us(text) // timedelta(microseconds=1)


# Texts


@pytest.mark.parametrize(
    ("text", "expected", "offset_h"),
    [
        ("2019:01:02 03:04:05", "2019-01-02T03:04:05", None),
        ("2019-01-02T03:04:05Z", "2019-01-02T03:04:05", 0),
        ("2019-01-02t03:04:05z", "2019-01-02T03:04:05", 0),
        ("2019/01/02 3:04:05", "2019-01-02T03:04:05", None),
        ("2019.01.02, 03:04:05", "2019-01-02T03:04:05", None),
        ("2019:01:02 03:04", "2019-01-02T03:04:00", None),
        ("2019:01:02 03:04:05.25", "2019-01-02T03:04:05.25", None),
        ("2019:01:02 03:04:05,123456789", "2019-01-02T03:04:05.123456", None),
        ("20190102T030405Z", "2019-01-02T03:04:05", 0),
        ("20190102030405.5", "2019-01-02T03:04:05.5", None),
        ("2019-W01-3T03:04:05", "2019-01-02T03:04:05", None),
        ("2019-002T03:04:05", "2019-01-02T03:04:05", None),
        ("2019:01:02 03:04:05 PM", "2019-01-02T15:04:05", None),
        ("2019:01:02 03:04:05 p.m.", "2019-01-02T15:04:05", None),
        ("2019:01:02 12:04:05 AM", "2019-01-02T00:04:05", None),
        ("2019:01:02 12:04:05 PM", "2019-01-02T12:04:05", None),
        ("2019:01:02 15:04:05 PM", "2019-01-02T15:04:05", None),
        ("2019:01:02 下午03:04:05", "2019-01-02T15:04:05", None),
        ("2019:01:02 上午 03:04:05", "2019-01-02T03:04:05", None),
        ("2019:01:02 午後 3:04:05", "2019-01-02T15:04:05", None),
        ("2019:01:02 오후 03:04:05", "2019-01-02T15:04:05", None),
        ("2019:01:02 03:04:05 م", "2019-01-02T15:04:05", None),
        ("\uff12\uff10\uff11\uff19:01:02 03:04:05", "2019-01-02T03:04:05", None),
        ("2019-01-02T12:00:00\u221207:00", "2019-01-02T19:00:00", -7),
        ("2019-01-02T12:00:00-0700", "2019-01-02T19:00:00", -7),
        ("2019-01-02T12:00:00+2", "2019-01-02T10:00:00", 2),
        ("2019-01-02 12:00:00 GMT+02:00", "2019-01-02T10:00:00", 2),
        ("2019-01-02 12:00:00 UTC", "2019-01-02T12:00:00", 0),
        ("2019-01-02T12:00:00+05:45", "2019-01-02T06:15:00", 5.75),
        ("2019-01-02T12:00:00+01:00[Europe/Berlin]", "2019-01-02T11:00:00", 1),
        ("2016:12:31 23:59:60", "2017-01-01T00:00:00", None),
        ("2016:12:31 24:00:00", "2017-01-01T00:00:00", None),
        ("2020:02:29 00:00:00", "2020-02-29T00:00:00", None),
    ],
)
def test_texts_that_are_times(text, expected, offset_h):
    found = times.read(text)
    assert found is not None
    assert found.us == micro(expected)
    assert found.offset_s == (None if offset_h is None else offset_h * 3600)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0000:00:00 00:00:00", "    :  :     :  :  ", "2019", "2019:01:02", "03:04:05", "noon", "yesterday",
        "2019:01:02 03:04:05 PST", "2019:01:02 03:04:05 CST", "2019:01:02 03:04:05 IST", "2019:01:02 03:04:05 x",
        "x 2019:01:02 03:04:05", "2019:01:02 13:04:05 AM", "2019:01:02 00:04:05 PM", "2019:01:02 am 03:04:05 pm",
        "2019:13:02 03:04:05", "2019:02:30 03:04:05", "2019:01:02 25:04:05", "2019:01:02 03:60:05", "2019:01:02 03:04:61",
        "02/01/2019 03:04:05", "2019:01:02 24:00:01", "2019-01-02T12:00:00+15:00", "2019-01-02T12:00:00-13:00",
        "2019-01-02T12:00:00+02:75", "2019-01-02T12:00:00+02:00[Europe/Berlin]", "2019-01-02T12:00:00+02:00[Nowhere]",
        "2019-W54-1T00:00:00", "2019-366T00:00:00", "2019:01:02 03:04:05 +", "1546398245", "2019:01:02 03:04:05Z Z",
        "2019:01-02 03:04:05", "2019:01:02 03:04:05.1.2",
    ],
)  # fmt: skip
def test_texts_that_are_none(text):
    assert times.read(text) is None


@given(
    when=st.datetimes(datetime(1000, 1, 1), datetime(2999, 12, 31)),
    zone=st.sampled_from([None, *times.OFFSETS_H]),
    separator=st.sampled_from(":-/."),
    between=st.sampled_from([" ", "T", ", "]),
    half=st.sampled_from(["", "AM/PM", "上午/下午", "오전/오후"]),
    minus=st.sampled_from("-\u2212\u2013"),
    name=st.sampled_from(["", "UTC", "GMT"]),
)
@settings(max_examples=400)
def test_a_time_comes_back_however_it_is_written(when, zone, separator, between, half, minus, name):
    day = f"{when.year:04}{separator}{when.month:02}{separator}{when.day:02}"
    clock = f"{when.hour:02}:{when:%M:%S}.{when.microsecond:06}"
    if half:
        clock = f"{when.hour % 12 or 12}:{when:%M:%S}.{when.microsecond:06} {half.split('/')[when.hour >= 12]}"
    offset = ""
    if zone is not None:
        minutes = round(abs(zone) * 60)
        offset = f" {name}{minus if zone < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
    found = times.read(f"{day}{between}{clock}{offset}")
    east = timedelta(hours=zone or 0)
    assert found is not None
    assert found.us == (when.replace(tzinfo=UTC) - east - EPOCH) // timedelta(microseconds=1)
    assert found.offset_s == (None if zone is None else round(zone * 3600))


@given(
    before=st.text(max_size=4), behind=st.text(max_size=6),
    written=st.sampled_from(["2019:01:02 13:04:05", "2019-01-02T13:04:05Z", "2019:01:02 01:04:05 PM"]),
)  # fmt: skip
@example(before="", behind=" PST", written="2019:01:02 13:04:05")
@settings(max_examples=500)
def test_what_stands_around_a_time_is_understood_or_it_is_none(before, behind, written):
    found = times.read(before + written + behind)
    if found is None:
        return
    # What is read has a meaning: blanks, a zone, decimals, a half of the day; never other letters.
    rest = (before + behind).strip("\0")
    assert not any(letter.isalpha() and letter.lower() not in "zutcgmap.上下午前後오전후صمπ" for letter in rest), rest
    assert abs(found.wall_us - micro("2019-01-02T13:04:05")) < SECOND_US or any(part.isdigit() for part in rest)


@given(st.text(max_size=40))
@settings(max_examples=500)
def test_any_text(text):
    for function in (
        times.read,
        times.zone,
        times.day,
        times.clock,
        times.name_time,
        times.name_witness,
        times.fractions,
    ):
        function(text)
    times.read("2019:01:02 03:04:05", subsec=text, offset=text)


@pytest.mark.parametrize(
    ("subsec", "expected"),
    [("5", 500_000), ("025", 25_000), (" 25", 25_000), ("25 ", 250_000), ("123456789", 123_456), ("12ab", 0), ("", 0), (None, 0), ("1.5", 0), ("-5", 0)],
)  # fmt: skip
def test_decimals(subsec, expected):
    assert times.read("2019:01:02 03:04:05", subsec=subsec).us % SECOND_US == expected


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("+05:30", 5.5), ("-0700", -7), ("+2", 2), ("GMT+02:00", 2), ("Z", 0), ("\u221207:00", -7), ("utc", 0), ("+14:00", 14),
        ("-12:00", -12), ("+02:00:00", 2), ("05:30", 5.5), ("+15:00", None), ("-12:30", None), ("+02:60", None), ("PST", None),
        ("", None), (None, None), ("+", None), ("+2x", None), ("   :  ", None),
    ],
)  # fmt: skip
def test_zones(text, hours):
    assert times.zone(text) == (None if hours is None else hours * 3600)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("IMG_20240609_080706", "2024-06-09T08:07:06"), ("PXL_20240609_080706123", "2024-06-09T08:07:06"),
        ("20240609080706", "2024-06-09T08:07:06"), ("VID-20240609-080706_001", "2024-06-09T08:07:06"),
        ("1234567890123456789", None), ("IMG_20241309_080706", None), ("IMG_0001", None), ("IMG-20240609-WA0001", None),
    ],
)  # fmt: skip
def test_times_that_phones_write_into_names(stem, expected):
    found = times.name_witness(stem)
    assert (None if found is None else found.us) == (None if expected is None else micro(expected))


# Decisions


def decide(gps=None, *clocks, changed=None, name="IMG_0001", place=(9.18, 48.78)):
    """Return the decision on times as text."""
    reading = lambda text: times.read(
        text[:19], offset=text[19:].partition("|")[0] or None, subsec=text.partition("|")[2]
    )
    found = times.decide(
        None if gps is None else micro(gps),
        [reading(clock) for clock in clocks],
        changed=None if changed is None else reading(changed),
        now_us=micro(NOW.isoformat()),
        lon=place[0] if place else None,
        lat=place[1] if place else None,
        stem=lambda: name,
    )
    return (
        None if found.us is None else (EPOCH + timedelta(microseconds=found.us)).isoformat()[:-6],
        found.source,
        found.doubts,
    )


@pytest.mark.parametrize(
    ("gps", "clocks", "expected", "source"),
    [
        ("2022-09-10T12:00:00", ["2022:09:10 14:00:00+02:00"], "2022-09-10T12:00:00", "gps"),
        ("2022-09-10T12:00:00", ["2022:09:10 14:00:00"], "2022-09-10T12:00:00", "gps"),
        ("2022-09-10T12:00:00", ["2022:09:10 12:00:30"], "2022-09-10T12:00:00", "gps"),  # set to UTC
        ("2022-09-10T12:00:00", ["2022:09:10 21:00:05"], "2022-09-10T12:00:00", "gps"),  # a traveller from Tokyo
        ("2022-09-10T12:00:00", ["2022:09:11 01:00:05"], "2022-09-10T12:00:00", "gps"),  # from Auckland
        ("2022-09-10T12:00:00", ["2022:09:10 14:00:00+02:00|250"], "2022-09-10T12:00:00.250000", "gps"),
        ("2022-09-10T12:00:00", ["2022:09:10 14:00:01+02:00|250"], "2022-09-10T12:00:00", "gps"),  # another second
        ("2022-09-10T12:00:00.500", ["2022:09:10 14:00:00+02:00|250"], "2022-09-10T12:00:00.500000", "gps"),
        ("2022-09-10T12:00:00", [], "2022-09-10T12:00:00", "gps"),
        (None, ["2022:09:10 14:00:00+02:00"], "2022-09-10T12:00:00", "offset"),
        (None, ["2022:09:10 14:00:00+02:00", "2022:09:10 14:00:01+02:00"], "2022-09-10T12:00:00", "offset"),
        (None, ["2022:09:10 14:00:00+02:00", "2022:09:10 14:00:00"], "2022-09-10T12:00:00", "offset"),
        (None, ["2022:09:10 14:00:00+02:00", "2022:09:10 12:00:00Z"], "2022-09-10T12:00:00", "offset"),
        (None, [], None, None),
    ],
)  # fmt: skip
def test_what_agrees_is_not_in_doubt(gps, clocks, expected, source):
    assert decide(gps, *clocks) == (expected, source, ())


@pytest.mark.parametrize(
    ("gps", "clocks", "more", "expected", "source", "said"),
    [
        # Roll-overs: with and without a zone, twice, with a local date, of the future; told by the name or the last change.
        ("2003-01-25T12:00:00", ["2022:09:10 14:00:00"], {}, "2022-09-10T12:00:00", "gps", "1024 weeks were added"),
        ("2003-01-25T12:00:00", ["2022:09:10 14:00:00+02:00|250"], {}, "2022-09-10T12:00:00.250000", "gps", "1024 weeks"),
        ("1983-06-11T12:00:00", ["2022:09:10 14:00:00+02:00"], {}, "2022-09-10T12:00:00", "gps", "2048 weeks"),
        ("2003-01-26T23:00:00", ["2022:09:11 01:00:00+02:00"], {}, "2022-09-10T23:00:00", "gps", "1024 weeks"),
        ("2042-04-26T12:00:00", ["2022:09:10 14:00:00+02:00"], {}, "2022-09-10T12:00:00", "gps", "-1024 weeks"),
        ("2003-01-25T12:00:00", [], {"name": "IMG_20220910_140000"}, "2022-09-10T12:00:00", "gps", "since its name"),
        ("2003-01-25T12:00:00", [], {"changed": "2022:09:10 14:00:00"}, "2022-09-10T12:00:00", "gps", "last change"),
        # Days.
        ("2022-09-11T23:30:00", ["2022:09:11 01:30:00+02:00"], {}, "2022-09-10T23:30:00", "gps", "by a day"),
        ("2022-09-11T23:30:00", ["2022:09:11 01:30:00"], {}, "2022-09-10T23:30:00", "gps", "by a day"),
        ("2022-09-09T12:00:00", ["2022:09:10 14:00:00"], {}, "2022-09-10T12:00:00", "gps", "by a day"),
        ("2022-09-11T22:30:00", ["2022:09:11 10:30:00"], {"place": (174.8, -41.3)}, "2022-09-10T22:30:00", "gps", "by a day"),
        ("2022-09-10T04:00:00", ["2022:09:10 18:00:00"], {"place": (-157.8, 21.3)}, "2022-09-11T04:00:00", "gps", "by a day"),
        ("2022-09-10T04:00:00", ["2022:09:10 16:00:00"], {"place": None}, "2022-09-10T04:00:00", "gps", "a day off"),
        ("2022-09-10T12:00:00", ["2022:09:11 02:00:00"], {}, "2022-09-10T12:00:00", "gps", "half a day"),
        ("2022-09-10T12:00:00", ["2022:09:10 02:00:00"], {}, "2022-09-10T12:00:00", "gps", "half a day"),
        # Defaults, the future, other calendars.
        ("1980-01-06T00:00:10", ["2022:09:10 14:00:00+02:00"], {}, "2022-09-10T12:00:00", "offset", "before 1995"),
        ("1999-08-22T00:00:10", ["2022:09:10 14:00:00"], {}, "2022-09-10T14:00:00", "clock", "falls back"),
        ("2099-01-01T00:00:00", ["2022:09:10 14:00:00"], {}, "2022-09-10T14:00:00", "clock", "in the future"),
        ("2099-01-01T10:00:00", ["2099:01:01 12:00:00+02:00"], {}, "2099-01-01T10:00:00", "gps", "its time 2099-01-01"),
        ("2022-09-10T12:00:00", ["1980:01:01 00:00:07"], {}, "2022-09-10T12:00:00", "gps", "the GPS time was taken"),
        ("2022-09-10T12:00:00", ["2000:01:01 00:00:07"], {}, "2022-09-10T12:00:00", "gps", "the GPS time was taken"),
        ("2565-09-10T12:00:00", ["2022:09:10 14:00:00+02:00"], {}, "2022-09-10T12:00:00", "gps", "Buddhist"),
        ("2565-09-10T12:00:00", ["2565:09:10 14:00:00"], {}, "2022-09-10T12:00:00", "gps", "Buddhist"),
        (None, ["2565:09:10 14:00:00+02:00"], {}, "2022-09-10T12:00:00", "offset", "Buddhist"),
        ("0111-09-10T12:00:00", ["0111:09:10 14:00:00"], {}, "2022-09-10T12:00:00", "gps", "Minguo"),
        (None, ["0111:09:10 14:00:00+02:00"], {}, "2022-09-10T12:00:00", "offset", "Minguo"),
        ("1980-01-06T00:00:10", [], {}, "1980-01-06T00:00:10", "gps", "before 1995"),
        ("2099-01-06T00:00:10", [], {}, "2099-01-06T00:00:10", "gps", "in the future"),
        (None, ["2099:01:06 00:00:10+00:00"], {}, "2099-01-06T00:00:10", "offset", "in the future"),
        (None, ["1980:01:06 00:00:10+00:00"], {}, "1980-01-06T00:00:10", "offset", "before 1995"),
        (None, ["2000:01:01 00:10:00"], {}, "2000-01-01T00:10:00", "clock", "never set"),
        (None, ["1980:01:01 00:10:00"], {"name": "IMG_20220910_140000"}, "2022-09-10T14:00:00", "filename", "name was taken"),
        (None, ["1980:01:01 00:10:00", "2022:09:10 14:00:00"], {}, "2022-09-10T14:00:00", "clock", "another one"),
        # Whatever else: GPS counts.
        ("2022-09-10T11:55:00", ["2022:09:10 14:00:00+02:00"], {}, "2022-09-10T11:55:00", "gps", "the GPS time was taken"),
        ("2022-09-10T11:55:00", ["2022:09:10 14:00:00"], {}, "2022-09-10T11:55:00", "gps", "the GPS time was taken"),
        ("2022-09-10T12:00:00", ["2022:09:10 15:00:00+02:00"], {}, "2022-09-10T12:00:00", "gps", "the GPS time was taken"),
        ("2022-09-10T12:00:00", ["2022:05:10 15:00:00+02:00"], {}, "2022-09-10T12:00:00", "gps", "the GPS time was taken"),
        # Without GPS.
        (None, ["2022:09:10 14:00:00"], {}, "2022-09-10T14:00:00", "clock", NO_ZONE),
        (None, [], {"name": "2022_09_10_12_00_00_250"}, "2022-09-10T12:00:00.250000", "filename", NO_ZONE),
        (None, [], {"name": "2099_09_10_12_00_00_250"}, "2099-09-10T12:00:00.250000", "filename", "in the future"),
        (None, [], {"changed": "2022:09:10 14:00:00"}, "2022-09-10T14:00:00", "clock", "last changed"),
        (None, ["2022:09:10 14:00:00+02:00", "2022:09:12 14:00:00+02:00"], {}, "2022-09-10T12:00:00", "offset", "it also says"),
        (None, ["2022:09:10 14:00:00+02:00", "2022:09:10 14:00:00+03:00"], {}, "2022-09-10T12:00:00", "offset", "it also says"),
        (None, ["2022:09:10 14:00:00", "2022:09:10 14:00:00+02:00"], {}, "2022-09-10T12:00:00", "offset", "zone, +02:00"),
        (None, ["2022:09:10 14:00:00"], {"changed": "2019:09:10 14:00:00"}, "2022-09-10T14:00:00", "clock", "changed before"),
        ("2022-09-10T12:00:00", [], {"changed": "2019:09:10 14:00:00"}, "2022-09-10T12:00:00", "gps", "changed before"),
        (None, ["2022:09:10 14:00:00"], {"changed": "2022:09:10 14:00:00-03:30"}, "2022-09-10T17:30:00", "offset", "-03:30"),
        (None, ["2022:09:10 14:00:00", "2022:09:10 14:00:00Z"], {}, "2022-09-10T14:00:00", "clock", NO_ZONE),
        (None, ["2022:09:10 14:00:00+02:00"], {"name": "IMG_20190910_140000"}, "2022-09-10T12:00:00", "offset", "its name says"),
        (None, ["2022:09:10 14:00:00+02:00"], {"changed": "2019:09:10 14:00:00"}, "2022-09-10T12:00:00", "offset", "changed before"),
        ("2003-01-25T12:00:00", [], {}, "2003-01-25T12:00:00", "gps", "may be 1024 weeks behind"),
        ("2022-09-10T12:00:00", [], {"name": "IMG_20190910_140000"}, "2022-09-10T12:00:00", "gps", "its name says"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_decided_and_said(gps, clocks, more, expected, source, said):
    found = decide(gps, *clocks, **more)
    assert found[:2] == (expected, source)
    assert said in "; ".join(found[2])
    assert all("; " not in doubt for doubt in found[2])


moments = st.integers(micro("1996-01-01"), micro("2026-05-01")).map(lambda at: at // SECOND_US * SECOND_US)
offsets = st.sampled_from(times.OFFSETS_H).map(lambda hours: int(hours * HOUR_US))


@given(at=moments, offset=offsets, drift_s=st.integers(-59, 59), is_known=st.booleans())
@settings(max_examples=300)
def test_a_clock_in_any_zone_agrees_and_gps_stays(at, offset, drift_s, is_known):
    clock = times.Reading(
        at + drift_s * SECOND_US + (0 if is_known else offset), offset // SECOND_US if is_known else None, 0
    )
    found = times.decide(at, [clock], now_us=micro(NOW.isoformat()), lon=None, lat=None, stem=lambda: "a")
    assert (found.us, found.source) == (at, "gps")
    doubtful = (
        not is_known
        and not -10 * HOUR_US + 60 * SECOND_US < offset + drift_s * SECOND_US < 12 * HOUR_US - 60 * SECOND_US
    )
    assert bool(found.doubts) <= doubtful


@given(
    at=moments, offset=offsets, weeks=st.sampled_from([1, 2]), days=st.sampled_from([-1, 0, 1]), is_known=st.booleans()
)
@settings(max_examples=300)
def test_every_rollover_is_undone(at, offset, weeks, days, is_known):
    clock = times.Reading(at if is_known else at + offset, offset // SECOND_US if is_known else None, 0)
    gps = at - weeks * ROLLOVER_US + days * DAY_US
    found = times.decide(gps, [clock], now_us=micro(NOW.isoformat()), stem=lambda: "a")
    assert "weeks were added" in found.doubts[0]
    assert (found.us - at) % DAY_US == 0
    # Without a zone a day can be another zone, near the date line.
    assert found.us == at or (not is_known and abs(found.us - at) == DAY_US)


@given(gps=moments, clock=moments, zone=st.sampled_from([None, 0, 3600, -36000]))
@settings(max_examples=500)
def test_whatever_differs_is_said(gps, clock, zone):
    found = times.decide(gps, [times.Reading(clock, zone, 0)], now_us=micro(NOW.isoformat()), stem=lambda: "a")
    apart = abs(gps - clock)
    assert found.us is not None
    assert found.doubts or apart <= (60 * SECOND_US if zone is not None else 14 * HOUR_US + 60 * SECOND_US)


@pytest.mark.parametrize(
    ("wall", "zone", "expected", "doubt"),
    [
        ("2024-06-01T12:00:00", "Europe/Berlin", "2024-06-01T10:00:00", None),
        ("2024-01-01T12:00:00", "Europe/Berlin", "2024-01-01T11:00:00", None),
        (
            "2024-10-27T02:30:00",
            "Europe/Berlin",
            "2024-10-27T00:30:00",
            "which had this time twice, the first was taken",
        ),
        ("2024-03-31T02:30:00", "Europe/Berlin", "2024-03-31T01:30:00", "which never had this time"),
        ("2011-12-30T12:00:00", "Pacific/Apia", "2011-12-30T22:00:00", "which never had this time"),
    ],
)
def test_local_times(wall, zone, expected, doubt):
    found, said = times.from_local(micro(wall) // SECOND_US, zone)
    assert (found, said) == (micro(expected) // SECOND_US, doubt)
    assert times.from_local(0, "No/Where") == (None, None)


@pytest.mark.parametrize(
    ("time", "is_utc", "expected"),
    [
        ("1994-12-31T23:59:59", True, "before 1995"), ("1995-01-01", True, None), ("2026-06-01T00:30:00", True, None),
        ("2026-06-01T02:00:00", True, "in the future"), ("2026-06-01T14:30:00", False, None),
        ("2026-06-01T15:30:00", False, "in the future"), ("2562-01-01", False, "in the future"),
    ],
)  # fmt: skip
def test_times_that_cannot_be(time, is_utc, expected):
    assert times.implausible(micro(time), micro(NOW.isoformat()), is_utc=is_utc) == expected
