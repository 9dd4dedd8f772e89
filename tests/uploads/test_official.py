"""The official client against the stand-in, and ours beside it: what the one leaves there, the other leaves too."""

import pytest
from helpers.mapillary_tools_oracle import Official
from helpers.upload_folders import USER_TOKEN, clusters_of, described, folder_of, in_exif, service_of

import mlygeo
from mlygeo.providers.mapillary.descriptions import read_descriptions, write_descriptions
from mlygeo.standin import Faults, serve


@pytest.fixture(autouse=True)
def history(tmp_path, monkeypatch):
    monkeypatch.setenv("MLYGEO_UPLOAD_HISTORY", str(tmp_path / "history"))


def details(number):
    """Fields that not every image has."""
    more = {"MAPAltitude": 250.125 + number} if number % 2 else {}
    if number % 3 == 0:
        more["MAPCompassHeading"] = {"TrueHeading": number * 7.125, "MagneticHeading": number * 7.125}
    if number % 4 == 0:
        more |= {"MAPDeviceMake": "Ricoh", "MAPDeviceModel": "Theta Z1", "MAPOrientation": 1, "MAPCameraUUID": "1_2"}
    return more | ({"MAPFilename": f"é {number}.jpg", "MAPGPSAccuracyMeters": 2.5} if number % 5 == 0 else {})


def by_time(store):
    return sorted(map(described, clusters_of(store)), key=lambda images: images[0]["MAPCaptureTime"])


def test_both_clients_leave_the_same_images_descriptions_and_sequences(tmp_path):
    photos = tmp_path / "photos"
    entries = folder_of(photos, 23, a_sequence=10, extra=details)
    with serve(store=tmp_path / "theirs", token=USER_TOKEN) as server:
        official = Official(tmp_path, server)
        official.sign_in()
        official.run("upload", photos, "--user_name", "jane")
    with serve(store=tmp_path / "ours", token=USER_TOKEN) as server:
        mlygeo.upload(photos, service=service_of(server))
    assert by_time(tmp_path / "ours") == by_time(tmp_path / "theirs")
    wanted = [[in_exif(each) for each in entries[start : start + 10]] for start in (0, 10, 20)]
    assert by_time(tmp_path / "ours") == wanted
    for store in (tmp_path / "ours", tmp_path / "theirs"):
        assert len(list((store / "files").glob("*.jpg"))) == 23
        assert not list((store / "partial").glob("*"))


def test_the_official_client_reads_the_description_file_that_we_write(tmp_path):
    photos = tmp_path / "photos"
    entries = folder_of(photos, 12, a_sequence=6, extra=details)
    path = photos / "mapillary_image_description.json"
    images = read_descriptions(path)
    images.loc[11, "error"] = "its GPS is broken"
    images.loc[10, "is_duplicate"] = True
    # Columns that process knows, and the official file has no field for.
    write_descriptions(images.assign(private=True, user_name="jane", photo_uuid="x", organization_key="1"), path)
    with serve(store=tmp_path / "theirs", token=USER_TOKEN) as server:
        official = Official(tmp_path, server)
        official.sign_in()
        official.run("upload", photos, "--user_name", "jane")
    assert by_time(tmp_path / "theirs") == [[in_exif(each) for each in part] for part in (entries[:6], entries[6:10])]


def test_the_official_client_uploads_our_archives(tmp_path):
    photos = tmp_path / "photos"
    entries = folder_of(photos, 7, a_sequence=4)
    archives = mlygeo.zip_sequences(photos, output=tmp_path / "zips")
    assert archives["images"].tolist() == [4, 3]
    (tmp_path / "zips" / "mapillary_image_description.json").write_text("[]")
    with serve(store=tmp_path / "theirs", token=USER_TOKEN) as server:
        official = Official(tmp_path, server)
        official.sign_in()
        official.run("upload", tmp_path / "zips", "--user_name", "jane")
    assert by_time(tmp_path / "theirs") == [[in_exif(each) for each in part] for part in (entries[:4], entries[4:])]
    assert {cluster["file_type"] for cluster in clusters_of(tmp_path / "theirs")} == {"zip"}


def test_the_official_client_gets_through_the_stand_ins_faults(tmp_path):
    """Those that it tries again at once, or after the time that it is told."""
    photos = tmp_path / "photos"
    folder_of(photos, 30, a_sequence=30)
    with serve(store=tmp_path / "theirs", token=USER_TOKEN) as server:
        official = Official(tmp_path, server)
        official.sign_in()
        server.faults = Faults(wrong_offset=0.3, only=("upload",), first=1, seed=1)
        official.run("upload", photos, "--user_name", "jane")
        assert server.count("upload_offset") > 31
    assert [len(cluster["images"]) for cluster in clusters_of(tmp_path / "theirs")] == [30]


def test_the_official_clients_users_are_known_to_ours(tmp_path, monkeypatch):
    with serve(store=tmp_path / "store", token=USER_TOKEN) as server:
        official = Official(tmp_path, server)
        official.sign_in()
        monkeypatch.setenv("MAPILLARY_CONFIG_PATH", official.environment["MAPILLARY_CONFIG_PATH"])
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("MAPILLARY_GRAPH_API_ENDPOINT", server.url)
        monkeypatch.setenv("MAPILLARY_UPLOAD_ENDPOINT", server.endpoints.upload)
        folder_of(tmp_path / "photos", 3)
        uploads = mlygeo.upload(tmp_path / "photos", user_name="jane")
    assert uploads["status"].tolist() == ["done"] * 3
