"""What the tests promise of time, and what it takes: the share of each bar, where 100% is as long as it may take."""

from __future__ import annotations

import functools
import importlib
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np

from mlygeo import frames, plotting
from mlygeo.providers.mapillary.layers import read_tiles
from mlygeo.readers import photo

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


def shown(what: str, bar_s: float, run: Callable[[], object]) -> None:
    """Print what the quickest of three runs takes of a bar."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    print(f"  {what:54} {min(taken):6.2f} s, {min(taken) / bar_s:4.0%} of {bar_s:g} s")


def main() -> None:
    """Time what the tests count the work of."""
    print("\nwhat is promised, the best of 3")
    images = read_tiles(ROOT / "examples" / "stuttgart" / "stuttgart_tile_cache")
    many = images.iloc[np.zeros(1_000_000, dtype=int)]
    shown(
        "20 checks of a million right rows",
        1.0,
        lambda: [frames.check(many, frames.IMAGES) for _ in range(20)],
    )
    random = np.random.default_rng(1)
    points = frames.points(random.normal(9, 0.1, 1_000_000), random.normal(48, 0.1, 1_000_000))
    dots = gpd.GeoDataFrame({"id": np.arange(1_000_000)}, geometry=points, crs=4326)

    def picture() -> None:
        plotting.draw(dots).canvas.draw()

    shown("a picture of a million images", 10.0, picture)
    source = (ROOT / "tests" / "data" / "photos" / "DSC00001_cut.jpg").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        names = [str(Path(folder) / f"{number}.jpg") for number in range(1000)]
        for name in names:
            Path(name).write_bytes(source)
        shown("1,000 photos on one core", 1.0, lambda: photo.read_photos(names))
    sys.path.insert(0, str(ROOT / "notebooks"))
    execute = importlib.import_module("execute")
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shown(f"notebook {path.stem}", 60.0, functools.partial(execute.executed, path))


if __name__ == "__main__":
    main()
