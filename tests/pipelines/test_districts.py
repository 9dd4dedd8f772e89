"""Coverage by district, from any file of polygons."""

import json
import logging

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from helpers.command_line import run

import mlygeo
from mlygeo.errors import FrameError, InputError, RegionError

SRID = 25832


@pytest.fixture(scope="module")
def districts(edges):
    """West and east of the streets' middle, in a plane; the north of the west belongs to nobody."""
    west, south, east, north = edges.to_crs(SRID).total_bounds
    middle = (west + east) / 2
    shapes = [
        shapely.box(west - 99, south - 99, middle, north - 200),
        shapely.box(middle, south - 99, east + 99, north + 99),
    ]
    return gpd.GeoDataFrame({"name": ["West", "East"], "number": [7, 8]}, geometry=shapes, crs=SRID)


def test_lengths_and_images_are_those_of_cut_streets(edges, images, districts):
    summary = mlygeo.coverage(streets=edges, images=images, srid=SRID, districts=districts).attrs["summary"]
    rows = {row["value"]: row for row in summary["by"]["district"]}
    assert set(rows) == {"West", "East", None}
    streets = np.asarray(mlygeo.street_coverage(edges, images, srid=SRID).to_crs(SRID).geometry)
    covered = shapely.union_all(images.to_crs(SRID).geometry.buffer(20, quad_segs=64).to_numpy())
    for name, shape in zip(districts["name"], districts.geometry, strict=True):
        cut = shapely.intersection(streets, shape)
        assert rows[name]["length_m"] == pytest.approx(shapely.length(cut).sum(), abs=0.1)
        assert rows[name]["covered_m"] == pytest.approx(shapely.length(shapely.intersection(cut, covered)).sum(), abs=2)
        assert rows[name]["streets"] == (shapely.length(cut) > 1e-3).sum()
    for name in ("length_m", "covered_m"):
        assert sum(row[name] for row in rows.values()) == pytest.approx(summary[name], abs=1e-3)
    assert sum(row["images"] for row in rows.values()) == summary["images_near"]
    assert summary["districts"] == {"districts": 2, "in_several_m": 0.0}
    near = images[shapely.distance(np.asarray(images.to_crs(SRID).geometry), shapely.union_all(streets)) <= 20]
    west = near.to_crs(SRID).geometry.intersects(districts.geometry.iloc[0]).sum()
    assert rows["West"]["images"] == west


def test_expected_images_add_up_and_are_by_length(edges, images, districts):
    summary = mlygeo.coverage(
        streets=edges, images=images, srid=SRID, districts=districts, expected=True, by=["highway", "district"]
    ).attrs["summary"]
    assert summary["expected"] == {"confidence": 0.95, "unit": "sequence", "sequences": images["sequence_id"].nunique()}
    for rows in summary["by"].values():
        assert sum(row["images"] for row in rows) == summary["images_near"]
        for row in rows:
            share = row["length_m"] / summary["length_m"]
            assert row["expected_images"] == pytest.approx(summary["images_near"] * share, abs=1e-3)
            assert row["ratio"] == pytest.approx(row["images"] / row["expected_images"], abs=1e-5)
            assert row["ratio_low"] is None or row["ratio_low"] <= row["ratio"] <= row["ratio_high"]


def test_without_sequences_there_is_no_interval_and_it_is_told(edges, images, caplog):
    bare = images.drop(columns="sequence_id")
    with caplog.at_level(logging.WARNING):
        summary = mlygeo.coverage(streets=edges, images=bare, srid=SRID, expected=True, by="highway").attrs["summary"]
    assert "without which ratios have no interval" in caplog.text
    assert summary["expected"]["sequences"] is None
    assert all(row["ratio_low"] is None and "sequences" not in row for row in summary["by"]["highway"])


def test_the_verb_writes_the_districts_with_their_shapes(edges, images, districts, tmp_path, capsys):
    mlygeo.write_frame(images, tmp_path / "images.parquet")
    mlygeo.write_frame(edges, tmp_path / "edges.gpkg")
    districts.to_file(tmp_path / "districts.gpkg")
    words = ["coverage", "--streets", tmp_path / "edges.gpkg", "--images", tmp_path / "images.parquet", "--srid", SRID]
    out = tmp_path / "out"
    status, printed, said = run(
        capsys, *words, "--districts", tmp_path / "districts.gpkg", "--district-name", "number", "--expected",
        "--by", "district", "-o", out,
    )  # fmt: skip
    assert status == 0, said
    assert "images by district" in printed
    assert "in none of them" in printed
    assert max(map(len, printed.splitlines())) <= 80
    found = mlygeo.read_frame(out / "districts.parquet")
    assert found["name"].tolist() == ["7", "8"]
    rows = {row["value"]: row for row in json.loads((out / "summary.json").read_text())["by"]["district"]}
    for row in found.itertuples():
        assert row.images == rows[row.name]["images"]
        assert row.length_m == pytest.approx(rows[row.name]["length_m"], abs=1e-6)
    assert (
        shapely.hausdorff_distance(found.to_crs(SRID).geometry, districts.geometry.reset_index(drop=True)).max() < 0.2
    )
    assert run(capsys, *words, "-o", out)[0] == 0
    assert not (out / "districts.parquet").exists()
    assert run(capsys, *words, "--districts", tmp_path / "districts.gpkg", "-o", tmp_path / "all.gpkg")[0] == 0
    layer = mlygeo.read_frame(f"{tmp_path / 'all.gpkg'}:districts")
    assert layer["images"].sum() > 0


def test_rows_of_a_name_are_one_district_and_those_without_are_left_out(edges, images, districts):
    whole = mlygeo.coverage(streets=edges, images=images, srid=SRID, districts=districts, by="district")
    halves = districts.geometry.iloc[0].bounds
    middle = (halves[1] + halves[3]) / 2
    parts = [shapely.box(halves[0], halves[1], halves[2], middle), shapely.box(halves[0], middle, halves[2], halves[3])]
    split = gpd.GeoDataFrame(
        {"name": pd.Series(["West", " West", "East", None], dtype="str")},
        geometry=[*parts, districts.geometry.iloc[1], shapely.box(0, 0, 1, 1)], crs=SRID,
    )  # fmt: skip
    found = mlygeo.coverage(streets=edges, images=images, srid=SRID, districts=split, by="district")
    rows, twins = (each.attrs["summary"]["by"]["district"] for each in (found, whole))
    for row, twin in zip(rows, twins, strict=True):  # edges of planes are drawn to a tenth of a metre
        assert row["value"] == twin["value"]
        assert [row["length_m"], row["covered_m"]] == pytest.approx([twin["length_m"], twin["covered_m"]], abs=0.1)
    assert found.attrs["summary"]["left_out"]["districts: without a name"] == 1


def test_districts_that_overlap_are_told(edges, images, districts, caplog):
    again = gpd.GeoDataFrame(pd.concat([districts, districts.assign(name=["W", "E"])], ignore_index=True))
    summary = mlygeo.coverage(streets=edges, images=images, srid=SRID, districts=again, by="district").attrs["summary"]
    inside = sum(row["length_m"] for row in summary["by"]["district"] if row["value"] is not None)
    assert summary["districts"]["in_several_m"] == pytest.approx(inside, abs=1e-3)
    assert "lie in several districts" in caplog.text
    assert {row["value"] for row in summary["by"]["district"]} == {"West", "East", None}


def test_districts_without_streets_have_a_row_in_the_frame(edges, images, districts, tmp_path):
    far = gpd.GeoDataFrame(
        {"name": ["Far", *districts["name"]]}, geometry=[shapely.box(0, 0, 1, 1), *districts.geometry], crs=SRID
    )
    job = mlygeo.coverage.body(streets=edges, images=images, srid=SRID, districts=far, expected=True, by="district")
    job.write(tmp_path / "out")
    found = mlygeo.read_frame(tmp_path / "out" / "districts.parquet")
    assert found["name"].tolist() == ["Far", "West", "East"]
    assert found.iloc[0][["streets", "images", "length_m"]].tolist() == [0, 0, 0.0]
    alone = mlygeo.coverage(streets=edges, images=images, srid=SRID, districts=districts, expected=True, by="district")
    assert alone.attrs["summary"]["by"] == job.summary["by"]


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"by": "district"}, InputError, "needs `districts`"),
        ({"district_name": "number"}, InputError, "no effect without `districts`"),
        ({"expected": True, "by": "year"}, InputError, "no effect without highway or district"),
        ({"districts": True, "by": "year"}, InputError, "`districts` has no effect without district in `by`"),
        ({"districts": True, "district_name": "nom"}, FrameError, "no column 'nom'"),
    ],
)
def test_bad_calls_are_named(edges, images, districts, options, error, said):
    given = {name: districts if value is True and name == "districts" else value for name, value in options.items()}
    with pytest.raises(error, match=said):
        mlygeo.coverage(streets=edges, images=images, **given)


def test_districts_must_be_polygons(edges, images, districts):
    with pytest.raises(RegionError, match="district 'West' contains no polygon") as caught:
        mlygeo.coverage(streets=edges, images=images, districts=districts.assign(geometry=districts.geometry.boundary))
    assert caught.value.hint == "name a file of polygons with `districts`"  # `buffer` is that of the region
    with pytest.raises(RegionError, match="the districts are empty"):
        mlygeo.coverage(streets=edges, images=images, districts=districts.iloc[:0])


def test_districts_may_be_a_frame_in_degrees(edges, images, districts):
    one = mlygeo.coverage(streets=edges, images=images, srid=SRID, districts=districts)
    other = mlygeo.coverage(streets=edges, images=images, srid=SRID, districts=districts.to_crs(4326))
    for row, twin in zip(*(each.attrs["summary"]["by"]["district"] for each in (one, other)), strict=True):
        assert row["length_m"] == pytest.approx(twin["length_m"], abs=0.5)
    assert_geodataframe_equal(one, other)
