"""What is told of images: the lines of a frame are those of its rows, and what is not known is left out."""

import json
import math
import os

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import InputError
from mlygeo.providers.mapillary.descriptions import DUPLICATE, descriptions_text
from mlygeo.providers.mapillary.image_descriptions import IN_FILE, image_description, known_of, rounded

TEXTS = [None, "", "none", " GoPro ", "ünï", '"', "[", '{"b": [1, NaN], "a": "ü"}', "a\nb", "\\"]

YEAR_10000_MS = 253_402_300_800_000


def some(values, floats=None):
    return st.one_of(st.sampled_from(values), floats) if floats is not None else st.sampled_from(values)


images = st.lists(
    st.fixed_dictionaries({
        "path": some(["/a/b.jpg", "x.jpg", "/a/../ü.jpg", '/"\\\n.jpg', "/a//b.jpg"]),
        "lon": some([None, math.inf, 0.0, -0.0, 180.0, 180.1], st.floats(-180, 180)),
        "lat": some([None, 0.0, 1e-7, -90.0, 91.0], st.floats(-90, 90)),
        "ms": some([None, -62_135_596_800_000, YEAR_10000_MS - 1, YEAR_10000_MS, -62_135_596_800_001],
                   st.integers(-10**12, 10**13)),
        "compass_angle": some([None, math.inf, -1.0, 359.9996, 360.0, 1e-9], st.floats(-720, 720)),
        "altitude": some([None, math.inf, -math.inf, -0.0, 2.0**32 - 1, 2.0**31, 1e10], st.floats(-1e4, 1e4)),
        "gps_accuracy_m": some([None, math.inf, 1e22, 0.1]),
        "exif_orientation": some([None, 1, 6]),
        "filesize": some([None, 0, 2**40]),
        **{name: some(TEXTS) for name in ("make", "model", "camera_uuid", "sequence_id", "filename", "meta_tags",
                                          "md5sum", "user_name")},
        "private": some([None, True, False]),
    }),
    min_size=1, max_size=8,
)  # fmt: skip


def frame(rows):
    """Return rows as a frame of images, with the dtypes of a reader."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    lon, lat, ms = (columns.pop(name) for name in ("lon", "lat", "ms"))
    points = [None if None in place else shapely.Point(place) for place in zip(lon, lat, strict=True)]
    times = np.array(["NaT" if each is None else each for each in ms], dtype="datetime64[ms]")
    dtypes = {
        **dict.fromkeys(("compass_angle", "altitude", "gps_accuracy_m"), "float64"),
        **dict.fromkeys(("exif_orientation", "filesize"), "Int64"), "private": "boolean",
    }  # fmt: skip
    table = {name: pd.Series(values, dtype=dtypes.get(name, "str")) for name, values in columns.items()}
    return gpd.GeoDataFrame({**table, "captured_at": pd.Series(times).dt.tz_localize("UTC")}, geometry=points, crs=4326)


def entry(row):
    """Return what a row is to be written as."""
    path = os.path.abspath(row["path"])  # noqa: PTH100 - links stay as they are named
    try:
        described = rounded(image_description(row))
    except InputError as error:
        reason = {"type": "MapillaryDescriptionError", "message": str(error)}
        return {"filename": path, "filetype": "image", "error": reason}
    md5 = row["md5sum"].strip() if isinstance(row["md5sum"], str) else ""
    return {
        **{name: value for name, value in described.items() if name in IN_FILE},
        "filename": path,
        "filetype": "image",
        "filesize": None if pd.isna(row["filesize"]) else int(row["filesize"]),
        "md5sum": None if md5 in {"", "none"} else md5,
    }


@given(images)
@settings(max_examples=150, deadline=None)
def test_the_lines_of_a_frame_are_those_of_its_rows(rows):
    local = frame(rows)
    lines = descriptions_text(local).splitlines()
    assert (lines[0], lines[-1]) == ("[", "]")
    expected = [json.dumps(entry(row), ensure_ascii=False, sort_keys=True) for row in local.to_dict("records")]
    assert [line.removesuffix(",") for line in lines[1:-1]] == expected


@pytest.mark.parametrize(
    ("column", "dtype"), [("altitude", object), ("compass_angle", "float32"), ("make", object), ("filesize", "float64")]
)
def test_columns_of_other_dtypes_are_written_alike(column, dtype):
    row = {
        "path": "/a.jpg", "lon": 9.0, "lat": 48.0, "ms": 5, "compass_angle": 12.5, "altitude": 3.25, "make": "GoPro",
        "filesize": 7,
    }  # fmt: skip
    usual = frame([row, row])
    assert descriptions_text(usual.astype({column: dtype})) == descriptions_text(usual)


WHOLE = {
    "path": "/a.jpg", "lon": 9.0, "lat": 48.0, "ms": 5, "compass_angle": 12.5, "altitude": 3.25, "make": "GoPro",
}  # fmt: skip


@pytest.mark.parametrize(
    ("lacks", "field"),
    [({"lon": None}, "MAPLatitude"), ({"ms": None}, "MAPCaptureTime"), ({"ms": YEAR_10000_MS}, "MAPCaptureTime"),
     ({"altitude": math.inf}, "MAPAltitude"), ({"altitude": -math.inf}, "MAPAltitude"),
     ({"lon": math.inf}, "MAPLongitude"), ({"compass_angle": math.inf}, "MAPCompassHeading")],
)  # fmt: skip
def test_a_duplicate_is_described_by_what_is_known_of_it(lacks, field):
    local = frame([WHOLE, {**WHOLE, "path": "/b.jpg", **lacks}])
    local = local.assign(is_duplicate=[False, True], duplicate_of=pd.Series([None, "/a.jpg"], dtype="str"))
    kept, left = json.loads(descriptions_text(local), parse_constant=pytest.fail)
    assert left["error"]["type"] == DUPLICATE
    assert left["error"]["message"] == "it is a duplicate of /a.jpg"
    described = left["error"]["vars"]["desc"]
    assert field not in described
    assert field in kept
    assert described["MAPDeviceMake"] == "GoPro"
    assert left["error"]["vars"]["duplicate_of"] == "/a.jpg"


def test_a_duplicate_with_a_value_that_cannot_be_read_is_still_a_row():
    local = frame([WHOLE]).assign(is_duplicate=True, altitude="high")
    (left,) = json.loads(descriptions_text(local))
    assert left["error"]["type"] == DUPLICATE
    assert left["error"]["vars"]["desc"] == {"filename": "/a.jpg", "filetype": "image"}


@pytest.mark.parametrize("column", ["altitude", "gps_accuracy_m"])
def test_what_is_infinite_is_not_known(column):
    local = frame([{**WHOLE, "gps_accuracy_m": 1.0, column: math.inf}])
    (row,) = local.to_dict("records")
    whole = image_description(row)
    assert whole == known_of(row)
    assert set(whole) == {
        "MAPLatitude", "MAPLongitude", "MAPCaptureTime", "MAPCompassHeading", "MAPDeviceMake", "MAPAltitude",
        "MAPGPSAccuracyMeters",
    } - {{"altitude": "MAPAltitude", "gps_accuracy_m": "MAPGPSAccuracyMeters"}[column]}  # fmt: skip
    (told,) = json.loads(descriptions_text(local), parse_constant=pytest.fail)
    assert {name for name in told if name.startswith("MAP")} == set(whole)
