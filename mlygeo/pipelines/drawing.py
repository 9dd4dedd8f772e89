"""Frames as pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job, public

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from matplotlib.figure import Figure

    from mlygeo.store import FrameLike


@public
def plot(
    layers: Iterable[FrameLike],
    *,
    title: str | None = None,
    colour: str | None = None,
    dpi: int = 150,
    basemap: str | None = None,
) -> Job[Figure]:
    """
    Draw frames as a picture, one upon the other.

    Streets become lines, points dots, images dots with arrows where cameras look (thinned where
    they are dense), tracks lines coloured by speed, coverage what is covered and what is not; the
    images of a selection are joined to the points they were chosen for where both are drawn. More
    points than can be distinguished are counted on a lattice. A bar shows the scale, and the
    attribution of the data is below. The colour-blind can distinguish the colours.

    The verb writes an interactive map where -o names an .html file; see `mlygeo.explore`.

    Parameters
    ----------
    layers
        Frames, or files of them, the lowest first.
    title
        Text above the picture.
    colour
        Name of a column that gives the colours, in every layer that has it: times by year,
        numbers from low to high, other values as categories. Default: what suits each kind.
    dpi
        Resolution of a picture, dots an inch.
    basemap
        Address of map tiles, with {z}, {x} and {y}, for an interactive map (.html), fetched when
        it is looked at. Default: none, and the map needs no network.

    Returns
    -------
    figure
        A Matplotlib figure.

    Raises
    ------
    DependencyError
        If Matplotlib is missing: the hint names the command.
    FrameError
        If there is nothing to draw.
    InputError
        If a base map is asked for: a figure has none.

    Examples
    --------
    >>> plot(["edges.gpkg", street_points, selection]).savefig("map.png")
    """
    from mlygeo import plotting, store

    is_one = isinstance(layers, str | os.PathLike) or hasattr(layers, "geometry")
    drawn: list[FrameLike] = [layers] if is_one else list(layers)

    def figure() -> Figure:
        return plotting.draw(drawn, title=title, dpi=dpi, colour=colour)

    def make() -> Figure:
        if basemap is not None:
            raise InputError("a figure has no base map", hint="mlygeo.explore(…, basemap=…)")
        return figure()

    def write(path: Path) -> list[Path]:
        if path.suffix.lower() == ".html":
            return [plotting.explore(drawn, title=title, colour=colour, basemap=basemap).save(path)]
        if basemap is not None:
            raise InputError(f"`basemap` is for interactive maps, and {path.name} is a picture", hint="-o map.html")
        with store.atomic(path) as temporary:
            figure().savefig(temporary)
        return [path]

    named = ["a frame" if hasattr(layer, "geometry") else str(layer) for layer in drawn]
    return Job(make, {"layers": named}, "drawn", write)
