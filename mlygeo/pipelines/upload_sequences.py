"""Uploads to providers that take sequences and whole files, such as Mapillary."""

from __future__ import annotations

import contextlib
import logging
import shlex
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError, NotDescribedError
from mlygeo.pipelines.account import account_to_upload_with
from mlygeo.pipelines.job import Job, version
from mlygeo.pipelines.upload_parts import (
    NAMED,
    first_reason,
    is_archive,
    megabytes,
    no_frame,
    nothing,
    setting,
    skipped_text,
    write_history,
)
from mlygeo.progress import counted, keep

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

    import pandas as pd

    from mlygeo.pipelines.options import Described, SignedIn, Uploading, User
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider
    from mlygeo.uploads.files import Outcome
    from mlygeo.uploads.found import Import
    from mlygeo.uploads.items import Photo, WholeFile
    from mlygeo.uploads.ledger import UploadLedger
    from mlygeo.uploads.owner import Account
    from mlygeo.uploads.run import Upload
    from mlygeo.uploads.videos import GivenTrack

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

THREADS, ATTEMPTS = 5, 50

NOT_FOR_SEQUENCES = ("blurred",)
"""Options of `upload` that such providers have no use for."""


def run_upload(
    import_path: PathLike | Iterable[PathLike],
    who: Provider,
    *,
    described: Described,
    user: User,
    signed_in: SignedIn,
    uploading: Uploading,
    output: PathLike | None,
    dry_run: bool,
    progress: Progress | None,
    track: PathLike | None,
    video_start_time: int | None,
) -> Job[pd.DataFrame]:
    """
    Upload the images and files of a folder; see `mlygeo.pipelines.uploads.upload`.

    Parameters
    ----------
    import_path
        The folder, or files of it.
    who
        The provider.
    described
        Which images of it are used.
    user
        The owner of the images.
    signed_in
        The user who uploads them.
    uploading
        Other options of the upload.
    output
        File for the history of these files; None for one in the folder.
    dry_run
        Whether it is a dry run.
    progress
        Where progress is shown; None shows none.
    track, video_start_time
        The track of the videos, and when they start.
    """
    from mlygeo.pipelines import inputs
    from mlygeo.providers import needed
    from mlygeo.uploads.found import gather, give_owners, named, only
    from mlygeo.uploads.ledger import UploadLedger
    from mlygeo.uploads.owner import organizations_of

    with inputs.held(import_path, "upload", dry_run=dry_run, progress=progress):
        threads = setting("number_threads", uploading.number_threads, THREADS)
        attempts = setting("max_attempts", uploading.max_attempts, None if signed_in.service is not None else ATTEMPTS)
        service = needed(who.uploads, who, "uploads")
        types = named(uploading.file_types)
        found = gather(
            import_path,
            desc_path=described.desc_path,
            skip_subfolders=described.skip_subfolders,
            private=user.private,
            file_types=service.file_types,
            track=track_for_videos(track, video_start_time, progress),
        )
        if track is not None and not any(each.kind == "video" for each in found.files):
            log.warning("`track` has no effect: it is for videos, and none is uploaded")
        found = only(found, types, service.file_types)
        if not found.paths:
            return nothing_to_send(found)
        place = service.place(signed_in.service)
        if dry_run:
            return _rehearsed(found, place, reupload=uploading.reupload)
        account = account_to_upload_with(
            user, signed_in, max_attempts=attempts, named=found.users, progress=progress
        )  # fmt: skip
        keys = organizations_of(account, user.organization_key, user.organization_name, owners=found.owners)
        give_owners(found, keys)
        started = time.monotonic()
        with UploadLedger(place) as ledger:
            keep("what was uploaded is noted, and not uploaded again")
            try:
                outcome = _run(
                    found, ledger, account, threads=threads or THREADS, reupload=uploading.reupload,
                    manual_done=uploading.manual_done, progress=progress,
                )  # fmt: skip
            finally:
                rows = ledger.rows([*found.paths, *found.failed])
                written = write_history(rows, output, import_path)
        job = _report(found, outcome, rows, written, seconds=time.monotonic() - started)
    return replace(job, summary={**job.summary, "user_name": account.user_name, "user_key": account.user_key})


def track_for_videos(track: PathLike | None, start_ms: int | None, progress: Progress | None) -> GivenTrack | None:
    """
    Return the track that a user gives for videos; None if none is given.

    Parameters
    ----------
    track
        The track, as `upload` takes it.
    start_ms
        When the videos start, milliseconds since 1970; None for what they say.
    progress
        Where progress is shown; None shows none.

    Raises
    ------
    InputError
        If the start is given without a track, or makes no sense.
    FileError, FormatError, FrameError
        If the track cannot be read, or has no times.
    """
    from mlygeo.pipelines import video
    from mlygeo.uploads.videos import given_track

    if track is None:
        if start_ms is not None:
            raise InputError("`video_start_time` has an effect only with `track`")
        return None
    return given_track(video.read_track(track, progress=progress), start_ms)


def _run(
    found: Import,
    ledger: UploadLedger,
    account: Account,
    *,
    threads: int,
    reupload: bool,
    manual_done: bool,
    progress: Progress | None,
) -> Outcome:
    from mlygeo.locks import NameLocks
    from mlygeo.progress import Progress
    from mlygeo.providers import needed
    from mlygeo.uploads.files import MB
    from mlygeo.uploads.older import OlderUploads
    from mlygeo.uploads.run import Upload

    service = needed(account.provider.uploads, account.provider, "uploads")
    stop = threading.Event()
    total = found.bytes / MB
    with (
        service.open(account.service, connections=threads, stop=stop) as uploads,
        contextlib.ExitStack() as stack,
    ):
        bar = stack.enter_context((progress or Progress()).bar("uploading", total=total, unit="MB"))
        run = Upload(
            uploads=uploads, sequence_type=service.file_types["sequence"], ledger=ledger,
            locks=NameLocks(ledger.folder / "locks", stop), stop=stop, threads=threads, bar=bar,
            user_key=account.user_key, reupload=reupload, manual_done=manual_done,
            older=None if reupload else OlderUploads(),
        )  # fmt: skip
        outcome = run.run(found.sequences, found.files)
        stack.close()
        if outcome.ready:
            _ask_to_finish(run, progress)
    return outcome


def _ask_to_finish(run: Upload, progress: Progress | None) -> None:
    """Finish ready uploads if the user confirms it at the terminal."""
    from mlygeo.progress import TerminalProgress

    if not isinstance(progress, TerminalProgress) or sys.stdin is None or not sys.stdin.isatty():
        return
    ready = list(run.outcome.ready)
    progress.note(f"{counted(len(ready), 'upload')} ready; finish now? [y/N]")
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        run.finish(ready)
        run.outcome.sequences += len(ready)


def _rehearsed(found: Import, place: str, *, reupload: bool) -> Job[pd.DataFrame]:
    """Return what would be uploaded; files are read, and the service is not used."""
    from mlygeo.uploads.older import Before

    counts = {"there": 0, "older": 0, "repeated": 0}
    todo = found.bytes
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(Before(place, reupload=reupload))
        items: list[Photo | WholeFile] = [photo for sequence in found.sequences for photo in sequence.photos]
        for each in [*items, *found.files]:
            with contextlib.suppress(OSError):
                if (outcome := before.outcome(each)) is not None:
                    counts[outcome] += 1
                    todo -= each.size
    there, older, repeated = counts.values()
    images = sum(len(sequence.photos) for sequence in found.sequences)
    copies = sum(file.recipe is not None for file in found.files)
    summary = {
        "images": images, "sequences": len(found.sequences), "files": len(found.files), "copies": copies,
        "there": there, "there_by_mapillary_tools": older, "repeated": repeated, "bytes": todo,
        "skipped": dict(+found.skipped),
        "left_out": found.left_out, "failed": len(found.failed), "users": sorted(found.users), "version": version(),
    }  # fmt: skip
    headline = (
        f"{counted(images, 'image')} in {counted(len(found.sequences), 'sequence')} and "
        f"{counted(len(found.files), 'whole file')}: {there:,} uploaded before, "
        + f"{older:,} by mapillary_tools, " * bool(older)
        + f"{repeated:,} the same as another, " * bool(repeated)
        + f"{len(found.paths) - there - older - repeated:,} to upload ({megabytes(todo)}){skipped_text(found)}; "
        "nothing was uploaded" + _videos(found, copies, "goes", "go")
    )
    return Job(no_frame, summary, headline, failed=sorted(found.failed))


def nothing_to_send(found: Import) -> Job[pd.DataFrame]:
    """Return the job of an import in which nothing can be sent; raise if it only lacks descriptions."""
    if found.skipped["not processed"]:
        raise NotDescribedError(
            f"{counted(found.skipped['not processed'], 'photo')} without a description, and nothing else to upload",
            hint="'mlygeo process' makes the descriptions",
        )
    return nothing(found, _videos(found, 0, "", ""))


def _report(
    found: Import, outcome: Outcome, rows: list[tuple[Any, ...]], written: Path | None, *, seconds: float
) -> Job[pd.DataFrame]:
    failed = {**found.failed, **outcome.failed}
    summary = {
        "images": outcome.images,
        "sequences": outcome.sequences,
        "zips": outcome.zips,
        "videos": outcome.videos,
        "copies": outcome.copies,
        "there": outcome.there,
        "there_by_mapillary_tools": outcome.older,
        "repeated": outcome.repeated,
        "other_time": outcome.other_time,
        "edited": outcome.edited,
        "ready": len(outcome.ready),
        "unfinished": outcome.unfinished,
        "failed": len(failed),
        "skipped": dict(+found.skipped),
        "left_out": found.left_out,
        "bytes": outcome.bytes,
        "seconds": round(seconds, 1),
        "history": None if written is None else str(written),
        "version": version(),
    }
    parts = [f"{counted(outcome.images, 'image')} uploaded ({megabytes(outcome.bytes)})"]
    for number, word in ((outcome.sequences, "sequence"), (outcome.zips, "archive"), (outcome.videos, "video")):
        parts += [f"{counted(number, word)} finished"] * bool(number)
    parts += [f"{outcome.there:,} uploaded before"] * bool(outcome.there)
    parts += [f"{outcome.older:,} uploaded before by mapillary_tools"] * bool(outcome.older)
    parts += [f"{outcome.repeated:,} the same as another"] * bool(outcome.repeated)
    parts += [f"{outcome.edited:,} edited since they were uploaded (`reupload` sends them)"] * bool(outcome.edited)
    headline = (
        ", ".join(parts) + skipped_text(found, len(outcome.failed)) + _videos(found, outcome.copies, "went", "went")
    )
    if outcome.ready:
        headline += (
            f"\n{counted(len(outcome.ready), 'upload')} ready; without `manual_done` the same command finishes them"
        )
    if outcome.unfinished:
        headline += f"\n{counted(outcome.unfinished, 'sequence')} not finished; the same command goes on from there"
    headline += first_reason(failed)

    def make_frame() -> pd.DataFrame:
        from mlygeo.uploads.ledger import as_frame

        return as_frame(rows)

    return Job(make_frame, summary, headline, failed=sorted(failed))


def _videos(found: Import, copies: int, one: str, several: str) -> str:
    """Return lines about the videos that are sent as copies, and those that are left out."""
    from mlygeo.uploads.videos import LEFT_OUT, NoPositionsError

    lines = [f"{copies:,} videos {several} up as copies with a CAMM track; the originals stay"] * (copies > 1)
    lines += [f"1 video {one} up as a copy with a CAMM track; the original stays"] * (copies == 1)
    reasons = [reason for path, reason in sorted(found.left_out.items()) if not is_archive(path)]
    lines += [f"left out: {reason}" for reason in reasons[:NAMED]]
    lines += [f"left out: {counted(len(reasons) - NAMED, 'more video')}"] * (len(reasons) > NAMED)
    if found.skipped[LEFT_OUT[NoPositionsError]] and (
        videos := sorted(path for path in found.left_out if not is_archive(path))
    ):
        lines += [f"to make photos of it: mlygeo video-process {shlex.quote(videos[0])}"]
    return "".join(f"\n{line}" for line in lines)
