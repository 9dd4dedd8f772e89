"""
Street networks: OpenStreetMap online, its files, graphs, and any vector file of lines -> a streets frame.

Files of lines get nodes where they have none, and are cut at the border of a region. OSMnx requests
OpenStreetMap's Overpass service, and caches the answers.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, FrameError, InputError, NetworkError, RegionError
from mlygeo.osm import our_osmnx
from mlygeo.progress import working
from mlygeo.readers import several, street_graph
from mlygeo.readers.osm_files import FORMATS
from mlygeo.readers.street_edges import TAGS
from mlygeo.readers.street_graph import BUFFER_M

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import geopandas as gpd
    import networkx as nx
    import pandas as pd

    from mlygeo.regions import Region


NO_LINES = "rows that are no lines"
"""Reason for which rows of streets are left out."""

log = logging.getLogger("mlygeo.osm")

OTHER_NAMES = {"osm_id": "osmid", "fclass": "highway"}
"""Columns with other names in files of GDAL and Geofabrik."""

EMPTY = ("No data elements in server response", "Found no graph nodes within the requested polygon")
"""How OSMnx's errors begin where there are no streets."""


@working("reading the streets")
def street_network(
    region: Region | None = None, *, path: str | os.PathLike[str] | None = None, retain_all: bool = False
) -> gpd.GeoDataFrame:
    """
    Return the streets of a region, like OSMnx with `network_type="all"`.

    That is every street, path and private road in use. Without a file, OSMnx downloads them from
    OpenStreetMap's Overpass service, and caches them.

    Parameters
    ----------
    region
        The region. Optional with `path`: without it, the whole file is read.
    path
        A file of streets in place of the service; see `read_streets`.
    retain_all
        Keep every component of the network. By default only the largest is kept, as in OSMnx, so
        that streets cut off from the rest are lost. Files of lines always keep all components.

    Returns
    -------
    streets
        Streets frame, EPSG:4326, a row for each edge: two-way streets have one in either
        direction. `attrs["streets"]` counts ways, edges and metres, and the streets that were cut
        or left out.

    Raises
    ------
    InputError
        If neither a region nor a file is given.
    RegionError
        If there is no street in the region.
    NetworkError
        If the service cannot be reached.
    FileError
        If the file is missing, damaged, or has no streets.

    Examples
    --------
    >>> streets = street_network(path="helsinki_centre.osm.pbf")
    >>> streets.attrs["streets"]["ways_cut"]
    """
    if path is not None:
        return read_streets(path, region=region, retain_all=retain_all)
    if region is None:
        raise InputError("no region and no file of streets", hint="give a region, or `streets=FILE`")
    graphs = [_download(polygon, retain_all=retain_all) for polygon in _sides(region)]
    frame = _stacked(graphs)
    if not len(frame):
        raise RegionError(f"OpenStreetMap has no streets in {region.name}", hint=_where(region))
    return _finish(frame, "OpenStreetMap (Overpass)", {})


def read_streets(
    path: str | os.PathLike[str], *, region: Region | None = None, retain_all: bool = False
) -> gpd.GeoDataFrame:
    """
    Read streets from a file.

    An OpenStreetMap file becomes the network that OSMnx makes of the same data, edge by edge and in
    the same order: ways are filtered as for `network_type="all"`, and the graph is simplified. Ways that
    lead out of a clipped extract are cut where their nodes are missing. A region takes the nodes
    inside it, as OSMnx does, so edges that cross its border are left out.

    Graphs (GraphML) and files of lines are read row by row, unchanged. Where a file of lines has no
    `u` and `v`, ends at the same position are the same node. A region cuts lines at its border.

    Parameters
    ----------
    path
        .osm.pbf, .osm, .osm.gz, .osm.bz2, .graphml as OSMnx writes it, or any vector file of lines
        (.gpkg, .geojson, .fgb, .parquet, .shp, …) in any CRS; a folder or pattern of the latter.
    region
        Keep the streets of this region only.
    retain_all
        Keep every component of an OpenStreetMap file's network, not only the largest.

    Returns
    -------
    streets
        Streets frame, EPSG:4326. Several ids, names or classes of one edge are joined by ';'.
        `attrs["streets"]` has `edges`, `length_m` (geodesic, of all rows), and by kind of file `ways`,
        `ways_cut`, `components_dropped_m`, or `rows_left_out` (rows that are not lines).

    Raises
    ------
    FileError
        If the file is missing.
    FormatError
        If it is damaged, or not what its name says.
    FrameError
        If there is no street in it.
    RegionError
        If no street lies in the region.

    Examples
    --------
    >>> read_streets("edges.gpkg")
    """
    from mlygeo import store
    from mlygeo.store.datasets.files import are_several
    from mlygeo.store.paths import must_be_kept

    if are_several(path):
        bbox = None if region is None or len(region.boxes) > 1 else region.bounds
        name = store.shown(path)
        frame, facts = _lines(store.read_frame(path, bbox=bbox), name, region)
        return _of_region(frame, name, region, facts)
    path = Path(path).expanduser()
    if not store.parted(path)[0].exists():
        raise FileError(f"{path} does not exist")
    must_be_kept(path)
    ending = path.suffix.lower()
    if is_osm(path) and path.is_file():
        frame, facts = _read_osm(path, region, retain_all=retain_all)
    elif ending == ".graphml":
        frame, facts = _read_graphml(path, region)
    else:
        frame, facts = _lines(_rows_of_region(path, region), path.name, region)
    return _of_region(frame, path.name, region, facts)


@contextmanager
def street_batches(path: Path, *, retain_all: bool) -> Iterator[Iterator[gpd.GeoDataFrame]]:
    """
    Read the streets of an OpenStreetMap file some hundred thousand at a time.

    Parameters
    ----------
    path
        A file for which `is_osm` holds.
    retain_all
        Keep every component of the network, and not only the largest.

    Yields
    ------
    batches
        Streets frames with the same columns, which have together the rows of `read_streets`, in their order. Their
        `attrs` are those of the whole, but for the number of edges and their length.

    Raises
    ------
    FileError
        If the file is missing.
    FormatError
        If it is damaged, a history, or not what its name says.
    FrameError
        If there is no street in it.
    """
    from mlygeo.readers.street_edges import StreetEdges

    if not path.exists():
        raise FileError(f"{path} does not exist")
    with StreetEdges(path, retain_all=retain_all) as edges:
        facts = edges.facts
        left_out = {"left_out": found} if (found := facts.pop("left_out", {})) else {}
        facts = {"source": path.name, **facts}

        def batches() -> Iterator[gpd.GeoDataFrame]:
            some = False
            for frame in edges.frames():
                some = True
                yield frames.attribute(
                    frames.conform(frame, frames.STREETS), frames.OPENSTREETMAP, streets=facts, **left_out
                )
            if not some:
                raise FrameError(
                    f"{path.name} contains no streets", hint="all of its ways are rings that nothing meets"
                )

        yield batches()


def streets_of(frame: gpd.GeoDataFrame, *, name: str, region: Region | None = None) -> gpd.GeoDataFrame:
    """
    Return the streets of a frame of lines, as of a file with the same rows; see `read_streets`.

    Parameters
    ----------
    frame
        Lines in any CRS, such as the edges of OSMnx with `u`, `v` and `key` as columns. It is not changed.
    name
        What messages call it.
    region
        Keep the streets of this region only; lines are cut at its border.
    """
    from mlygeo import store

    frame = store.as_frame(frame)
    if frame.crs is None:
        raise FrameError(f"{name} has no CRS", hint="set_crs(4326) where the coordinates are degrees")
    found, facts = _lines(frame, name, region)
    streets = _of_region(found, name, region, facts)
    streets.attrs = {**frame.attrs, **streets.attrs}
    return frames.attribute(streets, *frame.attrs.get("attribution", []))


def some_of(
    frame: gpd.GeoDataFrame, *, name: str, region: Region | None = None
) -> tuple[gpd.GeoDataFrame, dict[str, Any]]:
    """
    Return the streets of some rows of a file of lines with `u`, `v` and `key`, as `streets_of` does of all.

    Parameters
    ----------
    frame, name, region
        As there; there may be no lines among the rows, and none in the region.

    Returns
    -------
    streets, facts
        The streets, and what is to be added up: rows by reason as `left_out`, `edges`, and `length_um`, micrometres.
    """
    found, facts = _lines(frame, name, region, some=True)
    streets = _finish(found, name, facts)
    said = streets.attrs.pop("streets")
    counts = {"edges": said["edges"], "length_um": round(said["length_m"] * 1e6)}
    return streets, {"left_out": streets.attrs.pop("left_out", {}), "rows_left_out": said["rows_left_out"], **counts}


def _of_region(frame: gpd.GeoDataFrame, name: str, region: Region | None, facts: dict[str, Any]) -> gpd.GeoDataFrame:
    """Return a finished streets frame; an error where it is empty."""
    if not len(frame):
        if region is not None:
            raise RegionError(f"no street of {name} lies in {region.name}", hint=_where(region))
        raise FrameError(f"{name} contains no streets", hint="`streets` takes a file of lines, or OpenStreetMap data")
    return _finish(frame, name, facts)


def is_osm(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is one of OpenStreetMap's own, by its ending: others are read row by row."""
    return Path(path).suffix.lower() in FORMATS


def _finish(frame: gpd.GeoDataFrame, source: str, facts: dict[str, Any]) -> gpd.GeoDataFrame:
    """Convert columns to their dtypes and write the summary."""
    # a file of lines is OpenStreetMap's only if it has OSM ids, or the nodes and keys of an OSMnx graph
    known = set(frame.columns)
    is_graph, left_out = facts.pop("has_nodes", True), facts.pop("left_out", {})
    sources = [frames.OPENSTREETMAP] if is_graph or known & {"osmid", "osm_id"} else []
    frame = frame.rename(columns={old: new for old, new in OTHER_NAMES.items() if new not in frame.columns})
    columns: dict[str, Any] = {
        name: _joined(frame[name]) for name in ("osmid", "highway", "name") if name in frame.columns
    }
    columns["oneway"] = _oneway(frame.get("oneway"), len(frame))
    try:
        frame = frames.conform(frame.assign(**columns), frames.STREETS)
    except FrameError as error:
        raise FrameError(f"{source}: {error}") from error
    facts = {"source": source, **facts, "edges": len(frame), "length_m": _length(frame)}
    log.info("%s: %s edges, %.1f km", source, f"{len(frame):,}", facts["length_m"] / 1000)
    return frames.attribute(frame, *sources, streets=facts, **({"left_out": left_out} if left_out else {}))


def _length(frame: gpd.GeoDataFrame) -> float:
    """Return the geodesic length of all rows, metres: added up in micrometres, so that their order does not matter."""
    import shapely

    from mlygeo.spatial import geodesy

    lonlat, row = shapely.get_coordinates(np.asarray(frame.geometry.values), return_index=True)
    (lon, lat), same = lonlat.T, row[1:] == row[:-1]
    length_m = geodesy.distance(lon[:-1], lat[:-1], lon[1:], lat[1:])[same]
    return float(np.rint(length_m * 1e6).astype(np.int64).sum() / 1e6)


# OpenStreetMap's own formats


def _read_osm(path: Path, region: Region | None, *, retain_all: bool) -> tuple[gpd.GeoDataFrame, dict[str, Any]]:
    import pandas as pd

    from mlygeo.readers.street_edges import StreetEdges, encoded, facts_of
    from mlygeo.readers.street_pieces import Pieces

    if region is None:
        with StreetEdges(path, retain_all=retain_all) as edges:
            found = list(edges.frames())
            facts = edges.facts
        return (pd.concat(found, ignore_index=True) if found else frames.empty(frames.STREETS)), facts
    sides = _sides(region)
    with ExitStack() as close:
        pieces = Pieces(path, encoded, close)
        facts = facts_of(pieces)
        data = street_graph.of_boxes(pieces, [street_graph.wider(polygon).bounds for polygon in sides])
    whole = street_graph.build_graph(data)
    parts, dropped_m = [], 0.0
    for polygon in sides:
        graph, lost_m = street_graph.simplify(whole, polygon, retain_all=retain_all)
        parts.append(graph)
        dropped_m += lost_m
    frame = _stacked(parts)
    joined = {name: _joined(frame[name]) for name in TAGS if name in frame.columns and name != "oneway"}
    first = ["u", "v", "key", "osmid", "highway", "name", "oneway", "length"]
    names = [name for name in dict.fromkeys([*first, *TAGS, "geometry"]) if name in frame.columns]
    return frame.assign(**joined)[names], facts | {"components_dropped_m": dropped_m}


def _stacked(graphs: list[nx.MultiDiGraph]) -> gpd.GeoDataFrame:
    """Return the edges of graphs of both sides of the antimeridian, each once."""
    import pandas as pd

    found = [_edges(graph) for graph in graphs]
    found = [frame for frame in found if len(frame)] or found[:1]
    if len(found) == 1:
        return found[0]
    return pd.concat(found, ignore_index=True).drop_duplicates(["u", "v", "key"], ignore_index=True)


def _edges(graph: nx.MultiDiGraph) -> gpd.GeoDataFrame:
    """Return the edges of a graph in its own order, with straight lines where it has no geometry."""
    import osmnx

    if not len(graph.edges):
        return frames.empty(frames.STREETS)
    edges = osmnx.graph_to_gdfs(graph, nodes=False).reset_index()
    # whether an edge runs against its way has no meaning once ways are merged
    edges = edges.drop(columns="reversed", errors="ignore")
    return edges.assign(**{name: _joined(edges[name]) for name in edges.columns if _lists(edges[name])})


def _read_graphml(path: Path, region: Region | None) -> tuple[gpd.GeoDataFrame, dict[str, Any]]:
    import networkx as nx
    import osmnx

    try:
        edges = _edges(osmnx.load_graphml(path))
    except (SyntaxError, nx.NetworkXException, ValueError, KeyError, TypeError, AttributeError) as error:
        # errors of the XML parser, networkx and OSMnx, which read any XML as a graph until a part is missing
        raise FormatError(
            f"{path.name} cannot be read as a graph: {' '.join(str(error).split())}",
            hint="`streets` takes GraphML as osmnx.save_graphml writes it",
        ) from error
    return _cut(edges.to_crs(4326), region), {}


# Columns


def _lists(values: pd.Series) -> bool:
    return str(values.dtype) == "object" and any(isinstance(value, list) for value in values)


def _joined(values: pd.Series) -> pd.Series:
    """
    Return ids or names as text; several of one edge are joined by ';', in ascending order.

    OSMnx has several as an unordered list, and writes them to files as the text of that list.
    """
    import pandas as pd

    kind = values.dtype
    if pd.api.types.is_float_dtype(kind) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.astype("str").where(values.notna(), None)
    if str(kind) == "str" and not values.str.startswith("[", na=False).any():
        return values.where(values != "", None)
    return pd.Series([several.join(value) for value in values], index=values.index, dtype="str")


def _oneway(values: Any, length: int) -> Any:
    """
    Return whether traffic runs from u to v only, whatever the file's words for it.

    Geofabrik writes F (forward), T (backward) and B (both). An edge of several ways is one-way if all are.
    """
    import pandas as pd

    if values is None:
        return np.zeros(length, dtype=bool)
    if pd.api.types.is_bool_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        return pd.Series(values == 1).fillna(value=False).to_numpy(dtype=bool)
    words = _joined(values).str.lower().fillna("")
    yes = {"yes", "true", "1", "f"} if (words == "b").any() else {"yes", "true", "1", "t"}
    known = {word: all(part in yes for part in word.split(";")) for word in words.unique()}
    return words.map(known).to_numpy(dtype=bool)


# Regions


def _sides(region: Region) -> list[Any]:
    """Return the polygon of a region, or the two on either side of the antimeridian."""
    import shapely

    if len(region.boxes) == 1:
        return [region.geometry]
    sides = [shapely.intersection(region.geometry, shapely.box(*box)) for box in region.boxes]
    return [side for side in sides if side.area > 0]


def _where(region: Region) -> str:
    lon, lat = region.centre
    return f"the middle of the region is at {lon:.4f}, {lat:.4f} (longitude, latitude); is that where the streets are?"


# Vector files of lines


def _lines(
    frame: gpd.GeoDataFrame, name: str, region: Region | None, *, some: bool = False
) -> tuple[gpd.GeoDataFrame, dict[str, Any]]:
    """
    Return the lines of any frame, in its order.

    Parameters
    ----------
    frame
        Rows of lines, and perhaps others, in any CRS.
    name
        What messages call it.
    region
        Region at whose border lines are cut; None takes all lines.
    some
        Whether these are some of the rows, among which may be no line.

    Returns
    -------
    frame, facts
        Lines in EPSG:4326 with `u`, `v` and `key`, and the count of rows left out.

    Raises
    ------
    FormatError
        If it has no CRS.
    FrameError
        If it has no lines.
    """
    import shapely

    frames.check_names(frame.columns, name)
    if frame.crs is None:
        raise FormatError(f"{name} has no CRS", hint="write it with one, or as GeoJSON in longitude and latitude")
    frame = frames.named_geometry(frame, name)
    rows, attrs = len(frame), frame.attrs
    kinds = frame.geom_type
    lines = kinds.isin(["LineString", "LinearRing", "MultiLineString"]) & ~frame.geometry.is_empty
    if rows and not lines.any() and not some:
        found = ", ".join(sorted({str(kind) for kind in kinds.dropna()}))
        found = f"geometries of type {found}" if found else "rows without geometry"
        raise FrameError(f"{name} contains no lines, only {found}", hint="`streets` takes a file of lines")
    frame = frame[lines]
    if (frame.geom_type == "MultiLineString").any():
        frame = frame.explode(ignore_index=True)
    geometry = shapely.force_2d(np.asarray(frame.geometry.values))
    frame = frame.set_geometry(list(geometry), crs=frame.crs)
    if frame.crs.to_epsg() != 4326:
        frame = frames.in_degrees(frame, name)
    finite = np.isfinite(frame.geometry.bounds.to_numpy()).all(axis=1)
    frame = frame[finite].reset_index(drop=True)
    frame = frame.assign(**{column: _joined(frame[column]) for column in frame.columns if _lists(frame[column])})
    left_out = rows - int(lines.sum()) + int((~finite).sum())
    if left_out:
        log.warning("%s: %s of %s rows are no lines and were left out", name, f"{left_out:,}", f"{rows:,}")
    has_nodes = {"u", "v", "key"} <= set(frame.columns)
    reasons = {**attrs.get("left_out", {}), **({NO_LINES: left_out} if left_out else {})}
    facts = {"rows_left_out": left_out, "has_nodes": has_nodes, "left_out": reasons}
    return _cut(_with_nodes(frame), region), facts


def _cut(frame: gpd.GeoDataFrame, region: Region | None) -> gpd.GeoDataFrame:
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
    nested, of_part = shapely.get_parts(parts, return_index=True)  # of collections, where a line touches the border
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
    """Read the rows whose bounding box intersects the region's; all rows if it crosses the antimeridian."""
    from mlygeo import store

    bbox = None if region is None or len(region.boxes) > 1 else region.bounds
    return store.read_frame(path, bbox=bbox, layer=_layer_of_lines(path))


def _layer_of_lines(path: Path) -> str | None:
    """Return the one layer of lines of a file with several layers, such as the GeoPackages of OSMnx."""
    from mlygeo import store
    from mlygeo.store import gdal

    if store.parted(path)[1] is not None or not store.has_layers(path):
        return None
    layers = gdal.layers(path)
    if len(layers) < 2:
        return None
    lines = [name for name, kind in layers.items() if kind is not None and "LineString" in kind]
    if len(lines) != 1:
        found = ", ".join(f"{name} ({kind or 'no geometry'})" for name, kind in layers.items())
        raise FrameError(
            f"{path.name} has {len(lines)} layers of lines: {found}",
            hint=f"name one of them: {path}:{lines[0]}" if lines else "name a file that has the streets as lines",
        )
    return lines[0]


def _with_nodes(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Add the nodes of each line where the file has none, and number parallel edges."""
    import pandas as pd
    import shapely

    if not {"u", "v"} <= set(frame.columns):
        geometry = np.asarray(frame.geometry.values)
        ends = [shapely.get_coordinates(shapely.get_point(geometry, place)) for place in (0, -1)]
        # one complex number for each position: factorize needs one-dimensional arrays
        nodes = pd.factorize(np.ascontiguousarray(np.concatenate(ends) + 0.0).view("complex128")[:, 0])[0]
        frame = frame.drop(columns=["key"], errors="ignore").assign(u=nodes[: len(frame)], v=nodes[len(frame) :])
    if "key" not in frame.columns:
        frame = frame.assign(key=frame.groupby(["u", "v"], dropna=False).cumcount())
    return frame


# OpenStreetMap's Overpass service


@working("asking OpenStreetMap for the streets")
def _download(polygon: Any, *, retain_all: bool) -> nx.MultiDiGraph:
    """
    Return OSMnx's graph of a polygon, without edges where OpenStreetMap has none.

    Parameters
    ----------
    polygon
        Polygon or multi-polygon, EPSG:4326, on one side of the antimeridian.
    retain_all
        Keep every component, and not only the largest.

    Raises
    ------
    NetworkError
        If the service cannot be reached, or sends an invalid answer.
    """
    import networkx as nx
    import osmnx

    hint = "try again later, or give a file of streets with `streets=FILE` (.osm.pbf, .gpkg, …)"
    try:
        with our_osmnx(osmnx.settings.overpass_url, useful_tags_way=list(TAGS)):
            found: nx.MultiDiGraph = osmnx.graph_from_polygon(
                _inside_antimeridian(polygon), network_type="all", retain_all=retain_all
            )
            return found
    except OSError as error:  # errors of requests are a subclass
        raise NetworkError("OpenStreetMap's Overpass service cannot be reached for the streets", hint=hint) from error
    except ValueError as error:
        if not str(error).startswith(EMPTY):
            reason = " ".join(str(error).split())[:200]
            raise NetworkError(f"OpenStreetMap's Overpass service sent no streets: {reason}", hint=hint) from error
        log.info("OSMnx: %s", error)
        nothing: nx.MultiDiGraph = nx.MultiDiGraph(crs=frames.CRS)
        return nothing


def _inside_antimeridian(polygon: Any) -> Any:
    """Take a strip along the antimeridian off a polygon: OSMnx asks for 500 m around it, and cannot ask beyond 180°."""
    import shapely

    west, south, east, north = polygon.bounds
    strip = 1.05 * BUFFER_M / 111_000 / np.cos(np.radians(min(max(abs(south), abs(north)), 89)))
    if west - strip >= -180 and east + strip <= 180:
        return polygon
    log.warning("streets within %.4f° of the antimeridian cannot be fetched; a file of streets has them", strip)
    return shapely.intersection(polygon, shapely.box(-180 + strip, south, 180 - strip, north))
