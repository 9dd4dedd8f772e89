"""Whatever happens while photos are written, each is the old one or the new one, and whole."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from helpers.photo_folders import folder_of, pixels
from helpers.processes import ended, start, wait_for
from helpers.unix import needs_unix
from PIL import Image

import mlygeo
from mlygeo import cli
from mlygeo.errors import FileError
from mlygeo.readers.photos import read_photos


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


def whole(path, old, pictures, known):
    """Return whether a photo is as it was, or the new one; fail where it is neither."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).digest()
    if digest == old[path.name]:
        return "old"
    if digest not in known:
        with Image.open(path) as image:
            image.load()
            assert image.tobytes() == pictures[path.name]
        row = read_photos(path).iloc[0]
        assert pd.isna(row["error"]), row["error"]
        assert '"MAPLatitude"' in row["image_description"]
        known.add(digest)
    return "new"


CODE = """
import os, sys
from mlygeo.photos import insertion
from mlygeo.photos.tags import description_tags
from mlygeo.readers.photos import read_photos
images = read_photos(sys.argv[1])
description_tags(images.iloc[0].to_dict(), overwrite=("all",))  # what is loaded once is loaded
for round, _ in enumerate(sys.stdin):
    child = os.fork()
    if child == 0:
        for turn in range(1000):
            images["altitude"] = float(round * 1000 + turn)
            images = insertion.insert_tags(images, lambda row: description_tags(row, overwrite=("all",)))
    print(child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


@needs_unix("forks")
def test_kill_9_at_fifty_moments(tmp_path):
    """A process that rewrites the folder over and over is killed at random moments."""
    folder = tmp_path / "in"
    paths = folder_of(folder, 30)
    # Files of some hundred kilobytes, so that a write takes a while.
    for path in paths:
        path.write_bytes(path.read_bytes() + random.Random(path.name).randbytes(200_000))
    old = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in paths}
    pictures = {path.name: pixels(path) for path in paths}
    rng = random.Random(4)
    seen: dict[str, int] = {"old": 0, "new": 0}
    known: set[bytes] = set()
    met = 0
    server = subprocess.Popen(
        [sys.executable, "-c", CODE, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        for moment in range(500):
            if moment >= 50 and met and seen["new"] and len(known) > 100:  # a busy machine writes less between kills
                break
            server.stdin.write("go\n")
            child = int(server.stdout.readline())
            time.sleep(rng.uniform(0.0, 0.15))
            os.kill(child, signal.SIGKILL)
            assert server.stdout.readline() == "dead\n"
            met += any(path.name.endswith(".part") for path in folder.iterdir())
            for path in paths:
                seen[whole(path, old, pictures, known)] += 1
    finally:
        server.kill()
        server.communicate()
    assert seen["new"]
    assert len(known) > 100
    assert met, "no kill met a write; the test shows nothing"
    # The next run clears up, and finishes.
    assert mlygeo.process(folder)["exif_written"].all()
    assert {path.name for path in folder.iterdir()} == {*old, ".mlygeo", "mapillary_image_description.json"}


@pytest.mark.parametrize("left", [(), (".alive.new",), (".alive",), (".alive", "img_00000.jpg")])
def test_what_a_kill_leaves_at_any_step_is_removed(tmp_path, left):
    """The lock has another name for a moment, until it is held."""
    folder_of(tmp_path, 2)
    folder = tmp_path / ".img_00000.jpg.abcd_123.part"
    folder.mkdir()
    for name in left:
        (folder / name).write_bytes(b"")
    mlygeo.process(tmp_path)
    assert not folder.exists()


def test_a_killed_run_is_gone_on_with(tmp_path):
    folder = tmp_path / "in"
    paths = folder_of(folder, 300)
    process = start(
        [sys.executable, "-m", "mlygeo", "process", str(folder), "--overwrite-all-exif-tags", "--offset-angle", "90"],
        stderr=subprocess.DEVNULL, env={**os.environ, "MLYGEO_NO_PROGRESS": "1"},
    )  # fmt: skip
    wait_for((folder / ".mlygeo" / "images.parquet").exists)
    time.sleep(0.05)
    process.kill()
    process.wait()
    images = mlygeo.process(folder, overwrite_all_exif_tags=True, offset_angle=90)
    assert images["exif_written"].all()
    # Headings that were written before the kill are not turned again.
    assert images["compass_angle"].round(3).eq(90.0).all()
    assert read_photos(folder)["compass_angle"].round(3).eq(90.0).all()
    assert len(images) == len(paths)


@needs_unix("signals of Unix")
def test_interrupted(tmp_path):
    folder = tmp_path / "in"
    paths = folder_of(folder, 200)
    pictures = {path.name: pixels(path) for path in paths}
    old = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in paths}
    process = start(
        [sys.executable, "-m", "mlygeo", "process", str(folder)], env={**os.environ, "MLYGEO_NO_PROGRESS": "1"},
    )  # fmt: skip
    wait_for((folder / ".mlygeo" / "images.parquet").exists)
    process.send_signal(signal.SIGINT)
    _, err = ended(process)
    if process.returncode == 130:  # else it was quicker
        assert "goes on from there" in err
    assert not [path for path in folder.iterdir() if path.name.endswith(".part")]
    for path in paths:
        whole(path, old, pictures, set())
    assert mlygeo.process(folder)["exif_written"].all()


def test_odd_names(tmp_path):
    folder = tmp_path / "Ordner mit\nZeile"
    folder_of(folder, 5)
    names = ["é ü ß.jpg", "two\nlines.jpg", "  spaces  .jpg", "日本.JPG", "quote'\".jpeg"]
    for path, name in zip(sorted(folder.glob("*.jpg")), names, strict=True):
        path.rename(path.with_name(name))
    raw = os.fsencode(folder) + b"/no\xfftext.jpg"
    Path(os.fsdecode(raw)).write_bytes((folder / names[0]).read_bytes())
    images = mlygeo.process(folder, user_name="é")
    named = images[images["error"].isna()]
    assert {Path(path).name for path in named["path"]} == set(names)
    assert named["exif_written"].all()
    assert "not UTF-8" in images["error"].dropna().iloc[0]
    assert len(images) == 6
    assert len(mlygeo.process(folder)) == 6


def test_a_file_that_vanishes_in_between(tmp_path, monkeypatch):
    from mlygeo.photos import insertion

    paths = folder_of(tmp_path / "in", 4)
    insert = insertion.insert_tags

    def vanishing(*args, **kwargs):
        paths[1].unlink()
        paths[2].write_bytes(b"cut")
        return insert(*args, **kwargs)

    monkeypatch.setattr(insertion, "insert_tags", vanishing)
    images = mlygeo.process(tmp_path / "in")
    assert images["exif_written"].tolist() == [True, False, False, True]
    assert images["failed_in"].tolist()[1:3] == ["exif-insert"] * 2
    assert "No such file" in images["error"].iloc[1]
    assert "no JPEG" in images["error"].iloc[2]


@pytest.mark.skipif(os.name == "nt" or shutil.which("setpriv") is None, reason="needs setpriv")
def test_a_read_only_folder(tmp_path, capsys):
    """Frames go elsewhere; each photo is a row that says why it was not written."""
    folder = tmp_path / "in"
    paths = folder_of(folder, 3)
    before = [path.read_bytes() for path in paths]
    out = tmp_path / "out"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    command = [
        sys.executable,
        "-m",
        "mlygeo",
        "process",
        str(folder),
        "-o",
        str(out),
        "--desc-path",
        str(out / "d.json"),
        "-q",
    ]
    if os.geteuid() == 0:
        # The modes of files bind root only without these two rights. (Another user might not reach this Python.)
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    folder.chmod(0o555)
    try:
        found = subprocess.run(
            command, capture_output=True, text=True,
            env={**os.environ, "HOME": str(out), "MLYGEO_UPLOAD_HISTORY": str(out), "XDG_DATA_HOME": str(out)},
        )  # fmt: skip
    finally:
        folder.chmod(0o755)
    assert found.returncode == 3, found.stderr
    images = mlygeo.read_frame(out / "images.parquet")
    assert images["error"].str.contains("denied|Permission", case=False).all()
    assert [path.read_bytes() for path in paths] == before


@pytest.mark.may_skip
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="mounting a disk needs root")
def test_a_full_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount")
    try:
        paths = folder_of(place / "in", 4)
        for path in paths[1:]:
            path.write_bytes(path.read_bytes() + bytes(500_000))
        before = [path.read_bytes() for path in paths]
        (place / "filler").write_bytes(bytes(600_000))
        (place / "more").write_bytes(bytes(shutil.disk_usage(place).free - 250_000))
        with pytest.raises(FileError, match="disk is full"):
            mlygeo.process(place / "in")
        for path, old in zip(paths, before, strict=True):
            new = path.read_bytes()
            assert new == old or (len(new) > len(old) and new.endswith(old[-300:]))
        assert not [path for path in (place / "in").iterdir() if path.name.endswith(".part")]
        (place / "filler").unlink()
        (place / "more").unlink()
        assert mlygeo.process(place / "in")["exif_written"].all()
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_folders_of_another_program_are_left_alone(tmp_path):
    folder_of(tmp_path / "in", 2)
    other = tmp_path / "in" / ".other.jpg.abcd1234.part"
    other.mkdir()
    (other / "other.jpg").write_bytes(b"x")
    odd = tmp_path / "in" / ".img_00000.jpg.abcd1234.part"
    odd.mkdir()
    (odd / "notes.txt").write_bytes(b"x")
    assert cli.main(["process", str(tmp_path / "in"), "-q"]) == 0
    assert (odd / "notes.txt").exists()
    assert (other / "other.jpg").exists()
