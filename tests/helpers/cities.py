"""Cities whose images lie in the repository, and one that is made as images of a service lie."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

DATA = Path(__file__).parents[1] / "data"

STUTTGART = DATA / "stuttgart_mapillary_images.csv"

AMSTERDAM = DATA / "amsterdam"

STEP = 360 / 2**14 / 4096
"""Degrees of longitude between two places of a vector tile of zoom 14."""


def made_city(images, points, *, seed=0, west=9.1, south=48.7):
    """
    Return points and images of a city: drives along streets, on the grid of vector tiles, so that there are ties.

    Parameters
    ----------
    images, points
        How many; a quarter of the points is where no image is.
    seed
        Of the random numbers.
    west, south
        The corner of the city, degrees; it has a tenth of a degree.
    """
    rng = np.random.default_rng(seed)
    drives = max(1, images // 100)
    drive = np.sort(rng.integers(0, drives, images))
    start = rng.normal(0.5, 0.18, (2, drives))
    course = rng.integers(0, 36, drives) * 10.0
    place = (np.arange(images) - np.searchsorted(drive, drive)) * 0.0008
    east = start[0][drive] + place * np.sin(np.radians(course[drive]))
    north = start[1][drive] + place * np.cos(np.radians(course[drive]))
    lon, lat = (np.round((corner + side * 0.1) / STEP) * STEP for corner, side in ((west, east), (south, north)))
    frame = gpd.GeoDataFrame(
        {
            "id": rng.permutation(images) + 10**15,
            "sequence_id": [f"drive{number}" for number in drive],
            "captured_at": pd.to_datetime(
                rng.integers(1_717_200_000, 1_720_600_000, drives)[drive] + np.arange(images) % 100, unit="s", utc=True
            ).astype("datetime64[ms, UTC]"),
            "compass_angle": np.where(rng.random(images) < 0.1, np.nan, course[drive]),
            "is_pano": (rng.random(drives) < 0.4)[drive],
        },
        geometry=shapely.points(lon, lat),
        crs=4326,
    )
    near = rng.integers(0, images, points)
    aside = rng.normal(0, 0.0003, (2, points))
    away = rng.random(points) < 0.25
    aside[:, away] = rng.uniform(-0.05, 0.05, (2, int(away.sum())))
    at = gpd.GeoDataFrame(
        {"point_id": np.arange(points), "bearing": rng.integers(0, 36, points) * 10.0},
        geometry=shapely.points(
            np.round((lon[near] + aside[0]) / STEP) * STEP, np.round((lat[near] + aside[1]) / STEP) * STEP
        ),
        crs=4326,
    )
    return at, frame


def answer(selected):
    """Return the rows of a selection in the order of points and ranks, as bytes, and the facts of its summary."""
    table = pd.DataFrame(selected.drop(columns="geometry")).assign(wkb=selected.geometry.to_wkb())
    table = table.sort_values(["point_id", "rank"], ignore_index=True)
    facts = {key: value for key, value in selected.attrs["summary"].items() if key not in {"inputs", "run"}}
    return str(table.dtypes.to_dict()), table.to_csv(index=False, float_format="%.17g").splitlines(), facts
