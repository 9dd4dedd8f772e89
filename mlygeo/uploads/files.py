"""Upload archives and videos, each as the one file that it is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from mlygeo.actors.upload_finishing import FATAL, OLDER, Finishing
from mlygeo.actors.upload_share import Share
from mlygeo.errors import FileError, FormatError, ServiceError
from mlygeo.net.answers import RefusedError
from mlygeo.providers.mapillary.uploads import session_key
from mlygeo.uploads import archives

if TYPE_CHECKING:
    from mlygeo.progress import Bar
    from mlygeo.uploads.items import WholeFile
    from mlygeo.uploads.ledger import Known, Ready
    from mlygeo.uploads.older import OlderUploads

log = logging.getLogger("mlygeo.upload")


class FileUpload:
    """
    Uploads whole files, one after another.

    Parameters
    ----------
    finishing
        The service and the history.
    bar
        Shows how far it is, in megabytes.
    reupload
        Upload also what was uploaded before.
    older
        What older tools uploaded; None looks for nothing of that.
    """

    def __init__(
        self, finishing: Finishing, *, bar: Bar, reupload: bool = False, older: OlderUploads | None = None
    ) -> None:
        self._finishing, self._bar, self._reupload, self._older = finishing, bar, reupload, older
        self._ledger, self._outcome = finishing.ledger, finishing.outcome

    def upload(self, file: WholeFile) -> None:
        """Upload an archive or a video, unless it is up."""
        path, share = Path(file.path), Share(self._bar, file.size)
        try:
            held = list(archives.images_in(path)) if file.kind == "zip" else []
            md5 = archives.md5_of(path)
            known = self._ledger.find(md5=md5)
            if not self._reupload and self._is_there(file, md5, known, held):
                share.skip()
                return
            ready = self._left_ready(known)
            upload = self._sent(file, md5, share) if ready is None else ready
            if self._finishing.manual_done:
                self._outcome.ready.append(upload.number)
                return
            try:
                self._finishing.tell(upload, organization_key=file.organization_key, held=held)
            except RefusedError as error:
                if ready is None:
                    raise
                # The service forgets what was never finished.
                log.info("%s is sent anew: %s", path.name, error)
                self._ledger.dropped(ready.number, str(error))
                upload = self._sent(file, md5, share)
                self._finishing.tell(upload, organization_key=file.organization_key, held=held)
        except FATAL:
            raise
        except (ServiceError, OSError, FormatError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._outcome.failed[file.path] = reason
            self._ledger.failed(path=file.path, kind=file.kind, reason=reason)
            log.warning("%s: %s", path.name, reason)
            share.skip()
            return
        self._outcome.zips += file.kind == "zip"
        self._outcome.videos += file.kind == "video"
        self._outcome.images += len(held)

    def _is_there(self, file: WholeFile, md5: str, known: Known | None, held: list[tuple[str, int, str]]) -> bool:
        """Return whether a file was uploaded before, and count it."""
        if known is not None and known.status == "done":
            older = known.reason is not None
        elif known is None and self._older is not None and self._older.has(file, md5):
            self._ledger.found(path=file.path, kind=file.kind, md5=md5, size=file.size, reason=OLDER)
            older = True
        elif held and self._all_there(file, held):
            older = False
        else:
            return False
        if older:
            self._outcome.older += max(1, len(held))
        else:
            self._outcome.there += max(1, len(held))
        return True

    def _all_there(self, file: WholeFile, held: list[tuple[str, int, str]]) -> bool:
        """Return whether all images of an archive were uploaded before; some of them are an error."""
        known = [self._ledger.find(md5=md5, upload_md5=md5) for md5, _, _ in held]
        done = sum(each is not None and each.status in {"done", "ready"} for each in known)
        if 0 < done < len(held):
            raise FileError(
                f"{done} of the {len(held)} images in it were uploaded before",
                hint=f"upload {Path(file.path).stem} as images, or with --reupload",
            )
        return done == len(held)

    def _left_ready(self, known: Known | None) -> Ready | None:
        """Return the upload of a file that has only to be finished; with --reupload it is left, and another made."""
        if known is None or known.upload is None or self._reupload:
            return None
        return next(iter(self._ledger.waiting([known.upload])), None)

    def _sent(self, file: WholeFile, md5: str, share: Share) -> Ready:
        path = Path(file.path)
        ending = "zip" if file.kind == "zip" else "mp4"
        handle = self._finishing.uploads.send(session_key(md5, ending), path, what=path.name, came=share.at)
        self._ledger.sent(path=file.path, kind=file.kind, md5=md5, upload_md5=md5, size=file.size, handle=handle)
        self._outcome.bytes += file.size
        return self._finishing.ready(
            [md5], kind=file.kind, name=path.name, content=md5, file_type=file.file_type, handle=handle,
            organization_key=file.organization_key,
        )  # fmt: skip
