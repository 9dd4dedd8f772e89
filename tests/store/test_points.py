"""The points of a frame and those of its file are the same, whatever their ids, places and columns."""

from __future__ import annotations

import re
import uuid

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlygeo import frames, keys, store
from mlygeo.errors import FrameError, MlygeoError
from mlygeo.store import points as sources
from mlygeo.store.parquet import files
from mlygeo.store.point_sources import PointFile
from mlygeo.store.points import SomeOf, open_points

PLACES = gpd.points_from_xy([9.1, 9.2, 9.3], [48.1, 48.2, 48.3])

IDS = {
    "whole": ([1, 2**63 - 1, -5], [1, 2**63 - 1, -5]),
    "unsigned": (pd.array([1, 2, 2**63 - 1], dtype="uint64"), [1, 2, 2**63 - 1]),
    "past 2^63": (pd.array([1, 2, 2**63], dtype="uint64"), r"9223372036854775808 is past 2\^63"),
    "past 2^63 with gaps": (pd.array([1, None, 2**64 - 1], dtype="UInt64"), r"past 2\^63|missing"),
    "gaps": (pd.array([1, None, 3], dtype="Int64"), "1 of 3 values are missing"),
    "floats": ([1.0, 2.0, 3.0], [1, 2, 3]),
    "fractions": ([1.0, 2.5, 3.0], "not whole numbers"),
    "NaN": ([1.0, np.nan, 3.0], "1 of 3 values are missing"),
    "infinite": ([1.0, np.inf, 3.0], r"past 2\^53"),
    "floats past 2^53": ([1.0, 2.0**53, 3.0], r"past 2\^53"),
    "text": (["1", " 9223372036854775807", "-3"], [1, 2**63 - 1, -3]),
    "zero-led text": (["1", "007", "3"], "'007' is not a whole number"),
    "double zero": (["1", "00", "3"], "'00' is not a whole number"),
    "zero": (["0", "1", "2"], [0, 1, 2]),
    "long text": (["1", "9223372036854775808", "3"], r"9223372036854775808 is past 2\^63"),
    "very long text": (["1", "9" * 5000, "3"], r"past 2\^63"),
    "other digits": (["1", "٣", "3"], "not a whole number"),
    "words": (["a", "b", "c"], "'a' is not a whole number"),
    "fractions as text": (["1.0", "2", "3"], "'1.0' is not a whole number"),
    "text with gaps": (["1", None, "3"], "1 of 3 values are missing"),
    "truth": ([True, False, True], "not a whole number"),
    "categories": (pd.Categorical(["1", "2", "1"]), [1, 2, 1]),
    "times": (pd.to_datetime(["2024", "2025", "2026"]), "not a whole number"),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_a_frame_and_of_its_file(tmp_path, kind):
    values, expected = IDS[kind]
    frame = gpd.GeoDataFrame({"id": values}, geometry=PLACES, crs=4326)
    for each in (frame, store.write_frame(frame, tmp_path / "x.parquet")):
        points = open_points(each, name="the images")
        if isinstance(expected, list):
            found = sources.ids_of(points, "id")
            assert found.dtype == np.int64
            assert found.tolist() == expected
        else:
            with pytest.raises(FrameError, match=expected) as caught:
                sources.ids_of(points, "id")
            assert "'id'" in str(caught.value)
            assert len(str(caught.value)) < 200
    with pytest.raises(FrameError, match="no column 'nothing'"):
        sources.ids_of(open_points(frame, name="the images"), "nothing")


@pytest.mark.parametrize("values", [["007", "1", "2"], ["00", "1", "2"]])
def test_zero_led_ids_stay_text_without_a_schema(tmp_path, values):
    frame = gpd.GeoDataFrame({"id": values}, geometry=PLACES, crs=4326)
    for ending in ("parquet", "gpkg"):
        path = store.write_frame(frame, tmp_path / f"x.{ending}")
        assert store.read_frame(path)["id"].tolist() == values
        with pytest.raises(FrameError, match=f"'{values[0]}' is not a whole number"):
            store.read_frame(path, frame="images")


def test_columns_called_lon_and_lat_are_attributes(tmp_path):
    frame = gpd.GeoDataFrame(
        {"point_id": [1, 2, 3], "lon": ["a", "b", "c"], "lat": [7, 8, 9]}, geometry=PLACES, crs=4326
    )
    for each in (frame, store.write_frame(frame, tmp_path / "x.parquet")):
        points = open_points(each, name="the points")
        assert points.columns == ["point_id", "lon", "lat"]
        back = sources.as_frame(points, frames.POINTS)
        assert back["lon"].tolist() == ["a", "b", "c"]
        assert back.geometry.x.tolist() == [9.1, 9.2, 9.3]


def test_a_further_column_called_geometry_is_refused_by_name():
    frame = gpd.GeoDataFrame({"geometry": ["a", "b", "c"], "place": PLACES}, geometry="place", crs=4326)
    with pytest.raises(FrameError, match="'geometry'"):
        sources.as_frame(open_points(frame, name="the points"), frames.POINTS)


@pytest.mark.parametrize(
    ("names", "words"), [(["id", 1], "1 is int, not text"), (["id", "id"], "several columns 'id'")]
)
def test_names_of_columns(names, words):
    frame = gpd.GeoDataFrame({"id": [1, 2, 3], "x": 1}, geometry=PLACES, crs=4326)
    frame = frame.set_axis([*names, "geometry"], axis=1)
    with pytest.raises(FrameError, match=words):
        open_points(frame, name="the points")


places = st.one_of(
    st.none(),
    st.just(shapely.Point()),
    st.builds(shapely.Point, st.floats(5e5, 6e5), st.floats(5.3e6, 5.4e6)),
    st.builds(shapely.Point, st.floats(5e5, 6e5), st.floats(5.3e6, 5.4e6), st.floats(-100, 9000)),
    st.just(shapely.Point(1e30, -1e30)),
)
columns = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), min_size=4, max_size=4),
    st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=4, max_size=4),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=4, max_size=4),
    st.lists(st.floats(), min_size=4, max_size=4),
    st.lists(st.one_of(st.none(), st.lists(st.integers(0, 9), max_size=2)), min_size=4, max_size=4),
    st.lists(st.one_of(st.none(), st.text(max_size=2), st.integers()), min_size=4, max_size=4),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(places, min_size=4, max_size=4), values=columns, rows=st.lists(st.integers(0, 3), max_size=6),
    name=st.sampled_from(["id", "bbox", "lon", "a.b", ""]), crs=st.sampled_from([4326, 25832, 3857, None]),
)  # fmt: skip
def test_a_frame_and_its_file_are_the_same_points(tmp_path, shapes, values, rows, name, crs):
    objects = np.empty(4, dtype=object)
    objects[:] = values
    frame = gpd.GeoDataFrame({name: pd.Series(objects, dtype=object)}, geometry=gpd.GeoSeries(shapes, crs=crs))
    try:
        path = store.write_frame(frame, tmp_path / "x.parquet")
    except FrameError as error:
        assert re.search(f"'{re.escape(name)}'", str(error))  # noqa: PT017
        return
    answers = []
    for each in (frame, store.read_frame(path), PointFile(path)):
        try:
            points = each if isinstance(each, PointFile) else open_points(each, name="x.parquet")
            lon, lat = points.lonlat
        except MlygeoError as error:
            answers.append(str(error).split(" has no CRS")[0][:5])
            continue
        some = SomeOf(points, np.array(rows, dtype=int))
        x, y, known = points.native
        assert known.equals(frame.crs)
        answers.append(
            [lon, lat, x, y, *some.lonlat, *some.native[:2], points.columns, points.arrow(name).to_pylist(),
             some.take(np.arange(len(rows)))[name].to_pylist()]
        )  # fmt: skip
    for other in answers[1:]:
        if isinstance(other, list):
            np.testing.assert_equal(other, answers[0])
    assert len({type(answer) for answer in answers}) == 1


def test_missing_points_are_missing_in_a_frame():
    table = pa.table({"lon": [1.0, np.nan], "lat": [2.0, np.nan]})
    assert frames.from_arrow(table).geometry.isna().tolist() == [False, True]


@pytest.mark.parametrize("rows", [0, 1, 7, 250])
@pytest.mark.parametrize("several", [None, ["panoramax"], ["panoramax", "Own ", None]])
def test_ids_are_read_part_after_part(tmp_path, rows, several):
    """A file of several row groups, a frame and some rows of either have the same keys, and providers."""
    drawn = np.random.default_rng(rows)
    ids = [str(uuid.UUID(int=int(number))).upper() for number in drawn.integers(0, 300, rows)]
    named = {} if several is None else {"provider": [several[number % len(several)] for number in range(rows)]}
    places = gpd.points_from_xy(drawn.random(rows), drawn.random(rows), crs=4326)
    frame = gpd.GeoDataFrame({"id": pd.Series(ids, dtype="str"), **named}, geometry=places)
    frame.to_parquet(tmp_path / "images.parquet", row_group_size=9)
    chosen = np.flatnonzero(drawn.random(rows) < 0.5)
    plain = [keys.provider_name(name) for name in named.get("provider", [])]
    ranks = keys.ranks(pd.Series(ids, dtype="str"), plain or None)
    for points in (open_points(frame, name="frame"), open_points(tmp_path / "images.parquet", name="file")):
        conformed = sources.Conformed(points, frames.IMAGES)
        for each, its in ((conformed, np.arange(rows)), (SomeOf(conformed, chosen), chosen)):
            assert [id_ for part in each.parts("id") for id_ in part.to_pylist()] == [ids[row] for row in its]
            found = sources.keyed(each)
            assert np.asarray(found.ids(np.arange(len(its)))).tolist() == [ids[row].lower() for row in its]
            order = np.argsort(ranks[its], kind="stable")
            assert np.argsort(found.ranks, kind="stable").tolist() == order.tolist()
            if plain and rows:
                whose = each.take(np.arange(len(its))[::-1], ["provider"])["provider"].to_pylist()
                assert whose == [plain[row] for row in its[::-1]]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6), piece=st.integers(1, 50), batch=st.integers(1, 200), group=st.integers(1, 90),
    missing=st.booleans(), wide=st.booleans(),
)  # fmt: skip
def test_rows_are_the_same_whatever_is_read_at_once(tmp_path, seed, piece, batch, group, *, missing, wide):
    random = np.random.default_rng(seed)
    count = 180
    words = np.array(["ab", "Ü", "", "abc" * 9], dtype=object)[random.integers(0, 4, count)]
    if missing:
        words[random.random(count) < 0.2] = None
    kind = pa.large_string() if wide else pa.string()
    place = gpd.points_from_xy(random.uniform(9, 10, count), random.uniform(48, 49, count), crs=4326)
    frame = gpd.GeoDataFrame({"id": random.permutation(count)}, geometry=place)
    if missing:
        frame.loc[7, "geometry"] = None
    table = pa.table(frame.to_arrow(geometry_encoding="WKB")).append_column("sequence_id", pa.array(words, kind))
    frame.to_parquet(tmp_path / "x.parquet")
    geo = pq.read_schema(tmp_path / "x.parquet").metadata[b"geo"]
    table = table.cast(pa.schema([(field.name, field.type) for field in table.schema])).replace_schema_metadata(
        {b"geo": geo}
    )
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=group)
    rows = random.integers(0, count, 70)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "PIECE_ROWS", piece)
        patch.setattr(files, "BATCH_ROWS", batch)
        opened = PointFile(tmp_path / "x.parquet")
        assert np.array_equal(opened.lonlat, frames.lonlat(frame), equal_nan=True)
        assert opened.arrow("id").to_pylist() == frame["id"].tolist()
        taken = opened.take(rows)
        assert taken["sequence_id"].type == kind
        assert taken.to_pydict() == {"id": frame["id"][rows].tolist(), "sequence_id": words[rows].tolist()}


def test_text_of_few_values_is_read_as_codes(tmp_path):
    count = 4000
    frame = gpd.GeoDataFrame(
        {
            "few": np.array(["one sequence", "another"])[np.arange(count) % 2],
            "many": [f"text {row}" for row in range(count)],
            "number": np.arange(count),
        },
        geometry=gpd.points_from_xy(np.zeros(count), np.zeros(count), crs=4326),
    )
    file = files.GeoFile(store.write_frame(frame, tmp_path / "x.parquet"))
    assert [file.is_coded(name, [0]) for name in ("few", "many", "number")] == [True, False, False]
