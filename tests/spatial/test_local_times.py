"""Hours, weekdays and seasons are those that a plain loop over the standard library's dates finds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlygeo.errors import InputError
from mlygeo.spatial import local_times

ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"]

MOMENTS = st.datetimes(datetime(1972, 2, 1), datetime(2037, 12, 31), timezones=st.just(UTC))


def milliseconds(moments):
    return np.array([(each - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) for each in moments])


@given(moments=st.lists(MOMENTS, min_size=1, max_size=20), zone=st.sampled_from(ZONES), lat=st.floats(-89, 89))
def test_clocks_of_a_zone_are_those_of_the_standard_library(moments, zone, lat):
    lats = np.full(len(moments), lat)
    local = local_times.local_ms(milliseconds(moments), (np.full(len(moments), np.nan), lats), zone)
    shown = [each.astimezone(ZoneInfo(zone)) for each in moments]
    assert local_times.numbers("hour", local, lats).tolist() == [each.hour for each in shown]
    assert local_times.numbers("weekday", local, lats).tolist() == [each.weekday() for each in shown]
    north = {12: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1, 6: 2, 7: 2, 8: 2, 9: 3, 10: 3, 11: 3}
    expected = [(north[each.month] + (2 if lat < 0 else 0)) % 4 for each in shown]
    assert local_times.numbers("season", local, lats).tolist() == expected


@given(moment=MOMENTS, lon=st.floats(-180, 180))
def test_mean_solar_time_is_four_minutes_a_degree(moment, lon):
    local = local_times.local_ms(milliseconds([moment]), (np.array([lon]), np.zeros(1)), "solar")
    away = timedelta(milliseconds=int(local[0])) - timedelta(milliseconds=int(milliseconds([moment])[0]))
    assert abs(away - timedelta(minutes=4 * lon)) <= timedelta(milliseconds=1)


def test_clocks_that_are_put_forward_and_back():
    moments = [datetime(2024, 3, 31, 0, 59, 59, tzinfo=UTC), datetime(2024, 3, 31, 1, tzinfo=UTC)]
    moments += [datetime(2024, 10, 27, 0, 59, 59, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC)]
    local = local_times.local_ms(milliseconds(moments), (np.zeros(4), np.zeros(4)), "Europe/Berlin")
    assert local_times.numbers("hour", local, np.zeros(4)).tolist() == [1, 3, 2, 2]


PLACES = {
    (9.18, 48.78): "Europe/Berlin", (-52.7, 47.56): "America/St_Johns", (85.3, 27.7): "Asia/Kathmandu",
    (-74.0, 40.7): "America/New_York", (-171.8, -13.8): "Pacific/Apia", (179.2, -8.5): "Pacific/Funafuti",
    (-178.0, 51.9): "America/Adak", (151.2, -33.9): "Australia/Sydney",
}  # fmt: skip


@given(
    places=st.lists(st.sampled_from(sorted(PLACES)), min_size=1, max_size=12),
    moment=MOMENTS,
    turns=st.sampled_from([-360.0, 0.0, 360.0]),
)
def test_each_place_has_the_clock_of_its_own_zone(places, moment, turns):
    lon, lat = np.array(places).T
    time = np.repeat(milliseconds([moment]), len(places))
    local = local_times.local_ms(time, (lon + turns, lat), "local")
    expected = [moment.astimezone(ZoneInfo(PLACES[place])) for place in places]
    assert local_times.numbers("hour", local, lat).tolist() == [each.hour for each in expected]
    assert local_times.numbers("weekday", local, lat).tolist() == [each.weekday() for each in expected]
    # A place has the same clock whatever stands beside it, so parts of images have those of all.
    one_by_one = [
        local_times.local_ms(time[:1], (lon[row : row + 1] + turns, lat[row : row + 1]), "local")[0]
        for row in range(len(places))
    ]
    assert local.tolist() == one_by_one


def test_places_on_the_sea_have_nautical_zones_and_those_that_are_none_no_clock():
    time = np.zeros(4, dtype=np.int64)
    lon, lat = np.array([-30.0, np.nan, 9.0, np.inf]), np.array([30.0, 48.0, np.nan, 48.0])
    local = local_times.local_ms(time, (lon, lat), "local")
    assert local_times.numbers("hour", local, lat).tolist() == [22, -1, -1, -1]
    nothing = local_times.local_ms(time[:0], (lon[:0], lat[:0]), "local")
    assert nothing.dtype == np.int64
    assert len(nothing) == 0


def test_what_is_unknown_stays_unknown():
    time = np.array([local_times.NEVER, 0, 0])
    lon, lat = np.array([9.0, np.nan, 9.0]), np.array([48.0, 48.0, np.nan])
    zone, solar = (local_times.local_ms(time, (lon, lat), name) for name in ("Europe/Berlin", "solar"))
    assert local_times.numbers("hour", zone, lat).tolist() == [-1, 1, 1]
    assert local_times.numbers("hour", solar, lat).tolist() == [-1, -1, 0]
    assert local_times.numbers("season", zone, lat).tolist() == [-1, 0, -1]
    assert local_times.labels("season", pd.Series([0, None, 3], dtype="Int64")) == ["winter", None, "autumn"]
    assert local_times.labels("hour", pd.Series([7], dtype="Int64")) == ["07"]


def test_the_equator_is_of_the_north_and_tropics_are_told():
    january = np.zeros(3, dtype=np.int64)
    assert local_times.numbers("season", january, np.array([0.0, -1e-9, 1e-9])).tolist() == [0, 2, 0]
    assert local_times.between_tropics(np.array([48.0, -23.0, 23.5])) == 1


@pytest.mark.parametrize(("name", "hint"), [("europe/berlin", "Europe/Berlin"), ("sonar", "solar"), ("../UTC", "UTC")])
def test_unknown_zones_are_refused_with_those_that_are_near(name, hint):
    with pytest.raises(InputError, match="is not a known time zone") as caught:
        local_times.check(name)
    assert hint in caught.value.hint
