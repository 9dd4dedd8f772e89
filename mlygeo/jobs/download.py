"""The job of downloading images into a folder."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mlygeo import places
from mlygeo.downloads import layouts
from mlygeo.errors import FileError, InputError
from mlygeo.jobs import _download_estimate
from mlygeo.pipelines import inputs
from mlygeo.pipelines.job import Job, counted, version
from mlygeo.pipelines.options import Access, TileOptions
from mlygeo.pipelines.wanted import TILE_WORKERS, Sources, Wanted, nothing_said

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlygeo.downloads.ledger import Ledger
    from mlygeo.downloads.run import Outcome, Wish
    from mlygeo.keys import Ids
    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider, Records, Session

    Standing = npt.NDArray[np.int8]

log = logging.getLogger("mlygeo.jobs")

DEFAULT_FOLDER = "downloads"

GRAPH_WORKERS = 4
"""Requests for metadata at once; each brings 200 images, more than pictures come in meanwhile."""


def download(
    images: Any,
    *,
    region: Any,
    output: Any,
    imgid_file: Any,
    sequence: Any,
    sequence_file: Any,
    user: str | None,
    retry_failed: bool,
    size: Literal["256", "1024", "2048", "original"],
    layout: Literal["sequence", "time", "flat"],
    exif: bool,
    computed: bool,
    quality: int | None,
    format: Literal["jpg", "webp"],  # noqa: A002 - the verb's option
    overwrite: bool,
    max_images: int | None,
    workers: int,
    num_retries: int,
    failed_imgid_file: Any,
    required_disk_space: float,
    dry_run: bool,
    tiles_only: bool,
    service: Service | None,
    progress: Progress | None,
    **options: Any,
) -> Job[Any]:
    """Do what `mlygeo.download` says."""
    from mlygeo import frames, regions

    place, config = regions.settle(region)
    if tiles_only:
        from mlygeo.pipelines.job import body_of
        from mlygeo.pipelines.region import tiles

        how = {**options, "workers": GRAPH_WORKERS, "computed": False, "overwrite": overwrite, "service": service}
        return body_of(tiles)(region, tiles_only=True, dry_run=dry_run, progress=progress, **how)
    _check(workers=workers, num_retries=num_retries, quality=quality, max_images=max_images, room=required_disk_space)
    images = None if isinstance(images, tuple) and not images else images
    conditions = frames.conditions_of(**{name: options.pop(name) for name in inputs.FILTERS})
    sources = Sources(
        images=images, imgid_file=imgid_file, sequence=sequence or None, sequence_file=sequence_file, user=user,
        conditions=conditions, place=place, config=config, progress=progress,
        tiles=TileOptions(
            tile_list_file=options["tile_list_file"], tile_cache=options["tile_cache"], computed=False, overwrite=False,
            max_age=options["max_age"], workers=TILE_WORKERS,
        ),
        access=Access(token=options["token"], token_file=options["token_file"], service=service),
    )  # fmt: skip
    folder = Path(output or (config and config.seqdir) or DEFAULT_FOLDER).expanduser()
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file, and -o names a folder here")
    work = _Work(
        folder=folder,
        wish=_wish(size=size, layout=layout, exif=exif, computed=computed, quality=quality, format=format),
        token=(options["token"], options["token_file"]),
        service=service,
        config=config,
        workers=workers,
        num_retries=num_retries,
        room=required_disk_space,
        overwrite=overwrite,
        progress=progress,
    )
    if dry_run:
        return work.rehearse(sources, retry_failed=retry_failed, max_images=max_images)
    return work.do(
        sources,
        retry_failed=retry_failed,
        max_images=max_images,
        failed_file=None if failed_imgid_file is None else Path(failed_imgid_file).expanduser(),
    )


def _check(*, workers: int, num_retries: int, quality: int | None, max_images: int | None, room: float) -> None:
    if workers < 1:
        raise InputError(f"--workers must be 1 or more, not {workers}")
    if num_retries < 0:
        raise InputError(f"--num-retries must be 0 or more, not {num_retries}")
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"--quality lies between 1 and 100, not at {quality}")
    if max_images is not None and max_images < 0:
        raise InputError(f"--max-images must be 0 or more, not {max_images}")
    if not 0 <= room < float("inf"):
        raise InputError(f"--required-disk-space must be 0 or more, not {room}")


def _wish(*, size: str, layout: str, exif: bool, computed: bool, quality: int | None, format: str) -> Wish:  # noqa: A002
    from mlygeo.downloads.ledger import Form
    from mlygeo.downloads.run import Wish

    if computed and not exif:
        raise InputError("--computed says which position goes into the files", hint="use it with --exif")
    said = {"exif": exif, "computed": computed, f"quality={quality}": quality is not None}
    options = " ".join(name for name, is_so in said.items() if is_so)
    return Wish(Form(size, format, layout, options), exif=exif, computed=computed, quality=quality)


@dataclass
class _Work:
    """A download with its settings, from the question which images to the last file."""

    folder: Path
    wish: Wish
    token: tuple[str | None, Any]
    service: Service | None
    config: Any
    workers: int
    num_retries: int
    room: float
    overwrite: bool
    progress: Progress | None

    def do(self, sources: Sources, *, retry_failed: bool, max_images: int | None, failed_file: Path | None) -> Job[Any]:
        """Download the images."""
        from mlygeo.downloads import ledger
        from mlygeo.downloads.run import Outcome
        from mlygeo.locks import FolderLock

        started = time.monotonic()
        stop = threading.Event()
        with contextlib.ExitStack() as stack:
            session = _Lazy(stack, lambda: self._session(stop))
            wanted = self._wanted(sources, session, retry_failed=retry_failed, max_images=max_images, book=None)
            if wanted is not None and not len(wanted.ids):
                return self._nothing(wanted)
            stack.enter_context(FolderLock(self.folder))
            book = stack.enter_context(ledger.Ledger(self.folder))
            if wanted is None:
                wanted = self._wanted(sources, session, retry_failed=True, max_images=max_images, book=book)
                if wanted is None or not len(wanted.ids):
                    return self._nothing(wanted or Wanted(self._provider.keys.array(()), "the ledger"))
            standing = self._standing(book, wanted.ids)
            todo = self._todo(standing)
            gone = wanted.ids[~todo & (standing == ledger.GONE)].tolist()
            outcome = Outcome(gone=dict.fromkeys(gone, self._records.gone))
            try:
                if todo.any():
                    ids = wanted.ids[todo]
                    self._run(ids, standing[todo], outcome=outcome, book=book, session=session(), stop=stop)
            finally:
                if failed_file is not None:
                    from mlygeo.readers import id_lists

                    id_lists.merge_failed(failed_file, {**outcome.gone, **outcome.failed}, np.sort(wanted.ids))
        return self._told(wanted, standing, todo, outcome, failed_file=failed_file, seconds=time.monotonic() - started)

    def rehearse(self, sources: Sources, *, retry_failed: bool, max_images: int | None) -> Job[Any]:
        """Say what would be done, and do nothing."""
        from mlygeo.downloads import ledger

        place = sources.place
        with contextlib.ExitStack() as stack:
            session = _Lazy(stack, lambda: self._session(threading.Event()))
            known = (self.folder / places.STATE_FOLDER / ledger.LEDGER_FILE).is_file()
            book = stack.enter_context(ledger.Ledger(self.folder)) if known else None
            asks_tiles = place is not None and sources.is_region_alone and not retry_failed
            if asks_tiles and place is not None and (plan := sources.fetching(place).plan()).missing:
                text = f"{plan}; which images there are is known once the tiles are here; nothing was fetched"
                return Job(_no_frame, {"tiles_to_fetch": len(plan.missing), "version": version()}, text)
            wanted = self._wanted(sources, session, retry_failed=retry_failed, max_images=max_images, book=book)
            wanted = wanted or Wanted(self._provider.keys.array(()), "the ledger")
            standing = np.zeros(len(wanted.ids), dtype=np.int8) if book is None else self._standing(book, wanted.ids)
            todo = int(self._todo(standing).sum())
            mean = book.mean_bytes(self.wish.form) if book is not None else None
        summary, headline = _download_estimate.of(
            wanted, standing, todo, mean_bytes=mean, form=self.wish.form, folder=self.folder, workers=self.workers,
            room=self.room, records=self._records,
        )  # fmt: skip
        return Job(_no_frame, summary, f"{headline}; nothing was fetched")

    def _wanted(
        self, sources: Sources, session: _Lazy, *, retry_failed: bool, max_images: int | None, book: Ledger | None
    ) -> Wanted | None:
        """Return the images that are meant; None where only the ledger, not yet open, can tell."""
        if retry_failed and book is None:
            return None
        wanted = sources.find(session)
        if retry_failed and book is not None:
            failed = book.failed_ids()
            if wanted is None:
                wanted = Wanted(failed, "those that failed")
            else:
                kept = wanted.ids[np.isin(wanted.ids, failed)]
                wanted = replace(wanted, ids=kept, source=f"those of {wanted.source} that failed")
        if wanted is None:
            raise nothing_said()
        for warning in wanted.warnings:
            log.warning("%s", warning)
        return wanted if max_images is None else replace(wanted, ids=wanted.ids[:max_images])

    def _standing(self, book: Ledger, ids: Ids) -> Standing:
        order = np.argsort(ids, kind="stable")
        standing = np.empty(len(ids), dtype=np.int8)
        standing[order] = book.standing(ids[order], self.wish.form)
        return standing

    def _todo(self, standing: Standing) -> npt.NDArray[np.bool_]:
        from mlygeo.downloads import ledger

        return np.ones(len(standing), dtype=bool) if self.overwrite else ~np.isin(standing, (ledger.THERE, ledger.GONE))

    def _run(
        self,
        ids: Ids,
        standing: Standing,
        *,
        outcome: Outcome,
        book: Ledger,
        session: Session,
        stop: threading.Event,
    ) -> None:
        from mlygeo.downloads import ledger
        from mlygeo.downloads.files import PictureFiles
        from mlygeo.downloads.run import Download
        from mlygeo.net.pictures import Pictures
        from mlygeo.progress import Progress

        files = PictureFiles(self.folder, required_gb=self.room)
        files.check_room()
        if other := int((standing == ledger.OTHER).sum()):
            log.warning(
                "%s %s there in another form, and fetched anew", counted(other, "image"), "is" if other == 1 else "are"
            )
        service = self._service()
        retry = replace(service.retry, attempts=self.num_retries + 1)
        progress = self.progress or Progress()
        layout = layouts.layout_of(self.wish.form, ids, session, self._records)
        with (
            Pictures(service, connections=self.workers, stop=stop) as pictures,
            progress.bar("downloading", total=len(ids), unit="images") as bar,
        ):
            run = Download(
                self.wish, layout=layout, files=files, ledger=book, provider=self._provider, session=session,
                pictures=pictures, stop=stop, retry=retry, workers=self.workers, bar=bar,
            )  # fmt: skip
            run.outcome = outcome
            run.run(ids, standing, overwrite=self.overwrite)
        log.info(
            "%d fetched, %d found, %d gone, %d failed", outcome.fetched, outcome.found, len(outcome.gone),
            len(outcome.failed),
        )  # fmt: skip

    def _service(self) -> Service:
        if self.service is None:
            self.service = inputs.service_for(None, *self.token, self.config)
        return self.service

    @property
    def _provider(self) -> Provider:
        from mlygeo.providers import provider_of

        return provider_of(self.service)

    @property
    def _records(self) -> Records:
        from mlygeo.providers import needed

        return needed(self._provider.records, self._provider, "images by id")

    def _session(self, stop: threading.Event) -> Session:
        return self._records.open(self._service(), workers=GRAPH_WORKERS, stop=stop)

    def _nothing(self, wanted: Wanted) -> Job[Any]:
        """Return the job of a list without images: nothing is fetched, and never everything."""
        summary = {"images": 0, "source": wanted.source, "warnings": wanted.warnings, "version": version()}
        text = f"no image to download: {wanted.source} names none"
        return Job(_no_frame, summary, text, failed=list(wanted.warnings))

    def _told(
        self,
        wanted: Wanted,
        standing: Standing,
        todo: npt.NDArray[np.bool_],
        outcome: Outcome,
        *,
        failed_file: Path | None,
        seconds: float,
    ) -> Job[Any]:
        from mlygeo.downloads import ledger

        there = int((~todo & (standing == ledger.THERE)).sum())
        lost = {**outcome.gone, **outcome.failed}
        summary = {
            "folder": str(self.folder),
            "source": wanted.source,
            "images": len(wanted.ids),
            "there": there,
            "found": outcome.found,
            "fetched": outcome.fetched,
            "gone": len(outcome.gone),
            "failed": len(outcome.failed),
            "bytes": outcome.bytes,
            "seconds": round(seconds, 1),
            "size": self.wish.form.size,
            "format": self.wish.form.format,
            "layout": self.wish.form.layout,
            "warnings": wanted.warnings,
            "attribution": [self._provider.attribution],
            "version": version(),
        }
        parts = [
            f"{outcome.fetched:,} fetched ({_download_estimate.in_units(outcome.bytes)})",
            f"{there + outcome.found:,} were there",
        ]
        parts += [f"{len(outcome.gone):,} gone"] * bool(outcome.gone)
        parts += [f"{len(outcome.failed):,} failed"] * bool(outcome.failed)
        headline = f"{counted(len(wanted.ids), 'image')} of {wanted.source}: {', '.join(parts)}; in {self.folder}"
        if outcome.failed:
            number, reason = next(iter(sorted(outcome.failed.items())))
            headline += f"\n{number}: {reason}\n--retry-failed takes up those that failed"
        if failed_file is not None and lost:
            headline += f"; {failed_file} names them"

        def make_frame() -> Any:
            with ledger.Ledger(self.folder) as book:
                return ledger.as_frame(book.rows(np.sort(wanted.ids)))

        failed = [str(number) for number in sorted(lost)]
        return Job(make_frame, summary, headline, failed=[*failed, *wanted.warnings])


class _Lazy:
    """What asks the service, opened when it is first needed: what is all there needs no token."""

    def __init__(self, stack: contextlib.ExitStack, make: Any) -> None:
        self._stack, self._make = stack, make
        self._session: Session | None = None

    def __call__(self) -> Session:
        if self._session is None:
            self._session = self._stack.enter_context(self._make())
        return self._session


def _no_frame() -> Any:
    from mlygeo.downloads import ledger

    return ledger.as_frame([])
