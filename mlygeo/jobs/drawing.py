"""The job of drawing frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.progress import Progress
    from mlygeo.store import FrameLike


def plot(
    layers: Iterable[FrameLike],
    *,
    title: str | None,
    colour: str | None,
    dpi: int,
    basemap: str | None,
    progress: Progress | None = None,  # noqa: ARG001 - drawing takes no time to speak of
) -> Job[Any]:
    """Do what `mlygeo.plot` and `mlygeo.explore` say, for the verb `map`."""
    from mlygeo import plotting, store

    layers = list(layers)

    def write(path: Path) -> list[Path]:
        if path.suffix.lower() == ".html":
            return [plotting.explore(layers, title=title, colour=colour, basemap=basemap).save(path)]
        if basemap is not None:
            raise InputError(f"--basemap is for interactive maps, and {path.name} is a picture", hint="-o map.html")
        figure = plotting.draw(layers, title=title, dpi=dpi, colour=colour)
        with store.atomic(path) as temporary:
            figure.savefig(temporary)
        return [path]

    return Job(_no_frame, {"layers": [str(layer) for layer in layers]}, "drawn", write)


def _no_frame() -> gpd.GeoDataFrame:
    raise InputError("a picture is no frame", hint="use mlygeo.plot(…)")
