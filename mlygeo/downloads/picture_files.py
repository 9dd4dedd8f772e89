"""Which file of a folder is the picture of an image: by the ledger of its download, else by the name of the file."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlygeo.downloads.layouts import file_name
from mlygeo.downloads.ledger import LEDGER_FILE, WITH_FILE, transfers
from mlygeo.places import STATE_FOLDER
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    import pandas as pd

    from mlygeo.arrays import Objects

ENDINGS = frozenset({".jpg", ".jpeg", ".webp"})
"""Endings of pictures that can be cut."""


def pictures_of(images: pd.DataFrame, folder: Path) -> tuple[Objects, Objects]:
    """
    Find the pictures of images in a folder.

    Parameters
    ----------
    images
        A frame with `id`, and perhaps `provider`.
    folder
        A folder that `download` filled, or any folder with files whose names are ids, in subfolders, too.

    Returns
    -------
    paths
        The file of each image, None where there is none; shape (n,).
    reasons
        Why there is none, None where there is one; shape (n,).

    Examples
    --------
    >>> pictures_of(images, Path("pictures"))[0]
    array(['pictures/aE5o7bTMH0UtscOYxhVwID/1138211467256565.jpg'], dtype=object)
    """
    by_ledger = by_ledger_of(folder) or {}
    by_name = _by_name(folder)
    paths, reasons = np.full(len(images), None, dtype=object), np.full(len(images), None, dtype=object)
    keys = images["id"].astype("object").where(images["id"].notna(), None).tolist()
    for row, (provider, key) in enumerate(zip(providers_of(images), keys, strict=True)):
        if key is None:
            reasons[row] = "the image has no id"
            continue
        noted = by_ledger.get((provider, str(key)))
        if noted is not None and noted.is_file():
            paths[row] = str(noted)
            continue
        found = by_name.get(file_name(key), [])
        if len(found) == 1:
            paths[row] = str(found[0])
        elif found:
            reasons[row] = f"{len(found)} files in {folder} are named {file_name(key)}: {found[0]}, {found[1]}"
        else:
            reasons[row] = f"no picture of image {key} in {folder}"
    return paths, reasons


def by_ledger_of(folder: Path) -> dict[tuple[str, str], Path] | None:
    """Return the files that were downloaded into a folder, by provider and id; None where it has no ledger."""
    if not (folder / STATE_FOLDER / LEDGER_FILE).is_file():
        return None
    rows = transfers(folder)
    rows = rows[rows["status"].isin(WITH_FILE) & rows["path"].notna()]
    keys = zip(providers_of(rows), rows["id"].astype("str"), strict=True)
    return {key: folder / path for key, path in zip(keys, rows["path"], strict=True)}


def providers_of(rows: pd.DataFrame) -> list[str]:
    """Return the provider of each row; Mapillary where none is named."""
    if "provider" not in rows.columns:
        return [DEFAULT_PROVIDER] * len(rows)
    names: list[str] = rows["provider"].fillna(DEFAULT_PROVIDER).tolist()
    return names


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Return the pictures in a folder by their names without an ending, each in the order of paths."""
    found: dict[str, list[Path]] = defaultdict(list)
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != STATE_FOLDER)
        for name in sorted(names):
            stem, ending = os.path.splitext(name)  # noqa: PTH122 - of a name, not of a path
            if ending.lower() in ENDINGS:
                found[stem].append(Path(place, name))
    return found
