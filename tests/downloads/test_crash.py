"""Downloads that are killed, interrupted, and looked at for secrets, as processes of their own."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from helpers.picture_downloads import expected, pictures_in
from helpers.processes import HANGS_S, ended, start, wait_for
from helpers.tokens import TOKEN
from helpers.unix import needs_unix

import mlygeo
from mlygeo.standin import Faults, serve

WORKERS = 4

pytestmark = needs_unix("kill -9 or Ctrl-C for another process")


def download(server, folder, ids, *options):
    environment = {
        **os.environ,
        "MAPILLARY_GRAPH_API_ENDPOINT": server.url,
        "MAPILLARY_ACCESS_TOKEN": TOKEN,
    }
    command = [
        sys.executable, "-m", "mlygeo", "download", "--imgid-file", ids, "--size", "256", "--workers", WORKERS,
        "--required-disk-space", 0, "-o", folder, *options,
    ]  # fmt: skip
    return start(command, env=environment)


@pytest.fixture
def id_file(images, tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text("".join(f"{number}\n" for number in images["id"].iloc[:400]))
    return path


def test_kill_at_twenty_moments(images, tmp_path, id_file):
    """After each kill no file is broken; in the end all are there, and only what was in flight came twice."""
    folder, chance, kills = tmp_path / "pictures", random.Random(3), 0
    right = expected(images.iloc[:400])
    with serve(images, token=TOKEN, faults=Faults(latency=0.05)) as server:
        while kills < 20:
            process = download(server, folder, id_file)
            goal = server.count("thumbs") + chance.randint(1, 15)
            wait_for(lambda goal=goal: server.count("thumbs") >= goal, process)
            time.sleep(chance.uniform(0, 0.01))
            process.kill()
            assert process.wait() == -signal.SIGKILL, process.stderr.read()
            process.stdout.close()
            process.stderr.close()
            kills += 1
            there = pictures_in(folder)
            assert all(right[name] == content for name, content in there.items())
        assert len(there) < 400, "all was there before the last kill: nothing was tested"
        last = download(server, folder, id_file)
        _, err = last.communicate(timeout=HANGS_S)
        assert last.returncode == 0, err
        assert pictures_in(folder) == right
        assert server.count("thumbs") <= 400 + kills * WORKERS
    frame = mlygeo.transfers(folder)
    assert len(frame) == 400
    assert set(frame["status"]) <= {"done", "found"}
    assert not list((folder / ".mlygeo" / "parts").iterdir())


@pytest.mark.parametrize("fault", [{"latency": 2.0}, {"stall": 1.0, "only": ("thumbs",)}, {"latency": 600.0}])
def test_ctrl_c_waits_for_nothing_and_keeps_what_is_done(images, tmp_path, id_file, fault):
    """Whether answers come slowly, never, or not even to the first request; the run would go on for minutes."""
    folder, at_work = tmp_path / "pictures", fault.get("latency") == 2.0
    with serve(images, token=TOKEN, faults=Faults() if at_work else Faults(**fault)) as server:
        process = download(server, folder, id_file)
        if at_work:
            wait_for(lambda: len(pictures_in(folder)) >= 8, process)
            server.faults = Faults(**fault)
            asked = server.count("thumbs")
            wait_for(lambda: server.count("thumbs") > asked, process)
        else:
            wait_for(lambda: server.count(*fault.get("only", ())) > 0, process)
        process.send_signal(signal.SIGINT)
        _, err = ended(process)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert "goes on from there" in err
        if not at_work:
            return
        right, there = expected(images.iloc[:400]), pictures_in(folder)
        assert 8 <= len(there) < 400
        assert all(right[name] == content for name, content in there.items())
        assert len(mlygeo.transfers(folder)) == len(there)
        server.faults = Faults()
        again = download(server, folder, id_file)
        _, err = again.communicate(timeout=HANGS_S)
        assert again.returncode == 0, err
        assert pictures_in(folder) == right


def test_no_token_in_anything_that_is_left_or_said(images, tmp_path, id_file):
    """Not in what it prints, however much; not in the ledger, files, names; not in the process's title."""
    folder, failed = tmp_path / "pictures", tmp_path / "failed.txt"
    faults = Faults(seed=2, gone=frozenset(images["id"].tolist()[:5])).spread(0.4)
    with serve(images, token=TOKEN, faults=faults) as server:
        process = download(
            server, folder, id_file, "-vv", "--json", "--num-retries", 0, "--max-images", 60,
            "--failed-imgid-file", failed, "--layout", "flat", "--exif",
        )  # fmt: skip
        title = Path(f"/proc/{process.pid}/cmdline")
        title = title.read_bytes() if title.exists() else b""
        out, err = process.communicate(timeout=HANGS_S)
        assert process.returncode == 3, err
        assert server.leaks == 0
    secret = TOKEN.rpartition("|")[2]
    left = [path for path in [*folder.rglob("*"), failed] if path.is_file()]
    assert {"ledger.sqlite", "failed.txt"} <= {path.name for path in left}
    for what in (out.encode(), err.encode(), title, *[path.read_bytes() for path in left]):
        assert secret.encode() not in what
    assert not any(secret in str(path) for path in left)


def test_exit_status_and_words_of_a_download_with_failures(images, tmp_path, id_file):
    gone = images["id"].tolist()[3]
    with serve(images, token=TOKEN, faults=Faults(gone=frozenset({gone}))) as server:
        process = download(server, tmp_path / "p", id_file, "--max-images", 20)
        out, err = process.communicate(timeout=HANGS_S)
        assert process.returncode == 3
        assert out == ""
        assert "20 images of ids.txt: 19 fetched" in err
        assert "1 gone" in err
        quiet = download(server, tmp_path / "p", id_file, "--max-images", 3, "--quiet")
        assert quiet.communicate(timeout=HANGS_S) == ("", "")
        assert quiet.returncode == 0
