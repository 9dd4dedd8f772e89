"""Uploads to providers that take folders as sets, such as Panoramax."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlygeo.errors import InputError
from mlygeo.pipelines.job import Job, version
from mlygeo.pipelines.upload_parts import (
    first_reason,
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

    import pandas as pd

    from mlygeo.pipelines.options import Described, SignedIn, Uploading
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider, Terms, UploadSets
    from mlygeo.uploads.found import Import
    from mlygeo.uploads.owner import Account
    from mlygeo.uploads.sets import Folder, Outcome

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

THREADS, ATTEMPTS = 4, 50

NOT_FOR_SETS = (
    "organization_key", "organization_name", "private", "track", "video_start_time", "file_types",
)  # fmt: skip
"""Options of `upload` that such providers have no use for."""


def upload_as_sets(
    import_path: PathLike | Iterable[PathLike],
    who: Provider,
    *,
    endpoint: str | None,
    described: Described,
    user_name: str | None,
    signed_in: SignedIn,
    uploading: Uploading,
    blurred: bool,
    output: PathLike | None,
    dry_run: bool,
    progress: Progress | None,
) -> Job[pd.DataFrame]:
    """
    Upload the photos of folders as sets; see `mlygeo.pipelines.uploads.upload`.

    Parameters
    ----------
    import_path
        The folders, or files of them.
    who, endpoint
        The provider, and the address of its server; None for that of the environment.
    described
        Which images are used.
    user_name, signed_in
        The user who uploads them.
    uploading
        Other options of the upload.
    blurred
        Whether faces and number plates are blurred already.
    output
        File for the history of these files; None for one in the folder.
    dry_run
        Whether it is a dry run.
    progress
        Where progress is shown; None shows none.
    """
    from mlygeo.pipelines import inputs
    from mlygeo.providers import needed
    from mlygeo.uploads.found import gather
    from mlygeo.uploads.ledger import UploadLedger
    from mlygeo.uploads.owner import account_at
    from mlygeo.uploads.sets import folders_of

    sets = needed(who.upload_sets, who, "upload sets")
    with inputs.held(import_path, "upload", dry_run=dry_run, progress=progress):
        threads = setting("number_threads", uploading.number_threads, THREADS)
        attempts = setting("max_attempts", uploading.max_attempts, None if signed_in.service is not None else ATTEMPTS)
        found = gather(
            import_path, desc_path=described.desc_path, skip_subfolders=described.skip_subfolders, count_others=True
        )
        folders = folders_of(found, sets.endings, progress)
        place = signed_in.service or who.service(endpoint=endpoint)
        if not folders:
            job = nothing(found)
            return (
                job
                if dry_run
                else _with_failures(
                    job, found, place=sets.place(place), provider=who.name, output=output, import_path=import_path
                )
            )
        terms = sets.terms(place)
        if progress is not None:
            progress.note(_agreement(terms))
            if found.failed:
                progress.note(f"{counted(len(found.failed), 'photo')} cannot be uploaded{first_reason(found.failed)}")
        if owners := _organizations(found):
            log.warning("the images are for the organization %s, and %s knows none", ", ".join(owners), who.title)
        if dry_run:
            return _rehearsed(found, folders, terms, sets.place(place), reupload=uploading.reupload)
        account = account_at(
            who, endpoint=endpoint, service=signed_in.service, user_name=user_name, token=signed_in.token,
            token_file=signed_in.token_file, config_file=signed_in.config_file, max_attempts=attempts,
            retry=sets.retry,
        )  # fmt: skip
        if progress is not None:
            progress.note(f"uploading as {account.user_name or account.user_key} to {terms.name}")
        started = time.monotonic()
        with UploadLedger(sets.place(account.service)) as ledger:
            keep("what was uploaded is noted, and not uploaded again")
            ledger.all_failed(found.failed, kind="image", provider=who.name)
            try:
                outcome = _run(
                    folders, sets, ledger, account, threads=threads or THREADS, uploading=uploading, blurred=blurred,
                    progress=progress,
                )  # fmt: skip
            finally:
                paths = [one.photo.path for folder in folders for one in folder.photos]
                rows = ledger.rows([*paths, *found.failed])
                written = write_history(rows, output, import_path)
        return _report(found, outcome, terms, rows, None if written is None else str(written),
                       seconds=time.monotonic() - started)  # fmt: skip


def _with_failures(
    job: Job[pd.DataFrame],
    found: Import,
    *,
    place: str,
    provider: str,
    output: PathLike | None,
    import_path: PathLike | Iterable[PathLike],
) -> Job[pd.DataFrame]:
    """Return the job of an upload of nothing, with the photos that cannot be uploaded in the history."""
    from mlygeo.uploads.ledger import UploadLedger, as_frame

    if not found.failed:
        return job
    with UploadLedger(place) as ledger:
        ledger.all_failed(found.failed, kind="image", provider=provider)
        rows = ledger.rows(found.failed)
    written = write_history(rows, output, import_path)
    summary = {**job.summary, "history": None if written is None else str(written)}
    return replace(job, make=lambda: as_frame(rows), summary=summary)


def _run(
    folders: list[Folder],
    sets: UploadSets,
    ledger: Any,
    account: Account,
    *,
    threads: int,
    uploading: Uploading,
    blurred: bool,
    progress: Progress | None,
) -> Outcome:
    from mlygeo.locks import NameLocks
    from mlygeo.progress import Progress
    from mlygeo.uploads.files import MB
    from mlygeo.uploads.sets import SetUpload

    stop = threading.Event()
    shown = progress or Progress()
    photos = [one.photo for folder in folders for one in folder.photos]
    with sets.open(account.service, connections=threads, stop=stop) as uploads:
        with shown.bar("uploading", total=sum(photo.size for photo in photos) / MB, unit="MB") as bar:
            run = SetUpload(
                uploads=uploads, provider=account.provider.name, ledger=ledger,
                locks=NameLocks(ledger.folder / "locks", stop), stop=stop, threads=threads, bar=bar,
                user_key=account.user_key, reupload=uploading.reupload, manual_done=uploading.manual_done,
                blurred=blurred,
            )  # fmt: skip
            waiting = run.send(folders)
        if waiting and not uploading.manual_done:
            with shown.bar("processed by the instance", total=run.outcome.images, unit="pictures") as bar:
                run.wait(waiting, bar)
    return run.outcome


def _agreement(terms: Terms) -> str:
    """Return under which licence pictures are published, as a sentence."""
    licence = terms.licence
    if licence is None:
        return f"{terms.name} names no licence; its terms count for all that is uploaded"
    url = f" ({licence.url})" if licence.url else ""
    return f"{terms.name} publishes pictures under the licence {licence.name}{url}; to upload means to agree"


def _organizations(found: Import) -> list[str]:
    named = {owner.organization_name or owner.organization_key for owner in found.owners}
    return sorted(name for name in named if name is not None)


def _facts(terms: Terms) -> dict[str, Any]:
    licence = terms.licence
    return {
        "instance": terms.name, "licence": None if licence is None else licence.name,
        "licence_url": None if licence is None else licence.url,
    }  # fmt: skip


def _rehearsed(found: Import, folders: list[Folder], terms: Terms, place: str, *, reupload: bool) -> Job[pd.DataFrame]:
    """Return what would be uploaded; only the licence is asked for."""
    from mlygeo.uploads.older import Before

    counts = {"there": 0, "older": 0, "repeated": 0}
    photos = [one.photo for folder in folders for one in folder.photos]
    todo = sum(photo.size for photo in photos)
    with Before(place, reupload=reupload, older=False) as before:
        for photo in photos:
            with contextlib.suppress(OSError, InputError):
                if (outcome := before.outcome(photo)) is not None:
                    counts[outcome] += 1
                    todo -= photo.size
    there, _, repeated = counts.values()
    summary = {
        "images": len(photos), "sets": len(folders), "there": there, "repeated": repeated, "bytes": todo,
        **_facts(terms), "skipped": dict(+found.skipped), "left_out": found.left_out, "failed": len(found.failed),
        "version": version(),
    }  # fmt: skip
    headline = (
        f"{counted(len(photos), 'image')} in {counted(len(folders), 'folder')}: {there:,} uploaded before, "
        + f"{repeated:,} the same as another, " * bool(repeated)
        + f"{len(photos) - there - repeated:,} to upload ({megabytes(todo)}){skipped_text(found)}; nothing was uploaded"
        + f"\n{_agreement(terms)}{first_reason(found.failed)}"
    )
    return Job(no_frame, summary, headline, failed=sorted(found.failed))


def _report(
    found: Import, outcome: Outcome, terms: Terms, rows: list[tuple[Any, ...]], written: str | None, *, seconds: float
) -> Job[pd.DataFrame]:
    failed = {**found.failed, **outcome.failed}
    summary = {
        "images": outcome.images, "sets": outcome.sets, "sequences": len(outcome.sequences),
        "sequence_ids": list(outcome.sequences), "there": outcome.there, "repeated": outcome.repeated,
        "edited": outcome.edited, "duplicates": outcome.duplicates, "pending": outcome.pending,
        "ready": len(outcome.ready), "unfinished": outcome.unfinished, "failed": len(failed), **_facts(terms),
        "skipped": dict(+found.skipped), "left_out": found.left_out, "bytes": outcome.bytes,
        "seconds": round(seconds, 1), "history": written, "version": version(),
    }  # fmt: skip
    parts = [f"{counted(outcome.images, 'image')} uploaded ({megabytes(outcome.bytes)})"]
    parts += [f"{counted(len(outcome.sequences), 'sequence')} at {terms.name}"] * bool(outcome.sequences)
    parts += [f"{outcome.there:,} uploaded before"] * bool(outcome.there)
    parts += [f"{outcome.repeated:,} the same as another"] * bool(outcome.repeated)
    parts += [f"{outcome.duplicates:,} not taken as duplicates"] * bool(outcome.duplicates)
    parts += [f"{outcome.edited:,} edited since they were uploaded (`reupload` sends them)"] * bool(outcome.edited)
    headline = ", ".join(parts) + skipped_text(found, len(outcome.failed))
    if outcome.ready:
        headline += (
            f"\n{counted(len(outcome.ready), 'upload set')} sent; without `manual_done` the same command completes them"
        )
    if outcome.unfinished:
        headline += f"\n{counted(outcome.unfinished, 'upload set')} not finished; the same command goes on from there"
    headline += first_reason(failed)

    def make_frame() -> pd.DataFrame:
        from mlygeo.uploads.ledger import as_frame

        return as_frame(rows)

    return Job(make_frame, summary, headline, failed=sorted(failed))
