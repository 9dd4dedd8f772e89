"""Frames as a picture: lines, points and headings in Matplotlib, readable at half its size."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlygeo import frames
from mlygeo.extras import missing
from mlygeo.plotting import ground as base
from mlygeo.plotting import style
from mlygeo.plotting.layers import LINKED, attribution, layers_of, links, span, turned
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mlygeo import store
    from mlygeo.arrays import Floats
    from mlygeo.plotting.ground import Ground
    from mlygeo.plotting.layers import Layer
    from mlygeo.plotting.style import Paint

log = logging.getLogger("mlygeo.plotting")

SIZE_INCHES, LEAST_INCHES = 7.5, 6.0
"""The map's longer side, and the smallest width, which the attribution needs."""

SMALL, NORMAL, LARGE = 10, 11, 14
"""Sizes of text, points: at 150 dots an inch still ten dots high where the picture is shown half as wide."""

MOST_DOTS = 50_000
"""More points than this would cover each other; they are counted on a lattice instead."""

LATTICE = 500
"""Cells of the lattice along the longer side."""

APART = "  ·  "
"""What stands between attributions."""

LONGEST_LINE = 110
"""Letters of a line of attributions that fit under a map."""

INSET = 0.28
"""Longer side of the small map, as a part of the shorter side of the figure."""

AS_TEXT = {"svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "mlygeo"}
"""Text of vector pictures stays text, which programs for drawings can edit; names in them do not change by chance."""

UNDATED: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}
"""What would differ each time a picture is written."""

ARROWS = 28
"""Headings are thinned to one in each of so many squares along the longer side."""


def draw(
    layers: Iterable[store.FrameLike],
    *,
    title: str | None = None,
    dpi: int = 150,
    colour: str | None = None,
    ground: Ground | None = None,
    inset: store.FrameLike | None = None,
) -> Figure:
    """
    Draw frames on top of each other; see `mlygeo.plot`.

    Raises
    ------
    DependencyError
        If Matplotlib is missing.
    FrameError
        If there is nothing to draw.
    """
    drawn = layers_of(layers)
    for note in (note for layer in drawn for note in layer.notes(counted=True)):
        log.warning("%s", note)
    return draw_layers(
        drawn, title=title, dpi=dpi, colour=colour, ground=ground, inset=None if inset is None else layers_of(inset)
    )


@lru_cache(maxsize=1)
def _figure() -> Any:
    """Return the class of figures, which exists only where Matplotlib does."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure as MatplotlibFigure
    except ImportError as error:
        raise missing("pictures need Matplotlib", "plot") from error

    class MapFigure(MatplotlibFigure):  # type: ignore[misc]
        """A figure that is written with text that stays text, and as the same bytes each time."""

        def savefig(
            self,
            fname: Any,
            *,
            format: str | None = None,  # noqa: A002 - Matplotlib's name
            metadata: dict[str, Any] | None = None,
            **more: object,
        ) -> None:
            ending = format or Path(str(fname)).suffix.lstrip(".").lower()
            undated = UNDATED.get(ending, {})
            with rc_context(AS_TEXT):
                super().savefig(fname, format=format, metadata={**undated, **(metadata or {})}, **more)

    return MapFigure


def draw_layers(
    drawn: list[Layer],
    *,
    title: str | None,
    dpi: int,
    colour: str | None,
    ground: Ground | None = None,
    inset: list[Layer] | None = None,
) -> Figure:
    """Draw layers on top of each other; see `draw`."""
    figure: Figure = _figure()(dpi=dpi, layout="constrained")
    style.check_colour(drawn, colour)
    axes = figure.add_subplot()
    west, east = span(drawn)
    _fit(axes, drawn, west, east)
    figure.set_size_inches(*_size(axes))
    limits = axes.get_xlim(), axes.get_ylim()
    notes = [] if ground is None else _draw_ground(axes, ground, dots=figure.get_figwidth() * dpi)
    with_gaps = any(layer.kind == "gaps" for layer in drawn)
    for layer in drawn:
        _draw_layer(axes, layer, style.paint(layer, colour, with_gaps=with_gaps), west)
    _draw_links(axes, links(drawn), west)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    _draw_headings(axes, drawn, west)
    by_values = colour is not None and any(colour in layer.frame.columns for layer in drawn)
    _finish(axes, title, colour if by_values else None)
    if inset is not None:
        _draw_inset(figure, axes, inset, drawn, west)
    figure.supxlabel(
        style.printable(_in_lines([*attribution([*drawn, *(inset or [])]), *notes, *_said(drawn)])),
        parse_math=False,
        fontsize=SMALL,
        x=0.99,
        ha="right",
        color=style.BLACK,
        gid="attribution",
    )
    return figure


def _draw_ground(axes: Axes, ground: Ground, *, dots: float) -> list[str]:
    """Draw a base map below everything; return whose it is, and what it lacks."""
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    image, extent, missing = base.picture(ground, (west, south, east, north), dots=dots)
    axes.imshow(image, extent=extent, zorder=-1, aspect=axes.get_aspect(), interpolation="bilinear", gid="base map")
    lacks = f"{counted(missing, 'tile')} of the base map {'is' if missing == 1 else 'are'} missing"
    if missing:
        log.warning("%s", lacks)
    return [ground.line, *([lacks] if missing else [])]


def _draw_inset(figure: Figure, axes: Axes, layers: list[Layer], drawn: list[Layer], west: float) -> None:
    """Draw where the map lies on a smaller one, in the corner where the map has least to hide."""
    from matplotlib.patches import Rectangle

    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    begin, end = span(layers)
    turn = 360.0 * round(((begin + end) - (left + right)) / 720.0)  # the antimeridian may lie between the two
    left, right = left + turn, right + turn
    bounds = np.array([layer.frame.total_bounds for layer in layers])
    start, end = min(begin, left), max(end, right)
    south, north = min(bounds[:, 1].min(), low), max(bounds[:, 3].max(), high)
    squeeze = max(math.cos(math.radians((south + north) / 2)), 0.01)
    wide, tall = (end - start) * squeeze, north - south
    shape = (INSET, INSET * tall / wide) if wide >= tall else (INSET * wide / tall, INSET)
    inches = figure.get_size_inches()
    share = np.array([side * min(inches) / full for side, full in zip(shape, inches, strict=True)])
    small = axes.inset_axes((*_emptiest_corner(axes, drawn, west, share), *share), zorder=8)
    small.set_gid("inset")
    for layer in layers:
        part = replace(layer, name="")
        _draw_layer(small, part, style.Paint((style.PALE if layer.kind == "areas" else style.GREY,)), begin)
    # A rectangle that is a dot on the small map would not be seen.
    least = 0.03 * max(end - start, (north - south) / squeeze)
    middle, centre = (left + right) / 2, (low + high) / 2
    across, up = max(right - left, least), max(high - low, least * squeeze)
    small.add_patch(
        Rectangle(
            (middle - across / 2, centre - up / 2), across, up, fill=False, edgecolor=style.VERMILION, linewidth=1.6,
            zorder=9, gid="extent",
        )
    )  # fmt: skip
    margin = 0.04
    small.set_xlim(start - margin * (end - start), end + margin * (end - start))
    small.set_ylim(south - margin * tall, north + margin * tall)
    small.set_aspect(1 / squeeze)
    small.set(xticks=[], yticks=[], xlabel="", ylabel="", facecolor="white")


def _emptiest_corner(axes: Axes, drawn: list[Layer], west: float, share: Floats) -> Floats:
    """Return the lower left of a box in the corner of the axes with the fewest vertices; the bar has one for itself."""
    import shapely

    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    vertices = np.concatenate([shapely.get_coordinates(layer.geometry) for layer in drawn])
    at = np.column_stack(
        [(turned(vertices[:, 0], west) - left) / (right - left), (vertices[:, 1] - low) / (high - low)]
    )
    edge = 0.015
    far = 1 - edge - share
    corners = [far, np.array([edge, far[1]]), np.array([far[0], edge])]
    return min(
        corners, key=lambda corner: int(((at >= corner - edge) & (at <= corner + share + edge)).all(axis=1).sum())
    )


def _in_lines(parts: list[str]) -> str:
    """Return parts beside each other, in as many lines as their length needs."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}{APART}{part}" if lines else part
        if lines and len(longer) <= LONGEST_LINE:
            lines[-1] = longer
        else:
            lines.append(part)
    return "\n".join(lines)


def _said(layers: list[Layer]) -> list[str]:
    """Return what is not drawn, for the line below the picture: it counts what is too dense, and thins nothing else."""
    left_out = sum(sum(layer.left_out.values()) for layer in layers)
    return [f"{counted(left_out, 'row')} left out"] if left_out else []


def _size(axes: Axes) -> tuple[float, float]:
    """Return width and height of a figure that its map fills, inches."""
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    ratio = (north - south) / ((east - west) * max(math.cos(math.radians((south + north) / 2)), 0.01))
    wide, high = min(SIZE_INCHES, SIZE_INCHES / ratio), min(SIZE_INCHES, SIZE_INCHES * ratio)
    return max(wide + 0.5, LEAST_INCHES), high + 1.2


def _draw_layer(axes: Axes, layer: Layer, paint: Paint, west: float) -> None:
    name = "covered" if layer.kind == "coverage" and paint.index is None else layer.name
    label = name if name != layer.name else layer.counted
    if layer.kind == "tracks":
        _draw_track(axes, layer, paint, west, label)
    elif layer.is_points:
        _draw_points(axes, layer, paint, west, label)
    elif layer.kind in {"areas", "views"}:
        import shapely

        def move(places: Floats) -> Floats:
            return np.column_stack([turned(places[:, 0], west), places[:, 1]])

        moved = np.asarray(shapely.transform(layer.geometry, move))
        areas = layer.frame.set_geometry(moved, crs=frames.CRS)
        index = np.zeros(len(areas), np.uint8) if paint.index is None else paint.index
        for number, (colour, what) in enumerate(_classes(paint, label)):
            if not (index == number).any():
                continue
            if layer.kind == "views":  # they overlap, and stand on the streets
                faces = {"facecolor": f"{colour}55", "edgecolor": colour, "linewidth": 0.6, "zorder": 4}
            else:
                faces = {"color": colour, "edgecolor": style.GREY, "zorder": 0}
            areas[index == number].plot(ax=axes, label=what, **faces)
    else:
        _draw_lines(axes, layer, paint, west, label)


def _draw_lines(axes: Axes, layer: Layer, paint: Paint, west: float, label: str) -> None:
    import shapely
    from matplotlib.collections import LineCollection

    parts, owner = shapely.get_parts(layer.geometry, return_index=True)
    coordinates, line = shapely.get_coordinates(parts, return_index=True)
    coordinates[:, 0] = turned(coordinates[:, 0], west)
    lines = np.split(coordinates, np.flatnonzero(np.diff(line)) + 1)
    width = {"gaps": 3.0, "coverage": 2.2, "sequences": 1.6}.get(layer.kind, 1.2) * (0.5 if len(lines) > 20_000 else 1)
    order = {"gaps": 3, "coverage": 2}.get(layer.kind, 1)
    index = np.zeros(len(layer.frame), np.uint8) if paint.index is None else paint.index
    for number, (colour, what) in enumerate(_classes(paint, label)):
        chosen = np.flatnonzero(index[owner] == number)
        if len(chosen):
            axes.add_collection(
                LineCollection(
                    [lines[i] for i in chosen], colors=colour, linewidths=width, zorder=order, label=what,
                    rasterized=len(chosen) > MOST_DOTS, capstyle="round",
                )
            )  # fmt: skip


def _classes(paint: Paint, label: str) -> list[tuple[str, str]]:
    """Return colours with their labels in the legend; a colour with an empty label is left out."""
    if paint.index is None:
        return [(paint.colours[0], label)]
    if paint.labels is None:
        return [(colour, label if number == 0 else "") for number, colour in enumerate(paint.colours)]
    counts = np.bincount(paint.index, minlength=len(paint.colours))
    unit = f" {paint.title}" if paint.title == "km/h" else ""
    return [
        (colour, f"{text}{unit} ({count:,})")
        for colour, text, count in zip(paint.colours, paint.labels, counts, strict=True)
    ]


def _draw_track(axes: Axes, layer: Layer, paint: Paint, west: float, label: str) -> None:
    from matplotlib.collections import LineCollection

    order, follows = layer.track_order()
    lon, lat = (values[order] for values in layer.lonlat)
    places = np.column_stack([turned(lon, west), lat])
    to = np.flatnonzero(follows)
    index = np.zeros(len(order), np.uint8) if paint.index is None else paint.index[order]
    segments = np.stack([places[to - 1], places[to]], axis=1)
    for number, (colour, what) in enumerate(_classes(paint, label)):
        mine = segments[index[to] == number]
        if len(mine):
            axes.add_collection(
                LineCollection(list(mine), colors=colour, linewidths=2.4, zorder=3, label=what, capstyle="round")
            )
    if not len(to):
        axes.scatter(places[:, 0], places[:, 1], s=12, c=paint.colours[0], zorder=3, label=label)


def _draw_points(axes: Axes, layer: Layer, paint: Paint, west: float, label: str) -> None:
    lon, lat = layer.everywhere or layer.lonlat
    lon = turned(lon, west)
    if len(lon) > MOST_DOTS:
        _draw_density(axes, lon, lat, f"{layer.name} ({layer.rows:,})")
        return
    size = max(5.0, min(30.0, 6000 / len(lon)))
    pano = layer.panoramas()
    index = np.zeros(len(lon), np.uint8) if paint.index is None else paint.index
    everything = np.ones(len(lon), dtype=bool)
    shapes = [(everything, "o", "")]
    if layer.kind != "points" and pano.any() and not pano.all() and paint.labels is None:
        flat = layer.flat_pictures()
        shapes = [
            (~pano & ~flat, "s", "pictures of unknown kind"), (flat, "^", "flat pictures"), (pano, "o", "panoramas"),
        ]  # fmt: skip
    for number, (colour, what) in enumerate(_classes(paint, label)):
        for mask, marker, shape in shapes:
            mine = mask & (index == number)
            if not mine.any():
                continue
            axes.scatter(
                lon[mine], lat[mine], s=size, c=style.PURPLE if shape == "panoramas" else colour, marker=marker,
                linewidths=0.4, edgecolors="white" if size > 12 else "none", zorder=3 if layer.kind == "points" else 4,
                label=f"{layer.name}, {shape} ({mine.sum():,})" if shape else what,
            )  # fmt: skip


def _draw_density(axes: Axes, lon: Floats, lat: Floats, label: str) -> None:
    """Draw the number of points in each cell of a lattice, for more points than can be distinguished as dots."""
    from matplotlib.colors import ListedColormap, LogNorm

    west, east, south, north = lon.min(), lon.max(), lat.min(), lat.max()
    squeeze = max(math.cos(math.radians((south + north) / 2)), 0.01)
    cell = max((east - west) * squeeze, north - south, 1e-9) / LATTICE
    columns, rows = int((east - west) * squeeze / cell) + 1, int((north - south) / cell) + 1
    column = ((lon - west) * (squeeze / cell)).astype(np.int64)
    row = ((lat - south) / cell).astype(np.int64)
    counts = np.bincount(row * columns + column, minlength=columns * rows).reshape(rows, columns).astype(float)
    counts[counts == 0] = np.nan
    most = float(np.nanmax(counts))
    colours = style.SCALE[::-1]
    axes.imshow(
        counts, origin="lower", interpolation="nearest", zorder=3, aspect="auto", cmap=ListedColormap(colours),
        norm=LogNorm(1, max(most, 2)), extent=(west, west + columns * cell / squeeze, south, south + rows * cell),
    )  # fmt: skip
    metres = cell * 111_000
    text = f"{label}: from 1 to {most:,.0f} in {metres:,.0f} m"
    axes.add_patch(_key(colours[2], text))


def _key(colour: str, text: str) -> Any:
    """Return an empty patch for the legend."""
    from matplotlib.patches import Polygon

    return Polygon(np.empty((0, 2)), closed=False, facecolor=colour, label=text)


def _draw_links(axes: Axes, links: Floats, west: float) -> None:
    """Draw a line from each selected image to its street point."""
    from matplotlib.collections import LineCollection

    if not len(links) or len(links) > MOST_DOTS:
        return
    links = links.copy()
    links[..., 0] = turned(links[..., 0], west)
    axes.add_collection(LineCollection(list(links), colors=style.BLACK, linewidths=0.7, zorder=2, label=LINKED))


def _draw_headings(axes: Axes, layers: list[Layer], west: float) -> None:
    """Draw which way cameras look, one arrow in each square where they are dense."""
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    squeeze = max(math.cos(math.radians((south + north) / 2)), 0.01)
    side = max((east - west) * squeeze, north - south) / ARROWS
    for layer in layers:
        heading = layer.headings()
        if heading is None or len(heading) > MOST_DOTS:
            continue
        lon, lat = layer.lonlat
        lon = turned(lon, west)
        flat = np.flatnonzero(np.isfinite(heading) & ~layer.panoramas())
        if not len(flat):
            continue
        column = np.floor((lon[flat] - west) * squeeze / side).astype(np.int64)
        row = np.floor((lat[flat] - south) / side).astype(np.int64)
        chosen = flat[np.unique(row * 4 * ARROWS + column, return_index=True)[1]]
        angle = np.radians(heading[chosen])
        axes.quiver(
            lon[chosen], lat[chosen], np.sin(angle), np.cos(angle), angles="uv", units="inches", scale=1 / 0.19,
            scale_units="inches", width=0.022, headwidth=4.5, headlength=5, headaxislength=4.5, color=style.BLACK,
            edgecolor="white", linewidth=0.5, zorder=5, label="camera looks", gid="headings",
        )  # fmt: skip


def _fit(axes: Axes, layers: list[Layer], west: float, east: float) -> None:
    """Set the limits to the drawn layers with a margin, and the aspect for the latitude of the middle."""
    bounds = np.array([layer.frame.total_bounds for layer in layers])
    south, north = bounds[:, 1].min(), bounds[:, 3].max()
    squeeze = max(math.cos(math.radians((south + north) / 2)), 0.01)
    margin = max(0.05 * max((east - west) * squeeze, north - south), 2e-4)
    # A street due north or a row of points due east must not make the picture a narrow strip.
    least = 0.35 * max((east - west) * squeeze, north - south) / 2
    wide, high = max((east - west) / 2, least / squeeze) + margin / squeeze, max((north - south) / 2, least) + margin
    wide = min(wide, 190.0)
    axes.set_xlim((west + east) / 2 - wide, (west + east) / 2 + wide)
    axes.set_ylim(max((south + north) / 2 - high, -90.0), min((south + north) / 2 + high, 90.0))
    axes.set_aspect(1 / squeeze)


def _finish(axes: Axes, title: str | None, colour: str | None) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.legend_handler import HandlerPolyCollection
    from matplotlib.quiver import Quiver
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set(xlabel="", ylabel="")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))
        axis.set_tick_params(labelsize=SMALL, colors=style.BLACK)
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value - 360 if value > 180 else value + 360 if value < -180 else value:g}°")
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}°"))
    axes.yaxis.set_tick_params(rotation=90)
    for label in axes.get_yticklabels():
        label.set_verticalalignment("center")
    _draw_scale_bar(axes)
    # Areas: built in from Matplotlib 3.11 on. Arrows: Matplotlib would show a box of their colour.
    keys: dict[type, Any] = {PatchCollection: HandlerPolyCollection(), Quiver: _arrow_key()}
    handles, labels = axes.get_legend_handles_labels(keys)
    shown = [(handle, label) for handle, label in zip(handles, labels, strict=True) if label]
    if shown:
        legend = axes.legend(
            *zip(*shown, strict=True), loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2, fontsize=NORMAL,
            frameon=False, markerscale=1.6, labelcolor=style.BLACK, handler_map=keys,
            title=None if colour is None else style.printable(colour), title_fontsize=NORMAL,
        )  # fmt: skip
        legend.get_title().set_parse_math(False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    if title:
        axes.set_title(style.printable(title), fontsize=LARGE, color=style.BLACK, parse_math=False)


def _arrow_key() -> Any:
    """Return what draws the key of arrows in a legend: an arrow to the right, as they stand on the map."""
    from matplotlib.legend_handler import HandlerPatch
    from matplotlib.patches import FancyArrow

    def arrow(*, width: float, height: float, **_: object) -> FancyArrow:
        return FancyArrow(
            0, height / 2, width, 0, width=height / 6, head_width=height * 0.8, head_length=width * 0.4,
            length_includes_head=True, facecolor=style.BLACK, edgecolor="white", linewidth=0.5,
        )  # fmt: skip

    return HandlerPatch(patch_func=arrow, update_func=lambda *_: None)


def _draw_scale_bar(axes: Axes) -> None:
    """Draw a bar of a round number of metres, as long as it is at its own latitude."""
    from mlygeo.spatial import geodesy

    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    lat = float(np.clip(south + 0.04 * (north - south), -89.0, 89.0))
    lon = west + 0.04 * (east - west)
    across = float(geodesy.distance(lon, lat, lon + (east - west) / 100, lat)[0]) * 100
    metres = _round_down(across / 4)
    end = lon + (east - west) * metres / across
    for _ in range(3):  # the geodesic leaves the parallel, and the more so the longer the bar
        end = lon + (end - lon) * metres / float(geodesy.distance(lon, lat, end, lat)[0])
    high = 0.012 * (north - south)
    axes.plot(
        [lon, lon, end, end], [lat + high, lat, lat, lat + high], color=style.BLACK, linewidth=2, zorder=6,
        solid_capstyle="butt", gid="scale bar",
    )  # fmt: skip
    text = f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m"
    axes.annotate(
        text, ((lon + end) / 2, lat + high), ha="center", va="bottom", fontsize=NORMAL, color=style.BLACK, zorder=6,
        xytext=(0, 2), textcoords="offset points", gid="scale bar text",
        bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1},
    )  # fmt: skip


def _round_down(metres: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, … that does not exceed a number."""
    power = 10.0 ** math.floor(math.log10(max(metres, 1e-3)))
    return next(factor * power for factor in (5, 2, 1) if factor * power <= metres * (1 + 1e-9))
