"""A folder of photos after processing and upload: summary, list by status, and sorting into folders."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, InputError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, public, version
from mlygeo.pipelines.options import PhotoFolder, Sorting
from mlygeo.progress import counted

if TYPE_CHECKING:
    import geopandas as gpd

    from mlygeo.photos.import_folder import PhotoImport
    from mlygeo.pipelines.job import T
    from mlygeo.progress import Progress

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

SUMMARY_FILE, LIST_FILE = "mapillary_import_summary.json", "mapillary_import_image_status_list.json"
MAPPING_SUFFIX = "_mapillary_image_uuid_to_local_path_mapping.csv"
"""Names of the files that the older tools write."""

FOLDERS = {
    "duplicate": "duplicates",
    "uploaded": "uploaded",
    "failed_upload": "failed_upload",
    "to_be_uploaded": "to_be_uploaded",
}
"""Folder of the photos of each status; photos that failed in processing are not moved."""

LISTED = {
    "uploaded": "successfully uploaded",
    "failed_upload": "failed uploads",
    "duplicate": "duplicates",
    "to_be_uploaded": "processed_not_yet_uploaded",
    "failed": "failed",
}
"""Headings of the status list; all but the last are those of the older tools."""


@public
def post_process(
    import_path: PathLike | None = None,
    *,
    video_import_path: PathLike | None = None,
    output: PathLike | None = None,
    skip_subfolders: bool = False,
    summarize: bool = False,
    list_file_status: bool = False,
    save_as_json: bool = False,
    save_local_mapping: bool = False,
    move_all_images: bool = False,
    move_duplicates: bool = False,
    move_uploaded: bool = False,
    move_sequences: bool = False,
    split_import_path: PathLike | None = None,
    push_images: bool = False,
    undo: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Summarize a folder of processed and uploaded photos, list its files by status, or sort them into folders.

    The status of a photo is "duplicate", "uploaded", "failed_upload", "failed" (in processing) or "to_be_uploaded".
    Moving never overwrites a file. Moves are recorded first, so that `undo` can reverse them, and `process` finds the
    photos in their new place.

    Parameters
    ----------
    video_import_path
        Folder of videos, or a video; its sampled frames are used.
    output
        Folder of the frames of `process`, if you gave it one.
    undo
        Move photos back that an earlier run moved, and do nothing else.

    Returns
    -------
    images
        Images frame of local files with `status` (str), `target` (str: where the photo was or would be moved;
        null where it stays) and `error`.

    Raises
    ------
    FileError
        If there is no such folder, no photo in it, or nothing can be written.
    InputError
        If an option makes no sense.

    Examples
    --------
    >>> post_process("DCIM", summarize=True)["status"].value_counts()
    """
    from mlygeo.pipelines import inputs

    folder = PhotoFolder(
        output=output, rerun=False, skip_subfolders=skip_subfolders, dry_run=dry_run, progress=progress
    )
    sorting = Sorting(
        summarize=summarize,
        list_file_status=list_file_status,
        save_as_json=save_as_json,
        save_local_mapping=save_local_mapping,
        move_all_images=move_all_images,
        move_duplicates=move_duplicates,
        move_uploaded=move_uploaded,
        move_sequences=move_sequences,
        split_import_path=split_import_path,
        push_images=push_images,
    )
    sorting.warn()
    root = _folder(import_path, video_import_path)
    if not undo:
        return run_sorting(root, folder=folder, sorting=sorting)
    place = inputs.photo_import(root, folder)
    if sorting.moves:
        raise InputError("`undo` and moving photos go against each other", hint="give `undo=True` alone")
    of_no_use(("summarize", "list_file_status", "save_as_json", "save_local_mapping"), "with `undo`")
    with place.held(dry_run=dry_run):
        return _undone(place, dry_run=dry_run)


def then_sorted(first: Job[T], import_path: PathLike, *, folder: PhotoFolder, sorting: Sorting) -> Job[T]:
    """
    Return a job with the sorting of its folder after it; the result stays that of the job.

    Parameters
    ----------
    first
        The job before the sorting.
    import_path
        The folder of photos, or one photo.
    folder
        The options of the folder.
    sorting
        The requested actions.
    """
    last = run_sorting(import_path, folder=folder, sorting=sorting)
    return Job(
        lambda: first.result,
        {**first.summary, "post_process": last.summary},
        f"{first.headline}\n{last.headline}",
        lambda path: [*first.write(path), *last.write(path)],
        [*first.failed, *last.failed],
        text=last.text,
    )


def run_sorting(import_path: PathLike, *, folder: PhotoFolder, sorting: Sorting) -> Job[gpd.GeoDataFrame]:
    """
    Sum up, list and move the photos of a folder.

    Parameters
    ----------
    import_path
        The folder of photos, or one photo.
    folder
        The options of the folder; photos are not read anew for this.
    sorting
        The requested actions.
    """
    from mlygeo import own
    from mlygeo.photos.import_folder import import_folder
    from mlygeo.pipelines import inputs

    dry_run = folder.dry_run
    place = inputs.photo_import(import_folder(import_path), replace(folder, rerun=False))
    if sorting.save_as_json and sorting.summarize:
        own.refuse_others(place.base, {SUMMARY_FILE: own.keys("total images")})
    if sorting.save_as_json and sorting.list_file_status:
        own.refuse_others(place.base, {LIST_FILE: own.keys(*LISTED.values())})
    if sorting.save_local_mapping:
        own.refuse_others(place.base.parent, {_mapping_name(place): own.lines(r".*,[0-9A-Za-z-]*")})
    with place.held(dry_run=dry_run):
        images = place.images(known := place.photos(dry_run=dry_run), place.stored(), again=())
        images = images.assign(status=_status(images, known, place))
        targets = _targets(images, known, place, sorting)
        failed: dict[str, str] = {}
        files: list[Path] = []
        moved: dict[str, str] = {}
        if not dry_run:
            files += _mapping(images, place) if sorting.save_local_mapping else []
            if targets:
                moved, failed = _moved(place, targets, images["path"].tolist())
        images = images.assign(target=images["path"].map(targets).astype("str").where(images["path"].isin(targets)))
    summary, listed = _summary(images), _listed(images)
    if sorting.save_as_json and not dry_run:
        from mlygeo import store

        for asked, name, content in (
            (sorting.summarize, SUMMARY_FILE, summary),
            (sorting.list_file_status, LIST_FILE, listed),
        ):
            if asked:
                files.append(
                    store.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", place.base / name)
                )
    facts = {
        **summary,
        "moved": moved if not dry_run else {},
        "would_be_moved": targets if dry_run else {},
        "not_moved": failed,
        "left_out": {"photos that could not be moved": len(failed)} if failed else {},
        "files": [str(file) for file in files],
        "version": version(),
    }
    if sorting.list_file_status:
        facts["status"] = listed
    said = _headline(images, moved=len(moved), would=len(targets) if dry_run else 0, failed=failed, files=files)
    shown = [content for asked, content in ((sorting.summarize, summary), (sorting.list_file_status, listed)) if asked]
    text = (
        (lambda: "\n".join(json.dumps(content, indent=4, ensure_ascii=False) for content in shown)) if shown else None
    )
    return Job(lambda: images, facts, said, lambda _: files, list(failed), text=text)


def _folder(import_path: PathLike | None, video_import_path: PathLike | None) -> Path:
    from mlygeo.photos.import_folder import import_folder

    if video_import_path is None:
        return import_folder(import_path)
    from mlygeo.video.frames import FOLDER

    named = Path(video_import_path).expanduser()
    if not named.exists():
        raise FileError(f"{named} does not exist", hint="`video_import_path` names a video, or a folder of them")
    if import_path:
        return import_folder(import_path)
    return (named if named.is_dir() else named.parent) / FOLDER


def _status(images: gpd.GeoDataFrame, known: gpd.GeoDataFrame, place: PhotoImport) -> Any:
    """Return the status of each photo."""
    import numpy as np
    import pandas as pd

    from mlygeo.uploads import older

    status = np.full(len(images), "to_be_uploaded", dtype=object)
    status[images["error"].notna().to_numpy()] = "failed"
    status[images["is_duplicate"].to_numpy(dtype=bool)] = "duplicate"
    if not place.was_processed:
        status[:] = "not_processed"
    outcomes = older.History().outcomes(images, known["first_path"], *place.origins(images["path"]))
    status[outcomes == older.FAILED] = "failed_upload"
    status[outcomes == older.DONE] = "uploaded"
    return pd.Series(status, index=images.index, dtype="str")


def _targets(images: gpd.GeoDataFrame, known: gpd.GeoDataFrame, place: PhotoImport, sorting: Sorting) -> dict[str, str]:
    """Return the new paths of photos to move."""
    if not sorting.moves:
        return {}
    goal = place.base if sorting.split_import_path is None else Path(sorting.split_import_path).expanduser().absolute()
    by_status = {
        *(["duplicate"] if sorting.move_duplicates or sorting.move_all_images else []),
        *(["uploaded", "failed_upload", "to_be_uploaded"] if sorting.move_uploaded or sorting.move_all_images else []),
    }
    sequences = sorting.move_sequences or sorting.move_all_images
    number = {name: str(at) for at, name in enumerate(dict.fromkeys(_in_time(images)), 1)}
    from mlygeo.photos.moves import is_same_entry

    targets = {}
    for path, first, status, sequence in zip(
        images["path"], known["first_path"], images["status"], images["sequence_id"], strict=True
    ):
        parts = [FOLDERS[status]] if status in by_status else []
        inner = os.path.relpath(os.path.dirname(first), place.base)  # noqa: PTH120
        numbered = [number[sequence]] if sequences and isinstance(sequence, str) else []
        if not (parts or numbered) or not os.path.lexists(path):
            continue
        target = os.path.normpath(os.path.join(goal, *parts, inner, *numbered, os.path.basename(path)))  # noqa: PTH118, PTH119
        if not is_same_entry(target, path):  # by way of a linked folder, too
            targets[path] = target
    return targets


def _in_time(images: gpd.GeoDataFrame) -> list[str]:
    """Return the sequences in the order of their first images."""
    import numpy as np

    from mlygeo.spatial.ordering import natural_ranks

    placed = images[images["sequence_id"].notna()]
    order = np.lexsort((natural_ranks(placed["path"]), placed["captured_at"].to_numpy(dtype="datetime64[ms]")))
    names: list[str] = placed["sequence_id"].iloc[order].drop_duplicates().tolist()
    return names


def _moved(place: PhotoImport, targets: dict[str, str], photos: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Move photos; others of them may be links to those that are moved."""
    from mlygeo.photos.moves import JOURNAL, move_files

    moved: dict[str, str] = {}
    try:
        moved, failed = move_files(targets, place.folder / JOURNAL, links=photos, progress=place.progress)
    finally:
        # Even if interrupted, the frames must have the photos' current paths.
        gone = {
            path: target for path, target in targets.items() if os.path.lexists(target) and not os.path.lexists(path)
        }
        _follow(place, {**moved, **gone})
    return moved, failed


def _follow(place: PhotoImport, moved: dict[str, str]) -> None:
    """Update the frames and the image description file to the photos' current paths."""
    from mlygeo.providers import descriptions

    if not moved:
        return
    place.moved(moved)
    described = place.base / descriptions().file
    if described.exists() and descriptions().is_one(described):
        entries = descriptions().read(described)
        paths = entries["path"].map(lambda path: moved.get(path, path))
        descriptions().write(entries.assign(path=paths.astype("str")), described)


def _undone(place: PhotoImport, *, dry_run: bool) -> Job[Any]:
    from mlygeo.photos.moves import JOURNAL, read_moves, undo_moves

    journal = place.folder / JOURNAL
    back = {now: origin for origin, now in read_moves(journal).items()}
    moved: dict[str, str] = {}
    failed: dict[str, str] = {}
    if not dry_run and back:
        try:
            moved, failed = undo_moves(journal, progress=place.progress)
        finally:
            _follow(place, {now: origin for now, origin in back.items() if os.path.lexists(origin)})
    images = place.images(known := place.photos(dry_run=dry_run), place.stored(), again=())
    images = images.assign(status=_status(images, known, place))
    images = images.assign(target=images["path"].map(back).astype("str").where(images["path"].isin(back)))
    facts = {"moved": moved, "would_be_moved": back if dry_run else {}, "not_moved": failed, "version": version()}
    said = f"{counted(len(back), 'photo')} would be put back" if dry_run else f"{counted(len(moved), 'photo')} put back"
    said += "".join(f"\n  {path}: {reason}" for path, reason in list(failed.items())[:5])
    return Job(lambda: images, facts, said, lambda _: [], list(failed))


def _mapping(images: gpd.GeoDataFrame, place: PhotoImport) -> list[Path]:
    from mlygeo import store

    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for path, name in zip(images["path"], _photo_uuids(images), strict=True):
        writer.writerow([os.path.relpath(path, place.base), name])
    return [store.write_text(text.getvalue(), place.base.parent / _mapping_name(place))]


def _mapping_name(place: PhotoImport) -> str:
    return f"{place.base.name}{MAPPING_SUFFIX}"


def _photo_uuids(images: gpd.GeoDataFrame) -> list[str]:
    """Return the id of each photo; those without one in their row are read."""
    from mlygeo.formats.identity import of_photo

    found = []
    for path, name in zip(images["path"], images["photo_uuid"], strict=True):
        try:
            found.append(name if isinstance(name, str) else of_photo(Path(path).read_bytes()).photo_uuid)
        except OSError:
            found.append("")
    return found


def _summary(images: gpd.GeoDataFrame) -> dict[str, Any]:
    counts = images["status"].value_counts()
    units = {
        "user_process": None,
        "import_meta_data_process": "read",
        "geotag_process": "geotag",
        "sequence_process": None,
    }
    broken = images["failed_in"].eq("read").fillna(value=False)
    steps = {}
    for step, unit in units.items():
        failed = images["failed_in"].isin({"read", unit or "read"}) if step != "user_process" else broken
        if step == "sequence_process":
            failed = images["sequence_id"].isna()
        steps[step] = {"failed": int(failed.sum()), "success": int((~failed).sum())}
    return {
        "total images": len(images),
        "upload summary": {
            "successfully uploaded": int(counts.get("uploaded", 0)),
            "failed uploads": int(counts.get("failed_upload", 0)),
        },
        "process summary": {
            **steps,
            "duplicates": int(images["is_duplicate"].sum()),
            "processed_not_yet_uploaded": int(counts.get("to_be_uploaded", 0)),
        },
    }


def _listed(images: gpd.GeoDataFrame) -> dict[str, list[str]]:
    return {heading: images.loc[images["status"] == status, "path"].tolist() for status, heading in LISTED.items()}


def _headline(images: gpd.GeoDataFrame, *, moved: int, would: int, failed: dict[str, str], files: list[Path]) -> str:
    counts = images["status"].value_counts()
    text = f"{counted(len(images), 'photo')}: " + ", ".join(
        f"{count:,} {str(status).replace('_', ' ')}" for status, count in counts.items()
    )
    if would:
        text += f"; {would:,} would be moved"
    if moved:
        text += f"; {moved:,} moved (`undo=True` puts them back)"
    text += "".join(f"\n  {path}: {reason}" for path, reason in list(failed.items())[:5])
    return text + ("\n" + "  ".join(map(str, files)) if files else "")
