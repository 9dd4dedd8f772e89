"""Which of the photos in a folder go up: what is known of them lies in the folder, or in its subfolders."""

import json
import os
import shutil

import pytest
from helpers.photo_folders import folder_of as camera_folder
from helpers.upload_folders import clusters_of, described, folder_of, service_of

import mlygeo
from mlygeo.errors import NotDescribedError
from mlygeo.uploads.found import UNLISTED

DESCRIPTION = "mapillary_image_description.json"


pytestmark = pytest.mark.usefixtures("history")


def rehearsed(folder, **more):
    """Return how many images of a folder would go up, and what is skipped."""
    summary = mlygeo.upload(folder, dry_run=True, **more).attrs["summary"]
    return summary["images"], summary["skipped"]


def with_a_duplicate(folder):
    """Process a folder twice: a photo that the second run takes for a duplicate has its EXIF of the first."""
    camera_folder(folder, 7, lat=lambda number: 48.77 + min(number, 5) * 1e-4, heading=0.0)
    mlygeo.process(folder, user_name="rehearsal", keep_duplicates=True)
    images = mlygeo.process(folder, user_name="rehearsal")
    assert images["is_duplicate"].sum() == 1


def test_a_duplicate_is_one_whichever_folder_is_named(server, tmp_path):
    with_a_duplicate(tmp_path / "trip" / "day")
    for folder in (tmp_path / "trip" / "day", tmp_path / "trip", tmp_path):
        assert rehearsed(folder) == (6, {"duplicates": 1}), folder
    assert rehearsed([tmp_path / "trip", tmp_path / "trip" / "day"]) == (6, {"duplicates": 1})
    mlygeo.upload(tmp_path / "trip", service=service_of(server))
    assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [6]


@pytest.mark.parametrize("left", ["both", DESCRIPTION, ".mlygeo"])
def test_subfolders_that_were_processed_by_themselves_go_up_with_their_parent(server, tmp_path, left):
    for name in ("a", "b/c"):
        camera_folder(tmp_path / "trip" / name, 4, ms=lambda number, name=name: 1_718_000_000_000 + number * 2000 + len(name))  # fmt: skip
        mlygeo.process(tmp_path / "trip" / name, user_name="rehearsal", skip_exif_insert=True)
        if left == DESCRIPTION:
            shutil.rmtree(tmp_path / "trip" / name / ".mlygeo")
        elif left == ".mlygeo":
            (tmp_path / "trip" / name / DESCRIPTION).unlink()
    assert rehearsed(tmp_path / "trip") == (8, {})
    mlygeo.upload(tmp_path / "trip", service=service_of(server))
    assert [len(described(cluster)) for cluster in clusters_of(server.store)] == [4, 4]
    assert mlygeo.upload(tmp_path / "trip", skip_subfolders=True, dry_run=True).attrs["summary"]["images"] == 0


def test_of_what_two_folders_say_of_a_photo_the_newest_counts(tmp_path):
    folder = tmp_path / "trip" / "day"
    camera_folder(folder, 7, lat=lambda number: 48.77 + min(number, 5) * 1e-4, heading=0.0)
    mlygeo.process(tmp_path / "trip", user_name="rehearsal")
    for path in (tmp_path / "trip").rglob("*"):
        if path.name == DESCRIPTION or path.suffix == ".parquet":
            os.utime(path, (1_700_000_000, 1_700_000_000))
    assert rehearsed(tmp_path / "trip") == (6, {"duplicates": 1})
    mlygeo.process(folder, user_name="rehearsal", keep_duplicates=True)
    assert rehearsed(tmp_path / "trip") == (7, {})
    for path in (tmp_path / "trip" / DESCRIPTION, tmp_path / "trip" / ".mlygeo" / "images.parquet"):
        os.utime(path)
    assert rehearsed(tmp_path / "trip") == (6, {"duplicates": 1})
    assert rehearsed(folder) == (6, {"duplicates": 1}), "what lies above the import path counts as well"


def test_a_description_file_that_is_named_stands_for_all_others(tmp_path):
    entries = folder_of(tmp_path / "trip" / "day", 5)
    (tmp_path / "mine.json").write_text(json.dumps(entries[:2]))
    assert rehearsed(tmp_path / "trip") == (5, {})
    assert rehearsed(tmp_path / "trip", desc_path=tmp_path / "mine.json") == (2, {UNLISTED: 3})
    # Nor do the descriptions inside the photos count beside it.
    camera_folder(tmp_path / "ride", 5)
    mlygeo.process(tmp_path / "ride", user_name="rehearsal", desc_path=tmp_path / "all.json", keep_duplicates=True)
    some = json.loads((tmp_path / "all.json").read_text())[:3]
    (tmp_path / "some.json").write_text(json.dumps(some))
    assert rehearsed(tmp_path / "ride", desc_path=tmp_path / "some.json") == (3, {UNLISTED: 2})
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(NotDescribedError, match="no entry for 5 photos"):
        rehearsed(tmp_path / "ride", desc_path=tmp_path / "none.json")


def test_single_photos_are_described_by_their_folder(tmp_path):
    folder_of(tmp_path / "a", 4)
    folder_of(tmp_path / "b", 4)
    (tmp_path / "a" / "img_0003.jpg").unlink()
    named = [tmp_path / "b" / "img_0001.jpg", tmp_path / "a" / "img_0000.jpg", tmp_path / "a" / "img_0002.jpg"]
    job = mlygeo.upload(named, dry_run=True).attrs["summary"]
    assert (job["images"], job["failed"]) == (3, 0), "a photo that is gone is none of those that are named"
    assert mlygeo.upload(tmp_path / "a", dry_run=True).attrs["summary"]["failed"] == 1
