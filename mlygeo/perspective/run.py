"""
The files of views: each made once, whole or not at all, by several processes.

A process works on one picture at a time: it decodes it once, and samples all views of it. Files are written by the
program itself, in the order in which they are done, and noted in the ledger of the folder.
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlygeo import frames
from mlygeo.errors import FileError, FormatError, InputError, MlygeoError
from mlygeo.perspective.files import encoded, is_view, tags_of
from mlygeo.perspective.ledger import Made
from mlygeo.perspective.sampling import View, sample
from mlygeo.perspective.source import Lens, decoded
from mlygeo.progress import keep
from mlygeo.spatial import rotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import geopandas as gpd

    from mlygeo.arrays import Floats, Objects
    from mlygeo.downloads.files import PictureFiles
    from mlygeo.formats.exif import Tags
    from mlygeo.perspective.ledger import ViewLedger
    from mlygeo.processes import Processes
    from mlygeo.progress import Bar

log = logging.getLogger("mlygeo.perspective")

MOST_OUTSIDE = 0.001
"""Share of a view that its picture may lack: what rounding makes of a view that lies at its edge."""

FORM = "1"
"""Changes when the same view of the same picture would become another file."""

_DEPENDS = (
    "id", "provider", "instance", "licence", "licence_url", "creator", "creator_username", "captured_at", "altitude",
    "make", "model", "view", "compass_angle", "pitch", "field_of_view", "width", "height", "source_type",
    "source_heading", "source_pitch", "source_roll", "source_focal", "source_k1", "source_k2", "tilt_source", "warning",
    "point_id",
)  # fmt: skip
"""Columns on which the file of a view depends."""


class Wanted(NamedTuple):
    """A view to make: its row, how its picture was taken, what is sampled, and the tags of its file."""

    row: int
    lens: Lens
    angles: tuple[float, float, float]
    view: View
    tags: Tags


class Result(NamedTuple):
    """What became of a view: its file, or why there is none; and the size of the file it was cut from."""

    row: int
    content: bytes | None
    error: str | None
    source_bytes: int = 0


def made_of(views: gpd.GeoDataFrame, *, quality: int, sources: Objects) -> list[str]:
    """
    Return what each file depends on, as a text: equal texts mean equal files.

    Parameters
    ----------
    views
        Views frame.
    quality
        Of the JPEG.
    sources
        What tells one picture of an image from another, such as the size of its file; shape (n,).
    """
    import pandas as pd

    lon, lat = frames.lonlat(views)
    columns = {name: views[name] for name in _DEPENDS if name in views.columns}
    depends = pd.DataFrame({**columns, "lon": lon, "lat": lat}, index=views.index)
    hashes = pd.util.hash_pandas_object(depends, index=False).to_numpy()
    names = hashlib.sha256(" ".join(depends.columns).encode()).hexdigest()[:8]
    return [
        f"{FORM} {names} {number:016x} quality={quality} source={source}"
        for number, source in zip(hashes.tolist(), sources.tolist(), strict=True)
    ]


def make_views(
    views: gpd.GeoDataFrame,
    paths: Objects,
    *,
    quality: int,
    processes: Processes,
    files: PictureFiles,
    ledger: ViewLedger,
    notes: Sequence[str],
    bar: Bar,
) -> Iterator[tuple[int, Made | str]]:
    """
    Make the files of views.

    Parameters
    ----------
    views
        Views frame.
    paths
        The picture of each, a path; shape (n,).
    quality
        Of the JPEG.
    processes
        Work on a picture each.
    files, ledger
        The folder and its ledger, held by this process.
    notes
        What each is made of, for the ledger.
    bar
        The progress bar.

    Yields
    ------
    row
        Number of a view in the frame.
    made
        The row of the ledger, or why there is no file.

    Raises
    ------
    FileError
        If the disk is full or broken, or a picture ends its process again and again.
    """
    names = views["path"].tolist()
    tasks, refused = _tasks(views, paths)
    for result in refused:
        bar.advance(1)
        yield result.row, result.error or ""
    work = list(tasks.items())

    def too_often(number: int) -> MlygeoError:
        return FileError(f"{work[number][0]} ends its process each time", hint="move it away")

    for _, results in processes.each_of(partial(_make, quality), work, too_often=too_often):
        for result in results:
            keep("the views made so far are kept")
            if result.content is None:
                made: Made | str = result.error or ""
            else:
                made = _write(names[result.row], result, notes[result.row], files, ledger)
            bar.advance(1, 0 if isinstance(made, str) else made.bytes)
            yield result.row, made


def _write(path: str, result: Result, note: str, files: PictureFiles, ledger: ViewLedger) -> Made | str:
    content = result.content or b""
    try:
        there = files.folder / path
        if there.is_file() and not ledger.has(path) and not is_view(there):
            return f"{there} is there and is not a view: move it away, or choose another folder"
        files.write(path, content)
    except FileError:
        raise
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    made = Made(path, note, len(content), result.source_bytes, hashlib.sha256(content).hexdigest())
    ledger.record(made)
    return made


def _tasks(views: gpd.GeoDataFrame, paths: Objects) -> tuple[dict[str, list[Wanted]], list[Result]]:
    """Return the views of each picture, and those that cannot be made."""
    angles = np.stack([views[f"source_{name}"].to_numpy(np.float64) for name in ("heading", "pitch", "roll")], axis=1)
    rows = views.assign(warning=views["warning"].where(views["warning"].notna(), None)).to_dict("records")
    tasks: dict[str, list[Wanted]] = {}
    refused = []
    for row, (values, path, stood) in enumerate(zip(rows, paths.tolist(), np.nan_to_num(angles).tolist(), strict=True)):
        lens = Lens(values["source_type"], values["source_focal"], values["source_k1"], values["source_k2"])
        size = int(values["width"]), int(values["height"])
        view = View(values["compass_angle"], values["pitch"], values["field_of_view"], *size)
        try:
            tags = tags_of(values)
        except InputError as error:
            refused.append(Result(row, None, str(error)))
            continue
        tasks.setdefault(path, []).append(Wanted(row, lens, tuple(stood), view, tags))
    return tasks, refused


def _make(quality: int, task: tuple[str, Sequence[Wanted]]) -> list[Result]:
    """Make the views of one picture; in a process of its own."""
    path, wanted = task
    try:
        content = Path(path).read_bytes()
        picture = decoded(content, wanted[0].lens, [each.view for each in wanted])
    except FormatError as error:
        return [Result(each.row, None, f"{path}: {error}") for each in wanted]
    except OSError as error:
        return [Result(each.row, None, f"{path}: {error.strerror or error}") for each in wanted]
    results = []
    for each in wanted:
        matrix = _matrix(each.angles)
        pixels, outside = sample(picture.source, matrix, each.view)
        if outside > MOST_OUTSIDE:
            results.append(Result(each.row, None, f"{path} does not show {outside:.0%} of the view"))
            continue
        try:
            made = encoded(pixels, each.tags, quality=quality, profile=picture.profile)
        except FormatError as error:
            results.append(Result(each.row, None, str(error)))
            continue
        results.append(Result(each.row, made, None, len(content)))
    return results


def _matrix(angles: tuple[float, float, float]) -> Floats:
    found: Floats = rotations.of_angles(*(np.array([angle]) for angle in angles))[0]
    return found
