import itertools

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod, Transformer
from shapely import Point, Polygon, box

from mlygeo.errors import RegionError
from mlygeo.regions import Region
from mlygeo.spatial import shapes

WORLD_M2 = 510_065_621_724_000.0
"""Surface of the ellipsoid of WGS 84 (NIMA TR8350.2), square metres."""


def drawn(shape, crs):
    return Region.from_geometry(gpd.GeoSeries([shape], crs=crs))


def inside(region, *lonlat):
    lon, lat = np.array(lonlat, dtype=float).T
    return region.contains(lon, lat).tolist()


# The antimeridian ---------------------------------------------------------------


def test_a_projected_shape_across_the_antimeridian_is_not_turned_inside_out():
    """0.2° on either side of it in the Mercator projection of the Pacific."""
    x, y = Transformer.from_crs(4326, 3832, always_xy=True).transform([179.9, -179.9], [-17.1, -16.9])
    region = drawn(box(x[0], y[0], x[1], y[1]), 3832)
    assert np.allclose(region.bounds, (179.9, -17.1, -179.9, -16.9))
    assert region.area_m2 == pytest.approx(471.388e6, rel=1e-4)
    assert inside(region, (179.95, -17), (-179.95, -17), (180, -17), (-180, -17), (10, -17), (179.8, -17)) == [
        True, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "crs"),
    [
        (box(170, -20, 190, -10), 4326),
        (box(-190, -20, -170, -10), 4326),
        (shapely.MultiPolygon([box(170, -20, 180, -10), box(-180, -20, -170, -10)]), 4326),
        (shapely.MultiPolygon([box(170, -20, 185, -10), box(-178, -20, -170, -10)]), 4326),
        (box(170, -20, 190, -10), 4258),
        (box(170, -20, 190, -10), "OGC:CRS84"),
        (box((170 - 2.33722917) / 0.9, -20 / 0.9, (190 - 2.33722917) / 0.9, -10 / 0.9), 4807),  # grads from Paris
    ],
)
def test_longitudes_beyond_180_and_split_shapes_are_one_region(shape, crs):
    region = drawn(shape, crs)
    assert np.allclose(region.bounds, (170, -20, -170, -10), atol=0.01)
    assert inside(region, (175, -15), (-175, -15), (165, -15), (-165, -15)) == [True, True, False, False]


def test_an_edge_that_may_go_either_way_round_is_refused():
    unsplit = Polygon([(179, -17), (-179, -17), (-179, -16), (179, -16)])
    with pytest.raises(RegionError, match="358° round the world or 2° across the antimeridian") as caught:
        Region.from_geometry(unsplit)
    assert "write 181 for -179" in caught.value.hint
    for crs in (4326, 4269):
        with pytest.raises(RegionError, match="in doubt"):
            drawn(unsplit, crs)
    crossed = Polygon([(179, -17), (-179, -16), (-179, -17), (179, -16)])
    with pytest.raises(RegionError, match="in doubt"):
        Region.from_geometry(crossed)
    with_hole = Polygon(box(-170, -40, 170, 40).segmentize(10).exterior, [unsplit.exterior])
    with pytest.raises(RegionError, match="in doubt"):
        Region.from_geometry(with_hole)


@pytest.mark.parametrize(
    ("shape", "crs", "area"),
    [
        (box(-180, -90, 180, 90), 4326, WORLD_M2),
        (box(-180, -60, 180, 70), 4326, None),
        (box(0, -60, 360, 70), 4326, None),
        (box(-20037508.342789244, -10018754.171394622, 20037508.342789244, 10018754.171394622), 4087, WORLD_M2),
        (box(-20037508.342789244, -2e7, 20037508.342789244, 2e7), 3857, None),
        (box(-17367530.44, -7314540.83, 17367530.44, 7314540.83), 6933, None),
    ],
)
def test_boxes_of_the_whole_world(shape, crs, area):
    region = drawn(shape, crs)
    assert np.allclose(region.bounds[::2], (-180, 180), atol=1e-4)
    assert inside(region, (0, 0), (179.9, 10), (-179.9, 10), (90, -59.9)) == [True] * 4
    if area is not None:
        assert region.area_m2 == pytest.approx(area, rel=1e-9)


def test_a_belt_drawn_corner_by_corner_goes_round():
    belt = Polygon([(lon, -10) for lon in range(-179, 180, 2)] + [(lon, 10) for lon in range(179, -180, -2)])
    region = Region.from_geometry(belt)
    assert inside(region, (0, 0), (178, 0), (179.5, 0)) == [True, True, False]


def test_shapes_that_are_wider_than_the_world():
    with pytest.raises(RegionError, match="400° wide"):
        Region.from_geometry(box(-200, 0, 200, 10).segmentize(50))
    with pytest.raises(RegionError, match="longitudes 500 to 510"):
        Region.from_geometry(box(500, 0, 510, 10))


# Poles --------------------------------------------------------------------------


@pytest.mark.parametrize(("crs", "pole", "between"), [(3031, -90, 0), (3995, 90, 0), (3413, 90, -45)])
def test_a_square_around_a_pole_is_its_cap(crs, pole, between):
    half = 1e6
    region = drawn(box(-half, -half, half, half), crs)
    assert region.bounds[::2] == (-180, 180)
    assert pole in region.bounds[1::2]
    to_lonlat = Transformer.from_crs(crs, 4326, always_xy=True)
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-2 * half, 2 * half, (2, 4000))
    lon, lat = to_lonlat.transform(x, y)
    clear = np.abs(np.maximum(np.abs(x), np.abs(y)) - half) > 1
    expected = np.maximum(np.abs(x), np.abs(y)) < half
    assert (region.contains(lon, lat) == expected)[clear].all()
    assert inside(region, (between, pole), (123, pole), (123, -pole), (123, 0)) == [True, True, False, False]


@pytest.mark.parametrize("crs", [3031, 3995])
@pytest.mark.parametrize(
    "shape",
    [
        box(-1e6, -1e6, 1e6, 1e6).difference(box(-2e5, -3e5, 4e5, 1e5)),  # a ring around the pole
        box(-1e6, -1e6, 1e6, 1e6).difference(box(2e5, 3e5, 4e5, 6e5)),  # the pole inside, and a hole beside it
        box(0, 0, 1e6, 1e6),  # the pole is a corner
        box(-1e6, 0, 1e6, 1e6),  # an edge runs through the pole
        box(-1e6, -1e6, 1e6, 1e6).difference(box(0, 0, 2e6, 2e6)),  # the pole is a corner that points inwards
        shapely.unary_union([box(0, 0, 1e6, 1e6), box(-1e6, -1e6, 0, 0)]),  # two squares that touch at the pole
        Polygon([(-3e6, 2e5), (3e6, 2e5), (3e6, 3e5), (-2e6, 3e5), (-2e6, -8e5), (-3e6, -8e5)]),  # past the pole
        Point(0, 0).buffer(5e6),
    ],
)
def test_what_is_inside_a_polar_shape_is_inside_its_region(shape, crs):
    region = drawn(shape, crs)
    x, y = np.random.default_rng(7).uniform(-3.5e6, 3.5e6, (2, 3000))
    lon, lat = Transformer.from_crs(crs, 4326, always_xy=True).transform(x, y)
    clear = shapely.distance(shapely.boundary(shape), shapely.points(x, y)) > 1
    assert (region.contains(lon, lat) == shapely.contains_xy(shape, x, y))[clear].all()


def test_shapes_over_both_poles_are_refused():
    with pytest.raises(RegionError, match="over both poles"):
        drawn(Point(0, 0).buffer(1.2e7), "+proj=laea +lat_0=0 +lon_0=0")


# Edges --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crs", "shape"),
    [
        (32632, box(4e5, 5.3e6, 8e5, 5.9e6)), (2193, box(1e6, 4.7e6, 2.1e6, 6.2e6)), (3035, box(2e6, 2e6, 6e6, 5e6)),
        (5513, box(1e6, 5e5, 1.2e6, 8e5)), (5514, box(-8e5, -1.2e6, -5e5, -1e6)), (2263, box(9e5, 1e5, 1.1e6, 3e5)),
        (3857, box(1.9e7, -2e6, 2.1e7, -1e6)), ("ESRI:54009", box(1e6, 1e6, 3e6, 5e6)), (28992, box(1e5, 4e5, 2e5, 5e5)),
        ("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=30 +lon_0=10 +type=crs", box(0, 0, 10, 10)),
    ],
)  # fmt: skip
def test_edges_are_straight_where_they_were_drawn(crs, shape):
    """Along each edge, a tenth of a millionth of it to either side: inside on the left, outside on the right."""
    region = drawn(shape, crs)
    along, ends = np.linspace(0.001, 0.999, 501)[:, None], shapely.get_coordinates(shape)
    unit = Geod(ellps="WGS84")
    to_lonlat = Transformer.from_crs(crs, 4326, always_xy=True)
    middle = np.array(shape.centroid.coords[0])
    for start, stop in itertools.pairwise(ends):
        on_edge = start + (stop - start) * along
        lon, lat = to_lonlat.transform(*on_edge.T)
        off = unit.inv(lon, lat, *to_lonlat.transform(*(on_edge + (middle - on_edge) * 1e-4).T))[2].min()
        step = 1e-4 * 0.5 / off  # half a metre, where the tolerance is a tenth of one
        for sign, expected in ((step, True), (-step, False)):
            lon, lat = to_lonlat.transform(*(on_edge + (middle - on_edge) * sign).T)
            lon = (np.asarray(lon) + 180) % 360 - 180
            assert (region.contains(lon, np.asarray(lat)) == expected).all()


@pytest.mark.parametrize(
    ("crs", "shape", "words"),
    [
        (3857, box(0, 0, 1, 1e9), "2 of 5 corners outside of what EPSG:3857 can show"),
        (32632, box(4e5, 5e6, 3e7, 5.2e6), "outside of what EPSG:32632 can show"),
        (32632, box(1e5, 1e9, 2e5, 1.1e9), "5 of 5 corners"),
        (6933, box(0, 0, 1e7, 1e7), "corners outside"),
        ("+proj=ortho +lat_0=0 +lon_0=0 +type=crs", box(-6e6, -6e6, 6e6, 6e6), "corners outside"),
        (4978, box(0, 0, 1, 1), "not a map of the earth"),
        (5773, box(0, 0, 1, 1), "not a map of the earth"),
        (4269, box(0, 0, 10, 95), "latitude 95"),
    ],
)
def test_what_a_crs_cannot_show_is_refused(crs, shape, words):
    with pytest.raises(RegionError, match=words):
        drawn(shape, crs)


def test_swapped_coordinates_keep_their_hint():
    with pytest.raises(RegionError, match="latitudes lie between") as caught:
        Region.from_geometry(box(48, 100, 49, 101))
    assert "swapped: did you mean `region=(100, 48, 101, 49)`" in caught.value.hint


# Laws ---------------------------------------------------------------------------


@st.composite
def stars(draw, reach):
    """A star-shaped polygon around the origin, often with a hole."""
    count = draw(st.integers(3, 9))
    radii = np.array(draw(st.lists(st.floats(0.2, 1.0), min_size=count, max_size=count))) * reach
    angles = np.arange(count) * 2 * np.pi / count + draw(st.floats(0, 6))
    corners = np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
    hole = [corners[::-1] * draw(st.floats(0.1, 0.8))] if draw(st.booleans()) else []
    return Polygon(corners, hole)


def agrees(region, moved, shape, around, to_lonlat, margin):
    """Points in the plane lie in a region as they lie in the shape that it was made of."""
    x, y = around
    clear = shapely.distance(shapely.boundary(shape), shapely.points(x, y)) > margin
    lon, lat = to_lonlat(x, y)
    lon = (lon + moved + 180) % 360 - 180
    assert (region.contains(lon, lat) == shapely.contains_xy(shape, x, y))[clear].all()


@settings(deadline=None, max_examples=60)
@given(stars(20), st.floats(-60, 60), st.floats(-179.99, 179.99), st.sampled_from([4326, 4258]), st.randoms())
def test_a_shape_turned_round_the_world_contains_what_is_turned_with_it(star, lat, turn, crs, random):
    shape = shapely.transform(star, lambda xy: xy + np.array([0, lat]))
    region = drawn(shapely.transform(shape, lambda xy: xy + np.array([turn, 0])), crs)
    x, y = np.array([(random.uniform(-25, 25), random.uniform(lat - 25, lat + 25)) for _ in range(200)]).T
    agrees(region, turn, shape, (x, y), lambda lon, lat: (lon, lat), 1e-6)
    assert region.area_m2 == pytest.approx(drawn(shape, 4326).area_m2, rel=1e-6)
    west, _, east, _ = region.bounds
    width = east - west if west <= east else east - west + 360
    assert width == pytest.approx(shape.bounds[2] - shape.bounds[0], abs=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    stars(2e6),
    st.sampled_from(["tmerc +lat_0=20", "laea +lat_0=-40", "merc", "eqc", "lcc +lat_1=30 +lat_2=60", "aeqd +lat_0=85",
                     "stere +lat_0=90", "stere +lat_0=-90", "laea +lat_0=88"]),
    st.floats(-180, 180),
    st.randoms(),
)  # fmt: skip
def test_a_projected_shape_contains_what_it_contained_in_its_plane(star, projection, turn, random):
    crs = CRS.from_user_input(f"+proj={projection} +lon_0={turn} +ellps=WGS84 +type=crs")
    region = drawn(star, crs)
    to_lonlat = Transformer.from_crs(crs, 4326, always_xy=True)
    x, y = np.array([(random.uniform(-2e6, 2e6), random.uniform(-2e6, 2e6)) for _ in range(200)]).T
    agrees(region, 0, star, (x, y), to_lonlat.transform, 5)


def test_areas_are_those_of_the_ellipsoid():
    """Against geodesic polygons, whose edges are those of the boxes where they are short."""
    for west, south in ((9.0, 48.0), (-70.0, -33.0), (20.0, 69.0), (0.0, -0.5)):
        corners = shapely.segmentize(box(west, south, west + 1, south + 1), 0.002)
        expected = abs(Geod(ellps="WGS84").geometry_area_perimeter(corners)[0])
        assert shapes.area_m2(box(west, south, west + 1, south + 1)) == pytest.approx(expected, rel=1e-7)
