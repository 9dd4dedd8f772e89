"""Tests of parts that somebody has changed since they were written, whatever their size: no value of them is used."""

import shutil
from dataclasses import replace
from pathlib import PurePosixPath

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely
from helpers.range_server import serving

import mlygeo
from mlygeo.errors import FormatError, InputError, MlygeoError
from mlygeo.store import paths
from mlygeo.store.datasets import reading
from mlygeo.store.datasets.index import read_index, write_index


def images(rows, seed=0):
    rng = np.random.default_rng(seed)
    return gpd.GeoDataFrame(
        {
            "id": rng.permutation(rows) + 10**12,
            "sequence_id": [f"s{row // 3}" for row in range(rows)],
            "captured_at": pd.to_datetime(rng.integers(1, 9, rows) * 10**11, unit="ms", utc=True).as_unit("ms"),
            "compass_angle": rng.random(rows),
        },
        geometry=shapely.points(9 + rng.random(rows), 48 + rng.random(rows)),
        crs=4326,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    mlygeo.partition(images(60), folder / "city")
    return folder


@pytest.fixture
def city(written, tmp_path):
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path / "city"


def part_of(folder):
    return next(folder.rglob("part-0.parquet"))


def test_no_changed_byte_changes_an_answer(city):
    path, whole = part_of(city), mlygeo.read_frame(city)
    content = path.read_bytes()
    noticed = 0
    for at in np.random.default_rng(7).choice(len(content), 400, replace=False):
        changed = bytearray(content)
        changed[at] ^= 1 << (at % 8)
        path.write_bytes(changed)
        try:
            found = mlygeo.read_frame(city)
        except MlygeoError:
            noticed += 1
        else:
            pd.testing.assert_frame_equal(found, whole)
            assert found.crs == whole.crs
    assert noticed > 200


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(mlygeo.read_frame, id="frame"),
        pytest.param(lambda path: mlygeo.read_frame(path, bbox=(9, 48, 10, 49)), id="box"),
        pytest.param(lambda path: reading.open(path).points().arrow("id"), id="points"),
        pytest.param(lambda path: reading.open(path).points((9, 48, 9.5, 49)).lonlat, id="places"),
        pytest.param(
            lambda path: mlygeo.select(images=path, points=images(3)[["geometry"]], max_distance=50_000),
            id="select",
        ),
        pytest.param(lambda path: mlygeo.partition(path, path.with_name("again")), id="partition"),
        pytest.param(lambda path: mlygeo.partition(images(3, 1), path, add=True), id="add"),
    ],
)
def test_a_part_with_other_bytes_is_refused_by_its_name(city, read):
    path = part_of(city)
    content = bytearray(path.read_bytes())
    end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[40:end] = bytes(byte ^ 255 for byte in content[40:end])
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"cell=q[0-3]+/part-0\.parquet"):
        read(city)


def test_a_sound_file_in_the_place_of_a_part_is_not_it(city):
    table = pq.read_table(part_of(city), partitioning=None)
    pq.write_table(table.take(np.arange(len(table))[::-1]), part_of(city), write_page_checksum=True)
    index = read_index(city.with_name("city.partitions.parquet"))
    grown = replace(index, parts=(replace(index.parts[0], bytes=part_of(city).stat().st_size),))
    write_index(grown, city.with_name("city.partitions.parquet"))
    with pytest.raises(FormatError, match=r"cell=q[0-3]+/part-0\.parquet is another file than the index"):
        mlygeo.read_frame(city)


def test_whole_datasets_are_compared_with_their_indexes(city):
    found = mlygeo.partition(city, verify=True)
    assert len(found) == found.attrs["summary"]["parts"] == 1
    assert found.attrs["summary"]["verified"]
    assert not city.with_name("dataset").exists()


def test_datasets_on_a_server_are_compared_too(city):
    content = {each.relative_to(city.parent).as_posix(): each.read_bytes() for each in city.parent.rglob("*.parquet")}
    with serving(content) as (url, _, state):
        address = f"{url.rpartition(':')[0]}:{url.rpartition(':')[2].partition('/')[0]}/city/"
        assert mlygeo.partition(address, verify=True).attrs["summary"]["rows"] == 60
        name = part_of(city).relative_to(city.parent).as_posix()
        changed = bytearray(content[name])
        changed[-20] ^= 1
        state["content"] = {**content, name: bytes(changed)}
        with pytest.raises(FormatError, match="other bytes"):
            mlygeo.partition(address, verify=True)
        with pytest.raises(MlygeoError, match=r"cell=q[0-3]+/part-0\.parquet"):
            mlygeo.read_frame(address)


def test_only_datasets_can_be_compared(city):
    with pytest.raises(InputError, match=r"part-0\.parquet is none"):
        mlygeo.partition(part_of(city), verify=True)
    with pytest.raises(InputError, match="`add` has no effect"):
        mlygeo.partition(city, verify=True, add=True)
    city.with_name("city.partitions.parquet").unlink()
    with pytest.raises(InputError, match=r"city\.partitions\.parquet"):
        mlygeo.partition(city, verify=True)


def test_an_index_without_hashes_of_footers_is_read(city):
    beside = city.with_name("city.partitions.parquet")
    table = pq.read_table(beside)
    pq.write_table(table.drop_columns(["footer_sha256"]), beside)
    assert read_index(beside).parts[0].footer_sha256 is None
    assert len(mlygeo.read_frame(city)) == 60


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/b.parquet", "b.parquet"),
        ("images/cell=q021/part-0.parquet", "cell=q021/part-0.parquet"),
        ("images/year=2024/month=1/x.parquet", "year=2024/month=1/x.parquet"),
        ("year=2024/plain/x.parquet", "x.parquet"),
    ],
)
def test_files_are_called_by_what_their_folders_say_too(path, name):
    assert paths.called(PurePosixPath(path)) == name
