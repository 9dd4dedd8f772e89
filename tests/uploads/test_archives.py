"""Which archives go up: those of a sequence, by mlygeo or the official client; and no album of somebody's."""

import json
import zipfile

import pytest
from helpers.command_line import run
from helpers.mapillary_tools_oracle import Official
from helpers.upload_folders import USER_TOKEN, clusters_of, folder_of, log_of, photo, service_of, with_description

import mlygeo
from mlygeo.errors import FormatError
from mlygeo.standin import serve
from mlygeo.uploads import archives

TOLD = {"MAPLatitude": 1.0, "MAPLongitude": 2.0, "MAPCaptureTime": "2024_01_01_00_00_00_000"}
MARK = b'{"sequence_md5sum":"0123456789abcdef0123456789abcdef"}'


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        yield server


def archive(path, contents, comment=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in contents.items():
            file.writestr(name, content)
        file.comment = comment
    return path


FAMILY = {f"{number}.jpg": photo(number) for number in range(3)}
OTHERS = {
    "pictures of a family": (FAMILY, b""),
    "images of the app": ({"0.jpg": with_description(photo(1), TOLD)}, b""),
    "a way out, and no picture": ({"../../evil.jpg": photo(1), "x.jpg": b"abc"}, b""),
    "another comment": (FAMILY, b'{"made_with": "a camera"}'),
    "a comment that is not JSON": (FAMILY, b"{"),
    "a mark that says nothing": (FAMILY, b'{"sequence_md5sum": ""}'),
    "no file at all": ({}, b""),
    "a text": ({"a.txt": b"no picture"}, b""),
}


@pytest.mark.parametrize("contents", OTHERS.values(), ids=OTHERS)
def test_other_archives_beside_photos_are_left_out_and_named(server, tmp_path, contents):
    folder_of(tmp_path / "p", 3)
    archive(tmp_path / "p" / "family.zip", *contents)
    summary = mlygeo.upload(tmp_path / "p", service=service_of(server)).attrs["summary"]
    assert (summary["images"], summary["zips"], summary["failed"]) == (3, 0, 0)
    assert summary["skipped"] == {"other archives": 1}
    assert list(summary["left_out"]) == [str(tmp_path / "p" / "family.zip")]
    assert [cluster["file_type"] for cluster in clusters_of(server.store)] == ["mly_bundle_manifest"]
    assert not any(line.get("key", "").endswith(".zip") for line in log_of(server.store))


@pytest.mark.parametrize("content", [b"", b"PK nonsense"])
def test_what_is_no_archive_is_left_out(server, tmp_path, capsys, content):
    (tmp_path / "z").mkdir()
    (tmp_path / "z" / "a.zip").write_bytes(content)
    status, _, err = run(capsys, "upload", tmp_path / "z")
    assert status == 0
    assert "a.zip" in err
    assert "nothing to upload" in err


def test_an_archive_that_is_named_has_to_be_one_of_a_sequence(server, tmp_path):
    path = archive(tmp_path / "family.zip", FAMILY)
    with pytest.raises(FormatError, match=r"family\.zip .*no sequence") as caught:
        mlygeo.upload(path, service=service_of(server))
    assert "mlygeo zip" in caught.value.hint
    assert not log_of(server.store)


DAMAGED = {
    "no description": {"0.jpg": with_description(photo(1), TOLD), "1.jpg": photo(2)},
    "lacks a position": {"0.jpg": with_description(photo(1), {"MAPPrivate": True})},
    "x.jpg, which has no description": {"0.jpg": with_description(photo(1), TOLD), "x.jpg": b"abc"},
    "leads out of it": {"../../evil.jpg": with_description(photo(1), TOLD)},
    "without images": {},
}


@pytest.mark.parametrize("reason", DAMAGED)
def test_an_archive_of_a_sequence_that_is_not_whole_fails_with_the_reason(server, tmp_path, reason):
    path = archive(tmp_path / "z" / "a.zip", DAMAGED[reason], MARK)
    job = mlygeo.upload(path.parent, service=service_of(server))
    assert job.attrs["summary"]["failed"] == 1
    with pytest.raises(FormatError, match=reason):
        archives.descriptions_in(path)
    assert not log_of(server.store)


def test_a_half_archive_of_ours_is_a_failure(server, tmp_path, capsys, monkeypatch):
    """Its name says what it was meant to be; only its end, with the mark, is missing."""
    monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
    folder_of(tmp_path / "p", 3)
    path = mlygeo.zip_sequences(tmp_path / "p", output=tmp_path / "z")["path"].iloc[0]
    content = (tmp_path / "z" / path).read_bytes()
    (tmp_path / "z" / path).write_bytes(content[: len(content) // 2])
    status, _, err = run(capsys, "upload", tmp_path / "z")
    assert status == 3
    assert "not an archive that can be read" in err


@pytest.mark.parametrize("mark", ["sequence_md5sum", "upload_md5sum"])
def test_archives_of_the_official_clients_of_all_years_go_up(server, tmp_path, mark):
    """They marked them with another word up to 0.13."""
    archive(tmp_path / "z" / "a.zip", DAMAGED["no description"] | {"1.jpg": with_description(photo(2), TOLD)},
            json.dumps({mark: "0" * 32}).encode())  # fmt: skip
    summary = mlygeo.upload(tmp_path / "z", service=service_of(server)).attrs["summary"]
    assert (summary["zips"], summary["images"], summary["left_out"]) == (1, 2, {})


def test_archives_that_the_official_client_makes_go_up(server, tmp_path):
    folder_of(tmp_path / "p", 7, a_sequence=4)
    Official(tmp_path, server).run("zip", tmp_path / "p", tmp_path / "z")
    summary = mlygeo.upload(tmp_path / "z", service=service_of(server)).attrs["summary"]
    assert (summary["zips"], summary["images"]) == (2, 7)
    assert {cluster["file_type"] for cluster in clusters_of(server.store)} == {"zip"}
