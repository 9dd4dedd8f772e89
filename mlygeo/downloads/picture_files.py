"""
Which file of a folder is the picture of an image: by the ledger of its download, else by the name of the file.

One rule for all verbs that read pictures. Several files of one name are in doubt, and none of them is taken; nor is a
file that the ledger knows as the picture of another image.
"""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo.downloads.layouts import file_name
from mlygeo.downloads.ledger import LEDGER_FILE, WITH_FILE, transfers
from mlygeo.formats import jpeg
from mlygeo.places import STATE_FOLDER
from mlygeo.schemas import DEFAULT_PROVIDER

if TYPE_CHECKING:
    import pandas as pd

    from mlygeo.arrays import Flags, Objects

ENDINGS = frozenset({*jpeg.ENDINGS, ".webp", ".png"})
"""Endings of pictures, in small letters."""

MASKS = ".png"
"""Ending of files that often are masks of a picture; they count only where there is no other picture of their name."""


class Found(NamedTuple):
    """
    The pictures of images.

    Parameters
    ----------
    paths
        The file of each image, None where there is none; shape (n,).
    reasons
        Why there is none, None where there is one; shape (n,).
    in_doubt
        Whether there is none although files are named so, or a download noted one; shape (n,).
    """

    paths: Objects
    reasons: Objects
    in_doubt: Flags


def pictures_of(images: pd.DataFrame, folder: Path) -> Found:
    """
    Find the pictures of images in a folder.

    The ledger of a download in the folder counts first. Images that it does not know are found by the names of files,
    in subfolders, too; hidden files and folders are not looked at.

    Parameters
    ----------
    images
        A frame with `id`, and perhaps `provider`.
    folder
        A folder that `download` filled, or any folder with files whose names are ids.

    Examples
    --------
    >>> pictures_of(images, Path("pictures")).paths
    array(['pictures/aE5o7bTMH0UtscOYxhVwID/1138211467256565.jpg'], dtype=object)
    """
    by_ledger = by_ledger_of(folder) or {}
    by_name = _by_name(folder, known={*by_ledger.values()})
    found = Found(
        *(np.full(len(images), each, dtype=kind) for each, kind in ((None, object), (None, object), (0, bool)))
    )
    providers = providers_of(images)
    keys = images["id"].astype("object").where(images["id"].notna(), None).tolist()
    whose: dict[str, set[str]] = defaultdict(set)
    for provider, key in zip(providers, keys, strict=True):
        whose[str(key)].add(provider)
    for row, (provider, key) in enumerate(zip(providers, keys, strict=True)):
        if key is None:
            found.reasons[row] = "the image has no id"
            continue
        noted = by_ledger.get((provider, str(key)))
        if noted is not None and noted.is_file():
            found.paths[row] = str(noted)
            continue
        files = by_name.get(file_name(key), [])
        found.in_doubt[row] = noted is not None or bool(files)
        if len(files) > 1:
            found.reasons[row] = f"{len(files)} files in {folder} are named {file_name(key)}: {files[0]}, {files[1]}"
        elif files and len(whose[str(key)]) > 1:
            found.reasons[row] = f"{files[0]} may be image {key} of {' or '.join(sorted(whose[str(key)]))}"
        elif files:
            found.paths[row], found.in_doubt[row] = str(files[0]), False
        elif noted is not None:
            found.reasons[row] = f"the picture of image {key} was downloaded, but {noted} is gone"
        else:
            found.reasons[row] = f"no picture of image {key} in {folder}"
    return found


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


def _by_name(folder: Path, *, known: set[Path]) -> dict[str, list[Path]]:
    """Return the pictures in a folder by their names without an ending, in the order of paths, but for those known."""
    found: dict[str, list[Path]] = defaultdict(list)
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            stem, ending = os.path.splitext(name)  # noqa: PTH122 - of a name, not of a path
            if ending.lower() in ENDINGS and not name.startswith(".") and (path := Path(place, name)) not in known:
                found[stem].append(path)
    return {stem: [each for each in files if each.suffix.lower() != MASKS] or files for stem, files in found.items()}
