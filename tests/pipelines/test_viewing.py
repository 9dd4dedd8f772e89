"""Views of a selection: from pictures that are there, and from pictures that are downloaded for them."""

from __future__ import annotations

import json
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from conftest import STUTTGART
from helpers.command_line import run
from helpers.panoramas import degrees_off, directions_in, images_of, panorama, write_pictures
from helpers.picture_downloads import pictures_in, service_of
from helpers.tokens import TOKEN

import mlygeo
from mlygeo.errors import FileError, FrameError, InputError
from mlygeo.perspective.sampling import View
from mlygeo.pipelines import view_pictures
from mlygeo.standin import Faults, serve

SMALL = {"required_disk_space": 0, "size": "64x48", "workers": 1}


@pytest.fixture
def city(tmp_path):
    """Four panoramas that looked in several directions, and their pictures."""
    images = images_of(4)
    return images, write_pictures(images, tmp_path / "pictures")


def test_each_view_shows_what_lies_where_it_looks(city, tmp_path):
    images, pictures = city
    made = mlygeo.views(images, pictures=pictures, output=tmp_path / "views", fov=80, pitch=10, **SMALL)
    assert len(made) == 8
    for row in made.itertuples():
        view = View(row.compass_angle, row.pitch, row.field_of_view, row.width, row.height)
        off = degrees_off((tmp_path / "views" / row.path).read_bytes(), view)
        assert np.median(off) < 1
        assert off.max() < 3
    assert made["error"].isna().all()
    assert made["bytes"].tolist() == [(tmp_path / "views" / path).stat().st_size for path in made["path"]]
    assert made["source_bytes"].tolist() == [(pictures / f"{number}.jpg").stat().st_size for number in made["id"]]
    read = mlygeo.read_frame(tmp_path / "views" / "views.parquet", frame="views")
    assert read["path"].tolist() == made["path"].tolist()


@pytest.mark.parametrize("known", ["pitch and roll", "computed_rotation"])
def test_a_tilt_of_ten_degrees_is_removed(tmp_path, known):
    images = images_of(1, compass_angle=np.array([200.0]))
    (tmp_path / "500.jpg").write_bytes(panorama(200.0, 8.0, -6.0))
    tilted = images.assign(pitch=8.0, roll=-6.0)
    if known == "computed_rotation":
        from scipy.spatial.transform import Rotation

        from mlygeo.spatial import rotations

        matrix = rotations.of_angles(np.array([200.0]), np.array([8.0]), np.array([-6.0]))[0]
        tilted = images.assign(computed_rotation=[Rotation.from_matrix(matrix).as_rotvec().tolist()])
    options = {"pictures": tmp_path, "relative_to": "north", "directions": "0,90,180,270", **SMALL}
    made = mlygeo.views(tilted, output=tmp_path / "level", **options)
    assert (made["tilt_source"] == known).all()
    for row in made.itertuples():
        off = degrees_off((tmp_path / "level" / row.path).read_bytes(), View(row.compass_angle, 0.0, 90.0, 64, 48))
        assert np.median(off) < 1
    leaning = mlygeo.views(images, output=tmp_path / "leaning", **options)
    assert leaning["warning"].notna().all()
    row = leaning.iloc[0]
    assert np.median(degrees_off((tmp_path / "leaning" / row["path"]).read_bytes(), View(0.0, 0.0, 90.0, 64, 48))) > 5


@pytest.mark.parametrize(
    "columns", [["camera_parameters", "camera_type", "width", "height", "pitch", "roll"], ["pitch", "roll"]]
)
def test_flat_pictures_are_cropped_where_they_look_the_right_way(tmp_path, columns):
    """
    A flat picture is itself a view of a panorama; a view of it is the view of the panorama.

    Where nothing is known of its lens, its file says it, in whole millimetres.
    """
    images = images_of(1)
    whole = write_pictures(images, tmp_path / "pictures", width=2048)
    flat = mlygeo.views(
        images, pictures=whole, output=tmp_path / "flat", relative_to="north", directions="20", fov=100, size="800x600",
        required_disk_space=0, workers=1,
    )  # fmt: skip
    named = tmp_path / "named"
    named.mkdir()
    (named / "500.jpg").write_bytes((tmp_path / "flat" / flat["path"][0]).read_bytes())
    options = {"pictures": named, "relative_to": "north", "directions": "30,120", "fov": 60, **SMALL}
    columns = [*images.columns, *columns]
    made = mlygeo.views(gpd.GeoDataFrame(flat[columns]), output=tmp_path / "views", **options)
    assert made["view"].tolist() == ["30"]
    assert list(made.attrs["left_out"].values()) == [1]
    off = degrees_off((tmp_path / "views" / made["path"][0]).read_bytes(), View(30.0, 0.0, 60.0, 64, 48))
    assert np.median(off) < 1
    assert off.max() < 4


def test_a_file_that_is_no_view_is_left_as_it_is(city, tmp_path):
    images, pictures = city
    folder = tmp_path / "views"
    folder.mkdir()
    (folder / "500_left.jpg").write_bytes((pictures / "500.jpg").read_bytes())
    for overwrite in (False, True):
        made = mlygeo.views(images, pictures=pictures, output=folder, overwrite=overwrite, **SMALL)
        assert made.loc[made["error"].notna(), "path"].tolist() == ["500_left.jpg"]
        assert "is not a view" in made["error"].dropna().iloc[0]
        assert (folder / "500_left.jpg").read_bytes() == (pictures / "500.jpg").read_bytes()
    (folder / "500_left.jpg").unlink()
    (folder / ".mlygeo" / "views.sqlite").unlink()
    assert mlygeo.views(images, pictures=pictures, output=folder, **SMALL)["error"].isna().all(), "views are known"


def test_run_again_makes_only_what_is_missing_or_would_change(city, tmp_path):
    images, pictures = city
    folder = tmp_path / "views"

    def counts(**options):
        summary = mlygeo.views(images, pictures=pictures, output=folder, **{**SMALL, **options}).attrs["summary"]
        return summary["made"], summary["there"]

    assert counts() == (8, 0)
    first = pictures_in(folder)
    assert counts() == (0, 8)
    (folder / "500_left.jpg").unlink()
    (folder / "501_left.jpg").write_bytes(b"half")
    assert counts() == (2, 6)
    assert counts(directions="left,back") == (4, 4)
    assert counts(quality=50, directions="left") == (4, 0)
    assert counts() == (4, 4)
    assert counts(overwrite=True) == (8, 0)
    assert {name: body for name, body in pictures_in(folder).items() if name in first} == first
    (pictures / "500.jpg").write_bytes(panorama(0.0, quality=80))
    assert counts() == (2, 6)


def test_the_bearing_of_the_street_is_in_the_selection_or_comes_from_its_points(tmp_path, capsys):
    selected = tmp_path / "out"
    words = ["select", "-c", STUTTGART / "stuttgart_config.json", "--streets", STUTTGART / "stuttgart_osm_edges.gpkg"]
    assert run(capsys, *words, "--interval", "50", "--srid", "25832", "-o", selected)[0] == 0
    options = ("--dry-run", "--pictures", STUTTGART / "pictures", "-o", tmp_path / "views")
    status, _, err = run(capsys, "views", selected / "selection.parquet", *options)
    assert status == 0
    assert "views of" in err
    assert not (tmp_path / "views").exists()
    selection = mlygeo.read_frame(selected / "selection.parquet")
    points = mlygeo.read_frame(selected / "street_points.parquet")
    there = {"pictures": STUTTGART / "pictures", "dry_run": True}
    without = selection.drop(columns="point_bearing")
    mlygeo.write_frame(without, selected / "without.parquet")
    bearing = points.set_index("point_id")["bearing"]
    for planned in (
        mlygeo.views(selection, **there),
        mlygeo.views(without, points=points, **there),
        mlygeo.views(selected / "without.parquet", **there),
    ):
        turned = (planned["compass_angle"].to_numpy() - bearing.loc[planned["point_id"]].to_numpy()) % 360
        np.testing.assert_allclose(turned, np.where(planned["view"] == "left", 270, 90))
    with pytest.raises(InputError, match="`points` has no effect since the images have a column 'point_bearing'"):
        mlygeo.views(selection, points=points, **there)
    with pytest.raises(FrameError, match="no column 'point_bearing' or 'bearing'"):
        mlygeo.views(without, **there)
    other = points.copy()
    other.attrs["run"] = "another"
    mlygeo.write_frame(other, selected / "street_points.parquet")
    with pytest.raises(FrameError, match="no column 'point_bearing' or 'bearing'"):
        mlygeo.views(selected / "without.parquet", **there)
    with pytest.raises(FrameError, match="no column 'point_id' of the images"):
        mlygeo.views(without.drop(columns="point_id"), points=points, pictures=tmp_path)
    with pytest.raises(FrameError, match="stands twice"):
        mlygeo.views(without, points=pd.concat([points, points]), pictures=tmp_path)


def test_the_verb_says_what_it_did_and_names_what_failed(city, tmp_path, capsys):
    images, pictures = city
    (pictures / "502.jpg").unlink()
    mlygeo.write_frame(images, tmp_path / "images.parquet")
    words = ["views", tmp_path / "images.parquet", "--pictures", pictures, "-o", tmp_path / "views", "--size", "64x48"]
    status, out, err = run(capsys, *words, "--required-disk-space", "0", "--workers", "1", "--json")
    assert status == 3
    assert "8 views of 4 images: 6 made, 0 were there, 2 failed; in " in err
    assert f"502_left.jpg: no picture of image 502 in {pictures}" in err
    summary = json.loads(out)
    assert (summary["views"], summary["made"], summary["failed"]) == (8, 6, 2)
    assert summary["problems"] == {"the tilt of the camera is unknown, so the horizon may lean": 8}


def test_a_dry_run_makes_nothing_and_counts(city, tmp_path):
    images, pictures = city
    (pictures / "503.jpg").unlink()
    found = mlygeo.views(images, pictures=pictures, output=tmp_path / "views", overlap=0.2, dry_run=True)
    assert not (tmp_path / "views").exists()
    assert found.attrs["summary"]["views"] == 20
    assert found.attrs["summary"]["without_picture"] == 5
    assert found["error"].notna().sum() == 5


@pytest.fixture(scope="module")
def online():
    images = images_of(7)
    with serve(images, token=TOKEN) as server:
        yield images, server


def test_pictures_are_downloaded_for_their_views_and_not_kept(online, tmp_path, monkeypatch):
    monkeypatch.setattr(view_pictures.Downloaded, "at_once", 3)
    images, server = online
    options = {"download": True, "picture_size": "1024", "service": service_of(server), **SMALL}
    before = server.count("thumbs")
    made = mlygeo.views(images, output=tmp_path / "views", **options)
    assert made["error"].isna().all()
    assert server.count("thumbs") - before == 7
    assert len(pictures_in(tmp_path / "views")) == 14
    assert not (tmp_path / "views" / ".mlygeo" / "pictures").exists()
    # The same as of pictures that were downloaded before.
    mlygeo.download(images, output=tmp_path / "kept", size="1024", service=service_of(server), required_disk_space=0)
    mlygeo.views(images, pictures=tmp_path / "kept", output=tmp_path / "same", **SMALL)
    assert pictures_in(tmp_path / "same") == pictures_in(tmp_path / "views")
    # What is there is not asked for again.
    (tmp_path / "views" / "505_left.jpg").unlink()
    again = mlygeo.views(images, output=tmp_path / "views", **options)
    assert (again.attrs["summary"]["made"], again.attrs["summary"]["there"]) == (1, 13)
    assert server.count("thumbs") - before == 7 + 7 + 1


def test_pictures_that_are_gone_cost_their_own_views(tmp_path):
    images = images_of(3)
    with serve(images, token=TOKEN, faults=Faults(gone=frozenset({501}))) as server:
        options = {"download": True, "picture_size": "1024", "service": service_of(server), **SMALL}
        made = mlygeo.views(images, output=tmp_path / "views", **options)
    assert made["error"].notna().tolist() == [False, False, True, True, False, False]
    assert made["error"][2].startswith("image 501: ")
    assert len(pictures_in(tmp_path / "views")) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no folder of pictures is given"),
        ({"pictures": "p", "download": True}, "`pictures` has no effect with `download`"),
        ({"pictures": "p", "picture_size": "256"}, "`picture_size` has no effect without `download`"),
        ({"pictures": "p", "token": "t"}, "`token` has no effect without `download`"),
        ({"pictures": "p", "overlap": 0.2, "directions": "left"}, "`directions` has no effect with `overlap`"),
        ({"pictures": "p", "points": "x.parquet"}, "`points` has no effect since the images have a column 'bearing'"),
        (
            {"pictures": "p", "relative_to": "north", "points": "x.parquet"},
            "`points` has no effect with `relative_to=north`",
        ),
        ({"pictures": "p", "dry_run": True, "quality": 80}, "`quality` has no effect with `dry_run`"),
        ({"pictures": "p", "dry_run": True, "workers": 2}, "`workers` has no effect with `dry_run`"),
        ({"pictures": "p", "size": "big"}, "`size='big'` is not a size of a picture"),
        ({"pictures": "p", "size": "640x"}, "is not a size of a picture"),
        ({"pictures": "p", "quality": 0}, "`quality` lies between 1 and 100"),
        ({"pictures": "p", "workers": 0}, "`workers` must be 1 or more"),
        ({"pictures": "p", "required_disk_space": -1.0}, "`required_disk_space` must be 0 or more"),
        ({"pictures": "p", "fov": 170}, "fov=170"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)):
        mlygeo.views(images_of(1), **options)
    assert not any(tmp_path.iterdir())


def test_folders_that_are_none_are_refused(city, tmp_path):
    images, pictures = city
    with pytest.raises(FileError, match="there is no folder"):
        mlygeo.views(images, pictures=tmp_path / "nowhere", output=tmp_path / "views", **SMALL)
    mine = tmp_path / "mine"
    mine.mkdir()
    mlygeo.write_frame(images, mine / "views.parquet")
    with pytest.raises(FileError, match=r"views\.parquet"):
        mlygeo.views(images, pictures=pictures, output=mine, **SMALL)
    assert len(list(mine.iterdir())) == 1


def test_a_square_size_is_one_number(city, tmp_path):
    images, pictures = city
    made = mlygeo.views(images.iloc[:1], pictures=pictures, output=tmp_path / "views", **{**SMALL, "size": "50"})
    assert directions_in((tmp_path / "views" / made["path"][0]).read_bytes()).shape == (50, 50, 3)
