"""
Cut, headings and duplicates against a plain loop over lists, as ratios.

    python tests/benchmarks/bench_sequences.py [--images 1000000] [--rounds 3]

Cars take an image every second and stand at lights, 13 % of the time; folders hold 2,000 images. The
loop goes over Python lists of the sorted columns and measures with a flat-earth formula (a cosine, a
root and an arctangent from `math`), far cheaper than the geodesic of the rules. First both sides start
from sorted columns. Then both start from an images frame, in order and shuffled: the loop makes lists of
its columns, sorts them and goes over them; the functions also give ids and whole frames. Rounds are
interleaved, with the order reversed every second round; figures are medians. That all agree is checked.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time

import geopandas as gpd
import numpy as np
import pandas as pd

from mlygeo import frames
from mlygeo.spatial import ordering, sequences
from mlygeo.spatial.duplicates import _keepers, flag_duplicates

CUTOFF_M, CUTOFF_S, LIMIT_M, ANGLE = 600.0, 60.0, 0.1, 5.0
FOLDER = 2000


def drive(count, seed=1):
    """Return folder numbers, times (ms), longitudes and latitudes of images in order."""
    rng = np.random.default_rng(seed)
    folder = np.arange(count) // FOLDER
    rests = np.repeat(rng.random(count // 20 + 1) < 0.14, 20)[:count]
    step = np.where(rests, 0.0, rng.uniform(3, 15, count)) + np.where(rng.random(count) < 2e-4, 1000.0, 0.0)
    heading = np.cumsum(rng.normal(0, 0.05, count))
    lat = 48 + np.cumsum(step * np.cos(heading)) / 111_200
    # A drive that reaches a border of this country turns around there.
    lat = 45 + np.abs((lat - 45) % 10 - 5)
    lon = 9 + np.cumsum(step * np.sin(heading) / np.cos(np.radians(lat))) / 111_200
    lon = 5 + np.abs((lon - 5) % 20 - 10)
    times = 1_700_000_000_000 + np.arange(count) * 1000 + np.cumsum(rng.random(count) < 1e-3) * 600_000
    return folder, times, lon, lat


def loop(folder, times, lon, lat):
    """Return sequence numbers, headings and rows kept, by a loop over lists."""
    folder, times, lon, lat = folder.tolist(), times.tolist(), lon.tolist(), lat.tolist()
    number, headings, keeper = [], [], []
    cosine, radians, root, arctangent, degrees = math.cos, math.radians, math.sqrt, math.atan2, math.degrees
    metres = 111_195.0
    current = -1
    for at in range(len(lon)):
        if at:
            x = (lon[at] - lon[at - 1]) * cosine(radians(lat[at])) * metres
            y = (lat[at] - lat[at - 1]) * metres
            cut = (
                folder[at] != folder[at - 1]
                or times[at] - times[at - 1] > CUTOFF_S * 1000
                or root(x * x + y * y) > CUTOFF_M
            )
        else:
            cut = True
        if cut:
            current += 1
        elif x or y:
            headings[at - 1] = degrees(arctangent(x, y)) % 360.0
        number.append(current)
        headings.append(None)
    for at in range(len(lon) - 2, -1, -1):
        if headings[at] is None and number[at] == number[at + 1]:
            headings[at] = headings[at + 1]
    for at in range(1, len(lon)):
        if headings[at] is None and number[at] == number[at - 1]:
            headings[at] = headings[at - 1]
    kept = 0
    for at in range(len(lon)):
        found = -1
        if at and number[at] == number[kept] and headings[at] is not None and headings[kept] is not None:
            turn = abs(headings[at] - headings[kept]) % 360.0
            if min(turn, 360.0 - turn) <= ANGLE:
                x = (lon[at] - lon[kept]) * cosine(radians(lat[at])) * metres
                y = (lat[at] - lat[kept]) * metres
                if root(x * x + y * y) <= LIMIT_M:
                    found = kept
        if found < 0:
            kept = at
        keeper.append(found)
    return number, headings, keeper


def arrays(folder, times, lon, lat):
    """Return the same by the array floors of mlygeo."""
    first = np.ones(len(lon), dtype=bool)
    first[1:] = folder[1:] != folder[:-1]
    starts = sequences._cuts(ordering.Order(None, first, times, lon, lat), CUTOFF_M, CUTOFF_S)
    headings = sequences._directions(ordering.Order(None, starts, times, lon, lat))
    keeper = _keepers(lon, lat, headings, starts, limit_m=LIMIT_M, angle=ANGLE)
    return np.cumsum(starts) - 1, headings, keeper


def images_of(folder, times, lon, lat):
    """Return the images frame of the arrays."""
    table = {
        "captured_at": pd.Series(times.view("datetime64[ms]")).dt.tz_localize("UTC"),
        "compass_angle": np.nan,
        "folder": pd.Series(folder).map(lambda number: f"/photos/{number:05}").astype("str"),
        "path": pd.Series(np.arange(len(lon)))
        .map(lambda number: f"/photos/{number // FOLDER:05}/{number:08}.jpg")
        .astype("str"),
    }
    return gpd.GeoDataFrame(table, geometry=gpd.GeoSeries(frames.points(lon, lat), crs=frames.CRS))


def whole(images):
    """Return the images cut, with headings and duplicates, by the public functions."""
    return flag_duplicates(sequences.interpolate_directions(sequences.cut_sequences(images)))


def loop_over(images):
    """Return the results of the loop, from a frame."""
    rows = sorted(
        zip(
            images["folder"].tolist(),
            (images["captured_at"].to_numpy(dtype="datetime64[ms]").view(np.int64)).tolist(),
            images["path"].tolist(),
            [point.x for point in images.geometry],
            [point.y for point in images.geometry],
            strict=True,
        )
    )
    folder, times, _, lon, lat = (np.array(column) for column in zip(*rows, strict=True))
    return loop(folder, times, lon, lat)


def measured(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    data = drive(arguments.images)
    images = images_of(*data)
    shuffled = images.sample(frac=1, random_state=1)
    ways = {
        "loop": lambda: loop(*data),
        "arrays": lambda: arrays(*data),
        "frame": lambda: whole(images),
        "loop over frame": lambda: loop_over(images),
        "shuffled": lambda: whole(shuffled),
        "loop over shuffled": lambda: loop_over(shuffled),
    }
    arrays(*drive(10_000))
    took = {name: [] for name in ways}
    results = {}
    for turn in range(arguments.rounds):
        for name in list(ways)[:: 1 if turn % 2 == 0 else -1]:
            seconds, results[name] = measured(ways[name])
            took[name].append(seconds)
    agree(results)
    figures = {name: statistics.median(values) for name, values in took.items()}
    keeper = results["arrays"][2]
    print(
        f"{arguments.images:,} images, {results['arrays'][0][-1] + 1:,} sequences,"
        f" {np.count_nonzero(keeper >= 0) / len(keeper):.0%} duplicates"
    )
    for text, ours, theirs in (
        ("sorted columns", "arrays", "loop"),
        ("images frame, in order", "frame", "loop over frame"),
        ("images frame, shuffled", "shuffled", "loop over shuffled"),
    ):
        ratio = figures[theirs] / figures[ours]
        print(f"  {text:24} {figures[ours]:7.2f} s, plain loop {figures[theirs]:7.2f} s: {ratio:5.1f} x")


def agree(results):
    """Raise unless all ways give the same."""
    number, headings, keeper = results["loop"]
    assert number == results["arrays"][0].tolist()
    assert keeper == results["arrays"][2].tolist()
    # The flat earth of the loop turns headings by up to some hundredths of a degree.
    turn = np.array([np.nan if value is None else value for value in headings]) - results["arrays"][1]
    assert np.nanmax(np.abs((turn + 180) % 360 - 180)) < 0.5
    ids = results["frame"]["sequence_id"]
    assert ids.nunique() == number[-1] + 1
    assert results["frame"]["is_duplicate"].tolist() == [value >= 0 for value in keeper]
    assert (results["shuffled"]["sequence_id"].sort_index() == ids).all()
    assert (results["shuffled"]["is_duplicate"].sort_index() == results["frame"]["is_duplicate"]).all()


if __name__ == "__main__":
    main()
