"""A selection from a dataset on a server or in an object store: the bytes of that from here, by few requests."""

import json
import re

import geopandas as gpd
import pytest
from geopandas.testing import assert_geodataframe_equal
from helpers.command_line import program
from helpers.datasets import write_dataset, write_world
from helpers.range_server import serving
from helpers.s3_server import s3_server

import mlygeo
from mlygeo.errors import FileError, FormatError, InputError, MlygeoError
from mlygeo.net.ranges import TAIL
from mlygeo.parts import images as datasets
from mlygeo.parts import plan

ROWS = 60_000


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with a dataset of 16 or so parts, each larger than the end of a file that is read first; and points."""
    return write_world(tmp_path_factory.mktemp("elsewhere"), ROWS, with_cameras=True)


def content_of(world):
    """Return the files of the dataset by their paths."""
    found = {path.relative_to(world).as_posix(): path.read_bytes() for path in world.glob("images/*/*.parquet")}
    return {"images": None, "images.partitions.parquet": (world / "images.partitions.parquet").read_bytes(), **found}


def selected(world, images, **options):
    return mlygeo.select(points=world / "points.parquet", images=images, srid=25832, **{"max_distance": 80} | options)


OPTIONS = [
    {"max_distance": 80, "k": 2},
    {"max_distance": None},
    {"region": (9.2, 48.2, 9.7, 48.7), "pano": True, "since": "2020-01-01"},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_server_gives_the_rows_of_the_dataset_here(world, options, monkeypatch):
    monkeypatch.setattr(plan, "ROWS_PER_TASK", 20_000)
    expected = selected(world, world / "images", **options)
    assert len(expected) > 50
    with serving(content_of(world)) as (url, _, _):
        found = selected(world, url, **options)
        assert_geodataframe_equal(found, expected)
        for fact in ("points_covered", "images", "distance_m", "images_considered", "left_out"):
            assert found.attrs["summary"][fact] == expected.attrs["summary"][fact]


def test_requests_of_a_server_are_few(world, monkeypatch):
    monkeypatch.setattr(plan, "ROWS_PER_TASK", 20_000)
    files = content_of(world)
    parts = [len(content) for content in files.values() if content][1:]
    assert min(parts) > 1.1 * TAIL
    with serving(files) as (url, asked, state):
        selected(world, url)
        # Once the index and the end of each part, then one range of each part that a task needs, and a byte of the
        # index, before and after a task, by which it sees that this is the same.
        assert len(asked) <= 6 * len(parts), (len(asked), len(parts))
        assert state["sent"] <= 3 * sum(parts), (state["sent"], sum(parts))
        asked.clear()
        selected(world, url, region=(9.2, 48.2, 9.3, 48.3))
        assert len(asked) <= 20, asked


@pytest.mark.parametrize("tag", ['"{}"', None])
def test_what_is_replaced_meanwhile_is_never_mixed(world, tmp_path, tag):
    files = content_of(world)
    expected = selected(world, world / "images")
    other = gpd.read_parquet(world / "images").drop(columns="cell")
    write_dataset(other.assign(hash=other["hash"].str[::-1]), tmp_path / "images", 6_000)
    replaced = content_of(tmp_path) | {"images.partitions.parquet": files["images.partitions.parquet"]}
    refused = 0
    for at in range(2, 22, 3):
        with serving(files, tag=tag) as (url, _, state):
            state["after"] = lambda number, at=at, state=state: number == at and state.update(content=replaced)
            try:
                found = selected(world, url)
            except MlygeoError as error:
                found = str(error)
        if isinstance(found, str):
            assert re.search(r"replaced while it was read|by the index", found), found
            refused += 1
        else:
            assert_geodataframe_equal(found, expected)
    assert refused >= 5


def test_a_part_of_another_size_is_refused(world):
    files = content_of(world)
    name = sorted(files)[5]
    whole = gpd.read_parquet(world / name)
    path = world / "other.parquet"
    mlygeo.write_frame(whole.assign(more=1), path)
    with (
        serving(files | {name: path.read_bytes()}) as (url, _, _),
        pytest.raises(FormatError, match="bytes, and by the index"),
    ):
        selected(world, url)
    path.unlink()


def test_another_index_than_that_of_the_plan_is_refused(world):
    files = content_of(world)
    with serving(files) as (url, _, state):
        dataset = datasets.dataset_of(url)
        assert datasets.opened(url, dataset.hash).hash == dataset.hash
        index = "images.partitions.parquet"
        write_dataset(
            gpd.read_parquet(world / "images").drop(columns="cell").iloc[1:], world / "less" / "images", 6_000
        )
        state["content"] = files | {index: (world / "less" / index).read_bytes()}
        with pytest.raises(FormatError, match="was changed since the plan was made"):
            datasets.opened(url, dataset.hash)
        state["content"] = {name: whole for name, whole in files.items() if name != index}
        with pytest.raises(FileError, match="is not beside it any more"):
            datasets.opened(url, dataset.hash)


def test_a_store_gives_the_bytes_of_the_dataset_here(world, tmp_path, monkeypatch):
    words = ["select", "--points", str(world / "points.parquet"), "--srid", "25832", "--max-distance", "80"]
    done = program(*words, "--images", str(world / "images"), "-o", str(tmp_path / "here"))
    assert done.returncode == 0, done.stderr
    with s3_server(tmp_path) as server:
        server.put("streets", {name: whole for name, whole in content_of(world).items() if whole})
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        before = len(server.requests())
        done = program(*words, "--images", "s3://streets/images", "--workers", "2", "-o", str(tmp_path / "out"))
        assert done.returncode == 0, done.stderr
        parts = len([*world.glob("images/*/*.parquet")])
        assert len(server.requests()) - before < 9 * parts
        # What nobody has named is in doubt.
        server.client.put_object(Bucket="streets", Key="images/cell=q0/part-0.parquet", Body=b"x")
        with pytest.raises(FormatError, match=r"which .* does not name"):
            selected(world, "s3://streets/images")
    here, out = (
        {path.relative_to(top).as_posix(): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (tmp_path / "here", tmp_path / "out")
    )
    lock, lock_of_store = (json.loads(files.pop("selection.lock.json")) for files in (here, out))
    assert here == out
    assert {name for name, value in lock.items() if lock_of_store[name] != value} == {"inputs", "sha256_of_members"}


@pytest.mark.parametrize("option", [{"scheduler": "tcp://127.0.0.1:1"}, {"part": "1/2"}, {"dry_run": True}])
def test_parts_need_an_index(world, option):
    files = {name: whole for name, whole in content_of(world).items() if name != "images.partitions.parquet"}
    words = (
        f"`{next(iter(option))}` has no effect without a dataset as `images`: the index that 'mlygeo partition' writes"
    )
    with serving(files) as (url, _, _), pytest.raises(InputError, match=f"{words} is not beside images"):
        selected(world, url, **option)
