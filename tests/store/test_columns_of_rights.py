"""The columns of images of any provider, whose they are and under which licence, in every format there and back."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers import postgis_server

import mlygeo
from mlygeo import frames
from mlygeo.errors import FrameError
from mlygeo.store import held

database = postgis_server.database

FILES = ("parquet", "gpkg", "geojson", "geojsonl", "fgb", "csv", "tsv", "sqlite")
WITH_ATTRS = {"parquet", "gpkg", "geojson", "geojsonl", "fgb", "sqlite", "postgis"}
IDS = ["fc4bd9cd-e3d5-4218-81b3-0ae99d92635a", "007", "498763468214164", "a-b", "c"]
PROVIDERS = ["panoramax", "acme", "mapillary", None, "acme"]
VALUES = {
    "str": ["Élise", None, "[CC-BY-SA-4.0]", "00012", 'x "q", y'],
    "Int64": [1, None, 2**53 + 1, 3, 4],
    "float64": [0.1 + 0.2, np.nan, -1e-12, 3.0, 4.0],
    "bool": [True, False, True, False, True],
}
TIME = pd.Timestamp("2024-07-09T01:21:42.691001Z")


@pytest.fixture
def images():
    """Images of three providers and of an unknown one, with all columns and gaps in them."""
    columns = {}
    for column in frames.IMAGES.of_any_provider.columns:
        own = {"id": IDS, "provider": PROVIDERS}.get(column.name, VALUES.get(column.dtype))
        if own is None and column.dtype.startswith("datetime"):
            own = [TIME + pd.Timedelta(number, "us") for number in range(5)]
        if own is not None:
            columns[column.name] = pd.Series(own).astype(column.dtype)
    frame = gpd.GeoDataFrame(columns, geometry=shapely.points(np.linspace(9, 9.25, 5), 48.75), crs=4326)
    return frames.attribute(frame, *frames.credited_of(frame))


@pytest.mark.parametrize("kind", ["images", None])
@pytest.mark.parametrize("ending", [*FILES, "postgis"])
def test_all_columns_come_back(request, tmp_path, images, ending, kind):
    place = tmp_path / f"images.{ending}"
    if ending == "postgis":
        place = f"{request.getfixturevalue('database')}?table=of_any_provider"
    found = mlygeo.read_frame(mlygeo.write_frame(images, place), frame=kind)
    assert_geodataframe_equal(found[images.columns], images, check_crs=True)
    assert frames.credited_of(found) == images.attrs["attribution"]
    if ending in WITH_ATTRS:
        assert found.attrs["attribution"] == images.attrs["attribution"]


@pytest.mark.parametrize("ending", ["parquet", "gpkg", "postgis"])
def test_a_file_credits_the_rows_that_it_has(request, tmp_path, images, ending):
    place = tmp_path / f"images.{ending}"
    if ending == "postgis":
        place = f"{request.getfixturevalue('database')}?table=some"
    some = images[images["provider"].isna() | (images["provider"] == "acme")].reset_index(drop=True)
    some.attrs["attribution"] = [*images.attrs["attribution"], "City of X"]
    before = list(some.attrs["attribution"])
    lines = mlygeo.read_frame(mlygeo.write_frame(some, place)).attrs["attribution"]
    assert len(lines) == 4
    assert lines[-1] == "City of X"
    assert not any("Panoramax" in line or "Mapillary" in line for line in lines)
    assert some.attrs["attribution"] == before, "the caller's frame stays as it is"


def test_columns_of_few_values_are_small_in_geoparquet(tmp_path, images):
    path = mlygeo.write_frame(
        gpd.GeoDataFrame(pd.concat([images] * 200, ignore_index=True), crs=4326), tmp_path / "a.parquet"
    )
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {group.column(number).path_in_schema: group.column(number) for number in range(group.num_columns)}
    for name in ("provider", "instance", "licence", "licence_url"):
        assert columns[name].has_dictionary_page, name
    assert not columns["id"].has_dictionary_page


def mapillarys():
    return gpd.GeoDataFrame(
        {
            "id": [5, 2**62 + 1],
            "creator_id": pd.array([7, None], dtype="Int64"),
            "captured_at": pd.to_datetime([1, 2], unit="s", utc=True).as_unit("ms"),
        },
        geometry=shapely.points([9, 9.1], 48.7),
        crs=4326,
    )


@pytest.mark.parametrize("first", [True, False])
def test_joined_frames_keep_whose_rows_they_are(images, first):
    own = frames.attribute(mapillarys(), frames.MAPILLARY)
    others = frames.attribute(images[images["provider"] == "acme"].copy(), "Acme")
    parts = [own, others] if first else [others, own]
    whole = held.joined(parts, "images").set_index("id")
    assert whole.loc[["5", str(2**62 + 1)], "provider"].tolist() == ["mapillary"] * 2
    assert whole.loc["5", "creator_id"] == "7"
    assert pd.isna(whole.loc[str(2**62 + 1), "creator_id"])
    assert whole.loc["007", "provider"] == "acme"
    assert str(whole["captured_at"].dtype) == "datetime64[us, UTC]"
    assert frames.MAPILLARY in whole.attrs["attribution"]


def test_joining_images_of_nobody_knows_whom_claims_nothing_of_them():
    own = gpd.GeoDataFrame({"id": ["a", "b"]}, geometry=shapely.points([9, 9.1], 48.7), crs=4326)
    whole = held.joined([mapillarys(), own], "images")
    assert whole["provider"].tolist()[:2] == ["mapillary"] * 2
    assert whole["provider"].isna().tolist() == [False, False, True, True]
    assert "attribution" not in whole.attrs


def test_mapillarys_frames_alone_are_joined_as_ever():
    whole = held.joined([mapillarys(), mapillarys()], "images")
    assert str(whole["id"].dtype) == "int64"
    assert "provider" not in whole.columns


def test_a_column_called_provider_is_no_claim_without_images(tmp_path):
    cables = gpd.GeoDataFrame({"provider": ["Telekom"]}, geometry=shapely.points([9.0], 48.7), crs=4326)
    cables.attrs["attribution"] = ["City of X"]
    assert frames.credited_of(cables) == ["City of X"]
    with pytest.raises(FrameError):
        held.joined([cables, cables.assign(provider=5)], "cables")
