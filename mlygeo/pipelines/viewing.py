"""From panoramas to perspective views: `views`."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.pipelines import own_files
from mlygeo.pipelines.arguments import of_no_use, user_call
from mlygeo.pipelines.job import Job, public, tally, version
from mlygeo.pipelines.options import Access
from mlygeo.pipelines.view_pictures import Downloaded, Here
from mlygeo.progress import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd

    from mlygeo.arrays import Flags, Objects, Rows
    from mlygeo.downloads.files import PictureFiles
    from mlygeo.net.http import Service
    from mlygeo.perspective.ledger import Made, ViewLedger
    from mlygeo.pipelines.options import Size
    from mlygeo.processes import Processes
    from mlygeo.progress import Bar, Progress
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

DEFAULT_FOLDER = "views"

STREET = "street"
"""Base of directions: the bearing of the street."""


STREET_POINTS = "street_points.parquet"
"""File beside a selection, with the points that it was made for."""

NOT_FOR_PICTURES = ("picture_size", "token", "token_file", "provider", "endpoint", "service")
"""Options that have no effect where nothing is downloaded."""

_SIZE = re.compile(r"(\d{1,5})\s*(?:[xX]\s*(\d{1,5}))?")


@public
def views(
    images: FrameLike,
    *,
    pictures: PathLike | None = None,
    download: bool = False,
    output: PathLike | None = None,
    directions: str | Sequence[str | float] = "left,right",
    relative_to: str = STREET,
    points: FrameLike | None = None,
    overlap: float | None = None,
    fov: float = 90.0,
    size: str = "640x640",
    pitch: float = 0.0,
    quality: int = 90,
    picture_size: Size = "original",
    overwrite: bool = False,
    workers: int | None = None,
    required_disk_space: float | None = None,
    dry_run: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Job[gpd.GeoDataFrame]:
    """
    Cut perspective views out of panoramas: left and right of the street, all around, or towards something.

    Views are level if the tilt of the camera is known: from the column computed_rotation, or the columns pitch and
    roll (`mlygeo metadata` fetches them). Flat images give the views that lie completely inside them. Each view is a
    JPEG that contains position, time, heading, focal length, creator and licence. A file is either complete or
    absent; existing views that would be the same are not made again, so repeat the command to continue an interrupted
    run. If views fail, the exit status is 3.

    Parameters
    ----------
    images
        File of a selection or images (in Python also a frame).
    pictures
        Folder of pictures that `mlygeo download` filled, or of picture files named by image id.
    download
        Download the pictures, and remove each one after its views are made.
    output
        Folder for the views and their frame, views.parquet. Default: views.
    directions
        Directions of the views, separated by commas: ahead, right, back, left, or degrees clockwise from the base.
    relative_to
        Base of the directions: street, camera (the heading of the image), north, or a column of bearings in
        degrees.
    points
        Street points of the selection, with the bearing of the street. Default: street_points.parquet beside the
        selection, if it belongs to the same run.
    overlap
        Make views all around instead: as few as possible, each sharing at least this part of its field of view with
        the next (0 or more, below 1).
    fov
        Horizontal field of view, degrees, up to 150.
    size
        Size of a view in pixels, width x height.
    pitch
        Upward tilt of the views, degrees; negative for downward.
    quality
        Quality of the JPEG files, 1 to 100.
    picture_size
        Size of the pictures to download, as for `mlygeo download`.
    overwrite
        Make all views again.
    workers
        Number of processes that make views, each from one picture at a time. Default: one per processor.
    required_disk_space
        Gigabytes to keep free on the disk; if less is left, no view is written. Default: a tenth of the disk.
    dry_run
        Make nothing; report the number of views, and what is left out.
    provider
        Provider of images whose row does not name one: mapillary, panoramax, or one added by an installed package.
        Default: mapillary.

    Returns
    -------
    views
        Views frame, as `plan_views` returns it, and for each view `source_path` and `source_bytes` (of the picture),
        `bytes` (Int64, null where there is no file), and `error` (str, null where there is one).

    Raises
    ------
    InputError
        If an option makes no sense, or no folder of pictures is given.
    FrameError
        If a column is missing, such as the bearing.
    FileError
        If a folder is missing, another run is at work in the output folder, or there is too little space on the disk.

    Examples
    --------
    >>> views("out/selection.parquet", download=True, relative_to="camera", directions="left,right", dry_run=True)
    """
    from mlygeo import store
    from mlygeo.pipelines.downloads import folder_at
    from mlygeo.spatial.views import offsets_of, plan_views

    if overlap is not None:
        of_no_use(("directions",), "with `overlap`")
    if not 1 <= quality <= 100:
        raise InputError(f"`quality` lies between 1 and 100, not at {quality}")
    if workers is not None and workers < 1:
        raise InputError(f"`workers` must be 1 or more, not {workers}")
    if required_disk_space is not None and not 0 <= required_disk_space < float("inf"):
        raise InputError(f"`required_disk_space` must be 0 or more, not {required_disk_space}")
    if dry_run:
        of_no_use(("overwrite", "workers", "required_disk_space", "quality"), "with `dry_run`")
    wide, high = _pixels(size)
    offsets_of(directions, fov=fov, width=wide, height=high, pitch=pitch, overlap=overlap)
    frame = store.as_frame(images, frame="images", name="the images")
    if download:
        of_no_use(("pictures",), "with `download`")
    else:
        of_no_use(NOT_FOR_PICTURES, "without `download`")
        if pictures is None:
            raise InputError(
                "no folder of pictures is given", hint="name their folder with `pictures`, or use `download`"
            )
    access = Access(token=token, token_file=token_file, service=service, provider=provider, endpoint=endpoint)
    sources = Downloaded(access, picture_size) if pictures is None else Here(Path(pictures).expanduser())
    planned = plan_views(
        sources.with_lenses(_with_bearing(frame, images, points, relative_to)),
        directions=directions,
        relative_to=relative_to,
        fov=fov,
        width=wide,
        height=high,
        pitch=pitch,
        overlap=overlap,
    )
    task = _Task(
        planned, sources, folder_at(output or DEFAULT_FOLDER), images=len(frame), quality=quality, overwrite=overwrite,
        workers=workers, required_gb=required_disk_space, progress=progress,
    )  # fmt: skip
    return task.rehearse() if dry_run else task.run()


def _pixels(size: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(size.strip())
    if found is None:
        raise InputError(f"`size={size[:40]!r}` is not a size of a picture", hint="width x height, such as 640x640")
    return int(found[1]), int(found[2] or found[1])


def _with_bearing(
    frame: gpd.GeoDataFrame, given: FrameLike, points: FrameLike | None, relative_to: str
) -> gpd.GeoDataFrame:
    """Return images with the bearing that directions are relative to, from the points that they were selected for."""
    from mlygeo import store
    from mlygeo.errors import FrameError
    from mlygeo.spatial.views import CAMERA, NORTH, OF_STREETS, base_column

    if relative_to in {CAMERA, NORTH}:
        of_no_use(("points",), f"with `relative_to={relative_to}`")
        return frame
    if (column := base_column(frame.columns, relative_to)) is not None:
        of_no_use(("points",), f"since the images have a column {column!r}")
        return frame
    places = _points_beside(given, frame.attrs.get("run")) if points is None else store.as_frame(points)
    if places is None:
        return frame  # for the words of the step
    column = base_column(places.columns, relative_to)
    lacking = [whose for whose, each in (("images", frame), ("points", places)) if "point_id" not in each.columns]
    if column is None or lacking:
        missing = f"'point_id' of the {lacking[0]}" if lacking else f"{relative_to!r} of the points"
        raise FrameError(f"the bearings of points cannot be joined: there is no column {missing}")
    if not places["point_id"].is_unique:
        raise FrameError("the points cannot be joined: an id in 'point_id' stands twice")
    bearings = places.set_index("point_id")[column].reindex(frame["point_id"]).to_numpy()
    return frame.assign(**{OF_STREETS[0] if relative_to == STREET else relative_to: bearings})


def _are_none(values: Objects) -> Flags:
    import numpy as np

    return np.array([value is None for value in values], dtype=bool)


def _points_beside(given: FrameLike, run: Any) -> gpd.GeoDataFrame | None:
    """Return the street points beside a selection, if they are of the same run."""
    from mlygeo import store

    if isinstance(given, list | tuple) and len(given) == 1:
        given = given[0]
    if not isinstance(given, str | os.PathLike) or run is None:
        return None
    path = Path(given).expanduser().parent / STREET_POINTS
    if not path.is_file():
        return None
    found = store.read_frame(path)
    return found if found.attrs.get("run") == run else None


@dataclass
class _Outcome:
    """What became of views: numbers of them, and bytes."""

    made: int = 0
    there: int = 0
    bytes: int = 0


class _Task:
    """The views of a call, from finding their pictures to the last file."""

    def __init__(
        self,
        views: gpd.GeoDataFrame,
        sources: Here | Downloaded,
        folder: Path,
        *,
        images: int,
        quality: int,
        overwrite: bool,
        workers: int | None,
        required_gb: float | None,
        progress: Progress | None,
    ) -> None:
        import numpy as np

        self._views, self._sources, self._folder = views, sources, folder
        self._images, self._quality, self._overwrite = images, quality, overwrite
        self._workers, self._required_gb, self._progress = workers, required_gb, progress
        self._outcome = _Outcome()
        self._errors = np.full(len(views), None, dtype=object)
        self._made: list[Made | None] = [None] * len(views)

    def rehearse(self) -> Job[gpd.GeoDataFrame]:
        """Return what would be made."""
        paths, reasons = self._sources.of(self._views)
        self._errors = reasons
        frame = self._frame(paths)
        missing = int(frame["error"].notna().sum())
        summary = {**self._facts(), "without_picture": missing, "version": version()}
        headline = f"{self._counted()}, {missing:,} without a picture" if missing else self._counted()
        first = f"\n{next(each for each in reasons if each is not None)}" if missing else ""
        return Job(lambda: frame, summary, f"{headline}{self._remarks()}; nothing was made{first}")

    def run(self) -> Job[gpd.GeoDataFrame]:
        """Make the views."""
        import numpy as np

        from mlygeo import arrays, own, store
        from mlygeo.downloads.files import PictureFiles
        from mlygeo.locks import FolderLock
        from mlygeo.perspective.ledger import ViewLedger
        from mlygeo.perspective.run import made_of
        from mlygeo.pipelines import provenance
        from mlygeo.processes import Processes
        from mlygeo.progress import Progress

        paths, reasons = self._sources.of(self._views)
        self._errors = reasons
        known = np.flatnonzero(_are_none(reasons))
        own.refuse_others(self._folder, {own_files.VIEWS: own.columns(("view", "source_type", "geometry"))})
        with contextlib.ExitStack() as stack:
            stack.enter_context(FolderLock(self._folder))
            files = PictureFiles(self._folder, required_gb=self._required_gb)
            files.check_room()
            ledger = stack.enter_context(ViewLedger(self._folder))
            notes = made_of(self._views, quality=self._quality, sources=self._sources.notes(paths))
            todo = known if self._overwrite else known[~self._there(known, ledger, notes)]
            pictures = list(dict.fromkeys(paths[todo].tolist()))
            number = min(self._workers or arrays.workers(), max(len(pictures), 1))
            processes = stack.enter_context(Processes(number))
            bar = stack.enter_context((self._progress or Progress()).bar("views", total=len(todo), unit="views"))
            of_picture = {path: place for place, path in enumerate(pictures)}
            place = np.array([of_picture[path] for path in paths[todo]], dtype=np.int64)
            for start in range(0, len(pictures), self._sources.at_once):
                rows = todo[(place >= start) & (place < start + self._sources.at_once)]
                self._make(rows, paths, notes, files=files, ledger=ledger, processes=processes, bar=bar)
        frame = self._frame(paths)
        store.write_frame(provenance.noted(frame, user_call()), self._folder / own_files.VIEWS)
        return self._report(frame)

    def _there(self, known: Rows, ledger: ViewLedger, notes: list[str]) -> Flags:
        """Return which of some views are there, and note what is known of them."""
        import numpy as np

        names = self._views["path"].iloc[known].tolist()
        found = ledger.there(names, [notes[row] for row in known])
        for row, name in zip(known.tolist(), names, strict=True):
            self._made[row] = found.get(name)
        self._outcome.there = len(found)
        return np.array([name in found for name in names], dtype=bool)

    def _make(
        self,
        rows: Rows,
        paths: Objects,
        notes: list[str],
        *,
        files: PictureFiles,
        ledger: ViewLedger,
        processes: Processes,
        bar: Bar,
    ) -> None:
        import numpy as np

        from mlygeo.perspective.run import make_views

        part = self._views.iloc[rows].reset_index(drop=True)
        with self._sources.ready(part, paths[rows], self._folder) as (here, reasons):
            self._errors[rows] = reasons
            ready = np.flatnonzero(_are_none(reasons))
            bar.advance(len(rows) - len(ready))
            made = make_views(
                part.iloc[ready].reset_index(drop=True), here[ready], quality=self._quality, processes=processes,
                files=files, ledger=ledger, notes=[notes[row] for row in rows[ready]], bar=bar,
            )  # fmt: skip
            for place, result in made:
                row = int(rows[ready[place]])
                if isinstance(result, str):
                    self._errors[row] = result
                    log.warning("%s: %s", self._views["path"].iloc[row], result)
                else:
                    self._made[row] = result
                    self._outcome.made += 1
                    self._outcome.bytes += result.bytes

    def _frame(self, paths: Objects) -> gpd.GeoDataFrame:
        """Return the views with what became of them."""
        import pandas as pd

        columns: dict[str, Any] = {
            name: pd.array([None if made is None else getattr(made, name) for made in self._made], dtype="Int64")
            for name in ("source_bytes", "bytes")
        }
        if self._sources.stay:
            columns["source_path"] = pd.Series(paths, index=self._views.index, dtype="str")
        frame: gpd.GeoDataFrame = self._views.assign(
            **columns, error=pd.Series(self._errors, index=self._views.index, dtype="str")
        )
        return frame

    def _counted(self) -> str:
        images = int(self._views["id"].nunique())
        return f"{counted(len(self._views), 'view')} of {counted(images, 'image')}"

    def _facts(self) -> dict[str, Any]:
        from mlygeo import frames

        attrs = self._views.attrs
        return {
            "folder": str(self._folder),
            "images": self._images,
            "views": len(self._views),
            "left_out": attrs["left_out"],
            "problems": attrs["problems"],
            "attribution": frames.credited_of(self._views),
        }

    def _remarks(self) -> str:
        text = ""
        if left_out := self._views.attrs["left_out"]:
            text += f"; left out: {tally(left_out)}"
        if problems := self._views.attrs["problems"]:
            text += f"; in doubt: {tally(problems)}"
        return text

    def _report(self, frame: gpd.GeoDataFrame) -> Job[gpd.GeoDataFrame]:
        failed = frame.loc[frame["error"].notna(), ["path", "error"]]
        outcome = self._outcome
        summary = {
            **self._facts(),
            "made": outcome.made,
            "there": outcome.there,
            "failed": len(failed),
            "bytes": outcome.bytes,
            "version": version(),
        }
        said = [f"{outcome.made:,} made", f"{outcome.there:,} {'was' if outcome.there == 1 else 'were'} there"]
        said += [f"{len(failed):,} failed"] * bool(len(failed))
        headline = f"{self._counted()}: {', '.join(said)}; in {self._folder}{self._remarks()}"
        if len(failed):
            headline += f"\n{failed['path'].iloc[0]}: {failed['error'].iloc[0]}"
        return Job(lambda: frame, summary, headline, failed=failed["path"].tolist())
