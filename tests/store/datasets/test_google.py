"""Files and datasets in Google Cloud Storage, from a server of its protocol: read like those here, by few requests."""

import json
import re

import pyarrow.parquet as pq
import pytest
from geopandas.testing import assert_geodataframe_equal
from helpers.command_line import program
from helpers.datasets import write_world
from helpers.gcs_server import BUCKET, gcs_server

import mlygeo
from mlygeo.errors import FileError, FormatError
from mlygeo.net.ranges import TAIL
from mlygeo.store.datasets import reading

ROWS = 60_000
BOX = (9.2, 48.2, 9.25, 48.25)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a dataset of parts that are larger than the end of a file that is read first; and points."""
    return write_world(tmp_path_factory.mktemp("google"), ROWS)


def content_of(world):
    files = [*world.glob("images/*/*.parquet"), world / "images.partitions.parquet"]
    return {path.relative_to(world).as_posix(): path.read_bytes() for path in files}


@pytest.fixture
def google(world, tmp_path, monkeypatch):
    with gcs_server(tmp_path) as server:
        server.put(content_of(world))
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def test_a_box_is_read_by_few_requests(world, google):
    address = f"gs://{BUCKET}/images"
    before = len(google.requests())
    found = mlygeo.read_frame(address, bbox=BOX)
    asked = google.requests()[before:]
    expected = mlygeo.read_frame(world / "images", bbox=BOX)
    assert_geodataframe_equal(found, expected)
    assert len(expected) > 100
    parts = {path.partition("part-0")[0] for _, path in asked if "part-0" in path}
    assert 1 <= len(parts) <= 4
    assert len(asked) <= 10 + 4 * len(parts), asked
    assert {method for method, _ in asked} == {"GET"}
    one = sorted(content_of(world))[3]
    assert_geodataframe_equal(mlygeo.read_frame(f"gs://{BUCKET}/{one}"), mlygeo.read_frame(world / one))
    assert len(mlygeo.read_frame(f"gs://{BUCKET}/images/*/part-?.parquet")) == ROWS


def test_a_selection_has_the_bytes_of_that_from_here(world, google, tmp_path):
    words = ["select", "--points", str(world / "points.parquet"), "--srid", "25832", "--max-distance", "80"]
    done = program(*words, "--images", str(world / "images"), "-o", str(tmp_path / "here"))
    assert done.returncode == 0, done.stderr
    before = len(google.requests())
    done = program(*words, "--images", f"gs://{BUCKET}/images", "--workers", "2", "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    parts = len([*world.glob("images/*/*.parquet")])
    assert len(google.requests()) - before < 9 * parts
    here, out = (
        {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (tmp_path / "here", tmp_path / "out")
    )
    lock, lock_of_store = (json.loads(files.pop("selection.lock.json")) for files in (here, out))
    assert here == out
    assert {name for name, value in lock.items() if lock_of_store[name] != value} == {"inputs", "sha256_of_members"}


def test_a_dataset_is_made_of_what_lies_there_and_taken_back(google, world, tmp_path):
    mlygeo.partition(world / "images", tmp_path / "here", rows_per_part=9_000)
    mlygeo.partition(f"gs://{BUCKET}/images", tmp_path / "out", rows_per_part=9_000)
    here, out = (
        {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*.parquet")}
        for top in (tmp_path / "here", tmp_path / "out")
    )
    assert here == out
    indexes = [pq.read_table(tmp_path / f"{name}.partitions.parquet") for name in ("here", "out")]
    assert indexes[0].equals(indexes[1])  # its record names the place of the inputs
    google.put({f"again/{name}": content for name, content in out.items()})
    google.put({"again.partitions.parquet": (tmp_path / "out.partitions.parquet").read_bytes()})
    assert_geodataframe_equal(
        mlygeo.read_frame(f"gs://{BUCKET}/again", bbox=BOX), mlygeo.read_frame(tmp_path / "out", bbox=BOX)
    )


def test_the_record_of_a_dataset_tells_which_object_it_was_made_of(google, world, tmp_path):
    def inputs(name, address):
        mlygeo.partition(address, tmp_path / name)
        return mlygeo.read_frame(tmp_path / name).attrs["record"]["inputs"]["inputs"]

    content = [content_of(world)[name] for name in sorted(content_of(world))[3:5]]
    google.put({"alone/images.parquet": content[0]})
    first = inputs("first", f"gs://{BUCKET}/alone/images.parquet")
    assert first["source"] == "images.parquet"
    assert first["bytes"] == len(content[0])
    assert first["generation"]
    assert inputs("again", f"gs://{BUCKET}/alone/images.parquet") == first
    google.delete("alone/images.parquet")
    google.put({"alone/images.parquet": content[1]})
    second = inputs("second", f"gs://{BUCKET}/alone/images.parquet")
    assert second["bytes"] == len(content[1])
    assert second["generation"] != first["generation"]
    # A dataset is known by its index, wherever it lies.
    assert inputs("whole", f"gs://{BUCKET}/images") == inputs("here", world / "images")


def test_what_is_replaced_missing_or_unknown_is_told(google, world):
    name = sorted(content_of(world))[3]
    assert (world / name).stat().st_size > TAIL
    points = reading.open(f"gs://{BUCKET}/{name}").points()
    # The object that was opened is asked for by its generation. The store has none of it when it was replaced; this
    # server would send the other one.
    before = len(google.requests())
    google.delete(name)
    with pytest.raises(FileError, match=r"was replaced while it was read"):
        points.arrow("hash")
    asked = [path for _, path in google.requests()[before:] if "alt=media" in path]
    assert asked
    assert all(re.search(r"generation=[0-9]{9,}", path) for path in asked)
    google.put({name: (world / name).read_bytes()})
    google.put({"images/cell=q0/part-0.parquet": b"x"})
    with pytest.raises(FormatError, match=r"which .* does not name"):
        mlygeo.read_frame(f"gs://{BUCKET}/images")
    for address in (f"gs://{BUCKET}/no.parquet", "gs://there-is-no-such/x.parquet", f"gs://{BUCKET}/no/"):
        with pytest.raises(FileError, match="does not exist"):
            mlygeo.read_frame(address)
