"""Strata: the lengths that shapely measures, each street cut once, and points shared out by Sainte-Laguë's method."""

import sys
from fractions import Fraction

import geopandas as gpd
import numpy as np
import pytest
import shapely
from conftest import STUTTGART
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo import extras, frames
from mlygeo.errors import DependencyError, FrameError, InputError
from mlygeo.readers.streets import read_streets
from mlygeo.spatial import cells, strata
from mlygeo.spatial.measured import Network
from mlygeo.spatial.strata import Cell

SRID = 25832


@pytest.fixture(scope="module")
def streets():
    return read_streets(STUTTGART / "stuttgart_osm_edges.gpkg")


@pytest.fixture(scope="module")
def network(streets):
    return Network.of(streets, None, SRID, force_srid=False)


@pytest.fixture(scope="module")
def rows(network, streets):
    return network.once(streets)


def lines_of(network, rows):
    lines = network.lines
    ends = zip(lines.first[rows], lines.first[rows + 1], strict=True)
    return [shapely.LineString(np.column_stack((lines.x[a:b], lines.y[a:b]))) for a, b in ends]


def of_lines(*lines):
    """Streets given in metres of the plane, and their network."""
    frame = gpd.GeoDataFrame(
        {
            "u": np.arange(len(lines)), "v": np.arange(len(lines)) + 100, "key": 0, "oneway": False,
        },
        geometry=gpd.GeoSeries([shapely.LineString(line) for line in lines], crs=SRID).to_crs(4326),
    )  # fmt: skip
    frame = frames.conform(frame, frames.STREETS)
    return Network.of(frame, None, SRID, force_srid=False)


def polygons_of(shapes, **columns):
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(shapes, crs=SRID).to_crs(4326))


def check_whole(found, network, rows):
    """Raise unless the stretches of each street follow each other from its start to its end."""
    assert set(found.row) == set(rows[network.lines.length[rows] > 0])
    first = np.flatnonzero(np.diff(found.row, prepend=-1))
    last = np.append(first[1:], len(found.row)) - 1
    assert (found.start[first] == 0).all()
    assert np.abs(found.stop[last] - network.lines.length[found.row[last]]).max() < 1e-6
    inner = np.setdiff1d(np.arange(len(found.row)), first)
    assert np.abs(found.start[inner] - found.stop[inner - 1]).max(initial=0.0) < 1e-6
    assert (found.stop > found.start).all()


def lengths_of(found):
    return dict(zip(found.labels.tolist(), (found.lengths() / 1e6).tolist(), strict=True))


@pytest.mark.parametrize("size", [23.0, 100.0, 1000.0])
def test_squares_have_the_lengths_that_shapely_cuts(network, rows, size):
    found = strata.by_cell(network, rows, Cell.of(size))
    check_whole(found, network, rows)
    measured, lines = lengths_of(found), shapely.MultiLineString(lines_of(network, rows))
    for label, length in measured.items():
        column, line = map(int, label.split()[2:])
        box = shapely.box(column * size, line * size, (column + 1) * size, (line + 1) * size)
        apart = sum(each.intersection(box).length for each in lines.geoms)
        assert abs(length - apart) < 0.01, label  # stretches of less than a millimetre are their neighbours'


@pytest.mark.parametrize("cell", ["quadkey16", "quadkey19", "h3:9", "h3:11"])
def test_cells_of_the_world_hold_what_lies_in_them(network, rows, cell):
    """Places every 5 cm along the streets are in the cells that the cell's own library says."""
    h3 = pytest.importorskip("h3", reason="hexagons need mlygeo[cells]")
    found = strata.by_cell(network, rows, Cell.of(cell))
    check_whole(found, network, rows)
    sizes = found.stop - found.start
    stretch = np.repeat(np.arange(len(sizes)), np.ceil(sizes / 2.0).astype(int))
    share = np.random.default_rng(1).uniform(size=len(stretch))
    distance = found.start[stretch] + share * sizes[stretch]
    lines = np.array(lines_of(network, np.arange(len(network.lines.first) - 1)), dtype=object)
    x, y = shapely.get_coordinates(shapely.line_interpolate_point(lines[found.row[stretch]], distance)).T
    lon, lat = network.projection.inverse(x, y)
    if cell.startswith("quadkey"):
        zoom = int(cell[7:])
        true = np.array([cells.quadkey(int(code), zoom) for code in cells.codes(lon, lat, zoom)])
    else:
        true = np.array([h3.latlng_to_cell(*place, int(cell[3:])) for place in zip(lat, lon, strict=True)])
    near_border = np.minimum(distance - found.start[stretch], found.stop[stretch] - distance) < 0.01
    wrong = (found.labels[found.stratum[stretch]].astype(str) != true) & ~near_border
    assert not wrong.any()
    assert (found.stratum >= 0).all()


def test_polygons_have_the_lengths_that_shapely_cuts(network, rows):
    west, south, east, north = shapely.MultiLineString(lines_of(network, rows)).bounds
    middle = shapely.Point((west + east) / 2, (south + north) / 2)
    round_one = middle.buffer(150, quad_segs=64)
    ring = middle.buffer(260).difference(round_one)
    island = shapely.box(west - 10, south - 10, west + 80, north + 10).difference(middle.buffer(261))
    shapes = polygons_of([round_one, ring, island], name=["inner", "outer", "west"])
    found = strata.by_polygons(network, rows, shapes)
    check_whole(found, network, rows)
    lines = lines_of(network, rows)
    for label, shape in zip(("inner", "outer", "west"), (round_one, ring, island), strict=True):
        assert abs(lengths_of(found)[label] - sum(each.intersection(shape).length for each in lines)) < 0.05
    union = shapely.union_all([round_one, ring, island])
    assert abs(found.outside_m() - sum(each.difference(union).length for each in lines)) < 0.05


def test_a_street_on_a_common_border_belongs_to_the_first_by_name():
    network = of_lines([(500_000, 5_400_000), (500_100, 5_400_000)])
    north, south = (shapely.box(499_900, 5_400_000 + low, 500_050, 5_400_000 + low + 50) for low in (0, -50))
    found = strata.by_polygons(network, np.array([0]), polygons_of([north, south], zone=["b", "a"]), "zone")
    # Borders that went to degrees and back are within a micrometre of the street, on either side.
    assert set(found.labels) <= {"a", "b"}
    assert abs(sum(lengths_of(found).values()) - 50) < 1e-3
    assert abs(found.outside_m() - 50) < 1e-3
    degrees = [shapely.box(9, 48, 10, 48.5), shapely.box(9, 48.5, 10, 49)]
    frame = gpd.GeoDataFrame({"zone": ["b", "a"]}, geometry=degrees, crs=4326)
    along = gpd.GeoDataFrame(
        {"u": [1], "v": [2], "key": [0], "oneway": [False]}, geometry=[shapely.LineString([(9.2, 48.2), (9.2, 48.8)])],
        crs=4326,
    )  # fmt: skip
    measured = Network.of(frames.conform(along, frames.STREETS), None, SRID, force_srid=False)
    found = strata.by_polygons(measured, np.array([0]), frame, "zone")
    assert found.labels[found.stratum].tolist() == ["b", "a"]


def test_polygons_of_one_name_are_one_stratum_and_without_names_they_are_numbered():
    network = of_lines([(500_000, 5_400_000), (500_100, 5_400_000)])
    boxes = [shapely.box(500_000 + low, 5_399_900, 500_000 + low + 20, 5_400_100) for low in (0, 40, 60)]
    named = strata.by_polygons(network, np.array([0]), polygons_of(boxes, name=["a", "a", "b"]))
    assert {label: round(length, 3) for label, length in lengths_of(named).items()} == {"a": 40.0, "b": 20.0}
    numbered = strata.by_polygons(network, np.array([0]), polygons_of(boxes, size=[1, 2, 3]))
    assert {label: round(length, 3) for label, length in lengths_of(numbered).items()} == dict.fromkeys("123", 20.0)


def test_polygons_that_overlap_or_are_damaged_are_refused():
    network = of_lines([(500_000, 5_400_000), (500_100, 5_400_000)])
    one = shapely.box(499_900, 5_399_900, 500_050, 5_400_100)
    other = shapely.box(500_035, 5_399_900, 500_090, 5_400_100)
    with pytest.raises(FrameError, match="`strata` has no polygon"):
        strata.by_polygons(network, np.array([0]), polygons_of([one]).iloc[:0])
    with pytest.raises(FrameError, match=r"a and b overlap, in \d,\d{3} square metres"):
        strata.by_polygons(network, np.array([0]), polygons_of([one, other], name=["a", "b"]))
    slip = shapely.box(500_049.8, 5_399_900, 500_090, 5_400_100)
    found = strata.by_polygons(network, np.array([0]), polygons_of([one, slip], name=["a", "b"]))
    assert {label: round(length, 2) for label, length in lengths_of(found).items()} == {"a": 50.0, "b": 40.0}
    bow = shapely.Polygon([(500_000, 5_400_000), (500_010, 5_400_010), (500_010, 5_400_000), (500_000, 5_400_010)])
    for shape in (bow, one.boundary):
        with pytest.raises(FrameError, match="1 rows of 2 that are not valid polygons"):
            strata.by_polygons(network, np.array([0]), polygons_of([one, shape], name=["a", "b"]))
    with pytest.raises(FrameError, match="no column 'district'"):
        strata.by_polygons(network, np.array([0]), polygons_of([one], name=["a"]), "district")


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        ([shapely.box(-180, -90, 180, 90)], "1"),
        ([shapely.box(-180, -90, 0, 90), shapely.box(0, -90, 180, 90)], "2"),
        ([shapely.box(lon, lat, lon + 30, lat + 30) for lon in range(-180, 180, 30) for lat in range(-90, 90, 30)], "41"),
    ],
    ids=["the world", "hemispheres", "a grid of the world"],
)  # fmt: skip
def test_polygons_may_reach_beyond_what_a_plane_is_made_for(network, rows, shapes, name):
    found = strata.by_polygons(network, rows, gpd.GeoDataFrame(geometry=shapes, crs=4326))
    check_whole(found, network, rows)
    assert found.labels.tolist() == [name]
    assert lengths_of(found)[name] == pytest.approx(network.lines.length[rows].sum(), abs=1e-3)


def test_large_polygons_are_cut_where_small_ones_are(network, rows):
    """Their common border crosses the streets; one of them is a ring around a hole, others touch what is near."""
    west, east = shapely.box(9.1, 48.7, 9.168, 48.9), shapely.box(9.168, 48.7, 9.2, 48.9)
    small = gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=[west, east], crs=4326)
    around = shapely.difference(shapely.box(-100, -60, 100, 80), shapely.union_all([west, east]))
    touching = shapely.box(-30, -30, 9.1, 0), shapely.Polygon([(9.1, 48.7), (9.0, 40.0), (0.0, 40.0)])
    large = gpd.GeoDataFrame(
        {"name": ["a", "b", "b", "c"]},
        geometry=[west, east, shapely.difference(around, shapely.union_all(touching)), shapely.MultiPolygon(touching)],
        crs=4326,
    )
    one, other = (strata.by_polygons(network, rows, frame) for frame in (small, large))
    assert lengths_of(one) == pytest.approx(lengths_of(other), abs=1e-5)
    assert set(lengths_of(one)) == {"a", "b"}


def test_streets_by_a_column(network, rows, streets):
    found = strata.by_column(network, rows, streets, "highway")
    expected = streets.iloc[rows].assign(metres=network.lines.length[rows]).groupby("highway")["metres"].sum()
    assert lengths_of(found) == pytest.approx(expected.to_dict(), abs=1e-4)
    assert found.labels.tolist() == sorted(expected.index)
    lanes = streets.assign(lanes=np.where(np.arange(len(streets)) % 3, 2.0, np.nan))
    assert strata.by_column(network, rows, lanes, "lanes").labels.tolist() == ["2.0", "unknown"]
    with pytest.raises(FrameError, match="no column 'surface'"):
        strata.by_column(network, rows, streets, "surface")
    with pytest.raises(FrameError, match="no column 'geometry'"):
        strata.by_column(network, rows, streets, "geometry")


@settings(max_examples=60, deadline=None)
@given(
    xs=st.lists(st.floats(-350, 350).map(lambda x: round(x, 3)), min_size=2, max_size=12, unique=True),
    size=st.sampled_from([7.0, 50.0, 130.0]), seed=st.integers(0, 99),
)  # fmt: skip
def test_any_line_is_cut_into_what_it_is(xs, size, seed):
    """Lines that cross themselves and run along borders, too."""
    ys = np.random.default_rng(seed).choice([0.0, 50.0, 100.0, 33.3], len(xs))
    network = of_lines([(500_000 + x, 5_400_000 + y) for x, y in zip(xs, ys, strict=True)])
    found = strata.by_cell(network, np.array([0]), Cell.of(size))
    check_whole(found, network, np.array([0]))
    assert abs(sum(lengths_of(found).values()) - network.lines.length[0]) < 1e-4


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (0.0, "positive number"), (-3.0, "positive number"), (float("inf"), "positive number"), ("h3:16", "finest"),
        ("quadkey31", "finest"), ("h3", "such as"), ("q17", "such as"), ("quadkey", "such as"), ("h3:-1", "such as"),
    ],
)  # fmt: skip
def test_cells_that_make_no_sense_are_refused(cell, words):
    with pytest.raises(InputError, match=words):
        Cell.of(cell)


def test_cells_too_small_for_memory_are_refused(network, rows):
    with pytest.raises(InputError, match="too few to number"):
        strata.by_cell(network, rows, Cell.of(1e-4))
    long = of_lines([(500_000, 5_400_000), (600_000, 6_400_000)])
    with pytest.raises(InputError, match="too many"):
        strata.by_cell(long, np.array([0]), Cell.of(0.02))
    pytest.importorskip("h3", reason="hexagons need mlygeo[cells]")
    with pytest.raises(InputError, match="too small for 1,00"):
        strata.by_cell(long, np.array([0]), Cell.of("h3:15"))


def test_hexagons_without_their_package_name_the_extra(network, rows, monkeypatch):
    monkeypatch.setitem(sys.modules, "h3", None)
    with pytest.raises(DependencyError, match="h3") as caught:
        strata.by_cell(network, rows, Cell.of("h3:9"))
    assert caught.value.hint == extras.install_hint("cells")


def one_by_one(lengths, n):
    """Sainte-Laguë's method: a point to each, then each to the first that is owed most."""
    points = [1] * len(lengths)
    for _ in range(n - len(lengths)):
        owed = [Fraction(length, 2 * own + 1) for length, own in zip(lengths, points, strict=True)]
        points[owed.index(max(owed))] += 1
    return points


LENGTHS = st.lists(st.integers(1, 20) | st.integers(1, 10**15), min_size=1, max_size=12)


@given(lengths=LENGTHS, more=st.integers(0, 300))
def test_points_are_shared_out_one_by_one(lengths, more):
    n = len(lengths) + more
    assert strata.allocated(np.array(lengths), n).tolist() == one_by_one(lengths, n)


@given(lengths=LENGTHS, more=st.integers(0, 10**7))
def test_with_more_points_no_stratum_gets_fewer(lengths, more):
    n = len(lengths) + more
    fewer, found = (strata.allocated(np.array(lengths), number) for number in (n, n + 1))
    assert fewer.sum() == n
    assert fewer.min() >= 1
    assert ((found - fewer) >= 0).all()
    # Where each gets some, shares are exact to a point or two.
    if fewer.min() > 1:
        assert np.abs(fewer - np.array(lengths) / sum(lengths) * n).max() < 2


def test_fewer_points_than_strata_are_refused():
    with pytest.raises(InputError, match="3 strata"):
        strata.allocated(np.array([5, 5, 5]), 2)
    assert strata.allocated(np.array([60, 30, 10]) * 10**6, 10).tolist() == [6, 3, 1]
