"""Images that look at things against plain loops over all pairs, and fields of view against the cameras' formulas."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import FrameError, InputError
from mlygeo.spatial import geodesy, towards
from mlygeo.spatial.scores import Rule
from mlygeo.spatial.towards import Cameras, Looking
from mlygeo.spatial.zones import Zones

SRID = 25832
X, Y = 513_000.0, 5_402_000.0


def in_degrees(shapes):
    """Return planar geometries in degrees."""
    projection = geodesy.projection(SRID)
    return shapely.transform(shapes, lambda xy: np.column_stack(projection.inverse(X + xy[:, 0], Y + xy[:, 1])))


def nearest_place(vertices, x, y):
    """Return the nearest place of a chain of vertices, by a loop over its segments."""
    best = None
    for (x0, y0), (x1, y1) in zip(vertices, vertices[1:] or vertices, strict=False):
        dx, dy = x1 - x0, y1 - y0
        length = dx * dx + dy * dy
        share = 0.0 if length == 0 else min(max(((x - x0) * dx + (y - y0) * dy) / length, 0.0), 1.0)
        place = x0 + share * dx, y0 + share * dy
        away = math.hypot(place[0] - x, place[1] - y)
        if best is None or away < best[0]:
            best = away, place
    return best


def angle(first, second):
    turned = abs(first - second) % 360
    return min(turned, 360 - turned)


@given(
    seed=st.integers(0, 10**6), images=st.integers(0, 40), k=st.sampled_from([1, 3]),
    least=st.sampled_from([None, 0.0, 8.0]), most=st.sampled_from([15.0, 60.0]), apart=st.sampled_from([None, 0.0, 45.0]),
    weighed=st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_images_that_look_at_things_are_those_of_a_loop_over_all_pairs(seed, images, k, least, most, apart, weighed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-60, 60, (2, images))
    projection = geodesy.projection(SRID)
    lon, lat = projection.inverse(X + x, Y + y)
    chains, shapes = [], []
    for kind in rng.integers(0, 3, 4):
        (east, north), side = rng.uniform(-50, 50, 2), rng.uniform(1, 15)
        chain = [(east, north)]
        if kind:
            chain += [(east + side, north), (east + side, north + side), (east, north + side), (east, north)][
                : kind * 2
            ]
        chains.append((kind, chain))
        shapes.append([shapely.Point, shapely.LineString, shapely.Polygon][kind](chain[0] if kind == 0 else chain))
    ids = rng.permutation(images)
    ids[rng.integers(0, images, images // 6)] = 0
    heading = np.where(rng.random(images) < 0.1, np.nan, rng.uniform(0, 360, images))
    view = rng.choice([np.nan, 50.0, 100.0, 360.0], images)
    rule = Rule({"distance": 0.5, "heading": 0.3, "age": 0.2}) if weighed else None
    own = rng.integers(0, 3, images) / 10 * weighed
    expected = []
    for thing, (kind, chain) in enumerate(chains):
        found = []
        for image in range(images):
            inside = kind == 2 and shapely.Polygon(chain).intersects(shapely.Point(x[image], y[image]))
            away, place = nearest_place(chain, x[image], y[image])
            if inside or away > most or away < (least or 0.0):
                continue
            there = projection.inverse(np.array([X + place[0]]), np.array([Y + place[1]]))
            bearing = float(geodesy.bearing(lon[image], lat[image], *there)[0])
            off = angle(heading[image], bearing)
            if not (view[image] == 360 or off <= view[image] / 2):
                continue
            score = 0.0
            if weighed:
                facing = 1.0 if view[image] == 360 else 1 - off / 180
                score = 0.5 * math.exp(-away / 10) + 0.3 * facing + own[image]
            found.append((-score, away, ids[image], image, bearing))
        taken, seen = [], set()
        for _, away, key, image, bearing in sorted(found):
            if key in seen:
                continue
            seen.add(key)
            if apart is not None and any(angle(bearing, other) < apart for *_, other in taken):
                continue
            if len(taken) < k:
                taken.append((thing, image, away, bearing))
        expected += taken
    best = towards.match(
        in_degrees(shapes), lon, lat, ids, projection=projection,
        looking=Looking(least, most, apart), cameras=Cameras(heading, view, own), rule=rule, k=k,
    )  # fmt: skip
    matches = best.matches
    assert [*zip(matches.point_row.tolist(), matches.image_row.tolist(), strict=True)] == [
        (thing, image) for thing, image, *_ in expected
    ]
    assert matches.distance_m.tolist() == pytest.approx([each[2] for each in expected], abs=1e-6)
    assert best.told["target_bearing"].tolist() == pytest.approx([each[3] for each in expected], abs=1e-3)
    assert (best.score is not None) == weighed
    if weighed:
        summed = 0.5 * best.terms["distance"] + 0.3 * best.terms["heading"] + own[matches.image_row]
        assert best.score.tolist() == pytest.approx(summed.tolist())


def test_the_wall_that_faces_the_camera_is_looked_at():
    house = shapely.box(0, 0, 10, 10)
    places = np.array([[5.0, -20.0], [31.0, 5.0], [5.0, 5.0]])  # south of it, east of it, inside
    lon, lat = geodesy.projection(SRID).inverse(X + places[:, 0], Y + places[:, 1])
    best = towards.match(
        in_degrees([house]), lon, lat, np.arange(3), projection=Zones(), looking=Looking(None, 50.0, None), k=5,
        cameras=Cameras(np.array([0.0, 270.0, 0.0]), np.array([60.0, 60.0, 360.0]), np.zeros(3)),
    )  # fmt: skip
    assert best.matches.image_row.tolist() == [0, 1]
    assert best.matches.distance_m.tolist() == pytest.approx([20, 21], abs=0.02)
    # Grid north is 0.13 degrees off true north here.
    assert best.told["target_bearing"].tolist() == pytest.approx([0.13, 270.13], abs=0.02)
    x, y = geodesy.projection(SRID).forward(best.told["target_lon"], best.told["target_lat"])
    assert np.column_stack([x - X, y - Y]) == pytest.approx(np.array([[5, 0], [10, 5]]), abs=1e-5)


def test_things_without_a_place_have_no_image_and_mixed_ones_are_refused():
    some = np.array([9.18]), np.array([48.77])
    options = {
        "projection": Zones(), "looking": Looking(None, 50.0, None),
        "cameras": Cameras(np.zeros(1), np.full(1, 360.0), np.zeros(1)),
    }  # fmt: skip
    things = np.array([None, shapely.Point(), shapely.Point(9.18, 48.7701)], dtype=object)
    assert towards.match(things, *some, np.arange(1), **options).matches.point_row.tolist() == [2]
    mixed = np.array([shapely.GeometryCollection([shapely.Point(9, 48), shapely.box(9, 48, 9.1, 48.1)])])
    with pytest.raises(FrameError, match="row 0 is a collection"):
        towards.match(mixed, *some, np.arange(1), **options)


@pytest.mark.parametrize("options", [(60.0, 50.0, None), (-1.0, 50.0, None), (None, 50.0, 181.0)])
def test_limits_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError, match="must lie between"):
        Looking(*options)
