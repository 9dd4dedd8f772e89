"""Street points: against the older tool's own results, a loop written from its description, and their promises."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from conftest import DATA, STUTTGART
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from mlygeo import frames
from mlygeo.errors import CrsError, FrameError, InputError
from mlygeo.readers.streets import read_streets
from mlygeo.spatial.streets import street_points

EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
HELSINKI = DATA / "osm" / "helsinki_centre.osm.pbf"
NEW_YORK = DATA / "osm" / "nyc_graph.graphml"
GEOD = pyproj.Geod(ellps="WGS84")


@pytest.fixture(scope="module")
def stuttgart():
    return read_streets(EDGES)


@pytest.fixture(scope="module")
def helsinki():
    return read_streets(HELSINKI)


@pytest.fixture(scope="module")
def new_york():
    return read_streets(NEW_YORK)


def streets_of(lines, u=None, v=None, key=None):
    """Return a streets frame of lines; they have no nodes in common unless told."""
    n = len(lines)
    frame = gpd.GeoDataFrame(
        {
            "u": np.arange(n) if u is None else u,
            "v": np.arange(n) + 100_000 if v is None else v,
            "key": np.zeros(n, "int64") if key is None else key,
            "oneway": np.zeros(n, bool),
        },
        geometry=list(lines),
        crs=4326,
    )
    return frames.conform(frame, frames.STREETS)


def in_plane(lines, srid=32632):
    """Return a streets frame of lines given in metres."""
    return streets_of(gpd.GeoSeries(lines, crs=srid).to_crs(4326))


def percept_loop(streets, interval, srid):
    """Return the points of make_street_points.py's two steps, as plain loops over rows, thinned and not."""
    projected = streets.to_crs(srid)
    points = []
    for _, row in projected.iterrows():
        length = row.geometry.length
        parts = int(length / interval)
        if parts > 0:
            points += [row.geometry.interpolate(distance) for distance in np.linspace(0, length, parts + 1)]
    everything = gpd.GeoDataFrame(geometry=points, crs=srid).to_crs(4326)
    back = everything.to_crs(srid)
    west, south, _, _ = back.total_bounds
    cells = [f"{int((p.x - west) / interval)}_{int((p.y - south) / interval)}" for p in back.geometry]
    first = ~pd.Series(cells).duplicated().to_numpy()
    return back[first].to_crs(4326), everything


def metres_between(points, others):
    """Return the geodesic distance of each point to the other of the same row."""
    x, y = (np.asarray(values) for values in (points.geometry.x, points.geometry.y))
    return GEOD.inv(x, y, np.asarray(others.x), np.asarray(others.y))[2]


def worst_gap(streets, points, srid, step=0.5):
    """Return the longest distance from a place on a street to the nearest point, metres in the plane."""
    lines = np.array(streets.to_crs(srid).geometry)
    long = shapely.length(lines) > 0  # GEOS cannot cut up a line without length
    lines[long] = shapely.segmentize(lines[long], step)
    places = shapely.points(shapely.get_coordinates(lines))
    tree = shapely.STRtree(np.asarray(points.to_crs(srid).geometry))
    return tree.query_nearest(places, return_distance=True, all_matches=False)[1].max()


def smallest_distance(points, srid):
    plane = np.asarray(points.to_crs(srid).geometry)
    if len(plane) < 2:
        return np.inf
    return shapely.STRtree(plane).query_nearest(plane, exclusive=True, return_distance=True)[1].min()


# percept: exactly what the older tool gives


@pytest.mark.parametrize(
    ("interval", "count", "share", "edges"), [(50, 94, 0.337, 133), (20, 304, 0.126, 81), (10, 674, 0.029, 29)]
)
def test_percept_gives_the_points_of_make_street_points_in_their_order(stuttgart, interval, count, share, edges):
    expected = pd.read_csv(DATA / "expected" / f"stuttgart_{interval}m_street_points.csv")
    points = street_points(stuttgart, interval=interval, srid=25832, method="percept")
    assert len(points) == len(expected) == count
    assert points["point_id"].tolist() == expected["point_id"].tolist()
    others = gpd.GeoSeries(gpd.points_from_xy(expected["lon"], expected["lat"]))
    distance = metres_between(points, others)
    assert distance.max() < 0.001, points[distance >= 0.001].assign(distance=distance[distance >= 0.001]).to_string()
    facts = points.attrs["street_points"]
    assert facts["share_without_point"] == pytest.approx(share, abs=0.0005)
    assert facts["edges_without_point"] == edges
    assert facts["edges"] == 190
    assert facts["length_m"] == pytest.approx(7755, abs=1)
    assert facts["points"] == count


@pytest.mark.parametrize("interval", [12.5, 30, 77])
@pytest.mark.parametrize(("city", "srid"), [("helsinki", 3067), ("new_york", 32618), ("stuttgart", 31467)])
def test_percept_is_the_loop_over_rows(request, city, srid, interval):
    streets = request.getfixturevalue(city)
    expected, _ = percept_loop(streets, interval, srid)
    points = street_points(streets, interval=interval, srid=srid, method="percept")
    assert len(points) == len(expected)
    # PROJ's way from Gauss-Krüger's datum to EPSG:4326 and back is off by half a millimetre, give or take 0.01
    assert metres_between(points, expected.geometry).max() < (5e-5 if srid == 31467 else 1e-6)


def test_percept_is_the_loop_in_the_dutch_grid_whose_inverse_is_not_exact():
    rng = np.random.default_rng(7)
    starts = rng.uniform((4.86, 52.35), (4.92, 52.39), (400, 2))
    lines = [shapely.LineString(start + np.cumsum(rng.normal(0, 4e-4, (6, 2)), axis=0)) for start in starts]
    streets = streets_of(lines)
    for interval in (3, 10, 50):
        expected, _ = percept_loop(streets, interval, 28992)
        points = street_points(streets, interval=interval, srid=28992, method="percept")
        assert len(points) == len(expected)
        assert metres_between(points, expected.geometry).max() < 5e-5


@pytest.mark.parametrize("srid", [32632, 28992])
def test_percept_is_the_loop_where_every_length_and_border_is_a_tie(srid):
    # enough vertices for the polynomial in PROJ's place, and streets of whole intervals on a grid of cells
    rng = np.random.default_rng(11)
    corner = np.array([500_000, 5_300_000] if srid == 32632 else [120_000, 485_000])
    starts = corner + 50.0 * rng.integers(0, 400, (6000, 2))
    steps = np.array([[25, 0], [0, 25]])[rng.integers(0, 2, 6000)]
    lines = shapely.linestrings(starts[:, None] + steps[:, None] * np.arange(18)[None, :, None])
    streets = in_plane(lines, srid)
    assert len(shapely.get_coordinates(streets.geometry.values)) > 100_000
    expected, _ = percept_loop(streets, 50, srid)
    points = street_points(streets, interval=50, srid=srid, method="percept")
    assert len(points) == len(expected)
    assert metres_between(points, expected.geometry).max() < 5e-5


def test_percept_counts_both_directions_and_even_each_street_once(helsinki):
    facts = street_points(helsinki, method="percept").attrs["street_points"]
    assert facts["edges"] == len(helsinki)
    assert facts["streets"] < facts["edges"]
    normal = shapely.to_wkb(shapely.normalize(np.asarray(helsinki.geometry)))
    once = helsinki[~pd.Series(normal).duplicated().to_numpy()]
    assert facts["streets"] == len(once)
    assert facts["length_m"] == pytest.approx(once.to_crs(facts["srid"]).length.sum(), rel=1e-9)


# even: its promises


@pytest.mark.parametrize("interval", [8, 25, 50, 150])
@pytest.mark.parametrize(("city", "srid"), [("stuttgart", 25832), ("helsinki", 3067), ("new_york", 32618)])
def test_even_leaves_no_place_far_and_no_points_close(request, city, srid, interval):
    streets = request.getfixturevalue(city)
    points = street_points(streets, interval=interval, srid=srid)
    assert worst_gap(streets, points, srid) <= interval * (1 + 1e-6)
    assert smallest_distance(points, srid) >= interval / 2 * (1 - 1e-6)
    assert points.attrs["street_points"]["length_without_point_m"] == 0


coordinate = st.integers(0, 400).map(lambda value: 500_000 + value)
place = st.tuples(coordinate, coordinate)
line = st.lists(place, min_size=2, max_size=6).map(shapely.LineString)
tiny = st.builds(
    lambda x, y, dx: shapely.LineString([(x, y), (x + dx, y)]), coordinate, coordinate, st.sampled_from([0, 0.01, 1])
)
network = st.lists(st.one_of(line, tiny), min_size=1, max_size=25)


@settings(max_examples=40)
@given(lines=network, interval=st.sampled_from([3, 10, 50, 1000]), seed=st.integers(0, 2**32 - 1))
def test_even_keeps_its_promise_on_any_network_in_any_order(lines, interval, seed):
    rng = np.random.default_rng(seed)
    lines = [*lines, *(line.reverse() for line in lines[::2])]
    streets = in_plane(lines)
    points = street_points(streets, interval=interval, srid=32632)
    assert worst_gap(streets, points, 32632) <= interval * (1 + 1e-6)
    assert smallest_distance(points, 32632) >= interval / 2 * (1 - 1e-6)
    shuffled = streets.iloc[rng.permutation(len(streets))]
    again = street_points(shuffled, interval=interval, srid=32632)
    assert_frame_equal(pd.DataFrame(points), pd.DataFrame(again))


def test_thinning_is_the_plain_greedy_rule(helsinki):
    from mlygeo.spatial.streets import _thin

    rng = np.random.default_rng(3)
    x, y = rng.uniform(0, 300, 1500).round(), rng.uniform(0, 300, 1500).round()
    kept = []
    for number in range(len(x)):
        if all(np.hypot(x[number] - x[k], y[number] - y[k]) >= 10 for k in kept):
            kept.append(number)
    assert _thin(x, y, 10.0).tolist() == kept


def test_crowds_and_long_chains_are_thinned_in_bounded_time_and_memory():
    from mlygeo.spatial.streets import _thin

    rng = np.random.default_rng(5)
    crowd = rng.uniform(0, 10, (100_000, 2))
    assert 1 <= len(_thin(*crowd.T, 25.0)) <= 4
    chain = np.arange(100_000) * 0.1
    assert len(_thin(chain, np.zeros_like(chain), 25.0)) == 400


def test_even_does_not_depend_on_the_order_or_direction_of_rows(helsinki):
    points = street_points(helsinki, interval=30)
    shuffled = helsinki.sample(frac=1, random_state=1)
    assert_frame_equal(pd.DataFrame(points), pd.DataFrame(street_points(shuffled, interval=30)))


def test_parallel_and_equal_edges_in_any_order():
    lines = [[(9, 48), (9.001, 48)], [(9, 48), (9.0005, 48.0005), (9.001, 48)], [(9, 48), (9.001, 48)]]
    streets = streets_of([shapely.LineString(line) for line in lines], u=[1, 1, 1], v=[2, 2, 2], key=[0, 0, 1])
    points = street_points(streets, interval=20)
    assert points.attrs["street_points"]["streets"] == 2
    for order in ([2, 1, 0], [1, 0, 2]):
        assert_frame_equal(pd.DataFrame(points), pd.DataFrame(street_points(streets.iloc[order], interval=20)))


# single streets


def test_a_multiple_of_the_interval_gives_as_many_parts():
    for length, count in ((100, 2), (100 * (1 + 1e-12), 2), (100.001, 3), (99.999, 2), (49, 1)):
        lines = [shapely.LineString([(500_000, 5_400_000), (500_000, 5_400_000 + length)])]
        assert len(street_points(in_plane(lines), interval=50, srid=32632)) == count


def test_loops_self_loops_repeated_vertices_and_streets_without_length():
    start = (500_000, 5_400_000)
    ring = [start, (500_100, 5_400_000), (500_100, 5_400_100), (500_000, 5_400_100), start]
    lines = [
        shapely.LineString(ring),
        shapely.LineString([(501_000, 5_400_000)] * 2),
        shapely.LineString([(502_000, 5_400_000)] * 2 + [(502_080, 5_400_000)] * 3),
    ]
    streets = in_plane(lines)
    points = street_points(streets, interval=50, srid=32632)
    counts = points.groupby("u").size()
    assert counts.tolist() == [8, 1, 2]
    assert points.loc[points["u"] == 1, "bearing"].isna().all()
    assert points.loc[points["u"] == 2, "bearing"].between(89, 91).all()
    thinned = street_points(streets, interval=50, srid=32632, method="percept")
    assert set(thinned["u"]) == {0, 2}
    assert thinned["bearing"].notna().all()


def test_a_ring_that_starts_elsewhere_is_the_same_street():
    ring = [(9, 48), (9.001, 48), (9.001, 48.001), (9, 48.001)]
    lines = [shapely.LineString([*ring, ring[0]]), shapely.LineString([*ring[2:], *ring[:3]]).reverse()]
    assert street_points(streets_of(lines)).attrs["street_points"]["streets"] == 1


@pytest.mark.parametrize(("end", "bearing"), [((9, 49), 0), ((9.5, 48), 90), ((9, 47), 180), ((8.5, 48), 270)])
def test_bearings_are_from_true_north_not_from_the_grid(end, bearing):
    # 9° E is 6° from the middle of UTM zone 31, where the grid is turned by 4.5°
    start = np.array([9.0, 48.0])
    line = shapely.LineString([start, start + (np.array(end) - start) * 0.002])
    points = street_points(streets_of([line]), interval=20, srid=32631, force_srid=True)
    assert len(points) > 1
    off = (points["bearing"] - bearing + 180) % 360 - 180
    assert off.abs().max() < 0.01


def test_bearing_follows_the_segment_and_attributes_the_street():
    streets = streets_of([shapely.LineString([(9, 48), (9.001, 48), (9.001, 48.001)])], u=[7], v=[8])
    streets = streets.assign(osmid="5;6", name="Königstraße", highway="pedestrian")
    points = street_points(streets, interval=10)
    assert (points["bearing"].iloc[:3] - 90).abs().max() < 0.01
    assert points["bearing"].iloc[-3:].abs().max() < 0.01
    assert set(points["osmid"]) == {"5;6"}
    assert set(points["name"]) == {"Königstraße"}
    assert set(points["highway"]) == {"pedestrian"}
    assert set(points["u"]) == {7}


# what goes in and comes out


@pytest.mark.parametrize("method", ["even", "percept"])
def test_the_frame_has_its_schema_and_source(stuttgart, method):
    points = street_points(stuttgart, method=method)
    frames.check(points, frames.STREET_POINTS)
    assert points["point_id"].tolist() == list(range(len(points)))
    assert points["bearing"].between(0, 360, inclusive="left").all()
    assert points.attrs["attribution"] == [frames.OPENSTREETMAP]
    assert points.attrs["street_points"]["srid"] == 32632
    assert points.attrs["street_points"]["method"] == method


@pytest.mark.parametrize("method", ["even", "percept"])
def test_no_streets_give_no_points_but_the_whole_frame(method):
    points = street_points(frames.empty(frames.STREETS), method=method)
    frames.check(points, frames.STREET_POINTS)
    assert len(points) == 0
    assert points.attrs["street_points"]["points"] == 0


def test_streets_all_shorter_than_the_interval_give_percept_nothing(stuttgart):
    points = street_points(stuttgart, interval=5000, method="percept")
    frames.check(points, frames.STREET_POINTS)
    assert len(points) == 0
    assert points.attrs["street_points"]["share_without_point"] == 1


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_an_interval_that_is_no_distance_is_refused(stuttgart, interval):
    with pytest.raises(InputError, match="`interval` must be a positive number"):
        street_points(stuttgart, interval=interval)


def test_an_interval_that_would_fill_the_memory_is_refused(stuttgart):
    with pytest.raises(InputError, match="points"):
        street_points(stuttgart, interval=1e-6)


def test_an_unknown_method_is_refused(stuttgart):
    with pytest.raises(InputError, match="'even' or 'percept'"):
        street_points(stuttgart, method="random")


@pytest.mark.parametrize("srid", [4326, 28992, 999_999])
def test_an_srid_that_cannot_serve_is_refused(stuttgart, srid):
    with pytest.raises(CrsError):
        street_points(stuttgart, srid=srid)


def test_what_is_no_line_is_named():
    streets = streets_of([shapely.LineString([(9, 48), (9.1, 48)]), shapely.Point(9, 48)])
    with pytest.raises(FrameError, match="1 of 2 streets are no lines"):
        street_points(streets)
    with pytest.raises(FrameError, match="osmid"):
        street_points(streets.drop(columns="osmid"))


def test_streets_on_both_sides_of_the_antimeridian():
    lines = [
        shapely.LineString([(179.999, -16.5), (180, -16.5)]),
        shapely.LineString([(-180, -16.5), (-179.999, -16.5)]),
    ]
    points = street_points(streets_of(lines), interval=50)
    assert points.attrs["street_points"]["length_m"] == pytest.approx(213.6, rel=0.01)
    assert points.attrs["street_points"]["points"] == 6
