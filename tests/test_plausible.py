"""Values that no image has are counted and named, whatever file or service they come from."""

import logging

import numpy as np
import pandas as pd
import pytest
from helpers.picture_downloads import QUICK
from helpers.small_frames import images_frame, points_frame
from helpers.tokens import TOKEN

import mlygeo
from mlygeo import plausible
from mlygeo.providers.mapillary.service import Service
from mlygeo.standin import serve

WRONG = {
    "compass_angle": (np.inf, -np.inf, 360.5, 1e9, -0.25),
    "computed_compass_angle": (np.inf, -np.inf, 720.0, -90.0),
    "altitude": (np.inf, -np.inf, 4294967291.0, -32768.0),
    "computed_altitude": (np.inf, 1e6),
    "gps_accuracy_m": (-1.0, np.inf),
    "quality_score": (-0.5, 1.5, np.inf),
    "width": (0, -1),
    "height": (0, -640),
    "captured_at": ("1969-12-31T23:59:59Z", "1900-01-01T00:00:00Z", "2199-01-01T00:00:00Z"),
}
RIGHT = {
    "compass_angle": (0.0, 360.0, 359.999, np.nan),
    "computed_compass_angle": (0.0, np.nan),
    "altitude": (-420.0, 8848.0, 12000.0, np.nan),
    "computed_altitude": (0.0,),
    "gps_accuracy_m": (0.0, 5000.0),
    "quality_score": (0.0, 1.0, np.nan),
    "width": (1, 16384),
    "height": (1,),
    "captured_at": ("1970-01-01T00:00:00Z", "2004-05-06T00:00:00Z", None),
}
CASES = [(name, value, True) for name in WRONG for value in WRONG[name]]
CASES += [(name, value, False) for name in RIGHT for value in RIGHT[name]]


def frame_with(name, value):
    """Images of which the third has a value."""
    frame = images_frame()
    if name == "captured_at":
        times = [*frame[name]]
        times[2] = pd.NaT if value is None else pd.Timestamp(value)
        return frame.assign(captured_at=pd.Series(times).dt.as_unit("ms"))
    values = [1 if name in {"width", "height"} else 0.5] * len(frame)
    values[2] = value
    return frame.assign(**{name: values})


def test_each_column_of_the_table_has_cases():
    assert WRONG.keys() == RIGHT.keys() == plausible.RANGES.keys() | {plausible.TIME}


@pytest.mark.parametrize(("name", "value", "is_wrong"), CASES)
def test_a_value_is_counted_in_frames_and_tables_alike(name, value, is_wrong):
    frame = frame_with(name, value)
    found = plausible.of_frame(frame)
    assert sum(found.values()) == is_wrong
    assert all(f" {name} " in reason for reason in found)
    import pyarrow as pa

    assert plausible.of_table(pa.Table.from_pandas(pd.DataFrame(frame.drop(columns="geometry")))) == found
    problem = mlygeo.check_images(frame)["problem"]
    if name != "captured_at":
        assert problem.notna().sum() == is_wrong
        assert not is_wrong or name in problem[2]


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("ending", [".parquet", ".csv", ".geojson", ".gpkg", ".fgb"])
def test_every_way_to_a_selection_counts_it(name, ending, tmp_path, caplog):
    path = mlygeo.write_frame(frame_with(name, WRONG[name][0]), tmp_path / f"images{ending}")
    (reason,) = plausible.of_frame(mlygeo.read_frame(path, frame="images"))
    with caplog.at_level(logging.WARNING, logger="mlygeo"):
        mlygeo.read_frame(path, frame="images")
    assert f"images{ending}: 1 {reason}" in caplog.text
    found = mlygeo.select(points=points_frame(), images=path, max_distance=1000, k=12)
    assert found.attrs["summary"]["problems"] == {reason: len(points_frame())}


@pytest.mark.parametrize("name", WRONG)
def test_parts_count_as_a_single_run(name, tmp_path):
    frame = frame_with(name, WRONG[name][0])
    mlygeo.partition(frame, tmp_path / "dataset", rows_per_part=4)
    options = {"points": points_frame(), "max_distance": 1000, "k": 12}
    whole = mlygeo.select(images=frame, **options).attrs["summary"]["problems"]
    parts = mlygeo.select(images=tmp_path / "dataset", **options)
    assert whole
    assert parts.attrs["summary"]["problems"] == whole


def test_metadata_and_quality_count_what_they_pass_on():
    frame = frame_with("compass_angle", np.inf)
    reason = "rows whose compass_angle is not within 0 to 360 degrees"
    with serve(images_frame(), token=TOKEN) as server:
        service = Service(endpoints=server.endpoints, token=TOKEN, retry=QUICK)
        found = mlygeo.metadata(frame, fields="altitude", service=service)
    assert found.attrs["summary"]["problems"] == {reason: 1}
    assert mlygeo.quality(frame).attrs["summary"]["problems"] == {reason: 1}
