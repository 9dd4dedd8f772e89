"""Making files of views: killed at any moment, with several processes, out of memory bounds, and from bad pictures."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers.panoramas import encoded, images_of, panorama, write_pictures
from helpers.picture_downloads import pictures_in
from helpers.processes import HANGS_S, start, wait_for
from helpers.unix import needs_proc, needs_unix

import mlygeo
from mlygeo.errors import FormatError
from mlygeo.perspective.ledger import LEDGER_FILE, Made, ViewLedger
from mlygeo.perspective.run import made_of
from mlygeo.spatial.views import plan_views

SMALL = {"required_disk_space": 0, "size": "48x32", "workers": 1}


def command(images, pictures, folder, *options):
    words = [sys.executable, "-m", "mlygeo", "views", images, "--pictures", pictures, "-o", folder, "--size", "200"]
    return [*map(str, words), "--required-disk-space", "0", *options]


@needs_unix("kill -9")
def test_killed_and_run_again_all_files_are_there_and_none_is_half(tmp_path):
    images = images_of(24)
    pictures = write_pictures(images, tmp_path / "pictures")
    file = tmp_path / "images.parquet"
    mlygeo.write_frame(images, file)
    right = tmp_path / "right"
    mlygeo.views(images, pictures=pictures, output=right, size="200", required_disk_space=0, workers=1)
    expected = pictures_in(right)
    assert len(expected) == 48
    folder, chance = tmp_path / "views", random.Random(2)
    there = 0
    for _ in range(2):
        process = start(command(file, pictures, folder, "--workers", "2"))
        goal = there + chance.randint(1, 12)
        wait_for(lambda goal=goal: len(pictures_in(folder)) >= goal, process)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        process.stderr.close()
        now = pictures_in(folder)
        assert now.items() <= expected.items()
        there = len(now)
    assert there < 48, "all was there before the last kill: nothing was tested"
    last = subprocess.run(
        command(file, pictures, folder, "--workers", "2"), capture_output=True, text=True, timeout=HANGS_S
    )
    assert last.returncode == 0, last.stderr
    assert pictures_in(folder) == expected
    assert not list((folder / ".mlygeo" / "parts").iterdir())
    made = int(last.stderr.split(" made, ")[0].rsplit(" ", 1)[1])
    assert 48 - there <= made <= 48 - there + 1  # one file may have its name and no row yet


def test_several_processes_make_the_same_files(tmp_path):
    images = images_of(6)
    pictures = write_pictures(images, tmp_path / "pictures")
    for workers in (1, 2):
        mlygeo.views(images, pictures=pictures, output=tmp_path / str(workers), **{**SMALL, "workers": workers})
    assert pictures_in(tmp_path / "1") == pictures_in(tmp_path / "2")
    assert len(pictures_in(tmp_path / "1")) == 12


MEASURED = """
import sys
from pathlib import Path
from mlygeo.perspective.sampling import View, sample
from mlygeo.perspective.source import Lens, decoded
import PIL.JpegImagePlugin, numpy as np
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
content = Path(sys.argv[1]).read_bytes()
views = [View(90.0 * number, 0.0, 90.0, int(sys.argv[2]), int(sys.argv[2])) for number in range(4)]
before = peak()
picture = decoded(content, Lens("equirectangular", 0.0, 0.0, 0.0), views)
for view in views:
    sample(picture.source, np.eye(3), view)
print(peak() - before)
"""


@needs_proc
@pytest.mark.parametrize(("size", "bytes_a_pixel"), [(2000, 8), (400, 2)])
def test_a_worker_has_one_picture_in_memory_as_large_as_views_need_it(tmp_path, size, bytes_a_pixel):
    """Twice four bytes a pixel, as it is copied once; of a picture that is reduced to a half, a quarter of that."""
    path = tmp_path / "large.jpg"
    path.write_bytes(encoded(np.zeros((3000, 6000, 3), dtype=np.uint8)))
    found = subprocess.run(
        [sys.executable, "-c", MEASURED, path, str(size)], capture_output=True, text=True, check=True
    )
    rest = 2000 * 2000 * 4 + 12e6  # a view, and what is worked on at once
    assert int(found.stdout) < 3000 * 6000 * bytes_a_pixel + rest


def test_a_bad_picture_costs_its_own_views(tmp_path):
    images = images_of(4)
    pictures = write_pictures(images, tmp_path / "pictures")
    (pictures / "500.jpg").write_bytes(panorama()[:5000])
    (pictures / "501.jpg").write_bytes(encoded(np.zeros((50, 60, 3), dtype=np.uint8)))
    (pictures / "502.jpg").unlink()
    made = mlygeo.views(images, pictures=pictures, output=tmp_path / "views", **SMALL)
    assert made["bytes"].notna().tolist() == [False] * 6 + [True] * 2
    errors = made["error"].fillna("").tolist()
    assert "500.jpg: the picture cannot be decoded" in errors[0]
    assert "501.jpg: the panorama has 60 x 50 pixels" in errors[2]
    assert errors[4] == f"no picture of image 502 in {pictures}"
    assert errors[6:] == ["", ""]
    assert sorted(pictures_in(tmp_path / "views")) == ["503_left.jpg", "503_right.jpg"]


def test_a_file_that_cannot_be_written_costs_itself(tmp_path):
    images = images_of(1)
    pictures = write_pictures(images, tmp_path / "pictures")
    (tmp_path / "views" / "500_left.jpg").mkdir(parents=True)
    made = mlygeo.views(images, pictures=pictures, output=tmp_path / "views", **SMALL)
    assert made["error"].notna().tolist() == [True, False]
    assert made["error"][0].startswith("500_left.jpg: ")


def test_what_is_made_of_changes_with_everything_that_is_in_the_file():
    images = images_of(2)
    planned = plan_views(images)

    def notes(views=planned, quality=90, source="1"):
        return made_of(views, quality=quality, sources=np.full(len(views), source, dtype=object))

    same = notes()
    assert notes(plan_views(images.copy())) == same
    assert len(set(same)) == len(same)
    for other in (
        notes(quality=91), notes(source="2"), notes(plan_views(images, fov=91)), notes(plan_views(images, pitch=1)),
        notes(plan_views(images.assign(creator_username="joe"))), notes(plan_views(images, width=641)),
        notes(plan_views(images.set_geometry(images.translate(1e-5)))), notes(plan_views(images.drop(columns="altitude"))),
        notes(plan_views(images.assign(pitch=1.0, roll=0.0))),
    ):  # fmt: skip
        assert not set(other) & set(same)


def test_a_row_of_the_ledger_counts_only_with_its_file(tmp_path):
    with ViewLedger(tmp_path) as ledger:
        for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
            (tmp_path / name).write_bytes(b"123")
            ledger.record(Made(name, "note", 3, 10, "sum"))
        (tmp_path / "b.jpg").write_bytes(b"12")
        (tmp_path / "c.jpg").unlink()
        found = ledger.there(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"], ["note"] * 3 + ["other", "note"])
        assert found == {"a.jpg": Made("a.jpg", "note", 3, 10, "sum")}


def test_a_ledger_that_is_none_or_newer_is_refused(tmp_path):
    (tmp_path / ".mlygeo").mkdir()
    path = tmp_path / ".mlygeo" / LEDGER_FILE
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(FormatError, match="is damaged"):
        ViewLedger(tmp_path)
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(FormatError, match="newer mlygeo"):
        ViewLedger(tmp_path)
