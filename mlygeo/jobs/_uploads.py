"""What the history of uploads says of photos."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import geopandas as gpd
    import numpy.typing as npt
    import pandas as pd

FAILED, READY, DONE = 1, 2, 3

_RANK = {"failed": FAILED, "ready": READY, "done": DONE}


def uploads_of(images: gpd.GeoDataFrame, first_paths: pd.Series) -> npt.NDArray[np.int64]:
    """
    Return what became of photos: DONE where they were uploaded, FAILED where that was tried, 0 elsewhere.

    READY are those that the service has, and that have only to be finished, or were, with the answer lost.
    What it has of a sequence whose others are missing is nothing yet: nobody can see it.

    Parameters
    ----------
    images
        Frame with `path` and `modified_ns`.
    first_paths
        Where each photo was when it was read: one that was moved after its upload is known by that.

    Returns
    -------
    outcomes
        In the order of the rows. A file that was changed after it was sent is another.
    """
    from mlygeo.uploads.ledger import upload_history

    history = upload_history()
    outcomes = np.zeros(len(images), dtype=np.int64)
    if not len(history):
        return outcomes
    history = history.assign(rank=history["status"].map(_RANK).fillna(0).astype("int64"))
    best = history.sort_values(["rank", "sent_at"]).groupby("path").last()
    modified_ms = images["modified_ns"].to_numpy() // 1_000_000
    for paths in (images["path"], first_paths):
        known = best.reindex(paths)
        sent_ms = known["sent_at"].to_numpy(dtype="datetime64[ms]").view(np.int64)
        rank = known["rank"].fillna(0).to_numpy(dtype=np.int64)
        outcomes = np.maximum(outcomes, np.where(modified_ms <= sent_ms, rank, 0))
    return outcomes


def older_uploads_of(images: gpd.GeoDataFrame, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """
    Return which photos an older tool uploaded, by the records that it left.

    Parameters
    ----------
    images
        Frame with `path`.
    rows
        Those that are asked for; of others nothing is said.
    """
    from mlygeo.uploads.archives import md5_of
    from mlygeo.uploads.older import OlderUploads

    older = OlderUploads()
    found = np.zeros(len(images), dtype=np.bool_)
    for row in np.flatnonzero(rows):
        path = str(images["path"].iloc[row])
        with contextlib.suppress(OSError):  # what cannot be read is said where it is written
            found[row] = older.has_image(path, md5_of(Path(path)) if older.knows_content else "")
    return found
