"""
What a job made, for the function and the verb that share it.

Where a verb may write: checked before any work is done.

Records of the service as frames, in parts that fit the memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mlygeo.errors import FileError, FormatError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import geopandas as gpd

Output = Literal["frame", "folder", "picture", "track"]
"""What a verb writes under the path of -o."""

PICTURES = (".html", ".png", ".svg", ".pdf")

RECORDS_AT_ONCE = 20_000
"""Records made a frame together: as JSON objects they need ten times the memory."""


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


def check_output(kind: Output, path: Path) -> None:
    """
    Raise unless results could be written to this path; nothing is made.

    Parameters
    ----------
    kind
        What will be written there.
    path
        The path of -o.

    Raises
    ------
    FileError
        If a file stands where a folder must be, or the other way round, or nothing can be written there.
    FormatError
        If the ending names no format.
    """
    from mlygeo import store

    if kind == "folder":
        if path.exists() and not path.is_dir():
            raise FileError(f"{path} is a file, and -o names a folder here")
    elif kind == "track" and path.name.lower().endswith((".gpx", ".gpx.gz")):
        pass
    elif kind == "picture":
        if path.suffix.lower() not in PICTURES:
            raise FormatError(f"{path.name}: maps are written as {', '.join(PICTURES[:-1])} or {PICTURES[-1]}")
    else:
        store.check_writable(path)
    parent = next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())
    if not os.access(parent, os.W_OK):
        raise FileError(f"{parent} cannot be written to", hint="name another place with -o")


def joined(parts: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    """Return the parts as one frame, with the attributes of the first."""
    import pandas as pd

    if len(parts) == 1:
        return parts[0]
    # An empty part would only make the others' dtypes doubtful.
    joined: gpd.GeoDataFrame = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    joined.attrs = dict(parts[0].attrs)
    return joined
