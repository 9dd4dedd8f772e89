"""
Frames as an interactive map: one HTML file that needs neither network nor server.

The page draws with WebGL 2 in its own viewer (viewer.js beside this module; controls.js is what stands round
the map), so that only the data make the file large. Its content security policy allows no other script, and no
text of a frame becomes HTML.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import logging
import os
import re
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

import numpy as np

from mlygeo import providers, store
from mlygeo.attribution import link_of, text
from mlygeo.errors import FrameError, InputError, OutputError
from mlygeo.formats.jpeg import ENDINGS
from mlygeo.plotting import basemap as laying
from mlygeo.plotting import style, thinning
from mlygeo.plotting.columns import Packer, field
from mlygeo.plotting.ground import ground_of
from mlygeo.plotting.layers import (
    BEYOND,
    CUT,
    FILLED,
    LINES,
    LINKED,
    ROUND_DEG,
    attribution,
    layers_of,
    links,
    span,
    together,
)
from mlygeo.plotting.thinning import curve, world
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import geopandas as gpd
    import pandas as pd

    from mlygeo.arrays import Objects
    from mlygeo.plotting.ground import Ground
    from mlygeo.plotting.layers import Layer
    from mlygeo.plotting.widget import MapWidget

log = logging.getLogger("mlygeo.plotting")

MANY = 200_000
"""Layers with more rows show only the columns of `FIRST` in popups."""

FIRST = (
    "id", "captured_at", "compass_angle", "is_pano", "creator", "creator_username", "creator_id", "licence", "provider",
    "instance", "view", "pitch", "field_of_view", "score", "sequence_id", "make", "model",
    "quality_score", "point_id", "distance_m", "rank", "name", "highway", "length_m", "covered_m", "share_covered",
    "newest", "images", "gap_id", "track_id", "time", "altitude", "start", "end", "path", "error",
)  # fmt: skip
"""The first columns of popups, in this order."""

MOST_FIELDS = 24

WHEN = ("captured_at", "time", "start")
"""Columns of times that the page's slider is for: the first that a layer has."""

WAYS = {
    "year": ("captured_at",),
    "creator": ("creator", "creator_username", "creator_id"),
    "score": ("score", "quality_score"),
}
"""What the page can colour images by besides what suits their kind, and the columns that tell it, the best first."""

Thumbnails = Literal["files", "web", "none"]

ADDRESSES = ("thumb_256_url", "thumb_url", "thumb_1024_url")
"""Columns with the address of a small picture, the smallest first."""

MOST_HOSTS = 20
"""Hosts of pictures that the page's policy names; of more it names none, and allows all."""

EMBEDDED_BYTES = 8_000_000
"""Most pictures embedded in a map that is shown in a notebook."""

UNITS = {
    "compass_angle": "°",
    "pitch": "°",
    "field_of_view": "°",
    "distance_m": " m",
    "length_m": " m",
    "covered_m": " m",
    "altitude": " m",
}

PICTURES = {**dict.fromkeys(ENDINGS, "jpeg"), ".png": "png", ".webp": "webp"}

LONGEST_ADDRESS = 40_000_000
"""Most letters of the address of a picture, which may be the picture itself."""

MOST_BYTES = 20_000_000
"""The largest page: a browser opens it in seconds, and mail takes it; pictures in it count apart."""

FEWEST = 10_000
"""Rows that are shown however large they make the page."""

HALF, FAINT = 0.5, 0.25
"""How much filled areas hide of what lies below: those whose colour tells something, and the others."""

POLAR = "write a picture (.png), which reaches the poles"


def explore(
    layers: Iterable[store.FrameLike],
    *,
    title: str | None = None,
    colour: str | None = None,
    basemap: str | os.PathLike[str] | None = None,
    basemap_attribution: str | None = None,
    thumbnails: Thumbnails = "files",
) -> Map:
    """
    Show frames on an interactive map of up to a million points; of more, a representative million is shown.

    The map is one HTML page that fetches nothing unless asked to: it works offline, from a file, and in a notebook.
    Pointing at an image shows its picture; a click shows its columns and a link to its page at the provider. Images
    can be coloured by year, creator or score, and a slider narrows them to a time. Drag with Shift to pick images and
    copy their ids; `map.widget()` returns them in Python. The credits below the map come from the rows if these have
    a `provider`, with licences and shares.

    Parameters
    ----------
    layers
        Frames, or files of them, the lowest first; or the folder that `select` or `coverage` wrote.
    title
        Text above the legend.
    colour
        Name of a column that gives the colours, in every layer that has it: times by year,
        numbers from low to high, other values as categories. Without it, tracks are coloured by
        speed, coverage by how much is covered.
    basemap
        A base map; None shows none, and fetches nothing. Address of map tiles, with {z}, {x} and {y}: tiles that are
        pictures are fetched when the map is looked at, vector tiles (.pbf, .mvt) when it is made. Or path or address
        of a PMTiles archive. Of an archive and of vector tiles, those of the region are put into the page, up to
        8 MB, and need no network. Labels are left out. Mind the terms of the server.
    basemap_attribution
        Credit for the base map, written below the map. Required with `basemap`, unless the tiles are those of
        OpenStreetMap's own server, or of an archive that contains its credit.
    thumbnails
        "files" shows downloaded pictures (column `path`), "web" also those at the addresses in the frame (such as
        `thumb_256_url`, which expires), which the browser fetches when you point at an image, and "none" shows
        none.

    Returns
    -------
    map
        Shows itself in a notebook; `map.save("map.html")` writes it.

    Raises
    ------
    FrameError
        If there is nothing to draw.
    InputError
        If `basemap` is neither an address nor an archive, or does not reach the region, or its credit is unknown, or
        `thumbnails` is another word, or asks for addresses that no layer has.
    FormatError
        If an archive is damaged, or of a kind that cannot be shown.

    Examples
    --------
    >>> explore([streets, selection], colour="captured_at").save("map.html")
    """
    check_thumbnails(thumbnails)
    ground = ground_of(basemap, basemap_attribution)
    made = Map(
        layers_of(layers),
        title=title,
        colour=colour,
        ground=ground,
        thumbnails=thumbnails,
    )
    for note in made.notes():
        log.warning("%s", note)
    return made


class Map:
    """
    An interactive map; made by `explore`.

    Parameters
    ----------
    layers
        What it shows, the lowest first.
    title
        Text above the legend.
    colour
        Name of the column that gives the colours.
    ground
        The base map.
    thumbnails
        Which pictures are shown.
    """

    def __init__(
        self,
        layers: list[Layer],
        *,
        title: str | None = None,
        colour: str | None = None,
        ground: Ground | None = None,
        thumbnails: Thumbnails = "files",
    ) -> None:
        reached = [_on_the_map(layer) for layer in layers]
        self.layers = [layer for layer in reached if len(layer.frame)]
        if not self.layers:
            raise FrameError("there is nothing to draw: everything lies beyond 85.05° north or south", hint=POLAR)
        style.check_colour(self.layers, colour)
        if thumbnails == "web" and not any(name in layer.frame.columns for layer in self.layers for name in ADDRESSES):
            raise InputError(
                f"`thumbnails=web` has no effect: no layer has a column {', '.join(ADDRESSES[:-1])} or {ADDRESSES[-1]}",
                hint=f"add {ADDRESSES[0]} with 'mlygeo metadata', as one of its fields",
            )
        self.title, self.colour, self.ground, self.thumbnails = title, colour, ground, thumbnails
        self._hosts: set[str] = set()
        self._drawn: list[tuple[Layer, Any] | None] = []
        self._base = None if ground is None else laying.lay(ground, _view(self.layers))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """
        Write the map to an HTML file, whole or not at all; pictures are linked, not copied.

        Parameters
        ----------
        path
            The file, ending in .html.

        Raises
        ------
        FormatError
            If it has another ending.
        FileError
            If it cannot be written.
        """
        path = Path(path).expanduser()
        if path.suffix.lower() not in {".html", ".htm"}:
            raise OutputError(f"{path.name}: interactive maps are written as .html")
        folder = path.absolute().parent
        return store.write_text(self.html(picture=lambda file: _link(file, folder)), path)

    def html(self, *, picture: Callable[[str], str | None] | None = None) -> str:
        """
        Return the page.

        Parameters
        ----------
        picture
            Turns the path of an image's file into the address of its thumbnail, None for none;
            without it there are no thumbnails.
        """
        drawn, most = self.layers, sum(len(layer.frame) for layer in self.layers)
        while True:
            page = self._html(drawn, picture)
            room = MOST_BYTES + len(self._base.content if self._base else "")
            room += EMBEDDED_BYTES * 4 // 3 if isinstance(picture, _Embedding) else 0
            if len(page) <= room or most <= FEWEST:
                break
            most = max(int(most * 0.9 * room / len(page)), FEWEST)
            drawn = together(self.layers, most)
        self.layers = drawn
        return page

    def _html(self, drawn: list[Layer], picture: Callable[[str], str | None] | None) -> str:
        packer = Packer()
        self._hosts.clear()
        self._drawn.clear()
        layers = [self._layer(packer, layer, picture) for layer in drawn]
        linked = links(drawn)
        if len(linked):
            layers.insert(0, _links(packer, linked))
            self._drawn.insert(0, None)
        ways = [way for way in WAYS if any(way == paint["by"] for layer in layers for paint in layer["paints"])]
        meta = {
            "title": self.title,
            "layers": layers,
            "ways": [{"by": "", "title": self.colour or "kind of layer"}, *({"by": way, "title": way} for way in ways)],
            "view": _view(drawn),
            "basemap": self._base.about if self._base else None,
        }
        hosts = sorted(self._hosts) if len(self._hosts) <= MOST_HOSTS else ["https:"]
        if self._base and "url" in self._base.about:
            parts = urlsplit(self._base.about["url"])
            hosts.append(f"{parts.scheme}://{parts.netloc}")
        content = {"data": packer.text(), "ground": self._base.content if self._base else ""}
        return _page(meta, content, self.attribution, self.title or "Map", hosts)

    def rows(self, picked: Iterable[tuple[int, Iterable[int]]]) -> list[gpd.GeoDataFrame]:
        """
        Return the rows that were picked on the page that was made last, a frame for each layer that has some.

        Parameters
        ----------
        picked
            Number of each layer on the page, and of its rows.
        """
        found = []
        for number, rows in picked:
            if 0 <= number < len(self._drawn) and (drawn := self._drawn[number]) is not None:
                layer, order = drawn
                chosen = [row for row in rows if 0 <= row < len(order)]
                if chosen:
                    part = layer.frame.iloc[np.sort(np.asarray(order)[chosen])].copy()
                    part.attrs = layer.frame.attrs
                    found.append(part)
        return found

    def widget(self) -> MapWidget:
        """
        Return the map as a widget of Jupyter, whose `selected` is what was picked on it.

        Raises
        ------
        DependencyError
            If anywidget is missing: the hint names the command.

        Examples
        --------
        >>> widget = mlygeo.explore(images).widget()
        >>> widget  # in a cell of its own; Shift and dragging on it picks images
        >>> widget.selected["id"]
        """
        from mlygeo.plotting.widget import widget_of

        return widget_of(self)

    def embedded(self) -> str:
        """Return the page with pictures in it, up to a limit, as it needs them that lies in no folder."""
        return self.html(picture=_Embedding())

    def notes(self) -> list[str]:
        """Return what the map does not show, or otherwise than it is, in sentences."""
        return [note for layer in self.layers for note in layer.notes()] + (self._base.notes if self._base else [])

    @cached_property
    def attribution(self) -> list[str]:
        """Whose data the map shows."""
        sources = attribution(self.layers)
        return sources if self.ground is None else [*sources, self.ground.line]

    def _repr_html_(self) -> str:
        """Return the map as a notebook shows it: a page in a frame that may run its script and open links."""
        page = html.escape(self.embedded(), quote=True)
        return (
            f'<iframe srcdoc="{page}" sandbox="allow-scripts allow-popups" title="{html.escape(self.title or "Map")}"'
            ' style="width: 100%; height: 560px; border: 1px solid #ccc; box-sizing: border-box"></iframe>'
        )

    def _layer(self, packer: Packer, layer: Layer, picture: Callable[[str], str | None] | None) -> dict[str, Any]:
        with_gaps = any(other.kind == "gaps" for other in self.layers)
        paints = {"": style.paint(layer, self.colour, with_gaps=with_gaps), **_ways(layer, self.colour)}
        points = layer.is_points or (layer.kind == "tracks" and not layer.track_order()[1].any())
        found: dict[str, Any] = {
            "name": layer.name,
            "rows": len(layer.frame),
            "all": layer.rows,
            "notes": layer.notes(),
            "shape": "points" if points else "lines",
            "extent": [f"{value:.5f}°" for value in layer.frame.total_bounds],
        }
        order = _points(packer, layer, found) if points else _lines(packer, layer, found)
        found["paints"] = [
            {
                "by": way,
                "title": "" if paint.title == "km/h" else paint.title,
                "colours": [style.GREY if colour == style.PALE else colour for colour in paint.colours],
                "labels": _labels(paint),
                "index": None if paint.index is None else packer.add(paint.index[order], "u1"),
            }
            for way, paint in paints.items()
        ]
        if "rings" in found:
            found["strength"] = FAINT if paints[""].labels is None else HALF
        rows = layer.frame.iloc[order]
        self._drawn.append((layer, order))
        found["columns"] = _fields(packer, layer, rows, self._thumbnails(rows, picture))
        when = next((field for field in found["columns"] if field.get("role") == "when"), None)
        if when is not None:
            known = rows[when["name"]].dropna()
            found["taken"] = [f"{time:%Y-%m-%d %H:%M}" for time in (known.min(), known.max())]
        return found

    def _thumbnails(self, rows: pd.DataFrame, picture: Callable[[str], str | None] | None) -> pd.Series | None:
        """Return the address of the small picture of each row; None where there are none."""
        import pandas as pd

        found = pd.Series([None] * len(rows), index=rows.index, dtype=object)
        if self.thumbnails == "none":
            return None
        if picture is not None and "path" in rows.columns:
            found = rows["path"].map(lambda path: picture(str(path)) if isinstance(path, str) and path else None)
        if self.thumbnails == "web":
            for name in (name for name in ADDRESSES if name in rows.columns):
                web = rows[name].map(lambda url: url if isinstance(url, str) and WEB.fullmatch(url) else None)
                found = found.astype(object).where(found.notna(), web)
            parts = [urlsplit(url) for url in found.dropna().unique() if WEB.fullmatch(url)]
            self._hosts |= {f"{part.scheme}://{part.netloc}" for part in parts}
        return None if found.isna().all() else found


WEB = re.compile(r"(https://[A-Za-z0-9.-]+|http://127\.0\.0\.1)(:[0-9]+)?/[^\s\"'<>;]*")
"""Addresses of pictures that the page may ask for; without encryption those on this machine, as in a rehearsal."""


def _ways(layer: Layer, colour: str | None) -> dict[str, style.Paint]:
    """Return the further ways to colour a layer, by their name."""
    found = {}
    for way, columns in WAYS.items():
        name = next((name for name in columns if name in layer.frame.columns and layer.frame[name].notna().any()), None)
        if name is not None and name != colour and (way != "year" or _are_times(layer.frame[name])):
            found[way] = replace(style.paint(layer, name), title=way)
    return found


def _are_times(values: pd.Series) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_datetime64_any_dtype(values))


def _labels(paint: style.Paint) -> list[str] | None:
    if paint.labels is None:
        return None
    unit = " km/h" if paint.title == "km/h" else ""
    return [text + (unit if text[0].isdigit() else "") for text in paint.labels]


def _points(packer: Packer, layer: Layer, found: dict[str, Any]) -> Any:
    x, y = world(*layer.lonlat)
    order = np.argsort(curve(x, y), kind="stable").astype(np.int64)
    found |= {"x": packer.add(x[order], "u4", differences=True), "y": packer.add(y[order], "u4", differences=True)}
    found["radius"] = 5 if layer.kind == "points" else 4
    heading = layer.headings()
    if heading is not None and np.isfinite(heading).any():
        turned = np.where(np.isfinite(heading), np.rint(np.mod(heading, 360.0) / 360.0 * 65534), 65535)
        found["heading"] = packer.add(turned[order], "u2")
    pano = layer.panoramas()
    if pano.any():
        found["panoramas"] = packer.add(pano[order], "u1")
    return order


def _lines(packer: Packer, layer: Layer, found: dict[str, Any]) -> Any:
    """Add lines; each belongs to a row. Areas are their rings, which the page fills."""
    import shapely

    order: Any = np.arange(len(layer.frame))
    rings = None
    if layer.kind == "tracks":
        # One piece of the track for each position but the first, so that each piece has its own colour and popup.
        order, follows = layer.track_order()
        places = np.column_stack(layer.lonlat)[order]
        owners = np.flatnonzero(follows)
        coordinates = np.stack([places[owners - 1], places[owners]], axis=1).reshape(-1, 2)
        counts = np.full(len(owners), 2)
    else:
        parts, owners = shapely.get_parts(layer.geometry, return_index=True)
        if layer.kind in FILLED:
            areas = shapely.get_dimensions(parts) == 2  # what is cut at the end of the map may leave a line
            owners = owners[areas]
            parts, polygon = shapely.get_rings(parts[areas], return_index=True)
            rings, owners = np.bincount(polygon, minlength=len(owners)), owners[polygon]
        coordinates, counts = shapely.get_coordinates(parts), shapely.get_num_coordinates(parts)
    x, y = world(*coordinates.T)
    found |= {
        "x": packer.add(x, "u4", differences=True),
        "y": packer.add(y, "u4", differences=True),
        "counts": packer.add(counts, "u4"),
        "owners": packer.add(owners, "u4", differences=True),
        "width": {"gaps": 5, "coverage": 4, "tracks": 4, "areas": 1.5, "views": 1.5}.get(layer.kind, 2.5),
    }
    if rings is not None:
        found["rings"] = packer.add(rings, "u4")
    return order


def _links(packer: Packer, links: Any) -> dict[str, Any]:
    x, y = world(*links.reshape(-1, 2).T)
    return {
        "name": LINKED,
        "rows": len(links),
        "shape": "lines",
        "paints": [{"by": "", "title": "", "colours": [style.BLACK], "labels": None, "index": None}],
        "x": packer.add(x, "u4", differences=True),
        "y": packer.add(y, "u4", differences=True),
        "counts": packer.add(np.full(len(links), 2), "u4"),
        "owners": packer.add(np.arange(len(links)), "u4", differences=True),
        "width": 1.2,
        "columns": [],
    }


def _fields(packer: Packer, layer: Layer, frame: pd.DataFrame, thumbnails: pd.Series | None) -> list[dict[str, Any]]:
    names = [name for name in FIRST if name in frame.columns]
    if layer.rows <= MANY:
        names += [str(name) for name in frame.columns if name not in FIRST]
    names = [name for name in names if str(frame[name].dtype) != "geometry" and name != "licence_url"][:MOST_FIELDS]
    fields = []
    if thumbnails is not None and (made := field(packer, "thumbnail", thumbnails, longest=LONGEST_ADDRESS)):
        fields.append({**made, "role": "thumbnail"})
    when = next((name for name in WHEN if name in names and _are_times(frame[name])), None)
    for name in names:
        # Maps are given to other people, so the author's folders must not appear in them.
        values = frame[name].map(_file_name) if name == "path" else frame[name]
        made = field(packer, "file" if name == "path" else name, values)
        if made is None:
            continue
        if name == "id" and layer.kind in {"images", "selection", "views"} and (pages := _pages(frame, made["kind"])):
            made |= {"role": "picture", "pages": pages}
        if name == when and made["kind"] == "time":
            made |= {"role": "when", "name": name}
        if name == "provider":
            made["role"] = "provider"
        if name in UNITS:
            made["unit"] = UNITS[name]
            made["title"] = made["title"].removesuffix(" m")  # the value has it
        fields.append(made)
        if name == "licence" and (address := field(packer, "licence address", _addresses(frame))) is not None:
            made["role"] = "licence"
            fields.append({**address, "role": "address"})
    return fields


def _pages(frame: pd.DataFrame, kind: str) -> dict[str, list[str]]:
    """
    Return for each provider the address of a picture's page, with {id} in it, and the provider's name for people.

    The provider of images without a column `provider`, "" here, is Mapillary where their ids are whole numbers, and
    else unknown.
    """
    if "provider" in frame.columns:
        names = {str(name): str(name) for name in frame["provider"].dropna().unique()}
    else:
        names = {"": DEFAULT_PROVIDER} if kind == "whole" else {}
    found = {}
    for said, name in names.items():
        if name in providers.names() and (page := (who := providers.provider(name)).page) is not None:
            found[said] = [page, who.title]
    return found


def _addresses(frame: pd.DataFrame) -> pd.Series:
    """Return the addresses of the rows' licences: their own, else those of known licences; none but of the web."""
    import pandas as pd

    own = frame["licence_url"] if "licence_url" in frame.columns else [None] * len(frame)
    found = [text(url) or link_of(text(licence)) for licence, url in zip(frame["licence"], own, strict=True)]
    web = [url if url is not None and re.match("https?://", url, re.IGNORECASE) else None for url in found]
    return pd.Series(web, index=frame.index, dtype=object)


def _file_name(path: Any) -> str | None:
    return re.split(r"[/\\\\]", path)[-1] if isinstance(path, str) else None


def _link(file: str, folder: Path) -> str | None:
    """Return the address of a picture's file, relative to the folder of the map."""
    path = Path(file).expanduser()
    if path.suffix.lower() not in PICTURES:
        return None
    try:
        relative = os.path.relpath(path.absolute(), folder)
    except ValueError:  # another drive of Windows
        return path.absolute().as_uri()
    # With "./" before it, no file name can be read as a scheme such as javascript:.
    return "./" + quote(Path(relative).as_posix())


class _Embedding:
    """Pictures embedded in the page, up to a limit."""

    def __init__(self) -> None:
        self._left = EMBEDDED_BYTES
        self._known: dict[str, str | None] = {}

    def __call__(self, file: str) -> str | None:
        if file not in self._known:
            self._known[file] = self._embedded(Path(file).expanduser())
        return self._known[file]

    def _embedded(self, path: Path) -> str | None:
        kind = PICTURES.get(path.suffix.lower())
        try:
            if kind is None or path.stat().st_size > self._left:
                return None
            data = path.read_bytes()
        except OSError:
            return None
        self._left -= len(data)
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _view(layers: list[Layer]) -> list[float]:
    """Return the box that shows everything: west and north edge, width and height, in units of the world."""
    bounds = np.array([layer.frame.total_bounds for layer in layers])
    west, east = span(layers)
    left = (west + 180.0) / 360.0 * thinning.WORLD
    wide = max((east - west) / 360.0 * thinning.WORLD, 0.0)
    _, (low, top) = world(np.zeros(2), np.array([bounds[:, 1].min(), bounds[:, 3].max()]))
    high = float(low) - float(top)
    # Layers without width or height are shown in the middle of a box of some twenty metres.
    least = 2000.0
    return [
        left + min(wide - least, 0.0) / 2,
        float(top) + min(high - least, 0.0) / 2,
        max(wide, least),
        max(high, least),
    ]


def _on_the_map(layer: Layer) -> Layer:
    """Return what a Web Mercator map can show of a layer: it ends before the poles."""
    import shapely

    end = thinning.NORTHMOST
    if layer.kind not in LINES:
        lat = layer.lonlat[1]
        inside = np.abs(lat) <= end
        if inside.all():
            return layer
        gone = int((np.abs((layer.everywhere or layer.lonlat)[1]) > end).sum())
        return replace(
            layer, frame=layer.frame[inside], rows=layer.rows - gone, left_out={**layer.left_out, BEYOND: gone}
        )
    bounds = shapely.bounds(layer.geometry)
    beyond = (bounds[:, 1] < -end) | (bounds[:, 3] > end)
    round_the_earth = bounds[:, 2] - bounds[:, 0] >= ROUND_DEG
    if not (beyond.any() or round_the_earth.any()):
        return layer
    geometry = layer.geometry.copy()
    geometry[beyond] = _cut(geometry[beyond], end)
    # The page draws a line between two vertices the short way, which is no way at all round the earth.
    geometry[round_the_earth] = shapely.segmentize(geometry[round_the_earth], 90.0)
    there = ~shapely.is_empty(geometry)
    gone, cut = int((~there).sum()), int((beyond & there).sum())
    left_out = {**layer.left_out, **({BEYOND: gone} if gone else {}), **({CUT: cut} if cut else {})}
    frame = layer.frame[there].set_geometry(geometry[there], crs=4326)
    return replace(layer, frame=frame, rows=layer.rows - gone, left_out=left_out)


def _cut(geometry: Objects, end: float) -> Objects:
    """Return lines and areas as far as a latitude; those that GEOS cannot cut, with their vertices moved there."""
    import shapely

    try:
        return np.asarray(shapely.clip_by_rect(geometry, -1000.0, -end, 1000.0, end))
    except shapely.GEOSException:
        return np.asarray(
            shapely.transform(geometry, lambda at: np.column_stack([at[:, 0], np.clip(at[:, 1], -end, end)]))
        )


def check_thumbnails(thumbnails: str) -> None:
    """
    Raise unless a word says which pictures are shown.

    Raises
    ------
    InputError
        If it does not.
    """
    if thumbnails not in {"files", "web", "none"}:
        raise InputError(f"`thumbnails` is 'files', 'web' or 'none', not {thumbnails!r}")


def _page(meta: dict[str, Any], content: dict[str, str], attribution: list[str], title: str, hosts: list[str]) -> str:
    """Return the page with the viewer's settings (`meta`), what it unpacks (`content`) and where pictures come from."""
    base = meta["basemap"] or {}
    filled = base.get("kind") == "shapes" or any("rings" in layer for layer in meta["layers"])
    needed = [*(("fills.js", "earcut.min.js") if filled else ()), *(("ground.js",) if base else ())]
    script, sheet = "".join(map(_asset, (*needed, "viewer.js", "controls.js"))), _asset("viewer.css")

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    images = " ".join(["data: blob: file: 'self'", *hosts])
    policy = (
        f"default-src 'none'; script-src {digest(script)}; style-src {digest(sheet)}; img-src {images};"
        " base-uri 'none'; form-action 'none'"
    )
    # Inside a script element only "<" could end it; the other characters are for readers that are not browsers.
    escaped = json.dumps(meta).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(style.encodable(title))}</title>",
            f"<style>{sheet}</style></head><body>",
            '<div id="map" tabindex="0" role="application" aria-roledescription="map" aria-label="Map"',
            ' aria-describedby="keys"><div id="tiles"></div><div id="cross"></div><div id="frame" hidden></div></div>',
            '<p id="keys" class="unseen">Arrow keys move the map, plus and minus zoom, Home shows everything.',
            "Enter tells what is nearest to the middle, the space bar adds it to what is picked.</p>",
            '<p id="status" class="unseen" role="status"></p>',
            '<details id="panel" class="box" open><summary>Legend</summary></details>',
            '<div id="buttons" class="box" role="toolbar" aria-label="Map" aria-orientation="vertical">',
            '<button id="in" aria-label="Zoom in" title="Zoom in">+</button>',
            '<button id="out" aria-label="Zoom out" title="Zoom out">&minus;</button>',
            '<button id="all" aria-label="Show everything" title="Show everything">&#x2922;</button>',
            '<button id="choose" aria-pressed="false" aria-label="Pick by drawing a box"',
            ' title="Pick by drawing a box (or Shift and dragging)">&#x2b1a;</button></div>',
            '<div id="foot"><div id="scale" class="box"><span></span><div></div></div>',
            f'<div id="attribution" class="box">{_linked(style.encodable("  ·  ".join(attribution)))}</div></div>',
            '<div id="hover" class="box" aria-hidden="true" hidden></div>',
            '<div id="popup" class="box" role="dialog" aria-label="What was clicked" hidden></div>',
            '<div id="problem" class="box" role="alert" hidden></div>',
            f'<script id="meta" type="application/json">{escaped}</script>',
            *(f'<script id="{name}" type="text/plain">{text}</script>' for name, text in content.items() if text),
            f"<script>{script}</script>",
            "</body></html>",
            "",
        ]
    )


def _linked(text: str) -> str:
    """Return a text as HTML, in which addresses of the web are links."""
    parts = re.split(r"(https?://[^\s()<>\"']+)", text)
    return "".join(
        f'<a href="{html.escape(part)}" target="_blank" rel="noopener noreferrer">{html.escape(part)}</a>'
        if number % 2
        else html.escape(part)
        for number, part in enumerate(parts)
    )


@lru_cache(maxsize=8)
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
