"""
Decode a zoom-14 tile of 50,000 images into a frame: how many times faster than other decoders.

Every round runs each decoder once, in turn, on the same tile; the figures are of processor
time, and medians of the rounds' ratios. `vt2geojson` is what percept-vsvi-filter uses, and ends in a dict, not in a
frame. Run as `python tests/benchmarks/bench_tiles.py [images] [rounds]`.
"""

from __future__ import annotations

import importlib.util
import sys
import time

import mapbox_vector_tile
import numpy as np
import shapely

from mlygeo.formats import mvt_layers, mvt_tiles
from mlygeo.providers.mapillary.layers import PROPERTIES, _decode, _frame, _parts, _read_tile

TILE = (8400, 5400)


def make_tile(images: int = 50_000, seed: int = 20_240_601) -> bytes:
    """Return a tile with the layers `image` (seven properties) and `sequence`, as the service makes them."""
    rng = np.random.default_rng(seed)
    px, py = rng.integers(-64, 4160, (2, images)).tolist()
    ids = rng.integers(10**16, 10**17, images)
    ids[::20] = rng.integers(2**53, 2**62, len(ids[::20]))
    times = rng.integers(1_400_000_000_000, 1_750_000_000_000, images).tolist()
    angles = rng.uniform(0, 360, images).tolist()
    panos = (rng.random(images) < 0.4).tolist()
    organized = (rng.random(images) < 0.25).tolist()
    sequences = [
        "".join(rng.choice(list("ABCDEFGHJKLMabcdefghjklm0123456789_-"), 22)) for _ in range(images // 100 + 1)
    ]
    features = []
    for row, image in enumerate(ids.tolist()):
        properties = {
            "captured_at": times[row],
            "compass_angle": angles[row],
            "creator_id": 104_948_002_204_624 + row // 2_000,
            "id": image,
            "is_pano": panos[row],
            "sequence_id": sequences[row // 100],
        }
        if organized[row]:
            properties["organization_id"] = 9_100_000_000_000_001 + row // 10_000
        features.append({"geometry": shapely.Point(px[row], py[row]), "properties": properties})
    lines = [
        {"geometry": shapely.LineString(rng.integers(0, 4096, (40, 2))), "properties": {"id": each, "image_id": 1}}
        for each in sequences
    ]
    layers = [{"name": "sequence", "features": lines}, {"name": "image", "features": features}]
    return mapbox_vector_tile.encode(layers, default_options={"extents": 4096, "y_coord_down": True})


def main() -> None:
    """Print the ratios, and the share of each stage."""
    images, rounds = (int(argument) for argument in (*sys.argv[1:], *("50000", "9")[len(sys.argv) - 1 :]))
    tile = make_tile(images)
    print(f"{images:,} images, {len(tile) / 1e6:.1f} MB, {rounds} rounds")

    kernels = {"NumPy": mvt_layers}
    if importlib.util.find_spec("numba") is not None:
        from mlygeo.formats import mvt_numba

        kernels["Numba"] = mvt_numba
    others = {"mapbox_vector_tile": lambda: mapbox_vector_tile.decode(tile)}
    if importlib.util.find_spec("vt2geojson") is not None:
        from vt2geojson.tools import vt_bytes_to_geojson

        others = {"vt2geojson": lambda: vt_bytes_to_geojson(tile, *TILE, 14, layer="image"), **others}
    ways = dict(others)
    for name, kernel in kernels.items():
        ways[f"read_tile, {name}"] = lambda kernel=kernel: _read_tile(tile, *TILE, 14, kernel=kernel)
        ways[f"decode, {name}"] = lambda kernel=kernel: _decode(tile, *TILE, 14, kernel=kernel)

    seconds = {name: [] for name in ways}
    for round_number in range(rounds + 1):  # the first one warms up and compiles
        for name, way in ways.items():
            started = time.process_time()
            result = way()
            ended = time.process_time()
            del result
            if round_number:
                seconds[name].append(ended - started)

    print(f"{'':24}{'ms':>9}{'k images/s':>12}" + "".join(f"{'x ' + name:>22}" for name in others))
    for name, spent in seconds.items():
        median = float(np.median(spent))
        ratios = (float(np.median(np.divide(seconds[other], spent))) for other in others)
        print(
            f"{name:24}{median * 1e3:9.1f}{images / median / 1e3:12,.0f}" + "".join(f"{each:22.1f}" for each in ratios)
        )
    for name, kernel in kernels.items():
        print(
            f"share of each stage, {name}: "
            + ", ".join(f"{k} {v:.0%}" for k, v in stages(tile, kernel, rounds).items())
        )


def stages(tile: bytes, kernel: object, rounds: int) -> dict[str, float]:
    """Return the share of each stage of `read_tile`, medians of the rounds."""
    spent = {"index": [], "values": [], "features": [], "columns": [], "frame": []}
    for _ in range(rounds):
        layer, end = list(mvt_tiles.layers(tile, kernel))[-1]
        clock = [time.process_time()]
        index = kernel.index(layer, end)
        clock.append(time.process_time())
        kind, _ = kernel.values(layer, index.values)
        clock.append(time.process_time())
        columns = np.arange(len(index.keys), dtype=np.int8)
        kernel.features(layer, index.features, columns, len(kind) - 1, len(PROPERTIES))
        clock.append(time.process_time())
        parts = list(_parts(tile, (*TILE, 14), kernel))
        clock.append(time.process_time())
        _frame(parts, "the tile")
        clock.append(time.process_time())
        for stage, passed in zip(spent, np.diff(clock), strict=True):
            spent[stage].append(passed)
    medians = {stage: float(np.median(times)) for stage, times in spent.items()}
    # Reading the columns repeats the stages before it: what is left is the columns' own part.
    medians["columns"] = max(0.0, medians["columns"] - sum(medians[each] for each in ("index", "values", "features")))
    return {stage: each / sum(medians.values()) for stage, each in medians.items()}


if __name__ == "__main__":
    main()
