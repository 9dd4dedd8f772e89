"""Images of which nobody knows whether they are panoramas: unknown in every frame, file, filter, sum and drawing."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers.small_frames import images_frame
from hypothesis import given
from hypothesis import strategies as st

import mlygeo
from mlygeo import cli, frames, plotting
from mlygeo.plotting import layers
from mlygeo.spatial.sequences import summarise as sequences_of
from mlygeo.store import points as views

KINDS = [True, False, None] * 4
ENDINGS = (".parquet", ".gpkg", ".fgb", ".sqlite", ".geojson", ".geojsonl", ".csv", ".tsv")


@pytest.fixture
def unknown():
    """Twelve images: four panoramas, four flat pictures, four of unknown kind."""
    return images_frame().assign(is_pano=pd.array(KINDS, dtype="boolean"))


def held(values):
    places = gpd.points_from_xy([9.0] * len(values), [48.0] * len(values), crs=4326)
    return gpd.GeoDataFrame({"id": range(1, len(values) + 1), "is_pano": values}, geometry=places)


@pytest.mark.parametrize(
    "values",
    [
        pd.array([True, False, None], dtype="boolean"), np.array([True, False, None], dtype=object),
        np.array([1.0, 0.0, np.nan]), pd.array([1, 0, None], dtype="Int8"),
        pd.array([True, False, None], dtype=pd.ArrowDtype(pa.bool_())), ["true", "False", None], ["yes", "no", ""],
        ["T", "f", "  "], pd.Categorical([True, False, None]),
    ],
    ids=["boolean", "object", "float", "Int8", "arrow", "text", "empty text", "blank text", "category"],
)  # fmt: skip
def test_a_gap_stays_a_gap_in_every_dtype(values):
    found = frames.conform(held(values), frames.IMAGES)
    assert str(found["is_pano"].dtype) == "boolean"
    assert found["is_pano"].tolist() == [True, False, pd.NA]
    frames.check(found, frames.IMAGES)
    again = frames.in_dtypes(held(values), frames.IMAGES, name="the images")
    assert again["is_pano"].tolist() == [True, False, pd.NA]


@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=20))
def test_a_column_is_bool_where_it_is_complete(values):
    for dtype in ("boolean", "object"):
        found = frames.conform(held(pd.array(values, dtype=dtype)), frames.IMAGES)["is_pano"]
        assert str(found.dtype) == ("boolean" if None in values else "bool")
        assert [None if value is pd.NA else value for value in found] == values


def test_a_filter_takes_no_image_of_unknown_kind_and_says_so(unknown, caplog):
    assert frames.filter_images(unknown, pano=True)["is_pano"].tolist() == [True] * 4
    assert frames.filter_images(unknown, pano=False)["is_pano"].tolist() == [False] * 4
    assert caplog.messages == ["4 of 12 images have no is_pano, and the filters leave them out"] * 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_keeps_what_is_unknown(unknown, tmp_path, ending):
    file = mlygeo.write_frame(unknown, tmp_path / f"images{ending}")
    assert mlygeo.read_frame(file)["is_pano"].tolist() == unknown["is_pano"].tolist()
    found = mlygeo.read_frame(file, frame="images")
    assert str(found["is_pano"].dtype) == "boolean"
    assert found["is_pano"].tolist() == unknown["is_pano"].tolist()
    for pano in (True, False):
        kept = views.keep(views.open_points(file, name="images"), region=None, conditions={"pano": pano})
        assert len(kept) == 4


def test_a_selection_counts_only_known_kinds(unknown, tmp_path):
    points = unknown[["geometry"]].assign(point_id=range(12), bearing=90.0)
    files = [
        mlygeo.write_frame(frame, tmp_path / name) for frame, name in ((points, "p.parquet"), (unknown, "i.parquet"))
    ]
    call = ["select", "--points", files[0], "--images", files[1], "--max-distance", 1, "-o", tmp_path / "out"]
    assert cli.main([str(argument) for argument in call]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["pano_share"], summary["pano_unknown"]) == (0.5, 4)
    written = mlygeo.read_frame(tmp_path / "out" / "selection.parquet")["is_pano"]
    assert written.tolist() == unknown["is_pano"].tolist()
    for images in (unknown, files[1]):
        flat = mlygeo.select(points=points, images=images, max_distance=1, pano=False)
        assert flat["point_id"].tolist() == [1, 4, 7, 10]


def test_the_heading_of_an_image_of_unknown_kind_counts(unknown, caplog):
    points = unknown[["geometry"]].assign(point_id=range(12), bearing=0.0)
    images = unknown.assign(compass_angle=[90.0] * 6 + [0.0] * 6)
    for found in (
        mlygeo.select(points=points, images=images, max_distance=1, max_heading_difference=45),
        mlygeo.select_nearest(points, images, max_distance=1, max_heading_difference=45),
    ):
        assert found["point_id"].tolist() == [0, 3, 6, 7, 8, 9, 10, 11]
    assert "the images: 4 images of unknown kind, whose headings count" in caplog.messages


def test_coverage_by_kind_has_a_row_for_the_unknown(unknown):
    street = frames.conform(
        gpd.GeoDataFrame(
            {"u": [1], "v": [2], "key": [0], "oneway": [False]},
            geometry=gpd.GeoSeries.from_wkt(["LINESTRING (9.165 48.775, 9.173 48.775)"], crs=4326),
        ),
        frames.STREETS,
    )
    images = unknown.set_geometry(gpd.points_from_xy(np.linspace(9.166, 9.172, 12), [48.775] * 12, crs=4326))
    found = mlygeo.street_coverage(street, images, by="pano")
    assert found["is_pano"].tolist() == [False, True, pd.NA]
    assert found["images"].tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([True, None, None], True), ([False, None, None], False), ([None, None, None], pd.NA),
        ([True, True, None], True), ([True, False, None], False), ([True, False, True], True),
    ],
)  # fmt: skip
def test_a_sequence_is_what_most_of_its_known_images_are(unknown, kinds, expected):
    images = unknown.iloc[:3].assign(sequence_id="a", is_pano=pd.array(kinds, dtype="boolean"))
    sequences = sequences_of(images)
    assert sequences["is_pano"].tolist() == [expected]
    assert str(sequences["is_pano"].dtype) == ("boolean" if expected is pd.NA else "bool")
    assert sequences_of(images.drop(columns="is_pano"))["is_pano"].tolist() == [pd.NA]


def test_a_drawing_tells_the_unknown_from_flat_pictures(unknown):
    (layer,) = layers.layers_of(unknown)
    assert layer.panoramas().tolist() == [True, False, False] * 4
    assert layer.flat_pictures().tolist() == [False, True, False] * 4
    said = [text.get_text() for text in plotting.draw(unknown).axes[0].get_legend().get_texts()]
    assert [text for text in said if "4)" in text] == [
        "images, pictures of unknown kind (4)", "images, flat pictures (4)", "images, panoramas (4)"
    ]  # fmt: skip
