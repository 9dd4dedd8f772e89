"""No silent difference: photos that disagree with themselves, against the plain truth; and honest ones, without a word."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

import pytest
from helpers import made_photos, odd_photos
from hypothesis import given, note, settings
from hypothesis import strategies as st

from mlygeo.formats import times
from mlygeo.readers.photo import read_photo

EXAMPLES = int(os.environ.get("MLYGEO_EXAMPLES", "300"))
"""Photos that are made by each test; 10,000 take some minutes."""

SAYS = {
    "time": r"time|GPS says|zone|GPS date|clock|last changed|fraction of a second|segments",
    "position": r"position|longitude|latitude|segments",
    "heading": r"heading|Direction|segments",
    "altitude": r"altitude|GPSAltitudeRef|segments",
    "orientation": r"orientation|segments",
    "make": r"maker|segments",
}
"""Words of a warning about each value."""


def differing(photo, truth):
    """Return the values of a photo that are there, and not so."""
    found = []
    if photo.captured_ms is not None and abs(photo.captured_ms / 1000 - truth.utc.timestamp()) >= 1:
        found.append("time")
    if photo.lon is not None and (abs(photo.lat - truth.lat) > 1e-5 or abs(photo.lon - truth.lon) > 1e-5):
        found.append("position")
    if photo.compass_angle is not None and abs((photo.compass_angle - truth.heading + 180) % 360 - 180) > 0.1:
        found.append("heading")
    if photo.altitude is not None and abs(photo.altitude - truth.altitude) > 1:
        found.append("altitude")
    if photo.exif_orientation is not None and photo.exif_orientation != truth.orientation:
        found.append("orientation")
    if photo.make is not None and photo.make.casefold() != truth.make.casefold():
        found.append("make")
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("photos")


def read(folder, shot, data=None):
    path = folder / shot.name
    path.write_bytes(shot.bytes() if data is None else data)
    try:
        return read_photo(str(path))
    finally:
        path.unlink()


@given(made=odd_photos.faulty())
@settings(max_examples=EXAMPLES)
def test_no_value_differs_from_the_truth_without_a_word(folder, made):
    shot, faults = made
    photo = read(folder, shot)
    note(f"{faults}: {photo}")
    assert photo.error is None
    for value in differing(photo, shot.truth):
        assert re.search(SAYS[value], photo.warning or ""), (value, faults)


@given(shot=odd_photos.honest())
@settings(max_examples=EXAMPLES)
def test_honest_photos_are_read_as_they_are_and_without_a_word(folder, shot):
    photo = read(folder, shot)
    note(str(photo))
    is_silent = shot.gps_utc is not None or shot.zone is not None
    assert (photo.error, photo.warning) == (None, None if is_silent else times.NO_ZONE)
    assert differing(photo, shot.truth) == ([] if is_silent or not shot.truth.offset else ["time"])
    assert None not in (photo.captured_ms, photo.lon, photo.compass_angle, photo.altitude, photo.exif_orientation)


@given(made=odd_photos.faulty())
@settings(max_examples=EXAMPLES)
def test_a_fault_is_said(folder, made):
    """Whatever the fault did, and even if the value was saved from it; unless it says what an honest camera could."""
    shot, faults = made
    photo = read(folder, shot)
    note(f"{faults}: {photo}")
    if set(faults) - {"gps_has_the_local_date", "gps_time_is_local", "name_tells_the_rollover", "clock_has_no_seconds"}:
        assert photo.warning is not None


@pytest.mark.parametrize(
    ("hours", "said"),
    [(10, None), (15, "GPS says 15:00:00 without a date, its clock 10:00:00 in UTC"), (0, None)],  # 0: no fix
)
def test_a_gps_time_of_day_without_a_date(folder, hours, said):
    truth = odd_photos.Truth(datetime(2024, 6, 9, 10, tzinfo=UTC), 9.18, 48.78, 0.0, 0.0, 1)
    shot = odd_photos.Shot(truth, "2024:06:09 12:00:00", None, "+02:00", None, whole_gps=True)
    shot.gps = made_photos.dms(truth.lat, truth.lon)
    shot.gps[made_photos.TAG["GPSTimeStamp"]] = made_photos.field(5, (hours, 1), (0, 1), (0, 1))
    assert read(folder, shot).warning == said


@given(shot=odd_photos.honest(clock=True).filter(lambda shot: shot.layout == "one"))
@settings(max_examples=EXAMPLES // 10)
def test_a_second_exif_segment_that_says_something_else_does_not_count(folder, shot):
    photo = read(folder, shot, odd_photos.with_a_second_exif(shot))
    assert set(differing(photo, shot.truth)) <= {"time"}
    assert "EXIF segments contradict each other" in photo.warning


@given(made=odd_photos.faulty(), at=st.floats(0, 1), byte=st.integers(0, 255))
@settings(max_examples=EXAMPLES // 3)
def test_a_damaged_byte_is_no_reason_to_stop(folder, made, at, byte):
    shot, _ = made
    data = bytearray(shot.bytes())
    data[min(int(at * len(data)), len(data) - 1)] = byte
    photo = read(folder, shot, bytes(data))
    assert photo.lat is None or (abs(photo.lat) <= 90 and abs(photo.lon) <= 180)
    assert "cannot be understood" not in (photo.error or "")
