"""Frames as pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import FileError, InputError
from mlygeo.pipelines.job import Job, public
from mlygeo.progress import running, working

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from matplotlib.figure import Figure

    PathLike = str | os.PathLike[str]

    from mlygeo.plotting.layers import Layer
    from mlygeo.progress import Progress
    from mlygeo.store import FrameLike

DPI, LEAST_DPI, MOST_DPI = 150, 10, 1200
"""Resolutions of pictures, dots an inch: the one unless another is given, and those between which it makes sense."""


@public
def plot(
    layers: Iterable[FrameLike],
    *,
    title: str | None = None,
    colour: str | None = None,
    dpi: int = 150,
    basemap: PathLike | None = None,
    basemap_attribution: str | None = None,
    thumbnails: Literal["files", "web", "none"] = "files",
    inset: FrameLike | None = None,
    progress: Progress | None = None,
) -> Job[Figure]:
    """
    Draw frames as a map, one above the other: an interactive page (.html) or a picture (.png, .svg, .pdf).

    The interactive page is one file for any browser: zoom, click on images, choose colours (in Python see `explore`).

    In a picture, streets are lines, points are dots, images are dots with arrows in the direction of the camera (fewer
    where they are dense), tracks are lines coloured by speed, and a coverage has covered and uncovered lines. The
    images of a selection are joined to their points if both are drawn. Where points are too dense to distinguish, they
    are counted in cells. There is a scale bar, and the attribution of the data below. The colours can be told apart by
    colour-blind readers. Of more than a million rows, some are drawn that represent all: one at each place, and more
    where there are more.

    Parameters
    ----------
    layers
        Frames, or files of them, the lowest first; or the folder that `select` or `coverage` wrote.
    title
        Text above the map.
    colour
        Column to colour by, in every layer that has it: times by year, numbers from low to high,
        other values as categories. Default: the usual colours of each kind of frame.
    dpi
        Resolution of a picture, dots per inch.
    basemap
        Address of map tiles, with {z}, {x} and {y}, to draw below everything. Tiles that are
        pictures are fetched now for a picture, and by the browser for an interactive map (.html).
        An interactive map can also have vector tiles (.pbf, .mvt), or a PMTiles archive (path or
        address): the tiles of the region are put into the page, up to 8 MB. Default: no base map.
        Mind the terms of the server.
    basemap_attribution
        Credit for the base map, written below the map. Required, unless the tiles are those of
        OpenStreetMap's own server, or of an archive that contains its credit.
    thumbnails
        Pictures of images on an interactive map (.html): "files" shows downloaded pictures (column
        `path`), "web" also those at the addresses in the frame (such as `thumb_256_url`), which
        the browser fetches when you point at an image, and "none" shows none.
    inset
        File of a frame, such as the outline of a country (in Python also the frame). A picture
        shows it as a small map in the corner, with the extent of the large map.

    Returns
    -------
    figure
        A Matplotlib figure.

    Raises
    ------
    DependencyError
        If Matplotlib is missing: the hint names the command.
    FileError
        If a file does not exist.
    FrameError
        If there is nothing to draw, a frame has no CRS, or no layer has the column `colour`.
    InputError
        If an option makes no sense, or the credit of a base map is unknown.

    Examples
    --------
    >>> plot(["edges.gpkg", street_points, selection]).savefig("map.png")
    """
    from mlygeo import plotting, store

    drawn = plotting.each_of(layers)
    _check(drawn, dpi=dpi)
    named = [str(layer) if isinstance(layer, str | os.PathLike) else "a frame" for layer in drawn]
    summary: dict[str, Any] = {"layers": named, "notes": []}
    job: Job[Figure]

    def opened() -> list[Layer]:
        with running(progress):
            return plotting.layers_of(drawn)

    def figure() -> Figure:
        if thumbnails != "files":
            raise InputError("`thumbnails` has no effect for a picture", hint="an interactive map (.html) has them")
        ground = plotting.ground_of(basemap, basemap_attribution)
        there, small = opened(), None
        if inset is not None:
            with running(progress):
                small = plotting.layers_of(inset)
        noted([note for layer in there for note in layer.notes(counted=True)], there)
        seen.extend(there)
        with running(progress), working("drawing"):
            return plotting.draw_layers(there, title=title, dpi=dpi, colour=colour, ground=ground, inset=small)

    def noted(notes: list[str], there: list[Layer], path: Path | None = None) -> None:
        summary["notes"] = notes
        summary["rows"] = [{"layer": layer.name, "rows": layer.rows, "drawn": len(layer.frame)} for layer in there]
        job.headline = "; ".join([", ".join(layer.counted for layer in there), *notes])
        if path is not None:
            job.headline = f"{path}, {_size(path)}: {job.headline}"

    def write(path: Path) -> list[Path]:
        if path.suffix.lower() == ".html":
            if dpi != DPI:
                raise InputError(f"`dpi` has no effect for {path.name}, which has no dots", hint="-o map.png")
            if inset is not None:
                raise InputError(f"`inset` has no effect for {path.name}, which can be zoomed out", hint="-o map.png")
            plotting.check_thumbnails(thumbnails)
            ground = plotting.ground_of(basemap, basemap_attribution)
            page = plotting.Map(opened(), title=title, colour=colour, ground=ground, thumbnails=thumbnails)
            written = page.save(path)
            noted(page.notes(), page.layers, path)
            return [written]
        made = figure()
        with working("drawing"), store.atomic(path) as temporary:
            made.savefig(temporary)
        noted(summary["notes"], seen, path)
        return [path]

    seen: list[Layer] = []
    job = Job(figure, summary, "drawn", write)
    return job


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.0f} kB"


def _check(layers: list[Any], *, dpi: Any) -> None:
    """Raise unless all layers could be frames, before the first is read."""
    from pathlib import Path

    from mlygeo.store.datasets.files import are_several

    for one in layers:
        if isinstance(one, str | os.PathLike) and not are_several(one):
            path = Path(one).expanduser()
            if "://" not in str(one) and not path.exists() and ":" not in path.name:
                raise FileError(f"{path} does not exist")
    if isinstance(dpi, bool) or not isinstance(dpi, int) or not LEAST_DPI <= dpi <= MOST_DPI:
        raise InputError(f"`dpi` is a whole number from {LEAST_DPI} to {MOST_DPI}, not {dpi!r}")
