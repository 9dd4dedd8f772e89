"""What a job made, for the function and the verb that share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import geopandas as gpd


@dataclass
class Job:
    """
    What a job made: its main frame, made on first use, and what a verb says and writes.

    Parameters
    ----------
    make_frame
        Makes the main frame.
    summary
        Facts about it, JSON.
    headline
        The facts in a sentence.
    write
        Writes the results under a path, and returns the files; nothing where the job did so itself.
    failed
        Names of the items that failed.
    ids
        The ids of images in it, for verbs that can print just those.
    text
        What the verb prints to standard output, where that is its result.
    lasts
        What goes on once the verb has said all that; it returns when it is told to stop.
    """

    make_frame: Callable[[], gpd.GeoDataFrame]
    summary: dict[str, Any]
    headline: str
    write: Callable[[Path], list[Path]] = lambda _: []
    failed: list[str] = field(default_factory=list)
    ids: Callable[[], list[int]] | None = None
    text: Callable[[], str] | None = None
    lasts: Callable[[], None] | None = None

    @cached_property
    def frame(self) -> gpd.GeoDataFrame:
        """The main frame, with the summary in its `attrs`."""
        frame = self.make_frame()
        frame.attrs["summary"] = self.summary
        return frame


def version() -> str:
    """Return the version of mlygeo, for summaries."""
    from importlib.metadata import version

    return version("mlygeo")
