"""The best images of points against plain loops over all pairs, with both kernels, to the last bit."""

import contextlib
import itertools
import math
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import InputError
from mlygeo.spatial import best, geodesy, knn, nearest
from mlygeo.spatial.best import Compared, Preference
from mlygeo.spatial.scores import Rule
from mlygeo.spatial.zones import Zones

SRID = 25832

WEIGHTS = st.dictionaries(
    st.sampled_from(["distance", "heading", "resolution"]), st.sampled_from([0.05, 0.25, 0.5, 1.0]), min_size=1
)

KERNELS = [False, True] if knn.has_kernel() else [False]


def scene(seed, points, images, spread):
    """Return positions with ties, and what is compared."""
    rng = np.random.default_rng(seed)

    def places(count):
        # On a grid of a few metres, so that distances and scores tie.
        east, north = rng.integers(0, 12, count) * spread, rng.integers(0, 12, count) * spread
        lon, lat = geodesy.projection(SRID).inverse(513_000.0 + east, 5_402_000.0 + north)
        return lon, lat, np.round(513_000.0 + east, 6), np.round(5_402_000.0 + north, 6)

    return rng, places(points), places(images)


def angle(camera, bearing):
    """Return the angle between a camera and a street."""
    turned = abs(camera - bearing) % 180
    return min(turned, 180 - turned)


def sequences_are_long_from(images, compiled):
    """Let compiled code sort sequences of so many images along a curve."""
    if not compiled:
        return contextlib.nullcontext()
    from mlygeo.spatial import best_numba

    return mock.patch.object(best_numba, "LONGEST", images - 1)


def plain(px, py, ix, iy, ids, *, limit, k, rule, own, bearing, heading, pano, ways, along, across, most, group):
    """Return rows of points and images in the order of preference, by a loop over all pairs."""
    found = []
    for point in range(len(px)):
        candidates = []
        for image in range(len(ix)):
            dx, dy = ix[image] - px[point], iy[image] - py[point]
            distance = math.sqrt(dx * dx + dy * dy)
            if not distance <= limit or group[image] < 0:
                continue
            difference = angle(heading[image], bearing[point])
            if most is not None and not pano[image] and not difference <= most:
                continue
            if along is not None and not abs(dx * ways[0][point] + dy * ways[1][point]) <= along:
                continue
            if across is not None and not abs(dx * ways[1][point] - dy * ways[0][point]) <= across:
                continue
            score = 0.0
            shares = {} if rule is None else rule.shares
            if "distance" in shares:
                score += shares["distance"] * math.exp(-distance / rule.distance_m)
            if "heading" in shares:
                term = 1.0 if pano[image] else 1 - difference / 90
                score += shares["heading"] * (0.0 if math.isnan(term) else term)
            score += own[image]
            # The last bits of the exponential function are not the library's.
            candidates.append((-round(score, 12), dx * dx + dy * dy, ids[image], image))
        candidates.sort()
        seen, taken = set(), {}
        for _, _, key, image in candidates:
            if key in seen:
                continue
            seen.add(key)
            own_group = taken.setdefault(group[image], [])
            if len(own_group) < k:
                own_group.append(image)
                found.append((point, image))
    return found


@given(
    seed=st.integers(0, 10**6), points=st.integers(0, 6), images=st.integers(0, 60), k=st.sampled_from([1, 2, 7]),
    weights=st.none() | WEIGHTS, limit=st.sampled_from([0.0, 9.0, 40.0, 1000.0]), most=st.sampled_from([None, 30.0]),
    along=st.sampled_from([None, 6.0, 30.0]), across=st.sampled_from([None, 6.0, 30.0]), grouped=st.booleans(),
    spread=st.sampled_from([3.0, 20.0]),
)  # fmt: skip
@settings(deadline=None, max_examples=120)
def test_any_preference_gives_what_a_loop_over_all_pairs_gives(
    seed, points, images, k, weights, limit, most, along, across, grouped, spread
):
    rng, (plon, plat, px, py), (ilon, ilat, ix, iy) = scene(seed, points, images, spread)
    rule = None if weights is None else Rule(weights, distance_m=10.0)
    ids = rng.permutation(images)
    ids[rng.integers(0, images, images // 6)] = 0  # an id at several places
    own = rng.integers(0, 4, images) / 8 * (0 if rule is None else rule.shares.get("resolution", 0.0))
    bearing = np.where(rng.random(points) < 0.2, np.nan, rng.integers(0, 8, points) * 45.0)
    heading = np.where(rng.random(images) < 0.2, np.nan, rng.integers(0, 360, images).astype(float))
    pano = rng.random(images) < 0.2
    group = rng.integers(-1, 3, images)
    preference = Preference(rule, max_along=along, max_across=across, per="year" if grouped else None)
    compared = Compared(own, bearing, heading, pano, None, group if grouped else None)
    projection = geodesy.projection(SRID)
    ways = best.candidates.directions(plon, plat, bearing, projection)
    expected = plain(
        px, py, ix, iy, ids, limit=limit, k=k, rule=rule, own=own, bearing=bearing, heading=heading, pano=pano,
        ways=ways, along=along, across=across, most=most, group=group if grouped else np.zeros(images, dtype=int),
    )  # fmt: skip
    bits = set()
    for compiled in KERNELS:
        found = best.match(
            plon, plat, ilon, ilat, ids, projection=projection, preference=preference, compared=compared,
            max_distance=limit, k=k, max_heading_difference=most, compiled=compiled, point_xy=(px, py),
            image_xy=(ix, iy),
        )  # fmt: skip
        pairs = found.matches
        assert [*zip(pairs.point_row.tolist(), pairs.image_row.tolist(), strict=True)] == expected
        assert pairs.rank.tolist() == [
            rank for _, rows in itertools.groupby(expected, lambda pair: pair[0]) for rank, _ in enumerate(rows, 1)
        ]
        told = [found.score, found.ahead_m, found.right_m, pairs.distance_m, *found.terms.values()]
        bits.add(tuple(b"" if values is None else values.tobytes() for values in told))
        assert set(found.terms) == ({"distance", "heading"} & rule.weights.keys() if rule else set())
        if rule is not None:
            summed = sum((rule.shares[name] * values for name, values in found.terms.items()), own[pairs.image_row])
            assert found.score == pytest.approx(summed, abs=1e-12)
            assert ((found.score >= 0) & (found.score <= 1 + 1e-12)).all()
    assert len(bits) == 1


@given(
    seed=st.integers(0, 10**6), points=st.integers(2, 30), images=st.integers(1, 300), weights=WEIGHTS,
    weight=st.sampled_from([1e-17, 1e-3, 0.3, 5.0]), limit=st.sampled_from([9.0, 40.0, 1000.0]),
    most=st.sampled_from([None, 30.0]), along=st.sampled_from([None, 30.0]), spread=st.sampled_from([3.0, 20.0]),
    sequences=st.sampled_from([1, 3, 300, 2**40]), longest=st.sampled_from([0, 20, 2000]),
)  # fmt: skip
@settings(deadline=None, max_examples=120)
def test_of_the_second_choice_only_images_of_the_wanted_sequence_are_looked_at(
    seed, points, images, weights, weight, limit, most, along, spread, sequences, longest
):
    """Of two images, which are searched among all once more, the first is the one."""
    rng, (plon, plat, px, py), (ilon, ilat, ix, iy) = scene(seed, points, images, spread)
    rule = Rule({**weights, "same_sequence": weight}, distance_m=10.0)
    ids, point_id = rng.permutation(images), rng.permutation(points)
    own = rng.integers(0, 4, images) / 8 * rule.shares.get("resolution", 0.0)
    bearing = np.where(rng.random(points) < 0.2, np.nan, rng.integers(0, 8, points) * 45.0)
    heading = np.where(rng.random(images) < 0.2, np.nan, rng.integers(0, 360, images).astype(float))
    sequence = np.maximum(rng.integers(-1, sequences, images), rng.integers(-1, 1, images) * sequences)
    compared = Compared(own, bearing, heading, rng.random(images) < 0.2, sequence)
    bits = set()
    for compiled, k in itertools.product(KERNELS, (1, 2)):
        with sequences_are_long_from(longest + 1, compiled):
            found = best.match(
                plon, plat, ilon, ilat, ids, projection=geodesy.projection(SRID), k=k, point_id=point_id,
                preference=Preference(rule, max_along=along), compared=compared, max_distance=limit,
                max_heading_difference=most, compiled=compiled, point_xy=(px, py), image_xy=(ix, iy),
            )  # fmt: skip
        first = found.matches.rank == 1
        told = [*vars(found.matches).values(), found.score, found.ahead_m, found.right_m, *found.terms.values()]
        bits.add(tuple(b"" if values is None else values[first].tobytes() for values in told))
    assert len(bits) == 1


@pytest.mark.parametrize("compiled", KERNELS)
def test_scores_that_the_weight_of_the_sequence_makes_equal_are_settled_by_distance(compiled):
    """Of two images of the wanted sequence, the farther one is better by the last bit, which the sum may lose."""
    points = 400
    px, py = np.arange(points) * 10_000.0, np.zeros(points)
    ix = np.column_stack([px + 1.0 + np.arange(points) / 100, px + 6.0 + np.arange(points) / 90]).ravel()
    iy = np.zeros(2 * points)
    near, far = (np.sqrt(np.square(ix[first::2] - px)) for first in (0, 1))
    rule = Rule({"distance": 0.3, "resolution": 0.3, "same_sequence": 0.4})
    shares = rule.shares
    by_distance = [shares["distance"] * best.decay(apart / rule.distance_m) for apart in (near, far)]
    own = np.empty((points, 2))
    own[:, 1] = 0.25
    own[:, 0] = by_distance[1] + own[:, 1] - by_distance[0]
    while (better := by_distance[0] + own[:, 0] >= by_distance[1] + own[:, 1]).any():
        own[better, 0] = np.nextafter(own[better, 0], 0.0)
    chosen = {}
    for k, sequence in itertools.product((1, 2), (-1, 0)):
        pairs = best.match(
            px * 1e-6, py, ix * 1e-6, iy, np.arange(2 * points), projection=geodesy.projection(SRID), k=k,
            preference=Preference(rule), compared=Compared(own.ravel(), sequence=np.full(2 * points, sequence)),
            max_distance=100.0, compiled=compiled, point_xy=(px, py), image_xy=(ix, iy),
        ).matches  # fmt: skip
        chosen[k, sequence] = pairs.image_row[pairs.rank == 1].tolist()
    assert chosen[1, -1] == [2 * point + 1 for point in range(points)]
    assert chosen[1, 0] == chosen[2, 0] != chosen[1, -1]


@pytest.mark.parametrize("compiled", KERNELS)
@pytest.mark.parametrize("number", [7, 2**31 - 2])
def test_a_neighbour_may_want_a_sequence_of_which_no_image_is_here(number, compiled):
    """As of a zone or a part beside it; and numbers of sequences cost no memory, however large they are."""
    px, py = np.array([0.0, 50.0, 100.0]), np.zeros(3)
    ix, iy = np.array([1.0, 4.0, 51.0, 101.0, 104.0]), np.zeros(5)
    sequence = np.array([3, number, 3, -1, 3], dtype=np.int32)
    for k in (1, 2):
        pairs = best.match(
            px * 1e-6, py, ix * 1e-6, iy, np.arange(5), projection=geodesy.projection(SRID), k=k,
            preference=Preference(Rule({"distance": 0.5, "same_sequence": 0.5})),
            compared=Compared(sequence=sequence), max_distance=20.0, compiled=compiled, point_xy=(px, py),
            image_xy=(ix, iy), wanted=np.array([number, number + 1, 3], dtype=np.int32),
        ).matches  # fmt: skip
        assert pairs.image_row[pairs.rank == 1].tolist() == [1, 2, 4]


@pytest.mark.skipif(True not in KERNELS, reason="sequences are sorted by compiled code")
@pytest.mark.parametrize("is_path", [False, True])
@pytest.mark.parametrize("extent_m", [2_000.0, 3e6])
def test_of_sequences_of_tens_of_thousands_of_images_boxes_leave_out_nothing(extent_m, is_path):
    """So many that boxes of boxes of boxes are needed; along a path, or anywhere; over a town, or a continent."""
    rng, images, points = np.random.default_rng(3), 300_000, 6000
    sequence = np.sort(rng.integers(-1, 2, images))
    ix, iy = rng.random((2, images)) * extent_m
    if is_path:
        ix, iy = np.cumsum(rng.normal(0.0, 1.0, (2, images)), axis=1) * extent_m / 400
    at = rng.integers(0, images, points)
    px, py = ix[at] + rng.normal(0.0, 30.0, points), iy[at] + rng.normal(0.0, 30.0, points)
    ix[rng.integers(0, images, 100)] = np.nan
    found, ids = [], rng.permutation(images)
    for k in (1, 2):
        pairs = best.match(
            px * 1e-6, py * 1e-6, ix * 1e-6, iy * 1e-6, ids, projection=geodesy.projection(SRID),
            k=k, preference=Preference(Rule({"distance": 0.6, "same_sequence": 0.4})),
            compared=Compared(sequence=sequence), max_distance=100.0, compiled=True, point_xy=(px, py),
            image_xy=(ix, iy),
        )  # fmt: skip
        first = pairs.matches.rank == 1
        found.append(np.column_stack([pairs.matches.point_row, pairs.matches.image_row, pairs.score])[first])
    assert (found[0] == found[1]).all()
    assert len(found[0]) > points * 0.9


@given(
    seed=st.integers(0, 10**6), points=st.integers(2, 30), srid=st.sampled_from([SRID, None]), grouped=st.booleans()
)  # fmt: skip
@settings(deadline=None, max_examples=30)
def test_the_sequence_of_the_neighbours_image_is_preferred(seed, points, srid, grouped):
    rng, (plon, plat, px, py), (ilon, ilat, ix, iy) = scene(seed, points, 80, 4.0)
    ids, point_id, sequence = rng.permutation(80), rng.permutation(points) * 5, rng.integers(-1, 4, 80)
    rule = Rule({"distance": 0.5, "same_sequence": 0.5})
    group = rng.integers(0, 3, 80) if grouped else np.zeros(80, dtype=np.int64)
    compared = Compared(np.zeros(80), sequence=sequence, group=group if grouped else None)
    preference = Preference(rule, per="year" if grouped else None)
    # Zones measure in the same plane: there is one.
    options = {
        "projection": geodesy.projection(srid) if srid else Zones(), "max_distance": 60.0, "point_id": point_id,
    }  # fmt: skip
    if srid:
        options |= {"point_xy": (px, py), "image_xy": (ix, iy)}
    found = best.match(plon, plat, ilon, ilat, ids, preference=preference, compared=compared, **options)
    if not srid:
        kinds = zip(found.matches.point_row.tolist(), group[found.matches.image_row].tolist(), strict=True)
        assert len(found.matches) == len(set(kinds))
        return
    first = nearest.match(plon, plat, ilon, ilat, ids, **options)
    picks = dict(zip(first.point_row.tolist(), first.image_row.tolist(), strict=True))
    for point, image, same in zip(
        found.matches.point_row.tolist(), found.matches.image_row.tolist(), found.terms["same_sequence"].tolist(),
        strict=True,
    ):  # fmt: skip
        others = [other for other in range(points) if other != point]
        square = [(px[other] - px[point]) ** 2 + (py[other] - py[point]) ** 2 for other in others]
        neighbour = min(zip(square, point_id[others], others, strict=True))[2]
        wanted = sequence[picks[neighbour]] if neighbour in picks else -1
        assert same == (wanted >= 0 and sequence[image] == wanted)
        ranked = []
        for other in range(80):
            away = math.hypot(ix[other] - px[point], iy[other] - py[point])
            if away <= 60 and group[other] == group[image]:
                score = 0.5 * math.exp(-away / 10) + 0.5 * (wanted >= 0 and sequence[other] == wanted)
                ranked.append((-round(score, 12), round(away, 9), ids[other], other))
        assert image == min(ranked)[3]


def test_a_preference_that_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="`max_along`"):
        Preference(max_along=-1.0)
    with pytest.raises(InputError, match="`per` is one of"):
        Preference(per="day")
    some = np.zeros(1)
    with pytest.raises(InputError, match="need a `max_distance`"):
        best.match(
            some, some, some, some, np.zeros(1, dtype=np.int64), projection=geodesy.projection(SRID),
            preference=Preference(per="year"), compared=Compared(), max_distance=None,
        )  # fmt: skip


def test_directions_in_the_plane_follow_true_north():
    # At 9 degrees east of the central meridian and 60 degrees north, grid north is 7.8 degrees off true north.
    projection = geodesy.projection(32632)
    lon, lat, bearing = np.array([18.0, 18.0, 9.0]), np.array([60.0, 60.0, 60.0]), np.array([0.0, np.nan, 90.0])
    east, north = best.candidates.directions(lon, lat, bearing, projection)
    assert math.degrees(math.atan2(east[0], north[0])) == pytest.approx(-7.8, abs=0.05)
    assert np.isnan(east[1])
    assert (east[2], north[2]) == pytest.approx((1.0, 0.0), abs=1e-6)
