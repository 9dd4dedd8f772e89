"""What there is to draw in a folder that `select` or `coverage` wrote, the lowest first."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from mlygeo import places

log = logging.getLogger("mlygeo.plotting")

DRAWN = {
    "selection.parquet": ("street_points.parquet", "selection.parquet"),
    "coverage.parquet": ("districts.parquet", "cells.parquet", "compared.parquet", "coverage.parquet", "gaps.parquet"),
}
"""What makes a folder one of results -> its files that are drawn, the lowest first."""

SELECTION = "selection"
"""The folder of a selection that was made part by part, in place of its file."""

SUMMARY = "summary.json"


def files_of(one: Any) -> list[Any]:
    """
    Return the files to draw of a folder of results, the lowest first; anything else as it is.

    A selection does not hold its streets. They are drawn where a file with the name and the content that the
    summary has lies in the folder, beside it, or where the command runs; where none does, a warning says so.

    Parameters
    ----------
    one
        What is to be drawn.
    """
    if not isinstance(one, str | os.PathLike) or "://" in str(one):
        return [one]
    folder = Path(one).expanduser()
    if not (folder / SUMMARY).is_file():
        return [one]
    for main, names in DRAWN.items():
        there = [folder / name for name in names if (folder / name).is_file()]
        if main == "selection.parquet" and (folder / SELECTION).is_dir():
            there.append(folder / SELECTION)
        if any(path.stem == Path(main).stem for path in there):
            return [*(_streets(folder) if main == "selection.parquet" else []), *there]
    return [one]


def _streets(folder: Path) -> list[Path]:
    """Return the file of the streets that points were laid on, if it is found."""
    try:
        made = json.loads((folder / SUMMARY).read_bytes())["inputs"]["streets"]
        name, size, digest = Path(made["source"]).name, made.get("bytes"), made.get("sha256")
    except (OSError, ValueError, KeyError, TypeError):  # points of one's own, or streets that were no file
        return []
    for place in (folder, folder.absolute().parent, Path()):
        path = place / name
        if path.is_file() and path.stat().st_size == size and digest in {None, places.sha256_of(path)}:
            return [path]
    log.warning("the streets of %s (%s) are not drawn: no such file lies beside it; name it before", folder, name)
    return []
