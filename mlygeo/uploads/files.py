"""Uploading archives and videos, each as a single file; and the result of any run of uploads."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from mlygeo.errors import FormatError, NetworkError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.locks import HeldError
from mlygeo.net.answers import RefusedError
from mlygeo.store.atomic import clear_leftovers, temporary_folder
from mlygeo.uploads import archives, videos
from mlygeo.uploads.older import TOOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlygeo.formats.identity import Identity
    from mlygeo.locks import NameLocks
    from mlygeo.progress import Bar
    from mlygeo.providers import UploadSession
    from mlygeo.uploads.items import WholeFile
    from mlygeo.uploads.ledger import Held, Known, Ready, UploadLedger
    from mlygeo.uploads.older import OlderUploads

log = logging.getLogger("mlygeo.upload")

PHOTOS = "photos"
"""
Name of the lock under which one sequence or archive is compared with the history and sent.

Its own name would not do: the same photos can lie in sequences of other ids, and in archives.
"""

FATAL = (TokenRejectedError, ThrottledError, NetworkError)
"""Errors after which all other uploads would fail too."""

OLDER = f"uploaded before by {TOOL}"
"""Reason for files that an older tool uploaded."""

MB = 1_000_000
"""Bytes in the unit of the bar."""


class FileUpload:
    """
    Uploads whole files, one after another.

    Parameters
    ----------
    finishing
        The service and the history.
    bar
        The progress bar, in megabytes.
    locks
        Locks that exclude other runs from the same photos and videos.
    reupload
        Upload also files that were uploaded before.
    older
        The uploads of older tools; None ignores them.
    """

    def __init__(
        self,
        finishing: Finishing,
        *,
        bar: Bar,
        locks: NameLocks,
        reupload: bool = False,
        older: OlderUploads | None = None,
    ) -> None:
        self._locks = locks
        self._finishing, self._bar, self._reupload, self._older = finishing, bar, reupload, older
        self._ledger, self._outcome = finishing.ledger, finishing.outcome

    def upload(self, file: WholeFile) -> None:
        """Upload an archive or a video, unless it is uploaded already; of an archive, the images that are missing."""
        path, share = Path(file.path), Share(self._bar, file.size)
        try:
            facts = _facts(file)
            # The same video can lie in two places, so its path is not the name of the lock.
            with self._locks.of(PHOTOS if facts.identity is None else facts.identity.picture):
                self._upload(file, facts, share)
        except (*FATAL, HeldError):
            raise
        except (ServiceError, OSError, FormatError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._outcome.failed[file.path] = reason
            self._ledger.failed(path=file.path, kind=file.kind, reason=reason)
            log.warning("%s: %s", path.name, reason)
            share.skip()

    def _upload(self, file: WholeFile, facts: _Facts, share: Share) -> None:
        """Upload a file as no other run does at this time."""
        if file.kind == "zip":
            clear_leftovers(Path(tempfile.gettempdir()))
        known = self._ledger.find(md5=facts.md5, identity=facts.identity)
        if not self._reupload and self._is_there(file, facts, known):
            share.skip()
            return
        missing = facts.held if self._reupload else self._missing(facts.held)
        if facts.held and not missing:
            share.skip()
            return
        facts = facts._replace(missing=missing)
        ready = self._left_ready(known)
        upload = self._sent(file, facts, share) if ready is None else ready
        if self._finishing.manual_done:
            self._outcome.ready.append(upload.number)
            return
        try:
            self._finishing.finish(upload, organization_key=file.organization_key, held=missing)
        except RefusedError as error:
            if ready is None:
                raise
            # The service forgets uploads that were never finished.
            log.info("%s is sent anew: %s", Path(file.path).name, error)
            self._ledger.dropped(ready.number, str(error))
            upload = self._sent(file, facts, share)
            self._finishing.finish(upload, organization_key=file.organization_key, held=missing)
        self._outcome.zips += file.kind == "zip"
        self._outcome.videos += file.kind == "video"
        self._outcome.copies += file.recipe is not None
        self._outcome.images += len(missing)

    def _is_there(self, file: WholeFile, facts: _Facts, known: Known | None) -> bool:
        """Return whether a file was uploaded before as a whole, and count it."""
        if known is not None and known.status == "done":
            older = known.reason is not None
        elif known is None and self._older is not None and self._older.has(file, facts.md5):
            self._ledger.found(
                path=file.path, kind=file.kind, md5=facts.md5, size=file.size, reason=OLDER, identity=facts.identity
            )  # fmt: skip
            older = True
        else:
            return False
        if older:
            self._outcome.older += max(1, file.images)
        else:
            self._outcome.there += max(1, file.images)
        return True

    def _missing(self, held: list[Held]) -> list[Held]:
        """Return the images of an archive that were not uploaded before, each once; count the others."""
        missing: dict[str, list[Held]] = {}
        kept = []
        for one in held:
            known = self._ledger.find(md5=one.md5, upload_md5=one.md5, identity=one.identity)
            if known is not None and known.status in {"done", "ready"}:
                self._outcome.there += known.reason is None
                self._outcome.older += known.reason is not None
                continue
            if one.identity is not None:
                others = missing.setdefault(one.identity.picture, [])
                if any(other.identity is not None and one.identity.is_same(other.identity) for other in others):
                    self._outcome.repeated += 1
                    continue
                others.append(one)
            kept.append(one)
        return kept

    def _left_ready(self, known: Known | None) -> Ready | None:
        """Return the upload of a file that only has to be finished; with --reupload None, for a new upload."""
        if known is None or known.upload is None or self._reupload:
            return None
        return next(iter(self._ledger.waiting([known.upload])), None)

    def _sent(self, file: WholeFile, facts: _Facts, share: Share) -> Ready:
        path, missing = Path(file.path), facts.missing
        if len(missing) == len(facts.held):
            return self._sent_as(path, file, facts, share)
        wanted = {one.name for one in missing}
        log.info("%s: %d of its %d images are sent", path.name, len(missing), len(facts.held))
        with temporary_folder(Path(tempfile.gettempdir()), archives.PREFIX) as folder:
            images = ((one.md5, content) for one, content in archives.images_in(path) if one.name in wanted)
            return self._sent_as(archives.write_zip_into(folder, images), file, facts, share)

    def _sent_as(self, path: Path, file: WholeFile, facts: _Facts, share: Share) -> Ready:
        """Send the bytes of a path, as those of a file."""
        ending: Literal["zip", "mp4"] = "zip" if file.kind == "zip" else "mp4"
        name, copy = Path(file.path).name, videos.copy_of(file)
        source, size = (path, path.stat().st_size) if copy is None else (copy, copy.size)
        md5 = copy.md5() if copy is not None else facts.md5 if str(path) == file.path else archives.md5_of(path)
        handle = self._finishing.uploads.send_file(source, md5=md5, ending=ending, what=name, came=share.at)
        self._ledger.sent(
            path=file.path, kind=file.kind, md5=facts.md5, upload_md5=md5, size=size, handle=handle,
            identity=facts.identity,
        )  # fmt: skip
        share.at(file.size)
        self._outcome.bytes += size
        return self._finishing.ready(
            [md5], kind=file.kind, name=name, content=md5, file_type=file.file_type, handle=handle,
            organization_key=file.organization_key,
        )  # fmt: skip


class _Facts(NamedTuple):
    """What was read of a file: its MD5, what a video is known by, and the images in an archive, all and to be sent."""

    md5: str
    identity: Identity | None
    held: list[Held]
    missing: list[Held]


def _facts(file: WholeFile) -> _Facts:
    path = Path(file.path)
    if file.kind == "zip":
        held = [one for one, _ in archives.images_in(path)]
        return _Facts(archives.md5_of(path), None, held, held)
    md5, identity = archives.video_facts(path)
    return _Facts(md5, identity if file.original is None else archives.video_facts(Path(file.original))[1], [], [])


# The result of a run, and finishing an upload.


@dataclass
class Outcome:
    """
    The result of a run; `failed` has the reason by path or by name of the sequence.

    Of the videos, `copies` are those that were sent as copies with a track of positions.

    Of the files that were uploaded before, `there` are those that this package uploaded, and `older` those
    of older tools. `repeated` are photos that lie in the folders more than once and were sent once;
    `other_time` are sent photos whose picture was uploaded before with another time; `edited` are photos that were
    not sent, since another picture of them was uploaded before.
    """

    images: int = 0
    there: int = 0
    older: int = 0
    repeated: int = 0
    other_time: int = 0
    edited: int = 0
    sequences: int = 0
    zips: int = 0
    videos: int = 0
    copies: int = 0
    ready: list[int] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unfinished: int = 0
    bytes: int = 0


class Finishing:
    """
    Records ready uploads, and makes the service finish them.

    Parameters
    ----------
    uploads
        A session with the upload service.
    ledger
        The history.
    user_key
        The owner of the token, if known.
    manual_done
        Leave uploads ready, and finish none.
    """

    def __init__(
        self,
        *,
        uploads: UploadSession,
        ledger: UploadLedger,
        user_key: str | None = None,
        manual_done: bool = False,
    ) -> None:
        self.outcome = Outcome()
        self.uploads, self.ledger, self.manual_done = uploads, ledger, manual_done
        self._user = user_key

    def ready(
        self,
        md5s: Sequence[str],
        *,
        kind: Literal["sequence", "zip", "video"],
        name: str,
        content: str,
        file_type: str,
        handle: str,
        organization_key: str | None,
    ) -> Ready:
        """Record that an upload is complete; see `UploadLedger.ready`."""
        return self.ledger.ready(
            md5s, kind=kind, name=name, content=content, file_type=file_type, handle=handle,
            organization_key=organization_key, user_key=self._user,
        )  # fmt: skip

    def finish(self, upload: Ready, *, organization_key: str | None, held: Iterable[Held] = ()) -> None:
        """
        Finish an upload at the service, and record the result.

        The upload is finished for the organization of this run; without one, for the organization in the
        history, with a message.

        Parameters
        ----------
        upload
            The upload.
        organization_key
            The organization that this run uploads it for.
        held
            Files inside an archive.

        Raises
        ------
        ServiceError
            If the service does not finish it.
        """
        organization = organization_key
        if organization is None and upload.organization_key is not None:
            # Its images may be private to the organization, so it is not dropped silently.
            organization = upload.organization_key
            log.warning(
                "%s is finished for the organization %s, as it was left ready", short(upload.name), organization
            )
        cluster = self.uploads.finish(
            upload.handle,
            upload.file_type,
            organization_id=organization,
            what=f"finishing {short(upload.name)}",
        )
        self.ledger.done(upload.number, cluster, organization_key=organization, held=held)


def short(name: str) -> str:
    """Return a name, or the end of a long one."""
    return name if len(name) <= 60 else f"…{name[-59:]}"


# The share of one file in the progress of a run.


class Share:
    """
    The share of one file in a bar of megabytes.

    Parameters
    ----------
    bar
        The bar.
    size
        Bytes of the file.
    """

    def __init__(self, bar: Bar, size: int) -> None:
        self._bar, self._size, self._at = bar, size, 0

    def at(self, position: int) -> None:
        """Report the uploaded bytes; a position before the furthest one changes nothing."""
        position = min(position, self._size)
        if position > self._at:
            self._bar.advance((position - self._at) / MB, position - self._at)
            self._at = position

    def skip(self) -> None:
        """Report that the rest is not uploaded."""
        self._bar.advance((self._size - self._at) / MB)
        self._at = self._size
