"""Pictures of frames, with the attribution that their licences ask for."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames, store
from mlygeo.errors import DependencyError, FrameError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import geopandas as gpd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"lines": "#9aa0a6", "points": "#1a73e8", "images": "#d93025", "areas": "#e8eaed"}
"""Grey streets, blue points, red images: told apart by people with common colour blindness too."""


def draw(layers: Iterable[store.FrameLike], *, title: str | None = None, dpi: int = 150) -> Figure:
    """
    Draw frames one upon the other; see `mlygeo.plot`.

    Raises
    ------
    DependencyError
        If Matplotlib is missing.
    FrameError
        If there is nothing to draw.
    """
    try:
        from matplotlib.figure import Figure as MatplotlibFigure
    except ImportError as error:
        raise DependencyError("pictures need Matplotlib", hint="pip install 'mlygeo[plot]'") from error
    if isinstance(layers, str | os.PathLike) or hasattr(layers, "geometry"):
        layers = [layers]
    named = [(_name(layer), store.as_frame(layer)) for layer in layers]
    named = [(name, frame.to_crs(4326)) for name, frame in named if len(frame) and frame.crs is not None]
    if not named:
        raise FrameError("there is nothing to draw: every frame is empty, or has no CRS")

    figure = MatplotlibFigure(figsize=(8, 8), dpi=dpi, layout="constrained")
    axes = figure.add_subplot()
    for name, frame in named:
        _draw_layer(axes, name, frame)
    _draw_links(axes, [frame for _, frame in named])
    _finish(axes, named, title)
    return figure


def _name(layer: Any) -> str:
    return Path(layer).stem.replace("_", " ") if isinstance(layer, str | os.PathLike) else ""


def _draw_layer(axes: Axes, name: str, frame: gpd.GeoDataFrame) -> None:
    import shapely
    from matplotlib.collections import LineCollection

    geometry = np.asarray(frame.geometry.values)
    kind = int(shapely.get_dimensions(geometry).max())
    label = f"{name} ({len(frame):,})".strip()
    if kind == 0:
        lonlat = shapely.get_coordinates(geometry)
        is_images = "id" in frame.columns
        size = max(4.0, min(24.0, 4000 / max(len(lonlat), 1)))
        colour = COLOURS["images" if is_images else "points"]
        if is_images and "is_pano" in frame.columns and len(lonlat) == len(frame):
            pano = frame["is_pano"].to_numpy(dtype=bool)
            for mask, marker, what in ((~pano, "^", "flat"), (pano, "o", "panoramas")):
                if mask.any():
                    axes.scatter(
                        lonlat[mask, 0],
                        lonlat[mask, 1],
                        s=size,
                        c=colour,
                        marker=marker,
                        linewidths=0,
                        zorder=4,
                        label=f"{name}, {what} ({mask.sum():,})",
                    )
            return
        axes.scatter(lonlat[:, 0], lonlat[:, 1], s=size, c=colour, linewidths=0, zorder=3, label=label)
    elif kind == 1:
        parts = shapely.get_parts(geometry)
        lines = [shapely.get_coordinates(line) for line in parts]
        axes.add_collection(LineCollection(lines, colors=COLOURS["lines"], linewidths=1.2, zorder=1, label=label))
        axes.autoscale_view()
    else:
        frame.plot(ax=axes, color=COLOURS["areas"], edgecolor=COLOURS["lines"], zorder=0, label=label)


def _draw_links(axes: Axes, drawn: list[gpd.GeoDataFrame]) -> None:
    """Join each chosen image to the point that it was chosen for."""
    from matplotlib.collections import LineCollection

    points = next((frame for frame in drawn if "point_id" in frame.columns and "id" not in frame.columns), None)
    selection = next((frame for frame in drawn if {"point_id", "id"} <= set(frame.columns)), None)
    if points is None or selection is None:
        return
    rows = points.reset_index(drop=True).reset_index().set_index("point_id")["index"].reindex(selection["point_id"])
    known = rows.notna().to_numpy()
    there = np.column_stack(frames.lonlat(points))[rows[known].astype("int64").to_numpy()]
    here = np.column_stack(frames.lonlat(selection))[known]
    links = np.stack([there, here], axis=1)
    axes.add_collection(LineCollection(list(links), colors=COLOURS["images"], linewidths=0.6, alpha=0.6, zorder=2))


def _finish(axes: Axes, named: list[tuple[str, gpd.GeoDataFrame]], title: str | None) -> None:
    south, north = axes.get_ylim()
    axes.set_aspect(1 / max(math.cos(math.radians((south + north) / 2)), 0.01))
    axes.set_xlabel("longitude")
    axes.set_ylabel("latitude")
    axes.ticklabel_format(useOffset=False)
    axes.tick_params(labelsize=7)
    axes.tick_params(axis="x", rotation=30)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, loc="best", fontsize=8, framealpha=0.9)
    if title:
        axes.set_title(title, fontsize=11)
    sources: dict[str, None] = {}
    for _, frame in named:
        sources.update(dict.fromkeys(frame.attrs.get("attribution", [])))
        if "highway" in frame.columns:
            sources.setdefault(frames.OPENSTREETMAP)
    axes.annotate("  ".join(sources), (1, 0), xycoords="axes fraction", ha="right", va="bottom", fontsize=6,
                  xytext=(-3, 3), textcoords="offset points", zorder=5)  # fmt: skip
