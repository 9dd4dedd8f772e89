"""The nearest images of points: against plain loops, against PostGIS, and against itself in another order."""

import csv
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from conftest import DATA
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mlygeo
from mlygeo import arrays, kernels
from mlygeo.compiled import Library
from mlygeo.degrees import heading_difference
from mlygeo.errors import CrsError, FrameError, InputError
from mlygeo.spatial import geodesy, grid, knn, nearest, pairing
from mlygeo.spatial.grid import HeadingTest
from mlygeo.spatial.planes import InPlane

KERNELS = [False, True] if knn.has_kernel() else [False]
RD = geodesy.projection(28992)


def brute_force(points, images, ids, *, max_distance, k=1, test=None):
    """For each point, the k nearest ids within reach, each id once: a plain loop over all pairs."""
    answer = []
    for point, (x, y) in enumerate(zip(*(part.tolist() for part in points), strict=True)):
        candidates = []
        for image, (u, v) in enumerate(zip(*(part.tolist() for part in images), strict=True)):
            square = (u - x) * (u - x) + (v - y) * (v - y)
            if not np.isfinite(square) or np.sqrt(square) > max_distance:
                continue
            if test is None or test(point, image):
                candidates.append((square, ids[image], image))
        taken = set()
        for square, number, image in sorted(candidates):
            if number not in taken and len(taken) < k:
                taken.add(number)
                answer.append((point, image, square))
    return answer


def greedy(points, images, ids, *, max_distance, k=1, test=None):
    """The shortest pair first, again and again, from the list of all pairs."""
    pairs = []
    for point, (x, y) in enumerate(zip(*(part.tolist() for part in points), strict=True)):
        for image, (u, v) in enumerate(zip(*(part.tolist() for part in images), strict=True)):
            square = (u - x) * (u - x) + (v - y) * (v - y)
            if np.isfinite(square) and np.sqrt(square) <= max_distance and (test is None or test(point, image)):
                pairs.append((square, ids[image], point, image))
    used, count, answer = set(), dict.fromkeys(range(len(points[0])), 0), []
    for square, number, point, image in sorted(pairs):
        if number not in used and count[point] < k:
            used.add(number)
            count[point] += 1
            answer.append((point, image, square))
    return sorted(answer, key=lambda row: (row[0], row[2], ids[row[1]]))


def searched(points, images, ids, *, max_distance, k=1, test=None, compiled=False):
    rows = knn.search_distinct(points, images, ids, max_distance=max_distance, k=k, test=test, compiled=compiled)
    return [(int(point), int(image), float(square)) for point, image, square in zip(*rows, strict=True)]


# Whole metres in a small square make ties of every kind: equal distances, positions and ids. A few
# coordinates are none.
whole = st.integers(0, 120).map(lambda number: {119: np.nan, 120: np.inf}.get(number, float(number % 9)))
positions = st.integers(0, 25).flatmap(
    lambda size: st.tuples(*(st.lists(whole, min_size=size, max_size=size).map(np.array),) * 2)
)
distances = st.sampled_from([0.5, 1.0, 2.0, 5.0, np.sqrt(2), 13.0, np.inf])
angles = st.sampled_from([0.0, 10.0, 45.0, 89.0, 90.0, 170.0, 190.0, 271.0, 359.0, np.nan])


@st.composite
def cities(draw):
    points, images = draw(positions), draw(positions)
    ids = np.array(draw(st.lists(st.integers(1, 30), min_size=len(images[0]), max_size=len(images[0]))), dtype=np.int64)
    bearing = np.array([draw(angles) for _ in points[0]])
    heading = np.array([draw(angles) for _ in images[0]])
    pano = np.array([draw(st.booleans()) for _ in images[0]], dtype=bool)
    most = draw(st.sampled_from([0.0, 10.0, 45.0, 90.0]))
    tested = draw(st.booleans())
    return points, images, ids, HeadingTest(bearing, heading, pano, most) if tested else None


def plain_test(test):
    def passes(point, image):
        if test.pano[image]:
            return True
        difference = abs(test.heading[image] - test.bearing[point]) % 180
        return min(difference, 180 - difference) <= test.most

    return None if test is None else passes


@pytest.mark.parametrize("compiled", KERNELS)
@settings(max_examples=150)
@given(city=cities(), max_distance=distances, k=st.integers(1, 6))
def test_nearest_equals_a_plain_loop(city, max_distance, k, compiled):
    points, images, ids, test = city
    expected = brute_force(points, images, ids, max_distance=max_distance, k=k, test=plain_test(test))
    assert searched(points, images, ids, max_distance=max_distance, k=k, test=test, compiled=compiled) == expected


@settings(max_examples=150)
@given(city=cities(), max_distance=distances, k=st.integers(1, 4))
def test_unique_takes_the_shortest_pair_first(city, max_distance, k):
    points, images, ids, test = city
    number = np.unique(ids, return_inverse=True)[1]
    plane = InPlane(points, images, ids, max_distance, RD, test)
    found = pairing.assign([plane], number=number, place=np.arange(len(points[0])), k=k)
    rows = sorted(zip(*(part.tolist() for part in found), strict=True), key=lambda row: (row[0], row[2], ids[row[1]]))
    # Two rows of the same id at the same distance are one image: compare ids.
    expected = greedy(points, images, ids, max_distance=max_distance, k=k, test=plain_test(test))
    assert [(p, ids[i], d) for p, i, d in rows] == [(p, ids[i], d) for p, i, d in expected]


# A crowd: images under points of their own around one point that has to look beyond them, a chain of further
# points that each hold the image the one before would like, and a free image at its end.
crowd = st.tuples(st.integers(0, 12), st.lists(st.integers(1, 30), min_size=1, max_size=6))


@pytest.mark.parametrize("compiled", KERNELS)
@settings(max_examples=100, deadline=None)
@given(
    crowds=st.lists(crowd, min_size=1, max_size=4),
    gap=st.sampled_from([5.0, 40.0, 500.0]),
    max_distance=st.sampled_from([12.0, 30.0, 60.0, np.inf]),
    k=st.integers(1, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_unique_is_the_plain_greedy_where_images_near_a_point_are_taken(crowds, gap, max_distance, k, seed, compiled):
    points, images, start = [], [], 0.0
    for number, steps in crowds:
        beside = start + 1.0 + np.arange(number)
        images += list(beside)
        points += [*beside, start]
        chain = start - number - np.cumsum(steps)
        images += list(chain[::2])
        points += list(chain[1::2])
        start = max(points + images) + gap - min(0.0, float(chain.min() - start))
    point_x, image_x = np.array(points), np.array(images)
    ids = np.random.default_rng(seed).permutation(len(image_x)).astype(np.int64) + 1
    plane = InPlane((point_x, point_x * 0), (image_x, image_x * 0), ids, max_distance, RD, compiled=compiled)
    found = pairing.assign([plane], number=ids - 1, place=np.arange(len(point_x)), k=k)
    rows = sorted(zip(*(part.tolist() for part in found), strict=True), key=lambda row: (row[0], row[2], ids[row[1]]))
    expected = greedy((point_x, point_x * 0), (image_x, image_x * 0), ids, max_distance=max_distance, k=k)
    assert [(p, ids[i], d) for p, i, d in rows] == [(p, ids[i], d) for p, i, d in expected]


@pytest.mark.parametrize("compiled", KERNELS)
def test_a_point_that_loses_its_image_late_takes_the_next_free_one(compiled):
    image_x = np.array([1, 2, 3, 4, 5, -20, -77.0])
    point_x = np.array([1, 2, 3, 4, 5, 0, -48.0])
    lon, lat = RD.inverse(155_000 + np.r_[point_x, image_x], np.full(14, 463_000.0))
    found = nearest.match(
        lon[:7], lat[:7], lon[7:], lat[7:], np.arange(1, 8), projection=RD, max_distance=30, unique=True,
        compiled=compiled,
    )  # fmt: skip
    assert found.point_row.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert found.image_row.tolist() == [0, 1, 2, 3, 4, 5, 6]


def street_city(points, images, seed=0, size=3000.0, digits=1):
    """Positions along random lines, rounded so that there are ties."""
    rng = np.random.default_rng(seed)
    start, angle = rng.random((40, 2)) * size, rng.random(40) * np.pi

    def along(count, noise):
        line, at = rng.integers(0, 40, count), (rng.random(count) - 0.5) * size
        x = start[line, 0] + at * np.cos(angle[line]) + rng.normal(0, noise, count)
        y = start[line, 1] + at * np.sin(angle[line]) + rng.normal(0, noise, count)
        return np.round(x, digits), np.round(y, digits)

    return along(points, 0.5), along(images, 3.0), rng.permutation(images).astype(np.int64) + 10**16


def chunked_brute_force(points, images, ids, max_distance):
    """Nearest row by (squared distance, id), from the full matrix of distances."""
    rows = np.full(len(points[0]), -1)
    by_id = np.argsort(ids, kind="stable")
    for start in range(0, len(points[0]), 200):
        part = slice(start, start + 200)
        dx = images[0][by_id] - points[0][part, None]
        dy = images[1][by_id] - points[1][part, None]
        square = dx * dx + dy * dy
        best = square.argmin(axis=1)
        inside = np.sqrt(square[np.arange(len(best)), best]) <= max_distance
        rows[part] = np.where(inside, by_id[best], -1)
    return rows


@pytest.mark.parametrize("compiled", KERNELS)
@pytest.mark.parametrize("max_distance", [3.0, 100.0, np.inf])
def test_nearest_along_streets_equals_all_distances(max_distance, compiled):
    points, images, ids = street_city(2000, 20_000)
    # Half of the points lie around the city, most of them out of reach.
    points[0][::2] = points[0][::2] * 3 - 3000
    squares, rows = knn.search(points, images, ids, max_distance=max_distance, compiled=compiled)
    expected = chunked_brute_force(points, images, ids, max_distance)
    assert np.array_equal(rows[:, 0], expected)
    assert np.array_equal(np.isinf(squares[:, 0]), expected < 0)
    assert (expected < 0).mean() > 0.2 or np.isinf(max_distance)


@pytest.mark.skipif(len(KERNELS) < 2, reason="Numba is not installed")
@pytest.mark.parametrize("k", [1, 3])
def test_both_kernels_give_the_same_bits(k):
    points, images, ids = street_city(20_000, 300_000, size=8000.0, digits=0)
    rng = np.random.default_rng(1)
    test = HeadingTest(rng.random(20_000) * 360, rng.random(300_000) * 360, rng.random(300_000) < 0.2, 20.0)
    for pairs in (None, test):
        first, second = (
            knn.search(points, images, ids, max_distance=100.0, k=k, test=pairs, compiled=compiled)
            for compiled in KERNELS
        )
        assert np.array_equal(first[0], second[0])
        assert np.array_equal(first[1], second[1])
        assert (first[1] >= 0).any()


@pytest.mark.parametrize("compiled", KERNELS)
def test_two_far_cities_and_a_stray_position_cost_no_memory_and_change_nothing(compiled):
    points, images, ids = street_city(60_000, 60_000)
    alone = knn.search(points, images, ids, max_distance=50.0, compiled=compiled)
    shift = 3e6
    twice_points = [np.r_[values, values + shift, 2e7] for values in points]
    twice_images = [np.r_[values, values + shift, -1.5e7] for values in images]
    twice_ids = np.r_[ids, ids + 10**10, 1]
    squares, rows = knn.search(twice_points, twice_images, twice_ids, max_distance=50.0, compiled=compiled)
    assert np.array_equal(rows[:60_000], alone[1])
    assert np.array_equal(squares[:60_000], alone[0])
    # Far off, coordinates are rounded to 1e-9 m and more, which decides between the nearly equal.
    assert np.allclose(np.sqrt(squares[60_000:-1]), np.sqrt(alone[0]), atol=1e-8)
    assert rows[-1, 0] == -1


def test_one_city_in_an_empty_country_is_divided(monkeypatch):
    points, images, ids = street_city(60_000, 60_000)
    points = [np.append(values, 5e6) for values in points]
    images = [np.append(values, 5e6 + 1) for values in images]
    ids = np.append(ids, 5)
    built = []
    build = grid.build
    monkeypatch.setattr(grid, "build", lambda *args, **options: built.append(build(*args, **options)) or built[-1])
    _, rows = knn.search(points, images, ids, max_distance=50.0, compiled=False)
    assert rows[-1, 0] == 60_000
    assert len(built) > 1
    assert max(grid.height for grid in built) < 100


@pytest.mark.parametrize("compiled", KERNELS)
def test_unlimited_distance_reaches_across_a_continent(compiled):
    points = np.array([0.0, 2_000_000.0, 1e6]), np.array([0.0, 3_000_000.0, 1.5e6])
    images = np.array([10.0, 2_000_400.0]), np.array([0.0, 3_000_300.0])
    squares, rows = knn.search(points, images, np.array([4, 3]), max_distance=np.inf, compiled=compiled)
    assert rows[:, 0].tolist() == [0, 1, 0]
    assert np.sqrt(squares[:2, 0]).tolist() == [10.0, 500.0]
    _, rows = knn.search(points, images, np.array([4, 3]), max_distance=np.inf, k=3, compiled=compiled)
    assert rows.tolist() == [[0, 1, -1], [1, 0, -1], [0, 1, -1]]


@pytest.mark.parametrize("compiled", KERNELS)
def test_the_limit_is_inclusive(compiled):
    points = np.zeros(1), np.zeros(1)
    for distance in (100.0, 0.1, 1 / 3, 299.79, 5000.1):
        images = np.array([0.0]), np.array([distance])
        at = knn.search(points, images, np.array([1]), max_distance=distance, compiled=compiled)
        below = knn.search(points, images, np.array([1]), max_distance=np.nextafter(distance, 0), compiled=compiled)
        assert (at[1][0, 0], below[1][0, 0]) == (0, -1)


@given(st.floats(1e-3, 1e7))
@example(100.0)
@example(0.1)
def test_the_largest_square_is_the_last_whose_root_is_within(distance):
    square = knn.largest_square(distance)
    assert np.sqrt(square) <= distance < np.sqrt(np.nextafter(square, np.inf))


def frame(lon, lat, **columns):
    return gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(lon, lat, crs=4326))


@pytest.fixture(scope="module")
def amsterdam():
    folder = DATA / "amsterdam"
    return (
        gpd.read_parquet(folder / "amsterdam_points.parquet"),
        gpd.read_parquet(folder / "amsterdam_mapillary_images.parquet"),
        pd.read_parquet(folder / "amsterdam_points_nearest_100m.parquet"),
    )


def test_amsterdam_is_what_scipy_and_shapely_found(amsterdam):
    points, images, expected = amsterdam
    selection = nearest.select_nearest(points, images, srid=28992)
    assert len(selection) == 8572
    assert np.array_equal(selection["point_id"], expected["point_id"])
    assert np.array_equal(selection["id"], expected["id"])
    assert np.allclose(selection["distance_m"], expected["distance_m"], rtol=0, atol=0.00005001)
    assert (selection["rank"] == 1).all()
    place = (*nearest.frames.lonlat(points), *nearest.frames.lonlat(images))
    for compiled in KERNELS:
        matches = nearest.match(*place, images["id"].to_numpy(), projection=RD, compiled=compiled)
        assert np.array_equal(images["id"].to_numpy()[matches.image_row], expected["id"])
        assert np.array_equal(matches.distance_m, selection["distance_m"])


@pytest.mark.parametrize(
    "options",
    [{}, {"k": 4}, {"unique": True}, {"unique": True, "k": 2, "max_distance": 20}, {"max_distance": None, "k": 2}],
)
def test_the_order_of_rows_does_not_matter(amsterdam, options):
    points, images, _ = amsterdam
    points = points[::4]
    expected = nearest.select_nearest(points, images, srid=28992, **options)
    for seed in range(2):
        shuffled = nearest.select_nearest(
            points.sample(frac=1, random_state=seed), images.sample(frac=1, random_state=seed), srid=28992, **options
        )
        pd.testing.assert_frame_equal(pd.DataFrame(shuffled), pd.DataFrame(expected))


def test_partitions_with_a_halo_give_the_whole(amsterdam):
    points, images, expected = amsterdam
    x, _ = RD.forward(*nearest.frames.lonlat(points))
    u, _ = RD.forward(*nearest.frames.lonlat(images))
    parts = []
    edges = np.linspace(x.min(), x.max() + 1, 6)
    for low, high in pairwise(edges):
        inside, around = (x >= low) & (x < high), (u >= low - 100) & (u <= high + 100)
        parts.append(nearest.select_nearest(points[inside], images[around], srid=28992))
    whole = pd.concat(parts).sort_values("point_id")
    assert np.array_equal(whole["point_id"], expected["point_id"])
    assert np.array_equal(whole["id"], expected["id"])


@pytest.mark.parametrize("interval", [50, 20, 10])
def test_stuttgart_is_what_postgis_selected(interval):
    with (DATA / "stuttgart_mapillary_images.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = frame(
        [float(row["lon"]) for row in rows], [float(row["lat"]) for row in rows],
        id=np.array([int(row["id"]) for row in rows]), is_pano=[row["is_pano"] == "True" for row in rows],
    )  # fmt: skip
    table = pd.read_csv(DATA / "expected" / f"stuttgart_{interval}m_street_points.csv")
    points = frame(table["lon"], table["lat"], point_id=table["point_id"])
    expected = pd.read_csv(DATA / "expected" / f"stuttgart_{interval}m_selection.csv", dtype={"id": "int64"})
    selection = nearest.select_nearest(points, images, srid=25832)
    assert np.array_equal(selection[["point_id", "id"]], expected[["point_id", "id"]])
    assert np.allclose(selection["distance_m"], expected["distance_m"], rtol=0, atol=0.001)


@pytest.fixture
def crossing():
    """Two points on a street that runs east, and four images: along it, across it, a panorama, one unknown."""
    lat = np.array([48.77, 48.77001, 48.77002, 48.77003])
    images = frame(
        np.full(4, 9.16), lat, id=np.array([40, 10, 30, 20]), compass_angle=[1.0, 272.0, 0.0, np.nan],
        is_pano=[False, False, True, False], sequence_id=["a", "b", "c", "d"],
    )  # fmt: skip
    images.attrs["attribution"] = ["Mapillary, CC BY-SA 4.0"]
    points = frame([9.16, 9.16], [48.77, 48.77003], point_id=np.array([7, 3]), bearing=[90.0, np.nan])
    return points, images


def test_a_selection_carries_the_images_columns(crossing):
    points, images = crossing
    selection = nearest.select_nearest(points, images.assign(rank="first"))
    assert list(selection.columns) == [
        "point_id", "id", "distance_m", "rank", "heading_difference", "point_bearing", "compass_angle", "is_pano",
        "sequence_id", "geometry",
    ]  # fmt: skip
    assert selection["point_id"].tolist() == [3, 7]
    assert selection["id"].tolist() == [20, 40]
    assert selection["distance_m"].tolist() == [0, 0]
    assert np.isnan(selection["heading_difference"][0])
    assert selection["heading_difference"][1] == pytest.approx(89)
    assert selection["sequence_id"].tolist() == ["d", "a"]
    assert isinstance(selection.index, pd.RangeIndex)
    assert selection.crs.to_epsg() == 4326
    assert selection.geometry.y.tolist() == [48.77003, 48.77]
    assert selection.attrs == {"attribution": ["Mapillary, CC BY-SA 4.0"]}
    nearest.frames.check(selection, nearest.frames.SELECTION)


def test_a_selection_carries_what_the_points_tell_of_their_streets(crossing):
    points, images = crossing
    points = points.assign(
        osmid=np.array([2**60 + 1, 5]), highway=["primary", None], name=pd.Categorical(["Am Kai", "Ring"]), note="not"
    )
    # The images' own columns of such names stay theirs; what an earlier selection said of its points goes.
    images = images.assign(name="of the image", bearing=1.0, point_name="stale", point_highway="stale")
    selection = nearest.select_nearest(points.drop(columns="highway"), images)
    assert [name for name in selection.columns if str(name).startswith("point_")] == [
        "point_id", "point_osmid", "point_name", "point_bearing",
    ]  # fmt: skip
    assert selection["point_osmid"].tolist() == ["5", str(2**60 + 1)]
    assert selection["point_name"].tolist() == ["Ring", "Am Kai"]
    assert selection["point_bearing"].fillna(-1).tolist() == [-1, 90]
    assert selection["name"].tolist() == ["of the image"] * 2
    assert selection["bearing"].tolist() == [1.0, 1.0]
    full = nearest.select_nearest(points, images)
    nearest.frames.check(full, nearest.frames.SELECTION)
    assert full["point_highway"].isna().tolist() == [True, False]
    # Fractions are neither ids nor names.
    assert "point_osmid" not in nearest.select_nearest(points.assign(osmid=0.5), images)


def test_headings_are_tested_before_the_nearest_is_taken(crossing):
    points, images = crossing
    selection = nearest.select_nearest(points, images, max_heading_difference=10)
    # The street's bearing is unknown at point 3: only the panorama passes. Both of its directions count.
    assert selection[["point_id", "id"]].to_numpy().tolist() == [[3, 30], [7, 10]]
    assert selection["heading_difference"][1] == pytest.approx(2)
    every = nearest.select_nearest(points, images, max_heading_difference=90, k=9)
    assert every.groupby("point_id")["id"].apply(list).to_dict() == {3: [30], 7: [40, 10, 30]}


def test_heading_difference_counts_both_directions_of_a_street():
    assert heading_difference(np.array([0, 10, 350, 90, 180, 271, 359]), np.array([0, 350, 10, 270, 0, 0, 180])) == (
        pytest.approx([0, 20, 20, 0, 0, 89, 1])
    )


def test_unique_lets_each_image_serve_one_point(crossing):
    _, images = crossing
    same_place = frame([9.16] * 3, [48.77] * 3, point_id=np.array([9, 4, 6]))
    selection = nearest.select_nearest(same_place, images, unique=True)
    assert selection[["point_id", "id"]].to_numpy().tolist() == [[4, 40], [6, 10], [9, 30]]
    selection = nearest.select_nearest(same_place, images, unique=True, k=2)
    assert selection[["point_id", "id", "rank"]].to_numpy().tolist() == [[4, 40, 1], [4, 10, 2], [6, 30, 1], [6, 20, 2]]


def test_an_id_that_stands_twice_counts_once(crossing):
    points, images = crossing
    doubled = pd.concat([images, images.set_geometry(images.translate(0.0001, 0))])
    for options in ({"k": 3}, {"k": 9}, {"unique": True}, {"unique": True, "k": 2}, {}):
        pd.testing.assert_frame_equal(
            nearest.select_nearest(points, doubled, **options), nearest.select_nearest(points, images, **options)
        )


def test_missing_and_empty_points_never_match(crossing):
    points, images = crossing
    images.loc[[0, 3], "geometry"] = [None, shapely.Point()]
    points.loc[2] = {"point_id": 1, "bearing": 0.0, "geometry": None}
    points = points.astype({"point_id": "int64"}).set_crs(4326)  # GeoPandas 1.1.2 forgets it with a row added
    selection = nearest.select_nearest(points, images)
    assert selection[["point_id", "id"]].to_numpy().tolist() == [[3, 30], [7, 10]]


@pytest.mark.parametrize("options", [{}, {"srid": 25832}, {"unique": True}, {"max_heading_difference": 5}])
def test_empty_frames_give_an_empty_selection(crossing, options):
    points, images = crossing
    for selection in (
        nearest.select_nearest(points[:0], images, **options),
        nearest.select_nearest(points, images[:0], **options),
    ):
        assert len(selection) == 0
        nearest.frames.check(selection, nearest.frames.SELECTION)
        assert "sequence_id" in selection.columns


def test_across_the_antimeridian():
    points = frame([179.9999, -179.9999], [52.0, 52.0], point_id=np.array([0, 1]))
    images = frame([-179.9999, 179.9995], [52.0, 52.0], id=np.array([5, 6]))
    for srid in (None, 32601, 32660):
        selection = nearest.select_nearest(points, images, srid=srid, k=2)
        assert selection["id"].tolist() == [5, 6, 5, 6]
        expected = geodesy.distance([179.9999, 179.9999, -179.9999, -179.9999], 52, [-179.9999, 179.9995] * 2, 52)
        assert np.allclose(selection["distance_m"], expected, rtol=2e-3)


def test_near_the_pole():
    points = frame([0.0, 90.0], [89.9999, 89.9999], point_id=np.array([0, 1]))
    images = frame([180.0, -90.0], [89.9999, 89.9999], id=np.array([5, 6]))
    selection = nearest.select_nearest(points, images)
    assert selection["id"].tolist() == [6, 5]
    expected = geodesy.distance([0, 90], 89.9999, [-90, 180], 89.9999)
    assert np.allclose(selection["distance_m"], expected, rtol=0.01)


def test_feet_are_converted():
    points = frame([-73.98], [40.75], point_id=np.array([0]))
    images = frame([-73.98, -73.98], [40.7502, 40.751], id=np.array([5, 6]))
    selection = nearest.select_nearest(points, images, srid=2263)
    assert selection["id"].tolist() == [5]
    assert selection["distance_m"][0] == pytest.approx(geodesy.distance(-73.98, 40.75, -73.98, 40.7502)[0], rel=1e-3)
    assert len(nearest.select_nearest(points, images, srid=2263, k=2, max_distance=112)) == 2


@pytest.mark.parametrize("compiled", KERNELS)
def test_many_images_through_the_polynomial_and_the_reach_of_the_points(compiled):
    points, images, ids = street_city(3000, 120_000)
    lon, lat = RD.inverse(points[0] + 120_000, points[1] + 487_000)
    ilon, ilat = RD.inverse(images[0] + 120_000, images[1] + 487_000)
    # A second city far off, and positions that are none, must not disturb the first.
    ilon, ilat = np.r_[ilon, ilon + 1.2, 0, np.nan], np.r_[ilat, ilat - 0.7, 0, 52]
    ids = np.r_[ids, ids + 10**10, 1, 2]
    matches = nearest.match(lon, lat, ilon, ilat, ids, projection=RD, compiled=compiled)
    x, y = RD.forward(lon, lat, exact=True)
    u, v = RD.forward(ilon, ilat, exact=True)
    squares, _ = knn.search((x, y), (u, v), ids, max_distance=100.0, compiled=False)
    assert np.array_equal(matches.point_row, np.flatnonzero(np.isfinite(squares[:, 0])))
    assert np.allclose(matches.distance_m, np.sqrt(squares[matches.point_row, 0]), rtol=0, atol=2e-6)
    away = np.hypot(u[matches.image_row] - x[matches.point_row], v[matches.image_row] - y[matches.point_row])
    assert np.allclose(away, matches.distance_m, rtol=0, atol=2e-6)
    assert matches.image_row.max() < 120_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_distance": -0.5}, "`max_distance` must be 0 metres or more, not -0.5"),
        ({"max_distance": -3.5}, "not -3.5"),
        ({"max_distance": np.nan}, "not nan"),
        ({"k": 0}, "`k` must be a whole number from 1, not 0"),
        ({"k": 1.5}, "not 1.5"),
        ({"max_heading_difference": 91}, "`max_heading_difference` must lie between 0 and 90"),
        ({"max_heading_difference": np.nan}, "not nan"),
    ],
)
def test_options_that_make_no_sense(crossing, options, message):
    with pytest.raises(InputError, match=message) as caught:
        nearest.select_nearest(*crossing, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 2


def test_frames_that_lack_something(crossing):
    points, images = crossing
    with pytest.raises(FrameError, match="'point_id'"):
        nearest.select_nearest(points.drop(columns="point_id"), images)
    with pytest.raises(FrameError, match="'id'"):
        nearest.select_nearest(points, images.drop(columns="id"))
    with pytest.raises(FrameError, match="'id' is float64"):
        nearest.select_nearest(points, images.astype({"id": "float64"}))
    with pytest.raises(FrameError, match="'bearing'"):
        nearest.select_nearest(points.drop(columns="bearing"), images, max_heading_difference=10)
    with pytest.raises(FrameError, match=r"'compass_angle'.*'is_pano'"):
        nearest.select_nearest(points, images[["id", "geometry"]], max_heading_difference=10)
    with pytest.raises(FrameError, match="CRS"):
        nearest.select_nearest(points.to_crs(25832), images)
    with pytest.raises(FrameError, match="point_id is not unique: 7 stands in 2 rows"):
        nearest.select_nearest(points.assign(point_id=7), images)
    with pytest.raises(FrameError, match="2 of 2 geometries of the points are not points; the first is a polygon"):
        nearest.select_nearest(points.set_geometry([shapely.box(9, 48, 10, 49)] * 2, crs=4326), images)


def test_a_crs_elsewhere_is_refused_unless_forced(crossing):
    with pytest.raises(CrsError, match="covers the Netherlands") as caught:
        nearest.select_nearest(*crossing, srid=28992)
    assert "25832" in caught.value.hint
    assert len(nearest.select_nearest(*crossing, srid=28992, force_srid=True)) == 2
    with pytest.raises(CrsError, match="geographic"):
        nearest.select_nearest(*crossing, srid=4326, force_srid=True)


# What comes in the CRS to measure in is measured by its own coordinates, so that equal distances stay equal.

UTM48 = 32648


def grid_in_utm(size=12):
    x, y = (
        part.ravel() + start
        for part, start in zip(np.meshgrid(*[np.arange(size) * 10.0] * 2), (500_000, 1_200_000), strict=True)
    )
    points = gpd.GeoDataFrame(
        {"point_id": np.arange(size * size)}, geometry=gpd.points_from_xy(x + 5.0, y + 5.0), crs=UTM48
    )
    ids = np.random.default_rng(3).permutation(size * size) + 1
    images = gpd.GeoDataFrame({"id": ids}, geometry=gpd.points_from_xy(x, y), crs=UTM48)
    return points, images


def lowest_of_four(points, images, reach):
    """For each point, the lowest id of the images at the same, shortest distance: a plain loop."""
    xy = {(x, y): number for x, y, number in zip(images.geometry.x, images.geometry.y, images["id"], strict=True)}
    chosen = []
    for x, y in zip(points.geometry.x, points.geometry.y, strict=True):
        corners = [xy.get((x + dx, y + dy)) for dx in (-5, 5) for dy in (-5, 5)]
        known = [number for number in corners if number is not None]
        chosen.append(min(known) if known and np.hypot(5, 5) <= reach else None)
    return [number for number in chosen if number is not None]


@pytest.mark.parametrize("reach", [np.hypot(5, 5), np.nextafter(np.hypot(5, 5), 0), 100.0])
@pytest.mark.parametrize("way", ["step", "function", "files", "filtered"])
def test_ties_and_limits_are_exact_in_the_crs_of_the_data(tmp_path, reach, way):
    points, images = grid_in_utm()
    expected = lowest_of_four(points, images, reach)
    if way == "step":
        found = nearest.select_nearest(points, images, srid=UTM48, max_distance=reach)
    else:
        given = points, images
        if way == "files":
            given = tmp_path / "points.parquet", tmp_path / "images.parquet"
            points.to_parquet(given[0])
            images.to_parquet(given[1])
        elif way == "filtered":
            given = points, images.assign(is_pano=True)
        filters = {"pano": True} if way == "filtered" else {}
        found = mlygeo.select(points=given[0], images=given[1], srid=UTM48, max_distance=reach, **filters)
    assert found["id"].tolist() == expected
    assert found.crs.to_epsg() == 4326
    assert (found["distance_m"] == np.hypot(5, 5)).all()


@pytest.mark.parametrize("projected", ["points", "images"])
def test_the_other_frame_may_be_in_degrees(projected):
    points, images = grid_in_utm()
    mixed = (points, images.to_crs(4326)) if projected == "points" else (points.to_crs(4326), images)
    found = nearest.select_nearest(*mixed, srid=UTM48, max_distance=7.08)
    assert len(found) == len(points)
    np.testing.assert_allclose(found["distance_m"], np.hypot(5, 5), atol=1e-6)


def test_feet_are_metres():
    points, images = grid_in_utm(3)
    feet = [
        frame.set_crs(2263, allow_override=True).translate(-500_000 + 980_000, -1_200_000 + 200_000)
        for frame in (points, images)
    ]
    points, images = (
        frame.set_geometry(moved).set_crs(2263, allow_override=True)
        for frame, moved in zip((points, images), feet, strict=True)
    )
    found = nearest.select_nearest(points, images, srid=2263, max_distance=None)
    np.testing.assert_allclose(found["distance_m"], np.hypot(5, 5) * 1200 / 3937, rtol=1e-15)
    assert found["id"].tolist() == lowest_of_four(points, images, np.inf)


@pytest.mark.parametrize("unique", [False, True])
def test_more_images_wanted_than_there_are(unique):
    points, images = grid_in_utm(4)
    found = nearest.select_nearest(points, images, srid=UTM48, max_distance=None, k=10**15, unique=unique)
    assert len(found) == (len(images) if unique else len(images) * len(points))


def test_pairs_that_fit_in_no_memory_are_refused():
    lon = np.full(100_000, 9.0)
    with pytest.raises(InputError, match=r"`k=100000` of 100,000 points are 10,000,000,000 pairs, in 160 GB"):
        nearest.match(lon, lon, lon, lon, np.arange(len(lon)), projection=RD, k=10**6)


@given(st.lists(st.one_of(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1)), max_size=30))
@settings(deadline=None)
def test_different_keys_are_counted(values):
    assert arrays.distinct(np.array(values, dtype=np.int64)) == len(set(values))


@pytest.mark.skipif(not knn.has_kernel(), reason="Numba is not installed")
@given(seed=st.integers(0, 10**6), k=st.integers(1, 3), batch=st.integers(1, 40), limit=st.sampled_from([5.0, 40.0]))
@settings(max_examples=60, deadline=None)
def test_images_sorted_batch_by_batch_give_the_same_pairs(seed, k, batch, limit):
    random = np.random.default_rng(seed)
    points, images = random.integers(0, 60, (2, 30)) * 1.0, random.integers(0, 60, (2, 90)) * 1.0
    ranks = random.integers(0, 60, 90)
    plain = searched(points, images, ranks, max_distance=limit, k=k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knn, "BATCH", batch)
        assert searched(points, images, ranks, max_distance=limit, k=k, compiled=True) == plain


GRID = "mlygeo.spatial.grid_numba"


@pytest.mark.skipif(not knn.has_kernel(), reason="Numba is not installed")
@pytest.mark.parametrize("made", [True, False])
def test_many_small_searches_load_the_compiled_kernel_as_one_large_one_does(monkeypatch, made):
    monkeypatch.setattr(kernels, "_loading", kernels._Loading())
    monkeypatch.setattr(Library, "is_made", lambda _: made)
    small = (kernels.LOADING_S if made else kernels.COMPILING_S) / 4.5
    assert [kernels.kernel(GRID, small) is None for _ in range(6)] == [True] * 4 + [False] * 2
    assert kernels.kernel(GRID, small, compiled=False) is None


@pytest.mark.skipif(not knn.has_kernel(), reason="Numba is not installed")
def test_without_numba_it_is_tried_once(monkeypatch):
    monkeypatch.setattr(kernels, "_loading", kernels._Loading(missed_s=1.0))
    assert kernels.kernel("mlygeo.no_such_kernel", 1.0) is None
    assert kernels.kernel(GRID, 1.0) is None
    assert kernels.kernel(GRID, 0.0, compiled=True) is not None
