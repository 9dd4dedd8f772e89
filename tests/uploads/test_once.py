"""Each photo and each video goes up once, wherever it lies, whatever it is called and whatever its tags say."""

import contextlib
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import DATA
from helpers.photo_folders import LAT, LON, START_MS, folder_of, gpx_of, picture, tagged
from helpers.unix import needs_unix
from helpers.upload_folders import clusters_of, hashes, log_of, service_of
from PIL import Image

import mlygeo
from mlygeo.formats import identity
from mlygeo.photos.exif_writer import insert
from mlygeo.photos.tags import description_tags
from mlygeo.standin import Faults
from mlygeo.uploads.ledger import FILE, TABLES, UploadLedger

pytestmark = pytest.mark.usefixtures("history")


@pytest.fixture
def folder(tmp_path):
    folder_of(tmp_path / "in", 4)
    return tmp_path / "in"


def upload(server, *folders, **more):
    return mlygeo.upload(list(folders), service=service_of(server), **more).attrs["summary"]


def sent(server):
    """Return how many images the stand-in has, and how many pictures they are."""
    images = [image for cluster in clusters_of(server.store) for image in cluster["images"]]
    files = {path.name: path.read_bytes() for path in (server.store / "files").iterdir()}
    pictures = [identity.of_photo(files[Path(image["file"]).name]).photo_uuid for image in images if "handle" in image]
    return len(images), len(set(pictures))


def exiftool(*words):
    if shutil.which("exiftool") is None:
        pytest.skip("needs ExifTool")
    subprocess.run(["exiftool", "-q", "-overwrite_original", *map(str, words)], check=True)


OPTIONS = {
    "as they are": {},
    "all tags": {"overwrite_all_exif_tags": True},
    "other times": {"overwrite_exif_time_tag": True, "offset_time": 3600.0},
    "orientation": {"overwrite_exif_orientation_tag": True, "orientation": 90},
    "headings": {"overwrite_exif_direction_tag": True, "offset_angle": 90.0},
    "nothing written": {"skip_exif_insert": True},
    "copies": {"keep_original": True},
    "another user": {"user_name": "somebody", "rerun": True},
}


@pytest.mark.parametrize(
    ("first", "then"), [*((each, "all tags") for each in OPTIONS), *(("as they are", each) for each in OPTIONS)]
)
def test_a_folder_that_was_renamed_and_one_copied_from_the_card_again(server, folder, tmp_path, first, then):
    shutil.copytree(folder, tmp_path / "card")
    mlygeo.process(folder, **OPTIONS[first])
    assert upload(server, folder)["images"] == 4
    shutil.copytree(folder, tmp_path / "copy")
    shutil.copytree(folder, tmp_path / "photos", ignore=shutil.ignore_patterns(".mlygeo", "*.json"))
    folder.rename(tmp_path / "trip")
    for name in ("trip", "copy", "photos", "card"):
        before = hashes(tmp_path / name)
        images = mlygeo.process(tmp_path / name, **OPTIONS[then])
        assert images["error"].isna().all(), name
        # Photos that were uploaded are not written into again.
        after = hashes(tmp_path / name)
        assert {key: after[key] for key in before if key.endswith(".jpg")} == {
            key: value for key, value in before.items() if key.endswith(".jpg")
        }, name
        summary = upload(server, tmp_path / name)
        assert (summary["images"], summary["there"]) == (0, 4), name
    assert sent(server) == (4, 4)
    assert upload(server, tmp_path / "trip", reupload=True)["images"] == 4


def test_single_photos_that_were_moved_and_renamed(server, folder):
    mlygeo.process(folder, overwrite_all_exif_tags=True, offset_time=60)
    upload(server, folder)
    (folder / "sub").mkdir()
    (folder / "img_00001.jpg").rename(folder / "sub" / "img_00001.jpg")
    (folder / "img_00002.jpg").rename(folder / "P1000002.JPG")
    images = mlygeo.process(folder, overwrite_all_exif_tags=True, offset_time=60)
    assert images["uploaded"].all()
    assert images["error"].isna().all()
    # The times are those of the card less one minute: nothing was subtracted twice.
    times = sorted(images["captured_at"].astype("int64"))
    assert times == [START_MS - 60_000 + 2000 * number for number in range(4)]
    assert upload(server, folder)["there"] == 4
    status = mlygeo.post_process(folder)["status"]
    assert status.tolist() == ["uploaded"] * 4


def test_copies_in_the_folder_are_sent_once_and_counted(server, folder):
    shutil.copy(folder / "img_00001.jpg", folder / "once more.jpg")
    mlygeo.process(folder, keep_duplicates=True)
    summary = upload(server, folder)
    assert (summary["images"], summary["repeated"]) == (4, 1)
    assert upload(server, folder)["there"] == 5
    assert sent(server) == (4, 4)


def test_black_frames_of_a_burst_all_go_up(server, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.jpg").write_bytes(
            tagged(picture(0), ms=START_MS + number * 1000, lon=LON, lat=LAT + number * 1e-4)
        )
    mlygeo.process(folder)
    assert upload(server, folder)["images"] == 5
    assert sent(server) == (5, 5)


@pytest.mark.parametrize(
    "words",
    [
        ["-ImageDescription=", "-Artist=jane"],
        ["-AllDates+=0:0:0 1:0:0"],
        ["-Orientation#=6", "-GPSLatitude=1", "-GPSLongitude=2", "-XMP:Rating=5"],
        ["-all=", "-tagsFromFile", "@", "-AllDates", "-GPS:all"],
        ["-P", "-Copyright=jane"],
    ],
)
def test_photos_that_exiftool_changed_after_their_upload(server, folder, words):
    mlygeo.process(folder)
    upload(server, folder)
    exiftool(*words, folder)
    assert mlygeo.process(folder)["uploaded"].all()
    folder.rename(folder.parent / "elsewhere")
    assert mlygeo.process(folder.parent / "elsewhere")["error"].isna().all()
    assert upload(server, folder.parent / "elsewhere")["there"] == 4


def test_a_new_time_alone_makes_another_photo_and_is_said(server, folder, caplog):
    mlygeo.process(folder, skip_exif_insert=True)
    upload(server, folder)
    other = folder.parent / "other"
    other.mkdir()
    for number, path in enumerate(sorted(folder.glob("*.jpg"))):
        (other / path.name).write_bytes(tagged(path.read_bytes(), ms=START_MS + 86_400_000 + number * 2000))
    mlygeo.process(other)
    summary = upload(server, other)
    assert (summary["images"], summary["other_time"]) == (4, 4)
    assert "another time" in caplog.text


def test_archives_after_photos_and_photos_after_archives(server, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    folder_of(tmp_path / "more", 3, ms=lambda number: START_MS + 900_000 + number * 2000)
    for place in (folder, tmp_path / "more"):
        mlygeo.process(place)
    mlygeo.zip_sequences([folder, tmp_path / "more"], output=tmp_path / "zips")
    (folder / "img_00000.jpg").rename(folder / "one.jpg")
    assert upload(server, folder)["images"] == 4
    summary = upload(server, tmp_path / "zips")
    assert (summary["images"], summary["there"]) == (3, 4)
    (tmp_path / "more").rename(tmp_path / "renamed")
    mlygeo.process(tmp_path / "renamed", overwrite_all_exif_tags=True, offset_time=5)
    assert upload(server, tmp_path / "renamed")["there"] == 3
    assert mlygeo.zip_sequences(tmp_path / "renamed", output=tmp_path / "again").empty
    assert sum(len(cluster["images"]) for cluster in clusters_of(server.store)) == 7


def test_the_same_archive_made_anew_is_known(server, folder, tmp_path):
    mlygeo.process(folder)
    mlygeo.zip_sequences(folder, output=tmp_path / "zips0")
    upload(server, tmp_path / "zips0")
    mlygeo.process(folder, device_make="Other", overwrite_all_exif_tags=True, offset_time=9, rerun=True)
    mlygeo.zip_sequences(folder, output=tmp_path / "zips1")
    assert {path.name for path in (tmp_path / "zips0").iterdir()} != {
        path.name for path in (tmp_path / "zips1").iterdir()
    }
    summary = upload(server, tmp_path / "zips1")
    assert (summary["images"], summary["there"]) == (0, 4)


def boxes(content):
    found, place = [], 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        found.append((content[place + 4 : place + 8], content[place + 8 : place + size]))
        place += size
    return found


@pytest.mark.parametrize("edited", [False, True])
def test_photos_that_others_replaced_do_not_get_their_positions(server, folder, tmp_path, monkeypatch, edited):
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    mlygeo.process(folder)
    described = folder / "mapillary_image_description.json"
    if edited:  # newer than the record
        described.write_text(described.read_text())
    names = sorted(path.name for path in folder.glob("*.jpg"))
    for number, name in enumerate(names[:3]):
        ms = START_MS + 86_400_000 + number * 2000
        (folder / name).write_bytes(tagged(picture(100 + number), ms=ms, lon=LON + 1, lat=LAT))
    summary = upload(server, folder)
    assert (summary["images"], summary["failed"]) == (1, 3)
    archives = mlygeo.zip_sequences(folder, output=tmp_path / "zips")
    assert archives.attrs["summary"]["failed"] == 3
    mlygeo.process(folder)
    assert upload(server, folder)["images"] == 3


def test_a_photo_in_which_a_face_was_blurred_after_processing_goes_up(server, folder):
    mlygeo.process(folder)
    for path in folder.glob("*.jpg"):
        with Image.open(path) as opened:
            opened.load()
            opened.save(path, "JPEG", quality=60, exif=opened.info["exif"])
    assert upload(server, folder)["images"] == 4


@pytest.mark.parametrize("second", ["copy", "archive", "video"])
def test_two_runs_at_the_same_time(server, folder, tmp_path, monkeypatch, second):
    """The same photos in a sequence of another id or in an archive, and the same video in another place."""
    monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
    places = [folder, tmp_path / "second"]
    if second == "video":
        for place in places:
            place.mkdir(exist_ok=True)
            shutil.copy(DATA / "video" / "blackvue_form_leeds.mp4", place / f"{place.name}.mp4")
    else:
        shutil.copytree(folder, tmp_path / "copy")
        mlygeo.process(folder)
        if second == "archive":
            mlygeo.zip_sequences(folder, output=places[1])
        else:
            places[1] = tmp_path / "copy"
            mlygeo.process(places[1], offset_angle=3.0)
    server.faults = Faults(latency=0.1)
    with ThreadPoolExecutor(2) as pool:
        summaries = list(pool.map(lambda place: upload(server, place, file_types=TYPES[second]), places))
    counted = "videos" if second == "video" else "images"
    assert sorted(each[counted] for each in summaries) == [0, 1 if second == "video" else 4]
    assert sum(each["there"] for each in summaries) == (1 if second == "video" else 4)
    assert len(clusters_of(server.store)) == 1
    assert not [line for line in log_of(server.store) if line["event"] == "finished again"]


TYPES = {"copy": "image", "archive": "image,zip", "video": "video"}


def test_a_video_whose_metadata_were_edited(server, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(DATA / "video" / "blackvue_form_leeds.mp4", folder / "one.mp4")
    assert upload(server, folder)["videos"] == 1
    (folder / "one.mp4").rename(folder / "two.mp4")
    assert upload(server, folder)["there"] == 1
    with (folder / "two.mp4").open("ab") as file:
        file.write((24).to_bytes(4, "big") + b"free" + b"a new title     ")
    assert upload(server, folder)["there"] == 1
    assert mlygeo.upload(folder, service=service_of(server), dry_run=True).attrs["summary"]["there"] == 1
    assert upload(server, folder, reupload=True)["videos"] == 1


class TestProcessAfterUpload:
    @pytest.fixture
    def placed(self, tmp_path):
        folder_of(tmp_path / "ph", 8, lon=None)
        return tmp_path / "ph", gpx_of(tmp_path / "ride.gpx", 60)

    def test_without_the_track(self, server, placed):
        folder, gpx = placed
        first = mlygeo.process(folder, geotag_source="gpx", geotag_source_path=gpx)
        upload(server, folder)
        images = mlygeo.process(folder)
        assert images["error"].isna().all()
        assert images["uploaded"].all()
        assert images.geometry.equals(first.geometry)
        assert images["sequence_id"].tolist() == first["sequence_id"].tolist()
        assert mlygeo.post_process(folder)["status"].tolist() == ["uploaded"] * 8
        assert upload(server, folder)["there"] == 8

    def test_moved_and_without_the_track(self, server, placed, capsys):
        from mlygeo import cli

        folder, gpx = placed
        mlygeo.process(folder, geotag_source="gpx", geotag_source_path=gpx)
        upload(server, folder)
        folder.rename(folder.parent / "moved")
        assert cli.main(["process", str(folder.parent / "moved"), "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert (summary["photos"], summary["ready"], summary["uploaded"], summary["failed"]) == (8, 8, 8, 0)
        assert summary["exif_written"] == 0

    def test_duplicates_stay_duplicates(self, server, tmp_path):
        folder = tmp_path / "ph"
        folder_of(folder, 6, lon=None)
        gpx = gpx_of(tmp_path / "ride.gpx", 60)
        mlygeo.process(folder, geotag_source="gpx", geotag_source_path=gpx, duplicate_distance=15.0)
        before = mlygeo.post_process(folder)["status"].tolist()
        assert sorted(set(before)) == ["duplicate", "to_be_uploaded"]
        upload(server, folder)
        images = mlygeo.process(folder)
        assert images["error"].isna().all()
        after = mlygeo.post_process(folder)["status"]
        assert after.value_counts().to_dict() == {
            "duplicate": before.count("duplicate"),
            "uploaded": 6 - before.count("duplicate"),
        }

    def test_deleted_photos_are_in_no_count_and_no_file(self, server, folder):
        mlygeo.process(folder)
        upload(server, folder)
        (folder / "img_00001.jpg").unlink()
        images = mlygeo.process(folder, rerun=False)
        assert len(images) == 3
        described = json.loads((folder / "mapillary_image_description.json").read_text())
        assert len(described) == 3
        assert mlygeo.read_frame(folder / ".mlygeo" / "images.parquet")["path"].str.contains("00001").sum() == 0

    def test_a_photo_that_comes_back_starts_from_its_own_tags(self, folder, tmp_path):
        once = mlygeo.process(folder, overwrite_all_exif_tags=True, offset_time=60).set_index("path")["captured_at"]
        (folder / "img_00001.jpg").rename(tmp_path / "away.jpg")
        mlygeo.process(folder, overwrite_all_exif_tags=True, offset_time=60)
        (tmp_path / "away.jpg").rename(folder / "back.jpg")
        again = mlygeo.process(folder, overwrite_all_exif_tags=True, offset_time=60).set_index("path")["captured_at"]
        assert sorted(once) == sorted(again)

    def test_leaving_subfolders_out_forgets_nothing(self, tmp_path):
        folder_of(tmp_path / "in", 2)
        folder_of(tmp_path / "in" / "sub", 2, ms=lambda number: START_MS + 100_000 + number * 2000)
        options = {"overwrite_all_exif_tags": True, "offset_time": 60}
        once = mlygeo.process(tmp_path / "in", **options)
        assert len(mlygeo.process(tmp_path / "in", skip_subfolders=True, **options)) == 2
        again = mlygeo.process(tmp_path / "in", **options)
        assert again["captured_at"].tolist() == once["captured_at"].tolist()

    def test_results_can_be_replaced_on_purpose(self, server, folder):
        first = mlygeo.process(folder, skip_exif_insert=True)
        upload(server, folder)
        same = mlygeo.process(folder, offset_time=10, skip_exif_insert=True)
        assert same["captured_at"].tolist() == first["captured_at"].tolist()
        new = mlygeo.process(folder, offset_time=10, skip_exif_insert=True, rerun=True)
        assert (first["captured_at"] - new["captured_at"]).dt.total_seconds().tolist() == [10.0] * 4


@pytest.mark.parametrize("output", [None, "out"])
def test_copies_leave_with_their_photos(folder, tmp_path, output):
    options = {"keep_original": True, "output": None if output is None else tmp_path / output}
    copies = (folder / ".mlygeo" if output is None else tmp_path / output) / "processed_images"
    copies.mkdir(parents=True)
    strangers = [] if output is None else ["img_00009.jpg", "notes.txt"]
    for name in strangers:
        shutil.copy(folder / "img_00000.jpg", copies / name)
    mlygeo.process(folder, **options)
    (folder / "img_00001.jpg").unlink()
    (folder / "img_00002.jpg").rename(folder / "x.jpg")
    mlygeo.process(folder, **options)
    there = sorted(path.name for path in copies.iterdir())
    assert there == sorted(["img_00000.jpg", "img_00003.jpg", "x.jpg", *strangers])
    if output is not None:
        # A file of the user that lies where a copy would be is none of ours.
        shutil.copy(folder / "x.jpg", copies / "x.jpg")
        mlygeo.process(folder, **{**options, "keep_original": False})
        assert sorted(path.name for path in copies.iterdir()) == sorted(["x.jpg", *strangers])


def test_an_id_once_given_stays(server, folder, tmp_path):
    given = insert(
        (folder / "img_00000.jpg").read_bytes(),
        description_tags({}, description={"MAPPhotoUUID": "an-app-s-own", "MAPLatitude": 1.0}),
    )
    (folder / "img_00000.jpg").write_bytes(given)
    images = mlygeo.process(folder)
    assert images["photo_uuid"].iloc[0] == "an-app-s-own"
    ids = images["photo_uuid"].tolist()
    folder.rename(tmp_path / "renamed")
    for options in OPTIONS.values():
        assert mlygeo.process(tmp_path / "renamed", **options)["photo_uuid"].tolist() == ids
    upload(server, tmp_path / "renamed")
    sent = [image["description"] for cluster in clusters_of(server.store) for image in cluster["images"]]
    assert len(sent) == len(ids)
    assert not any("MAPPhotoUUID" in description for description in sent)  # no field that the service documents
    mlygeo.zip_sequences(tmp_path / "renamed", output=tmp_path / "archives", reupload=True)
    assert upload(server, tmp_path / "archives")["images"] == 0


def test_a_history_of_the_first_version_loses_nothing(server, folder, tmp_path):
    mlygeo.process(folder)
    upload(server, folder)
    path = tmp_path / "history" / FILE
    with sqlite3.connect(path) as db:
        db.execute("DROP INDEX pictures")
        db.execute("DROP INDEX photo_uuids")
        for column in ("picture", "original_time", "photo_uuid"):
            db.execute(f"ALTER TABLE files DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 1")
        before = db.execute("SELECT path, status, md5, upload_md5 FROM files ORDER BY id").fetchall()
    db.close()
    content = path.read_bytes()
    history = mlygeo.upload_history()
    assert len(history) == 4
    assert history["picture"].isna().all()
    assert path.read_bytes() == content, "reading changes nothing: the file may be on a read-only medium"
    UploadLedger("another service", path.parent).__exit__()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT path, status, md5, upload_md5 FROM files ORDER BY id").fetchall() == before
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
    db.close()
    # Found by MD5, and known from then on.
    assert upload(server, folder)["there"] == 4
    assert mlygeo.upload_history()["picture"].notna().all()
    exiftool("-Artist=jane", folder)
    folder.rename(tmp_path / "renamed")
    assert upload(server, tmp_path / "renamed")["there"] == 4


KILLED_WHILE_UPGRADING = """
import os, signal, sqlite3, sys
from pathlib import Path
from mlygeo.uploads.ledger import UploadLedger
def run(left):
    real = sqlite3.connect
    def count(_):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    def connect(*given, **options):
        db = real(*given, **options)
        db.set_trace_callback(count)
        return db
    sqlite3.connect = connect
    with UploadLedger("s", Path(sys.argv[1])) as history:
        opened = (history.open_sets(None) or [history.open_set("f", "m", provider="panoramax", user_key=None)])[0]
        history.sent_to_set(opened.number, path="/new", md5="n", upload_md5="n", size=1, provider="panoramax",
                            picture_id="p", sequence_id=None, identity=None)
for left in range(60):
    child = os.fork()
    if child == 0:
        run(left)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    db = sqlite3.connect(Path(sys.argv[1]) / "upload_history.sqlite")
    print(status, *(db.execute(query).fetchone()[0] for query in (
        "PRAGMA user_version", "SELECT count(*) FROM files WHERE path LIKE '/old/%' AND status = 'sent'",
        "SELECT count(*) FROM files WHERE path = '/new'", "SELECT count(*) FROM uploads")))
    db.close()
    if status == 0:
        break
"""


@needs_unix("functions of Unix")
def test_an_upgrade_killed_at_any_statement_loses_and_repeats_nothing(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        first = TABLES.replace(
            ",\n    picture TEXT,\n    original_time TEXT,\n    photo_uuid TEXT,\n    provider TEXT", ""
        )
        db.executescript(f"{first} PRAGMA user_version = 1;")
        db.executemany(
            "INSERT INTO files (service, upload_md5, md5, path, kind, status, bytes, handle, sent_at) "
            "VALUES ('s', ?, ?, ?, 'image', 'sent', 1, 'h', 0)",
            [(f"{number}", f"{number}", f"/old/{number}") for number in range(200)],
        )
        assert "photo_uuid" not in {row[1] for row in db.execute("PRAGMA table_info(files)")}
    program = [sys.executable, "-c", KILLED_WHILE_UPGRADING, str(tmp_path)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    found = [tuple(map(int, line.split())) for line in said.splitlines()]
    assert {status for status, *_ in found[:-1]} == {-signal.SIGKILL}
    assert len(found) > 15
    assert [row[1] for row in found] == sorted(row[1] for row in found)
    assert {row[2] for row in found} == {200}
    assert max(row[3] for row in found[:-1]) == 0
    assert found[-1] == (0, 3, 200, 1, 1)


def test_what_was_only_sent_is_finished_under_another_name(server, folder, tmp_path):
    mlygeo.process(folder)
    assert upload(server, folder, manual_done=True)["ready"] == 1
    folder.rename(tmp_path / "renamed")
    mlygeo.process(tmp_path / "renamed", overwrite_all_exif_tags=True)
    assert upload(server, tmp_path / "renamed")["sequences"] == 1
    assert sent(server) == (4, 4)


def test_the_history_finds_by_what_is_known(tmp_path):
    one = identity.Identity("a" * 32, ("20240609120000",))
    with UploadLedger("s", tmp_path) as ledger:
        ledger.found(path="p", kind="image", md5="m", size=1, reason="r", identity=one._replace(given="u"))
        assert ledger.find(identity=one) is not None
        assert ledger.find(identity=one._replace(times=("x",), given="u")) is not None
        assert ledger.find(identity=one._replace(times=("20240609120001",))) is None
        assert ledger.find(identity=one._replace(times=("20240609120001",)), path="p") is not None
        assert ledger.find(identity=one._replace(picture="b" * 32, given="u")).is_edited
        assert ledger.find(identity=one._replace(picture="b" * 32, given="v")) is None
        assert ledger.find(identity=one._replace(picture="b" * 32, times=("x",), given="u")) is None
        assert ledger.has_picture("a" * 32)
        assert not ledger.has_picture("b" * 32)
    with UploadLedger("another service", tmp_path) as ledger:
        assert ledger.find(identity=one) is None


def test_photos_that_a_viewer_turned_after_the_upload_are_not_sent_again_in_silence(server, folder):
    from PIL import Image

    mlygeo.process(folder)
    assert upload(server, folder)["images"] == 4
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as picture:
            turned = picture.rotate(90, expand=True)
            turned.save(path, exif=picture.info["exif"])
    again = mlygeo.process(folder)
    assert again["uploaded"].all()
    summary = upload(server, folder)
    assert (summary["images"], summary["edited"]) == (0, 4)
    assert upload(server, folder, reupload=True)["images"] == 4


@pytest.mark.parametrize("gone", ["deleted", "moved out"])
def test_a_photo_takes_the_name_of_one_that_is_gone(server, folder, tmp_path, gone):
    mlygeo.process(folder)
    upload(server, folder)
    first, second = sorted(folder.glob("*.jpg"))[:2]
    if gone == "deleted":
        second.unlink()
    else:
        second.rename(tmp_path / "elsewhere.jpg")
    first.rename(second)
    images = mlygeo.process(folder)
    assert len(images) == 3
    assert images["uploaded"].all()
    assert upload(server, folder)["images"] == 0
