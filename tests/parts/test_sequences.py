"""Sequences cut over parts are those of one run: over random cuts, files and orders, and whoever is killed."""

import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import mlygeo
from mlygeo.parts import sequences as step
from mlygeo.pipelines.job import body_of


def rides(seed, *, images=150, cameras=2, folders=0, text=False, nulls=True):
    """Return images of rides that stop, rest and jump: with ties, and without times, positions and headings."""
    rng = np.random.default_rng(seed)
    pause = rng.choice([0, 1, 2, 60, 61, 200], images, p=[0.2, 0.4, 0.3, 0.03, 0.03, 0.04])
    jump = rng.choice([0, 1e-6, 5e-5, 0.0053, 0.0055], images, p=[0.2, 0.2, 0.54, 0.03, 0.03])
    lon = (179.99 + np.cumsum(jump) + 180) % 360 - 180
    frame = gpd.GeoDataFrame(
        {
            "id": rng.permutation(images) + 1,
            "captured_at": pd.Series(pd.to_datetime(1.6e9 + np.cumsum(pause), unit="s", utc=True)).dt.as_unit("ms"),
            "compass_angle": np.where(rng.random(images) < 0.5, np.nan, rng.choice([0.0, 3.0, 359.0, 90.0], images)),
            "is_pano": rng.random(images) < 0.2,
        },
        geometry=gpd.points_from_xy(lon, np.full(images, 10.0)),
        crs=4326,
    )
    if cameras > 1:
        frame["make"] = pd.Series(rng.choice(["A", "B", None], images), dtype="str")
        frame["width"] = pd.array(np.where(rng.random(images) < 0.1, 2048, 4096), dtype="Int64")
    if folders:
        frame["folder"] = pd.Series([f"f{number}" for number in rng.integers(0, folders, images)], dtype="str")
    if text:
        frame["provider"] = pd.Series(rng.choice(["mapillary", "panoramax"], images), dtype="str")
        frame["id"] = frame["id"].astype("str").astype("str")
        frame.loc[frame["provider"] == "panoramax", "id"] = "p" + frame["id"]
        frame["captured_at"] = frame["captured_at"].dt.as_unit("us")
    if nulls:
        frame.loc[rng.random(images) < 0.05, "captured_at"] = pd.NaT
        frame.loc[rng.random(images) < 0.05, "geometry"] = None
    return frame


def sorted_by_id(frame):
    return frame.sort_values("id", ignore_index=True).sort_index(axis=1)


def facts(summary):
    return {name: summary[name] for name in ("images", "sequences", "length_m", "duplicates", "without_sequence", "problems")}


RULES = st.fixed_dictionaries(
    {},
    optional={
        "max_images": st.sampled_from([2, 7]), "cutoff_time": st.sampled_from([0.0, 1.0, 300.0]),
        "cutoff_distance": st.just(50.0), "interpolate_directions": st.booleans(), "keep_duplicates": st.just(True),
        "preset": st.just("panoramax"), "offset_angle": st.just(30.0), "max_speed": st.just(10.0),
    },
)  # fmt: skip


@given(
    seed=st.integers(0, 10**6), most=st.sampled_from([40, 100, 10**6]), rows=st.sampled_from([8, 30, 90, 10**6]),
    cameras=st.integers(1, 2), folders=st.sampled_from([0, 0, 3]), text=st.booleans(), nulls=st.booleans(), rules=RULES,
)  # fmt: skip
@settings(deadline=None, max_examples=8, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_cut_gives_the_answer_of_one_run(seed, most, rows, cameras, folders, text, nulls, rules):
    images = rides(seed, cameras=cameras, folders=folders, text=text, nulls=nulls)
    whole = mlygeo.cut(images.sample(frac=1, random_state=seed), **rules)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "ROWS_PER_BUCKET", rows)
        mlygeo.partition(images, Path(folder) / "images", rows_per_part=most)
        parts = mlygeo.cut(Path(folder) / "images", **rules)
    assert_frame_equal(pd.DataFrame(sorted_by_id(parts)), pd.DataFrame(sorted_by_id(whole)))
    assert facts(parts.attrs["summary"]) == facts(whole.attrs["summary"])
