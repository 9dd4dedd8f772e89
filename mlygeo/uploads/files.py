"""Uploading archives and videos, each as a single file; and the result of any run of uploads."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlygeo.errors import FileError, FormatError, NetworkError, ServiceError, ThrottledError, TokenRejectedError
from mlygeo.net.answers import RefusedError
from mlygeo.uploads import archives, videos
from mlygeo.uploads.older import TOOL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlygeo.progress import Bar
    from mlygeo.providers import UploadSession
    from mlygeo.uploads.items import WholeFile
    from mlygeo.uploads.ledger import Known, Ready, UploadLedger
    from mlygeo.uploads.older import OlderUploads

log = logging.getLogger("mlygeo.upload")

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
    reupload
        Upload also files that were uploaded before.
    older
        The uploads of older tools; None ignores them.
    """

    def __init__(
        self, finishing: Finishing, *, bar: Bar, reupload: bool = False, older: OlderUploads | None = None
    ) -> None:
        self._finishing, self._bar, self._reupload, self._older = finishing, bar, reupload, older
        self._ledger, self._outcome = finishing.ledger, finishing.outcome

    def upload(self, file: WholeFile) -> None:
        """Upload an archive or a video, unless it is uploaded already."""
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
                self._finishing.finish(upload, organization_key=file.organization_key, held=held)
            except RefusedError as error:
                if ready is None:
                    raise
                # The service forgets uploads that were never finished.
                log.info("%s is sent anew: %s", path.name, error)
                self._ledger.dropped(ready.number, str(error))
                upload = self._sent(file, md5, share)
                self._finishing.finish(upload, organization_key=file.organization_key, held=held)
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
        self._outcome.copies += file.recipe is not None
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
        """Return whether all images of an archive were uploaded before; only some of them is an error."""
        known = [self._ledger.find(md5=md5, upload_md5=md5) for md5, _, _ in held]
        done = sum(each is not None and each.status in {"done", "ready"} for each in known)
        if 0 < done < len(held):
            raise FileError(
                f"{done} of the {len(held)} images in it were uploaded before",
                hint=f"upload {Path(file.path).stem} as images, or with `reupload=True`",
            )
        return done == len(held)

    def _left_ready(self, known: Known | None) -> Ready | None:
        """Return the upload of a file that only has to be finished; with --reupload None, for a new upload."""
        if known is None or known.upload is None or self._reupload:
            return None
        return next(iter(self._ledger.waiting([known.upload])), None)

    def _sent(self, file: WholeFile, md5: str, share: Share) -> Ready:
        path = Path(file.path)
        ending: Literal["zip", "mp4"] = "zip" if file.kind == "zip" else "mp4"
        copy = videos.copy_of(file)
        source, upload_md5, size = (path, md5, file.size) if copy is None else (copy, copy.md5(), copy.size)
        handle = self._finishing.uploads.send_file(source, md5=upload_md5, ending=ending, what=path.name, came=share.at)
        self._ledger.sent(path=file.path, kind=file.kind, md5=md5, upload_md5=upload_md5, size=size, handle=handle)
        self._outcome.bytes += size
        return self._finishing.ready(
            [upload_md5], kind=file.kind, name=path.name, content=md5, file_type=file.file_type, handle=handle,
            organization_key=file.organization_key,
        )  # fmt: skip


# The result of a run, and finishing an upload.


@dataclass
class Outcome:
    """
    The result of a run; `failed` has the reason by path or by name of the sequence.

    Of the videos, `copies` are those that were sent as copies with a track of positions.

    Of the files that were uploaded before, `there` are those that this package uploaded, and `older` those
    of older tools.
    """

    images: int = 0
    there: int = 0
    older: int = 0
    repeated: int = 0
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

    def finish(self, upload: Ready, *, organization_key: str | None, held: Iterable[tuple[str, int, str]] = ()) -> None:
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
            Files inside an archive: MD5, size, and name.

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
