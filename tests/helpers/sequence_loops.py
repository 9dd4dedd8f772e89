"""Plain loops over images, written from the rules, and random images: the oracles of the sequence tests."""

from __future__ import annotations

import bisect
import itertools
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from hypothesis import strategies as st
from pyproj import Geod

GEOD = Geod(ellps="WGS84")
START = pd.Timestamp("2024-06-30T12:00:00Z")


def frame(rows):
    """Return an images frame of dicts with t (seconds or None), lon, lat (or None), and any of folder, name, heading, …"""
    n = len(rows)
    get = lambda key, default=None: [row.get(key, default) for row in rows]
    times = [pd.NaT if t is None else START + pd.Timedelta(milliseconds=round(t * 1000)) for t in get("t")]
    folders = get("folder", "a")
    names = [name or f"{number:05}.jpg" for number, name in enumerate(get("name"))]
    columns = {
        "id": pd.Series(get("id"), dtype="Int64"),
        "sequence_id": pd.Series(get("sequence"), dtype="str"),
        "captured_at": pd.Series(times, dtype="datetime64[ms, UTC]"),
        "compass_angle": pd.Series(get("heading", np.nan), dtype="float64"),
        "is_pano": pd.Series([False] * n, dtype="bool"),
        "creator_id": pd.Series([None] * n, dtype="Int64"),
        "organization_id": pd.Series([None] * n, dtype="Int64"),
        "path": pd.Series([f"{folder}/{name}" for folder, name in zip(folders, names, strict=True)], dtype="str"),
        "folder": pd.Series(folders, dtype="str"),
        "error": pd.Series(get("error"), dtype="str"),
        "make": pd.Series(get("make"), dtype="str"),
        "model": pd.Series(get("model"), dtype="str"),
        "width": pd.Series(get("width"), dtype="Int64"),
        "height": pd.Series(get("height"), dtype="Int64"),
        "filesize": pd.Series(get("filesize"), dtype="Int64"),
        "altitude": pd.Series(get("altitude", np.nan), dtype="float64"),
    }
    points = [None if row.get("lon") is None else shapely.Point(row["lon"], row["lat"]) for row in rows]
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(points, crs="EPSG:4326"))


def track(rows, track_id="t"):
    """Return a tracks frame of dicts with t, lon, lat and perhaps altitude and track."""
    times = [pd.NaT if row["t"] is None else START + pd.Timedelta(microseconds=round(row["t"] * 1e6)) for row in rows]
    columns = {
        "track_id": pd.Series([row.get("track", track_id) for row in rows], dtype="str"),
        "time": pd.Series(times, dtype="datetime64[us, UTC]"),
        "altitude": pd.Series([row.get("altitude", np.nan) for row in rows], dtype="float64"),
    }
    points = [None if row["lon"] is None else shapely.Point(row["lon"], row["lat"]) for row in rows]
    return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries(points, crs="EPSG:4326"))


def apart(a, b):
    return GEOD.inv(a.geometry.x, a.geometry.y, b.geometry.x, b.geometry.y)[2]


def bearing(a, b):
    """Return the bearing from one row to the next, None on one spot."""
    azimuth, _, length = GEOD.inv(a.geometry.x, a.geometry.y, b.geometry.x, b.geometry.y)
    return azimuth % 360 if length > 0 else None


def seconds(a, b):
    return (b.captured_at - a.captured_at).total_seconds()


def _rows(images, key):
    groups = {}
    for row in images.itertuples():
        usable = (
            row.geometry is not None and not row.geometry.is_empty and pd.notna(row.captured_at) and pd.isna(row.error)
        )
        if usable and key(row) is not None:
            groups.setdefault(key(row), []).append(row)
    for members in groups.values():
        members.sort(key=lambda row: (row.captured_at, natural(row.path.rsplit("/")[-1]), natural(row.path)))
    return list(groups.values())


def natural(name):
    """Return a sort key of plain names: text and whole numbers in turns."""
    return [int(part) if part.isdecimal() else part.lower() for part in re.split(r"(\d+)", name)]


def _text(value):
    return None if pd.isna(value) else value


def camera(row):
    """Return what tells the folder and the camera of an image."""
    return (row.folder, *(_text(getattr(row, name)) for name in ("make", "model", "width", "height")))


def cut(images, cutoff_distance=600.0, cutoff_time=60.0):
    """Return the sequences as lists of labels."""
    sequences = []
    for members in _rows(images, camera):
        last = None
        for row in members:
            if last is None or apart(last, row) > cutoff_distance or seconds(last, row) > cutoff_time:
                sequences.append([])
            sequences[-1].append(row.Index)
            last = row
    return sequences


def sequences_of(images):
    """Return the sequences of a frame as lists of labels, in time order."""
    return [[row.Index for row in members] for members in _rows(images, lambda row: _text(row.sequence_id))]


def split(images, max_images, max_pixels=6_000_000_000, max_bytes=110 * 2**30):
    """Return the parts as lists of labels: one image after another, as long as no sum exceeds its limit."""
    limits = (max_images, max_pixels, max_bytes)
    sequences = []
    for members in _rows(images, lambda row: _text(row.sequence_id)):
        sums = [0, 0, 0]
        sequences.append([])
        for row in members:
            if not getattr(row, "is_duplicate", False):
                size = [1024 if pd.isna(side) else side for side in (row.width, row.height)]
                more = (1, size[0] * size[1], 0 if pd.isna(row.filesize) else row.filesize)
                longer = [a + b for a, b in zip(sums, more, strict=True)]
                if sums[0] and any(a > limit for a, limit in zip(longer, limits, strict=True)):
                    sequences.append([])
                    longer = more
                sums = longer
            sequences[-1].append(row.Index)
    return sequences


def directions(images, offset=0.0, overwrite=False):
    heading = images["compass_angle"].to_dict()
    for everyone in _rows(images, lambda row: _text(row.sequence_id)):
        members = [row for row in everyone if not getattr(row, "is_duplicate", False)]
        travel = [bearing(a, b) for a, b in itertools.pairwise(members)] + [None] * bool(members)
        for at in range(len(members) - 2, -1, -1):
            if travel[at] is None:
                travel[at] = travel[at + 1]
        for at in range(1, len(members)):
            if travel[at] is None:
                travel[at] = travel[at - 1]
        for row, direction in zip(members, travel, strict=True):
            if direction is not None and (overwrite or np.isnan(heading[row.Index])):
                heading[row.Index] = (direction + offset) % 360
    return pd.Series(heading)


def duplicates(images, distance=0.1, angle=5.0, travel=False):
    """Return label of the duplicate -> label of the image kept; `travel`: without headings the distance decides."""
    found = {}
    for members in _rows(images, lambda row: _text(row.sequence_id)):
        kept = members[0]
        moves = len({(row.geometry.x, row.geometry.y) for row in members}) > 1
        for row in members[1:]:
            turn = abs(row.compass_angle - kept.compass_angle) % 360
            same = min(turn, 360 - turn) <= angle or (travel and moves and np.isnan(turn))
            if same and apart(kept, row) <= distance:
                found[row.Index] = kept.Index
            else:
                kept = row
    return found


def locate(points, t, extrapolation=1.0):
    """Return (lon, lat, altitude, bearing) at t seconds on a list of (t, lon, lat, altitude), or None."""
    points = sorted({point[0]: point for point in reversed(points)}.values())
    times = [point[0] for point in points]
    after = bisect.bisect_right(times, t)
    if t < times[0] - extrapolation or t > times[-1] + extrapolation:
        return None
    if len(points) == 1:
        return (*points[0][1:], None)
    after = min(max(after, 1), len(points) - 1)
    a, b = points[after - 1], points[after]
    share = (t - a[0]) / (b[0] - a[0])
    azimuth, _, length = GEOD.inv(a[1], a[2], b[1], b[2])
    lon, lat, _ = GEOD.fwd(a[1], a[2], azimuth, length * share)
    altitude = a[3] + (b[3] - a[3]) * share
    if np.isnan(altitude):
        altitude = b[3] if np.isnan(a[3]) else a[3]
    segments = [*itertools.pairwise(points)]
    pairs = segments[after - 1 :] + segments[: after - 1][::-1]
    direction = next(
        (azimuth % 360 for p, q in pairs for azimuth, _, length in [GEOD.inv(*p[1:3], *q[1:3])] if length > 0), None
    )
    return lon, lat, altitude, direction


BASES = [(9.0, 48.0), (179.99995, 10.0), (-179.9999, -60.0), (0.0, 0.0), (20.0, 85.0), (-30.0, -79.9999)]


@st.composite
def images(draw, max_size=60, missing=True, headings=True):
    """Random walks of one or two folders and cameras, resting, creeping, driving and jumping, with gaps in time."""
    n = draw(st.integers(0, max_size))
    lon, lat = draw(st.sampled_from(BASES))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    step = rng.choice([0, 4e-7, 1e-6, 1e-4, 3e-3, 8e-3], n, p=[0.3, 0.2, 0.2, 0.2, 0.05, 0.05])
    way = rng.choice([0, 90, 33], n)
    lats = np.clip(lat + np.cumsum(step * np.cos(np.radians(way))), -89.999, 89.999)
    lons = (lon + np.cumsum(step * np.sin(np.radians(way))) + 180) % 360 - 180
    times = np.cumsum(rng.choice([0, 0, 0.5, 1, 30, 60, 60.001, 300], n))
    numbers = rng.permutation(3 * n)
    rows = []
    for at in range(n):
        row = {
            "t": times[at],
            "lon": lons[at],
            "lat": lats[at],
            "folder": str(rng.choice(["a", "a", "b"])),
            "name": f"IMG_{numbers[at]}.jpg",
        }
        row["make"] = rng.choice([None, "Ricoh"], p=[0.9, 0.1])
        row["width"], row["height"] = [(4000, 3000), (4000, 2000), (None, 3000)][rng.choice(3, p=[0.9, 0.05, 0.05])]
        row["filesize"] = int(rng.integers(0, 10_000))
        if headings:
            row["heading"] = float(
                rng.choice([np.nan, 0, 2.5, 5, 355, 359.9, 180], p=[0.1, 0.3, 0.1, 0.2, 0.1, 0.1, 0.1])
            )
        if missing and rng.random() < 0.1:
            row |= [{"t": None}, {"lon": None}, {"error": "broken"}][rng.integers(3)]
        rows.append(row)
    return frame(rows).sample(frac=1, random_state=seed % 2**31).set_index(pd.Index(range(100, 100 + n)))
