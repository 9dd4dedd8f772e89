"""Which file of a folder is the picture of an image."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from helpers.panoramas import images_of

from mlygeo.downloads.ledger import Form, Ledger, Transfer
from mlygeo.downloads.picture_files import pictures_of


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def test_files_are_found_by_their_names_in_all_folders(tmp_path):
    put(tmp_path, "500.jpg", "a/b/501.JPEG", "502.webp", "503.png", ".mlygeo/503.jpg", "x503.jpg")
    paths, reasons = pictures_of(images_of(4), tmp_path)
    assert [path and Path(path).name for path in paths] == ["500.jpg", "501.JPEG", "502.webp", None]
    assert reasons.tolist() == [None, None, None, f"no picture of image 503 in {tmp_path}"]


def test_an_image_without_an_id_has_no_picture(tmp_path):
    put(tmp_path, "ab.jpg", "None.jpg", "nan.jpg")
    images = images_of(2).assign(id=pd.Series(["ab", None], dtype="str"))
    paths, reasons = pictures_of(images, tmp_path)
    assert paths.tolist() == [str(tmp_path / "ab.jpg"), None]
    assert reasons.tolist() == [None, "the image has no id"]


def test_two_files_of_one_name_are_in_doubt(tmp_path):
    put(tmp_path, "a/500.jpg", "b/500.jpg")
    paths, reasons = pictures_of(images_of(1), tmp_path)
    assert paths[0] is None
    assert reasons[0] == f"2 files in {tmp_path} are named 500: {tmp_path / 'a/500.jpg'}, {tmp_path / 'b/500.jpg'}"


def test_the_ledger_of_a_download_knows_files_of_other_names(tmp_path):
    put(tmp_path, "2024/12.jpg", "a/501.jpg", "b/501.jpg")
    said = {"form": Form(), "started_at": 1, "finished_at": 2}
    with Ledger(tmp_path) as ledger:
        ledger.record(
            Transfer(500, "done", path="2024/12.jpg", bytes=1, **said),
            Transfer(501, "found", path="b/501.jpg", bytes=1, **said),
            Transfer(502, "failed", reason="no", **said),
            Transfer(503, "done", path="gone.jpg", bytes=1, **said),
        )
    paths, reasons = pictures_of(images_of(4), tmp_path)
    assert paths.tolist() == [str(tmp_path / "2024/12.jpg"), str(tmp_path / "b/501.jpg"), None, None]
    assert [reason is None for reason in reasons] == [True, True, False, False]


def test_files_of_providers_are_not_mixed_up(tmp_path):
    put(tmp_path, "x.jpg", "panoramax/y.jpg")
    said = {"form": Form(), "started_at": 1, "finished_at": 2}
    with Ledger(tmp_path) as ledger:
        ledger.record(
            Transfer("5", "done", path="panoramax/y.jpg", bytes=1, provider="panoramax", **said),
            Transfer(5, "done", path="x.jpg", bytes=1, **said),
        )
    images = images_of(
        2, id=pd.Series(["5", "5"], dtype="str"), provider=pd.Series(["mapillary", "panoramax"], dtype="str")
    )
    assert pictures_of(images, tmp_path)[0].tolist() == [str(tmp_path / "x.jpg"), str(tmp_path / "panoramax/y.jpg")]
