"""Downloads from the stand-in over real sockets: what is fetched, what is not, and what a folder holds then."""

import hashlib
import io
import json
import os
import re
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.exiftool_oracle import ExifTool
from helpers.picture_downloads import expected, fetch, pictures_in, service_of
from helpers.tokens import TOKEN
from PIL import Image

import mlygeo
from mlygeo.errors import CredentialsError, FileError, InputError, NetworkError, TokenRejectedError
from mlygeo.locks import FolderLock
from mlygeo.standin import Faults, serve
from mlygeo.standin.pictures import Pictures


@pytest.fixture
def some(images):
    return images.iloc[:40]


@pytest.fixture
def server(images):
    with serve(images, token=TOKEN) as running:
        yield running


def test_a_frame_is_downloaded_and_a_second_time_nothing_is(server, some, tmp_path):
    folder = tmp_path / "pictures"
    frame = fetch(server, some, folder)
    assert pictures_in(folder) == expected(some)
    assert frame["status"].unique().tolist() == ["done"]
    assert frame["id"].tolist() == sorted(some["id"])
    summary = frame.attrs["summary"]
    assert (summary["images"], summary["fetched"], summary["there"]) == (40, 40, 0)
    assert summary["bytes"] == sum(map(len, expected(some).values()))
    for row in frame.itertuples():
        content = (folder / row.path).read_bytes()
        assert (row.bytes, row.checksum) == (len(content), hashlib.sha256(content).hexdigest())
    server.forget()
    again = fetch(server, some, folder)
    assert server.count() == 0
    assert (again.attrs["summary"]["fetched"], again.attrs["summary"]["there"]) == (0, 40)
    pd.testing.assert_frame_equal(again, frame)
    pd.testing.assert_frame_equal(mlygeo.transfers(folder), frame)
    assert not list((folder / ".mlygeo" / "parts").iterdir())


def test_what_is_all_there_needs_no_token(server, some, tmp_path):
    fetch(server, some, tmp_path)
    assert mlygeo.download(some, output=tmp_path, size="256").attrs["summary"]["there"] == 40
    with pytest.raises(CredentialsError, match="no access token"):
        mlygeo.download(some, output=tmp_path, size="1024", required_disk_space=0)


def test_metadata_comes_many_ids_a_request(server, images, tmp_path):
    fetch(server, images.iloc[:450], tmp_path)
    assert server.count("thumbs") == 450
    assert server.count() - 450 == 3


def test_a_deleted_or_shortened_file_is_fetched_again_and_a_changed_whole_one_is_kept(server, some, tmp_path):
    frame = fetch(server, some, tmp_path)
    gone, short, edited = (tmp_path / path for path in frame["path"][:3])
    right = short.read_bytes()
    gone.unlink()
    short.write_bytes(right[: len(right) // 2])
    with Image.open(edited) as picture:
        picture.rotate(90).save(edited, "JPEG", quality=50)
    own = edited.read_bytes()
    server.forget()
    again = fetch(server, some, tmp_path)
    assert server.count("thumbs") == 2
    assert gone.exists()
    assert short.read_bytes() == right
    assert edited.read_bytes() == own
    assert again["status"].value_counts().to_dict() == {"done": 39, "found": 1}
    server.forget()
    fetch(server, some, tmp_path)
    assert server.count() == 0


def test_a_folder_that_an_older_tool_left(server, some, tmp_path):
    """Whole files are taken as they are, those that were cut short are fetched; JPEG headers alone do not do."""
    for number, (name, content) in enumerate(expected(some).items()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"" if number == 0 else content[: len(content) // 3] if number == 1 else content)
    frame = fetch(server, some, tmp_path)
    assert server.count("thumbs") == 2
    assert pictures_in(tmp_path) == expected(some)
    assert sorted(frame["status"]) == ["done"] * 2 + ["found"] * 38


def test_overwrite_fetches_everything_anew(server, some, tmp_path):
    frame = fetch(server, some, tmp_path)
    (tmp_path / frame["path"][0]).write_bytes(b"\xff\xd8\xff\xd9")
    server.forget()
    assert fetch(server, some, tmp_path, overwrite=True).attrs["summary"]["fetched"] == 40
    assert pictures_in(tmp_path) == expected(some)


def test_another_size_is_not_there(server, some, tmp_path, caplog):
    fetch(server, some, tmp_path)
    frame = fetch(server, some, tmp_path, size="1024")
    assert "40 images are there in another form" in caplog.text
    assert pictures_in(tmp_path) == expected(some, "1024")
    assert frame["size"].unique().tolist() == ["1024"]


def test_faults_of_a_third_of_all_requests(images, tmp_path):
    """500 images come complete and byte for byte equal, none twice in the ledger, and no token leaks."""
    wanted = images.iloc[:500]
    folder = tmp_path / "pictures"
    with serve(images, token=TOKEN, faults=Faults(seed=4).spread(0.3)) as server:
        frame = fetch(server, wanted, folder, num_retries=12)
        assert pictures_in(folder) == expected(wanted)
        assert frame["status"].unique().tolist() == ["done"]
        assert server.leaks == 0
        assert server.count("thumbs") > 600  # there were faults


@pytest.mark.parametrize("fault", ["stall", "endless", "redirect", "bomb", "rate", "not_found"])
def test_each_fault_that_needs_patience(images, tmp_path, fault):
    faults = Faults(**{fault: 1.0}, first=1, only=("thumbs",), rate_answer=429)
    with serve(images, token=TOKEN, faults=faults) as server:
        service = service_of(server, read_timeout=0.5, total_timeout=1.5)
        frame = fetch(server, images.iloc[:6], tmp_path, service=service)
        if fault == "bomb":
            assert frame["status"].unique().tolist() == ["failed"]
            assert "pixels" in frame["reason"][0]
            assert pictures_in(tmp_path) == {}
        else:
            assert pictures_in(tmp_path) == expected(images.iloc[:6])
        assert server.leaks == 0


def test_an_expired_address_is_asked_for_anew(images, tmp_path):
    with serve(
        images, token=TOKEN, faults=Faults(expired=1.0, first=1, only=("thumbs",), expired_status=410)
    ) as server:
        frame = fetch(server, images.iloc[:10], tmp_path)
        assert pictures_in(tmp_path) == expected(images.iloc[:10])
        assert frame["tries"].unique().tolist() == [2]
        assert server.count("entity") == 10


def test_an_address_about_to_expire_is_not_even_tried(images, tmp_path):
    with serve(images, token=TOKEN, faults=Faults(url_lifetime=5)) as server:
        fetch(server, images.iloc[:3], tmp_path)
        assert pictures_in(tmp_path) == expected(images.iloc[:3])
        assert (server.count("thumbs"), server.count("entity")) == (3, 3)


def test_gone_images_are_recorded_at_once(images, tmp_path):
    wanted = images.iloc[:10]
    gone = sorted(wanted["id"].tolist()[:2])
    failed_file = tmp_path / "failed.txt"
    with serve(images, token=TOKEN, faults=Faults(gone=frozenset(gone))) as server:
        frame = fetch(server, wanted, tmp_path / "p", failed_imgid_file=failed_file)
        assert frame.loc[frame["status"] == "gone", "id"].tolist() == gone
        assert frame.loc[frame["status"] == "gone", "reason"].unique().tolist() == ["gone (code 100/33)"]
        assert server.count("entity") == 2
        assert server.count("thumbs") == 8
        server.forget()
        again = fetch(server, wanted, tmp_path / "p", failed_imgid_file=failed_file)
        assert server.count() == 0
        assert again.attrs["summary"]["gone"] == 2
    assert [line.split()[0] for line in failed_file.read_text().splitlines()] == [str(number) for number in gone]


def test_failures_are_named_and_taken_up_later(images, tmp_path):
    wanted = images.iloc[:20]
    failed_file = tmp_path / "failed.txt"
    failed_file.write_text("# of another run\n77  # still failing\n")
    bad = Faults(server_error=1.0, only=("thumbs",))
    with serve(images, token=TOKEN) as server:
        fetch(server, wanted.iloc[:15], tmp_path / "p")
        server.faults = bad
        frame = fetch(server, wanted, tmp_path / "p", num_retries=2, failed_imgid_file=failed_file)
        assert frame["status"].value_counts().to_dict() == {"done": 15, "failed": 5}
        assert set(frame.loc[frame["status"] == "failed", "tries"]) == {3}
        assert frame["reason"].dropna().str.contains("answered 502, in 3 tries").all()
        assert frame.attrs["summary"]["failed"] == 5
        failed = wanted["id"].tolist()[15:]
        lines = failed_file.read_text().splitlines()
        assert lines[:2] == ["# of another run", "77  # still failing"]
        assert [int(line.split()[0]) for line in lines[2:]] == sorted(failed)
        assert (
            mlygeo.download(
                imgid_file=failed_file, output=tmp_path / "x", dry_run=True, service=service_of(server)
            ).attrs["summary"]["images"]
            == 6
        )
        server.faults = Faults()
        server.forget()
        taken = mlygeo.download(
            retry_failed=True, output=tmp_path / "p", size="256", required_disk_space=0, service=service_of(server),
            failed_imgid_file=failed_file,
        )  # fmt: skip
        assert taken["id"].tolist() == sorted(failed)
        assert server.count("thumbs") == 5
        assert failed_file.read_text().splitlines() == ["# of another run", "77  # still failing"]
        assert mlygeo.download(retry_failed=True, output=tmp_path / "p").empty


def test_a_bad_token_ends_everything_at_once(images, tmp_path):
    with serve(images, token="another") as server:
        with pytest.raises(TokenRejectedError):
            fetch(server, images.iloc[:400], tmp_path)
        assert server.count() <= 8
    assert pictures_in(tmp_path) == {}


def test_a_network_that_is_down_ends_the_run(images, tmp_path, monkeypatch):
    monkeypatch.setattr("mlygeo.downloads.run.FAILED_IN_A_ROW", 20)
    with serve(images, token=TOKEN, faults=Faults(hang_up=1.0, only=("thumbs",))) as server:
        with pytest.raises(NetworkError, match="the last 20 images"):
            fetch(server, images.iloc[:400], tmp_path, num_retries=1)
        assert server.count("thumbs") < 200


def test_an_empty_list_downloads_nothing(server, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing in here\n\n")
    frame = mlygeo.download(imgid_file=empty, output=tmp_path / "p", service=service_of(server))
    assert frame.empty
    assert "id" in frame
    assert server.count() == 0
    assert not (tmp_path / "p").exists()


def test_the_second_run_in_a_folder_stops(server, some, tmp_path):
    with FolderLock(tmp_path), pytest.raises(FileError, match=f"another run is at work .*.process {os.getpid()} on "):
        fetch(server, some, tmp_path)
    assert server.count() == 0


def test_two_runs_at_once_do_not_harm_each_other(images, tmp_path):
    wanted, results = images.iloc[:60], []

    def run():
        try:
            results.append(fetch(server, wanted, tmp_path).attrs["summary"]["fetched"])
        except FileError as error:
            results.append(str(error))

    with serve(images, token=TOKEN, faults=Faults(latency=0.05)) as server:
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 60 in results
    assert any("another run" in str(result) for result in results)
    assert pictures_in(tmp_path) == expected(wanted)


def test_too_little_room_stops_before_anything_is_fetched(server, some, tmp_path):
    with pytest.raises(FileError, match="shall stay free") as caught:
        fetch(server, some, tmp_path, required_disk_space=1e9)
    assert "`required_disk_space=GB`" in caught.value.hint
    assert caught.value.exit_status == 1
    assert server.count("thumbs") == 0


def test_room_is_watched_as_it_goes(server, images, tmp_path, monkeypatch):
    """Once the disk has less than shall stay free the run stops, and keeps what it has."""
    import shutil

    usage = shutil.disk_usage(tmp_path)

    def shrinking(path):
        files = sum(1 for _ in Path(tmp_path).rglob("*.jpg"))
        return usage._replace(free=int(30e9) if files < 10 else int(5e9))

    monkeypatch.setattr("mlygeo.downloads.files.shutil.disk_usage", shrinking)
    with pytest.raises(FileError, match=r"5\.0 GB are free"):
        fetch(server, images.iloc[:200], tmp_path, required_disk_space=10, workers=4)
    kept = pictures_in(tmp_path)
    assert 10 <= len(kept) <= 14
    monkeypatch.undo()
    server.forget()
    assert fetch(server, images.iloc[:200], tmp_path).attrs["summary"]["there"] == len(kept)


@pytest.mark.parametrize("layout", ["sequence", "time", "flat"])
@pytest.mark.parametrize(
    "form", [{}, {"exif": True, "computed": True}, {"quality": 30}, {"format": "webp", "exif": True}]
)
def test_layouts_and_forms(server, some, tmp_path, layout, form):
    frame = fetch(server, some, tmp_path, layout=layout, **form)
    ending = form.get("format", "jpg")
    plain = {int(Path(name).stem): content for name, content in expected(some).items()}
    for row, image in zip(frame.itertuples(), some.sort_values("id").itertuples(), strict=True):
        stamp = f"{image.captured_at:%Y%m%d_%H%M%S}_{image.captured_at.microsecond // 1000:03d}"
        form_of_path = {
            "sequence": f"{image.sequence_id}/{image.id}.{ending}",
            "flat": f"images/{image.id}.{ending}",
            "time": rf"\d{{8}}_\d{{6}}_{image.sequence_id[:8]}/{stamp}(_{image.id})?\.{ending}",
        }[layout]
        assert re.fullmatch(form_of_path, row.path)
        content = (tmp_path / row.path).read_bytes()
        assert (content == plain[image.id]) == (not form)
        with Image.open(io.BytesIO(content)) as picture, Image.open(io.BytesIO(plain[image.id])) as original:
            assert picture.format == {"jpg": "JPEG", "webp": "WEBP"}[ending]
            same = (np.asarray(picture) == np.asarray(original)).all()
            assert same == ("quality" not in form and ending == "jpg")
            assert bool(picture.getexif()) == bool(form.get("exif"))
    if layout == "flat":
        result = json.loads((tmp_path / "jsons" / f"{image.id}.json").read_text())
        assert result["id"] == str(image.id)
        assert "CC BY-SA" in result["attribution"]
        assert not any(name.startswith("thumb") for name in result)
    server.forget()
    fetch(server, some, tmp_path, layout=layout, **form)
    assert server.count() == 0


def test_exiftool_finds_the_structure_of_a_download_valid(server, some, tmp_path):
    frame = fetch(server, some, tmp_path, layout="flat", exif=True, computed=True)
    with ExifTool() as exiftool:
        for path in frame["path"]:
            assert exiftool.read(tmp_path / path)["GPS:GPSLatitudeRef"] == "N"
            assert exiftool.faults(tmp_path / path) == []


def test_time_names_do_not_depend_on_the_order_and_nothing_is_overwritten(images, tmp_path):
    same = images.iloc[:6].copy()
    same["captured_at"] = same["captured_at"].iloc[0]
    same["sequence_id"] = same["sequence_id"].iloc[0]
    names = []
    with serve(same, token=TOKEN) as server:
        for number, order in enumerate([[0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4]]):
            frame = fetch(server, same.iloc[order], tmp_path / str(number), layout="time")
            names.append(dict(zip(frame["id"], frame["path"], strict=True)))
        assert names[0] == names[1]
        assert len(set(names[0].values())) == 6
        lowest = min(names[0])
        assert re.fullmatch(r"\d{8}_\d{6}_.{1,8}/\d{8}_\d{6}_\d{3}\.jpg", names[0][lowest])
        assert all(str(number) in path for number, path in names[0].items() if number != lowest)
        # In two steps the name that is taken stays taken.
        fetch(server, same.iloc[[5]], tmp_path / "steps", layout="time")
        frame = fetch(server, same, tmp_path / "steps", layout="time")
        assert frame["path"].nunique() == 6
        drawn = Pictures()
        for row in frame.itertuples():
            is_pano = bool(same.loc[same["id"] == row.id, "is_pano"].iloc[0])
            assert (tmp_path / "steps" / row.path).read_bytes() == drawn.drawn(row.id, "256", is_pano=is_pano)


def test_a_dry_run_fetches_nothing(server, images, tmp_path):
    wanted = images.iloc[:450]
    fetch(server, wanted.iloc[:100], tmp_path)
    server.forget()
    frame = fetch(server, wanted, tmp_path, dry_run=True)
    summary = frame.attrs["summary"]
    assert server.count() == 0
    assert frame.empty
    assert (summary["images"], summary["there"], summary["to_fetch"]) == (450, 100, 350)
    assert summary["requests_for_metadata"] == 2
    mean = np.mean([len(content) for content in pictures_in(tmp_path).values()])
    assert summary["expected_bytes"] == pytest.approx(350 * mean)
    assert summary["fits"]
    assert len(mlygeo.transfers(tmp_path)) == 100
    assert not mlygeo.download(wanted, output=tmp_path / "new", dry_run=True).attrs["summary"]["there"]
    assert not (tmp_path / "new").exists()


def test_max_images_takes_the_first_ones(server, images, tmp_path):
    wanted = images.sample(frac=1, random_state=1)
    frame = fetch(server, wanted, tmp_path, max_images=7)
    assert sorted(frame["id"]) == sorted(wanted["id"].iloc[:7])
    server.forget()
    fetch(server, wanted, tmp_path, max_images=7)
    assert server.count() == 0


def test_a_wrong_clock_costs_one_address_an_image(images, tmp_path, monkeypatch):
    """With a clock years ahead every address seems to have expired; the pictures come all the same."""
    real = time.time
    monkeypatch.setattr("mlygeo.downloads.run.time.time", lambda: real() + 5e7)
    with serve(images, token=TOKEN) as server:
        fetch(server, images.iloc[:3], tmp_path)
    assert pictures_in(tmp_path) == expected(images.iloc[:3])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": 0}, "`workers`"),
        ({"num_retries": -1}, "`num_retries`"),
        ({"quality": 101}, "`quality`"),
        ({"quality": 0}, "`quality`"),
        ({"required_disk_space": float("nan")}, "`required_disk_space`"),
        ({"max_images": -1}, "`max_images`"),
        ({"computed": True}, "`computed`"),
        ({"imgid_file": "x.txt", "user": "someone"}, "`user`"),
        ({"sequence": ["abc"], "pano": True}, "`pano`"),
        ({"sequence": ["a b"]}, "not an id of a sequence"),
    ],
)
def test_options_that_make_no_sense(tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    Path("x.txt").write_text("1\n")
    with pytest.raises(InputError, match=words):
        mlygeo.download(None, output=tmp_path / "p", **options)
    assert not (tmp_path / "p").exists()


def test_nothing_said_is_not_everything(tmp_path):
    with pytest.raises(InputError, match="no images to download are given") as caught:
        mlygeo.download(output=tmp_path)
    assert "`imgid_file=FILE`" in caught.value.hint


# Without a limit in the call, a tenth of the disk stays free, and what is to come has to fit.


@pytest.mark.parametrize(
    ("total_gb", "free_gb", "options", "fits"),
    [
        (252, 75, {}, True),
        (252, 25.3, {}, True),
        (252, 25.1, {}, False),  # 50 pictures of 1024 pixels are 6.5 MB, which leaves 25.1 and not 25.2
        (20, 2.5, {}, True),
        (252, 75, {"required_disk_space": 100}, False),
        (252, 1, {"required_disk_space": 0}, True),
    ],
)
def test_the_room_that_stays_free(server, images, tmp_path, monkeypatch, total_gb, free_gb, options, fits):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(total=int(total_gb * 1e9), free=int(free_gb * 1e9))
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    call = {"size": "1024", "output": tmp_path / "p", "service": service_of(server), **options}
    plan = mlygeo.download(images.iloc[:50], dry_run=True, **call).attrs["summary"]
    assert plan["fits"] is fits
    if fits:
        assert mlygeo.download(images.iloc[:50], **call).attrs["summary"]["fetched"] == 50
    else:
        with pytest.raises(FileError, match="shall stay free"):
            mlygeo.download(images.iloc[:50], **call)


def test_what_does_not_fit_by_its_estimate_does_not_begin(server, images, tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(total=int(10e9), free=int(3e9))
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(FileError, match=r"about 3\.2 GB are to come"):
        mlygeo.download(images, size="original", output=tmp_path / "p", service=service_of(server))
    assert pictures_in(tmp_path / "p") == {}
