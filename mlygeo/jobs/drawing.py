"""The job of drawing frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlygeo.errors import InputError
from mlygeo.jobs._job import Job

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import geopandas as gpd

    from mlygeo.progress import Progress
    from mlygeo.store import FrameLike


def plot(layers: Iterable[FrameLike], *, title: str | None, dpi: int, progress: Progress | None = None) -> Job:  # noqa: ARG001
    """Do what `mlygeo.plot` says, for the verb `map`."""
    from mlygeo import plotting, store

    figure = plotting.draw(layers, title=title, dpi=dpi)

    def write(path: Path) -> list[Path]:
        with store.atomic(path) as temporary:
            figure.savefig(temporary)
        return [path]

    return Job(_no_frame, {"layers": [str(layer) for layer in layers]}, "drawn", write)


def _no_frame() -> gpd.GeoDataFrame:
    raise InputError("a picture is no frame", hint="use mlygeo.plot(…)")
