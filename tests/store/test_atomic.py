"""Files that appear whole, and sets of files that appear together."""

import signal
import subprocess
import sys

import pytest
from helpers.unix import needs_unix

from mlygeo.errors import FileError
from mlygeo.store.atomic import atomic, clear_leftovers, remove, together, write_text

FILES = ("a.txt", "b.txt", "c.txt")

KILLED = """
import os, signal, sys
from pathlib import Path
from mlygeo.store.atomic import remove, together, write_text
folder, steps = Path(sys.argv[1]), int(sys.argv[2])
left = 0
def count(event, arguments):
    global left
    if event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "open") and str(folder) in str(arguments[0]):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
for number in range(steps):
    child = os.fork()
    if not child:
        left = number
        with together(folder, last="summary.json"):
            write_text("new", folder / "summary.json")
            remove(folder / "c.txt")
            write_text("new", folder / "a.txt")
            write_text("new", folder / "b.txt")
        os._exit(0)
    left = 10**9
    status = os.waitpid(child, 0)[1]
    found = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    print(status, found.get("summary.json"), *(found.get(name) for name in ("a.txt", "b.txt", "c.txt")))
    if not status:
        break
    write_text("old", folder / "a.txt"), write_text("old", folder / "b.txt"), write_text("old", folder / "c.txt")
    write_text("old", folder / "summary.json")
"""
"""Runs that die before one step more each: a file that is opened, renamed or removed."""


@needs_unix("such signal")
def test_a_set_is_of_one_run_wherever_a_process_was_killed(tmp_path):
    for name in (*FILES, "summary.json"):
        write_text("old", tmp_path / name)
    said = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "200"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    states = [line.split() for line in said.stdout.splitlines()]
    assert {int(state[0]) for state in states[:-1]} == {signal.SIGKILL}
    assert states[-1] == ["0", "new", "new", "new", "None"]
    seen = {tuple(state[2:]) for state in states if state[1] == "None"}
    assert seen > {("old", "old", "old"), ("new", "new", "None")}, "nothing says that they are whole"
    assert not [state for state in states if {"old", "new"} <= set(state[1:])], "files of two runs"
    assert {tuple(state[1:]) for state in states if state[1] != "None"} == {
        ("old", "old", "old", "old"),
        ("new", "new", "new", "None"),
    }
    clear_leftovers(tmp_path)
    left = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert all(not [*path.iterdir()] or not (path / ".alive").exists() for path in left)


@needs_unix("such signal")
def test_what_is_known_by_a_frame_beside_it_never_lies_there_alone(tmp_path):
    for name in ("a.txt", "b.parquet", "c.txt", "summary.json"):
        write_text("old", tmp_path / name)
    code = KILLED.replace("b.txt", "b.parquet")
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), "200"], capture_output=True, text=True, check=True
    )
    states = [line.split() for line in said.stdout.splitlines()]
    assert ["None"] * 4 in [state[1:] for state in states]
    for _, summary, text, frame, other in states:
        assert {summary, frame} != {"None"} or {text, other} == {"None"}


def test_what_fails_in_between_changes_nothing(tmp_path):
    for name in (*FILES, "summary.json"):
        write_text("old", tmp_path / name)

    def fails():
        with together(tmp_path, last="summary.json"):
            write_text("new", tmp_path / "a.txt")
            remove(tmp_path / "b.txt")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fails()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(
        (*FILES, "summary.json"), "old"
    )


def test_files_of_other_folders_are_no_part_of_a_set(tmp_path):
    with together(tmp_path / "set", last="z"):
        write_text("at once", tmp_path / "other" / "a.txt")
        assert (tmp_path / "other" / "a.txt").exists()
        with atomic(tmp_path / "set" / "a.txt") as temporary:
            temporary.write_text("later")
        write_text("once more", tmp_path / "set" / "a.txt")
        assert not (tmp_path / "set" / "a.txt").exists()
    assert (tmp_path / "set" / "a.txt").read_text() == "once more"
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["a.txt"]
    write_text("alone", tmp_path / "set" / "b.txt")
    assert (tmp_path / "set" / "b.txt").exists()


def test_what_is_in_the_way_is_an_error_of_ours(tmp_path):
    (tmp_path / "a.txt" / "folder").mkdir(parents=True)

    def written():
        with together(tmp_path, last="z"):
            write_text("new", tmp_path / "a.txt")
            write_text("new", tmp_path / "z")

    with pytest.raises(FileError):
        written()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
