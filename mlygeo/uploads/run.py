"""
A run of uploads: sequences of images, archives and videos, each photo and video once, continuing earlier runs.

Images of a sequence are uploaded in parallel, sequences one after another. Confirmed bytes are recorded
at once, and a ready upload before the request to finish it; so wherever a run ends, the next one
continues, and finishes nothing twice.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from mlygeo.errors import (
    FormatError,
    InputError,
    ServiceError,
)
from mlygeo.net.answers import RefusedError
from mlygeo.net.http import StoppedError
from mlygeo.net.workers import WorkerPool
from mlygeo.uploads.files import FATAL, OLDER, PHOTOS, FileUpload, Finishing, Outcome, Share, short
from mlygeo.uploads.items import Claims, described, digest, known_by, prepared

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlygeo.formats.identity import Identity
    from mlygeo.locks import NameLocks
    from mlygeo.progress import Bar
    from mlygeo.providers import UploadSession
    from mlygeo.uploads.items import Photo, PhotoSequence, WholeFile
    from mlygeo.uploads.ledger import UploadLedger
    from mlygeo.uploads.older import OlderUploads

log = logging.getLogger("mlygeo.upload")

AT_ONCE = 4
"""Images of a sequence that are sent at once; further threads prepare the next ones."""

ROUNDS = 3
"""Rounds over the images of a sequence, if the service drops uploaded ones."""


class Upload:
    """
    Uploads sequences and files; used once.

    Parameters
    ----------
    uploads
        A session with the upload service.
    sequence_type
        The service's type of a sequence; see `mlygeo.providers.Uploads.file_types`.
    ledger
        The history.
    locks
        Locks that exclude other runs from the same photos and videos.
    stop
        Event that ends the run.
    threads
        Threads that read and prepare images; four of them send at once.
    bar
        The progress bar, in megabytes.
    user_key
        The owner of the token, if known.
    reupload
        Upload also files that were uploaded before.
    manual_done
        Leave uploads ready, and finish none.
    older
        The uploads of older tools; None ignores them.
    """

    def __init__(
        self,
        *,
        uploads: UploadSession,
        sequence_type: str,
        ledger: UploadLedger,
        locks: NameLocks,
        stop: threading.Event,
        threads: int,
        bar: Bar,
        user_key: str | None = None,
        reupload: bool = False,
        manual_done: bool = False,
        older: OlderUploads | None = None,
    ) -> None:
        self._finishing = Finishing(
            uploads=uploads, ledger=ledger, user_key=user_key, manual_done=manual_done,
        )  # fmt: skip
        self._files = FileUpload(self._finishing, bar=bar, reupload=reupload, older=older, locks=locks)
        self.outcome = self._finishing.outcome
        self._sequence_type = sequence_type
        self._uploads, self._ledger, self._locks, self._stop, self._bar = uploads, ledger, locks, stop, bar
        self._threads = threads
        self._reupload, self._manual, self._older = reupload, manual_done, older
        self._sending = threading.Semaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._claims = Claims()
        self._counted: set[str] = set()

    def run(self, sequences: Iterable[PhotoSequence], files: Iterable[WholeFile] = ()) -> Outcome:
        """
        Upload everything.

        Parameters
        ----------
        sequences
            Sequences of images.
        files
            Archives and videos.

        Returns
        -------
        outcome
            The result. If an error ends the run, it is in the attribute `outcome`.

        Raises
        ------
        TokenRejectedError, ThrottledError, NetworkError
            If the service refuses the token or the address, or cannot be reached.
        """
        try:
            for sequence in sequences:
                with self._locks.of(PHOTOS):
                    self._sequence(sequence)
            for file in files:
                self._files.upload(file)
        except BaseException:
            self._stop.set()  # sending threads stop with their next piece
            raise
        return self.outcome

    def finish(self, numbers: Iterable[int]) -> None:
        """
        Finish uploads that were left ready.

        Parameters
        ----------
        numbers
            Their numbers in the history.
        """
        for upload in self._ledger.waiting(numbers):
            self._finishing.finish(upload, organization_key=upload.organization_key)
            self.outcome.ready.remove(upload.number)

    def _sequence(self, sequence: PhotoSequence) -> None:
        """Upload the missing images of a sequence, and finish it."""
        for _ in range(ROUNDS):
            results = self._photos(sequence)
            waiting = {each.waiting for each in results if each.waiting is not None}
            if not waiting or self._settled(waiting, sequence):
                break
        if any(each.outcome == "later" for each in results):
            self.outcome.unfinished += 1
            return
        sent = [(each.upload_md5, each.handle) for each in results if each.outcome == "sent"]
        handles = [handle for _, handle in sent if handle is not None]
        md5s = [md5 for md5, _ in sent if md5 is not None]
        if not handles:
            return
        try:
            self._manifest(sequence, md5s, handles)
        except FATAL:
            raise
        except ServiceError as error:
            self._not_finished(sequence.name, error)

    def _manifest(self, sequence: PhotoSequence, md5s: list[str], handles: list[str]) -> None:
        content = hashlib.md5("\n".join(md5s).encode(), usedforsecurity=False).hexdigest()
        what = f"sequence {short(sequence.name)}"
        number = 1 + self._ledger.times(content)
        handle = self._uploads.send_sequence(handles, number=number, what=f"the manifest of {what}")
        ready = self._finishing.ready(
            md5s, kind="sequence", name=sequence.name, content=content, file_type=self._sequence_type, handle=handle,
            organization_key=sequence.organization_key,
        )  # fmt: skip
        if self._manual:
            self.outcome.ready.append(ready.number)
            return
        self._finishing.finish(ready, organization_key=sequence.organization_key)
        self.outcome.sequences += 1
        log.info("%s: %d images, finished", what, len(handles))

    def _settled(self, waiting: set[int], sequence: PhotoSequence) -> bool:
        """Finish uploads that an earlier run left ready; return whether that worked for all."""
        if self._manual:
            self.outcome.ready += sorted(waiting - set(self.outcome.ready))
            return True
        settled = True
        for upload in self._ledger.waiting(waiting):
            try:
                self._finishing.finish(upload, organization_key=sequence.organization_key)
                self.outcome.sequences += 1
            except RefusedError as error:
                log.info("sequence %s is sent anew: %s", short(sequence.name), error)
                self._ledger.dropped(upload.number, str(error))
                settled = False
            except FATAL:
                raise
            except ServiceError as error:
                self._not_finished(sequence.name, error)
        return settled

    def _not_finished(self, name: str, error: ServiceError) -> None:
        self.outcome.failed[name] = str(error)
        self.outcome.unfinished += 1
        log.warning("%s is not finished: %s", short(name), error)

    def _photos(self, sequence: PhotoSequence) -> list[_Sent]:
        """Upload the images of a sequence in parallel; return the result of each, in their order."""
        results: dict[int, _Sent] = {}

        def work(number: int) -> _Sent:
            return self._photo(sequence.photos[number], sequence.name)

        pool = WorkerPool[int, _Sent](work, workers=min(self._threads, len(sequence.photos)), name="upload")
        for number, result in pool.results(range(len(sequence.photos))):
            if isinstance(result, Exception):
                raise result
            results[number] = result
            self._count(sequence.photos[number].path, result)
        return [results[number] for number in range(len(sequence.photos))]

    def _count(self, path: str, result: _Sent) -> None:
        if path in self._counted:
            return
        self._counted.add(path)
        self.outcome.images += result.outcome in {"sent", "waiting"}
        self.outcome.there += result.outcome == "there"
        self.outcome.older += result.outcome == "older"
        self.outcome.repeated += result.outcome == "repeated"
        self.outcome.edited += result.outcome == "edited"

    def _photo(self, photo: Photo, sequence: str) -> _Sent:
        """Upload one image, unless it is uploaded already."""
        share = Share(self._bar, photo.size)
        name = Path(photo.path).name
        try:
            content = Path(photo.path).read_bytes()
            md5 = digest(content)
            identity = known_by(content, photo.description, photo.recorded)
            known = self._ledger.find(md5=md5, identity=identity, path=photo.path)
            if self._claims.is_taken(identity, photo.path):
                share.skip()
                return _Sent(outcome="repeated")
            if known is not None and known.status == "done" and not self._reupload:
                share.skip()
                if known.is_edited:
                    log.warning("%s was edited since it was uploaded, and is not sent again", name)
                    return _Sent(outcome="edited")
                return _Sent(outcome="there" if known.reason is None else "older")
            if known is None and self._is_older(photo, len(content), md5, sequence, identity):
                share.skip()
                return _Sent(outcome="older")
            body = prepared(content, described(photo, identity))
        except (OSError, FormatError, InputError) as error:
            # FileError is an OSError as well.
            return self._failed(photo, sequence, getattr(error, "strerror", None) or str(error), share)
        upload_md5 = digest(body)
        exact = self._ledger.find(upload_md5=upload_md5)
        if not self._claims.take(identity, photo.path):
            share.skip()
            return _Sent(outcome="repeated")
        if exact is not None and exact.status == "done" and not self._reupload:
            share.skip()
            return _Sent(outcome="there")
        if known is None and self._ledger.has_picture(identity.picture):
            with self._lock:
                self.outcome.other_time += 1
            log.warning(
                "%s has the picture of a photo that was uploaded before, and another time; it counts as another photo",
                name,
            )
        ready = next((each for each in (known, exact) if each is not None and each.status == "ready"), None)
        if ready is not None and not self._reupload:
            share.skip()
            return _Sent(upload_md5, None, ready.upload, "waiting")
        # With another description it is another file; only the same content has this handle.
        if exact is not None and exact.status == "sent" and exact.handle is not None:
            share.skip()
            return _Sent(upload_md5, exact.handle)
        try:
            with self._sending:
                handle = self._uploads.send_file(body, md5=upload_md5, ending="jpg", what=name, came=share.at)
        except (*FATAL, StoppedError):
            raise
        except RefusedError as error:
            return self._failed(photo, sequence, str(error), share)
        except ServiceError as error:
            self._failed(photo, sequence, str(error), share)
            return _Sent(outcome="later")
        self._ledger.sent(
            path=photo.path, kind="image", md5=md5, upload_md5=upload_md5, size=len(body), handle=handle,
            sequence_id=sequence, identity=identity,
        )  # fmt: skip
        share.at(photo.size)
        with self._lock:
            self.outcome.bytes += len(body)
        return _Sent(upload_md5, handle)

    def _is_older(self, photo: Photo, size: int, md5: str, sequence: str, identity: Identity) -> bool:
        """Return whether an older tool uploaded an image, and record it."""
        if self._older is None or not self._older.has(photo, md5):
            return False
        self._ledger.found(
            path=photo.path, kind="image", md5=md5, size=size, reason=OLDER, sequence_id=sequence, identity=identity
        )  # fmt: skip
        return True

    def _failed(self, photo: Photo, sequence: str, reason: str, share: Share) -> _Sent:
        share.skip()
        with self._lock:
            self.outcome.failed[photo.path] = reason
        log.warning("%s: %s", Path(photo.path).name, reason)
        self._ledger.failed(path=photo.path, kind="image", reason=reason, sequence_id=sequence)
        return _Sent(outcome="failed")


class _Sent(NamedTuple):
    """The result of one image: its handle, the upload that has it already, or the reason of a failure."""

    upload_md5: str | None = None
    handle: str | None = None
    waiting: int | None = None
    outcome: Literal["sent", "there", "older", "edited", "repeated", "waiting", "failed", "later"] = "sent"
