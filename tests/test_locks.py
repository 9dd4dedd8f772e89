"""Runs on the same photos at the same time, as processes of their own: kept apart, and never blocked by the dead."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest
from helpers.photo_folders import folder_of
from helpers.processes import HANGS_S, start, wait_for
from helpers.unix import needs_symlinks
from helpers.upload_folders import USER_TOKEN, clusters_of, described, log_of

import mlygeo
from mlygeo.errors import FileError
from mlygeo.locks import HeldError, Lock, NameLocks, PhotoLock
from mlygeo.standin import Faults

pytestmark = pytest.mark.usefixtures("history")


@pytest.fixture
def photos(tmp_path):
    folder_of(tmp_path / "trip" / "photos", 12)
    mlygeo.process(tmp_path / "trip" / "photos")
    return tmp_path / "trip" / "photos"


KILLED = 1 if os.name == "nt" else -signal.SIGKILL
"""The status of a process that was killed."""


def verb(server, *words):
    environment = {
        **os.environ,
        "MAPILLARY_GRAPH_API_ENDPOINT": server.url,
        "MAPILLARY_UPLOAD_ENDPOINT": server.endpoints.upload,
        "MAPILLARY_ACCESS_TOKEN": USER_TOKEN,
    }
    command = [sys.executable, "-m", "mlygeo", *map(str, words)]
    return start(command, env=environment)


def ended(process):
    out, err = process.communicate(timeout=HANGS_S)
    assert "Traceback" not in err, err
    return process.returncode, out + err


def in_the_middle(server, *words):
    """Start an upload, and hold it once the service has some of its images."""
    server.faults = Faults(latency=0.5, only=("upload",))
    upload = verb(server, "upload", *words)
    wait_for(lambda: [line for line in log_of(server.store) if line["event"] == "whole"])
    server.faults = Faults(rate=1.0, backoff_ms=500, only=("upload",))
    return upload


def lengths(server):
    return sorted(len(cluster["images"]) for cluster in clusters_of(server.store))


class TestUploads:
    def test_what_writes_into_photos_does_not_come_between(self, server, photos, tmp_path):
        """Half of the photos would be sent as they were, and all of them once more as they are now."""
        others = [
            lambda: mlygeo.process(photos, offset_time=100, rerun=True),
            lambda: mlygeo.exif_insert(photos),
            lambda: mlygeo.process(photos, output=tmp_path / "elsewhere", offset_time=100),
            lambda: mlygeo.process(photos.parent, offset_time=100),
            lambda: mlygeo.process(photos / "img_00003.jpg", offset_time=100),
            lambda: mlygeo.post_process(photos, move_uploaded=True),
            lambda: mlygeo.interpolate(photos, data="missing_gps"),
        ]
        upload = in_the_middle(server, photos)
        for other in others:
            with pytest.raises(
                FileError, match=rf"an upload is at work in {re.escape(str(photos))} \(process {upload.pid} on "
            ):
                other()
        mlygeo.process(photos, dry_run=True)
        server.faults = Faults()
        assert ended(upload)[0] == 0
        for other in others[:3]:
            other()
        status, said = ended(verb(server, "upload", photos))
        assert status == 0, said
        assert lengths(server) == [12]

    def test_a_second_upload_waits_and_says_so(self, server, photos):
        first = in_the_middle(server, photos)
        second = verb(server, "upload", photos.parent)
        assert "an upload is at work in" in (line := second.stderr.readline())
        assert "waiting until it is done" in line
        server.faults = Faults()
        assert ended(first)[0] == 0
        status, said = ended(second)
        assert status == 0
        assert "12 uploaded before" in said
        assert lengths(server) == [12]

    def test_an_upload_waits_for_what_writes_into_photos(self, server, photos):
        with PhotoLock([photos], "writing"):
            upload = verb(server, "upload", photos)
            line = upload.stderr.readline()
            assert f"another run is at work in {photos} (process {os.getpid()} " in line
            assert server.count("upload") == 0
        assert ended(upload)[0] == 0
        assert lengths(server) == [12]

    def test_archives_are_made_beside_an_upload_but_not_beside_a_writer(self, server, photos, tmp_path):
        with PhotoLock([photos], "upload"):
            assert ended(verb(server, "zip", photos, "-o", tmp_path / "zips"))[0] == 0
        with PhotoLock([photos], "writing"):
            archives = verb(server, "zip", photos, "-o", tmp_path / "zips")
            assert "waiting" in archives.stderr.readline()
        assert ended(archives)[0] == 0

    def test_a_killed_upload_blocks_nobody_and_what_it_sent_is_not_sent_twice(self, server, photos):
        upload = in_the_middle(server, photos)
        upload.kill()
        upload.communicate()
        assert upload.returncode == KILLED
        server.faults = Faults()
        status, said = ended(verb(server, "process", photos, "--offset-time", 100, "--rerun"))
        assert status == 0, said
        assert ended(verb(server, "upload", photos))[0] == 0
        assert lengths(server) == [12]
        # Nothing was published before, so that all of it says what was asked for last.
        [cluster] = clusters_of(server.store)
        entries = json.loads((photos / "mapillary_image_description.json").read_text())
        assert [each["MAPCaptureTime"] for each in described(cluster)] == [each["MAPCaptureTime"] for each in entries]

    def test_what_has_only_to_be_finished_is_not_made_another_photo(self, server, photos):
        """The service may have finished it already, and only the answer have been lost."""
        server.faults = Faults(drop=1.0, only=("finish_upload",))
        assert ended(verb(server, "upload", photos, "--max-attempts", 1))[0] == 1
        assert set(mlygeo.upload_history(photos)["status"]) == {"ready"}
        server.faults = Faults()
        before = {path: path.read_bytes() for path in photos.glob("*.jpg")}
        assert ended(verb(server, "process", photos, "--offset-time", 100, "--rerun"))[0] == 0
        assert {path: path.read_bytes() for path in photos.glob("*.jpg")} == before
        assert ended(verb(server, "upload", photos))[0] == 0
        assert lengths(server) == [12]


class TestPhotoLock:
    def at(self, tmp_path, doing, *places, **more):
        return PhotoLock([tmp_path / place for place in places], doing, folder=tmp_path / "locks", **more)

    @pytest.mark.parametrize(
        ("mine", "theirs", "apart"),
        [
            ("writing", "writing", True),
            ("writing", "upload", True),
            ("upload", "writing", True),
            ("upload", "upload", True),
            ("archives", "writing", True),
            ("archives", "upload", False),
            ("upload", "archives", False),
            ("archives", "archives", False),
        ],
    )
    def test_who_is_kept_off(self, tmp_path, mine, theirs, apart):
        with self.at(tmp_path, theirs, "a"):
            for place in ("a", "a/b/c.jpg", "."):
                if apart:
                    with pytest.raises(FileError, match="is at work in"), self.at(tmp_path, mine, place):
                        pass
                else:
                    with self.at(tmp_path, mine, place):
                        pass
            with self.at(tmp_path, mine, "ab", "b"):
                pass
        with self.at(tmp_path, mine, "a"):
            pass
        assert [path.name for path in (tmp_path / "locks").iterdir()] in ([], ["entry.lock"])

    @needs_symlinks
    def test_links_lead_to_the_same_photos(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "a")
        with self.at(tmp_path, "upload", "link"), pytest.raises(FileError), self.at(tmp_path, "writing", "a"):
            pass

    @pytest.mark.parametrize(
        ("mine", "theirs"),
        [("IMG_1.JPG", "img_1.jpg"), ("caf\u00e9.jpg", "cafe\u0301.jpg"), ("STRASSE.jpg", "stra\u00dfe.jpg")],
    )
    def test_one_photo_by_two_names_is_one_where_the_disk_says_so(self, tmp_path, mine, theirs):
        """As letters of both cases and accents in one character or two are on the disks of macOS and Windows."""
        (tmp_path / mine).write_bytes(b"photo")
        if not (tmp_path / theirs).exists():
            with self.at(tmp_path, "upload", mine), self.at(tmp_path, "writing", theirs):
                pass  # another photo, as far as is known
            (tmp_path / theirs).hardlink_to(tmp_path / mine)
        with self.at(tmp_path, "upload", mine), pytest.raises(FileError), self.at(tmp_path, "writing", theirs):
            pass

    def test_names_that_differ_in_case_are_two_photos_where_the_disk_says_so(self, tmp_path):
        for name in ("IMG_1.JPG", "img_1.jpg"):
            (tmp_path / name).write_bytes(name.encode())
        if (tmp_path / "IMG_1.JPG").samefile(tmp_path / "img_1.jpg"):
            pytest.skip("this disk does not tell them apart")
        with self.at(tmp_path, "upload", "IMG_1.JPG"), self.at(tmp_path, "writing", "img_1.jpg"):
            pass

    def test_the_dead_are_cleared_away(self, tmp_path):
        script = (
            "import sys, os; from mlygeo.locks import PhotoLock; from pathlib import Path\n"
            "with PhotoLock([sys.argv[1]], 'writing', folder=Path(sys.argv[2])): os._exit(9)"
        )
        subprocess.run([sys.executable, "-c", script, tmp_path / "a", tmp_path / "locks"], check=False)
        assert len(list((tmp_path / "locks").glob("*.json"))) == 1
        with self.at(tmp_path, "writing", "a"):
            assert len(list((tmp_path / "locks").glob("*.json"))) == 1
        assert not list((tmp_path / "locks").glob("*.json"))

    def test_damaged_notes_and_folders_that_cannot_be_written_are_no_obstacle(self, tmp_path):
        (tmp_path / "locks").mkdir()
        (tmp_path / "locks" / "x.json").write_text("[]")
        with self.at(tmp_path, "writing", "a"):
            pass
        (tmp_path / "file").write_text("")
        with PhotoLock([tmp_path], "writing", folder=tmp_path / "file" / "locks"):
            pass


class TestNameLocks:
    def test_one_name_is_held_by_one_and_another_by_others(self, tmp_path):
        stop, held = threading.Event(), []
        stop.set()
        first, second = NameLocks(tmp_path, stop), NameLocks(tmp_path, stop)
        with first.of("a"):
            with pytest.raises(HeldError), second.of("a"):
                held.append("a")
            with second.of("b"):
                held.append("b")
        with second.of("a"):
            held.append("a")
        assert held == ["b", "a"]

    def test_a_name_is_waited_for(self, tmp_path):
        locks = NameLocks(tmp_path, threading.Event())
        order = []

        def hold():
            with locks.of("a"):
                order.append("second")

        with locks.of("a"):
            waiting = threading.Thread(target=hold)
            waiting.start()
            order.append("first")
        waiting.join()
        assert order == ["first", "second"]


def test_a_lock_is_taken_given_up_and_its_file_removed(tmp_path):
    lock = Lock(tmp_path / "x.lock")
    with lock, pytest.raises(HeldError):
        Lock(tmp_path / "x.lock").take()
    lock.take()
    lock.give_up(remove=True)
    lock.give_up()
    assert list(tmp_path.iterdir()) == []
