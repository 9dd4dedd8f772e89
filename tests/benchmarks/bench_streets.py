"""
Street points: 200,000 edges into points, thinned and back in EPSG:4326, against make_street_points.py's loops.

Run: python tests/benchmarks/bench_streets.py [--edges 200000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import time

import geopandas as gpd
import numpy as np
import shapely

from mlygeo import frames
from mlygeo.spatial import geodesy
from mlygeo.spatial.streets import street_points

SRID = 28992
INTERVAL_M = 50
SEED = 20240609


def generated_city(edges: int) -> gpd.GeoDataFrame:
    """Return a streets frame round Amsterdam: half of the edges are the other half the other way round."""
    rng = np.random.default_rng(SEED)
    streets = edges // 2
    vertices = rng.integers(2, 8, streets)
    length_m = rng.lognormal(np.log(70), 0.8, streets)
    row = np.repeat(np.arange(streets), vertices)
    first = np.concatenate(([0], np.cumsum(vertices)[:-1]))
    heading = rng.uniform(0, 2 * np.pi, streets)[row] + rng.normal(0, 0.3, len(row))
    step = (length_m / (vertices - 1))[row]
    step[first] = 0
    x, y = (np.cumsum(step * turn(heading)) for turn in (np.cos, np.sin))
    start_x, start_y = rng.uniform(100_000, 140_000, streets), rng.uniform(470_000, 505_000, streets)
    x, y = x - (x[first] - start_x)[row], y - (y[first] - start_y)[row]
    lon, lat = geodesy.projection(SRID).inverse(x, y)
    lines = shapely.linestrings(np.column_stack([lon, lat]), indices=row)
    lines = np.column_stack([lines, shapely.reverse(lines)]).ravel()
    node = np.arange(2 * streets).reshape(-1, 2)
    u, v = np.stack([node, node[:, ::-1]], axis=1).reshape(-1, 2).T
    frame = gpd.GeoDataFrame(
        {"u": u, "v": v, "key": 0, "osmid": row[first].repeat(2).astype(str), "oneway": False}, geometry=lines, crs=4326
    )
    return frames.conform(frame, frames.STREETS)


def loops(streets: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return what make_street_points.py does, from its description: a loop over rows, and text for each cell."""
    projected = streets.to_crs(SRID)
    points = []
    for _, row in projected.iterrows():
        line = row.geometry
        parts = int(line.length / INTERVAL_M)
        if parts > 0:
            for distance in np.linspace(0, line.length, parts + 1):
                points.append(line.interpolate(distance))  # noqa: PERF401 (a loop, as described)
    found = gpd.GeoDataFrame(geometry=points, crs=SRID).to_crs(4326)

    plane = found.to_crs(SRID)
    west, south, _, _ = plane.total_bounds
    plane["cell"] = plane.geometry.apply(
        lambda point: f"{int((point.x - west) / INTERVAL_M)}_{int((point.y - south) / INTERVAL_M)}"
    )
    return plane.drop_duplicates(subset="cell").drop(columns="cell").to_crs(4326)


def arrays(streets: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return street_points(streets, interval=INTERVAL_M, srid=SRID, method="percept")


def even(streets: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return street_points(streets, interval=INTERVAL_M, srid=SRID, method="even")


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    streets = generated_city(options.edges)

    seconds: dict[str, list[float]] = {"loops": [], "arrays": [], "even": []}
    for _ in range(options.rounds):
        for name, way in (("loops", loops), ("arrays", arrays), ("even", even)):
            start = time.perf_counter()
            result = way(streets)
            seconds[name].append(time.perf_counter() - start)
            if name == "loops":
                expected = result
            elif name == "arrays":
                same = shapely.equals_exact(np.asarray(result.geometry), np.asarray(expected.geometry), 1e-9)
                if len(result) != len(expected) or not same.all():
                    raise SystemExit("the points differ from those of the loops: nothing to compare")

    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = {name: median["loops"] / median[name] for name in ("arrays", "even")}
    print(
        f"street points, {len(streets):,} edges, every {INTERVAL_M} m, EPSG:{SRID}, {options.rounds} rounds interleaved"
    )
    print(f"  make_street_points.py's loops   {median['loops']:6.2f} s  {len(expected):,} points")
    print(f"  street_points(method='percept') {median['arrays']:6.2f} s  the same, {ratio['arrays']:.1f} times faster")
    print(f"  street_points(method='even')    {median['even']:6.2f} s  {ratio['even']:.1f} times faster")
    return {"street_points": ratio["arrays"], "street_points_even": ratio["even"]}


if __name__ == "__main__":
    main()
