"""Frames as layers: the kind, the name and the attribution of each."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import degrees, frames, providers, store
from mlygeo.arrays import through_pyproj
from mlygeo.attribution import columns_in, credits_of
from mlygeo.errors import FormatError, FrameError, InputError
from mlygeo.plotting import thinning
from mlygeo.plotting.folders import files_of

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.arrays import Flags, Floats, Objects, Rows, Whole
    from mlygeo.attribution import Credit
    from mlygeo.store.point_sources import Points

log = logging.getLogger("mlygeo.plotting")


MOST_ROWS = 1_000_000
"""Most rows of a map: what a browser opens in seconds, and a file that can be sent by mail holds (20 MB)."""

MOST_VERTICES = 2_000_000
"""Most vertices of the lines of a map."""

BEYOND = "beyond 85.05° north or south, where this map ends"
CUT = f"cut off where they go {BEYOND}"
"""What happens to rows near the poles on a Web Mercator map."""

NOWHERE = "without a heading or a field of view"
"""Why views are left out."""

MISSING, INFINITE, NO_DEGREES = "without a position", "with infinite coordinates", "outside of the earth"
"""Why rows are left out."""


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
        What is drawn: EPSG:4326, every row with a position of finite coordinates.
    rows
        How many rows there are, of which the frame holds all, or some that stand for all.
    everywhere
        Longitude and latitude of all rows, for points of which the frame holds some; None otherwise.
    left_out
        How many rows could not be drawn, by the reason.
    tolerance
        How far lines may have moved where they were simplified, degrees; 0 where they were not.
    """

    name: str
    kind: str
    frame: gpd.GeoDataFrame
    rows: int
    everywhere: tuple[Floats, Floats] | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    tolerance: float = 0.0

    @property
    def counted(self) -> str:
        """The name, with the number of its rows, and of those shown where they are not all."""
        shown = "" if len(self.frame) == self.rows else f"{len(self.frame):,} of "
        return f"{self.name} ({shown}{self.rows:,})"

    def notes(self, *, counted: bool = False) -> list[str]:
        """
        Return what is not drawn, or otherwise than it is, in sentences.

        Parameters
        ----------
        counted
            Whether points that are too many are counted on a lattice, all of them, instead of thinned.
        """
        said = []
        if len(self.frame) < self.rows and not (counted and self.is_points):
            said.append(f"{self.name}: {len(self.frame):,} of {self.rows:,} rows stand for all")
        if self.tolerance:
            said.append(f"{self.name}: lines are simplified, by up to {self.tolerance * 111_320:,.1f} m")
        gone = {why: f"{number:,} left out, {why}" for why, number in self.left_out.items()}
        cut = {CUT: f"{self.left_out.get(CUT, 0):,} {CUT}"}
        return said + [f"{self.name}: {cut.get(why, text)}" for why, text in gone.items()]

    def thinned(self, most: int) -> Layer:
        """Return the layer with at most so many rows, and as many vertices of lines as a map can have."""
        layer = self
        if len(self.frame) > most:
            chosen = _to_draw(self, most)
            everywhere = self.everywhere or (self.lonlat if self.is_points else None)
            layer = replace(self, frame=_some(self.frame, chosen), everywhere=everywhere)
        if layer.kind in LINES and vertices(layer.geometry) > MOST_VERTICES:
            geometry, tolerance = thinning.simpler(layer.geometry, MOST_VERTICES)
            layer = replace(layer, frame=layer.frame.set_geometry(geometry, crs=frames.CRS), tolerance=tolerance)
        return layer

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
        import pandas as pd

        if self.kind not in {"images", "selection"} or "compass_angle" not in self.frame.columns:
            return None
        if not pd.api.types.is_numeric_dtype(self.frame["compass_angle"]):
            return None
        heading = self.frame["compass_angle"].to_numpy(dtype=float, na_value=np.nan)
        return np.where(np.isfinite(heading), heading, np.nan)

    def panoramas(self) -> Flags:
        """Return which images are known to be panoramas."""
        return self._kinds()[0]

    def flat_pictures(self) -> Flags:
        """Return which images are known to be no panoramas; the others may be of unknown kind."""
        return self._kinds()[1]

    def _kinds(self) -> tuple[Flags, Flags]:
        import pandas as pd

        if "is_pano" not in self.frame.columns or not pd.api.types.is_bool_dtype(self.frame["is_pano"]):
            return np.zeros(len(self.frame), dtype=bool), np.zeros(len(self.frame), dtype=bool)
        pano = frames.truths(self.frame["is_pano"])
        return pano, ~pano & self.frame["is_pano"].notna().to_numpy()

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
    Return frames, or files of them, as layers; what is too much is thinned, and what cannot be drawn is counted.

    A frame of points, lines and areas becomes a layer of each; those without rows are left out.

    Raises
    ------
    FrameError
        If nothing is left, or a frame has no CRS.
    """
    layers: list[Layer] = []
    gone: dict[str, int] = {}
    for one in each_of(given):
        large = _large(one)
        found = _layers_of_frame(one) if large is None else _layers_of_points(*large)
        for layer in found:
            if layer.rows:
                layers.append(layer)
            for why, number in layer.left_out.items():
                gone[why] = gone.get(why, 0) + number
    if not layers:
        why = ", ".join(f"{number:,} {why}" for why, number in gone.items())
        raise FrameError(f"there is nothing to draw: every frame is empty{why and f' ({why})'}")
    return together(layers, MOST_ROWS)


def together(layers: list[Layer], most: int) -> list[Layer]:
    """Return layers of at most so many rows together: the largest are thinned, the small ones stay whole."""
    share, left = most, sorted(len(layer.frame) for layer in layers)
    room = most
    while left and (share := room // len(left)) >= left[0]:
        room -= left.pop(0)
    return [layer.thinned(max(share, 1)) if left else layer.thinned(most) for layer in layers]


def each_of(given: Any) -> list[Any]:
    """
    Return what is to be drawn, one by one: of a list or an iterator its items, else the one thing that was given.

    Folders of results become the files in them; see `mlygeo.plotting.folders`.

    Raises
    ------
    InputError
        If there is nothing.
    """
    each = list(given) if isinstance(given, list | tuple | Iterator) else [given]
    if not each:
        raise InputError("`layers` names nothing to draw")
    return [file for one in each for file in files_of(one)]


def _name_of(one: Any, kind: str) -> str:
    """Return what the legend calls a layer: the name of its layer or file, else its kind."""
    if not isinstance(one, str | os.PathLike):
        return kind.replace("_", " ")
    file, layer = store.parted(one)
    return (layer or file.stem).replace("_", " ")


def _large(one: Any) -> tuple[Points, Floats, Floats] | None:
    """Return a GeoParquet file of more points than are drawn, and where they are; None for any other frame."""
    from mlygeo.store.datasets.files import are_several
    from mlygeo.store.point_sources import PointFile
    from mlygeo.store.points import open_points

    if are_several(one):
        several = open_points(one, name="the layer")
        try:
            return (several, *several.lonlat) if len(several) > MOST_ROWS else None
        except FormatError:
            return None
    if not isinstance(one, str | os.PathLike) or Path(one).suffix.lower() not in store.PARQUET:
        return None
    path = Path(one).expanduser()
    if not path.is_file() or len(opened := PointFile(path)) <= MOST_ROWS:
        return None
    try:
        lon, lat = opened.lonlat
    except FormatError:  # geometries other than points; what else is wrong is said when the frame is read
        return None
    return opened, lon, lat


def _layers_of_points(points: Points, lon: Floats, lat: Floats) -> list[Layer]:
    """Return the layer of a file of points, of which the rows that are drawn alone are read."""
    import pyarrow as pa

    rows, left_out = _on_earth(lon, lat)
    if len(rows) < len(lon):
        lon, lat = lon[rows], lat[rows]
    names = set(points.columns)
    times = "time" in names and pa.types.is_timestamp(points.arrow("time").type)
    kind = _kind_of_points(names, with_times=times)
    if kind == "tracks":
        import pandas as pd

        number = pd.factorize(np.asarray(points.arrow("track_id").to_pandas()))[0][rows]
        time = points.arrow("time").to_numpy()[rows]
        order = np.lexsort((time, number))
        chosen = order[thinning.rows_of_tracks(number[order], MOST_ROWS)]
    else:
        chosen = thinning.rows_to_draw(lon, lat, MOST_ROWS)
    table = points.take(rows[chosen]).append_column("lon", [lon[chosen]]).append_column("lat", [lat[chosen]])
    frame = frames.from_arrow(table)
    frame.attrs = points.attrs
    return [Layer(_name_of(points.name, kind), kind, frame, len(rows), (lon, lat), left_out)]


def _layers_of_frame(one: Any) -> list[Layer]:
    """Return the layers of a frame: its areas, its lines and its points."""
    import geopandas as gpd
    import shapely

    frame = store.as_frame(one)
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError(f"`layers` are frames or files of them, not {type(one).__name__}")
    name = Path(one).name if isinstance(one, str | os.PathLike) else "a frame"
    if frame.active_geometry_name is None or not len(frame):
        log.warning("%s has %s, and is not drawn", name, "no rows" if not len(frame) else "no geometry")
        return []
    if frame.crs is None:
        raise FrameError(f"{name} has no CRS, so where it lies is unknown", hint=frames.crs_hint(name))
    attrs = dict(frame.attrs)
    frame = _with_plain_names(frame)
    geometry = np.asarray(frame.geometry.values)
    there = np.flatnonzero(~(shapely.is_missing(geometry) | shapely.is_empty(geometry)))
    left_out = {MISSING: len(frame) - len(there)} if len(there) < len(frame) else {}
    rows, geometry = _parts(there, geometry[there])
    dimensions = shapely.get_dimensions(geometry)
    # Only now: a copy of all columns of a frame of millions of rows is dear.
    layers = []
    for dimension in (2, 1, 0):
        mine = np.flatnonzero(dimensions == dimension)
        if not len(mine):
            continue
        in_degrees = _in_degrees(geometry[mine], frame.crs, points=dimension == 0)
        sound, odd = _sound(in_degrees)
        mine, in_degrees = mine[sound], in_degrees[sound]
        part = _some(frame, rows[mine]).set_geometry(in_degrees, crs=frames.CRS)
        part.attrs = attrs
        kind = _kind(part, dimension)
        if kind == "views":
            part, without = _as_sectors(part, one)
            mine, odd = mine[: len(part)], {**odd, **without}
        kinds = {2: "areas", 1: "lines", 0: "points"}
        several = "" if (dimensions == dimension).all() else f", {kinds[dimension]}"
        given, left_out = left_out, {}
        layers.append(Layer(f"{_name_of(one, kind)}{several}", kind, part, len(mine), left_out={**given, **odd}))
    return layers or [Layer(_name_of(one, "areas"), "areas", frame.iloc[:0], 0, left_out=left_out)]


def _with_plain_names(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Return a frame whose columns have names that are text, each its own."""
    names: dict[str, int] = {}
    plain = []
    for name in frame.columns:
        number = names[str(name)] = names.get(str(name), 0) + 1
        plain.append(str(name) if number == 1 else f"{name} ({number})")
    if plain == list(frame.columns):
        return frame
    place = list(frame.columns).index(frame.active_geometry_name)
    geometry = frame.geometry
    renamed = frame.copy(deep=False)
    renamed.columns = plain
    return renamed.set_geometry(plain[place], crs=geometry.crs)


def _parts(rows: Rows, geometry: Objects) -> tuple[Rows, Objects]:
    """Return the parts of collections and of several points as rows of their own, without empty ones."""
    import shapely

    mixed = (shapely.GeometryType.GEOMETRYCOLLECTION, shapely.GeometryType.MULTIPOINT)
    while (several := np.isin(shapely.get_type_id(geometry), mixed)).any():
        parts, owner = shapely.get_parts(geometry[several], return_index=True)
        full = ~shapely.is_empty(parts)
        rows = np.concatenate([rows[~several], rows[several][owner[full]]])
        geometry = np.concatenate([geometry[~several], parts[full]])
        order = np.argsort(rows, kind="stable")
        rows, geometry = rows[order], geometry[order]
    return rows, geometry


def _in_degrees(geometry: Objects, crs: Any, *, points: bool) -> Objects:
    """Return geometries in degrees; what has no place in degrees gets infinite coordinates."""
    import geopandas as gpd
    from pyproj import Transformer

    if crs.equals(frames.CRS):
        return geometry
    if (reason := frames.not_on_earth(crs)) is not None:
        raise FrameError(f"a frame cannot be drawn: {reason}")
    if points:  # PROJ on arrays is eight times faster than on geometries
        turn = Transformer.from_crs(crs, frames.CRS, always_xy=True)
        return frames.points(*through_pyproj(turn.transform, *frames.coordinates(geometry)))
    return np.asarray(gpd.GeoSeries(geometry, crs=crs).to_crs(frames.CRS).values)


def _sound(geometry: Objects) -> tuple[Flags, dict[str, int]]:
    """Return which geometries are somewhere on the earth, and how many of the others there are, by the reason."""
    import shapely

    coordinates, owner = shapely.get_coordinates(geometry, return_index=True)
    infinite = np.zeros(len(geometry), dtype=bool)
    infinite[owner[~np.isfinite(coordinates).all(axis=1)]] = True
    beyond = degrees.beyond(*coordinates.T)
    odd = np.zeros(len(geometry), dtype=bool)
    odd[owner[beyond]] = True
    odd &= ~infinite
    counts = {INFINITE: int(infinite.sum()), NO_DEGREES: int(odd.sum())}
    return ~(infinite | odd), {why: number for why, number in counts.items() if number}


def _on_earth(lon: Floats, lat: Floats) -> tuple[Rows, dict[str, int]]:
    """Return the rows of points that are somewhere on the earth, and how many others there are, by the reason."""
    missing = np.isnan(lon) | np.isnan(lat)
    infinite = ~missing & ~(np.isfinite(lon) & np.isfinite(lat))
    odd = degrees.beyond(lon, lat)
    counts = {MISSING: int(missing.sum()), INFINITE: int(infinite.sum()), NO_DEGREES: int(odd.sum())}
    return np.flatnonzero(~(missing | infinite | odd)), {why: number for why, number in counts.items() if number}


def _some(frame: gpd.GeoDataFrame, rows: Rows) -> gpd.GeoDataFrame:
    if len(rows) == len(frame) and (rows == np.arange(len(rows))).all():
        return frame
    attrs = frame.attrs
    some = frame.iloc[rows]
    some.attrs = attrs
    return some


def _to_draw(layer: Layer, most: int) -> Rows:
    """Return the rows of a layer that stand for all: points by their place, lines and areas by their middle."""
    if layer.is_points:
        return thinning.rows_to_draw(*layer.lonlat, most)
    if layer.kind == "tracks":
        order, follows = layer.track_order()
        return order[thinning.rows_of_tracks(np.cumsum(~follows), most)]
    import shapely

    bounds = shapely.bounds(layer.geometry)
    return thinning.rows_to_draw((bounds[:, 0] + bounds[:, 2]) / 2, (bounds[:, 1] + bounds[:, 3]) / 2, most)


def vertices(geometry: Objects) -> int:
    """Return the number of vertices of geometries."""
    import shapely

    return int(shapely.get_num_coordinates(geometry).sum())


LINES = frozenset({"streets", "sequences", "coverage", "gaps", "areas", "views"})
"""Kinds of layers that are drawn as the lines that they hold."""

FILLED = frozenset({"areas", "views"})
"""Kinds of layers of polygons."""

LINKED = "image chosen for a point"
"""What the lines from selected images to their street points are called."""

VIEWS = frozenset({"view", "compass_angle", "field_of_view", "pitch", "path"})
"""Columns of views; see `mlygeo.schemas.VIEWS`."""

SHORTEST_M, LONGEST_M, SHARE = 6.0, 40.0, 0.02
"""Least and largest radius of the sector of a view, metres, and what share of the extent of all it takes between."""

STEP_DEG = 8.0
"""Degrees of the arc of a sector between two vertices."""


def sectors(lon: Floats, lat: Floats, heading: Floats, field_of_view: Floats, radius_m: float) -> Objects:
    """
    Return what each view looks over, from above: a sector around its heading, or a circle where it looks all around.

    Parameters
    ----------
    lon, lat
        Where the cameras stood, degrees; shape (n,).
    heading, field_of_view
        Degrees; shape (n,).
    radius_m
        Length of the sides, metres.

    Returns
    -------
    areas
        Polygons, EPSG:4326; shape (n,). Those that cross the antimeridian go beyond ±180°.
    """
    import shapely

    from mlygeo.spatial import geodesy

    found = np.empty(len(lon), dtype=object)
    wide = np.clip(field_of_view, 0.0, 360.0)
    steps = np.maximum(np.ceil(wide / STEP_DEG), 2).astype(np.int64)
    for number in np.unique(steps).tolist():
        rows = np.flatnonzero(steps == number)
        turn = np.linspace(-0.5, 0.5, number + 1) * wide[rows, None] + heading[rows, None]
        east, north = geodesy.destination(lon[rows, None], lat[rows, None], turn, radius_m)
        east = lon[rows, None] + (east - lon[rows, None] + 180.0) % 360.0 - 180.0
        arc = np.stack([east, north], axis=2)
        apex = np.broadcast_to(np.stack([lon[rows], lat[rows]], axis=1)[:, None], (len(rows), 1, 2))
        whole = wide[rows] >= 360.0
        found[rows[whole]] = shapely.polygons(arc[whole])
        found[rows[~whole]] = shapely.polygons(np.concatenate([apex, arc, apex], axis=1)[~whole])
    return found


def _as_sectors(frame: gpd.GeoDataFrame, one: Any) -> tuple[gpd.GeoDataFrame, dict[str, int]]:
    """Return views as sectors, with paths to their files, and how many could not be drawn, by the reason."""
    from mlygeo.spatial import geodesy

    attrs = frame.attrs
    heading, angle = (frame[name].to_numpy(dtype=float, na_value=np.nan) for name in ("compass_angle", "field_of_view"))
    known = np.isfinite(heading) & (angle > 0)
    lon, lat = (values[known] for values in frames.lonlat(frame))
    if len(lon):
        west, south, east, north = lon.min(), lat.min(), lon.max(), lat.max()
        extent_m = float(geodesy.distance(west, south, east, north)[0])
        radius_m = float(np.clip(extent_m * SHARE, SHORTEST_M, LONGEST_M))
        shapes = sectors(lon, lat, heading[known], angle[known], radius_m)
    else:
        shapes = np.empty(0, dtype=object)
    said = attrs.get("summary")
    folder = said.get("folder") if isinstance(said, dict) else None
    folder = Path(one).expanduser().parent if isinstance(one, str | os.PathLike) else folder
    found = frame[known].set_geometry(shapes, crs=frames.CRS)
    if folder is not None:
        found = found.assign(
            path=[None if path is None else str(Path(folder) / path) for path in _texts(found["path"])]
        )
    found.attrs = attrs
    return found, {} if known.all() else {NOWHERE: int((~known).sum())}


def _texts(values: Any) -> list[str | None]:
    return [value if isinstance(value, str) else None for value in values]


def _kind(frame: gpd.GeoDataFrame, dimension: int) -> str:
    import pandas as pd

    columns = set(frame.columns)
    if dimension > 1:
        return "areas"
    if dimension == 1:
        lines = (("coverage", {"share_covered", "covered_m"}), ("gaps", {"gap_id"}), ("sequences", {"sequence_id"}))
        kind = next((kind for kind, needs in lines if needs <= columns), "streets")
        numbers = kind != "coverage" or pd.api.types.is_numeric_dtype(frame["share_covered"])
        return kind if numbers else "streets"
    if columns >= VIEWS and all(
        pd.api.types.is_numeric_dtype(frame[name]) for name in ("compass_angle", "field_of_view")
    ):
        return "views"
    times = "time" in columns and pd.api.types.is_datetime64_any_dtype(frame["time"])
    return _kind_of_points(columns, with_times=times)


def _kind_of_points(columns: set[str], *, with_times: bool) -> str:
    points = (
        ("selection", {"point_id", "id"}),
        ("tracks", {"track_id", "time"}),
        ("images", {"id"}),
        ("images", {"captured_at"}),
    )
    return next((kind for kind, needs in points if needs <= columns and (kind != "tracks" or with_times)), "points")


def attribution(layers: list[Layer]) -> list[str]:
    """
    Return whose data the layers show: of images by their rows, else as their frames say it.

    Where rows name several sources, each has its share of the images. OpenStreetMap's data have its ids.
    """
    sources: dict[str, int] = {}
    for layer in layers:
        frame = layer.frame
        credit = dict(_credits(frame))
        for line in [*credit, *frames.credited_of(frame, bare=providers.attribution_of)]:
            sources[line] = sources.get(line, 0) + credit.pop(line, 0)
        if "osmid" in frame.columns:
            sources.setdefault(frames.OPENSTREETMAP, 0)
    total, several = sum(sources.values()), sum(number > 0 for number in sources.values()) > 1
    return [f"{line} ({_share(number / total)})" if several and number else line for line, number in sources.items()]


def _credits(frame: gpd.GeoDataFrame) -> list[Credit]:
    table = columns_in(frame.columns, frame.__getitem__)
    return [] if table is None else credits_of(table, providers.attribution_of)


def _share(share: float) -> str:
    return f"{share:.0%}" if 0.01 <= share <= 0.99 else "<1%" if share < 0.01 else ">99%"


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


def span(layers: list[Layer]) -> tuple[float, float]:
    """
    Return the western and the eastern edge of what is drawn, degrees: the shortest stretch that holds it all.

    Returns
    -------
    west, east
        West is above -180 and at most 180, or -180 for the whole earth; east is no less, and beyond 180
        where the antimeridian lies between.
    """
    starts, widths = [], []
    for layer in layers:
        if layer.is_points or layer.kind == "tracks":
            lon = layer.lonlat[0]
            starts.append(lon)
            widths.append(np.zeros(len(lon)))
            continue
        lon, part = _vertices(layer.geometry)
        same = part[1:] == part[:-1]
        first, second = lon[:-1][same], lon[1:][same]
        step = np.abs(second - first)
        if (step >= ROUND_DEG).any():
            return -180.0, 180.0
        low, high = np.minimum(first, second), np.maximum(first, second)
        starts.append(np.where(step > 180, high, low))
        widths.append(np.where(step > 180, 360 - step, step))
    start, width = np.concatenate(starts), np.concatenate(widths)
    # To the last bit, what lies on the western edge does not lie beyond it.
    start = np.where((start < -180.0) | (start >= 180.0), (start + 180.0) % 360.0 - 180.0, start)
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate((start + width)[order])
    reach = np.maximum(reach, reach[-1] - 360.0)  # what goes on beyond the antimeridian
    gaps = np.append(start[1:], start[0] + 360.0) - reach
    widest = int(np.argmax(gaps))
    if gaps[widest] <= 0:
        return -180.0, 180.0
    west = float(start[(widest + 1) % len(start)])
    west = 180.0 if west == -180.0 else west  # from -180 on lies the whole earth
    return west, west + 360.0 - float(gaps[widest])


ROUND_DEG = 360.0 - 1e-6
"""A step of a line in longitude that goes round the earth; a shorter one goes the short way."""


def _vertices(geometry: Objects) -> tuple[Floats, Rows]:
    """Return the longitudes of the vertices of lines and areas, and the number of the line or ring of each."""
    import shapely

    parts = shapely.get_parts(geometry)
    rings = shapely.get_dimensions(parts) == 2
    lines = np.concatenate([parts[~rings], shapely.get_rings(parts[rings])])
    coordinates, part = shapely.get_coordinates(lines, return_index=True)
    return coordinates[:, 0], part


def turned(lon: Floats, west: float) -> Floats:
    """Return longitudes from the western edge on, at most once round the earth."""
    turns = np.floor((lon - west) / 360.0)
    if west == -180.0:  # the last meridian of the whole earth is its first; a line that ends there does not go back
        turns[lon == 180.0] = 0
    return np.asarray(lon - 360.0 * turns)
