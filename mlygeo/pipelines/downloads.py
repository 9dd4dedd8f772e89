"""Downloading the pictures of a selection."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import places
from mlygeo.errors import FileError, InputError, RegionError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, body_of, public, version
from mlygeo.pipelines.options import Access, Downloading, Filters, PictureForm, TileOptions
from mlygeo.progress import counted, keep

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from datetime import datetime

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from mlygeo.arrays import Flags
    from mlygeo.downloads.files import RequestedForm
    from mlygeo.downloads.ledger import Form, Ledger
    from mlygeo.downloads.run import Outcome
    from mlygeo.keys import Ids
    from mlygeo.net.http import Service
    from mlygeo.pipelines.options import Layout, PictureFormat, Size
    from mlygeo.pipelines.wanted import Sources, Wanted
    from mlygeo.progress import Progress
    from mlygeo.providers import Session
    from mlygeo.regions import Region, RegionLike
    from mlygeo.store import FrameLike

    PathLike = str | os.PathLike[str]
    States = npt.NDArray[np.int8]

log = logging.getLogger("mlygeo.pipelines")

DEFAULT_FOLDER = "downloads"

GRAPH_WORKERS = 4
"""Parallel requests for metadata; each returns 200 images, more than pictures are downloaded meanwhile."""

TYPICAL_BYTES = {"256": 14_000, "1024": 130_000, "2048": 420_000, "original": 2_500_000}
"""Mean size of a picture, for estimates before the first download."""

SECONDS_A_PICTURE = 0.5
"""Seconds from request to file over an ordinary connection, for estimates."""


NOT_FOR_TILES = (
    "images", "output", "imgid_file", "sequence", "sequence_file", "user", "retry_failed", "size", "layout", "exif",
    "computed", "quality", "format", "max_images", "workers", "num_retries", "failed_imgid_file",
    "required_disk_space", "pano", "since", "until", "creator", "organization", "min_quality",
)  # fmt: skip
"""Options that have no effect where only tiles are fetched."""


@public
def download(
    images: FrameLike | int | str | Iterable[FrameLike | int | str] | None = None,
    *,
    region: RegionLike | None = None,
    regions_file: PathLike | None = None,
    output: PathLike | None = None,
    imgid_file: PathLike | Iterable[PathLike] | None = None,
    sequence: str | Iterable[str] | None = None,
    sequence_file: PathLike | Iterable[PathLike] | None = None,
    user: str | None = None,
    retry_failed: bool = False,
    size: Size = "original",
    layout: Layout = "sequence",
    exif: bool = False,
    computed: bool = False,
    quality: int | None = None,
    format: PictureFormat = "jpg",  # noqa: A002 - the verb's option
    overwrite: bool = False,
    max_images: int | None = None,
    workers: int = 16,
    num_retries: int = 8,
    failed_imgid_file: PathLike | None = None,
    required_disk_space: float | None = None,
    dry_run: bool = False,
    tiles_only: bool = False,
    pano: bool | None = None,
    since: str | datetime | None = None,
    until: str | datetime | None = None,
    creator: int | str | Iterable[int | str] | None = None,
    organization: int | str | Iterable[int | str] | None = None,
    min_quality: float | None = None,
    tile_list_file: PathLike | Iterable[PathLike] | None = None,
    tile_cache: PathLike | None = None,
    max_age: float | None = None,
    geojson: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | Iterable[str] | None = None,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Job[pd.DataFrame]:
    """
    Download the pictures of images: of a selection, a list, sequences, a user, or a region.

    What is there and whole is not fetched again, so the same command goes on where an earlier
    one stopped, however it stopped. Files appear whole or not at all. What happened to each image
    is in the ledger of the folder, which `transfers` returns; images that are gone or failed make
    the exit status 3.

    Parameters
    ----------
    images
        A selection or images frame, or its file; a list of ids, or a file of one; or ids.
    region
        A `Region`, a bounding box (west, south, east, north), a configuration file, a polygon
        file or a shapely polygon: all images in it. Beside a frame, ids, sequences or a user it
        narrows these to the images in it. Where a frame does not tell where they are, the
        service does, or the region's tiles if an option of tiles is given.
    regions_file
        File of regions, for the pictures of each a folder of its name in `output`: text with a box a line
        (NAME,WEST,SOUTH,EAST,NORTH), or polygons of any vector format with a column name or id.
        `max_images` counts in each.
    output
        Folder for the pictures. Default: seqdir of the configuration file, else "downloads".
    imgid_file
        File of image ids: text with comments from "#" on, or JSON with mapillary_img_id; may be
        given several times.
    sequence
        All images of this sequence (id); may be given several times. With ids, those of them in it.
    sequence_file
        File of sequence ids, one a line, as find-sequences writes it; may be given several times.
    user
        All images of the user with this name.
    retry_failed
        Take up only images that failed before.
    computed
        With exif, take position and heading after 3D reconstruction where there are such; the
        altitude stays the original one.
    overwrite
        Fetch everything anew, also what is there.
    max_images
        Take at most so many images, the first ones.
    workers
        How many pictures to fetch at once.
    failed_imgid_file
        File to name the images that failed or are gone, with the reasons; imgid_file takes it.
    dry_run
        Fetch nothing; say how many images and requests it would be, how large, how long.
    tiles_only
        Only fetch the region's vector tiles, as the verb tiles does.
    pano
        Take only panoramas, or only flat pictures, of a frame, a region or a user.
    creator
        Take images of this creator (id) in a frame or region; may be given several times.
    organization
        Take images of this organization (id): of a frame, a region or a user, or all of them; may
        be given several times.
    min_quality
        Take images of a frame or region of at least this quality score, 0 to 1.
    tile_list_file
        Work only on the tiles of the region named in this file, a cache file name a line; may be
        given several times.
    tile_cache
        Folder of the tile cache, for regions. Default: the configuration file's, else the user's
        cache folder.
    max_age
        Fetch tiles of the region anew that are older than so many days.

    Returns
    -------
    transfers
        The ledger's rows of these images, as `transfers` returns them; `attrs["summary"]` holds
        the summary.

    Raises
    ------
    InputError
        If nothing says which images, or an option makes no sense.
    FileError
        If another run is at work in the folder, or the disk has too little room.
    CredentialsError
        If something has to be fetched and there is no token.
    ServiceError
        If the service refuses the token or the address, or is down.

    Examples
    --------
    >>> download("out/selection.parquet", output="pictures", size="2048", exif=True)
    """
    from mlygeo import regions
    from mlygeo.pipelines.wanted import TILE_WORKERS, Sources

    place, config = regions.settle(region)
    if regions_file is not None:
        beside = ("images", "imgid_file", "sequence", "sequence_file", "tiles_only")
        of_no_use(beside, "beside `regions_file`")
        if place is not None:
            raise InputError("`regions_file` and `region` both name regions", hint="give one of them")
    if tiles_only:
        of_no_use(NOT_FOR_TILES, "with `tiles_only`")
        from mlygeo.pipelines.inputs import NO_REGION
        from mlygeo.pipelines.region import tiles

        if region is None:
            raise RegionError("no region", hint=NO_REGION)
        listed: Job[Any] = body_of(tiles)(
            region,
            tile_list_file=tile_list_file,
            tile_cache=tile_cache,
            overwrite=overwrite,
            max_age=max_age,
            workers=TILE_WORKERS,
            geojson=geojson,
            tiles_only=True,
            dry_run=dry_run,
            token=token,
            token_file=token_file,
            service=service,
            progress=progress,
        )
        return listed
    downloading = Downloading(
        overwrite=overwrite, workers=workers, num_retries=num_retries, required_disk_space=required_disk_space
    )
    form = PictureForm(size=size, layout=layout, exif=exif, computed=computed, quality=quality, format=format)
    filters = Filters(
        pano=pano, since=since, until=until, creator=creator, organization=organization, min_quality=min_quality
    )
    tile_options = TileOptions(
        tile_list_file=tile_list_file,
        tile_cache=tile_cache,
        computed=False,
        overwrite=False,
        max_age=max_age,
        workers=TILE_WORKERS,
        geojson=geojson,
    )
    sources = Sources(
        images=None if isinstance(images, tuple) and not images else images,
        imgid_file=imgid_file,
        sequence=sequence or None,
        sequence_file=sequence_file,
        user=user,
        retry_failed=retry_failed,
        max_images=max_images,
        conditions=filters.conditions(),
        place=place,
        config=config,
        tiles=tile_options,
        access=Access(token=token, token_file=token_file, service=service, provider=provider, endpoint=endpoint),
        progress=progress,
    )
    task = Task(
        sources=sources,
        folder=folder_at(output or (config and config.seqdir) or DEFAULT_FOLDER),
        requested=form.requested(),
        downloading=downloading,
        failed_file=None if failed_imgid_file is None else Path(failed_imgid_file).expanduser(),
    )
    if regions_file is not None:
        from mlygeo.pipelines.grid import each_region

        def in_region(place: Region, folder: Path) -> Job[pd.DataFrame]:
            there = replace(task, sources=replace(task.sources, place=place), folder=folder)
            return there.rehearse() if dry_run else there.run()

        return each_region(regions_file, task.folder, in_region)
    return task.rehearse() if dry_run else task.run()


def folder_at(path: PathLike) -> Path:
    """Return the folder of a download; raise if it is a file."""
    folder = Path(path).expanduser()
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file, and `output` names a folder here")
    return folder


@dataclass(frozen=True, kw_only=True)
class Task:
    """
    A download, from finding the images to the last file.

    Parameters
    ----------
    sources
        The sources of the images.
    folder
        Folder for the pictures.
    requested
        The requested form of each image.
    downloading
        How the pictures are downloaded.
    failed_file
        File for the ids of images that failed or are gone; None writes no file.
    """

    sources: Sources
    folder: Path
    requested: RequestedForm
    downloading: Downloading
    failed_file: Path | None

    def run(self) -> Job[pd.DataFrame]:
        """Download the images."""
        import numpy as np

        from mlygeo.downloads.ledger import GONE, Ledger
        from mlygeo.downloads.run import Outcome
        from mlygeo.locks import FolderLock

        started = time.monotonic()
        stop = threading.Event()
        with contextlib.ExitStack() as stack:
            session = _Lazy(stack, lambda: self._session(stop))
            # Which images failed before is known once the ledger is open.
            wanted = None if self.sources.retry_failed else self.sources.find(session, None)
            if wanted is not None and not len(wanted.ids):
                return _nothing(wanted)
            stack.enter_context(FolderLock(self.folder))
            ledger = stack.enter_context(Ledger(self.folder))
            keep("what was downloaded is kept")
            wanted = wanted or self.sources.find(session, ledger)
            if not len(wanted.ids):
                return _nothing(wanted)
            states = self._states(ledger, wanted.ids)
            todo = self._todo(states)
            gone = wanted.ids[~todo & (states == GONE)].tolist()
            outcome = Outcome(gone=dict.fromkeys(gone, self.sources.access.records.gone))
            try:
                if todo.any():
                    ids = wanted.ids[todo]
                    self._fetch(ids, states[todo], outcome=outcome, ledger=ledger, session=session(), stop=stop)
            finally:
                if self.failed_file is not None:
                    from mlygeo.readers import id_lists

                    lost = {**outcome.gone, **outcome.failed}
                    id_lists.merge_failed(self.failed_file, lost, np.sort(wanted.ids))
        return self._report(wanted, states, todo, outcome, seconds=time.monotonic() - started)

    def rehearse(self) -> Job[pd.DataFrame]:
        """Return what would be done, without doing it."""
        import numpy as np

        from mlygeo.downloads.ledger import LEDGER_FILE, Ledger

        sources = self.sources
        with contextlib.ExitStack() as stack:
            session = _Lazy(stack, lambda: self._session(threading.Event()))
            known = (self.folder / places.STATE_FOLDER / LEDGER_FILE).is_file()
            ledger = stack.enter_context(Ledger(self.folder)) if known else None
            asks_tiles = sources.asks_tiles and not sources.retry_failed
            if asks_tiles and sources.place is not None and (plan := sources.fetching(sources.place).plan()).missing:
                text = f"{plan}; which images there are is known once the tiles are here; nothing was fetched"
                return Job(_no_transfers, {"tiles_to_fetch": len(plan.missing), "version": version()}, text)
            wanted = sources.find(session, ledger)
            states = np.zeros(len(wanted.ids), dtype=np.int8)
            if ledger is not None:
                states = self._states(ledger, wanted.ids)
            mean_bytes = None if ledger is None else ledger.mean_bytes(self.requested.form)
        return self._estimate(wanted, states, int(self._todo(states).sum()), mean_bytes)

    def _states(self, ledger: Ledger, ids: Ids) -> States:
        import numpy as np

        order = np.argsort(ids, kind="stable")
        states = np.empty(len(ids), dtype=np.int8)
        states[order] = ledger.states(ids[order], self.requested.form)
        return states

    def _todo(self, states: States) -> Flags:
        import numpy as np

        from mlygeo.downloads.ledger import GONE, THERE

        if self.downloading.overwrite:
            return np.ones(len(states), dtype=bool)
        return ~np.isin(states, (THERE, GONE))

    def _fetch(
        self,
        ids: Ids,
        states: States,
        *,
        outcome: Outcome,
        ledger: Ledger,
        session: Session,
        stop: threading.Event,
    ) -> None:
        from mlygeo.downloads import layouts
        from mlygeo.downloads.files import PictureFiles
        from mlygeo.downloads.ledger import OTHER
        from mlygeo.downloads.run import Download
        from mlygeo.net.pictures import Pictures
        from mlygeo.progress import Progress

        how = self.downloading
        files = PictureFiles(self.folder, required_gb=how.required_disk_space)
        # Who names a limit means just that; else a run that would not fit does not begin.
        files.check_room(0 if how.required_disk_space is not None else self._expected(len(ids), ledger.mean_bytes))
        if other := int((states == OTHER).sum()):
            log.warning(
                "%s %s there in another form, and fetched anew", counted(other, "image"), "is" if other == 1 else "are"
            )
        retry = replace(self._service.retry, attempts=how.num_retries + 1)
        progress = self.sources.progress or Progress()
        layout = layouts.layout_of(self.requested.form, ids, session, self.sources.access.records)
        with (
            Pictures(self._service, connections=how.workers, stop=stop) as pictures,
            progress.bar("downloading", total=len(ids), unit="images") as bar,
        ):
            run = Download(
                self.requested, layout=layout, files=files, ledger=ledger, provider=self.sources.access.one,
                session=session, pictures=pictures, stop=stop, retry=retry, workers=how.workers, bar=bar,
            )  # fmt: skip
            run.outcome = outcome
            run.run(ids, states, overwrite=how.overwrite)
        log.info(
            "%d fetched, %d found, %d gone, %d failed", outcome.fetched, outcome.found, len(outcome.gone),
            len(outcome.failed),
        )  # fmt: skip

    @cached_property
    def _service(self) -> Service:
        service = self.sources.access.opened(self.sources.config)
        attempts = min(service.retry.attempts, self.downloading.num_retries + 1)
        return replace(service, retry=replace(service.retry, attempts=attempts))

    def _session(self, stop: threading.Event) -> Session:
        return self.sources.access.records.open(self._service, workers=GRAPH_WORKERS, stop=stop)

    def _report(
        self, wanted: Wanted, states: States, todo: Flags, outcome: Outcome, *, seconds: float
    ) -> Job[pd.DataFrame]:
        import numpy as np

        from mlygeo.downloads import ledger
        from mlygeo.pipelines import provenance

        form = self.requested.form
        there = int((~todo & (states == ledger.THERE)).sum())
        lost = {**outcome.gone, **outcome.failed}
        summary = {
            "folder": str(self.folder),
            "source": wanted.source,
            **wanted.facts,
            "there": there,
            "found": outcome.found,
            "fetched": outcome.fetched,
            "gone": len(outcome.gone),
            "failed": len(outcome.failed),
            "bytes": outcome.bytes,
            "seconds": round(seconds, 1),
            "size": form.size,
            "format": form.format,
            "layout": form.layout,
            "warnings": wanted.warnings,
            **self.sources.facts,
            "attribution": [self.sources.access.one.attribution],
            "date": provenance.today(),
            "version": version(),
        }
        were = "was" if there + outcome.found == 1 else "were"
        parts = [f"{outcome.fetched:,} fetched ({_in_units(outcome.bytes)})", f"{there + outcome.found:,} {were} there"]
        parts += [f"{len(outcome.gone):,} gone"] * bool(outcome.gone)
        parts += [f"{len(outcome.failed):,} failed"] * bool(outcome.failed)
        headline = f"{counted(len(wanted.ids), 'image')} of {wanted.source}: {', '.join(parts)}; in {self.folder}"
        headline += wanted.remark
        if outcome.failed:
            number, reason = next(iter(sorted(outcome.failed.items())))
            headline += f"\n{number}: {reason}\n`retry_failed=True` takes up those that failed"
        if self.failed_file is not None and lost:
            headline += f"; {self.failed_file} names them"

        def make_frame() -> pd.DataFrame:
            with ledger.Ledger(self.folder) as opened:
                return ledger.as_frame(opened.rows(np.sort(wanted.ids)))

        failed = [str(number) for number in sorted(lost)]
        return Job(make_frame, summary, headline, failed=[*failed, *wanted.warnings])

    def _expected(self, images: int, mean_bytes: Callable[[Form], float | None]) -> int:
        """Return the size of pictures that are still to be fetched, bytes, by those that are there in this form."""
        form = self.requested.form
        return round(images * (mean_bytes(form) or TYPICAL_BYTES[form.size]))

    def _estimate(self, wanted: Wanted, states: States, todo: int, mean_bytes: float | None) -> Job[pd.DataFrame]:
        """Return an estimate of requests, size and time of a download."""
        from shutil import disk_usage

        from mlygeo.downloads import ledger
        from mlygeo.downloads.files import GB, required_gb_on

        records = self.sources.access.records
        form, workers = self.requested.form, self.downloading.workers
        room_gb = required_gb_on(places.existing(self.folder), self.downloading.required_disk_space)
        calls = records.calls_for(todo) * (2 if form.layout == "time" else 1)
        expected, free = self._expected(todo, lambda _: mean_bytes), disk_usage(places.existing(self.folder)).free
        seconds = max(todo * SECONDS_A_PICTURE / workers, calls / (records.images_a_minute / 60))
        summary = {
            **wanted.facts,
            "there": int((states == ledger.THERE).sum()),
            "gone": int((states == ledger.GONE).sum()),
            "to_fetch": todo,
            "requests_for_metadata": calls,
            "requests_for_pictures": todo,
            "expected_bytes": round(expected),
            "expected_seconds": round(seconds, 1),
            "free_bytes": free,
            "required_disk_space_gb": round(room_gb, 3),
            "fits": free - expected >= room_gb * GB,
            "warnings": wanted.warnings,
            **self.sources.facts,
            "version": version(),
        }
        headline = (
            f"{counted(len(wanted.ids), 'image')} of {wanted.source}: {summary['there']:,} there, {todo:,} to fetch, "
            f"in {counted(calls, 'request')} for metadata (the limit is {records.images_a_minute:,} a minute) and "
            f"{counted(todo, 'request')} for pictures; about {_in_units(expected)} and {_duration(seconds)} with "
            f"{counted(workers, 'worker')}; {_in_units(free)} are free{wanted.remark}"
        )
        if not summary["fits"]:
            headline += f", which does not leave the {room_gb:.4g} GB of `required_disk_space`"
        return Job(_no_transfers, summary, f"{headline}; nothing was fetched")


class _Lazy:
    """A session with the service, opened at the first use: if all images are there, no token is needed."""

    def __init__(self, stack: contextlib.ExitStack, make: Any) -> None:
        self._stack, self._make = stack, make
        self._session: Session | None = None

    def __call__(self) -> Session:
        if self._session is None:
            self._session = self._stack.enter_context(self._make())
        return self._session


def _nothing(wanted: Wanted) -> Job[pd.DataFrame]:
    """Return the job of an empty list: it downloads nothing, and never all images."""
    summary = {**wanted.facts, "source": wanted.source, "warnings": wanted.warnings, "version": version()}
    text = f"no image to download: {wanted.source} names none{wanted.remark}"
    return Job(_no_transfers, summary, text, failed=list(wanted.warnings))


def _no_transfers() -> pd.DataFrame:
    from mlygeo.downloads import ledger

    return ledger.as_frame([])


def _in_units(number: float) -> str:
    """Return a number of bytes in a suitable unit, such as "4.2 MB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number:.0f} bytes"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
