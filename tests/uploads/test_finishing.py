"""Uploads that were left ready: finished once, sent anew where the service forgot them, for whom it is asked."""

import hashlib
import re
import shutil
import sqlite3

import pytest
from conftest import DATA
from helpers.upload_folders import clusters_of, folder_of, log_of, service_of

import mlygeo
from mlygeo.uploads.ledger import FILE, FIND, UploadLedger

pytestmark = pytest.mark.usefixtures("history")


@pytest.fixture(params=["archives", "video", "images"])
def folder(request, tmp_path):
    """What makes two uploads or one, and how many."""
    place = tmp_path / request.param
    if request.param == "video":
        place.mkdir()
        shutil.copy(DATA / "video" / "blackvue_form_leeds.mp4", place)
        return place, 1
    folder_of(tmp_path / "photos", 6, a_sequence=3)
    if request.param == "archives":
        mlygeo.zip_sequences(tmp_path / "photos", output=place)
        return place, 2
    return tmp_path / "photos", 2


def upload(server, folder, **more):
    return mlygeo.upload(folder, service=service_of(server), **more)


@pytest.mark.parametrize("reupload", [False, True])
def test_what_the_service_forgot_is_sent_anew(server, folder, reupload):
    place, number = folder
    assert upload(server, place, manual_done=True).attrs["summary"]["ready"] == number
    shutil.rmtree(server.store)
    server.store.mkdir()
    uploads = upload(server, place, reupload=reupload)
    assert uploads.attrs["summary"]["failed"] == 0
    assert set(uploads["status"]) == {"done"}
    assert len(clusters_of(server.store)) == number
    assert set(upload(server, place)["status"]) == {"done"}
    assert len(clusters_of(server.store)) == number


def test_reupload_of_what_is_ready_finishes_it_once_and_sends_no_byte_again(server, folder):
    place, number = folder
    upload(server, place, manual_done=True)
    uploads = upload(server, place, reupload=True)
    assert set(uploads["status"]) == {"done"}
    assert len(clusters_of(server.store)) == number
    files = [line["key"] for line in log_of(server.store) if line["event"] == "whole"]
    assert len(files) == len(set(files))


def test_they_are_finished_for_the_organization_they_were_left_ready_for_and_that_is_said(server, folder, caplog):
    place, number = folder
    upload(server, place, manual_done=True, organization_key="2")
    uploads = upload(server, place)
    assert [cluster["organization_id"] for cluster in clusters_of(server.store)] == ["2"] * number
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == number
    assert all("finished for the organization 2, as it was left ready" in message for message in said)
    assert set(uploads["organization_key"]) == {"2"}


@pytest.mark.parametrize("before", [None, "77"])
def test_an_organization_that_is_named_now_counts(server, folder, tmp_path, caplog, before):
    place, number = folder
    upload(server, place, manual_done=True)
    with sqlite3.connect(tmp_path / "history" / FILE) as db:
        db.execute("UPDATE uploads SET organization_key = ?", (before,))
    db.close()
    uploads = upload(server, place, organization_key="2")
    assert [cluster["organization_id"] for cluster in clusters_of(server.store)] == ["2"] * number
    assert set(uploads["organization_key"]) == {"2"}
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def md5(number):
    return hashlib.md5(str(number).encode()).hexdigest()


def test_a_long_history_is_searched_and_not_gone_through(tmp_path):
    """Looked for by either MD5, and told apart; what SQLite plans for that does not grow with the history."""
    with UploadLedger("a service", tmp_path) as ledger:
        with sqlite3.connect(tmp_path / FILE) as db:
            db.executemany(
                "INSERT INTO files (service, upload_md5, md5, path, kind, status, sent_at) "
                "VALUES ('a service', ?, ?, ?, 'image', 'done', 1)",
                [(md5(number), md5(-number), f"{number}.jpg") for number in range(1, 3001)],
            )
            plan = [row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {FIND}", ("a service", "x", "a service", "x"))]
        db.close()
        assert ledger.find(md5=md5(-7)).status == ledger.find(upload_md5=md5(7)).status == "done"
        assert ledger.find(md5=md5(7)) is ledger.find(upload_md5=md5(-7)) is None
    searches = [step for step in plan if step.startswith("SEARCH f ")]
    assert [re.search(r"AND (\w+)=\?", step)[1] for step in searches] == ["md5", "upload_md5"], plan
    assert not [step for step in plan if step.startswith("SCAN")]
