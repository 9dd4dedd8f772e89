"""Street points: against the older tool's own results, a loop written from its description, and their promises."""

from __future__ import annotations

from functools import partial

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
from mlygeo.spatial import cells, geodesy, polylines
from mlygeo.spatial.spacing import place_ids
from mlygeo.spatial.streets import even_points_of_part, street_points

EDGES = STUTTGART / "stuttgart_osm_edges.gpkg"
HELSINKI = DATA / "osm" / "helsinki_centre.osm.pbf"
NEW_YORK = DATA / "osm" / "nyc_graph.graphml"
GEOD = pyproj.Geod(ellps="WGS84")


@pytest.fixture(scope="module")
def stuttgart():
    return read_streets(EDGES)


@pytest.fixture(scope="module")
def helsinki():
    pytest.importorskip("osmium", reason="pyosmium is not installed")
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


# even, part by part


def pieces(bounds, cuts, rng):
    """Return boxes that share out a box, cut at random."""
    boxes = [bounds]
    for _ in range(cuts):
        west, south, east, north = boxes.pop(rng.integers(len(boxes)))
        share = rng.uniform(0.2, 0.8)
        if rng.random() < 0.5:
            middle = west + (east - west) * share
            boxes += [(west, south, middle, north), (middle, south, east, north)]
        else:
            middle = south + (north - south) * share
            boxes += [(west, south, east, middle), (west, middle, east, north)]
    return boxes


def within(box):
    """Return the test of a half-open box."""
    west, south, east, north = box
    return lambda lon, lat: (lon >= west) & (lon < east) & (lat >= south) & (lat < north)


def in_parts(streets, parts, interval, srid, halo_m, rng):
    """Return the points of parts (a test and a box each), the sums of their facts, and how often a halo was widened."""
    boxes = polylines.boxes(*polylines.coordinates(streets))
    found, facts, widened = [], [], 0
    for core, box in parts:
        halo, undecided = halo_m, 1
        while undecided:
            known = geodesy.projection(srid).reach(box, halo)
            west, south, east, north = known
            meets = (boxes[0] <= east) & (boxes[2] >= west) & (boxes[1] <= north) & (boxes[3] >= south)
            given = streets[meets].sample(frac=1, random_state=int(rng.integers(2**31)))
            points, undecided = even_points_of_part(given, core, known, interval=interval, srid=srid)
            widened += undecided > 0
            halo = 2 * halo + 10
        found.append(points)
        facts.append(points.attrs["street_points"])
    names = ("edges", "streets", "points", "length_m")
    whole = pd.concat([pd.DataFrame(points) for points in found]).sort_values("point_id", ignore_index=True)
    return whole, {name: sum(round(each[name] * 10**6) for each in facts) for name in names}, widened


def city(rng, blocks=14, side=80.0):
    """Return streets of a city: blocks askew, bent streets, canals with quays on both sides, twins, dead ends."""
    nodes = side * np.stack(np.meshgrid(np.arange(blocks), np.arange(blocks), indexing="ij"), axis=-1)
    nodes += rng.normal(0, side / 6, nodes.shape)
    lines = []
    for one, other in (*zip(nodes[:-1].reshape(-1, 2), nodes[1:].reshape(-1, 2), strict=True),
                       *zip(nodes[:, :-1].reshape(-1, 2), nodes[:, 1:].reshape(-1, 2), strict=True)):  # fmt: skip
        if rng.random() < 0.15:
            continue
        shares = np.sort(rng.uniform(0.05, 0.95, rng.integers(0, 4)))
        bends = one + shares[:, None] * (other - one) + rng.normal(0, 3, (len(shares), 2))
        line = shapely.LineString([one, *bends, other])
        lines.append(line)
        if rng.random() < 0.3:
            lines.append(line.reverse())
        if rng.random() < 0.3:
            lines.append(shapely.transform(line, lambda xy: xy + rng.uniform(5, 20, 2)))
    corner = np.array([628_000.0, 5_802_000.0])
    return in_plane([shapely.transform(line, lambda xy: xy + corner) for line in lines], 32631)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), interval=st.sampled_from([10, 25, 50, 120]), halo=st.sampled_from([0, 30, 300]))
def test_a_city_cut_at_random_has_the_points_of_the_whole(seed, interval, halo):
    rng = np.random.default_rng(seed)
    streets = city(rng)
    whole = street_points(streets, interval=interval, srid=32631)
    west, south, east, north = streets.total_bounds
    grown = (west - 0.001, south - 0.001, east + 0.001, north + 0.001)
    parts = [(within(box), box) for box in pieces(grown, int(rng.integers(1, 12)), rng)]
    found, facts, _ = in_parts(streets, parts, interval, 32631, halo, rng)
    assert_frame_equal(found, pd.DataFrame(whole))
    expected = whole.attrs["street_points"]
    assert facts == {name: round(expected[name] * 10**6) for name in facts}


@pytest.mark.parametrize(("zoom", "interval"), [(14, 50), (17, 50), (18, 12)])
def test_a_real_city_cut_by_the_cells_of_data_sets_has_the_points_of_the_whole(helsinki, zoom, interval):
    whole = street_points(helsinki, interval=interval, srid=3067)
    west, south, east, north = helsinki.total_bounds
    (left, right), (bottom, top) = cells.tiles(np.array([west, east]), np.array([south, north]), zoom)
    columns, rows = np.meshgrid(np.arange(left, right + 1), np.arange(top, bottom + 1))
    parts = [
        (partial(cells.inside, code=code, zoom=zoom), cells.bounds(code, zoom))
        for code in cells.interleave(columns.ravel(), rows.ravel()).tolist()
    ]
    found, facts, widened = in_parts(helsinki, parts, interval, 3067, 3 * interval, np.random.default_rng(1))
    assert_frame_equal(found, pd.DataFrame(whole))
    expected = whole.attrs["street_points"]
    assert facts == {name: round(expected[name] * 10**6) for name in facts}
    assert widened < len(parts)


def test_streets_that_are_missing_leave_points_undecided_and_never_wrong(helsinki):
    whole = set(street_points(helsinki, interval=50, srid=3067)["point_id"])
    box = (24.935, 60.165, 24.945, 60.175)
    met = helsinki[helsinki.intersects(shapely.box(*box))]
    points, undecided = even_points_of_part(met, within(box), box, interval=50, srid=3067)
    assert undecided > 0
    assert 0 < len(points) < len(whole)
    assert set(points["point_id"]) <= whole


def test_points_with_the_same_number_are_refused():
    lines = [shapely.LineString([(500_000, 5_400_000), (500_000.5, 5_400_000)])]
    with pytest.raises(InputError, match=r"`interval=0.01`.*same number"):
        street_points(in_plane(lines), interval=0.01, srid=32632)


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
    if method == "percept":
        assert points["point_id"].tolist() == list(range(len(points)))
    else:
        assert (points["point_id"].diff().dropna() > 0).all()
        assert points["point_id"].tolist() == place_ids(*frames.lonlat(points)).tolist()
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
