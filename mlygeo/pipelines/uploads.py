"""Uploads, and archives for later uploads."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shlex
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlygeo.errors import FormatError, InputError, NotDescribedError
from mlygeo.pipelines.account import account_to_upload_with
from mlygeo.pipelines.arguments import of_no_use
from mlygeo.pipelines.job import Job, check_folder, public_with, version
from mlygeo.pipelines.options import Described, Server, SignedIn, Uploading, User
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
from mlygeo.pipelines.upload_sets import NOT_FOR_SETS, upload_as_sets
from mlygeo.progress import counted, keep

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    import pandas as pd

    from mlygeo.net.http import Service
    from mlygeo.progress import Progress
    from mlygeo.providers import Provider
    from mlygeo.uploads.files import Outcome
    from mlygeo.uploads.found import Import
    from mlygeo.uploads.items import Photo, WholeFile
    from mlygeo.uploads.ledger import UploadLedger
    from mlygeo.uploads.older import Before
    from mlygeo.uploads.owner import Account
    from mlygeo.uploads.run import Upload
    from mlygeo.uploads.videos import GivenTrack

    PathLike = str | os.PathLike[str]

log = logging.getLogger("mlygeo.pipelines")

NO_ORGANIZATION = "none"
"""In place of a key: the images are of no organization, whatever they name."""

THREADS, ATTEMPTS = 5, 50

ZIP_FOLDER = "zips"

ZIPPED = {
    "there": "uploaded before and left out",
    "older": "uploaded before by mapillary_tools and left out",
    "repeated": "the same as another",
}
"""What is said of images that are not put into an archive."""


@public_with(Described, SignedIn, Uploading, Server)
def upload(
    import_path: PathLike | Iterable[PathLike],
    *,
    output: PathLike | None = None,
    desc_path: PathLike | None = None,
    user_name: str | None = None,
    organization_key: str | None = None,
    organization_name: str | None = None,
    private: bool = False,
    track: PathLike | None = None,
    video_start_time: int | None = None,
    reupload: bool = False,
    manual_done: bool = False,
    skip_subfolders: bool = False,
    file_types: str | None = None,
    number_threads: int | None = None,
    max_attempts: int | None = None,
    dry_run: bool = False,
    token: str | None = None,
    token_file: PathLike | None = None,
    config_file: PathLike | None = None,
    service: Service | None = None,
    provider: str | None = None,
    endpoint: str | None = None,
    blurred: bool = False,
    progress: Progress | None = None,
) -> Job[pd.DataFrame]:
    """
    Upload images that were processed, archives of sequences, and videos with positions.

    The descriptions are those of mapillary_image_description.json in the folder or a subfolder, or
    what 'mlygeo process' left there, whichever is newer; what that file has no fields for
    (organization, privacy, user, photo UUID) is what 'mlygeo process' was given, else what the image
    says inside. Images of the Mapillary app have all inside, and go up as they are. The files stay as
    they are: a description is written only into the bytes that are sent. Duplicates and what failed
    to process are skipped and counted; that is no failure of the upload. Archives of a sequence (see
    'mlygeo zip') and videos of BlackVue and CAMM cameras go up whole; other archives are left out and
    named.

    Other videos with positions go up as copies with a CAMM track, which are made while they are sent:
    those of GoPro, those with sentences in a text track, and those whose positions are in the
    description file, which count instead of the video's own. The originals stay as they are. A copy has
    the pictures, the sound and all other tracks of the original. Videos without a usable track are left
    out, with the reason: without positions, in fragments, faster than 400 km/h, or standing still (all
    positions within 10 m). A track of another device is related to each video by the clock.

    Each image goes up for the organization that it names, and one that names none for the user alone,
    or the organization that 'mlygeo config edit' has set; a sequence of several owners becomes one
    for each. An organization that the service does not show to the user, and private images without
    one, are errors before anything is sent. Each photo and each video goes up once, whatever folder it
    lies in, whatever it is called and whatever its tags say: the history of this machine knows its picture
    and its original time, of a video the media data, and what mapillary_tools noted as uploaded counts too;
    of an archive, the images that are missing go up. Photos that another run is writing into, or
    uploading, are waited for. A run that was stopped, however it was stopped, is gone on with by
    the same command, in the middle of a sequence or of a file. Who uploads is said before anything is
    sent; at a terminal, one who has not signed in is asked to.

    Panoramax gets the photos of each folder as an upload set, by an instance (`endpoint`) where a user has
    signed in. It cuts them into sequences and drops duplicates itself, by its own rules ('mlygeo process' with
    `preset` shows what they lead to). The files are sent as they are, photos without a description too if they have
    position and time; what 'mlygeo process' or a description file says otherwise than the file goes with it. The
    instance publishes all pictures under its licence, which is shown first; to upload means to agree to it. Pictures
    that it still works on are waited for. What it rejects is a row with the reason; duplicates are counted, and no
    failure. Archives, videos, private images and organizations are for Mapillary alone.

    Parameters
    ----------
    import_path
        Folder with the images and their descriptions, or single files of it. An archive that is named
        has to be one of a sequence.
    output
        File for the history of these files. Default: .mlygeo/upload_history.parquet in the folder.
    user_name
        The user to upload as. Default: the one that the images name, who has to have signed in; the
        one that signed in last where they name nobody.
    organization_key
        Upload for this organization, whatever the images name; "none" means for none. Archives that say
        inside whose they are cannot become those of another.
    organization_name
        Upload for the organization of this name; it has to be known from an earlier upload by key,
        or from 'mlygeo config edit'.
    private
        The images are private to the organization: also those that go up as they are otherwise.
        Archives have to say so inside; videos cannot.
    track
        Where the videos went, by the clock: a GPX, NMEA or CSV log, a tracks frame, or another video.
        Default: what a description file says, else what the camera recorded in the video.
    video_start_time
        Time of the start of the videos for `track`, milliseconds since 1970 (UTC). Default: the time of the
        GPS in the video, else the creation time in the file.
    blurred
        Faces and number plates are blurred already, so that the instance of Panoramax does not do it.
    dry_run
        Upload nothing; say what would be uploaded.

    Returns
    -------
    uploads
        The history of these files, as `upload_history` returns it; `attrs["summary"]` holds the
        summary.

    Raises
    ------
    InputError
        If there is nothing that could be uploaded, if the images name several users, if private images
        would belong to no organization, or an option makes no sense.
    FileError
        If a path does not exist.
    FormatError
        If an archive that is named is none of a sequence.
    CredentialsError
        If nobody has signed in, or not the user that the images name, or an organization is unknown.
    ServiceError
        If the service refuses the token or the address, or is down.

    Examples
    --------
    >>> upload("photos", user_name="jane").query("status == 'failed'")[["path", "reason"]]
    """
    described = Described(desc_path=desc_path, skip_subfolders=skip_subfolders)
    user = User(
        user_name=user_name,
        organization_name=organization_name,
        organization_key="" if organization_key == NO_ORGANIZATION else organization_key,
        private=private,
    )
    signed_in = SignedIn(token=token, token_file=token_file, config_file=config_file, service=service)
    who = Server(provider=provider, endpoint=endpoint).chosen(service)
    uploading = Uploading(
        reupload=reupload,
        manual_done=manual_done,
        file_types=file_types,
        number_threads=number_threads,
        max_attempts=max_attempts,
    )
    if who.upload_sets is not None:
        of_no_use(NOT_FOR_SETS, f"for {who.title}")
        return upload_as_sets(
            import_path, who, endpoint=endpoint, described=described, user_name=user_name, signed_in=signed_in,
            uploading=uploading, blurred=blurred, output=output, dry_run=dry_run, progress=progress,
        )  # fmt: skip
    of_no_use(("blurred",), f"for {who.title}")
    return run_upload(
        import_path, described, user, signed_in, uploading, output=output, dry_run=dry_run, progress=progress,
        track=track, video_start_time=video_start_time, who=who,
    )  # fmt: skip


@public_with(Described)
def zip_sequences(
    import_path: PathLike | Iterable[PathLike],
    *,
    output: PathLike | None = None,
    desc_path: PathLike | None = None,
    skip_subfolders: bool = False,
    private: bool = False,
    reupload: bool = False,
    progress: Progress | None = None,
) -> Job[pd.DataFrame]:
    """
    Put each sequence of processed images into an archive, to upload it later.

    An archive is called by the MD5 of its content, and the same images make the same archive; the
    images have their descriptions inside, in the fields that mapillary_tools knows. The organization and user that
    they name are in the comment of the archive: images of one sequence that are for several organizations become
    several archives. Only private images say inside whose they are, and that they are private. 'mlygeo upload' takes
    archives, and so does mapillary_tools, though that looks at no organization. Images that the history of this
    machine knows as uploaded are left out and counted, and of equal photos one is taken.

    Parameters
    ----------
    import_path
        Folder with the images and their descriptions, or single files of it.
    output
        Folder for the archives. Default: zips.
    private
        Say in each description that the image is private, also in those that images have inside.
    reupload
        Take also images that were uploaded before.

    Returns
    -------
    archives
        A row for each archive: path, sequence_id, images and bytes (int64).

    Raises
    ------
    InputError
        If there is no image with a description, or one names its organization without the key.
    FileError
        If a path does not exist, or the folder cannot be written to.

    Examples
    --------
    >>> zip_sequences("photos", output="zips")["path"]
    """
    import pandas as pd

    from mlygeo.pipelines import inputs
    from mlygeo.store.atomic import clear_leftovers
    from mlygeo.uploads.found import gather

    described = Described(desc_path=desc_path, skip_subfolders=skip_subfolders)
    folder = Path(output or ZIP_FOLDER).expanduser()
    check_folder(folder)
    clear_leftovers(folder)
    with inputs.held(import_path, "archives", dry_run=False, progress=progress):
        found = gather(
            import_path,
            desc_path=described.desc_path,
            skip_subfolders=described.skip_subfolders,
            private=private,
        )
        if not found.paths:
            return _nothing(found)
        _must_have_keys(found)
        counts: dict[str, int] = {}
        rows = _zipped(found, folder, counts, reupload=reupload, progress=progress)
    frame = pd.DataFrame.from_records(rows, columns=["path", "sequence_id", "images", "bytes"])
    frame = frame.astype({"path": "str", "sequence_id": "str", "images": "int64", "bytes": "int64"})
    images = int(frame["images"].sum())
    summary = {
        "archives": len(rows), "images": images, "bytes": int(frame["bytes"].sum()),
        "there": counts.get("there", 0), "there_by_mapillary_tools": counts.get("older", 0),
        "repeated": counts.get("repeated", 0), "folder": str(folder), "skipped": dict(+found.skipped),
        "failed": len(found.failed), "version": version(),
    }  # fmt: skip
    headline = f"{counted(len(rows), 'archive')} of {counted(images, 'image')} in {folder}"
    headline += "".join(f", {number:,} {ZIPPED[outcome]}" for outcome, number in counts.items())
    headline += skipped_text(found)
    return Job(lambda: frame, summary, headline, failed=sorted(found.failed))


def run_upload(
    import_path: PathLike | Iterable[PathLike],
    described: Described,
    user: User,
    signed_in: SignedIn,
    uploading: Uploading,
    *,
    output: PathLike | None,
    dry_run: bool,
    progress: Progress | None,
    track: PathLike | None = None,
    video_start_time: int | None = None,
    who: Provider | None = None,
) -> Job[pd.DataFrame]:
    """
    Upload the images and files of a folder; see `upload`.

    Parameters
    ----------
    import_path
        The folder, or files of it.
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
    who
        The provider; that of the service unless given.
    """
    from mlygeo.pipelines import inputs
    from mlygeo.providers import needed, provider_of
    from mlygeo.uploads.found import gather, give_owners, named, only
    from mlygeo.uploads.ledger import UploadLedger
    from mlygeo.uploads.owner import organizations_of

    with inputs.held(import_path, "upload", dry_run=dry_run, progress=progress):
        threads = setting("number_threads", uploading.number_threads, THREADS)
        attempts = setting("max_attempts", uploading.max_attempts, None if signed_in.service is not None else ATTEMPTS)
        who = who or provider_of(signed_in.service)
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
            return _nothing(found)
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


def _must_have_keys(found: Import) -> None:
    """Raise if archives would lack the key of their organization."""
    names = {owner.organization_name for owner in found.owners if owner.organization_name is not None}
    if names:
        raise InputError(
            f"the images are for the organization {', '.join(map(repr, sorted(names)))}, and archives have no place "
            "for its name",
            hint="process them with `organization_key`",
        )


def _zipped(
    found: Import, folder: Path, counts: dict[str, int], *, reupload: bool, progress: Progress | None
) -> list[tuple[str, str, int, int]]:
    """Write the archives; return path, sequence, number of images and bytes of each. Count what is left out."""
    from mlygeo.progress import Progress
    from mlygeo.providers import needed, provider
    from mlygeo.uploads.archives import write_zip
    from mlygeo.uploads.older import Before

    rows: list[tuple[str, str, int, int]] = []
    who = provider()
    place = needed(who.uploads, who, "uploads").place(None)
    with (
        (progress or Progress()).bar("zipping", total=len(found.sequences), unit="sequences") as bar,
        Before(place, reupload=reupload) as before,
    ):
        for sequence in found.sequences:
            contents = _Contents(sequence.photos, found.failed, before, counts)
            path = write_zip(contents, folder, owner=contents.owner)
            if contents.number:
                keep("the archives written so far are whole")
                rows.append((str(path), sequence.name, contents.number, path.stat().st_size))
            else:
                path.unlink()
            bar.advance()
    return rows


class _Contents:
    """
    The images of a sequence for its archive, one after another; `number` counts them.

    The descriptions inside keep to the fields that the service documents; `owner` has the values of the others.
    """

    def __init__(self, photos: Iterable[Photo], failed: dict[str, str], before: Before, counts: dict[str, int]) -> None:
        self._photos, self._failed, self._before, self._counts = photos, failed, before, counts
        self.number = 0
        self.owner: dict[str, list[Any]] = {}

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        import io

        from mlygeo.providers import descriptions
        from mlygeo.uploads.items import described, known_by, prepared

        for photo in self._photos:
            try:
                original = Path(photo.path).read_bytes()
                md5 = hashlib.md5(original, usedforsecurity=False).hexdigest()
                known = known_by(original, photo.description, photo.recorded)
                if (outcome := self._before.outcome_of(photo, md5, known)) is not None:
                    self._counts[outcome] = self._counts.get(outcome, 0) + 1
                    continue
                wanted = described(photo, known)
                said = (descriptions().inside(io.BytesIO(original)) or {}) if wanted is None else wanted
                public, owner = descriptions().parted(said)
                body = prepared(original, public if public != said else wanted)
            except (OSError, FormatError, InputError) as error:
                self._failed[photo.path] = getattr(error, "strerror", None) or str(error)
                continue
            self.number += 1
            for name, value in owner.items():
                values = self.owner.setdefault(name, [])
                values += [value] * (value not in values)
            yield md5, body


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


def _nothing(found: Import) -> Job[pd.DataFrame]:
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
