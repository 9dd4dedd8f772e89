"""Distances, bearings, projections, and which CRS suits a region."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import kernels
from mlygeo.errors import CrsError
from mlygeo.spatial import areas, geodesy, knn
from mlygeo.spatial import projection as projections

STUTTGART = (9.15, 48.76, 9.17, 48.78)
ACROSS = (179.9, 10.0, -179.9, 10.2)

longitudes = st.floats(-180, 180)
latitudes = st.floats(-90, 90)


def box_of_points(bounds, count, seed=0):
    rng = np.random.default_rng(seed)
    west, south, east, north = bounds
    return west + rng.random(count) * (east - west), south + rng.random(count) * (north - south)


def test_distances_are_those_on_the_ellipsoid():
    # Vincenty's length of a meridian degree and of an equatorial degree on WGS 84.
    assert geodesy.distance(0, 0, [0, 1], [1, 0]) == pytest.approx([110574.3886, 111319.4908], abs=1e-3)
    assert np.isnan(geodesy.distance([np.nan, 0], [0, np.inf], 1, 1)).all()
    assert len(geodesy.distance([], [], [], [])) == 0


def test_bearings_are_clockwise_from_north_and_unknown_where_positions_coincide():
    bearings = geodesy.bearing(9, 48, [9, 10, 9, 8, 9], [49, 48, 47, 48, 48])
    assert bearings[:4] == pytest.approx([0, 89.628, 180, 270.372], abs=1e-3)
    assert np.isnan(bearings[4])


@given(longitudes, latitudes, longitudes, latitudes)
def test_distance_is_symmetric_and_bearings_lie_in_range(lon1, lat1, lon2, lat2):
    there, back = geodesy.distance(lon1, lat1, lon2, lat2), geodesy.distance(lon2, lat2, lon1, lat1)
    assert there == pytest.approx(back, abs=1e-6)
    bearing = geodesy.bearing(lon1, lat1, lon2, lat2)[0]
    assert np.isnan(bearing) if there[0] == 0 else 0 <= bearing < 360


def test_a_projection_gives_metres_whatever_its_unit():
    feet = geodesy.projection(2263)
    assert feet.unit_m == pytest.approx(0.3048006096)
    lon, lat = np.array([-73.98, -73.98]), np.array([40.75, 40.751])
    x, y = feet.forward(lon, lat)
    planar = np.hypot(x[1] - x[0], y[1] - y[0])
    assert planar == pytest.approx(geodesy.distance(lon[0], lat[0], lon[1], lat[1])[0], rel=1e-4)
    assert np.allclose(feet.inverse(x, y), (lon, lat), atol=1e-9)


@pytest.mark.parametrize("srid", [28992, 25832, 2193, 5041, 32660])
def test_forward_agrees_with_pyproj_and_inverse_leads_back(srid):
    import pyproj

    projection = geodesy.projection(srid)
    west, south = projection.area[:2]
    lon, lat = box_of_points((west + 1, south + 0.5, west + 2, south + 1.5), 1000)
    x, y = projection.forward(lon, lat)
    expected = pyproj.Transformer.from_crs(4326, srid, always_xy=True).transform(lon, lat)
    assert np.array_equal(projection.forward(lon, lat, exact=True), expected)
    assert np.abs(np.subtract((x, y), expected)).max() < 1e-7
    assert np.allclose(projection.inverse(x, y), (lon, lat), atol=1e-7)
    assert (lon.flags.writeable, x is not lon) == (True, True)


def test_what_proj_cannot_project_is_nan():
    x, y = geodesy.projection(25832).forward([np.nan, np.inf, 9.0, 9.0], [48.0, 48.0, 95.0, 48.0])
    assert np.isnan(x[:3]).all()
    assert np.isnan(y[:3]).all()
    assert np.isfinite([x[3], y[3]]).all()


@pytest.mark.parametrize(
    ("srid", "bounds"),
    [
        (28992, (4.7, 52.2, 5.1, 52.5)),
        (25832, (8.9, 48.6, 9.4, 48.9)),
        (2263, (-74.2, 40.5, -73.7, 41.0)),
        (5041, (10.0, 85.0, 11.0, 86.0)),
        (3857, (9.0, 48.0, 10.0, 49.0)),
        (28992, (3.3, 50.8, 7.1, 53.6)),
        (32633, (12.0, 40.0, 17.0, 47.0)),
    ],
)
def test_the_plane_is_never_more_than_a_tenth_of_a_micrometre_off(srid, bounds):
    lon, lat = box_of_points(bounds, 50_000)
    projection = geodesy.projection(srid)
    fast, exact = projection.forward(lon, lat), projection.forward(lon, lat, exact=True)
    assert np.abs(np.subtract(fast, exact)).max() < 2e-7


@pytest.mark.parametrize("srid", [3857, 3035, 32660, 27700, 28992, 3832, 5041])
def test_the_plane_is_that_of_proj_all_over_the_world(srid):
    rng = np.random.default_rng(7)
    step = np.r_[-180:180.5:0.5]
    lon = np.r_[rng.uniform(-180, 180, 20_000), step, step, step]
    lat = np.r_[rng.uniform(-90, 90, 20_000), np.resize(step / 2, len(step)), np.full(len(step), 60.5), 0 * step]
    projection = geodesy.projection(srid)
    fast, exact = projection.forward(lon, lat), projection.forward(lon, lat, exact=True)
    assert np.array_equal(np.isnan(fast), np.isnan(exact))
    assert np.nanmax(np.abs(np.subtract(fast, exact))) < 2e-7


@settings(deadline=None, max_examples=60)
@given(st.data(), st.sampled_from([25832, 3857, 27700, 28992, 2263, 32660]), st.floats(1e-4, 40))
def test_the_place_in_the_plane_depends_on_the_position_alone(data, srid, size):
    """Bits of every cut and order of some positions, at borders of cells and elsewhere."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.sampled_from([1, 2, 60, 3000, 40_000]))
    west, south = rng.uniform(-180, 180 - size), rng.uniform(-89, 89 - size)
    lon, lat = west + rng.random(count) * size, south + rng.random(count) * size
    at_border = rng.random(count) < 0.1
    lon[at_border] = np.round(lon[at_border] * 2) / 2
    whole = geodesy.projection(srid).forward(lon, lat)
    order = rng.permutation(count)
    cuts = np.sort(rng.integers(0, count + 1, 3))
    projections._cells.cache_clear()  # what was fitted before does not count either
    for rows in np.split(order, cuts):
        part = geodesy.projection(srid).forward(lon[rows], lat[rows])
        assert np.array_equal(part[0].view(np.int64), whole[0][rows].view(np.int64))
        assert np.array_equal(part[1].view(np.int64), whole[1][rows].view(np.int64))
    one = geodesy.projection(srid).forward(lon[:1], lat[:1])
    assert (one[0][0], one[1][0]) == (whole[0][0], whole[1][0]) or np.isnan(whole[0][0])


@pytest.mark.skipif(not knn.has_kernel(), reason="Numba is not installed")
@settings(deadline=None, max_examples=40)
@given(st.data(), st.sampled_from([25832, 3857, 27700, 28992, 2263, 32660]), st.sampled_from([0.4, 3.0, 40.0]))
def test_compiled_polynomials_give_the_same_bits(data, srid, size):
    """Positions of one cell, of some and of many, of every degree, through PROJ, and such that are none."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.sampled_from([1, 60, 3000, 40_000]))
    west, south = rng.uniform(-185, 185 - size), rng.uniform(-91, 91 - size)
    lon, lat = west + rng.random(count) * size, south + rng.random(count) * size
    lon[rng.random(count) < 0.05], lat[rng.random(count) < 0.05] = np.nan, np.inf
    if data.draw(st.booleans()):
        projections._cells.cache_clear()
    found = []
    for compiled in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(projections, "kernel", lambda *given, use=compiled: kernels.kernel(*given, compiled=use))
            found.append(geodesy.projection(srid).forward(lon, lat))
    for plain, fast in zip(*found, strict=True):
        assert np.array_equal(plain.view(np.int64), fast.view(np.int64))


def test_few_cells_are_kept(monkeypatch):
    lon, lat = box_of_points((0.0, 40.0, 20.0, 60.0), 3000)
    whole = geodesy.projection(25832).forward(lon, lat)
    monkeypatch.setattr(projections, "MOST_CELLS", 20)
    projections._cells.cache_clear()
    for rows in np.split(np.arange(3000), 300):
        part = geodesy.projection(25832).forward(lon[rows], lat[rows])
        assert np.array_equal(part, (whole[0][rows], whole[1][rows]))
        assert len(projections._cells(geodesy.projection(25832))._known.numbers) <= 20 + 10
    projections._cells.cache_clear()


def test_a_polynomial_refuses_what_is_only_piecewise_smooth():
    lon, lat = box_of_points((5.01, 52.01, 5.49, 52.49), 1000)

    def smooth(lon, lat):
        return lon * 7e4, lat * 1.1e5

    def with_grid_shift(lon, lat):
        # Bilinear between grid nodes 0.05° apart, as grid shifts are: continuous, but with creases.
        x, y = smooth(lon, lat)
        return x + 0.01 * np.abs(np.modf(lon / 0.05)[0] - 0.5), y

    def with_a_jump(lon, lat):
        x, y = smooth(lon, lat)
        return x + 1e-4 * (lon > 5.1), y

    def left_to_proj(cells):
        return len(cells.project(lon, lat, np.empty(1000), np.empty(1000)))

    assert left_to_proj(projections.Cells(smooth)) == 0
    assert left_to_proj(projections.Cells(with_grid_shift)) == 1000
    assert left_to_proj(projections.Cells(with_a_jump)) == 1000
    assert left_to_proj(projections.Cells(smooth, (5.1,), ())) == 1000
    assert left_to_proj(projections.Cells(smooth, (), (52.3,))) == 1000
    assert left_to_proj(projections.Cells(smooth, (6.1,), (51.0,))) == 0


def test_what_is_no_position_is_left_to_proj():
    projection = geodesy.projection(25832)
    strays = np.array([0.0, np.nan, 9.15, 180.0, 190.0, 9.0]), np.array([90.0, 48.75, np.inf, 48.75, 48.0, 91.0])
    assert np.array_equal(projection.forward(*strays), projection.forward(*strays, exact=True), equal_nan=True)
    lon, lat = box_of_points((9.1, 48.7, 9.2, 48.8), 150_000)
    lon[7], lat[9] = np.nan, np.inf
    x, y = projection.forward(lon, lat)
    assert np.flatnonzero(np.isnan(x)).tolist() == np.flatnonzero(np.isnan(y)).tolist() == [7, 9]


@pytest.mark.parametrize(
    ("srid", "found", "remedy"),
    [
        (99999, "no coordinate reference system 99999", "`srid=25832`"),
        (4326, "is geographic", "`srid=25832`"),
        (4258, "is geographic", "`srid=25832`"),
        (4979, "is geographic", "`srid=25832`"),
        (4978, "Geocentric", "`srid=25832`"),
        (5773, "Vertical", "`srid=25832`"),
        (7415, "Compound", "`srid=28992`"),
    ],
)
def test_a_crs_that_is_not_projected_is_always_an_error(srid, found, remedy):
    for force in (False, True):
        with pytest.raises(CrsError, match=found) as caught:
            geodesy.check_srid(srid, STUTTGART, force=force)
        assert remedy in caught.value.hint
        assert caught.value.exit_status == 2
    with pytest.raises(CrsError, match=found) as caught:
        geodesy.projection(srid)
    assert caught.value.hint


def test_an_area_of_use_elsewhere_is_an_error_that_names_a_better_crs():
    with pytest.raises(CrsError) as caught:
        geodesy.check_srid(28992, STUTTGART)
    assert str(caught.value) == (
        "EPSG:28992 covers the Netherlands (3.2–7.2°E, 50.8–53.7°N); the region lies at 9.16°E, 48.77°N"
    )
    assert caught.value.hint == "use `srid=25832`, or `force_srid=True` to go on"
    assert geodesy.check_srid(28992, STUTTGART, force=True).srid == 28992


@pytest.mark.parametrize(
    ("srid", "bounds", "better"),
    [
        (32632, (-71.0, 42.0, -70.9, 42.1), 32619),
        (2263, STUTTGART, 25832),
        (32633, (9.15, -33.1, 9.16, -33.0), 32732),
        (25832, (177.9, -17.0, 178.0, -16.9), 32760),
        (25831, ACROSS, 32660),
        (32632, (10.0, 85.0, 11.0, 86.0), 5041),
        # Its centre lies inside, but a better zone holds all of it.
        (2263, (-72.9, 41.0, -72.1, 41.5), 32618),
    ],
)
def test_the_better_crs_suits_the_region(srid, bounds, better):
    with pytest.raises(CrsError) as caught:
        geodesy.check_srid(srid, bounds)
    assert f"`srid={better}`," in caught.value.hint
    assert geodesy.check_srid(better, bounds).srid == better


def test_a_region_across_two_zones_passes_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING, logger="mlygeo"):
        assert geodesy.check_srid(25832, (11.0, 48.0, 13.0, 49.0)).srid == 25832
    assert "beyond the area of use of EPSG:25832" in caplog.text


@pytest.mark.parametrize("srid", [32625, 25832, 32631])
def test_a_region_too_large_for_a_plane_is_refused_unless_forced(srid, caplog):
    centre = {32625: -33.0, 25832: 9.0, 32631: 3.0}[srid]
    for half in (1.0, 4.0, 8.0, 20.0, 50.0):
        bounds = (centre - half, 40.0, centre + half, 50.0)
        scale = (1 + np.radians(half) ** 2 * np.cos(np.radians(40)) ** 2 / 2) * 0.9996
        if abs(scale - 1) < 0.009:
            assert geodesy.check_srid(srid, bounds).srid == srid
        elif abs(scale - 1) > 0.011:
            with pytest.raises(CrsError, match="too large for one plane"):
                geodesy.check_srid(srid, bounds)
        assert geodesy.check_srid(srid, bounds, force=True).srid == srid


def test_just_beyond_the_area_of_use_is_no_matter(caplog):
    with caplog.at_level(logging.WARNING, logger="mlygeo"):
        geodesy.check_srid(25832, (11.9, 48.0, 12.05, 48.1))
    assert not caplog.records


def test_metres_that_are_none_give_a_warning(caplog):
    with caplog.at_level(logging.WARNING, logger="mlygeo"):
        geodesy.check_srid(3857, STUTTGART)
    assert "1.52 times the true ones" in caplog.text
    assert "`srid=25832`" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="mlygeo"):
        geodesy.check_srid(25832, STUTTGART)
        geodesy.check_srid(28992, (4.7, 52.2, 5.1, 52.5))
        geodesy.check_srid(2263, (-74.0, 40.6, -73.9, 40.7))
    assert not caplog.records


@pytest.mark.parametrize("srid", [32660, 32601, 3832, 5041])
def test_regions_across_the_antimeridian(srid):
    bounds = (179.9, 60.0, -179.9, 60.2) if srid != 5041 else (179.9, 85.0, -179.9, 85.1)
    projection = geodesy.check_srid(srid, bounds)
    x, y = projection.forward([179.9999, -179.9999], [bounds[1], bounds[1]])
    true = geodesy.distance(179.9999, bounds[1], -179.9999, bounds[1])[0]
    assert np.hypot(x[1] - x[0], y[1] - y[0]) == pytest.approx(true, rel=1.1 if srid == 3832 else 0.01)


def test_a_crs_that_is_cut_at_the_antimeridian_is_an_error_there():
    with pytest.raises(CrsError, match="cut at the antimeridian") as caught:
        geodesy.check_srid(3857, ACROSS)
    assert caught.value.hint in {"use `srid=32660`", "use `srid=32601`"}


@pytest.mark.parametrize(
    ("bounds", "srid"),
    [
        ((9.1, 48.7, 9.2, 48.8), 32632),
        ((5.0, -34.0, 6.0, -33.0), 32731),
        ((5.0, 60.0, 5.2, 60.1), 32632),
        ((10.0, 78.0, 11.0, 79.0), 32633),
        ((2.9, 70.0, 2.95, 70.1), 32631),
        ((0.0, 85.0, 1.0, 86.0), 5041),
        ((9.0, -85.0, 10.0, -82.0), 5042),
        ((179.7, 10.0, -179.9, 10.2), 32660),
        ((179.9, 10.0, -179.7, 10.2), 32601),
        ((180.0, 0.0, 180.0, 0.0), 32660),
        ((-180.0, -1.0, -180.0, -1.0), 32701),
    ],
)
def test_utm_zones(bounds, srid):
    assert geodesy.utm_srid(*bounds) == srid
    assert geodesy.projection(srid).srid == srid


@given(lon=st.floats(-179.9, 179.9), lat=st.floats(-79.9, 83.9))
def test_utm_zones_are_those_of_the_database(lon, lat):
    bounds = (lon, lat, lon, lat)
    projection = geodesy.projection(geodesy.utm_srid(*bounds))
    if not (lat > 55 and 0 <= lon < 42):  # EPSG's areas of use do not know of Norway's and Svalbard's wider zones
        assert geodesy.check_srid(projection.srid, bounds) == projection


@pytest.mark.parametrize("bounds", [(0, 91, 1, 92), (np.nan, 0, 1, 1), (0, 50, 1, 49)])
def test_a_box_that_is_none_is_an_error(bounds):
    with pytest.raises(CrsError):
        geodesy.utm_srid(*bounds)


def test_bounds_of_positions():
    assert areas.bounds([9.0, np.nan, 10.0, 3.0], [48.0, 1.0, 47.0, np.inf]) == (9.0, 47.0, 10.0, 48.0)
    assert areas.bounds([179.0, -179.0, -178.5], [1.0, 2.0, 3.0]) == (179.0, 1.0, -178.5, 3.0)
    assert areas.bounds([-170.0, -1.0, 1.0, 170.0], [1.0, 2.0, 2.0, 3.0]) == (-170.0, 1.0, 170.0, 3.0)
    assert areas.bounds([np.nan], [1.0]) is None
    assert areas.bounds([], []) is None


@given(
    arcs=st.lists(st.tuples(st.integers(-180, 179), st.sampled_from([0, 1, 3, 20, 120, 170])), min_size=1, max_size=6)
)
def test_the_box_around_boxes_is_the_narrowest_that_holds_all_of_each(arcs):
    west = np.array([start for start, _ in arcs], dtype=float)
    east = np.array([(start + wide + 180) % 360 - 180 for start, wide in arcs], dtype=float)
    south, north = np.arange(len(arcs)), np.arange(len(arcs)) + 1.0
    found = areas.around(np.stack([west, south, east, north]))
    assert found[1::2] == (0.0, len(arcs))
    covered = {(start + step) % 360 for start, wide in arcs for step in range(wide + 1)}
    assert areas.inside(np.array([(each + 180) % 360 - 180 for each in covered]), np.zeros(len(covered)), found).all()
    edges = {((start + step) % 360, (start + step + 1) % 360) for start, wide in arcs for step in range(wide)}
    ring = sorted(covered)
    gaps = [
        (after - before) % 360 or 360
        for before, after in zip(ring, [*ring[1:], ring[0]], strict=True)
        if (before, after) not in edges
    ]
    if east.max() - west.min() > 180 or (west > east).any():
        assert areas.width(found) == pytest.approx(360 - max(gaps, default=0), abs=1e-6)
    else:
        assert found[::2] == (west.min(), east.max())


def test_there_is_no_box_around_nothing():
    assert areas.around(np.empty((4, 0))) is None
    assert areas.around(np.full((4, 2), np.nan)) is None


REACHES = {
    28992: (4.7, 52.2, 5.1, 52.5),
    2263: (-74.0, 40.6, -73.9, 40.7),
    32660: (179.9, 50, -179.9, 50.1),
    3857: (10.0, 59.0, 14.0, 66.0),
    3035: (-9.0, 36.0, 30.0, 68.0),
    5041: (10.0, 84.0, 30.0, 85.0),
}


@pytest.mark.parametrize("srid", REACHES)
@pytest.mark.parametrize("distance", [0.0, 50.0, 1000.0, 30_000.0])
def test_reach_holds_all_within_a_distance_and_little_more(srid, distance):
    projection, bounds = geodesy.projection(srid), REACHES[srid]
    west, south, east, north = projection.reach(bounds, distance)
    rng = np.random.default_rng(3)
    lon = bounds[0] + rng.random(8000) * ((bounds[2] - bounds[0]) % 360)
    lat = bounds[1] + rng.random(8000) * (bounds[3] - bounds[1])
    lon[::4], lon[1::4], lat[2::4], lat[3::4] = bounds[0], bounds[2], bounds[1], bounds[3]
    x, y = projection.forward(lon, lat)
    angle = rng.random(8000) * 2 * np.pi
    lon, lat = projection.inverse(x + distance * np.cos(angle), y + distance * np.sin(angle))
    assert ((lat >= south - 1e-12) & (lat <= north + 1e-12)).all()
    assert ((lon - west + 1e-12) % 360 <= (east - west) % 360 + 2e-12).all()
    # a degree of latitude is 111 km; EPSG:3857 stretches it, feet and curved meridians do little
    assert north - bounds[3] < (distance + 1) / 111_000 * 1.35
    assert (bounds[0] - west) % 360 < (distance + 1) / 111_000 / np.cos(np.radians(bounds[3])) * 1.35


@pytest.mark.parametrize("srid", [3857, 4087, 32660])
@pytest.mark.parametrize("west", [180.0, -180.0, 179.999999, -179.999995])
def test_reach_round_a_place_where_the_plane_ends_is_as_wide_as_elsewhere(srid, west):
    projection = geodesy.projection(srid)
    found, other = (projection.reach((each, 65.0, each, 65.01), 1000.0) for each in (west, 179.9))
    assert (found[2] - found[0]) % 360 == pytest.approx(other[2] - other[0], rel=0.01)


def test_near_a_pole_and_round_the_world_there_is_no_reach():
    assert geodesy.projection(5041).reach((0.0, 88.0, 1.0, 88.9), 50_000) is None
    assert geodesy.projection(3857).reach((-180.0, 0.0, 180.0, 1.0), 10) is None
    assert geodesy.projection(3857).reach((0.0, 0.0, 1.0, 1.0), np.inf) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 4)])
def test_destinations_have_the_shape_of_what_is_given(shape):
    turn = np.linspace(0, 300, shape[0] * shape[1]).reshape(shape)
    lon, lat = geodesy.destination(9.0, 48.0, turn, 50.0)
    assert lon.shape == lat.shape == shape
    np.testing.assert_allclose(geodesy.distance(9.0, 48.0, lon.ravel(), lat.ravel()), 50.0, atol=1e-6)
