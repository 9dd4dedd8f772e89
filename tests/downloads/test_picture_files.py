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
    put(tmp_path, "500.jpg", "a/b/501.JPEG", "502.webp", "503.PNG", ".mlygeo/504.jpg", ".x/504.jpg", "x504.jpg")
    paths, reasons, in_doubt = pictures_of(images_of(5), tmp_path)
    assert [path and Path(path).name for path in paths] == ["500.jpg", "501.JPEG", "502.webp", "503.PNG", None]
    assert reasons.tolist() == [None, None, None, None, f"no picture of image 504 in {tmp_path}"]
    assert not in_doubt.any()


def test_masks_beside_pictures_are_no_pictures(tmp_path):
    put(tmp_path, "500.jpg", "500.png", "masks/500.png", "masks/501.png", "other/501.png")
    paths, _, in_doubt = pictures_of(images_of(2), tmp_path)
    assert paths.tolist() == [str(tmp_path / "500.jpg"), None]
    assert in_doubt.tolist() == [False, True]


def test_an_image_without_an_id_has_no_picture(tmp_path):
    put(tmp_path, "ab.jpg", "None.jpg", "nan.jpg")
    images = images_of(2).assign(id=pd.Series(["ab", None], dtype="str"))
    paths, reasons, in_doubt = pictures_of(images, tmp_path)
    assert paths.tolist() == [str(tmp_path / "ab.jpg"), None]
    assert in_doubt.tolist() == [False, False]
    assert reasons.tolist() == [None, "the image has no id"]


def test_two_files_of_one_name_are_in_doubt(tmp_path):
    put(tmp_path, "a/500.jpg", "b/500.jpg")
    paths, reasons, in_doubt = pictures_of(images_of(1), tmp_path)
    assert paths[0] is None
    assert in_doubt.all()
    assert reasons[0] == f"2 files in {tmp_path} are named 500: {tmp_path / 'a/500.jpg'}, {tmp_path / 'b/500.jpg'}"


def test_the_ledger_of_a_download_knows_files_of_other_names(tmp_path):
    put(tmp_path, "2024/12.jpg", "a/501.jpg", "b/501.jpg", "added/504.jpg")
    said = {"form": Form(), "started_at": 1, "finished_at": 2}
    with Ledger(tmp_path) as ledger:
        ledger.record(
            Transfer(500, "done", path="2024/12.jpg", bytes=1, **said),
            Transfer(501, "found", path="b/501.jpg", bytes=1, **said),
            Transfer(502, "failed", reason="no", **said),
            Transfer(503, "done", path="gone.jpg", bytes=1, **said),
        )
    paths, reasons, in_doubt = pictures_of(images_of(5), tmp_path)
    there = ["2024/12.jpg", "b/501.jpg", None, None, "added/504.jpg"]
    assert paths.tolist() == [name and str(tmp_path / name) for name in there]
    assert reasons[2] == f"no picture of image 502 in {tmp_path}"
    assert reasons[3] == f"the picture of image 503 was downloaded, but {tmp_path / 'gone.jpg'} is gone"
    assert in_doubt.tolist() == [False, False, False, True, False]


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
    assert pictures_of(images, tmp_path).paths.tolist() == [
        str(tmp_path / "x.jpg"), str(tmp_path / "panoramax/y.jpg")
    ]  # fmt: skip


def test_a_file_that_the_ledger_knows_is_no_other_provider_s_picture(tmp_path):
    """Ids of providers may be alike; a name does not tell them apart."""
    put(tmp_path, "5.jpg", "6.jpg")
    with Ledger(tmp_path) as ledger:
        ledger.record(Transfer(5, "done", path="5.jpg", bytes=1, form=Form(), started_at=1, finished_at=2))
    ids, providers = ["5", "6", "6"], ["panoramax", "panoramax", "mapillary"]
    images = images_of(3, id=pd.Series(ids, dtype="str"), provider=pd.Series(providers, dtype="str"))
    paths, reasons, in_doubt = pictures_of(images, tmp_path)
    assert paths.tolist() == [None, None, None]
    assert reasons[0] == f"no picture of image 5 in {tmp_path}"
    assert reasons[1] == f"{tmp_path / '6.jpg'} may be image 6 of mapillary or panoramax"
    assert in_doubt.tolist() == [False, True, True]
