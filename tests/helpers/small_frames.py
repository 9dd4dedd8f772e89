"""A small frame of each kind, whose values every file format holds exactly."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from conftest import STUTTGART

from mlygeo import frames

BOX = (9.165, 48.770, 9.175, 48.776)
TIME = pd.Timestamp("2024-06-30T12:00:00.250Z")


def times(count, unit="ms"):
    return pd.Series(pd.date_range(TIME, periods=count, freq="2s")).dt.as_unit(unit)


def points(count, lat=48.772):
    return gpd.points_from_xy([round(9.166 + number * 0.0005, 6) for number in range(count)], [lat] * count, crs=4326)


def images_frame():
    count = 12
    return frames.conform(
        gpd.GeoDataFrame(
            {
                "id": np.arange(count) + 5_000_000_000_000_000_00,
                "sequence_id": ["a", "b"] * 6,
                "captured_at": times(count),
                "compass_angle": [90.0] * 11 + [np.nan],
                "is_pano": [True, False] * 6,
                "creator_id": pd.array([7, None] * 6, dtype="Int64"),
                "make": ["GoPro", None] * 6,
            },
            geometry=points(count),
        ),
        frames.IMAGES,
    )


def photos_frame():
    count = 6
    return frames.conform(
        gpd.GeoDataFrame(
            {
                "captured_at": times(count),
                "compass_angle": [90.0, np.nan] * 3,
                "is_pano": [False] * count,
                "path": [f"/photos/{number}.jpg" for number in range(count)],
                "folder": ["/photos"] * count,
            },
            geometry=points(count),
        ),
        frames.LOCAL_IMAGES,
    )


def gaps_frame():
    """Photos some of which have no position."""
    frame = photos_frame()
    shapes = list(frame.geometry)
    shapes[2] = None
    return frame.set_geometry(gpd.GeoSeries(shapes, crs=4326)).assign(
        error=pd.Series([None, None, "no position", None, None, None], dtype="str")
    )


def districts_frame():
    """Five districts side by side."""
    west = [round(9.160 + number * 0.003, 6) for number in range(5)]
    shapes = [shapely.box(each, 48.77, round(each + 0.003, 6), 48.775) for each in west]
    return gpd.GeoDataFrame({"name": pd.Series(list("abcde"), dtype="str")}, geometry=gpd.GeoSeries(shapes, crs=4326))


def streets_frame():
    lines = [
        shapely.LineString([(9.160, 48.772), (9.170, 48.772)]),
        shapely.LineString([(9.170, 48.772), (9.160, 48.772)]),
        shapely.LineString([(9.170, 48.772), (9.180, 48.774)]),
    ]
    return frames.conform(
        gpd.GeoDataFrame(
            {
                "u": [1, 2, 2], "v": [2, 1, 3], "key": [0, 0, 0], "osmid": ["10;11", "10;11", "12"],
                "highway": ["residential"] * 3, "name": ["Long Street", "Long Street", None], "oneway": [False, False, True],
            },
            geometry=lines, crs=4326,
        ),
        frames.STREETS,
    )  # fmt: skip


def points_frame():
    frame = gpd.GeoDataFrame(
        {"point_id": np.arange(8), "u": 1, "v": 2, "key": 0, "bearing": [90.0] * 8}, geometry=points(8, 48.7721)
    )
    return frames.conform(frame, frames.STREET_POINTS)


def track_frame():
    return frames.conform(
        gpd.GeoDataFrame(
            {"track_id": ["t"] * 12, "time": times(12, "us"), "altitude": [250.5, np.nan] * 6}, geometry=points(12)
        ),
        frames.TRACKS,
    )


def drawn_frame():
    """Points that were drawn from streets of two classes."""
    frame = points_frame().assign(highway=["path", "service"] * 4, stratum=["a", "b"] * 4)
    return frames.conform(frame.assign(inclusion_probability=0.125, weight=8.0), frames.STREET_POINTS)


def tiles_frame():
    """The tiles of a cache that was fetched before."""
    cache = STUTTGART / "stuttgart_tile_cache"
    paths = sorted(cache.iterdir())[:2]
    return gpd.GeoDataFrame(
        {"x": [8_610, 8_611], "y": [5_638, 5_638], "status": ["cached"] * 2, "path": [str(path) for path in paths]},
        geometry=[shapely.box(9.16, 48.77, 9.18, 48.78)] * 2, crs=4326,
    )  # fmt: skip
