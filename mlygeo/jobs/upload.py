"""The jobs of uploading what lies in a folder, and of putting its sequences into archives."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FileError, FormatError, InputError
from mlygeo.pipelines import inputs
from mlygeo.pipelines.job import Job, counted, version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.uploads.files import Outcome
    from mlygeo.uploads.found import Import
    from mlygeo.uploads.items import Photo, WholeFile
    from mlygeo.uploads.ledger import UploadLedger
    from mlygeo.uploads.run import Upload

log = logging.getLogger("mlygeo.jobs")

THREADS, ATTEMPTS = 5, 50

HISTORY_FILE = Path(".mlygeo") / "upload_history.parquet"

ZIP_FOLDER = "zips"

NAMED = 5
"""Archives that are left out which the headline names; the summary names all."""


@inputs.held("upload")
def upload(
    import_path: Any,
    *,
    output: Any,
    desc_path: Any,
    user_name: str | None,
    organization_key: str | None,
    organization_name: str | None,
    private: bool,
    reupload: bool,
    manual_done: bool,
    skip_subfolders: bool,
    file_types: str | None,
    number_threads: int | None,
    max_attempts: int | None,
    dry_run: bool,
    token: str | None,
    token_file: Any,
    config_file: Any,
    service: Service | None,
    progress: Progress | None,
) -> Job[Any]:
    """Do what `mlygeo.upload` says."""
    from mlygeo.providers import needed, provider_of
    from mlygeo.uploads.found import gather, give_owners, named, only
    from mlygeo.uploads.ledger import UploadLedger
    from mlygeo.uploads.owner import account_of, organizations_of

    threads = _setting("number_threads", number_threads, THREADS)
    attempts = _setting("max_attempts", max_attempts, None if service is not None else ATTEMPTS)
    types = named(file_types)
    who = provider_of(service)
    uploads = needed(who.uploads, who, "uploads")
    found = gather(
        import_path, desc_path=desc_path, skip_subfolders=skip_subfolders, private=private,
        file_types=uploads.file_types,
    )  # fmt: skip
    found = only(found, types, uploads.file_types)
    if not found.paths:
        return _nothing(found)
    place = uploads.place(service)
    if dry_run:
        return _rehearsed(found, place, reupload=reupload)
    account = account_of(
        service=service, user_name=user_name, token=token, token_file=token_file, max_attempts=attempts,
        config_file=config_file, told=found.users,
    )  # fmt: skip
    keys = organizations_of(account, organization_key, organization_name, told=found.owners)
    give_owners(found, keys)
    started = time.monotonic()
    with UploadLedger(place) as ledger:
        try:
            outcome = _run(
                found, ledger, account, threads=threads or THREADS, reupload=reupload, manual_done=manual_done,
                progress=progress,
            )  # fmt: skip
        finally:
            rows = ledger.rows([*found.paths, *found.failed])
            written = _write_history(rows, output, import_path)
    return _told(found, outcome, rows, written, seconds=time.monotonic() - started)


@inputs.held("archives")
def zip_sequences(
    import_path: Any,
    *,
    output: Any,
    desc_path: Any,
    skip_subfolders: bool,
    private: bool,
    progress: Progress | None,
) -> Job[Any]:
    """Do what `mlygeo.zip_sequences` says."""
    import pandas as pd

    from mlygeo.progress import Progress as Silent
    from mlygeo.uploads.archives import write_zip
    from mlygeo.uploads.found import gather

    folder = Path(output or ZIP_FOLDER).expanduser()
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file, and -o names a folder here")
    found = gather(import_path, desc_path=desc_path, skip_subfolders=skip_subfolders, private=private)
    if not found.paths:
        return _nothing(found)
    _must_have_keys(found)
    rows: list[tuple[str, str, int, int]] = []
    with (progress or Silent()).bar("zipping", total=len(found.sequences), unit="sequences") as bar:
        for sequence in found.sequences:
            contents = _Contents(sequence.photos, found.failed)
            path = write_zip(contents, folder)
            if contents.number:
                rows.append((str(path), sequence.name, contents.number, path.stat().st_size))
            else:
                path.unlink()
            bar.advance()
    frame = pd.DataFrame.from_records(rows, columns=["path", "sequence_id", "images", "bytes"])
    frame = frame.astype({"path": "str", "sequence_id": "str", "images": "int64", "bytes": "int64"})
    images = int(frame["images"].sum())
    summary = {
        "archives": len(rows), "images": images, "bytes": int(frame["bytes"].sum()),
        "folder": str(folder), "skipped": dict(+found.skipped), "failed": len(found.failed), "version": version(),
    }  # fmt: skip
    headline = f"{counted(len(rows), 'archive')} of {counted(images, 'image')} in {folder}"
    headline += _skipped(found)
    return Job(lambda: frame, summary, headline, failed=sorted(found.failed))


def _must_have_keys(found: Import) -> None:
    """Raise where archives could not say for which organization they are."""
    names = {owner.organization_name for owner in found.owners if owner.organization_name is not None}
    if names:
        raise InputError(
            f"the images are for the organization {', '.join(map(repr, sorted(names)))}, and archives have no place "
            "for its name",
            hint="process them with --organization-key",
        )


class _Contents:
    """The images of a sequence, as they go into its archive, one after another; `number` counts them."""

    def __init__(self, photos: Iterable[Photo], failed: dict[str, str]) -> None:
        self._photos, self._failed = photos, failed
        self.number = 0

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        from mlygeo.uploads.items import prepared

        for photo in self._photos:
            try:
                original = Path(photo.path).read_bytes()
                body = prepared(original, photo.description)
            except (OSError, FormatError, InputError) as error:
                self._failed[photo.path] = getattr(error, "strerror", None) or str(error)
                continue
            self.number += 1
            yield hashlib.md5(original, usedforsecurity=False).hexdigest(), body


def _setting(name: str, given: int | None, default: int | None) -> int | None:
    """Return a number: as given, else as the environment has it, else the default."""
    variable, flag = name.upper(), f"--{name.replace('_', '-')}"
    text = os.environ.get(variable, "").strip()
    if given is None and text and default is not None:
        if not text.isdigit():
            raise InputError(f"the environment variable {variable} is no number: {text[:40]!r}")
        given, flag = int(text), variable
    if given is not None and given < 1:
        raise InputError(f"{flag} must be 1 or more, not {given}")
    return default if given is None else given


def _run(
    found: Import,
    ledger: UploadLedger,
    account: Any,
    *,
    threads: int,
    reupload: bool,
    manual_done: bool,
    progress: Progress | None,
) -> Outcome:
    from mlygeo.progress import Progress as Silent
    from mlygeo.providers import needed
    from mlygeo.uploads.files import MB
    from mlygeo.uploads.older import OlderUploads
    from mlygeo.uploads.run import Turns, Upload

    service = needed(account.provider.uploads, account.provider, "uploads")
    stop = threading.Event()
    total = found.bytes / MB
    with (
        service.open(account.service, connections=threads, stop=stop) as uploads,
        contextlib.ExitStack() as stack,
    ):
        bar = stack.enter_context((progress or Silent()).bar("uploading", total=total, unit="MB"))
        run = Upload(
            uploads=uploads, sequence_type=service.file_types["sequence"], ledger=ledger,
            turns=Turns(ledger.folder, stop), stop=stop, threads=threads, bar=bar,
            user_key=account.user_key, reupload=reupload, manual_done=manual_done,
            older=None if reupload else OlderUploads(),
        )  # fmt: skip
        outcome = run.run(found.sequences, found.files)
        stack.close()
        if outcome.ready:
            _ask_to_finish(run, progress)
    return outcome


def _ask_to_finish(run: Upload, progress: Progress | None) -> None:
    """Finish what is ready where a person at the terminal says so."""
    from mlygeo.progress import TerminalProgress

    if not isinstance(progress, TerminalProgress) or sys.stdin is None or not sys.stdin.isatty():
        return
    ready = list(run.outcome.ready)
    progress.note(f"{counted(len(ready), 'upload')} ready; finish now? [y/N]")
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        run.finish(ready)
        run.outcome.sequences += len(ready)


def _rehearsed(found: Import, place: str, *, reupload: bool) -> Job[Any]:
    """Say what would be uploaded; files are read, and nothing is asked of the service."""
    there = older = 0
    todo = found.bytes
    for size, by_us in () if reupload else _uploaded_before(found, place):
        there += by_us
        older += not by_us
        todo -= size
    images = sum(len(sequence.photos) for sequence in found.sequences)
    summary = {
        "images": images, "sequences": len(found.sequences), "files": len(found.files), "there": there,
        "there_by_mapillary_tools": older, "bytes": todo, "skipped": dict(+found.skipped),
        "left_out": found.left_out, "failed": len(found.failed), "version": version(),
    }  # fmt: skip
    headline = (
        f"{counted(images, 'image')} in {counted(len(found.sequences), 'sequence')} and "
        f"{counted(len(found.files), 'whole file')}: {there:,} uploaded before, "
        + f"{older:,} by mapillary_tools, " * bool(older)
        + f"{len(found.paths) - there - older:,} to upload ({_megabytes(todo)}){_skipped(found)}; nothing was uploaded"
    )
    return Job(_no_frame, summary, headline, failed=sorted(found.failed))


def _uploaded_before(found: Import, place: str) -> Iterator[tuple[int, bool]]:
    """Yield the size of each file that was uploaded before, and whether it was by us."""
    from mlygeo.places import default_folder
    from mlygeo.uploads import archives
    from mlygeo.uploads.ledger import FILE, UploadLedger
    from mlygeo.uploads.older import OlderUploads

    older = OlderUploads()
    with contextlib.ExitStack() as stack:
        ledger = None
        if (default_folder() / FILE).is_file():
            ledger = stack.enter_context(UploadLedger(place))
        items: list[Photo | WholeFile] = [photo for sequence in found.sequences for photo in sequence.photos]
        for each in [*items, *found.files]:
            with contextlib.suppress(OSError):
                md5 = archives.md5_of(Path(each.path))
                known = None if ledger is None else ledger.find(md5=md5)
                if known is not None and known.status == "done":
                    yield each.size, known.reason is None
                elif known is None and older.has(each, md5):
                    yield each.size, False


def _nothing(found: Import) -> Job[Any]:
    if found.skipped["not processed"]:
        raise InputError(
            f"{counted(found.skipped['not processed'], 'photo')} without a description, and nothing else to upload",
            hint="'mlygeo process' makes the descriptions",
        )
    summary = {
        "images": 0, "skipped": dict(+found.skipped), "left_out": found.left_out, "failed": len(found.failed),
        "version": version(),
    }  # fmt: skip
    headline = f"there is nothing to upload{_skipped(found)}{_reason(found.failed)}"
    return Job(_no_frame, summary, headline, failed=sorted(found.failed))


def _told(found: Import, outcome: Outcome, rows: list[Any], written: Path | None, *, seconds: float) -> Job[Any]:
    failed = {**found.failed, **outcome.failed}
    summary = {
        "images": outcome.images,
        "sequences": outcome.sequences,
        "zips": outcome.zips,
        "videos": outcome.videos,
        "there": outcome.there,
        "there_by_mapillary_tools": outcome.older,
        "repeated": outcome.repeated,
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
    parts = [f"{counted(outcome.images, 'image')} uploaded ({_megabytes(outcome.bytes)})"]
    for number, word in ((outcome.sequences, "sequence"), (outcome.zips, "archive"), (outcome.videos, "video")):
        parts += [f"{counted(number, word)} finished"] * bool(number)
    parts += [f"{outcome.there:,} uploaded before"] * bool(outcome.there)
    parts += [f"{outcome.older:,} uploaded before by mapillary_tools"] * bool(outcome.older)
    parts += [f"{outcome.repeated:,} with the same content as another"] * bool(outcome.repeated)
    headline = ", ".join(parts) + _skipped(found, len(outcome.failed))
    if outcome.ready:
        headline += (
            f"\n{counted(len(outcome.ready), 'upload')} ready; without --manual-done the same command finishes them"
        )
    if outcome.unfinished:
        headline += f"\n{counted(outcome.unfinished, 'sequence')} not finished; the same command goes on from there"
    headline += _reason(failed)

    def make_frame() -> Any:
        from mlygeo.uploads.ledger import as_frame

        return as_frame(rows)

    return Job(make_frame, summary, headline, failed=sorted(failed))


def _write_history(rows: list[Any], output: Any, import_path: Any) -> Path | None:
    """Write the history of these files as a frame, where there is a place for it."""
    from mlygeo import store
    from mlygeo.uploads.ledger import as_frame

    first = import_path if isinstance(import_path, str | os.PathLike) else next(iter(import_path))
    place = Path(first).expanduser()
    path = Path(output).expanduser() if output else (place if place.is_dir() else place.parent) / HISTORY_FILE
    try:
        with store.atomic(path) as temporary:
            as_frame(rows).to_parquet(temporary, index=False)
    except FileError as error:
        if output:
            raise
        log.warning("the history is kept, but not written beside the images: %s", error)
        return None
    return path


def _skipped(found: Import, more: int = 0) -> str:
    parts = [f"{number:,} {reason}" for reason, number in sorted((+found.skipped).items())]
    text = f"; skipped: {', '.join(parts)}" if parts else ""
    if names := sorted(Path(path).name for path in found.left_out):
        text += f" ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''}: no archives of a sequence)"
    failed = len(found.failed) + more
    return text + (f"; {failed:,} failed" if failed else "")


def _reason(failed: dict[str, str]) -> str:
    """Return a line that says of the first of what failed why."""
    if not failed:
        return ""
    name, reason = next(iter(sorted(failed.items())))
    name = Path(name).name
    return f"\n{reason}" if reason.startswith(name) else f"\n{name}: {reason}"


def _no_frame() -> Any:
    from mlygeo.uploads.ledger import as_frame

    return as_frame([])


def _megabytes(number: int) -> str:
    return f"{number / 1e6:,.1f} MB"
