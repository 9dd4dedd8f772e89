"""Datasets as `partition` writes them, in plain code: cells by rows, one file each, and the index beside."""

import hashlib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

import mlygeo
from mlygeo.spatial import cells
from mlygeo.store.datasets import index, layout


def write_world(folder: Path, rows: int, *, with_cameras: bool = False) -> Path:
    """Write a dataset of parts that are larger than the end of a file that is read first, and points near images."""
    rng = np.random.default_rng(3)
    columns = {
        "id": rng.permutation(rows) + 1,
        "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, rows), unit="s", utc=True).as_unit("ms"),
        "is_pano": rng.random(rows) < 0.3,
    }
    if with_cameras:
        columns["camera"] = [f"camera {value:x}" for value in rng.integers(0, 2**62, (rows, 8)).sum(axis=1)]
    columns["hash"] = [f"{a:016x}{b:016x}{c:016x}{a ^ b:016x}" for a, b, c in rng.integers(0, 2**62, (rows, 3))]
    places = gpd.points_from_xy(rng.uniform(9, 10, rows), rng.uniform(48, 49, rows))
    images = gpd.GeoDataFrame(columns, geometry=places, crs=4326)
    write_dataset(images, folder / "images", 6_000)
    some = images.geometry.iloc[::40].translate(5e-5, 5e-5)
    points = gpd.GeoDataFrame({"point_id": np.arange(len(some))}, geometry=some.to_numpy(), crs=4326)
    mlygeo.write_frame(points, folder / "points.parquet")
    return folder


def write_dataset(frame, folder: Path, most: int = 1_000_000, more=None) -> Path:
    """Write a frame of points as a dataset with so many rows in a file at most; `more` is noted in its index."""
    lon, lat = frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy()
    code = np.where(np.isfinite(lon), cells.codes(lon, lat, layout.MOST_ZOOM), -1)
    placed = code[code >= 0]
    codes, counts = np.unique(placed, return_counts=True)
    leaves = layout.leaves(codes, counts, most)
    of = np.full(len(code), -1)
    of[code >= 0] = leaves.of(placed)
    parts = []
    for number in np.unique(of).tolist():
        name = layout.PLACELESS if number < 0 else leaves.folders[number]
        rows = frame[of == number]
        path = folder / name / layout.part(0)
        mlygeo.write_frame(rows, path)
        west, south, east, north = (None,) * 4 if number < 0 else rows.total_bounds.tolist()
        parts.append(
            index.Part(
                name.removeprefix(f"{layout.KEY}=q"), f"{name}/{path.name}", len(rows),
                pq.ParquetFile(path).num_row_groups, path.stat().st_size, west, south, east, north,
                rows["id"].min() if len(rows) else None, rows["id"].max() if len(rows) else None, None, None,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
        )  # fmt: skip
    index.write_index(index.Index(tuple(parts), codes, counts, most, more=more or {}), layout.index_of(folder))
    return folder
