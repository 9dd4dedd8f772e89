import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
from helpers.processes import KILLED

import mlygeo
from mlygeo.downloads import ledger
from mlygeo.downloads.ledger import FAILED, GONE, OTHER, THERE, UNKNOWN, Form, Ledger, Transfer
from mlygeo.errors import FileError, FormatError
from mlygeo.locks import FolderLock

FORM = Form()


def done(number, path, size, form=FORM, status="done"):
    return Transfer(number, status, form, path=path, sequence_id="s", bytes=size, checksum="0" * 64, tries=1,
                    started_at=1_720_488_258_913, finished_at=1_720_488_259_000)  # fmt: skip


def test_a_row_comes_back_as_it_was_written(tmp_path):
    number = 2**62 + 1
    with Ledger(tmp_path) as open_ledger:
        open_ledger.record(done(number, "s/1.jpg", 7), Transfer(5, "failed", FORM, tries=9, reason="it broke off"))
    frame = mlygeo.transfers(tmp_path)
    assert frame["id"].tolist() == [5, number]
    assert frame["status"].tolist() == ["failed", "done"]
    assert frame["bytes"].isna().tolist() == [True, False]
    assert str(frame["started_at"].dtype) == "datetime64[ms, UTC]"
    assert frame["started_at"][1].isoformat() == "2024-07-09T01:24:18.913000+00:00"
    assert frame["reason"][0] == "it broke off"
    assert str(frame["id"].dtype) == "int64"
    assert str(frame["bytes"].dtype) == "Int64"


def test_states_asks_the_files_too(tmp_path):
    (tmp_path / "whole.jpg").write_bytes(b"1234567")
    (tmp_path / "shorter.jpg").write_bytes(b"123")
    rows = {
        1: (done(1, "whole.jpg", 7), THERE),
        2: (done(2, "shorter.jpg", 7), UNKNOWN),
        3: (done(3, "missing.jpg", 7), UNKNOWN),
        4: (Transfer(4, "gone", FORM), GONE),
        5: (Transfer(5, "failed", FORM), FAILED),
        6: (done(6, "whole.jpg", 7, form=Form(size="256")), OTHER),
        7: (done(7, "whole.jpg", 7, form=Form(options="exif")), OTHER),
        8: (done(8, "whole.jpg", 7, form=Form(size="256"), status="found"), THERE),
        9: (done(9, "whole.jpg", 7, form=Form(layout="flat"), status="found"), OTHER),
    }
    with Ledger(tmp_path) as open_ledger:
        open_ledger.record(*[row for row, _ in rows.values()])
        wanted = np.array([*rows, 10], dtype=np.int64)
        assert open_ledger.states(wanted, FORM).tolist() == [*(state for _, state in rows.values()), UNKNOWN]
        assert open_ledger.failed_ids().tolist() == [5]


def test_states_agrees_with_a_plain_loop_over_many(tmp_path):
    rng = np.random.default_rng(1)
    ids = np.unique(rng.integers(1, 2**62, 12_000))
    known = rng.random(len(ids)) < 0.5
    (tmp_path / "x.jpg").write_bytes(b"x")
    with Ledger(tmp_path) as open_ledger:
        open_ledger.record(*[done(int(number), "x.jpg", 1) for number in ids[known]])
        assert (open_ledger.states(ids, FORM) == np.where(known, THERE, UNKNOWN)).all()
        assert [row[0] for rows in open_ledger.rows(ids) for row in rows] == ids[known].tolist()


def test_threads_share_a_ledger(tmp_path):
    with Ledger(tmp_path) as open_ledger:
        threads = [
            threading.Thread(
                target=lambda n=n: [open_ledger.record(done(n * 1000 + i, "x.jpg", 1)) for i in range(1, 101)]
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(mlygeo.transfers(tmp_path)) == 800


def test_what_comes_after_closing_is_left_out(tmp_path):
    open_ledger = Ledger(tmp_path)
    open_ledger.close()
    open_ledger.record(done(1, "x.jpg", 1))
    assert mlygeo.transfers(tmp_path).empty


def test_it_is_read_while_it_is_written(tmp_path):
    with Ledger(tmp_path) as open_ledger:
        open_ledger.record(done(1, "x.jpg", 1))
        assert len(mlygeo.transfers(tmp_path)) == 1


def test_a_folder_without_ledger_or_with_a_damaged_one(tmp_path):
    with pytest.raises(FileError, match="no ledger"):
        mlygeo.transfers(tmp_path)
    Ledger(tmp_path).close()
    path = tmp_path / ".mlygeo" / "ledger.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be looked at as one" * 20)
    for attempt in (lambda: mlygeo.transfers(tmp_path), lambda: Ledger(tmp_path)):
        with pytest.raises(FormatError, match="damaged") as caught:
            attempt()
        assert "move it away" in caught.value.hint


def test_a_ledger_of_a_newer_version_is_not_touched(tmp_path):
    Ledger(tmp_path).close()
    path = tmp_path / ".mlygeo" / "ledger.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(FormatError, match="newer"):
        Ledger(tmp_path)


@pytest.mark.parametrize("rows", [1, 400])
def test_rows_survive_a_kill_right_after_they_were_written(tmp_path, rows):
    code = f"""
import os, sys
from pathlib import Path
from mlygeo.downloads.ledger import Form, Ledger, Transfer
book = Ledger(Path({str(tmp_path)!r}))
for number in range(1, {rows} + 1):
    book.record(Transfer(number, "failed", Form(), reason="x"))
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == KILLED
    assert len(mlygeo.transfers(tmp_path)) == rows


def test_a_second_holder_is_told_who_the_first_is(tmp_path):
    with FolderLock(tmp_path):
        with pytest.raises(FileError, match=f"process {os.getpid()} on ") as caught, FolderLock(tmp_path):
            pass
        assert "another folder" in caught.value.hint
    with FolderLock(tmp_path):
        pass
    assert not (tmp_path / ".mlygeo" / "run.json").exists()


def test_the_lock_of_a_killed_process_is_stale(tmp_path):
    code = f"""
import os
from pathlib import Path
from mlygeo.locks import FolderLock
FolderLock(Path({str(tmp_path)!r})).__enter__()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code], capture_output=True)
    holder = json.loads((tmp_path / ".mlygeo" / "run.json").read_text())
    assert holder["pid"] != os.getpid()
    with FolderLock(tmp_path):
        assert json.loads((tmp_path / ".mlygeo" / "run.json").read_text())["pid"] == os.getpid()


def test_a_stale_lock_file_where_the_system_has_no_locks(tmp_path, monkeypatch):
    """On such a file system the file itself is the lock, and outlives its process."""
    import filelock

    class Without(filelock.SoftFileLock):
        def acquire(self, *args, **kwargs):
            raise NotImplementedError

    monkeypatch.setattr(filelock, "FileLock", Without)
    state = tmp_path / ".mlygeo"
    state.mkdir()
    (state / "lock").write_text("")
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    import socket

    holder = {"pid": int(dead.stdout), "host": socket.gethostname(), "since": "2024-01-01"}
    (state / "run.json").write_text(json.dumps({**holder, "host": "another-machine"}))
    with pytest.raises(FileError, match="another-machine"), FolderLock(tmp_path):
        pass
    (state / "run.json").write_text(json.dumps(holder))
    with FolderLock(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="there, every file system has locks")
def test_a_run_shows_by_a_lock_that_it_lives(tmp_path):
    """Where the output folder has no locks; the number of a dead process may be another's by now."""
    code = f"""
import filelock, sys
from pathlib import Path
from mlygeo import locks
real = filelock.FileLock
class Without(filelock.FileLock):
    def acquire(self, *args, **kwargs):
        if Path(self.lock_file).name == "lock":
            raise NotImplementedError
        return super().acquire(*args, **kwargs)
filelock.FileLock = Without
with locks.FolderLock(Path({str(tmp_path)!r})):
    print("in", flush=True)
    sys.stdin.readline()
"""

    def run():
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([sys.executable, "-c", code], text=True, **pipes)

    first = run()
    assert first.stdout.readline() == "in\n"
    out, err = run().communicate("\n", timeout=60)
    assert not out
    assert "another run is at work" in err
    first.kill()
    first.communicate()
    holder = json.loads((tmp_path / ".mlygeo" / "run.json").read_text())
    (tmp_path / ".mlygeo" / "run.json").write_text(json.dumps({**holder, "pid": os.getpid()}))  # given again
    out, err = run().communicate("\n", timeout=60)
    assert out == "in\n", err


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"pid": 1e999, "host": "x", "since": "x"}', '{"pid": NaN}', "\x00", "5", "null"]
)
def test_odd_notes_of_a_holder_are_no_obstacle(tmp_path, content):
    (tmp_path / ".mlygeo").mkdir()
    (tmp_path / ".mlygeo" / "run.json").write_text(content)
    with FolderLock(tmp_path):
        pass


def test_the_statuses_have_numbers_of_their_own():
    assert len({ledger.UNKNOWN, ledger.THERE, ledger.GONE, ledger.FAILED, ledger.OTHER}) == 5


ODD = {"bytes": b"\xff\x00", "infinite": float("inf"), "a part": 1.5, "huge": 2**63 - 1, "text": "text", "none": None}


@pytest.mark.parametrize("column", [name for name in ledger.COLUMNS if name != "id"])
def test_values_of_other_kinds_are_an_error_or_unknown(tmp_path, column):
    """SQLite takes anything in any column."""
    form = ledger.Form()
    for number, odd in enumerate(ODD.values()):
        folder = tmp_path / str(number)
        with ledger.Ledger(folder) as there:
            (folder / "5.jpg").write_bytes(b"abc")
            transfer = {"path": "5.jpg", "bytes": 3, "tries": 1, "started_at": 1, "finished_at": 2}
            there.record(ledger.Transfer(5, "done", form, **transfer))
            assert there.states(np.array([5]), form).tolist() == [ledger.THERE]
        with contextlib.closing(sqlite3.connect(folder / ".mlygeo" / "ledger.sqlite", isolation_level=None)) as db:
            try:
                db.execute(f"UPDATE transfers SET {column} = ?", (odd,))
            except sqlite3.IntegrityError:
                continue
        with ledger.Ledger(folder) as there:
            state = there.states(np.array([5]), form).tolist()[0]
            is_text = column in ledger.TEXTS and not isinstance(odd, bytes)  # SQLite writes numbers as such there
            assert state != ledger.THERE or odd is None or is_text or isinstance(odd, str | int), odd
            there.failed_ids(), there.owner("5.jpg"), there.mean_bytes(form)
            with contextlib.suppress(FormatError):
                ledger.as_frame(there.rows())
        with contextlib.suppress(FormatError):
            frame = ledger.transfers(folder)
            assert not any(isinstance(value, bytes | float) and value == odd for value in frame[column])


def test_what_is_no_ledger_is_named(tmp_path):
    path = tmp_path / ".mlygeo" / "ledger.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"not SQLite" * 1000)
    for opened in (ledger.Ledger, ledger.transfers):
        with pytest.raises(FormatError, match="is damaged"):
            opened(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(FileError, match=r"ledger\.sqlite"):
        ledger.Ledger(tmp_path)


def test_rows_do_not_hold_the_ledger(tmp_path):
    with ledger.Ledger(tmp_path) as there:
        there.record(*[ledger.Transfer(number, "failed", ledger.Form()) for number in range(1, 6001)])
        rows = there.rows()
        assert len(next(rows)) == 5000
        assert there.failed_ids().size == 6000
        assert [row[0] for row in next(rows)] == list(range(5001, 6001))
        assert list(rows) == []
