"""Uploads over real sockets: what goes up, what does not, and how a bad line is got over."""

import json
import os
import shutil
import threading
import time
import zipfile
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from conftest import DATA
from helpers.command_line import run
from helpers.unix import needs_unix
from helpers.upload_folders import (
    QUICK,
    USER_TOKEN,
    clusters_of,
    described,
    entry,
    folder_of,
    hashes,
    in_exif,
    log_of,
    photo,
    service_of,
    with_description,
)
from helpers.work import without_waiting

import mlygeo
from mlygeo import frames
from mlygeo import store as files
from mlygeo.errors import (
    CredentialsError,
    FileError,
    FormatError,
    InputError,
    NetworkError,
    ServiceError,
    ThrottledError,
    TokenRejectedError,
)
from mlygeo.net.answers import RefusedError
from mlygeo.net.http import Retry, StoppedError
from mlygeo.providers.mapillary.descriptions import read_descriptions
from mlygeo.providers.mapillary.uploads import Uploads, manifest_of, session_key
from mlygeo.readers.video import read_video
from mlygeo.standin import Faults, serve
from mlygeo.standin.faults import PASSING_UPLOADS
from mlygeo.uploads import ledger
from mlygeo.uploads.found import gather

BODY = bytes(range(256)) * 2000


pytestmark = pytest.mark.usefixtures("history")


@pytest.fixture
def photos(tmp_path):
    folder_of(tmp_path / "photos", 10, a_sequence=4)
    return tmp_path / "photos"


def md5(content):
    import hashlib

    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def send(server, body=BODY, **more):
    with Uploads(service_of(server, **more)) as uploads:
        return uploads.send(session_key(md5(body), "jpg"), body, what="a picture")


def stored(server, body=BODY):
    return (server.store / "files" / session_key(md5(body), "jpg")).read_bytes()


class TestProtocol:
    def test_a_file_goes_up_whole_and_once(self, server):
        handle = send(server)
        assert stored(server) == BODY
        assert send(server) == handle
        assert [line["bytes"] for line in log_of(server.store) if line["event"] == "received"] == [len(BODY)]
        assert all("access_token" not in request.query for request in server.requests)
        assert {request.headers["Authorization"] for request in server.requests} == {f"OAuth {USER_TOKEN}"}

    def test_it_goes_on_where_it_stopped(self, server):
        key = session_key(md5(BODY), "jpg")
        (server.store / "partial").mkdir()
        (server.store / "partial" / key).write_bytes(BODY[:200_000])
        came = []
        with Uploads(service_of(server)) as uploads:
            uploads.send(key, BODY, what="a picture", came=came.append)
        assert stored(server) == BODY
        assert (came[0], came[-1]) == (200_000, len(BODY))
        assert server.requests[-1].headers["Offset"] == "200000"

    def test_a_file_on_the_disk_does_too(self, server, tmp_path):
        path = tmp_path / "video.mp4"
        path.write_bytes(BODY)
        server.faults = Faults(cut=1.0, cut_after=100_000, first=3)
        with Uploads(service_of(server)) as uploads:
            uploads.send(session_key(md5(BODY), "jpg"), path, what="a video")
        assert stored(server) == BODY
        received = [line["bytes"] for line in log_of(server.store) if line["event"] == "received"]
        assert sum(received) == len(BODY)
        assert received[0] == 100_000

    def test_cuts_with_progress_are_not_counted_as_failures(self, server):
        """Six pieces come through one after another, although three failures would be too many."""
        server.faults = Faults(cut=1.0, cut_after=80_000, only=("upload",))
        send(server, retry=Retry(attempts=3, first_wait=0.001, longest_wait=0.01))
        assert stored(server) == BODY
        came = [line["bytes"] for line in log_of(server.store) if line["event"] == "received"]
        assert came == [80_000] * 6 + [len(BODY) - 480_000]
        server.faults = Faults(cut=1.0, cut_after=0, only=("upload",))
        with pytest.raises(NetworkError, match="in 3 tries"):
            send(server, BODY[1:], retry=Retry(attempts=3, first_wait=0.001, longest_wait=0.01))

    @pytest.mark.parametrize("fault", PASSING_UPLOADS)
    def test_faults_that_pass_are_got_over(self, server, fault):
        server.faults = Faults(**{fault: 1.0}, first=2, backoff_ms=5)
        handle = send(server)
        with Uploads(service_of(server)) as uploads:
            key, manifest = manifest_of([handle])
            cluster = uploads.finish(
                uploads.send(key, manifest, what="manifest"),
                "mly_bundle_manifest",
                what="finishing",
                organization_id="2",
            )
        assert stored(server) == BODY
        result = clusters_of(server.store)
        assert [each["cluster_id"] for each in result] == [cluster]
        assert result[0]["organization_id"] == "2"

    def test_a_rate_limit_holds_everybody_for_the_time_that_is_asked(self, server):
        server.faults = Faults(rate=1.0, first=1, backoff_ms=300, only=("upload",))
        started = time.monotonic()
        send(server)
        assert time.monotonic() - started >= 0.3
        server.faults = Faults(rate=1.0, backoff_ms=5)
        with pytest.raises(ThrottledError, match="RequestRateLimitedError"):
            send(server, b"another", retry=Retry(attempts=3, first_wait=0.01, rate_wait=0.01))
        server.faults = Faults(rate=1.0, backoff_ms=3_600_000)
        with pytest.raises(ThrottledError, match="wait 3,600 s"):
            send(server, b"another")

    def test_retry_after_is_kept_where_no_backoff_is_reported(self, server):
        server.faults = Faults(rate=1.0, first=1, backoff_ms=None, retry_after="1", only=("upload",))
        started = time.monotonic()
        send(server)
        assert time.monotonic() - started >= 1

    def test_an_expired_token_stops_at_once(self, server):
        server.faults = Faults(expires_after=0, only=("uploads",))
        with pytest.raises(TokenRejectedError, match="NotAuthorizedError") as caught:
            send(server)
        assert "mlygeo authenticate" in caught.value.hint
        assert server.count() == 1

    def test_what_is_refused_for_good_is_not_tried_again(self, server):
        with Uploads(service_of(server)) as uploads:
            with pytest.raises(RefusedError, match="not those that the key promises"):
                uploads.send(session_key(md5(b"other"), "jpg"), BODY, what="a picture")
            with pytest.raises(RefusedError, match="no file of this handle"):
                uploads.finish("unknown", "mly_bundle_manifest", what="finishing")
        assert server.count("upload") == 1

    def test_silence_ends_with_the_time_out(self, server):
        server.faults = Faults(stall=1.0)
        with Uploads(service_of(server, retry=Retry(attempts=1))) as uploads, pytest.MonkeyPatch.context() as patch:
            patch.setattr("mlygeo.providers.mapillary.uploads.SHORTEST_TIMEOUT_S", 0.3)
            patch.setattr(
                Uploads._ask_once, "__kwdefaults__", {**Uploads._ask_once.__kwdefaults__, "read_timeout": 0.3}
            )
            with pytest.raises(NetworkError, match="fell silent"):
                without_waiting(lambda: uploads.send("key.jpg", b"x", what="a picture"))

    def test_slow_reading_is_waited_for(self, server):
        server.faults = Faults(read_rate=1_000_000.0, only=("upload",))
        send(server)
        assert stored(server) == BODY

    def test_it_stops_in_the_middle_of_a_file(self, server):
        server.faults = Faults(read_rate=50_000.0)
        stop = threading.Event()
        with Uploads(service_of(server), stop=stop) as uploads:
            threading.Timer(0.2, stop.set).start()
            with pytest.raises(StoppedError):
                uploads.send("a.jpg", BODY * 40, what="a picture")

    def test_the_same_images_make_the_same_manifest(self):
        assert manifest_of(["a", "b"]) == manifest_of(["a", "b"])
        assert len({manifest_of(["a", "b"])[0], manifest_of(["b", "a"])[0], manifest_of(["a", "b"], number=2)[0]}) == 3

    def test_finishing_twice_is_finishing_once(self, server):
        handle = send(server, photo(1))
        with Uploads(service_of(server)) as uploads:
            key, manifest = manifest_of([handle])
            of_manifest = uploads.send(key, manifest, what="manifest")
            numbers = {uploads.finish(of_manifest, "mly_bundle_manifest", what="it") for _ in range(3)}
        assert len(numbers) == len(clusters_of(server.store)) == 1


class TestUpload:
    def test_images_go_up_in_their_sequences_and_originals_stay(self, server, photos):
        before = hashes(photos)
        uploads = mlygeo.upload(photos, service=service_of(server))
        entries = json.loads((photos / "mapillary_image_description.json").read_text())
        wanted = [[in_exif(each) for each in entries[start : start + 4]] for start in (0, 4, 8)]
        assert [described(cluster) for cluster in clusters_of(server.store)] == wanted
        assert hashes(photos) == before
        assert uploads["status"].tolist() == ["done"] * 10
        assert uploads["sequence_id"].tolist() == [each["MAPSequenceUUID"] for each in entries]
        assert uploads["md5"].tolist() == [each["md5sum"] for each in entries]
        assert uploads["cluster_id"].tolist() == ["1000000001"] * 4 + ["1000000002"] * 4 + ["1000000003"] * 2
        written = pd.read_parquet(photos / ".mlygeo" / "upload_history.parquet")
        pd.testing.assert_frame_equal(written, pd.DataFrame(uploads), check_like=True)
        pd.testing.assert_frame_equal(mlygeo.upload_history(photos), written)

    @pytest.mark.parametrize("name", ["history.gpkg", "history.csv", "history"])
    def test_the_history_is_not_written_under_the_name_of_another_format(self, server, photos, tmp_path, name):
        with pytest.raises(FormatError, match=f"{name}: the history of uploads is written as .parquet"):
            mlygeo.upload(photos, output=tmp_path / name, service=service_of(server))
        assert server.count() == 0
        assert not (tmp_path / name).exists()

    def test_at_most_four_images_go_up_at_once(self, server, tmp_path):
        folder_of(tmp_path / "many", 40)
        server.faults = Faults(latency=0.02)
        mlygeo.upload(tmp_path / "many", service=service_of(server), number_threads=12)
        assert server.most_at_once == 4

    def test_nothing_goes_up_twice_whatever_folder_it_lies_in(self, server, photos, tmp_path):
        mlygeo.upload(photos, service=service_of(server))
        uploaded = server.count("upload")
        shutil.copytree(photos, tmp_path / "copy")
        (tmp_path / "copy" / "extra.jpg").write_bytes(photo(77))
        result = json.loads((photos / "mapillary_image_description.json").read_text())
        for each in result:
            each["filename"] = each["filename"].replace("/photos/", "/copy/")
        result.append(entry(tmp_path / "copy" / "extra.jpg", 500, "seq-2"))
        (tmp_path / "copy" / "mapillary_image_description.json").write_text(json.dumps(result))
        summary = mlygeo.upload([photos, tmp_path / "copy"], service=service_of(server)).attrs["summary"]
        assert (summary["images"], summary["there"], summary["sequences"]) == (1, 20, 1)
        assert server.count("upload") == uploaded + 2, "one image and its manifest"
        assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [4, 4, 2, 1]

    def test_the_history_is_of_one_service(self, photos, server, tmp_path):
        mlygeo.upload(photos, service=service_of(server))
        with serve(store=tmp_path / "another", token=USER_TOKEN) as other:
            assert mlygeo.upload(photos, service=service_of(other)).attrs["summary"]["images"] == 10

    def test_reupload_uploads_again(self, server, photos):
        mlygeo.upload(photos, service=service_of(server))
        summary = mlygeo.upload(photos, service=service_of(server), reupload=True).attrs["summary"]
        assert (summary["images"], summary["sequences"], summary["there"]) == (10, 3, 0)
        assert len(clusters_of(server.store)) == 6
        assert mlygeo.upload(photos, service=service_of(server)).attrs["summary"]["there"] == 10

    def test_the_same_content_twice_in_a_folder_goes_up_once(self, server, photos):
        shutil.copy(photos / "img_0000.jpg", photos / "img_0000_copy.jpg")
        path = photos / "mapillary_image_description.json"
        result = json.loads(path.read_text())
        path.write_text(json.dumps([*result, {**result[0], "filename": str(photos / "img_0000_copy.jpg")}]))
        summary = mlygeo.upload(photos, service=service_of(server)).attrs["summary"]
        assert (summary["images"], summary["repeated"]) == (10, 1)
        assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [4, 4, 2]

    def test_duplicates_and_what_failed_are_skipped_and_counted(self, server, photos):
        path = photos / "mapillary_image_description.json"
        result = json.loads(path.read_text())
        result[1] = {"filename": result[1]["filename"], "filetype": "image",
                   "error": {"type": "MapillaryDuplicationError", "message": "duplicate"}}  # fmt: skip
        result[2] = {
            "filename": result[2]["filename"],
            "filetype": "image",
            "error": {"type": "X", "message": "no GPS"},
        }
        path.write_text(json.dumps(result))
        (photos / "raw.jpg").write_bytes(photo(99))
        summary = mlygeo.upload(photos, service=service_of(server)).attrs["summary"]
        assert summary["images"] == 8
        assert summary["skipped"] == {"duplicates": 1, "failed": 1, "not processed": 1}

    def test_what_process_left_in_the_folder_is_read(self, server, photos):
        images = read_descriptions(photos / "mapillary_image_description.json")
        images = images.assign(is_duplicate=[True] + [False] * 9)
        (photos / ".mlygeo").mkdir()
        files.write_frame(images, photos / ".mlygeo" / "images.parquet")
        os.utime(photos / "mapillary_image_description.json", (1, 1))
        summary = mlygeo.upload(photos, service=service_of(server)).attrs["summary"]
        assert (summary["images"], summary["skipped"]) == (9, {"duplicates": 1})

    def test_images_of_the_app_go_up_as_they_are(self, server, tmp_path):
        folder = tmp_path / "app"
        (folder / "sub").mkdir(parents=True)
        sent = []
        for number in range(4):
            result = {"MAPLatitude": 1.0, "MAPLongitude": 2.0 + number, "MAPPhotoUUID": f"u{number}",
                    "MAPCaptureTime": f"2024_01_01_00_00_0{9 - number}_000", "MAPSequenceUUID": "app"}  # fmt: skip
            sent.append(with_description(photo(number), result))
            (folder / "sub" / f"{number}.jpg").write_bytes(sent[-1])
        mlygeo.upload(folder, service=service_of(server))
        cluster = clusters_of(server.store)[0]
        assert [image["md5"] for image in cluster["images"]] == [md5(content) for content in reversed(sent)]
        assert {path.read_bytes() for path in (server.store / "files").iterdir()} == set(sent)
        with pytest.raises(InputError, match="nothing to upload is given"):
            mlygeo.upload([], service=service_of(server))
        assert mlygeo.upload(folder, service=service_of(server), skip_subfolders=True).attrs["summary"]["images"] == 0

    def test_one_bad_image_does_not_keep_the_others(self, server, photos):
        (photos / "img_0001.jpg").write_bytes(b"no picture at all")
        (photos / "img_0002.jpg").unlink()
        uploads = mlygeo.upload(photos, service=service_of(server))
        assert uploads.attrs["summary"]["failed"] == 2
        assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [2, 4, 2]
        bad = uploads[uploads["status"] == "failed"]
        assert "img_0001.jpg" in bad["path"].iloc[0]

    def test_a_sequence_waits_for_an_image_that_does_not_get_through(self, server, photos):
        server.faults = Faults(server_error=1.0, only=("upload",))
        summary = mlygeo.upload(photos, service=service_of(server), max_attempts=2).attrs["summary"]
        assert (summary["unfinished"], summary["sequences"], summary["failed"]) == (3, 0, 10)
        server.faults = Faults()
        summary = mlygeo.upload(photos, service=service_of(server)).attrs["summary"]
        assert (summary["images"], summary["sequences"], summary["failed"]) == (10, 3, 0)
        assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [4, 4, 2]

    def test_a_lost_answer_to_finishing_does_not_finish_twice(self, server, photos):
        server.faults = Faults(drop=1.0, only=("finish_upload",))
        with pytest.raises(NetworkError):
            mlygeo.upload(photos, service=service_of(server), max_attempts=2)
        assert len(clusters_of(server.store)) == 1
        assert set(mlygeo.upload_history(photos)["status"]) == {"ready"}
        server.faults = Faults()
        assert mlygeo.upload(photos, service=service_of(server)).attrs["summary"]["sequences"] == 3
        assert len(clusters_of(server.store)) == 3

    def test_handles_that_the_service_forgot_are_sent_anew(self, server, photos):
        summary = mlygeo.upload(photos, service=service_of(server), manual_done=True).attrs["summary"]
        assert (summary["ready"], summary["sequences"]) == (3, 0)
        shutil.rmtree(server.store)
        server.store.mkdir()
        summary = mlygeo.upload(photos, service=service_of(server)).attrs["summary"]
        assert (summary["images"], summary["sequences"]) == (10, 3)
        assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [4, 4, 2]

    def test_manual_done_leaves_them_ready_and_a_later_run_finishes_them(self, server, photos):
        first = mlygeo.upload(photos, service=service_of(server), manual_done=True)
        assert set(first["status"]) == {"ready"}
        assert not clusters_of(server.store)
        sent = server.count("upload")
        assert mlygeo.upload(photos, service=service_of(server), manual_done=True).attrs["summary"]["ready"] == 3
        second = mlygeo.upload(photos, service=service_of(server))
        assert second.attrs["summary"]["sequences"] == 3
        assert server.count("upload") == sent
        assert len(clusters_of(server.store)) == 3

    def test_two_runs_at_the_same_time_share_the_work(self, server, photos):
        server.faults = Faults(latency=0.01)
        threads = [threading.Thread(target=mlygeo.upload, args=(photos,), kwargs={"service": service_of(server)})
                   for _ in range(3)]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [4, 4, 2]
        assert len([line for line in log_of(server.store) if line["event"] == "whole"]) == 13

    def test_dry_run_asks_nothing_and_writes_nothing(self, server, photos, tmp_path):
        summary = mlygeo.upload(photos, service=service_of(server), dry_run=True).attrs["summary"]
        assert (summary["images"], summary["sequences"], summary["there"]) == (10, 3, 0)
        assert server.count() == 0
        assert not (tmp_path / "history").exists()
        assert not (photos / ".mlygeo").exists()
        mlygeo.upload(photos, service=service_of(server))
        assert mlygeo.upload(photos, service=service_of(server), dry_run=True).attrs["summary"]["there"] == 10

    def test_organizations_by_key_and_private_images(self, server, photos):
        with pytest.raises(CredentialsError, match="no organization 77"):
            mlygeo.upload(photos, service=service_of(server), organization_key="77")
        with pytest.raises(InputError, match="private"):
            mlygeo.upload(photos, service=service_of(server), private=True)
        mlygeo.upload(photos, service=service_of(server), organization_key="2", private=True)
        assert {cluster["organization_id"] for cluster in clusters_of(server.store)} == {"2"}
        assert all(each["MAPPrivate"] is True for cluster in clusters_of(server.store) for each in described(cluster))

    def test_a_run_that_is_refused_says_so_and_keeps_what_is_done(self, server, photos):
        server.faults = Faults(routes={"upload": Faults(expires_after=6)})
        with pytest.raises(TokenRejectedError, match="expired"):
            mlygeo.upload(photos, service=service_of(server))
        assert len(mlygeo.upload_history(photos)) > 0
        server.faults = Faults()
        mlygeo.upload(photos, service=service_of(server))
        assert [len(cluster["images"]) for cluster in clusters_of(server.store)] == [4, 4, 2]

    @pytest.mark.parametrize("name", ["NUMBER_THREADS", "MAX_ATTEMPTS"])
    def test_the_environment_has_a_say(self, server, photos, monkeypatch, name):
        monkeypatch.setenv(name, "0")
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        with pytest.raises(InputError, match=name):
            mlygeo.upload(photos, token=USER_TOKEN)
        monkeypatch.setenv(name, "many")
        with pytest.raises(InputError, match="is not a number"):
            mlygeo.upload(photos, token=USER_TOKEN)

    def test_what_cannot_be_uploaded_is_an_error_before_it_starts(self, server, tmp_path):
        with pytest.raises(FileError, match="does not exist"):
            mlygeo.upload(tmp_path / "nowhere", service=service_of(server))
        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "a.jpg").write_bytes(photo(1))
        with pytest.raises(InputError, match="1 photo without a description"):
            mlygeo.upload(tmp_path / "raw", service=service_of(server))
        folder_of(tmp_path / "p", 2)
        with pytest.raises(CredentialsError, match="nobody has signed in"):
            mlygeo.upload(tmp_path / "p")
        assert server.count() == 0


class TestWholeFiles:
    def test_the_same_images_make_the_same_archive(self, photos, tmp_path):
        first = mlygeo.zip_sequences(photos, output=tmp_path / "a")
        for path in photos.iterdir():
            os.utime(path, (1, 1))
        second = mlygeo.zip_sequences(photos, output=tmp_path / "b")
        names = [sorted(path.name for path in (tmp_path / each).iterdir()) for each in "ab"]
        assert names[0] == names[1]
        assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names[0])
        assert all(name == f"mly_tools_{md5((tmp_path / 'a' / name).read_bytes())}.zip" for name in names[0])
        assert first["images"].tolist() == second["images"].tolist() == [4, 4, 2]
        with zipfile.ZipFile(first["path"].iloc[0]) as archive:
            assert archive.testzip() is None
            assert {(each.date_time, each.create_system) for each in archive.infolist()} == {((1980, 1, 1, 0, 0, 0), 3)}
            assert archive.namelist() == [f"{number}.jpg" for number in range(4)]

    def test_archives_go_up_once_and_their_images_are_known(self, server, photos, tmp_path):
        mlygeo.zip_sequences(photos, output=tmp_path / "zips")
        server.faults = Faults(cut=0.5, cut_after=500, only=("upload",), seed=2)
        summary = mlygeo.upload(tmp_path / "zips", service=service_of(server)).attrs["summary"]
        assert (summary["zips"], summary["images"]) == (3, 10)
        entries = json.loads((photos / "mapillary_image_description.json").read_text())
        result = sorted((each for cluster in clusters_of(server.store) for each in described(cluster)), key=str)
        assert result == sorted(map(in_exif, entries), key=str)
        assert mlygeo.upload(tmp_path / "zips", service=service_of(server)).attrs["summary"]["zips"] == 0
        assert mlygeo.upload(photos, service=service_of(server)).attrs["summary"]["there"] == 10
        assert len(clusters_of(server.store)) == 3

    def test_of_an_archive_only_the_missing_images_are_sent(self, server, photos, tmp_path):
        mlygeo.zip_sequences(photos, output=tmp_path / "zips")
        mlygeo.upload(photos / "img_0000.jpg", service=service_of(server))
        for images, zips, there in ((9, 3, 1), (0, 0, 10)):
            uploads = mlygeo.upload(tmp_path / "zips", service=service_of(server))
            summary = uploads.attrs["summary"]
            assert (summary["images"], summary["zips"], summary["there"]) == (images, zips, there)
        sent = [each for cluster in clusters_of(server.store) for each in described(cluster)]
        assert len(sent) == len({each["MAPCaptureTime"] for each in sent}) == 10
        assert mlygeo.upload(photos, service=service_of(server)).attrs["summary"]["there"] == 10

    def test_what_was_uploaded_is_left_out_of_archives(self, server, photos, tmp_path, monkeypatch):
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        mlygeo.upload(photos / "img_0000.jpg", service=service_of(server))
        shutil.copy(photos / "img_0003.jpg", photos / "img_0004.jpg")
        zips = mlygeo.zip_sequences(photos, output=tmp_path / "zips")
        assert zips["images"].sum() == 8
        assert mlygeo.upload(tmp_path / "zips", service=service_of(server)).attrs["summary"]["images"] == 8
        assert mlygeo.zip_sequences(photos, output=tmp_path / "more").empty
        assert mlygeo.zip_sequences(photos, output=tmp_path / "more", reupload=True)["images"].sum() == 9

    def test_videos_go_up_as_they_are(self, server, tmp_path):
        folder = tmp_path / "videos"
        folder.mkdir()
        for name in ("camm_from_gopro_max", "blackvue_form_leeds", "iphone6_one_position"):
            for path in (DATA / "video").glob(f"{name}.m*"):
                shutil.copy(path, folder)
        # The one is known by its description, the other by what is in it.
        own = read_video(folder / "camm_from_gopro_max.mp4")
        lon, lat = frames.lonlat(own)
        result = {
            "filename": str(folder / "camm_from_gopro_max.mp4"),
            "filetype": "camm",
            "MAPGPSTrack": [
                [s * 1000, x, y, None, None] for s, x, y in zip(own["video_time_s"], lon, lat, strict=True)
            ],
        }
        (folder / "mapillary_image_description.json").write_text(json.dumps([result]))
        uploads = mlygeo.upload(folder, service=service_of(server))
        assert uploads.attrs["summary"]["videos"] == 2
        assert uploads.attrs["summary"]["skipped"] == {"videos to sample first": 1}
        types = {cluster["file_type"] for cluster in clusters_of(server.store)}
        assert types == {"mly_camm_video", "mly_blackvue_video"}
        there = {path.read_bytes() for path in (server.store / "files").iterdir()}
        assert there == {path.read_bytes() for path in folder.glob("*.mp4")}
        assert mlygeo.upload(folder, service=service_of(server)).attrs["summary"]["there"] == 2


class TestVerbs:
    @pytest.fixture(autouse=True)
    def endpoints(self, server, monkeypatch):
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
        monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")

    def test_a_video_to_sample_first_comes_with_its_command(self, capsys, tmp_path):
        from helpers.video_files import pictures

        (tmp_path / "my rides").mkdir()
        pictures(tmp_path / "my rides" / "ride.mp4", seconds=2.0, created=None)
        _, _, err = run(capsys, "upload", tmp_path / "my rides")
        command = f"to make photos of it: mlygeo video-process '{tmp_path / 'my rides' / 'ride.mp4'}'"
        assert command in err

    def test_words_of_today_and_of_2019(self, capsys, server, photos, tmp_path):
        status, out, err = run(capsys, "upload", "--import_path", photos, "--advanced", "--number_threads", 2,
                               "--max_attempts=3", "--skip_subfolders", "-o", tmp_path / "history.parquet")  # fmt: skip
        assert status == 0, err
        assert out == ""
        assert "10 images uploaded" in err
        assert "3 sequences finished" in err
        assert len(pd.read_parquet(tmp_path / "history.parquet")) == 10
        status, out, err = run(capsys, "upload", photos, "--json")
        assert status == 0
        assert json.loads(out)["there"] == 10

    def test_zip(self, capsys, photos, tmp_path):
        status, _, err = run(capsys, "zip", photos, "-o", tmp_path / "zips")
        assert status == 0, err
        assert "3 archives of 10 images" in err

    def test_failures_make_status_three(self, capsys, photos):
        (photos / "img_0003.jpg").write_bytes(b"nonsense")
        status, _, err = run(capsys, "upload", photos)
        assert status == 3
        assert "img_0003.jpg: " in err


def test_originals_of_an_import_path_by_time_and_place(images, tmp_path, capsys, monkeypatch):
    """Of the photos in a folder those that Mapillary has; others are named."""
    mine = images[images["creator_id"] == images["creator_id"].mode()[0]].iloc[:6]
    folder = tmp_path / "photos"
    folder.mkdir()
    frame = gpd.GeoDataFrame(
        {"path": [str(folder / f"{number}.jpg") for number in range(6)], "captured_at": mine["captured_at"].to_numpy(),
         "compass_angle": 0.0}, geometry=mine.geometry.to_numpy(), crs=4326,
    )  # fmt: skip
    frame["captured_at"] = pd.to_datetime(frame["captured_at"], utc=True).astype("datetime64[ms, UTC]")
    frame.loc[5, "captured_at"] += pd.Timedelta(milliseconds=1)
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(photo(number))
    mlygeo.write_descriptions(frame, folder)
    with serve(images, token=USER_TOKEN) as server:
        found = mlygeo.download_originals(folder, output=tmp_path / "o", service=service_of(server))
        there = sorted(int(path.stem) for path in (tmp_path / "o").rglob("*.jpg"))
        assert set(mine["id"].iloc[:5]) <= set(there) | set(found["id"])
        assert there == sorted(found["id"])
        assert found.attrs["summary"]["not_found"] == 1
        for name in ("MAPILLARY_GRAPH_API_ENDPOINT", "MAPILLARY_TILES_ENDPOINT"):
            monkeypatch.setenv(name, server.url)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
        ids = mine["id"].iloc[:2]
        for number in ids:
            (tmp_path / "by_id").mkdir(exist_ok=True)
            result = {"MAPLatitude": 1.0, "MAPLongitude": 2.0, "MAPCaptureTime": "2024_01_01_00_00_00_000"}
            (tmp_path / "by_id" / f"{number}.jpg").write_bytes(with_description(photo(int(number) % 999), result))
        status, _, err = run(capsys, "download", "--import_path", tmp_path / "by_id", "--output_folder", tmp_path / "o2",
                             "--by_property", "key", "-q")  # fmt: skip
        assert status == 0, err
        assert sorted(int(path.stem) for path in (tmp_path / "o2").rglob("*.jpg")) == sorted(ids)


def test_a_damaged_history_is_named(tmp_path):
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / ledger.FILE).write_bytes(b"no database" * 500)
    with pytest.raises(FileError, match=r"upload_history\.sqlite is damaged"):
        mlygeo.upload_history()
    with pytest.raises(ServiceError, match="answered"), serve(token=USER_TOKEN) as server:
        # Without a store the stand-in says so.
        send(server, b"x", retry=Retry(attempts=1))
    assert QUICK.attempts == 50


def test_a_service_that_takes_no_uploads_is_not_asked_again(photos):
    with serve(token=USER_TOKEN) as server:
        uploads = mlygeo.upload(photos, user_name="rehearsal", service=service_of(server))
        assert server.count("upload_offset") + server.count("upload") <= 10
    assert set(uploads["status"]) == {"failed"}
    assert uploads["reason"].str.contains("without a store").all()


@needs_unix("functions of Unix")
def test_pipes_and_names_that_are_not_text_do_not_stop_the_others(photos):
    """Opening a pipe would wait forever; a name that is not UTF-8 can be in no history."""
    for name in ("pipe.jpg", "pipe.zip", "pipe.mp4"):
        os.mkfifo(photos / name)
    raw = photos / os.fsdecode(b"no\xfftext.jpg")
    try:
        raw.write_bytes(photo(9))
    except OSError:
        pytest.skip("this file system has only names in UTF-8")
    with serve(store=photos.parent / "store", token=USER_TOKEN) as server:
        uploads = mlygeo.upload(photos, user_name="rehearsal", service=service_of(server))
    assert uploads.attrs["summary"]["failed"] == 4
    assert set(uploads["status"]) == {"done"}
    reasons = {Path(path).name: reason for path, reason in gather(photos).failed.items()}
    assert reasons == {
        "pipe.jpg": "not a file", "pipe.zip": "not a file", "pipe.mp4": "not a file",
        "no\\xfftext.jpg": "its name is not UTF-8; rename the file",
    }  # fmt: skip
