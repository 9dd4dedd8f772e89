"""What was measured is kept in the folder of the pictures, and used while their files stay the same."""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

from mlygeo.measuring import kept, pictures
from mlygeo.measuring.kept import Kept

PHOTOS = Path(__file__).parents[1] / "data/photos"
NAMES = ("Canon_40D", "Nikon_D70", "Pentax_K10D", "Sony_HDR-HC3", "long_description")


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        shutil.copy(PHOTOS / f"{name}.jpg", tmp_path)
    return tmp_path


def paths_in(folder):
    return [str(folder / f"{name}.jpg") for name in NAMES]


def measured(folder, side=64):
    return pictures.measure(paths_in(folder), side=side, kept=Kept(folder, side), workers=1)


def known(folder, side=64):
    held = Kept(folder, side)
    return [held.known(path) is not None for path in paths_in(folder)]


def test_a_second_run_has_the_values_of_the_first_to_the_last_bit(folder, monkeypatch):
    once = measured(folder)
    monkeypatch.setattr(pictures, "measure_picture", None)
    assert_frame_equal(measured(folder), once, check_exact=True)


def test_each_size_that_is_measured_is_kept_by_itself(folder):
    measured(folder)
    assert known(folder, 32) == known(folder, None) == [False] * 5
    measured(folder, None)
    assert known(folder) == known(folder, None) == [True] * 5


def test_a_file_that_changed_is_measured_again(folder):
    measured(folder)
    os.utime(folder / "Nikon_D70.jpg", ns=(1, 1))
    shutil.copy(PHOTOS / "DSCN0010.jpg", folder / "Canon_40D.jpg")
    (folder / "Sony_HDR-HC3.jpg").unlink()
    assert known(folder) == [False, False, True, False, True]


def test_a_folder_that_moved_keeps_what_it_has(folder, tmp_path_factory):
    measured(folder)
    there = tmp_path_factory.mktemp("there") / "moved"
    shutil.move(folder, there)
    assert known(there) == [True] * 5


def test_what_failed_is_tried_again(folder):
    whole = (folder / "Canon_40D.jpg").read_bytes()
    (folder / "Canon_40D.jpg").write_bytes(whole[:6000])
    assert measured(folder)["picture_error"].notna().tolist() == [True] + [False] * 4
    assert known(folder) == [False] + [True] * 4


def test_a_run_that_was_ended_goes_on_with_the_rounds_that_are_done(folder, monkeypatch):
    monkeypatch.setattr(pictures, "ROUND", 2)
    tried = []

    def third_fails(path, _side):
        tried.append(path)
        if len(tried) == 3:
            raise KeyboardInterrupt
        return pictures.failed(None)._replace(blur=1.0, measured_width=1)

    monkeypatch.setattr(pictures, "measure_picture", third_fails)
    with pytest.raises(KeyboardInterrupt):
        measured(folder)
    assert known(folder) == [True, True, False, False, False]


def test_a_damaged_file_and_one_of_another_way_are_passed_over(folder, monkeypatch, caplog):
    once = measured(folder)
    path = folder / ".mlygeo" / kept.FILE
    table = pq.read_table(path)
    path.write_bytes(b"PAR1 no more")
    assert known(folder) == [False] * 5
    assert "cannot be read" in caplog.text
    pq.write_table(table.replace_schema_metadata({"way": b"0"}), path)
    assert known(folder) == [False] * 5
    assert_frame_equal(measured(folder), once)
    assert known(folder) == [True] * 5


def test_a_folder_that_cannot_be_written_to_is_said_and_measured(folder, caplog):
    (folder / ".mlygeo").write_text("a file in the place of the folder")
    assert measured(folder)["blur"].notna().all()
    assert "is not kept" in caplog.text
