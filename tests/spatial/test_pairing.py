"""Each image to one point, part by part: certain pairs and a rest that is matched as one give the pairs of the whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlygeo.errors import InputError
from mlygeo.spatial import geodesy, nearest
from mlygeo.spatial.zones import Zones

UTM32 = geodesy.projection(32632)
STEP = 1e-5


def scene(rng, points, images, wide_m, *, grid, corner):
    """Return points and images in a square of so many metres; on a grid, so that many distances are ties."""
    scale = wide_m / 111_000

    def some(count):
        lon, lat = corner[0] + rng.uniform(0, scale / 0.66, count), corner[1] + rng.uniform(0, scale, count)
        return (np.round(lon / grid) * grid, np.round(lat / grid) * grid) if grid else (lon, lat)

    ids = rng.permutation(images).astype(np.int64)
    headings = {
        "point_bearing": rng.uniform(0, 360, points), "image_heading": rng.uniform(0, 360, images),
        "image_is_pano": rng.random(images) < 0.3,
    }  # fmt: skip
    return some(points), some(images), ids, rng.permutation(points).astype(np.int64), headings


def cut(rng, points, pieces):
    """Return which points are in each part of boxes cut at random."""
    parts = [np.ones(len(points[0]), dtype=bool)]
    for _ in range(pieces):
        part = parts.pop(rng.integers(len(parts)))
        if np.isfinite(points[0][part]).sum() < 2:
            parts.append(part)
            continue
        values = np.where(np.isfinite(points[0]), points[rng.integers(2)], np.nan)
        border = rng.choice(values[part & np.isfinite(values)])
        parts += [part & (values < border), part & (values >= border)]
    return [part for part in parts if part.any()]


def in_parts(points, images, ids, point_id, parts, halo_m, options):
    """Return the pairs that parts give together, as (point id, image id, distance, rank), and the share left open."""
    (plon, plat), (ilon, ilat) = points, images
    plane = options["projection"]
    headings = {name: options.pop(name) for name in ("point_bearing", "image_heading", "image_is_pano")}

    def picked(at_points, at_images):
        return {name: values[at_points if name == "point_bearing" else at_images] for name, values in headings.items()}

    pairs, open_points, open_images = [], [], []
    for core in parts:
        box = tuple(
            float(of(v[core])) for of, v in ((np.nanmin, plon), (np.nanmin, plat), (np.nanmax, plon), (np.nanmax, plat))
        )
        known = plane.reach(box, halo_m)
        west, south, east, north = known
        p = np.flatnonzero((plon >= west) & (plon <= east) & (plat >= south) & (plat <= north))
        i = np.flatnonzero((ilon >= west) & (ilon <= east) & (ilat >= south) & (ilat <= north))
        part = nearest.match_part(
            plon[p], plat[p], ilon[i], ilat[i], ids[i], core=core[p], known=known, point_id=point_id[p],
            **picked(p, i), **options,
        )  # fmt: skip
        found = part.matches
        pairs += zip(point_id[p[found.point_row]], ids[i[found.image_row]], found.distance_m, found.rank, strict=True)
        open_points.append(p[part.open_points])
        open_images.append(i[part.open_images])
        assert np.isin(p[part.open_points], np.flatnonzero(core)).all()
    p, i = np.concatenate(open_points), np.unique(np.concatenate(open_images))
    i = i[~np.isin(ids[i], [pair[1] for pair in pairs])]
    assert len(np.unique(p)) == len(p)
    rest = nearest.match(plon[p], plat[p], ilon[i], ilat[i], ids[i], unique=True, point_id=point_id[p],
                         **picked(p, i), **options)  # fmt: skip
    pairs += zip(point_id[p[rest.point_row]], ids[i[rest.image_row]], rest.distance_m, rest.rank, strict=True)
    return sorted(pairs), len(p) / len(plon)


def whole(points, images, ids, point_id, options):
    found = nearest.match(*points, *images, ids, unique=True, point_id=point_id, **options)
    return sorted(zip(point_id[found.point_row], ids[found.image_row], found.distance_m, found.rank, strict=True))


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    counts=st.tuples(st.integers(1, 120), st.integers(0, 200)),
    wide_m=st.sampled_from([200, 600, 1500]),
    grid=st.sampled_from([0, STEP, 2e-4]),
    halo=st.sampled_from([1, 2, 4, 8]),
    k=st.integers(1, 3),
    heading=st.sampled_from([None, 30.0]),
    at=st.sampled_from([(9.0, 48.7), (5.997, 48.7), (8.99, -0.003)]),
)
def test_parts_and_the_rest_give_the_pairs_of_the_whole(seed, counts, wide_m, grid, halo, k, heading, at):
    rng = np.random.default_rng(seed)
    points, images, ids, point_id, headings = scene(rng, *counts, wide_m, grid=grid, corner=at)
    if rng.random() < 0.2 and len(ids) and counts[0] > 1:
        points[0][0] = np.nan
    plane = UTM32 if at[0] == 9.0 else Zones()
    options = {"projection": plane, "max_distance": 60.0, "k": k, "max_heading_difference": heading, **headings}
    expected = whole(points, images, ids, point_id, options)
    parts = [part for part in cut(rng, points, int(rng.integers(0, 8))) if np.isfinite(points[0][part]).any()]
    found, _ = in_parts(points, images, ids, point_id, parts, halo * 60.0, dict(options))
    assert found == expected


def test_most_points_of_a_city_are_certain_with_a_halo_of_some_distances():
    rng = np.random.default_rng(4)
    points, images, ids, point_id, headings = scene(rng, 6000, 9000, 6000, grid=0, corner=(9.0, 48.7))
    options = {"projection": UTM32, "max_distance": 50.0, "k": 1, "max_heading_difference": None, **headings}
    expected = whole(points, images, ids, point_id, options)
    parts = cut(rng, points, 3)
    shares = []
    for halo in (1, 4, 10):
        found, share = in_parts(points, images, ids, point_id, parts, halo * 50.0, dict(options))
        assert found == expected
        shares.append(share)
    assert shares[0] > shares[1] >= shares[2]
    assert shares[2] < 0.05


def test_a_chain_across_the_whole_part_is_left_open():
    """Each point is nearer to the image of its western neighbour than to the one on its east, ever more so."""
    x = np.concatenate(([0.0], np.cumsum(20.0 - 0.05 * np.arange(120))))
    lon, lat = UTM32.inverse(500_000 + x, np.full(len(x), 5_400_000.0))
    core = x[::2] <= x[60]
    known = UTM32.reach((float(lon[0]), float(lat[:61].min()), float(lon[60]), float(lat[:61].max())), 30.0)
    part = nearest.match_part(
        lon[::2], lat[::2], lon[1::2], lat[1::2], np.arange(60), core=core, known=known, point_id=np.arange(61),
        projection=UTM32, max_distance=30.0,
    )  # fmt: skip
    assert len(part.open_points) == 31
    assert len(part.matches) == 0


def test_a_part_that_does_not_know_the_images_of_its_points_is_refused():
    lon, lat = np.array([9.0, 9.0004]), np.array([48.7, 48.7])
    with pytest.raises(InputError, match="what is known has to hold all within 30 m"):
        nearest.match_part(
            lon, lat, lon, lat, np.arange(2), core=np.ones(2, dtype=bool), known=(9.0, 48.6, 9.1, 48.8),
            point_id=np.arange(2), projection=UTM32, max_distance=30.0,
        )  # fmt: skip


def test_without_a_largest_distance_it_is_refused():
    one = np.zeros(1)
    with pytest.raises(InputError, match="`unique` needs a `max_distance`"):
        nearest.match_part(
            one, one, one, one, np.arange(1), core=np.ones(1, dtype=bool), known=(-1, -1, 1, 1),
            point_id=np.arange(1), projection=UTM32, max_distance=None,
        )  # fmt: skip
