"""Uploads that are killed, interrupted, and looked at for secrets, as processes of their own."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers import photo_folders
from helpers.processes import HANGS_S, ended, killed_at, start, wait_for
from helpers.tokens import TOKEN
from helpers.unix import needs_unix
from helpers.upload_folders import USER_TOKEN, clusters_of, described, folder_of, hashes, in_exif, log_of

import mlygeo
from mlygeo.standin import Faults, serve
from mlygeo.standin.faults import PASSING_UPLOADS

pytestmark = needs_unix("kill -9 or Ctrl-C for another process")

# The function, since the verb's waits between two tries are meant for a real line.
QUICKLY = """
import sys, mlygeo
from mlygeo.providers.mapillary.service import Endpoints
from mlygeo.net.http import Retry
from mlygeo.providers.mapillary.service import Service
retry = Retry(attempts=50, first_wait=0.005, longest_wait=0.05, rate_wait=0.02)
service = Service(endpoints=Endpoints.from_environment(), token=sys.argv[2], retry=retry)
summary = mlygeo.upload(sys.argv[1], service=service).attrs["summary"]
sys.exit(3 if summary["failed"] or summary["unfinished"] else 0)
"""


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    return lambda server: {
        **os.environ,
        "MAPILLARY_GRAPH_API_ENDPOINT": server.url,
        "MAPILLARY_UPLOAD_ENDPOINT": server.endpoints.upload,
    }


def quickly(server, environment, folder):
    command = [sys.executable, "-c", QUICKLY, str(folder), USER_TOKEN]
    return start(command, env=environment(server))


def test_kill_at_twenty_moments_through_a_bad_line(tmp_path, environment):
    """Each image arrives once, each sequence is finished once, no original is touched."""
    photos, store, chance = tmp_path / "photos", tmp_path / "store", random.Random(4)
    entries = folder_of(photos, 300, a_sequence=60)
    before = hashes(photos)
    faults = Faults(seed=7, only=("uploads",), cut_after=700, backoff_ms=10, latency=0.005).spread(
        0.3, *PASSING_UPLOADS
    )
    kills = 0
    with serve(store=store, token=USER_TOKEN, faults=faults) as server:
        while kills < 20:
            process = quickly(server, environment, photos)
            goal = server.count() + chance.randint(10, 55)
            wait_for(lambda goal=goal: server.count() >= goal, process)
            time.sleep(chance.uniform(0, 0.02))
            process.kill()
            ended = process.wait()
            kills += 1
            assert ended == -signal.SIGKILL, process.stderr.read()
            process.stdout.close()
            process.stderr.close()
        assert len(clusters_of(store)) < 5, "all was there before the last kill: nothing was tested"
        last = quickly(server, environment, photos)
        _, err = last.communicate(timeout=HANGS_S)
        assert last.returncode == 0, err
        requests = server.count()
        again = quickly(server, environment, photos)
        assert again.communicate(timeout=HANGS_S)[1] == ""
        assert server.count() == requests + 1, "one question whose token it is, and no upload"

    assert hashes(photos) == before
    whole = Counter(line["key"] for line in log_of(store) if line["event"] == "whole")
    images = {key for key in whole if key.endswith(".jpg")}
    assert len(images) == 300
    assert set(whole.values()) == {1}
    assert not list((store / "partial").iterdir())
    finished = clusters_of(store)
    assert len(finished) == 5
    wanted = [[in_exif(each) for each in entries[start : start + 60]] for start in range(0, 300, 60)]
    assert sorted(map(described, finished), key=json.dumps) == sorted(wanted, key=json.dumps)
    assert Counter(image["file"] for cluster in finished for image in cluster["images"]).most_common(1)[0][1] == 1
    frame = mlygeo.upload_history(photos)
    assert len(frame) == 300
    assert set(frame["status"]) == {"done"}


def verb(server, environment, *words, **more):
    command = [sys.executable, "-m", "mlygeo", *map(str, words)]
    return start(command, env={**environment(server), **more})


@pytest.mark.parametrize("fault", [{"read_rate": 20_000.0}, {"stall": 1.0}, {"latency": 600.0}])
def test_ctrl_c_waits_for_nothing(tmp_path, environment, fault):
    photos = tmp_path / "photos"
    folder_of(photos, 30, a_sequence=10, sizes=(200, 150))
    with serve(store=tmp_path / "store", token=USER_TOKEN, faults=Faults(only=("uploads",), **fault)) as server:
        process = verb(server, environment, "upload", photos, MAPILLARY_ACCESS_TOKEN=USER_TOKEN)
        wait_for(lambda: server.count() >= 2, process)
        process.send_signal(signal.SIGINT)
        _, err = ended(process)
        assert process.returncode == 130, err
        assert not clusters_of(tmp_path / "store"), "all was there before the signal: nothing was tested"
        assert "goes on from there" in err
        assert "Traceback" not in err
        server.faults = Faults()
        again = verb(server, environment, "upload", photos, MAPILLARY_ACCESS_TOKEN=USER_TOKEN)
        _, err = again.communicate(timeout=HANGS_S)
        assert again.returncode == 0, err
    assert [len(cluster["images"]) for cluster in clusters_of(tmp_path / "store")] == [10, 10, 10]


def test_no_secret_in_anything_that_is_left_or_said(tmp_path, environment):
    """Not in what it prints, however much; not in the history, files, names; not in the process's title."""
    photos, home, password = tmp_path / "photos", tmp_path / "config", "a pass phrase 4711"
    folder_of(photos, 12, a_sequence=4)
    more = {"XDG_CONFIG_HOME": str(home), "MAPILLARY_CLIENT_TOKEN": TOKEN}
    said, titles = [], []

    def run(*words, given=None, status=0):
        command = [sys.executable, "-m", "mlygeo", *map(str, words)]
        process = start(command, env={**environment(server), **more}, stdin=subprocess.PIPE)
        title = Path(f"/proc/{process.pid}/cmdline")
        titles.append(title.read_text() if title.exists() else "")
        out, err = process.communicate(given, timeout=HANGS_S)
        said.append(out + err)
        assert process.returncode == status, err

    faults = Faults(seed=3, only=("uploads",), backoff_ms=10).spread(0.3, *PASSING_UPLOADS)
    with serve(store=tmp_path / "store", token=USER_TOKEN, faults=faults) as server:
        run("authenticate", "--user-name", "jane", "--user-email", "jane@example.org", "--user-password", "-", "-vv",
            given=f"{password}\n")  # fmt: skip
        run(
            "authenticate", "--user-email", "jane@example.org", "--user-password", "-", "-vv", given="wrong\n", status=2
        )
        run("config", "list", "--json")
        server.faults = Faults(server_error=1.0, only=("upload",))
        run("upload", photos, "--max-attempts", 2, "-vv", "--json", status=3)
        server.faults = Faults(expires_after=0, only=("uploads",))
        run("upload", photos, "-vv", status=1)
        server.faults = Faults(rate=0.1, backoff_ms=5, only=("uploads",))
        run("upload", photos, "-vv", "--json")
        assert server.leaks == 0
    kept = home / "mlygeo" / "credentials.json"
    assert USER_TOKEN in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path != kept]
    assert {"upload_history.sqlite", "upload_history.parquet"} <= {path.name for path in left}
    secrets = [USER_TOKEN, password, TOKEN.rpartition("|")[2]]
    for secret in secrets:
        assert not any(secret in text for text in [*said, *titles])
        assert not any(secret.encode() in path.read_bytes() for path in left)
        assert not any(secret in str(path) for path in left)
    assert password not in kept.read_text()


@pytest.mark.parametrize(("event", "words", "whole"), [("os.rename", "/mly_tools_", 0), ("os.remove", ".alive", 1)])
def test_a_killed_zip_leaves_nothing_that_stays(tmp_path, event, words, whole):
    photos, zips = tmp_path / "photos", tmp_path / "zips"
    folder_of(photos, 4)
    killed_at(event, words, ["zip", photos, "-o", zips])
    assert len(list(zips.glob(".*.part"))) == 1
    assert len(list(zips.glob("*.zip"))) == whole
    mlygeo.zip_sequences(photos, output=zips)
    assert [path.suffix for path in zips.iterdir()] == [".zip"]


def test_a_killed_upload_leaves_nothing_in_the_folder_for_temporary_files_that_stays(tmp_path, monkeypatch):
    photos, more, scratch = tmp_path / "photos", tmp_path / "more", tmp_path / "tmp"
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    scratch.mkdir()
    photo_folders.folder_of(photos, 4)
    photo_folders.folder_of(more, 2)
    for folder in (photos, more):
        mlygeo.process(folder)
    mlygeo.zip_sequences(photos, output=tmp_path / "zips")
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        mlygeo.upload(more)
        # Half of the archive was sent, so the rest goes up as an archive of its own.
        killed_at("os.remove", "/mly_tools_", ["upload", tmp_path / "zips"])
        assert len(list(scratch.glob(".mly_tools_*.part"))) == 1
        mlygeo.upload(tmp_path / "zips")
    assert list(scratch.iterdir()) == []
