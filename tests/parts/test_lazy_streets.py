"""Streets as frames of Dask: points and coverage are those of frames in memory, whatever the partitions."""

import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo.errors import CrsError, FrameError, InputError
from mlygeo.parts import lazy_streets

dask = pytest.importorskip("dask")
dask_geopandas = pytest.importorskip("dask_geopandas")

quick = settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])


def city(seed, *, west=9.0, streets=50, images=200):
    """Return streets, both ways and one, some long, some at each other's ends; and images beside them."""
    rng = np.random.default_rng(seed)
    nodes = np.array([west, 48.75]) + rng.integers(0, 40, (25, 2)) * 5e-4
    u, v = rng.integers(0, len(nodes), (2, streets))
    bend = rng.normal(0, 2e-4, (streets, 2))
    lines = [shapely.LineString([a, (a + b) / 2 + c, b]) for a, b, c in zip(nodes[u], nodes[v], bend, strict=True)]
    frame = gpd.GeoDataFrame(
        {
            "u": u, "v": v, "key": np.arange(streets), "oneway": False,
            "osmid": pd.Series([str(each) if each % 5 else None for each in range(streets)], dtype="str"),
            "highway": pd.Series(rng.choice(["residential", "service"], streets), dtype="str"),
            "name": pd.Series(rng.choice([None, "Königstraße"], streets), dtype="str"),
        },
        geometry=lines, crs=4326,
    )  # fmt: skip
    again = frame.iloc[::3].copy()
    again[["u", "v"]] = again[["v", "u"]].to_numpy()
    again["geometry"] = again.geometry.reverse()
    frame = pd.concat([frame, again], ignore_index=True).sample(frac=1, random_state=seed % 2**31, ignore_index=True)
    frame["geometry"] = [
        shapely.transform(line, lambda xy: np.column_stack(((xy[:, 0] + 180) % 360 - 180, xy[:, 1])))
        for line in frame.geometry
    ]
    width = frame.geometry.bounds["maxx"] - frame.geometry.bounds["minx"]
    frame = frame[width < 180].reset_index(drop=True)
    lon = (west + rng.integers(0, 220, images) * 1e-4 + 180) % 360 - 180
    pictures = gpd.GeoDataFrame(
        {
            "id": rng.permutation(images) + 1,
            "captured_at": pd.to_datetime(rng.integers(1.5e9, 1.7e9, images), unit="s", utc=True).as_unit("ms"),
            "compass_angle": rng.random(images) * 360,
            "is_pano": rng.random(images) < 0.3,
            "sequence_id": pd.Series(["s"] * images, dtype="str"),
            "creator_id": pd.array(rng.integers(1, 4, images), dtype="Int64"),
            "organization_id": pd.array([pd.NA] * images, dtype="Int64"),
        },
        geometry=gpd.points_from_xy(lon, 48.75 + rng.integers(0, 220, images) * 1e-4), crs=4326,
    )  # fmt: skip
    pictures.loc[rng.random(images) < 0.05, "geometry"] = None
    return frame, pictures


def parted(frame, cuts):
    """Return a frame of Dask whose partitions begin at some rows; two cuts alike make one without rows."""
    ends = [0, *sorted(cut % (len(frame) + 1) for cut in cuts), len(frame)]
    parts = [dask.delayed(frame.iloc[start:stop]) for start, stop in itertools.pairwise(ends)]
    return dask.dataframe.from_delayed(parts, meta=frame.iloc[:0], verify_meta=False)


CUTS = st.lists(st.integers(0, 300), max_size=6)
WEST = st.sampled_from([9.0, 11.99, 179.99])


def same(found, expected, by):
    assert isinstance(found, dask_geopandas.GeoDataFrame)
    assert found.dtypes.to_dict() == expected.dtypes.to_dict()
    computed = found.compute(scheduler="sync")
    assert found.crs == expected.crs
    assert_geodataframe_equal(
        computed.sort_values(by, ignore_index=True),
        expected.sort_values(by, ignore_index=True),
        check_less_precise=False,
    )
    assert computed.sort_values(by).geometry.to_wkb().tolist() == expected.sort_values(by).geometry.to_wkb().tolist()


@quick
@given(seed=st.integers(0, 2**32), cuts=CUTS, west=WEST, interval=st.sampled_from([7, 25, 50, 400]),
       by_place=st.booleans())  # fmt: skip
def test_points_are_those_of_streets_in_memory(seed, cuts, west, interval, by_place):
    streets, _ = city(seed, west=west)
    if by_place:
        streets = streets.iloc[np.argsort(streets.geometry.bounds["minx"].to_numpy())].reset_index(drop=True)
    expected = mlygeo.street_points(streets, interval=interval)
    found = mlygeo.street_points(parted(streets, cuts), interval=interval)
    same(found, expected, ["point_id"])


@quick
@given(seed=st.integers(0, 2**32), cuts=CUTS, image_cuts=CUTS, west=WEST, distance=st.sampled_from([5, 25, 300]),
       by=st.sampled_from([None, "year", "pano", "creator", "hour"]), held=st.sampled_from(["", "streets", "images"]))  # fmt: skip
def test_coverage_is_that_of_streets_in_memory(seed, cuts, image_cuts, west, distance, by, held):
    streets, images = city(seed, west=west)
    options = {"distance": distance, "by": by} | ({"time_zone": "solar"} if by == "hour" else {})
    expected = mlygeo.street_coverage(streets, images, **options)
    found = mlygeo.street_coverage(
        streets if held == "streets" else parted(streets, cuts),
        images if held == "images" else parted(images, image_cuts),
        **options,
    )
    value = {"year": ["year"], "pano": ["is_pano"], "creator": ["creator_id"], "hour": ["hour"]}.get(by, [])
    same(found, expected, ["u", "v", "key", *value])


def test_what_lies_far_away_is_not_computed():
    streets, images = city(3)
    far = streets.assign(geometry=streets.geometry.translate(1, 0))
    pictures = images.assign(geometry=images.geometry.translate(1, 0))

    def fails():
        raise AssertionError("a partition that is out of reach")

    near = dask.delayed(images)
    away = dask.delayed(fails)()
    lazily = dask.dataframe.from_delayed([near, away], meta=images.iloc[:0], verify_meta=False)
    lazily.spatial_partitions = gpd.GeoSeries(
        [shapely.box(*images.total_bounds), shapely.box(*pictures.total_bounds)], crs=4326
    )
    both = parted(pd.concat([streets, far], ignore_index=True), [len(streets)])
    found = mlygeo.street_coverage(both, lazily, srid=25832)
    expected = mlygeo.street_coverage(streets, images, srid=25832)
    assert_geodataframe_equal(found.partitions[0].compute(scheduler="sync").reset_index(drop=True), expected)
    points = mlygeo.street_points(both, srid=25832)
    assert len(points.dask) < 40
    assert_geodataframe_equal(
        points.partitions[0].compute(scheduler="sync").reset_index(drop=True), mlygeo.street_points(streets, srid=25832)
    )


def test_streets_without_rows_give_none():
    streets, images = city(1)
    for step in (mlygeo.street_points, lambda each: mlygeo.street_coverage(each, images)):
        found, expected = step(parted(streets.iloc[:0], [0])), step(streets.iloc[:0])
        assert [*found.columns] == [*expected.columns]
        assert len(found.compute(scheduler="sync")) == 0


def test_what_a_part_does_not_tell_and_mistakes_are_refused_at_once(monkeypatch):
    streets, images = city(1)
    lazily = parted(streets, [30])
    with pytest.raises(InputError, match="`method=percept` is not possible with a frame of Dask"):
        mlygeo.street_points(lazily, method="percept")
    named = parted(images.assign(creator="someone"), [30])
    with pytest.raises(InputError, match=r"`by=creator` is not possible .* the name of a contributor"):
        mlygeo.street_coverage(lazily, named, by="creator")
    with pytest.raises(CrsError, match="EPSG:28992 covers"):
        mlygeo.street_points(lazily, srid=28992)
    with pytest.raises(InputError, match="`interval` must be a positive number"):
        mlygeo.street_points(lazily, interval=0)
    with pytest.raises(FrameError, match="line"):
        mlygeo.street_points(parted(streets.assign(geometry=shapely.Point(9, 48)), [3]))
    with pytest.raises(FrameError, match="have no is_pano"):
        mlygeo.street_coverage(lazily, parted(images.drop(columns="is_pano"), [3]), by="pano")
    monkeypatch.setattr(lazy_streets, "HALO", 0.01)
    with pytest.raises(FrameError, match="places may be points or not"):
        mlygeo.street_points(parted(streets, range(0, 60, 4)), interval=300).compute(scheduler="sync")
