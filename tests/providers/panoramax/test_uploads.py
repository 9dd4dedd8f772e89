"""Uploads to a real instance: what arrives, what is rejected, what is found again after a kill or a lost answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import requests
from helpers.command_line import run
from helpers.faulty_proxy import Proxy, killed_often
from helpers.photo_folders import folder_of, gpx_of, picture, tagged
from helpers.processes import Forks
from helpers.unix import needs_unix

import mlygeo
from mlygeo.errors import CredentialsError, InputError, TokenRejectedError
from mlygeo.net.http import Retry
from mlygeo.providers.panoramax import items
from mlygeo.providers.panoramax.service import Endpoints, Service
from mlygeo.uploads import sets

QUICK = Retry(attempts=50, first_wait=0.01, longest_wait=0.1, rate_wait=0.05)


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    for name in ("MLYGEO_PANORAMAX_TOKEN", "MLYGEO_PANORAMAX_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def token(panoramax):
    return panoramax.user("Jane of the uploads")


@pytest.fixture
def service(panoramax, token):
    return Service(endpoints=Endpoints(panoramax.api), token=token, retry=QUICK)


places = iter(range(1000))


def elsewhere():
    """Return a longitude where no other test has pictures."""
    return 20 + next(places) * 0.05


def in_database(panoramax, folder):
    """Return what the server has of the pictures whose files have these names and contents."""
    rows = panoramax.query(
        "SELECT f.file_name, p.id, p.status, p.ts, ST_X(p.geom), ST_Y(p.geom), p.heading, f.rejection_status, "
        "f.upload_set_id, encode(decode(replace(f.content_md5::text, '-', ''), 'hex'), 'hex'), p.heading_computed "
        "FROM files f LEFT JOIN pictures p ON p.id = f.picture_id "
        f"JOIN upload_sets u ON u.id = f.upload_set_id WHERE u.title = '{folder.name}' ORDER BY f.file_name"
    )
    names = ["name", "id", "status", "ts", "lon", "lat", "heading", "rejected", "set", "md5", "computed"]
    return pd.DataFrame([line.split("|") for line in rows.splitlines()], columns=names)


def test_pictures_of_two_folders_become_two_sets_and_go_up_once(panoramax, token, tmp_path):
    lon = elsewhere()
    folder_of(tmp_path / "p" / "one of two", 4, lon=lon, heading=90.0)
    folder_of(tmp_path / "p" / "two of two", 3, lon=lon + 0.01, ms=lambda n: 1_719_000_000_250 + 2000 * n)
    (tmp_path / "p" / "two of two" / "unplaced.jpg").write_bytes(tagged(picture(77), ms=1_719_000_000_000))
    options = {"provider": "panoramax", "endpoint": panoramax.api, "token": token}

    rehearsed = mlygeo.upload(tmp_path / "p", **options | {"token": None}, dry_run=True).attrs["summary"]
    assert (rehearsed["images"], rehearsed["sets"], rehearsed["failed"]) == (7, 2, 1)
    assert (rehearsed["licence"], rehearsed["licence_url"]) == (
        "CC-BY-SA-4.0", "https://spdx.org/licenses/CC-BY-SA-4.0.html",
    )  # fmt: skip

    uploads = mlygeo.upload(tmp_path / "p", **options)
    summary = uploads.attrs["summary"]
    assert (summary["images"], summary["sets"], summary["sequences"], summary["failed"]) == (7, 2, 2, 1)
    assert uploads["status"].value_counts().to_dict() == {"done": 7, "failed": 1}
    assert set(uploads["provider"]) == {"panoramax"}
    for row in uploads[uploads["status"] == "done"].itertuples():
        item = requests.get(f"{panoramax.api}/pictures/{row.picture_id}", timeout=30).json()
        assert item["properties"]["original_file:name"] == Path(row.path).name
        assert item["collection"] in summary["sequence_ids"]
    there = in_database(panoramax, tmp_path / "p" / "two of two")
    assert there["ts"].str.contains(".25", regex=False).all()
    assert mlygeo.upload_history(tmp_path / "p")["picture_id"].tolist() == uploads["picture_id"].tolist()

    again = mlygeo.upload(tmp_path / "p", **options).attrs["summary"]
    assert (again["images"], again["there"], again["sets"]) == (0, 7, 0)


def test_what_process_knows_better_goes_along(panoramax, service, tmp_path):
    lon, folder = elsewhere(), tmp_path / "known better"
    folder_of(folder, 3, lon=lon, heading=10.0)
    processed = mlygeo.process(folder, offset_time=3600.5, offset_angle=90, skip_exif_insert=True)
    mlygeo.upload(folder, service=service)
    there = in_database(panoramax, folder)
    times = pd.to_datetime(there["ts"], utc=True, format="ISO8601")
    assert times.tolist() == processed["captured_at"].tolist()
    assert there["heading"].astype(float).tolist() == processed["compass_angle"].tolist() == [100.0] * 3
    assert there["computed"].eq("f").all()


@pytest.mark.parametrize(
    ("heading", "offset", "insertion"),
    [
        (None, 0.0, {}),
        (None, -45.0, {"skip_exif_insert": True}),
        (None, 0.0, {"overwrite_all_exif_tags": True}),
        (33.0, 0.0, {"overwrite_all_exif_tags": True}),
        (33.0, 170.0, {}),
    ],
)
def test_derived_headings_are_left_to_the_server(panoramax, service, tmp_path, heading, offset, insertion):
    folder = tmp_path / f"derived {heading} {offset} {next(iter(insertion), '')}"
    lon = elsewhere()
    folder_of(folder, 3, lon=lambda n: lon + n * 1e-4, step=0, heading=heading)
    asked = {"offset_angle": offset, "interpolate_directions": heading is not None}
    known = mlygeo.process(folder, **insertion, **asked)
    assert known["compass_angle"].round().tolist() == [90 + offset] * 3
    mlygeo.upload(folder, service=service)
    there = in_database(panoramax, folder)
    assert there["computed"].eq("t").all()
    assert there["heading"].astype(float).tolist() == pytest.approx(known["compass_angle"].tolist(), abs=1.01)
    for picture_id in there["id"]:
        content = requests.get(f"{panoramax.api}/pictures/{picture_id}/hd.jpg", timeout=30).content
        assert b"MAPCompassHeading" not in content
        item = requests.get(f"{panoramax.api}/pictures/{picture_id}", timeout=30).json()
        assert items.Reading(item).row["compass_source"] == "computed"


def test_only_derived_headings_are_left_to_the_server(panoramax, service, tmp_path, caplog):
    """Some photos have a heading, others have none, and one was corrected by hand in the description file."""
    lon, folder = elsewhere(), tmp_path / "some derived"
    folder_of(folder, 5, lon=lon, heading=lambda n: 33.0 if n < 2 else None)
    mlygeo.process(folder, offset_angle=45)
    path = folder / "mapillary_image_description.json"
    entries = json.loads(path.read_text())
    entries[3]["MAPCompassHeading"] = {"TrueHeading": 200.0, "MagneticHeading": 200.0}
    path.write_text(json.dumps(entries))
    mlygeo.upload(folder, service=service)
    there = in_database(panoramax, folder)
    assert there["computed"].tolist() == ["f", "f", "t", "f", "t"]
    assert there["heading"].astype(float).tolist() == [78.0, 78.0, 0.0, 200.0, 0.0]
    assert "derived at 45° from the direction of travel are derived by the service without this angle" in caplog.text


def test_headings_of_descriptions_without_a_record_are_said(panoramax, service, tmp_path, caplog):
    lon, folder = elsewhere(), tmp_path / "no record"
    folder_of(folder, 3, lon=lambda n: lon + n * 1e-4, step=0)
    mlygeo.process(folder, skip_exif_insert=True)
    shutil.rmtree(folder / ".mlygeo")
    mlygeo.upload(folder, service=service)
    assert "3 headings go up as measured; nothing says" in caplog.text
    assert in_database(panoramax, folder)["computed"].eq("f").all()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ((2.35, 48.85), "2024-06-10T08:13:20.500000+02:00"),
        ((77.2, 28.6), "2024-06-10T11:43:20.500000+05:30"),
        ((-74.0, 40.7), "2024-06-10T02:13:20.500000-04:00"),
        ((-52.71, 47.56), "2024-06-10T06:13:20.500000+00:00"),  # Newfoundland: its half hours become wrong there
    ],
)
def test_times_have_the_offset_of_the_place(panoramax, service, tmp_path, place, said):
    folder = tmp_path / f"zone of {place[0]}"
    folder_of(folder, 1, lon=place[0], lat=place[1], ms=1_717_996_400_500)
    mlygeo.process(folder, offset_time=-3600, skip_exif_insert=True)
    (picture_id,) = mlygeo.upload(folder, service=service)["picture_id"]
    item = requests.get(f"{panoramax.api}/pictures/{picture_id}", timeout=30).json()["properties"]
    assert pd.Timestamp(item["datetime"]) == pd.Timestamp(said)
    assert item["datetimetz"] == said
    assert item["exif"]["Exif.Photo.OffsetTimeOriginal"] == said[-6:]


@needs_unix("functions of Unix")
def test_photos_that_cannot_be_uploaded_are_rows_of_the_history(panoramax, service, tmp_path, capsys):
    folder = tmp_path / "some refused"
    folder_of(folder, 2, lon=elsewhere())
    (folder / "unplaced.jpg").write_bytes(tagged(picture(77), ms=1_719_000_000_000))
    (folder / "broken.jpg").write_bytes(b"nothing")
    os.mkfifo(folder / "pipe.jpg")
    alone = tmp_path / "all refused"
    alone.mkdir()
    shutil.copy(folder / "unplaced.jpg", alone / "unplaced.jpg")
    for place, done in ((folder, 2), (alone, 0)):
        uploads = mlygeo.upload(place, service=service)
        history = mlygeo.upload_history(place)
        for frame in (uploads, history, pd.read_parquet(place / ".mlygeo" / "upload_history.parquet")):
            assert frame["status"].value_counts().to_dict() == ({"failed": 3, "done": 2} if done else {"failed": 1})
            failed = frame[frame["status"] == "failed"]
            failed = failed.set_index(failed["path"].map(os.path.basename))
            assert "no position" in failed.loc["unplaced.jpg", "reason"]
            assert failed["provider"].eq("panoramax").all()
        assert uploads.attrs["summary"]["failed"] == (3 if done else 1)
    track = gpx_of(tmp_path / "ride.gpx", 60, start_ms=1_719_000_000_000 - 30_000)
    mlygeo.process(alone, geotag_source="gpx", geotag_source_path=track)
    assert mlygeo.upload(alone, service=service)["status"].tolist() == ["done"]
    assert mlygeo.upload_history(alone)["status"].tolist() == ["done"]
    mlygeo.upload(alone, service=service, dry_run=True)


def test_positions_of_a_track_go_along_with_photos_that_have_none(panoramax, service, tmp_path):
    folder, track = tmp_path / "by track", gpx_of(tmp_path / "ride.gpx", 60)
    folder_of(folder, 4, lon=None, lat=None)
    known = mlygeo.process(
        folder, geotag_source="gpx", geotag_source_path=track, device_make="Acme", device_model="One",
        gps_accuracy=2.5, skip_exif_insert=True,
    )  # fmt: skip
    uploads = mlygeo.upload(folder, service=service)
    assert uploads["status"].tolist() == ["done"] * 4
    for row, picture_id in zip(known.itertuples(), uploads["picture_id"], strict=True):
        item = requests.get(f"{panoramax.api}/pictures/{picture_id}", timeout=30).json()
        assert item["geometry"]["coordinates"] == pytest.approx([row.geometry.x, row.geometry.y], abs=2e-8)
        assert pd.Timestamp(item["properties"]["datetime"]) == row.captured_at
        height = item["properties"]["exif"]["Exif.GPSInfo.GPSAltitude"].split("/")
        assert int(height[0]) / int(height[1]) == pytest.approx(row.altitude, abs=0.01)
        camera = item["properties"]["pers:interior_orientation"]
        assert (camera["camera_manufacturer"], camera["camera_model"]) == ("Acme", "One")
        assert item["properties"]["quality:horizontal_accuracy"] == 2.5


def test_a_file_that_says_all_itself_is_not_changed(panoramax, service, tmp_path):
    folder = tmp_path / "unchanged"
    (path,) = folder_of(folder, 1, lon=elsewhere(), heading=33.0)
    uploads = mlygeo.upload(folder, service=service)
    url = f"{panoramax.api}/pictures/{uploads['picture_id'][0]}/hd.jpg"
    assert requests.get(url, timeout=30).content == path.read_bytes()


def test_only_who_blurred_says_so(panoramax, service, tmp_path):
    said = "SELECT metadata->>'blurredByAuthor' FROM pictures WHERE id = '{}'"
    for blurred in (False, True):
        folder = tmp_path / f'"{blurred}" and ü'
        folder.mkdir()
        place = {"lon": elsewhere(), "lat": 48.77}
        (folder / 'an "é" .JPG').write_bytes(tagged(picture(901 + blurred), ms=1_718_000_000_000, **place))
        uploads = mlygeo.upload(folder, service=service, blurred=blurred)
        assert uploads["status"].tolist() == ["done"]
        assert panoramax.query(said.format(uploads["picture_id"][0])) == str(blurred).lower()


def test_owners_in_image_descriptions_stay_here(panoramax, service, tmp_path):
    folder = tmp_path / "owned"
    folder_of(folder, 1, lon=elsewhere(), heading=33.0)
    mlygeo.process(folder, user_name="jane-of-mapillary", organization_key="1234567890123456")
    uploads = mlygeo.upload(folder, service=service)
    content = requests.get(f"{panoramax.api}/pictures/{uploads['picture_id'][0]}/hd.jpg", timeout=30).content
    assert b"jane-of-mapillary" not in content
    assert b"1234567890123456" not in content


def test_rejections_are_rows_and_duplicates_no_failures(panoramax, service, tmp_path):
    lon, folder = elsewhere(), tmp_path / "rejected"
    folder_of(folder, 3, lon=lon, heading=90.0)
    near = {"lon": lon, "lat": 48.77 + 2e-6}
    (folder / "near.jpg").write_bytes(tagged(picture(500), ms=1_718_000_000_900, heading=100.0, **near))
    other = tmp_path / "rejected elsewhere"
    other.mkdir()
    mlygeo.upload(folder, service=service)
    frame = mlygeo.upload_history(folder)
    by_name = frame.set_index(frame["path"].map(os.path.basename))
    assert by_name.loc["near.jpg", "status"] == "rejected"
    assert "duplicate" in by_name.loc["near.jpg", "reason"]
    assert by_name["status"].value_counts().to_dict() == {"done": 3, "rejected": 1}
    # The same content by another user, whose history is empty.
    shutil.copy(folder / "img_00001.jpg", other / "copy.jpg")
    shutil.rmtree(tmp_path / "history")
    stranger = Service(endpoints=service.endpoints, token=panoramax.user("Stranger"), retry=QUICK)
    summary = mlygeo.upload(other, service=stranger).attrs["summary"]
    assert (summary["images"], summary["duplicates"], summary["failed"]) == (0, 1, 0)
    assert mlygeo.upload_history(other)["status"].tolist() == ["rejected"]
    again = mlygeo.upload(other, service=stranger).attrs["summary"]
    assert (again["duplicates"], again["sets"]) == (1, 0)


def test_an_excluded_area_is_a_failure_with_the_reason(panoramax, service, tmp_path):
    lon, folder = elsewhere(), tmp_path / "excluded"
    folder_of(folder, 2, lon=lambda n: lon + n * 0.001, step=0)
    panoramax.query(
        "INSERT INTO excluded_areas(label, is_public, geom) VALUES ('castle', true, "
        f"ST_Multi(ST_MakeEnvelope({lon - 0.0001}, 48.7, {lon + 0.0001}, 48.8, 4326)))"
    )
    uploads = mlygeo.upload(folder, service=service)
    assert uploads.attrs["summary"]["failed"] == 1
    assert uploads["status"].tolist() == ["failed", "done"]
    assert "excluded" in uploads["reason"][0]


def test_what_has_no_effect_or_would_publish_private_images_is_refused(panoramax, service, tmp_path):
    folder = tmp_path / "private"
    folder_of(folder, 2, lon=elsewhere())
    for option in ({"private": True}, {"organization_key": "123"}, {"file_types": "image"}, {"track": "x.gpx"}):
        with pytest.raises(InputError, match=rf"`{next(iter(option))}` has no effect for Panoramax"):
            mlygeo.upload(folder, service=service, **option)
    with pytest.raises(InputError, match="`blurred` has no effect for Mapillary"):
        mlygeo.upload(folder, blurred=True)
    with pytest.raises(InputError, match="`endpoint` has no effect for Mapillary"):
        mlygeo.upload(folder, endpoint=panoramax.api)
    with pytest.raises(InputError, match="the catalogue of all instances takes no uploads"):
        mlygeo.upload(folder, provider="panoramax")
    mlygeo.process(folder, private=True, organization_key="1234567890123456")
    with pytest.raises(InputError, match="2 images are marked as private"):
        mlygeo.upload(folder, service=service)
    assert in_database(panoramax, folder).empty


def test_nobody_uploads_without_a_token_that_the_instance_knows(panoramax, tmp_path):
    folder = tmp_path / "nobody"
    folder_of(folder, 1, lon=elsewhere())
    options = {"provider": "panoramax", "endpoint": panoramax.api, "config_file": tmp_path / "users.json"}
    with pytest.raises(CredentialsError, match="nobody has signed in"):
        mlygeo.upload(folder, **options)
    with pytest.raises(TokenRejectedError) as refused:
        mlygeo.upload(folder, **options, token="eyJ.not.one")
    assert "eyJ.not.one" not in str(refused.value)


@pytest.mark.parametrize("place", ["/upload_sets", "/files", "/complete"])
def test_an_answer_that_is_lost_repeats_nothing(panoramax, token, tmp_path, place):
    folder = tmp_path / f"lost {place.strip('/')}"
    folder_of(folder, 3, lon=elsewhere())
    with Proxy(panoramax.api) as proxy:
        proxy.lost_answers = [f"POST /api{place}" if place == "/upload_sets" else place]
        service = Service(endpoints=Endpoints(proxy.api), token=token, retry=QUICK)
        assert mlygeo.upload(folder, service=service).attrs["summary"]["images"] == 3
        assert not proxy.lost_answers
        # A set that is completed again as the server begins to cut it makes the server wait for itself.
        assert proxy.seen["POST complete"] == 1
    there = in_database(panoramax, folder)
    assert (len(there), there["id"].nunique(), there["set"].nunique()) == (3, 3, 1)
    assert panoramax.query(f"SELECT count(*) FROM upload_sets WHERE title = '{folder.name}'") == "1"


def test_the_token_goes_to_the_instance_alone_and_only_where_it_is_needed(panoramax, token, tmp_path):
    folder = tmp_path / "token"
    folder_of(folder, 1, lon=elsewhere())
    with Proxy(panoramax.api) as proxy:
        mlygeo.upload(folder, provider="panoramax", endpoint=proxy.api, token=token, dry_run=True)
        assert not any("Authorization" in each for each in proxy.headers)
        mlygeo.upload(folder, provider="panoramax", endpoint=proxy.api, token=token)
        assert sum("Authorization" in each for each in proxy.headers) == proxy.count - 2  # the configuration, twice


QUICKLY = """
import geopandas, pyarrow.parquet, mlygeo
import mlygeo.pipelines.upload_sets, mlygeo.readers.photos, mlygeo.uploads.owner, mlygeo.uploads.sets
from mlygeo.net.http import Retry
from mlygeo.providers.panoramax import provider, uploads
from mlygeo.providers.panoramax.service import Endpoints, Service
retry = Retry(attempts=50, first_wait=0.01, longest_wait=0.1, rate_wait=0.05)
def main(folder, api, token):
    service = Service(endpoints=Endpoints(api), token=token, retry=retry)
    summary = mlygeo.upload(folder, service=service).attrs["summary"]
    return 3 if summary["failed"] or summary["unfinished"] else 0
"""

PICTURES, KILLS, SEED = (
    int(os.environ.get(name, default))
    for name, default in (("MLYGEO_PICTURES", 300), ("MLYGEO_KILLS", 20), ("MLYGEO_SEED", 5))
)


@needs_unix("kill -9 for another process")
def test_kills_through_a_bad_line_lose_nothing_and_repeat_nothing(panoramax, token, tmp_path):
    folder = tmp_path / "killed"
    folder_of(folder, PICTURES, lon=elsewhere(), heading=90.0)
    with (
        Proxy(panoramax.api, share=0.3, seed=6 + SEED) as proxy,
        Forks(QUICKLY, folder, proxy.api, token, log=tmp_path / "log.txt") as program,
    ):
        killed_often(program, proxy, kills=KILLS, most=max(3, 2 * PICTURES // KILLS), seed=SEED)
    each_there_once(panoramax, folder, PICTURES)


@needs_unix("kill -9 for another process")
def test_a_kill_at_any_request_loses_nothing_and_repeats_nothing(panoramax, token, tmp_path):
    folder, runs = tmp_path / "killed at each", 0
    folder_of(folder, 3, lon=elsewhere(), heading=90.0)
    with Proxy(panoramax.api) as proxy:
        with Forks(QUICKLY, folder, proxy.api, token, log=tmp_path / "log.txt") as program:
            status = None
            while status != 0:
                runs += 1
                run, goal = program.begin(), proxy.count + runs
                while proxy.count < goal and run.poll() is None:
                    time.sleep(0.001)
                status = run.kill()
                assert status in {-signal.SIGKILL, 0}, run.said
                assert runs < 50
        asked = {f"{method} /{path}" for method, _, path in (each.partition(" ") for each in proxy.seen)}
    assert runs > 6
    assert asked >= {
        "GET /configuration",
        "GET /me",
        "POST /upload_sets",
        "POST /files",
        "POST /complete",
        "GET /files",
    }
    each_there_once(panoramax, folder, 3)


def each_there_once(panoramax, folder, count):
    there = in_database(panoramax, folder)
    assert there["name"].tolist() == sorted(path.name for path in folder.glob("*.jpg"))
    assert there["status"].eq("ready").all()
    assert (there["id"].nunique(), there["set"].nunique()) == (count, 1)
    sets = panoramax.query(f"SELECT id FROM upload_sets WHERE title = '{folder.name}'").split()
    assert there["set"].unique().tolist() == sets
    assert panoramax.query(f"SELECT count(*) FROM pictures WHERE upload_set_id = '{sets[0]}'") == str(count)
    frame = mlygeo.upload_history(folder)
    assert Counter(frame["status"]) == {"done": count}
    assert set(frame["picture_id"]) == set(there["id"])


def test_a_folder_that_was_moved_in_the_middle_goes_on_in_the_same_set(panoramax, service, tmp_path):
    folder = tmp_path / "moved"
    folder_of(folder, 4, lon=elsewhere())
    uploads = mlygeo.upload(folder, service=service, manual_done=True)
    assert set(uploads["status"]) == {"sent"}
    assert uploads.attrs["summary"]["ready"] == 1
    folder.rename(tmp_path / "moved since")
    uploads = mlygeo.upload(tmp_path / "moved since", service=service)
    assert set(uploads["status"]) == {"done"}
    there = in_database(panoramax, folder)
    assert (len(there), there["set"].nunique()) == (4, 1)
    assert in_database(panoramax, tmp_path / "moved since").empty


def test_a_picture_in_the_works_is_waited_for_and_then_left_to_the_server(
    panoramax, service, tmp_path, monkeypatch, capsys
):
    command = ["upload", tmp_path / "in the works", "--provider", "panoramax", "--endpoint", panoramax.api]
    command += ["--token", service.token]
    folder = tmp_path / "in the works"
    folder_of(folder, 3, lon=elsewhere())
    (one,) = mlygeo.upload(folder, service=service, manual_done=True)["picture_id"][:1]
    pending = f"SELECT count(*) FROM pictures WHERE id = '{one}' AND preparing_status = 'prepared'"
    until = time.monotonic() + 60
    while panoramax.query(pending) != "1" and time.monotonic() < until:
        time.sleep(0.1)
    panoramax.query(f"UPDATE pictures SET preparing_status = 'not-processed' WHERE id = '{one}'; DELETE FROM job_queue "
                    f"WHERE picture_id = '{one}'")  # fmt: skip
    monkeypatch.setattr(sets, "WAIT_S", 1.0)
    uploads = mlygeo.upload(folder, service=service)
    summary = uploads.attrs["summary"]
    assert (summary["pending"], summary["unfinished"], summary["sets"]) == (1, 1, 0)
    assert uploads["status"].tolist() == ["ready"] * 3
    status, _, said = run(capsys, *command)
    assert status == 3
    assert "1 upload set not finished; the same command goes on from there" in said
    panoramax.query(f"UPDATE pictures SET preparing_status = 'prepared' WHERE id = '{one}'")
    monkeypatch.setattr(sets, "WAIT_S", 60.0)
    uploads = mlygeo.upload(folder, service=service)
    assert (uploads.attrs["summary"]["unfinished"], uploads.attrs["summary"]["sets"]) == (0, 1)
    assert uploads["status"].tolist() == ["done"] * 3
    assert run(capsys, *command)[0] == 0
    assert len(in_database(panoramax, folder)) == 3


def test_a_picture_that_the_server_cannot_process_is_a_failed_row(panoramax, service, tmp_path):
    folder = tmp_path / "broken"
    folder_of(folder, 3, lon=elsewhere())
    cut = tagged(picture(900, (640, 480)), ms=1_718_000_009_000, lon=next(places) + 20.5, lat=48.9)
    (folder / "cut.jpg").write_bytes(cut[: len(cut) * 2 // 3])
    uploads = mlygeo.upload(folder, service=service)
    by_name = uploads.set_index(uploads["path"].map(lambda path: Path(path).name))
    assert by_name.loc["cut.jpg", "status"] == "failed"
    assert "could not process" in by_name.loc["cut.jpg", "reason"]
    assert by_name["status"].value_counts().to_dict() == {"done": 3, "failed": 1}
    assert uploads.attrs["summary"]["failed"] == 1


def test_the_preset_flags_what_the_server_drops(panoramax, service, tmp_path):
    """Random pictures: near ones, gaps of time and place, headings that are there or not."""
    folder, chance, lon = tmp_path / "preset", np.random.default_rng(3), elsewhere()
    folder.mkdir()
    ms, x, y = 1_718_000_000_000, 0.0, 0.0
    for number in range(60):
        ms += int(chance.choice([500, 2000, 299_000, 301_000], p=[0.4, 0.5, 0.05, 0.05]))
        step = chance.choice([0.0, 0.4, 0.9, 5.0, 99.0, 130.0], p=[0.25, 0.2, 0.2, 0.25, 0.05, 0.05])
        y += step * chance.choice([-1, 1])
        x += chance.choice([0.0, 0.3])
        heading = None if chance.random() < 0.2 else float(chance.choice([0, 45, 59.6, 61, 180, 350]))
        place = {"lon": lon + x / 73_300, "lat": 48.77 + y / 111_195}
        (folder / f"{number:03}.jpg").write_bytes(tagged(picture(number), ms=ms, heading=heading, **place))
    flagged = mlygeo.process(folder, preset="panoramax", endpoint=panoramax.api, dry_run=True)
    summary = mlygeo.upload(folder, service=service).attrs["summary"]
    there = in_database(panoramax, folder)
    dropped = set(there.loc[there["rejected"] == "capture_duplicate", "name"])
    assert len(dropped) > 5
    assert {Path(path).name for path in flagged.loc[flagged["is_duplicate"], "path"]} == dropped
    assert summary["duplicates"] == len(dropped)
    rows = panoramax.query(
        "SELECT sp.seq_id, string_agg(f.file_name, ',' ORDER BY sp.rank) FROM sequences_pictures sp "
        "JOIN files f ON f.picture_id = sp.pic_id JOIN upload_sets u ON u.id = f.upload_set_id "
        f"WHERE u.title = '{folder.name}' GROUP BY sp.seq_id"
    )
    theirs = sorted(line.split("|")[1].split(",") for line in rows.splitlines())
    kept = flagged[~flagged["is_duplicate"]].sort_values("captured_at")
    ours = sorted(list(map(os.path.basename, paths)) for _, paths in kept.groupby("sequence_id")["path"])
    assert len(ours) > 3
    assert ours == theirs


def test_terms_of_service_that_are_not_accepted_are_named(tmp_path):
    from mlygeo.providers.panoramax.answers import judge

    body = json.dumps({
        "message": "You need to accept the terms of service", "status_code": 401,
        "details": {"validation_page": "https://instance.example/tos"},
    }).encode()  # fmt: skip
    trouble = judge(401, {}, body, what="a set", now=0, token_hint="sign in")
    assert isinstance(trouble.error, TokenRejectedError)
    assert "https://instance.example/tos" in trouble.error.hint


def test_the_chain_processes_by_the_preset_and_uploads(panoramax, token, tmp_path):
    folder = tmp_path / "in a chain"
    folder_of(folder, 3, lon=elsewhere(), heading=45.0)
    options = {"provider": "panoramax", "preset": "panoramax", "endpoint": panoramax.api, "token": token}
    uploads = mlygeo.process_and_upload(folder, **options)
    assert set(uploads["status"]) == {"done"}
    assert in_database(panoramax, folder)["name"].tolist() == sorted(path.name for path in folder.glob("*.jpg"))
    assert mlygeo.process_and_upload(folder, **options).attrs["summary"]["there"] == 3
