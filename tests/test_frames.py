import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from geopandas.testing import assert_geodataframe_equal
from helpers.work import at_most, little_memory
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo import dtypes, frames
from mlygeo.errors import FrameError

BEYOND_FLOATS = 26858300993768843  # rounded to …842 or …844 by anything that makes a float of it


def raw(**columns):
    length = len(next(iter(columns.values())))
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy([9.0] * length, [48.0] * length, crs=4326))


def test_an_empty_frame_has_the_whole_schema():
    for schema in frames.SCHEMAS.values():
        frame = frames.empty(schema)
        frames.check(frame, schema)
        assert [column.name for column in schema.required] == [name for name in frame.columns if name != "geometry"]


def test_conform_gives_the_dtypes_of_the_schema():
    frame = frames.conform(
        raw(id=["1", str(BEYOND_FLOATS)], captured_at=[1720488258913, 0], is_pano=["true", "0"], foo=[1.5, 2.5]),
        frames.IMAGES,
    )
    frames.check(frame, frames.IMAGES)
    assert frame["id"].tolist() == [1, BEYOND_FLOATS]
    assert str(frame["captured_at"].iloc[0]) == "2024-07-09 01:24:18.913000+00:00"
    assert frame["is_pano"].tolist() == [True, False]
    assert frame["foo"].tolist() == [1.5, 2.5], "unknown columns are carried along"
    assert frame["organization_id"].isna().all()


def test_ids_with_gaps_are_never_floats():
    frame = frames.conform(raw(id=[1, 2], is_pano=[True, False], creator_id=[None, str(BEYOND_FLOATS)]), frames.IMAGES)
    assert str(frame["creator_id"].dtype) == "Int64"
    assert frame["creator_id"].iloc[1] == BEYOND_FLOATS


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("id", [float(BEYOND_FLOATS), 2.0], "last digits are lost"),
        ("id", [1.5, 2.0], "not whole numbers"),
        ("id", ["2.5", "2"], "'2.5' is not a whole number"),
        ("id", [None, "2"], "1 of 2 values are missing"),
        ("is_pano", ["maybe", "no"], "'maybe' is not a truth value"),
    ],
)
def test_what_does_not_fit_is_named(column, values, words):
    columns = {"id": [1, 2], "is_pano": [True, False], column: values}
    with pytest.raises(FrameError, match="not a frame of images") as caught:
        frames.conform(raw(**columns), frames.IMAGES)
    assert words in str(caught.value)
    assert column in str(caught.value)


def test_check_names_every_problem_at_once():
    frame = raw(id=[1.5], sequence_id=["a"]).set_crs(28992, allow_override=True)
    with pytest.raises(FrameError) as caught:
        frames.check(frame, frames.IMAGES)
    for word in ("'id' is float64", "'captured_at'", "'is_pano'", "EPSG:28992"):
        assert word in str(caught.value)


def test_times_are_milliseconds(images):
    assert str(images["captured_at"].dtype) == "datetime64[ms, UTC]"


def test_from_arrow_keeps_ids_with_gaps_exact():
    table = pa.table({"organization_id": pa.array([None, BEYOND_FLOATS]), "lon": [1.0, 2.0], "lat": [3.0, 4.0]})
    frame = frames.from_arrow(table)
    assert frame["organization_id"].iloc[1] == BEYOND_FLOATS
    assert frame.crs == frames.CRS


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=1))
def test_whole_numbers_survive_as_text(values):
    text = pd.Series([None if value is None else str(value) for value in values], dtype="str")
    assert [None if value is pd.NA else value for value in dtypes.cast(text, "Int64")] == values


def test_lonlat_of_missing_points_is_nan():
    frame = gpd.GeoDataFrame(geometry=gpd.GeoSeries([None], crs=4326))
    lon, lat = frames.lonlat(frame)
    assert np.isnan(lon).all()
    assert np.isnan(lat).all()


TIMES = frames.IMAGES.only("captured_at")


@pytest.fixture(scope="module")
def walk(images):
    """Local images of three sequences, taken on whole seconds, and their track."""
    some = images[images["sequence_id"].isin(images["sequence_id"].value_counts().index[:3])].reset_index(drop=True)
    some = some.assign(
        captured_at=some["captured_at"].dt.floor("s"),
        path=some["id"].astype("str") + ".jpg",
        folder=some["sequence_id"],
        error=pd.Series([None] * len(some), dtype="str"),
    )
    track = gpd.GeoDataFrame(
        {"track_id": some["sequence_id"], "time": some["captured_at"].dt.as_unit("us"), "altitude": 1.0},
        geometry=some.geometry,
    )
    return some, track


def in_unit(frame, column, unit):
    changed = frame.assign(**{column: frame[column].dt.as_unit(unit)})
    assert str(changed[column].dtype) == f"datetime64[{unit}, UTC]"
    return changed


def written(track, tmp_path):
    path = mlygeo.write_track(track, tmp_path / "walk.gpx")
    return pd.DataFrame({"line": path.read_text().splitlines()})


STEPS = {
    "filter_images": lambda images: mlygeo.filter_images(images, since="2020-01-01"),
    "cut_sequences": mlygeo.cut_sequences,
    "split_sequences": lambda images: mlygeo.split_sequences(images, max_images=5),
    "interpolate_directions": lambda images: mlygeo.interpolate_directions(images, overwrite=True),
    "flag_duplicates": lambda images: mlygeo.flag_duplicates(images, duplicate_distance=5),
    "summarise": mlygeo.summarise,
    "check_images": mlygeo.check_images,
    "spread_subseconds": mlygeo.spread_subseconds,
    "interpolate_times": mlygeo.interpolate_times,
    "estimate_subseconds": lambda images: mlygeo.estimate_subseconds(
        images.drop_duplicates("folder"), sub_second_interval=0.5
    ),
    "interpolate_positions": mlygeo.interpolate_positions,
}


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_images_may_count_time_in_any_unit(walk, step, unit):
    images, _ = walk
    expected = step(images)
    assert len(expected)
    assert_geodataframe_equal(step(in_unit(images, "captured_at", unit)), expected)


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_tracks_may_count_time_in_any_unit(walk, tmp_path, unit):
    images, track = walk
    other = in_unit(track, "time", unit)
    assert_geodataframe_equal(
        mlygeo.geotag(in_unit(images, "captured_at", unit), other, offset_time=1),
        mlygeo.geotag(images, track, offset_time=1),
    )
    assert_frame_equal(written(other, tmp_path), written(track, tmp_path))


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_coverage_and_standin_take_any_unit(walk, edges, unit):
    from mlygeo.standin.imagery import Imagery

    images, _ = walk
    other = in_unit(images, "captured_at", unit)
    assert_geodataframe_equal(
        mlygeo.street_coverage(edges, other, srid=25832), mlygeo.street_coverage(edges, images, srid=25832)
    )
    assert Imagery(other).tile("mly1_public", 14, 8609, 5642) == Imagery(images).tile("mly1_public", 14, 8609, 5642)


def test_a_clock_that_was_set_right(images):
    shifted = images.assign(captured_at=images["captured_at"] + pd.Timedelta(seconds=1 / 3))
    assert str(shifted["captured_at"].dtype) != frames.MS_UTC, "pandas counts in a finer unit"
    shifted.attrs["clock"] = "a third of a second late"
    shifted.index = shifted.index + 7
    found = frames.check(shifted, frames.IMAGES)
    assert str(found["captured_at"].dtype) == "datetime64[ms, UTC]"
    assert ((found["captured_at"] - images["captured_at"].set_axis(found.index)) == pd.Timedelta("333ms")).all()
    assert found.attrs == shifted.attrs
    assert found.index.equals(shifted.index)
    assert str(shifted["captured_at"].dtype) != frames.MS_UTC, "the caller's frame stays as it is"


@given(st.integers(-(2**51), 2**51), st.sampled_from(["us", "ns"]))
def test_times_are_rounded_to_the_nearest_millisecond(number, unit):
    frame = raw(captured_at=pd.Series([number, None], dtype="Int64"))
    frame["captured_at"] = pd.to_datetime(frame["captured_at"], unit=unit, utc=True).dt.as_unit(unit)
    found = frames.check(frame, TIMES)["captured_at"]
    scale = {"us": 1000, "ns": 1_000_000}[unit]
    assert found.iloc[0].value == round(number / scale) * 1_000_000
    assert found.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        ("datetime64[us]", "is datetime64[us], expected datetime64[ms, UTC]"),
        ("datetime64[us, Europe/Berlin]", "is datetime64[us, Europe/Berlin], expected"),
        ("int64", "is int64, expected"),
    ],
)
def test_times_of_no_zone_or_another_are_refused(dtype, words):
    frame = raw(captured_at=pd.Series([0, 1])).astype({"captured_at": dtype})
    with pytest.raises(FrameError) as caught:
        frames.check(frame, TIMES)
    assert words in str(caught.value)


def test_times_that_milliseconds_cannot_hold_are_named():
    frame = raw(captured_at=pd.Series(np.array([2**60], dtype="datetime64[s]")).dt.tz_localize("UTC"))
    with pytest.raises(FrameError, match="'captured_at' does not fit"):
        frames.check(frame, TIMES)


def test_frames_that_are_right_cost_nothing(images):
    many = images.iloc[np.zeros(1_000_000, dtype=int)]
    assert frames.check(many, frames.IMAGES) is many
    with at_most(10_000), little_memory(500_000):  # a look at the rows would need a mask of a million bytes
        frames.check(many, frames.IMAGES)


def test_what_columns_say_is_joined_row_by_row():
    one = pd.Series(["a", None, "b; c", None], dtype="str")
    other = np.array([None, "d", "e", None], dtype=object)
    assert frames.phrases(one, other).tolist() == ["a", "d", "b; c; e", None]
    frame = gpd.GeoDataFrame({"warning": one}, geometry=[None] * 4, index=[3, 2, 1, 0])
    frame["warning"] = one.to_numpy()
    assert frames.with_phrases(frame, "warning", other)["warning"].fillna("").tolist() == ["a", "d", "b; c; e", ""]
    made = frames.with_phrases(frame, "problem", other)["problem"]
    assert made.dtype == "str"
    assert made.index.tolist() == [3, 2, 1, 0]
    assert made.fillna("").tolist() == ["", "d", "e", ""]


@pytest.mark.parametrize(
    "dtype", sorted({column.dtype for schema in frames.SCHEMAS.values() for column in schema.columns})
)
@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_column_of_unknown_values_is_one_of_nones(dtype, length):
    if dtype == "int64":
        return  # has none
    expected = pd.Series([None] * length, dtype={"bool": "boolean"}.get(dtype, dtype))
    pd.testing.assert_series_equal(dtypes.nulls(dtype, length), expected)
    index = pd.Index(range(7, 7 + length))
    pd.testing.assert_index_equal(dtypes.nulls(dtype, length, index).index, index)


def test_a_column_of_numbers_is_read_as_it_is_or_refused():
    frame = pd.DataFrame(
        {"a": pd.array([1, None], dtype="Int64"), "b": [np.inf, -2.5], "c": [None, 3], "d": ["x", "2"],
         "e": pd.to_datetime(["2024", None])}
    )  # fmt: skip
    for name, expected in (("a", [1, np.nan]), ("b", [np.nan, -2.5]), ("c", [np.nan, 3]), ("f", [np.nan, np.nan])):
        np.testing.assert_array_equal(frames.reals(frame, name), expected)
    for name in ("d", "e"):
        with pytest.raises(FrameError, match=f"column '{name}'"):
            frames.reals(frame, name)


@pytest.mark.parametrize("dtype", ["str", object])
def test_ids_of_text_are_those_of_any_provider_whatever_has_the_gaps(dtype):
    uuids = pd.Series(["0ea5c1c6-0a5b-4d3e-9f0a-0a5b4d3e9f0a", None], dtype=dtype)
    found = frames.form(frames.IMAGES, ["id"], {"id": uuids}.__getitem__)
    assert found == frames.IMAGES.of_any_provider
