"""Sequences and duplicates as a Panoramax server makes them, against its own rules in a plain loop."""

from __future__ import annotations

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import frames
from mlygeo.errors import InputError
from mlygeo.spatial.dispatch import dispatch_images

M = 180 / math.pi / 6_371_000


def images_of(rows):
    """Return a frame of rows (folder, ms, east m, north m, heading), from a place on."""
    folder, ms, lon, lat, heading = ([row[place] for row in rows] for place in range(5))
    columns = {
        "path": pd.Series([f"/{name}/{number:04}.jpg" for number, name in enumerate(folder)], dtype="str"),
        "folder": pd.Series(folder, dtype="str"),
        "captured_at": pd.to_datetime(pd.Series(ms, dtype="int64"), unit="ms", utc=True).astype("datetime64[ms, UTC]"),
        "compass_angle": np.array([np.nan if one is None else one for one in heading], dtype=np.float64),
        "is_pano": np.zeros(len(rows), dtype=bool),
        "error": pd.Series([None] * len(rows), dtype="str"),
    }
    return frames.conform(
        gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(lon, lat), crs=4326), frames.LOCAL_IMAGES
    )


def haversine(a, b):
    phi, other = math.radians(a[3]), math.radians(b[3])
    part = math.sin((other - phi) / 2) ** 2
    part += math.cos(phi) * math.cos(other) * math.sin(math.radians(b[2] - a[2]) / 2) ** 2
    return 6_371_000 * 2 * math.atan2(math.sqrt(part), math.sqrt(1 - part))


def by_loop(rows):
    """Return sequences, and the row that each row is a duplicate of, as geopic_tag_reader 1.10 finds them."""
    sequences = []
    for folder in sorted({row[0] for row in rows}):
        last = None
        for number in sorted((n for n, row in enumerate(rows) if row[0] == folder), key=lambda n: (rows[n][1], n)):
            row = rows[number]
            if last is None or haversine(last, row) > 100 or row[1] - last[1] > 300_000:
                sequences.append([])
            sequences[-1].append(number)
            last = row
    duplicate_of = {}
    for sequence in sequences:
        for place, number in enumerate(sequence):
            if number in duplicate_of:
                continue
            for other in sequence[place + 1 :]:
                a, b = rows[number], rows[other]
                if other in duplicate_of or haversine(a, b) > 1:
                    continue
                if a[4] is not None and b[4] is not None:
                    turn = (round(a[4]) - round(b[4])) % 360
                    if min(turn, 360 - turn) > 60:
                        continue
                duplicate_of[other] = number
    return sequences, duplicate_of


headings = st.one_of(st.none(), st.sampled_from([0.0, 45.0, 60.4, 60.6, 120.0, 300.0, 359.6]), st.floats(0, 359.99))
steps = st.sampled_from([0.0, 0.4, 0.999, 1.001, 3.0, 60.0, 99.9, 100.1])


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 400_000), steps, steps, headings), max_size=40),
    st.sampled_from([(9.17, 48.77), (179.99999, -17.0), (-0.000001, 0.0), (20.0, 84.0)]),
    st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=60)
def test_it_is_the_rule_of_the_server(drawn, start, chance):
    ms, rows = 1_718_000_000_000, []
    for folder, gap, east, north, heading in drawn:
        ms += gap
        lon = start[0] + chance.choice([-1, 0, 1]) * east * M / math.cos(math.radians(start[1]))
        rows.append((folder, ms, (lon + 180) % 360 - 180, start[1] + chance.choice([-1, 0, 1]) * north * M, heading))
    images = images_of(rows)
    if not rows:
        assert dispatch_images(images)["is_duplicate"].tolist() == []
        return
    mixed = list(range(len(rows)))
    chance.shuffle(mixed)
    found = dispatch_images(images.iloc[mixed]).iloc[np.argsort(mixed)]
    sequences, duplicate_of = by_loop(rows)
    assert found["is_duplicate"].tolist() == [number in duplicate_of for number in range(len(rows))]
    kept = [
        images["path"].iloc[duplicate_of[number]] if number in duplicate_of else None for number in range(len(rows))
    ]
    assert [None if pd.isna(one) else one for one in found["duplicate_of"]] == kept
    ids = found["sequence_id"].tolist()
    assert sorted(sorted(numbers) for numbers in pd.Series(range(len(rows))).groupby(ids).apply(list)) == sorted(
        sorted(one) for one in sequences
    )


@pytest.mark.parametrize("option", ["cutoff_distance", "cutoff_time", "duplicate_distance", "duplicate_angle"])
def test_limits_that_make_no_sense_are_refused(option):
    images = images_of([("a", 0, 9.0, 48.0, None)])
    for value in (-1, float("nan")):
        with pytest.raises(InputError, match=option):
            dispatch_images(images, **{option: value})


def test_a_camera_that_rests_is_one_picture():
    rows = [("a", 1000 * number, 9.17, 48.77, None) for number in range(5000)]
    assert dispatch_images(images_of(rows))["is_duplicate"].sum() == 4999
