"""Frames as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.figure import Figure

    from mlygeo.store import FrameLike


def plot(
    layers: Iterable[FrameLike],
    *,
    title: str | None = None,
    dpi: int = 150,
) -> Figure:
    """
    Draw frames as a picture, one upon the other.

    Streets become lines, points dots, and the images of a selection are joined to the points
    they were chosen for where both are drawn. The attribution of the data stands below.

    Parameters
    ----------
    layers
        Frames, or files of them, the lowest first.
    title
        Text above the picture.
    dpi
        Resolution, dots an inch.

    Returns
    -------
    figure
        A Matplotlib figure.

    Raises
    ------
    DependencyError
        If Matplotlib is missing: install `mlygeo[plot]`.
    FrameError
        If there is nothing to draw.

    Examples
    --------
    >>> plot(["edges.gpkg", street_points, selection]).savefig("map.png")
    """
    from mlygeo import plotting

    return plotting.draw(layers, title=title, dpi=dpi)
