"""What older tools uploaded, by the records that they left."""

import json
import os
import shutil
import time

import pytest
from conftest import DATA
from helpers import photo_folders
from helpers.mapillary_tools_oracle import Official
from helpers.photo_folders import folder_of as camera_folder
from helpers.upload_folders import USER_TOKEN, clusters_of, entry, folder_of, photo, service_of, with_description

import mlygeo
from mlygeo.standin import serve


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("MAPILLARY_UPLOAD_HISTORY_PATH", str(tmp_path / "official" / "history"))


@pytest.fixture
def server(tmp_path):
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        yield server


def upload(server, place, **more):
    return mlygeo.upload(place, service=service_of(server), **more)


class TestToday:
    """mapillary_tools 0.14.7, with the records that it makes itself."""

    @pytest.fixture
    def photos(self, server, tmp_path):
        photos = tmp_path / "photos"
        entries = folder_of(photos, 9, a_sequence=3)
        official = Official(tmp_path, server)
        official.sign_in()
        description = photos / "mapillary_image_description.json"
        description.write_text(json.dumps(entries[:6]))
        official.run("upload", photos, "--user_name", "jane")
        description.write_text(json.dumps(entries))
        assert len(clusters_of(server.store)) == 2
        return photos

    def test_its_images_do_not_go_up_again(self, server, photos):
        summary = upload(server, photos, dry_run=True).attrs["summary"]
        assert summary["there_by_mapillary_tools"] == 6
        for _ in range(2):
            uploads = upload(server, photos)
            assert uploads.attrs["summary"]["there_by_mapillary_tools"] == 6
            assert uploads["status"].tolist() == ["done"] * 9
            assert uploads["reason"].dropna().tolist() == ["uploaded before by mapillary_tools"] * 6
        assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [3, 3, 3]

    def test_wherever_they_lie_and_whatever_is_said_of_them_now(self, server, photos, tmp_path):
        moved = tmp_path / "moved"
        shutil.copytree(photos, moved)
        paths = sorted(moved.glob("*.jpg"))
        listed = [entry(path, 300 + number, "another") for number, path in enumerate(paths)]
        (moved / "mapillary_image_description.json").write_text(json.dumps(listed))
        assert upload(server, moved).attrs["summary"]["there_by_mapillary_tools"] == 6
        # Another photo under the name of one that is up.
        paths[0].write_bytes(photo(77))
        summary = upload(server, moved).attrs["summary"]
        assert (summary["images"], summary["there_by_mapillary_tools"]) == (1, 5)

    def test_reupload_does_not_care(self, server, photos):
        summary = upload(server, photos, reupload=True).attrs["summary"]
        assert (summary["images"], summary["there_by_mapillary_tools"]) == (9, 0)

    def test_process_leaves_them_as_they_are(self, server, tmp_path):
        """With other tags they would be other files, which nobody knows."""
        folder = tmp_path / "camera"
        paths = photo_folders.folder_of(folder, 6)
        official = Official(tmp_path, server)
        official.sign_in()
        official.run("process_and_upload", folder, "--user_name", "jane")
        before = [path.read_bytes() for path in paths]
        more = photo_folders.folder_of(folder, 9)[6:]
        fresh = [path.read_bytes() for path in more]
        for path, content in zip(paths, before, strict=True):
            path.write_bytes(content)
        images = mlygeo.process(folder)
        assert images["error"].isna().all()
        assert images["exif_written"].tolist() == [False] * 6 + [True] * 3
        assert [path.read_bytes() for path in paths] == before
        assert all(path.read_bytes() != content for path, content in zip(more, fresh, strict=True))
        summary = upload(server, folder).attrs["summary"]
        assert (summary["images"], summary["there_by_mapillary_tools"]) == (3, 6)

    def test_its_videos_and_archives(self, server, tmp_path):
        folder = tmp_path / "whole"
        folder.mkdir()
        shutil.copy(DATA / "video" / "camm_from_gopro_max.mp4", folder)
        folder_of(tmp_path / "photos", 3)
        mlygeo.zip_sequences(tmp_path / "photos", output=folder)
        official = Official(tmp_path, server)
        official.sign_in()
        official.run("process", folder, "--filetypes", "camm", "--skip_process_errors")
        official.run("upload", folder, "--user_name", "jane")
        assert len(clusters_of(server.store)) == 2
        summary = upload(server, folder).attrs["summary"]
        assert (summary["zips"], summary["videos"], summary["there_by_mapillary_tools"]) == (0, 0, 4)
        assert len(clusters_of(server.store)) == 2
        assert upload(server, folder, reupload=True).attrs["summary"]["zips"] == 1


class TestDamage:
    @pytest.mark.parametrize("content", ["", "[]", "null", '{"descs": [1, {"md5sum": 4}]}', '{"descs": 5}', "\x00"])
    def test_records_that_cannot_be_read_say_nothing(self, server, tmp_path, content):
        folder_of(tmp_path / "photos", 3)
        place = tmp_path / "official" / "history" / "ab"
        place.mkdir(parents=True)
        (place / "cdef.json").write_text(content)
        (place / "folder.json").mkdir()
        assert upload(server, tmp_path / "photos").attrs["summary"]["images"] == 3

    def test_no_history_at_all(self, server, tmp_path, monkeypatch):
        folder_of(tmp_path / "photos", 3)
        monkeypatch.setenv("MAPILLARY_UPLOAD_HISTORY_PATH", "")
        assert upload(server, tmp_path / "photos").attrs["summary"]["images"] == 3


def test_first_records_told_no_md5_of_images(server, tmp_path):
    entries = folder_of(tmp_path / "photos", 4)
    listed = [{key: value for key, value in each.items() if key not in {"md5sum", "filesize"}} for each in entries[:2]]
    listed[1]["MAPCaptureTime"] = "2001_01_01_00_00_00_000"  # another photo had this name
    place = tmp_path / "official" / "history" / "ab"
    place.mkdir(parents=True)
    (place / "cdef.json").write_text(json.dumps({"params": {}, "summary": {}, "descs": listed}))
    summary = upload(server, tmp_path / "photos").attrs["summary"]
    assert (summary["images"], summary["there_by_mapillary_tools"]) == (3, 1)


class TestOf2019:
    """Flags in .mapillary/logs, as mapillary_tools 0.5 leaves them."""

    @pytest.fixture
    def photos(self, tmp_path):
        folder_of(tmp_path / "trip" / "photos", 6)
        return tmp_path / "trip" / "photos"

    def flag(self, photos, number, *flags, logs=None, capture_time=None):
        logs = logs or photos / ".mapillary" / "logs" / f"img_{number:04}"
        logs.mkdir(parents=True)
        for flag in ("mapillary_image_description_success", *flags):
            (logs / flag).touch()
            (logs / f"{flag}_2019_06_09_12_00_00").touch()
        if capture_time:
            (logs / "mapillary_image_description.json").write_text(json.dumps({"MAPCaptureTime": capture_time}))

    def test_flags_count(self, server, photos):
        self.flag(photos, 0, "upload_success")
        self.flag(photos, 1, "upload_failed")
        self.flag(photos, 2, "upload_success", "manual_upload")
        self.flag(photos, 3, "upload_success", "manual_upload", "upload_finalized")
        self.flag(photos, 4, "upload_success", logs=photos / ".mapillary" / "logs" / "img_0004.jpg")
        self.flag(photos, 5, "upload_success", logs=photos.parent / ".mapillary" / "logs" / "photos" / "img_0005")
        for _ in range(2):
            uploads = upload(server, photos)
            assert uploads.attrs["summary"]["there_by_mapillary_tools"] == 4
        [cluster] = clusters_of(server.store)
        assert len(cluster["images"]) == 2
        assert upload(server, photos, reupload=True).attrs["summary"]["images"] == 6

    @pytest.mark.parametrize("inside", [False, True])
    def test_duplicates_and_what_failed_stay_here(self, server, photos, inside):
        if inside:
            for number, path in enumerate(sorted(photos.glob("*.jpg"))):
                result = {"MAPLatitude": 1.0, "MAPLongitude": 2.0, "MAPCaptureTime": f"2019_01_01_00_00_0{number}_000"}
                path.write_bytes(with_description(photo(number), result))
            (photos / "mapillary_image_description.json").unlink()
        self.flag(photos, 0, "duplicate")
        self.flag(photos, 1, "geotag_process_failed")
        self.flag(photos, 2, "sequence_process_failed", "upload_failed")
        self.flag(photos, 3, "upload_failed")
        self.flag(photos, 4, "geotag_process_success", "upload_params_process_success")
        summary = upload(server, photos).attrs["summary"]
        assert (summary["images"], summary["skipped"]) == (3, {"duplicates": 1, "failed": 2})

    def test_what_was_processed_anew_goes_up(self, server, tmp_path):
        camera_folder(tmp_path / "in", 3)
        for number in range(3):
            self.flag(tmp_path / "in", number, logs=tmp_path / "in" / ".mapillary" / "logs" / f"img_{number:05}")
            (tmp_path / "in" / ".mapillary" / "logs" / f"img_{number:05}" / "duplicate").touch()
        mlygeo.process(tmp_path / "in")
        assert upload(server, tmp_path / "in").attrs["summary"]["images"] == 3

    def test_a_photo_that_came_later_under_the_same_name_is_another(self, server, photos):
        times = {each["filename"]: each["MAPCaptureTime"] for each in
                 json.loads((photos / "mapillary_image_description.json").read_text())}  # fmt: skip
        paths = sorted(times)
        self.flag(photos, 0, "upload_success")
        self.flag(photos, 1, "upload_success", capture_time="2019_01_01_00_00_00_000")
        self.flag(photos, 2, "upload_success", capture_time=times[paths[2]])  # a copy of the folder, with other dates
        later = time.time() + 60
        for path in paths[:3]:
            os.utime(path, (later, later))
        summary = upload(server, photos).attrs["summary"]
        assert (summary["images"], summary["there_by_mapillary_tools"]) == (5, 1)

    def test_images_with_their_description_inside(self, server, tmp_path):
        folder = tmp_path / "app"
        folder.mkdir()
        for number in range(3):
            result = {"MAPLatitude": 1.0, "MAPLongitude": 2.0, "MAPCaptureTime": f"2019_01_01_00_00_0{number}_000"}
            (folder / f"img_{number:04}.jpg").write_bytes(with_description(photo(number), result))
        self.flag(folder, 1, "upload_success", capture_time="2019_01_01_00_00_01_000")
        os.utime(folder / "img_0001.jpg", (time.time() + 60,) * 2)
        assert upload(server, folder).attrs["summary"]["there_by_mapillary_tools"] == 1
