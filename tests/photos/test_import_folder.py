"""Photos in a folder that cannot be written to: processed with -o, and uploaded from there."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from helpers.photo_folders import folder_of
from helpers.small_frames import images_frame
from helpers.upload_folders import USER_TOKEN, clusters_of, described, service_of

import mlygeo
from mlygeo.errors import FileError

pytestmark = [
    pytest.mark.skipif(os.name == "nt" or shutil.which("setpriv") is None, reason="needs setpriv"),
    pytest.mark.usefixtures("history"),
]


@pytest.fixture
def locked(tmp_path):
    """A folder of photos, and one below it, that nobody can write to."""
    folder = tmp_path / "in"
    folder_of(folder, 3)
    folder_of(folder / "deep er", 5)
    for path in sorted((folder / "deep er").iterdir())[:3]:
        path.unlink()
    (folder / "deep er").chmod(0o555)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    (folder / "deep er").chmod(0o755)


def run(server, *words, status=0):
    command = [sys.executable, "-m", "mlygeo", *map(str, words)]
    if os.geteuid() == 0:
        # The modes of files bind root only without these two rights.
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    environment = {
        **os.environ,
        "MAPILLARY_GRAPH_API_ENDPOINT": server.url,
        "MAPILLARY_UPLOAD_ENDPOINT": server.endpoints.upload,
        "MAPILLARY_ACCESS_TOKEN": USER_TOKEN,
    }
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert found.returncode == status, found.stderr
    return found.stderr


@pytest.mark.parametrize("options", [["--skip-exif-insert"], [], ["--keep-original", "--overwrite-all-exif-tags"]])
def test_they_are_uploaded_from_where_their_frames_are(server, locked, tmp_path, options):
    before = {path: path.read_bytes() for path in locked.rglob("*") if path.is_file()}
    out = tmp_path / "out"
    owner = ["--organization-key", "2", "--private"]
    # Where tags could not be written that is said, as status 3, and keeps nothing from being uploaded.
    run(server, "process", locked, "-o", out, *owner, *options, status=0 if options else 3)
    entries = json.loads((out / "mapillary_image_description.json").read_text())
    assert sorted(each["filename"] for each in entries) == sorted(map(str, before))
    assert not [each for each in entries if "error" in each]
    said = run(server, "upload", out)
    assert "5 images uploaded" in said
    clusters = clusters_of(server.store)
    descriptions = [each for cluster in clusters for each in described(cluster)]
    assert len(descriptions) == 5
    assert {each["MAPPrivate"] for each in descriptions} == {True}
    assert {cluster["organization_id"] for cluster in clusters} == {"2"}
    assert "5 uploaded before" in run(server, "upload", out)
    assert {path: path.read_bytes() for path in locked.rglob("*") if path.is_file()} == before


def test_in_a_chain_too(server, locked, tmp_path):
    words = ["process-and-upload", locked, "-o", tmp_path / "out", "--skip-exif-insert"]
    assert "5 images uploaded" in run(server, *words)
    assert sum(len(cluster["images"]) for cluster in clusters_of(server.store)) == 5


def test_without_another_folder_it_is_said_what_cannot_be_written(server, locked):
    assert "ermission denied" in run(server, "process", locked, status=1)


@pytest.mark.parametrize("name", ["images.parquet", "photos.parquet"])
def test_a_file_of_the_users_is_not_taken_for_the_state_of_a_run(tmp_path, name):
    """Nor is it overwritten."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder_of(folder, 3)
    mlygeo.write_frame(images_frame(), out / name)
    before = (out / name).read_bytes()
    for call in (mlygeo.process, mlygeo.extract_geotag_data):
        with pytest.raises(FileError, match=rf"{name} was not written by an earlier run"):
            call(folder, output=out)
    assert (out / name).read_bytes() == before


def test_where_the_folder_can_be_written_to_the_description_lies_there(server, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder_of(folder, 3)
    mlygeo.process(folder, output=out)
    assert (folder / "mapillary_image_description.json").exists()
    assert not (out / "mapillary_image_description.json").exists()
    assert mlygeo.upload(out, service=service_of(server)).attrs["summary"]["images"] == 3
    assert (out / ".mlygeo" / "upload_history.parquet").exists()
