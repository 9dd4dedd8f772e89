"""Selections over parts, to be compared with those of one run."""

import json
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers import locks
from helpers.datasets import write_dataset

import mlygeo
from mlygeo.parts import plan


def frame_bytes(frame):
    """Return rows in one order, as bytes, with the columns' names and dtypes."""
    table = pd.DataFrame(frame.drop(columns="geometry"))
    table["wkb"] = frame.geometry.to_wkb()
    table = table.sort_values(["point_id", "rank"], ignore_index=True)
    return [str(table.dtypes.to_dict()), table.to_csv(index=False, float_format="%.17g")]


def facts(summary):
    return {key: value for key, value in summary.items() if key not in {"inputs", "run"}}


def tree(folder):
    """Return all files of a selection's folder with their bytes; the summary without the day, the lock without places."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files["summary.json"] = {**json.loads(files["summary.json"]), "date": None}
    files["selection.lock.json"] = locks.told(files["selection.lock.json"])
    return files


def is_whole(folder, world):
    """Return whether a folder has the files of the expected one of a world, and nothing that a run has left."""
    assert [path for path in folder.rglob("*") if path.name.startswith(".")] == []
    assert tree(folder) == tree(world / "expected")
    return True


def country(seed, *, images=400, points=60, text=False, nulls=False, around=(9.0, 48.75), spread=0.05):
    """Return points and images with ties, repeated places, repeated ids, and positions on borders of cells."""
    rng = np.random.default_rng(seed)
    steps = spread / 50
    west, south = around
    place = rng.integers(0, 50, (2, images)) * steps
    lon, lat = west + place[0], south + place[1]
    lon = (lon + 180) % 360 - 180
    number = rng.permutation(images) + 1
    again = rng.integers(0, images, images // 10)
    number[again] = number[rng.integers(0, images, len(again))]
    frame = gpd.GeoDataFrame(
        {
            "id": number.astype("int64"),
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, images), unit="s", utc=True).as_unit("ms"),
            "compass_angle": np.where(rng.random(images) < 0.2, np.nan, rng.integers(0, 360, images)),
            "is_pano": rng.random(images) < 0.3,
            "note": rng.integers(0, 3, images),
        },
        geometry=gpd.points_from_xy(lon, lat),
        crs=4326,
    )
    if text:
        provider = rng.choice(["mapillary", "panoramax", "own"], images)
        words = np.where(rng.random(images) < 0.5, number.astype(str), np.char.add("a", number.astype(str)))
        frame["id"] = pd.Series(np.where(provider == "mapillary", number.astype(str), words), dtype="str")
        frame["provider"] = pd.Series(provider, dtype="str")
        frame["licence"] = pd.Series(rng.choice(["CC0-1.0", "CC-BY-SA-4.0"], images), dtype="str")
        frame["captured_at"] = frame["captured_at"].dt.as_unit("us")
    if nulls:
        frame.loc[rng.random(images) < 0.1, "captured_at"] = pd.NaT
        frame.loc[rng.random(images) < 0.05, "geometry"] = None
    spot = rng.integers(0, 100, (2, points)) * steps / 2
    at = gpd.GeoDataFrame(
        {
            "point_id": rng.permutation(points) * 3,
            "bearing": rng.integers(0, 360, points).astype(float),
            "osmid": rng.integers(0, 2**60, points),
            "highway": pd.Categorical(rng.choice(["residential", "primary"], points)),
            "name": pd.Series(np.where(rng.random(points) < 0.3, None, "Königstraße"), dtype="str"),
        },
        geometry=gpd.points_from_xy((west + spot[0] + 180) % 360 - 180, south + spot[1]),
        crs=4326,
    )
    return at, frame


def weighed(seed, *, text=False, around=(9.0, 48.75)):
    """Return points and images with all that a rule weighs, and some of it unknown."""
    points, images = country(seed, text=text, nulls=True, around=around)
    rng = np.random.default_rng(seed)
    points.loc[rng.random(len(points)) < 0.1, "bearing"] = np.nan
    sequence = pd.Series(rng.choice(["a", "b", None], len(images)), dtype="str")
    width = pd.array(rng.choice([2048, 8192, 30_000], len(images)), dtype="Int64")
    width[rng.random(len(images)) < 0.1] = pd.NA
    return points, images.assign(
        sequence_id=sequence, width=width, quality_score=np.where(rng.random(len(images)) < 0.2, np.nan, 0.5),
        creator_id=pd.array(rng.integers(1, 4, len(images)), dtype="Int64"), score=rng.integers(0, 9, len(images)),
    )  # fmt: skip


def over_parts(points, images, *, most=40, task=60, **options):
    """Return the selection from a dataset with so many rows in a file, and in a task."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "ROWS_PER_TASK", task)
        dataset = write_dataset(images, Path(folder) / "images", most)
        return mlygeo.select(points=points, images=dataset, **options)


PLACES = [
    ((9.0, 48.75), 25832), ((9.0, 48.75), None), ((5.98, 50.0), None), ((179.97, -17.0), None), ((3.0, -0.02), 3857),
]  # fmt: skip
"""Where images lie, west and south, and the srid: also across zones, the antimeridian and the equator."""
