"""The verb `standin`: it says where it is, serves what it is told to, and goes when it is told to."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from helpers.plain_client import ask
from helpers.processes import HANGS_S, ended, start
from helpers.tokens import TOKEN

import mlygeo
from mlygeo import cli, store
from mlygeo.errors import FileError, InputError


@pytest.fixture(scope="module")
def file(images, tmp_path_factory):
    return store.write_frame(images, tmp_path_factory.mktemp("images") / "images.parquet")


@contextmanager
def standing_in(*arguments):
    command = [sys.executable, "-m", "mlygeo", "standin", *map(str, arguments)]
    process = start(command)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_goes_when_told(file, images, tmp_path, number):
    first = images["id"].iloc[0]
    folder = tmp_path / "pictures" / images["sequence_id"].iloc[0]
    folder.mkdir(parents=True)
    (folder / f"{first}.jpg").write_bytes(b"a picture")
    options = ["--photos", tmp_path / "pictures", "--store", tmp_path / "store", "--token", TOKEN]
    with standing_in("--images", file, *options) as process:
        url = process.stdout.readline().strip()
        assert ask(f"{url}/me").error == (190, None)
        found = ask(f"{url}/{first}", token=TOKEN, fields="sequence,thumb_original_url").json
        assert found["sequence"] == images["sequence_id"].iloc[0]
        assert ask(found["thumb_original_url"]).body == b"a picture"
        tile = ask(f"{url}/maps/vtp/mly1_public/2/14/8609/5642", access_token=TOKEN)
        assert (tile.status, tile.headers["Content-Encoding"]) == (200, "gzip")
        assert (tmp_path / "store").is_dir()
        process.send_signal(number)
        out, err = ended(process)
        assert process.returncode == 0
        assert out == "", "the address was the only line"
        assert f"{len(images):,} images, 1 of them with a photo" in err
        assert TOKEN not in err
        assert "Traceback" not in err


def test_a_rehearsal_over_the_environment(file, images, tmp_path):
    """The verbs find the stand-in by the variables, and get over what it does wrong."""
    with standing_in("--images", file, "--fail", 0.4, "--seed", 3, "--json", "--latency", 0.01) as process:
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(process.stdout.readline())
        summary = json.loads("".join(lines))
        assert (summary["images"], summary["photos"]) == (len(images), 0)
        environment = {**os.environ, "MAPILLARY_TILES_ENDPOINT": summary["url"], "MAPILLARY_ACCESS_TOKEN": TOKEN}
        found = subprocess.run(
            [sys.executable, "-m", "mlygeo", "tiles", "--bbox", "9.166,48.764,9.172,48.776", "--tile-cache",
             tmp_path / "cache", "-o", tmp_path / "images.parquet"],
            env=environment, capture_output=True, text=True, timeout=HANGS_S,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr
    inside = images.cx[9.166:9.172, 48.764:48.776]
    assert set(store.read_frame(tmp_path / "images.parquet")["id"]) == set(inside["id"])


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    return status, *capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--images", "nowhere.parquet"], 1, "nowhere.parquet"),
        (["--images", "FILE", "--photos", "nowhere"], 1, "nowhere"),
        (["--images", "FILE", "--port", 70000], 2, "no port"),
        (["--images", "FILE", "--fail", 1.5], 2, "--fail"),
        (["--images", "FILE", "--missing", -1], 2, "--missing"),
        (["--images", "FILE", "--latency", -1], 2, "--latency"),
        (["--images", "FILE", "--url-lifetime", "nan"], 2, "--url-lifetime"),
        (["--images", "FILE", "-o", "x"], 2, "-o"),
    ],
)
def test_bad_input_is_one_clear_line(capsys, file, tmp_path, monkeypatch, arguments, status, words):
    monkeypatch.chdir(tmp_path)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    found, out, err = run(capsys, "standin", *[file if word == "FILE" else word for word in arguments])
    assert (found, out) == (status, "")
    assert words in err
    assert len([line for line in err.splitlines() if line and not line.startswith("hint:")]) == 1
    assert {number: signal.getsignal(number) for number in before} == before
    assert list(tmp_path.iterdir()) == []


class TestFunction:
    def test_a_server_until_its_end(self, images, file):
        with mlygeo.run_standin(images=images, missing=0.5, seed=1) as server:
            with mlygeo.run_standin(images=file, missing=0.5, seed=1) as other:
                statuses = [[ask(f"{url}/{number}").status for number in images["id"][:30]] for url in (server.url, other.url)]  # fmt: skip
            assert statuses[0] == statuses[1]
            assert set(statuses[0]) == {200, 400}
        with pytest.raises(ConnectionError):
            ask(f"{server.url}/me")
        server.stop()  # a second time does no harm

    def test_signals_stay_those_of_the_program(self):
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with mlygeo.run_standin():
            assert {number: signal.getsignal(number) for number in before} == before

    def test_addresses_that_do_not_last(self, images):
        with mlygeo.run_standin(images=images, url_lifetime=0) as server:
            url = ask(f"{server.url}/{images['id'].iloc[0]}", fields="thumb_256_url").json["thumb_256_url"]
            time.sleep(1)
            assert ask(url).status == 403

    def test_no_failure_is_a_tile_without_images_which_would_be_taken_for_one(self, images):
        with mlygeo.run_standin(images=images, fail=1, token=TOKEN) as server:
            for number in range(60):
                try:
                    tile = ask(f"{server.url}/maps/vtp/mly1_public/2/14/8609/5642", access_token=TOKEN, again=number)
                except (OSError, http.client.HTTPException):
                    continue
                assert (tile.status, tile.body) != (200, b"")

    def test_errors(self, images):
        with pytest.raises(FileError):
            mlygeo.run_standin(images="nowhere.parquet")
        with pytest.raises(InputError):
            mlygeo.run_standin(images=images, fail=2)
