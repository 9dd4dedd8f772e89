"""Downloading the pictures of a selection."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo import places
from mlygeo.errors import InputError, RegionError
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, body_of, check_folder, public, version
from mlygeo.pipelines.options import Access, Downloading, Filters, PictureForm, TileOptions
from mlygeo.progress import counted, keep
from mlygeo.schemas import DEFAULT_PROVIDER

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
    from mlygeo.keys import Key
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

TYPICAL_BYTES = {"256": 14_000, "thumb": 40_000, "1024": 130_000, "2048": 420_000, "original": 2_500_000}
"""Mean size of a picture, for estimates before the first download."""

SECONDS_A_PICTURE = 0.5
"""Seconds from request to file over an ordinary connection, for estimates."""


IN_DOUBT = "pictures whose own heading contradicts what the provider says of them, and stays"
"""What is in doubt of fetched pictures; the ledger's `reason` names it of each."""

NOT_FOR_TILES = (
    "images", "output", "imgid_file", "sequence", "sequence_file", "user", "retry_failed", "size", "layout", "exif",
    "computed", "quality", "format", "max_images", "workers", "num_retries", "failed_imgid_file",
    "required_disk_space", "pano", "since", "until", "creator", "organization", "min_quality",
    "where",
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
    where: str | None = None,
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
    Download the pictures of a selection, a list of images, sequences, a user or a region.

    Complete pictures are not fetched again, so repeat the command to continue after any interruption. A picture is
    either complete or absent. A table in the folder, the ledger, records what happened to each image (in Python, see
    `transfers`). If images are gone or failed, the exit status is 3.

    Parameters
    ----------
    images
        File of a selection or images (in Python also a frame), file of ids, or ids.
    region
        A bounding box (west, south, east, north), a `Region`, a configuration file, a file of polygons or a shapely
        polygon: all images in it. With a frame, ids, sequences or a user, only those of their images that are in
        it. If a frame does not tell where its images are, the service is asked, or the region's tiles are used if a
        tile option is given.
    regions_file
        File of several regions: text with one bounding box per line (NAME,WEST,SOUTH,EAST,NORTH), or polygons in
        any vector format with a column name or id. The pictures of each region go into a folder of that name in
        `output`. `max_images` applies to each region.
    output
        Folder for the pictures. Default: seqdir of the configuration file, else "downloads".
    imgid_file
        File of image ids: text, in which "#" begins a comment, or JSON with mapillary_img_id. Can be given several
        times. Numbers are Mapillary ids, UUIDs are Panoramax ids; for other providers write provider:id.
    sequence
        All images of this sequence (id). Can be given several times. Together with ids: only the images with these
        ids in the sequence.
    sequence_file
        File of sequence ids, one per line, as written by `find_sequences`. Can be given several times.
    user
        All images by the user with this name.
    retry_failed
        Fetch only images that failed before.
    computed
        With `exif`: write the position and heading computed by 3D reconstruction, where available. The altitude
        remains the original one.
    overwrite
        Fetch everything again, including existing pictures.
    max_images
        Download at most this many images, the first ones.
    workers
        Number of pictures to fetch at once.
    failed_imgid_file
        Write the ids of images that failed or are gone to this file, with the reasons. Read it with `imgid_file`.
    dry_run
        Fetch nothing; report the number of images and requests, the size and the time needed.
    tiles_only
        Fetch only the region's vector tiles, as `tiles` does.
    pano
        Download only panoramas, or only flat images, of a file of images, a region or a user.
    creator
        Download images by this creator (id) in a file of images or a region. Can be given several times.
    organization
        Download images of this organization (id): those in a file of images, of a region or of a user, or all. Can
        be given several times.
    min_quality
        Download images of a file or region with at least this quality score, 0 to 1.
    where
        Download images of a file or region that meet this condition on any of their columns, such as "blur >= 100
        and sun_altitude > 0". It may contain comparisons (=, !=, <, <=, >, >=), "in ('a', 'b')", "is null" and "is
        not null", joined by and, or, not and parentheses. Put text and times in quotes. Images that lack a value
        the condition needs are left out and counted.
    tile_list_file
        Use only the tiles of the region listed in this file, one cache file name per line. Can be given several
        times.
    tile_cache
        Folder for the vector tiles of regions. Default: the folder in the configuration file, else the user cache
        folder.
    max_age
        Fetch tiles of the region that are older than this many days again.

    Returns
    -------
    transfers
        The ledger's rows of these images, as `transfers` returns them; `attrs["summary"]` holds
        the summary.

    Raises
    ------
    InputError
        If no images are given, or an option makes no sense.
    FileError
        If another run is at work in the folder, or there is too little space on the disk.
    CredentialsError
        If something must be fetched and there is no token.
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
        of_no_use(beside, "with `regions_file`")
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
        pano=pano,
        since=since,
        until=until,
        creator=creator,
        organization=organization,
        min_quality=min_quality,
        where=where,
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
    check_folder(folder)
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
        from mlygeo.downloads.ledger import Ledger
        from mlygeo.locks import FolderLock

        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            # Which images failed before is known once the ledger is open.
            parts = None if self.sources.retry_failed else self._find(stack, None)
            if parts is not None and not any(len(part.wanted.ids) for part in parts):
                return _nothing(parts)
            stack.enter_context(FolderLock(self.folder))
            ledger = stack.enter_context(Ledger(self.folder))
            keep("what was downloaded is kept")
            parts = parts or self._find(stack, ledger)
            if not any(len(part.wanted.ids) for part in parts):
                return _nothing(parts)
            for part in parts:
                self._look(part, ledger)
            for part in parts:
                self._fetch_part(part, ledger)
        return self._report(parts, seconds=time.monotonic() - started)

    def _find(self, stack: contextlib.ExitStack, ledger: Ledger | None) -> list[Part]:
        """Return the images of each provider."""
        from mlygeo.net.answers import UnknownUserError
        from mlygeo.pipelines.wanted import Wanted
        from mlygeo.providers import needed

        found: list[Part] = []
        nobody: list[UnknownUserError] = []
        parted = self.sources.parted(ledger)
        for sources in parted:  # a size that one of them lacks is refused before anything is fetched
            who = sources.access.one
            needed(who.pictures, who, "pictures").fields(self.requested.form.size, metadata="none")
        for sources in parted:
            stop = threading.Event()  # what stops for one provider is not to stop for the next
            session = _Lazy(stack, lambda sources=sources, stop=stop: self._session(sources, stop))
            before = sum(len(part.wanted.ids) for part in found)
            try:
                wanted = sources.find(session, ledger, before=before)
            except UnknownUserError as error:  # of one provider, while another may know the name
                nobody.append(error)
                wanted = Wanted(sources.access.one.keys.array(()), f"user {sources.user}")
            found.append(Part(sources, session, stop, wanted))
        if nobody and not any(len(part.wanted.ids) for part in found):
            raise nobody[0]
        for each in nobody:
            log.warning("%s", each)
        return found

    def _look(self, part: Part, ledger: Ledger | None) -> None:
        """Look what is there of a part, and what is to be done."""
        import numpy as np

        from mlygeo import keys
        from mlygeo.downloads.ledger import GONE

        ids = part.wanted.ids
        part.states = np.zeros(len(ids), dtype=np.int8)
        if ledger is not None:
            order = keys.in_order(ids)
            part.states[order] = ledger.states(ids[order], self.requested.form, part.name)
        part.todo = self._todo(part.states)
        gone = ids[~part.todo & (part.states == GONE)].tolist()
        part.gone = dict.fromkeys(gone, part.sources.access.records.gone)

    def _fetch_part(self, part: Part, ledger: Ledger) -> None:
        from mlygeo.downloads.run import Outcome

        part.outcome = outcome = Outcome(gone=part.gone)
        try:
            if part.todo.any():
                self._fetch(part, outcome=outcome, ledger=ledger)
        finally:
            if self.failed_file is not None:
                from mlygeo.readers import id_lists

                lost = {**outcome.gone, **outcome.failed}
                own = part.sources.access.own
                id_lists.merge_failed(self.failed_file, lost, part.wanted.ids, provider=part.name, own=own)

    def rehearse(self) -> Job[pd.DataFrame]:
        """Return what would be done, without doing it."""
        from mlygeo.downloads.ledger import LEDGER_FILE, Ledger

        sources = self.sources
        with contextlib.ExitStack() as stack:
            known = (self.folder / places.STATE_FOLDER / LEDGER_FILE).is_file()
            ledger = stack.enter_context(Ledger(self.folder)) if known else None
            asks_tiles = sources.asks_tiles and not sources.retry_failed
            if asks_tiles and sources.place is not None and (plan := sources.fetching(sources.place).plan()).missing:
                text = f"{plan}; which images there are is known once the tiles are here; nothing was fetched"
                return Job(_no_transfers, {"tiles_to_fetch": len(plan.missing), "version": version()}, text)
            parts = self._find(stack, ledger)
            for part in parts:
                self._look(part, ledger)
            mean_bytes = None if ledger is None else ledger.mean_bytes(self.requested.form)
        return self._estimate(parts, mean_bytes)

    def _todo(self, states: States) -> Flags:
        import numpy as np

        from mlygeo.downloads.ledger import GONE, THERE

        if self.downloading.overwrite:
            return np.ones(len(states), dtype=bool)
        return ~np.isin(states, (THERE, GONE))

    def _fetch(self, part: Part, *, outcome: Outcome, ledger: Ledger) -> None:
        from mlygeo.downloads import layouts
        from mlygeo.downloads.files import PictureFiles
        from mlygeo.downloads.ledger import OTHER
        from mlygeo.downloads.run import Download
        from mlygeo.net.pictures import Pictures
        from mlygeo.progress import Progress

        how, access = self.downloading, part.sources.access
        ids, states, session = part.wanted.ids[part.todo], part.states[part.todo], part.session()
        files = PictureFiles(self.folder, required_gb=how.required_disk_space)
        # Who names a limit means just that; else a run that would not fit does not begin.
        files.check_room(0 if how.required_disk_space is not None else self._expected(len(ids), ledger.mean_bytes))
        if other := int((states == OTHER).sum()):
            log.warning(
                "%s %s there in another form, and fetched anew", counted(other, "image"), "is" if other == 1 else "are"
            )
        service = self._service(part.sources)
        retry = replace(service.retry, attempts=how.num_retries + 1)
        progress = self.sources.progress or Progress()
        layout = layouts.layout_of(self.requested.form, ids, session, access.records)
        with (
            Pictures(service, connections=how.workers, stop=part.stop) as pictures,
            progress.bar("downloading", total=len(ids), unit="images") as bar,
        ):
            run = Download(
                self.requested, layout=layout, files=files, ledger=ledger, provider=access.one,
                session=session, pictures=pictures, stop=part.stop, retry=retry, workers=how.workers, bar=bar,
            )  # fmt: skip
            run.outcome = outcome
            run.run(ids, states, overwrite=how.overwrite)
        log.info(
            "%d fetched, %d found, %d gone, %d failed", outcome.fetched, outcome.found, len(outcome.gone),
            len(outcome.failed),
        )  # fmt: skip

    def _service(self, sources: Sources) -> Service:
        service = sources.access.opened(sources.config)
        attempts = min(service.retry.attempts, self.downloading.num_retries + 1)
        return replace(service, retry=replace(service.retry, attempts=attempts))

    def _session(self, sources: Sources, stop: threading.Event) -> Session:
        return sources.access.records.open(self._service(sources), workers=GRAPH_WORKERS, stop=stop)

    def _report(self, parts: list[Part], *, seconds: float) -> Job[pd.DataFrame]:
        from mlygeo import keys
        from mlygeo.downloads import credits as noted
        from mlygeo.downloads import ledger
        from mlygeo.pipelines import provenance
        from mlygeo.pipelines.inputs import problems_remark

        form, whole = self.requested.form, _Whole(parts)
        in_doubt = sum(part.outcome.in_doubt for part in parts)
        problems = {IN_DOUBT: in_doubt} if in_doubt else {}
        lost = [(part, key) for part in parts for key in keys.ordered({**part.outcome.gone, **part.outcome.failed})]
        summary = {
            "folder": str(self.folder),
            "source": whole.source,
            **whole.facts,
            **(counts := whole.counts),
            "seconds": round(seconds, 1),
            "size": form.size,
            "format": form.format,
            "layout": form.layout,
            "warnings": whole.warnings,
            **self.sources.facts,
            **whole.providers(lambda part: _Whole([part]).counts),
            **whole.credited(self.folder),
            **({"problems": problems} if problems else {}),
            "date": provenance.today(),
            "version": version(),
        }
        there = counts["there"] + counts["found"]
        said = [
            f"{counts['fetched']:,} fetched ({_in_units(counts['bytes'])})",
            f"{there:,} {'was' if there == 1 else 'were'} there",
        ]
        said += [f"{counts['gone']:,} gone"] * bool(counts["gone"])
        said += [f"{counts['failed']:,} failed"] * bool(counts["failed"])
        headline = f"{counted(whole.images, 'image')} of {whole.source}: {', '.join(said)}; in {self.folder}"
        headline += whole.remark + problems_remark(problems)
        if failed := next((part for part in parts if part.outcome.failed), None):
            key = keys.ordered(failed.outcome.failed)[0]
            headline += f"\n{whole.word(failed, key)}: {failed.outcome.failed[key]}"
            headline += "\n`retry_failed=True` takes up those that failed"
        if self.failed_file is not None and lost:
            headline += f"; {self.failed_file} names them"

        def make_frame() -> pd.DataFrame:
            import pyarrow as pa

            with ledger.Ledger(self.folder) as opened:
                rows: list[list[tuple[Any, ...]]] = []
                credited = []
                for part in parts:
                    ids = part.wanted.ids
                    rows += opened.rows(ids[keys.in_order(ids)], part.name)
                    credited.append(opened.credits(part.name, ids.tolist()))
                return noted.add(ledger.as_frame(rows), pa.concat_tables(credited))

        return Job(make_frame, summary, headline, failed=[*(whole.word(*each) for each in lost), *whole.warnings])

    def _expected(self, images: int, mean_bytes: Callable[[Form], float | None]) -> int:
        """Return the size of pictures that are still to be fetched, bytes, by those that are there in this form."""
        form = self.requested.form
        return round(images * (mean_bytes(form) or TYPICAL_BYTES[form.size]))

    def _estimate(self, parts: list[Part], mean_bytes: float | None) -> Job[pd.DataFrame]:
        """Return an estimate of requests, size and time of a download."""
        from shutil import disk_usage

        from mlygeo.downloads import ledger
        from mlygeo.downloads.files import GB, required_gb_on

        form, workers = self.requested.form, self.downloading.workers
        room_gb = required_gb_on(places.existing(self.folder), self.downloading.required_disk_space)
        whole, calls, seconds = _Whole(parts), 0, 0.0
        todo = sum(int(part.todo.sum()) for part in parts)
        for part in parts:
            records, some = part.sources.access.records, int(part.todo.sum())
            asked = records.calls_for(some) * (2 if form.layout == "time" else 1)
            seconds += max(some * SECONDS_A_PICTURE / workers, asked / (records.images_a_minute / 60))
            calls += asked
        expected, free = self._expected(todo, lambda _: mean_bytes), disk_usage(places.existing(self.folder)).free
        summary = {
            **whole.facts,
            "there": whole.in_state(ledger.THERE),
            "gone": whole.in_state(ledger.GONE),
            "to_fetch": todo,
            "requests_for_metadata": calls,
            "requests_for_pictures": todo,
            "expected_bytes": round(expected),
            "expected_seconds": round(seconds, 1),
            "free_bytes": free,
            "required_disk_space_gb": round(room_gb, 3),
            "fits": free - expected >= room_gb * GB,
            "warnings": whole.warnings,
            **self.sources.facts,
            **whole.providers(lambda part: {"images": len(part.wanted.ids), "to_fetch": int(part.todo.sum())}),
            "version": version(),
        }
        pace = f" (the limit is {records.images_a_minute:,} a minute)" if len(parts) == 1 else ""
        headline = (
            f"{counted(whole.images, 'image')} of {whole.source}: {summary['there']:,} there, {todo:,} to fetch, "
            f"in {counted(calls, 'request')} for metadata{pace} and "
            f"{counted(todo, 'request')} for pictures; about {_in_units(expected)} and {_duration(seconds)} with "
            f"{counted(workers, 'worker')}; {_in_units(free)} are free{whole.remark}"
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


@dataclass
class Part:
    """The images of one provider in a download: where they come from, and what became of them."""

    sources: Sources
    session: Callable[[], Session]
    stop: threading.Event
    wanted: Wanted
    states: States = field(init=False)
    todo: Flags = field(init=False)
    gone: dict[Key, str] = field(default_factory=dict)
    outcome: Outcome = field(init=False)

    @property
    def name(self) -> str:
        """Name of the provider."""
        return self.sources.access.one.name


class _Whole:
    """All images of a download, for its summary; of one provider as if there were no others."""

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(len(part.wanted.ids) for part in self._parts)

    @property
    def source(self) -> str:
        """Their sources, in words."""
        return " and ".join(dict.fromkeys(part.wanted.source for part in self._parts))

    @property
    def warnings(self) -> list[str]:
        """Missing parts, in words."""
        return [warning for part in self._parts for warning in part.wanted.warnings]

    @property
    def remark(self) -> str:
        """What was left out, for headlines."""
        return "".join(part.wanted.remark for part in self._parts)

    @property
    def facts(self) -> dict[str, Any]:
        """How many were asked for, and which of them were left out."""
        first, *others = [part.wanted.facts for part in self._parts]
        for facts in others:
            first |= {name: first[name] + facts[name] for name in ("asked", "images")}
            for name in ("left_out", "left_out_ids"):
                for reason, more in facts[name].items():
                    first[name][reason] = first[name][reason] + more if reason in first[name] else more
        return first

    @property
    def counts(self) -> dict[str, int]:
        """How many there were, and what became of the others."""
        from mlygeo.downloads.ledger import THERE

        outcomes = [part.outcome for part in self._parts]
        return {
            "there": sum(int((~part.todo & (part.states == THERE)).sum()) for part in self._parts),
            "found": sum(outcome.found for outcome in outcomes),
            "fetched": sum(outcome.fetched for outcome in outcomes),
            "gone": sum(len(outcome.gone) for outcome in outcomes),
            "failed": sum(len(outcome.failed) for outcome in outcomes),
            "bytes": sum(outcome.bytes for outcome in outcomes),
        }

    def credited(self, folder: Path) -> dict[str, Any]:
        """Return whose the pictures are that are there: of a provider with one licence, or by each picture."""
        from mlygeo.downloads import credits as noted
        from mlygeo.downloads import ledger

        whole: dict[str, Any] = {"attribution": []}
        for part in self._parts:
            who = part.sources.access.one
            lost = part.outcome.gone.keys() | part.outcome.failed.keys()
            there = [key for key in part.wanted.ids.tolist() if key not in lost]
            facts: dict[str, Any] = {"attribution": [who.attribution]}
            if who.licence is None:
                with ledger.Ledger(folder) as opened:
                    facts = noted.facts(opened.credits(who.name, there), there)
            elif len(self._parts) > 1:
                facts = {"attribution": [who.attribution], "licences": {who.licence.name: len(there)}} if there else {}
            whole["attribution"] = list(dict.fromkeys([*whole["attribution"], *facts.get("attribution", ())]))
            for licence, count in facts.get("licences", {}).items():
                counts = whole.setdefault("licences", {})
                counts[licence] = counts.get(licence, 0) + count
        return whole

    def in_state(self, state: int) -> int:
        """Return how many are in a state by the ledger."""
        return sum(int((part.states == state).sum()) for part in self._parts)

    def providers(self, facts: Callable[[Part], dict[str, Any]]) -> dict[str, Any]:
        """Return facts about each provider; none for Mapillary alone."""
        if [part.name for part in self._parts] == [DEFAULT_PROVIDER]:
            return {}
        return {"providers": {part.name: {"images": len(part.wanted.ids)} | facts(part) for part in self._parts}}

    def word(self, part: Part, key: Key) -> str:
        """Return an id as text, with its provider where there are several."""
        from mlygeo.readers.id_lists import word_of

        return str(key) if len(self._parts) == 1 else word_of(key, part.name)


def _nothing(parts: list[Part]) -> Job[pd.DataFrame]:
    """Return the job of an empty list: it downloads nothing, and never all images."""
    whole = _Whole(parts)
    text = f"no image to download: {whole.source} names none{whole.remark}"
    summary = {
        **whole.facts,
        "source": whole.source,
        "reason": text,
        "warnings": whole.warnings,
        "version": version(),
    }
    return Job(_no_transfers, summary, text, failed=list(whole.warnings))


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
