import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from helpers.photo_folders import LAT, START_MS, STEP, folder_of
from helpers.unix import needs_symlinks

import mlygeo
from mlygeo import cli
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.photos import moves
from mlygeo.providers.mapillary.descriptions import read_descriptions


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


@pytest.fixture
def folder(tmp_path):
    """Two sequences of five, in two folders, three duplicates in the first, and a broken photo; two were uploaded, one failed."""
    from mlygeo.uploads.ledger import UploadLedger

    folder = tmp_path / "in"
    folder_of(folder / "a", 8, lat=lambda n: LAT + min(n, 5) * STEP if n < 7 else LAT + 5 * STEP, heading=lambda n: 0.0)
    folder_of(folder / "b", 5, ms=lambda n: START_MS + 10_000_000 + n * 2000)
    (folder / "broken.jpg").write_bytes(b"no")
    mlygeo.process(folder)
    with UploadLedger() as ledger:
        for name in ("img_00000.jpg", "img_00001.jpg"):
            ledger.sent(
                path=str(folder / "b" / name),
                kind="image",
                md5=name,
                upload_md5=name,
                size=1,
                handle="h",
                sequence_id="s",
            )
        ledger.failed(path=str(folder / "b" / "img_00002.jpg"), kind="image", reason="the network", sequence_id="s")
        ready = ledger.ready(
            ["img_00000.jpg", "img_00001.jpg"], kind="sequence", name="s", content="c", handle="h",
            file_type="mly_bundle_manifest", organization_key=None, user_key=None,
        )  # fmt: skip
        ledger.done(ready.number, "1")
    return folder


def everything(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.jpg")
        if ".mlygeo" not in path.parts
    }


def run(capsys, *words):
    status = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def test_summary_and_list(folder, capsys):
    status, out, err = run(
        capsys, "post_process", "--import_path", folder, "--summarize", "--list_file_status", "--save_as_json"
    )
    assert status == 0, err
    summary = json.loads((folder / "mapillary_import_summary.json").read_text())
    listed = json.loads((folder / "mapillary_import_image_status_list.json").read_text())
    assert summary["total images"] == 14
    assert summary["upload summary"] == {"successfully uploaded": 2, "failed uploads": 1}
    assert summary["process summary"]["duplicates"] == 2
    assert summary["process summary"]["geotag_process"] == {"failed": 1, "success": 13}
    assert summary["process summary"]["processed_not_yet_uploaded"] == 8
    assert [
        len(listed[name])
        for name in ("successfully uploaded", "failed uploads", "duplicates", "processed_not_yet_uploaded", "failed")
    ] == [2, 1, 2, 8, 1]
    assert json.dumps(summary, indent=4) in out
    status, out, _ = run(capsys, "post-process", folder, "--json")
    assert json.loads(out)["total images"] == 14


def test_moving_and_back(folder, tmp_path, capsys):
    before = everything(folder)
    described = read_descriptions(folder / "mapillary_image_description.json")
    images = mlygeo.read_frame(folder / ".mlygeo" / "images.parquet")
    ids = dict(zip(images["photo_uuid"], images["sequence_id"], strict=True))
    dry = mlygeo.post_process(folder, move_all_images=True, dry_run=True)
    assert everything(folder) == before
    images = mlygeo.post_process(folder, move_all_images=True)
    assert dry["target"].tolist() == images["target"].tolist()
    assert set(everything(folder)) == {
        *(f"to_be_uploaded/a/1/img_{n:05}.jpg" for n in range(6)),
        *(f"duplicates/a/1/img_{n:05}.jpg" for n in (6, 7)),
        *(f"uploaded/b/2/img_{n:05}.jpg" for n in (0, 1)),
        "failed_upload/b/2/img_00002.jpg",
        *(f"to_be_uploaded/b/2/img_{n:05}.jpg" for n in (3, 4)),
        "broken.jpg",
    }
    assert sorted(everything(folder).values()) == sorted(before.values())
    # The description file, the frames and the next run know the photos where they are now, as what they were.
    now = read_descriptions(folder / "mapillary_image_description.json")
    assert all(Path(path).exists() for path in now["path"])
    assert now["sequence_id"].tolist() == described["sequence_id"].tolist()
    again = mlygeo.process(folder)
    assert len(again) == 14
    assert again["is_duplicate"].sum() == 2
    assert dict(zip(again["photo_uuid"], again["sequence_id"], strict=True)) == ids
    assert mlygeo.post_process(folder)["status"].value_counts()["uploaded"] == 2
    status, _, err = run(capsys, "post-process", folder, "--undo")
    assert status == 0, err
    assert set(everything(folder)) == set(before)
    assert not (folder / "to_be_uploaded").exists()
    assert mlygeo.process(folder)["path"].str.startswith(str(folder)).all()
    assert "0 photos put back" in run(capsys, "post-process", folder, "--undo")[2]


def test_moving_elsewhere(folder, tmp_path):
    with pytest.raises(FileError, match="not a folder"):
        mlygeo.post_process(folder, move_duplicates=True, split_import_path=tmp_path / "sorted")
    (tmp_path / "sorted").mkdir()
    before = everything(folder)
    mlygeo.post_process(folder, move_duplicates=True, split_import_path=tmp_path / "sorted")
    assert set(everything(tmp_path / "sorted")) == {f"duplicates/a/img_{n:05}.jpg" for n in (6, 7)}
    assert {
        **everything(folder),
        **{name.removeprefix("duplicates/"): content for name, content in everything(tmp_path / "sorted").items()},
    } == before


def test_nothing_is_overwritten(folder, capsys):
    stranger = folder / "duplicates" / "a" / "img_00006.jpg"
    stranger.parent.mkdir(parents=True)
    stranger.write_bytes(b"somebody else's")
    before = (folder / "a" / "img_00006.jpg").read_bytes()
    status, _, err = run(capsys, "post-process", folder, "--move-duplicates")
    assert status == 3
    assert "already" in err
    assert stranger.read_bytes() == b"somebody else's"
    assert (folder / "a" / "img_00006.jpg").read_bytes() == before
    assert (folder / "duplicates" / "a" / "img_00007.jpg").exists()
    assert run(capsys, "post-process", folder, "--undo")[0] == 0
    assert (folder / "a" / "img_00007.jpg").exists()
    assert stranger.read_bytes() == b"somebody else's"


def test_moves_after_process(tmp_path, capsys):
    """The flags of the older tools' process."""
    folder = tmp_path / "in"
    folder_of(folder, 6, step=0, heading=lambda n: 5.0)
    status, out, err = run(capsys, "process", folder, "--move_duplicates", "--summarize", "--json")
    assert status == 0, err
    assert len(list((folder / "duplicates").glob("*.jpg"))) == 5
    result = json.loads(out)
    assert result["duplicates"] == 5
    assert result["post_process"]["process summary"]["duplicates"] == 5


def test_local_mapping(folder, tmp_path):
    images = mlygeo.post_process(folder, save_local_mapping=True)
    with (tmp_path / "in_mapillary_image_uuid_to_local_path_mapping.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 14
    assert (
        dict(rows)["a/img_00003.jpg"] == images.set_index("path").loc[str(folder / "a" / "img_00003.jpg"), "photo_uuid"]
    )
    assert len({uuid for _, uuid in rows}) == 14


def test_sampled_frames_of_videos(tmp_path):
    folder_of(tmp_path / "mapillary_sampled_video_frames" / "v.mp4", 2)
    (tmp_path / "v.mp4").write_bytes(b"")
    assert len(mlygeo.post_process(video_import_path=tmp_path / "v.mp4")) == 2
    assert len(mlygeo.post_process(video_import_path=tmp_path)) == 2
    with pytest.raises(FileError, match="does not exist"):
        mlygeo.post_process(video_import_path=tmp_path / "w.mp4")
    with pytest.raises(InputError, match="against each other"):
        mlygeo.post_process(tmp_path / "mapillary_sampled_video_frames", undo=True, move_duplicates=True)


def test_unprocessed_photos(tmp_path):
    folder_of(tmp_path / "in", 2)
    assert mlygeo.post_process(tmp_path / "in")["status"].unique().tolist() == ["not_processed"]


def test_a_journal_tells_where_files_are(tmp_path):
    journal = tmp_path / "moves.jsonl"
    a, b, c = (tmp_path / name for name in "abc")
    a.write_text("x")
    moves.move_files({str(a): str(b)}, journal)
    moves.move_files({str(b): str(c)}, journal)
    assert moves.read_moves(journal) == {str(a): str(c)}
    # A run that was killed after it had noted a move, or between the two names of a file.
    with journal.open("a") as notes:
        notes.write(json.dumps({"from": str(c), "to": str(b)}) + '\n{"from": "')
    assert moves.read_moves(journal) == {str(a): str(c)}
    b.hardlink_to(c)
    moved, failed = moves.move_files({str(c): str(b)}, journal)
    assert (moved, failed) == ({str(c): str(b)}, {})
    assert b.read_text() == "x"
    assert not c.exists()
    journal.write_text("x\n{}\n")
    with pytest.raises(FormatError, match="line 1"):
        moves.read_moves(journal)
    _, failed = moves.move_files({str(tmp_path / "gone"): str(c)}, tmp_path / "other.jsonl")
    assert "not there" in failed[str(tmp_path / "gone")]


def test_a_disk_without_second_names(tmp_path, monkeypatch):
    import errno
    import os

    def refuse(*args, **kwargs):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_text("x")
    _, failed = moves.move_files({str(tmp_path / "a"): str(tmp_path / "d" / "b")}, tmp_path / "j")
    assert not failed
    assert (tmp_path / "d" / "b").read_text() == "x"
    (tmp_path / "a").write_text("y")
    _, failed = moves.move_files({str(tmp_path / "a"): str(tmp_path / "d" / "b")}, tmp_path / "j")
    assert "already" in failed[str(tmp_path / "a")]
    assert (tmp_path / "a").read_text() == "y"
    shutil.rmtree(tmp_path / "d")


@needs_symlinks
def test_through_a_linked_folder_nothing_is_moved_onto_itself(tmp_path, capsys):
    folder_of(tmp_path / "a", 4)
    (tmp_path / "linked").symlink_to("a")
    mlygeo.process(tmp_path / "a")
    photos = Counter(path.read_bytes() for path in (tmp_path / "a").glob("*.jpg"))
    assert cli.main(["post-process", str(tmp_path / "a"), "--move-uploaded"]) == 0
    words = ["post-process", str(tmp_path / "a"), "--move-uploaded", "--split-import-path", str(tmp_path / "linked")]
    assert cli.main(words) == 0, capsys.readouterr().err
    assert Counter(path.read_bytes() for path in (tmp_path / "a").rglob("*.jpg")) == photos
    assert cli.main(["post-process", str(tmp_path / "a"), "--undo"]) == 0
    assert Counter(path.read_bytes() for path in (tmp_path / "a").glob("*.jpg")) == photos


@needs_symlinks
def test_photos_that_are_links_still_reach_theirs(tmp_path):
    """Relative ones, as they are made beside the photos of a card."""
    for number, path in enumerate(folder_of(tmp_path / "card", 4)):
        link = tmp_path / "in" / "day" / f"link{number}.jpg"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"../../card/{path.name}")
    mlygeo.process(tmp_path / "in", skip_exif_insert=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "in").rglob("*.jpg")}
    images = mlygeo.post_process(tmp_path / "in", move_all_images=True)
    assert images["target"].notna().all()
    after = {path.name: path.read_bytes() for path in (tmp_path / "in").rglob("*.jpg")}
    assert after == before
    assert all(path.is_symlink() for path in (tmp_path / "in" / "to_be_uploaded").rglob("*.jpg"))
    mlygeo.post_process(tmp_path / "in", undo=True)
    assert sorted(str(path.readlink()) for path in (tmp_path / "in" / "day").iterdir()) == [
        f"../../card/{path.name}" for path in sorted((tmp_path / "card").iterdir())
    ]
