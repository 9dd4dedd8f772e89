"""
Writing tags into many photos: each photo is rewritten safely, and a failure becomes the error of its row.

Threads write the photos, since nearly all the time is spent on the disk; `exif_writer` makes each file safe.
"""

from __future__ import annotations

import logging
import os
import re
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.formats.identity import GIVEN, of_photo
from mlygeo.photos.exif_writer import write_exif
from mlygeo.photos.tags import description_tags
from mlygeo.progress import Progress, keep
from mlygeo.store.atomic import ALIVE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import geopandas as gpd

    from mlygeo.arrays import Flags, Objects, Whole
    from mlygeo.formats.exif import Tags
    from mlygeo.formats.identity import Identity
    from mlygeo.formats.jpeg import Layout
    from mlygeo.photos.tags import Overwrite

log = logging.getLogger("mlygeo.photos.insertion")

WORKERS = 8
"""Photos written in parallel: enough to keep a disk busy while others wait for it."""

AHEAD = 64
"""Photos whose tags are prepared before a thread is free."""

_PART = re.compile(r"\.(.{1,40})\.[a-z0-9_]{8}\.part", re.DOTALL)


def insert_tags(
    images: gpd.GeoDataFrame,
    tags_of: Callable[[Mapping[str, Any]], Tags],
    *,
    rows: Flags | None = None,
    uploaded: Callable[[Mapping[str, Any], bytes, Identity], bool] | None = None,
    keep_original: bool = False,
    copies: tuple[Path, Path] | None = None,
    workers: int = WORKERS,
    progress: Progress | None = None,
) -> gpd.GeoDataFrame:
    """
    Write tags into photos.

    Whenever it stops, each photo is either the old or the new one, and complete. A second run leaves photos
    unchanged that have all the tags already.

    Parameters
    ----------
    images
        Images frame of local files; rows with an `error` are skipped.
    tags_of
        Function that returns the tags of a row.
    rows
        The rows to write; by default all.
    uploaded
        Function that says whether a photo was uploaded, from its row, its content, and what it is known by.
        Uploaded photos stay as they are.
    keep_original
        Keep each original under its name with "_original" appended.
    copies
        A folder of photos and another one: copies with the tags are written into the second, below the
        same subfolders as in the first, and the photos stay unchanged.
    workers
        Photos written in parallel.
    progress
        The display of progress.

    Returns
    -------
    images
        The same rows with `exif_written` (bool: the tags are in the photo, or its copy), `filesize`,
        `error`, and, where photos were read, `photo_uuid`, `picture` and `original_time` (str), which the photo
        is known by (see `mlygeo.formats.identity`), and `uploaded` (bool).

    Raises
    ------
    FileError
        If the disk is full: all further photos would fail too. Written photos are complete.

    Examples
    --------
    >>> insert_tags(images, description_tags)["exif_written"].sum()
    """
    chosen = images["error"].isna().to_numpy()
    chosen = chosen if rows is None else chosen & rows
    places = np.flatnonzero(chosen)
    written = (
        images["exif_written"].to_numpy(dtype=bool).copy() if "exif_written" in images.columns else ~chosen & False
    )
    errors = images["error"].to_numpy(dtype=object).copy()
    errors[images["error"].isna().to_numpy()] = None
    records = images.iloc[places].to_dict("records")
    sweep({os.path.dirname(record["path"]) for record in records}, {record["path"] for record in records})  # noqa: PTH120
    changed = 0
    known: dict[int, _Done] = {}
    if len(places):
        keep("the photos written so far have their tags")
    with (progress or Progress()).bar("exif", total=len(places), unit="photos") as bar:

        def note(row: int, outcome: _Done) -> None:
            nonlocal changed
            known[row] = outcome
            if outcome.error is not None:
                errors[row] = outcome.error
                written[row] = False
            elif not outcome.uploaded:
                written[row] = True
                changed += outcome.changed
            bar.advance()

        def work(record: Mapping[Any, Any]) -> _Done:
            return _write(record, tags_of, uploaded, keep_original=keep_original, copies=copies)

        _in_threads(records, places, work, note, workers)
    there = sum(each.uploaded for each in known.values())
    log.info(
        "%d of %d photos written, %d said it all already, %d were uploaded before", changed, len(places),
        int(written[places].sum()) - changed, there,
    )  # fmt: skip
    images = _with_identities(images, known).assign(
        exif_written=written, error=_column(errors, images), filesize=_sizes(images, places if copies is None else [])
    )
    doubted = {
        record["path"]: known[row].doubts
        for row, record in zip(places.tolist(), records, strict=True)
        if row in known and known[row].doubts
    }
    return _with_doubts(images, doubted) if doubted else images


def place_tags(
    image: Mapping[str, Any], kinds: Collection[Overwrite], meta_tags: Mapping[str, Any] | None = None
) -> Tags:
    """
    Return tags of time, position or heading, with an image description only for meta tags.

    Parameters
    ----------
    image
        A row of a frame of local photos.
    kinds
        The tags to write: "time", "gps" (position and altitude), "direction".
    meta_tags
        MAPMetaTags to keep in the photo, for `process` to find.
    """
    description: dict[str, Any] = {} if meta_tags is None else {"MAPMetaTags": meta_tags}
    if description and isinstance(name := image.get("photo_uuid"), str):
        description[GIVEN] = name  # it would be lost with the description that is replaced
    tags = description_tags(image, description=description, overwrite=kinds)
    if meta_tags is not None:
        return tags
    exif = {name: value for name, value in tags.exif.items() if name != "ImageDescription"}
    return replace(tags, exif=exif, absent=tags.absent if exif or tags.captured else {})


def sweep(folders: Collection[str], photos: Collection[str]) -> int:
    """
    Remove temporary folders of killed runs beside photos, which contain an incomplete copy of a photo.

    Parameters
    ----------
    folders
        The folders to search, without subfolders.
    photos
        The photos; folders that belong to none of them are left unchanged.

    Returns
    -------
    removed
        How many.
    """
    removed = 0
    mine: dict[str, set[str]] = {}
    for path in photos:
        folder, name = os.path.split(path)
        mine.setdefault(folder, set()).add(name)
    for folder in folders:
        starts = {name[:40] for name in mine.get(folder, ())}
        try:
            with os.scandir(folder) as entries:
                found = [(entry.path, _PART.fullmatch(entry.name)) for entry in entries if entry.is_dir()]
            leftovers = [Path(path) for path, match in found if match is not None and match[1] in starts]
        except OSError:
            continue  # a folder that cannot be listed fails when it is written to, with the reason
        for leftover in leftovers:
            inside = list(leftover.iterdir())
            if all(file.is_file() and (file.name in mine[folder] or file.name.startswith(ALIVE)) for file in inside):
                for file in inside:
                    file.unlink()
                leftover.rmdir()
                removed += 1
    if removed:
        log.info("removed %d half-written copies that a killed run had left", removed)
    return removed


def _with_doubts(images: gpd.GeoDataFrame, doubted: Mapping[str, str]) -> gpd.GeoDataFrame:
    """Return images with what is in doubt of the tags that were written: in `warning`, and in a column `problem`."""
    log.warning(
        "%d %s: the clock was set, since no time zone explains how far it is from the capture time",
        *(len(doubted), "photo" if len(doubted) == 1 else "photos"),
    )
    new = images["path"].map(doubted).to_numpy(dtype=object)
    for name in ("warning", *(["problem"] if "problem" in images.columns else [])):
        images = frames.with_phrases(images, name, new)
    return images


def _in_threads(
    records: list[dict[Any, Any]],
    places: Whole,
    work: Callable[[Mapping[Any, Any]], _Done],
    note: Callable[[int, _Done], None],
    workers: int,
) -> None:
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="exif") as pool:
        running: dict[Any, int] = {}
        todo = iter(zip(places.tolist(), records, strict=True))
        try:
            while True:
                for row, record in todo:
                    running[pool.submit(work, record)] = row
                    if len(running) >= AHEAD:
                        break
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    note(running.pop(future), future.result())
        except BaseException:
            # Interrupted, or the disk is full: start no more photos, and finish those in progress.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


class _Done(NamedTuple):
    """The result of one photo: whether it was changed or uploaded before, why it failed, and what it is known by."""

    changed: bool = False
    uploaded: bool = False
    error: str | None = None
    identity: Identity | None = None
    doubts: str = ""


def _write(
    record: Mapping[Any, Any],
    tags_of: Callable[[Mapping[str, Any]], Tags],
    uploaded: Callable[[Mapping[str, Any], bytes, Identity], bool] | None,
    *,
    keep_original: bool,
    copies: tuple[Path, Path] | None,
) -> _Done:
    """Write one photo."""
    path = record["path"]
    known: Identity | None = None
    there = False
    doubts: list[str] = []

    def tags(content: bytes, layout: Layout) -> Tags | None:
        # The whole photo is read here anyway, so this costs no more than the digest.
        nonlocal known, there
        known = _named(of_photo(content, layout), record)
        there = uploaded is not None and uploaded(record, content, known)
        return None if there else _with_id(tags_of({**record, "photo_uuid": known.photo_uuid}), known)

    try:
        target = None if copies is None else copies[1] / os.path.relpath(path, copies[0])
        changed = write_exif(path, tags, keep_original=keep_original, target=target, doubts=doubts)
    except (FileError, FormatError, InputError) as error:
        if "disk is full" in str(error) or "quota" in str(error):
            raise
        return _Done(error=str(error), identity=known)
    return _Done(changed=changed, uploaded=there, identity=known, doubts="; ".join(doubts))


def _with_id(tags: Tags, known: Identity) -> Tags:
    """Return tags with the id of the photo where they change its time, which it is known by."""
    if tags.captured is None and "DateTimeOriginal" not in tags.exif:
        return tags
    return replace(tags, absent={**tags.absent, "ImageUniqueID": known.unique})


def _named(known: Identity, record: Mapping[Any, Any]) -> Identity:
    """Return what a photo is known by with its id: the one inside, else the one in its row, else the photo's own."""
    noted, picture = record.get("photo_uuid"), record.get("picture")
    if known.given is None and isinstance(noted, str) and (not isinstance(picture, str) or picture == known.picture):
        known = known._replace(given=noted)
    return known._replace(given=known.photo_uuid)


def _with_identities(images: gpd.GeoDataFrame, done: Mapping[int, _Done]) -> gpd.GeoDataFrame:
    """Return images with what those that were read are known by, and whether they were uploaded."""
    import pandas as pd

    from mlygeo import dtypes

    read = {row: each.identity for row, each in done.items() if each.identity is not None}
    columns: dict[str, Any] = {}
    for name, values in (
        ("photo_uuid", {row: each.photo_uuid for row, each in read.items()}),
        ("picture", {row: each.picture for row, each in read.items()}),
        ("original_time", {row: each.time for row, each in read.items()}),
    ):
        column = images[name] if name in images.columns else dtypes.nulls("str", len(images), images.index)
        column = pd.Series(column, index=images.index, dtype="str")
        column.iloc[list(values)] = list(values.values())
        columns[name] = column
    there = (
        images["uploaded"].to_numpy(dtype=bool).copy()
        if "uploaded" in images.columns
        else np.zeros(len(images), dtype=bool)
    )
    there[[row for row, each in done.items() if each.uploaded]] = True
    return images.assign(**columns, uploaded=there)


def _column(errors: Objects, images: gpd.GeoDataFrame) -> Any:
    import pandas as pd

    return pd.Series(errors, index=images.index, dtype="str")


def _sizes(images: gpd.GeoDataFrame, places: Any) -> Any:
    """Return the sizes of files, measured again where they may have been rewritten."""
    import pandas as pd

    sizes = images["filesize"].astype("Int64").copy() if "filesize" in images.columns else None
    if sizes is None:
        sizes = pd.Series(pd.NA, index=images.index, dtype="Int64")
    values, paths = sizes.array, images["path"].tolist()
    for row in places:
        try:
            values[row] = os.path.getsize(paths[row])  # noqa: PTH202
        except OSError:
            values[row] = pd.NA
    return pd.Series(values, index=images.index)
