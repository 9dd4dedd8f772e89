"""Ledgers with images of several providers: keys, the upgrade of old ones, and what a killed run leaves."""

import contextlib
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlygeo
from mlygeo.downloads import ledger
from mlygeo.downloads.ledger import FAILED, GONE, THERE, UNKNOWN, Form, Ledger, Transfer
from mlygeo.errors import FormatError

FORM = Form()
UUID = "fc4bd9cd-e3d5-4218-81b3-0ae99d92635a"


def done(key, path, provider="mapillary", status="done"):
    return Transfer(key, status, FORM, path=path, sequence_id="s", bytes=1, tries=1, started_at=1_720_488_258_913,
                    finished_at=1_720_488_259_000, provider=provider)  # fmt: skip


def version(folder):
    with contextlib.closing(sqlite3.connect(folder / ".mlygeo" / "ledger.sqlite")) as db:
        return db.execute("PRAGMA user_version").fetchone()[0]


def objects(*keys):
    found = np.empty(len(keys), dtype=object)
    found[:] = keys
    return found


@pytest.fixture
def old(tmp_path):
    """The folder of an earlier version of this program: three images of Mapillary."""
    (tmp_path / ".mlygeo").mkdir()
    (tmp_path / "x.jpg").write_bytes(b"x")
    with contextlib.closing(sqlite3.connect(tmp_path / ".mlygeo" / "ledger.sqlite")) as db:
        db.executescript(
            """
            PRAGMA journal_mode = WAL;
            CREATE TABLE transfers (
                id INTEGER PRIMARY KEY, status TEXT NOT NULL, path TEXT, sequence_id TEXT, size TEXT NOT NULL,
                format TEXT NOT NULL, layout TEXT NOT NULL, options TEXT NOT NULL, bytes INTEGER, checksum TEXT,
                tries INTEGER NOT NULL, reason TEXT, started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL
            );
            CREATE INDEX time_paths ON transfers (path) WHERE layout = 'time';
            INSERT INTO transfers VALUES
                (7, 'done', 'x.jpg', 's', 'original', 'jpg', 'sequence', '', 1, 'c', 1, NULL, 1, 2),
                (12, 'failed', NULL, NULL, 'original', 'jpg', 'sequence', '', NULL, NULL, 9, 'why', 1, 2),
                (9, 'gone', NULL, NULL, 'original', 'jpg', 'sequence', '', NULL, NULL, 1, 'gone', 1, 2);
            PRAGMA user_version = 1;
            """
        )
    return tmp_path


def test_an_old_folder_stays_as_it_is_until_another_provider_comes(old):
    before = mlygeo.transfers(old)
    with Ledger(old) as opened:
        assert opened.states(np.array([7, 9, 12, 13]), FORM).tolist() == [THERE, GONE, FAILED, UNKNOWN]
        assert opened.states(objects(UUID), FORM, "panoramax").tolist() == [UNKNOWN]
        assert opened.failed_ids("panoramax").tolist() == []
        assert opened.providers() == ["mapillary"]
        opened.record(done(8, "x.jpg"))
    assert version(old) == 1
    assert mlygeo.transfers(old).query("id != 8").reset_index(drop=True).equals(before)
    with Ledger(old) as opened:
        opened.record(done(UUID, "x.jpg", "panoramax"))
        assert opened.states(objects(UUID), FORM, "panoramax").tolist() == [THERE]
        assert opened.states(np.array([7, 9, 12, 13]), FORM).tolist() == [THERE, GONE, FAILED, UNKNOWN]
        assert opened.failed_ids().tolist() == [12]
        assert opened.providers() == ["mapillary", "panoramax"]
    assert version(old) == 2
    after = mlygeo.transfers(old)
    assert after["id"].tolist() == ["7", "8", "9", "12", UUID]
    assert after["provider"].tolist() == ["mapillary"] * 4 + ["panoramax"]
    assert after.columns[-1] == "provider"


UPGRADE = """
import os, sys
from pathlib import Path
from mlygeo.downloads.ledger import Form, Ledger, Transfer
opened = Ledger(Path(sys.argv[1]))
left = int(sys.argv[2])
def count(statement):
    global left
    left -= 1
    if left < 0:
        os._exit(9)
opened._db.set_trace_callback(count)
opened.record(Transfer("a", "failed", Form(), provider="other"))
opened.close()
"""


def test_a_run_killed_at_any_statement_leaves_the_old_folder_or_the_new_one(old):
    """The process ends before its statement number `left`."""
    found = []
    before = mlygeo.transfers(old)
    for left in range(20):
        ended = subprocess.run(
            [sys.executable, "-c", UPGRADE, str(old), str(left)], timeout=120, check=False
        ).returncode
        now = version(old)
        found.append(now)
        rows = mlygeo.transfers(old)
        assert rows["status"].tolist()[:3] == before["status"].tolist()
        with Ledger(old) as opened:
            assert opened.states(np.array([7, 9, 12]), FORM).tolist() == [THERE, GONE, FAILED]
        if ended == 0:
            break
        assert ended == 9
        assert len(rows) == 3
    assert found.count(1) >= 5
    assert found == sorted(found)
    assert mlygeo.transfers(old)["id"].tolist() == ["7", "9", "12", "a"]


def test_a_ledger_that_another_process_upgrades_meanwhile_stays_so(tmp_path, monkeypatch):
    real = ledger.write_ahead

    def overtaken(db):
        monkeypatch.setattr(ledger, "write_ahead", real)
        with Ledger(tmp_path) as first:
            first.record(done(UUID, "x.jpg", "panoramax"))
        real(db)

    monkeypatch.setattr(ledger, "write_ahead", overtaken)
    with Ledger(tmp_path) as opened:
        opened.record(done(5, "y.jpg", "toy"))
    assert version(tmp_path) == 2
    assert mlygeo.transfers(tmp_path)["id"].tolist() == [UUID, "5"]


def test_a_ledger_that_is_being_written_is_waited_for(old):
    path = old / ".mlygeo" / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode = DELETE")  # as a copy by SQLite's own tool has it
        other.execute("BEGIN IMMEDIATE")
        later = threading.Timer(0.3, other.execute, ["COMMIT"])
        later.start()
        with Ledger(old) as opened:
            assert opened.failed_ids().tolist() == [12]
        later.join()


def test_a_newer_ledger_is_refused(old):
    with contextlib.closing(sqlite3.connect(old / ".mlygeo" / "ledger.sqlite")) as db:
        db.execute("PRAGMA user_version = 3")
    for read in (lambda: mlygeo.transfers(old), lambda: Ledger(old)):
        with pytest.raises(FormatError, match="made by a newer mlygeo"):
            read()


def test_equal_numbers_of_two_providers_are_two_images(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"x")
    with Ledger(tmp_path) as opened:
        opened.record(done(5, "x.jpg"), done(5, "y.jpg", "toy"), done("5", "x.jpg", "text"))
        assert opened.states(np.array([5]), FORM).tolist() == [THERE]
        assert opened.states(np.array([5]), FORM, "toy").tolist() == [UNKNOWN]
        assert opened.states(objects("5"), FORM, "text").tolist() == [THERE]
        assert opened.states(np.array([5]), FORM, "nobody").tolist() == [UNKNOWN]
        assert [row[0] for rows in opened.rows(provider="toy") for row in rows] == [5]
        assert [row[0] for rows in opened.rows(provider="text") for row in rows] == ["5"]
    assert mlygeo.transfers(tmp_path)["provider"].tolist() == ["mapillary", "text", "toy"]


def test_whose_a_file_is(tmp_path):
    with Ledger(tmp_path) as opened:
        opened.record(done(5, "Ride/5.jpg"), done(5, "toy/ride/5.jpg", "toy"), done("ab", "images/a.b.webp", "other"))
        assert opened.is_anothers("ride/5.webp", "toy")
        assert not opened.is_anothers("ride/5.webp", "mapillary")
        assert not opened.is_anothers("ride/55.jpg", "toy")
        assert not opened.is_anothers("ride/5", "toy")
        assert opened.is_anothers("IMAGES/A.B.jpg", "mapillary")
        assert not opened.is_anothers("images/a.jpg", "mapillary")
        assert opened.is_file_of("Ride/5.jpg", 5, "mapillary")
        assert not opened.is_file_of("Ride/5.jpg", 5, "toy")


KEYS = st.one_of(
    st.integers(1, 2**63 - 1), st.text(min_size=1, max_size=8).filter(str.isprintable), st.uuids().map(str)
)


@given(st.lists(st.tuples(st.sampled_from(["mapillary", "toy", "panoramax"]), KEYS), max_size=30))
def test_a_ledger_is_a_table_of_providers_and_ids(tmp_path_factory, images):
    """A plain dict says the same: the last record of an image counts."""
    folder = tmp_path_factory.mktemp("ledger")
    images = [(provider, key) for provider, key in images if provider != "mapillary" or isinstance(key, int)]
    expected = {}
    with Ledger(folder) as opened:
        for number, (provider, key) in enumerate(images):
            opened.record(Transfer(key, "failed", FORM, reason=str(number), provider=provider))
            expected[provider, key] = str(number)
        for provider in ("mapillary", "toy", "panoramax"):
            for kind in (int, str):
                keys = sorted(key for who, key in expected if who == provider and isinstance(key, kind))
                if provider != "mapillary" or kind is int:
                    asked = np.array(keys, dtype=np.int64) if kind is int else objects(*keys)
                    assert opened.states(asked, FORM, provider).tolist() == [FAILED] * len(keys)
        assert set(opened.providers()) == {provider for provider, _ in expected}
    found = mlygeo.transfers(folder)
    whose = found["provider"] if "provider" in found else ["mapillary"] * len(found)
    said = {(who, str(key)): reason for who, key, reason in zip(whose, found["id"], found["reason"], strict=True)}
    if len({(who, str(key)) for who, key in expected}) == len(expected):
        assert said == {(who, str(key)): reason for (who, key), reason in expected.items()}
    assert ("provider" in found) == any(who != "mapillary" for who, _ in expected)


def test_rows_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "IDS_A_QUERY", 10)
    ids = [f"{number:05d}" for number in range(55)]
    with Ledger(tmp_path) as opened:
        opened.record(*(done(key, "x", "toy") for key in ids))
        assert [row[0] for rows in opened.rows(provider="toy") for row in rows] == ids
        assert [row[0] for rows in opened.rows(objects(*ids[3:30]), "toy") for row in rows] == ids[3:30]
