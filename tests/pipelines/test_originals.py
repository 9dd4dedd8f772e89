"""Which originals are asked for: by the ids of files, between dates, of organizations."""

import numpy as np
import pytest
from helpers.command_line import run
from helpers.upload_folders import USER_TOKEN, photo, service_of, with_description

import mlygeo
from mlygeo.cli import old_tools
from mlygeo.errors import InputError
from mlygeo.standin import serve


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLYGEO_NO_PROGRESS", "1")


@pytest.fixture
def server(images, tmp_path, monkeypatch):
    with serve(images, token=USER_TOKEN) as server:
        for name in ("GRAPH_API", "TILES"):
            monkeypatch.setenv(f"MAPILLARY_{name}_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_ACCESS_TOKEN", USER_TOKEN)
        yield server


def described(path, captured="2024_01_01_00_00_00_000"):
    path.parent.mkdir(exist_ok=True)
    fields = {"MAPLatitude": 1.0, "MAPLongitude": 2.0, "MAPCaptureTime": captured}
    path.write_bytes(with_description(photo(hash(path.name) % 999), fields))


def fetched(folder):
    return sorted(int(path.stem) for path in folder.rglob("*.jpg"))


def asked_ids(server):
    """Return every id that was asked for singly or in a batch."""
    return {
        part for request in server.requests
        for part in [request.path.strip("/"), *str(request.query.get("ids", "")).split(",")] if part.isdigit()
    }  # fmt: skip


def test_numbers_of_a_camera_are_no_ids(server, images, tmp_path):
    one, two = (int(number) for number in images["id"].iloc[:2])
    for name in (f"{one}.jpg", f"IMG_{two}.jpg", "IMG_31101.JPG", "G0012345.jpg", f"{one}_2.jpg", "00031101.jpg",
                 "9999999999999999999.jpg"):  # fmt: skip
        described(tmp_path / "p" / name)
    found = mlygeo.download_originals(
        tmp_path / "p", output=tmp_path / "o", by_property="key", service=service_of(server)
    )
    assert fetched(tmp_path / "o") == [one]
    assert found.attrs["summary"]["not_found"] == 6
    assert asked_ids(server) - {"9" * 19} == {str(one)}


def test_dates_count_where_images_are_known_by_their_ids(server, images, tmp_path, capsys):
    ids = [int(number) for number in images["id"].iloc[:3]]
    for number, day in zip(ids, ("01", "02", "03"), strict=True):
        described(tmp_path / "p" / f"{number}.jpg", f"2024_01_{day}_12_00_00_000")
    words = ("download-originals", tmp_path / "p", "--by-property", "key", "-q")
    assert run(capsys, *words, "-o", tmp_path / "a", "--start-date", "2024-01-02", "--end-date", "2024-01-02")[0] == 0
    assert fetched(tmp_path / "a") == ids[1:2]
    assert run(capsys, *words, "-o", tmp_path / "b", "--start_time", "1704196800000")[0] == 0  # 2024-01-02 12:00
    assert fetched(tmp_path / "b") == sorted(ids[1:])
    assert run(capsys, *words, "-o", tmp_path / "c", "--end_time", "1704196800000")[0] == 0
    assert fetched(tmp_path / "c") == ids[:1]
    status, _, err = run(capsys, *words, "-o", tmp_path / "d", "--start-date", "2025-01-01")
    assert status == 2
    assert "no image in" in err
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--start-date", "nonsense"), "--start-date 'nonsense' is not a date or time"),
        (("--end-date", "nonsense"), "--end-date 'nonsense' is not a date or time"),
        (("--start-date", "2024-02-01", "--end-date", "2024-01-01"), "is not before --end-date 2024-01-01"),
    ],
)
def test_what_is_wrong_is_called_as_it_was_given(server, tmp_path, capsys, words, text):
    status, _, err = run(capsys, "download-originals", "-o", tmp_path / "o", *words)
    assert status == 2
    assert text in err
    assert "since" not in err
    assert "until" not in err
    assert server.count() == 0


def test_an_end_that_is_a_day_includes_it():
    """Of both names that conditions have."""
    from mlygeo import frames

    rest = {"pano": None, "creator": None, "organization": None, "min_quality": None}
    for names in (("since", "until"), ("start_date", "end_date")):
        given = frames.conditions_of(since="2024-01-02", until="2024-01-02", time_options=names, **rest)
        assert (given["until"] - given["since"]) / np.timedelta64(1, "D") == 1
    with pytest.raises(InputError, match="`since=2024-01-03` is not before `until=2024-01-02`"):
        frames.conditions_of(since="2024-01-03", until="2024-01-02", **rest)


def test_several_organizations_follow_the_old_flag(server, tmp_path):
    translated = old_tools.translated
    rest = ["--output-folder", "o"]
    assert translated(["download", "--organization_keys", "1", "2", *rest]) == [
        "download-originals", "--organization-keys", "1", "--organization-keys", "2", *rest,
    ]  # fmt: skip
    assert translated(["download", *rest, "--organization_keys=1", "--user_name", "7"])[-4:] == [
        "--organization-keys", "1", "--user_name", "7",
    ]  # fmt: skip
    assert translated(["download-originals", "--organization-key", "1", "2", *rest])[1:4] == [
        "--organization-key", "1", "2",
    ]  # fmt: skip


def test_of_panoramax_they_are_fetched_as_others(tmp_path, capsys):
    from mlygeo.providers import provider

    service = provider("panoramax").service(endpoint="http://127.0.0.1:9/api")
    with pytest.raises(InputError, match="Panoramax has no originals that only their owners may fetch") as caught:
        mlygeo.download_originals(service=service, output=tmp_path / "out")
    assert "download --size original" in caught.value.hint
    for option in (["--provider", "panoramax"], ["--endpoint", "https://panoramax.ign.fr/api"]):
        status, _, said = run(capsys, "download-originals", *option)
        assert status == 2
        assert "'mlygeo download --size original --provider panoramax'" in said
