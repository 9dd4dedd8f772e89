"""The verb `quality`: files found by id or path, the sun beside them, decisions of percept, and what is told of it all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import STUTTGART
from helpers.picture_downloads import fetch
from helpers.tokens import TOKEN
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.cli import main
from mlygeo.downloads.layouts import file_name
from mlygeo.errors import FileError, FrameError, InputError
from mlygeo.standin import serve

PHOTOS = Path(__file__).parents[1] / "data/photos"
STREET = 1138211467256565
SUN = ["sun_altitude", "sun_azimuth", "sun_phase", "against_light", "horizon_slope", "horizon_height"]
PERCEPT = json.loads((PHOTOS.parent / "percept_filter.json").read_text())


@pytest.fixture
def bundled(tmp_path):
    """A folder with the bundled picture, named by its id."""
    shutil.copytree(STUTTGART / "pictures", tmp_path / "bundled")
    return tmp_path / "bundled"


@pytest.fixture(scope="module")
def some(images):
    """The image whose picture is bundled, and two others."""
    return images[images["id"].isin([STREET, *images["id"].iloc[:2]])]


def test_without_files_there_is_the_sun_alone(images):
    found = mlygeo.quality(images)
    assert found.columns.tolist() == [*images.columns, *SUN]
    assert found.index.equals(images.index)
    summary = found.attrs["summary"]
    assert summary["field_of_view_assumed"] == int((~images["is_pano"]).sum())
    assert sum(summary["phases"].values()) == summary["images"] == len(images)
    assert found.attrs["attribution"] == images.attrs["attribution"]


def test_pictures_are_found_by_the_names_of_files(some, bundled):
    found = mlygeo.quality(some, pictures=bundled, preset="percept")
    row = found[found["id"] == STREET].iloc[0]
    expected = PERCEPT[f"examples/stuttgart/pictures/{STREET}.jpg"]
    assert row["percept_score"] == pytest.approx(expected["v"], rel=1e-12)
    assert row["percept_accepted"] is np.True_ or row["percept_accepted"] is True
    assert row["blur"] == pytest.approx(expected["laplacian"], rel=1e-12)
    assert (row["measured_width"], row["measured_height"]) == (2048, 1024)
    others = found[found["id"] != STREET]
    assert others[["blur", "phash", "percept_score", "percept_accepted", "picture_error"]].isna().all(axis=None)
    summary = found.attrs["summary"]
    assert (summary["measured"], summary["without_picture"], summary["failed"], summary["accepted"]) == (1, 2, 0, 1)


def test_a_picture_bright_as_by_day_at_midnight_is_doubtful(some, bundled):
    """The clock of that camera was wrong: the sun shines in the picture, and its time is past one in the night."""
    found = mlygeo.quality(some, pictures=bundled)
    assert found.loc[found["time_doubtful"], "id"].tolist() == [STREET]
    assert found.attrs["summary"]["problems"] == {
        "pictures bright as by day though the sun was far below the horizon: is their clock wrong?": 1
    }


def test_a_download_is_found_by_its_ledger(images, tmp_path):
    few = images.iloc[:6]
    with serve(few, token=TOKEN) as server:
        fetch(server, few, tmp_path / "pictures")
    found = mlygeo.quality(images.iloc[3:9], pictures=tmp_path / "pictures")
    assert found["blur"].notna().tolist() == [True] * 3 + [False] * 3
    others = images.iloc[3:9].assign(id=images["id"].astype(str), provider="panoramax")
    with pytest.raises(FrameError, match="has no picture of any of these images"):
        mlygeo.quality(others, pictures=tmp_path / "pictures")
    ledger = mlygeo.transfers(tmp_path / "pictures").set_index("id")
    (tmp_path / "pictures" / ledger.loc[images["id"].iloc[4], "path"]).unlink()
    again = mlygeo.quality(images.iloc[3:9], pictures=tmp_path / "pictures")
    assert again["picture_error"].isna().tolist() == [True, False, True, True, True, True]
    assert_frame_equal(
        again.drop(columns="picture_error").iloc[[0, 2]], found.drop(columns="picture_error").iloc[[0, 2]]
    )


def test_photos_are_measured_where_they_lie(tmp_path):
    for name in ("DSCN0010.jpg", "Canon_40D.jpg", "HTC_Desire_cut.jpg"):
        shutil.copy(PHOTOS / name, tmp_path)
    found = mlygeo.quality(tmp_path)
    assert found["path"].map(lambda path: Path(path).name).tolist() == [
        "Canon_40D.jpg",
        "DSCN0010.jpg",
        "HTC_Desire_cut.jpg",
    ]
    assert found["blur"].notna().tolist() == [True, True, False]
    assert found["sun_phase"].notna().tolist() == [False, True, True], "one has neither time nor place"
    assert found["picture_error"].tolist()[2] == "the picture is cut off"
    assert mlygeo.quality(mlygeo.read_photos(tmp_path)).equals(found)


def test_a_run_again_gives_the_same_columns(some, bundled):
    once = mlygeo.quality(some, pictures=bundled)
    assert_frame_equal(mlygeo.quality(once, pictures=bundled, workers=2), once, check_like=True)


def test_the_command_says_what_failed_and_ends_with_3(tmp_path, capsys):
    for name in ("DSCN0010.jpg", "HTC_Desire_cut.jpg"):
        shutil.copy(PHOTOS / name, tmp_path)
    out = tmp_path / "quality.gpkg"
    assert main(["quality", str(tmp_path), "-o", str(out), "--preset", "percept"]) == 3
    said = capsys.readouterr().err
    assert "1 picture measured, 1 failed, see the column picture_error; percept-vsvi-filter accepts 1" in said
    read = mlygeo.read_frame(out, frame="quality")
    assert read["percept_accepted"].tolist()[0] is True
    assert read["picture_error"].tolist()[1] == "the picture is cut off"
    assert pd.isna(read["percept_accepted"].iloc[1])


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"preset": "percept"}, InputError, "`preset` has no effect without pictures"),
        ({"workers": 2}, InputError, "`workers` has no effect without pictures"),
        ({"pictures": "bundled", "preset": "none"}, InputError, "`preset`"),
        ({"pictures": "bundled", "workers": 0}, InputError, "`workers` must be 1 or more"),
        ({"pictures": "nowhere"}, FileError, "there is no folder nowhere"),
        ({"pictures": PHOTOS}, FrameError, "has no picture of any of these images"),
        ({"low_sun": 100}, InputError, "`low_sun`"),
    ],
)
def test_what_makes_no_sense_is_refused(some, bundled, options, error, named):
    named_by = {"bundled": bundled}
    given = {name: named_by.get(value, value) for name, value in options.items()}
    with pytest.raises(error, match=named):
        mlygeo.quality(some, **given)


def test_photos_without_ids_are_in_no_folder_of_pictures(bundled):
    with pytest.raises(FrameError, match="have no ids"):
        mlygeo.quality(PHOTOS / "DSCN0010.jpg", pictures=bundled)


def test_a_dataset_is_a_frame_and_no_folder_of_photos(images, tmp_path):
    mlygeo.partition(images, tmp_path / "parts", rows_per_part=500)
    found = mlygeo.quality(tmp_path / "parts")
    expected = mlygeo.quality(images)
    assert sorted(found["id"]) == sorted(expected["id"])
    assert found["sun_altitude"].sum() == pytest.approx(expected["sun_altitude"].sum())


def test_a_folder_without_photos_is_an_error(tmp_path):
    (tmp_path / "note.txt").write_text("no photo")
    with pytest.raises(FileError, match="there is no photo in"):
        mlygeo.quality(tmp_path)


def test_views_are_found_from_the_folder_of_their_frame(some, bundled, tmp_path):
    made = mlygeo.views(
        some[some["id"] == STREET], pictures=bundled, output=tmp_path / "views", relative_to="north", size="64",
        required_disk_space=0, workers=1,
    )  # fmt: skip
    assert len(made) == 2
    found = mlygeo.quality(tmp_path / "views" / "views.parquet")
    assert found["blur"].notna().all()
    assert found["measured_width"].tolist() == [64, 64]
    assert found[["view", "path"]].equals(made[["view", "path"]])


def test_no_images_have_no_pictures(some, bundled):
    found = mlygeo.quality(some.iloc[:0], pictures=bundled)
    assert len(found) == 0
    assert {"blur", "picture_error"} <= set(found.columns)


def test_names_of_files_are_those_that_a_download_gives(some, bundled):
    (bundled / f"{STREET}.jpg").rename(bundled / f"{file_name('Ab/c')}.jpg")
    known = some.assign(id=pd.Series(["Ab/c", None, "x"], dtype="str", index=some.index), provider="toy")
    known["creator_id"] = known["organization_id"] = pd.Series(None, dtype="str", index=some.index)
    assert mlygeo.quality(known, pictures=bundled)["blur"].notna().tolist() == [True, False, False]


def test_of_several_pictures_of_one_name_none_is_measured(some, bundled):
    other = some["id"].iloc[0]
    (bundled / "again").mkdir()
    shutil.copy(bundled / f"{STREET}.jpg", bundled / "again")
    with pytest.raises(FrameError, match=f"has no picture of any of these images: 2 files in .* are named {STREET}"):
        mlygeo.quality(some, pictures=bundled)
    shutil.copy(bundled / f"{STREET}.jpg", bundled / f"{other}.jpg")
    found = mlygeo.quality(some, pictures=bundled)
    row = found[found["id"] == STREET].iloc[0]
    assert pd.isna(row["blur"])
    assert row["picture_error"].startswith("2 files in")
    summary = found.attrs["summary"]
    assert (summary["measured"], summary["failed"], summary["without_picture"]) == (1, 1, 1)
    assert summary["failed_pictures"] == [row["picture_error"]]


def test_quality_and_views_take_the_same_files(some, bundled, tmp_path):
    """A picture that was added to a folder of downloads is found by its name; masks and hidden files are not taken."""
    two = some.iloc[:2]
    with serve(two, token=TOKEN) as server:
        fetch(server, two, tmp_path / "pictures")
    one = some[some["id"] == STREET]
    for name in (f"{STREET}.jpg", f"{STREET}.png", f".{STREET}.jpg"):
        shutil.copy(bundled / f"{STREET}.jpg", tmp_path / "pictures" / name)
    measured = mlygeo.quality(one, pictures=tmp_path / "pictures")
    assert measured["blur"].notna().all()
    made = mlygeo.views(
        one, pictures=tmp_path / "pictures", output=tmp_path / "views", relative_to="north", size="64",
        required_disk_space=0, workers=1,
    )  # fmt: skip
    assert made["error"].isna().all()


def test_options_change_who_looks_against_the_light(images):
    evening = images.assign(captured_at=pd.Timestamp("2024-06-30T18:30Z").as_unit("ms"))
    few = int(mlygeo.quality(evening)["against_light"].sum())
    assert few < int(mlygeo.quality(evening, field_of_view=200)["against_light"].sum())
    assert int(mlygeo.quality(evening, low_sun=1)["against_light"].sum()) == 0 < few


def test_copies_are_flagged_where_they_are_asked_for(some, images):
    twice = pd.concat([some, some.assign(id=some["id"] + 1, sequence_id="again")], ignore_index=True)
    twice = twice[~twice["id"].isin(images["id"][~images["id"].isin(some["id"])])].reset_index(drop=True)
    found = mlygeo.quality(twice, copies=True)
    assert found["is_copy"].sum() == found["sequence_id"].eq("again").sum() == found.attrs["summary"]["copies"]
    assert found.loc[found["is_copy"], "copy_of"].tolist() == (found.loc[found["is_copy"], "id"] - 1).tolist()
    assert found.attrs["summary"]["copies_by_place_and_time"] == found.attrs["summary"]["copies"]
    assert "is_copy" not in mlygeo.quality(twice)


def test_what_was_measured_is_not_measured_again_unless_its_file_changes(some, bundled, monkeypatch):
    once = mlygeo.quality(some, pictures=bundled)
    assert (bundled / ".mlygeo" / "measured.parquet").is_file()
    with monkeypatch.context() as patched:
        patched.setattr("mlygeo.measuring.pictures.measure_picture", None)
        again = mlygeo.quality(some, pictures=bundled)
    assert_frame_equal(again, once)
    assert (once.attrs["summary"]["measured_before"], again.attrs["summary"]["measured_before"]) == (0, 1)
    assert mlygeo.quality(some, pictures=bundled, preset="percept").attrs["summary"]["measured_before"] == 0
    shutil.copy(PHOTOS / "DSCN0010.jpg", bundled / f"{STREET}.jpg")
    other = mlygeo.quality(some, pictures=bundled)
    assert other.attrs["summary"]["measured_before"] == 0
    assert other["blur"].max() != once["blur"].max()
