"""Spatial steps on images of several providers: sequences, order, duplicates, coverage by creator."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import LineString

from mlygeo.spatial import coverage, duplicates, ordering, sequences

NAMES = ("mapillary", "panoramax", "toy")


def images(count, provider, **columns):
    lon = 9.17 + 1e-4 * np.arange(count)
    base = {
        "id": [f"{number}" for number in range(count)],
        "sequence_id": ["s"] * count,
        "captured_at": pd.to_datetime(1_700_000_000_000 + 1000 * np.arange(count), unit="ms", utc=True).as_unit("us"),
        "compass_angle": np.zeros(count),
        "is_pano": np.zeros(count, dtype=bool),
        "creator_id": ["1"] * count,
        "provider": provider,
    }
    frame = gpd.GeoDataFrame({**base, **columns}, geometry=gpd.points_from_xy(lon, np.full(count, 48.77)), crs=4326)
    return frame.astype({"id": "str", "sequence_id": "str", "creator_id": "str", "provider": "str"})


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from("ab")), min_size=1, max_size=30))
def test_sequences_of_one_name_are_as_many_as_there_are_providers(rows):
    """The sequences of all are those of each provider alone."""
    frame = images(len(rows), [who for who, _ in rows], sequence_id=[name for _, name in rows])
    found = sequences.summarise(frame)
    assert len(found) == len(set(rows))
    alone = []
    for who in set(frame["provider"]):
        part = sequences.summarise(frame[frame["provider"] == who].drop(columns="provider"))
        alone += [(who, *row) for row in part[["sequence_id", "images", "length_m"]].itertuples(index=False)]
    both = found[["provider", "sequence_id", "images", "length_m"]].itertuples(index=False)
    assert sorted(map(tuple, both)) == sorted(alone)


def test_a_sequence_has_the_licence_that_all_its_images_have():
    frame = images(4, ["panoramax"] * 4, sequence_id=["a", "a", "b", "b"], licence=["X", "X", "X", None])
    found = sequences.summarise(frame.astype({"licence": "str"})).set_index("sequence_id")
    assert found["provider"].tolist() == ["panoramax"] * 2
    assert found["licence"].fillna("?").to_dict() == {"a": "X", "b": "?"}


def test_duplicates_are_those_of_one_provider():
    """The second image of each provider stands where its first one does."""
    frame = images(4, ["mapillary", "panoramax"] * 2)
    frame = frame.set_geometry([frame.geometry.iloc[0]] * 4)
    found = duplicates.flag_duplicates(frame)
    assert found["is_duplicate"].tolist() == [False, False, True, True]
    assert str(found["duplicate_of"].dtype) == "str"
    assert found["duplicate_of"].fillna("").tolist() == ["", "", "0", "1"]


def test_equal_times_are_ordered_by_rank():
    frame = images(4, ["panoramax"] * 4, id=["10", "9", "8", "11"])
    frame["captured_at"] = frame["captured_at"].iloc[0]
    order = ordering.by_time(frame, ("sequence_id",))
    assert frame["id"].iloc[order.rows].tolist() == ["8", "9", "10", "11"]
    mixed = frame.assign(id=pd.array(["10", "9", "b", "11"], dtype="str"))
    order = ordering.by_time(mixed, ("sequence_id",))
    assert mixed["id"].iloc[order.rows].tolist() == ["10", "11", "9", "b"]


@pytest.mark.parametrize("unknown", [False, True])
def test_coverage_tells_creators_of_two_providers_apart(unknown):
    streets = gpd.GeoDataFrame(
        {"u": [1], "v": [2], "key": [0], "osmid": ["1"], "highway": ["path"], "name": [None], "oneway": [False]},
        geometry=[LineString([(9.17, 48.77), (9.18, 48.77)])], crs=4326,
    ).astype({"osmid": "str", "highway": "str", "name": "str"})  # fmt: skip
    creators = ["1", "1", None if unknown else "2", "1"]
    frame = images(4, ["mapillary", "panoramax", "panoramax", "mapillary"], creator_id=creators)
    found = coverage.street_coverage(streets, frame.astype({"creator_id": "str"}), by="creator", distance=2)
    rows = {(who, creator): count for who, creator, count in
            zip(found["provider"], found["creator_id"].fillna("?"), found["images"], strict=True)}  # fmt: skip
    assert rows == {("mapillary", "1"): 2, ("panoramax", "1"): 1, ("panoramax", "?" if unknown else "2"): 1}
    alone = coverage.street_coverage(streets, frame.drop(columns="provider"), by="creator", distance=2)
    assert "provider" not in alone


def test_creators_have_their_names_and_those_without_an_id_are_told_apart_by_them():
    streets = gpd.GeoDataFrame(
        {"u": [1], "v": [2], "key": [0], "osmid": ["1"], "highway": ["path"], "name": [None], "oneway": [False]},
        geometry=[LineString([(9.17, 48.77), (9.18, 48.77)])], crs=4326,
    ).astype({"osmid": "str", "highway": "str", "name": "str"})  # fmt: skip
    frame = images(
        7,
        ["mapillary", *["panoramax"] * 6],
        creator_id=["1", "a", "a", None, None, None, "b"],
        creator=[None, "Ada", "Ada", "Ada", "Bo", None, "Bo"],
        creator_username=["jo", *[None] * 6],
    ).astype({"creator_id": "str", "creator": "str", "creator_username": "str"})
    for order in (range(7), [6, 3, 0, 5, 1, 4, 2]):
        found = coverage.street_coverage(streets, frame.iloc[list(order)], by="creator", distance=2)
        rows = (
            found[["provider", "creator_id", "creator", "images"]].astype(object).where(lambda each: each.notna(), None)
        )
        assert set(rows.itertuples(index=False, name=None)) == {
            ("mapillary", "1", "jo", 1), ("panoramax", "a", "Ada", 2), ("panoramax", None, "Ada", 1),
            ("panoramax", None, "Bo", 1), ("panoramax", None, None, 1), ("panoramax", "b", "Bo", 1),
        }  # fmt: skip
    doubtful = frame.assign(creator=["x", "Ada", "Bob", None, None, None, None])
    found = coverage.street_coverage(streets, doubtful, by="creator", distance=2).set_index("creator_id")["creator"]
    assert pd.isna(found["a"])
    by_provider = coverage.street_coverage(streets, frame, by="provider", distance=2)
    assert by_provider.set_index("provider")["images"].to_dict() == {"mapillary": 1, "panoramax": 6}


def test_names_of_sequences_do_not_change_where_no_column_names_a_provider():
    frame = images(3, ["toy"] * 3).drop(columns=["provider", "id", "creator_id"])
    first = sequences.cut_sequences(frame)["sequence_id"]
    assert first.equals(sequences.cut_sequences(frame)["sequence_id"])
    other = sequences.cut_sequences(frame.assign(provider="toy"))["sequence_id"]
    assert not set(first) & set(other)
