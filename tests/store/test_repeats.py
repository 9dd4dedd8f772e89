"""Ids that stand in several rows: the same row again is left out and counted, one that contradicts another is said."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from helpers.small_frames import BOX, images_frame, streets_frame
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point, box

import mlygeo
from mlygeo import frames
from mlygeo.store import points as views
from mlygeo.store import repeats

POINTS = images_frame()[["geometry"]].assign(point_id=range(12))


def with_rows(*changes):
    """Twelve images, and the first one again with other values for each of the changes."""
    images = images_frame()
    again = [images.iloc[:1].assign(**change) for change in changes]
    return pd.concat([images, *again], ignore_index=True)


MOVED = {"geometry": gpd.GeoSeries([Point(9.18, 48.78)], crs=4326)}


def summary_of(verb, images, **options):
    streets = {"streets": streets_frame()} if verb == "coverage" else {"points": POINTS}
    return getattr(mlygeo, verb)(images=images, **streets, **options).attrs["summary"]


@pytest.mark.parametrize("verb", ["select", "coverage"])
@pytest.mark.parametrize("ending", [None, ".parquet", ".gpkg"])
@pytest.mark.parametrize(
    ("changes", "again", "problems", "words"),
    [
        ([], 0, {}, None),
        ([{}, {}], 2, {}, None),
        ([MOVED], 0, {"ids at several places": 1}, "1 id at several places: 500000000000000000"),
        ([{"compass_angle": 5.0}], 0, {"ids with several values": 1}, "1 id with several values: 500000000000000000"),
        ([{"captured_at": pd.NaT}, {}], 1, {"ids with several values": 1}, "1 id with several values"),
        ([MOVED, {"is_pano": False}, MOVED], 1, {"ids at several places": 1}, "1 id at several places"),
    ],
    ids=["once", "again", "moved", "turned", "unknown time", "moved twice"],
)  # fmt: skip
def test_what_repeats_is_counted_and_what_contradicts_is_said(
    tmp_path, caplog, verb, ending, changes, again, problems, words
):
    images = with_rows(*changes)
    images["captured_at"] = images["captured_at"].astype(frames.MS_UTC)
    held = images if ending is None else mlygeo.write_frame(images, tmp_path / f"images{ending}")
    summary = summary_of(verb, held)
    assert summary["problems"] == problems
    assert summary["left_out"].get("images that stand in several rows", 0) == again
    assert summary["images_considered"] == len(images) - again
    assert words is None or any(words in message for message in caplog.messages)
    assert words is not None or not any("several" in message for message in caplog.messages)


def test_rows_again_change_no_answer():
    plain, twice = images_frame(), pd.concat([images_frame(), images_frame()], ignore_index=True)
    for verb in ("select", "coverage"):
        one, other = summary_of(verb, plain), summary_of(verb, twice)
        differ = {"left_out", "inputs", "run"}
        assert {key: value for key, value in one.items() if key not in differ} == {
            key: value for key, value in other.items() if key not in differ
        }


def test_a_selection_has_a_row_for_each_point_and_one_for_each_image():
    selection = mlygeo.select(points=POINTS, images=images_frame(), k=3)
    assert selection["id"].duplicated().any()
    summary = summary_of("select", selection)
    assert summary["problems"] == {}
    assert summary["images_considered"] == selection["id"].nunique()


@pytest.mark.parametrize("ending", [None, ".parquet"])
def test_a_download_in_a_region_says_which_images_are_at_several_places(tmp_path, caplog, ending):
    images = with_rows(MOVED, {})
    held = images if ending is None else mlygeo.write_frame(images, tmp_path / f"images{ending}")
    there = (9.179, 48.779, 9.181, 48.781)
    found = mlygeo.download(held, region=there, dry_run=True, output=tmp_path / "out", token="x").attrs["summary"]
    assert found["images"] == 1
    assert found["left_out"] == {"listed more than once": 1, "outside the region": 11}
    assert found["asked"] == 13
    assert any("1 id at several places: 500000000000000000" in message for message in caplog.messages)


@given(
    rows=st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from([9.0, 9.5, None]), st.sampled_from([None, 1.0, 2.0])), max_size=12
    )
)
def test_rows_are_told_apart_as_a_plain_loop_does(rows):
    places = [None if lon is None else Point(lon, 48) for _, lon, _ in rows]
    columns = {"id": np.array([row[0] for row in rows], dtype=np.int64), "compass_angle": [row[2] for row in rows]}
    frame = gpd.GeoDataFrame(
        pd.DataFrame(columns).astype({"compass_angle": float}), geometry=gpd.GeoSeries(places, crs=4326)
    )
    kept, found = repeats.once(views.open_points(frame, name="mine"))
    seen: dict[int, set[tuple[float | None, float | None]]] = {}
    expected = []
    for number, (key, *said) in enumerate(rows):
        if tuple(said) in seen.get(key, set()):
            continue
        seen.setdefault(key, set()).add(tuple(said))
        expected.append(number)
    assert len(kept) == len(expected)
    assert sorted({*range(len(rows))} - {*found.again.tolist()}) == expected
    placed = sorted(key for key, said in seen.items() if len({lon for lon, _ in said}) > 1)
    assert found.placed.tolist() == placed
    assert found.valued.tolist() == sorted(key for key, said in seen.items() if len(said) > 1 and key not in placed)


def test_what_is_left_out_of_streets_and_regions_is_in_every_summary(tmp_path):
    streets = pd.concat([streets_frame(), streets_frame().iloc[:2].assign(geometry=[None, None])], ignore_index=True)
    streets = gpd.GeoDataFrame(streets, geometry="geometry", crs=4326)
    region = gpd.GeoDataFrame(geometry=[box(*BOX), Point(9, 48), None], crs=4326)
    file = mlygeo.write_frame(streets, tmp_path / "streets.gpkg")
    for held in (streets, file):
        for found in (
            mlygeo.streets(streets=held),
            mlygeo.select(streets=held, images=images_frame()),
            mlygeo.coverage(streets=held, images=images_frame()),
        ):
            assert found.attrs["summary"]["left_out"]["streets: rows that are no lines"] == 2
    for found in (
        mlygeo.streets(region, streets=streets),
        mlygeo.select(region, streets=streets, images=images_frame()),
        mlygeo.coverage(region, streets=streets, images=images_frame()),
    ):
        left_out = found.attrs["summary"]["left_out"]
        assert sum(count for reason, count in left_out.items() if reason.startswith("region: ")) == 2


@pytest.mark.parametrize("moved", [True, False])
def test_ids_that_are_text_repeat_as_numbers_do(caplog, moved):
    names = ["a", "b", "a"]
    images = gpd.GeoDataFrame(
        {"id": names}, geometry=gpd.points_from_xy([9.17, 9.18, 9.18 if moved else 9.17], [48.77] * 3), crs=4326
    )
    found = mlygeo.select(points=POINTS, images=images, max_distance=5000).attrs["summary"]
    assert found["problems"] == ({"ids at several places": 1} if moved else {})
    assert found["left_out"].get("images that stand in several rows", 0) == (not moved)
    assert ("1 id at several places: a" in caplog.text) == moved
