"""
How much of the streets has imagery near it: mlygeo against GeoPandas' overlay of buffers, as ratios.

    python tests/benchmarks/bench_coverage.py [--full] [--rounds 3]

Streets of some 100 m with bends stand in a city of blocks; images stand along them as cameras leave
them, none on some. GeoPandas buffers the images, dissolves the circles and lays them over the streets
(`overlay`), or, to make that bearable, joins images to streets and unites the circles near each street. Both sides
start from frames in EPSG:4326 and end with covered metres by street; rounds are interleaved. What
GeoPandas cannot do in reasonable time is run with mlygeo alone (`--full`: 200,000 streets and ten
million images, by year, panorama and contributor too), with its peak memory.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from mlygeo.spatial import coverage, coverage_classes

SRID, DISTANCE_M = 28992, 20.0
WEST, SOUTH = 109_000.0, 475_000.0


def city(streets: int, images: int, *, seed: int = 1) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame]:
    """Return a streets frame and an images frame, EPSG:4326, at the density of a city whatever their number."""
    from mlygeo.spatial import geodesy

    random = np.random.default_rng(seed)
    size = np.sqrt(streets * 100 / 8) * 31.6  # 8 km of streets a square kilometre
    middle = random.uniform(0, size, (streets, 2))
    turn = random.choice([0.1, 0.1 + np.pi / 2], streets) + random.normal(0, 0.2, streets)
    bends = turn[:, None] + np.cumsum(random.normal(0, 0.15, (streets, 4)), axis=1)
    step = random.gamma(4, 6.25, (streets, 1)) * np.ones((1, 4))
    x = middle[:, :1] + np.concatenate([np.zeros((streets, 1)), np.cumsum(step * np.cos(bends), axis=1)], axis=1)
    y = middle[:, 1:] + np.concatenate([np.zeros((streets, 1)), np.cumsum(step * np.sin(bends), axis=1)], axis=1)
    projection = geodesy.projection(SRID)
    lon, lat = projection.inverse(x.ravel() + WEST, y.ravel() + SOUTH)
    lines = shapely.linestrings(np.column_stack([lon, lat]), indices=np.repeat(np.arange(streets), 5))
    frame = gpd.GeoDataFrame(
        {
            "u": np.arange(streets) * 2,
            "v": np.arange(streets) * 2 + 1,
            "key": np.zeros(streets, "int64"),
            "osmid": pd.Series(np.arange(streets)).astype("str"),
            "highway": pd.Series(random.choice(["residential", "primary", "service"], streets), dtype="str"),
            "name": pd.Series([None] * streets, dtype="str"),
            "oneway": np.zeros(streets, dtype=bool),
        },
        geometry=gpd.GeoSeries(lines, crs=4326),
    )
    # Some streets are driven often, a third never.
    often = random.gamma(0.8, 1, streets) * (random.random(streets) < 0.67)
    street = random.choice(streets, images, p=often / often.sum())
    part, share = random.integers(0, 4, images), random.random(images)
    image_x = x[street, part] * (1 - share) + x[street, part + 1] * share + random.normal(0, 3, images)
    image_y = y[street, part] * (1 - share) + y[street, part + 1] * share + random.normal(0, 3, images)
    lon, lat = projection.inverse(image_x + WEST, image_y + SOUTH)
    from mlygeo import frames

    taken = gpd.GeoDataFrame(
        {
            "id": np.arange(images) + 10**15,
            "captured_at": pd.to_datetime(random.integers(1.5e12, 1.75e12, images), unit="ms", utc=True).as_unit("ms"),
            "is_pano": random.random(images) < 0.3,
            "creator_id": pd.array(random.zipf(1.5, images) % 3000 + 10**14, dtype="Int64"),
        },
        geometry=gpd.GeoSeries(frames.points(lon, lat), crs=4326),
    )
    return frame, taken


def ours(streets: gpd.GeoDataFrame, images: gpd.GeoDataFrame) -> pd.Series:
    """Return covered metres by street."""
    found = coverage.street_coverage(streets, images, srid=SRID, distance=DISTANCE_M)
    return found.set_index("u")["covered_m"]


def union(streets: gpd.GeoDataFrame, images: gpd.GeoDataFrame) -> pd.Series:
    """Return the same by GeoPandas, with one union of all circles."""
    circles = gpd.GeoDataFrame(geometry=images.geometry.to_crs(SRID).buffer(DISTANCE_M)).dissolve()
    inside = gpd.overlay(streets.to_crs(SRID), circles, how="intersection", keep_geom_type=True)
    return inside.length.groupby(inside["u"]).sum()


def by_street(streets: gpd.GeoDataFrame, images: gpd.GeoDataFrame) -> pd.Series:
    """Return the same by GeoPandas, with a union of the circles near each street and no overlay."""
    planar, lines = images[["geometry"]].to_crs(SRID), streets[["u", "geometry"]].to_crs(SRID)
    pairs = gpd.sjoin(planar, lines, how="inner", predicate="dwithin", distance=DISTANCE_M)
    circles = gpd.GeoDataFrame({"u": pairs["u"]}, geometry=pairs.buffer(DISTANCE_M)).dissolve(by="u")
    lines = lines.set_index("u").loc[circles.index]
    return lines.intersection(circles.geometry).length


def compare(streets: int, images: int, rounds: int, ways: dict[str, object]) -> None:
    """Run all ways, interleaved, and print their ratios."""
    frames = city(streets, images)
    figures: dict[str, list[float]] = {way: [] for way in ways}
    found = {}
    for number in range(rounds):
        for way in list(ways) if number % 2 == 0 else reversed(list(ways)):
            started = time.perf_counter()
            found[way] = ways[way](*frames)
            figures[way].append(time.perf_counter() - started)
    mine = found["mlygeo"]
    print(f"\ncoverage: {streets:,} streets x {images:,} images, within {DISTANCE_M:g} m")
    for way, seconds in figures.items():
        median, own = statistics.median(seconds), statistics.median(figures["mlygeo"])
        off = (mine - found[way].reindex(mine.index).fillna(0)).abs()
        print(
            f"  {way:32} {median:8.2f} s  {median / own:7.1f}x of mlygeo's time"
            f"   largest difference {off.max():.3f} m on a street, {off.sum() / mine.sum():.3%} of all"
        )


def full() -> None:
    """Run mlygeo on a city of 200,000 streets and ten million images."""
    streets, images = city(200_000, 10_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    started = time.perf_counter()
    plain = coverage.street_coverage(streets, images, srid=SRID, distance=DISTANCE_M)
    spent = time.perf_counter() - started
    started = time.perf_counter()
    columns = {name: images[name] for name in coverage_classes.BY.values()}
    from mlygeo import frames

    measured = coverage.measure(
        streets,
        frames.lonlat(images),
        columns,
        srid=SRID,
        distance=DISTANCE_M,
        by=tuple(coverage_classes.BY),
        force_srid=False,
    )
    for name in coverage_classes.BY:
        measured.table(name)
    gaps = measured.gaps(20)
    everything = time.perf_counter() - started
    facts = plain.attrs["coverage"]
    print(
        f"\ncoverage: {len(streets):,} streets ({facts['length_m'] / 1000:,.0f} km) x {len(images):,} images, mlygeo alone\n"
        f"  street by street           {spent:6.1f} s, {facts['share_covered']:.1%} covered\n"
        f"  by year, pano, creator too {everything:6.1f} s, with {len(gaps):,} gaps as lines\n"
        f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB,"
        f" of which the frames before {before:,.0f} MB"
    )


def main() -> None:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    both = {"mlygeo": ours, "GeoPandas, one union": union, "GeoPandas, a union a street": by_street}
    compare(500, 25_000, given.rounds, both)
    compare(1_000, 50_000, given.rounds, both)
    if given.full:
        full()


if __name__ == "__main__":
    main()
