"""Samples of streets: known lengths, the same in any order and on any machine, and what makes no sense refused."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from conftest import STUTTGART
from geopandas.testing import assert_geodataframe_equal
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import frames
from mlygeo.errors import CrsError, FrameError, InputError
from mlygeo.readers.streets import read_streets
from mlygeo.spatial.designs import sample_streets

SRID = 25832

DESIGNS = {
    "random": {"method": "random", "n": 40},
    "by highway": {"method": "stratified", "n": 40, "by": "highway"},
    "equal": {"method": "stratified", "n": 3, "by": "highway", "allocation": "equal"},
    "grid": {"method": "grid", "cell": 200.0},
    "quadkey": {"method": "grid", "cell": "quadkey17", "n": 1},
    "per street": {"method": "per-street"},
    "streets": {"method": "per-street", "n": 3, "n_streets": 15},
}


GOLDEN_IDS = [4039052280064039459, 4039052307917319635, 4039052310333439082, 4039052314705384082]
GOLDEN_PLACES = [
    [9.1672650286, 48.7639698571],
    [9.1653546021, 48.7723749227],
    [9.1737302486, 48.7709799778],
    [9.1649051755, 48.7763700584],
]
GOLDEN_GRID = {
    "400 m 1280 13502": 4039052279960524572,
    "400 m 1280 13503": 4039052280033955490,
    "400 m 1281 13503": 4039052281357297787,
    "400 m 1279 13504": 4039052305468180438,
    "400 m 1280 13504": 4039052306098093112,
    "400 m 1281 13504": 4039052307327074933,
    "400 m 1280 13505": 4039052308484023761,
    "400 m 1282 13504": 4039052310341881402,
    "400 m 1282 13505": 4039052312329569250,
    "400 m 1281 13505": 4039052315378377218,
    "400 m 1281 13506": 4039052315815291676,
    "400 m 1280 13506": 4039052316227169115,
    "400 m 1279 13507": 4039052316647080666,
    "400 m 1280 13507": 4039052316650539421,
    "400 m 1282 13506": 4039052320541898675,
    "400 m 1282 13507": 4039052320997131026,
}


@pytest.fixture(scope="module")
def streets():
    return read_streets(STUTTGART / "stuttgart_osm_edges.gpkg")


@pytest.fixture(scope="module")
def districts():
    """Two districts that leave out the east."""
    shapes = [shapely.box(9.16, 48.76, 9.168, 48.768), shapely.box(9.16, 48.768, 9.168, 48.775)]
    return gpd.GeoDataFrame({"name": ["south", "north"]}, geometry=shapes, crs=4326)


@pytest.mark.parametrize("design", DESIGNS)
def test_weights_are_the_length_of_the_streets(streets, design):
    points = sample_streets(streets, srid=SRID, seed=5, **DESIGNS[design])
    facts = points.attrs["street_points"]
    assert abs(points["weight"].sum() - facts["length_m"]) < 1e-3
    assert facts["points"] == len(points) > 10
    assert facts["strata"] == points["stratum"].nunique()
    assert np.allclose(points["inclusion_probability"] * points["weight"], 1, rtol=1e-12)
    assert points.groupby("stratum")["weight"].nunique().eq(1).all()
    assert points["point_id"].is_monotonic_increasing
    assert points["point_id"].is_unique
    assert frames.check(points, frames.STREET_POINTS) is not None
    json.dumps(facts)


@pytest.mark.parametrize("design", DESIGNS)
def test_points_lie_on_their_streets(streets, design):
    points = sample_streets(streets, srid=SRID, seed=5, **DESIGNS[design])
    edges = streets.set_index(["u", "v", "key"]).to_crs(SRID).geometry
    own = edges.loc[list(zip(points["u"], points["v"], points["key"], strict=True))]
    assert points.to_crs(SRID).distance(own, align=False).max() < 1e-3


@pytest.mark.parametrize("design", DESIGNS)
def test_neither_the_order_of_rows_nor_repeated_edges_matter(streets, design):
    expected = sample_streets(streets, srid=SRID, seed=5, **DESIGNS[design])
    shuffled = streets.sample(frac=1, random_state=3)
    assert_geodataframe_equal(sample_streets(shuffled, srid=SRID, seed=5, **DESIGNS[design]), expected)
    back = streets.assign(u=streets["v"], v=streets["u"], key=streets["key"] + 50, geometry=streets.geometry.reverse())
    both = gpd.GeoDataFrame(np.concatenate([streets, back]), columns=streets.columns, geometry="geometry", crs=4326)
    both = frames.conform(both, frames.STREETS)
    if DESIGNS[design]["method"] != "per-street":  # whose strata and clusters are called by the edge
        found = sample_streets(both, srid=SRID, seed=5, **DESIGNS[design])
        assert found["point_id"].tolist() == expected["point_id"].tolist()


def test_a_street_drawn_the_other_way_round_has_the_same_places(streets):
    turned = streets.assign(geometry=streets.geometry.reverse())
    for design in DESIGNS.values():
        one, other = (sample_streets(each, srid=SRID, seed=5, **design).to_crs(SRID) for each in (streets, turned))
        assert one.distance(other.union_all()).max() < 1e-6


def test_another_seed_gives_other_points(streets):
    for design in DESIGNS.values():
        one, other = (set(sample_streets(streets, srid=SRID, seed=seed, **design)["point_id"]) for seed in (1, 2))
        assert len(one & other) <= 0.03 * len(one)  # some streets are as short as a place is wide


def test_golden_points(streets):
    """The same on every machine and with every Python and NumPy: to ten decimals of a degree, 0.01 mm."""
    points = sample_streets(streets, method="random", n=4, seed=2026, srid=SRID)
    assert points["point_id"].tolist() == GOLDEN_IDS
    assert np.round(shapely.get_coordinates(points.geometry.values), 10).tolist() == GOLDEN_PLACES
    drawn = sample_streets(streets, method="grid", cell=400.0, n=1, seed=2026, srid=SRID)
    assert dict(zip(drawn["stratum"], drawn["point_id"], strict=True)) == GOLDEN_GRID


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), n=st.integers(1, 60), cut=st.floats(0.2, 0.9))
def test_a_larger_region_or_sample_moves_no_point(streets, seed, n, cut):
    part = streets[streets.geometry.representative_point().x < streets.total_bounds[[0, 2]] @ [1 - cut, cut]]
    if len(part) < 5:
        return
    inside = set(zip(part["u"], part["v"], part["key"], strict=True))

    def ids(frame, n, within=None):
        found = sample_streets(frame, method="random", n=n, seed=seed, srid=SRID)
        own = zip(found["u"], found["v"], found["key"], found["point_id"], strict=True)
        return {point for *edge, point in own if within is None or tuple(edge) in within}

    assert ids(streets, n, inside) <= ids(part, n)
    assert ids(streets, n) <= ids(streets, n + 7)


def test_a_larger_sample_of_strata_moves_no_point(streets):
    before = set()
    for n in range(25, 90):
        found = sample_streets(streets, method="stratified", by="highway", n=n, seed=4, srid=SRID)
        assert before <= {*found["point_id"]}, n
        before = {*found["point_id"]}


def test_streets_are_drawn_by_their_length():
    """Of 2,000 draws on streets of 100, 200 and 700 m, chi-squared at one in 10^4; each draw has n places."""
    from scipy import stats

    places = [(500_000, 100), (502_000, 200), (504_000, 700)]
    lines = [shapely.LineString([(x, 5_400_000), (x, 5_400_000 + length)]) for x, length in places]
    frame = gpd.GeoDataFrame(
        {"u": [1, 2, 3], "v": [4, 5, 6], "key": 0, "oneway": False},
        geometry=gpd.GeoSeries(lines, crs=SRID).to_crs(4326),
    )
    frame = frames.conform(frame, frames.STREETS)
    points = sample_streets(frame, method="per-street", n=2, n_streets=2000, srid=SRID, seed=3)
    assert points.groupby("cluster").size().eq(2).all()
    assert points["cluster"].nunique() == 2000
    drawn = points.drop_duplicates("cluster")["u"].value_counts().sort_index()
    assert stats.chisquare(drawn, np.array([0.1, 0.2, 0.7]) * 2000).pvalue > 1e-4
    assert (points["stratum"] == "all").all()


def test_polygons_cut_streets_and_leave_out_what_lies_outside(streets, districts):
    points = sample_streets(streets, method="stratified", n=50, strata=districts, srid=SRID)
    facts = points.attrs["street_points"]
    assert abs(points["weight"].sum() + facts["length_outside_m"] - facts["length_m"]) < 1e-3
    assert facts["length_outside_m"] > 100
    for name, shape in zip(districts["name"], districts.geometry, strict=True):
        own = points[points["stratum"] == name]
        assert own.within(shape.buffer(1e-8)).all()
        assert facts["by_stratum"][name]["points"] == len(own)
        assert abs(own["weight"].sum() - facts["by_stratum"][name]["length_m"]) < 1e-3
    in_metres = sample_streets(streets, method="stratified", n=50, strata=districts.to_crs(3857), srid=SRID)
    assert in_metres["point_id"].tolist() == points["point_id"].tolist()
    by_other = districts.assign(zone=["b", "a"])
    named = sample_streets(streets, method="stratified", n=50, strata=by_other, by="zone", srid=SRID)
    assert set(named["stratum"]) == {"a", "b"}


def test_allocation_by_name(streets):
    wanted = {name: 2 + number for number, name in enumerate(sorted(set(streets["highway"])))}
    points = sample_streets(streets, method="stratified", by="highway", allocation=wanted, srid=SRID)
    assert points["stratum"].value_counts().to_dict() == wanted
    assert points.attrs["street_points"]["allocation"] == wanted
    for changed, words in (({**wanted, "road": 1}, "no stratum is called 'road'"), ({"service": 3}, "has no number")):
        with pytest.raises(InputError, match=words):
            sample_streets(streets, method="stratified", by="highway", allocation=changed)
    for wrong in (0, -1, 1.5, True, "3"):
        with pytest.raises(InputError, match="points"):
            sample_streets(streets, method="stratified", by="highway", allocation={"service": wrong})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "even"}, "one of random, stratified, grid, per-street"),
        ({"method": "random"}, "`n` is missing"),
        ({"method": "random", "n": 5, "by": "highway", "cell": 5.0}, "`by` and `cell` have no effect with `method=random`"),
        ({"method": "random", "n": 0}, "`n` is a number from 1"),
        ({"method": "random", "n": 10**9}, "`n` is a number from 1"),
        ({"method": "random", "n": 5, "seed": -1}, "`seed`"),
        ({"method": "stratified", "n": 5}, "strata are missing"),
        ({"method": "stratified", "by": "highway"}, "`n` is missing"),
        ({"method": "stratified", "by": "highway", "n": 5}, "of which each needs a point"),
        ({"method": "stratified", "by": "highway", "n": 50, "allocation": "neyman"}, "proportional, equal"),
        ({"method": "stratified", "by": "highway", "n": 50, "allocation": {"service": 1}}, "`n` has no effect with"),
        ({"method": "stratified", "by": "osmid", "n": 10**6, "allocation": "equal"}, "more than 20,000,000 points"),
        ({"method": "grid"}, "`cell` is missing"),
        ({"method": "grid", "cell": 100.0, "n_streets": 4}, "`n_streets` has no effect"),
        ({"method": "per-street", "allocation": "equal"}, "`allocation` has no effect"),
        ({"method": "per-street", "n_streets": 0}, "`n_streets` is a number from 1"),
        ({"method": "per-street", "n": 10**6}, "more than 20,000,000 points"),
        ({"method": "random", "n": 5, "force_srid": True}, "force_srid"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(streets, options, words):
    with pytest.raises(InputError, match=words):
        sample_streets(streets, **options)


def test_streets_that_cannot_be_sampled_are_refused(streets):
    with pytest.raises(CrsError):
        sample_streets(streets, n=5, srid=28992)
    with pytest.raises(FrameError, match="surface"):
        sample_streets(streets, method="stratified", n=50, by="surface")
    point = shapely.LineString([(9.1, 48.7), (9.1, 48.7)])
    with pytest.raises(FrameError, match="no length"):
        sample_streets(streets.iloc[:1].set_geometry([point], crs=4326), n=5)
    nowhere = gpd.GeoDataFrame(geometry=[shapely.box(9, 48, 10, 49)])
    with pytest.raises(FrameError, match="CRS"):
        sample_streets(streets, method="stratified", n=5, strata=nowhere)
    elsewhere = gpd.GeoDataFrame(geometry=[shapely.box(1, 48, 2, 49)], crs=4326)
    with pytest.raises(FrameError, match="no street lies in"):
        sample_streets(streets, method="stratified", n=5, strata=elsewhere)


def test_no_streets_give_no_points(streets):
    points = sample_streets(streets.iloc[:0], method="per-street", n_streets=3)
    assert len(points) == 0
    assert {"stratum", "cluster", "inclusion_probability", "weight"} <= {*points.columns}
    assert points["weight"].dtype == "float64"


def test_places_within_3_cm_have_numbers_of_their_own():
    line = gpd.GeoSeries([shapely.LineString([(500_000, 5_400_000), (500_000, 5_400_000.5)])], crs=SRID).to_crs(4326)
    frame = gpd.GeoDataFrame({"u": [1], "v": [2], "key": [0], "oneway": [False]}, geometry=line)
    points = sample_streets(frames.conform(frame, frames.STREETS), n=1000, srid=SRID)
    assert points["point_id"].is_unique
    assert points["point_id"].is_monotonic_increasing
