"""Moving files: whatever links, hard links and twins a folder has, no photo is ever lost."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers.unix import needs_symlinks
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlygeo.photos import moves
from mlygeo.photos.moves import is_same_entry, move_files, read_moves, undo_moves

FOLDERS = ("a", "b", "a/c", "la", "lc")  # the last two are links to folders
NAMES = ("1.jpg", "1.JPG", "2.jpg", "\u00e9.jpg", "e\u0301.jpg")
KINDS = ("photo", "photo", "hard", "relative", "absolute", "nothing")


def tree_of(root, entries):
    """Make a tree; return its paths, of which several may be one file."""
    for folder in ("a/c", "b"):
        (root / folder).mkdir(parents=True)
    (root / "la").symlink_to("a")
    (root / "lc").symlink_to(root / "a" / "c")
    made: list[Path] = []
    for number, (folder, name, kind, other) in enumerate(entries):
        path = root / folder / name
        if os.path.lexists(path):
            continue
        if kind == "photo" or not made:
            path.write_text(f"photo {number}")
        elif kind == "hard":
            os.link(made[other % len(made)], path, follow_symlinks=False)
            if path.is_symlink() and not path.exists():  # a relative link is another one in another folder
                path.unlink()
                continue
        elif kind == "nothing":
            path.symlink_to("nothing.jpg")
        else:
            reached = made[other % len(made)]
            path.symlink_to(os.path.relpath(reached, os.path.realpath(path.parent)) if kind == "relative" else reached)
        made.append(path)
    return made


def content(path):
    with suppress(OSError):
        return path.read_text()
    return None


def seen(root):
    """All entries of a tree but the journal: what each says, and which are links."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            if path.name != moves.JOURNAL:
                found[str(path.relative_to(root))] = (path.is_symlink(), content(path))
    return found


entries = st.lists(
    st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.sampled_from(KINDS), st.integers(0, 9)),
    min_size=1,
    max_size=9,
)
goals = st.lists(st.tuples(st.sampled_from((*FOLDERS, "new", "a/new")), st.sampled_from(NAMES)), max_size=9)


@needs_symlinks
@given(entries=entries, goals=goals)
@example(entries=[("a", "1.jpg", "photo", 0)], goals=[("la", "1.jpg")])
@example(entries=[("a", "1.jpg", "photo", 0), ("b", "1.jpg", "relative", 0)], goals=[("b", "1.jpg")])
@example(
    entries=[("a", "1.jpg", "photo", 0), ("b", "2.jpg", "relative", 0)], goals=[("new", "1.jpg"), ("a/c", "2.jpg")]
)
@example(entries=[("a", "1.jpg", "photo", 0), ("la", "2.jpg", "hard", 0)], goals=[("la", "2.jpg")])
@settings(deadline=None, max_examples=300)
def test_nothing_is_lost_links_reach_their_photos_and_undo_is_exact(entries, goals):
    with TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        paths = tree_of(root, entries)
        before = seen(root)
        said = {str(path): content(path) for path in paths}
        targets = {str(path): str(root / place / name) for path, (place, name) in zip(paths, goals, strict=False)}
        journal = root / moves.JOURNAL
        moved, failed = move_files(targets, journal, links=list(said))
        assert moved.keys() | failed.keys() == targets.keys()
        assert not moved.keys() & failed.keys()
        for path, text in said.items():
            assert content(Path(moved.get(path, path))) == text
            assert os.path.lexists(path) or path in moved
        after = seen(root)
        assert Counter(after.values()) == Counter(before.values()), "every entry is there, once"
        assert read_moves(journal) == moved
        back, left = undo_moves(journal)
        assert (back, left) == ({now: first for first, now in moved.items()}, {})
        assert seen(root) == before
        assert sorted(path.name for path in root.iterdir()) == ["a", "b", "la", "lc"]


@needs_symlinks
def test_the_same_file_by_another_path_is_refused_before_anything_is_moved(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "linked").symlink_to("a")
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "a" / name).write_text(name)
    targets = {str(tmp_path / "a" / name): str(tmp_path / "linked" / name) for name in ("1.jpg", "2.jpg")}
    moved, failed = move_files(targets, tmp_path / "moves.jsonl")
    assert not moved
    assert all("the same file by another path" in reason for reason in failed.values())
    assert [(tmp_path / "a" / name).read_text() for name in ("1.jpg", "2.jpg")] == ["1.jpg", "2.jpg"]
    assert (tmp_path / "moves.jsonl").read_text() == "", "what is refused is not recorded as moved"


@needs_symlinks
def test_a_target_that_is_a_link_to_the_photo_is_refused(tmp_path):
    photo, link = tmp_path / "1.jpg", tmp_path / "sorted" / "1.jpg"
    photo.write_text("photo")
    link.parent.mkdir()
    link.symlink_to(photo)
    _, failed = move_files({str(photo): str(link)}, tmp_path / "moves.jsonl")
    assert "already" in failed[str(photo)]
    assert photo.read_text() == link.read_text() == "photo"


def test_a_hard_link_of_ones_own_at_the_target_stays_one_of_two(tmp_path):
    photo, twin = tmp_path / "1.jpg", tmp_path / "sorted" / "1.jpg"
    photo.write_text("photo")
    twin.parent.mkdir()
    os.link(photo, twin)
    _, failed = move_files({str(photo): str(twin)}, tmp_path / "moves.jsonl")
    assert "already" in failed[str(photo)]
    assert photo.exists()


@needs_symlinks
@pytest.mark.parametrize("kind", ["photo", "link"])
def test_a_run_that_was_killed_between_both_names_is_finished(tmp_path, kind):
    photo, source, target = tmp_path / "photo.jpg", tmp_path / "1.jpg", tmp_path / "sorted" / "1.jpg"
    photo.write_text("photo")
    target.parent.mkdir()
    if kind == "link":
        source.symlink_to("photo.jpg")
        target.symlink_to("../photo.jpg")
    else:
        source.write_text("another")
        os.link(source, target)
    journal = tmp_path / "moves.jsonl"
    journal.write_text(json.dumps({"from": str(source), "to": str(target)}) + "\n")
    assert read_moves(journal) == {}, "it is still where it was"
    moved, failed = move_files({str(source): str(target)}, journal)
    assert (moved, failed) == ({str(source): str(target)}, {})
    assert not os.path.lexists(source)
    assert target.read_text() == ("photo" if kind == "link" else "another")


@needs_symlinks
def test_a_link_stays_whole_where_its_photo_cannot_be_moved(tmp_path, monkeypatch):
    photo, first, second = (tmp_path / name for name in ("1.jpg", "2.jpg", "3.jpg"))
    photo.write_text("photo")
    for link in (first, second):
        link.symlink_to("1.jpg")
    real = moves._set_link

    def failing(link, reached):
        if link == second and reached.parent != tmp_path:
            raise PermissionError(13, "Permission denied")
        real(link, reached)

    monkeypatch.setattr(moves, "_set_link", failing)
    _, failed = move_files(
        {str(photo): str(tmp_path / "new" / "1.jpg")}, tmp_path / "moves.jsonl", links=[str(first), str(second)]
    )
    assert failed[str(photo)] == "Permission denied"
    assert [path.read_text() for path in (photo, first, second)] == ["photo"] * 3
    assert not (tmp_path / "new" / "1.jpg").exists()


def test_undo_says_where_another_file_has_come_meanwhile(tmp_path):
    """A camera that counts from 1 again: its new photo is not the old one, and neither is lost."""
    photo, target, journal = tmp_path / "1.jpg", tmp_path / "new" / "1.jpg", tmp_path / "moves.jsonl"
    photo.write_text("old")
    move_files({str(photo): str(target)}, journal)
    photo.write_text("new")
    moved, failed = undo_moves(journal)
    assert not moved
    assert "already" in failed[str(target)]
    assert (photo.read_text(), target.read_text()) == ("new", "old")
    assert journal.exists()


def test_hard_links_are_two_entries(tmp_path):
    one, other = tmp_path / "1.jpg", tmp_path / "1.JPG"
    one.write_text("photo")
    if not other.exists():
        os.link(one, other)
        assert not is_same_entry(one, other)
    assert is_same_entry(one, one)
    assert not is_same_entry(one, tmp_path / "2.jpg")


@pytest.mark.may_skip
def test_where_the_disk_folds_case_two_spellings_are_one_entry(tmp_path):
    disk, folder = tmp_path / "disk", tmp_path / "folded"
    folder.mkdir()
    with disk.open("wb") as file:
        file.truncate(4 << 20)
    try:
        made = subprocess.run(["mkfs.vfat", disk], capture_output=True).returncode == 0
    except FileNotFoundError:
        made = False
    if not made or subprocess.run(["mount", "-o", "loop", disk, folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount a disk, and mkfs.vfat")
    try:
        (folder / "IMG_0001.JPG").write_text("photo")
        assert is_same_entry(folder / "IMG_0001.JPG", folder / "img_0001.jpg")
        moved, failed = move_files(
            {str(folder / "IMG_0001.JPG"): str(folder / "img_0001.jpg")}, tmp_path / "moves.jsonl"
        )
        assert not moved
        assert len(failed) == 1
        assert (folder / "IMG_0001.JPG").read_text() == "photo"
    finally:
        subprocess.run(["umount", folder], check=True)
