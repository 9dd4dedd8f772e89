"""`select --towards`: things from files, cameras from columns, and what is unknown of them."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from helpers.datasets import write_dataset

import mlygeo
from mlygeo import cli, frames
from mlygeo.errors import FrameError, InputError
from mlygeo.pipelines.job import body_of

SRID = 25832
X, Y = 513_000.0, 5_402_000.0


def placed(shapes, **columns):
    moved = shapely.transform(np.array(shapes, dtype=object), lambda xy: np.add(xy, (X, Y)))
    return gpd.GeoDataFrame(columns, geometry=moved, crs=SRID).to_crs(4326)


@pytest.fixture
def town():
    """A house, a tree, and images: towards the house, away from it, a panorama, of unknown view, without heading."""
    things = placed(
        [shapely.box(0, 0, 10, 10), shapely.Point(40, 0), None], name=["house", "tree", "gone"], height=[9, 4, 1]
    )
    points = [shapely.Point(*place) for place in [(5, -10), (5, -11), (25, 5), (5, -12), (5, -13), (5, 5)]]
    images = placed(
        points, id=[1, 2, 3, 4, 5, 6], compass_angle=[0.0, 180.0, np.nan, 0.0, np.nan, 0.0],
        is_pano=[False, False, True, False, False, True], sequence_id=["a"] * 6,
        captured_at=pd.to_datetime(["2024-01-01T00:00Z"] * 6).as_unit("ms"),
        camera_type=["perspective", "perspective", "spherical", None, "perspective", "spherical"],
        camera_parameters=["[0.8, 0, 0]", "[0.8, 0, 0]", None, None, "[0.8]", None],
    )  # fmt: skip
    return things, images


def test_the_images_that_look_at_things(town):
    things, images = town
    found = mlygeo.select(towards=things, images=images, srid=SRID, k=9, max_distance=30.0)
    frames.check(found, frames.SELECTION)
    assert found[["point_id", "id"]].to_numpy().tolist() == [[0, 1], [0, 3], [1, 3]]
    assert found["point_name"].tolist() == ["house", "house", "tree"]
    assert found["distance_m"].tolist() == pytest.approx([10, 15, 15.81], abs=0.02)
    assert found["view_angle"].tolist() == pytest.approx([2 * np.degrees(np.arctan(0.5 / 0.8)), 360, 360])
    assert found["target_bearing"].tolist() == pytest.approx([0.1, 270.1, 108.6], abs=0.2)
    assert found["off_axis"].tolist()[0] == pytest.approx(0.1, abs=0.1)
    left_out = found.attrs["summary"]["left_out"]
    assert left_out["flat images whose field of view is unknown"] == 1
    assert left_out["flat images without a heading"] == 1
    assert left_out["things without a geometry"] == 1
    assert found.attrs["summary"]["towards"] == {"min_distance_m": None, "apart": None, "field_of_view": None}


def test_a_field_of_view_is_given_to_cameras_that_do_not_tell_it(town):
    things, images = town
    found = mlygeo.select(towards=things, images=images, srid=SRID, k=9, max_distance=30.0, field_of_view=50)
    assert found["id"].tolist() == [1, 4, 3, 3]
    apart = mlygeo.select(
        towards=things, images=images, srid=SRID, k=9, max_distance=30.0, field_of_view=50, apart=45, min_distance=11
    )
    assert apart["id"].tolist() == [4, 3, 3]
    newest = mlygeo.select(towards=things, images=images, srid=SRID, k=9, prefer="newest", max_distance=30.0)
    assert newest["term_age"].tolist() == [1.0] * 3
    assert newest["score"].tolist() == [1.0] * 3
    job = body_of(mlygeo.select)(towards=things, images=images, srid=SRID, prefer="newest", max_distance=30.0)
    assert job.headline.startswith(
        "2 things, 2 with an image within 30 m that looks at them (median 12.9 m), the best by age, 2 views in all"
    )


@pytest.mark.parametrize("bearing", [None, [np.nan, 90.0, 0.0]], ids=["without bearings", "with bearings"])
def test_what_looks_straight_at_a_thing_is_preferred(town, tmp_path, bearing):
    """Bearings of things, where they have any, are no matter."""
    things, images = town
    images.loc[1, "compass_angle"] = 30.0
    things = things if bearing is None else things.assign(bearing=bearing)
    (tmp_path / "rule.json").write_text('{"weights": {"heading": 3, "distance": 1}}')
    found = mlygeo.select(
        towards=things, images=images, srid=SRID, k=9, max_distance=30.0, prefer=tmp_path / "rule.json"
    )
    assert found[["point_id", "id"]].to_numpy().tolist() == [[0, 1], [0, 3], [0, 2], [1, 3]]
    assert found["term_heading"].tolist() == pytest.approx([1, 1, 1 - 30 / 180, 1], abs=0.002)
    expected = 0.75 * found["term_heading"] + 0.25 * np.exp(-found["distance_m"] / 10)
    assert found["score"].tolist() == pytest.approx(expected.tolist())
    summary = found.attrs["summary"]
    assert summary["left_out"]["flat images without a heading"] == 1
    assert not {each for each in summary["problems"] if "heading" in each}


def test_the_verb_takes_any_vector_file_and_the_region_limits_both(town, tmp_path, capsys):
    things, images = town
    things.iloc[:2].to_file(tmp_path / "things.gpkg")
    mlygeo.write_frame(images, tmp_path / "images.parquet")
    status = cli.main(
        ["select", "--towards", f"{tmp_path}/things.gpkg", "--images", f"{tmp_path}/images.parquet", "-o", f"{tmp_path}/out",
         "--max-distance", "30", "--k", "2"]
    )  # fmt: skip
    assert status == 0
    assert (
        "2 things, 2 with an image within 30 m that looks at them (median 12.9 m), 3 views" in capsys.readouterr().err
    )
    written = gpd.read_parquet(tmp_path / "out" / "selection.parquet")
    assert written["id"].tolist() == [1, 3, 3]
    middles = gpd.read_parquet(tmp_path / "out" / "street_points.parquet")
    assert middles["height"].tolist() == [9, 4]
    west, south, east, north = things.geometry.iloc[[0]].total_bounds
    box = (west - 1e-3, south - 1e-3, east + 1e-4, north + 1e-4)
    inside = mlygeo.select(box, towards=things, images=images, srid=SRID, k=9, max_distance=30.0)
    assert inside["id"].tolist() == [1]
    assert inside.attrs["summary"]["left_out"]["things outside the region"] == 1


def test_a_column_of_fields_of_view_counts_before_the_lens(town):
    things, images = town
    images["field_of_view"] = [10.0, 360.0, 0.0, 90.0, 90.0, 0.0]
    found = mlygeo.select(towards=things, images=images, srid=SRID, k=9, max_distance=30.0)
    assert found[["point_id", "id", "view_angle"]].to_numpy().tolist() == [
        [0, 1, 10.0], [0, 2, 360.0], [0, 4, 90.0], [0, 3, 360.0], [1, 3, 360.0]
    ]  # fmt: skip


def test_a_dataset_of_images_gives_the_same(town, tmp_path):
    things, images = town
    options = {"towards": things, "srid": SRID, "k": 9, "max_distance": 30.0}
    whole = mlygeo.select(images=images, **options)
    parts = mlygeo.select(images=write_dataset(images, tmp_path / "images", 2), **options)
    pd.testing.assert_frame_equal(parts, whole)
    assert parts.attrs["summary"]["left_out"] == whole.attrs["summary"]["left_out"]


def test_what_does_not_go_with_things_is_refused(town):
    things, images = town
    for options, message in [
        ({"unique": True}, "`unique` has no effect with `towards`"),
        ({"per": "year"}, "`per` has no effect with `towards`"),
        ({"max_distance": None}, "needs a largest distance"),
        ({"field_of_view": 0}, "`field_of_view` must lie above 0"),
        ({"apart": 200, "k": 2}, "`apart` must lie between"),
        ({"apart": 20}, "`apart` has no effect with `k=1`"),
        ({"prefer": "project-sidewalk"}, "'same_sequence' is not possible with `towards`"),
    ]:
        with pytest.raises(InputError, match=message):
            mlygeo.select(towards=things, images=images, srid=SRID, **options)
    with pytest.raises(InputError, match="`apart` has no effect without `towards`"):
        mlygeo.select(points=placed([shapely.Point(0, 0)]), images=images, apart=30)
    with pytest.raises(FrameError, match="there is no thing"):
        mlygeo.select(towards=things.iloc[2:], images=images)
