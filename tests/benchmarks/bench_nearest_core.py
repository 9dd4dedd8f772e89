"""
Nearest image within 100 m, from planar arrays: both kernels, SciPy's tree and GeoPandas' join, as ratios.

    python tests/benchmarks/bench_nearest_core.py [--images 2000000] [--points 100000] [--rounds 3]

Images stand along street-like lines in 25 x 25 km, on the 4096 grid of their zoom-14 tiles as those of
the service do. Points stand along the same lines, or, in the second case, evenly over and around the
city, so that half of them have no image within reach. Rounds are interleaved, with the order reversed
every second round; the compiled kernel is loaded before. Figures are medians.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from mlygeo.spatial import geodesy, knn

SRID = 28992
MAX_DISTANCE_M = 100.0
WEST, SOUTH, SIZE_M, LINES = 109_000.0, 475_000.0, 25_000.0, 4_000


def on_tile_grid(lon, lat, zoom=14, extent=4096):
    """Move positions to the grid of their vector tiles, as the service does."""
    steps = 2.0**zoom * extent
    sine = np.sin(np.radians(lat))
    column = np.round((lon + 180) / 360 * steps)
    line = np.round((0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi)) * steps)
    return column / steps * 360 - 180, np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * line / steps))))


def city(images, points, *, half_without, seed=1):
    """Return ((lon, lat) of points, (lon, lat) of images, ids)."""
    rng = np.random.default_rng(seed)
    middle_x, middle_y = WEST + rng.random(LINES) * SIZE_M, SOUTH + rng.random(LINES) * SIZE_M
    angle, half = rng.random(LINES) * np.pi, rng.random(LINES) * 5000 + 500

    def along(count, noise):
        line = rng.integers(0, LINES, count)
        at = (rng.random(count) * 2 - 1) * half[line]
        x = middle_x[line] + at * np.cos(angle[line]) + rng.normal(0, noise, count) - WEST
        y = middle_y[line] + at * np.sin(angle[line]) + rng.normal(0, noise, count) - SOUTH
        # Lines fold back at the city's edge.
        return WEST + np.abs(x % (2 * SIZE_M) - SIZE_M), SOUTH + np.abs(y % (2 * SIZE_M) - SIZE_M)

    projection = geodesy.projection(SRID)
    image_lonlat = on_tile_grid(*projection.inverse(*along(images, 3.0)))
    if half_without:
        box = 1.43 * SIZE_M
        corner = WEST - (box - SIZE_M) / 2, SOUTH - (box - SIZE_M) / 2
        planar = corner[0] + rng.random(points) * box, corner[1] + rng.random(points) * box
    else:
        planar = along(points, 0.5)
    ids = rng.permutation(images).astype(np.int64) * 7 + 10**14
    return projection.inverse(*planar), image_lonlat, ids


def methods(points, images, ids):
    """Return the ways to answer, by name; each returns distances, infinity where there is no image."""

    def own(*, compiled):
        squares, _ = knn.search(points, images, ids, max_distance=MAX_DISTANCE_M, compiled=compiled)
        return np.sqrt(squares[:, 0])

    def tree():
        from scipy.spatial import cKDTree

        index = cKDTree(np.column_stack(images))
        return index.query(np.column_stack(points), distance_upper_bound=MAX_DISTANCE_M, workers=-1)[0]

    ways = {"NumPy kernel": lambda: own(compiled=False)}
    if knn.has_kernel():
        ways["Numba kernel"] = lambda: own(compiled=True)
    ways["scipy cKDTree, both cores"] = tree
    try:
        import geopandas as gpd
    except ImportError:
        return ways
    left = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*points, crs=SRID))
    right = gpd.GeoDataFrame({"id": ids}, geometry=gpd.points_from_xy(*images, crs=SRID))

    def join():
        pairs = left.sjoin_nearest(right, max_distance=MAX_DISTANCE_M, distance_col="distance_m")
        nearest = np.full(len(left), np.inf)
        nearest[pairs.index] = pairs["distance_m"]
        return nearest

    ways["geopandas sjoin_nearest"] = join
    return ways


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2_000_000)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for half_without in (False, True):
        lonlat_points, lonlat_images, ids = city(options.images, options.points, half_without=half_without)
        projection = geodesy.projection(SRID)
        started = time.perf_counter()
        points, images = projection.forward(*lonlat_points), projection.forward(*lonlat_images)
        reprojection = time.perf_counter() - started
        ways = methods(points, images, ids)
        if "Numba kernel" in ways:
            knn.search((points[0][:9], points[1][:9]), images, ids, max_distance=1.0, compiled=True)
        seconds = {name: [] for name in ways}
        distances = {}
        for number in range(options.rounds):
            for name in list(ways)[:: -1 if number % 2 else 1]:
                started = time.perf_counter()
                distances[name] = ways[name]()
                seconds[name].append(time.perf_counter() - started)
        reached = np.isfinite(distances["NumPy kernel"])
        for name, found in distances.items():
            expected = distances["NumPy kernel"]
            same = np.isfinite(found) == reached
            if not (same.all() and np.allclose(found[reached], expected[reached], rtol=0, atol=1e-9)):
                raise SystemExit(f"{name} finds other distances than the NumPy kernel")
        print(
            f"\n{options.images:,} images x {options.points:,} points, {reached.mean():.0%} with an image within"
            f" {MAX_DISTANCE_M:g} m; reprojection {reprojection:.2f} s; {options.rounds} rounds"
        )
        slowest = statistics.median(seconds[list(ways)[-1]])
        for name, values in seconds.items():
            median = statistics.median(values)
            print(f"  {name:28} {median:8.3f} s   {slowest / median:6.1f}x {list(ways)[-1]}")


if __name__ == "__main__":
    main()
