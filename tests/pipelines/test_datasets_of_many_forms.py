"""Tests of what `partition` and its readers say beforehand: what does not fit, what is missing, what it would take."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

import mlygeo
from mlygeo.cli import main
from mlygeo.errors import FileError, InputError
from mlygeo.places import STATE_FOLDER
from mlygeo.store.datasets import sources
from mlygeo.systems import free_memory


def images(rows, *, text=False, seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.permutation(rows) + 10**12
    return gpd.GeoDataFrame(
        {"id": [f"{'x' * (id_ % 2)}{id_}" for id_ in ids] if text else ids, "compass_angle": rng.random(rows)},
        geometry=shapely.points(9 + rng.random(rows) / 100, 48 + rng.random(rows) / 100),
        crs=4326,
    )


def points(rows, seed=1):
    return images(rows, seed=seed)[["geometry"]]


@pytest.fixture
def city(tmp_path):
    mlygeo.partition(images(50), tmp_path / "city")
    return tmp_path / "city"


# What is written elsewhere


OUTPUTS = [
    ["select", "--images", "{images}", "--points", "{points}", "-o"],
    ["convert", "{images}"],
    ["map", "{images}", "-o"],
    ["tracks", "{images}", "-o"],
    ["partition", "{images}", "-o"],
    ["download", "{images}", "-o"],
    ["coverage", "--images", "{images}", "--streets", "{points}", "-o"],
]


@pytest.mark.parametrize("place", ["x", "cell=q1202/x", "cell=q1202/deep/x"])
@pytest.mark.parametrize("command", OUTPUTS, ids=lambda command: command[0])
def test_nothing_is_written_into_a_dataset(command, place, city, tmp_path, capsys):
    images(5).to_parquet(tmp_path / "images.parquet")
    points(5).to_parquet(tmp_path / "points.parquet")
    ending = {"convert": ".gpkg", "map": ".html", "tracks": ".gpx"}.get(command[0], "")
    words = [word.format(images=tmp_path / "images.parquet", points=tmp_path / "points.parquet") for word in command]
    before = sorted(city.rglob("*"))
    status = main([*words, f"{city}/{place}{ending}"])
    said = capsys.readouterr().err
    assert status not in {0, None}
    assert f"lies in the dataset {city}" in said, said
    assert sorted(city.rglob("*")) == before


def test_frames_are_not_written_into_a_dataset(city):
    with pytest.raises(FileError, match="lies in the dataset"):
        mlygeo.write_frame(images(3), city / "more.parquet")
    with pytest.raises(FileError, match="lies in the dataset"):
        mlygeo.partition(images(3), city / "inner")
    assert len(mlygeo.partition(images(3, seed=9), city, add=True))


# Runs over parts that were killed


def test_a_run_without_parts_leaves_nothing_of_a_killed_one_over_parts(city, tmp_path):
    images(50).to_parquet(tmp_path / "images.parquet")
    points(9).to_parquet(tmp_path / "points.parquet")
    out = tmp_path / "out"
    common = ["select", "--points", f"{tmp_path}/points.parquet", "-o", f"{out}"]
    assert main([*common, "--images", f"{city}", "--part", "1/1"]) == 0
    assert [*(out / STATE_FOLDER).glob("selection-*")]
    assert main([*common, "--images", f"{tmp_path}/images.parquet"]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "image_ids.txt", "selection.lock.json", "selection.parquet", "street_points.parquet", "summary.json",
    ]  # fmt: skip


# What is said of a folder that is not a dataset


@pytest.mark.parametrize("option", [["--part", "1/2"], ["--scheduler", "tcp://127.0.0.1:1"], ["--dry-run"]])
def test_a_missing_index_is_named(option, city, tmp_path, capsys):
    points(9).to_parquet(tmp_path / "points.parquet")
    index = city.with_name("city.partitions.parquet")
    index.unlink()
    status = main(["select", "--images", f"{city}", "--points", f"{tmp_path}/points.parquet", "-o", "out", *option])
    said = capsys.readouterr().err
    assert status == 2
    assert f"{index}" in said
    assert "no effect" in said


# Ids that are text


@pytest.mark.parametrize("cut", [1, 7, 20])
@pytest.mark.parametrize("provider", [None, "some", "all"])
def test_text_ids_have_one_form_in_however_many_files(cut, provider, tmp_path):
    whole = images(40, text=True).sort_values("id", ignore_index=True)
    if provider is not None:
        names = np.where(np.arange(40) % 3 == 0, None, "panoramax") if provider == "some" else "panoramax"
        whole["provider"] = pd.Series(names, dtype="str")
    whole.to_parquet(tmp_path / "whole.parquet")
    (tmp_path / "folder").mkdir()
    for number, start in enumerate(range(0, 40, cut)):
        whole.iloc[start : start + cut].to_parquet(tmp_path / f"folder/{number:02}.parquet")
    one, several = (mlygeo.read_frame(tmp_path / name) for name in ("whole.parquet", "folder"))
    pd.testing.assert_frame_equal(several, one, check_like=True)
    one, several = (
        mlygeo.select(images=tmp_path / name, points=points(12), k=3).drop(columns="heading_difference")
        for name in ("whole.parquet", "folder")
    )
    pd.testing.assert_frame_equal(several, one, check_like=True)


# What a run takes


def test_a_file_that_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "one.geojson"  # no collection: it is read as a whole
    place = {"type": "Point", "coordinates": [9.1, 48.7]}
    path.write_text(json.dumps({"type": "Feature", "properties": {"id": 1}, "geometry": place}), encoding="utf-8")
    monkeypatch.setattr(sources, "LONG_BYTES", 10)
    with monkeypatch.context() as little:
        little.setattr(sources, "free_memory", lambda: 100)
        for dry_run in (True, False):
            with pytest.raises(
                FileError, match=r"one\.geojson is read as a whole, which needs about [\d,.]+ GB of memo"
            ):
                mlygeo.partition(path, tmp_path / "d", dry_run=dry_run)
        assert sorted(each.name for each in tmp_path.iterdir()) == ["one.geojson"]
    assert len(mlygeo.partition(path, tmp_path / "d")) == 1


def test_a_file_that_needs_much_memory_is_told(caplog):
    free = free_memory() or 10**11
    if free < 3 * 10**9:
        pytest.skip("there is little memory")
    sources.must_fit("some.csv", 2 * 10**9)
    assert "some.csv is read as a whole, which needs about 2.0 GB" in caplog.text
    caplog.clear()
    sources.must_fit("some.csv", 10**9)
    assert not caplog.text


def test_a_rehearsal_tells_memory_and_time_and_sizes(tmp_path):
    images(2_000).to_parquet(tmp_path / "images.parquet")
    parts = mlygeo.partition(tmp_path / "images.parquet", tmp_path / "d", rows_per_part=500, dry_run=True)
    said = parts.attrs["summary"]
    assert said["seconds"] >= 0
    assert said["processes"] == 1
    assert 250_000_000 < said["memory_bytes"] < 10**9
    assert abs(parts["bytes"].sum() - said["bytes"]) <= len(parts)
    more = mlygeo.partition(tmp_path / "images.parquet", tmp_path / "d", dry_run=True, workers=2).attrs["summary"]
    assert more["seconds"] <= said["seconds"]
    assert not (tmp_path / "d").exists()


def test_parts_of_an_addition_are_as_large_as_those_that_are_there(tmp_path):
    assert len(mlygeo.partition(images(400), tmp_path / "d", rows_per_part=100)) > 1
    said = mlygeo.partition(images(400, seed=5), tmp_path / "d", add=True)
    assert said["rows"].max() <= 100
    with pytest.raises(InputError, match="`rows_per_part` is 0"):
        mlygeo.partition(images(4), tmp_path / "e", rows_per_part=0)
