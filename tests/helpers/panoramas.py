"""Made panoramas, in whose colours stands which direction of the world each pixel shows; and how to read a view."""

from __future__ import annotations

import io
from functools import lru_cache

import geopandas as gpd
import numpy as np
import pandas as pd
from PIL import Image

from mlygeo.spatial import rotations


@lru_cache(maxsize=64)
def panorama(heading=0.0, pitch=0.0, roll=0.0, width=1024, quality=95, kind="JPEG"):
    """A panorama by a camera that stood so."""
    height = width // 2
    lon = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    lat = (0.5 - (np.arange(height) + 0.5) / height) * np.pi
    lon, lat = np.meshgrid(lon, lat)
    camera = np.stack([np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)], axis=-1)
    world = camera @ rotations.of_angles(*(np.array([angle]) for angle in (heading, pitch, roll)))[0]
    return encoded(np.round(127.5 + 120 * world).astype(np.uint8), quality=quality, kind=kind)


def encoded(pixels, quality=95, kind="JPEG", **more):
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, kind, quality=quality, **more)
    return written.getvalue()


def directions_in(picture):
    """The direction of the world that each pixel of a view shows, east, north and up; shape (height, width, 3)."""
    if isinstance(picture, bytes):
        with Image.open(io.BytesIO(picture)) as opened:
            picture = np.asarray(opened.convert("RGB"))
    found = (picture.astype(float) - 127.5) / 120
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def degrees_off(picture, view):
    """By how many degrees the pixels of a view are off at most: from where they should look, by its own geometry."""
    found = directions_in(picture)
    rows, columns = np.indices(found.shape[:2])
    rays = np.stack(
        [columns + 0.5 - view.width / 2, rows + 0.5 - view.height / 2, np.full(rows.shape, view.focal_pixels)], axis=-1
    )
    expected = rays @ view.matrix()
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    return np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(found - expected, axis=-1) / 2, 0, 1)))


def images_of(count=4, **columns):
    """Panoramas with a bearing of the street, whose cameras stood level and looked in several directions."""
    plain = {
        "id": np.arange(count) + 500,
        "sequence_id": pd.Series(["s"] * count, dtype="str"),
        "captured_at": pd.Series(pd.date_range("2024-06-30T12:00:00Z", periods=count, freq="2s")).dt.as_unit("ms"),
        "compass_angle": np.arange(count) * 70.0,
        "is_pano": np.ones(count, dtype=bool),
        "creator_id": pd.array([7] * count, dtype="Int64"),
        "organization_id": pd.array([None] * count, dtype="Int64"),
        "creator_username": pd.Series(["jane"] * count, dtype="str"),
        "bearing": np.full(count, 30.0),
        "altitude": np.full(count, 250.0),
    }
    geometry = gpd.points_from_xy([9.17 + 1e-4 * number for number in range(count)], [48.77] * count)
    return gpd.GeoDataFrame({**plain, **columns}, geometry=geometry, crs=4326)


def write_pictures(images, folder, **options):
    """Write the panorama of each image as ID.jpg."""
    folder.mkdir(exist_ok=True)
    for row in images.itertuples():
        (folder / f"{row.id}.jpg").write_bytes(panorama(row.compass_angle, **options))
    return folder
