"""STAC items read some row groups at a time become the dataset that they become at once."""

import logging

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mlygeo
from mlygeo.store.datasets import sources


def items(path, seed, *, number_ids=False):
    """Write items of pictures in small row groups: some without an id, some with one that was there before."""
    rng = np.random.default_rng(seed)
    count = 400
    number = rng.permutation(count)
    number[::9] = number[0]
    ids = [f"{each}" if number_ids else f"00000000-0000-4000-8000-{each:012X}" for each in number]
    frame = gpd.GeoDataFrame(
        {
            "id": ids,
            "captured_at": pd.to_datetime(1.6e9 + np.arange(count), unit="s", utc=True).as_unit("ms"),
            "compass_angle": np.where(rng.random(count) < 0.3, np.nan, rng.random(count) * 400),
            "is_pano": rng.random(count) < 0.3,
            "sequence_id": [f"s{each // 50}" for each in range(count)],
            "creator_id": pd.array([None] * count, dtype="object"), "organization_id": pd.array([None] * count, dtype="object"),
            "provider": "panoramax",
        },
        geometry=gpd.points_from_xy(rng.uniform(9, 10, count), rng.uniform(48, 49, count)), crs=4326,
    )  # fmt: skip
    mlygeo.write_frame(frame, path)
    table = pq.read_table(path)
    place = table.schema.get_field_index("id")
    words = pa.array([None if row % 31 == 5 else word for row, word in enumerate(table["id"].to_pylist())], pa.string())
    pq.write_table(table.set_column(place, "id", words), path, row_group_size=30)
    return path


@pytest.mark.parametrize("number_ids", [False, True])
@pytest.mark.parametrize("most", [1, 100, 170])
def test_items_at_a_time_become_the_dataset_of_all(tmp_path, monkeypatch, caplog, most, number_ids):
    caplog.set_level(logging.WARNING)
    path = items(tmp_path / "a.stac.parquet", 1, number_ids=number_ids)
    mlygeo.partition(path, tmp_path / "short", rows_per_part=100)
    said = [record.getMessage() for record in caplog.records]
    assert any("without an id" in text and "there twice" in text for text in said)
    caplog.clear()
    monkeypatch.setattr(sources, "ITEMS_AT_ONCE", most)
    mlygeo.partition(path, tmp_path / "long", rows_per_part=100)
    assert [record.getMessage() for record in caplog.records] == said
    short, long = (
        {file.relative_to(top).as_posix(): file.read_bytes() for file in top.rglob("*.parquet")}
        for top in (tmp_path / "short", tmp_path / "long")
    )
    assert short == long
    assert len(short) > 2
