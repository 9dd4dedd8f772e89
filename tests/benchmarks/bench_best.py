"""
The best images by a rule of five terms against the nearest ones, from positions in degrees and columns: as a ratio.

    python tests/benchmarks/bench_best.py [--images 1000000] [--points 50000] [--rounds 3] [--memory]

The city is that of `bench_nearest_core`. Images have sizes, ages and scores as cameras have: a few of each. Rounds are
interleaved; figures are medians. With --memory each way runs in a process of its own, and its peak is printed.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import resource
import statistics
import time

import numpy as np
from bench_nearest_core import MAX_DISTANCE_M, SRID, city

from mlygeo import kernels
from mlygeo.spatial import best, geodesy, nearest, scores
from mlygeo.spatial.best import Compared, Preference

RULE = scores.Rule({"distance": 0.4, "resolution": 0.2, "age": 0.2, "quality_score": 0.1, "heading": 0.1})

SEQUENCE_RULE = scores.Rule({"distance": 0.4, "resolution": 0.2, "age": 0.2, "same_sequence": 0.1, "heading": 0.1})

SEQUENCE_DEGREES = 0.02, 0.000_13
"""Width and height of where the images of a sequence are: 1.4 km along a street, and its width."""

AS_OF_US = 1_750_000_000_000_000


def world(images, points):
    """Return points, images, ids and columns."""
    points, places, ids = city(images, points, half_without=False)
    rng = np.random.default_rng(2)
    columns = {
        "resolution": rng.choice([2048.0, 4000.0, 5760.0, 8192.0, np.nan], images),
        "age": AS_OF_US - rng.integers(0, 10 * int(scores.YEAR_US), images),
        "quality_score": rng.random(images),
        "heading": rng.random(images) * 360,
        "pano": rng.random(images) < 0.3,
    }
    along, across = (np.floor(axis / size) for axis, size in zip(places, SEQUENCE_DEGREES, strict=True))
    columns["sequence"] = np.unique(along * 1e7 + across, return_inverse=True)[1].astype(np.int32)
    return points, places, ids, columns, rng.random(len(points[0])) * 360


def take_nearest(points, images, ids, columns, bearing):
    """Return the nearest images."""
    return nearest.match(
        *points, *images, ids, projection=geodesy.projection(SRID), max_distance=MAX_DISTANCE_M,
        point_bearing=bearing, image_heading=columns["heading"], compiled=True,
    )  # fmt: skip


def take_best(points, images, ids, columns, bearing, rule=RULE):
    """Return the best images, and what they are scored by."""
    own = np.zeros(len(ids))
    for term in ("resolution", "age", "quality_score"):
        if term in rule.weights:
            scores.add_term(own, rule, term, [columns[term]], AS_OF_US)
    compared = Compared(own, bearing, columns["heading"], columns["pano"], columns["sequence"])
    return best.match(
        *points, *images, ids, projection=geodesy.projection(SRID), preference=Preference(rule, AS_OF_US),
        compared=compared, max_distance=MAX_DISTANCE_M, compiled=True,
    )  # fmt: skip


WAYS = {
    "nearest": take_nearest,
    "best": take_best,
    "best, same_sequence": functools.partial(take_best, rule=SEQUENCE_RULE),
}


def peak(name, images, points):
    """Return the memory of one way, MB, above what the data take."""
    given = world(images, points)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    WAYS[name](*given)
    return before / 1e3, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--points", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        for name in WAYS:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                before, most = pool.apply(peak, (name, options.images, options.points))
            print(f"{name:20} {before:8,.0f} MB before, {most:8,.0f} MB at most")
        return
    kernels.load(kernels.COMPILING_S * len(kernels.MODULES))
    given = world(options.images, options.points)
    few = world(100, 10)
    seconds = {name: [] for name in WAYS}
    for way in WAYS.values():
        way(*few)
    for number in range(options.rounds):
        for name in list(WAYS)[:: -1 if number % 2 else 1]:
            started = time.perf_counter(), time.process_time()
            found = WAYS[name](*given)
            seconds[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
            count = len(found if name == "nearest" else found.matches)
            print("{:20} {:8.2f} s, {:8.2f} s of processors, {:,} pairs".format(name, *seconds[name][-1], count))
    medians = {name: [statistics.median(each) for each in zip(*pairs, strict=True)] for name, pairs in seconds.items()}
    for way in list(WAYS)[1:]:
        wall, processors = (best / other for best, other in zip(medians[way], medians["nearest"], strict=True))
        print(f"{way} takes {wall:.2f} times the time of nearest, {processors:.2f} times that of processors")


if __name__ == "__main__":
    main()
