"""Files and datasets in Google Cloud Storage, from a server of its protocol: read like those here, by few requests."""

import json
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from geopandas.testing import assert_geodataframe_equal
from helpers.command_line import program
from helpers.datasets import write_dataset
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
    folder = tmp_path_factory.mktemp("google")
    rng = np.random.default_rng(3)
    images = gpd.GeoDataFrame(
        {
            "id": rng.permutation(ROWS) + 1,
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, ROWS), unit="s", utc=True).as_unit("ms"),
            "is_pano": rng.random(ROWS) < 0.3,
            "hash": [f"{a:016x}{b:016x}{c:016x}{a ^ b:016x}" for a, b, c in rng.integers(0, 2**62, (ROWS, 3))],
        },
        geometry=gpd.points_from_xy(rng.uniform(9, 10, ROWS), rng.uniform(48, 49, ROWS)),
        crs=4326,
    )
    write_dataset(images, folder / "images", 6_000)
    some = images.geometry.iloc[::40].translate(5e-5, 5e-5)
    points = gpd.GeoDataFrame({"point_id": np.arange(len(some))}, geometry=some.to_numpy(), crs=4326)
    mlygeo.write_frame(points, folder / "points.parquet")
    return folder


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
