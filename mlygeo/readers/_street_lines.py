"""Vector files of lines -> edges, with nodes where the file has none, cut at the border of a region."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo.errors import FormatError, FrameError

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.regions import Region

log = logging.getLogger("mlygeo.osm")


def read_lines(path: Path, region: Region | None) -> tuple[gpd.GeoDataFrame, dict[str, Any]]:
    """
    Read the lines of any vector file, in its order.

    Parameters
    ----------
    path
        A file that `store.read_frame` reads, with one layer of lines.
    region
        Where lines are cut; None takes all.

    Returns
    -------
    frame, facts
        Lines in EPSG:4326 with `u`, `v` and `key`, and what was left out.

    Raises
    ------
    FormatError
        If it is damaged, or has no CRS.
    FrameError
        If it holds no lines, or several layers of them.
    """
    import shapely

    frame = _rows_of_region(path, region)
    if frame.crs is None:
        raise FormatError(f"{path.name} has no CRS", hint="write it with one, or as GeoJSON in longitude and latitude")
    if frame.active_geometry_name != "geometry":
        frame = frame.rename_geometry("geometry")
    rows = len(frame)
    kinds = frame.geom_type
    lines = kinds.isin(["LineString", "LinearRing", "MultiLineString"]) & ~frame.geometry.is_empty
    if rows and not lines.any():
        found = ", ".join(sorted({str(kind) for kind in kinds.dropna()})) or "rows without geometry"
        raise FrameError(f"{path.name} holds no lines, but {found}", hint="--streets takes a file of lines")
    frame = frame[lines]
    if (frame.geom_type == "MultiLineString").any():
        frame = frame.explode(ignore_index=True)
    geometry = shapely.force_2d(np.asarray(frame.geometry.values))
    frame = frame.set_geometry(list(geometry), crs=frame.crs)
    if frame.crs.to_epsg() != 4326:
        frame = frame.to_crs(4326)
    finite = np.isfinite(frame.geometry.bounds.to_numpy()).all(axis=1)
    frame = frame[finite].reset_index(drop=True)
    left_out = rows - int(lines.sum()) + int((~finite).sum())
    if left_out:
        log.warning("%s: %s of %s rows are no lines and were left out", path.name, f"{left_out:,}", f"{rows:,}")
    has_nodes = {"u", "v", "key"} <= set(frame.columns)
    return cut(_with_nodes(frame), region), {"rows_left_out": left_out, "has_nodes": has_nodes}


def cut(frame: gpd.GeoDataFrame, region: Region | None) -> gpd.GeoDataFrame:
    """Cut lines at the border of a region; lines wholly inside stay as they are, to the last digit."""
    import shapely

    if region is None or not len(frame):
        return frame
    shapely.prepare(region.geometry)
    geometry = np.asarray(frame.geometry.values)
    meets = shapely.intersects(region.geometry, geometry)
    crossing = np.flatnonzero(meets & ~shapely.covers(region.geometry, geometry))
    if not len(crossing):
        return frame[meets].reset_index(drop=True)
    # a street's two directions must be cut at the same places, to the last digit
    lines = geometry[crossing]
    first, last = (shapely.get_coordinates(shapely.get_point(lines, place)) for place in (0, -1))
    backward = (first[:, 0] > last[:, 0]) | ((first[:, 0] == last[:, 0]) & (first[:, 1] > last[:, 1]))
    pieces = shapely.intersection(np.where(backward, shapely.reverse(lines), lines), region.geometry)
    parts, line = shapely.get_parts(pieces, return_index=True)
    nested, of_part = shapely.get_parts(parts, return_index=True)  # of collections, where a line also touches
    parts, line = nested, line[of_part]
    is_line = (shapely.get_type_id(parts) == shapely.GeometryType.LINESTRING) & (shapely.length(parts) > 0)
    parts, line = parts[is_line], line[is_line]
    parts = np.where(backward[line], shapely.reverse(parts), parts)

    inside = np.flatnonzero(meets)
    inside = inside[~np.isin(inside, crossing)]
    row = np.concatenate((inside, crossing[line]))
    order = np.argsort(row, kind="stable")
    new = np.concatenate((geometry[inside], parts))[order]
    share = np.concatenate((np.ones(len(inside)), shapely.length(parts) / shapely.length(lines)[line]))[order]
    cut = frame.iloc[row[order]].set_geometry(list(new), crs=frame.crs).reset_index(drop=True)
    if "length" in cut.columns and str(cut["length"].dtype) == "float64":
        cut["length"] = np.where(share < 1, cut["length"] * share, cut["length"])
    return cut


def _rows_of_region(path: Path, region: Region | None) -> gpd.GeoDataFrame:
    """Read the rows whose bounding box meets that of the region; all where it crosses the antimeridian."""
    from mlygeo import store

    bbox = None if region is None or len(region.boxes) > 1 else region.bounds
    return store.read_frame(path, bbox=bbox, layer=_layer_of_lines(path))


def _layer_of_lines(path: Path) -> str | None:
    """Return the one layer of lines of a file with several layers, such as the GeoPackages of OSMnx."""
    import pyogrio

    from mlygeo import store

    if path.suffix.lower() in {*store.PARQUET, ".csv", ".tsv"}:
        return None
    try:
        layers = pyogrio.list_layers(path)
    except pyogrio.errors.DataSourceError as error:
        raise FormatError(f"{path.name} cannot be read as a vector file: {error}") from error
    if len(layers) < 2:
        return None
    lines = [str(name) for name, kind in layers if kind is not None and "LineString" in str(kind)]
    if len(lines) != 1:
        found = ", ".join(f"{name} ({kind})" for name, kind in layers)
        raise FrameError(
            f"{path.name} has {len(lines)} layers of lines: {found}",
            hint="save the layer of streets to a file of its own",
        )
    return lines[0]


def _with_nodes(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Add the nodes of each line where the file has none, and number the parallels."""
    import pandas as pd
    import shapely

    if not {"u", "v"} <= set(frame.columns):
        geometry = np.asarray(frame.geometry.values)
        ends = [shapely.get_coordinates(shapely.get_point(geometry, place)) for place in (0, -1)]
        # one complex number for each place: factorize takes arrays of one dimension
        nodes = pd.factorize(np.ascontiguousarray(np.concatenate(ends) + 0.0).view("complex128")[:, 0])[0]
        frame = frame.drop(columns=["key"], errors="ignore").assign(u=nodes[: len(frame)], v=nodes[len(frame) :])
    if "key" not in frame.columns:
        frame = frame.assign(key=frame.groupby(["u", "v"], dropna=False).cumcount())
    return frame
