"""Frames as layers: the kind, the name and the attribution of each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames, store
from mlygeo.errors import FrameError

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Objects, Whole


@dataclass(frozen=True)
class Layer:
    """
    A frame to draw.

    Parameters
    ----------
    name
        Name of the layer.
    kind
        One of `mlygeo.plotting.style.KINDS`.
    frame
        EPSG:4326, without rows that have no geometry.
    """

    name: str
    kind: str
    frame: gpd.GeoDataFrame

    @property
    def geometry(self) -> Objects:
        """The geometries."""
        return np.asarray(self.frame.geometry.values)

    @property
    def lonlat(self) -> tuple[Floats, Floats]:
        """Longitude and latitude of points, degrees."""
        return frames.lonlat(self.frame)

    @property
    def is_points(self) -> bool:
        """Whether the layer is drawn as points."""
        return self.kind in {"points", "images", "selection"}

    def headings(self) -> Floats | None:
        """Return the camera's heading of each image, degrees, NaN where unknown; None where it has none."""
        if self.kind not in {"images", "selection"} or "compass_angle" not in self.frame.columns:
            return None
        return np.asarray(self.frame["compass_angle"].to_numpy(dtype=float, na_value=np.nan))

    def panoramas(self) -> Flags:
        """Return which images are panoramas."""
        if "is_pano" not in self.frame.columns:
            return np.zeros(len(self.frame), dtype=bool)
        return np.asarray(self.frame["is_pano"].fillna(value=False).to_numpy(dtype=bool))

    def track_order(self) -> tuple[Whole, Flags]:
        """Return the rows of a track in the order of time, and which of them continue the row before."""
        order = np.lexsort((self.frame["time"].to_numpy(dtype="datetime64[us]"), self._track_numbers()))
        number = self._track_numbers()[order]
        follows = np.zeros(len(order), dtype=bool)
        follows[1:] = number[1:] == number[:-1]
        return order, follows

    def _track_numbers(self) -> Whole:
        import pandas as pd

        return np.asarray(pd.factorize(self.frame["track_id"])[0], dtype=np.int64)

    def speed_ms(self) -> Floats:
        """Return the speed from the previous position to each one of a track, m/s; at its start, to the next."""
        from mlygeo.spatial import geodesy

        order, follows = self.track_order()
        lon, lat = (values[order] for values in self.lonlat)
        time = self.frame["time"].to_numpy(dtype="datetime64[us]")[order].astype("int64") / 1e6
        metres, seconds = geodesy.distance(lon[:-1], lat[:-1], lon[1:], lat[1:]), np.diff(time)
        speed = np.full(len(order), np.nan)
        moved = follows[1:] & (seconds > 0)
        speed[1:][moved] = metres[moved] / seconds[moved]
        starts = np.flatnonzero(~follows[:-1])
        speed[starts] = speed[starts + 1]
        found = np.empty(len(order))
        found[order] = speed
        return found


def layers_of(given: Any) -> list[Layer]:
    """
    Return frames, or files of them, as layers; those without rows or CRS are left out.

    Raises
    ------
    FrameError
        If nothing is left.
    """
    if isinstance(given, str | os.PathLike) or hasattr(given, "geometry"):
        given = [given]
    layers = []
    for one in given:
        frame = store.as_frame(one)
        if frame.active_geometry_name is None or frame.crs is None:
            continue
        frame = frame[~(frame.geometry.isna() | frame.geometry.is_empty)]
        if not len(frame):
            continue
        attrs = frame.attrs
        frame = frame if frame.crs.equals(frames.CRS) else frame.to_crs(4326)
        frame.attrs = attrs
        kind = _kind(frame)
        layers.append(
            Layer(
                Path(one).stem.replace("_", " ") if isinstance(one, str | os.PathLike) else kind.replace("_", " "),
                kind,
                frame,
            )
        )
    if not layers:
        raise FrameError("there is nothing to draw: every frame is empty, or has no CRS")
    return layers


def _kind(frame: gpd.GeoDataFrame) -> str:
    import shapely

    columns = set(frame.columns)
    dimension = int(shapely.get_dimensions(np.asarray(frame.geometry.values)).max())
    if dimension > 1:
        return "areas"
    if dimension == 1:
        lines = (("coverage", {"share_covered", "covered_m"}), ("gaps", {"gap_id"}), ("sequences", {"sequence_id"}))
        return next((kind for kind, needs in lines if needs <= columns), "streets")
    points = (
        ("selection", {"point_id", "id"}),
        ("tracks", {"track_id", "time"}),
        ("images", {"id"}),
        ("images", {"captured_at"}),
    )
    return next((kind for kind, needs in points if needs <= columns), "points")


def attribution(layers: list[Layer]) -> list[str]:
    """Return the attribution of the layers' data; edges of OpenStreetMap are known by their columns, too."""
    sources: dict[str, None] = {}
    for layer in layers:
        sources.update(dict.fromkeys(layer.frame.attrs.get("attribution", [])))
        columns = set(layer.frame.columns)
        if {"highway", "osmid"} & columns:
            sources.setdefault(frames.OPENSTREETMAP)
    return list(sources)


def links(layers: list[Layer]) -> Floats:
    """Return the lines from each selected image to its street point, degrees, shape (links, 2, 2)."""
    points = next((layer for layer in layers if layer.kind == "points" and "point_id" in layer.frame.columns), None)
    selection = next((layer for layer in layers if layer.kind == "selection"), None)
    if points is None or selection is None:
        return np.empty((0, 2, 2))
    import pandas as pd

    index = pd.Index(points.frame["point_id"])
    rows = index.get_indexer(selection.frame["point_id"]) if index.is_unique else np.full(len(selection.frame), -1)
    known = rows >= 0
    there, here = np.column_stack(points.lonlat)[rows[known]], np.column_stack(selection.lonlat)[known]
    return np.stack([there, here], axis=1)
